"""Chinese names by the look of their surroundings: weights learned from marked texts, where no rule has a word for a place.

Every place of a text gets three sums of weights: that a name begins there, ends there, and goes on there. What is summed
are hashed features of the characters around it: the characters, their classes (surname, given name, sign), how usual each
pair of them is in Chinese words, and the labels and titles that end or begin there. ``tests/bench/learn_names.py`` makes the
weights. Feature hashing: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from ahocorasick_rs import AhoCorasick, MatchKind
from numpy.typing import NDArray

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import Anchor, anchors, found_anchors
from pathcurate.scrubbers.text.namewords import DOTS, begins_word, folded_name, is_han, is_inside_word, name_words
from pathcurate.scrubbers.text.spelling import simplified

REMOVED, SUSPECTED = 6.0, 2.0
"""Least score of what is taken out, and of what a person should look at."""
BITS, PAIR_BITS = 16, 18
"""Of the places of the table of weights, and of the table of pairs of characters."""

_Whole = NDArray[np.uint32]
Number = TypeVar("Number", bound=np.generic)
_PAD, _LAST = 5, 0xFFFF
_STREAMS = 5
_CHARACTER, _CLASS, _USUAL, _BEHIND_WORD, _BEFORE_WORD = range(_STREAMS)
_APART = np.arange(_STREAMS, dtype=np.uint32)[:, None] * np.uint32(70001)
"""Keeps the values of the streams apart, as no character is that high."""
_SIGNS = ':/、,;。()|"·-\n\ue000'
_HALF = re.compile("[\ud800-\udfff]")
"""Halves of characters, which broken texts hold and no automaton takes."""
_HAN_CLASS = 64
_HAN_RANGES = (("\u3007", "\u3007"), ("\u3400", "\u4dbf"), ("\u4e00", "\u9fff"), ("\uf900", "\ufaff"), ("\uffff", "\uffff"))
# Each a stream and how far from the place it is read.
_FEATURES: tuple[tuple[tuple[int, int], ...], ...] = (
    *(((_CHARACTER, at),) for at in range(-2, 3)),
    *(((_CHARACTER, at), (_CHARACTER, at + 1)) for at in range(-2, 3)),
    *(((_CLASS, at), (_CLASS, at + 1), (_CLASS, at + 2)) for at in (-2, -1, 0)),
    *(tuple((_CLASS, at + more) for more in range(5)) for at in (-2, -1)),
    *(tuple((_USUAL, at + more) for more in range(4)) for at in (-2, -1)),
    ((_CHARACTER, -1), (_CLASS, 0), (_CLASS, 1), (_CLASS, 2)),
    ((_CHARACTER, -2), (_CHARACTER, -1), (_CLASS, 0), (_CLASS, 1)),
    ((_CLASS, -2), (_CLASS, -1), (_CLASS, 0), (_CHARACTER, 1)),
    ((_CLASS, -1), (_CLASS, 0), (_CHARACTER, 1), (_CHARACTER, 2)),
    ((_BEHIND_WORD, 0), (_CLASS, 0), (_CLASS, 1)),
    ((_BEHIND_WORD, 0), (_CLASS, 0), (_USUAL, 0), (_USUAL, 1)),
    ((_BEHIND_WORD, 0), (_BEFORE_WORD, 1), (_CLASS, 0)),
    ((_BEHIND_WORD, 0), (_BEFORE_WORD, 2), (_CLASS, 0)),
    ((_BEFORE_WORD, 0), (_CLASS, -1), (_CLASS, 0)),
    ((_BEFORE_WORD, 0), (_CLASS, 0), (_USUAL, -2), (_USUAL, -1)),
    ((_BEFORE_WORD, 0), (_BEHIND_WORD, -1), (_CLASS, 0)),
    ((_BEFORE_WORD, 0), (_BEHIND_WORD, -2), (_CLASS, 0)),
)
_FACTORS = np.array([2654435761, 2246822519, 3266489917, 668265263, 374761393], np.uint32)
_FIELD, _FIELDS = np.uint32(1023), np.array([[0], [10], [20]], np.uint32)
STEPS = 18
"""Highest weight, in steps: the sum over all features of twice as much fits into ten bits."""
_USUAL_WORD = 2
_GOING_ON, _MOST = 0.3, 10.0
_GAP = frozenset(" :\t")
_LONGEST, _LONGEST_DOTTED, _LEAST_SUM, _NEVER = 5, 12, -3.0, -1e6
_INSIDE = DOTS + " *×○"


@dataclass(frozen=True, slots=True)
class Weights:
    """What was learned.

    Attributes:
        packed: for each hash the three weights, each raised to be positive and ten bits wide.
        usual: for each hash of two characters how usual they are beside each other in words, 0 to 3.
        scale: what one step of a weight is worth.
        bias: of each sum, which also takes back what the weights were raised by.
    """

    packed: _Whole
    usual: NDArray[np.uint8]
    scale: float
    bias: NDArray[np.float64]


def find_learned_names(normal: str) -> list[Removal]:
    """Chinese names in a text of half width that are as good as sure, disjoint, best first."""
    return [
        Removal(start, end, Kind.PERSON, "shape.name", folded_name(normal[start:end]))
        for score, start, end in _likely_names(normal)
        if score > REMOVED
    ]


def doubtful_names(normal: str) -> list[tuple[int, int]]:
    """Where a person should look for a name, as start and end; what :func:`find_learned_names` finds is not among them."""
    return [(start, end) for score, start, end in _likely_names(normal) if score <= REMOVED]


@lru_cache(maxsize=16)
def _likely_names(normal: str) -> tuple[tuple[float, int, int], ...]:
    """All that may be names; kept for a moment, as what is sure and what is doubtful are asked for one after the other."""
    if not is_han(normal):
        return ()
    plain = _HALF.sub("\ue000", simplified(normal))
    found = best_spans(plain, scores(plain, shipped()), SUSPECTED)
    return tuple(
        (score, start, _before_title(plain, start, end)) for score, start, end in found if not _is_word(plain, start, end)
    )


def _before_title(plain: str, start: int, end: int) -> int:
    """Where a name ends that was found with a title (何女士)."""
    return next((place for place in range(start + 1, end) if anchors().title.match(plain, place)), end)


def _is_word(plain: str, start: int, end: int) -> bool:
    """Whether a place holds a word that is no name: of the lists, a label, or two characters that are a usual word."""
    name = plain[start:end]
    if name in name_words().both:
        return False
    if name in anchors().words or begins_word(plain, start) or is_inside_word(plain, start, end):
        return True
    if len(name) != len("小王"):
        return False
    return int(shipped().usual[_place_of_pair(*map(ord, name))]) >= _USUAL_WORD


def scores(plain: str, weights: "Weights") -> NDArray[np.float64]:
    """For each place of a text how likely a name begins, ends and goes on there, as logits; of shape (3, characters)."""
    summed = np.add.reduce(weights.packed.take(hashes(plain, weights.usual)), axis=0, dtype=np.uint32)
    result: NDArray[np.float64] = (summed >> _FIELDS & _FIELD) * weights.scale + weights.bias
    return result


def best_spans(plain: str, sums: NDArray[np.float64], least: float) -> list[tuple[float, int, int]]:
    """Scores above the least, with start and end, of which none overlaps a better one."""
    codes = _codes(plain)
    longest = min(_LONGEST_DOTTED if DOTS[0] in plain else _LONGEST, len(plain))
    # A name is worth its beginning, its end, going on inside it and not behind it; no name goes through a wall.
    goes = _GOING_ON * np.clip(sums[2], -_MOST, _MOST)
    inside = np.cumsum(np.where(_may_be_inside()[codes], goes, _NEVER))
    goes[:-1] = goes[1:]
    goes[-1] = -_GOING_ON * _MOST
    begins = np.where((sums[0] > _LEAST_SUM) & (_signs()[1][codes] >= _HAN_CLASS), sums[0], _NEVER)
    begins[1:] -= inside[:-1]
    ends = np.full(len(plain) + longest - 1, -np.inf)
    ends[: len(plain)] = np.where(sums[1] > _LEAST_SUM, sums[1], _NEVER) + inside - goes
    by_length = _stretches(ends, longest, len(plain)) + begins
    best = by_length.max(axis=0)
    starts = np.flatnonzero(best > least).tolist()
    found = [(float(best[start]), start, start + int(by_length[:, start].argmax()) + 1) for start in starts]
    kept: list[tuple[float, int, int]] = []
    taken = bytearray(len(plain))
    for score, start, end in sorted(found, reverse=True):
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            kept.append((score, start, end))
    return kept


def hashes(plain: str, usual: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each feature and each place of a text where its weights are, of shape (features, characters)."""
    streams = _streams(plain, usual)
    width = streams.shape[1]
    # Every stream times every factor, end to end: what a feature reads for all places is one stretch of it.
    numbers = (streams * _FACTORS[:, None, None]).ravel()
    stretches = _stretches(numbers, len(numbers) - len(plain) + 1, len(plain))
    result = stretches[_READ[0] @ (width, 1)] + _STARTS
    for rows in _READ[1:]:
        result[: len(rows)] += stretches[rows @ (width, 1)]
    result >>= np.uint32(32 - BITS)
    places: NDArray[np.intp] = result.astype(np.intp)
    return places


def _stretches(numbers: NDArray[Number], count: int, length: int) -> NDArray[Number]:
    """Stretches of a row of numbers that begin one place after the other, not copied: a tenth of numpy's own function."""
    return np.ndarray((count, length), numbers.dtype, numbers, strides=(numbers.itemsize, numbers.itemsize))


def pair_hash(first: _Whole, second: _Whole) -> _Whole:
    """Where the table of pairs says how usual two characters are beside each other."""
    result: _Whole = (first * _FACTORS[0] + second * _FACTORS[1]) >> np.uint32(32 - PAIR_BITS)
    return result


def _place_of_pair(first: int, second: int) -> int:
    """As :func:`pair_hash`, of one pair: numpy's own numbers take ten times as long."""
    factors = 2654435761, 2246822519
    summed = min(first, _LAST) * factors[0] + min(second, _LAST) * factors[1]
    return (summed & 0xFFFFFFFF) >> 32 - PAIR_BITS


def _streams(plain: str, usual: NDArray[np.uint8]) -> _Whole:
    """The text as rows of numbers, one for each stream, with room before and behind it."""
    pad = "\0" * _PAD
    codes = _codes(f"{pad}{plain}{pad}")
    folded, classes = _signs()
    result: _Whole = np.zeros((_STREAMS, len(codes)), np.uint32)
    result[_CHARACTER], result[_CLASS] = folded[codes], classes[codes]
    is_han = result[_CLASS] >= _HAN_CLASS
    result[_USUAL, :-1] = (usual[pair_hash(codes[:-1], codes[1:])] + 1) * (is_han[:-1] & is_han[1:])
    # Single numbers are written into memory three times as fast as into an array.
    _mark_words(plain, result[_BEHIND_WORD].data, result[_BEFORE_WORD].data)
    result += _APART
    return result


def _codes(text: str) -> _Whole:
    """The numbers of the characters of a text; rare ones are all the same."""
    codes: _Whole = np.minimum(np.frombuffer(text.encode("utf-32-le"), "<u4"), _LAST)
    return codes


def _mark_words(plain: str, behind: memoryview, before: memoryview) -> None:
    """Write what labels and titles end just before a place, and which words begin just behind it."""
    classes, others = _word_classes()
    for word, start, end in found_anchors(plain):
        kind = classes[word]
        before[_PAD + start - 1] = kind
        if start and plain[start - 1] == " ":
            before[_PAD + start - 2] = kind + 100
        behind[_PAD + end] = kind
        place = end
        while place < end + 3 and plain[place : place + 1] in _GAP:
            place += 1
        if place > end:
            behind[_PAD + place] = kind + (200 if ":" in plain[end:place] else 100)
    for _, start, end in others.find_matches_as_indexes(plain):
        if not before[_PAD + start - 1]:
            before[_PAD + start - 1] = 10 + min(end - start, 3)


@cache
def _word_classes() -> tuple[list[int], AhoCorasick]:
    """A number for each label and title, the same for those that are used alike, and what finds the words behind names."""
    words = anchors().words
    behind = sorted(word for words in anchors().behind.values() for word in words)
    return list(map(_class_of, words.values())), AhoCorasick(tuple(behind), matchkind=MatchKind.LeftmostLongest)


def _class_of(anchor: Anchor) -> int:
    kind = {Kind.PATIENT: 1, Kind.PERSON: 2}.get(anchor.kind, 3)
    flags = (anchor.is_strong or anchor.is_free, anchor.is_act, anchor.is_title, anchor.is_label)
    return 20 + kind * 16 + sum(flag << at for at, flag in enumerate(flags))


@cache
def _signs() -> tuple[_Whole, _Whole]:
    """For each character itself, digits and letters made one, and its class."""
    folded = np.arange(_LAST + 1, dtype=np.uint32)
    classes = np.full(_LAST + 1, 7, np.uint32)
    for first, last, sign, kind in (("0", "9", "0", 1), ("A", "Z", "A", 2), ("a", "z", "a", 3)):
        folded[ord(first) : ord(last) + 1] = ord(sign)
        classes[ord(first) : ord(last) + 1] = kind
    folded[ord("\t")] = ord(" ")
    classes[[ord(" "), ord("\t"), 0]] = 6, 6, 4
    for number, sign in enumerate(_SIGNS):
        classes[ord(sign)] = 10 + number
    for first, last in _HAN_RANGES:
        classes[ord(first) : min(ord(last), _LAST) + 1] = _HAN_CLASS
    lists = name_words()
    for bit, characters in enumerate(
        (lists.single, lists.common, lists.given, lists.sounds, {surname[0] for surname in lists.compound})
    ):
        classes[sorted(ord(one) for one in characters if ord(one) < _LAST)] += 1 << bit
    return folded, classes


@cache
def _may_be_inside() -> NDArray[np.bool_]:
    """For each character whether a name may hold it."""
    result: NDArray[np.bool_] = _signs()[1] >= _HAN_CLASS
    result[[ord(sign) for sign in _INSIDE]] = True
    return result


@cache
def shipped() -> Weights:
    """The shipped weights, read once."""
    with np.load(Path(__file__).with_name("names.npz"), allow_pickle=False) as stored:
        return packed(stored["weights"], stored["usual"], float(stored["scale"]), stored["bias"])


def packed(steps: NDArray[np.int8], usual: NDArray[np.uint8], scale: float, bias: NDArray[np.float64]) -> Weights:
    """Weights of shape (hashes, 3) and pairs of four to a byte, as they are used."""
    raised = (steps.astype(np.int16) + STEPS).astype(np.uint32)
    pairs = (usual[:, None] >> np.array([0, 2, 4, 6], np.uint8) & np.uint8(3)).ravel()
    back = bias - len(_FEATURES) * STEPS * scale
    return Weights((raised << _FIELDS.ravel()).sum(axis=1, dtype=np.uint32), pairs, scale, back[:, None])


_FEATURES_BY_PARTS = sorted(_FEATURES, key=len, reverse=True)
# For the first, second … part of all features that have one: the row of its stream times its factor, and its first place.
_READ = tuple(
    np.array(
        [
            (rank * _STREAMS + feature[rank][0], _PAD + feature[rank][1])
            for feature in _FEATURES_BY_PARTS
            if len(feature) > rank
        ]
    )
    for rank in range(len(_FACTORS))
)
_STARTS = np.array([[(number + 1) * 0x9E3779B1 & 0xFFFFFFFF] for number in range(len(_FEATURES))], np.uint32)
