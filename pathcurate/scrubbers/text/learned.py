"""Chinese names by the look of their surroundings: weights learned from marked texts, where no rule has a word for a place.

Every place of a text gets three sums of weights: that a name begins there, ends there, and goes on there. What is summed
are hashed features of the characters around it: the characters, their classes (surname, given name, sign), how usual each
pair of them is in Chinese words, and the labels and titles that end or begin there. ``tests/bench/learn_names.py`` makes the
weights. Feature hashing: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from ahocorasick_rs import AhoCorasick, MatchKind
from numpy.typing import NDArray

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import RELATION, Anchor, anchors, found_anchors, is_title_at, next_word
from pathcurate.scrubbers.text.namewords import (
    DOTS,
    HAN,
    begins_word,
    folded_name,
    is_han,
    is_inside_word,
    name_words,
    surname_length,
)
from pathcurate.scrubbers.text.spelling import KEPT, simplified

LEARNED = "shape.name"
"""The rule that names which were learned are named after."""
REMOVED, SUSPECTED = 4.0, 2.0
"""Least score of what is taken out, and of what a person should look at."""
_SURE = 8.0
"""Least score at which a name may begin before what a rule has found."""
_ALONE = 13.0
"""Least score of a name in a report in which nothing else identifies: there hardly ever is one."""
_OF_A_WORD = 4.5
"""What a score loses where a word stands that is mostly no name (岳阳, 冷静): all around it must speak for one."""
_OF_A_SIGN = 3.0
"""What a score loses where a single character stands: 手术史, 8万."""
BITS, PAIR_BITS = 18, 18
"""Of the places of the table of weights, and of the table of pairs of characters."""

_Whole = NDArray[np.uint32]
Number = TypeVar("Number", bound=np.generic)
_PAD, _LAST = 5, 0xFFFF
_WALL, _MOST_TOGETHER = "\0" * _PAD, 2000
"""What stands between texts that are gone through together, and their characters: of so many all numbers stay near."""
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
_SPACED_OUT = re.compile(rf" [{HAN}] [{HAN}] [{HAN}] ")
_INSIDE = DOTS + " *×○"
_FULL, _ACTS = 3, frozenset("签取送记述收说讲接看阅报写复审")
"""How long a name of one surname mostly is, and what people do, which is nobody's given name."""


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


def find_learned_names(normal: str, known: Sequence[Removal] = (), names: Sequence[Removal] = ()) -> list[Removal]:
    """Chinese names in a text of half width that are as good as sure, disjoint, best first.

    Args:
        normal: the text.
        known: what no name may overlap.
        names: what a name may overlap only if it surely begins before it, or goes on behind it with no word.
    """
    return [
        Removal(one.start, one.end, Kind.PERSON, LEARNED, folded_name(normal[one.start : one.end]))
        for one in _likely_names(normal)
        if one.score > REMOVED
        and all(one.end <= other.start or one.start >= other.end for other in known)
        and all(_is_better(one, other) for other in names)
        and _score_as_name(one) > REMOVED
    ]


def _is_better(one: "_Likely", other: Removal) -> bool:
    """Whether a likely name does not overlap another, or says more of where it begins or ends than its rule."""
    if one.end <= other.start or one.start >= other.end:
        return True
    if one.start != other.start:
        return one.start < other.start and one.end >= other.end and one.score > _SURE
    if one.end <= other.end or one.plain[other.end] in DOTS:
        return one.end > other.end
    is_word = next_word(one.plain, other.end) > 0 or begins_word(one.plain, other.end)
    return one.end - one.start <= _FULL and not is_word and one.plain[other.end] in name_words().given


def doubtful_names(normal: str) -> list[tuple[int, int]]:
    """Where a person should look for a name, as start and end; what :func:`find_learned_names` finds is not among them."""
    return [(one.start, one.end) for one in _likely_names(normal) if SUSPECTED < _score_as_name(one) <= REMOVED]


def is_sure_alone(normal: str, name: Removal) -> bool:
    """Whether a name that was learned would be one in a report in which nothing else identifies anybody."""
    return any(one.start == name.start and _score_as_name(one) > _ALONE for one in _likely_names(normal))


class _Likely(NamedTuple):
    """What looks like a name; ``last`` is where it ends with a title."""

    plain: str
    score: float
    start: int
    end: int
    last: int


_kept: dict[str, list[_Likely]] = {}
"""What is likely in the last texts: what is sure and what is doubtful are asked for one after the other."""


def seek_names(normals: Sequence[str]) -> None:
    """Look for all that may be names in several texts at once, in two thirds of the time that each takes by itself."""
    new = [text for text in dict.fromkeys(normals) if text not in _kept]
    if len(_kept) + len(new) > KEPT:
        _kept.clear()
    together: list[tuple[str, str]] = []
    for text in new:
        if not is_han(text):
            _kept[text] = []
            continue
        if together and sum(len(plain) for _, plain in together) + len(text) > _MOST_TOGETHER:
            _seek_together(together)
            together = []
        together.append((text, _HALF.sub("\ue000", simplified(text))))
    if together:
        _seek_together(together)


def _seek_together(texts: Sequence[tuple[str, str]]) -> None:
    # With so much between them no feature sees two texts.
    summed = scores(_WALL.join(plain for _, plain in texts), shipped())
    start = 0
    for text, plain in texts:
        found = best_spans(plain, summed[:, start : start + len(plain)], SUSPECTED)
        _kept[text] = [
            _Likely(plain, score, _behind_relation(plain, first, last), _before_title(plain, first, last), last)
            for score, first, last in found
        ]
        start += len(plain) + len(_WALL)


def _likely_names(normal: str) -> list[_Likely]:
    if normal not in _kept:
        seek_names([normal])
    return _kept[normal]


def _behind_relation(plain: str, start: int, end: int) -> int:
    """Where a name begins that was found with whose relative it is (朋友谢晖)."""
    relation = RELATION.match(plain, start, end)
    return relation.end() if relation and end - relation.end() > 1 else start


def _before_title(plain: str, start: int, end: int) -> int:
    """Where a name ends that was found with a title (何女士) or with the word behind it (范统签, 孟想三方)."""
    name = plain[start:end]
    is_too_long = len(name) == _FULL + 1 and surname_length(name) == 1 and name[-1] not in name_words().sounds
    if is_too_long and not _goes_on(plain, start, end):
        end -= 1
    if end - start == _FULL and name[_FULL - 1] in _ACTS and surname_length(name) == 1:
        end -= 1
    return next((place for place in range(start + 1, end) if is_title_at(plain, place)), end)


def _goes_on(plain: str, start: int, end: int) -> bool:
    """Whether the last character is of a name written by its sound: a word that follows names begins behind it."""
    is_sounded = name_words().sounds.issuperset(plain[start : end - 1])
    return is_sounded and not next_word(plain, end - 1) and next_word(plain, end) > 1


def _score_as_name(likely: _Likely) -> float:
    """The score, less for a word, and least for what is never a name."""
    if _is_never_a_name(likely.plain[likely.start : likely.last]):
        return _NEVER
    is_sign = likely.last - likely.start == 1
    # 李-佛美尼综合征 is called after two.
    if is_sign and (_is_spaced_out(likely.plain, likely.start) or likely.plain.startswith("-", likely.last)):
        return _NEVER
    return likely.score - _OF_A_SIGN * is_sign - _OF_A_WORD * _is_word(likely.plain, likely.start, likely.last)


def _is_spaced_out(plain: str, start: int) -> bool:
    """Whether a character stands between others, all with spaces between them: 多 发 性 平 滑 肌 瘤."""
    return _SPACED_OUT.fullmatch(plain, max(0, start - 3), start + 4) is not None


def _is_never_a_name(name: str) -> bool:
    """Whether it is a word of medicine, a label, or what stands where a name is missing."""
    lists = name_words()
    return any(name in words for words in (lists.medical, lists.nobody, lists.staff_words, anchors().words))


def _is_word(plain: str, start: int, end: int) -> bool:
    """Whether a place holds a word that is mostly no name: of the lists, or two characters that are a usual word."""
    name = plain[start:end]
    if name in name_words().both:
        return False
    if begins_word(plain, start) or is_inside_word(plain, start, end):
        return True
    return len(name) == len("小王") and int(shipped().usual[_place_of_pair(*map(ord, name))]) >= _USUAL_WORD


def scores(plain: str, weights: "Weights") -> NDArray[np.float64]:
    """For each place of a text how likely a name begins, ends and goes on there, as logits; of shape (3, characters)."""
    summed = np.add.reduce(weights.packed.take(hashes(plain, weights.usual)), axis=0, dtype=np.uint32)
    result: NDArray[np.float64] = (summed >> _FIELDS & _FIELD) * weights.scale + weights.bias
    return result


def best_spans(plain: str, sums: NDArray[np.float64], least: float) -> list[tuple[float, int, int]]:
    """Scores above the least, with start and end, of which none overlaps a better one."""
    begins, ends, on = sums
    # Hardly any place is a likely beginning or end: what is asked about these few is faster without an array.
    starts, likely_ends = ((one > _LEAST_SUM).nonzero()[0].tolist() for one in (begins, ends))
    # Behind the text no name goes on.
    goes = [*np.minimum(np.maximum(on, -_MOST), _MOST).tolist(), -_MOST] if starts and likely_ends else []
    longest = _LONGEST_DOTTED if DOTS[0] in plain else _LONGEST
    classes, found = _classes_of_signs(), []
    for start in starts:
        if classes[min(ord(plain[start]), _LAST)] < _HAN_CLASS:
            continue
        best, end = least, start
        for last in _ends_within(plain, start, longest, likely_ends):
            # A name is worth its beginning, its end, going on inside it and not behind it.
            score = float(begins[start] + ends[last]) + _GOING_ON * (sum(goes[start : last + 1]) - goes[last + 1])
            if score > best:
                best, end = score, last + 1
        if end > start:
            found.append((best, start, end))
    kept: list[tuple[float, int, int]] = []
    taken = bytearray(len(plain))
    for score, start, end in sorted(found, reverse=True):
        if not any(taken[start:end]):
            taken[start:end] = b"\1" * (end - start)
            kept.append((score, start, end))
    return kept


def _ends_within(plain: str, start: int, longest: int, ends: Sequence[int]) -> Iterator[int]:
    """Those of the ends that are near enough to a start, with nothing between that no name goes through."""
    inside, place = _may_be_inside(), start
    for at in range(bisect_left(ends, start), len(ends)):
        last = ends[at]
        if last >= start + longest or not all(inside[min(ord(sign), _LAST)] for sign in plain[place : last + 1]):
            return
        yield last
        place = last + 1


def hashes(plain: str, usual: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each feature and each place of a text where its weights are, of shape (features, characters)."""
    streams = _streams(plain, usual)
    numbers = streams * _FACTORS[:, None, None]
    # Of every stream times every factor what a feature reads for all places is one stretch, none of them copied.
    ranks, width, step = numbers.strides
    shape = len(_FACTORS), _STREAMS, 2 * _PAD + 1, len(plain)
    stretches = np.ndarray(shape, np.uint32, numbers, strides=(ranks, width, step, step))
    result = stretches[0][_READ[0]] + _STARTS
    for rank, read in enumerate(_READ[1:], start=1):
        result[: len(read[0])] += stretches[rank][read]
    result >>= np.uint32(32 - BITS)
    places: NDArray[np.intp] = result.astype(np.intp)
    return places


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
    codes = _codes(f"{_WALL}{plain}{_WALL}")
    folded, classes = _signs()
    result: _Whole = np.zeros((_STREAMS, len(codes)), np.uint32)
    places = codes.astype(np.intp)
    result[_CHARACTER], result[_CLASS] = folded.take(places), classes.take(places)
    is_han = result[_CLASS] >= _HAN_CLASS
    pairs = usual.take(pair_hash(codes[:-1], codes[1:]).astype(np.intp)) + np.uint8(1)
    result[_USUAL, :-1] = pairs * (is_han[:-1] & is_han[1:])
    # Single numbers are written into memory three times as fast as into an array.
    _mark_words(plain, result[_BEHIND_WORD].data, result[_BEFORE_WORD].data)
    result += _APART
    return result


def _codes(text: str) -> _Whole:
    """The numbers of the characters of a text; rare ones are all the same."""
    codes: _Whole = np.minimum(np.frombuffer(text.encode("utf-32-le"), "<u4"), np.uint32(_LAST))
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
def _classes_of_signs() -> bytes:
    """For each character its class: single ones are read from here ten times as fast as from an array."""
    return _signs()[1].astype(np.uint8).tobytes()


@cache
def _may_be_inside() -> bytes:
    """For each character 1 if a name may hold it, else 0."""
    result = _signs()[1] >= _HAN_CLASS
    result[[ord(sign) for sign in _INSIDE]] = True
    return result.tobytes()


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
# For the first, second … part of all features that have one: its stream, and its first place.
_READ = tuple(
    (
        np.array([feature[rank][0] for feature in _FEATURES_BY_PARTS if len(feature) > rank]),
        np.array([feature[rank][1] + _PAD for feature in _FEATURES_BY_PARTS if len(feature) > rank]),
    )
    for rank in range(len(_FACTORS))
)
_STARTS = np.array([[(number + 1) * 0x9E3779B1 & 0xFFFFFFFF] for number in range(len(_FEATURES))], np.uint32)
