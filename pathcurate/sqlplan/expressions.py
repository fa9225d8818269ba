"""Literals and conditions as SQL text. Every value from a recipe passes through :func:`literal`."""

from collections.abc import Mapping
from datetime import date

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.recipe import AnyOf, Condition, Missing, Range, parse_date

# Microns per pixel and the like are floats: two spellings of one value must compare as equal.
_TOLERANCE = 1e-9


def literal(value: str | int | float | bool | date) -> str:
    """A value as a SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, str):
        # Doubling quotes is all that standard SQL needs; a backslash is an ordinary character in DuckDB.
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def condition_sql(alias: str, column: Column, condition: Condition) -> str:
    """A condition on a column; null where the column is missing, except for ``missing`` itself."""
    name = f"{alias}.{column.name}"
    if isinstance(condition, Missing):
        return f"{name} is {'' if condition.missing else 'not '}null"
    if isinstance(condition, Range):
        return " and ".join(_bounds(name, column, condition))
    if isinstance(condition, AnyOf):
        if column.type is Type.FLOAT:
            return "(" + " or ".join(_equals(name, column, value) for value in condition.any_of) + ")"
        return f"{name} in ({', '.join(literal(_typed(column, value)) for value in condition.any_of)})"
    return _equals(name, column, condition)


def all_sql(alias: str, table: Table, where: Mapping[str, Condition]) -> str:
    """All conditions together; ``true`` for none."""
    return " and ".join(f"({condition_sql(alias, table[name], where[name])})" for name in where) or "true"


def _equals(name: str, column: Column, value: str | int | float | bool) -> str:
    if column.type is Type.FLOAT:
        return f"abs({name} - {literal(value)}) <= {_TOLERANCE!r}"
    return f"{name} = {literal(_typed(column, value))}"


def _bounds(name: str, column: Column, condition: Range) -> list[str]:
    slack = _TOLERANCE if column.type is Type.FLOAT else 0
    parts = []
    if condition.min is not None:
        parts.append(f"{name} >= {literal(_moved(condition.min, -slack))}")
    if condition.max is not None:
        parts.append(f"{name} <= {literal(_moved(condition.max, slack))}")
    return parts


def _moved(bound: int | float | date, slack: float) -> int | float | date:
    return bound + slack if slack and not isinstance(bound, date) else bound


def _typed(column: Column, value: str | int | float | bool) -> str | int | float | bool | date:
    if column.type in {Type.DATE, Type.TIMESTAMP} and isinstance(value, str):
        return parse_date(value)
    return value
