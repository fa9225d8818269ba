"""What a release tells about people: made coarse enough for its profile, and evaluated as it goes out."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.disclosure.generalisation import Columns, Reached, reach
from pathcurate.disclosure.risk import evaluate
from pathcurate.model.attrition import WITHHELD, Counts, ShownAttrition, ShownStep
from pathcurate.model.column import Identifying, Table
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.evaluation import Evaluation, Standard, moved_days, quasi_identifiers
from pathcurate.model.profile import Profile
from pathcurate.model.recipe import Recipe
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import column_values, conform, read_parquet, write_parquet
from pathcurate.workspace import Workspace

SUPPRESSED_FILE = "suppressed.parquet"
"""Beside a cohort: the rows that its release leaves out, by internal pseudonym."""


@dataclass(frozen=True, slots=True)
class Disclosed:
    """A table that may go out.

    Attributes:
        table: its declaration.
        data: its rows, in the order of those that it was made of.
        is_kept: for each of those whether it goes out.
        evaluation: of what goes out.
    """

    table: Table
    data: pa.Table
    is_kept: "pa.Array[Any]"
    evaluation: Evaluation


def disclose(
    table: Table,
    data: pa.Table,
    persons: "pa.ChunkedArray[Any]",
    profile: Profile,
    standard: Standard,
    *,
    k: int | None,
    has_texts: bool,
) -> Disclosed:
    """Make a table coarse enough for its profile, if that asks for a k, and evaluate what is left.

    Args:
        table: its declaration.
        data: its rows, with the codes and days that go out.
        persons: whose each row is, by any codes.
        profile: what is asked for.
        standard: by which the risk is judged.
        k: least persons in a class, None for no limit; the profile's, or more.
        has_texts: whether texts go out too.

    Raises:
        DisclosureRefusedError: it cannot be made coarse enough.
    """
    quasi = quasi_identifiers(table)
    if k is None:
        reached = Reached({name: data[name] for name in quasi}, np.ones(data.num_rows, np.bool_), (), 0)
    else:
        reached = reach(data, quasi, persons, k, profile.most_suppressed or 0.0)
    declared, kept = _left(table, reached.columns), pa.array(reached.is_kept)
    columns = [reached.columns[name] if name in reached.columns else data[name] for name in declared.names]
    left = conform(declared, pa.Table.from_arrays(columns, names=list(declared.names))).filter(kept)
    figures = evaluate(
        left, quasi_identifiers(declared), _sensitive(declared), persons.filter(kept), standard, k,
    )  # fmt: skip
    evaluation = Evaluation(
        figures, profile.name, profile.digest, profile.sharing, k, reached.steps, data.num_rows - left.num_rows,
        reached.suppressed, has_texts, tuple(moved_days(declared)),
    )  # fmt: skip
    return Disclosed(declared, left, kept, evaluation)


def _sensitive(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.identifying is Identifying.SENSITIVE]


def _left(table: Table, shown: Columns) -> Table:
    """The declaration of what is shown: bands stand where ages were."""
    columns = []
    judged = quasi_identifiers(table)
    for column in table.columns:
        if column.name == "age" and "age_band" in shown and "age_band" not in table:
            columns.append(DEID_TABLES[table.name]["age_band"])
        elif column.name not in judged or column.name in shown:
            columns.append(column)
    kept = {column.name for column in columns}
    return replace(table, columns=tuple(columns), key=table.key if kept.issuperset(table.key) else ())


def narrowed(
    workspace: Workspace, recipe: Recipe, cohort: Mapping[str, Any], released: pa.Table, evaluation: Evaluation
) -> dict[str, Any]:
    """The cohort's facts without what its release leaves out: one more step of the attrition, and sides of the rest.

    Args:
        workspace: the workspace.
        recipe: the recipe.
        cohort: the cohort's facts.
        released: the rows of the cohort that go out, by internal pseudonym.
        evaluation: of the release; one whose profile asks for no k changes nothing.
    """
    if evaluation.k_required is None:
        return dict(cohort)
    attrition = ShownAttrition.from_dict(cohort["attrition"])
    label = f"In a class of at least {evaluation.k_required} persons (profile {evaluation.profile})"
    counts = _counts(workspace, recipe, released)
    # Who has the release has its rows, and knows what is left of each level by counting them.
    remaining = {level: getattr(counts, level, None) for level in attrition.levels}
    known = {level: count if count is not None else WITHHELD for level, count in remaining.items()}
    step = ShownStep("disclosure", label, recipe.unit, "built_in", evaluation.suppressed_rows, 1, 0, known, {})
    sides = Counter(column_values(released, "split")) if recipe.split is not None else {}
    narrower = replace(attrition, steps=(*attrition.steps, step))
    shown = {"slides": counts.slides, "cases": counts.cases, "patients": counts.patients}
    return {**cohort, "attrition": narrower.as_dict(), "counts": shown, "split": dict(sorted(sides.items()))}


def _counts(workspace: Workspace, recipe: Recipe, rows: pa.Table) -> Counts:
    """Slides, cases and patients behind rows of a cohort."""
    patients = pc.count_distinct(rows["patient_id"], "only_valid").as_py()
    if recipe.unit == "slide":
        return Counts(rows.num_rows, pc.count_distinct(rows["case_id"], "only_valid").as_py(), patients)
    if recipe.unit in {"series", "event"}:
        return Counts(0, 0, patients)
    key = unit_key(recipe.unit)
    counts = read_parquet(workspace.deid / f"{recipe.unit_table}.parquet")
    mine = counts.filter(pc.is_in(counts[key], rows[key].combine_chunks()))
    slides = pc.sum(mine["slide_count"]).as_py() or 0
    return Counts(slides, rows.num_rows if recipe.unit == "case" else pc.sum(mine["case_count"]).as_py() or 0, patients)


def write_suppressed(workspace: Workspace, recipe: Recipe, suppressed: pa.Table) -> None:
    """Write beside the cohort which of its rows a release leaves out; what an earlier build left out is forgotten."""
    table = DEID_TABLES[recipe.unit_table]
    names = [name for name in dict.fromkeys((unit_key(recipe.unit), "case_id", "patient_id", "group_id")) if name in table]
    listed = replace(table.select(names), name="suppressed")
    path = workspace.cohorts / recipe.name / SUPPRESSED_FILE
    path.unlink(missing_ok=True)
    if suppressed.num_rows:
        write_parquet(path, conform(listed, suppressed))
