"""Chinese people who are named by little: a surname alone, what colleagues call them, what they log in with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.removal import Kind
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
from pathcurate.scrubbers.text.hanshort import find_short_names
from pathcurate.scrubbers.text.names import find_names
from tests.growth import is_proportional

NUMBER = "住院号:0012345678。"
"""Beside a number that identifies, a text is one of a patient."""


def short_names(text: str) -> set[str]:
    return {text[one.start : one.end] for one in find_short_names(text)}


@pytest.mark.parametrize(
    "text",
    [
        "由护工«何姐»送诊,左侧鼻翼肿物", "信息科«小马哥»处理,改推", "«陈»工来换灯泡", "护工«刘嫂»推来的",
        "电镜室«郦»工、酶组化",
        "结果见附页。«辛»签。", "收发室,«蒙»收,顺丰", "B超单。\n«晏»审 2024-06-06",
        "初诊 «郁»/复诊 «邬»", "取材«马» 记录«钮» 包埋«蒋»", "助手«梅»、«蔺»。", "手术顺利;麻醉:«符»。",
        "沟通过,«裴»称术中见肿物", "谈过。\n«阮»:建议加做CD34",
        "主任查房(«崔»):建议活检", "影像Dr. «贝»参加。", "10/21 14:50,«揭»)",
        "吗?\n—— «孟»,11月14日", "胃窦|慢性炎|«符»\n2|",
        "诊断专家(市级)«权»、«花»二人会签",
        "«阿卜杜热合曼»,维吾尔族,男", "«NGUYEN VAN AN»(越南)切片2张", "见附页。«巴桑卓玛»(藏族)",
        "谢谢!\n«温»", "科秘«Amy»记录。",
    ],
)  # fmt: skip
def test_who_is_named_by_little_is_found(text: str) -> None:
    assert short_names(re.sub("[«»]", "", text)) == set(re.findall("«(.*?)»", text))


@pytest.mark.parametrize(
    "text",
    [
        "手术史:无;会诊费已缴,送检方,切片金。", "切片费、包埋盒、打印机、核对章。", "胆总管扩张,肝总管,金标。",
        "牛奶过敏,石头大小",
        "管称重,段建议切除", "结肠:\n段:未见癌\n管:通畅", "术者(见附页)、护士(夜班)", "见附图。\n完", "WHO|腺癌|阳\n",
        "甲处、乙处、丙处、丁处,均阴性", "请Wilson病专家,行Lynch筛查", "同意上述诊断。要求补做。", "一人、二人、三人会诊",
        "THERMO FISHER(美国)产,试剂盒", "少数民族,汉族,回族饮食",
        "sample_id, user_id, file_name, ki_67", "取材 记录 包埋 切片", "审核 免疫组化 8.5", "双签、代签、会签均可",
    ],
)  # fmt: skip
def test_words_beside_roles_stay(text: str) -> None:
    assert short_names(text) == set()


@pytest.mark.parametrize(("text", "login"), [("dai_xm 于14:20修改", "dai_xm"), ("Printed by path_wangyu @", "path_wangyu")])
def test_a_login_made_of_a_name_is_an_account(text: str, login: str) -> None:
    assert [(text[one.start : one.end], one.kind) for one in find_short_names(text)] == [(login, Kind.ACCOUNT)]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("责任医师路遥、叶知秋已约谈", "路遥"),
        ("现主管医师吉祥,胸二科", "吉祥"),
        ("主刀高主任来电询问", "高"),
        ("患者家属于先生12月5日取走", "于"),
        ("北京友谊医院周教授三方会诊", "周"),
        ("护士苗苗确认为同一人", "苗苗"),
        ("参加者虞院长、全主任、姬大夫。", "全"),
        ("已由内镜护士芮核实确为", "芮"),
        ("审核:Zhou YT\n报告", "Zhou YT"),
    ],
)
def test_a_name_ends_and_begins_where_its_title_and_verb_do(text: str, name: str) -> None:
    removals = TextScrubber(SiteRules("NB01")).removals([NUMBER + text], KnownValues(), language="zh", year=2024)[0]
    found = {(NUMBER + text)[one.start : one.end] for one in removals}
    assert name in found
    assert not any(name in other and other != name for other in found)


@pytest.mark.parametrize("text", ["与申请单安排不符", "周某某式表述请勿套用", "家属先生、女士均可", "班主任、车间主任"])
def test_what_only_looks_like_a_name_is_none(text: str) -> None:
    assert find_names(text, "zh") == []


HOSTILE = st.text("陈郁马小哥姐签:,。\n(—|Dr. _daixm初诊称二人、 14:50", max_size=60)


@given(HOSTILE)
def test_places_lie_inside_the_text(text: str) -> None:
    assert all(0 <= one.start < one.end <= len(text) for one in find_short_names(text))


@pytest.mark.parametrize("unit", ["陈、", "初诊 ", "小马哥", "签", "(", "\n陈:", "—— 陈", "a_", "14:50,陈"])
def test_a_hostile_text_costs_what_its_length_costs(unit: str) -> None:
    assert is_proportional(lambda text: list(find_short_names(text)), lambda length: unit * (length // len(unit)))


def test_a_name_written_by_its_sound_goes_on_to_the_verb() -> None:
    text = f"{NUMBER}腹痛2小时急诊,敖日格乐主刀,左输卵管妊娠破裂"
    removals = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)[0]
    assert "敖日格乐" in {text[one.start : one.end] for one in removals}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("参加讨论：孟庆波主任、葛红、宝音德力格尔\n以上意见仅供参考。", "宝音德力格尔"),
        ("会诊专家：孟庆波主任、乌云其木格，意见如下", "乌云其木格"),
        ("TCT  佟ⅹⅹ  编号JMS-06", "佟ⅹⅹ"), ("患者 佟╳╳，女", "佟╳╳"),
    ],
)  # fmt: skip
def test_who_is_listed_by_sound_or_hidden_by_odd_signs_is_found(text: str, name: str) -> None:
    [found] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)
    assert name in {text[one.start : one.end] for one in found}


@pytest.mark.parametrize("text", ["由孟庆波主任、病理科会诊", "孟庆波主任、慢性胃炎伴肠化，建议复查", "因子Ⅹ缺乏，型Ⅱ"])
def test_what_is_listed_behind_somebody_and_is_a_word_stays(text: str) -> None:
    [found] = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)
    assert {text[one.start : one.end] for one in found} <= {"孟庆波"}
