"""JPEG tiles at the edge of a slide made as large as the others, without decoding and encoding their pixels again.

Formats of scanners' makers store tiles at the right and bottom edge as small as the picture is there; TIFF wants all alike.
Blocks are added behind each row of blocks and below the last, flat ones in the colour of the block before them, and the bits
of all others are moved as they are: so every coefficient stays. Only colours of the outermost row and column of pixels may
change by a little, where a decoder smooths colours between a block and its neighbour. Source: ITU-T T.81.
"""

import functools
import io
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from pathcurate.images.jpegsegments import segments

_BASELINE: Final = frozenset({0xC0, 0xC1})
_TABLES, _RESTARTS, _SCAN = 0xC4, 0xDD, 0xDA
_SMOOTHED: Final = 2
"""Pixels at the inner side of an edge whose colours a decoder may smooth."""
_MOST_DIFFERENT: Final = 96
_LARGEST: Final = 8192
"""Width and height of a tile, in pixels, at most."""


class EdgeTileError(Exception):
    """A tile that cannot be made larger; the text says why and holds no value."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Shape of a JPEG.

    Attributes:
        width: in pixels.
        height: in pixels.
        sampling: of each component in its order, across and down.
        at: where its segment begins.
        is_baseline: whether it is sequential with Huffman codes and 8 bits.
    """

    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    at: int
    is_baseline: bool


def frame_of(tile: bytes) -> Frame | None:
    """The shape that a JPEG says it has; None if it has none."""
    for marker, begin, end in segments(tile):
        if 0xC0 <= marker <= 0xCF and marker not in (_TABLES, 0xC8, 0xCC) and end - begin >= 10:
            bits, height, width, count = struct.unpack_from(">BHHB", tile, begin + 4)
            if end - begin < 10 + 3 * count:
                return None
            sampling = tuple(divmod(tile[begin + 11 + 3 * number], 16) for number in range(count))
            return Frame(width, height, sampling, begin, marker in _BASELINE and bits == 8)
    return None


def padded(tile: bytes, side: int) -> bytes:
    """The tile with blocks added at its right and lower edge until it has ``side`` x ``side`` pixels.

    Raises:
        EdgeTileError: it is no plain sequential JPEG, is larger, or damaged.
    """
    frame = frame_of(tile)
    if frame is None or not frame.is_baseline or not 0 < frame.width <= side or not 0 < frame.height <= side:
        raise EdgeTileError("a tile at the edge is no sequential JPEG, or is larger than the others")
    tables: dict[int, _Table] = {}
    start, scan = 0, b""
    for marker, begin, end in segments(tile):
        if marker == _TABLES:
            tables |= _tables(tile[begin + 4 : end])
        elif marker == _RESTARTS and any(tile[begin + 4 : end]):
            raise EdgeTileError("a tile at the edge has restart markers")
        start = end
    if tile[start : start + 2] == bytes((0xFF, _SCAN)) and len(tile) >= start + 4:
        (length,) = struct.unpack_from(">H", tile, start + 2)
        scan = tile[start + 4 : start + 2 + length]
        start += 2 + length
    if len(frame.sampling) not in (1, 3) or not all(h and v for h, v in frame.sampling):
        raise EdgeTileError("a tile at the edge has another number of colours than any")
    coded = _Coded(frame, _chosen(scan, frame, tables), _unstuffed(tile, start))
    made = bytearray(tile[:start])
    struct.pack_into(">HH", made, frame.at + 5, side, side)
    return bytes(made) + coded.padded(side).replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def shows_same(tile: bytes, larger: bytes) -> bool:
    """Whether a tile shows in its upper left corner what a smaller one shows; decoded by Pillow.

    Colours of the outermost two rows and columns may differ by a little.

    Raises:
        OSError: one of them is damaged.
    """
    shapes = [frame_of(data) for data in (tile, larger)]
    if any(shape is None or not 0 < max(shape.width, shape.height) <= _LARGEST for shape in shapes):
        return False
    with Image.open(io.BytesIO(tile), formats=("JPEG",)) as one, Image.open(io.BytesIO(larger), formats=("JPEG",)) as other:
        if other.width < one.width or other.height < one.height:
            return False
        small = np.asarray(one.convert("RGB"), np.int16)
        large = np.asarray(other.convert("RGB"), np.int16)[: one.height, : one.width]
    inner = (slice(0, max(0, small.shape[0] - _SMOOTHED)), slice(0, max(0, small.shape[1] - _SMOOTHED)))
    return bool(np.array_equal(small[inner], large[inner]) and np.abs(small - large).max(initial=0) <= _MOST_DIFFERENT)


# --- Codes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Table:
    """A Huffman table.

    Attributes:
        found: for any 16 bits, the length of the code they begin with and its symbol (length * 256 + symbol); 0 for none.
        codes: bits of each symbol.
    """

    found: tuple[int, ...]
    codes: dict[int, str]


def _tables(body: bytes) -> dict[int, _Table]:
    """Tables of a segment by class and number."""
    made, at = {}, 0
    while at + 17 <= len(body):
        count = sum(body[at + 1 : at + 17])
        made[body[at]] = _table(body[at + 1 : at + 17], body[at + 17 : at + 17 + count])
        at += 17 + count
    return made


@functools.lru_cache(maxsize=64)
def _table(lengths: bytes, symbols: bytes) -> _Table:
    found = [0] * (1 << 16)
    codes: dict[int, str] = {}
    code, at = 0, 0
    for length, count in enumerate(lengths, start=1):
        for symbol in symbols[at : at + count]:
            if code >> length:
                raise EdgeTileError("a tile at the edge has an impossible table of codes")
            first = code << (16 - length)
            found[first : first + (1 << (16 - length))] = [length << 8 | symbol] * (1 << (16 - length))
            codes.setdefault(symbol, f"{code:0{length}b}")
            code += 1
        at += count
        code <<= 1
    return _Table(tuple(found), codes)


def _chosen(scan: bytes, frame: Frame, tables: dict[int, _Table]) -> list[tuple[_Table, _Table]]:
    """Of each component the tables of its first and of its other coefficients."""
    count = len(frame.sampling)
    if len(scan) < 4 + 2 * count or scan[0] != count or scan[1 + 2 * count : 3 + 2 * count] != b"\0\x3f":
        raise EdgeTileError("a tile at the edge has its colours in several scans")
    try:
        return [(tables[number >> 4], tables[0x10 | number & 15]) for number in scan[2 : 2 + 2 * count : 2]]
    except KeyError:
        raise EdgeTileError("a tile at the edge lacks a table of codes") from None


def _unstuffed(tile: bytes, start: int) -> bytes:
    """The coded bits up to the next marker, which is the end."""
    at = start
    while (at := tile.find(b"\xff", at)) >= 0 and tile[at + 1 : at + 2] == b"\0":
        at += 2
    if at < 0 or tile[at : at + 2] != b"\xff\xd9":
        raise EdgeTileError("a tile at the edge is cut off, or has several parts")
    return tile[start:at].replace(b"\xff\0", b"\xff")


@dataclass(frozen=True, slots=True)
class _Coded:
    """The coded bits of a scan."""

    frame: Frame
    tables: list[tuple[_Table, _Table]]
    bits: bytes

    def padded(self, side: int) -> bytes:
        """The bits with flat blocks added, filled up with ones to whole bytes."""
        across, down = (8 * max(factors) for factors in zip(*self.frame.sampling, strict=True))
        blocks = [h * v for h, v in self.frame.sampling]
        if len(blocks) == 1:
            across, down, blocks = 8, 8, [1]
        old = -(-self.frame.width // across), -(-self.frame.height // down)
        new = -(-side // across), -(-side // down)
        try:
            flat = "".join((dc.codes[0] + ac.codes[0]) * count
                           for (dc, ac), count in zip(self.tables, blocks, strict=True))  # fmt: skip
        except KeyError:
            raise EdgeTileError("a tile at the edge has no code for a flat block") from None
        ends = self._row_ends(old, blocks)
        parts, begin = [], 0
        for end in ends:
            parts.append(self._text(begin, end) + flat * (new[0] - old[0]))
            begin = end
        text = "".join(parts) + flat * (new[0] * (new[1] - old[1]))
        text += "1" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")

    def _text(self, begin: int, end: int) -> str:
        first, last = begin >> 3, (end + 7) >> 3
        number = int.from_bytes(self.bits[first:last], "big") >> ((last << 3) - end)
        return f"{number & ((1 << (end - begin)) - 1):0{end - begin}b}" if end > begin else ""

    def _row_ends(self, units: tuple[int, int], blocks: list[int]) -> list[int]:
        """Positions of the bit behind each row of blocks."""
        data = self.bits + b"\xff" * 64
        last = 8 * len(self.bits)
        order = [(dc.found, ac.found) for (dc, ac), count in zip(self.tables, blocks, strict=True) for _ in range(count)]
        ends, at = [], 0
        for _ in range(units[1]):
            for _ in range(units[0]):
                for dc, ac in order:
                    at = _behind_block(data, at, dc, ac)
                    if at > last:
                        raise EdgeTileError("a tile at the edge is damaged")
            ends.append(at)
        return ends


def _behind_block(data: bytes, at: int, dc: tuple[int, ...], ac: tuple[int, ...]) -> int:
    """Position of the bit behind the block that begins at one."""
    byte = at >> 3
    found = dc[(data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]) >> (8 - (at & 7)) & 0xFFFF]
    at += (found >> 8) + (found & 15)
    coefficient = 1
    while found and coefficient < 64:
        byte = at >> 3
        if byte + 2 >= len(data):
            raise EdgeTileError("a tile at the edge is damaged")
        found = ac[(data[byte] << 16 | data[byte + 1] << 8 | data[byte + 2]) >> (8 - (at & 7)) & 0xFFFF]
        size = found & 15
        at += (found >> 8) + size
        if size:
            coefficient += (found >> 4 & 15) + 1
        elif found & 0xF0 == 0xF0:
            coefficient += 16
        else:
            break
    if not found:
        raise EdgeTileError("a tile at the edge is damaged")
    return at
