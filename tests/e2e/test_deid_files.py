"""`deid files` on the made-up hospital: what goes out is proven, whole or absent, and holds nobody's identifiers."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import openslide
import pyarrow.parquet as pq
import pytest
import tifffile

from pathcurate import filerules
from pathcurate.engines.embedded import Embedded
from pathcurate.model.deidfile import DEID_FILES_NAME, RECEIPT_JSON_SCHEMA, RECEIPT_NAME
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog
from tests.archives import Here
from tests.commandline import pathcurate

RELEASE = "demo_he_2023"


@pytest.fixture(scope="module", autouse=True)
def _kernels_here() -> Iterator[None]:
    """Kernels run in this process, and rules are read once: a tenth of the time. The runs that are killed have workers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Embedded, "run", Here.run)
        patch.setattr(filerules, "_shipped", cache(filerules._shipped))
        yield


@pytest.fixture
def desk(run_hospital: Path, tmp_path: Path) -> Path:
    """A hospital of the test's own, after its release."""
    shutil.copytree(run_hospital, tmp_path / "hospital", symlinks=True)
    return tmp_path / "hospital"


@pytest.fixture(scope="module")
def delivered(run_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A hospital, and copies of the slides of its release."""
    top = tmp_path_factory.mktemp("delivered")
    shutil.copytree(run_hospital, top / "hospital", symlinks=True)
    done = files(top / "hospital", "--release", RELEASE, "--to", top / "copies")
    assert done.returncode == 0, done.stderr + done.stdout
    return top / "hospital", top / "copies"


def few(workspace: Path, count: int = 2) -> Path:
    """A list of some slides that can be copied, first the small ones."""
    rows = Catalog(workspace / "catalog").read(SLIDES).to_pylist()
    good = [row for row in rows if row["status"] == "ok" and row["format"] == "svs" and row["has_label"]]
    path = workspace.parent / "few"
    path.write_text("\n".join(row["slide_id"] for row in sorted(good, key=lambda row: row["size_bytes"])[:count]))
    return path


def files(workspace: Path, *arguments: object) -> Any:
    return pathcurate("deid", "files", *arguments, "-w", workspace)


def table(copies: Path) -> list[dict[str, Any]]:
    return pq.read_table(copies / DEID_FILES_NAME).to_pylist()


def identifiers(workspace: Path) -> set[str]:
    """Whatever the catalog has that names somebody, a case or a file."""
    catalog = Catalog(workspace / "catalog")
    found: set[str] = set()
    for row in catalog.read(REPORTS).to_pylist():
        found |= {str(row[name]) for name in ("patient_name", "patient_id", "accession", "accession_raw", "id_number")}
    for row in catalog.read(SLIDES).to_pylist():
        found |= {str(row["slide_id"]), str(row["barcode"]), Path(os.fsdecode(row["relpath"])).stem}
    return {text for text in found if text != "None" and len(text) >= 4 and any(sign.isdigit() for sign in text)}


def test_a_releases_slides_are_copied_in_its_products_codes(delivered: tuple[Path, Path]) -> None:
    workspace, copies = delivered
    released = pq.read_table(next((workspace / "releases" / RELEASE).glob("*/data/slides.parquet")))["slide_id"].to_pylist()
    rows = table(copies)
    assert sorted(row["code"] for row in rows) == sorted(released)
    assert {row["standing"] for row in rows} == {"done"}
    assert {Path(row["path"]).stem for row in rows} == set(released)
    for row in rows:
        assert hashlib.sha256((copies / row["path"]).read_bytes()).hexdigest() == row["sha256"]
        assert row["images"] >= 1 and row["values_searched"] >= 3  # noqa: PT018 -- one row, one statement
        assert set(row["readers"]) == {"openslide", "tifffile"}


def test_other_readers_open_every_copy_and_find_no_label(delivered: tuple[Path, Path]) -> None:
    _, copies = delivered
    for row in table(copies):
        with openslide.OpenSlide(copies / row["path"]) as slide:
            assert set(slide.associated_images) <= {"thumbnail"}
            assert slide.read_region((0, 0), 0, (8, 8)).size == (8, 8)
            assert float(slide.properties["openslide.mpp-x"]) > 0
        with tifffile.TiffFile(copies / row["path"]) as tiff:
            assert tiff.pages[0].is_tiled


def test_nobodys_identifiers_are_in_any_byte_or_name(delivered: tuple[Path, Path]) -> None:
    workspace, copies = delivered
    wanted = identifiers(workspace)
    assert len(wanted) > 100
    for path in sorted(copies.rglob("*")):
        data = path.read_bytes() if path.is_file() else b""
        for text in wanted:
            for encoding in ("utf-8", "gb18030", "utf-16-le"):
                assert text.encode(encoding) not in data, path.suffix
            assert text not in str(path.relative_to(copies))


def test_the_same_search_finds_them_in_the_originals(delivered: tuple[Path, Path]) -> None:
    workspace, _ = delivered
    wanted = [text.encode() for text in identifiers(workspace)]
    held = [path for path in (workspace / "hospital").rglob("*.svs") if any(one in path.read_bytes() for one in wanted)]
    assert len(held) > 10


def test_the_receipt_is_of_its_schema_and_names_every_file(delivered: tuple[Path, Path]) -> None:
    _, copies = delivered
    receipt = json.loads((copies / RECEIPT_NAME).read_bytes())
    jsonschema.validate(receipt, RECEIPT_JSON_SCHEMA)
    there = {str(path.relative_to(copies)) for path in copies.rglob("*") if path.is_file()}
    assert {one["path"] for one in receipt["files"]} == there - {DEID_FILES_NAME, RECEIPT_NAME}
    assert receipt["layer"] == f"product {RELEASE}"
    assert receipt["table"]["sha256"] == hashlib.sha256((copies / DEID_FILES_NAME).read_bytes()).hexdigest()


def test_the_leak_search_of_the_catalog_finds_nothing_either(delivered: tuple[Path, Path]) -> None:
    workspace, copies = delivered
    done = pathcurate("deid", "verify", copies, "-w", workspace)
    assert done.returncode == 0, done.stdout


def test_sources_are_not_touched(run_hospital: Path, delivered: tuple[Path, Path]) -> None:
    workspace, _ = delivered
    for path in sorted((run_hospital / "hospital").rglob("*.svs")):
        assert (workspace / path.relative_to(run_hospital)).read_bytes() == path.read_bytes()


def test_the_run_is_on_the_trail_with_counts_and_purpose(desk: Path, tmp_path: Path) -> None:
    assert files(desk, "--from", few(desk, 1), "--to", tmp_path / "c", "--purpose", "study").returncode == 0
    last = json.loads((desk / "vault" / "audit.jsonl").read_text().splitlines()[-1])
    assert (last["action"], last["purpose"], last["facts"]["layer"]) == ("deid files", "study", "internal")
    assert last["facts"]["done"] == last["facts"]["slides"]
    assert last["facts"]["receipt_sha256"] == hashlib.sha256((tmp_path / "c" / RECEIPT_NAME).read_bytes()).hexdigest()


def test_a_second_run_makes_nothing_again_and_the_same_bytes(desk: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    assert files(desk, "--from", few(desk), "--to", target).returncode == 0
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*.svs")}
    receipt = (target / RECEIPT_NAME).read_bytes()
    again = files(desk, "--from", few(desk), "--to", target)
    assert "of them before" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*.svs")} == before
    assert (target / RECEIPT_NAME).read_bytes() == receipt


def test_a_copy_that_was_changed_or_whose_source_was_is_made_again(desk: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    assert files(desk, "--from", few(desk), "--to", target).returncode == 0
    first, second = sorted(target.rglob("*.svs"))[:2]
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    second.unlink()
    assert files(desk, "--from", few(desk), "--to", target).returncode == 0
    assert first.read_bytes() == whole
    assert second.is_file()


def test_a_plan_writes_nothing_and_names_places(desk: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = files(desk, "--cohort", RELEASE, "--plan")
    assert done.returncode == 0
    assert "svs" in done.stdout and "remove" in done.stdout  # noqa: PT018 -- one output
    assert [path for path in sorted(tmp_path.rglob("*")) if "copies" in path.name] == []
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in before if path.parent == tmp_path}
    assert not any(text in done.stdout for text in identifiers(desk))


def test_layers_do_not_share_a_directory(desk: Path, tmp_path: Path) -> None:
    assert files(desk, "--from", few(desk, 1), "--to", tmp_path / "c").returncode == 0
    other = files(desk, "--release", RELEASE, "--to", tmp_path / "c")
    assert other.returncode == 2
    assert "another layer" in other.stderr


@pytest.mark.parametrize("place", ["catalog", "vault", "deid/x", "releases", "hospital", "hospital/NB01/slides", "."])
def test_copies_never_go_among_archives_or_the_workspaces_own_files(desk: Path, place: str) -> None:
    refused = files(desk, "--cohort", RELEASE, "--to", desk / place)
    assert refused.returncode == 2, refused.stderr


def test_a_directory_with_other_files_is_refused(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "thesis.docx").touch()
    assert files(desk, "--cohort", RELEASE, "--to", tmp_path / "c").returncode == 2


def test_a_list_of_codes_and_of_identifiers(desk: Path, tmp_path: Path) -> None:
    slides = Catalog(desk / "catalog").read(SLIDES, columns=("slide_id", "status", "format")).to_pylist()
    chosen = [row["slide_id"] for row in slides if row["status"] == "ok" and row["format"] == "svs"][:2]
    (tmp_path / "list").write_text("\n".join(chosen) + "\n\n")
    assert files(desk, "--from", tmp_path / "list", "--to", tmp_path / "a").returncode == 0
    codes = sorted(row["code"] for row in table(tmp_path / "a"))
    (tmp_path / "codes").write_text("\r\n".join(codes))
    assert files(desk, "--from", tmp_path / "codes", "--to", tmp_path / "b").returncode == 0
    assert [row["code"] for row in table(tmp_path / "b")] == codes
    assert {path.name: path.read_bytes() for path in (tmp_path / "a" / "slides").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "b" / "slides").iterdir()
    }
    (tmp_path / "wrong").write_text("S-0000000000000000\n张三\n")
    wrong = files(desk, "--from", tmp_path / "wrong", "--to", tmp_path / "d")
    assert wrong.returncode == 2
    assert "line 1" in wrong.stderr and "张三" not in wrong.stderr  # noqa: PT018 -- one message


def test_a_damaged_slide_and_an_unknown_key_stop_no_other(desk: Path, tmp_path: Path) -> None:
    rows = Catalog(desk / "catalog").read(SLIDES).to_pylist()
    good = [row for row in rows if row["status"] == "ok" and row["format"] == "svs"][:3]
    archives = {"NB01": desk / "hospital/NB01/slides", "NB02": desk / "hospital/NB02/slides"}
    paths = [archives[row["site"]] / os.fsdecode(row["relpath"]) for row in good]
    assert all(path.is_file() for path in paths)
    data = paths[0].read_bytes()
    assert b"|AppMag" in data
    paths[0].write_bytes(data.replace(b"|AppMag", b"|AppBog"))
    paths[1].write_bytes(paths[1].read_bytes()[:3000])
    (tmp_path / "list").write_text("\n".join(row["slide_id"] for row in good))
    done = files(desk, "--from", tmp_path / "list", "--to", tmp_path / "c")
    assert done.returncode == 1
    standings = sorted(row["standing"] for row in table(tmp_path / "c"))
    assert standings[0] == "done"
    assert len(standings) == 3 and standings.count("done") == 1  # noqa: PT018 -- one list
    assert len(list((tmp_path / "c" / "slides").iterdir())) == 1
    review = (desk / "catalog" / "review" / "deid-files-unknown.yaml").read_text()
    assert "AppBog" in review and "AppBog" not in done.stdout + done.stderr  # noqa: PT018 -- here and not there
    listed = pathcurate("findings", "list", "--rule", "deid_files.quarantined", "-w", desk)
    assert "deid_files.quarantined" in listed.stdout


def _killed(workspace: Path, target: Path) -> int:
    files = ("deid", "files", "--from", few(workspace, 4), "--to", target, "-w", workspace, "--workers", "1")
    command = [sys.executable, "-m", "pathcurate", *files]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as run:
        end = time.monotonic() + 60
        while time.monotonic() < end and not list(target.glob("slides/*")) and run.poll() is None:
            time.sleep(0.02)
        time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
    return run.returncode


def test_a_killed_run_leaves_whole_copies_only_and_goes_on(desk: Path, tmp_path: Path) -> None:
    target = tmp_path / "c"
    _killed(desk, target)
    left = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in target.glob("slides/*")}
    assert files(desk, "--from", few(desk, 4), "--to", target).returncode == 0
    done = {Path(row["path"]).name: row["sha256"] for row in table(target)}
    assert left.items() <= done.items()
    assert {path.name for path in target.iterdir()} == {"slides", DEID_FILES_NAME, RECEIPT_NAME}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() or shutil.which("mount") is None:
        pytest.skip("only root can mount a small file system")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", place], capture_output=True, check=False
    ).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_full_disk_is_told_before_anything_is_written(desk: Path, small_disk: Path) -> None:
    done = files(desk, "--cohort", RELEASE, "--to", small_disk / "c")
    assert done.returncode == 3
    assert "GB free" in done.stderr
    assert not list((small_disk / "c").rglob("*.svs"))


def test_a_disk_that_fills_up_keeps_what_is_whole(desk: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathcurate.copies.scrubbing._SPARE_BYTES", -(1 << 40))
    done = files(desk, "--cohort", RELEASE, "--to", small_disk / "c")
    assert done.returncode == 3
    assert "no space left" in done.stderr
    assert {path.name for path in (small_disk / "c").iterdir()} <= {"slides", DEID_FILES_NAME, RECEIPT_NAME}
    for path in (small_disk / "c" / "slides").iterdir():
        with openslide.OpenSlide(path) as slide:
            assert slide.level_count >= 1


def test_a_target_that_cannot_be_made_is_an_error_and_no_traceback(desk: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = files(desk, "--cohort", RELEASE, "--to", tmp_path / "file" / "c")
    assert done.returncode == 3
    assert "cannot be made" in done.stderr
