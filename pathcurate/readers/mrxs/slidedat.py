"""``Slidedat.ini`` of a MIRAX slide: what it says, and the geometry that follows from it."""

import hashlib
import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pathcurate.storage import path_text

SLIDEDAT_BYTES: Final = 1 << 20
"""OpenSlide reads no larger one."""
MOST_FILES: Final = 4096
MOST_LEVELS: Final = 32
_MOST_LAYERS: Final = 1024
COMPRESSIONS: Final = {"JPEG": "jpeg", "PNG": "deflate", "BMP24": "none"}
"""Image formats that OpenSlide decodes."""
LABEL, OVERVIEW, THUMBNAIL = "ScanDataLayer_SlideBarcode", "ScanDataLayer_SlideThumbnail", "ScanDataLayer_SlidePreview"
_POSITION_LAYERS: Final = ("VIMSLIDE_POSITION_BUFFER", "StitchingIntensityLayer")
_DATE: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4}) (\d\d):(\d\d):(\d\d)", re.ASCII)
_LEVEL_KEYS: Final = (
    "OVERLAP_X", "OVERLAP_Y", "MICROMETER_PER_PIXEL_X", "MICROMETER_PER_PIXEL_Y", "IMAGE_FILL_COLOR_BGR", "IMAGE_FORMAT",
    "DIGITIZER_WIDTH", "DIGITIZER_HEIGHT", "IMAGE_CONCAT_FACTOR",
)  # fmt: skip
"""Without any of these in the section of a level, OpenSlide does not open the slide."""


class Damage(Exception):  # noqa: N818 -- a state of the slide, named for what it is
    """What keeps the slide from being read whole; ``status`` is the slide's, ``detail`` holds no value from it."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Slidedat:
    """What ``Slidedat.ini`` says, by section and key; both as written."""

    sections: Mapping[str, Mapping[str, str]]

    def text(self, section: str, key: str) -> str:
        """A value as written, without blanks at its ends; empty if it is not there."""
        return self.sections.get(section, {}).get(key, "")

    def integer(self, section: str, key: str) -> int | None:
        """A number that 32 bits with sign can hold."""
        text = self.text(section, key)
        number = int(text) if re.fullmatch(r"-?\d{1,10}", text, re.ASCII) else None
        return number if number is not None and -(1 << 31) <= number < 1 << 31 else None

    def number(self, section: str, key: str) -> float | None:
        """A finite number."""
        try:
            number = float(self.text(section, key))
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    def count(self, section: str, key: str, most: int) -> int:
        """A count as far as it makes sense, however large the file says it is."""
        return min(max(self.integer(section, key) or 0, 0), most)

    def files(self) -> list[str]:
        """Names of the data files, in the order of their numbers.

        Raises:
            Damage: there are none, there is a gap, or a name leads elsewhere.
        """
        section = self.sections.get("DATAFILE", {})
        count = self.integer("DATAFILE", "FILE_COUNT")
        if count is None or not 0 < count <= MOST_FILES:
            raise Damage("corrupt", "Slidedat.ini does not say how many data files there are")
        names = [section.get(f"FILE_{number}", "") for number in range(count)]
        if not all(is_plain(name) for name in names):
            raise Damage("corrupt", "Slidedat.ini lacks the name of a data file, or names one in another folder")
        return names


@dataclass(frozen=True, slots=True)
class Geometry:
    """The pyramid, as OpenSlide computes it."""

    width: int
    height: int
    tile_width: int
    tile_height: int
    concats: tuple[int, ...]  # by level: images of the camera in one of its images, in one dimension
    format: str

    def digest(self) -> "hashlib._Hash":
        """SHA-256 over it, to which tiles may be added; the same before and after de-identification."""
        shape = (self.width, self.height, self.tile_width, self.tile_height, COMPRESSIONS.get(self.format, "other"))
        return hashlib.sha256("mrxs {} {} {} {} {}".format(*shape).encode())


def parse(raw: bytes) -> Slidedat:
    """Read the text: UTF-8 with or without a mark, else GB18030; of a repeated key the last counts, as for OpenSlide."""
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] = {}
    for line in path_text(raw).removeprefix("\ufeff").replace("\r", "\n").split("\n"):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            section = sections.setdefault(text[1:-1], {})
        elif "=" in text and not text.startswith(("#", ";")):
            key, _, value = text.partition("=")
            section[key.strip()] = value.strip()
    return Slidedat(sections)


def is_plain(name: str) -> bool:
    """Whether this is the name of a file in the folder itself, which alone is ever opened."""
    is_short = 0 < len(name.encode()) <= 255
    return is_short and name not in {".", ".."} and not any(mark in name for mark in "/\\\0")


def datetime_of(text: str) -> datetime | None:
    """When the slide was scanned, in local time: day/month/year hours:minutes:seconds."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    day, month, year, hour, minute, second = (int(part) for part in match.groups())
    with suppress(ValueError):
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 -- the scanner's local time, zone unknown
    return None


def geometry_of(slidedat: Slidedat) -> Geometry:
    """The pyramid; every level's images are those of the one below, joined 2 x 2 once or several times.

    A camera takes pictures in a grid that overlap by a little; each is divided into images of equal size. The overlap counts
    once for every seam between two pictures.

    Raises:
        Damage: something that OpenSlide needs is missing or absurd.
    """
    lacking = Damage("corrupt", "Slidedat.ini lacks a part of the pyramid's description")
    count = slidedat.integer("HIERARCHICAL", "HIER_0_COUNT")
    is_first = slidedat.text("HIERARCHICAL", "HIER_0_NAME") == "Slide zoom level"
    if not is_first or count is None or not 0 < count <= MOST_LEVELS:
        raise lacking
    sections = [slidedat.text("HIERARCHICAL", f"HIER_0_VAL_{level}_SECTION") for level in range(count)]
    if any(not slidedat.text(section, key) for section in sections for key in _LEVEL_KEYS):
        raise lacking
    exponents = [slidedat.integer(section, "IMAGE_CONCAT_FACTOR") for section in sections]
    concats, total = [], 0
    for level, exponent in enumerate(exponents):
        if exponent is None or exponent < (level > 0) or (total := total + exponent) > 30:
            raise lacking
        concats.append(1 << total)
    (width, tile_width), (height, tile_height) = (_extent(slidedat, sections[0], axis, lacking) for axis in "XY")
    formats = {slidedat.text(section, "IMAGE_FORMAT") for section in sections}
    format_ = slidedat.text(sections[0], "IMAGE_FORMAT")
    # A format that OpenSlide cannot decode, at whatever level, is the slide's.
    odd = sorted(formats - COMPRESSIONS.keys())
    return Geometry(
        width // concats[0], height // concats[0], tile_width, tile_height, tuple(concats), odd[0] if odd else format_
    )


def _extent(slidedat: Slidedat, section: str, axis: str, lacking: Damage) -> tuple[int, int]:
    """Pixels of the whole and of one image of the camera, in one dimension."""
    count = slidedat.integer("GENERAL", f"IMAGENUMBER_{axis}")
    side = slidedat.integer(section, "DIGITIZER_WIDTH" if axis == "X" else "DIGITIZER_HEIGHT")
    overlap = slidedat.number(section, f"OVERLAP_{axis}")
    divisions = slidedat.integer("GENERAL", "CameraImageDivisionsPerSide")
    if "CameraImageDivisionsPerSide" not in slidedat.sections.get("GENERAL", {}):
        divisions = 1
    if count is None or side is None or overlap is None or divisions is None:
        raise lacking
    if min(count, side, divisions) <= 0 or abs(overlap) >= side:
        raise lacking
    seams = (count - 1) // divisions
    # OpenSlide adds picture by picture to an integer, so that each seam is cut down to a whole number.
    return (count - seams) * side + seams * math.floor(side - overlap), side


def layer_numbers(slidedat: Slidedat) -> list[int]:
    """Numbers of the non-hierarchical records without which OpenSlide does not open the slide: images and positions."""
    numbers: dict[str, int] = {}
    number = 0
    for layer in range(slidedat.count("HIERARCHICAL", "NONHIER_COUNT", _MOST_LAYERS)):
        name = slidedat.text("HIERARCHICAL", f"NONHIER_{layer}_NAME")
        count = slidedat.count("HIERARCHICAL", f"NONHIER_{layer}_COUNT", _MOST_LAYERS)
        if name in _POSITION_LAYERS:
            numbers.setdefault(name, number)
        elif name == "Scan data layer":
            for value in range(count):
                kind = slidedat.text("HIERARCHICAL", f"NONHIER_{layer}_VAL_{value}")
                if kind in {LABEL, OVERVIEW, THUMBNAIL}:
                    numbers.setdefault(kind, number + value)
        number += count
    return sorted(numbers.values())
