"""Which column is which: the mapping first, then the known heads."""

import csv
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pathcurate.errors import UsageError
from pathcurate.permissions import COLUMNS
from pathcurate.text import reportrow
from pathcurate.text.heads import Heads, known_heads, resolve


def reports(heads: Sequence[str], mapped: Mapping[str, Sequence[str]] | None = None) -> Heads:
    return resolve("reports", heads, mapped or {}, "a.csv")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("病理號", "accession"), ("病歷號", "patient_id"), ("病历号", "patient_id"), ("性別", "sex"), ("年齡", "age"),
        ("身份證號", "id_number"), ("標本名稱", "specimen_sites"), ("收件日期", "received_date"),
        ("報告日期", "reported_date"),
        ("臨床診斷", "clinical_diagnosis"), ("鏡下所見", "microscopy"), ("病理診斷", "diagnosis"), ("備註", "comment"),
        ("聯繫電話", "phone"), ("審核醫師", "reviewer"),
    ],
)  # fmt: skip
def test_traditional_heads_are_the_simplified_ones(head: str, name: str) -> None:
    assert reports([head]).columns == {name: (head,)}


def test_every_column_of_a_real_export_is_known(real_data: Path) -> None:
    with (real_data / "reference" / "lis_export_columns_zh.csv").open(encoding="utf-8-sig", newline="") as file:
        columns = list(csv.DictReader(file))
    assert len(columns) > 30
    for name in ("column_zh", "source_field_routine", "source_field_tct"):
        for head in filter(None, (column[name] for column in columns)):
            resolved = reports([head])
            assert resolved.columns or resolved.left_out, head


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("病理号", "accession"), ("病理编号：", "accession"), ("F_BLH", "accession"), ("blh", "accession"),
        ("PathologyCode", "accession"),
        ("姓名", "patient_name"), ("F_XM", "patient_name"), ("性别", "sex"), ("F_XB", "sex"), ("F_NL", "age"),
        ("身份证号", "id_number"),
        ("sfzh", "id_number"), ("住院号", "patient_id"), ("门诊/住院号", "patient_id"), ("F_MzhOrZyh", "patient_id"),
        ("F_BRBH", "patient_id"), ("HospitalizeCode", "patient_id"), ("肉眼所见", "gross"), ("F_RYSJ", "gross"),
        ("Perusal", "gross"),
        ("光镜所见", "microscopy"), ("F_JXSJ", "microscopy"), ("病理诊断", "diagnosis"), ("F_BLZD", "diagnosis"),
        ("Diagnose", "diagnosis"),
        ("临床诊断", "clinical_diagnosis"), ("F_BGRQ", "reported_date"), ("bgtime", "reported_date"), ("F_SDRQ",
        "received_date"),
        ("F_BGYS", "pathologist"), ("F_SHYS", "reviewer"), ("F_SJYS", "submitting_doctor"), ("联系电话", "phone"),
        ("F_BGZT", "status"), ("送检材料", "specimen_sites"), ("F_ICD10_BM1", "icd10"),
    ],
)  # fmt: skip
def test_heads_of_public_pathology_systems(head: str, name: str) -> None:
    assert reports([head]).columns == {name: (head,)}


EXPORT = {
    "序号": "running number",
    "病种类别": "case series",
    "病理编号": "accession",
    "条码": "specimen barcode",
    "姓名": "patient_name",
    "性别": "sex",
    "年龄": "age",
    "年龄单位": "age_unit",
    "联系电话": "phone",
    "送检单位": "submitting_unit",
    "住院号": "patient_id",
    "接收时间": "received_date",
    "脱水盒": "cassettes and slides",
    "切片数量": "cassettes and slides",
    "送检科室": "submitting_unit",
    "送检部位": "specimen_sites",
    "项目名称": "ordered item",
    "床位号": "bed",
    "送检医生": "submitting_doctor",
    "录入人员": "recording staff",
    "录入时间": "time of recording",
    "初筛医生": "pathologist",
    "初筛时间": "first reading",
    "病理诊断(初审)": "first reading",
    "报告医生": "pathologist",
    "复查医生": "reviewer",
    "复查诊断": "second reading",
    "签发医生": "pathologist",
    "报告时间": "reported_date",
    "临床诊断": "clinical_diagnosis",
    "肉眼所见": "gross",
    "光镜所见": "microscopy",
    "病理诊断": "diagnosis",
    "标准费用": "payment",
    "是否冰冻": "frozen section flag",
    "诊断类型": "kind of diagnosis",
    "报告状态": "status",
    # The columns behind them.
    "finterid": "running number",
    "blbh": "accession",
    "xbblxh": "accession",
    "ybid": "specimen barcode",
    "brxm": "patient_name",
    "brsex": "sex",
    "brage": "age",
    "brlxfs": "phone",
    "sjhospital": "submitting_unit",
    "zyh": "patient_id",
    "mzh": "patient_id",
    "jstime": "received_date",
    "hy_tshsl": "cassettes and slides",
    "zzgs": "cassettes and slides",
    "sjks": "submitting_unit",
    "sjbb": "specimen_sites",
    "xmmc_cn": "ordered item",
    "cwh": "bed",
    "sjdoctor": "submitting_doctor",
    "lrr": "recording staff",
    "lrsj": "time of recording",
    "zddoctor": "pathologist",
    "frist_diagnosis_time": "first reading",
    "frist_diagnosis_text": "first reading",
    "fcdoctor": "reviewer",
    "review_diagnosis_text": "second reading",
    "qfdoctor": "pathologist",
    "bgtime": "reported_date",
    "lczd": "clinical_diagnosis",
    "rysj": "gross",
    "blsj": "microscopy",
    "blzd": "diagnosis",
    "xbblxzd": "diagnosis",
    "price_standard": "payment",
    "hy_zdlx": "kind of diagnosis",
    "ybzt": "status",
    # The F_ schema.
    "F_BLK": "case series",
    "F_HY": "marital status",
    "F_AGE": "age",
    "F_ZY": "patient_id",
    "F_MZH": "patient_id",
    "F_SQXH": "request number",
    "F_YZXM": "ordered item",
    "F_CH": "bed",
    "F_BQ": "ward",
    "F_SJKS": "submitting_unit",
    "F_SJDW": "submitting_unit",
    "F_BBMC": "specimen_sites",
    "F_SJCL": "specimen_sites",
    "F_TSJC": "ihc",
    "F_ICD10_MC1": "name of the ICD-10 code",
    "F_LCZD": "clinical_diagnosis",
    "F_LCZL": "clinical history",
    "F_QCYS": "recording staff",
    "F_JSY": "recording staff",
    "F_SPARE5": "time of review in a column without fixed meaning",
    "F_BRLB": "kind of patient",
    "F_FB": "payment",
    "IsFrozen": "frozen section flag",
    "DiagnoseType": "kind of diagnosis",
    "BedCode": "bed",
    "AgeUnit": "age_unit",
    "DeliverMaterial": "specimen_sites",
    "DeliverDoctor": "submitting_doctor",
}
"""Heads of one system's export in Chinese and in its database, and of the F_ schema; and what they are."""


@pytest.mark.parametrize("head", EXPORT)
def test_each_head_of_an_export_is_what_it_is(head: str) -> None:
    resolved = reports([head])
    assert [*resolved.columns, *resolved.left_out.values()] == [EXPORT[head]]
    assert resolved.by_pinyin == frozenset()


@pytest.mark.parametrize(
    ("head", "name"),
    [
        ("bgrq", "reported_date"),
        ("F_JXSJ", "microscopy"),
        ("SJKS", "submitting_unit"),
        ("blzdjjy", "diagnosis"),
        ("mzyjg", None),
        ("mian", None),
        ("size", None),
        ("F_BGRQ", "reported_date"),
        ("zzz", None),
        ("lxdh", "phone"),
        ("shys", "reviewer"),
        ("f_shys", "reviewer"),
        ("kg", None),
        ("bz", None),
        ("csny", "birth_date"),
        ("sfzhm", "id_number"),
        ("my_zh", "ihc"),
    ],
)
def test_initials_of_one_known_meaning(head: str, name: str | None) -> None:
    assert list(reports([head]).columns) == ([name] if name else [])


def test_initials_of_two_meanings_are_none_and_a_mapping_comes_first() -> None:
    # 生效日期 and 失效日期 of a consent.
    assert resolve("permissions", ["sxrq"], {}, "a.csv").columns == {}
    assert reports(["病理号", "csny"], {"birth_date": ["csny"]}).by_pinyin == frozenset()
    assert reports(["出生日期", "csny"]).columns == {"birth_date": ("出生日期", "csny")}
    assert reports(["sfzhm", "x"], {"id_number": ["x"]}).columns == {"id_number": ("x",)}


def test_pinyin_is_loaded_only_where_it_is_needed() -> None:
    program = (
        "import sys; from pathcurate.text.heads import resolve\n"
        "resolve('reports', ['病理号', 'F_XM', 'patient_id', 'gross', 'xx', 'unit'], {}, 'a.csv')\n"
        "assert 'pypinyin' not in sys.modules\n"
        "assert resolve('reports', ['bgrq', 'csny'], {}, 'a.csv').by_pinyin == {'bgrq', 'csny'}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("table", ["reports", "permissions", "left_out"])
def test_no_head_is_known_as_two_columns(table: str) -> None:
    counts = Counter(head for heads in known_heads()[table].values() for head in set(heads))
    assert [head for head, count in counts.items() if count > 1] == []


def test_known_heads_name_columns_that_exist() -> None:
    assert set(known_heads()["reports"]) <= set(reportrow.COLUMNS)
    assert set(known_heads()["permissions"]) == set(COLUMNS)


def test_the_mapping_wins_and_a_mapped_head_has_no_other_meaning() -> None:
    heads = reports(["病理号", "检查号", "姓名"], {"accession": ["检查号"], "comment": ["姓名"]})
    assert heads.columns == {"accession": ("检查号",), "comment": ("姓名",)}
    assert heads.unknown == (0,)


def test_a_list_of_heads_takes_the_first_cell_that_is_not_empty() -> None:
    heads = reports(["病理号", "门诊号", "住院号"], {"patient_id": ["住院号", "门诊号", "登记号"]})
    assert heads.columns["patient_id"] == ("住院号", "门诊号")
    assert heads.cell({"病理号": "1", "门诊号": "M1", "住院号": ""}, "patient_id") == "M1"
    assert heads.cell({"病理号": "1", "门诊号": "M1", "住院号": "Z1"}, "patient_id") == "Z1"
    assert heads.cell({"病理号": "1", "门诊号": "", "住院号": ""}, "patient_id") == ""
    assert heads.cell({"病理号": "1", "门诊号": "", "住院号": ""}, "gross") == ""


def test_known_heads_in_their_order_of_preference() -> None:
    assert reports(["门诊号", "住院号", "病案号"]).columns["patient_id"] == ("病案号", "住院号", "门诊号")


def test_a_head_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"a\.csv has no column `住院编号`, which its mapping gives for patient_id"):
        reports(["病理号"], {"patient_id": ["住院编号", "x"]})


def test_unknown_heads_are_counted_once_and_empty_ones_never() -> None:
    heads = reports(["病理号", "费别", "", "病 理 号", "床号", ""])
    assert heads.columns == {"accession": ("病理号",)}
    assert heads.unknown == (1, 3, 4)
