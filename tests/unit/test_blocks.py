"""Blocks named in reports."""

import pytest

from pathcurate.text.blocks import blocks_named


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("取材：A1-A3肿瘤，B1切缘", ["A1", "A2", "A3", "B1"]),
        ("蜡块3：HE；4号蜡块：IHC", ["3", "4"]),
        ("1-3号块为肿瘤", ["1", "2", "3"]),
        ("Block A2; cassettes B1 through B3", ["A2", "B1", "B2", "B3"]),
        ("blocks C4 to C5", ["C4", "C5"]),
        ("Ａ１：肿物", ["A1"]),
        ("pT2N0M0，G3，L4椎体，CD20(+)，P53(-)，Ki-67 约30%", []),
        ("A10-A2", ["A10"]),
        ("A1-B3", ["A1"]),
        ("A1-A99", ["A1"]),
        ("2.5cm×1.0cm，10枚，C50.9，M8500/3", []),
        ("T1-T3：输卵管", ["T1", "T2", "T3"]),
        ("取材9块，全埋", []),
        ("P53（野生型表达），P63（肌上皮+）；请结合既往病理（S22-00160，s23-00091）", []),
        ("E3", ["E3"]),
        ("", []),
    ],
)
def test_what_a_text_names(text: str, expected: list[str]) -> None:
    assert blocks_named([text, None]) == expected


def test_a_text_of_nothing_but_blocks_is_bounded() -> None:
    every = " ".join(f"{letter}{number}" for letter in "ABCDEFHIJK" for number in range(1, 60))
    assert len(blocks_named([every])) == 200
