"""What a TIFF dialect says of a slide, and what dialects have in common: numbers, dates, sizes, levels.

A dialect is a module beside this one with ``VENDOR``, ``FORMAT``, ``matches(first)`` and ``describe(directories)``. It says
which directories are levels and what the texts mean; whether the tiles are there is checked for all of them alike.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from pathcurate import ifd
from pathcurate.ifd import Directory
from pathcurate.model.slide import SlideHeader

LABEL: Final = "label"
OVERVIEW: Final = "overview"
THUMBNAIL: Final = "thumbnail"

_MAX_SIDE: Final = 1 << 31
_PRINT_DPI: Final = (72, 75, 90, 96, 100, 120, 144, 150, 200, 240, 300, 360, 400, 600, 720, 1200, 2400)


@dataclass(frozen=True, slots=True)
class Description:
    """What a dialect says of a file.

    Attributes:
        header: who scanned it, when and how; ``status`` is ``ok`` unless the dialect cannot read this variant. Geometry,
            compression, images, fingerprints and checks are filled in by the reader.
        levels: the pyramid of one focal plane, largest first; label and overview are not in it. Empty: not a slide.
        images: of ``label``, ``overview`` and ``thumbnail`` those that the file holds; None for one that is no directory of
            its own, such as Base64 in XML.
        is_complete: whether every image is accounted for, so that one that is not in ``images`` is absent.
        size: width and height of level 0 in pixels, where they are not those of the first level's directory.
        downsamples: of each level relative to level 0, where sizes do not tell them.
        extra_bytes: of long texts, read beyond the block of the directory that has them; the checks of tables read less.
        regions: every directory of the slide's own images, where the dialect names them all and shapes do not tell them.
    """

    header: SlideHeader
    levels: tuple[Directory, ...]
    images: Mapping[str, Directory | None]
    is_complete: bool = True
    size: tuple[int, int] | None = None
    downsamples: tuple[float, ...] | None = None
    extra_bytes: int = 0
    regions: tuple[Directory, ...] = ()


class Dialect(Protocol):
    """What a module of a dialect offers."""

    @property
    def VENDOR(self) -> str:  # noqa: N802 -- a constant of the module
        """One of ``model.slide.VENDORS``."""

    @property
    def FORMAT(self) -> str:  # noqa: N802 -- a constant of the module
        """One of ``model.slide.FORMATS``."""

    def matches(self, first: Directory) -> bool:
        """Whether the first directory bears the vendor's mark.

        Raises:
            TiffDamage: a value that would say so cannot be read.
        """

    def describe(self, directories: Sequence[Directory]) -> Description:
        """What the directories say; of a damaged file, those before the damage, at least one.

        Raises:
            TiffDamage: a value cannot be read, or the structure is impossible.
        """


def geometry(directory: Directory) -> tuple[int, int, int, int]:
    """Image width and height, tile width and height in pixels; 0 for what is missing or impossible."""
    first = directory.first_int
    return (
        _side(first(ifd.IMAGE_WIDTH)),
        _side(first(ifd.IMAGE_LENGTH)),
        _side(first(ifd.TILE_WIDTH)),
        _side(first(ifd.TILE_LENGTH)),
    )


def _side(pixels: int | None) -> int:
    return pixels if pixels is not None and 0 < pixels < _MAX_SIDE else 0


def pyramid(directories: Sequence[Directory]) -> tuple[Directory, ...]:
    """The pyramid by size, largest level first: the largest tiled image, and smaller tiled ones of the same shape.

    Of several images of one size, which are focal planes or channels, the first counts.
    """
    tiled = [(geometry(directory), directory) for directory in directories if directory.is_tiled]
    if not tiled:
        return ()
    (width, height, _, _), base = max(tiled, key=lambda item: item[0][0] * item[0][1])
    smaller: dict[tuple[int, int], Directory] = {}
    for sides, directory in tiled:
        if all(sides) and sides[0] < width and sides[1] <= height and has_shape(sides[0], sides[1], width, height):
            smaller.setdefault(sides[:2], directory)
    return (base, *(directory for _, directory in sorted(smaller.items(), key=lambda item: -item[0][0])))


def has_shape(width: int, height: int, full_width: int, full_height: int) -> bool:
    """Whether a smaller image may show the same field as one of the full width and height."""
    # Each halving may round a side up or down by a pixel, so small levels differ most: two pixels, or 1 %.
    return abs(width / full_width - height / full_height) <= max(2 / full_width + 2 / full_height, 0.01 * width / full_width)


def resolution_mpp(directory: Directory, tag: int) -> float | None:
    """Microns per pixel from a resolution tag (TIFF 6.0, section 8; the unit is the inch if none is given).

    A printer's resolution (72, 300 dots per inch …) is what software writes when it knows nothing: it stays missing.

    Raises:
        TiffDamage: the value cannot be read.
    """
    microns = {2: 25_400.0, 3: 10_000.0}.get(directory.first_int(ifd.RESOLUTION_UNIT, 2) or 0)
    resolution = directory.rational(tag)
    if microns is None or resolution is None or resolution <= 0:
        return None
    dpi = resolution * 25_400 / microns
    if any(math.isclose(dpi, usual, rel_tol=0.001) for usual in _PRINT_DPI):
        return None
    return microns / resolution


def positive(number: float | None) -> float | None:
    """A number above 0; a header's 0 stands for a missing one."""
    return number if number is not None and number > 0 else None


def number(text: str | None) -> float | None:
    """A decimal number; None for anything else, also for ``nan``, ``inf`` and numbers of absurd length."""
    if text is None or not re.fullmatch(r"[+-]?\d{1,12}(\.\d{0,20})?(e[+-]?\d{1,2})?", text, re.ASCII | re.IGNORECASE):
        return None
    return float(text)


def tiff_datetime(directory: Directory) -> datetime | None:
    """The directory's DateTime (TIFF 6.0, section 8), the scanner's local time.

    Raises:
        TiffDamage: the value cannot be read.
    """
    taken = re.fullmatch(r"(\d{4})[:/-](\d\d)[:/-](\d\d) (\d\d):(\d\d):(\d\d)", directory.text(ifd.DATE_TIME), re.ASCII)
    return local_datetime(*map(int, taken.groups())) if taken else None


def local_datetime(year: int, month: int, day: int, *clock: int) -> datetime | None:
    """A date and, if given, hour, minute and second; None if there is no such date."""
    hour, minute, second = clock or (0, 0, 0)
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 -- the scanner's local time, zone unknown
    except ValueError:
        return None
