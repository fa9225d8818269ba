"""The Chinese words for tables and columns, and the data dictionary of a release."""

import json

import pytest
import yaml

from pathcurate.metadata.dictionary import chinese, chinese_table, chinese_words, dictionary
from pathcurate.model.column import Table
from pathcurate.model.deidentified import BETWEEN_TABLES, DEID_TABLES, SPLIT
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import INDEX_EVENT, output_table
from pathcurate.model.recipe.levels import DAYS_FROM_INDEX
from pathcurate.model.text import TEXT_TABLES
from tests.unit.descriptions import bare_description, hostile_description, orthopaedic_description, slide_description

TABLES: dict[str, Table] = {**DEID_TABLES, **BETWEEN_TABLES, **TEXT_TABLES}
MADE = {column.name: column.meaning for column in (SPLIT, DAYS_FROM_INDEX, INDEX_EVENT)}
MEANINGS = {(table.name, column.name): column.meaning for table in TABLES.values() for column in table.columns}
_RECIPE = """\
recipe: 1
name: labelled
version: 1.0.0
title: Labels of every kind
unit: case
index: {table: events, date: date, pick: first, where: {kind: procedure}}
labels:
  - {name: plain, level: case, column: diagnoses.grade}
  - {name: sorted, level: case, column: diagnoses.behaviour, classes: {benign: ["0"], malignant: ["3"]}}
  - {name: has_ct, level: patient, has: {table: series, where: {modality: CT}}}
  - {name: survival, level: patient, time_to_event: {event: {table: events, where: {kind: death}},
     censor: {table: events, where: {kind: follow_up}}}}
  - {name: psa, level: patient, nearest: {table: events, column: value, where: {kind: laboratory}}}
columns: [case_id, plain, sorted, has_ct, survival_days, survival_event, psa, psa_days]
"""


def entry(table: str, column: str) -> str:
    """The entry of the list that a column has its words from."""
    own = f"{table}.{column}"
    return own if own in chinese_words()[1] else column


def test_every_table_that_can_go_out_has_a_name_and_none_is_listed_in_vain() -> None:
    assert set(chinese_words()[0]) == set(TABLES)


def test_every_column_that_can_go_out_has_words_and_none_is_listed_in_vain() -> None:
    used = {entry(table, column) for table, column in MEANINGS}
    assert set(chinese_words()[1]) == used | set(MADE)


def test_columns_that_mean_different_things_have_different_words() -> None:
    by_entry: dict[str, set[str]] = {}
    for (table, column), meaning in MEANINGS.items():
        by_entry.setdefault(entry(table, column), set()).add(meaning)
    two = {name: found for name, found in by_entry.items() if len(found) > 1}
    # All three say that it names a report.
    assert two.keys() == {"report_id"}
    assert all(meaning.removeprefix("Pseudonym").strip(". ") for meaning in two["report_id"])


def test_the_words_are_chinese_sentences() -> None:
    tables, columns = chinese_words()
    for label, meaning in columns.values():
        assert meaning.endswith("。")
        assert any("\u4e00" <= sign <= "\u9fff" for sign in meaning)
        assert 0 < len(label) <= 14
    for label, row in tables.values():
        assert label.endswith("表")
        assert not row.endswith("。")


def test_no_word_is_left_over_from_another_column() -> None:
    meanings = [meaning for _, meaning in chinese_words()[1].values()]
    # Each means its own, but for the number that a report gives a specimen, and what a text column is of.
    assert {meaning for meaning in meanings if meanings.count(meaning) > 1} == {
        "报告对标本的编号（1、2 或 A、B）。", "原存放该文本的 `reports` 列。",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("plain", "病例的标签：G1 至 G5 或其范围"),
        ("sorted", "病例的标签：按配方归入的类别，共 2 类"),
        ("has_ct", "患者的标签：在影像序列表中是否有符合条件的记录"),
        ("survival_days", "患者的标签：从第 0 天到事件发生或最后一次随访的天数"),
        ("survival_event", "患者的标签：事件是否发生"),
        ("psa", "患者的标签：距第 0 天最近的一项。数值型结果"),
        ("psa_days", "患者的标签：该值所属日期距第 0 天的天数"),
    ],
)
def test_a_label_is_explained_by_its_rule(column: str, words: str) -> None:
    recipe = Recipe.model_validate(yaml.safe_load(_RECIPE))
    label, meaning = chinese("cases", column, recipe)
    assert label == f"标签 {column}"
    assert meaning.startswith(words)
    assert meaning.endswith("。")


def test_a_label_on_slides_has_the_name_of_its_level() -> None:
    text = _RECIPE.replace("unit: case", "unit: slide").replace("columns: [case_id, plain", "columns: [slide_id, case_plain")
    recipe = Recipe.model_validate(yaml.safe_load(text))
    assert chinese("slides", "case_plain", recipe)[0] == "标签 case_plain"
    with pytest.raises(KeyError):
        chinese("slides", "plain", recipe)


def test_a_label_takes_the_words_of_a_column_of_its_name() -> None:
    recipe = Recipe.model_validate(
        yaml.safe_load(_RECIPE.replace("name: plain", "name: organ").replace(" plain,", " organ,"))
    )
    assert chinese("cases", "organ", recipe)[0] == "标签 organ"
    assert chinese("cases", "organ")[0] == "器官"
    assert chinese("diagnoses", "organ", recipe)[0] == "器官"


def test_every_column_of_a_recipes_tables_has_words() -> None:
    for description in (slide_description(), orthopaedic_description()):
        for name, output in description.recipe.outputs.items():
            for column in output_table(description.recipe, name, output.columns).columns:
                assert chinese(name, column.name, description.recipe)
            assert chinese_table(name)


def test_a_column_that_cannot_go_out_has_none() -> None:
    with pytest.raises(KeyError):
        chinese("slides", "label_text")
    with pytest.raises(KeyError):
        chinese_table("persons")


def test_the_dictionary_tells_every_column_in_both_languages() -> None:
    description = slide_description()
    tables = json.loads(dictionary(description))
    assert [table["table"] for table in tables] == [table.table.name for table in description.tables]
    slides = tables[0]
    assert (slides["label_zh"], slides["rows"], slides["key"]) == ("切片表", 20_480, ["slide_id"])
    columns = {column["name"]: column for column in slides["columns"]}
    assert columns["stain"] | {"pattern": ""} == {
        "name": "stain", "type": "string", "unit": "", "meaning": "Canonical stain name.", "identifying": "none",
        "key": False, "required": False, "values": [], "vocabulary": "stains", "pattern": "", "label_zh": "染色",
        "meaning_zh": "规范化的染色名称。", "missing": 409,
    }  # fmt: skip
    assert columns["slide_id"]["key"]
    assert columns["split"]["values"] == ["train", "val", "test"]


def test_the_dictionary_holds_whatever_words_there_are() -> None:
    hostile = hostile_description()
    found = json.loads(dictionary(hostile))
    assert found[0]["columns"][0]["meaning_zh"] == hostile.tables[0].columns[0].meaning_zh
    assert json.loads(dictionary(bare_description()))[0]["rows"] == 0
