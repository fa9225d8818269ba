"""The tiles of a KFB slide in a pyramid that every reader knows: TIFF, a directory for each level, described as Aperio does.

Tiles are copied as they are; those at the edge, which KFB stores smaller, get flat blocks behind them (``edgetiles``).
Where there is no tile, its byte count is 0, as OpenSlide and tifffile take it. Layout after TIFF 6.0 sections 2 and 15,
TIFF Technical Note 2, and the BigTIFF design; tiles first, then directories: so it is written from front to back. The second
directory is a thumbnail, made of the smallest level, because readers of Aperio's files take whatever stands there for one.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathcurate.images.edgetiles import EdgeTileError, Frame, frame_of, padded
from pathcurate.images.jpeg import small_jpeg
from pathcurate.images.jpegsegments import HEAD_BYTES, has_trailer, says_more, segments
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.kfb.layout import Layout, Level
from pathcurate.storage import Source

_BIG_FROM: Final = 3 << 30
"""A file that may become larger than 4 GiB is a BigTIFF; the margin is for padded tiles and tables."""
_TILE_BYTES: Final = 16 << 20
_ASCII, _SHORT, _LONG, _RATIONAL, _LONG8 = 2, 3, 4, 5, 16
_RGB, _YCBCR = 2, 6
_THUMBNAIL: Final = 1024
"""Longer side of the thumbnail, in pixels, at most."""
_MOST_DRAWN: Final = 4096
"""Tiles that a thumbnail is made of, at most; of a slide without a small level it stays white."""
_TABLES: Final = frozenset({0xDB, 0xC4})
_ADOBE: Final = 0xEE


class Pyramid:
    """A slide as a TIFF.

    Args:
        source: the KFB file.
        layout: of it.
        levels: of it, largest first.
        words: comments that encoders write into tiles.
    """

    def __init__(self, source: Source, layout: Layout, levels: Sequence[Level], words: frozenset[str]) -> None:
        self._source, self._layout, self._levels, self._words = source, layout, levels, words
        self._first: tuple[Frame, int] | None = None

    def check(self) -> None:
        """Look at the first tile and at one at the edge, so that what cannot be converted is known before it is begun.

        Raises:
            UnscrubbableError: it cannot be.
            OSError: the file cannot be read.
        """
        if self._layout.side % 16:
            raise UnscrubbableError("its tiles have a size that TIFF does not allow")
        for level in self._levels:
            there = np.flatnonzero(level.lengths)
            for cell in {int(there[0]), *list(level.edges)[:2]}:
                self._tile(level, cell)

    def write(self, target: Path) -> None:
        """Write the file.

        Raises:
            UnscrubbableError: a tile is not what it must be.
            OSError: a file cannot be read or written.
        """
        self.check()
        cells = sum(len(level.lengths) for level in self._levels)
        is_big = self._source.size + 16 * cells > _BIG_FROM
        with target.open("xb", buffering=1 << 20) as file:
            file.write(b"II+\0\x08\0\0\0" + bytes(8) if is_big else b"II*\0" + bytes(4))
            places = [self._tiles(file, level) for level in self._levels]
            directories = [
                list(self._fields(number, level, offsets, lengths, is_big=is_big))
                for number, (level, (offsets, lengths)) in enumerate(zip(self._levels, places, strict=True))
            ]
            directories.insert(1, list(self._thumbnail(file)))
            link = 8 if is_big else 4
            for fields in directories:
                link = _directory(file, fields, link, is_big=is_big)

    def _tiles(self, file: BinaryIO, level: Level) -> "tuple[NDArray[np.int64], NDArray[np.int32]]":
        """Write the tiles of a level row by row; where they lie, and their lengths."""
        offsets, lengths = np.zeros_like(level.offsets), np.zeros_like(level.lengths)
        at = file.tell()
        for cell in np.flatnonzero(level.lengths).tolist():
            tile = self._tile(level, cell)
            file.write(tile)
            offsets[cell], lengths[cell] = at, len(tile)
            at += len(tile)
        return offsets, lengths

    def _tile(self, level: Level, cell: int) -> bytes:
        """A tile as the copy has it."""
        length = int(level.lengths[cell])
        if not 0 < length <= _TILE_BYTES:
            raise UnscrubbableError("a tile has an absurd length")
        tile = self._source.read_at(int(level.offsets[cell]), length)
        side = self._layout.side
        frame = frame_of(tile)
        if not tile.startswith(b"\xff\xd8\xff") or frame is None or len(frame.sampling) != 3 or not frame.is_baseline:
            raise UnscrubbableError("a tile is no sequential JPEG in colours")
        if says_more(tile[:HEAD_BYTES], self._words) or has_trailer(tile):
            raise UnscrubbableError("tiles hold texts, which cannot be taken out bit for bit")
        markers = {marker for marker, _, _ in segments(tile)}
        if not markers >= _TABLES:
            raise UnscrubbableError("a tile lacks the tables that it is coded with")
        colours = _photometric(tile)
        if self._first is None:
            self._first = frame, colours
        if frame.sampling != self._first[0].sampling or colours != self._first[1]:
            raise UnscrubbableError("tiles are coded in different ways")
        if (frame.width, frame.height) == (side, side):
            return tile
        if (frame.width, frame.height) != level.edges.get(cell):
            raise UnscrubbableError("a tile has another size than the table says")
        try:
            return padded(tile, side)
        except EdgeTileError as error:
            raise UnscrubbableError(str(error)) from None

    # --- Directories ---------------------------------------------------------------------------------------------

    def _fields(
        self, number: int, level: Level, offsets: NDArray[np.int64], lengths: NDArray[np.int32], *, is_big: bool
    ) -> Iterator[tuple[int, int, int, bytes]]:
        """Tag, type, count and values of each field, by tag."""
        if self._first is None:
            raise UnscrubbableError("the slide has no tiles")
        frame, colours = self._first
        side, mpp = self._layout.side, self._layout.mpp
        yield 254, _LONG, 1, bytes(4)
        yield 256, _LONG, 1, struct.pack("<I", level.width)
        yield 257, _LONG, 1, struct.pack("<I", level.height)
        yield 258, _SHORT, 3, struct.pack("<3H", 8, 8, 8)
        yield 259, _SHORT, 1, struct.pack("<H", 7)
        yield 262, _SHORT, 1, struct.pack("<H", colours)
        text = self._description(level.width, level.height)
        yield 270, _ASCII, len(text), text
        yield 277, _SHORT, 1, struct.pack("<H", 3)
        if mpp is not None:
            dots = struct.pack("<2I", *_fraction(1e4 / (mpp * (1 << number))))
            yield 282, _RATIONAL, 1, dots
            yield 283, _RATIONAL, 1, dots
        yield 284, _SHORT, 1, struct.pack("<H", 1)
        if mpp is not None:
            yield 296, _SHORT, 1, struct.pack("<H", 3)
        yield 322, _SHORT, 1, struct.pack("<H", side)
        yield 323, _SHORT, 1, struct.pack("<H", side)
        places = offsets.astype("<u8" if is_big else "<u4")
        yield 324, _LONG8 if is_big else _LONG, len(places), places.tobytes()
        yield 325, _LONG, len(lengths), lengths.astype("<u4").tobytes()
        if colours == _YCBCR:
            across, down = (max(part) // min(part) for part in zip(*frame.sampling, strict=True))
            yield 530, _SHORT, 2, struct.pack("<2H", across, down)

    def _thumbnail(self, file: BinaryIO) -> Iterator[tuple[int, int, int, bytes]]:
        """Write the smallest level, made smaller still, as one strip, and give the fields of its directory."""
        level, side = self._levels[-1], self._layout.side
        scale = max(1, -(-max(level.width, level.height) // _THUMBNAIL))
        image = Image.new("RGB", (-(-level.width // scale), -(-level.height // scale)), "white")
        across = -(-level.width // side)
        there = np.flatnonzero(level.lengths).tolist()
        for cell in there if len(there) <= _MOST_DRAWN else ():
            try:
                with Image.open(io.BytesIO(self._tile(level, cell)), formats=("JPEG",)) as tile:
                    row, column = divmod(cell, across)
                    image.paste(tile.convert("RGB").reduce(scale), (column * side // scale, row * side // scale))
            except OSError:
                raise UnscrubbableError("a tile cannot be decoded") from None
        jpeg = small_jpeg(image, image.size, 85)
        at = file.tell()
        file.write(jpeg)
        text = self._description(*image.size)
        for tag, number in ((254, 0), (256, image.width), (257, image.height)):
            yield tag, _LONG, 1, struct.pack("<I", number)
        yield 258, _SHORT, 3, struct.pack("<3H", 8, 8, 8)
        yield 259, _SHORT, 1, struct.pack("<H", 7)
        yield 262, _SHORT, 1, struct.pack("<H", _YCBCR)
        yield 270, _ASCII, len(text), text
        yield 273, _LONG8 if at >> 32 else _LONG, 1, struct.pack("<Q" if at >> 32 else "<I", at)
        yield 277, _SHORT, 1, struct.pack("<H", 3)
        yield 278, _LONG, 1, struct.pack("<I", image.height)
        yield 279, _LONG, 1, struct.pack("<I", len(jpeg))
        yield 284, _SHORT, 1, struct.pack("<H", 1)
        yield 530, _SHORT, 2, struct.pack("<2H", 2, 2)

    def _description(self, width: int, height: int) -> bytes:
        full, side = self._levels[0], self._layout.side
        shape = f"{full.width}x{full.height}"
        small = "" if width == full.width else f" -> {width}x{height}"
        power = f"|AppMag = {self._layout.power}" if self._layout.power > 0 else ""
        mpp = f"|MPP = {self._layout.mpp}" if self._layout.mpp is not None else ""
        return f"Aperio pathcurate\r\n{shape} [0,0 {shape}] ({side}x{side}){small} JPEG{power}{mpp}\0".encode()


def _photometric(tile: bytes) -> int:
    """How colours are coded: as JFIF and Adobe's segment say."""
    for marker, begin, end in segments(tile):
        if marker == _ADOBE and tile[begin + 4 : begin + 9] == b"Adobe" and end - begin >= 16:
            return _YCBCR if tile[begin + 15] == 1 else _RGB
    return _YCBCR


def _fraction(number: float) -> tuple[int, int]:
    """Pixels per centimetre as a fraction of 32 bits."""
    parts = next((parts for parts in (10_000, 100, 1) if number * parts < 1 << 32), 1)
    return min(round(number * parts), (1 << 32) - 1), parts


def _directory(file: BinaryIO, fields: list[tuple[int, int, int, bytes]], link: int, *, is_big: bool) -> int:
    """Write a directory behind its values, and its place at ``link``; where it says in turn which is next."""
    count, word, size = ("<Q", "<Q", 8) if is_big else ("<H", "<I", 4)
    entries = io.BytesIO()
    file.seek(0, io.SEEK_END)
    for tag, type_, number, data in fields:
        if len(data) > size:
            file.write(bytes(-file.tell() % 8))
            place = struct.pack(word, file.tell())
            file.write(data)
        else:
            place = data.ljust(size, b"\0")
        entries.write(struct.pack("<HH", tag, type_) + struct.pack(word, number) + place)
    file.write(bytes(-file.tell() % 8))
    at = file.tell()
    file.write(struct.pack(count, len(fields)) + entries.getvalue() + bytes(size))
    next_at = file.tell() - size
    file.seek(link)
    file.write(struct.pack(word, at))
    file.seek(0, io.SEEK_END)
    return next_at
