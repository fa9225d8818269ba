"""The label of a study, which takes the place of a glass's own: the slide's code as print and as a QR symbol."""

from typing import Any, Final

import numpy as np
import zxingcpp
from PIL import Image, ImageDraw, ImageFont

SIZE: Final = (600, 600)
"""Width and height in pixels: as scanners photograph labels."""
_QUIET: Final = 4
"""Modules of white around a QR symbol (ISO/IEC 18004)."""
_MARGIN: Final = 30


def study_label(code: str) -> Image.Image:
    """A label in RGB that says a code, for people and for readers of symbols.

    Args:
        code: of the slide; Latin letters, digits, hyphens.
    """
    width, height = SIZE
    label = Image.new("RGB", SIZE, "white")
    symbol = _symbol(code)
    scale = max(1, (height * 2 // 3 - _MARGIN) // symbol.height)
    large = symbol.resize((symbol.width * scale, symbol.height * scale), Image.Resampling.NEAREST)
    label.paste(large.convert("RGB"), ((width - large.width) // 2, _MARGIN))
    draw = ImageDraw.Draw(label)
    size = 64
    while size > 8 and draw.textlength(code, font=ImageFont.load_default(size=size)) > width - 2 * _MARGIN:
        size -= 4
    draw.text((width / 2, height - 2 * _MARGIN), code, fill="black", font=ImageFont.load_default(size=size), anchor="ms")
    return label


def _symbol(code: str) -> Image.Image:
    """A QR symbol, one pixel a module, with its quiet zone."""
    writer: Any = zxingcpp
    if hasattr(writer, "create_barcode"):
        made = np.asarray(writer.create_barcode(code, zxingcpp.BarcodeFormat.QRCode).to_image(scale=1))
    else:
        # Before release 2.3 the writer makes pictures at once.
        made = np.asarray(writer.write_barcode(zxingcpp.BarcodeFormat.QRCode, code))
    made = made if made.ndim == 2 else made[..., 0]
    dark = np.argwhere(made < 128)
    (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
    return Image.fromarray(np.pad(made[top:bottom, left:right], _QUIET, constant_values=255))
