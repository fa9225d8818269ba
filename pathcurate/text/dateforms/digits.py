"""Dates in digits: 2024-05-03, 2024/5/3, 07/26/2021, 20240503, and behind a label 24-05-03, 2023-11, 05-03."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Final

from pathcurate.text.beginnings import Searched
from pathcurate.text.dateforms.context import (
    CLOCK,
    DAY,
    DONE,
    HAPPENED,
    LABEL,
    MONTH,
    NUMBER,
    STRICT_LABEL,
    UNIT,
    VERSION,
    Context,
    digits_form,
    real_day,
)  # fmt: skip
from pathcurate.text.dateforms.forms import MID_MONTH, SIGNS, FoundDate, form_of, form_parts

_STYLES: Final = {sign: style for style, sign in SIGNS.items()}
_NUMERIC: Final = Searched(
    r"(?P<a>[0-9](?<![0-9][0-9])(?<![0-9][./-][0-9])(?:[0-9]{3}|[0-9]?))(?P<w> ?)(?P<s>[-/.]) ?(?P<b>[0-9]{1,4})"
    r"(?: ?(?P=s) ?(?P<c>'?[0-9]{4}|'?[0-9]{1,2}))?(?![0-9])"
)
_COMPACT: Final = Searched(
    r"(?P<d>[12](?<![0-9A-Za-z.][12])(?<![0-9][/-][12])(?:(?<=1)9|(?<=2)0)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|"
    r"3[01]))"
    r"(?P<t>[T ]?(?:[01][0-9]|2[0-3])[0-5][0-9](?:[0-5][0-9](?:\.[0-9]{1,6})?)?)?(?![0-9A-Za-z]|\.[0-9])"
)
_HAN: Final = re.compile("[\u3400-\u9fff]")
_NEXT: Final = {
    sign: re.compile(
        r" ?(?:至|到|~|—{1,2}|–|(?P<dash>-{1,2})|(?P<comma>、)| to | and ) ?"
        rf"(?:(?:(?P<y>(?:19|20)[0-9]{{2}}){re.escape(sign)})?(?P<m>{MONTH}){re.escape(sign)})?"
        rf"(?P<d>{DAY})(?![0-9A-Za-z]|[{re.escape(sign)}][0-9])"
    )
    for sign in SIGNS.values()
}
_NEXT_MONTH: Final = {
    sign: re.compile(
        r" ?(?:至|到|~|—{1,2}|–|-{1,2}| to ) ?"
        rf"(?P<y>(?:19|20)[0-9]{{2}}){re.escape(sign)}(?P<m>{MONTH})(?![{re.escape(sign)}]?[0-9])"
    )
    for sign in SIGNS.values()
}
_NEXT_COMPACT: Final = re.compile(r" ?(?:至|到|~|-|—|–| to ) ?(?P<d>(?:19|20)[0-9]{6})(?![0-9A-Za-z])")
_YEAR_DIGITS, _MONTHS_OF_YEAR, _DAYS_OF_MONTH = 4, 12, 31


def find_numeric(context: Context) -> Iterator[FoundDate | None]:
    """Dates whose parts are kept apart by a dash, a slash or a full stop."""
    matches = list(_NUMERIC.finditer(context.text))
    listed = [match for match in matches if _is_listed(match)]
    if len(listed) >= _LEAST_LISTED:
        for match in listed:
            form = digits_form("md", "slash", match["a"], match["b"])
            real = context.day_of_report(int(match["a"]), int(match["b"]))
            yield context.found(match.span(), form, real, "date.listed")
    found = [(match, _read(context, match)) for match in matches]
    orders = {item.form[:3] for match, item in found if item and not _is_open(match) and item.form[:3] in {"dmy", "mdy"}}
    for match, item in found:
        # 03/04/2021 is read as the dates are in this text that can be read in one way only.
        turned = item and item.form[:3] == "mdy" and orders == {"dmy"} and _is_open(match)
        yield _read(context, match, day_first=True) if turned else item


def _is_listed(match: re.Match[str]) -> bool:
    """Whether 11/4 begins a line, but for its number or a case and a name, and words follow: three such are a register."""
    if match["s"] != "/" or match["c"] is not None or not match.string.startswith(" ", match.end()):
        return False
    is_day = 1 <= int(match["a"]) <= _MONTHS_OF_YEAR and 1 <= int(match["b"]) <= _DAYS_OF_MONTH
    if not is_day or _LISTED.search(match.string, max(0, match.start() - 8), match.start()):
        return is_day
    is_of_case = _OF_CASE.search(match.string, max(0, match.start() - 56), match.start()) is not None
    return is_of_case and _NODES.match(match.string, match.end()) is None


def _is_open(match: re.Match[str]) -> bool:
    """Whether month and day could change places."""
    return match["s"] != "." and int(match["a"]) <= _MONTHS_OF_YEAR and int(match["b"]) <= _MONTHS_OF_YEAR


def _read(context: Context, match: re.Match[str], *, day_first: bool = False) -> FoundDate | None:
    if match["c"] is None:
        return _two(context, match)
    if len(match["b"]) > len("12") or not _stands_alone(context, match):
        return None
    order = _order(context, match, day_first=day_first)
    if order is None:
        return None
    parts = dict(zip(order, (match["a"], match["b"], match["c"].strip("'")), strict=True))
    is_short = len(parts["y"]) < _YEAR_DIGITS
    real = real_day(context.full_year(parts["y"]), int(parts["m"]), int(parts["d"]))
    flags = ("s" if is_short else "", "w" if match["w"] else "")
    form = digits_form(order, _STYLES[match["s"]], parts["m"], parts["d"], *flags)
    return context.found(match.span(), form, real, "date.labelled" if is_short else f"date.{order}")


def _order(context: Context, match: re.Match[str], *, day_first: bool) -> str | None:
    """Which of three numbers is what; None if they are no date."""
    first, second, sign = match["a"], match["b"], match["s"]
    if len(first) == _YEAR_DIGITS:
        return "ymd" if match["c"].isdigit() and len(match["c"]) <= len("31") else None
    year = match["c"].strip("'")
    if len(year) < _YEAR_DIGITS:
        has_label = context.before(STRICT_LABEL, match.start())
        if (
            has_label
            and len(first) == len("24")
            and (int(first) > _MONTHS_OF_YEAR or sign == "-")
            and _is_han(context, match)
        ):
            return "ymd"
        if len(first) == len("24") and _is_short_day(context, match):
            return "ymd"
        # Among Han characters three numbers are counts for the most part, elsewhere a day as it is written in America.
        is_han = _is_han(context, match)
        is_timed = sign == "-" and not is_han and _CLOCK_EN.match(context.text, match.end()) is not None
        is_told = has_label or is_timed or (
            sign == "/" and (context.before(LABEL, match.start()) or not is_han or _is_signed(context, match, year))
        )  # fmt: skip
        if len(year) != len("24") or not is_told:
            return None
    if int(first) > _MONTHS_OF_YEAR or int(second) > _MONTHS_OF_YEAR:
        return "dmy" if int(first) > _MONTHS_OF_YEAR else "mdy"
    return "dmy" if day_first or sign == "." else "mdy"


def day_beside(context: Context, start: int) -> FoundDate | None:
    """A day at a place beside whoever signed on it, with its year in two digits or without one: 7-19, 18-3-7.

    Args:
        context: the text.
        start: where the first number begins.
    """
    match = _NUMERIC.compiled.match(context.text, start)
    if match is None or match["w"] or max(len(match["a"]), len(match["b"])) > len("12"):
        return None
    style = _STYLES[match["s"]]
    if match["c"] is None:
        if not (1 <= int(match["a"]) <= _MONTHS_OF_YEAR and 1 <= int(match["b"]) <= _DAYS_OF_MONTH):
            return None
        form = digits_form("md", style, match["a"], match["b"])
        real = context.day_of_report(int(match["a"]), int(match["b"]))
    elif len(match["a"]) == len("24") and match["c"].isdigit() and len(match["c"]) <= len("31"):
        if context.year is not None and not _is_near(context, match["a"]):
            return None
        form = digits_form("ymd", style, match["b"], match["c"], "s")
        real = real_day(context.full_year(match["a"]), int(match["b"]), int(match["c"]))
    else:
        return None
    return context.found(match.span(), form, real, "date.signed")


def _stands_alone(context: Context, match: re.Match[str]) -> bool:
    """Whether nothing before or behind it makes it a version, the number of a case, a size or a count."""
    return _begins(context, match.start()) and _ends(context, match)


def _begins(context: Context, start: int) -> bool:
    before = context.text[max(0, start - 2) : start]
    # One letter makes a number of a case or a version of it (S2024-05-03, v2024.5.3); more are a word (CT2024-05-03).
    is_letter = [sign.isascii() and sign.isalpha() for sign in before]
    return is_letter[-1:] != [True] or (all(is_letter) and len(is_letter) > 1)


def _ends(context: Context, match: re.Match[str]) -> bool:
    end, text = match.end(), context.text
    behind = text[end : end + 1]
    has_year = len(match["a"]) == _YEAR_DIGITS
    if context.before(VERSION, match.start()) or (not has_year and UNIT.match(text, end)):
        return False
    if behind in SIGNS.values() and text[end + 1 : end + 2].isdigit():
        if match["c"] is None and _NEXT_MONTH[match["s"]].match(text, end):
            return True
        following = _NEXT[match["s"]].match(text, end)
        return following is not None and _follows(following, match["s"])
    return has_year or not (behind.isascii() and behind.isalpha())


def _follows(match: re.Match[str], sign: str) -> bool:
    """Whether what stands behind a date is the next one of a range, and no further part of a number."""
    if match["dash"] and sign == "-":
        return match["y"] is not None
    return match["comma"] is None or match["m"] is not None


def _is_han(context: Context, match: re.Match[str]) -> bool:
    return _HAN.search(context.text, max(0, match.start() - 10), match.end() + 10) is not None


def _two(context: Context, match: re.Match[str]) -> FoundDate | None:
    """A month and its year, or a day of a month: only where words say so."""
    first, second, start = match["a"], match["b"], match.start()
    sizes = len(first), len(second)
    if sizes[0] != _YEAR_DIGITS and UNIT.match(context.text, match.end()):
        return None  # as most are measures, this is asked first
    if (
        sizes[0] == _YEAR_DIGITS
        and sizes[1] <= len("12")
        and _is_dated(context, start, match.end(), _NEXT_MONTH[match["s"]])
    ):
        order, month, day, real = "ym", second, "", real_day(int(first), int(second), MID_MONTH)
    elif sizes[0] <= len("12") and sizes[1] == _YEAR_DIGITS and match["s"] != "." and context.before(LABEL, start):
        order, month, day, real = "my", first, "", real_day(int(second), int(first), MID_MONTH)
    elif sizes[0] == _YEAR_DIGITS and sizes[1] <= len("12") and _is_month_of_text(context, match):
        order, month, day, real = "ym", second, "", real_day(int(first), int(second), MID_MONTH)
    elif (
        max(sizes) <= len("12")
        and 1 <= int(first) <= _MONTHS_OF_YEAR
        and 1 <= int(second) <= _DAYS_OF_MONTH
        and (context.before(STRICT_LABEL, start) or _is_told(context, match))
    ):
        order, month, day, real = "md", first, second, context.day_of_report(int(first), int(second))
    else:
        return None
    if not real or not _stands_alone(context, match):
        return None
    form = digits_form(order, _STYLES[match["s"]], month, day, "w" if match["w"] else "")
    return context.found(match.span(), form, real, "date.labelled")


_BORDER: Final = re.compile(r"(?:^|[,，。;:、(\n >|]|[于已至])$")
_CLOSED: Final = re.compile(r" {0,2}(?:$|[\n,。;)|\"])")
_LISTED: Final = re.compile(r"(?:^|\n)(?:[^\n0-9]{0,2}[0-9]{1,3}[ .、|])? ?$")
_OF_CASE: Final = re.compile(r"(?:^|\n)[A-Z]{0,3}[0-9]{2}-[0-9]{1,6},? (?:[A-Z][a-z'’-]*\.? ){1,4}$")
"""A line of a register up to its day: C24-09 I. Solberg."""
_LEAST_LISTED: Final = 3
_IN_BRACKETS: Final = re.compile(r"(?:诊断|报告|补充|活检|手术|术后|穿刺|冰冻|复查|初诊|会诊|细胞学?)[0-9一二三]?\($")
_TIMES: Final = re.compile(r"[0-9一二三四五六七八九]次(?:送检|检查|复查)?\($")
_ENDS_LINE: Final = re.compile(r"[ 。]{0,2}(?:\n|$)")
_SIGNED: Final = re.compile(r"(?:^|[\n,。;: ])(?:报告|审核|签发|复核)?[\u4e00-\u9fff]{2,4}[ ,]{0,3}$")
_MEASURED: Final = re.compile(
    "[见示癌瘤未无性变达仅共大小径厚长宽高重量度分值率比数约为级期型组积龄周第增数]|指数|[一-鿿]{5}"
)
_SIGNER: Final = re.compile(r" {1,2}[\u4e00-\u9fff]{2,4} {0,2}(?:$|[\n,。;])")
_ON_A_DAY: Final = re.compile(
    r"(?:(?:周|星期|礼拜)[一二三四五六日天]|[今明昨后][天日早晚]|(?P<done>[收采送取]样|收[到片]|"
    r"报告|签发|取材|送检))[ :(]?$"
)
_COUNTED: Final = re.compile("淋巴|[结组枚例个]|转移")
_NEXT_DAY: Final = re.compile(
    r"(?:\([^()\n]{1,6}\))?(?:[、,和与及 ]{1,2}|—{1,2}|[-~至])(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})(?![0-9/])"
)
_DAY_BEFORE: Final = re.compile(
    r"(?<![0-9/])(?P<m>[0-9]{1,2})/(?P<d>[0-9]{1,2})(?:\([^()\n]{1,6}\))?(?:[、,和与及 ]{1,2}|—{1,2}|[-~至])$"
)
_BY_SIGNER: Final = re.compile(
    r"(?:签[名字发]|审核|复核|报告|诊断|医[师生]|取材|记录|制片|切片|包埋|主任|经手人?|"
    r"接收人?)[: ]{0,3}[\u4e00-\u9fff](?: ?[\u4e00-\u9fff]){1,2}(?: {1,4}|\([^()\n]{1,8}\) {0,3})$|"
    r"(?:^|\n| {2})[\u4e00-\u9fff]{2,3} {2,6}$"
)
_CLOSED_DAY: Final = re.compile(r" {0,2}(?:$|\n)| 共[0-9]| [\u4e00-\u9fff]{2}:")
_BEHIND_DAY: Final = re.compile(r" {0,2}(?:$|[\n,。;)]| [\u4e00-\u9fff])| (?=[\u4e00-\u9fff])")
_NO_SIGNER: Final = re.compile("[见示癌瘤无性变达径厚宽高重量率值比数结节组侧端缘部叶区肺肝胃肠管腺] {0,6}$|淋巴")
_APART: Final = re.compile(r"(?:^|[,。;\n])$")
_ENDS_CLAUSE: Final = re.compile(r" ?(?:[,。;\n]|$)")
_LARGE_PART: Final = 6
_BEGINS: Final = re.compile(r"(?:^|[\n。;] ?)$")
_WHO: Final = re.compile(
    r" ?(?:与[\u4e00-\u9fff]|家属|患者|临床|再次|口头|门诊|[\u4e00-\u9fff]{2,4}(?:接听|来电|告知|"
    r"通知|送|取走|收|签|借|还|寄))"
)
_OPERATED: Final = re.compile(
    r" ?(?:剖宫产|顺产|分娩|引产|清宫|手术|入院|出院|冰冻|活检|穿刺|切除|根治|化疗|放疗|出生|人流|刮宫)"
)
_OPERATED_BEFORE: Final = re.compile("(?:活检|根治术?|手术|冰冻|入院|出院|剖宫产|清宫)[ :]?$")
_TIMES_LISTED: Final = re.compile(r"(?:[、,和及 ]{1,2}[0-9]{1,2}/[0-9]{1,2}){0,5} ?共?[两二三四五六0-9]次(?!/)")
_CAME: Final = re.compile(r"(?:^|[。;\n(] ?|[0-9]\))$|[^0-9],$")
_WHERE: Final = re.compile(
    r" ?(?:(?P<at>[在于])?(?=[省市县区镇乡](?:[一二三四五六]|人民|中医|妇幼|医院|肿瘤|儿童|疾控|卫生)"
    r"|[\u4e00-\u9fff]{1,6}(?:医院|妇幼|诊所|卫生院))"
    r"|[在于](?:外院|外地|当地|我院|本院)"
    r"|(?:门诊|住院|外院|急诊|当地|我院|本院|再次|复诊|就诊|来院|来诊)(?![号者]))"
)
"""Where somebody was on a day: 6-21在县妇幼, 12-07 门诊."""
_SENT: Final = re.compile("(?:寄[出送来]|借出|归还|发出|电告|来电|致电|术日)[ :(]?$")
_TAKEN: Final = re.compile("(?:采样|采集|收样|送样|接样)[ :]?$")
_SEEN: Final = re.compile(
    r" ?(?:MRI?(?![A-Za-z])|CT(?![A-Za-z])|PET|B超|超声|彩超|[胃肠]镜|钼靶|X线|DR(?![A-Za-z])|"
    r"(?:0[0-9]{2,3}[- ]?[2-8][0-9]{2}|1[3-9][0-9][- ]?[0-9]{4}))"
)
"""How somebody was examined on a day, or the number that was called on it."""
_NO_MONTH: Final = frozenset("年号例个版次条页第期至到")
_PROGRAM: Final = re.compile("(?:软件|系统|固件|程序|协议|指南|平台|评分|得分)[ :]?$")
_NO_DAY: Final = frozenset("节章条款版图表号例项页级分")
_CLOSED_MONTH: Final = re.compile(" ?[,)]| [A-Z]{1,2}[0-9]{2}-")
_BEFORE_SENDING: Final = re.compile(" ?前(?:发|完成|出|取|必须|务必|交|到|送)")
_CLOCK_EN: Final = re.compile(" [0-2]?[0-9][:.][0-5][0-9](?![0-9])")
_DONE_EN: Final = re.compile(
    r"(?:scanned|faxed|phoned|called|notified|drawn|mailed|returned|logged|received|collected|signed|reported|reviewed) $"
)
_COUNTED_EN: Final = re.compile(r" (?:[a-z]+ )?(?:nodes?|cores?|LNs?|slides?|blocks?|HPF|positive|levels?|fragments?)")
_NODES: Final = re.compile(rf"{_COUNTED_EN.pattern}| ?(?:pos|neg|\+|involved|with)")
_HOUR: Final = re.compile(" [0-2]?[0-9]:[0-5][0-9]")
_FURTHEST = 30


def _is_short_day(context: Context, match: re.Match[str]) -> bool:
    """Whether 24.5.3 is a day: as the year before the report's, and nothing beside it makes it a count or a heading."""
    text, (start, end) = context.text, match.span()
    is_labelled = context.before(LABEL, start)
    if not is_labelled and not _BORDER.search(text[max(0, start - 1) : start]) and not _is_word_before(text, start):
        return False
    if _PROGRAM.search(text[max(0, start - 4) : start]):
        return False
    is_born = is_labelled or text.startswith("生", end)
    if context.before(NUMBER, start) or (context.year and not is_born and not _is_near(context, match["a"])):
        return False
    is_closed = any(sign.match(text, end) for sign in (_CLOSED, CLOCK, DONE, HAPPENED))
    is_closed = is_closed or (context.is_about(match["a"]) and _SIGNER.match(text, end) is not None)
    if match["s"] == "/" and int(match["a"]) > _MONTHS_OF_YEAR and _CLOSED.match(text, end) and context.is_about(match["a"]):
        return True
    if match["s"] == ".":
        behind = text[end : end + 1]
        return is_closed or (_HAN.match(behind) is not None and behind not in _NO_DAY)
    is_whole = {len(match["b"]), len(match["c"])} == {len("05")} or _HOUR.match(text, end) is not None
    return is_closed and (match["s"] == "-" or ((is_whole or is_labelled) and int(match["a"]) > _MONTHS_OF_YEAR))


def _is_word_before(text: str, start: int) -> bool:
    return _HAN.match(text[start - 1 : start]) is not None and text[start - 1] not in "约径大为厚宽长厘"


def _is_near(context: Context, digits: str) -> bool:
    return context.year is not None and -1 <= context.year - context.full_year(digits) <= _FURTHEST


def _is_month_of_text(context: Context, match: re.Match[str]) -> bool:
    """Whether 2021-10 begins what happened then: a sign before it, a word behind it."""
    behind = context.text[match.end() : match.end() + 1]
    is_begun = _BORDER.search(context.text[max(0, match.start() - 1) : match.start()]) is not None
    is_word = _HAN.match(behind) is not None and behind not in _NO_MONTH
    if context.year is not None and _CLOSED_MONTH.match(context.text, match.end()):
        is_past = 0 <= context.year - int(match["a"]) <= _FURTHEST and 1 <= int(match["b"]) <= _MONTHS_OF_YEAR
        if is_past and (is_begun or _HAN.match(context.text[match.start() - 1 : match.start()])):
            return match["s"] != "." and not context.before(NUMBER, match.start())
    return match["s"] != "/" and is_begun and is_word and not context.before(NUMBER, match.start())


def _is_told(context: Context, match: re.Match[str]) -> bool:
    """Whether 6-21, 7/19 or 11.8 is a day: by the time behind it, what was done on it, or the brackets it is in."""
    text, (start, end) = context.text, match.span()
    if not (1 <= int(match["a"]) <= _MONTHS_OF_YEAR) or context.before(NUMBER, start):
        return False
    before = text[max(0, start - 8) : start]
    if _is_day_by_words(match, before) or _is_one_of_days(match) or _is_done_on(match) or _is_beside_act(match):
        return True
    if CLOCK.match(text, end):
        return not before[-1:].isalnum() or _is_word_before(text, start)
    if DONE.match(text, end):
        # 淋巴结3/10送检, 2.5收缩: beside a sign or a word of time only.
        is_sure = _BEFORE_SENDING.match(text, end) or (match["s"] == "/" and before[-1:] in {"调", "起", "自", "在"})
        return bool(is_sure or _BORDER.search(before))
    if text[end : end + 1] == ")" and match["s"] == "-":
        return _IN_BRACKETS.search(before) is not None
    return match["s"] == "/" and _TIMES.search(before) is not None


def _is_done_on(match: re.Match[str]) -> bool:
    """Whether an English word for what was done stands before it (scanned 9/19), and nothing that is counted behind it."""
    is_day = match["s"] == "/" and int(match["b"]) > _MONTHS_OF_YEAR
    before = match.string[max(0, match.start() - 12) : match.start()]
    return is_day and _DONE_EN.search(before) is not None and _COUNTED_EN.match(match.string, match.end()) is None


def _is_beside_act(match: re.Match[str]) -> bool:
    """Whether it stands behind a signature (审核 纪晓 4/22), a parcel that was sent, a sample, or before an examination."""
    text, (start, end), sign = match.string, match.span(), match["s"]
    before = text[max(0, start - 24) : start]
    is_padded = match["a"].startswith("0") and len(match["b"]) == len("12")
    if _begins_what_happened(match, before):
        return True
    if sign != "." and _CAME.search(before) and (where := _WHERE.match(text, end)):
        # 3-5门诊复查 may be months.
        return where["at"] is not None or (sign == "-" and len(match["b"]) == len("12"))
    if sign == "-":
        is_taken = _TAKEN.search(before) or (is_padded and _ON_A_DAY.search(before[-8:]))
        return bool(is_taken and _BEHIND_DAY.match(text, end)) or bool(
            _BORDER.search(before) and _SEEN.match(text, end) and not _COUNTED.search(before[-8:])
        )
    if _BORDER.search(before) and _SEEN.match(text, end):
        return not _MEASURED.search(before[-3:])
    if _SENT.search(before):
        return _BEHIND_DAY.match(text, end) is not None
    is_signed = _BY_SIGNER.search(before) is not None and _CLOSED_DAY.match(text, end) is not None
    return is_signed and not _NO_SIGNER.search(before[-8:])


def _begins_what_happened(match: re.Match[str], before: str) -> bool:
    """8/19与汪护士长核对, 9-17剖宫产, 活检5-11, 复查3/11、4/2两次: no half (1/2切除) and no count of nodes."""
    text, end, sign = match.string, match.end(), match["s"]
    first, second = int(match["a"]), int(match["b"])
    is_no_part = sign != "/" or first >= second or second > _LARGE_PART
    if _BEGINS.search(before) and _WHO.match(text, end):
        return sign != "-" and is_no_part
    if sign != "." and _APART.search(before) and _OPERATED.match(text, end):
        return is_no_part
    if sign == "-" and _OPERATED_BEFORE.search(before):
        return _ENDS_CLAUSE.match(text, end) is not None
    return sign == "/" and _TIMES_LISTED.match(text, end) is not None and not _COUNTED.search(before[-14:])


def _is_signed(context: Context, match: re.Match[str], year: str) -> bool:
    """Whether a date ends a line behind a name, and is of about the report's year."""
    is_last = _ENDS_LINE.match(match.string, match.end()) is not None
    before = match.string[max(0, match.start() - 8) : match.start()]
    return is_last and context.is_about(year) and _SIGNED.search(before) is not None


def _is_day_by_words(match: re.Match[str], before: str) -> bool:
    """周五7.19, 收样05.27, and what ends a line behind a name (韩江6.30): no half (取材1/2) and no length."""
    is_whole = int(match["b"]) > _MONTHS_OF_YEAR or match["b"].startswith("0")
    if match["s"] == "-":
        return False
    told = _ON_A_DAY.search(before)
    if told:
        is_done = match["s"] == "/" or match["a"].startswith("0") or DONE.match(match.string, match.end())
        return told["done"] is None or (is_whole and bool(is_done))
    signed = _SIGNED.search(before) if match["s"] == "." and len(match["b"]) == len("12") else None
    return bool(signed and _ENDS_LINE.match(match.string, match.end()) and not _MEASURED.search(signed[0]))


def _is_one_of_days(match: re.Match[str]) -> bool:
    """Whether the day after or before it is named beside it, as of days on which something was repeated: 12/2、12/3."""
    if match["s"] != "/":
        return False
    text, start, end = match.string, match.start(), match.end()
    beside = (_NEXT_DAY.match(text, end), 1), (_DAY_BEFORE.search(text, max(0, start - 14), start), -1)
    is_beside = any(day and day["m"] == match["a"] and int(day["d"]) == int(match["b"]) + step for day, step in beside)
    return is_beside and not _COUNTED.search(text[max(0, start - 14) : start] + text[end : end + 14])


def _is_dated(context: Context, start: int, end: int, following: re.Pattern[str]) -> bool:
    """Whether a label stands before it, or behind it an event or the other end of a range."""
    if context.before(LABEL, start) or following.match(context.text, end):
        return True
    return HAPPENED.match(context.text, end) is not None and not context.before(NUMBER, start)


def find_compact(context: Context) -> Iterator[FoundDate | None]:
    """Days of eight digits: behind a label, before an event, in brackets, between underscores, or with a time behind."""
    for match in _COMPACT.finditer(context.text):
        real = _compact_day(match["d"])
        if real and (
            _is_stamp(match)
            or _is_dated(context, match.start(), match.end(), _NEXT_COMPACT)
            or _is_set_apart(context, match)
        ):
            yield context.found(match.span(), "ymd-compact", real, "date.compact")


def _compact_day(digits: str) -> date | None:
    """The day that eight digits mean."""
    return real_day(int(digits[:4]), int(digits[4:6]), int(digits[6:]))


def _is_stamp(match: re.Match[str]) -> bool:
    time = match["t"] or ""
    return len(time) >= len("101112") and not time.startswith(" ")


def _is_set_apart(context: Context, match: re.Match[str]) -> bool:
    before, after = context.text[max(0, match.start() - 1) : match.start()], context.text[match.end() : match.end() + 1]
    if before == "(" and after in {")", ",", " ", ":"}:
        return not context.before(NUMBER, match.start() - 1)
    return "_" in {before, after}


def next_digits(context: Context, last: FoundDate) -> FoundDate | None:
    """The next date of a range: 2024.5.3-5.8, 2024-05-03至08, 20240503-20240510."""
    order, style, flags = form_parts(last.form)
    if style == "compact":
        match = _NEXT_COMPACT.match(context.text, last.end)
        real = _compact_day(match["d"]) if match else None
        return FoundDate(match.start("d"), match.end(), last.form, real, "date.range") if match and real else None
    if style not in SIGNS or order not in {"ymd", "md", "ym"}:
        return None
    if order == "ym":
        return _next_month(context, last)
    match = _NEXT[SIGNS[style]].match(context.text, last.end)
    if not match or not _follows(match, SIGNS[style]) or UNIT.match(context.text, match.end()):
        return None
    month = match["m"] or str(last.day.month)
    real = real_day(int(match["y"] or last.day.year), int(month), int(match["d"]))
    start = match.start("y") if match["y"] else match.start("m") if match["m"] else match.start("d")
    form = (
        form_of(order, style, flags)
        if match["m"] is None
        else digits_form(order, style, month, match["d"], flags.strip("dm"))
    )
    found = context.found((start, match.end()), form, real, "date.range")
    return replace(found, form=form_of("ymd", style, form_parts(form)[2])) if found and match["y"] else found


def _next_month(context: Context, last: FoundDate) -> FoundDate | None:
    order, style, flags = form_parts(last.form)
    match = _NEXT_MONTH[SIGNS[style]].match(context.text, last.end)
    if not match:
        return None
    form = digits_form(order, style, match["m"], "", flags.strip("m"))
    return context.found(
        (match.start("y"), match.end()), form, real_day(int(match["y"]), int(match["m"]), MID_MONTH), "date.range"
    )
