"""Who signs, by the look of a line when all rules have gone through it: weights learned from marked texts.

Rules know labels and names; people sign in ever new ways (初筛:李y, 镜检:jyk07, 2023/9/28 luxy). What is left of a line when
roles, names and days are known is little, and a short word between these that means nothing is mostly somebody. Every such
word gets a sum of weights of hashed features: its form, what stands beside it, and what the line is made of.
``tests/bench/learn_signers.py`` makes the weights. Feature hashing: Weinberger et al., Feature Hashing for Large Scale
Multitask Learning, ICML 2009.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from ahocorasick_rs import AhoCorasick, MatchKind
from numpy.typing import NDArray

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishsorts import Sort, sort_of
from pathcurate.scrubbers.text.hanforms import anchors
from pathcurate.scrubbers.text.namewords import HAN, begins_word, folded_name, name_words, surname_length
from pathcurate.scrubbers.text.signatures import NO_SIGNERS
from pathcurate.scrubbers.text.signers import BRIEF, ROLES, medical_words
from pathcurate.scrubbers.text.staffforms import BRIEF_STAFF, NOBODY, StaffForms

LEARNED_SIGNER = "shape.signer"
"""The rule that those are named after."""
REMOVED, SUSPECTED = -0.5, -1.5
"""Least score of what is taken out, and of what a person should look at."""
_ALONE = 2.0
"""Least score in a text in which nothing else identifies."""
BITS = 16
"""Of the places of the table of weights."""
STEPS = 127
_NAME, _DAY, _OTHER = "\ue001", "\ue002", "\ue003"
"""Stand for what the rules have found: names, days, anything else."""
_FOUND = {_NAME: "N", _DAY: "D", _OTHER: "I"}
_PEOPLE = frozenset({Kind.STAFF, Kind.PERSON, Kind.PATIENT})
_WORD = re.compile(
    r"[A-Z][a-z]{1,7} [A-Z][a-z]{1,9}(?![A-Za-z])|[A-Za-z][A-Za-z0-9_]*(?:[.\-][A-Za-z0-9]+)*"
    rf"|[{HAN}]+(?:[a-z]{{1,2}}(?![A-Za-z])|[A-Z](?![A-Za-z]))?"
    rf"|[0-9]+(?:[.:/-][0-9]+)*|{_NAME}+|{_DAY}+|{_OTHER}+| +|[^ ]"
)
_LEFT, _RIGHT = rf"(?<![^\n :/、(。,{_NAME}{_DAY}-])", rf"(?![^\n /、,。);|{_NAME}{_DAY}])"
"""No sign stands there but one of those that :data:`_BEFORE` and :data:`_BEHIND` name."""
_LATIN = re.compile(
    rf"(?<![^\n :/、(。,{_NAME}{_DAY}{HAN}-])[A-Za-z][A-Za-z0-9_]{{1,17}}(?![^\n /、,。);|.{_NAME}{_DAY}{HAN}-])"
)
_BEFORE = frozenset({"R", "B", "N", "D", "^", "(", ":", "_", "__", "/", "、", "-", "。", ","})
_BEHIND = frozenset({"$", "D", "R", "B", "N", "_", "__", "/", "、", ",", "。", ")", ";", "|"})
_SURE_BEFORE = frozenset("RBN:/、")
_SIGNS = frozenset(":_/、(")
_FAMILIAR = frozenset("小老阿")
_LONGEST_HAN, _LONGEST_LATIN, _LONGEST_ROLE, _LONGEST_LINE = 4, 18, 6, 120
_WORDS = frozenset({Sort.WORD, Sort.VOCABULARY})
_RUNS = re.compile("[A-Z][a-z]+|[A-Z]{2,}|[a-z]+|[0-9]+")
_ZERO = re.compile("[A-Za-z]0")
_VOWEL = re.compile("[aeou]")
_STAGE = re.compile(
    r"[cpyra]{0,3}(?:T(?:[0-4x]|is)[a-d]?(?:N[0-3x][a-d]?)?(?:M[01x][a-d]?)?|N[0-3x][a-d]?(?:M[01x][a-d]?)?|M[01x])[a-d]?",
    re.IGNORECASE,
)
"""A stage of the TNM classification (UICC, 8th edition), which a login may look like."""
_SPACED_OUT = re.compile(rf"(?<![^ ])[{HAN}] [{HAN}] [{HAN}](?![^ ])")
"""Three characters of a line whose characters all stand apart: 子 宫 多 发."""
_GRADES = re.compile("[高中低](?:[/、-][高中低])+")


class Token(NamedTuple):
    """A piece of a line: its place in it, and what it is.

    ``kind`` is N, D or I for what was found (a name, a day, anything else), R for a role, B for one of one character, H for
    a few Han characters, W for more, L for a Latin word, # for digits, _ and __ for spaces, else the sign itself.
    """

    start: int
    end: int
    kind: str


class Candidate(NamedTuple):
    """A short word that nothing explains: its place in the text, and the features of its place."""

    start: int
    end: int
    features: tuple[str, ...]


class _Roles(NamedTuple):
    """What people do with a specimen or a report, and are called for it; how it begins and ends, and what finds it."""

    words: frozenset[str]
    heads: frozenset[str]
    tails: frozenset[str]
    automaton: AhoCorasick


@cache
def _roles() -> _Roles:
    staff = {word for word, anchor in anchors().words.items() if anchor.kind is Kind.STAFF and len(word) > 1}
    words = sorted(staff | {role for role in ROLES if len(role) > 1})
    heads, tails = ({word[:2] for word in words}, {word[-2:] for word in words})
    automaton = AhoCorasick(words, matchkind=MatchKind.LeftmostLongest)
    return _Roles(frozenset(words), frozenset(heads), frozenset(tails), automaton)


class _Runs(NamedTuple):
    """A few Han characters that may be a name: between two signs, between a role and a sign, and before a role."""

    alone: "re.Pattern[str]"
    behind: "re.Pattern[str]"
    before: "re.Pattern[str]"


@lru_cache(maxsize=16)
def _runs(more: frozenset[str]) -> _Runs:
    lists = name_words()
    beginnings = _FAMILIAR.union(lists.single, lists.sounds, (surname[0] for surname in lists.compound), more)
    run = rf"[{''.join(sorted(beginnings))}][{HAN}]{{0,{_LONGEST_HAN - 1}}}"
    behind = rf"{run}[A-Za-z]{{0,2}}{_RIGHT}"
    return _Runs(re.compile(_LEFT + behind), re.compile(behind), re.compile(rf"{_LEFT}{run}\Z"))


def find_learned_signers(normal: str, found: Sequence[Removal], staff: StaffForms = NOBODY) -> list[Removal]:
    """Those who sign and whom no rule has found.

    Args:
        normal: the text in half width and simplified characters.
        found: what the rules have found in it; places may overlap.
        staff: how those of the site are written.
    """
    least = REMOVED if found else _ALONE
    return [
        Removal(one.start, one.end, Kind.STAFF, rule, folded_name(normal[one.start : one.end]))
        for one in candidates(normal, found, staff)
        if (rule := _rule_of(score(one.features), least, staff.surprise(normal[one.start : one.end])))
    ]


def _rule_of(scored: float, least: float, told: float) -> str | None:
    """The rule that a word goes by, None if it stays."""
    if scored > least:
        return LEARNED_SIGNER
    return BRIEF_STAFF if scored + told > least else None


def doubtful_signers(normal: str, found: Sequence[Removal], staff: StaffForms = NOBODY) -> list[tuple[int, int]]:
    """Where a person should look for somebody who signs, as start and end, in a text without what was found."""
    return [
        (one.start, one.end)
        for one in candidates(normal, found, staff)
        if score(one.features) + staff.surprise(normal[one.start : one.end]) > SUSPECTED
    ]


def candidates(normal: str, found: Sequence[Removal], staff: StaffForms = NOBODY) -> Iterator[Candidate]:
    """Short words that nothing explains, on lines on which somebody signs and on the last one."""
    if normal.isascii():
        return
    shown = list(normal)
    for one in found:
        sign = _NAME if one.kind in _PEOPLE else _DAY if one.kind is Kind.DATE else _OTHER
        shown[one.start : one.end] = sign * (one.end - one.start)
    text = "".join(shown)
    strange, roles = _strange_places(text, staff)
    last = len(text.rstrip())
    place = number = of_roles = 0
    # Most lines hold no word that could be meant, and are not taken to pieces.
    for line in text.split("\n"):
        end = place + len(line)
        number, of_roles = bisect_left(strange, place, number), bisect_left(roles, place, of_roles)
        if number < len(strange) and strange[number] < end and len(line) <= _LONGEST_LINE:
            is_last = place < last <= end + 1
            is_signed = (of_roles < len(roles) and roles[of_roles] < end) or _NAME in line or _DAY in line
            if is_last or is_signed:
                yield from _of_line(line, place, staff, is_last=is_last)
        place = end + 1


def _strange_places(text: str, staff: StaffForms) -> tuple[list[int], list[int]]:
    """Where a short word may stand that means nothing, and where roles do, from left to right."""
    known, runs = medical_words(), _runs(staff.beginnings)
    strange = [
        found.start() for found in runs.alone.finditer(text) if len(found[0]) == 1 or not begins_word(text, found.start())
    ]
    strange += [found.start() for found in _LATIN.finditer(text) if found[0].lower() not in known]
    roles = []
    for _, start, end in _roles().automaton.find_matches_as_indexes(text):
        roles.append(start)
        behind = runs.behind.match(text, end)
        if behind and (len(behind[0]) == 1 or not begins_word(text, end)):
            strange.append(end)
        elif runs.before.search(text, max(0, start - _LONGEST_HAN - 1), start):
            strange.append(start)
    return sorted(strange), roles


def _of_line(line: str, place: int, staff: StaffForms, *, is_last: bool) -> Iterator[Candidate]:
    tokens = list(tokens_of(line))
    if not is_last and all(token.kind not in "RND" for token in tokens):
        return
    kinds = ["^", "^", "^", *(token.kind for token in tokens), "$", "$", "$"]
    made_of = ""
    for number, token in enumerate(tokens):
        near = kinds[number : number + 7]
        if _is_placed(line, token, near, staff) and _is_strange(line, token, staff):
            made_of = made_of or _made_of(kinds)
            features = _features(line, tokens, number, near, made_of, is_last=is_last)
            yield Candidate(place + token.start, place + token.end, features)


def _is_placed(line: str, token: Token, near: Sequence[str], staff: StaffForms) -> bool:
    """Whether what stands beside a word is what may stand beside somebody."""
    before, behind, further = near[2], near[4], near[5]
    if line[token.start : token.end] in staff.unlisted:
        # A surname that no list has is a word, too: 原诊断.
        is_dated = before == "^" and "D" in {behind, further} and behind in {"D", "_", "__"}
        if not (is_dated or (before in _SURE_BEFORE and behind not in {"R", "B"})):
            return False
    is_spaced_out = _SPACED_OUT.search(line[max(0, token.start - 2) : token.end + 2])
    return before in _BEFORE and behind in _BEHIND and not is_spaced_out


def tokens_of(line: str) -> Iterator[Token]:
    """The pieces of a line in which signs stand for what was found."""
    for found in _WORD.finditer(line):
        start, end = found.span()
        first = line[start]
        if "\u3400" <= first <= "\u9fff":
            yield from _of_han(line, start, end)
        elif first == " ":
            yield Token(start, end, "_" if end - start == 1 else "__")
        elif first.isascii():
            yield Token(start, end, "L" if first.isalpha() else "#" if first.isdigit() else first)
        else:
            yield Token(start, end, _FOUND.get(first, first))


def _of_han(line: str, start: int, end: int) -> Iterator[Token]:
    """A run of Han characters, the roles at its beginning and end split off."""
    roles = _roles()
    while line[start : start + 2] in roles.heads:
        last = next(
            (at for at in range(min(end, start + _LONGEST_ROLE), start + 1, -1) if line[start:at] in roles.words), start
        )
        if last == start:
            break
        yield Token(start, last, "R")
        start = last
    behind: list[Token] = []
    while start < end and line[end - 2 : end] in roles.tails:
        first = next((at for at in range(max(start, end - _LONGEST_ROLE), end - 1) if line[at:end] in roles.words), end)
        if first == end:
            break
        behind.append(Token(first, end, "R"))
        end = first
    if start < end:
        is_brief = end - start == 1 and line[start] in BRIEF and line[end : end + 1] in {":", " "}
        # 审核LX: behind the role is no Han.
        is_latin = line[start].isascii()
        yield Token(start, end, "B" if is_brief else "L" if is_latin else "H" if end - start <= _LONGEST_HAN else "W")
    if behind:
        yield from reversed(behind)


def _is_strange(line: str, token: Token, staff: StaffForms) -> bool:
    """Whether a word is short and means nothing that is known."""
    word = line[token.start : token.end]
    if token.kind == "H":
        lists = name_words()
        if word in NO_SIGNERS or any(one.start() <= token.start < one.end() for one in _GRADES.finditer(line)):
            return False
        is_long = len(word) > 1
        if len(word) == _LONGEST_HAN and surname_length(word) == 1 and not lists.sounds.issuperset(word):
            return False
        if staff.surprise(word):
            return not (is_long and begins_word(word, 0))
        is_name = word[0] in lists.single or (is_long and (lists.sounds.issuperset(word) or word[0] in _FAMILIAR))
        return is_name and not (is_long and begins_word(word, 0)) and word not in lists.medical
    if token.kind != "L" or not 1 < len(word) <= _LONGEST_LATIN or _STAGE.fullmatch(word):
        return False
    letters = "".join(filter(str.isalpha, word.lower()))
    return medical_words().isdisjoint((word.lower(), letters, *word.lower().split())) and not _is_english(word)


def _is_english(word: str) -> bool:
    """Whether a word is one of English that no surname begins: agreed, recut."""
    small = word.lower()
    is_named = any(map(small.startswith, name_words().pinyin))
    return word.isalpha() and len(word) > _LONGEST_HAN and not is_named and sort_of(word.capitalize()) in _WORDS


def _made_of(kinds: Sequence[str]) -> str:
    """What a line is made of: words, roles, names, days and short words, counted up to where it no longer matters."""
    words, names, days = (min(kinds.count(kind), most) for kind, most in (("W", 2), ("N", 2), ("D", 1)))
    roles, others = min(kinds.count("R") + kinds.count("B"), 3), min(kinds.count("H") + kinds.count("L"), 4)
    return f"W{words}R{roles}N{names}D{days}T{others}"


def _features(
    line: str, tokens: Sequence[Token], number: int, near: Sequence[str], made_of: str, *, is_last: bool
) -> tuple[str, ...]:
    token = tokens[number]
    word = line[token.start : token.end]
    form = _han_form(word) if token.kind == "H" else _latin_form(word)
    short = f"H{len(word)}" if token.kind == "H" else "L"
    left, right = near[:3], near[4:]
    end = f"{'last' if is_last else ''}{min(len(line) // 15, 4)}"
    around = (
        "l" + left[2], "l" + left[1] + left[2], "l" + "".join(left), "r" + right[0], "r" + right[0] + right[1],
        "r" + "".join(right), f"b{left[2]}|{right[0]}", f"b{left[1]}{left[2]}|{right[0]}{right[1]}",
        "b" + "".join(left) + "|" + "".join(right), "s" + _role_before(line, tokens, number),
        "m" + made_of, "m" + made_of[:2], "m" + made_of[2:8], "m" + made_of[8:], "e" + end,
    )  # fmt: skip
    beside = tuple(_beside(line, tokens, number, short))
    return (
        form, f"{form}{made_of}{end}", f"{form}{around[8]}{made_of}", "=" + word, *around, *(short + one for one in around),
        *(form + one for one in around[:10]), *beside,
    )  # fmt: skip


def _beside(line: str, tokens: Sequence[Token], number: int, short: str) -> Iterator[str]:
    """The words that stand right beside, or before a colon or space."""
    if number and tokens[number - 1].kind == "W":
        yield "<" + line[tokens[number - 1].end - 2 : tokens[number - 1].end]
    if number + 1 < len(tokens) and tokens[number + 1].kind == "W":
        yield ">" + line[tokens[number + 1].start : tokens[number + 1].start + 2]
    if number > 1 and tokens[number - 1].kind in {":", "_", "__"} and tokens[number - 2].kind in {"W", "H"}:
        before = tokens[number - 2]
        label = line[max(before.start, before.end - 2) : before.end] + tokens[number - 1].kind
        yield from (label, short + label)


def _role_before(line: str, tokens: Sequence[Token], number: int) -> str:
    """How much the role says that stands before, with nothing but signs between."""
    for token in reversed(tokens[max(0, number - 3) : number]):
        if token.kind == "B":
            return "b"
        if token.kind == "R":
            return str(ROLES.get(line[token.start : token.end], "x"))
        if token.kind[0] not in _SIGNS:
            break
    return ""


def _han_form(word: str) -> str:
    lists = name_words()
    core = word.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    first = core[0]
    surname = "n" if first not in lists.single else "c" if first in lists.common else "s"
    given = "-" if len(core) == 1 else "g" if lists.given.issuperset(core[1:]) else "x"
    holds_word = any(begins_word(core, at) for at in range(1, len(core)))
    return f"H{len(core)}{surname}{given}{'w' if holds_word else ''}{'+' if core != word else ''}"


def _latin_form(word: str) -> str:
    small = word.lower()
    letters = sum(map(str.isalpha, word))
    shape = _RUNS.sub(lambda run: run[0][0] + "a" if run[0].istitle() else run[0][0], word)
    shape = re.sub("[0-9]", "9", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", shape)))
    is_named = any(map(small.startswith, name_words().pinyin))
    marks = (
        "v" * (_VOWEL.search(small) is not None)
        + "p" * is_named
        + "i" * (small[0] in "iuv")
        + "0" * (_ZERO.search(word) is not None)
    )
    return f"L{shape}{min(letters, 5)}{marks}"


def place_of(feature: str) -> int:
    """Where the weight of a feature is."""
    return crc32(feature.encode("utf-8", "surrogatepass")) & ((1 << BITS) - 1)


def score(features: Sequence[str]) -> float:
    """How likely features are those of somebody who signs, as a logit."""
    weights, scale, bias = _shipped()
    return sum(weights[place_of(feature)] for feature in features) * scale + bias


@cache
def _shipped() -> tuple[list[int], float, float]:
    """The shipped weights, read once: single numbers are read from a list ten times as fast as from an array."""
    with np.load(Path(__file__).with_name("signers.npz"), allow_pickle=False) as stored:
        steps: NDArray[np.int8] = stored["weights"]
        return steps.tolist(), float(stored["scale"]), float(stored["bias"])
