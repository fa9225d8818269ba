"""Days in texts: where they stand, in what form they are written, and how another day is written in the same form.

A time of day belongs to its date and goes with it, and so does an English day of the week; a Chinese one stays, as days are
moved by whole weeks. What is no date: a year alone, a month without its year (5月龄, 3月后), a day that the calendar does
not have, counts and ratios (2/15, 3/10HPF), versions, sizes, UIDs, numbers of cases. Digits that could be any of these
(20240503, 2023-11, 24-05-03) are a date only behind a word that tells of one, or before what happened on it.
"""

from collections.abc import Callable, Iterator

from pathcurate.text.dateforms.context import Context
from pathcurate.text.dateforms.digits import day_beside, find_compact, find_numeric, next_digits
from pathcurate.text.dateforms.english import find_english
from pathcurate.text.dateforms.forms import FoundDate, is_form, write
from pathcurate.text.dateforms.han import find_han, next_han
from pathcurate.text.dateforms.rare import find_rare

__all__ = ["FoundDate", "find_dates", "is_form", "short_day", "write"]

_FINDERS: tuple[Callable[[Context], Iterator[FoundDate | None]], ...] = (
    find_han, find_numeric, find_compact, find_english, find_rare,
)  # fmt: skip
"""Of two that begin at the same character the longer counts, of equals the former."""


def find_dates(normal: str, year: int | None) -> list[FoundDate]:
    """Every date of a text, in order; they do not overlap.

    Args:
        normal: the text in half width, as long as the text itself (:func:`pathcurate.text.folding.half_width`).
        year: year of the report, for dates without one (5月3日) and of two digits (24年5月3日); None if it is not known.
    """
    context = Context(normal, year)
    found = [item for finder in _FINDERS for item in finder(context) if item]
    dates: list[FoundDate] = []
    end = 0
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if item.start < end:
            continue
        following: FoundDate | None = item
        while following:
            dates.append(following)
            end = following.end
            following = next_han(context, following) or next_digits(context, following)
    return dates


def short_day(normal: str, start: int, year: int | None) -> FoundDate | None:
    """A day at a place where nothing but a day stands, beside whoever signed: 7-19, 4/22, 18-3-7.

    Args:
        normal: the text in half width.
        start: where it begins.
        year: of the report, None if it is not known.
    """
    return day_beside(Context(normal, year), start)
