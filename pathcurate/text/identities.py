"""What tells people apart in exports: numbers of identity cards, names and telephones in the form in which they compare."""

import re
import unicodedata
from datetime import date

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD = re.compile(r"(?P<area>[0-9]{6})(?P<day>[0-9]{6}|[0-9]{8})(?P<rest>[0-9]{3})(?P<check>[0-9X])?")
# A name that an export hides, or that is typed where there is none, agrees with every other: 王**, 王某, 王X, 无名氏, 不详.
_HIDDEN = re.compile(
    r"[*×○●□■?？某]|(?<=[\u3400-\u9fff])X+$|^无名|^(?:不详|未知|未填|匿名|佚名|患者|病人|UNKNOWN|NONE|NA|TEST|NULL)$"
)
# 王芳之女: who the mother is, but not which child; twins are written alike, often with the mother's card.
_RELATION = re.compile(r"之[大小长次幼双一二三四]?(?:胎|[子女婴儿孩])+|(?:新生|婴)儿|^BABY|BABY$")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_LEAST_NAME, _LEAST_PHONE = 2, 7


def card_number(text: str | None) -> str | None:
    """A resident identity card's number with 18 places; None for one that is none.

    A number of 15 places (issued until 1999) gets its century and check character. A number of 18 places must have the check
    character that its digits demand (GB 11643-1999, ISO 7064 MOD 11-2), and both a date of birth that exists.
    """
    folded = re.sub(r"[\s'’-]", "", unicodedata.normalize("NFKC", text or "")).upper()
    match = _CARD.fullmatch(folded)
    if match is None or (len(match["day"]) == 8) != (match["check"] is not None) or len(set(folded)) == 1:
        return None
    day = match["day"] if match["check"] else f"19{match['day']}"
    digits = f"{match['area']}{day}{match['rest']}"
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return None
    check = "10X98765432"[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]
    return digits + check if match["check"] in {None, check} else None


def fold_name(text: str | None) -> str | None:
    """A name without what two spellings of it may differ in: width, case, spaces, middle dots and other punctuation.

    None where a name is hidden or missing: such a text agrees with no other, and differs from none.
    """
    folded = unicodedata.normalize("NFKC", text or "").strip().upper()
    if _HIDDEN.search(folded):
        return None
    kept = "".join(character for character in folded if unicodedata.category(character)[0] in "LMN")
    return kept if len(kept) >= _LEAST_NAME else None


def names_a_relation(name: str) -> bool:
    """Whether a folded name says whose child somebody is, instead of who it is."""
    return bool(_RELATION.search(name))


def is_han(name: str) -> bool:
    """Whether a folded name is in Han characters: against one in Pinyin it says nothing."""
    return bool(_HAN.search(name))


def phone_number(text: str | None) -> str | None:
    """Digits of a telephone number, None for fewer than seven or one repeated digit."""
    digits = "".join(character for character in unicodedata.normalize("NFKC", text or "") if character in "0123456789")
    return digits if len(digits) >= _LEAST_PHONE and len(set(digits)) > 1 else None
