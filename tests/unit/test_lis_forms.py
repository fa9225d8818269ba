"""Every form of export gives what its answer key says: each cell of it, and nothing else; and what long files do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.parsers import lis
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.lis import EXPORTS, Made

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
OF_EVERY_ROW = {"site", "source_row", "accession_raw", "report_type", "status", "language", "organ", "source_codes"}


def parse(path: Path) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(lis.parse(path, "NB01", PATTERNS, Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


@pytest.mark.parametrize("made", EXPORTS.values(), ids=EXPORTS)
def test_each_form_is_read_as_its_key_says(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "export"
    path.write_bytes(made.content)
    rows, findings = parse(path)
    assert tuple(f.rule for f in findings if f.severity is not Severity.INFO) == made.rules
    assert tuple(f.rule for f in findings if f.severity is Severity.INFO) == made.told
    assert len(rows) == len(made.key)
    for row, key in zip(rows, made.key, strict=True):
        found = {name: value for name, value in row.items() if name not in OF_EVERY_ROW and value is not None}
        if isinstance(found.get("diagnosis"), str):
            found["diagnosis"] = found["diagnosis"].replace("\r\n", "\n")
        assert found == {name: value for name, value in key.items() if value is not None}
    told = " ".join(str(finding.as_dict()) for finding in findings)
    values = {str(value) for key in made.key for value in key.values() if value is not None and len(str(value)) > 2}
    assert not [value for value in values if value in told]


def test_the_file_may_be_as_long_as_it_likes_and_all_rows_of_one_fault_are_two_findings_at_most(write: Write) -> None:
    count = 5000
    text = "病理号,姓名\n" + "S23-1,甲\n,乙\n" * count
    rows, findings = parse(write("a.csv", text))
    assert len(rows) == count
    assert sum(finding.count for finding in findings) == count
    assert len(findings) == 1001
    assert (findings[-1].subject, findings[-1].severity) == ("a.csv", Severity.ERROR)
    assert "each of 4000 more rows" in findings[-1].message


def test_a_slash_that_says_nothing_until_the_end_of_a_long_file(write: Write) -> None:
    def numbers(last: str) -> set[str | None]:
        lines = [f"S23-{number},{number}/7" for number in range(1, 6000)]
        rows, _ = parse(write("a.csv", "病理号,住院号\n" + "\n".join(lines) + f"\nS23-6000,{last}\n"))
        return {row.get("patient_id") for row in rows}

    assert len(numbers("x")) == 6000
    assert numbers("77/") == {None, "77"}, "a number that ends with a slash anywhere says that all of them are two"


def test_what_is_read_does_not_depend_on_the_order_of_the_rows(write: Write) -> None:
    lines = ["S23-1,12/34,甲", "S23-2,/5,乙", "S23-3,,测试", "S23-4||S23-5,7,丙||丁", ",1,戊", "S23-6,1.0,己"]

    def read(of: list[str]) -> list[dict[str, Any]]:
        rows, _ = parse(write("a.csv", "病理号,住院号,姓名\n" + "\n".join(of) + "\n"))
        return sorted(({**row, "source_row": None} for row in rows), key=lambda row: str(row["accession"]))

    assert read(lines) == read(lines[::-1])


def test_two_cases_in_one_cell_are_said(write: Write) -> None:
    rows, findings = parse(write("a.csv", "病理号,姓名\nS23-00001、S23-00002,甲\nS23-00003,乙\nS23-00004-A1 补,丙\n"))
    assert [row["accession"] for row in rows] == ["S23-1", "S23-3", "S23-4"]
    assert [(finding.rule, finding.column) for finding in findings] == [("reports.two_numbers", "accession")]
    assert "imported under the first" in findings[0].message
