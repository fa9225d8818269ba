"""The one door to files: random access by byte range, walking an archive as bytes, locks, and whole-or-nothing writes."""

import contextlib
import errno
import fcntl
import glob
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import quote

from pathcurate.errors import InputOutputError, LockedError


class Source(Protocol):
    """Random access to the bytes of one file, wherever it is."""

    @property
    def size(self) -> int:
        """Size in bytes when the source was opened."""

    @property
    def name(self) -> str:
        """File name without its folder, for display and extension only."""

    @property
    def local_path(self) -> bytes | None:
        """Path on this machine for libraries that open files themselves, else None."""

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file.

        Raises:
            OSError: the file cannot be read.
        """


class LocalSource:
    """A regular file on this machine, read with ``pread``.

    Opening never blocks and never follows a symbolic link in the last path component: a FIFO, a device or a link that
    took the file's place since it was listed is an ``OSError``, not a hang.
    """

    def __init__(self, path: bytes) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        state = os.fstat(self._fd)
        if not stat.S_ISREG(state.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file")
        self._size = state.st_size

    @property
    def size(self) -> int:
        """Size in bytes when the file was opened."""
        return self._size

    @property
    def name(self) -> str:
        """File name without its folder."""
        return path_text(os.path.basename(self._path))

    @property
    def local_path(self) -> bytes | None:
        """The file's path."""
        return self._path

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        chunks = []
        while length > 0 and (chunk := os.pread(self._fd, length, offset)):
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def path_text(path: bytes) -> str:
    """A path as text: UTF-8, else GB18030 (Windows shares), else with replacement characters."""
    for encoding in ("utf-8", "gb18030"):
        with contextlib.suppress(UnicodeDecodeError):
            return path.decode(encoding)
    return path.decode("utf-8", errors="replace")


def path_uri(path: bytes) -> str:
    """A local path as a ``file://`` address that keeps every byte."""
    return "file://" + quote(path)


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file found by :func:`walk`.

    Attributes:
        relpath: path below the root, as bytes, separated by ``/``.
        size: size in bytes.
        mtime_ns: modification time in nanoseconds since 1970, UTC.
        companion: whether it belongs to a slide whose main file is listed apart.
    """

    relpath: bytes
    size: int
    mtime_ns: int
    companion: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something below the root that is not read: ``kind`` says what (``link``, ``fifo``, ``socket``, ``device``,
    ``unreadable_directory``, ``vanished``).
    """

    relpath: bytes
    kind: str


_SPECIAL = (
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)


def walk(
    root: Path, companion_folders: Callable[[Iterable[bytes]], set[bytes]] = lambda names: set()
) -> Iterator[Entry | Skipped]:
    """Every file below ``root`` in byte order, walked as bytes because one name in another encoding must not hide a folder.

    Symbolic links are listed as skipped and never followed: they may leave the root or loop. What cannot be read is
    yielded as :class:`Skipped`, never raised, except the root itself.

    Args:
        root: directory to walk.
        companion_folders: given the names in a directory, those of its sub-folders whose files belong to a slide there.

    Raises:
        InputOutputError: the root is not a directory that can be listed.
    """
    base = os.fsencode(root)
    try:
        os.scandir(base).close()
    except OSError as error:
        raise InputOutputError(
            f"the root cannot be listed ({errno.errorcode.get(error.errno or 0, 'error')})",
            "Check that the path in pathcurate.yaml is right, mounted, and readable by this user.",
        ) from None
    # An explicit stack, not recursion: archives nest deeper than Python's recursion limit in places.
    stack: list[tuple[bytes, bool]] = [(b"", False)]
    while stack:
        folder, is_companion = stack.pop()
        try:
            with os.scandir(os.path.join(base, folder)) as listing:
                found = sorted(listing, key=lambda item: item.name)
        except OSError:
            yield Skipped(folder, "unreadable_directory")
            continue
        companions = companion_folders(item.name for item in found)
        subfolders = []
        is_readable = True
        for item in found:
            relpath = os.path.join(folder, item.name)
            try:
                state = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                yield Skipped(relpath, "vanished")
                continue
            except OSError:
                # Names without the right to look behind them: nothing here is gone, it only cannot be seen.
                is_readable = False
                continue
            if stat.S_ISDIR(state.st_mode):
                subfolders.append((relpath, is_companion or item.name in companions))
            elif stat.S_ISREG(state.st_mode):
                yield Entry(relpath, state.st_size, state.st_mtime_ns, is_companion)
            else:
                kind = next((kind for test, kind in _SPECIAL if test(state.st_mode)), "special")
                yield Skipped(relpath, kind)
        if not is_readable:
            yield Skipped(folder, "unreadable_directory")
        stack.extend(reversed(subfolders))


def private_directory(path: Path) -> Path:
    """Make a directory that only its owner can enter (mode 0700), or close an existing one."""
    path.mkdir(parents=True, exist_ok=True)
    if stat.S_IMODE(path.stat().st_mode) != 0o700:
        path.chmod(0o700)
    return path


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """A temporary name beside ``path`` that replaces it when the block ends well, and leaves nothing when it does not.

    The bytes are on disk before the name changes, so a reader (or a power cut) meets the old file or the new, never half.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file whole or not at all."""
    with replacing(path, mode) as temporary:
        temporary.write_bytes(data)


def sweep(path: Path) -> None:
    """Remove what killed runs left of :func:`replacing` a file; only for whoever holds the lock on its folder."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*"):
        leftover.unlink(missing_ok=True)


def create_exclusively(path: Path, data: bytes, mode: int = 0o600) -> bool:
    """Write a file whole if its name is free; False if it is taken. Two processes that try at once get one True."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        _sync_directory(path.parent)
        return True
    finally:
        temporary.unlink(missing_ok=True)


def sync_tree(directory: Path) -> None:
    """Make sure that everything below a directory is on disk, before its name is changed to one that others trust."""
    for path in (*directory.rglob("*"), directory):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(directory: Path, command: str) -> Iterator[None]:
    """Hold a directory for one run; a second run learns who holds it.

    The lock is the kernel's (``flock``), so a killed run leaves none behind; the text in the file only names the holder.

    Raises:
        LockedError: another process holds it.
    """
    path = directory / ".lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(
                f"the workspace is in use by {_holder(handle)}",
                "Wait until it ends, then run the command again; nothing was changed.",
            ) from None
        note = {"command": command, "pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")}
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(note).encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    try:
        note = json.loads(os.pread(handle, 4096, 0))
        return f"`pathcurate {note['command']}` (process {note['pid']}, since {note['since']})"
    except (ValueError, KeyError, TypeError):
        return "another run"
