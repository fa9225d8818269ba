"""Rules that compare a recipe with what is known of an archive: its profile, and what the last run counted."""

from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate import codelists
from pathcurate.model.finding import Severity
from pathcurate.model.recipe import Missing, Range
from pathcurate.model.recipe.levels import LEVEL_VIEWS
from pathcurate.recipelint import places
from pathcurate.recipelint.meaning import interval
from pathcurate.recipelint.rule import Hit, Rule, Subject

OTHER = "(other)"
"""In a profile: all values that it does not list."""
_MARGIN = 0.01
"""Of a range: its ends are rounded to three digits."""


def _tables(subject: Subject) -> Mapping[str, Any]:
    tables: Mapping[str, Any] = (subject.archive or {}).get("tables", {})
    return tables


def _columns(subject: Subject, view: str) -> dict[str, Mapping[str, Any]]:
    return {column["name"]: column for column in _tables(subject).get(view, {}).get("columns", ())}


def _asked(subject: Subject) -> Iterator[tuple[places.PlacedCondition, Mapping[str, Any], object]]:
    """Each condition on a column that the profile describes, with what it says and the rows of the table."""
    for placed in places.conditions(subject.recipe):
        facts = _columns(subject, placed.view).get(placed.column)
        if facts is not None:
            yield placed, facts, _tables(subject)[placed.view]["rows"]


def _absent(subject: Subject, *, all_of_them: bool) -> Iterator[Hit]:
    """Conditions of which all values are absent from the archive, or only some."""
    for placed, facts, _ in _asked(subject):
        counts = facts.get("counts")
        named = [str(value).lower() if isinstance(value, bool) else str(value) for value in places.values(placed.condition)]
        if not counts or OTHER in counts or not named:
            continue
        absent = [f"`{text}`" for text in named if text not in counts]
        if absent and (len(absent) == len(named)) is all_of_them:
            commonest = ", ".join(f"`{value}` ({in_short(count)})" for value, count in list(counts.items())[:3])
            there = f"; the commonest are {commonest}" if all_of_them else ""
            message = f"no row of {placed.view} has {', '.join(absent)} in `{placed.column}`{there}"
            yield Hit(placed.path, message, on_key=True)


def _absent_values(subject: Subject) -> Iterator[Hit]:
    return _absent(subject, all_of_them=True)


def _some_absent(subject: Subject) -> Iterator[Hit]:
    return _absent(subject, all_of_them=False)


def in_short(count: int | str) -> str:
    """A count in few characters: 1.9 M, 12 k, 350; one that is hidden as it is."""
    if isinstance(count, str) or count < 10_000:
        return str(count)
    return f"{count / 1_000_000:.1f} M" if count >= 1_000_000 else f"{count / 1000:.0f} k"


def _outside(subject: Subject) -> Iterator[Hit]:
    for placed, facts, _ in _asked(subject):
        known = facts.get("range")
        if known is None:
            continue
        margin = _MARGIN * max(abs(known["min"]), abs(known["max"]))
        low, high = known["min"] - margin, known["max"] + margin
        if isinstance(placed.condition, Range):
            start, end = interval(placed.condition)
            is_outside = end < low or high < start
        else:
            numbers = [value for value in places.values(placed.condition) if not isinstance(value, str | bool)]
            is_outside = bool(numbers) and all(value < low or high < value for value in numbers)
        if is_outside:
            message = f"`{placed.column}` lies between {known['min']:g} and {known['max']:g} in this archive"
            yield Hit(placed.path, message, on_key=True)


def _always_missing(subject: Subject) -> Iterator[Hit]:
    for placed, facts, rows in _asked(subject):
        is_empty = isinstance(rows, int) and rows > 0 and facts.get("missing") == rows
        if is_empty and not (isinstance(placed.condition, Missing) and placed.condition.missing):
            yield Hit(placed.path, f"`{placed.column}` has no value in any row of {placed.view}", on_key=True)


def code_counts(archive: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Rows by code, by ``table.column``, as far as a profile lists all codes; of a hidden count only that there are some."""
    counts: dict[str, dict[str, int]] = {}
    for table, facts in archive.get("tables", {}).items():
        for column in facts["columns"]:
            listed = column.get("counts")
            if listed and OTHER not in listed and (column["name"] == "code" or column["name"].startswith("icd")):
                counts[f"{table}.{column['name']}"] = {
                    code: rows if isinstance(rows, int) else 1 for code, rows in listed.items()
                }  # fmt: skip
    return counts


def _unseen_codes(subject: Subject) -> Iterator[Hit]:
    counts = code_counts(subject.archive or {})
    for name, codelist in (subject.recipe.codelists or {}).items():
        fitting = [column for column in counts if codelists.fits(codelist.system, column.partition(".")[2])]
        if not fitting:
            continue
        (coverage,) = codelists.check({name: codelist}, {column: counts[column] for column in fitting})
        for code in coverage.unseen:
            path = ("codelists", name, "codes", (codelist.codes or ()).index(code))
            yield Hit(path, f"no row of this archive has `{code}` or a code that counts with it")


def _no_rows(subject: Subject) -> Iterator[Hit]:
    tables = _tables(subject)
    for rows in places.all_rows(subject.recipe):
        if rows.table in tables and tables[rows.table]["rows"] == 0:
            yield Hit(rows.path, f"this archive has no {rows.table}", on_key=True)
    for placed in places.rules(subject.recipe):
        view = LEVEL_VIEWS[placed.level]
        if placed.rule.where is not None and view in tables and tables[view]["rows"] == 0:
            yield Hit((*placed.path, "where"), f"this archive has no {view}", on_key=True)


def _dropped(subject: Subject, *, everything: bool) -> Iterator[Hit]:
    paths = {criterion.id: path for path, _, criterion in places.criteria(subject.recipe)}
    left: int | None = None
    for step in subject.last_run:
        # Where nothing had been left already, a step says nothing of its criterion.
        before, left = left, step.remaining
        if step.id not in paths or before == 0:
            continue
        if everything and step.remaining == 0:
            yield Hit(paths[step.id], f"after `{step.id}` nothing was left in the last run")
        if not everything and step.dropped == 0:
            yield Hit(paths[step.id], f"`{step.id}` dropped nothing in the last run")


def _dropped_nothing(subject: Subject) -> Iterator[Hit]:
    return _dropped(subject, everything=False)


def _dropped_all(subject: Subject) -> Iterator[Hit]:
    return _dropped(subject, everything=True)


RULES = (
    Rule("value_not_there", Severity.WARNING, "A value is asked for that no row of the archive has.",
         "Correct the value; `pathcurate describe` shows which there are.", _absent_values),
    Rule("some_values_not_there", Severity.INFO, "Some of the values that are asked for are in no row of the archive.",
         "Keep them if they may still come; else take them away.", _some_absent),
    Rule("range_not_there", Severity.WARNING, "A range is asked for in which the archive has no value.",
         "Correct the range; mind the unit.", _outside),
    Rule("column_always_missing", Severity.WARNING, "A column is asked for that has no value in this archive.",
         "Ask for something else, or import what fills it.", _always_missing),
    Rule("code_not_there", Severity.INFO, "A code list has a code that the archive does not have.",
         "See `pathcurate codelist check`: perhaps the archive writes it otherwise.", _unseen_codes),
    Rule("table_empty", Severity.WARNING, "Rows are asked for of a table that is empty in this archive.",
         "Import them, or ask for something else.", _no_rows),
    Rule("dropped_nothing", Severity.INFO, "A criterion dropped nothing in the last run.",
         "Keep it if it guards against what may still come; else take it away.", _dropped_nothing),
    Rule("dropped_all", Severity.WARNING, "A criterion left nothing in the last run.", "Relax it.", _dropped_all),
)  # fmt: skip
