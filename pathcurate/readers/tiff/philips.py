"""Philips TIFF: the export of a Philips scanner's slide (UFS), described in XML in the first directory.

The XML is a ``DataObject`` whose attributes are named after DICOM; the scanned images are data objects within it, label and
overview often with their whole JPEG in Base64, so that it may be megabytes long. Of a longer one 16 KiB are read at both
ends: its beginning, where the slide's own image stands first or not, and its end, where the barcode and the scanner stand.
Whether a label or an overview lies between is then said only by directories of their own; has_label stays unknown without.
Layout: OpenSlide's description of the format, and the XML of public slides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff import markup
from pathcurate.readers.tiff.description import (
    LABEL,
    OVERVIEW,
    Description,
    geometry,
    local_datetime,
    number,
    positive,
)
from pathcurate.readers.tiff.markup import Element

VENDOR: Final = "philips"
FORMAT: Final = "philips"

_WHOLE_BYTES: Final = 16_384
_START_BYTES: Final = 4096
_SHORT_BYTES: Final = 4096
_LONG_BYTES: Final = 12_288
_IMAGE_START: Final = '<DataObject ObjectType="DPScannedImage"'
_IMAGES: Final = {"LABELIMAGE": LABEL, "MACROIMAGE": OVERVIEW}
_DESCRIBED: Final = {"Label": LABEL, "Macro": OVERVIEW}
_MOST_POWER: Final = 200
_PLACEHOLDER: Final = "%FILENAME%"


@dataclass(frozen=True, slots=True)
class _Document:
    """What was read of the XML.

    Attributes:
        outside: the outermost data object, and what was read of its end.
        slide: the data object of the slide's own image.
        images: ``label`` and ``overview``, as far as they were seen.
        is_whole: whether all of it was read.
        size: bytes that were read of it.
    """

    outside: tuple[Element, ...]
    slide: Element | None
    images: frozenset[str]
    is_whole: bool
    size: int

    def value(self, name: str) -> str | None:
        """The value of an attribute of the slide's image, else of the outermost object."""
        found = (_value(element, name) for element in (self.slide, *self.outside) if element)
        return next(filter(None, found), None)


def matches(first: Directory) -> bool:
    """Whether the software is Philips's, or the description begins with its kind of data object."""
    return first.text(ifd.SOFTWARE).startswith("Philips") or b'"DPUfsImport"' in first.raw_value(ifd.IMAGE_DESCRIPTION, 512)


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`.

    Sizes of levels are padded to whole tiles, so downsamples come from the pixel spacing of each level.
    """
    document = _read(directories[0])
    levels = tuple(directory for directory in directories if directory.is_tiled)
    images: dict[str, Directory | None] = {}
    for directory in directories:
        if not directory.is_tiled:
            text = directory.text(ifd.IMAGE_DESCRIPTION)
            kind = next((kind for name, kind in _DESCRIBED.items() if text.startswith(name)), None)
            if kind:
                images.setdefault(kind, directory)
    for kind in document.images:
        images.setdefault(kind, None)
    return Description(
        _identity(document),
        levels,
        images,
        document.is_whole,
        downsamples=_downsamples(document, levels),
        extra_bytes=document.size,
    )


def _read(first: Directory) -> _Document:
    entry = first.entries.get(ifd.IMAGE_DESCRIPTION)
    size = entry.size if entry else 0
    if size <= _WHOLE_BYTES:
        root = markup.parse(_text(first, 0, _WHOLE_BYTES))
        found = _scanned_images(root) if root else []
        return _document((root,), found, size, is_whole=bool(root and root.is_whole))
    start = _text(first, 0, _START_BYTES)
    root = markup.parse(start)
    found = _scanned_images(root) if root else []
    if any(_type(image) == "WSI" for image in found):
        root = markup.parse(start + _text(first, _START_BYTES, _LONG_BYTES - _START_BYTES))
        found = _scanned_images(root) if root else []
        end = _text(first, max(_LONG_BYTES, size - _SHORT_BYTES), _SHORT_BYTES)
    else:
        end = _text(first, size - _LONG_BYTES, _LONG_BYTES)
    # What begins in the middle is no document; from the start of its last image on it is one.
    _, mark, rest = end.rpartition(_IMAGE_START)
    last = markup.parse(mark + rest) if mark else None
    # Neither is what follows the images, until it has a beginning.
    after = markup.parse("<DataObject>" + end.rpartition("</Array>")[2].partition("</Attribute>")[2])
    return _document((root, after), [*found, *([last] if last else [])], _START_BYTES + _LONG_BYTES, is_whole=False)


def _document(outside: Sequence[Element | None], found: Sequence[Element], size: int, *, is_whole: bool) -> _Document:
    slide = next((image for image in found if _type(image) == "WSI"), None)
    kinds = frozenset(_IMAGES[kind] for image in found if (kind := _type(image)) in _IMAGES)
    return _Document(tuple(filter(None, outside)), slide, kinds, is_whole, size)


def _text(first: Directory, start: int, length: int) -> str:
    return markup.text_of(first, ifd.IMAGE_DESCRIPTION, length, start)


def _scanned_images(root: Element) -> list[Element]:
    arrays = (item for item in root.every("Attribute") if item.attributes.get("Name") == "PIM_DP_SCANNED_IMAGES")
    return [image for array in arrays for image in array.every("Array", "DataObject")]


def _type(image: Element) -> str | None:
    return _value(image, "PIM_DP_IMAGE_TYPE")


def _value(element: Element, name: str) -> str | None:
    values = (item.text for item in element.every("Attribute") if item.attributes.get("Name") == name)
    return next(filter(None, values), None)


def _identity(document: _Document) -> SlideHeader:
    mpp_x, mpp_y = _spacing(document.value("DICOM_PIXEL_SPACING"))
    derivation = document.value("DICOM_DERIVATION_DESCRIPTION") or ""
    settings, _, exported = derivation.partition("-sourceFilename=")
    file_names = (document.value("PIM_DP_SOURCE_FILE") or "", exported.strip('"'))
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=document.value("DICOM_MANUFACTURERS_MODEL_NAME"),
        scanner_serial=document.value("DICOM_DEVICE_SERIAL_NUMBER"),
        scan_datetime=_datetime(document.value("DICOM_ACQUISITION_DATETIME") or ""),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "vendor",
        objective_power=_power(settings),
        barcode=markup.from_base64(document.value("PIM_DP_UFS_BARCODE") or ""),
        metadata_texts=tuple(dict.fromkeys(name for name in file_names if name not in {"", _PLACEHOLDER})),
    )


def _spacing(text: str | None) -> tuple[float | None, float | None]:
    """Microns per pixel, x and y, from ``"row spacing" "column spacing"`` in millimetres."""
    numbers = [number(part.strip('"')) for part in (text or "").split()]
    if len(numbers) != 2:
        return None, None
    y, x = (None if spacing is None else 1000 * spacing for spacing in numbers)
    return x, y


def _power(settings: str) -> float | None:
    """The objective, which is the first of ``levels=`` if that is a power at all (others number levels from 10000)."""
    levels = next((item.partition("=")[2] for item in settings.split("-") if item.startswith("levels=")), "")
    power = positive(number(levels.partition(",")[0]))
    return power if power is not None and power <= _MOST_POWER else None


def _datetime(text: str) -> datetime | None:
    match = re.match(r'"?(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)', text, re.ASCII)
    return local_datetime(*map(int, match.groups())) if match else None


def _downsamples(document: _Document, levels: Sequence[Directory]) -> tuple[float, ...] | None:
    """Of each level: the rounded ratio of pixel spacings, or powers of two where the XML does not reach so far and the
    padded sizes agree with them; None if neither holds.
    """
    sequence = (
        representation
        for item in (document.slide.every("Attribute") if document.slide else ())
        if item.attributes.get("Name") == "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"
        for representation in item.every("Array", "DataObject")
    )
    spacings = [_spacing(_value(representation, "DICOM_PIXEL_SPACING")) for representation in sequence]
    if len(spacings) == len(levels) and (by_spacing := _ratios(spacings)):
        return by_spacing
    powers = tuple(float(1 << index) for index in range(min(len(levels), 32)))
    return powers if len(powers) == len(levels) and _agree(levels, powers) else None


def _ratios(spacings: Sequence[tuple[float | None, float | None]]) -> tuple[float, ...] | None:
    (full_x, full_y), *_ = spacings or [(None, None)]
    found = [1.0]
    for x, y in spacings[1:]:
        if x is None or y is None or not full_x or not full_y:
            return None
        found.append(float(round((x / full_x + y / full_y) / 2)))
    return tuple(found) if all(0 < a < b for a, b in pairwise(found)) else None


def _agree(levels: Sequence[Directory], downsamples: Sequence[float]) -> bool:
    """Whether each level's padded size is that of the first, divided and rounded up to whole tiles, or one tile more."""
    sizes = [geometry(level) for level in levels]
    for (width, height, tile_width, tile_height), downsample in zip(sizes, downsamples, strict=True):
        if not all((width, height, tile_width, tile_height)):
            return False
        for side, full, tile in ((width, sizes[0][0], tile_width), (height, sizes[0][1], tile_height)):
            least = -(-full // int(downsample))
            if not least <= side <= least + 2 * tile:
                return False
    return True
