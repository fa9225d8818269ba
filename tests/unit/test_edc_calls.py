"""Calls to a connector: each has an end, nothing secret leaves, and no answer is taken for what it is not."""

import builtins
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.registries.edc import EdcConnector
from pathcurate.registries.edc.address import checked_address
from tests.edcdesk import KEY, OFFERING
from tests.edcserver import ACCESS, EdcServer, Fault


@pytest.fixture(scope="module")
def running() -> Iterator[EdcServer]:
    with EdcServer(key=KEY) as server:
        yield server


@pytest.fixture
def server(running: EdcServer) -> EdcServer:
    running.reset()
    return running


def connector(address: str, **changes: Any) -> EdcConnector:
    settings = {"access_policy": ACCESS, "timeout_s": 0.3, "pause_s": 0, **changes}
    return EdcConnector(address, KEY, "hub", **settings)


# --- Time --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_connector_that_never_comes_to_an_end_is_left(server: EdcServer, how: str) -> None:
    """A byte now and then is no answer: the whole call has a time, not only each wait."""
    content = json.dumps(server.stored["policydefinitions"][ACCESS]).encode()
    server.faults.append(Fault("GET", "policydefinitions", how, times=9, content=content))
    with pytest.raises(InputOutputError, match="does not answer, or breaks off"):
        connector(server.address).check()
    assert 1 <= sum(path.endswith(ACCESS) for _, path in server.calls) <= 3


def test_a_change_that_hangs_is_looked_after_and_leaves_nothing(server: EdcServer) -> None:
    server.faults.append(Fault("POST", "/v4/policydefinitions$", "hang", times=9))
    with pytest.raises(InputOutputError, match="does not say what became of the contract policy"):
        connector(server.address).publish(OFFERING)
    assert server.held == {}


@contextmanager
def half_open(first: bytes = b"") -> Iterator[str]:
    """Takes connections and says no more than ``first``, also without reading."""
    taken = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def take() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                taken.append(connection)
                if first:
                    connection.sendall(first)

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/management"
        listener.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


@pytest.mark.parametrize(
    "first",
    [
        b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]", b"HTTP/1.1 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", b"\x00\xff nonsense\r\n\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "a body without an end", "half of the chunks", "nonsense"],
)  # fmt: skip
def test_a_half_open_connection_is_left(first: bytes) -> None:
    with half_open(first) as address, pytest.raises(InputOutputError, match="hub"):
        connector(address).check()


def test_nobody_is_there() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    space = connector(f"http://127.0.0.1:{port}/api/management")
    for call in (space.check, lambda: space.look(OFFERING), lambda: space.publish(OFFERING)):
        with pytest.raises(InputOutputError, match="cannot be reached"):
            call()


def test_the_time_of_a_call_is_shared_by_its_attempts(server: EdcServer) -> None:
    server.faults.append(Fault("GET", "policydefinitions", "hang", times=9))
    begin = time.monotonic()
    with pytest.raises(InputOutputError):
        connector(server.address, timeout_s=0.2).check()
    # No measure of speed: three attempts of that long each would be a fault, however slow the machine.
    assert sum(path.endswith(ACCESS) for _, path in server.calls) < 3
    assert time.monotonic() > begin


# --- Answers -----------------------------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(server: EdcServer) -> None:
    server.faults.append(Fault("GET", "policydefinitions", "redirect"))
    with pytest.raises(InputOutputError, match="redirect"):
        connector(server.address).check()
    assert not any("elsewhere" in path for _, path in server.calls)


def test_an_answer_without_end_is_not_read_to_it(server: EdcServer) -> None:
    server.faults.append(Fault("GET", "policydefinitions", "huge"))
    with pytest.raises(InputOutputError, match="more than 4 MB"):
        connector(server.address, timeout_s=5).check()


def test_an_answer_that_could_unpack_to_more_is_refused(server: EdcServer) -> None:
    server.faults.append(Fault("GET", "policydefinitions", "gzip"))
    with pytest.raises(InputOutputError, match="encoding"):
        connector(server.address).check()


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000, b'"text"', b"[1]", b"null", b'{"a": NaN}'])
def test_an_answer_that_is_none_of_a_connectors_is_no_success(server: EdcServer, content: bytes) -> None:
    for path in ("/v4/policydefinitions/", "/v4/assets/", "/v4/contractdefinitions/"):
        server.reset()
        server.faults.append(Fault("GET", path, "body", times=99, content=content))
        with pytest.raises((InputOutputError, DigestMismatchError)):
            connector(server.address).publish(OFFERING)
        assert not server.is_visible()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_connector_is_asked_again(server: EdcServer, status: int) -> None:
    server.faults.append(Fault("GET", "policydefinitions", "status", times=2, status=status))
    assert connector(server.address, timeout_s=5).check() == "v4"
    server.faults.append(Fault("GET", "policydefinitions", "status", times=3, status=status))
    with pytest.raises(InputOutputError, match=f"answers {status}"):
        connector(server.address, timeout_s=5).check()


# --- Addresses and settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "", "hub.example", "ftp://hub.example/", "https://", "https:///api", "https://user@hub.example/api",
        "https://user:s3cret@hub.example/api", "https://hub.example/api?x=1", "https://hub.example/api#x",
        "https://hub.example/api?", "https://hub.example:0/api", "https://hub.example:99999/api", "https://hub example/",
        "https://hub.example/../v4x y", "https://[::1/api", "https://hub.example\r\nX: y/api", "https://a@b@c/",
        "https://hub.example/api/v4", "https://hub.example/api/v3/", "https://hub.example/v5beta", "https://hub.example\\@x/",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_without_being_quoted(address: str) -> None:
    with pytest.raises(UsageError) as told:
        connector(address)
    assert "s3cret" not in str(told.value)
    assert "user:" not in str(told.value)


@pytest.mark.parametrize("host", ["hub.example", "10.0.0.7", "127.0.0.1.hub.example", "[2001:db8::1]", "localhost.example"])
def test_an_address_that_is_not_encrypted_is_for_this_machine_only(host: str) -> None:
    with pytest.raises(UsageError, match="not encrypted"):
        connector(f"http://{host}/api/management")
    with pytest.raises(UsageError, match="not encrypted"):
        connector("https://hub.example/api", version_address=f"http://{host}/version")
    assert checked_address(f"http://{host}/api/", "x", insecure=True) == f"http://{host}/api"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8181", "127.8.9.1", "[::1]:80"])
def test_this_machine_needs_no_encryption(host: str) -> None:
    assert checked_address(f"http://{host}/api/management/", "x", insecure=False) == f"http://{host}/api/management"


@pytest.mark.parametrize("key", ["", " ", "a\nb", "a\r\nX-Other: b", "schlüssel", "key ", "\x00"])
def test_a_key_that_would_not_stay_one_header_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match="key of the space") as told:
        EdcConnector("https://hub.example/api", key, "hub", access_policy=ACCESS)
    assert "X-Other" not in str(told.value)


@pytest.mark.parametrize("settings", [{"access_policy": ""}, {"access_policy": "a b"}, {"timeout_s": 0}, {"timeout_s": -1}])
def test_settings_that_are_none_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        connector("https://hub.example/api", **settings)


def test_without_httpx_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **named: Any) -> Any:
        if name == "httpx":
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="httpx") as told:
        connector("https://hub.example/api")
    assert "pathcurate[edc]" in told.value.hint


def test_variables_of_the_environment_lead_nowhere(server: EdcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert connector(server.address, timeout_s=5).check() == "v4"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that it signed itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    file = tmp_path_factory.mktemp("tls") / "hub.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(made.public_bytes(Encoding.PEM) + pem)
    return file


@contextmanager
def encrypted(certificate: Path, server: EdcServer) -> Iterator[str]:
    """The connector behind TLS; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    plain = server.behind(context)
    with plain as port:
        yield f"https://127.0.0.1:{port}/api/management"


def test_a_certificate_that_nobody_here_trusts_is_refused(certificate: Path, server: EdcServer) -> None:
    with encrypted(certificate, server) as address, pytest.raises(InputOutputError, match="certificate"):
        connector(address, timeout_s=5).check()
    assert server.calls == []


def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda: real(cafile=str(certificate)))


def test_one_that_is_trusted_is_spoken_to(certificate: Path, server: EdcServer, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted(certificate, monkeypatch)
    with encrypted(certificate, server) as address:
        assert connector(address, timeout_s=5).publish(OFFERING).is_new
        with pytest.raises(InputOutputError, match="certificate"):
            connector(address.replace("127.0.0.1", "localhost"), timeout_s=5).check()


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_an_encrypted_call_has_an_end_too(
    certificate: Path, server: EdcServer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    trusted(certificate, monkeypatch)
    content = json.dumps(server.stored["policydefinitions"][ACCESS]).encode()
    server.faults.append(Fault("GET", "policydefinitions", how, times=9, content=content))
    with encrypted(certificate, server) as address, pytest.raises(InputOutputError, match="does not answer"):
        connector(address, timeout_s=0.6).check()


def test_the_client_checks_certificates_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ssl.SSLContext] = []
    real = ssl.create_default_context

    def kept(*more: Any, **named: Any) -> ssl.SSLContext:
        made.append(real(*more, **named))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", kept)
    with half_open(b"no TLS") as address, pytest.raises(InputOutputError):
        connector(address.replace("http://", "https://")).check()
    (context,) = made
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
