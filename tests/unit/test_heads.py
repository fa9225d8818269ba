"""Which column is which: the mapping first, then the known heads."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from pathcurate.errors import UsageError
from pathcurate.parsers import lis
from pathcurate.permissions import COLUMNS
from pathcurate.text.heads import Heads, known_heads, resolve


def reports(heads: Sequence[str], mapped: Mapping[str, Sequence[str]] | None = None) -> Heads:
    return resolve("reports", heads, mapped or {}, "a.csv")


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


@pytest.mark.parametrize("table", ["reports", "permissions"])
def test_no_head_is_known_as_two_columns(table: str) -> None:
    counts = Counter(head for heads in known_heads()[table].values() for head in set(heads))
    assert [head for head, count in counts.items() if count > 1] == []


def test_known_heads_name_columns_that_exist() -> None:
    assert set(known_heads()["reports"]) <= set(lis.COLUMNS)
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
