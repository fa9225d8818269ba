"""A text without the signs that spellings differ in, and the way back.

``张 三``, ``2024-001 234`` and ``ZHANG, San`` are found as ``张三``, ``2024001234`` and ``zhangsan``.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from pathcurate.scrubbers.text.namewords import DOTS, name_words

_SPACES = " \t\r\n\v\f\xa0\u2028\u2029\u200b\ufeff"
_OTHERS = ".,'’^_-/:()+"
_DROPPED = frozenset(_SPACES + DOTS + _OTHERS)
_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_LATIN = re.compile("[A-Za-z](?:(?<=[A-Z])[A-Za-z]|[A-Za-z]{3})")
_LATIN_RUNS = re.compile("[a-z]{2,}")
_WIDEST_GAP = 4

KEPT = 256
"""Texts of which what was made for one search is kept for the next: more than reports are scrubbed together."""

HAN_GAPS = frozenset(_SPACES + DOTS + "^")
"""What may stand between the characters of a Chinese name."""
LATIN_GAPS = frozenset(_SPACES + DOTS + ".,'’^_-")
"""What may stand between the words of a name in Latin letters."""
NUMBER_GAPS = frozenset(" \t\xa0-_")
"""What may stand between the digits of a number."""


class Spelling:
    """A text in half width, and the same one compact: in lower case, without spaces, dots, dashes and brackets, the
    characters of names simplified; and of that the Latin words, a line each.

    Args:
        normal: the text, see :func:`pathcurate.text.folding.half_width`.
    """

    __slots__ = ("_places", "compact", "latin", "lower", "normal")

    def __init__(self, normal: str) -> None:
        self.normal = normal
        lower = normal.lower()
        # One letter (İ) becomes two, which would move all that follows.
        self.lower = lower if len(lower) == len(normal) else normal.translate(_LOWER)
        self.compact = _compact(self.lower)
        self.latin = "\n".join(_LATIN_RUNS.findall(self.compact)) if _LATIN.search(normal) else ""
        self._places: list[int] | None = None

    @property
    def places(self) -> list[int]:
        """Where each character of the compact text stands in the text."""
        if self._places is None:
            self._places = [place for place, character in enumerate(self.normal) if character not in _DROPPED]
        return self._places

    def find(self, form: str, gaps: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Where a compact form stands in the text, with nothing but ``gaps`` between its characters."""
        plain = self.lower.count(form)
        is_plain = plain == self.compact.count(form)
        place = (self.lower if is_plain else self.compact).find(form) if plain or not is_plain else -1
        while place >= 0:
            # Most values are written as they are known: only for others the way back from the compact text is needed.
            span = (place, place + len(form)) if is_plain else self.span(place, place + len(form), gaps)
            if span is not None:
                yield span
            place = (self.lower if is_plain else self.compact).find(form, place + 1)

    def span(self, start: int, end: int, gaps: frozenset[str]) -> tuple[int, int] | None:
        """Where a piece of the compact text stands in the text; None if others than ``gaps`` are between its characters."""
        places = self.places
        first, last = places[start], places[end - 1] + 1
        if last - first == end - start:
            return first, last
        for here, there in zip(places[start : end - 1], places[start + 1 : end], strict=True):
            if there - here - 1 > _WIDEST_GAP or not gaps.issuperset(self.normal[here + 1 : there]):
                return None
        return first, last


@lru_cache(maxsize=KEPT)
def spelling(normal: str) -> Spelling:
    """The spelling of a text; of the last texts it is kept, for the searches that follow each other on one report."""
    return Spelling(normal)


def compacted(value: str) -> str:
    """A value as a compact text has it."""
    return _compact(value.lower())


def _compact(lower: str) -> str:
    # Most texts hold few of the signs and are in simplified characters: a third of the time of a pattern for all signs.
    for sign in _DROPPED:
        if sign in lower:
            lower = lower.replace(sign, "")
    return simplified(lower)


def simplified(text: str) -> str:
    """A text with the traditional characters of names and labels as simplified ones, one for one."""
    return text.translate(name_words().simplified) if _traditional().search(text) else text


@cache
def _traditional() -> "re.Pattern[str]":
    return re.compile(f"[{''.join(map(chr, name_words().simplified))}]")
