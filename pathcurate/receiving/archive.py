"""Unpacks a volume's archive as it comes, and takes nothing but what a delivery holds: plain files of known digests.

The archive may be hostile. Nothing of it is believed: a path must be on the signed list, a size is bounded by what has
come, and links, devices, folders and anything else that is no plain file is refused.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pathcurate.checksums import parse_checksums
from pathcurate.delivering.names import fault_of
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.delivery import CONTENTS_LIST

_BLOCK = tarfile.BLOCKSIZE
_MOST_LIST = 1 << 30
_AT_ONCE = 1 << 20
"""What comes in small pieces is looked at in larger ones."""
_MOST_EXTENDED = 64 << 10
_HINT = "Nothing of it was kept. Ask whoever has sent it for the volume again, and tell them."


class Unpacker:
    """Takes the bytes of an archive one after another, and writes the files in it below a directory.

    Args:
        directory: of this run alone.
        contents_sha256: digest of the list of all files, which the first volume begins with.
        most: bytes of the archive at most.
        listed: the list, if an earlier volume has held it.
        done: files that other volumes have held; those of this one are added.
    """

    def __init__(
        self, directory: Path, contents_sha256: str, most: int, listed: Mapping[str, str] | None, done: set[str]
    ) -> None:
        self.fault: Exception | None = None
        self.listed = listed
        self.files: list[str] = []
        self._directory = directory
        self._contents = contents_sha256
        self._left_of_all = most
        self._done = done
        self._buffer = bytearray()
        self._next: Callable[[], bool] = self._header
        self._more: dict[str, Any] = {}
        self._extended = 0
        self._path = ""
        self._out: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._left = self._padding = self._zeros = 0

    def write(self, data: bytes) -> int:
        """Take the next bytes.

        Raises:
            DigestMismatchError: the archive holds what it may not, or a file has another digest.
            OSError: a file cannot be written.
        """
        if self.fault is not None:
            # Whoever writes may try again what has failed; what is wrong is what was wrong first.
            raise self.fault
        try:
            self._left_of_all -= len(data)
            if self._left_of_all < 0:
                raise _refused("is longer than its volume")
            self._buffer += data
            if len(self._buffer) >= _AT_ONCE:
                self._run()
        except Exception as error:
            self.fault = error
            raise
        return len(data)

    def _run(self) -> None:
        while self._next():
            pass

    def flush(self) -> None:
        """Does nothing: files are made sure of at their end."""

    def close(self) -> None:
        """Let go of a file that is not whole; after :meth:`end` there is none."""
        if self._out is not None:
            self._out.close()
            self._out = None

    def end(self) -> None:
        """The archive is over.

        Raises:
            DigestMismatchError, OSError: as :meth:`write`; or it was cut off.
        """
        try:
            self._run()
        except Exception as error:
            self.fault = error
            raise
        if self._next != self._over or self._buffer:
            raise _refused("is cut off")

    def _header(self) -> bool:
        block = self._taken(_BLOCK)
        if block is None:
            return False
        if not any(block):
            self._zeros += 1
            if self._zeros == 2:
                if self._more:
                    raise _refused("is broken")
                self._next = self._over
            return True
        if self._zeros:
            raise _refused("goes on after its end")
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, ValueError):
            raise _refused("is broken") from None
        if info.type == tarfile.XHDTYPE and not self._more and 0 < info.size <= _MOST_EXTENDED:
            self._extended = info.size
            self._next = self._records
            return True
        if info.type != tarfile.REGTYPE:
            raise _refused("holds a link, a device or a folder")
        self._begin(str(self._more.get("path", info.name)), int(self._more.get("size", info.size)))
        self._more = {}
        return True

    def _records(self) -> bool:
        """The records of an extended header (POSIX.1-2001, pax): `LENGTH KEYWORD=VALUE\\n`."""
        data = self._taken(self._extended + -self._extended % _BLOCK)
        if data is None:
            return False
        left = data[: self._extended]
        while left:
            number, _, _ = left.partition(b" ")
            length = int(number) if number.isdigit() and len(number) < 6 else 0
            record, left = left[:length], left[length:]
            key, is_there, value = record[len(number) + 1 : -1].partition(b"=")
            is_form = len(record) == length and record.endswith(b"\n") and is_there and value.isascii()
            if not is_form or key not in (b"path", b"size") or key.decode() in self._more:
                raise _refused("holds a file that is not described as one of a delivery")
            if key == b"size" and not (value.isdigit() and len(value) < 19):
                raise _refused("is broken")
            self._more[key.decode()] = value.decode()
        self._next = self._header
        return True

    def _begin(self, path: str, size: int) -> None:
        if self.listed is None and path != CONTENTS_LIST:
            raise _refused(f"does not begin with {CONTENTS_LIST}")
        if path in self._done or (self.listed is not None and path not in self.listed):
            raise _refused("holds a file that is not on the list, or holds it twice")
        if not 0 <= size <= self._left_of_all + len(self._buffer) or (self.listed is None and size > _MOST_LIST):
            raise _refused("holds a file that says it is larger than the volume")
        target = self._directory / path
        # The list is checked as a whole; the list itself has no folder.
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._path, self._out, self._digest = path, os.fdopen(handle, "wb"), hashlib.sha256()
        self._left, self._padding = size, -size % _BLOCK
        self._next = self._content

    def _content(self) -> bool:
        if self._left:
            if not self._buffer:
                return False
            piece = self._buffer[: self._left]
            del self._buffer[: self._left]
            self._digest.update(piece)
            if self._out is not None:
                self._out.write(piece)
            self._left -= len(piece)
            return True
        padding = self._taken(self._padding)
        if padding is None:
            return False
        if any(padding):
            raise _refused("is broken")
        self._ended()
        self._next = self._header
        return True

    def _ended(self) -> None:
        if self._out is not None:
            self._out.flush()
            os.fsync(self._out.fileno())
            self._out.close()
            self._out = None
        wanted = self._contents if self.listed is None else self.listed[self._path]
        if f"sha256:{self._digest.hexdigest()}" != wanted:
            raise DigestMismatchError("a file within a volume is not the one that was signed", _HINT)
        if self.listed is None:
            self.listed = read_list(self._directory, self._contents)
        self._done.add(self._path)
        self.files.append(self._path)

    def _over(self) -> bool:
        if any(self._buffer):
            raise _refused("goes on after its end")
        self._buffer.clear()
        return False

    def _taken(self, length: int) -> bytes | None:
        if len(self._buffer) < length:
            return None
        found = bytes(self._buffer[:length])
        del self._buffer[:length]
        return found


def read_list(directory: Path, contents_sha256: str) -> dict[str, str]:
    """The list of files that was unpacked: path to digest.

    Raises:
        DigestMismatchError: it is not the one that was signed, or names a file that not every system can have.
        InputOutputError: it cannot be read.
    """
    try:
        content = (directory / CONTENTS_LIST).read_bytes()
    except OSError as error:
        raise InputOutputError(f"{CONTENTS_LIST} cannot be read ({type(error).__name__})", "Run it again.") from None
    if sha256_text(content) != contents_sha256:
        raise DigestMismatchError(f"{CONTENTS_LIST} is not the one that was signed", _HINT)
    listed = parse_checksums(content)
    fault = fault_of([*listed, CONTENTS_LIST])
    if fault is not None:
        raise DigestMismatchError(f"a file on {CONTENTS_LIST} {fault}", _HINT)
    return listed


def _refused(what: str) -> DigestMismatchError:
    return DigestMismatchError(f"the archive of a volume {what}", _HINT)
