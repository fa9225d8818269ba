"""What still looks as if it identified somebody: the finder that shows people where to look."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.scrubbers.text.suspicion import REASONS, find_suspicions, without
from tests.growth import is_proportional


@pytest.mark.parametrize(
    ("text", "word", "reason"),
    [
        ("通知家属张伟", "张伟", "han_name"), ("请刘洋会诊", "刘洋", "han_name"),
        ("浸润性癌\n王建国\n", "王建国", "han_name"),
        ("Li Wei 复阅", "Li Wei", "latin_name"), ("号13800138000", "13800138000", "digits"),
        ("见2024 001 234片", "2024 001 234", "digits"), ("片O13800138OOO", "O13800138OOO", "misread"),
        ("另见B12345", "B12345", "code"), ("曾于杭州市第一医院就诊", "杭州市第一医院", "place"),
        ("王家村人", "王家村", "place"),
        ("微信：abc_1234", "abc_1234", "contact"), ("取材小邵，", "小邵", "han_name"),
        ("联系手术室 戚主任", "戚主任", "han_name"),
        ("来电一三八零零二七六一四三", "一三八零零二七六一四三", "digits"),
        ("号1-5-9-0-1-1-2-3-3-4-4", "1-5-9-0-1-1-2-3-3-4-4", "digits"),
        ("discussed with Weston at noon", "Weston", "latin_name"),
    ],
)  # fmt: skip
def test_what_is_suspicious(text: str, word: str, reason: str) -> None:
    assert [(text[one.start : one.end], one.reason) for one in find_suspicions(text)] == [(word, reason)]
    assert reason in REASONS


@pytest.mark.parametrize(
    "text",
    [
        "（左乳）浸润性癌，淋巴结（2/15），10/10HPF，CD117(+)，T790M，SP263，Ki-67约20%", "Fuhrman分级2级，Gleason评分3+4=7",
        "Hodgkin Lymphoma，请结合临床", "患者高度怀疑恶性，周围组织清楚", "曾于外院就诊，转上级医院", "大小3.14159cm",
        "2023-05-06送检", "通知临床医师", "John Smith attended",  # an English text is the rules' to judge
    ],
)  # fmt: skip
def test_medicine_is_not_suspicious(text: str) -> None:
    assert find_suspicions(text) == []


def test_what_was_removed_is_not_suspicious_and_hides_nothing_beside_it() -> None:
    text = "患者张三，家属张伟，号13800138000"
    assert [one.reason for one in find_suspicions(text)] == ["han_name", "han_name", "digits"]
    removed = [(text.index("张三"), text.index("张三") + 2), (text.index("138"), len(text))]
    assert [text[one.start : one.end] for one in find_suspicions(without(text, removed))] == ["张伟"]


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="患者张三医师AOl0123456789-: ，。\n于医院村Li\u202e\ud800ＡＢ１２", max_size=60), st.data())
def test_suspicions_lie_in_the_text_and_outside_removals(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    removed = [span for span in zip(cuts[::2], cuts[1::2], strict=False) if span[0] < span[1]]
    found = find_suspicions(without(text, removed))
    ends = [0, *(one.end for one in found)]
    for one, before in zip(found, ends, strict=False):
        assert before <= one.start < one.end <= len(text)
        assert all(one.end <= start or end <= one.start for start, end in removed)


@pytest.mark.parametrize("part", ["O0l1", "张医师", "1-", "Aa ", "在于至村", "患者张三，", "微信12345 "])
def test_a_hostile_text_takes_time_in_proportion_to_its_length(part: str) -> None:
    assert is_proportional(find_suspicions, lambda length: (part * length)[:length])
