"""The data dictionary of a release in Chinese and English (``metadata/dictionary.json``), and where its Chinese is from."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pathcurate.metadata.jsontext import json_text
from pathcurate.model.column import Column
from pathcurate.model.description import DescribedTable, Description
from pathcurate.model.recipe import Label, Recipe
from pathcurate.model.recipe.declared import label_columns

_WORDS = Path(__file__).parent / "dictionary.zh.yaml"
_LEVELS = {"patient": "患者", "case": "病例", "specimen": "标本", "slide": "切片", "event": "事件"}


@cache
def chinese_words() -> tuple[Mapping[str, tuple[str, str]], Mapping[str, tuple[str, str]]]:
    """Name and meaning of tables and of columns in Chinese; columns by ``column`` or ``table.column``."""
    document = yaml.safe_load(_WORDS.read_bytes())
    tables, columns = (
        {str(key): (str(label), str(meaning)) for key, (label, meaning) in document[part].items()}
        for part in ("tables", "columns")
    )
    return tables, columns


def chinese_table(table: str) -> tuple[str, str]:
    """What a table is called in Chinese, and what one row of it stands for.

    Raises:
        KeyError: no table of this name can go out.
    """
    return chinese_words()[0][table]


def chinese(table: str, column: str, recipe: Recipe | None = None) -> tuple[str, str]:
    """What a column is called in Chinese, and what it means.

    Args:
        table: name of its table.
        column: its name.
        recipe: of the release, whose labels are columns too.

    Raises:
        KeyError: no such column can go out.
    """
    for label in recipe.labels if recipe is not None and table == recipe.unit_table else ():
        names = [made.name for made in label_columns(recipe, label, table)] if recipe is not None else []
        if column in names:
            return f"标签 {column}", f"{_LEVELS[label.level]}的标签：{_label_meaning(label, names.index(column))}"
    words = chinese_words()[1]
    own = f"{table}.{column}"
    return words[own] if own in words else words[column]


def _label_meaning(label: Label, place: int) -> str:
    """What a label's first or second column holds."""
    if label.time_to_event is not None:
        return "事件是否发生。" if place else "从第 0 天到事件发生或最后一次随访的天数。"
    if place:
        return "该值所属日期距第 0 天的天数。"
    if label.has is not None:
        return f"在{_called(label.has.table)}中是否有符合条件的记录。"
    if label.classes is not None:
        return f"按配方归入的类别，共 {len(label.classes)} 类。"
    table, _, column = (label.column or "").partition(".")
    if label.nearest is not None:
        return f"距第 0 天最近的一项。{chinese(label.nearest.table, label.nearest.column)[1]}"
    return chinese(table, column)[1]


def _called(table: str) -> str:
    return chinese_words()[0].get(table, (table, ""))[0]


def dictionary(description: Description) -> str:
    """``metadata/dictionary.json``: every table and column with its name and meaning in both languages."""
    return json_text([_table(described) for described in description.tables])


def _table(described: DescribedTable) -> dict[str, Any]:
    table = described.table
    columns = [
        {
            **_declared(column.column, is_key=column.column.name in table.key),
            "label_zh": column.label_zh, "meaning_zh": column.meaning_zh, "missing": column.missing,
        }
        for column in described.columns
    ]  # fmt: skip
    label = _called(table.name)
    return {
        "table": table.name, "label_zh": label, "row": table.row, "row_zh": described.row_zh, "rows": described.rows,
        "key": list(table.key), "columns": columns,
    }  # fmt: skip


def _declared(column: Column, *, is_key: bool) -> dict[str, Any]:
    return {
        "name": column.name, "type": str(column.type), "unit": column.unit, "meaning": column.meaning,
        "identifying": str(column.identifying), "key": is_key, "required": column.required, "values": list(column.values),
        "vocabulary": column.vocabulary, "pattern": column.pattern,
    }  # fmt: skip
