"""Organ and histology of diagnosis lines: the words, and which of them counts."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from pathcurate.errors import UsageError
from pathcurate.model.report import LATERALITIES, MORPHOLOGY, TOPOGRAPHY
from pathcurate.text.assertion import Assertions
from pathcurate.text.coding import Coder, coder
from pathcurate.text.coding_line import Coding
from pathcurate.text.coding_words import load_words
from pathcurate.text.folding import fold
from pathcurate.text.vocabulary import vocabulary

LINES: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("coding_lines.yaml").read_text("utf-8"))
TERMS = Path(load_words.__code__.co_filename).with_name("terms")


def code(text: str, organ: str | None = None, by: Coder | None = None) -> Coding:
    folded = fold(text)
    return (by or coder()).code_line(folded, 0, len(folded), Assertions(folded), None, organ)


@pytest.mark.parametrize("line", [line for lines in LINES.values() for line in lines])
def test_a_line_means_what_it_says(line: str) -> None:
    text, organ, morphology, *more = line.split(" | ")
    found = code(text)
    expected: tuple[Any, ...] = (None if organ == "-" else organ, None if morphology == "-" else morphology)
    assert (found.organ, found.morphology, found.assertion) == (*expected, more[0] if more else "affirmed")
    assert found.topography == (more[1] if len(more) > 1 else found.topography)
    assert found.behaviour == (found.morphology[-1] if found.morphology else None)


def test_codes_are_well_formed() -> None:
    words = load_words()
    organs = set(vocabulary("organs").codes)
    assert set(words.topographies) == organs
    for word in words.meanings.values():
        assert word.organ is None or word.organ in organs
        assert word.side is None or word.side in LATERALITIES
        assert set(word.places) | set(word.morphologies) <= organs | {"any"}
        for topography in (word.topography, word.nodes, *word.places.values()):
            assert topography is None or re.fullmatch(TOPOGRAPHY, topography)
        for morphology in (*word.morphologies.values(), *word.subtypes.values()):
            assert re.fullmatch(MORPHOLOGY, morphology)


def test_no_histology_is_written_twice() -> None:
    data = yaml.safe_load((TERMS / "morphologies.yaml").read_text("utf-8"))
    counts = Counter(word for codes in data["words"].values() for words in codes.values() for word in words)
    counts.update(word for entry in data["by_organ"] for word in entry["words"])
    assert [word for word, count in counts.items() if count > 1] == []


def test_the_specimen_names_the_organ_where_the_line_does_not() -> None:
    assert code("浸润性癌", "breast").morphology == "8500/3"
    assert code("乳头状癌", "thyroid").morphology == "8260/3"
    assert code("淋巴结（1/3）见癌转移", "breast").organ == "lymph_node"
    assert code("腺癌，侵及胰腺", "stomach").organ == "stomach"


def test_words_of_a_site() -> None:
    words = {"organs": {"breast": ["某腺体"]}, "morphologies": {"8500/3": ["某种癌"]}, "topographies": {"C16.3": ["某窦"]}}
    own = Coder(words)
    found = code("某腺体某种癌", by=own)
    assert (found.organ, found.morphology) == ("breast", "8500/3")
    assert code("某窦溃疡", by=own).topography == "C16.3"
    assert own.digest != coder().digest
    assert coder() is coder({})


@pytest.mark.parametrize(
    ("extension", "message"),
    [
        ({"organs": {"brest": ["乳"]}}, "did you mean `breast`"), ({"organ": {}}, "did you mean `organs`"),
        ({"morphologies": {"8500": ["癌"]}}, "not an ICD-O-3 morphology"),
        ({"topographies": {"X99.9": ["某"]}}, "known organ"),
    ],
)  # fmt: skip
def test_wrong_words_of_a_site(extension: dict[str, dict[str, list[str]]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Coder(extension)


def test_spans_say_where() -> None:
    text = "（左乳）浸润性导管癌"
    spans = code(text).spans
    assert text[slice(*spans["organ"])] == "左乳"
    assert text[slice(*spans["laterality"])] == "左乳"
    assert text[slice(*spans["morphology"])] == "浸润性导管癌"


def test_latin_words_stand_alone_in_all_spellings() -> None:
    kinds = [term.kind for term in coder().terms("network scccc carcinomatosisx")]
    assert "morphology" not in kinds
    for text in ("Squamous-cell carcinoma", "squamous cell carcinomas", "SQUAMOUS CELL CARCINOMA"):
        assert code(text).morphology == "8070/3"
    assert code("Lung, tumour: oesophageal-type squamous cell carcinoma").organ == "lung"


@pytest.mark.parametrize(
    ("text", "side"),
    [("双侧卵巢浆液性癌", "bilateral"), ("右肾透明细胞癌", "right"), ("直径约3cm左右", None),
     ("Left kidney: oncocytoma", "left")],
)  # fmt: skip
def test_sides(text: str, side: str | None) -> None:
    assert code(text).laterality == side
