"""The engine inside this process: kernels in worker processes that may die, SQL in DuckDB."""

import os
import pickle
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa

from pathcurate.engines import Kernel, OnLoss, plain_schema
from pathcurate.engines.embedded.processes import Run
from pathcurate.errors import InputOutputError
from pathcurate.ownfolder import own_folder

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
_BATCH_ROWS = 100_000


class Embedded:
    """Runs kernels in worker processes and SQL in an in-memory DuckDB; the default engine.

    One thread uses it at a time. SQL sees the views given to it and local files, loads no extension, reaches no network
    and never looks at Python variables.

    Args:
        workers: processes for kernels, and threads for SQL.
        temp_directory: where SQL puts what does not fit into memory, and materialised results; made when needed.
        memory_limit_bytes: for SQL; None leaves DuckDB's own limit, 80 % of the machine.

    Raises:
        InputOutputError: DuckDB refuses the settings.
    """

    def __init__(self, *, workers: int, temp_directory: Path, memory_limit_bytes: int | None = None) -> None:
        if workers < 1:
            raise ValueError("an engine needs at least one worker")
        self._workers = workers
        self._runs: set[Run] = set()
        self._memory_limit_bytes = memory_limit_bytes
        self._temp_directory = temp_directory
        # Of materialised results and of what DuckDB spills: two processes would write to files of the same names.
        self._own_directory: Path | None = None
        self._held = ExitStack()
        self._files: dict[str, Path] = {}
        self._opened: duckdb.DuckDBPyConnection | None = None
        self._sql_thread = ThreadPoolExecutor(1, thread_name_prefix="sql")

    @property
    def _connection(self) -> "duckdb.DuckDBPyConnection":
        # Opened when the first query comes: a run that only looks whether something has changed needs none.
        if self._opened is None:
            self._opened = _connect(self._workers, self._own() / "spilled", self._memory_limit_bytes)
        return self._opened

    def _own(self) -> Path:
        if self._own_directory is None:
            self._own_directory = self._held.enter_context(own_folder(self._temp_directory, "sql-"))
        return self._own_directory

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

        At most ``2 * workers`` batches are in memory at a time, read ahead of the result that is waited for. Nothing
        starts before the first result is asked for. A batch gives one output batch; one that lost a row gives several.

        A row that ends its process (segmentation fault, ``os._exit``, killed for its memory) gets its output from
        ``on_crash(row, "reader_crashed")``, a row that takes longer than ``timeout`` from ``on_crash(row, "timeout")``;
        all other rows are computed. A row may be given to the kernel more than once on the way, so kernels must stand
        repetition. A batch may take four times ``timeout`` before its rows are tried one by one, so a row that hangs
        costs five times ``timeout``, and a batch of rows that are only slow is computed twice.

        Closing the iterator, an exception or an interrupt kills the workers at once.

        Args:
            kernel: a module-level function, see :data:`pathcurate.engines.Kernel`.
            batches: the input.
            spec: for the kernel; must be picklable.
            schema: of the output.
            on_crash: makes the output of one lost row, in this process.
            timeout: seconds per row, None for no limit.

        Raises:
            Exception: what the kernel raised, with its traceback; whatever ``batches`` or ``on_crash`` raises.
            TypeError: the kernel's or ``on_crash``'s output is not of the declared schema.
            ValueError: it has not one row for each input row.
            InputOutputError: worker processes cannot be started.
        """
        run = Run(pickle.dumps((kernel, spec, schema)), schema, self._workers, on_crash, timeout)
        return self._results(run, batches)

    def _results(self, run: "Run", batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        self._runs.add(run)
        try:
            yield from run.results(iter(batches))
        finally:
            self._runs.discard(run)
            run.stop()

    def view(self, name: str, relation: Sequence[Path] | pa.Table) -> None:
        """Give Parquet files or a table a name in SQL, replacing what had it.

        Files may differ in their columns: a column that a file does not have is null there. ``*``, ``?`` and ``[`` in
        a path stand for themselves.

        Raises:
            InputOutputError: a file is missing, unreadable or no Parquet.
        """
        if not isinstance(relation, pa.Table) and not relation:
            raise ValueError("a view needs at least one file; give an empty table with the right schema instead")
        self._ask(lambda: self._define(name, relation))
        self._forget_file(name)

    def _define(self, name: str, relation: Sequence[Path] | pa.Table) -> None:
        quoted = '"' + name.replace('"', '""') + '"'
        self._connection.unregister(name)
        self._connection.execute(f"DROP VIEW IF EXISTS {quoted}")
        if isinstance(relation, pa.Table):
            self._connection.register(name, relation)
            return
        files = ", ".join(_literal(re.sub(r"([*?\[])", r"[\1]", os.fspath(path))) for path in relation)
        self._connection.execute(
            f"CREATE VIEW {quoted} AS SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        )

    def materialise(self, name: str, sql: str) -> None:
        """Give the rows of a query a name in SQL, replacing what had it; the query runs once, now.

        The rows are written as Parquet below the temporary directory: less than a temporary table of DuckDB takes, which
        holds text uncompressed, and nothing of them counts against the memory.

        Raises:
            InputOutputError: the query failed, or the disk is full.
        """
        path = self._own() / f"{uuid.uuid4().hex}.parquet"

        def write() -> None:
            # A dictionary of millions of numbers is built in vain: it costs a tenth of the time.
            how = "FORMAT parquet, COMPRESSION snappy, DICTIONARY_SIZE_LIMIT 1000"
            self._connection.execute(f"COPY ({sql}\n) TO {_literal(os.fspath(path))} ({how})")
            # Only now: the query may read what has the name so far.
            self._define(name, [path])

        self._ask(write)
        self._forget_file(name)
        self._files[name] = path

    def _forget_file(self, name: str) -> None:
        """Remove what an earlier view of this name lay in."""
        former = self._files.pop(name, None)
        if former is not None:
            former.unlink(missing_ok=True)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; each ``?`` in it stands for a parameter.

        Raises:
            InputOutputError: the query failed. The message does not repeat DuckDB's, which may quote values.
        """
        return self._ask(lambda: self._connection.execute(sql, list(parameters)).fetchall())

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result of a query as a table; each ``?`` in it stands for a parameter.

        Raises:
            InputOutputError: the query failed. The message does not repeat DuckDB's, which may quote values.
        """

        def fetch() -> pa.Table:
            table: pa.Table = self._connection.sql(sql, params=list(parameters)).to_arrow_table()
            return table.cast(plain_schema(table.schema))

        return self._ask(fetch)

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query piece by piece, for what may be larger than memory.

        No other query is asked before the last piece is taken or the iterator closed.

        Raises:
            InputOutputError: the query failed. The message does not repeat DuckDB's, which may quote values.
        """
        reader = self._ask(lambda: self._connection.sql(sql, params=list(parameters)).to_arrow_reader(_BATCH_ROWS))
        try:
            schema = plain_schema(reader.schema)
            while (batch := self._ask(lambda: next(reader, None))) is not None:
                yield batch.cast(schema)
        finally:
            reader.close()

    def _ask(self, action: Callable[[], T]) -> T:
        # DuckDB notices an interrupt late, or not at all while it makes a table, and names it a query error. In a
        # thread of its own it can be waited for in a way that an interrupt ends at once.
        answer = self._sql_thread.submit(_answer, action)
        try:
            return answer.result()
        except KeyboardInterrupt:
            self._connection.interrupt()
            wait([answer])
            raise

    def close(self) -> None:
        """End every run, kill its processes and close DuckDB. May be called again."""
        for run in list(self._runs):
            run.stop()
        self._sql_thread.shutdown()
        if self._opened is not None:
            self._opened.close()
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


# --- SQL ---------------------------------------------------------------------------------------------------------


def _connect(threads: int, temp_directory: Path, memory_limit_bytes: int | None) -> "duckdb.DuckDBPyConnection":
    # Workers import this module to find their functions; they have no use for DuckDB.
    import duckdb  # noqa: PLC0415

    settings = {
        "TimeZone": "'UTC'",
        # It would be drawn on standard output, in the middle of results.
        "enable_progress_bar": "false",
        "threads": str(threads),
        "temp_directory": _literal(os.fspath(temp_directory)),
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "allow_community_extensions": "false",
        # An explicit INSTALL fails here, before it asks the network.
        "extension_directory": "'/dev/null/none'",
        "python_enable_replacements": "false",
    }
    if memory_limit_bytes is not None:
        settings["memory_limit"] = f"'{memory_limit_bytes}B'"
    settings["lock_configuration"] = "true"

    def connect() -> "duckdb.DuckDBPyConnection":
        connection = duckdb.connect(":memory:")
        for name, value in settings.items():
            connection.execute(f"SET {name} = {value}")
        return connection

    return _answer(connect)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_HINTS = {
    "OutOfMemoryException": "Give the engine more memory, or fewer workers.",
    "IOException": "Check that the tables exist and can be read, and that the temporary directory has room.",
    "ParserException": "The statement is not SQL of the portable subset.",
    "CatalogException": "The statement names a table or function that does not exist.",
    "BinderException": "The statement names a column that does not exist, or combines types that do not fit.",
}


def _answer(action: Callable[[], T]) -> T:
    import duckdb  # noqa: PLC0415 - see _connect

    try:
        return action()
    except (duckdb.Error, pa.ArrowException) as error:
        kind = type(error).__name__
    # Raised outside of the except block: DuckDB's own message, which may quote data, is not even this error's context.
    raise InputOutputError(f"The embedded engine could not run a statement ({kind}).", _HINTS.get(kind, ""))
