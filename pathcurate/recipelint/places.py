"""Where in a recipe conditions, rows and alternatives stand."""

from collections.abc import Iterator
from typing import NamedTuple

from pathcurate.model.recipe import (
    Alternative,
    Condition,
    Criterion,
    Has,
    InCodelist,
    Match,
    Recipe,
    Where,
    Window,
)
from pathcurate.model.recipe.conditions import AnyOf, Range
from pathcurate.model.recipe.levels import LEVEL_VIEWS
from pathcurate.recipelint.rule import KeyPath


class PlacedCriterion(NamedTuple):
    """A criterion, and ``include`` or ``exclude``."""

    path: KeyPath
    part: str
    criterion: Criterion


class PlacedRule(NamedTuple):
    """A criterion or one of the alternatives in it, at any depth.

    Attributes:
        path: where it stands.
        part: ``include`` or ``exclude``.
        level: what it is about.
        rule: the criterion or alternative.
        siblings: the alternatives beside it, itself among them; none for a criterion.
    """

    path: KeyPath
    part: str
    level: str
    rule: Criterion | Alternative
    siblings: tuple[Alternative, ...]


class PlacedRows(NamedTuple):
    """Rows of a table that something asks for.

    Attributes:
        path: where they are described.
        table: of which table they are.
        where: conditions on them.
        within: days around day 0.
        match: in what they agree with day 0.
        text: the concept that they say.
    """

    path: KeyPath
    table: str
    where: Where
    within: Window | None
    match: Match | None
    text: str | None


class PlacedCondition(NamedTuple):
    """A condition on a column of a view."""

    path: KeyPath
    view: str
    column: str
    condition: Condition


def criteria(recipe: Recipe) -> Iterator[PlacedCriterion]:
    """All criteria in their order."""
    for part, several in (("include", recipe.include), ("exclude", recipe.exclude)):
        yield from (PlacedCriterion((part, number), part, one) for number, one in enumerate(several))


def rules(recipe: Recipe) -> Iterator[PlacedRule]:
    """All criteria and all alternatives in them."""
    for path, part, criterion in criteria(recipe):
        yield PlacedRule(path, part, criterion.level, criterion, ())
        yield from _alternatives(path, part, criterion.level, criterion.any_of or ())


def _alternatives(path: KeyPath, part: str, level: str, several: tuple[Alternative, ...]) -> Iterator[PlacedRule]:
    for number, one in enumerate(several):
        here, own = (*path, "any_of", number), one.level or level
        yield PlacedRule(here, part, own, one, several)
        yield from _alternatives(here, part, own, one.any_of or ())


def counted(recipe: Recipe) -> Iterator[tuple[PlacedRule, Has]]:
    """All rules that count rows."""
    return ((placed, placed.rule.has) for placed in rules(recipe) if placed.rule.has is not None)


def all_rows(recipe: Recipe) -> Iterator[PlacedRows]:
    """Everything that asks for rows: criteria, day 0, labels, tables that go out."""
    described: list[tuple[KeyPath, object]] = [((*placed.path, "has"), has) for placed, has in counted(recipe)]
    for number, label in enumerate(recipe.labels):
        path: KeyPath = ("labels", number)
        described += [((*path, "has"), label.has), ((*path, "nearest"), label.nearest)]
        if label.time_to_event is not None:
            inside = (*path, "time_to_event")
            described += [((*inside, "event"), label.time_to_event.event), ((*inside, "censor"), label.time_to_event.censor)]
        if label.column is not None:
            table = label.column.partition(".")[0]
            yield PlacedRows(path, table, label.where or {}, None, None, None)
        if label.from_ is not None:
            yield PlacedRows(path, "annotations", label.where or {}, None, None, None)
    described.append((("index",), recipe.index))
    for path, rows in described:
        if rows is not None:
            yield PlacedRows(
                path, getattr(rows, "table", ""), getattr(rows, "where", {}), getattr(rows, "within", None),
                getattr(rows, "match", None), getattr(rows, "text", None),
            )  # fmt: skip
    for table, output in (recipe.tables or {}).items():
        yield PlacedRows(("tables", table), str(table), output.where, output.within, output.match, None)


def conditions(recipe: Recipe) -> Iterator[PlacedCondition]:
    """Every condition on a column, wherever it stands."""
    wheres: list[tuple[KeyPath, str, Where]] = [
        ((*placed.path, "where"), LEVEL_VIEWS[placed.level], placed.rule.where)
        for placed in rules(recipe)
        if placed.rule.where is not None
    ]
    wheres += [((*rows.path, "where"), rows.table, rows.where) for rows in all_rows(recipe)]
    for side, where in (recipe.split.hold_out or {}).items() if recipe.split is not None else ():
        wheres.append((("split", "hold_out", side), recipe.unit_table, where))
    for path, view, where in wheres:
        yield from (PlacedCondition((*path, name), view, name, condition) for name, condition in where.items())
    for number, label in enumerate(recipe.labels):
        table, _, column = (label.column or "annotations.label").partition(".")
        for name, condition in (label.classes or {}).items() if label.nearest is None else ():
            yield PlacedCondition(("labels", number, "classes", name), table, column, condition)


def codelists_used(recipe: Recipe) -> Iterator[tuple[KeyPath, str]]:
    """Each place at which a code list is named, and its name; classes of ``nearest`` among them."""
    for placed in conditions(recipe):
        if isinstance(placed.condition, InCodelist):
            yield placed.path, placed.condition.codelist
    for number, label in enumerate(recipe.labels):
        for name, condition in (label.classes or {}).items() if label.nearest is not None else ():
            if isinstance(condition, InCodelist):
                yield ("labels", number, "classes", name), condition.codelist


def values(condition: Condition) -> tuple[str | int | float | bool, ...]:
    """The single values that a condition names, none for a range, a code list or ``missing``."""
    if isinstance(condition, AnyOf):
        return condition.any_of
    return () if isinstance(condition, Range | InCodelist) or not isinstance(condition, str | int | float) else (condition,)
