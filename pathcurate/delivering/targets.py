"""Places that a delivery goes to, or has come to: directories, such as of a disk that travels, and object stores."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from pathcurate.delivering.buckets import BucketTarget
from pathcurate.errors import DigestMismatchError, UsageError
from pathcurate.model.delivery import VolumeEntry
from pathcurate.objectstore import Address, S3Root, checked_endpoint

PART: Final = ".part"
"""Ending of a file that is not whole yet."""
PIECE: Final = 8 << 20
_NO_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF})
"""What file systems say that cannot make sure of a directory's names (shares, some sticks)."""


class Target(Protocol):
    """A place for files beside one another. Every method raises :class:`OSError` if the place fails."""

    def make(self) -> None:
        """Make the place if it is missing and what it lies in is there."""

    def names(self) -> Mapping[str, int]:
        """Files at the place to their sizes; folders, and what is no plain file, have the size -1."""

    def free(self) -> int | None:
        """Bytes that it still takes; None if nobody knows."""

    def lay(self, staged: Path, entry: VolumeEntry, progress: Callable[[int], None]) -> None:
        """Copy a volume and read it back; goes on where an earlier call was cut off. Its name stands only once it is whole.

        Args:
            staged: the volume's file.
            entry: what it is.
            progress: is told how many bytes were copied, and after those how many were read back.

        Raises:
            DigestMismatchError: the place gives back other bytes than were written; nothing of them stays.
        """

    def holds(self, entry: VolumeEntry) -> bool:
        """Whether a volume is there, by its size and its digest."""

    def write(self, name: str, content: bytes) -> None:
        """Write a small file whole or not at all; replaces one of the name."""

    def remove(self, name: str) -> None:
        """Remove a file, and what is there of it; nothing if it is not there."""

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, piece by piece."""


def target_of(text: str, base: Path, *, endpoint: str | None = None, region: str | None = None) -> Target:
    """The place that a user names; its text is the same for the same place.

    Args:
        text: a directory, or ``s3://BUCKET/FOLDER``.
        base: what a relative directory starts from.
        endpoint: address of an object store other than Amazon's.
        region: its region.

    Raises:
        UsageError: it is no such text.
    """
    try:
        if "://" not in text:
            if endpoint is not None or region is not None:
                raise ValueError("an endpoint or a region goes with s3://… only")
            return DirectoryTarget(Path(os.path.abspath(base / text)))  # noqa: PTH100  links stay as they are
        address = Address.parse(text)
        known = checked_endpoint(endpoint) if endpoint is not None else None
        return BucketTarget(S3Root(address.bucket, address.prefix, known, region))
    except ValueError as error:
        raise UsageError(str(error), "Give a directory, or s3://BUCKET/FOLDER.") from None


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A directory, such as of a disk that travels. Files appear in it under their names once they are whole.

    Attributes:
        path: absolute.
    """

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def make(self) -> None:
        """See :class:`Target`."""
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o755)

    def names(self) -> Mapping[str, int]:
        """See :class:`Target`."""
        found = {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                found[entry.name] = status.st_size if stat.S_ISREG(status.st_mode) else -1
        return found

    def free(self) -> int | None:
        """See :class:`Target`."""
        return shutil.disk_usage(self.path).free

    def lay(self, staged: Path, entry: VolumeEntry, progress: Callable[[int], None]) -> None:
        """See :class:`Target`."""
        part = self.path / (entry.name + PART)
        digest = hashlib.sha256()
        with staged.open("rb", buffering=0) as source, open(part, "r+b", buffering=0, opener=_creating) as out:
            done = _common(source, out)
            out.truncate(done)
            source.seek(done)
            out.seek(done)
            while piece := source.read(PIECE):
                _write(out, piece)
                done += len(piece)
                progress(done)
            os.fsync(out.fileno())
            # So that what is read back comes from the disk, not from memory.
            os.posix_fadvise(out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            out.seek(0)
            while piece := out.read(PIECE):
                digest.update(piece)
                progress(done + out.tell())
        if digest.hexdigest() != entry.sha256:
            part.unlink(missing_ok=True)
            raise unlike(entry)
        self._rename(part, entry.name)

    def holds(self, entry: VolumeEntry) -> bool:
        """See :class:`Target`."""
        if self.names().get(entry.name) != entry.bytes:
            return False
        digest = hashlib.sha256()
        for piece in self.pieces(entry.name):
            digest.update(piece)
        return digest.hexdigest() == entry.sha256

    def write(self, name: str, content: bytes) -> None:
        """See :class:`Target`."""
        part = self.path / (name + PART)
        with open(part, "r+b", buffering=0, opener=_creating) as out:
            out.truncate(0)
            _write(out, content)
            os.fsync(out.fileno())
        self._rename(part, name)

    def remove(self, name: str) -> None:
        """See :class:`Target`."""
        for each in (name, name + PART):
            (self.path / each).unlink(missing_ok=True)

    def pieces(self, name: str) -> Iterator[bytes]:
        """See :class:`Target`."""
        with open(self.path / name, "rb", buffering=0, opener=_existing) as file:
            while piece := file.read(PIECE):
                yield piece

    def _rename(self, part: Path, name: str) -> None:
        part.replace(self.path / name)
        handle = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in _NO_SYNC:
                raise
        finally:
            os.close(handle)


def unlike(entry: VolumeEntry) -> DigestMismatchError:
    """What is told when a place gives back other bytes than were written."""
    return DigestMismatchError(
        f"the target gives back other bytes of {entry.name} than were written",
        "Check the disk and its cable. The same command makes this volume anew and goes on.",
    )


def _creating(path: str, flags: int) -> int:
    return _plain(os.open(path, (flags & ~os.O_TRUNC) | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644))


def _existing(path: str, flags: int) -> int:
    return _plain(os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK))


def _plain(handle: int) -> int:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return handle


def _common(source: IO[bytes], out: IO[bytes]) -> int:
    """Bytes at the beginning in which two files agree, by whole pieces and the last one."""
    done = 0
    while (there := out.read(PIECE)) and source.read(len(there)) == there:
        done += len(there)
    return done


def _write(out: IO[bytes], piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[out.write(left) :]
