"""What reports say, as a whole: which value belongs to which line, and what a report as a whole can be said to say."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.tables import from_rows
from pathcurate.text.coding import Coder
from pathcurate.text.understanding import understand

CODER = Coder()


def read(**texts):
    return understand(texts, CODER)


def told(rows, *names):
    return [tuple(row.get(name) for name in names) for row in rows]


LOBECTOMY = (
    "（右上肺叶）浸润性腺癌，腺泡型为主，中分化，肿瘤大小2.5×2×1.8cm；支气管切缘未见癌；"
    "第7组淋巴结（0/3）、第10组淋巴结（0/2）未见癌转移。"
)


def test_nodes_and_margin_of_a_lobectomy_are_no_carcinoma():
    said = read(diagnosis=LOBECTOMY)
    assert told(said.diagnoses, "organ", "icdo3_morphology", "assertion", "nodes_positive", "nodes_examined", "margin") == [
        ("lung", "8551/3", "affirmed", None, None, "negative"),
        ("lymph_node", None, "negated", 0, 5, None),
    ]
    assert said.summary["organ"] == "lung"
    assert said.summary["icdo3_morphology"] == "8551/3"
    assert (said.summary["nodes_positive"], said.summary["nodes_examined"]) == (0, 5)
    assert (said.summary["grade"], said.summary["tumour_size_mm"], said.summary["margin"]) == ("G2", 25.0, "negative")
    assert said.faults == []


def test_each_value_keeps_the_place_that_says_it():
    said = read(diagnosis=LOBECTOMY)
    spans = json.loads(said.diagnoses[0]["spans"])
    shown = {name: LOBECTOMY[start:end] for name, (_, start, end) in spans.items()}
    assert "腺癌" in shown["icdo3_morphology"]
    assert "中分化" in shown["grade"]
    assert "2.5×2×1.8cm" in shown["tumour_size_mm"]
    assert "切缘" in shown["margin"]
    assert {column for column, _, _ in spans.values()} == {"diagnosis"}


def test_metastases_in_nodes_are_metastases():
    said = read(diagnosis="1.（左乳）浸润性癌，非特殊型，Ⅱ级。\n2.（左腋窝）淋巴结 2/15 见癌转移。\npT2N1M0，ⅡB期。")
    assert told(said.diagnoses, "specimen", "organ", "icdo3_morphology", "nodes_positive", "nodes_examined") == [
        ("1", "breast", "8500/3", None, None),
        ("2", "lymph_node", "8010/6", 2, 15),
    ]
    assert said.diagnoses[0]["pt"] == "T2"
    assert said.diagnoses[0]["stage"] == "IIB"
    assert {name: said.summary[name] for name in ("organ", "icdo3_morphology", "laterality", "pn", "nodes_positive")} == {
        "organ": "breast", "icdo3_morphology": "8500/3", "laterality": "left", "pn": "N1", "nodes_positive": 2,
    }  # fmt: skip


def test_a_stage_follows_from_the_categories_where_none_is_stated():
    said = read(diagnosis="（乙状结肠）中分化腺癌，pT3N1aM0。")
    assert (said.summary["stage"], said.summary["stage_system"], said.summary["stage_basis"]) == ("IIIB", "ajcc", "derived")
    said = read(diagnosis="（乙状结肠）中分化腺癌，pT3N1aM0，ⅡA期。")
    assert (said.summary["stage"], said.summary["stage_basis"]) == ("IIA", "stated")
    # A sarcoma is staged by other tables, and what is only suspected is not staged for the report.
    assert "stage" not in read(diagnosis="（左大腿）平滑肌肉瘤，pT2N0M0。").summary
    assert "stage" not in read(diagnosis="（乙状结肠）考虑为腺癌，pT3N1aM0。").summary


def test_two_tumours_leave_null_what_they_do_not_share():
    said = read(diagnosis="（左乳）浸润性癌，非特殊型，高分化。\n（右乳）浸润性小叶癌，中分化。")
    assert told(said.diagnoses, "icdo3_morphology", "laterality", "grade") == [
        ("8500/3", "left", "G1"), ("8520/3", "right", "G2"),
    ]  # fmt: skip
    assert said.summary["organ"] == "breast"
    assert not {"icdo3_morphology", "laterality", "grade"} & said.summary.keys()


def test_a_value_between_two_tumours_is_of_neither():
    said = read(diagnosis="（左乳）浸润性癌。（右乳）浸润性小叶癌。", comment="脉管癌栓（+）")
    assert told(said.diagnoses, "lvi") == [(None,), (None,)]


def test_what_is_denied_or_suspected_is_no_value_of_the_report():
    assert read(diagnosis="（胃窦）未见癌。").summary.get("icdo3_morphology") is None
    said = read(diagnosis="（胃窦）考虑为腺癌，建议免疫组化。")
    assert told(said.diagnoses, "icdo3_morphology", "assertion") == [("8140/3", "possible")]
    assert "icdo3_morphology" not in said.summary


def test_stains_belong_to_the_tumour():
    said = read(diagnosis="（左乳）浸润性癌，非特殊型。", ihc="ER（+，90%，强），PR（-），HER2（2+），Ki-67（约30%+）")
    assert told(said.stains, "marker", "result", "percent_low", "score", "section") == [
        ("ER", "positive", 90, None, "ihc"), ("PR", "negative", None, None, "ihc"), ("HER2", "equivocal", None, "2+", "ihc"),
        ("Ki-67", "positive", 30, None, "ihc"),
    ]  # fmt: skip
    assert said.summary["ihc_results"] == ["ER=positive", "PR=negative", "HER2=equivocal", "Ki-67=positive"]
    assert said.diagnoses[0]["ihc_results"] == said.summary["ihc_results"]


def test_a_marker_that_says_two_things_says_none():
    said = read(diagnosis="（左乳）浸润性癌。", ihc="ER（+），PR（+）", comment="复检 ER（-）")
    assert said.summary["ihc_results"] == ["PR=positive"]


def test_a_report_in_one_text():
    said = read(
        text_raw="肉眼所见：灰白组织，肿物大小3×2×2cm 镜下所见：异型细胞 病理诊断：（胃窦）低分化腺癌。免疫组化：CK（+）"
    )
    (row,) = said.diagnoses
    assert (row["organ"], row["icdo3_morphology"], row["grade"], row["section"]) == ("stomach", "8140/3", "G3", "diagnosis")
    assert (row["tumour_size_mm"], row["text_column"]) == (30.0, "text_raw")
    assert said.stains[0]["section"] == "ihc"


def test_english_parts():
    said = read(
        text_raw="FINAL DIAGNOSIS: A. BREAST, LEFT, MASTECTOMY: INVASIVE DUCTAL CARCINOMA, GRADE 2. TUMOR SIZE 1.3 CM. "
        "MARGINS NEGATIVE. B. LYMPH NODE, SENTINEL: ONE LYMPH NODE, NEGATIVE FOR CARCINOMA (0/1). GROSS DESCRIPTION: tan."
    )
    assert told(said.diagnoses, "specimen", "organ", "icdo3_morphology", "assertion") == [
        ("A", "breast", "8500/3", "affirmed"), ("B", "lymph_node", None, "negated"),
    ]  # fmt: skip
    assert (said.summary["grade"], said.summary["tumour_size_mm"], said.summary["margin"]) == ("G2", 13.0, "negative")


def test_the_frozen_section_of_a_report_does_not_speak_for_it():
    said = read(text_raw="术中冰冻诊断：（甲状腺左叶）滤泡性肿瘤，倾向良性。\n石蜡诊断：（甲状腺左叶）乳头状癌。")
    assert {row["section"] for row in said.diagnoses} == {"frozen", "diagnosis"}
    assert said.summary["icdo3_morphology"] == "8260/3"


@pytest.mark.parametrize(
    ("diagnosis", "rule"),
    [
        ("（胃）腺癌；淋巴结（0/15）见癌转移。", "nodes_against_words"),
        ("（胃）腺癌；淋巴结（2/15）未见癌转移。", "nodes_against_words"),
        ("（胃）腺癌；淋巴结（17/15）见癌转移。", "nodes_positive_above_examined"),
        ("（前列腺）腺泡腺癌，Gleason评分 4+3=8。", "gleason_sum"),
    ],
)
def test_what_cannot_be(diagnosis, rule):
    assert rule in [fault.rule for fault in read(diagnosis=diagnosis).faults]


def test_an_empty_report_says_nothing():
    said = read(diagnosis=None, text_raw="  \n ")
    assert (said.summary, said.diagnoses, said.stains, said.faults) == ({}, [], [], [])


PHRASES = [
    "（左乳）", "浸润性癌", "未见癌", "淋巴结", "（2/15）", "见癌转移", "pT2N1M0", "ⅡB期", "切缘", "（-）", "ER（+）",
    "。", "；",
    "\n", "，", "1.", "2.", "A. ", "病理诊断：", "免疫组化：", "Breast, left: ", "carcinoma", " grade 2", ". ", "脉管癌栓",
    "大小2×1cm", "冰冻诊断：",
]  # fmt: skip
texts = st.lists(st.sampled_from(PHRASES) | st.text(max_size=4), max_size=25).map("".join)


@settings(max_examples=150, deadline=None)
@given(texts, texts, st.none() | texts)
def test_whatever_a_report_says_the_tables_can_hold_it(diagnosis, ihc, text_raw):
    said = read(diagnosis=diagnosis, ihc=ihc, text_raw=text_raw)
    columns = {"diagnosis": diagnosis, "ihc": ihc, "text_raw": text_raw or ""}
    for table, rows in ((DIAGNOSES, said.diagnoses), (IHC_RESULTS, said.stains)):
        full = [{**row, "report_id": "R", "site": "NB01"} for row in rows]
        assert from_rows(table, full).num_rows == len(rows)
        assert [row["ordinal"] for row in rows] == list(range(1, len(rows) + 1))
        for row in rows:
            assert set(row) <= set(table.names)
            assert 0 <= row["start"] <= row["end"] <= len(columns[row["text_column"]])
    for row in said.diagnoses:
        assert row["assertion"] != "negated" or row["icdo3_morphology"] is None
        for column, start, end in json.loads(row["spans"] or "{}").values():
            assert 0 <= start < end <= len(columns[column])


def coded(text, *names):
    return told(read(diagnosis=text).diagnoses, *(names or ("organ", "icdo3_morphology", "assertion")))


@pytest.mark.parametrize(
    ("text", "row"),
    [
        # What was said before, and is no more; what the specimen was taken for.
        ("（右乳肿物）原报告“浸润性导管癌”更正为：导管内乳头状瘤，未见癌。", ("breast", "8503/0", "affirmed")),
        ("（肺）原单位诊断腺癌，现诊断：不典型腺瘤样增生。", ("lung", "8250/0", "affirmed")),
        ("（左乳导管内癌切除标本）未见残余肿瘤。", ("breast", None, "negated")),
        ("（左乳腺癌改良根治标本）切缘未见癌。", ("breast", None, "negated")),
        ("（左乳）乳腺癌保乳术后：纤维组织增生，未见癌。", ("breast", None, "negated")),
        ("胃癌、结肠癌病史，（肝）转移性腺癌。", ("liver", "8140/6", "affirmed")),
        # Denied by a word that touches, or short of a proof.
        ("（甲状腺）结节性甲状腺肿，非乳头状癌。", ("thyroid", None, "negated")),
        ("（肺）非小细胞癌。", ("lung", "8046/3", "affirmed")),
        ("（胰头）慢性胰腺炎，恶性依据不足。", ("pancreas", "8000/3", "possible")),
        # What spread elsewhere did not spread to what was taken.
        ("（胃）腺癌，肝转移。", ("stomach", "8140/3", "affirmed")),
        ("送检“第12组淋巴结”见癌转移1/3。", ("lymph_node", "8010/6", "affirmed")),
        ("食管旁淋巴结1/6、贲门旁淋巴结0/3见癌转移。", ("lymph_node", "8010/6", "affirmed")),
        # Of several organs the one in which the tumour grows.
        ("（全子宫+双附件）右卵巢高级别浆液性癌。", ("ovary", "8461/3", "affirmed")),
        ("（右肾、输尿管）肾盂高级别浸润性尿路上皮癌。", ("renal_pelvis", "8120/3", "affirmed")),
        # A scanner's full stop at the end of a line is no end of a denial.
        ("Ureter, left: negative. for urothelial dysplasia/carcinoma.", ("ureter", None, "negated")),
        ("Pancreas, tail, biopsy: No low-grade tumour or. carcinoma seen.", ("pancreas", None, "negated")),
    ],
)
def test_what_is_not_there_is_not_coded(text, row):
    assert coded(text)[0] == row


def test_brackets_in_one_sentence_are_specimens():
    assert coded("（右卵巢）内膜样癌，（左卵巢）未见癌，（子宫）内膜样癌。", "organ", "icdo3_morphology", "laterality") == [
        ("ovary", "8380/3", "right"), ("ovary", None, "left"), ("uterus", "8380/3", None),
    ]  # fmt: skip
    assert coded("（左甲状腺）乳头状癌（0.5cm），（右甲状腺）腺瘤（2cm）。", "laterality", "tumour_size_mm") == [
        ("left", 5.0), ("right", 20.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "1.（左乳）浸润性癌。免疫组化：ER（-）。\n2.（右乳）导管原位癌。免疫组化：ER（+）。",
        "（左乳）浸润性癌。免疫组化：ER（-）。\n（右乳）导管原位癌。免疫组化：ER（+）。",
    ],
)
def test_a_list_of_stains_between_two_specimens_is_of_the_first(text):
    assert coded(text, "laterality", "icdo3_morphology", "ihc_results") == [
        ("left", "8500/3", ["ER=negative"]), ("right", "8500/2", ["ER=positive"]),
    ]  # fmt: skip


def test_a_note_between_two_specimens_ends_where_the_next_begins():
    rows = coded(
        "A. Left adrenal: Pheochromocytoma. Note: no evidence of vascular invasion by tumor. B. Thyroid: Medullary thyroid "
        "carcinoma, 3.2 cm. C. Lymph nodes: (1/13) involved with metastatic carcinoma. pT2 N1b.",
        "specimen", "organ", "tumour_size_mm", "pt", "nodes_positive",
    )  # fmt: skip
    assert rows == [
        ("A", "adrenal", None, None, None), ("B", "thyroid", 32.0, "T2", None), ("C", "lymph_node", None, None, 1),
    ]  # fmt: skip


def test_stains_of_a_frozen_section_and_of_the_diagnosis_are_kept_apart():
    said = read(text_raw="冰冻诊断：（左肺）腺癌。\n病理诊断：（左肺）鳞癌，P40（+），TTF-1（-）。")
    assert told(said.diagnoses, "section", "icdo3_morphology", "ihc_results") == [
        ("frozen", "8140/3", None), ("diagnosis", "8070/3", ["P40=positive", "TTF-1=negative"]),
    ]  # fmt: skip


def test_stains_in_a_line_that_denies_a_tumour_are_none_of_another_specimen():
    said = read(diagnosis="1.（左乳）浸润性癌，ER（-）。2.（右乳）未见癌，ER（+）。")
    assert said.diagnoses[0]["ihc_results"] == ["ER=negative"]


def test_no_cell_that_takes_a_stain_is_a_negative_stain():
    said = read(diagnosis="Brain: Glioma. There are no cells immunoreactive with NeuN.")
    assert told(said.stains, "marker", "result") == [("NeuN", "negative")]


def test_values_of_one_of_two_carcinomas_are_not_the_report_s():
    said = read(diagnosis="（左上肺）浸润性腺癌，pT1bN0M0，IA2期；（左下肺）鳞癌，pT2a。")
    assert not {"pt", "pn", "pm", "stage"} & said.summary.keys()
    said = read(diagnosis="（宫颈）鳞癌，FIGO ⅠB1期；（子宫）平滑肌瘤，直径3cm。")
    assert said.summary["stage"] == "IB1"
    assert "tumour_size_mm" not in said.summary


def test_the_stage_of_a_line_of_nodes_is_the_primary_tumour_s():
    rows = coded("（左乳）浸润性癌。\n腋窝淋巴结（3/18）见癌转移，pT2N1aM0。", "organ", "pt", "pn", "nodes_positive")
    assert rows == [("breast", "T2", "N1a", None), ("lymph_node", None, None, 3)]


def test_what_was_taken_is_known_where_nothing_was_found():
    said = read(diagnosis="（左乳）纤维组织增生，未见癌。")
    assert (said.summary["organ"], said.summary["laterality"]) == ("breast", "left")


def test_counted_lines_that_measure_a_tumour_are_no_specimens():
    text = "胃癌根治标本：\n1.胃窦低分化腺癌。\n2.肿瘤大小3×2×1cm。\n3.脉管癌栓（+）。"
    rows = coded(text, "specimen", "tumour_size_mm", "lvi")
    assert rows[-1] == (None, 30.0, "present")
    assert {specimen for specimen, *_ in rows} == {None}
