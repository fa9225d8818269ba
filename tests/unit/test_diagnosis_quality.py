"""Organ and morphology of 300 diagnosis lines that were written before the vocabulary was tuned, by somebody else."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from pathcurate.text.coding import Coder
from pathcurate.text.understanding import understand

LINES = yaml.load(Path(__file__).with_name("diagnosis_lines.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)


@pytest.fixture(scope="module")
def read():
    """Of each line, by its identifier: the organ, morphology and assertion of its first row, or of its main one."""
    coder = Coder()
    found = {}
    for line in LINES:
        rows = understand({"diagnosis": line["text"]}, coder).diagnoses
        coded = [row for row in rows if row.get("icdo3_morphology")]
        found[line["id"]] = (coded or rows or [{}])[0]
    return found


def share(ok):
    return sum(ok) / len(ok)


def test_the_list_is_whole():
    assert len(LINES) == 300
    assert set(Counter(line["system"] for line in LINES).values()) == {20}


def test_organs(read):
    wrong = [line["id"] for line in LINES if read[line["id"]].get("organ") != line["organ"]]
    assert len(wrong) <= 0.02 * len(LINES), wrong


def test_morphologies(read):
    wrong = [
        line["id"]
        for line in LINES
        if read[line["id"]].get("icdo3_morphology") not in [line["morphology"], *line.get("accept", [])]
    ]
    assert len(wrong) <= 0.05 * len(LINES), wrong


def test_negated_findings_are_never_coded(read):
    denied = [line for line in LINES if line["assertion"] == "negated"]
    assert len(denied) > 20
    assert [line["id"] for line in denied if read[line["id"]].get("icdo3_morphology") is not None] == []


def test_assertions(read):
    coded = [line for line in LINES if line["morphology"] and read[line["id"]].get("icdo3_morphology")]
    agree = [read[line["id"]]["assertion"] == line["assertion"] for line in coded]
    assert share(agree) >= 0.95
