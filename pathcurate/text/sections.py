"""Sections of a report by their heads, Chinese and English, whether line breaks are still there or an export took them."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

_HEADS = Path(__file__).with_name("terms") / "section_heads.yaml"
_LONGEST_WORDS = 6
_LONGEST_HEAD = 60
# What may be a head stands between two of these, the second of which is a colon, a closing bracket or the end of its line.
_BOUND = re.compile(r"[\n:。;\[\]<>]|\Z")
_MARKS = frozenset(":]>")
# Behind a head may stand the block that it is about: 免疫组化(A3):
_BLOCK = re.compile(r"\s*\([^()]{0,24}\)\s*$")
_NUMBER = re.compile(r"^\s*(?:[(（]?(?:[0-9]{1,2}|[一二三四五六七八九十]{1,2})[.、,)]|[-*#·•])\s*")
_SUFFIX = re.compile(r"(?:结果|描述|检查|检测|染色|标记|报告|所见|如下|提示|显示|示)+$")
_SPACES = re.compile(r"[\s_]+")
_HAN = re.compile(r"[㐀-鿿]")


class Part(NamedTuple):
    """A section of a text.

    Attributes:
        section: one of ``SECTIONS`` of :mod:`pathcurate.model.diagnosis`, or ``specimens`` (what was sent) or ``other``
            (signatures and dates).
        start: where its head begins.
        body_start: where its text begins.
        end: where the next head begins, or the text ends.
    """

    section: str
    start: int
    body_start: int
    end: int


def sections(folded: str) -> list[Part]:
    """The sections of a text, in order; what stands before the first head belongs to none of them.

    Args:
        folded: the text as :func:`~pathcurate.text.folding.fold` gives it.
    """
    found: list[tuple[str, int, int]] = []
    begin = 0
    for bound in _BOUND.finditer(folded):
        end = bound.start()
        sign = bound[0]
        if end - begin > 1 and (sign in _MARKS or (sign in ("\n", "") and end - begin <= _LONGEST_HEAD)):
            section, start = _head(folded, max(begin, end - _LONGEST_HEAD), end, has_mark=sign in _MARKS)
            # What was sent stands before the diagnosis; behind it, "Specimen:" is an item of a synoptic report.
            if section is not None and not (section == "specimens" and found and found[-1][0] == "diagnosis"):
                found.append((section, start, bound.end() if sign in _MARKS else end))
        begin = bound.end()
    ends = [*(start for _, start, _ in found[1:]), len(folded)]
    return [Part(section, start, body, end) for (section, start, body), end in zip(found, ends, strict=False)]


def _head(folded: str, start: int, end: int, *, has_mark: bool) -> tuple[str | None, int]:
    """The section that a stretch heads, and where the head begins."""
    is_first = start == 0 or folded[start - 1] in "\n。;[<"
    text = folded[start:end]
    block = _BLOCK.search(text)
    if block is not None and text.strip() not in _heads():
        text = text[: block.start()]
    # A point ends a sentence only before a space: 1.5 and S.C. do not.
    sentence = text.rfind(". ") + 2 if ". " in text else 0
    text, start = text[sentence:], start + sentence
    number = _NUMBER.match(text)
    if number is not None:
        text, start = text[number.end() :], start + number.end()
    stripped = text.lstrip()
    start += len(text) - len(stripped)
    key = _SPACES.sub(" ", stripped.rstrip())
    if (is_first or sentence > 0) and (section := _section(key, alone=True)) is not None:
        return section, start
    if not has_mark:
        return None, start
    # An export that took the line breaks leaves a head behind the last words of what stood before it.
    words = key.split(" ")
    # One Latin word may just be the last of a sentence: by immunohistochemistry: positive.
    fewest = 1 if _HAN.match(words[-1]) else 2
    for count in range(min(_LONGEST_WORDS, len(words) - 1), fewest - 1, -1):
        section = _section(" ".join(words[-count:]), alone=False)
        if section is not None:
            return section, start + _offset(stripped, count)
    return None, start


def _offset(text: str, count: int) -> int:
    """Where the last words of a text begin."""
    return [word.start() for word in re.finditer(r"[^\s_]+", text)][-count]


def _section(key: str, *, alone: bool) -> str | None:
    known = _heads()
    entry = known.get(key)
    if entry is None and _HAN.match(key):
        entry = known.get(_SUFFIX.sub("", key))
    return entry[0] if entry is not None and (alone or not entry[1]) else None


@cache
def _heads() -> Mapping[str, tuple[str, bool]]:
    """Head to section, and whether it counts only where nothing stands before it."""
    sections_of: Mapping[str, Mapping[str, list[str]]] = yaml.safe_load(_HEADS.read_text(encoding="utf-8"))
    return {
        head: (section, kind == "alone")
        for section, kinds in sections_of.items()
        for kind, heads in kinds.items()
        for head in heads
    }
