"""Copies hold the bytes and nothing else, whichever way they were made."""

import errno
import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pathcurate import copying
from pathcurate.copying import can_share, copy_file
from pathcurate.storage import LocalSource, Source


class Remote:
    """A source without a path, as an object store's."""

    local_path = None
    name = "slide.svs"

    def __init__(self, data: bytes, size: int | None = None) -> None:
        self.data, self.size = data, len(data) if size is None else size

    def read_at(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def beside(self, relpath: bytes) -> AbstractContextManager[Source]:
        raise FileNotFoundError


def test_a_copy_holds_the_bytes(tmp_path: Path) -> None:
    source = tmp_path / "a b 张三.svs"
    source.write_bytes(os.urandom(100_001))
    os.utime(source, (1, 1))
    with LocalSource(os.fsencode(source)) as opened:
        way = copy_file(opened, tmp_path / "copy")
    assert way in {"shared", "kernel", "stream"}
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert (tmp_path / "copy").stat().st_mtime > 1
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def test_a_remote_source_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_PIECE", 1000)
    data = os.urandom(4321)
    assert copy_file(Remote(data), tmp_path / "copy") == "stream"
    assert (tmp_path / "copy").read_bytes() == data


def test_a_source_that_ends_early_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="became shorter"):
        copy_file(Remote(b"abc", size=10), tmp_path / "copy")


def test_an_existing_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_file(Remote(b"new"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"old"


def test_where_the_kernel_cannot_copy_it_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "not here")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    monkeypatch.setattr(copying, "_shared", lambda original, handle: False)
    (tmp_path / "source").write_bytes(b"x" * 5000)
    with LocalSource(os.fsencode(tmp_path / "source")) as opened:
        assert copy_file(opened, tmp_path / "copy") == "stream"
    assert (tmp_path / "copy").read_bytes() == b"x" * 5000


def test_a_full_disk_is_no_other_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(copying, "_shared", lambda original, handle: False)
    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "source").write_bytes(b"x")
    with LocalSource(os.fsencode(tmp_path / "source")) as opened, pytest.raises(OSError, match="no space"):
        copy_file(opened, tmp_path / "copy")


def test_whether_blocks_are_shared_is_asked_without_leaving_anything(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    assert can_share(tmp_path / "from", tmp_path / "to") is False
    (tmp_path / "from" / "a").write_bytes(b"x" * 8192)
    assert can_share(tmp_path / "from", tmp_path / "to") in {True, False}
    assert not list((tmp_path / "to").iterdir())
    assert can_share(tmp_path / "none", tmp_path / "to") is False
