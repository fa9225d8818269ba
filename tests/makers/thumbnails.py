"""Thumbnails of slides with known tissue, pen, focus and light; as varied as archives are, and made without a look at what
is to judge them.

Tissue is what a person can see as tissue on the finished picture, which differs from what was painted in two cases. Out of
focus, a hole narrower than the blur cannot be seen: it counts as tissue where more than half of what is blurred into it is.
And pale tissue under a weak lamp can be lost in whole grey levels: it counts where it darkens its neighbourhood by at least
:data:`LEAST_SEEN`.
"""

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]
Random = np.random.Generator

# Optical densities in red, green and blue (Ruifrok and Johnston 2001 for the first three; the others by eye).
_HAEMATOXYLIN, _EOSIN, _DAB = (0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78)
STAINS = {
    "he": (_EOSIN, _HAEMATOXYLIN), "ihc": (_HAEMATOXYLIN, _DAB), "ihc_negative": (_HAEMATOXYLIN, _HAEMATOXYLIN),
    "pas": ((0.18, 0.95, 0.28), (0.55, 0.70, 0.30)), "masson": ((0.85, 0.52, 0.12), (0.12, 0.93, 0.55)),
    "alcian": ((0.88, 0.45, 0.12), (0.25, 0.90, 0.35)), "silver": ((0.45, 0.55, 0.65), (0.57, 0.58, 0.58)),
    "giemsa": ((0.55, 0.75, 0.20), (0.75, 0.62, 0.18)), "congo": ((0.08, 0.85, 0.60), (0.62, 0.68, 0.32)),
}  # fmt: skip
"""Ground and detail of each stain."""
_USUAL = ("he",) * 8 + ("ihc",) * 4 + ("ihc_negative",) + tuple(STAINS)
LEAST_SEEN = 3.0
"""Grey levels of 255 by which tissue must darken the glass in some colour; steps of 2 or fewer are those of JPEG."""
INKS = {"blue": (25, 45, 165), "black": (28, 28, 34), "green": (12, 115, 62), "red": (200, 22, 32)}


@dataclass(frozen=True)
class Thumbnail:
    """A picture and what is true of it."""

    image: Image.Image
    tissue: Mask
    pen: Mask
    stain: str
    ink: str
    is_blurred: bool
    is_dark: bool

    @property
    def is_empty(self) -> bool:
        return bool(self.tissue.mean() < 0.001)

    @property
    def is_penned(self) -> bool:
        """Less than one pixel in 2,000 is no more than dust."""
        return bool(self.pen.mean() >= 0.0005)


def noise(random: Random, shape: tuple[int, int], grain: float) -> Plane:
    """Smooth noise of mean 0 and variance 1 whose lumps are about ``grain`` pixels wide."""
    small = (max(2, round(shape[1] / grain) + 2), max(2, round(shape[0] / grain) + 2))
    coarse = Image.fromarray(random.normal(size=small[::-1]).astype(np.float32))
    plane = np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC))
    return (plane - plane.mean()) / (plane.std() + 1e-6)


def paint_thumbnail(
    seed: int, *, stain: str | None = None, ink: str | None = None, blurred: bool | None = None, dark: bool | None = None,
    empty: bool | None = None,
) -> Thumbnail:  # fmt: skip
    """A thumbnail; what is not given is drawn by chance (``ink=""`` for no pen)."""
    random = np.random.default_rng(seed)
    long_side = int(random.integers(420, 1025))
    shape = (round(long_side * random.uniform(0.35, 0.95)), long_side)
    if random.random() < 0.3:
        shape = shape[::-1]
    stain = stain or str(random.choice(_USUAL))
    drawn_ink = str(random.choice(list(INKS))) if random.random() < 0.4 else ""
    ink = drawn_ink if ink is None else ink
    blurred = bool(random.random() < 0.3) if blurred is None else blurred
    dark = bool(random.random() < 0.1) if dark is None else dark
    empty = bool(random.random() < 0.1) if empty is None else empty
    tissue = np.zeros(shape, dtype=bool) if empty else _tissue(random, shape)
    light = _light(random, shape)
    # Dust and refraction are nearly grey.
    dirt = _dirt(random, shape)[..., None] * random.normal(1, 0.04, 3)
    stained = np.zeros((*shape, 3)) if empty else _density(random, tissue, stain)
    pen = _pen(random, shape, tissue) if ink else np.zeros(shape, dtype=np.float32)
    # In place, from here on: these arrays are large, and making them is most of the time.
    transmitted = np.negative(dirt + stained)
    np.exp(transmitted, out=transmitted)
    transmitted *= light
    if ink:
        transmitted *= _through_ink(random, pen, ink)
    scale = long_side / 800
    sigma = random.uniform(2.0, 6.0) * max(1.0, scale) if blurred else random.uniform(0.0, 0.8)
    image, seen = _bordered(random, _defocused(transmitted, sigma))
    lamp = random.uniform(0.10, 0.35) if dark else 1
    image *= lamp
    image += random.normal(0, random.uniform(0.3, 2.5), image.shape)
    picture = _as_jpeg(Image.fromarray(np.clip(image, 0, 255, out=image).astype(np.uint8)), int(random.integers(70, 96)))
    tissue = _visible(tissue, lamp * light * (1 - np.exp(-stained)) if dark else None, sigma)
    return Thumbnail(picture, tissue & seen, (pen > 0.4) & seen, stain, ink, blurred, dark)


def _visible(tissue: Mask, darkening: NDArray[np.float64] | None, sigma: float) -> Mask:
    """The tissue that a person can see; see the head of this module. Without ``darkening`` nothing is too pale."""
    seen = tissue | (_smoothed(tissue.astype(np.float32), sigma) > 0.5) if sigma > 1 else tissue
    if darkening is None:
        return np.asarray(seen)
    wide = max(sigma, 6)
    around = np.maximum(_smoothed(tissue.astype(np.float32), wide), 0.01)
    drop = np.max([_smoothed(darkening[..., band].astype(np.float32), wide) for band in range(3)], axis=0) / around
    return np.asarray(seen & (drop >= LEAST_SEEN))


def _smoothed(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur of a plane of whatever range."""
    reach = np.arange(-int(3 * sigma) - 1, int(3 * sigma) + 2)
    weights = np.exp(-0.5 * (reach / sigma) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        pad = [(0, 0), (0, 0)]
        pad[axis] = (len(reach) // 2, len(reach) // 2)
        padded = np.moveaxis(np.pad(plane, pad, mode="edge"), axis, 0)
        total = np.zeros((plane.shape[axis], padded.shape[1]), dtype=np.float32)
        for n, weight in enumerate(weights.astype(np.float32)):
            total += weight * padded[n : n + len(total)]
        plane = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(plane)


def _grid(shape: tuple[int, int]) -> tuple[Plane, Plane]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return y.astype(np.float32), x.astype(np.float32)


def _tissue(random: Random, shape: tuple[int, int]) -> Mask:
    """Pieces of one kind; some glass is always left, as without it nobody can tell pale stain from the lamp."""
    side = min(shape)
    y, x = _grid(shape)
    kind = random.choice(["pieces"] * 6 + ["section", "section", "cores", "cores", "array", "array", "biopsy", "full"])
    rough = 0.5 * noise(random, shape, side / 5) + 0.25 * noise(random, shape, side / 14) + 0.08 * noise(random, shape, 6)
    mask = np.zeros(shape, dtype=bool)
    if kind == "array":
        pitch = side / random.integers(4, 9)
        row, column = (y % pitch) / pitch - 0.5, (x % pitch) / pitch - 0.5
        inside = (x > 0.08 * shape[1]) & (x < 0.92 * shape[1]) & (y > 0.08 * shape[0]) & (y < 0.92 * shape[0])
        mask = (np.hypot(row, column) < 0.36 + 0.02 * rough) & inside
    elif kind == "cores":
        for _ in range(random.integers(1, 5)):
            angle, offset = random.uniform(-0.5, 0.5), random.uniform(0.2, 0.8)
            across = (y - offset * shape[0]) * np.cos(angle) - (x - shape[1] / 2) * np.sin(angle)
            along = (y - offset * shape[0]) * np.sin(angle) + (x - shape[1] / 2) * np.cos(angle)
            width = side * random.uniform(0.02, 0.05)
            mask |= (np.abs(across + width * rough) < width) & (np.abs(along) < shape[1] * random.uniform(0.2, 0.42))
    elif kind == "full":
        # Hardly any glass: a strip at one side, and that of the holes.
        mask = x < random.uniform(0.9, 0.97) * shape[1] + 8 * rough
    elif kind == "biopsy":
        # Bits of 1 to 3 mm, where 800 pixels show 25 to 50 mm.
        for _ in range(random.integers(1, 6)):
            cy, cx = random.uniform(0.15, 0.85, 2) * shape
            radius = random.uniform(0.015, 0.04) * max(shape)
            stretch = random.uniform(0.6, 1.6)
            mask |= np.hypot((y - cy) / stretch, (x - cx) * stretch) < radius * (1 + 0.35 * rough)
    else:
        count = 1 if kind == "section" else random.integers(1, 6)
        for _ in range(count):
            size = random.uniform(0.32, 0.5) if kind == "section" else random.uniform(0.08, 0.28)
            centre = random.uniform(0.3, 0.7, 2) if kind == "section" else random.uniform(0.15, 0.85, 2)
            radius = np.hypot((y - centre[0] * shape[0]) / (size * shape[0]), (x - centre[1] * shape[1]) / (size * shape[1]))
            mask |= radius < 1 + 0.35 * rough
    if kind != "biopsy" and random.random() < 0.6:
        holes = noise(random, shape, random.uniform(8, 30)) > random.uniform(1.1, 2.2)
        mask &= ~holes
    return mask


def _density(random: Random, tissue: Mask, stain: str) -> NDArray[np.float64]:
    """Optical density of the tissue in three colours."""
    shape = tissue.shape
    ground, detail = (np.clip(np.array(vector) + random.normal(0, 0.04, 3), 0.03, 1.2) for vector in STAINS[stain])
    strength = random.uniform(0.12, 0.2) if random.random() < 0.12 else random.uniform(0.25, 0.75)
    fibres = np.clip(0.75 + 0.22 * noise(random, shape, 12) + 0.15 * noise(random, shape, 3.5), 0.3, 2)
    # Cells, glands and nuclei: some of it as fine as the pixels.
    nuclei = (noise(random, shape, random.uniform(1.2, 2.0)) > random.uniform(0.5, 1.2)) * random.uniform(0.5, 1.2)
    patches = np.clip(0.5 + noise(random, shape, random.uniform(15, 60)), 0, 2)
    amount = fibres[..., None] * ground
    amount += (nuclei * patches)[..., None] * detail
    amount *= strength
    amount *= tissue[..., None]
    return np.asarray(amount, dtype=np.float64)


def _light(random: Random, shape: tuple[int, int]) -> NDArray[np.float64]:
    """The empty glass: its colour, and light that is not even."""
    level = random.uniform(222, 250) if random.random() < 0.85 else random.uniform(170, 222)
    tint = random.uniform(0.955, 1.0, 3)
    y, x = (axis / extent - 0.5 for axis, extent in zip(_grid(shape), shape, strict=True))
    slope = random.uniform(-0.06, 0.06, 2)
    vignette = random.uniform(0, 0.08) * (x**2 + y**2)
    even = 1 + slope[0] * y + slope[1] * x - vignette
    colour = level * even[..., None] * tint
    return np.asarray(np.clip(colour, 0, 255, out=colour), dtype=np.float64)


def _dirt(random: Random, shape: tuple[int, int]) -> Plane:
    """Optical density of what lies on a glass and is neither tissue nor pen: cover slip edges, bubbles, hairs, dust."""
    canvas = Image.new("F", shape[::-1], 0)
    draw = ImageDraw.Draw(canvas)
    height, width = shape
    if random.random() < 0.35:
        for _ in range(random.integers(1, 3)):
            x = random.uniform(0.03, 0.12) * width if random.random() < 0.5 else random.uniform(0.88, 0.97) * width
            lean = random.uniform(-6, 6)
            draw.line([(x, 0), (x + lean, height)], fill=random.uniform(0.1, 0.4), width=int(random.integers(1, 4)))
    if random.random() < 0.2:
        for _ in range(random.integers(1, 4)):
            cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.02, 0.07) * width
            rim, width_ = random.uniform(0.1, 0.4), int(random.integers(1, 3))
            draw.ellipse([cx - r, cy - r, cx + r, cy + r], outline=rim, width=width_)
    if random.random() < 0.15:
        for _ in range(random.integers(1, 3)):
            angles = random.uniform(0, 6.3) + np.cumsum(random.normal(0, 0.25, 12))
            steps = 0.02 * width * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
            points = np.cumsum(steps, axis=0) + random.random(2) * (width, height)
            draw.line([tuple(point) for point in points], fill=random.uniform(0.2, 0.8), width=int(random.integers(1, 3)))
    for _ in range(random.integers(0, 25)):
        cx, cy, r = random.uniform(0, width), random.uniform(0, height), random.uniform(0.5, 2.5)
        draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=random.uniform(0.2, 1.2))
    return np.asarray(canvas, dtype=np.float32)


def _pen(random: Random, shape: tuple[int, int], tissue: Mask) -> Plane:
    """How much ink covers each pixel, 0 to 1: rings, lines, dots, arrows, letters."""
    height, width = shape
    scale = max(shape) / 800
    canvas = Image.new("L", (width * 2, height * 2), 0)
    draw = ImageDraw.Draw(canvas)
    places = np.argwhere(tissue)
    for _ in range(random.integers(1, 4)):
        # A marker draws 0.4 to 1.5 mm wide, and a thumbnail of 800 pixels shows 25 to 50 mm of glass.
        thick = max(10, int(random.uniform(6, 26) * scale * 2))
        near = places[random.integers(len(places))] if len(places) and random.random() < 0.6 else random.random(2) * shape
        cy, cx = (float(value) * 2 for value in near)
        kind = random.choice(["ring", "line", "dots", "arrow", "letters"])
        reach = random.uniform(0.08, 0.3) * min(shape) * 2
        if kind == "ring":
            angles = np.linspace(0, random.uniform(1.5, 2) * np.pi, 40) + random.uniform(0, 6)
            wobble = 1 + 0.08 * np.sin(3 * angles + random.uniform(0, 6))
            points = [
                (cx + reach * w * np.cos(a), cy + 0.8 * reach * w * np.sin(a)) for a, w in zip(angles, wobble, strict=True)
            ]
            draw.line(points, fill=255, width=thick, joint="curve")
        elif kind == "dots":
            for _ in range(random.integers(2, 6)):
                x, y = cx + random.normal() * reach, cy + random.normal() * reach
                draw.ellipse([x - thick, y - thick, x + thick, y + thick], fill=255)
        elif kind == "letters":
            for number in range(random.integers(2, 5)):
                x = cx + number * reach * 0.6
                points = [(x + random.uniform(0, 0.5) * reach, cy + random.uniform(-0.5, 0.5) * reach) for _ in range(4)]
                draw.line(points, fill=255, width=thick, joint="curve")
        else:
            angle = random.uniform(0, 2 * np.pi)
            tip = (cx + 2 * reach * np.cos(angle), cy + 2 * reach * np.sin(angle))
            draw.line([(cx, cy), tip], fill=255, width=thick)
            if kind == "arrow":
                for turn in (2.6, -2.6):
                    end = (tip[0] + 0.5 * reach * np.cos(angle + turn), tip[1] + 0.5 * reach * np.sin(angle + turn))
                    draw.line([tip, end], fill=255, width=thick)
    canvas = canvas.resize((width, height), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.4)))
    return np.asarray(canvas, dtype=np.float32) / 255


def _through_ink(random: Random, pen: Plane, ink: str) -> NDArray[np.float64]:
    """What ink lets through, in three colours; streaks where the pen was dry."""
    colour = np.clip(np.array(INKS[ink]) + random.normal(0, 12, 3), 4, 255) / 255
    streaks = np.clip(random.uniform(0.75, 0.98) + 0.06 * noise(random, pen.shape, 9), 0, 1)
    cover = (pen * streaks)[..., None]
    return np.asarray(1 - cover + cover * colour, dtype=np.float64)


def _defocused(image: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    planes = [
        np.asarray(Image.fromarray(image[..., band].astype(np.float32)).convert("L").filter(ImageFilter.GaussianBlur(sigma)))
        for band in range(3)
    ]
    return np.stack(planes, axis=-1).astype(np.float64)


def _bordered(random: Random, image: NDArray[np.float64]) -> tuple[NDArray[np.float64], Mask]:
    """Now and then a black or white border where the scanner did not look, and where it did."""
    seen = np.ones(image.shape[:2], dtype=bool)
    if random.random() < 0.2:
        level = random.choice([0, 255])
        width = int(random.uniform(0.01, 0.07) * image.shape[1])
        side = random.integers(3)
        if side in {0, 2}:
            seen[:, :width] = False
        if side in {1, 2}:
            seen[image.shape[0] - width :] = False
        image = np.where(seen[..., None], image, level)
    return image, seen


def _as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")
