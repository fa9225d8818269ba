"""Dates with an English month: Aug 14, 2016; 14th of August 2016; 03-May-2024; August 2016; August 3-5, 2016."""

import re
from collections.abc import Iterator
from typing import Final

from pathcurate.text.dateforms.context import ON, Context, real_day
from pathcurate.text.dateforms.forms import MID_MONTH, MONTHS, FoundDate, form_of

_NAME: Final = re.compile(
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
    rf"(?<![0-9])(?<![0-9][./:])(?:(?P<first>{_DAY})(?P<fo>{_TH})?{_TO})?(?P<d>{_DAY})(?P<o>{_TH})?(?P<j> of | |-|/|)\Z",
    re.IGNORECASE,
)
_YEAR_BEFORE: Final = re.compile(r"(?<![0-9])(?P<y>(?:19|20)[0-9]{2})(?P<j>[ -])\Z")
_LOOKBACK: Final = 24
_YEAR_AFTER: Final = re.compile(
    rf"(?P<p>\.?)(?P<c> ?,)?(?: of)?(?P<j> |-|/|)(?P<q>')?(?P<y>{_YEAR}|[0-9]{{2}}(?![0-9]|[.:/%][0-9]))", re.IGNORECASE
)
_DAY_AFTER: Final = re.compile(
    rf"(?P<p>\.?)(?P<j> |-|(?<=\.))(?P<d>{_DAY})(?![0-9])(?P<o>{_TH}(?![A-Za-z]))?", re.IGNORECASE
)
_REST_OF_DAY: Final = re.compile(
    rf"(?P<c> ?,)?(?P<j> |-|(?<=,))(?:(?P<q>')?(?P<y>{_YEAR}|(?:(?<=[-'])|(?<=, ))[0-9]{{2}}(?![0-9]|[.:/%][0-9])))"
)
_LAST_DAY: Final = re.compile(rf"{_TO}(?P<d>{_DAY})(?![0-9])(?P<o>{_TH}(?![A-Za-z]))?(?![./%]?[0-9])", re.IGNORECASE)
_NEXT_MONTH: Final = re.compile(rf"{_TO}(?=[JFMASOND]){_NAME.pattern.removeprefix('(?<![A-Za-z])')}")
_GENE: Final = re.compile(r"[0-9]*(?:[/.][0-9]|[-+(]|%| ?(?:positive|negative|stain))", re.IGNORECASE)


def find_english(context: Context) -> Iterator[FoundDate]:
    """Dates whose month is an English word."""
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
    if not after or not _has_year(before["j"], after):
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
    told = before["o"] or context.before(ON, before.start("d"))
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
    told = first["o"] or context.before(ON, name.start()) or _NEXT_MONTH.match(context.text, first.end())
    could_be_else = name[0].isupper() or name[0] in {"May", "March", "Mar"} or (name[0] + first["d"]) in {"Oct3", "Oct4"}
    if first["j"] == "-" or not name[0][0].isupper() or (could_be_else and not told):
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
