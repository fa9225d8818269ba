"""``slide_keys``: every number that stands on or in a slide, sorted, made of what the rows of ``slides`` keep of it."""

import json
from collections.abc import Iterable, Iterator, Mapping
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

_RUN_ROWS: Final = 150_000
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
    """Make the keys of all slides that are there the table ``slide_keys``; nothing is done if no slide has changed.

    If the table was made of an earlier state of ``slides`` that is still in the log, only the keys of slides that were
    written since then are made anew.
    """
    made_of = catalog.state(SLIDES)
    before = catalog.made_of(SLIDE_KEYS)
    if before == made_of:
        return
    parts = None if before is None else catalog.parts_of(SLIDES, before)
    with TemporaryDirectory(dir=spill) as directory:
        if parts is None or not parts <= set(index.parts):
            rows: Iterable[pa.Table | pa.RecordBatch] = _sorted(_keys(catalog, index, set()), Path(directory))
        else:
            changed = _written(catalog, index, parts)
            fresh = _sorted(_keys(catalog, index, parts), Path(directory))
            rows = _merged(_kept(catalog, changed), fresh)
        catalog.replace_streamed(SLIDE_KEYS, _rebatched(rows), made_of)


def _written(catalog: Catalog, index: Index, parts: set[str]) -> "pa.Array[Any]":
    """Names of the slides that were written in other parts than these."""
    names = [
        catalog.part(SLIDES, name, ("slide_id",))["slide_id"].combine_chunks() for name in index.parts if name not in parts
    ]
    return pa.concat_arrays(names) if names else pa.array([], pa.string())


def _kept(catalog: Catalog, changed: "pa.Array[Any]") -> Iterator[pa.Table]:
    """The table as it is, without the keys of some slides, in pieces."""
    for piece in catalog.pieces(SLIDE_KEYS, _BATCH_ROWS):
        yield piece.filter(pc.invert(pc.is_in(piece["slide_id"], changed)))


def _merged(one: Iterator[pa.Table], other: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Two sorted streams as one: what is not behind the end of the shorter look ahead is sorted and given out."""
    streams = [one, (pa.Table.from_batches([batch]) for batch in other)]
    held = [arrow_schema(SLIDE_KEYS).empty_table(), arrow_schema(SLIDE_KEYS).empty_table()]
    is_open = [True, True]
    while any(is_open):
        for at, stream in enumerate(streams):
            while is_open[at] and not held[at].num_rows:
                piece = next(stream, None)
                is_open[at] = piece is not None
                held[at] = held[at] if piece is None else piece
        ends = [_composite(rows)[-1].as_py() for rows, more in zip(held, is_open, strict=True) if more]
        if not ends:
            break
        # Rows with the last key itself may go on in the next piece, so they wait.
        end = min(ends)
        ready = [_between(rows, None, end) for rows in held]
        rest = [_between(rows, end, None) for rows in held]
        if sum(rows.num_rows for rows in ready):
            yield pa.concat_tables(ready).sort_by(_ORDER)
        for at, stream in enumerate(streams):
            held[at] = rest[at]
            if is_open[at] and rest[at].num_rows and _composite(rest[at])[-1].as_py() == end:
                piece = next(stream, None)
                is_open[at] = piece is not None
                held[at] = rest[at] if piece is None else pa.concat_tables([rest[at], piece])
    yield pa.concat_tables(held).sort_by(_ORDER)


def _rebatched(rows: Iterable[pa.Table | pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of one size, so that equal tables are equal files however they were made."""
    held = arrow_schema(SLIDE_KEYS).empty_table()
    for piece in rows:
        table = piece if isinstance(piece, pa.Table) else pa.Table.from_batches([piece])
        held = pa.concat_tables([held, table])
        while held.num_rows >= _BATCH_ROWS:
            yield from held.slice(0, _BATCH_ROWS).combine_chunks().to_batches()
            held = held.slice(_BATCH_ROWS)
    yield from held.combine_chunks().to_batches()


def _keys(catalog: Catalog, index: Index, without: set[str]) -> Iterator[pa.Table]:
    """The keys of the slides of each part, but for some parts."""
    live = ~index.facts["gone"]
    for number, name in enumerate(index.parts):
        members = np.flatnonzero((index.part == number) & live) if name not in without else np.zeros(0, np.int64)
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
            sample += _composite(rows).take(pa.array(range(0, rows.num_rows, 100))).to_pylist()
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
        pieces = []
        for run in runs:
            pieces.append(_between(read_parquet(run), low, high).combine_chunks())
            # Each run is as large as what is kept of all of them.
            pa.default_memory_pool().release_unused()
        yield from pa.concat_tables(pieces).sort_by(_ORDER).to_batches(max_chunksize=_BATCH_ROWS)


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
