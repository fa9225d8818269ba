"""scan: the same scan in another file format, the same glass scanned again, and the same pixels under two cases."""

import dataclasses
import hashlib
import os
import re
import time

import pytest

from pathcurate.demo.slides import paint_tissue, write_svs
from pathcurate.images.likeness import SAME_THUMBNAIL, hash_distance
from pathcurate.scan.duplicates import names_glass
from tests.archives import Desk, tiff
from tests.makers import kfb
from tests.makers.kfb import make_kfb

SIZE = (1200, 900)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, sites={"NB01": {"main": "main", "more": "more"}, "NB02": {"main": "second"}})


def groups(desk):
    """Sets of names in one group."""
    found = {}
    for path, row in desk.rows().items():
        assert row["duplicate_of"] is None or row["scan_group"] is not None
        if row["scan_group"] is not None:
            found.setdefault(row["scan_group"], set()).add(path.decode())
    return sorted(map(sorted, found.values()))


def duplicates(desk):
    """Copy to what it is a copy of, by name."""
    names = {row["slide_id"]: path.decode() for path, row in desk.rows().items()}
    return {names[row["slide_id"]]: names[row["duplicate_of"]] for row in desk.rows().values() if row["duplicate_of"]}


def rules(summary):
    return sorted(finding.rule for finding in summary.findings)


def svs(path, seed, *, size=SIZE, barcode=None, **more):
    keys = {"AppMag": "20", "MPP": "0.5", **({"Barcode": barcode} if barcode else {})}
    write_svs(path, seed=seed, size=size, description=keys, **more)


def export_kfb(path, seed, monkeypatch, *, size=SIZE):
    """A KFB slide of the same painting, encoded anew."""
    picture = paint_tissue(seed, size)
    monkeypatch.setattr(kfb, "tissue", lambda width, height: picture.resize((width, height)))
    make_kfb(path, size=size)


# --- Copies in another encoding --------------------------------------------------------------------------------------


def test_a_kfb_and_its_svs_export_belong_together_once_they_were_looked_at(desk, monkeypatch):
    for seed in (1, 2, 3):
        export_kfb(desk.main / f"b{seed}.kfb", seed, monkeypatch)
        svs(desk.main / f"a{seed}.svs", seed)
    svs(desk.main / "alone.svs", 4)
    desk.scan()
    # Nothing in their headers or their compressed bytes is the same.
    assert groups(desk) == []
    summary = desk.scan(qc=True)
    assert groups(desk) == [[f"a{seed}.svs", f"b{seed}.kfb"] for seed in (1, 2, 3)]
    assert duplicates(desk) == {f"b{seed}.kfb": f"a{seed}.svs" for seed in (1, 2, 3)}
    assert rules(summary) == ["scan.shared_pixels"] * 3
    state = desk.state()
    desk.scan(qc=True)
    desk.scan()
    assert desk.state() == state


def test_a_group_of_lookalikes_ends_when_a_member_goes_or_changes(desk, monkeypatch):
    export_kfb(desk.main / "b.kfb", 1, monkeypatch)
    svs(desk.main / "a.svs", 1)
    desk.scan(qc=True)
    assert groups(desk) == [["a.svs", "b.kfb"]]
    svs(desk.main / "a.svs", 2, bigtiff=True)
    desk.scan(qc=True)
    assert (groups(desk), duplicates(desk)) == ([], {})
    svs(desk.main / "a.svs", 1)
    desk.scan(qc=True)
    assert duplicates(desk) == {"b.kfb": "a.svs"}
    (desk.main / "a.svs").unlink()
    summary = desk.scan()
    assert (groups(desk), duplicates(desk), rules(summary)) == ([], {}, [])


def test_lookalikes_of_another_site_or_shape_are_strangers(desk, monkeypatch):
    export_kfb(desk.directory / "second" / "b.kfb", 1, monkeypatch)
    svs(desk.main / "a.svs", 1)
    # The same painting, squeezed: its thumbnail is stretched to the same hash.
    export_kfb(desk.main / "c.kfb", 1, monkeypatch, size=(1200, 700))
    desk.scan(qc=True)
    one, other = (desk.row(name)["thumbnail_hash"] for name in ("a.svs", "b.kfb"))
    assert hash_distance(one, other) <= SAME_THUMBNAIL
    assert groups(desk) == []


def test_another_encoding_and_a_byte_copy_make_one_group(desk, monkeypatch):
    svs(desk.main / "a.svs", 1)
    desk.put("copy.svs", (desk.main / "a.svs").read_bytes(), archive="more")
    export_kfb(desk.main / "b.kfb", 1, monkeypatch)
    desk.scan(qc=True)
    assert groups(desk) == [["a.svs", "b.kfb", "copy.svs"]]
    assert duplicates(desk) == {"b.kfb": "a.svs", "copy.svs": "a.svs"}


def test_a_deidentified_copy_has_the_same_pixels(desk):
    svs(desk.main / "named.svs", 1, barcode="S23-00131-A1", label_lines=["S23-00131", "ZHANG SAN"])
    svs(desk.main / "scrubbed.svs", 1)
    desk.scan()
    assert duplicates(desk) == {"scrubbed.svs": "named.svs"}


# --- Rescans ---------------------------------------------------------------------------------------------------------


def barcoded(seed, barcode):
    return tiff(seed, keys={"Barcode": barcode})


def test_a_glass_that_was_scanned_again_is_a_group_without_duplicates(desk):
    desk.put("first.svs", barcoded(1, "S23-00131-A2"))
    desk.put("again.svs", barcoded(2, "S23-00131-A2"), archive="more")
    desk.put("other_block.svs", barcoded(3, "S23-00131-A3"))
    desk.put("other_case.svs", barcoded(4, "S23-00132-A2"))
    desk.put("other_site.svs", barcoded(5, "S23-00131-A2"), archive="second")
    summary = desk.scan()
    assert groups(desk) == [["again.svs", "first.svs"]]
    assert (duplicates(desk), rules(summary)) == ({}, [])


def test_a_barcode_that_is_only_the_cases_number_groups_nothing(desk):
    for seed in (1, 2, 3):
        desk.put(f"{seed}.svs", barcoded(seed, "S23-00131"))
    desk.scan()
    assert groups(desk) == []


def test_a_serial_number_names_the_glass(desk):
    desk.put("a.svs", barcoded(1, "0012345678"))
    desk.put("b.svs", barcoded(2, "0012345678"))
    desk.put("c.svs", barcoded(3, "0012345679"))
    desk.scan()
    assert groups(desk) == [["a.svs", "b.svs"]]


def test_another_stain_is_another_glass(desk):
    desk.put("a HE.svs", barcoded(1, "S23-00131-A2"))
    desk.put("b HE.svs", barcoded(2, "S23-00131-A2"))
    desk.put("c Ki-67.svs", barcoded(3, "S23-00131-A2"))
    desk.scan()
    assert [desk.row(name)["stain"] for name in ("a HE.svs", "c Ki-67.svs")] == ["HE", "IHC:Ki-67"]
    assert groups(desk) == [["a HE.svs", "b HE.svs"]]


@pytest.mark.parametrize("word", ["LABEL", "unknown", "-", "未识别", "N/A"])
def test_a_barcode_without_a_number_names_no_glass(desk, word):
    for seed in (1, 2):
        desk.put(f"{seed}.svs", barcoded(seed, word))
    desk.scan()
    assert groups(desk) == []


def test_a_barcode_of_many_cases_names_no_glass(desk):
    # A scanner that writes its own number into every header must not chain an archive into one group.
    for seed in range(12):
        desk.put(f"S23-001{seed:02}.svs", barcoded(seed, "SN-20231"))
    desk.scan()
    assert groups(desk) == []


def test_a_misfiled_rescan_stays_with_its_glass(desk):
    desk.put("S23-00131.svs", barcoded(1, "SN-20231"))
    desk.put("S23-00132.svs", barcoded(2, "SN-20231"))
    desk.scan()
    assert groups(desk) == [["S23-00131.svs", "S23-00132.svs"]]


def test_a_rescan_goes_and_the_group_with_it(desk):
    desk.put("first.svs", barcoded(1, "S23-00131-A2"))
    path = desk.put("again.svs", barcoded(2, "S23-00131-A2"))
    desk.scan()
    assert len(groups(desk)) == 1
    path.unlink()
    desk.scan()
    assert groups(desk) == []


def test_a_rescan_of_a_copied_slide_joins_all_three(desk):
    desk.put("first.svs", barcoded(1, "S23-00131-A2"))
    desk.put("copy.svs", tiff(1, keys={}))
    desk.put("again.svs", barcoded(2, "S23-00131-A2"))
    desk.scan()
    assert groups(desk) == [["again.svs", "copy.svs", "first.svs"]]
    # In order of their paths the copy comes first.
    assert duplicates(desk) == {"first.svs": "copy.svs"}


@pytest.mark.parametrize(
    ("barcode", "blocks", "expected"),
    [
        ("0012345", None, True),
        ("0012345", [], True),
        ("S23-1", [None], False),
        ("S23-1-A", [None], False),
        ("S23-1-A1", ["1"], True),
        ("S23-1 S23-2-A1", [None, "1"], True),
        ("", None, False),
        ("   ", None, False),
        ("LABEL", None, False),
        ("7", None, False),
    ],
)
def test_what_names_a_glass(barcode, blocks, expected):
    assert names_glass(barcode, blocks) is expected


# --- Two cases -------------------------------------------------------------------------------------------------------


def two_cases(summary):
    return [finding for finding in summary.findings if finding.rule == "scan.pixels_of_two_cases"]


def test_the_same_pixels_under_two_cases_are_an_error_without_a_number(desk):
    desk.put("S23-00131.svs", tiff(1, keys={}))
    desk.put("S23-00777.svs", tiff(1, keys={}))
    desk.put("S23-00888.svs", tiff(2, keys={}))
    summary = desk.scan()
    (finding,) = two_cases(summary)
    assert (str(finding.severity), finding.site, finding.subject) == ("error", "NB01", desk.id("S23-00777.svs"))
    assert desk.id("S23-00131.svs") in finding.message
    assert not re.search(r"00131|00777|S23", str(dataclasses.asdict(finding)).replace(finding.subject, ""))
    # It is said again as long as it is so, and ends with it.
    assert two_cases(desk.scan()) == [finding]
    (desk.main / "S23-00777.svs").rename(desk.main / "S23-00131 copy.svs")
    summary = desk.scan()
    assert (two_cases(summary), rules(summary)) == ([], ["scan.shared_pixels"])


def test_one_number_and_none_are_no_conflict(desk):
    desk.put("S23-00131.svs", tiff(1, keys={}))
    desk.put("x.svs", tiff(1, keys={}))
    desk.put("S23-00131/S23-00131 copy.svs", tiff(1, keys={}))
    assert two_cases(desk.scan()) == []


def test_a_copy_of_the_same_number_at_another_site_is_a_copy(desk):
    desk.put("a S23-00131.svs", tiff(1, keys={}))
    desk.put("b S23-00131.svs", tiff(1, keys={}), archive="second")
    desk.put("c S23-00777.svs", tiff(1, keys={}), archive="second")
    summary = desk.scan()
    assert [finding.subject for finding in two_cases(summary)] == [desk.id("c S23-00777.svs")]
    assert rules(summary).count("scan.shared_pixels") == 2


def test_each_of_several_strangers_is_named(desk):
    for number in (1, 2, 3):
        desk.put(f"S23-0000{number}.svs", tiff(1, keys={}))
    desk.put("S23-00001 again.svs", tiff(1, keys={}))
    subjects = {finding.subject for finding in two_cases(desk.scan())}
    assert subjects == {desk.id("S23-00002.svs"), desk.id("S23-00003.svs")}


def test_what_links_two_numbers_is_one_case(desk):
    # A file that lies in a case's folder and has the other number in its name has both.
    desk.put("S23-00001/S23-00002.svs", tiff(1, keys={}))
    desk.put("S23-00001.svs", tiff(1, keys={}))
    desk.put("S23-00002 copy.svs", tiff(2, keys={}))
    assert two_cases(desk.scan()) == []


def test_a_scan_of_one_site_says_each_thing_once(desk):
    desk.put("S23-00131.svs", tiff(1, keys={}))
    desk.put("S23-00777.svs", tiff(1, keys={}), archive="second")
    desk.scan()
    desk.scan(sites=["NB01"])
    desk.scan(sites=["NB02"])
    rows = [row for row in desk.state()["findings"] if row["rule"] == "scan.pixels_of_two_cases"]
    assert [row["subject"] for row in rows] == [desk.id("S23-00777.svs")]


def test_a_scan_of_one_archive_leaves_the_findings_of_the_others(desk):
    desk.put("cut.svs", tiff(1, keys={})[:-60], archive="more")
    desk.put("whole.svs", tiff(2, keys={}))
    desk.scan()
    before = desk.state()["findings"]
    assert [row["rule"] for row in before] == ["scan.truncated"]
    desk.scan(archives=["main"])
    assert desk.state()["findings"] == before


def test_a_byte_changed_in_place_is_digested_again(desk):
    svs(desk.main / "a.svs", 1)
    desk.scan(check="digest")
    path = desk.main / "a.svs"
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 255
    path.write_bytes(content)
    os.utime(path, (time.time() + 50, time.time() + 50))
    assert desk.scan(check="digest").looked["digest"] == 1
    assert desk.row("a.svs")["content_sha256"] == "sha256:" + hashlib.sha256(content).hexdigest()
