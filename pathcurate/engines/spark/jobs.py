"""One kernel over one stream of batches, each of which is a job of the cluster."""

import pickle
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from pathcurate import __version__
from pathcurate.engines import LossReason, RemoteError, from_bytes
from pathcurate.engines.spark import worker
from pathcurate.engines.spark.sight import blind
from pathcurate.errors import InputOutputError

Outcome = tuple[pa.RecordBatch, pa.RecordBatch | LossReason]
"""Rows, and their output or why the one row has none."""

_PYTHON_FAULT = "PythonException"
"""What Spark calls the failure of a function, as against the end of the process that ran it."""


def demand_version(found: str, name: str) -> None:
    """See that a worker has this version of pathcurate.

    Args:
        found: the worker's version, empty if it has none.
        name: the worker's.

    Raises:
        InputOutputError: it has another or none.
    """
    if found != __version__:
        there = f"has pathcurate {found}" if found else "has no pathcurate"
        raise InputOutputError(
            f"The worker {name} of the Spark Connect server {there}; this is {__version__}.",
            f"Install pathcurate {__version__} in the Python environment of all workers (PYSPARK_PYTHON where they start).",
        )


class Run:
    """One kernel over one stream of batches.

    Args:
        ask: sends batches as one job; gives the workers' answers, or the kind of failure.
        is_alive: whether the cluster still runs jobs.
        interrupt: asks the cluster to end this run's jobs.
        schema: of the output.
        jobs: at a time.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[pa.RecordBatch]], pa.Table | str],
        is_alive: Callable[[], bool],
        interrupt: Callable[[], object],
        schema: pa.Schema,
        jobs: int,
    ) -> None:
        self._ask = ask
        self._is_alive = is_alive
        self._interrupt = interrupt
        self._schema = schema
        self._jobs = jobs
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="spark")
        self._pending: deque[Future[list[Outcome]]] = deque()
        self._is_stopped = False

    def results(self, batches: Iterator[pa.RecordBatch]) -> Iterator[Outcome]:
        """See :meth:`Connect.run`."""
        is_exhausted = False
        while True:
            if self._is_stopped:
                raise ValueError("the engine was closed before its results were read")
            while not is_exhausted and len(self._pending) < 2 * self._jobs:
                batch = next(batches, None)
                if batch is None:
                    is_exhausted = True
                else:
                    self._pending.append(self._pool.submit(self._outcomes, batch))
            if not self._pending:
                return
            yield from self._pending.popleft().result()

    def _outcomes(self, batch: pa.RecordBatch) -> list[Outcome]:
        if not batch.num_rows:
            return [(batch, pa.RecordBatch.from_pylist([], schema=self._schema))]
        answers = self._ask([batch])
        if isinstance(answers, str):
            if self._is_stopped or answers == _PYTHON_FAULT or not self._is_alive():
                raise InputOutputError(
                    f"The Spark Connect server could not run a kernel ({answers}).",
                    "See the server's log. What was finished is kept: run the command again when the cluster is well.",
                )
            return self._narrowed(batch, "reader_crashed")
        kind, message = answers["kind"][0].as_py(), answers["message"][0].as_py()
        if kind == worker.OTHER_VERSION:
            name, found = pickle.loads(message)  # noqa: S301 - from a worker, which could as well send any output
            demand_version(found, name)
        if kind == worker.BLIND:
            raise blind(*pickle.loads(message))  # noqa: S301 - see above
        if kind == worker.FAILURE:
            failure, trace = pickle.loads(message)  # noqa: S301 - from a worker, which could as well send any output
            raise failure from RemoteError(trace)
        if kind == worker.TIMEOUT:
            return self._narrowed(batch, "timeout")
        return [(batch, from_bytes(message))]

    def _narrowed(self, batch: pa.RecordBatch, reason: LossReason) -> list[Outcome]:
        """A batch that was lost, in pieces as the embedded engine cuts them: halves for a crash, rows for a hang."""
        count = batch.num_rows
        if count == 1:
            return [(batch, reason)]
        size = 1 if reason == "timeout" else (count + 1) // 2
        pieces = [batch.slice(start, size) for start in range(0, count, size)]
        return [outcome for piece in pieces for outcome in self._outcomes(piece)]

    def stop(self) -> None:
        """Begin no more jobs and ask the cluster to end those that run, without waiting for it. May be called again."""
        if not self._is_stopped:
            self._is_stopped = True
            is_busy = any(not future.cancel() and not future.done() for future in self._pending)
            self._pool.shutdown(wait=False, cancel_futures=True)
            if is_busy:
                threading.Thread(target=self._interrupt, daemon=True).start()
