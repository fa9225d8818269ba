"""Forms of dates: their names, and how a day is written in each.

A form is ``order-style`` or ``order-style-flags``: ``ymd-han`` is 2024年5月3日, ``ymd-dash-dm`` 2024-05-03, ``mdy-en-cf``
August 14, 2016. Orders name the parts that are written (``ym``: a month of a year). Styles: ``han`` 年月日, ``cn`` Chinese
numerals, ``minguo`` 民国113年5月3日, ``dash`` ``slash`` ``dot`` ``compact`` digits, ``en`` ``endash`` ``enjoined`` English
names of months. Flags:

* digits: ``s`` year of two digits, ``m`` and ``d`` month and day of two digits, ``w`` spaces around the signs, ``h`` 号 for
  日, ``n`` no 日 at all;
* ``minguo``: ``m d`` as above, ``t`` 民國, ``n`` no era before the year;
* Chinese numerals: ``s h n`` as above, ``l`` 零 and ``r`` ○ for 〇, ``y`` 元月, ``i`` 初五, ``t`` 廿 and 卅;
* English: ``s d`` as above, ``f`` the whole name, ``u`` and ``b`` all of it in upper or lower case, ``p`` a full stop behind
  it, ``o`` 14th, ``a`` 14th of August, ``c`` a comma before the year, ``g`` no space behind it.

A form says what the text shows: 2024年10月13日 does not show whether one-digit months are padded, and has its style's
default.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

MINGUO: Final = 1911
"""The year before the first of the Republic of China."""
MID_MONTH: Final = 15
"""The day that stands for a month."""
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_CN: Final = "〇一二三四五六七八九"
_CN_TO_NINETEEN: Final = ("", *_CN[1:], "十", *(f"十{sign}" for sign in _CN[1:]))
_CN_WORDS: Final = (*_CN_TO_NINETEEN, *(f"二十{sign}" for sign in ("", *_CN[1:])), "三十", "三十一")
CN_DIGITS: Final = {sign: digit for digit, sign in enumerate(_CN)} | dict.fromkeys("零○◯Oo", 0)
"""Digits of years."""
CN_NUMBERS: Final = (
    {word: number for number, word in enumerate(_CN_WORDS) if word}
    | {f"初{_CN_WORDS[number]}": number for number in range(1, 11)}
    | {f"廿{sign}": 20 + number for number, sign in enumerate(("", *_CN[1:]))}
    | {"卅": 30, "卅一": 31, "元": 1, "正": 1}
)
"""Months and days."""
SIGNS: Final = {"dash": "-", "slash": "/", "dot": "."}
_FORM: Final = re.compile(
    r"(?:ymd|ym|md|m)-han(?:-(?=.)d?h?m?n?s?w?)?|(?:ymd|ym|md)-cn(?:-(?=.)h?i?l?n?r?s?t?y?)?"
    r"|ymd-minguo(?:-(?=.)d?m?n?t?)?"
    r"|(?:ymd|mdy|dmy|ym|my|md|dm)-(?:dash|slash|dot)(?:-(?=.)d?m?s?w?)?|ymd-compact"
    r"|(?:mdy|dmy|my|md|dm)-en(?:-(?=.)a?b?c?d?f?g?o?p?s?u?)?|(?:ymd|mdy|dmy|my)-endash(?:-(?=.)b?d?f?s?u?)?"
    r"|dmy-enjoined(?:-(?=.)b?d?f?s?u?)?"
)
_LONGEST: Final = 24
_THE_TENTH: Final = 10


@dataclass(frozen=True, slots=True)
class FoundDate:
    """A date in a text.

    Attributes:
        start: first character.
        end: behind the last character, of the time of day if one follows.
        form: how it is written.
        day: the day; of a month its 15th; without a year of its own the day in the year of the report.
        rule: what found it: ``date.ymd``, ``date.cn``, ``date.range`` …
    """

    start: int
    end: int
    form: str
    day: date
    rule: str

    def __repr__(self) -> str:
        # The generated one would show the day in a traceback.
        return f"FoundDate({self.start}, {self.end}, {self.form}, {self.rule})"


def is_form(form: str) -> bool:
    """Whether this is the name of a form."""
    return len(form) <= _LONGEST and _FORM.fullmatch(form) is not None


def form_of(order: str, style: str, *flags: str) -> str:
    """The name of a form."""
    shown = "".join(sorted(set("".join(flags))))
    return f"{order}-{style}-{shown}" if shown else f"{order}-{style}"


@lru_cache(512)
def form_parts(form: str) -> tuple[str, str, str]:
    """Order, style and flags of a form.

    Raises:
        ValueError: there is no such form.
    """
    if not is_form(form):
        raise ValueError("no form of a date")
    order, style, *flags = form.split("-")
    return order, style, flags[0] if flags else ""


def write(form: str, day: date) -> str:
    """A day in a form.

    Raises:
        ValueError: there is no such form.
    """
    order, style, flags = form_parts(form)
    year = f"{day.year % 100:02d}" if "s" in flags else f"{day.year:04d}"
    if style == "cn":
        return _write_cn(order, flags, year, day)
    if style.startswith("en"):
        return _write_english(order, style, flags, year, day)
    if style == "compact":
        return f"{day.year:04d}{day.month:02d}{day.day:02d}"
    if style == "minguo":
        era = "" if "n" in flags else "民國" if "t" in flags else "民国"
        year = f"{era}{max(1, day.year - MINGUO)}"
    parts = {
        "y": year,
        "m": f"{day.month:02d}" if "m" in flags else str(day.month),
        "d": f"{day.day:02d}" if "d" in flags else str(day.day),
    }
    gap = " " if "w" in flags else ""
    if style in {"han", "minguo"}:
        units = {"y": "年", "m": "月", "d": "" if "n" in flags and style == "han" else "号" if "h" in flags else "日"}
        return gap.join(f"{parts[part]}{gap}{units[part]}" for part in order).rstrip()
    return f"{gap}{SIGNS[style]}{gap}".join(parts[part] for part in order)


def _write_cn(order: str, flags: str, year: str, day: date) -> str:
    zero = "零" if "l" in flags else "○" if "r" in flags else "〇"
    digits = "".join(zero if digit == "0" else _CN[int(digit)] for digit in year)
    month = "元" if "y" in flags and day.month == 1 else _CN_WORDS[day.month]
    number = _CN_WORDS[day.day]
    if "i" in flags and day.day <= _THE_TENTH:
        number = f"初{number}"
    elif "t" in flags:
        number = number.replace("三十", "卅").replace("二十", "廿")
    unit = "" if "n" in flags else "号" if "h" in flags else "日"
    return "".join({"y": f"{digits}年", "m": f"{month}月", "d": f"{number}{unit}"}[part] for part in order)


def _write_english(order: str, style: str, flags: str, year: str, day: date) -> str:
    name = MONTHS[day.month - 1] if "f" in flags else MONTHS[day.month - 1][:3]
    name = name.upper() if "u" in flags else name.lower() if "b" in flags else name
    number = f"{day.day:02d}" if "d" in flags else str(day.day)
    if style == "enjoined":
        return f"{number}{name}{year}"
    if style == "endash":
        return "-".join({"y": year, "m": name, "d": number}[part] for part in order)
    name += "." if "p" in flags else ""
    number += _ordinal(day.day) if "o" in flags else ""
    year = f"'{year}" if "s" in flags else year
    month = f"of {name}" if "a" in flags and order[0] == "d" else name
    text = " ".join({"y": year, "m": month, "d": number}[part] for part in order if part != "y")
    if "y" not in order:
        return text
    return f"{text}{',' if 'c' in flags else ''}{'' if 'g' in flags else ' '}{year}"


def _ordinal(number: int) -> str:
    return "th" if number in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
