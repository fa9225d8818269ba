"""Made-up X-ray films: small DICOM files with the header that a radiology department's archive has."""

from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from pathcurate.demo.cases import Patient

_ROOT = "1.2.826.0.1.3680043.10.99998"
_CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}
_ROWS, _COLUMNS = 48, 40


@dataclass(frozen=True, slots=True)
class Film:
    """One film: a series of one instance.

    Attributes:
        number: tells the films apart; study and series are numbered by it.
        modality: ``CR`` or ``DX``.
        body_part: as DICOM writes it, such as ``HIP``.
        laterality: ``L``, ``R`` or ``B``; empty where the header names no side.
        of: the side of the replacement that the film belongs to (``left``, ``right``, ``both``), or empty.
    """

    patient: Patient
    number: int
    taken: date
    modality: str
    body_part: str
    laterality: str
    of: str

    @property
    def path(self) -> str:
        """Path below the radiology archive."""
        return f"{self.taken:%Y/%m}/{self.accession}/IM0001.dcm"

    @property
    def accession(self) -> str:
        """The radiology department's number, which is no case number of the laboratory."""
        return f"XR{self.number:08d}"

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID."""
        return f"{_ROOT}.{self.number}.2"


def write_film(directory: Path, film: Film) -> None:
    """Write a film below the root of a radiology archive; the same film gives the same bytes."""
    path = directory / film.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(film))


def _encoded(film: Film) -> bytes:
    data = Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.SOPClassUID = _CLASSES[film.modality]
    data.SOPInstanceUID = f"{film.series_uid}.1"
    data.StudyInstanceUID = f"{_ROOT}.{film.number}.1"
    data.SeriesInstanceUID = film.series_uid
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = f"{film.taken:%Y%m%d}"
    data.StudyTime = "093000"
    data.AccessionNumber = film.accession
    data.Modality = film.modality
    data.Manufacturer = "MadeUpRay"
    data.InstitutionName = "示例市专科医院"
    data.PatientName = f"{film.patient.latin.replace(' ', '^')}={film.patient.name}"
    data.PatientID = film.patient.number
    data.PatientBirthDate = f"{film.patient.birth_date:%Y%m%d}"
    data.PatientSex = film.patient.sex
    data.BodyPartExamined = film.body_part
    data.ViewPosition = "AP"
    # Laterality (0020,0060) stands for the series, Image Laterality (0020,0062) also knows both sides (PS3.3 C.8.11.2).
    data.ImageLaterality = film.laterality
    data.SeriesNumber = data.InstanceNumber = 1
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.Rows, data.Columns = _ROWS, _COLUMNS
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelRepresentation = 0
    data.BurnedInAnnotation = "NO"
    data.PixelData = _shade(film.number)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    # Else pydicom writes its own version here, and the bytes would change with it.
    meta.ImplementationClassUID = UID(f"{_ROOT}.0")
    meta.ImplementationVersionName = "MADEUPRAY"
    buffer = BytesIO()
    dcmwrite(buffer, FileDataset(buffer, data, file_meta=meta, preamble=bytes(128)), enforce_file_format=True)
    return buffer.getvalue()


def _shade(number: int) -> bytes:
    """A bright disc, the head of a femur, on a shade of grey."""
    y, x = np.ogrid[0:_ROWS, 0:_COLUMNS]
    inside = (y - 20) ** 2 + (x - 14 - number % 12) ** 2 < 90
    return np.where(inside, 210, 40 + number % 60).astype(np.uint8).tobytes()
