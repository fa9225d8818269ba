"""New report files beside old ones: only what is new is read and written, and what cannot be told so is made anew."""

import csv
import io
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate import tables
from pathcurate.compaction import compact
from pathcurate.findings import read_findings
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.model.source import SOURCE_ROWS
from pathcurate.reports import forget_reports, import_reports, reading
from pathcurate.sources import ImportSummary
from pathcurate.tables import Catalog
from pathcurate.workspace import load_workspace

HEADS = ("病理号", "住院号", "报告类型", "报告日期", "病理诊断", "联系电话")
Row = tuple[str, str, str, str, str, str]


def report(case: int, kind: str = "常规", said: str = "（左肺）腺癌", phone: str = "", day: int = 1) -> Row:
    return f"S23-{case:05}", f"P{case}", kind, f"2023-02-{day:02}", f"{said}，第{case}例", phone


class Desk:
    """A workspace with one folder of exports."""

    def __init__(self, root: Path) -> None:
        (root / "lis").mkdir(parents=True)
        file = root / "pathcurate.yaml"
        file.write_text("workspace: 1\nname: t\nsites: [{code: NB01, reports: [{path: 'lis/*.csv'}]}]\n")
        self.root, self.workspace = root, load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)

    def put(self, name: str, *rows: Row) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADS, *rows])
        path = self.root / "lis" / name
        path.write_text(text.getvalue(), encoding="utf-8")
        os.utime(path, (1_600_000_000, 1_600_000_000))

    def night(self, name: str, *rows: Row) -> ImportSummary:
        self.put(name, *rows)
        return import_reports(self.workspace)

    def operation(self) -> str:
        snapshot = self.catalog.snapshot(REPORTS)
        assert snapshot is not None
        return snapshot.operation

    def rows(self, table: Table = REPORTS) -> list[dict[str, Any]]:
        return sorted(self.catalog.read(table).to_pylist(), key=repr)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "w")
    assert desk.night("b.csv", *map(report, range(6))).total == 6
    return desk


def like_one_import(desk: Desk, tmp_path: Path) -> bool:
    once = Desk(tmp_path / "once")
    for path in (desk.root / "lis").iterdir():
        (once.root / "lis" / path.name).write_bytes(path.read_bytes())
    import_reports(once.workspace)
    alike = [desk.rows(table) == once.rows(table) for table in (REPORTS, DIAGNOSES, SOURCE_ROWS)]
    return all(alike) and read_findings(desk.catalog) == read_findings(once.catalog)


def test_a_night_is_added_and_an_old_report_that_it_amends_gets_its_new_place(desk: Desk, tmp_path: Path) -> None:
    summary = desk.night(
        "c.csv", report(2, "更正报告", "（左肺）鳞状细胞癌", day=3), report(7), report(3), report(1, said="胃癌", day=2)
    )
    assert (summary.files, summary.unchanged, summary.rows, summary.total) == (1, 1, 4, 9)
    assert {finding.rule for finding in summary.findings} >= {"reports.repeated_in_file", "reports.same_number"}
    assert desk.operation() == "upsert"
    old, amended = sorted((row for row in desk.rows() if row["patient_id"] == "P2"), key=lambda row: row["case_order"])
    assert (old["is_current"], amended["is_current"], amended["replaces"]) == (False, True, old["report_id"])
    adding, replacing = desk.catalog.part_paths(REPORTS)
    assert (len(adding), len(replacing)) == (2, 1)
    assert like_one_import(desk, tmp_path)


def test_a_file_that_comes_first_by_name_becomes_that_of_the_rows_that_it_repeats(desk: Desk, tmp_path: Path) -> None:
    assert desk.night("a.csv", report(9), report(4)).total == 7
    assert desk.operation() == "upsert"
    assert {row["patient_id"]: Path(row["source_file"]).name for row in desk.rows()}["P4"] == "a.csv"
    assert like_one_import(desk, tmp_path)


def test_a_night_that_only_repeats_writes_no_report(desk: Desk, tmp_path: Path) -> None:
    before = desk.catalog.state(REPORTS)
    assert desk.night("c.csv", report(4), report(5)).total == 6
    assert desk.catalog.state(REPORTS) == before
    assert like_one_import(desk, tmp_path)


@pytest.mark.parametrize("phones", [("13800138000", "13900138000"), ("13900138000", "13800138000")])
def test_a_report_that_came_again_with_another_telephone_number(desk: Desk, tmp_path: Path, phones: tuple[str, str]) -> None:
    # Of one of the two orders, the row of before gets another number among its like, and so another identifier.
    for name, phone in zip(("c.csv", "d.csv"), phones, strict=True):
        desk.night(name, report(8, phone=phone))
    assert len(desk.rows(DIAGNOSES)) == 8
    assert like_one_import(desk, tmp_path)


def test_a_file_that_changes_or_goes_makes_the_table_anew(desk: Desk, tmp_path: Path) -> None:
    desk.night("c.csv", report(7))
    desk.put("b.csv", report(0), report(10))
    assert desk.night("d.csv", report(11)).total == 4
    assert desk.operation() == "replace"
    (desk.root / "lis/b.csv").unlink()
    assert desk.night("e.csv", report(12)).total == 3
    assert desk.operation() == "replace"
    assert like_one_import(desk, tmp_path)


def test_a_night_after_new_rules_reads_all_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "rules_digest", lambda words: "sha256:new")
    desk.night("c.csv", report(7))
    assert desk.operation() == "replace"
    assert {row["rules_digest"] for row in desk.rows()} == {"sha256:new"}


def test_a_report_that_could_not_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError

    desk = Desk(tmp_path / "w")
    with monkeypatch.context() as patch:
        patch.setattr(reading.understanding, "understand", fails)
        desk.night("b.csv", report(1))
    assert desk.rows(DIAGNOSES) == []
    desk.night("c.csv", report(2))
    assert len(desk.rows(DIAGNOSES)) == 2
    assert not [finding for finding in read_findings(desk.catalog) if finding.rule == "reports.unreadable"]


def test_rows_that_a_killed_import_left_do_not_stay(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathcurate.sources.conclude", dies)
        with pytest.raises(KeyboardInterrupt):
            # Nothing in it is new, so that the reports' state says nothing of what happened.
            desk.night("c.csv", report(4))
    (desk.root / "lis/c.csv").unlink()
    desk.night("d.csv", report(7))
    assert like_one_import(desk, tmp_path)


def test_what_nights_added_can_be_forgotten_and_compacted(desk: Desk, tmp_path: Path) -> None:
    for number in range(8):
        desk.night(f"c{number}.csv", report(20 + number), report(number % 6, "补充报告", day=4 + number))
    before = desk.rows()
    assert {one.table for one in compact(desk.workspace.catalog)} >= {"reports", "source_rows", "diagnoses"}
    assert desk.rows() == before
    assert desk.night("d.csv", report(40), report(0, "补充报告", day=20)).total == 24
    assert forget_reports(desk.workspace, {("NB01", "lis/c0.csv")}) == 2
    (desk.root / "lis/c0.csv").unlink()
    assert like_one_import(desk, tmp_path)


class Counted:
    """Rows of reports that were read with their texts, and rows that were written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read = self.written = 0
        read_part, pieces, commit = tables._read_part, Catalog.pieces, Catalog._commit

        def counting_part(path: Path, table: Table) -> pa.Table:
            data = read_part(path, table)
            if table.name == REPORTS.name and {*TEXT_COLUMNS} & {*table.names}:
                self.read += data.num_rows
            return data

        def counting_pieces(catalog: Catalog, table: Table, rows: int, columns: Any = None, chosen: Any = None) -> Any:
            for piece in pieces(catalog, table, rows, columns, chosen):
                if table.name == REPORTS.name and {*TEXT_COLUMNS} & {*piece.column_names}:
                    self.read += piece.num_rows
                yield piece

        def counting_commit(catalog: Catalog, table: Table, what: str, data: pa.Table, *more: Any, **named: Any) -> None:
            if table.name in {REPORTS.name, SOURCE_ROWS.name, DIAGNOSES.name}:
                self.written += data.num_rows
            commit(catalog, table, what, data, *more, **named)

        monkeypatch.setattr(tables, "_read_part", counting_part)
        monkeypatch.setattr(Catalog, "pieces", counting_pieces)
        monkeypatch.setattr(Catalog, "_commit", counting_commit)


def test_the_work_of_a_night_is_in_proportion_to_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = []
    for old, new in ((50, 5), (200, 5), (200, 20)):
        desk = Desk(tmp_path / f"{old}-{new}")
        desk.night("b.csv", *map(report, range(old)))
        with monkeypatch.context() as patch:
            counted = Counted(patch)
            # Each of the new reports amends an old one, but for one.
            desk.night("c.csv", report(old), *(report(case, "更正报告", "鳞癌", day=2) for case in range(new - 1)))
        work.append((counted.read, counted.written))
    few, many, more = work
    assert few == many == (4, 4 + 5 + 5 + 5)
    assert more == (19, 19 + 20 + 20 + 20)
