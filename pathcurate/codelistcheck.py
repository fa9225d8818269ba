"""Stage: code lists against the codes that the de-identified tables hold, small counts hidden."""

from collections.abc import Mapping
from typing import Any

import pyarrow.compute

from pathcurate import codelists
from pathcurate.codelists import Coverage
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.recipe import Codelist
from pathcurate.tables import read_parquet
from pathcurate.verification import demand_whole, files
from pathcurate.workspace import Workspace

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute


def check(workspace: Workspace, lists: Mapping[str, Codelist]) -> tuple[Coverage, ...]:
    """Compare code lists with the archive: codes that nobody has, and longer codes that an exact list leaves out.

    Args:
        workspace: the workspace.
        lists: resolved code lists by name.

    Raises:
        PlanIncompleteError: the tables are not there, not verified, or not those that were verified.
        InputOutputError: a table cannot be read.
    """
    columns = sorted({
        (name, column)
        for name, table in DEID_TABLES.items()
        for column in (*table.names, *(CRITERIA_TABLES[name].names if name in CRITERIA_TABLES else ()))
        if any(codelists.fits(one.system, column) for one in lists.values())
    })  # fmt: skip
    sealed = {f"{'deid' if column in DEID_TABLES[name] else 'criteria'}/{name}.parquet" for name, column in columns}
    paths = {name: path for name, path in files(workspace).items() if name in sealed}
    demand_whole(workspace, paths)
    counts: dict[str, Mapping[str, int]] = {}
    for name, column in columns:
        place = "deid" if column in DEID_TABLES[name] else "criteria"
        values = read_parquet(paths[f"{place}/{name}.parquet"], [column])[column].drop_null().combine_chunks()
        counts[f"{name}.{column}"] = {one["values"]: one["counts"] for one in pc.value_counts(values).to_pylist()}
    return codelists.check(lists, counts)
