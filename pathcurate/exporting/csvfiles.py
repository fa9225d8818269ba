"""A release as CSV (RFC 4180, UTF-8 with its mark): a file for each table, for spreadsheet programs, pandas and DuckDB.

A spreadsheet program runs what it takes for a formula. A text that begins like one, perhaps after apostrophes, has one
apostrophe more in front: whoever takes it off has the text as it was.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pathcurate.exporting.rows import Made, batches, schema_of
from pathcurate.releases import Release

# Where Chinese is the language, spreadsheet programs take the wide signs for the narrow ones.
_FORMULA = r"^('*[=+\-@＝＋－＠\t\r])"
_LOSSES = (
    "Types: every cell is text; export.json says which type each column has.",
    "Missing values: they are empty cells without quotes, an empty text is two quotes; many readers take both for missing.",
    "What the Parquet files say of themselves (recipe, attrition, digests) stays with the release.",
)


def write_csv(release: Release, directory: Path) -> Made:
    """Write every table of a release below a directory."""
    rows: dict[str, int] = {}
    losses = list(_LOSSES)
    for name in release.tables:
        schema = schema_of(release, name)
        prefixed = dict.fromkeys((field.name for field in schema if _is_text(field.type)), 0)
        with (directory / f"{name}.csv").open("xb") as file:
            file.write(codecs.BOM_UTF8)
            flat = pa.schema([pa.field(field.name, _flat(field.type)) for field in schema])
            with csv.CSVWriter(file, flat) as writer:
                rows[f"{name}.csv"] = 0
                for batch in batches(release, name):
                    writer.write_batch(_flat_batch(batch, flat, prefixed))
                    rows[f"{name}.csv"] += batch.num_rows
        losses += _of_table(name, schema, prefixed)
    return Made(rows, tuple(losses))


def _of_table(table: str, schema: pa.Schema, prefixed: dict[str, int]) -> Iterator[str]:
    for field in schema:
        if pa.types.is_list(field.type):
            yield f"{table}.{field.name}: a list is one cell of JSON."
    for column, cells in prefixed.items():
        if cells:
            yield f"{table}.{column}: {cells} cells begin like a formula and have an apostrophe in front."


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _flat(kind: pa.DataType) -> pa.DataType:
    """The type of a cell: lists are text."""
    return pa.string() if pa.types.is_list(kind) else kind


def _flat_batch(batch: pa.RecordBatch, flat: pa.Schema, prefixed: dict[str, int]) -> pa.RecordBatch:
    columns: list[pa.Array[Any]] = []
    batch.validate(full=True)  # a file can hold text that is not UTF-8
    for field, column in zip(flat, batch.columns, strict=True):
        if pa.types.is_list(column.type):
            columns.append(_json_cells(column))
        elif _is_text(column.type):
            told = pc.match_substring_regex(column, _FORMULA)
            prefixed[field.name] += pc.sum(told.cast(pa.int64())).as_py() or 0
            columns.append(pc.replace_substring_regex(column, _FORMULA, r"'\1"))
        else:
            columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=flat)


def _json_cells(column: "pa.Array[Any]") -> "pa.Array[Any]":
    return pa.array(
        [None if value is None else json.dumps(value, ensure_ascii=False) for value in column.to_pylist()], pa.string()
    )
