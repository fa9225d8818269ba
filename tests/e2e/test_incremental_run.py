"""A second run does nothing and says so; every change runs just what depends on it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pathcurate.demo.slides import write_svs
from tests.commandline import pathcurate

RECIPE = "demo_he_2023"
pytestmark = pytest.mark.usefixtures("kernels_here")


def _run(workspace: Path, *more: str, code: int = 0) -> dict[str, Any]:
    recipe = workspace / "recipes" / f"{RECIPE}.yaml"
    done = pathcurate("run", recipe, "-w", workspace, "--json", *more)
    assert done.returncode == code, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def finished(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = tmp_path_factory.mktemp("incremental") / "hospital"
    shutil.copytree(run_hospital, workspace, symlinks=True)
    # The facts of a run name files by their path, and this is another.
    assert _run(workspace)["changed"]
    return workspace


@pytest.fixture
def workspace(finished: Path, tmp_path: Path) -> Iterator[Path]:
    # Moved, not copied, for the same reason.
    shutil.copytree(finished, tmp_path / "kept", symlinks=True)
    yield finished
    shutil.rmtree(finished)
    shutil.copytree(tmp_path / "kept", finished, symlinks=True)


def _everything(workspace: Path) -> dict[str, bytes]:
    # Who holds the lock, and that a scan took place, is written down whatever it finds.
    notes = {".lock", "scans.jsonl", "_made_of.json"}
    files = (path for path in workspace.rglob("*") if path.is_file() and path.name not in notes)
    return {str(path.relative_to(workspace)): path.read_bytes() for path in files}


def test_second_run_changes_no_file_and_says_so(workspace: Path) -> None:
    before = _everything(workspace)
    result = _run(workspace)
    assert result["changed"] is False
    assert set(result["stages"]) == {"scan"}
    assert _everything(workspace) == before


def _new_report(workspace: Path) -> None:
    path = workspace / "hospital" / "NB01" / "lis" / "reports_2023.csv"
    text = path.read_bytes().decode("gb18030")
    head = text.splitlines()[0].split(",")
    row = {
        "病理号": "S23-09999", "姓名": "新来者", "性别": "女", "年龄": "50岁", "住院号": "09999999", "报告类型": "常规",
        "报告状态": "已审核",
    }  # fmt: skip
    path.write_bytes((text + ",".join(row.get(name, "") for name in head) + "\r\n").encode("gb18030"))


def _new_slide(workspace: Path) -> None:
    path = workspace / "hospital" / "NB01" / "slides" / "S23-08888-HE.svs"
    write_svs(path, seed=99, size=(600, 500), description={"AppMag": "40", "MPP": "0.25"}, label_lines=())


def _touched_consent(workspace: Path) -> None:
    path = workspace / "hospital" / "consent.csv"
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize(
    ("change", "runs", "skips"),
    [
        (_new_report, {"reports", "link", "deid"}, {"permissions", "events"}),
        (_new_slide, {"link", "deid"}, {"reports", "permissions", "events"}),
        (_touched_consent, {"permissions"}, {"reports", "link", "events"}),
    ],
    ids=["report", "slide", "consent"],
)
def test_a_change_runs_what_depends_on_it(
    workspace: Path, change: Callable[[Path], None], runs: set[str], skips: set[str]
) -> None:
    change(workspace)
    result = _run(workspace)
    assert result["changed"] is True
    assert runs <= set(result["stages"])
    assert skips <= set(result["skipped"])
    assert _run(workspace)["changed"] is False


def test_what_was_damaged_in_between_is_made_again(workspace: Path) -> None:
    (workspace / "deid" / "slides.parquet").write_bytes(b"PAR1")
    assert "deid" in _run(workspace)["stages"]
    shutil.rmtree(workspace / "cohorts")
    assert f"cohort {RECIPE}" in _run(workspace)["stages"]


def test_a_changed_release_is_not_passed_over(workspace: Path) -> None:
    report = workspace / "releases" / RECIPE / "1.0.0" / "report.html"
    report.chmod(0o644)
    report.write_bytes(report.read_bytes() + b" ")
    _run(workspace, code=4)


def test_fresh_runs_every_stage_to_the_same_release(workspace: Path) -> None:
    before = (workspace / "releases" / RECIPE / "1.0.0" / "manifest-sha256.txt").read_bytes()
    result = _run(workspace, "--fresh")
    assert result["skipped"] == []
    assert (workspace / "releases" / RECIPE / "1.0.0" / "manifest-sha256.txt").read_bytes() == before


def _edit(workspace: Path, old: str, new: str) -> None:
    file = workspace / "pathcurate.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


_LISTS = "permissions:\n  - {path: hospital/consent.csv}\n  - {path: hospital/opt_out.csv, max_age_days: 3650}\n"


def test_permission_lists_that_are_taken_away_do_not_open_the_archive(workspace: Path) -> None:
    _edit(workspace, _LISTS, "")
    _run(workspace, "--no-permissions", code=13)
    # Taking them away on purpose is an import of its own; when they come back, they decide again.
    assert pathcurate("permissions", "import", "-w", workspace).returncode == 0
    _run(workspace, "--no-permissions", code=5)
    (workspace / "pathcurate.yaml").write_text(
        (workspace / "pathcurate.yaml").read_text(encoding="utf-8") + _LISTS, encoding="utf-8"
    )
    result = _run(workspace, "--no-permissions")
    assert f"cohort {RECIPE}" in result["stages"]
    assert result["counts"]["slides"] == 18


def test_a_table_that_is_given_to_another_site_is_read_again(workspace: Path) -> None:
    file = workspace / "pathcurate.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    first, second, _ = settings["sites"]
    second["events"] = first.pop("events")
    file.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")
    # No file has changed, only whose it is: the patients of one site are not those of the other.
    assert {"events", "deid"} <= set(_run(workspace)["stages"])


def test_a_table_that_is_taken_out_takes_its_rows_along(workspace: Path) -> None:
    file = workspace / "pathcurate.yaml"
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    del settings["sites"][0]["events"]
    file.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")
    assert "events" in _run(workspace)["stages"]
    assert set(pq.read_table(workspace / "deid" / "events.parquet")["site"].to_pylist()) == {"NB03"}
    assert _run(workspace)["changed"] is False


def test_another_key_is_refused(workspace: Path) -> None:
    (workspace / "vault" / "key").write_bytes(bytes(32))
    _run(workspace, code=11)
