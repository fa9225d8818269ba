"""Copies of files: shared blocks where the file system can, else inside the kernel, else piece by piece.

A copy that shares blocks (``FICLONE``, Btrfs and XFS) costs no space until it is changed, and no time whatever its size.
"""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from pathcurate.storage import Source

_FICLONE: Final = 0x40049409
"""``ioctl`` that makes one file share the blocks of another (linux/fs.h)."""
_PIECE: Final = 8 << 20
_AT_ONCE: Final = 1 << 30
_NOT_HERE: Final = frozenset({
    errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOTTY, errno.EINVAL, errno.EXDEV, errno.ENOSYS, errno.EBADF, errno.EPERM,
})  # fmt: skip
"""What file systems say that cannot share blocks, or not with this one, or that cannot copy inside the kernel."""

Way = Literal["shared", "kernel", "stream"]
"""How a file was copied."""


def copy_file(source: Source, target: Path, *, mode: int = 0o600) -> Way:
    """Copy the bytes of a source to a new file; nothing but its bytes: no times, no attributes, no name.

    Raises:
        FileExistsError: the target exists.
        OSError: the source cannot be read to its end, or the target not written; what was written of it stays.
    """
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if source.local_path is not None:
            with _opened(source.local_path) as original:
                if _shared(original, handle):
                    return "shared"
                if _copied(original, handle, source.size):
                    return "kernel"
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        _streamed(source, handle)
        return "stream"
    finally:
        os.close(handle)


def can_share(path: Path, directory: Path) -> bool:
    """Whether a copy in a directory would share blocks with files below a path; tried with a file at its top.

    False also if there is none, or the directory cannot be written to.
    """
    try:
        with os.scandir(path) as entries:
            first = next((entry for entry in entries if entry.is_file(follow_symlinks=False)), None)
    except OSError:
        return False
    if first is None:
        return False
    with tempfile.TemporaryFile(dir=directory) as probe, _opened(os.fsencode(first.path)) as original:
        try:
            return _shared(original, probe.fileno())
        except OSError:
            return False


@contextlib.contextmanager
def _opened(path: bytes) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def _shared(original: int, handle: int) -> bool:
    try:
        fcntl.ioctl(handle, _FICLONE, original)
    except OSError as error:
        if error.errno in _NOT_HERE:
            return False
        raise
    return True


def _copied(original: int, handle: int, size: int) -> bool:
    done = 0
    while done < size:
        try:
            count = os.copy_file_range(original, handle, min(size - done, _AT_ONCE))
        except OSError as error:
            if done == 0 and error.errno in _NOT_HERE:
                return False
            raise
        if count == 0:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        done += count
    return True


def _streamed(source: Source, handle: int) -> None:
    done = 0
    while done < source.size:
        piece = source.read_at(done, min(_PIECE, source.size - done))
        if not piece:
            raise OSError(errno.EIO, "the file became shorter while it was copied")
        done += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(handle, view) :]
