"""The one door to Parquet: Arrow schemas from column declarations, deterministic files, and the append-only catalog.

A catalog table is a directory of part files and a log of snapshots. A snapshot lists its parts in order; a later part's
row replaces an earlier one with the same key. Parts are never changed, and a snapshot's rows neither, so any earlier state
can be read again; :mod:`pathcurate.compaction` gives the newest one fewer parts.
"""

import hashlib
import itertools
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError, PlanIncompleteError
from pathcurate.model.column import Column, Table, Type
from pathcurate.storage import create_exclusively, private_directory, replacing, write_bytes

_MADE_OF = "_made_of.json"
GROUP_ROWS, _GROUP_ROWS = 1 << 15, 1 << 17
"""Rows of a row group in the catalog, few enough that a single row is read quickly, and in other files."""
ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.STRING: pa.string(),
    Type.BYTES: pa.binary(),
    Type.INTEGER: pa.int64(),
    Type.FLOAT: pa.float64(),
    Type.BOOLEAN: pa.bool_(),
    Type.DATE: pa.date32(),
    # Scanner and laboratory clocks give local time without a zone; pathcurate's own times are UTC.
    Type.TIMESTAMP: pa.timestamp("us"),
    # Parquet calls a list's values "element"; another name would come back changed and give another schema digest.
    Type.STRINGS: pa.list_(pa.field("element", pa.string())),
    Type.FLOATS: pa.list_(pa.field("element", pa.float64())),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table; each field says its meaning, unit and identifying class."""
    return pa.schema([_arrow_field(column) for column in table.columns])


@cache
def _arrow_field(column: Column) -> "pa.Field[pa.DataType]":
    notes = {"meaning": column.meaning, "identifying": str(column.identifying), "unit": column.unit}
    return pa.field(
        column.name,
        ARROW_TYPES[column.type],
        nullable=not column.required,
        metadata={name: text for name, text in notes.items() if text},
    )


def from_rows(table: Table, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table of the declared schema; a column that a row lacks is null."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(table))


def column_values(data: pa.Table | pa.RecordBatch, name: str) -> list[Any]:
    """A column as Python values."""
    return list(data.column(name).to_pylist())


def conform(table: Table, data: pa.Table) -> pa.Table:
    """Columns of ``data`` in declared order and type; a declared column that is absent becomes null."""
    schema = arrow_schema(table)
    present = set(data.column_names)
    arrays = [
        data[field.name].cast(field.type) if field.name in present else pa.nulls(data.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_parquet(
    path: Path, data: pa.Table, footer: Mapping[str, str] | None = None, mode: int = 0o644, *, group_rows: int = _GROUP_ROWS
) -> None:
    """Write one Parquet file, whole or not at all; the same table and footer give the same bytes.

    Args:
        path, data, mode, group_rows: the file, its rows, permission bits, and rows of a row group.
        footer: key-value metadata for its footer, beside the Arrow schema.
    """
    merged = {**(data.schema.metadata or {}), **{k.encode(): v.encode() for k, v in (footer or {}).items()}}
    schema = data.schema.remove_metadata() if not merged else data.schema.with_metadata(merged)
    write_pieces(path, schema, [data], mode, group_rows=group_rows)


def write_pieces(
    path: Path, schema: pa.Schema, pieces: Iterable[pa.Table], mode: int = 0o644, *, group_rows: int = _GROUP_ROWS
) -> None:
    """Write one Parquet file, whole or not at all, from pieces of which one is in memory at a time."""
    with replacing(path, mode) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(piece, row_group_size=group_rows)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file.

    Raises:
        InputOutputError: the file is missing or is not Parquet.
    """
    try:
        # One file is one table here; the dataset reader would guess partitions from its path.
        return pq.ParquetFile(path).read(columns=list(columns) if columns is not None else None)
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__})",
            "Run the stage that writes it again, or restore it from a backup.",
        ) from None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of a catalog table.

    Attributes:
        number: 1 for the first.
        at: when it was committed, ISO 8601 in UTC.
        operation: ``replace`` or ``upsert``.
        parts: file names, oldest first.
        schema_version: version of the table's declaration.
        note: what a derived table was made of, and a digest of its rows.
        adding: parts none of whose keys an earlier part has.
        committed_as: the parts that it had first, if it was compacted since; they tell this catalog from another.
    """

    number: int
    at: str
    operation: str
    parts: tuple[str, ...]
    schema_version: int
    note: Mapping[str, str]
    adding: tuple[str, ...] = ()
    committed_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A piece of a table in a file.

    Attributes:
        rows: how many it holds.
        bounds: least and greatest value of each column asked for; None for both where the file does not say.
    """

    rows: int
    bounds: tuple[tuple[Any, Any], ...]


FILTERS = "_filters"
"""Folder beside the parts of a table with what rows are found by, see :mod:`pathcurate.lookup`."""


class Catalog:
    """The identified tables of a workspace, below ``catalog/`` (mode 0700).

    Args:
        directory: where they are.
        pinned: number of the snapshot of each table that is to be read in place of the newest, as
            :func:`~pathcurate.goingback.states_at` gives it. Such a catalog cannot be written.
    """

    def __init__(self, directory: Path, pinned: Mapping[str, int] | None = None) -> None:
        self._directory, self._pinned = directory, pinned

    def snapshot(self, table: Table) -> Snapshot | None:
        """The newest snapshot, or the pinned one; None if there is none.

        Raises:
            PlanIncompleteError: the pinned one is no longer kept.
            InputOutputError: it is damaged, or a newer pathcurate wrote it.
        """
        path = self._log_entry(table)
        if path is None:
            return None
        snapshot = read_snapshot(path)
        if snapshot.schema_version > table.version:
            raise InputOutputError(
                f"catalog table {table.name} was written by a newer pathcurate", "Upgrade pathcurate to read it."
            )
        return snapshot

    def _log_entry(self, table: Table) -> Path | None:
        log = self._directory / table.name / "_log"
        if self._pinned is None or table.name not in self._pinned:
            return max(log.glob("*.json"), default=None)
        number = self._pinned[table.name]
        path = log / f"{number:08d}.json"
        if number and not path.is_file():
            raise not_kept(table.name)
        return path if number else None

    def _to_be_written(self, table: Table) -> Path:
        if self._pinned is not None:
            raise ValueError("an earlier state of the catalog cannot be written")
        return private_directory(private_directory(self._directory) / table.name)

    def state(self, table: Table) -> str:
        """Name of the newest state, for telling whether a later stage is up to date."""
        snapshot = self.snapshot(table)
        return f"{table.name}@{snapshot.number}" if snapshot else f"{table.name}@0"

    def columns(self, table: Table) -> set[str]:
        """Names of the columns that the newest state's files hold, declared or not."""
        snapshot = self.snapshot(table)
        folder = self._directory / table.name
        return {name for part in (snapshot.parts if snapshot else ()) for name in read_schema(folder / part).names}

    def read(self, table: Table, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Rows of the newest (or pinned) state, one per key, in key order of arrival; empty if none.

        Args:
            table: the declaration.
            columns: only these columns.
        """
        snapshot = self.snapshot(table)
        wanted = tuple(columns) if columns is not None else table.names
        if snapshot is None or not snapshot.parts:
            return arrow_schema(table.select(wanted)).empty_table()
        needed = list(dict.fromkeys((*table.key, *wanted)))
        folder = self._directory / table.name
        parts = [_read_part(folder / name, table.select(needed)) for name in snapshot.parts]
        rows = pa.concat_tables(parts)
        if len(parts) > 1:
            rows = _last_by_key(rows, table.key)
        return rows.select(list(wanted))

    def replace(self, table: Table, data: pa.Table) -> bool:
        """Make ``data`` the table's state; False (and no new snapshot) if it already is."""
        data = conform(table, data)
        current = self.snapshot(table)
        # A column that is not declared goes, even where the declared ones stay as they are.
        if current is not None and self.columns(table) <= set(table.names) and self.read(table).equals(data):
            return False
        self._commit(table, "replace", data, ())
        return True

    def parts(
        self, table: Table, columns: Sequence[str], snapshot: Snapshot | None = None
    ) -> Iterator[tuple[str, pa.Table]]:
        """Name and rows of every part of the newest state, oldest first, one part in memory at a time.

        A row of a later part replaces an earlier one with its key, so what is given may hold rows that no longer count:
        see :meth:`read` for those that do.

        Args:
            table: the declaration.
            columns: only these columns.
            snapshot: another state than the newest.
        """
        snapshot = snapshot or self.snapshot(table)
        for name in snapshot.parts if snapshot else ():
            yield name, _read_part(self._directory / table.name / name, table.select(columns))

    def parts_of(self, table: Table, state: str) -> set[str] | None:
        """The parts of an earlier state, as :meth:`state` named it; None if the log no longer has it."""
        name, _, number = state.partition("@")
        path = self._directory / table.name / "_log" / f"{number:0>8}.json"
        if name != table.name or not number.isdigit() or not path.is_file():
            return None
        return set(read_snapshot(path).parts)

    def pieces(
        self, table: Table, rows: int, columns: Sequence[str] | None = None, chosen: "np.ndarray[Any, Any] | None" = None
    ) -> Iterator[pa.Table]:
        """All parts' rows in order, with all declared columns or some, at most so many at a time; see :meth:`parts`.

        With ``chosen``, a flag for each row, only those; where a file holds none of them, it is not read.
        """
        declared, begin, snapshot = table.select(columns or table.names), 0, self.snapshot(table)
        for name in snapshot.parts if snapshot else ():
            try:
                with pq.ParquetFile(self._directory / table.name / name) as file:
                    there = [column for column in file.schema_arrow.names if column in set(declared.names)]
                    for group in range(file.num_row_groups):
                        place, end = begin, begin + file.metadata.row_group(group).num_rows
                        if chosen is None or chosen[begin:end].any():
                            for batch in file.iter_batches(batch_size=rows, row_groups=[group], columns=there):
                                piece = conform(declared, pa.Table.from_batches([batch]))
                                place += len(piece)
                                yield piece if chosen is None else piece.filter(pa.array(chosen[place - len(piece) : place]))
                        begin = end
            except (OSError, pa.ArrowException) as error:
                raise InputOutputError(
                    f"{name} of catalog table {table.name} cannot be read as Parquet ({type(error).__name__})",
                    "Restore the catalog from a backup, or run the stage that writes it again.",
                ) from None

    def part_paths(self, table: Table) -> tuple[list[Path], list[Path]]:
        """The newest state's files, oldest first: those whose rows are of no other file, and those that replace some.

        The first file is of the first kind; a later one only if it was written so, see :meth:`upsert`.
        """
        snapshot = self.snapshot(table)
        folder = self._directory / table.name
        paths = [folder / name for name in (snapshot.parts if snapshot else ())]
        adding = set(snapshot.adding) if snapshot else set()
        only_added = [path for number, path in enumerate(paths) if number == 0 or path.name in adding]
        return only_added, [path for path in paths if path not in only_added]

    def read_parts(self, table: Table, paths: Sequence[Path], columns: Sequence[str]) -> pa.Table:
        """The last row for each key in some of a table's files, oldest first; the columns hold the key."""
        return _last_by_key(pa.concat_tables([_read_part(path, table.select(columns)) for path in paths]), table.key)

    def row_groups(self, table: Table, columns: Sequence[str]) -> Iterator["RowGroup"]:
        """What the files' footers say of the rows of the newest state, piece by piece in their order."""
        for path in itertools.chain(*self.part_paths(table)):
            footer = read_metadata(path)
            places = [footer.schema.names.index(name) for name in columns]
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                said = [group.column(place).statistics for place in places]
                bounds = tuple((one.min, one.max) if one is not None and one.has_min_max else (None, None) for one in said)
                yield RowGroup(group.num_rows, bounds)

    def row_count(self, table: Table) -> int:
        """Rows in all parts of the newest state, also those that a later one replaces; from the files' footers."""
        snapshot = self.snapshot(table)
        folder = self._directory / table.name
        return sum(read_metadata(folder / name).num_rows for name in (snapshot.parts if snapshot else ()))

    def part(self, table: Table, part: str, columns: Sequence[str] | None = None) -> pa.Table:
        """One part with all declared columns, or with some of them."""
        declared = table if columns is None else table.select(columns)
        return _read_part(self._directory / table.name / part, declared)

    def rows_at(self, table: Table, part: str, rows: Sequence[int]) -> list[dict[str, Any]]:
        """Some rows of one part by their place in it, with all declared columns."""
        return list(self.part(table, part).take(pa.array(rows, pa.int64())).to_pylist())

    def replace_streamed(self, table: Table, batches: Iterable[pa.RecordBatch], made_of: str) -> bool:
        """Make a stream of rows the table, without holding them; unchanged rows make no new state.

        Args:
            table: the declaration; rows come in their final order, one per key.
            batches: the rows, in the declared schema; the same rows come in the same batches.
            made_of: what the table was derived from, to be asked for with :meth:`made_of`.

        Returns:
            Whether the table has changed.
        """
        folder = self._to_be_written(table)
        schema = arrow_schema(table)
        before = self.snapshot(table)
        name = f"part-{before.number + 1 if before else 1:08d}-{secrets.token_hex(4)}.parquet"
        with (
            replacing(folder / name, 0o600) as temporary,
            pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
        ):
            for batch in batches:
                if batch.num_rows:
                    writer.write_table(pa.Table.from_batches([batch], schema=schema), row_group_size=GROUP_ROWS)
        # Rows that come in the same batches are the same bytes.
        with (folder / name).open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        note = {"made_of": made_of, "content": content}
        if before is not None and before.note.get("content") == note["content"] and len(before.parts) == 1:
            (folder / name).unlink()
            # The log says only what has changed; what the same rows were made of last stands beside it.
            write_bytes(folder / _MADE_OF, json.dumps({"number": before.number, "made_of": made_of}).encode(), 0o600)
            return False
        self._log(table, before.number + 1 if before else 1, "replace", (name,), note)
        return True

    def sweep(self, table: Table) -> None:
        """Remove what killed runs left of a table: half-written files, and parts that no state names.

        Only for whoever holds the lock on the workspace.
        """
        folder = self._directory / table.name
        if not folder.is_dir():
            return
        named = {part for log in (folder / "_log").glob("*.json") for part in read_snapshot(log).parts}
        for path in folder.iterdir():
            if path.name.startswith(".part-") or (path.name.startswith("part-") and path.name not in named):
                path.unlink(missing_ok=True)
        # What lies beside a part to find its rows by tells which numbers were in it.
        kept = {part.partition(".")[0] for part in named}
        for path in (folder / FILTERS).glob("*"):
            if path.name.partition(".")[0] not in kept:
                path.unlink(missing_ok=True)

    def made_of(self, table: Table) -> str | None:
        """What the newest state was derived from; None if that is not known."""
        snapshot = self.snapshot(table)
        if snapshot is None:
            return None
        try:
            later = json.loads((self._directory / table.name / _MADE_OF).read_bytes())
            if later["number"] == snapshot.number:
                return str(later["made_of"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return snapshot.note.get("made_of")

    def upsert(self, table: Table, data: pa.Table, *, only_adds: bool = False) -> None:
        """Add rows; a row replaces the earlier one with its key. No rows, no snapshot, except that the first is made.

        Args:
            table: the declaration.
            data: the rows.
            only_adds: the caller knows that the table has no row with any of these keys; readers then need not look.
        """
        current = self.snapshot(table)
        if data.num_rows or current is None:
            rows = _last_by_key(conform(table, data), table.key)
            parts, adding = (current.parts, current.adding) if current else ((), ())
            self._commit(table, "upsert", rows, parts, adding, only_adds=only_adds)

    def _commit(
        self, table: Table, operation: str, data: pa.Table, parts: tuple[str, ...], adding: tuple[str, ...] = (),
        *, only_adds: bool = False,
    ) -> None:  # fmt: skip
        folder = self._to_be_written(table)
        before = self.snapshot(table)
        number = before.number + 1 if before else 1
        name = f"part-{number:08d}-{secrets.token_hex(4)}.parquet"
        write_parquet(folder / name, data, mode=0o600, group_rows=GROUP_ROWS)
        self._log(table, number, operation, (*parts, name), {}, (*adding, name) if only_adds else adding)

    def _log(
        self, table: Table, number: int, operation: str, parts: tuple[str, ...], note: Mapping[str, str],
        adding: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        folder = self._directory / table.name
        log = private_directory(folder / "_log")
        entry = {
            "number": number,
            "at": datetime.now(UTC).isoformat(timespec="microseconds"),
            "operation": operation,
            "parts": list(parts),
            "schema_version": table.version,
            **({"note": dict(note)} if note else {}),
            **({"adding": list(adding)} if adding else {}),
        }
        # The workspace lock makes a lost race impossible between runs; the exclusive name makes it visible otherwise.
        if not create_exclusively(log / f"{number:08d}.json", json.dumps(entry).encode()):
            (folder / parts[-1]).unlink()
            raise InputOutputError(f"catalog table {table.name} was changed by another run", "Run the command again.")


def not_kept(name: str) -> PlanIncompleteError:
    """The error for a state of a table that is gone."""
    return PlanIncompleteError(
        f"the state that catalog table {name} had then is no longer kept",
        "`pathcurate catalog expire` has removed it; name a later time.",
    )


def read_snapshot(path: Path) -> Snapshot:
    """A state, from its entry in a table's log.

    Raises:
        InputOutputError: the entry is damaged.
    """
    try:
        entry = json.loads(path.read_bytes())
        datetime.fromisoformat(entry["at"])
        return Snapshot(
            entry["number"], entry["at"], entry["operation"], tuple(entry["parts"]), entry["schema_version"],
            dict(entry.get("note", {})), tuple(entry.get("adding", ())), tuple(entry.get("committed_as", ())),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        raise InputOutputError(
            f"snapshot {path.name} of catalog table {path.parent.parent.name} is damaged",
            "Restore the catalog from a backup, or delete this snapshot to go back to the one before.",
        ) from None


def _read_part(path: Path, table: Table) -> pa.Table:
    # Columns that the file does not have are passed over.
    data = read_parquet(path, table.names)
    try:
        return conform(table, data)
    except pa.ArrowException as error:
        # Arrow quotes the value that it could not convert.
        raise InputOutputError(
            f"{path.name} of catalog table {table.name} has columns of other types than declared ({type(error).__name__})",
            "Restore the catalog from a backup, or import again.",
        ) from None


def read_schema(path: Path) -> pa.Schema:
    """The Arrow schema of a Parquet file, with the footer's key-value metadata.

    Raises:
        InputOutputError: the file is missing or is not Parquet.
    """
    return read_metadata(path).schema.to_arrow_schema()


def read_metadata(path: Path) -> pq.FileMetaData:
    """The footer of a Parquet file.

    Raises:
        InputOutputError: the file is missing or is not Parquet.
    """
    try:
        return pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as Parquet ({type(error).__name__})",
            "Run the stage that writes it again, or restore it from a backup.",
        ) from None


def _last_by_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    numbered = rows.append_column("_row", pa.array(np.arange(rows.num_rows)))
    kept = np.zeros(rows.num_rows, np.bool_)
    kept[np.asarray(numbered.group_by(list(key)).aggregate([("_row", "max")])["_row_max"])] = True
    return rows.filter(pa.array(kept))  # take would join all texts of a column into one piece, of at most 2 GB
