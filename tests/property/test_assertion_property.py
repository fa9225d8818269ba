"""Whatever a text says, each place in it is judged, by a cue that stands in it, and in the time that its length allows."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.text.assertion import Assertions
from pathcurate.text.folding import fold

PIECES = st.sampled_from([
    "未见", "癌", "不除外", "(-)", "（+）", "0/15", "(0/3)", "，", "、", "。", "；", "\n", "及", "但", "考虑", "?",
    "?？", "：", "(", ")", " ", "no ", "not ", "carcinoma", " is absent", "negative for ", ". ",
    "cannot be excluded",
    "既往", "术后",
    "未分化", "三阴性", "1. ", "见", "-", " - ", "无", "阴性", "阳性", "positive", "[-]", "( -", "ß", "İ", "𠀀", "\0",
])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=40).map("".join)


@given(TEXTS, st.data())
def test_every_place_is_judged_by_a_cue_of_the_text(text: str, data: st.DataObject) -> None:
    folded = fold(text)
    start = data.draw(st.integers(0, len(folded)))
    end = data.draw(st.integers(start, len(folded)))
    judgement = Assertions(folded).of(start, end)
    assert judgement.assertion in {"affirmed", "negated", "possible"}
    if judgement.assertion == "affirmed":
        assert (judgement.start, judgement.end) == (-1, -1)
    else:
        assert 0 <= judgement.start < judgement.end <= len(folded)
        assert not (start <= judgement.start and judgement.end <= end)


@given(TEXTS, TEXTS)
def test_a_sentence_is_judged_alike_wherever_it_stands(before: str, text: str) -> None:
    alone = Assertions(fold(text))
    after = Assertions(fold(f"{before}。{text}"))
    shift = len(before) + 1
    for start in range(len(text)):
        ours, theirs = alone.of(start, start + 1), after.of(shift + start, shift + start + 1)
        assert ours.assertion == theirs.assertion
        assert ours.start == -1 or (ours.start + shift, ours.end + shift) == (theirs.start, theirs.end)


@pytest.mark.parametrize(
    "piece", ["未见(", "(-)", "no ", "阴性,", "0/1 ", "not , ", "未见，", ":-", "?", "未见癌、", "(+", "癌 - "]
)
def test_hostile_texts_take_no_longer_than_their_length(piece: str) -> None:
    text = fold(piece * (20_000 // len(piece)))
    start = time.process_time()
    assertions = Assertions(text)
    for place in range(0, len(text), 1000):
        assertions.of(place, place + 1)
    assert time.process_time() - start < 5
