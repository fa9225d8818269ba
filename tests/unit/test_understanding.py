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
