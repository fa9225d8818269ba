"""Criteria that would tell a true value of whoever meets them."""

from datetime import date

from pathcurate.model.column import Type
from pathcurate.model.deidentified import CRITERIA_TABLES, TOP_AGE
from pathcurate.model.recipe import AnyOf, Condition, InCodelist, Missing, Range, Recipe
from pathcurate.model.recipe.mentions import mentions

_LEAST_DAYS = 28


def telling_criteria(recipe: Recipe) -> list[str]:
    """Criteria that would tell a true value of whoever meets them: one day, a span of less than four weeks, an age over 90.

    Criteria compare true values, and a recipe travels with its release: who is in the release meets every one of them. Two
    overlapping recipes can still be subtracted from one another; that is for a person to judge.
    """
    telling = [
        one.criterion or str(one.path[0])
        for one in mentions(recipe)
        if one.condition is not None and _is_telling(one.column, one.condition)
    ]
    return list(dict.fromkeys(telling))


def _is_telling(name: str, condition: Condition) -> bool:
    values = (
        condition.any_of
        if isinstance(condition, AnyOf)
        else ()
        if isinstance(condition, Missing | Range | InCodelist)
        else (condition,)
    )
    if name == "age":
        bounds = (condition.min, condition.max) if isinstance(condition, Range) else ()
        return any(isinstance(value, int | float) and value > TOP_AGE for value in (*values, *bounds))
    if name not in _TRUE_DATES:
        return False
    if isinstance(condition, Range) and isinstance(condition.min, date) and isinstance(condition.max, date):
        return (condition.max - condition.min).days + 1 < _LEAST_DAYS
    return bool(values)


_TRUE_DATES = frozenset(
    column.name for table in CRITERIA_TABLES.values() for column in table.columns if column.type is Type.DATE
)
