"""Exports of laboratory systems in every form that hospitals write, each with an answer key: what its rows must become."""

import csv
import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import openpyxl
from openpyxl.utils.datetime import CALENDAR_MAC_1904

Case = Mapping[str, Any]
NAMES = {
    "accession": "病理号",
    "patient_id": "住院号",
    "patient_name": "姓名",
    "id_number": "身份证号",
    "sex": "性别",
    "age": "年龄",
    "specimen_sites": "标本名称",
    "received_date": "接收日期",
    "reported_date": "报告日期",
    "diagnosis": "病理诊断",
    "comment": "备注",
}
SCHEMA = {
    "accession": "F_BLH",
    "patient_id": "F_ZYH",
    "patient_name": "F_XM",
    "id_number": "F_SFZH",
    "sex": "F_XB",
    "age": "F_NL",
    "specimen_sites": "F_BBMC",
    "received_date": "F_SDRQ",
    "reported_date": "F_BGRQ",
    "diagnosis": "F_BLZD",
    "comment": "备注",
}
INITIALS = {**SCHEMA, "accession": "blbh", "patient_id": "zyh", "diagnosis": "blzdjjy", "specimen_sites": "bbbw"}
TRADITIONAL = {
    "accession": "病理號",
    "patient_id": "病歷號",
    "patient_name": "姓名",
    "id_number": "身份證號",
    "sex": "性別",
    "age": "年齡",
    "specimen_sites": "標本名稱",
    "received_date": "收件日期",
    "reported_date": "報告日期",
    "diagnosis": "病理診斷",
    "comment": "備註",
}
KEY: tuple[Case, ...] = (
    {
        "accession": "S23-1",
        "patient_id": "00012345",
        "patient_name": "王小红",
        "id_number": "110105196703140027",
        "sex": "female",
        "age": 56,
        "specimen_sites": "右乳",
        "received_date": datetime(2023, 3, 10, 8, 5),  # noqa: DTZ001
        "reported_date": datetime(2023, 3, 14),  # noqa: DTZ001
        "diagnosis": "（右乳）浸润性癌\nER（+，90%）",
        "comment": "已电话通知",
    },
    {
        "accession": "S23-2",
        "patient_id": "00000007",
        "patient_name": "欧阳䶮",
        "id_number": None,
        "sex": "male",
        "age": 0,
        "specimen_sites": "阑尾",
        "received_date": datetime(2023, 3, 11, 9, 0),  # noqa: DTZ001
        "reported_date": datetime(2023, 3, 15),  # noqa: DTZ001
        "diagnosis": '急性化脓性阑尾炎，未见肿瘤，"慢性"改变',
        "comment": "仪器测试正常，test ok",
    },
    {
        "accession": "S23-3",
        "patient_id": None,
        "patient_name": "李建国",
        "id_number": "44052418800101001X",
        "sex": "unknown",
        "age": 70,
        "specimen_sites": "胃窦",
        "received_date": None,
        "reported_date": datetime(2023, 12, 31),  # noqa: DTZ001
        "diagnosis": "（胃窦）中-低分化腺癌",
        "comment": None,
    },
)
TRADITIONAL_KEY: tuple[Case, ...] = tuple(
    {**case, "patient_name": name, "diagnosis": diagnosis, "specimen_sites": part, "comment": None}
    for case, name, diagnosis, part in zip(
        KEY,
        ("陳怡君", "林志豪", "黃淑芬"),
        ("右側乳房，浸潤性癌，淋巴結轉移", "急性闌尾炎，無腫瘤", "胃，潰瘍，輕度發炎，建議追蹤"),
        ("右乳", "闌尾", "胃"),
        strict=True,
    )
)


@dataclass(frozen=True)
class Made:
    """An export.

    Attributes:
        content: its bytes.
        key: what each of its rows must become, in order; None for a cell that must be empty.
        rules: rules of the findings that are due, besides those for information, in order.
        told: rules of findings for information that are due.
    """

    content: bytes
    key: tuple[Case, ...] = KEY
    rules: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def cells(case: Case, **written: Callable[[Any], object]) -> list[object]:
    """A case as the cells of a row, in the commonest spelling or as it is said here."""
    usual: dict[str, Callable[[Any], object]] = {
        "accession": lambda key: f"{key.partition('-')[0]}-{int(key.partition('-')[2]):05}",
        "sex": {"female": "女", "male": "男", "unknown": "未知"}.__getitem__,
        "age": "{}岁".format,
        "received_date": "{:%Y-%m-%d %H:%M}".format,
        "reported_date": "{:%Y/%m/%d}".format,
        **written,
    }
    return ["" if case[name] is None else usual.get(name, str)(case[name]) for name in NAMES]


def table(
    key: Sequence[Case] = KEY, heads: Mapping[str, str] = NAMES, **written: Callable[[Any], object]
) -> list[list[object]]:
    """Heads and rows."""
    return [list(heads.values()), *(cells(case, **written) for case in key)]


def text(rows: Sequence[Sequence[object]], encoding: str = "utf-8", separator: str = ",", **more: Any) -> bytes:
    """Rows as CSV."""
    out = io.StringIO()
    csv.writer(out, delimiter=separator, **more).writerows(rows)
    return out.getvalue().encode(encoding)


def workbook(
    rows: Sequence[Sequence[object]], merged: Sequence[str] = (), *, is_1904: bool = False, title: str | None = None
) -> bytes:
    """Rows as .xlsx; merged ranges, the calendar of 1904, a title above."""
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    if title:
        sheet.append([title])
        sheet.merge_cells(start_row=1, start_column=1, end_row=1, end_column=len(rows[0]))
    for row in rows:
        sheet.append([None if cell == "" else cell for cell in row])
    for area in merged:
        sheet.merge_cells(area)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def page(rows: Sequence[Sequence[object]], encoding: str, declared: str) -> bytes:
    """Rows as an HTML table that is saved as .xls."""
    lines = ["<tr>" + "".join(f"<td>{_escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={declared}">'
    return f"<html><head>{head}</head><body><table>{''.join(lines)}</table></body></html>".encode(encoding)


def _escaped(cell: object) -> str:
    return html.escape(str(cell)).replace("\n", "<br>")


def _wide(value: object) -> str:
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in str(value))


def _serial(of_1904: bool) -> Callable[[datetime], float]:
    first = date(1904, 1, 1) if of_1904 else date(1899, 12, 30)
    return lambda moment: (moment - datetime(first.year, first.month, first.day)).total_seconds() / 86400  # noqa: DTZ001


def _without(case: Case, *names: str) -> Case:
    return {**case, **dict.fromkeys(names)}


def _texts() -> dict[str, Made]:
    made = {
        f"csv in {encoding}": Made(text(table(), encoding))
        for encoding in ("utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-32")
    }
    made |= {
        f"csv with {name}": Made(text(table(), "gb18030", separator))
        for name, separator in (("tabs", "\t"), ("semicolons", ";"), ("bars", "|"))
    }
    made["csv with a mark in gb18030"] = Made(text(table(), "gb18030").replace(b"", b"\xef\xbb\xbf", 1))
    made["csv all quoted"] = Made(text(table(), quoting=csv.QUOTE_ALL))
    made["csv of the F_ schema"] = Made(text(table(heads=SCHEMA), "gb18030"))
    made["csv of initials"] = Made(text(table(heads=INITIALS), "gb18030"), told=("reports.pinyin_head",) * 2)
    made["csv in big5"] = Made(text(table(TRADITIONAL_KEY, TRADITIONAL, age="{}歲".format), "big5"), TRADITIONAL_KEY)
    made["csv in utf-8 of traditional heads"] = Made(
        text(table(TRADITIONAL_KEY, TRADITIONAL, age="{}歲".format)), TRADITIONAL_KEY
    )
    for sign in ("%Enter%", "$$", "_x000D_", "||"):
        rows = table(diagnosis=lambda value, sign=sign: value.replace("\n", sign))
        made[f"csv with line ends as {sign}"] = Made(text(rows))
    return made


def _spellings() -> dict[str, Made]:
    wide = table()
    wide = [
        wide[0],
        *([_wide(cell) if index in {0, 5, 7, 8} else cell for index, cell in enumerate(row)] for row in wide[1:]),
    ]
    made = {"csv with full-width digits": Made(text(wide, "gb18030"))}
    sexes = (
        {"female": "F", "male": "M", "unknown": "U"},
        {"female": "2", "male": "1", "unknown": "0"},
        {"female": "女性", "male": "Ｍ", "unknown": "9"},
    )
    made |= {f"csv with sex as {codes['female']}": Made(text(table(sex=codes.__getitem__))) for codes in sexes}
    ages = (
        {56: "Y56", 0: "3月", 70: "70.0"},
        {56: "56 岁 3 月", 0: "28天", 70: "Y70"},
        {56: "56.0", 0: "11个月", 70: "70Y"},
    )
    made |= {f"csv with ages as {written[56]}": Made(text(table(age=written.__getitem__))) for written in ages}
    dates = ("{:%Y%m%d}", "{:%Y年%m月%d日}", "{:%Y.%m.%d}", "{:%Y-%m-%d} 00:00:00.000", "{:%Y-%m-%dT%H:%M:%S}")
    made |= {f"csv with dates as {form}": Made(text(table(reported_date=form.format))) for form in dates}
    return made


def _books() -> dict[str, Made]:
    made = {
        "workbook": Made(workbook(table())),
        "workbook below a title": Made(workbook(table(), title="病理报告汇总表")),
        "workbook of dates": Made(workbook(table(received_date=lambda day: day, reported_date=lambda day: day))),
        "page in gbk": Made(page(table(), "gb18030", "gb2312")),
        "page in utf-8": Made(page(table(), "utf-8", "utf-8")),
        "page in big5": Made(page(table(TRADITIONAL_KEY, TRADITIONAL, age="{}歲".format), "big5", "big5"), TRADITIONAL_KEY),
    }
    for is_1904 in (False, True):
        rows = table(received_date=_serial(is_1904), reported_date=_serial(is_1904))
        made[f"workbook of serial dates since {1904 if is_1904 else 1900}"] = Made(workbook(rows, is_1904=is_1904))
    second = {**KEY[0], "specimen_sites": "左乳", "diagnosis": "（左乳）纤维腺瘤"}
    rows = table((KEY[0], second, KEY[2]))
    places = [index for index, name in enumerate(NAMES) if name not in {"specimen_sites", "diagnosis"}]
    rows[2] = ["" if index in places else cell for index, cell in enumerate(rows[2])]
    merged = [f"{chr(65 + index)}2:{chr(65 + index)}3" for index in places]
    made["workbook with a patient over two specimens"] = Made(workbook(rows, merged), (KEY[0], second, KEY[2]))
    return made


def _faults() -> dict[str, Made]:
    copied = table()
    made = {"csv with copied heads": Made(text([*copied[:2], copied[0], *copied[2:]]))}
    nearly = ["" if index == 3 else head for index, head in enumerate(copied[0])]
    made["csv with copied heads that lost one"] = Made(text([*copied[:2], nearly, *copied[2:]]))
    trials = [cells({**KEY[0], **change}) for change in (
        {"patient_name": "测试"}, {"patient_name": "Test Patient"}, {"patient_id": "TEST001"}, {"patient_name": "李四测试"},
        {"patient_name": "张三三", "patient_id": "000000"},
    )]  # fmt: skip
    made["csv with tests"] = Made(text([*copied, *trials]), told=("reports.test_row",) * len(trials))
    people = ({"patient_name": "李四"}, {"patient_name": "Testa Rossi"}, {"patient_name": "王测", "comment": "测试"})
    kept = tuple({**KEY[0], **change} for change in people)
    made["csv with people who are no test"] = Made(text(table(kept)), kept)
    ruined = ("1.10105E+17", "110105199001011000.0", "110105196703140000", "12345.0")
    rows = [cells({**KEY[0], "id_number": number, "patient_id": number}) for number in ruined]
    lost = tuple(_without(KEY[0], "id_number", "patient_id") for _ in ruined)
    made["csv with ruined numbers"] = Made(text([copied[0], *rows]), lost, ("reports.ruined_number",) * 2)
    two = {**KEY[0], "patient_name": "王小红、李建国", "id_number": "110105196703140027/44052418800101001X"}
    made["csv with two patients in a cell"] = Made(
        text(table((two,))), (_without(KEY[0], "patient_name", "id_number"),), ("reports.two_patients",) * 2
    )
    mixed = text(copied) + text([cells(KEY[0])], "gb18030") + text([cells(KEY[1])])
    made["csv in utf-8 and gb18030"] = Made(mixed, (*KEY, KEY[1]), ("reports.row_undecodable",))
    mixed = text(copied, "gb18030") + text([cells(KEY[2])]) + text([cells(KEY[1])], "gb18030")
    made["csv in gb18030 and utf-8"] = Made(mixed, (*KEY, KEY[1]), ("reports.row_undecodable",))
    joined = [f"{one}||{other}" if one and other else one for one, other in zip(cells(KEY[0]), cells(KEY[1]), strict=True)]
    # What stands once counts for both.
    key = (KEY[0], {**KEY[1], "id_number": KEY[0]["id_number"]})
    made["csv with two reports in a row"] = Made(text([copied[0], joined]), key)
    formula = [*map(str, cells(KEY[0]))]
    formula[5] = "=50+6"
    made["workbook with a formula that was never computed"] = Made(
        workbook([copied[0], formula]), (_without(KEY[0], "age"),), ("reports.uncomputed_formula",)
    )
    return made


EXPORTS: Mapping[str, Made] = {**_texts(), **_spellings(), **_books(), **_faults()}
"""Every form by its name."""
