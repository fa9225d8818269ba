"""Names that no rule has a word for, by weights learned from marked texts."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber, learned
from pathcurate.scrubbers.text.learned import doubtful_names, find_learned_names
from tests.growth import is_proportional

HOSTILE = st.text("张伟李阿依·古丽主任 :,。\n0aA某*\ud800𠀀患者由", min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("蜡块由覃晓岚带去省肿瘤会诊,下周归还", "覃晓岚"),
        ("昨天的片子是厍思敏帮忙切的,染色偏淡", "厍思敏"),
        ("标本交接时发现瓶签写成了缪慧君,已与病房核实", "缪慧君"),
        ("送检:古丽巴哈尔,汉语不通,由亲属代述", "古丽巴哈尔"),
        ("冰冻结果已报手术间,鞠文涛复述无误", "鞠文涛"),
        ("寄往病理科沈秀兰,", "沈秀兰"),
        ("检验科韩志强于昨", "韩志强"),
        ("预防保健科顾玉梅", "顾玉梅"),
        ("并问江小雨的报告", "江小雨"),
        ("文件汪晓峰-01.kfb", "汪晓峰"),
        ("D:\\图\\赖桂英_HE.jpg", "赖桂英"),
        ("以上四例由岳阳初诊,文静审核,8月", "岳阳"),
        ("袋签“严重 男 40 泌外22床”,未填申请单", "严重"),
    ],
)
def test_a_name_is_found_by_its_surroundings(text: str, name: str) -> None:
    assert name in {text[one.start : one.end] for one in find_learned_names(text)}


@pytest.mark.parametrize(
    "text",
    [
        "胃窦黏膜慢性炎,伴肠上皮化生,建议随访。",
        "何谓阳性?高倍镜下计数,方可诊断,余未见异常。",
        "严重程度:轻度;方向:水平切面;时间:术后三天。",
        "牛津分型、巴黎系统、悉尼系统均已标注。",
        "The lungs are clear, no nodules.",
        "",
        "1234-5678",
    ],
)
def test_medicine_holds_no_name(text: str) -> None:
    assert find_learned_names(text) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [("标本一袋,主管医师库尔班医师。注意", "库尔班"), ("已口头通知管床小卢医生。报告邢立新。", "小卢")],
)
def test_a_name_begins_where_its_surroundings_say(text: str, name: str) -> None:
    removals = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(), language="zh", year=2024)[0]
    assert name in {text[one.start : one.end] for one in removals}


def test_a_known_name_is_made_no_longer() -> None:
    text = "患者范统签字,联系家属"
    removals = TextScrubber(SiteRules("NB01")).removals([text], KnownValues(names=("范统",)), language="zh", year=2024)[0]
    assert [text[one.start : one.end] for one in removals] == ["范统"]


def test_a_title_is_no_part_of_a_name() -> None:
    text = "家属何女士取走,经与钱教授联系"
    assert not any(
        "女士" in text[one.start : one.end] or "教授" in text[one.start : one.end] for one in find_learned_names(text)
    )


@given(HOSTILE)
def test_places_are_disjoint_and_begin_and_end_within_a_line_of_names(text: str) -> None:
    places = sorted([(one.start, one.end) for one in find_learned_names(text)] + doubtful_names(text))
    assert all(0 <= start < end <= len(text) for start, end in places)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
    assert not any(sign in text[start:end] for start, end in places for sign in ":,。\n0aA")


def test_what_is_doubtful_is_withheld_and_what_is_removed_or_kept_is_not() -> None:
    text = "蜡块由覃晓岚带去,下周归还"
    scrubber = TextScrubber(SiteRules("NB01"))
    removals = scrubber.removals([text], KnownValues(), language="zh", year=2024)[0]
    assert [text[one.start : one.end] for one in removals] == ["覃晓岚"]
    doubted = next(one for one in DOUBTFUL if doubtful_names(one))
    (start, end), *_ = doubtful_names(doubted)
    assert scrubber.doubts(doubted, [])
    assert not TextScrubber(SiteRules("NB01", keep=(doubted[start:end],))).doubts(doubted, [])


DOUBTFUL = [
    f"{before}{name}{behind}"
    for before in ("给", "见", "交", "")
    for name in ("水生", "柏松", "晏紫", "成蹊", "海棠", "石竹")
    for behind in ("看", "来", "说过", "")
]


def test_the_stored_weights_are_those_of_the_features() -> None:
    path = Path(learned.__file__).with_name("names.npz")
    with np.load(path) as stored:
        assert stored["weights"].shape == (1 << learned.BITS, 3)
        assert abs(stored["weights"].astype(int)).max() <= learned.STEPS
        assert stored["usual"].shape == (1 << learned.PAIR_BITS - 2,)
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("part", ["张", "覃晓岚", "由覃晓岚、", "阿依·古丽"])
def test_a_hostile_text_takes_time_in_proportion_to_its_length(part: str) -> None:
    assert is_proportional(find_learned_names, lambda length: (part * length)[:length])
