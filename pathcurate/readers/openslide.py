"""Every format that OpenSlide knows and no reader before this one claims: Trestle, Huron, VMS, VMU, SVSLIDE, CZI …

OpenSlide opens files by itself, so this reader works on local paths only. Its messages may hold paths and values and are
never passed on.
"""

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import openslide
from PIL import Image

from pathcurate import ifd
from pathcurate.ifd import tiles
from pathcurate.model.slide import VENDORS, SlideHeader, TileCount
from pathcurate.storage import Source

NAME: Final = "openslide"
VERSION: Final = 3

_FORMATS: Final = {"argos": "tiff", "huron": "tiff", "trestle": "tiff"}

# Properties by column, the first that is there counts.
_MODELS: Final = ("hamamatsu.Product", "tiff.Model")
_NUMBER_TEXTS: Final = re.compile(r"sakura\.(SlideId|Description|Keywords)|hamamatsu\.Reference|tiff\.DocumentName")
"""Properties in which laboratories put their case number."""
_DATES: Final = (
    ("tiff.DateTime", r"(?P<Y>\d{4})[:/](?P<m>\d\d)[:/](?P<d>\d\d) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"),
    ("hamamatsu.Created", r"(?P<Y>\d{4})/(?P<m>\d\d)/(?P<d>\d\d)"),
)
"""Property and form of the scan date, as written in local time."""

_HEADS: Final = (b"ZISRAWFILE", b"SQLite format 3\0")
_EXTENSIONS: Final = (".czi", ".svslide", ".vms", ".vmu")
_VIRTUAL_SPECIMEN: Final = re.compile(rb"^\[(?:Uncompressed )?Virtual Microscope Specimen\]", re.MULTILINE)
_VMS_BYTES: Final = 65_536
_VMS_COMPANION: Final = re.compile(rb"^[ \t]*(?:ImageFile(?:\([\d, ]+\))?|MapFile|MacroImage)[ \t]*=(.*)$", re.MULTILINE)

_EDGE_TILES: Final = 512
"""Of a TIFF's tile table, this many tiles are looked at on each end for a header."""
_MOST_PIXELS: Final = 50_000_000
"""An image of more is not decoded: it is no label, and it would take 200 MB."""
_THUMBNAIL_SIDE: Final = 1024
_LEAST_SIDE: Final = 512
_ASSOCIATED: Final = {"label": "label", "overview": "macro", "thumbnail": "thumbnail"}


def claim(head: bytes, source: Source) -> bool:
    """Whether OpenSlide knows the file, or would if none of its images were missing (VMS, VMU).

    OpenSlide's detectors are asked only about files that begin like one of its formats: they are native code, and most of
    an archive's other files are none of their business.

    Raises:
        OSError: the file cannot be read.
    """
    path = source.local_path
    is_virtual = _VIRTUAL_SPECIMEN.search(head) is not None
    if path is None:
        # Which of them OpenSlide would read is not known, but that they are slides is.
        return source.name.lower().endswith(_EXTENSIONS) and (is_virtual or head.startswith(_HEADS))
    if is_virtual:
        return True
    may_be = ifd.is_tiff(head) or head.startswith(_HEADS)
    return may_be and openslide.OpenSlide.detect_format(path) is not None


def read(source: Source) -> SlideHeader:
    """What OpenSlide's properties say; no pixel is decoded.

    ``header_fingerprint`` is OpenSlide's quickhash-1, or a digest of all properties where OpenSlide gives none (its
    smallest level is above 5 MiB).

    Raises:
        OSError: the file cannot be read.
    """
    path = source.local_path
    if path is None:
        return SlideHeader(status="unreadable", status_detail="OpenSlide reads local files only")
    if missing := _missing_companions(source):
        return SlideHeader(status="companion_missing", status_detail=missing, format="other", vendor="hamamatsu")
    detected = openslide.OpenSlide.detect_format(path)
    if detected is None:
        detail = "OpenSlide does not know the file, though what it names is there"
        return SlideHeader(status="corrupt", status_detail=detail, format="other", vendor="hamamatsu")
    vendor = detected if detected in VENDORS else "unknown"
    format_ = _FORMATS.get(detected, "other")
    broken = SlideHeader(status="corrupt", format=format_, vendor=vendor)
    try:
        with openslide.OpenSlide(path) as slide:
            header = _header(slide, format_, vendor)
    except openslide.OpenSlideUnsupportedFormatError:
        header = replace(broken, status_detail="OpenSlide knows the format but not this content")
    except openslide.OpenSlideError as error:
        # The message itself may hold a path; only whether it speaks of a missing ability is taken from it.
        if re.search(r"unsupported|not supported|can't handle|cannot handle", str(error), re.IGNORECASE):
            detail = "OpenSlide cannot read this variant of the format"
            return replace(broken, status=f"unsupported:{vendor}", status_detail=detail)
        header = replace(broken, status_detail="OpenSlide knows the format but cannot open the file")
    return _with_tiff(header, source)


def sample_pixels(_source: Source) -> str | None:
    """None: where tiles lie, OpenSlide does not say."""
    return None


def count_tiles(source: Source) -> TileCount | None:
    """All tiles of a TIFF held against the size of the file; None for any other format, whose tables are not known.

    Raises:
        OSError: the file cannot be read.
    """
    if not ifd.is_tiff(source.read_at(0, 4)):
        return None
    checked = bad = 0
    try:
        for directory in ifd.walk(source):
            if found := tiles.entries(directory):
                for piece in tiles.read_pieces(directory, found):
                    checked += piece.offsets.size
                    bad += piece.count_beyond(source.size)
    except ifd.TiffDamage:
        return None
    return TileCount(checked, bad)


def picture(source: Source, kind: str) -> Image.Image | None:
    """An image beside the pyramid, in RGB on white.

    A thumbnail that the file does not hold is made of the smallest level of at least 512 pixels, and fits into 1024 x 1024.
    None if the source is not on this machine, there is no such image, or it has more than 50 megapixels.

    Args:
        source: a file that OpenSlide opens.
        kind: ``label``, ``overview`` or ``thumbnail``.

    Raises:
        openslide.OpenSlideError: the slide cannot be opened, or the image not be decoded.
    """
    path = source.local_path
    if path is None:
        return None
    with openslide.OpenSlide(path) as slide:
        name = _ASSOCIATED[kind]
        if name in slide.associated_images:
            sides = (_integer(slide.properties.get(f"openslide.associated.{name}.{side}")) for side in ("width", "height"))
            if math.prod(side or _MOST_PIXELS + 1 for side in sides) > _MOST_PIXELS:
                return None
            return _on_white(slide.associated_images[name])
        return _thumbnail(slide) if kind == "thumbnail" else None


def _thumbnail(slide: openslide.OpenSlide) -> Image.Image | None:
    levels = list(enumerate(slide.level_dimensions))
    level, size = next((item for item in reversed(levels) if max(item[1]) >= _LEAST_SIDE), levels[0])
    if math.prod(size) > _MOST_PIXELS:
        return None
    image = _on_white(slide.read_region((0, 0), level, size))
    image.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    return image


def _on_white(image: Image.Image) -> Image.Image:
    """Without transparency: where a scanner took no picture there is glass."""
    rgba = image.convert("RGBA")
    ground = Image.new("RGB", rgba.size, "white")
    ground.paste(rgba, mask=rgba)
    return ground


def _header(slide: openslide.OpenSlide, format_: str, vendor: str) -> SlideHeader:
    properties = slide.properties
    width, height = slide.dimensions
    images = set(slide.associated_images)
    mpp_x, mpp_y = (_positive(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    return SlideHeader(
        status="ok",
        format=format_,
        vendor=vendor,
        scanner_model=_first(properties, _MODELS),
        scanner_serial=_first(properties, ("hamamatsu.HardwareSerial",)),
        scan_datetime=_scan_datetime(properties),
        width=width,
        height=height,
        level_count=slide.level_count,
        level_downsamples=tuple(slide.level_downsamples),
        tile_width=_integer(properties.get("openslide.level[0].tile-width")),
        tile_height=_integer(properties.get("openslide.level[0].tile-height")),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "openslide",
        objective_power=_positive(properties.get("openslide.objective-power")),
        icc_profile="openslide.icc-size" in properties,
        has_label="label" in images,
        has_overview="macro" in images,
        has_thumbnail="thumbnail" in images,
        barcode=_first(properties, ("openslide.barcode",)),
        label_text=_first(properties, ("hamamatsu.Reference",)),
        metadata_texts=tuple(dict.fromkeys(_matching(properties, _NUMBER_TEXTS))),
        header_fingerprint=_fingerprint(properties),
    )


def _fingerprint(properties: Mapping[str, str]) -> str:
    if quickhash := properties.get("openslide.quickhash-1"):
        return f"quickhash:{quickhash}"
    digest = hashlib.sha256()
    for name in sorted(properties):
        digest.update(f"{name}\0{properties[name]}\0".encode())
    return f"sha256:{digest.hexdigest()}"


def _with_tiff(header: SlideHeader, source: Source) -> SlideHeader:
    """The header of a TIFF with its tiles held against the size of the file.

    OpenSlide does not look where tiles lie until they are read, so it opens a file that lost its tail, or fails for another
    reason.
    """
    if not ifd.is_tiff(source.read_at(0, 4)):
        return header
    try:
        directories = ifd.walk(source)
        held = [(directory, found) for directory in directories if (found := tiles.entries(directory))]
        tables = [tiles.read_table(directory, found, _EDGE_TILES) for directory, found in held]
        bad = sum(table.count_beyond(source.size) for table in tables)
    except ifd.TruncatedTiff as damage:
        return replace(header, status="truncated", status_detail=f"{damage.reason} (offset {damage.offset})")
    except ifd.TiffDamage:
        # What is odd may lie where no slide is, so OpenSlide's word counts.
        return header
    header = replace(header, tiles_checked=sum(table.offsets.size for table in tables), tiles_bad=bad)
    if bad:
        detail = f"{bad} of {header.tiles_checked} tiles that were looked at lie beyond the end of the file"
        return replace(header, status="truncated", status_detail=detail)
    return header


def _missing_companions(source: Source) -> str | None:
    """How many of the images that a VMS or VMU file names are not beside it; None if all are, or it is no such file."""
    head = source.read_at(0, _VMS_BYTES)
    if _VIRTUAL_SPECIMEN.search(head) is None:
        return None
    named = {name for value in _VMS_COMPANION.findall(head) if (name := value.strip())}
    lost = sum(not _is_beside(source, name) for name in named)
    return f"{lost} of the {len(named)} files that the slide names are missing" if lost else None


def _is_beside(source: Source, name: bytes) -> bool:
    if b"/" in name or b"\\" in name or b"\0" in name:
        return False  # a slide's files lie in its own folder; nothing else is opened
    try:
        with source.beside(name):
            return True
    except FileNotFoundError:
        return False


def _scan_datetime(properties: Mapping[str, str]) -> datetime | None:
    for name, pattern in _DATES:
        match = re.fullmatch(pattern, properties.get(name, "").strip(), re.ASCII)
        if match:
            parts = {key: int(value) for key, value in match.groupdict().items()}
            try:
                return datetime(  # noqa: DTZ001 -- the scanner's local time, zone unknown
                    parts["Y"], parts["m"], parts["d"], parts.get("H", 0), parts.get("M", 0), parts.get("S", 0)
                )
            except ValueError:
                continue
    return None


def _first(properties: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if (value := properties.get(name, "").strip())), None)


def _matching(properties: Mapping[str, str], pattern: re.Pattern[str]) -> Iterator[str]:
    return (value for name in sorted(properties) if pattern.fullmatch(name) and (value := properties[name].strip()))


def _positive(text: str | None) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
