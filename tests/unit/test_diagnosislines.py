"""A diagnosis cut into specimens and lines."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.text.diagnosislines import diagnosis_lines
from pathcurate.text.folding import fold

SITES = re.compile("左乳|右乳|腋窝|淋巴结|支气管|右上肺|胃|breast|lymph nodes?|colon|切缘")


def lines(text):
    folded = fold(text)
    sites = [match.start() for match in SITES.finditer(folded)]
    return [(line.specimen, line.number, text[line.start : line.end]) for line in
            diagnosis_lines(folded, 0, len(folded), sites)]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "（右上肺叶）浸润性腺癌；支气管切缘未见癌；淋巴结（第7组 0/3，第10组0/2）未见癌转移。",
            [(None, 1, "（右上肺叶）浸润性腺癌"), (None, 2, "支气管切缘未见癌"),
             (None, 3, "淋巴结（第7组 0/3，第10组0/2）未见癌转移")],
        ),
        (
            "1.（左乳）浸润性癌，大小2.5×2.0cm\n2.（左腋窝）淋巴结 0/15\n3、切缘未见癌",
            [("1", 1, "（左乳）浸润性癌，大小2.5×2.0cm"), ("2", 1, "（左腋窝）淋巴结 0/15"), ("3", 1, "切缘未见癌")],
        ),
        # Items that are findings of one specimen, not specimens.
        (
            "1.浸润性导管癌 2.脉管内见癌栓 3.累及脂肪",
            [(None, 1, "浸润性导管癌"), (None, 2, "脉管内见癌栓"), (None, 3, "累及脂肪")],
        ),
        ("（胃窦）慢性胃炎；（胃体）腺癌。", [("1", 1, "（胃窦）慢性胃炎"), ("2", 1, "（胃体）腺癌")]),
        ("一、左乳肿物：癌。二、腋窝淋巴结：0/3。", [("1", 1, "左乳肿物：癌"), ("2", 1, "腋窝淋巴结：0/3")]),
        (
            "PART 1: BREAST, LEFT\nA. CARCINOMA.\nB. MARGINS FREE.\nPART 2: LYMPH NODES\nA. NEGATIVE.",
            [("1", 1, "BREAST, LEFT"), ("1", 2, "CARCINOMA"), ("1", 3, "MARGINS FREE"), ("2", 1, "LYMPH NODES"),
             ("2", 2, "NEGATIVE")],
        ),
        (
            "A. BREAST: CARCINOMA, 1.3 CM. GRADE 2. B. LYMPH NODE: NEGATIVE (0/1).",
            [("A", 1, "BREAST: CARCINOMA, 1.3 CM"), ("A", 2, "GRADE 2"), ("B", 1, "LYMPH NODE: NEGATIVE (0/1)")],
        ),
        # A line that was full goes on; a short one has ended.
        (
            "INVASIVE CARCINOMA IN THE UPPER OUTER QUADRANT, MEASURING\nTWO CENTIMETRES\nGRADE 2",
            [(None, 1, "INVASIVE CARCINOMA IN THE UPPER OUTER QUADRANT, MEASURING\nTWO CENTIMETRES"), (None, 2, "GRADE 2")],
        ),
        ("", []),
        ("。；\n . ", []),
    ],
)  # fmt: skip
def test_lines(text, expected):
    assert lines(text) == expected


@given(st.text(alphabet="12aA.、)（）。;：\n 左乳淋巴结癌breast-", max_size=150))
def test_lines_are_in_order_and_hold_whatever_is_said(text):
    folded = fold(text)
    sites = [match.start() for match in SITES.finditer(folded)]
    found = diagnosis_lines(folded, 0, len(folded), sites)
    place = 0
    for line in found:
        assert place <= line.start <= line.end <= len(text)
        place = line.end
    kept = "".join(folded[line.start : line.end] for line in found)
    for word in ("癌", "淋巴结"):
        assert kept.count(word) == folded.count(word) or word not in folded
