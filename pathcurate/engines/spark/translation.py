"""The portable subset of DuckDB's dialect as Spark SQL."""

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from pathcurate.engines.spark.patterns import common_pattern
from pathcurate.errors import InputOutputError

_HINT = "Recipes and statements keep to what DuckDB and Spark understand alike."
_PATTERNS = (exp.RegexpLike, exp.RegexpExtract, exp.RegexpReplace)
_LONGEST = 2**63
_CALLS = 20_000


def translate(sql: str, parameters: Sequence[object] = ()) -> str:
    """One statement as Spark SQL, with its parameters as literals in the place of each ``?``.

    Beyond sqlglot's own translation, text patterns are spelled as all engines read them (see ``patterns``), a backslash in
    a pattern of LIKE means itself, the difference of two dates is a number of days, and a number with a decimal point is a
    double, as it is when DuckDB compares it with one.

    Raises:
        InputOutputError: the statement is not of the portable subset. The message does not repeat it.
        ValueError: there are more or fewer parameters than ``?``, or one is of a type that has no literal.
    """
    if not parameters:
        return _without_parameters(sql)
    tree = _parsed(sql).copy()
    places = list(tree.find_all(exp.Placeholder, bfs=False))
    if len(places) != len(parameters):
        raise ValueError(f"the statement has {len(places)} places for {len(parameters)} parameters")
    for place, value in zip(places, parameters, strict=True):
        place.replace(_literal(value))
    return _generated(tree)


@lru_cache(maxsize=64)
def _without_parameters(sql: str) -> str:
    tree = _parsed(sql)
    if tree.find(exp.Placeholder) is not None:
        raise ValueError("the statement has places for parameters, and none is given")
    return _generated(tree.copy())


@lru_cache(maxsize=64)
def _parsed(sql: str) -> exp.Expr:
    try:
        with _deep_nesting():
            return sqlglot.parse_one(sql, read="duckdb")
    except (SqlglotError, RecursionError) as error:
        kind = type(error).__name__
    # Raised outside of the except block: sqlglot's own message quotes the statement.
    raise InputOutputError(f"A statement cannot be read ({kind}).", _HINT)


@contextmanager
def _deep_nesting() -> Iterator[None]:
    """sqlglot takes some twenty calls for each pair of parentheses, so Python's usual limit ends at fewer than fifty."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(max(usual, _CALLS))
    try:
        yield
    finally:
        sys.setrecursionlimit(usual)


def _generated(tree: exp.Expr) -> str:
    tree = tree.transform(_alike, copy=False)
    try:
        with _deep_nesting():
            return tree.sql(dialect="spark", unsupported_level=ErrorLevel.RAISE)
    except (SqlglotError, RecursionError) as error:
        kind = type(error).__name__
    raise InputOutputError(f"A statement cannot be translated for Spark ({kind}).", _HINT)


def _alike(node: exp.Expr) -> exp.Expr:
    """A node that Spark would read differently in a spelling that means what DuckDB means; others as they are."""
    if isinstance(node, _PATTERNS):
        pattern = node.expression
        if not (isinstance(pattern, exp.Literal) and pattern.is_string) or node.args.get("flag"):
            raise InputOutputError("A text pattern is not a literal, or has flags apart from it.", _HINT)
        try:
            pattern.replace(exp.Literal.string(common_pattern(pattern.name)))
        except ValueError as error:
            reason = str(error)
        else:
            return node
        raise InputOutputError(f"A text pattern cannot be used on every engine: {reason}.", _HINT)
    if isinstance(node, exp.Like | exp.ILike) and not isinstance(node.parent, exp.Escape):
        pattern = node.expression
        if isinstance(pattern, exp.Literal) and "\\" in pattern.name:
            pattern.replace(exp.Literal.string(pattern.name.replace("\\", "\\\\")))
    if isinstance(node, exp.Sub) and _is_of_dates(node):
        # Spark's own difference of dates is an interval, which no number can be compared with.
        return exp.DateDiff(this=node.left, expression=node.right, unit=exp.var("DAY"))
    if isinstance(node, exp.Literal) and not node.is_string and "." in node.name and "e" not in node.name.lower():
        return exp.Literal.number(f"{node.name}e0")
    return node


def _is_of_dates(node: exp.Sub) -> bool:
    """Whether a difference is one of dates, as far as it shows: a date on the right, or one on the left of a column."""
    left, right = (side.unnest() for side in (node.left, node.right))
    return _is_date(right) or (_is_date(left) and isinstance(right, exp.Column))


def _is_date(node: exp.Expr) -> bool:
    return isinstance(node, exp.Cast) and node.is_type("date")


def _literal(value: object) -> exp.Expr:
    """A Python value as a literal that is read back as the same value.

    Raises:
        ValueError: there is no such literal.
    """
    if isinstance(value, list | tuple):
        return exp.Array(expressions=[_literal(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool) and not -_LONGEST <= value < _LONGEST:
        raise ValueError("an integer of more than 64 bits is no parameter")
    if isinstance(value, float):
        text = repr(value) if math.isfinite(value) else str(value)
        return exp.cast(exp.Literal.string(text), "double")
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ValueError("a time with a zone is no parameter: give it in UTC, without")
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), exp.DataType.Type.TIMESTAMPNTZ)
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    if value is None or isinstance(value, str | bool | int):
        return exp.convert(value)
    raise ValueError(f"a value of type {type(value).__name__} is no parameter")
