"""What a Chinese name looks like, and the words it stands beside: labels, titles, acts and what may follow a name."""

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from ahocorasick_rs import AhoCorasick, MatchKind

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text.namewords import DOTS, HAN, begins_word, name_words, surname_length
from pathcurate.scrubbers.text.spelling import KEPT

MASKED = re.compile(rf"(?:某{{1,2}}(?![医院市省县区大公单])|[*×○●□]{{1,3}}[{HAN}]?|[xX]{{2,3}}(?![A-Za-z0-9]))")
HAN_SIGN = re.compile(f"[{HAN}]")
_LONGEST_PART = 8
_DOTS = frozenset(DOTS)
DOTTED = rf"[{HAN}]{{1,8}}(?:[{DOTS}][{HAN}]{{1,8}}){{1,3}}"
_BY_SOUND = re.compile(DOTTED)
_SPACE = re.compile(r"[ \t]{0,4}")
AGE_BEHIND = re.compile(r"[ \t,、/|(]*[0-9]")
MAY_PRECEDE = frozenset(
    "见床诊房心处办站小老经由请及与和向嘱送致找让被给对科院部室区系师授任生长员是者人儿为名叫位同邀家即知告话代属母父妻夫弟兄"
    "姐妹子女友班线治手刀组楼托询陪携医护学示"
)
RELATION = re.compile(
    "(?:丈夫|妻子|父亲|母亲|儿子|女儿|哥哥|弟弟|姐姐|妹妹|爱人|配偶|老伴|战友|朋友|同事|同学|邻居|工友|亲戚|亲属|家属|长子|长女|次子|次女|"
    r"侄子|侄女|外甥|孙子|孙女|女婿|儿媳|叔叔|舅舅|姑姑|姨妈)(?=[^\x00-\x7f])"
)
"""Whose relative somebody is, before their name: no part of it."""
_FAMILIAR = frozenset("小老阿")
_AT_ONCE = re.compile("病理[号诊]|[审复]核|报告[日时]|日期|时间")


@dataclass(frozen=True, slots=True)
class Anchor:
    """A word beside which a name may stand.

    Attributes:
        kind: whose name it would be.
        is_strong: whether nothing but a name follows it.
        is_label: whether a name may follow it.
        is_title: whether a name may stand before it, or a surname alone.
        is_act: whether a full name may stand before it.
        is_free: whether the name behind it may begin with anything, without a colon too.
        is_end: whether it is but the end of a label, which only a colon shows.
    """

    kind: Kind
    is_strong: bool = False
    is_label: bool = False
    is_title: bool = False
    is_act: bool = False
    is_free: bool = False
    is_end: bool = False


@dataclass(frozen=True, slots=True)
class Anchors:
    """The words of ``labels.yaml`` and what finds them.

    Attributes:
        words: each with what stands beside it.
        automaton: finds them, the longest of those that begin first.
        behind: words that may follow a name at once, by their first characters, the longest first.
        by: words that end before somebody who does something (由).
        not_people: words that end like labels of people.
        title: any title, its characters spaced or not.
        title_signs: what it begins with: asked first, as hardly any place begins one.
        nickname: 小王 and 阿珍.
        sound: characters of names of other languages.
    """

    words: dict[str, Anchor]
    automaton: AhoCorasick
    behind: dict[str, tuple[str, ...]]
    by: tuple[str, ...]
    not_people: frozenset[str]
    title: "re.Pattern[str]"
    title_signs: frozenset[str]
    nickname: "re.Pattern[str]"
    sound: "re.Pattern[str]"


@cache
def anchors() -> Anchors:
    """The shipped words, read once."""
    lists: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("labels.yaml").read_text(encoding="utf-8"))
    words: dict[str, Anchor] = {sign: Anchor(Kind.PATIENT) for sign in "男女岁"}
    words |= {end: Anchor(Kind.STAFF, True, True, is_end=True) for end in lists["ends"]}
    words |= {act: Anchor(Kind.STAFF, is_act=True) for act in lists["acts"]}
    for strength in ("weak", "strong"):
        for kind, labels in lists[strength].items():
            words |= {
                label: Anchor(Kind(kind), strength == "strong", True, is_act=label in lists["acts"]) for label in labels
            }
    words |= {"其" + label: words[label] for label in lists["weak"]["person"] if label[0] not in "其患"}
    roles = (role + end for role in lists["roles"] for end in lists["role_ends"])
    words |= {label: Anchor(Kind.STAFF, True, True) for label in roles}
    for kind, titles in lists["titles"].items():
        for title in titles:
            is_label = kind == "staff" or (title in words and words[title].is_label)
            words[title] = Anchor(Kind(kind), title in words and words[title].is_strong, is_label, is_title=True)
    words |= {label: Anchor(Kind.PATIENT, True, True, is_free=True) for label in lists["free"]}
    # 凌医生签字: the title is hidden in a longer label.
    signed = tuple(title + act for title in lists["titles"]["staff"] for act in ("签字", "签名", "签章", "签"))
    words |= {label: replace(words.get(label, Anchor(Kind.STAFF, True, True)), is_title=True) for label in signed}
    # 通知护士 would hide the longer title: 通知护士长毕静.
    words |= {
        label + "长": anchor for label, anchor in words.items() if label.endswith("护士") and label + "长" not in words
    }
    automaton = AhoCorasick(tuple(words), matchkind=MatchKind.LeftmostLongest)
    labels = (word for word, anchor in words.items() if anchor.is_label and len(word) > 1)
    following = sorted({*lists["behind"], *lists["acts"], *labels}, key=len, reverse=True)
    behind = {word[0]: tuple(one for one in following if one[0] == word[0]) for word in following}
    titles = sorted((title for kind in lists["titles"].values() for title in kind), key=len, reverse=True)
    spaced = ("[ \t]{0,2}".join(title) for title in titles)
    single, sounds = "".join(name_words().single - name_words().common), "".join(name_words().sounds)
    return Anchors(
        words,
        automaton,
        behind,
        tuple(lists["by"]),
        frozenset(lists["not_people"]),
        re.compile(f"[ \t]{{0,3}}(?:{'|'.join(spaced)})"),
        frozenset(" \t").union(title[0] for title in titles),
        re.compile(f"[小老][{single}](?<!老师)|阿[{HAN}]"),
        re.compile(f"[{sounds}]{{2,8}}"),
    )


@lru_cache(maxsize=KEPT)
def found_anchors(plain: str) -> list[tuple[int, int, int]]:
    """Number, start and end of each label and title of a text; kept for a moment, as rules and weights both ask."""
    return anchors().automaton.find_matches_as_indexes(plain)


def is_title_at(normal: str, place: int) -> bool:
    """Whether a title begins at a place, or behind spaces there."""
    words = anchors()
    return normal[place : place + 1] in words.title_signs and words.title.match(normal, place) is not None


def has_dot(normal: str, start: int, end: int) -> bool:
    """Whether a sign between the parts of a name stands in a piece of a text."""
    return not _DOTS.isdisjoint(normal[start:end])


def is_both(normal: str, start: int, end: int) -> bool:
    """Whether a place holds a word that is a name too, whole."""
    return normal[start:end] in name_words().both and not HAN_SIGN.match(normal, end)


def nickname(normal: str, start: int) -> int | None:
    """Where 小王, 老魏 or 阿珍 ends."""
    if normal[start : start + 1] not in _FAMILIAR or not anchors().nickname.match(normal, start):
        return None
    end = start + 2
    return end if is_bounded(normal, end) or is_title_at(normal, end) else None


def surname_alone(normal: str, start: int) -> int | None:
    """Where a surname ends that stands for somebody (报告人: 佟)."""
    length = surname_length(normal[start : start + 2])
    if not length:
        return None
    end = start + length
    is_end = _AT_ONCE.match(normal, end) or not (HAN_SIGN.match(normal, end) or normal[end : end + 1].isalnum())
    return end if is_end else None


def likely_name(normal: str, start: int) -> int | None:
    """Where a surname with two characters of given names ends, whatever follows."""
    length = surname_length(normal[start : start + 2])
    if not length:
        return None
    given = normal[start + length : start + length + 2]
    lists = name_words()
    is_name = len(given) == 2 and lists.given.issuperset(given)
    is_word = normal[start] in lists.common and length == 1 and given[:1] in lists.single and given[:1] not in lists.common
    return start + length + 2 if is_name and not is_word else None


def sound_run(normal: str, start: int, least: int = 2) -> int | None:
    """Where a name ends that is written by its sound (阿依古丽, 巴特尔)."""
    found = anchors().sound.match(normal, start)
    if found is None:
        return None
    return next((end for end in range(found.end(), start + least - 1, -1) if is_bounded(normal, end)), None)


def sounded_name(normal: str, start: int) -> int | None:
    """Where a name with middle dots ends; behind the last dot two to six characters, up to a word that may follow a name."""
    found = _BY_SOUND.match(normal, start) if has_dot(normal, start, start + _LONGEST_PART + 1) else None
    if found is None:
        return None
    last = max(normal.rfind(dot, start, found.end()) for dot in DOTS) + 1
    sounds = name_words().sounds
    first = last + (1 if next_word(normal, last + 1) else 2)
    while first < found.end() and normal[first] in sounds and not next_word(normal, first):
        first += 1
    return next((end for end in range(first, found.end()) if is_bounded(normal, end)), found.end())


def chinese_name(normal: str, start: int) -> int | None:
    """Where a name that begins with a surname ends, None for a text that is none.

    Behind it must stand a sign, the end of the text, or a word that may follow a name; of two such ends the later counts.
    """
    length = surname_length(normal[start : start + 2])
    if not length:
        return None
    masked = MASKED.match(normal, start + length)
    if masked:
        return masked.end()
    if is_title_at(normal, start + length):
        return None if begins_word(normal, start) else start + length
    first = _given(normal, start + length)
    is_spaced = first is not None and first > start + length + 1
    if first is None or (is_spaced and next_word(normal, first - 1)):
        return None
    return _end_of_given(normal, start, first, is_spaced=is_spaced)


def _end_of_given(normal: str, start: int, first: int, *, is_spaced: bool) -> int | None:
    """Where the given name ends of which the first character does at a place."""
    second = _given(normal, first)
    is_near = second is not None and (second == first + 1 or (is_spaced and second - first <= first - start))
    if second is not None and is_near and is_bounded(normal, second):
        is_sex = normal[second - 1] in "男女" and (AGE_BEHIND.match(normal, second) or second > first + 1)
        is_next = second > first + 1 and _is_next(normal, second - 1)
        ahead = next_word(normal, first)
        is_verb = ahead > 1 and HAN_SIGN.match(normal, second) and ahead >= next_word(normal, second)
        if not (is_sex or is_next or is_verb or normal[second - 1] == "的"):
            return second
    is_end = not HAN_SIGN.match(normal, first) if is_spaced else is_bounded(normal, first)
    return first if is_end else None


def _given(normal: str, start: int) -> int | None:
    space = _SPACE.match(normal, start)
    place = space.end() if space else start
    return place + 1 if HAN_SIGN.match(normal, place) else None


def is_free_before(normal: str, start: int) -> bool:
    """Whether a name may begin at a place: no Han character stands before it, or one that ends another word."""
    before = normal[start - 1 : start] if start else ""
    return not before or not HAN_SIGN.match(before) or before in MAY_PRECEDE


def is_bounded(normal: str, end: int) -> bool:
    """Whether a name may end at a place: no Han character follows, or a word that may follow a name."""
    return not HAN_SIGN.match(normal, end) or _is_next(normal, end)


def _is_next(normal: str, place: int) -> bool:
    return normal.startswith(anchors().behind.get(normal[place : place + 1], ()), place)


def next_word(normal: str, place: int) -> int:
    """How long the longest word is that may follow a name and stands at a place; 0 if there is none of two characters."""
    words = anchors().behind.get(normal[place : place + 1], ())
    return next((len(word) for word in words if len(word) > 1 and normal.startswith(word, place)), 0)
