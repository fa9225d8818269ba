"""Who did one step of the work, as it is noted in passing: 巨检(高/戴):, 周取 沈记, (zl), 5月6日陈补取.

No colon and no title stands beside these. What tells them is a step of the work on one side and an end on the other, or
several who are written in the same way: a surname alone is one person's when the next one is too.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import chinese_name, likely_name
from pathcurate.scrubbers.text.namewords import HAN, begins_word, folded_name, name_words
from pathcurate.scrubbers.text.signatures import NO_SIGNERS, sign_together
from pathcurate.scrubbers.text.signers import FEW, are_initials, is_login, medical_words, signature
from pathcurate.text.beginnings import Searched

_NO_SURNAMES = NO_SIGNERS | frozenset("余任宫骨代干水时成解边占虎牛羊火豆官补衣折脱云角丁")
"""Surnames that are a part of the body, a quantity or a thing where somebody would sign: 余取, 任取, (宫)."""
_WORDS_OF_TWO = frozenset("叶梁方白黄石高师管")
"""Behind 小 and 老 these are no surnames: 小叶, 小梁."""
_STEPS = "取记诊审签核切包染校初复描录阅"
_STEP_WORDS = (
    "取材|补取|重取|记录|补记|补充|整理|摘抄|阅片|审核|复核|复阅|代签|代写|代取|口述|改|修改|更正|加做|重切|深切|签发|签|录入"
    "|补|取|阅"
)
_HEADS = (
    "大体(?:所见|检查|描述|标本)?|[巨肉]眼?(?:所见|观察|检查|检|描述)?|(?:标本)?取材|镜检|镜下(?:所见|描述)?|冰冻(?:诊断)?"
    "|(?:科内|集体|疑难|多学科|MDT)?(?:讨论|会诊|阅片|读片)(?:意见)?|参加(?:人员|者)?|在场|[初复]诊|特殊染色|免疫组化"
)
_DAY = r"(?:[01]?[0-9][-./月][0-3]?[0-9]日?|(?:19|20)[0-9]{2}[-./年][0-9]{1,2}[-./月][0-9]{1,2}日?)"
_ENDS = r"(?=[ ]*(?:[\n,;。:)|/、]|$)|[ ]{2}|[ ][0-9])"
_EDGES = frozenset("\n 。,;:(、/|[")
_WHO = re.compile(f"[{HAN}]{{1,3}}|[A-Za-z]{{2,12}}")
_IN_HEADS = frozenset({"取材", "记录", "和", "及"})
_LOGIN = Searched(r"[(/][ ]?(?P<name>[b-df-hj-np-tw-z]{2,3}|[B-DF-HJ-NP-TW-Z]{3}|[a-z]{4,12})[ ]?(?=\)?[。]?[ ]*(?:\n|$))")
_DEPARTMENT = Searched(
    r"(?:[内外妇儿产胸骨眼口肤瘤疗射像声镜液理科经吸化泌麻醉急伤腺胆肠肝心脑肾]科|[普胸泌神骨肝]外[一二三四]?"
    r"|[内外]科?[一二三四]科?|(?:影像|病理|放射|超声|肿瘤|检验)(?!科))"
    rf"(?P<name>[{HAN}]{{2,3}})(?=[ ]?[、,;:。)\n ]|$)"
)
_MEETING = re.compile("参加|到场|出席|讨论|会诊|MDT|与会|抄送|通知|沟通|人员")
_NUMBERED = Searched(rf"[师生员者](?P<name>[{HAN}]{{2,3}})(?P<code>[0-9]{{4,6}})(?![0-9.%年-])")
_RELATIVE = Searched(rf"(?:家属|亲属|亲友|陪同人)[ ]?\([{HAN}]{{1,4}}[,、: ](?P<name>[{HAN}]{{2,3}})\)")
_WRITTEN = Searched(
    r"(?:申请单|送检单|[袋瓶盒][上身外面]?标?|标签|条码|单子|玻片|蜡块|[片单]上)上?(?:姓名|名字|名)?[ ]?"
    rf"(?:写的是|标注为|显示|[为是写标示注系:])[ ]?(?P<name>[{HAN}]{{2,3}})(?=[ ]?[,;。)、\n(]|$)"
)
_REACH, _LEAST, _LONGEST_INITIALS, _LONGEST_NAME = 60, 2, 3, 3


@dataclass(frozen=True, slots=True)
class _Brief:
    """Patterns of surnames, made of the lists.

    Attributes:
        head: 巨检(高/戴):, 科内讨论(孙、刘、马).
        pairs: 周取沈记, 取周记沈, 周取 沈记.
        one: 慢性炎。周取 at the end of a line.
        since: 5月6日陈补取, 2023/5/6 CL改.
        beside: (何苗记录); 计数者A:邓, 阅片人(初)邓, HE:吴, 筛查邓,复魏.
        familiar: 小刘补取材2块.
        instead: 吴静代陈.
        others: with whom somebody spoke, to whom slides went, whose group it is: 与沈沟通, 片子交沈, 沈伟医疗组.
        alone: (沈/李/王) and 2023.4.5沈 where a line ends.
    """

    head: Searched
    pairs: Searched
    one: Searched
    since: Searched
    beside: tuple[Searched, ...]
    familiar: Searched
    instead: Searched
    others: tuple[Searched, ...]
    alone: tuple[Searched, ...]


@cache
def _patterns() -> _Brief:
    lists = name_words()
    signers = lists.single - _NO_SURNAMES
    single, familiar = "".join(sorted(signers)), "".join(sorted(signers - _WORDS_OF_TWO))
    given = "".join(sorted(lists.given))
    rare = "".join(sorted(signers - lists.common))
    who = rf"(?:[小老]?[{single}]|[{single}][{given}]{{1,2}})"
    anybody = rf"(?:{who}|[A-Z]{{2,3}}|[a-z]{{2,8}})"
    another = rf"(?:{anybody}|[{''.join(sorted(lists.single))}])"
    return _Brief(
        head=Searched(
            rf"(?:{_HEADS})[ ]?[(\[〔](?:取材|记录|巨检)?[ :]?(?P<who>{anybody}"
            rf"(?:[ ]?[/、,和及&+ ][ ]?(?:取材|记录)?{another}){{0,5}}|[{single}]{{2,3}})[ ]?[)\]〕](?P<colon>[ ]?[:\n])?"
        ),
        pairs=Searched(
            rf"(?P<one>{who})[{_STEPS}][ ,/、]?(?P<other>{who})[{_STEPS}]{_ENDS}"
            rf"|[{_STEPS}]:?(?P<first>[{single}])[ ,/、]{{0,2}}[{_STEPS}]:?(?P<second>[{single}]){_ENDS}"
        ),
        one=Searched(rf"[。\n(][ ]{{0,3}}(?P<name>[{single}])[取记](?=[ ]*(?:[\n)]|$))"),
        since=Searched(rf"{_DAY}[ ]?(?P<name>{who}|[A-Z]{{2,3}}|[a-z]{{2,3}})(?:{_STEP_WORDS})(?=[ ,。;:)\n0-9]|$|[{HAN}])"),
        beside=(
            Searched(rf"\([ ]?(?P<name>[{single}][{given}]{{0,2}}|[小老][{single}])(?:主[治任])?(?:{_STEP_WORDS})[ ]?\)"),
            Searched(
                r"(?:[者人员](?:[A-D甲乙一二12]|\([初复终一二12AB]\))[ ]?:?|(?:HE|IHC|FISH|PCR|NGS|组化|特染)[ ]?:[ ]?"
                rf"|[初复][ ]?:[ ]?|\([初复终]\)[ ]?|[ ,;/|(][初复审][ ]?)(?P<name>{who})(?=[ ]|[\n,;。:)|/、]|$)"
            ),
        ),
        familiar=Searched(
            rf"[小老][{familiar}](?=(?:{_STEP_WORDS}|电话|来电|说|已|去|拿|送|帮|看过|看片|看了|打电话|通知|告知|确认))"
        ),
        instead=Searched(rf"代(?P<name>[{single}])(?=[ ]?[)。\n]|$)"),
        others=(
            Searched(rf"[与和替代转给](?P<name>[{rare}])(?=沟通|商量|核对|复阅|会诊|值班|顶班|签)"),
            Searched(rf"(?:片子?交|蜡块交|留)(?P<name>[{rare}])(?=处|[,。;)\n]|$)"),
            Searched(rf"(?P<name>[{rare}][{given}]{{1,2}})(?=医疗组|专家门诊|专家号|组[,。;)\n ]|组$)"),
            Searched(
                rf"(?:已[阅核审签]|[OoＯ][Kk]|√)[ ]?(?P<name>[{rare}](?<!毕)|[B-HJ-NP-TW-Z]{{2,3}})(?=[ ]*(?:[\n。)]|$))"
            ),
        ),
        alone=(
            Searched(rf"\((?P<one>[{single}])[/、](?P<two>[{single}])(?:[/、](?P<three>[{single}]))?\)(?=[ 。]*(?:\n|$))"),
            Searched(
                rf"(?:19|20)[0-9]{{2}}[-./年]?[01]?[0-9][-./月]?[0-3]?[0-9]日?[ ]?(?P<name>[{rare}])(?=[ ]*(?:[\n)]|$))"
            ),
            Searched(r"(?:19|20)[0-9]{6}[ ]{0,2}(?P<name>[B-HJ-NP-TW-Z]{2,3})(?=[ ]*(?:[\n)]|$))"),
            Searched(
                rf"[\n。][ ]?(?P<name>[{rare}][{given}]{{0,2}}|[B-HJ-NP-TW-Z]{{2,3}})[ ]?"
                r"(?=(?:19|20)[0-9]{6}[ ]*(?:[\n)]|$))"
            ),
        ),
    )


def find_brief_signers(normal: str) -> Iterator[Removal]:
    """Those whom the note of a step names, in no order; places may overlap."""
    patterns = _patterns()
    for found in patterns.head.finditer(normal):
        yield from _of_head(normal, found)
    for found in patterns.pairs.finditer(normal):
        if _is_apart(normal, found.start()):
            yield from _surnames(normal, found)
    for pattern in (patterns.one, *patterns.beside, *patterns.others, *patterns.alone):
        for found in pattern.finditer(normal):
            yield from _surnames(normal, found)
    for found in patterns.since.finditer(normal):
        name = found["name"]
        if not name.isascii() or are_initials(name) or (name.isupper() and name.lower() not in FEW):
            yield from _surnames(normal, found)
    for found in patterns.familiar.finditer(normal):
        if _is_apart(normal, found.start()) and not begins_word(normal, found.start()):
            yield signature(normal, *found.span())
    for found in patterns.instead.finditer(normal):
        if _ends_with_name(normal[max(0, found.start() - _LONGEST_NAME) : found.start()]):
            yield signature(normal, *found.span("name"))
    yield from _logins(normal)
    yield from _of_departments(normal)
    yield from _in_full(normal)


def _is_apart(normal: str, start: int) -> bool:
    return start == 0 or normal[start - 1] in _EDGES


def _ends_with_name(before: str) -> bool:
    return any(chinese_name(before, at) == len(before) for at in range(len(before) - 1))


def _surnames(normal: str, found: "re.Match[str]") -> Iterator[Removal]:
    """Whoever the groups of a match hold, unless a word begins there."""
    for group, name in found.groupdict().items():
        if name and not begins_word(normal, found.start(group)):
            yield signature(normal, *found.span(group))


def _of_head(normal: str, found: "re.Match[str]") -> Iterator[Removal]:
    """Those in brackets behind the head of a section: two or more, or one before its colon; no side, no part of the body."""
    offset = found.start("who")
    people = [one for one in _WHO.finditer(found["who"]) if one[0] not in _IN_HEADS]
    latin = [one[0] for one in people if one[0].isascii()]
    plain = sum(one[0] not in _NO_SURNAMES for one in people)
    # Of three who talk 管 may be one; 左 beside a single surname is a side.
    is_word = plain < (_LEAST if len(people) == _LEAST else 1) and len(people) > 1
    is_word = is_word or any(begins_word(normal, offset + one.start()) for one in people if not one[0].isascii())
    if (len(people) < _LEAST and not found["colon"]) or is_word or (latin and not sign_together(latin)):
        return
    for one in people:
        yield signature(normal, offset + one.start(), offset + one.end())


def _logins(normal: str) -> Iterator[Removal]:
    """Initials or a login in brackets or behind a stroke where a line ends: 全包。(zl), 全包。/zhangl."""
    for found in _LOGIN.finditer(normal):
        name = found["name"]
        is_last = normal[: found.start()].rstrip(" ")[-1:] in {"。", "\n", "", ";"}
        is_somebody = are_initials(name) if len(name) <= _LONGEST_INITIALS else is_login(name)
        if is_last and is_somebody and name not in medical_words():
            yield signature(normal, *found.span("name"))


def _of_departments(normal: str) -> Iterator[Removal]:
    """外科童明、病理科尤佳: several people with their departments, or one where people meet."""
    people = [found for found in _DEPARTMENT.finditer(normal) if _is_name(normal, *found.span("name"))]
    for found in people:
        if len(people) >= _LEAST or _MEETING.search(normal, max(0, found.start() - _REACH), found.start()):
            yield signature(normal, *found.span("name"))


def _is_name(normal: str, start: int, end: int) -> bool:
    return not begins_word(normal, start) and end in {chinese_name(normal, start), likely_name(normal, start)}


def _in_full(normal: str) -> Iterator[Removal]:
    """Full names: with a number behind them, of a relative in brackets, and of patients as a sheet or a bag has them."""
    for found in _NUMBERED.finditer(normal):
        if found["name"][0] in name_words().single:
            yield from _surnames(normal, found)
    for pattern, kind in ((_RELATIVE, Kind.PERSON), (_WRITTEN, Kind.PATIENT)):
        for found in pattern.finditer(normal):
            if _is_name(normal, *found.span("name")):
                yield Removal(*found.span("name"), kind, f"brief.{kind.value}", folded_name(found["name"]))
