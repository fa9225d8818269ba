"""Whether a text affirms a finding, denies it, or leaves it open: cues and their scopes, in Chinese and English.

After NegEx (Chapman et al., J Biomed Inform 2001;34:301-310) and ConText (Harkema et al., J Biomed Inform 2009;42:839-851),
with scopes that end where pathologists end them. The words stand in ``cues.yaml``.
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import ahocorasick_rs
import yaml

Assertion = Literal["affirmed", "negated", "possible"]

_CUES = Path(__file__).with_name("cues.yaml")
_VERSION = 2
"""Of the rules below; a change makes what was judged by them out of date."""
_REACH = 200
"""Characters that a scope is at most long, so that a text without any punctuation is not denied as a whole."""

# No scope reaches over one of these.
_SENTENCE_END = re.compile(r"[。;!]|\. ")
# The end of a sentence, of a line, of a numbered item, or a dash between items; and what may end a scope or not. A line
# that ends in the middle of a phrase is no end.
_NEXT = re.compile(
    r"[(),。;!]|(?<! of)(?<! or)(?<!\bno)(?<! and)(?<! for)(?<!,)\n|\.(?=\s|$|[^\x00-\x7f])|\s-\s"
    r"|(?<=[\s,、])\d{1,2}(?:[.)](?=\D)|、)|(?<!以下)(?<!下列)(?<!following)(?<!其中):"
)
_NOTHING_FOLLOWS = re.compile(r"[^\S\n]*(?:$|[)\]。;,.、!?|/]|(?<! of)(?<! for)(?<!\bno)\n)|\s+-\s")
_NOTHING_BEFORE = re.compile(
    r"(?:[\s(\[:,-]|但|而|且|仍|尚|也|亦|均|皆|都|全|暂|目前|为|\b(?:but|however|is|are|was|were|it|this|that|which|also)\b)*"
)
# Clauses that go on with the list before their comma, and clauses that say something of their own.
_JOINED = re.compile(r"\s*(?:或|及|和|与|以及|or\b|nor\b|and/or\b)")
_OWN = re.compile(
    r"[见示显呈为有伴系属是受]|表达|查到|找到|检出|发现|符合|考虑|提示|侵犯|侵及|累及|浸润至|转移至|阳性|\+|\([1-9]\d?/\d"
    r"|\b(?:with|consistent|suggestive|positive)\b"
)
_OWN_START = re.compile(
    r"\s*(?:慢性|急性|良性|现|今|此次|本次|本例|另|余|其余|余下|局灶|灶性|部分|大部|少量|少许|散在|间质|周围|周边|建议|请|可"
    # A bracket that says what else was taken: 未见癌,(子宫)内膜样癌.
    r"|\([^()\n0-9+%-]{1,24}\)(?=[^\s,。;)])"
    r"|(?:chronic|acute|benign|mild|moderate|focal|reactive|see|one|two|three|the|and (?:the|there|an?))\b)"
)
# A verb makes a clause of its own, also after further commas; in `A, B, or C is seen` it belongs to the list.
_OWN_VERB = re.compile(
    r"(?:(?!\b(?:n?or|and)\b)[^.;。\n:]){0,80}?\b(?:is|are|was|were|shows?|showing|has|have|had|demonstrates?|reveals?|contains?"
    r"|involves?|invades?|extends?|there)\b"
)
_SIGN = re.compile(r"[(\[]\s*-+\s*[)\]]")
_NONE_OF = re.compile(r"0/\d{1,3}(?![\d/])\s*[)\]]?")
# In a list of counts a group without any denies nothing where another has some: 胃小弯(4/12)、胃大弯(0/8)见癌转移.
_SOME_BEFORE = re.compile(
    r"(?<![\d/])[1-9]\d?/\d{1,3}[^。;\n见未无查\d/]{0,16}(?:\d{1,2}[^。;\n见未无查\d/]{0,12}){0,3}"
    r"(?:0/\d{1,3}[^。;\n见未无查/]{0,20})*\Z"
)
_SOME_AFTER = re.compile(
    r"[^。;\n见未无查/]{0,24}?(?:(?<![\d/])0/\d{1,3}[^。;\n见未无查/]{0,20}?){0,4}(?<![\d/])[1-9]\d?/\d{1,3}(?![\d/])"
)
_BOUNDS = ("。", ";", "!", "?", ":", ",")
_SOFT = ":,"
_WEAK = frozenset({"possible", "history"})


class Judgement(NamedTuple):
    """What a text says of a mention.

    Attributes:
        assertion: affirmed, negated or possible.
        start: index of the first character of the cue; -1 if there is none.
        end: index after its last; -1 if there is none.
    """

    assertion: Assertion
    start: int
    end: int


AFFIRMED = Judgement("affirmed", -1, -1)


_Scope = tuple[int, int, str, int, int]
"""Where a scope starts and ends, its kind, and where its cue starts and ends. A bare tuple, for speed."""


class _Cues(NamedTuple):
    search: ahocorasick_rs.AhoCorasick
    kinds: tuple[tuple[str, str, bool], ...]
    digest: str


@cache
def _cues() -> _Cues:
    content = _CUES.read_bytes()
    kinds: dict[str, tuple[str, str]] = {
        "(-)": ("negated", "backward_only"), "(-": ("negated", "sign"), "[-": ("negated", "sign"),
        "( -": ("negated", "sign"), "0/": ("negated", "none_of"), "?": ("left_open", "backward_only"),
    }  # fmt: skip
    for kind, words in yaml.safe_load(content).items():
        reaches = words if isinstance(words, dict) else {"": words}
        kinds.update({word: (kind, reach) for reach, group in reaches.items() for word in group})
    search = ahocorasick_rs.AhoCorasick(
        list(kinds), ahocorasick_rs.MatchKind.LeftmostLongest, implementation=ahocorasick_rs.Implementation.DFA
    )
    digest = hashlib.sha256(b"%d\n" % _VERSION + content).hexdigest()
    # Han words match anywhere, Latin ones where they stand alone.
    entries = tuple((*kind, word.isascii() and word[-1].isalpha()) for word, kind in kinds.items())
    return _Cues(search, entries, digest)


def rules_digest() -> str:
    """Digest of the cues and of the rules of their scopes: 64 hexadecimal digits."""
    return _cues().digest


class Assertions:
    """Judges mentions in one text. A sentence is looked at when the first mention in it is judged.

    Args:
        folded: the text as :func:`pathcurate.text.folding.fold` gives it.
    """

    __slots__ = ("_bounds", "_cues", "_folded", "_sentences", "_starts")

    def __init__(self, folded: str) -> None:
        self._folded = folded
        # Line ends are spaces here, so that a phrase of several words is found across them.
        self._cues = _cues().search.find_matches_as_indexes(folded.replace("\n", " "))
        self._starts = [start for _, start, _ in self._cues]
        self._bounds = [match.start() for match in _SENTENCE_END.finditer(folded)] if self._cues else []
        self._sentences: dict[int, _Sentence] = {}

    def of(self, start: int, end: int) -> Judgement:
        """What the text says of the mention at ``[start, end)``.

        A cue inside the mention is part of it and says nothing about it.
        """
        if not self._cues:
            return AFFIRMED
        number = bisect_right(self._bounds, start)
        sentence = self._sentences.get(number)
        if sentence is None:
            first = self._bounds[number - 1] + 1 if number else 0
            last = self._bounds[number] + 1 if number < len(self._bounds) else len(self._folded)
            cues = self._cues[bisect_left(self._starts, first) : bisect_left(self._starts, last)]
            sentence = self._sentences[number] = _Sentence(self._folded, first, last, cues)
        return sentence.of(start, end)


class _Sentence:
    """The cues of one sentence with their scopes, none of which reaches beyond it."""

    __slots__ = ("_after", "_after_starts", "_before", "_before_ends", "_clauses", "_first", "_folded")

    def __init__(self, folded: str, first: int, last: int, cues: Iterable[tuple[int, int, int]]) -> None:
        self._folded = folded
        self._first = first
        # Every bound of a clause as one sign: the last one before a place is then found at once.
        self._clauses = folded[first:last].replace(". ", "\n ")
        for sign in _BOUNDS:
            self._clauses = self._clauses.replace(sign, "\n")
        self._after: list[_Scope] = []
        self._before: list[_Scope] = []
        self._find(cues, first)
        self._after_starts = [scope[0] for scope in self._after]
        self._before_ends = [scope[1] for scope in self._before]

    def of(self, start: int, end: int) -> Judgement:
        """See :meth:`Assertions.of`."""
        ahead = behind = None
        index = bisect_right(self._after_starts, start) - 1
        if index >= 0 and start < self._after[index][1]:
            ahead = self._after[index]
        index = bisect_right(self._before_ends, start)
        while index < len(self._before) and self._before[index][4] <= end:
            index += 1
        if index < len(self._before) and self._before[index][0] <= start:
            behind = self._before[index]
        return _judged(ahead, behind)

    def _find(self, cues: Iterable[tuple[int, int, int]], bound: int) -> None:
        folded = self._folded
        kinds = _cues().kinds
        for index, start, end in cues:
            kind, reach, is_latin = kinds[index]
            if kind == "nothing" or (is_latin and not _stands_alone(folded, start, end)):
                continue
            if kind == "turn":
                self._cut(start)
                bound = end
            elif kind == "affirmed":
                if self._after and self._after[-1][1] > start:
                    self._cut(max(folded.rfind("、", 0, start), folded.rfind(",", 0, start)) + 1)
                bound = end
            elif reach == "sign":
                match = _SIGN.match(folded, start)
                if match:
                    bound = self._look_back(kind, start, match.end(), bound)
            elif reach == "none_of":
                match = _NONE_OF.match(folded, start)
                is_count = match and (start == 0 or folded[start - 1] not in "0123456789/.-")
                if match and is_count and not self._is_among_some(start, match.end()):
                    self._look_ahead(kind, start, match.end())
                    bound = self._look_back(kind, start, match.end(), bound)
            elif reach == "forward" and not _NOTHING_FOLLOWS.match(folded, end):
                self._look_ahead(kind, start, end)
            else:
                bound = self._back_or_ahead(kind, reach, start, end, bound)

    def _is_among_some(self, start: int, end: int) -> bool:
        """Whether a count of none stands in a list of counts of which another is one of some."""
        low = max(self._first, start - 80)
        return bool(_SOME_AFTER.match(self._folded, end) or _SOME_BEFORE.search(self._folded[low:start]))

    def _cut(self, at: int) -> None:
        """End the scope that reaches over a place there."""
        if self._after and self._after[-1][1] > at:
            first, _, kind, cue_start, cue_end = self._after[-1]
            self._after[-1] = (first, max(at, cue_end), kind, cue_start, cue_end)

    def _look_ahead(self, kind: str, start: int, end: int) -> None:
        if self._after and start < self._after[-1][1]:
            _, _, outer, _, outer_end = self._after[-1]
            # 未见可疑癌 denies; 未见癌，可疑高级别瘤变 does not.
            if outer == "negated" and kind in _WEAK and "," not in self._folded[outer_end:start]:
                return
            self._cut(start)
        self._after.append((end, self._reach(end, kind), kind, start, end))

    def _reach(self, start: int, kind: str) -> int:
        """Where the scope of a cue ends that begins at ``start``."""
        folded = self._folded
        first = start
        while folded.startswith((" ", ":"), first):
            first += 1
        furthest = min(len(folded), start + _REACH)
        depth = 0
        for match in _NEXT.finditer(folded, first, furthest):
            place = match.start()
            sign = folded[place]
            if sign == "(":
                depth += 1
            elif sign == ")" and depth:
                depth -= 1
            elif sign != "," or (not depth and (kind == "history" or self._has_own_subject(place + 1, furthest))):
                return place
        return furthest

    def _has_own_subject(self, start: int, end: int) -> bool:
        folded = self._folded
        if _JOINED.match(folded, start):
            return False
        if _OWN_START.match(folded, start) or _OWN_VERB.match(folded, start):
            return True
        comma = folded.find(",", start, end)
        return _OWN.search(folded, start, comma if comma >= 0 else end) is not None

    def _back_or_ahead(self, kind: str, reach: str, start: int, end: int, bound: int) -> int:
        before = self._clause_start(start, bound)
        is_first = _NOTHING_BEFORE.fullmatch(self._folded, before, start) is not None
        if is_first and reach == "backward" and not _NOTHING_FOLLOWS.match(self._folded, end):
            self._look_ahead(kind, start, end)
            return bound
        return self._look_back(kind, start, end, bound)

    def _look_back(self, kind: str, start: int, end: int, bound: int) -> int:
        place = self._clause_start(start, bound)
        while (
            place > self._first
            and place > start - _REACH
            and (self._folded[place - 1] in _SOFT or place == bound)
            and _NOTHING_BEFORE.fullmatch(self._folded, place, start)
        ):
            place = self._clause_start(place - 1, 0)
        self._before.append((place, start, kind, start, end))
        return end

    def _clause_start(self, start: int, bound: int) -> int:
        lowest = max(bound, start - _REACH)
        found = self._clauses.rfind("\n", max(0, lowest - self._first), start - self._first)
        return found + 1 + self._first if found >= 0 else max(lowest, self._first)


def _stands_alone(folded: str, start: int, end: int) -> bool:
    """Whether a Latin cue is no part of a longer word."""
    before = folded[start - 1] if start else " "
    after = folded[end] if end < len(folded) else " "
    return not ((before.isascii() and before.isalnum()) or (after.isascii() and after.isalnum()))


def _judged(ahead: _Scope | None, behind: _Scope | None) -> Judgement:
    if behind is not None and behind[2] == "left_open":
        return Judgement("possible", behind[3], behind[4])
    for scope in (behind, ahead):
        if scope is not None and scope[2] == "negated":
            return Judgement("negated", scope[3], scope[4])
    for scope in (ahead, behind):
        if scope is not None:
            return Judgement("possible", scope[3], scope[4])
    return AFFIRMED
