"""Leica SCN: XML in the first directory lists the images of the glass and their directories.

The macro is an ordinary image that shows the whole glass, label included: it goes from the XML and its directories from the
chain, and what the XML says of the others' places in the chain is counted anew. Of a slide of several regions readers need
it, so a white one takes its place. Source: OpenSlide's description of the format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pathcurate import ifd
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.tiff import markup
from pathcurate.scrubbers.tiff.slide import Role, Slide

if TYPE_CHECKING:
    # Names a type; what parses is defusedxml.
    from xml.etree.ElementTree import Element

HEAD_TEXT: Final = True
_MARK: Final = "http://www.leica-microsystems.com/scn/"
_MOST_BYTES: Final = 8 << 20
_MOST_SHARE: Final = 0.8
"""Of the glass's area that a scanned region may show; an image of more shows the end where the label is."""
_LEAST_POWER: Final = 2.0
"""The photo of the glass is taken through an objective of less."""


def roles(slide: Slide) -> Sequence[Role]:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    glass = _glass(markup.decoded(slide.directories[0].raw_value(ifd.IMAGE_DESCRIPTION, _MOST_BYTES)))
    if glass.regions & glass.shown or not glass.regions or max(glass.regions) >= len(slide.directories):
        raise UnscrubbableError("its XML does not tell the scanned regions from the photo of the glass")
    if not all(slide.directories[index].is_tiled for index in glass.regions):
        raise UnscrubbableError("a scanned region is not in tiles")
    blank = Role.BLANK if glass.is_needed else Role.GONE
    return [
        Role.LEVEL if index in glass.regions else blank if index in glass.shown else Role.GONE
        for index in range(len(slide.directories))
    ]


def clean(slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
    """See :class:`pathcurate.scrubbers.tiff.slide.Dialect`."""
    if index:
        return None
    text = markup.decoded(data)
    glass = _glass(text)
    kept = glass.regions | glass.shown if glass.is_needed else glass.regions
    places = {str(number): str(new) for new, number in enumerate(sorted(kept))}
    drop = frozenset() if glass.is_needed else glass.ordinals
    made = markup.Filter(
        slide.judge, table, slide.place(index, tag), {"image": drop}, {("dimension", "ifd"): places}
    ).filtered(text)
    return f'<?xml version="1.0"?>{made}'.encode() + b"\0"


@dataclass(frozen=True, slots=True)
class _Glass:
    """What the XML says of the glass.

    Attributes:
        ordinals: images that show it, counted in document order.
        regions: directories of the scanned regions.
        shown: directories of the images that show the glass.
        is_needed: whether readers need one of those: OpenSlide does, where there are several regions.
    """

    ordinals: frozenset[int]
    regions: frozenset[int]
    shown: frozenset[int]
    is_needed: bool


def _glass(text: str) -> _Glass:
    images, gone = _images(text)
    regions = [_directories(image) for index, image in enumerate(images) if index not in gone]
    shown = {number for index in gone for number in _directories(images[index])}
    return _Glass(
        frozenset(gone), frozenset(number for numbers in regions for number in numbers), frozenset(shown), len(regions) > 1
    )


def _images(text: str) -> "tuple[list[Element], set[int]]":
    """The images of the collection in document order, and which of them show the glass."""
    root = markup.tree(text)
    collections = list(markup.children(root, "collection"))
    if _MARK not in root.tag or len(collections) != 1:
        raise UnscrubbableError("its first description is not Leica's")
    images = list(markup.children(collections[0], "image"))
    area = _area(collections[0])
    return images, {index for index, image in enumerate(images) if _shows_glass(image, area)}


def _shows_glass(image: "Element", area: float) -> bool:
    views = list(markup.children(image, "view"))
    powers = [_number(item.text) for item in markup.children(image, "scanSettings", "objectiveSettings", "objective")]
    return (
        len(views) != 1
        or _area(views[0]) >= _MOST_SHARE * area
        or (_number(views[0].get("offsetX")), _number(views[0].get("offsetY"))) == (0, 0)
        or any(power < _LEAST_POWER for power in powers)
    )


def _area(element: "Element") -> float:
    return _number(element.get("sizeX")) * _number(element.get("sizeY"))


def _directories(image: "Element") -> list[int]:
    found = [item.get("ifd", "") for item in markup.children(image, "pixels", "dimension")]
    if not all(number.isascii() and number.isdigit() and len(number) < 6 for number in found):
        raise UnscrubbableError("its XML names a directory by no number")
    return [int(number) for number in found]


def _number(text: str | None) -> float:
    """A size or a power; 0 for anything else, so that what is not understood is not kept."""
    try:
        found = float(text or 0)
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e12 else 0.0
