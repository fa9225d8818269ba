"""Machine-readable symbols on the photo of a glass label: Data Matrix, QR, Code 128, Code 39, PDF417, Aztec.

One look is not enough: a plain call of zxing-cpp misses small, noisy and tilted symbols, so a label is looked at in several
ways until two of them agree. How many ways there are is fixed, not how long they take: the same label gives the same answer
on a slow machine.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

_SOURCES: Final = {
    "DataMatrix": "data_matrix", "QRCode": "qr", "Code128": "code128", "Code39": "code39", "PDF417": "pdf417",
    "Aztec": "aztec", "Code93": "other_symbol", "MaxiCode": "other_symbol",
}  # fmt: skip
"""Formats that are looked for, by the name that the decoder gives them.

Codabar and ITF are not: they have no check character, and part of a tilted symbol reads as a shorter one.
"""
_BY_FORMAT: Final = {getattr(zxingcpp.BarcodeFormat, name): source for name, source in _SOURCES.items()}
_FORMATS: Final = zxingcpp.barcode_formats_from_str("|".join(_SOURCES))
_UNCHECKED: Final = frozenset({"code39"})
"""Symbols whose check character is optional: seen once, they are not believed."""

_MOST_SIDE: Final = 1000
"""A longer label is scaled down first; scanners photograph the label at 400 to 1,200 pixels."""
_MOST_PIXELS: Final = 1_000_000
_MOST_PART_PIXELS: Final = 400_000
_LEAST_SIDE: Final = 16
_ENOUGH: Final = 2
_SMEAR: Final = 9
"""Length in pixels over which bars are smeared."""
_CELLS: Final = 40
"""Along the longer side of an image, when it is searched for parts with many edges."""
_MOST_PARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Symbols:
    """The symbol that stands for the glass.

    Attributes:
        text: what it says.
        source: one of :data:`pathcurate.model.slide.BARCODE_SOURCES`.
        confidence: share of the looks at the label that found a symbol with this text, above 0 and at most 1.
    """

    text: str
    source: str
    confidence: float


def read_symbols(image: Image.Image) -> Symbols | None:
    """The symbol on a label; None if none can be read.

    Of several, the one with the longest text that holds a digit: labels also carry a maker's or a stain's code. A text that
    two looks agree on goes before one that a single look gave, however long.

    Args:
        image: photo of a label, of any mode.
    """
    votes: Counter[tuple[str, str]] = Counter()
    looks = 0
    for look in _looks(image):
        looks += 1
        votes.update(_decode(look))
        best = _best(votes)
        if best is not None and votes[best] >= _ENOUGH:
            break
    best = _best(votes)
    if best is None or (votes[best] < _ENOUGH and best[1] in _UNCHECKED):
        return None
    return Symbols(*best, confidence=votes[best] / looks)


def _decode(image: Image.Image) -> set[tuple[str, str]]:
    """Text and source of every symbol in an image; one that fills several lines of it counts once."""
    found = set()
    for code in zxingcpp.read_barcodes(np.asarray(image), formats=_FORMATS, text_mode=zxingcpp.TextMode.Plain):
        # From release 3 on, the format may be a variety of the symbology (QR Code Model 2).
        source = _BY_FORMAT.get(getattr(code, "symbology", code.format)) or _BY_FORMAT.get(code.format)
        text = code.text.strip()
        if source is not None and text:
            found.add((text, source))
    return found


def _best(votes: Counter[tuple[str, str]]) -> tuple[str, str] | None:
    def rank(found: tuple[str, str]) -> tuple[object, ...]:
        text, source = found
        agreed = min(votes[found], _ENOUGH)
        return agreed, any(character.isdigit() for character in text), len(text), votes[found], source, text

    return max(votes, key=rank, default=None)


def _looks(image: Image.Image) -> Iterator[Image.Image]:
    """Ways to look at a label, the cheap and usual ones first."""
    grey = image.convert("L")
    grey.thumbnail((_MOST_SIDE, _MOST_SIDE), Image.Resampling.LANCZOS)
    if min(grey.size) < _LEAST_SIDE:
        return
    yield grey
    median = grey.filter(ImageFilter.MedianFilter(3))
    yield median
    # No cutoff: the ink of a small symbol is less than a hundredth of the label.
    contrast = ImageOps.autocontrast(grey)
    yield _enlarged(contrast, 2, _MOST_PIXELS)
    angle = _tilt(grey)
    upright = contrast.rotate(-angle, Image.Resampling.BICUBIC, expand=True, fillcolor=_paper(contrast))
    regions = [upright.crop(box) for box in _dense_parts(upright)]
    for change, factor in _CHANGES:
        for region in regions:
            yield _enlarged(change(region), factor, _MOST_PART_PIXELS)


def _softened(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(0.7))


def _sharpened(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.UnsharpMask(radius=2, percent=180, threshold=2))


def _smeared_along(image: Image.Image) -> Image.Image:
    """Bars that lie along x may be smeared along their length: the noise goes and they stay."""
    return _smeared(image, axis=1)


def _smeared_across(image: Image.Image) -> Image.Image:
    return _smeared(image, axis=0)


_CHANGES: Final = ((_softened, 3), (_sharpened, 2), (_smeared_along, 3), (_smeared_across, 3))
"""How a part of a label is changed before it is read, and enlarged by how much; what helped most often comes first."""


def _enlarged(image: Image.Image, factor: int, most_pixels: int) -> Image.Image:
    """The image so many times larger, or as much as the bound on pixels allows."""
    most = (most_pixels / (image.width * image.height)) ** 0.5
    scale = max(1.0, min(factor, most))
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def _paper(image: Image.Image) -> int:
    return int(np.median(np.asarray(image)))


def _smeared(image: Image.Image, axis: int) -> Image.Image:
    means = _running_mean(np.asarray(image, dtype=np.float32), _SMEAR, axis)
    return Image.fromarray(means.round().astype(np.uint8))


def _running_mean(pixels: NDArray[np.float32], length: int, axis: int) -> NDArray[np.float32]:
    pad = [(0, 0), (0, 0)]
    pad[axis] = (length // 2 + 1, length // 2)
    sums = np.cumsum(np.pad(pixels, pad, mode="edge"), axis=axis, dtype=np.float64)
    count = pixels.shape[axis]
    high = np.take(sums, range(length, length + count), axis=axis)
    low = np.take(sums, range(count), axis=axis)
    return ((high - low) / length).astype(np.float32)


def _gradients(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Differences along x and y of a slightly smoothed image."""
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), dtype=np.float32)
    dx, dy = np.zeros_like(pixels), np.zeros_like(pixels)
    dx[:, 1:-1] = pixels[:, 2:] - pixels[:, :-2]
    dy[1:-1] = pixels[2:] - pixels[:-2]
    return dx, dy


def _tilt(image: Image.Image) -> float:
    """By how many degrees the print is turned against the upright, from -45 to 45: edges of symbols and letters lie along
    two directions at right angles, so the fourth power of the gradients, as complex numbers, adds up.
    """
    dx, dy = _gradients(image)
    gradient = (dx + 1j * dy).astype(np.complex64)
    strong = np.abs(gradient)
    strong = strong * (strong > np.percentile(strong, 85))
    if not strong.any():
        return 0.0
    directions = np.angle(gradient) * 4
    total = complex((strong * np.cos(directions)).sum(), (strong * np.sin(directions)).sum())
    # y goes down in an image, so a positive angle is clockwise; PIL turns counter-clockwise.
    return float(-np.degrees(np.angle(total)) / 4)


def _dense_parts(image: Image.Image) -> list[tuple[int, int, int, int]]:
    """Boxes around the parts with the most edges, where symbols and print are; at most four, the largest first."""
    cell = max(4, min(max(image.size) // _CELLS, min(image.size) // 2))
    dx, dy = _gradients(image)
    # Without a bound, one hard edge (the rim of the label) would outshine everything.
    edges = np.minimum(np.hypot(dx, dy), 100)
    rows, columns = edges.shape[0] // cell, edges.shape[1] // cell
    cells = edges[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell).mean(axis=(1, 3))
    usual = float(np.median(cells))
    parts = _connected(cells > usual + 0.3 * (float(np.percentile(cells, 99.5)) - usual))
    parts.sort(key=lambda part: -sum(float(cells[place]) for place in part))
    return [_around(part, cell, image.size) for part in parts[:_MOST_PARTS]]


def _around(part: list[tuple[int, int]], cell: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box in pixels around some cells, with a margin of a cell and a half for the quiet zone."""
    rows, columns = [row for row, _ in part], [column for _, column in part]
    margin = cell * 3 // 2
    left, top = max(0, min(columns) * cell - margin), max(0, min(rows) * cell - margin)
    right, bottom = (max(columns) + 1) * cell + margin, (max(rows) + 1) * cell + margin
    return left, top, min(size[0], right), min(size[1], bottom)


def _connected(mask: NDArray[np.bool_]) -> list[list[tuple[int, int]]]:
    """The parts of a small mask whose cells touch, also at a corner."""
    left = {(int(row), int(column)) for row, column in np.argwhere(mask)}
    parts = []
    while left:
        part = [left.pop()]
        for row, column in part:
            near = {(row + down, column + right) for down in (-1, 0, 1) for right in (-1, 0, 1)} & left
            left -= near
            part.extend(near)
        parts.append(part)
    return parts
