"""Compaction: the same rows in fewer files, for today and for whoever goes back; killed anywhere, nothing is lost."""

import json
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.compaction import compact
from pathcurate.errors import InputOutputError
from pathcurate.goingback import states_at
from pathcurate.lookup import Lookup, OneOf
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows, read_snapshot
from pathcurate.upkeep import check, expire
from pathcurate.vault import create_vault, read_events
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import report
from tests.commandline import pathcurate

NOW = datetime.now(UTC)


def rows(numbers: list[int], text: str) -> pa.Table:
    return from_rows(REPORTS, [{**report(number), "diagnosis": f"{text} {number}"} for number in numbers])


def nights(directory: Path, count: int, *, base: int = 40) -> Catalog:
    """A table of one large part and one of three reports for each night, of which one replaces an earlier one."""
    catalog = Catalog(directory)
    catalog.upsert(REPORTS, rows(list(range(base)), "first"))
    for night in range(count):
        new = [base + 2 * night, base + 2 * night + 1]
        catalog.upsert(REPORTS, rows([night % base, *new], f"night {night}"))
    return catalog


def parts(catalog: Catalog) -> tuple[str, ...]:
    snapshot = catalog.snapshot(REPORTS)
    assert snapshot is not None
    return snapshot.parts


def test_the_rows_their_order_and_the_state_stay(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 12, base=200)
    before, state, large = catalog.read(REPORTS), catalog.state(REPORTS), parts(catalog)[0]
    (done,) = compact(tmp_path)
    assert catalog.read(REPORTS).equals(before)
    assert catalog.state(REPORTS) == state
    assert parts(catalog)[0] == large, "what is far larger than all the rest is not written again"
    assert (done.table, done.parts_before, done.parts_after, done.rows, done.dropped) == ("reports", 13, 2, 36, 0)
    assert compact(tmp_path) == []


def test_rows_that_were_replaced_among_the_merged_go(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    for night in range(20):
        catalog.upsert(REPORTS, rows([1, 2 + night], f"night {night}"))
    before = catalog.read(REPORTS)
    (done,) = compact(tmp_path)
    assert (done.rows, done.dropped, done.parts_after) == (21, 19, 1)
    assert catalog.read(REPORTS).equals(before)
    assert pq.read_metadata(tmp_path / "reports" / parts(catalog)[0]).num_rows == 21


def test_few_files_are_left_alone(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 6)
    names = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert compact(tmp_path) == []
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == names
    assert len(parts(catalog)) == 7


def test_every_earlier_state_is_still_there(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 10)
    earlier = {number: Catalog(tmp_path, {"reports": number}).read(REPORTS) for number in range(1, 12)}
    compact(tmp_path)
    for number, was in earlier.items():
        assert Catalog(tmp_path, {"reports": number}).read(REPORTS).equals(was)
    catalog.upsert(REPORTS, rows([7], "later"))
    assert Catalog(tmp_path, {"reports": 11}).read(REPORTS).equals(earlier[11])


def test_what_knows_its_parts_finds_only_what_came_after(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 10)
    state = catalog.state(REPORTS)
    compact(tmp_path)
    catalog.upsert(REPORTS, rows([900], "later"))
    known = catalog.parts_of(REPORTS, state)
    assert known is not None
    new = set(parts(catalog)) - known
    assert [catalog.part(REPORTS, name)["diagnosis"].to_pylist() for name in new] == [["later 900"]]


def test_parts_that_only_add_stay_so(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    for night in range(12):
        catalog.upsert(REPORTS, rows([night], "only"), only_adds=True)
    compact(tmp_path)
    catalog.upsert(REPORTS, rows([50], "only"), only_adds=True)
    adding, replacing = catalog.part_paths(REPORTS)
    assert (len(adding), replacing) == (2, [])


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True), st.booleans()), min_size=1, max_size=14
    )
)
def test_whatever_nights_there_were(nights: list[tuple[list[int], bool]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder))
        for index, (numbers, compacts) in enumerate(nights):
            catalog.upsert(REPORTS, rows(numbers, f"night {index}"))
            if compacts:
                before, state = catalog.read(REPORTS), catalog.state(REPORTS)
                compact(Path(folder))
                assert catalog.read(REPORTS).equals(before)
                assert catalog.state(REPORTS) == state
        written = {path.name for path in (Path(folder) / "reports").glob("part-*")}
        named = {part for log in (Path(folder) / "reports" / "_log").iterdir() for part in read_snapshot(log).parts}
        assert named <= written


def test_single_rows_are_found_as_before(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 12)
    wanted = {"report_id": OneOf([report(number)["report_id"] for number in (0, 11, 45, 60)])}
    before = Lookup(catalog).rows(REPORTS, ("report_id", "diagnosis"), wanted)
    compact(tmp_path)
    after = Lookup(Catalog(tmp_path)).rows(REPORTS, ("report_id", "diagnosis"), wanted)
    key = lambda row: row["report_id"]  # noqa: E731
    assert sorted(after, key=key) == sorted(before, key=key)
    assert len(after) == 4


def test_a_damaged_file_stops_it_before_anything_is_changed(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 12, base=4)
    names = parts(catalog)
    (tmp_path / "reports" / names[5]).write_bytes(b"PAR1 this is none PAR1")
    with pytest.raises(InputOutputError):
        compact(tmp_path)
    assert parts(catalog) == names


_KILLED = """
import os, sys
from pathlib import Path
from pathcurate import compaction, storage
count, point = 0, int(sys.argv[2])
def counted(name):
    real = getattr(os, name)
    def wrapped(*args, **kwargs):
        global count
        count += 1
        if count == point:
            os.kill(os.getpid(), 9)
        return real(*args, **kwargs)
    setattr(os, name, wrapped)
for name in ("rename", "replace", "unlink", "link", "fsync"):
    counted(name)
compaction.compact(Path(sys.argv[1]))
"""


def test_killed_at_every_step_the_rows_are_there_and_the_next_run_ends_it(tmp_path: Path) -> None:
    killed = 0
    for point in range(1, 60, 3):
        directory = tmp_path / str(point)
        catalog = nights(directory, 10, base=2)
        before = catalog.read(REPORTS)
        ended = subprocess.run([sys.executable, "-c", _KILLED, str(directory), str(point)], check=False)
        assert catalog.read(REPORTS).equals(before), point
        compact(directory)
        assert catalog.read(REPORTS).equals(before), point
        assert len(parts(catalog)) == 1
        if ended.returncode != -signal.SIGKILL:
            break
        killed += 1
    assert killed >= 3


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    workspace = load_workspace(tmp_path / "pathcurate.yaml")
    create_vault(workspace.vault)
    nights(workspace.catalog, 10, base=2)
    return workspace


def test_the_command_says_what_it_did_and_the_trail_keeps_it(workspace: Workspace) -> None:
    run = pathcurate("catalog", "compact", "-w", workspace.root, "--json")
    (table,) = json.loads(run.stdout)["tables"]
    assert (table["table"], table["parts_before"], table["parts_after"]) == ("reports", 11, 1)
    assert "few files already" in pathcurate("catalog", "compact", "-w", workspace.root).stdout
    assert [event.action for event in read_events(workspace.vault)].count("catalog compact") == 1
    assert list(check(workspace)) == []


def test_afterwards_earlier_states_can_go_and_their_files_with_them(workspace: Workspace) -> None:
    before = Catalog(workspace.catalog).read(REPORTS)
    compact(workspace.catalog)
    expire(workspace, datetime.now(UTC))
    assert len(list((workspace.catalog / "reports").glob("part-*"))) == 1
    assert Catalog(workspace.catalog, states_at(workspace.catalog, ["reports"])).read(REPORTS).equals(before)


def test_columns_that_are_no_longer_declared_go(tmp_path: Path) -> None:
    catalog = nights(tmp_path, 10, base=2)
    path = tmp_path / "reports" / parts(catalog)[3]
    data = pq.read_table(path)
    pq.write_table(data.append_column("old", pa.array(["x"] * data.num_rows)), path)
    compact(tmp_path)
    assert catalog.columns(REPORTS) == set(REPORTS.names)
    assert catalog.snapshot(SLIDES) is None
