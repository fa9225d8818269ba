"""DICOM files scrubbed: forms of files, what wraps a data set, damage, and what must stay byte for byte."""

import io
import random
import re
import struct
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.readers.dicom import pixel_runs
from pathcurate.scrubbers import dicom
from tests.dicomjudge import (
    FOLDER,
    PATIENT,
    STRICT,
    job,
    leaks,
    one,
    read,
    scrub,
    specimen,
    undefined_lengths,
    with_meta,
    without_meta,
)
from tests.dicoms import CT_CLASS, JPEG, Memory, item, radiology, slide_part, uid, whole_slide

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)


def test_what_wraps_the_data_set_is_our_own(tmp_path):
    data = bytearray(radiology(DataSetTrailingPadding=b"secret of Wu"))
    data[:8] = b"II*\0\x10\0\0\0"
    made = read(io.BytesIO(bytes(data)))
    made.file_meta.SourceApplicationEntityTitle = "WARD3"
    made.file_meta.PrivateInformationCreatorUID, made.file_meta.PrivateInformation = uid(3), b"secret"
    buffer = io.BytesIO()
    made.save_as(buffer)
    plan, copy, raw = one(tmp_path, buffer.getvalue() + b"\0\0secret bytes behind")
    assert raw[:132] == bytes(128) + b"DICM"
    assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID != uid(9, 1, 1)
    assert {element.keyword for element in copy.file_meta} == {
        "FileMetaInformationGroupLength", "FileMetaInformationVersion", "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID", "TransferSyntaxUID", "ImplementationClassUID", "ImplementationVersionName",
    }  # fmt: skip
    assert b"secret" not in raw
    assert b"WARD3" not in raw
    assert {"preamble", "file meta group", "behind the last attribute"} <= {change.place for change in plan.changes}


@pytest.mark.parametrize("charset", [None, "ISO_IR 100", "ISO_IR 192", "GB18030"])
def test_names_under_a_wrong_character_set_are_known(tmp_path, charset):
    name = "张三^三".encode("gb18030") if charset != "ISO_IR 192" else "张三^😀".encode()[:12]
    data = radiology(SpecificCharacterSet=charset or "", PatientName="ASCII^NAME..", InstitutionName="x" * 8)
    data = data.replace(b"ASCII^NAME..", name.ljust(12)[:12]).replace(b"x" * 8, "示例医院".encode("gb18030"))
    plan, copy, raw = one(tmp_path, data)
    assert str(copy.PatientName) == PATIENT
    assert "张三".encode("gb18030") not in raw
    assert "示例医院".encode("gb18030") not in raw
    assert any(own.kind == "name" and own.value.startswith("张三") for own in plan.own)
    assert any(own.value == "示例医院" for own in plan.own)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("has_beginning", [True, False])
def test_files_without_preamble_or_meta_group(tmp_path, syntax, has_beginning):
    data = read(io.BytesIO(radiology()))
    whole = with_meta(data, syntax)
    _, copy, raw = one(tmp_path, whole[132:] if has_beginning else without_meta(whole))
    assert raw[128:132] == b"DICM"
    assert copy.file_meta.TransferSyntaxUID == syntax
    assert copy.PixelData == data.PixelData
    assert copy.StudyDate == "20221024"


def test_what_stays_is_the_same_bytes(tmp_path):
    """Of a second scrub with nothing to change but the codes, everything else is as it was."""
    data = slide_part(sparse=True, SpecimenDescriptionSequence=[specimen()])
    for source in (data, undefined_lengths(data)):
        _, _, once = one(tmp_path, source, retain_uids=True, dates="full")
        _, _, twice = one(tmp_path, once, retain_uids=True, dates="full")
        assert once == twice


def test_a_truthful_sum_of_sizes_and_a_plan_that_writes_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    for name, data in whole_slide().items():
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "out").mkdir()
    task = job(tmp_path / "in")
    planned = dicom.plan(task)
    made, written = dicom.write(task, tmp_path / "out")
    assert planned == made
    assert planned.size == sum((tmp_path / "out" / name).stat().st_size for name in written.files)


def test_names_of_copies_say_nothing_and_order_is_that_of_the_numbers(tmp_path):
    files = [radiology(number) for number in (30, 2, 11)]
    _, written, _, copies = scrub(tmp_path, *files, code="I-ABCDEFGHJKMNPQRS")
    assert all(re.fullmatch(r"[A-Z0-9_]{1,8}", part) for name in written.files for part in name.split("/"))
    assert [copy.InstanceNumber for copy in copies] == [2, 11, 30]
    assert {written.copied[name] for name in written.files} == {b"0000.dcm", b"0001.dcm", b"0002.dcm"}


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEG])
def test_pixels_are_those_of_the_source(tmp_path, syntax):
    for number, data in enumerate((slide_part(syntax=syntax), slide_part(syntax=syntax, sparse=True, frames=60))):
        _, _, raw = one(tmp_path, data)
        (before,), (after,) = (list(pixel_runs(Memory(file))) for file in (data, raw))
        assert before.image == after.image == f"VOLUME, {(6, 60)[number]} frames of 32 x 32"
        assert data[before.offset :][: before.length] == raw[after.offset :][: after.length]
        assert before.length > 400


def test_our_reader_gives_no_pixels_of_labels_or_of_damage():
    for data in (
        slide_part("LABEL"),
        slide_part("OVERVIEW"),
        slide_part(end=-40),
        slide_part(syntax=JPEG, end=-8),
        b"",
        b"x" * 999,
    ):
        assert list(pixel_runs(Memory(data))) == []


def bare(syntax=ExplicitVRLittleEndian, **values):
    """A file of these attributes only."""
    return with_meta(item(**values), syntax)


def refused(tmp_path, data):
    """What is said of a file that cannot be scrubbed; None if it was."""
    try:
        return scrub(tmp_path, data)[0].refusal
    except UnscrubbableError as error:
        return str(error)


def test_what_cannot_be_scrubbed_is_refused_with_a_reason(tmp_path):
    cases = {
        "no DICOM": b"x" * 4000, "within an attribute": radiology()[:420], "before its pixel data do": radiology(end=-8),
        "before its pixel data": radiology(drop=["PixelData"]), "no end mark": slide_part(syntax=JPEG, end=-8),
        "no SOPInstanceUID": without_meta(bare(SOPClassUID=CT_CLASS, Modality="CT")),
        "no SOPClassUID": without_meta(bare(Modality="CT")), "no instance is left": slide_part("LABEL"),
        "encloses a document": radiology(sop_class="1.2.840.10008.5.1.4.1.1.104.1", rows=0),
        "deflated": bare(syntax=DeflatedExplicitVRLittleEndian, SOPClassUID=CT_CLASS),
        "transfer syntax": radiology().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"),
        "not written as its transfer syntax": slide_part(syntax=JPEG).replace(
            b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.1\0\0\0"),
        "the standard does not know": radiology().replace(b"CS\x02\0CT", b"ZZ\x02\0CT"),
        "goes on beyond": bare(SOPClassUID=CT_CLASS, ReferencedImageSequence=[item(Modality="CT")]).replace(
            b"CS\x02\0CT", b"CS\x20\0CT"),
    }  # fmt: skip
    for reason, data in cases.items():
        assert reason in (refused(tmp_path, data) or ""), reason


def test_damage_raises_nothing_else(tmp_path):
    """Every cut, and bytes changed at random: refused with a reason that holds no value, or scrubbed."""
    base = slide_part(SpecimenDescriptionSequence=[specimen()], frames=1, width=32, height=32)
    base = base[: -32 * 32 * 3 + 60].replace(struct.pack("<I", 32 * 32 * 3), struct.pack("<I", 60))
    random.seed(1)
    cases = [base[:end] for end in range(0, len(base), 97)]
    for _ in range(120):
        data = bytearray(base)
        for _ in range(random.randint(1, 4)):
            data[random.randrange(132, len(data))] = random.randrange(256)
        cases.append(bytes(data))
    (tmp_path / "in").mkdir()
    outcomes = set()
    for data in cases:
        (tmp_path / "in" / "0.dcm").write_bytes(data)
        try:
            outcomes.add(dicom.plan(job(tmp_path / "in")).refusal)
        except UnscrubbableError as error:
            outcomes.add(str(error))
    assert len(outcomes) > 4
    assert not [reason for reason in outcomes if reason and re.search("S23|ZHANG|P0001", reason)]


def test_the_shipped_test_files_of_pydicom_leak_nothing(tmp_path):
    """The corpus that every tool is measured on, without any option: see ``tests/bench/files_dicom.py``."""
    folder = Path(__import__("pydicom").__file__).parent / "data"
    done = judged = 0
    for number, path in enumerate(sorted((folder / "test_files").glob("*.dcm"))):
        if path.stat().st_size > 60_000 or number % 2:
            continue
        (tmp_path / f"{number}").mkdir()
        try:
            _, written = dicom.write(job(path.parent, path.name, **STRICT, unsure_pixels="keep"), tmp_path / f"{number}")
        except UnscrubbableError:
            continue
        if written is not None:
            counted, found = leaks(path.read_bytes(), (tmp_path / f"{number}" / written.main).read_bytes())
            assert found == [], path.name
            done, judged = done + 1, judged + counted
    assert done > 20
    assert judged > 500


def test_an_instance_with_everything_in_items_of_unknown_kind(tmp_path):
    """A sequence written as UN has items without kinds (PS3.5 section 6.2.2)."""
    body = without_meta(with_meta(item(PatientID="P0002", ReferencedSOPInstanceUID=uid(9, 1, 1), StudyDescription="of Wu"),
                                  ImplicitVRLittleEndian))  # fmt: skip
    value = b"\xfe\xff\0\xe0" + struct.pack("<I", len(body)) + body
    data = read(io.BytesIO(radiology()))
    made = Dataset()
    made.update(data)
    raw = with_meta(made)
    at = raw.index(b"\x10\0\x10\0PN")
    raw = raw[:at] + b"\x08\0\x40\x11UN\0\0" + struct.pack("<I", len(value)) + value + raw[at:]
    _, copy, out = one(tmp_path, raw)
    assert b"P0002" not in out
    assert b"of Wu" not in out
    assert copy.ReferencedImageSequence[0].ReferencedSOPInstanceUID == copy.SOPInstanceUID


@pytest.mark.parametrize(
    ("wrong", "name"),
    [(b"OW", "KVP"), (b"OB", "CodeMeaning"), (b"FD", "Manufacturer"), (b"OB", "Rows"), (b"UN", "ImageType")],
)
def test_a_kind_that_an_attribute_cannot_have_hides_nothing(tmp_path, wrong, name):
    """A text written as bytes of another kind is not taken for numbers."""
    tag = Tag(name)
    text = "Wang Wu, 张三 ".encode("gb18030")
    form = struct.pack("<HH", tag.group, tag.element) + wrong
    hidden = form + (struct.pack("<H", len(text)) if wrong == b"FD" else b"\0\0" + struct.pack("<I", len(text))) + text
    data = without_meta(bare(SOPClassUID=CT_CLASS, SOPInstanceUID=uid(1)))
    place = len(data) if tag > 0x0008_0018 else data.index(b"\x08\0\x16\0UI")
    _, _, raw = one(tmp_path, data[:place] + hidden + data[place:])
    assert b"Wang" not in raw


def test_names_of_files_stay_behind(tmp_path):
    (tmp_path / "in 张三").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in 张三" / "王五 😀 S23-00001.dcm").write_bytes(radiology())
    _, written = dicom.write(job(tmp_path / "in 张三"), tmp_path / "out")
    assert written.files == (f"{FOLDER}/I0000001",)
    assert list(written.copied.values()) == ["王五 😀 S23-00001.dcm".encode()]


def test_values_longer_than_any_text(tmp_path):
    """What goes whatever it says is not read; a text that might stay is."""
    long = bytes(17 << 20)
    for name, stays in (("ObjectBinaryIdentifierTrial", True), ("MakerNote", False)):
        data = radiology()
        element = struct.pack("<HH", Tag(name).group, Tag(name).element) + b"OB\0\0" + struct.pack("<I", len(long)) + long
        at = data.index(b"\x18\0\x15\0CS") if not stays else data.index(b"\xe0\x7f\x10\0O")
        _, copy, raw = one(tmp_path, data[:at] + element + data[at:])
        assert (name in copy, len(raw) < 1 << 16) == (stays, True)
    data = radiology()
    at = data.index(b"\x10\0\x10\0PN")
    text = b"\x08\0\x19\x01UC\0\0" + struct.pack("<I", len(long)) + long
    with pytest.raises(UnscrubbableError, match="longer than 16 MiB"):
        one(tmp_path, data[:at] + text + data[at:])
