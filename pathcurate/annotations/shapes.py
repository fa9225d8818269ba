"""What every annotation format gives: drawn shapes, and what of them could not be used."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from pathcurate.annotations.geometry import Geometry

_LONGEST: Final = 200
"""Characters of a class or a name; what is longer is no name of anything."""
_HEX: Final = re.compile(r"#?([0-9a-fA-F]{6})")


class DamagedError(Exception):
    """A file that is refused; its text says why, without a value."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape as it stands in a file.

    Attributes:
        number: its place in the file, from 1.
        tool: what wrote it, as in the ``annotations`` table.
        geometry: the shape.
        label: its class, as the tool has it.
        colour: of the class, ``#rrggbb``.
        slide_raw: what the file says of its slide; None if only its name does.
        annotator: who drew it.
        version: of the tool.
    """

    number: int
    tool: str
    geometry: Geometry
    label: str | None = None
    colour: str | None = None
    slide_raw: str | None = None
    annotator: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """A shape that is not imported, or a part of one that is left out: its place in the file, and the rule it breaks."""

    number: int
    rule: str


def clean(text: object, longest: int = _LONGEST) -> str | None:
    """A name as it is kept: NFC, without control characters and outer blanks; None for what is no name."""
    if not isinstance(text, str) or len(text) > longest:
        return None
    if text.isascii() and text.isprintable():
        return text.strip() or None
    plain = "".join(sign for sign in text if unicodedata.category(sign) not in {"Cc", "Cs"})
    return unicodedata.normalize("NFC", plain).strip() or None


def colour_of(value: object) -> str | None:
    """A colour as ``#rrggbb``, from three numbers, a packed number (alpha first, as Java has it) or hexadecimal digits."""
    if isinstance(value, list) and len(value) in {3, 4}:
        parts = [part for part in value[:3] if isinstance(part, float) and 0 <= part <= 255]
        return "#" + "".join(f"{int(part):02x}" for part in parts) if len(parts) == 3 else None
    if isinstance(value, float) and abs(value) < 1 << 32:
        return f"#{int(value) & 0xFFFFFF:06x}"
    found = _HEX.fullmatch(value.strip()) if isinstance(value, str) else None
    return f"#{found[1].lower()}" if found else None
