"""Leica SCN: BigTIFF whose first directory describes all images of the glass in XML.

A collection is the whole glass in nanometres; each image has a view on it (one for the macro, which shows all of it, label
included, and one for each scanned region) and lists its directories as dimensions. A slide of several regions is one pyramid
as large as the collection, as in OpenSlide, whose description of the format is the source.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff import markup
from pathcurate.readers.tiff.description import (
    OVERVIEW,
    Description,
    local_datetime,
    number,
    positive,
    pyramid,
)
from pathcurate.readers.tiff.markup import Element

VENDOR: Final = "leica"
FORMAT: Final = "scn"

_MARK: Final = b"http://www.leica-microsystems.com/scn/"
_XML_BYTES: Final = 32_768
"""An image of ten levels takes 2 KiB; a focus stack or many channels are the only reason for more."""
_BRIGHTFIELD: Final = "brightfield"


@dataclass(frozen=True, slots=True)
class _Dimension:
    """One directory of an image: its index in the chain, and width and height in pixels."""

    directory: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Image:
    """An image of the collection; lengths in nanometres.

    Attributes:
        levels: the dimensions of its first focal plane and channel, largest first.
        planes: how many focal planes it has.
        directories: of all its dimensions, by their index in the chain.
    """

    element: Element
    left: int
    top: int
    width: int
    height: int
    levels: tuple[_Dimension, ...]
    planes: int
    directories: tuple[int, ...]

    @property
    def is_brightfield(self) -> bool:
        path = ("scanSettings", "illuminationSettings", "illuminationSource")
        return self.element.value(*path) == _BRIGHTFIELD


def matches(first: Directory) -> bool:
    """Whether the description begins with XML in Leica's namespace."""
    return _MARK in first.raw_value(ifd.IMAGE_DESCRIPTION, 1024)


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`.

    Microns per pixel come from the view of the first scanned region; a slide that only fluoresces is described as well,
    by its first channel.
    """
    root = markup.parse(markup.text_of(directories[0], ifd.IMAGE_DESCRIPTION, _XML_BYTES))
    collection = root.first("collection") if root else None
    found = [] if collection is None else [image for element in collection.every("image") if (image := _image(element))]
    size = None if collection is None else (collection.whole("sizeX") or 0, collection.whole("sizeY") or 0)
    macros = [image for image in found if (image.left, image.top, image.width, image.height) == (0, 0, *(size or ()))]
    regions = [image for image in found if image not in macros]
    regions = [image for image in regions if image.is_brightfield] or regions[:1]
    if collection is None or size is None or min(size) <= 0 or not regions:
        # Nothing says which directory is what: the header is damaged, or of a kind that nobody has seen.
        levels = pyramid(directories)
        return Description(_identity(collection, None), levels, {}, is_complete=False)
    used = [dimension.directory for image in (regions[0], *macros[:1]) for dimension in image.levels]
    header = _identity(collection, regions[0])
    if max(used) >= len(directories):
        detail = "the description names a directory that the file does not have"
        header = SlideHeader("corrupt", detail, format=FORMAT, vendor=VENDOR)
        return Description(header, pyramid(directories), {}, is_complete=False)
    levels = tuple(directories[dimension.directory] for dimension in regions[0].levels)
    sizes = _level_sizes(size, regions)
    width, height = sizes[0]
    return Description(
        header,
        levels,
        {OVERVIEW: directories[macros[0].levels[0].directory]} if macros else {},
        is_complete=bool(root and root.is_whole),
        size=(width, height),
        downsamples=tuple((width / w + height / h) / 2 for w, h in sizes),
        extra_bytes=markup.read_bytes(directories[0], ifd.IMAGE_DESCRIPTION, _XML_BYTES),
        regions=tuple(
            directories[index]
            for image in found
            if image not in macros
            for index in image.directories
            if 0 <= index < len(directories)
        ),
    )


def _image(element: Element) -> _Image | None:
    """An image with a view and at least one dimension; None for anything else."""
    view, pixels = element.first("view"), element.first("pixels")
    if view is None or pixels is None:
        return None
    left, top, width, height = (view.whole(name) for name in ("offsetX", "offsetY", "sizeX", "sizeY"))
    listed = list(pixels.every("dimension"))
    channels = [dimension.whole("c") or 0 for dimension in listed]
    levels = [
        _Dimension(index, across, down)
        for dimension, channel in zip(listed, channels, strict=True)
        if not dimension.whole("z")
        and channel == min(channels)
        and (index := dimension.whole("ifd")) is not None
        and (across := dimension.whole("sizeX"))
        and (down := dimension.whole("sizeY"))
        and min(index, across - 1, down - 1) >= 0
    ]
    if left is None or top is None or not width or not height or min(width, height) < 0 or not levels:
        return None
    levels.sort(key=lambda level: -level.width)
    planes = len({dimension.whole("z") or 0 for dimension in listed})
    directories = tuple(index for dimension in listed if (index := dimension.whole("ifd")) is not None)
    return _Image(element, left, top, width, height, tuple(levels), planes, directories)


def _level_sizes(collection: tuple[int, int], regions: Sequence[_Image]) -> list[tuple[int, int]]:
    """Width and height of every level in pixels: the whole collection at the finest resolution that a region has there."""
    first = regions[0]
    alike = [image for image in regions if len(image.levels) == len(first.levels)]
    scales = [min(image.width / image.levels[index].width for image in alike) for index in range(len(first.levels))]
    return [(math.ceil(collection[0] / scale), math.ceil(collection[1] / scale)) for scale in scales]


def _identity(collection: Element | None, image: _Image | None) -> SlideHeader:
    names = () if collection is None else (collection, *collection.every("image"))
    texts = (element.attributes.get("name", "").strip() for element in names)
    mpp_x = positive(image.width / image.levels[0].width / 1000) if image else None
    mpp_y = positive(image.height / image.levels[0].height / 1000) if image else None
    element = image.element if image else collection.first("image") if collection else None
    device = element.first("device") if element else None
    power = element.value("scanSettings", "objectiveSettings", "objective") if element else None
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=device.attributes.get("model", "").strip() or None if device else None,
        scan_datetime=_datetime(element.value("creationDate") or "") if element else None,
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "vendor",
        objective_power=positive(number(power)),
        focal_planes=image.planes if image else None,
        barcode=_barcode(collection),
        metadata_texts=tuple(dict.fromkeys(filter(None, texts))),
    )


def _datetime(text: str) -> datetime | None:
    """The scanner's clock, which Leica writes as UTC."""
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", text, re.ASCII)
    return local_datetime(*map(int, match.groups())) if match else None


def _barcode(collection: Element | None) -> str | None:
    """The barcode: Base64 in an element (namespace 2010/10/01), or as it stands in an attribute (2010/03/10)."""
    if collection is None:
        return None
    text = collection.value("barcode")
    if text is None:
        return collection.attributes.get("barcode", "").strip() or None
    return markup.from_base64(text)
