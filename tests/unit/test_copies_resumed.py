"""Copies of files that stand from before, and a directory that somebody else writes to or tampered with."""

import multiprocessing
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pathcurate.copies.choosing import Selection
from pathcurate.copies.records import CODE_SIGNS, dicom_folder
from pathcurate.copies.target import holding
from pathcurate.errors import InputOutputError, LockedError, UsageError
from pathcurate.model.deidfile import DEID_FILES_NAME, RECEIPT_NAME
from pathcurate.model.series import SERIES
from pathcurate.tables import Catalog
from pathcurate.workspace import Workspace
from tests.makers.copies import (
    FIRST,
    SECOND,
    code_of,
    copied_clinic,
    copy_of,
    make_clinic,
    rules_read_once,
    run,
    slides,
)


@pytest.fixture(scope="module", autouse=True)
def _rules_read_once() -> Iterator[None]:
    with rules_read_once():
        yield


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clinic; nobody may change it."""
    directory = tmp_path_factory.mktemp("clinic")
    make_clinic(directory)
    return directory


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Workspace:
    return copied_clinic(pristine, tmp_path / "clinic")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "copies of 张三 😀"


# --- What stands there from before -----------------------------------------------------------------------------------


def records(workspace: Workspace) -> list[Path]:
    return sorted((workspace.catalog / "files-done").rglob("*.json"))


@pytest.mark.parametrize("text", ["", "[]", '{"made_of": "x", "outcome": {"written": null}}'])
def test_a_damaged_record_makes_the_copy_again(workspace: Workspace, target: Path, text: str) -> None:
    run(workspace, target, FIRST)
    whole = copy_of(workspace, target, FIRST).read_bytes()
    copy_of(workspace, target, FIRST).write_bytes(b"half")
    for path in records(workspace):
        path.write_text(text)
    summary = run(workspace, target, FIRST)
    assert (summary.standings, summary.kept) == ({"done": 1}, 0)
    assert copy_of(workspace, target, FIRST).read_bytes() == whole


def test_a_copy_of_the_same_size_with_other_bytes_is_made_again(workspace: Workspace, target: Path) -> None:
    run(workspace, target, FIRST)
    copy = copy_of(workspace, target, FIRST)
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1] + b"\xff")
    assert run(workspace, target, FIRST).kept == 0
    assert copy.read_bytes() == whole


def test_a_folder_in_the_place_of_a_copy(workspace: Workspace, target: Path) -> None:
    run(workspace, target, FIRST)
    copy = copy_of(workspace, target, FIRST)
    copy.unlink()
    (copy / "below").mkdir(parents=True)
    assert run(workspace, target, FIRST).standings == {"done": 1}
    assert copy.is_file()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Somebody else's directory, with a file of the same name as a copy would have."""
    place = tmp_path / "elsewhere"
    place.mkdir()
    (place / "thesis").write_text("mine")
    return place


def untouched(place: Path) -> bool:
    return {path.name: path.read_text() for path in place.iterdir()} == {"thesis": "mine"}


def test_a_link_in_the_place_of_a_copy_is_replaced(workspace: Workspace, target: Path, elsewhere: Path) -> None:
    run(workspace, target, FIRST)
    copy = copy_of(workspace, target, FIRST)
    whole = copy.read_bytes()
    copy.unlink()
    copy.symlink_to(elsewhere / "thesis")
    assert run(workspace, target, FIRST).standings == {"done": 1}
    assert not copy.is_symlink()
    assert copy.read_bytes() == whole
    assert untouched(elsewhere)


@pytest.mark.parametrize("name", ["slides", "dicom", ".unfinished", ".lock", RECEIPT_NAME])
def test_a_link_in_the_directory_is_refused(workspace: Workspace, target: Path, elsewhere: Path, name: str) -> None:
    target.mkdir()
    (target / name).symlink_to(elsewhere if "." not in name[1:] else elsewhere / "thesis")
    with pytest.raises(UsageError, match="holds a link"):
        run(workspace, target, FIRST)
    assert untouched(elsewhere)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_link_deeper_down_fails_that_series_alone(workspace: Workspace, target: Path, elsewhere: Path, depth: int) -> None:
    series = Catalog(workspace.catalog).read(SERIES).to_pylist()[0]["series_id"]
    link = target / Path(*Path(dicom_folder(code_of(workspace, series, "I"))).parts[: depth + 1])
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    summary = run(workspace, target, selection=Selection(codes=(series, slides(workspace)[FIRST])))
    # The last folder is the series' own: a link in its place is taken away.
    assert summary.standings == ({"done": 2} if depth == 3 else {"done": 1, "failed": 1})
    assert untouched(elsewhere)


def test_what_a_killed_run_put_there_without_a_record_is_swept(workspace: Workspace, target: Path) -> None:
    run(workspace, target, FIRST, SECOND)
    for path in records(workspace):
        path.unlink()
    (target / ".unfinished" / "S-half").mkdir(parents=True)
    (target / "slides" / f"{copy_of(workspace, target, FIRST).stem}.geojson").write_text("{}")
    summary = run(workspace, target, FIRST)
    assert (summary.standings, summary.kept) == ({"done": 1}, 0)
    # Of the other nobody knows any more what it is.
    assert summary.strays == 1
    assert sorted(path.name for path in target.iterdir()) == [DEID_FILES_NAME, RECEIPT_NAME, "slides"]
    assert len(list((target / "slides").iterdir())) == 2
    assert len(copy_of(workspace, target, FIRST).stem) == CODE_SIGNS


def test_a_stray_file_is_told(workspace: Workspace, target: Path, elsewhere: Path) -> None:
    run(workspace, target, FIRST)
    (target / "slides" / "王小明.svs").write_bytes(b"x")
    (target / "slides" / "more").symlink_to(elsewhere)
    assert run(workspace, target, FIRST).strays == 2


# --- Others ----------------------------------------------------------------------------------------------------------


def test_two_runs_never_share_a_directory(workspace: Workspace, target: Path) -> None:
    target.mkdir()
    with holding(target):
        with pytest.raises(LockedError, match="in use by another run"):
            run(workspace, target, FIRST)
        assert [path.name for path in target.iterdir()] == [".lock"]
    assert list(target.iterdir()) == []
    assert run(workspace, target, FIRST).standings == {"done": 1}


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "read only"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(place)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_read_only_file_system_is_told_at_once(workspace: Workspace, read_only: Path) -> None:
    with pytest.raises(InputOutputError, match="read-only file system"):
        run(workspace, read_only, FIRST)


def _held_by_nobody(target: str, answers: Any) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    try:
        with holding(Path(target)):
            answers.put("held")
    except InputOutputError as error:
        answers.put(str(error))


def test_somebody_without_the_right_is_told_at_once(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(path.stat().st_mode | 0o055)
    (tmp_path / "c").mkdir(mode=0o755)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    other = context.Process(target=_held_by_nobody, args=(str(tmp_path / "c"), answers))
    other.start()
    assert "permission denied" in answers.get(timeout=20)
    other.join()


def test_shapes_that_vanish_while_it_runs_fail_no_slide(workspace: Workspace, target: Path, monkeypatch: Any) -> None:
    from pathcurate.copies import choosing

    monkeypatch.setattr(
        choosing, "_drawn", lambda *_: dict.fromkeys(slides(workspace).values(), (b"/nowhere/drawn.geojson",))
    )
    summary = run(workspace, target, FIRST)
    assert (summary.standings, summary.left_out) == ({"done": 1}, 1)
