"""What a selection leaves on disk: the cohort's tables, the ledger of everybody who was looked at, and the attrition."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate import __version__
from pathcurate.attrition import DECIDED, TAIL
from pathcurate.cohort.opening import Authorised, Opened
from pathcurate.disclosure.attrition import shown
from pathcurate.engines import Engine
from pathcurate.goingback import LOCK, lock
from pathcurate.htmlreport.attrition import attrition_svg
from pathcurate.htmlreport.page import cohort_page
from pathcurate.model.attrition import COHORT_FILE, KEPT, Attrition, ledger_table
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import LABEL_EVIDENCE, cohort_output, cohort_table
from pathcurate.recipefile import RecipeSource
from pathcurate.roles import shared_directory
from pathcurate.sqlplan.compiler import Plan, Step
from pathcurate.sqlplan.outputs import output_sql
from pathcurate.sqlplan.relations import unit_key
from pathcurate.storage import replacing, write_bytes
from pathcurate.tables import arrow_schema, conform, write_parquet
from pathcurate.verification import Seal
from pathcurate.workspace import Workspace

PREVIOUS = "previous"
"""Folder of a cohort with the files of the run before, by which differences are attributed."""
_CURATORS_OWN = 0o600
TAIL_KINDS = ("label", "sample")
"""Kinds of the steps that follow the criteria."""
_KEPT_FILES = (COHORT_FILE, "cohort.parquet", "ledger.parquet", "labels.parquet")


@dataclass(frozen=True, slots=True)
class Selected:
    """A selection before it is written.

    Attributes:
        rows: the units that are kept, with all their columns.
        evidence: which report said each label.
        steps: all steps.
        tail: numbers of units that fell after the criteria, each with the number of its step.
        attrition: who left at which step.
        split: units on each side, empty without a split.
        has_permissions: whether any permission list is configured.
        rights: what the sites' rights allow.
    """

    rows: pa.Table
    evidence: pa.Table
    steps: Sequence[Step]
    tail: Mapping[int, int]
    attrition: Attrition
    split: Mapping[str, int]
    has_permissions: bool
    rights: Authorised


def write_cohort(
    workspace: Workspace,
    engine: Engine,
    source: RecipeSource,
    seal: Seal,
    plan: Plan,
    selected: Selected,
    opened: Opened,
    *,
    now: datetime,
    raw_counts: bool,
) -> dict[str, int]:
    """Write a cohort; the rows of each table other than the unit's.

    The facts go first and come back last: a cohort without them is one that was not finished. What tells true values, the
    ledger and exact counts, is for the curator alone.
    """
    recipe = source.recipe
    directory = shared_directory(workspace.cohorts / recipe.name)
    _put_aside(directory)
    # The labels of a sealed evaluation are for nobody whose models it may judge.
    mode = _CURATORS_OWN if recipe.sealed is not None else 0o644
    write_parquet(directory / "cohort.parquet", conform(cohort_table(recipe), selected.rows), mode=mode)
    with_permissions = selected.has_permissions or selected.rights.is_asked
    counts = _write_outputs(directory, engine, recipe, opened, with_permissions=with_permissions)
    labels = directory / "labels.parquet"
    if recipe.labels:
        evidence = conform(LABEL_EVIDENCE, selected.evidence).sort_by([(name, "ascending") for name in LABEL_EVIDENCE.key])
        write_parquet(labels, evidence, mode=_CURATORS_OWN)
    _write_ledger(workspace, directory / "ledger.parquet", engine, recipe, selected)
    rules = recipe.disclosure
    told = shown(selected.attrition, min_cell=rules.min_cell, round_to=rules.round_to, exact_kept=True)
    write_bytes(directory / "attrition.svg", attrition_svg(recipe.title, told).encode())
    write_bytes(directory / "attrition.html", cohort_page(recipe.title, told, selected.has_permissions).encode())
    exact = directory / "attrition.exact.json"
    exact.unlink(missing_ok=True)
    if raw_counts:
        write_bytes(exact, _json(selected.attrition.as_dict()), mode=_CURATORS_OWN)
    kept = selected.attrition.kept
    facts = {
        "recipe": {
            "name": recipe.name, "version": recipe.version, "sha256": source.sha256, "files": dict(source.files),
            "canonical": json.loads(source.canonical),
        },
        "unit": recipe.unit,
        "has_permissions": selected.has_permissions,
        "rights": {"is_asked": selected.rights.is_asked, "left_out": dict(selected.rights.left_out)},
        "inputs": dict(seal.tables),
        "states": dict(seal.inputs),
        LOCK: lock(workspace, seal, now),
        "key": seal.key,
        "tool": __version__,
        "counts": {"slides": kept.slides, "cases": kept.cases, "patients": kept.patients},
        "tables": {recipe.unit_table: selected.rows.num_rows, **counts},
        "attrition": told.as_dict(),
        "split": dict(selected.split),
        "sql": plan.sql,
    }  # fmt: skip
    write_bytes(directory / COHORT_FILE, _json(facts))
    return counts


def _json(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def _put_aside(directory: Path) -> None:
    """Keep the files of the last whole run, so that what differs from it can be explained."""
    previous = directory / PREVIOUS
    if not (directory / COHORT_FILE).exists():
        return
    shutil.rmtree(previous, ignore_errors=True)
    previous.mkdir(mode=0o700)
    for name in (name for name in reversed(_KEPT_FILES) if (directory / name).exists()):
        (directory / name).replace(previous / name)


def _write_outputs(
    directory: Path, engine: Engine, recipe: Recipe, opened: Opened, *, with_permissions: bool
) -> dict[str, int]:
    """The tables that go out beside the unit's own."""
    folder = directory / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    others = [name for name in recipe.outputs if name != recipe.unit_table]
    counts = {}
    for name in others:
        sql, views = output_sql(recipe, name, with_permissions=with_permissions)
        opened.views(views)
        rows = engine.table(sql)
        write_parquet(shared_directory(folder) / f"{name}.parquet", conform(cohort_output(recipe, name), rows))
        counts[name] = rows.num_rows
    return counts


def _write_ledger(workspace: Workspace, path: Path, engine: Engine, recipe: Recipe, selected: Selected) -> None:
    """Everybody who was looked at, and which steps they failed, piece by piece: there may be millions."""
    key, number_of = unit_key(recipe.unit), dict(enumerate(selected.steps))
    table = ledger_table(recipe.unit)
    first = " ".join(
        f"when (d.failed & {1 << number}) <> 0 then {number}"
        for number, step in number_of.items()
        if step.kind not in TAIL_KINDS
    )
    sql = (
        f"select d.{key} as number, case {first} when t.step is not null then t.step end as step_number,"
        f" d.failed as failed, d.missing as missing_mask from {DECIDED} as d left join {TAIL} as t on t.{key} = d.{key}"
        " order by number"
    )
    ids = pa.array([step.id for step in selected.steps] + [KEPT], pa.string())
    codes = _Codes(workspace.deid / f"{recipe.unit_table}.parquet", [name for name in table.names if name.endswith("_id")])
    with replacing(path, _CURATORS_OWN) as temporary, pq.ParquetWriter(
        temporary, arrow_schema(table), compression="zstd"
    ) as writer:  # fmt: skip
        for batch in engine.batches(sql):
            numbers: Any = batch["step_number"].cast(pa.int64())
            place: Any = pc.fill_null(numbers, pa.scalar(len(selected.steps), pa.int64()))
            bits: Any = pc.shift_left(pa.scalar(1, pa.int64()), pc.fill_null(numbers, pa.scalar(0, pa.int64())))
            open_: Any = pc.not_equal(pc.bit_wise_and(batch["missing_mask"], bits), pa.scalar(0, pa.int64()))
            columns: dict[str, Any] = {
                **codes.of(batch["number"]),
                "step": ids.take(place), "step_number": numbers, "missing": pc.and_(open_, numbers.is_valid()),
                "failed": batch["failed"], "missing_mask": batch["missing_mask"],
            }  # fmt: skip
            writer.write_table(conform(table, pa.table(columns)))


class _Codes:
    """The codes of rows by number, read piece by piece as ever higher numbers are asked for."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._pieces = pq.ParquetFile(path).iter_batches(batch_size=1 << 17, columns=list(columns))
        self._held = pa.table({})
        self._first = 0

    def of(self, numbers: "pa.Array[Any]") -> dict[str, Any]:
        """The codes of these rows, whose numbers are sorted and not less than any asked for before."""
        if not len(numbers):
            return {}
        low, high = numbers[0].as_py(), numbers[-1].as_py()
        while self._first + self._held.num_rows <= high:
            piece = pa.Table.from_batches([next(self._pieces)])
            passed = min(max(low - self._first, 0), self._held.num_rows)
            rest = self._held.slice(passed)
            self._first += passed
            self._held = pa.concat_tables([rest, piece]) if rest.num_rows else piece
        places = pc.subtract(numbers, pa.scalar(self._first, pa.int64()))
        return {name: self._held[name].take(places) for name in self._held.column_names}
