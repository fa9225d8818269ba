"""Patterns that are searched for together: one pass over a text tells which of them can match in it at all.

Of each pattern it is known which characters its match may begin with: which the first may be, the second and so on, and
which may not stand before it. In the pass every place of a text is compared with all of that at once, one bit for each
pattern. What is left is searched by the patterns themselves, so that the pass changes no result; most patterns of a set of
many match in hardly any text, and are not tried.

The method is that of Teddy, of the Hyperscan library (Wang et al., Hyperscan, NSDI 2019), with an array of characters in
the place of a vector register.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from re import _constants as ops  # type: ignore[attr-defined]  # what `re` makes of a pattern has no public form
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_Signs = NDArray[np.bool_]
_WORD_BITS = 64
_BEYOND, _EDGE = 0x10000, 0x10001
"""Places of a table for all characters of the higher planes, and for what stands before and behind a text."""
_SIZE = _EDGE + 1
_DEPTH = 6
"""So many characters of a match are looked at."""
_OTHER_CASES = "\u0130\u0131\u017f\u212a"
"""What matches an ASCII letter of the other case, beside that letter."""


class Searched:
    """A pattern for many texts, most of which it does not match; every match of it has at least one character.

    Args:
        pattern: as for :func:`re.compile`, or compiled.
        flags: as for :func:`re.compile`.
    """

    __slots__ = ("_match", "compiled", "number")

    def __init__(self, pattern: "str | re.Pattern[str]", flags: int = 0) -> None:
        self.compiled = re.compile(pattern, flags)
        self._match = self.compiled.match
        self.number = len(_ALL)
        _ALL.append(self)
        _kept.clear()

    @property
    def pattern(self) -> str:
        """As it was written."""
        return self.compiled.pattern

    def finditer(self, text: str) -> list["re.Match[str]"]:
        """All matches in a text, as the pattern itself finds them; most often none."""
        bounds, places, _ = _kept.get(text) or _passed(text)
        first, last = bounds[self.number], bounds[self.number + 1]
        found: list[re.Match[str]] = []
        if first == last:
            return found
        end, match = 0, self._match
        for start in places[first:last]:
            if start >= end and (one := match(text, start)):
                found.append(one)
                end = one.end()
        return found

    def search(self, text: str) -> "re.Match[str] | None":
        """The first match in a text."""
        bounds, places, _ = _kept.get(text) or _passed(text)
        for start in places[bounds[self.number] : bounds[self.number + 1]]:
            if found := self._match(text, start):
                return found
        return None


class _Passed(NamedTuple):
    """What the pass has shown: the places where matches may begin, by patterns, and where among them those of each begin.

    Attributes:
        bounds: for each pattern where its places begin, and behind the last where they end.
        places: of all patterns.
        begun: numbers of the patterns that have a place.
    """

    bounds: list[int]
    places: list[int]
    begun: list[int]


_ALL: list[Searched] = []
_MOST_KEPT = 256
_kept: dict[str, _Passed] = {}


def beginning_in(text: str) -> list[int]:
    """The numbers of the patterns of which a match may begin somewhere in a text, in order."""
    return _passed(text).begun


def _passed(text: str) -> _Passed:
    return _kept.get(text) or _go_through([text])[0]


def prepare(texts: Sequence[str]) -> None:
    """Go through several texts at once, as those of one report: half of the time of a pass does not hang on its length.

    What was shown is kept for the searches that follow each other on these texts.
    """
    if new := [text for text in dict.fromkeys(texts) if text not in _kept]:
        _go_through(new)


def _go_through(texts: Sequence[str]) -> list[_Passed]:
    kinds, tables = _tables(len(_ALL))
    if len(_kept) + len(texts) > _MOST_KEPT:
        _kept.clear()
    # Before each text and behind the last there are edges enough for a whole beginning.
    places = np.full(sum(map(len, texts)) + (len(texts) + 1) * _DEPTH, _EDGE, np.intp)
    owners = np.full(len(places), -1, np.intp)
    starts, end = [], 0
    for number, text in enumerate(texts):
        start, end = end + _DEPTH, end + _DEPTH + len(text)
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        np.minimum(points, _BEYOND, out=places[start:end], casting="unsafe")
        starts.append(start - 1)
        owners[start - 1 : end - 1] = number
    found = kinds.take(places)
    bits = tables[0].take(found[:end], axis=1)
    for offset in range(1, _DEPTH + 1):
        bits &= tables[offset].take(found[offset : offset + end], axis=1)
    passed = _by_patterns(bits, owners[:end], np.array(starts))
    _kept.update(zip(texts, passed, strict=True))
    return passed


def _by_patterns(bits: NDArray[np.uint64], owners: NDArray[np.intp], starts: NDArray[np.intp]) -> list[_Passed]:
    """For each text the places of the bits, by patterns.

    Args:
        bits: of all patterns, of shape (words, places).
        owners: of each place the text, -1 for one between texts.
        starts: of each text its first place.
    """
    width, begun = len(bits) * _WORD_BITS, (bits.any(axis=0) & (owners >= 0)).nonzero()[0]
    eights = np.ascontiguousarray(bits.take(begun, axis=1).T).view(np.uint8).ravel()
    # One of ten bytes holds a bit: only these are taken apart.
    filled = (eights != 0).nonzero()[0]
    shown = np.unpackbits(eights.take(filled), bitorder="little").view(np.bool_).nonzero()[0]
    rows, columns = np.divmod(filled.take(shown >> 3), width >> 3)
    patterns = (columns << 3) + (shown & 7)
    owned = owners.take(begun)
    keys = patterns + owned.take(rows) * width
    # Few keys fit into two bytes, which are sorted by counting.
    order = keys.astype(np.min_scalar_type(len(starts) * width)).argsort(kind="stable")
    places = (begun - starts.take(owned)).take(rows.take(order)).tolist()
    counts = np.bincount(keys, minlength=len(starts) * width)
    bounds = [0, *counts.cumsum().tolist()]
    those = [of_text.nonzero()[0].tolist() for of_text in counts.reshape(len(starts), width)]
    firsts = range(0, len(starts) * width, width)
    return [_Passed(bounds[first : first + width + 1], places, some) for first, some in zip(firsts, those, strict=True)]


@cache
def _tables(count: int) -> tuple[NDArray[np.intp], list[NDArray[np.uint64]]]:
    """For each character its kind, and for each place at a match's beginning and each kind the patterns that allow it."""
    signs = [_beginning(one.compiled) for one in _ALL[:count]]
    nothing = [np.zeros(_SIZE, np.bool_)] * (-count % _WORD_BITS)
    allowed = [
        np.packbits([*(one[offset] for one in signs), *nothing], axis=0, bitorder="little").T for offset in range(1 + _DEPTH)
    ]
    whole = np.stack(allowed, axis=1)
    rows, width = whole.tobytes(), whole[0].nbytes
    index: dict[bytes, int] = {}
    kinds = [index.setdefault(rows[start : start + width], len(index)) for start in range(0, len(rows), width)]
    unlike = np.frombuffer(b"".join(index), np.uint64).reshape(len(index), 1 + _DEPTH, -1)
    return np.array(kinds, np.intp), [np.ascontiguousarray(unlike[:, offset].T) for offset in range(1 + _DEPTH)]


def _beginning(pattern: "re.Pattern[str]") -> list[_Signs]:
    """What may stand before a match, and at each of its first places; what is not understood may be anything."""
    signs = [np.zeros(_SIZE, np.bool_) for _ in range(_DEPTH + 1)]
    before = signs[0]
    before[:] = True
    tree = parser.parse(pattern.pattern, pattern.flags)
    for op, value in tree:
        if (demanded := _demanded(op, value, pattern.flags)) is not None:
            before &= demanded
        if op not in {ops.ASSERT, ops.ASSERT_NOT, ops.AT}:
            break
    ends = _walk(tree, frozenset({0}), signs, pattern.flags, is_always=True)
    for offset in range(min(ends), _DEPTH):
        signs[offset + 1][:] = True
    for one in signs:
        one[_BEYOND] = True
    before[_EDGE] = True
    return signs


def _walk(
    tree: Iterable[tuple[Any, Any]], places: frozenset[int], signs: list[_Signs], flags: int, *, is_always: bool
) -> frozenset[int]:
    """At which places of a match its next part may begin, once a part of it that may begin at some has been gone through."""
    for op, value in tree:
        if places == {_DEPTH}:
            break
        if op in {ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY}:
            shown = _shown(op, value, flags)
            for place in places - {_DEPTH}:
                signs[place + 1] |= shown
            places = frozenset(min(place + 1, _DEPTH) for place in places)
        elif op is ops.BRANCH:
            ends = [_walk(branch, places, signs, flags, is_always=False) for branch in value[1]]
            places = frozenset().union(*ends)
        elif op is ops.SUBPATTERN:
            _, added, removed, inner = value
            places = _walk(inner, places, signs, (flags | added) & ~removed, is_always=is_always)
        elif op is ops.ATOMIC_GROUP:
            places = _walk(value, places, signs, flags, is_always=is_always)
        elif op in {ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT}:
            places = _repeated(value, places, signs, flags)
        elif op is ops.ASSERT_NOT and is_always:
            _exclude(value, places, signs, flags)
        elif op not in {ops.ASSERT, ops.ASSERT_NOT, ops.AT}:
            for offset in range(min(places), _DEPTH):
                signs[offset + 1][:] = True
            places = frozenset(range(min(places), _DEPTH + 1))
    return places


def _repeated(value: tuple[Any, Any, Any], places: frozenset[int], signs: list[_Signs], flags: int) -> frozenset[int]:
    least, most, inner = value
    ends = set(places) if least == 0 else set()
    for times in range(1, min(int(most), _DEPTH) + 1):
        places = _walk(inner, places, signs, flags, is_always=False)
        if times >= min(int(least), _DEPTH):
            ends |= places
    return frozenset(ends)


def _demanded(op: Any, value: Any, flags: int) -> _Signs | None:
    """What must stand before a match that begins with a look-behind, or with one of several; None for one that may not."""
    if op is ops.ASSERT and value[0] == -1 and value[1]:
        last, shown = value[1][-1]
        return _shown(last, shown, flags) if last in {ops.LITERAL, ops.NOT_LITERAL, ops.IN} else None
    if op is ops.AT and value is ops.AT_BEGINNING_STRING:
        return np.zeros(_SIZE, np.bool_)
    if op is ops.SUBPATTERN and value[3]:
        first, inner = value[3][0]
        return _demanded(first, inner, (flags | value[1]) & ~value[2])
    if op is ops.BRANCH:
        several = [_demanded(branch[0][0], branch[0][1], flags) if branch else None for branch in value[1]]
        known = [one for one in several if one is not None]
        return np.logical_or.reduce(known) if len(known) == len(several) else None
    return None


def _exclude(value: tuple[int, Sequence[tuple[Any, Any]]], places: frozenset[int], signs: list[_Signs], flags: int) -> None:
    """Leave out what a look-behind forbids before a match: by itself, or before a first character that it always finds."""
    direction, inner = value
    if [op for op, _ in inner] == [ops.MAX_REPEAT] and inner[0][1][:2] == (2, 2):
        inner = [*inner[0][1][2]] * 2
    if direction != -1 or len(inner) != 1 + min(places) or len(places) != 1 or min(places) > 1:
        return
    if any(op not in {ops.LITERAL, ops.NOT_LITERAL, ops.IN} for op, _ in inner):
        return
    # Without the other cases, of which some may not be meant: too little is left out rather than too much.
    shown = [_shown(op, one, flags & re.ASCII) for op, one in inner]
    if len(shown) == 1 or not (signs[1] & ~shown[1])[:_BEYOND].any():
        signs[0] &= ~shown[0]


def _shown(op: Any, value: Any, flags: int) -> _Signs:
    """The characters that one sign of a pattern matches, as a new array."""
    shown = np.zeros(_SIZE, np.bool_)
    if op is ops.ANY:
        shown[:_BEYOND] = True
        return shown
    is_negated = op is ops.NOT_LITERAL
    for kind, one in value if op is ops.IN else [(ops.LITERAL, value)]:
        if kind is ops.NEGATE:
            is_negated = True
        elif kind is ops.LITERAL:
            shown[min(one, _BEYOND)] = True
        elif kind is ops.RANGE:
            shown[one[0] : min(one[1], _BEYOND) + 1] = True
        else:
            shown |= _category(one, flags & re.ASCII)
    if is_negated:
        shown = ~shown
        shown[_EDGE] = False
    elif flags & re.IGNORECASE:
        _add_cases(shown)
    return shown


def _add_cases(shown: _Signs) -> None:
    """Make an ASCII letter both of its cases; of other letters that have cases one stands for all."""
    upper, lower = slice(ord("A"), ord("Z") + 1), slice(ord("a"), ord("z") + 1)
    letters, others = shown[upper] | shown[lower], [ord(sign) for sign in _OTHER_CASES]
    letters |= bool(shown[others].any())
    cased = _cased()
    shown[cased] |= bool(shown[cased].any())
    shown[upper] = shown[lower] = letters
    shown[others] |= bool(letters.any())


@cache
def _cased() -> _Signs:
    signs = [False] * ord("\x80") + [sign.lower() != sign.upper() for sign in map(chr, range(ord("\x80"), _BEYOND))]
    return np.array([*signs, False, False])


@cache
def _category(name: Any, flags: int) -> _Signs:
    """The characters of a category."""
    written = {ops.CATEGORY_DIGIT: r"\d", ops.CATEGORY_NOT_DIGIT: r"\D", ops.CATEGORY_SPACE: r"\s",
               ops.CATEGORY_NOT_SPACE: r"\S", ops.CATEGORY_WORD: r"\w", ops.CATEGORY_NOT_WORD: r"\W"}[name]  # fmt: skip
    shown = np.zeros(_SIZE, np.bool_)
    shown[[found.start() for found in re.finditer(written, "".join(map(chr, range(_BEYOND))), flags)]] = True
    return shown
