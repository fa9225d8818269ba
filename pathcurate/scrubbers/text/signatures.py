"""Those who sign by little where no label says so: initials before a day, a surname alone, what colleagues write for a name.

DLX 21.9.30, H.D. / C.Y.A., 卢 6.28 and (卢/邹) stand behind the last sentence of a line; LZ医师 and 由LX复阅 inside one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.namewords import HAN, begins_word, name_words
from pathcurate.scrubbers.text.signers import (
    ANY_LABEL,
    FEW,
    LABEL_ENDS,
    PERSONAL,
    are_initials,
    is_followed,
    is_login,
    label_before,
    medical_words,
    signature,
)
from pathcurate.text.beginnings import Searched

_DAY = r"(?:(?:19|20)?[0-9]{2}[-./年][0-9]{1,2}[-./月][0-9]{1,2}日?)(?![0-9])"
_SHORT_DAY = r"[01]?[0-9][-./月][0-3]?[0-9]日?(?![0-9.])(?=[ ]*(?:[\n。)]|$))"
_INITIALS = (
    r"[A-Za-z](?<![A-Za-z0-9.+][A-Za-z])(?<![^-]-[A-Za-z])"
    r"(?:(?<=[A-Z])(?:\.[ ]?(?:[A-Z]\.[ ]?)?[A-Z]\.?|[A-Z]{1,2})|(?<=[a-z])[a-z]{1,3})(?![A-Za-z0-9])"
)
_NAMES = rf"(?P<names>{_INITIALS}(?:[ ]?[/、][ ]?{_INITIALS}){{0,3}})"
_BY_DAY = Searched(rf"{_NAMES}[ ]{{0,8}}[ ,][ ]{{0,2}}(?:{_DAY}|{_SHORT_DAY})(?![{HAN}])")
_LAST = re.compile(rf"(?:\A|(?<=\n)|(?<=--)|(?<=。))[ ]*{_NAMES}[ 。]*\Z")
_LAST_LOGIN = re.compile(
    r"(?:(?<=\n)|(?<=--)|(?<=。))[ ]*"
    r"(?P<name>(?P<letters>[a-z]{2,4}|[A-Z]{2,3})[-_]?[0-9]{2,4}|(?P<word>[a-z]{4,14})|(?P<surname>[a-z]{2,8})[._][a-z]{1,8})"
    r"[ 。]*\Z"
)
_DOTTED = Searched(
    r"(?P<names>[A-Z](?<![A-Za-z0-9.][A-Z])\.[ ]?(?:[A-Z]\.[ ]?){1,2}[ ]?/[ ]?[A-Z]\.[ ]?(?:[A-Z]\.){1,2})"
    r"(?=[ ]*(?:\n|$)|[ ]{1,8}[0-9])"
)
# Signed in Pinyin: Wang/Li, Wang L., Wang 2024-3-5.
_SURNAME = r"[A-Z](?<![A-Za-z0-9./-][A-Z])[a-z]{1,5}(?:[ ][A-Z]{1,2}\.?)?"
_SURNAMED = Searched(
    rf"(?P<names>{_SURNAME}(?:[ ]?/[ ]?[A-Z][a-z]{{1,5}}(?:[ ][A-Z]{{1,2}}\.?)?){{0,2}})"
    rf"(?=[ ]*(?:\n|$)|[ ,]{{1,4}}(?P<day>{_DAY}|{_SHORT_DAY}))"
)
# Initials and logins beside what their bearer did, is called or was asked for, behind a day, and before what they say.
_ACTING = Searched(
    r"(?P<did>[A-Z](?<![^\n。;,(— ][A-Z])[A-Z]{1,2})(?:代(?P<for>[A-Z]{2,3}))?"
    r"(?:取|签|签字|签名|阅|代签|复核|审核|录入|记录|补记|取材)(?=[ ]{0,2}(?:[,。;)\n]|$)|[ ][12]?[0-9]{1,3}[-./年月])"
    r"|(?P<titled>[A-Z](?<![0-9A-Za-z.+/-][A-Z])(?:[A-Z]{1,2}|[a-z]{1,5}))(?:[、/](?P<and>[A-Z]{2,3}))?[ ]?"
    r"(?:主任|教授|老师|医[生师]|大夫|护士|[二两]位|阅片|看片|读片|复阅)"
    r"|[由经与请和找](?P<asked>[A-Z]{2,3})"
    r"(?=复阅|复核|讨论|会诊|沟通|核对|核实|审核|取材|签[字名发]|录入|确认|代|于)"
    r"|[0-9](?:[-./月][0-3]?[0-9]日?|[-./]20[0-9]{2}|:[0-5][0-9])"
    r"(?:[ ,]{1,2}[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?)?[ ,]{1,4}(?P<since>[A-Z]{2,3}|[a-z]{2,4})"
    r"(?=[ ]*(?:[\n。)]|$)|[ ](?:修改|补|签|审|录|打印|更正|加|取|记|阅))"
    r"|(?P<says>[A-Za-z](?<![^\n][A-Za-z])(?:(?<=[A-Z])[A-Z]{1,2}|(?<=[a-z])[a-z]{1,11}))[ ]?:[ ]?"
    r"(?=已|请|同意|再|补|加做|收到|阅|看|好的|重切|深切|建议|核对|没|不)"
    r"|(?P<typed>[a-z](?<![0-9A-Za-z@._/\\-][a-z])(?:[a-z]{3,13}|[a-z]{1,3}[0-9]{2,3}))[ ]{0,4}[于在]?[ ]{0,2}"
    rf"(?=20[0-9]{{2}}[-./年][0-9]|[0-2]?[0-9]:[0-5][0-9]|{_SHORT_DAY})"
)
_INITIAL = re.compile(r"[A-Za-z][A-Za-z. ]*")
_NO_STAIN = re.compile("(?![EPA]R)[A-HJ-TW-Z]{2,3}")
_EDGES = frozenset("\n。;()-")
NO_SIGNERS = frozenset(
    "左全无空白黄蓝红水时于应和都盖闭展税年法阳计查容海关向过段石单管包支史方费金车房卡项组台尺束终章权机盒液部完万毛皮花"
)
"""Surnames that say something else beside a role: 取材:全, 染色:黄, 切片:白, 单管."""
_PLAIN = frozenset("余古商宁安常惠文易景曾温游章谈路伊伍")
"""Surnames that are words, but in no place of their own."""
_TRAINEES = frozenset({"实习", "规培", "进修"})
_WITH_ANOTHER = re.compile(rf"/(?![左右上下内外前后][{HAN}]?)[{HAN}](?=[ ]{{1,4}}|[,;。\n]|$)")
"""Who else did it, where no sign stands behind the label: 检测周/蓝."""
_REACH, _LAST_LINE = 12, 40


@dataclass(frozen=True, slots=True)
class _Surnames:
    """Patterns for a surname that stands alone.

    Attributes:
        labelled: 审核:高, 实习邹, 值班医师余。
        placed: 慢性炎。 卢 6.28, (卢/邹), 邹 签, and 5/6 卢 as a line of its own
        called: 赵姓患者, 自述姓周
        ending: 慢性炎。 卢, and 卢/余 as the last line of a text
    """

    labelled: Searched
    placed: Searched
    called: Searched
    ending: "re.Pattern[str]"


@cache
def surname_patterns() -> _Surnames:
    """The patterns, made of the lists of names when they are first needed."""
    lists = name_words()
    single = "".join(sorted(lists.single - NO_SIGNERS))
    rare = "".join(sorted(lists.single - lists.common - NO_SIGNERS))
    ends = r"(?=[ ]*(?:[\n。;]|$))"
    return _Surnames(
        labelled=Searched(
            rf"[{LABEL_ENDS}](?P<gap>[ ]{{0,2}}:?[ ]{{0,2}})"
            rf"(?P<name>[{single}](?:(?<=:[{single}])[A-Z×*]{{1,2}})?)(?![{HAN}a-zA-Z×*])"
            rf"(?=[ ]{{0,2}}(?:[/、,;|。)\n]|$)|[ ]?\([0-9]|[ ]{{1,3}}(?:[0-9]{{1,4}}[-./年月:][0-9]|{ANY_LABEL}))"
        ),
        placed=Searched(
            rf"(?P<dated>[{rare}])[ ,]{{1,3}}[01]?[0-9][-./月][0-3]?[0-9]日?(?![0-9.])(?=[ ]*(?:[\n。]|$))"
            rf"|(?P<signed>[{rare}])[ ]?签[字名]?{ends}"
            rf"|\((?P<bracketed>[{rare}](?<![牛张骨麻米]))(?:/(?P<other>[{single}]))?"
            rf"(?:\)(?=[ ]*(?:\n|$))|[ ,]{{1,3}}(?:{_DAY}|{_SHORT_DAY}))"
            rf"|[01]?[0-9](?<![0-9./-][0-9])[-./月][0-3]?[0-9]日?[ ]{{1,2}}(?P<since>[{rare}])(?=[ ]*(?:\n|$))"
        ),
        called=Searched(
            rf"姓(?P<family>[{single}])(?=[ ]?[,。;)\n的])"
            rf"|(?P<name>[{single}])姓(?<![同改复外异][{HAN}]姓)"
            rf"(?:患者|病人|患儿|产妇|家属|亲[属戚]|医[生师]|护士|护工|师傅|男[子士性]|女[子士性]|老[人师太]|主任|技[师术]"
            rf"|丈夫|妻子|[女媳]?[婿妇]|[儿女]子?|[母父]亲?|同[事学志]|朋友|司机|工人|农民|学[生员]|实习|进修|规培)"
        ),
        ending=re.compile(
            rf"(?:。[ ]{{0,8}}(?P<name>[{rare}])(?:[/、](?P<next>[{single}]))?"
            rf"|\n[ ]*(?P<one>[{rare}])[/、](?P<other>[{single}]))[ 。]*\s*\Z"
        ),
    )


def find_signatures(normal: str) -> Iterator[Removal]:
    """Initials, logins and surnames of those who sign without a label, in no order; places may overlap."""
    for pattern in (_BY_DAY, _DOTTED):
        for found in pattern.finditer(normal):
            yield from _line_of(normal, found, is_dated=True)
    if last := _LAST.search(normal, max(0, len(normal) - _LAST_LINE)):
        yield from _line_of(normal, last, is_dated=False)
    elif (login := _LAST_LOGIN.search(normal, max(0, len(normal) - _LAST_LINE))) and _is_logged_in(login):
        yield signature(normal, *login.span("name"))
    for found in _SURNAMED.finditer(normal):
        yield from _surnamed(normal, found)
    yield from _acting(normal)
    yield from _surnames(normal)


def _line_of(normal: str, found: "re.Match[str]", *, is_dated: bool) -> Iterator[Removal]:
    """Those who sign a line of their own, or before a day."""
    first = found.start("names")
    signed = list(_INITIAL.finditer(found["names"]))
    names = [one[0].rstrip() for one in signed]
    before = _before(normal, first)
    is_signed = is_dated or len(names) > 1 or len(names[0]) > len("LZ") or before == "-"
    is_apart = before in _EDGES or (before == "," and len(names[0]) > len("LZ") and names[0].isupper())
    if is_signed and is_apart and sign_together(names):
        for one, name in zip(signed, names, strict=True):
            yield signature(normal, first + one.start(), first + one.start() + len(name))


def sign_together(names: list[str]) -> bool:
    """Whether all are initials, or one of several is and the other capitals may be: CL / JQS."""
    if all(map(are_initials, names)):
        return True
    are_capitals = all(name.isupper() and _NO_STAIN.fullmatch(name) for name in names)
    return are_capitals and any(map(are_initials, names)) and FEW.isdisjoint(name.lower() for name in names)


def _surnamed(normal: str, found: "re.Match[str]") -> Iterator[Removal]:
    """Those who sign in Pinyin, two of them, with initials or before a day."""
    parts = [one.strip() for one in found["names"].split("/")]
    is_signed = len(parts) > 1 or found["day"] is not None or " " in found["names"]
    are_names = all(part.split(" ")[0].lower() in name_words().pinyin for part in parts)
    if is_signed and are_names and _before(normal, found.start()) in _EDGES:
        yield signature(normal, *found.span("names"))


def _before(normal: str, start: int) -> str:
    """The sign that stands before a place, past spaces; of a new line before the first of a text."""
    before = normal[max(0, start - _REACH) : start].rstrip(" ")
    # A single dash joins, two are a sign.
    return "" if before[-1:] == "-" != before[-2:-1] else before[-1:] or "\n"


def _acting(normal: str) -> Iterator[Removal]:
    """Initials and logins beside what their bearer did, is called or was asked for."""
    for found in _ACTING.finditer(normal):
        for group, name in found.groupdict().items():
            if name and _acts(name, is_typed=group == "typed"):
                yield signature(normal, *found.span(group))


def _acts(name: str, *, is_typed: bool) -> bool:
    if is_typed:
        return is_login(name) if name.isalpha() else _is_numbered_login(name)
    return are_initials(name) if name.isupper() or name.islower() else name.lower() in name_words().pinyin


def _is_numbered_login(name: str) -> bool:
    """Whether letters and digits are a login: no stain has a nought before its number."""
    letters = name.rstrip("0123456789").rstrip("-_")
    is_told = (name.islower() and f"{letters}0" in name) or are_initials(letters)
    return is_told and name.lower() not in medical_words()


def _is_logged_in(found: "re.Match[str]") -> bool:
    """Whether the last word of a text is what somebody logs in with: kf03, tongl, lin.h."""
    if found["letters"]:
        return _is_numbered_login(found["name"])
    return is_login(found["word"]) if found["word"] else found["surname"] in name_words().pinyin


def _surnames(normal: str) -> Iterator[Removal]:
    """A surname alone behind a label, before a day, or in brackets behind the last sentence of a line."""
    patterns = surname_patterns()
    for found in patterns.labelled.finditer(normal):
        if _is_labelled(normal, found):
            yield signature(normal, *found.span("name"))
    for found in patterns.called.finditer(normal):
        group = "name" if found["name"] else "family"
        yield Removal(*found.span(group), Kind.PERSON, "called.person", found[group])
    for found in patterns.placed.finditer(normal):
        first = next(group for group in ("dated", "signed", "bracketed", "since") if found[group])
        if _before(normal, found.start()) in _EDGES and not begins_word(normal, found.start(first)):
            yield signature(normal, *found.span(first))
            if found["other"]:
                yield signature(normal, *found.span("other"))
    if last := patterns.ending.search(normal, max(0, len(normal) - _LAST_LINE)):
        for group in ("name", "next", "one", "other"):
            if last[group]:
                yield signature(normal, *last.span(group))


def _is_labelled(normal: str, found: "re.Match[str]") -> bool:
    """Whether a surname behind a label is somebody: at once where a person stands, with a colon or another who signs."""
    label = label_before(normal, found.start() + 1, has_colon=":" in found["gap"])
    if label is None or normal[found.start()] == "号":
        return False
    if label[1] == PERSONAL or normal[label[0] : found.start() + 1] in _TRAINEES:
        return True
    if not found["gap"] and _WITH_ANOTHER.match(normal, found.end()) and found["name"] in name_words().single:
        return not begins_word(normal, found.start() + 1)
    is_led = normal[found.end() : found.end() + 1] in {"/", "("} or is_followed(normal, found.end())
    is_signed = ":" in found["gap"] or (is_led and found["gap"] != "")
    is_plain = is_led or found["name"] not in name_words().common - _PLAIN
    return is_signed and (label[1] > 0 or is_plain)
