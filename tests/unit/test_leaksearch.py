"""Identifiers in texts: what is found, what is not, and that no more and no less is found than by looking everywhere."""

import pickle
import re
import uuid
from hashlib import sha256

import numpy as np
import pytest

from pathcurate.leaksearch import identifiers as matching
from pathcurate.leaksearch.folding import units_of
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.known import IDENTIFIED, KINDS, searched_columns

KNOWN = {
    "name": ["张三丰", "李四", "欧阳修远", "𠮷野家人", "ZHANG SANFENG", "Smith", "买买提·艾力"],
    "number": ["12345678", "54321", "1234", "0098765"],
    "case": ["S24-01234", "B2023-00007"],
    "id": ["11010519491231002X"],
    "phone": ["13800138000"],
    "uid": ["1.2.840.113619.2.55.3.604688119.971.1449735472.467"],
    "unit": ["示例市第一人民医院"],
    "file": ["S24-01234-A1_HE_20240503_rescan"],
    "label": ["示例 0042 A1"],
}
IDENTIFIERS = Identifiers.of(KNOWN)


def found(text: str, identifiers: Identifiers = IDENTIFIERS) -> list[tuple[str, str]]:
    """What is found in a text: the kind, and what stood there."""
    return [(hit.kind, text[hit.start : hit.end]) for hit in identifiers.find(text)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("患者张三丰，男", "name"), ("张三丰", "name"), ("张 三 丰", "name"), ("张·三丰", "name"), ("张三丰丰", "name"),
        ("姓名：李四 性别：男", "name"), ("a,李四,b", "name"), ("李四", "name"), ("李四医生", "name"),
        ("患者李四于今日", "name"),
        ("zhang sanfeng", "name"), ("ＺＨＡＮＧ－ＳＡＮＦＥＮＧ", "name"), ("ZhangSanfeng", "name"), ("\tSmith\n", "name"),
        ("见𠮷野家人。", "name"), ("买买提艾力", "name"), ("买买提-艾力", "name"),
        ("12345678", "number"), ("住院号12345678床", "number"), ("a12345678b", "number"), ("１２３４５６７８", "number"),
        ("1234 5678", "number"), ("12-34-56-78", "number"), ("12345678.0", "number"),
        ("(54321)", "number"),
        ("No54321", "number"), ("12345678.", "number"), ("0098765/2", "number"), ("54321\n678", "number"),
        ("S24-01234", "case"), ("s2401234", "case"), ("S24 01234-A1", "case"), ("S24_01234.svs", "case"),
        ("病理号S24-01234蜡块", "case"),
        ("Ｓ２４－０１２３４", "case"), ("B2023-00007", "case"),
        ("110105 19491231 002x", "id"), ("138-0013-8000", "phone"), ("电话13800138000。", "phone"),
        ("TEL138-0013-8000", "phone"),
        ("UID=1.2.840.113619.2.55.3.604688119.971.1449735472.467", "uid"),
        ("送示例市第一人民医院病理科", "unit"), ("/a/S24-01234-A1_HE_20240503_rescan.svs", "file"), ("示例0042A1", "label"),
    ],
)  # fmt: skip
def test_an_identifier_is_found_however_it_is_written(text: str, kind: str) -> None:
    assert kind in {hit for hit, _ in found(text)}


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "912345678", "123456789", "1234567", "1234", "1234,5678", "1234\n5678", "1234  5678", "x1234x",
        "XS24-01234", "S24-012345", "S24-0123", "S24--01234", "AS2401234",
        "李四光", "与李四 同", "张三", "三丰", "张，三丰", "张\n三丰", "张  三丰",
        "Smithson", "Mr Smith said", "Smith-Jones", "zhang, sanfeng",
        "0.54321", "3.12345678", "54321.25", "1.54321.7",
        "A1", "2/15", "10/10HPF", "CD117", "T790M", "SP263", "左乳", "Fuhrman", "Gleason", "HER2(3+)", "8140/3",
        "1.2.840.113619.2.55.3.604688119.971.1449735472.468", "示例市第一医院",
        "S-0123456712345678", "P-54321ABCDEFGHJKM", sha256(b"12345678").hexdigest(), str(uuid.UUID(int=54321)),
        "00000000-0000-4321-8432-123456780000", "a54321b" * 10,
    ],
)  # fmt: skip
def test_what_only_looks_like_one_is_not_found(text: str) -> None:
    assert found(text) == []


def test_codes_and_digests_by_the_thousand_hold_no_identifier() -> None:
    # One of ten numbers of five and six digits is somebody's.
    known = Identifiers.of({"number": [str(number) for number in range(10_000, 1_000_000, 10)]})
    texts = [sha256(str(seed).encode()).hexdigest() for seed in range(500)]
    texts += [f"P-{text[:16].upper()}" for text in texts]
    texts += [f"{int(text, 16) / 16**64:.9f}" for text in texts[:500]]
    assert [text for text in texts if found(text, known)] == []


def test_who_stands_at_the_end_of_a_chunk_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_CHUNK", 64)
    for lead in range(60, 70):
        for name in ("张三丰", "S24-01234", "1 2345678", "S24-01234-A1_HE_20240503_rescan"):
            text = "." * lead + name + "." * 200
            hits = [hit for hit in IDENTIFIERS.find(text) if hit.end == lead + len(name)]
            assert [hit.start for hit in hits][:1] == [lead]
            assert len(hits) == len({hit.identifier for hit in hits})


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("S24-01234-A1_HE_20240503_rescan_" + "x" * 60, True), ("a" * 128, True), ("222312330211", True),
        ("1234 56 78 9012", True), ("2-22312-33021-1", True), ("222312330211 310", True),
        ("2-2-2-3-12330211", False), ("222312330211310", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("near", [9, 12, 20, 40])
def test_how_far_is_looked_at_first_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, near: int, text: str, known: bool
) -> None:
    monkeypatch.setattr(matching, "_NEAR", near)
    values = ["S24-01234-A1_HE_20240503_rescan_" + "x" * 60, "123456789012", "222312330211", "a" * 128]
    lead, rest = "." * 299 + "\n", "\n" + "222312330211310\n" * 30
    hits = list(Identifiers.of({"number": values}).find(lead + text + rest))
    assert [hit.start for hit in hits] == [300] * known


def test_identifiers_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    # A sum of signs is the same for every order of them.
    monkeypatch.setattr(matching, "_POWERS", np.ones_like(matching._POWERS))
    monkeypatch.setattr(matching, "_INVERSE", np.ones_like(matching._INVERSE))
    known = Identifiers.of({"number": ["12345678", "87654321", "81234567", "12345679"]})
    text = "87654321 23456781 12345679 81234567"
    assert [text[hit.start : hit.end] for hit in known.find(text)] == ["87654321", "12345679", "81234567"]


@pytest.mark.parametrize("text", ["", "a\0", "张\0\0", "𠮷a𠮷𠮷", "\ud842", "\udfb7\ud842张", "é\udce5\U0010ffff"])
def test_units_of_a_text_are_those_of_utf_16(text: str) -> None:
    units = units_of(text)
    assert units.astype("<u2").tobytes() == text.encode("utf-16-le", "surrogatepass")


def test_a_search_shows_nothing_that_it_looks_for() -> None:
    assert repr(IDENTIFIERS) == f"Identifiers({len(IDENTIFIERS)})"
    assert all(not re.search("张三丰|12345678", repr(hit)) for hit in IDENTIFIERS.find("张三丰 12345678"))


def test_what_means_nothing_is_no_identifier() -> None:
    assert len(Identifiers.of({"name": ["", " ", "A", "张", "12", "1234", "-", "A1", "?!"]})) == 0
    assert found("anything", Identifiers.of({})) == []
    assert IDENTIFIERS.kinds()["number"] == 3


def test_words_that_are_shipped_are_no_identifiers() -> None:
    known = Identifiers.of({"name": ["CK20", "NB0001", "张三丰"]}, without=["ck20", "NB0001"])
    assert found("CK20,NB0001,张三丰", known) == [("name", "张三丰")]


def test_lines_within_an_identifier_do_not_make_two() -> None:
    known = Identifiers.of({"label": ["S24-01234\r\n张三丰", "12345678"]})
    assert len(known) == 2
    assert found("12345678", known) == [("label", "12345678")]
    assert found("S24-01234 张三丰", known) == [("label", "S24-01234 张三丰")]


def test_an_identifier_longer_than_any_counts_by_its_beginning() -> None:
    value = " ".join(f"word{number}" for number in range(100))
    known = Identifiers.of({"file": [value, "x" * 500]})
    assert len(known) == 1
    assert found(f"({value})", known)


def test_another_process_finds_the_same() -> None:
    copy = pickle.loads(pickle.dumps(IDENTIFIERS))  # noqa: S301 -- our own
    assert found("张三丰 S24-01234", copy) == found("张三丰 S24-01234") != []


def test_of_every_direct_identifier_it_is_known_whether_it_is_searched_for() -> None:
    columns = {column.name for table in IDENTIFIED for column in searched_columns(table)}
    assert columns == set(KINDS)
