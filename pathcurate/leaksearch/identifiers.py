"""Millions of identifiers, and where they stand in a text.

What makes this quick: of all words of a text only those are looked at whose first sign begins an identifier, of these
only those whose first three signs do, and only what is left is hashed; a window of words then costs a subtraction and a
multiplication, whatever its length (the polynomial hash of Karp and Rabin, IBM J. Res. Dev. 31 (1987), modulo 2^64, from
sums over all that stands before). Every hit is compared sign by sign, so a collision of hashes costs time and never gives a
wrong answer; nothing that follows the rules below is missed. Five million identifiers take about 0.6 GB; the automaton of
Aho and Corasick over them takes 1.5 GB and reads 100 MB/s without folding anything (ahocorasick_rs 1.0.3, contiguous NFA).

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
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.leaksearch import folding
from pathcurate.leaksearch.folding import Classes, Folded, Positions, Units, fold, units_of

MAX_UNITS: Final = 128
"""Units of an identifier after folding; of a longer one its beginning counts."""
WORDS: Final = 4
"""Words of a window."""
_CHUNK = 1 << 16
# Units that a chunk takes from its neighbours: what a border is judged by, and the longest with a separator at each sign.
_LEFT, _RIGHT = 8, 2 * MAX_UNITS + 8
_LONGEST_NUMBER_IN_FRACTION = 8
_BATCH = 50_000
_BASE: Final = 0x9E3779B97F4A7C15
_MIX = np.uint64(0xD6E8FEB86659FD93)
_GRAM = tuple(np.uint32(factor) for factor in (0x9E3779B1, 0xC2B2AE35, 0x85EBCA6B))
_MOST_GRAM_BITS = 26

Hashes = NDArray[np.uint64]


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
_BEFORE_NAMES = ("姓名", "患者", "病人", "家属", "医师", "医生", "大夫", "护士", "主任", "签名", "系人")
_BEHIND_NAMES = ("先生", "女士", "医师", "医生", "大夫", "主任", "教授", "护士", "同志")
_HAN_FROM = 0x2E80

_CONTEXT = 80
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


class Identifiers:
    """Identifiers of a catalog, ready to be searched for.

    It shows no value: neither in its representation nor in what it finds.
    """

    def __init__(self, values: Iterable[tuple[str, Iterable[str]]], without: Iterable[str] = ()) -> None:
        """Take identifiers in.

        Args:
            values: kinds, each with its identifiers; read once, a batch at a time.
            without: words that are none, however they got in: vocabulary codes, sites.
        """
        plain = Classes.of(np.zeros(0, dtype=np.intp))
        names: list[str] = []
        batches: list[_Batch] = []
        kinds: list[int] = []
        for kind, items in values:
            names.append(kind)
            stream = iter(items)
            while chunk := list(islice(stream, _BATCH)):
                batches.append(_fold_batch(chunk, plain))
                kinds.append(len(names) - 1)
        self._names = tuple(names)
        self._fill(batches, kinds, _fold_batch(list(without), plain).hashes)

    @classmethod
    def of(cls, values: Mapping[str, Iterable[str]], without: Iterable[str] = ()) -> "Identifiers":
        """Identifiers by kind."""
        return cls(values.items(), without)

    def _fill(self, batches: Sequence[_Batch], kinds: Sequence[int], excluded: Hashes) -> None:
        lengths = _joined([batch.lengths for batch in batches], np.uint16)
        hashes = _joined([batch.hashes for batch in batches], np.uint64)
        # A lesser hash of an excluded word is met by chance once in 10^12 catalogs.
        is_known = ~np.isin(hashes, excluded)
        self._codes = _joined([batch.codes for batch in batches], np.uint16)
        self._ends = np.cumsum(lengths, dtype=np.int64)
        self._lengths = lengths
        self._rules = _joined([batch.rules for batch in batches], np.uint8)
        self._kinds = np.repeat(np.array(kinds, dtype=np.uint8), [len(batch.lengths) for batch in batches])
        order = np.argsort(hashes).astype(np.int32)
        self._order = order[is_known[order]]
        self._hashes = hashes[self._order]
        self._count = len(self._hashes)
        self._anchors = np.unique(_joined([batch.anchors for batch in batches], np.uint64))
        self._anchored = np.unique(_joined([batch.anchored for batch in batches], np.uint16)).tolist()
        self._bits = _BitSet.of(self._count, (self._hashes, self._anchors))
        starts = self._ends - lengths
        self._classes = Classes.of(self._codes[starts[is_known]])
        self._pairs, self._grams = self._signs(starts)

    def _signs(self, starts: NDArray[np.int64]) -> tuple["_Grams", "_Grams"]:
        """The first two signs of what has no more, and the first three of all others."""
        is_pair = self._lengths == 2
        pairs, grams = _Grams(_bits_for(int(is_pair.sum()))), _Grams(_bits_for(len(starts)))
        for low in range(0, len(starts), 1 << 20):
            part = slice(low, low + (1 << 20))
            at, short = starts[part], is_pair[part]
            pairs.add(_gram(self._codes, at[short], 2))
            grams.add(_gram(self._codes, at[~short], 3))
        return pairs, grams

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
        if not self._count:
            return
        for low in range(0, len(units), _CHUNK):
            base = max(0, low - _LEFT)
            piece = units[base : low + _CHUNK + _RIGHT]
            for start, end, identifier in self._find_in(piece):
                if low <= base + start < low + _CHUNK:
                    yield Hit(base + start, base + end, self._names[self._kinds[identifier]], identifier)

    def _find_in(self, units: NDArray[Any]) -> Iterator[tuple[int, int, int]]:
        folded = fold(units, self._classes)
        found = self._windows(folded)
        for start, end, place in sorted(found):
            identifier = self._confirmed(folded, start, end, place)
            if identifier is None:
                continue
            first, last = folded.origin(np.array([start, end - 1])).tolist()
            if self._rules[identifier] == _NUMBER and _is_part(units, first, last + 1):
                continue
            yield first, last + 1, identifier

    def _windows(self, folded: Folded) -> set[tuple[int, int, int]]:
        """Start, end and place among the sorted hashes of every window of words whose hash is one of them."""
        codes, marks = folded.codes, folded.marks
        candidates = np.flatnonzero((marks & folding.CANDIDATE) != 0)
        starts = candidates[self._grams.holds(_gram(codes, candidates, 3))]
        pairs = candidates[self._pairs.holds(_gram(codes, candidates, 2))] if self._pairs.used else candidates[:0]
        numbers, behind_numbers = self._numbers_at_letters(folded)
        if not len(starts) and not len(pairs) and not len(numbers):
            return set()
        prefix = _prefix(codes)
        ends = np.flatnonzero((marks & folding.END) != 0) + 1
        found = self._known(prefix, starts, ends, WORDS)
        if len(pairs):
            found |= {hit for hit in self._known(prefix, pairs, ends, 2) if hit[1] - hit[0] == 2}
        if len(numbers):
            found |= self._known(prefix, numbers, behind_numbers, WORDS)
        return found

    def _numbers_at_letters(self, folded: Folded) -> tuple[Positions, Positions]:
        """Where a number may begin and where one may end that has a letter beside it: others begin and end with words."""
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
        first, lengths = first[mixed], (behind - first)[mixed]
        digits = np.arange(lengths.sum()) + np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        starts = digits[(marks[digits] & folding.DIGIT_START) != 0]
        ends = digits[(marks[digits] & folding.DIGIT_END) != 0] + 1
        return starts[self._grams.holds(_gram(codes, starts, 3))], ends

    def _known(self, prefix: Hashes, starts: Positions, ends: Positions, words: int) -> set[tuple[int, int, int]]:
        """Known windows of one word to so many from each start, and longer ones that begin with such a window."""
        place = np.searchsorted(ends, starts, side="right")
        begin = np.repeat(starts, words)
        end = ends.take((place[:, None] + np.arange(words)).ravel(), mode="clip")
        hashes = _window_hashes(prefix, begin, end)
        maybe = np.flatnonzero(self._bits.holds(hashes) & (end - begin <= MAX_UNITS))
        begin, end, hashes = begin[maybe], end[maybe], hashes[maybe]
        found = self._placed(begin, end, hashes)
        if self._anchored:
            _, is_anchor = _places(self._anchors, hashes)
            begin = np.unique(begin[is_anchor])
            for length in self._anchored if len(begin) else ():
                begin = begin[begin + length < len(prefix)]
                found |= self._placed(begin, begin + length, _window_hashes(prefix, begin, begin + length))
        return found

    def _placed(self, begin: Positions, end: Positions, hashes: Hashes) -> set[tuple[int, int, int]]:
        places, is_known = _places(self._hashes, hashes)
        return set(zip(begin[is_known].tolist(), end[is_known].tolist(), places[is_known].tolist(), strict=True))

    def _confirmed(self, folded: Folded, start: int, end: int, place: int) -> int | None:
        """The identifier that stands there, if one does and its rule allows the place."""
        hash_ = self._hashes[place]
        window = folded.codes[start:end]
        while place < self._count and self._hashes[place] == hash_:
            identifier = int(self._order[place])
            place += 1
            if self._lengths[identifier] != end - start:
                continue
            last = self._ends[identifier]
            if np.array_equal(self._codes[last - (end - start) : last], window) and self._may_stand(
                folded, start, end, int(self._rules[identifier])
            ):
                return identifier
        return None

    def _may_stand(self, folded: Folded, start: int, end: int, rule: int) -> bool:
        # A window by length may end within a word.
        if not folded.marks[end - 1] & (folding.END | folding.DIGIT_END):
            return False
        if rule in {_ANYWHERE, _NUMBER}:
            return True
        opens = bool(folded.marks[start] & folding.OPENS)
        if rule == _PAIR:
            codes = folded.codes
            before = "".join(map(chr, codes[max(0, start - 2) : start].tolist()))
            behind = "".join(map(chr, codes[end : end + 2].tolist()))
            closes = bool(folded.marks[end - 1] & folding.CLOSES)
            return (opens and closes) or before in _BEFORE_NAMES or behind in _BEHIND_NAMES
        return opens and (end == len(folded.codes) or self._classes.wide[folded.codes[end]] == folding.EDGE)


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


class _Grams:
    """The first signs of identifiers."""

    def __init__(self, bits: int) -> None:
        self._shift = np.uint32(32 - bits)
        self._bytes = np.zeros(1 << (bits - 3), dtype=np.uint8)
        self.used = False

    def add(self, grams: NDArray[np.uint32]) -> None:
        """Take some in."""
        index = np.unique(grams >> self._shift)
        np.bitwise_or.at(self._bytes, index >> np.uint32(3), np.uint8(1) << (index & np.uint32(7)).astype(np.uint8))
        self.used |= bool(len(index))

    def holds(self, grams: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """False where no identifier begins so."""
        index = grams >> self._shift
        of_byte = self._bytes.take(index >> np.uint32(3))
        found: NDArray[np.bool_] = (of_byte >> (index & np.uint32(7)).astype(np.uint8)) & 1 != 0
        return found


def _bits_for(count: int) -> int:
    return min(_MOST_GRAM_BITS, max(10, count.bit_length() + 4))


def _gram(codes: NDArray[Any], starts: NDArray[Any], signs: int) -> NDArray[np.uint32]:
    """A number for the signs from each start; at the end of the codes the last one is taken again."""
    grams = np.zeros(len(starts), dtype=np.uint32)
    for step in range(signs):
        grams += codes.take(starts + step, mode="clip").astype(np.uint32) * _GRAM[step]
    return grams


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


def _joined(parts: Sequence[NDArray[Any]], dtype: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=dtype)


def _is_part(units: NDArray[Any], start: int, end: int) -> bool:
    """Whether a number is only part of a fraction, a dotted number, a code or a digest."""
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


def _fold_batch(values: Sequence[str], plain: Classes) -> _Batch:
    """Fold some identifiers; one that is too short to mean anything is left out."""
    text = "\n".join(values)
    if text.count("\n") != len(values) - 1:
        text = "\n".join(" ".join(value.splitlines()) for value in values)
    folded = fold(units_of(text), plain)
    codes = folded.codes.astype(np.uint16)
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
    rules, telling = _rules(codes, plain, begin, end, words)
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


def _rules(
    codes: Units, plain: Classes, begin: Positions, end: Positions, words: Positions
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What each identifier needs in order to count, and whether it can count at all."""
    kinds = plain.wide[codes]
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
