"""A slide's own identifiers, found in every encoding, and nowhere where there are none."""

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.leaksearch.own import LEAST_IN_PIXELS, OwnSearch
from pathcurate.model.filescrub import OwnValue

NAME, CASE, NUMBER = "欧阳建国", "S24-01234", "0012345678"


def search(*values: str, kind: str = "case") -> OwnSearch:
    return OwnSearch([OwnValue(kind, value) for value in values])


def kinds(data: bytes, *values: str) -> list[tuple[int, str]]:
    return [(hit.offset, hit.encoding) for hit in search(*values).in_bytes(data)]


@pytest.mark.parametrize(
    ("value", "encoding", "data"),
    [
        (NAME, "utf-8", NAME.encode()),
        (NAME, "gb18030", NAME.encode("gb18030")),
        (NAME, "utf-16-le", NAME.encode("utf-16-le")),
        (NAME, "utf-16-be", NAME.encode("utf-16-be")),
        (NAME, "misread", NAME.encode("gb18030").decode("latin-1").encode()),
        (NAME, "misread", NAME.encode().decode("latin-1").encode()),
        (CASE, "utf-8", b"s24-01234"),
        (CASE, "utf-8", b"S2401234"),
        (CASE, "utf-16-le", CASE.encode("utf-16-le")),
        (CASE, "utf-16-be", CASE.encode("utf-16-be")),
        ("Ｓ24－01234", "utf-8", b"S24-01234"),
    ],
)
def test_every_encoding_is_found_where_it_stands(value: str, encoding: str, data: bytes) -> None:
    hits = kinds(b"\xff\xd8 " + data + b" \xff\xd9", value)
    assert (3, encoding) in hits


@pytest.mark.parametrize("before", range(3))
@pytest.mark.parametrize("value", [NAME, CASE, "Barcode 0012345678"])
def test_base64_is_found_at_each_of_its_three_places(value: str, before: int) -> None:
    coded = base64.b64encode(b"x" * before + value.encode() + b"yz")
    assert "base64" in [encoding for _, encoding in kinds(b"<Attribute>" + coded + b"</Attribute>", value)]


def test_a_number_within_a_longer_one_is_another() -> None:
    assert kinds(b"id 0012345678.", NUMBER)
    assert not kinds(b"id 90012345678.", NUMBER)
    assert not kinds(b"id 00123456789.", NUMBER)
    assert not kinds("900123456789".encode("utf-16-le"), NUMBER)


def test_a_word_within_a_longer_one_is_another() -> None:
    assert kinds(b"User = zhangsan,", "zhangsan")
    assert not kinds(b"lizhangsanfeng", "zhangsan")


def test_short_patterns_count_outside_of_pixels_only() -> None:
    data = "张三".encode("gb18030").join([b"....", b"...."])
    assert len("张三".encode("gb18030")) < LEAST_IN_PIXELS
    assert list(search("张三").in_bytes(data))
    assert not list(search("张三").in_bytes(data, lambda start, end: True))
    assert list(search("欧阳建国").in_bytes("欧阳建国".encode("gb18030"), lambda start, end: True))


def test_what_is_too_short_is_counted_and_not_searched() -> None:
    one = search("12", "A1", "张", "1234")
    assert (one.searched, one.too_short) == (1, 3)
    assert not list(one.in_bytes(b" 12 A1 "))


def test_codes_that_take_the_place_are_no_leak() -> None:
    code = "S-0123456789ABCDEF"
    assert not list(OwnSearch([OwnValue("file", code)], without=[code]).in_bytes(code.encode()))


def test_it_shows_no_value() -> None:
    one = search(NAME)
    assert NAME not in repr(one)
    assert NAME not in repr(OwnValue("name", NAME))
    assert NAME not in repr(next(iter(one.in_bytes(NAME.encode()))))


def test_a_decoded_text_is_searched_without_separators_case_and_width() -> None:
    one = search(CASE, NAME, NUMBER)
    assert one.in_text("ID s24 01234 of Ｏ") == ["case"]
    assert one.in_text("病人：欧阳 建国") == ["case"]
    assert one.in_text("900123456789") == []


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_text_in_a_wrong_character_set_is_read_again(encoding: str) -> None:
    misread = "Ouyang^Jianguo=欧阳^建国".encode(encoding).decode("latin-1")
    assert search(NAME).in_text(misread) == ["case"]
    assert search("张三").in_text("Ärzte, Köln, Grün") == []


def test_random_bytes_hold_nothing() -> None:
    assert not list(search(NAME, CASE, NUMBER, "zhangsan").in_bytes(os.urandom(1 << 20)))


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200),
    st.text("0123456789ABCDEFGHJKLMNPQRST-王李欧阳建国", min_size=5, max_size=12).filter(
        lambda text: sum(sign.isalnum() for sign in text) >= 5
    ),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "gb18030"]),
    st.integers(1, 70),
)
def test_whatever_the_pieces_nothing_is_missed_or_told_twice(noise: bytes, value: str, encoding: str, size: int) -> None:
    """A file is read piece by piece, each with the end of the one before."""
    one = search(value)
    data = noise + b"\0\0" + value.encode(encoding) + b"\0\0" + noise
    found = []
    overlap, done, tail = one.longest - 1, 0, b""
    for start in range(0, len(data), size):
        piece = tail + data[start : start + size]
        found += [(done - len(tail) + hit.offset, hit.encoding) for hit in one.in_bytes(piece, before=len(tail))]
        done += size
        tail = (piece)[-overlap:] if overlap else b""
        done = min(done, len(data))
    whole = {(hit.offset, hit.encoding) for hit in one.in_bytes(data)}
    assert len(noise) + 2 in {offset for offset, _ in whole}
    assert len(noise) + 2 in {offset for offset, _ in found}


def test_a_name_of_latin_words_is_found_in_either_order() -> None:
    one = OwnSearch([OwnValue("name", "Zhang San"), OwnValue("staff", "ANNA^MARIA^ORTEGA")])
    assert [hit.kind for hit in one.in_bytes(b" San Zhang ")] == ["name"]
    assert one.in_text("by San, Zhang") == ["name"]
    assert one.in_text("Zhang%20San") == ["name"]
    assert one.in_text("ZHANG*SAN") == ["name"]
    assert one.in_text("Ortega, Anna Maria") == ["staff"]
