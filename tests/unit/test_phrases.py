"""Chinese messages: their form is right, the code still says them, and what analysts and stewards read is all there."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pathcurate
from pathcurate.model.column import Table
from pathcurate.model.finding import ADVICE, advice
from pathcurate.model.validationrules import RULES
from pathcurate.phrases import Phrasebook, files, phrasebook
from pathcurate.phrases.pofile import Entry, read_entries
from pathcurate.phrases.template import Template
from pathcurate.recipelint import RULES as LINT_RULES
from pathcurate.terminaltext import padded, width

PACKAGE = Path(pathcurate.__file__).parent
PUT_TOGETHER = {"click.po", "composed.po", "counted.po"}
"""Files of what no constant of the code says as a whole: click's own sentences, and lines that are made of pieces."""
ENTRIES = [(file.name, entry) for file in files("zh") for entry in read_entries(file.read_text(encoding="utf-8"))]
OWN = [entry for name, entry in ENTRIES if name not in PUT_TOGETHER]
ZH = phrasebook("zh")


def said_in_code() -> Iterator[str]:
    """Each text constant of the package, an f-string with ``{}`` for each of its values."""
    for path in PACKAGE.rglob("*.py"):
        waiting: list[ast.AST] = [ast.parse(path.read_bytes())]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.JoinedStr):
                yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]
                waiting.extend(part.value for part in node.values if isinstance(part, ast.FormattedValue))
            elif isinstance(node, ast.Constant):
                if isinstance(node.value, str):
                    yield node.value
            else:
                waiting.extend(ast.iter_child_nodes(node))


def test_each_sentence_is_in_the_code() -> None:
    said = set(said_in_code())
    words = {part for text in said for part in (text, text.strip())}
    templates = {entry.english: Template(entry.english) for entry in OWN}
    lost = [text for text, template in templates.items() if "{}".join(template.literals) not in words]
    assert lost == [], "the code says it otherwise by now: correct the .po file"


def test_each_translation_has_the_places_of_its_sentence() -> None:
    for name, entry in ENTRIES:
        english, chinese = Template(entry.english), Template(entry.translated)
        assert entry.translated, (name, entry.english)
        assert {place.name for place in english.places} == {place.name for place in chinese.places}, entry.english
        assert {place.kind for place in english.places} <= {"", "n"}, entry.english
        assert {place.kind for place in chinese.places} <= {"", "w"}, entry.translated


def test_each_sentence_is_there_once_and_can_be_known_again() -> None:
    sentences = [entry.english.strip() for _, entry in ENTRIES]
    assert sorted({text for text in sentences if sentences.count(text) > 1}) == []
    vague = [text for text in sentences if (template := Template(text)).places and not template.is_telling]
    assert vague == [], "these would fit names and titles"


def test_commands_columns_and_codes_are_left_as_they_are() -> None:
    """What stands between backticks is typed, in every language."""
    for _, entry in ENTRIES:
        assert sorted(entry.english.split("`")[1::2]) == sorted(entry.translated.split("`")[1::2]), entry.english


def test_nothing_is_called_anonymous() -> None:
    assert [entry for _, entry in ENTRIES if "匿名" in entry.translated.replace("k-匿名", "").replace("k 匿名", "")] == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_rule_of_validation_speaks_chinese(rule: object) -> None:
    for text in (rule.what, rule.fix):  # type: ignore[attr-defined]
        assert has_han(ZH.said(text)), text


@pytest.mark.parametrize("rule", LINT_RULES, ids=lambda rule: rule.id)
def test_a_rule_of_the_linter_speaks_chinese(rule: object) -> None:
    for text in (rule.says, rule.advice):  # type: ignore[attr-defined]
        assert has_han(ZH.said(text)), text


def test_all_advice_speaks_chinese() -> None:
    for rule in [*ADVICE, "a.rule_without_advice"]:
        assert has_han(ZH.said(advice(rule))), rule


def has_han(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


# --- Templates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "text", "parts"),
    [
        ("no {0} here", "no x here", {"0": "x"}),
        ("no {0} here", "no  here", {"0": ""}),
        ("no {0} here", "no here", None),
        ("no {0} here", "no x here!", None),
        ("no {0} here", "x no x here", None),
        ("{0:n} of {1:n}", "1,200 of 3.5", {"0": "1,200", "1": "3.5"}),
        ("{0:n} of {1:n}", "a of 3", None),
        ("{0:n} of {1:n}", "１ of 3", None),
        ("{0} is {0}", "x is x", {"0": "x"}),
        ("{0} is {0}", "x is y", None),
        ("`{{name}}` is {0}", "`{name}` is x", {"0": "x"}),
        ("abc{0}cba", "abcba", None),
        ("fixed", "fixed", {}),
        ("fixed", "fixed.", None),
    ],
)
def test_what_stands_in_the_places(template: str, text: str, parts: dict[str, str] | None) -> None:
    assert Template(template).parts(text) == parts


words = st.text(st.characters(exclude_characters="{}"), max_size=12)


@given(st.lists(words, min_size=1, max_size=6), st.lists(words, min_size=6, max_size=6))
def test_a_filled_template_is_known_again(literals: list[str], values: list[str]) -> None:
    english = literals[0] + "".join(f"{{{number}}}{literal}" for number, literal in enumerate(literals[1:]))
    text = english
    for number in range(len(literals) - 1):
        text = text.replace(f"{{{number}}}", values[number], 1)
    found = Template(english).parts(text)
    assert found is not None
    assert Template(english).filled(found, str) == text


def test_a_hostile_text_takes_no_longer() -> None:
    template = Template("{0}, {1}, {2}, {3}, {4}, {5} and nothing else")
    assert template.parts("a, " * 5_000) is None


def book(*pairs: tuple[str, str]) -> Phrasebook:
    return Phrasebook(Entry(*pair) for pair in pairs)


def test_of_two_that_fit_the_one_that_says_more_is_meant() -> None:
    known = book(("{0} cannot be read", "甲 {0}"), ("the file {0} cannot be read", "乙 {0}"))
    assert known.said("the file x cannot be read") == "乙 x"
    assert known.said("a file x cannot be read") == "甲 a file x"


def test_sentences_and_clauses_are_looked_up_one_by_one() -> None:
    known = book(("Look at it again.", "再看。"), ("Nothing was done.", "没有做。"), ("broken by hand", "手工损坏"))
    assert known.said("Look at it again. Nothing was done.") == "再看。没有做。"
    assert known.said("table x: broken by hand") == "table x：手工损坏"
    assert known.said("Look at it again. Unheard of.") == "再看。Unheard of."
    assert known.said("  Look at it again.\n  other") == "  再看。\n  other"


def test_a_single_word_is_a_value_and_stays() -> None:
    known = book(("ok", "正常"), ("status is {0}", "状态为{0:w}"), ("in state {0}", "处于 {0}"))
    assert known.said("ok") == "ok"
    assert known.said("slides  ok  3") == "slides  ok  3"
    assert known.said("status is ok") == "状态为正常"
    assert known.said("in state ok") == "in state ok"  # too little of it is fixed
    assert known.word("ok") == "正常"
    assert known.word("strange") == "strange"


def test_what_a_person_wrote_is_not_translated() -> None:
    for title in ("H&E slides of adults, specimens received in 2023", "lung; any stage: I of II", "切片与报告", ""):
        assert ZH.said(title) == title


def test_columns_keep_their_places_on_a_terminal() -> None:
    known = book(("the first cell", "一"), ("a second cell that is long", "第二格第二格第二格第二格第二格"))
    rows = ["  the first cell    x  7", "  a b               y  8", "  a second cell that is long  z"]
    shown = [known.said(row) for row in rows]
    assert [width(row.partition(mark)[0]) for row, mark in zip(shown, "xyz", strict=True)] == [20, 20, 34]


def test_a_character_of_chinese_takes_two_columns() -> None:
    assert (width("切片 a"), width("e\u0301"), padded("切片", 6), padded("切片", 1)) == (6, 1, "切片  ", "切片")


@pytest.mark.parametrize("text", ['msgid "a"\nnonsense', "msgstr", '"lonely"'])
def test_a_broken_file_is_no_silent_loss(text: str) -> None:
    with pytest.raises((ValueError, json.JSONDecodeError)):
        list(read_entries(text))


def test_a_file_may_have_a_head_and_long_lines() -> None:
    text = '# remark\nmsgid ""\nmsgstr "Language: zh"\n\nmsgid "one "\n"two"\nmsgstr "一"\n"二"\n'
    assert list(read_entries(text)) == [Entry("one two", "一二")]


@given(st.text(max_size=200))
def test_any_text_can_be_said(text: str) -> None:
    assert isinstance(ZH.said(text), str)


def test_no_column_of_a_table_is_renamed() -> None:
    """Keys of JSON and names of columns are single words, which are never looked up as sentences."""
    from pathcurate.model.catalog import CATALOG_TABLES

    tables: tuple[Table, ...] = tuple(CATALOG_TABLES)
    names = {name for table in tables for name in (table.name, *table.names)}
    assert {name for name in names if ZH.said(name) != name} == set()
