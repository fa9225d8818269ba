"""Where a slide's kept pixels lie, and what lies between: found with numpy, window by window, so that millions of tiles of a
file of 100 GB take bounded memory.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.ifd import Directory, Entry, tiles
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff.drafts import Placed

Offsets = NDArray[np.uint64]
_TILES: Final = 1_000_000
"""Tiles that are looked at in one window, at an even spread."""
_MOST_RUNS: Final = 4_000_000
_ZEROS: Final = bytes(1 << 20)
_SMALL: Final = 64
"""Gaps up to this length are looked at through a map of the file before anything is written: most are padding, and zero."""
_VIEW: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Table:
    """Where the tiles or strips of an image lie."""

    directory: Directory
    entries: tuple[Entry, Entry]


@dataclass(frozen=True, slots=True)
class Runs:
    """Ranges in order that neither overlap nor touch.

    Attributes:
        starts: shape (n,), bytes.
        ends: shape (n,), bytes.
    """

    starts: Offsets
    ends: Offsets

    def share(self, other: "Runs") -> bool:
        """Whether a byte is in both."""
        if not self.starts.size or not other.starts.size:
            return False
        # The last range of the other that begins before one of these ends.
        last = np.searchsorted(other.starts, self.ends, side="left").astype(np.int64) - 1
        return bool((other.ends[np.maximum(last, 0)][last >= 0] > self.starts[last >= 0]).any())


def runs_of(starts: Any, ends: Any) -> Runs:
    """Ranges in any order as runs; empty ones are left out."""
    start, end = np.asarray(starts, np.uint64), np.asarray(ends, np.uint64)
    held = end > start
    start, end = start[held], end[held]
    if not start.size:
        return Runs(start, end)
    order = np.argsort(start, kind="stable")
    start, end = start[order], np.maximum.accumulate(end[order])
    begins = np.concatenate(([True], start[1:] > end[:-1]))
    return Runs(start[begins], end[np.concatenate((begins[1:], [True]))])


def joined(*several: Runs) -> Runs:
    """The union of runs."""
    return runs_of(np.concatenate([item.starts for item in several]), np.concatenate([item.ends for item in several]))


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pixels of a slide: those that its copy keeps, and those that go.

    Attributes:
        kept: tables of the kept images.
        gone: tables of the others.
        size: of the file in bytes.
    """

    kept: Sequence[Table]
    gone: Sequence[Table]
    size: int

    def end(self) -> int:
        """Where the last kept tile ends.

        Raises:
            UnscrubbableError: a tile lies beyond the end of the file, or the tables claim more than it can hold.
            TruncatedTiff: a table does.
        """
        if sum(entry.size for table in (*self.kept, *self.gone) for entry in table.entries) > self.size:
            raise UnscrubbableError("the tables of tiles are larger than the file")
        last = 0
        for table in self.kept:
            for offsets, ends in _pieces(table, self.size):
                if offsets.size:
                    last = max(last, int(ends.max()))
        return last

    def windows(self, placed: Placed) -> Iterator[Runs]:
        """All that the copy keeps, window by window from the file's beginning to the end of the copy.

        Raises:
            UnscrubbableError: something that goes lies within something that stays.
        """
        _check_values(placed)
        patches = runs_of(list(placed.patches), [at + len(data) for at, data in placed.patches.items()])
        values, left = _ranges(placed.kept), _ranges(placed.left)
        total = sum(table.entries[0].count for table in (*self.kept, *self.gone))
        step = -(-max(self.size, placed.end) // max(1, -(-total // _TILES)))
        for low in range(0, max(self.size, placed.end), max(1, step)):
            high = low + step
            kept, gone = _within(self.kept, low, high, self.size), _within(self.gone, low, high, self.size)
            if kept.share(patches):
                raise UnscrubbableError("the header lies within pixels that stay")
            if kept.share(left) or gone.share(kept):
                raise UnscrubbableError("what must go lies within pixels that stay")
            if gone.share(values):
                raise UnscrubbableError("pixels that must go lie within values that stay")
            yield joined(kept, _cut(values, low, high), _cut(patches, low, high))


def _check_values(placed: Placed) -> None:
    """Refuse a value that goes and shares bytes with one that stays, unless both are the same value."""
    same = set(placed.kept)
    if _ranges([item for item in placed.left if item not in same]).share(_ranges(placed.kept)):
        raise UnscrubbableError("a value that must go lies within one that stays")


def _ranges(values: Sequence[tuple[int, int, int]]) -> Runs:
    return runs_of([start for start, _, _ in values], [end for _, end, _ in values])


def _pieces(table: Table, size: int) -> Iterator[tuple[Offsets, Offsets]]:
    """Starts and ends of an image's tiles, some at a time; tiles that were never written are left out."""
    for piece in tiles.read_pieces(table.directory, table.entries):
        if piece.count_beyond(size):
            raise UnscrubbableError("tiles lie beyond the end of the file")
        offsets, counts = piece.offsets.astype(np.uint64), piece.byte_counts.astype(np.uint64)
        held = counts > 0
        yield offsets[held], offsets[held] + counts[held]


def _within(tables: Sequence[Table], low: int, high: int, size: int) -> Runs:
    """The tiles' runs, as far as they lie within a window."""
    found: list[Runs] = []
    for table in tables:
        for offsets, ends in _pieces(table, size):
            inside = (offsets < np.uint64(high)) & (ends > np.uint64(low))
            found.append(_clipped(offsets[inside], ends[inside], low, high))
            if len(found) == 64:
                found = [joined(*found)]
                if found[0].starts.size > _MOST_RUNS:
                    raise UnscrubbableError("too many tiles lie close together")
    return joined(*found) if found else runs_of([], [])


def _cut(runs: Runs, low: int, high: int) -> Runs:
    return _clipped(runs.starts, runs.ends, low, high)


def _clipped(starts: Offsets, ends: Offsets, low: int, high: int) -> Runs:
    return runs_of(np.clip(starts, np.uint64(low), np.uint64(high)), np.clip(ends, np.uint64(low), np.uint64(high)))


def clear(handle: int, windows: Iterator[Runs], end: int) -> None:
    """Zero every byte before ``end`` that no window keeps.

    Args:
        handle: the copy, opened for reading and writing.
        windows: see :meth:`Pixels.windows`.
        end: size of the copy in bytes.

    Raises:
        OSError: it cannot be written.
        UnscrubbableError: from the windows.
    """
    before = 0
    for kept in windows:
        if not kept.starts.size:
            continue
        starts = np.concatenate((np.array([before], np.uint64), kept.ends[:-1]))
        _zero(handle, starts, kept.starts)
        before = int(kept.ends[-1])
    if before < end:
        _zero(handle, np.array([before], np.uint64), np.array([end], np.uint64))


def write_at(handle: int, data: bytes, offset: int) -> None:
    """Write all of some bytes; the system may take fewer at once.

    Raises:
        OSError: they cannot be written.
    """
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, offset)
        view, offset = view[done:], offset + done


def _zero(handle: int, starts: Offsets, ends: Offsets) -> None:
    lengths = ends - np.minimum(starts, ends)
    small = (lengths > 0) & (lengths <= _SMALL)
    large = lengths > _SMALL
    for start, length in zip(starts[large].tolist(), lengths[large].tolist(), strict=True):
        for at in range(start, start + length, len(_ZEROS)):
            write_at(handle, _ZEROS[: min(len(_ZEROS), start + length - at)], at)
    for start, length in _written(handle, starts[small], lengths[small]):
        write_at(handle, bytes(length), start)


def _written(handle: int, starts: Offsets, lengths: Offsets) -> Iterator[tuple[int, int]]:
    """Those of many small gaps that hold anything but zeros."""
    at = 0
    while at < starts.size:
        base = int(starts[at]) // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        stop = max(at + 1, int(np.searchsorted(starts, np.uint64(base + _VIEW))))
        first, size = starts[at:stop] - np.uint64(base), lengths[at:stop]
        with mmap.mmap(handle, int(first[-1] + size[-1]), prot=mmap.PROT_READ, offset=base) as view:
            held = np.frombuffer(view, np.uint8)
            begins = np.cumsum(size) - size
            places = np.arange(int(size.sum()), dtype=np.uint64) + np.repeat(first - begins, size.astype(np.int64))
            dirty = np.flatnonzero(np.add.reduceat(held[places.astype(np.int64)], begins.astype(np.int64), dtype=np.uint32))
            del held
        yield from ((base + int(first[item]), int(size[item])) for item in dirty.tolist())
        at = stop
