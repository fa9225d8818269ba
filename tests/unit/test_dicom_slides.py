"""Slides and series of DICOM instances: pyramids, planes, frames, fingerprints, codes, and what a DICOMDIR lists."""

import hashlib
import io
import json
import struct

import openslide
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.fileset import FileSet
from pydicom.sr.codedict import codes
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from pathcurate import readers
from pathcurate.model.series import BODY_PARTS, REGION_CODES, SERIES, VIEW_CODES, VIEWS
from pathcurate.model.slide import Part
from pathcurate.readers.dicom import directory_references
from pathcurate.readers.dicom.facts import MEANINGS
from pathcurate.scan.merging import Instance, merge_series, merge_slides
from pathcurate.storage import LocalSource
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import read_names
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.dicoms import JPEG, Memory, item, radiology, slide_part, uid, whole_slide


def part(data):
    found = readers.read_slide(Memory(data)).part
    # As the scan remembers it.
    return Part(found.kind, found.group, found.status, found.status_detail, json.loads(json.dumps(found.facts)))


def merged(files):
    named = files if isinstance(files, dict) else {f"{number:02}": data for number, data in enumerate(files)}
    return merge_slides(Instance(name.encode(), part(data)) for name, data in named.items())


def header(*files):
    (slide,) = merged(list(files))
    return slide.header


def said(*files):
    """What its header's texts say of a slide."""
    return read_names(b"1.dcm", None, None, header(*files).metadata_texts, AccessionPatterns(DEFAULT_PATTERNS))


def series(*files):
    row = merge_series(Instance(bytes([number]), part(data)) for number, data in enumerate(files))
    assert set(row) <= set(SERIES.names)
    return row


def sample(data):
    return readers.sample_pixels(Memory(data), "dicom")


def count(data):
    counted = readers.count_tiles(Memory(data), "dicom")
    return None if counted is None else (counted.checked, counted.bad)


def rewritten(data, change):
    """An instance that pydicom read, changed and wrote."""
    instance = pydicom.dcmread(io.BytesIO(data))
    change(instance)
    buffer = io.BytesIO()
    instance.save_as(buffer)
    return buffer.getvalue()


def code(value, meaning="meaning", scheme="SCT"):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


class TestPyramids:
    @pytest.mark.parametrize("fact", ["PyramidUID", "FrameOfReferenceUID"])
    def test_two_pyramids_of_one_glass_are_two_slides(self, fact):
        def two(number):
            return {fact: uid(8, number)}

        files = {
            "a0": slide_part(number=1, width=96, **two(2)), "a1": slide_part(number=2, width=48, height=32, **two(2)),
            "b0": slide_part(number=3, width=192, **two(1)), "b1": slide_part(number=4, width=64, height=32, **two(1)),
            "label": slide_part("LABEL", number=5, width=32, height=32, BarcodeValue="B1", LabelText="T"),
        }  # fmt: skip
        one, other = merged(files)
        assert [len(one.paths), len(other.paths)] == [3, 2]
        assert (one.header.width, other.header.width) == (192, 96)
        assert (one.header.has_label, other.header.has_label) == (True, False)
        assert one.header.barcode == other.header.barcode == "B1"
        assert one.header.metadata_texts == other.header.metadata_texts != ()
        assert (one.main, other.main) == (b"b1", b"a1")
        assert one.header.header_fingerprint != other.header.header_fingerprint

    def test_frames_of_reference_of_every_image_its_own_are_no_pyramids(self):
        files = [slide_part(number=number, width=96 // number, FrameOfReferenceUID=uid(8, number)) for number in (1, 2, 3)]
        assert header(*files).level_count == 3

    def test_one_pyramid_uid_and_images_without_is_one_slide(self):
        files = [slide_part(PyramidUID=uid(8)), slide_part("LABEL", number=2), slide_part(number=3, width=48, height=32)]
        assert header(*files).level_count == 2

    def test_a_series_of_two_glasses_with_two_pyramids_each(self):
        files = [
            slide_part(number=10 * glass + pyramid, container=f"C{glass}", PyramidUID=uid(8, glass, pyramid))
            for glass in (1, 2)
            for pyramid in (1, 2)
        ]
        assert len(merged(files)) == 4

    def test_the_smallest_image_stands_for_a_slide_whatever_its_name(self):
        files = whole_slide()
        renamed = dict(zip(sorted(files, reverse=True), (files[name] for name in sorted(files)), strict=True))
        assert renamed[merged(renamed)[0].main.decode()] == files["level2.dcm"]
        assert merged({"b": slide_part("LABEL", number=2), "a": slide_part("OVERVIEW")})[0].main == b"a"


class TestPlanesAndChannels:
    def test_focal_planes_as_said_or_as_many_as_the_frames_fill(self):
        assert header(slide_part(frames=18, TotalPixelMatrixFocalPlanes=3)).focal_planes == 3
        assert header(slide_part(frames=18, drop=["TotalPixelMatrixFocalPlanes"])).focal_planes == 3
        assert header(slide_part(frames=7, drop=["TotalPixelMatrixFocalPlanes"])).focal_planes is None
        short = header(slide_part(frames=12, TotalPixelMatrixFocalPlanes=3))
        assert (short.status, short.status_detail) == ("corrupt", "12 frames where a fully tiled image needs 18")

    def test_planes_in_instances_of_their_own(self):
        files = [
            slide_part(number=number, TotalPixelMatrixOriginSequence=[item(ZOffsetInSlideCoordinateSystem=number / 1000)])
            for number in range(5)
        ]
        assert (header(*files).focal_planes, header(*files).level_count) == (5, 1)

    def test_channels_are_samples_of_all_optical_paths(self):
        grey = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "NumberOfOpticalPaths": 4}
        paths = [item(OpticalPathIdentifier=str(number)) for number in range(4)]
        assert header(slide_part(frames=24, OpticalPathSequence=paths, **grey)).channels == 4
        assert header(slide_part()).channels == 3
        apart = [
            slide_part(number=number, OpticalPathSequence=[item(OpticalPathIdentifier=str(number))], **grey | {
                "NumberOfOpticalPaths": 1})
            for number in range(3)
        ]  # fmt: skip
        assert header(*apart).channels == 3

    @pytest.mark.parametrize(
        "files",
        [
            [slide_part()],
            [slide_part(frames=18, TotalPixelMatrixFocalPlanes=3)],
            [slide_part(), slide_part("LABEL", number=2, width=32, height=32, frames=3, TotalPixelMatrixFocalPlanes=3)],
            [slide_part(drop=["TotalPixelMatrixFocalPlanes"])],
            [slide_part(frames=12, NumberOfOpticalPaths=2)],
            [slide_part(number=number, OpticalPathSequence=[item(OpticalPathIdentifier=str(number))]) for number in (1, 2)],
            [slide_part(), slide_part()],
            [slide_part(), slide_part(number=2, width=48, height=32)],
            [slide_part(concatenation=(1, 2), frames=3), slide_part(number=2, concatenation=(2, 2), frames=3)],
            [slide_part(number=number, PyramidUID=uid(8, number)) for number in (1, 2)],
            [slide_part(number=number, container=f"C{number}") for number in (1, 2)],
        ],
    )
    def test_ok_is_what_openslide_opens(self, tmp_path, files):
        for number, data in enumerate(files):
            (tmp_path / f"{number}.dcm").write_bytes(data)
        try:
            openslide.OpenSlide(tmp_path / "0.dcm").close()
            is_open = True
        except openslide.OpenSlideError:
            is_open = False
        assert {slide.header.status for slide in merged(files)} == {"ok" if is_open else "unsupported:dicom"}

    def test_pyramids_in_folders_of_their_own_are_ok(self):
        files = {f"{number}/a": slide_part(number=number, PyramidUID=uid(8, number)) for number in (1, 2)}
        assert [slide.header.status for slide in merged(files)] == ["ok", "ok"]


class TestTexts:
    def test_stains_and_specimens_are_texts(self):
        def content(name, **values):
            return item(ValueType="CODE", ConceptNameCodeSequence=[code(name)], **values)

        steps = [
            item(SpecimenPreparationStepContentItemSequence=[
                content("424361007", ConceptCodeSequence=[code("12710003", "hematoxylin stain")]),
                content("424361007", TextValue="HER2 王"),
                content("430864009", ConceptCodeSequence=[code("431510009", "Formalin")]),
                item(ValueType="PNAME", ConceptNameCodeSequence=[code("121041")], PersonName="LI^SI"),
            ])
        ]  # fmt: skip
        specimen = item(SpecimenIdentifier="S23-00001-A", SpecimenUID="1.2", SpecimenPreparationSequence=steps)
        texts = header(slide_part(SpecimenDescriptionSequence=[specimen], SlideIdentifier="G7")).metadata_texts
        assert set(texts) == {"S23-00001", "S23-00001-A", "S23-00001-A1", "G7", "stain: hematoxylin + HER2 王"}

    @pytest.mark.parametrize(
        ("substances", "stain"),
        [
            ([("12710003", "hematoxylin stain"), ("36879007", "water soluble eosin stain")], "HE"),
            ([("12710003", "Hämalaun"), ("83600004", "Eosin, alkohollöslich")], "HE"),
            ([("1", "Hämatoxylin"), ("2", "Eosin")], "HE"),
            ([("1", "Hämatoxylin"), ("2", "Eosinophilie")], None),
            ([("12710003", "hematoxylin stain")], None),
            ([("12710003", ""), ("9", "ER")], "IHC:ER"),
            ([("255808002", "过碘酸"), ("12710003", "hematoxylin stain")], "PAS"),
            ([("12710003", "hematoxylin stain"), ("9", "Ki-67 antibody")], "IHC:Ki-67"),
            ([("45106005", "?")], "CONGO_RED"),
            ([("406989007", "?")], "MASSON"),
            ([("255813003", "?")], "ACID_FAST"),
        ],
    )
    def test_a_stain_by_the_codes_or_words_of_its_steps(self, substances, stain):
        name = item(CodeValue="424361007", CodingSchemeDesignator="SCT", CodeMeaning="Using substance")
        steps = [
            item(SpecimenPreparationStepContentItemSequence=[
                item(ValueType="CODE", ConceptNameCodeSequence=[name], ConceptCodeSequence=[code(value, meaning)])
            ])
            for value, meaning in substances
        ]  # fmt: skip
        specimen = item(SpecimenIdentifier="G1", SpecimenUID="1.2", SpecimenPreparationSequence=steps)
        assert said(slide_part(SpecimenDescriptionSequence=[specimen])).stain == stain

    @pytest.mark.parametrize("word", [word for word in MEANINGS.values() if word not in {"hematoxylin", "eosin"}])
    def test_every_word_for_a_code_is_known(self, word):
        assert vocabulary("stains").first(word) or vocabulary("organs").first(word)

    def test_the_organ_by_code_or_words(self):
        for sequence, organ in (([code("64033007", "Niere")], "kidney"), ([code("1", "Left lung")], "lung"), ([], None)):
            specimen = item(SpecimenIdentifier="G1", SpecimenUID="1.2", PrimaryAnatomicStructureSequence=sequence)
            assert said(slide_part(SpecimenDescriptionSequence=[specimen])).organ == organ
        assert said(slide_part(AnatomicRegionSequence=[code("69695003", "胃")])).organ == "stomach"
        short = item(SpecimenIdentifier="G1", SpecimenUID="1.2", SpecimenShortDescription="左乳肿物")
        assert said(slide_part(SpecimenDescriptionSequence=[short])).organ == "breast"

    def test_block_by_the_specimens_that_it_was_cut_from(self):
        def step(concept, text):
            name = item(CodeValue=concept, CodingSchemeDesignator="DCM", CodeMeaning="x")
            return item(SpecimenPreparationStepContentItemSequence=[
                item(ValueType="TEXT", ConceptNameCodeSequence=[name], TextValue=text)
            ])  # fmt: skip

        steps = [step("111705", "S23-00001-B"), step("121041", "S23-00001-B2"), step("111724", "S99-00009-Z9")]
        specimen = item(SpecimenIdentifier="G1", SpecimenUID="1.2", SpecimenPreparationSequence=steps)
        data = slide_part(SpecimenDescriptionSequence=[specimen], container="G7")
        assert (said(data).specimen, said(data).block) == ("B", "2")
        assert not any("S99" in text for text in header(data).metadata_texts)
        # A part may be named without its case, whose number stands elsewhere.
        data = slide_part(SpecimenDescriptionSequence=[item(SpecimenIdentifier="C3", SpecimenUID="1.2")], container="G7")
        assert (said(data).specimen, said(data).block) == ("C", "3")

    def test_the_patient_on_whom_all_instances_agree(self):
        assert header(slide_part()).patient_id == "P0001"
        assert header(slide_part(), slide_part(number=2, PatientID="P0001")).patient_id == "P0001"
        assert header(slide_part(), slide_part(number=2, PatientID="P0002")).patient_id is None
        assert header(slide_part(drop=["PatientID"])).patient_id is None

    def test_a_hostile_number_of_steps_is_bounded(self):
        name = item(CodeValue="424361007", CodingSchemeDesignator="SCT", CodeMeaning="Using substance")
        content = [item(ValueType="TEXT", ConceptNameCodeSequence=[name], TextValue=f"stain {n}") for n in range(500)]
        steps = {"SpecimenPreparationSequence": [item(SpecimenPreparationStepContentItemSequence=content)]}
        specimen = item(SpecimenIdentifier="G1", SpecimenUID="1.2", **steps)
        assert sum(map(len, header(slide_part(SpecimenDescriptionSequence=[specimen])).metadata_texts)) < 1000

    def test_the_label_says_best_what_is_on_it(self):
        files = [slide_part(BarcodeValue="OTHER"), slide_part("LABEL", number=2, width=32, height=32, BarcodeValue="B7")]
        assert header(*files).barcode == "B7"

    def test_spacing_from_the_imaged_volume_only_if_none_is_given(self):
        volume = {"ImagedVolumeWidth": 0.024, "ImagedVolumeHeight": 0.032}
        ours = header(slide_part(SharedFunctionalGroupsSequence=[item()], **volume))
        assert (ours.mpp_x, ours.mpp_y, ours.mpp_source) == (pytest.approx(0.25), pytest.approx(0.5), "imaged_volume")
        assert header(slide_part(**volume)).mpp_source == "pixel_spacing"
        absurd = header(slide_part(SharedFunctionalGroupsSequence=[item()], ImagedVolumeWidth=999.0, ImagedVolumeHeight=1.0))
        assert (absurd.mpp_x, absurd.mpp_source) == (None, None)

    def test_the_date_of_acquisition_before_that_of_content(self):
        more = {"AcquisitionDate": "20210203", "AcquisitionTime": "040506.7", "drop": ["AcquisitionDateTime"]}
        assert str(header(slide_part(**more)).scan_datetime) == "2021-02-03 04:05:06"


def deidentified(instance):
    instance.PatientName = "X" * 60
    instance.BarcodeValue = "none"
    del instance.ContainerIdentifier
    instance.SpecimenDescriptionSequence = []
    instance.SeriesInstanceUID = uid(77)
    instance.DeidentificationMethod = "a test"


def framed(frames, *, table="basic", **more):
    """An instance with these encapsulated frames, and a table of their offsets or none."""

    def change(instance):
        if table == "extended":
            instance.PixelData, instance.ExtendedOffsetTable, instance.ExtendedOffsetTableLengths = encapsulate_extended(
                frames
            )
        else:
            instance.PixelData = encapsulate(frames, has_bot=table == "basic", fragments_per_frame=more.get("fragments", 1))
        instance["PixelData"].is_undefined_length = True
        instance.NumberOfFrames = len(frames)

    return rewritten(slide_part(width=32 * len(frames), height=32, syntax=JPEG), change)


FRAMES = [b"\xff\xd8" + bytes([number]) * (40 + 2 * number) for number in range(20)]


def deflated(data):
    return rewritten(data, lambda instance: setattr(instance.file_meta, "TransferSyntaxUID", DeflatedExplicitVRLittleEndian))


class TestFrames:
    @pytest.mark.parametrize(
        "make",
        [
            slide_part, lambda: slide_part(syntax=JPEG), lambda: slide_part(sparse=True),
            lambda: slide_part(sparse=True, syntax=JPEG), lambda: framed(FRAMES), lambda: framed(FRAMES, table="none"),
            lambda: framed(FRAMES, table="extended"), lambda: framed(FRAMES[:1], table="none", fragments=3),
        ],
    )  # fmt: skip
    def test_a_sample_is_the_same_before_and_after_deidentification(self, make):
        data = make()
        after = rewritten(data, deidentified)
        assert sample(data) == sample(after) is not None
        before, later = header(data), header(after)
        assert (before.status, later.status) == ("ok", "ok")
        assert before.shape_fingerprint == later.shape_fingerprint is not None
        assert before.header_fingerprint != later.header_fingerprint

    def test_however_the_frames_are_found_they_are_the_same(self):
        samples = {sample(framed(FRAMES, table=table)) for table in ("basic", "extended", "none")}
        assert len(samples) == 1
        shapes = {header(framed(FRAMES, table=table)).shape_fingerprint for table in ("basic", "extended", "none")}
        assert len(shapes) == 1

    def test_frames_in_several_fragments(self):
        assert sample(framed(FRAMES, fragments=2)) is not None
        assert sample(framed(FRAMES[:1], table="none", fragments=2)) is not None
        # Which fragments make which frame cannot be told without a table.
        assert sample(framed(FRAMES[:4], table="none", fragments=2)) is None

    def test_the_sample_is_that_of_every_eighth_of_the_frames(self):
        one = sample(framed(FRAMES))
        for index, is_sampled in ((0, True), (2, True), (5, True), (1, False), (19, False)):
            other = [bytes(reversed(frame)) if number == index else frame for number, frame in enumerate(FRAMES)]
            assert (sample(framed(other)) != one) is is_sampled, index

    def test_another_slide_has_another_sample_and_shape(self):
        assert sample(slide_part()) != sample(slide_part(slide=2))
        assert header(slide_part()).shape_fingerprint == header(slide_part(slide=2)).shape_fingerprint
        assert header(slide_part()).shape_fingerprint != header(slide_part(width=128)).shape_fingerprint
        longer = [*FRAMES[:-1], FRAMES[-1] + bytes(2)]
        assert header(framed(FRAMES)).shape_fingerprint != header(framed(longer)).shape_fingerprint

    def test_the_shape_is_that_of_all_levels_and_of_no_broken_slide(self):
        files = list(whole_slide().values())
        shape = header(*files).shape_fingerprint
        assert shape == header(*files[::-1]).shape_fingerprint
        assert shape != header(*[data for data in files if data != whole_slide()["level1.dcm"]]).shape_fingerprint
        assert header(slide_part()[:-5]).shape_fingerprint is None

    def test_a_sample_reads_little_of_a_large_frame(self):
        def change(instance):
            instance.Rows = instance.Columns = instance.TotalPixelMatrixColumns = instance.TotalPixelMatrixRows = 2048
            instance.NumberOfFrames = 1
            instance.PixelData = bytes(2048 * 2048 * 3)

        source = Memory(rewritten(slide_part(), change))
        assert readers.sample_pixels(source, "dicom") is not None
        assert source.bytes_read < 1_200_000

    @pytest.mark.parametrize(
        "data",
        [slide_part("LABEL"), radiology(), b"", slide_part()[:800], slide_part(syntax=JPEG)[:-400], slide_part()[:-999]],
    )
    def test_no_sample_of_what_is_no_whole_image(self, data):
        assert sample(data) is None

    @pytest.mark.parametrize("table", ["basic", "extended", "none"])
    def test_every_frame_is_counted_against_the_end(self, table):
        data = framed(FRAMES, table=table)
        assert count(data) == (20, 0)
        ends = [data.rindex(frame) + len(frame) for frame in FRAMES]
        for lost, end in ((1, ends[-1] - 1), (1, ends[-2] + 3), (2, ends[-2] - 1), (15, ends[5] - 1)):
            assert count(data[:end]) == (20, lost)

    def test_frames_of_several_fragments_are_counted_by_the_table(self):
        data = framed(FRAMES, fragments=2)
        assert count(data) == (20, 0)
        assert count(data[:-9]) == (20, 1)
        single = framed(FRAMES[:1], table="none", fragments=4)
        assert (count(single), count(single[:-12])) == ((1, 0), (1, 1))

    def test_native_frames_are_counted_by_their_size(self):
        assert count(slide_part()) == (6, 0)
        assert count(slide_part()[: -32 * 32 * 3 - 1]) == (6, 2)
        assert count(radiology()) == (1, 0)
        assert count(slide_part(sparse=True)) == (6, 0)
        assert count(radiology(rows=0)) is None
        assert count(deflated(slide_part())) is None

    def test_an_offset_table_that_lies_is_not_believed(self):
        data = bytearray(framed(FRAMES))
        at = data.index(struct.pack("<III", 0xE000FFFE, 80, 0))
        data[at + 12 : at + 16] = struct.pack("<I", 0xFFFFFFF0)
        assert count(bytes(data)) == (20, 0)
        assert sample(bytes(data)) == sample(framed(FRAMES))

    def test_openslides_tiles_are_those_counted(self, tmp_path):
        data = slide_part()
        (tmp_path / "a.dcm").write_bytes(data)
        raw = pydicom.dcmread(tmp_path / "a.dcm").PixelData
        names = [6, 96, 64, 32, 32, "none", 3, 8]
        digest = hashlib.sha256(json.dumps(names).encode())
        for index in range(6):
            digest.update((3072).to_bytes(8, "little") + raw[index * 3072 : (index + 1) * 3072])
        assert sample(data) == f"sha256:{digest.hexdigest()}"


class TestSeries:
    def test_dates_equipment_and_slices(self):
        more = {
            "AcquisitionDate": "20230105", "SliceThickness": "2.5", "SpacingBetweenSlices": "5", "InstitutionName": "医院",
            "StationName": "CT1",
        }  # fmt: skip
        row = series(radiology(1, **more), radiology(2, **{**more, "AcquisitionDate": "20230104"}))
        assert (str(row["acquisition_date"]), row["slice_thickness"], row["slice_spacing"]) == ("2023-01-04", 2.5, 5.0)
        assert (row["institution"], row["station"], row["serial"], row["model"]) == ("医院", "CT1", "D1", "Model")

    def test_codes_stand_in_for_body_part_and_view(self):
        more = {"AnatomicRegionSequence": [code("72696002", "Knee")], "ViewCodeSequence": [code("272479007", "PA")]}
        row = series(radiology(modality="DX", BodyPartExamined="", **more))
        assert (row["body_part"], row["view"], row["body_part_raw"]) == ("KNEE", "PA", None)
        row = series(radiology(BodyPartExamined="HIP", ViewPosition="AP", **more))
        assert (row["body_part"], row["view"]) == ("HIP", "AP")

    def test_an_enhanced_series_says_it_in_its_shared_groups(self):
        anatomy = item(FrameLaterality="R", AnatomicRegionSequence=[code("24136001", "Hip joint")])
        shared = item(FrameAnatomySequence=[anatomy], PixelMeasuresSequence=[item(SliceThickness="1.5")])
        row = series(radiology(modality="MR", drop=["BodyPartExamined"], SharedFunctionalGroupsSequence=[shared]))
        assert (row["laterality"], row["body_part"], row["slice_thickness"]) == ("R", "HIP", 1.5)

    @pytest.mark.parametrize(
        ("values", "burned"),
        [(["YES", "NO"], True), (["NO", "NO"], False), (["NO", None], None), ([None], None), (["MAYBE"], None)],
    )
    @pytest.mark.parametrize("modality", ["US", "CT"])
    def test_burned_in_is_only_what_is_said(self, values, burned, modality):
        files = [
            radiology(number, modality=modality, **({} if value is None else {"BurnedInAnnotation": value}))
            for number, value in enumerate(values)
        ]
        assert series(*files)["burned_in"] is burned

    def test_the_tables_of_codes_are_the_standards(self):
        known = {
            getattr(context, name).value
            for context in (codes.cid4010, codes.cid4014, codes.cid4031)
            for name in context.dir()
        }  # fmt: skip
        assert set(REGION_CODES) | set(VIEW_CODES) <= known
        assert set(REGION_CODES.values()) <= set(BODY_PARTS)
        assert set(VIEW_CODES.values()) <= set(VIEWS)


class TestDirectories:
    def test_what_a_dicomdir_lists(self, tmp_path):
        files = FileSet()
        for number in range(5):
            instance = pydicom.dcmread(io.BytesIO(radiology(number + 1)))
            instance.StudyID, instance.SeriesNumber, instance.StudyTime = "1", 1, "010203"
            files.add(instance)
        files.write(tmp_path)
        files._stage["t"].cleanup()
        with LocalSource(bytes(tmp_path / "DICOMDIR")) as source:
            found = directory_references(source)
            assert readers.read_slide(source) is None
        on_disk = {bytes(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
        assert set(found) == on_disk - {b"DICOMDIR"}
        assert len(found) == 5

    def test_paths_that_lead_out_and_damage(self):
        def directory(*paths):
            records = []
            for path in paths:
                record = Dataset()
                record.ReferencedFileID = path
                records.append(record)
            data = radiology(sop_class="1.2.840.10008.1.3.10", rows=0)
            return rewritten(data, lambda instance: setattr(instance, "DirectoryRecordSequence", records))

        with pydicom.config.disable_value_validation():
            good = directory(["A", "B", "1"], ["..", "etc"], "A/B", "IM1", "", ["A", "", "B"])
        assert directory_references(Memory(good)) == [b"A/B/1", b"IM1"]
        assert directory_references(Memory(radiology())) is None
        assert directory_references(Memory(b"")) is None
        assert directory_references(Memory(good[:-30])) in ([], [b"A/B/1"], [b"A/B/1", b"IM1"])

    def test_a_hundred_thousand_records_are_read_and_no_more(self):
        record = b"\xfe\xff\x00\xe0\x0e\0\0\0" + b"\x04\x00\x00\x15CS\x06\0A\\1234"
        data = radiology(sop_class="1.2.840.10008.1.3.10", rows=0)
        meta = data[: 144 + int.from_bytes(data[140:144], "little")]
        raw = meta + b"\x04\x00\x20\x12SQ\0\0\xff\xff\xff\xff" + record * 120_000
        found = directory_references(Memory(raw))
        assert len(found) == 100_000
        assert found[0] == b"A/1234"

    def test_the_real_one(self, real_data):
        path = real_data / "dicom/pydicom+pydicom/test_files/dicomdirtests/DICOMDIR"
        if not path.is_file():
            pytest.skip("no DICOMDIR in PATHCURATE_REAL_DATA")
        with LocalSource(bytes(path)) as source:
            found = directory_references(source)
        records = pydicom.dcmread(path).DirectoryRecordSequence
        listed = ["/".join(record.ReferencedFileID) for record in records if "ReferencedFileID" in record]
        assert [name.decode() for name in found] == listed
        assert len(found) > 20


def test_explicit_syntax_is_what_the_makers_write():
    assert part(slide_part()).facts["syntax"] == ExplicitVRLittleEndian
