"""Workbooks and HTML tables: what a person sees in the cells, and what cannot be trusted."""

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from pathcurate.delimited import Sheet, read_sheet
from pathcurate.errors import UsageError
from pathcurate.htmltable import declared_encoding, is_html, read_tables

Write = Callable[[str, str | bytes], Path]
# Written by xlwt 1.3.0: a title over five columns, a patient merged over two specimens, a date cell and a serial number, a
# patient number of 18 digits, and a hidden sheet.
XLS = zlib.decompress(
    base64.b85decode(
        "c-rk)T}V_x6h3qBU3b@X-8GFgFp)Ad7gArM&@H2cD76fVh|+DBe*A4QNng@*A&5c<gdzw*gC4Sa$)dD;2qFTb9)cjy!l#~u!XDJyIp@x`b=$y&"
        "GK~9O=G=46%sF#r=FFYheKY16?|YCr0Z}Lg73Op&Bt+;07N;q=0qb?0So7_`qFY#2a5``y6KwD#`L&(akk)$w6u7UAA_e$_<tQ{mMN?xidkIm-"
        "G1Ll*p+snydkWmd;(`p0E0yU9rYo7=<F-$kZfDIErX|>RTpWQhUq${Fna78f9IkUA6)?m$A6Qce>F|>B_(G2`+S*`8=yYxUGONhalAs@ONy~$c"
        "!4SzQFaU`FZ3u5egEtTuhcsO7e)y(m1AI02_48~?zqEP*sQ<oDZ~u+nfr}Wezouva9iZ0;O6D*m!5NKe6fxl6bCBdbJ7tC<dV0sgGjJ9)04uQA"
        "LA*GZ&_d11>$laMx}+M4>1t#uEB(FG)wuJhdNR27BzkW-)_qGe+Pu1aH;9Kpby2Z*Gony{*xQOt+B?^^M(B%Bf3-Q0P7eOkxEFkBl6n6nAq_wZ"
        "^B&%XZXD>$ovF9`{8hf=tm)v>#W;i3(||#TPO?B_7uVS4X+B$QVtSFiu3<itX&Sb{cWza>WOjFPn{KYn#eRwz?|d5~_&nspU-m!B3V-%(M1HV*"
        "qCIW!y{`{)@JtM#Jw07eAPU5d>x9QX^DX4p>Lb&PU%p%p#Vupk<w2VQv$R(c9;PGU;<0<=qp^*MVI$avs3Dm%YDfx7>b#_~CsWc;vdL(a7@igO"
        "Osh5wtL0j44NoblkoAoG(n+DpmgLJWeW_8tMsW62IWmJ69Pu#DlFAY0MEO(MpF{f7V#KDgKf0T!m<<|xEOXxukA}|gH0sF%&FCa%0rjHt+$bE0"
        "2@OhdG!JQ@c!K=IQe>}~r^_{aMa=A_5%H`-tXZ{S!GZ+~7A*V=(D|(JO$+4B%DCIu<^MXfSmvz1N&Z_LfF^ue@F(RiXvB92+TzNeRbUgQFR@4)"
        "^Z!D^A?!T_b>QbX>f+8{yqk*1@hsZV{pYq&y#3F`6X##<{|BtnE$R"
    )
)


def book(rows: list[list[Any]], **change: Callable[[Any], None]) -> bytes:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    if "sheet" in change:
        change["sheet"](sheet)
    if "workbook" in change:
        change["workbook"](workbook)
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def xlsb(rows: list[list[str | float]]) -> bytes:
    """A binary workbook of one sheet, by [MS-XLSB] 2.4: each record is a type, a length and its bytes."""

    def record(kind: int, data: bytes = b"") -> bytes:
        head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
        length, more = b"", len(data)
        while True:
            length += bytes([more & 0x7F | (0x80 if more > 0x7F else 0)])
            more >>= 7
            if not more:
                return head + length + data

    def wide(text: str) -> bytes:
        return struct.pack("<I", len(text)) + text.encode("utf-16-le")

    sheet = record(129) + record(148, struct.pack("<4I", 0, len(rows) - 1, 0, len(rows[0]) - 1)) + record(145)
    for number, row in enumerate(rows):
        sheet += record(0, struct.pack("<IIHBBBI", number, 0, 0x12C, 0, 0, 0, 0))
        for column, cell in enumerate(row):
            place = struct.pack("<II", column, 0)
            sheet += record(6, place + wide(cell)) if isinstance(cell, str) else record(5, place + struct.pack("<d", cell))
    sheet += record(146) + record(130)
    names = record(131) + record(143) + record(156, struct.pack("<II", 0, 1) + wide("rId1") + wide("报告")) + record(144)
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet"
    relations = (
        '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{relation}" Target="worksheets/sheet1.bin"/></Relationships>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.bin", names + record(132))
        archive.writestr("xl/_rels/workbook.bin.rels", relations)
        archive.writestr("xl/worksheets/sheet1.bin", sheet)
    return out.getvalue()


def cells(sheet: Sheet) -> list[tuple[int, list[str]]]:
    return [(row.number, list(row.cells.values())) for row in sheet.rows]


def refusal(path: Path, sheet: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        read_sheet(path, None, sheet)
    assert caught.value.hint
    return str(caught.value)


# ---- cells ----


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12345678.0, "12345678"), (0.1 + 0.2, "0.3"), (2.5, "2.5"), (-3, "-3"), (999999999999999, "999999999999999"),
        ("00123", "00123"), ("110105196703140021", "110105196703140021"), (True, "TRUE"), (False, "FALSE"),
        (date(2023, 3, 4), "2023-03-04"), (datetime(2023, 3, 4, 5, 6, 7), "2023-03-04 05:06:07"),  # noqa: DTZ001
        (datetime(2023, 3, 4), "2023-03-04"), (time(3, 4), "03:04:00"), (timedelta(hours=30), "30:00:00"),  # noqa: DTZ001
        ("癌_x000D_\n转移", "癌\r\n转移"), ("#N/A", ""), ("#REF!", ""), ("=1/0", ""), (" 癌　", "癌"), (45000, "45000"),
    ],
)  # fmt: skip
def test_a_cell_is_what_a_person_sees(write: Write, value: object, text: str) -> None:
    sheet = read_sheet(write("a.xlsx", book([["病理号", "备注"], ["S23-1", value]])))
    assert [row.cells["备注"] for row in sheet.rows] == [text]
    assert sheet.ruined == ()


@pytest.mark.parametrize("number", [110105199001011234, 1.10105e17, 2**53, 10**15, -(10**17), 1e300])
def test_a_number_that_lost_digits_is_empty_and_named(write: Write, number: float) -> None:
    sheet = read_sheet(write("a.xlsx", book([["病理号", "身份证号"], ["S23-1", "x"], ["S23-2", number]])))
    assert cells(sheet)[1] == (3, ["S23-2", ""])
    assert sheet.ruined == ((3, "身份证号"),)


def test_the_result_of_a_formula(write: Write) -> None:
    data = book([["病理号", "年龄"], ["S23-1", "=50+6"]])
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, part.replace(b"<f>50+6</f><v />", b"<f>50+6</f><v>56</v>").replace(
                b"<f>50+6</f><v></v>", b"<f>50+6</f><v>56</v>"))  # fmt: skip
    assert cells(read_sheet(write("a.xlsx", out.getvalue()))) == [(2, ["S23-1", "56"])]


def test_both_calendars(write: Write) -> None:
    def of_1904(workbook: Any) -> None:
        workbook.epoch = CALENDAR_MAC_1904

    rows: list[list[Any]] = [["病理号", "报告日期"], ["S23-1", date(2023, 3, 14)], ["S23-2", 45000]]
    for data, epoch in ((book(rows), date(1899, 12, 30)), (book(rows, workbook=of_1904), date(1904, 1, 1))):
        sheet = read_sheet(write("a.xlsx", data))
        assert cells(sheet) == [(2, ["S23-1", "2023-03-14"]), (3, ["S23-2", "45000"])]
        assert sheet.epoch == epoch


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1), min_size=1, max_size=5))
def test_texts_come_back_as_they_are(texts: list[str]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        path = Path(directory, "a.xlsx")
        path.write_bytes(book([["病理号", "病理诊断"], *(["S1", f"文{text}"] for text in texts if "_x" not in text)]))
        kept = [f"文{text}".replace("$$", "\n").replace("%Enter%", "\n").strip() for text in texts if "_x" not in text]
        assert [row.cells["病理诊断"] for row in read_sheet(path).rows] == kept


# ---- heads and merged cells ----


def test_heads_below_titles_with_the_sheets_own_row_numbers(write: Write) -> None:
    def merge(sheet: Any) -> None:
        sheet.merge_cells("A1:D1")

    rows: list[list[Any]] = [["病理报告汇总表"], [], ["统计日期", "2023-01-01"], [], ["病理号", "姓名", "性别", "年龄"]]
    rows += [["S23-1", "甲", "女", 56], [], ["S23-2", "乙", "男", 60]]
    sheet = read_sheet(write("a.xlsx", book(rows, sheet=merge)))
    assert (sheet.heads, sheet.head_row) == (("病理号", "姓名", "性别", "年龄"), 5)
    assert cells(sheet) == [(6, ["S23-1", "甲", "女", "56"]), (8, ["S23-2", "乙", "男", "60"])]


def test_titles_above_a_text_export(write: Write) -> None:
    text = "病理报告汇总表\n统计,2023\n病理号,姓名,性别,年龄\nS23-1,甲,女,56\n病理号,姓名,性别,年龄\nS23-2,乙,男,60\n"
    for separator in ",\t":
        sheet = read_sheet(write("a.csv", text.replace(",", separator)))
        assert sheet.head_row == 3
        assert cells(sheet) == [(4, ["S23-1", "甲", "女", "56"]), (6, ["S23-2", "乙", "男", "60"])]


def test_a_table_about_heads_has_its_own(write: Write) -> None:
    # Rows of known heads below one of as many cells are data.
    sheet = read_sheet(write("a.csv", "column,routine,tct,note\n住院号,zyh,mzh,\n性别,brsex,sex,x\n"))
    assert sheet.heads == ("column", "routine", "tct", "note")
    assert len(sheet.rows) == 2


def test_merged_heads_of_two_rows_and_groups(write: Write) -> None:
    def merge(sheet: Any) -> None:
        for area in ("A1:A2", "B1:C1", "D1:D2"):
            sheet.merge_cells(area)

    rows = [["病理号", "患者信息", None, "病理诊断"], [None, "姓名", "性别", None], ["S23-1", "甲", "女", "癌"]]
    sheet = read_sheet(write("a.xlsx", book(rows, sheet=merge)))
    assert sheet.heads == ("病理号", "姓名", "性别", "病理诊断")
    assert cells(sheet) == [(3, ["S23-1", "甲", "女", "癌"])]


def test_all_heads_merged_over_two_rows_are_no_patient(write: Write) -> None:
    def merge(sheet: Any) -> None:
        sheet.merge_cells("A1:A2")
        sheet.merge_cells("B1:B2")

    sheet = read_sheet(write("a.xlsx", book([["病理号", "姓名"], [], ["S23-1", "甲"]], sheet=merge)))
    assert cells(sheet) == [(3, ["S23-1", "甲"])]


def test_a_patient_merged_over_specimens_is_in_each_row(write: Write) -> None:
    def merge(sheet: Any) -> None:
        for area in ("A2:A4", "B2:B4"):
            sheet.merge_cells(area)

    rows = [
        ["病理号", "姓名", "标本名称"],
        ["S23-1", "甲", "左乳"],
        [None, None, "右乳"],
        [None, None, None],
        ["S23-2", "乙", "胃"],
    ]
    sheet = read_sheet(write("a.xlsx", book(rows, sheet=merge)))
    assert cells(sheet) == [
        (2, ["S23-1", "甲", "左乳"]), (3, ["S23-1", "甲", "右乳"]), (4, ["S23-1", "甲", ""]), (5, ["S23-2", "乙", "胃"])
    ]  # fmt: skip


def test_a_cell_over_several_columns_is_no_row(write: Write) -> None:
    def merge(sheet: Any) -> None:
        sheet.merge_cells("A3:C3")

    rows = [["病理号", "姓名", "性别"], ["S23-1", "甲", "女"], ["合计：共 1 例"]]
    sheet = read_sheet(write("a.xlsx", book(rows, sheet=merge)))
    assert cells(sheet) == [(2, ["S23-1", "甲", "女"])]
    assert sheet.misfits == (3,)


def test_a_column_without_head_is_named_by_number(write: Write) -> None:
    sheet = read_sheet(write("a.xlsx", book([["病理号", None, "姓名"], ["S23-1", "x", "甲", "y"], ["S23-2", None, "乙"]])))
    assert cells(sheet) == [(2, ["S23-1", "甲"]), (3, ["S23-2", "乙"])]
    assert (sheet.unnamed, sheet.misfits) == ((2, 4), ())


# ---- which sheet ----


def test_the_first_visible_sheet_with_known_heads(write: Write) -> None:
    def more(workbook: Any) -> None:
        for title, state, number in (
            ("旧", "hidden", "S1"),
            ("深", "veryHidden", "S2"),
            ("空", "visible", None),
            ("报告", "visible", "S3"),
        ):
            sheet = workbook.create_sheet(title)
            sheet.sheet_state = state
            for row in [["病理号", "姓名"], [number, "甲"]] if number else []:
                sheet.append(row)

    path = write("a.xlsx", book([["说明"], ["请勿修改"]], workbook=more))
    assert cells(read_sheet(path)) == [(2, ["S3", "甲"])]
    assert cells(read_sheet(path, None, "旧")) == [(2, ["S1", "甲"])]
    assert "no sheet `旧的`" in refusal(path, "旧的")
    assert "has no head row" in refusal(path, "空")


def test_heads_that_only_a_mapping_knows(write: Write) -> None:
    data = book([["汇总"], [], ["编码", "诊断文字", "甲", "乙"], ["S23-1", "癌", "1", "2"]])
    sheet = read_sheet(write("a.xlsx", data), expected=["编码", "诊断文字"])
    assert (sheet.head_row, sheet.heads[0]) == (3, "编码")


def test_old_workbooks(write: Write) -> None:
    sheet = read_sheet(write("a.xls", XLS))
    assert (sheet.head_row, sheet.heads) == (2, ("病理号", "住院号", "报告日期", "年龄", "病理诊断"))
    assert cells(sheet) == [
        (3, ["S23-00001", "12345678", "2023-03-14", "56", "癌"]), (4, ["S23-00001", "12345678", "45000", "56", "腺瘤"]),
        (5, ["S23-00002", "", "", "", "炎"]),
    ]  # fmt: skip
    assert sheet.ruined == ((5, "住院号"),)
    assert sheet.epoch is None


def test_binary_workbooks(write: Write) -> None:
    sheet = read_sheet(write("a.xlsb", xlsb([["病理号", "住院号"], ["S23-1", 12345678.0], ["S23-2", 1.10105e17]])))
    assert cells(sheet) == [(2, ["S23-1", "12345678"]), (3, ["S23-2", ""])]
    assert sheet.ruined == ((3, "住院号"),)


def test_the_content_says_what_it_is_and_not_the_name(write: Write) -> None:
    assert cells(read_sheet(write("a.csv", book([["病理号", "姓名"], ["S23-1", "甲"]])))) == [(2, ["S23-1", "甲"])]
    assert cells(read_sheet(write("a.xls", "病理号\t姓名\nS23-1\t甲\n".encode("gb18030")))) == [(2, ["S23-1", "甲"])]


# ---- what cannot be read ----

GOOD = book([["病理号"], ["王小红"]])


def _zip_of(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:-200], GOOD[:300], GOOD[:2000] + bytes(2000) + GOOD[4000:], b"PK\x03\x04", _zip_of("word/x.xml", b"<x/>"),
        _zip_of("xl/workbook.xml", b"<x"), XLS[:600], XLS[:3000], b"\xd0\xcf\x11\xe0" + bytes(2000),
    ],
)  # fmt: skip
def test_broken_workbooks_are_refused(write: Write, data: bytes) -> None:
    message = refusal(write("a.xlsx", data))
    assert "a.xlsx" in message
    assert "王小红" not in message


def test_a_protected_workbook(write: Write) -> None:
    data = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1024) + "EncryptedPackage".encode("utf-16-le") + bytes(1024)
    assert "protected by a password" in refusal(write("a.xlsx", data))


def test_a_stray_cell_in_the_last_corner(write: Write) -> None:
    def stray(sheet: Any) -> None:
        sheet["XFD1048576"] = "x"

    assert "too large" in refusal(write("a.xlsx", book([["病理号"], ["1"]], sheet=stray)))


def test_empty_sheets_have_no_heads(write: Write) -> None:
    assert "has no head row" in refusal(write("a.xlsx", book([])))
    assert "has no head row" in refusal(write("b.xls", "<html><body><table></table></body></html>"))


def test_one_head_twice_is_named_by_its_column(write: Write) -> None:
    message = refusal(write("a.xlsx", book([["病理号", "王小红", "王小红"], [1, 2, 3]])))
    assert "column 3" in message
    assert "王小红" not in message


def test_xml_of_2003_and_sheets_of_a_text_are_refused(write: Write) -> None:
    xml = '<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"></Workbook>'
    assert "XML spreadsheet" in refusal(write("a.xls", xml))
    assert "no workbook" in refusal(write("a.csv", "病理号\n1\n"), "报告")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
def test_a_changed_byte_never_ends_in_another_error(place: int, byte: int) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        path = Path(directory, "a.xlsx")
        path.write_bytes(GOOD[:place] + bytes([byte]) + GOOD[place + 1 :])
        try:
            read_sheet(path)
        except UsageError as error:
            assert "王小红" not in str(error)  # noqa: PT017


# ---- HTML saved as .xls ----

PAGE = """<html xmlns:x="urn:schemas-microsoft-com:office:excel"><head><meta charset=gb2312><style>td {x: y}</style></head>
<body><table border=1><tr><td colspan=3>病理报告汇总表</td></tr>
<tr><th>病理号<th>姓名<th>病理诊断</tr>
<tr><td rowspan=2>S23-1</td><td rowspan="2">䶮&nbsp;&amp;&#x738B;</td><td>癌<br>转移
  二</td></tr><tr><td><p>腺瘤</p></td></tr>
<tr><td>S23-2<td>乙<td><table><tr><td>内</td></tr></table>炎</tr></table><script>x<y</script></body></html>"""


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-8-sig", "utf-16"])
def test_a_page_that_says_gb2312(write: Write, encoding: str) -> None:
    sheet = read_sheet(write("a.xls", PAGE.encode(encoding)))
    assert (sheet.heads, sheet.head_row) == (("病理号", "姓名", "病理诊断"), 2)
    assert cells(sheet) == [
        (3, ["S23-1", "䶮 &王", "癌\n转移 二"]), (4, ["S23-1", "䶮 &王", "腺瘤"]), (5, ["S23-2", "乙", "炎"])
    ]  # fmt: skip
    assert sheet.encoding == encoding


def test_a_page_in_big5_says_so(write: Write) -> None:
    head = '<html><meta http-equiv="Content-Type" content="text/html; charset=big5">'
    page = head + "<table><tr><td>病理號<td>姓名<tr><td>1<td>紅</table>"
    assert read_sheet(write("a.xls", page.encode("big5"))).heads == ("病理號", "姓名")


@pytest.mark.parametrize(
    ("data", "is_page"),
    [
        (b"<html>", True), (b"\xef\xbb\xbf \n<!DOCTYPE html><HTML>", True), (b"<table><tr>", True),
        ("<table>".encode("utf-16"), True),
        (b"a,<table>\n", False), (b"<?xml version='1.0'?><ClinicalDocument/>", False), (b"", False),
    ],
)  # fmt: skip
def test_pages_are_told_by_content(data: bytes, is_page: bool) -> None:
    assert is_html(data) is is_page


def test_declared_encodings() -> None:
    assert declared_encoding(b'<meta charset="big5">') == "big5"
    assert [declared_encoding(b"<meta charset=" + name + b">") for name in (b"gb2312", b"GBK", b"utf-8", b"x-gbk")] == [
        None
    ] * 4
    assert declared_encoding(b"<html>") is None


@pytest.mark.parametrize(
    ("page", "rows"),
    [
        ("<table><tr><td>a<td>b<tr><td>c", [["a", "b"], ["c", ""]]),
        ("<table><td>a</td></table></table></td>", [["a"]]),
        ("<table><tr><td rowspan=9 colspan=2>a<td>b</tr><tr><td>c</tr></table>", [["a", "", "b"], ["a", "", "c"]]),
        ("<table><tr><td rowspan=x colspan=-1>a</td></tr></table>", [["a"]]),
        ("<head><title>t<table><tr><td>a</td></tr></table>", [["a"]]),
    ],
)  # fmt: skip
def test_untidy_pages(page: str, rows: list[list[str]]) -> None:
    assert [grid.rows for grid in read_tables(page)] == [rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["<table>", "</table>", "<tr>", "</tr>", "<td>", "<td rowspan=3>", "<td colspan=2>", "</td>",
                                 "<br>", "a", "<script>", "</script>", "<!--", "-->", "&amp", "<"])))  # fmt: skip
def test_no_page_breaks_the_reader(parts: list[str]) -> None:
    for grid in read_tables("".join(parts)):
        assert len({len(row) for row in grid.rows}) <= 1
