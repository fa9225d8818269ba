"""Ventana BIF files, and the TIFF of the same scanners, with planted answers."""

from collections.abc import Mapping, Sequence

from pathcurate.demo.tiffwriter import Field, ascii_text, encode_tiff, undefined
from tests.makers.pages import DATE_TIME, XMP, striped, tiled

TILE = 256
ISCAN: Mapping[str, str] = {
    "Magnification": "40", "ScanRes": "0.2525", "UnitNumber": "2000515", "ScannerModel": "VENTANA DP 200",
    "UserName": "Nobody", "BuildVersion": "3.3.1.1", "BuildDate": "11/02/2012 3:20:24 PM", "Z-layers": "1",
    "Barcode1D": "S12-3456", "Barcode2D": "", "JP2FileName": "D:/images/S12-3456-A1.bif", "BaseName": "S12-3456-A1",
}  # fmt: skip


def ventana(
    *,
    iscan: Mapping[str, str] = ISCAN,
    quote: str = '"',
    root: str = "iScan",
    label: str = "Label Image",
    areas: Sequence[tuple[int, int, int, int]] = ((5, 4, 0, 0),),
    overlap: tuple[int, int] = (12, 7),
    levels: int = 3,
    joints: int | None = None,
    sideways: str = "RIGHT",
    is_tiff: bool = False,
    probability: bool = False,
    ifds_first: bool = False,
    thin: bool = False,
) -> bytes:
    """A slide.

    Args:
        iscan: attributes of the scanner's element.
        quote: what they are written in.
        root: the XML's outermost element: ``iScan`` or ``Metadata``.
        label: description of the overview.
        areas: columns and rows of tiles, and Pos-X and Pos-Y in pixels, of each area that was scanned.
        overlap: of neighbouring tiles in pixels, sideways and upwards.
        levels: of the pyramid, each half of the one before.
        joints: how often the list of joints is repeated, to make the XML long.
        sideways: the direction of joints between columns.
        is_tiff: no area, no overlap: the scanner's plain TIFF.
        probability: whether the image of where the scanner saw tissue is there.
        ifds_first: directories before the tiles.
        thin: tiles of a few bytes.
    """
    attributes = " ".join(f"{key}={quote}{value}{quote}" for key, value in iscan.items())
    element = f"<iScan {attributes}/>"
    first = element if root == "iScan" else f"<?xml version='1.0' encoding='utf-8' ?><{root}><X/>{element}</{root}>"
    pages = [striped((120, 360), text=label, fields={XMP: _xmp(first)})]
    if probability:
        pages.append(striped((60, 180), text="Probability_Image"))
    pages.append(striped((100, 80), text="Thumbnail"))
    columns, rows = max(area[0] for area in areas), sum(area[1] for area in areas)
    power = float(iscan.get("Magnification", 40))
    for index in range(levels):
        size = (max(1, columns * TILE >> index), max(1, rows * TILE >> index))
        fields: dict[int, Field] = {}
        if not index:
            fields[DATE_TIME] = ascii_text("2014:05:30 14:39:20")
            if not is_tiff:
                fields[XMP] = _xmp(encode_info(areas, overlap, joints or 1, sideways))
        text = f"level={index} mag={power / 2**index:g} quality=90"
        pages.append(tiled(size, TILE, text=text, fields=fields, seed=index, thin=thin))
    return encode_tiff(pages, bigtiff=not is_tiff, ifds_first=ifds_first)


def encode_info(areas: Sequence[tuple[int, int, int, int]], overlap: tuple[int, int], repeats: int, sideways: str) -> str:
    """The XML of level 0: how the tiles of each area overlap. Tiles are numbered from below, to and fro."""
    infos, origins, start = [], [], 0
    for index, (columns, rows, left, bottom) in enumerate(areas):

        def tile(column: int, row: int, columns: int = columns) -> int:
            return row * columns + (columns - 1 - column if row % 2 else column) + 1

        joined = []
        for row in range(rows):
            for column in range(columns):
                if column + 1 < columns:
                    joined.append((sideways, tile(column, row), tile(column + 1, row), overlap[0], 0))
                if row + 1 < rows:
                    joined.append(("UP", tile(column, row), tile(column, row + 1), 0, overlap[1]))
        lines = "".join(
            f'<TileJointInfo FlagJoined="1" Confidence="{90 + number % 10}" Direction="{way}" Tile1="{one}" Tile2="{two}"'
            f' OverlapX="{across}" OverlapY="{down}"/>'
            for number, (way, one, two, across, down) in enumerate(joined * repeats)
        )
        infos.append(
            f'<ImageInfo AOIScanned="1" AOIIndex="{index}" NumRows="{rows}" NumCols="{columns}" Width="{TILE}"'
            f' Height="{TILE}" Pos-X="{left}" Pos-Y="{bottom}">{lines}</ImageInfo>'
        )
        origins.append(f'<AOI{index} OriginX="0" OriginY="{start * TILE}"/>')
        start += rows
    return (
        f'<EncodeInfo Ver="2"><SlideInfo/><SlideStitchInfo>{"".join(infos)}</SlideStitchInfo>'
        f"<AoiOrigin>{''.join(origins)}</AoiOrigin></EncodeInfo>"
    )


def _xmp(text: str) -> Field:
    return undefined(text.encode() + b"\0")
