"""Slides of their own from one real Aperio file: a new pyramid from another selection of its compressed tiles.

Identical pixels under two patients are, rightly, a finding; so an archive for a test needs slides that differ.
"""

import os
import random
import re
from pathlib import Path

from pathcurate import ifd
from pathcurate.demo.tiffwriter import Field, Page, encode_tiff, longs, shorts
from pathcurate.ifd import Directory, tiles
from pathcurate.storage import LocalSource, Source

COLUMNS, ROWS = 8, 6
_SMALL_COLUMNS, _SMALL_ROWS = 4, 3
_COPIED = (
    ifd.COMPRESSION, ifd.SAMPLES_PER_PIXEL, ifd.PLANAR_CONFIGURATION, ifd.TILE_WIDTH, ifd.TILE_LENGTH,
    258, 262, 347, 530, 32997,
)  # fmt: skip


class RealSlide:
    """A real Aperio slide, taken apart once.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        with LocalSource(os.fsencode(path)) as source:
            directories = ifd.walk(source)
            self._base = directories[0]
            self._fields = {tag: _field(self._base, tag) for tag in _COPIED if tag in self._base}
            self._description = self._base.text(ifd.IMAGE_DESCRIPTION)
            self._tiles = _segments(source, self._base)
            self._side = self._base.first_int(ifd.TILE_WIDTH) or 0
            # Label and overview stay as they are: they show no pixel of the tissue's level 0.
            self._others = [Page(_all_fields(page), _segments(source, page)) for page in directories[1:]]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the slides that :meth:`variant` makes, in pixels."""
        return COLUMNS * self._side, ROWS * self._side

    def variant(self, seed: int) -> bytes:
        """A slide of two levels from a selection of the tiles; another seed gives another slide."""
        chosen = random.Random(seed)
        width, height = self.size
        description = re.sub(r"\d+x\d+\]", f"{width}x{height}]", self._description, count=1)
        levels = [
            self._level(chosen, COLUMNS, ROWS, description),
            self._level(chosen, _SMALL_COLUMNS, _SMALL_ROWS, description),
        ]
        return encode_tiff([levels[0], self._others[0], levels[1], *self._others[1:]])

    def _level(self, chosen: random.Random, columns: int, rows: int, description: str) -> Page:
        text = description.encode() + b"\0"
        fields = {
            **self._fields,
            ifd.NEW_SUBFILE_TYPE: longs(0),
            ifd.IMAGE_WIDTH: shorts(columns * self._side),
            ifd.IMAGE_LENGTH: shorts(rows * self._side),
            ifd.IMAGE_DESCRIPTION: Field(2, len(text), text),
        }
        return Page(fields, tuple(chosen.sample(self._tiles, columns * rows)), tiled=True)


def _field(directory: Directory, tag: int) -> Field:
    entry = directory.entries[tag]
    return Field(entry.type, entry.count, directory.raw_value(tag))


def _all_fields(directory: Directory) -> dict[int, Field]:
    placed = {ifd.STRIP_OFFSETS, ifd.STRIP_BYTE_COUNTS, ifd.TILE_OFFSETS, ifd.TILE_BYTE_COUNTS}
    return {tag: _field(directory, tag) for tag in directory.entries if tag not in placed}


def _segments(source: Source, directory: Directory) -> tuple[bytes, ...]:
    held = tiles.entries(directory)
    assert held is not None
    table = tiles.read_table(directory, held, held[0].count)
    return tuple(
        source.read_at(int(offset), int(size)) for offset, size in zip(table.offsets, table.byte_counts, strict=True)
    )
