"""The province of an address, or of the number of an identity card."""

import re
import unicodedata
from functools import cache

from pathcurate.text.identities import card_number
from pathcurate.text.vocabulary import vocabulary

_COUNTRY = r"\s*(?:(?:中华人民共和国|中国)\s*)?"
# 上海路 is a street anywhere, 海南藏族自治州 is in another province: a short name counts only before a city or district.
_PLACE_BEHIND = (
    r"(?=\s*$|省|市|\s*(?!(?:中|东|南|西|北)?(?:路|街|道|大道|大街|巷|弄|里|村|镇|乡|州|县)|藏族|蒙古族)"
    r"[㐀-鿿]{1,14}?(?:市|区|县|州|盟|旗))"
)


def province(address: str | None, card: str | None) -> str | None:
    """The province that an address begins with, else that of a valid identity card's number, as `provinces` names it.

    Args:
        address: as written; one that begins with a city says nothing.
        card: a number; of one that is no resident's card nothing is taken. It says where the person was first registered.
    """
    found = _beginning().match(unicodedata.normalize("NFKC", address)) if address else None
    if found is not None:
        return vocabulary("provinces").exact(found["whole"] or found["short"])
    number = card_number(card)
    return vocabulary("provinces").exact(number[:2]) if number else None


@cache
def _beginning() -> re.Pattern[str]:
    words = [word for word in vocabulary("provinces").words if not word.isdigit()]
    whole = "|".join(sorted((word for word in words if len(word) > 3 or word[-1] in "省市"), key=len, reverse=True))
    short = "|".join(word for word in words if len(word) <= 3 and word[-1] not in "省市")
    return re.compile(rf"{_COUNTRY}(?:(?P<whole>{whole})|(?P<short>{short}){_PLACE_BEHIND})")
