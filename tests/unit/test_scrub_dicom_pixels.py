"""What the pixels of DICOM files may show: labels, annotations, masks; and the DICOMDIR of the copies."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.fileset import FileSet
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.readers.dicom import pixel_runs
from pathcurate.scrubbers import dicom
from tests.dicomjudge import CASE, PATIENT, job, one, read, scrub
from tests.dicoms import JPEG, Memory, radiology, slide_part, uid, whole_slide

CAPTURE_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def tissue(width, height):
    """A picture of something on glass."""
    down, across = np.mgrid[0:height, 0:width] / min(width, height)
    grey = (
        220
        - 120 * np.exp(-((across - 0.9) ** 2 + (down - 0.4) ** 2) * 20)
        - 60 * (np.sin(across * 9) * np.sin(down * 7) > 0.6)
    )
    return np.stack([grey, grey * 0.8, grey * 0.9], axis=-1).clip(0, 255).astype(np.uint8)


def with_label(picture):
    """The same glass with its label on the left."""
    made = picture.copy()
    made[:, : picture.shape[1] // 3] = 255
    made[8:12, 2 : picture.shape[1] // 4] = 0
    return made


def image(role, picture, *, number, tile=None, jpeg=False, **more):
    """An instance that shows a picture, as one frame or in tiles."""
    height, width = picture.shape[:2]
    side = tile or max(width, height)
    data = read(io.BytesIO(slide_part(role, number=number, width=width, height=height, tile=side, frames=1, **more)))
    if tile is None:
        data.Rows, data.Columns = height, width
        frames = [picture]
    else:
        down, across = -(-height // tile), -(-width // tile)
        padded = np.full((down * tile, across * tile, 3), 255, np.uint8)
        padded[:height, :width] = picture
        frames = [padded[y * tile :][:tile, x * tile : (x + 1) * tile] for y in range(down) for x in range(across)]
    data.NumberOfFrames = len(frames)
    if jpeg:
        data.file_meta.TransferSyntaxUID, data.PhotometricInterpretation = JPEG, "YBR_FULL_422"
        data.PixelData = encapsulate([jpeg_bytes(frame) for frame in frames])
        data["PixelData"].VR = "OB"
    else:
        data.PixelData = b"".join(frame.tobytes() for frame in frames)
    buffer = io.BytesIO()
    data.save_as(buffer)
    return buffer.getvalue()


def jpeg_bytes(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=90)
    return buffer.getvalue() + b"\0" * (buffer.tell() % 2)


def roles(copies):
    return sorted(copy.ImageType[2] for copy in copies)


@pytest.mark.parametrize("jpeg", [False, True])
def test_an_overview_stays_only_if_it_shows_what_the_slide_shows(tmp_path, jpeg):
    large, small = tissue(192, 96), tissue(96, 48)
    levels = [image("VOLUME", large, number=1, tile=32, jpeg=jpeg), image("VOLUME", small, number=2, tile=32, jpeg=jpeg)]
    clean = {"SpecimenLabelInImage": "NO"}
    cases = {
        "the same": (image("OVERVIEW", small, number=3, jpeg=jpeg, **clean), True),
        "says it shows the label": (image("OVERVIEW", small, number=3, SpecimenLabelInImage="YES"), False),
        "the whole glass": (image("OVERVIEW", with_label(tissue(144, 48)), number=3, **clean), False),
        "proportions alone": (image("OVERVIEW", with_label(small), number=3, **clean), False),
        "empty": (image("OVERVIEW", np.full((48, 96, 3), 250, np.uint8), number=3, **clean), False),
        "nothing to decode": (slide_part("OVERVIEW", number=3, width=96, height=48, syntax=JPEG), False),
        "a word of its own": (image("MACRO", with_label(small), number=3, **clean), False),
    }
    for name, (overview, stays) in cases.items():
        _, written, _, copies = scrub(tmp_path, *levels, overview)
        assert (len(copies) == 3) is stays, name
        assert written.dropped == (not stays), name
    _, written, _, copies = scrub(tmp_path, *levels, image("THUMBNAIL", small, number=3), image("LABEL", small, number=4))
    assert roles(copies) == ["THUMBNAIL", "VOLUME", "VOLUME"]
    assert written.dropped == 1
    assert copies[written.files.index(written.main)].TotalPixelMatrixColumns == 192
    _, _, _, copies = scrub(tmp_path, *levels, image("THUMBNAIL", with_label(tissue(144, 48)), number=3))
    assert roles(copies) == ["VOLUME", "VOLUME"]
    pasted = small.copy()
    pasted[2:14, 4:24] = 255
    pasted[6:8, 6:22] = 0
    _, _, _, copies = scrub(tmp_path, *levels, image("THUMBNAIL", pasted, number=3, jpeg=jpeg))
    assert roles(copies) == ["VOLUME", "VOLUME"]


def test_labels_of_other_classes_go_too(tmp_path):
    label = radiology(ImageType=["ORIGINAL", "PRIMARY", "LABEL"])
    _, written, _, _ = scrub(tmp_path, label, radiology(2))
    assert (len(written.files), written.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("more", "is_refused"),
    [
        ({"BurnedInAnnotation": "YES"}, True), ({}, False), ({"modality": "US"}, True),
        ({"modality": "US", "BurnedInAnnotation": "NO"}, False), ({"sop_class": CAPTURE_CLASS}, True),
        ({"sop_class": f"{CAPTURE_CLASS}.2"}, True), ({"modality": "DX", "ImageType": ["DERIVED", "SECONDARY"]}, True),
        ({"modality": "DX", "ImageType": ["ORIGINAL", "PRIMARY"]}, False), ({"ConversionType": "SD"}, True),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, True),
        ({"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}, False),
        ({"modality": "SR", "rows": 0, "sop_class": "1.2.840.10008.5.1.4.1.1.88.11", "BurnedInAnnotation": "YES"}, False),
    ],
)  # fmt: skip
def test_annotations_in_pixels_are_refused(tmp_path, more, is_refused):
    plan, written, _, _ = scrub(tmp_path, radiology(), radiology(2, **more))
    assert (plan.refusal is not None) is is_refused
    assert (written is None) is is_refused


def test_a_volume_that_shows_the_label_is_refused(tmp_path):
    assert "label" in scrub(tmp_path, slide_part(SpecimenLabelInImage="YES"))[0].refusal


MASK = {"modality": "US", "rows": 6, "columns": 8, "rectangles": [[0, 0, 8, 2], [6, 4, 100, 100]]}


def ultrasound(*, samples=1, planar=0, photometric="MONOCHROME2", bits=8, frames=2, syntax=ExplicitVRLittleEndian, **more):
    """Frames of six rows and eight columns, all bytes 200."""
    data = read(io.BytesIO(radiology(modality="US", rows=4, NumberOfFrames=frames, **more)))
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 6, 8, samples, photometric
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit = bits - 1
    if samples > 1:
        data.PlanarConfiguration = planar
    data.PixelData = b"\xc8" * (6 * 8 * samples * frames * bits // 8)
    data["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    data.file_meta.TransferSyntaxUID = syntax
    data.save_as(buffer, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
    return buffer.getvalue()


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("samples", "planar", "photometric", "bits"),
    [(1, 0, "MONOCHROME2", 8), (1, 0, "MONOCHROME2", 16), (3, 0, "RGB", 8), (3, 1, "RGB", 8), (3, 0, "YBR_FULL", 8)],
)
def test_masks_black_out_their_rectangles_of_every_frame_and_nothing_else(
    tmp_path, syntax, samples, planar, photometric, bits
):  # fmt: skip
    data = ultrasound(samples=samples, planar=planar, photometric=photometric, bits=bits, syntax=syntax)
    plan, copy, raw = one(tmp_path, data, masks=[MASK])
    assert copy.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in copy.DeidentificationMethodCodeSequence]
    assert any(change.deed is Deed.EMPTY and change.place == "(7FE0,0010)" for change in plan.changes)
    (run,) = pixel_runs(Memory(raw))
    pixels = np.frombuffer(raw[run.offset :][: run.length], np.uint8).reshape(
        (2, 3, 6, 8) if planar else (2, 6, 8, samples, bits // 8)
    )
    if planar:
        pixels = np.moveaxis(pixels, 1, -1)[..., np.newaxis]
    masked = np.zeros((6, 8), bool)
    masked[:2] = masked[4:, 6:] = True
    black = [0, 128, 128] if photometric == "YBR_FULL" else [0] * samples
    assert (pixels[:, ~masked] == 200).all()
    for sample, value in enumerate(black):
        assert (pixels[:, masked, sample] == value).all()


def test_masks_speak_of_what_they_name(tmp_path):
    plan, written, _, _ = scrub(tmp_path, ultrasound(), masks=[{**MASK, "model": "Other"}])
    assert (written, "annotations" in plan.refusal) == (None, True)
    plan, written, _, _ = scrub(tmp_path, ultrasound(BurnedInAnnotation="YES"), masks=[{**MASK, "model": "model"}])
    assert written is not None
    compressed = ultrasound().replace(b"1.2.840.10008.1.2.1\0", JPEG.encode()[:20])
    for data, said in ((ultrasound(samples=3, photometric="YBR_FULL_422"), "mask"), (compressed, "written")):
        with pytest.raises(UnscrubbableError, match=said):
            scrub(tmp_path, data, masks=[MASK])
    # A mask that lies outside touches nothing, so that it may lie beside compressed pixels.
    outside = {**MASK, "rectangles": [[8, 0, 5, 5]]}
    _, _, raw = one(tmp_path, ultrasound(), masks=[outside])
    assert raw.count(b"\xc8") >= 96


@pytest.fixture
def opened():
    """Opens a DICOMDIR with pydicom, whose own folder for changes goes with the test."""
    made = []

    def open_directory(path):
        made.append(FileSet(path))
        return made[-1]

    yield open_directory
    for directory in made:
        directory._stage["t"].cleanup()


def test_a_directory_lists_all_copies_and_is_the_same_each_time(tmp_path, opened):
    (tmp_path / "delivery").mkdir()
    for number, files in enumerate((whole_slide(), {"1": radiology(), "2": radiology(2), "3": radiology(3, series=2)})):
        (tmp_path / f"{number}").mkdir()
        for name, data in files.items():
            (tmp_path / f"{number}" / name).write_bytes(data)
        code = ("S-ABCDEFGHJKMNPQRS", "I-ZBCDEFGHJKMNPQRS")[number]
        dicom.write(job(tmp_path / f"{number}", code=code), tmp_path / "delivery")
    (tmp_path / "delivery" / "receipt.json").write_text("{}")
    (tmp_path / "delivery" / "README").write_text("no DICOM")
    dicom.write_directory(tmp_path / "delivery")
    first = (tmp_path / "delivery" / "DICOMDIR").read_bytes()
    dicom.write_directory(tmp_path / "delivery")
    assert (tmp_path / "delivery" / "DICOMDIR").read_bytes() == first
    listed = opened(tmp_path / "delivery" / "DICOMDIR")
    assert len(listed) == 12
    assert listed.find_values("PatientID") == [PATIENT]
    assert sorted(listed.find_values("Modality")) == ["CT", "SM"]
    assert len(listed.find_values("SeriesInstanceUID")) == 3
    for instance in listed:
        copy = instance.load()
        assert (copy.SOPInstanceUID, copy.file_meta.TransferSyntaxUID) == (
            instance.ReferencedSOPInstanceUIDInFile, instance.ReferencedTransferSyntaxUIDInFile,
        )  # fmt: skip
        assert copy.AccessionNumber == CASE[2:]
    # One that lists the files of an archive has no copy.
    (tmp_path / "1" / "DICOMDIR").write_bytes(first)
    assert dicom.plan(job(tmp_path / "1")).refusal is None
    records = pydicom.dcmread(tmp_path / "delivery" / "DICOMDIR").DirectoryRecordSequence
    assert [record.DirectoryRecordType for record in records].count("STUDY") == 2
    assert uid(1).encode() not in first


def test_an_empty_folder_has_an_empty_directory(tmp_path, opened):
    dicom.write_directory(tmp_path)
    assert len(opened(tmp_path / "DICOMDIR")) == 0
