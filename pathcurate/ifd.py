"""A header-only walk over TIFF and BigTIFF: directories and their values, never a pixel.

Sources: TIFF 6.0 (1992), sections 2 and 15; the BigTIFF design (Awaresystems, libtiff). A slide's directories are read in
blocks of 4 KiB, because writers put the values of a directory next to it; a large tile table is sampled. Damage is told
apart, since it asks for different action: a truncated file is copied again, a corrupt one is scanned again. Files are
untrusted: no count or offset in a file decides how much memory or time is spent.
"""

import math
import struct
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.storage import Source

BLOCK_BYTES: Final = 4096
"""Least size of a read: one directory and the small values beside it."""
MAX_DIRECTORIES: Final = 1024
MAX_ENTRIES: Final = 1024
MAX_ENTRIES_TOTAL: Final = 65_536
MAX_VALUE_BYTES: Final = 1 << 32
"""A single value larger than this is no value but damage."""
MAX_TEXT_BYTES: Final = 65_536
MAX_INTS: Final = 4096
MAX_HEADER_BYTES: Final = 64 << 20
"""Most that is ever read of one file; real headers stay below 1 MiB."""

WHOLE_TABLE_TILES: Final = 8192
"""Tile tables of up to this many tiles (64 KiB of 8-byte offsets) are read whole."""
SAMPLED_TILES: Final = 512
"""Of a larger table, this many tiles are read at each end (4 KiB of 8-byte offsets).

Scanners write tiles in order, so a file that lost its tail shows it in the last tiles of a table. In a file whose tiles
are shuffled, 2 x 512 tiles miss the loss of a fraction f of the tiles with probability (1 - f) ** 1024: below 0.004 %
for a loss of 1 %.
"""

# Tags by their names in TIFF 6.0; those above 32767 are registered or vendors' own.
NEW_SUBFILE_TYPE: Final = 254
IMAGE_WIDTH: Final = 256
IMAGE_LENGTH: Final = 257
COMPRESSION: Final = 259
DOCUMENT_NAME: Final = 269
IMAGE_DESCRIPTION: Final = 270
MAKE: Final = 271
MODEL: Final = 272
STRIP_OFFSETS: Final = 273
SAMPLES_PER_PIXEL: Final = 277
STRIP_BYTE_COUNTS: Final = 279
X_RESOLUTION: Final = 282
Y_RESOLUTION: Final = 283
PLANAR_CONFIGURATION: Final = 284
PAGE_NAME: Final = 285
RESOLUTION_UNIT: Final = 296
SOFTWARE: Final = 305
DATE_TIME: Final = 306
TILE_WIDTH: Final = 322
TILE_LENGTH: Final = 323
TILE_OFFSETS: Final = 324
TILE_BYTE_COUNTS: Final = 325
XMP: Final = 700
ICC_PROFILE: Final = 34675
NDPI_MARK: Final = 65420

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_TABLE_TYPES: Final = frozenset({3, 4, 13, 16, 18})
_TEXTS: Final = frozenset({1, 2, 7})


class TiffDamage(Exception):  # noqa: N818 -- states of a file, named for what they are
    """What keeps a file from being walked as TIFF.

    Attributes:
        offset: where in the file.
        reason: what is wrong; no value from the file.
        directories: those that were read before the damage.
    """

    def __init__(self, offset: int, reason: str, directories: Sequence["Directory"] = ()) -> None:
        super().__init__(f"{reason} (offset {offset})")
        self.offset = offset
        self.reason = reason
        self.directories = tuple(directories)


class NotTiff(TiffDamage):
    """The file does not begin as TIFF."""


class TruncatedTiff(TiffDamage):
    """Something lies beyond the end of the file, or was never written."""


class CorruptTiff(TiffDamage):
    """The structure is impossible, at whatever length the file may once have had."""


class Blocks:
    """A source that remembers what was read of it, so that two looks at a header cost the reads of one.

    Raises:
        CorruptTiff: from any read, once :data:`MAX_HEADER_BYTES` have been read.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._starts: list[int] = []
        self._blocks: dict[int, bytes] = {}
        self._read = 0
        # Asked for with every value, so not through the source each time.
        self._size = source.size
        self._walked: list[Directory] | TiffDamage | None = None

    @property
    def size(self) -> int:
        """Size of the source in bytes."""
        return self._size

    def walk(self) -> "list[Directory]":
        """The directories, see :func:`walk`; a second call gives what the first one found, or raises what it raised."""
        if self._walked is None:
            try:
                self._walked = _walk(self)
            except TiffDamage as damage:
                self._walked = damage
        if isinstance(self._walked, TiffDamage):
            raise self._walked
        return self._walked

    @property
    def name(self) -> str:
        """File name of the source."""
        return self._source.name

    @property
    def local_path(self) -> bytes | None:
        """Path of the source on this machine, if it has one."""
        return self._source.local_path

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the file."""
        return self._read_at(offset, length, 0)

    def read_near(self, offset: int, length: int) -> bytes:
        """As :meth:`read_at`, but a read that is needed takes a whole block, for what will be asked next."""
        return self._read_at(offset, length, BLOCK_BYTES)

    def _read_at(self, offset: int, length: int, least: int) -> bytes:
        length = min(length, self._size - offset)
        if length <= 0:
            return b""
        # Only the nearest block is looked at: overlaps are rare, and a second read is cheaper than a search.
        at = bisect_right(self._starts, offset) - 1
        if at >= 0:
            start = self._starts[at]
            block = self._blocks[start]
            if offset + length <= start + len(block):
                return block[offset - start : offset - start + length]
        return self._fetch(offset, max(length, least))[:length]

    def _fetch(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        if self._read + length > MAX_HEADER_BYTES:
            raise CorruptTiff(offset, "the header is larger than any slide's")
        block = self._source.read_at(offset, length)
        self._read += len(block)
        if offset not in self._blocks:
            insort(self._starts, offset)
        self._blocks[offset] = block
        return block


# Not frozen: thousands are made a second, and freezing would cost half of the time that a directory takes.
@dataclass(slots=True)
class Entry:
    """One tag of a directory.

    Attributes:
        type: field type, 1 (BYTE) to 18 (IFD8); values of an unknown type have size 0 and cannot be read.
        count: number of values.
        size: bytes of all its values.
        offset: where its values begin in the file, also when they stand in the directory itself.
        inline: the values' bytes if they stand in the directory itself.
    """

    tag: int
    type: int
    count: int
    size: int
    offset: int
    inline: bytes | None


@dataclass(frozen=True, slots=True)
class TileTable:
    """Where the tiles (or strips) of a directory lie: all of them, or the first and the last 512 of a large table.

    Attributes:
        total: tiles in the file's table.
        offsets: uint64, shape (n,), byte offsets of the tiles that were looked at.
        byte_counts: uint64, shape (n,), their lengths in bytes; 0 is a tile that was never written.
    """

    total: int
    offsets: NDArray[np.uint64]
    byte_counts: NDArray[np.uint64]

    def count_beyond(self, size: int) -> int:
        """How many of the tiles looked at do not end within a file of ``size`` bytes."""
        limit = np.uint64(size)
        # Not offset + count <= size: a hostile sum wraps around.
        too_long = self.byte_counts > limit
        room = limit - np.minimum(self.byte_counts, limit)
        return int(np.count_nonzero((self.byte_counts > 0) & (too_long | (self.offsets > room))))


class Directory:
    """An image file directory: its tags, with values fetched when they are asked for.

    Attributes:
        offset: where it begins in the file.
        raw: its bytes: entry count, entries, pointer to the next directory.
        entries: by tag, in file order; of a repeated tag the first counts, as in libtiff.
        next_offset: where the next directory begins; 0 for the last.
        byte_order: ``<`` or ``>``, as in :mod:`struct`.
        is_big: whether it is BigTIFF.
    """

    __slots__ = ("_blocks", "_first", "byte_order", "entries", "is_big", "next_offset", "offset", "raw")

    def __init__(
        self, blocks: Blocks, offset: int, *, raw: bytes, entries: Mapping[int, Entry], next_offset: int, layout: "_Layout"
    ) -> None:
        self._blocks = blocks
        self._first: dict[int, int] = {}
        self.offset = offset
        self.raw = raw
        self.entries = entries
        self.next_offset = next_offset
        self.byte_order = layout.byte_order
        self.is_big = layout.is_big

    def __contains__(self, tag: object) -> bool:
        return tag in self.entries

    @property
    def is_tiled(self) -> bool:
        """Whether the image is in tiles (TIFF 6.0, section 15), not in strips."""
        return TILE_WIDTH in self.entries

    def raw_value(self, tag: int, limit: int = MAX_TEXT_BYTES) -> bytes:
        """The value's bytes, at most the first ``limit`` of them; empty if the tag is missing.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        return b"" if entry is None else self._bytes(entry, 0, min(entry.size, limit))

    def ints(self, tag: int) -> tuple[int, ...]:
        """The values of an integer tag, at most the first 4,096; empty if it is missing or of another type.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _INTEGERS:
            return ()
        return tuple(self._array(entry, 0, min(entry.count, MAX_INTS)).tolist())

    def first_int(self, tag: int, default: int | None = None) -> int | None:
        """The first value of an integer tag.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        if tag in self._first:
            return self._first[tag]
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _INTEGERS or not entry.count:
            return default
        # About ninety calls a slide: an array for each would be most of the time that a header takes.
        data = self._bytes(entry, 0, _SIZES[entry.type])
        (number,) = struct.unpack(self.byte_order + _INTEGERS[entry.type], data)
        return self._first.setdefault(tag, number)

    def text(self, tag: int) -> str:
        """The value of a text tag up to its first NUL, at most 64 KiB of it, without blanks at the ends.

        TIFF 6.0 says ASCII; scanners write UTF-8, GB18030 or Latin-1, which are tried in this order.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _TEXTS:
            return ""
        return _decode(self.raw_value(tag).partition(b"\0")[0]).strip()

    def rational(self, tag: int) -> float | None:
        """The first value of a rational or floating-point tag; None if missing, zero divided or not finite.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        form = {5: "II", 10: "ii", 11: "f", 12: "d"}.get(entry.type) if entry else None
        if entry is None or form is None or not entry.count:
            return None
        values = struct.unpack(self.byte_order + form, self._bytes(entry, 0, _SIZES[entry.type]))
        if len(values) == 1:
            number = float(values[0])
        elif values[1] == 0:
            return None
        else:
            number = values[0] / values[1]
        return number if math.isfinite(number) else None

    def tile_table(self) -> TileTable | None:
        """Where its tiles lie, or its strips; None if it has no such table.

        Raises:
            TruncatedTiff: the file ends before the table does.
            CorruptTiff: the two tables do not belong together, or are not integers.
        """
        offsets = self.entries.get(TILE_OFFSETS) or self.entries.get(STRIP_OFFSETS)
        counts = self.entries.get(TILE_BYTE_COUNTS) or self.entries.get(STRIP_BYTE_COUNTS)
        if offsets is None or counts is None:
            return None
        if offsets.count != counts.count:
            raise CorruptTiff(self.offset, "the tables of tile offsets and tile sizes differ in length")
        if not {offsets.type, counts.type} <= _TABLE_TYPES:
            raise CorruptTiff(self.offset, "a tile table is of a type that cannot hold offsets")
        return TileTable(offsets.count, self._sample(offsets), self._sample(counts))

    def _sample(self, entry: Entry) -> NDArray[np.uint64]:
        if entry.count <= WHOLE_TABLE_TILES:
            return self._array(entry, 0, entry.count).astype(np.uint64)
        ends = (self._array(entry, 0, SAMPLED_TILES), self._array(entry, entry.count - SAMPLED_TILES, SAMPLED_TILES))
        return np.concatenate(ends).astype(np.uint64)

    def _array(self, entry: Entry, start: int, count: int) -> NDArray[np.integer]:
        width = _SIZES[entry.type]
        data = self._bytes(entry, start * width, count * width)
        return np.frombuffer(data, dtype=np.dtype(self.byte_order + _INTEGERS[entry.type]))

    def _bytes(self, entry: Entry, start: int, length: int) -> bytes:
        if entry.inline is not None:
            return entry.inline[start : start + length]
        data = self._blocks.read_near(entry.offset + start, length)
        if len(data) < length:
            raise TruncatedTiff(entry.offset, f"the value of tag {entry.tag} lies beyond the end of the file")
        return data


@dataclass(frozen=True, slots=True)
class _Layout:
    """Sizes and byte order of one of the four kinds of TIFF."""

    byte_order: str
    is_big: bool
    count: struct.Struct
    entry: struct.Struct
    pointer: struct.Struct
    header_bytes: int
    inline_bytes: int


def _layout(byte_order: str, *, is_big: bool) -> _Layout:
    count, entry, pointer = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHI4s", "I")
    return _Layout(
        byte_order,
        is_big,
        struct.Struct(byte_order + count),
        struct.Struct(byte_order + entry),
        struct.Struct(byte_order + pointer),
        16 if is_big else 8,
        8 if is_big else 4,
    )


_LAYOUTS: Final = {
    b"II*\0": _layout("<", is_big=False),
    b"MM\0*": _layout(">", is_big=False),
    b"II+\0": _layout("<", is_big=True),
    b"MM\0+": _layout(">", is_big=True),
}


def is_tiff(head: bytes) -> bool:
    """Whether these first bytes of a file are those of TIFF or BigTIFF."""
    return head[:4] in _LAYOUTS


def walk(source: Source) -> list[Directory]:
    """All directories of a TIFF or BigTIFF file, in chain order.

    Of a Hamamatsu NDPI file only the first is returned: NDPI has the magic of classic TIFF, but 64-bit pointers and values
    in places that TIFF does not know, so the rest of its chain would be read wrongly. It is known by tag 65420.

    Raises:
        NotTiff: the file does not begin as TIFF.
        TruncatedTiff: a directory or a value lies beyond the end of the file, or the pointer to the first directory is
            still 0, as in a file whose writing was broken off.
        CorruptTiff: a directory has no entries or mostly unknown types, the chain has a loop, a count is absurd.
        OSError: the file cannot be read.
    """
    return (source if isinstance(source, Blocks) else Blocks(source)).walk()


def _walk(blocks: Blocks) -> list[Directory]:
    head = blocks.read_near(0, 16)
    layout = _LAYOUTS.get(head[:4])
    if layout is None:
        raise NotTiff(0, "the file does not begin as TIFF")
    if len(head) < layout.header_bytes:
        raise TruncatedTiff(len(head), "the file ends within its first bytes")
    if layout.is_big and struct.unpack_from(layout.byte_order + "HH", head, 4) != (8, 0):
        raise CorruptTiff(4, "BigTIFF with an offset size other than 8")
    (offset,) = layout.pointer.unpack_from(head, layout.header_bytes - layout.pointer.size)
    if not layout.is_big and (ndpi := _large_ndpi(blocks, layout, offset, head)):
        return [ndpi]
    if offset == 0:
        raise TruncatedTiff(layout.header_bytes - layout.pointer.size, "the first directory was never written")
    return _chain(blocks, layout, offset)


def _chain(blocks: Blocks, layout: _Layout, offset: int) -> list[Directory]:
    found: list[Directory] = []
    seen: set[int] = set()
    entries = 0
    while offset:
        if offset in seen:
            raise CorruptTiff(offset, "the chain of directories has a loop", found)
        if len(found) == MAX_DIRECTORIES:
            raise CorruptTiff(offset, f"more than {MAX_DIRECTORIES} directories", found)
        seen.add(offset)
        directory = _directory(blocks, layout, offset, found)
        found.append(directory)
        if NDPI_MARK in directory and len(found) == 1:
            return found
        entries += len(directory.entries)
        if entries > MAX_ENTRIES_TOTAL:
            raise CorruptTiff(offset, f"more than {MAX_ENTRIES_TOTAL} entries", found)
        for entry in directory.entries.values():
            if entry.offset + entry.size > blocks.size:
                raise TruncatedTiff(entry.offset, f"the value of tag {entry.tag} lies beyond the end of the file", found)
        offset = directory.next_offset
    return found


def _directory(blocks: Blocks, layout: _Layout, offset: int, found: Sequence[Directory]) -> Directory:
    head = blocks.read_near(offset, layout.count.size)
    if len(head) < layout.count.size:
        raise TruncatedTiff(offset, "a directory lies beyond the end of the file", found)
    (count,) = layout.count.unpack(head)
    if count == 0:
        raise CorruptTiff(offset, "a directory without entries", found)
    if count > MAX_ENTRIES:
        raise CorruptTiff(offset, f"a directory with more than {MAX_ENTRIES} entries", found)
    first = layout.count.size
    end = first + count * layout.entry.size
    raw = blocks.read_near(offset, end + layout.pointer.size)
    if len(raw) < end + layout.pointer.size:
        raise TruncatedTiff(offset, "a directory ends beyond the end of the file", found)
    entries: dict[int, Entry] = {}
    unknown = 0
    at = offset + first + layout.entry.size - layout.inline_bytes
    for tag, type_, number, field in layout.entry.iter_unpack(raw[first:end]):
        width = _SIZES.get(type_, 0)
        size = width * number
        unknown += not width
        if size > MAX_VALUE_BYTES:
            raise CorruptTiff(at, f"tag {tag} claims an absurd number of values", found)
        if size <= layout.inline_bytes:
            entry = Entry(tag, type_, number, size, at, field[:size])
        else:
            entry = Entry(tag, type_, number, size, layout.pointer.unpack(field)[0], None)
        entries.setdefault(tag, entry)
        at += layout.entry.size
    if unknown * 2 > count:
        raise CorruptTiff(offset, "a directory with mostly unknown field types", found)
    (next_offset,) = layout.pointer.unpack_from(raw, end)
    return Directory(blocks, offset, raw=raw, entries=entries, next_offset=next_offset, layout=layout)


def _large_ndpi(blocks: Blocks, layout: _Layout, low: int, head: bytes) -> Directory | None:
    """The first directory of an NDPI file above 4 GiB, whose header holds a 64-bit pointer; None for anything else."""
    high = int.from_bytes(head[8:12], "little") if layout.byte_order == "<" else 0
    offset = high << 32 | low
    if not high or offset >= blocks.size:
        return None
    try:
        directory = _directory(blocks, layout, offset, ())
    except (TruncatedTiff, CorruptTiff):
        return None  # An ordinary file: these four bytes are not part of its header.
    return directory if NDPI_MARK in directory else None


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(data) == MAX_TEXT_BYTES and error.start > len(data) - 4:
            return data[: error.start].decode("utf-8")
    try:
        return data.decode("gb18030")
    except UnicodeDecodeError:
        return data.decode("latin-1")
