"""Lines on which nothing stands but who did what."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.signlines import find_sign_lines


def found_in(text: str) -> set[str]:
    return {text[one.start : one.end] for one in find_sign_lines(text)}


@pytest.mark.parametrize(
    "text",
    [
        "建议复查。\n阅片 «HY» 审 «ZGX»", "初筛:«李y»  复检:«巴图»", "实验操作:«贾»  报告解读:«Luo Min»  审核:«石立国»",
        "细胞组:«曲»、«韩»", "取材 «高» 记录 «戴»", "未见癌。取材:«卓»/«戴» 审核:«wangl»",
    ],
)  # fmt: skip
def test_a_line_of_roles_names_people(text: str) -> None:
    assert found_in(re.sub("[«»]", "", text)) == set(re.findall("«(.*?)»", text))


@pytest.mark.parametrize(
    "text",
    [
        "报告:HE  取材:全", "检测:ER 染色:PAS", "诊断:腺癌 检查:阴性", "细胞组:少、多", "审核:HE", "染色 HE 特染 PAS",
        "报告 未见 审核 未见", "取材:左 记录:右",
    ],
)  # fmt: skip
def test_a_line_of_medicine_names_nobody(text: str) -> None:
    assert found_in(text) == set()


def test_they_go_from_a_text() -> None:
    text = "未见上皮内病变，建议 HPV 检测。\n阅片 HY 审 ZGX"
    [removals] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)
    assert {text[one.start : one.end] for one in removals} == {"HY", "ZGX"}


@given(st.text(alphabet="取材审核初筛:李y曲韩HY、/ 5月3日\n。", max_size=80))
def test_whatever_is_found_lies_in_the_text_and_is_no_space(text: str) -> None:
    for one in find_sign_lines(text):
        assert 0 <= one.start < one.end <= len(text)
        assert text[one.start : one.end].strip() == text[one.start : one.end]
