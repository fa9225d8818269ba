"""The NDPI reader: planted answers, OpenSlide and tifffile as judges, damage, and what it costs."""

import os
import random
import re
from datetime import datetime
from pathlib import Path

import openslide
import pytest
import tifffile

from pathcurate import ifd, readers
from pathcurate.model.slide import STATUSES, TileCount
from pathcurate.storage import LocalSource
from tests.makers.tiff import NdpiImage, Sparse, jpeg, ndpi, ndpi_slide

LABEL = {
    65427: (2, b"S24-00123 A1\0"),
    65468: (2, b"H81870/26_A1_HE\0"),
    65470: (2, b"X7\0"),
    65477: (2, b'<?xml version="1.0" encoding="utf-8"?><Label><Case id="S24-00124">HE</Case><Empty/></Label>\0'),
}
GIB_4 = 1 << 32


def header_of(source):
    result = readers.read_slide(source)
    assert result.reader == "ndpi"
    return result.header


def naive(*parts):
    return datetime(*parts)  # noqa: DTZ001 -- scanners write local time without a zone


class TestPlantedAnswers:
    def test_identity(self):
        header = header_of(ndpi_slide(first=LABEL))
        assert (header.status, header.format, header.vendor) == ("ok", "ndpi", "hamamatsu")
        assert (header.scanner_model, header.scanner_serial) == ("C13220-01", "S60-001")
        assert header.scan_datetime == naive(2023, 5, 6, 7, 8, 9)
        assert header.barcode == "H81870/26_A1_HE"
        assert header.label_text == "S24-00123 A1"
        assert header.metadata_texts == ("H81870/26_A1_HE", "X7", "S24-00123 A1", "S24-00124", "HE")

    def test_a_barcode_of_two_characters_stands_outside_its_entry_too(self):
        header = header_of(ndpi_slide(first={65468: (2, b"X7\0")}))
        assert (header.barcode, header.metadata_texts) == ("X7", ("X7",))

    def test_what_the_tags_do_not_say_the_block_of_properties_does(self):
        slide = ndpi_slide(first={272: (2, b"\0"), 65442: (2, b"\0"), 306: (2, b"never\0")})
        header = header_of(slide)
        assert (header.scanner_model, header.scanner_serial) == ("C13220-01", "950291")
        assert header.scan_datetime == naive(2011, 5, 23)

    @pytest.mark.parametrize(
        ("resolution", "unit", "mpp"),
        [
            ([40_000, 1], 3, 0.25),
            ([101_600, 1], 2, 0.25),
            ([0, 1], 3, None),
            ([1, 0], 3, None),
            ([1, 1], 3, None),
            ([40_000, 1], 1, None),
        ],
    )
    def test_microns_per_pixel(self, resolution, unit, mpp):
        header = header_of(ndpi_slide(first={282: (5, resolution), 296: (3, [unit])}))
        assert header.mpp_x == mpp
        assert header.mpp_source == ("vendor" if header.mpp_x or header.mpp_y else None)

    @pytest.mark.parametrize(("lens", "power"), [(20, 20), (0.05, None), (5000, None)])
    def test_the_objective_is_the_lens_of_the_first_level(self, lens, power):
        assert header_of(ndpi_slide(lens=lens)).objective_power == power

    @pytest.mark.parametrize("factor", [2, 4])
    def test_the_pyramid(self, factor):
        header = header_of(ndpi_slide(factor=factor))
        assert (header.width, header.height, header.level_count) == (1024, 768, 3)
        assert header.level_downsamples == (1, factor, factor**2)
        assert (header.compression, header.channels, header.focal_planes) == ("jpeg", 3, 1)
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, True, False)

    def test_without_a_photo_of_the_glass_there_is_no_overview(self):
        assert header_of(ndpi_slide(macro=False)).has_overview is False

    @pytest.mark.parametrize(("focuses", "planes"), [((-2000, 0, 2000), 3), ((0, 500), 2), ((1000, 3000), 2)])
    def test_focal_planes_are_no_levels(self, focuses, planes):
        header = header_of(ndpi_slide(focuses=focuses))
        assert (header.level_count, header.focal_planes) == (3, planes)

    def test_jpeg_xr_is_unsupported_and_not_corrupt(self):
        header = header_of(ndpi([NdpiImage(64, 64, bytes(500), 40, method=22610)]))
        assert (header.status, header.compression, header.width) == ("unsupported:hamamatsu", "other", 64)

    def test_a_jpeg_without_restart_markers_has_no_tiles(self):
        header = header_of(ndpi([NdpiImage(64, 48, jpeg(64, 48, rows=0), 40)]))
        assert (header.status, header.tile_width, header.tile_height) == ("ok", None, None)

    def test_restart_markers_within_a_row_of_units(self):
        data = jpeg(1024, 64)
        at = data.index(b"\xff\xdd")
        assert data[at + 4 : at + 6] == (128).to_bytes(2, "big")
        data = data[: at + 4] + (32).to_bytes(2, "big") + data[at + 6 :]
        header = header_of(ndpi([NdpiImage(1024, 64, data, 40)]))
        assert (header.tile_width, header.tile_height) == (256, 8)

    def test_a_level_in_several_strips_is_corrupt_and_a_map_is_not(self):
        strips = {273: (4, [8, 9]), 279: (4, [1, 1])}
        level = NdpiImage(64, 48, jpeg(64, 48), 40)
        odd = NdpiImage(64, 48, jpeg(64, 48), -2, fields=strips)
        header = header_of(ndpi([level, odd]))
        assert (header.status, header.tiles_checked) == ("ok", 3)
        assert header_of(ndpi([NdpiImage(64, 48, jpeg(64, 48), 40, fields=strips)])).status == "corrupt"

    def test_no_level_is_no_slide(self):
        assert header_of(ndpi([NdpiImage(64, 48, jpeg(64, 48), -1)])).status == "not_a_slide"

    def test_impossible_size_is_corrupt(self):
        assert header_of(ndpi([NdpiImage(0, 48, jpeg(64, 48), 40)])).status == "corrupt"


class TestJudges:
    @pytest.mark.parametrize("factor", [2, 4])
    @pytest.mark.parametrize("focuses", [(0,), (0, 2000)])
    def test_openslide(self, tmp_path, factor, focuses):
        path = ndpi_slide(factor=factor, focuses=focuses, first=LABEL).save(tmp_path / "x.ndpi")
        check_with_openslide(path)

    def test_tifffile(self, tmp_path):
        slide = ndpi_slide(first=LABEL)
        with tifffile.TiffFile(slide.save(tmp_path / "x.ndpi")) as file:
            pages = list(file.pages)
            found = ifd.walk(slide)
            assert file.is_ndpi
            assert [page.offset for page in pages] == [directory.offset for directory in found]
            for page, directory in zip(pages, found, strict=True):
                assert [tag.code for tag in page.tags] == list(directory.entries)
                assert directory.first_int(ifd.STRIP_BYTE_COUNTS) == page.tags.valueof(279)[0]
                assert directory.rational(65421) == page.tags.valueof(65421)
                assert directory.text(65468) == "H81870/26_A1_HE"

    def test_tifffile_above_4_gib(self, tmp_path):
        slide = ndpi_slide(start=GIB_4 + 4096)
        with tifffile.TiffFile(slide.save(tmp_path / "x.ndpi")) as file:
            assert [page.tags.valueof(273)[0] for page in file.pages] == [
                directory.first_int(ifd.STRIP_OFFSETS) for directory in ifd.walk(slide)
            ]
            assert all(page.tags.valueof(273)[0] > GIB_4 for page in file.pages)

    def test_openslide_above_4_gib(self, tmp_path):
        check_with_openslide(ndpi_slide(start=GIB_4 + 4096).save(tmp_path / "x.ndpi"))

    def test_a_file_across_4_gib(self):
        header = header_of(ndpi_slide(start=GIB_4 - 10_000))
        assert (header.status, header.level_count, header.tiles_checked, header.tiles_bad) == ("ok", 3, 5, 0)


def check_with_openslide(path):
    with LocalSource(os.fsencode(path)) as source:
        header = header_of(source)
    with openslide.OpenSlide(path) as slide:
        said = slide.properties
        assert said["openslide.vendor"] == header.vendor
        assert (header.width, header.height) == slide.dimensions
        # OpenSlide makes up further levels by decoding at half size, quarter and eighth.
        assert set(header.level_downsamples) <= {round(downsample, 6) for downsample in slide.level_downsamples}
        assert header.mpp_x == pytest.approx(float(said["openslide.mpp-x"]))
        assert header.mpp_y == pytest.approx(float(said["openslide.mpp-y"]))
        assert header.objective_power == float(said["openslide.objective-power"])
        assert header.label_text == said.get("hamamatsu.Reference")
        assert header.tile_width == int(said["openslide.level[0].tile-width"])
        assert header.tile_height == int(said["openslide.level[0].tile-height"])
        assert {"macro"} & set(slide.associated_images) == ({"macro"} if header.has_overview else set())
        slide.read_region((0, 0), 0, (64, 64))


class TestFingerprints:
    def test_a_rewritten_header_without_overview_keeps_the_pixels(self):
        before, after = ndpi_slide(first=LABEL), ndpi_slide(macro=False, slide_map=False, start=9000)
        first, second = header_of(before), header_of(after)
        assert first.header_fingerprint != second.header_fingerprint
        assert first.shape_fingerprint == second.shape_fingerprint
        assert readers.sample_pixels(before, "ndpi") == readers.sample_pixels(after, "ndpi") is not None

    def test_other_pixels_are_another_slide(self):
        data = jpeg(1024, 768)
        changed = data[:-100] + bytes(byte ^ 1 for byte in data[-100:])
        first, second = (ndpi([NdpiImage(1024, 768, pixels, 40)]) for pixels in (data, changed))
        assert header_of(first).shape_fingerprint == header_of(second).shape_fingerprint
        assert readers.sample_pixels(first, "ndpi") != readers.sample_pixels(second, "ndpi")

    def test_another_size_of_any_level_is_another_shape(self):
        shapes = {header_of(ndpi_slide(seed=seed)).shape_fingerprint for seed in range(4)}
        assert len(shapes) == 4

    def test_a_large_level_costs_eight_bounded_reads(self):
        slide = ndpi([NdpiImage(64, 48, jpeg(64, 48), 40)])
        strip = ifd.walk(slide)[0].entries[ifd.STRIP_BYTE_COUNTS]
        slide.write_at(strip.offset, (1 << 31).to_bytes(4, "little"))
        slide.size = 3 << 30
        slide.bytes_read = 0
        assert readers.sample_pixels(slide, "ndpi")
        assert slide.bytes_read <= (2 << 20) + (64 << 10)


class TestDamage:
    def test_a_cut_file_is_truncated_wherever_it_is_cut(self):
        slide = ndpi_slide()
        first = ifd.walk(slide)[0]
        for size in (*range(first.offset + len(first.raw) + 8, slide.size, 997), slide.size - 1):
            header = header_of(slide.cut(size))
            assert (size, header.status) == (size, "truncated")
            assert header.width in {None, 1024}

    @pytest.mark.parametrize("start", [0, GIB_4 + 5])
    def test_an_image_beyond_the_end_is_told(self, start):
        slide = ndpi_slide(start=start)
        last = ifd.walk(slide)[-1]
        slide.write_at(last.entries[ifd.STRIP_BYTE_COUNTS].offset, (slide.size & 0xFFFFFFFF | 1 << 31).to_bytes(4, "little"))
        header = header_of(slide)
        assert (header.status, header.tiles_checked, header.tiles_bad) == ("truncated", 5, 1)
        assert readers.count_tiles(slide, "ndpi") == TileCount(5, 1)

    def test_no_value_of_the_file_is_in_the_detail(self):
        slide = ndpi_slide(first=LABEL)
        for size in range(slide.size // 2, slide.size, 1499):
            assert not re.search("S24|H81870|S60", readers.read_slide(slide.cut(size)).header.status_detail or "")

    def test_a_chain_that_comes_back_is_corrupt(self):
        slide = ndpi_slide()
        first, second, *_ = ifd.walk(slide)
        count = len(second.entries)
        slide.write_at(second.offset + 2 + 12 * count, first.offset.to_bytes(8, "little"))
        header = header_of(slide)
        assert (header.status, header.width) == ("corrupt", 1024)
        assert readers.sample_pixels(slide, "ndpi") is None
        assert readers.count_tiles(slide, "ndpi") is None

    def test_flipped_bytes_end_in_a_status(self):
        slide = ndpi_slide(first=LABEL, size=(128, 96))
        whole = bytearray(slide.read_at(0, slide.size))
        places = [
            place
            for directory in ifd.walk(slide)
            for place in range(directory.offset, directory.offset + len(directory.raw) + 32)
        ]
        rng = random.Random(7)
        for _ in range(1500):
            data = bytearray(whole)
            for place in rng.sample(places, rng.randint(1, 5)):
                data[place % len(data)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            broken = Sparse(len(data), chunks={0: bytes(data)})
            result = readers.read_slide(broken)
            assert result.header.status.partition(":")[0] in STATUSES
            assert (result.header.status == "ok") == (result.header.status_detail is None)
            readers.sample_pixels(broken, "ndpi")
            readers.count_tiles(broken, "ndpi")
            assert broken.bytes_read < 64 << 20


class TestCost:
    @pytest.mark.parametrize("start", [0, GIB_4 + 4096])
    def test_a_header_is_at_most_16_reads_and_64_kib(self, start):
        slide = ndpi_slide(levels=5, size=(2048, 1536), start=start, first=LABEL)
        assert header_of(slide).status == "ok"
        assert slide.reads <= 16
        assert slide.bytes_read <= 64 << 10


REAL_DATA = os.environ.get("PATHCURATE_REAL_DATA")


@pytest.mark.skipif(not REAL_DATA, reason="PATHCURATE_REAL_DATA is not set")
class TestRealFile:
    def test_a_fluorescence_slide(self):
        (path,) = Path(REAL_DATA, "wsi").rglob("test3-TRITC 2 (560).ndpi")
        check_with_openslide(path)
        with LocalSource(os.fsencode(path)) as source:
            header = header_of(source)
            assert readers.count_tiles(source, "ndpi") == TileCount(6, 0)
        with tifffile.TiffFile(path) as file:
            (series,) = (series for series in file.series if series.name == "Baseline")
            assert header.level_count == len(series.levels)
        assert (header.scanner_model, header.scanner_serial) == ("C9600-12", "950291")
        assert header.scan_datetime == naive(2017, 2, 7, 13, 7, 45)
        assert header.barcode is None
