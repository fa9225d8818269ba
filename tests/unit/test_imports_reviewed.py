"""What a review of the imports found: refused files beside good ones, interruptions between tables, withdrawn reports."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate import sources
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.events import import_events
from pathcurate.findings import read_findings
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.event import EVENTS
from pathcurate.model.report import REPORTS
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.reports import import_reports
from pathcurate.reports.guess import guess_mapping
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace
from tests.makers import fhir, hl7

Write = Callable[[str, str | bytes], Path]
HEADS = "病理号,住院号,报告类型,报告状态,报告日期,病理诊断"
UNCLOSED = '"S23-9,P9'
LONG_AGO = (1_600_000_000, 1_600_000_000)
CONFIGURATION = (
    "workspace: 1\nname: t\nsites: [{code: NB01, reports: [{path: 'lis/*'%s}], events: [{path: 'ev/*', mapping: e.yaml}]}]\n"
)
EVENT_MAPPING = "columns: {patient_id: 病案号, kind: 事件, date: 时间}\n"


class Desk:
    """A workspace with a folder of exports and one of clinical tables."""

    def __init__(self, write: Write) -> None:
        self.write = write
        write("e.yaml", EVENT_MAPPING)
        self.configure()

    def configure(self, more: str = "") -> None:
        self.workspace: Workspace = load_workspace(self.write("pathcurate.yaml", CONFIGURATION % more))
        self.catalog = Catalog(self.workspace.catalog)

    def export(self, name: str, *lines: str) -> Path:
        path = self.write(f"lis/{name}", "\n".join([HEADS, *lines, ""]))
        os.utime(path, LONG_AGO)
        return path

    def cases(self) -> list[str]:
        return sorted(row["accession"] for row in self.catalog.read(REPORTS).to_pylist())

    def everything(self) -> list[list[dict[str, Any]]]:
        """All that is kept, but for times and the number of the state."""
        tables = [self.catalog.read(table) for table in (REPORTS, DIAGNOSES, IHC_RESULTS, SOURCES, SOURCE_ROWS)]
        passing = {"imported_at", "state", "mtime_ns"}
        return [table.drop_columns([*passing.intersection(table.column_names)]).to_pylist() for table in tables]


@pytest.fixture
def desk(write: Write) -> Desk:
    return Desk(write)


# --- One file that is refused ------------------------------------------------------------------------------------


def test_a_refused_file_keeps_no_other_out(desk: Desk) -> None:
    desk.export("a.csv", "S23-1,P1,,,,癌")
    desk.export("b.csv", "S23-2,P2,,,,癌", UNCLOSED)
    desk.export("c.csv", "S23-3,P3,,,,癌")
    with pytest.raises(UsageError, match=r"b\.csv: row 3 is not valid CSV") as caught:
        import_reports(desk.workspace)
    assert caught.value.hint.endswith("The other files were imported.")
    assert desk.cases() == ["S23-1", "S23-3"]
    # It is tried again each time, alone, and nothing changes as long as it stays so.
    before = desk.everything()
    with pytest.raises(UsageError, match=r"b\.csv") as caught:
        import_reports(desk.workspace)
    assert "imported" not in caught.value.hint
    assert desk.everything() == before
    desk.export("b.csv", "S23-2,P2,,,,癌")
    summary = import_reports(desk.workspace)
    assert (summary.files, summary.unchanged, desk.cases()) == (1, 2, ["S23-1", "S23-2", "S23-3"])


def test_what_a_refused_file_gave_before_stays(desk: Desk) -> None:
    desk.export("a.csv", "S23-1,P1,,,,癌", "S23-2,P2,,,,癌")
    desk.export("b.csv", "S23-3,P3,,,,癌", "misfit")
    import_reports(desk.workspace)
    before, found = desk.everything(), read_findings(desk.catalog, "reports")
    assert [finding.rule for finding in found] == ["reports.row_misfit"]
    desk.export("b.csv", "S23-4,P4,,,,癌", "misfit", UNCLOSED)
    with pytest.raises(UsageError, match=r"b\.csv"):
        import_reports(desk.workspace)
    assert desk.everything() == before
    desk.export("a.csv", "S23-1,P1,,,,癌")
    with pytest.raises(UsageError, match=r"b\.csv"):
        import_reports(desk.workspace)
    assert desk.cases() == ["S23-1", "S23-3"]
    assert read_findings(desk.catalog, "reports") == found
    # Put back as it was, it is no news.
    desk.export("b.csv", "S23-3,P3,,,,癌", "misfit")
    assert import_reports(desk.workspace).unchanged == 2


def test_a_file_that_is_renamed_and_damaged_loses_nothing(desk: Desk) -> None:
    path = desk.export("a.csv", "S23-1,P1,,,,癌")
    desk.export("c.csv", "S23-3,P3,,,,癌")
    import_reports(desk.workspace)
    path.unlink()
    desk.export("b.csv", "S23-1,P1,,,,癌", UNCLOSED)
    desk.export("c.csv", "S23-3,P3,,,,癌", "S23-4,P4,,,,癌")
    with pytest.raises(UsageError, match=r"b\.csv"):
        import_reports(desk.workspace)
    assert desk.cases() == ["S23-1", "S23-3", "S23-4"]
    desk.export("b.csv", "S23-1,P1,,,,癌")
    assert (import_reports(desk.workspace).removed, desk.cases()) == (1, ["S23-1", "S23-3", "S23-4"])


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 4, 1000])
def test_of_a_refused_file_no_row_is_left_wherever_the_pieces_end(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(sources, "ROWS_AT_ONCE", rows_at_once)
    desk.export("a.csv", *(f"S23-1{number},P1,,,,癌" for number in range(3)))
    desk.export("b.csv", "misfit", *(f"S23-2{number},P1,,,,癌" for number in range(5)), UNCLOSED)
    desk.export("c.csv", *(f"S23-3{number},P1,,,,癌" for number in range(2)), "misfit")
    with pytest.raises(UsageError, match=r"b\.csv"):
        import_reports(desk.workspace)
    assert desk.cases() == ["S23-10", "S23-11", "S23-12", "S23-30", "S23-31"]
    rows = desk.catalog.read(SOURCE_ROWS).to_pylist()
    assert sorted((row["source_file"], row["source_row"]) for row in rows) == [
        ("lis/a.csv", 2), ("lis/a.csv", 3), ("lis/a.csv", 4), ("lis/c.csv", 2), ("lis/c.csv", 3),
    ]  # fmt: skip
    assert [finding.subject for finding in read_findings(desk.catalog, "reports")] == ["lis/c.csv row 4"]


def test_all_refused_files_are_named(desk: Desk) -> None:
    for name in "abc":
        desk.export(f"{name}.csv", UNCLOSED)
    desk.write("lis/d.pdf", b"%PDF-1.7\n")
    with pytest.raises(UsageError, match=re.escape("; 3 more refused: b.csv, c.csv, d.pdf")) as caught:
        import_reports(desk.workspace)
    assert caught.value.message.startswith("a.csv: row 2 is not valid CSV")
    # Of a first import that read nothing there is no empty table, which a later stage would take for an answer.
    assert desk.catalog.snapshot(REPORTS) is None


def test_a_file_that_cannot_be_read_keeps_no_other_out(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.export("a.csv", "S23-1,P1,,,,癌")
    desk.export("b.csv", "S23-2,P2,,,,癌")
    opened = Path.open

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "a.csv":
            raise PermissionError
        return opened(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)  # a mode would not stop root
    with pytest.raises(InputOutputError, match=r"a\.csv cannot be read \(PermissionError\)"):
        import_reports(desk.workspace)
    assert desk.cases() == ["S23-2"]


def test_a_folder_that_may_not_be_read_is_named_as_its_source(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError

    desk.export("a.csv", "S23-1,P1,,,,癌")
    monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.raises(InputOutputError, match=r"report source lis/\* of site NB01 cannot be read \(PermissionError\)"):
        import_reports(desk.workspace)


def test_a_refused_clinical_table_keeps_no_other_out(desk: Desk) -> None:
    desk.write("ev/a.csv", "病案号,事件,时间\nP1,就诊,2023-01-01\n")
    desk.write("ev/b.csv", "事件,时间\n就诊,2023-01-01\n")
    desk.write("ev/c.csv", "病案号,事件,时间\nP2,就诊,2023-01-01\n")
    with pytest.raises(UsageError, match=r"b\.csv"):
        import_events(desk.workspace)
    assert sorted(row["patient_id"] for row in desk.catalog.read(EVENTS).to_pylist()) == ["P1", "P2"]


def test_a_refused_file_of_many_says_so_in_one_line(desk: Desk) -> None:
    desk.configure(", format: text")
    desk.write("lis/a.txt", "")
    (found,) = import_reports(desk.workspace).findings
    assert (found.rule, found.message) == ("reports.file_refused", "a.txt is empty; nothing more of it was imported")


# --- Interruptions between tables --------------------------------------------------------------------------------


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Workspace, Table], None]:
    """Import reports, and end it before a table is written."""
    replace = Catalog.replace

    def run(workspace: Workspace, ended_before: Table) -> None:
        def interrupted(self: Catalog, table: Table, *arguments: Any) -> bool:
            if table is ended_before:
                raise KeyboardInterrupt
            return replace(self, table, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "replace", interrupted)
            with pytest.raises(KeyboardInterrupt):
                import_reports(workspace)

    return run


@pytest.mark.parametrize(
    "ended_before", [DIAGNOSES, IHC_RESULTS, REPORTS, SOURCE_ROWS, SOURCES], ids=lambda table: table.name
)
def test_what_is_put_back_after_an_interruption_is_whole(
    desk: Desk, interrupt: Callable[[Workspace, Table], None], ended_before: Table
) -> None:
    desk.export("a.csv", "S23-1,P1,,,,（右肺）浸润性腺癌，ER（+）")
    other = desk.export("b.csv", "S23-2,P2,,,,（左乳）浸润性导管癌，ER（+）")
    import_reports(desk.workspace)
    before = desk.everything()
    assert [len(table) for table in before[:3]] == [2, 2, 2]
    other.rename(other.parent.parent / "elsewhere.csv")
    interrupt(desk.workspace, ended_before)
    (other.parent.parent / "elsewhere.csv").rename(other)
    import_reports(desk.workspace)
    assert desk.everything() == before


@pytest.mark.parametrize("ended_before", [IHC_RESULTS, REPORTS, SOURCES], ids=lambda table: table.name)
def test_a_mapping_that_is_taken_back_after_an_interruption(
    desk: Desk, interrupt: Callable[[Workspace, Table], None], ended_before: Table
) -> None:
    desk.export("a.csv", "S23-1,P1,,,,（右肺）浸润性腺癌，ER（+）")
    import_reports(desk.workspace)
    before = desk.everything()
    desk.write("m.yaml", "columns: {comment: 病理诊断, diagnosis: 报告状态}\n")
    desk.configure(", mapping: m.yaml")
    interrupt(desk.workspace, ended_before)
    desk.configure()
    import_reports(desk.workspace)
    assert desk.everything() == before


# --- Withdrawn reports -------------------------------------------------------------------------------------------

FINAL = "S23-1,P1,常规,已审核,2023-01-05,癌"


@pytest.mark.parametrize(
    ("withdrawn", "current"),
    [
        # Systems take the text, and often the date, away from what is withdrawn.
        ("S23-1,P1,常规,作废,2023-01-08,", []),
        ("S23-1,P1,常规,作废,,", []),
        ("S23-1,P1,常规,作废,,癌", []),
        # Another kind of report, another patient's, an earlier one and one of another text are withdrawn alone.
        ("S23-1,P1,补充报告,作废,2023-01-08,", ["癌"]),
        ("S23-1,P2,常规,作废,2023-01-08,", ["癌"]),
        ("S23-1,P1,常规,作废,2023-01-02,", ["癌"]),
        ("S23-1,P1,常规,作废,2023-01-08,炎", ["癌"]),
    ],
)
@pytest.mark.parametrize("files", [("a.csv", "a.csv"), ("a.csv", "b.csv"), ("b.csv", "a.csv")])
def test_a_report_that_is_withdrawn_does_not_stand(
    desk: Desk, withdrawn: str, current: list[str], files: tuple[str, str]
) -> None:
    lines: dict[str, list[str]] = {}
    for name, line in zip(files, (FINAL, withdrawn), strict=True):
        lines.setdefault(name, []).append(line)
    for name, of_file in lines.items():
        desk.export(name, *of_file)
    import_reports(desk.workspace)
    rows = desk.catalog.read(REPORTS).to_pylist()
    assert len(rows) == 2
    assert [row["diagnosis"] for row in rows if row["is_current"]] == current


# --- Guessing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.hl7", hl7.message(), "hl7"),
        ("a.json", fhir.bundle(fhir.resources()), "fhir"),
        ("a.txt", "王秀英 女 56岁\n病理号：S23-1\n肉眼所见：灰白组织\n病理诊断：癌\n", "text"),
    ],
)
def test_no_heads_are_guessed_where_there_are_none(write: Write, name: str, content: str | bytes, kind: str) -> None:
    with pytest.raises(UsageError, match=f"is no table: it is read as {kind}") as caught:
        guess_mapping(write(name, content))
    assert "王" not in str(caught.value)


# --- Names of files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["S23-00123", "王秀英", "S23-00123_王秀英", "2023-05-01 王秀英 (2)"])
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", "肉眼所见：灰白".encode() + b"\xb0", b"%PDF-1.7\n"])
@pytest.mark.parametrize("given", ["", ", format: text"])
def test_the_name_of_a_case_or_patient_is_in_no_message(desk: Desk, stem: str, content: bytes, given: str) -> None:
    desk.configure(given)
    desk.write("lis/a.txt", "病理号：S23-9\n肉眼所见：灰白组织\n病理诊断：癌\n")
    desk.write(f"lis/{stem}.txt", content)
    try:
        said = [finding.message for finding in import_reports(desk.workspace).findings]
    except UsageError as error:
        said = [str(error)]
    # Files are counted as the shell lists them.
    place = 1 + sorted(["a", stem]).index(stem)
    assert len(said) == 1
    assert f"file {place} of lis/*" in said[0]
    assert stem not in said[0]


def test_two_files_of_one_report_are_not_named_by_its_number(desk: Desk) -> None:
    text = "病理号：S23-9\n肉眼所见：灰白组织\n病理诊断：癌\n"
    for name in ("S23-00009.txt", "T-S23-00009.txt"):
        desk.write(f"lis/{name}", text)
    (found,) = import_reports(desk.workspace).findings
    assert found.message == "file 2 of lis/* repeats rows of file 1 of lis/*, which were imported once: 1"
    assert found.subject == "lis/T-S23-00009.txt and lis/S23-00009.txt"


def test_a_row_twice_in_a_file_of_a_patient(desk: Desk) -> None:
    desk.export("王秀英.csv", "S23-1,P1,,,,癌", "S23-1,P1,,,,癌")
    (found,) = import_reports(desk.workspace).findings
    assert found.message == "row 3 of file 1 of lis/* repeats an earlier row and was imported once"
