"""Workbooks and pages that are made to break a reader, and formulas that nobody computed."""

import io
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pathcurate.delimited import open_export, read_sheet
from pathcurate.errors import UsageError
from tests.makers.lis import workbook

Write = Callable[[str, str | bytes], Path]
GOOD = workbook([["病理号"], ["王小红"]])
SHEET = "xl/worksheets/sheet1.xml"
SPACES = b" " * (1 << 20)


def refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_sheet(path)
    assert caught.value.hint
    return str(caught.value)


def changed(name: str, content: Callable[[bytes], bytes], *, said: int | None = None, more: int = 0) -> bytes:
    """A workbook with another content of one part; it may say a wrong size of it, or have more parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(GOOD)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, content(old.read(part)) if part == name else old.read(part))
        for number in range(more):
            new.writestr(f"xl/media/{number}", b"")
    data = bytearray(out.getvalue())
    if said is not None:
        entry = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
        struct.pack_into("<I", data, entry + 24, said)
    return bytes(data)


@pytest.mark.parametrize(
    ("bomb", "said"),
    [
        # What says its size: 40 MB of spaces in 40 kB, 2.1 GB, a lie in either direction, many parts.
        (partial(changed, SHEET, lambda xml: xml + SPACES * 40), "packed like a bomb"),
        (partial(changed, SHEET, lambda xml: xml, said=(2 << 30) + 1), "too large"),
        (partial(changed, SHEET, lambda xml: xml + SPACES * 40, said=1000), "BadZipFile"),
        (partial(changed, SHEET, lambda xml: xml, said=5_000_000), "BadZipFile"),
        (partial(changed, SHEET, lambda xml: xml, more=10_001), "too large"),
        # Shared strings and nested archives are measured like everything else.
        (partial(changed, "xl/styles.xml", lambda xml: xml + SPACES * 40), "packed like a bomb"),
        (partial(changed, "docProps/app.xml", lambda xml: GOOD + SPACES * 40), "packed like a bomb"),
        (partial(changed, SHEET, lambda x: b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>' + x), "BadZipFile"),
        (partial(changed, "xl/workbook.xml", lambda xml: b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + xml), "BadZipFile"),
        (partial(changed, SHEET, lambda xml: '<!DOCTYPE x [<!ENTITY a "a">]>'.encode("utf-16") + xml), "BadZipFile"),
    ],
)  # fmt: skip
def test_bombs_are_refused_before_they_are_opened(
    write: Write, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[], bytes], said: str
) -> None:
    monkeypatch.setattr("pathcurate.spreadsheet.CalamineWorkbook", None)
    assert said in refusal(write("a.xlsx", bomb()))


def test_a_merged_range_to_the_last_row_below_a_cell_in_the_last_column(write: Write) -> None:
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A2:A1048576"/></mergeCells>'
    cell = b'<row r="1"><c r="XFD1" t="inlineStr"><is><t>x</t></is></c>'

    def stretched(xml: bytes) -> bytes:
        assert b'<row r="1">' in xml
        return xml.replace(b"</sheetData>", merged).replace(b'<row r="1">', cell)

    assert "too large" in refusal(write("a.xlsx", changed(SHEET, stretched)))


def test_many_sheets_are_as_large_as_all_of_them(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def corner(xml: bytes) -> bytes:
        return xml.replace(b"</sheetData>", b'<row r="300"><c r="CV300"><v>1</v></c></row></sheetData>')

    monkeypatch.setattr("pathcurate.spreadsheet._MOST_CELLS", 100_000)
    data = io.BytesIO(changed(SHEET, corner))
    assert len(read_sheet(write("a.xlsx", data.getvalue())).rows) == 2, "one such sheet is not too large"
    with zipfile.ZipFile(data, "a") as archive:
        for number in range(2, 5):
            archive.writestr(f"xl/worksheets/sheet{number}.xml", archive.read(SHEET))
    assert "too large" in refusal(write("a.xlsx", data.getvalue()))


def test_a_formula_without_a_result(write: Write) -> None:
    rows: list[list[Any]] = [["病理号", "年龄", "备注"], ["S23-1", "=50+6", "=A1"], ["S23-2", 7, "=A2"]]
    data = workbook(rows)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        xml = archive.read(SHEET)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for part in old.namelist():
            # An empty text is a result.
            computed = xml.replace(b'<c r="C3"><f>A2</f><v /></c>', b'<c r="C3" t="str"><f>A2</f><v></v></c>').replace(
                b'<c r="C3"><f>A2</f><v></v></c>', b'<c r="C3" t="str"><f>A2</f><v></v></c>')  # fmt: skip
            assert computed != xml
            new.writestr(part, computed if part == SHEET else old.read(part))
    export = open_export(write("a.xlsx", out.getvalue()))
    assert export.uncomputed == ((2, "年龄"), (2, "备注"))
    assert [number for number, _ in export.lines()] == [2, 3]


def test_macros_are_only_carried(write: Write) -> None:
    out = io.BytesIO(GOOD)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0" + bytes(3000))
    assert len(read_sheet(write("a.xlsm", out.getvalue())).rows) == 1


def test_a_page_of_cells_over_all_rows_is_refused(write: Write) -> None:
    wide = "<td rowspan=65534 colspan=1000>x</td>"
    page = "<html><table><tr><td>病理号</td></tr><tr>" + wide + "</tr>" + "<tr>" * 20_100 + "</table></html>"
    assert "too large for a page" in refusal(write("a.xls", page))


def test_a_row_of_a_page_in_another_encoding_is_lost(write: Write) -> None:
    row = "<tr><td>S23-{}</td><td>右乳癌灶</td></tr>\n"
    rows = [row.format(number).encode("gbk" if number == 3 else "utf-8") for number in range(9)]
    page = "<html><meta charset=utf-8><table>\n<tr><td>病理号</td><td>病理诊断</td></tr>\n".encode() + b"".join(rows)
    sheet = read_sheet(write("a.xls", page))
    assert (sheet.misfits, len(sheet.rows)) == ((5,), 8)
