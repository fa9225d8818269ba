"""Ventana BIF and the TIFF of the same scanners (iScan Coreo, DP 200, DP 600).

The iScan element in the XMP of the first directory says who scanned; directories are told apart by their description:
``level=0 mag=40 quality=90``, ``Label Image`` or ``Label_Image`` (the overview, label included), ``Thumbnail``,
``Probability_Image`` (where the scanner saw tissue). The tiles of level 0 overlap; by how much stands for every pair of
tiles in that level's own XMP, which for a whole slide is larger than the header pass may read. So width and height are those
of the joined image, as OpenSlide computes them, only if that XMP is at most 16 KiB; of a larger slide they are those of the
level's directory, which is larger by the overlaps. Sources: OpenSlide's description of the format, Roche's BIF white paper.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff import markup
from pathcurate.readers.tiff.description import (
    OVERVIEW,
    THUMBNAIL,
    Description,
    geometry,
    number,
    positive,
    tiff_datetime,
)
from pathcurate.readers.tiff.markup import Element

VENDOR: Final = "ventana"
FORMAT: Final = "bif"

_XMP_BYTES: Final = 16_384
_DESCRIBED: Final = {"Label Image": OVERVIEW, "Label_Image": OVERVIEW, "Thumbnail": THUMBNAIL}
_OTHERS: Final = frozenset({"Probability_Image"})
_TEXTS: Final = ("JP2FileName", "BaseName", "SlideAnnotation")
"""Attributes in which a laboratory may have put its number."""
_ISCANS: Final = (("iScan",), ("SlideInfo", "iScan"))


@dataclass(frozen=True, slots=True)
class _Level:
    number: int
    power: float
    directory: Directory


@dataclass(frozen=True, slots=True)
class _Area:
    """A scanned area of interest: its columns and rows of tiles, and its place as written, in pixels of level 0."""

    columns: int
    rows: int
    left: int
    bottom: int


def matches(first: Directory) -> bool:
    """Whether the XMP holds an iScan element."""
    return ifd.XMP in first and b"<iScan" in first.raw_value(ifd.XMP, _XMP_BYTES)


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`."""
    iscan = _iscan(markup.parse(markup.text_of(directories[0], ifd.XMP, _XMP_BYTES)))
    levels: list[_Level] = []
    images: dict[str, Directory | None] = {}
    is_complete = True
    for directory in directories:
        text = directory.text(ifd.IMAGE_DESCRIPTION)
        level = _level(directory, text)
        if level:
            levels.append(level)
        elif kind := _DESCRIBED.get(text):
            images.setdefault(kind, directory)
        elif text not in _OTHERS:
            is_complete = False
    levels.sort(key=lambda level: level.number)
    header = _identity(iscan, levels[0].directory if levels else directories[0])
    if not levels:
        return Description(header, (), images, is_complete)
    return Description(
        header,
        tuple(level.directory for level in levels),
        images,
        is_complete,
        size=_joined_size(levels[0].directory),
        downsamples=tuple(levels[0].power / level.power for level in levels),
        extra_bytes=sum(
            markup.read_bytes(directory, ifd.XMP, _XMP_BYTES) for directory in {directories[0], levels[0].directory}
        ),
    )


def _iscan(root: Element | None) -> Element | None:
    if root is None or root.name == "iScan":
        return root
    return next((found for path in _ISCANS if (found := root.first(*path))), None)


def _level(directory: Directory, text: str) -> _Level | None:
    """A level of the pyramid, if the description says that it is one and it has tiles."""
    pairs = dict(pair.partition("=")[::2] for pair in text.split())
    power = number(pairs.get("mag"))
    if not directory.is_tiled or not power or power < 0 or not re.fullmatch(r"\d{1,3}", pairs.get("level", ""), re.ASCII):
        return None
    return _Level(int(pairs["level"]), power, directory)


def _identity(iscan: Element | None, level: Directory) -> SlideHeader:
    values = {} if iscan is None else {key: text for key, value in iscan.attributes.items() if (text := value.strip())}
    mpp = positive(number(values.get("ScanRes")))
    barcodes = [values[key] for key in ("Barcode1D", "Barcode2D") if key in values]
    texts = (*barcodes[1:], *(values[key] for key in _TEXTS if key in values))
    layers = number(values.get("Z-layers"))
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=values.get("ScannerModel"),
        scanner_serial=values.get("UnitNumber"),
        # BuildDate is that of the scanner's software.
        scan_datetime=tiff_datetime(level),
        mpp_x=mpp,
        mpp_y=mpp,
        mpp_source=None if mpp is None else "vendor",
        objective_power=positive(number(values.get("Magnification"))),
        focal_planes=int(layers) if layers and 1 <= layers <= 1000 else None,
        barcode=barcodes[0] if barcodes else None,
        metadata_texts=tuple(dict.fromkeys(texts)),
    )


def _joined_size(level: Directory) -> tuple[int, int] | None:
    """Width and height of level 0 with its tiles laid over each other; None if the XMP does not say or is too large."""
    entry = level.entries.get(ifd.XMP)
    _, _, tile_width, tile_height = geometry(level)
    if entry is None or entry.size > _XMP_BYTES or not tile_width or not tile_height:
        return None
    root = markup.parse(markup.text_of(level, ifd.XMP, _XMP_BYTES))
    if root is None or not root.is_whole or root.name != "EncodeInfo":
        return None
    infos = [info for info in root.every("SlideStitchInfo", "ImageInfo") if info.whole("AOIScanned")]
    areas = [area for info in infos if (area := _area(info, tile_width, tile_height))]
    joints = [joint for info in infos for joint in info.every("TileJointInfo")]
    if not areas or len(areas) != len(infos):
        return None
    advance_x = tile_width - _mean_overlap(joints, "OverlapX", {"RIGHT", "LEFT"})
    advance_y = tile_height - _mean_overlap(joints, "OverlapY", {"UP", "DOWN"})
    if not 0 < advance_x <= 2 * tile_width or not 0 < advance_y <= 2 * tile_height:
        return None
    # The place of an area is written from a point below all of them to its lower edge; the image begins at the highest.
    heights = [int((area.rows - 1) * advance_y + tile_height) for area in areas]
    top = max(0, *(area.bottom + height for area, height in zip(areas, heights, strict=True)))
    right = max(area.left + (area.columns - 1) * advance_x + tile_width for area in areas)
    below = max(
        top - area.bottom - height + (area.rows - 1) * advance_y + tile_height
        for area, height in zip(areas, heights, strict=True)
    )
    return math.ceil(right), math.ceil(below)


def _area(info: Element, tile_width: int, tile_height: int) -> _Area | None:
    """An area whose tiles are as large as the level's; None if it is not, or does not say what is needed."""
    columns, rows = info.whole("NumCols"), info.whole("NumRows")
    left, bottom = number(info.attributes.get("Pos-X")), number(info.attributes.get("Pos-Y"))
    if (info.whole("Width"), info.whole("Height")) != (tile_width, tile_height) or left is None or bottom is None:
        return None
    return _Area(columns, rows, int(left), int(bottom)) if columns and rows and min(columns, rows) > 0 else None


def _mean_overlap(joints: Sequence[Element], name: str, directions: set[str]) -> float:
    """Mean overlap in pixels of neighbours in these directions, by the scanner's confidence; 0 if there are none."""
    total = weights = 0.0
    for joint in joints:
        overlap = number(joint.attributes.get(name))
        weight = number(joint.attributes.get("Confidence"))
        if joint.attributes.get("Direction") in directions and overlap is not None and weight is not None:
            total += weight * overlap
            weights += weight
    return total / weights if weights else 0.0
