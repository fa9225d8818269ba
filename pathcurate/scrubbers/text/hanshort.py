"""Chinese people of whom a text says little: a surname alone, what colleagues call them, or what they log in with."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.englishwords import is_eponym, is_given
from pathcurate.scrubbers.text.hanforms import MAY_PRECEDE
from pathcurate.scrubbers.text.latinnames import PINYIN
from pathcurate.scrubbers.text.namewords import DOTS, HAN, begins_word, folded_name, name_words
from pathcurate.text.beginnings import Searched

_EDGES = frozenset(" \t|\n:,;、/(。")
_CLAUSE_EDGES = frozenset(",;。\n(:|")
_ASKS = frozenset("由请让叫找问跟和与给托被经对@科室院组部")
_BESIDE_KIN = frozenset("床士师医员者人生工傅友伴")
# What begins with a surname, or is one, and means a thing beside a role: 手术史, 会诊费, 送检方.
_THINGS = frozenset("史方费金石车房管段单卡水盖项组柜台尺束终时章权机盒液包部")
_NOT_CALLED = frozenset({"丁处", "申请", "史记", "金标", "毛叔", "牛爷", "石头"})
# No surnames at the beginning of a line or clause: parts, materials and things.
_OFTEN_WORDS = frozenset("段关金石钟江毛皮黄管房车牛丁项花万米麻党")
_ROLES = (
    "取材|记录|包埋|切片|制片|染色|封片|初诊|复诊|初检|复检|初审|复审|终审|初筛|复筛|审核|复核|审签|签发|报告|描述|录入|核对|接收|送检|"
    "收样|扫描|上传|登记|打印|阅片|读片|主刀|术者|助手|一助|二助|麻醉|巡回|洗手|台下|值班|备班|一线|二线|三线|白班|夜班|早班|晚班|主班|副班|"
    "学员|护工|护理员|快递员?|配送员?|运送|轮转|技术组|细胞室|分子室|免疫组|电镜室|经办|领取|归还|借片|还片|领片|上级|管床|主管|主治|带教|主持|质控|采样|采图|判读|操作|护送|陪送"
)
_SAYS = "称|嘱|自述|表示|答复|回复|认为|同意|要求|建议|反馈|解释|说明|阅后|看后|复片|复阅|来电|回电|已知|签收"
_SAID = (
    "(?:[说讲问来去已也在把拿带送取接收转让帮给找看查改补签回推陪领]|反馈|处理|通知|确认|联系|负责|同意|要求|"
    "安排|建议|核对|核实|打电话|电话)"
)
_LAST_LINE = re.compile(rf"\n[ —-]{{0,4}}(?P<name>[{HAN}])[ 。]{{0,2}}\s*\Z")
_LONGEST_LAST_LINE = 16
# Three consonants that are a test, not somebody's initials.
_TESTS = "TCT|LCT|PCR|NGS|H[BCPS]V|CMV|LDH|PTH|HCG|CRP|FDG|LBC|SCC|MRD|CNB|FNB|WBC|RBC|PLT"
_LATIN_GIVEN = Searched(
    rf"[秘师生员医者由请@士托找叫问](?P<name>[A-Z][a-z]{{2,11}})(?=[ ]?[,;。、)/\n]|$|{_SAID}|{_ROLES}|[ ]?#?[0-9]{{4}})"
)
# Peoples and citizens; makers stand before the name of a country as well: (美国).
_FAR = "韩国|日本|哈萨克斯坦|俄罗斯|美国|英国|法国|德国|加拿大|澳大利亚|马来西亚|新加坡|巴西|印度"
_NEAR = "越南|老挝|缅甸|泰国|朝鲜|尼泊尔|巴基斯坦|蒙古国?|菲律宾|印度尼西亚|印尼|尼日利亚|加纳|埃及"
_PEOPLES = (
    "(?:维吾尔|维|哈萨克|哈|蒙古|蒙|藏|柯尔克孜|塔吉克|乌孜别克|锡伯|彝|傣|哈尼|景颇|佤|拉祜|苗|壮|侗|瑶|白|土家|朝鲜|满|回|羌|黎|畲)族"
    rf"|(?:{_FAR}|{_NEAR})(?:籍|人|国籍)|(?:{_NEAR})\)"
)
_HAN_SIGN = re.compile(f"[{HAN}]")
_LOGIN = Searched(r"[a-z](?<![0-9A-Za-z@._/\\-][a-z])[a-z]{1,6}_[a-z]{1,15}(?![0-9A-Za-z_./@:=-])")
_OFFICES = frozenset({"path", "bl", "blk", "doc", "dr", "user", "tech", "lis", "his", "ris", "pacs", "yk"})
_OF_A_BODY = re.compile(
    "[管瘤胞织髓膜腔叶肺肝胃肠胆脾肾癌侧甲乳骨腺块结节组片体部色状区质性份级左右上下前后全各每该此本次者人]"
)
_SOUNDS = re.compile(f"{PINYIN}{{2,3}}")


@dataclass(frozen=True, slots=True)
class _Short:
    """Patterns for those who are named by little.

    Attributes:
        called: 陈工, 何姐, 小马哥.
        did: 辛签。
        has_role: 初诊 郁/复诊 邬.
        says: 毛称术中见肿物, and 阮:同意 as a line of a chat begins.
        set_apart: 操作者关医生, 查房(崔), Dr. 贝, 14:50,揭, — 孟, the last cell of a row.
        together: 权、花二人.
        owner: 牛占奎的大体.
        of_people: 阿卜杜热合曼,维吾尔族; NGUYEN VAN AN(越南).
    """

    called: Searched
    did: Searched
    has_role: Searched
    says: tuple[Searched, ...]
    set_apart: tuple[Searched, ...]
    together: Searched
    owner: Searched
    of_people: Searched


@cache
def short_patterns() -> _Short:
    """The patterns, made of the lists of names when they are first needed."""
    lists = name_words()
    single, rare, given, sounds = (
        "".join(sorted(signs)) for signs in (lists.single, lists.single - lists.common, lists.given, lists.sounds)
    )
    owners = "".join(sorted(lists.single - (lists.common - frozenset("牛马高")) - _THINGS))
    signs = "".join(sorted(lists.single - lists.common - _THINGS - _OFTEN_WORDS))
    ends = r"(?=[ ]?(?:[,。;:、)/\n]|$)"
    return _Short(
        called=Searched(
            rf"(?:[小老大阿](?P<pet>[{rare}][哥姐弟妹叔姨嫂婶伯头])|(?P<kin>[{rare}][哥姐叔姨嫂婶伯爷](?![妹夫弟]))"
            rf"|(?P<name>[{rare}])[工总队导处秘护科博])(?:{ends}|{_SAID})|(?<=[嫂姐婶]))"
        ),
        did=Searched(
            rf"(?P<name>[{rare}][{given}]{{0,2}}(?<![双共联会补未已待加]))(?:[收取接领寄](?=[,。;)\n]|$)"
            rf"|[签审记录代阅核摘](?=[ ]{{0,2}}(?:[。;)\n]|$)|[ ]{{1,3}}[12][0-9]{{3}}[-./年]))"
        ),
        has_role=Searched(
            rf"(?:{_ROLES})[者人]?(?P<gap>[ :]{{0,2}})(?P<name>[{rare}])(?P<more>(?:[、+和][{rare}]){{0,3}})"
            rf"(?=[ ]{{0,2}}(?:[/、,;|。)\n]|$)|[ ]{{0,3}}(?:{_ROLES})|[ ]{{1,3}}[0-9]{{1,4}}[-./月年])"
        ),
        says=(
            Searched(rf"(?P<name>[{rare}])(?:{_SAYS})"),
            Searched(rf"\n(?P<name>[{rare}])[ ]?:(?=[ ]?[{HAN}])"),
        ),
        set_apart=(
            # 操作者关医生: surnames that are words, behind who did something.
            Searched(
                r"[者人员](?<=(?:操作|主刀|手术|送检|申请|联系|检查|取材|穿刺|接听|接收|经办|采样|记录|报告|审核|会诊|内镜|值班)[者人员])"
                r"[ :]{0,2}(?P<name>[关管支解简应常明成安干])(?=医[生师]|主任|老师|教授|大夫)"
            ),
            Searched(
                r"[人者员](?<=(?:联系|送检|经办|接收|接听|负责|收件|寄件|送样|取样|申请|报告|操作|取材)[人者员])"
                rf"[ :]{{0,2}}(?P<name>[{single}])(?=工[ ]?(?:[,。;、)/\n0-9]|$))"
            ),
            Searched(rf"[房任生师医士人者签阅审核班](?:签字|签名)?\((?P<name>[{rare}])\)"),
            Searched(
                rf"(?:Dr|Prof|DR)[.-]?[ ]?(?P<name>[{single}][{given}]{{0,2}})"
                rf"(?=[ ]?[,;:。、)/\n(]|$|{_SAID}|参加|会诊|主任|教授)"
            ),
            Searched(rf"[0-9]:[0-5][0-9][ ]?[,、 ][ ]?(?P<name>[{rare}])(?=[)。\n]|$)"),
            Searched(rf"(?:—{{1,2}}|--)[ ]?(?P<name>[{rare}])(?=[ ]?[,。\n]|[ ]{{1,2}}[0-9]|$)"),
            Searched(rf"\|[ ]?(?P<name>[{rare}])(?=[ ]?(?:\n|$))"),
            Searched(rf"。[ ]?(?P<name>[{signs}])(?=\n)"),
            Searched(
                rf"\((?P<name>(?!{_TESTS})[B-DF-HJ-NP-TW-Z]{{3}})[ ](?=[0-9]{{1,4}}([-./])[0-9]{{1,2}}\2[0-9]{{1,4}}\))"
            ),
        ),
        together=Searched(rf"[{single}](?:[、和与及][{single}]){{1,3}}(?=[二两三四][人位])"),
        owner=Searched(
            rf"(?P<name>[{owners}](?:[{given}]|[{HAN}]{{2}}))的(?=大体|标本|切片|玻片|白片|蜡块|片子|冰冻|病理|报告|会诊|免疫组化|[胃肠喉宫腔]镜)"
        ),
        of_people=Searched(
            rf"(?P<name>[{sounds}]{{3,12}}(?:[{DOTS}][{sounds}]{{2,10}})?|[A-Z]{{2,12}}(?:[ ][A-Z]{{2,12}}){{1,3}})"
            rf"[ ]?[,( ][ ]?(?:[男女][,、 ])?(?:{_PEOPLES})"
        ),
    )


def find_short_names(normal: str) -> Iterator[Removal]:
    """People who are named by little, in no order; places may overlap."""
    yield from _called(normal)
    yield from _beside_roles(normal)
    yield from _set_apart(normal)
    for found in _LOGIN.finditer(normal) if "_" in normal else ():
        if _is_login(found[0]):
            yield Removal(*found.span(), Kind.ACCOUNT, "shape.login")
    for found in _LATIN_GIVEN.finditer(normal):
        if is_given(found["name"].lower()) and not is_eponym(found["name"].lower()):
            yield _removal(normal, *found.span("name"), "called.staff")


def _called(normal: str) -> Iterator[Removal]:
    """陈工, 何姐, 小马哥; and who did one thing: 辛签。"""
    patterns = short_patterns()
    for found in patterns.called.finditer(normal):
        if _is_called(normal, found):
            yield _removal(normal, *(found.span("name") if found["name"] else found.span()), "called.staff")
    for found in patterns.did.finditer(normal):
        is_word = found["name"] in _NOT_CALLED or begins_word(normal, found.start())
        if _is_behind(normal, found.start(), _EDGES) and not is_word:
            yield _removal(normal, *found.span("name"), "called.staff")


def _beside_roles(normal: str) -> Iterator[Removal]:
    """Surnames alone: behind an act (初诊 郁/复诊 邬), before what they say (毛称), or of two people (权、花二人)."""
    patterns = short_patterns()
    for found in patterns.has_role.finditer(normal):
        if found["gap"] or found["name"] not in _THINGS:
            yield from _surnames(normal, found.start("name"), found.end("more"))
    for found in (one for pattern in patterns.says for one in pattern.finditer(normal)):
        start, end = found.span("name")
        is_word = found["name"] in _OFTEN_WORDS or begins_word(normal, start)
        if _is_behind(normal, start, _CLAUSE_EDGES) and not is_word:
            yield _removal(normal, start, end, "says.staff")
    for found in patterns.of_people.finditer(normal):
        if _is_behind(normal, found.start(), _EDGES):
            yield Removal(*found.span("name"), Kind.PATIENT, "people.patient", folded_name(found["name"]))
    for found in patterns.owner.finditer(normal):
        start, name = found.start(), found["name"]
        if _OF_A_BODY.search(name) is None and _is_behind(normal, start, _CLAUSE_EDGES) and not begins_word(normal, start):
            yield Removal(start, found.end("name"), Kind.PATIENT, "owner.patient", folded_name(name))
    for found in patterns.together.finditer(normal):
        if _is_behind(normal, found.start(), _EDGES | {")"}):
            yield from _surnames(normal, *found.span())


def _set_apart(normal: str) -> Iterator[Removal]:
    """A surname alone where nothing else stands: in brackets behind a role, in the last cell, on the last line."""
    for found in (one for pattern in short_patterns().set_apart for one in pattern.finditer(normal)):
        yield _removal(normal, *found.span("name"), "role.staff")
    last = _LAST_LINE.search(normal, max(0, len(normal) - _LONGEST_LAST_LINE))
    if last and last["name"] in name_words().single:
        yield _removal(normal, *last.span("name"), "line.staff")


def _removal(normal: str, start: int, end: int, rule: str) -> Removal:
    return Removal(start, end, Kind.STAFF, rule, folded_name(normal[start:end]))


def _surnames(normal: str, start: int, end: int) -> Iterator[Removal]:
    """Each surname of a list: 梅、兰."""
    for sign in _HAN_SIGN.finditer(normal, start, end):
        if sign[0] not in "和与及" or normal[sign.start() - 1] in "、+和与及":
            yield _removal(normal, *sign.span(), "role.staff")


def _is_behind(normal: str, start: int, edges: frozenset[str]) -> bool:
    """Whether a text begins at a place, or one of some signs stands before it."""
    return start == 0 or normal[start - 1] in edges


def _is_called(normal: str, found: "re.Match[str]") -> bool:
    """Whether 陈工 or 何姐 stands where somebody does: behind a sign, 由, or what a relative or a colleague is."""
    start = found.start()
    is_apart = _is_behind(normal, start, _EDGES | _ASKS)
    is_free = is_apart or (not found["name"] and normal[start - 1] in MAY_PRECEDE | _BESIDE_KIN)
    return is_free and found[0] not in _NOT_CALLED and not begins_word(normal, start + (found["pet"] is not None))


def _is_login(written: str) -> bool:
    """Whether it is made of somebody's surname or name in Pinyin: dai_xm, path_wangyu."""
    first, _, last = written.partition("_")
    surnames = name_words().pinyin
    is_name = _SOUNDS.fullmatch(last) is not None and any(last.startswith(surname) for surname in surnames)
    return first in surnames or (first in _OFFICES and is_name)
