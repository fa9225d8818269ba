"""Shapes that identifiers of people have and nothing in a release has: identity cards, mobile numbers, mail addresses."""

import re
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.text.identities import card_number
from pathcurate.validate.arrays import true_count

_CARD: Final = r"[1-9][0-9]{5}(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9Xx]"
_MOBILE: Final = r"1[3-9][0-9]{9}"
_MAIL: Final = r"[A-Za-z0-9._%+-]{2,64}@[A-Za-z0-9-]{1,63}\.[A-Za-z]{2,24}"
_ALONE: Final = r"(?:^|[^0-9A-Za-z])(?:{})(?:$|[^0-9A-Za-z])"
"""Beside letters and digits they are parts of codes and digests."""
_SEARCHED: Final = _ALONE.format(f"{_CARD}|{_MOBILE}") + f"|{_MAIL}"
_CARDS, _MOBILES = (re.compile(rf"(?<![0-9A-Za-z]){shape}(?![0-9A-Za-z])") for shape in (_CARD, _MOBILE))
_ADDRESS = re.compile(_MAIL)
_LEAST_MOBILE, _MOST_MOBILE = 13_000_000_000, 19_999_999_999
_LEAST_CARD = 10**16
"""Numbers of identity cards as numbers; 2**53 is below, so a digest cannot vouch for these either."""


def shaped_texts(texts: Any) -> int:
    """How many texts hold such a shape; a card's number only counts with the check character that its digits demand.

    Args:
        texts: Arrow strings without nulls.
    """
    if not len(texts):
        return 0
    hits = texts.filter(pc.match_substring_regex(texts, _SEARCHED))
    return sum(_is_shaped(text) for text in hits.to_pylist())


def _is_shaped(text: str) -> bool:
    return bool(_MOBILES.search(text) or _ADDRESS.search(text) or holds_card(text))


def holds_card(text: str) -> bool:
    """Whether a valid number of an identity card stands in a text."""
    return any(card_number(match[0]) is not None for match in _CARDS.finditer(text))


def mobiles(text: str) -> set[str]:
    """Mobile numbers that stand in a text."""
    return set(_MOBILES.findall(text))


def shaped_numbers(numbers: "pa.ChunkedArray[Any]") -> int:
    """How many numbers are as long as those of cards, or as mobile numbers are."""
    if pa.types.is_boolean(numbers.type):
        return 0
    wide: Any = pc.cast(numbers, pa.float64(), safe=False)
    mobile = pc.and_(
        pc.greater_equal(wide, pa.scalar(float(_LEAST_MOBILE))), pc.less_equal(wide, pa.scalar(float(_MOST_MOBILE)))
    )
    found = pc.or_(mobile, pc.greater_equal(pc.abs(wide), pa.scalar(float(_LEAST_CARD))))
    return true_count(found)
