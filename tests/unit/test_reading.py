"""Reading what reports say: the same tables whoever reads, findings for what cannot be, labels that change."""

import pyarrow as pa
import pytest

from pathcurate.engines.embedded import Embedded
from pathcurate.findings import read_findings
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.report import REPORTS
from pathcurate.reports import import_reports, reading
from pathcurate.tables import Catalog
from pathcurate.workspace import load_workspace

HEADS = "病理号,住院号,报告日期,报告类型,病理诊断,免疫组化"
DIAGNOSIS = (
    "（左乳）浸润性癌，非特殊型，Ⅱ级，大小2×1×1cm。pT1N0M0",
    "（胃窦）低分化腺癌；淋巴结（3/12）见癌转移",
    "（结肠）管状腺瘤",
    "（右肺）未见癌",
    "（右肺）考虑为腺癌",
)


@pytest.fixture
def workspace(write):
    file = write("pathcurate.yaml", "workspace: 1\nname: t\nsites: [{code: NB01, reports: [{path: 'lis/*'}]}]\n")
    return load_workspace(file)


def rows_of(numbers):
    return [f"S23-{number:05d},P{number},2023-01-01,,{DIAGNOSIS[number % 5]}，{number},ER（+）" for number in numbers]


def tables(workspace):
    catalog = Catalog(workspace.catalog)
    return [catalog.read(table).to_pylist() for table in (REPORTS, DIAGNOSES, IHC_RESULTS)]


def test_any_number_of_workers_and_any_order_of_rows_give_the_same(workspace, write, tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_FEW", 10)
    monkeypatch.setattr(reading, "_BATCH_ROWS", 16)
    expected = None
    for workers, numbers in ((0, range(60)), (1, range(60)), (2, range(60)), (2, reversed(range(60)))):
        write("lis/a.csv", "\n".join([HEADS, *rows_of(numbers), ""]))
        catalog = workspace.root / "catalog"
        if catalog.exists():
            catalog.rename(tmp_path / f"catalog{workers}{numbers!r:.9}")
        if workers:
            with Embedded(workers=workers, temp_directory=tmp_path / "tmp") as engine:
                import_reports(workspace, engine)
        else:
            import_reports(workspace)
        found = [sorted(({**row, "source_row": 0} for row in rows), key=repr) for rows in tables(workspace)]
        assert len(found[0]) == 60
        expected = expected or found
        assert found == expected


def test_a_report_that_cannot_be_read_costs_no_other(workspace, write, monkeypatch):
    understand = reading.understanding.understand

    def fail_once(texts, coder):
        if "低分化" in texts["diagnosis"]:
            raise RuntimeError("王小明")
        return understand(texts, coder)

    monkeypatch.setattr(reading.understanding, "understand", fail_once)
    write("lis/a.csv", "\n".join([HEADS, *rows_of(range(3)), ""]))
    import_reports(workspace)
    (finding,) = [one for one in read_findings(Catalog(workspace.catalog), "reports") if one.rule == "reports.unreadable"]
    assert "王小明" not in finding.message
    reports, diagnoses, _ = tables(workspace)
    assert {row["icdo3_morphology"] for row in reports} == {"8500/3", None, "8211/0"}
    assert finding.subject not in {row["report_id"] for row in diagnoses}
    # When something is read again, so is that report.
    monkeypatch.setattr(reading.understanding, "understand", understand)
    write("lis/b.csv", "\n".join([HEADS, *rows_of([7]), ""]))
    assert [one for one in import_reports(workspace).findings if one.rule == "reports.unreadable"] == []
    assert "8140/3" in {row["icdo3_morphology"] for row in tables(workspace)[0]}


def test_a_change_of_any_shipped_word_list_reads_everything_again(monkeypatch):
    before = reading.rules_digest(None)
    monkeypatch.setattr(reading, "shipped_digest", lambda: "another list of markers")
    assert reading.rules_digest(None) != before


def test_a_kernel_that_is_lost_gives_a_finding():
    batch = pa.RecordBatch.from_pylist([{"report_id": "R-1", "site": "NB01"}])
    (row,) = reading.lost_report(batch, "timeout").to_pylist()
    assert row["faults"] == ["unreadable"]
    assert row["diagnoses"] is None


def test_contradictions_stand_until_the_report_is_corrected(workspace, write):
    line = "S23-1,P1,2023-01-01,,（胃）腺癌；淋巴结（0/15）见癌转移,"
    write("lis/a.csv", f"{HEADS}\n{line}\nS23-2,P2,2023-01-01,,（胃）腺癌,\n")

    def rules():
        return [one.rule for one in import_reports(workspace).findings]

    assert rules() == ["reports.nodes_against_words"]
    assert rules() == ["reports.nodes_against_words"]
    write("lis/a.csv", f"{HEADS}\n{line.replace('（0/15）见', '（0/15）未见')}\nS23-2,P2,2023-01-01,,（胃）腺癌,\n")
    assert rules() == []


def test_an_amendment_shows_as_a_changed_label(workspace, write):
    write(
        "lis/a.csv",
        f"{HEADS}\nS23-1,P1,2023-01-01,,（左乳）导管原位癌,\nS23-1,P1,2023-02-01,更正报告,（左乳）浸润性导管癌，Ⅱ级,\n",
    )
    (finding,) = [one for one in import_reports(workspace).findings if one.rule == "reports.changed_label"]
    reports, diagnoses, _ = tables(workspace)
    first, second = sorted(reports, key=lambda row: row["case_order"])
    assert (first["icdo3_morphology"], first["is_current"]) == ("8500/2", False)
    assert (second["icdo3_morphology"], second["is_current"], second["replaces"]) == ("8500/3", True, first["report_id"])
    assert finding.subject == second["report_id"]
    assert "icdo3_morphology" in finding.message
    assert "grade" not in finding.message
    assert {row["report_id"] for row in diagnoses} == {first["report_id"], second["report_id"]}
