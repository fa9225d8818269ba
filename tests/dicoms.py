"""DICOM instances for tests, written with pydicom: slides of several files, and radiology."""

import io

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

SLIDE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"
ROOT = "1.2.826.0.1.3680043.10.99999"
MPP = 0.25


def uid(*numbers):
    """A UID of the tests' own."""
    return ".".join((ROOT, *map(str, numbers)))


def item(**values):
    """A data set of one sequence's item."""
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def encoded(data, syntax=ExplicitVRLittleEndian, *, sop_class=None, end=None, drop=()):
    """The bytes of a file; ``end`` cuts it off."""
    for name in drop:
        delattr(data, name)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class or data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.get("SOPInstanceUID", uid(0))
    meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    file = FileDataset(buffer, data, file_meta=meta, preamble=bytes(128))
    dcmwrite(buffer, file, enforce_file_format=True)
    return buffer.getvalue()[:end]


def slide_part(
    role="VOLUME", *, slide=1, number=1, width=96, height=64, tile=32, sparse=False, syntax=ExplicitVRLittleEndian,
    concatenation=None, frames=None, container=None, level=1, end=None, drop=(), **more,
):  # fmt: skip
    """One instance of a slide: ``slide`` is its series, ``number`` tells instances apart, ``level`` scales its spacing.

    ``concatenation`` is (number, total or None); ``frames`` how many frames it holds, if not all of its image.
    """
    needed = -(-width // tile) * -(-height // tile)
    count = frames if frames is not None else needed
    data = item(
        SpecificCharacterSet="GB18030",
        SOPClassUID=SLIDE_CLASS, SOPInstanceUID=uid(slide, 1, number), SeriesInstanceUID=uid(slide, 2),
        StudyInstanceUID=uid(slide, 3), Modality="SM", ImageType=["ORIGINAL", "PRIMARY", role, "NONE"],
        PatientName="ZHANG^SAN", PatientID="P0001", AccessionNumber=f"S23-{slide:05}",
        ContainerIdentifier=container or f"S23-{slide:05}-A1", Manufacturer="Scanners", ManufacturerModelName="GT450 DX",
        DeviceSerialNumber=f"SS{slide}", AcquisitionDateTime="20230704101112.5+0800", ContentDate="20230705",
        ContentTime="010203", FrameOfReferenceUID=uid(slide, 4), Rows=tile, Columns=tile, SamplesPerPixel=3,
        PhotometricInterpretation="RGB", PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7,
        PixelRepresentation=0, NumberOfFrames=count, TotalPixelMatrixColumns=width, TotalPixelMatrixRows=height,
        TotalPixelMatrixFocalPlanes=1, DimensionOrganizationType="TILED_SPARSE" if sparse else "TILED_FULL",
        OpticalPathSequence=[item(ObjectiveLensPower=40.0, OpticalPathIdentifier="1")],
        SpecimenDescriptionSequence=[item(SpecimenIdentifier=f"S23-{slide:05}-A", SpecimenUID=uid(slide, 5))],
    )  # fmt: skip
    # The spacing between rows comes first.
    spacing = [MPP * level / 1000 * 2, MPP * level / 1000]
    data.SharedFunctionalGroupsSequence = [item(PixelMeasuresSequence=[item(PixelSpacing=spacing, SliceThickness=0.001)])]
    if sparse:
        across = -(-width // tile)
        data.PerFrameFunctionalGroupsSequence = [
            item(PlanePositionSlideSequence=[item(
                ColumnPositionInTotalImagePixelMatrix=frame % across * tile + 1,
                RowPositionInTotalImagePixelMatrix=frame // across * tile + 1,
            )])
            for frame in range(count)
        ]  # fmt: skip
    if concatenation is not None:
        data.ConcatenationUID = uid(slide, 6)
        data.InConcatenationNumber = concatenation[0]
        if concatenation[1] is not None:
            data.InConcatenationTotalNumber = concatenation[1]
    for name, value in more.items():
        setattr(data, name, value)
    frame_bytes = bytes([17 * slide % 256]) * (tile * tile * 3)
    if syntax == ExplicitVRLittleEndian:
        data.PixelData = frame_bytes * count
    else:
        data.PixelData = encapsulate([b"\xff\xd8" + bytes(60)] * count)
        data["PixelData"].is_undefined_length = True
        data["PixelData"].VR = "OB"
    return encoded(data, syntax, end=end, drop=drop)


def whole_slide(slide=1, **more):
    """Twelve instances of one slide by file name: three levels, the largest in seven concatenated parts, and its images."""
    label = {"LabelText": "S23-00001 HE", "BarcodeValue": f"B{slide:04}"}
    files = {
        "label.dcm": slide_part("LABEL", slide=slide, number=20, width=32, height=32, **label, **more),
        "overview.dcm": slide_part("OVERVIEW", slide=slide, number=21, width=64, height=32, **more),
        "thumbnail.dcm": slide_part("THUMBNAIL", slide=slide, number=22, width=32, height=32, **more),
        "level1.dcm": slide_part(slide=slide, number=10, width=112, height=64, level=2, **more),
        "level2.dcm": slide_part(slide=slide, number=11, width=56, height=32, level=4, sparse=True, **more),
    }
    for number in range(1, 8):
        files[f"level0_{number}.dcm"] = slide_part(
            slide=slide, number=number, width=224, height=128, frames=4, concatenation=(number, 7), **more
        )
    assert len(files) == 12
    return files


def radiology(number=1, *, series=1, sop_class=CT_CLASS, modality="CT", rows=4, end=None, drop=(), **more):
    """One instance of a radiology series, without pixels if it has no ``rows``."""
    data = item(
        SOPClassUID=sop_class, SOPInstanceUID=uid(9, series, number), SeriesInstanceUID=uid(9, series),
        StudyInstanceUID=uid(9), Modality=modality, PatientName="WANG^WU=王^五", PatientID="P0002", AccessionNumber="X1",
        BodyPartExamined="CHEST", StudyDate="20230102", SeriesDate="20230103", Manufacturer="Maker", DeviceSerialNumber="D1",
        ManufacturerModelName="Model", SpecificCharacterSet="GB18030", InstanceNumber=number,
    )  # fmt: skip
    if rows:
        values = {"Rows": rows, "Columns": 4, "SamplesPerPixel": 1, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
                  "PixelRepresentation": 0, "PhotometricInterpretation": "MONOCHROME2"}  # fmt: skip
        for name, value in values.items():
            setattr(data, name, value)
        data.PixelData = bytes(rows * 8)
    for name, value in more.items():
        setattr(data, name, value)
    return encoded(data, end=end, drop=drop)


JPEG = JPEGBaseline8Bit


class Memory:
    """A source in memory that counts what is read."""

    name = "x.dcm"
    local_path = None

    def __init__(self, data, size=None):
        self.data = data
        self.size = len(data) if size is None else size
        self.bytes_read = 0
        self.reads = 0

    def read_at(self, offset, length):
        self.reads += 1
        chunk = self.data[offset : offset + length]
        self.bytes_read += len(chunk)
        return chunk
