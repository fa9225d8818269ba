"""Releases: whatever is changed is found and named, wherever and whenever they are built the bytes are the same."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate.cohort import read_recipe
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import DigestMismatchError
from pathcurate.manifest import build, hashing
from pathcurate.releases import checksum_problems, verify_release
from pathcurate.workspace import load_workspace
from tests.built import TODAY, build_release, copy_release


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("property") / "w")


@pytest.fixture(scope="module")
def copy(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_release(built, tmp_path_factory.mktemp("copy") / "release")


def listed(release: Path) -> list[str]:
    return sorted(path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_single_change_is_found_and_named(copy: Path, data: st.DataObject) -> None:
    relpath = data.draw(st.sampled_from(listed(copy)))
    path = copy / relpath
    content = path.read_bytes()
    kind = data.draw(st.sampled_from(["bit", "cut", "longer", "gone", "moved", "link"]))
    try:
        if kind == "bit":
            place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        elif kind == "cut":
            path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
        elif kind == "longer":
            path.write_bytes(content + b"\n")
        else:
            path.unlink()
            if kind == "moved":
                path.with_suffix(".other").write_bytes(content)
            elif kind == "link":
                path.symlink_to("/etc/hostname")
        problems = checksum_problems(copy)
        assert problems
        if relpath != "manifest-sha256.txt":
            expected = {"gone": "missing", "moved": "missing"}.get(kind, "changed")
            assert (relpath, expected) in problems
            assert len(problems) == 1 + (kind == "moved")
            with pytest.raises(DigestMismatchError, match=relpath.replace(".", r"\.")):
                verify_release(copy)
    finally:
        path.unlink(missing_ok=True)
        path.with_suffix(".other").unlink(missing_ok=True)
        path.write_bytes(content)
    assert checksum_problems(copy) == []


def test_the_same_bytes_by_any_workers_in_any_time_zone(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "elsewhere"
    shutil.copytree(built.parents[2], root)
    shutil.rmtree(root / "releases")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    monkeypatch.setattr(hashing, "_FEW", 1)
    monkeypatch.setattr(hashing, "_BATCH_ROWS", 5)
    time.tzset()
    try:
        with Embedded(workers=2, temp_directory=tmp_path / "spill") as engine:
            source = read_recipe(root / "small.yaml")
            workspace = load_workspace(root / "pathcurate.yaml")
            again = build(workspace, source, actor="other", today=TODAY, engine=engine).release.directory
    finally:
        monkeypatch.undo()
        time.tzset()
    assert listed(again) == listed(built)
    assert [name for name in listed(built) if (again / name).read_bytes() != (built / name).read_bytes()] == []


_KILLED = """
import sys, time
from datetime import date
from pathlib import Path
from pathcurate import manifest
from pathcurate.cohort import read_recipe
from pathcurate.workspace import load_workspace
def wait(directory, *, sm3):
    print("written", flush=True)
    time.sleep(60)
manifest.write_lists = wait
root = Path(sys.argv[1])
workspace, source = load_workspace(root / "pathcurate.yaml"), read_recipe(root / "small.yaml")
manifest.build(workspace, source, actor="tester", today=date(2026, 1, 2))
"""


@pytest.fixture
def unbuilt(built: Path, tmp_path: Path) -> Path:
    root = tmp_path / "killed"
    shutil.copytree(built.parents[2], root)
    shutil.rmtree(root / "releases")
    return root


def test_a_build_that_is_killed_leaves_no_release(unbuilt: Path, built: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED, unbuilt], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "written\n"
        os.kill(running.pid, signal.SIGKILL)
    assert list((unbuilt / "releases").glob("*/[0-9]*")) == []
    workspace, source = load_workspace(unbuilt / "pathcurate.yaml"), read_recipe(unbuilt / "small.yaml")
    result = build(workspace, source, actor="tester", today=TODAY)
    assert result.release.digest == verify_release(built).digest
    assert [path.name for path in result.release.directory.parent.iterdir()] == ["1.0.0"], "nothing half-made is left"


def test_a_full_disk_leaves_no_release(unbuilt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(directory: Path, *, sm3: bool) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathcurate.manifest.write_lists", full)
    with pytest.raises(OSError, match="No space left"):
        build(load_workspace(unbuilt / "pathcurate.yaml"), read_recipe(unbuilt / "small.yaml"), actor="tester", today=TODAY)
    assert list((unbuilt / "releases" / "small").iterdir()) == []
