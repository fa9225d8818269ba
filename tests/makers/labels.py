"""Photos of glass labels with a symbol on them, worn as labels are."""

from functools import lru_cache
from typing import Any

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SYMBOLS = {
    "data_matrix": "DataMatrix", "qr": "QRCode", "code128": "Code128", "code39": "Code39", "pdf417": "PDF417",
    "aztec": "Aztec",
}  # fmt: skip
"""Names of :data:`pathcurate.model.slide.BARCODE_SOURCES` and what the writer calls them."""
MODULES = {
    "data_matrix": (3.0, 4.2, 6.0), "qr": (3.0, 4.2, 6.0), "aztec": (3.0, 4.2, 6.0),
    "code128": (1.3, 2.0, 3.0), "code39": (1.3, 1.8, 2.4), "pdf417": (1.6, 2.2, 3.0),
}  # fmt: skip
"""Small, middle and large width in pixels of a symbol's module (its narrowest bar) on a label of 600 pixels."""
ROTATIONS = (0, 7, 30, 90, 135, 263)
WEAR = ((0.5, 6.0), (1.1, 16.0))
"""Sigma of the blur and of the noise."""

_OVERSAMPLING = 3


def symbol(kind: str, text: str) -> Image.Image:
    """The bare symbol, one pixel a module (one-dimensional ones are given a height), with its quiet zone."""
    name = getattr(zxingcpp.BarcodeFormat, SYMBOLS[kind])
    writer: Any = zxingcpp
    if hasattr(writer, "create_barcode"):
        # Laboratories print square Data Matrix symbols; the writer would choose the oblong form for some texts.
        square = {"force_square": True} if kind == "data_matrix" else {}
        picture = np.asarray(writer.create_barcode(text, name, **square).to_image(scale=1))
    else:
        picture = np.asarray(writer.write_barcode(name, text))
    picture = picture if picture.ndim == 2 else picture[..., 0]
    dark = np.argwhere(picture < 128)
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
    picture = picture[top:bottom, left:right]
    if kind in {"code128", "code39"}:
        picture = np.repeat(picture[:1], max(12, picture.shape[1] // 5), axis=0)
    quiet = 10 if kind in {"code128", "code39"} else 4
    return Image.fromarray(np.pad(picture, quiet, constant_values=255))


@lru_cache(1)
def _page(
    symbols: tuple[tuple[str, str, float, tuple[int, int]], ...], rotation: float, size: int, lines: tuple[str, ...]
) -> Image.Image:
    """The print before a lens has seen it; one page is looked at in several states of wear."""
    large = size * _OVERSAMPLING
    page = Image.new("L", (large, large), 255)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        font = ImageFont.load_default(size=22 * _OVERSAMPLING)
        draw.text((large * 0.3, large * 0.16 + number * 26 * _OVERSAMPLING), line, fill=0, font=font)
    for kind, text, module, (x, y) in symbols:
        bare = symbol(kind, text)
        factor = module * _OVERSAMPLING
        # Through a whole multiple first: pixels of a module must not differ in size before the lens sees them.
        multiple = max(1, int(np.ceil(factor)))
        bare = bare.resize((bare.width * multiple, bare.height * multiple), Image.Resampling.NEAREST)
        shape = (round(bare.width * factor / multiple), round(bare.height * factor / multiple))
        bare = bare.resize(shape, Image.Resampling.BOX)
        page.paste(bare, (x * _OVERSAMPLING - bare.width // 2, y * _OVERSAMPLING - bare.height // 2))
    return page.rotate(rotation, Image.Resampling.BICUBIC, fillcolor=255).resize((size, size), Image.Resampling.BOX)


def paint_symbols(
    symbols: list[tuple[str, str, float, tuple[int, int]]], *, rotation: float = 0, blur: float = 0.5, noise: float = 6,
    seed: int = 0, size: int = 600, ink: int = 25, paper: int = 232,
    lines: tuple[str, ...] = ("S24-012345", "A1  HE", "DEPT PATHOLOGY"),
) -> Image.Image:  # fmt: skip
    """A square label in RGB.

    Args:
        symbols: kind, text, width of a module in pixels and middle (x, y) of each symbol.
        rotation: of the whole print, in degrees.
        blur: sigma in pixels.
        noise: sigma in grey levels.
        seed: of the noise.
        size: of a side in pixels.
        ink: grey level of the print.
        paper: grey level of the paper.
        lines: printed at the top.
    """
    page = _page(tuple(symbols), rotation, size, lines)
    page = page.filter(ImageFilter.GaussianBlur(blur))
    grey = ink + np.asarray(page, dtype=float) / 255 * (paper - ink)
    random = np.random.default_rng(seed)
    shade = np.linspace(0.94, 1.03, size)[None, :, None]
    colour = grey[..., None] * np.array([1.0, 0.99, 0.95]) * shade + random.normal(0, noise, (size, size, 3))
    return Image.fromarray(np.clip(colour, 0, 255).astype(np.uint8))


def paint_worn(kind: str, text: str, module: float, rotation: float, wear: tuple[float, float], seed: int) -> Image.Image:
    """A label with one symbol a little below its middle."""
    return paint_symbols([(kind, text, module, (300, 350))], rotation=rotation, blur=wear[0], noise=wear[1], seed=seed)
