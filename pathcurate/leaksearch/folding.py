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
FIRST: Final = 8
"""Added to the class of a sign that an identifier begins with."""

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
CANDIDATE: Final = 64
"""A word that may be the beginning of an identifier."""
MIXED: Final = 128
"""A digit next to a letter."""

_SEPARATORS = (
    *map(ord, " -_\u00a0\u00ad\u00b7\u1680\u2022\u2027\u202f\u205f\u2060\u2212\u3000\u30fb\ufe63\ufeff\uff0d\uff3f\uff65"),
    *range(0x2000, 0x200E),
    *range(0x2010, 0x2016),
)
_EDGES = "\0\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f,;|\"'<>=:\uff1a\u2028\u2029"
_LONE = 192
"""Marks of a lone separator, which no other unit has: a candidate is always a start as well."""
_WORDS = frozenset({HAN, DIGIT, LETTER})
_SCRIPTS_WITHOUT_SPACES = 0x2E80
UNITS: Final = 1 << 16

Units = NDArray[np.uint16]
Marks = NDArray[np.uint8]
Positions = NDArray[np.intp]


@cache
def _tables() -> tuple[Units, Marks]:
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
class Classes:
    """Classes of units, with the marks of those that an identifier begins with."""

    wide: Marks
    ascii: bytes

    @classmethod
    def of(cls, first_units: NDArray[Any]) -> "Classes":
        """The classes, where these folded units begin an identifier."""
        codes, classes = _tables()
        begins = np.zeros(UNITS, dtype=bool)
        begins[first_units] = True
        wide = classes | (begins[codes] & np.isin(classes, (HAN, DIGIT, LETTER))) * np.uint8(FIRST)
        return cls(wide, wide[:256].tobytes())


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text.

    Attributes:
        codes: its units, without lone separators.
        marks: what is known of each, see :data:`START` and those below it.
        kept: where each unit stood before lone separators were left out; None if there were none.
    """

    codes: NDArray[Any]
    marks: Marks
    kept: Positions | None

    def origin(self, positions: Positions) -> Positions:
        """Where units stood before separators were left out."""
        return positions if self.kept is None else self.kept[positions]


def units_of(text: str) -> NDArray[Any]:
    """A text as units: bytes if it is ASCII, else UTF-16."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-16-le", "surrogatepass"), dtype="<u2")


def fold(units: NDArray[Any], classes: Classes) -> Folded:
    """Fold a text.

    Args:
        units: of :func:`units_of`; what is before the first and behind the last is taken for an edge.
        classes: the classes of units.
    """
    all_codes, _ = _tables()
    if units.dtype == np.uint8:
        data = units.tobytes()
        codes: NDArray[Any] = np.frombuffer(data.translate(_ascii_codes()), dtype=np.uint8)
        kinds = np.frombuffer(data.translate(classes.ascii), dtype=np.uint8)
    else:
        codes, kinds = np.take(all_codes, units, mode="clip"), np.take(classes.wide, units, mode="clip")
    marks = _marks(kinds)
    is_kept = marks != _LONE
    if is_kept.all():
        return Folded(codes, marks, None)
    kept = np.flatnonzero(is_kept)
    return Folded(codes.take(kept), marks.take(kept), kept)


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
    for one in range(16):
        for other in range(16):
            starts[one << 4 | other] = _start_marks(one & 7, other & 7, bool(other & FIRST))
            ends[one << 4 | other] = _end_marks(one & 7, other & 7)
    return bytes(starts), bytes(ends)


def _start_marks(before: int, kind: int, is_first: bool) -> int:
    if kind == SEPARATOR:
        return 128 * (before != SEPARATOR)
    if kind not in _WORDS:
        return 0
    marks = 0
    if kind == HAN or before not in {DIGIT, LETTER}:
        marks |= START | CANDIDATE * is_first
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


@cache
def _ascii_codes() -> bytes:
    return _tables()[0][:256].astype(np.uint8).tobytes()
