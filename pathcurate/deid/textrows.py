"""Rows of the tables of scrubbed texts, and how these tables are written."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pathcurate import placeholders
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.model.column import Table
from pathcurate.model.removal import Removal
from pathcurate.placeholders import Assembled, Place
from pathcurate.storage import replacing
from pathcurate.tables import arrow_schema, from_rows

Noted = tuple[str, str, int, int, int, int]
"""A removal as the cache keeps it: kind, rule, place in the catalog's text, place in the scrubbed one."""


def noted(removals: Sequence[Removal], whole: Assembled) -> list[Noted]:
    """The removals of a text, as the cache keeps them."""
    return [
        (str(item.kind), item.rule, place.start, place.end, place.out_start, place.out_end)
        for item, place in zip(removals, whole.places, strict=True)
    ]


def removed_digest(places: Iterable[tuple[int, int]]) -> str:
    """Digest of the places, start and end in the catalog's text, that are taken out of it: what says which text was seen."""
    return sha256_text(canonical_json(sorted(map(list, places))))


def removal_row(text: Mapping[str, Any], place: Sequence[Any]) -> dict[str, Any]:
    """A row of ``removals``."""
    kind, rule, _, _, start, end = place
    return {
        "report_id": text["report_id"], "text_column": text["text_column"], "start": start, "end": end, "kind": kind,
        "rule": rule,
    }  # fmt: skip


def span_row(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a line or mention stands in the scrubbed text, None if nothing is left of it."""
    places = [Place(*place[2:]) for place in json.loads(row["removals"])]
    carried = placeholders.carry(row["start"], row["end"], places)
    if carried is None:
        return None
    start, end, is_cut = carried
    return {**row, "start": start, "end": end, "is_cut": is_cut}


@contextmanager
def written_table(folder: Path, table: Table) -> Iterator[Callable[[Sequence[Mapping[str, Any]]], None]]:
    """Writes a table piece by piece, whole or not at all."""
    schema = arrow_schema(table)
    with (
        replacing(folder / f"{table.name}.parquet") as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):

        def write(rows: Sequence[Mapping[str, Any]]) -> None:
            if rows:
                writer.write_table(from_rows(table, ({name: row.get(name) for name in table.names} for row in rows)))

        yield write
