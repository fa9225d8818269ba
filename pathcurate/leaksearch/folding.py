"""Texts as the leak search compares them: width, case and lone separators are gone, and where words begin is known.

A text becomes an array of UTF-16 units, so that one step of numpy does what would otherwise be done character by character.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

OTHER: Final = 0
HAN: Final = 1
"""A sign of a script without spaces: an identifier may begin and end at each."""
DIGIT: Final = 2
LETTER: Final = 3
SEPARATOR: Final = 4
"""A space, hyphen, underscore or middle dot: a lone one is left out, so that ``138 0013-8000`` is ``13800138000``."""
EDGE: Final = 5
"""What stands around a whole value: a line end, tab, comma, quote, bracket of a tag, colon."""

# What fold() says of each unit that it keeps.
START: Final = 1
"""A word begins here; every Han sign is a word."""
END: Final = 2
DIGIT_START: Final = 4
DIGIT_END: Final = 8
OPENS: Final = 16
"""What stands before it is the edge of a value."""
CLOSES: Final = 32
"""What follows it is no part of a word."""
MIXED: Final = 128
"""A digit next to a letter."""

_SEPARATORS = (
    *map(ord, " -_\u00a0\u00ad\u00b7\u1680\u2022\u2027\u202f\u205f\u2060\u2212\u3000\u30fb\ufe63\ufeff\uff0d\uff3f\uff65"),
    *range(0x2000, 0x200E),
    *range(0x2010, 0x2016),
)
_EDGES = "\0\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f,;|\"'<>=:\uff1a\u2028\u2029"
_LONE = 192
"""Marks of a lone separator, which no other unit has: half of it says that the sign before, half that the next is none."""
_WORDS = frozenset({HAN, DIGIT, LETTER})
_SCRIPTS_WITHOUT_SPACES = 0x2E80
UNITS: Final = 1 << 16

Units = NDArray[np.uint16]
Marks = NDArray[np.uint8]
Positions = NDArray[np.intp]


@cache
def tables() -> tuple[Units, Marks]:
    """The folded unit and the class of every UTF-16 unit."""
    codes = np.arange(UNITS, dtype=np.uint16)
    classes = np.zeros(UNITS, dtype=np.uint8)
    for unit in range(UNITS):
        if 0xD800 <= unit < 0xE000:  # half of a sign beyond the first plane: nearly all that occur are Han
            classes[unit] = HAN
            continue
        folded = unicodedata.normalize("NFKC", chr(unit)).upper()
        sign = folded if len(folded) == 1 and ord(folded) < UNITS else chr(unit)
        if (value := unicodedata.digit(sign, None)) is not None:
            sign = str(value)
        codes[unit] = ord(sign)
        if "0" <= sign <= "9":
            classes[unit] = DIGIT
        elif sign.isalnum():
            classes[unit] = HAN if ord(sign) >= _SCRIPTS_WITHOUT_SPACES else LETTER
    codes[list(_SEPARATORS)], classes[list(_SEPARATORS)] = ord(" "), SEPARATOR
    for sign in _EDGES:
        classes[ord(sign)] = EDGE
    return codes, classes


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text.

    Attributes:
        codes: its units, without lone separators.
        marks: what is known of each, see :data:`START` and those below it.
        origins: where each unit stood in the text.
    """

    codes: Units
    marks: Marks
    origins: Positions


def units_of(text: str) -> NDArray[Any]:
    """A text as units: bytes if it is ASCII, else UTF-16, where halves of signs that stand alone are let through."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    signs = np.array([text]).view(np.uint32)
    wide = signs >= UNITS
    if not wide.any():
        return signs.astype(np.uint16)
    units = np.repeat(signs, wide + np.intp(1))
    first = np.flatnonzero(wide) + np.arange(np.count_nonzero(wide))
    units[first] = 0xD800 - (UNITS >> 10) + (units[first] >> 10)
    units[first + 1] = 0xDC00 + (units[first + 1] & 0x3FF)
    return units.astype(np.uint16)


def fold(units: NDArray[Any]) -> Folded:
    """Fold a text.

    Args:
        units: of :func:`units_of`; what is before the first and behind the last is taken for an edge.
    """
    codes, classes = tables()
    marks = _marks(classes.take(units, mode="wrap"))
    kept = np.flatnonzero(marks != _LONE)
    return Folded(codes.take(units.take(kept)), marks.take(kept), kept)


def fold_around(units: NDArray[Any], places: Positions, before: int, behind: int) -> tuple[Folded, Positions]:
    """Fold only what stands around some places of a text, one such piece behind the other.

    Args:
        units: of :func:`units_of`.
        places: in order, one or more.
        before: units to see before each place.
        behind: units to see from each place on.

    Returns:
        what was folded, whose origins are places in the text, and where in it each place is.
    """
    low, high = np.maximum(places - before, 0), np.minimum(places + behind, len(units))
    opens = np.flatnonzero(low[1:] > high[:-1]) + 1
    low, high = low[np.concatenate(([0], opens))], high[np.concatenate((opens - 1, [len(places) - 1]))]
    lengths = high - low
    shifts = low - (np.cumsum(lengths) - lengths)
    origins = np.arange(lengths.sum()) + np.repeat(shifts, lengths)
    folded = fold(units.take(origins))
    at = places - shifts[np.searchsorted(low, places, side="right") - 1]
    return Folded(folded.codes, folded.marks, origins.take(folded.origins)), np.searchsorted(folded.origins, at)


def _marks(kinds: Marks) -> Marks:
    """What is known of each unit, from its class and those of its neighbours: two looks into tables of pairs of classes."""
    of_start, of_end = _pair_marks()
    left = np.empty_like(kinds)
    shifted = kinds * np.uint8(16)  # numpy multiplies bytes five times faster than it shifts them
    left[1:], left[:1] = shifted[:-1], EDGE * 16
    left |= kinds
    right = shifted
    right[:-1] |= kinds[1:]
    right[-1:] |= EDGE
    starts = np.frombuffer(bytearray(left).translate(of_start), dtype=np.uint8)
    starts |= np.frombuffer(right.tobytes().translate(of_end), dtype=np.uint8)
    return starts


@cache
def _pair_marks() -> tuple[bytes, bytes]:
    """Marks of a unit from the classes of what stands before it and of itself, and of itself and what follows."""
    starts, ends = bytearray(256), bytearray(256)
    for one in range(EDGE + 1):
        for other in range(EDGE + 1):
            starts[one << 4 | other] = _start_marks(one, other)
            ends[one << 4 | other] = _end_marks(one, other)
    return bytes(starts), bytes(ends)


def _start_marks(before: int, kind: int) -> int:
    if kind == SEPARATOR:
        return 128 * (before != SEPARATOR)
    if kind not in _WORDS:
        return 0
    marks = 0
    if kind == HAN or before not in {DIGIT, LETTER}:
        marks |= START
    if kind == DIGIT and before != DIGIT:
        marks |= DIGIT_START | MIXED * (before == LETTER)
    return marks | OPENS * (before == EDGE)


def _end_marks(kind: int, after: int) -> int:
    if kind == SEPARATOR:
        return 64 * (after != SEPARATOR)
    if kind not in _WORDS:
        return 0
    marks = CLOSES * (after not in _WORDS)
    if kind == HAN or after not in {DIGIT, LETTER}:
        marks |= END
    if kind == DIGIT and after != DIGIT:
        marks |= DIGIT_END | MIXED * (after == LETTER)
    return marks
