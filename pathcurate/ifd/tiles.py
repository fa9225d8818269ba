"""Where the tiles or strips of an image lie: its two tables, read whole, at both ends, or piece by piece."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.ifd import (
    STRIP_BYTE_COUNTS,
    STRIP_OFFSETS,
    TILE_BYTE_COUNTS,
    TILE_OFFSETS,
    CorruptTiff,
    Directory,
    Entry,
)

_TYPES: Final = frozenset({3, 4, 13, 16, 18})
_PIECE: Final = 65_536
"""Tiles whose offsets and sizes are read at once."""


@dataclass(frozen=True, slots=True)
class TileTable:
    """Where tiles (or strips) lie: all of an image, or some.

    Attributes:
        total: tiles in the file's table.
        offsets: unsigned integers, shape (n,), byte offsets of the tiles that were looked at.
        byte_counts: unsigned integers, shape (n,), their lengths in bytes; 0 is a tile that was never written.
    """

    total: int
    offsets: NDArray[np.integer[Any]]
    byte_counts: NDArray[np.integer[Any]]

    def count_beyond(self, size: int) -> int:
        """How many of the tiles looked at do not end within a file of ``size`` bytes."""
        if not self.offsets.size or int(self.offsets.max()) + int(self.byte_counts.max()) <= size:
            return 0
        limit = np.uint64(size)
        counts = self.byte_counts.astype(np.uint64)
        # Not offset + count <= size: a hostile sum wraps around.
        room = limit - np.minimum(counts, limit)
        return int(np.count_nonzero((counts > 0) & ((counts > limit) | (self.offsets.astype(np.uint64) > room))))


def entries(directory: Directory) -> tuple[Entry, Entry] | None:
    """The entries of its tables of offsets and of byte counts, equally long; None if it has no such tables.

    Raises:
        CorruptTiff: the two tables do not belong together, or are not integers.
    """
    held = directory.entries
    offsets = held.get(TILE_OFFSETS) or held.get(STRIP_OFFSETS)
    counts = held.get(TILE_BYTE_COUNTS) or held.get(STRIP_BYTE_COUNTS)
    if offsets is None or counts is None:
        return None
    if offsets.count != counts.count:
        raise CorruptTiff(directory.offset, "the tables of tile offsets and tile sizes differ in length")
    if offsets.type not in _TYPES or counts.type not in _TYPES:
        raise CorruptTiff(directory.offset, "a tile table is of a type that cannot hold offsets")
    return offsets, counts


def read_table(directory: Directory, tables: tuple[Entry, Entry], each: int) -> TileTable:
    """The first and the last ``each`` tiles; all of them if there are no more than twice as many.

    Raises:
        TruncatedTiff: the file ends before the table does.
    """
    offsets, counts = tables
    return TileTable(offsets.count, _ends(directory, offsets, each), _ends(directory, counts, each))


def _ends(directory: Directory, entry: Entry, each: int) -> NDArray[np.integer[Any]]:
    if entry.count <= 2 * each:
        return directory.numbers(entry, 0, entry.count)
    first = directory.numbers(entry, 0, each)
    return np.concatenate((first, directory.numbers(entry, entry.count - each, each)))


def read_pieces(directory: Directory, tables: tuple[Entry, Entry]) -> Iterator[TileTable]:
    """The whole table, piece by piece, so that no count in a file decides how much memory it takes.

    Raises:
        TruncatedTiff: the file ends before the table does.
    """
    offsets, counts = tables
    for start in range(0, offsets.count, _PIECE):
        number = min(_PIECE, offsets.count - start)
        yield TileTable(
            offsets.count, directory.numbers_past(offsets, start, number), directory.numbers_past(counts, start, number)
        )


def tile_at(directory: Directory, tables: tuple[Entry, Entry], index: int) -> tuple[int, int]:
    """Offset and byte count of one tile.

    Raises:
        TruncatedTiff: the file ends before the table does.
    """
    offsets, counts = tables
    return int(directory.numbers(offsets, index, 1)[0]), int(directory.numbers(counts, index, 1)[0])
