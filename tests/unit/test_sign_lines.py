"""Lines on which nothing stands but who did what."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.signlines import find_sign_lines


def found_in(text: str) -> set[str]:
    return {text[one.start : one.end] for one in find_sign_lines(text)}


@pytest.mark.parametrize(
    "text",
    [
        "建议复查。\n阅片 «HY» 审 «ZGX»", "初筛:«李y»  复检:«巴图»", "实验操作:«贾»  报告解读:«Luo Min»  审核:«石立国»",
        "细胞组:«曲»、«韩»", "取材 «高» 记录 «戴»", "未见癌。取材:«卓»/«戴» 审核:«wangl»",
        "取材:«蒲» 记录:«进修2»", "  «邹启明»  «Liuyq»  2023-3-1",
        "«韩越»(«0873») «裴蓉»(«0451») 2025-03-11", "«韩越»(«2873») «裴蓉»(«3451»)",
    ],
)  # fmt: skip
def test_a_line_of_roles_names_people(text: str) -> None:
    assert found_in(re.sub("[«»]", "", text)) == set(re.findall("«(.*?)»", text))


@pytest.mark.parametrize(
    "text",
    [
        "报告:HE  取材:全", "检测:ER 染色:PAS", "诊断:腺癌 检查:阴性", "细胞组:少、多", "审核:HE", "染色 HE 特染 PAS",
        "报告 未见 审核 未见", "取材:左 记录:右", "陈国(2019) 文献", "免疫组化(2019)",
        "胃癌  Lauren  2023-3-1", "记录:进修班3人",
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


@pytest.mark.parametrize(
    "text",
    [
        "诊断:胃炎。通知护士长«毕静»,已知晓", "Dr.«李»:组织全取后仍未见肿瘤", "患者之«郭»姓丈夫要求复核",
        "切片贴“«李X芳»”标签,拒收",
        "联系人«农»工,座机不详", "检测«周»/«蓝»  审«祁»", "登记员:«2071»", "建议复查肠镜。\n«綦»",
        "筛查:«CT03»  复核:«靖玉芝»",
        "镜检:«jyk07»", "关注公众号微信“«zkbl_2019»”",
    ],
)  # fmt: skip
def test_people_of_the_sets_that_were_scored_unseen_go(text: str) -> None:
    wanted = re.findall("«(.*?)»", text)
    plain = re.sub("[«»]", "", text)
    [removals] = TextScrubber(SiteRules("NB01")).removals([plain], KnownValues(), language="zh", year=2024)
    assert {plain[one.start : one.end] for one in removals} == set(wanted)


def test_a_known_login_goes_with_its_digits() -> None:
    text = "未见癌。\nwangsy02 2021-12-08 09:55"
    [removals] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(staff=("王世岩",)), language="zh", year=2021)
    assert {text[one.start : one.end] for one in removals} == {"wangsy02", "2021-12-08 09:55"}


@pytest.mark.parametrize(
    "text",
    ["取材块数:14。 取材医师:«丰»", "报告医师:«暴»  审核医师:«逯» 2024-3-1", "不影响。«钦»主任阅后签字", "记录者:进修-«李»"],
)  # fmt: skip
def test_whoever_fills_a_role_of_a_person_goes_with_a_surname_that_is_a_word(text: str) -> None:
    plain = re.sub("[«»]", "", text)
    [found] = TextScrubber(SiteRules("NB01")).removals([plain], KnownValues(), language="zh", year=2024)
    people = {plain[one.start : one.end] for one in found if one.kind is Kind.STAFF}
    assert people == set(re.findall("«(.*?)»", text))


@pytest.mark.parametrize(
    "text", ["取材医师:无", "审核者:同上", "报告医师:系统", "送检医师:外科", "病区主任查房", "记录者:略"]
)
def test_who_fills_no_role_stays(text: str) -> None:
    [found] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)
    assert not found
