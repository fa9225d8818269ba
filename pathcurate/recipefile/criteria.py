"""Criteria against the tables: levels, rows that are counted, windows around day 0, and what gives day 0."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pathcurate.model.column import Type
from pathcurate.model.recipe import Alternative, Criterion, Match, Recipe, Rows, Window
from pathcurate.model.recipe.levels import DATES, LEVEL_VIEWS, OF_REPORTS, UNIT_LEVELS
from pathcurate.recipefile.conditions import Named
from pathcurate.recipefile.faults import Fault
from pathcurate.yamlsource import KeyPath

_ALL_TABLES = (
    "slides", "cases", "reports", "events", "series", "diagnoses", "ihc_results", "report_concepts", "materials",
    "annotations",
)  # fmt: skip
COUNTED: Mapping[str, tuple[str, ...]] = {
    "patient": _ALL_TABLES,
    "case": _ALL_TABLES,
    "specimen": ("slides", "diagnoses", "ihc_results", "report_concepts", "materials"),
    "block": ("slides", "materials"),
    "slide": ("annotations",),
    "series": (),
    "event": _ALL_TABLES,
}
"""Tables whose rows an entity of a level has; an event has those of its patient, around a day 0 of its own."""
REPORTED = ("reports", *OF_REPORTS)
"""Tables whose rows have a report, of which a text can be asked."""
_INSIDE: Mapping[str, tuple[str, ...]] = {
    "patient": ("case", "specimen", "block", "slide", "series", "event"), "case": ("specimen", "block", "slide"),
}  # fmt: skip
_INSTEAD = {"specimen": "diagnoses", "block": "materials"}
_NO_DAY_0 = "counts from day 0, which only a recipe with an `index` has"


def article(noun: str) -> str:
    """``a case``, ``an event``."""
    return f"an {noun}" if noun[0] in "aeio" else f"a {noun}"


@dataclass(frozen=True, slots=True)
class Criteria:
    """Checks what a recipe asks of its units."""

    recipe: Recipe
    named: Named

    def faults(self) -> Iterator[Fault]:
        """What is wrong with the index and the criteria."""
        yield from self._index()
        for part, criteria in (("include", self.recipe.include), ("exclude", self.recipe.exclude)):
            for index, criterion in enumerate(criteria):
                yield from self._criterion(criterion, criterion.level, (part, index))

    def level(self, level: str, what: str, path: KeyPath) -> Iterator[Fault]:
        """A level that the recipe's unit has none of, or several."""
        unit = self.recipe.unit
        if level in UNIT_LEVELS[unit]:
            return
        is_inside = level in _INSIDE.get(unit, ())
        does = "cannot decide about" if what == "criterion" else "is not one value for"
        reason = f"{article(level)} {what} {does} a whole {unit}" if is_inside else f"no {unit} has one {level}"
        table, whose = _INSTEAD.get(level, LEVEL_VIEWS[level]), unit if is_inside else "patient"
        yield Fault(path, f"{reason}; count with `has: {{table: {table}, where: …}}` on level {whose} instead")

    def rows(self, rows: Rows, level: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with rows that are counted or looked for."""
        if message := self.countable(rows.table, level):
            yield Fault((*path, "table"), message)
        yield from self.named.where(rows.where, rows.table, (*path, "where"))
        if rows.text is not None:
            yield from self._text(rows.text, rows.table, (*path, "text"))
        yield from self.window(rows.within, rows.table, path, rows.date)
        yield from self.match(rows.match, rows.table, path)

    def countable(self, table: str, level: str) -> str:
        """Why an entity of a level has no rows of a table, or nothing."""
        known = COUNTED[level]
        if table in known:
            return ""
        if not known:
            return f"no rows belong to one {level}; count on level patient"
        those = ", ".join(f"`{name}`" for name in known)
        return f"{article(level)} has no rows of `{table}`, only of {those}; use level case or patient"

    def window(self, within: Window | None, table: str, path: KeyPath, column: str | None = None) -> Iterator[Fault]:
        """What is wrong with a window on rows of a table, and with the column that it looks at."""
        if within is None:
            return
        if self.recipe.index is None:
            yield Fault((*path, "within"), f"`within` {_NO_DAY_0}", on_key=True)
        elif column is None and table not in DATES:
            yield Fault((*path, "within"), f"rows of `{table}` have no date", on_key=True)
        if column is not None:
            borrowed = table in OF_REPORTS and column not in self.named.views[table]
            yield from self._date(column, "reports" if borrowed else table, (*path, "date"))

    def match(self, match: Match | None, table: str, path: KeyPath) -> Iterator[Fault]:
        """What is wrong with columns in which rows must agree with day 0 or with the unit."""
        index, unit = self.recipe.index, self.recipe.unit
        for place, column in enumerate(match or ()):
            here = (*path, "match", place)
            if column not in self.named.views[table]:
                yield Fault(here, f"rows of `{table}` have no {column}")
            elif column != "laterality" and column not in self.named.views[self.recipe.unit_table]:
                yield Fault(here, f"{article(unit)} has no {column} that rows could agree with")
            elif column == "laterality" and index is None:
                yield Fault(here, "`laterality` agrees with the row of day 0, which only a recipe with an `index` has")
            elif column == "laterality" and index is not None and column not in self.named.views[index.table]:
                yield Fault(here, f"day 0 is a row of `{index.table}`, which has no laterality")

    def _criterion(self, criterion: Criterion | Alternative, level: str, path: KeyPath) -> Iterator[Fault]:
        if criterion.level is not None:
            yield from self.level(level, "criterion", (*path, "level"))
        table = LEVEL_VIEWS[level]
        if criterion.where is not None:
            yield from self.named.where(criterion.where, table, (*path, "where"))
        if criterion.has is not None:
            yield from self.rows(criterion.has, level, (*path, "has"))
        if criterion.sql is not None:
            yield from self.named.sql(criterion.sql, table, (*path, "sql"))
        for index, alternative in enumerate(criterion.any_of or ()):
            yield from self._criterion(alternative, alternative.level or level, (*path, "any_of", index))

    def _index(self) -> Iterator[Fault]:
        index, is_event = self.recipe.index, self.recipe.unit == "event"
        if index is None:
            if is_event:
                yield Fault(("unit",), "unit `event` needs an `index` on events, whose picked rows are the units")
            return
        if is_event and index.table != "events":
            yield Fault(("index", "table"), "the units are events, so day 0 is a row of `events`")
        if index.pick == "each" and not is_event:
            yield Fault(("index", "pick"), "`each` makes every picked row a unit, which needs `unit: event`")
        if index.per is not None and not is_event:
            yield Fault(("index", "per"), "`per` gives a patient several days 0, which needs `unit: event`", on_key=True)
        for place, column in enumerate(index.per or ()):
            if column not in self.named.views[index.table]:
                yield Fault(("index", "per", place), f"rows of `{index.table}` have no {column}")
        yield from self._date(index.date, index.table, ("index", "date"))
        yield from self.named.where(index.where, index.table, ("index", "where"))
        for name in ("age_at_index", "days_from_index"):
            if name in index.where:
                yield Fault(("index", "where", name), f"`{name}` counts from day 0, which this row gives", on_key=True)
        if index.text is not None:
            yield from self._text(index.text, index.table, ("index", "text"))

    def _date(self, name: str, table: str, path: KeyPath) -> Iterator[Fault]:
        if name not in self.named.views[table]:
            yield Fault(path, self.named.unknown(name, table))
        elif self.named.views[table][name].type not in {Type.DATE, Type.TIMESTAMP}:
            yield Fault(path, f"column `{name}` is no date")

    def _text(self, concept: str, table: str, path: KeyPath) -> Iterator[Fault]:
        if table not in REPORTED:
            tables = ", ".join(f"`{name}`" for name in REPORTED)
            yield Fault(path, f"`text` asks what a report says, so it goes with {tables}", on_key=True)
        yield from self.named.concept(concept, path)
