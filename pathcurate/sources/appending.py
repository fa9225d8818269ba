"""The common night: a few new files beside many that are as they were, whose rows are then not read again.

Of the rows there before, digests and keys are read piece by piece, and of them alone is decided what the new files add.
What cannot be decided so gives None, before anything is written, and the table is made anew as a whole.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.column import Table
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.source import SOURCE_ROWS
from pathcurate.sources.standing import begins, given
from pathcurate.tables import Catalog, arrow_schema, column_values

MOST_ROWS = 200_000
"""Rows of new files above which a table is made anew, because they are no night's; their texts are in memory at once."""
SCANNED_ROWS = 1 << 16
"""Rows whose keys are compared at a time."""

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Pairs = Counter[tuple[str, str, str]]
"""Site, file and the first file that gives the same rows, to how many rows they are."""


@dataclass(frozen=True, slots=True)
class Added:
    """What new files add to a table.

    Attributes:
        rows: the rows whose values they give, with identifier and place.
        is_new: of each of these whether the table has no row of its identifier.
        source_rows: what is remembered of the new files' rows.
        repeats: by how many rows the numbers of rows that two files share change.
    """

    rows: pa.Table
    is_new: Flags
    source_rows: pa.Table
    repeats: Pairs


def appended(
    catalog: Catalog,
    table: Table,
    code: str,
    read: tuple[pa.Table, pa.Table],
    known: Collection[tuple[str, str]],
    append: Callable[[Catalog, Added], list[Finding] | None],
) -> list[Finding] | None:
    """Add what files give that are new beside all known ones, and give the findings about the table as a whole.

    None, with nothing written, if that cannot be told without the whole table. Arguments as for :func:`added`;
    ``append`` writes the table.
    """
    new = added(catalog, table, code, read, known)
    overall = append(catalog, new) if new is not None else None
    if new is not None and overall is not None:
        catalog.upsert(SOURCE_ROWS, new.source_rows, only_adds=True)
    return overall


def added(
    catalog: Catalog, table: Table, code: str, read: tuple[pa.Table, pa.Table], known: Collection[tuple[str, str]]
) -> Added | None:
    """What new files add, if no row of before has to be renumbered.

    Args:
        catalog: the catalog.
        table: the table.
        code: kind of its identifiers.
        read: the rows of the new files, and where they stand.
        known: site and path of every file whose rows the table holds, none of which is among the new ones.
    """
    fresh, places = read
    if fresh.num_rows > MOST_ROWS:
        return None
    earlier = _earlier(catalog, table, places["identity"], known)
    if earlier is None:
        return None
    standing = given(earlier, places, code)
    is_read = pc.is_valid(standing["place"])
    before = standing.filter(pc.invert(is_read))
    if column_values(before, "old_ordinal") != column_values(before, "ordinal"):
        return None
    owners = standing.filter(pc.and_(is_read, standing["is_first"]))
    owners = owners.sort_by([(name, "ascending") for name in ("site", "source_file", "source_row", "row_id")])
    rows = fresh.take(owners["place"])
    for name, source in ((table.key[0], "row_id"), ("source_file", "source_file"), ("source_row", "source_row")):
        at = rows.schema.get_field_index(name)
        rows = rows.set_column(at, rows.schema.field(at), owners[source].cast(rows.schema.field(at).type))
    is_new = ~flags(pc.is_in(owners["row_id"], value_set=before["row_id"].combine_chunks()))
    mine = standing.filter(is_read)
    mine = mine.append_column("table", pa.array([table.name] * mine.num_rows, pa.string()))
    repeats = shared(standing)
    repeats.subtract(shared(before))
    return Added(rows, is_new, mine.select(SOURCE_ROWS.names).cast(arrow_schema(SOURCE_ROWS)), repeats)


def repeats_found(table: Table, pairs: Pairs) -> list[Finding]:
    """Findings about pairs of files that share rows."""
    return [
        Finding(
            f"{table.name}.repeated_in_file", Severity.INFO,
            f"{Path(other).name} repeats rows of {Path(first).name}, which were imported once: {count}",
            stage=table.name, site=site or None, table=table.name, subject=f"{other} and {first}", count=count,
        )
        for (site, other, first), count in sorted(pairs.items())
    ]  # fmt: skip


def shared(rows: pa.Table) -> Pairs:
    """How many rows files share with the first that gives them."""
    order = ("site", "row_id", "source_file")
    rows = rows.select(order).sort_by([(name, "ascending") for name in order])
    repeated = ~(begins(rows["row_id"]) | begins(rows["site"]))
    owners = np.maximum.accumulate(np.where(repeated, 0, np.arange(rows.num_rows)))[repeated]
    later = rows.filter(pa.array(repeated, pa.bool_()))
    first = column_values(rows.take(pa.array(owners, pa.int64())), "source_file")
    return Counter(zip(column_values(later, "site"), column_values(later, "source_file"), first, strict=True))


def total_rows(catalog: Catalog, table: Table) -> int:
    """Rows of a table, one per key."""
    _, replacing = catalog.part_paths(table)
    return catalog.read(table, columns=table.key).num_rows if replacing else catalog.row_count(table)


def scanned(catalog: Catalog, table: Table, columns: tuple[str, ...], is_wanted: Callable[[pa.Table], Flags]) -> Flags:
    """Of every row of all parts whether it is wanted; some narrow columns are looked at, piece by piece."""
    pieces = (is_wanted(piece) for piece in catalog.pieces(table, SCANNED_ROWS, columns))
    return np.concatenate([np.zeros(0, np.bool_), *pieces])


def chosen_rows(catalog: Catalog, table: Table, columns: tuple[str, ...], chosen: Flags) -> pa.Table:
    """Some rows of all parts, the last for each key; the columns hold the key."""
    pieces: Iterator[pa.Table] = catalog.pieces(table, SCANNED_ROWS, columns, chosen) if chosen.any() else iter(())
    rows = pa.concat_tables([arrow_schema(table.select(columns)).empty_table(), *pieces])
    keys = rows.select(table.key).append_column("_row", pa.array(np.arange(rows.num_rows)))
    last = keys.group_by(list(table.key)).aggregate([("_row", "max")])["_row_max"]
    return rows.take(pc.take(last, pc.sort_indices(last)))


def flags(values: "pa.ChunkedArray[Any] | pa.Array[Any]") -> Flags:
    """A comparison's answers, a missing one being no."""
    filled: Any = pc.fill_null(values, pa.scalar(False))
    found: Flags = np.asarray(filled.to_numpy(zero_copy_only=False), np.bool_)
    return found


def _earlier(
    catalog: Catalog, table: Table, identities: "pa.ChunkedArray[Any]", known: Collection[tuple[str, str]]
) -> pa.Table | None:
    """What is remembered of rows with these identities; None if it remembers a file that is not known."""
    sought = pc.unique(identities)
    files: set[tuple[str, str]] = set()

    def is_wanted(piece: pa.Table) -> Flags:
        mine = pc.equal(piece["table"], pa.scalar(table.name))
        of_files = piece.filter(mine).group_by(["site", "source_file"]).aggregate([])
        files.update(zip(column_values(of_files, "site"), column_values(of_files, "source_file"), strict=True))
        return flags(pc.and_(mine, pc.is_in(piece["identity"], value_set=sought)))

    wanted = scanned(catalog, SOURCE_ROWS, ("site", "table", "source_file", "identity"), is_wanted)
    # An import that was interrupted has left rows behind of which nobody knows.
    if not files <= set(known):
        return None
    return chosen_rows(catalog, SOURCE_ROWS, SOURCE_ROWS.names, wanted)
