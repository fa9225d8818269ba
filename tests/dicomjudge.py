"""Jobs for the DICOM scrubber, a file with every row of PS3.15 table E.1-1, and a judge of copies that uses pydicom.

The judge knows nothing of the scrubber: it walks source and copy with pydicom and asks of each value of the source whether
the copy has it under the same tag, at whatever depth.
"""

import hashlib
import io
import os
import warnings
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, UID_dictionary

from pathcurate import filerules
from pathcurate.pseudonyms import internal
from pathcurate.scrubbers import dicom
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot
from tests.dicoms import CT_CLASS, encoded, item, uid

SLIDE, PATIENT, CASE = "S-ABCDEFGHJKMNPQRS", "P-2BCDEFGHJKMNPQRS", "C-3BCDEFGHJKMNPQRS"
FOLDER = "S/ABCDEFGH/JKMNPQRS"
DAYS = -70
RULES = filerules.load_rules()["dicom"]
STRICT = {
    "retain_patient": False, "dates": "removed", "clean_descriptors": False, "clean_structured": False,
}  # fmt: skip
"""The Basic Profile without any option."""
MARK = "LEAK"
TABLE = Path(filerules.__file__).with_name("dicom_profile.txt")
_TEXTS = {"AE", "LO", "SH", "LT", "ST", "UT", "UC", "UR"}
_NUMBERS = {"US", "SS", "UL", "SL", "FL", "FD"}


def rules(**options):
    """The shipped rules with other options."""
    digest = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:16]
    return replace(RULES, options={**RULES.options, **options}, digest=digest)


def job(folder, *names, known=(), days=DAYS, code=SLIDE, patient=PATIENT, case=CASE, key=b"k" * 32, **options):
    """A job for files of a folder; all of them if none is named."""
    members = tuple(map(os.fsencode, names)) or tuple(sorted(os.fsencode(path.name) for path in folder.iterdir()))
    codes = LayerCodes((internal(key).codes,))
    return ScrubJob(
        LocalRoot(os.fsencode(folder)), members, "dicom", code, patient, case, days, codes, rules(**options), tuple(known)
    )


def scrub(tmp_path, *files, **more):
    """Scrub files given as bytes; the plan, what was written, the folder, and the copies as pydicom reads them."""
    number = len(list(tmp_path.iterdir()))
    source, target = tmp_path / f"in{number}", tmp_path / f"out{number}"
    source.mkdir()
    target.mkdir()
    for number, data in enumerate(files):
        (source / f"{number:04}.dcm").write_bytes(data)
    plan, written = dicom.write(job(source, **more), target)
    copies = [read(target / name) for name in written.files] if written else []
    return plan, written, target, copies


def read(path):
    """A file as pydicom reads it, all of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = pydicom.dcmread(path, force=True)
        str(data)
    return data


def walk(data, path=()):
    """Every element at every depth, with the tags above it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in data:
            yield path, element
            if element.VR == "SQ":
                for item in element.value:
                    yield from walk(item, (*path, int(element.tag)))


@cache
def table():
    """Rows of the table: tag, kind, action, letters of options."""
    rows = (line.split(" ") for line in TABLE.read_text().splitlines() if not line.startswith("#"))
    return [(int(tag, 16), kind, action, "".join(letters)) for tag, kind, action, *letters in rows]


@dataclass
class Numbers:
    """Makes values that are met nowhere else."""

    last: int = 0

    def value(self, kind):
        """A value of a kind."""
        self.last += 1
        number = self.last
        day = date.fromordinal(710_000 + number).strftime("%Y%m%d")
        made = {
            "PN": f"{MARK}{number:05}^San", "UI": uid(77, number), "DA": day, "DT": f"{day}101112.5",
            "TM": f"{number % 23 + 1:02}{number % 59 + 1:02}{number % 58 + 1:02}", "AS": f"{number % 80 + 1:03}Y",
            "CS": f"{MARK} {number}", "DS": str(1000 + number), "IS": str(1000 + number),
            **dict.fromkeys(_NUMBERS, 1000 + number), **dict.fromkeys(_TEXTS, f"{MARK}{number:05}Z"),
        }  # fmt: skip
        if kind == "SQ":
            return [self.item()]
        return made.get(kind, f"{MARK}{number:05}Z".encode())

    def item(self):
        """An item that holds a text, a name and a UID."""
        made = Dataset()
        for tag, kind in ((0x0008_0104, "LO"), (0x0008_1155, "UI"), (0x0040_A123, "PN")):
            made.add_new(tag, kind, self.value(kind))
        return made


def planted(numbers, kind_of_unknown):
    """A data set with every row of the table, private attributes, curves and overlays."""
    made = Dataset()
    for tag, listed, _, _ in table():
        kind = kind_of_unknown if listed == "-" else listed
        made.add_new(tag, kind, numbers.value(kind))
    made.add_new(0x0009_0010, "LO", f"{MARK} CREATOR")
    for tag, kind in (
        (0x0009_1001, "LO"), (0x0009_1002, "SQ"), (0x0009_1003, "UN"), (0x0029_1010, "OB"),
        (0x5000_2500, "LO"), (0x5000_3000, "OW"), (0x6000_3000, "OW"), (0x6000_4000, "LT"), (0x6002_1500, "LO"),
    ):  # fmt: skip
        made.add_new(tag, kind, numbers.value(kind))
    return made


def every_row(syntax=ExplicitVRLittleEndian, *, has_commands=True):
    """A file with every row at the top, in the groups that frames share, and within sequences that stay.

    ``has_commands`` asks for the rows of groups that no data set should have, which other tools cannot read.
    """
    numbers = Numbers()
    data = planted(numbers, "LO")
    # pydicom takes attributes of the file meta group for the beginning of the file, and cannot read group 0 in big endian.
    del data[0x0002_0003]
    if not has_commands or not UID(syntax).is_little_endian:
        del data[0x0000_0000:0x0008_0000]
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = CT_CLASS, numbers.value("UI"), "CT"
    data.SpecificCharacterSet = "ISO_IR 192"
    nested = planted(numbers, "SQ")
    nested.PixelMeasuresSequence = [planted(numbers, "LT")]
    data.SharedFunctionalGroupsSequence = [nested]
    data.PerFrameFunctionalGroupsSequence = [planted(numbers, "LO")]
    return with_meta(data, syntax)


def with_meta(data, syntax=ExplicitVRLittleEndian):
    """The bytes of a file, also of attributes that pydicom refuses to write where they do not belong."""
    meta = encoded(Dataset(), sop_class=CT_CLASS)[132:]
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = UID(syntax).is_little_endian, UID(syntax).is_implicit_VR
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(buffer, data)
    explicit = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    padded = syntax.encode() + b"\0" * (len(syntax) % 2)
    assert explicit in meta
    meta = meta.replace(explicit, b"\x02\0\x10\0UI" + len(padded).to_bytes(2, "little") + padded)
    length = len(meta) - 12
    meta = meta[:8] + length.to_bytes(4, "little") + meta[12:]
    return bytes(128) + b"DICM" + meta + buffer.getvalue()


def leaks(source, copy, allowed=lambda tag: False):
    """Tags of the table, private ones, curves and overlays, whose value the copy has too; each with where it stands.

    Args:
        source: bytes of a file.
        copy: bytes of its copy.
        allowed: whether a tag's value may stay.

    Returns:
        How many values were judged; of each leak the tags above it, and its own.
    """
    listed = {tag: action for tag, _, action, _ in table()}
    kept = {}
    for path, element in walk(read(io.BytesIO(copy))):
        if element.VR != "SQ":
            kept.setdefault(int(element.tag), set()).add((str(element.value), path))
        elif listed.get(int(element.tag), "D") not in {"D", "X/Z/U"} and len(element.value):
            kept.setdefault(int(element.tag), set()).add(("items", path))
    found = []
    judged = 0
    for path, element in walk(read(io.BytesIO(source))):
        tag = int(element.tag)
        is_other = element.tag.group % 2 == 1 or element.tag.group >> 8 in {0x50, 0x60}
        if (tag not in listed and not is_other) or tag == 0x0040_A730 or not str(element.value).strip():
            continue
        if element.VR == "UI" and element.value in UID_dictionary:
            continue  # of the standard, as the palettes of PS3.6 Annex B
        judged += 1
        value = "items" if element.VR == "SQ" else str(element.value)
        if any(value == other for other, _ in kept.get(tag, ())) and not allowed(tag):
            found.append((path, tag))
    return judged, found


def one(tmp_path, data, **more):
    """The single copy of a file, with plan and bytes."""
    plan, written, folder, copies = scrub(tmp_path, data, **more)
    assert written is not None, plan.refusal
    return plan, copies[0], (folder / written.main).read_bytes()


def specimen():
    """A specimen with a stain, a fixative, and what identifies."""

    def content(kind, concept, **value):
        meaning = item(CodeValue=concept, CodingSchemeDesignator="SCT", CodeMeaning="meaning of it")
        return item(ValueType=kind, ConceptNameCodeSequence=[meaning], **value)

    stain = item(CodeValue="12710003", CodingSchemeDesignator="SCT", CodeMeaning="hematoxylin stain")
    return item(
        SpecimenIdentifier="S23-00001-A", SpecimenUID=uid(1, 5), SpecimenShortDescription="Wang stomach",
        SpecimenDetailedDescription="uterus of Li",
        IssuerOfTheSpecimenIdentifierSequence=[item(LocalNamespaceEntityID="Ward 3")],
        SpecimenPreparationSequence=[item(SpecimenPreparationStepContentItemSequence=[
            content("TEXT", "121041", TextValue="S23-00001-A"),
            content("PNAME", "121041", PersonName="Li^Si"),
            content("DATETIME", "111702003", DateTime="20230704101112"),
            content("CODE", "424361007", ConceptCodeSequence=[stain]),
            content("TEXT", "424361007", TextValue="Eosin"),
            content("NUMERIC", "1", NumericValue="4"),
        ])],
    )  # fmt: skip


def undefined_lengths(data):
    """The same file, all sequences and items of undefined length."""
    made = read(io.BytesIO(data))
    for _, element in walk(made):
        if element.VR == "SQ":
            element.is_undefined_length = True
            for each in element.value:
                each.is_undefined_length_sequence_item = True
    buffer = io.BytesIO()
    dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def without_meta(data):
    """A file without preamble and file meta group."""
    return data[132 + 12 + int.from_bytes(data[140:144], "little") :]


def refer(number):
    """An item that refers to an instance of :func:`tests.dicoms.radiology`."""
    return item(ReferencedSOPClassUID=CT_CLASS, ReferencedSOPInstanceUID=uid(9, 1, number))
