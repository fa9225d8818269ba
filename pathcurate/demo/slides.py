"""Made-up whole-slide images: painted tissue in an Aperio SVS file or in a generic pyramidal TIFF.

OpenSlide opens them as vendors ``aperio`` and ``generic-tiff``. The page order of an SVS file is that of Aperio's own
writer: level 0, thumbnail, lower levels, label, macro (Aperio, "Digital Slides and Third-Party Data Interchange", 2008).
"""

import os
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont

from pathcurate.demo.tiffwriter import Field, Page, ascii_text, encode_lzw, encode_tiff, longs, rational, shorts

TILE = 256
"""Width and height of a tile in pixels."""
LABEL_SIZE = (420, 300)
MACRO_SIZE = (640, 240)
THUMBNAIL_WIDTH = 512

_SOFTWARE = "Aperio Image Library v12.0.15"
_QUALITY = 70
_LZW, _JPEG = 5, 7
_RGB, _YCBCR = 2, 6
_NEW_SUBFILE_TYPE = 254
_REDUCED, _LABEL, _MACRO = 1, 1, 9

_GLASS = (244, 242, 245)
# Cytoplasm from one colour to the other, then nuclei: haematoxylin and eosin, or brown DAB on blue counterstain.
_PALETTES = {
    "HE": ((238, 176, 205), (204, 128, 182), (96, 52, 132)),
    "IHC": ((222, 224, 236), (196, 166, 142), (112, 66, 34)),
}


def write_svs(
    path: bytes | Path,
    *,
    seed: int,
    size: tuple[int, int],
    description: Mapping[str, str],
    label_lines: Sequence[str] = (),
    label_barcode: str = "",
    stain: str = "HE",
    bigtiff: bool = False,
    ifds_first: bool = False,
) -> None:
    """Write an Aperio SVS file; the same arguments give the same bytes.

    Args:
        path: the file; bytes for a name that is not UTF-8.
        seed: what the tissue looks like.
        size: width and height of level 0 in pixels.
        description: keys of the ImageDescription in order, such as ``AppMag``, ``MPP``, ``ScanScope ID``, ``Barcode``.
        label_lines: Latin text on the glass label, which the macro shows too; without any there is no label image.
        label_barcode: text of the Code 39 barcode on the label: capitals, digits, and ``-. $/+%``.
        stain: ``HE``; anything else is painted as immunostain.
        bigtiff: 64-bit offsets.
        ifds_first: directories first and level 0 last, so that a file cut in its tiles still opens.
    """
    levels = _levels(paint_tissue(seed, size, stain), factor=4)
    thumbnail = levels[0].resize((THUMBNAIL_WIDTH, max(1, size[1] * THUMBNAIL_WIDTH // size[0])), Image.Resampling.BOX)
    label = paint_label(label_lines, label_barcode) if label_lines else None
    keys = "".join(f"|{key} = {value}" for key, value in description.items())
    geometry = f"{_SOFTWARE} \r\n{size[0]}x{size[1]} [0,0 {size[0]}x{size[1]}] ({TILE}x{TILE})"

    def tell(text: str) -> dict[int, Field]:
        return {270: ascii_text(text)}

    pages = [_tiled_page(levels[0], tell(f"{geometry} JPEG/RGB Q={_QUALITY}{keys}"))]
    pages.append(_jpeg_strips(thumbnail, tell(f"{geometry} -> {thumbnail.width}x{thumbnail.height} - {keys}")))
    pages += [
        _tiled_page(level, tell(f"{geometry} -> {level.width}x{level.height} JPEG/RGB Q={_QUALITY}")) for level in levels[1:]
    ]
    if label:
        text = f"{_SOFTWARE}\r\nlabel {label.width}x{label.height}"
        pages.append(_lzw_strips(label, {_NEW_SUBFILE_TYPE: longs(_LABEL), **tell(text)}))
    macro = paint_macro(thumbnail, label)
    text = f"{_SOFTWARE}\r\nmacro {macro.width}x{macro.height}"
    pages.append(_jpeg_strips(macro, {_NEW_SUBFILE_TYPE: longs(_MACRO), **tell(text)}))
    Path(os.fsdecode(path)).write_bytes(encode_tiff(pages, bigtiff=bigtiff, ifds_first=ifds_first))


def write_tiff(
    path: bytes | Path,
    *,
    seed: int,
    size: tuple[int, int],
    mpp: float | None,
    fields: Mapping[int, Field] | None = None,
    stain: str = "HE",
    bigtiff: bool = False,
    ifds_first: bool = False,
) -> None:
    """Write a generic pyramidal tiled TIFF; the same arguments give the same bytes.

    Args:
        path: the file; bytes for a name that is not UTF-8.
        seed: what the tissue looks like.
        size: width and height of level 0 in pixels.
        mpp: microns per pixel, written as XResolution and YResolution per centimetre; None writes no resolution.
        fields: further fields of the first page, by tag.
        stain: ``HE``; anything else is painted as immunostain.
        bigtiff: 64-bit offsets.
        ifds_first: directories first and level 0 last, so that a file cut in its tiles still opens.
    """
    first = dict(fields or {})
    if mpp is not None:
        resolution = rational(round(10_000_000 / mpp), 1000)
        first = {282: resolution, 283: resolution, 296: shorts(3), **first}
    levels = _levels(paint_tissue(seed, size, stain), factor=2)
    pages = [_tiled_page(levels[0], first)]
    pages += [_tiled_page(level, {_NEW_SUBFILE_TYPE: longs(_REDUCED)}) for level in levels[1:]]
    Path(os.fsdecode(path)).write_bytes(encode_tiff(pages, bigtiff=bigtiff, ifds_first=ifds_first))


def paint_tissue(seed: int, size: tuple[int, int], stain: str = "HE") -> Image.Image:
    """Tissue on glass as an RGB image: lobed pieces with glands, stroma and nuclei."""
    rng = np.random.default_rng(seed)
    pale, deep, nucleus = _PALETTES["HE" if stain == "HE" else "IHC"]
    # Shapes are drawn at a quarter of the size and enlarged: they are smooth, and it is sixteen times less work.
    width, height = max(8, size[0] // 4), max(8, size[1] // 4)
    outline = _pieces(rng, width, height) + 0.5 * (_noise(rng, width, height, 6) - 0.5)
    tissue = np.clip((outline - 0.42) * 9, 0, 1)
    glands = np.abs(_noise(rng, width, height, 28) - 0.5) * 2
    tissue *= np.clip(glands * 9 - 0.25, 0, 1)
    blend = np.clip(_noise(rng, width, height, 12) * 0.6 + (1 - glands) * 0.5, 0, 1)[..., None]
    cytoplasm = np.array(pale) * (1 - blend) + np.array(deep) * blend
    colour = np.array(_GLASS) * (1 - tissue[..., None]) + cytoplasm * tissue[..., None]
    picture = Image.fromarray(colour.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    density = tissue * np.clip(1.35 - 1.6 * glands + 0.9 * (blend[..., 0] - 0.5), 0.12, 1)
    where = Image.fromarray((density * 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    picture.paste(nucleus, mask=ImageChops.multiply(where, _nuclei(rng, size)))
    return picture


def _pieces(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Height field of two to four rounded pieces of tissue."""
    y, x = np.ogrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    field = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(2, 5))):
        cx, cy = rng.uniform(0.25, 0.75, 2)
        rx, ry = rng.uniform(0.14, 0.32, 2)
        field = np.maximum(field, 1 - 0.5 * (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2))
    return field


def _noise(rng: np.random.Generator, width: int, height: int, cells: int) -> NDArray[np.float32]:
    """Smooth noise from 0 to 1 with so many cells across."""
    grid = rng.random((max(2, cells * height // width), cells), dtype=np.float32)
    noise: NDArray[np.float32] = np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(noise, 0, 1)


def _nuclei(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Mask of round dots, 5 to 9 px wide, from a pattern of 512 px that repeats."""
    pattern = Image.new("L", (512, 512))
    draw = ImageDraw.Draw(pattern)
    for x, y, radius, shade in zip(
        rng.integers(4, 508, 2600), rng.integers(4, 508, 2600), rng.integers(2, 5, 2600), rng.integers(120, 256, 2600),
        strict=True,
    ):  # fmt: skip
        draw.ellipse((int(x - radius), int(y - radius), int(x + radius), int(y + radius)), fill=int(shade))
    mask = Image.new("L", size)
    for top in range(0, size[1], 512):
        for left in range(0, size[0], 512):
            mask.paste(pattern, (left, top))
    return mask


def paint_label(lines: Sequence[str], barcode: str = "") -> Image.Image:
    """A printed glass label: a Code 39 barcode, then lines of Latin text."""
    label = Image.new("RGB", LABEL_SIZE, "white")
    draw = ImageDraw.Draw(label)
    top = 16
    if barcode:
        elements = code39(barcode)
        left = (LABEL_SIZE[0] - 2 * sum(width for width, _ in elements)) // 2
        for width, dark in elements:
            if dark:
                draw.rectangle((left, top, left + 2 * width - 1, top + 71), fill="black")
            left += 2 * width
        top += 88
    for line in lines:
        draw.text((20, top), line, fill="black", font=ImageFont.load_default(size=30))
        top += 40
    return label


# Nine elements per character, bar first, a set bit is a wide one (ISO/IEC 16388:2023 table 1).
_CODE39_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%*"
_CODE39 = (
    0x034, 0x121, 0x061, 0x160, 0x031, 0x130, 0x070, 0x025, 0x124, 0x064, 0x109, 0x049, 0x148, 0x019, 0x118,
    0x058, 0x00D, 0x10C, 0x04C, 0x01C, 0x103, 0x043, 0x142, 0x013, 0x112, 0x052, 0x007, 0x106, 0x046, 0x016,
    0x181, 0x0C1, 0x1C0, 0x091, 0x190, 0x0D0, 0x085, 0x184, 0x0C4, 0x0A8, 0x0A2, 0x08A, 0x02A, 0x094,
)  # fmt: skip


def code39(text: str) -> list[tuple[int, bool]]:
    """Bars and spaces of a Code 39 symbol between its start and stop characters, as (width in modules, is a bar).

    Raises:
        ValueError: a character that Code 39 does not have.
    """
    elements: list[tuple[int, bool]] = []
    for character in f"*{text}*":
        pattern = _CODE39[_CODE39_CHARACTERS.index(character)]
        elements += [(2 if pattern >> 8 - position & 1 else 1, position % 2 == 0) for position in range(9)]
        elements.append((1, False))
    return elements[:-1]


def paint_macro(thumbnail: Image.Image, label: Image.Image | None) -> Image.Image:
    """A photo of the whole glass slide: the label on the left, if there is one, and the tissue beside it."""
    macro = Image.new("RGB", MACRO_SIZE, (176, 178, 182))
    draw = ImageDraw.Draw(macro)
    draw.rectangle((8, 10, MACRO_SIZE[0] - 9, MACRO_SIZE[1] - 11), fill=_GLASS, outline=(206, 208, 212), width=3)
    draw.rectangle((12, 14, 190, MACRO_SIZE[1] - 15), fill=(252, 252, 250))
    if label:
        macro.paste(label.resize((176, 126), Image.Resampling.BOX), (13, 50))
    tissue = thumbnail.copy()
    tissue.thumbnail((420, MACRO_SIZE[1] - 40))
    macro.paste(tissue, (200 + (420 - tissue.width) // 2, (MACRO_SIZE[1] - tissue.height) // 2))
    return macro


def _levels(picture: Image.Image, *, factor: int) -> list[Image.Image]:
    """The picture and smaller ones, until one fits into a tile."""
    levels = [picture]
    while max(levels[-1].size) > TILE:
        width, height = levels[-1].size
        size = (max(1, width // factor), max(1, height // factor))
        levels.append(levels[-1].resize(size, Image.Resampling.BOX))
    return levels


def _tiled_page(picture: Image.Image, fields: Mapping[int, Field]) -> Page:
    columns, rows = -(-picture.width // TILE), -(-picture.height // TILE)
    padded = Image.new("RGB", (columns * TILE, rows * TILE), _GLASS)
    padded.paste(picture)
    tiles = [
        _jpeg(padded.crop((column * TILE, row * TILE, (column + 1) * TILE, (row + 1) * TILE)))
        for row in range(rows)
        for column in range(columns)
    ]
    common = _common(picture, _JPEG, _YCBCR)
    return Page({**common, 322: shorts(TILE), 323: shorts(TILE), 530: shorts(2, 2), **fields}, tiles, tiled=True)


def _jpeg_strips(picture: Image.Image, fields: Mapping[int, Field]) -> Page:
    rows = 64
    strips = [_jpeg(strip) for strip in _strips(picture, rows)]
    return Page({**_common(picture, _JPEG, _YCBCR), 278: longs(rows), 530: shorts(2, 2), **fields}, strips)


def _lzw_strips(picture: Image.Image, fields: Mapping[int, Field]) -> Page:
    rows = 12
    raw = [strip.tobytes() for strip in _strips(picture, rows)]
    encoded = {data: encode_lzw(data) for data in dict.fromkeys(raw)}
    return Page({**_common(picture, _LZW, _RGB), 278: longs(rows), **fields}, [encoded[data] for data in raw])


def _strips(picture: Image.Image, rows: int) -> list[Image.Image]:
    return [picture.crop((0, top, picture.width, min(top + rows, picture.height))) for top in range(0, picture.height, rows)]


def _common(picture: Image.Image, compression: int, photometric: int) -> dict[int, Field]:
    """Fields that every page has: size, bits, compression, colour, samples and planes (TIFF 6.0 section 6)."""
    return {
        256: longs(picture.width),
        257: longs(picture.height),
        258: shorts(8, 8, 8),
        259: shorts(compression),
        262: shorts(photometric),
        277: shorts(3),
        284: shorts(1),
    }


def _jpeg(picture: Image.Image) -> bytes:
    """A self-contained JPEG with chroma halved both ways, as the YCbCrSubSampling field of its page says."""
    out = BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return out.getvalue()
