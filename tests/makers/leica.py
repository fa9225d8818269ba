"""Leica SCN files with planted answers: a macro image of the whole glass, and one or more scanned regions."""

import base64
from collections.abc import Sequence

from pathcurate.demo.tiffwriter import Page, ascii_text, encode_tiff, rational, shorts
from tests.makers.pages import DESCRIPTION, tiled

OLD, NEW = "http://www.leica-microsystems.com/scn/2010/03/10", "http://www.leica-microsystems.com/scn/2010/10/01"
GLASS = (26_564_529, 76_734_106)
"""Width and height of the glass in nanometres, as in real files."""
PIXEL_NM = 500
MACRO = (160, 462)


def leica(
    *,
    namespace: str = NEW,
    barcode: str = "S12-3456",
    regions: Sequence[tuple[int, int, int, int]] = ((5_000_000, 9_000_000, 1000, 700),),
    levels: int = 3,
    has_macro: bool = True,
    light: str = "brightfield",
    planes: int = 1,
    bad_directory: bool = False,
    ifds_first: bool = True,
    thin: bool = False,
) -> bytes:
    """A slide.

    Args:
        namespace: which version of Leica's XML.
        barcode: Base64 in an element in the new version, an attribute in the old one.
        regions: left and top in nanometres, width and height in pixels.
        levels: of each region, each a quarter of the one before.
        has_macro: whether the glass itself has an image.
        light: the illumination of the regions.
        planes: focal planes of the regions.
        bad_directory: the regions name directories that are not there.
        ifds_first: directories before the tiles.
        thin: tiles of a few bytes.
    """
    pages = []
    images = []
    resolution = {282: rational(20_000, 1), 283: rational(20_000, 1), 296: shorts(3)}
    if has_macro:
        pages += [tiled((MACRO[0] >> index, MACRO[1] >> index), 128, seed=5) for index in range(2)]
        listed = [(index, MACRO[0] >> index, MACRO[1] >> index, None) for index in range(2)]
        images.append(_image("macro S12-3456", (0, 0, *GLASS), listed, "1.6", "brightfield"))
    for number, (left, top, width, height) in enumerate(regions):
        listed = []
        for plane in range(planes):
            for index in range(levels):
                sides = (max(1, width >> 2 * index), max(1, height >> 2 * index))
                directory = len(pages) + (100 if bad_directory else 0)
                listed.append((directory, *sides, plane if planes > 1 else None))
                pages.append(tiled(sides, 256, seed=index, fields=resolution, thin=thin))
        view = (left, top, width * PIXEL_NM, height * PIXEL_NM)
        images.append(_image(f"image {number}", view, listed, "20", light))
    text = _scn(namespace, barcode, images)
    pages[0] = Page({**pages[0].fields, DESCRIPTION: ascii_text(text)}, pages[0].segments, tiled=True)
    return encode_tiff(pages, bigtiff=True, ifds_first=ifds_first)


def _scn(namespace: str, barcode: str, images: Sequence[str]) -> str:
    old = namespace == OLD
    attribute = f' barcode="{barcode}"' if old else ""
    element = "" if old else f"<barcode>{base64.b64encode(barcode.encode()).decode()}</barcode>"
    return (
        f'<?xml version="1.0"?><scn xmlns="{namespace}" uuid="urn:uuid:1"><collection name="Collection S12-3456"'
        f' uuid="urn:uuid:2" sizeX="{GLASS[0]}" sizeY="{GLASS[1]}"{attribute}>{element}{"".join(images)}</collection></scn>'
    )


def _image(
    name: str,
    view: tuple[int, int, int, int],
    listed: Sequence[tuple[int, int, int, int | None]],
    objective: str,
    light: str,
) -> str:
    dimensions = "".join(
        f'<dimension sizeX="{width}" sizeY="{height}" r="{index}"'
        + (f' z="{plane}"' if plane is not None else "")
        + f' ifd="{directory}"/>'
        for index, (directory, width, height, plane) in enumerate(listed)
    )
    left, top, width, height = view
    return (
        f'<image name="{name}" uuid="urn:uuid:3"><creationDate>2012-05-23T15:27:33.147Z</creationDate>'
        '<device model="Leica SCN400;Leica SCN" version="1.5.1.10864 2012/05/10 13:29:07"/>'
        f'<pixels sizeX="{listed[0][1]}" sizeY="{listed[0][2]}">{dimensions}</pixels>'
        f'<view sizeX="{width}" sizeY="{height}" offsetX="{left}" offsetY="{top}" spacingZ="0"/>'
        f"<scanSettings><objectiveSettings><objective>{objective}</objective></objectiveSettings><illuminationSettings>"
        f"<numericalAperture>0.8</numericalAperture><illuminationSource>{light}</illuminationSource>"
        "</illuminationSettings></scanSettings></image>"
    )
