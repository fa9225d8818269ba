"""Lines on which nothing stands but who did what: 阅片 HY 审 ZGX, 实验操作:贾  报告解读:Luo Min  审核:石立国.

No single pair of such a line says enough: 李y behind 初筛 may be a mark, and 细胞组 is no act. That each piece of the line
is a role and somebody, and one of the roles is known, says it of all of them.
"""

import re
from collections.abc import Iterator
from functools import cache

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text.hanforms import chinese_name
from pathcurate.scrubbers.text.namewords import HAN, begins_word, name_words
from pathcurate.scrubbers.text.signatures import NO_SIGNERS
from pathcurate.scrubbers.text.signers import (
    ANY_LABEL,
    BRIEF,
    FEW,
    PERSONAL,
    are_initials,
    label_before,
    medical_words,
    signature,
)
from pathcurate.text.beginnings import Searched

_DAY = r"(?:(?:(?:19|20)?[0-9]{2}[-./年])?[0-9]{1,2}[-./月][0-9]{1,2}日?(?:[ ]+[0-9]{1,2}:[0-9]{2})?)"
_HAN = rf"[{HAN}]{{1,3}}(?:[ ]?[、/&+][ ]?[{HAN}]{{1,3}})*"
_LATIN = r"[A-Z][a-z]{1,5} [A-Z][a-z]{1,7}|[A-Za-z]{2,8}[0-9]{0,3}"
_ROLE = rf"[{HAN}]{{1,6}}"
_PIECE = re.compile(
    rf"(?:{_DAY}[ ]*)?(?P<role>{_ROLE})(?P<gap>[ ]?:[ ]?|[ ]{{1,2}})"
    rf"(?P<value>(?:进修|实习|规培|轮转|学员|护士|技师)[0-9]{{1,2}}|{_HAN}|[{HAN}][a-z]{{1,2}}|{_LATIN})"
    rf"(?:[ ]*{_DAY})?(?:[ ]*[,;/|][ ]*|[ ]+|$)"
)
_NUMBERED = re.compile("(?:进修|实习|规培|轮转|学员|护士|技师)[0-9]{1,2}")
"""Who is known by a number alone: 记录:进修2."""
_DATED = re.compile(
    rf"(?P<first>[{HAN}]{{2,4}})[ /、]{{1,6}}(?P<other>[A-Z][a-z]{{1,5}} ?[A-Z]?[a-z]{{1,7}}|[a-z]{{3,10}}[0-9]{{0,3}})"
    rf"[ ]{{1,8}}{_DAY}"
)
"""Two who sign a line with its day, one of them in letters: 邹启明  Liuyq  2023-3-1."""
_CODED = re.compile(rf"(?<![{HAN}])(?P<name>[{HAN}]{{2,4}})[ ]?\((?P<code>0[0-9]{{2,4}}|[1-9][0-9]{{3}})\)")
"""Names with the numbers of their bearers: 韩越(0873) 裴蓉(0451)."""
_PERSON = re.compile(rf"[{HAN}]+|[A-Za-z][A-Za-z0-9 ]*")
_ENDS = re.compile("(?:报告|病理|实验|细胞|组织|分子|技术)(?:解读|组|室)|(?:解读|录音|出具|发布)")
"""Roles that are none elsewhere."""
_LONGEST, _LEAST, _MIXED = 60, 2, 2
_LINE = re.compile(r"[^\n。]+")
_GROUP = re.compile(
    rf"(?:细胞|组织|分子|技术|病理|取材|制片|诊断|免疫|特染|电镜|骨髓)(?:组|室|岗)[ ]?:[ ]?"
    rf"(?P<value>[{HAN}]{{1,3}}(?:[ ]?[、/&+][ ]?[{HAN}]{{1,3}})+)[ ]*(?:\n|$)"
)
_WHOEVER = Searched(
    rf"[师生员者人士](?:签[名字])?[ ]?:[ ]?(?:(?:进修|规培|实习|轮转|学员)[-/ ]?)?(?P<name>[{HAN}]{{1,4}})"
    rf"(?=[ ]*(?:\n|$)|[ ]{{1,8}}(?:[0-9]|[{HAN}]{{2,8}}[ ]?:))"
)
_NOBODY = frozenset("无未略同见全空否是有男女左右代缺免自待另附外内如已")
_MACHINES = frozenset({"系统", "电脑", "自动", "机器", "全自动", "本院", "患者", "本人", "家属"})
"""Say of a role that nobody fills it, or whose name does not follow: 记录者:无, 审核者:同上, 报告医师:系统."""


def find_sign_lines(normal: str) -> Iterator[Removal]:
    """Those who stand on lines of roles, in no order; places may overlap with what others find."""
    for line in _LINE.finditer(normal):
        if line.end() - line.start() <= _LONGEST:
            yield from _of_line(normal, line[0], line.start())
    for found in _WHOEVER.finditer(normal):
        # Behind what only a person does, whoever stands there is one, with a surname that no list has.
        role = label_before(normal, found.start() + 1, has_colon=True)
        if role is not None and role[1] == PERSONAL and _is_whoever(found["name"]):
            yield signature(normal, *found.span("name"))


def _is_whoever(written: str) -> bool:
    is_nobody = written[0] in _NOBODY or written in name_words().nobody or written in _MACHINES
    return not is_nobody and not any(begins_word(written, at) for at in range(len(written)))


def _of_line(normal: str, line: str, start: int) -> Iterator[Removal]:
    offset = start + len(line) - len(line.lstrip(" "))
    text = line.strip(" ")
    group = _GROUP.fullmatch(text)
    if group and all(_is_somebody(one[0], is_told=True) for one in _PERSON.finditer(group["value"])):
        yield from _people(normal, group["value"], offset + group.start("value"))
        return
    coded = [one for one in _CODED.finditer(text) if chinese_name(one["name"], 0) == len(one["name"])]
    if len(coded) > 1 or any(one["code"][0] == "0" for one in coded):
        for one in coded:
            yield signature(normal, offset + one.start("name"), offset + one.end("name"))
            yield Removal(offset + one.start("code"), offset + one.end("code"), Kind.NUMBER, "label.staff_code")
    dated = _DATED.fullmatch(text)
    if dated and chinese_name(dated["first"], 0) == len(dated["first"]) and not begins_word(dated["first"], 0):
        if dated["other"].lower() not in medical_words():
            yield from (signature(normal, offset + dated.start(one), offset + dated.end(one)) for one in ("first", "other"))
        return
    pieces, at = [], 0
    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            return
        pieces.append(piece)
        at = piece.end()
    strengths = [_strength(piece) for piece in pieces]
    if len(pieces) < _LEAST or None in strengths:
        return
    told = max(strength for strength in strengths if strength is not None)
    people = [one[0] for piece in pieces for one in _people_in(piece["value"])]
    others = [one for one in people if not _is_somebody(one, is_told=told == PERSONAL)]
    # A name of another people beside somebody who is known for one, 巴图 beside 李y; where medicine may stand, nobody else.
    is_doubtful = len(others) > (1 if told else 0) or not all(_is_strange(one) for one in others)
    if is_doubtful or (told == 0 and any(one.isascii() for one in people)):
        return
    for piece in pieces:
        yield from _people(normal, piece["value"], offset + piece.start("value"))


def _strength(piece: "re.Match[str]") -> int | None:
    """How much a role says; None of what is no role."""
    role = piece["role"]
    named = label_before(role, len(role), has_colon=":" in piece["gap"]) if len(role) > 1 else None
    if named is not None:
        return named[1]
    if role in BRIEF + "阅":
        return 0
    return 0 if _ENDS.search(role) or role in _labels() else None


@cache
def _labels() -> frozenset[str]:
    return frozenset(ANY_LABEL.split("|"))


def _is_somebody(written: str, *, is_told: bool) -> bool:
    """Whether what stands behind a role may be a person and means nothing else."""
    lists = name_words()
    if _NUMBERED.fullmatch(written):
        return True
    if written.isascii():
        letters = written.rstrip("0123456789")
        if " " in letters:
            return letters.split()[0].lower() in lists.pinyin
        return letters.lower() not in FEW and (are_initials(letters) or (is_told and letters.lower() not in medical_words()))
    if len(written) > 1 and chinese_name(written, 0) == len(written):
        return True
    return written[0] in lists.single and written[0] not in NO_SIGNERS and not begins_word(written, 0)


def _is_strange(written: str) -> bool:
    """Whether two or three characters are no word and begin with none, and may be a name that no list has."""
    return not written.isascii() and len(written) > 1 and not any(begins_word(written, at) for at in range(len(written)))


def _people_in(value: str) -> "list[re.Match[str]]":
    numbered = _NUMBERED.fullmatch(value)
    return [numbered] if numbered else list(_PERSON.finditer(value))


def _people(normal: str, value: str, start: int) -> Iterator[Removal]:
    mixed = re.fullmatch(rf"[{HAN}][a-z]{{1,{_MIXED}}}", value)
    for one in [mixed] if mixed else _people_in(value):
        first, last = start + one.start(), start + one.end()
        if not begins_word(normal, first):
            yield signature(normal, first, last)
