"""The reports stage: which files, which rows replace which, what is current, what is found."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings, record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, precedence
from pathcurate.reports import ImportSummary, import_reports
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

Write = Callable[[str, str | bytes], Path]
HEADS = "病理号,住院号,报告类型,报告状态,报告日期,病理诊断\n"


class Desk:
    """A workspace whose report sources a test writes and imports."""

    def __init__(self, root: Path, write: Write, sites: str) -> None:
        self.root, self.write = root, write
        self.workspace: Workspace = load_workspace(write("pathcurate.yaml", f"workspace: 1\nname: t\nsites:\n{sites}"))
        self.catalog = Catalog(self.workspace.catalog)

    def export(self, relpath: str, *rows: str, heads: str = HEADS) -> Path:
        return self.write(relpath, heads + "".join(row + "\n" for row in rows))

    def run(self, *only: Path) -> ImportSummary:
        return import_reports(self.workspace, only=only)

    def rows(self, *columns: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in columns) for row in self.catalog.read(REPORTS).to_pylist()]

    def found(self) -> list[tuple[str, str | None]]:
        return [(finding.rule, finding.subject) for finding in read_findings(self.catalog, "reports")]


@pytest.fixture
def desk(tmp_path: Path, write: Write) -> Callable[[str], Desk]:
    return lambda sites: Desk(tmp_path, write, sites)


ONE = "- {code: NB01, reports: [{path: 'lis/*.csv'}]}\n"
TWO = "- {code: NB01, reports: [{path: 'a/*.csv'}]}\n- {code: NB02, reports: [{path: 'b/*.csv'}]}\n"


def test_reimport_replaces_a_files_rows_and_leaves_others(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    first = d.export("lis/1.csv", "S23-1,P1,,,,", "S23-2,P2,,,,")
    d.export("lis/2.csv", "S23-3,P3,,,,")
    assert (d.run().rows, len(d.rows("accession"))) == (3, 3)
    before = dict(d.rows("accession", "report_id"))
    d.export("lis/1.csv", "S23-2,P2,,,,", "S23-4,P4,,,,")
    summary = d.run(first)
    assert (summary.files, summary.rows, summary.total) == (1, 2, 3)
    assert d.rows("accession", "source_file") == [("S23-2", "lis/1.csv"), ("S23-4", "lis/1.csv"), ("S23-3", "lis/2.csv")]
    after = dict(d.rows("accession", "report_id"))
    assert {number: after[number] == before.get(number) for number in after} == {
        "S23-2": True,
        "S23-4": False,
        "S23-3": True,
    }


def test_a_file_that_has_no_rows_any_more_takes_its_rows_with_it(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    first = d.export("lis/1.csv", "S23-1,P1,,,,")
    d.export("lis/2.csv", "S23-3,P3,,,,")
    d.run()
    d.export("lis/1.csv")
    d.run(first)
    assert d.rows("accession") == [("S23-3",)]


def test_the_same_import_again_changes_nothing(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P1,,,,", "S23-2")
    d.run()
    state = d.catalog.state(REPORTS)
    d.run()
    assert d.catalog.state(REPORTS) == state


def test_the_same_row_twice_is_one_report(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P1,,,,癌", "S23-1,P1,,,,癌", "S23-1,P1,,,,瘤")
    d.run()
    assert d.rows("source_row", "diagnosis") == [(2, "癌"), (4, "瘤")]
    assert len({report_id for (report_id,) in d.rows("report_id")}) == 2
    assert d.found()[0] == ("reports.repeated_row", "lis/1.csv")
    assert [rule for rule, _ in d.found()] == ["reports.repeated_row", "reports.same_number"]


def test_two_sources_with_one_base_name_are_two(desk: Callable[[str], Desk]) -> None:
    d = desk("- {code: NB01, reports: [{path: '*/reports.csv'}]}\n")
    first = d.export("2023/reports.csv", "S23-1,P1,,,,癌", "S23-1")
    d.export("2024/reports.csv", "S23-2,P1,,,,癌", "S23-1")
    d.run()
    assert d.rows("source_file") == [("2023/reports.csv",), ("2024/reports.csv",)]
    assert len({report_id for (report_id,) in d.rows("report_id")}) == 2
    assert d.found() == [("reports.row_misfit", "2023/reports.csv row 3"), ("reports.row_misfit", "2024/reports.csv row 3")]
    d.export("2023/reports.csv", "S23-1,P1,,,,癌")
    d.run(first)
    assert d.found() == [("reports.row_misfit", "2024/reports.csv row 3")]
    assert len(d.rows("report_id")) == 2


def test_one_file_alone_leaves_the_findings_of_others(desk: Callable[[str], Desk]) -> None:
    d = desk(TWO)
    first = d.export("a/1.csv", "S23-1")
    d.export("a/11.csv", "S23-2")
    d.export("b/1.csv", "S23-3")
    d.run()
    d.export("a/1.csv", "S23-1,P1,,,,")
    d.run(first)
    assert d.found() == [("reports.row_misfit", "a/11.csv row 2"), ("reports.row_misfit", "b/1.csv row 2")]
    d.export("a/11.csv", "S23-2,P1,,,,")
    d.export("b/1.csv", "S23-1,P1,,,,")
    d.run()
    assert d.found() == []


def test_a_file_that_two_sources_name_is_read_once_as_the_first_says(desk: Callable[[str], Desk], write: Write) -> None:
    write("m.yaml", "constants: {report_type: frozen}\n")
    d = desk("- {code: NB01, reports: [{path: lis/1.csv, mapping: m.yaml}, {path: 'lis/*.csv'}]}\n")
    d.export("lis/1.csv", "S23-1,P1,,,,")
    d.export("lis/2.csv", "S23-2,P2,,,,")
    assert d.run().files == 2
    assert d.rows("accession", "report_type") == [("S23-1", "frozen"), ("S23-2", "primary")]


def test_one_number_at_two_sites_is_two_cases(desk: Callable[[str], Desk]) -> None:
    d = desk(TWO)
    d.export("a/1.csv", "S23-1,P1,,,2023-01-01,癌")
    d.export("b/1.csv", "S23-1,P2,,,2023-02-02,瘤")
    d.run()
    assert d.rows("site", "accession", "is_current") == [("NB01", "S23-1", True), ("NB02", "S23-1", True)]


@pytest.mark.parametrize(
    ("rows", "current"),
    [
        (["S23-1,P,,,2023-01-01,a", "S23-1,P,,,2023-02-01,b"], "b"),
        (["S23-1,P,,,2023-02-01,a", "S23-1,P,,,2023-01-01,b"], "a"),
        (["S23-1,P,,,,a", "S23-1,P,,,2023-01-01,b"], "b"),
        (["S23-1,P,,,2023-01-01,a", "S23-1,P,,作废,2023-02-01,b"], "a"),
        (["S23-1,P,,作废,2023-02-01,a"], ""),
        (["S23-1,P,,作废,2023-01-01,a", "S23-1,P,,撤回,2023-02-01,b"], ""),
        # A preliminary report, or one in a state that is not understood, does not replace a final one.
        (["S23-1,P,,,2023-01-01,a", "S23-1,P,,初步报告,2023-02-01,b"], "a"),
        (["S23-1,P,,,2023-01-01,a", "S23-1,P,,已删除,2023-02-01,b"], "a"),
        (["S23-1,P,,初步报告,2023-01-01,a", "S23-1,P,,作废,2023-02-01,b"], "a"),
        # Kinds are apart: a supplement does not replace the primary report.
        (["S23-1,P,,,2023-01-01,a", "S23-1,P,补充报告,,2023-02-01,b", "S23-1,P,冰冻,,2022-12-31,c"], "abc"),
        (["S23-1,P,,,2023-01-01,a", "S23-2,P,,,2023-02-01,b", "Ｓ2023-001,P,,,2023-03-01,c"], "bc"),
    ],
)  # fmt: skip
def test_current_reports(desk: Callable[[str], Desk], rows: list[str], current: str) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", *rows)
    d.run()
    assert "".join(sorted(text for text, flag in d.rows("diagnosis", "is_current") if flag)) == current


def test_current_is_decided_over_all_files(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P,,,2023-01-01,a")
    second = d.export("lis/2.csv", "S23-1,P,,,2023-02-01,b")
    d.run()
    assert d.rows("diagnosis", "is_current") == [("a", False), ("b", True)]
    d.export("lis/2.csv", "S23-1,P,,作废,2023-02-01,b")
    d.run(second)
    assert d.rows("diagnosis", "is_current") == [("a", True), ("b", False)]


def test_the_report_that_stands_for_a_case(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export(
        "lis/1.csv", "S23-1,P,,,2023-01-01,old primary", "S23-1,P,,,2023-01-05,primary",
        "S23-1,P,补充报告,,2023-02-01,supplement",
        "S23-1,P,,作废,2023-03-01,withdrawn", "S23-1,P,冰冻,,2023-01-04,frozen",
    )  # fmt: skip
    d.run()
    ranked = sorted(d.catalog.read(REPORTS).to_pylist(), key=precedence)
    assert [row["diagnosis"] for row in ranked] == ["withdrawn", "old primary", "frozen", "supplement", "primary"]


def test_a_refused_file_keeps_no_other_out(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P1,,,,")
    d.run()
    d.export("lis/1.csv", "S23-9,P9,,,,")
    d.export("lis/2.csv", "王小红,女", heads="姓名,性别\n")
    with pytest.raises(UsageError, match=r"2\.csv"):
        d.run()
    assert d.rows("accession") == [("S23-9",)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "1.csv is empty"),
        (b"PK\x03\x04" + bytes(100), "is no workbook that can be read"),
        (b"%PDF-1.7\n", "in no report format that is known"),
        (b",,\n", "has no head row"),
    ],
)
def test_files_that_are_no_export(desk: Callable[[str], Desk], write: Write, content: bytes, message: str) -> None:
    d = desk(ONE)
    write("lis/1.csv", content)
    with pytest.raises(UsageError, match=message):
        d.run()


def test_a_file_with_only_heads_has_no_reports(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv")
    assert (d.run().rows, d.found()) == (0, [])


def test_nul_bytes_do_not_stop_an_import(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1\x00,P1,,,,癌\x00转移")
    d.run()
    assert d.rows("accession", "diagnosis") == [("S23-1", "癌转移")]


def test_a_source_that_is_not_there(desk: Callable[[str], Desk]) -> None:
    with pytest.raises(InputOutputError, match="no such file"):
        desk(ONE).run()


def test_a_file_that_no_source_names(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P1,,,,")
    with pytest.raises(UsageError, match=r"x\.csv belongs to no report source"):
        d.run(d.export("elsewhere/x.csv", "S23-2,P1,,,,"))


def test_a_file_that_may_not_be_read(desk: Callable[[str], Desk], monkeypatch: pytest.MonkeyPatch) -> None:
    d = desk(ONE)
    path = d.export("lis/1.csv", "S23-1,P1,,,,")

    opens = Path.open

    def refuse(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name == "1.csv":
            raise PermissionError
        return opens(self, *arguments, **more)

    monkeypatch.setattr(Path, "open", refuse)  # a mode would not stop root
    with pytest.raises(InputOutputError, match=r"1\.csv cannot be read \(PermissionError\)"):
        d.run(path)


def test_a_workspace_in_another_place_gives_the_same_reports(desk: Callable[[str], Desk], tmp_path: Path) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P1,,,,", "S23-1,P1,冰冻,,,")
    d.run()
    before = d.rows("report_id")
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    os.rename(tmp_path, moved)  # noqa: PTH104
    workspace = load_workspace(moved / "pathcurate.yaml")
    import_reports(workspace)
    assert [(row["report_id"],) for row in Catalog(workspace.catalog).read(REPORTS).to_pylist()] == before


# ---- findings in the catalog ----


def finding(stage: str, rule: str, site: str | None = None, subject: str | None = None) -> Finding:
    return Finding(rule, Severity.WARNING, "m", stage=stage, site=site, subject=subject)


def test_a_stage_replaces_its_own_findings(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    record_findings(
        catalog, "scan", [finding("scan", "scan.a", "NB01"), finding("scan", "scan.a", "NB02"), finding("scan", "scan.b")]
    )
    record_findings(catalog, "link", [finding("link", "link.a", "NB01", "S-1")])
    record_findings(catalog, "scan", [finding("scan", "scan.c", "NB01")], sites=["NB01"])
    assert [(item.rule, item.site) for item in read_findings(catalog, "scan")] == [("scan.a", "NB02"), ("scan.c", "NB01")]
    assert read_findings(catalog, "link") == [finding("link", "link.a", "NB01", "S-1")]
    record_findings(catalog, "scan", [])
    assert [item.stage for item in read_findings(catalog)] == ["link"]


def test_a_finding_comes_back_whole(tmp_path: Path) -> None:
    item = Finding(
        "scan.x", Severity.ERROR, "said", stage="scan", site="NB01", table="slides", column="stain", subject="S-1", count=7
    )
    record_findings(Catalog(tmp_path), "scan", [item])
    assert read_findings(Catalog(tmp_path)) == [item]


def test_two_reports_with_one_number_are_told_also_across_files_until_one_is_withdrawn(desk: Callable[[str], Desk]) -> None:
    d = desk(ONE)
    d.export("lis/1.csv", "S23-1,P,常规,,2023-01-01,a", "S23-1,P,补充报告,,2023-01-02,more", "S23-2,P,常规,,2023-01-01,c")
    second = d.export("lis/2.csv", "S23-0001,P,常规,,2023-02-01,b")
    d.run()
    (current,) = [name for name, text in d.rows("report_id", "diagnosis") if text == "b"]
    assert [item for item in d.found() if item[0] == "reports.same_number"] == [("reports.same_number", current)]
    d.run(second)
    assert [rule for rule, _ in d.found()].count("reports.same_number") == 1
    d.export("lis/2.csv", "S23-0001,P,常规,作废,2023-02-01,b")
    d.run(second)
    assert "reports.same_number" not in [rule for rule, _ in d.found()]
