"""Where kernels and SQL run: on this machine (``embedded``) or on a cluster.

An engine does two things only. It runs a *kernel*, a module-level function over record batches, and it answers *SQL*, a
portable subset of DuckDB's dialect over named views. Stages are written against :class:`Engine` and know no more.
Below it stands what all engines do alike: types of results, and the call of a kernel in a worker.
"""

import pickle
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

    def materialise(self, name: str, sql: str) -> None:
        """Give the rows of a query a name in SQL, replacing what had it; the query runs once, now.

        The rows are kept on disk until the name is given again or the engine is closed, and may be more than fit into
        memory.

        Raises:
            InputOutputError: the query failed, or there is no room for its rows.
        """

    def close(self) -> None:
        """End every run and give up all processes and connections."""


# --- What engines share -------------------------------------------------------------------------------------------------


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of our tables for a type that an engine calculated with.

    What one engine counts in 32 bits another counts in 64, and a sum of integers may be a decimal: the caller sees int64,
    float64, string, binary, date32, bool, timestamp[us] and lists of them, whatever the engine.
    """
    types = pa.types
    if types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(pa.field("element", plain_type(kind.value_type)))
    if types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if types.is_decimal(kind):
        return pa.float64() if kind.scale else pa.int64()
    return next((plain for matches, plain in _PLAIN if matches(kind)), kind)


_PLAIN = (
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float64()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The same columns in types of our tables, all of them nullable, without metadata."""
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def checked_output(output: object, schema: pa.Schema, row_count: int, maker: str) -> pa.RecordBatch:
    """A kernel's output if it is what was declared.

    Raises:
        TypeError: it is no batch, or of another schema.
        ValueError: it has not one row for each input row.
    """
    if not isinstance(output, pa.RecordBatch):
        raise TypeError(f"{maker} returned no record batch")
    if not output.schema.equals(schema):
        ours, declared = set(output.schema), set(schema)
        odd = sorted({field.name for field in ours ^ declared})
        raise TypeError(f"{maker} returned another schema than declared: {', '.join(odd) or 'other column order'}")
    if output.num_rows != row_count:
        raise ValueError(f"{maker} returned {output.num_rows} rows for {row_count}")
    return output


def run_kernel(kernel: Kernel, rows: pa.RecordBatch, spec: object, schema: pa.Schema) -> pa.RecordBatch:
    """A kernel's checked output.

    Raises:
        Exception: what the kernel raised if it can travel to another process, else a RuntimeError that names it.
    """
    name = getattr(kernel, "__qualname__", "kernel")
    try:
        return checked_output(kernel(rows, spec), schema, rows.num_rows, name)
    except Exception as error:
        if _survives_pickling(error):
            raise
        raise RuntimeError(f"The kernel {name} raised {type(error).__name__}.") from error
    except BaseException as error:
        # SystemExit and its like would end the caller without a word.
        raise RuntimeError(f"The kernel {name} raised {type(error).__name__}.") from error


def _survives_pickling(error: Exception) -> bool:
    # The other end would meet an error of its own where it cannot rebuild this one.
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - exceptions of any library, with whatever their constructors do
        return False
    return True


class RemoteError(Exception):
    """The traceback of an exception in a worker, as its cause here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """A batch as bytes for another process: a slice alone, where a pickle carries all that it was cut from."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_bytes(message: bytes | pa.Buffer) -> pa.RecordBatch:
    """What :func:`to_bytes` wrote."""
    with pa.ipc.open_stream(message) as reader:
        return reader.read_next_batch()
