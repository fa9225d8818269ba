"""The catalog against the simplest catalog there is: a dictionary, and a list of copies of it."""

import tempfile
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.goingback import states_at
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.tables import Catalog, from_rows, read_parquet, write_parquet

TABLE = Table(
    name="notes",
    row="one note",
    key=("site", "path"),
    columns=(
        Column("site", Type.STRING, "Site.", Identifying.DIRECT, Action.DROP),
        Column("path", Type.BYTES, "Path.", Identifying.DIRECT, Action.DROP),
        Column("number", Type.INTEGER, "Number."),
        Column("parts", Type.STRINGS, "Parts.", Identifying.DIRECT, Action.DROP),
    ),
)
_rows = st.lists(
    st.fixed_dictionaries({
        "site": st.sampled_from(["A", "B", "", "病", None]),
        "path": st.sampled_from([b"a", b"\xff", b"", None]),
        "number": st.none() | st.integers(-(2**63), 2**63 - 1),
        "parts": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=2),
    }),
    max_size=5,
)  # fmt: skip
_changes = st.lists(st.tuples(st.sampled_from(["upsert", "replace"]), _rows), max_size=6)


def _by_key(rows: list[dict[str, Any]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in TABLE.key): row for row in rows}


@settings(max_examples=40, deadline=None)
@given(_changes)
def test_the_catalog_is_a_dictionary_that_forgets_nothing(changes: list[tuple[str, list[dict[str, Any]]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "catalog"
        catalog = Catalog(root)
        state: dict[tuple[Any, ...], dict[str, Any]] = {}
        past: list[tuple[datetime, dict[tuple[Any, ...], dict[str, Any]]]] = []
        for operation, rows in changes:
            if operation == "upsert":
                catalog.upsert(TABLE, from_rows(TABLE, rows))
                state = state | _by_key(rows)
            else:
                state = _by_key(rows)
                catalog.replace(TABLE, from_rows(TABLE, state.values()))
            held = catalog.read(TABLE).to_pylist()
            assert len(held) == len(state)
            assert _by_key(held) == state
            snapshot = catalog.snapshot(TABLE)
            assert snapshot is not None
            past.append((datetime.fromisoformat(snapshot.at), state))
        for moment, then in past:
            earlier = Catalog(root, states_at(root, [TABLE.name], moment))
            assert _by_key(earlier.read(TABLE).to_pylist()) == then


@settings(max_examples=40, deadline=None)
@given(_rows, st.lists(st.integers(0, 5), max_size=3))
def test_a_file_is_its_rows_and_its_bytes_hang_on_nothing_else(rows: list[dict[str, Any]], cuts: list[int]) -> None:
    data = from_rows(TABLE, rows)
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    pieces = pa.concat_tables([data.slice(start, end - start) for start, end in pairwise(edges)])
    with tempfile.TemporaryDirectory() as directory:
        one, other = Path(directory) / "one", Path(directory) / "other"
        write_parquet(one, data)
        write_parquet(other, pieces)
        assert read_parquet(one).to_pylist() == rows == read_parquet(other).to_pylist()
        assert one.read_bytes() == other.read_bytes()
