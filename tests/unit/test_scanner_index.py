"""The table of a scanner or picture archive: which file shows which case, as it was exported."""

# ruff: noqa: DTZ001  scanners give local time

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import UsageError
from pathcurate.model.material import SCANNER_INDEX
from pathcurate.scanner_index import import_index
from pathcurate.sources import ImportSummary
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace, load_workspace

HEADS = "文件路径,条码,病理号,住院号,蜡块号,染色,扫描时间"


def make(root: Path, *rows: str, heads: str = HEADS, name: str = "index.csv", encoding: str = "gb18030") -> Workspace:
    (root / name).write_bytes("\n".join([heads, *rows, ""]).encode(encoding))
    text = "workspace: 1\nname: w\nsites:\n  - {code: NB01, index: [{path: 'index*'}]}\n  - {code: NB02}\n"
    (root / "pathcurate.yaml").write_text(text)
    return load_workspace(root / "pathcurate.yaml")


def entries(workspace: Workspace) -> list[dict[str, Any]]:
    return list(Catalog(workspace.catalog).read(SCANNER_INDEX).to_pylist())


def rules(summary: ImportSummary) -> dict[tuple[str, str | None], int]:
    return {(finding.rule.partition(".")[2], finding.column): finding.count for finding in summary.findings}


def test_every_column_of_a_row(tmp_path: Path) -> None:
    heads = "存储库,文件路径,切片条码,病理号,住院号,蜡块号,染色,扫描时间"
    workspace = make(
        tmp_path, r"主库,\\PATH-SRV\wsi\2023\张三 A1.svs,Q01,S23-00123,0012,A1,H&E,20230406 01:02:03", heads=heads
    )
    assert rules(import_index(workspace)) == {}
    (row,) = entries(workspace)
    assert row.pop("entry_id").startswith("N-")
    assert row == {
        "site": "NB01", "archive": "主库", "path": r"\\PATH-SRV\wsi\2023\张三 A1.svs", "barcode": "Q01",
        "accession": "S23-123", "accession_raw": "S23-00123", "patient_id": "0012", "specimen": "A", "block": "1",
        "stain_raw": "H&E", "stain": "HE",
        "scanned_date": datetime(2023, 4, 6, 1, 2, 3), "source_file": "index.csv", "source_row": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        r"D:\scan\2023\a.kfb", r"\\10.0.0.8\病理科\S23-1\a.svs", "/mnt/wsi/a b.svs", "a.svs", "smb://srv/x/a.svs",
        r"a\b/c.mrxs",
        "=cmd|' /C calc'!A0", "../../etc/passwd", "a" * 5000, "e\u0301.svs", "\u202egvs.exe",
    ],
)  # fmt: skip
def test_a_path_stays_as_it_was_exported(tmp_path: Path, path: str) -> None:
    workspace = make(tmp_path, f'"{path}",,S23-00123,,,,', encoding="utf-8")
    assert rules(import_index(workspace)) == {}
    assert [row["path"] for row in entries(workspace)] == [path]


def test_the_case_of_a_row_without_one_stands_in_its_barcode(tmp_path: Path) -> None:
    workspace = make(tmp_path, "a.svs,S23-00123-B2-1", "b.svs,0012345678", "c.svs,S2300124-A1", heads="文件名,条码")
    assert rules(import_index(workspace)) == {}
    found = [(row["accession"], row["accession_raw"], row["specimen"], row["block"]) for row in entries(workspace)]
    assert found == [("S23-123", None, "B", "2"), (None, None, None, None), ("S23-124", None, "A", "1")]


def test_rows_that_cannot_be_used_are_counted_and_say_nothing(tmp_path: Path) -> None:
    secret = "龘靐齉77301942"
    workspace = make(
        tmp_path, f",,{secret},{secret},,,", f"{secret}.svs,,,,,,2023-01-01",
        f"{secret}.svs,1.10105E+17,S23-1,0,A1A2,{secret},{secret}",
        f"{secret},Q1", f"{'x' * 100_000},,S23-1,,,,", f"{'y' * 100_000},{'z' * 100_000},S23-1,,,,",
        "a.svs,Q1,S23-1,,,,", "a.svs,Q1,S23-1,,,,",
    )  # fmt: skip
    summary = import_index(workspace)
    assert rules(summary) == {
        ("no_file", None): 3, ("empty_row", None): 1, ("row_misfit", None): 1, ("ruined_number", "barcode"): 1,
        ("not_understood", "patient_id"): 1, ("not_understood", "block"): 1, ("unknown_stain", "stain"): 1,
        ("not_understood", "scanned_date"): 1, ("not_understood", "path"): 2, ("not_understood", "barcode"): 1,
        ("repeated_row", None): 1,
    }  # fmt: skip
    assert summary.total == 2
    assert secret not in json.dumps([finding.as_dict() for finding in summary.findings], ensure_ascii=False)


def test_an_export_that_is_made_again_changes_nothing(tmp_path: Path) -> None:
    rows = [f"{name}.svs,Q{name},S23-0012{name},,,," for name in "1234"]
    workspace = make(tmp_path, *rows)
    import_index(workspace)
    before = {row["entry_id"]: row["path"] for row in entries(workspace)}
    make(tmp_path, *reversed(rows), encoding="utf-16")
    # The next export holds the old files too, under another head and with a column that nobody knows.
    make(tmp_path, *(f"{row},x" for row in rows), heads=HEADS.replace("文件路径", "路径") + ",备用", name="index2.csv")
    assert rules(import_index(workspace)) == {("repeated_in_file", None): 4, ("unknown_column", None): 1}
    assert {row["entry_id"]: row["path"] for row in entries(workspace)} == before


def test_a_file_that_was_scanned_again_or_filed_anew_is_two_entries(tmp_path: Path) -> None:
    workspace = make(
        tmp_path, "a.svs,Q1,S23-00123,,,,2023-01-01", "a.svs,Q1,S23-00123,,,,2024-01-01", "a.svs,Q1,S23-00124,,,,"
    )
    import_index(workspace)
    assert len({row["entry_id"] for row in entries(workspace)}) == 3


@pytest.mark.parametrize(
    ("heads", "words"),
    [
        ("病理号,扫描时间", "the file or its barcode"),
        ("文件路径,扫描时间", "what its files show"),
        ("甲,乙", "the file or its barcode"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path: Path, heads: str, words: str) -> None:
    workspace = make(tmp_path, "a,b", heads=heads)
    with pytest.raises(UsageError, match=words):
        import_index(workspace)


def test_a_file_that_no_source_names(tmp_path: Path) -> None:
    workspace = make(tmp_path, "a.svs,,S23-1,,,,")
    (tmp_path / "other.csv").write_text("x")
    with pytest.raises(UsageError, match=r"other\.csv belongs to no index source") as caught:
        import_index(workspace, only=[tmp_path / "other.csv"])
    assert "`index:` of its site" in str(caught.value.hint)
