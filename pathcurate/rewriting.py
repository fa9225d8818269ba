"""Rows taken out of every state of a catalog table: its files are written again without them, under the names they have.

Everything else in the catalog only ever adds. Snapshots keep their numbers, times and parts; the digest of a derived table's
rows is made again, and filters of files that changed go: they would still tell which numbers were there.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.model.column import Table
from pathcurate.storage import replacing, write_bytes
from pathcurate.tables import ARROW_TYPES, FILTERS, Catalog

Mask = Callable[[pa.Table], Any]
"""Which rows of some go: an Arrow array of booleans; a missing one is no."""


def all_parts(directory: Path, table: Table) -> list[Path]:
    """Every file of a table in all of its states, oldest first."""
    return sorted((directory / table.name).glob("part-*.parquet"))


def rows_of(path: Path, table: Table, columns: Sequence[str], mask: Mask) -> pa.Table:
    """Those rows of one file that a mask chooses, with some columns; a column that the file has not is null.

    Raises:
        InputOutputError: the file cannot be read.
    """
    found = []
    with _opened(path, table) as file:
        for group in range(file.num_row_groups):
            data = _group(file, group, table, columns)
            found.append(data.filter(mask(data)))
    return pa.concat_tables(found) if found else _empty(table, columns)


def newest_parts(directory: Path, table: Table) -> list[Path]:
    """The files of a table's newest state."""
    snapshot = Catalog(directory).snapshot(table)
    return [directory / table.name / name for name in (snapshot.parts if snapshot else ())]


def rewrite_without(directory: Path, table: Table, columns: Sequence[str], mask: Mask) -> bool:
    """Write every file of a table that has such rows again without them; whether one had any.

    Killed at any point, each file is the old one or the new one, and the same call again ends the work.

    Args:
        directory: the catalog; the caller holds the lock on the workspace.
        table: the declaration.
        columns: what the mask asks for.
        mask: which rows go.

    Raises:
        InputOutputError: a file cannot be read.
    """
    Catalog(directory).sweep(table)
    rewritten = [_rewrite(path, table, columns, mask) for path in all_parts(directory, table)]
    # Also those whose files a killed run has written: which of them those were is not known.
    for log in sorted((directory / table.name / "_log").glob("*.json")):
        _digest_again(log)
    return any(rewritten)


def _rewrite(path: Path, table: Table, columns: Sequence[str], mask: Mask) -> bool:
    with _opened(path, table) as file:
        kept = [pc.invert(pc.fill_null(mask(_group(file, number, table, columns)), False))
                for number in range(file.num_row_groups)]  # fmt: skip
        if all(pc.all(one).as_py() is not False for one in kept):
            return False
        # Before the file: a filter that is gone costs time, one of another file hides rows.
        for bits in (path.parent / FILTERS).glob(f"{path.stem}.*"):
            bits.unlink(missing_ok=True)
        with (
            replacing(path, 0o600) as temporary,
            pq.ParquetWriter(temporary, file.schema_arrow, compression="zstd") as writer,
        ):
            for number, stays in enumerate(kept):
                rows = file.read_row_group(number).filter(stays)
                if rows.num_rows:
                    writer.write_table(rows, row_group_size=rows.num_rows)
    return True


def _digest_again(log: Path) -> None:
    """The digest of a derived table's rows in its snapshot, by which the next run knows whether anything has changed."""
    entry = json.loads(log.read_bytes())
    if "content" not in entry.get("note", {}) or len(entry["parts"]) != 1:
        return
    part = log.parents[1] / entry["parts"][0]
    if not part.exists():
        return
    with part.open("rb") as file:
        content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    if content != entry["note"]["content"]:
        entry["note"]["content"] = content
        write_bytes(log, json.dumps(entry).encode(), 0o600)


def _opened(path: Path, table: Table) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} of catalog table {table.name} cannot be read as Parquet ({type(error).__name__})",
            "Restore the catalog from a backup; nothing can be erased from a file that cannot be read.",
        ) from None


def _group(file: pq.ParquetFile, number: int, table: Table, columns: Sequence[str]) -> pa.Table:
    present = set(file.schema_arrow.names)
    rows = file.metadata.row_group(number).num_rows
    data = file.read_row_group(number, columns=[name for name in columns if name in present])
    arrays: dict[str, Any] = {
        name: data[name].cast(ARROW_TYPES[table[name].type]) if name in present
        else pa.array([None] * rows, ARROW_TYPES[table[name].type])
        for name in columns
    }  # fmt: skip
    return pa.table(arrays)


def _empty(table: Table, columns: Sequence[str]) -> pa.Table:
    return pa.table({name: pa.array([], ARROW_TYPES[table[name].type]) for name in columns})
