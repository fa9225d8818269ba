"""OME-TIFF: OME-XML in the first directory's description, or in a companion file beside it.

Elements and attributes stay by allow-list, everything else goes, as OME's model has room for anything. The images that are
named label, macro, overview or thumbnail go, and whatever has not the shape of the largest one. What a companion file says
of this file becomes the description of the copy, which needs no companion. Source: the OME data model 2016-06.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pathcurate import ifd
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff import markup
from pathcurate.scrubbers.tiff.slide import Role, Slide, described, has_shape, sides

if TYPE_CHECKING:
    # Names a type; what parses is defusedxml.
    from xml.etree.ElementTree import Element

HEAD_TEXT: Final = True
_BESIDE: Final = re.compile(r"label|macro|overview|thumb|barcode|slide ?image", re.IGNORECASE)
_MOST_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class _Image:
    """An image of the XML: its ordinal in the document, whether it may stay, and its directories' places in the chain."""

    ordinal: int
    is_named_beside: bool
    planes: range


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    return _roles(slide, _images(markup.tree(_xml(slide)), len(slide.directories)))


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    if index:
        return None
    text = _xml(slide)
    root = markup.tree(text)
    images = _images(root, len(slide.directories))
    kept = [place for place, role in enumerate(_roles(slide, images)) if role is Role.LEVEL]
    places = {str(place): str(new) for new, place in enumerate(kept)}
    staying = {image.ordinal for image in images if set(image.planes) <= set(kept)}
    total = sum(1 for _ in markup.children(root, "Image"))
    made = markup.Filter(
        slide.judge, table, slide.place(index, tag),
        {"Image": frozenset(range(total)) - staying}, {("TiffData", "IFD"): places},
    ).filtered(text)  # fmt: skip
    return f'<?xml version="1.0" encoding="UTF-8"?>{made}'.encode() + b"\0"


def _roles(slide: Slide, images: Sequence[_Image]) -> list[Role]:
    directories = slide.directories
    of_slide = [image for image in images if not image.is_named_beside and directories[image.planes[0]].is_tiled]
    full = max((sides(directories[image.planes[0]]) for image in of_slide), key=math.prod, default=(0, 0))
    if not all(full):
        raise UnscrubbableError("its XML names no tiled image")
    listed = {place for image in images for place in image.planes}
    kept: set[int] = set()
    for image in of_slide:
        if all(_fits(slide, place, full) for place in image.planes):
            kept |= set(image.planes)
    # Levels of older files are directories of the chain that the XML does not name.
    kept |= {place for place in range(len(directories)) if place not in listed and _fits(slide, place, full)}
    return [Role.LEVEL if place in kept else Role.GONE for place in range(len(directories))]


def _fits(slide: Slide, place: int, full: tuple[int, int]) -> bool:
    directory = slide.directories[place]
    size = sides(directory)
    # The first description is the XML itself.
    word = described(directory) if place else ""
    return directory.is_tiled and all(size) and has_shape(*size, *full) and not word


def _xml(slide: Slide) -> str:
    """The OME-XML of the file, from its companion if it has one.

    Raises:
        UnscrubbableError: there is none, or the companion is not beside it.
    """
    first = slide.directories[0]
    text = markup.decoded(first.raw_value(ifd.IMAGE_DESCRIPTION, _MOST_BYTES))
    root = markup.tree(text)
    if markup.local(root.tag) != "OME":
        raise UnscrubbableError("its first description is not OME-XML")
    binary = next(markup.children(root, "BinaryOnly"), None)
    if binary is None:
        return text
    name = binary.get("MetadataFile", "").encode()
    if not 0 < len(name) < 256 or re.search(rb"[\0/\\]", name) or name in {b".", b".."}:
        raise UnscrubbableError("its XML names no companion file")
    slide.judge.gone("file", name.decode())
    try:
        with first.beside(name) as companion:
            found = markup.decoded(companion.read_at(0, min(companion.size, _MOST_BYTES)))
    except FileNotFoundError:
        raise UnscrubbableError("the companion file that holds its metadata is not beside it") from None
    return _of_this_file(found, binary.get("UUID", ""))


def _of_this_file(text: str, identifier: str) -> str:
    """A companion's XML, if it describes this file alone.

    Raises:
        UnscrubbableError: it describes others too.
    """
    named = {(item.text or "").strip() for item in markup.tree(text).iter() if markup.local(item.tag) == "UUID"}
    if named - {identifier}:
        raise UnscrubbableError("its companion file describes further files")
    return text


def _images(root: "Element", directories: int) -> list[_Image]:
    """Images that say where in the chain they are.

    Raises:
        UnscrubbableError: an image lies in directories that there are not, or in another file.
    """
    identifier = root.get("UUID", "")
    found = []
    for ordinal, element in enumerate(markup.children(root, "Image")):
        listed = list(markup.children(element, "Pixels", "TiffData"))
        uuids = {(item.text or "").strip() for entry in listed for item in markup.children(entry, "UUID")}
        if identifier and uuids - {identifier}:
            raise UnscrubbableError("its XML describes further files")
        planes = _planes(element, listed, is_first=not ordinal)
        if planes and (planes.start < 0 or planes.stop > directories):
            raise UnscrubbableError("its XML names directories that the file does not have")
        if planes:
            found.append(_Image(ordinal, _BESIDE.search(element.get("Name", "")) is not None, planes))
    return found


def _planes(image: "Element", listed: "Sequence[Element]", *, is_first: bool) -> range | None:
    """Its directories: from the least index of its TiffData, one for each plane; None if it is nowhere said."""
    if not listed and not is_first:
        return None
    start = min((_whole(item.get("IFD"), 0) for item in listed), default=0)
    counts = [_whole(item.get("PlaneCount"), 1) for item in listed]
    if not listed or (len(listed) == 1 and not listed[0].attrib):
        pixels = next(markup.children(image, "Pixels"), None)
        planes = [] if pixels is None else [_whole(pixels.get(name), 1) for name in ("SizeZ", "SizeT")]
        # Samples of one pixel, such as RGB, are no planes of their own.
        channels = max(1, sum(1 for _ in markup.children(image, "Pixels", "Channel")))
        counts = [max(1, planes[0]) * max(1, planes[1]) * channels] if planes else []
    return range(start, start + max(1, sum(counts)))


def _whole(text: str | None, default: int) -> int:
    found = (text or "").strip()
    return int(found) if re.fullmatch(r"[0-9]{1,9}", found, re.ASCII) else default
