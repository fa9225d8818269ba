"""Criteria that would tell a true value of whoever meets them."""

from collections.abc import Iterator
from datetime import date

from pathcurate.model.column import Type
from pathcurate.model.deidentified import CRITERIA_TABLES, TOP_AGE, YEAR
from pathcurate.model.recipe import Alternative, AnyOf, Condition, Criterion, InCodelist, Missing, Range, Recipe
from pathcurate.model.recipe.levels import LEVEL_VIEWS, recipe_views
from pathcurate.model.recipe.mentions import mentions

_LEAST_DAYS = 28


def telling_criteria(recipe: Recipe) -> list[str]:
    """Criteria that would tell a true value of whoever meets them: one day, a span of less than four weeks, an age over 90.

    Criteria compare true values, and a recipe travels with its release: who is in the release meets every one of them. Two
    overlapping recipes can still be subtracted from one another; that is for a person to judge.
    """
    asked = [*((one.criterion or str(one.path[0]), one.path[0], one.column, one.condition) for one in mentions(recipe)),
             *_further_classes(recipe)]  # fmt: skip
    telling = [name for name, _, column, condition in asked if condition is not None and _is_telling(column, condition)]
    telling += [criterion.id for criterion in recipe.criteria if _escapes(criterion, criterion.level)]
    days = [(day, name, part) for name, part, column, condition in asked for day in _days(column, condition)]
    # Two criteria with a bound each narrow a day down as one with both does.
    for day, name, _ in days:
        if any(0 < abs(day - other) < _LEAST_DAYS for other, _, _ in days):
            telling.append(name)
    # Whoever is kept meets all criteria; what comes after them tells rows apart, and with each further day more closely.
    apart = [(day, name) for day, name, part in days if part in _TELLS_APART]
    if len({day for day, _ in apart}) > 1:
        telling += [name for _, name in apart]
    return list(dict.fromkeys(telling))


def _further_classes(recipe: Recipe) -> Iterator[tuple[str, str, str, Condition]]:
    """The conditions of all classes: a mention has that of the first."""
    for label in recipe.labels:
        column = label.nearest.column if label.nearest is not None else (label.column or "").partition(".")[2]
        for condition in (label.classes or {}).values():
            yield "labels", "labels", column, condition


def _days(name: str, condition: Condition | None) -> Iterator[int]:
    """The days at which a condition on a true date, or on its year, turns from false to true or back."""
    if name == YEAR.name and condition is not None and not isinstance(condition, Missing | InCodelist):
        ranges = [(condition.min, condition.max)] if isinstance(condition, Range) else [
            (value, value) for value in (condition.any_of if isinstance(condition, AnyOf) else (condition,))
        ]  # fmt: skip
        for first, last in ranges:
            yield from (date(int(year), 1, 1).toordinal() for year in (first,) if isinstance(year, int | float))
            yield from (date(int(year) + 1, 1, 1).toordinal() for year in (last,) if isinstance(year, int | float))
    elif name in _TRUE_DATES and isinstance(condition, Range):
        if isinstance(condition.min, date):
            yield condition.min.toordinal()
        if isinstance(condition.max, date):
            yield condition.max.toordinal() + 1


def _escapes(criterion: Criterion | Alternative, level: str) -> bool:
    """Whether ``sql`` looks at a true date or age: what it tells of them cannot be foreseen."""
    if criterion.sql is not None:
        # Few recipes have one, and a parser of SQL is slow to load.
        from sqlglot import exp  # noqa: PLC0415

        from pathcurate.sqlcondition import parse_condition  # noqa: PLC0415

        view = recipe_views(has_index=True)[LEVEL_VIEWS[level]]
        named = {column.name for column in parse_condition(criterion.sql, view).find_all(exp.Column)}
        return bool(named & {*_TRUE_DATES, *_AGES})
    return any(_escapes(one, one.level or level) for one in criterion.any_of or ())


def _is_telling(name: str, condition: Condition) -> bool:
    values = (
        condition.any_of
        if isinstance(condition, AnyOf)
        else ()
        if isinstance(condition, Missing | Range | InCodelist)
        else (condition,)
    )
    if name in _AGES:
        bounds = (condition.min, condition.max) if isinstance(condition, Range) else ()
        return any(isinstance(value, int | float) and value > TOP_AGE for value in (*values, *bounds))
    if name not in _TRUE_DATES:
        return False
    if isinstance(condition, Range) and isinstance(condition.min, date) and isinstance(condition.max, date):
        return (condition.max - condition.min).days + 1 < _LEAST_DAYS
    return bool(values)


_TELLS_APART = frozenset({"labels", "split", "tables"})
_AGES = ("age", "age_at_index")
_TRUE_DATES = frozenset(
    column.name for table in CRITERIA_TABLES.values() for column in table.columns if column.type is Type.DATE
)
