"""Stage: what the de-identified tables hold, told so that an analyst may read it: no row, no small count, no true date."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.disclosure.counts import FEW, LEAST_COUNT, WITHHELD, suppress
from pathcurate.errors import UsageError
from pathcurate.model.column import Column, Identifying, Table, Type
from pathcurate.model.deidentified import DEID_TABLES, PSEUDONYM_KINDS, pseudonym_pattern
from pathcurate.tables import read_parquet
from pathcurate.verification import demand_whole, files
from pathcurate.workspace import Workspace
from pathcurate.yamlsource import did_you_mean

MISSING = "(missing)"
OTHER = "(other)"
"""All values of an open-ended code that are too rare, or too many, to be listed."""

_MOST_VALUES = 50
_DAYS_OF_A_YEAR = 365.25
_PSEUDONYMS = {pseudonym_pattern(kind) for kind in PSEUDONYM_KINDS}


def describe(workspace: Workspace, names: Sequence[str] = ()) -> dict[str, Any]:
    """The profile of de-identified tables as plain JSON values; the same tables give the same profile.

    Only ``deid/`` is read, never the catalog or the vault. A count below 10 is :data:`~pathcurate.disclosure.counts.FEW`,
    and one from which such a count could be worked out :data:`~pathcurate.disclosure.counts.WITHHELD`.

    Args:
        workspace: the workspace.
        names: tables; all if empty.

    Raises:
        UsageError: there is no such table.
        PlanIncompleteError: the tables are not there, not verified, or not those that were verified.
    """
    for name in names:
        if name not in DEID_TABLES:
            raise UsageError(
                f"there is no de-identified table `{name}`{did_you_mean(name, DEID_TABLES)}",
                f"Known tables: {', '.join(DEID_TABLES)}.",
            )
    # Not demand_seal: that reads the catalog and the vault, which an analyst cannot.
    demand_whole(workspace, {name: path for name, path in files(workspace).items() if name.startswith("deid/")})
    chosen = [table for name, table in DEID_TABLES.items() if not names or name in names]
    profiles = {table.name: _profile(table, read_parquet(workspace.deid / f"{table.name}.parquet")) for table in chosen}
    return {"profile": 1, "least_count": LEAST_COUNT, "tables": profiles}


def _profile(table: Table, data: pa.Table) -> dict[str, Any]:
    # Beside a total below ten, nothing in a table could be hidden.
    is_small = 0 < data.num_rows < LEAST_COUNT
    columns = []
    for column in table.columns:
        facts = {
            "name": column.name, "type": str(column.type), "unit": column.unit, "meaning": column.meaning,
            "identifying": str(column.identifying),
        }  # fmt: skip
        columns.append(facts if is_small else facts | _facts(column, data[column.name]))
    return {"row": table.row, "rows": FEW if is_small else data.num_rows, "columns": columns}


def _facts(column: Column, values: "pa.ChunkedArray[Any]") -> dict[str, Any]:
    """What may be said of a column's values: a member for each kind of fact that the column has."""
    present = values.drop_null()
    parts = _counts(column, present)
    listed = suppress({**({"": len(present)} if parts is None else parts), MISSING: values.null_count}, known=(MISSING,))
    missing = listed.pop(MISSING)
    share = values.null_count / len(values) if len(values) else 0.0
    facts: dict[str, Any] = {"missing": missing, "missing_share": None if is_hidden(missing) else round(share, 3)}
    if column.type not in {Type.STRINGS, Type.FLOATS}:
        hides = is_hidden(missing) or is_hidden(listed.get(OTHER))
        facts["distinct"] = _distinct(present, len(values), hides=hides)
    if parts is not None:
        # Hidden ones by name: their order by count would say something of it.
        facts["counts"] = dict(sorted(listed.items(), key=lambda item: (_rank(item[1]), item[0])))
    if len(present) < LEAST_COUNT:
        return facts
    if column.type in {Type.INTEGER, Type.FLOAT}:
        facts["range"] = _range(column, present)
    elif column.type is Type.DATE:
        facts["span_years"] = _span(present)
    return facts


def _rank(count: int | str) -> int:
    return -count if isinstance(count, int) else (WITHHELD, FEW).index(count) + 1


def _distinct(present: "pa.ChunkedArray[Any]", rows: int, *, hides: bool) -> int | str:
    """How many values there are, unless that bounds a hidden count: there are never more values than rows that have one."""
    distinct = len(pc.unique(present))
    if 0 < len(present) < LEAST_COUNT:
        return FEW
    # Values of which there are few may each be one person; values that differ in nearly every row count the rows.
    if distinct > 1 and hides and (distinct < LEAST_COUNT or distinct > rows - LEAST_COUNT):
        return WITHHELD
    return distinct


def _counts(column: Column, present: "pa.ChunkedArray[Any]") -> dict[str, int] | None:
    """Value to count, commonest first; None for a column that is not of a closed set."""
    if column.type is Type.BOOLEAN:
        found = Counter(present.to_pylist())
        return {name: found[value] for name, value in (("true", True), ("false", False)) if found[value]}
    if column.type is not Type.STRING or column.pattern in _PSEUDONYMS:
        return None
    pairs = zip(*(pc.value_counts(present.combine_chunks()).field(number).to_pylist() for number in (0, 1)), strict=True)
    ordered = dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
    if column.values or column.vocabulary:
        return ordered
    # Nothing but a pattern bounds these codes: a rare one could itself say who it is.
    listed = {value: count for value, count in list(ordered.items())[:_MOST_VALUES] if count >= LEAST_COUNT}
    rest = sum(ordered.values()) - sum(listed.values())
    return {**listed, OTHER: rest} if rest else listed


def _range(column: Column, present: "pa.ChunkedArray[Any]") -> dict[str, float | int] | None:
    numbers = pc.cast(present, pa.float64())
    finite = numbers.filter(pc.is_finite(numbers))
    if len(finite) < LEAST_COUNT:
        return None
    extremes = pc.min_max(finite)
    middle = pc.quantile(finite, q=0.5)[0].as_py()
    found = {"min": extremes["min"].as_py(), "median": middle, "max": extremes["max"].as_py()}
    if column.identifying is Identifying.QUASI:
        # The youngest and the oldest are single people: outwards to whole fives, as in the age bands.
        return {
            "min": math.floor(found["min"] / 5) * 5,
            "median": round(found["median"] / 5) * 5,
            "max": math.ceil(found["max"] / 5) * 5,
        }
    return {name: _three_digits(value) for name, value in found.items()}


def _three_digits(value: float) -> float | int:
    rounded = float(f"{value:.3g}")
    return int(rounded) if rounded == int(rounded) else rounded


def _span(present: "pa.ChunkedArray[Any]") -> int:
    """Years from the first to the last date: both are shifted, each by another person's offset."""
    extremes = pc.min_max(present)
    days: int = (extremes["max"].as_py() - extremes["min"].as_py()).days
    return round(days / _DAYS_OF_A_YEAR)


def is_hidden(count: object) -> bool:
    """Whether a count of a profile is hidden."""
    return count in (FEW, WITHHELD)


def shown_columns(profile: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A table's columns that have at least one value, or whose missing values are hidden; the others say nothing."""
    return [
        column for column in profile["columns"]
        if "missing" not in column or is_hidden(column["missing"]) or column["missing"] != profile["rows"]
    ]  # fmt: skip
