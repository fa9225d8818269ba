"""Rules about day 0 and the windows around it."""

from collections.abc import Iterator

from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Has, Index
from pathcurate.model.recipe.levels import PERSONAL
from pathcurate.recipelint import places
from pathcurate.recipelint.meaning import days, where_takes_in
from pathcurate.recipelint.places import PlacedRule
from pathcurate.recipelint.rule import Hit, Rule, Subject

_LONGEST_LIFE = 130 * 366


def _against(subject: Subject) -> Iterator[Hit]:
    for number, label in enumerate(subject.recipe.labels):
        nearest, event = label.nearest, label.time_to_event
        if nearest is not None and nearest.within is not None:
            low, high = days(nearest.within)
            if (nearest.direction == "before" and low > 0) or (nearest.direction == "after" and high < 0):
                message = f"no day of this window is one {nearest.direction} day 0"
                yield Hit(("labels", number, "nearest", "within"), message, on_key=True)
        if event is not None and event.event.within is not None and days(event.event.within)[1] < 0:
            message = "time runs from day 0, and this window ends before it"
            yield Hit(("labels", number, "time_to_event", "event", "within"), message, on_key=True)


def _too_far(subject: Subject) -> Iterator[Hit]:
    for rows in places.all_rows(subject.recipe):
        if rows.within is not None:
            low, high = days(rows.within)
            if low > _LONGEST_LIFE or high < -_LONGEST_LIFE:
                yield Hit((*rows.path, "within"), "this window lies beyond the longest life", on_key=True)


def _rows_of_index(subject: Subject) -> Iterator[tuple[PlacedRule, Has, Index]]:
    """Counts of the very rows that may give day 0, of those whom day 0 is given to."""
    index = subject.recipe.index
    for placed, has in places.counted(subject.recipe):
        of_the_same = index is not None and has.table == index.table and has.date in (None, index.date)
        if index is not None and of_the_same and has.within is not None and placed.level in ("patient", "event"):
            yield placed, has, index


def _before_first(subject: Subject) -> Iterator[Hit]:
    for placed, has, index in _rows_of_index(subject):
        is_narrower = where_takes_in(subject.recipe, index.where, has.where) and index.text in (None, has.text)
        if not is_narrower or index.per is not None or has.within is None or has.operator not in (">=", ">"):
            continue
        low, high = days(has.within)
        if (index.pick == "first" and high < 0) or (index.pick == "last" and low > 0):
            side = "before the first" if index.pick == "first" else "after the last"
            yield Hit((*placed.path, "has", "within"), f"such rows cannot lie {side} of them, which is day 0", on_key=True)


def _index_row(subject: Subject) -> Iterator[Hit]:
    for placed, has, index in _rows_of_index(subject):
        is_wider = where_takes_in(subject.recipe, has.where, index.where) and has.text in (None, index.text)
        low, high = days(has.within) if has.within is not None else (1, 0)
        if is_wider and low <= 0 <= high and has.operator in (">=", ">") and has.threshold <= 1:
            yield Hit((*placed.path, "has"), "the row that gives day 0 is one of those that are counted", on_key=True)


def _one_day_0(subject: Subject) -> Iterator[Hit]:
    if subject.recipe.index is None or subject.recipe.unit == "event":
        return
    for placed, has in places.counted(subject.recipe):
        if placed.level not in ("patient", "event") and has.within is not None and has.table not in PERSONAL:
            message = f"day 0 is the patient's, and may come from another {placed.level} than this one"
            yield Hit((*placed.path, "has", "within"), message, on_key=True)


RULES = (
    Rule("window_against_direction", Severity.ERROR, "A window lies on the wrong side of day 0.",
         "Correct the window, or the direction.", _against),
    Rule("window_too_far", Severity.ERROR, "A window lies beyond any life.", "Correct the unit of the duration.", _too_far),
    Rule("before_the_first", Severity.ERROR, "A window asks for rows before the first of them, or after the last.",
         "Let the window include day 0, or count other rows.", _before_first),
    Rule("index_row_counts", Severity.WARNING, "A count is met by the very row that gives day 0.",
         "Begin the window a day later, end it a day earlier, or raise the count.", _index_row),
    Rule("day_0_of_patient", Severity.INFO, "A window of a case or slide hangs on a day 0 that belongs to the patient.",
         "Ask it on level patient, or be sure that it is meant.", _one_day_0),
)  # fmt: skip
