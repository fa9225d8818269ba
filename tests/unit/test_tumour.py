"""Values of a tumour in Chinese and English texts: what is read, where, and what must not be."""

import pytest

from pathcurate.text.folding import fold
from pathcurate.text.found import Found
from pathcurate.text.tumour import inconsistencies, tumour_values

TNM = ("tnm_prefix", "pt", "pn", "pm")
NODES = ("nodes_positive", "nodes_examined")


def said(text: str, *names: str) -> list[str | int | float]:
    """Values of the columns named, in the order of the text."""
    return [one.value for one in tumour_values(fold(text)) if one.name in names]


def faults(text: str) -> set[str]:
    folded = fold(text)
    return {name for name, _, _ in inconsistencies(tumour_values(folded), folded)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("pT3N1bM0", ["p", "T3", "N1b", "M0"]),
        ("ypT2 N0(sn) MX", ["yp", "T2", "N0(sn)", "MX"]),
        ("pTis", ["p", "Tis"]),
        ("病理分期：pT2aN1M0。", ["p", "T2a", "N1", "M0"]),
        ("TNM分期：pT2N1Mx", ["p", "T2", "N1", "MX"]),
        ("T2N0MX", ["T2", "N0", "MX"]),
        ("ｐＴ１ｍｉ ｐＮ０（ｉ＋）（ｓｎ）", ["p", "T1mi", "N0(i+)(sn)"]),
        ("pTis(DCIS)pN0", ["p", "Tis(DCIS)", "N0"]),
        ("pTis（Paget）", ["p", "Tis(Paget)"]),
        ("rpT3,N2b,M1a", ["rp", "T3", "N2b", "M1a"]),
        ("pT2(m) pN1mi", ["p", "T2", "N1mi"]),
        ("pN1a(3/15)", ["N1a"]),
        ("pT4a；pN3；pM1", ["p", "T4a", "N3", "M1"]),
        ("pT1b1N0", ["p", "T1b1", "N0"]),
        ("Staging: pTlbNOMX", ["p", "T1b", "N0", "MX"]),
        (
            "Primary Tumor (pT): pT2. Regional Lymph Nodes (pN): pN1b. Distant Metastasis (pM): pM0",
            ["p", "T2", "N1b", "M0"],
        ),
        ("Pathological Staging (pTNM): T 3a N 1. Mx.", ["T3a", "N1", "MX"]),
        ("T stage: 3 N stage: 1 M stage: 0", ["T3", "N1", "M0"]),
        ("p T2 NX MX", ["p", "T2", "NX", "MX"]),
        ("pT2 (invasion of muscularis propria), pN0", ["p", "T2", "N0"]),
        ("pT4NOLOVORO", ["p", "T4", "N0"]),
        ("pT1c(mult)N1a(sn)L1V0R0", ["p", "T1c", "N1a(sn)"]),
        ("p T 3, L0, V1, p N 1, G3", ["p", "T3", "N1"]),
        ("Stage T 3. M 1 X", ["T3"]),
    ],
)
def test_tnm(text: str, values: list[str]) -> None:
    assert said(text, *TNM) == values


@pytest.mark.parametrize(
    "text",
    [
        "EGFR T790M突变",
        "T-bet(+)",
        "CT2期",
        "cT2N1M0",
        "ycT2N0",
        "胸椎T12压缩性骨折",
        "T1 weighted image",
        "T1加权像呈低信号",
        "腰椎L1",
        "T2 lesion of the brain",
        "2024/5/3",
        "CT1-3",
        "AML-M1",
        "M2型巨噬细胞",
        "HT29",
        "N1期睡眠",
        "PNI: present",
        "pt 2 years after surgery",
        "10:30 pm 1 hour",
        "at 2 cm",
        "stent 1",
        "P16 INK4",
    ],
)
def test_what_is_no_tnm(text: str) -> None:
    assert said(text, *TNM) == []


def test_no_lymph_nodes_after_a_category_is_a_word() -> None:
    assert said("pT2, no lymph nodes submitted", *TNM) == ["p", "T2"]
    assert said("pT3 NO MX", *TNM) == ["p", "T3", "N0", "MX"]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("ⅢB期", ["IIIB"]),
        ("FIGO ⅠA1", ["IA1", "figo"]),
        ("IIA期", ["IIA"]),
        ("临床分期：2期", ["II"]),
        ("FIGO分期ⅢC1期", ["IIIC1", "figo"]),
        ("FIGO 分期：IB2", ["IB2", "figo"]),
        ("AJCC stage IIIA", ["IIIA", "ajcc"]),
        ("FIGO stage IB2", ["IB2", "figo"]),
        ("TNM分期:ⅡA期", ["IIA", "ajcc"]),
        ("Ann Arbor分期ⅡE期", ["IIE", "ann_arbor"]),
        ("Dukes' B", ["B", "dukes"]),
        ("Dukes C期", ["C", "dukes"]),
        ("Masaoka stage IIb", ["IIB", "masaoka"]),
        ("STAGE GROUPING: III B", ["IIIB"]),
        ("Pathologic stage (AJCC 7th edition): IIb", ["IIB", "ajcc"]),
        ("stage IlIA", ["IIIA"]),
        ("Stage: 4 (pT3 N1 M1)", ["IV"]),
        ("stage 1b", ["IB"]),
        ("stage 0", ["0"]),
    ],
)
def test_stage(text: str, values: list[str]) -> None:
    assert said(text, "stage", "stage_system") == values


@pytest.mark.parametrize(
    "text",
    [
        "分期见下",
        "核分裂期",
        "早期",
        "CT2期",
        "二期手术",
        "肝纤维化2期",
        "慢性肾病3期",
        "III期临床试验",
        "Stage (fibrosis): bridging (stage 3)",
        "stage 3 of 4 fibrosis",
        "a trial in stage II breast cancer patients",
        "pathologic stage: pT2",
        "early-stage cancer",
        "clinical stage II",
        "AJCC 7th edition",
        "FIGO grade 2",
        "FIGO 2",
        "stage 2.5",
        "T stage: 2",
    ],
)
def test_what_is_no_stage(text: str) -> None:
    assert said(text, "stage") == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("中-低分化腺癌", ["G2-G3", "differentiation"]),
        ("中低分化鳞状细胞癌", ["G2-G3", "differentiation"]),
        ("高至中分化", ["G1-G2", "differentiation"]),
        ("低分化癌", ["G3", "differentiation"]),
        ("未分化癌", ["G4", "differentiation"]),
        ("高分化鳞癌", ["G1", "differentiation"]),
        ("Gleason评分4+3=7", ["4+3=7", "gleason"]),
        ("Gleason 3+4=7", ["3+4=7", "gleason"]),
        ("Gleason score: 4 + 5 = 9", ["4+5=9", "gleason"]),
        ("GLEASON SCORE 3+4", ["3+4=7", "gleason"]),
        ("Gleason grade: primary pattern: 3, secondary pattern: 4, total score: 7", ["3+4=7", "gleason"]),
        ("ISUP分级：2级", ["G2", "isup"]),
        ("Grade group 2", ["G2", "isup"]),
        ("Nottingham grade II/III", ["G2", "nottingham"]),
        ("浸润性导管癌，Nottingham分级Ⅱ级", ["G2", "nottingham"]),
        ("Fuhrman Ⅱ-Ⅲ级", ["G2-G3", "fuhrman"]),
        ("Fuhrman nuclear grade: 3/4", ["G3", "fuhrman"]),
        ("WHO Ⅳ级", ["G4", "who"]),
        ("Edmondson-Steiner Ⅲ级", ["G3", "edmondson"]),
        ("FNCLCC 分级 2级", ["G2", "fnclcc"]),
        ("浸润性癌2级", ["G2"]),
        ("FIGO grade 3", ["G3", "figo"]),
        ("Moderately differentiated (FIGO 2)", ["G2", "differentiation", "G2", "figo"]),
        ("moderately to poorly differentiated adenocarcinoma", ["G2-G3", "differentiation"]),
        ("WELL DIFFERENTIATED", ["G1", "differentiation"]),
        ("poorly-differentiated", ["G3", "differentiation"]),
        ("undifferentiated carcinoma", ["G4", "differentiation"]),
        ("histologic grade: G2", ["G2"]),
        ("Histologic grade: 2", ["G2"]),
        ("神经内分泌瘤，G1", ["G1"]),
        ("G2-3", ["G2-G3"]),
        ("高级别", ["high"]),
        ("WHO/ISUP分级分组：3组", ["G3", "isup"]),
        ("肝细胞癌，Edmondson-SteinerⅡ-Ⅲ级", ["G2-G3", "edmondson"]),
        ("Edmondson-SteinerII级", ["G2", "edmondson"]),
        ("grade 2 in biopsy；WHO 3级", ["G2", "G3", "who"]),
        ("高级别浆液性癌", ["high"]),
        ("low-grade serous carcinoma", ["low"]),
        ("管状腺瘤伴低级别上皮内瘤变", ["low"]),
    ],
)
def test_grade(text: str, values: list[str]) -> None:
    assert said(text, "grade", "grade_system") == values


@pytest.mark.parametrize(
    "text",
    [
        "分化抗原",
        "G5",
        "等级医院",
        "三级医院",
        "去分化脂肪肉瘤",
        "炎症2级",
        "TRG 2级",
        "CIN 2级",
        "G2P1",
        "tumor regression grade 2",
        "未见高级别上皮内瘤变",
        "no high grade dysplasia",
        "inflammation: mild (grade 1)",
        "ER 5+3=8",
        "脂肪变性2级",
        "mg 2",
        "MVI分级：M1级",
        "G2S3",
        "high power field",
    ],
)
def test_what_is_no_grade(text: str) -> None:
    assert said(text, "grade") == []


def test_grade_of_the_tumour_before_that_of_its_precursor() -> None:
    assert said("adenocarcinoma, poorly differentiated, arising in adenoma with high grade dysplasia", "grade") == ["G3"]
    assert said("腺癌，中分化，周围黏膜呈高级别上皮内瘤变", "grade") == ["G2"]
    assert said("1.腺癌，中分化。\n2.高级别上皮内瘤变。", "grade") == ["G2", "high"]
    assert said("Nottingham grade 2 (tubules 3, nuclear grade 3, mitoses 1)", "grade") == ["G2"]


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("肿物大小2.5×2×1.8cm", [25.0]),
        ("肿块13.1*12.0*6.5cm", [131.0]),
        ("癌灶直径0.3~0.8cm", [8.0]),
        ("切面见一灰白肿物，大小3cm×2cm×2cm", [30.0]),
        ("距切缘2cm见3×2cm肿物", [30.0]),
        ("乳腺组织10×8×3cm，切面见肿物2×1.5cm", [20.0]),
        ("肿瘤最大径约35mm", [35.0]),
        ("切面见一肿物，位于胃窦部，大小4×3cm，距远切缘5cm", [40.0]),
        ("Tumor size: 2.5 x 2.0 cm", [25.0]),
        ("a 3.2 cm mass", [32.0]),
        ("灰白组织，肿物大小3×2×2cm", [30.0]),
        ("甲状腺乳头状癌，最大径0.8cm", [8.0]),
        ("mass measuring 4 x 3 x 2.1 cm", [40.0]),
        ("Tumor: greatest dimension: 12 mm", [12.0]),
    ],
)
def test_size(text: str, sizes: list[float]) -> None:
    assert said(text, "tumour_size_mm") == sizes


@pytest.mark.parametrize(
    "text",
    [
        "40x",
        "10×10HPF",
        "3块",
        "距切缘3cm",
        "肿物距切缘3cm",
        "送检组织3×2×1cm",
        "肠管长20cm",
        "淋巴结直径0.5cm",
        "浸润深度5mm",
        "肿瘤位于胃窦，浸润深度5mm",
        "pT1b: tumor more than 4 cm but not more than 7 cm in greatest dimension",
        "specimen 5 x 4 x 3 cm",
        "tumor is 2 cm from the margin",
        "distance from tumor to closest margin: 3 mm",
        "肿瘤最大径>2cm",
        "淋巴结转移癌，直径3mm",
        "tumor 4 cm or less",
        "子宫8×6×4cm",
        "Specimen size: greatest dimension: 6 x 5 cm",
        "metastatic carcinoma, largest focus 1.2 cm",
    ],
)
def test_what_is_no_size_of_a_tumour(text: str) -> None:
    assert said(text, "tumour_size_mm") == []


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("淋巴结（2/15）见癌转移", [2, 15]),
        ("“第7组淋巴结”0/3", [0, 3]),
        ("肠周淋巴结 (2 / 15)", [2, 15]),
        ("淋巴结转移情况：第1组0/3；第3组1/5", [0, 3, 1, 5]),
        ("共15枚淋巴结，2枚见癌转移", [2, 15]),
        ("检出淋巴结12枚，均未见癌转移", [0, 12]),
        ("淋巴结3枚均见癌转移", [3, 3]),
        ("淋巴结13枚均呈反应性增生", [0, 13]),
        ("肠周淋巴结3枚，未见癌转移；系膜根部淋巴结2枚，1枚见癌转移", [0, 3, 1, 2]),
        ("胃小弯淋巴结(1/4)，胃大弯淋巴结(0/6)，共计(1/10)", [1, 10]),
        ("Lymph nodes: 3 / 15", [3, 15]),
        ("number of lymph nodes involved: 3. number examined: 15", [3, 15]),
        ("Number of lymph nodes examined: 59. Number of lymph nodes involved: 0.", [59, 0]),
        ("two of fifteen lymph nodes", [2, 15]),
        ("METASTATIC CARCINOMA IN TWO OF TWENTY-THREE LYMPH NODES (2/23)", [2, 23]),
        ("2 of 14 lymph nodes positive", [2, 14]),
        ("Seven lymph nodes, negative for malignancy (0/7)", [0, 7]),
        ("Seven lymph nodes, negative for malignancy", [0, 7]),
        ("pN1a (1/11)", [1, 11]),
    ],
)
def test_nodes(text: str, counts: list[int]) -> None:
    assert said(text, *NODES) == counts


@pytest.mark.parametrize(
    "text",
    [
        "2024/5/3",
        "核分裂象5/10HPF",
        "3/10HPF",
        "ER 3/8 Allred",
        "Nottingham score 6/9",
        "grade 3/3",
        "蜡块2/3块",
        "8500/3",
        "pT2 1/2",
        "淋巴结肿大，核分裂象 2/10个高倍视野",
        "CK5/6(+)",
        "2 of 3 cores",
        "possible lymph nodes, 5/1; 3C",
    ],
)
def test_what_is_no_count_of_nodes(text: str) -> None:
    assert said(text, *NODES) == []


def test_both_counts_of_a_group_have_one_span() -> None:
    folded = fold("肠周淋巴结(2/15)见癌转移")
    found = [one for one in tumour_values(folded) if one.name in NODES]
    assert {(one.start, one.end) for one in found} == {(folded.index("2"), folded.index(")"))}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("上下切缘未见癌", "negative"),
        ("环周切缘阴性", "negative"),
        ("支气管断端(-)", "negative"),
        ("切缘净", "negative"),
        ("上切缘、下切缘及环周切缘均未见癌累及", "negative"),
        ("未见癌累及切缘", "negative"),
        ("基底切缘阳性", "positive"),
        ("切缘见癌", "positive"),
        ("切缘（＋）", "positive"),
        ("癌组织累及切缘", "positive"),
        ("切缘可疑癌残留", "uncertain"),
        ("切缘不除外癌累及", "uncertain"),
        ("环周切缘<1mm", None),
        ("距环周切缘<1mm", "close"),
        ("Margins: uninvolved", "negative"),
        ("Surgical margins: negative", "negative"),
        ("margins of resection are free of tumor", "negative"),
        ("negative margins", "negative"),
        ("Margin(s) involved by carcinoma", "positive"),
        ("margins are positive for carcinoma", "positive"),
        ("tumor present at the surgical margin", "positive"),
        ("Margins: cannot be assessed", "uncertain"),
        ("距切缘3cm", None),
        ("送检切缘", None),
        ("切缘", None),
        ("切缘见脂肪组织", None),
        ("distance to closest margin: 5 mm", None),
    ],
)
def test_margin(text: str, value: str | None) -> None:
    assert set(said(text, "margin")) == ({value} if value else set())


def test_a_margin_does_not_take_the_state_of_the_vessels() -> None:
    assert said("送检切缘，脉管内见癌栓", "margin") == []
    assert said("切缘未见癌，脉管内见癌栓，神经未见侵犯", "margin", "lvi", "pni") == ["negative", "present", "absent"]


@pytest.mark.parametrize(
    ("text", "lvi", "pni"),
    [
        ("脉管内见癌栓", "present", None),
        ("神经侵犯（+）", None, "present"),
        ("脉管癌栓:无", "absent", None),
        ("脉管癌栓(-)", "absent", None),
        ("未见脉管癌栓", "absent", None),
        ("未见明确脉管癌栓及神经侵犯", "absent", "absent"),
        ("脉管癌栓（+），神经侵犯（-）", "present", "absent"),
        ("脉管癌栓及神经侵犯均(-)", "absent", "absent"),
        ("脉管、神经未见癌侵犯", "absent", "absent"),
        ("癌组织侵犯神经", None, "present"),
        ("未侵犯神经", None, "absent"),
        ("可疑脉管癌栓", "suspected", None),
        ("脉管癌栓:可疑", "suspected", None),
        ("不除外脉管癌栓", "suspected", None),
        ("伴脉管癌栓", "present", None),
        ("神经束膜见癌浸润", None, "present"),
        ("微血管侵犯(MVI)：M1", "present", None),
        ("Lymph-vascular invasion: Not identified", "absent", None),
        ("Lymphovascular invasion: Present", "present", None),
        ("no evidence of perineural invasion", None, "absent"),
        ("Perineural invasion: present, extensive", None, "present"),
        ("with perineural invasion.", None, "present"),
        ("LVI: suspicious", "suspected", None),
        ("angiolymphatic invasion is identified", "present", None),
        ("Venous invasion: absent", "absent", None),
        ("No lymphovascular or perineural invasion is identified.", "absent", "absent"),
        ("LVSI（-）", "absent", None),
        ("神经束侵犯（阴性），脉管癌栓（阳性）", "present", "absent"),
        ("切缘及脉管均未见癌", "absent", None),
        ("With perineural invasion. - No tumor in the vein", None, "present"),
        ("MVI分级：M1", "present", None),
        ("CD34（脉管+），S-100（神经+）", None, None),
        ("肾静脉未见侵犯", None, None),
        ("血管瘤", None, None),
        ("神经鞘瘤", None, None),
        ("神经内分泌癌", None, None),
        ("脉管", None, None),
        ("脉管癌栓：见下", None, None),
        ("血管增生，纤维组织阳性", None, None),
        ("神经源性肿瘤", None, None),
    ],
)
def test_vessels_and_nerves(text: str, lvi: str | None, pni: str | None) -> None:
    assert said(text, "lvi") == ([lvi] if lvi else [])
    assert said(text, "pni") == ([pni] if pni else [])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("C50.900", [("icd10", "C50.900"), ("icd10_edition", "cn")]),
        ("C73.x00", [("icd10", "C73.x00"), ("icd10_edition", "cn")]),
        ("D05.101", [("icd10", "D05.101"), ("icd10_edition", "cn")]),
        ("医保编码 C16.902", [("icd10", "C16.902"), ("icd10_edition", "cn_insurance")]),
        ("ICD-10: C50.9", [("icd10", "C50.9"), ("icd10_edition", "who")]),
        ("C50.9", [("icd10", "C50.9")]),
        ("ICD-O-3 C50.4", [("icdo3_topography", "C50.4")]),
        ("C34.1 M8070/3", [("icdo3_topography", "C34.1"), ("icdo3_morphology", "8070/3")]),
        ("M8500/3", [("icdo3_morphology", "8500/3")]),
        ("8140/32", [("icdo3_morphology", "8140/3")]),
        ("CD20", []),
        ("T790M", []),
        ("S24x01234", []),
        ("8500/10", []),
        ("2024/3", []),
        ("7/15", []),
        ("T12", []),
        ("B12", []),
        ("p16.5", []),
        ("Ki-67 C50", []),
    ],
)
def test_codes(text: str, values: list[tuple[str, str]]) -> None:
    names = ("icd10", "icd10_edition", "icdo3_topography", "icdo3_morphology")
    assert [(one.name, one.value) for one in tumour_values(fold(text)) if one.name in names] == values


def test_values_are_in_the_order_of_the_text() -> None:
    found = tumour_values(fold("肿物大小3×2cm，中分化腺癌，切缘未见癌，脉管癌栓(-)，淋巴结(2/15)，pT3N1M0"))
    assert [one.name for one in found] == [
        "tumour_size_mm", "grade", "grade_system", "margin", "lvi", "nodes_positive", "nodes_examined",
        "tnm_prefix", "pt", "pn", "pm",
    ]  # fmt: skip
    assert all(isinstance(one, Found) for one in found)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("淋巴结(16/15)", {"nodes_positive_above_examined"}),
        ("淋巴结(0/15)见癌转移", {"nodes_against_words"}),
        ("淋巴结(2/15)未见癌转移", {"nodes_against_words"}),
        ("淋巴结未见癌转移(0/15)", set()),
        ("淋巴结(2/15)见癌转移", set()),
        ("lymph nodes, all uninvolved by carcinoma (0/2)", set()),
        ("Lymph nodes: 0/9 positive", set()),
        ("There is no evidence of. metastatic carcinoma in lymph nodes (0/6)", set()),
        ("Metastatic carcinoma in lymph nodes (0/15)", {"nodes_against_words"}),
        ("Two of fifteen lymph nodes negative for carcinoma", {"nodes_against_words"}),
        ("淋巴结(2/15)。pT2N0M0", {"pn_against_nodes"}),
        ("淋巴结(0/15)。pT2N1M0", {"pn_against_nodes"}),
        ("淋巴结(0/15)。pT3N1cM0", set()),
        ("淋巴结(1/15)。pT2N0(i+)", set()),
        ("Gleason 3+4=8", {"gleason_sum"}),
        ("Gleason 4+4=8", set()),
        ("pT2N0M1，ⅡA期", {"stage_against_m"}),
        ("pT1N0M0，Ⅳ期", {"stage_against_m"}),
        ("pT4N0M0，Ⅰ期", {"stage_against_t"}),
        ("pT2N0M0，分期：0期", {"stage_against_t"}),
        ("甲状腺癌，pT4N0M0，Ⅰ期", set()),
        ("pT3N0M0，ⅡA期", set()),
    ],
)
def test_statements_that_cannot_all_be_true(text: str, names: set[str]) -> None:
    assert faults(text) == names
