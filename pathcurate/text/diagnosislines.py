"""A diagnosis as reports write it: specimens, and the lines that say something of each."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

_NUMERALS = {sign: str(number) for number, sign in enumerate("一二三四五六七八九十", start=1)}
# An item that the report itself calls a part or a specimen, and one that is only counted.
_PART = re.compile(
    r"(?:parts?|specimens?|标本|送检)\s*(?:no\.?|#)?\s*\(?([0-9]{1,2}|[a-z]|[一二三四五六七八九十])\)?\s*[.、:),-]\s*"
)
_ITEM = re.compile(
    r"(?:\(([0-9]{1,2}|[一二三四五六七八九十])\)|([0-9]{1,2})(?:[、)]|\.(?![0-9]))|([一二三四五六七八九十])[、.)]"
    r"|([a-z])(?:[.)]\s|:(?=\s))|\(([a-z])\)\s)\s*"
)
_BULLET = re.compile(r"[-*·•#>\s]+")
_COUNT_ALONE = re.compile(r"[\s(]*(?:[0-9]{1,3}\s*/\s*[0-9]{1,3})?[\s)枚]*")
_NUMBERED = re.compile(r"[-*·•#>\s]*(?:[0-9]{1,2}|[a-z])")
_OPENING = re.compile(r"\(([^()\n]{1,40})\)")
# The end of a sentence: not the point of a number, of an item (A. 1.) or of a title; and, where an export took the line
# breaks, the beginning of the next item.
_END = re.compile(
    r"[\n。;]+|,(?=\()|(?<=[a-z0-9)%\"])(?<![\s.(][a-z])(?<!^[a-z])(?<!\bdr)(?<!\bno)(?<!\bvs)(?<!\bapprox)\.(?=\s+\S)"
    r"|\s+(?=[0-9]{1,2}[.、)]\s*[(\[㐀-鿿])|\s+(?=(?:part|specimen)\s+[a-z0-9]{1,2}\s*:)"
)
_WRAPPED = 48
"""A line as long as this that ends without a full stop goes on in the next one."""
_MEASURES = re.compile(
    r"肿瘤(?:大小|最大径|直径|体积|分期|浸润)|肿物大小|癌组织|肿瘤组织|癌细胞|浸润(?:深度|至)"
    r"|(?:病理|临床|p?tnm|肿瘤)? ?分期|脉管"
    r"|神经(?:侵犯|束|累及|未见)|[上下两各四周环基底侧、及]{0,8}切缘|[yrc]{0,2}p?t[0-4x]|免疫组化|分化程度"
    r"|组织学(?:类型|分级)|(?:tumou?r size|margins?|lymphovascular|perineural|histologic)\b"
)
_SITE_SHARE = 0.5
_SITE_WITHIN = 16


class Line(NamedTuple):
    """One line of a diagnosis.

    Attributes:
        specimen: the specimen as the report counts it (``1``, ``A``); None if it counts none.
        group: number of the specimen in the text, from 0.
        number: number of the line within the specimen, from 1.
        start: index of its first character, behind any number or bullet.
        end: index after its last.
    """

    specimen: str | None
    group: int
    number: int
    start: int
    end: int


class _Piece(NamedTuple):
    start: int
    end: int
    kind: str
    label: str


def diagnosis_lines(
    folded: str, start: int, end: int, sites: Sequence[int], regions: Sequence[int] | None = None
) -> list[Line]:
    """The lines of a diagnosis, each with the specimen that it is of.

    Counted items are specimens if the report calls them so, or if most of them begin with a part of the body; else they
    are lines. A part of the body in brackets, ``（左乳）``, begins a specimen too.

    Args:
        folded: the text as :func:`~pathcurate.text.folding.fold` gives it.
        start: where the diagnosis begins in it.
        end: where it ends.
        sites: where words for parts of the body begin, in order.
        regions: likewise with words that name a part only in a bracket: sides, and regions of organs.
    """
    regions = sites if regions is None else regions
    pieces = _pieces(folded, start, end, regions)
    top = _top_kind(folded, pieces, sites, regions)
    found: list[Line] = []
    group, number, label = -1, 0, None
    opened = sum(1 for piece in pieces if _opens(folded, piece, regions))
    count = 0
    for piece in pieces:
        is_item = piece.kind == top and bool(top)
        is_opened = _opens(folded, piece, regions) and (piece.kind == "" or not top)
        if group < 0 or is_item or is_opened:
            # A counted item's own bracket is no further specimen.
            group, number = group + 1, 0
            if is_item:
                label = piece.label
            elif is_opened and opened > 1 and not top:
                count += 1
                label = str(count)
        number += 1
        found.append(Line(label, group, number, piece.start, piece.end))
    return found


def _pieces(folded: str, start: int, end: int, regions: Sequence[int]) -> list[_Piece]:
    """The stretches between ends of sentences, with the number before each; lines that only were too long are joined."""
    found: list[_Piece] = []
    begin = start
    for match in _END.finditer(folded, start, end):
        if match.start() < begin or (match[0] == "." and _NUMBERED.fullmatch(folded, begin, match.start())):
            continue
        if match[0] == "," and not _begins_another(folded, begin, match.start(), end, regions):
            continue
        if match[0] == "\n" and _goes_on(folded, begin, match.start(), match.end(), end):
            continue
        _add(found, folded, begin, match.start())
        begin = match.end()
    _add(found, folded, begin, end)
    return found


def _begins_another(folded: str, begin: int, comma: int, end: int, regions: Sequence[int]) -> bool:
    """Whether behind a comma a bracket names the next specimen: (左叶)乳头状癌,(右叶)腺瘤; counts wait for their verb."""
    before = _OPENING.match(folded, _after_bullet(folded, begin, comma), comma)
    after = _OPENING.match(folded, comma + 1, end)
    return (
        before is not None and after is not None and after.end() < end and _has_site(after.start(), after.end(), regions)
        and _COUNT_ALONE.fullmatch(folded, before.end(), comma) is None
    )  # fmt: skip


def _after_bullet(folded: str, start: int, end: int) -> int:
    item = _ITEM.match(folded, start, end)
    return item.end() if item and item[1] is None else start


def _goes_on(folded: str, begin: int, stop: int, after: int, end: int) -> bool:
    """Whether a line was broken only because it was full: a long one, in Latin letters, before one that is not counted."""
    if stop - max(begin, folded.rfind("\n", begin, stop)) < _WRAPPED or after >= end or not folded[stop - 1].isascii():
        return False
    return (
        folded[stop - 1] not in ".:" and folded[after].isascii() and folded[after].isalnum()
        and _ITEM.match(folded, after) is None and _PART.match(folded, after) is None
    )  # fmt: skip


def _add(found: list[_Piece], folded: str, start: int, end: int) -> None:
    bullet = _BULLET.match(folded, start, end)
    start = bullet.end() if bullet else start
    while end > start and folded[end - 1] in " .,\n":
        end -= 1
    if start >= end:
        return
    kind, label = "", ""
    if (part := _PART.match(folded, start, end)) is not None:
        kind, label, start = "part", part[1], part.end()
    elif (item := _ITEM.match(folded, start, end)) is not None:
        group = item.lastindex or 1
        kind, label, start = f"item {group}", item[group], item.end()
    label = _NUMERALS.get(label, label).upper()
    # The number of a specimen can stand alone on its line.
    if start < end or kind:
        found.append(_Piece(start, end, kind, label))


def _top_kind(folded: str, pieces: Sequence[_Piece], sites: Sequence[int], regions: Sequence[int]) -> str:
    """The kind of number that counts specimens; empty if none does."""
    kinds = [piece.kind for piece in pieces if piece.kind]
    if "part" in kinds:
        return "part"
    for kind in dict.fromkeys(kinds):
        items = [piece for piece in pieces if piece.kind == kind]
        opened = sum(_opens(folded, piece, regions) for piece in items)
        # Counted lines that measure a tumour or tell its stage are lines of one specimen.
        if opened < _SITE_SHARE * len(items) and any(_MEASURES.match(folded, piece.start) for piece in items):
            continue
        named = sum(_has_site(piece.start, min(piece.end, piece.start + _SITE_WITHIN), sites) for piece in items)
        named = max(named, opened)
        if named >= _SITE_SHARE * len(items):
            return kind
    return ""


def _opens(folded: str, piece: _Piece, sites: Sequence[int]) -> bool:
    """Whether a piece begins with a part of the body in brackets."""
    opening = _OPENING.match(folded, piece.start, piece.end)
    return opening is not None and opening.end() < piece.end and _has_site(piece.start, opening.end(), sites)


def _has_site(start: int, end: int, sites: Sequence[int]) -> bool:
    at = bisect_left(sites, start)
    return at < len(sites) and sites[at] < end
