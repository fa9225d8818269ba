"""How the staff of a site is written when little is written: surnames alone, initials, logins.

The columns of a site's reports name most of those who sign there. A short word on a line on which people sign, or a login
anywhere, is read with these names in mind: ``丰`` is somebody where a 丰永年 works, ``zhangjg`` where a 张建国 does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import is_free_before, is_title_at
from pathcurate.scrubbers.text.knownnames import names_in
from pathcurate.scrubbers.text.namewords import (
    HAN,
    begins_word,
    folded_name,
    is_han,
    name_words,
    readings,
    surname_length,
)
from pathcurate.scrubbers.text.signers import medical_words

BRIEF_STAFF = "site.brief_staff"
"""The rule that those are named after whom only the site's names tell."""
_DIGITS = re.compile("[0-9]{1,4}")
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,19}")
_SMALL = re.compile(r"(?<![A-Za-z0-9_.@/-])(?P<letters>[a-z]\.?[a-z]{2,3})[0-9]{0,3}(?![A-Za-z0-9_@/-]|[.][A-Za-z])")
_SPEAKER = re.compile(rf"(?:^|(?<=\n))[ ]{{0,3}}(?P<name>[{HAN}]{{1,2}}|[A-Z]{{3,4}})(?=[ ]?(?:[:→>]|-->?))")
"""Who says the line that follows: 仇:骨髓活检已读, TJJ→WQM."""
_ROLE_AND_NAME = re.compile(
    rf"(?:(?<![A-Za-z])[a-z]{{2}}|(?<![{HAN}])[初复审取切包染阅记])(?P<name>[{HAN}]{{1,2}})(?=[ ,;]|$|\n)"
)
"""A role in two small letters or in one character, and who filled it: qp妥, 初火."""
_LISTED = re.compile(
    rf"(?<![{HAN}])[{HAN}]{{1,2}}(?:、[{HAN}]{{1,2}})+(?![{HAN}])|[{HAN}](?:、[{HAN}])+(?=[两二三]级|[阅审读]片|讨论)"
)
_FIELDS = frozenset({"zyh", "blh", "mzh", "sqh", "jch", "bah", "jzh"})
"""Initials of 住院号, 病理号 and their like, as programs name their fields."""
_NO_ROLES = frozenset({
    "复印", "复方", "复习", "复原", "初步", "初期", "审批", "取向", "取样", "切向", "切开", "包装", "包边", "染料", "阅毕",
    "记录", "记载",
})  # fmt: skip
"""Words that begin like a role: the other character is a surname too, somewhere."""
_BESIDE = frozenset("跟换请由与和给让叫找向对问陪")
_HEADS = frozenset("左右上下前后内外中母父子女男查患诊镜注附备")
"""Words before a colon that are surnames too."""
_FUNCTION = frozenset("由其原别后是在不有无与及和或为将已可请此该每各某即则但且并而之的了也都就")
"""As a surname these are too seldom, and as a word too frequent."""
_LEAST_LOGIN, _LONGEST_NAME, _MOST_READINGS = 5, 4, 2


@dataclass(frozen=True, slots=True)
class StaffForms:
    """The short forms of the names of a site's staff.

    Attributes:
        surnames: of Han names, also those that no list has.
        unlisted: those of one character that no list of surnames has.
        given: given names of two characters.
        beginnings: what unlisted surnames and given names begin with.
        initials: of two letters or more, in lower case: zjg, jgz, zg.
        logins: longer, in lower case: zhangjg, jgzhang, and what the site's file of words names.
        automaton: what finds logins; None if there are none.
    """

    surnames: frozenset[str] = frozenset()
    unlisted: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    beginnings: frozenset[str] = frozenset()
    initials: frozenset[str] = frozenset()
    logins: frozenset[str] = frozenset()
    automaton: AhoCorasick | None = None

    def __repr__(self) -> str:
        return f"StaffForms({len(self.surnames)} surnames)"

    def surprise(self, word: str) -> float:
        """What a short word's being a form of a name of the site adds to the logit of its being somebody."""
        if word.isascii():
            letters = word.rstrip("0123456789").lower()
            if letters in self.logins or word.lower() in self.logins:
                return _LOGIN_SAYS
            return (_INITIALS_SAY if len(letters) > 2 else _PAIR_SAYS) if letters in self.initials else 0.0
        core = word.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        if core in self.surnames:
            return _UNLISTED_SAYS if core in self.unlisted else _SURNAME_SAYS
        return _GIVEN_SAYS if core in self.given else 0.0

    def tells(self, word: str) -> bool:
        """Whether a word alone says that somebody of the site is meant."""
        return self.surprise(word) > _PAIR_SAYS


NOBODY = StaffForms()
"""Of a site whose staff is not known."""
# Of a hundred names nearly every usual surname is one, and of the pairs of letters one in ten.
_SURNAME_SAYS, _UNLISTED_SAYS, _GIVEN_SAYS, _PAIR_SAYS, _INITIALS_SAY, _LOGIN_SAYS = 0.5, 3.0, 3.0, 1.5, 3.0, 5.0


@lru_cache(maxsize=16)
def staff_forms(cells: tuple[str, ...]) -> StaffForms:
    """The forms of all names in some cells; made once per process and list."""
    surnames, given, initials, logins = (set[str]() for _ in range(4))
    for cell in cells:
        if _LOGIN.fullmatch(cell) and cell.lower() not in medical_words():
            logins.add(cell.lower())
        for name in filter(is_han, names_in(cell)):
            length = surname_length(name) or 1
            if not 0 < len(name) - length <= _LONGEST_NAME - length:
                continue
            is_odd = name[0] in _FUNCTION or name_words().sounds.issuperset(name) or begins_word(name, 0)
            if surname_length(name) or not is_odd:
                surnames.add(name[:length])
            if len(name) - length > 1 and not begins_word(name, length):
                given.add(name[length:])
            short, long = _latin_forms(name[:length], name[length:])
            initials.update(short)
            logins.update(one for one in long if len(one) >= _LEAST_LOGIN)
            initials.update(one for one in long if len(one) < _LEAST_LOGIN)
    known = medical_words()
    logins -= known
    return StaffForms(
        frozenset(surnames),
        frozenset(one for one in surnames if not surname_length(one) and len(one) == 1),
        frozenset(given),
        frozenset(one[0] for one in (*surnames, *given) if not surname_length(one)),
        frozenset(initials - known - _FIELDS),
        frozenset(logins),
        AhoCorasick(sorted(logins), matchkind=MatchKind.LeftmostLongest) if logins else None,
    )


def _latin_forms(surname: str, given: str) -> tuple[set[str], set[str]]:
    """Initials of a name, and its longer forms of a surname in full."""
    surnames = name_words().readings.get(surname) or tuple(map("".join, product(*(readings(one, 1) for one in surname))))
    short, long = set[str](), set[str]()
    for one in surnames[:_MOST_READINGS]:
        for syllables in product(*(readings(character, _MOST_READINGS) for character in given)):
            firsts = "".join(syllable[0] for syllable in syllables)
            short.update((one[0] + firsts, firsts + one[0]))
            whole = "".join(syllables)
            long.update((one + firsts, firsts + one, one[0] + whole, whole + one[0]))
    return short, long


def find_brief_staff(normal: str, forms: StaffForms) -> Iterator[Removal]:
    """Those of a site's staff who are told by little, wherever they stand.

    By a login or, in small letters, initials; by a surname that no list has before a title; and by a surname or initials in
    front of what they say.
    """
    if forms.automaton is not None:
        lowered = normal.lower()
        # Of a few characters the lower case is longer.
        if len(lowered) == len(normal):
            yield from _logins(lowered, forms.automaton)
    # In English small words are words, and of two thousand initials some are like them: gel, lid.
    if forms.surnames and is_han(normal):
        yield from _beside_signs(normal, forms)
    for surname in forms.unlisted:
        place = normal.find(surname)
        while place >= 0:
            is_titled = is_title_at(normal, place + 1) and not begins_word(normal, place)
            if is_titled and (is_free_before(normal, place) or normal[place - 1] in _BESIDE):
                yield _removal(normal, place, place + 1)
            place = normal.find(surname, place + 1)


def _beside_signs(normal: str, forms: StaffForms) -> Iterator[Removal]:
    """Those who are told by their initials, by a short role, by the others of a list, or by what they say."""
    for found in _SMALL.finditer(normal):
        if found["letters"].replace(".", "") in forms.initials:
            yield _removal(normal, *found.span())
    for found in _ROLE_AND_NAME.finditer(normal):
        if _is_one(found["name"], forms) and found[0] not in _NO_ROLES and not begins_word(normal, found.start()):
            yield _removal(normal, *found.span("name"))
    for found in _LISTED.finditer(normal):
        yield from _all_of(normal, found, forms)
    for found in _SPEAKER.finditer(normal):
        word = found["name"]
        if _is_one(word, forms) or (len(word) > 2 and word.lower() in forms.initials):
            yield _removal(normal, *found.span("name"))


def _is_one(word: str, forms: StaffForms) -> bool:
    """Whether a word is a given name of the site, or a surname that is no other word there."""
    return word in forms.given or (word in forms.surnames and word not in _HEADS)


def _all_of(normal: str, listed: re.Match[str], forms: StaffForms) -> Iterator[Removal]:
    """Those of a list, if all are of the site: 虎、张、剡三级阅片."""
    start, found = listed.start(), []
    for name in listed[0].split("、"):
        if not _is_one(name, forms):
            return
        found.append(_removal(normal, start, start + len(name)))
        start += len(name) + 1
    yield from found


def _removal(normal: str, start: int, end: int) -> Removal:
    return Removal(start, end, Kind.STAFF, BRIEF_STAFF, folded_name(normal[start:end]))


def _logins(lowered: str, automaton: AhoCorasick) -> Iterator[Removal]:
    for _, start, end in automaton.find_matches_as_indexes(lowered):
        digits = _DIGITS.match(lowered, end)
        last = digits.end() if digits else end
        if not (_is_sign(lowered, start - 1) or _is_sign(lowered, last)):
            yield _removal(lowered, start, last)


def _is_sign(text: str, place: int) -> bool:
    """Whether what stands at a place belongs to a word in letters."""
    one = text[place : place + 1] if place >= 0 else ""
    return one.isascii() and (one.isalnum() or one == "_")
