"""Short words that nothing explains on lines on which people sign."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.model.removal import Kind, Removal
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber, signertokens
from pathcurate.scrubbers.text.signertokens import (
    LEARNED_SIGNER,
    candidates,
    doubtful_signers,
    find_learned_signers,
    tokens_of,
)

SCRUBBER = TextScrubber(SiteRules("NB01"))


def removed(text: str) -> list[str]:
    [found] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2024)
    return [text[one.start : one.end] for one in found]


@pytest.mark.parametrize(
    ("text", "signer"),
    [
        ("慢性胃炎。\n初检:卢x  复检:巴特尔  5/12", "卢x"), ("(胃窦)腺癌。\n镜检：qzh08", "qzh08"),
        ("建议随访。\n05/03/2019 QZH", "QZH"), ("采样:tl 抄:Luo 张海 2024-3-1", "Luo"), ("组:曲、韩\n报告:Luo Min", "曲"),
        ("慢性炎。\n江 Liuqq 24.3.1", "Liuqq"), ("编辑 wmm7 下午 2024-3-1", "wmm7"), ("抄:Lu 张海 2024-3-1", "Lu"),
    ],
)  # fmt: skip
def test_somebody_who_signs_in_a_new_way_is_found(text: str, signer: str) -> None:
    assert signer in removed(text)


@pytest.mark.parametrize(
    "text",
    [
        "免疫组化：CK7（+），TTF-1（+），Ki-67约30%。", "标本：胃窦\n诊断：慢性胃炎", "取材：全取 切片：HE",
        "建议：HER2 FISH检测。", "特染：PAS 抗酸", "HP（+）", "大体：灰白组织一枚\n镜下：腺体增生", "送检：肛旁肿物",
        "TNM分期：pT2N0Mx", "登记：T3", "登记：ypT2a",
        "前哨1/3。\npT2N1a", "喉前淋巴结0/1。\npT1aN1aM0", "慢性炎。\n高/中", "报告：中/低",
        "诊断:胃癌", "分子检测 EGFR 19del 阳性", "冰冻：良性\n石蜡：同前",
    ],
)  # fmt: skip
def test_medicine_on_such_lines_stays(text: str) -> None:
    assert removed(text) == []


def test_what_is_found_is_staff_and_says_which_rule() -> None:
    text = "编辑 wmm7 下午 2024-3-1"
    [found] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2024)
    [signer] = [one for one in found if one.rule == LEARNED_SIGNER]
    assert (signer.kind, text[signer.start : signer.end]) == (Kind.STAFF, "wmm7")


def test_a_word_alone_is_told_by_what_was_found_around_it() -> None:
    text = "诊断:胃癌\n05/03/2019 QZH"
    day = Removal(text.index("05"), text.index(" QZH"), Kind.DATE, "date.dmy")
    assert [(one.start, one.end) for one in find_learned_signers(text, [day])] == [(len(text) - 3, len(text))]
    # With nothing found beside it, the same line as the first of a text says nothing.
    assert find_learned_signers("05/03/2019 QZH\n诊断:胃癌\n腺体增生", []) == []


def test_what_is_doubtful_is_withheld_unless_it_is_kept() -> None:
    doubtful = []
    for label in ("检测", "组", "镜检", "科内", "加做"):
        for word in ("向", "qx", "卓", "wq"):
            text = f"慢性炎。\n{label}:{word}"
            [removals] = SCRUBBER.removals([text], KnownValues(), language="zh", year=2024)
            if not removals and doubtful_signers(text, removals):
                doubtful.append((text, word))
    assert doubtful
    for text, word in doubtful:
        assert SCRUBBER.doubts(text, [])
        assert not TextScrubber(SiteRules("NB01", keep=(word,))).doubts(text, [])


def test_a_line_in_pieces() -> None:
    line = "取材:\ue001\ue001 初筛 \ue002\ue002\ue002/李y  kf03"
    kinds = [token.kind for token in tokens_of(line)]
    assert kinds == ["R", ":", "N", "_", "R", "_", "D", "/", "H", "__", "L"]
    assert "".join(line[token.start : token.end] for token in tokens_of(line)) == line


@given(st.text(alphabet="取材审核李张qxLN09 :/、。\n()\ue001\ue002慢性炎", max_size=60))
def test_pieces_are_the_line_and_candidates_are_inside_the_text(text: str) -> None:
    for line in text.split("\n"):
        assert "".join(line[token.start : token.end] for token in tokens_of(line)) == line
    for one in candidates(text, []):
        assert 0 <= one.start < one.end <= len(text)
        assert "\n" not in text[one.start : one.end]


@given(st.text(alphabet="取材审核李张qxLN09 :/、。\n()慢性炎", max_size=60), st.integers(0, 50), st.integers(1, 9))
def test_nothing_that_was_found_is_found_again(text: str, start: int, length: int) -> None:
    found = [Removal(start, min(len(text), start + length), Kind.STAFF, "x")] if start < len(text) else []
    for one in find_learned_signers(text, found):
        assert all(one.end <= other.start or one.start >= other.end for other in found)


def test_the_stored_weights_are_those_of_the_features() -> None:
    with np.load(Path(signertokens.__file__).with_name("signers.npz")) as stored:
        assert stored["weights"].shape == (1 << signertokens.BITS,)
        assert stored["weights"].dtype == np.int8
        assert np.count_nonzero(stored["weights"]) > signertokens.STEPS
