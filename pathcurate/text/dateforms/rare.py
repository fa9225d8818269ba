"""Dates as they are seldom written or badly read: 2 0 2 4 年 2 月 6 日, 2o24-l1-05, 民国113年12月5日, 一九九八、六、十一."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Final

from pathcurate.text.beginnings import Searched
from pathcurate.text.dateforms.context import LABEL, Context, digits_form, real_day
from pathcurate.text.dateforms.forms import CN_DIGITS, CN_NUMBERS, MINGUO, SIGNS, FoundDate, form_of

_SPACED: Final = Searched(
    r"(?P<y>[12](?<![0-9A-Za-z.][12])(?<![0-9][ -][12]) ?[09] ?[0-9] ?[0-9]) ?(?P<s>年|[-./,、一—]) ?"
    r"(?P<m>[01] ?[0-9]|[1-9]) ?(?:月|(?P=s)) ?(?P<d>[0-3] ?[0-9]|[1-9])(?![0-9])(?: ?日)?"
)
_LETTERS: Final = Searched(
    r"(?P<y>[2lI](?<![0-9A-Za-z][2lI])[0oO9][0-9oOlI]{2})(?P<s>[-./年])(?P<m>[0-9oOlI]{1,2})(?:(?P=s)|月)(?P<d>[0-9oOlI]{"
    r"1,2})日?"
    r"(?![0-9A-Za-z])"
)
_LETTERS_LAST: Final = Searched(
    r"(?P<a>[0-3oOlI](?<![0-9A-Za-z./-][0-3oOlI])[0-9oOlI]?)/(?P<b>[0-3oOlI][0-9oOlI]?)/(?P<y>(?:[2lI][0oO])?[0-9oOlI]{2})"
    r"(?![0-9A-Za-z/])"
)
_LEAST_READ, _MONTHS = 3, 12
_AS_DIGITS: Final = str.maketrans("oOlI", "0011")
_MINGUO: Final = Searched(
    r"(?P<y>[0-9](?<![0-9.-][0-9])[0-9]{0,2}) ?(?P<s>[年./-]) ?(?P<m>[0-9]{1,2}) ?(?:月|(?P=s)) ?"
    r"(?P<d>[0-9]{1,2})(?![0-9])(?: ?日)?"
)
_LAST_OF_LINE: Final = re.compile(r"[ 。]{0,2}(?:\n|$)|[\u4e00-\u9fff]{2}(?<![个枚块例张])")
_CAPITAL: Final = "[壹贰貳叁參肆伍陆陸柒捌玖拾零〇]"
_CAPITALS: Final = Searched(rf"(?P<y>{_CAPITAL}{{2,4}})年(?P<m>{_CAPITAL}{{1,3}})月(?P<d>{_CAPITAL}{{1,4}})[日号]")
_AS_WORDS: Final = str.maketrans("壹贰貳叁參肆伍陆陸柒捌玖拾〇", "一二二三三四五六六七八九十零")
_ERA: Final = re.compile(r"(?:中[华華])?民[国國] ?\Z")
_LEAST_WITHOUT_ERA, _LAST_WITHOUT_ERA = 100, 140
_DIGIT: Final = "[一二三四五六七八九]"
_MONTH_WORD: Final = f"(?P<m>十[一二]?|{_DIGIT}|元)"
_DAY_WORD: Final = f"(?P<d>[二三]?十{_DIGIT}?|廿{_DIGIT}?|初[一二三四五六七八九十]|{_DIGIT})"
_WORDS: Final = Searched(
    rf"(?P<y>[一二三四五六七八九〇零○][一二三四五六七八九〇零○]{{3}}) ?[、./-] ?{_MONTH_WORD} ?[、./-] ?{_DAY_WORD}"
    rf"(?![一二三四五六七八九十])日?"
)
_TENS: Final = Searched(
    rf"(?P<y>[二三四五六七八九](?<![一二三四五六七八九十第][二三四五六七八九])十{_DIGIT}?)年{_MONTH_WORD}月{_DAY_WORD}[日号]"
)
_LUNAR: Final = Searched(
    rf"(?P<m>[正腊冬])月(?P<d>初[一二三四五六七八九十]|廿{_DIGIT}?|二十{_DIGIT}?|三十|十{_DIGIT}?)(?![日号天次月年个例余多])"
)
_CYCLE: Final = re.compile(
    r"(?:[甲乙丙丁戊己庚辛壬癸][子丑寅卯辰巳午未申酉戌亥]年|[今去本]年|(?:[12][0-9]{3}|[二一][〇零○一二三四五六七八九]{3}|"
    r"廿[一二三四五六七八九])年)?(?:的|[农阴]历)?\Z"
)
_FEAST: Final = Searched(
    r"(?P<y>[12](?<![0-9][12])[09][0-9]{2}) ?年(?:的|农历)? ?(?P<f>除夕|大年夜|元旦|春节|元宵节?|清明节?|五一|劳动节|端午"
    r"节?|"
    r"六一|儿童节|七夕|中秋节?|国庆节?|重阳节?|冬至|夏至|冬月|腊月|古尔邦节|开斋节)"
)
_LUNAR_MONTHS: Final = {"正": 1, "冬": 11, "腊": 12}
_MONTHS_OF_FEASTS: Final = {
    "元旦": 1, "除夕": 2, "大年": 2, "春节": 2, "元宵": 2, "清明": 4, "五一": 5, "劳动": 5, "端午": 6, "六一": 6, "儿"
    "童": 6, "七夕": 8,
    "中秋": 9, "国庆": 10, "重阳": 10, "冬至": 12, "夏至": 6, "古尔": 6, "开斋": 4, "冬月": 12, "腊月": 12,
}  # fmt: skip
"""Where a feast of the moon's calendar stands for the most part."""


def find_rare(context: Context) -> Iterator[FoundDate | None]:
    """Dates with spaces in their numbers or letters for digits, of the Republic's years, in words without 年, on feasts."""
    for match in _SPACED.finditer(context.text):
        if match["s"] in ",、":
            yield _of_digits(context, match, "") if _is_signed(context, match) else None
        elif " " in match["y"] + match["m"] + match["d"] or match["s"] in "一—":
            yield _of_digits(context, match, "w")
    for match in _LETTERS.finditer(context.text):
        if not (match["y"] + match["m"] + match["d"]).isdigit():
            yield _of_digits(context, match, "")
    yield from map(partial(_of_letters, context), filter(_is_misread, _LETTERS_LAST.finditer(context.text)))
    if "月" in context.text:
        for match in _LUNAR.finditer(context.text):
            cycle = _CYCLE.search(context.text, max(0, match.start() - 8), match.start())
            start = cycle.start() if cycle else match.start()
            real = context.day_of_report(_LUNAR_MONTHS[match["m"]], min(28, CN_NUMBERS[match["d"]]))
            yield context.found((start, match.end()), form_of("md", "cn", "i", "n"), real, "date.lunar")
    if "年" in context.text:
        yield from _with_year(context)
    for match in _MINGUO.finditer(context.text):
        yield _of_the_republic(context, match)
    for match in _WORDS.finditer(context.text):
        year = int("".join(str(CN_DIGITS[sign]) for sign in match["y"]))
        zero = "l" if "零" in match["y"] else "r" if "○" in match["y"] else ""
        yield _of_words(context, match, year, "n", zero)


def _is_signed(context: Context, match: re.Match[str]) -> bool:
    """Whether it stands apart at the end of a line, and its year is about the report's."""
    before = context.text[max(0, match.start() - 1) : match.start()]
    is_apart = before in {"", " ", "\n", ":", "。"} and _LAST_OF_LINE.match(context.text, match.end()) is not None
    return is_apart and context.is_about(match["y"].replace(" ", ""))


def _with_year(context: Context) -> Iterator[FoundDate | None]:
    for match in _TENS.finditer(context.text):
        yield _of_words(context, match, context.full_year(str(_number(match["y"]))), "s")
    for match in _CAPITALS.finditer(context.text):
        yield _of_capitals(context, match)
    for match in _FEAST.finditer(context.text):
        real = real_day(int(match["y"]), _MONTHS_OF_FEASTS[match["f"][:2]], 1)
        yield context.found(match.span(), "ym-han", real, "date.feast")


def _of_digits(context: Context, match: re.Match[str], flag: str) -> FoundDate | None:
    year, month, day = (match[part].replace(" ", "").translate(_AS_DIGITS) for part in "ymd")
    style = {"年": "han", "一": "dash", "—": "dash", ",": "dot", "、": "dot"} | {
        sign: style for style, sign in SIGNS.items()
    }
    if not 1 <= int(month) <= _MONTHS:
        return None
    form = digits_form("ymd", style[match["s"]], month, day, flag)
    return context.found(match.span(), form, real_day(int(year), int(month), int(day)), "date.spaced")


def _is_misread(match: re.Match[str]) -> bool:
    """Whether some of its digits were read as letters, but most were not."""
    return sum(sign.isdigit() for sign in match[0]) >= _LEAST_READ and any(sign.isalpha() for sign in match[0])


def _of_letters(context: Context, match: re.Match[str]) -> FoundDate | None:
    """A day that ends in its year (o4/1o/17), the month first unless it can be none."""
    first, second, year = (match[part].translate(_AS_DIGITS) for part in "aby")
    order = "mdy" if int(first) <= _MONTHS else "dmy"
    month, day = (first, second) if order == "mdy" else (second, first)
    form = digits_form(order, "slash", month, day, "s" if len(year) == len("17") else "")
    return context.found(match.span(), form, real_day(context.full_year(year), int(month), int(day)), "date.spaced")


def _of_the_republic(context: Context, match: re.Match[str]) -> FoundDate | None:
    era, year = _ERA.search(context.text, max(0, match.start() - 5), match.start()), int(match["y"])
    is_short = match["s"] != "年" and not context.before(LABEL, match.start())
    if not era and (is_short or not _LEAST_WITHOUT_ERA <= year < _LAST_WITHOUT_ERA):
        return None
    start = era.start() if era else match.start()
    form = digits_form("ymd", "minguo", match["m"], match["d"], "" if era else "n", "t" if era and "國" in era[0] else "")
    real = real_day(year + MINGUO, int(match["m"]), int(match["d"]))
    return context.found((start, match.end()), form, real, "date.minguo")


def _of_words(context: Context, match: re.Match[str], year: int, *flags: str) -> FoundDate | None:
    real = real_day(year, CN_NUMBERS[match["m"]], CN_NUMBERS[match["d"]])
    return context.found(match.span(), form_of("ymd", "cn", *flags), real, "date.cn")


def _of_capitals(context: Context, match: re.Match[str]) -> FoundDate | None:
    """贰零贰肆年零伍月壹拾贰日, as sums of money are written."""
    year = "".join(str(CN_DIGITS.get(sign, "")) for sign in match["y"].translate(_AS_WORDS))
    words = (match[part].translate(_AS_WORDS).lstrip("零").replace("一十", "十") for part in "md")
    month, day = (CN_NUMBERS.get(word, 0) for word in words)
    real = real_day(context.full_year(year), month, day) if len(year) in {2, 4} and month and day else None
    flags = ("s" if len(year) == len("24") else "", "l")
    return context.found(match.span(), form_of("ymd", "cn", *flags), real, "date.cn")


def _number(word: str) -> int:
    """二十五 and 四十, which is more than a month or day may be."""
    tens, _, ones = word.partition("十")
    return 10 * CN_NUMBERS[tens] + (CN_NUMBERS[ones] if ones else 0)
