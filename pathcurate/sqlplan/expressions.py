"""Literals and conditions as SQL text. Every value from a recipe passes through :func:`literal`."""

from collections.abc import Mapping, Sequence
from datetime import date

from pathcurate.codelists import code_system, exact_codes, prefix_codes, prefix_without
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.recipe import (
    AnyOf,
    Codelist,
    Condition,
    Duration,
    InCodelist,
    Missing,
    Range,
    Where,
    parse_date,
)

# Microns per pixel and the like are floats: two spellings of one value must compare as equal.
_TOLERANCE = 1e-9

Codelists = Mapping[str, Codelist]


def literal(value: str | int | float | bool | date) -> str:
    """A value as a SQL literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, str):
        # Doubling quotes is all that standard SQL needs; a backslash is an ordinary character in DuckDB.
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, float):
        # Without an exponent it would be a decimal, which engines compare with floats each in a way of its own.
        written = repr(value)
        return written if "e" in written else f"{written}e0"
    return repr(value)


def moved(day: str, duration: Duration) -> str:
    """A date moved by a duration; months end on the last day of a shorter month."""
    if duration.months:
        return f"cast({day} + interval '{duration.months}' month as date)"
    return f"cast({day} + interval '{duration.days}' day as date)"


def condition_sql(alias: str, column: Column, condition: Condition, codelists: Codelists) -> str:
    """A condition on a column; null where the column is missing, except for ``missing`` itself."""
    name = f"{alias}.{column.name}"
    match condition:
        case Missing():
            return f"{name} is {'' if condition.missing else 'not '}null"
        case Range():
            return " and ".join(_bounds(name, column, condition))
        case InCodelist():
            codelist = codelists[condition.codelist]
            system = code_system(codelist.system) if column.name == "code" else None
            # A code of events means something in its own system only: C50.4 is a diagnosis, or a place.
            return _on_list(name, codelist) + (f" and {alias}.code_system = {literal(system)}" if system else "")
        case AnyOf() if column.type is Type.FLOAT:
            return "(" + " or ".join(_equals(name, column, value) for value in condition.any_of) + ")"
        case AnyOf():
            return f"{name} in ({', '.join(literal(_typed(column, value)) for value in condition.any_of)})"
        case _:
            return _equals(name, column, condition)


def all_sql(alias: str, table: Table, where: Where, codelists: Codelists) -> str:
    """All conditions together; ``true`` for none."""
    return " and ".join(f"({condition_sql(alias, table[name], where[name], codelists)})" for name in where) or "true"


def _on_list(name: str, codelist: Codelist) -> str:
    """Whether a code is on a list, as :func:`pathcurate.codelists.matches` says it."""
    if codelist.match == "exact":
        codes = exact_codes(codelist)
        return f"{name} in ({', '.join(map(literal, codes))})" if codes else f"({name} is null and {name} is not null)"
    below, left_out = _begins(name, prefix_codes(codelist)), prefix_without(codelist)
    return f"({below} and not {_begins(name, left_out)})" if left_out else below


def _begins(name: str, prefixes: Sequence[str]) -> str:
    bare = f"upper(replace({name}, '.', ''))"
    return "(" + " or ".join(f"starts_with({bare}, {literal(prefix)})" for prefix in prefixes) + ")"


def _equals(name: str, column: Column, value: str | int | float | bool) -> str:
    if column.type is Type.FLOAT:
        return f"abs({name} - {literal(float(value))}) <= {literal(_TOLERANCE)}"
    return f"{name} = {literal(_typed(column, value))}"


def _bounds(name: str, column: Column, condition: Range) -> list[str]:
    slack = _TOLERANCE if column.type is Type.FLOAT else 0.0
    parts = []
    if condition.min is not None:
        parts.append(f"{name} >= {literal(_slack(condition.min, -slack))}")
    if condition.max is not None:
        parts.append(f"{name} <= {literal(_slack(condition.max, slack))}")
    return parts


def _slack(bound: int | float | date, slack: float) -> int | float | date:
    return bound + slack if slack and not isinstance(bound, date) else bound


def _typed(column: Column, value: str | int | float | bool) -> str | int | float | bool | date:
    if column.type in {Type.DATE, Type.TIMESTAMP} and isinstance(value, str):
        return parse_date(value)
    return value
