"""scan: slides with the same pixels are grouped, slides that only look alike are not, and groups stay."""

import os
import shutil

import pyarrow as pa
import pytest

from pathcurate.demo.tiffwriter import long8s, longs
from pathcurate.engines.embedded import Embedded
from pathcurate.readers import sample_pixels
from pathcurate.scan import duplicates
from pathcurate.scan.passes import PASS_INPUT, PassSpec
from pathcurate.storage import LocalRoot, LocalSource
from tests.archives import PREVIEW, Desk, InProcess, plain, tiff


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, sites={"NB01": {"main": "main", "more": "more"}, "NB02": {"main": "second"}})


def groups(desk):
    """Sets of file names in one group, and the group's own name by its first member."""
    found = {}
    for path, row in desk.rows().items():
        if row["scan_group"] is not None:
            found.setdefault(row["scan_group"], set()).add(path.decode())
        else:
            assert row["duplicate_of"] is None
    return found


def sample(path):
    with LocalSource(os.fsencode(path)) as source:
        return sample_pixels(source, "tiff")


def test_byte_copies_in_any_archive_and_site(desk):
    desk.put("b.svs", tiff(1, keys={}), archive="more")
    desk.put("c.svs", tiff(1, keys={}), archive="second")
    desk.put("z/a.svs", tiff(1, keys={}))
    desk.put("y.svs", tiff(2, keys={}))
    summary = desk.scan()
    assert list(groups(desk).values()) == [{"b.svs", "c.svs", "z/a.svs"}]
    # In order of site, archive and path the first is the original.
    first = desk.id("z/a.svs")
    assert {name: desk.row(name)["duplicate_of"] for name in ("z/a.svs", "b.svs", "c.svs")} == {
        "z/a.svs": None, "b.svs": first, "c.svs": first,
    }  # fmt: skip
    assert len({desk.id(name) for name in ("z/a.svs", "b.svs", "c.svs")}) == 3
    shared = [finding for finding in summary.findings if finding.rule == "scan.shared_pixels"]
    assert {finding.subject for finding in shared} == {desk.id("b.svs"), desk.id("c.svs")}


@pytest.mark.parametrize("bigtiff", [False, True])
def test_the_same_pixels_under_another_header(desk, bigtiff):
    desk.put("named.svs", tiff(1, keys={"Title": "S23-00123", "Patient": "ZHANG SAN", "MPP": "0.25"}))
    desk.put("scrubbed.svs", tiff(1, keys={"MPP": "0.25"}, bigtiff=bigtiff))
    desk.scan()
    assert list(groups(desk).values()) == [{"named.svs", "scrubbed.svs"}]


def test_uncompressed_slides_of_one_size_with_other_pixels(desk):
    # Glass at both ends, as in real slides: only tiles between them differ.
    common = {"tiles": 100, "side": 16, "changed": tuple(range(10, 90))}
    desk.put("one.tif", plain(1, **common))
    desk.put("other.tif", plain(2, **common))
    desk.put("copy.tif", plain(1, **common))
    desk.scan()
    assert desk.row("one.tif")["shape_fingerprint"] == desk.row("other.tif")["shape_fingerprint"]
    assert list(groups(desk).values()) == [{"copy.tif", "one.tif"}]


def test_a_difference_deep_within_one_uncompressed_tile(desk):
    tile = bytes(256 * 256 * 3)
    for name, last in (("a.tif", b"\0"), ("b.tif", b"\1")):
        desk.put(name, tiff(tiles=1, side=256, method=1, segments=[tile[:-1] + last]))
    desk.scan()
    assert groups(desk) == {}


def test_another_geometry_or_compression_is_another_slide(desk):
    desk.put("a.tif", tiff(1))
    desk.put("b.tif", tiff(1, side=128))
    desk.put("c.tif", tiff(1, method=33005))
    engine = InProcess()
    desk.scan(engine)
    assert groups(desk) == {}
    assert engine.sampled == []


def test_broken_slides_are_not_compared(desk):
    for name in ("a.svs", "b.svs"):
        desk.put(name, tiff(1)[:-60])
    for name in ("a.mrxs", "b.mrxs"):
        desk.put(name, PREVIEW)
    engine = InProcess()
    desk.scan(engine)
    assert engine.sampled == []
    assert groups(desk) == {}


def test_a_group_keeps_its_name_and_is_not_read_again(desk):
    for name in ("a.svs", "b.svs"):
        desk.put(name, tiff(1))
    desk.scan()
    ((group, members),) = groups(desk).items()
    assert members == {"a.svs", "b.svs"}
    desk.put("c.svs", tiff(1))
    engine = InProcess()
    desk.scan(engine)
    assert groups(desk) == {group: {"a.svs", "b.svs", "c.svs"}}
    assert engine.sampled == [os.fsencode(desk.main / "c.svs")]
    # Another workspace that sees the same slides in another order names the group the same.
    shutil.rmtree(desk.workspace_directory / "catalog")
    (desk.main / "a.svs").rename(desk.main / "z.svs")
    desk.scan()
    assert groups(desk) == {group: {"b.svs", "c.svs", "z.svs"}}


def test_a_group_ends_with_its_last_but_one_member(desk):
    first = desk.put("a.svs", tiff(1))
    desk.put("b.svs", tiff(1))
    desk.scan()
    group = next(iter(groups(desk)))
    first.unlink()
    desk.scan()
    assert groups(desk) == {}
    assert desk.row("b.svs")["duplicate_of"] is None
    first.write_bytes(tiff(1))
    desk.scan()
    assert groups(desk) == {group: {"a.svs", "b.svs"}}
    desk.put("b.svs", tiff(2))
    desk.scan()
    assert groups(desk) == {}


def test_the_first_of_a_group_moves_behind_the_others(desk):
    desk.put("a.svs", tiff(1))
    desk.put("b.svs", tiff(1))
    desk.scan()
    first = desk.id("a.svs")
    assert desk.row("b.svs")["duplicate_of"] == first
    (desk.main / "a.svs").rename(desk.main / "z.svs")
    desk.scan()
    assert desk.id("z.svs") == first
    assert (desk.row("b.svs")["duplicate_of"], desk.row("z.svs")["duplicate_of"]) == (None, desk.id("b.svs"))


def test_a_scan_of_one_site_finds_a_twin_in_another(desk):
    desk.put("a.svs", tiff(1))
    desk.put("b.svs", tiff(1), archive="second")
    desk.scan(sites=["NB02"])
    desk.scan(sites=["NB01"])
    assert desk.row("b.svs")["duplicate_of"] == desk.id("a.svs")


def test_a_group_outlives_a_site_that_is_away(desk):
    desk.put("a.svs", tiff(1))
    desk.put("b.svs", tiff(1), archive="second")
    desk.scan()
    before = groups(desk)
    (desk.directory / "second").rename(desk.directory / "away")
    desk.scan(sites=["NB01"])
    assert groups(desk) == before != {}


def test_a_file_that_cannot_be_sampled_is_compared_with_none(desk, monkeypatch):
    for name in ("a.svs", "b.svs"):
        desk.put(name, tiff(1))

    def fail(source, reader):
        raise RuntimeError("bad luck")

    monkeypatch.setattr(duplicates, "sample_pixels", fail)
    desk.scan()
    assert groups(desk) == {}
    monkeypatch.undo()
    desk.scan()
    assert len(groups(desk)) == 1


def test_a_slide_that_vanishes_before_it_is_sampled(desk):
    for name in ("a.svs", "b.svs", "c.svs"):
        desk.put(name, tiff(1))

    class Late(InProcess):
        def run(self, kernel, batches, spec, schema, **more):
            if kernel is duplicates.sample_compressed:
                (desk.main / "b.svs").unlink()
            return super().run(kernel, batches, spec, schema, **more)

    desk.scan(Late())
    assert list(groups(desk).values()) == [{"a.svs", "c.svs"}]
    assert desk.scan().gone == 1


def test_real_workers_find_the_same_groups(desk, tmp_path):
    for number in range(40):
        desk.put(f"{number}.svs", tiff(number % 30))
    with Embedded(workers=1, temp_directory=tmp_path / "sql") as engine:
        desk.scan(engine)
    assert sorted(map(len, groups(desk).values())) == [2] * 10


class TestSample:
    def test_it_follows_every_byte_of_a_small_file_tile_by_tile(self, tmp_path):
        segments = [bytes([index]) * 50 for index in range(9)]
        path = tmp_path / "x.tif"
        path.write_bytes(tiff(segments=segments))
        seen = {sample(path)}
        for index in range(9):
            for place in (0, 49):
                tile = bytearray(segments[index])
                tile[place] ^= 1
                path.write_bytes(tiff(segments=[*segments[:index], bytes(tile), *segments[index + 1 :]]))
                seen.add(sample(path))
        # Of nine tiles eight are looked at, the same ones every time.
        assert len(seen) == 1 + 8 * 2

    def test_what_it_reads_is_bounded(self, tmp_path):
        path = tmp_path / "big.tif"
        # 4,096 tiles of 3 MiB in one hole of 12 GiB; a few kB on disk.
        tables = {
            324: long8s(*((1 << 20) + index * (3 << 20) for index in range(4096))),
            325: longs(*[3 << 20] * 4096),
        }
        path.write_bytes(tiff(tiles=4096, side=1024, method=1, segments=[b""] * 4096, bigtiff=True, fields=tables))
        os.truncate(path, 13 << 30)

        class Counting(LocalSource):
            total = 0

            def read_at(self, offset, length):
                Counting.total += length
                return super().read_at(offset, length)

        with Counting(os.fsencode(path)) as source:
            assert sample_pixels(source, "tiff") is not None
        assert 8 << 20 <= Counting.total < 9 << 20

    def test_a_damaged_file_has_none(self, tmp_path):
        path = tmp_path / "x.tif"
        path.write_bytes(tiff(1)[:50])
        files = [{"root": 0, "relpath": name, "reader": "tiff"} for name in (b"x.tif", b"missing.tif")]
        batch = pa.RecordBatch.from_pylist(files, schema=PASS_INPUT)
        spec = PassSpec((LocalRoot(os.fsencode(tmp_path)),))
        assert duplicates.sample_compressed(batch, spec)["pixel_fingerprint"].to_pylist() == [None, None]
