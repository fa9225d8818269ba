"""Whatever the text: values lie inside it, are in the spellings of the columns, and are found in linear time."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pathcurate.model.column import Type
from pathcurate.model.report import VALUES
from pathcurate.text.folding import fold
from pathcurate.text.staging import stage_of, staged_organs
from pathcurate.text.tumour import inconsistencies, tumour_values
from tests.growth import is_proportional

COLUMNS = {column.name: column for column in VALUES}
TYPES = {Type.STRING: str, Type.INTEGER: int, Type.FLOAT: float}
PIECES = (
    "pT",
    "T",
    "N",
    "M",
    "pN1a",
    "M0",
    "is",
    "(DCIS)",
    "1",
    "2",
    "3",
    "0",
    "15",
    "a",
    "mi",
    "(sn)",
    "(i+)",
    "X",
    "yp",
    "c",
    "O",
    "l",
    "I",
    " ",
    ",",
    "，",
    "。",
    ";",
    "\n",
    ":",
    "：",
    "/",
    "-",
    "+",
    "=",
    "(",
    ")",
    ".",
    "×",
    "x",
    "cm",
    "mm",
    "Ⅱ",
    "ⅢB",
    "期",
    "分期",
    "FIGO",
    "AJCC",
    "stage ",
    "grade ",
    "级",
    "分化",
    "高",
    "中",
    "低",
    "高级别",
    "Gleason",
    "primary",
    "secondary",
    "differentiated",
    "moderately",
    " to ",
    "poorly ",
    "WHO",
    "肿物",
    "大小",
    "距",
    "切缘",
    "断端",
    "未见",
    "见",
    "癌",
    "阴性",
    "(-)",
    "(+)",
    "不除外",
    "脉管",
    "神经",
    "癌栓",
    "侵犯",
    "淋巴结",
    "枚",
    "共",
    "均",
    "转移",
    "lymph nodes",
    "number",
    "examined",
    "involved",
    "two",
    "of",
    "fifteen",
    "margins",
    "negative",
    "lymphovascular",
    "invasion",
    "not identified",
    "present",
    "C50.900",
    "C50.9",
    "M8500/3",
    "ICD-10",
    "8140/32",
    "tumor",
    "mass",
    "dukes",
)
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200)


@given(TEXTS)
@example("number of lymph nodes examined: two of fifteen lymph nodes")
@example("stage ")
@example("Dukes D4")
def test_values_are_inside_the_text_and_in_the_spellings_of_their_columns(text: str) -> None:
    folded = fold(text)
    found = tumour_values(folded)
    assert [one.start for one in found] == sorted(one.start for one in found)
    assert len(set(found)) == len(found)
    for one in found:
        column = COLUMNS[one.name]
        assert 0 <= one.start < one.end <= len(folded)
        assert type(one.value) is TYPES[column.type]
        if column.values:
            assert one.value in column.values
        if column.pattern:
            assert re.fullmatch(column.pattern, str(one.value), re.ASCII)
    for _, start, end in inconsistencies(found, folded):
        assert 0 <= start < end <= len(folded)


@given(TEXTS)
def test_counts_and_sizes_are_written_in_the_text(text: str) -> None:
    folded = fold(text)
    for one in tumour_values(folded):
        if one.name == "tumour_size_mm":
            assert any(character.isdigit() for character in folded[one.start : one.end])
            assert isinstance(one.value, float)
            assert one.value > 0
        if one.name in ("nodes_positive", "nodes_examined"):
            assert isinstance(one.value, int)
            assert 0 <= one.value <= 200


@given(TEXTS, st.sampled_from(["无关文字。\n", "unrelated words\n"]))
def test_a_line_before_moves_every_span_and_changes_no_value(text: str, before: str) -> None:
    plain, moved = tumour_values(fold("\n" + text)), tumour_values(fold(before + text))
    shift = len(before) - 1
    assert [(one.name, one.value, one.start + shift, one.end + shift) for one in plain] == [tuple(one) for one in moved]


@given(
    st.sampled_from(staged_organs()),
    st.none() | st.from_regex(COLUMNS["pt"].pattern, fullmatch=True),
    st.none() | st.from_regex(COLUMNS["pn"].pattern, fullmatch=True),
    st.none() | st.from_regex(COLUMNS["pm"].pattern, fullmatch=True),
    st.none() | st.sampled_from(["G1", "G2", "G3", "G4", "GX", "high", "G1-G2"]),
    st.none() | st.integers(0, 120),
)
def test_every_stage_is_in_the_spelling_of_its_column(
    organ: str, pt: str | None, pn: str | None, pm: str | None, grade: str | None, age: int | None
) -> None:
    stage = stage_of(organ, pt, pn, pm, grade=grade, age=age)
    assert stage is None or re.fullmatch(COLUMNS["stage"].pattern, stage)
    if pm == "M0":
        assert stage_of(organ, pt, pn, "MX", grade=grade, age=age, assume_m0=True) == stage


@given(
    st.sampled_from(staged_organs()),
    st.sampled_from(["T1", "T2", "T3", "T4"]),
    st.sampled_from(["N0", "N1", "N2"]),
)
def test_what_is_known_more_exactly_never_changes_a_stage(organ: str, pt: str, pn: str) -> None:
    coarse = stage_of(organ, pt, pn, None)
    if coarse is not None:
        for pm in ("M0", "M1"):
            exact = stage_of(organ, pt, pn, pm)
            assert exact is None or exact.startswith(coarse)


@pytest.mark.parametrize(
    "unit",
    [
        "1/",
        "1/2 ",
        "9",
        "淋巴结1/2 ",
        "淋巴结2枚",
        "pt1 n0 m0 ",
        "pt1n0m0",
        "t",
        "g2 高分化",
        "高级别上皮内",
        "c50.9 8500/3 ",
        "肿物2x2cm",
        "切缘",
        "脉管",
        "脉管、",
        "未见脉管",
        "stage i ",
        "stage ",
        "期",
        "2级",
        "grade ",
        "gleason 3+4",
        "gleason ",
        "primary ",
        "margin ",
        "number of ",
        "number ",
        "lymph nodes ",
        "one of two lymph node ",
        "two ",
        "no tumor in ",
        "1 of 1 ",
        "vascular ",
        "perineural ",
        "lvi ",
        "(",
        "a ",
        "x",
        " ",
        "\n",
        "differentiated ",
        "well ",
        "分化",
        "距",
        "2cm",
        "1-1-",
        "1x1x",
        "(ajcc figo ",
    ],
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    def work(folded: str) -> None:
        inconsistencies(tumour_values(folded), folded)

    assert is_proportional(work, lambda length: fold(unit * (length // len(unit.encode()))), short=20_000)
