"""Lines on which nothing stands but who did what: 阅片 HY 审 ZGX, 实验操作:贾  报告解读:Luo Min  审核:石立国.

No single pair of such a line says enough: 李y behind 初筛 may be a mark, and 细胞组 is no act. That each piece of the line
is a role and somebody, and one of the roles is known, says it of all of them.
"""

import re
from collections.abc import Iterator
from functools import cache

from pathcurate.model.removal import Removal
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

_DAY = r"(?:(?:(?:19|20)?[0-9]{2}[-./年])?[0-9]{1,2}[-./月][0-9]{1,2}日?(?:[ ]+[0-9]{1,2}:[0-9]{2})?)"
_HAN = rf"[{HAN}]{{1,3}}(?:[ ]?[、/&+][ ]?[{HAN}]{{1,3}})*"
_LATIN = r"[A-Z][a-z]{1,5} [A-Z][a-z]{1,7}|[A-Za-z]{2,8}[0-9]{0,3}"
_ROLE = rf"[{HAN}]{{1,6}}"
_PIECE = re.compile(
    rf"(?:{_DAY}[ ]*)?(?P<role>{_ROLE})(?P<gap>[ ]?:[ ]?|[ ]{{1,2}})(?P<value>{_HAN}|[{HAN}][a-z]{{1,2}}|{_LATIN})"
    rf"(?:[ ]*{_DAY})?(?:[ ]*[,;/|][ ]*|[ ]+|$)"
)
_PERSON = re.compile(rf"[{HAN}]+|[A-Za-z][A-Za-z0-9 ]*")
_ENDS = re.compile("(?:报告|病理|实验|细胞|组织|分子|技术)(?:解读|组|室)|(?:解读|录音|出具|发布)")
"""Roles that are none elsewhere."""
_LONGEST, _LEAST, _MIXED = 60, 2, 2
_LINE = re.compile(r"[^\n。]+")
_GROUP = re.compile(
    rf"(?:细胞|组织|分子|技术|病理|取材|制片|诊断|免疫|特染|电镜|骨髓)(?:组|室|岗)[ ]?:[ ]?"
    rf"(?P<value>[{HAN}]{{1,3}}(?:[ ]?[、/&+][ ]?[{HAN}]{{1,3}})+)[ ]*(?:\n|$)"
)


def find_sign_lines(normal: str) -> Iterator[Removal]:
    """Those who stand on lines of roles, in no order; places may overlap with what others find."""
    for line in _LINE.finditer(normal):
        if line.end() - line.start() <= _LONGEST:
            yield from _of_line(normal, line[0], line.start())


def _of_line(normal: str, line: str, start: int) -> Iterator[Removal]:
    offset = start + len(line) - len(line.lstrip(" "))
    text = line.strip(" ")
    group = _GROUP.fullmatch(text)
    if group and all(_is_somebody(one[0], is_told=True) for one in _PERSON.finditer(group["value"])):
        yield from _people(normal, group["value"], offset + group.start("value"))
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
    people = [one[0] for piece in pieces for one in _PERSON.finditer(piece["value"])]
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


def _people(normal: str, value: str, start: int) -> Iterator[Removal]:
    mixed = re.fullmatch(rf"[{HAN}][a-z]{{1,{_MIXED}}}", value)
    for one in [mixed] if mixed else _PERSON.finditer(value):
        first, last = start + one.start(), start + one.end()
        if not begins_word(normal, first):
            yield signature(normal, first, last)
