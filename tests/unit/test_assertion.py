"""Affirmed, denied or left open: what phrases of reports say of a finding, and by which cue."""

import re
from pathlib import Path

import pytest

from pathcurate.text.assertion import AFFIRMED, Assertions, Judgement, rules_digest
from pathcurate.text.folding import fold

_WORDS = {"a": "affirmed", "n": "negated", "p": "possible"}
_FILE = Path(__file__).with_name("assertion_phrases.txt")
PHRASES = [line for line in _FILE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def parse(line: str) -> tuple[str, list[tuple[str, int, int]]]:
    """The text of a phrase, and the mentions in it with what it says of each."""
    text = ""
    mentions = []
    for piece in re.split(r"(\{[^}]*\})", line.replace("\\n", "\n")):
        if piece.startswith("{"):
            mentions.append((_WORDS[piece[1]], len(text), len(text) + len(piece) - 3))
        text += piece[2:-1] if piece.startswith("{") else piece
    return text, mentions


def judge(text: str, mention: str) -> Judgement:
    start = text.index(mention)
    return Assertions(fold(text)).of(start, start + len(mention))


def test_there_are_enough_phrases() -> None:
    assert len(PHRASES) >= 250
    assert {word for line in PHRASES for word, _, _ in parse(line)[1]} == set(_WORDS.values())


@pytest.mark.parametrize("line", PHRASES)
def test_each_phrase_is_judged_as_a_pathologist_means_it(line: str) -> None:
    text, mentions = parse(line)
    assertions = Assertions(fold(text))
    assert [assertions.of(start, end).assertion for _, start, end in mentions] == [word for word, _, _ in mentions]


@pytest.mark.parametrize(
    ("text", "mention", "expected"),
    [
        ("未见明确癌", "癌", "未见明确"), ("癌未除外", "癌", "未除外"), ("切缘（－）", "切缘", "（－）"),
        ("淋巴结(0/15)", "淋巴结", "0/15)"),
        ("肺癌？", "肺癌", "？"), ("No evidence of malignancy", "malignancy", "No evidence of"), ("见癌", "癌", ""),
        ("既往乳腺癌", "乳腺癌", "既往"), ("margins are negative", "margins", "negative"),
    ],
)  # fmt: skip
def test_the_cue_is_named_as_it_stands_in_the_text(text: str, mention: str, expected: str) -> None:
    judgement = judge(text, mention)
    assert (text[judgement.start : judgement.end] if judgement != AFFIRMED else "") == expected


def test_a_cue_inside_the_mention_says_nothing_about_it() -> None:
    assert judge("未见癌", "未见癌") == AFFIRMED
    assert judge("p16阴性", "p16阴性") == AFFIRMED
    assert judge("p16阴性", "p16").assertion == "negated"


def test_a_latin_cue_is_no_part_of_a_word() -> None:
    assert judge("Nodular melanoma", "melanoma") == AFFIRMED
    assert judge("knot of carcinoma", "carcinoma") == AFFIRMED


def test_nothing_reaches_over_the_end_of_a_sentence() -> None:
    for end in ("。", "；", "\n", "; ", ". ", "！"):
        assert judge(f"未见癌{end}肉瘤", "肉瘤") == AFFIRMED, end
        assert judge(f"肉瘤{end}阴性", "肉瘤") == AFFIRMED, end


def test_a_decimal_point_ends_no_sentence() -> None:
    assert judge("no lesion of 2.5 cm or carcinoma", "carcinoma").assertion == "negated"


def test_a_text_without_punctuation_is_not_denied_as_a_whole() -> None:
    assert judge("未见异常" + "组织" * 200 + "癌", "癌") == AFFIRMED


def test_the_digest_of_the_rules_is_one_and_stable() -> None:
    assert re.fullmatch("[0-9a-f]{64}", rules_digest())
    assert rules_digest() == rules_digest()
