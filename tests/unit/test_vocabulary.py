"""The shipped vocabularies: each word means one thing, and is found only where it stands."""

import itertools
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
    assert stains.exact("Ki_67") == "IHC:Ki-67"
    assert stains.exact(None) is None
    assert stains.first(None) is None
    assert vocabulary("sexes").exact("Ｆ") == "female"


def test_every_marker_is_a_stain() -> None:
    stains, markers = vocabulary("stains"), vocabulary("markers")
    special = yaml.safe_load((FILES / "markers.yaml").read_text("utf-8").partition("# Special stains\n")[2])
    for marker in markers.codes:
        code = stains.exact(marker)
        assert code is not None
        assert (code == f"IHC:{marker}") == (marker not in {*special, "EBER"}), code
    assert {stains.exact(word) for word in ("ER", "雌激素受体", "IHC:ER", "estrogen receptor")} == {"IHC:ER"}
    # Codes that recipes name.
    assert {"HE", "PAS", "PASM", "MASSON", "VG", "CONGO_RED", "ACID_FAST", "ALCIAN_BLUE", "GIEMSA", "RETICULIN", "PAP",
            "IHC:HER2", "IHC:Ki-67", "IHC:P53", "IHC:CK5/6", "IHC:TTF-1", "IHC:NapsinA", "IHC:CDX-2", "IHC:Syn", "IHC:CgA",
            "IHC:S-100", "IHC:PD-L1", "IHC:GATA3"} <= set(stains.codes)  # fmt: skip
    assert len(set(stains.codes)) == len(stains.codes)
    assert set(stains.words.values()) == set(stains.codes)


def test_what_stains_and_markers_call_differently_is_the_stain_of_stains() -> None:
    stains = vocabulary("stains")
    meant = {
        "EBER": "ISH:EBER", "eber原位杂交": "ISH:EBER", "albumin ish": "ISH:Albumin", "六胺银": "GMS",
        "过碘酸六胺银": "PASM", "DPAS": "D_PAS", "AB/PAS": "AB_PAS", "trichrome": "MASSON", "铁染色": "PRUSSIAN_BLUE",
        "vvg": "EVG", "抗酸杆菌": "ACID_FAST", "ws染色": "WARTHIN_STARRY",
    }  # fmt: skip
    assert {word: stains.exact(word) for word in meant} == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("he her2 fish", ["HE", "FISH:HER2"]), ("the cd34x ck5/6", ["IHC:CK5/6"]), ("ck5 6 ck", ["IHC:CK5/6", "IHC:CK"]),
        ("cd-34,cd 34", ["IHC:CD34", "IHC:CD34"]), ("苏木素伊红", ["HE"]), ("", []), ("ki67ki67", []),
        ("pas-d pas", ["D_PAS", "PAS"]),
    ],
)  # fmt: skip
def test_words_are_found_from_left_to_right_the_longest_first(text: str, words: list[str]) -> None:
    stains = vocabulary("stains")
    found = list(stains.found(text))
    assert [word.code for word in found] == words
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(stains.exact(text[word.start : word.end]) == word.code for word in found)


def test_an_unknown_vocabulary() -> None:
    with pytest.raises(KeyError):
        vocabulary("../aliases")
