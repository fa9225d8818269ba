"""readers.dicom: judged by pydicom and OpenSlide, on instances that pydicom wrote and on real ones."""

import io
import os
import zlib
from dataclasses import replace

import openslide
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian

from pathcurate import readers
from pathcurate.model.series import SERIES
from pathcurate.scan.merging import Instance, merge_series, merge_slides
from pathcurate.storage import LocalSource
from tests.dicoms import CT_CLASS, JPEG, SR_CLASS, Memory, item, radiology, slide_part, whole_slide

PREAMBLE = 132


def part(data):
    return readers.read_slide(Memory(data)).part


def merged(files):
    """The slides of some files: a mapping of names, or a list."""
    named = files if isinstance(files, dict) else {f"{number:02}": data for number, data in enumerate(files)}
    return merge_slides(Instance(name.encode(), part(data)) for name, data in named.items())


def header(*files):
    (slide,) = merged(list(files))
    return slide.header


class TestOneSlide:
    def test_twelve_files_are_what_openslide_says(self, tmp_path):
        files = whole_slide()
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        (slide,) = merged(files)
        ours = slide.header
        with openslide.OpenSlide(tmp_path / "label.dcm") as theirs:
            assert (ours.width, ours.height) == theirs.dimensions
            assert ours.level_count == theirs.level_count == 3
            assert ours.level_downsamples == pytest.approx(theirs.level_downsamples)
            assert ours.mpp_x == pytest.approx(float(theirs.properties["openslide.mpp-x"]))
            assert ours.mpp_y == pytest.approx(float(theirs.properties["openslide.mpp-y"]))
            assert ours.mpp_x != ours.mpp_y
            assert ours.objective_power == float(theirs.properties["openslide.objective-power"])
            assert ours.tile_width == int(theirs.properties["openslide.level[0].tile-width"])
            assert set(theirs.associated_images) == {"label", "macro", "thumbnail"}
        assert (ours.has_label, ours.has_overview, ours.has_thumbnail) == (True, True, True)
        assert (ours.status, ours.format, ours.vendor, ours.mpp_source) == ("ok", "dicom", "dicom", "pixel_spacing")
        assert (ours.scanner_model, ours.scanner_serial, ours.compression) == ("GT450 DX", "SS1", "none")
        assert (ours.barcode, ours.label_text) == ("B0001", "S23-00001 HE")
        assert ours.metadata_texts == ("S23-00001", "S23-00001-A", "S23-00001-A1")
        assert str(ours.scan_datetime) == "2023-07-04 10:11:12"
        assert "ZHANG" not in repr(ours)
        # The smallest image stands for the slide: its frames are read to tell slides apart.
        assert slide.main == b"level2.dcm"
        assert len(slide.paths) == 12

    def test_neither_order_nor_names_matter(self):
        files = whole_slide()
        renamed = {f"{number}.x": data for number, data in enumerate(reversed(files.values()))}
        assert merged(renamed)[0].header == merged(files)[0].header
        assert merged(whole_slide(2))[0].header.header_fingerprint != merged(files)[0].header.header_fingerprint

    def test_copies_of_an_instance_count_once_and_the_whole_one_counts(self):
        one, two = slide_part(concatenation=(1, None), frames=3), slide_part(concatenation=(2, None), frames=3, number=2)
        assert header(one, two).status == "ok"
        assert header(one, one).status == "companion_missing"
        assert header(one[:-9], one, two) == header(one, two)

    @pytest.mark.parametrize(
        ("files", "status", "words"),
        [
            ([slide_part("LABEL")], "companion_missing", "none of the 1 instances"),
            ([slide_part(), slide_part("LABEL", number=2)[:-5]], "truncated", "1 of 2 instances"),
            ([slide_part(concatenation=(1, 3), frames=2)], "companion_missing", "of 3 instances lacks 2"),
            ([slide_part(frames=4)], "corrupt", "4 frames where"),
            ([slide_part(drop=["TotalPixelMatrixRows"])], "corrupt", "TotalPixelMatrixRows"),
            ([slide_part(drop=["SeriesInstanceUID"])], "corrupt", "SeriesInstanceUID"),
            ([slide_part(BitsAllocated=16)], "corrupt", "where the frames need"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_slide(self, files, status, words):
        assert header(*files).status == status
        assert words in header(*files).status_detail

    @pytest.mark.parametrize(
        "more",
        [
            {}, {"sparse": True}, {"syntax": JPEG}, {"syntax": "1.2.840.10008.1.2.4.91"},
            {"syntax": "1.2.840.10008.1.2.4.80"}, {"syntax": "1.2.840.10008.1.2.4.51"}, {"syntax": "1.2.840.10008.1.2.5"},
            {"syntax": "1.2.840.10008.1.2.4.201"}, {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
            {"PlanarConfiguration": 1}, {"concatenation": (1, 2), "frames": 3},
        ],
    )  # fmt: skip
    def test_ok_is_what_openslide_opens(self, more, tmp_path):
        data = slide_part(**more)
        (tmp_path / "a.dcm").write_bytes(data)
        try:
            openslide.OpenSlide(tmp_path / "a.dcm").close()
            is_open = True
        except openslide.OpenSlideError:
            is_open = False
        assert (header(data).status == "ok") is is_open

    def test_one_series_of_two_containers_is_two_slides(self):
        files = [slide_part(number=1, container="A"), slide_part(number=2, container="B"), slide_part("LABEL", number=3)]
        files[2] = slide_part("LABEL", number=3, container="B")
        slides = merged(files)
        assert sorted((slide.main, len(slide.paths), slide.header.has_label) for slide in slides) == [
            (b"00", 1, False), (b"01", 2, True),
        ]  # fmt: skip

    @pytest.mark.parametrize("spacing", [["0"] * 2, ["-1"] * 2, ["1e-9"] * 2, ["5"] * 2, ["0.00025"], None])
    def test_a_spacing_that_is_none_stays_missing(self, spacing):
        shared = [item(PixelMeasuresSequence=[item(PixelSpacing=spacing)])]
        ours = header(slide_part(SharedFunctionalGroupsSequence=shared))
        assert (ours.status, ours.mpp_x, ours.mpp_y, ours.mpp_source) == ("ok", None, None, None)

    def test_content_date_where_no_acquisition_is_given(self):
        assert str(header(slide_part(drop=["AcquisitionDateTime"])).scan_datetime) == "2023-07-05 01:02:03"


class TestSeries:
    def test_instances_of_a_series(self):
        files = [radiology(number, ViewPosition="AP", BurnedInAnnotation="NO") for number in range(1, 4)]
        row = merge_series(Instance(bytes([number]), part(data)) for number, data in enumerate(files))
        assert set(row) <= set(SERIES.names)
        assert (row["instance_count"], row["modality"], row["body_part"], row["view"]) == (3, "CT", "CHEST", "AP")
        assert (row["patient_id"], row["patient_name"], row["accession"]) == ("P0002", "WANG^WU=王^五", "X1")
        assert (str(row["study_date"]), str(row["series_date"]), row["burned_in"]) == ("2023-01-02", "2023-01-03", False)
        assert (row["status"], row["is_image"]) == ("ok", True)

    def test_what_instances_disagree_on_is_missing_and_burned_in_is_the_worst(self):
        files = [
            radiology(1, ViewPosition="AP", BurnedInAnnotation="NO"),
            radiology(2, ViewPosition="LL", BurnedInAnnotation="YES"),
        ]
        row = merge_series(Instance(bytes([number]), part(data)) for number, data in enumerate(files))
        assert (row["view"], row["burned_in"]) == (None, True)

    @pytest.mark.parametrize(("modality", "rows"), [("SR", 0), ("PR", 0), ("SEG", 4)])
    def test_what_is_no_image_is_counted_and_said_to_be_none(self, modality, rows):
        row = merge_series([Instance(b"a", part(radiology(modality=modality, rows=rows, sop_class=SR_CLASS)))])
        assert (row["modality"], row["is_image"], row["status"]) == (modality, False, "ok")

    def test_values_outside_the_closed_sets_are_only_kept_raw(self):
        row = merge_series(
            [Instance(b"a", part(radiology(BodyPartExamined="ZHANG SAN", modality="XX", ViewPosition="WANG")))]
        )
        assert (row["body_part"], row["body_part_raw"], row["modality"], row["view"]) == (None, "ZHANG SAN", None, None)


class TestBytes:
    def test_per_frame_groups_and_pixels_are_not_read(self):
        data = slide_part(width=3200, height=3200, sparse=True)
        source = Memory(data)
        result = readers.read_slide(source)
        assert result.part.status == "ok"
        assert source.bytes_read < 64_000 < len(data) / 100
        assert source.reads < 8

    @pytest.mark.parametrize(
        "make", [slide_part, lambda: slide_part(sparse=True), lambda: slide_part(syntax=JPEG), radiology]
    )
    def test_a_file_cut_off_anywhere_after_its_mark_is_never_ok(self, make):
        data = make()
        for end in [*range(PREAMBLE, min(len(data), 3000), 7), *range(max(PREAMBLE, len(data) - 40), len(data))]:
            cut = part(data[:end])
            assert cut.status in {"truncated", "corrupt"}, end
            assert merge_series([Instance(b"a", cut)])["status"] == cut.status

    def test_trailing_padding_is_no_damage(self):
        data = slide_part(syntax=JPEG, DataSetTrailingPadding=bytes(600))
        assert part(data).status == "ok"

    def test_without_preamble_but_plain_elements(self):
        data = radiology()
        assert readers.read_slide(Memory(data[PREAMBLE:])).part.facts == part(data).facts
        for junk in (
            b"\x08\0" * 3000,
            b"\x08\0\x05\0CS\x0a\0ISO_IR 100",
            b"\x02\0\0\0UL\x04\0",
            bytes(4000),
            b"\x08\0\x16\0UI",
        ):
            assert readers.read_slide(Memory(junk)) is None

    def test_a_tiff_header_in_the_preamble_does_not_make_it_a_tiff(self):
        data = b"II*\0\x08\0\0\0" + slide_part()[8:]
        assert part(data).kind == "slide_part"

    def test_a_directory_of_other_files_is_none_of_them(self):
        data = radiology(sop_class="1.2.840.10008.1.3.10", rows=0)
        assert readers.read_slide(Memory(data)) is None

    def test_what_is_deflated_is_inflated_within_bounds(self):
        data = pydicom.dcmread(io.BytesIO(radiology()))
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        buffer = io.BytesIO()
        data.save_as(buffer)
        good = part(buffer.getvalue())
        assert (good.status, good.facts["modality"]) == ("ok", "CT")
        # The file meta group says how long it is (PS3.10 section 7.1); what follows it is deflated.
        begin = PREAMBLE + 12 + int.from_bytes(buffer.getvalue()[PREAMBLE + 8 : PREAMBLE + 12], "little")
        bomb = zlib.compressobj(wbits=-15)
        body = bomb.compress(bytes(200 << 20)) + bomb.flush()
        assert part(buffer.getvalue()[:begin] + body).status in {"corrupt", "truncated"}

    def test_a_value_that_claims_gigabytes_costs_nothing(self):
        data = bytearray(radiology())
        at = data.index(b"\x08\x00\x70\x00LO")
        huge = b"\x09\x00\x10\x00UN\0\0" + (1 << 31).to_bytes(4, "little")
        source = Memory(bytes(data[:at]) + huge + bytes(data[at:]))
        assert readers.read_slide(source).part.status in {"truncated", "corrupt"}
        assert source.bytes_read < 1 << 20

    def test_sequences_nested_without_end_are_corrupt(self):
        data = radiology()
        at = data.index(b"\x08\x00\x70\x00LO")
        nested = (b"\x09\x00\x10\x10SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 5000
        assert part(data[:at] + nested).status in {"truncated", "corrupt"}

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_whatever_is_overwritten_there_is_an_answer_without_values(self, data):
        file = bytearray(data.draw(st.sampled_from(HOSTS)))
        for _ in range(data.draw(st.integers(1, 6))):
            at = data.draw(st.integers(PREAMBLE, min(len(file), 2500) - 4))
            file[at : at + 4] = data.draw(st.binary(min_size=4, max_size=4))
        source = Memory(bytes(file))
        result = readers.read_slide(source)
        assert source.bytes_read < 1 << 20
        if result is None or result.part is None:
            return
        found = replace(result.part, group=None)
        assert found.status in {"ok", "truncated", "corrupt"}
        assert "ZHANG" not in (found.status_detail or "")
        merge_series([Instance(b"a", found)])
        merge_slides([Instance(b"a", found)])

    def test_an_input_error_is_not_taken_for_a_broken_header(self):
        class Failing(Memory):
            def read_at(self, offset, length):
                if self.reads > 1:
                    raise OSError(5, "EIO")
                return super().read_at(offset, min(length, 200))

        assert readers.read_slide(Failing(radiology())).header.status == "unreadable"


HOSTS = [slide_part(), slide_part(sparse=True, syntax=JPEG), radiology(), radiology(sop_class=CT_CLASS, rows=0)]


EXPECTED = {
    # Judged one by one with pydicom and OpenSlide. A kind, and the status of the file by itself.
    "dicom/ImagingDataCommons+highdicom/ct_image.dcm": ("series_part", "ok"),
    "dicom/ImagingDataCommons+highdicom/dx_image.dcm": ("series_part", "ok"),
    "dicom/blairconrad+dicognito/test_burned_in_annotation_default/burned_in_missing.dcm": ("series_part", "ok"),
    "dicom/blairconrad+dicognito/test_burned_in_annotation_default/burned_in_no.dcm": ("series_part", "ok"),
    "dicom/blairconrad+dicognito/test_burned_in_annotation_default/burned_in_other.dcm": ("series_part", "ok"),
    "dicom/blairconrad+dicognito/test_burned_in_annotation_default/burned_in_yes.dcm": ("series_part", "ok"),
    # Nothing after the file meta group, whose last bytes are missing.
    "dicom/blairconrad+dicognito/test_conversion_error_logs_filename_and_error_type/bad.dcm": ("series_part", "truncated"),
    "dicom/blairconrad+dicognito/test_directory_is_recursed/a/b/p01_s02_s01_i01.dcm": ("series_part", "ok"),
    "dicom/blairconrad+dicognito/test_directory_is_recursed/p01_s01_s01_i01.dcm": ("series_part", "ok"),
    "dicom/pydicom+deid-data/dicom-cookies/image1.dcm": ("series_part", "ok"),
    "dicom/pydicom+deid-data/dicom-cookies/image2.dcm": ("series_part", "ok"),
    "dicom/pydicom+deid-data/dicom-cookies/image3.dcm": ("series_part", "ok"),
    "dicom/pydicom+deid-data/humans/ctbrain1.dcm": ("series_part", "ok"),
    **{f"dicom/pydicom+pydicom/charset_files/chr{name}.dcm": ("series_part", "ok") for name in ("Germ", "H31", "X1", "X2")},
    **{
        f"dicom/pydicom+pydicom/test_files/{name}": ("series_part", "ok")
        for name in ("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "badVR.dcm", "examples_overlay.dcm",
                     "examples_rgb_color.dcm", "examples_ybr_color.dcm", "image_dfl.dcm", "reportsi.dcm", "test-SR.dcm",
                     *(f"dicomdirtests/77654033/{name}" for name in ("CR1/6154", "CR2/6247", "CR3/6278", "CT2/17106",
                                                                     "CT2/17136", "CT2/17166", "CT2/17196")))
    },
    "dicom/pydicom+pydicom/test_files/MR_truncated.dcm": ("series_part", "truncated"),
    "dicom/pydicom+pydicom/test_files/rtplan_truncated.dcm": ("series_part", "truncated"),
    # Fragments: of images without pixels, and one that names no series.
    "dicom/pydicom+pydicom/test_files/UN_sequence.dcm": ("series_part", "truncated"),
    "dicom/pydicom+pydicom/test_files/priv_SQ.dcm": ("series_part", "truncated"),
    "dicom/pydicom+pydicom/test_files/meta_missing_tsyntax.dcm": ("series_part", "corrupt"),
    # A stray byte before the first element: not even pydicom finds anything in it.
    "dicom/pydicom+pydicom/test_files/no_meta.dcm": None,
    "dicom/pydicom+pydicom/test_files/dicomdirtests/DICOMDIR": None,
    "wsi/GoogleCloudPlatform+medical-imaging/test_jpeg_dicom.dcm": ("slide_part", "ok"),
    "wsi/GoogleCloudPlatform+medical-imaging/test_wsi2.dcm": ("slide_part", "ok"),
    "wsi/ImagingDataCommons+highdicom/sm_image.dcm": ("slide_part", "ok"),
    "wsi/ImagingDataCommons+highdicom/sm_image_jpegls.dcm": ("slide_part", "ok"),
    "wsi/ImagingDataCommons+highdicom/seg_image_sm_dots.dcm": ("series_part", "ok"),
    "wsi/openslide+openslide-python/boxes_0.dcm": ("slide_part", "ok"),
    "wsi/openslide+openslide-python/boxes_1.dcm": ("slide_part", "ok"),
}  # fmt: skip


class TestRealFiles:
    def test_every_real_file(self, real_data):
        seen = {}
        for folder in ("dicom", "wsi"):
            for path in sorted((real_data / folder).rglob("*")):
                name = path.relative_to(real_data).as_posix()
                if path.is_file():
                    with LocalSource(os.fsencode(path)) as source:
                        result = readers.read_slide(source)
                    found = result.part if result is not None else None
                    if found is not None or name in EXPECTED:
                        seen[name] = (found.kind, found.status) if found is not None else None
        if not seen:
            pytest.skip("no DICOM files in PATHCURATE_REAL_DATA")
        assert seen == {name: EXPECTED[name] for name in seen}

    @pytest.mark.filterwarnings("ignore::UserWarning")
    def test_values_are_those_that_pydicom_reads(self, real_data):
        for name, expected in EXPECTED.items():
            path = real_data / name
            if expected is None or expected[1] != "ok" or not path.is_file():
                continue
            with LocalSource(os.fsencode(path)) as source:
                facts = readers.read_slide(source).part.facts
            data = pydicom.dcmread(path, stop_before_pixels=True)
            assert facts["series"] == data.SeriesInstanceUID, name
            assert facts.get("tile_width") == data.get("Columns"), name
            assert facts.get("width") == (data.get("TotalPixelMatrixColumns") if expected[0] == "slide_part" else None), name
            if expected[0] == "series_part":
                assert facts.get("patient_id") == (data.get("PatientID") or None), name
                assert facts.get("modality") == (data.get("Modality") or None), name
                assert facts.get("patient_name") == (str(data.get("PatientName") or "") or None), name
