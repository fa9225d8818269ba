"""Whether the tiles of a TIFF are there, and the fingerprints: the same for all dialects.

The header pass looks at the tables of tiles at their ends, within :data:`MOST_READS`; which tables, the structure decides
and nothing else, so that two reads of a file agree. ``count_tiles`` reads all tables whole.
"""

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pathcurate import ifd
from pathcurate.ifd import Directory, Entry, tiles
from pathcurate.model.slide import TileCount
from pathcurate.readers.tiff.description import Description, geometry
from pathcurate.storage import Source

MOST_READS: Final = 16
"""Reads of the header pass, as far as a file's structure allows; level 0 and the smallest level are always looked at."""
ENDS: Final = 128
"""Tiles that are looked at on either end of a large table.

Scanners write tiles in order, so a file that lost its tail shows it in the last tiles of a table.
"""
_WHOLE: Final = 512
"""Tiles of the smallest level that are all looked at."""
_FINGERPRINT_TAGS: Final = (
    ifd.DOCUMENT_NAME, ifd.IMAGE_DESCRIPTION, ifd.MAKE, ifd.MODEL, ifd.X_RESOLUTION, ifd.Y_RESOLUTION, ifd.PAGE_NAME,
    ifd.SOFTWARE, ifd.DATE_TIME,
)  # fmt: skip
_FINGERPRINT_BYTES: Final = 4096
_SAMPLED_TILES: Final = 8
_SAMPLE_BYTES: Final = 1 << 20

_Tables = tuple[Entry, Entry]


def check(description: Description, directories: Sequence[Directory], size: int) -> dict[str, Any]:
    """Columns: the fingerprints, and every tile that was looked at held against the size of the file.

    ``status`` and ``status_detail`` are among them only if tiles lie beyond the end.

    ``header_fingerprint`` is SHA-256 over every directory's bytes in chain order, each followed by the values (their first
    4 KiB) of tags 269, 270, 271, 272, 282, 283, 285, 305 and 306 and by what was looked at of its tables.

    Raises:
        TiffDamage: a table is impossible or beyond the end of the file.
        OSError: the file cannot be read.
    """
    inside = set(map(id, directories))
    # Levels may lie in sub-directories, which the chain does not have.
    directories = [*directories, *(level for level in description.levels if id(level) not in inside)]
    tables = {id(directory): held for directory in directories if (held := tiles.entries(directory))}
    for level in description.levels:
        if id(level) not in tables or tables[id(level)][0].count < _tiles_needed(level):
            raise ifd.CorruptTiff(level.offset, "the tile table is shorter than the image needs")
    plan = _plan(description, directories, tables)
    digest = hashlib.sha256()
    checked = bad = 0
    shape: str | None = None
    for directory in directories:
        digest.update(directory.raw)
        for tag in _FINGERPRINT_TAGS:
            if tag in directory.entries:
                digest.update(directory.raw_value(tag, _FINGERPRINT_BYTES))
        if each := plan.get(id(directory)):
            table = tiles.read_table(directory, tables[id(directory)], each)
            digest.update(table.offsets.tobytes() + table.byte_counts.tobytes())
            checked += table.offsets.size
            bad += table.count_beyond(size)
            if directory is description.levels[-1]:
                shape = _shape_fingerprint(description, table)
    found: dict[str, Any] = {
        "header_fingerprint": f"sha256:{digest.hexdigest()}",
        "shape_fingerprint": shape,
        "tiles_checked": checked,
        "tiles_bad": bad,
    }
    if bad:
        detail = f"{bad} of {checked} tiles that were looked at lie beyond the end of the file (size {size})"
        found |= {"status": "truncated", "status_detail": detail}
    return found


def count_tiles(source: Source, directories: Sequence[Directory]) -> TileCount | None:
    """The tables of all directories read whole; None if they claim more than the file can hold.

    Raises:
        TiffDamage: a table is impossible or beyond the end of the file.
        OSError: the file cannot be read.
    """
    tables = [(directory, held) for directory in directories if (held := tiles.entries(directory))]
    # Tables of a real file do not overlap. In a hostile one, a thousand directories may share one table of gigabytes.
    if sum(entry.size for _, held in tables for entry in held) > source.size:
        return None
    pieces = [(piece.offsets.size, piece.count_beyond(source.size)) for item in tables for piece in tiles.read_pieces(*item)]
    return TileCount(sum(checked for checked, _ in pieces), sum(bad for _, bad in pieces))


def pixel_fingerprint(source: Source, description: Description) -> str | None:
    """SHA-256 over the slide's geometry and up to 8 evenly spaced compressed tiles of its smallest level.

    Tables of abbreviated JPEG streams (tag 347) are part of it. None if the level has no tiles.

    Raises:
        TiffDamage: a table is impossible or beyond the end of the file.
        OSError: the file cannot be read.
    """
    level = description.levels[-1]
    tables = tiles.entries(level)
    if tables is None or not tables[0].count:
        return None
    digest = hashlib.sha256(_shape(description) + level.raw_value(ifd.JPEG_TABLES))
    last = tables[0].count - 1
    for index in sorted({last * step // (_SAMPLED_TILES - 1) for step in range(_SAMPLED_TILES)}):
        offset, length = tiles.tile_at(level, tables, index)
        data = source.read_at(offset, min(length, _SAMPLE_BYTES, max(0, source.size - offset)))
        digest.update(struct.pack("<2Q", index, length) + data)
    return f"sha256:{digest.hexdigest()}"


def _shape_fingerprint(description: Description, smallest: tiles.TileTable) -> str:
    """SHA-256 over the slide's geometry and the byte counts of its smallest level; offsets are left out.

    So it is the same after a de-identification that removes images beside the pyramid or rewrites texts.
    """
    counts = smallest.byte_counts.astype("<u8").tobytes()
    digest = hashlib.sha256(_shape(description) + struct.pack("<Q", smallest.total) + counts)
    return f"sha256:{digest.hexdigest()}"


def _shape(description: Description) -> bytes:
    """Width, height, tile width and height in pixels, and compression (tag 259), of level 0."""
    level = description.levels[0]
    # A hostile file may give a negative number here, which would not pack.
    method = max(0, level.first_int(ifd.COMPRESSION, 1) or 0)
    return struct.pack("<5Q", *geometry(level), method)


def _tiles_needed(level: Directory) -> int:
    width, height, tile_width, tile_height = geometry(level)
    planes = level.first_int(ifd.SAMPLES_PER_PIXEL, 1) if level.first_int(ifd.PLANAR_CONFIGURATION) == 2 else 1
    return -(-width // tile_width) * -(-height // tile_height) * max(1, planes or 1)


def _plan(description: Description, directories: Sequence[Directory], tables: Mapping[int, _Tables]) -> Mapping[int, int]:
    """How many tiles to look at on either end of each table, by the identity of its directory.

    Level 0 and the smallest level come first, then the other levels from large to small, then what else the file holds, as
    long as the reads suffice; a table that stands beside its directory costs none.
    """
    levels = description.levels
    inside = set(map(id, levels))
    others = [directory for directory in directories if id(directory) not in inside and id(directory) in tables]
    always = {id(levels[0]), id(levels[-1])}
    reads = 1 + len(directories) + -(-description.extra_bytes // ifd.BLOCK_BYTES)
    plan: dict[int, int] = {}
    for directory in (levels[0], levels[-1], *levels[1:-1], *others):
        each = _WHOLE // 2 if directory is levels[-1] else ENDS
        cost = _cost(directory, tables[id(directory)], each)
        if id(directory) not in plan and (id(directory) in always or not cost or reads + cost <= MOST_READS):
            plan[id(directory)] = each
            reads += cost
    return plan


def _cost(directory: Directory, tables: _Tables, each: int) -> int:
    """Reads that the ends of its tables take, beyond the one for the directory itself."""
    spans = []
    for entry in tables:
        if entry.inline is None:
            length = entry.size // entry.count * each
            if entry.count <= 2 * each:
                spans.append((entry.offset, entry.size))
            else:
                spans += [(entry.offset, length), (entry.offset + entry.size - length, length)]
    reads, start, end = 0, directory.offset, directory.offset + ifd.BLOCK_BYTES
    for at, length in sorted(spans):
        if at < start or at + length > end:
            reads, start, end = reads + 1, at, at + max(length, ifd.BLOCK_BYTES)
    return reads
