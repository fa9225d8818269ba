"""The marked texts that the text scrubber is scored on are well-formed, and the scoring counts what it says."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bench.deid_scoring import CORPUS, DIRECT, FREE, QUASI, Mark, Sample, parse_marked, read_corpus, score

FILES = sorted(path.stem for path in CORPUS.glob("*.jsonl"))


@pytest.mark.parametrize("name", FILES)
def test_every_line_has_its_own_id_and_marks_that_parse(name: str) -> None:
    samples = read_corpus(name)
    assert max(Counter(sample.sample_id for sample in samples).values()) == 1
    for sample in samples:
        for mark in sample.marks:
            assert 0 <= mark.start < mark.end <= len(sample.text), sample.sample_id
            assert sample.text[mark.start : mark.end].strip(), sample.sample_id


def test_the_corpus_is_large_enough_and_a_quarter_of_it_holds_nothing() -> None:
    chinese = read_corpus("zh_a", "zh_b")
    assert len(chinese) >= 300
    assert sum(sample.is_clean for sample in chinese) >= len(chinese) / 4
    assert {mark.kind for sample in chinese for mark in sample.marks} >= set(DIRECT)
    assert len({sample.text for sample in chinese}) == len(chinese)


@pytest.mark.parametrize("name", FILES)
def test_a_line_names_all_that_may_be_known(name: str) -> None:
    wanted = {"names", "numbers", "ids", "phones", "cases", "staff", "units", "addresses", "birth"}
    for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert set(row) == {"id", "marked", "known"}
        assert set(row["known"]) == wanted, row["id"]


plain = st.text(st.characters(exclude_characters="⟪⟫|", exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=40)
@given(st.lists(st.tuples(plain, st.sampled_from((*DIRECT, *QUASI)), plain.filter(bool)), max_size=5), plain)
def test_marks_stand_where_their_values_do(parts: list[tuple[str, str, str]], tail: str) -> None:
    text, marks = parse_marked("".join(f"{before}⟪{kind}|{value}⟫" for before, kind, value in parts) + tail)
    assert text == "".join(before + value for before, _, value in parts) + tail
    assert [(mark.kind, text[mark.start : mark.end]) for mark in marks] == [(kind, value) for _, kind, value in parts]


@pytest.mark.parametrize(
    "marked",
    ["⟪patient|张三", "张三⟫", "⟪patient|⟫", "⟪|张三⟫", "⟪case|S1⟪case|S2⟫⟫", "⟪nobody|张三⟫", "⟪free|张三⟫", "⟪case|a|b⟫"],
)
def test_a_broken_mark_is_refused(marked: str) -> None:
    with pytest.raises(ValueError, match=r"no such kind|a mark is not closed"):
        parse_marked(marked)


def test_full_is_to_the_last_character_and_whatever_is_beside_a_mark_costs_precision() -> None:
    text, marks = parse_marked("a⟪patient|bcd⟫e⟪case|fg⟫h⟪date|ij⟫")
    assert text == "abcdefghij"
    of = score([Sample("1", text, marks)], [[(1, 3), (2, 4), (5, 6), (7, 8)]])
    assert (of.full, of.touched) == ({"patient": 1, "case": 0, "date": 0}, {"patient": 1, "case": 1, "date": 0})
    assert (of.removed, of.inside, of.precision) == (5, 4, 0.8)
    assert (of.recall(DIRECT), of.touched_share(DIRECT), of.recall(QUASI), of.recall(["bed"])) == (0.5, 1.0, 0.0, None)
    assert (of.clean, of.hits_per_1000) == (0, None)


def test_a_mark_may_be_removed_in_pieces_but_not_with_a_gap() -> None:
    sample = Sample("1", "王 芳", (Mark(0, 3, "patient"),))
    assert score([sample], [[(0, 1), (1, 3)]]).recall(["patient"]) == 1.0
    assert score([sample], [[(0, 1), (2, 3)]]).recall(["patient"]) == 0.0


def test_hits_are_counted_in_texts_without_identifiers_only() -> None:
    clean, marked = Sample("1", "左乳肿物", ()), Sample("2", "王芳左乳", (Mark(0, 2, "patient"),))
    of = score([clean, clean, marked], [[(0, 1), (2, 3)], [], [(0, 2), (2, 3)]])
    assert (of.clean, of.hits, of.hits_per_1000) == (2, 2, 1000.0)


def test_what_is_free_counts_for_nothing() -> None:
    sample = Sample("1", "Sr. Paz", (Mark(0, 3, FREE), Mark(4, 7, "patient")))
    of = score([sample, Sample("2", "Sr.", (Mark(0, 3, FREE),))], [[(0, 7)], [(0, 3)]])
    assert (of.removed, of.inside, of.hits) == (4, 3, 0)
    assert of.recall((*DIRECT, *QUASI)) == 1.0
