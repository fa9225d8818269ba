"""Example rows of a release (``registration/sample/NAME.json``), only where the product file allows them; never texts."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.metadata.dossier import SAMPLE_FOLDER
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.column import Table, Type
from pathcurate.model.description import Description
from pathcurate.model.text import TEXT_TABLES

_HOW = (
    "The rows whose code ends with the first sign that enough codes end with, and of these the ones whose keys have the "
    "smallest SHA-256 digests: the same rows as long as they are in the product."
)
Rank = tuple[str, bytes]


def drawn(table: Table, pieces: Iterable[pa.Table | pa.RecordBatch], rows: int) -> tuple[Mapping[str, Any], ...]:
    """So many rows of a released table as plain JSON values.

    Nobody chooses them: they are first by the last sign of their code, then by the digest of their key. So they do not
    depend on the order of the table, and most stay when the product grows.

    Args:
        table: its declaration; of tables of texts nothing is drawn.
        pieces: its rows, of which one piece is held at a time.
        rows: how many.
    """
    if table.name in TEXT_TABLES:
        return ()
    names = table.key or table.names
    least: list[tuple[Rank, Mapping[str, Any]]] = []
    for piece in pieces:
        few = _narrowed(pa.table(piece), table, rows)
        ranks = (_rank(values) for values in zip(*(few[name].to_pylist() for name in names), strict=True))
        here = heapq.nsmallest(rows, ((rank, place) for place, rank in enumerate(ranks)))
        chosen = few.take(pa.array([place for _, place in here], pa.int64())).to_pylist()
        found = ((rank, row) for (rank, _), row in zip(here, chosen, strict=True))
        least = heapq.nsmallest(rows, [*least, *found], key=lambda one: one[0])
    return tuple({name: _plain(row[name]) for name in table.names} for _, row in least)


def _narrowed(piece: pa.Table, table: Table, rows: int) -> pa.Table:
    """The rows of a piece that can be drawn by the last sign of their code: a digest of every row takes a minute."""
    first = (table.key or table.names)[0]
    if piece.num_rows <= rows or table[first].type is not Type.STRING:
        return piece
    codes: Any = piece[first]
    signs: Any = pc.utf8_slice_codeunits(codes.fill_null(""), start=-1)
    counts = {one["values"]: one["counts"] for one in pc.value_counts(signs).to_pylist()}
    wanted: list[str] = []
    for sign in sorted(counts):
        wanted.append(sign)
        if sum(counts[each] for each in wanted) >= rows:
            break
    return piece.filter(pc.is_in(signs, pa.array(wanted, pa.string())))


def _rank(values: tuple[Any, ...]) -> Rank:
    texts = ["" if value is None else str(value) for value in values]
    return texts[0][-1:], hashlib.sha256("\x1f".join(texts).encode()).digest()


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def samples(description: Description) -> Iterator[tuple[str, str]]:
    """The file of each table that has example rows: its path below the release, and its text."""
    allowed = description.file.sample if description.file is not None else None
    if allowed is None:
        return
    for described in description.tables:
        name = described.table.name
        if described.sample and name not in TEXT_TABLES:
            content = {
                "product": description.urn, "table": name, "drawn": _HOW, "approved_by": allowed.approved_by,
                "rows": [dict(row) for row in described.sample],
            }  # fmt: skip
            yield f"{SAMPLE_FOLDER}{name}.json", json_text(content, sort_keys=False)
