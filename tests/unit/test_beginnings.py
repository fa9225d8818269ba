"""Patterns that are searched for together find what each finds by itself."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.scrubbers.text import detect
from pathcurate.text import beginnings
from pathcurate.text.beginnings import Searched, beginning_in, prepare
from pathcurate.text.dateforms import find_dates
from pathcurate.text.folding import half_width
from tests.bench.deid_scoring import read_corpus

EXAMPLES = yaml.load(Path(__file__).with_name("text_pattern_examples.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader)
SIGNS = "0012345678919AXxl-/. *()+:#□病第转,年一床号住院科\n、。;王氏路村Dr 某\U00020b9f"


@pytest.fixture(scope="module", autouse=True)
def _of_the_package() -> None:
    """All patterns of the package, some of which are made when they are first needed."""
    detect("张三")
    find_dates("2024", None)


def _forget_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without the patterns of the package."""
    monkeypatch.setattr(beginnings, "_ALL", [])
    monkeypatch.setattr(beginnings, "_kept", {})
    monkeypatch.setattr(beginnings, "_tables", cache(beginnings._tables.__wrapped__))


def _spans(matches: object) -> list[tuple[int, int]]:
    return [match.span() for match in matches]  # type: ignore[attr-defined]


def _differ(text: str) -> list[str]:
    """The patterns that find less or something else together than by themselves."""
    return [one.pattern for one in beginnings._ALL if _spans(one.finditer(text)) != _spans(one.compiled.finditer(text))]


def test_on_texts_and_examples_of_every_rule() -> None:
    texts = [re.sub("[«»]", "", text) for rule in EXAMPLES.values() for text in rule["removed"]]
    texts += [sample.text for sample in [*read_corpus("zh_a", "zh_d"), *read_corpus("en_b")][::5]]
    assert len(beginnings._ALL) > 100
    assert [text for text in map(half_width, texts) if _differ(text)] == []


@settings(max_examples=60)
@given(st.text(st.sampled_from(SIGNS), max_size=40))
def test_on_signs_in_any_order(text: str) -> None:
    assert _differ(text) == []


@pytest.mark.parametrize(
    ("pattern", "flags", "texts"),
    [
        ("a", re.IGNORECASE, "aA b"), ("[^a]b", re.IGNORECASE, "ab cb Ab éb b"), ("straße", re.IGNORECASE, "STRAßE straẞe"),
        ("kiss", re.IGNORECASE, "\u212aiſſ KISS kıſs"), (r"[^\W\d_]+", 0, "é1 𠮟𠮟 _a"), (r"\s\S\D\W", 0, " a-- \u3000ab。"),
        ("(?<![0-9])7", 0, "7 77 a7"), ("7(?<!07)(?=8)", 0, "78 078 7"), ("7(?<![0-9]{2})", 0, "7 77"),
        ("(?:x|(?<!a)y)z", 0, "ayz xz yz"), (r"(a|b)\1", 0, "aa ab bb"), ("(?>ab?)c", 0, "abc ac"), ("a{2}+b", 0, "aab ab"),
        ("(?:ab){0,3}?c", 0, "ababababc c"), ("a.c", re.DOTALL, "a\nc"), ("^a|b$", re.MULTILINE, "a\nb\na"),
        ("\u017f\u212a", re.IGNORECASE, "sk SK"), (r"\W(?<!\w)", re.ASCII, "é ée"), (r"(?<!\w)x", re.ASCII, "éx ax"),
        ("(?i:q)R", 0, "QR qr"), ("(?<=a)b", 0, "ab cb b"), ("(?i:(?<=a))b", 0, "Ab ab cb"),
        ("(?<=[^a])b", re.IGNORECASE, "Ab xb"), (r"(?:(?<=\n)|(?<=[.]x)|\A)x", 0, "x\nx.xx"),
        ("(?:(?<=a)|b)c", 0, "ac bc cc c"), ("(?:(?<=a)b|(?<=c)|)d", 0, "abd cd d"), ("(?<=ab|cd)e", 0, "abe cde be"),
        (r"(?:\A|(?<=a)(?<!ba))c", 0, "cac bac"), ("(?<![ab])(?<=[bc])d", 0, "bd cd d"),
        (".", 0, "\ud800\udfff"), ("[a-z]{8}", 0, "abcdefgh abcdefg"), ("\U00020b9f", 0, "\U00020b9f吉"),
        ("(?:)(?:a|)b", 0, "ab"),
    ],
)  # fmt: skip
def test_a_pattern_of_each_sort(pattern: str, flags: int, texts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_all(monkeypatch)
    searched = Searched(pattern, flags)
    for text in (texts, *texts.split(" "), ""):
        assert _spans(searched.finditer(text)) == _spans(re.compile(pattern, flags).finditer(text))
        first = searched.search(text)
        assert (first is None) is (re.search(pattern, text, flags) is None)


def test_texts_of_one_report_do_not_run_into_each_other() -> None:
    texts = ["病理号", ":S24-01234", "", "住院号:", "0012345"]
    alone = [beginning_in(text) for text in texts]
    beginnings._kept.clear()
    prepare(texts)
    assert [beginning_in(text) for text in texts] == alone
    assert all(_differ(text) == [] for text in texts)


def test_a_pattern_that_is_made_later_is_searched_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_all(monkeypatch)
    first = Searched("xyl")
    assert list(first.finditer("zyzzyva")) == []
    assert [found[0] for found in Searched("zyzz").finditer("zyzzyva")] == ["zyzz"]
    assert list(first.finditer("zyzzyva")) == []


def test_many_patterns_do_not_fit_one_word(monkeypatch: pytest.MonkeyPatch) -> None:
    _forget_all(monkeypatch)
    many = [Searched(f"{chr(0x4E00 + number)}a") for number in range(130)]
    text = "一a丁b七a" + chr(0x4E00 + 129) + "a"
    assert [number for number, one in enumerate(many) if one.search(text)] == [0, 3, 129]


def test_most_patterns_do_not_begin_in_a_plain_text() -> None:
    begun = beginning_in("镜下见异型细胞呈巢状、条索状排列,浸润性生长,间质纤维组织增生,伴淋巴细胞浸润。")
    assert len(begun) < len(beginnings._ALL) / 8
