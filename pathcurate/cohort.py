"""Stage: a recipe selects from the de-identified tables; everybody who was looked at is in the ledger."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate import __version__
from pathcurate.disclosure.lists import check_permission_lists
from pathcurate.engines import Engine
from pathcurate.errors import RecipeError
from pathcurate.htmlreport.attrition import attrition_svg
from pathcurate.htmlreport.page import cohort_page
from pathcurate.model.attrition import COHORT_FILE, KEPT, Attrition, AttritionStep, Counts, ledger_table
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import DEID_TABLES, UNIT_KEYS, UNIT_TABLES, VIEWS, released
from pathcurate.model.recipe import Recipe
from pathcurate.profiles import check_recipe, load_profile
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.roles import shared_directory
from pathcurate.splits import assign_splits
from pathcurate.sqlplan.compiler import Plan, compile_recipe
from pathcurate.storage import write_bytes
from pathcurate.tables import column_values, conform, from_rows, read_parquet, write_parquet
from pathcurate.text.vocabulary import all_codes
from pathcurate.vault import append_event
from pathcurate.verification import Seal, demand_seal
from pathcurate.workspace import Workspace

_PERMISSIONS = Table(
    name="permissions",
    row="one subject and kind of data that today's statements are about",
    key=(),
    columns=(
        Column("subject", Type.STRING, "", pattern=r"[a-z]+", required=True),
        Column("code", Type.STRING, "", pattern=r"[A-Za-z0-9_-]+", required=True),
        Column("data_kind", Type.STRING, "", pattern=r"[a-z]*", required=True),
        Column("opt_out", Type.BOOLEAN, "", required=True),
    ),
)


@dataclass(frozen=True, slots=True)
class CohortResult:
    """A selected cohort.

    Attributes:
        recipe: the recipe.
        attrition: who left at which step.
        split: units on each side, empty without a split.
        has_permissions: whether any permission list is configured.
        directory: where it was written, None for a dry run.
    """

    recipe: RecipeSource
    attrition: Attrition
    split: Mapping[str, int]
    has_permissions: bool
    directory: Path | None


def read_recipe(file: Path, text: str | None = None) -> RecipeSource:
    """Read and check a recipe against the tables that recipes may name.

    Args:
        file: the file.
        text: a recipe that was sent instead; the file only says what messages call it.

    Raises:
        RecipeError: the recipe is broken; every fault is named with its place.
    """
    return load_recipe(file, VIEWS, all_codes(), text=text)


def select(
    workspace: Workspace,
    engine: Engine,
    source: RecipeSource,
    *,
    now: datetime,
    dry_run: bool = False,
    actor: str | None = None,
) -> CohortResult:
    """Select a cohort and write it below ``cohorts/NAME``.

    Args:
        workspace: the workspace.
        engine: runs the query.
        source: the recipe.
        now: the present, with time zone; permissions are those of this day.
        dry_run: only count.
        actor: who selects, for the audit trail; None if what calls it notes that itself.

    Raises:
        PlanIncompleteError: the de-identified tables are missing, out of date or not verified.
        DisclosureRefusedError: a permission list cannot be relied on.
        RecipeError: the recipe names a column that the profile leaves empty, or the cohort is empty (not for a dry run).
        InputOutputError: the engine failed.
    """
    seal = demand_seal(workspace)
    check_recipe(source, load_profile(workspace))
    check_permission_lists(workspace, now)
    recipe = source.recipe
    plan = compile_recipe(recipe, with_permissions=bool(workspace.permissions))
    _open_views(workspace, engine, plan, recipe, now.date())
    decided = engine.table(plan.sql)
    attrition = _attrition(recipe, plan, decided)
    kept = decided.filter(pc.is_null(decided["failed_step"]))
    rows = _selected(workspace, recipe, kept)
    sides = _split(recipe, rows)
    directory = None if dry_run else workspace.cohorts / recipe.name
    result = CohortResult(source, attrition, dict(sorted(Counter(sides).items())), bool(workspace.permissions), directory)
    if actor is not None:
        facts: dict[str, str | int] = {"recipe": recipe.name, "recipe_sha256": source.sha256, "version": __version__}
        append_event(workspace.vault, actor, "cohort", {**facts, **asdict(attrition.kept)}, purpose=recipe.purpose)
    if dry_run:
        return result
    if not rows.num_rows:
        worst = max(attrition.steps, key=lambda step: step.dropped)
        raise RecipeError(
            f"{source.document.name}: no {recipe.unit} is left; most fell at step `{worst.id}` ({worst.dropped})",
            "See the attrition with --dry-run, and relax that criterion.",
        )
    if sides:
        rows = rows.append_column("split", pa.array(sides, pa.string()))
    _write(workspace, source, seal, decided, plan, rows, result)
    return result


def _open_views(workspace: Workspace, engine: Engine, plan: Plan, recipe: Recipe, today: date) -> None:
    for view in plan.views:
        table, _, kind = view.rpartition("_")
        if view == "permissions":
            statements = read_parquet(workspace.vault / "criteria" / "permissions.parquet")
            engine.view(view, _todays_permissions(statements, recipe, today))
        elif kind == "deid":
            engine.view(view, [workspace.deid / f"{table}.parquet"])
        else:
            engine.view(view, [workspace.vault / "criteria" / f"{table}.parquet"])


def _todays_permissions(statements: pa.Table, recipe: Recipe, today: date) -> pa.Table:
    """What holds today for the recipe's purpose, one row per subject and kind of data; opt-outs hold always."""
    rows: set[tuple[str, str, str, bool]] = set()
    for row in statements.to_pylist():
        subject = (row["subject"], row["subject_code"])
        if row["opt_out"]:
            rows.add((*subject, "", True))
        elif (
            recipe.purpose in (row["purposes"] or ())
            and (row["valid_from"] or today) <= today
            and (row["valid_to"] or today) >= today
        ):
            rows.update((*subject, kind, False) for kind in row["data_kinds"] or ())
    return from_rows(_PERMISSIONS, (dict(zip(_PERMISSIONS.names, row, strict=True)) for row in sorted(rows)))


def _attrition(recipe: Recipe, plan: Plan, decided: pa.Table) -> Attrition:
    steps = []
    left = decided
    for number, step in enumerate(plan.steps):
        here = left.filter(pc.field("failed_step") == number)
        left = left.filter(pc.field("failed_step").is_null() | (pc.field("failed_step") > number))
        missing = _total(here, "failed_missing")
        steps.append(AttritionStep(step.id, step.label, step.level, step.kind, here.num_rows, missing, _counts(left)))
    return Attrition(recipe.unit, _counts(decided), tuple(steps))


def _counts(rows: pa.Table) -> Counts:
    """Slides, distinct cases and distinct patients behind the rows; a row without a case or patient adds to neither."""
    several_cases = "case_count" in rows.column_names
    cases = _total(rows, "case_count") if several_cases else pc.count_distinct(rows["case_id"], "only_valid").as_py()
    return Counts(_total(rows, "slide_count"), cases, pc.count_distinct(rows["patient_id"], "only_valid").as_py())


def _total(rows: pa.Table, column: str) -> int:
    return pc.sum(rows[column]).as_py() or 0


def _selected(workspace: Workspace, recipe: Recipe, kept: pa.Table) -> pa.Table:
    """The kept rows of the unit's de-identified table, in order of their key."""
    table, key = UNIT_TABLES[recipe.unit], UNIT_KEYS[recipe.unit]
    data = read_parquet(workspace.deid / f"{table}.parquet")
    return data.filter(pc.is_in(data[key], kept[key].combine_chunks()))


def _split(recipe: Recipe, rows: pa.Table) -> list[str]:
    """The side of each row."""
    split = recipe.split
    if split is None:
        return []
    groups = column_values(rows, "group_id")
    values = [column_values(rows, name) for name in split.stratify]
    strata: list[tuple[Any, ...]] = list(zip(*values, strict=True)) if values else [()] * len(groups)
    sides = assign_splits(groups, strata, {str(side): share for side, share in split.ratios.items()}, recipe.seed)
    return [sides[group] for group in groups]


def _write(
    workspace: Workspace,
    source: RecipeSource,
    seal: Seal,
    decided: pa.Table,
    plan: Plan,
    rows: pa.Table,
    result: CohortResult,
) -> None:
    recipe = source.recipe
    directory = shared_directory(workspace.cohorts / recipe.name)
    facts = {
        "recipe": {"name": recipe.name, "version": recipe.version, "sha256": source.sha256},
        "unit": recipe.unit,
        "has_permissions": result.has_permissions,
        "inputs": dict(seal.tables),
        "attrition": result.attrition.as_dict(),
        "split": dict(result.split),
        "sql": plan.sql,
    }
    # The facts go first and come back last: a cohort without them is one that was not finished.
    (directory / COHORT_FILE).unlink(missing_ok=True)
    write_parquet(directory / "cohort.parquet", conform(cohort_table(recipe), rows))
    write_parquet(directory / "ledger.parquet", _ledger(recipe, plan, decided))
    svg = attrition_svg(recipe.title, result.attrition)
    write_bytes(directory / "attrition.svg", svg.encode())
    write_bytes(directory / "attrition.html", cohort_page(recipe.title, result.attrition, result.has_permissions).encode())
    write_bytes(directory / COHORT_FILE, json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n")


def cohort_table(recipe: Recipe) -> Table:
    """The declaration of ``cohort.parquet``: who each row is, then the recipe's columns."""
    table = DEID_TABLES[UNIT_TABLES[recipe.unit]]
    keys = [name for name in (UNIT_KEYS[recipe.unit], "case_id", "patient_id", "group_id") if name in table]
    extra = ["split"] if recipe.split else []
    return released(table, tuple(dict.fromkeys((*keys, *recipe.unit_columns, *extra))))


def _ledger(recipe: Recipe, plan: Plan, decided: pa.Table) -> pa.Table:
    steps = column_values(decided, "failed_step")
    ids = [KEPT if step is None else plan.steps[step].id for step in steps]
    return conform(
        ledger_table(recipe.unit),
        decided.append_column("step", pa.array(ids, pa.string()))
        .append_column("step_number", decided["failed_step"])
        .append_column("missing", decided["failed_missing"]),
    )
