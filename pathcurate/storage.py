"""The one door to files: random access by byte range, walking an archive as bytes, locks, and whole-or-nothing writes."""

import contextlib
import errno
import fcntl
import functools
import glob
import itertools
import json
import os
import secrets
import stat
import tempfile
from array import array
from bisect import bisect_left
from collections import defaultdict
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

    def beside(self, relpath: bytes) -> "contextlib.AbstractContextManager[Source]":
        """Another file of the same slide, by its path relative to the folder of this one.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be opened.
        """


class OpenedSource(Source, Protocol):
    """A source as an archive root opens it: it knows whether its file changed since."""

    def changed(self) -> bool:
        """Whether the file was written to since it was opened, so that what was read may be of two states."""


class OfflineError(OSError):
    """The bytes lie in cold storage: they could be read only after somebody asks for them back."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "in cold storage")

    def __reduce__(self) -> tuple[type["OfflineError"], tuple[()]]:
        return type(self), ()


_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalSource:
    """A regular file on this machine, read with ``pread``.

    Opening never blocks: a FIFO or a device that took the file's place since it was listed is an ``OSError``, not a hang.

    Args:
        path: the file.
        within: the archive root that it must lie in. With one, symbolic links are followed, and what they lead to must be
            inside the root at the moment it is opened. Without one, a link as last path component is refused.

    Raises:
        OSError: the file cannot be opened, is not a regular one, or lies outside the root (``ELOOP``).
    """

    def __init__(self, path: bytes, within: bytes | None = None) -> None:
        self._asked = path
        self._within = within
        self._path, self._fd = (path, os.open(path, _OPEN)) if within is None else _open_within(within, path)
        state = os.fstat(self._fd)
        if not stat.S_ISREG(state.st_mode):
            os.close(self._fd)
            raise OSError(errno.EINVAL, "not a regular file")
        self._state = state.st_size, state.st_mtime_ns

    @property
    def size(self) -> int:
        """Size in bytes when the file was opened."""
        return self._state[0]

    @property
    def name(self) -> str:
        """File name without its folder; of a link its own name, which may have an extension where its target has none."""
        return path_text(os.path.basename(self._asked))

    @property
    def local_path(self) -> bytes | None:
        """The file's path, without a link as its last component."""
        return self._path

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        chunks = []
        while length > 0 and (chunk := os.pread(self._fd, length, offset)):
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
        return b"".join(chunks)

    def beside(self, relpath: bytes) -> "LocalSource":
        """Another file of the same slide, by its path relative to the folder of this one; for a link, then of its target."""
        try:
            return LocalSource(os.path.join(os.path.dirname(self._asked), relpath), self._within)
        except FileNotFoundError:
            if self._path == self._asked:
                raise
        return LocalSource(os.path.join(os.path.dirname(self._path), relpath), self._within)

    def changed(self) -> bool:
        """Whether size or modification time differ from when the file was opened (over NFS, once its cache knows)."""
        state = os.fstat(self._fd)
        return (state.st_size, state.st_mtime_ns) != self._state

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _open_within(root: bytes, path: bytes) -> tuple[bytes, int]:
    """A file below a root, through links, but never out of the root: its path without a link at its end, and its handle."""
    try:
        handle = os.open(path, _OPEN)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        path = os.path.realpath(path, strict=True)
        handle = os.open(path, _OPEN)
    # Asked of what is open: a folder above it may have become a link since it was listed, or since a line ago.
    if not (_is_inside(actual := _path_of(handle, path), _real(root)) or _is_inside(actual, os.path.realpath(root))):
        os.close(handle)
        raise OSError(errno.ELOOP, "a link leads out of the archive root")
    return path, handle


def _path_of(handle: int, path: bytes) -> bytes:
    try:
        actual = os.readlink(b"/proc/self/fd/%d" % handle)
    except OSError:
        actual = b""
    return actual if actual.startswith(b"/") else os.path.realpath(path)


@functools.lru_cache(maxsize=256)
def _real(root: bytes) -> bytes:
    """A root's real path; remembered, because asking costs as much as opening a file."""
    return os.path.realpath(root)


def _is_inside(path: bytes, root: bytes) -> bool:
    return path.startswith(root if root.endswith(b"/") else root + b"/")


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
        is_offline: whether its bytes lie elsewhere (a stub of hierarchical storage, a cold storage class), so that reading
            it would call them back.
    """

    relpath: bytes
    size: int
    mtime_ns: int
    companion: bool = False
    is_offline: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something below the root that is not read: ``kind`` says what (``link``, ``fifo``, ``socket``, ``device``,
    ``special``, ``unreadable_directory``, ``repeated_directory``, ``vanished``).
    """

    relpath: bytes
    kind: str


class Root(Protocol):
    """An archive root, wherever it lies. Picklable: workers open its files through it."""

    def walk(self, companion_folders: "CompanionFolders") -> Iterator[Entry | Skipped]:
        """Everything below the root in byte order, a folder's own files before those of its sub-folders."""

    def open(self, relpath: bytes) -> contextlib.AbstractContextManager[OpenedSource]:
        """A file below the root.

        Raises:
            OSError: it cannot be opened.
        """

    def uri(self, relpath: bytes) -> str:
        """The full address of a file, percent-encoded."""


CompanionFolders = Callable[[Iterable[bytes]], set[bytes]]
"""Given the names in a directory, those of its sub-folders whose files belong to a slide there."""


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """A directory of this machine.

    Attributes:
        path: the directory.
    """

    path: bytes

    def walk(self, companion_folders: CompanionFolders) -> Iterator[Entry | Skipped]:
        """See :func:`walk`."""
        return walk(Path(os.fsdecode(self.path)), companion_folders)

    def open(self, relpath: bytes) -> LocalSource:
        """A file below the root; links are followed as long as they stay inside it."""
        return LocalSource(os.path.join(self.path, relpath), within=self.path)

    def uri(self, relpath: bytes) -> str:
        """A ``file://`` address that keeps every byte."""
        return path_uri(os.path.join(self.path, relpath))


_SPECIAL = (
    (stat.S_ISLNK, "link"),
    (stat.S_ISFIFO, "fifo"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_INLINE_BYTES = 4096
"""Up to this size a file without blocks may lie in its inode (ext4, btrfs), so that it says nothing."""


def walk(root: Path, companion_folders: CompanionFolders = lambda names: set()) -> Iterator[Entry | Skipped]:
    """Every file below ``root`` in byte order, walked as bytes because one name in another encoding must not hide a folder.

    A symbolic link to a file inside the root is an entry under the link's path. A link to a folder inside the root is
    followed only if the folder cannot be reached by its real path, whatever the order of names; links that leave the root,
    lead nowhere or go in circles are skipped. A folder that is met twice (a bind mount) is walked once. What cannot be read
    is yielded as :class:`Skipped`, never raised, except the root itself.

    Holds the names of one folder at a time, and 8 bytes per folder walked.

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
    yield from _Walk(base, companion_folders).items()


class _Walk:
    """One walk of a root."""

    def __init__(self, base: bytes, companion_folders: CompanionFolders) -> None:
        self._base = os.path.join(base, b"")
        self._real = os.path.realpath(base)
        self._companion_folders = companion_folders
        self._walked = _Inodes()
        # An explicit stack, not recursion: archives nest deeper than Python's recursion limit in places.
        self._stack: list[tuple[bytes, bool]] = [(b"", False)]

    def items(self) -> Iterator[Entry | Skipped]:
        """Everything below the root."""
        while self._stack:
            folder, is_companion = self._stack.pop()
            try:
                is_new = self._walked.add(os.stat(self._base + folder))
                # Names alone: half a million entries with their paths and states would be hundreds of megabytes.
                with os.scandir(self._base + folder) as listing:
                    names = sorted(item.name for item in listing)
            except OSError:
                yield Skipped(folder, "unreadable_directory")
                continue
            if is_new:
                yield from self._folder(folder, names, is_companion=is_companion)
            else:
                yield Skipped(folder, "repeated_directory")

    def _folder(self, folder: bytes, names: list[bytes], *, is_companion: bool) -> Iterator[Entry | Skipped]:
        companions = self._companion_folders(names)
        above = os.path.join(folder, b"") if folder else b""
        full = self._base + above
        subfolders = []
        is_readable = True
        for name in names:
            relpath = above + name
            try:
                state = os.lstat(full + name)
                if stat.S_ISLNK(state.st_mode):
                    state = self._followed(relpath, state)
            except FileNotFoundError:
                yield Skipped(relpath, "vanished")
                continue
            except OSError:
                # Names without the right to look behind them: nothing here is gone, it only cannot be seen.
                is_readable = False
                continue
            mode, size = state.st_mode, state.st_size
            if stat.S_ISREG(mode):
                is_offline = size > _INLINE_BYTES and state.st_blocks == 0
                yield Entry(relpath, size, state.st_mtime_ns, is_companion, is_offline)
            elif stat.S_ISDIR(mode):
                subfolders.append((relpath, is_companion or name in companions))
            else:
                yield Skipped(relpath, next((kind for test, kind in _SPECIAL if test(mode)), "special"))
        if not is_readable:
            yield Skipped(folder, "unreadable_directory")
        self._stack.extend(reversed(subfolders))

    def _followed(self, relpath: bytes, link: os.stat_result) -> os.stat_result:
        """The state of what a link leads to if that belongs to the walk, else of the link itself."""
        try:
            target = os.path.realpath(self._base + relpath, strict=True)
            if not _is_inside(target, self._real):
                return link
            state = os.lstat(target)
        except OSError:
            return link
        is_taken = stat.S_ISREG(state.st_mode) or (stat.S_ISDIR(state.st_mode) and not self._is_reached(target))
        return state if is_taken else link

    def _is_reached(self, target: bytes) -> bool:
        """Whether a folder inside the root is walked by its real path: whether all above it can be listed."""
        folders = itertools.accumulate(target[len(self._real) :].split(b"/")[1:-1], os.path.join, initial=self._real)
        return all(os.access(folder, os.R_OK | os.X_OK) for folder in folders)


class _Inodes:
    """A set of (device, inode) in 8 bytes each: an archive may have a folder for every slide, and memory stays flat."""

    def __init__(self) -> None:
        self._recent: dict[int, set[int]] = defaultdict(set)
        self._sorted: dict[int, list[array[int]]] = defaultdict(list)

    def add(self, state: os.stat_result) -> bool:
        """Take in a folder; False if it is there already. A file system that numbers no inodes is always new."""
        recent, runs, inode = self._recent[state.st_dev], self._sorted[state.st_dev], state.st_ino
        if inode in recent or any(run[bisect_left(run, inode, hi=len(run) - 1)] == inode for run in runs):
            return inode == 0
        recent.add(inode)
        if len(recent) == 1 << 16:
            runs.append(array("Q", sorted(recent)))
            recent.clear()
        return True


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
