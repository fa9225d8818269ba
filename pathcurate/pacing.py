"""Manners towards storage that others work on: so many reads a second, only at some hours, and a count of what was read."""

import contextlib
import fcntl
import os
import re
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pathcurate.storage import CompanionFolders, Entry, OpenedSource, Root, Skipped, Source

BURST_SECONDS = 0.1
"""What was not used of the rate in the last tenth of a second may be used at once, and nothing of what is older."""

_STATE = struct.Struct("<QQ")  # when the next read may begin (monotonic clock, ns), and the reads so far
_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of the day, local time, in which an archive may be read; may go over midnight.

    On the two nights when clocks change, a wait is wrong by an hour at most; whether it is open is always right.

    Attributes:
        start: minute of the day from which it is open.
        end: minute of the day from which it is closed; 1440 is midnight.
    """

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "Window":
        """From text such as ``19:00-07:00``.

        Raises:
            ValueError: it is no such text.
        """
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)", text, re.ASCII)
        if found is None:
            raise ValueError("hours are written 19:00-07:00, from 00:00 to 24:00")
        hour, minute, end_hour, end_minute = found.groups()
        window = cls(int(hour) * 60 + int(minute), _DAY if end_hour is None else int(end_hour) * 60 + int(end_minute))
        if window.start == window.end:
            raise ValueError("the hours begin when they end; leave `window` out to read at any hour")
        return window

    def is_open(self, now: datetime) -> bool:
        """Whether the archive may be read at this local time."""
        minute = now.hour * 60 + now.minute
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def seconds_until_open(self, now: datetime) -> float:
        """Seconds from this local time until it opens; 0 if it is open."""
        if self.is_open(now):
            return 0.0
        passed = now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6
        return (self.start * 60 - passed) % (_DAY * 60)


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts the reads of one archive and spaces them, for all processes and threads of a run together.

    What they share is a file of 16 bytes: each read reserves the next moment under a lock that the kernel takes back from a
    killed process, then waits for it alone. Picklable: a process opens the file when it first reads.

    Attributes:
        path: the file; on a local disk, and as old as the run, since its clock ends with the machine's uptime.
        reads_per_second: the rate; None only counts.
    """

    path: Path
    reads_per_second: int | None = None

    @classmethod
    def create(cls, directory: Path, reads_per_second: int | None = None) -> "Meter":
        """A meter with a new file in a directory, whoever owns the directory removes it.

        Raises:
            OSError: the file cannot be made.
        """
        handle, name = tempfile.mkstemp(dir=directory, prefix="meter.")
        with os.fdopen(handle, "wb") as file:
            file.write(_STATE.pack(0, 0))
        return cls(Path(name), reads_per_second)

    def wait(self) -> None:
        """Count a read and wait for its turn."""
        with _opened(self.path) as handle:
            moment, reads = _STATE.unpack(os.pread(handle, _STATE.size, 0))
            now = time.monotonic_ns()
            if self.reads_per_second is not None:
                moment = max(moment, now - int(BURST_SECONDS * 1e9))
                following = moment + 1_000_000_000 // self.reads_per_second
            else:
                following = moment
            os.pwrite(handle, _STATE.pack(following, reads + 1), 0)
        if moment > now:
            time.sleep((moment - now) / 1e9)

    def reads_used(self) -> int:
        """Reads so far, of all processes."""
        with _opened(self.path) as handle:
            reads: int = _STATE.unpack(os.pread(handle, _STATE.size, 0))[1]
        return reads


@dataclass(frozen=True, slots=True)
class PacedRoot:
    """A root whose files are opened and read at the pace of a meter.

    Opening counts as a read: it costs storage as much as one. Listing does not, nor what a library reads by itself of a
    file that it was given the path of.

    Attributes:
        root: the archive root.
        meter: its meter.
    """

    root: Root
    meter: Meter

    def walk(self, companion_folders: CompanionFolders) -> Iterator[Entry | Skipped]:
        """Everything below the root, as the root itself gives it."""
        return self.root.walk(companion_folders)

    def open(self, relpath: bytes) -> "PacedSource":
        """A file below the root, when it is its turn.

        Raises:
            OSError: it cannot be opened.
        """
        self.meter.wait()
        held = contextlib.ExitStack()
        return PacedSource(held.enter_context(self.root.open(relpath)), held, self.meter)

    def uri(self, relpath: bytes) -> str:
        """The full address of a file, percent-encoded."""
        return self.root.uri(relpath)

    def reads_used(self) -> int:
        """Reads of this archive so far, of all processes."""
        return self.meter.reads_used()


class PacedReads:
    """A source whose reads wait for their turn."""

    def __init__(self, source: Source, held: contextlib.ExitStack, meter: Meter) -> None:
        self._source = source
        self._held = held
        self._meter = meter

    @property
    def size(self) -> int:
        """Size in bytes when the source was opened."""
        return self._source.size

    @property
    def name(self) -> str:
        """File name without its folder."""
        return self._source.name

    @property
    def local_path(self) -> bytes | None:
        """Path on this machine, if there is one."""
        return self._source.local_path

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``, when it is this read's turn."""
        self._meter.wait()
        return self._source.read_at(offset, length)

    def beside(self, relpath: bytes) -> "PacedReads":
        """Another file of the same slide, at the same pace."""
        self._meter.wait()
        held = contextlib.ExitStack()
        return PacedReads(held.enter_context(self._source.beside(relpath)), held, self._meter)

    def close(self) -> None:
        """Close the source."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class PacedSource(PacedReads):
    """A file of an archive whose reads wait for their turn."""

    def __init__(self, file: OpenedSource, held: contextlib.ExitStack, meter: Meter) -> None:
        super().__init__(file, held, meter)
        self._file = file

    def changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        return self._file.changed()


_handles: dict[tuple[int, Path], int] = {}
_handles_lock = threading.Lock()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The meter's file, which nobody else has until the block ends."""
    # The kernel's lock keeps out other processes, not the other threads of this one, which share its handle.
    with _handles_lock:
        place = os.getpid(), path
        if place not in _handles:
            _handles[place] = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        handle = _handles[place]
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield handle
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
