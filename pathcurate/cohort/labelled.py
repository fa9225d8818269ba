"""The labels of the units that are kept, and who falls for a label that is missing or contradicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.cohort.opening import Opened
from pathcurate.engines import Engine
from pathcurate.errors import RecipeError
from pathcurate.model.recipe import Label, Recipe
from pathcurate.model.recipe.declared import LABEL_EVIDENCE, label_columns
from pathcurate.sqlplan.labels import label_sql
from pathcurate.sqlplan.relations import unit_key, unit_number
from pathcurate.tables import ARROW_TYPES, conform


@dataclass(frozen=True, slots=True)
class Labelled:
    """One label of all units.

    Attributes:
        columns: its columns, row by row of the units.
        evidence: which report said so, see ``LABEL_EVIDENCE``.
        falls: for each row whether the unit is left out for it.
    """

    columns: dict[str, "pa.ChunkedArray[Any]"]
    evidence: pa.Table
    falls: list[bool]


def labelled(recipe: Recipe, label: Label, rows: pa.Table, opened: Opened, engine: Engine) -> Labelled:
    """Ask for one label.

    Args:
        recipe: the recipe.
        label: one of its labels.
        rows: the units.
        opened: opens the views that it needs; ``kept`` holds the units.
        engine: runs the query.

    Raises:
        RecipeError: rows contradict each other, and the recipe asks to stop then.
    """
    sql, views = label_sql(recipe, label)
    opened.views(views)
    found = engine.table(sql)
    keys, number = rows[unit_key(recipe.unit)], unit_number(recipe.unit)
    places = pc.index_in(rows[number].combine_chunks(), value_set=found[number].combine_chunks())
    conflicts: Any = pc.fill_null(found["is_conflict"].take(places), pa.scalar(False))
    declared = label_columns(recipe, label)
    sources = ["days", "value"] if label.time_to_event is not None else ["value", "days"][: len(declared)]
    columns = {
        column.name: found[source].take(places).cast(ARROW_TYPES[column.type])
        for column, source in zip(declared, sources, strict=True)
    }
    count = pc.sum(conflicts.cast(pa.int64())).as_py() or 0
    if count and label.on_conflict == "error":
        raise RecipeError(
            f"label `{label.name}`: the reports of {count} units contradict each other",
            "Look at them with `pathcurate labels review`, or say `on_conflict: drop` or `latest`.",
        )
    value: Any = found["value"].take(places)
    said: dict[str, Any] = {
        "unit_id": keys,
        "label": pa.array([label.name] * len(keys), pa.string()),
        "level": pa.array([label.level] * len(keys), pa.string()),
        "value": value.cast(pa.string()),
        "report_id": found["report_id"].take(places),
        "ordinal": found["ordinal"].take(places),
        "is_conflict": conflicts,
    }  # fmt: skip
    falls: list[bool] = [False] * len(keys)
    if label.drops_conflicts:
        falls = conflicts.to_pylist()
    if label.if_missing == "fail":
        falls = [fallen or one is None for fallen, one in zip(falls, value.to_pylist(), strict=True)]
    return Labelled(columns, conform(LABEL_EVIDENCE, pa.table(said)), falls)


def step_words(label: Label) -> str:
    """What the step says at which units fall for a label."""
    parts: Sequence[str] = [
        *(["contradicted"] if label.drops_conflicts else []),
        *(["missing"] if label.if_missing == "fail" else []),
    ]
    return f"Label {label.name} is {' or '.join(parts)}"
