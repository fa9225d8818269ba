"""readers.openslide: the formats that only OpenSlide reads, and images beside the pyramid of any format that it opens."""

import os
import struct
from datetime import datetime

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from pathcurate import readers
from pathcurate.model.slide import TileCount
from pathcurate.readers.openslide import picture
from pathcurate.storage import LocalSource
from tests.makers.mrxs import make_mrxs, tissue

VMS = """[Virtual Microscope Specimen]
NoLayers=1
LayerSpacing=0
NoJpegColumns=1
NoJpegRows=1
ImageFile=x.jpg
MapFile=x_map2.jpg
MapScale=4
MacroImage=x_macro.jpg
OptimisationFile=x.opt
PhysicalWidth=64000
PhysicalHeight=48000
PhysicalMacroWidth=1
PhysicalMacroHeight=1
SourceLens=20
Reference=S24-00123
Created=2023/12/29
HardwareSerial=880077
"""


def make_vms(folder, text=VMS):
    """A Hamamatsu VMS slide; its optimisation file, without which OpenSlide only takes longer, is not there."""
    for name, size in (("x.jpg", (256, 192)), ("x_map2.jpg", (64, 48)), ("x_macro.jpg", (90, 40))):
        tissue(*size).save(folder / name, "JPEG", restart_marker_rows=1, subsampling=0)
    path = folder / "x.vms"
    path.write_text(text)
    return path


def make_trestle(path, *, resolution=(40_000, 40_000)):
    with tifffile.TiffWriter(path) as file:
        for level in range(3):
            file.write(
                np.asarray(tissue(256 >> level, 192 >> level)), tile=(64, 64), photometric="rgb", metadata=None,
                software="MedScan 1.0", description="Background Color=FFFFFF;Objective Power=40;OverlapsXY= 0 0 0 0 0 0",
                resolution=resolution, resolutionunit="CENTIMETER", datetime="2019:05:06 07:08:09",
            )  # fmt: skip
    return path


def result_of(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.read_slide(source)


def counts(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.count_tiles(source, "openslide"), readers.sample_pixels(source, "openslide")


class TestVms:
    def test_what_openslide_says(self, tmp_path):
        result = result_of(make_vms(tmp_path))
        header = result.header
        assert (result.reader, header.status, header.format, header.vendor) == ("openslide", "ok", "other", "hamamatsu")
        assert (header.width, header.height, header.mpp_x, header.objective_power) == (256, 192, 0.25, 20.0)
        assert (header.label_text, header.scanner_serial) == ("S24-00123", "880077")
        assert header.metadata_texts == ("S24-00123",)
        assert header.scan_datetime == datetime(2023, 12, 29)  # noqa: DTZ001
        assert (header.has_label, header.has_overview, header.has_thumbnail) == (False, True, False)
        assert counts(tmp_path / "x.vms") == (None, None)

    @pytest.mark.parametrize(("lost", "number"), [(("x.jpg",), 1), (("x_map2.jpg", "x_macro.jpg"), 2)])
    def test_its_images_are_missing(self, tmp_path, lost, number):
        path = make_vms(tmp_path)
        for name in lost:
            (tmp_path / name).unlink()
        header = result_of(path).header
        detail = f"{number} of the 3 files that the slide names are missing"
        assert (header.status, header.status_detail, header.vendor) == ("companion_missing", detail, "hamamatsu")

    def test_names_that_lead_elsewhere_are_not_followed(self, tmp_path):
        for name in ("../x.jpg", "/etc/passwd", "a\\b"):
            path = make_vms(tmp_path, VMS.replace("=x.jpg", f"={name}"))
            assert result_of(path).header.status == "companion_missing"

    def test_several_images_in_columns_and_rows(self, tmp_path):
        more = "ImageFile=x.jpg\nImageFile(1,0)=b.jpg\nImageFile(0, 1)=c.jpg\nImageFile(1,0,3)=d.jpg"
        path = make_vms(tmp_path, VMS.replace("ImageFile=x.jpg", more))
        assert "3 of the 6" in result_of(path).header.status_detail

    def test_openslide_does_not_know_it(self, tmp_path):
        path = make_vms(tmp_path, "[Virtual Microscope Specimen]\nNoLayers=1\n")
        assert result_of(path).header.status == "corrupt"

    def test_a_text_that_speaks_of_it_is_none(self, tmp_path):
        path = tmp_path / "notes.txt"
        path.write_text("see section [Virtual Microscope Specimen]\n")
        assert result_of(path) is None


class TestTrestle:
    def test_what_openslide_says(self, tmp_path):
        path = make_trestle(tmp_path / "x.tif")
        result = result_of(path)
        header = result.header
        assert (result.reader, header.status, header.format, header.vendor) == ("openslide", "ok", "tiff", "trestle")
        assert (header.width, header.level_count, header.objective_power) == (256, 3, 40.0)
        assert header.scan_datetime == datetime(2019, 5, 6, 7, 8, 9)  # noqa: DTZ001
        # OpenSlide takes the resolution of a Trestle slide for microns, and 40,000 of them are no pixel.
        assert (header.mpp_x, header.mpp_source) == (None, None)
        assert counts(path) == (TileCount(4 * 3 + 2 * 2 + 1, 0), None)

    def test_cut_off(self, tmp_path):
        path = make_trestle(tmp_path / "x.tif")
        size = path.stat().st_size
        os.truncate(path, size - 8000)
        header = result_of(path).header
        assert header.status in {"truncated", "corrupt"}


class Remote:
    """A file on object storage."""

    local_path = None

    def __init__(self, name, data):
        self.name, self.data, self.size = name, data, len(data)

    def read_at(self, offset, length):
        return self.data[offset : offset + length]


@pytest.mark.parametrize(
    ("name", "head"), [("x.czi", b"ZISRAWFILE"), ("x.VMS", VMS.encode()), ("x.svslide", b"SQLite format 3\0")]
)
def test_a_slide_that_needs_openslide_is_not_called_none_where_it_cannot_go(name, head):
    header = readers.read_slide(Remote(name, head + bytes(99))).header
    assert (header.status, header.status_detail) == ("unreadable", "OpenSlide reads local files only")


def test_another_database_on_object_storage_is_no_slide():
    assert readers.read_slide(Remote("thumbs.db", b"SQLite format 3\0" + bytes(99))) is None


class TestPictures:
    def pictures(self, path):
        with LocalSource(os.fsencode(path)) as source:
            return [picture(source, kind) for kind in ("label", "overview", "thumbnail")]

    def test_of_a_slide_that_holds_all_three(self, tmp_path):
        label, overview, thumbnail = self.pictures(make_mrxs(tmp_path))
        assert (label.size, overview.size, thumbnail.size) == ((70, 66), (150, 60), (80, 70))
        assert {image.mode for image in (label, overview, thumbnail)} == {"RGB"}
        difference = np.asarray(overview).astype(int) - np.asarray(tissue(150, 60))
        assert abs(difference).mean() < 8

    def test_a_thumbnail_is_made_of_the_smallest_large_level(self, tmp_path):
        label, overview, thumbnail = self.pictures(
            make_mrxs(tmp_path, images=(20, 10), side=(100, 100), label=False, overview=False, preview=False)
        )
        assert (label, overview) == (None, None)
        # Levels are 2000, 1000, 500 and 250 wide.
        assert thumbnail.size == (1000, 500)
        expected = np.asarray(tissue(2000, 1000).resize((1000, 500))).astype(int)
        assert abs(expected - np.asarray(thumbnail)).mean() < 8

    def test_a_large_level_is_made_smaller(self, tmp_path):
        path = make_mrxs(tmp_path, images=(30, 10), side=(100, 100), levels=1, preview=False)
        assert self.pictures(path)[2].size == (1024, 341)

    def test_where_nothing_was_scanned_it_is_white(self, tmp_path):
        path = make_mrxs(tmp_path, images=(6, 4), side=(100, 100), levels=1, preview=False, page_records=5)
        index = path.with_suffix("") / "Index.dat"
        data = bytearray(index.read_bytes())
        # The last page holds the last four of the images, which stand in the last row.
        (held,) = struct.unpack_from("<i", data, len(data) - 4 * 16 - 8)
        assert held == 4
        struct.pack_into("<i", data, len(data) - 4 * 16 - 8, 0)
        index.write_bytes(data)
        with openslide.OpenSlide(path) as slide:
            assert slide.read_region((450, 350), 0, (1, 1)).getpixel((0, 0))[3] == 0
        thumbnail = self.pictures(path)[2]
        assert thumbnail.getpixel((450, 350)) == (255, 255, 255)
        assert thumbnail.getpixel((10, 10)) != (255, 255, 255)

    def test_a_level_of_sixty_megapixels_is_not_decoded(self, tmp_path):
        path = make_mrxs(tmp_path, images=(100, 60), side=(16, 16), levels=1, preview=False)
        ini = path.with_suffix("") / "Slidedat.ini"
        text = ini.read_text("utf-8-sig")
        ini.write_text(text.replace("DIGITIZER_WIDTH = 16", "DIGITIZER_WIDTH = 100").replace("HEIGHT = 16", "HEIGHT = 100"))
        with openslide.OpenSlide(path) as slide:
            assert slide.dimensions == (10_000, 6_000)
        assert self.pictures(path) != [None, None, None]
        assert self.pictures(path)[2] is None

    def test_a_label_of_sixty_megapixels_is_not_decoded(self, tmp_path):
        path = make_vms(tmp_path)
        Image.new("L", (10_000, 6_000), 255).save(tmp_path / "x_macro.jpg")
        with openslide.OpenSlide(path) as slide:
            assert set(slide.associated_images) == {"macro"}
        assert self.pictures(path)[1] is None

    def test_a_damaged_slide_raises_as_openslide_does(self, tmp_path):
        path = make_mrxs(tmp_path)
        (tmp_path / "x" / "Index.dat").write_bytes(b"")
        with pytest.raises(openslide.OpenSlideError):
            self.pictures(path)

    def test_of_a_file_elsewhere_there_is_none(self):
        assert picture(Remote("x.svs", b"II*\0"), "label") is None


def test_real_slides_give_pictures(real_data):
    path = real_data / "wsi" / "libvips+libvips" / "CMU-1-Small-Region.svs"
    with LocalSource(os.fsencode(path)) as source, openslide.OpenSlide(path) as slide:
        for kind, name in (("label", "label"), ("overview", "macro"), ("thumbnail", "thumbnail")):
            assert picture(source, kind).size == slide.associated_images[name].size
