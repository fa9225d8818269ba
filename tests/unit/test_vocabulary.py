"""The shipped vocabularies: each word means one thing, and is found only where it stands."""

from collections import defaultdict
from pathlib import Path

import pytest
import yaml

import pathcurate.text
from pathcurate.model.event import CODE_SYSTEMS, EVENT_KINDS, LATERALITIES
from pathcurate.model.permission import BASES
from pathcurate.model.report import REPORT_STATUSES, REPORT_TYPES, SEXES
from pathcurate.text.vocabulary import all_codes, vocabulary, vocabulary_names

FILES = Path(pathcurate.text.__file__).parent / "vocabularies"


@pytest.mark.parametrize("name", vocabulary_names())
def test_no_word_means_two_things(name: str) -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for code, words in yaml.safe_load((FILES / f"{name}.yaml").read_text("utf-8")).items():
        assert isinstance(code, str)
        for word in (code, *words):
            assert isinstance(word, str), "unquoted YAML would make it something else"
            meanings[word.lower().replace("_", " ")].add(code)
    assert {word: codes for word, codes in meanings.items() if len(codes) > 1} == {}


@pytest.mark.parametrize("name", vocabulary_names())
def test_every_word_finds_its_code(name: str) -> None:
    words = vocabulary(name)
    for word, code in words.words.items():
        assert words.exact(word) == code
        assert words.exact(f"  {word.upper()} ") == code
        assert words.first(f"。{word}。") == code


def test_codes_are_those_of_the_columns() -> None:
    codes = all_codes()
    assert set(codes["sexes"]) == set(SEXES)
    assert set(codes["report_types"]) == set(REPORT_TYPES)
    assert set(codes["report_statuses"]) == set(REPORT_STATUSES)
    assert set(codes["bases"]) == set(BASES)
    assert set(codes["event_kinds"]) == set(EVENT_KINDS)
    assert set(codes["lateralities"]) == set(LATERALITIES)
    assert set(codes["code_systems"]) == set(CODE_SYSTEMS)
    assert set(codes["flags"]) == {"yes", "no"}


@pytest.mark.parametrize(
    ("text", "organ"),
    [
        ("（左乳）浸润性癌", "breast"), ("子宫颈活检", "cervix"), ("子宫全切", "uterus"), ("肾上腺", "adrenal"),
        ("右肾", "kidney"),
        ("甲状旁腺", "parathyroid"), ("骨髓活检", "bone_marrow"), ("股骨头", "bone"), ("肺门淋巴结", "lung"),
        ("淋巴结及肺", "lymph_node"), ("Colon, ascending", "colon"), ("COLONY", None), ("lungs", "lung"), ("", None),
        ("检材", None),
    ],
)  # fmt: skip
def test_the_first_and_longest_word_decides(text: str, organ: str | None) -> None:
    assert vocabulary("organs").first(text) == organ


def test_latin_words_stand_alone_and_full_width_ones_count() -> None:
    stains = vocabulary("stains")
    assert stains.first("THE HER2X") is None
    assert stains.first("ＨＥ") == "HE"
    assert stains.exact("Ki_67") is None
    assert stains.exact(None) is None
    assert stains.first(None) is None
    assert vocabulary("sexes").exact("Ｆ") == "female"


def test_an_unknown_vocabulary() -> None:
    with pytest.raises(KeyError):
        vocabulary("../aliases")
