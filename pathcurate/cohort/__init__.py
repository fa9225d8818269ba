"""Stage: a recipe selects from the de-identified tables; everybody who was looked at is in the ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.attribution import DIFFERENCES, DIFFERENCES_BY_UNIT, Differences, attribute, read_runs, write_differences
from pathcurate.attrition import DECIDED, TAIL, count_attrition
from pathcurate.cohort.drawing import within_balance, within_cap
from pathcurate.cohort.expected import known_cases, unmet
from pathcurate.cohort.labelled import labelled, step_words
from pathcurate.cohort.opening import NOT_ASKED, Authorised, Opened, authorised, demand_concepts
from pathcurate.cohort.sides import earlier_sides, sides_of, together
from pathcurate.cohort.written import PREVIOUS, Selected, write_cohort
from pathcurate.disclosure.lists import check_permission_lists
from pathcurate.engines import Engine
from pathcurate.errors import DisclosureRefusedError, InputOutputError, PathcurateError, RecipeError
from pathcurate.model.attrition import Attrition
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import LABEL_EVIDENCE
from pathcurate.model.recipe.levels import LEVEL_KEYS, NUMBERS
from pathcurate.profiles import check_recipe, load_profile
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.sqlplan.compiler import UNLISTED, Plan, Step, compile_recipe, kept_columns
from pathcurate.sqlplan.labels import KEPT
from pathcurate.sqlplan.outputs import units_sql
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import Catalog, arrow_schema, column_values
from pathcurate.vault import append_event
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CohortResult:
    """A selected cohort.

    Attributes:
        recipe: the recipe.
        attrition: who left at which step.
        split: units on each side, empty without a split.
        tables: rows of each table that goes out; the unit's alone for a dry run.
        unmet: expectations of the recipe that the cohort does not meet.
        has_permissions: whether any permission list is configured.
        sites_left_out: codes of sites whose rows were left out for want of a valid authorisation, each with the reason.
        directory: where it was written, None for a dry run.
        differences: what differs from the run before, and why; None where there is none to compare with.
        rows: the units, with their codes and labels.
    """

    recipe: RecipeSource
    attrition: Attrition
    split: Mapping[str, int]
    tables: Mapping[str, int]
    unmet: Sequence[str]
    has_permissions: bool
    sites_left_out: Mapping[str, str]
    directory: Path | None
    differences: Differences | None
    rows: pa.Table


def read_recipe(
    file: Path, *, text: str | None = None, parameters: Mapping[str, str] | None = None, directory: Path | None = None
) -> RecipeSource:
    """Read and check a recipe against the tables that recipes may name.

    Args:
        file: the file.
        text: a recipe that was sent instead; the file only says what messages call it.
        parameters: values of its parameters, as written on the command line.
        directory: the only one whose files it may name, see :func:`~pathcurate.recipefile.load_recipe`.

    Raises:
        RecipeError: the recipe is broken; every fault is named with its place.
    """
    return load_recipe(file, text=text, parameters=parameters, directory=directory)


def select(
    workspace: Workspace,
    engine: Engine,
    source: RecipeSource,
    *,
    now: datetime,
    dry_run: bool = False,
    raw_counts: bool = False,
    actor: str | None = None,
) -> CohortResult:
    """Select a cohort and write it below ``cohorts/NAME``.

    Args:
        workspace: the workspace.
        engine: runs the query.
        source: the recipe.
        now: the present, with time zone; permissions and the sites' rights are those of this day.
        dry_run: only count.
        raw_counts: write the exact attrition too, for the curator alone.
        actor: who selects, for the audit trail; None if what calls it notes that itself.

    Raises:
        PlanIncompleteError: the de-identified tables are missing, out of date or not verified.
        DisclosureRefusedError: a permission list cannot be relied on, or no site is authorised (not for a dry run).
        RecipeError: the recipe names a column that the profile leaves empty, or the cohort is empty (not for a dry run).
        InputOutputError: the engine failed.
    """
    seal = demand_seal(workspace)
    check_recipe(source, load_profile(workspace))
    check_permission_lists(workspace, now)
    recipe = source.recipe
    demand_concepts(Catalog(workspace.catalog, workspace.pinned), recipe)
    rights = authorised(workspace, now.date())
    selection = _Selection(workspace, engine, recipe, now, seal.tables, rights)
    selection.decide()
    selection.follow_through()
    attrition = selection.attrition()
    faults = unmet(recipe, selection.rows, attrition.kept, known_cases(workspace, recipe))
    if actor is not None:
        facts: dict[str, str | int] = {"recipe": recipe.name, "recipe_sha256": source.sha256, "version": __version__}
        append_event(workspace.vault, actor, "cohort", {**facts, **attrition.kept.as_dict()}, purpose=recipe.purpose)
    directory = None if dry_run else workspace.cohorts / recipe.name
    tables = {recipe.unit_table: selection.rows.num_rows}
    sides = dict(sorted(Counter(column_values(selection.rows, "split")).items())) if recipe.split is not None else {}
    has_permissions = bool(workspace.permissions)
    if directory is not None:
        if not selection.rows.num_rows:
            raise _nothing_left(source, attrition, rights)
        selected = Selected(
            selection.rows, selection.evidence, selection.steps, selection.tail, attrition, sides, has_permissions, rights
        )
        tables |= write_cohort(workspace, engine, source, seal, selection.plan, selected, selection.opened,
                               now=now, raw_counts=raw_counts)  # fmt: skip
    differences = _differences(directory) if directory is not None else None
    return CohortResult(
        source, attrition, sides, tables, faults, has_permissions, rights.left_out, directory, differences, selection.rows
    )


def _nothing_left(source: RecipeSource, attrition: Attrition, rights: Authorised) -> PathcurateError:
    """Why a cohort is empty."""
    if not rights.has_any:
        sites = "; ".join(f"{site}: {fault}" for site, fault in rights.left_out.items())
        return DisclosureRefusedError(
            f"nothing can be selected, because no site has a valid authorisation ({sites})",
            "Name it in `rights:` of the site in pathcurate.yaml, or renew it.",
        )
    worst = max(attrition.steps, key=lambda step: step.dropped)
    besides = f"; {rights.words}" if rights.left_out else ""
    return RecipeError(
        f"{source.document.name}: no {source.recipe.unit} is left; most fell at step `{worst.id}`{besides}",
        "Run `pathcurate doctor`: it says whether tables and permission lists are imported. The recipe's `purpose` must be "
        "one that they permit."
        if worst.id == "permission"
        else "See the attrition with --dry-run (a curator adds --raw-counts where few are left), and relax that criterion.",
    )


def _differences(directory: Path) -> Differences | None:
    """What differs from the run before, written beside the cohort; None if that left nothing that can be compared."""
    for name in (DIFFERENCES, DIFFERENCES_BY_UNIT):
        (directory / name).unlink(missing_ok=True)
    try:
        before, after = read_runs(directory / PREVIOUS, directory)
    except InputOutputError:
        return None
    differences = attribute(before, after)
    write_differences(directory, differences)
    return differences


class _Selection:
    """One run of a recipe.

    Attributes:
        plan: the compiled recipe.
        opened: the views of the engine.
        rows: the units that are kept so far, with all columns that the recipe needs, in the order of their key.
        evidence: which report said each label.
        tail: numbers of units that fell after the criteria, each with the number of its step.
        steps: all steps: those of the plan, then those of the tail.
    """

    def __init__(
        self,
        workspace: Workspace,
        engine: Engine,
        recipe: Recipe,
        now: datetime,
        sealed: Mapping[str, str],
        rights: Authorised = NOT_ASKED,
    ) -> None:
        self._workspace, self._engine, self._recipe = workspace, engine, recipe
        self.plan: Plan = compile_recipe(recipe, with_permissions=bool(workspace.permissions) or rights.is_asked)
        self.opened = Opened(workspace, engine, recipe, now.date(), sealed, rights.left_out, rights.withdrawn)
        self.rows: pa.Table = pa.table({})
        self.evidence: pa.Table = arrow_schema(LABEL_EVIDENCE).empty_table()
        self.tail: dict[int, int] = {}
        permission, *others = self.plan.steps
        # Without lists the step is taken for the sake of the sites alone.
        lists = permission.label if workspace.permissions else UNLISTED
        label = f"{lists}; {rights.words}" if rights.left_out else lists
        self.steps: list[Step] = [replace(permission, label=label), *others]
        self._unit_key = unit_key(recipe.unit)

    def decide(self) -> None:
        """Ask of every unit which steps it fails; the view ``decided`` is the answer."""
        self.opened.views(self.plan.views)
        self._engine.materialise(DECIDED, self.plan.sql)
        number = NUMBERS[self._unit_key]
        chosen = ", ".join(f"w.{name} as {name}" for name in kept_columns(self._recipe))
        self._keep(self._engine.table(
            f"select {chosen} from {self._recipe.unit_table} as w join {DECIDED} as d on d.{self._unit_key} = w.{number}"
            f" where d.failed = 0 order by {number}"
        ))  # fmt: skip

    def follow_through(self) -> None:
        """Labels, caps, balance and sides, in this order, for those whom the criteria keep."""
        recipe, split = self._recipe, self._recipe.split
        wanted = tuple(dict.fromkeys(self._needed()))
        sql, views = units_sql(recipe, wanted, dict(split.hold_out or {}) if split is not None else {})
        self.opened.views(views)
        found = self._engine.table(sql)
        more = [name for name in found.column_names if name not in self.rows.column_names]
        for name in more:
            self.rows = self.rows.append_column(name, found[name])
        for label in recipe.labels:
            answer = labelled(recipe, label, self.rows, self.opened, self._engine)
            self.evidence = pa.concat_tables([self.evidence, answer.evidence])
            for name, values in answer.columns.items():
                self.rows = self.rows.append_column(name, values)
            if label.drops_conflicts or label.if_missing == "fail":
                self._drop(Step(f"label_{label.name}", step_words(label), label.level, "label"), answer.falls)
        self._sample()
        if split is not None:
            self._divide()

    def attrition(self) -> Attrition:
        """Who left at which step."""
        pairs = sorted(self.tail.items())
        tail: dict[str, Any] = {
            self._unit_key: pa.array([key for key, _ in pairs], pa.int64()),
            "step": pa.array([number for _, number in pairs], pa.int64()),
        }
        self._engine.view(TAIL, pa.table(tail))
        return count_attrition(self._engine, self._recipe.unit, self.steps, ordered=len(self.plan.steps))

    def _needed(self) -> Iterator[str]:
        """Columns of the units that something after the criteria looks at; labels are not among them."""
        recipe = self._recipe
        yield from recipe.unit_columns
        if recipe.sample is not None:
            for cap in recipe.sample.per or ():
                yield from LEVEL_KEYS[cap.level]
                yield from (name.removeprefix("-") for name in cap.order or ())
            yield from recipe.sample.balance.by if recipe.sample.balance is not None else ()
        if recipe.split is not None:
            yield from recipe.split.stratify
        yield from recipe.disclosure.quasi_identifiers or ()

    def _sample(self) -> None:
        sample = self._recipe.sample
        if sample is None:
            return
        for number, cap in enumerate(sample.per or (), 1):
            is_in = within_cap(self.rows, cap, self._unit_key)
            words = f"Among the first {cap.max} of its {cap.level}"
            self._drop(Step(f"sample_cap_{number}", words, cap.level, "sample"), [not one for one in is_in])
        if sample.balance is not None:
            is_in = within_balance(self.rows, sample.balance, self._unit_key, self._recipe)
            words = f"Drawn: at most {sample.balance.max} of each {', '.join(sample.balance.by)}"
            self._drop(Step("sample_balance", words, self._recipe.unit, "sample"), [not one for one in is_in])

    def _divide(self) -> None:
        self.opened.views(["slides"])
        groups = [group or key for group, key in zip(
            column_values(self.rows, "group_id"), column_values(self.rows, self._unit_key), strict=True
        )]  # fmt: skip
        who = together(self._engine, groups)
        patients = [patient for patient in column_values(self.rows, "patient_id") if patient is not None]
        kept = earlier_sides(self._workspace, self._recipe, patients)
        sides = sides_of(self._recipe, self.rows, who, kept)
        torn = len({(group, side) for group, side in zip(who, sides, strict=True)}) - len(set(who))
        if torn:
            raise RuntimeError("a group stands on two sides of the split")
        self.rows = self.rows.append_column("split", pa.array(sides, pa.string()))

    def _keep(self, rows: pa.Table) -> None:
        self.rows = rows
        self._engine.view(KEPT, rows)

    def _drop(self, step: Step, falls: Sequence[bool]) -> None:
        """Let units fall at a further step."""
        number = len(self.steps)
        self.steps.append(step)
        fallen = self.rows.filter(pa.array(falls, pa.bool_()))
        self.tail.update(dict.fromkeys(column_values(fallen, NUMBERS[self._unit_key]), number))
        if fallen.num_rows:
            gone = pc.is_in(self.evidence["unit_id"], fallen[self._unit_key].combine_chunks())
            self.evidence = self.evidence.filter(pc.invert(gone))
            self._keep(self.rows.filter(pa.array([not is_out for is_out in falls], pa.bool_())))
