"""What a thumbnail says of a slide: how much tissue is on it, whether it is in focus, drawn upon, dark or empty.

A thumbnail shows what a person sees at arm's length: blur that is narrower than its pixels (some 30 µm) cannot be seen
here. All measures are taken as optical density against the glass, whose colour and light differ from scanner to scanner.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Plane = NDArray[np.float32]
"""Grey values or densities, height by width; colours are a third axis."""
Mask = NDArray[np.bool_]

_MASK_SIDE: Final = 640
_FOCUS_SIDE: Final = 1024
_LEAST_SIDE: Final = 32

_SHARP_RATIO: Final = 0.28
"""Detail of 2 pixels' width against detail of 8 pixels': sharp thumbnails have more, blurred ones less."""
_LEAST_FOCUS_PIXELS: Final = 30
_ROUNDING: Final = 2.5
"""Variance that whole grey levels and JPEG add to the Laplacian, also where they leave the glass without noise."""
_EMPTY_FRACTION: Final = 0.002
_PEN_FRACTION: Final = 0.0004
_DARK_LEVEL: Final = 110
"""Grey level of the glass below which a slide is dark; scanners show it between 170 and 255."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What was found on a thumbnail.

    Attributes:
        tissue_fraction: share of the picture covered by tissue, 0 to 1; pen does not count.
        blur: 0 (sharp) to 1 (blurred), flagged from 0.5; None where there is too little tissue to tell.
        pen_fraction: share of the picture covered by marker pen, 0 to 1.
        glass_level: grey level of the empty glass, 0 to 255.
    """

    tissue_fraction: float
    blur: float | None
    pen_fraction: float
    glass_level: float

    @property
    def is_empty(self) -> bool:
        """Whether there is practically no tissue."""
        return self.tissue_fraction < _EMPTY_FRACTION

    @property
    def is_blurred(self) -> bool:
        """Whether the tissue is out of focus."""
        return self.blur is not None and self.blur >= 0.5

    @property
    def is_penned(self) -> bool:
        """Whether somebody has drawn on the glass."""
        return self.pen_fraction >= _PEN_FRACTION

    @property
    def is_dark(self) -> bool:
        """Whether the lamp was too weak, or off."""
        return self.glass_level < _DARK_LEVEL

    @property
    def verdict(self) -> str:
        """A value of the column ``qc``: the first that applies of empty, blur, pen, dark; else ok."""
        if self.is_empty:
            return "empty"
        if self.is_blurred:
            return "blur"
        if self.is_penned:
            return "pen"
        return "dark" if self.is_dark else "ok"


def assess_thumbnail(image: Image.Image) -> Quality | None:
    """Judge a thumbnail; None if it is too small, or nothing of it but a black or white border is left.

    Args:
        image: of any mode and size.
    """
    picture = _scaled(image, _MASK_SIDE)
    pixels = np.asarray(picture, dtype=np.float32)
    seen = ~_border(pixels)
    if min(picture.size) < _LEAST_SIDE or seen.mean() < 0.2:
        return None
    glass = _glass(pixels, seen)
    densities = np.clip(-np.log(np.maximum(pixels, 1) / glass), -0.2, 4)
    planes = [_local_mean(np.ascontiguousarray(densities[..., band]), 3) for band in range(3)]
    pen = _pen(planes, seen, 0.75)
    tissue = _tissue(densities, seen, pen, is_blurred=False)
    blur = _blur(_scaled(image, _FOCUS_SIDE), tissue & ~_grown(pen, 9))
    if blur is not None and blur >= 0.5:
        # Ink that is out of focus is thinner, and tissue that is reaches beyond itself.
        pen = _pen(planes, seen, 0.6)
        tissue = _tissue(densities, seen, pen, is_blurred=True)
    return Quality(float(tissue.mean()), blur, float(pen.mean()), float(np.median(glass.mean(axis=2))))


def _scaled(image: Image.Image, most_side: int) -> Image.Image:
    """The picture in RGB, its longer side at most so many pixels."""
    picture = image.convert("RGB")
    picture.thumbnail((most_side, most_side), Image.Resampling.BOX)
    return picture


# --- Glass ---------------------------------------------------------------------------------------------------------


def _border(pixels: Plane) -> Mask:
    """Where the scanner did not look: rows and columns at the edges that are black or white throughout."""
    outside = np.zeros(pixels.shape[:2], dtype=bool)
    for axis in (0, 1):
        lines = np.moveaxis(pixels, axis, 0).reshape(pixels.shape[axis], -1)
        low, high = np.percentile(lines, (4, 96), axis=1)
        flat = (high < 10) | (low > 250)
        # Some scanners show the glass itself as pure white, so a broad border is none.
        most = len(flat) // 7
        first, last = (int(np.argmin(order)) if not order.all() else len(flat) for order in (flat, flat[::-1]))
        along = outside if axis == 0 else outside.T
        # One line more, which JPEG has mixed with its neighbour.
        if 0 < first <= most:
            along[: first + 1] = True
        if 0 < last <= most:
            along[-last - 1 :] = True
    return outside


def _glass(pixels: Plane, seen: Mask) -> Plane:
    """The empty glass at every pixel, in three colours: a plane through the bright and smooth pixels."""
    light = pixels.mean(axis=2)
    spread = _local_mean(light**2, 5) - _local_mean(light, 5) ** 2
    smooth = seen & (spread <= max(4.0, float(np.percentile(spread[seen], 40))))
    level = _brightest_mode(light[smooth])
    chosen = smooth & (np.abs(light - level) < max(3.0, 0.05 * level))
    height, width = light.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width - 0.5, y / height - 0.5], axis=-1)
    glass = np.broadcast_to(pixels[chosen].mean(axis=0) if chosen.any() else np.float32(level), pixels.shape)
    for _ in range(3):
        if chosen.sum() < 50:
            break
        step = max(1, int(chosen.sum()) // 20_000)
        solution, *_ = np.linalg.lstsq(terms[chosen][::step], pixels[chosen][::step], rcond=None)
        glass = terms @ solution
        chosen = smooth & (np.abs(light - glass.mean(axis=2)) < max(2.0, 0.02 * level))
    return np.asarray(np.maximum(glass, 1), dtype=np.float32)


def _brightest_mode(values: Plane) -> float:
    """The brightest grey level that many pixels share."""
    counts, edges = np.histogram(values, bins=64, range=(0, 256))
    counts = np.convolve(counts, [1, 2, 1], mode="same")
    around = np.array([counts[max(0, n - 2) : n + 3].max() for n in range(64)])
    peaks = np.flatnonzero((counts == around) & (counts >= 0.15 * counts.max()))
    return float(edges[peaks[-1]] + 2)


# --- Tissue and pen ------------------------------------------------------------------------------------------------


def _tissue(densities: Plane, seen: Mask, pen: Mask, *, is_blurred: bool) -> Mask:
    """Where something is denser than the glass: broader than dust, than the edge of a cover slip or of a bubble."""
    top = densities.max(axis=2)
    deep = _local_mean(top, 3)
    plain = deep[seen & ~pen]
    if plain.size < 100:
        return np.zeros_like(seen)
    # What is brighter than the glass is noise; in the dark there is more of it.
    brighter = -plain[plain < 0]
    noise = 1.5 * float(np.median(brighter)) if brighter.size else 0.0
    floor = float(np.clip(4 * noise, 0.02, 0.15))
    strong = plain[plain > floor]
    if strong.size < 50:
        return np.zeros_like(seen)
    level = float(np.percentile(strong, 60))
    window = 3 if level >= 0.15 else 7
    deep = _local_mean(top, window)
    # Half way up is where the edge was before it was blurred; sharp tissue has pale parts within its edge.
    threshold = np.clip(0.5 * level, floor, 0.35) if is_blurred else np.clip(0.35 * level, floor, 0.1)
    # Ink runs out into a rim that is paler than ink; lines and specks have grown by the window.
    return _opened(_closed((deep > threshold) & seen & ~_grown(pen, 7), 3), window + 4)


def _pen(planes: list[Plane], seen: Mask, least: float) -> Mask:
    """Where marker ink is: denser than ``least``, and in a proportion of colours that no stain has.

    Blue lets blue through, haematoxylin less so, alcian blue and Masson's let more green through; green ink is the only
    thing denser in blue than in green; red ink is nearly as dense in blue as in green, eosin and Congo red are not.
    """
    red, green, blue = planes
    cool = np.maximum(red, green)
    low, top = np.minimum(np.minimum(red, green), blue), np.maximum(cool, blue)
    inks = (
        (red > least) & (blue < 0.35 * cool) & (green < 1.25 * red) & (green > 0.66 * red),
        (red > 0.8 * least) & (blue - green > 0.08 * red) & (red > blue + 0.15),
        (green > least) & (blue > 0.78 * green) & (red < 0.45 * green),
        ((low > least) & (low > 0.76 * top)) | ((low > 1.0) & (low > 0.64 * top)),
    )
    found = np.zeros_like(seen)
    for ink in inks:
        found |= _opened(ink & seen, 3)
    return found


def _opened(mask: Mask, size: int) -> Mask:
    return _as_mask(_as_picture(mask).filter(ImageFilter.MinFilter(size)).filter(ImageFilter.MaxFilter(size)))


def _closed(mask: Mask, size: int) -> Mask:
    return _as_mask(_as_picture(mask).filter(ImageFilter.MaxFilter(size)).filter(ImageFilter.MinFilter(size)))


def _grown(mask: Mask, size: int) -> Mask:
    return _as_mask(_as_picture(mask).filter(ImageFilter.MaxFilter(size)))


def _as_picture(mask: Mask) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def _as_mask(picture: Image.Image) -> Mask:
    return np.asarray(picture) > 127


# --- Focus ---------------------------------------------------------------------------------------------------------


def _blur(picture: Image.Image, tissue: Mask) -> float | None:
    """How much of the tissue's fine detail is missing, against its coarse detail; see :attr:`Quality.blur`.

    The variance of the Laplacian at half and at an eighth of the scale, less what the noise of the glass adds to it.
    """
    plane = np.asarray(picture, dtype=np.float32).mean(axis=2)
    inner = _as_picture(_opened(tissue, 5))
    glass = _as_picture(~_grown(tissue, 9))
    detail = {}
    for level in range(4):
        if level in {1, 3}:
            size = plane.shape[::-1]
            inside, outside = (np.asarray(mask.resize(size, Image.Resampling.NEAREST)) > 127 for mask in (inner, glass))
            detail[level] = _detail(plane, inside, outside)
        plane = _halved(plane)
    fine, coarse = detail[1], detail[3]
    if fine is None or coarse is None or coarse <= 0:
        return None
    return float(1 / (1 + fine / coarse / _SHARP_RATIO))


def _detail(plane: Plane, inside: Mask, outside: Mask) -> float | None:
    """Variance of the Laplacian in one mask, less that of the noise in another; None where there are too few pixels."""
    if min(plane.shape) < 4:
        return None
    laplacian = 4 * plane[1:-1, 1:-1] - plane[:-2, 1:-1] - plane[2:, 1:-1] - plane[1:-1, :-2] - plane[1:-1, 2:]
    values, noise = laplacian[inside[1:-1, 1:-1]], laplacian[outside[1:-1, 1:-1]]
    if values.size < _LEAST_FOCUS_PIXELS:
        return None
    # By the median, so that dust on the glass is not taken for noise.
    floor = 2.2 * float(np.median(np.abs(noise))) ** 2 if noise.size >= _LEAST_FOCUS_PIXELS else 0.0
    return max(0.0, float(values.var()) - floor - _ROUNDING)


def _halved(plane: Plane) -> Plane:
    height, width = plane.shape[0] // 2, plane.shape[1] // 2
    return np.asarray(plane[: height * 2, : width * 2].reshape(height, 2, width, 2).mean(axis=(1, 3)), dtype=np.float32)


def _local_mean(plane: Plane, window: int) -> Plane:
    """Means over square windows of an odd number of pixels."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (window // 2 + 1, window // 2)
        sums = np.cumsum(np.pad(plane, pad, mode="edge"), axis=axis, dtype=np.float64)
        count = plane.shape[axis]
        high, low = sums.take(range(window, window + count), axis=axis), sums.take(range(count), axis=axis)
        plane = ((high - low) / window).astype(np.float32)
    return plane
