"""KFBIO slides (``.kfb``): header, label, overview, preview and a table of JPEG tiles, none of it documented by the vendor.

Sources: a published description of the format, and the reader proposed to OpenSlide (pull requests 623 and 669, issue 592).
They agree on all fields but one: the second finds everything from the tile count on 4 bytes later. Which of them a file
follows is found out by what lies where they point to; a file that follows neither is not read. All numbers are
little-endian. No sample may be shared in public, so files made after either description are all that this was tried on.
"""

import hashlib
import io
import math
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathcurate import ifd
from pathcurate.model.filescrub import PixelRun, UnscrubbableError
from pathcurate.model.slide import SlideHeader, TileCount
from pathcurate.storage import Source

NAME: Final = "kfb"
VERSION: Final = 1

_MAGIC: Final = b"KFB"
_SHIFTS: Final = (0, 4)
"""By how many bytes the fields lie later than in the description; see the module."""
# Tile count, height, width, magnification, compression, duration, time, overview, label, preview, tiles, resolution, side.
_FIELDS: Final = struct.Struct("<iiii4s4xiqIIQQf8xi")
_FIELDS_AT: Final = 0x0C
_IMAGE: Final = struct.Struct("<8xii4xi28x")  # height, width, length; the JPEG follows
_JPEG: Final = b"\xff\xd8\xff"

_ENTRY: Final = np.dtype(
    {
        "names": ["x", "y", "width", "height", "scale", "length", "low", "distance"],
        "formats": ["<i4", "<i4", "<i4", "<i4", "<i4", "<i4", "<u4", "<i8"],
        "offsets": [4, 8, 12, 16, 20, 32, 36, 36],
        "itemsize": 64,
    }
)
"""A tile; ``scale`` is a magnification whose bits are those of a float, so that half of it is one less in the exponent."""
_HALF: Final = 1 << 23
_MOST_LEVELS: Final = 32

_PLACE: Final = np.dtype([("offset", "<i8"), ("x", "<i4"), ("y", "<i4"), ("scale", "<i4"), ("length", "<i4")])
_MOST_TILES: Final = 2_500_000
_EDGE_ENTRIES: Final = 256
"""Of a large table, this many entries are read at each end for a header."""
_CHUNK_ENTRIES: Final = 16_384
_PROBES: Final = 3
_SAMPLES: Final = 8
_SAMPLE_BYTES: Final = 1 << 20
_MOST_IMAGE_BYTES: Final = 64 << 20
_MOST_PIXELS: Final = 50_000_000
_FAR: Final = 1 << 53
_FIRST_SCAN: Final = datetime(1995, 1, 1, tzinfo=UTC).timestamp()

Entries = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class _Header:
    """The header's fields, in the layout that makes sense.

    Attributes:
        images: position of the overview, the label and the preview; 0 if there is none.
        table: position of the tile table.
        is_short: whether a tile's distance from the table is one of 32 bits below it, else one of 64 with sign.
    """

    tile_count: int
    height: int
    width: int
    magnification: int
    time: int
    images: tuple[int, int, int]
    table: int
    resolution: float
    side: int
    is_short: bool = False

    @property
    def table_end(self) -> int:
        return self.table + self.tile_count * _ENTRY.itemsize

    def offsets(self, entries: Entries) -> NDArray[np.int64]:
        """Where tiles begin in the file; -1 for a distance that no file has."""
        if self.is_short:
            below: NDArray[np.int64] = entries["low"].astype(np.int64) + (self.table - (1 << 32))
            return below
        distance = entries["distance"]
        is_near = np.abs(np.clip(distance, -_FAR, _FAR)) < _FAR
        found: NDArray[np.int64] = np.where(is_near, np.where(is_near, distance, 0) + self.table, -1)
        return found

    def digest(self) -> "hashlib._Hash":
        """SHA-256 over geometry, to which tiles may be added."""
        return hashlib.sha256(f"kfb {self.width} {self.height} {self.side} {self.side} jpeg".encode())


@dataclass(frozen=True, slots=True)
class _Picture:
    """An image beside the pyramid: where its JPEG lies, and whether it is one."""

    offset: int
    length: int
    is_inside: bool
    is_jpeg: bool


def claim(head: bytes, source: Source) -> bool:
    """Whether the file begins as KFB does."""
    # Bytes 4 to 7 of a TIFF are an offset, which may spell anything.
    return head[4:7] == _MAGIC and not ifd.is_tiff(head)


def read(source: Source) -> SlideHeader:
    """What the header says, and whether label, overview, preview and the ends of the tile table lie within the file.

    ``header_fingerprint`` is SHA-256 of the header's fields and of the entries that were read; ``shape_fingerprint`` is
    one over geometry, tile size, compression, and number and byte counts of the tiles of the smallest level.

    Raises:
        OSError: the file cannot be read.
    """
    closed = SlideHeader(status="unsupported:kfbio", format="kfb", vendor="kfbio")
    header = _header(source)
    if header is None:
        return replace(closed, status_detail="its header follows neither of the two known layouts")
    pictures = [_picture(source, at) for at in header.images]
    described = _described(header, pictures)
    if header.table_end > source.size:
        detail = f"the tile table ends at {header.table_end}, beyond the end of the file"
        return replace(described, status="truncated", status_detail=detail)
    entries = _edges(source, header)
    addressed = _addressed(source, header, entries)
    if addressed is None:
        return replace(closed, status_detail="where its tiles should lie, there are none")
    described = _with_tiles(described, addressed, entries, source.size)
    bad = described.tiles_bad or 0
    lost = sum(not picture.is_inside for picture in pictures if picture is not None)
    if bad or lost:
        detail = f"{bad} of {len(entries)} tiles that were looked at and {lost} other images lie beyond the end of the file"
        return replace(described, status="truncated", status_detail=detail)
    return described


def sample_pixels(source: Source) -> str | None:
    """SHA-256 over geometry, tile size and up to 8 compressed tiles of the smallest level, 1 MiB of each.

    Raises:
        OSError: the file cannot be read.
    """
    header = _header(source)
    if header is None or header.table_end > source.size:
        return None
    entries = _edges(source, header)
    addressed = _addressed(source, header, entries)
    if addressed is None:
        return None
    digest = addressed.digest()
    tiles = _smallest(entries)
    for at in sorted({step * len(tiles) // _SAMPLES for step in range(_SAMPLES)}):
        offset, length = int(addressed.offsets(tiles)[at]), int(tiles["length"][at])
        if offset < 0 or length <= 0 or offset + length > source.size:
            return None
        digest.update(source.read_at(offset, min(length, _SAMPLE_BYTES)))
    return f"sha256:{digest.hexdigest()}"


def count_tiles(source: Source) -> TileCount | None:
    """The whole tile table, read in pieces, every tile held against the size of the file.

    Raises:
        OSError: the file cannot be read.
    """
    header = _header(source)
    if header is None:
        return None
    present = max(0, min(header.tile_count, (source.size - header.table) // _ENTRY.itemsize))
    addressed = _addressed(source, header, _entries(source, header, 0, min(present, _PROBES))) if present else header
    if addressed is None:
        return None
    # Entries that were lost with the end of the file are tiles that were lost.
    bad = header.tile_count - present
    for first in range(0, present, _CHUNK_ENTRIES):
        entries = _entries(source, header, first, min(_CHUNK_ENTRIES, present - first))
        bad += _count_beyond(addressed, entries, source.size)
    return TileCount(header.tile_count, bad)


def picture(source: Source, kind: str) -> Image.Image | None:
    """An image beside the pyramid, in RGB; of a slide without a preview there is no thumbnail.

    None if there is no such image, or it has more than 50 megapixels.

    Args:
        source: the slide.
        kind: ``label``, ``overview`` or ``thumbnail``.

    Raises:
        OSError: the file cannot be read, or the image is damaged.
        Image.DecompressionBombError: it says that it is of absurd size.
    """
    header = _header(source)
    if header is None:
        return None
    found = _picture(source, header.images[("overview", "label", "thumbnail").index(kind)])
    if found is None or not found.is_inside or not found.is_jpeg or found.length > _MOST_IMAGE_BYTES:
        return None
    with Image.open(io.BytesIO(source.read_at(found.offset, found.length)), formats=("JPEG",)) as image:
        return image.convert("RGB") if math.prod(image.size) <= _MOST_PIXELS else None


def pixel_runs(source: Source) -> Iterator[PixelRun]:
    """The compressed tiles, largest level first, each level row by row; no two joined, so that they can be held one by one
    against those of a TIFF that they were copied into.

    Raises:
        OSError: the file cannot be read.
        UnscrubbableError: it is damaged, or has more tiles than any slide.
    """
    header = _header(source)
    if header is None or header.table_end > source.size or header.tile_count > _MOST_TILES:
        raise UnscrubbableError("the header or the tile table is damaged")
    addressed = _addressed(source, header, _entries(source, header, 0, _PROBES))
    if addressed is None:
        raise UnscrubbableError("where its tiles should lie, there are none")
    table = np.empty(header.tile_count, _PLACE)
    reached: dict[int, tuple[int, int]] = {}
    for first in range(0, header.tile_count, _CHUNK_ENTRIES):
        entries = _entries(source, header, first, min(_CHUNK_ENTRIES, header.tile_count - first))
        places = table[first : first + len(entries)]
        if _count_beyond(addressed, entries, source.size):
            raise UnscrubbableError("a tile lies beyond the end of the file")
        places["offset"] = addressed.offsets(entries)
        for name in ("x", "y", "scale", "length"):
            places[name] = entries[name]
        for scale in np.unique(entries["scale"]).tolist():
            tiles = entries[entries["scale"] == scale]
            right, bottom = (tiles[at].astype(np.int64) + tiles[side] for at, side in (("x", "width"), ("y", "height")))
            before = reached.get(scale, (0, 0))
            reached[scale] = max(before[0], int(right.max())), max(before[1], int(bottom.max()))
    for scale in sorted(reached, reverse=True):
        tiles = table[table["scale"] == scale]
        name = _level_name(header, (max(reached) - scale) // _HALF, reached[scale])
        order = np.lexsort((tiles["x"], tiles["y"]))
        for first in range(0, len(order), _CHUNK_ENTRIES):
            piece = tiles[order[first : first + _CHUNK_ENTRIES]]
            for offset, length in zip(piece["offset"].tolist(), piece["length"].tolist(), strict=True):
                yield PixelRun(name, b"", offset, length)


def _level_name(header: _Header, level: int, reached: tuple[int, int]) -> str:
    """A level's place and shape: it is as large as its tiles reach if that is half of the one above, rounded up or down."""
    sides = []
    for full, end in zip((header.width, header.height), reached, strict=True):
        halved = max(1, full >> level)
        sides.append(end if level and end in (halved, -(-full >> level)) else halved)
    return f"level {level}, {sides[0]} x {sides[1]}"


# --- The header --------------------------------------------------------------------------------------------------


def _header(source: Source) -> _Header | None:
    """The fields in the layout whose positions lead to JPEG images; None if neither does, or both as well."""
    head = source.read_at(0, _FIELDS_AT + _FIELDS.size + max(_SHIFTS))
    found = []
    for shift in _SHIFTS:
        header = _fields(head, shift)
        if header is not None and (evidence := _evidence(source, header)):
            found.append((evidence, header))
    best = max((evidence for evidence, _ in found), default=0)
    headers = [header for evidence, header in found if evidence == best]
    return headers[0] if len(headers) == 1 else None


def _fields(head: bytes, shift: int) -> _Header | None:
    if len(head) < _FIELDS_AT + shift + _FIELDS.size:
        return None
    count, height, width, power, compression, _, scanned, overview, label, preview, table, resolution, side = (
        _FIELDS.unpack_from(head, _FIELDS_AT + shift)
    )
    is_sensible = min(count, height, width) > 0 and 0 < side <= 1 << 16 and compression.startswith(b"JP")
    if not is_sensible or max(preview, table) >= _FAR:
        return None
    return _Header(count, height, width, power, scanned, (overview, label, preview), table, resolution, side)


def _evidence(source: Source, header: _Header) -> int:
    """How many of the things to which a header points are there."""
    pictures = (_picture(source, at) for at in header.images)
    count = sum(picture is not None and picture.is_jpeg for picture in pictures)
    if 0 < header.table <= source.size - _ENTRY.itemsize:
        entries = _entries(source, header, 0, 1)
        count += any(_is_jpeg_at(source, candidate, entries) for candidate in _addressings(header))
    return count


def _picture(source: Source, position: int) -> _Picture | None:
    if position == 0:
        return None
    head = source.read_at(position, _IMAGE.size + len(_JPEG))
    if len(head) < _IMAGE.size:
        return _Picture(position, 0, is_inside=False, is_jpeg=False)
    _, _, length = _IMAGE.unpack_from(head)
    offset = position + _IMAGE.size
    return _Picture(offset, length, 0 < length <= source.size - offset, head.endswith(_JPEG))


def _described(header: _Header, pictures: list[_Picture | None]) -> SlideHeader:
    """What the fields say. A label whose bytes were blanked is none; of one that is cut off nothing is known."""
    has = [
        False if picture is None else picture.is_jpeg if picture.is_inside or picture.is_jpeg else None
        for picture in pictures
    ]
    mpp = header.resolution if math.isfinite(header.resolution) and header.resolution > 0 else None
    # The field holds a single-precision float; what it was written as is its shortest decimal form.
    mpp = None if mpp is None else float(str(np.float32(mpp)))
    return SlideHeader(
        status="ok",
        format="kfb",
        vendor="kfbio",
        scan_datetime=_datetime(header.time),
        width=header.width,
        height=header.height,
        tile_width=header.side,
        tile_height=header.side,
        compression="jpeg",
        mpp_x=mpp,
        mpp_y=mpp,
        mpp_source=None if mpp is None else "vendor",
        objective_power=float(header.magnification) if header.magnification > 0 else None,
        has_overview=has[0],
        has_label=has[1],
        has_thumbnail=has[2],
    )


def _datetime(seconds: int) -> datetime | None:
    """When the slide was scanned, in UTC without zone; the field's unit is in no description.

    A number that is a sensible date as seconds since 1970 is taken for that; any other stays unknown.
    """
    if not _FIRST_SCAN <= seconds <= time.time():
        return None
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


# --- The tile table ----------------------------------------------------------------------------------------------


def _entries(source: Source, header: _Header, first: int, count: int) -> Entries:
    data = source.read_at(header.table + first * _ENTRY.itemsize, count * _ENTRY.itemsize)
    return np.frombuffer(data, _ENTRY, count=len(data) // _ENTRY.itemsize)


def _edges(source: Source, header: _Header) -> Entries:
    """All entries of a small table, the first and the last of a large one."""
    if header.tile_count <= 2 * _EDGE_ENTRIES:
        return _entries(source, header, 0, header.tile_count)
    ends = (
        _entries(source, header, 0, _EDGE_ENTRIES),
        _entries(source, header, header.tile_count - _EDGE_ENTRIES, _EDGE_ENTRIES),
    )
    return np.concatenate(ends)


def _addressings(header: _Header) -> tuple[_Header, _Header]:
    """The two ways to read where a tile lies: as the description has it, and as the pull request does."""
    return header, replace(header, is_short=True)


def _addressed(source: Source, header: _Header, entries: Entries) -> _Header | None:
    """With the way of addressing that leads to JPEG tiles; None if the file has the bytes and neither does.

    A tile beyond the end of the file says nothing: then the description's way counts, and the tile is one that was lost.
    """
    probes = entries[:_PROBES]
    for candidate in _addressings(header):
        if _is_jpeg_at(source, candidate, probes):
            return candidate
    return header if _count_beyond(header, probes, source.size) == len(probes) else None


def _is_jpeg_at(source: Source, header: _Header, entries: Entries) -> bool:
    """Whether any of these tiles is there and begins as a JPEG."""
    offsets = (int(offset) for offset in header.offsets(entries))
    return any(offset > 0 and source.read_at(offset, len(_JPEG)) == _JPEG for offset in offsets)


def _count_beyond(header: _Header, entries: Entries, size: int) -> int:
    offsets, lengths = header.offsets(entries), entries["length"].astype(np.int64)
    good = (offsets > 0) & (lengths > 0) & (offsets + lengths <= size)
    return int(np.count_nonzero(~good))


def _smallest(entries: Entries) -> Entries:
    """The tiles of the smallest level, row by row."""
    tiles = entries[entries["scale"] == entries["scale"].min()]
    ordered: Entries = tiles[np.lexsort((tiles["x"], tiles["y"]))]
    return ordered


def _with_tiles(described: SlideHeader, header: _Header, entries: Entries, size: int) -> SlideHeader:
    scales = entries["scale"].astype(np.int64)
    levels = np.unique((scales.max() - scales) // _HALF)
    # In a table whose middle was not read, levels are known only if the largest one lies at an end, as scanners write it.
    is_known = levels[-1] < _MOST_LEVELS and scales.min() > 0 and scales.max() in (scales[0], scales[-1])
    count = int(levels[-1]) + 1 if is_known else None
    tiles = _smallest(entries)
    shape = header.digest()
    shape.update(f" {len(tiles)} ".encode() + tiles["length"].astype("<i8").tobytes())
    fields = repr((header.tile_count, header.magnification, header.time, header.images, header.table)).encode()
    digest = hashlib.sha256(fields + entries.tobytes())
    return replace(
        described,
        level_count=count,
        level_downsamples=None if count is None else tuple(float(1 << level) for level in range(count)),
        header_fingerprint=f"sha256:{digest.hexdigest()}",
        shape_fingerprint=f"sha256:{shape.hexdigest()}",
        tiles_checked=len(entries),
        tiles_bad=_count_beyond(header, entries, size),
    )
