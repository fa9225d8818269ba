"""Sections by their heads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.diagnosis import SECTIONS
from pathcurate.text.folding import fold
from pathcurate.text.sections import sections


def found(text):
    return [(part.section, text[part.body_start : part.end].strip()) for part in sections(fold(text))]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("肉眼所见：\n送检组织一块。\n", [("gross", "送检组织一块。")]),
        ("【镜下所见】异型细胞", [("microscopy", "异型细胞")]),
        ("病理诊断及建议: 癌", [("diagnosis", "癌")]),
        ("１、病理诊断：癌", [("diagnosis", "癌")]),
        ("病理诊断\n（右乳）浸润性癌", [("diagnosis", "（右乳）浸润性癌")]),
        ("免疫组化（A3）：ER(+)", [("ihc", "ER(+)")]),
        ("免疫组化结果示：ER(+)", [("ihc", "ER(+)")]),
        ("癌。免疫组化：ER(+)。FISH检测：阴性", [("ihc", "ER(+)。"), ("molecular", "阴性")]),
        ("术中冰冻诊断：癌\n石蜡诊断：癌", [("frozen", "癌"), ("diagnosis", "癌")]),
        # An export that took the line breaks out.
        ("大体：灰白组织 镜下所见：见癌 病理诊断：癌", [("gross", "灰白组织"), ("microscopy", "见癌"), ("diagnosis", "癌")]),
        ("Gross Description: tan. FINAL DIAGNOSIS: Carcinoma.", [("gross", "tan."), ("diagnosis", "Carcinoma.")]),
        ("left mass FINAL DIAGNOSIS: Carcinoma", [("diagnosis", "Carcinoma")]),
        ("DIAGNOSIS\nCarcinoma\nCOMMENT\nNone", [("diagnosis", "Carcinoma"), ("comment", "None")]),
        ("诊断：癌\n报告医师：某", [("diagnosis", "癌"), ("other", "某")]),
        ("送检材料：左乳\n诊断：癌", [("specimens", "左乳"), ("diagnosis", "癌")]),
        # What only looks like a head.
        ("切面所见灰白", []),
        ("结合临床诊断为癌", []),
        ("镜下见异型细胞", []),
        ("receptors by immunohistochemistry: positive", []),
        ("after this diagnosis: no treatment", []),
        ("诊断：癌\nSpecimen: mastectomy\nSize: 2 cm", [("diagnosis", "癌\nSpecimen: mastectomy\nSize: 2 cm")]),
        ("", []),
    ],
)
def test_heads(text, parts):
    assert found(text) == parts


def test_a_head_far_from_the_colon_before_it():
    assert found("Size: " + "x" * 200 + ". COMMENT: none") == [("comment", "none")]


@given(st.text(alphabet="病理诊断肉眼所见:：。;\n []【】（）()ABdiagnosis. ", max_size=200))
def test_parts_lie_in_the_text_in_order(text):
    end = None
    for part in sections(fold(text)):
        assert part.section in {*SECTIONS, "specimens", "other"}
        assert 0 <= part.start < part.body_start <= part.end <= len(text)
        assert end is None or part.start == end
        end = part.end
    assert end in (None, len(text))


@given(st.text())
def test_folding_keeps_places(text):
    assert len(fold(text)) == len(text)
