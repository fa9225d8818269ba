"""A registry's file: who may read it, what is no registry, and what is taken away or damaged."""

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from pathcurate.errors import InputOutputError
from pathcurate.registries.sql import look_at_registry, open_registry
from tests.registered import entry, faults, no_sync, tampering  # noqa: F401 -- a fixture among them

pytestmark = pytest.mark.usefixtures("no_sync")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A registry with two versions."""
    with open_registry(path) as registry:
        for version in ("1.0.0", "1.1.0"):
            registry.register(entry(version=version))
    return path


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    old = os.umask(0)
    try:
        open_registry(path).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_an_address_could_misread(tmp_path: Path) -> None:
    path = tmp_path / "注册 50% #1?mode=ro&x"
    with open_registry(path) as registry:
        registry.register(entry())
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert faults(path) == []


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_registry(Path("r.db")).close()
    assert (tmp_path / "r.db").stat().st_size > 0


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="cannot be made: No such file"):
        open_registry(tmp_path / "nowhere" / "registry.db")


@pytest.mark.parametrize("content", [b"not a database at all\n" * 50, b"x", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_not_sqlite(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputOutputError, match="cannot be used") as refused:
        open_registry(path)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert path.read_bytes() == content


def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


def test_a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere") / "r.db")
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


@pytest.mark.parametrize("table", ["holiday_pictures (id)", "registry (id)", "registry (schema_version)"])
def test_another_database(path: Path, table: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"create table {table}")
    before = path.read_bytes()
    with pytest.raises(InputOutputError, match=r"no registry|cannot be used"):
        open_registry(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("version", "message"), [(3, "Update pathcurate"), (0, "no registry"), ("x", "no registry")])
def test_another_schema_version(filled: Path, version: object, message: str) -> None:
    with tampering(filled) as connection:
        connection.execute(text("update registry set schema_version = :version"), {"version": version})
    with pytest.raises(InputOutputError, match=message):
        open_registry(filled)


def test_a_file_that_was_taken_away_does_not_come_back_empty(path: Path) -> None:
    with open_registry(path) as registry:
        registry.register(entry())
        path.unlink()
        with pytest.raises(InputOutputError, match="cannot be used"):
            registry.register(entry())
        assert not path.exists()


def test_a_damaged_file(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    filled.write_bytes(content)
    with pytest.raises(InputOutputError, match="cannot be used"):
        faults(filled)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of an ordinary user, who is who runs the test: for root, no file is read-only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    shutil.rmtree(folder)


def test_a_file_that_cannot_be_written_can_be_read(unprivileged: Path) -> None:
    path = unprivileged / "registry.db"
    with open_registry(path) as registry:
        registry.register(entry())
    path.chmod(0o400)
    with open_registry(path) as registry:
        assert registry.list() == [entry()]
        assert registry.verify() == []
        with pytest.raises(InputOutputError, match="readonly"):
            registry.register(entry(version="1.1.0"))
    path.chmod(0o000)
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


def test_a_directory_that_cannot_be_written(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(InputOutputError, match="cannot be made: Permission denied"):
        open_registry(unprivileged / "registry.db")


def test_who_only_looks_changes_nothing(filled: Path, path: Path) -> None:
    content = filled.read_bytes()
    with look_at_registry(filled) as registry:
        assert registry is not None
        assert [found.version for found in registry.list()] == ["1.0.0", "1.1.0"]
        assert registry.verify() == []
    assert filled.read_bytes() == content
    path.write_bytes(b"")
    for nothing in (path, path.with_name("nowhere.db"), path.parent / "nowhere" / "r.db"):
        with look_at_registry(nothing) as registry:
            assert registry is None
    assert path.read_bytes() == b""
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    for content in (b"x", b"not a database at all\n" * 50):
        path.write_bytes(content)
        with pytest.raises(InputOutputError, match="cannot be used"), look_at_registry(path):
            pass
        assert path.read_bytes() == content
