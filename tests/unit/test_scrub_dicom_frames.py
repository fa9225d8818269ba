"""What pixel data and values of DICOM files may hold beside pixels and numbers: each a text that once came through."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended

from pathcurate.model.filescrub import UnscrubbableError
from tests.dicomjudge import one, read, scrub
from tests.dicoms import JPEG, item, radiology, slide_part
from tests.makers import planted

NAME = b"Wurzelbacher"
PHONE = b"13800138000"
CODESTREAM = b"\xff\x4f\xff\x51\0\x04\0\0"
SPECTRA_CLASS = "1.2.840.10008.5.1.4.1.1.4.2"
VOICE_CLASS = "1.2.840.10008.5.1.4.1.1.9.4.1"


def frame(seed=0, **more):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80, **more)
    return buffer.getvalue()


FRAMES = tuple(frame(seed) for seed in range(3))


def slide(frames=FRAMES, change=None, count=3):
    """An instance of three frames."""
    data = read(io.BytesIO(slide_part(width=32 * count, height=32, syntax=JPEG)))
    data.PhotometricInterpretation = "YBR_FULL_422"
    data.PixelData = encapsulate(list(frames))
    data["PixelData"].is_undefined_length = True
    return changed(data, change)


def changed(data, change):
    if change is not None:
        change(data)
    buffer = io.BytesIO()
    data.save_as(buffer)
    return buffer.getvalue()


def with_table(data):
    """A basic offset table that is a text."""
    pixels = bytes(data.PixelData)
    (length,) = struct.unpack_from("<I", pixels, 4)
    data.PixelData = pixels[:4] + struct.pack("<I", 16) + NAME + b"    " + pixels[8 + length :]
    data["PixelData"].is_undefined_length = True


def with_extended(data, lengths=None):
    pixels, offsets, sizes = encapsulate_extended(list(FRAMES))
    data.PixelData, data.ExtendedOffsetTable, data.ExtendedOffsetTableLengths = pixels, offsets, lengths or sizes
    data["PixelData"].is_undefined_length = True


FIRST, SECOND, THIRD = FRAMES
REFUSED = {
    "a comment in the first frame": slide((frame(comment=NAME), SECOND, THIRD)),
    "a comment in the last frame": slide((FIRST, SECOND, frame(comment=NAME))),
    "a comment behind a filling byte": slide((FIRST[:2] + b"\xff\xff\xfe\0\x0e" + NAME + FIRST[2:], SECOND, THIRD)),
    "text where a marker should stand": slide((FIRST[:2] + NAME + FIRST[2:], SECOND, THIRD)),
    "a colour profile with a text": slide((FIRST, frame(icc_profile=planted.profile("Wurzelbacher")), THIRD)),
    "a text behind a frame": slide((FIRST, SECOND + NAME, THIRD)),
    "a long text behind a frame": slide((FIRST, SECOND + b"." * 400 + NAME, THIRD)),
    "a fragment of no frame": slide((*FRAMES, NAME)),
    "a frame too many": slide((*FRAMES, frame(4))),
    "a table of frames": slide(change=with_table),
    "an extended table of frames": slide(change=lambda data: with_extended(data, NAME.ljust(24))),
    "a text behind pixels": changed(
        read(io.BytesIO(radiology())), lambda data: setattr(data, "PixelData", bytes(32) + NAME)
    ),
    "a codestream's comment": slide((CODESTREAM + b"\xff\x64\0\x10\0\1" + NAME + b"\xff\x90" + bytes(8),), count=1),
}


@pytest.mark.parametrize("where", REFUSED)
def test_pixel_data_that_hold_a_text_are_refused(tmp_path, where):
    assert NAME in REFUSED[where] or where == "a frame too many"
    with pytest.raises(UnscrubbableError) as caught:
        one(tmp_path, REFUSED[where])
    assert "Wurzel" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        slide(), slide(change=with_extended), slide((frame(comment=b"LEAD Technologies Inc. V1.01"), SECOND, THIRD)),
        # A frame in two fragments, and zeros behind one.
        slide((FIRST[:700], FIRST[700:], SECOND + bytes(300), THIRD)),
        slide((CODESTREAM + b"\xff\x64\0\x0e\0\1Kakadu-2.2\xff\x90" + bytes(8),), count=1),
        radiology(sop_class=SPECTRA_CLASS, modality="MR", rows=0, Rows=2, Columns=2, SpectroscopyData=bytes(16)),
    ],
)  # fmt: skip
def test_pixel_data_as_encoders_write_them_stay(tmp_path, data):
    source, (_, copy, _) = read(io.BytesIO(data)), one(tmp_path, data)
    for name in ("PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "SpectroscopyData"):
        assert copy.get(name) == source.get(name)


def test_a_recorded_voice_is_refused(tmp_path):
    _, written, _, _ = scrub(tmp_path, radiology(sop_class=VOICE_CLASS, modality="AU", rows=0))
    assert written is None


def put(tag, kind, value):
    """A file with one more element, or with another value of one, written as no library would."""
    data = radiology()
    (length,) = struct.unpack_from("<I", data, 140)
    at = 144 + length
    made = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind + struct.pack("<H", len(value) + len(value) % 2)
    made += value + b" " * (len(value) % 2)
    while True:
        group, element, _, length = struct.unpack_from("<HH2sH", data, at)
        if group << 16 | element >= tag:
            return data[:at] + made + data[at + (8 + length) * (group << 16 | element == tag) :]
        at += 8 + length


@pytest.mark.parametrize(
    ("tag", "kind", "value", "gone"),
    [
        (0x0018_106E, b"UL", NAME + b" Hans", NAME), (0x0018_1271, b"FD", NAME + b" Hans", NAME),
        (0x0028_0009, b"AT", NAME, NAME), (0x0020_0012, b"IS", PHONE, PHONE), (0x0020_0012, b"IS", b"19500101", b"19500101"),
        (0x0018_0050, b"DS", PHONE, PHONE), (0x0018_0050, b"DS", b"11010119500101123X", b"19500101"),
        (0x0018_0015, b"CS", b"BORN 19500101", b"19500101"), (0x0018_0015, b"CS", b"WURZELBACHER HANS WARD", b"WURZEL"),
        (0x0008_0008, b"CS", b"ORIGINAL\\PRIMARY\\138001380", b"138001380"), (0x0008_001A, b"UI", NAME, NAME),
        (0x0008_0005, b"CS", b"ISO_IR 100\\WURZELBACHER", b"WURZEL"), (0x0018_1020, b"LO", b"V1 " + PHONE, PHONE),
        (0x0018_1020, b"LO", b"V1 of Dr Wurzelbacher", NAME), (0x0020_9056, b"SH", NAME, NAME),
        (0x0018_1020, b"LO", "王医师 V1".encode(), "王".encode()),
    ],
)  # fmt: skip
def test_values_that_are_not_what_they_should_be_go(tmp_path, tag, kind, value, gone):
    data = put(tag, kind, value)
    assert gone in data
    _, _, raw = one(tmp_path, data)
    assert gone not in raw


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [
        (0x0020_0012, b"IS", b"1001\\-2147483648"), (0x0018_0050, b"DS", b"1.25\\-.5e-3\\1234567890.123"),
        (0x0008_0008, b"CS", b"ORIGINAL\\PRIMARY\\M_FFE\\FFE"), (0x0008_0005, b"CS", b"\\ISO 2022 IR 58"),
        (0x0008_0005, b"CS", b"GB18030"), (0x0028_0009, b"AT", struct.pack("<4H", 0x18, 0x1063, 0x54, 0x10)),
        (0x0018_1271, b"FD", struct.pack("<3d", 0.1, 2.5, 1e9)), (0x0018_1020, b"LO", b"syngo CT VA48A_20190613"),
    ],
)  # fmt: skip
def test_values_that_are_what_they_should_be_stay(tmp_path, tag, kind, value):
    _, _, raw = one(tmp_path, put(tag, kind, value))
    assert value in raw


@pytest.mark.parametrize("kind", [b"IS", b"DS"])
def test_a_number_of_many_blanks_takes_no_time(tmp_path, kind):
    tag = {b"IS": 0x0020_0012, b"DS": 0x0018_0050}[kind]
    started = time.process_time()
    _, _, raw = one(tmp_path, put(tag, kind, b" " * 60_000 + b"x"))
    assert b" " * 100 not in raw
    assert time.process_time() - started < 10  # a pattern that went back would take hours


def test_a_table_of_shades_is_no_text(tmp_path):
    shades = Dataset()
    shades.add_new(0x0028_3002, "US", [256, 0, 16])
    shades.add_new(0x0028_3006, "US", list(range(256)))
    data = changed(read(io.BytesIO(radiology())), lambda data: data.add_new(0x0028_3010, "SQ", [shades]))
    _, copy, _ = one(tmp_path, data)
    assert list(copy.VOILUTSequence[0].LUTData) == list(range(256))


def test_a_colour_profile_says_nothing_and_references_still_meet(tmp_path):
    def path(name):
        return item(ObjectiveLensPower=40.0, OpticalPathIdentifier=name, ICCProfile=planted.profile("SN Wurzelbacher"))

    seen = [item(OpticalPathIdentificationSequence=[item(OpticalPathIdentifier=name)]) for name in ("Wurzelbacher", "1")]
    data = slide_part(OpticalPathSequence=[path("Wurzelbacher"), path("1")], PerFrameFunctionalGroupsSequence=seen)
    _, copy, raw = one(tmp_path, data)
    assert NAME not in raw
    names = [each.OpticalPathIdentifier for each in copy.OpticalPathSequence]
    groups = copy.PerFrameFunctionalGroupsSequence
    assert names == [each.OpticalPathIdentificationSequence[0].OpticalPathIdentifier for each in groups]
    assert names[1] == "1"
    assert len(names[0]) == 16
    assert len(copy.OpticalPathSequence[0].ICCProfile) == len(planted.profile("SN Wurzelbacher"))


def test_meanings_of_codes_name_no_person(tmp_path):
    said = ("Dr Wurzelbacher", "Drainage of abscess")
    codes = [item(CodeValue="1", CodingSchemeDesignator="SCT", CodeMeaning=meaning) for meaning in said]
    _, copy, _ = one(tmp_path, radiology(ProcedureCodeSequence=codes))
    assert [code.CodeMeaning for code in copy.ProcedureCodeSequence] == ["REMOVED", "Drainage of abscess"]
