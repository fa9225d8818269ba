"""Slides as queries read them: in the order of their cases, with numbers of their specimens and blocks."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.cohort.whole import CLUSTERED, Places, _cluster, placed

SCHEMA = pa.schema([
    ("slide_no", pa.int64()), ("case_no", pa.int64()), ("patient_no", pa.int64()), ("specimen", pa.string()),
    ("block", pa.string()),
])  # fmt: skip
rows_of_slides = st.lists(
    st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, "A", "B"]), st.sampled_from([None, "1", "2"])),
    max_size=25,
)


def table_of(parts: list[tuple[Any, ...]]) -> pa.Table:
    rows = [
        {"slide_no": number, "case_no": case, "patient_no": None if case is None else case // 2, "specimen": specimen,
         "block": block}
        for number, (case, specimen, block) in enumerate(parts)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, SCHEMA).sort_by([(name, "ascending") for name in CLUSTERED])


def demand(rows: list[dict[str, Any]]) -> None:
    """Two slides have one number just if they are of one specimen, or block, of one case."""
    for column, parts in (("specimen_no", ("case_no", "specimen")), ("block_no", ("case_no", "specimen", "block"))):
        lacking = (parts[0], parts[-1])
        assert all((row[column] is None) == any(row[part] is None for part in lacking) for row in rows)
        named = {(tuple(row[part] for part in parts), row[column]) for row in rows if row[column] is not None}
        assert len(named) == len({parts for parts, _ in named}) == len({number for _, number in named})


@settings(max_examples=60)
@given(rows_of_slides, st.integers(1, 7))
def test_numbers_tell_specimens_and_blocks_apart_however_the_rows_come(parts: list[tuple[Any, ...]], size: int) -> None:
    table = table_of(parts)
    whole, _ = placed(table, None)
    demand(whole.to_pylist())
    pieces, before = [], None
    for first in range(0, table.num_rows, size):
        piece, before = placed(table.slice(first, size), before)
        pieces.append(piece)
        assert isinstance(before, Places)
    assert not pieces or pa.concat_tables(pieces).to_pylist() == whole.to_pylist()


def test_slides_are_written_in_their_order(tmp_path: Path) -> None:
    table = table_of([(2, "A", "1"), (None, None, None), (0, "B", "2"), (2, "A", "1"), (0, "A", None)])
    for rows in (table.take([4, 2, 0, 3, 1]), table.slice(0, 0)):
        pq.write_table(rows, tmp_path / "unsorted.parquet")
        _cluster(tmp_path / "unsorted.parquet", tmp_path / "slides.parquet", tmp_path)
        written = pq.read_table(tmp_path / "slides.parquet")
        assert written.select(SCHEMA.names).to_pylist() == (table if rows.num_rows else rows).to_pylist()
        assert written.column_names == [*SCHEMA.names, "specimen_no", "block_no"]
        demand(written.to_pylist())
    assert sorted(path.name for path in tmp_path.glob("spill/*")) == []
