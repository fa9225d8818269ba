"""scan --labels, --qc and --check: each looks once at every slide as it is, and what it saw stands in the tables."""

import hashlib
import importlib
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import openslide
import pytest
from PIL import Image

from pathcurate import scan as stage
from pathcurate.demo.slides import write_svs
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import UsageError
from pathcurate.images import printed
from pathcurate.model.slide import BARCODE_SOURCES
from pathcurate.scan import looks
from pathcurate.scan.labels import LABELS_VERSION
from pathcurate.scan.quality import QC_VERSION
from tests.archives import Desk, InProcess, tiff
from tests.dicoms import whole_slide
from tests.makers.aperio import labelled_svs
from tests.makers.kfb import make_kfb
from tests.makers.labels import paint_symbols
from tests.makers.mrxs import make_mrxs

labels_module = importlib.import_module("pathcurate.scan.labels")
quality_module = importlib.import_module("pathcurate.scan.quality")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def label(text, kind="data_matrix", **more):
    return paint_symbols([(kind, text, {"code128": 2.0}.get(kind, 6.0), (300, 380))], lines=(), **more)


def keys(desk, name):
    rows = [row for row in desk.key_rows() if row["slide_id"] == desk.id(name)]
    return {(row["key"], row["specimen"], row["block"], row["sources"]) for row in rows}


def later(path):
    """The same file, as if somebody had written it anew."""
    os.utime(path, (time.time() + 100, time.time() + 100))


# --- Labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["data_matrix", "qr", "code128"])
def test_a_number_on_the_label_names_the_slide(desk: Desk, kind: str) -> None:
    desk.put("x.svs", labelled_svs(label("S23-00131-A2", kind)))
    desk.scan()
    assert (desk.row("x.svs")["barcode"], keys(desk, "x.svs")) == (None, set())
    assert desk.scan(labels=True).looked == {"labels": 1}
    row = desk.row("x.svs")
    assert (row["barcode"], row["barcode_source"], row["labels_version"]) == ("S23-00131-A2", kind, LABELS_VERSION)
    assert row["barcode_source"] in BARCODE_SOURCES
    assert 0 < row["barcode_confidence"] <= 1
    assert (row["accession_raw"], row["specimen"], row["block"]) == ("S23-00131-A2", "A", "2")
    assert keys(desk, "x.svs") == {("S23-131", "A", "2", "barcode")}


def test_a_label_stands_above_the_name_of_the_file(desk: Desk) -> None:
    desk.put("S23-00999.svs", labelled_svs(label("S23-00131-A2")))
    desk.scan(labels=True)
    assert {(key, source) for key, _, _, source in keys(desk, "S23-00999.svs")} == {
        ("S23-131", "barcode"), ("S23-999", "file_name"),
    }  # fmt: skip
    assert desk.row("S23-00999.svs")["accession_raw"] == "S23-00131-A2"


def test_what_a_header_says_is_not_looked_for(desk: Desk) -> None:
    desk.put("told.svs", labelled_svs(label("S23-00131-A2"), keys={"Barcode": "S23-00777-B1"}))
    desk.put("bare.svs", labelled_svs(seed=1))
    before = desk.scan()
    state = desk.state()
    assert desk.scan(labels=True).looked == {"labels": 0}
    assert desk.state() == state
    assert (before.found, desk.row("told.svs")["barcode_source"]) == (2, "header")


def test_print_is_looked_for_where_the_header_has_a_barcode_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    box = [[1, 1], [50, 1], [50, 20], [1, 20]]
    monkeypatch.setattr(printed, "_engine", lambda: lambda image: ([(box, "S23-00555 A1", 0.9)], [0.1]))
    desk.put("told.svs", labelled_svs(label("S23-00131-A2"), keys={"Barcode": "S23-00777-B1"}))
    desk.put("both.svs", labelled_svs(label("x"), seed=2, keys={"Barcode": "S23-00778-B1", "LabelText": "S23-00778"}))
    assert desk.scan(labels=True, texts=True).looked == {"labels": 1}
    row = desk.row("told.svs")
    assert (row["barcode"], row["barcode_source"]) == ("S23-00777-B1", "header")
    assert (row["label_text"], row["label_text_source"]) == ("S23-00555 A1", "ocr")
    assert {source: key for key, _, _, source in keys(desk, "told.svs")} == {"barcode": "S23-777", "label": "S23-555"}
    assert desk.row("both.svs")["label_text_source"] == "header"
    # What was read with print holds without it, and not the other way round.
    assert desk.scan(labels=True).looked == {"labels": 0}
    assert desk.scan(labels=True, texts=True).looked == {"labels": 0}


def test_labels_that_were_read_without_print_are_read_again_with_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "_engine", lambda: lambda image: (None, None))
    desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    for texts, count in ((False, 1), (True, 1), (True, 0), (False, 0)):
        assert desk.scan(labels=True, texts=texts).looked == {"labels": count}
    assert desk.row("x.svs")["barcode"] == "S23-00131-A2"


def test_print_needs_its_extra_before_anything_is_read(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    printed._engine.cache_clear()
    desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    engine = InProcess()
    with pytest.raises(UsageError, match="optional part `ocr`") as caught:
        desk.scan(engine, labels=True, texts=True)
    assert caught.value.exit_code == 2
    assert "pathcurate[ocr]" in caught.value.hint
    assert engine.read == []


def test_a_second_run_looks_at_nothing_and_changes_nothing(desk: Desk) -> None:
    desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    desk.put("blank.svs", labelled_svs(Image.new("RGB", (300, 300), "white"), seed=1))
    assert desk.scan(labels=True).looked == {"labels": 2}
    state, snapshot = desk.state(), desk.snapshot()
    engine = InProcess()
    assert desk.scan(engine, labels=True).looked == {"labels": 0}
    assert (engine.read, engine.sampled) == ([], [])
    assert (desk.state(), desk.snapshot()) == (state, snapshot)
    # Nor does a scan without --labels forget.
    desk.scan()
    assert desk.state() == state


def test_a_changed_file_is_looked_at_again(desk: Desk) -> None:
    path = desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    desk.put("y.svs", labelled_svs(label("S23-00140-A1"), seed=1))
    desk.scan(labels=True)
    path.write_bytes(labelled_svs(label("S23-00132-A2"), seed=3))
    later(path)
    assert desk.scan(labels=True).looked == {"labels": 1}
    assert keys(desk, "x.svs") == {("S23-132", "A", "2", "barcode")}
    # One whose label went has no number any more.
    path.write_bytes(labelled_svs(seed=4))
    later(path)
    desk.scan(labels=True)
    assert (desk.row("x.svs")["barcode"], keys(desk, "x.svs")) == (None, set())
    assert keys(desk, "y.svs") == {("S23-140", "A", "1", "barcode")}


def test_a_raised_version_looks_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    desk.scan(labels=True)
    monkeypatch.setattr(looks, "LABELS_VERSION", LABELS_VERSION + 1)
    monkeypatch.setattr(labels_module, "LABELS_VERSION", LABELS_VERSION + 1)
    # The later version sees no symbol where the earlier one saw one, wrongly.
    monkeypatch.setattr(labels_module, "read_symbols", lambda view: None)
    assert desk.scan(labels=True).looked == {"labels": 1}
    row = desk.row("x.svs")
    assert (row["barcode"], row["barcode_source"], row["barcode_confidence"]) == (None, None, None)
    assert (row["labels_version"], row["accession_raw"], keys(desk, "x.svs")) == (LABELS_VERSION + 1, None, set())
    assert desk.scan(labels=True).looked == {"labels": 0}


def test_the_label_of_a_photograph_of_the_whole_glass(desk: Desk) -> None:
    glass = Image.new("RGB", (1500, 600), (176, 178, 182))
    glass.paste(label("S23-00131-A2").resize((480, 480)), (10, 60))
    desk.put("x.svs", labelled_svs(macro=glass))
    desk.scan(labels=True)
    assert keys(desk, "x.svs") == {("S23-131", "A", "2", "barcode")}


def test_a_damaged_label_costs_one_slide(desk: Desk) -> None:
    desk.put("bad.svs", labelled_svs(b"\xff\xd8 no picture"))
    desk.put("good.svs", labelled_svs(label("S23-00131-A2"), seed=1))
    summary = desk.scan(labels=True)
    assert (summary.looked, summary.statuses) == ({"labels": 2}, {"ok": 2})
    assert desk.row("good.svs")["barcode"] == "S23-00131-A2"
    assert desk.row("bad.svs")["barcode"] is None
    # The same bytes would fail again.
    assert desk.scan(labels=True).looked == {"labels": 0}


def labels_or_die(batch, spec):
    """Kernel: as ``read_labels``, but slides of some names do that to the worker."""
    for row in batch.to_pylist():
        if b"die" in row["relpath"]:
            os._exit(9)
        if b"hang" in row["relpath"]:
            time.sleep(60)
    return labels_module.read_labels(batch, spec)


class Deadly(Embedded):
    """Real workers, in which labels can kill their reader."""

    def run(self, kernel, batches, spec, schema, *, on_crash, timeout=None):
        if kernel is labels_module.read_labels:
            kernel, timeout = labels_or_die, 3.0
        return super().run(kernel, batches, spec, schema, on_crash=on_crash, timeout=timeout)


def test_a_label_that_kills_or_hangs_its_reader_costs_one_slide(desk: Desk, tmp_path: Path) -> None:
    for number, name in enumerate(("die", "hang", "one", "two")):
        desk.put(f"{name}.svs", labelled_svs(label(f"S23-0013{number}-A1"), seed=number))
    with Deadly(workers=1, temp_directory=tmp_path / "sql") as engine:
        summary = desk.scan(engine, labels=True)
    assert (summary.looked, summary.statuses) == ({"labels": 4}, {"ok": 4})
    assert {name: row["barcode"] for name, row in desk.rows().items()} == {
        b"die.svs": None, b"hang.svs": None, b"one.svs": "S23-00132-A1", b"two.svs": "S23-00133-A1",
    }  # fmt: skip
    # A hang may be the storage's, and is tried again; a crash is not.
    assert desk.scan(labels=True).looked == {"labels": 1}
    assert desk.row("hang.svs")["barcode"] == "S23-00131-A1"
    assert desk.row("die.svs")["barcode"] is None


def test_an_interrupted_look_goes_on_where_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        desk.put(f"{number}.svs", labelled_svs(label(f"S23-0{number:03}-A1"), seed=number))

    class Interrupted(InProcess):
        def run(self, kernel, batches, spec, schema, **more):
            for number, batch in enumerate(super().run(kernel, batches, spec, schema, **more)):
                if kernel is labels_module.read_labels and number == 1:
                    raise KeyboardInterrupt
                yield batch

    with pytest.raises(stage.InterruptedRunError):
        desk.scan(Interrupted(), labels=True)
    assert sum(row["labels_version"] is not None for row in desk.rows().values()) == 8
    assert desk.scan(labels=True).looked == {"labels": 4}
    assert {row["barcode"] for row in desk.rows().values()} == {f"S23-0{number:03}-A1" for number in range(12)}
    assert len(desk.keys()) == 12


# --- Thumbnails ------------------------------------------------------------------------------------------------------


def painted(path, seed, size=(900, 700), **more):
    write_svs(path, seed=seed, size=size, description={"AppMag": "20", "MPP": "0.5"}, **more)


def test_tissue_of_every_format_is_measured(desk: Desk) -> None:
    painted(desk.main / "a.svs", 1)
    make_kfb(desk.main / "b.kfb")
    make_mrxs(desk.main, "c")
    desk.put("closed.sdpc", b"SQ" + bytes(90))
    summary = desk.scan(qc=True)
    assert summary.looked == {"quality": 3}
    for name in ("a.svs", "b.kfb", "c.mrxs"):
        row = desk.row(name)
        assert (row["qc_version"], row["qc"] is not None) == (QC_VERSION, True)
        assert 0.02 < row["tissue_fraction"] < 1
        assert 0 <= row["pen_fraction"] < 1
        assert len(row["thumbnail_hash"]) == 64
    closed = desk.row("closed.sdpc")
    assert [closed[name] for name in ("qc", "qc_version", "tissue_fraction", "thumbnail_hash")] == [None] * 4
    engine = InProcess()
    again = desk.scan(engine, qc=True)
    assert (again.looked, again.sheets, engine.sampled) == ({"quality": 0}, (), [])


def test_an_empty_slide_is_told_and_has_no_hash(desk: Desk) -> None:
    # Bare glass of one colour looks like any other.
    for seed in (1, 2):
        desk.put(f"{seed}.svs", labelled_svs(seed=seed))
    desk.scan(qc=True)
    assert {(row["qc"], row["thumbnail_hash"], row["scan_group"]) for row in desk.rows().values()} <= {
        ("empty", None, None), ("dark", None, None),
    }  # fmt: skip


def test_the_contact_sheet_shows_slides_and_no_label(desk: Desk) -> None:
    painted(desk.main / "S23-00131 ZHANG SAN.svs", 1, label_lines=["S23-00131", "ZHANG SAN"])
    make_kfb(desk.main / "S23-00132.kfb")
    (sheet,) = desk.scan(qc=True).sheets
    path = Path(sheet)
    assert path.parent == desk.workspace_directory / "catalog" / "review"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    page = path.read_text(encoding="utf-8")
    for name in ("S23-00131 ZHANG SAN.svs", "S23-00132.kfb"):
        assert page.count(f">{desk.id(name)}<") >= 1
    assert "S23-00131" not in page
    assert "ZHANG" not in page
    assert page.count("<img") == 2


def test_only_thumbnails_are_opened_for_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("x.svs", labelled_svs(label("S23-00131-A2")))
    kinds = []
    opened = quality_module.open_picture

    def watched(root, relpath, reader, kind):
        kinds.append(kind)
        return opened(root, relpath, reader, kind)

    monkeypatch.setattr(quality_module, "open_picture", watched)
    desk.scan(qc=True)
    assert kinds == ["thumbnail"]


def test_more_slides_than_a_page_holds_fill_another(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SHEET_ITEMS", 3)
    for seed in range(7):
        desk.put(f"{seed}.svs", labelled_svs(seed=seed))
    sheets = [Path(sheet) for sheet in desk.scan(qc=True).sheets]
    assert [path.read_text(encoding="utf-8").count("<img") for path in sheets] == [3, 3, 1]
    pages = "".join(path.read_text(encoding="utf-8") for path in sheets)
    assert all(f">{row['slide_id']}<" in pages for row in desk.rows().values())
    # The pages of a later run do not take their place.
    desk.put("new.svs", labelled_svs(seed=9))
    (new,) = desk.scan(qc=True).sheets
    assert Path(new) not in sheets
    assert all(path.exists() for path in sheets)


def test_two_hundred_and_one_slides_are_two_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (120, 90), (200, 90, 150))
    monkeypatch.setattr(quality_module, "assess_thumbnail", lambda thumbnail: None)
    monkeypatch.setattr(quality_module, "open_picture", lambda root, relpath, reader, kind: picture)
    for seed in range(201):
        desk.put(f"{seed}.svs", tiff(seed, keys={}))
    sheets = desk.scan(qc=True).sheets
    assert [Path(sheet).read_text(encoding="utf-8").count("<img") for sheet in sheets] == [200, 1]


# --- Tiles and digests -----------------------------------------------------------------------------------------------


def test_a_checked_slide_is_not_checked_again(desk: Desk) -> None:
    painted(desk.main / "a.svs", 1)
    summary = desk.scan(check="tiles")
    row = desk.row("a.svs")
    assert summary.looked == {"tiles": 1}
    assert (row["status"], row["check_level"], row["tiles_bad"]) == ("ok", "tiles", 0)
    # Four of the twelve tiles of level 0, and the only one of level 1; of the others the place is checked, and that of the
    # thumbnail's eleven strips.
    assert (row["tiles_decoded"], row["tiles_checked"]) == (5, 24)
    assert desk.scan(check="tiles").looked == {"tiles": 0}
    # A scan that asks for less forgets nothing.
    desk.scan()
    assert desk.row("a.svs")["check_level"] == "tiles"
    assert desk.scan(check="digest").looked == {"tiles": 0, "digest": 1}
    assert desk.scan(check="digest").looked == {"tiles": 0, "digest": 0}
    assert desk.scan(check="tiles").looked == {"tiles": 0}
    assert desk.row("a.svs")["check_level"] == "digest"


def test_statuses_of_the_summary_are_those_after_the_look(desk: Desk, real_data: Path) -> None:
    source = real_data / "wsi" / "openslide+openslide-python" / "unreadable.svs"
    desk.put("unreadable.svs", source.read_bytes())
    painted(desk.main / "whole.svs", 1)
    assert desk.scan().statuses == {"ok": 2}
    summary = desk.scan(check="tiles")
    assert summary.statuses == {"decode_failed": 1, "ok": 1}
    (finding,) = summary.findings
    assert (finding.rule, finding.subject) == ("scan.decode_failed", desk.id("unreadable.svs"))
    assert "cannot be decoded" in finding.message
    # It stays what it was found to be, also for a scan that does not look.
    assert desk.scan().statuses == {"decode_failed": 1, "ok": 1}
    assert desk.scan(check="digest").looked == {"tiles": 0, "digest": 1}


def test_a_truncated_slide_stays_truncated(desk: Desk) -> None:
    painted(desk.main / "cut.svs", 1)
    path = desk.main / "cut.svs"
    painted(path, 1, ifds_first=True)
    path.write_bytes(path.read_bytes()[:-3000])
    before = desk.scan().statuses
    assert before == {"truncated": 1}
    summary = desk.scan(check="digest")
    assert (summary.statuses, summary.looked) == (before, {"tiles": 0, "digest": 0})


@pytest.mark.parametrize("level", ["tiles", "digest"])
def test_a_changed_slide_is_checked_again(desk: Desk, level: str) -> None:
    path = desk.main / "a.svs"
    painted(path, 1)
    painted(desk.main / "b.svs", 2)
    desk.scan(check=level)
    first = desk.row("a.svs")["content_sha256"]
    painted(path, 3)
    later(path)
    assert desk.scan(check=level).looked[level] == 1
    row = desk.row("a.svs")
    assert row["check_level"] == level
    if level == "digest":
        assert row["content_sha256"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() != first


def test_one_seed_draws_the_same_tiles_and_another_draws_others(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    painted(desk.main / "a.svs", 1, size=(2400, 1800))
    read, regions = openslide.OpenSlide.read_region, []

    def watched(self, location, level, size):
        regions.append((location, level, size))
        return read(self, location, level, size)

    monkeypatch.setattr(openslide.OpenSlide, "read_region", watched)
    drawn = []
    for seed, tiles in ((7, 5), (7, 5), (8, 5)):
        regions.clear()
        desk.scan(check="tiles", seed=seed, tiles_per_level=tiles)
        drawn.append(list(regions))
        shutil.rmtree(desk.workspace_directory / "catalog")
    assert drawn[0] == drawn[1] != drawn[2]
    assert sum(level == 0 for _, level, _ in drawn[0]) == 5


def test_the_digest_is_that_of_sha256sum(desk: Desk) -> None:
    painted(desk.main / "a.svs", 1)
    desk.scan(check="digest")
    said = subprocess.run(["sha256sum", desk.main / "a.svs"], capture_output=True, check=True, text=True).stdout
    assert desk.row("a.svs")["content_sha256"] == "sha256:" + said.split()[0]


def test_a_slide_of_many_files_is_checked_as_one(desk: Desk) -> None:
    for name, content in whole_slide().items():
        desk.put(f"series/{name}", content)
    summary = desk.scan(check="digest")
    ((name, row),) = desk.rows().items()
    assert summary.looked == {"tiles": 1, "digest": 1}
    assert (row["file_count"], row["check_level"]) == (12, "digest")
    lines = sorted(
        f"{path.name}\0{path.stat().st_size}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in (desk.main / "series").iterdir()
    )
    assert row["content_sha256"] == "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
    assert desk.scan(check="digest").looked == {"tiles": 0, "digest": 0}
    # Any one of its files is the slide.
    desk.put("series/level1.dcm", whole_slide(Manufacturer="Others")["level1.dcm"])
    later(desk.main / "series" / "level1.dcm")
    assert desk.scan(check="digest").looked["digest"] == 1
    assert desk.row(name)["content_sha256"] != row["content_sha256"]


def test_the_folder_of_a_slide_is_in_its_digest(desk: Desk) -> None:
    make_mrxs(desk.main, "x")
    desk.scan(check="digest")
    lines = sorted(
        f"{path.relative_to(desk.main)}\0{path.stat().st_size}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in desk.main.rglob("*")
        if path.is_file()
    )
    assert len(lines) > 3
    first = desk.row("x.mrxs")["content_sha256"]
    assert first == "sha256:" + hashlib.sha256("".join(lines).encode()).hexdigest()
    data = desk.main / "x" / "Data0000.dat"
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content + b"\0")
    later(data)
    assert desk.scan(check="digest").looked["digest"] == 1
    assert desk.row("x.mrxs")["content_sha256"] != first


def test_looks_of_one_run_are_all_taken(desk: Desk) -> None:
    painted(desk.main / "a.svs", 1, label_lines=["S23-00131"], label_barcode="S23-00131-A1")
    summary = desk.scan(check="digest", labels=True, qc=True)
    assert summary.looked == {"tiles": 1, "digest": 1, "labels": 1, "quality": 1}
    assert len(summary.sheets) == 1
    row = desk.row("a.svs")
    assert (row["barcode"], row["barcode_source"], row["check_level"]) == ("S23-00131-A1", "code39", "digest")
    assert row["qc"] == "ok"


def test_a_slide_that_cannot_be_decoded_is_not_looked_at_further(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    painted(desk.main / "a.svs", 1, label_lines=["S23-00131"], label_barcode="S23-00131-A1")

    def fail(self, location, level, size):
        raise openslide.OpenSlideError("no")

    monkeypatch.setattr(openslide.OpenSlide, "read_region", fail)
    summary = desk.scan(check="tiles", labels=True, qc=True)
    assert summary.statuses == {"decode_failed": 1}
    assert summary.looked == {"tiles": 1, "labels": 0, "quality": 0}
