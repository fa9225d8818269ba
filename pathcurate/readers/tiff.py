"""Aperio SVS and generic pyramidal tiled TIFF, from their directories alone.

Aperio's layout: "Aperio Digital Slides and Third-party Data Interchange" (Aperio, 2008), and OpenSlide's description of
the format. A TIFF that bears another vendor's mark is left to the readers after this one.
"""

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.storage import Source

NAME: Final = "tiff"
VERSION: Final = 1

_COMPRESSIONS: Final = {
    1: "none", 5: "lzw", 6: "jpeg", 7: "jpeg", 8: "deflate", 32773: "packbits", 32946: "deflate", 33003: "jpeg2000",
    33004: "jpeg2000", 33005: "jpeg2000", 34712: "jpeg2000", 34925: "other", 50000: "zstd", 50001: "webp",
    50002: "jpegxl", 52546: "jpegxl",
}  # fmt: skip
"""By the codes of tag 259; 33003 and 33005 are Aperio's JPEG 2000 (YCbCr and RGB), 34925 is LZMA."""

_NUMBER_KEYS: Final = frozenset(
    {"accession", "barcode id", "dsr id", "filename", "imageid", "labeltext", "slide", "slideid", "surgpathnum", "title"}
)
"""Aperio keys in which laboratories put their case number; names and birth dates have keys of their own."""

_STATUSES: Final[Mapping[type[ifd.TiffDamage], str]] = {
    ifd.NotTiff: "not_a_slide",
    ifd.TruncatedTiff: "truncated",
    ifd.CorruptTiff: "corrupt",
}
_FINGERPRINT_TAGS: Final = (
    ifd.DOCUMENT_NAME, ifd.IMAGE_DESCRIPTION, ifd.MAKE, ifd.MODEL, ifd.X_RESOLUTION, ifd.Y_RESOLUTION, ifd.PAGE_NAME,
    ifd.SOFTWARE, ifd.DATE_TIME,
)  # fmt: skip
_PRINT_DPI: Final = (72, 75, 90, 96, 100, 120, 144, 150, 200, 240, 300, 360, 400, 600, 720, 1200, 2400)
_LABEL, _OVERVIEW, _THUMBNAIL = "label", "overview", "thumbnail"
_DESCRIBED: Final = {"label": _LABEL, "macro": _OVERVIEW, "thumbnail": _THUMBNAIL}
_MAX_SIDE: Final = 1 << 31
_MAX_CHANNELS: Final = (1 << 16) - 1
"""SamplesPerPixel is a SHORT (TIFF 6.0, section 8), whatever type a file gives it."""
_SAMPLE_BYTES: Final = 16 << 20
_SAMPLED_TILES: Final = 64


def claim(head: bytes, source: Source) -> bool:
    """Whether the file is an Aperio or generic tiled TIFF, or a TIFF too damaged to tell whose it is.

    Another vendor's TIFF whose chain of directories is whole, and an image without tiles (a scanned letter, a photo), are
    not claimed.

    Raises:
        OSError: the file cannot be read.
    """
    if not ifd.is_tiff(head):
        return False
    try:
        directories = ifd.walk(source)
        return foreign_vendor(directories[0]) is None and _has_slide_marks(directories)
    except ifd.TiffDamage as damage:
        return _may_be_slide(damage.directories)


def read(source: Source) -> SlideHeader:
    """What the directories say of the slide; no pixel is read.

    ``header_fingerprint`` is SHA-256 over every directory's bytes in chain order, each followed by the values (their first
    64 KiB) of tags 269, 270, 271, 272, 282, 283, 285, 305 and 306 and by the tile or strip tables as sampled.
    ``pixel_fingerprint`` is SHA-256 over width, height, tile size, compression, tile count and sampled tile byte counts of
    every level; offsets are left out, so it survives a rewritten header.

    Raises:
        OSError: the file cannot be read.
    """
    damage: ifd.TiffDamage | None = None
    try:
        directories: Sequence[Directory] = ifd.walk(source)
    except ifd.TiffDamage as error:
        damage, directories = error, error.directories
    header = SlideHeader(status="ok")
    try:
        if directories:
            header = _describe(directories)
        if damage is None and header.level_count:
            header = _check(header, directories, source.size)
    except ifd.TiffDamage as error:
        damage = damage or error
    if damage is not None:
        detail = f"{damage.reason} (offset {damage.offset})"
        header = replace(header, status=_STATUSES[type(damage)], status_detail=detail)
    return header


def sample_pixels(source: Source) -> str | None:
    """SHA-256 over some compressed tiles of every level, undecoded; None if the file is damaged.

    Slides whose ``pixel_fingerprint`` agrees may still differ where tiles are stored uncompressed and all have one size.
    Of each level up to 64 tiles are read, evenly spaced because the first and the last are often bare glass. All levels
    have the same share of 16 MiB, and a level's tiles the same part of it: of a small file everything is read.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        levels = _levels(ifd.walk(source))
        for level in levels:
            table = level.tile_table()
            if table is None:
                return None
            last = len(table.offsets) - 1
            chosen = sorted({last * step // (_SAMPLED_TILES - 1) for step in range(_SAMPLED_TILES)}) if last >= 0 else []
            for index in chosen:
                most = _SAMPLE_BYTES // (len(levels) * len(chosen))
                digest.update(source.read_at(int(table.offsets[index]), min(int(table.byte_counts[index]), most)))
    except ifd.TiffDamage:
        return None
    return f"sha256:{digest.hexdigest()}"


def foreign_vendor(first: Directory) -> str | None:
    """The vendor whose mark the first directory bears, if it is one whose TIFF has rules of its own; ``ome`` for OME-TIFF.

    Raises:
        TiffDamage: a value that would say so cannot be read.
        OSError: the file cannot be read.
    """
    if ifd.NDPI_MARK in first:
        return "hamamatsu"
    software = first.text(ifd.SOFTWARE)
    description = first.text(ifd.IMAGE_DESCRIPTION)
    marks = (
        ("philips", software.startswith("Philips") or 'ObjectType="DPUfsImport"' in description),
        ("trestle", software.startswith("MedScan")),
        ("leica", "http://www.leica-microsystems.com/scn/" in description),
        ("ome", "<OME" in description or "<ome:OME" in description),
        ("ventana", ifd.XMP in first and "iScan" in first.text(ifd.XMP)),
    )
    return next((vendor for vendor, found in marks if found), None)


def _may_be_slide(directories: Sequence[Directory]) -> bool:
    """Whether these first directories of a damaged file may be a slide's: so if they say so, or can no longer say."""
    try:
        return not directories or foreign_vendor(directories[0]) is not None or _has_slide_marks(directories)
    except ifd.TiffDamage:
        return True


def _has_slide_marks(directories: Iterable[Directory]) -> bool:
    return any(directory.is_tiled or _is_aperio(directory) for directory in directories)


def _is_aperio(directory: Directory) -> bool:
    return directory.raw_value(ifd.IMAGE_DESCRIPTION, 6) == b"Aperio"


def _describe(directories: Sequence[Directory]) -> SlideHeader:
    first = directories[0]
    if vendor := foreign_vendor(first):
        # Only a damaged one comes here: its geometry follows rules that this reader does not know.
        formats = {"philips": "philips", "leica": "scn", "ome": "ome", "ventana": "bif", "hamamatsu": "ndpi"}
        return SlideHeader(
            status="ok", format=formats.get(vendor, "tiff"), vendor="generic-tiff" if vendor == "ome" else vendor
        )
    levels = _levels(directories)
    identity = _aperio(first) if _is_aperio(first) else _generic(levels[0] if levels else first)
    header = SlideHeader(status="ok", **identity)
    if not levels:
        return replace(header, status="not_a_slide", status_detail="no image in tiles")
    geometry = [_geometry(level) for level in levels]
    if not all(geometry[0]):
        return replace(header, status="corrupt", status_detail=f"impossible image or tile size (offset {levels[0].offset})")
    width, height, tile_width, tile_height = geometry[0]
    compression = _COMPRESSIONS.get(levels[0].first_int(ifd.COMPRESSION, 1) or 0)
    channels = levels[0].first_int(ifd.SAMPLES_PER_PIXEL, 1) or 0
    header = replace(
        header,
        width=width,
        height=height,
        level_count=len(levels),
        level_downsamples=tuple((width / w + height / h) / 2 for w, h, _, _ in geometry),
        tile_width=tile_width,
        tile_height=tile_height,
        compression=compression or "other",
        channels=channels if 0 < channels <= _MAX_CHANNELS else None,
        icc_profile=ifd.ICC_PROFILE in levels[0],
        **_associated(directories, levels),
    )
    if compression is None:
        detail = f"tag 259 (compression) names no known method (offset {levels[0].offset})"
        return replace(header, status=f"unsupported:{header.vendor}", status_detail=detail)
    return header


def _check(header: SlideHeader, directories: Sequence[Directory], size: int) -> SlideHeader:
    """The header with its fingerprints, and with every tile that was looked at held against the size of the file."""
    levels = set(map(id, _levels(directories)))
    header_digest = hashlib.sha256()
    pixel_digest = hashlib.sha256()
    checked = bad = 0
    for directory in directories:
        table = directory.tile_table()
        header_digest.update(directory.raw)
        for tag in _FINGERPRINT_TAGS:
            header_digest.update(directory.raw_value(tag))
        if table is not None:
            header_digest.update(_bytes(table.offsets) + _bytes(table.byte_counts))
            checked += table.offsets.size
            bad += table.count_beyond(size)
        if id(directory) in levels:
            if table is None or table.total < _tiles_needed(directory):
                raise ifd.CorruptTiff(directory.offset, "the tile table is shorter than the image needs")
            # A hostile file may give a negative number here, which would not pack.
            method = max(0, directory.first_int(ifd.COMPRESSION, 1) or 0)
            shape = (*_geometry(directory), method, table.total)
            pixel_digest.update(struct.pack("<6Q", *shape) + _bytes(table.byte_counts))
    header = replace(
        header,
        header_fingerprint=f"sha256:{header_digest.hexdigest()}",
        pixel_fingerprint=f"sha256:{pixel_digest.hexdigest()}",
        tiles_checked=checked,
        tiles_bad=bad,
    )
    if bad and header.status == "ok":
        detail = f"{bad} of {checked} tiles that were looked at lie beyond the end of the file (size {size})"
        return replace(header, status="truncated", status_detail=detail)
    return header


def _bytes(numbers: Any) -> bytes:
    data: bytes = numbers.astype("<u8").tobytes()
    return data


def _geometry(directory: Directory) -> tuple[int, int, int, int]:
    """Image width and height, tile width and height in pixels; 0 for what is missing or impossible."""
    tags = (ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH, ifd.TILE_WIDTH, ifd.TILE_LENGTH)
    sides = (directory.first_int(tag, 0) or 0 for tag in tags)
    width, height, tile_width, tile_height = (side if 0 < side < _MAX_SIDE else 0 for side in sides)
    return width, height, tile_width, tile_height


def _tiles_needed(directory: Directory) -> int:
    width, height, tile_width, tile_height = _geometry(directory)
    planes = directory.first_int(ifd.SAMPLES_PER_PIXEL, 1) if directory.first_int(ifd.PLANAR_CONFIGURATION) == 2 else 1
    return -(-width // tile_width) * -(-height // tile_height) * (planes or 1)


def _levels(directories: Sequence[Directory]) -> list[Directory]:
    """The pyramid, largest level first: the largest tiled image, and smaller tiled ones of the same shape."""
    tiled = [(_geometry(directory), directory) for directory in directories if directory.is_tiled]
    if not tiled:
        return []
    (width, height, _, _), base = max(tiled, key=lambda item: item[0][0] * item[0][1])
    smaller = [
        (sides[0], directory)
        for sides, directory in tiled
        if all(sides) and sides[0] < width and sides[1] <= height and _fits(sides[0], sides[1], width, height)
    ]
    smaller.sort(key=lambda item: -item[0])
    return [base, *(directory for _, directory in smaller)]


def _fits(width: int, height: int, full_width: int, full_height: int) -> bool:
    # Each halving may round a side up or down by a pixel, so small levels differ most: two pixels, or 1 %.
    return abs(width / full_width - height / full_height) <= max(2 / full_width + 2 / full_height, 0.01 * width / full_width)


def _associated(directories: Sequence[Directory], levels: Sequence[Directory]) -> dict[str, Any]:
    """Which of label, overview and thumbnail the file holds; None where an image is of no known kind."""
    pyramid = set(map(id, levels))
    is_aperio = _is_aperio(directories[0])
    width, height, _, _ = _geometry(levels[0])
    kinds = set()
    for index, directory in enumerate(directories):
        if id(directory) not in pyramid:
            sides = _geometry(directory)
            fits = bool(sides[0] and sides[1]) and _fits(sides[0], sides[1], width, height)
            kinds.add(_kind(directory, is_aperio=is_aperio, is_second=index == 1, fits=fits))
    unknown = None in kinds
    return {f"has_{kind}": True if kind in kinds else None if unknown else False for kind in _DESCRIBED.values()}


def _kind(directory: Directory, *, is_aperio: bool, is_second: bool, fits: bool) -> str | None:
    """What an image beside the pyramid shows.

    In Aperio files the second image is the thumbnail; label and overview are named in the second line of their description
    in old files, and known only by NewSubfileType 1 and 9 in files from a GT450.
    """
    lines = directory.text(ifd.IMAGE_DESCRIPTION).splitlines()
    words = " ".join(lines[1:2] if is_aperio else lines[:1]).split()
    if words and (described := _DESCRIBED.get(words[0].lower())):
        return described
    subfile = directory.first_int(ifd.NEW_SUBFILE_TYPE, 0)
    if not is_aperio:
        return None
    if subfile == 9:
        return _OVERVIEW
    if not directory.is_tiled and ((is_second and (fits or subfile != 1)) or "->" in words):
        return _THUMBNAIL
    return _LABEL if subfile == 1 else None


def _aperio(first: Directory) -> dict[str, Any]:
    description = first.text(ifd.IMAGE_DESCRIPTION)
    values = _aperio_values(description)
    mpp = _plausible_mpp(_number(values.get("mpp")))
    texts = (value for key, value in values.items() if key.rpartition(".")[2] in _NUMBER_KEYS)
    model = re.match(r"Aperio Leica Biosystems (\S.{0,40}?) v\d", description)
    return {
        "format": "svs",
        "vendor": "aperio",
        "scanner_model": values.get("scannertype") or (model[1] if model else None),
        "scanner_serial": values.get("scanscope id") or values.get("scanner id"),
        "scan_datetime": _aperio_datetime(values.get("date", ""), values.get("time", "")),
        "mpp_x": mpp,
        "mpp_y": mpp,
        "mpp_source": None if mpp is None else "vendor",
        "objective_power": _positive(_number(values.get("appmag"))),
        "barcode": values.get("barcode"),
        "label_text": values.get("labeltext") or values.get("customfield.labeltext"),
        "metadata_texts": tuple(dict.fromkeys(texts)),
    }


def _aperio_values(description: str) -> dict[str, str]:
    """Aperio's ``...|Key = Value|...`` by lower-case key; the first segment is the software and geometry line.

    Split once at "=", since values may hold one; of a repeated key the first counts; empty values are left out.
    """
    values: dict[str, str] = {}
    for segment in description.split("|")[1:]:
        key, separator, value = segment.partition("=")
        if separator and value.strip():
            values.setdefault(key.strip().lower(), value.strip())
    return values


def _aperio_datetime(date: str, time: str) -> datetime | None:
    """The scanner's clock: Date is month/day/year; "Time Zone" is left out, since other vendors give no zone either."""
    match = re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})", date)
    if not match:
        return None
    month, day, year = map(int, match.groups())
    clock = re.fullmatch(r"(\d{1,2}):(\d{2}):(\d{2})", time)
    return _datetime(year + 2000 if year < 100 else year, month, day, *(map(int, clock.groups()) if clock else ()))


def _generic(level: Directory) -> dict[str, Any]:
    mpp_x, mpp_y = _resolution_mpp(level, ifd.X_RESOLUTION), _resolution_mpp(level, ifd.Y_RESOLUTION)
    taken = re.fullmatch(r"(\d{4}):(\d\d):(\d\d) (\d\d):(\d\d):(\d\d)", level.text(ifd.DATE_TIME))
    make, model = level.text(ifd.MAKE), level.text(ifd.MODEL)
    description = level.text(ifd.IMAGE_DESCRIPTION)
    # A long or structured description is a converter's record, full of numbers that are nobody's case.
    plain = description if len(description) <= 200 and not description.startswith(("{", "<")) else ""
    texts = (level.text(ifd.DOCUMENT_NAME), level.text(ifd.PAGE_NAME), plain)
    return {
        "format": "tiff",
        "vendor": "generic-tiff",
        "scanner_model": " ".join(filter(None, (make, model))) if model else None,
        "scan_datetime": _datetime(*map(int, taken.groups())) if taken else None,
        "mpp_x": mpp_x,
        "mpp_y": mpp_y,
        "mpp_source": None if mpp_x is mpp_y is None else "tiff_resolution",
        "metadata_texts": tuple(dict.fromkeys(filter(None, texts))),
    }


def _resolution_mpp(level: Directory, tag: int) -> float | None:
    """Microns per pixel from a resolution tag (TIFF 6.0, section 8; the unit is the inch if none is given).

    A printer's resolution (72, 300 dots per inch …) is what software writes when it knows nothing: it stays missing.
    """
    microns = {2: 25_400.0, 3: 10_000.0}.get(level.first_int(ifd.RESOLUTION_UNIT, 2) or 0)
    resolution = level.rational(tag)
    if microns is None or resolution is None or resolution <= 0:
        return None
    dpi = resolution * 25_400 / microns
    if any(math.isclose(dpi, usual, rel_tol=0.001) for usual in _PRINT_DPI):
        return None
    return _plausible_mpp(microns / resolution)


def _plausible_mpp(mpp: float | None) -> float | None:
    return mpp if mpp is not None and 0.01 <= mpp <= 100 else None


def _positive(number: float | None) -> float | None:
    return number if number is not None and number > 0 else None


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"[+-]?\d{1,12}(\.\d{0,20})?(e[+-]?\d{1,2})?", text, re.ASCII | re.IGNORECASE):
        return None
    return float(text)


def _datetime(year: int, month: int, day: int, *clock: int) -> datetime | None:
    """A date and, if given, hour, minute and second; None if there is no such date."""
    hour, minute, second = clock or (0, 0, 0)
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 -- the scanner's local time, zone unknown
    except ValueError:
        return None
