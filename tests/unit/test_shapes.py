"""Shapes of texts show what a number looks like, and nothing of the number."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.text.accession import fold
from pathcurate.text.shapes import shapes, shown


def shape(text: str) -> str:
    (one,) = shapes(pa.array([text])).to_pylist()
    return str(one)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("S23-00123", "A99-99999"), ("s23-00123_he", "A99-99999_AA"), ("Ｓ２３－００１２３", "A99-99999"),
        ("王小红 A1", "汉汉汉 A9"), ("㐀𠀀", "汉汉"), ("9A汉ä", "9A汉ä"),
        ("S23–1", "A99-9"), ("Иван é 1", "ääää ä 9"), ("①Ⅲ٣", "999"), ("a\u3000b", "A A"), ("", ""),
        ("ひらカナ한글", "ääääää"), ("a\tb\x01\x02\x03", "A?A???"),
    ],
)  # fmt: skip
def test_classes(text: str, expected: str) -> None:
    assert shape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12345678", "99999999"), ("123456789", "9{9}"), ("A" * 30 + "-1", "A{30}-9"), ("\u202eabc", "?AAA"),
        ("a\u2028b", "A?A"),
        ("-." * 60, "-." * 39 + "-…"),
    ],
)  # fmt: skip
def test_for_a_person(text: str, expected: str) -> None:
    assert shown(shape(text)) == expected


@settings(max_examples=30)
@given(st.lists(st.text(max_size=12), max_size=6), st.integers(0, 3))
def test_nothing_of_a_text_is_left_but_its_signs(texts: list[str], start: int) -> None:
    array = pa.array(texts, pa.string())
    found = shapes(array).to_pylist()
    assert shapes(array.slice(start)).to_pylist() == found[start:]
    for text, one in zip(texts, found, strict=True):
        assert len(str(one)) == len(text)
        assert re.fullmatch("[9A汉ä]*", "".join(sign for sign in str(one) if sign.isalnum()))
        assert one == shape(fold(text)) or len(fold(text)) != len(text)
