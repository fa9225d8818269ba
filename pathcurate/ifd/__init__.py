"""A header-only walk over TIFF, BigTIFF and Hamamatsu NDPI: directories and their values, never a pixel.

Sources: TIFF 6.0 (1992), sections 2 and 15; the BigTIFF design (Awaresystems, libtiff). A slide's directories are read in
blocks of 4 KiB, because writers put the values of a directory next to it. Damage is told apart, since it asks for different
action: a truncated file is copied again, a corrupt one is scanned again. Files are untrusted: no count or offset in a file
decides how much memory or time is spent.
"""

import math
import struct
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.ifd import ndpi, texts
from pathcurate.ifd.layouts import LAYOUTS, NDPI, Layout, layout_of
from pathcurate.storage import Source

BLOCK_BYTES: Final = 4096
"""Least size of a read: one directory and the small values beside it."""
MAX_DIRECTORIES: Final = 1024
MAX_ENTRIES: Final = 1024
MAX_ENTRIES_TOTAL: Final = 65_536
MAX_SUB_DIRECTORIES: Final = 64
MAX_VALUE_BYTES: Final = 1 << 32
"""A single value larger than this is no value but damage."""
MAX_TEXT_BYTES: Final = 65_536
MAX_INTS: Final = 4096
MAX_HEADER_BYTES: Final = 64 << 20
"""Most that is ever read of one file; real headers stay below 1 MiB."""

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
JPEG_TABLES: Final = 347
SUB_IFDS: Final = 330
XMP: Final = 700
ICC_PROFILE: Final = 34675
NDPI_MARK: Final = 65420

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS: Final = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_DTYPES: Final = {(order, type_): np.dtype(order + form) for order in "<>" for type_, form in _INTEGERS.items()}
_SIGNED: Final = frozenset({6, 8, 9, 17})
_TEXTS: Final = frozenset({1, 2, 7})
_LONGS: Final = frozenset({4, 9, 13})
_LONG8: Final = 16


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

    def beside(self, relpath: bytes) -> AbstractContextManager[Source]:
        """Another file of the same slide."""
        return self._source.beside(relpath)

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

    def read_past(self, offset: int, length: int) -> bytes:
        """As :meth:`read_at`, but not remembered, and not counted: for what is read once, piece by piece."""
        return self._source.read_at(offset, max(0, min(length, self._size - offset)))

    def _fetch(self, offset: int, length: int) -> bytes:
        length = min(length, self._size - offset)
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
        self, blocks: Blocks, offset: int, *, raw: bytes, entries: Mapping[int, Entry], next_offset: int, layout: "Layout"
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

    def sub_directories(self) -> "list[Directory]":
        """The directories that tag 330 (SubIFDs, TIFF Technical Note 1) points at, in its order; the chain has none of them.

        Raises:
            TruncatedTiff: one of them lies beyond the end of the file.
            CorruptTiff: there are absurdly many, one is named twice, or one cannot be a directory.
        """
        entry = self.entries.get(SUB_IFDS)
        if entry is None:
            return []
        offsets = self.ints(SUB_IFDS)
        if entry.count > MAX_SUB_DIRECTORIES:
            raise CorruptTiff(self.offset, f"more than {MAX_SUB_DIRECTORIES} sub-directories")
        if len({self.offset, *offsets}) != len(offsets) + 1:
            raise CorruptTiff(self.offset, "a sub-directory is named twice")
        found = []
        for offset in offsets:
            directory, beyond = _directory(self._blocks, layout_of(self.byte_order, is_big=self.is_big), offset, ())
            if beyond is not None:
                raise _beyond(beyond)
            found.append(directory)
        return found

    def beside(self, relpath: bytes) -> AbstractContextManager[Source]:
        """Another file of the same slide, by its path relative to the folder of this one.

        Raises:
            FileNotFoundError: there is none.
            OSError: it cannot be opened.
        """
        return self._blocks.beside(relpath)

    def raw_value(self, tag: int, limit: int = MAX_TEXT_BYTES, start: int = 0) -> bytes:
        """The value's bytes from ``start``, at most ``limit`` of them; empty if the tag is missing or shorter.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        return b"" if entry is None else self._bytes(entry, start, max(0, min(entry.size - start, limit)))

    def ints(self, tag: int) -> tuple[int, ...]:
        """The values of an integer tag, at most the first 4,096; empty if it is missing or of another type.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _INTEGERS:
            return ()
        return tuple(self.numbers(entry, 0, min(entry.count, MAX_INTS)).tolist())

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
        number = int.from_bytes(data, "little" if self.byte_order == "<" else "big", signed=entry.type in _SIGNED)
        self._first[tag] = number
        return number

    def text(self, tag: int) -> str:
        """The value of a text tag up to its first NUL, at most 64 KiB of it, without blanks at the ends.

        TIFF 6.0 says ASCII; scanners write UTF-8, GB18030 or Latin-1, which are tried in this order.

        Raises:
            TruncatedTiff: the file ends before the value does.
        """
        entry = self.entries.get(tag)
        if entry is None or entry.type not in _TEXTS:
            return ""
        return texts.decode(self.raw_value(tag).partition(b"\0")[0], MAX_TEXT_BYTES).strip()

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

    def numbers(self, entry: Entry, start: int, count: int) -> NDArray[np.integer]:
        """``count`` values of an integer entry from the one with the index ``start``, as they are stored.

        Raises:
            TruncatedTiff: the file ends before the values do.
        """
        width = _SIZES[entry.type]
        data = self._bytes(entry, start * width, count * width)
        return np.frombuffer(data, dtype=_DTYPES[self.byte_order, entry.type])

    def numbers_past(self, entry: Entry, start: int, count: int) -> NDArray[np.integer]:
        """As :meth:`numbers`, but what is read is not remembered.

        Raises:
            TruncatedTiff: the file ends before the values do.
        """
        if entry.inline is not None:
            return self.numbers(entry, start, count)
        width = _SIZES[entry.type]
        data = self._blocks.read_past(entry.offset + start * width, count * width)
        if len(data) < count * width:
            raise _beyond(entry)
        return np.frombuffer(data, dtype=_DTYPES[self.byte_order, entry.type])

    def _bytes(self, entry: Entry, start: int, length: int) -> bytes:
        if entry.inline is not None:
            return entry.inline[start : start + length]
        data = self._blocks.read_near(entry.offset + start, length)
        if len(data) < length:
            raise _beyond(entry)
        return data


def _beyond(entry: Entry, found: "Sequence[Directory]" = ()) -> TruncatedTiff:
    return TruncatedTiff(entry.offset, f"the value of tag {entry.tag} lies beyond the end of the file", found)


def is_tiff(head: bytes) -> bool:
    """Whether these first bytes of a file are those of TIFF or BigTIFF."""
    return head[:4] in LAYOUTS


def walk(source: Source) -> list[Directory]:
    """All directories of a TIFF, BigTIFF or NDPI file, in chain order.

    Hamamatsu NDPI has the magic of classic TIFF, but pointers of 64 bits: that to the next directory has eight bytes, and
    after it stand the upper halves of all the directory's values and offsets; texts are never in the directory itself. It
    is known by tag 65420 in its first directory.

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
    layout = LAYOUTS.get(head[:4])
    if layout is None:
        raise NotTiff(0, "the file does not begin as TIFF")
    if len(head) < layout.header_bytes:
        raise TruncatedTiff(len(head), "the file ends within its first bytes")
    if layout.is_big and struct.unpack_from(layout.byte_order + "HH", head, 4) != (8, 0):
        raise CorruptTiff(4, "BigTIFF with an offset size other than 8")
    (offset,) = layout.pointer.unpack_from(head, layout.header_bytes - layout.pointer.size)
    if not layout.is_big and layout.byte_order == "<" and (start := _ndpi_start(blocks, offset, head)):
        return _chain(blocks, NDPI, start)
    if offset == 0:
        raise TruncatedTiff(layout.header_bytes - layout.pointer.size, "the first directory was never written")
    return _chain(blocks, layout, offset)


def _ndpi_start(blocks: Blocks, low: int, head: bytes) -> int:
    """Where the first directory of an NDPI file begins; 0 for anything else."""
    high = int.from_bytes(head[8:12], "little")
    # Above 4 GiB the pointer has 64 bits. In an ordinary file, these four bytes are not part of the header.
    for offset in (low, high << 32 | low) if high else (low,):
        if 0 < offset < blocks.size:
            # The number of entries and the tags stand where TIFF has them, so a look for the mark is enough.
            count = int.from_bytes(blocks.read_near(offset, 2), "little")
            if 0 < count <= MAX_ENTRIES and ndpi.has_mark(blocks.read_near(offset + 2, count * ndpi.ENTRY_BYTES)):
                return offset
    return 0


def _chain(blocks: Blocks, layout: Layout, offset: int) -> list[Directory]:
    found: list[Directory] = []
    seen: set[int] = set()
    entries = 0
    while offset:
        if offset in seen:
            raise CorruptTiff(offset, "the chain of directories has a loop", found)
        if len(found) == MAX_DIRECTORIES:
            raise CorruptTiff(offset, f"more than {MAX_DIRECTORIES} directories", found)
        seen.add(offset)
        directory, beyond = _directory(blocks, layout, offset, found)
        found.append(directory)
        entries += len(directory.entries)
        if entries > MAX_ENTRIES_TOTAL:
            raise CorruptTiff(offset, f"more than {MAX_ENTRIES_TOTAL} entries", found)
        if beyond is not None:
            raise _beyond(beyond, found)
        offset = directory.next_offset
    return found


def _directory(blocks: Blocks, layout: Layout, offset: int, found: Sequence[Directory]) -> tuple[Directory, Entry | None]:
    """A directory, and the first of its entries whose value lies beyond the end of the file."""
    first = layout.count.size
    head = blocks.read_near(offset, first)
    if len(head) < first:
        raise TruncatedTiff(offset, "a directory lies beyond the end of the file", found)
    (count,) = layout.count.unpack(head)
    if count == 0:
        raise CorruptTiff(offset, "a directory without entries", found)
    if count > MAX_ENTRIES:
        raise CorruptTiff(offset, f"a directory with more than {MAX_ENTRIES} entries", found)
    end = first + count * layout.entry_bytes
    raw = blocks.read_near(offset, end + layout.pointer.size)
    if len(raw) < end + layout.pointer.size:
        raise TruncatedTiff(offset, "a directory ends beyond the end of the file", found)
    (next_offset,) = layout.pointer.unpack_from(raw, end)
    table = raw[first:end]
    if layout.is_ndpi:
        high = blocks.read_near(offset + len(raw), 4 * count)
        if len(high) < 4 * count:
            raise TruncatedTiff(offset, "a directory ends beyond the end of the file", found)
        high = ndpi.high_halves(high, count)
        raw += high
        table = ndpi.widened(table, high)
    entries, beyond = _entries(table, layout, offset + first, blocks.size, found)
    directory = Directory(blocks, offset, raw=raw, entries=entries, next_offset=next_offset, layout=layout)
    return directory, beyond


def _entries(
    table: bytes, layout: Layout, start: int, limit: int, found: Sequence[Directory]
) -> tuple[dict[int, Entry], Entry | None]:
    """The entries of a table that begins at ``start``, and the first whose value lies beyond ``limit``."""
    entries: dict[int, Entry] = {}
    beyond: Entry | None = None
    unknown = 0
    inline_bytes, entry_bytes, is_ndpi = layout.inline_bytes, layout.entry_bytes, layout.is_ndpi
    step = layout.entry.size
    at = 8 if not layout.is_big else 12
    place = start + at
    for tag, type_, number, value in layout.entry.iter_unpack(table):
        size = _SIZES.get(type_, 0) * number
        if size <= inline_bytes and not (is_ndpi and ndpi.is_elsewhere(type_, size, value, limit)):
            if not size and type_ not in _SIZES:
                unknown += 1
            if is_ndpi and type_ in _LONGS and number == 1 and value >> 32:
                entry = Entry(tag, _LONG8, 1, 8, place, table[at : at + 8])
            else:
                entry = Entry(tag, type_, number, size, place, table[at : at + size])
        elif size > MAX_VALUE_BYTES:
            raise CorruptTiff(place, f"tag {tag} claims an absurd number of values", found)
        else:
            entry = Entry(tag, type_, number, size, value, None)
            if value + size > limit and beyond is None and tag not in entries:
                beyond = entry
        entries.setdefault(tag, entry)
        at += step
        place += entry_bytes
    if unknown * step * 2 > len(table):
        raise CorruptTiff(start - layout.count.size, "a directory with mostly unknown field types", found)
    return entries, beyond
