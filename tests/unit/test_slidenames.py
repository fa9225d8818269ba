"""What a slide's path, barcode and header texts say about it."""

import re
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.slidenames import SOURCES, SlideNames, read_names
from pathcurate.workspace import DEFAULT_PATTERNS

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)


def names(
    path: str | bytes, barcode: str | None = None, label: str | None = None, metadata: Sequence[str] | None = None
) -> SlideNames:
    return read_names(path.encode() if isinstance(path, str) else path, barcode, label, metadata, PATTERNS)


def found(read: SlideNames) -> list[tuple[str, str]]:
    return [(key.key, key.source) for key in read.keys]


@pytest.mark.parametrize(
    ("path", "specimen", "block", "stain"),
    [
        ("S23-00123-A1-HE.svs", "A", "1", "HE"),
        ("S23-00123_A1_HE.svs", "A", "1", "HE"),
        ("S2300123 A1 HE.svs", "A", "1", "HE"),
        ("S23-00123-A1-2-HE.svs", "A", "1", "HE"),
        ("S23-00123.svs", None, None, None),
        ("S23-00123-A.svs", "A", None, None),
        # A stain is no specimen: P53 is not block 53 of part P.
        ("S23-00123-P53.svs", None, None, "IHC:P53"),
        ("S23-00123P53.svs", None, None, "IHC:P53"),
        ("S2300123 P53.svs", None, None, "IHC:P53"),
        ("S23-00123-A1-P53.svs", "A", "1", "IHC:P53"),
        ("S23-00123-S100.svs", None, None, "IHC:S-100"),
        ("S23-00123-P16-HE.svs", None, None, "IHC:P16"),
        # A prefix or a UUID is no stain.
        ("ER23-00123.svs", None, None, None),
        ("cd34abcd-cd34-cd34-cd34-cd34cd34cd34.svs", None, None, None),
        ("S23-00123-A1-Ki－67.svs", "A", "1", "IHC:Ki-67"),
        ("S23-00123-A1-THE.svs", "A", "1", None),
        ("S23-00123-A1-苏木素伊红.svs", "A", "1", "HE"),
        ("免疫/S23-00123/ER.svs", None, None, "IHC:ER"),
        ("HE/S23-00123-A1.svs", "A", "1", "HE"),
        ("S23-00123-B2.ome.tif", "B", "2", None),
        ("S23-00123-A1-HE", "A", "1", "HE"),
    ],
)
def test_names_of_people(path: str, specimen: str | None, block: str | None, stain: str | None) -> None:
    read = names(path)
    assert (read.specimen, read.block, read.stain) == (specimen, block, stain)


def test_sources_in_order_of_trust() -> None:
    read = names("S23-00004/2023/S23-00005-A1.svs", "S23-00001-C3", "S23-00002", ["S23-00003", "x"])
    assert found(read) == [
        ("S23-1", "barcode"), ("S23-2", "label"), ("S23-3", "metadata"), ("S23-5", "file_name"), ("S23-4", "folder")
    ]  # fmt: skip
    assert (read.accession_raw, read.specimen, read.block) == ("S23-00001-C3", "C", "3")
    assert {source for _, source in found(read)} == set(SOURCES)


def test_the_nearest_folder_comes_first() -> None:
    assert found(names("S23-00001/S23-00002/x.svs")) == [("S23-2", "folder"), ("S23-1", "folder")]


def test_one_number_of_one_source_is_one_key_with_its_specimen() -> None:
    read = names("x.svs", metadata=["S23-00002", "S23-00001", "S23-00002-A1"])
    assert [(key.key, key.specimen, key.block, key.raw) for key in read.keys] == [
        ("S23-2", "A", "1", "S23-00002-A1"), ("S23-1", None, None, "S23-00001")
    ]  # fmt: skip
    assert read.accession_raw == "S23-00002"


def test_a_component_is_read_alone() -> None:
    assert found(names("S23/00123.svs")) == []
    assert found(names("S23-/00123-S23.svs")) == []


def test_names_that_windows_wrote() -> None:
    read = names("外院会诊/S23-00123-A1-HE.svs".encode("gb18030"))
    assert found(read) == [("S23-123", "file_name")]
    assert read.stain == "HE"
    damaged = names(b"\xff\xfe/S23-00123-A1.svs")
    assert found(damaged) == [("S23-123", "file_name")]


@pytest.mark.parametrize(
    ("path", "is_control"),
    [("对照/HER2.svs", True), ("质控片.svs", True), ("S23-00001 CONTROL.svs", True), ("controls/1.svs", True),
     ("S23-00001 uncontrolled.svs", False), ("S23-00001.svs", False)],
)  # fmt: skip
def test_controls(path: str, is_control: bool) -> None:
    assert names(path).is_control is is_control


def test_nothing_said() -> None:
    assert names("扫描/123456.svs") == SlideNames((), None, None, None, None, None, None, None, is_control=False)


@pytest.mark.parametrize(
    ("path", "preparation"),
    [
        ("TCGA-AG-3598-01Z-00-DX1.033cee69-8540-4584-83f5-c08e37cc7170.svs", "FFPE"),
        ("TCGA-AA-3986-01A-02-BS2.875d87b2-3941-4c43-960b-ab762f3cdc5f.svs", "frozen"),
        ("TCGA-HE-7130-01A-01-TSA.033cee69-8540-4584-83f5-c08e37cc7170.svs", "frozen"),
        ("TCGA-A1-A0SB-01A-01-MS10.svs", "frozen"),
        ("S23-00123-MSA.svs", None),
        ("S23-00123 冰余 A1.svs", "FFPE"),
        ("S23-00123-A1-HE 石蜡.svs", "FFPE"),
        ("术中冰冻/S23-00123.svs", "frozen"),
        ("液基细胞/S23-00123.svs", "cytology"),
        ("S23-00123-A1-HE.svs", None),
        ("DX100/S23-00123.svs", None),
    ],
)
def test_preparation_is_named_by_whole_words(path: str, preparation: str | None) -> None:
    assert names(path).preparation == preparation


# ---- stains ----


@pytest.mark.parametrize(
    ("name", "stain"),
    [
        ("H&E", "HE"), ("H-E", "HE"), ("h.e", "HE"), ("苏木素-伊红", "HE"), ("苏木精 伊红", "HE"),
        ("Haematoxylin, Eosin Y", "HE"),
        ("hematoxylin", None), ("eosin", None), ("eosinophil hematoxylin", None),
        ("E-cad", "IHC:E-cadherin"), ("c-Myc", "IHC:c-MYC"), ("S-100", "IHC:S-100"), ("P-53", "IHC:P53"),
        ("N-cadherin", "IHC:N-cadherin"),
        ("CD-20", "IHC:CD20"), ("CD 20", "IHC:CD20"), ("CK5_6", "IHC:CK5/6"), ("CK8-18", "IHC:CK8/18"),
        ("AE1_AE3", "IHC:CK"),
        ("突触素", "IHC:Syn"), ("PD-L1", "IHC:PD-L1"), ("Ki-67(MIB-1)", "IHC:Ki-67"),
        ("EBER", "ISH:EBER"), ("HER2", "IHC:HER2"), ("HER2 FISH", "FISH:HER2"), ("IF IgG", "IF:IgG"), ("IgG4", "IHC:IgG4"),
        ("AB-PAS", "AB_PAS"), ("AB", "ALCIAN_BLUE"), ("PAS-D", "D_PAS"), ("PASM", "PASM"), ("六胺银", "GMS"),
        ("抗酸", "ACID_FAST"),
        ("Masson三色", "MASSON"), ("刚果红", "CONGO_RED"), ("网染", "RETICULIN"), ("Warthin-Starry", "WARTHIN_STARRY"),
        ("油红O", "OIL_RED_O"), ("PTAH", "PTAH"), ("Diff-Quik", "DIFF_QUIK"), ("甲苯胺蓝", "TOLUIDINE_BLUE"),
        ("Gram", "GRAM"),
        ("普鲁士蓝", "PRUSSIAN_BLUE"), ("EVG", "EVG"), ("Van Gieson", "VG"), ("巴氏", "PAP"), ("Giemsa", "GIEMSA"),
        ("ER", "IHC:ER"), ("PR", "IHC:PR"), ("AR", "IHC:AR"), ("CK", "IHC:CK"), ("VIP", "IHC:VIP"), ("kit", "IHC:CD117"),
        # A letter and a number are a block or a level.
        ("C3", None), ("F8", None), ("L26", None), ("A103", None), ("K9", None),
    ],
)  # fmt: skip
def test_stains_beside_a_number(name: str, stain: str | None) -> None:
    assert names(f"S23-00123 {name}.svs").stain == stain
    assert names(f"x/S23-00123_A1_{name}_2.svs").stain == stain
    if stain is not None:
        assert names(f"S23-00123-{name}.svs").stain == stain
        assert names(f"S23-00123-{name}.svs").block is None
        assert names(f"S23-00123-A1-{name}.svs").block == "1"


@pytest.mark.parametrize(
    "path",
    [
        "PR-2023.svs", "PR-2023/1.svs", "ER_scan.svs", "ER/S23-00123.svs", "急诊ER/S23-00123.svs", "ER室/1.svs",
        "AR-project/1.svs",
        "CK_2021_batch/1.svs", "CK01.svs", "CKxx.svs", "VIP/S23-00123.svs", "HP printer/1.svs", "TS2023/1.svs",
        "DES-2022-01/1.svs",
        "THE ALK study/1.svs", "fish scan/1.svs", "EGFR/S23-00123.svs", "HER2_cohort/S23-00123.svs", "HPV/S23-00123.svs",
        "RCC_2023/1.svs", "nut cases/1.svs", "Gram Parsons/1.svs", "He Xiaohong/S23-00123.svs", "S23-00123 He_Wei.svs",
        "cherry/S23-00123.svs", "sheet1/S23-00123.svs", "PAST/S23-00123.svs", "S23-00123-A1.svs", "胰岛素研究/S23-00123.svs",
        "MY FH/S23-00123.svs", "GH 2022/1.svs", "ab/S23-00123.svs", "X:PR/S23-00123.svs", "会诊PR/S23-00123.svs",
    ],
)  # fmt: skip
def test_words_that_are_no_stain_where_they_stand(path: str) -> None:
    assert names(path).stain is None


@pytest.mark.parametrize("patterns", [DEFAULT_PATTERNS, ["^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})"]])
def test_parts_of_a_tcga_barcode_are_neither_stain_nor_block(patterns: Sequence[str]) -> None:
    for barcode in ("TCGA-HE-7130-01Z-00-DX1", "TCGA-A1-A0SB-01Z-00-DX2", "TCGA-ER-A19A-06A-01-TSA", "TCGA-HE-7130"):
        read = read_names(f"{barcode}.svs".encode(), None, None, None, AccessionPatterns(patterns))
        assert (read.stain, read.specimen, read.block, read.organ) == (None, None, None, None)
        assert len(read.keys) <= 1


@pytest.mark.parametrize(
    ("path", "stain"),
    [
        ("IHC/ER/S23-00123.svs", "IHC:ER"), ("免疫组化/PR/1.svs", "IHC:PR"), ("S23-00123/ER.svs", "IHC:ER"),
        ("ER-2.svs", "IHC:ER"),
        ("S23-00123 PR/1.svs", "IHC:PR"), ("特染/Gram/1.svs", "GRAM"), ("HE/S23-00123.svs", "HE"),
        ("王小红 HE S23-00123.svs", "HE"),
        ("he Wei/S23-00123.svs", "HE"),
        ("对照/HER2 阳性对照 2023-03.svs", "IHC:HER2"), ("对照/PR.svs", "IHC:PR"), ("controls/ER/1.svs", "IHC:ER"),
        ("S23-00123 ER HE.svs", "HE"), ("CD34/1.svs", "IHC:CD34"),
    ],
)  # fmt: skip
def test_short_words_count_among_stains(path: str, stain: str) -> None:
    assert names(path).stain == stain


def test_a_header_that_says_so_names_a_stain_by_any_word() -> None:
    assert names("1.svs", metadata=["stain: ER + DAB"]).stain == "IHC:ER"
    assert names("1.svs", metadata=["ER ward"]).stain is None


# ---- organs ----


@pytest.mark.parametrize(
    ("path", "organ"),
    [
        ("上海市肺科医院/S23-00123.svs", None), ("胸科医院/S23-00123.svs", None), ("肺科医院左乳/S23-00123.svs", "breast"),
        ("口腔医院/舌/1.svs", "oral_cavity"), ("骨科/1.svs", None), ("皮肤科左小腿/1.svs", None), ("肝胆外科/1.svs", None),
        ("眼耳鼻喉科医院 鼻咽/1.svs", "nasopharynx"), ("Lung Hospital/1.svs", None), ("Breast Center/S23-00123.svs", None),
        ("Liver Cancer Institute lung/1.svs", "lung"), ("lung/S23-00123.svs", "lung"), ("LUNG_01/S23-00123.svs", "lung"),
        ("lungs2/1.svs", None), ("COLONY/1.svs", None), ("附件/1.svs", None), ("Iris/1.svs", None),
        ("S23-00123 左肺.svs", "lung"),
        ("胃/S23-00123-A1 肠系膜.svs", "peritoneum"), ("乳腺/2023/S23-00123.svs", "breast"), ("S23-00123.svs", None),
        ("浙江大学/S23-00123.svs", None), ("肾内科会诊/1.svs", None),
    ],
)  # fmt: skip
def test_organs_but_not_those_of_hospitals(path: str, organ: str | None) -> None:
    assert names(path).organ == organ


def test_the_header_says_the_organ_before_the_folders_do() -> None:
    assert names("liver/1.svs", metadata=["organ: breast"]).organ == "breast"
    assert names("liver/1.svs", label="S23-00123 胃").organ == "stomach"


# ---- blocks ----


@pytest.mark.parametrize(
    ("path", "specimen", "block"),
    [
        ("S23-00123;A1.svs", "A", "1"), ("S23-00123 (B2).svs", "B", "2"), ("S23-00123_A-1.svs", "A", "1"),
        ("S23-00123_HE_B12_.svs", "B", "12"),
        ("S23-00123_A_1_1.svs", "A", "1"), ("S23-00123 蜡块3.svs", None, "3"), ("S23-00123 蜡块B3.svs", "B", "3"),
        ("S23-00123 block C04.svs", "C", "4"), ("S23-00123/A1_HE.svs", "A", "1"), ("A1.svs", "A", "1"),
        ("HE_A-2.svs", "A", "2"),
        ("S23-00123-C3.svs", "C", "3"), ("S23-00123 F8.svs", "F", "8"), ("S23-00123-1.svs", None, None),
        ("S23-00123.1.svs", None, None),
        ("S23-00123 X20.svs", None, None), ("S23-00123_HE_X40.svs", None, None), ("S23-00123 HE L2.svs", None, None),
        ("S23-00123 HE V2.svs", None, None), ("S23-00123 A1 B2 pooled.svs", "A", "1"),
        ("S23-00123 HE A1 B2.svs", None, None),
        ("A1/S23-00123.svs", None, None), ("B2楼/S23-00123.svs", None, None), ("2023 A1 batch.svs", None, None),
        ("A0.svs", None, None),
        ("TCGA-A1-A0SB-01Z-00-DX1.svs", None, None), ("P53.svs", None, None), ("S23-00123 P53 A1.svs", "A", "1"),
        ("S23-00123-P53-A1.svs", None, None), ("1A.svs", None, None), ("S23-00123-A/A1.svs", "A", "1"),
        ("S23-00123-A/B1.svs", "A", None),
    ],
)  # fmt: skip
def test_blocks_in_names(path: str, specimen: str | None, block: str | None) -> None:
    read = names(path)
    assert (read.specimen, read.block) == (specimen, block)


def test_a_block_that_any_text_of_the_case_names_is_kept() -> None:
    read = names("x.svs", metadata=["S23-00123", "S23-00123-A", "S23-00123-A1"])
    assert (read.specimen, read.block) == ("A", "1")
    assert [(key.key, key.specimen, key.block) for key in read.keys] == [("S23-123", "A", "1")]


@settings(max_examples=60)
@given(st.text("SPABCHE0123456789-_ &.蜡块肺科医院左乳何", max_size=24).map(" ".__add__), st.sampled_from(["", "S23-00123"]))
def test_a_block_is_never_a_stain_and_a_marker_never_a_block(text: str, number: str) -> None:
    read = names(f"{number} {text}.svs")
    assert read.block is None or re.fullmatch(r"\d{1,3}", read.block)
    assert read.specimen is None or re.fullmatch("[A-Z]", read.specimen)
    if read.stain == "IHC:P53":
        assert (read.specimen, read.block) != ("P", "53")
    if number:
        # Whatever stands behind it, apart from it, does not change the number.
        assert ("S23-123", "file_name") in found(read)
