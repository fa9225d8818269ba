"""The made-up hospital from end to end, against its answer key, and what happens when the run is disturbed."""

import fcntl
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pathcurate.pseudonyms import internal, product
from tests.commandline import pathcurate

RECIPE = "demo_he_2023"
_RUN = ("run", f"recipes/{RECIPE}.yaml", "--workers", "1")


def _run(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pathcurate", *arguments, "-w", str(workspace)],
        capture_output=True, text=True, check=False, timeout=200, cwd=workspace,
    )  # fmt: skip


@pytest.fixture(scope="module")
def finished(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace after an undisturbed run."""
    workspace = tmp_path_factory.mktemp("finished") / "hospital"
    shutil.copytree(run_hospital, workspace)
    return workspace


@pytest.fixture
def other(hospital: Path, finished: Path) -> Path:
    """The same hospital before its run, with the same key, so that the two can be compared."""
    shutil.copytree(finished / "recipes", hospital / "recipes")
    (hospital / "vault").mkdir(mode=0o700)
    shutil.copy2(finished / "vault" / "key", hospital / "vault" / "key")
    return hospital


def _release(workspace: Path) -> Path:
    return workspace / "releases" / RECIPE / "1.0.0"


def _answers(workspace: Path) -> dict[str, Any]:
    answers: dict[str, Any] = json.loads((workspace / "hospital" / "answers.json").read_bytes())
    return answers


def _released(workspace: Path) -> dict[Path, bytes]:
    """Every file of the release."""
    release = _release(workspace)
    return {path.relative_to(release): path.read_bytes() for path in release.rglob("*") if path.is_file()}


def _key(workspace: Path) -> bytes:
    return (workspace / "vault" / "key").read_bytes()


def _slide_codes(workspace: Path) -> dict[tuple[str, str], str]:
    """(site, path in hex) to the slide's code in the release."""
    inside, outside = internal(_key(workspace)).codes, product(_key(workspace), RECIPE).codes
    snapshot = json.loads(max((workspace / "catalog" / "slides" / "_log").glob("*.json")).read_bytes())
    codes = {}
    for part in snapshot["parts"]:
        for row in pq.read_table(workspace / "catalog" / "slides" / part).to_pylist():
            codes[row["site"], row["relpath"].hex()] = outside.code("S", inside.code("S", row["slide_id"]))
    return codes


def test_one_year_cohort_is_exactly_the_answer_key(finished: Path) -> None:
    answers = _answers(finished)
    permitted = {(p["site"], p["patient"]): p["allowed"] for p in answers["patients"]}
    primary = {(r["site"], r["accession"]): r for r in answers["reports"] if r["type"] == "primary"}
    expected = set()
    for slide in answers["slides"]:
        report = primary.get((slide["site"], slide["accession"]))
        if (
            report is not None
            and slide["status"] == "ok"
            and slide["tier"] in {"exact", "barcode", "metadata", "file_name"}
            and permitted[slide["site"], slide["patient"]]
            and slide["stain"] == "HE"
            and report["received"].startswith("2023-")
            and report["age"] >= 18
            and not slide["is_control"]
        ):
            expected.add((slide["site"], slide["relpath_hex"]))
    codes = _slide_codes(finished)
    released = pq.read_table(_release(finished) / "data" / "slides.parquet").to_pylist()
    assert len(expected) > 10
    assert {row["slide_id"] for row in released} == {codes[place] for place in expected}
    scanned = {codes[slide["site"], slide["relpath_hex"]]: slide["scan_date"] for slide in answers["slides"]}
    for row in released:
        # The right year chose the slide; the date that goes out is another one, whole weeks away.
        moved = row["scan_datetime"] - date.fromisoformat(scanned[row["slide_id"]])
        assert 7 <= abs(moved.days) <= 364
        assert moved.days % 7 == 0


def test_the_followed_up_cohort_is_exactly_the_answer_key(finished: Path) -> None:
    answers = _answers(finished)
    permitted = {p["patient"] for p in answers["patients"] if p["site"] == "NB01" and p["allowed"]}
    of: dict[str, list[dict[str, Any]]] = {}
    for event in answers["events"]:
        of.setdefault(event["patient"] or "", []).append(event)

    def is_in(patient: str) -> bool:
        events = of.get(patient, [])
        return (
            any(event["code"] in {"Stage IIA", "Stage IIB", "Stage IIIA"} for event in events)
            and any(event["code"] == "CA153" and (event["value"] or 99) <= 15 for event in events)
            and any(event["kind"] == "follow_up" and event["date"] >= "2023-01-01" for event in events)
            and not any(event["kind"] == "death" for event in events)
        )

    expected = {
        report["accession"]
        for report in answers["reports"]
        if report["site"] == "NB01"
        and report["organ"] == "breast"
        and report["patient"] in permitted
        and is_in(report["patient"])
    }
    done = pathcurate("cohort", finished / "recipes" / "breast_followed_up.yaml", "-w", finished)
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(finished / "cohorts" / "breast_followed_up" / "cohort.parquet").to_pylist()
    assert {row["case_id"] for row in rows} == {
        internal(_key(finished)).codes.code("C", "NB01", number) for number in expected
    }
    assert expected


def test_every_slide_is_in_the_ledger_once(finished: Path) -> None:
    ledger = pq.read_table(finished / "cohorts" / RECIPE / "ledger.parquet").to_pylist()
    attrition = json.loads((finished / "cohorts" / RECIPE / "cohort.json").read_bytes())["attrition"]
    assert len({row["slide_id"] for row in ledger}) == len(ledger) == len(_answers(finished)["slides"])
    steps = [step["id"] for step in attrition["steps"]]
    fallen = [row["step"] for row in ledger if row["step"] != "kept"]
    assert set(fallen) <= set(steps)
    shown = [(number, step) for number, step in enumerate(attrition["steps"]) if step["dropped"] != "withheld"]
    assert shown
    for number, step in shown:
        # What is shown is the sum of a step and of those before it that would tell too little alone, rounded to fives.
        together = sum(fallen.count(name) for name in steps[number + 1 - step["together"] : number + 1])
        assert abs(step["dropped"] - together) <= 2.5
    assert len(ledger) - len(fallen) == attrition["steps"][-1]["remaining"]["slides"]


def test_release_passes_sha256sum_and_validate(finished: Path) -> None:
    sums = subprocess.run(["sha256sum", "-c", "--quiet", "manifest-sha256.txt"], cwd=_release(finished), check=False)
    assert sums.returncode == 0
    assert pathcurate("validate", _release(finished)).returncode == 0


def test_second_run_gives_the_same_release(finished: Path) -> None:
    before = _released(finished)
    done = pathcurate("run", finished / "recipes" / f"{RECIPE}.yaml", "--workers", "1", "--json", "-w", finished)
    assert done.returncode == 0, done.stderr
    assert _released(finished) == before
    listed = json.loads(pathcurate("product", "list", "--json", "-w", finished).stdout)
    assert len(listed["products"]) == 1


def test_a_full_disk_and_killed_runs_end_elsewhere_like_an_undisturbed_one(finished: Path, other: Path) -> None:
    def no_room() -> None:
        # A limit on file size fails writes where a full disk would, without a mount.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))

    # A short write of compiled Python would be a broken module for everybody.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pathcurate", *_RUN, "-w", str(other)],
        capture_output=True, text=True, check=False, timeout=200, preexec_fn=no_room, cwd=other, env=environment,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert not _release(other).exists()
    moments = random.Random(20261121)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "pathcurate", *_RUN, "-w", str(other), "-q"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=other,
        )  # fmt: skip
        time.sleep(moments.uniform(0.3, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = _run(other, *_RUN)
    assert done.returncode == 0, done.stderr
    assert _released(other) == _released(finished)
    assert not list((other / "releases" / RECIPE).glob(".*"))


def test_second_run_at_once_learns_who_holds_the_workspace(other: Path) -> None:
    with (other / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _run(other, *_RUN)
    assert done.returncode == 14
    assert "in use" in done.stderr
