"""readers.kfb: made slides after both published descriptions, read back by a reader of each; damage; fuzzing.

No sample may be shared (openslide#592), so this is not proven on a file that a scanner wrote. The two readers in this file
follow the descriptions literally, field after field, and share nothing with the reader that is tested.
"""

import io
import math
import os
import random
import struct
import time
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pathcurate import ifd, readers
from pathcurate.model.slide import STATUSES, TileCount
from pathcurate.readers import kfb
from pathcurate.storage import LocalSource
from tests.makers.kfb import SCANNED, make_kfb

FUZZ_SECONDS = 2
KINDS = ("label", "overview", "thumbnail")


class Bytes:
    """A source in memory that counts what is read of it."""

    name, local_path = "x.kfb", None

    def __init__(self, data):
        self.data, self.size = bytes(data), len(data)
        self.reads = self.bytes = 0

    def read_at(self, offset, length):
        assert offset >= 0
        assert 0 <= length <= 1 << 21
        self.reads += 1
        data = self.data[offset : offset + length]
        self.bytes += len(data)
        return data


def read(path):
    with LocalSource(os.fsencode(path)) as source:
        result = readers.read_slide(source)
    assert result.reader == "kfb"
    return result.header


def count(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.count_tiles(source, "kfb")


def sample(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.sample_pixels(source, "kfb")


def pictures(path):
    with LocalSource(os.fsencode(path)) as source:
        return [readers.picture(source, "kfb", kind) for kind in KINDS]


def as_described(path):
    """As the published description has it: the header is a table of absolute positions."""
    data = path.read_bytes()
    assert data[0x04:0x07] == b"KFB"

    def at(form, offset):
        return struct.unpack_from("<" + form, data, offset)[0]

    said = {
        "count": at("i", 0x0C), "height": at("i", 0x10), "width": at("i", 0x14), "power": at("i", 0x18),
        "time": at("q", 0x28), "resolution": at("f", 0x48), "side": at("i", 0x54),
    }  # fmt: skip
    said["images"] = []
    for offset in (at("I", 0x30), at("I", 0x34), at("Q", 0x38)):
        jpeg = data[offset + 52 : offset + 52 + at("i", offset + 0x14)]
        with Image.open(io.BytesIO(jpeg)) as image:
            image.load()
            assert image.size == (at("i", offset + 0x0C), at("i", offset + 0x08))
            said["images"].append(image.size)
    base = at("Q", 0x40)
    said["tiles"] = []
    for entry in range(base, base + 64 * said["count"], 64):
        level = (at("i", base + 0x14) - at("i", entry + 0x14)) // 8388608
        said["tiles"].append((level, base + at("q", entry + 0x24), at("i", entry + 0x20)))
    return said


def as_in_the_pull_request(path):
    """As the pull request reads it: front to back, with steps over what it does not know."""
    file = io.BytesIO(path.read_bytes())

    def take(form):
        return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

    file.seek(4)
    assert file.read(4)[:3] == b"KFB"
    file.seek(8, 1)
    said = {"count": take("i"), "height": take("i"), "width": take("i"), "power": take("i")}
    assert file.read(4)[:3] == b"JPG"
    file.seek(4, 1)
    take("i")
    said["time"] = take("q")
    places = [take("i"), take("i"), take("i")]
    file.seek(4, 1)
    base = take("i")
    file.seek(4, 1)
    said["resolution"] = take("f")
    file.seek(8, 1)
    said["side"] = take("i")
    said["images"] = []
    for place in places:
        file.seek(place + 8)
        height, width = take("i"), take("i")
        file.seek(4, 1)
        length = take("i")
        file.seek(place + 52)
        with Image.open(io.BytesIO(file.read(length))) as image:
            assert image.size == (width, height)
            said["images"].append(image.size)
    file.seek(base)
    said["tiles"] = []
    first = None
    for _ in range(said["count"]):
        file.seek(4, 1)
        for _ in range(4):
            take("i")
        scale = take("i")
        first = scale if first is None else first
        file.seek(8, 1)
        length = take("i")
        offset = base - 4294967296 + take("I")
        file.seek(24, 1)
        said["tiles"].append(((first - scale) // 8388608, offset, length))
    return said


FILES = [
    ("as_described", {}, as_described),
    ("large", {"size": (1500, 1400), "side": 32}, as_described),
    ("table_last", {"table_last": True}, as_described),
    ("forty_times", {"power": 40, "resolution": 0.12345, "levels": 5}, as_described),
    ("pull_request", {"shift": 4, "tag": b"JPG\0", "table_last": True}, as_in_the_pull_request),
    ("short", {"shift": 4, "tag": b"JPG\0", "table_last": True, "short": True}, as_in_the_pull_request),
]


class TestBothDescriptions:
    @pytest.mark.parametrize(("options", "reader"), [row[1:] for row in FILES], ids=[row[0] for row in FILES])
    def test_the_same_numbers(self, tmp_path, options, reader):
        path = make_kfb(tmp_path / "x.kfb", **options)
        header, said = read(path), reader(path)
        assert (header.status, header.status_detail, header.format, header.vendor) == ("ok", None, "kfb", "kfbio")
        assert (header.width, header.height, header.tile_width) == (said["width"], said["height"], said["side"])
        assert header.objective_power == said["power"]
        assert header.mpp_x == header.mpp_y == pytest.approx(said["resolution"], rel=1e-6)
        assert header.mpp_source == "vendor"
        levels = sorted({level for level, _, _ in said["tiles"]})
        assert header.level_downsamples == tuple(2.0**level for level in levels)
        assert [picture.size for picture in pictures(path)] == [said["images"][1], said["images"][0], said["images"][2]]
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, True, True)
        assert count(path) == TileCount(said["count"], 0)
        data = path.read_bytes()
        for _, offset, length in said["tiles"]:
            assert data[offset : offset + 2] == b"\xff\xd8"
            assert data[offset + length - 2 : offset + length] == b"\xff\xd9"

    def test_what_is_planted(self, tmp_path):
        header = read(make_kfb(tmp_path / "x.kfb"))
        assert (header.width, header.height, header.mpp_x, header.objective_power) == (700, 500, 0.2451, 20.0)
        assert (header.compression, header.level_count, header.tiles_checked) == ("jpeg", 3, 6 + 2 + 1)
        assert header.scan_datetime == datetime(2024, 4, 1, 19, 33, 20)  # noqa: DTZ001

    def test_the_smallest_level_may_come_first(self, tmp_path):
        one, other = make_kfb(tmp_path / "a.kfb"), make_kfb(tmp_path / "b.kfb", smallest_first=True)
        assert read(other).level_downsamples == (1.0, 2.0, 4.0)
        assert read(one).shape_fingerprint == read(other).shape_fingerprint
        assert sample(one) == sample(other)

    def test_only_the_content_counts_not_the_name(self, tmp_path):
        assert read(make_kfb(tmp_path / "renamed.bin")).status == "ok"


class TestOdd:
    @pytest.mark.parametrize("scanned", [0, -1, 1, 788_918_399, SCANNED * 1000, 133_540_000_000_000_000, (1 << 63) - 1])
    def test_a_time_of_another_unit_is_unknown(self, tmp_path, scanned):
        header = read(make_kfb(tmp_path / "x.kfb", scanned=scanned))
        assert (header.scan_datetime, header.status) == (None, "ok")

    @pytest.mark.parametrize("resolution", [0.0, -0.25, math.nan, math.inf, 352.8, 1e-9])
    def test_a_resolution_that_is_none(self, tmp_path, resolution):
        header = read(make_kfb(tmp_path / "x.kfb", resolution=resolution))
        assert (header.mpp_x, header.mpp_y, header.mpp_source, header.status) == (None, None, None, "ok")

    def test_images_that_are_not_there(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb", label=False, preview=False)
        header = read(path)
        assert (header.status, header.has_label, header.has_overview, header.has_thumbnail) == ("ok", False, True, False)
        assert [picture is None for picture in pictures(path)] == [True, False, True]

    def test_a_blanked_label_is_none(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        data = bytearray(path.read_bytes())
        at = struct.unpack_from("<I", data, 0x34)[0]
        length = struct.unpack_from("<i", data, at + 0x14)[0]
        data[at + 52 : at + 52 + length] = bytes(length)
        before, shape = sample(path), read(path).shape_fingerprint
        path.write_bytes(data)
        header = read(path)
        assert (header.status, header.has_label, header.has_overview) == ("ok", False, True)
        assert (sample(path), header.shape_fingerprint) == (before, shape)
        assert pictures(path)[0] is None

    def test_a_picture_of_sixty_megapixels_is_not_decoded(self, tmp_path):
        big = Image.new("RGB", (10_000, 6_000), "white")
        path = make_kfb(tmp_path / "x.kfb", pictures={"label": big}, size=(300, 300), levels=1)
        assert pictures(path)[0] is None

    @pytest.mark.parametrize("at", [0x0C, 0x10, 0x14, 0x1C, 0x54])
    def test_without_a_field_neither_description_makes_sense(self, tmp_path, at):
        path = make_kfb(tmp_path / "x.kfb")
        data = bytearray(path.read_bytes())
        struct.pack_into("<i", data, at, -5)
        path.write_bytes(data)
        header = read(path)
        assert (header.status, header.width) == ("unsupported:kfbio", None)
        assert header.status_detail == "its header follows neither of the two known layouts"
        assert (sample(path), count(path), pictures(path)) == (None, None, [None] * 3)

    @pytest.mark.parametrize("shift", [1, 2, 3, 8])
    def test_another_layout_is_refused(self, tmp_path, shift):
        assert read(make_kfb(tmp_path / "x.kfb", shift=shift)).status == "unsupported:kfbio"

    def test_tiles_that_are_no_jpeg(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        _, offset, _ = as_described(path)["tiles"][0]
        path.write_bytes(path.read_bytes()[:offset] + bytes(5_000_000))
        header = read(path)
        assert (header.status, header.status_detail) == ("unsupported:kfbio", "where its tiles should lie, there are none")
        assert (sample(path), count(path)) == (None, None)

    @pytest.mark.parametrize("content", [b"", bytes(4) + b"KFB\1", bytes(4) + b"KFB\1" + bytes(84)])
    def test_the_magic_alone(self, tmp_path, content):
        path = tmp_path / "x.kfb"
        path.write_bytes(content)
        with LocalSource(os.fsencode(path)) as source:
            status = readers.read_slide(source).header.status
        assert status == ("unsupported:kfbio" if content else "truncated")


class TestTruncated:
    def test_at_any_length(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        whole = path.read_bytes()
        ends = sorted(offset + length for _, offset, length in as_described(path)["tiles"])
        positions = struct.unpack_from("<II", whole, 0x30)
        for length in range(0x60, len(whole), 997):
            path.write_bytes(whole[:length])
            header = read(path)
            if length < positions[0] + 55:
                assert header.status == "unsupported:kfbio", "no evidence is left of which layout it follows"
                continue
            assert (header.status, header.width) == ("truncated", 700)
            lost = sum(end > length for end in ends)
            assert count(path) == TileCount(9, lost)
            assert header.has_overview is True

    def test_a_label_that_is_cut_off_is_not_said_to_be_missing(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        whole = path.read_bytes()
        (label,) = struct.unpack_from("<I", whole, 0x34)
        path.write_bytes(whole[:label])
        header = read(path)
        assert (header.status, header.has_label, header.has_overview) == ("truncated", None, True)

    def test_the_table_at_the_end_is_gone(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb", table_last=True)
        path.write_bytes(path.read_bytes()[:-65])
        header = read(path)
        assert (header.status, header.level_count) == ("truncated", None)
        assert count(path) == TileCount(9, 2)

    def test_a_tile_of_no_length(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        data = bytearray(path.read_bytes())
        (table,) = struct.unpack_from("<Q", data, 0x40)
        struct.pack_into("<i", data, table + 2 * 64 + 0x20, 0)
        path.write_bytes(data)
        assert (read(path).status, count(path)) == ("truncated", TileCount(9, 1))

    @pytest.mark.parametrize("distance", [-(1 << 63), (1 << 63) - 1, -(1 << 40), 1 << 40])
    def test_a_tile_at_an_absurd_distance(self, tmp_path, distance):
        path = make_kfb(tmp_path / "x.kfb")
        data = bytearray(path.read_bytes())
        (table,) = struct.unpack_from("<Q", data, 0x40)
        struct.pack_into("<q", data, table + 2 * 64 + 0x24, distance)
        path.write_bytes(data)
        assert (read(path).tiles_bad, count(path)) == (1, TileCount(9, 1))


class TestFingerprints:
    def test_they_tell_slides_apart_and_copies_not(self, tmp_path):
        one, other = make_kfb(tmp_path / "a.kfb"), make_kfb(tmp_path / "b.kfb", shift=4, table_last=True, label=False)
        third = make_kfb(tmp_path / "c.kfb", size=(701, 500))
        assert read(one).header_fingerprint != read(other).header_fingerprint
        assert read(one).shape_fingerprint == read(other).shape_fingerprint != read(third).shape_fingerprint
        assert sample(one) == sample(other) != sample(third)

    def test_one_byte_of_the_smallest_level_counts(self, tmp_path):
        path = make_kfb(tmp_path / "x.kfb")
        before = sample(path)
        _, offset, length = as_described(path)["tiles"][-1]
        data = bytearray(path.read_bytes())
        data[offset + length // 2] ^= 1
        path.write_bytes(data)
        assert sample(path) != before


def test_a_header_costs_few_reads(tmp_path):
    path = make_kfb(tmp_path / "x.kfb", size=(1500, 1400), side=32)
    source = Bytes(path.read_bytes())
    blocks = ifd.Blocks(source)
    blocks.read_at(0, 4096)
    header = kfb.read(blocks)
    assert (header.status, header.tiles_checked) == ("ok", 512)
    assert source.reads <= 16
    assert source.bytes <= 65_536


def test_on_object_storage_it_says_the_same(tmp_path):
    path = make_kfb(tmp_path / "x.kfb")
    remote = Bytes(path.read_bytes())
    result = readers.read_slide(remote)
    assert (result.reader, result.header) == ("kfb", read(path))
    assert readers.sample_pixels(remote, "kfb") == sample(path)
    assert readers.picture(remote, "kfb", "label").size == (66, 70)


def is_survived(data):
    source = Bytes(data)
    started = time.process_time()
    header = kfb.read(ifd.Blocks(source))
    assert header.status.partition(":")[0] in STATUSES
    assert (header.status == "ok") == (header.status_detail is None)
    assert header.level_count is None or 0 < header.level_count <= 32
    assert source.bytes < 1 << 18
    tiles = kfb.count_tiles(source)
    assert tiles is None or 0 <= tiles.bad <= tiles.checked
    kfb.sample_pixels(source)
    assert time.process_time() - started < 10
    return header


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return make_kfb(tmp_path_factory.mktemp("fuzz") / "x.kfb", size=(200, 150), side=64).read_bytes()


@settings(max_examples=100, deadline=None)
@given(at=st.integers(0, 0x60), number=st.integers(-(1 << 31), (1 << 31) - 1))
def test_any_number_in_the_header(slide, at, number):
    data = bytearray(slide)
    struct.pack_into("<i", data, at, number)
    is_survived(data)


@settings(max_examples=100, deadline=None)
@given(entry=st.integers(0, 14), at=st.integers(0, 56), number=st.integers(-(1 << 63), (1 << 63) - 1))
def test_any_number_in_the_table(slide, entry, at, number):
    data = bytearray(slide)
    (table,) = struct.unpack_from("<Q", data, 0x40)
    struct.pack_into("<q", data, table + 64 * entry + at, number)
    is_survived(data)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=300))
def test_any_bytes_after_the_magic(content):
    is_survived(bytes(4) + b"KFB\1" + content)


def test_fuzz(slide):
    """Bytes at random, for some seconds; what the slide then is, is said without an exception."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    started = time.monotonic()
    statuses = set()
    tried = 0
    (table,) = struct.unpack_from("<Q", slide, 0x40)
    while tried < 200 or time.monotonic() - started < FUZZ_SECONDS:
        tried += 1
        data = bytearray(slide)
        for _ in range(chance.randint(1, 8)):
            at = chance.choice((chance.randrange(0x60), table + chance.randrange(1024), chance.randrange(len(data))))
            data[min(at, len(data) - 1)] = chance.randrange(256)
        data[4:7] = b"KFB"
        data = data[: chance.choice((len(data), len(data), chance.randrange(8, len(data))))]
        try:
            statuses.add(is_survived(data).status)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    assert {"ok", "truncated", "unsupported:kfbio"} <= statuses
