"""The engine on a cluster: kernels and SQL through Spark Connect.

The server is Spark 4 or any other that speaks its protocol, such as Sail. Files that SQL reads, and the directory for
temporary ones, must lie where its workers see them under the same paths.
"""

import os
import pickle
import re
import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate import __version__
from pathcurate.engines import Kernel, OnLoss, checked_output, plain_schema
from pathcurate.engines.spark import worker
from pathcurate.engines.spark.jobs import Run, demand_version
from pathcurate.engines.spark.server import ANSWER_SECONDS, Fault, ask, attempt, locations, open_session, statement_error
from pathcurate.engines.spark.sight import LOOK_SQL, Directory, demand_sight, directories, directory_at, looking
from pathcurate.engines.spark.translation import translate
from pathcurate.errors import InputOutputError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

T = TypeVar("T")

_SENT_BYTES = 32_000_000
"""Larger tables are written to disk for the workers to read, since servers refuse large messages."""
_WORKER_SECONDS = 120.0
"""How long the cluster may take to find a worker that answers; one without workers would let the caller wait for ever."""
_ROWS_FOR_ALL_CORES = 100_000
_NOTE = "note-"
_CAUSES_OF_THE_STATEMENT = {"AnalysisException", "ParseException", "UnsupportedOperationException"}
"""Faults that are in a statement, wherever it runs."""


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
        self._session = open_session(address, host, port)
        self._temp_directory = temp_directory
        self._own_directory: Path | None = None
        self._files: dict[str, Path] = {}
        self._read: dict[str, set[Path]] = {}
        self._counts_rows = True
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

        Every worker looks, before it begins and again now and then, whether it sees the directories that the spec names
        (archive roots, and paths that are there on this machine) as this machine does.

        A job whose workers die is one that Spark has tried several times, on others as long as there are any. If the
        cluster still answers, its rows are run again in halves, until those that kill are alone and get their output from
        ``on_crash(row, "reader_crashed")``. A server that runs kernels in its own process, as Sail does, dies with them,
        and the run with it.

        Raises:
            Exception: what the kernel raised, with its traceback; whatever ``batches`` or ``on_crash`` raises.
            TypeError: the kernel's or ``on_crash``'s output is not of the declared schema.
            ValueError: it has not one row for each input row.
            InputOutputError: a worker has no pathcurate, or another version, or does not see what the kernel reads; the
                message names it. Or the cluster is gone.
        """
        program = pickle.dumps((kernel, spec, schema))
        service = worker.Service(program, __version__, timeout, directories(spec))
        return self._results(service, batches, schema, on_crash)

    def _interrupt(self, tag: str) -> None:
        """End what runs under a tag; after the session was closed nothing does, and gRPC calls that a wrong value."""
        with suppress(ValueError):
            attempt(lambda: self._session.interruptTag(tag))

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
                self.check_workers(service.directories)
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

        def answer() -> pa.Table:
            self._tag(tag)
            frame = self._session.createDataFrame(worker.pack(batches))
            return frame.mapInArrow(function, worker.PARCEL_SQL).toArrow().sort_by("ordinal")

        return attempt(answer)

    def _tag(self, tag: str) -> None:
        """What this thread asks from now on runs under a tag, or under none."""
        self._session.clearTags()
        if tag:
            self._session.addTag(tag)

    def check_workers(self, needed: Sequence[Directory] = ()) -> None:
        """See that the workers that are free have this version of pathcurate and see some directories.

        Raises:
            InputOutputError: one has none or another, or does not see a directory, and is named; the cluster cannot run
                Python functions, or has no worker that is free within two minutes.
        """
        demand_sight(self._look(needed), needed)

    def workers(self) -> list[str]:
        """Names of the workers that are free, each as ``host:port`` of its page and the number of its executor.

        Raises:
            InputOutputError: as :meth:`check_workers`.
        """
        return sorted({answer["worker"] for answer in self._look(())})

    def _look(self, needed: Sequence[Directory], note: str = "") -> list[dict[str, Any]]:
        """What workers say of themselves, in rows of ``sight.LOOK_SQL``; each core that is free is asked once.

        Raises:
            InputOutputError: one has another version of pathcurate or none; none answers.
        """
        tag = f"pathcurate-{uuid.uuid4().hex}"
        answers: list[pa.Table | Fault] = []

        def answer() -> pa.Table:
            self._tag(tag)
            # A row would be one task; so many rows are as many tasks as the cluster has cores.
            return self._session.range(_ROWS_FOR_ALL_CORES).mapInArrow(looking(needed, note), LOOK_SQL).toArrow()

        asking = threading.Thread(target=lambda: answers.append(attempt(answer)), daemon=True)
        asking.start()
        asking.join(_WORKER_SECONDS)
        if not answers:
            threading.Thread(target=self._interrupt, args=(tag,), daemon=True).start()
            raise InputOutputError(
                f"No worker of the Spark Connect server took a job within {_WORKER_SECONDS:.0f} seconds.",
                "See on the cluster's page whether it has workers and whether others keep them busy.",
            )
        if isinstance(answers[0], Fault):
            raise InputOutputError(
                f"The workers of the Spark Connect server cannot run a Python function ({answers[0]}).",
                f"They need the Python of this machine, pyarrow and pathcurate {__version__}.",
            )
        rows: list[dict[str, Any]] = answers[0].to_pylist()
        for row in rows:
            demand_version(row["version"], row["worker"])
        return rows

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
        self._view_files(name, relation, len(set(relation)))
        self._keep_file(name, None)

    def _view_table(self, name: str, table: pa.Table) -> Path | None:
        """Give a table a name; the file that it lies in, None if it was sent."""
        self._read.pop(name, None)
        if table.nbytes > _SENT_BYTES:
            path = self._new_path(name)
            pq.write_table(table, path)
            self._view_files(name, [path], 1)
            return path
        schema = None
        if not table.num_rows:
            from pyspark.sql.pandas.types import from_arrow_schema  # noqa: PLC0415 - see open_session

            schema = from_arrow_schema(table.schema, prefer_timestamp_ntz=True)
        ask(lambda: self._session.createDataFrame(table, schema).createOrReplaceTempView(name))
        return None

    def _view_files(self, name: str, paths: Sequence[Path], count: int) -> None:
        """Give files a name.

        Args:
            name: in SQL.
            paths: files, or directories of files.
            count: of files.

        Raises:
            InputOutputError: the server sees another number of them, or cannot read them.
        """
        seen: list[int | Fault] = []
        for spelled in dict.fromkeys(zip(*map(locations, paths), strict=True)):
            frame = self._session.read.option("mergeSchema", "true").parquet(*spelled)
            seen.append(attempt(lambda frame=frame: len(frame.inputFiles())))  # type: ignore[misc]
            if seen[-1] == count:
                ask(lambda frame=frame: frame.createOrReplaceTempView(name))  # type: ignore[misc]
                self._read[name] = {path if path.is_dir() else path.parent for path in paths}
                return
        self._demand_sight({path.parent for path in paths})
        faults = [fault for fault in seen if isinstance(fault, Fault) and fault not in _CAUSES_OF_THE_STATEMENT]
        if faults:
            raise statement_error(faults[0])
        most = max((number for number in seen if not isinstance(number, Fault)), default=0)
        raise InputOutputError(
            f"The Spark Connect server sees {most} of {count} files that SQL needs.",
            "Keep the workspace on storage that is mounted at the same path where the server and its workers run.",
        )

    def _demand_sight(self, paths: Iterable[Path]) -> None:
        """See that workers see directories as this machine does.

        Raises:
            InputOutputError: one does not, and is named.
        """
        needed = [directory_at(os.fsencode(path.absolute())) for path in sorted(paths) if path.is_dir()]
        if needed:
            self.check_workers(needed)

    def materialise(self, name: str, sql: str) -> None:
        """Give the rows of a query a name in SQL, replacing what had it; the query runs once, now.

        The workers write the rows below the directory for temporary files.

        Raises:
            InputOutputError: the query failed, or the workers cannot write there.
        """
        query = self._query(sql)
        path = self._new_path(name)
        written = self._ask_seeing(lambda: self._write(query, path))
        files = list(path.glob("*.parquet"))
        kept = sum(pq.read_metadata(file).num_rows for file in files)
        if written is not None and kept != written:
            # Spark takes what a worker has written on a disk of its own for nothing, without a word.
            self._demand_sight([path.parent])
            raise InputOutputError(
                f"The workers of the Spark Connect server wrote {written} rows, and {kept} have arrived here.",
                "Keep the workspace on storage that is mounted at the same path where all of them run.",
            )
        if files:
            self._view_files(name, [path], len(files))
        else:
            self._view_table(name, ask(lambda: query.limit(0).toArrow()))
        self._keep_file(name, path)

    def _write(self, query: "DataFrame", path: Path) -> int | None:
        """Let the workers write a query's rows; how many they say they wrote, None where the server does not count."""
        from pyspark.errors import UnsupportedOperationException  # noqa: PLC0415 - see open_session
        from pyspark.sql import Observation  # noqa: PLC0415
        from pyspark.sql.functions import count, lit  # noqa: PLC0415

        target = f"file://{path.absolute()}"
        if self._counts_rows:
            seen = Observation()
            try:
                query.observe(seen, count(lit(1)).alias("rows")).write.option("compression", "snappy").parquet(target)
                return int(seen.get["rows"])
            except UnsupportedOperationException:
                self._counts_rows = False
        query.write.mode("overwrite").option("compression", "snappy").parquet(target)
        return None

    def _new_path(self, name: str) -> Path:
        if self._own_directory is None:
            self._temp_directory.mkdir(parents=True, exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix="spark-", dir=self._temp_directory)).absolute()
            try:
                self._demand_shared(directory)
            except InputOutputError:
                shutil.rmtree(directory)
                raise
            self._own_directory = directory
        return self._own_directory / f"{name}-{uuid.uuid4().hex}"

    def _demand_shared(self, directory: Path) -> None:
        """See that workers write where this machine reads.

        Raises:
            InputOutputError: one does not see the directory, or may not write there, and is named.
        """
        here = directory / "here"
        here.touch()
        needed = [directory_at(os.fsencode(directory))]
        answers = self._look(needed, os.fspath(directory / _NOTE))
        demand_sight(answers, needed)
        for answer in answers:
            note = directory / Path(answer["fault"]).name
            if not note.is_file():
                demand_sight([{**answer, "place": 0, "fault": "apart"}], needed)
            with suppress(OSError):
                note.unlink()
        here.unlink()

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

        return self._ask_seeing(fetch)

    def batches(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[pa.RecordBatch]:
        """The result of a query piece by piece, for what may be larger than memory.

        Raises:
            InputOutputError: the query failed. The message does not repeat the server's, which may quote values.
        """
        query: Any = self._query(sql, parameters)
        # Spark's own iterators make a Row object of each row; this is what its toArrow is made of.
        client, plan = self._session.client, query._plan  # noqa: SLF001
        pieces = ask(lambda: client.to_table_as_iterator(plan.to_proto(client), plan.observations))
        while (piece := self._ask_seeing(lambda: next(pieces, None))) is not None:
            if isinstance(piece, pa.Table):
                yield from piece.cast(plain_schema(piece.schema)).to_batches()

    def _query(self, sql: str, parameters: Sequence[object] = ()) -> "DataFrame":
        return ask(lambda: self._session.sql(translate(sql, parameters)))

    def _ask_seeing(self, action: Callable[[], T]) -> T:
        """What the server answers to a statement over views.

        Raises:
            InputOutputError: it failed; if a worker does not see the files of a view, the message names it.
        """
        answer = attempt(action)
        if not isinstance(answer, Fault):
            return answer
        if answer not in _CAUSES_OF_THE_STATEMENT and self._read:
            with suppress(OSError):
                self._demand_sight({path for paths in self._read.values() for path in paths})
        raise statement_error(answer)

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
            farewell = threading.Thread(target=lambda: attempt(client.release_session), daemon=True)
            farewell.start()
            farewell.join(ANSWER_SECONDS)
            client.close()
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
