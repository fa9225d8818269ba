"""The one table of all benchmarks."""

import json
from pathlib import Path

import pytest

from tests.bench.rows import ROWS_FILE, Row, read_rows, record
from tests.bench.table import SCRIPTS, main

HERE = Path(__file__).resolve().parents[1] / "bench"
SCRIPT = """
import sys
sys.path.insert(0, {root!r})
from tests.bench.rows import Row, record
record(Row("读一份导出", 2000.0, "rows/s", 500.0, "a peer", 1000.0))
record(Row("look up", 3.0, "s", wanted=1.0, at_least=False, peak_bytes=5_000_000))
print("what it says")
"""


def test_rows_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row("a", 1.0, "s", 2.0, "b", 3.0, at_least=False, peak_bytes=4), Row("一", None, "rows/s")]
    monkeypatch.setenv(ROWS_FILE, str(tmp_path / "rows"))
    for row in rows:
        record(row)
    assert read_rows(tmp_path / "rows") == rows


def test_without_a_file_nothing_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ROWS_FILE, raising=False)
    monkeypatch.chdir(tmp_path)
    record(Row("a", 1.0, "s"))
    assert list(tmp_path.iterdir()) == []
    assert read_rows(tmp_path / "rows") == []


@pytest.mark.parametrize(
    ("row", "ratio", "is_met"),
    [
        (Row("a", 10.0, "rows/s", 5.0, "b", 8.0), 2.0, True),
        (Row("a", 10.0, "rows/s", 20.0, "b", 11.0), 0.5, False),
        (Row("a", 10.0, "s", 5.0, "b", 8.0, at_least=False), 0.5, False),
        (Row("a", 10.0, "s", 20.0, "b", 10.0, at_least=False), 2.0, True),
        (Row("a", None, "s", 20.0, "b", 10.0, at_least=False), None, False),
        (Row("a", 10.0, "s"), None, None),
    ],
)
def test_more_than_one_is_a_win_whichever_way_a_figure_counts(row: Row, ratio: float | None, is_met: bool | None) -> None:
    assert row.ratio == ratio
    assert row.is_met is is_met


def test_a_script_that_fails_is_told_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.py").write_text(SCRIPT.format(root=str(HERE.parents[1])), encoding="utf-8")
    (tmp_path / "bad.py").write_text("raise SystemExit('the disk is full')", encoding="utf-8")
    (tmp_path / "silent.py").write_text("print(1)", encoding="utf-8")
    told = tmp_path / "all.json"
    assert main(["--only", "bad", "good", "silent", "--json", str(told)], tmp_path) == 1
    shown = capsys.readouterr().out
    lines = {line.split(" | ")[0].strip("| "): line for line in shown.splitlines() if line.startswith("|")}
    assert "did not run: exit code 1: the disk is full" in shown
    assert "what it says" in shown
    assert "| 4.00 " in lines["读一份导出"]
    assert "at least 1,000: kept" in lines["读一份导出"]
    assert "at most 1: MISSED" in lines["look up"]
    assert "5 MB" in lines["look up"]
    assert "silent: see its own output" in lines
    content = json.loads(told.read_text(encoding="utf-8"))
    assert [one["script"] for one in content["scripts"]] == ["bad", "good", "silent"]
    assert content["scripts"][1]["rows"][1]["is_met"] is False
    assert content["machine"]["cores"] >= 1
    assert content["machine"]["memory_bytes"] > 0
    assert set(content["machine"]["versions"]) >= {"pathcurate", "pyarrow", "duckdb"}
    assert main(["--only", "good", "--quiet"], tmp_path) == 0
    assert "what it says" not in capsys.readouterr().out


def test_every_script_of_the_table_is_there() -> None:
    assert [name for name in SCRIPTS if not (HERE / f"{name}.py").is_file()] == []
