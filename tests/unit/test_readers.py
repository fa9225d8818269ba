"""readers: who claims what, what a header says, and what becomes of a file that is no slide; OpenSlide is the judge."""

import errno
import os
import sqlite3
import struct
from datetime import datetime
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from pathcurate import ifd, readers
from pathcurate.ifd import tiles
from pathcurate.model.slide import COMPRESSIONS, FORMATS, STATUSES, VENDORS, TileCount
from pathcurate.storage import LocalSource
from tests.makers.tiff import Image_, sparse_svs, sparse_tiff

FIRST_LINES = "Aperio Image Library v11.2.1 \r\n{w}x{h} [0,0 {w}x{h}] (64x64) JPEG/RGB Q=30"
KEYS = {
    "AppMag": "40",
    "MPP": "0.2525",
    "ScanScope ID": "SS1234",
    "Date": "03/04/21",
    "Time": "13:14:15",
    "Time Zone": "GMT+08:00",
    "Title": "S24-00123 A1",
    "ImageID": "77001",
    "Patient": "ZHANG SAN",
    "User": "operator",
    "Barcode": "S24-00123-A1=3",
}


def naive(*parts):
    return datetime(*parts)  # noqa: DTZ001 -- scanners write local time without a zone


def image(width, height):
    return np.full((height, width, 3), 200, np.uint8)


def write_svs(
    path, *, keys=KEYS, layout="classic", size=(600, 450), first_lines=FIRST_LINES, bigtiff=False, levels=3, thumbnail=True,
    images=("label", "macro"),
):  # fmt: skip
    """An SVS in the layout of old scanners or of a GT450 (label and overview without a description)."""
    width, height = size
    first = first_lines.format(w=width, h=height)
    text = "|".join([first, *(f"{key} = {value}" for key, value in keys.items())])
    common = {"photometric": "rgb", "metadata": None, "contiguous": False, "software": False}
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as file:
        file.write(image(width, height), tile=(64, 64), description=text, **common)
        if thumbnail:
            file.write(image(width // 8, height // 8), description=f"{first} -> 75x56", rowsperstrip=16, **common)
        for level in range(1, levels):
            small = image(width >> level, height >> level)
            file.write(small, tile=(64, 64), description=f"{first} -> level", **common)
        for kind, subfile, sides in (("label", 1, (40, 44)), ("macro", 9, (120, 40))):
            if kind not in images:
                continue
            text = f"Aperio Image Library v11.2.1 \r\n{kind} {sides[0]}x{sides[1]}" if layout == "classic" else None
            file.write(image(*sides), description=text, subfiletype=subfile, rowsperstrip=8, **common)
    return path


def write_pyramid(path, *, resolution=(40_000, 40_000), unit="CENTIMETER", flags=1, shapes=None, **more):
    """A generic tiled pyramid, as vips or large_image write it."""
    common = {"photometric": "rgb", "metadata": None, "contiguous": False, "software": False, "tile": (64, 64)}
    with tifffile.TiffWriter(path) as file:
        for index, (width, height) in enumerate(shapes or [(600, 450), (300, 225), (150, 113)]):
            file.write(
                image(width, height), subfiletype=flags if index else 0, resolution=resolution, resolutionunit=unit,
                **common, **more,
            )  # fmt: skip
    return path


def read(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.read_slide(source)


def header_of(path):
    return read(path).header


class TestAperio:
    @pytest.mark.parametrize("bigtiff", [False, True])
    @pytest.mark.parametrize("layout", ["classic", "gt450"])
    def test_openslide_says_the_same(self, tmp_path, layout, bigtiff):
        path = write_svs(tmp_path / "x.svs", layout=layout, bigtiff=bigtiff)
        header = header_of(path)
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == header.vendor
            assert (header.width, header.height) == slide.dimensions
            assert header.level_count == slide.level_count == 3
            assert header.level_downsamples == pytest.approx(slide.level_downsamples)
            assert header.mpp_x == header.mpp_y == float(slide.properties["openslide.mpp-x"])
            assert header.objective_power == float(slide.properties["openslide.objective-power"])
            assert header.tile_width == int(slide.properties["openslide.level[0].tile-width"])
            # "label" and "macro" are in associated_images of either layout since OpenSlide 4.0.1.
            assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, True, True)
        assert (header.status, header.format, header.compression, header.channels) == ("ok", "svs", "none", 3)
        assert header.mpp_source == "vendor"

    def test_scanner_date_and_numbers(self, tmp_path):
        header = header_of(write_svs(tmp_path / "x.svs"))
        assert header.scanner_serial == "SS1234"
        assert header.scan_datetime == naive(2021, 3, 4, 13, 14, 15)
        assert header.barcode == "S24-00123-A1=3"
        assert header.metadata_texts == ("S24-00123 A1", "77001")
        assert header.scanner_model is None

    def test_a_name_is_never_among_the_texts(self, tmp_path):
        keys = {"Patient": "ZHANG SAN", "CustomField.Last_Name": "ZHANG", "CustomField.SurgPathNum": "S24-1"}
        assert header_of(write_svs(tmp_path / "x.svs", keys=keys)).metadata_texts == ("S24-1",)

    def test_the_scanner_model_is_taken_where_it_is_said(self, tmp_path):
        lines = "Aperio Leica Biosystems GT450 v1.0.1 \r\n{w}x{h}"
        assert header_of(write_svs(tmp_path / "x.svs", first_lines=lines)).scanner_model == "GT450"
        keys = {"ScannerType": "GT450 DX"}
        assert header_of(write_svs(tmp_path / "y.svs", keys=keys)).scanner_model == "GT450 DX"

    @pytest.mark.parametrize(
        ("key", "value", "column"),
        [
            ("MPP", "0", "mpp_x"),
            ("MPP", "nan", "mpp_x"),
            ("MPP", "352.7", "mpp_x"),
            ("MPP", "1e999", "mpp_x"),
            ("MPP", "", "mpp_x"),
            ("AppMag", "x40", "objective_power"),
            ("AppMag", "-1", "objective_power"),
            ("Date", "31/12/21", "scan_datetime"),
            ("Date", "yesterday", "scan_datetime"),
            ("Time", "25:00:00", "scan_datetime"),
        ],
    )
    def test_a_value_that_makes_no_sense_stays_missing(self, tmp_path, key, value, column):
        header = header_of(write_svs(tmp_path / "x.svs", keys={**KEYS, key: value}))
        assert getattr(header, column) is None
        assert header.status == "ok"

    def test_a_date_without_a_time_is_midnight(self, tmp_path):
        header = header_of(write_svs(tmp_path / "x.svs", keys={"Date": "12/31/2009"}))
        assert header.scan_datetime == naive(2009, 12, 31)

    def test_without_a_thumbnail_no_level_is_taken_for_one(self, tmp_path):
        path = write_svs(tmp_path / "x.svs", thumbnail=False, layout="gt450")
        header = header_of(path)
        assert header.level_count == 3
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, True, False)

    def test_an_image_of_no_known_kind_leaves_the_label_open(self, tmp_path):
        path = write_svs(tmp_path / "x.svs", layout="gt450")
        data = bytearray(path.read_bytes())
        with LocalSource(os.fsencode(path)) as source:
            label = ifd.walk(source)[-2]
        assert label.first_int(ifd.NEW_SUBFILE_TYPE) == 1
        struct.pack_into("<I", data, label.entries[ifd.NEW_SUBFILE_TYPE].offset, 0)
        path.write_bytes(data)
        header = header_of(path)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (None, True, True)

    def test_an_export_whose_thumbnail_has_no_description(self, tmp_path):
        """As KFBIO and others write: only level 0 is described, and the label is not LZW."""
        path = tmp_path / "x.svs"
        common = {"photometric": "rgb", "metadata": None, "contiguous": False, "software": False}
        with tifffile.TiffWriter(path) as file:
            text = "Aperio Image Library v11.2.1 \r\n600x450 (64x64)|AppMag = 20|MPP = 0.4|Date = 12/05/2023"
            file.write(image(600, 450), tile=(64, 64), description=text, **common)
            file.write(image(200, 150), rowsperstrip=150, subfiletype=1, **common)
            for side in (300, 150):
                file.write(image(side, side * 3 // 4), tile=(64, 64), subfiletype=1, **common)
            file.write(image(60, 80), subfiletype=1, rowsperstrip=80, **common)
            file.write(image(200, 60), subfiletype=9, rowsperstrip=60, **common)
        header = header_of(path)
        with openslide.OpenSlide(path) as slide:
            assert set(slide.associated_images) == {"label", "macro", "thumbnail"}
            assert header.level_count == slide.level_count == 3
        assert (header.status, header.format, header.mpp_x, header.objective_power) == ("ok", "svs", 0.4, 20)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, True, True)
        assert header.scan_datetime == naive(2023, 12, 5)

    def test_an_export_with_levels_of_half_size_and_nothing_else(self, tmp_path):
        text = "Aperio Digital Slide |MPP=0.25|AppMag=40|Barcode=S24-7|Title=|Filename=S24-00007"
        path = tmp_path / "x.svs"
        data = [image(640 >> n, 480 >> n) for n in range(4)]
        common = {"photometric": "rgb", "metadata": None, "contiguous": False, "software": False, "tile": (64, 64)}
        with tifffile.TiffWriter(path) as file:
            for index, pixels in enumerate(data):
                file.write(pixels, description=None if index else text, **common)
        header = header_of(path)
        with openslide.OpenSlide(path) as slide:
            assert header.level_downsamples == pytest.approx(slide.level_downsamples)
        assert (header.level_count, header.mpp_x, header.barcode) == (4, 0.25, "S24-7")
        assert header.metadata_texts == ("S24-00007",)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, False, False)

    def test_focal_planes_are_no_levels(self, tmp_path):
        """The order of Aperio's z-stacks: a pyramid for each plane, the thumbnail in the first, label and macro last."""
        path = tmp_path / "x.svs"
        common = {"photometric": "rgb", "metadata": None, "contiguous": False, "software": False}
        with tifffile.TiffWriter(path) as file:
            for plane in range(3):
                for level in range(3):
                    text = f"Aperio Image Library v12 \r\n600x450|MPP = 0.25|OffsetZ = {plane}"
                    pixels = np.full((450 >> level, 600 >> level, 3), 100 + plane, np.uint8)
                    file.write(pixels, tile=(64, 64), description=text, **common)
                    if plane == level == 0:
                        file.write(image(100, 75), description="Aperio Image Library v12 \r\n600x450 -> 100x75", **common)
            for kind, subfile in (("label", 1), ("macro", 9)):
                file.write(image(90, 80), description=f"Aperio v12\r\n{kind} 90x80", subfiletype=subfile, **common)
        header = header_of(path)
        assert (header.status, header.level_count, header.focal_planes) == ("ok", 3, 3)
        assert header.level_downsamples == pytest.approx((1, 2, 4), rel=0.01)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (True, True, True)
        with LocalSource(os.fsencode(path)) as source:
            count = readers.count_tiles(source, "tiff")
        with tifffile.TiffFile(path) as file:
            assert count == TileCount(sum(len(page.dataoffsets) for page in file.pages), 0)

    @pytest.mark.parametrize("method", [33003, 33005])
    def test_aperios_jpeg_2000(self, tmp_path, method):
        path = write_svs(tmp_path / "x.svs")
        data = bytearray(path.read_bytes())
        for directory in directories_of(path):
            if directory.is_tiled:
                struct.pack_into("<H", data, directory.entries[ifd.COMPRESSION].offset, method)
        path.write_bytes(data)
        assert (header_of(path).status, header_of(path).compression) == ("ok", "jpeg2000")


class TestGenericTiff:
    def test_openslide_says_the_same(self, tmp_path):
        path = write_pyramid(tmp_path / "x.tif", datetime="2024:05:06 07:08:09")
        header = header_of(path)
        with openslide.OpenSlide(path) as slide:
            assert slide.properties["openslide.vendor"] == header.vendor
            assert (header.width, header.height) == slide.dimensions
            assert header.level_downsamples == pytest.approx(slide.level_downsamples)
            assert header.mpp_x == pytest.approx(float(slide.properties["openslide.mpp-x"]))
        assert header.mpp_source == "tiff_resolution"
        assert (header.status, header.format) == ("ok", "tiff")
        assert header.scan_datetime == naive(2024, 5, 6, 7, 8, 9)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, False, False)

    @pytest.mark.parametrize(
        ("resolution", "unit", "mpp"),
        [
            (40_000, "CENTIMETER", 0.25),
            (101_600, "INCH", 0.25),
            (72, "INCH", None),
            (300, "INCH", None),
            (28.346457, "CENTIMETER", None),
            (118.11, "CENTIMETER", None),
            (40_000, "NONE", None),
            (1e9, "INCH", None),
            (1, "INCH", None),
        ],
    )
    def test_a_resolution_is_a_pixel_size_only_if_it_can_be_one(self, tmp_path, resolution, unit, mpp):
        header = header_of(write_pyramid(tmp_path / "x.tif", resolution=(resolution, resolution), unit=unit))
        assert header.mpp_x == (mpp and pytest.approx(mpp))
        assert header.mpp_source == (mpp and "tiff_resolution")

    def test_x_and_y_are_read_apart(self, tmp_path):
        header = header_of(write_pyramid(tmp_path / "x.tif", resolution=(20_000, 40_000)))
        assert (header.mpp_x, header.mpp_y) == (pytest.approx(0.5), pytest.approx(0.25))

    def test_an_image_of_another_shape_is_no_level(self, tmp_path):
        header = header_of(write_pyramid(tmp_path / "x.tif", shapes=[(600, 450), (300, 225), (300, 100)]))
        assert header.level_count == 2
        assert header.has_label is None

    def test_a_profile_and_texts(self, tmp_path):
        tags = [(34675, 7, 200, b"p" * 200, True), (269, 2, 0, "S24-7", True)]
        header = header_of(write_pyramid(tmp_path / "x.tif", extratags=tags, description="case S24-7"))
        assert header.icc_profile is True
        assert header.metadata_texts == ("S24-7", "case S24-7")

    def test_a_converters_record_is_no_text(self, tmp_path):
        header = header_of(write_pyramid(tmp_path / "x.tif", description='{"converted": "12-34567"}'))
        assert header.metadata_texts == ()


class TestFingerprints:
    def test_a_moved_file_keeps_both(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        first = header_of(path)
        second = header_of(path.rename(tmp_path / "moved to another name.svs"))
        assert first.header_fingerprint == second.header_fingerprint
        assert first.shape_fingerprint == second.shape_fingerprint
        assert first.header_fingerprint.startswith("sha256:")

    def test_a_rewritten_header_keeps_the_pixels(self, tmp_path):
        """As after de-identification: other texts, no label, no macro, other offsets."""
        before = write_svs(tmp_path / "x.svs")
        after = write_svs(tmp_path / "y.svs", keys={}, bigtiff=True, images=())
        first, second = header_of(before), header_of(after)
        assert first.header_fingerprint != second.header_fingerprint
        assert first.shape_fingerprint == second.shape_fingerprint
        assert sample(before) == sample(after)

    def test_other_geometry_is_another_slide(self, tmp_path):
        paths = [write_svs(tmp_path / "x.svs"), write_svs(tmp_path / "y.svs", size=(600, 448))]
        assert len({header_of(path).shape_fingerprint for path in paths}) == 2
        assert len({sample(path) for path in paths}) == 2

    def test_another_tile_length_in_the_smallest_level_is_another_shape(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        before = header_of(path)
        level = directories_of(path)[3]
        assert level.first_int(ifd.IMAGE_WIDTH) == 150
        entry = level.entries[ifd.TILE_BYTE_COUNTS]
        data = bytearray(path.read_bytes())
        data[entry.offset] ^= 1
        path.write_bytes(data)
        assert header_of(path).shape_fingerprint != before.shape_fingerprint
        assert header_of(path).header_fingerprint != before.header_fingerprint

    def test_other_pixels_of_the_same_size_are_another_sample(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        before, said = sample(path), header_of(path)
        level = directories_of(path)[3]
        held = tiles.entries(level)
        data = bytearray(path.read_bytes())
        data[tiles.tile_at(level, held, 0)[0] + 100] ^= 1
        path.write_bytes(data)
        assert header_of(path).shape_fingerprint == said.shape_fingerprint
        assert sample(path) != before

    def test_tables_of_abbreviated_streams_belong_to_the_pixels(self):
        slides = [sparse_svs((512, 256)), sparse_svs((512, 256))]
        directory = [item for item in ifd.walk(slides[1]) if item.is_tiled][-1]
        slides[1].write_at(directory.entries[ifd.JPEG_TABLES].offset, b"\1")
        first, second = (readers.read_slide(slide).header for slide in slides)
        assert first.shape_fingerprint == second.shape_fingerprint
        assert readers.sample_pixels(slides[0], "tiff") != readers.sample_pixels(slides[1], "tiff")

    def test_the_sample_is_eight_tiles_of_at_most_a_mebibyte(self):
        slide = sparse_svs((61_440,), extras=False)
        slide.reads = slide.bytes_read = 0
        assert readers.sample_pixels(slide, "tiff")
        assert slide.reads <= 8 * 3 + 2
        directory = ifd.walk(slide)[0]
        sizes = directory.entries[ifd.TILE_BYTE_COUNTS]
        slide.write_at(sizes.offset, (1 << 30).to_bytes(4, "little"))
        slide.bytes_read = 0
        assert readers.sample_pixels(slide, "tiff")
        assert slide.bytes_read <= (8 << 20) + (128 << 10)


def sample(path):
    """What a second pass compares."""
    with LocalSource(os.fsencode(path)) as source:
        return readers.sample_pixels(source, "tiff")


def directories_of(path):
    with LocalSource(os.fsencode(path)) as source:
        return ifd.walk(MemorySource(source.read_at(0, source.size)))


class MemorySource:
    """A file in memory that counts its reads."""

    local_path = None
    name = "x.svs"

    def __init__(self, data):
        self.data = data
        self.size = len(data)
        self.reads = 0

    def read_at(self, offset, length):
        self.reads += 1
        return self.data[offset : offset + length]


REALISTIC = {
    "3 levels": {},
    "4 levels": {"sides": (61_440, 15_360, 3840, 960)},
    "5 levels": {"sides": (61_440, 15_360, 3840, 960, 240)},
    "250,000 tiles": {"sides": (128_000, 32_000, 8000)},
    "250,000 tiles, 5 levels": {"sides": (128_000, 32_000, 8000, 2000, 500)},
    "9 levels": {"sides": (128_000, 64_000, 32_000, 16_000, 8000, 4000, 2000, 1000, 500)},
    "one level": {"sides": (61_440,)},
    "no colour profile": {"icc": 0},
}
TILES = {True: (16_384, 4096, 1024), False: (61_440, 15_360, 3840)}


class TestCost:
    @pytest.mark.parametrize("ifds_first", [False, True])
    @pytest.mark.parametrize("layout", ["classic", "gt450"])
    @pytest.mark.parametrize("options", REALISTIC.values(), ids=REALISTIC)
    def test_a_header_is_at_most_16_reads_and_64_kib(self, options, layout, ifds_first):
        slide = sparse_svs(layout=layout, ifds_first=ifds_first, **options)
        header = readers.read_slide(slide).header
        assert (header.status, header.has_label, header.has_overview, header.has_thumbnail) == ("ok", True, True, True)
        assert header.level_count == len(options.get("sides", (1, 2, 3)))
        assert slide.reads <= 16
        assert slide.bytes_read <= 64 << 10

    @pytest.mark.parametrize("ifds_first", [False, True])
    def test_a_classic_tiff_too(self, ifds_first):
        slide = sparse_svs((30_000, 7500, 1875, 468), big=False, ifds_first=ifds_first)
        assert readers.read_slide(slide).header.status == "ok"
        assert slide.reads <= 16
        assert slide.bytes_read <= 64 << 10

    def test_a_second_read_looks_at_the_same_tiles(self):
        slides = [sparse_svs((128_000, 32_000, 8000, 2000, 500)) for _ in range(2)]
        first, second = (readers.read_slide(slide).header for slide in slides)
        assert first == second
        assert slides[0].bytes_read == slides[1].bytes_read

    @pytest.mark.parametrize("in_order", [False, True])
    @pytest.mark.parametrize("sides", [(61_440, 15_360, 3840), (128_000, 32_000, 8000, 2000, 500)])
    def test_a_lost_tail_is_noticed_though_few_tiles_are_looked_at(self, sides, in_order):
        """Directories first, and then level 0 or the macro last: a file cut anywhere still opens."""
        slide = sparse_svs(sides, ifds_first=True, in_order=in_order)
        for lost in (1, 5000, 1 << 20, slide.size // 100, slide.size // 2, slide.size * 9 // 10):
            header = readers.read_slide(slide.cut(slide.size - lost)).header
            assert (lost, header.status) == (lost, "truncated")
            assert header.tiles_bad > 0
            assert header.width == sides[0]

    def test_a_lost_tail_of_scattered_directories_is_noticed(self):
        slide = sparse_svs()
        for lost in (1, 5000, 1 << 20, slide.size // 100, slide.size // 2, slide.size * 9 // 10):
            assert readers.read_slide(slide.cut(slide.size - lost)).header.status == "truncated"

    def test_tables_read_whole_count_every_tile(self):
        slide = sparse_svs(ifds_first=True)
        total = sum((side // 256) ** 2 for side in (61_440, 15_360, 3840)) + 64 + 39 + 36
        assert readers.count_tiles(slide, "tiff") == TileCount(total, 0)
        cut = slide.cut(slide.size // 2)
        places = [
            end
            for directory in ifd.walk(slide)
            for held in [tiles.entries(directory)]
            for piece in tiles.read_pieces(directory, held)
            for end in (piece.offsets + piece.byte_counts).tolist()
        ]
        lost = sum(end > cut.size for end in places)
        assert 20_000 < lost < total
        assert readers.count_tiles(cut, "tiff") == TileCount(total, lost)

    def test_tables_that_overlap_are_not_read_a_thousand_times(self):
        slide = sparse_svs((2560,), extras=False)
        (first,) = ifd.walk(slide)
        images = [Image_({256: (4, [64]), 257: (4, [64])}, [1]) for _ in range(500)]
        hostile = sparse_tiff(images)
        for directory in ifd.walk(hostile):
            for tag in (ifd.TILE_OFFSETS, ifd.TILE_BYTE_COUNTS):
                entry = directory.entries[tag]
                hostile.write_at(entry.offset - 12, struct.pack("<HHQQ", tag, 16, 5000, 16))
        assert first.is_tiled
        hostile.bytes_read = 0
        assert readers.count_tiles(hostile, "tiff") is None
        assert hostile.bytes_read < 1 << 20


class TestDamagedSlides:
    @pytest.mark.parametrize("layout", ["classic", "gt450"])
    def test_a_cut_slide_is_truncated_wherever_it_is_cut(self, tmp_path, layout):
        data = write_svs(tmp_path / "x.svs", layout=layout).read_bytes()
        path = tmp_path / "cut.svs"
        for length in (4, 7, 8, 100, len(data) // 3, len(data) // 2, len(data) * 3 // 4, len(data) - 1):
            path.write_bytes(data[:length])
            result = read(path)
            assert (length, result.header.status, result.reader) == (length, "truncated", "tiff")
            assert result.header.status_detail

    def test_a_tile_beyond_the_end_makes_the_slide_truncated(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        with LocalSource(os.fsencode(path)) as source:
            entry = ifd.walk(source)[0].entries[ifd.TILE_OFFSETS]
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, entry.offset + 4 * 5, len(data) - 10)
        path.write_bytes(data)
        header = header_of(path)
        assert (header.status, header.tiles_bad) == ("truncated", 1)
        assert header.width == 600
        with openslide.OpenSlide(path) as slide:  # which is why this is checked here
            assert slide.dimensions == (600, 450)

    def test_what_was_read_before_the_damage_is_kept(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        data = path.read_bytes()
        path.write_bytes(data[:-20])
        header = header_of(path)
        assert (header.status, header.format, header.width, header.mpp_x) == ("truncated", "svs", 600, 0.2525)
        assert header.barcode == KEYS["Barcode"]

    @pytest.mark.parametrize("tag", [ifd.IMAGE_WIDTH, ifd.TILE_WIDTH])
    def test_an_impossible_size_is_corrupt(self, tmp_path, tag):
        path = write_svs(tmp_path / "x.svs")
        with LocalSource(os.fsencode(path)) as source:
            directories = ifd.walk(source)
        data = bytearray(path.read_bytes())
        for directory in directories:
            if tag in directory:
                data[directory.entries[tag].offset : directory.entries[tag].offset + 2] = bytes(2)
        path.write_bytes(data)
        assert header_of(path).status == "corrupt"

    def test_a_tile_table_that_is_too_short_is_corrupt(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        with LocalSource(os.fsencode(path)) as source:
            entries = ifd.walk(source)[0].entries
        data = bytearray(path.read_bytes())
        for name in (ifd.IMAGE_WIDTH,):
            struct.pack_into("<H", data, entries[name].offset, 60_000)
        path.write_bytes(data)
        header = header_of(path)
        assert (header.status, header.width) == ("corrupt", 60_000)

    def test_a_loop_is_corrupt(self, tmp_path):
        path = write_svs(tmp_path / "x.svs")
        with LocalSource(os.fsencode(path)) as source:
            first, *_, last = ifd.walk(source)
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, last.offset + len(last.raw) - 4, first.offset)
        path.write_bytes(data)
        header = header_of(path)
        assert (header.status, header.width) == ("corrupt", 600)

    def test_an_unknown_compression_is_not_called_corrupt(self, tmp_path):
        path = write_pyramid(tmp_path / "x.tif")
        with LocalSource(os.fsencode(path)) as source:
            entry = ifd.walk(source)[0].entries[ifd.COMPRESSION]
        data = bytearray(path.read_bytes())
        struct.pack_into("<H", data, entry.offset, 52479)
        path.write_bytes(data)
        header = header_of(path)
        assert (header.status, header.compression) == ("unsupported:generic-tiff", "other")
        assert header.header_fingerprint

    def test_no_detail_holds_a_value(self, tmp_path):
        data = write_svs(tmp_path / "ZHANG SAN.svs", keys={"Title": "ZHANG SAN"}).read_bytes()
        path = tmp_path / "ZHANG SAN cut.svs"
        for length in range(0, len(data), len(data) // 40):
            path.write_bytes(data[:length])
            assert "ZHANG" not in (header_of(path).status_detail or "")


OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def write_foreign(path, **tags):
    return write_pyramid(path, **tags)


class TestForeignTiff:
    @pytest.mark.parametrize(("tag", "text"), [(305, "MedScan"), (271, "Huron Digital Pathology")])
    def test_a_vendor_whose_layout_only_openslide_knows_is_passed_on(self, tmp_path, tag, text):
        result = read(write_foreign(tmp_path / "x.tif", extratags=[(tag, 2, 0, text, True)]))
        assert result.reader == "openslide"

    @pytest.mark.parametrize(("tag", "text"), [(305, "MedScan"), (271, "Huron Digital Pathology")])
    def test_a_cut_one_is_truncated(self, tmp_path, tag, text):
        path = write_foreign(tmp_path / "x.tif", extratags=[(tag, 2, 0, text, True)])
        data = path.read_bytes()
        for size in (len(data) // 3, len(data) // 2, len(data) - 50):
            path.write_bytes(data[:size])
            assert header_of(path).status == "truncated"

    def test_tiles_lost_from_an_ome_tiff_are_noticed(self, tmp_path):
        text = f'<?xml version="1.0"?><OME xmlns="{OME}"/>'
        path = write_foreign(tmp_path / "x.ome.tif", description=text)
        entry = directories_of(path)[0].entries[ifd.TILE_OFFSETS]
        data = bytearray(path.read_bytes())
        struct.pack_into("<I", data, entry.offset, len(data))
        path.write_bytes(data)
        result = read(path)
        assert (result.reader, result.header.status, result.header.tiles_bad) == ("tiff", "truncated", 1)


class TestNotASlide:
    def test_a_scanned_letter(self, tmp_path):
        path = tmp_path / "letter.tif"
        tifffile.imwrite(path, image(300, 400), photometric="rgb")
        result = read(path)
        assert (result.reader, result.header.status) == ("none", "not_a_slide")

    def test_a_letter_whose_second_page_is_lost_is_still_no_slide(self, tmp_path):
        path = tmp_path / "letter.tif"
        tifffile.imwrite(path, np.zeros((2, 50, 50), np.uint8), photometric="minisblack", metadata=None)
        with LocalSource(os.fsencode(path)) as source:
            second = ifd.walk(source)[1]
        path.write_bytes(path.read_bytes()[: second.offset + 5])
        assert (read(path).reader, header_of(path).status) == ("none", "not_a_slide")

    @pytest.mark.parametrize("tile", [None, (64, 64)])
    def test_a_photograph_of_72_dots_per_inch(self, tmp_path, tile):
        """In strips it is no slide; in tiles it might be one, but 352.8 micrometres are the size of nobody's pixel."""
        path = tmp_path / "photo.tif"
        tifffile.imwrite(path, image(300, 400), photometric="rgb", tile=tile, resolution=(72, 72), resolutionunit="INCH")
        header = header_of(path)
        assert header.status == ("ok" if tile else "not_a_slide")
        assert (header.mpp_x, header.mpp_y, header.mpp_source) == (None, None, None)

    def test_an_aperio_label_saved_by_itself(self, tmp_path):
        path = tmp_path / "label.tif"
        text = "Aperio Image Library v11.2.1 \r\nlabel 300x400"
        tifffile.imwrite(path, image(300, 400), photometric="rgb", description=text, metadata=None)
        assert header_of(path).status == "not_a_slide"

    @pytest.mark.parametrize("name", ["notes.txt", "x.jpg", "x", "x.dcm", "x.svs.bak"])
    def test_a_file_of_no_slides_extension_has_no_row(self, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(b"nothing of a slide")
        assert read(path) is None

    def test_a_slide_is_known_by_its_content_whatever_its_name(self, tmp_path):
        result = read(write_svs(tmp_path / "x.bak"))
        assert (result.reader, result.header.format) == ("tiff", "svs")

    @pytest.mark.parametrize("extension", sorted(readers.SLIDE_EXTENSIONS))
    def test_an_empty_file(self, tmp_path, extension):
        path = tmp_path / f"x{extension}"
        path.touch()
        header = header_of(path)
        assert (header.status, header.status_detail) == ("truncated", "empty file")

    @pytest.mark.parametrize("extension", sorted(readers.SLIDE_EXTENSIONS))
    def test_a_git_lfs_pointer(self, tmp_path, extension):
        path = tmp_path / f"x{extension}"
        path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:edf4a1\nsize 198030965\n")
        assert header_of(path).status == "lfs_pointer"

    @pytest.mark.parametrize("extension", sorted(readers.SLIDE_EXTENSIONS))
    def test_text_with_a_slides_extension(self, tmp_path, extension):
        path = tmp_path / f"x{extension.upper()}"
        path.write_bytes("病理 not a slide\r\n".encode())
        assert header_of(path).status == "not_a_slide"

    @pytest.mark.parametrize("extension", sorted(readers.SLIDE_EXTENSIONS))
    def test_zero_bytes_with_a_slides_extension(self, tmp_path, extension):
        path = tmp_path / f"x{extension}"
        path.write_bytes(bytes(10_000))
        assert header_of(path).status == "not_a_slide"

    @pytest.mark.parametrize(
        ("name", "head", "vendor"),
        [
            ("x.kfb", b"\x01\0\0\0KFB\0", "kfbio"),
            ("x.bak", b"\x01\0\0\0KFB\0", "kfbio"),
            ("x.mdsx", b"BKIO\x01", "motic"),
            ("x.mds", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "motic"),
            ("x.sdpc", b"SQ\x01\x02", "sqray"),
            ("x.tmap", b"\x01\x02\x03\x04", "unic"),
            ("x.dyqx", b"\x01\x02\x03\x04", "dyqx"),
            ("x.dyj", b"\x01\x02\x03\x04", "dyj"),
            ("x.TRON", b"\x01\x02\x03\x04", "tron"),
            ("x.zyp", b"\x01\x02\x03\x04", "zyp"),
            ("x.ibl", b"\x01\x02\x03\x04", "ibl"),
            ("x.vsi", b"II*\0\x08\0\0\0", "olympus"),
            ("x.isyntax", b'<DataObject ObjectType="DPUfsImport">', "philips"),
        ],
    )
    def test_closed_formats_are_unsupported_and_not_corrupt(self, tmp_path, name, head, vendor):
        path = tmp_path / name
        path.write_bytes(head.ljust(1000, b"\x02"))
        header = header_of(path)
        assert header.status == f"unsupported:{vendor}"
        assert header.vendor == vendor
        assert vendor in VENDORS

    @pytest.mark.parametrize("name", ["x.svs", "x.bak", "x.doc"])
    def test_the_magic_of_a_shared_container_needs_the_extension(self, tmp_path, name):
        path = tmp_path / name
        path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(1000, b"\x02"))
        result = read(path)
        assert result is None or result.header.status == "not_a_slide"

    def test_a_tiff_whose_first_offset_spells_kfb_is_a_tiff(self, tmp_path):
        path = tmp_path / "x.svs"
        path.write_bytes(b"II*\0KFB\0" + bytes(5000))
        assert (read(path).reader, header_of(path).status) == ("tiff", "truncated")

    def test_a_kfb_that_is_a_renamed_svs_is_an_svs(self, tmp_path):
        assert header_of(write_svs(tmp_path / "x.kfb")).format == "svs"


class TestUnreadable:
    @pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE])
    @pytest.mark.parametrize("after", [0, 1, 2])
    def test_an_error_while_reading(self, tmp_path, code, after):
        data = write_svs(tmp_path / "x.svs", size=(2000, 1500)).read_bytes()

        class Failing:
            size = len(data)
            name = "ZHANG SAN.svs"
            local_path = None
            reads = 0

            def read_at(self, offset, length):
                if self.reads == after:
                    raise OSError(code, "cannot read", "/archive/ZHANG SAN.svs")
                self.reads += 1
                return data[offset : offset + length]

        header = readers.read_slide(Failing()).header
        assert (header.status, header.status_detail) == ("unreadable", errno.errorcode[code])

    def test_an_error_without_a_number(self):
        assert readers.unreadable(OSError("no number")).header.status_detail == "EIO"


class TestOpenSlideReader:
    def test_a_mirax_preview_without_its_folder(self, tmp_path):
        path = tmp_path / "x.mrxs"
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        header = header_of(path)
        assert (header.status, header.format, header.vendor) == ("companion_missing", "mrxs", "mirax")

    def test_a_mirax_folder_that_lacks_files_its_index_names(self, tmp_path):
        path = tmp_path / "x.mrxs"
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        folder = tmp_path / "x"
        folder.mkdir()
        text = (
            "[HIERARCHICAL]\r\nINDEXFILE = Index.dat\r\n[DATAFILE]\r\nFILE_COUNT = 2\r\nFILE_0 = a.dat\r\nFILE_1 = b.dat\r\n"
        )
        (folder / "Slidedat.ini").write_text("\ufeff" + text, encoding="utf-8", newline="")
        (folder / "Index.dat").touch()
        (folder / "a.dat").touch()
        header = header_of(path)
        assert (header.status, header.status_detail) == (
            "companion_missing", "1 of the 3 files that Slidedat.ini names are missing",
        )  # fmt: skip
        (folder / "b.dat").touch()
        assert header_of(path).status == "corrupt"

    def test_names_that_are_no_utf_8(self, tmp_path):
        name = os.fsdecode("病理 S24-1".encode("gb18030"))
        path = tmp_path / f"{name}.tif"
        path.write_bytes(write_foreign(tmp_path / "x.tif", extratags=[(305, 2, 0, "MedScan", True)]).read_bytes())
        assert (read(path).reader, header_of(path).status) == ("openslide", "ok")
        preview = tmp_path / f"{name}.mrxs"
        preview.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        assert header_of(preview).status == "companion_missing"
        (tmp_path / name).mkdir()
        (tmp_path / name / "Slidedat.ini").write_text("[GENERAL]\n")
        assert header_of(preview).status == "corrupt"

    def test_an_index_that_names_files_elsewhere_is_not_followed(self, tmp_path):
        path = tmp_path / "x.mrxs"
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
        (tmp_path / "x").mkdir()
        (tmp_path / "x" / "Slidedat.ini").write_text("FILE_0 = ../../etc/passwd\nFILE_1 = /etc/passwd\n")
        assert header_of(path).status == "corrupt"

    def test_a_broken_file_of_a_known_format_is_corrupt(self, tmp_path):
        path = tmp_path / "x.svslide"
        database = sqlite3.connect(path)
        database.execute("create table DataManagerSQLiteConfigXPO (TableName text)")
        database.execute("insert into DataManagerSQLiteConfigXPO values ('ZHANG')")
        database.execute("create table ZHANG (id text, size integer, data blob)")
        database.execute("insert into ZHANG values ('++MagicBytes', 16, 'SVGigaPixelImage')")
        database.commit()
        database.close()
        header = header_of(path)
        assert (header.status, header.vendor) == ("corrupt", "sakura")
        assert "ZHANG" not in (header.status_detail or "")

    def test_a_file_that_is_nowhere_on_this_machine_is_not_claimed(self):
        class Remote:
            size = 132
            name = "x.czi.part"
            local_path = None

            def read_at(self, offset, length):
                return (b"ZISRAWFILE" + bytes(122))[offset : offset + length]

        assert readers.read_slide(Remote()) is None


class TestFamily:
    def test_every_status_and_reader_fits_the_table(self, tmp_path):
        for reader in readers.READERS:
            assert reader.NAME.isidentifier()
            assert reader.VERSION >= 1
        result = read(write_svs(tmp_path / "x.svs"))
        assert (result.reader, result.reader_version) == ("tiff", readers.READER_VERSIONS["tiff"])
        assert result.header.status.partition(":")[0] in STATUSES
        assert result.header.format in FORMATS
        assert result.header.compression in COMPRESSIONS

    def test_extensions_are_lower_case_with_a_dot(self):
        assert all(name.startswith(".") and name == name.lower() for name in readers.SLIDE_EXTENSIONS)

    def test_companion_folders(self):
        names = [b"a.mrxs", b"a", b"b.MRXS", b"b", b"c", b"d.svs", b"d", b".mrxs", b"", b"e.vsi", b"_e_", b"f.mrxs"]
        assert readers.companion_folders(names) == {b"a", b"b", b"_e_"}

    def test_a_slide_is_nobodys_companion(self):
        assert readers.companion_folders([b"a.mrxs", b"a.mrxs.mrxs"]) == {b"a.mrxs"}

    def test_a_companion_whose_name_is_gb18030(self):
        stem = "病理".encode("gb18030")
        assert readers.companion_folders([stem + b".mrxs", stem]) == {stem}


REAL_DATA = os.environ.get("PATHCURATE_REAL_DATA")
EXPECTED = {
    "CMU-1-Small-Region.svs": ("ok", "tiff"),
    "small.svs": ("ok", "tiff"),
    "😐.svs": ("ok", "tiff"),
    "unreadable.svs": ("ok", "tiff"),  # header whole; its JPEG data is not, which only decoding shows
    "boxes.tiff": ("ok", "tiff"),
    "small_la.tiff": ("ok", "tiff"),
    "test_orient1.tif": ("ok", "tiff"),
    "yb10kx5k.zstd.tiff": ("ok", "tiff"),
    "unopenable.tiff": ("unsupported:generic-tiff", "tiff"),  # compression 52479
    "google.tif": ("not_a_slide", "none"),  # strips
    "grey10kx5k.tif": ("not_a_slide", "none"),  # strips
    "zero_gi.tif": ("not_a_slide", "none"),  # strips, height 0
    "ndpi_test.ndpi": ("lfs_pointer", "none"),
    "test3-TRITC 2 (560).ndpi": ("ok", "ndpi"),
    "Readme.md": None,
    "metadata.csv": None,
    "notanimage.txt": None,
    "boxes.png": None,
    "boxes-no-icc.png": None,
    "😐.png": None,
}
REAL_FILES = sorted(path for path in Path(REAL_DATA, "wsi").rglob("*") if path.is_file()) if REAL_DATA else []
# DICOM comes in parts, and has tests of its own.
REAL_FILES = [path for path in REAL_FILES if path.suffix != ".dcm"]


def decode(path):
    with openslide.OpenSlide(path) as slide:
        slide.read_region((0, 0), 0, slide.dimensions)


@pytest.mark.skipif(not REAL_DATA, reason="PATHCURATE_REAL_DATA is not set")
class TestRealFiles:
    def test_every_expected_file_is_there(self):
        assert {path.name for path in REAL_FILES} == EXPECTED.keys()

    @pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
    def test_status_and_reader(self, path):
        result = read(path)
        assert (result and (result.header.status, result.reader)) == EXPECTED[path.name]

    @pytest.mark.parametrize("path", REAL_FILES, ids=lambda path: path.name)
    def test_openslide_says_the_same(self, path):
        result = read(path)
        if path.name == "unreadable.svs" or result is None or result.header.status != "ok":
            with pytest.raises(openslide.OpenSlideError):
                decode(path)
            return
        header = result.header
        with openslide.OpenSlide(path) as slide:
            said = slide.properties
            assert header.vendor == said["openslide.vendor"]
            assert (header.width, header.height) == slide.dimensions
            if header.format == "ndpi":  # of which OpenSlide makes up further levels
                assert set(header.level_downsamples) <= set(slide.level_downsamples)
            else:
                assert header.level_count == slide.level_count
                assert header.level_downsamples == pytest.approx(slide.level_downsamples)
            mpp = float(said.get("openslide.mpp-x", 0))
            assert header.mpp_x == (pytest.approx(mpp) if 0.01 <= mpp <= 100 else None)
            power = said.get("openslide.objective-power")
            assert header.objective_power == (power and float(power))
            names = set(slide.associated_images)
            assert header.has_label == ("label" in names)
            assert header.has_overview == ("macro" in names)
            assert header.has_thumbnail == ("thumbnail" in names)
            assert header.icc_profile == (slide.color_profile is not None)
