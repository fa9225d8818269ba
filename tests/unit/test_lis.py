"""Laboratory exports: rows of reports, findings about the rest, and no value in any message."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import lis
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)


def parse(path: Path, mapping: Mapping | None = None) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(lis.parse(path, "NB01", PATTERNS, mapping or Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


def only(path: Path, mapping: Mapping | None = None) -> dict[str, Any]:
    (row,), findings = parse(path, mapping)
    assert [finding.rule for finding in findings if finding.severity is not Severity.INFO] == []
    return row


def rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_whole_row(write: Write) -> None:
    text = (
        "病理号,姓名,性别,年龄,身份证号,住院号,出生日期,标本名称,病理诊断,接收日期,报告日期,报告类型,报告状态,ICD10编码,形态学编码\r\n"
        'S23-00123,王小红,女,56岁,110105196703140021,00012345,1967/3/14,（右乳）,"浸润性癌\r\nER（+）",'
        "2023-03-10 08:05,2023年3月14日,补充报告,已审核,c50.900,8500/3\r\n"
    )
    row = only(write("a.csv", text.encode("gb18030")))
    assert row == {
        "site": "NB01", "source_row": 2, "accession": "S23-123", "accession_raw": "S23-00123", "patient_name": "王小红",
        "sex": "female", "age": 56, "id_number": "110105196703140021", "patient_id": "00012345",
        "birth_date": date(1967, 3, 14),
        "specimen_sites": "（右乳）", "diagnosis": "浸润性癌\r\nER（+）", "received_date": datetime(2023, 3, 10, 8, 5),  # noqa: DTZ001
        "reported_date": datetime(2023, 3, 14), "report_type": "supplementary", "status": "final", "icd10": "C50.900",  # noqa: DTZ001
        "icdo3_morphology": "8500/3", "organ": "breast", "language": "zh", "source_codes": ["icd10", "icdo3_morphology"],
    }  # fmt: skip
    assert set(row) <= set(REPORTS.names)


@pytest.mark.parametrize(
    ("heads", "cells", "organ"),
    [
        ("器官,标本名称,病理诊断", "肝,右乳,（胃）", "liver"), ("器官,标本名称,病理诊断", ",右乳,（胃）", "breast"),
        ("标本名称,病理诊断", "组织,（胃窦）溃疡", "stomach"), ("病理诊断", "Colon ascending polypectomy: adenoma", "colon"),
        ("病理诊断", "未见异常" + "。" * 60 + "肝", None), ("病理诊断", "", None),
    ],
)  # fmt: skip
def test_the_organ_comes_from_the_first_column_that_names_one(
    write: Write, heads: str, cells: str, organ: str | None
) -> None:
    assert only(write("a.csv", f"病理号,{heads}\nS23-1,{cells}\n"))["organ"] == organ


def test_type_and_state_by_default(write: Write) -> None:
    row = only(write("a.csv", "病理号\nS23-1\n"))
    assert (row["report_type"], row["status"]) == ("primary", "final")
    row = only(write("b.csv", "病理号,报告类型,报告状态\nS23-1,,\n"))
    assert (row["report_type"], row["status"]) == ("primary", "final")


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (",补充报告：\nHER2 FISH 阴性", "supplementary"), (",【更正报告】\n右乳改为左乳", "amended"), (",补充报告",
        "supplementary"),
        (",补充报告见下\n癌", "frozen"), (",癌\n补充报告：", "frozen"), ("常规报告,补充报告：\n癌", "primary"), (",",
        "frozen"),
    ],
)  # fmt: skip
def test_a_heading_says_the_kind_where_no_column_does(write: Write, row: str, kind: str) -> None:
    of_row, of_diagnosis = row.split(",")
    text = f'病理号,报告类型,病理诊断\nS23-1,{of_row},"{of_diagnosis}"\n'
    assert only(write("a.csv", text), Mapping(constants={"report_type": "frozen"}))["report_type"] == kind


def test_a_kind_or_state_that_is_not_understood_never_counts_as_a_final_primary(write: Write) -> None:
    rows, findings = parse(write("a.csv", "病理号,报告类型,报告状态\nS23-1,特检报告,已删除\nS23-2,特检报告,\nS23-3,,退回\n"))
    assert [(row["report_type"], row["status"]) for row in rows] == [
        ("supplementary", "preliminary"), ("supplementary", "final"), ("primary", "preliminary")
    ]  # fmt: skip
    assert [(finding.column, finding.count, finding.severity) for finding in findings] == [
        ("report_type", 2, Severity.WARNING), ("status", 2, Severity.WARNING)
    ]  # fmt: skip
    assert "count as supplementary" in findings[0].message
    assert "count as preliminary" in findings[1].message


def test_values_that_are_not_understood_are_one_finding_a_column(write: Write) -> None:
    rows, findings = parse(
        write(
            "a.csv",
            "病理号,年龄,性别,报告日期,ICD10编码\nS23-1,成人,?,昨天,C50?\nS23-2,56,女,2023-01-02,C50.9\nS23-3,老,女,,\n",
        )
    )
    assert [(row.get("age"), row.get("sex"), row.get("icd10")) for row in rows] == [
        (None, None, None), (56, "female", "C50.9"), (None, "female", None)
    ]  # fmt: skip
    assert {finding.column: finding.count for finding in findings} == {"age": 2, "sex": 1, "reported_date": 1, "icd10": 1}
    assert {finding.rule for finding in findings} == {"reports.not_understood"}
    assert "first stands in row 2 of a.csv" in findings[0].message


@pytest.mark.parametrize("number", ["0", "00000000", "不详", "/", "1.10105E+17"])
def test_a_number_that_would_join_strangers_is_left_empty(write: Write, number: str) -> None:
    rows, findings = parse(write("a.csv", f"病理号,住院号,身份证号\nS23-1,{number},{number}\n"))
    assert (rows[0].get("patient_id"), rows[0].get("id_number")) == (None, None)
    assert {finding.column for finding in findings} == {"patient_id", "id_number"}


@pytest.mark.parametrize("number", ["", "null", "无", "0", "1.10105E+17"])
def test_a_row_without_a_usable_accession_number(write: Write, number: str) -> None:
    rows, findings = parse(write("a.csv", f"病理号,姓名\n{number},王小红\nS23-2,甲\n"))
    assert [row["accession"] for row in rows] == ["S23-2"]
    assert rules(findings) == ["reports.no_accession"]
    assert findings[0].severity is Severity.ERROR
    assert findings[0].subject == "a.csv row 2"


def test_misfits_are_errors_and_no_rows(write: Write) -> None:
    rows, findings = parse(write("a.csv", "病理号,姓名,性别\nS23-1,王小红\nS23-2,甲,女\n"))
    assert [row["source_row"] for row in rows] == [3]
    assert [(finding.rule, finding.subject) for finding in findings] == [("reports.row_misfit", "a.csv row 2")]


def test_unknown_columns_are_listed_once(write: Write) -> None:
    _, findings = parse(write("a.csv", "病理号,奇怪,更怪\n" + "S23-1,公费,3床\n" * 3))
    assert [(finding.rule, finding.subject) for finding in findings] == [
        ("reports.unknown_column", "a.csv column 2"), ("reports.unknown_column", "a.csv column 3")
    ]  # fmt: skip
    assert "`奇怪` of a.csv" in findings[0].message


def test_a_column_that_is_known_and_has_no_place_says_what_it_is(write: Write) -> None:
    _, findings = parse(write("a.csv", "病理号,费别,cwh\nS23-1,公费,3床\n"))
    assert rules(findings) == ["reports.left_out_column"] * 2
    assert "`费别` of a.csv (payment)" in findings[0].message
    rows, findings = parse(write("a.csv", "病理号,费别\nS23-1,公费\n"), Mapping(columns={"comment": ("费别",)}))
    assert (rows[0]["comment"], findings) == ("公费", [])


# ---- mapping ----


def test_a_mapping_names_columns_constants_and_values(write: Write) -> None:
    mapping = Mapping(
        encoding="gb18030",
        columns={"accession": ("编号",), "patient_id": ("住院", "门诊"), "ihc": ("F_ZDYZ3",)},
        constants={"status": "final", "submitting_unit": "示例医院"},
        values={"report_type": {"A": "primary", "B": "frozen"}, "sex": {"甲": "female"}},
    )
    text = "编号,住院,门诊,F_ZDYZ3,报告类型,性别\nS23-1,,M7,ER(+),B,甲\nS23-2,Z8,M8,,A,乙\n"
    rows, findings = parse(write("a.csv", text.encode("gb18030")), mapping)
    assert [(row["patient_id"], row.get("ihc"), row["report_type"], row.get("sex")) for row in rows] == [
        ("M7", "ER(+)", "frozen", "female"), ("Z8", None, "primary", None)
    ]  # fmt: skip
    assert all((row["status"], row["submitting_unit"]) == ("final", "示例医院") for row in rows)
    assert [(finding.rule, finding.column) for finding in findings] == [("reports.not_understood", "sex")]


def test_a_constant_fills_only_what_the_row_leaves_empty(write: Write) -> None:
    mapping = Mapping(constants={"report_type": "frozen"})
    rows, _ = parse(write("a.csv", "病理号,报告类型\nS23-1,补充报告\nS23-2,\n"), mapping)
    assert [row["report_type"] for row in rows] == ["supplementary", "frozen"]


def test_a_head_of_the_mapping_that_is_not_there(write: Write) -> None:
    with pytest.raises(UsageError, match="no column `诊断文字`"):
        parse(write("a.csv", "病理号,王小红\nS23-1,x\n"), Mapping(columns={"diagnosis": ("诊断文字",)}))


def test_no_accession_column(write: Write) -> None:
    with pytest.raises(UsageError, match="no column is recognised as the accession number"):
        parse(write("a.csv", "姓名,性别\n王小红,女\n"))


def test_a_big5_export_needs_no_mapping(write: Write) -> None:
    data = "病理號,姓名\nS23-1,王小紅\n".encode("big5")
    assert only(write("a.csv", data))["patient_name"] == "王小紅"
    assert only(write("a.csv", data), Mapping(encoding="big5"))["patient_name"] == "王小紅"


# ---- detection ----


@pytest.mark.parametrize(
    ("head", "is_text"),
    [
        ("病理号,姓名\r\n".encode(), True), ("病理号".encode("gb18030"), True), ("病理号".encode("utf-16"), True),
        ("病理号".encode("utf-32"), True), (b"\x00\x00\xfe\xff" + "病理号".encode("utf-32-be"), True),
        (b"a,b\n" + b"text " * 40 + b"\x00\x1a", True), (b"a\tb\x0b\x0c\n", True),
        (b"", False), (b"PK\x03\x04" + b"text" * 200, True), (b"\xd0\xcf\x11\xe0" + bytes(200), True), (b"<html>", True),
        (b"%PDF-1.7\n", False),
        (bytes(range(256)) * 16, False), (b"\x00" * 50, False), (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", False),
    ],
)  # fmt: skip
def test_detects(head: bytes, is_text: bool) -> None:
    assert lis.detects(head) is is_text


# ---- heads that lie ----

CARDS = ("110105196703140027", "11010519491231002X", "440524188001010014")
PHONES = ("13977007700", "13800138000", "+86 139 1111 2222")
PEOPLE = ("王小红", "欧阳锋", "李四", "张三丰")
DAYS = ("2023-03-14", "2023/3/15", "2023年3月16日 08:05")


def lists(head: str, values: tuple[str, ...]) -> str:
    return f"病理号,{head}\n" + "".join(f"S23-{number},{value}\n" for number, value in enumerate(values, start=1))


@pytest.mark.parametrize(
    ("head", "values"),
    [
        ("备注", CARDS),
        ("备注", PHONES),
        ("备注", PEOPLE),
        ("病理诊断", PEOPLE),
        ("标本名称", CARDS),
        ("zyh", DAYS),
        ("F_BRBH", DAYS),
        ("住院号", PHONES),
        ("住院号", PEOPLE),
        ("身份证号", PHONES),
        ("身份证号", DAYS),
        ("姓名", CARDS),
        ("姓名", PHONES),
        ("姓名", DAYS),
    ],
)
def test_a_column_of_other_values_is_not_imported_where_it_would_do_harm(
    write: Write, head: str, values: tuple[str, ...]
) -> None:
    rows, findings = parse(write("a.csv", lists(head, values)))
    assert {len(set(row) - {"organ", "language", "source_codes"}) for row in rows} == {6}, "nothing but what every row has"
    assert rules(findings) == ["reports.lying_head"]
    assert findings[0].severity is Severity.WARNING
    assert f"`{head}`" in findings[0].message
    assert not any(value in findings[0].message for value in values)


@pytest.mark.parametrize(
    ("head", "name", "values"),
    [
        ("备注", "comment", ("高血压", "左乳肿物", "高血压", "黄疸")),
        ("标本名称", "specimen_sites", ("左乳", "右乳", "宫颈", "胃")),
        ("病理诊断", "diagnosis", ("癌", "右乳癌", "石蜡切片")),
        ("住院号", "patient_id", CARDS),
        ("住院号", "patient_id", ("1", "2", "56")),
        ("住院号", "patient_id", ("20230101", "20230102", "20230103")),
        ("备注", "comment", DAYS),
        ("备注", "comment", ("2023-01-01电话13800138000", "身份证110105196703140027", "王小红")),
        ("备注", "comment", CARDS[:2]),
    ],
)
def test_a_column_that_may_be_what_its_head_says(write: Write, head: str, name: str, values: tuple[str, ...]) -> None:
    rows, findings = parse(write("a.csv", lists(head, values)))
    assert [row[name] for row in rows] == list(values)
    assert findings == []


def test_a_mapping_has_the_last_word_about_a_head(write: Write) -> None:
    rows, findings = parse(write("a.csv", lists("备注", CARDS)), Mapping(columns={"comment": ("备注",)}))
    assert [row["comment"] for row in rows] == list(CARDS)
    assert findings == []


def test_an_accession_column_that_lies_is_none(write: Write) -> None:
    text = "病理号,blh,姓名\n" + "".join(f"{name},S23-{i},x\n" for i, name in enumerate(PEOPLE))
    rows, findings = parse(write("a.csv", text))
    assert [row["accession"] for row in rows] == ["S23-0", "S23-1", "S23-2", "S23-3"]
    assert rules(findings) == ["reports.lying_head"]
    with pytest.raises(UsageError, match="accession number"):
        parse(write("b.csv", "病理号,姓名\n" + "".join(f"{name},x\n" for name in PEOPLE)))


# ---- how exports write ----


def test_initials_are_read_and_said(write: Write) -> None:
    rows, findings = parse(write("a.csv", "BLH,HZXM,F_JXSJ,BLZDJJY,LCZD\nS23-1,甲,a,癌,乳癌\n"))
    assert (rows[0]["patient_name"], rows[0]["diagnosis"], rows[0]["clinical_diagnosis"]) == ("甲", "癌", "乳癌")
    assert [(finding.rule, finding.subject) for finding in findings] == [("reports.pinyin_head", "a.csv column 4")]


@pytest.mark.parametrize(
    ("age", "unit", "years"),
    [
        ("56", "岁", 56),
        ("3", "月", 0),
        ("18", "月", 1),
        ("400", "天", 1),
        ("56岁", "月", 56),
        ("３", "月", 0),
        ("56", "", 56),
        ("56", "Y", 56),
        ("3", "2", None),
        ("3", "?", None),
        ("", "岁", None),
    ],
)
def test_an_age_and_its_unit(write: Write, age: str, unit: str, years: int | None) -> None:
    rows, findings = parse(write("a.csv", f"病理号,年龄,年龄单位\nS23-1,{age},{unit}\n"))
    assert rows[0].get("age") == years
    assert rules(findings) == (["reports.not_understood"] if age and years is None else [])
    assert "age_unit" not in rows[0]


@pytest.mark.parametrize(
    ("head", "cells", "numbers"),
    [
        ("住院号", ["12345/", "/A678", "777"], ["12345", "A678", "777"]),
        ("住院号", ["12345/", "M1/Z1", "/"], ["12345", None, None]),
        ("住院号", ["2023/123", "2023/124"], ["2023/123", "2023/124"]),
        ("门诊/住院号", ["M1/Z1", "M2/", "/Z3", "Z4"], ["Z1", "M2", "Z3", "Z4"]),
        ("F_MzhOrZyh", ["M1/Z1", "M2/"], ["Z1", "M2"]),
        ("住院号/门诊号", ["Z1/M1", "a/b/c"], ["Z1", None]),
    ],
)  # fmt: skip
def test_two_numbers_in_one_cell(write: Write, head: str, cells: list[str], numbers: list[str | None]) -> None:
    mapping = Mapping(columns={"patient_id": (head,)})
    rows, findings = parse(write("a.csv", lists(head, tuple(cells))), mapping)
    assert [row.get("patient_id") for row in rows] == numbers
    two = [finding for finding in findings if finding.rule == "reports.two_numbers"]
    assert sum(finding.count for finding in two) == sum(
        number is None and cell != "/" for cell, number in zip(cells, numbers, strict=True)
    )


def test_the_second_column_counts_where_the_first_cannot_be_told(write: Write) -> None:
    rows, _ = parse(write("a.csv", "病理号,住院号,门诊号\nS23-1,1/2,M1\nS23-2,/3,M2\nS23-3,,M3\n"))
    assert [row["patient_id"] for row in rows] == ["M1", "3", "M3"]


def test_reports_joined_in_one_row(write: Write) -> None:
    heads = "病理号,姓名,报告类型,报告日期,病理诊断"
    joined = "S23-1||S23-2,甲,常规||冰冻,2023-01-02||2023-01-03,癌||炎"
    text = f"{heads}\n{joined}\nS23-3,乙,常规||补充,,癌||ER+\n"
    rows, findings = parse(write("a.csv", text))
    assert [(r["accession"], r["patient_name"], r["report_type"], r["diagnosis"], r["source_row"]) for r in rows] == [
        ("S23-1", "甲", "primary", "癌", 2),
        ("S23-2", "甲", "frozen", "炎", 2),
        ("S23-3", "乙", "primary", "癌", 3),
        ("S23-3", "乙", "supplementary", "ER+", 3),
    ]
    assert rows[1]["reported_date"] == datetime(2023, 1, 3)  # noqa: DTZ001
    assert findings == []


def test_parts_that_cannot_be_told_apart(write: Write) -> None:
    rows, findings = parse(
        write("a.csv", "病理号,姓名,病理诊断\nS23-1||S23-2,甲,a||b||c\nS23-3||S23-4,甲||乙,a||b\nS23-5||,乙,a||b\n")
    )
    assert [(row["accession"], row["patient_name"]) for row in rows] == [("S23-3", "甲"), ("S23-4", "乙"), ("S23-5", "乙")]
    assert [(f.rule, f.subject) for f in findings] == [
        ("reports.joined_row", "a.csv row 2"), ("reports.no_accession", "a.csv row 4")
    ]  # fmt: skip
    assert {f.severity for f in findings} == {Severity.ERROR}


def test_parts_of_one_report_are_lines_of_its_text(write: Write) -> None:
    assert only(write("a.csv", "病理号,病理诊断\nS23-1,癌||ER+$$PR+%Enter%HER2\n"))["diagnosis"] == "癌\nER+\nPR+\nHER2"


@pytest.mark.parametrize("written", ["M", "1", "男", "男性", "Ｍ", "１", "m"])
def test_sexes_as_they_are_mixed(write: Write, written: str) -> None:
    assert only(write("a.csv", f"病理号,性别\nS23-1,{written}\n"))["sex"] == "male"


def test_full_width_digits(write: Write) -> None:
    row = only(write("a.csv", "病理号,年龄,报告日期\nＳ２３－００１２３,５６岁,２０２３－０３－１４\n"))
    assert (row["accession"], row["age"], row["reported_date"]) == ("S23-123", 56, datetime(2023, 3, 14))  # noqa: DTZ001


# ---- workbooks ----


def workbook(write: Write, rows: list[list[Any]], *, epoch: datetime | None = None) -> Path:
    book = openpyxl.Workbook()
    book.epoch = epoch or book.epoch
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    path = write("a.xlsx", b"")
    book.save(path)
    return path


def test_serial_dates_are_days_of_the_workbooks_calendar(write: Write) -> None:
    rows: list[list[Any]] = [
        ["病理号", "报告日期", "出生日期", "年龄"],
        ["S23-1", 45000, 24545, 56],
        ["S23-2", 45000.25, "1967/3/14", "56岁"],
        ["S23-3", 45, 1e9, 45000],
    ]
    parsed, findings = parse(workbook(write, rows))
    assert [row.get("reported_date") for row in parsed] == [datetime(2023, 3, 15), datetime(2023, 3, 15, 6), None]  # noqa: DTZ001
    assert [row.get("birth_date") for row in parsed] == [date(1967, 3, 14), date(1967, 3, 14), None]
    assert {finding.column for finding in findings} == {"reported_date", "birth_date", "age"}
    parsed, _ = parse(workbook(write, rows, epoch=CALENDAR_MAC_1904))
    assert parsed[0]["reported_date"] == datetime(2027, 3, 16)  # noqa: DTZ001
    # Nothing says which calendar a text was exported from.
    parsed, findings = parse(write("a.csv", "病理号,报告日期\nS23-1,45000\n"))
    assert "reported_date" not in {name for name, value in parsed[0].items() if value}
    assert rules(findings) == ["reports.not_understood"]


def test_ruined_numbers_are_one_finding_a_column(write: Write) -> None:
    path = workbook(
        write, [["病理号", "身份证号", "奇怪"], ["S23-1", 110105196703140021, 10**17], ["S23-2", 110105199001011234, 1]]
    )
    parsed, findings = parse(path)
    assert [row.get("id_number") for row in parsed] == [None, None]
    assert rules(findings) == ["reports.unknown_column", "reports.ruined_number"]
    assert (findings[1].count, findings[1].subject) == (2, "a.xlsx column 2")
    assert "1101" not in findings[1].message


def test_the_sheet_that_a_mapping_names(write: Write) -> None:
    path = workbook(write, [["病理号", "姓名"], ["S23-1", "甲"]])
    assert only(path, Mapping(sheet="Sheet"))["accession"] == "S23-1"
    with pytest.raises(UsageError, match="no sheet `报告`"):
        parse(path, Mapping(sheet="报告"))


# ---- nothing of a patient in any message ----

CANARIES = {
    "病理号": "S23-77001", "姓名": "欧阳金丝雀", "性别": "第三种", "年龄": "七十七", "身份证号": "11010519770707771X",
    "住院号": "ZY7700177",
    "标本名称": "金丝雀标本", "病理诊断": "金丝雀诊断", "接收日期": "一九七七年", "报告日期": "七月七日",
    "报告类型": "金丝雀类型",
    "报告状态": "金丝雀状态", "ICD10编码": "X77.X77X77", "联系电话": "13977007700", "费别": "金丝雀费", "床号": "77床甲",
}  # fmt: skip


def messages(write: Write, text: str, mapping: Mapping | None = None, encoding: str = "utf-8") -> str:
    """Everything that an import of this text says: its findings, or why it was refused."""
    try:
        _, findings = parse(write("a.csv", text.encode(encoding)), mapping)
    except UsageError as error:
        return str(error)
    return "\n".join(str(finding.as_dict()) for finding in findings)


def of_canaries(*rows: str) -> str:
    return "\n".join(rows) + "\n"


HEADS, VALUES = ",".join(CANARIES), ",".join(CANARIES.values())


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        (of_canaries(HEADS, VALUES), None),
        (of_canaries(HEADS, VALUES + ",too,many", VALUES.rpartition(",")[0]), None),
        (of_canaries(HEADS, VALUES.replace("S23-77001", ""), VALUES, VALUES), None),
        # No head row: the first patient stands where the heads should be.
        (of_canaries(VALUES, VALUES), None),
        (of_canaries(VALUES, VALUES), Mapping(columns={"accession": ("病理号",)})),
        (of_canaries(VALUES + "," + VALUES, VALUES), None),
        # A form: heads and values side by side, in one row.
        (of_canaries(*[",".join(f"{head},{value}" for head, value in CANARIES.items())] * 2), None),
        (of_canaries("病理号,欧阳金丝雀,女,77床甲", "S23-77001,x,男,y"), None),
        (of_canaries(HEADS, VALUES.replace("金丝雀诊断", '"金丝雀诊断')), None),
        (of_canaries(HEADS, VALUES.replace("金丝雀诊断", '"金丝"雀诊断')), None),
        (of_canaries(HEADS, VALUES), Mapping(encoding="ascii")),
        (of_canaries(HEADS, VALUES), Mapping(encoding="utf-16")),
        (of_canaries(HEADS, VALUES), Mapping(columns={"sex": ("姓名",), "age": ("身份证号",), "icd10": ("病理诊断",)})),
        (of_canaries(HEADS, VALUES), Mapping(constants={"icdo3_topography": "x"}, values={"sex": {"第三种": "四"}})),
    ],
)  # fmt: skip
def test_no_cell_is_ever_in_a_message(write: Write, text: str, mapping: Mapping | None) -> None:
    said = messages(write, text, mapping)
    assert said, "each of these has something to say"
    assert [value for value in CANARIES.values() if value in said] == []
