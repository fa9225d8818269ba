"""readers.mrxs: made slides that OpenSlide opens, held against what it says of them; damage; fuzzing with a time box."""

import contextlib
import os
import random
import re
import shutil
import struct
import time
from datetime import datetime

import numpy as np
import openslide
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import ifd, readers
from pathcurate.model.slide import STATUSES, judged
from pathcurate.readers import mrxs
from pathcurate.storage import LocalSource
from tests.makers.mrxs import SLIDE_ID, make_mrxs

FUZZ_SECONDS = 2


class Counting:
    """A source that counts what is read of it and of what lies beside it."""

    def __init__(self, source, counts=None):
        self._source = source
        self.size, self.name, self.local_path = source.size, source.name, source.local_path
        self.counts = counts if counts is not None else {"reads": 0, "bytes": 0, "opened": 0}

    def read_at(self, offset, length):
        assert 0 <= length <= 1 << 20
        data = self._source.read_at(offset, length)
        self.counts["reads"] += 1
        self.counts["bytes"] += len(data)
        return data

    @contextlib.contextmanager
    def _opened(self, file):
        with file as source:
            yield Counting(source, self.counts)

    def beside(self, relpath):
        file = self._source.beside(relpath)
        self.counts["opened"] += 1
        return self._opened(file)


def read(path):
    with LocalSource(os.fsencode(path)) as source:
        result = readers.read_slide(source)
    assert result.reader == "mrxs"
    return result.header


def count(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.count_tiles(source, "mrxs")


def sample(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.sample_pixels(source, "mrxs")


def edit(path, **changes):
    """Change values of ``Slidedat.ini`` by key, wherever it stands; None removes the line."""
    file = path.with_suffix("") / "Slidedat.ini"
    text = file.read_text("utf-8-sig")
    for key, value in changes.items():
        line = "" if value is None else f"{key} = {value}"
        text, number = re.subn(rf"(?m)^{key} = .*$", lambda _, line=line: line, text)
        assert number, key
    file.write_text(text)


SHAPES = [
    {},
    {"overlap": (7.5, 4.25)},
    {"overlap": (6, 4), "divisions": 2},
    {"overlap": (6, 4), "divisions": 2, "positions": True},
    {"images": (12, 4), "overlap": (5.3, 2.7), "divisions": 4, "levels": 3},
    {"positions": True},
    {"format_": "PNG"},
    {"format_": "BMP24"},
    {"first_concat": 1},
    {"images": (5, 3), "levels": 3},
    {"images": (1, 1), "levels": 1},
    {"label": False, "overview": False, "preview": False},
    {"bom": False, "files": 1, "page_records": 1},
]


class TestOpenSlideAgrees:
    @pytest.mark.parametrize("shape", SHAPES, ids=str)
    def test_on_geometry_and_images(self, tmp_path, shape):
        path = make_mrxs(tmp_path, **shape)
        header = read(path)
        assert (header.status, header.status_detail, header.format, header.vendor) == ("ok", None, "mrxs", "mirax")
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == header.vendor
            assert (header.width, header.height) == slide.dimensions
            assert header.level_count == slide.level_count
            assert header.level_downsamples == slide.level_downsamples
            assert header.mpp_x == float(slide.properties["openslide.mpp-x"])
            assert header.mpp_y == float(slide.properties["openslide.mpp-y"])
            assert header.objective_power == float(slide.properties["openslide.objective-power"])
            names = {"label": header.has_label, "macro": header.has_overview, "thumbnail": header.has_thumbnail}
            assert {name for name, there in names.items() if there} == set(slide.associated_images)
            tile = slide.properties.get("openslide.level[0].tile-width")
            assert tile is None or int(tile) == header.tile_width
            slide.read_region((0, 0), slide.level_count - 1, slide.level_dimensions[-1])
        assert header.tiles_bad == 0

    def test_on_every_image_being_there(self, tmp_path):
        path = make_mrxs(tmp_path, images=(8, 6), levels=4)
        assert count(path) == readers.TileCount(48 + 12 + 4 + 1, 0)

    @pytest.mark.parametrize(
        "key",
        [
            "SLIDE_ID", "IMAGENUMBER_X", "HIER_COUNT", "INDEXFILE", "HIER_0_NAME", "HIER_0_COUNT", "FILE_COUNT", "FILE_1",
            "HIER_0_VAL_2_SECTION", "IMAGE_CONCAT_FACTOR", "OVERLAP_X", "MICROMETER_PER_PIXEL_Y", "DIGITIZER_HEIGHT",
            "IMAGE_FORMAT", "IMAGE_FILL_COLOR_BGR",
        ],
    )  # fmt: skip
    def test_that_a_slide_without_a_key_cannot_be_opened(self, tmp_path, key):
        path = make_mrxs(tmp_path)
        if key != "HIER_COUNT":  # the one key of these that tells us nothing
            edit(path, **{key: None})
            assert read(path).status == "corrupt"
        else:
            edit(path, HIER_COUNT=None)
        with pytest.raises(openslide.OpenSlideError):
            openslide.OpenSlide(path)

    @pytest.mark.parametrize(
        "changes",
        [
            {"IMAGENUMBER_X": "0"}, {"IMAGENUMBER_Y": "-3"}, {"DIGITIZER_WIDTH": "0"}, {"HIER_0_COUNT": "0"},
            {"FILE_COUNT": "0"}, {"CameraImageDivisionsPerSide": "0"}, {"HIER_0_NAME": "Slide filter level"},
            {"SLIDE_ID": "ANOTHER"}, {"IMAGE_CONCAT_FACTOR": "0"},
        ],
        ids=str,
    )  # fmt: skip
    def test_that_an_absurd_value_keeps_a_slide_closed(self, tmp_path, changes):
        path = make_mrxs(tmp_path)
        edit(path, **changes)
        assert read(path).status == "corrupt"
        with pytest.raises(openslide.OpenSlideError):
            openslide.OpenSlide(path)

    def test_that_a_compression_is_not_for_it(self, tmp_path):
        header = read(make_mrxs(tmp_path, format_="JPEGXR"))
        assert (header.status, header.compression, header.width) == ("unsupported:mirax", "other", 512)
        with pytest.raises(openslide.OpenSlideError):
            openslide.OpenSlide(tmp_path / "x.mrxs")

    def test_on_pictures(self, tmp_path):
        path = make_mrxs(tmp_path)
        with LocalSource(os.fsencode(path)) as source:
            assert readers.picture(source, "mrxs", "label").size == (70, 66)
            assert readers.picture(source, "mrxs", "overview").size == (150, 60)


class TestTexts:
    def test_numbers_of_the_laboratory_and_the_scanner(self, tmp_path):
        general = {
            "SLIDE_NAME": "S24-00123 甲", "PROJECT_NAME": "病理", "SLIDE_CREATIONDATETIME": "29/12/2023 15:33:49",
            "SLIDE_UTC_CREATIONDATETIME": "29/12/2023 07:33:49", "SLIDE_TYPE": "SLIDE_TYPE_BRIGHTFIELD",
        }  # fmt: skip
        header = read(make_mrxs(tmp_path, general=general, focus_levels=7))
        assert header.metadata_texts == ("S24-00123 甲", SLIDE_ID, "病理")
        assert header.scan_datetime == datetime(2023, 12, 29, 15, 33, 49)  # noqa: DTZ001
        assert (header.scanner_serial, header.focal_planes) == ("PSCAN77", 7)
        assert (header.compression, header.tile_width, header.tile_height, header.mpp_source) == ("jpeg", 64, 48, "vendor")

    @pytest.mark.parametrize("text", ["31/02/2023 15:33:49", "2023-12-29", "29/12/2023 25:00:00", "", "٢٩/12/2023 15:33:49"])
    def test_a_date_that_is_none(self, tmp_path, text):
        assert read(make_mrxs(tmp_path, general={"SLIDE_CREATIONDATETIME": text})).scan_datetime is None

    @pytest.mark.parametrize("mpp", ["0", "nan", "352.8", "-0.25", "1e-9", "x"])
    def test_a_pixel_size_that_is_none(self, tmp_path, mpp):
        header = judged(read(make_mrxs(tmp_path, mpp=(mpp, 0.25))))
        assert (header.mpp_x, header.status) == (None, "ok")
        # Of a pixel with one absurd side the other is not believed either.
        assert header.mpp_y == (None if "mpp_x" in header.odd_values else 0.25)

    def test_a_power_that_is_none(self, tmp_path):
        assert read(make_mrxs(tmp_path, objective="-1")).objective_power is None

    def test_names_in_gb18030_and_upper_case(self, tmp_path):
        name = os.fsdecode("病理 S24-1".encode("gb18030"))
        path = make_mrxs(tmp_path, name)
        assert read(path).status == "ok"
        assert read(path.rename(path.with_suffix(".MRXS"))).status == "ok"

    def test_no_detail_holds_a_value(self, tmp_path):
        path = make_mrxs(tmp_path, slide_id="S24-ZHANG", general={"SLIDE_NAME": "ZHANG"})
        edit(path, FILE_1="ZHANG.dat")
        header = read(path)
        assert header.status == "companion_missing"
        assert "ZHANG" not in header.status_detail


class TestMissing:
    def test_the_folder(self, tmp_path):
        path = make_mrxs(tmp_path)
        shutil.rmtree(tmp_path / "x")
        header = read(path)
        assert (header.status, header.width) == ("companion_missing", None)

    @pytest.mark.parametrize(("names", "lost"), [(("Data0001.dat",), 1), (("Index.dat", "Data0000.dat"), 2)])
    def test_files_of_it(self, tmp_path, names, lost):
        path = make_mrxs(tmp_path)
        for name in names:
            (tmp_path / "x" / name).unlink()
        header = read(path)
        detail = f"{lost} of the 4 files that Slidedat.ini names are missing"
        assert (header.status, header.status_detail) == ("companion_missing", detail)
        assert header.objective_power == 20.0
        assert sample(path) is None or names == ("Data0001.dat",)

    @pytest.mark.parametrize("name", ["../x/Data0001.dat", "/etc/passwd", "..", "a\\b", ""])
    def test_a_file_elsewhere_is_not_looked_for(self, tmp_path, name):
        path = make_mrxs(tmp_path)
        edit(path, FILE_1=name)
        assert read(path).status == "corrupt"
        edit(path, FILE_1="Data0001.dat", INDEXFILE=name)
        assert read(path).status == "corrupt"
        assert count(path) is None
        assert sample(path) is None

    def test_a_folder_in_the_place_of_a_file(self, tmp_path):
        path = make_mrxs(tmp_path)
        (tmp_path / "x" / "Data0001.dat").unlink()
        (tmp_path / "x" / "Data0001.dat").mkdir()
        with LocalSource(os.fsencode(path)) as source:
            assert readers.read_slide(source).header.status == "unreadable"

    def test_a_text_named_so_is_no_slide(self, tmp_path):
        path = tmp_path / "x.mrxs"
        path.write_text("nothing to see\n")
        with LocalSource(os.fsencode(path)) as source:
            assert readers.read_slide(source).header.status == "not_a_slide"

    def test_a_pointer_beside_a_whole_folder_does_not_hide_the_slide(self, tmp_path):
        path = make_mrxs(tmp_path)
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
        assert read(path).status == "ok"


class TestTruncated:
    def test_a_data_file_that_lost_the_smallest_level(self, tmp_path):
        path = make_mrxs(tmp_path, levels=4, files=4)
        file = tmp_path / "x" / "Data0003.dat"
        os.truncate(file, file.stat().st_size - 1)
        header = read(path)
        assert (header.status, header.tiles_checked, header.tiles_bad) == ("truncated", 1, 1)
        assert header.status_detail.startswith("1 of 1 images of the smallest level and 0 of 3 other records")
        assert count(path) == readers.TileCount(65, 1)

    def test_a_data_file_that_lost_the_label(self, tmp_path):
        path = make_mrxs(tmp_path, levels=4, files=4, preview=False)
        file = tmp_path / "x" / "Data0000.dat"
        os.truncate(file, file.stat().st_size - 1)
        assert "0 of 1 images of the smallest level and 1 of 2 other" in read(path).status_detail

    def test_a_data_file_that_lost_level_0_is_found_by_the_whole_count(self, tmp_path):
        path = make_mrxs(tmp_path, levels=4, files=4, label=False, overview=False, preview=False)
        os.truncate(tmp_path / "x" / "Data0000.dat", 100)
        assert read(path).status == "ok"
        assert count(path).bad == 48

    def test_a_data_file_that_was_never_copied(self, tmp_path):
        path = make_mrxs(tmp_path, levels=4, files=4)
        (tmp_path / "x" / "Data0001.dat").write_bytes(b"")
        header = read(path)
        assert (header.status, header.status_detail) == ("truncated", "1 of 4 data files are empty")

    def test_the_index_at_any_length(self, tmp_path):
        path = make_mrxs(tmp_path, images=(2, 2), levels=2)
        file = tmp_path / "x" / "Index.dat"
        whole = file.read_bytes()
        for length in range(len(whole)):
            file.write_bytes(whole[:length])
            assert read(path).status == "truncated" or length > len(whole) - 32
            assert count(path) is None or count(path).bad
        file.write_bytes(whole)
        assert (read(path).status, count(path).bad) == ("ok", 0)


class TestHostileIndex:
    def patch(self, path, at, *numbers):
        file = path.with_suffix("") / "Index.dat"
        data = bytearray(file.read_bytes())
        struct.pack_into(f"<{len(numbers)}i", data, at, *numbers)
        file.write_bytes(data)

    def first_page(self, path, level):
        """Position of a level's first page, by the description."""
        data = (path.with_suffix("") / "Index.dat").read_bytes()
        (table,) = struct.unpack_from("<i", data, 5 + len(SLIDE_ID))
        (head,) = struct.unpack_from("<i", data, table + 4 * level)
        return struct.unpack_from("<ii", data, head)[1]

    def test_pages_in_a_circle(self, tmp_path):
        path = make_mrxs(tmp_path)
        for level in (0, 3):
            page = self.first_page(path, level)
            self.patch(path, page, 0, page)
        header = read(path)
        assert (header.status, "circle" in header.status_detail) == ("corrupt", True)
        assert count(path) == readers.TileCount(12 + 4 + 2, 2)

    @pytest.mark.parametrize("length", [-1, 1 << 28, (1 << 31) - 1])
    def test_a_page_of_absurd_length(self, tmp_path, length):
        path = make_mrxs(tmp_path)
        self.patch(path, self.first_page(path, 3), length)
        assert read(path).status == "corrupt"
        assert count(path).bad == 1

    def test_a_record_before_the_beginning_or_of_no_file(self, tmp_path):
        path = make_mrxs(tmp_path)
        page = self.first_page(path, 3)
        _, following = struct.unpack_from("<ii", (tmp_path / "x" / "Index.dat").read_bytes(), page)
        for record in ((0, -1, 5, 0), (0, 5, -1, 0), (0, 5, 5, 3), (0, 5, 5, -1), (0, 0, 1 << 30, 0), (0, 5, 0, 0)):
            self.patch(path, following + 8, *record)
            assert (read(path).status, count(path).bad) == ("truncated", 1)

    def test_ten_thousand_empty_pages(self, tmp_path):
        path = make_mrxs(tmp_path)
        file = tmp_path / "x" / "Index.dat"
        data = file.read_bytes()
        size = len(data)
        pages = b"".join(struct.pack("<ii", 0, size + 8 * (at + 1)) for at in range(10_000)) + bytes(8)
        file.write_bytes(data + pages)
        self.patch(path, self.first_page(path, 3), 0, size)
        with LocalSource(os.fsencode(path)) as source:
            counting = Counting(source)
            assert mrxs.read(counting).status == "corrupt"
        assert counting.counts["bytes"] < 65_536
        assert count(path) == readers.TileCount(48 + 12 + 4, 0)

    def test_millions_of_data_files_are_not_looked_for(self, tmp_path):
        path = make_mrxs(tmp_path)
        with (tmp_path / "x" / "Slidedat.ini").open("a") as file:
            file.write("\n[DATAFILE]")
            file.writelines(f"\nFILE_{number} = f{number}" for number in range(40_000))
        with LocalSource(os.fsencode(path)) as source:
            counting = Counting(source)
            assert mrxs.read(counting).status == "corrupt"
        assert counting.counts["opened"] < 10


class TestFingerprints:
    def test_they_tell_slides_apart_and_copies_not(self, tmp_path):
        one = make_mrxs(tmp_path, "a", general={"SLIDE_NAME": "S24-1"})
        other = make_mrxs(tmp_path, "b", general={"SLIDE_NAME": "S24-1"})
        changed = make_mrxs(tmp_path, "c", images=(8, 5))
        first, second, third = read(one), read(other), read(changed)
        assert first.header_fingerprint == second.header_fingerprint != third.header_fingerprint
        assert first.shape_fingerprint == second.shape_fingerprint != third.shape_fingerprint
        assert sample(one) == sample(other) != sample(changed)

    def test_they_stay_without_label_and_names(self, tmp_path):
        before = make_mrxs(tmp_path, "a", general={"SLIDE_NAME": "S24-1"}, files=3)
        after = make_mrxs(tmp_path, "b", slide_id="X", label=False, overview=False, files=2, index_name="I.dat")
        assert read(before).header_fingerprint != read(after).header_fingerprint
        assert read(before).shape_fingerprint == read(after).shape_fingerprint
        assert sample(before) == sample(after)
        assert sample(before).startswith("sha256:")

    def test_one_byte_of_the_smallest_level_counts(self, tmp_path):
        path = make_mrxs(tmp_path, levels=2, files=2)
        before, shape = sample(path), read(path).shape_fingerprint
        file = tmp_path / "x" / "Data0001.dat"
        data = bytearray(file.read_bytes())
        data[60] ^= 1
        file.write_bytes(data)
        assert sample(path) != before
        assert read(path).shape_fingerprint == shape


def test_a_header_costs_few_reads(tmp_path):
    path = make_mrxs(tmp_path, images=(40, 30), side=(16, 16), levels=6, page_records=200, files=9, positions=True)
    with LocalSource(os.fsencode(path)) as source:
        counting = Counting(source)
        blocks = ifd.Blocks(counting)
        blocks.read_at(0, 4096)
        assert mrxs.read(blocks).status == "ok"
    assert counting.counts["reads"] <= 16
    assert counting.counts["bytes"] <= 65_536
    # Each file of the folder once, and those that are read once more.
    assert counting.counts["opened"] <= 9 + 1 + 2


class Remote:
    """A file on object storage: no path, and a name that is text."""

    local_path = None

    def __init__(self, home, relpath):
        self.home, self.relpath = home, relpath
        self.name = relpath.rpartition("/")[2]
        self.data = (home / relpath).read_bytes()
        self.size = len(self.data)

    def read_at(self, offset, length):
        return self.data[offset : offset + length]

    def beside(self, relpath):
        return contextlib.nullcontext(Remote(self.home, relpath.decode()))


def test_on_object_storage_it_says_the_same(tmp_path):
    path = make_mrxs(tmp_path, "张三 S24-1")
    remote = Remote(tmp_path, path.name)
    result = readers.read_slide(remote)
    assert (result.reader, result.header) == ("mrxs", read(path))
    assert readers.sample_pixels(remote, "mrxs") == sample(path)
    assert readers.count_tiles(remote, "mrxs") == count(path)


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return make_mrxs(tmp_path_factory.mktemp("fuzz"), images=(4, 3), side=(16, 16), levels=3, positions=True)


@contextlib.contextmanager
def damaged(slide, name, change):
    file = slide.with_suffix("") / name
    whole = file.read_bytes()
    try:
        file.write_bytes(change(bytearray(whole)))
        yield
    finally:
        file.write_bytes(whole)


def is_survived(path):
    started = time.process_time()
    header = read(path)
    assert header.status.partition(":")[0] in STATUSES
    assert (header.status == "ok") == (header.status_detail is None)
    for value in (header.width, header.height, header.level_count, header.focal_planes):
        assert value is None or 0 < value < 1 << 63
    tiles = count(path)
    assert tiles is None or 0 <= tiles.bad <= tiles.checked
    sample(path)
    assert time.process_time() - started < 10


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 700), number=st.integers(-(1 << 31), (1 << 31) - 1))
def test_any_number_in_the_index(slide, at, number):
    def change(data):
        struct.pack_into("<i", data, min(at, len(data) - 4), number)
        return data

    with damaged(slide, "Index.dat", change):
        is_survived(slide)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.integers(0, 80), value=st.one_of(st.text(max_size=30), st.integers().map(str), st.floats().map(str)))
def test_any_value_in_the_description(slide, line, value):
    def change(data):
        lines = data.split(b"\r\n")
        at = line % len(lines)
        lines[at] = lines[at].partition(b"=")[0] + b"= " + value.encode("utf-8", "replace")
        return b"\r\n".join(lines)

    with damaged(slide, "Slidedat.ini", change):
        is_survived(slide)


def test_fuzz(slide):
    """Bytes of both files at random, for some seconds; what the slide then is, is said without an exception."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    started = time.monotonic()
    statuses = set()
    tried = 0
    while tried < 200 or time.monotonic() - started < FUZZ_SECONDS:
        tried += 1

        def change(data):
            for _ in range(chance.randint(1, 6)):
                at = chance.randrange(len(data))
                data[at : at + chance.choice((0, 1, 1, 1))] = bytes(
                    chance.choices(range(256), k=chance.choice((0, 1, 1, 2)))
                )
            return data[: chance.choice((len(data), len(data), chance.randrange(len(data) + 1)))]

        with damaged(slide, chance.choice(("Index.dat", "Slidedat.ini")), change):
            try:
                is_survived(slide)
                statuses.add(read(slide).status)
            except Exception as error:
                raise AssertionError(f"seed {seed}") from error
    assert {"ok", "corrupt", "truncated"} <= statuses


def test_records_of_a_large_level_are_compared_as_numbers():
    records = np.array([[0, 1, (1 << 31) - 1, 0], [1, (1 << 31) - 1, 1, 0], [2, 4, 6, 0]], np.int32)
    assert mrxs.count_beyond(records, np.array([10], np.int64)) == 2


def test_it_is_asked_before_openslide():
    names = [reader.NAME for reader in readers.READERS]
    assert names.index("mrxs") < names.index("openslide")
