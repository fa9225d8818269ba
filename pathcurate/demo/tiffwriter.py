"""A small TIFF writer: pages of compressed tiles or strips, classic TIFF and BigTIFF, little-endian.

It writes what it is given: fields of any tag, type and count, also ones that contradict the data, so that tests can make
damaged files with it. Layout after TIFF 6.0 section 2 and the BigTIFF proposal of Adobe and AWare Systems (2007).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum


class FieldType(IntEnum):
    """Types of a field's values (TIFF 6.0 section 2, and BigTIFF)."""

    BYTE = 1
    ASCII = 2
    SHORT = 3
    LONG = 4
    RATIONAL = 5
    UNDEFINED = 7
    LONG8 = 16


STRIP_OFFSETS, STRIP_BYTE_COUNTS = 273, 279
TILE_OFFSETS, TILE_BYTE_COUNTS = 324, 325


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an image file directory.

    Attributes:
        type: a :class:`FieldType`, or any other number to make a damaged file.
        count: number of values, not of bytes.
        data: the values as little-endian bytes.
    """

    type: int
    count: int
    data: bytes


def ascii_text(text: str | bytes) -> Field:
    """A text field with its final NUL; ``str`` is written as UTF-8."""
    data = (text if isinstance(text, bytes) else text.encode()) + b"\0"
    return Field(FieldType.ASCII, len(data), data)


def shorts(*values: int) -> Field:
    """A field of 16-bit values."""
    return Field(FieldType.SHORT, len(values), struct.pack(f"<{len(values)}H", *values))


def longs(*values: int) -> Field:
    """A field of 32-bit values."""
    return Field(FieldType.LONG, len(values), struct.pack(f"<{len(values)}I", *values))


def long8s(*values: int) -> Field:
    """A field of 64-bit values; BigTIFF only."""
    return Field(FieldType.LONG8, len(values), struct.pack(f"<{len(values)}Q", *values))


def rational(numerator: int, denominator: int) -> Field:
    """A fraction of two 32-bit values."""
    return Field(FieldType.RATIONAL, 1, struct.pack("<2I", numerator, denominator))


def undefined(data: bytes) -> Field:
    """Opaque bytes, such as an ICC profile."""
    return Field(FieldType.UNDEFINED, len(data), data)


@dataclass(frozen=True, slots=True)
class Page:
    """One image: its fields and its compressed tiles or strips.

    Attributes:
        fields: by tag. Offsets and byte counts of the segments are added; a field given here wins over an added one.
        segments: compressed tiles or strips, row by row.
        tiled: whether the segments are tiles.
    """

    fields: Mapping[int, Field]
    segments: Sequence[bytes]
    tiled: bool = False


@dataclass(frozen=True, slots=True)
class _Form:
    """What differs between classic TIFF and BigTIFF."""

    header: bytes
    word: str
    count: str
    alignment: int

    @property
    def word_size(self) -> int:
        return struct.calcsize(self.word)

    def offsets(self, values: Sequence[int]) -> Field:
        return longs(*values) if self.word == "<I" else long8s(*values)

    def align(self, position: int) -> int:
        return -(-position // self.alignment) * self.alignment


_CLASSIC = _Form(header=b"II*\0", word="<I", count="<H", alignment=2)
_BIG = _Form(header=b"II+\0\x08\0\0\0", word="<Q", count="<Q", alignment=8)


@dataclass(frozen=True, slots=True)
class _Place:
    directory: int
    segments: tuple[int, ...]


def encode_tiff(pages: Sequence[Page], *, bigtiff: bool = False, ifds_first: bool = False) -> bytes:
    """The bytes of a TIFF file.

    Args:
        pages: in file order.
        bigtiff: 64-bit offsets (magic 43) instead of 32-bit ones (magic 42).
        ifds_first: all directories, then the data of the last page first, as cloud-optimised files have it; otherwise
            each directory follows its page's data, as Aperio writes.

    Raises:
        ValueError: there is no page.
        struct.error: classic TIFF, and the file would be 4 GiB or larger.
    """
    if not pages:
        raise ValueError("a TIFF file has at least one page")
    form = _BIG if bigtiff else _CLASSIC
    places, size = _place(pages, form, ifds_first=ifds_first)
    out = bytearray(size)
    out[: len(form.header)] = form.header
    struct.pack_into(form.word, out, len(form.header), places[0].directory)
    following = [place.directory for place in places[1:]] + [0]
    for page, place, next_directory in zip(pages, places, following, strict=True):
        directory = _directory(page, place, next_directory, form)
        out[place.directory : place.directory + len(directory)] = directory
        for offset, segment in zip(place.segments, page.segments, strict=True):
            out[offset : offset + len(segment)] = segment
    return bytes(out)


def _place(pages: Sequence[Page], form: _Form, *, ifds_first: bool) -> tuple[list[_Place], int]:
    """Where everything goes, and the size of the file."""
    position = len(form.header) + form.word_size
    directories: dict[int, int] = {}
    segments: dict[int, tuple[int, ...]] = {}

    def put_directory(index: int) -> None:
        nonlocal position
        directories[index] = position = form.align(position)
        blank = _Place(0, (0,) * len(pages[index].segments))
        position += len(_directory(pages[index], blank, 0, form))

    def put_segments(index: int) -> None:
        nonlocal position
        starts = []
        for segment in pages[index].segments:
            starts.append(position)
            position += len(segment)
        segments[index] = tuple(starts)

    if ifds_first:
        for index in range(len(pages)):
            put_directory(index)
        for index in reversed(range(len(pages))):
            put_segments(index)
    else:
        for index in range(len(pages)):
            put_segments(index)
            put_directory(index)
    return [_Place(directories[index], segments[index]) for index in range(len(pages))], position


def _directory(page: Page, place: _Place, next_directory: int, form: _Form) -> bytes:
    """An image file directory, followed by those of its values that do not fit into an entry."""
    offsets_tag, counts_tag = (
        (TILE_OFFSETS, TILE_BYTE_COUNTS) if page.tiled else (STRIP_OFFSETS, STRIP_BYTE_COUNTS)
    )  # fmt: skip
    fields = {
        offsets_tag: form.offsets(place.segments),
        counts_tag: longs(*(len(segment) for segment in page.segments)),
        **page.fields,
    }
    entry_size = 4 + 2 * form.word_size
    fixed = struct.calcsize(form.count) + entry_size * len(fields) + form.word_size
    out_of_line = form.align(place.directory + fixed)
    entries, values = bytearray(), bytearray(out_of_line - place.directory - fixed)
    for tag, field in sorted(fields.items()):
        entries += struct.pack("<HH", tag, field.type) + struct.pack(form.word, field.count)
        if len(field.data) <= form.word_size:
            entries += field.data.ljust(form.word_size, b"\0")
        else:
            entries += struct.pack(form.word, place.directory + fixed + len(values))
            values += field.data
            values += bytes(form.align(len(values)) - len(values))
    return struct.pack(form.count, len(fields)) + bytes(entries) + struct.pack(form.word, next_directory) + bytes(values)


_CLEAR, _END, _FIRST_FREE = 256, 257, 258


def encode_lzw(data: bytes) -> bytes:
    """LZW as TIFF wants it: most significant bit first, codes widened one entry early (TIFF 6.0 section 13)."""
    packed = packed_bits = 0
    out = bytearray()

    def emit(code: int, bits: int) -> None:
        nonlocal packed, packed_bits
        packed, packed_bits = packed << bits | code, packed_bits + bits
        while packed_bits >= 8:
            packed_bits -= 8
            out.append(packed >> packed_bits)
            packed &= (1 << packed_bits) - 1

    table: dict[int, int] = {}
    bits, free, prefix = 9, _FIRST_FREE, -1
    emit(_CLEAR, bits)
    for byte in data:
        if prefix < 0:
            prefix = byte
            continue
        key = prefix << 8 | byte
        known = table.get(key)
        if known is not None:
            prefix = known
            continue
        emit(prefix, bits)
        table[key] = free
        free += 1
        if free == 4094:
            emit(_CLEAR, bits)
            table.clear()
            bits, free = 9, _FIRST_FREE
        elif free >> bits:
            bits += 1
        prefix = byte
    if prefix >= 0:
        emit(prefix, bits)
        # The decoder adds an entry for this last code too, so the end code may be one bit wider.
        bits += free + 1 >> bits
    emit(_END, bits)
    if packed_bits:
        emit(0, 8 - packed_bits)
    return bytes(out)
