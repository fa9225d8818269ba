"""Dates with 年, 月 and 日, in digits and in Chinese numerals."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Final

from pathcurate.text.dateforms.context import DAY, JOIN, MONTH, SINCE, Context, digits_form, real_day
from pathcurate.text.dateforms.forms import CN_DIGITS, CN_NUMBERS, MID_MONTH, FoundDate, form_of

_LAST_DAY: Final = rf"(?={JOIN}{DAY}(?:{JOIN}{DAY}){{0,3}} ?[日号])"
_BEFORE: Final = re.compile(
    rf"(?<![0-9])(?:(?P<y>(?:19|20)[0-9]{{2}}|(?<![.])[0-9]{{2}})(?P<w> ?)年 ?)?(?<![每隔])(?P<m>{MONTH})(?P<v> ?)\Z"
)
"""What stands before 月; from there on a text is read, as it occurs in few places."""
_BEHIND: Final = re.compile(
    rf"月(?: ?(?P<d>{DAY})(?: ?(?P<u>[日号])(?!龄)|{_LAST_DAY}|(?P<n>(?= ?(?:[,.。;)\]、:\n行因于在送收做晚早夜来转出取签"
    rf"发办寄入住借还]|复[查诊片]|手术|活检|穿刺|切除|就诊|冰冻|上午|下午|凌晨|中午|\Z)))))?"
)
_DONE_ON: Final = re.compile(
    r" ?(?:[送收做签发办寄取借还]|复[查诊片]|手术|活检|穿刺|切除|就诊|冰冻|[晚早夜][上间]?[0-9一二三四五六七八九十]|"
    r"[上下]午|凌晨|中午|入院|出院|来[院诊])(?!次|例)"
)
_LOOKBACK: Final = 14
_MONTH_ENDS: Final = frozenset("0123456789一二三四五六七八九十元正 ")
_NEAR_YEAR: Final = re.compile(r"([今去前本当同次上])年(?:的| )?\Z")
_LUNAR_DAY: Final = re.compile("初[一二三四五六七八九十]|廿")
_THIRD: Final = re.compile(" ?(?:[上中下]旬|[初末底](?![次诊始级产治板面部]))")
_EVENT: Final = re.compile(
    " ?(?:送检|手术|切除|活检|穿刺|复查|确诊|发现|入院|出院|外院|[我本]院|曾|因|起|查|体检|胃镜|肠镜|超声|在|于)"
)
_APART: Final = re.compile("[,。;:、(\\n ]\\Z|\\A\\Z")
_THIS_YEAR: Final = re.compile(r"[今去本]年\Z|(?:[12][0-9]{3}年)?[农阴]历\Z")
_PART_OF_YEAR: Final = re.compile(r" ?(?:份|初(?![次诊始级产治])|底|末|上旬|中旬|下旬)")
_YEARS_AGO: Final = {"去": 1, "上": 1, "前": 2}
_DIGIT: Final = "[一二三四五六七八九]"
_WORD: Final = rf"(?:[二三]?十{_DIGIT}?|廿{_DIGIT}?|卅一?|初[一二三四五六七八九十]|{_DIGIT}|[0-9]{{1,2}})"
_BEFORE_CN: Final = re.compile(
    rf"(?:(?P<y>(?<![一二三四五六七八九〇零○◯十百0-9])(?:{_DIGIT}|[〇零○◯Oo0]){{2,4}}|(?<![0-9.])(?:(?:19|20)[0-9]{{2}}|["
    rf"0-9]{{2}}(?= ?年[ 元正一二三四五六七八九十]))) ?年 ?)?"
    rf"(?P<m>(?<![一二三四五六七八九十0-9])(?:十[一二]?|[元正]|{_DIGIT}|[0-9]{{1,2}})) ?\Z"
)
_CYCLE: Final = re.compile(
    r"[甲乙丙丁戊己庚辛壬癸][子丑寅卯辰巳午未申酉戌亥]年?(?:[农阴]历)?闰?\Z|(?:民|(?<=中[华華])民)[国國][一二三四五六七八九十百〇零○]{1,4}年\Z"
)
_BEHIND_CN: Final = re.compile(
    rf"月(?!经)(?: ?(?P<d>{_WORD}) ?(?P<u>[日号])(?!龄)| ?(?P<e>初[一二三四五六七八九十]|廿{_DIGIT}?|(?:二?十{_DIGIT}|二"
    rf"十|三十一?)(?=送|收|入院|出院|手术|报告|签|取材|后|前|生| ?[,。;)\n]|\Z)))?"
)
_NEXT_DAY: Final = re.compile(rf"{JOIN}(?P<d>{DAY}) ?(?:(?P<u>[日号])(?!龄)|{_LAST_DAY})")
_NEXT_DAY_CN: Final = re.compile(rf"{JOIN}(?P<d>{_WORD})(?P<u>[日号])(?!龄)")
_NEXT_MONTH: Final = re.compile(rf" ?(?:至|到|~|-{{1,2}}|—{{1,2}}|–|、|和|及) ?(?P<m>{MONTH})(?P<v> ?)月(?!龄)(?! ?[0-9])")


def find_han(context: Context) -> Iterator[FoundDate | None]:
    """Dates with 月: 2024年5月3日, 24年5月3日, 2023年11月, 5月3日, 今年5月, 二〇二四年五月三日, ○九年元月初五."""
    place = context.text.find("月")
    while place >= 0:
        if context.text[max(0, place - 1) : place] in _MONTH_ENDS:
            yield _at(context, place)
        place = context.text.find("月", place + 1)


def _at(context: Context, place: int) -> FoundDate | None:
    start = max(0, place - _LOOKBACK)
    before, behind = _BEFORE.search(context.text, start, place), _BEHIND.match(context.text, place)
    found = _read(context, before, behind) if before and behind else None
    if before and before["y"] and not _LUNAR_DAY.match(context.text, place + 1):
        return found
    before, behind = _BEFORE_CN.search(context.text, start, place), _BEHIND_CN.match(context.text, place)
    return (_read_cn(context, before, behind) if before and behind else None) or found


def _read(context: Context, before: re.Match[str], behind: re.Match[str]) -> FoundDate | None:
    year, month, day = before["y"], before["m"], behind["d"]
    spaced = "w" if before["w"] or before["v"] else ""
    unit = _unit(behind["u"])
    span = before.start(), behind.end()
    if year and day:
        real = real_day(context.full_year(year), int(month), int(day))
        if real:
            return context.found(span, digits_form("ymd", "han", month, day, unit, spaced, _short(year)), real, "date.ymd")
    if year:
        # A month is one even if the day behind it cannot be; two digits before 年 count years unless a word says since when.
        third = _THIRD.match(context.text, behind.start() + 1)
        is_of_event = _EVENT.match(context.text, behind.start() + 1) and _APART.search(context.text[: before.start()][-1:])
        is_told = context.before(SINCE, before.start()) or ((third or is_of_event) is not None and context.is_about(year))
        if len(year) == len("24") and not is_told:
            return None
        real = real_day(context.full_year(year), int(month), MID_MONTH)
        form = digits_form("ym", "han", month, "", spaced, _short(year))
        return context.found((before.start(), third.end() if third else behind.start() + 1), form, real, "date.ym")
    if day and (behind["n"] is None or _DONE_ON.match(context.text, behind.end())):
        form = digits_form("md", "han", month, day, unit, spaced)
        return context.found(span, form, context.day_of_report(int(month), int(day)), "date.md")
    return None if day else _month(context, before, behind.end())


def _month(context: Context, match: re.Match[str], end: int) -> FoundDate | None:
    """A month whose year is this one, the last one or that of the report."""
    near = _NEAR_YEAR.search(context.text[max(0, match.start() - 3) : match.start()])
    if not near and not _PART_OF_YEAR.match(context.text, end):
        return None
    real = context.day_of_report(int(match["m"]), MID_MONTH)
    if real and near:
        real = real.replace(year=real.year - _YEARS_AGO.get(near[1], 0))
    form = digits_form("m", "han", match["m"], "", "w" if match["v"] else "")
    third = _THIRD.match(context.text, end)
    return context.found((match.start(), third.end() if third else end), form, real, "date.m")


def _unit(sign: str | None) -> str:
    return {"日": "", "号": "h", None: "n"}[sign]


def _short(year: str) -> str:
    return "s" if len(year) == len("24") else ""


def _read_cn(context: Context, before: re.Match[str], behind: re.Match[str]) -> FoundDate | None:
    month, written_day = _number(before["m"]), behind["d"] or behind["e"]
    if _is_digits(before["y"]) and _is_digits(before["m"]) and _is_digits(written_day):
        return None
    day = _number(written_day) if written_day else None
    digits = "".join(str(CN_DIGITS.get(sign, sign)) for sign in before["y"] or "")
    is_count = len(digits) == len("24") and day is None and "0" not in digits and not context.is_about(digits)
    if len(digits) == len("202") or is_count:
        digits = ""
    third = _THIRD.match(context.text, behind.start() + 1)
    if month in range(1, 13) and not (day or digits) and before["m"] != "正" and third and not before["m"].isascii():
        # 三月初, 十二月中旬
        real = context.day_of_report(month, MID_MONTH)
        return context.found((before.start("m"), third.end()), form_of("m", "han"), real, "date.m")
    if month not in range(1, 13) or (day is None and (not digits or before["m"] == "正")):
        return None
    year = before["y"] if digits else ""
    flags = (
        "l" if "零" in year else "r" if {"○", "◯"} & set(year) else "",
        "y" if before["m"] == "元" else "",
        *(flag for sign, flag in (("初", "i"), ("廿", "t"), ("卅", "t")) if written_day and sign in written_day),
        _short(digits),
    )
    start = before.start() if digits else before.start("m")
    if not digits and (cycle := _CYCLE.search(context.text, max(0, start - len("民国一百一三年")), start)):
        start = cycle.start()
    elif not digits and day and (near := _THIS_YEAR.search(context.text, max(0, start - len("1968年农历")), start)):
        start = near.start()
    if day is None:
        real = real_day(context.full_year(digits), month, MID_MONTH)
        return context.found((start, behind.start() + 1), form_of("ym", "cn", *flags), real, "date.cn")
    real = real_day(context.full_year(digits), month, day) if digits else context.day_of_report(month, day)
    form = form_of("ymd" if digits else "md", "cn", *flags, _unit(behind["u"]))
    return context.found((start, behind.end()), form, real, "date.cn")


def _is_digits(word: str | None) -> bool:
    return not word or word.isascii()


def _number(word: str) -> int:
    return int(word) if word.isascii() else CN_NUMBERS[word]


def next_han(context: Context, last: FoundDate) -> FoundDate | None:
    """The next date of a row or range: 5月3日至5日, 2024年5月至7月.

    It is given its month, so that it still says the same when the days before and behind the sign have other months.
    """
    order, style = last.form.split("-")[:2]
    if order == "ym" and style == "han" and (match := _NEXT_MONTH.match(context.text, last.end)):
        real = real_day(last.day.year, int(match["m"]), MID_MONTH)
        form = digits_form(
            "ym", "han", match["m"], "", "w" if match["v"] else "", "s" if "s" in last.form.split("-")[-1] else ""
        )
        return context.found((match.start("m"), match.end()), form, real, "date.range")
    if "d" not in order or order == "dmy":
        return None
    match = (_NEXT_DAY_CN if style == "cn" else _NEXT_DAY).match(context.text, last.end)
    if not match:
        return None
    real = _same_month(last.day, _number(match["d"]))
    unit = _unit(match["u"])
    form = form_of("md", "cn", unit) if style == "cn" else digits_form("md", "han", "", match["d"], unit)
    return context.found((match.start("d"), match.end()), form, real, "date.range")


def _same_month(last: date, day: int) -> date | None:
    return real_day(last.year, last.month, day)
