"""Templates of authorities, filled with hostile values, and the folder that a person uploads."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pytest
from defusedxml.ElementTree import fromstring
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openpyxl.formatting.rule import FormulaRule
from openpyxl.styles import Border, Font, PatternFill, Side
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from python_calamine import CalamineWorkbook

from pathcurate import wholefolder
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.ownfolder import held
from pathcurate.releases import Release, read_release
from pathcurate.submission import Filled, Values, fill_docx, fill_xlsx, release_values, write_bundle
from pathcurate.submission.names import LONGEST, printable
from tests.built import PRODUCT, build_release
from tests.releases import copied

HOSTILE = "=cmd|' /C calc'!A0 <w:p/> & \"{{ 7*7 }}\" {% for %} {_{ _} ]]> &#65; ${x}"
DOSSIER: dict[str, Any] = {
    "数据名称": HOSTILE,
    "登记主体": {"名称": "示例市病理诊断中心", "网址": None},
    "权利类型": ["数据持有权", "数据使用权"],
    "是否出境": False,
    "记录数": 12,
    "结构规模": {
        "数据表": [
            {"名称": "slides", "记录数": 3, "字段": [{"名称": "slide_id"}, {"名称": "-1+1"}]},
            {"名称": "cases", "记录数": 4, "字段": [{"名称": "@case"}]},
        ]
    },
}
FORM: dict[str, Any] = {"数据规模（条）": 20, "交付方式": None, "数据来源": "原始取得"}
VALUES = Values((FORM, DOSSIER, {"交付方式": "受控环境", "数据来源": {"方式": "收集取得"}}))


_KIND = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_SLIM = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_KIND}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_KIND}.styles+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/_rels/document.xml.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    f'<Relationship Id="rId1" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    "word/styles.xml": f"<w:styles {_NAMESPACE}/>",
    "word/document.xml": f"<w:document {_NAMESPACE}><w:body><w:sectPr/></w:body></w:document>",
}
"""A document without the many styles of python-docx, which take long to read."""


def slim() -> Any:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in _SLIM.items():
            archive.writestr(name, text)
    return docx.Document(out)


def word(*paragraphs: str, table: tuple[tuple[str, ...], ...] = ()) -> bytes:
    document = slim()
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        cells = document.add_table(rows=len(table), cols=len(table[0]))
        for row, texts in enumerate(table):
            for column, text in enumerate(texts):
                cells.cell(row, column).text = text
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def book(**cells: object) -> tuple[openpyxl.Workbook, Any]:
    made = openpyxl.Workbook()
    sheet: Any = made.active
    for place, value in cells.items():
        sheet[place] = value
    return made, sheet


def saved(made: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def opened(filled: Filled) -> Any:
    return openpyxl.load_workbook(io.BytesIO(filled.content)).active


def paragraphs(filled: Filled) -> list[str]:
    return [paragraph.text for paragraph in docx.Document(io.BytesIO(filled.content)).paragraphs]


def rules(filled: Filled) -> set[tuple[str, str]]:
    """Rule and name of each finding."""
    return {(each.rule.removeprefix("submission."), each.message.split("`")[1]) for each in filled.findings}


def with_parts(data: bytes, parts: Mapping[str, bytes | None]) -> bytes:
    """A file with parts replaced, added or (None) removed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        content = {name: archive.read(name) for name in archive.namelist()} | parts
        for name, part in content.items():
            if part is not None:
                target.writestr(name, part)
    return out.getvalue()


def part(data: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(name)


# --- Word ------------------------------------------------------------------------------------------------------------


_COLUMNS = "{% for 列 in 表.字段 %}{{ 列.名称 }}{% if not loop.last %};{% endif %}{% endfor %}"


def test_values_stand_in_a_document_as_they_are() -> None:
    filled = fill_docx(
        word(
            "{{ 数据名称 }}",
            "{{登记主体.名称}}（{{ 权利类型 }}，{{ 是否出境 }}，{{ 记录数 }}）",
            "{{ 数据规模（条） }} {{ 本表.登记主体.名称 }} {{ 数据来源 }} {{ 数据来源.方式 }} {{ 结构规模.数据表.名称 }}",
            table=(
                ("{%tr for 表 in 结构规模.数据表 %}", ""),
                ("{{ loop.index }} {{ 表.名称 }}", _COLUMNS),
                ("{%tr endfor %}", ""),
            ),
        ),
        VALUES,
    )  # fmt: skip
    assert paragraphs(filled) == [
        HOSTILE,
        "示例市病理诊断中心（数据持有权、数据使用权，否，12）",
        "20 示例市病理诊断中心 原始取得 收集取得 slides、cases",
    ]
    rows = docx.Document(io.BytesIO(filled.content)).tables[0].rows
    assert [[cell.text for cell in row.cells] for row in rows] == [["1 slides", "slide_id;-1+1"], ["2 cases", "@case"]]
    assert filled.findings == ()


def test_headers_and_footers_are_filled_and_properties_stay() -> None:
    document = docx.Document()
    document.core_properties.title = "A & B"
    document.sections[0].header.paragraphs[0].text = "{{ 登记主体.名称 }}"
    document.sections[0].footer.paragraphs[0].text = "{{ 数据名称 }}"
    out = io.BytesIO()
    document.save(out)
    again = docx.Document(io.BytesIO(fill_docx(out.getvalue(), VALUES).content))
    assert again.sections[0].header.paragraphs[0].text == "示例市病理诊断中心"
    assert again.sections[0].footer.paragraphs[0].text == HOSTILE
    assert again.core_properties.title == "A & B"


def test_a_value_in_a_footnote_of_many_sections_is_no_template() -> None:
    note = "<w:footnote><w:p><w:r><w:t>{{ 数据名称 }}</w:t></w:r></w:p></w:footnote>"
    notes = f"<w:footnotes {_NAMESPACE}>{note}</w:footnotes>"
    document = slim()
    document.add_section()
    document.add_section()
    document.part.relate_to(
        Part(PackURI("/word/footnotes.xml"), f"{_KIND}.footnotes+xml", notes.encode(), document.part.package),
        f"{_RELATIONS}/footnotes",
    )
    out = io.BytesIO()
    document.save(out)
    filled = fill_docx(out.getvalue(), VALUES)
    assert "".join(fromstring(part(filled.content, "word/footnotes.xml")).itertext()) == HOSTILE
    assert filled.findings == ()


def test_a_placeholder_that_word_tore_into_runs_is_filled_with_the_style_of_its_first() -> None:
    document = slim()
    paragraph = document.add_paragraph()
    paragraph.add_run("{{ 登记").bold = True
    paragraph.add_run("主体.名")
    paragraph.add_run("称 }}")
    out = io.BytesIO()
    document.save(out)
    again = docx.Document(io.BytesIO(fill_docx(out.getvalue(), VALUES).content)).paragraphs[0]
    assert again.text == "示例市病理诊断中心"
    assert again.runs[0].bold


def test_what_is_unknown_or_not_given_is_told_once_each() -> None:
    text = "{{ 数据名臣 }}{{ 数据名臣 }}{{ 登记主体.名 }}{{ 登记主体.网址 }}{{ 交付方式 }}{{ 登记主体 }}"
    filled = fill_docx(
        word(text + "{% if 没有 %}x{% endif %}{% for 表 in 数据表们 %}{{ 表.名称 }}{% endfor %}{{ 数据名称.长度 }}"), VALUES
    )
    assert paragraphs(filled) == [""]
    assert rules(filled) == {
        ("unknown_name", "数据名臣"), ("unknown_name", "登记主体.名"), ("unknown_name", "没有"),
        ("unknown_name", "数据表们"), ("unknown_name", "数据名称.长度"), ("not_given", "登记主体.网址"),
        ("not_given", "交付方式"), ("not_a_value", "登记主体"),
    }  # fmt: skip
    assert all(finding.subject == "template.docx" for finding in filled.findings)


@pytest.mark.parametrize(
    "attack",
    [
        "{{ 'a' * 9999999999 }}",
        "{{ (10 ** 10) ** 10 }}",
        "{{ (7 * 7) }}",
        "{{ range(9) }}",
        "{{ 数据名称.upper() }}",
        "{{ 数据名称 | attr('__class__') }}",
        "{{ 数据名称 | safe }}",
        "{{ 数据名称 | indent(999999999) }}",
        "{{ '%1000000000d' % 1 }}",
        "{% set x = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% for x in 权利类型 recursive %}{% endfor %}",
        "{% if 权利类型 is mapping %}{% endif %}",
        "{{ cycler }}{{ self() }}",
        "{{ 数据名称",
        "{% for x in %}",
        "{% if 数据名称 %}",
        "{{r 数据名称 }}",
        "{{p 数据名称 }}",
        "{% colspan 数据名称 %}",
    ],
)
def test_a_template_can_do_nothing_but_name_values(attack: str) -> None:
    with pytest.raises(UsageError, match=r"t\.docx cannot be filled"):
        fill_docx(word(attack), VALUES, "t.docx")


@pytest.mark.parametrize(
    "name", ["__class__", "__init__.__globals__", "_found", "child", "text", "items", "changed", "previtem"]
)
def test_pythons_names_are_no_names(name: str) -> None:
    names = f"数据名称.{name}", f"登记主体['{name}']", name, f"loop.{name}"
    looped = f"{{% for 权 in 权利类型 %}}{{{{ loop.{name} }}}}{{% endfor %}}"
    filled = fill_docx(word(*(f"{{{{ {each} }}}}" for each in names), looped), VALUES)
    assert paragraphs(filled) == [""] * 5
    assert {rule for rule, _ in rules(filled)} == {"unknown_name"}


def test_loops_inside_of_loops_come_to_an_end() -> None:
    values = Values(({"甲": [{"乙": "x"}] * 2000},))
    loops = "".join(f"{{% for v{n} in 甲 %}}" for n in range(4)) + "{% endfor %}" * 4
    with pytest.raises(UsageError, match="200,000 times"):
        fill_docx(word(loops), values)


@settings(max_examples=8, deadline=None)
@given(text=st.text(st.characters(codec=None), max_size=60))
@example(text="".join(map(chr, range(0x20, 0x100))))
@example(text="{_{{_%%_}}_}_x0041_ \ud800\uffff\U0001f600\u200b")
def test_any_text_stands_in_both_as_it_is_printable(text: str) -> None:
    values = Values(({"值": text},))
    expected = printable(text)
    if expected:
        assert paragraphs(fill_docx(_ONE_WORD, values)) == [f"a{expected}b"]
        sheet = CalamineWorkbook.from_filelike(io.BytesIO(fill_xlsx(_ONE_CELL, values).content)).get_sheet_by_index(0)
        assert sheet.to_python()[0][0] == f"a{expected}b"


_ONE_WORD = word("a{{ 值 }}b")
_ONE_CELL = saved(book(A1="a{{ 值 }}b")[0])


def test_lines_of_a_value_stay_lines_and_signs_that_turn_a_text_go() -> None:
    filled = fill_docx(word("{{ 值 }}"), Values(({"值": "一\r\n二\u2028三\u202e四\x0b五\x00六\f七\a八"},)))
    assert paragraphs(filled) == ["一\n二\n三四 五 六 七 八"]


def test_a_text_that_is_too_long_is_cut_and_told() -> None:
    filled = fill_docx(word("{{ 值 }}"), Values(({"值": "长" * (LONGEST + 5)},)))
    assert paragraphs(filled) == ["长" * LONGEST]
    assert rules(filled) == {("too_long", "值")}
    filled = fill_xlsx(saved(book(A1="{{ 值 }}")[0]), Values(({"值": "长" * 40_000},)))
    assert opened(filled)["A1"].value == "长" * 32_767
    assert rules(filled) == {("too_long", "A1")}


# --- Excel -----------------------------------------------------------------------------------------------------------


def test_a_value_is_never_a_formula() -> None:
    starts = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "#N/A", "=", "_x0041_", "\t=1", "TRUE", "1e5", "0012"]
    made, sheet = book()
    for row, _ in enumerate(starts, 1):
        sheet.cell(row, 1, f"{{{{ v{row} }}}}")
    filled = fill_xlsx(saved(made), Values(({f"v{row}": text for row, text in enumerate(starts, 1)},)))
    again = opened(filled)
    assert [again.cell(row, 1).data_type for row in range(1, len(starts) + 1)] == ["s"] * len(starts)
    assert [again.cell(row, 1).quotePrefix for row in range(1, 6)] == [True] * 5
    assert b"<f>" not in part(filled.content, "xl/worksheets/sheet1.xml")
    seen = CalamineWorkbook.from_filelike(io.BytesIO(filled.content)).get_sheet_by_index(0).to_python()
    assert [cells[0] for cells in seen] == starts


def test_a_cell_holds_several_values_and_a_lone_number_stays_one() -> None:
    made, _ = book(
        A1="{{记录数}}", A2="{{ 数据规模（条） }}条 / {{ 登记主体.名称 }}", A3="{{ 是否出境 }}", A4="{{ 大 }}", A5="静"
    )
    again = opened(fill_xlsx(saved(made), Values(({**DOSSIER, **FORM, "大": 10**17},))))
    assert [again.cell(row, 1).value for row in range(1, 6)] == [12, "20条 / 示例市病理诊断中心", "否", str(10**17), "静"]


def test_a_row_is_repeated_for_each_entry_and_all_below_follows() -> None:
    made, sheet = book(
        A1="{{ 登记主体.名称 }}", A3="{{ 序号 }}", B3="{{ 结构规模.数据表.名称 }}", C3="{{ 结构规模.数据表.字段.名称 }}",
        D3="{{ 结构规模.数据表.记录数 }}", E3="=D3*$D$9", A4="合计", D4="=SUM(D3:D3)", E4="=D4+D9+A1", D9=2, F1="=Sheet!D4",
        G4="{{ 记录数 }}",
    )  # fmt: skip
    sheet["B3"].font, sheet["B3"].border = Font(bold=True), Border(bottom=Side("thin"))
    sheet["B3"].fill = PatternFill("solid", fgColor="FFEECC")
    sheet.merge_cells("H3:I3")
    sheet.merge_cells("J2:J4")
    sheet.merge_cells("A6:C6")
    sheet.row_dimensions[3].height, sheet.row_dimensions[4].height = 31, 42
    validation = DataValidation("list", formula1="$A$9:$A$12", sqref="B3:B5")
    sheet.add_data_validation(validation)
    sheet.conditional_formatting.add("D3:D4", FormulaRule(formula=["D3>$D$9"], fill=PatternFill(bgColor="FF0000")))
    sheet.print_area = "A1:J9"
    sheet["A9"].hyperlink = "https://registry.example/"
    other = made.create_sheet("第二 页")
    other["A1"] = "=SUM(Sheet!D3:D4)*A5"
    made.defined_names["total"] = DefinedName("total", attr_text="Sheet!$D$4")
    again = openpyxl.load_workbook(io.BytesIO(fill_xlsx(saved(made), VALUES).content))
    filled = again["Sheet"]
    assert [[cell.value for cell in row] for row in filled["A3:E6"]] == [
        [1, "slides", "slide_id", 3, "=D3*$D$11"],
        [2, "slides", "-1+1", 3, "=D4*$D$11"],
        [3, "cases", "@case", 4, "=D5*$D$11"],
        ["合计", None, None, "=SUM(D3:D5)", "=D6+D11+A1"],
    ]
    assert (filled["F1"].value, again["第二 页"]["A1"].value) == ("=Sheet!D6", "=SUM(Sheet!D3:D6)*A5")
    assert again.defined_names["total"].attr_text == "Sheet!$D$6"
    assert filled["G6"].value == 12
    assert {str(area) for area in filled.merged_cells.ranges} == {"H3:I3", "H4:I4", "H5:I5", "J2:J6", "A8:C8"}
    for row in (3, 4, 5):
        cell = filled.cell(row, 2)
        assert (cell.font.bold, cell.border.bottom.style, cell.fill.fgColor.rgb) == (True, "thin", "00FFEECC")
    assert [filled.row_dimensions[row].height for row in (3, 4, 5, 6)] == [31, 31, 31, 42]
    assert [str(each.sqref) for each in filled.data_validations.dataValidation] == ["B3:B7"]
    assert filled.data_validations.dataValidation[0].formula1 == "$A$11:$A$14"
    assert [str(each.sqref) for each in filled.conditional_formatting] == ["D3:D6"]
    assert next(iter(filled.conditional_formatting)).rules[0].formula == ["D3>$D$11"]
    assert filled.print_area == "'Sheet'!$A$1:$J$11"
    assert (filled["A11"].hyperlink.ref, filled["A11"].hyperlink.target) == ("A11", "https://registry.example/")


def test_two_repeated_rows_and_an_empty_list() -> None:
    made, _ = book(A1="{{ 甲.名 }}", A2="{{ 乙.名 }}", A3="{{ 无.名 }}", A4="=A3", B1="{{ 甲.名 }} {{ 乙.名 }}")
    values = Values(({"甲": [{"名": "a"}, {"名": "b"}], "乙": [{"名": n} for n in "xyz"], "无": []},))
    filled = fill_xlsx(saved(made), values)
    again = opened(filled)
    assert [again.cell(row, 1).value for row in range(1, 8)] == ["a", "b", "x", "y", "z", None, "=A6"]
    assert [again.cell(row, 2).value for row in (1, 2)] == ["a x、y、z", "b x、y、z"]
    assert {rule for rule, _ in rules(filled)} == {"two_lists", "not_given"}


def test_a_workbook_that_would_become_too_large_is_refused() -> None:
    values = Values(({"甲": [{"名": "a"}, {"名": "b"}] * 300},))
    wide, _ = book(A1="{{ 甲.名 }}", XFD1="x")
    many, _ = book(**{f"A{row}": "{{ 甲.名 }}" for row in range(1, 12)})
    for made in (wide, many):
        with pytest.raises(UsageError, match="repeats more than 10 rows of a sheet, or to over 200,000 cells"):
            fill_xlsx(saved(made), values)


def test_placeholders_where_nothing_is_filled_are_told() -> None:
    made, sheet = book(A1="=CONCAT({{ 记录数 }})", A2="{{ 记录", A3="{{ 数据名臣 }}", A4="{{ 登记主体.网址 }}")
    sheet.oddHeader.center.text = "plain"
    filled = fill_xlsx(saved(made), VALUES)
    assert rules(filled) == {
        ("not_filled_there", "A1"), ("not_filled_there", "A2"), ("unknown_name", "数据名臣"), ("not_given", "登记主体.网址"),
    }  # fmt: skip
    assert opened(filled)["A1"].value == "=CONCAT({{ 记录数 }})"
    assert rules(fill_xlsx(saved(book(A1="静")[0]), VALUES)) == {("no_placeholder", "template.xlsx")}
    assert rules(fill_docx(word("静"), VALUES)) == {("no_placeholder", "template.docx")}
    shapes = with_parts(saved(book(A1="{{ 记录数 }}")[0]), {"xl/drawings/drawing1.xml": b"<a><sp>{{ x }}</sp></a>"})
    assert rules(fill_xlsx(shapes, VALUES)) == {
        ("not_filled_there", "xl/drawings/drawing1.xml"), ("lost", "drawn shapes"),
    }  # fmt: skip


# --- Templates from outside ------------------------------------------------------------------------------------------


def _types(data: bytes, before: bytes, after: bytes) -> bytes:
    return with_parts(data, {"[Content_Types].xml": part(data, "[Content_Types].xml").replace(before, after)})


def _relation(data: bytes, name: str, kind: bytes) -> bytes:
    relation = (
        b'<Relationship Id="rId99" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/%s" '
        b'Target="http://evil.example/x" TargetMode="External"/></Relationships>' % kind
    )
    return with_parts(data, {name: part(data, name).replace(b"</Relationships>", relation)})


_WORD, _EXCEL = word("{{ 记录数 }}"), saved(book(A1="{{ 记录数 }}")[0])
_BOMB = io.BytesIO()
with zipfile.ZipFile(_BOMB, "w", zipfile.ZIP_DEFLATED) as _archive:
    for _number in range(9):
        _archive.writestr(f"word/{_number}.xml", b" " * (16 << 20))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("t.docm", _WORD, "no .docx or .xlsx"),
        ("t.xls", _EXCEL, "no .docx or .xlsx"),
        ("t.docx", b"", "can be read"),
        ("t.docx", b"PK\x03\x04" + b"\0" * 99, "can be read"),
        ("t.docx", b"\xd0\xcf\x11\xe0" * 200, "can be read"),
        ("t.docx", _WORD[: len(_WORD) // 2], "can be read"),
        ("t.docx", _EXCEL, "is no .docx file"),
        ("t.xlsx", _WORD, "is no .xlsx file"),
        ("t.docx", _BOMB.getvalue(), "too large"),
        ("t.docx", b"\0" * ((32 << 20) + 1), "too large"),
        ("t.docx", with_parts(_WORD, {f"x/{n}.bin": b"" for n in range(2001)}), "too large"),
        ("t.docx", with_parts(_WORD, {"word/vbaProject.bin": b"x"}), "macros"),
        ("t.docx", _types(_WORD, b"vnd.openxmlformats-officedocument.wordprocessingml.document.main",
                          b"vnd.ms-word.document.macroEnabled.main"), "macros"),
        ("t.xlsx", _types(_EXCEL, b"vnd.openxmlformats-officedocument.spreadsheetml.sheet.main",
                          b"vnd.ms-excel.sheet.macroEnabled.main"), "macros"),
        ("t.xlsx", with_parts(_EXCEL, {"xl/macrosheets/sheet1.xml": b"<a/>"}), "macros"),
        ("t.xlsx", with_parts(_EXCEL, {"xl/externalLinks/externalLink1.xml": b"<a/>"}), "links to other files"),
        ("t.docx", with_parts(_WORD, {"word/embeddings/oleObject1.bin": b"x"}), "embedded"),
        ("t.docx", with_parts(_WORD, {"word/activeX/activeX1.xml": b"<a/>"}), "controls"),
        ("t.docx", _relation(_WORD, "word/_rels/document.xml.rels", b"attachedTemplate"), "from outside"),
        ("t.docx", _relation(_WORD, "word/_rels/document.xml.rels", b"image"), "from outside"),
        ("t.xlsx", _relation(_EXCEL, "xl/_rels/workbook.xml.rels", b"oleObject"), "from outside"),
        ("t.docx", with_parts(_WORD, {"word/styles.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"}), "no XML"),
        ("t.docx", with_parts(_WORD, {"word/styles.xml": "<!DOCTYPE a><a/>".encode("utf-16")}), "no XML"),
        ("t.docx", with_parts(_WORD, {"word/document.xml": b"<w:document"}), "no XML"),
        ("t.docx", with_parts(_WORD, {"../../x.xml": b"<a/>"}), "can be read"),
        ("t.docx", with_parts(_WORD, {"[Content_Types].xml": None}), "no XML"),
        ("t.docx", with_parts(_WORD, {"word/document.xml": None}), "cannot be filled"),
        ("t.xlsx", with_parts(_EXCEL, {"xl/workbook.xml": b"<a/>"}), "cannot be filled"),
        ("t.xlsx", with_parts(_EXCEL, {"xl/worksheets/sheet1.xml": None}), "cannot be filled"),
        ("t.xlsx", saved(book(A1="{{ 记录数 }}", XFD1048576="x")[0]), "more than 200,000 cells"),
    ],
)  # fmt: skip
def test_a_template_that_may_do_harm_is_refused(name: str, data: bytes, said: str) -> None:
    fill = fill_xlsx if name.startswith("t.xls") else fill_docx
    with pytest.raises(UsageError, match=said.replace(".", r"\.")) as caught:
        fill(data, VALUES, name)
    assert name in caught.value.message
    assert caught.value.hint


def test_a_hyperlink_to_outside_stays() -> None:
    linked = _relation(_WORD, "word/_rels/document.xml.rels", b"hyperlink")
    assert b"evil.example" in part(fill_docx(linked, VALUES).content, "word/_rels/document.xml.rels")


_PRINT_DIGEST = """
import sys, hashlib
from pathlib import Path
from pathcurate.submission import Values, fill_docx, fill_xlsx
values = Values(({"记录数": 1, "甲": [{"名": "a"}, {"名": "b"}]},))
for fill, name in ((fill_docx, "t.docx"), (fill_xlsx, "t.xlsx")):
    print(hashlib.sha256(fill(Path(sys.argv[1], name).read_bytes(), values).content).hexdigest())
"""


def test_the_same_template_and_values_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    made, sheet = book(A1="{{ 记录数 }}", A2="{{ 甲.名 }}", A5="=SUM(A2:A2)")
    for row in range(10, 30):
        sheet.merge_cells(f"A{row}:C{row}")
    excel = with_parts(saved(made), {"docProps/core.xml": None, "_rels/.rels": _RELS})
    (tmp_path / "t.xlsx").write_bytes(excel)
    (tmp_path / "t.docx").write_bytes(_WORD)
    values = Values(({"记录数": 1, "甲": [{"名": "a"}, {"名": "b"}]},))
    here = [fill_docx(_WORD, values).content, fill_xlsx(excel, values).content]
    command = [sys.executable, "-c", _PRINT_DIGEST, str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[2])}
    there = subprocess.run(command, capture_output=True, check=True, env=environment).stdout.decode().split()
    assert there == [hashlib.sha256(content).hexdigest() for content in here]
    core = "docProps/core.xml"
    assert part(fill_xlsx(_EXCEL, values).content, core) == part(_EXCEL, core)
    for content in here:
        # Nothing in it is of today: whenever it is made, it is the same.
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
            assert archive.namelist()[0] == "[Content_Types].xml"
            assert not any(str(datetime.now(UTC).year).encode() + b"-" in archive.read(name) for name in archive.namelist())


_RELS = (
    b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    b'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/>'
    b"</Relationships>"
)


# --- The folder ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return read_release(build_release(tmp_path_factory.mktemp("submission") / "w"))


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A workspace's ``forms/templates`` with a document and a workbook for one regime."""
    folder = tmp_path / "forms" / "templates"
    (folder / "zj-data-ip").mkdir(parents=True)
    (folder / "zj-data-ip" / "申请表.docx").write_bytes(
        word("{{数据名称}}；{{数据来源}}；{{授权期限}}；{{发布摘要}}；{{表单.申请人.名称}}；{{档案.数据来源.方式}}")
    )
    made, _ = book(A1="{{ 字段.数据表 }}", B1="{{ 字段.名称 }}", C1="{{ 字段.中文名 }}", D1="{{ 字段.可空 }}")
    (folder / "zj-data-ip" / "字段.xlsx").write_bytes(saved(made))
    (folder / "ndi-catalog").mkdir()
    (folder / "ndi-catalog" / "other.docm").write_bytes(b"of another regime")
    return folder


def test_the_folder_holds_what_a_person_uploads_and_no_data(release: Release, templates: Path, tmp_path: Path) -> None:
    made = write_bundle(release, "zj-data-ip", templates, tmp_path / "out" / "b")
    folder = made.directory
    on_disk = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert on_disk == sorted([*made.files, "sha256sums.txt"]) == [
        "DATASHEET.en.md", "DATASHEET.zh.md", "README.txt", "cn-dossier.json", "filled/字段.xlsx", "filled/申请表.docx",
        "form.json", "sample/slides.json", "sha256sums.txt",
    ]  # fmt: skip
    dossier = json.loads((release.directory / "registration" / "cn-dossier.json").read_bytes())
    assert json.loads((folder / "cn-dossier.json").read_bytes()) == dossier
    text = docx.Document(str(folder / "filled" / "申请表.docx")).paragraphs[0].text
    assert text == f"六名患者的十二张切片；原始取得；；{release.digest}；示例市病理诊断中心；原始取得"
    cells: Any = openpyxl.load_workbook(folder / "filled" / "字段.xlsx").active
    (table,) = dossier["结构规模"]["数据表"]
    assert list(cells.values) == [
        ("slides", field["名称"], field["中文名"], "是" if field["可空"] else "否") for field in table["字段"]
    ]
    checked = subprocess.run(["sha256sum", "-c", "--strict", "sha256sums.txt"], cwd=folder, capture_output=True, check=False)
    assert checked.returncode == 0
    assert made.digest == "sha256:" + hashlib.sha256((folder / "sha256sums.txt").read_bytes()).hexdigest()
    assert (made.release_digest, made.missing, made.is_new) == (release.digest, (), True)
    assert [(each.rule, each.subject) for each in made.findings] == [("submission.not_given", "申请表.docx")]


def test_the_readme_says_in_both_languages_what_goes_where(release: Release, templates: Path, tmp_path: Path) -> None:
    made = write_bundle(release, "zj-data-ip", templates, tmp_path / "b")
    raw = (made.directory / "README.txt").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    text = raw.decode("utf-8-sig")
    for said in (
        release.digest, "small 1.0.0", "数据知识产权登记申请表", "浙江省数据知识产权登记平台", "没有与登记机构的原表核对过",
        "Nobody compared", "申请表.docx: 授权期限：没有内容", "申请表.docx: 授权期限: is not given",
    ):  # fmt: skip
        assert said in text
    assert all(text.count(f"- {path}") == 2 for path in made.files if path != "README.txt")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A release whose product file leaves things unsaid, and says one for which no form has a code."""
    left_out = ("  notarisation", "contact", "sample")
    product = "\n".join(line for line in PRODUCT.splitlines() if not line.startswith(left_out))
    product = product.replace("environment: file", "environment: tre")
    return read_release(build_release(tmp_path_factory.mktemp("bare") / "w", product=product))


def test_what_the_form_requires_and_nobody_gave_is_listed(bare: Release, tmp_path: Path) -> None:
    made = write_bundle(bare, "zj-data-ip", None, tmp_path / "b")
    assert made.missing == (
        "存证公证与样例/存证或公证机构", "存证公证与样例/存证或公证编号", "存证公证与样例/样例数据", "申请人/联系人",
    )  # fmt: skip
    assert made.uncoded == made.too_long == ()
    assert not any(path.startswith("sample/") for path in made.files)
    assert "申请人/联系人：必填，没有内容" in (made.directory / "README.txt").read_text("utf-8-sig")


def test_a_field_without_a_code_is_listed_and_stays_empty(bare: Release, tmp_path: Path) -> None:
    made = write_bundle(bare, "ndi-catalog", None, tmp_path / "b")
    assert made.uncoded == ("产品信息/交付方式",)
    filled = fill_docx(word("{{ 交付方式 }}|{{ 档案.交付方式 }}"), release_values(bare, "ndi-catalog"))
    assert paragraphs(filled) == ["|受控环境"]
    assert rules(filled) == {("not_given", "交付方式")}


def test_the_same_release_and_templates_give_the_same_digest(release: Release, templates: Path, tmp_path: Path) -> None:
    first = write_bundle(release, "zj-data-ip", templates, tmp_path / "a")
    before = {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")}
    again = write_bundle(release, "zj-data-ip", templates, tmp_path / "a")
    assert (again.is_new, again.digest) == (False, first.digest)
    assert {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")} == before
    assert write_bundle(release, "zj-data-ip", templates, tmp_path / "b").digest == first.digest
    assert write_bundle(release, "zj-data-ip", None, tmp_path / "c").digest != first.digest


def _swap(folder: Path) -> None:
    (folder / "form.json").write_bytes(b"{}")


def _add(folder: Path) -> None:
    (folder / "more.txt").write_bytes(b"")


def _drop(folder: Path) -> None:
    (folder / "sha256sums.txt").unlink()


def _file(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.write_bytes(b"mine")


def _link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")


@pytest.mark.parametrize("change", [_swap, _add, _drop, _file, _link])
def test_nothing_else_is_overwritten(
    release: Release, templates: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    target = tmp_path / "b"
    write_bundle(release, "zj-data-ip", templates, target)
    change(target)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="is there already"):
        write_bundle(release, "zj-data-ip", templates, target)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), MemoryError()])
def test_a_run_that_fails_leaves_nothing(
    release: Release, templates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    out = tmp_path / "out"
    for place in ("write_checksums", "sync_tree"):
        with monkeypatch.context() as patch:
            patch.setattr(wholefolder, place, fail)
            with pytest.raises(type(error)):
                write_bundle(release, "zj-data-ip", templates, out / "b")
        assert list(out.iterdir()) == []


def test_what_a_killed_run_left_goes_with_the_next_and_what_runs_stays(release: Release, tmp_path: Path) -> None:
    target = tmp_path / "out" / "b"
    for name in (".b.part-killed", ".b.part-running", ".b2.part-other"):
        (target.parent / name / "sample").mkdir(parents=True)
        (target.parent / name / "sample" / "slides.json").write_bytes(b"half")
    with held(target.parent / ".b.part-running"):
        write_bundle(release, "zj-data-ip", None, target)
    assert {path.name for path in target.parent.iterdir()} == {"b", ".b.part-running", ".b2.part-other"}


def test_a_release_that_was_changed_is_not_submitted(release: Release, tmp_path: Path) -> None:
    changed = copied(release.directory, tmp_path / "changed")
    (changed / "registration" / "rendered" / "zj-data-ip.json").write_bytes(b"{}")
    with pytest.raises(DigestMismatchError, match=r"zj-data-ip\.json was changed"):
        write_bundle(read_release(changed), "zj-data-ip", None, tmp_path / "b")
    linked = copied(release.directory, tmp_path / "linked")
    (linked / "registration" / "cn-dossier.json").unlink()
    (linked / "registration" / "cn-dossier.json").symlink_to("/etc/hostname")
    with pytest.raises(InputOutputError, match="cannot be read"):
        write_bundle(read_release(linked), "zj-data-ip", None, tmp_path / "b")
    sums = copied(release.directory, tmp_path / "sums")
    before = read_release(sums)
    with (sums / "manifest-sha256.txt").open("ab") as file:
        file.write(b"0" * 64 + b"  x\n")
    with pytest.raises(DigestMismatchError, match="since it was opened"):
        write_bundle(before, "zj-data-ip", None, tmp_path / "b")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("regime", ["zj-data", "", "../cn-dossier", "ZJ-DATA-IP", "a\x1b[31m"])
def test_a_regime_that_the_release_does_not_have_is_refused(release: Release, tmp_path: Path, regime: str) -> None:
    with pytest.raises(UsageError, match="the release has no form") as caught:
        write_bundle(release, regime, None, tmp_path / "b")
    assert "\x1b" not in str(caught.value)
    assert "zj-data-ip" in caught.value.hint


def test_templates_that_are_none_are_refused_or_told(release: Release, templates: Path, tmp_path: Path) -> None:
    folder = templates / "zj-data-ip"
    for name in ("~$申请表.docx", ".hidden.docm", "说明.pdf"):
        (folder / name).write_bytes(b"x")
    made = write_bundle(release, "zj-data-ip", templates, tmp_path / "a")
    assert ("submission.no_template", "说明.pdf") in {(each.rule, each.subject) for each in made.findings}
    assert not any("说明" in path or "$" in path for path in made.files)
    for name, said in (("x.docm", "may hold macros"), ("x.doc", "of another kind"), ("X.XLSM", "may hold macros")):
        (folder / name).write_bytes(_WORD)
        with pytest.raises(UsageError, match=said):
            write_bundle(release, "zj-data-ip", templates, tmp_path / "b")
        (folder / name).unlink()
    (folder / "out.docx").symlink_to("/etc/hostname")
    with pytest.raises(InputOutputError, match=r"out\.docx cannot be read"):
        write_bundle(release, "zj-data-ip", templates, tmp_path / "b")
    assert not (tmp_path / "b").exists()
