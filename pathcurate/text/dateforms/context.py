"""What stands around a date: labels before it, what happened on it behind it, a time of day."""

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Final

from pathcurate.text.dateforms.forms import FoundDate, form_of

_NO_YEAR: Final = 2000
"""A leap year: stands for the year where neither text nor report has one; no form without a year shows it."""
_PIVOT: Final = 2049
_YEARS: Final = range(1900, 2100)
_LEAP_GAP: Final = 8
_LOOKBACK: Final = 24
_ABOUT: Final = 2

MONTH: Final = "(?:1[0-2]|0?[1-9])(?![0-9])"
DAY: Final = "(?:3[01]|[12][0-9]|0?[1-9])(?![0-9])"
JOIN: Final = "(?: ?(?:至|到|~|-{1,2}|—{1,2}|–|、|,|和|及|与) ?)"


@dataclass(frozen=True, slots=True)
class Label:
    """Words of which one stands before something.

    Attributes:
        words: in lower case; one of Latin letters must not be the end of a longer one.
        between: signs that may stand between such a word and what it labels.
    """

    words: tuple[str, ...]
    between: str = " :=\n"

    def ends(self, window: str) -> bool:
        """Whether a text ends with one of them."""
        bare = window.rstrip(self.between)
        lowered = bare.lower()
        if not lowered.endswith(self.words):
            return False
        # A Han word labels wherever it stands; of Latin ones the whole last word is looked at.
        last = _LAST_WORD.search(lowered)
        return last is None or any(last[0] == word or (" " in word and lowered.endswith(f" {word}")) for word in self.words)


_LAST_WORD: Final = re.compile(r"[a-z](?:[a-z.]{0,20})\Z")
_STRICT: Final = (
    "日期", "时间", "生日", "出生", "末次月经", "lmp", "date", "dates", "dated", "dob", "d.o.b.", "dos", "born", "birth",
    *(f"date of {what}" for what in ("collection", "receipt", "report", "service", "surgery", "procedure", "biopsy",
                                     "admission", "discharge", "visit", "death", "operation")),
)  # fmt: skip
_PREPOSITIONS: Final = ("on", "since", "from", "until", "till", "by", "of", "before", "after", "through", "to", "and")
STRICT_LABEL: Final = Label(_STRICT)
"""What must stand before two or three short numbers that could be anything."""
_EVENTS: Final = (
    "采集", "采样", "送检", "收检", "收到", "接收", "报告", "审核", "签发", "打印", "登记", "检查", "手术", "入院", "出院",
    "取材", "制片", "复查", "随访", "collected", "received", "reported", "signed", "accessioned", "performed", "printed",
)  # fmt: skip
LABEL: Final = Label(
    (*_STRICT, *_PREPOSITIONS, "in", "日", "期", "于", "自", "从", "至", "到", "在", "约", "生", *_EVENTS), " :=\n(["
)
"""What may stand before a day or month that could be something else."""
SINCE: Final = Label((*_STRICT, "于", "自", "从", "至", "到", "在"))
ON: Final = Label((*_STRICT, *_PREPOSITIONS, "between"))
VERSION: Final = Label(("版", "版本", "v", "version", "ver", "ver.", "release", "rev", "rev."))
NUMBER: Final = Label(("号", "号码", "编号", "条码", "id", "no", "no.", "#"))
HAPPENED: Final = re.compile(
    r" ?(?:日?(?:行|入院|出院|住院|手术|术[前中后]|送检|报告|复[查诊]|检查|来院|就诊|收[到检]|接收|确诊|诊断|出生|生[,.。;]"
    r"|会诊|[阅读]片|随访|取材|[我外本]院|当地|因|穿刺|活检|切除|化疗|放疗|超声|病理|胃镜|肠镜|在)|C\.?T(?![A-Za-z])|MRI?(?![A-Za-"
    r"z])|PET|B超)"
)
"""What may stand behind such a day or month."""
CLOCK: Final = re.compile(
    r" {0,2}(?:(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?![0-9])|[上下]午|凌晨|清晨|中午|傍晚|晚(?:[上间]|"
    r"(?=[0-9一二三四五六七八九十,"
    r"，。)]|$))|夜间|早[上晨]|"
    r"(?:[01]?[0-9]|2[0-3])(?:时(?!间)|点(?![方位钟])))"
)
"""A time of day behind a day."""
DONE: Final = re.compile(
    r" ?已?(?:出报|电话|[告通]知|接收|收(?:到|检|片|样|取|件)?(?![缩治])|签|登记|发(?![现育生病炎热])|"
    r"送[达检到往出]|寄|报告|补[发报签]|转[入院]|入院|出院|"
    r"来[院诊电]|复[查诊]|取[走片报]|完成|前(?:发|完成|出|取|必须|务必|交|到|送)|[借还]片?[出,，。]?|打印|审核|[行做]|手术|"
    r"加做|加切|追加|补充(?=结果|报告|诊断|意见|免疫|:)|归还|退还|返还|[领寄送]回|借出|外[送借]|出片|穿刺|补[电做]|外出|赴)"
)
"""What people do on a day, behind it."""
UNIT: Final = re.compile(
    r" ?(?:[cmμu]m(?![A-Za-z])|HPF|%|[x×*] ?[0-9]|个|枚|粒|块|厘米|毫米|倍|年|岁|例|条|高倍)", re.IGNORECASE
)
_TIME: Final = re.compile(
    r"(?:T| {0,2}(?:,|at|@)? {0,2}(?:上午|下午|凌晨|清晨|早上?|晚上?|中午|夜间?)? ?)"
    r"(?:[01]?[0-9]|2[0-3])"
    r"(?:: ?[0-5][0-9](?:: ?[0-5][0-9](?:\.[0-9]{1,6})?)?(?![0-9])"
    r"(?:Z(?![A-Za-z])|[+-][0-9]{2}:?[0-9]{2}(?![0-9]))?(?: ?(?:[AaPp]\.?[Mm](?![A-Za-z])\.?|hrs?(?![A-Za-z])"
    r"|(?:E|C|M|P|AE|NZ)[SD]T(?![A-Za-z])|(?:GMT|BST|UTC|IST)(?![A-Za-z])))?"
    r"| ?[AaPp]\.?[Mm](?![A-Za-z])\.?"
    r"|[0-5][0-9](?<=[ T@][0-2][0-9]{3})(?: ?(?:hrs?|hours|h)(?![A-Za-z])\.?|(?=[ ]*(?:$|[\n,;)]|[.:](?![0-9])|by |at ))"
    r"|(?<=at [0-2][0-9]{3})(?![0-9]|\.[0-9]))"
    r"|[.h][0-5][0-9](?<=[ @][0-2][0-9][.h][0-9]{2})(?=[ ]*(?:$|[\n,;)]|hrs|[ap]m(?![a-z])))(?: ?(?:hrs|[ap]m))?"
    r"| ?(?:时|点(?!方向|位|钟位|钟方))(?:钟|整|半)?(?: ?[0-5]?[0-9] ?分(?: ?[0-5]?[0-9] ?秒)?)?)"
)
_PART_OF_DAY: Final = re.compile(
    r" ?(?:上午|下午|凌晨|清晨|早[上晨]|中午|傍晚|夜间|晚[上间])? ?[一二两三四五六七八九十]{1,3}(?:时|点(?!方|位|"
    r"钟[方位]))(?:整|半"
    r"|[一三]刻|[一二三四五六七八九十]{1,3}分?)?许?"
)
_TIME_BEFORE: Final = re.compile(
    r"(?<![0-9:.])(?:[01]?[0-9]|2[0-3])[:.]?[0-5][0-9](?:(?: ?(?:[AaPp]\.?[Mm]\.?|hrs?|hours))?,? on | ?"
    r"(?:[AaPp]\.?[Mm]\.?|hrs?|hours), )\Z"
)
_WEEKDAY: Final = r"(?:(?i:mon|tues?|wed(?:nes|s)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day|DAY)?)(?![A-Za-z])"
_WEEKDAY_BEFORE: Final = re.compile(rf"(?<![A-Za-z]){_WEEKDAY}[.,]{{0,2}} (?:the )?\Z")
_WEEKDAY_BEHIND: Final = re.compile(rf"(?:,? |,? ?\()(?=[MTWFS]){_WEEKDAY}(?:\)|(?=[ ]*(?:[.,;)\n]|$)))")
_BEFORE_A_DATE: Final = "yntueidrs,.eYNTUEIDRS"


@dataclass(frozen=True, slots=True)
class Context:
    """A text in which dates are sought.

    Attributes:
        text: in half width.
        year: of the report, None if it is not known.
    """

    text: str = field(repr=False)
    year: int | None

    def before(self, label: Label, start: int) -> bool:
        """Whether a label ends where something starts."""
        return label.ends(self.text[max(0, start - _LOOKBACK) : start])

    def found(self, span: tuple[int, int], form: str, day: date | None, rule: str) -> FoundDate | None:
        """A date, with the time of day behind it and the day of the week; None if there is no such day."""
        start, end = span
        if day is None:
            return None
        if "d" in form.partition("-")[0]:
            # An English day of the week is written with its date and goes with it.
            is_named = start > len("Mon") and self.text[start - 1] == " " and self.text[start - 2] in _BEFORE_A_DATE
            weekday = _WEEKDAY_BEFORE.search(self.text, max(0, start - _LOOKBACK), start) if is_named else None
            start = weekday.start() if weekday else start
            weekday = _WEEKDAY_BEHIND.match(self.text, end) if self.text[end : end + 1] in {" ", ",", "("} else None
            end = weekday.end() if weekday else end
            time = _TIME.match(self.text, end)
            end = time.end() if time else end
            part = _PART_OF_DAY.match(self.text, end)
            end = part.end() if part and part.end() > end else end
            end += self.text.startswith("许", end) and end > span[1]
            # Before it as well: 10:14 on 3 July 2024.
            is_on = self.text.endswith(("on ", "s, ", "m, ", "r, "), 0, start)
            time = _TIME_BEFORE.search(self.text, max(0, start - _LOOKBACK), start) if is_on else None
            start = time.start() if time else start
        return FoundDate(start, end, form, day, rule)

    def full_year(self, digits: str) -> int:
        """The year that two digits mean: none that lies more than a year behind the report; of four digits itself."""
        number = int(digits)
        if len(digits) > len("24"):
            return number
        latest = _PIVOT if self.year is None else self.year + 1
        return 2000 + number if 2000 + number <= latest else 1900 + number

    def is_about(self, digits: str) -> bool:
        """Whether the year that two digits mean is that of the report, or one or two years from it."""
        return self.year is not None and abs(self.full_year(digits) - self.year) <= _ABOUT

    def day_of_report(self, month: int, day: int) -> date | None:
        """A day without a year: in that of the report, or in the last one before it that had such a day."""
        latest = _NO_YEAR if self.year is None or self.year not in _YEARS else self.year
        years = range(latest, max(latest - _LEAP_GAP, _YEARS.start - _LEAP_GAP) - 1, -1)
        return next((found for year in years if (found := _date(year, month, day))), None)


def real_day(year: int, month: int, day: int) -> date | None:
    """The day, None if the calendar has none or it is of another age of the world than a report."""
    return _date(year, month, day) if year in _YEARS else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


@lru_cache(4096)
def digits_form(order: str, style: str, month: str, day: str, *flags: str) -> str:
    """The form of a date in digits, with flags for the padding that its month and day show."""
    shown = {part: text.startswith("0") for part, text in (("m", month), ("d", day)) if text and len(text.lstrip("0")) == 1}
    default = next(iter(shown.values())) if shown else PADDED[style]
    padded = (part for part in "md" if part in order and shown.get(part, default))
    return form_of(order, style, *padded, *flags)


PADDED: Final = {"han": False, "minguo": False, "dash": True, "slash": False, "dot": True}
"""Whether a style is taken to be padded where the text does not show it."""
