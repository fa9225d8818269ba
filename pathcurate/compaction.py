"""Many small files of a catalog table become one, so that a catalog of a thousand nights is read as fast as one of a night.

Files that an earlier version wrote in a form of its own are written again in today's, however few they are: what they hold
beside the declared columns goes, and what they lack is missing in all rows.

Every night adds a part, and a reader opens all of them. Compaction writes the newest small ones as one file and says so in
the newest state's entry of the log: its number, its time and its rows stay, so whatever was made of that state is up to
date, and can be gone back to. Earlier states keep their own files until ``catalog expire`` lets them go.
"""

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.lookup import keep_filters
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.column import Table
from pathcurate.storage import replacing, write_bytes
from pathcurate.tables import GROUP_ROWS, Catalog, Snapshot, arrow_schema, conform, read_metadata, read_parquet

_FEWEST_PARTS = 8
"""Parts below which nothing is gained."""
_FOLD = 4
"""A part that has so many times the rows of all later ones stays as it is: merging it would cost more than it gives."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of a table.

    Attributes:
        table: its name.
        parts_before: files of the newest state.
        parts_after: likewise, afterwards.
        rows: that were written.
        dropped: rows that a later one had replaced, and that were left out.
    """

    table: str
    parts_before: int
    parts_after: int
    rows: int
    dropped: int


def compact(directory: Path) -> list[Compacted]:
    """Merge the small files of every table that has many.

    Killed at any point, the newest state is the one before or the one after, and the same call again ends the work.

    Args:
        directory: the catalog; the caller holds the lock on the workspace.

    Returns:
        The tables that were changed.

    Raises:
        InputOutputError: a file cannot be read or written.
    """
    catalog = Catalog(directory)
    done = [one for table in CATALOG_TABLES if (one := _compact(catalog, directory, table)) is not None]
    if done:
        keep_filters(catalog)
    return done


def _compact(catalog: Catalog, directory: Path, table: Table) -> Compacted | None:
    snapshot = catalog.snapshot(table)
    if snapshot is None or snapshot.schema_version < table.version:
        # Rows that have another key now cannot be written again: the stage that derives them makes them anew.
        return None
    catalog.sweep(table)
    folder = directory / table.name
    footers = [read_metadata(folder / name) for name in snapshot.parts]
    sizes = [footer.num_rows for footer in footers]
    former = (place for place, footer in enumerate(footers) if not is_of_today(table, footer))
    first_former, first = next(former, len(sizes)), _first_to_merge(sizes)
    if first_former == len(sizes) and len(sizes) - first < _FEWEST_PARTS:
        return None
    first = min(first, first_former)
    merged = snapshot.parts[first:]
    kept = _surviving(folder, table, merged, sizes[first:])
    name = f"part-{snapshot.number:08d}-{secrets.token_hex(4)}.parquet"
    rows = _write(folder, table, merged, kept, name)
    parts = (*snapshot.parts[:first], name)
    only_adds = all(part in snapshot.adding for part in merged)
    adding = tuple(part for part in snapshot.adding if part in parts) + ((name,) if only_adds else ())
    _restate(folder, snapshot, parts, adding)
    catalog.sweep(table)
    return Compacted(table.name, len(snapshot.parts), len(parts), rows, sum(sizes[first:]) - rows)


def is_of_today(table: Table, footer: pq.FileMetaData) -> bool:
    """Whether a file has no column that the table does not declare."""
    return {*table.names}.issuperset(footer.schema.to_arrow_schema().names)


def _first_to_merge(sizes: Sequence[int]) -> int:
    """Place of the first part that is merged with all behind it."""
    later = sum(sizes)
    for place, rows in enumerate(sizes):
        later -= rows
        if rows < _FOLD * later:
            return place
    return len(sizes)


def _surviving(folder: Path, table: Table, parts: Sequence[str], sizes: Sequence[int]) -> list[Any]:
    """For each part which of its rows no later one replaces; only keys are in memory."""
    keys = pa.concat_tables([conform(table.select(table.key), read_parquet(folder / part, table.key)) for part in parts])
    keys = keys.append_column("_row", pa.array(np.arange(keys.num_rows)))
    last = keys.group_by(list(table.key)).aggregate([("_row", "max")])["_row_max"]
    kept = np.zeros(keys.num_rows, np.bool_)
    kept[np.asarray(last)] = True
    return np.split(kept, np.cumsum(sizes)[:-1])


def _write(folder: Path, table: Table, parts: Sequence[str], kept: Sequence[Any], name: str) -> int:
    """Write what survives of some parts, in their order, as one; a row group in memory at a time."""
    schema, rows = arrow_schema(table), 0
    with replacing(folder / name, 0o600) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for group in _groups(_pieces(folder, table, parts, kept), schema):
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
    return rows


def _pieces(folder: Path, table: Table, parts: Sequence[str], kept: Sequence[Any]) -> Iterator[pa.Table]:
    for part, mask in zip(parts, kept, strict=True):
        place = 0
        try:
            with pq.ParquetFile(folder / part) as file:
                for batch in file.iter_batches(batch_size=GROUP_ROWS):
                    stays = pa.array(mask[place : place + batch.num_rows])
                    place += batch.num_rows
                    yield conform(table, pa.Table.from_batches([batch])).filter(stays)
        except (OSError, pa.ArrowException) as error:
            raise InputOutputError(
                f"{part} of catalog table {table.name} cannot be read as Parquet ({type(error).__name__})",
                "`pathcurate catalog check` names all that is damaged; restore it from a backup. Nothing was changed.",
            ) from None


def _groups(pieces: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """The same rows in tables of the size of a row group."""
    waiting = schema.empty_table()
    for piece in pieces:
        waiting = pa.concat_tables([waiting, piece])
        while waiting.num_rows >= GROUP_ROWS:
            yield waiting.slice(0, GROUP_ROWS).combine_chunks()
            waiting = waiting.slice(GROUP_ROWS)
    if waiting.num_rows:
        yield waiting.combine_chunks()


def _restate(folder: Path, snapshot: Snapshot, parts: tuple[str, ...], adding: tuple[str, ...]) -> None:
    """Say in the log that the state has these files; it keeps the names of those that it was committed with."""
    path = folder / "_log" / f"{snapshot.number:08d}.json"
    entry = json.loads(path.read_bytes())
    entry |= {"parts": list(parts), "committed_as": list(snapshot.committed_as or snapshot.parts)}
    entry.pop("adding", None)
    if adding:
        entry["adding"] = list(adding)
    write_bytes(path, json.dumps(entry).encode(), 0o600)
