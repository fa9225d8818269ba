"""What the Spark engine demands of each worker: the directories of a run, and its name when it does not see them."""

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.errors.exceptions.connect import SparkException

from pathcurate.engines import spark as spark_engine
from pathcurate.engines.spark import Connect, sight, worker
from pathcurate.engines.spark.server import locations
from pathcurate.engines.spark.sight import blind, directories, directory_at, fault_at, looking, worker_name
from pathcurate.engines.spark.translation import translate
from pathcurate.errors import InputOutputError
from pathcurate.objectstore import S3Root
from pathcurate.pacing import Meter, PacedRoot
from pathcurate.storage import LocalRoot

sys.path.append(str(Path(__file__).parent))

import kernels_for_tests as kernels


@dataclass(frozen=True)
class Spec:
    roots: tuple[object, ...]
    note: str = "/etc"


@pytest.fixture
def share(tmp_path: Path) -> Path:
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "slide.svs").touch()
    return tmp_path / "share"


@pytest.fixture
def engine(connect_server: str, tmp_path: Path) -> Iterator[Connect]:
    with Connect(connect_server, temp_directory=tmp_path / "spill", jobs=2) as found:
        yield found


def run(engine: Connect, spec: object) -> list[str]:
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2], pa.int64())], schema=kernels.INPUT)
    found = engine.run(kernels.answer, [batch], spec, kernels.OUTPUT, on_crash=lambda row, _: row)
    return [text for answers in found for text in answers["answer"].to_pylist()]


# --- What a run needs ----------------------------------------------------------------------------------------------------


def test_the_roots_and_paths_of_a_spec_are_what_workers_must_see(share: Path, tmp_path: Path) -> None:
    meter = Meter.create(tmp_path, 5)
    spec = Spec((LocalRoot(bytes(share)), {"b": [PacedRoot(LocalRoot(bytes(share / ".." / "share")), meter)]}))
    assert {path for path, _ in directories(spec)} == {bytes(share), bytes(tmp_path)}
    assert dict(directories(spec))[bytes(share)] == (b"slide.svs",)
    target = tmp_path / "target"
    target.mkdir()
    assert directories((target, share / "slide.svs", tmp_path / "no" / "such")) == (
        (bytes(target), ()),
        directory_at(bytes(share)),
    )
    for nothing in (None, "text", {"a": 1}, Spec, Spec((S3Root("bucket", "prefix"),)), (b"/etc", "/etc")):
        assert directories(nothing) == ()


def test_a_directory_that_is_another_one_or_none_is_not_seen(share: Path, tmp_path: Path) -> None:
    known = directory_at(bytes(share))
    assert fault_at(known) == ""
    (share / "slide.svs").rename(share / "renamed.svs")
    assert fault_at(known) == "other"  # as the empty place where a share is not mounted
    assert fault_at((bytes(share), ())) == ""
    assert fault_at((bytes(share / "renamed.svs"), ())) == "missing"
    assert fault_at((bytes(tmp_path / "no"), ())) == "missing"
    (tmp_path / "loop").symlink_to("loop")
    assert fault_at((bytes(tmp_path / "loop"), ())) == "broken"
    share.chmod(0)
    try:
        assert fault_at(known) == ("closed" if os.geteuid() else "other")
    finally:
        share.chmod(0o700)


def test_names_are_those_of_a_few_entries_however_many_there_are(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / str(number)).touch()
    path, names = directory_at(bytes(tmp_path))
    assert len(names) == sight._NAMES
    for name in names[1:]:
        (tmp_path / name.decode()).unlink()
    assert fault_at((path, names)) == ""  # others have worked there; one that is left will do


def test_a_worker_is_called_as_the_clusters_pages_call_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_LOG_URL_STDERR", "http://10.0.0.7:8081/logPage/?appId=app-1&executorId=12&logType=stderr")
    assert worker_name() == "10.0.0.7:8081 (executor 12)"
    for odd in ("", "http://h:1/logPage", "::"):
        monkeypatch.setenv("SPARK_LOG_URL_STDERR", odd)
        assert worker_name() == os.uname().nodename


def test_the_error_names_worker_and_directory_and_what_to_do() -> None:
    for fault, words in sight.WORDS.items():
        error = blind("h:8081 (executor 3)", b"/mnt/\xff/archive", fault)
        assert error.message == rf"The worker h:8081 (executor 3) of the cluster {words} /mnt/\xff/archive."
        assert "Mount it there" in error.hint
        assert error.exit_code == 3


# --- On a worker ---------------------------------------------------------------------------------------------------------


def answers_of(service: worker.Service) -> tuple[int, object]:
    batch = pa.RecordBatch.from_arrays([pa.array([1], pa.int64())], schema=kernels.INPUT)
    [answer] = service(worker.pack([batch]).to_batches())
    return answer["kind"][0].as_py(), answer["message"][0].as_py()


def test_a_worker_looks_before_it_begins_and_again_after_a_while(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    program = pickle.dumps((kernels.answer, {}, kernels.OUTPUT))
    service = worker.Service(program, worker.__version__, None, (directory_at(bytes(share)),))
    assert answers_of(service)[0] == worker.OUTPUT
    (share / "slide.svs").rename(share / "other")
    clock[0] += worker._FRESH_SECONDS - 1
    assert answers_of(service)[0] == worker.OUTPUT
    clock[0] += 1
    kind, message = answers_of(service)
    assert kind == worker.BLIND
    assert message == pickle.dumps((worker_name(), bytes(share), "other"))
    (share / "other").rename(share / "slide.svs")
    assert answers_of(service)[0] == worker.OUTPUT


def test_what_a_worker_says_of_itself(share: Path) -> None:
    def say(needed: list[sight.Directory], note: str = "") -> list[tuple[object, ...]]:
        [table] = looking(needed, note)(iter(pa.table({"id": [1, 2]}).to_batches()))
        return [tuple(row.values()) for row in table.to_pylist()]

    me, version = worker_name(), spark_engine.__version__
    seen, gone = directory_at(bytes(share)), (bytes(share / "gone"), ())
    assert say([]) == say([seen]) == [(me, version, -1, "")]
    assert say([seen, gone]) == [(me, version, 1, "missing")]
    [(*_, place, note)] = say([seen], f"{share}/note-")
    assert place == -1
    assert Path(note).parent == share
    assert Path(note).is_file()
    assert say([seen], f"{share}/gone/note-") == [(me, version, 0, "read-only")]


# --- A run ---------------------------------------------------------------------------------------------------------------


def test_a_run_ends_when_a_worker_does_not_see_what_its_kernel_reads(
    engine: Connect, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"root": LocalRoot(bytes(share))}
    assert run(engine, spec) == ["computed 1", "computed 2"]
    seen = (directory_at(bytes(share)), (b"/nowhere", (b"x",)))
    monkeypatch.setattr(spark_engine, "directories", lambda _: seen)
    message = f"The worker {worker_name()} of the cluster does not see /nowhere"
    with pytest.raises(InputOutputError, match=message):
        run(engine, spec)  # by the worker itself, since this engine has looked at its workers
    engine._has_checked_workers = False
    monkeypatch.setattr(worker, "BLIND", -1)
    with pytest.raises(InputOutputError, match=message):
        run(engine, spec)  # before it begins


def test_a_cluster_without_a_free_worker_is_not_waited_for_without_end(
    engine: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = threading.Event()
    monkeypatch.setattr(spark_engine, "_WORKER_SECONDS", 0.05)
    monkeypatch.setattr(spark_engine, "attempt", lambda _: end.wait(30))
    with pytest.raises(InputOutputError, match="No worker of the Spark Connect server took a job"):
        engine.check_workers()
    end.set()


def test_rows_that_do_not_arrive_here_are_missed(engine: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    write = engine._write

    def miscounted(query: object, path: Path) -> int:
        write(query, path)
        return 3

    monkeypatch.setattr(engine, "_write", miscounted)
    with pytest.raises(InputOutputError, match="wrote 3 rows, and 1 have arrived here"):
        engine.materialise("x", "select 1 as a")
    looked = {"worker": "h:1", "version": spark_engine.__version__, "place": 0, "fault": "other"}
    monkeypatch.setattr(engine, "_look", lambda *_: [looked])
    with pytest.raises(InputOutputError, match="worker h:1 of the cluster sees another directory at"):
        engine.materialise("x", "select 1 as a")


def test_a_statement_that_fails_for_want_of_a_file_names_the_worker(
    engine: Connect, share: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(pa.table({"a": [1]}), share / "t.parquet")
    engine.view("t", [share / "t.parquet"])
    asked = []

    def look(needed: list[sight.Directory], *_: str) -> list[dict[str, object]]:
        asked.extend(needed)
        return [{"worker": "h:1", "version": spark_engine.__version__, "place": 0, "fault": "missing"}]

    def fail(error: type[PySparkException]) -> Callable[[], object]:
        def action() -> object:
            raise error("FileNotFoundException: Zhang San")

        return action

    # As Spark says that a task has failed: Sail finds a file that has gone in a memory of its own.
    with pytest.raises(InputOutputError, match=r"could not run a statement \(SparkException\)"):
        engine._ask_seeing(fail(SparkException))
    monkeypatch.setattr(engine, "_look", look)
    with pytest.raises(InputOutputError, match=f"The worker h:1 of the cluster does not see {share}") as caught:
        engine._ask_seeing(fail(SparkException))
    assert "Zhang" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(InputOutputError, match="names what does not exist"):
        engine.rows("select t.no_such_column as a from t")  # which no worker can help
    assert [path for path, _ in asked] == [bytes(share)]


# --- What Spark reads otherwise than Sail --------------------------------------------------------------------------------


def test_texts_are_not_filled_in_from_the_servers_environment(engine: Connect) -> None:
    assert engine._session.conf.get("spark.sql.variable.substitute") == "false"


def test_an_odd_path_is_spelled_for_spark_and_for_sail(tmp_path: Path) -> None:
    assert locations(Path("/a b/c[1]*#%.parquet")) == (
        "file:///a b/c\\[1\\]\\*#%.parquet",
        "file:///a b/c[[]1[]][*][#][%].parquet",
    )
    assert set(locations(Path("/plain/x-1_2.parquet"))) == {"file:///plain/x-1_2.parquet"}


@pytest.mark.parametrize(
    ("sql", "spark"),
    [
        ("date '2020-03-01' - t.d", "DATEDIFF(DAY, t.d, CAST('2020-03-01' AS DATE))"),
        ("t.d - date '2020-03-01'", "DATEDIFF(DAY, CAST('2020-03-01' AS DATE), t.d)"),
        ("(t.d) - (cast(t.s as date))", "DATEDIFF(DAY, (CAST(t.s AS DATE)), (t.d))"),
        ("cast(t.d as date) - interval '1' month", "CAST(t.d AS DATE) - INTERVAL '1' MONTH"),
        ("date '2020-03-01' - 3", "CAST('2020-03-01' AS DATE) - 3"),
        ("t.n - t.m", "t.n - t.m"),
    ],
)
def test_a_difference_of_dates_is_a_number_of_days(sql: str, spark: str) -> None:
    assert translate(f"select {sql} as a from t") == f"SELECT {spark} AS a FROM t"
