"""What becomes of the units against the tables: labels, sample, split, what goes out, and what is expected."""

from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.evaluation import quasi_identifiers
from pathcurate.model.recipe import Label, Output, Recipe, TextColumn
from pathcurate.model.recipe.declared import INDEX_EVENT
from pathcurate.model.recipe.levels import DATES, LEVEL_VIEWS, UNIT_LEVELS
from pathcurate.recipefile.conditions import Named
from pathcurate.recipefile.criteria import COUNTED, Criteria, article
from pathcurate.recipefile.faults import Fault
from pathcurate.recipefile.sealedtask import SealedTask
from pathcurate.yamlsource import KeyPath, did_you_mean

_TEXTS: tuple[str, ...] = TextColumn.__args__  # type: ignore[attr-defined]
_DAY_0 = "is reckoned from day 0, which only a recipe with an `index` has"


def default_rows(unit_table: str, table: str, *, has_case: bool) -> str:
    """Which rows of a table go out if a recipe does not say.

    Args:
        unit_table: the table of the recipe's units.
        table: the table.
        has_case: whether a unit has one case.
    """
    if table == unit_table:
        return "of_units"
    if table == "annotations" and unit_table == "slides":
        return "of_slides"
    return "of_cases" if has_case and table not in {"patients", "events", "series"} else "of_patients"


def with_rows(recipe: Recipe) -> Recipe:
    """The recipe that says of each table which of its rows go out."""
    if recipe.tables is None:
        return recipe
    has_case = "case" in UNIT_LEVELS[recipe.unit]
    tables = {
        name: output.model_copy(update={"rows": output.rows or default_rows(recipe.unit_table, name, has_case=has_case)})
        for name, output in recipe.tables.items()
    }
    return recipe.model_copy(update={"tables": tables})


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Checks what a recipe makes of its units."""

    recipe: Recipe
    named: Named
    criteria: Criteria

    def faults(self) -> Iterator[Fault]:
        """What is wrong with labels, sample, split, outputs, disclosure and expectations."""
        yield from self._labels()
        yield from self._sample()
        yield from self._split()
        if self.recipe.columns is not None:
            yield from self._selected(self.recipe.columns, self.recipe.unit_table, ("columns",), ("split",))
        for table, output in (self.recipe.tables or {}).items():
            yield from self._output(str(table), output, ("tables", str(table)))
        yield from self._quasi_identifiers()
        yield from SealedTask(self.recipe).faults()
        yield from self._expected()

    # --- Labels ----------------------------------------------------------------------------------------------------------

    def _labels(self) -> Iterator[Fault]:
        taken: set[str] = {"split"}
        for index, label in enumerate(self.recipe.labels):
            path: KeyPath = ("labels", index)
            for name in self.recipe.label_column(label):
                if name in taken or name in self.named.views[self.recipe.unit_table]:
                    owner = "another label or the split" if name in taken else f"table {self.recipe.unit_table}"
                    yield Fault((*path, "name"), f"label `{label.name}` makes column `{name}`, which {owner} has already")
                taken.add(name)
            yield from self.criteria.level(label.level, "label", (*path, "level"))
            yield from self._source(label, path)

    def _source(self, label: Label, path: KeyPath) -> Iterator[Fault]:
        if label.has is not None:
            yield from self.criteria.rows(label.has, label.level, (*path, "has"))
        elif label.time_to_event is not None:
            yield from self._day_0("time_to_event", path)
            for key, rows in (("event", label.time_to_event.event), ("censor", label.time_to_event.censor)):
                here = (*path, "time_to_event", key)
                yield from self.criteria.rows(rows, label.level, here)
                yield from self._dated(rows.table, (*here, "table")) if rows.date is None else ()
        elif label.nearest is not None:
            yield from self._nearest(label, path)
        elif label.column is not None:
            yield from self._column(label, label.column, path)
        else:
            if label.level != "slide":
                yield Fault((*path, "level"), "what was drawn is true of a slide: a label from annotations has level slide")
            yield from self.named.where(label.where or {}, "annotations", (*path, "where"))
            yield from self._classes(label, "annotations", "label", path)

    def _nearest(self, label: Label, path: KeyPath) -> Iterator[Fault]:
        nearest = label.nearest
        if nearest is None:
            return
        here = (*path, "nearest")
        yield from self._day_0("nearest", path)
        if message := self.criteria.countable(nearest.table, label.level):
            yield Fault((*here, "table"), message)
        yield from self._dated(nearest.table, (*here, "table"))
        yield from self.named.where(nearest.where, nearest.table, (*here, "where"))
        yield from self.criteria.window(nearest.within, nearest.table, here)
        yield from self.criteria.match(nearest.match, nearest.table, here)
        yield from self._value(label, nearest.table, nearest.column, path, (*here, "column"))

    def _column(self, label: Label, place: str, path: KeyPath) -> Iterator[Fault]:
        table, _, name = place.partition(".")
        own = LEVEL_VIEWS[label.level]
        known = tuple(name for name in dict.fromkeys((own, *COUNTED[label.level])) if name in DEID_TABLES)
        if table not in known:
            is_view = table in self.named.views
            what = f"{article(label.level)} has no rows of `{table}`" if is_view else f"unknown table `{table}`"
            near = "" if is_view else did_you_mean(table, known)
            yield Fault((*path, "column"), what + (near or f"; it has those of {', '.join(known)}"))
            return
        yield from self.named.where(label.where or {}, table, (*path, "where"))
        yield from self._value(label, table, name, path, (*path, "column"))

    def _value(self, label: Label, table: str, name: str, path: KeyPath, at: KeyPath) -> Iterator[Fault]:
        """A column whose value is the label; with classes it only has to be one that conditions may name."""
        if name not in self.named.views[table]:
            yield Fault(at, self.named.unknown(name, table))
        elif label.classes is not None:
            yield from self._classes(label, table, name, path)
        elif message := self.named.shown(name, table):
            yield Fault(at, f"{message}, or be told apart by `classes`")
        elif name not in DEID_TABLES[table]:
            yield Fault(at, f"column `{name}` is reckoned from day 0 for each row; it can only be told apart by `classes`")

    def _classes(self, label: Label, table: str, name: str, path: KeyPath) -> Iterator[Fault]:
        for class_, condition in (label.classes or {}).items():
            yield from self.named.condition(condition, table, name, (*path, "classes", class_))

    def _day_0(self, key: str, path: KeyPath) -> Iterator[Fault]:
        if self.recipe.index is None:
            yield Fault((*path, key), f"`{key}` {_DAY_0}", on_key=True)

    def _dated(self, table: str, path: KeyPath) -> Iterator[Fault]:
        if table not in DATES:
            yield Fault(path, f"rows of `{table}` have no date")

    # --- Columns ---------------------------------------------------------------------------------------------------------

    def _made(self, table: str) -> tuple[str, ...]:
        """Columns that the recipe itself makes on a table: labels on that of the units, and whose day 0 it was on others."""
        if table == self.recipe.unit_table:
            return tuple(name for label in self.recipe.labels for name in self.recipe.label_column(label))
        return (INDEX_EVENT.name,) if self.recipe.unit == "event" else ()

    def _selected(self, names: tuple[str, ...], table: str, path: KeyPath, special: tuple[str, ...] = ()) -> Iterator[Fault]:
        """Names that go out, or that the units are sampled or divided by."""
        known = (*self._made(table), *special)
        for index, name in enumerate(names):
            if message := self.named.shown(name, table, known):
                yield Fault((*path, index), self._misnamed(name, table) or message)

    def _misnamed(self, name: str, table: str) -> str:
        own = self.recipe.unit_table
        if name == "split" and table != own:
            return f"`split` is a column of the units' table, `{own}`"
        for label in self.recipe.labels:
            for plain, column in zip(label.columns, self.recipe.label_column(label), strict=True):
                if name in {plain, column} and name not in self.named.views[table]:
                    called = f"on {own}, label `{plain}` of level {label.level} is called `{column}`"
                    return called if table == own else f"label `{plain}` is a column of the units' table, `{own}`"
        return ""

    def _sample(self) -> Iterator[Fault]:
        sample, unit = self.recipe.sample, self.recipe.unit
        if sample is None:
            return
        for index, cap in enumerate(sample.per or ()):
            path: KeyPath = ("sample", "per", index)
            if cap.level not in UNIT_LEVELS[unit]:
                yield Fault((*path, "level"), f"no {unit} has one {cap.level}, so there is nothing to cap")
            for place, name in enumerate(cap.order or ()):
                if message := self.named.shown(name.removeprefix("-"), self.recipe.unit_table):
                    yield Fault((*path, "order", place), message)
        if sample.balance is not None:
            yield from self._selected(sample.balance.by, self.recipe.unit_table, ("sample", "balance", "by"))

    def _split(self) -> Iterator[Fault]:
        split = self.recipe.split
        if split is None:
            return
        yield from self._selected(split.stratify, self.recipe.unit_table, ("split", "stratify"))
        for side, where in (split.hold_out or {}).items():
            yield from self.named.where(where, self.recipe.unit_table, ("split", "hold_out", side))

    def _output(self, table: str, output: Output, path: KeyPath) -> Iterator[Fault]:
        yield from self._rows(table, output, path)
        if table != self.recipe.unit_table:
            yield from self.named.where(output.where, table, (*path, "where"))
            yield from self.criteria.window(output.within, table, path)
            yield from self.criteria.match(output.match, table, path)
        special = ("split",) if table == self.recipe.unit_table else ()
        texts = _TEXTS if table == "reports" else ()
        yield from self._selected(output.columns, table, (*path, "columns"), (*special, *texts))
        if table != self.recipe.unit_table:
            yield from self._unmeasured(output.columns, table, (*path, "columns"))
            is_ambiguous = self.recipe.unit == "event" and INDEX_EVENT.name not in output.columns
            if is_ambiguous and "days_from_index" in output.columns:
                message = f"days from several days 0 of a patient need `{INDEX_EVENT.name}` beside them"
                yield Fault((*path, "columns"), message)

    def _unmeasured(self, names: tuple[str, ...], table: str, path: KeyPath) -> Iterator[Fault]:
        """Columns that identify in combination, on a table whose combinations nobody counts."""
        quasi = quasi_identifiers(DEID_TABLES[table])
        for index, name in enumerate(names):
            if name in quasi:
                own = self.recipe.unit_table
                message = f"column `{name}` may tell who somebody is, and k is measured on `{own}` only: show it there"
                yield Fault((*path, index), message)

    def _rows(self, table: str, output: Output, path: KeyPath) -> Iterator[Fault]:
        unit, own = self.recipe.unit, self.recipe.unit_table
        at = (*path, "rows")
        view = self.named.views[table]
        if table == own:
            if output.rows not in {None, "of_units"}:
                yield Fault(at, f"table {table} holds the units themselves: `of_units`")
            for key in ("where", "within", "match"):
                if getattr(output, key):
                    yield Fault((*path, key), f"all units go out: let a criterion decide, instead of `{key}`", on_key=True)
        elif output.rows == "of_units":
            yield Fault(at, f"the units are rows of `{own}`; of `{table}` go out those `of_cases` or `of_patients`")
        elif output.rows == "of_slides" and (unit != "slide" or "slide_id" not in view):
            yield Fault(at, f"rows of `{table}` belong to no slide that is a unit of this recipe; use `of_cases`")
        elif output.rows == "of_cases" and ("case" not in UNIT_LEVELS[unit] or "case_id" not in view):
            whose = f"rows of `{table}` belong" if "case_id" not in view else f"{article(unit)} belongs"
            yield Fault(at, f"{whose} to no one case; use `of_patients`")

    # --- Disclosure and expectations -------------------------------------------------------------------------------------

    def _quasi_identifiers(self) -> Iterator[Fault]:
        table = self.recipe.unit_table
        known = self._made(table)
        for index, name in enumerate(self.recipe.disclosure.quasi_identifiers or ()):
            if name not in self.named.views[table] and name not in known:
                message = self._misnamed(name, table) or self.named.unknown(name, table, known)
                yield Fault(("disclosure", "quasi_identifiers", index), message)

    def _expected(self) -> Iterator[Fault]:
        split, expect = self.recipe.split, self.recipe.expect
        known = [name for label in self.recipe.labels for name in label.classes or ()] + list(split.sides if split else ())
        for index, name in enumerate((expect.not_empty if expect else None) or ()):
            if name not in known:
                guess = did_you_mean(name, known) or (f"; known: {', '.join(known)}" if known else "")
                message = f"`{name}` is no class of a label, nor a side of the split{guess}"
                yield Fault(("expect", "not_empty", index), message)
