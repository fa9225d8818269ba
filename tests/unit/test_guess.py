"""`reports guess`: a mapping that says what an import does anyway, and what it leaves, without any cell."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.cli.main import run
from pathcurate.delimited import read_sheet
from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping, load_mapping
from pathcurate.parsers import lis
from pathcurate.reports.guess import guess_mapping
from pathcurate.text import reportrow
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.kinds import kind
from pathcurate.workspace import DEFAULT_PATTERNS

Write = Callable[[str, str | bytes], Path]
PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)
CARDS = ("110105196703140027", "11010519491231002X", "440524188001010014")
TEXT = '病理号,zyh,门诊号,患者姓名,性别,年龄,备注,BGRQ,费别,奇怪,证件,手机,来院,"a: #b"\n' + "".join(
    f"S23-0000{i},2023-0{i + 1}-01,M{i},囍犇{i},第三种,5{i}岁,{card},2023-03-1{i},公费,"
    f"S22-0001{i},{card},1380013800{i},2023/1/{i},x\n"
    for i, card in enumerate(CARDS, start=1)
)


def rows(path: Path, mapping: Mapping | None = None) -> list[dict[str, Any]]:
    return [item for item in lis.parse(path, "NB01", PATTERNS, mapping or Mapping()) if isinstance(item, dict)]


def loaded(path: Path, text: str) -> Mapping:
    target = path.with_name("mapping.yaml")
    target.write_text(text, encoding="utf-8")
    return load_mapping(target, reportrow.COLUMNS)


def comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.startswith("  #")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_what_it_writes(write: Write, encoding: str) -> None:
    path = write("a.csv", TEXT.encode(encoding))
    guess = guess_mapping(path)
    mapping = loaded(path, guess.mapping)
    assert (mapping.encoding, guess.rows) == (encoding, 3)
    assert (
        mapping.columns
        == guess.columns
        == {
            "accession": ("病理号",),
            "patient_id": ("门诊号",),
            "patient_name": ("患者姓名",),
            "sex": ("性别",),
            "age": ("年龄",),
            "reported_date": ("BGRQ",),
        }
    )
    assert comments(guess.mapping) == [
        "# patient_id: zyh  # not imported: the values are of another kind (date)",
        "# comment: 备注  # not imported: the values are of another kind (identity card)",
        "# COLUMN: 费别  # payment",
        "# COLUMN: 奇怪  # not known; case number by its values",
        "# COLUMN: 证件  # not known; identity card by its values",
        "# COLUMN: 手机  # not known; telephone by its values",
        "# COLUMN: 来院  # not known; date by its values",
        '# COLUMN: "a: #b"  # not known; its values say nothing',
    ]
    assert "by initials" in guess.mapping
    assert "#   sex: {WHAT THE FILE WRITES: male}  # 3 cells mean none of male, female, other, unknown" in guess.mapping
    assert guess.open_columns == 8


def test_it_says_what_an_import_does_anyway(write: Write) -> None:
    path = write("a.csv", TEXT.encode("gb18030"))
    assert rows(path, loaded(path, guess_mapping(path).mapping)) == rows(path)
    assert len(rows(path)) == 3


HEADS = st.lists(
    st.sampled_from(
        [
            "病理号",
            "住院号",
            "门诊号",
            "F_ZYH",
            "姓名",
            "brxm",
            "门诊/住院号",
            "年龄",
            "年龄单位",
            "备注",
            "csny",
            "sfzhm",
            "报告类型",
            "费别",
            "奇怪",
            "no",
            "null",
            "a: b",
            "#x",
            "y\x85z",
            "[",
            "'q",
            "送检单位",
            "sjks",
        ]
    ),
    min_size=2,
    max_size=8,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(
    HEADS,
    st.lists(
        st.lists(
            st.sampled_from(["", "S23-1", "1/2", "/3", "56", "月", CARDS[0], "王小红", "2023-01-02", "a||b"]),
            min_size=9,
            max_size=9,
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_any_written_mapping_loads_and_changes_nothing(heads: list[str], cells: list[list[str]]) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as directory:
        path = Path(directory, "a.csv")
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["检查号", *heads], *(["S23-9", *row[: len(heads)]] for row in cells)])
        mapping = loaded(path, guess_mapping(path).mapping)
        assert rows(path, mapping) == rows(path)


def test_a_workbook_has_no_encoding_and_may_have_a_sheet(write: Write) -> None:
    book = openpyxl.Workbook()
    book.active.append(["病理号", "姓名"])  # type: ignore[union-attr]
    second = book.create_sheet("报告 #2023")
    for row in (["汇总"], ["病理号", "病理诊断"], ["S23-1", "癌"]):
        second.append(row)
    path = write("a.xlsx", b"")
    book.save(path)
    guess = guess_mapping(path, sheet="报告 #2023")
    mapping = loaded(path, guess.mapping)
    assert (mapping.encoding, mapping.sheet, guess.encoding) == (None, "报告 #2023", None)
    assert [row["diagnosis"] for row in rows(path, mapping)] == ["癌"]
    assert loaded(path, guess_mapping(path).mapping).columns == {"accession": ("病理号",), "patient_name": ("姓名",)}


def test_a_file_of_strangers_says_what_is_needed(write: Write) -> None:
    path = write("a.csv", "编码,内涵\nS23-10001,x\nS23-10002,y\nS23-10003,z\n")
    guess = guess_mapping(path)
    assert "accession: HEAD" in guess.mapping
    assert "# COLUMN: 编码  # not known; case number by its values" in guess.mapping
    assert loaded(path, guess.mapping).columns == {}


# ---- what columns hold ----


@pytest.mark.parametrize(
    ("values", "held"),
    [
        (CARDS, "identity card"),
        (("110105670314002",) * 3, "identity card"),
        ((*CARDS, "不详"), None),
        ((*CARDS, *CARDS, "不详"), "identity card"),
        (("13800138000",) * 3, "telephone"),
        (("2023-03-14", "2023/3/1", "2023年1月2日"), "date"),
        (("20230314",) * 3, None),
        (("男", "女", "男"), "sex"),
        (("1", "2", "1"), "sex"),
        (("56岁", "3月", "70"), "small number"),
        (("S23-00001", "S23-00002", "B2300003"), "case number"),
        (("王小红", "李四", "欧阳金丝"), "name"),
        (("王小红", "王四", "王五"), None),
        (("左乳", "胃窦", "高血压"), None),
        (("1234567", "1234568", "1234569"), "identifier"),
        (("TCGA-AB-1234", "TCGA-AB-1235", "TCGA-CD-1"), "identifier"),
        (("浸润性导管癌，Ⅱ级，淋巴结未见转移，切缘阴性" * 2,) * 3, "text"),
        (CARDS[:2], None),
        (("", "", ""), None),
        ((), None),
    ],
)
def test_kinds(values: tuple[str, ...], held: str | None) -> None:
    assert kind(values) == held


# ---- no cell ----


def test_no_cell_is_in_a_mapping(write: Write) -> None:
    cells = {cell for line in TEXT.splitlines()[1:] for cell in line.split(",") if len(cell) > 1} - {"公费"}
    said = guess_mapping(write("a.csv", TEXT)).mapping
    assert [cell for cell in cells if cell in said] == []
    # No head row: the first patient stands where the heads should be.
    said = guess_mapping(
        write("b.csv", "\n".join(line.replace(card, "", 1) for card, line in zip(CARDS, TEXT.splitlines()[1:], strict=True)))
    ).mapping
    assert [cell for cell in cells if cell in said] == []
    assert "(column 4)" in said
    # Heads and values side by side.
    form = "病理号,S23-00001,姓名,囍犇1,住院号,M1,备注," + CARDS[0]
    said = guess_mapping(write("c.csv", f"{form}\n{form.replace('1', '2')}\n")).mapping
    assert "囍犇1" not in said
    assert CARDS[0] not in said


# ---- the command ----


def test_the_command_needs_no_workspace_and_does_not_write_over(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path, target = write("a.csv", TEXT), write("made/mapping.yaml", "mine\n")
    assert run(["reports", "guess", str(path)]) == 0
    shown = capsys.readouterr().out
    assert run(["reports", "guess", str(path), "-o", str(target)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert target.read_text() == "mine\n"
    assert run(["reports", "guess", str(path), "-o", str(target), "--force"]) == 0
    assert target.read_text(encoding="utf-8") == shown
    assert "6 columns recognised, 8 columns open" in capsys.readouterr().out
    assert yaml.safe_load(shown)["columns"]["accession"] == "病理号"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", bytes(range(256)) * 4, b"PK\x03\x04junk", b"\n\n"])
def test_what_is_no_table_is_refused(write: Write, content: bytes) -> None:
    with pytest.raises(UsageError):
        guess_mapping(write("a.csv", content))


@pytest.mark.parametrize("encoding", ["utf-99", "hex", "ascii"])
def test_a_wrong_encoding_is_refused(write: Write, encoding: str) -> None:
    with pytest.raises(UsageError):
        guess_mapping(write("a.csv", TEXT), encoding=encoding)


# ---- real tables ----


@pytest.mark.parametrize(
    ("relpath", "rows_there", "columns"),
    [
        ("reports/tcga_reports/tcga_path_reports.csv", 759, {"text_raw": ("text",)}),
        ("tables/tcga/tcga_clinical_cdr.csv", 759, {"sex": ("gender",)}),
    ],
)
def test_real_tables(real_data: Path, relpath: str, rows_there: int, columns: dict[str, tuple[str, ...]]) -> None:
    path = real_data / relpath
    sheet = read_sheet(path)
    with path.open(encoding="utf-8", newline="") as file:
        judge = list(csv.reader(file))
    assert (sheet.encoding, sheet.heads, sheet.misfits) == ("utf-8", tuple(judge[0]), ())
    assert len(sheet.rows) == len(judge) - 1 == rows_there
    assert [row.number for row in sheet.rows] == list(range(2, rows_there + 2))
    guess = guess_mapping(path)
    assert (guess.columns, guess.rows) == (columns, rows_there)
    assert "# COLUMN: bcr_patient_barcode  # not known; identifier by its values" in guess.mapping
    # The guess is one line short of a mapping that imports every report.
    text = guess.mapping.replace("columns:\n", "columns:\n  accession: bcr_patient_barcode\n", 1)
    mapping = load_mapping_of(text)
    parsed = [item for item in lis.parse(path, "TCGA", PATTERNS, mapping) if isinstance(item, dict)]
    assert len(parsed) == rows_there


def load_mapping_of(text: str) -> Mapping:
    return Mapping.model_validate(yaml.safe_load(text))
