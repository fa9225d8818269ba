"""Exports as hospitals write them: encodings, separators, broken rows."""

import codecs
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate import delimited
from pathcurate.delimited import Loss, Sheet, clean, open_export, read_sheet, shown_head
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.text.heads import fold_head

Write = Callable[[str, str | bytes], Path]
RARE = "䶮㛃𬭎"
"""Characters of names that GBK does not have; the last is four bytes in GB18030 and outside the basic plane."""


def cells(sheet: Sheet) -> list[tuple[int, list[str]]]:
    return [(row.number, [row.cells[head] for head in sheet.heads]) for row in sheet.rows]


def decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str]:
    text, used = delimited.decode(data, encoding, name)
    return text, used.name


def refusal(path: Path, encoding: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        read_sheet(path, encoding)
    return str(caught.value)


# ---- encodings ----


@pytest.mark.parametrize(
    ("encoding", "used"),
    [
        ("utf-8", "utf-8"), ("utf-8-sig", "utf-8-sig"), ("gb18030", "gb18030"), ("utf-16", "utf-16"), ("utf-32", "utf-32"),
    ],
)  # fmt: skip
def test_rare_characters_survive(write: Write, encoding: str, used: str) -> None:
    sheet = read_sheet(write("a.csv", f"姓名,病理号\n{RARE},S23-1\n".encode(encoding)))
    assert sheet.heads == ("姓名", "病理号")
    assert cells(sheet) == [(2, [RARE, "S23-1"])]
    assert sheet.encoding == used


@pytest.mark.parametrize(("mark", "encoding"), [(codecs.BOM_UTF16_BE, "utf-16-be"), (codecs.BOM_UTF32_BE, "utf-32-be")])
def test_big_endian_by_its_mark(write: Write, mark: bytes, encoding: str) -> None:
    assert cells(read_sheet(write("a.csv", mark + f"姓名\n{RARE}\n".encode(encoding)))) == [(2, [RARE])]


def test_four_byte_gb18030_is_not_gbk() -> None:
    data = f"姓名\n{RARE}".encode("gb18030")
    assert len(data) > len("姓名\n") * 2 + 4
    with pytest.raises(UnicodeDecodeError):
        data.decode("gbk")
    assert decode(data, None, "a.csv") == (f"姓名\n{RARE}", "gb18030")


TRADITIONAL = (
    "病理號,姓名,病理診斷",
    "右側乳房切除標本，浸潤性乳癌，組織學分級第二級，手術邊緣無腫瘤，腋下淋巴結二十顆中有三顆轉移。",
    "甲狀腺右葉，乳突癌，最大徑一點五公分，未侵犯包膜，建議追蹤並與臨床資料相互對照。",
    "胃，胃鏡切片，慢性胃炎合併腸上皮化生，幽門螺旋桿菌陽性",
)
SIMPLIFIED = (
    "病理号,姓名,病理诊断",
    "右侧乳房切除标本，浸润性乳癌，组织学分级第二级，手术切缘未见肿瘤，腋下淋巴结二十枚中三枚见癌转移。",
    "其他情况全部清楚，气管及脾脏前方见肿块，切面灰白，质中",
    "病理号,姓名\nS23-1,王小红癌\n",
)


@pytest.mark.parametrize("text", TRADITIONAL)
@pytest.mark.parametrize("encoding", ["big5", "cp950"])
def test_big5_is_told_from_gb18030_by_what_is_common(text: str, encoding: str) -> None:
    # Every character of it is some character of GB18030 too, which is tried first.
    data = text.encode(encoding)
    data.decode("gb18030")
    assert decode(data, None, "a.csv") == (text, "big5")


@pytest.mark.parametrize("text", [*SIMPLIFIED, *TRADITIONAL])
def test_gb18030_is_never_taken_for_big5(text: str) -> None:
    assert decode(text.encode("gb18030"), None, "a.csv") == (text, "gb18030")


@pytest.mark.parametrize(("signs", "encoding"), [("恒嫺裏", "cp950"), ("啲嘅嚟", "big5hkscs")])
def test_what_big5_has_not_is_in_its_extensions(signs: str, encoding: str) -> None:
    text = f"{TRADITIONAL[0]}\nS23-1,{signs},{TRADITIONAL[1]}\n"
    assert decode(text.encode(encoding), None, "a.csv") == (text, encoding)


def test_a_few_characters_that_are_common_in_both_cannot_be_told() -> None:
    # In Big5 as in GB18030 these are two usual characters; GB18030 is tried first.
    data = "陘陛".encode("big5")
    assert decode(data, None, "a.csv") == (data.decode("gb18030"), "gb18030")


# ---- mixed and damaged files ----

GOOD_ROWS = [f"S23-{number},王小红,（右乳）浸润性癌" for number in range(1, 20)]


def mixed(main: str, other: str, places: set[int]) -> bytes:
    rows = ["病理号,姓名,病理诊断", *GOOD_ROWS]
    return b"".join(f"{row}\n".encode(other if place in places else main) for place, row in enumerate(rows, start=1))


@pytest.mark.parametrize(("main", "other"), [("utf-8", "gb18030"), ("gb18030", "utf-8"), ("utf-8-sig", "gb18030")])
def test_rows_of_another_encoding_are_numbered_and_left_out(write: Write, main: str, other: str) -> None:
    places = {3, 7, 20}
    data = b"\xef\xbb\xbf" * (main == "utf-8-sig") + mixed(main.removesuffix("-sig"), other, places)
    export = open_export(write("a.csv", data))
    lines = dict(export.lines())
    assert {number for number, cells in lines.items() if cells is Loss.UNDECODABLE} == places
    kept = {number: cells for number, cells in lines.items() if not isinstance(cells, Loss)}
    assert kept == {number: GOOD_ROWS[number - 2].split(",") for number in range(2, 21) if number not in places}
    assert export.encoding == main


@pytest.mark.parametrize("main", ["utf-8", "gb18030", "big5"])
def test_one_broken_character_costs_one_row(write: Write, main: str) -> None:
    rows = TRADITIONAL if main == "big5" else SIMPLIFIED[:3]
    lines = [f'{number},"{text}"' for number in range(10) for text in rows]
    lines[7] = lines[7].replace("，", "@@", 1)
    heads = "病理號,病理診斷" if main == "big5" else "病理号,病理诊断"
    data = "\n".join([heads, *lines]).encode(main).replace(b"@@", b"\xff\xff")
    export = open_export(write("a.csv", data))
    assert [number for number, cells in export.lines() if isinstance(cells, Loss)] == [9]
    assert sum(1 for _ in export.lines()) == len(lines)
    assert export.encoding == main


def test_lines_of_many_blocks_are_one_line_each(write: Write) -> None:
    # Three lines of a few blocks of which one is in another encoding, and a short one behind each.
    long = [f"S23-{number},王小红,{'浸润性癌' * 300_000}" for number in range(3)]
    lines = ["病理号,姓名,病理诊断"] + [line for row in long for line in (row, "S23-9,甲,炎")]
    for main, other in (("utf-8", "gb18030"), ("gb18030", "utf-8")):
        data = b"".join(f"{line}\n".encode(other if line is long[1] else main) for line in lines)
        export = open_export(write("a.csv", data))
        lost = [number for number, row in export.lines() if isinstance(row, Loss)]
        assert (export.encoding, lost) == (main, [4])


def test_heads_of_another_encoding_are_refused(write: Write) -> None:
    message = refusal(write("a.csv", mixed("utf-8", "gb18030", {1})))
    assert "the heads in row 1 are not in the encoding of the file (utf-8)" in message


def test_nul_bytes_are_left_out(write: Write) -> None:
    sheet = read_sheet(write("a.csv", "病理号,姓名\nS23\x00-1,\x00甲\nS23-2,\x00\n\x00,\x00\n"))
    assert cells(sheet) == [(2, ["S23-1", "甲"]), (3, ["S23-2", ""])]


# ---- large files ----


def test_a_line_without_end_is_refused_before_it_is_held(write: Write) -> None:
    path = write("a.csv", "病理号,姓名\nS23-1,甲\n")
    with path.open("ab") as file:
        file.truncate(1 << 30)
    assert peak_megabytes(path) < 400
    assert "row 3 is not valid CSV (a line exceeds 64 MB)" in refusal(path)


def test_a_quote_without_end_is_refused_by_row(write: Write) -> None:
    text = '病理号,姓名\nS23-1,甲\nS23-2,"乙\n' + "S23-3,丙丙丙丙丙丙丙丙丙丙丙丙丙丙\n" * 800_000
    path = write("a.csv", text)
    assert "row 3 is not valid CSV" in refusal(path)


def test_memory_does_not_grow_with_the_file(write: Write) -> None:
    row = "S23-1,王小红," + "浸润性癌" * 100 + "\n"
    small, large = (write(f"{count}.csv", "病理号,姓名,病理诊断\n" + row * count) for count in (100, 60_000))
    assert large.stat().st_size > 65 << 20
    assert peak_megabytes(large) < peak_megabytes(small) + 40


def peak_megabytes(path: Path) -> float:
    """The most memory of a process that reads all lines of a file, and then perhaps refuses it."""
    code = (
        "import re, sys\nfrom pathlib import Path\nfrom pathcurate.delimited import open_export\n"
        "from pathcurate.errors import UsageError\ntry:\n    list(map(len, open_export(Path(sys.argv[1])).lines()))\n"
        # Not getrusage: a process begins with the peak of the one that started it.
        "except UsageError:\n    pass\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=True, text=True)
    return float(ended.stdout)


def test_a_mark_is_not_part_of_a_quoted_head(write: Write) -> None:
    data = codecs.BOM_UTF8 + '"病理号","姓名"\n"S23-1","甲"\n'.encode()
    for encoding in (None, "utf-8", "utf-8-sig"):
        assert read_sheet(write("a.csv", data), encoding).heads == ("病理号", "姓名")
    assert read_sheet(write("b.csv", "\ufeff病理号\n1\n".encode("gb18030"))).heads == ("病理号",)


def test_a_utf8_mark_before_a_gb18030_text(write: Write) -> None:
    sheet = read_sheet(write("a.csv", codecs.BOM_UTF8 + "病理号,姓名\nS23-1,甲\n".encode("gb18030")))
    assert (sheet.heads, sheet.encoding) == (("病理号", "姓名"), "gb18030")


def test_a_wrong_encoding_in_the_mapping(write: Write) -> None:
    path = write("a.csv", "病理号,姓名\nS23-1,王小红\n".encode("gb18030"))
    message = refusal(path, "utf-8")
    assert "a.csv is not utf-8: byte 0 cannot be decoded" in message
    assert "王小红" not in message
    assert "no encoding called 'utf-99'" in refusal(path, "utf-99")
    assert "is not gbk" in refusal(write("b.csv", f"姓名\n{RARE}\n".encode("gb18030")), "gbk")


def test_bytes_that_are_no_text_are_refused_or_harmless(write: Write) -> None:
    path = write("a.csv", bytes(range(256)) * 4)
    with pytest.raises(UsageError):
        read_sheet(path)


# ---- separators and line ends ----


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_separators(write: Write, separator: str) -> None:
    text = "\n".join(separator.join(row) for row in (("病理号", "姓名", "诊断"), ("S23-1", "甲", "癌")))
    assert cells(read_sheet(write("a.csv", text))) == [(2, ["S23-1", "甲", "癌"])]


def test_a_separator_inside_quotes_is_none(write: Write) -> None:
    sheet = read_sheet(write("a.csv", '"病理号;住院号;门诊号;姓名",性别\n1,2\n'))
    assert sheet.heads == ("病理号;住院号;门诊号;姓名", "性别")
    sheet = read_sheet(write("b.csv", '病理号;"诊断,意见,备注\n,第二行"\n1;2\n'))
    assert sheet.heads == ("病理号", "诊断,意见,备注\n,第二行")


def test_a_first_head_without_name_in_a_tsv(write: Write) -> None:
    assert read_sheet(write("a.tsv", "\ta,b\tc\n1\t2\t3\n")).heads == ("", "a,b", "c")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_quoted_line_breaks(write: Write, end: str) -> None:
    text = end.join(["病理号,诊断", f'S23-1,"第一行{end}第二行"', "S23-2,癌", ""])
    sheet = read_sheet(write("a.csv", text))
    # A quoted line break does not count: the second report is row 3.
    assert cells(sheet) == [(2, ["S23-1", f"第一行{end}第二行"]), (3, ["S23-2", "癌"])]


def test_other_line_breaks_of_unicode_are_text(write: Write) -> None:
    text = "病理号,诊断\nS23-1,甲\x0b乙\x0c丙\x85丁\u2028戊\n"
    assert cells(read_sheet(write("a.csv", text))) == [(2, ["S23-1", "甲\x0b乙\x0c丙\x85丁\u2028戊"])]


# ---- rows ----


def test_ragged_rows_are_numbered_and_left_out(write: Write) -> None:
    sheet = read_sheet(write("a.csv", "a,b,c\n1,2,3\n1,2\n1,2,3,4\n\n,,\n5,6,7\n"))
    assert cells(sheet) == [(2, ["1", "2", "3"]), (7, ["5", "6", "7"])]
    assert sheet.misfits == (3, 4)


def test_empty_cells_at_the_end_of_a_row_are_no_misfit(write: Write) -> None:
    sheet = read_sheet(write("a.csv", "a,b\n1,2,\n3,4,, \n5,6,,7\n"))
    assert cells(sheet) == [(2, ["1", "2"]), (3, ["3", "4"])]
    assert sheet.misfits == (4,)


def test_empty_heads_at_the_end(write: Write) -> None:
    sheet = read_sheet(write("a.csv", "a,b,,\n1,2,,\n3,4\n5,6,7,\n8\n"))
    assert [(row.number, row.cells["a"], row.cells["b"]) for row in sheet.rows] == [
        (2, "1", "2"),
        (3, "3", "4"),
        (4, "5", "6"),
    ]
    assert sheet.misfits == (5,)


def test_rows_of_nothing_are_left_out(write: Write) -> None:
    sheet = read_sheet(write("a.csv", "a,b\n,\n  ,　\nnull,-\n,,,\n1,2\n"))
    assert [row.number for row in sheet.rows] == [6]
    assert sheet.misfits == ()


def test_only_heads(write: Write) -> None:
    assert read_sheet(write("a.csv", "病理号,姓名\n")).rows == ()


@pytest.mark.parametrize("content", [b"", b"\n\n", b",,,\n1,2,3,4\n", b"\xef\xbb\xbf", b"   \n"])
def test_no_head_row(write: Write, content: bytes) -> None:
    assert "has no head row" in refusal(write("a.csv", content))


def test_the_same_head_twice(write: Write) -> None:
    message = refusal(write("a.csv", "病理号,王小红,王小红\n1,2,3\n"))
    assert "column 3" in message
    assert "王小红" not in message


@pytest.mark.parametrize("content", ['病理号,诊断\nS23-1,"王小红\nS23-2,癌\n', '病理号,诊断\nS23-1,"王"小红\n'])
def test_a_broken_quote_is_named_by_its_row(write: Write, content: str) -> None:
    message = refusal(write("a.csv", content))
    assert "row 2" in message
    assert "小红" not in message


def test_a_cell_of_ten_megabytes(write: Write) -> None:
    text = "癌" * (10 << 20)
    sheet = read_sheet(write("a.csv", f"病理号,诊断\nS23-1,{text}\n"))
    assert sheet.rows[0].cells["诊断"] == text


def test_a_cell_beyond_the_limit_is_refused_by_row(write: Write) -> None:
    assert "row 2" in refusal(write("a.csv", "a\n" + "x" * (17 << 20) + "\n"))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match=r"none\.csv cannot be read"):
        read_sheet(tmp_path / "none.csv")


# ---- cells and heads ----


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (" 癌 ", "癌"), ("　癌　", "癌"), ("癌_x000D_\n转移", "癌\n\n转移"), ("癌%Enter%转移", "癌\n转移"),
        ("王\x00小红", "王小红"),
        ("NULL", ""), ("None", ""), ("nan", ""), ("N/A", ""), ("#N/A", ""), ("[Not Available]", ""), ("无", ""), ("—", ""),
        ("-", ""), ("_x000D_", ""), ("0", "0"), ("无异常", "无异常"), ("00123", "00123"),
    ],
)  # fmt: skip
def test_clean(cell: str, text: str) -> None:
    assert clean(cell) == text


def test_fold_head() -> None:
    assert {fold_head(head) for head in ("F_BLH", "f_blh", " FBLH ", "Ｆ_ＢＬＨ：", "F BLH*", "fblh:")} == {"fblh"}
    assert fold_head("病理号：") == fold_head(" 病 理 号 ") == "病理号"


@pytest.mark.parametrize(
    "value",
    ["S23-00123", "110105199001011234", "19900001234", "2023-03-14", "2023年3月", "3/4", "56岁", "3月", "女", "male",
     "M", "1", "是",
     "否", "yes", "x" * 41],
)  # fmt: skip
def test_heads_that_may_be_a_patients_row_are_shown_by_number(value: str) -> None:
    heads = ("病理号", "王小红", value)
    assert [shown_head(heads, index) for index in range(3)] == ["column 1", "column 2", "column 3"]


def test_heads_are_shown_by_name() -> None:
    heads = ("是否冰冻", "F_ICD10_BM1", "有无", "费别", "CA199", "月经", "Modality", "年龄")
    assert [shown_head(heads, index) for index in range(len(heads))] == [f"`{head}`" for head in heads]
