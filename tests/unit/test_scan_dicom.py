"""scan of slides and series that lie in many files, and what it remembers of files."""

import io
import os
import shutil
import socket
import time
from collections import Counter
from pathlib import Path

import pydicom
import pytest

import pathcurate.scan
from pathcurate.engines.embedded import processes
from pathcurate.findings import read_findings
from pathcurate.model.series import SERIES
from pathcurate.model.slide import FILES, SLIDES
from pathcurate.readers import READER_VERSIONS
from pathcurate.tables import Catalog, from_rows
from tests.archives import TEXT, Desk, InProcess, regular_files, tiff
from tests.dicoms import SR_CLASS, radiology, slide_part, uid, whole_slide


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def plant(desk, files, folder=""):
    for name, content in files.items():
        desk.put(os.path.join(folder, name), content)  # noqa: PTH118


def opened(desk):
    """The next scan's summary, and how many files it opened."""
    engine = InProcess()
    summary = desk.scan(engine)
    return summary, len(engine.read)


def series(desk):
    return desk.catalog.read(SERIES).to_pylist()


class TestSlides:
    def test_twelve_files_are_one_slide(self, desk):
        plant(desk, whole_slide(), "S23-00001 HE")
        desk.put("plain.svs", tiff(1))
        desk.put("letter.txt", TEXT)
        summary = desk.scan()
        assert (summary.walked, summary.found, summary.companions, summary.others) == (14, 2, 11, {".txt": 1})
        row = desk.row("S23-00001 HE/level2.dcm")
        assert (row["status"], row["format"], row["file_count"], row["width"]) == ("ok", "dicom", 12, 224)
        assert row["size_bytes"] == sum(map(len, whole_slide().values()))
        assert row["stain"] == "HE"
        assert desk.keys() == {(row["slide_id"], "S23-1")}
        assert series(desk) == []

    def test_two_slides_in_one_folder_and_one_over_two_folders(self, desk):
        first, second = whole_slide(1), whole_slide(2)
        plant(desk, {f"1{name}": data for name, data in first.items()})
        plant(desk, {f"2{name}": data for name, data in second.items() if "level0" in name})
        plant(desk, {f"2{name}": data for name, data in second.items() if "level0" not in name}, "more")
        summary = desk.scan()
        assert (summary.found, summary.companions, summary.statuses) == (2, 22, {"ok": 2})
        assert set(desk.rows()) == {b"1level2.dcm", b"more/2level2.dcm"}

    def test_the_same_series_in_two_archives_is_two_slides(self, tmp_path):
        desk = Desk(tmp_path, sites={"NB01": {"main": "main", "more": "more"}})
        desk.put("a.dcm", slide_part())
        desk.put("b.dcm", slide_part(), archive="more")
        assert desk.scan().found == 2

    def test_states_are_findings_and_go_when_mended(self, desk):
        desk.put("a/level0.dcm", slide_part()[:-7])
        desk.put("b/label.dcm", slide_part("LABEL", slide=2))
        summary = desk.scan()
        assert summary.statuses == {"truncated": 1, "companion_missing": 1}
        assert {finding.rule for finding in summary.findings} == {"scan.truncated", "scan.companion_missing"}
        kept = desk.id("b/label.dcm")
        desk.put("a/level0.dcm", slide_part())
        desk.put("c/level0.dcm", slide_part(slide=2, number=2))
        assert desk.scan().statuses == {"ok": 2}
        assert read_findings(desk.catalog, "scan") == []
        # The slide keeps its name although another file stands for it now.
        assert desk.id("c/level0.dcm") == kept
        assert os.fsencode("b/label.dcm") not in desk.rows(gone=True)

    def test_a_deidentified_copy_is_a_duplicate_and_another_slide_is_not(self, desk):
        plant(desk, whole_slide(), "a")
        plant(desk, {f"{number}": deidentified(data) for number, data in enumerate(whole_slide().values())}, "b")
        plant(desk, whole_slide(2), "c")
        assert desk.scan().statuses == {"ok": 3}
        first, copy, other = (desk.rows()[path] for path in sorted(desk.rows()))
        assert (copy["duplicate_of"], other["duplicate_of"]) == (first["slide_id"], None)
        assert copy["scan_group"] == first["scan_group"] != other["scan_group"]
        assert copy["header_fingerprint"] != first["header_fingerprint"]


def deidentified(data):
    instance = pydicom.dcmread(io.BytesIO(data))
    instance.remove_private_tags()
    instance.PatientName, instance.PatientID, instance.AccessionNumber = "", "", ""
    instance.SeriesInstanceUID = uid(99)
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = f"{instance.SOPInstanceUID}.1"
    instance.ContainerIdentifier = "C1"
    buffer = io.BytesIO()
    instance.save_as(buffer)
    return buffer.getvalue()


class TestMemory:
    @pytest.fixture
    def desk(self, tmp_path):
        desk = Desk(tmp_path)
        plant(desk, whole_slide(), "one")
        plant(desk, {f"{number}.dcm": radiology(number) for number in range(1, 6)}, "ct")
        plant(desk, {"letter.txt": TEXT, "plain.svs": tiff(1), "nothing": b""})
        desk.scan()
        return desk

    def test_nothing_changed_opens_no_file(self, desk):
        before, state = desk.snapshot(), desk.state()
        snapshots = [desk.catalog.state(table) for table in (FILES, SERIES)]
        summary, count = opened(desk)
        assert count == 0
        assert (summary.found, summary.companions, summary.instances, summary.series) == (2, 11, 5, 1)
        assert (desk.snapshot(), desk.state()) == (before, state)
        assert snapshots == [desk.catalog.state(table) for table in (FILES, SERIES)]

    def test_a_file_that_appears_is_opened_alone(self, desk):
        slide_id = desk.id("one/level2.dcm")
        desk.put("elsewhere/level3.dcm", slide_part(number=30, width=28, height=16, tile=16, level=8))
        desk.put("ct/6.dcm", radiology(6))
        summary, count = opened(desk)
        assert count == 2
        row = desk.row("elsewhere/level3.dcm")
        assert (row["slide_id"], row["level_count"], row["file_count"]) == (slide_id, 4, 13)
        assert (summary.read, summary.unchanged, summary.gone, summary.moved) == (1, 1, 0, 0)
        assert [row["instance_count"] for row in series(desk)] == [6]

    def test_a_file_that_vanishes_is_missed(self, desk):
        slide_id = desk.id("one/level2.dcm")
        (desk.main / "one" / "level0_1.dcm").unlink()
        (desk.main / "ct" / "1.dcm").unlink()
        summary, count = opened(desk)
        assert count == 0
        assert desk.row("one/level2.dcm")["slide_id"] == slide_id
        assert (desk.row("one/level2.dcm")["status"], summary.gone) == ("companion_missing", 0)
        assert (series(desk)[0]["instance_count"], series(desk)[0]["relpath"]) == (4, b"ct/2.dcm")

    def test_a_file_that_changes_is_read_again_alone(self, desk):
        path = desk.main / "one" / "label.dcm"
        path.write_bytes(path.read_bytes()[:-3])
        _, count = opened(desk)
        assert count == 1
        assert desk.row("one/level2.dcm")["status"] == "truncated"
        os.utime(desk.main / "letter.txt", ns=(10**18, 10**18))
        assert opened(desk)[1] == 1
        assert opened(desk)[1] == 0

    def test_a_slide_whose_files_all_move_keeps_its_name(self, desk):
        slide_id = desk.id("one/level2.dcm")
        (desk.main / "one").rename(desk.main / "two")
        summary = desk.scan()
        assert (summary.moved, summary.gone) == (1, 0)
        assert desk.id("two/level2.dcm") == slide_id

    def test_it_keeps_its_name_while_some_of_its_files_stay(self, desk):
        slide_id = desk.id("one/level2.dcm")
        for number, path in enumerate(sorted((desk.main / "one").iterdir())[:11]):
            path.rename(desk.main / f"x{number}.dcm")
        desk.scan()
        assert [row["slide_id"] for row in desk.rows().values() if row["format"] == "dicom"] == [slide_id]

    def test_all_files_gone_and_back(self, desk):
        slide_id, number = desk.id("one/level2.dcm"), series(desk)[0]["series_id"]
        for folder in ("one", "ct"):
            (desk.main / folder).rename(desk.directory / folder)
        summary = desk.scan()
        assert (summary.gone, summary.found, summary.instances) == (1, 1, 0)
        assert [row["status"] for row in series(desk)] == ["gone"]
        assert (desk.row("one/level2.dcm")["status"], desk.keys()) == ("gone", set())
        assert opened(desk)[1] == 0
        for folder in ("one", "ct"):
            (desk.directory / folder).rename(desk.main / folder)
        assert desk.scan().gone == 0
        assert (desk.id("one/level2.dcm"), series(desk)[0]["series_id"]) == (slide_id, number)
        assert [row["status"] for row in series(desk)] == ["ok"]

    def test_another_slide_in_place_of_one_file_leaves_the_rest_their_name(self, desk):
        slide_id = desk.id("one/level2.dcm")
        desk.put("one/level0_1.dcm", slide_part(slide=3))
        desk.scan()
        assert desk.id("one/level2.dcm") == slide_id
        assert desk.id("one/level0_1.dcm") != slide_id
        desk.put("one/level0_2.dcm", tiff(8))
        desk.scan()
        assert desk.id("one/level2.dcm") == slide_id
        assert len({row["slide_id"] for row in desk.rows().values()}) == 4

    def test_a_slide_of_one_file_that_becomes_a_part_keeps_its_name(self, desk):
        slide_id = desk.id("plain.svs")
        desk.put("plain.svs", slide_part(slide=4))
        summary = desk.scan()
        assert (desk.id("plain.svs"), summary.gone) == (slide_id, 0)
        desk.put("plain.svs", slide_part(number=40))
        summary = desk.scan()
        assert (summary.found, summary.gone) == (1, 1)
        assert desk.row("one/level2.dcm")["file_count"] == 13

    def test_a_slide_of_another_reader_that_becomes_a_part_of_a_known_one_is_gone(self, desk):
        desk.put("plain.svs", slide_part(number=40))
        summary = desk.scan()
        assert (summary.found, summary.gone) == (1, 1)
        assert desk.row("plain.svs")["status_detail"] == "a part of another slide or series now"

    def test_an_old_catalog_of_one_row_a_file_is_merged(self, desk):
        # As an earlier version left it, which listed a DICOM slide file by file.
        rows = desk.catalog.read(SLIDES).to_pylist()
        (one,) = (row for row in rows if row["format"] == "dicom")
        shutil.rmtree(desk.workspace_directory / "catalog")
        old = [
            {
                **one,
                "relpath": f"one/{name}".encode(),
                "slide_id": f"S-{number:016}",
                "reader": "openslide",
                "reader_version": 1,
            }
            for number, name in enumerate(whole_slide())
        ]
        desk.catalog.upsert(SLIDES, from_rows(SLIDES, old))
        summary = desk.scan()
        assert (summary.found, summary.gone) == (2, 11)
        assert desk.id("one/level2.dcm") in {row["slide_id"] for row in old}
        assert opened(desk)[1] == 0

    def test_a_raised_reader_version_opens_the_parts_again(self, desk, monkeypatch):
        monkeypatch.setattr("pathcurate.scan.known.READER_VERSIONS", {**READER_VERSIONS, "dicom": 99})
        state = desk.rows()
        assert opened(desk)[1] == 12 + 5
        assert {row["slide_id"] for row in desk.rows().values()} == {row["slide_id"] for row in state.values()}

    def test_a_part_that_cannot_be_read_is_named_and_tried_again(self, desk):
        path = desk.main / "one" / "level1.dcm"
        path.touch()

        def lock():
            path.rename(desk.directory / "kept")
            path.mkdir()

        summary = desk.scan(InProcess(before=lock))
        assert summary.statuses == {"ok": 1, "unreadable": 1}
        row = desk.row("one/level2.dcm")
        assert (row["level_count"], row["status_detail"]) == (3, "1 of 12 instances: EINVAL")
        path.rmdir()
        (desk.directory / "kept").rename(path)
        assert desk.scan().statuses == {"ok": 2}

    def test_a_folder_that_cannot_be_listed_hides_nothing(self, desk, monkeypatch):
        honest = os.scandir
        desk.put("two/extra.dcm", slide_part(number=30, width=28, height=16, tile=16, level=8))
        desk.scan()
        assert desk.row("two/extra.dcm")["file_count"] == 13

        def refuse(path):
            if not isinstance(path, int) and os.fsencode(path).endswith(b"/one"):
                raise PermissionError(13, "no")
            return honest(path)

        monkeypatch.setattr(os, "scandir", refuse)
        summary = desk.scan()
        assert (summary.gone, summary.skipped) == (0, {"unreadable_directory": 1})
        assert desk.row("two/extra.dcm")["file_count"] == 13
        monkeypatch.undo()
        summary, count = opened(desk)
        assert (count, summary.statuses) == (0, {"ok": 2})


class TestKilled:
    def test_at_every_commit_the_next_scan_ends_the_same(self, desk, monkeypatch):
        plant(desk, whole_slide(), "one")
        plant(desk, {f"{number}.dcm": radiology(number) for number in range(1, 4)}, "ct")
        plant(desk, {"letter.txt": TEXT, "plain.svs": tiff(1), "single.svs": tiff(2)})
        desk.scan()
        catalog = desk.workspace_directory / "catalog"
        shutil.copytree(catalog, desk.directory / "kept")
        (desk.main / "one").rename(desk.main / "two")
        (desk.main / "two" / "level2.dcm").unlink()
        (desk.main / "ct" / "1.dcm").unlink()
        desk.put("letter.txt", tiff(3))
        desk.put("plain.svs", slide_part(slide=5))
        desk.put("single.svs", radiology(9))
        desk.scan()
        undisturbed = desk.state()
        shutil.rmtree(catalog)
        (desk.directory / "kept").rename(catalog)
        monkeypatch.setattr("pathcurate.scan.intake._COMMIT_ROWS", 3)
        honest, left = Catalog._commit, []

        def commit(self, *arguments, **named):
            # What a scan that is killed here leaves.
            left.append(shutil.copytree(catalog, desk.directory / f"killed{len(left)}"))
            honest(self, *arguments, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Catalog, "_commit", commit)
            desk.scan()
        assert desk.state() == undisturbed
        for number, killed in enumerate(left):
            shutil.rmtree(catalog)
            killed.rename(catalog)
            desk.scan()
            assert desk.state() == undisturbed, number
        assert len(left) > 5


class TestSeries:
    def test_each_series_is_a_row_and_every_instance_is_accounted_for(self, desk):
        plant(desk, {f"a{number}": radiology(number) for number in range(3)})
        plant(
            desk,
            {f"b{number}": radiology(number, series=2, modality="SR", rows=0, sop_class=SR_CLASS) for number in range(2)},
        )
        desk.put("broken.dcm", radiology(7, series=3)[:300])
        desk.put("cut.dcm", radiology(8)[:-2])
        summary = desk.scan()
        assert (summary.walked, summary.found, summary.instances, summary.series) == (7, 0, 7, 3)
        assert Counter((row["modality"], row["status"], row["instance_count"]) for row in series(desk)) == {
            ("CT", "truncated", 4): 1, ("SR", "ok", 2): 1, (None, "truncated", 1): 1,
        }  # fmt: skip
        assert [finding.rule for finding in summary.findings] == ["scan.truncated"] * 2
        assert "WANG" not in repr(summary)

    def test_two_thousand_instances_in_a_flat_folder_take_seconds(self, desk):
        for number in range(2000):
            desk.put(f"{number}", radiology(number, series=number // 100))
        begin = time.monotonic()
        summary = desk.scan()
        assert time.monotonic() - begin < 20
        assert (summary.instances, summary.series) == (2000, 20)
        begin = time.monotonic()
        assert opened(desk)[1] == 0
        assert time.monotonic() - begin < 5


class TestOddFiles:
    def test_sockets_pipes_loops_and_links_out_of_the_root(self, desk, monkeypatch):
        desk.put("中文".encode("gb18030") + b".dcm", slide_part())
        monkeypatch.chdir(desk.main)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("s.svs")
            os.mkfifo("p.dcm")
            Path("loop").symlink_to(".")
            Path("out.svs").symlink_to("/etc/passwd")
            summary = desk.scan()
        assert summary.skipped == {"socket": 1, "fifo": 1, "link": 2}
        assert (summary.walked, summary.statuses) == (regular_files(desk.main), {"ok": 1})

    def test_a_part_that_vanishes_or_grows_while_it_is_scanned(self, desk):
        grows = desk.put("a.dcm", slide_part()[:-100])
        gone = desk.put("b.dcm", slide_part(number=2, width=48, height=32, level=2))
        whole = slide_part()

        def change():
            gone.unlink()
            grows.write_bytes(whole)

        assert desk.scan(InProcess(before=change)).found >= 1
        assert desk.scan().statuses == {"ok": 1}
        assert opened(desk)[1] == 0

    def test_one_file_that_hangs_costs_minutes_at_most(self):
        assert pathcurate.scan._TIMEOUT * (processes._BATCH_PATIENCE + 1) <= 100


class TestRealFiles:
    def test_every_file_is_accounted_for(self, real_data, tmp_path):
        desk = Desk(tmp_path)
        for folder in ("dicom", "wsi"):
            shutil.copytree(real_data / folder, desk.main / folder, copy_function=os.symlink)
        for path in [path for path in desk.main.rglob("*") if path.is_symlink()]:
            target = path.readlink()
            path.unlink()
            os.link(target, path) if target.stat().st_dev == tmp_path.stat().st_dev else shutil.copyfile(target, path)
        summary = desk.scan()
        assert summary.walked == regular_files(desk.main)
        dicom = {row["relpath"].rpartition(b"/")[2]: row for row in desk.rows().values() if row["format"] == "dicom"}
        assert {name: (row["status"], row["file_count"]) for name, row in dicom.items()} == {
            b"test_jpeg_dicom.dcm": ("ok", 1), b"test_wsi2.dcm": ("companion_missing", 1), b"sm_image.dcm": ("ok", 1),
            b"sm_image_jpegls.dcm": ("unsupported:dicom", 1), b"boxes_0.dcm": ("ok", 2),
        }  # fmt: skip
        assert dicom[b"boxes_0.dcm"]["has_thumbnail"] is True
        assert Counter(row["status"] for row in series(desk)) == {"ok": 26, "truncated": 4, "corrupt": 1}
        # The DICOMDIR names files that are not there and may have come since.
        assert opened(desk)[1] == 1


class TestDirectory:
    def test_files_that_a_dicomdir_names_and_are_not_there_are_a_finding_until_they_come(self, desk, real_data):
        source = real_data / "dicom"
        directory = next(path for path in sorted(source.rglob("DICOMDIR*")) if path.is_file())
        desk.put("disc/DICOMDIR", directory.read_bytes())
        summary = desk.scan()
        assert [finding.rule for finding in summary.findings] == ["scan.dicomdir"]
        assert "not there" in summary.findings[0].message
        assert [finding.rule for finding in desk.scan().findings] == ["scan.dicomdir"]
