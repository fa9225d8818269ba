"""Kernels in worker processes that may die.

Each worker is one process at the other end of a pipe, so that a death or a hang names the batch that caused it and leaves
the other workers alone. The batch is then cut in two, again and again, until the row that kills is alone. No pool of the
standard library lies between: its threads can wait for ever for a process that was killed in the middle of an answer.
"""

import math
import os
import pickle
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import pyarrow as pa

from pathcurate.engines import (
    Kernel,
    LossReason,
    OnLoss,
    RemoteError,
    checked_output,
    from_bytes,
    run_kernel,
    to_bytes,
)
from pathcurate.errors import InputOutputError
from pathcurate.firstarray import first_array_without_pandas

_CONTEXT = get_context("spawn")
_START_ATTEMPTS = 3
_START_SECONDS = 300.0
"""How long a process may take to load its kernel, on however slow a share its modules lie."""
_BATCH_PATIENCE = 4
"""How many times the time of one row a batch may take before its rows are tried one by one."""


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
    """One process with at most one task, at the other end of a pipe.

    Nothing here can wait for ever: this side alone holds its end of the pipe, so a process that is gone ends every read
    and write, and one that does not answer is killed by :class:`Run`.
    """

    def __init__(self, program: bytes) -> None:
        self._program = program
        self.task: _Task | None = None
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self.is_loading = False
        self.since = math.inf

    def start(self) -> None:
        """Begin a new process; it has something to say when it has loaded the kernel."""
        ours, theirs = _CONTEXT.Pipe()
        self._connection = ours
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, self._program), daemon=True)
        # An interrupt that reaches the child before it ignores interrupts would print a traceback; hold it back.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        except OSError as error:
            raise InputOutputError(
                f"The embedded engine cannot start a worker process ({type(error).__name__}).",
                "Check memory and process limits.",
            ) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            theirs.close()
        self.is_loading = True
        self.since = time.monotonic()

    @property
    def connection(self) -> "Connection":
        """Where the answers come from; a stopped worker has none."""
        assert self._connection is not None  # noqa: S101
        return self._connection

    def give(self, task: _Task) -> None:
        """Hand over a task.

        Raises:
            OSError: the process died while it had nothing to do.
        """
        self.connection.send_bytes(to_bytes(task.rows))
        self.task = task
        self.since = time.monotonic()

    def answer(self) -> bytes:
        """What the process has to say.

        Raises:
            _GoneError: it is gone.
            Exception: what the kernel raised.
        """
        try:
            failure, message = pickle.loads(self.connection.recv_bytes())  # noqa: S301 - from our own child
        except (EOFError, OSError):
            raise _GoneError from None
        if failure is not None:
            raise failure from RemoteError(message.decode())
        return bytes(message)

    @property
    def is_idle(self) -> bool:
        return self.task is None and not self.is_loading

    def kill(self) -> None:
        """Kill the process, whatever it is doing, without waiting for its end."""
        if self._process is not None and self._process.pid is not None:
            self._process.kill()

    def stop(self) -> None:
        """Kill the process and wait for its end."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            if self._process.pid is not None:
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None


class _GoneError(Exception):
    """The process at the other end of a pipe has ended."""


class Run:
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
                except OSError:
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
        ready = wait([worker.connection for worker in busy], timeout=patience)
        for worker in busy:
            if worker.connection in ready:
                self._finish(worker)
            elif self._deadline(worker) <= time.monotonic():
                self._lose(worker, "timeout")

    def _deadline(self, worker: _Worker) -> float:
        if worker.is_loading:
            return worker.since + _START_SECONDS
        if worker.task is None or self._timeout is None:
            return math.inf
        return worker.since + self._timeout * (1 if worker.task.rows.num_rows == 1 else _BATCH_PATIENCE)

    def _finish(self, worker: _Worker) -> None:
        try:
            message = worker.answer()
        except _GoneError:
            self._lose(worker, "reader_crashed")
            return
        if worker.task is None:
            worker.is_loading = False
            self._failed_starts = 0
        else:
            worker.task.output = from_bytes(message)
            worker.task = None

    def _lose(self, worker: _Worker, reason: LossReason) -> None:
        """A worker is gone: start another one, and narrow down which row it was."""
        task = worker.task
        worker.task = None
        self._restart(worker)
        if task is None:
            return
        if task.rows.num_rows == 1:
            task.output = checked_output(self._on_crash(task.rows, reason), self._schema, 1, "on_crash")
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


def _serve(connection: Connection, program: bytes) -> None:
    """The life of a worker: load the kernel, then answer one batch after the other until it is killed."""
    _settle()
    with suppress(EOFError, OSError):  # the caller is gone, or no longer wants to know
        connection.send_bytes(_answer(_load, program))
        while True:
            connection.send_bytes(_answer(_work, connection.recv_bytes()))


def _answer(act: Callable[[bytes], bytes], message: bytes) -> bytes:
    """What an action gives, or the exception that it raised with its traceback."""
    try:
        return pickle.dumps((None, act(message)))
    except Exception as error:  # noqa: BLE001  it is raised again at the other end
        return pickle.dumps((error, "".join(traceback.format_exception(error)).encode()))


def _load(program: bytes) -> bytes:
    kernel, spec, schema = pickle.loads(program)  # noqa: S301 - from our own parent
    _loaded["program"] = kernel, spec, schema
    first_array_without_pandas()
    # The first batch that Arrow makes takes longer than others: time that is not the first row's.
    return to_bytes(pa.RecordBatch.from_pylist([], schema=schema))


def _work(message: bytes) -> bytes:
    kernel, spec, schema = _loaded["program"]
    return to_bytes(run_kernel(kernel, from_bytes(message), spec, schema))
