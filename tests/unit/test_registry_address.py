"""The setting ``registry:``: a file or a server; its password is elsewhere, and nobody is ever shown it."""

import os
import socket
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathcurate.cli.session import Session
from pathcurate.doctor import examine
from pathcurate.errors import InputOutputError, UsageError, VaultError
from pathcurate.registries.sql import look_at_registry, open_registry, opening
from pathcurate.registryaddress import RegistryAddress, Secret
from pathcurate.workspace import Workspace, load_workspace
from tests.postgres import PASSWORD, USER, Server, postgres  # noqa: F401 -- a fixture among them
from tests.registered import entry

# ruff: noqa: F811 -- a test's argument has the name of the fixture

HEAD = "workspace: 1\nname: demo\n"
CANARY = "Geheim-7b1f"
VARIABLE = "PATHCURATE_REGISTRY_PASSWORD"


def workspace(folder: Path, registry: str) -> Workspace:
    file = folder / "pathcurate.yaml"
    file.write_text(f"{HEAD}registry: {registry}\n", encoding="utf-8")
    return load_workspace(file)


def parsed(folder: Path, registry: str) -> RegistryAddress:
    address = workspace(folder, registry).registry
    assert isinstance(address, RegistryAddress)
    return address


def test_an_address_with_all_its_parts(tmp_path: Path) -> None:
    address = parsed(
        tmp_path,
        '"postgresql://st%40w:${env:REG_PW}@db.example.org:5433/pro%20ducts?sslmode=verify-full&sslrootcert=tls/ca.crt"',
    )
    assert (address.host, address.port, address.user, address.database) == ("db.example.org", 5433, "st@w", "pro ducts")
    assert address.password == Secret("env", "REG_PW")
    assert dict(address.parameters) == {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "tls/ca.crt")}
    assert address.is_authentic
    assert str(address) == "postgresql://st%40w@db.example.org:5433/pro%20ducts"
    assert address.shown == "pro ducts on db.example.org"


@pytest.mark.parametrize(
    ("text", "shown", "authentic"),
    [
        ("postgresql://steward@host:5432/db", "postgresql://steward@host:5432/db", False),
        ("postgres://host/db", "postgresql://host/db", False),
        ("postgresql:///db", "postgresql:///db", True),
        ("postgresql:///db?host=/run/postgresql", "postgresql:///db", True),
        ("postgresql://u@[::1]:5/db?sslmode=require", "postgresql://u@[::1]:5/db", False),
        ("postgresql://u:${file:secrets/registry}@host/db", "postgresql://u@host/db", False),
        ("postgresql://u:${file:/run/se@crets/r}@host/db?sslmode=verify-full&sslrootcert=system",
         "postgresql://u@host/db", True),
    ],
)  # fmt: skip
def test_addresses_that_can_be(tmp_path: Path, text: str, shown: str, authentic: bool) -> None:
    address = RegistryAddress.parse(text, tmp_path)
    assert (str(address), address.is_authentic) == (shown, authentic)
    if "secrets/registry" in text:
        assert address.password == Secret("file", str(tmp_path / "secrets/registry"))
    assert RegistryAddress.parse(text, tmp_path) == address
    with pytest.raises(AttributeError):
        address.host = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("registry", "message"),
    [
        (f"postgresql://steward:{CANARY}@host/db", "a secret is never written here"),
        (f"postgresql://steward:{CANARY}${{env:X}}@host/db", "a secret is never written here"),
        (f"postgresql://steward:${{env:X}}{CANARY}@host/db", "a secret is never written here"),
        ("postgresql://steward:${vault:x}@host/db", "a secret is never written here"),
        ("postgresql://steward:@host/db", "a secret is never written here"),
        ("postgresql://steward:${env:a-b}@host/db", "the name of a variable"),
        ("postgresql://${env:X}@host/db", "a secret is never written here"),
        ("postgresql://u@host/${env:X}", "stands for the password only"),
        ("postgresql+psycopg://u@host/db", "is written postgresql://"),
        ("postgresql://u@host", "is written postgresql://"), ("postgresql://u@host/", "is written postgresql://"),
        ("postgresql://u@host/a/b", "is written postgresql://"), ("postgresql://@host/db", "is written postgresql://"),
        ("postgresql://u@ho st/db", "is written postgresql://"), ("postgresql://u@a,b/db", "is written postgresql://"),
        ("postgresql://u@host:0/db", "from 1 to 65535"), ("postgresql://u@host:65536/db", "from 1 to 65535"),
        ("postgresql://u@host/db?sslmod=x", "parameter that is not known"),
        ("postgresql://u@host/db?service=x", "parameter that is not known"),
        ("postgresql://u@host/db?sslmode=a&sslmode=b", "given twice"),
        ("postgresql://u@host/db?host=other", "directory of a socket"),
        ("postgresql:///db?sslmode=require", "a socket is not encrypted"),
        ("mysql://u@host/db", "is written postgresql://"), ("https://host/db", "is written postgresql://"),
        ("${env:PLACE}", "stands for the password of a registry on a server"), ("a/${env:X}.db", "stands for the password"),
        ("sqlite:r.db", "sqlite:///FILE"),
    ],
)  # fmt: skip
def test_what_is_no_address_is_said_where_it_stands(tmp_path: Path, registry: str, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        workspace(tmp_path, f'"{registry}"')
    assert f"{tmp_path / 'pathcurate.yaml'}:3:11: error: " in refused.value.message
    assert message in refused.value.message
    assert CANARY not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("name", ["password", "sslpassword", "passWord", "pass%77ord"])
def test_a_secret_among_the_parameters_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="a secret is never written here") as refused:
        RegistryAddress.parse(f"postgresql://u@host/db?sslmode=require&{name}={CANARY}", tmp_path)
    assert CANARY not in str(refused.value)


# --- Secrets ---------------------------------------------------------------------------------------------------------


def test_a_variable_of_the_environment() -> None:
    secret = Secret("env", "REG_PW")
    assert secret.read({"REG_PW": PASSWORD}) == PASSWORD
    for environment in ({}, {"REG_PW": ""}, {"OTHER": CANARY}):
        with pytest.raises(UsageError, match=r"variable REG_PW .* not set") as refused:
            secret.read(environment)
        assert CANARY not in str(refused.value)
    with pytest.raises(UsageError, match="not one line") as refused:
        secret.read({"REG_PW": f"{CANARY}\nmore"})
    assert CANARY not in str(refused.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_file_for_its_owner(file: Path, mode: int, end: str) -> None:
    file.write_bytes((PASSWORD + end).encode())
    file.chmod(mode)
    assert Secret("file", str(file)).read({}) == PASSWORD


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o700, 0o620, 0o644])
def test_a_file_that_is_open_to_others(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(VaultError, match="is open to others") as refused:
        Secret("file", str(file)).read({})
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff\xfe", b"x" * 1025, b"a\0b"])
def test_a_file_that_holds_no_password(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"holds no password|not one line"):
        Secret("file", str(file)).read({})


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, message in (("nowhere", "No such file"), (".", "no file"), ("pipe", "no file")):
        with pytest.raises(UsageError, match=message):
            Secret("file", str(tmp_path / name)).read({})


# --- On a server -----------------------------------------------------------------------------------------------------


@pytest.fixture
def here(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A workspace whose registry is on a server that asks for a password and must prove who it is."""
    monkeypatch.setenv(VARIABLE, PASSWORD)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.crt").write_bytes((postgres.directory / "server.crt").read_bytes())
    tls = "sslmode=verify-full&sslrootcert=tls/ca.crt"
    workspace(tmp_path, f'"postgresql://{USER}:${{env:{VARIABLE}}}@127.0.0.1:{postgres.port}/registry?{tls}"')
    return Session(tmp_path, as_json=False, quiet=True, verbose=False)


def registry_checks(session: Session) -> list[tuple[str, str]]:
    assert session.directory is not None
    checks = examine(session.directory / "pathcurate.yaml", session.now, os.environ)
    return [(check.status, check.message) for check in checks if check.name.startswith("registry")]


def test_a_session_opens_the_registry_that_its_workspace_names(here: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    found = here.workspace()
    assert registry_checks(here) == [("ok", "none yet; `pathcurate product register` makes it")]
    with here.registry(found) as registry:
        assert registry.register(entry())[1]
        shown = [
            repr(registry),
            repr(registry._engine),
            str(registry._engine.url),
            repr(found.settings),
            str(found.registry),
        ]
    assert [text for text in shown if PASSWORD in text] == []
    with here.registry(found) as registry:
        assert registry.list() == [entry()]
    assert registry_checks(here) == [("ok", "its chain is whole; versions registered: 1")]
    monkeypatch.setenv(VARIABLE, CANARY)
    with pytest.raises(InputOutputError, match="cannot be used") as refused, here.registry(found):
        pass
    told = "".join(traceback.format_exception(refused.value))
    assert CANARY not in told
    assert PASSWORD not in told
    assert "Check that the server answers, and that user, password" in refused.value.hint
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(UsageError, match=VARIABLE), here.registry(found):
        pass


def test_a_password_in_a_file(here: Session, file: Path) -> None:
    text = (file.parent / "pathcurate.yaml").read_text()
    (file.parent / "pathcurate.yaml").write_text(text.replace(f"${{env:{VARIABLE}}}", "${file:registry}"))
    with here.registry(here.workspace()) as registry:
        assert registry.list() == []
    file.chmod(0o644)
    with pytest.raises(VaultError), here.registry(here.workspace()):
        pass
    assert [status for status, _ in registry_checks(here)] == ["error"]


def test_a_server_that_is_another_is_refused(here: Session, tmp_path: Path) -> None:
    file = tmp_path / "pathcurate.yaml"
    file.write_text(file.read_text().replace("127.0.0.1", "localhost"))  # a name that its certificate does not have
    with pytest.raises(InputOutputError, match="cannot be used"), here.registry(here.workspace()):
        pass
    file.write_text(file.read_text().replace("verify-full", "require"))  # encrypted, to whoever it is
    with here.registry(here.workspace()):
        pass
    assert [status for status, _ in registry_checks(here)] == ["ok", "warning"]


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening.ANSWER_SECONDS < 5
    monkeypatch.setattr(opening, "ANSWER_SECONDS", 2)  # the least that libpq knows
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        address = RegistryAddress.parse(f"postgresql://u@127.0.0.1:{port}/db", tmp_path)
        with pytest.raises(InputOutputError, match=r"registry db on 127\.0\.0\.1 cannot be used") as refused:
            open_registry(address, CANARY)
        assert (refused.value.exit_code, CANARY in "".join(traceback.format_exception(refused.value))) == (3, False)
    with pytest.raises(InputOutputError, match="cannot be used"):  # nobody listens there any more
        open_registry(address, CANARY)
    with pytest.raises(InputOutputError, match="cannot be used"), look_at_registry(address):
        pass


def test_who_only_looks_makes_nothing(postgres: Server) -> None:
    with look_at_registry(postgres.address) as registry:
        assert registry is None
    with postgres.connect() as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)
        connection.execute("create table holiday_pictures (id integer)")
    with pytest.raises(InputOutputError, match="no registry"):
        open_registry(postgres.address)
    with pytest.raises(InputOutputError, match="no registry"), look_at_registry(postgres.address):
        pass


def test_a_registry_of_a_newer_version_on_a_server(postgres: Server) -> None:
    open_registry(postgres.address).close()
    with postgres.connect() as connection:
        connection.execute("update registry set schema_version = 3")
    with pytest.raises(InputOutputError, match="Update pathcurate"):
        open_registry(postgres.address)


def test_a_connection_that_was_cut_is_made_anew(postgres: Server) -> None:
    with open_registry(postgres.address) as registry:
        registry.register(entry())
        with postgres.connect() as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
        assert registry.list() == [entry()]


def test_a_user_who_may_only_read(postgres: Server) -> None:
    open_registry(postgres.address).close()
    with postgres.connect() as connection:
        connection.execute("drop role if exists auditor")
        connection.execute("create role auditor login")
        connection.execute("grant usage on schema public to auditor")
        connection.execute("grant select on all tables in schema public to auditor")
    auditor = RegistryAddress.parse(
        f"postgresql://auditor@:{postgres.port}/registry?host={postgres.directory}", Path(tempfile.gettempdir())
    )
    with open_registry(auditor) as registry:
        assert registry.verify() == []
        with pytest.raises(InputOutputError, match="cannot be used: InsufficientPrivilege"):
            registry.register(entry())
    with postgres.connect() as connection:
        connection.execute("drop owned by auditor")
        connection.execute("drop role auditor")
