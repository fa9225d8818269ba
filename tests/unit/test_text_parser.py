"""Plain text: labels, sections and the name of the file become a row; what is no report becomes a finding."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.parsers import PARSERS, lis, text
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.makers.plaintext import ANSWER, BODY, ENGLISH, ENGLISH_ANSWER, LAYOUTS, report

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)


def parse(path: Path, mapping: Mapping | None = None) -> tuple[list[dict[str, Any]], list[Finding]]:
    items = list(text.parse(path, "NB01", PATTERNS, mapping or Mapping()))
    return [item for item in items if isinstance(item, dict)], [item for item in items if isinstance(item, Finding)]


def only(path: Path, mapping: Mapping | None = None) -> dict[str, Any]:
    (row,), findings = parse(path, mapping)
    assert findings == []
    return row


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_whole_report_in_every_layout(write: Write, layout: str, encoding: str) -> None:
    data = report(layout).encode(encoding)
    row = only(write("a.txt", data))
    assert {name: value for name, value in row.items() if value is not None} == ANSWER
    assert set(row) <= set(REPORTS.names)
    assert text.detects(data[:4096])


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_any_line_end(write: Write, end: str) -> None:
    assert only(write("a.txt", report().replace("\n", end)))["microscopy"] == BODY["microscopy"]


def test_an_english_report(write: Write) -> None:
    row = only(write("a.txt", ENGLISH))
    assert {name: row.get(name) for name in ENGLISH_ANSWER} == ENGLISH_ANSWER
    assert row.get("text_raw") is None


def test_the_number_of_a_file_that_has_no_label(write: Write) -> None:
    unlabelled = report(left_out=("病理号",))
    row = only(write("张三_S23-00456.txt", unlabelled))
    assert (row["accession"], row["accession_raw"]) == ("S23-456", "张三_S23-00456")
    assert only(write("S23-00456.txt", report()))["accession"] == "S23-123"
    rows, findings = parse(write("scan.txt", unlabelled))
    assert (rows, [finding.rule for finding in findings]) == ([], ["reports.no_accession"])
    assert findings[0].subject == "scan.txt"


@pytest.mark.parametrize("value", ["无", "", "0", "见申请单背面的条码标签", "—"])
def test_a_label_without_a_number_does_not_hide_the_files(write: Write, value: str) -> None:
    assert only(write("S23-00456.txt", report().replace("S23-00123", value)))["accession"] == "S23-456"


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("示例市医院病理检查报告单", "primary"), ("术中冰冻病理报告", "frozen"), ("液基细胞学检查报告", "cytology"),
        ("病理会诊意见书", "consultation"),
        ("补充报告", "supplementary"), ("Addendum report", "supplementary"), ("CORRECTED REPORT", "amended"),
    ],
)  # fmt: skip
def test_the_kind_of_report_by_its_title(write: Write, title: str, kind: str) -> None:
    assert only(write("a.txt", report(title=title)))["report_type"] == kind


def test_a_report_of_a_frozen_section_alone(write: Write) -> None:
    row = only(write("S23-00001.txt", "冰冻诊断：（右乳）恶性肿瘤。\n"))
    assert (row["report_type"], row["diagnosis"]) == ("frozen", "冰冻诊断：（右乳）恶性肿瘤。")


def test_a_text_without_heads_is_kept_whole(write: Write) -> None:
    said = "Sections show invasive carcinoma. Margins are free.\nNodes are negative."
    row = only(write("S23-00001.txt", f"\n{said}\n\n"))
    assert row["text_raw"] == said
    assert not any(row.get(name) for name in TEXT_COLUMNS if name != "text_raw")


def test_prose_above_the_first_head_is_not_lost(write: Write) -> None:
    said = (
        "The specimen consists of a segment of colon with an ulcerated mass that infiltrates the wall and the fat around it."
    )
    row = only(write("S23-00001.txt", f"{said}\nFINAL DIAGNOSIS: Colon: adenocarcinoma.\n"))
    assert (row["text_raw"], row["diagnosis"]) == (said, "Colon: adenocarcinoma.")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("姓 名：王五  性 别：男  年 龄：3月", {"patient_name": "王五", "sex": "male", "age": 0}),
        ("姓名:王五 性别:男年龄:56岁", {"patient_name": "王五", "sex": "male", "age": 56}),
        ("患者姓名：欧阳 娜娜  住院号：00077", {"patient_name": "欧阳 娜娜", "patient_id": "00077"}),
        ("姓名：王五 陪护人：赵六", {"patient_name": "王五"}),
        ("姓名：王五 家庭住址：浙江省示例市7号", {"patient_name": "王五", "address": "浙江省示例市7号"}),
        ("Name: DOE, JOHN Sex: M Age: 60", {"patient_name": "DOE, JOHN", "sex": "male"}),
        ("Patient Name........DOE  Sex....F", {"patient_name": "DOE", "sex": "female"}),
        ("Specimen Name: liver", {"patient_name": None}),
        ("报告日期：2023-03-14 10:30 打印时间：2023-03-15 08:00", {"patient_name": None}),
        ("ＩＤ号：１２３", {"patient_id": "１２３"}),
    ],
)  # fmt: skip
def test_labels_and_values(write: Write, line: str, expected: dict[str, Any]) -> None:
    row = only(write("S23-00001.txt", f"{line}\n病理诊断：癌。\n"))
    assert {name: row.get(name) for name in expected} == expected


def test_a_mapping_names_labels_and_the_encoding(write: Write) -> None:
    said = {"columns": {"accession": "標本流水"}, "constants": {"report_type": "cytology"}, "encoding": "big5"}
    path = write("a.txt", "標本流水：A-77\ndiagnosis：adenoma".encode("big5"))
    row = only(path, Mapping.model_validate(said))
    assert (row["accession"], row["report_type"], row["diagnosis"]) == ("A-77", "cytology", "adenoma")


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "reports.text_damaged"), (b" \r\n\t", "reports.text_damaged"), (b"\xff\xff\xff\x81", "reports.text_damaged"),
        ("病理诊断：浸润性癌".encode()[:-1], "reports.text_damaged"),
        (report().encode().replace("癌细胞".encode(), b"\xe7\x99"), "reports.text_damaged"),
        ("病理诊断：癌".encode(), "reports.no_accession"), (b"x" * ((4 << 20) + 1), "reports.text_damaged"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_a_finding(write: Write, data: bytes, rule: str) -> None:
    rows, findings = parse(write("a.txt", data))
    assert (rows, [finding.rule for finding in findings]) == ([], [rule])
    assert not any("癌" in finding.message for finding in findings)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="cannot be read"):
        parse(tmp_path / "none.txt")


@pytest.mark.parametrize(
    "filling", ["a", ":", "\n", "：", "癌", " ", ".", "性别：", "诊断", "a b: ", "\0", "[", "【】", "(", "病 "]
)
def test_hostile_text_does_not_hang(write: Write, filling: str) -> None:
    path = write("S23-00001.txt", ("病理诊断" + filling * 40_000)[: 1 << 20])
    began = time.monotonic()
    parse(path)
    text.detects(path.read_bytes()[:4096])
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "data",
    [
        "病理号,姓名,病理诊断\nS23-1,张三,癌", "病理号\t姓名\t病理诊断\nS23-1\t张三\t病理诊断：癌",
        "blh,xm,zd\nS23-1,张三,病理诊断：癌", "a;b\n1;2",
        "病理报告导出\n病理号|病理诊断\nS23-1|镜下所见：癌",
        "accession,diagnosis\n1,2", 'x,"病理诊断：癌\n镜下所见：癌"\n', '"病理诊断：癌"', "S23-1,癌\nS23-2,癌\nS23-3,癌",
        "id\tdiagnosis: text\n1\t病理诊断：癌\n2\t镜下所见：癌\n", "", "\n",
        "hello", '{"病理诊断：": 1}', "<a>病理诊断：癌</a>", "a\0b",
        "1,2,3\n4,5,6\n7,8,9", "The patient is well.",
    ],
)  # fmt: skip
def test_what_is_a_table_or_in_doubt_is_not_taken(data: str) -> None:
    for encoding in ("utf-8", "gb18030"):
        assert not text.detects(data.encode(encoding))


@pytest.mark.parametrize(
    "data", [report(), ENGLISH, "FINAL DIAGNOSIS: colon, polyp: adenoma.", "【肉眼所见】灰白组织\n【病理诊断】癌"]
)
def test_the_head_may_end_within_a_character(data: str) -> None:
    encoded = data.encode()
    assert all(text.detects(encoded[:size]) for size in range(len(encoded) - 8, len(encoded)))


def test_reports_are_asked_for_before_tables() -> None:
    assert PARSERS.index(text) < PARSERS.index(lis)
    assert not text.detects("MSH|^~\\&|PIS|H|HIS|H|20230314||ORU^R01|1|P|2.4\rOBX|1|TX|1^病理诊断：||癌\r".encode())


def test_real_english_reports_come_through_by_the_names_of_their_files(real_data: Path) -> None:
    patterns = AccessionPatterns([r"^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})"])
    paths = sorted((real_data / "reports" / "tcga_reports" / "txt").glob("*.txt"))
    assert len(paths) > 30
    for path in paths:
        rows = [item for item in text.parse(path, "NB01", patterns, Mapping()) if isinstance(item, dict)]
        assert [row["accession"] for row in rows] == [path.stem]
        kept = sum(len(rows[0].get(name) or "") for name in (*TEXT_COLUMNS, "specimen_sites"))
        assert kept >= 0.8 * len(path.read_text(encoding="utf-8")), path.name
