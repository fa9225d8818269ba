"""Cells of an export as values: dates, ages, numbers, languages. What cannot be understood is None, never a guess."""

import itertools
import re
import unicodedata
from datetime import date, datetime, time, timedelta

from pathcurate.text.identities import card_number

_DATE = re.compile(
    r"(?P<year>(?:19|20)\d{2})\s*(?:[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})\s*日?|(?P<md>\d{4}))"
    r"(?:[T\s]*(?P<hour>\d{1,2})[:：时](?P<minute>\d{1,2})(?:[:：分](?P<second>\d{1,2})(?:\.\d+)?)?[分秒]?"
    r"|(?P<hms>\d{6}))?\s*"
)
_PLAIN_LENGTHS, _CENTURIES = (10, 16, 19), ("19", "20")
_AGE = re.compile(
    r"y?\s*(?P<number>\d{1,3})(?!\d)(?:\.\d+)?"
    r"\s*(?P<unit>岁|周岁|歲|y|yr|yrs|years?|月|个月|個月|months?|m|天|日|周|days?|d|weeks?|w|小时|小時|h)?\s*(?:\d.*)?",
    re.DOTALL | re.IGNORECASE,
)
_IN_A_YEAR = {
    **dict.fromkeys(("", "岁", "周岁", "歲", "y", "yr", "yrs", "year", "years"), 1.0),
    **dict.fromkeys(("月", "个月", "個月", "m", "month", "months"), 12.0),
    **dict.fromkeys(("周", "w", "week", "weeks"), 365.25 / 7),
    **dict.fromkeys(("天", "日", "d", "day", "days"), 365.25),
    **dict.fromkeys(("小时", "小時", "h"), 8766.0),
}
_OLDEST = 130
# Days of a serial date, of 1927 to 2078 or four years later; other numbers are none.
_SERIAL = re.compile(r"[1-6]\d{4}(?:\.\d+)?")
_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+\d+|\d+\.0+|\d{15}0{2,}")
_IDENTIFYING = re.compile(r"[1-9A-Z]")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{3,}")


def parse_datetime(text: str, epoch: date | None = None) -> datetime | None:
    """A date with or without time of day, as exports write it (``2023-03-14``, ``2023/3/14 8:05``, ``20230314``,
    ``2023年3月14日``); None if it is none or does not exist.

    Args:
        text: the cell.
        epoch: the day that is 0 where dates may be serial numbers (``45000``); None where they may not.
    """
    if (plain := _plain_datetime(text)) is not None:
        return plain
    folded = unicodedata.normalize("NFKC", text).strip()
    match = _DATE.fullmatch(folded)
    if match is None:
        return _from_serial(float(folded), epoch) if epoch and _SERIAL.fullmatch(folded) else None
    month, day = (match["md"][:2], match["md"][2:]) if match["md"] else (match["month"], match["day"])
    clock = re.findall("..", match["hms"]) if match["hms"] else [match["hour"], match["minute"], match["second"]]
    hour, minute, second = (int(part or 0) for part in clock)
    try:
        return datetime(int(match["year"]), int(month), int(day), hour, minute, second)  # noqa: DTZ001  the clock's zone is unknown
    except ValueError:
        return None


def _plain_datetime(text: str) -> datetime | None:
    """The moment of the commonest spellings, ``2023-03-14`` with or without ``08:05:59``; None for all others."""
    if (
        len(text) in _PLAIN_LENGTHS and text[4] == "-" == text[7] and text[:2] in _CENTURIES and text.isascii()
        and (len(text) == _PLAIN_LENGTHS[0] or (text[10] in " T" and text[13] == ":"))
    ):  # fmt: skip
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return None
    return None


def _from_serial(days: float, epoch: date) -> datetime:
    return datetime.combine(epoch, time.min) + timedelta(seconds=round(days * 86400))


def parse_age(text: str) -> int | None:
    """Age in completed years (``56岁``, ``Y56``, ``56``, ``18月``); units below the first are left out (``1岁3月``)."""
    match = _AGE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return None
    years = int(int(match["number"]) / _IN_A_YEAR[(match["unit"] or "").lower()])
    return years if years <= _OLDEST else None


def parse_number(text: str) -> str | None:
    """A number of a person or case as it stands; None for what would join two of them: one that a spreadsheet rounded
    (see :func:`is_ruined`), or what is typed where there is none (``0``, ``不详``).
    """
    folded = text if text.isascii() else unicodedata.normalize("NFKC", text)
    folded = folded.strip().upper()
    return text if _IDENTIFYING.search(folded) and not _lost_digits(folded) else None


def is_ruined(text: str) -> bool:
    """Whether a number was a fraction for a while: ``1.10105E+17``, ``110105199001011000``, ``12345.0``.

    Such a number has lost its digits beyond the fifteenth, and perhaps its leading zeros; nobody can tell what it was. The
    number of an identity card whose check character is right is none.
    """
    return _lost_digits(unicodedata.normalize("NFKC", text).strip().upper())


def _lost_digits(folded: str) -> bool:
    if _ROUNDED.fullmatch(folded) is None:
        return False
    # Numbers within a day and an area begin with 001.
    return folded[14:17] == "000" or card_number(folded) is None


def language(text: str) -> str | None:
    """``zh``, ``en`` or ``mixed`` by the share of Han characters and Latin words; None for neither."""
    latin = len(_LATIN_WORD.findall(text))
    if not latin:
        return "zh" if _HAN.search(text) else None
    han = sum(1 for _ in itertools.islice(_HAN.finditer(text), latin))
    if han:
        return "mixed" if latin > han else "zh"
    return "en"
