"""Stage: what the ledgers of cohorts say: which criterion a case fell at, and in whom two cohorts differ."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlglot import exp

from pathcurate import __version__
from pathcurate.cohortfacts import cohort_facts, is_of_recipe, recipe_of, shown_attrition
from pathcurate.engines import Engine
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.attrition import KEPT, WITHHELD, Shown
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.recipe import Alternative, Criterion, Recipe
from pathcurate.model.recipe.levels import DATES, LEVEL_KEYS, LEVEL_VIEWS, PERSONAL, recipe_views
from pathcurate.pseudonyms import internal
from pathcurate.recipefile import RecipeSource
from pathcurate.sqlcondition import parse_condition
from pathcurate.tables import read_schema
from pathcurate.vault import append_event, open_vault
from pathcurate.workspace import Workspace

CaseKey = tuple[str, str]
"""Site and accession number."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A column that a criterion looks at.

    Attributes:
        column: as ``table.column``.
        is_known: whether its value is told here; of several rows it is not.
        value: the true value; None if it is missing or not told.
    """

    column: str
    is_known: bool
    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A step that a unit fails.

    Attributes:
        id: of the step.
        is_missing: whether a missing value decided that.
        looked: the columns that the criterion looks at; none for a step that is no criterion.
    """

    id: str
    is_missing: bool
    looked: tuple[Looked, ...]


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one unit.

    Attributes:
        unit: its pseudonym in the workspace.
        step: the step that it failed first, ``kept`` if none.
        failures: all steps that it fails, in their order.
    """

    unit: str
    step: str
    failures: tuple[Failure, ...]


def fates(
    workspace: Workspace,
    engine: Engine,
    source: RecipeSource,
    *,
    cases: Collection[CaseKey],
    persons: Collection[str],
    slides: Collection[str],
    actor: str,
    purpose: str | None = None,
) -> tuple[Fate, ...]:
    """What became of the units of cases in the last run of a recipe. It tells true values; the audit trail notes the call.

    Args:
        workspace: the workspace.
        engine: reads the tables, on this machine: they are large, and what is asked for is little.
        source: the recipe.
        cases: the cases.
        persons: their persons; they count where the recipe's units are not slides or cases.
        slides: slides that are meant beside those of the cases.
        actor: who asks.
        purpose: why, in their words.

    Raises:
        PlanIncompleteError: the recipe has not run, or was another one then.
        InputOutputError: a table cannot be read.
        VaultError: the vault's key cannot be used.
    """
    name = source.recipe.name
    facts = cohort_facts(workspace, name)
    if facts is None or not is_of_recipe(facts, source.canonical):
        state = "has not run yet" if facts is None else "is not as it was when it ran"
        raise PlanIncompleteError(f"recipe {name} {state}", "Run `pathcurate cohort` with it, and ask again.")
    recipe = source.recipe
    layer = internal(open_vault(workspace.vault).key).codes
    wanted = {
        "case_id": [layer.code("C", *case) for case in sorted(cases)],
        "patient_id": [layer.code("P", person) for person in sorted(persons)],
        "slide_id": [layer.code("S", slide) for slide in sorted(slides)],
    }
    if recipe.unit in {"slide", "case"}:
        del wanted["patient_id"]
    rows = _of_units(engine, workspace.cohorts / name / "ledger.parquet", wanted)
    steps = [step.id for step in shown_attrition(facts).steps]
    values = _Values(workspace, engine, recipe)
    found = tuple(_fate(values, row, steps) for row in rows)
    # Neither the number that was asked for nor anything that was found.
    counted: dict[str, str | int] = {"recipe": name, "cases": len(cases), "units": len(found), "version": __version__}
    append_event(workspace.vault, actor, "recipe explain --case", counted, purpose=purpose)
    return found


def _of_units(engine: Engine, path: Path, wanted: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Rows of a ledger of which one of these keys is wanted."""
    names = read_schema(path).names
    keys = {name: codes for name, codes in wanted.items() if name in names and codes}
    if not keys:
        return []
    engine.view("ledger", [path])
    matches = (f"w.{name} in ({', '.join('?' for _ in codes)})" for name, codes in keys.items())
    columns = ", ".join(f"w.{name} as {name}" for name in names)
    sql = f"select {columns} from ledger as w where {' or '.join(matches)} order by w.{names[0]}"
    rows: list[dict[str, Any]] = engine.table(sql, [code for codes in keys.values() for code in codes]).to_pylist()
    return rows


def _fate(values: "_Values", row: Mapping[str, Any], steps: Sequence[str]) -> Fate:
    recipe = values.recipe
    failed, missing = row["failed"], row["missing_mask"]
    numbers = [number for number in range(len(steps)) if failed >> number & 1]
    if row["step_number"] is not None and row["step_number"] not in numbers:
        numbers.append(row["step_number"])
    criteria = {criterion.id: criterion for criterion in recipe.criteria}
    failures = tuple(
        Failure(
            steps[number], bool(missing >> number & 1),
            tuple(values.looked(criteria[steps[number]], row)) if steps[number] in criteria else (),
        )
        for number in numbers
    )  # fmt: skip
    return Fate(row[LEVEL_KEYS[recipe.unit][0]], row["step"], failures)


class _Values:
    """Looks up what criteria look at."""

    def __init__(self, workspace: Workspace, engine: Engine, recipe: Recipe) -> None:
        self._workspace = workspace
        self._engine = engine
        self.recipe = recipe
        self._views = recipe_views(has_index=recipe.index is not None)

    def looked(self, rule: Criterion | Alternative, row: Mapping[str, Any], level: str | None = None) -> Iterator[Looked]:
        """Every column that a criterion or alternative looks at for one unit."""
        own = getattr(rule, "level", None) or level or self.recipe.unit
        view = LEVEL_VIEWS[own]
        if rule.where is not None:
            yield from (self._value(view, name, own, row) for name in rule.where)
        elif rule.has is not None:
            has = rule.has
            columns = [*has.where, *(["concept"] if has.text is not None else [])]
            columns += [has.date or DATES[has.table]] if has.within is not None else []
            yield self._number(has.table, own, row)
            yield from (Looked(f"{has.table}.{name}", False, None) for name in columns)
        elif rule.any_of is not None:
            for alternative in rule.any_of:
                yield from self.looked(alternative, row, own)
        elif rule.sql is not None:
            named = dict.fromkeys(node.name for node in parse_condition(rule.sql, self._views[view]).find_all(exp.Column))
            yield from (self._value(view, name, own, row) for name in named)

    def _value(self, view: str, name: str, level: str, row: Mapping[str, Any]) -> Looked:
        """The true value of a column of the entity, where it has a row of its own."""
        place, keys = f"{view}.{name}", LEVEL_KEYS[level]
        code = row.get(keys[0])
        if len(keys) > 1 or code is None or view not in DEID_TABLES:
            return Looked(place, False, None)
        is_true = view in CRITERIA_TABLES and name in CRITERIA_TABLES[view]
        folder = self._workspace.criteria if is_true else self._workspace.deid
        path = folder / f"{view}.parquet"
        if name not in read_schema(path).names:
            return Looked(place, False, None)
        found = self._asked(path, f"w.{name}", keys[0], code)
        return Looked(place, bool(found), found[0][0] if found else None)

    def _asked(self, path: Path, what: str, key: str, code: str) -> list[tuple[Any, ...]]:
        """What stands in the rows of a file that have a key."""
        self._engine.view("looked_at", [path])
        return self._engine.rows(f"select {what} as answer from looked_at as w where w.{key} = ?", [code])

    def _number(self, table: str, level: str, row: Mapping[str, Any]) -> Looked:
        """How many rows of a table the entity has, whatever they say."""
        key = "patient_id" if table in PERSONAL or level in {"event", "series"} else LEVEL_KEYS[level][0]
        place, code = f"number of {table}", row.get(key)
        path = self._workspace.deid / f"{table}.parquet"
        if code is None or len(LEVEL_KEYS[level]) > 1 or key not in read_schema(path).names:
            return Looked(place, False, None)
        return Looked(place, True, self._asked(path, "count(*)", key, code)[0][0])


# --- Two cohorts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overlap:
    """In whom two cohorts differ, as it may be seen.

    Attributes:
        unit: what both count.
        both: units in both.
        only_before: units in the earlier one alone, by the step of the later one that they fall at.
        only_after: units in the later one alone, likewise.
    """

    unit: str
    both: Shown
    only_before: Mapping[str, Shown]
    only_after: Mapping[str, Shown]


NOT_LOOKED_AT = "(not in the archive then)"


def overlap(workspace: Workspace, engine: Engine, before: str, after: str) -> Overlap:
    """Compare the units of two cohorts by their ledgers.

    Small counts are withheld, with others from which they could be worked out; the rest is rounded. The stricter of the two
    recipes says how.

    Raises:
        UsageError: the cohorts count different units, or there is none of that name.
        InputOutputError: a ledger cannot be read.
    """
    recipes = []
    for name in (before, after):
        facts = cohort_facts(workspace, name)
        if facts is None:
            raise UsageError(f"there is no cohort {name}", "Select it with `pathcurate cohort` first.")
        recipes.append(recipe_of(facts))
    if recipes[0].unit != recipes[1].unit:
        raise UsageError(
            f"{before} counts {recipes[0].unit}s and {after} {recipes[1].unit}s: nobody is in both",
            "Compare cohorts of the same unit.",
        )
    unit = recipes[0].unit
    parts: dict[tuple[str, str], _Part] = {("both", ""): _Part(0, 0)}
    for (first, second), part in sorted(_pairs(workspace, engine, (before, after), LEVEL_KEYS[unit][0]).items()):
        if KEPT in (first, second):
            step = second if first == KEPT else first
            parts["both" if first == second else "before" if first == KEPT else "after", "" if step == KEPT else step] = part
    rules = [recipe.disclosure for recipe in recipes]
    shown = _shown(parts, max(one.min_cell for one in rules), max(one.round_to for one in rules))
    return Overlap(
        unit, shown["both", ""],
        {step: count for (side, step), count in shown.items() if side == "before"},
        {step: count for (side, step), count in shown.items() if side == "after"},
    )  # fmt: skip


class _Part(NamedTuple):
    units: int
    patients: int


def _shown(parts: Mapping[tuple[str, str], _Part], least: int, round_to: int) -> dict[tuple[str, str], Shown]:
    """The units of each part, where no small one can be worked out by somebody who knows how large both cohorts are.

    Small is what has fewer units or patients than ``least``. On each side small parts are withheld together with the next
    larger ones, until the withheld are at least two and at least twice as many as ``least``: then each number below it is
    possible for each of them. Where a side has not enough for that, nothing is told at all: what is in both would tell it.
    """
    hidden: list[tuple[str, str]] = []
    for side in ("both", "before", "after"):
        ordered = sorted((part for part in parts if part[0] == side and parts[part].units), key=lambda one: parts[one].units)
        few = [part for part in ordered if min(parts[part]) < least]
        for part in ordered if few else ():
            if part not in few and not _are_enough(parts, few, least):
                few.append(part)
        if few and not _are_enough(parts, few, least):
            return {part: WITHHELD if one.units else 0 for part, one in parts.items()}
        hidden += few
    return {part: WITHHELD if part in hidden else round(one.units / round_to) * round_to for part, one in parts.items()}


def _are_enough(parts: Mapping[tuple[str, str], _Part], chosen: Sequence[tuple[str, str]], least: int) -> bool:
    return len(chosen) >= 2 and sum(parts[part].units for part in chosen) >= 2 * least


def _pairs(workspace: Workspace, engine: Engine, names: Sequence[str], key: str) -> dict[tuple[str, str], _Part]:
    """Step in the one ledger and in the other, to how many units of how many patients."""
    for view, name in zip(("ledger_before", "ledger_after"), names, strict=True):
        path = workspace.cohorts / name / "ledger.parquet"
        if not path.is_file():
            raise InputOutputError(f"cohort {name} has no ledger", "Select it again with `pathcurate cohort`.")
        engine.view(view, [path])
    rows = engine.rows(
        "select coalesce(b.step, '') as first_step, coalesce(a.step, '') as second_step, count(*) as units,"
        " count(distinct coalesce(b.patient_id, a.patient_id)) as patients"
        f" from ledger_before as b full outer join ledger_after as a on a.{key} = b.{key}"
        " group by coalesce(b.step, ''), coalesce(a.step, '')"
    )
    return {
        (first or NOT_LOOKED_AT, second or NOT_LOOKED_AT): _Part(units, patients) for first, second, units, patients in rows
    }
