"""How much of what goes out is of which site."""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc

from pathcurate.errors import PlanIncompleteError
from pathcurate.model.recipe.forms import Unit
from pathcurate.sqlplan.relations import unit_key
from pathcurate.tables import read_parquet
from pathcurate.workspace import Workspace

_ONLY_VALID = pc.CountOptions(mode="only_valid")


def behind_units(workspace: Workspace, unit: Unit, unit_table: str, codes: Any) -> dict[str, Mapping[str, int]]:
    """Slides, cases and patients behind units, by site; events and series likewise, where they are the units.

    A patient is of every site that has a case of theirs.

    Args:
        workspace: the workspace.
        unit: what the units are.
        unit_table: that their rows are in.
        codes: of the units, by internal pseudonym.

    Raises:
        PlanIncompleteError: a unit is not among the de-identified ones.
    """
    # A patient's row says of no site: their cases do.
    table = "cases" if unit == "patient" else unit_table
    key = unit_key(unit)
    wanted = {"case": ("slide_count",), "patient": ("case_id", "slide_count"), "slide": ("case_id",)}.get(unit, ())
    rows = read_parquet(workspace.deid / f"{table}.parquet", tuple(dict.fromkeys((key, "site", "patient_id", *wanted))))
    mine = rows.filter(pc.is_in(rows[key], pc.unique(codes)))
    if pc.count_distinct(mine[key]).as_py() != pc.count_distinct(codes).as_py():
        raise not_there(table)
    own = unit_table if unit in {"series", "event"} else "slides"
    asked: list[tuple[Any, ...]] = [([], "count_all"), ("patient_id", "count_distinct", _ONLY_VALID)]
    asked += [("slide_count", "sum")] if "slide_count" in mine.column_names else []
    asked += [("case_id", "count_distinct", _ONLY_VALID)] if unit == "slide" else []
    found: dict[str, Mapping[str, int]] = {}
    for row in mine.group_by("site").aggregate(asked).to_pylist():
        number = row["count_all"]
        counts = {"patients": row["patient_id_count_distinct"], "slides": 0, "cases": 0}
        if "slide_count" in mine.column_names:
            counts |= {"slides": row["slide_count_sum"] or 0, "cases": number}
        else:
            counts |= {own: number, "cases": row.get("case_id_count_distinct", 0)}
        found[row["site"]] = counts
    return found


def not_there(name: str) -> PlanIncompleteError:
    """The refusal of a row that the de-identified tables do not hold."""
    return PlanIncompleteError(
        f"what goes out holds rows that deid/{name}.parquet does not", "Run `pathcurate cohort` again, then build."
    )
