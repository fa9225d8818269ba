"""The reports of a case: their order, which are current, which takes the place of which, and which stands for the case."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pathcurate.findings import read_findings
from pathcurate.model.report import REPORTS, precedence
from pathcurate.reports import import_reports
from pathcurate.reports.order import with_order
from pathcurate.tables import Catalog, conform, from_rows
from pathcurate.workspace import load_workspace

Write = Callable[[str, str | bytes], Path]
HEADS = "病理号,住院号,报告类型,报告状态,报告日期,病理诊断"
FILES = ("pathcurate.yaml", "workspace: 1\nname: t\nsites: [{code: NB01, reports: [{path: 'lis/*.csv'}]}]\n")


@pytest.fixture
def import_of(write: Write) -> Callable[..., list[dict[str, Any]]]:
    """Import daily exports; the reports of all, in order. A line is ``kind,status,date,diagnosis`` of case S23-1."""

    def run(*exports: str) -> list[dict[str, Any]]:
        workspace = load_workspace(write(*FILES))
        for number, export in enumerate(exports, start=1):
            lines = [f"S23-1,P,{line}" for line in export.split(";")]
            write(f"lis/{number}.csv", "\n".join([HEADS, *lines, ""]))
        import_reports(workspace)
        rows = Catalog(workspace.catalog).read(REPORTS).to_pylist()
        return sorted(rows, key=lambda row: row["case_order"])

    return run


def told(rows: list[dict[str, Any]]) -> list[str]:
    """Each report in order: its text (``x`` after it if withdrawn, ``*`` if current), and what it replaces."""
    texts = {row["report_id"]: row["diagnosis"] for row in rows}
    marks = {"withdrawn": "x", "preliminary": "~", "final": ""}
    return [
        f"{row['diagnosis']}{marks[row['status']]}{'*' if row['is_current'] else ''}"
        + (f">{texts[row['replaces']]}" if row["replaces"] else "")
        for row in rows
    ]


PRIMARY, AMENDED = "常规,,2023-01-01,p", "更正报告,,2023-01-05,a"


@pytest.mark.parametrize(
    ("exports", "expected"),
    [
        ([PRIMARY], ["p*"]),
        # Kinds are kept apart and ordered by time; at one moment by the order in which they are written.
        (
            ["补充报告,,2023-01-01,s;常规,,2023-01-01,p;冰冻,,2023-01-01,f;细胞学,,2022-12-30,c;会诊,,2023-01-01,k"],
            ["c*", "f*", "p*", "k*", "s*"],
        ),
        # An amended report takes the place of the primary one before it, of an amended one before that, and of no later one.
        ([f"{PRIMARY};{AMENDED}"], ["p", "a*>p"]),
        ([f"{AMENDED};{PRIMARY};更正报告,,2023-01-09,b"], ["p", "a>p", "b*>a"]),
        ([f"{AMENDED};常规,,2023-01-06,q"], ["a*", "q*"]),
        ([f"常规,,2023-01-02,o;{PRIMARY};{AMENDED}"], ["p", "o", "a*>o"]),
        # Without a date it is later than what it amends.
        ([f"更正报告,,,a;{PRIMARY}"], ["p", "a*>p"]),
        (["更正报告,,,a;常规,,,p"], ["p", "a*>p"]),
        # Where there is no primary report it amends what there is; a supplement stays beside a primary report.
        (["细胞学,,2023-01-01,c;更正报告,,2023-01-02,a"], ["c", "a*>c"]),
        (["冰冻,,2023-01-01,f;补充报告,,2023-01-02,s;更正报告,,2023-01-03,a"], ["f*", "s", "a*>s"]),
        ([f"{PRIMARY};补充报告,,2023-01-03,s;{AMENDED}"], ["p", "s*", "a*>p"]),
        # An amended report that is withdrawn gives the place back.
        ([f"{PRIMARY};更正报告,作废,2023-01-05,a"], ["p*", "ax>p"]),
        ([f"{PRIMARY};{AMENDED};更正报告,作废,2023-01-09,b"], ["p", "a*>p", "bx>a"]),
        ([f"{PRIMARY};更正报告,作废,2023-01-05,a;更正报告,,2023-01-09,b"], ["p", "ax>p", "b*>p"]),
        (["常规,作废,2023-01-01,p;更正报告,,2023-01-05,a"], ["px", "a*"]),
        # What is not signed takes the place of nothing that is.
        ([f"{PRIMARY};更正报告,初步报告,2023-01-05,a"], ["p*", "a~>p"]),
        (["常规,初步报告,2023-01-01,p;更正报告,初步报告,2023-01-05,a"], ["p~", "a~*>p"]),
        ([f"{PRIMARY};{AMENDED};更正报告,,2023-01-09,b", "更正报告,初步报告,2023-02-01,c"], ["p", "a>p", "b*>a", "c~>b"]),
        # The final report takes the place of the preliminary one.
        (["常规,初步报告,2023-01-01,d;常规,,2023-01-03,p"], ["d~", "p*>d"]),
        # Overlapping exports: the same report is one row; changed, it is another version.
        ([PRIMARY, PRIMARY], ["p*"]),
        ([PRIMARY, "常规,,2023-01-01,q"], ["p", "q*>p"]),
        ([f"{PRIMARY};{AMENDED}", f"{PRIMARY};更正报告,,2023-01-05,b"], ["p", "a>p", "b*>a"]),
        # A report that is exported again as withdrawn is withdrawn, in whatever version; another one is not.
        ([PRIMARY, "常规,作废,2023-01-01,p"], ["p", "px>p"]),
        ([PRIMARY, "常规,,2023-01-01,q", "常规,作废,2023-01-01,q"], ["p", "q>p", "qx>q"]),
        ([PRIMARY, "常规,作废,2023-01-08,p"], ["p", "px>p"]),
        ([PRIMARY, "常规,作废,2023-01-08,q"], ["p*", "qx"]),
        ([f"{PRIMARY};{AMENDED}", "更正报告,作废,2023-01-05,a"], ["p*", "a>p", "ax>a"]),
        # A preliminary export that comes later does not undo the final one.
        ([PRIMARY, "常规,初步报告,2023-01-01,d"], ["d~", "p*>d"]),
    ],
)
def test_the_reports_of_a_case(
    import_of: Callable[..., list[dict[str, Any]]], exports: list[str], expected: list[str]
) -> None:
    assert told(import_of(*exports)) == expected


@pytest.mark.parametrize(
    ("exports", "text"),
    [
        ([f"{PRIMARY};{AMENDED}"], "a"),
        ([f"{PRIMARY};补充报告,,2023-02-01,s;{AMENDED}"], "a"),
        ([f"{PRIMARY};更正报告,作废,2023-01-05,a"], "p"),
        ([f"{AMENDED};常规,,2023-01-06,q"], "q"),
        ([f"更正报告,,,a;{PRIMARY}"], "a"),
        (["冰冻,,2023-01-09,f;更正报告,,2023-01-03,a"], "a"),
        ([PRIMARY, "常规,,2023-01-01,q"], "q"),
    ],
)
def test_the_report_that_stands_for_the_case(
    import_of: Callable[..., list[dict[str, Any]]], exports: list[str], text: str
) -> None:
    assert max(import_of(*exports), key=precedence)["diagnosis"] == text


@pytest.mark.parametrize(
    ("exports", "count"),
    [
        ([f"{PRIMARY};常规,,2023-01-09,q"], 2),
        ([PRIMARY, "常规,,2023-01-09,q"], 2),
        ([f"{PRIMARY};常规,,2023-01-09,q;{AMENDED}"], 2),
        ([f"{PRIMARY};常规,,2023-01-01,q"], 2),
        # Versions of one report are one report.
        ([PRIMARY, "常规,,2023-01-01,q"], 0),
        (["常规,初步报告,2023-01-01,d;常规,,2023-01-09,q"], 0),
        ([f"{PRIMARY};{AMENDED}"], 0),
        ([f"{PRIMARY};常规,,2023-01-09,q", "常规,作废,2023-01-09,q"], 0),
    ],
)
def test_two_primary_reports_of_one_number_are_a_finding(
    import_of: Callable[..., list[dict[str, Any]]], write: Write, exports: list[str], count: int
) -> None:
    import_of(*exports)
    found = read_findings(Catalog(load_workspace(write(*FILES)).catalog), "reports")
    assert [finding.count for finding in found if finding.rule == "reports.same_number"] == ([count] if count else [])


def row(number: int, **values: object) -> Mapping[str, Any]:
    return {
        "report_id": f"R-{number}", "site": "NB01", "accession": "S23-1", "report_type": "primary", "status": "final",
        "source_file": "a.csv", "source_row": number, "patient_id": "P", **values,
    }  # fmt: skip


def test_two_patients_reports_are_no_versions_of_one_report() -> None:
    rows = [row(1, text_digest="same"), row(2, text_digest="same", patient_id="Q", source_file="b.csv")]
    table = with_order(conform(REPORTS, from_rows(REPORTS, rows)))
    assert table["replaces"].to_pylist() == [None, None]


def test_reports_without_texts_are_no_versions_because_of_that() -> None:
    from datetime import datetime

    rows = [row(1, reported_date=datetime(2023, 1, 1)), row(2, reported_date=datetime(2023, 1, 2))]  # noqa: DTZ001
    assert with_order(from_rows(REPORTS, rows))["replaces"].to_pylist() == [None, None]


def test_one_number_at_two_sites_is_two_cases() -> None:
    rows = [row(1), row(2, site="NB02"), row(3, accession="S23-2"), row(4, status="withdrawn", accession="S23-3")]
    table = with_order(from_rows(REPORTS, rows))
    assert table["case_order"].to_pylist() == [1, 1, 1, 1]
    assert table["is_current"].to_pylist() == [True, True, True, False]


def test_no_report_at_all() -> None:
    assert with_order(from_rows(REPORTS, [])).num_rows == 0
