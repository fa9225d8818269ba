"""What tells people apart in exports: numbers of identity cards, names and telephones in the form in which they compare."""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_Mask = npt.NDArray[np.bool_]
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CARD = re.compile(r"(?P<area>[0-9]{6})(?P<day>[0-9]{6}|[0-9]{8})(?P<rest>[0-9]{3})(?P<check>[0-9X])?")
# A name that an export hides, or that is typed where there is none, agrees with every other: 王**, 王某, 王X, 无名氏, 不详.
_HIDDEN = re.compile(
    r"[*×○●□■?？某]|(?<=[\u3400-\u9fff])X+$|^无名|^(?:不详|未知|未填|匿名|佚名|患者|病人|UNKNOWN|NONE|NA|TEST|NULL)$"
)
# 王芳之女: who the mother is, but not which child; twins are written alike, often with the mother's card.
_RELATION = re.compile("之[大小长次幼双一二三四]?(?:胎|[子女婴儿孩])+|(?:新生|婴)儿|^BABY|BABY$")
_HAN = re.compile("[\u3400-\u9fff\U00020000-\U0003ffff]")
# Ideographs that folding leaves as they are (Unicode 1.1), and no word that hides a name.
_PLAIN_NAME = "^[\u4e00-\u9fa5]{2,}$"
_MAY_HIDE = "[某无不未匿佚患病]"
_LEAST_NAME, _LEAST_PHONE = 2, 7
_PLACES, _CHECKS = 18, "10X98765432"


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
    check = _CHECKS[sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, digits, strict=True)) % 11]
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


def card_numbers(texts: "pa.StringArray") -> "pa.StringArray":
    """:func:`card_number` of each text, for millions: what is plainly written is judged in columns."""
    is_plain = _matches(texts, "^[0-9]{17}[0-9X]$")
    is_valid = np.zeros(len(texts), dtype=bool)
    is_valid[is_plain] = _valid_cards(texts.filter(pa.array(is_plain)))
    return _with_the_rest(texts, is_plain, is_valid, card_number)


def fold_names(texts: "pa.StringArray") -> "pa.StringArray":
    """:func:`fold_name` of each text, for millions."""
    is_plain = _matches(texts, _PLAIN_NAME) & ~_matches(texts, _MAY_HIDE)
    return _with_the_rest(texts, is_plain, is_plain, fold_name)


def name_relations(names: "pa.StringArray") -> _Mask:
    """:func:`names_a_relation` of each folded name, for millions."""
    return _matches(names, _RELATION.pattern)


def are_han(names: "pa.StringArray") -> _Mask:
    """:func:`is_han` of each folded name, for millions."""
    return _matches(names, _HAN.pattern)


def phone_numbers(texts: "pa.StringArray") -> "pa.StringArray":
    """:func:`phone_number` of each text, for millions."""
    is_plain = _matches(texts, f"^[0-9]{{{_LEAST_PHONE},}}$")
    one_digit = "|".join(f"{digit}+" for digit in range(10))
    return _with_the_rest(texts, is_plain, is_plain & ~_matches(texts, f"^(?:{one_digit})$"), phone_number)


def _matches(texts: "pa.StringArray", pattern: str) -> _Mask:
    found: Any = pc.match_substring_regex(texts, pattern)
    return np.asarray(found.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _with_the_rest(
    texts: "pa.StringArray", is_plain: _Mask, is_valid: _Mask, fold: Callable[[str | None], str | None]
) -> "pa.StringArray":
    """Plain texts as they stand where they are valid, the others as ``fold`` gives them."""
    judged = pc.if_else(pa.array(is_valid), texts, pa.scalar(None, pa.string()))
    rest = pa.array([fold(text) for text in texts.filter(pa.array(~is_plain)).to_pylist()], pa.string())
    whole: pa.StringArray = pc.replace_with_mask(judged, pa.array(~is_plain), rest)
    return whole


def _valid_cards(texts: "pa.StringArray") -> _Mask:
    """Whether each text of 17 digits and a check character is a card's number."""
    joined = "".join(map(str, texts.to_pylist())).encode()
    digits = np.frombuffer(joined, dtype=np.uint8).reshape(len(texts), _PLACES).astype(np.int16) - ord("0")
    checks = np.frombuffer(_CHECKS.encode(), dtype=np.uint8).astype(np.int16) - ord("0")
    check = checks[digits[:, :-1] @ np.array(_WEIGHTS, dtype=np.int16) % 11]
    year = digits[:, 6:10] @ np.array((1000, 100, 10, 1), dtype=np.int16)
    month, day = (digits[:, start : start + 2] @ np.array((10, 1), dtype=np.int16) for start in (10, 12))
    is_leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = np.array((0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31))[np.minimum(month, 12)] + (is_leap & (month == 2))
    is_date = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= days)
    is_one_digit = (digits == digits[:, :1]).all(axis=1)
    return np.asarray(is_date & ~is_one_digit & (check == digits[:, -1]), dtype=np.bool_)
