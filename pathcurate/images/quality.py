"""What a thumbnail says of a slide: how much tissue is on it, whether it is in focus, drawn upon, dark or empty.

A thumbnail shows what a person sees at arm's length: blur that is narrower than its pixels (some 30 µm) cannot be seen
here. All measures are taken as optical density against the glass, whose colour and light differ from scanner to scanner.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float32]
"""Grey values or densities, height by width; colours are a third axis."""
Mask = NDArray[np.bool_]

_MASK_SIDE: Final = 640
_FOCUS_SIDE: Final = 1024
_LEAST_SIDE: Final = 32

_GLASS_TINT: Final = 0.07
"""Difference between the brightest and the darkest colour of empty glass, as a share of the brightest."""
_SHARP_RATIO: Final = 0.24
"""Detail of 2 pixels' width against detail of 8 pixels': sharp thumbnails have more, blurred ones less."""
_LEAST_FOCUS_PIXELS: Final = 30
_LEAST_FAR: Final = 800
"""Pixels of tissue far from ink that are enough to tell its focus."""
_ROUNDING: Final = 2.5
"""Variance that whole grey levels and JPEG add to the Laplacian, also where they leave the glass without noise."""
_LEAST_STEP: Final = 1.2
"""Grey levels by which a pixel must be darker than the glass, as JPEG has steps of about one."""
_LEAST_MEAN_STEP: Final = 2.0
"""Grey levels by which a whole piece must be darker in some colour; less can hardly be seen."""
_LEAST_CHROMA: Final = 0.13
"""Difference between the densest and the palest colour, as a share of the densest; dust and glass edges have less."""
_LEAST_BIT: Final = 60
"""Pixels of the smallest bit of tissue, some 0.1 mm²."""
_EMPTY_FRACTION: Final = 0.0015
_PEN_FRACTION: Final = 0.0005
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
    level = float(np.median(_light(glass)))
    # Noise in the dark has colours, and ink is broad.
    inks = [_local_mean(plane, 3) for plane in planes] if level < _DARK_LEVEL else planes
    pen = _pen(inks, seen, 0.75)
    tissue = _tissue(planes, seen, pen, level, is_blurred=False)
    blur = _blur(_scaled(image, _FOCUS_SIDE), _apart(tissue, pen))
    if blur is not None and blur >= 0.5:
        # Ink that is out of focus is thinner, and tissue that is reaches beyond itself.
        pen = _pen(inks, seen, 0.75 if level < _DARK_LEVEL else 0.55)
        tissue = _tissue(planes, seen, pen, level, is_blurred=True)
    return Quality(float(tissue.mean()), blur, float(pen.mean()), level)


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
        across = (1 - axis, 2)
        flat = ((pixels < 10).mean(axis=across) > 0.8) | ((pixels > 250).mean(axis=across) > 0.8)
        # Some scanners show the glass itself as pure white, so a broad border is none.
        most = len(flat) // 5
        first, last = (int(np.argmin(order)) if not order.all() else len(flat) for order in (flat, flat[::-1]))
        along = outside if axis == 0 else outside.T
        # One line more, which JPEG has mixed with its neighbour.
        if 0 < first <= most:
            along[: first + 1] = True
        if 0 < last <= most:
            along[-last - 1 :] = True
    return outside


def _glass(pixels: Plane, seen: Mask) -> Plane:
    """The empty glass at every pixel, in three colours: an even slope and vignette through bright, grey, smooth pixels."""
    colours = [_halved(pixels[..., band]) for band in range(3)]
    light = _light(np.stack(colours, axis=-1))
    height, width = light.shape
    inside = seen[: 2 * height : 2, : 2 * width : 2] & seen[1 : 2 * height : 2, 1 : 2 * width : 2]
    spread = _local_mean(light**2, 3) - _local_mean(light, 3) ** 2
    smooth = inside & (spread <= max(4.0, float(np.percentile(spread[inside], 40))))
    # Glass is nearly without colour, which keeps pale tissue from being taken for it where tissue fills the picture.
    means = [_local_mean(plane, 3) for plane in colours]
    top = np.maximum.reduce(means)
    grey = smooth & (top - np.minimum.reduce(means) <= _GLASS_TINT * top + 1)
    if grey.sum() < 0.003 * grey.size:
        return np.full(pixels.shape, max(1.0, 1.02 * float(np.percentile(top[inside], 99))), dtype=np.float32)
    # Nothing is as smooth as glass, not even pale tissue that is out of focus.
    smoothest = grey & (spread <= 2.5 * float(np.percentile(spread[inside], 2)) + 0.3)
    usable = smoothest if smoothest.sum() >= 0.005 * grey.size else grey
    level = _brightest_mode(light[usable])
    chosen = usable & (np.abs(light - level) < max(3.0, 0.05 * level))
    fits: NDArray[np.floating] = np.zeros((4, 3))
    fits[0] = [plane[chosen].mean() for plane in colours] if chosen.any() else level
    for _ in range(3):
        step = max(1, int(chosen.sum()) // 10_000)
        y, x = (axis[::step] for axis in np.nonzero(chosen))
        # A slope through few pixels, or through a strip at one side, would lead astray far from them.
        if chosen.sum() < 0.02 * chosen.size or np.std(x) < 0.12 * width or np.std(y) < 0.12 * height:
            break
        terms = _slopes(x / width - 0.5, y / height - 0.5)
        fits, *_ = np.linalg.lstsq(terms, np.stack([plane[y, x] for plane in colours], axis=-1), rcond=None)
        chosen = usable & (np.abs(light - _light(_surface(fits, light.shape, level))) < max(2.0, 0.02 * level))
    return _surface(fits, seen.shape, level)


def _slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(x), x, y, x * x + y * y], axis=-1)


def _surface(fits: NDArray[np.floating], shape: tuple[int, ...], level: float) -> Plane:
    """The light of the glass, of which no lamp is uneven by more than 15 %."""
    y, x = (np.arange(extent, dtype=np.float32)[:, None] / extent - 0.5 for extent in shape[:2])
    bands = [(f[0] + f[2] * y + f[3] * y * y) + (f[1] * x + f[3] * x * x).T for f in fits.T.astype(np.float32)]
    return np.asarray(np.clip(np.stack(bands, axis=-1), max(1.0, 0.85 * level), 1.15 * level + 1), dtype=np.float32)


def _light(pixels: Plane) -> Plane:
    """The mean of the colours."""
    return np.asarray((pixels[..., 0] + pixels[..., 1] + pixels[..., 2]) / 3, dtype=np.float32)


def _brightest_mode(values: Plane) -> float:
    """The brightest grey level that many pixels share."""
    counts, edges = np.histogram(values, bins=64, range=(0, 256))
    counts = np.convolve(counts, [1, 2, 1], mode="same")
    around = np.array([counts[max(0, n - 2) : n + 3].max() for n in range(64)])
    peaks = np.flatnonzero((counts == around) & (counts >= 0.03 * counts.max()))
    return float(edges[peaks[-1]] + 2)


# --- Tissue and pen ------------------------------------------------------------------------------------------------


def _tissue(planes: list[Plane], seen: Mask, pen: Mask, glass_level: float, *, is_blurred: bool) -> Mask:
    """Where something is denser than the glass: broader than dust, than the edge of a cover slip or of a bubble."""
    # Ink runs out into a rim that is paler than ink.
    inked = _grown(pen, 15 if is_blurred else 7)
    plain = seen & ~inked
    if plain.sum() < 100:
        return np.zeros_like(seen)
    deep = np.maximum.reduce(planes)
    floor = _floor(deep[plain], glass_level)
    strong = deep[plain & (deep > floor)]
    if strong.size < 50:
        return np.zeros_like(seen)
    level = float(np.percentile(strong, 60))
    window = 7 if is_blurred or level < max(0.15, 3.5 * floor) else 3 if floor < 0.05 else 5
    if window > 3:
        deep = np.maximum.reduce([_local_mean(plane, window - 2) for plane in planes])
        floor = _floor(deep[plain], glass_level)
    if is_blurred:
        # Half way up is where the edge was before it was blurred; a little more, as what is narrow has lost of its height.
        threshold = np.clip(0.52 * _plateau(deep, plain & (deep > floor)), max(0.4 * level, floor), 0.5 * level + 0.1)
    else:
        # Pale parts are within the edge of sharp tissue; a window smears it half a window beyond.
        threshold = np.clip(0.35 * level, floor, max(floor, 0.1 if window == 3 else 0.25))
    whole = _closed((deep > threshold) & plain, 3 if is_blurred else window)
    mask = _opened(whole, window + 4)
    if not is_blurred:
        # The narrow bridges and points that belong to what is broad.
        mask = whole & _grown(mask, window + 2)
    mask = _without_dirt(mask, planes, _grown(inked, 15), _LEAST_MEAN_STEP / glass_level)
    return _filled(mask, seen & inked, plain)


def _floor(densities: Plane, glass_level: float) -> float:
    """The least density that is more than noise: what is brighter than the glass is noise, and there is more in the dark."""
    brighter = -densities[densities < 0]
    noise = 1.5 * float(np.median(brighter)) if brighter.size else 0.0
    return float(np.clip(max(4 * noise, _LEAST_STEP / glass_level), 0.02, 0.2))


def _plateau(deep: Plane, counted: Mask) -> Plane:
    """The density that prevails around each pixel: its mean over a window, weighted by itself."""
    weights = np.where(counted, np.maximum(deep, 0), 0).astype(np.float32)
    return np.asarray(_local_mean(weights**2, 41) / np.maximum(_local_mean(weights, 41), 1e-4), dtype=np.float32)


def _filled(mask: Mask, unknown: Mask, known: Mask) -> Mask:
    """With the pixels under ink, which are tissue where most of what is around them is."""
    if not unknown.any():
        return mask
    share = _local_mean(mask.astype(np.float32), 41)
    return np.asarray(mask | (unknown & (share > 0.5 * _local_mean(known.astype(np.float32), 41)) & (share > 0.05)))


def _without_dirt(mask: Mask, planes: list[Plane], by_ink: Mask, least: float) -> Mask:
    """Without the rims of ink, what is paler than ``least``, and what is both narrow and grey.

    Grey are dust, hairs, and the edges of bubbles and cover slips, which refract light. Stains have a colour, and what has
    none (silver, melanin, a scanner in black and white) is tissue if it is broad.
    """
    labels, count = _components(mask)
    if not count:
        return mask
    area = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
    sums = np.stack([np.bincount(labels.ravel(), plane.ravel(), count + 1) for plane in planes])
    coloured = (sums.max(axis=0) - sums.min(axis=0)) > _LEAST_CHROMA * sums.max(axis=0)
    core = np.bincount(labels.ravel(), _opened(mask, 21).ravel(), count + 1)
    kept = ((coloured & (area >= _LEAST_BIT)) | (core > 0.4 * area)) & (sums.max(axis=0) >= least * area)
    kept &= np.bincount(labels.ravel(), by_ink.ravel(), count + 1) < 0.7 * area
    kept[0] = False
    return np.asarray(kept[labels])


def _components(mask: Mask) -> tuple[NDArray[np.intp], int]:
    """A number for each connected group of pixels, 0 outside; and how many groups there are."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    firsts = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    begin, end = starts.tolist(), ends.tolist()
    for row in range(1, mask.shape[0]):
        above, below = firsts[row - 1], firsts[row]
        while above < firsts[row] and below < firsts[row + 1]:
            if begin[above] < end[below] and begin[below] < end[above]:
                parent[root(above)] = root(below)
            if end[above] < end[below]:
                above += 1
            else:
                below += 1
    roots, numbers = np.unique([root(run) for run in range(len(rows))], return_inverse=True)
    edges = np.zeros((mask.shape[0], mask.shape[1] + 1), dtype=np.intp)
    edges[rows, starts] += numbers + 1
    edges[rows, ends] -= numbers + 1
    return np.cumsum(edges, axis=1)[:, :-1], len(roots)


def _pen(planes: list[Plane], seen: Mask, least: float) -> Mask:
    """Where marker ink is: denser than ``least``, and in a proportion of colours that no stain has.

    Blue lets blue through, haematoxylin less so, alcian blue and Masson's let more green through; green ink is the only
    thing densest in red and not pale in blue; red ink is nearly as dense in blue as in green, eosin and Congo red are not
    (where they are dense); black ink is as dense everywhere, and where it leans to a side, only ink leans to red.
    """
    red, green, blue = planes
    cool = np.maximum(red, green)
    low, top = np.minimum(np.minimum(red, green), blue), np.maximum(cool, blue)
    inks = (
        (red > 1.15 * least) & (blue < 0.35 * cool) & (green < 1.25 * red) & (green > 0.7 * red),
        (red > 0.8 * least) & (blue > 0.6 * green) & (red > 1.3 * green) & (red > blue + 0.15),
        (green > least) & (blue > 0.82 * green) & (red < 0.45 * green),
        ((low > least) & (low > 0.76 * top)) | ((low > 1.0) & (low > 0.64 * top)),
    )
    # Where clumps of nuclei come near, ink must be broader than they are.
    likely = (
        (red > 1.35 * least) & (blue < 0.38 * cool) & (green < 0.85 * red) & (green > 0.57 * red),
        (green > 1.3 * least) & (blue > 0.63 * green) & (red < 0.25 * green),
        (green > 2.4 * least) & (blue > 0.5 * green) & (red < 0.2 * green),
        (low > 0.8 * least) & (low > 0.5 * top) & (red > 1.03 * green),
        (low > least) & (low > 0.6 * top) & (red > 0.88 * green) & (red > 1.15 * blue),
    )
    found = np.zeros_like(seen)
    for size, colours in ((3, inks), (5, likely)):
        for ink in colours:
            found |= _opened(ink & seen, size)
    return found


def _opened(mask: Mask, size: int) -> Mask:
    return _grown(_shrunk(mask, size), size)


def _closed(mask: Mask, size: int) -> Mask:
    return _shrunk(_grown(mask, size), size)


def _shrunk(mask: Mask, size: int) -> Mask:
    return ~_grown(~mask, size)


def _grown(mask: Mask, size: int) -> Mask:
    """Grown by a square of an odd number of pixels."""
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (size // 2, size // 2)
        grown = np.pad(mask, pad)
        length = 1
        while length < size:
            # Each turn doubles the stretch over which a pixel has looked.
            step = min(length, size - length)
            grown = grown[step:] | grown[:-step] if axis == 0 else grown[:, step:] | grown[:, :-step]
            length += step
        mask = grown
    return mask


def _as_picture(mask: Mask) -> Image.Image:
    return Image.fromarray(mask.astype(np.uint8) * 255)


def _as_mask(picture: Image.Image) -> Mask:
    return np.asarray(picture) > 127


# --- Focus ---------------------------------------------------------------------------------------------------------


def _apart(tissue: Mask, pen: Mask) -> Mask:
    """The tissue that is far from ink, or what is near it where there is no other."""
    far = tissue & ~_grown(pen, 25)
    return far if far.sum() >= _LEAST_FAR else tissue & ~_grown(pen, 9)


def _blur(picture: Image.Image, tissue: Mask) -> float | None:
    """How much of the tissue's fine detail is missing, against its coarse detail; see :attr:`Quality.blur`.

    The variance of the Laplacian at half and at an eighth of the scale, less what the noise of the glass adds to it.
    """
    plane = _light(np.asarray(picture, dtype=np.float32))
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
    if fine is None or coarse is None:
        return None
    if coarse <= 0:
        # Tissue without any detail is far out of focus; where there is fine detail alone, it is noise.
        return None if fine > 0 else 1.0
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
    rows = plane[: height * 2 : 2, : width * 2] + plane[1 : height * 2 : 2, : width * 2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4, dtype=np.float32)


def _local_mean(plane: Plane, window: int) -> Plane:
    """Means over square windows of an odd number of pixels."""
    reach = window // 2
    sums = np.cumsum(np.pad(plane, ((reach + 1, reach), (0, 0)), mode="edge"), axis=0, dtype=np.float64)
    plane = (sums[window:] - sums[:-window]).astype(np.float32)
    sums = np.cumsum(np.pad(plane, ((0, 0), (reach + 1, reach)), mode="edge"), axis=1, dtype=np.float64)
    return np.asarray((sums[:, window:] - sums[:, :-window]) / window**2, dtype=np.float32)
