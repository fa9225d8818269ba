"""What conditions mean together: whether one shuts another out, or takes all of it in. Where that cannot be told: no."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import date

from pathcurate import codelists
from pathcurate.model.recipe import Codelist, Condition, InCodelist, Missing, Range, Recipe, Where, Window, parse_date
from pathcurate.recipelint.places import values

_FAR = float("inf")
MOST_COMPARED = 5000
"""Codes of a list beyond which it is not compared with others."""
Interval = tuple[float, float]


def shut_out(recipe: Recipe, one: Condition, other: Condition) -> bool:
    """Whether no value meets both conditions."""
    if isinstance(one, Missing) or isinstance(other, Missing):
        wants = [condition.missing if isinstance(condition, Missing) else False for condition in (one, other)]
        return wants[0] != wants[1]
    for first, second in ((one, other), (other, one)):
        if named := values(first):
            return not any(_meets(recipe, value, second) for value in named)
    if isinstance(one, Range) and isinstance(other, Range):
        return not _overlap(interval(one), interval(other))
    lists = _list(recipe, one), _list(recipe, other)
    return lists[0] is not None and lists[1] is not None and not share_codes(lists[0], lists[1])


def takes_in(recipe: Recipe, wide: Condition, narrow: Condition) -> bool:
    """Whether every value that meets the narrow condition meets the wide one."""
    if wide == narrow:
        return True
    if isinstance(wide, Missing) or isinstance(narrow, Missing):
        return isinstance(wide, Missing) and not wide.missing and not isinstance(narrow, Missing)
    if named := values(narrow):
        return all(_meets(recipe, value, wide) for value in named)
    if isinstance(wide, Range) and isinstance(narrow, Range):
        (low, high), (start, end) = interval(wide), interval(narrow)
        return low <= start and end <= high
    lists = _list(recipe, wide), _list(recipe, narrow)
    return lists[0] is not None and lists[1] is not None and _holds_list(lists[0], lists[1])


def where_shut_out(recipe: Recipe, one: Where, other: Where) -> str | None:
    """The column on which no row can meet both, None if there is none."""
    return next((name for name in one if name in other and shut_out(recipe, one[name], other[name])), None)


def where_takes_in(recipe: Recipe, wide: Where, narrow: Where) -> bool:
    """Whether every row that meets the narrow conditions meets the wide ones."""
    return all(name in narrow and takes_in(recipe, condition, narrow[name]) for name, condition in wide.items())


def window_takes_in(wide: Window | None, narrow: Window | None) -> bool:
    """Whether every day of the narrow window is one of the wide one."""
    if wide is None:
        return True
    if narrow is None:
        return False
    (low, high), (start, end) = days(wide), days(narrow)
    return low <= start and end <= high


def days(window: Window) -> Interval:
    """First and last day of a window relative to day 0, at the widest that calendar months can be."""
    start, end = window.start, window.end
    return (-_FAR if start is None else start.least_days, _FAR if end is None else end.most_days)


def interval(condition: Range) -> Interval:
    """The bounds of a range as numbers; those of dates as days."""
    return _number(condition.min, -_FAR), _number(condition.max, _FAR)


def share_codes(one: Codelist, other: Codelist) -> bool:
    """Whether some code is on both lists; long lists count as if it were."""
    if max(len(one.codes or ()), len(other.codes or ())) > MOST_COMPARED:
        return True
    first, second = on_list(one), on_list(other)
    return any(first(code) and second(code) for code in (*(one.codes or ()), *(other.codes or ())))


def on_list(codelist: Codelist) -> Callable[[str], bool]:
    """A test whether a code is on a list, for many codes."""
    if codelist.match == "exact":
        return frozenset(codelists.exact_codes(codelist)).__contains__
    beginnings, left_out = codelists.prefix_codes(codelist), codelists.prefix_without(codelist)

    def test(code: str) -> bool:
        folded = code.replace(".", "").upper()
        return _begins(folded, beginnings) and not _begins(folded, left_out)

    return test


def _begins(folded: str, beginnings: Sequence[str]) -> bool:
    # They are in order and none begins like another, so only the one before it can be its beginning.
    place = bisect_right(beginnings, folded)
    return place > 0 and folded.startswith(beginnings[place - 1])


def _holds_list(wide: Codelist, narrow: Codelist) -> bool:
    if max(len(wide.codes or ()), len(narrow.codes or ())) > MOST_COMPARED:
        return wide == narrow
    has_all = all(map(on_list(wide), narrow.codes or ()))
    return has_all and wide.without is None and (wide.match == "descendants" or narrow.match == "exact")


def _list(recipe: Recipe, condition: Condition) -> Codelist | None:
    return (recipe.codelists or {}).get(condition.codelist) if isinstance(condition, InCodelist) else None


def _meets(recipe: Recipe, value: str | int | float | bool, condition: Condition) -> bool:
    if isinstance(condition, Range):
        low, high = interval(condition)
        return low <= _day(value) <= high if isinstance(value, str) else low <= value <= high
    if isinstance(condition, InCodelist):
        codelist = _list(recipe, condition)
        # A list that is not there breaks other rules.
        return codelist is None or (isinstance(value, str) and codelists.matches(codelist, value))
    return value in values(condition)


def _number(bound: int | float | date | None, otherwise: float) -> float:
    if bound is None:
        return otherwise
    return bound.toordinal() if isinstance(bound, date) else bound


def _day(text: str) -> float:
    try:
        return parse_date(text).toordinal()
    except ValueError:
        return float("nan")


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
