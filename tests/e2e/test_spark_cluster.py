"""Spark itself: a standalone cluster of several workers gives the rows that this machine gives, also when a worker dies."""

import math
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect
from pathcurate.errors import InputOutputError
from pathcurate.model.diagnosis import REPORT_CONCEPTS
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.slide import SLIDES
from pathcurate.scrubbers.text import KnownValues, SiteRules
from pathcurate.scrubbers.text.kernel import REMOVALS_FOUND, Scrub, find_text_removals
from pathcurate.storage import LocalRoot
from pathcurate.tables import Catalog
from tests.archives import tiff
from tests.commandline import pathcurate
from tests.sparkcluster import Cluster, SparkMissingError, blindfold, running, spark_home

sys.path.append(str(Path(__file__).parents[1] / "unit"))

import kernels_for_tests as kernels

UNIT = Path(__file__).parents[1] / "unit"
RECIPE = "demo_he_2023"


@pytest.fixture(scope="module")
def running_cluster() -> Iterator[tuple[Cluster, str]]:
    try:
        spark_home()
    except SparkMissingError as missing:
        pytest.skip(str(missing))
    with running(2, python_path=[UNIT]) as (cluster, address):
        yield cluster, address


@pytest.fixture
def cluster(running_cluster: tuple[Cluster, str]) -> Cluster:
    """Two workers that are alive, each with an executor, whatever the test before did to them."""
    found = running_cluster[0]
    found.restore(2)
    return found


@pytest.fixture
def connect(cluster: Cluster, running_cluster: tuple[Cluster, str], tmp_path: Path) -> Iterator[Connect]:
    assert cluster.workers
    with Connect(running_cluster[1], temp_directory=tmp_path / "spill", jobs=4) as engine:
        yield engine


def on_cluster(workspace: Path, address: str) -> None:
    """Let a workspace name a server."""
    file = workspace / "pathcurate.yaml"
    text = re.sub(r"(?m)^engine:.*\n", "", file.read_text(encoding="utf-8"))
    file.write_text(f"{text}\nengine: {address}\n", encoding="utf-8")


def done(*arguments: str | Path) -> str:
    ended = pathcurate(*arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


# --- Equal tables --------------------------------------------------------------------------------------------------------


def test_a_run_on_the_cluster_builds_the_same_release(
    running_cluster: tuple[Cluster, str], pristine_hospital: Path, run_hospital: Path, tmp_path: Path
) -> None:
    """Scan, recipe and all between them: the same bytes go out, and the same slides are in the catalog."""
    there = tmp_path / "hospital"
    shutil.copytree(pristine_hospital, there)
    shutil.copytree(run_hospital / "recipes", there / "recipes", dirs_exist_ok=True)
    shutil.copytree(run_hospital / "vault", there / "vault")  # or the codes would be others
    on_cluster(there, running_cluster[1])
    done("run", there / "recipes" / f"{RECIPE}.yaml", "-w", there)
    ours, theirs = (tables(root / "releases" / RECIPE / "1.0.0" / "data") for root in (run_hospital, there))
    assert set(ours) == {"removals.parquet", "slides.parquet", "text_spans.parquet", "texts.parquet"}
    assert theirs == ours
    assert slides(there) == slides(run_hospital)


def tables(directory: Path) -> dict[str, bytes]:
    """Tables of a release, byte by byte."""
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def slides(workspace: Path) -> list[dict[str, object]]:
    """All slides, but for when they were scanned and from where."""
    table = Catalog(workspace / "catalog").read(SLIDES)
    changing = {"uri", *(name for name in table.column_names if name.endswith("_at"))}
    return table.drop_columns(sorted(changing & set(table.column_names))).sort_by("slide_id").to_pylist()


def test_concepts_found_on_the_cluster_are_the_same(
    running_cluster: tuple[Cluster, str], run_hospital: Path, tmp_path: Path
) -> None:
    found = []
    for name in ("here", "there"):
        workspace = tmp_path / name
        shutil.copytree(run_hospital, workspace)
        if name == "there":
            on_cluster(workspace, running_cluster[1])
        done("concepts", "build", "-w", workspace)
        table = Catalog(workspace / "catalog").read(REPORT_CONCEPTS)
        found.append(table.sort_by([(column, "ascending") for column in ("report_id", "concept", "section", "start")]))
    assert found[0].num_rows > 20
    assert found[1].equals(found[0])


def test_texts_are_scrubbed_alike_on_the_cluster(connect: Connect, run_hospital: Path, tmp_path: Path) -> None:
    reports = Catalog(run_hospital / "catalog").read(REPORTS).to_pylist()
    rows = [
        {
            **{name: report[name] for name in ("report_id", "site", "language", *TEXT_COLUMNS)},
            "year": 2023,
            "known": asdict(
                KnownValues(
                    names=tuple(filter(None, [report["patient_name"]])), numbers=tuple(filter(None, [report["patient_id"]])),
                    staff=tuple(filter(None, [report["pathologist"], report["reviewer"]])), birth=report["birth_date"],
                )
            ),
        }
        for report in reports
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows)
    spec = Scrub(tuple(SiteRules(site) for site in sorted(set(table["site"].to_pylist()))))
    with Embedded(workers=1, temp_directory=tmp_path / "here") as here:
        ours, theirs = (
            pa.Table.from_batches(engine.run(find_text_removals, pieces, spec, REMOVALS_FOUND, on_crash=never))
            for engine, pieces in ((here, table.to_batches()), (connect, table.to_batches(max_chunksize=40)))
        )
    assert sum(map(len, ours["removals"].to_pylist())) > 50
    assert set(ours["error"].to_pylist()) == {None}
    assert theirs.to_pylist() == ours.to_pylist()


def test_spark_reads_the_portable_subset_as_this_machine_does(connect: Connect, tmp_path: Path) -> None:
    from tests.unit.test_engine_spark import LINES, TABLES

    lists = [line for line in LINES if not line.startswith(("select ", "with "))]
    statements = [line for line in LINES if line not in lists]
    # Many lists are one statement, for each costs Spark a good part of a second.
    some = [", ".join(lists[start : start + 15]) for start in range(0, len(lists), 15)]
    statements += [f"select {chosen} from t order by t.id nulls last" for chosen in some]
    with Embedded(workers=1, temp_directory=tmp_path / "here") as here:
        for engine in (here, connect):
            for name, table in TABLES.items():
                engine.view(name, table)
        for sql in statements:
            ours, theirs = here.table(sql), connect.table(sql)
            assert theirs.schema == ours.schema, sql
            assert values(theirs) == values(ours), sql


def values(table: pa.Table) -> list[list[object]]:
    """Columns as they are compared: nan is itself."""
    return [
        ["nan" if isinstance(value, float) and math.isnan(value) else value for value in column.to_pylist()]
        for column in table.columns
    ]


def test_odd_paths_and_texts_are_themselves_to_spark(connect: Connect, tmp_path: Path) -> None:
    odd = tmp_path / "part [1]*'? {2},3#%41\\.parquet"
    pq.write_table(pa.table({"a": ["${env:HOME}"]}), odd)
    pq.write_table(pa.table({"a": ["other"]}), tmp_path / "part 1.parquet")  # what the odd name would match as a pattern
    connect.view("odd", [odd])
    assert connect.rows("select odd.a as a, ? as b, '${env:HOME}' as c from odd", ["${x}"]) == [
        ("${env:HOME}", "${x}", "${env:HOME}")
    ]


# --- Workers that die ----------------------------------------------------------------------------------------------------


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    start = 0
    for size in sizes:
        yield pa.RecordBatch.from_arrays([pa.array(range(start, start + size), pa.int64())], schema=kernels.INPUT)
        start += size


def never(row: pa.RecordBatch, reason: str) -> pa.RecordBatch:
    raise AssertionError(f"row {row.column(0)[0]} was given up: {reason}")


def lost(row: pa.RecordBatch, reason: str) -> pa.RecordBatch:
    return kernels.output(row.column(0).to_pylist(), [reason])


def test_a_worker_that_dies_in_the_middle_costs_no_row(cluster: Cluster, connect: Connect) -> None:
    count = 24
    slow = dict.fromkeys(range(count), "slow")
    results = connect.run(kernels.answer, batches(*[1] * count), slow, kernels.OUTPUT, on_crash=never)
    found = [next(results)]
    # Two kernels are at work in every moment from here on, one of them here.
    cluster.alive()[0].kill()
    found += results
    table = pa.Table.from_batches(found)
    assert table["number"].to_pylist() == list(range(count))
    assert table["answer"].to_pylist() == [f"computed {number}" for number in range(count)]


def test_a_row_that_kills_python_is_narrowed_down_on_spark(connect: Connect) -> None:
    found = list(connect.run(kernels.answer, batches(1, 1), {0: "kill"}, kernels.OUTPUT, on_crash=lost))
    assert [text for batch in found for text in batch["answer"].to_pylist()] == ["reader_crashed", "computed 1"]


# --- Workers that do not see what they need -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that a blind worker does not see."""
    directory = tmp_path_factory.mktemp("share")
    try:
        blindfold(directory)
    except SparkMissingError as missing:
        pytest.skip(str(missing))
    return directory


def test_a_worker_that_does_not_see_a_path_is_named(
    cluster: Cluster, running_cluster: tuple[Cluster, str], share: Path, tmp_path: Path
) -> None:
    (share / "slides").mkdir()
    for number in range(6):
        (share / "slides" / f"S19-0012{number}_HE.svs").write_bytes(tiff(number))
    pq.write_table(pa.table({"a": [1, 2]}), share / "table.parquet")
    root = LocalRoot(bytes(share / "slides"))
    (tmp_path / "workspace").mkdir()
    (tmp_path / "workspace" / "pathcurate.yaml").write_text(
        f"workspace: 1\nname: small\nsites: [{{code: AA, archives: [{share / 'slides'}]}}]\n"
    )
    on_cluster(tmp_path / "workspace", running_cluster[1])
    with Connect(running_cluster[1], temp_directory=tmp_path / "spill", jobs=4) as engine:
        assert len(list(engine.run(kernels.answer, batches(1), {"root": root}, kernels.OUTPUT, on_crash=never))) == 1
        blind = cluster.add_workers(1, hidden=share)[0]
        cluster.wait_for_executors(engine)
        name = re.escape(blind.page)

        message = rf"The worker {name} \(executor \d+\) of the cluster (does not see|sees another directory at) {share}"
        # A run whose workers were looked at before this one came is told by this one itself.
        spec = {"root": root, **dict.fromkeys(range(12), "slow")}
        with pytest.raises(InputOutputError, match=f"{message}/slides\\."):
            list(engine.run(kernels.answer, batches(*[1] * 12), spec, kernels.OUTPUT, on_crash=never))

        # What it would write where nobody else reads is not lost without a word.
        elsewhere = Connect(running_cluster[1], temp_directory=share / "spill")
        with elsewhere, pytest.raises(InputOutputError, match=message):
            elsewhere.materialise("x", "select 1 as a")

        ended = pathcurate("scan", "-w", tmp_path / "workspace")
        assert ended.returncode == 3
        assert re.search(f"{message}/slides\\.", ended.stderr)
        assert "Mount it there at the same path" in ended.stderr

        # Others do what it cannot; when it is alone, SQL says who it was that could not.
        engine.view("shared", [share / "table.parquet"])
        assert engine.rows("select sum(s.a) as a from shared as s") == [(3,)]
        for worker in cluster.alive():
            if worker.page != blind.page:
                worker.kill()
        with pytest.raises(InputOutputError, match=message):
            engine.rows("select sum(s.a) as a from shared as s")
    blind.kill()
