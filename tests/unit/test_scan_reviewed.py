"""scan: what a reviewer found. Verdicts that stay, names that are exchanged, hours that hold for every look."""

import os
from datetime import datetime

import pytest

from pathcurate.errors import UsageError
from pathcurate.model.slide import SLIDES
from pathcurate.readers import read_slide
from pathcurate.scan import relocation
from pathcurate.storage import LocalSource
from pathcurate.tables import from_rows
from tests.archives import Desk, tiff


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def found_bad(desk, relpath):
    """What `--check tiles` writes of a slide whose tiles do not decode."""
    row = {**desk.row(relpath), "status": "decode_failed", "status_detail": "1 of 4 tiles", "check_level": "tiles"}
    desk.catalog.upsert(SLIDES, from_rows(SLIDES, [row]))


def test_a_slide_that_was_found_bad_stays_bad_when_it_moves_and_is_asked_again_when_it_changes(desk):
    path = desk.put("in/a.svs", tiff(1))
    desk.scan()
    found_bad(desk, "in/a.svs")
    (desk.main / "out").mkdir()
    path.rename(desk.main / "out" / "a.svs")
    assert desk.scan().moved == 1
    row = desk.row("out/a.svs")
    assert (row["status"], row["status_detail"], row["check_level"]) == ("decode_failed", "1 of 4 tiles", "tiles")
    os.utime(desk.main / "out" / "a.svs", ns=(10**18, 10**18))
    desk.scan()
    row = desk.row("out/a.svs")
    assert (row["status"], row["check_level"]) == ("ok", "header")


def test_names_that_are_exchanged_or_passed_on_take_no_slides_identity(desk):
    for number in range(1, 6):
        desk.put(f"x{number}.svs", tiff(number))
    desk.scan()
    ids = {number: desk.id(f"x{number}.svs") for number in range(1, 6)}
    # A chain: 3 to a free name, 2 to 3's, 1 to 2's; and a swap of 4 and 5.
    for old, new in (("x3", "y4"), ("x2", "x3"), ("x1", "x2"), ("x4", "z"), ("x5", "x4"), ("z", "x5")):
        (desk.main / f"{old}.svs").rename(desk.main / f"{new}.svs")
    summary = desk.scan()
    assert (summary.moved, summary.gone) == (5, 0)
    assert {name: desk.id(f"{name}.svs") for name in ("x2", "x3", "y4", "x4", "x5")} == {
        "x2": ids[1], "x3": ids[2], "y4": ids[3], "x4": ids[5], "x5": ids[4],
    }  # fmt: skip
    again = desk.scan()
    assert (again.read, again.moved) == (0, 0)


def test_a_slide_that_is_written_over_by_a_copy_of_another_is_gone(desk):
    desk.put("a.svs", tiff(1))
    desk.put("b.svs", tiff(2))
    desk.scan()
    a, b = desk.id("a.svs"), desk.id("b.svs")
    desk.put("b.svs", tiff(1))
    summary = desk.scan()
    assert (summary.moved, summary.gone) == (0, 1)
    rows = [row for row in desk.catalog.read(SLIDES).to_pylist() if row["relpath"] == b"b.svs"]
    assert {row["slide_id"] == b: row["status"] for row in rows} == {True: "gone", False: "ok"}
    assert desk.rows()[b"a.svs"]["slide_id"] == a


@pytest.mark.parametrize("text", ["a", "=b", "a=", "a=a", "a/x=a/x/", "a/../b=c", "a=../b"])
def test_a_relocation_that_says_nothing_is_refused(text):
    with pytest.raises(UsageError):
        relocation(text)


def test_a_relocation_of_an_archive_that_nobody_knows_is_refused(desk):
    desk.put("a.svs", tiff(1))
    desk.scan()
    with pytest.raises(UsageError, match="of which nothing is known"):
        desk.scan(relocations=[relocation("tape=main")])


def test_an_archive_most_of_whose_slides_are_gone_is_an_error(desk):
    for number in range(30):
        desk.put(f"{number}.svs", tiff(number))
    desk.scan()
    for number in range(20):
        (desk.main / f"{number}.svs").unlink()
    (finding,) = [finding for finding in desk.scan().findings if finding.rule == "scan.many_gone"]
    assert (finding.count, finding.site) == (20, "NB01")


@pytest.mark.parametrize("name", ["x.sdpc", "x.mds", "x.mdsx", "x.isyntax", "x.zvi"])
def test_an_unknown_version_of_a_closed_format_is_no_stranger(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x07\x01\x99" + bytes(range(200)) * 30)
    with LocalSource(os.fsencode(path)) as source:
        assert read_slide(source).header.status.startswith("unsupported:")


def test_hours_hold_for_deeper_looks_too(desk):
    desk.put("a.tif", tiff(1))
    desk.scan()
    workspace = desk.configure()
    file = workspace.root / "pathcurate.yaml"
    file.write_text(file.read_text().replace('"name": "main",', '"name": "main", "window": "03:00-04:00",'))
    from pathcurate.scan import ScanOptions, scan
    from pathcurate.workspace import load_workspace
    from tests.archives import InProcess

    noon = datetime(2026, 1, 1, 12).astimezone()
    summary = scan(load_workspace(file), InProcess(), ScanOptions(check="tiles"), now=lambda: noon)
    assert (summary.looked, summary.postponed) == ({"tiles": 0}, {"main": "outside its hours"})
    assert desk.row("a.tif")["check_level"] == "header"
