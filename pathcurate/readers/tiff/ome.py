"""OME-TIFF: any tiled TIFF with OME-XML as the first directory's description.

Levels are sub-directories of level 0 (tag 330), or directories of the chain in older files. Of the XML the first 24 KiB are
read; of a focus stack or many channels it may list every plane, after what matters here. A file may leave its metadata to
a companion file beside it. Source: the OME data model 2016-06 and its specification of OME-TIFF.
"""

import errno
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader
from pathcurate.readers.tiff import markup
from pathcurate.readers.tiff.description import (
    LABEL,
    OVERVIEW,
    THUMBNAIL,
    Description,
    geometry,
    has_shape,
    local_datetime,
    number,
    positive,
)
from pathcurate.readers.tiff.markup import Element

VENDOR: Final = "generic-tiff"
FORMAT: Final = "ome"

_XML_BYTES: Final = 24_576
_MARK: Final = re.compile(rb"<(\w{1,20}:)?OME[\s>]")
_DESCRIBED: Final = {"label": LABEL, "macro": OVERVIEW, "overview": OVERVIEW, "thumbnail": THUMBNAIL}
_MICRONS: Final[Mapping[str, float]] = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "pm": 1e-6, "Å": 1e-4, "mm": 1e3, "cm": 1e4, "m": 1e6,
    "in": 25_400.0,
}  # fmt: skip
"""By the unit of a physical size: micro sign and Greek mu are both met."""
_MOST_PLANES: Final = 100_000
_MOST_PLAIN: Final = 200
"""A longer description is a converter's record, full of numbers that are nobody's case."""
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class _Image:
    """An image of the XML.

    Attributes:
        kind: ``label``, ``overview`` or ``thumbnail``; None for the slide itself, or another scene of it.
        planes: indices of its directories in the chain.
        width: in pixels.
        height: in pixels.
    """

    element: Element
    kind: str | None
    planes: range
    width: int
    height: int


def matches(first: Directory) -> bool:
    """Whether the description begins as OME-XML."""
    return _MARK.search(first.raw_value(ifd.IMAGE_DESCRIPTION, 1024)) is not None


def describe(directories: Sequence[Directory]) -> Description:
    """See :class:`pathcurate.readers.tiff.description.Dialect`.

    The slide is the largest image that is not named label, macro, overview or thumbnail; its first plane stands for all.
    """
    first = directories[0]
    root = markup.parse(markup.text_of(first, ifd.IMAGE_DESCRIPTION, _XML_BYTES))
    header = SlideHeader("ok", format=FORMAT, vendor=VENDOR)
    if root and (binary := root.first("BinaryOnly")):
        root = _companion(first, binary)
        if root is None:
            detail = "the companion file that holds its metadata is not beside it"
            header = replace(header, status="companion_missing", status_detail=detail)
    found = _images(root, len(directories)) if root else []
    scenes = [image for image in found if image.kind is None and directories[image.planes[0]].is_tiled]
    slide = max(scenes, key=lambda image: image.width * image.height, default=None)
    if root and slide:
        header = _identity(root, slide)
    named = {image.planes[0] for image in found if image.kind}
    base = directories[slide.planes[0]] if slide else _largest(directories, named)
    if base is None:
        return Description(header, (), {}, is_complete=False)
    try:
        levels = _levels(base, base.sub_directories() or [d for index, d in enumerate(directories) if index not in named])
    except ifd.TiffDamage as damage:
        status = "truncated" if isinstance(damage, ifd.TruncatedTiff) else "corrupt"
        detail = f"{damage.reason} (offset {damage.offset})"
        levels, header = (base,), replace(header, status=status, status_detail=detail)
    images = {image.kind: directories[image.planes[0]] for image in reversed(found) if image.kind}
    inside = {index for image in found for index in image.planes} | {directories.index(base)}
    inside |= {index for index, directory in enumerate(directories) if directory in levels}
    is_complete = bool(root and root.is_whole) and len(inside) == len(directories)
    read = markup.read_bytes(first, ifd.IMAGE_DESCRIPTION, _XML_BYTES)
    return Description(header, levels, images, is_complete, extra_bytes=read)


def _companion(first: Directory, binary: Element) -> Element | None:
    """The root of the companion's XML; None if there is no such file beside this one."""
    name = binary.attributes.get("MetadataFile", "").encode()
    if not 0 < len(name) < 256 or re.search(rb"[\0/\\]", name) or name in {b".", b".."}:
        return None
    try:
        with first.beside(name) as companion:
            data = companion.read_at(0, _XML_BYTES)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    root = markup.parse(data.decode("utf-8", errors="ignore"))
    identifier = binary.attributes.get("UUID")
    if root and identifier:
        root.children = [child for child in root.children if child.name != "Image" or _lies_in(child, identifier)]
    return root


def _lies_in(image: Element, identifier: str) -> bool:
    """Whether an image's planes lie in the file with this UUID; a companion describes those of all its files."""
    found = [uuid.text for uuid in image.every("Pixels", "TiffData", "UUID")]
    return not found or identifier in found


def _images(root: Element, directories: int) -> list[_Image]:
    """The images that say where in the chain they are, in document order."""
    found = []
    for index, element in enumerate(root.every("Image")):
        pixels = element.first("Pixels")
        width, height = (pixels.whole("SizeX"), pixels.whole("SizeY")) if pixels else (None, None)
        planes = _planes(pixels, is_first=index == 0) if pixels else None
        if width and height and planes and width > 0 and height > 0 and 0 <= planes[0] < directories:
            kind = _DESCRIBED.get(element.attributes.get("Name", "").lower().removesuffix("image").strip(" _-"))
            found.append(_Image(element, kind, planes[: directories - planes[0]], width, height))
    return found


def _planes(pixels: Element, *, is_first: bool) -> range | None:
    """Its directories: the least index of its TiffData, and one for each plane; None if it is nowhere said."""
    listed = list(pixels.every("TiffData"))
    if not listed and not is_first:
        return None
    start = min((item.whole("IFD") or 0 for item in listed), default=0)
    counts = [item.whole("PlaneCount") or 1 for item in listed]
    if not listed or (len(listed) == 1 and not listed[0].attributes):
        sizes = [pixels.whole(name) or 1 for name in ("SizeZ", "SizeT")]
        # Samples of one pixel, such as RGB, are no planes of their own.
        channels = len(list(pixels.every("Channel"))) or 1
        counts = [max(1, sizes[0]) * max(1, sizes[1]) * channels]
    return range(start, start + min(_MOST_PLANES, max(1, sum(counts))))


def _largest(directories: Sequence[Directory], named: set[int]) -> Directory | None:
    tiled = (directory for index, directory in enumerate(directories) if directory.is_tiled and index not in named)
    return max(tiled, key=lambda directory: geometry(directory)[0] * geometry(directory)[1], default=None)


def _levels(base: Directory, others: Sequence[Directory]) -> tuple[Directory, ...]:
    """Level 0 and the smaller tiled images of its shape, one of each width: other planes have the same sizes."""
    width, height, *_ = geometry(base)
    if not width or not height:
        return (base,)
    smaller: dict[int, Directory] = {}
    for directory in others:
        across, down, *tile = geometry(directory)
        if directory.is_tiled and all((across, down, *tile)) and across < width and has_shape(across, down, width, height):
            smaller.setdefault(across, directory)
    return (base, *(smaller[across] for across in sorted(smaller, reverse=True)))


def _identity(root: Element, slide: _Image) -> SlideHeader:
    pixels = slide.element.first("Pixels") or slide.element
    mpp_x, mpp_y = (_microns(pixels, f"PhysicalSize{axis}") for axis in "XY")
    texts = (slide.element.attributes.get("Name", "").strip(), slide.element.value("Description") or "")
    plain = (text for text in texts if text and len(text) <= _MOST_PLAIN and not text.startswith(("{", "<")))
    instrument = _referred(root, slide.element, "Instrument", "InstrumentRef")
    microscope = instrument.first("Microscope") if instrument else None
    planes, channels = (pixels.whole(name) for name in ("SizeZ", "SizeC"))
    return SlideHeader(
        status="ok",
        format=FORMAT,
        vendor=VENDOR,
        scanner_model=_attribute(microscope, "Model"),
        scanner_serial=_attribute(microscope, "SerialNumber"),
        scan_datetime=_datetime(slide.element.value("AcquisitionDate") or ""),
        mpp_x=mpp_x,
        mpp_y=mpp_y,
        mpp_source=None if mpp_x is mpp_y is None else "vendor",
        objective_power=_power(instrument, slide.element),
        focal_planes=planes if planes and 0 < planes <= _MOST_PLANES else None,
        channels=channels if channels and 0 < channels <= _MOST_PLANES else None,
        metadata_texts=tuple(dict.fromkeys(plain)),
    )


def _attribute(element: Element | None, name: str) -> str | None:
    return (element.attributes.get(name, "").strip() or None) if element else None


def _referred(root: Element, image: Element, kind: str, reference: str) -> Element | None:
    """The element that an image refers to by ID, or the only one of its kind."""
    return _by_id(list(root.every(kind)), _attribute(image.first(reference), "ID"))


def _by_id(elements: Sequence[Element], identifier: str | None) -> Element | None:
    if identifier is None:
        return elements[0] if len(elements) == 1 else None
    return next((element for element in elements if element.attributes.get("ID") == identifier), None)


def _power(instrument: Element | None, image: Element) -> float | None:
    if instrument is None:
        return None
    reference = image.first("ObjectiveSettings") or image.first("ObjectiveRef")
    objective = _by_id(list(instrument.every("Objective")), _attribute(reference, "ID"))
    return positive(number(_attribute(objective, "NominalMagnification")))


def _microns(pixels: Element, name: str) -> float | None:
    """A physical size in microns, which is also the unit if none is given; None for a unit that is no length."""
    size = number(pixels.attributes.get(name))
    scale = _MICRONS.get(pixels.attributes.get(f"{name}Unit", "µm"))
    return None if size is None or scale is None else positive(size * scale)


def _datetime(text: str) -> datetime | None:
    match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)", text, re.ASCII)
    return local_datetime(*map(int, match.groups())) if match else None
