"""Where everything lies in a KFB file, in either of the two published layouts; see ``readers/kfb.py`` for their sources.

Read anew here, apart from the reader that checks the copy: a layout counts only if its table and a tile are where it says.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.storage import Source

MOST_TILES: Final = 2_500_000
PICTURES: Final = ("overview", "label", "preview")
_MAGIC: Final = b"KFB"
_JPEG: Final = b"\xff\xd8\xff"
_AT: Final = 0x0C
# Tiles, height, width, magnification, compression, -, duration, time, overview, label, preview, table, resolution, -, side.
FIELDS: Final = struct.Struct("<iiii4s4siqIIQQ4s8si")
_PICTURE: Final = struct.Struct("<8xii4xi28x")
ENTRY: Final = np.dtype([
    ("before", "V4"), ("x", "<i4"), ("y", "<i4"), ("width", "<i4"), ("height", "<i4"), ("scale", "<i4"),
    ("between", "V8"), ("length", "<i4"), ("distance", "<i8"), ("behind", "V20"),
])  # fmt: skip
CHUNK: Final = 16_384
_HALF: Final = 1 << 23
_MOST_LEVELS: Final = 32
_MOST_CELLS, _MOST_CELLS_EACH = 1 << 16, 64
"""Places in a grid, and how many for each tile there is: of most slides tissue covers a tenth."""
_COMPRESSIONS: Final = frozenset({b"JPEG", b"JP  ", b"JPG ", b"JPG\0", b"JP\0\0"})

Entries = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header says.

    Attributes:
        shift: by how many bytes the fields lie later than in the description.
        fields: as they stand.
        is_short: whether a tile's distance has 32 bits below the table, not 64 with sign.
    """

    shift: int
    count: int
    height: int
    width: int
    power: int
    table: int
    side: int
    resolution: bytes
    compression: bytes
    pictures: tuple[int, int, int]
    is_short: bool = False

    @property
    def header_end(self) -> int:
        """Where the header ends."""
        return _AT + self.shift + FIELDS.size

    @property
    def unknown(self) -> list[tuple[int, int]]:
        """Begin and end of what no description explains in the header."""
        at = _AT + self.shift
        return [(0, 4), (8, at), (at + 20, at + 24), (at + 64, at + 72)]

    @property
    def table_end(self) -> int:
        """Where the tile table ends."""
        return self.table + self.count * ENTRY.itemsize

    @property
    def mpp(self) -> float | None:
        """Microns per pixel, in the shortest decimal form that is the same number of 32 bits."""
        (value,) = struct.unpack("<f", self.resolution)
        return float(str(np.float32(value))) if math.isfinite(value) and value > 0 else None

    def offsets(self, entries: Entries) -> NDArray[np.int64]:
        """Where tiles begin in the file; negative for what no file has."""
        distance = entries["distance"]
        if self.is_short:
            below: NDArray[np.int64] = (distance & 0xFFFFFFFF) + (self.table - (1 << 32))
            return below
        far = np.abs(np.clip(distance, -(1 << 53), 1 << 53)) >= 1 << 53
        found: NDArray[np.int64] = np.where(far, -1, np.where(far, 0, distance) + self.table)
        return found


def layout_of(source: Source) -> Layout:
    """The layout that makes sense.

    Raises:
        UnscrubbableError: neither does, or both as well, or its table goes on beyond the end of the file.
        OSError: the file cannot be read.
    """
    head = source.read_at(0, _AT + FIELDS.size + 4)
    if head[4:7] != _MAGIC:
        raise UnscrubbableError("the file does not begin as KFB does")
    found = [(evidence, layout) for shift in (0, 4) for layout in _fields(head, shift)
             if (evidence := _evidence(source, layout))]  # fmt: skip
    best = max((evidence for evidence, _ in found), default=0)
    layouts = [layout for evidence, layout in found if evidence == best]
    if not layouts:
        raise UnscrubbableError("the header follows neither of the two known layouts")
    if len({layout.shift for layout in layouts}) > 1:
        raise UnscrubbableError("the header follows both known layouts as well")
    layout = layouts[0]
    if layout.count > MOST_TILES:
        raise UnscrubbableError("the slide has more tiles than can be proven")
    if layout.table_end > source.size:
        raise UnscrubbableError("the tile table ends beyond the end of the file")
    return layout


def _fields(head: bytes, shift: int) -> Iterator[Layout]:
    """The fields at a place, with either way of addressing tiles."""
    if len(head) < _AT + shift + FIELDS.size:
        return
    count, height, width, power, compression, _, _, _, overview, label, preview, table, resolution, _, side = (
        FIELDS.unpack_from(head, _AT + shift)
    )
    if min(count, height, width) > 0 and 0 < side <= 1 << 14 and compression in _COMPRESSIONS and table < 1 << 53:
        pictures = (overview, label, preview)
        layout = Layout(shift, count, height, width, power, table, side, resolution, compression, pictures)
        yield layout
        yield replace(layout, is_short=True)


def _evidence(source: Source, layout: Layout) -> int:
    """How many of the things are there that a header points to; none without the table and a tile."""
    if not layout.header_end <= layout.table <= source.size - ENTRY.itemsize:
        return 0
    (first,) = layout.offsets(np.frombuffer(source.read_at(layout.table, ENTRY.itemsize), ENTRY)).tolist()
    if first < layout.header_end or source.read_at(first, len(_JPEG)) != _JPEG:
        return 0
    return 1 + sum(picture is not None and source.read_at(picture[0] + _PICTURE.size, len(_JPEG)) == _JPEG
                   for picture in pictures(source, layout))  # fmt: skip


def pictures(source: Source, layout: Layout) -> list[tuple[int, int] | None]:
    """Begin and end of each picture with its header of 52 bytes, as far as they lie in the file; None if there is none."""
    found: list[tuple[int, int] | None] = []
    for at in layout.pictures:
        head = source.read_at(at, _PICTURE.size) if 0 < at < source.size else b""
        if len(head) < _PICTURE.size:
            found.append(None)
            continue
        _, _, length = _PICTURE.unpack(head)
        found.append((at, min(source.size, at + _PICTURE.size + max(0, length))))
    return found


def chunks(source: Source, layout: Layout) -> Iterator[Entries]:
    """The tile table in pieces.

    Raises:
        UnscrubbableError: it ends early.
        OSError: the file cannot be read.
    """
    for first in range(0, layout.count, CHUNK):
        count = min(CHUNK, layout.count - first)
        data = source.read_at(layout.table + first * ENTRY.itemsize, count * ENTRY.itemsize)
        if len(data) < count * ENTRY.itemsize:
            raise UnscrubbableError("the tile table ends beyond the end of the file")
        yield np.frombuffer(data, ENTRY)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the pyramid.

    Attributes:
        width: in pixels.
        height: in pixels.
        offsets: of each cell of its grid, row by row, where its tile lies.
        lengths: of each cell its tile's bytes; 0 where there is none.
        edges: of cells whose tile is smaller than others, width and height.
    """

    width: int
    height: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int32]
    edges: dict[int, tuple[int, int]]


def levels_of(source: Source, layout: Layout) -> list[Level]:
    """The pyramid as grids, largest level first.

    Raises:
        UnscrubbableError: tiles are in no grid, or twice in one place, or not what levels are.
        OSError: the file cannot be read.
    """
    extents: dict[int, tuple[int, int]] = {}
    for entries in chunks(source, layout):
        for scale in np.unique(entries["scale"]).tolist():
            tiles = entries[entries["scale"] == scale]
            right, bottom = (int((tiles[at].astype(np.int64) + tiles[side]).max())
                             for at, side in (("x", "width"), ("y", "height")))  # fmt: skip
            before = extents.get(scale, (0, 0))
            extents[scale] = max(before[0], right), max(before[1], bottom)
    largest = max(extents)
    steps = sorted((largest - scale) // _HALF for scale in extents)
    if steps != list(range(len(extents))) or len(extents) > _MOST_LEVELS or min(extents) <= 0:
        raise UnscrubbableError("its levels are not each half as large as the one before")
    grids = [_blank(layout, step, extents[scale]) for step, scale in zip(steps, sorted(extents, reverse=True), strict=True)]
    for entries in chunks(source, layout):
        steps_of = (largest - entries["scale"].astype(np.int64)) // _HALF
        for step in np.unique(steps_of).tolist():
            _fill(grids[step], layout, entries[steps_of == step])
    return grids


def _blank(layout: Layout, step: int, extent: tuple[int, int]) -> Level:
    width, height = (level_side(full, step, reached) for full, reached in
                     zip((layout.width, layout.height), extent, strict=True))  # fmt: skip
    cells = -(-width // layout.side) * -(-height // layout.side)
    if cells > _MOST_CELLS + _MOST_CELLS_EACH * layout.count:
        raise UnscrubbableError("the slide has more room for tiles than can be proven")
    return Level(width, height, np.zeros(cells, np.int64), np.zeros(cells, np.int32), {})


def level_side(full: int, step: int, reached: int) -> int:
    """Width or height of a level: as far as its tiles reach if that is the full size halved, else that, rounded down."""
    down, up = max(1, full >> step), -(-full >> step)
    return reached if step and reached in (down, up) else down


def _fill(level: Level, layout: Layout, tiles: Entries) -> None:
    side = layout.side
    across = -(-level.width // side)
    columns, off_x = np.divmod(tiles["x"].astype(np.int64), side)
    rows, off_y = np.divmod(tiles["y"].astype(np.int64), side)
    outside = (columns < 0) | (rows < 0) | (columns * side >= level.width) | (rows * side >= level.height)
    if np.any(off_x | off_y) or np.any(outside):
        raise UnscrubbableError("its tiles do not lie in a grid")
    cells = rows * across + columns
    if np.any(level.lengths[cells]) or len(np.unique(cells)) < len(cells):
        raise UnscrubbableError("two tiles lie in one place")
    level.offsets[cells], level.lengths[cells] = layout.offsets(tiles), tiles["length"]
    small = (tiles["width"] != side) | (tiles["height"] != side)
    widths = np.minimum(side, level.width - columns * side)
    heights = np.minimum(side, level.height - rows * side)
    if np.any(small & ((tiles["width"] != widths) | (tiles["height"] != heights))):
        raise UnscrubbableError("a tile has another size than its place")
    sizes = zip(widths[small].tolist(), heights[small].tolist(), strict=True)
    level.edges.update(zip(cells[small].tolist(), sizes, strict=True))
