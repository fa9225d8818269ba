"""Every format that OpenSlide knows and no reader before this one claims: NDPI, MRXS, SCN, BIF, Philips …

OpenSlide opens files by itself, so this reader works on local paths only. Its messages may hold paths and values and are
never passed on.
"""

import hashlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import openslide

from pathcurate import ifd
from pathcurate.model.slide import VENDORS, SlideHeader
from pathcurate.storage import LocalSource, Source

NAME: Final = "openslide"
VERSION: Final = 2

_FORMATS: Final = {
    "aperio": "svs", "generic-tiff": "tiff", "hamamatsu": "ndpi", "leica": "scn", "mirax": "mrxs",
    "philips": "philips", "trestle": "tiff", "ventana": "bif",
}  # fmt: skip

# Properties by column, the first that is there counts.
_MODELS: Final = (
    "philips.DICOM_MANUFACTURERS_MODEL_NAME", "leica.device-model", "ventana.ScannerModel", "hamamatsu.Product",
    "tiff.Model",
)  # fmt: skip
_SERIALS: Final = (
    "hamamatsu.NDP.S/N", "philips.DICOM_DEVICE_SERIAL_NUMBER", "ventana.UnitNumber", "hamamatsu.HardwareSerial",
)  # fmt: skip
_MIRAX_SERIAL: Final = re.compile(r"mirax\..*\.SCANNER_HARDWARE_ID")
_BARCODES: Final = ("openslide.barcode", "ventana.Barcode1D", "ventana.Barcode2D")
_LABEL_TEXTS: Final = ("hamamatsu.Reference",)
_NUMBER_TEXTS: Final = re.compile(
    r"mirax\.GENERAL\.(SLIDE_NAME|SLIDE_ID|PROJECT_NAME)|ventana\.(JP2FileName|BaseName)|philips\.PIM_DP_SOURCE_FILE"
    r"|sakura\.(SlideId|Description|Keywords)|hamamatsu\.Reference|tiff\.DocumentName"
)
"""Properties in which laboratories put their case number."""
_DATES: Final = (
    # An NDPI file's "Created" is the date of the scanner's calibration in files from NDP.scan, so DateTime comes first.
    ("tiff.DateTime", r"(?P<Y>\d{4})[:/](?P<m>\d\d)[:/](?P<d>\d\d) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"),
    ("philips.DICOM_ACQUISITION_DATETIME", r"(?P<Y>\d{4})(?P<m>\d\d)(?P<d>\d\d)(?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d).*"),
    ("mirax.GENERAL.SLIDE_CREATIONDATETIME", r"(?P<d>\d\d)/(?P<m>\d\d)/(?P<Y>\d{4}) (?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"),
    ("leica.creation-date", r"(?P<Y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)T(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d).*"),
    ("hamamatsu.Created", r"(?P<Y>\d{4})/(?P<m>\d\d)/(?P<d>\d\d)"),
)
"""Property and form of the scan date, as written (local time; Leica writes UTC)."""

_SLIDEDAT_BYTES: Final = 1 << 20
_PREVIEWS: Final = (b"\xff\xd8\xff", b"BM", b"\x89PNG")
_HEADS: Final = (b"ZISRAWFILE", b"SQLite format 3\0")


def claim(head: bytes, source: Source) -> bool:
    """Whether OpenSlide knows the file, or would if nothing of it were missing (MIRAX without its folder, NDPI cut off).

    OpenSlide's detectors are asked only about files that begin like one of its formats: they are native code, and most of
    an archive's other files are none of their business.

    Raises:
        OSError: the file cannot be read.
    """
    path = source.local_path
    if path is None:
        return False
    if _is_mirax(path) and head.startswith(_PREVIEWS):
        return True
    may_be = ifd.is_tiff(head) or head.startswith(_HEADS) or b"Virtual Microscope Specimen]" in head or _is_mirax(path)
    return may_be and (openslide.OpenSlide.detect_format(path) is not None or _first_of_ndpi(head, source) is not None)


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
    if _is_mirax(path) and (missing := _missing_companions(path)):
        return SlideHeader(status="companion_missing", status_detail=missing, format="mrxs", vendor="mirax")
    detected = openslide.OpenSlide.detect_format(path)
    if detected is None:
        return _undetected(path, source)
    vendor = detected if detected in VENDORS else "unknown"
    format_ = _format(detected, head=source.read_at(0, 4))
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


def _undetected(path: bytes, source: Source) -> SlideHeader:
    """For a file that bears a format's mark although OpenSlide does not know it: what is broken."""
    if _is_mirax(path):
        detail = "OpenSlide does not know the file, though its folder is whole"
        return SlideHeader(status="corrupt", status_detail=detail, format="mrxs", vendor="mirax")
    header = SlideHeader(status="corrupt", status_detail="broken directories", format="ndpi", vendor="hamamatsu")
    first = _first_of_ndpi(source.read_at(0, 16), source)
    # Above 4 GiB the pointer's upper half lies where plain TIFF does not look, and nothing can be said of it.
    if first is not None and source.size < 1 << 32 and first.next_offset >= source.size:
        detail = f"the next directory lies beyond the end of the file (offset {first.next_offset})"
        return replace(header, status="truncated", status_detail=detail)
    return header


def _first_of_ndpi(head: bytes, source: Source) -> ifd.Directory | None:
    """The first directory of a Hamamatsu NDPI file; None for any other file."""
    try:
        first = ifd.walk(source)[0] if ifd.is_tiff(head) else None
    except ifd.TiffDamage:
        return None
    return first if first is not None and ifd.NDPI_MARK in first else None


def _format(vendor: str | None, *, head: bytes) -> str:
    if vendor == "hamamatsu" and not ifd.is_tiff(head):
        return "other"  # VMS and VMU
    return _FORMATS.get(vendor or "", "other")


def _header(slide: openslide.OpenSlide, format_: str, vendor: str) -> SlideHeader:
    properties = slide.properties
    width, height = slide.dimensions
    images = set(slide.associated_images)
    is_ome = vendor == "generic-tiff" and "<OME" in properties.get("tiff.ImageDescription", "")
    # 72 dots per inch and the like are above 100; they are no pixel size.
    mpp_x, mpp_y = (_number(properties.get(f"openslide.mpp-{axis}"), 0.01, 100) for axis in "xy")
    sources = {"generic-tiff": "tiff_resolution"}
    return SlideHeader(
        status="ok",
        format="ome" if is_ome else format_,
        vendor=vendor,
        scanner_model=_first(properties, _MODELS),
        scanner_serial=_first(properties, _SERIALS) or next(_matching(properties, _MIRAX_SERIAL), None),
        scan_datetime=_scan_datetime(properties),
        width=width,
        height=height,
        level_count=slide.level_count,
        level_downsamples=tuple(slide.level_downsamples),
        tile_width=_integer(properties.get("openslide.level[0].tile-width")),
        tile_height=_integer(properties.get("openslide.level[0].tile-height")),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else sources.get(vendor, "openslide"),
        objective_power=_number(properties.get("openslide.objective-power"), 0.1, 1000),
        icc_profile="openslide.icc-size" in properties,
        has_label="label" in images,
        has_overview="macro" in images,
        has_thumbnail="thumbnail" in images,
        barcode=_first(properties, _BARCODES),
        label_text=_first(properties, _LABEL_TEXTS),
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
    reason. NDPI has its own rules and is left alone.
    """
    if header.vendor == "hamamatsu" or not ifd.is_tiff(source.read_at(0, 4)):
        return header
    try:
        directories = ifd.walk(source)
        tables = [table for directory in directories if (table := directory.tile_table())]
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


def _is_mirax(path: bytes) -> bool:
    return path[-5:].lower() == b".mrxs"


def _missing_companions(path: bytes) -> str | None:
    """What of a MIRAX slide's folder is missing: the folder's index, or files that the index names."""
    folder = Path(os.fsdecode(path)).with_suffix("")
    try:
        with LocalSource(os.fsencode(folder / "Slidedat.ini")) as source:
            index = source.read_at(0, _SLIDEDAT_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return "the folder beside the .mrxs file, or its Slidedat.ini, is missing"
    named = re.findall(rb"^\s*(?:INDEXFILE|FILE_\d+)\s*=\s*([^/\\\0\r\n]+?)\s*$", index, re.MULTILINE)
    lost = [name for name in set(named) if not (folder / os.fsdecode(name)).exists()]
    return f"{len(lost)} of the {len(set(named))} files that Slidedat.ini names are missing" if lost else None


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


def _number(text: str | None, least: float, most: float) -> float | None:
    try:
        number = float(text or "nan")
    except ValueError:
        return None
    return number if math.isfinite(number) and least <= number <= most else None


def _integer(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
