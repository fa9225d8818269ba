"""Every column that a recipe names, with its place: what profiles, permissions and disclosure rules look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pathcurate.model.recipe import Alternative, Condition, Criterion, Label, Missing, Recipe, Rows
from pathcurate.model.recipe.levels import LEVEL_VIEWS

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """One column, named in one place.

    Attributes:
        path: where in the recipe.
        table: the view that the column is of; with an empty ``column`` only the table is named.
        column: its name.
        condition: what is asked of it; None where its value is shown, drawn or divided by.
        criterion: id of the criterion, empty outside of criteria.
    """

    path: Path
    table: str
    column: str
    condition: Condition | None = None
    criterion: str = ""


def mentions(recipe: Recipe) -> Iterator[Mention]:
    """All columns of the recipe but those inside ``sql``, which takes a parser; labels and ``split`` are none of a table."""
    made = {"split", *(name for label in recipe.labels for name in recipe.label_column(label))}
    for table, output in recipe.outputs.items():
        place: Path = ("columns",) if recipe.tables is None else ("tables", table, "columns")
        yield Mention(place, table, "")
        yield from _shown(output.columns, table, place, made)
        yield from _conditions(output.where, table, ("tables", table, "where"))
    if recipe.index is not None:
        yield Mention(("index", "date"), recipe.index.table, recipe.index.date, Missing(missing=False))
        yield from _conditions(recipe.index.where, recipe.index.table, ("index", "where"))
        yield from _text(recipe.index.text, ("index", "text"))
    for part, criteria in (("include", recipe.include), ("exclude", recipe.exclude)):
        for number, criterion in enumerate(criteria):
            yield from _of_criterion(criterion, criterion.level, (part, number), criterion.id)
    for number, label in enumerate(recipe.labels):
        yield from _of_label(label, ("labels", number))
    yield from _of_sample(recipe, made)
    if recipe.split is not None:
        yield from _shown(recipe.split.stratify, recipe.unit_table, ("split", "stratify"), made)
        for side, where in (recipe.split.hold_out or {}).items():
            yield from _conditions(where, recipe.unit_table, ("split", "hold_out", side))


def _shown(names: tuple[str, ...], table: str, path: Path, made: set[str]) -> Iterator[Mention]:
    for number, name in enumerate(names):
        bare = name.removeprefix("-")
        if bare not in made:
            yield Mention((*path, number), table, bare)


def _conditions(where: Mapping[str, Condition], table: str, path: Path, criterion: str = "") -> Iterator[Mention]:
    for name, condition in where.items():
        yield Mention((*path, name), table, name, condition, criterion)


def _text(concept: str | None, path: Path) -> Iterator[Mention]:
    if concept is not None:
        yield Mention(path, "reports", "")


def _of_rows(rows: Rows, path: Path, criterion: str = "") -> Iterator[Mention]:
    yield Mention(path, rows.table, "")
    yield from _conditions(rows.where, rows.table, (*path, "where"), criterion)
    yield from _text(rows.text, (*path, "text"))


def _of_criterion(criterion: Criterion | Alternative, level: str, path: Path, name: str) -> Iterator[Mention]:
    if criterion.where is not None:
        yield Mention(path, LEVEL_VIEWS[level], "")
        yield from _conditions(criterion.where, LEVEL_VIEWS[level], (*path, "where"), name)
    if criterion.has is not None:
        yield from _of_rows(criterion.has, (*path, "has"), name)
    for number, one in enumerate(criterion.any_of or ()):
        yield from _of_criterion(one, one.level or level, (*path, "any_of", number), name)


def _of_label(label: Label, path: Path) -> Iterator[Mention]:
    table, _, column = (label.column or "").partition(".")
    if label.from_ is not None:
        table, column = "annotations", "label"
    if table:
        asked = next(iter(label.classes.values())) if label.classes else None
        yield Mention((*path, "column" if label.column else "from"), table, column, asked)
        yield from _conditions(label.where or {}, table, (*path, "where"))
    if label.has is not None:
        yield from _of_rows(label.has, (*path, "has"))
    if label.time_to_event is not None:
        yield from _of_rows(label.time_to_event.event, (*path, "time_to_event", "event"))
        yield from _of_rows(label.time_to_event.censor, (*path, "time_to_event", "censor"))
    if label.nearest is not None:
        asked = next(iter(label.classes.values())) if label.classes else None
        yield Mention((*path, "nearest", "column"), label.nearest.table, label.nearest.column, asked)
        yield from _conditions(label.nearest.where, label.nearest.table, (*path, "nearest", "where"))


def _of_sample(recipe: Recipe, made: set[str]) -> Iterator[Mention]:
    if recipe.sample is None:
        return
    for number, cap in enumerate(recipe.sample.per or ()):
        yield from _shown(cap.order or (), recipe.unit_table, ("sample", "per", number, "order"), made)
    if recipe.sample.balance is not None:
        yield from _shown(recipe.sample.balance.by, recipe.unit_table, ("sample", "balance", "by"), made)
