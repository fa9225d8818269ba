"""Specimen and block in cells of their own: every common spelling, and nothing where several could be meant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.blocklabels import BlockLabel, behind_number, read_label, read_label_of
from pathcurate.workspace import DEFAULT_PATTERNS

PATTERNS = AccessionPatterns(DEFAULT_PATTERNS)


@pytest.mark.parametrize(
    ("text", "specimen", "block"),
    [
        ("A1", "A", "1"), ("a1", "A", "1"), ("Ａ１", "A", "1"), ("A-1", "A", "1"), ("A－1", "A", "1"), ("A01", "A", "1"),
        ("A 1", "A", "1"), ("A_1", "A", "1"), ("A10", "A", "10"), ("A1.0", "A", "1"), ("A1-2", "A", "1"), ("A", "A", None),
        ("1", None, "1"), ("001", None, "1"), ("1.0", None, "1"), ("1号", None, "1"), ("2#", None, "2"), ("#3", None, "3"),
        ("No.4", None, "4"), ("第3块", None, "3"), ("Block 12", None, "12"), ("蜡块A1", "A", "1"),
        ("蜡块号：A-01", "A", "1"),
        ("标本A", "A", None), ("B组", "B", None), ("PART B 2", "B", "2"), ("A1（左乳）", "A", "1"),
        ("1 左乳-外侧", None, "1"), ("A1 左乳肿物", "A", "1"),
        ("A.左乳", "A", None), ("1号淋巴结", None, "1"), ("A1 LEFT BREAST", "A", "1"), ("A1\n左乳", "A", "1"),
    ],
)  # fmt: skip
def test_spellings_of_a_label(text: str, specimen: str | None, block: str | None) -> None:
    assert read_label(text) == BlockLabel(specimen, block)


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "左乳", "0", "A0", "000", "1.5", "1-2", "1A", "AA1", "IV", "A1,A2", "A1-A3", "1～3", "A1、左乳；B2、右乳",
        "1234",
        "A1234", "A1 CK7", "A1(1)", "=A1", "A1\x00", "A٣", "٣", "2023-04-05", "A" * 100_000, "第" * 100_000, "①",
    ],
)  # fmt: skip
def test_what_is_no_label_or_may_be_several(text: str) -> None:
    assert read_label(text) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("S23-00123-A1", ("A", "1")), ("S23-123A1", ("A", "1")), ("s23-00123 A1", ("A", "1")), ("S2300123A1", ("A", "1")),
        ("S23-00123/A01", ("A", "1")), ("S23-00123-1", (None, "1")), ("S23-00123-A1-2", ("A", "1")), ("A1", ("A", "1")),
        ("S23-00123", (None, None)), ("S23-00124-A1", None), ("S23-001231", None), ("S23-00123-左乳", None),
    ],
)  # fmt: skip
def test_a_label_behind_the_number_of_its_case(text: str, label: tuple[str | None, str | None] | None) -> None:
    found = read_label_of(text, "S23-00123", "S23-123", PATTERNS)
    assert (None if found is None else (found.specimen, found.block)) == label


def test_a_number_without_a_shape_is_taken_off_only_where_it_ends() -> None:
    number = "2300123"
    assert read_label_of("2300123A1", number, number, PATTERNS) == BlockLabel("A", "1")
    assert read_label_of("23001231", number, number, PATTERNS) is None
    # "1" begins "12" by chance.
    assert read_label_of("12", "1", "1", PATTERNS) == BlockLabel(None, "12")


def test_the_number_of_a_case_is_found_in_every_form_of_it() -> None:
    numbers = {"S23-123": ["S23-00123", "S2300123", "S202300123", "s2023-123"], "B23-0": ["B23-000"]}
    for accession, forms in numbers.items():
        assert [behind_number(f"{form}-A1", "other", accession, PATTERNS) for form in forms] == ["A1"] * len(forms)
    own = AccessionPatterns(["^(?P<accession>TCGA-[A-Z0-9]{2}-[A-Z0-9]{4})", "(?P<prefix>K)(?P<number>[0-9]+)"])
    assert behind_number("TCGA-0A-00AB-A1", "other", "TCGA-0A-00AB", own) == "A1"
    assert behind_number("K0012-A1", "other", "K12", own) == "A1"
    assert behind_number("K0012-A1", "other", "K2", own) is None


@settings(max_examples=200, derandomize=True)
@given(st.text("A1b-０٣_. 号蜡块左，,;#()\n\x00é", max_size=12))
def test_any_cell_gives_a_letter_and_a_number_or_nothing(text: str) -> None:
    label = read_label(text)
    if label is not None:
        assert label.specimen is None or (label.specimen.isascii() and label.specimen.isupper() and len(label.specimen) == 1)
        assert label.block is None or (1 <= int(label.block) <= 999 and str(int(label.block)) == label.block)
        assert label.specimen or label.block
        assert read_label(f" {text} ") == label
