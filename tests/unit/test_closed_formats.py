"""Formats that no open reader reads: listed as such, whatever the file's name, and never taken for what they are not."""

import os

import pytest

from pathcurate import readers
from pathcurate.model.slide import STATUSES, VENDORS
from pathcurate.storage import LocalSource

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ISYNTAX = b'<DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_UFS_BARCODE">'
BINARY = b"\x07\x00\x01\x02" + bytes(90)

BY_NAME = [
    ("sqray", ".sdpc", b"SQ" + BINARY), ("unic", ".tmap", BINARY), ("motic", ".mds", OLE + BINARY),
    ("motic", ".mds", b"BKIO" + BINARY), ("motic", ".mdsx", b"BKIO" + BINARY), ("tron", ".tron", BINARY),
    ("philips", ".isyntax", ISYNTAX), ("philips", ".i2syntax", b"<?xml version='1.0'?><DataObject>"),
    ("zeiss", ".zvi", OLE + BINARY), ("dyj", ".dyj", BINARY), ("dyqx", ".dyqx", BINARY), ("zyp", ".zyp", BINARY),
    ("ibl", ".ibl", BINARY), ("olympus", ".vsi", b"II*\0" + BINARY), ("kfbio", ".kfb", bytes(4) + b"KFB\1" + BINARY),
    ("kfbio", ".kfbf", BINARY),
]  # fmt: skip
BY_CONTENT = [
    ("motic", b"BKIO" + BINARY), ("kfbio", bytes(4) + b"KFB\1" + BINARY), ("philips", ISYNTAX),
]  # fmt: skip
IDS = [f"{vendor}{extension}" for vendor, extension, _ in BY_NAME]


def read(path):
    with LocalSource(os.fsencode(path)) as source:
        return readers.read_slide(source)


@pytest.mark.parametrize(("vendor", "extension", "content"), BY_NAME, ids=IDS)
def test_by_name(write, vendor, extension, content):
    for name in (f"x{extension}", f"张三 S24-1{extension.upper()}"):
        header = read(write(name, content)).header
        assert (header.status, header.vendor) == (f"unsupported:{vendor}", vendor)
        assert vendor in VENDORS
        assert header.format == ("kfb" if extension == ".kfb" else "other")
        assert header.width is header.mpp_x is header.barcode is None


@pytest.mark.parametrize(("vendor", "content"), BY_CONTENT)
@pytest.mark.parametrize("name", ["x.bin", "x", "x.svs", "x.tif"])
def test_renamed(write, vendor, content, name):
    assert read(write(name, content)).header.status == f"unsupported:{vendor}"


@pytest.mark.parametrize("extension", sorted({extension for _, extension, _ in BY_NAME}))
@pytest.mark.parametrize("text", ["nothing to see\n", "病理 S24-1\n", "\r\n\t"])
def test_a_text_with_such_a_name_is_no_slide(write, extension, text):
    assert read(write(f"x{extension}", text)).header.status == "not_a_slide"


@pytest.mark.parametrize("extension", sorted({extension for _, extension, _ in BY_NAME}))
def test_none_is_ever_dropped(write, extension):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    for content, status in (("", "truncated"), (pointer, "lfs_pointer"), (bytes(5000), "not_a_slide")):
        assert read(write(f"x{extension}", content)).header.status == status
    assert extension in readers.SLIDE_EXTENSIONS


@pytest.mark.parametrize(
    ("name", "content"), [("letter.doc", OLE + BINARY), ("SQ.txt", b"SQ" + BINARY), ("a.xml", b"<?xml ?>")]
)
def test_a_mark_that_others_share_needs_the_name_beside_it(write, name, content):
    assert read(write(name, content)) is None


def test_a_tiff_whose_offset_spells_a_mark_is_no_kfb(write):
    result = read(write("x.tif", b"II*\0KFB\0" + bytes(5000)))
    assert result.header.status.partition(":")[0] in set(STATUSES) - {"unsupported"}
