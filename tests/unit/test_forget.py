"""Forget: one import is undone, what other files give stays, and the file stays out until it changes or is named."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.cli.main import run
from pathcurate.errors import UsageError
from pathcurate.events import forget_events, import_events
from pathcurate.findings import read_findings
from pathcurate.forget import plan_forgetting
from pathcurate.identities import import_merges
from pathcurate.materials import forget_materials, import_materials
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.event import EVENTS
from pathcurate.model.finding import FINDINGS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import MERGES
from pathcurate.model.report import REPORTS
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.reports import import_reports
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

YAML = """\
workspace: 1
name: w
sites:
  - code: NB01
    reports: [{path: 'lis/*.csv'}]
    events: [{path: 'ev/*.csv'}, {path: both.csv}]
    materials: [{path: 'glass/*.csv'}, {path: both.csv}]
  - {code: NB02, materials: [{path: 'glass/a.csv'}]}
identities: [{path: merges.csv, site: NB01}]
"""
EVENTS_HEAD, REPORTS_HEAD, GLASS_HEAD = "病案号,类别,日期", "病理号,病案号,报告类型,报告日期,病理诊断", "病理号,切片号,染色"
LONG_AGO = (1_600_000_000, 1_600_000_000)


class Desk:
    """A workspace with files of each kind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("pathcurate.yaml", YAML)
        self.put(
            "lis/1.csv", REPORTS_HEAD, "S23-001,P1,常规,2023-01-01,左乳浸润性癌 ER(+)", "S23-002,P2,常规,2023-01-01,胃炎"
        )
        self.put("lis/2.csv", REPORTS_HEAD, "S23-001,P1,补充,2023-01-05,HER2(3+)", "S23-002,P2,常规,2023-01-01,胃炎")
        self.put("ev/1.csv", EVENTS_HEAD, "P1,随访,2023-02-01", "P2,随访,2023-02-01", ",随访,")
        self.put("ev/2.csv", EVENTS_HEAD, "P1,随访,2023-02-01", "P3,随访,2023-02-01")
        self.put("glass/a.csv", GLASS_HEAD, "S23-001,Q1,HE")
        self.put("both.csv", "病案号,类别,病理号,切片号", "P9,随访,S23-009,Q9")
        self.put("merges.csv", "病案号,被合并病案号", "P1,P2")
        self.workspace: Workspace = load_workspace(root / "pathcurate.yaml")
        self.catalog = Catalog(self.workspace.catalog)

    def put(self, name: str, *lines: str) -> None:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
        os.utime(path, LONG_AGO)

    def plan(self, source: str, table: str | None = None) -> Any:
        return plan_forgetting(self.workspace, source, directory=self.root / "lis", table=table)

    def rows(self, table: Table, *names: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row[name] for name in names) for row in self.catalog.read(table).to_pylist())

    def call(self, *arguments: str) -> int:
        return run(["forget", *arguments, "-w", str(self.root)])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_its_own_rows_go_and_shared_ones_stay(desk: Desk) -> None:
    import_events(desk.workspace)
    before = {row["event_id"]: row for row in desk.catalog.read(EVENTS).to_pylist()}
    plan = desk.plan("ev/1.csv")
    assert (plan.table, plan.files, plan.rows, plan.shared, plan.findings) == ("events", (("NB01", "ev/1.csv"),), 1, 1, 1)
    assert forget_events(desk.workspace, plan.files) == 1
    after = desk.catalog.read(EVENTS).to_pylist()
    assert [(row["patient_id"], row["source_file"]) for row in after] == [
        ("P9", "both.csv"), ("P1", "ev/2.csv"), ("P3", "ev/2.csv"),
    ]  # fmt: skip
    assert all(before[row["event_id"]]["patient_id"] == row["patient_id"] for row in after)
    assert {finding.rule for finding in read_findings(desk.catalog, "events")} == {"events.unknown_column"}
    assert {row["source_file"] for row in desk.catalog.read(SOURCE_ROWS).to_pylist()} == {"both.csv", "ev/2.csv"}


def test_it_stays_out_until_its_bytes_change(desk: Desk) -> None:
    import_events(desk.workspace)
    everything = desk.rows(EVENTS, *EVENTS.names)
    forget_events(desk.workspace, [("NB01", "ev/1.csv")])
    left = desk.rows(EVENTS, *EVENTS.names)
    for _ in range(2):
        summary = import_events(desk.workspace)
        assert (summary.files, summary.unchanged, summary.forgotten, summary.removed) == (0, 2, 1, 0)
        assert desk.rows(EVENTS, *EVENTS.names) == left
    # Another day on the same bytes is no change, nor is another rule by which it would be read.
    os.utime(desk.root / "ev/1.csv")
    desk.put("pathcurate.yaml", YAML.replace("{path: 'ev/*.csv'}", "{path: 'ev/*.csv', mapping: m.yaml}"))
    desk.put("m.yaml", "columns: {patient_id: 病案号}")
    assert import_events(load_workspace(desk.root / "pathcurate.yaml")).forgotten == 1
    desk.put("pathcurate.yaml", YAML)
    # A file of other rows under that name is another export.
    desk.put("ev/1.csv", EVENTS_HEAD, "P7,随访,2023-02-01")
    summary = import_events(desk.workspace)
    assert (summary.files, summary.forgotten) == (2, 0)
    assert ("P7",) in desk.rows(EVENTS, "patient_id")
    assert len(everything) == 4


def test_named_it_comes_back_as_it_was(desk: Desk) -> None:
    import_events(desk.workspace)
    before = desk.rows(EVENTS, *EVENTS.names)
    forget_events(desk.workspace, [("NB01", "ev/1.csv")])
    # Another file that is named does not bring it back.
    import_events(desk.workspace, only=[desk.root / "ev/2.csv"])
    assert desk.rows(EVENTS, *EVENTS.names) != before
    assert import_events(desk.workspace, only=[desk.root / "ev/1.csv"]).files == 1
    assert desk.rows(EVENTS, *EVENTS.names) == before
    assert import_events(desk.workspace).unchanged == 3


def test_a_file_that_is_gone_can_be_forgotten_and_stays_so(desk: Desk) -> None:
    import_events(desk.workspace)
    content = (desk.root / "ev/1.csv").read_bytes()
    for name in ("ev/1.csv", "ev/2.csv"):
        (desk.root / name).unlink()
    forget_events(desk.workspace, desk.plan("1.csv").files)
    assert desk.rows(EVENTS, "patient_id") == [("P1",), ("P3",), ("P9",)]
    # When the file server is back, it is still forgotten; nothing else is read meanwhile.
    desk.put("ev/2.csv", EVENTS_HEAD)
    import_events(desk.workspace)
    (desk.root / "ev/1.csv").write_bytes(content)
    assert import_events(desk.workspace).forgotten == 1
    assert desk.rows(EVENTS, "patient_id") == [("P9",)]


def test_the_last_file_leaves_an_empty_table_that_is_known(desk: Desk) -> None:
    import_merges(desk.workspace)
    assert desk.call("--source", "merges.csv", "--yes") == 0
    assert desk.rows(MERGES, "patient_id") == []
    assert import_merges(desk.workspace).forgotten == 1
    assert import_merges(desk.workspace, only=[desk.root / "merges.csv"]).total == 1


def test_reports_go_with_what_was_read_in_them(desk: Desk) -> None:
    import_reports(desk.workspace)
    assert desk.rows(REPORTS, "accession", "report_type") == [
        ("S23-1", "primary"), ("S23-1", "supplementary"), ("S23-2", "primary"),
    ]  # fmt: skip
    diagnoses = desk.rows(DIAGNOSES, "report_id")
    plan = desk.plan("1.csv")
    assert (plan.files, plan.rows, plan.shared) == ((("NB01", "lis/1.csv"),), 1, 1)
    assert desk.call("--source", "lis/1.csv", "--yes") == 0
    kept = desk.catalog.read(REPORTS).to_pylist()
    assert sorted((row["accession"], row["report_type"], row["source_file"]) for row in kept) == [
        ("S23-1", "supplementary", "lis/2.csv"), ("S23-2", "primary", "lis/2.csv"),
    ]  # fmt: skip
    ids = {row["report_id"] for row in kept}
    assert {report_id for (report_id,) in desk.rows(DIAGNOSES, "report_id")} < {report_id for (report_id,) in diagnoses}
    assert {row[0] for table in (DIAGNOSES, IHC_RESULTS) for row in desk.rows(table, "report_id")} <= ids
    # The other of the case's reports stands for it now, as if the forgotten one had never been.
    (desk.root / "fresh").mkdir()
    fresh = Desk(desk.root / "fresh")
    (fresh.root / "lis/1.csv").unlink()
    import_reports(fresh.workspace)
    assert kept == fresh.catalog.read(REPORTS).to_pylist()


def test_one_file_of_two_sites_goes_as_one(desk: Desk) -> None:
    import_materials(desk.workspace)
    plan = desk.plan("a.csv")
    assert plan.files == (("NB01", "glass/a.csv"), ("NB02", "glass/a.csv"))
    assert plan.rows == forget_materials(desk.workspace, plan.files) == 2
    assert desk.rows(MATERIALS, "accession") == [("S23-9",)]


def test_nothing_is_forgotten_twice(desk: Desk) -> None:
    import_events(desk.workspace)
    forget_events(desk.workspace, [("NB01", "ev/1.csv")])
    with pytest.raises(UsageError, match="no file of that name was imported"):
        desk.plan("ev/1.csv")
    with pytest.raises(UsageError, match="nothing was imported from this file into events"):
        forget_events(desk.workspace, [("NB01", "ev/1.csv")])


def test_an_interrupted_import_comes_first_and_forgets_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import_events(desk.workspace)
    forget_events(desk.workspace, [("NB01", "ev/1.csv")])
    desk.put("ev/2.csv", EVENTS_HEAD, "P4,随访,2023-02-01")
    replace = Catalog.replace

    def interrupted(self: Catalog, table: Table, data: Any) -> bool:
        if table is SOURCES:
            raise KeyboardInterrupt
        return replace(self, table, data)

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_events(desk.workspace)
    with pytest.raises(UsageError, match="was interrupted"):
        forget_events(desk.workspace, [("NB01", "ev/2.csv")])
    # What is not known is read anew, but what was forgotten is known.
    summary = import_events(desk.workspace)
    assert (summary.files, summary.forgotten) == (2, 1)
    assert desk.rows(EVENTS, "patient_id") == [("P4",), ("P9",)]


@pytest.mark.parametrize("name", ["ev/1.csv", "ev/./1.csv", "./ev/1.csv", "ABSOLUTE"])
def test_a_file_is_known_by_its_path(desk: Desk, name: str) -> None:
    import_events(desk.workspace)
    import_reports(desk.workspace)
    source = str(desk.root / "ev/1.csv") if name == "ABSOLUTE" else name
    assert desk.plan(source).files == (("NB01", "ev/1.csv"),)
    # From the directory where somebody stands, too.
    assert desk.plan("1.csv").table == "reports"


def test_a_name_that_several_bear_says_how_to_say_it(desk: Desk) -> None:
    import_events(desk.workspace)
    import_materials(desk.workspace)
    with pytest.raises(UsageError, match="imported into 2 tables") as caught:
        desk.plan("both.csv")
    assert caught.value.hint == "Add --table events or --table materials."
    assert desk.plan("both.csv", "materials").table == "materials"
    desk.put("ev2/1.csv", EVENTS_HEAD, "P8,随访,2023-02-01")
    desk.put("pathcurate.yaml", YAML.replace("{path: both.csv}]\n    mat", "{path: ev2/1.csv}]\n    mat"))
    import_events(load_workspace(desk.root / "pathcurate.yaml"))
    with pytest.raises(UsageError, match="2 files of that name were imported into events") as caught:
        plan_forgetting(desk.workspace, "1.csv", directory=desk.root)
    assert caught.value.hint == "Give its path below the workspace, as ev/1.csv or ev2/1.csv."


def test_a_path_that_may_tell_a_patient_is_not_listed(desk: Desk) -> None:
    for folder in ("张三", "S23-00412"):
        desk.put(f"lis/{folder}/x.csv", REPORTS_HEAD, f"S23-00{len(folder)},P1,常规,2023-01-01,胃炎")
    desk.put("pathcurate.yaml", YAML.replace("lis/*.csv", "lis/*/*.csv"))
    import_reports(load_workspace(desk.root / "pathcurate.yaml"))
    with pytest.raises(UsageError, match="2 files of that name") as caught:
        desk.plan("x.csv")
    assert caught.value.hint == "Give its path below the workspace, with its folders."


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "龘靐齉.csv"], "no file of that name was imported"), (["--source", ""], "no file of that name"),
        (["--source", "*"], "no file of that name"), (["--source", "1"], "no file of that name"),
        (["--source", "ev/1.csv", "--table", "materials"], "imported into materials"),
        (["--source", "ev/1.csv", "--table", "event"], "did you mean `events`"),
        (["--source", "ev"], "no file of that name"),
    ],
)  # fmt: skip
def test_what_was_not_imported_is_refused(
    desk: Desk, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    import_events(desk.workspace)
    assert desk.call(*arguments) == 2
    shown = capsys.readouterr().err
    assert words in shown
    assert "龘靐齉" not in shown
    assert len(desk.rows(EVENTS, "patient_id")) == 4


def test_the_command_says_what_would_go_and_does_it_with_yes(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    import_events(desk.workspace)
    state = desk.catalog.state(EVENTS)
    assert desk.call("--source", "ev/1.csv") == 0
    assert capsys.readouterr().out == (
        "events: 1 row and 1 finding would go; 1 row of other files too stays\nGive --yes to do it.\n"
    )
    assert desk.catalog.state(EVENTS) == state
    assert desk.call("--source", "ev/1.csv", "--yes", "--json") == 0
    assert json.load(io.StringIO(capsys.readouterr().out)) == {
        "table": "events", "forgotten": True, "rows": 1, "shared": 1, "findings": 1,
    }  # fmt: skip
    assert desk.catalog.state(EVENTS) != state
    assert run(["events", "import", "-w", str(desk.root)]) == 0
    assert "2 files unchanged, 1 file left out as forgotten; 3 in the catalog" in capsys.readouterr().out
    assert desk.call("--source", "ev/2.csv", "--yes") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "What was made of them follows with `pathcurate deid apply` and the stages behind it."
    ]


_ROW = st.tuples(st.sampled_from(["S23-001", "S23-002"]), st.sampled_from(["", "Q1", "Q2"]), st.sampled_from(["HE", "ER"]))


@settings(max_examples=4, derandomize=True, deadline=None)
@given(files=st.lists(st.lists(_ROW, max_size=5), min_size=3, max_size=3), number=st.integers(0, 2))
def test_a_forgotten_file_is_as_if_it_had_never_been(
    files: list[list[tuple[str, ...]]], number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    desks = [Desk(tmp_path_factory.mktemp(name)) for name in ("with", "without")]
    for index, rows in enumerate(files):
        for desk in desks if index != number else desks[:1]:
            desk.put(f"glass/{index}.csv", GLASS_HEAD, *(",".join(row) for row in rows))
    for desk in desks:
        import_materials(desk.workspace)
    forget_materials(desks[0].workspace, [("NB01", f"glass/{number}.csv")])
    for table in (MATERIALS, SOURCE_ROWS, FINDINGS):
        assert desks[0].catalog.read(table).to_pylist() == desks[1].catalog.read(table).to_pylist()
    # Taken back, it is as if it had never been forgotten.
    import_materials(desks[0].workspace, only=[desks[0].root / f"glass/{number}.csv"])
    desks[1].put(f"glass/{number}.csv", GLASS_HEAD, *(",".join(row) for row in files[number]))
    import_materials(desks[1].workspace)
    for table in (MATERIALS, SOURCE_ROWS, FINDINGS):
        assert desks[0].catalog.read(table).to_pylist() == desks[1].catalog.read(table).to_pylist()
