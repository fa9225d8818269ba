"""Criteria that would tell a true value of whoever meets them."""

from datetime import date

from pathcurate.model.column import Type
from pathcurate.model.deidentified import CRITERIA_TABLES, TOP_AGE
from pathcurate.model.recipe import Alternative, AnyOf, Condition, Criterion, InCodelist, Missing, Range, Recipe
from pathcurate.model.recipe.levels import LEVEL_VIEWS, recipe_views
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
    telling += [criterion.id for criterion in recipe.criteria if _escapes(criterion, criterion.level)]
    return list(dict.fromkeys(telling))


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


_AGES = ("age", "age_at_index")
_TRUE_DATES = frozenset(
    column.name for table in CRITERIA_TABLES.values() for column in table.columns if column.type is Type.DATE
)
