"""What is looked at row group by row group: values against their declarations, shapes of identifiers, digests of rows.

It is the only part whose time and memory grow with the width of a table, so it runs in processes where a table is large. A
row group that ends its process is unreadable, and nothing else is lost.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.digests import row_digests
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError
from pathcurate.model.column import Column, Table, Type
from pathcurate.tables import arrow_schema
from pathcurate.text.vocabulary import codes
from pathcurate.validate.arrays import true_count
from pathcurate.validate.shapes import shaped_numbers, shaped_texts

_ROWS_FOR_PROCESSES = 400_000
"""From here on two processes are sooner ready than one, their start included."""
MOST_ROWS, MOST_BYTES = 1 << 23, 1 << 32
"""Of one row group. pathcurate writes 131,072 rows; what claims to hold many more is not read."""
_ANYTHING = r"(?s).*"
_COLUMNS: Any = [pa.field("facts", pa.string()), pa.field("digests", pa.binary())]
_SCHEMA = pa.schema(_COLUMNS)

RowCheck = tuple[tuple[str, ...], Callable[..., Any]]
Counts = dict[str, int]


def _differs(mean: Any, first: Any, second: Any) -> Any:
    half = pc.divide(pc.add(first, second), 2.0)
    return pc.greater(pc.abs(pc.subtract(mean, half)), pc.add(pc.multiply(pc.abs(half), 1e-6), 1e-9))


ROW_CHECKS: Mapping[str, RowCheck] = {
    "mpp_is_no_mean": (("mpp", "mpp_x", "mpp_y"), _differs),
    "levels_differ": (
        ("level_count", "level_downsamples"), lambda count, each: pc.not_equal(count, pc.list_value_length(each))
    ),
    "more_bad_than_checked": (("tiles_bad", "tiles_checked"), pc.greater),
    "linked_without_case": (
        ("tier", "case_id"), lambda tier, case: pc.and_(pc.invert(_unlinked(tier)), pc.is_null(case))
    ),
    "case_without_link": (("tier", "case_id"), lambda tier, case: pc.and_(_unlinked(tier), pc.is_valid(case))),
}  # fmt: skip
"""What columns of one row must not be together; a row without one of the values is not counted."""


def _unlinked(tier: Any) -> Any:
    return pc.is_in(tier, pa.array(["conflict", "none"]))


@dataclass(slots=True)
class ColumnFacts:
    """What a column holds.

    Attributes:
        nulls: rows without a value.
        outside: values outside of its closed set.
        shaped: values that look as identifiers of people do.
        unsound: row groups in which its bytes are not of its type.
        least: smallest number, or year of a date; None if there is none.
        most: largest, likewise.
    """

    nulls: int = 0
    outside: int = 0
    shaped: int = 0
    unsound: int = 0
    least: float | None = None
    most: float | None = None

    def add(self, other: "ColumnFacts") -> None:
        """Take in those of another row group."""
        self.nulls += other.nulls
        self.outside += other.outside
        self.shaped += other.shaped
        self.unsound += other.unsound
        self.least = min((x for x in (self.least, other.least) if x is not None), default=None)
        self.most = max((x for x in (self.most, other.most) if x is not None), default=None)


@dataclass(slots=True)
class TableFacts:
    """What a table holds.

    Attributes:
        rows: how many.
        columns: by name.
        together: rows by what of :data:`ROW_CHECKS` they break.
        unreadable: row groups that cannot be read.
        undigested: row groups with values that no digest can vouch for.
        digests: of the rows, one behind the other.
    """

    rows: int = 0
    columns: dict[str, ColumnFacts] = field(default_factory=dict)
    together: Counts = field(default_factory=dict)
    unreadable: int = 0
    undigested: int = 0
    digests: bytearray = field(default_factory=bytearray, repr=False)


@dataclass(frozen=True, slots=True)
class Scan:
    """What is asked of the row groups of a table: its declaration, None if nobody declares it, and whether digests too."""

    table: Table | None
    has_digests: bool


def scan_groups(groups: Sequence[tuple[Path, int]], rows: int, scan: Scan, workers: int) -> TableFacts:
    """Look at the row groups of a table.

    Args:
        groups: path and number of each.
        rows: about how many there are.
        scan: see :class:`Scan`.
        workers: processes that may be used.
    """
    total = TableFacts()
    for facts, digests in _in_processes(groups, scan, workers) if _is_worth(groups, rows, workers) else _here(groups, scan):
        _add(total, json.loads(facts))
        total.digests += digests
    return total


def _is_worth(groups: Sequence[tuple[Path, int]], rows: int, workers: int) -> bool:
    return workers > 1 and len(groups) > 1 and rows >= _ROWS_FOR_PROCESSES


def _here(groups: Sequence[tuple[Path, int]], scan: Scan) -> Iterator[tuple[str, bytes]]:
    return (_facts(str(path), number, scan) for path, number in groups)


def _in_processes(groups: Sequence[tuple[Path, int]], scan: Scan, workers: int) -> Iterator[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory(prefix="pathcurate-") as spill:
        batches = (
            pa.record_batch([pa.array([str(path)]), pa.array([number], pa.int64())], ["path", "group"])
            for path, number in groups
        )
        with Embedded(workers=workers, temp_directory=Path(spill)) as engine:
            for batch in engine.run(kernel, batches, scan, _SCHEMA, on_crash=_lost):
                yield from zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)


def kernel(batch: pa.RecordBatch, scan: Scan) -> pa.RecordBatch:
    """Facts and digests of row groups, each named by the path of its file and its number."""
    return _batch([_facts(row["path"], row["group"], scan) for row in batch.to_pylist()])


def _lost(_row: pa.RecordBatch, _why: str) -> pa.RecordBatch:
    return _batch([(json.dumps({"unreadable": 1}), b"")])


def _batch(found: Sequence[tuple[str, bytes]]) -> pa.RecordBatch:
    facts = pa.array([facts for facts, _ in found], pa.string())
    return pa.record_batch([facts, pa.array([digests for _, digests in found], pa.binary())], schema=_SCHEMA)


def _add(total: TableFacts, facts: dict[str, Any]) -> None:
    total.rows += facts.get("rows", 0)
    total.unreadable += facts.get("unreadable", 0)
    total.undigested += facts.get("undigested", 0)
    for name, parts in facts.get("columns", {}).items():
        total.columns.setdefault(name, ColumnFacts()).add(ColumnFacts(**parts))
    for name, count in facts.get("together", {}).items():
        total.together[name] = total.together.get(name, 0) + count


def _facts(path: str, number: int, scan: Scan) -> tuple[str, bytes]:
    try:
        data = pq.ParquetFile(path).read_row_group(number, use_threads=False)
    except (OSError, ValueError, MemoryError, pa.ArrowException):
        return json.dumps({"unreadable": 1}), b""
    columns = {
        name: _column_facts(data[name], scan.table[name] if scan.table is not None and name in scan.table else None)
        for name in data.column_names
        if data.column_names.count(name) == 1
    }
    facts: dict[str, Any] = {
        "rows": data.num_rows,
        "columns": {name: _as_dict(one) for name, one in columns.items()},
        "together": dict(_together(data, columns, scan.table)),
    }
    digests: list[bytes] = []
    if scan.has_digests:
        try:
            digests = row_digests(data)
        except (InputOutputError, TypeError):
            facts["undigested"] = 1
    return json.dumps(facts), b"".join(digests)


def _as_dict(facts: ColumnFacts) -> dict[str, int | float | None]:
    return {
        "nulls": facts.nulls, "outside": facts.outside, "shaped": facts.shaped, "unsound": facts.unsound,
        "least": facts.least, "most": facts.most,
    }  # fmt: skip


def _column_facts(array: Any, column: Column | None) -> ColumnFacts:
    try:
        array.validate(full=True)  # text that is not UTF-8, offsets out of bounds
    except pa.ArrowInvalid:
        return ColumnFacts(unsound=1)
    facts = ColumnFacts(nulls=array.null_count)
    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        array = pc.list_flatten(array)
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        suspects = array if column is None else _outside(array, column)
        facts.outside = len(suspects) if column is not None and _is_closed(column) else 0
        facts.shaped = shaped_texts(suspects)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        facts.least, facts.most = _number(pc.min(array)), _number(pc.max(array))
        facts.shaped = shaped_numbers(array)
    elif pa.types.is_date(kind):
        years = pc.year(array)
        facts.least, facts.most = _number(pc.min(years)), _number(pc.max(years))
    return facts


def _number(scalar: Any) -> float | None:
    value = scalar.as_py()
    return None if value is None or value != value else float(value)  # noqa: PLR0124 (not a number)


def _outside(array: "pa.ChunkedArray[Any]", column: Column) -> Any:
    """The values that the column's declaration does not allow; all of a text's, which allows any."""
    given = array.drop_null()
    if not _is_closed(column):
        return given
    if column.pattern and not column.values and not column.vocabulary:
        return given.filter(pc.invert(pc.match_substring_regex(given, rf"\A(?:{column.pattern})\z")))
    return given.filter(pc.invert(pc.is_in(given, _closed(column).cast(given.type))))


def _is_closed(column: Column) -> bool:
    return column.is_closed and column.pattern != _ANYTHING and column.type in {Type.STRING, Type.STRINGS}


@cache
def _closed(column: Column) -> Any:
    return pa.array(codes(column.vocabulary) if column.vocabulary else column.values, pa.string())


def _together(data: pa.Table, columns: Mapping[str, ColumnFacts], table: Table | None) -> Iterator[tuple[str, int]]:
    if table is None:
        return
    wanted = arrow_schema(table)
    for name, (needed, breaks) in ROW_CHECKS.items():
        if all(one in table and one in columns and not columns[one].unsound for one in needed) and all(
            data.schema.field(one).type == wanted.field(one).type for one in needed
        ):
            yield name, true_count(breaks(*(data[one] for one in needed)))
