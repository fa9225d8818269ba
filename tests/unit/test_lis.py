"""Laboratory exports: rows of reports, findings about the rest, and no value in any message."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import UsageError
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.parsers import lis
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS, Mapping

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
        "icdo3_morphology": "8500/3", "organ": "breast", "language": "zh",
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
    _, findings = parse(write("a.csv", "病理号,费别,床号\n" + "S23-1,公费,3床\n" * 3))
    assert [(finding.rule, finding.subject) for finding in findings] == [
        ("reports.unknown_column", "a.csv column 2"), ("reports.unknown_column", "a.csv column 3")
    ]  # fmt: skip
    assert "`费别` of a.csv" in findings[0].message


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


def test_a_big5_export_without_a_mapping_is_refused(write: Write) -> None:
    data = "病理號,姓名\nS23-1,王小紅\n".encode("big5")
    with pytest.raises(UsageError, match="accession number"):
        parse(write("a.csv", data))
    row = only(write("a.csv", data), Mapping(encoding="big5", columns={"accession": ("病理號",)}))
    assert row["patient_name"] == "王小紅"


# ---- detection ----


@pytest.mark.parametrize(
    ("head", "is_text"),
    [
        ("病理号,姓名\r\n".encode(), True), ("病理号".encode("gb18030"), True), ("病理号".encode("utf-16"), True),
        ("病理号".encode("utf-32"), True), (b"\x00\x00\xfe\xff" + "病理号".encode("utf-32-be"), True),
        (b"a,b\n" + b"text " * 40 + b"\x00\x1a", True), (b"a\tb\x0b\x0c\n", True),
        (b"", False), (b"PK\x03\x04" + b"text" * 200, False), (b"\xd0\xcf\x11\xe0" + b"text" * 200, False),
        (b"%PDF-1.7\n", False),
        (bytes(range(256)) * 16, False), (b"\x00" * 50, False), (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", False),
    ],
)  # fmt: skip
def test_detects(head: bytes, is_text: bool) -> None:
    assert lis.detects(head) is is_text


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
