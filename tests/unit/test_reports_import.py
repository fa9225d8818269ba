"""What an import keeps of a report from one time to the next: its identifier, and what was read in its texts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest

from pathcurate import reports
from pathcurate.errors import UsageError
from pathcurate.findings import read_findings
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.reports import import_reports, reading, recognised
from pathcurate.tables import Catalog
from pathcurate.workspace import load_workspace

Write = Callable[[str, str | bytes], Path]
Rows = list[dict[str, Any]]
HEADS = "病理号,住院号,报告日期,病理诊断,标本名称,联系电话,ICD10编码"


class Desk:
    """A workspace with one folder of exports."""

    def __init__(self, write: Write) -> None:
        self.write = write
        self.configure("")

    def configure(self, more: str) -> None:
        file = self.write(
            "pathcurate.yaml", f"workspace: 1\nname: t\nsites: [{{code: NB01, reports: [{{path: 'lis/*'{more}}}]}}]\n"
        )
        self.workspace = load_workspace(file)
        self.catalog = Catalog(self.workspace.catalog)

    def run(self, **exports: str) -> Rows:
        for name, lines in exports.items():
            self.write(f"lis/{name}.csv", "\n".join([HEADS, *lines.split(";"), ""]))
        import_reports(self.workspace)
        return self.rows()

    def rows(self) -> Rows:
        return list(self.catalog.read(REPORTS).to_pylist())


@pytest.fixture
def desk(write: Write) -> Desk:
    return Desk(write)


def only(rows: Rows) -> dict[str, Any]:
    (row,) = rows
    return row


def test_a_mapping_that_is_changed_leaves_the_identifiers(desk: Desk, write: Write) -> None:
    before = desk.run(a="S23-1,P1,,乳腺癌,乳腺,13800138000,;S23-2,P2,,肺癌,肺,13800138001,")
    write("m.yaml", "columns: {reviewer: 联系电话}\n")
    desk.configure(", mapping: m.yaml")
    import_reports(desk.workspace)
    after = desk.rows()
    assert [row["reviewer"] for row in after] == ["13800138000", "13800138001"]
    assert [row["report_id"] for row in after] == [row["report_id"] for row in before]
    assert [row["text_digest"] for row in after] == [row["text_digest"] for row in before]


def test_a_text_digest_follows_texts_organ_specimen_and_kind_alone(desk: Desk) -> None:
    base = "S23-1,P1,2023-01-01,癌,乳腺,,"
    changes = (("", ""), ("S23-1", "S23-2"), ("P1", "P9"), (",,", ",1,"), ("癌", "瘤"), ("乳腺", "肺"))
    lines = [base.replace(old, new) if old else base for old, new in changes]
    digests = [only(desk.run(a=line))["text_digest"] for line in lines]
    assert digests[0].startswith("sha256:")
    assert digests[1:4] == digests[:1] * 3
    assert len(set(digests)) == 3
    assert only(desk.run(a="S23-1,P1,2023-01-01,,乳腺,,"))["text_digest"] is None


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The diagnoses that are read, as they are read."""
    seen: list[str] = []
    kernel = reading.read_reports

    def noted(batch: pa.RecordBatch, spec: reading.ReadingSpec) -> pa.RecordBatch:
        seen.extend(batch["diagnosis"].to_pylist())
        return kernel(batch, spec)

    monkeypatch.setattr(reading, "read_reports", noted)
    return seen


def by_case(rows: Rows) -> dict[str, dict[str, Any]]:
    return {row["accession"]: row for row in rows}


def values(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["organ"], row["icdo3_morphology"], row["grade"], row["icd10"]


def test_what_was_read_is_kept_where_the_texts_are_as_they_were(desk: Desk, read: list[str]) -> None:
    desk.run(a="S23-1,P1,2023-01-01,（左乳）浸润性导管癌，G2,乳腺,,;S23-2,P2,2023-01-01,（肺）腺癌,肺,,")
    read.clear()
    # The file is read again: one text is another, and one row is new.
    rows = by_case(
        desk.run(
            a="S23-3,P3,,（胃）腺癌,,,;S23-1,P1,2023-01-01,（左乳）浸润性导管癌，G2,乳腺,,;S23-2,P2,2023-01-01,（肺）鳞癌,肺,,"
        )
    )
    assert sorted(read) == sorted(["（胃）腺癌", "（肺）鳞癌"])
    assert values(rows["S23-1"]) == ("breast", "8500/3", "G2", None)
    assert values(rows["S23-2"]) == ("lung", "8070/3", None, None)
    assert values(rows["S23-3"]) == ("stomach", "8140/3", None, None)
    lines = desk.catalog.read(DIAGNOSES, columns=["report_id", "icdo3_morphology"]).to_pylist()
    assert {line["report_id"] for line in lines} == {row["report_id"] for row in rows.values()}
    read.clear()
    assert by_case(desk.run()) == rows
    assert read == []


def test_a_code_that_the_source_gave_is_not_taken_for_one_that_was_read(desk: Desk, read: list[str]) -> None:
    row = only(desk.run(a="S23-1,P1,2023-01-01,（左乳）癌 C50.9,乳腺,,C50.1"))
    assert (row["icd10"], row["source_codes"]) == ("C50.1", ["icd10"])
    row = only(desk.run(a="S23-1,P1,2023-01-01,（左乳）癌 C50.9,乳腺,,"))
    assert (row["icd10"], row["source_codes"]) == ("C50.9", [])
    row = only(desk.run(a="S23-1,P1,2023-01-01,（左乳）癌 C50.9,乳腺,,C50.2"))
    assert (row["icd10"], row["source_codes"]) == ("C50.2", ["icd10"])
    assert len(read) == 3


def test_another_telephone_number_does_not_cost_what_was_read(desk: Desk, read: list[str]) -> None:
    desk.run(a="S23-1,P1,2023-01-01,（左乳）浸润性导管癌，G2,乳腺,,C50.9")
    row = only(desk.run(a="S23-1,P1,2023-01-01,（左乳）浸润性导管癌，G2,乳腺,13800138000,C50.9"))
    assert (*values(row), row["phone"]) == ("breast", "8500/3", "G2", "C50.9", "13800138000")
    assert len(read) == 1


def test_words_of_a_site_are_read_by_and_a_change_of_them_is_seen(desk: Desk, write: Write, read: list[str]) -> None:
    file = write("words.yaml", "morphologies: {8500/3: [暗号癌]}\n")
    text = (desk.workspace.root / "pathcurate.yaml").read_text()
    write("pathcurate.yaml", text.replace("code: NB01,", "code: NB01, vocabulary: words.yaml,"))
    desk.workspace = load_workspace(desk.workspace.root / "pathcurate.yaml")
    assert only(desk.run(a="S23-1,P1,,（左乳）暗号癌,乳腺,,"))["icdo3_morphology"] == "8500/3"
    file.write_text("morphologies: {8520/3: [暗号癌]}\n")
    assert only(desk.run())["icdo3_morphology"] == "8520/3"
    assert len(read) == 2


def test_the_first_of_two_files_is_told_in_a_finding(desk: Desk) -> None:
    desk.run(a="S23-1,P1,,癌,,,;S23-2,P2,,瘤,,,", b="S23-2,P2,,瘤,,,;S23-3,P3,,瘤,,,")
    (finding,) = read_findings(desk.catalog, "reports")
    assert (finding.rule, finding.subject, finding.count) == ("reports.repeated_in_file", "lis/b.csv and lis/a.csv", 1)
    assert [(row["accession"], row["source_file"]) for row in desk.rows()] == [
        ("S23-1", "lis/a.csv"), ("S23-2", "lis/a.csv"), ("S23-3", "lis/b.csv"),
    ]  # fmt: skip


# ---- parsers of many small files ----


def parser(name: str) -> ModuleType:
    """Reads a file whose every line is an accession number; ``?`` is a fault of the file, ``!`` one of the message."""
    module = ModuleType(name)

    def parse(path: Path, site: str, *_: object) -> Iterator[dict[str, Any] | Finding]:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if line == "?":
                raise UsageError(f"{path.name} is damaged", "Send it again.")
            if line == "!":
                yield Finding(
                    "reports.message_damaged", Severity.ERROR, "m", site=site, subject=f"{path.name} message {number}"
                )
            else:
                yield {"site": site, "accession": line, "report_type": "primary", "status": "final", "source_row": number}

    module.__dict__.update(NAME=name, detects=lambda head: True, parse=parse)
    return module


@pytest.fixture
def many(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for module in (reports, recognised):
        monkeypatch.setattr(module, "PARSERS", (parser("hl7"),))
    return desk


def test_one_damaged_file_of_many_keeps_no_other_out(many: Desk) -> None:
    for name, content in {"1.hl7": "S23-1\n!\n", "2.hl7": "S23-2\n?\n", "3.hl7": "S23-3\n!\n"}.items():
        many.write(f"lis/{name}", content)
    summary = import_reports(many.workspace)
    assert [row["accession"] for row in many.rows()] == ["S23-1", "S23-2", "S23-3"]
    expected = [
        ("reports.file_refused", "lis/2.hl7"), ("reports.message_damaged", "lis/1.hl7 message 2"),
        ("reports.message_damaged", "lis/3.hl7 message 2"),
    ]  # fmt: skip
    assert [(finding.rule, finding.subject) for finding in read_findings(many.catalog, "reports")] == expected
    assert "2.hl7 is damaged" in next(item.message for item in summary.findings if item.rule == "reports.file_refused")
    # Neither file is read again as long as it stays so, and both stay findings.
    assert (import_reports(many.workspace).unchanged, len(read_findings(many.catalog, "reports"))) == (3, 3)
    many.write("lis/3.hl7", "S23-3\n")
    many.write("lis/2.hl7", "S23-2\n")
    assert import_reports(many.workspace).files == 2
    assert [finding.subject for finding in read_findings(many.catalog, "reports")] == ["lis/1.hl7 message 2"]


def test_a_new_version_of_a_parser_reads_its_files_again(many: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    many.write("lis/1.hl7", "S23-1\n")
    import_reports(many.workspace)
    assert import_reports(many.workspace).unchanged == 1
    newer = parser("hl7")
    newer.__dict__["VERSION"] = 2
    for module in (reports, recognised):
        monkeypatch.setattr(module, "PARSERS", (newer,))
    assert import_reports(many.workspace).files == 1


def test_another_pattern_of_numbers_reads_the_files_again(desk: Desk, write: Write) -> None:
    desk.run(a="S23-1,P1,,癌,,,")
    text = (desk.workspace.root / "pathcurate.yaml").read_text()
    file = write(
        "pathcurate.yaml", text.replace("code: NB01,", "code: NB01, accession: {patterns: ['(?P<accession>S.*)']},")
    )
    assert import_reports(load_workspace(file)).files == 1
