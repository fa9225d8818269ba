"""Blocks that a report's texts name (A1, A2-A5, 蜡块3, block B2), to hold those of slides against."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from pathcurate.text.folding import fold

_WORD: Final = r"(?:蜡块|组织块|包埋盒|取材|\b(?:blocks?|cassettes?))\s*(?:编?号|nos?\.?)?\s*[:#]?\s*"
_ONE: Final = r"([a-z])?[-_ ]?(\d{1,2})"
_TO: Final = r"(?:\s*(?:-|~|—|–|至|到|to|through|thru)\s*([a-z])?(\d{1,2}))?(?![0-9a-z%./])"
_RESULT: Final = r"(?!\s*\(?\s*(?:\+|-\s*\)|阳|阴|弱|pos|neg))"
# S22-00160 is the number of a case.
_CASE: Final = r"(?!-\d{3})"
# 取材9块 says how many there are.
_COUNT: Final = r"(?!\s*[块枚粒个])"
_LETTERED: Final = re.compile(rf"(?<![0-9a-z./+-])([a-z])(\d{{1,2}}){_TO}{_CASE}{_RESULT}")
_WORDED: Final = re.compile(rf"{_WORD}{_ONE}{_TO}{_COUNT}")
_NUMBERED: Final = re.compile(r"(?<![0-9a-z.])(\d{1,2})(?:\s*[-~至到]\s*(\d{1,2}))?\s*号(?:蜡块|组织块|块)")
# What has a result behind it is a stain (P53). T2, N0, M1, G3 are categories and grades, L4 and S1 vertebrae, far more often
# than blocks; so are P53 and its like, whose result may be a word.
_NO_BLOCK: Final = re.compile(r"[tnmgls][0-5]|p(?:16|21|27|40|53|57|63|73)")
_MOST: Final = 200
_LONGEST_RANGE: Final = 60


def blocks_named(texts: Iterable[str | None]) -> list[str]:
    """Labels of blocks, specimen letter and number or a number alone, sorted; ranges are filled in.

    A letter with a number counts anywhere, unless it is more often something else (T2, N0, G3); a number alone only beside a
    word for blocks.
    """
    found = {label for text in texts if text for label in _labels(fold(text))}
    return sorted(found)[:_MOST]


def _labels(text: str) -> Iterator[str]:
    for match in _LETTERED.finditer(text):
        if match[4] is not None or not _NO_BLOCK.fullmatch(match[1] + match[2]):
            yield from _range(match[1], match[2], match[3], match[4])
    for match in _WORDED.finditer(text):
        yield from _range(match[1] or "", match[2], match[3], match[4])
    for match in _NUMBERED.finditer(text):
        yield from _range("", match[1], None, match[2])


def _range(letter: str, first: str, last_letter: str | None, last: str | None) -> Iterator[str]:
    start, end = int(first), int(last or first)
    if last_letter not in (None, letter) or not start <= end < start + _LONGEST_RANGE:
        end = start
    yield from (f"{letter.upper()}{number}" for number in range(start, end + 1))
