"""The engine inside this process: kernels in worker processes that may die, SQL in DuckDB.

Each worker is a pool of exactly one process, so that a death or a hang names the batch that caused it and leaves the
other workers alone. The batch is then cut in two, again and again, until the row that kills is alone.
"""

import math
import os
import pickle
import re
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pyarrow as pa

from pathcurate.engines import Kernel, LossReason, OnLoss
from pathcurate.errors import InputOutputError

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")

_START_ATTEMPTS = 3
_BATCH_PATIENCE = 4
"""How many times the time of one row a batch may take before its rows are tried one by one."""


class Embedded:
    """Runs kernels in worker processes and SQL in an in-memory DuckDB; the default engine.

    One thread uses it at a time. SQL sees the views given to it and local files, loads no extension, reaches no network
    and never looks at Python variables.

    Args:
        workers: processes for kernels, and threads for SQL.
        temp_directory: where SQL puts what does not fit into memory; made when needed.
        memory_limit_bytes: for SQL; None leaves DuckDB's own limit, 80 % of the machine.

    Raises:
        InputOutputError: DuckDB refuses the settings.
    """

    def __init__(self, *, workers: int, temp_directory: Path, memory_limit_bytes: int | None = None) -> None:
        if workers < 1:
            raise ValueError("an engine needs at least one worker")
        self._workers = workers
        self._runs: set[_Run] = set()
        self._memory_limit_bytes = memory_limit_bytes
        self._temp_directory = temp_directory
        self._opened: duckdb.DuckDBPyConnection | None = None
        self._sql_thread = ThreadPoolExecutor(1, thread_name_prefix="sql")

    @property
    def _connection(self) -> "duckdb.DuckDBPyConnection":
        # Opened when the first query comes: a run that only looks whether something has changed needs none.
        if self._opened is None:
            self._opened = _connect(self._workers, self._temp_directory, self._memory_limit_bytes)
        return self._opened

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
        run = _Run(pickle.dumps((kernel, spec, schema)), schema, self._workers, on_crash, timeout)
        return self._results(run, batches)

    def _results(self, run: "_Run", batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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
        quoted = '"' + name.replace('"', '""') + '"'

        def define() -> None:
            self._connection.unregister(name)
            self._connection.execute(f"DROP VIEW IF EXISTS {quoted}")
            if isinstance(relation, pa.Table):
                self._connection.register(name, relation)
                return
            files = ", ".join(_literal(re.sub(r"([*?\[])", r"[\1]", os.fspath(path))) for path in relation)
            self._connection.execute(
                f"CREATE VIEW {quoted} AS SELECT * FROM "
                f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
            )

        if not isinstance(relation, pa.Table) and not relation:
            raise ValueError("a view needs at least one file; give an empty table with the right schema instead")
        self._ask(define)

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
            return table

        return self._ask(fetch)

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
    except duckdb.Error as error:
        kind = type(error).__name__
    # Raised outside of the except block: DuckDB's own message, which may quote data, is not even this error's context.
    raise InputOutputError(f"The embedded engine could not run a statement ({kind}).", _HINTS.get(kind, ""))


# --- Kernels: the side of the caller -----------------------------------------------------------------------------


class _Task:
    """Some rows of one input batch, and their output once it is there."""

    def __init__(self, rows: pa.RecordBatch) -> None:
        self.rows = rows
        self.output: pa.RecordBatch | None = None

    def halves(self) -> "list[_Task]":
        middle = self.rows.num_rows // 2
        return [_Task(self.rows.slice(0, middle)), _Task(self.rows.slice(middle))]

    def single_rows(self) -> "list[_Task]":
        return [_Task(self.rows.slice(row, 1)) for row in range(self.rows.num_rows)]


class _Worker:
    """One process with at most one task."""

    def __init__(self, program: bytes) -> None:
        self._program = program
        self.task: _Task | None = None
        self._executor: ProcessPoolExecutor | None = None
        self.future: Future[bytes] = Future()
        self.is_loading = False
        self.since = math.inf

    def start(self) -> None:
        """Begin a new process; ``future`` is done when it has loaded the kernel."""
        self._executor = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_settle)
        # An interrupt that reaches the child before it ignores interrupts would print a traceback; hold it back.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.future = self._executor.submit(_load, self._program)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self.is_loading = True

    def give(self, task: _Task) -> None:
        """Hand over a task.

        Raises:
            BrokenProcessPool: the process died while it had nothing to do.
        """
        assert self._executor is not None  # noqa: S101 - only a stopped worker has none
        self.future = self._executor.submit(_work, _to_bytes(task.rows))
        self.task = task
        self.since = time.monotonic()

    @property
    def is_idle(self) -> bool:
        return self.task is None and not self.is_loading

    def kill(self) -> None:
        """Kill the process, whatever it is doing, without waiting for its end."""
        if self._executor is not None:
            # Public only from Python 3.14 on, as kill_workers().
            for process in list((self._executor._processes or {}).values()):  # noqa: SLF001
                process.kill()

    def stop(self) -> None:
        """Wait for the end of the process and of the threads that serve it."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class _Run:
    """One kernel over one stream of batches."""

    def __init__(
        self, program: bytes, schema: pa.Schema, worker_count: int, on_crash: OnLoss, timeout: float | None
    ) -> None:
        self._program = program
        self._schema = schema
        self._worker_count = worker_count
        self._on_crash = on_crash
        self._timeout = timeout
        self._workers: list[_Worker] = []
        self._ordered: list[_Task] = []  # what has not been handed out, in input order
        self._waiting: deque[_Task] = deque()  # what no worker has yet
        self._failed_starts = 0
        self._is_stopped = False

    def results(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """See :meth:`Embedded.run`."""
        exhausted = False
        while True:
            if self._is_stopped:
                raise ValueError("the engine was closed before its results were read")
            while not exhausted and len(self._ordered) < 2 * self._worker_count:
                batch = next(batches, None)
                if batch is None:
                    exhausted = True
                else:
                    self._accept(batch)
            if not self._ordered:
                return
            self._distribute()
            if self._ordered[0].output is None:
                self._collect()
            # Workers get their next task before the caller gets, and spends time on, this output.
            self._distribute()
            while self._ordered and (output := self._ordered[0].output) is not None:
                del self._ordered[0]
                yield output

    def _accept(self, batch: pa.RecordBatch) -> None:
        task = _Task(batch)
        self._ordered.append(task)
        if batch.num_rows:
            self._waiting.append(task)
        else:
            task.output = pa.RecordBatch.from_pylist([], schema=self._schema)

    def _distribute(self) -> None:
        """Give waiting tasks to idle workers, starting workers as long as there is work for more."""
        for worker in self._workers:
            if self._waiting and worker.is_idle:
                try:
                    worker.give(self._waiting[0])
                except BrokenProcessPool:
                    self._restart(worker)
                else:
                    self._waiting.popleft()
        loading = sum(worker.is_loading for worker in self._workers)
        for _ in range(min(len(self._waiting) - loading, self._worker_count - len(self._workers))):
            self._workers.append(_Worker(self._program))
            self._workers[-1].start()  # once it is in the list, so that an interrupt here leaves no process behind

    def _collect(self) -> None:
        """Wait until a worker has something to say or is out of time, and act on it."""
        busy = [worker for worker in self._workers if not worker.is_idle]
        deadline = min((self._deadline(worker) for worker in busy), default=math.inf)
        patience = None if deadline == math.inf else max(0.0, deadline - time.monotonic())
        wait([worker.future for worker in busy], timeout=patience, return_when=FIRST_COMPLETED)
        for worker in busy:
            if worker.future.done():
                self._finish(worker)
            elif self._deadline(worker) <= time.monotonic():
                worker.kill()
                self._lose(worker, "timeout")

    def _deadline(self, worker: _Worker) -> float:
        if worker.task is None or self._timeout is None:
            return math.inf
        return worker.since + self._timeout * (1 if worker.task.rows.num_rows == 1 else _BATCH_PATIENCE)

    def _finish(self, worker: _Worker) -> None:
        try:
            message = worker.future.result()
        except BrokenProcessPool:
            self._lose(worker, "reader_crashed")
            return
        if worker.task is None:
            worker.is_loading = False
            self._failed_starts = 0
        else:
            worker.task.output = _from_bytes(message)
            worker.task = None

    def _lose(self, worker: _Worker, reason: LossReason) -> None:
        """A worker is gone: start another one, and narrow down which row it was."""
        task = worker.task
        worker.task = None
        self._restart(worker)
        if task is None:
            return
        if task.rows.num_rows == 1:
            task.output = _checked(self._on_crash(task.rows, reason), self._schema, 1, "on_crash")
            return
        # Halving a batch that hangs would wait again for every half; single rows wait once for each that hangs.
        pieces = task.single_rows() if reason == "timeout" else task.halves()
        place = next(index for index, other in enumerate(self._ordered) if other is task)
        self._ordered[place : place + 1] = pieces
        self._waiting.extendleft(reversed(pieces))

    def _restart(self, worker: _Worker) -> None:
        if worker.is_loading:
            self._failed_starts += 1
            if self._failed_starts == _START_ATTEMPTS:
                raise InputOutputError(
                    "Worker processes of the embedded engine end while they start.",
                    "Check memory and process limits; what the processes wrote to standard error may say more.",
                )
        worker.stop()
        worker.start()

    def stop(self) -> None:
        """Kill all workers and wait for their end. May be called again."""
        self._is_stopped = True
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.stop()


# --- Kernels: the side of the worker -----------------------------------------------------------------------------

_loaded: dict[str, tuple[Kernel, object, pa.Schema]] = {}


def _settle() -> None:
    """Make this process one that the caller alone stops, and that does not outlive the caller."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's worker holds both ends of its queue and would wait on it for ever if the caller were killed.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _load(program: bytes) -> bytes:
    # Unpickled here and not by the pool: there, a module that cannot be imported would look like a crash.
    kernel, spec, schema = pickle.loads(program)  # noqa: S301 - from our own parent
    _loaded["program"] = kernel, spec, schema
    # Arrow imports pandas, if there is one, for the first array it makes: 0.2 s that are not the first row's.
    return _to_bytes(pa.RecordBatch.from_pylist([], schema=schema))


def _work(message: bytes) -> bytes:
    kernel, spec, schema = _loaded["program"]
    name = getattr(kernel, "__qualname__", "kernel")
    rows = _from_bytes(message)
    try:
        return _to_bytes(_checked(kernel(rows, spec), schema, rows.num_rows, name))
    except Exception as error:
        if _survives_pickling(error):
            raise
        raise RuntimeError(f"The kernel {name} raised {type(error).__name__}.") from error
    except BaseException as error:
        # SystemExit and its like would end the caller without a word.
        raise RuntimeError(f"The kernel {name} raised {type(error).__name__}.") from error


def _survives_pickling(error: Exception) -> bool:
    # The caller's end of a pool that cannot unpickle an exception reports a dead worker instead.
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - exceptions of any library, with whatever their constructors do
        return False
    return True


def _checked(output: object, schema: pa.Schema, row_count: int, maker: str) -> pa.RecordBatch:
    if not isinstance(output, pa.RecordBatch):
        raise TypeError(f"{maker} returned no record batch")
    if not output.schema.equals(schema):
        ours, declared = set(output.schema), set(schema)
        odd = sorted({field.name for field in ours ^ declared})
        raise TypeError(f"{maker} returned another schema than declared: {', '.join(odd) or 'other column order'}")
    if output.num_rows != row_count:
        raise ValueError(f"{maker} returned {output.num_rows} rows for {row_count}")
    return output


def _to_bytes(batch: pa.RecordBatch) -> bytes:
    # The stream format writes a slice alone; a pickled slice carries the whole batch that it was cut from.
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _from_bytes(message: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(message) as reader:
        return reader.read_next_batch()
