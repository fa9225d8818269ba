"""Dates of English texts: Aug 14, 2016; 14th of August 2016; 03-May-2024; August 3-5, 2016; 14/viii/16; Christmas Day 2016;
and without a Han character near, short ones in digits where nothing but a date is written so: signed 5.30.06, Thurs 6/16."""

import re
from collections.abc import Iterator
from typing import Final

from pathcurate.text.beginnings import Searched
from pathcurate.text.dateforms.context import ON, UNIT, VERSION, Context, Label, digits_form, real_day
from pathcurate.text.dateforms.forms import MID_MONTH, MONTHS, SIGNS, FoundDate, form_of

_NAME: Final = Searched(
    r"(?<![A-Za-z])(?=[JFMASONDjfmasond])(?:(?i:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?))(?![A-Za-z])"
)
_MONTH_OF: Final = {name[:3].lower(): number for number, name in enumerate(MONTHS, 1)}
_ABBREVIATED: Final = 4
_DAY: Final = "(?:3[01]|[12][0-9]|0?[1-9])"
_TH: Final = "(?:st|nd|rd|th)"
_TO: Final = r"(?: ?[-–&] ?| to | and | through )"
_YEAR: Final = r"(?:(?:19|20)[0-9]{2}(?![0-9]))"
_BEFORE: Final = re.compile(
    rf"(?<![0-9])(?<![0-9][./:])(?:(?P<first>{_DAY})(?P<fo>{_TH})?{_TO})?(?P<d>{_DAY})(?P<o> ?{_TH})?(?P<j>\. | day of "
    rf"| of | |-|/|)\Z",
    re.IGNORECASE,
)
_YEAR_BEFORE: Final = re.compile(r"(?<![0-9])(?P<y>(?:19|20)[0-9]{2})(?P<j>[ /-])\Z")
_LOOKBACK: Final = 24
_YEAR_AFTER: Final = re.compile(
    rf"(?P<p>\.?)(?P<c> ?,)?(?: of)?(?P<j> |-|/|)(?P<q>')?(?P<y>{_YEAR}|[0-9]{{2}}(?![0-9]|[.:/%][0-9]))", re.IGNORECASE
)
_DAY_AFTER: Final = re.compile(
    rf"(?P<p>\.?)(?P<j> |-|/|(?<=\.))(?P<d>{_DAY})(?![0-9])(?P<o>{_TH}(?![A-Za-z]))?", re.IGNORECASE
)
_REST_OF_DAY: Final = re.compile(
    rf"(?P<c> ?,)?(?P<j> |-|(?<=,))(?:(?P<q>')?(?P<y>{_YEAR}|(?:(?<=[-'])|(?<=, ))[0-9]{{2}}(?![0-9]|[.:/%][0-9])))"
)
_LAST_DAY: Final = re.compile(rf"{_TO}(?P<d>{_DAY})(?![0-9])(?P<o>{_TH}(?![A-Za-z]))?(?![./%]?[0-9])", re.IGNORECASE)
_NEXT_MONTH: Final = re.compile(rf"{_TO}(?=[JFMASOND]){_NAME.compiled.pattern.removeprefix('(?<![A-Za-z])')}")
_GENE: Final = re.compile(r"[0-9]*(?:[/.][0-9]|[-+(]|%| ?(?:positive|negative|stain))", re.IGNORECASE)


_NUMERALS: Final = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_ROMAN: Final = {name: number for number, name in enumerate(_NUMERALS, 1)}
_ROMAN_DATE: Final = Searched(
    rf"(?P<d>[0-9](?<![0-9A-Za-z./-][0-9])[0-9]?) ?(?P<s>[-/.]) ?(?P<m>(?:x(?:i{{0,2}})|ix|iv|v?i{{1,3}}"
    rf"|v)) ?(?P=s) ?(?P<y>{_YEAR}|'?[0-9]{{2}})(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_FEASTS: Final = {
    "christmas day": (12, 25), "christmas eve": (12, 24), "christmas": (12, 25), "boxing day": (12, 26),
    "new year's day": (1, 1), "new year's eve": (12, 31), "valentine's day": (2, 14), "halloween": (10, 31),
    "st patrick's day": (3, 17), "st. patrick's day": (3, 17), "independence day": (7, 4), "bastille day": (7, 14),
    "bonfire night": (11, 5), "guy fawkes night": (11, 5), "anzac day": (4, 25), "canada day": (7, 1),
    "april fools' day": (4, 1),
}  # fmt: skip
_FEAST_WORDS: Final = "|".join(map(re.escape, _FEASTS)).replace("'", "['\u2019]")
_FEAST: Final = Searched(rf"(?<![A-Za-z])(?P<f>(?i:{_FEAST_WORDS}))(?:,? (?:of )?(?P<y>{_YEAR}))?(?![A-Za-z])")
_DONE: Final = Label(
    ("signed", "dated", "next", "reported", "received", "collected", "recvd", "rec'd", "dictated", "typed", "seen",
     "scheduled", "due",
     "biopsied", "operated", "performed", "printed", "verified", "admitted", "discharged", "booked", "appointment",
     "review", "appt", "sent", "notified", "told", "informed", "phoned", "rang", "called",
     "faxed", "posted", "discussed", "returned")
)  # fmt: skip
_SHORT_DATE: Final = Searched(
    r"(?P<a>[0-9](?<![0-9A-Za-z.,:%-][0-9])(?<![0-9]/[0-9])[0-9]?)(?P<s>[-.])(?P<b>[0-9]{1,2})(?P=s)(?P<y>[0-9]{2})"
    r"(?![0-9A-Za-z%/-]|\.[0-9])(?=[ ]*(?:[.,;:)\]\n\"|]|/ |$|(?:at|by|and|with|for|from|in|to|was|showed"
    r"|ret|report|path|CT|MRI)(?![a-z])|[0-9]{4}"
    r"|[A-Z]{2,4}(?![A-Za-z]))|[ ]{2}|[ ][-–—][ ])"
)
_WEEKDAY: Final = re.compile(
    r"(?<![A-Za-z])(?:Mon|Tue|Tues|Wed|Weds|Thu|Thur|Thurs|Fri|Sat|Sun)(?:day|sday|nesday"
    r"|rsday|urday)?[.,]? \Z"
)
_AT_TIME: Final = re.compile(
    r" (?:at |@ ?)?(?:[01][0-9]|2[0-3]):?[0-5][0-9](?![0-9]|\.[0-9])"
    r"| (?:at |@ ?)(?:1[0-2]|[1-9])(?::[0-5][0-9])? ?[ap]m"
)
_DAY_FIRST: Final = re.compile(r"(?<![0-9/.-])(?:1[3-9]|2[0-9]|3[01])/(?:0?[1-9]|1[0-2])(?![0-9])")
_DAY_OF_MONTH: Final = Searched(
    r"(?P<m>[0-9](?<![0-9A-Za-z.,:%/-][0-9])(?:(?<=[0-3])[0-9]|(?<=[1-9])))/(?P<d>3[01]|[12][0-9]"
    r"|0?[1-9])(?![0-9A-Za-z%/-]|\.[0-9])"
    r"(?=(?P<ends>[ ]*(?:[.,;:)\n]|$|[ ]{2}|[-–—] |(?:at|by|and|with|for|from|in|to|list|clinic|meeting|MDT|tumou?r"
    r"|typed|cell|tel|ph|mob|pager"
    r"|reported|sent|seen"
    r"|signed|dictated|am|pm)(?![a-z])))?)"
)
_HAN: Final = re.compile("[\u3400-\u9fff]")
_NO_DATE: Final = Label(
    (
        "section",
        "chapter",
        "figure",
        "fig",
        "table",
        "protocol",
        "item",
        "step",
        "stage",
        "grade",
        "score",
        "level",
        "ratio",
        "in",
        "of",
    )
)
_DAYS_WORD: Final = Label(
    (
        "on",
        "since",
        "until",
        "till",
        "dated",
        "date",
        "next",
        "signed",
        "scheduled",
        "due",
        "received",
        "collected",
        "reported",
        "dictated",
        "typed",
        "recd",
        "rec'd",
        "recvd",
        "sent",
        "seen",
        "printed",
        "biopsied",
        "verified",
        "authorised",
        "authorized",
        "phoned",
        "notified",
        "told",
        "informed",
        "rang",
        "discussed",
        "called",
        "faxed",
        "mailed",
        "booked",
        "admitted",
        "discharged",
        "clinic",
        "mdt",
        "mdm",
        "appt",
        "appointment",
        "signed out",
        "grossed",
        "embedded",
        "posted",
        "couriered",
        "shipped",
        "returned",
        "arrived",
        "theatre",
        "by",
    )
)


def find_english(context: Context) -> Iterator[FoundDate]:
    """Dates of English texts, in no order."""
    yield from _named_months(context)
    for reader in (_roman, _feasts, _short, _day_and_month):
        yield from filter(None, reader(context))


def _roman(context: Context) -> Iterator[FoundDate | None]:
    """28/ix/98: the month in Roman numerals, which is written again in digits."""
    for match in _ROMAN_DATE.finditer(context.text):
        year = match["y"].strip("'")
        day = real_day(context.full_year(year), _ROMAN[match["m"].lower()], int(match["d"]))
        style = next((style for style, sign in SIGNS.items() if sign == match["s"]), "slash")
        yield context.found(match.span(), form_of("dmy", style, "s" if len(year) == len("24") else ""), day, "date.roman")


def _feasts(context: Context) -> Iterator[FoundDate | None]:
    """Christmas Day 2016; without a year only behind a word that tells of a day."""
    for match in _FEAST.finditer(context.text):
        month, number = _FEASTS[match["f"].lower().replace("\u2019", "'")]
        if match["y"]:
            yield context.found(match.span(), "mdy-en-cf", real_day(int(match["y"]), month, number), "date.feast")
        elif context.before(ON, match.start()) and " " in match["f"]:
            yield context.found(match.span("f"), "md-en-f", context.day_of_report(month, number), "date.feast")


def _is_far_from_han(context: Context, match: re.Match[str]) -> bool:
    return _HAN.search(context.text, max(0, match.start() - 10), match.end() + 10) is None


def _short(context: Context) -> Iterator[FoundDate | None]:
    """9.8.74, 10-2-18: at the end of a clause, and nothing before it makes it a number of something else."""
    for match in _SHORT_DATE.finditer(context.text):
        first, second = int(match["a"]), int(match["b"])
        order = "dmy" if first > len(MONTHS) or (match["s"] == "." and second <= len(MONTHS)) else "mdy"
        month, number = (second, first) if order == "dmy" else (first, second)
        is_else = context.before(_NO_DATE, match.start()) or context.before(VERSION, match.start())
        if not is_else and _is_far_from_han(context, match) and not UNIT.match(context.text, match.end()):
            style = "dot" if match["s"] == "." else "dash"
            written = (match["b"], match["a"]) if order == "dmy" else (match["a"], match["b"])
            day = real_day(context.full_year(match["y"]), month, number)
            yield context.found(match.span(), digits_form(order, style, *written, "s"), day, "date.short")


def _day_and_month(context: Context) -> Iterator[FoundDate | None]:
    """Thurs 6/16, on 6/16."""
    for match in _DAY_OF_MONTH.finditer(context.text):
        weekday = _WEEKDAY.search(context.text, max(0, match.start() - _LOOKBACK), match.start())
        is_dated = weekday or (match["ends"] is not None and _is_told(context, match))
        if is_dated and _is_far_from_han(context, match):
            order = "dm" if int(match["m"]) > len(MONTHS) or _DAY_FIRST.search(context.text) else "md"
            month, day = (match["m"], match["d"]) if order == "md" else (match["d"], match["m"])
            if int(month) <= len(MONTHS):
                form = digits_form(order, "slash", month, day)
                yield context.found(match.span(), form, context.day_of_report(int(month), int(day)), "date.short")


def _is_told(context: Context, match: re.Match[str]) -> bool:
    if context.before(_DAYS_WORD, match.start()) or _AT_TIME.match(context.text, match.end()):
        return True
    # In brackets and no part of a whole: (8/2).
    is_aside = context.text.startswith("(", match.start() - 1) and context.text.startswith(")", match.end())
    return is_aside and match.start() > 0 and int(match["m"]) > int(match["d"])


def _named_months(context: Context) -> Iterator[FoundDate]:
    for name in _NAME.finditer(context.text):
        for read in (_day_first, _year_first, _month_first):
            found = [item for item in read(context, name) if item]
            if found:
                yield from found
                break


def _flags(name: re.Match[str]) -> str:
    """How a month is written."""
    word = name[0]
    case = "u" if word.isupper() else "b" if word.islower() else ""
    return case + ("f" if len(word) > _ABBREVIATED or word.lower() in {"june", "july"} else "")


def _month(name: re.Match[str]) -> int:
    return _MONTH_OF[name[0][:3].lower()]


def _padded(day: str) -> str:
    return "d" if day.startswith("0") else ""


def _day_first(context: Context, name: re.Match[str]) -> list[FoundDate | None]:
    """14 August 2016, 3-5 August 2016, 03-May-2024, 14 Aug."""
    before = _BEFORE.search(context.text, max(0, name.start() - _LOOKBACK), name.start())
    if not before:
        return []
    after = _YEAR_AFTER.match(context.text, name.end())
    flags = [_flags(name), _padded(before["d"]), "o" if before["o"] else "", "a" if "o" in before["j"].lower() else ""]
    is_enjoined = after and before["j"] == after["j"] == "" and len(before["d"]) == len("03") and name[0].isupper()
    if not after or not (is_enjoined or _has_year(before["j"], after)):
        return _day_without_year(context, name, before, flags)
    short = "s" if len(after["y"]) < len("2024") else ""
    day = real_day(context.full_year(after["y"]), _month(name), int(before["d"]))
    if before["j"] in {"-", "/"} and after["j"] in {"-", "/"}:
        form = form_of("dmy", "endash", flags[0], flags[1], short)
    elif before["j"] == after["j"] == "" and not after["q"]:
        form = form_of("dmy", "enjoined", flags[0], flags[1], short)
    else:
        form = form_of("dmy", "en", *flags, "p" if after["p"] else "", "c" if after["c"] else "", short)
    return _with_first(name, before, context.found((before.start("d"), after.end()), form, day, "date.en"))


def _with_first(name: re.Match[str], before: re.Match[str], last: FoundDate | None) -> list[FoundDate | None]:
    """A day and the one before it that shares its month: 3-5 August."""
    if last is None or before["first"] is None:
        return [last]
    span = before.start("first"), before.end("fo" if before["fo"] else "first")
    day = real_day(last.day.year, last.day.month, int(before["first"]))
    form = form_of("dm", "en", _flags(name), _padded(before["first"]), "o" if before["fo"] else "")
    return [FoundDate(*span, form, day, "date.range") if day else None, last]


def _has_year(joined: str, after: re.Match[str]) -> bool:
    """Two digits are a year behind the sign that joins day and month, or behind an apostrophe."""
    if len(after["y"]) > len("24"):
        return True
    return after["q"] is not None or (joined in {"-", "/", " "} and after["j"] == joined and not after["c"])


def _day_without_year(
    context: Context, name: re.Match[str], before: re.Match[str], flags: list[str]
) -> list[FoundDate | None]:
    if before["j"] in {"", "/"} or re.match(r"[-/. ]?[0-9]|-[A-Za-z]", context.text[name.end() : name.end() + 2]):
        return []
    told = before["o"] or _padded(before["d"]) or context.before(ON, before.start("d"))
    if not told and (not name[0].istitle() or name[0] == "May"):
        return []
    form = form_of("dm", "en", *flags)
    day = context.day_of_report(_month(name), int(before["d"]))
    return _with_first(name, before, context.found((before.start("d"), name.end()), form, day, "date.en"))


def _year_first(context: Context, name: re.Match[str]) -> list[FoundDate | None]:
    """2016-Aug-14."""
    before = _YEAR_BEFORE.search(context.text, max(0, name.start() - _LOOKBACK), name.start())
    after = _DAY_AFTER.match(context.text, name.end())
    if not before or not after or after["j"] != before["j"] or after["p"]:
        return []
    form = form_of("ymd", "endash", _flags(name), _padded(after["d"]))
    day = real_day(int(before["y"]), _month(name), int(after["d"]))
    return [context.found((before.start(), after.end()), form, day, "date.en")]


def _month_first(context: Context, name: re.Match[str]) -> list[FoundDate | None]:
    """Aug 14, 2016; Aug 3-5, 2016; August 14; August 2016."""
    first = _DAY_AFTER.match(context.text, name.end())
    flags = [_flags(name), "p" if first and first["p"] else ""]
    if not first:
        return [_month_of_year(context, name)]
    day_flags = [_padded(first["d"]), "o" if first["o"] else ""]
    last = _LAST_DAY.match(context.text, first.end())
    rest = _REST_OF_DAY.match(context.text, (last or first).end())
    if not rest:
        return _without_year(context, name, first, last, flags + day_flags)
    year = context.full_year(rest["y"])
    short = "s" if len(rest["y"]) < len("2024") else ""
    comma = "c" if rest["c"] else ""
    if last:
        head = real_day(year, _month(name), int(first["d"]))
        tail = real_day(year, _month(name), int(last["d"]))
        if not head or not tail:
            return []
        form = form_of("mdy", "en", *flags, _padded(last["d"]), "o" if last["o"] else "", comma, short)
        return [
            FoundDate(name.start(), first.end(), form_of("md", "en", *flags, *day_flags), head, "date.en"),
            context.found((last.start("d"), rest.end()), form, tail, "date.range"),
        ]
    if first["j"] == rest["j"] == "-":
        form = form_of("mdy", "endash", flags[0], day_flags[0], short)
    else:
        form = form_of("mdy", "en", *flags, *day_flags, comma, "g" if rest["j"] == "" else "", short)
    return [context.found((name.start(), rest.end()), form, real_day(year, _month(name), int(first["d"])), "date.en")]


def _without_year(
    context: Context, name: re.Match[str], first: re.Match[str], last: re.Match[str] | None, flags: list[str]
) -> list[FoundDate | None]:
    """August 14, August 3-5: no genes (OCT 4, SEPT 9) and no words (may 3, march 2)."""
    month = _month_of_year(context, name)
    if month:
        return [month]
    is_done = context.before(ON, name.start()) or context.before(_DONE, name.start())
    told = first["o"] or is_done or _NEXT_MONTH.match(context.text, first.end())
    could_be_else = name[0].isupper() or name[0] in {"May", "March", "Mar"} or (name[0] + first["d"]) in {"Oct3", "Oct4"}
    if first["j"] in {"-", "/"} or not name[0][0].isupper() or (could_be_else and not told):
        return []
    if _GENE.match(context.text, first.end()) and not last:
        return []
    made = [context.found((name.start(), first.end()), form_of("md", "en", *flags),
                          context.day_of_report(_month(name), int(first["d"])), "date.en")]  # fmt: skip
    if last and made[0]:
        form = form_of("md", "en", *flags[:2], _padded(last["d"]), "o" if last["o"] else "")
        day = context.day_of_report(_month(name), int(last["d"]))
        made.append(context.found((last.start("d"), last.end()), form, day, "date.range"))
    return made


def _month_of_year(context: Context, name: re.Match[str]) -> FoundDate | None:
    after = _YEAR_AFTER.match(context.text, name.end())
    if not after or (len(after["y"]) < len("2024") and after["q"] is None):
        return None
    short = "s" if len(after["y"]) < len("2024") else ""
    day = real_day(context.full_year(after["y"]), _month(name), MID_MONTH)
    if after["j"] in {"-", "/"}:
        form = form_of("my", "endash", _flags(name), short)
    else:
        form = form_of("my", "en", _flags(name), "p" if after["p"] else "", "c" if after["c"] else "", short)
    return context.found((name.start(), after.end()), form, day, "date.en")
