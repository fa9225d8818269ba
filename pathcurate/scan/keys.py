"""``slide_keys``: every number that stands on or in a slide, sorted, made of what the rows of ``slides`` keep of it."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.scan.index import Index, Row
from pathcurate.scan.kernels import names_columns
from pathcurate.tables import Catalog, arrow_schema, from_rows, read_parquet, write_parquet

_RUN_ROWS: Final = 250_000
_BATCH_ROWS: Final = 50_000
_ORDER: Final = [(name, "ascending") for name in ("site", "key", "slide_id", "source")]


def renamed(
    catalog: Catalog, index: Index, patterns: Mapping[str, tuple[str, ...]], rules: Mapping[str, str]
) -> Iterator[Row]:
    """Rows whose names were read by other patterns or vocabularies than those of today, read again; no file is opened."""
    chosen = np.flatnonzero(index.facts["renamed"] & ~index.facts["gone"])
    for _, row in index.rows(catalog, chosen):
        yield {**row, **names_columns(row, patterns[row["site"]], rules[row["site"]])}


def keep_keys(catalog: Catalog, index: Index, spill: Path) -> None:
    """Make the keys of all slides that are there the table ``slide_keys``; nothing is done if no slide has changed."""
    made_of = catalog.state(SLIDES)
    if catalog.made_of(SLIDE_KEYS) != made_of:
        with TemporaryDirectory(dir=spill) as directory:
            catalog.replace_streamed(SLIDE_KEYS, _sorted(_keys(catalog, index), Path(directory)), made_of)


def _keys(catalog: Catalog, index: Index) -> Iterator[pa.Table]:
    """The keys of the slides of each part."""
    live = ~index.facts["gone"]
    for number, name in enumerate(index.parts):
        members = np.flatnonzero((index.part == number) & live)
        if not members.size:
            continue
        data = catalog.part(SLIDES, name, ("slide_id", "site", "keys")).take(index.row[members])
        data = data.filter(pc.is_valid(data["keys"]))
        rows = [
            {"slide_id": row["slide_id"], "site": row["site"], "key": key, "specimen": specimen, "block": block,
             "source": source, "raw": raw}
            for row in data.to_pylist()
            for key, specimen, block, source, raw in json.loads(row["keys"])
        ]  # fmt: skip
        yield from_rows(SLIDE_KEYS, rows)


def _sorted(tables: Iterator[pa.Table], directory: Path) -> Iterator[pa.RecordBatch]:
    """Rows in order, from any number of tables, a bounded number in memory: sorted piece by piece of the range of keys."""
    held: list[pa.Table] = [arrow_schema(SLIDE_KEYS).empty_table()]
    runs: list[Path] = []
    sample: list[Any] = []
    for table in tables:
        held.append(table)
        if sum(one.num_rows for one in held) >= _RUN_ROWS:
            rows = pa.concat_tables(held)
            runs.append(directory / f"{len(runs)}.parquet")
            write_parquet(runs[-1], rows, mode=0o600)
            sample += _composite(rows)[::100].to_pylist()
            held = []
    rest = pa.concat_tables(held) if held else arrow_schema(SLIDE_KEYS).empty_table()
    if not runs:
        yield from rest.sort_by(_ORDER).to_batches(max_chunksize=_BATCH_ROWS)
        return
    runs.append(directory / "rest.parquet")
    write_parquet(runs[-1], rest, mode=0o600)
    sample.sort()
    step = max(1, _RUN_ROWS // 100)
    bounds: list[str | None] = [None, *dict.fromkeys(sample[step::step]), None]
    for low, high in pairwise(bounds):
        pieces = [_between(read_parquet(run), low, high) for run in runs]
        piece = pa.concat_tables(pieces).sort_by(_ORDER).combine_chunks()
        yield from piece.to_batches(max_chunksize=_BATCH_ROWS)


def _composite(rows: pa.Table) -> "pa.ChunkedArray[Any]":
    separator = pa.scalar("\x01")
    joined: pa.ChunkedArray[Any] = pc.binary_join_element_wise(rows["site"], rows["key"], separator)  # type: ignore[call-overload]
    return joined


def _between(rows: pa.Table, low: str | None, high: str | None) -> pa.Table:
    text = _composite(rows)
    if low is not None:
        above = pc.greater_equal(text, pa.scalar(low))
        rows, text = rows.filter(above), text.filter(above)
    return rows if high is None else rows.filter(pc.less(text, pa.scalar(high)))
