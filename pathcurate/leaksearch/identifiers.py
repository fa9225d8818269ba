"""Millions of identifiers, and where they stand in a text.

What makes this quick: of each unit of a text a table says whether an identifier may begin there, and only what stands
around the few places where the signs that follow say so too (:mod:`~pathcurate.leaksearch.beginnings`) is folded and hashed;
a window of words then costs a subtraction and a multiplication, whatever its length (the polynomial hash of Karp and Rabin,
IBM J. Res. Dev. 31 (1987), modulo 2^64, from sums over all that stands before). Every hit is compared sign by sign, so a
collision of hashes costs time and never gives a wrong answer; nothing that follows the rules below is missed. Five million
identifiers take about 0.7 GB; the automaton of Aho and Corasick over them takes 1.5 GB and reads 100 MB/s without folding
anything (ahocorasick_rs 1.0.3, contiguous NFA).

What is compared, of identifier and text alike: width and case are folded, and a lone space, hyphen, underscore or middle
dot is left out. A text is found that holds an identifier in up to four words, however these are separated, or in more if it
is so written itself. What stands at its ends decides:

* digits alone (at least five) match between signs that are no digits; those before and behind a decimal point, and those
  within a pseudonym, a UUID or a hexadecimal digest, are parts of something else;
* letters with digits match between signs that are neither;
* Han signs match anywhere, if they are three or more;
* what may be an ordinary word or occur by chance - two Han signs, a single word of Latin letters, a short code - matches
  only where it is a whole value, such as a cell, and two Han signs also beside a word that names a person (``姓名``).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pathcurate.leaksearch import folding
from pathcurate.leaksearch.beginnings import Beginnings
from pathcurate.leaksearch.folding import Folded, Positions, Units, fold, fold_around, units_of

MAX_UNITS: Final = 128
"""Units of an identifier after folding; of a longer one its beginning counts."""
WORDS: Final = 4
"""Words of a window."""
# Two of them are a block with its overlaps (see contents.py); of smaller ones the calls cost more than what they do.
_CHUNK = (1 << 19) + (1 << 12)
# Units that a chunk takes from its neighbours: what a border is judged by, and the longest with a separator at each sign.
_LEFT, _RIGHT = 8, 2 * MAX_UNITS + 8
# How far it is looked behind a place where an identifier may begin: nearly always enough, and always.
_NEAR, _FAR = 40, _RIGHT
_LONGEST_NUMBER_IN_FRACTION = 8
_BATCH = 50_000
_BASE: Final = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)

Hashes = NDArray[np.uint64]
_Windows: TypeAlias = tuple[Positions, Positions, Positions]
"""Begin, end, and place of the hash among the sorted ones."""


def _powers(base: int) -> Hashes:
    factors = np.full(_CHUNK + _LEFT + _RIGHT + 1, base, dtype=np.uint64)
    factors[0] = 1
    powers: Hashes = np.cumprod(factors)
    return powers


_POWERS = _powers(_BASE)
_INVERSE = _powers(pow(_BASE, -1, 1 << 64))

# What an identifier needs to count where it stands.
_ANYWHERE, _NUMBER, _WHOLE, _PAIR = 0, 1, 2, 3
"""Nothing but its borders; no part of a greater number; a whole value; two Han signs, a whole value or beside a label."""
_LEAST_DIGITS = 5
_EDGE = np.array([ord("\n")], dtype=np.uint16)


def _two(first: Units, second: Units) -> NDArray[np.uint32]:
    """Two signs as a number."""
    return first.astype(np.uint32) << np.uint32(16) | second


def _words(*words: str) -> NDArray[np.uint32]:
    """Words of two signs, as numbers."""
    return _two(*np.array([list(map(ord, word)) for word in words], dtype=np.uint16).T)


_BEFORE_NAMES = _words("姓名", "患者", "病人", "家属", "医师", "医生", "大夫", "护士", "主任", "签名", "系人")
_BEHIND_NAMES = _words("先生", "女士", "医师", "医生", "大夫", "主任", "教授", "护士", "同志")

_CONTEXT = 80
_JOINED = frozenset(b".-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_TOKEN_BEFORE = re.compile(r"[0-9A-Za-z-]*\Z")
_TOKEN_BEHIND = re.compile(r"[0-9A-Za-z-]*")
_OPAQUE = re.compile(r"[A-Z]-[0-9A-HJKMNP-TV-Z]{16}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,}")
_CHANGE = re.compile(r"[0-9](?=[A-Za-z])|[A-Za-z](?=[0-9])")
# Base64 and its like: digits and letters change all the time.
_RANDOM_LENGTH, _RANDOM_CHANGES, _LONGEST_IN_RANDOM = 24, 6, 7


@dataclass(frozen=True, slots=True)
class Hit:
    """Where an identifier stands, in UTF-16 units of the text.

    Attributes:
        start: first unit.
        end: behind the last one.
        kind: what it identifies.
        identifier: number of the identifier, which says nothing of it.
    """

    start: int
    end: int
    kind: str
    identifier: int


@dataclass(frozen=True, slots=True)
class _Batch:
    """Some identifiers, folded and one behind the other."""

    codes: Units
    lengths: NDArray[np.uint16]
    rules: NDArray[np.uint8]
    hashes: Hashes
    anchors: Hashes
    anchored: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class _Batches:
    """The same of many."""

    codes: list[Units] = field(default_factory=list)
    lengths: list[NDArray[np.uint16]] = field(default_factory=list)
    rules: list[NDArray[np.uint8]] = field(default_factory=list)
    hashes: list[Hashes] = field(default_factory=list)
    anchors: list[Hashes] = field(default_factory=list)
    anchored: list[NDArray[np.uint16]] = field(default_factory=list)

    def add(self, batch: _Batch) -> None:
        """Add a batch."""
        for one in fields(self):
            getattr(self, one.name).append(getattr(batch, one.name))


class Identifiers:
    """Identifiers of a catalog, ready to be searched for.

    It shows no value: neither in its representation nor in what it finds.
    """

    def __init__(self, values: Iterable[tuple[str, Iterable[str]]], without: Iterable[str] = ()) -> None:
        """Take identifiers in.

        Args:
            values: kinds, each with its identifiers, or with some of them and others later; read once, a batch at a time.
            without: words that are none, however they got in: vocabulary codes, sites.
        """
        names: dict[str, int] = {}
        batches = _Batches()
        kinds: list[int] = []
        for kind, items in values:
            number = names.setdefault(kind, len(names))
            stream = iter(items)
            while chunk := list(islice(stream, _BATCH)):
                batches.add(_fold_batch(chunk))
                kinds.append(number)
        self._names = tuple(names)
        self._fill(batches, kinds, _fold_batch(list(without)).hashes)

    @classmethod
    def of(cls, values: Mapping[str, Iterable[str]], without: Iterable[str] = ()) -> "Identifiers":
        """Identifiers by kind."""
        return cls(values.items(), without)

    def _fill(self, batches: _Batches, kinds: Sequence[int], excluded: Hashes) -> None:
        counts = [len(lengths) for lengths in batches.lengths]
        self._lengths = lengths = _joined(batches.lengths, np.uint16)
        self._codes = _joined(batches.codes, np.uint16)
        self._ends = np.cumsum(lengths, dtype=np.int64)
        self._rules = _joined(batches.rules, np.uint8)
        self._kinds = np.repeat(np.array(kinds, dtype=np.uint8), counts)
        hashes = _joined(batches.hashes, np.uint64)
        order = np.argsort(hashes).astype(np.int32)
        hashes = hashes[order]
        # A lesser hash of an excluded word is met by chance once in 10^12 catalogs.
        known = np.ones(len(hashes), dtype=bool)
        for low, high in zip(*(np.searchsorted(hashes, excluded, side) for side in ("left", "right")), strict=True):
            known[low:high] = False
        self._order, self._hashes = order[known], hashes[known]
        self._count = len(self._hashes)
        self._anchors = np.unique(_joined(batches.anchors, np.uint64))
        self._anchored = np.unique(_joined(batches.anchored, np.uint16)).tolist()
        self._bits = _BitSet.of(self._count, (self._hashes, self._anchors))
        is_known = np.ones(len(known), dtype=bool)
        is_known[order[~known]] = False
        starts = self._ends - lengths
        self._beginnings = Beginnings(self._codes, starts[is_known], lengths[is_known])

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Identifiers({self._count})"

    def kinds(self) -> dict[str, int]:
        """How many identifiers there are of each kind."""
        counts = Counter[str]()
        for name, count in zip(self._names, np.bincount(self._kinds[self._order], minlength=len(self._names)), strict=True):
            counts[name] += int(count)
        return dict(+counts)

    def find(self, text: str) -> Iterator[Hit]:
        """Where identifiers stand in a text; what begins at the same place is named once per end."""
        yield from self.find_units(units_of(text))

    def find_units(self, units: NDArray[Any]) -> Iterator[Hit]:
        """:meth:`find` in UTF-16 units of this machine's byte order, or in bytes of ASCII."""
        for low in range(0, len(units) if self._count else 0, _CHUNK):
            base = max(0, low - _LEFT)
            piece = units[base : low + _CHUNK + _RIGHT]
            places = self._beginnings.places(piece)
            places = places[(places >= low - base) & (places < low - base + _CHUNK)]
            for start, end, identifier in self._find_at(piece, places):
                yield Hit(base + start, base + end, self._names[self._kinds[identifier]], identifier)

    def _find_at(self, units: NDArray[Any], places: Positions) -> list[tuple[int, int, int]]:
        """First unit, end and identifier of each hit that begins at one of some places."""
        found: set[tuple[int, int, int]] = set()
        for reach in (_NEAR, _FAR)[len(units) <= _FAR :]:
            if not len(places):
                break
            folded, starts = fold_around(units, places, _LEFT, reach)
            windows, unsettled = self._windows(folded, starts, reach)
            found.update(self._hits(units, folded, windows, reach - _LEFT))
            places = folded.origins[unsettled]
        return sorted(found)

    def _hits(self, units: NDArray[Any], folded: Folded, windows: _Windows, longest: int) -> Iterator[tuple[int, int, int]]:
        """First unit, end and identifier of each window of not too many units that holds an identifier."""
        first, behind = folded.origins[windows[0]], folded.origins[windows[1] - 1] + 1
        # Beyond what was looked at, pieces of the text follow each other that do not in the text.
        within = behind - first <= longest
        if not within.any():
            return
        stands, identifiers = self._confirmed(folded, *(part[within] for part in windows))
        first, behind = first[within][stands], behind[within][stands]
        for start, end, identifier in zip(first.tolist(), behind.tolist(), identifiers[stands].tolist(), strict=True):
            if self._rules[identifier] != _NUMBER or not _is_part(units, start, end):
                yield start, end, identifier

    def _windows(self, folded: Folded, starts: Positions, reach: int) -> tuple[_Windows, Positions]:
        """Windows of words whose hash is known, with its place among the sorted ones; and starts to look farther from.

        Args:
            folded: what stands around the starts.
            starts: where an identifier may begin.
            reach: how far it was looked behind each.
        """
        marks = folded.marks
        prefix = _prefix(folded.codes)
        words = starts[(marks[starts] & folding.START) != 0]
        ends = np.flatnonzero((marks & folding.END) != 0) + 1
        numbers, behind_numbers = _numbers_at_letters(folded, starts)
        windows = (_up_to(WORDS, words, ends), _up_to(WORDS, numbers, behind_numbers))
        begin, end = (np.concatenate(parts) for parts in zip(*windows, strict=True))
        hashes = _window_hashes(prefix, begin, end)
        maybe = np.flatnonzero(self._bits.holds(hashes))
        begin, end, hashes = begin[maybe], end[maybe], hashes[maybe]
        found = self._placed(begin, end, hashes)
        _, is_anchor = _places(self._anchors, hashes)
        anchors = np.unique(begin[is_anchor])
        if reach < _FAR:
            fourth = np.searchsorted(ends, starts, side="right") + WORDS - 1
            far = folded.origins.take(ends.take(fourth, mode="clip") - 1) >= folded.origins[starts] + (reach - _LEFT)
            return found, np.unique(np.concatenate((anchors, numbers, starts[far | (fourth >= len(ends))])))
        for length in self._anchored if len(anchors) else ():
            anchors = anchors[anchors + length < len(prefix)]
            longer = self._placed(anchors, anchors + length, _window_hashes(prefix, anchors, anchors + length))
            found = tuple(np.concatenate(parts) for parts in zip(found, longer, strict=True))  # type: ignore[assignment]
        return found, anchors[:0]

    def _placed(self, begin: Positions, end: Positions, hashes: Hashes) -> _Windows:
        places, is_known = _places(self._hashes, hashes)
        return begin[is_known], end[is_known], places[is_known]

    def _confirmed(
        self, folded: Folded, begin: Positions, end: Positions, place: Positions
    ) -> tuple[NDArray[np.bool_], Positions]:
        """Whether an identifier stands in each window and its rule allows the place, and which."""
        identifiers, lengths = self._order[place].astype(np.intp), end - begin
        is_same = self._are_signs_of(identifiers, folded, begin, lengths)
        for row in np.flatnonzero(~is_same).tolist():
            at, behind = slice(row, row + 1), np.searchsorted(self._hashes, self._hashes[place[row]], side="right")
            for other in range(int(place[row]) + 1, int(behind)):
                identifiers[row] = self._order[other]
                is_same[at] = self._are_signs_of(identifiers[at], folded, begin[at], lengths[at])
                if is_same[row]:
                    break
        return is_same & _may_stand(folded, begin, end, self._rules[identifiers]), identifiers

    def _are_signs_of(
        self, identifiers: Positions, folded: Folded, begin: Positions, lengths: Positions
    ) -> NDArray[np.bool_]:
        """Whether the signs from each place on are those of an identifier, if it has so many."""
        is_same: NDArray[np.bool_] = self._lengths[identifiers] == lengths
        lengths = lengths[is_same]
        if len(lengths):
            offsets = np.cumsum(lengths) - lengths
            within = np.arange(lengths.sum()) - np.repeat(offsets, lengths)
            known = self._codes[within + np.repeat(self._ends[identifiers[is_same]] - lengths, lengths)]
            differs = folded.codes[within + np.repeat(begin[is_same], lengths)] != known
            is_same[is_same] = ~np.logical_or.reduceat(differs, offsets)
        return is_same


def _may_stand(folded: Folded, begin: Positions, end: Positions, rules: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether each window may hold an identifier of its rule."""
    codes, first, last = folded.codes, folded.marks[begin], folded.marks[end - 1]
    _, classes = folding.tables()
    # A window by length may end within a word.
    may: NDArray[np.bool_] = (last & (folding.END | folding.DIGIT_END)) != 0
    opens, closes = (first & folding.OPENS) != 0, (last & folding.CLOSES) != 0
    # What is not there is an edge.
    around = np.concatenate((_EDGE, _EDGE, codes, _EDGE, _EDGE))
    before = _two(around[begin], around[begin + 1])
    behind = _two(around[end + 2], around[end + 3])
    beside = np.isin(before, _BEFORE_NAMES) | np.isin(behind, _BEHIND_NAMES)
    may &= (rules != _PAIR) | (opens & closes) | beside
    may &= (rules != _WHOLE) | (opens & (classes[around[end + 2]] == folding.EDGE))
    return may


class _BitSet:
    """Hashes of which it can be said quickly that one is not among them."""

    def __init__(self, bits: int) -> None:
        self._shift = np.uint64(64 - bits)
        self._bytes = np.zeros(1 << (bits - 3), dtype=np.uint8)

    @classmethod
    def of(cls, count: int, parts: Iterable[Hashes]) -> "_BitSet":
        """A set with about one bit in fifty taken."""
        made = cls(min(32, max(10, count.bit_length() + 5)))
        for hashes in parts:
            index = made._index(hashes)
            np.bitwise_or.at(made._bytes, index >> np.uint64(3), np.uint8(1) << (index & np.uint64(7)).astype(np.uint8))
        return made

    def _index(self, hashes: Hashes) -> Hashes:
        # The upper bits of a product depend on all bits of its factors.
        return (hashes * _MIX) >> self._shift

    def holds(self, hashes: Hashes) -> NDArray[np.bool_]:
        """False where a hash is not in the set."""
        index = self._index(hashes)
        of_byte = self._bytes.take((index >> np.uint64(3)).astype(np.int64))
        found: NDArray[np.bool_] = (of_byte >> (index & np.uint64(7)).astype(np.uint8)) & 1 != 0
        return found


def _numbers_at_letters(folded: Folded, starts: Positions) -> tuple[Positions, Positions]:
    """Which starts are of a number that has a letter beside it, and where one ends: others begin and end where words do."""
    codes, marks = folded.codes, folded.marks
    is_digit = (codes >= ord("0")) & (codes <= ord("9"))
    # True where enough digits begin, between two that are False.
    enough = np.zeros(max(0, len(codes) - _LEAST_DIGITS + 1) + 2, dtype=bool)
    inner = enough[1:-1]
    inner[:] = is_digit[: len(inner)]
    for step in range(1, _LEAST_DIGITS):
        inner &= is_digit[step : step + len(inner)]
    turns = np.flatnonzero(enough[1:] != enough[:-1])
    first, behind = turns[::2], turns[1::2] + (_LEAST_DIGITS - 1)
    # What stands within such a row of digits are separators that were left out: letters can only be at its ends.
    mixed = ((marks[first] | marks[behind - 1]) & folding.MIXED) != 0
    in_row = np.zeros(len(codes) + 1, dtype=np.int8)
    in_row[first[mixed]], in_row[behind[mixed]] = 1, -1
    in_row = np.cumsum(in_row[:-1], dtype=np.int8)
    is_number = (in_row[starts] != 0) & ((marks[starts] & folding.DIGIT_START) != 0)
    return starts[is_number], np.flatnonzero((in_row != 0) & ((marks & folding.DIGIT_END) != 0)) + 1


def _up_to(words: int, starts: Positions, ends: Positions) -> tuple[Positions, Positions]:
    """Begin and end of the windows of one to so many words from each start."""
    if not len(ends):
        return starts[:0], ends
    place = np.searchsorted(ends, starts, side="right")
    begin, end = np.repeat(starts, words), ends.take((place[:, None] + np.arange(words)).ravel(), mode="clip")
    within = (begin < end) & (end - begin <= MAX_UNITS)
    return begin[within], end[within]


def _prefix(codes: NDArray[Any]) -> Hashes:
    """Hash of what is before each unit, and of all."""
    prefix = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.multiply(codes, _POWERS[: len(codes)], out=prefix[1:])
    np.cumsum(prefix[1:], out=prefix[1:])
    return prefix


def _window_hashes(prefix: Hashes, begin: Positions, end: Positions) -> Hashes:
    """Hashes that do not depend on where the windows lie."""
    hashes: Hashes = (prefix.take(end) - prefix.take(begin)) * _INVERSE.take(begin)
    return hashes


def _places(known: Hashes, hashes: Hashes) -> tuple[Positions, NDArray[np.bool_]]:
    """Where each hash stands among the sorted ones, and whether it does."""
    places = np.searchsorted(known, hashes)
    is_known = places < len(known)
    is_known[is_known] = known[places[is_known]] == hashes[is_known]
    return places, is_known


def _joined(parts: list[NDArray[Any]], dtype: type) -> NDArray[Any]:
    """The parts as one, and no longer as parts: of forty million identifiers they take gigabytes."""
    whole = np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)
    parts.clear()
    return whole


def _is_part(units: NDArray[Any], start: int, end: int) -> bool:
    """Whether a number is only part of a fraction, a dotted number, a code or a digest."""
    if not _JOINED.intersection(units[max(0, start - 1) : start].tolist() + units[end : end + 1].tolist()):
        return False
    encoding = "latin-1" if units.dtype == np.uint8 else "utf-16-le"
    before = units[max(0, start - _CONTEXT) : start].tobytes().decode(encoding, "replace")
    number = units[start:end].tobytes().decode(encoding, "replace")
    behind = units[end : end + _CONTEXT].tobytes().decode(encoding, "replace")
    digits = sum(character.isdigit() for character in number)
    if digits <= _LONGEST_NUMBER_IN_FRACTION and re.search(r"[0-9]\.\Z", before):
        return True
    if digits <= _LONGEST_NUMBER_IN_FRACTION and re.match(r"\.(?!0+(?![0-9.]))[0-9]", behind):
        return True
    left, right = _TOKEN_BEFORE.findall(before)[0], _TOKEN_BEHIND.findall(behind)[0]
    token = left + number + right
    if token == number:
        return False
    begin, last = len(left), len(left) + len(number)
    if any(opaque.start() <= begin and last <= opaque.end() for opaque in _OPAQUE.finditer(token)):
        return True
    run = left.rpartition("-")[2] + number + right.partition("-")[0]
    return digits <= _LONGEST_IN_RANDOM and len(run) >= _RANDOM_LENGTH and len(_CHANGE.findall(run)) >= _RANDOM_CHANGES


def _fold_batch(values: Sequence[str]) -> _Batch:
    """Fold some identifiers; one that is too short to mean anything is left out."""
    text = "\n".join(values)
    if text.count("\n") != len(values) - 1:
        text = "\n".join(" ".join(value.splitlines()) for value in values)
    folded = fold(units_of(text))
    codes = folded.codes
    starts = np.flatnonzero(folded.marks & folding.START)
    ends = np.flatnonzero(folded.marks & folding.END) + 1
    breaks = np.flatnonzero(codes == ord("\n"))
    first = np.searchsorted(starts, np.concatenate(([0], breaks)))
    behind = np.searchsorted(starts, np.concatenate((breaks, [len(codes)])))
    first, behind = first[behind > first], behind[behind > first]
    begin = starts[first]
    behind = np.minimum(behind, np.searchsorted(ends, begin + MAX_UNITS, side="right"))
    first, behind, begin = (part[behind > first] for part in (first, behind, begin))
    end, words = ends[behind - 1], behind - first
    rules, telling = _rules(codes, begin, end, words)
    first, begin, end, words = (part[telling] for part in (first, begin, end, words))
    rules = rules[telling]
    lengths = (end - begin).astype(np.uint16)
    flat, hashes = _hashed(codes, begin, end)
    long = words > WORDS
    _, anchors = _hashed(codes, begin[long], ends[first[long] + WORDS - 1])
    return _Batch(flat, lengths, rules, hashes, anchors, lengths[long])


def _hashed(codes: Units, begin: Positions, end: Positions) -> tuple[Units, Hashes]:
    """The codes of windows one behind the other, and the hash of each."""
    lengths = end - begin
    if not len(lengths):
        return np.zeros(0, dtype=np.uint16), np.zeros(0, dtype=np.uint64)
    offsets = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(offsets, lengths)
    flat = codes[np.repeat(begin, lengths) + within]
    return flat, np.add.reduceat(flat * _POWERS[within], offsets)


def _rules(codes: Units, begin: Positions, end: Positions, words: Positions) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What each identifier needs in order to count, and whether it can count at all."""
    _, classes = folding.tables()
    kinds = classes[codes]
    digits, letters, han = (
        np.concatenate(([0], np.cumsum(kinds == kind)))[end] - np.concatenate(([0], np.cumsum(kinds == kind)))[begin]
        for kind in (folding.DIGIT, folding.LETTER, folding.HAN)
    )
    only_digits = (letters == 0) & (han == 0)
    only_letters = (digits == 0) & (han == 0)
    only_han = (digits == 0) & (letters == 0)
    pair = only_han & (han == 2) & (end - begin == 2)
    mixed = ~(only_digits | only_letters | only_han)
    strong = (
        (only_letters & (words > 1) & (letters >= 6)) | (only_han & (han >= 3))
        | (mixed & ((digits >= 4) | (han >= 3) | ((end - begin >= 8) & (digits >= 2))))
    )  # fmt: skip
    rules = np.select([only_digits, pair, strong], [_NUMBER, _PAIR, _ANYWHERE], _WHOLE).astype(np.uint8)
    telling = np.where(only_digits, digits >= _LEAST_DIGITS, pair | (end - begin >= 3))
    return rules, telling
