"""Where kernels and SQL run: on this machine (``embedded``) or on a cluster.

An engine does two things only. It runs a *kernel*, a module-level function over record batches, and it answers *SQL*, a
portable subset of DuckDB's dialect over named views. Stages are written against :class:`Engine` and know no more.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa

Kernel = Callable[[pa.RecordBatch, Any], pa.RecordBatch]
"""``(batch, spec) -> batch``: one output row per input row, in the same order, in the declared schema.

A kernel is a module-level function, so that other processes can import it. It records what goes wrong with one row in
that row; an exception that leaves it is a programming error and ends the run.
"""

LossReason = Literal["reader_crashed", "timeout"]
"""Why a row has no result of its own; the words are statuses of the table ``slides``."""

OnLoss = Callable[[pa.RecordBatch, LossReason], pa.RecordBatch]
"""Makes the output of the one row whose kernel killed its process or did not end."""


class Engine(Protocol):
    """Runs kernels and SQL. Every engine returns the same rows."""

    def run(
        self,
        kernel: Kernel,
        batches: Iterable[pa.RecordBatch],
        spec: object,
        schema: pa.Schema,
        *,
        on_crash: OnLoss,
        timeout: float | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """The kernel's output for every input row, in input order.

        Args:
            kernel: what to run.
            batches: read as needed, a bounded number ahead.
            spec: frozen, picklable rules and settings for the kernel; never a key.
            schema: of the output.
            on_crash: makes the output of a row that kills or hangs its process.
            timeout: seconds that one row may take; None waits for ever.
        """

    def view(self, name: str, relation: Sequence[Path] | pa.Table) -> None:
        """Give Parquet files or a table a name in SQL, replacing what had it.

        Raises:
            InputOutputError: a file is missing or unreadable.
        """

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, for small results.

        Raises:
            InputOutputError: the query failed.
        """

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result of a query as a table.

        Raises:
            InputOutputError: the query failed.
        """

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query piece by piece, for what may be larger than memory.

        No other query is asked before the last piece is taken or the iterator closed.

        Raises:
            InputOutputError: the query failed.
        """

    def close(self) -> None:
        """End every run and give up all processes and connections."""
