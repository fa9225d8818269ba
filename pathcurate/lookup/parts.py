"""One file of a table, and what it costs to find rows in it."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property, reduce
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.lookup.conditions import Condition
from pathcurate.lookup.rowfile import Rows
from pathcurate.model.column import Table
from pathcurate.tables import conform, read_metadata

Row = dict[str, Any]


class Part:
    """One file of a table.

    Args:
        name: of the table.
        path: of the file.
        rows: what lies beside it.
        state: what it was when it was opened.
    """

    def __init__(self, name: str, path: Path, rows: Rows | None, state: object = None) -> None:
        self._name = name
        self.path = path
        self.rows = rows
        self.state = state

    @cached_property
    def _metadata(self) -> pq.FileMetaData:
        return read_metadata(self.path)

    @cached_property
    def _leaves(self) -> dict[str, int]:
        schema = self._metadata.schema
        return {schema.column(leaf).path: leaf for leaf in range(self._metadata.num_columns)}

    @cached_property
    def _fields(self) -> set[str]:
        return {path.partition(".")[0] for path in self._leaves}

    @cached_property
    def _ends(self) -> list[int]:
        """Rows up to the end of each group."""
        return list(accumulate(self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)))

    def groups(self, conditions: Mapping[str, Condition]) -> Iterator[int]:
        """Numbers of the row groups that may hold a row that fulfils all conditions."""
        if not self._fields.issuperset(conditions):
            return
        chosen = [group for group in range(self._metadata.num_row_groups) if self._may_hold(group, conditions)]
        for column, condition in conditions.items():
            if len(chosen) > 1 and self.rows is not None and column in self.rows.by and condition.digests is not None:
                numbers = self.rows.numbers(column, condition.digests)
                chosen = sorted({bisect_right(self._ends, number) for number in numbers} & {*chosen})
        yield from chosen

    def _may_hold(self, group: int, conditions: Mapping[str, Condition]) -> bool:
        row_group = self._metadata.row_group(group)
        statistics = ((condition, row_group.column(self._leaves[name]).statistics) for name, condition in conditions.items())
        return all(known is None or condition.may_pass(known) for condition, known in statistics)

    def read(self, group: int, table: Table, conditions: Mapping[str, Condition]) -> list[Row]:
        """The rows of one row group that fulfil the conditions."""
        try:
            with pq.ParquetFile(self.path, metadata=self._metadata) as file:
                asked = file.read_row_group(group, columns=list(conditions), use_threads=False)
                masks = [condition.mask(asked[name].combine_chunks()) for name, condition in conditions.items()]
                at = pc.indices_nonzero(reduce(pc.and_, masks))
                if not len(at):
                    return []
                names = [name for name in table.names if name in self._fields]
                rows = file.read_row_group(group, columns=names, use_threads=False).take(at)
                return list(conform(table, rows).to_pylist())
        except (OSError, pa.ArrowException) as error:
            # Arrow quotes the value that it could not convert.
            raise InputOutputError(
                f"{self.path.name} of catalog table {self._name} cannot be read ({type(error).__name__})",
                "Restore the catalog from a backup, or run the stage that writes it again.",
            ) from None

    @property
    def row_count(self) -> int:
        """How many rows it has."""
        return int(self._metadata.num_rows)
