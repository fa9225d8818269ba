"""The engine on a cluster: kernels and SQL through Spark Connect.

The server is Spark 4 or any other that speaks its protocol, such as Sail. Files that SQL reads, and the directory for
temporary ones, must lie where its workers see them under the same paths.
"""

import os
import pickle
import re
import shutil
import socket
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate import __version__
from pathcurate.engines import Kernel, OnLoss, checked_output, plain_schema
from pathcurate.engines.spark import worker
from pathcurate.engines.spark.jobs import Run, demand_version
from pathcurate.engines.spark.translation import translate
from pathcurate.errors import InputOutputError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

T = TypeVar("T")
_ONE_ROW = pa.record_batch({"x": [0]})

_ANSWER_SECONDS = 5.0
_RETRIES = 5
"""How often a request is sent again that a busy server refused, for 17 s in all; Spark's client would go on for minutes."""
_SENT_BYTES = 32_000_000
"""Larger tables are written to disk for the workers to read, since servers refuse large messages."""
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # A time without a zone stays one, as it does in DuckDB.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}


class Connect:
    """Runs kernels and SQL on a Spark Connect server.

    One thread uses it at a time. What is sent, identified data among it, is not encrypted on its way, and the server asks
    nobody who they are: both belong into a network that only the archive's machines are in.

    Args:
        address: ``sc://host:port``.
        temp_directory: where the workers put materialised results, and where they find large tables; made when needed.
        jobs: batches that are on the cluster at a time.

    Raises:
        ValueError: the address is not of that form.
        UsageError: the Spark Connect client is not installed.
        InputOutputError: no Spark Connect server answers within five seconds.
    """

    def __init__(self, address: str, *, temp_directory: Path, jobs: int = 16) -> None:
        if jobs < 1:
            raise ValueError("an engine needs at least one job at a time")
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        if parts.scheme != "sc" or not host or not port:
            raise ValueError("a Spark Connect engine is written sc://host:port")
        self._address = address
        self._session = _open_session(address, host, port)
        self._temp_directory = temp_directory
        self._own_directory: Path | None = None
        self._files: dict[str, Path] = {}
        self._jobs = jobs
        self._runs: set[Run] = set()
        self._has_checked_workers = False

    # --- Kernels -------------------------------------------------------------------------------------------------

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
        """The kernel's output for every input row, in input order; the workers import the kernel by its name.

        Each batch is a job of its own, at most ``jobs`` of them at a time. A batch gives one output batch; one that lost a
        row gives several.

        A row that does not end within ``timeout`` gets its output from ``on_crash(row, "timeout")``. Its call is left
        behind in the worker until the worker ends, and one that never lets go of Python's interpreter keeps the run
        waiting: a cluster cannot be told to kill one process.

        A job whose workers die is one that Spark has tried several times. If the cluster still answers, its rows are run
        again in halves, until those that kill are alone and get their output from ``on_crash(row, "reader_crashed")``. A
        server that runs kernels in its own process, as Sail does, dies with them, and the run with it.

        Raises:
            Exception: what the kernel raised, with its traceback; whatever ``batches`` or ``on_crash`` raises.
            TypeError: the kernel's or ``on_crash``'s output is not of the declared schema.
            ValueError: it has not one row for each input row.
            InputOutputError: the workers have no pathcurate, or another version, or the cluster is gone.
        """
        program = pickle.dumps((kernel, spec, schema))
        return self._results(worker.Service(program, __version__, timeout), batches, schema, on_crash)

    def _interrupt(self, tag: str) -> None:
        """End what runs under a tag; after the session was closed nothing does, and gRPC calls that a wrong value."""
        with suppress(ValueError):
            _attempt(lambda: self._session.interruptTag(tag))

    def _results(
        self, service: worker.Service, batches: Iterable[pa.RecordBatch], schema: pa.Schema, on_crash: OnLoss
    ) -> Iterator[pa.RecordBatch]:
        tag = f"pathcurate-{uuid.uuid4().hex}"
        run = Run(
            lambda parcels: self._answers(parcels, service, tag),
            self._runs_functions,
            lambda: self._interrupt(tag),
            schema,
            self._jobs,
        )
        self._runs.add(run)
        try:
            if not self._has_checked_workers:
                self.check_workers()
                self._has_checked_workers = True
            for rows, output in run.results(iter(batches)):
                if isinstance(output, pa.RecordBatch):
                    yield output
                else:
                    yield checked_output(on_crash(rows, output), schema, 1, "on_crash")
        finally:
            self._runs.discard(run)
            run.stop()

    def _answers(self, batches: Sequence[pa.RecordBatch], function: Callable[..., Any], tag: str = "") -> pa.Table | str:
        """The answers of workers to batches, in the batches' order, or the kind of failure."""

        def ask() -> pa.Table:
            self._session.clearTags()
            if tag:
                self._session.addTag(tag)
            frame = self._session.createDataFrame(worker.pack(batches))
            return frame.mapInArrow(function, worker.PARCEL_SQL).toArrow().sort_by("ordinal")

        return _attempt(ask)

    def check_workers(self) -> None:
        """See that workers have this version of pathcurate.

        Raises:
            InputOutputError: they have none or another, or the cluster cannot run Python functions.
        """

        def look(tables: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            # Sent as it stands here, since the worker may have nothing that it could import.
            import pyarrow  # noqa: PLC0415

            try:
                from pathcurate import __version__ as found  # noqa: PLC0415
            except ImportError:
                found = ""
            for table in tables:
                messages = pyarrow.array([found.encode()] * table.num_rows, pyarrow.binary())
                yield table.set_column(2, "message", messages)

        answers = self._answers([_ONE_ROW], look)
        if isinstance(answers, str):
            raise InputOutputError(
                f"The workers of the Spark Connect server cannot run a Python function ({answers}).",
                f"They need the Python of this machine, pyarrow and pathcurate {__version__}.",
            )
        demand_version(answers["message"][0].as_py().decode())

    def _runs_functions(self) -> bool:
        try:
            self.check_workers()
        except InputOutputError:
            return False
        return True

    # --- SQL -----------------------------------------------------------------------------------------------------

    def view(self, name: str, relation: Sequence[Path] | pa.Table) -> None:
        """Give Parquet files, which the workers read where they lie, or a table a name in SQL, replacing what had it.

        Files may differ in their columns: a column that a file does not have is null there.

        Raises:
            ValueError: the name is not made of letters, digits and ``_``; there is no file.
            InputOutputError: a file is missing, unreadable, no Parquet, or not where the workers see it.
        """
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ValueError("a view is named by letters, digits and `_`")
        if isinstance(relation, pa.Table):
            self._keep_file(name, self._view_table(name, relation.cast(plain_schema(relation.schema))))
            return
        if not relation:
            raise ValueError("a view needs at least one file; give an empty table with the right schema instead")
        if not all(path.is_file() for path in relation):
            raise InputOutputError("A file that SQL needs is missing.", "Run the step that writes it again.")
        seen = self._view_files(name, relation)
        if seen != len(set(relation)):
            raise InputOutputError(
                f"The workers of the Spark Connect server see {seen} of {len(set(relation))} files that SQL needs.",
                "Keep the workspace on storage that is mounted at the same path where they run.",
            )
        self._keep_file(name, None)

    def _view_table(self, name: str, table: pa.Table) -> Path | None:
        """Give a table a name; the file that it lies in, None if it was sent."""
        if table.nbytes > _SENT_BYTES:
            path = self._new_path(name)
            pq.write_table(table, path)
            self._view_files(name, [path])
            return path
        schema = None
        if not table.num_rows:
            from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415 - see _open_session

            schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True)
        _ask(lambda: self._session.createDataFrame(table, schema).createOrReplaceTempView(name))
        return None

    def _view_files(self, name: str, paths: Sequence[Path]) -> int:
        """Give files a name; how many of them the server sees."""

        def define() -> int:
            frame = self._session.read.option("mergeSchema", "true").parquet(*map(_location, paths))
            frame.createOrReplaceTempView(name)
            return len(frame.inputFiles())

        return _ask(define)

    def materialise(self, name: str, sql: str) -> None:
        """Give the rows of a query a name in SQL, replacing what had it; the query runs once, now.

        The workers write the rows below the directory for temporary files.

        Raises:
            InputOutputError: the query failed, or the workers cannot write there.
        """
        query = self._query(sql)
        path = self._new_path(name)

        def write() -> "pa.Table | None":
            query.write.option("compression", "snappy").parquet(_location(path))
            return None if any(path.glob("*.parquet")) else query.limit(0).toArrow()

        empty = _ask(write)
        if empty is None:
            self._view_files(name, [path])
        else:
            self._view_table(name, empty)
        self._keep_file(name, path)

    def _new_path(self, name: str) -> Path:
        if self._own_directory is None:
            self._temp_directory.mkdir(parents=True, exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix="spark-", dir=self._temp_directory))
            try:
                self._demand_shared(directory)
            except InputOutputError:
                directory.rmdir()
                raise
            self._own_directory = directory
        return self._own_directory / f"{name}-{uuid.uuid4().hex}"

    def _demand_shared(self, directory: Path) -> None:
        """See that workers write where this machine reads: Spark takes rows on another disk for no rows, without a word.

        Raises:
            InputOutputError: they do not see the directory, or may not write there.
        """
        note = os.fspath(directory / "note")

        def leave_note(tables: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            # Sent as it stands here, as in check_workers.
            with open(note, "xb"):  # noqa: PTH123
                yield from tables

        answers = self._answers([_ONE_ROW], leave_note)
        try:
            Path(note).unlink()
        except FileNotFoundError:
            reason = f" ({answers})" if isinstance(answers, str) else ""
            message = f"The workers of the Spark Connect server cannot write where this machine reads{reason}."
        else:
            return
        raise InputOutputError(
            message,
            "Keep the workspace on storage that is mounted at the same path where they run, and run both as one user.",
        )

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query; each ``?`` in it stands for a parameter.

        Raises:
            InputOutputError: the query failed. The message does not repeat the server's, which may quote values.
        """
        table = self.table(sql, parameters)
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def table(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result of a query as a table; each ``?`` in it stands for a parameter.

        Raises:
            InputOutputError: the query failed. The message does not repeat the server's, which may quote values.
        """

        def fetch() -> pa.Table:
            table = self._query(sql, parameters).toArrow()
            return table.cast(plain_schema(table.schema))

        return _ask(fetch)

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query piece by piece, for what may be larger than memory.

        Raises:
            InputOutputError: the query failed. The message does not repeat the server's, which may quote values.
        """
        query: Any = self._query(sql, parameters)
        # Spark's own iterators make a Row object of each row; this is what its toArrow is made of.
        client, plan = self._session.client, query._plan  # noqa: SLF001
        pieces = _ask(lambda: client.to_table_as_iterator(plan.to_proto(client), plan.observations))
        while (piece := _ask(lambda: next(pieces, None))) is not None:
            if isinstance(piece, pa.Table):
                yield from piece.cast(plain_schema(piece.schema)).to_batches()

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> "DataFrame":
        return _ask(lambda: self._session.sql(translate(sql, parameters)))

    def _keep_file(self, name: str, path: Path | None) -> None:
        """Note what the view of this name lies in, and remove what an earlier one lay in, which nothing reads now."""
        former = self._files.pop(name, None)
        if former is not None and former.is_dir():
            shutil.rmtree(former, ignore_errors=True)
        elif former is not None:
            former.unlink(missing_ok=True)
        if path is not None:
            self._files[name] = path

    # --- The end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End every run, give up the session and remove temporary files. May be called again."""
        for run in list(self._runs):
            run.stop()
        # Whatever is still asked of the server fails when the session is gone. One whose worker hangs may not answer this
        # either; it gives up the session by itself when it has not been used for a while.
        client = self._session.client
        if not client.is_closed:
            farewell = threading.Thread(target=lambda: _attempt(client.release_session), daemon=True)
            farewell.start()
            farewell.join(_ANSWER_SECONDS)
            client.close()
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


# --- The server --------------------------------------------------------------------------------------------------


def _open_session(address: str, host: str, port: int) -> "SparkSession":
    try:
        with warnings.catch_warnings():
            # It says that pandas 3 is too new for it; its pandas interface is not used.
            warnings.simplefilter("ignore", FutureWarning)
            import grpc  # noqa: PLC0415 - an extra, and slow to import
            from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415
            from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "The engine is a Spark Connect server, and its client is not installed.",
            "Run `pip install 'pathcurate[spark]'`, or set `engine: embedded` in pathcurate.yaml.",
        ) from None
    _demand_answer(address, host, port, grpc)

    class WhileListening(DefaultPolicy):  # type: ignore[misc, unused-ignore]
        """Sends a request again only as long as there is somebody to send it to."""

        def can_retry(self, error: BaseException) -> bool:
            return bool(super().can_retry(error)) and _is_listening(host, port)

    def begin() -> "SparkSession":
        session = SparkSession.builder.remote(address).create()
        session.client.set_retry_policies([WhileListening(max_retries=_RETRIES)])
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)
        return session

    return _ask(begin)


def _demand_answer(address: str, host: str, port: int, grpc: ModuleType) -> None:
    """See that something speaks Spark Connect's transport there; the client itself would try for minutes."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    if _is_listening(host, port):
        with grpc.insecure_channel(address.removeprefix("sc://")) as channel, suppress(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=max(0.1, deadline - time.monotonic()))
            return
    raise InputOutputError(
        f"No Spark Connect server answers at {address} within {_ANSWER_SECONDS:.0f} seconds.",
        "Check that it runs and that `engine:` in pathcurate.yaml names it; `engine: embedded` works without one.",
    )


def _is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=_ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _location(path: Path) -> str:
    """A path as Spark reads it: on disk, whatever file system the cluster is set to, and no pattern."""
    return "file://" + re.sub(r"([*?\[\]{}\\%#])", r"[\1]", os.fspath(path.absolute()))


_HINTS = {
    "AnalysisException": "The statement names what does not exist, or combines types that do not fit.",
    "ParseException": "The statement is not SQL of the portable subset.",
    "SparkConnectGrpcException": "See the server's log, and whether it still runs.",
}


def _ask(action: Callable[[], T]) -> T:
    answer = _attempt(action)
    if isinstance(answer, _Fault):
        raise InputOutputError(f"The Spark Connect server could not run a statement ({answer}).", _HINTS.get(answer, ""))
    return answer


class _Fault(str):
    """The kind of what went wrong, without the server's message, which may quote data."""

    __slots__ = ()


def _attempt(action: Callable[[], T]) -> T | _Fault:
    from grpc import RpcError  # noqa: PLC0415 - see _open_session
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        return action()
    except (PySparkException, RpcError, pa.ArrowException) as error:
        return _Fault(type(error).__name__)
