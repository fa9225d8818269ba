"""The TIFF family of slides, from their directories alone: each vendor's dialect is a module of its own.

What the dialects have in common is here: who claims a file, geometry, compression, fingerprints, and whether the tiles are
there. A TIFF that bears the mark of a vendor without a dialect is left to the readers after this one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.filescrub import PixelRun
from pathcurate.model.slide import SlideHeader, TileCount
from pathcurate.readers.tiff import aperio, checks, generic, leica, ome, philips, runs, ventana
from pathcurate.readers.tiff.description import LABEL, OVERVIEW, THUMBNAIL, Description, Dialect, geometry
from pathcurate.storage import Source

NAME: Final = "tiff"
VERSION: Final = 2

DIALECTS: Final[tuple[Dialect, ...]] = (philips, leica, ventana, ome, aperio, generic)
"""In the order in which they are asked; the last matches every TIFF."""

_COMPRESSIONS: Final = {
    1: "none", 5: "lzw", 6: "jpeg", 7: "jpeg", 8: "deflate", 32773: "packbits", 32946: "deflate", 33003: "jpeg2000",
    33004: "jpeg2000", 33005: "jpeg2000", 34712: "jpeg2000", 34925: "other", 50000: "zstd", 50001: "webp",
    50002: "jpegxl", 52546: "jpegxl",
}  # fmt: skip
"""By the codes of tag 259; 33003 and 33005 are Aperio's JPEG 2000 (YCbCr and RGB), 34925 is LZMA."""

_STATUSES: Final[Mapping[type[ifd.TiffDamage], str]] = {
    ifd.NotTiff: "not_a_slide",
    ifd.TruncatedTiff: "truncated",
    ifd.CorruptTiff: "corrupt",
}
_MAX_CHANNELS: Final = (1 << 16) - 1
"""SamplesPerPixel is a SHORT (TIFF 6.0, section 8), whatever type a file gives it."""


def claim(head: bytes, source: Source) -> bool:
    """Whether the file is a slide of one of the dialects, or a TIFF too damaged to tell whose it is.

    A TIFF of a vendor whose rules only OpenSlide knows, and an image without tiles (a scanned letter, a photo), are not
    claimed.

    Raises:
        OSError: the file cannot be read.
    """
    if not ifd.is_tiff(head):
        return False
    try:
        directories = ifd.walk(source)
        return not _is_left_to_openslide(directories[0]) and _has_slide_marks(directories)
    except ifd.TiffDamage as damage:
        return _may_be_slide(damage.directories)


def read(source: Source) -> SlideHeader:
    """What the directories say of the slide; no pixel is read.

    For the fingerprints see :func:`pathcurate.readers.tiff.checks.check`.

    Raises:
        OSError: the file cannot be read.
    """
    damage: ifd.TiffDamage | None = None
    try:
        directories: Sequence[Directory] = ifd.walk(source)
    except ifd.TiffDamage as error:
        damage, directories = error, error.directories
    header = SlideHeader(status="ok")
    facts: dict[str, Any] = {}
    try:
        if directories:
            description = _describe(directories)
            header = description.header
            facts = _facts(description)
            if damage is None and "level_count" in facts:
                found = checks.check(description, directories, source.size)
                facts = {**found, **facts} if facts.get("status", header.status) != "ok" else {**facts, **found}
    except ifd.TiffDamage as error:
        damage = damage or error
    if damage is not None:
        facts |= {"status": _STATUSES[type(damage)], "status_detail": f"{damage.reason} (offset {damage.offset})"}
    return replace(header, **facts)


def sample_pixels(source: Source) -> str | None:
    """See :func:`pathcurate.readers.sample_pixels`; None if the file is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        description = _describe(ifd.walk(source))
        return checks.pixel_fingerprint(source, description) if description.levels else None
    except ifd.TiffDamage:
        return None


def count_tiles(source: Source) -> TileCount | None:
    """The tile and strip tables of all directories and sub-directories read whole; None if the file is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        directories = ifd.walk(source)
        below = [sub for directory in directories for sub in directory.sub_directories()]
        return checks.count_tiles(source, [*directories, *below])
    except ifd.TiffDamage:
        return None


def pixel_runs(source: Source) -> Iterator[PixelRun]:
    """The compressed pixels of the pyramid: every level, focal plane and channel, tile by tile; nothing beside it.

    A thumbnail is not among them, since a copy may have another one.

    Raises:
        TiffDamage: a directory or a table cannot be read.
        OSError: the file cannot be read.
    """
    directories = ifd.walk(source)
    description = _describe(directories)
    beside = {id(directory) for directory in description.images.values() if directory is not None}
    shown = description.regions or [directory for directory in directories if id(directory) not in beside]
    yield from runs.runs(shown, description.regions or description.levels)


def _is_left_to_openslide(first: Directory) -> bool:
    """Whether the file is of a vendor whose layout only OpenSlide knows: Trestle, Huron."""
    return first.text(ifd.SOFTWARE).startswith("MedScan") or first.text(ifd.MAKE).startswith("Huron")


def _may_be_slide(directories: Sequence[Directory]) -> bool:
    """Whether these first directories of a damaged file may be a slide's: so if they say so, or can no longer say."""
    try:
        return not directories or _is_left_to_openslide(directories[0]) or _has_slide_marks(directories)
    except ifd.TiffDamage:
        return True


def _has_slide_marks(directories: Iterable[Directory]) -> bool:
    """Whether an image is in tiles, or bears the mark of a dialect."""
    return any(
        directory.is_tiled or any(dialect.matches(directory) for dialect in DIALECTS[:-1]) for directory in directories
    )


def _describe(directories: Sequence[Directory]) -> Description:
    first = directories[0]
    if _is_left_to_openslide(first):
        # Only a damaged one comes here: its geometry follows rules that this reader does not know.
        vendor = "trestle" if first.text(ifd.SOFTWARE).startswith("MedScan") else "unknown"
        return Description(SlideHeader(status="ok", format="tiff", vendor=vendor), (), {}, is_complete=False)
    dialect = next(dialect for dialect in DIALECTS if dialect.matches(first))
    return dialect.describe(directories)


def _facts(description: Description) -> dict[str, Any]:
    """Columns that all dialects have in common: geometry, compression, images beside the pyramid, and what is wrong."""
    header, levels = description.header, description.levels
    if not levels:
        return {"status": "not_a_slide", "status_detail": "no image in tiles"}
    sizes = [geometry(level) for level in levels]
    if not all(all(sides) for sides in sizes):
        wrong = next(level for level, sides in zip(levels, sizes, strict=True) if not all(sides))
        return {"status": "corrupt", "status_detail": f"impossible image or tile size (offset {wrong.offset})"}
    _, _, tile_width, tile_height = sizes[0]
    width, height = description.size or sizes[0][:2]
    compression = _COMPRESSIONS.get(levels[0].first_int(ifd.COMPRESSION, 1) or 0)
    channels = levels[0].first_int(ifd.SAMPLES_PER_PIXEL, 1) or 0
    facts = {
        "width": width,
        "height": height,
        "level_count": len(levels),
        "level_downsamples": description.downsamples or tuple((width / w + height / h) / 2 for w, h, _, _ in sizes),
        "tile_width": tile_width,
        "tile_height": tile_height,
        "compression": compression or "other",
        # Of a stack of planes, each with its own channel, only the dialect knows how many there are.
        "channels": header.channels or (channels if 0 < channels <= _MAX_CHANNELS else None),
        "icc_profile": ifd.ICC_PROFILE in levels[0],
        **_images(description),
    }
    if compression is None and header.status == "ok":
        detail = f"tag 259 (compression) names no known method (offset {levels[0].offset})"
        facts |= {"status": f"unsupported:{header.vendor}", "status_detail": detail}
    return facts


def _images(description: Description) -> dict[str, Any]:
    """Which of label, overview and thumbnail the file holds; None where an image is of no known kind."""
    absent = False if description.is_complete else None
    return {f"has_{kind}": True if kind in description.images else absent for kind in (LABEL, OVERVIEW, THUMBNAIL)}
