"""scan: every file is accounted for, a slide keeps its identity, and whatever a file does, the run goes on."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pytest

from pathcurate.cli.main import run
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, InterruptedRunError, UsageError
from pathcurate.findings import read_findings
from pathcurate.model.column import Type
from pathcurate.model.slide import SLIDES
from pathcurate.readers import READER_VERSIONS
from pathcurate.scan import kernels
from pathcurate.tables import from_rows
from tests.archives import (
    KFB,
    PREVIEW,
    STATES,
    TEXT,
    Deadly,
    Desk,
    InProcess,
    odd_integer,
    plain,
    regular_files,
    tiff,
)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def rename(desk, old, new):
    target = desk.main / new
    target.parent.mkdir(parents=True, exist_ok=True)
    (desk.main / old).rename(target)


class TestStates:
    def test_every_file_has_a_state_or_is_counted_among_the_others(self, desk):
        for name, (content, _) in STATES.items():
            desk.put(name, content)
        summary = desk.scan()
        assert {path.decode(): row["status"] for path, row in desk.rows().items()} == {
            name: status for name, (_, status) in STATES.items() if status
        }
        assert summary.walked == regular_files(desk.main) == len(STATES)
        assert summary.others == {".txt": 1, ".jpg": 1, "": 1}
        assert summary.read == summary.found == sum(status is not None for _, status in STATES.values())

    def test_every_row_keeps_what_the_table_declares(self, desk):
        for name, (content, _) in STATES.items():
            desk.put(name, content)
        desk.scan()
        for row in desk.rows().values():
            for column in SLIDES.columns:
                value = row[column.name]
                assert value is not None or not column.required, column.name
                if column.values and value is not None:
                    assert value in column.values, column.name
                if column.type is Type.STRING:
                    assert value is None or isinstance(value, str)

    def test_states_that_are_no_good_slide_are_findings_and_stay_until_mended(self, desk):
        desk.put("a.svs", b"")
        desk.put("b.kfb", KFB)
        desk.put("c.svs", tiff(1))
        summary = desk.scan()
        assert {(finding.rule, finding.subject) for finding in summary.findings} == {
            ("scan.truncated", desk.id("a.svs")),
            ("scan.unsupported", desk.id("b.kfb")),
        }
        assert len(read_findings(desk.catalog, "scan")) == 2
        desk.put("a.svs", tiff(2))
        desk.scan()
        assert [finding.rule for finding in read_findings(desk.catalog, "scan")] == ["scan.unsupported"]

    @pytest.mark.parametrize("name", ["张三 HE.svs", "片\ud8a1.svs", "line\nbreak.svs", "中文".encode("gb18030") + b".svs"])
    def test_names_in_any_encoding(self, desk, name):
        name = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
        desk.put(b"\xff\xfe folder/" + name, tiff(1))
        desk.put(b"notes.\xff\xfe", TEXT)
        assert desk.scan().statuses == {"ok": 1}
        assert desk.scan().unchanged == 1

    def test_links_are_followed_inside_their_root_only_and_pipes_are_not_waited_for(self, desk):
        slide = desk.put("a.svs", tiff(1))
        (desk.main / "link.svs").symlink_to(slide)
        (desk.main / "outside.svs").symlink_to(desk.put("b.svs", tiff(2), archive="elsewhere"))
        (desk.main / "nowhere.svs").symlink_to("missing.svs")
        (desk.main / "circle").symlink_to(desk.main)
        os.mkfifo(desk.main / "pipe.svs")
        summary = desk.scan()
        assert (summary.walked, summary.found) == (2, 2)
        assert desk.row("link.svs")["duplicate_of"] == desk.id("a.svs")
        assert summary.skipped == {"link": 3, "fifo": 1}

    @pytest.mark.parametrize(("tag", "value"), [(277, 2**64 - 1), (277, -1), (259, -1), (259, 2**64 - 1), (256, -5)])
    def test_a_number_that_no_column_holds_costs_nobody_else(self, desk, tag, value):
        desk.put("a.svs", tiff(1))
        desk.put("hostile.svs", odd_integer(tag, value))
        desk.put("z.svs", tiff(2))
        desk.scan()
        assert [desk.row(name)["status"] for name in ("a.svs", "z.svs")] == ["ok", "ok"]
        assert desk.row("hostile.svs")["channels"] in {None, 3}

    def test_a_reader_that_raises_costs_its_file_alone(self, desk, monkeypatch):
        honest = kernels.read_slide

        def fail(source):
            if source.name == "b.svs":
                raise ValueError("S23-00123 ZHANG SAN")
            if source.name == "c.svs":
                result = honest(source)
                object.__setattr__(result.header, "width", 2**70)
                return result
            return honest(source)

        monkeypatch.setattr(kernels, "read_slide", fail)
        for name in "abcd":
            desk.put(f"{name}.svs", tiff(ord(name)))
        summary = desk.scan()
        assert summary.statuses == {"ok": 2, "reader_crashed": 2}
        assert desk.row("b.svs")["status_detail"] == "the reader raised ValueError"
        assert "ZHANG" not in repr(summary)
        monkeypatch.undo()
        assert desk.scan().statuses == {"ok": 4}

    @pytest.mark.parametrize("seconds", [-(10**10), 10**12, 0, -1, 4 * 10**9])
    def test_a_time_that_the_calendar_does_not_have(self, desk, seconds):
        path = desk.put("a.svs", tiff(1))
        os.utime(path, (seconds, seconds))
        # A file system that cannot store the time stores another odd one, which serves as well.
        assert desk.scan().statuses == {"ok": 1}
        assert desk.scan().unchanged == 1

    def test_a_time_beyond_the_calendar_is_missing(self, desk):
        from pathcurate.scan.index import NO_TIME
        from pathcurate.scan.listing import Listing
        from pathcurate.storage import Entry

        class Root:
            def walk(self, _):
                yield Entry(b"a.svs", 1, 10**21)
                yield Entry(b"b.svs", 1, 1_700_000_000_123_456_789)

        listing = Listing(desk.configure().sites[0], desk.configure().sites[0].archives[0], Root())
        assert listing.open()
        assert [found.mtime for found in listing.entries()] == [NO_TIME, 1_700_000_000_123_456]


class TestCompanions:
    def test_a_slide_and_its_folder_are_one(self, desk):
        desk.put("x.mrxs", PREVIEW)
        desk.put("x/deep/Data0001.dat", b"d" * 7)
        desk.put("x/Slidedat.ini", b"[GENERAL]\n")
        desk.put("y.vsi", b"II*\0" + bytes(40))
        desk.put("_y_/stack1/frame_t.ets", b"e" * 5)
        desk.put("y/holiday.jpg", PREVIEW)
        summary = desk.scan()
        assert (summary.found, summary.companions, summary.others) == (2, 3, {".jpg": 1})
        assert (desk.row("x.mrxs")["file_count"], desk.row("x.mrxs")["size_bytes"]) == (3, 64 + 7 + 10)
        assert (desk.row("y.vsi")["file_count"], desk.row("y.vsi")["size_bytes"]) == (2, 44 + 5)

    def test_a_folder_with_only_sub_folders_belongs_to_its_slide(self, desk):
        desk.put("x.mrxs", PREVIEW)
        desk.put("x/a/1.dat", b"1")
        desk.put("x/b/2.dat", b"22")
        assert desk.scan().companions == 2
        assert desk.row("x.mrxs")["file_count"] == 3

    def test_a_slide_of_the_same_stem_has_no_part_in_the_folder(self, desk):
        desk.put("x.mrxs", PREVIEW)
        desk.put("x.svs", tiff(1))
        desk.put("x/Slidedat.ini", b"[GENERAL]\n")
        desk.scan()
        assert desk.row("x.svs")["file_count"] == 1
        assert desk.row("x.svs")["size_bytes"] == (desk.main / "x.svs").stat().st_size

    def test_slides_in_a_case_folder_named_like_a_slide_are_found(self, desk):
        desk.put("S23-1.mrxs", PREVIEW)
        desk.put("S23-1/S23-1-A1.svs", tiff(1))
        desk.put("S23-1/more/inner.mrxs", PREVIEW)
        desk.put("S23-1/more/inner/Data.dat", b"1234")
        summary = desk.scan()
        assert (summary.found, summary.companions) == (3, 1)
        assert desk.row("S23-1/more/inner.mrxs")["size_bytes"] == 68
        assert desk.row("S23-1.mrxs")["file_count"] == 1

    def test_a_folder_named_like_a_slide_file_owns_nothing(self, desk):
        desk.put("x.mrxs/a.svs", tiff(1))
        desk.put("x/b.tif", tiff(2))
        desk.put("x/c", tiff(3))
        summary = desk.scan()
        assert (summary.found, summary.companions) == (3, 0)

    def test_a_changed_companion_makes_the_slide_be_read_again(self, desk):
        slide = desk.put("x.mrxs", PREVIEW)
        part = desk.put("x/Data0001.dat", b"d" * 7)
        os.utime(slide, ns=(10**18, 10**18))
        os.utime(part, ns=(10**18 + 5000, 10**18 + 5000))
        desk.scan()
        assert desk.row("x.mrxs")["mtime"].microsecond == 5
        assert desk.scan().read == 0
        os.utime(part, ns=(10**18 + 9000, 10**18 + 9000))
        assert desk.scan().read == 1
        part.unlink()
        assert desk.scan().read == 1


class TestIdentity:
    def test_an_unchanged_slide_is_not_read_again_and_leaves_no_new_snapshot(self, desk):
        for number in range(5):
            desk.put(f"{number}.svs", tiff(number))
        desk.put("broken.svs", b"")
        first = InProcess()
        desk.scan(first)
        assert len(first.read) == 6
        before, state = desk.snapshot(), desk.state()
        again = InProcess()
        summary = desk.scan(again)
        assert (again.read, again.sampled) == ([], [])
        assert (summary.unchanged, summary.read) == (6, 0)
        assert (desk.snapshot(), desk.state()) == (before, state)

    def test_a_slide_that_stays_unreadable_leaves_no_new_snapshot(self, desk):
        desk.put("a.svs", tiff(1))
        vanish = desk.put("b.svs", tiff(2))
        desk.scan(InProcess(before=vanish.unlink))
        desk.put("b.svs", tiff(2))
        os.utime(vanish, ns=(10**18, 10**18))

        def locked():
            content = vanish.read_bytes()
            vanish.unlink()
            vanish.mkdir()
            return content

        def scan_locked():
            held = []
            assert desk.scan(InProcess(before=lambda: held.append(locked()))).statuses == {"ok": 1, "unreadable": 1}
            vanish.rmdir()
            vanish.write_bytes(held[0])
            os.utime(vanish, ns=(10**18, 10**18))

        scan_locked()
        before = desk.snapshot()
        scan_locked()
        assert desk.snapshot() == before
        assert desk.scan().statuses == {"ok": 2}

    def test_changed_content_keeps_the_slide(self, desk):
        desk.put("a.svs", tiff(1, keys={"MPP": "0.5"}))
        desk.scan()
        before = desk.row("a.svs")
        desk.put("a.svs", tiff(2, keys={"MPP": "0.25"}))
        summary = desk.scan()
        after = desk.row("a.svs")
        assert (summary.read, summary.moved, summary.gone) == (1, 0, 0)
        assert after["slide_id"] == before["slide_id"]
        assert after["shape_fingerprint"] != before["shape_fingerprint"]
        assert after["mpp_x"] == 0.25

    def test_same_size_but_another_time_is_read_again(self, desk):
        path = desk.put("a.svs", tiff(1))
        desk.scan()
        os.utime(path, ns=(10**18, 10**18))
        assert desk.scan().read == 1
        assert desk.scan().read == 0

    @pytest.mark.parametrize("target", ["b.svs", "folder/a.svs", "病理/切片.tif"])
    def test_a_moved_slide_keeps_its_id(self, desk, target):
        desk.put("a.svs", tiff(1))
        desk.put("other.svs", tiff(2))
        desk.scan()
        slide_id = desk.id("a.svs")
        rename(desk, "a.svs", target)
        summary = desk.scan()
        assert (summary.moved, summary.gone, summary.found) == (1, 0, 2)
        assert desk.id(target) == slide_id
        assert os.fsencode("a.svs") not in desk.rows(gone=True)

    def test_a_slide_moves_between_the_archives_of_its_site_but_not_to_another_site(self, tmp_path):
        desk = Desk(tmp_path, sites={"NB01": {"main": "main", "cold": "cold"}, "NB02": {"main": "other"}})
        desk.put("a.svs", tiff(1))
        for archive in ("main", "cold", "other"):
            desk.put("note.txt", TEXT, archive=archive)
        desk.scan()
        slide_id = desk.id("a.svs")
        (desk.main / "a.svs").rename(tmp_path / "cold" / "b.svs")
        assert desk.scan().moved == 1
        assert (desk.id("b.svs"), desk.row("b.svs")["archive"]) == (slide_id, "cold")
        (tmp_path / "cold" / "b.svs").rename(tmp_path / "other" / "c.svs")
        summary = desk.scan()
        assert (summary.moved, summary.gone) == (0, 1)
        assert desk.id("c.svs") != slide_id

    def test_of_two_missing_slides_that_are_alike_none_is_guessed(self, desk):
        for name in ("a.svs", "b.svs"):
            desk.put(name, tiff(1))
        desk.scan()
        known = {desk.id("a.svs"), desk.id("b.svs")}
        rename(desk, "a.svs", "c.svs")
        (desk.main / "b.svs").unlink()
        summary = desk.scan()
        assert (summary.moved, summary.gone, summary.found) == (0, 2, 1)
        assert desk.id("c.svs") not in known

    def test_alike_slides_that_have_all_moved_are_known_by_name_then_by_order(self, desk):
        for name in ("1/a.svs", "2/a.svs", "2/b.svs", "3/c.svs"):
            desk.put(name, tiff(1))
        desk.scan()
        ids = {name: desk.id(name) for name in ("1/a.svs", "2/a.svs", "2/b.svs", "3/c.svs")}
        (desk.main / "new").mkdir()
        for folder in "123":
            (desk.main / folder).rename(desk.main / "new" / f"{4 - int(folder)}")
        summary = desk.scan()
        assert (summary.moved, summary.gone, summary.found) == (4, 0, 4)
        assert desk.id("new/2/b.svs") == ids["2/b.svs"]
        assert desk.id("new/1/c.svs") == ids["3/c.svs"]
        assert {desk.id("new/2/a.svs"), desk.id("new/3/a.svs")} == {ids["1/a.svs"], ids["2/a.svs"]}

    def test_a_new_uncompressed_slide_does_not_take_the_id_of_a_lost_one(self, desk):
        # Same scanner, same geometry, no compression: header and tile sizes of two patients' slides agree.
        lost = desk.put("patient_a.tif", plain(1, changed=(4,)))
        desk.scan()
        slide_id = desk.id("patient_a.tif")
        lost.unlink()
        new = desk.put("patient_b.tif", plain(2, changed=(4,)))
        os.utime(new, ns=(10**18, 10**18))
        summary = desk.scan()
        assert (summary.moved, summary.gone) == (0, 1)
        assert desk.id("patient_b.tif") != slide_id
        rename(desk, "patient_b.tif", "moved.tif")
        assert desk.scan().moved == 1

    def test_a_copy_left_in_the_old_place_of_a_moved_slide_is_another_slide(self, desk):
        desk.put("p.svs", tiff(1))
        desk.scan()
        slide_id = desk.id("p.svs")
        rename(desk, "p.svs", "q.svs")
        desk.scan()
        shutil.copy2(desk.main / "q.svs", desk.main / "p.svs")
        for _ in range(2):
            summary = desk.scan()
            assert summary.found == 2
            assert desk.id("q.svs") == slide_id
            assert desk.id("p.svs") != slide_id
        assert summary.unchanged == 2

    def test_gone_and_back_again(self, desk):
        content = tiff(1)
        path = desk.put("S23-00123.svs", content)
        desk.put("note.txt", TEXT)
        desk.scan()
        slide_id = desk.id("S23-00123.svs")
        path.unlink()
        for _ in range(2):
            summary = desk.scan()
            assert (summary.found, summary.gone) == (0, 1)
        assert desk.row("S23-00123.svs")["status"] == "gone"
        assert desk.keys() == set()
        path.write_bytes(content)
        summary = desk.scan()
        assert (summary.found, summary.gone) == (1, 0)
        assert desk.row("S23-00123.svs")["status"] == "ok"
        assert desk.keys() == {(slide_id, "S23-123")}

    def test_gone_and_back_under_another_name(self, desk):
        path = desk.put("a.svs", tiff(1))
        desk.put("note.txt", TEXT)
        desk.scan()
        slide_id = desk.id("a.svs")
        path.unlink()
        desk.scan()
        desk.put("b.svs", tiff(1))
        assert desk.scan().moved == 1
        assert desk.id("b.svs") == slide_id

    def test_replaced_by_a_file_that_is_no_slide(self, desk):
        path = desk.put("claimed.dat", tiff(1))
        desk.scan()
        slide_id = desk.id("claimed.dat")
        path.write_bytes(TEXT)
        summary = desk.scan()
        assert (summary.found, summary.gone, summary.others) == (0, 1, {".dat": 1})
        assert desk.row("claimed.dat")["status"] == "gone"
        before = desk.snapshot()
        assert desk.scan().gone == 1
        assert desk.snapshot() == before
        path.write_bytes(tiff(2))
        desk.scan()
        assert (desk.id("claimed.dat"), desk.row("claimed.dat")["status"]) == (slide_id, "ok")

    def test_a_raised_reader_version_reads_again(self, desk, monkeypatch):
        desk.put("a.svs", tiff(1))
        desk.put("b.svs", TEXT)
        desk.scan()
        raised = {**READER_VERSIONS, "tiff": READER_VERSIONS["tiff"] + 1}
        monkeypatch.setattr("pathcurate.scan.known.READER_VERSIONS", raised)
        assert desk.scan().read == 1


class TestSites:
    @pytest.fixture
    def desk(self, tmp_path):
        desk = Desk(tmp_path, sites={"NB01": {"main": "main", "more": "more"}, "NB02": {"main": "second"}})
        for number, archive in enumerate(("main", "more", "second")):
            desk.put(f"S23-0000{number}-{archive}.svs", tiff(number), archive=archive)
        return desk

    def test_one_site_leaves_the_others_alone(self, desk):
        desk.scan()
        (desk.directory / "second" / "S23-00002-second.svs").unlink()
        desk.put("new.svs", tiff(7), archive="second")
        before = desk.state()
        summary = desk.scan(sites=["NB01"])
        assert (summary.walked, summary.unchanged, summary.gone) == (2, 2, 0)
        assert desk.state() == before
        assert desk.scan(sites=["NB02"]).moved == 0
        assert desk.scan().gone == 1

    def test_a_site_named_twice_is_scanned_once(self, desk):
        assert desk.scan(sites=["NB01", "NB01"]).walked == 2

    def test_a_site_that_is_not_there(self, desk):
        with pytest.raises(UsageError, match="NB03"):
            desk.scan(sites=["NB01", "NB03"])

    def test_slides_of_an_archive_that_is_no_longer_configured_stay(self, desk):
        desk.put("twin.svs", tiff(1), archive="main")
        desk.scan()
        before = desk.state()["slides"]
        assert sum(row["duplicate_of"] is not None for row in before) == 1
        desk.configure(sites={"NB01": {"main": "main"}})
        for _ in range(2):
            summary = desk.scan()
            assert (summary.walked, summary.found, summary.gone) == (2, 2, 0)
            assert desk.state()["slides"] == before

    def test_an_archive_that_is_there_and_empty_is_taken_for_a_mount_that_failed(self, desk):
        desk.put("letters/a.txt", TEXT, archive="second")
        desk.scan()
        before = desk.state()
        (desk.directory / "second" / "S23-00002-second.svs").unlink()
        (desk.directory / "second" / "letters" / "a.txt").unlink()
        desk.put("new.svs", tiff(7))
        with pytest.raises(InputOutputError, match=r"archive main of site NB02 holds no file, but 1 ") as caught:
            desk.scan()
        assert caught.value.exit_code == 3
        assert desk.state() == before
        assert desk.scan(sites=["NB01"]).found == 3
        desk.put("emptied on purpose", b"", archive="second")
        assert desk.scan().gone == 1
        (desk.directory / "second" / "emptied on purpose").unlink()
        assert desk.scan().found == 3

    def test_a_new_twin_of_a_slide_in_an_archive_that_is_no_longer_configured(self, desk):
        desk.scan()
        desk.configure(sites={"NB01": {"main": "main"}})
        desk.put("twin_of_more.svs", tiff(1), archive="main")
        assert desk.scan().found == 2

    def test_an_archive_that_cannot_be_listed_changes_nothing(self, desk):
        desk.scan()
        before, state = desk.snapshot(), desk.state()
        (desk.main / "S23-00000-main.svs").unlink()
        (desk.directory / "second").rename(desk.directory / "away")
        with pytest.raises(InputOutputError):
            desk.scan()
        assert (desk.snapshot(), desk.state()) == (before, state)

    def test_keys_and_names_follow_the_patterns_without_reading_a_file(self, desk):
        desk.put("Q77/CASE-4711-B2 HE.svs", tiff(9), archive="main")
        desk.scan()
        slide = "Q77/CASE-4711-B2 HE.svs"
        assert desk.row(slide)["accession_raw"] is None
        assert len(desk.keys()) == 3
        desk.configure(patterns=[r"CASE-(?P<number>\d+)-(?P<specimen>[A-Z])(?P<block>\d)"])
        engine = InProcess()
        desk.scan(engine)
        assert engine.read == []
        assert desk.keys() == {(desk.id(slide), "4711")}
        row = desk.row(slide)
        assert (row["accession_raw"], row["specimen"], row["block"]) == ("CASE-4711-B2 HE", "B", "2")
        assert desk.row("S23-00000-main.svs")["accession_raw"] is None
        before = desk.snapshot()
        desk.scan()
        assert desk.snapshot() == before


class TestRaces:
    """What happens to a file after the archive was walked and before it is read."""

    def test_it_vanishes(self, desk):
        path = desk.put("a.svs", tiff(1))
        note = desk.put("b.txt", TEXT)
        desk.put("c.txt", TEXT)

        def vanish():
            path.unlink()
            note.unlink()

        assert desk.scan(InProcess(before=vanish)).statuses == {"unreadable": 1}
        assert desk.row("a.svs")["status_detail"] == "ENOENT"
        assert desk.scan().gone == 1

    def test_a_known_slide_that_vanishes_while_moving_is_known_again(self, desk, monkeypatch):
        path = desk.put("a.svs", tiff(1))
        desk.scan()
        slide_id = desk.id("a.svs")
        raised = {**READER_VERSIONS, "tiff": READER_VERSIONS["tiff"] + 1}
        monkeypatch.setattr("pathcurate.scan.known.READER_VERSIONS", raised)
        desk.scan(InProcess(before=lambda: path.rename(desk.main / "b.svs")))
        assert desk.row("a.svs")["status"] == "unreadable"
        assert desk.row("a.svs")["width"] == 192
        assert desk.scan().moved == 1
        assert desk.id("b.svs") == slide_id

    def test_it_grows(self, desk):
        path = desk.put("a.svs", tiff(1)[:100])
        assert desk.scan(InProcess(before=lambda: path.write_bytes(tiff(1)))).found == 1
        assert desk.scan().read == 1
        assert desk.row("a.svs")["status"] == "ok"
        assert desk.scan().read == 0

    @pytest.mark.parametrize("kind", ["folder", "pipe", "link", "text"])
    def test_something_else_takes_its_place(self, desk, kind):
        path = desk.put("a.svs", tiff(1))
        other = desk.put("b.svs", tiff(2))

        def replace():
            path.unlink()
            match kind:
                case "folder":
                    path.mkdir()
                case "pipe":
                    os.mkfifo(path)
                case "link":
                    path.symlink_to(other)
                case "text":
                    path.write_bytes(TEXT)

        summary = desk.scan(InProcess(before=replace))
        # A link is followed to where it leads, inside the root.
        expected = {"text": {"ok": 1, "not_a_slide": 1}, "link": {"ok": 2}}
        assert summary.statuses == expected.get(kind, {"ok": 1, "unreadable": 1})


class TestWorkers:
    """With real worker processes that really die."""

    def test_files_that_kill_or_hang_their_reader(self, desk, tmp_path, monkeypatch):
        monkeypatch.setattr("pathcurate.scan._TIMEOUT", 0.4)
        monkeypatch.setattr("pathcurate.scan._BATCH_ROWS", 2)
        for number in range(6):
            desk.put(f"{number}.svs", tiff(number))
        desk.put("2_kills.svs", b"DIE!")
        desk.put("2_kills.xyz", b"DIE!")
        desk.put("5_hangs.svs", b"HANG")
        with Deadly(workers=2, temp_directory=tmp_path / "sql") as engine:
            summary = desk.scan(engine)
            assert summary.statuses == {"ok": 6, "reader_crashed": 2, "timeout": 1}
            assert {desk.row(name)["status"] for name in ("2_kills.svs", "2_kills.xyz")} == {"reader_crashed"}
            assert desk.row("5_hangs.svs")["status"] == "timeout"
            assert {finding.rule for finding in summary.findings} == {"scan.reader_crashed", "scan.timeout"}
            identity = desk.id("2_kills.svs")
        for number, name in enumerate(("2_kills.svs", "2_kills.xyz", "5_hangs.svs")):
            desk.put(name, tiff(10 + number))
        assert desk.scan().statuses == {"ok": 9}
        assert desk.id("2_kills.svs") == identity

    def test_workers_say_the_same_as_this_process(self, desk, tmp_path):
        for name, (content, _) in STATES.items():
            desk.put(name, content)
        for number in range(70):
            desk.put(f"more/{number}.svs", tiff(number % 60 + 10))
        with Embedded(workers=2, temp_directory=tmp_path / "sql") as engine:
            desk.scan(engine)
        state = desk.state()
        shutil.rmtree(desk.workspace_directory / "catalog")
        desk.scan()
        assert desk.state() == state


# Runs as a user without root's rights; what pathcurate needs is imported before.
UNPRIVILEGED = """
import json, os, sys
from pathlib import Path
from tests.archives import Desk, tiff
desk = Desk(Path(sys.argv[1]))
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
said = []
def scan():
    summary = desk.scan()
    rows = desk.rows(gone=True)
    said.append({"statuses": summary.statuses, "skipped": summary.skipped, "others": summary.others, "gone": summary.gone,
                 "rows": {path.decode(): [row[name] for name in ("slide_id", "status", "status_detail")]
                          for path, row in rows.items()},
                 "findings": [finding.rule for finding in summary.findings]})
exec(sys.stdin.read())
print(json.dumps(said), flush=True)
# A library's thread once ended this process with a signal while Python ended, after all was said: not what is tested.
os._exit(0)
"""


@pytest.fixture
def unprivileged():
    """Run statements that call ``desk.put``, ``scan`` and ``os.chmod`` as a user whom permissions stop."""
    # Not below pytest's own directory, which only its owner may enter.
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    Desk(directory)
    for path in (directory, *directory.rglob("*")):
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)

    def act(statements):
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, directory], input=textwrap.dedent(statements), text=True,
            capture_output=True, check=False, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    yield act
    for path in directory.rglob("*"):
        if path.is_dir():
            path.chmod(0o700)
    shutil.rmtree(directory)


class TestPermissions:
    def test_a_file_that_may_not_be_read_and_a_folder_that_may_not_be_listed(self, unprivileged):
        first, locked, freed = unprivileged("""
            for number, name in enumerate(("a.svs", "b.dat", "closed/c.svs", "closed/deep/d.svs", "names_only/e.svs")):
                desk.put(name, tiff(number))
            desk.put("letter.txt", b"text")
            scan()
            for name in ("a.svs", "b.dat", "letter.txt"):
                os.utime(desk.main / name, ns=(10**18, 10**18))
                os.chmod(desk.main / name, 0)
            os.chmod(desk.main / "closed", 0)
            os.chmod(desk.main / "names_only", 0o444)
            scan()
            for name, mode in (("a.svs", 0o600), ("b.dat", 0o600), ("letter.txt", 0o600), ("closed", 0o700),
                               ("names_only", 0o700)):
                os.chmod(desk.main / name, mode)
            scan()
        """)
        assert first["statuses"] == freed["statuses"] == {"ok": 5}
        assert locked["statuses"] == {"unreadable": 2}
        assert locked["rows"]["a.svs"][1:] == locked["rows"]["b.dat"][1:] == ["unreadable", "EACCES"]
        assert locked["others"] == {".txt": 1}
        # What cannot be looked at is not gone.
        assert [locked["rows"][name][1] for name in ("closed/c.svs", "closed/deep/d.svs", "names_only/e.svs")] == ["ok"] * 3
        assert locked["gone"] == 0
        assert locked["skipped"] == {"unreadable_directory": 2}
        assert {"scan.unreadable_directory", "scan.unreadable"} == set(locked["findings"])
        assert freed["rows"] == first["rows"]


class TestCommand:
    def test_nothing_of_a_path_is_printed(self, desk, capfd):
        canaries = ("ZHANGSAN", "张三", "S23-00123", "330281199001011234", "WANGWU")
        desk.put("ZHANGSAN 张三/S23-00123.svs", tiff(1))
        desk.put("ZHANGSAN 张三/S23-00123 copy.svs", tiff(1))
        desk.put("ZHANGSAN/330281199001011234.svs", b"")
        desk.put("closed 张三.kfb", KFB)
        desk.put("S23-00123.ZHANGSAN", TEXT)
        desk.put("Dr.WANGWU", TEXT)
        desk.put(b"\xff.\xfe WANGWU", TEXT)
        desk.put("张三.mrxs", PREVIEW)
        (desk.main / "张三 link").symlink_to("ZHANGSAN")
        shown = ""
        for options in (["-v"], ["--json"], []):
            assert run(["scan", "--workers", "1", "-w", str(desk.workspace_directory), *options]) == 0
            output = capfd.readouterr()
            shown += output.out + output.err
            if options == ["--json"]:
                document = json.loads(output.out)
                assert document["others"] == {"other": 3}
                assert document["found"] == 5
        # No new row was made, so what is findable is what the first run left.
        shown += repr(read_findings(desk.catalog)) + repr(desk.scan())
        assert [name for name in canaries if name.lower() in shown.lower()] == []
        assert any("张三" in row["uri"] or b"ZHANGSAN" in path for path, row in desk.rows().items())

    def test_a_missing_root_is_exit_3_and_changes_nothing(self, desk, capfd):
        desk.put("ZHANGSAN.svs", tiff(1))
        desk.scan()
        before = {path: path.read_bytes() for path in desk.workspace_directory.rglob("*.*") if path.is_file()}
        desk.main.rename(desk.directory / "away")
        assert run(["scan", "-w", str(desk.workspace_directory)]) == 3
        after = {path: path.read_bytes() for path in before}
        assert after == before
        assert desk.row("ZHANGSAN.svs")["status"] == "ok"
        assert "ZHANGSAN" not in capfd.readouterr().err

    def test_fail_on(self, desk, capfd):
        desk.put("a.kfb", KFB)
        arguments = ["scan", "--workers", "1", "-w", str(desk.workspace_directory), "--fail-on"]
        assert [run([*arguments, level]) for level in ("warning", "error")] == [1, 0]
        assert "unsupported:kfbio" in capfd.readouterr().out


# The real command, interrupted as Ctrl-C does it (the whole process group) once so many files are done.
INTERRUPTED = """
import contextlib, os, signal, sys
import pathcurate.scan
from pathcurate.cli import main, scan
pathcurate.scan._BATCH_ROWS = 8
pathcurate.scan.intake._COMMIT_ROWS = 24
@contextlib.contextmanager
def progress(*_, **__):
    def advance(what, done, total):
        if what == "headers" and done >= int(sys.argv[2]):
            os.killpg(0, signal.SIGINT)
    yield advance
scan.phases = progress
sys.exit(main.run(["scan", "--workers", "2", "-w", sys.argv[1]]))
"""


class TestInterruption:
    @pytest.fixture(params=[96])
    def desk(self, request, tmp_path, monkeypatch):
        desk = Desk(tmp_path)
        monkeypatch.setattr("pathcurate.scan._BATCH_ROWS", 8)
        for number in range(request.param):
            content = b"" if number % 50 == 7 else tiff(number - number % 16 // 15)
            desk.put(f"{number * 4 // request.param}/S23-{number:05}-A1 HE.svs", content)
        desk.put("0/moved.svs", tiff(1000))
        desk.scan()
        # Something of everything: one to be moved, one gone, most to be read for the first time.
        table = desk.catalog.read(SLIDES).to_pylist()
        shutil.rmtree(desk.workspace_directory / "catalog")
        desk.catalog.upsert(SLIDES, from_rows(SLIDES, [row for row in table if row["relpath"].startswith(b"0/")]))
        rename(desk, "0/moved.svs", "3/found_again.svs")
        (desk.main / "0" / "S23-00003-A1 HE.svs").unlink()
        return desk

    @pytest.fixture
    def undisturbed(self, desk):
        catalog = desk.workspace_directory / "catalog"
        shutil.copytree(catalog, desk.directory / "kept")
        desk.scan()
        state = desk.state()
        shutil.rmtree(catalog)
        (desk.directory / "kept").rename(catalog)
        assert {row["status"] for row in state["slides"]} == {"ok", "truncated", "gone"}
        assert sum(row["duplicate_of"] is not None for row in state["slides"]) >= 1
        return state

    def files(self, desk):
        return {os.fsencode(path) for path in desk.main.rglob("*.svs")}

    def command(self, script, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def test_interrupted_by_ctrl_c(self, desk, undisturbed):
        with self.command(INTERRUPTED, desk.workspace_directory, 40) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors
        kept = {os.fsencode(desk.main) + b"/" + path for path in desk.rows()}
        assert 24 + 40 - 2 <= len(kept & self.files(desk)) < 94
        engine = InProcess()
        desk.scan(engine)
        assert set(engine.read) == self.files(desk) - kept
        assert len(engine.read) == len(set(engine.read))
        assert desk.state() == undisturbed

    def test_interrupted_at_any_time_from_within(self, desk, undisturbed):
        for stop in (24, 8, 40):

            def interrupt(what, done, total, stop=stop):
                if what == "headers" and done >= stop:
                    raise KeyboardInterrupt

            with pytest.raises(InterruptedRunError) as caught:
                desk.scan(progress=interrupt)
            assert caught.value.exit_code == 130
        desk.scan()
        assert desk.state() == undisturbed

    @pytest.mark.parametrize("desk", [16], indirect=True)
    def test_killed_at_every_write(self, desk, undisturbed, monkeypatch):
        """A scan that is killed when it wishes to have something on disk leaves what is in the files then."""
        monkeypatch.setattr("pathcurate.scan.intake._COMMIT_ROWS", 8)
        catalog, left = desk.workspace_directory / "catalog", []
        with monkeypatch.context() as patch:
            copied = desk.directory / "killed"
            patch.setattr(os, "fsync", lambda _: left.append(shutil.copytree(catalog, copied / str(len(left)))))
            desk.scan()
        assert desk.state() == undisturbed
        assert len(left) > 20
        for number, killed in enumerate(left):
            shutil.rmtree(catalog)
            killed.rename(catalog)
            desk.scan()
            assert desk.state() == undisturbed, number

    def test_killed_at_random_moments(self, desk, undisturbed):
        rng = random.Random(20)
        log = desk.workspace_directory / "catalog" / "slides" / "_log"
        kept = [len(list(log.iterdir()))]
        for _ in range(2):
            with self.command(INTERRUPTED, desk.workspace_directory, 10**9) as process:
                until = time.monotonic() + 20
                while len(list(log.iterdir())) <= kept[-1] and process.poll() is None and time.monotonic() < until:
                    time.sleep(0.002)
                time.sleep(rng.uniform(0, 0.02))
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            kept.append(len(list(log.iterdir())))
        assert kept[-1] > kept[0]
        desk.scan()
        assert desk.state() == undisturbed


def test_kernels_answer_an_empty_batch():
    spec = kernels.ScanSpec((), (), (), ())
    assert kernels.read_headers(pa.RecordBatch.from_pylist([], schema=kernels.HEADER_INPUT), spec).num_rows == 0
