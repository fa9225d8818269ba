"""The indexes of a scan: which row counts, where it lies, and tables that are written as a stream."""

from datetime import datetime

import numpy as np
import pytest

from pathcurate.model.slide import ARRIVALS, FILES, SLIDE_KEYS, SLIDES
from pathcurate.readers import FAMILY_VERSION, READER_VERSIONS
from pathcurate.scan import relocation
from pathcurate.scan.index import NO_TIME, Lookup, RowReader, as_digests, place_digest
from pathcurate.scan.known import OTHER, SERIES_PART, SLIDE_PART, Known
from pathcurate.tables import Catalog, from_rows

MIDNIGHT = datetime.fromisoformat("2024-01-01")


@pytest.fixture
def catalog(tmp_path):
    return Catalog(tmp_path / "catalog")


def slide(number, relpath=None, *, status="ok", archive="main", **more):
    return {
        "slide_id": f"S-{number:016}", "site": "NB01", "archive": archive, "relpath": relpath or b"%d.svs" % number,
        "size_bytes": number, "mtime": MIDNIGHT, "status": status, "reader": "tiff",
        "reader_version": READER_VERSIONS["tiff"], "header_fingerprint": f"sha256:{number}", **more,
    }  # fmt: skip


def file(relpath, kind="other", *, archive="main", owner=None, **more):
    version = FAMILY_VERSION if kind == "other" else READER_VERSIONS["dicom"]
    return {
        "site": "NB01", "archive": archive, "relpath": relpath, "kind": kind, "size_bytes": 1, "owner": owner,
        "mtime": None, "reader_version": version, "merged": True, **more,
    }  # fmt: skip


def put(catalog, table, *rows):
    catalog.upsert(table, from_rows(table, rows))


def place(relpath, archive="main", site="NB01"):
    return as_digests([place_digest(site, archive, relpath)])


def at(index, relpath, archive="main"):
    return int(index.find(place(relpath, archive))[0])


def ids(index):
    return sorted(code.decode() for code in index.ids)


class TestLookup:
    def test_digests_that_agree_in_one_half(self):
        digests = np.array([[1, 5], [1, 3], [1, 9], [2, 3], [0, 3], [1, 3]], np.uint64)
        lookup = Lookup(digests)
        wanted = np.array([[1, 9], [1, 3], [1, 5], [1, 4], [2, 3], [0, 3], [3, 3], [1, 10], [0, 0]], np.uint64)
        assert lookup.find(wanted).tolist() == [2, 1, 0, -1, 3, 4, -1, -1, -1]

    def test_a_thousand_with_one_first_half(self):
        rng = np.random.default_rng(1)
        digests = np.stack([np.full(1000, 7, np.uint64), rng.permutation(1000).astype(np.uint64)], 1)
        assert Lookup(digests).find(digests).tolist() == list(range(1000))

    def test_preference(self):
        digests = np.array([[1, 1], [1, 1], [1, 1]], np.uint64)
        assert Lookup(digests, np.array([1, 0, 2])).find(digests[:1]).tolist() == [1]
        assert Lookup(digests, np.array([2, 1, 0])).find(digests[:1]).tolist() == [2]

    def test_nothing(self):
        empty = np.zeros((0, 2), np.uint64)
        assert Lookup(empty).find(np.ones((2, 2), np.uint64)).tolist() == [-1, -1]
        assert Lookup(np.ones((2, 2), np.uint64)).find(empty).tolist() == []

    def test_places_are_not_confused(self):
        """What is joined to one text must not be ambiguous."""
        digests = {place_digest(*args) for args in [("A", "b", b"c"), ("A", "bc", b""), ("Ab", "", b"c"), ("A", "", b"bc")]}
        assert len(digests) == 4


class TestRowsThatCount:
    def test_empty_tables(self, catalog):
        known = Known.read(catalog, {})
        for index in (known.slides, known.files, known.arrivals):
            assert len(index) == 0
            assert index.find(place(b"a")).tolist() == [-1]
            assert index.at_id(b"S-0") is None
            assert list(index.rows(catalog, np.zeros(0, np.int64))) == []

    def test_of_many_parts_the_last_row_of_a_slide(self, catalog):
        put(catalog, SLIDES, *(slide(number) for number in range(10)))
        put(catalog, SLIDES, slide(3, b"moved.svs"), slide(4, status="gone"))
        put(catalog, SLIDES, slide(3, b"again.svs"), slide(11))
        index = Known.read(catalog, {}).slides
        assert len(index) == 11
        assert len(set(ids(index))) == 11
        assert (at(index, b"3.svs"), at(index, b"moved.svs")) == (-1, -1)
        assert index.ids[at(index, b"again.svs")] == b"S-0000000000000003"
        assert index.facts["gone"][at(index, b"4.svs")]
        rows = dict(index.rows(catalog, np.arange(len(index))))
        reader = RowReader(catalog, index)
        for number, row in rows.items():
            assert row["slide_id"].encode() == index.ids[number]
            assert place_digest(row["site"], row["archive"], row["relpath"]) == index.places[number].tobytes()
            assert reader[number] == row
        assert {row["slide_id"]: row for row in rows.values()} == {
            row["slide_id"]: row for row in catalog.read(SLIDES).to_pylist()
        }

    def test_a_gone_slide_beside_a_live_one_in_one_place(self, catalog):
        for order in ((1, 2), (4, 3)):
            dead, live = order
            put(catalog, SLIDES, slide(dead, b"same%d" % dead, status="gone"))
            put(catalog, SLIDES, slide(live, b"same%d" % dead))
        index = Known.read(catalog, {}).slides
        assert index.ids[at(index, b"same1")] == b"S-0000000000000002"
        assert index.ids[at(index, b"same4")] == b"S-0000000000000003"
        assert index.ids[index.at_id(b"S-0000000000000001")] == b"S-0000000000000001"

    def test_times_that_are_missing(self, catalog):
        put(catalog, SLIDES, slide(1, mtime=None), slide(2, size_bytes=None), slide(3))
        index = Known.read(catalog, {}).slides
        assert index.mtime[at(index, b"1.svs")] == NO_TIME
        assert index.size[at(index, b"2.svs")] == -1
        assert index.mtime[at(index, b"3.svs")] == 1_704_067_200_000_000

    def test_files_that_are_gone_are_left_out_unless_they_are_back(self, catalog):
        put(catalog, FILES, file(b"a"), file(b"b", "slide_part", owner="S-1"), file(b"c", "series_part", owner="I-1"))
        put(catalog, FILES, file(b"a", "gone"), file(b"b", "gone"))
        put(catalog, FILES, file(b"b", "slide_part", owner="S-2"))
        index = Known.read(catalog, {}).files
        assert len(index) == 2
        assert at(index, b"a") == -1
        assert (index.ids[at(index, b"b")], index.facts["kind"][at(index, b"b")]) == (b"S-2", SLIDE_PART)
        assert index.facts["kind"][at(index, b"c")] == SERIES_PART
        assert OTHER not in index.facts["kind"]

    def test_arrivals_are_told_apart_by_place(self, catalog):
        put(catalog, ARRIVALS, slide(1, b"a"), slide(2, b"b"))
        put(catalog, ARRIVALS, slide(3, b"a"))
        index = Known.read(catalog, {}).arrivals
        assert len(index) == 2
        assert index.size[at(index, b"a")] == 3


class TestRelocated:
    def known(self, catalog, *texts):
        return Known.read(catalog, {}, [relocation(text) for text in texts])

    def test_rows_are_found_where_they_are_said_to_be(self, catalog):
        put(catalog, SLIDES, slide(1, b"f/1.svs"), slide(2, b"ff/2.svs"), slide(3, b"f/1.svs", archive="other"))
        index = self.known(catalog, "main/f=new/g").slides
        assert index.ids[at(index, b"g/1.svs", "new")] == b"S-0000000000000001"
        assert at(index, b"f/1.svs") == -1
        assert at(index, b"ff/2.svs") >= 0
        assert at(index, b"f/1.svs", "other") >= 0
        assert index.facts["moved"].sum() == 1

    def test_files_left_behind_by_an_earlier_move_do_not_hide_what_moves_back(self, catalog):
        put(catalog, FILES, file(b"a", "slide_part", owner="S-1", archive="new"), file(b"a", "gone"))
        put(catalog, FILES, file(b"b", "gone", archive="new"), file(b"b", "slide_part", owner="S-2"))
        back = self.known(catalog, "new=main").files
        assert back.ids[at(back, b"a")] == b"S-1"
        again = self.known(catalog, "main=new").files
        assert again.ids[at(again, b"a", "new")] == b"S-1"
        assert again.ids[at(again, b"b", "new")] == b"S-2"

    def test_of_two_in_one_place_the_one_that_is_said_to_be_there(self, catalog):
        put(catalog, FILES, file(b"a", "slide_part", owner="S-1"))
        put(catalog, FILES, file(b"a", "slide_part", archive="new"))
        index = self.known(catalog, "main=new").files
        assert index.ids[at(index, b"a", "new")] == b"S-1"
        put(catalog, SLIDES, slide(1, b"x", status="gone"), slide(2, b"x", archive="new"))
        slides = self.known(catalog, "main=new").slides
        assert slides.ids[at(slides, b"x", "new")] == b"S-0000000000000002"


class TestStream:
    @staticmethod
    def rows(count, shift=0):
        return [
            {"slide_id": f"S-{number:05}", "site": "NB01", "archive": "main", "key": f"K{(number * 7919 + shift) % 1000:04}",
             "sources": "barcode", "is_only": True, "block": None if number % 3 else f"{number}"}
            for number in range(count)
        ]  # fmt: skip

    def batches(self, rows, size):
        return iter(from_rows(SLIDE_KEYS, rows).to_batches(max_chunksize=size)) if rows else iter(())

    def test_the_same_rows_make_no_new_state(self, catalog):
        rows = self.rows(500)
        assert catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "slides@1")
        state = catalog.state(SLIDE_KEYS)
        assert not catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "slides@2")
        assert (catalog.state(SLIDE_KEYS), catalog.made_of(SLIDE_KEYS)) == (state, "slides@2")
        folder = catalog._directory / "slide_keys"
        assert len(list(folder.glob("*.parquet"))) == 1
        assert catalog.read(SLIDE_KEYS).to_pylist() == from_rows(SLIDE_KEYS, rows).to_pylist()
        assert catalog.replace_streamed(SLIDE_KEYS, self.batches(rows[:-1], 100), "slides@3")
        assert (catalog.read(SLIDE_KEYS).num_rows, catalog.made_of(SLIDE_KEYS)) == (499, "slides@3")

    def test_one_value_makes_a_new_state(self, catalog):
        rows = self.rows(50)
        catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "a")
        rows[30]["block"] = "another"
        assert catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "a")
        rows[30]["block"] = None
        assert catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "a")
        rows[30]["block"] = ""
        assert catalog.replace_streamed(SLIDE_KEYS, self.batches(rows, 100), "a")

    def test_nothing_at_all(self, catalog):
        assert catalog.replace_streamed(SLIDE_KEYS, iter(()), "a")
        assert catalog.read(SLIDE_KEYS).num_rows == 0
        assert not catalog.replace_streamed(SLIDE_KEYS, iter(()), "b")

    def test_a_stream_that_breaks_off_changes_nothing(self, catalog):
        catalog.replace_streamed(SLIDE_KEYS, self.batches(self.rows(50), 10), "a")
        state = catalog.state(SLIDE_KEYS)

        def broken():
            yield from self.batches(self.rows(20, 1), 10)
            raise OSError(28, "no space left")

        with pytest.raises(OSError, match="no space"):
            catalog.replace_streamed(SLIDE_KEYS, broken(), "b")
        assert (catalog.state(SLIDE_KEYS), catalog.made_of(SLIDE_KEYS)) == (state, "a")
        assert [path.name for path in (catalog._directory / "slide_keys").iterdir() if path.name.startswith(".")] == []
