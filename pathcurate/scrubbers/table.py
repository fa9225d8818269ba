"""Table scrubber: every column by its declaration and the profile, and nothing that is not declared."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import (
    COMPANIONS,
    CRITERIA_TABLES,
    TOP_AGE,
    age_band,
    criterion,
    deidentified,
)
from pathcurate.model.event import GREATEST_VALUE
from pathcurate.model.profile import WIDTHS, Coarse, Profile, Treatment, gives
from pathcurate.pseudonyms import Layer
from pathcurate.tables import arrow_schema
from pathcurate.text.provinces import province
from pathcurate.text.vocabulary import vocabulary

Chunked: TypeAlias = "pa.ChunkedArray[Any]"
Language: TypeAlias = Literal["en", "zh"]

_CARD = "id_number"
"""Tells the province where the address does not."""
_SENTENCES: Mapping[Action, Mapping[Language, str]] = {
    Action.KEEP: {
        "en": "kept; a text outside its closed set is left out and counted",
        "zh": "保留；不在封闭取值集内的文字不输出，只计数",
    },
    Action.DROP: {"en": "dropped", "zh": "删除"},
    Action.PSEUDONYM: {
        "en": "replaced by a keyed pseudonym (HMAC-SHA-256, 80 bits, key in the vault)",
        "zh": "替换为密钥假名（HMAC-SHA-256，80 位，密钥在保险库）",
    },
    Action.SHIFT: {
        "en": "moved by the person's offset (7 to 364 days, whole weeks), time of day dropped",
        "zh": "按患者的偏移量平移（7 至 364 天，整周），去掉时刻",
    },
    Action.TOP_CODE: {
        "en": f"kept in years, {TOP_AGE} standing for {TOP_AGE} and older",
        "zh": f"按岁保留，{TOP_AGE} 表示 {TOP_AGE} 岁及以上",
    },
    Action.WITHHOLD: {"en": "withheld: free text stays in the catalog", "zh": "不输出：自由文本留在院内目录"},
    Action.CRITERION: {"en": "moved to the vault, for criteria only", "zh": "移入保险库，仅用于入排条件"},
}
_COARSE: Mapping[Coarse, Mapping[Language, str]] = {
    **{
        band: {"en": f"shown as a band of {width} years in {{0}}", "zh": f"以 {width} 岁年龄段显示于 {{0}}"}
        for band, width in WIDTHS.items()
    },
    Coarse.YEAR: {"en": "shown as its true year in {0}", "zh": "以真实年份显示于 {0}"},
    Coarse.QUARTER: {"en": "shown as its true year and quarter in {0} and {1}", "zh": "以真实年份和季度显示于 {0} 和 {1}"},
    Coarse.PROVINCE: {
        "en": f"shown as its province in {{0}}, else as that of {_CARD}",
        "zh": f"以所在省份显示于 {{0}}，无法识别时取 {_CARD} 的省份",
    },
}
_BANDED: Mapping[Language, str] = {"en": ", and as a band of 5 years in {0}", "zh": "，并以 5 岁年龄段显示于 {0}"}
_TRUE: Mapping[Language, str] = {
    "en": "; the true {0} is kept in the vault, for criteria only",
    "zh": "；真实{0}留在保险库，仅用于入排条件",
}
_ALSO: Mapping[Language, str] = {
    "en": "; whatever its form, it is kept in the vault, for criteria only",
    "zh": "；无论何种形式，均另存保险库，仅用于入排条件",
}
_RESULT: Mapping[Language, str] = {
    "en": f"kept of a known analyte in a known unit, if below {GREATEST_VALUE:,}",
    "zh": f"已知检验项目、已知单位且小于 {GREATEST_VALUE:,} 的数值保留",
}
_ONLY_LABEL: Mapping[Language, str] = {
    "en": "; if it is letters, signs and at most four digits, it is kept in the vault, for criteria only",
    "zh": "；仅由字母、符号和至多四位数字组成时，另存保险库，仅用于入排条件",
}
_WORDS: Mapping[Language, Mapping[bool, str]] = {"en": {True: "age", False: "date"}, "zh": {True: "年龄", False: "日期"}}


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """What will happen to one column.

    Attributes:
        table: table of the catalog.
        column: its column.
        identifying: its class, ``None`` if it is not declared.
        action: what will be done, as a profile writes it; ``None`` if there is no rule: then nothing is applied at all.
        sentence: the action in words.
        values: how many rows have a value.
    """

    table: str
    column: str
    identifying: Identifying | None
    action: str | None
    sentence: str
    values: int


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A table after scrubbing.

    Attributes:
        table: the de-identified columns of the declaration, those that the profile leaves empty among them.
        criteria: the criterion-only twins, without key.
        left_out: values left out per column, because they were outside its closed set.
    """

    table: pa.Table
    criteria: pa.Table
    left_out: dict[str, int]


def explain(table: Table, profile: Profile, language: Language = "en") -> list[str]:
    """What is done to each column of a table, one sentence each."""
    return [
        f"{table.name}.{column.name}: {_sentence(table, column, profile.treatment(table, column), language)}"
        for column in table.columns
    ]


def _sentence(table: Table, column: Column, treatment: Treatment, language: Language) -> str:
    place = f"{table.name}.{column.name}"
    given = [f"`{name}`" for name in gives(place, treatment)]
    if treatment.coarse is not None:
        sentence = _COARSE[treatment.coarse][language].format(*given)
    elif treatment.action is Action.KEEP and column.type is Type.FLOAT and column.name in _twins(table):
        sentence = _RESULT[language]
    else:
        sentence = _SENTENCES[treatment.action][language]
    if treatment.action is Action.TOP_CODE and len(given) > 1:
        sentence += _BANDED[language].format(given[1])
    if column.action in {Action.SHIFT, Action.TOP_CODE}:
        sentence += _TRUE[language].format(_WORDS[language][column.action is Action.TOP_CODE])
    elif column.action is not Action.CRITERION and column.name in _twins(table):
        sentence += (_ONLY_LABEL if column.action is Action.WITHHOLD else _ALSO)[language]
    return sentence


def _twins(table: Table) -> tuple[str, ...]:
    """Columns of the table's criterion-only values, the key aside."""
    return CRITERIA_TABLES[table.name].names[1:] if table.name in CRITERIA_TABLES else ()


def plan(
    table: Table, profile: Profile, values: Mapping[str, int], present: Iterable[str], rows: int
) -> list[PlannedColumn]:
    """What will be done to a table.

    Args:
        table: its declaration.
        profile: the profile.
        values: for each declared column how many rows have a value.
        present: names of the columns that its files hold; one that is not declared has no rule.
        rows: rows of the table.
    """
    planned = []
    for column in table.columns:
        treatment = profile.treatment(table, column)
        sentence = _sentence(table, column, treatment, "en")
        planned.append(
            PlannedColumn(table.name, column.name, column.identifying, str(treatment), sentence, values.get(column.name, 0))
        )
    unknown = sorted(set(present) - set(table.names))
    planned += [PlannedColumn(table.name, name, None, None, "no rule", rows) for name in unknown]
    return planned


def apply(table: Table, data: pa.Table, owners: Chunked, layer: Layer, profile: Profile) -> Scrubbed:
    """Scrub a table.

    Args:
        table: its declaration.
        data: its rows; at least the columns that :func:`needed` names.
        owners: for each row the code of the patient by whose offset dates move; of a slide of nobody that of the slide.
        layer: the internal layer.
        profile: what is done to each column.
    """
    kept: list[tuple[Column, Chunked | None]] = []
    criteria: list[tuple[Column, Chunked]] = []
    left_out: dict[str, int] = {}
    for column in table.columns:
        place, treatment = f"{table.name}.{column.name}", profile.treatment(table, column)
        target, twin = deidentified(column), criterion(column)
        names = gives(place, treatment)
        arrays = _treated(column, treatment, data, owners, layer)[: len(names)] if names else []
        done = dict(zip(names, arrays, strict=True))
        if twin is not None:
            criteria.append((twin, data[column.name]))
        if target is not None:
            kept.append((target, done.get(column.name)))
        kept += [(companion, done.get(companion.name)) for companion in COMPANIONS.get(place, ())]
        if column.name in done and (lost := _count(data[column.name]) - _count(done[column.name])):
            left_out[column.name] = lost
    return Scrubbed(_assemble(table.name, kept, data.num_rows), _assemble(table.name, criteria, data.num_rows), left_out)


def needed(table: Table, profile: Profile) -> list[str]:
    """The columns that :func:`apply` reads: what is dropped or withheld need not be read at all."""
    names: list[str] = []
    for column in table.columns:
        treatment = profile.treatment(table, column)
        if criterion(column) is not None or gives(f"{table.name}.{column.name}", treatment):
            names.append(column.name)
        if treatment.coarse is Coarse.PROVINCE:
            names.append(_CARD)
    return names


def _count(values: Chunked) -> int:
    """Values that are there, the items of lists one by one."""
    items = pc.list_flatten(values) if pa.types.is_list(values.type) else values
    return len(items) - items.null_count


def _assemble(name: str, columns: "Sequence[tuple[Column, Chunked | None]]", rows: int) -> pa.Table:
    schema = arrow_schema(Table(name, "", (), tuple(column for column, _ in columns)))
    arrays = [
        pa.nulls(rows, field.type) if array is None else array.cast(field.type)
        for (_, array), field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _treated(column: Column, treatment: Treatment, data: pa.Table, owners: Chunked, layer: Layer) -> list[Chunked]:
    """What stands for a column: itself, or what is coarser, in the order of :func:`gives`."""
    values = data[column.name]
    match treatment.action:
        case Action.PSEUDONYM:
            return [pa.chunked_array([layer.codes.code_array(column.pseudonym, values)])]
        case Action.SHIFT:
            return [pa.chunked_array([layer.dates.shift_array(owners, values.cast(pa.date32()))])]
        case Action.TOP_CODE:
            return [each_distinct(values, lambda ages: [min(age, TOP_AGE) for age in ages], pa.int64()), _bands(values, 5)]
        case Action.GENERALISE:
            return _generalised(treatment.coarse, values, data)
        case _:
            return [_closed(column, values)]


def _generalised(coarse: Coarse | None, values: Chunked, data: pa.Table) -> list[Chunked]:
    match coarse:
        case Coarse.YEAR | Coarse.QUARTER:
            return [_calls(pc.year, values), _calls(pc.quarter, values)]
        case Coarse.PROVINCE:
            found = [province(*row) for row in zip(values.to_pylist(), data[_CARD].to_pylist(), strict=True)]
            return [pa.chunked_array([pa.array(found, pa.string())])]
        case _:
            return [_bands(values, WIDTHS[coarse])] if coarse else []


def _calls(function: Callable[[Any], Any], values: Chunked) -> Chunked:
    """A function of Arrow's over a column; its stubs know single arrays only."""
    return pa.chunked_array([function(values.combine_chunks())])


def each_distinct(values: Chunked, function: Callable[[list[Any]], Sequence[Any]], type_: Any = None) -> Chunked:
    """A function of each value, asked once for each distinct one; missing stays missing."""
    encoded = values.combine_chunks().dictionary_encode()
    answers = pa.array(function(encoded.dictionary.to_pylist()), type_ or pa.string())
    return pa.chunked_array([answers.take(encoded.indices)])


def _bands(values: Chunked, width: int) -> Chunked:
    return each_distinct(values, lambda ages: [age_band(age, width) for age in ages])


def _closed(column: Column, values: Chunked) -> Chunked:
    """Only values of the closed set; a vocabulary's words become their codes."""
    allowed = _rule(column) if column.type in {Type.STRING, Type.STRINGS} else None
    if allowed is None:
        return values
    if column.type is Type.STRING:
        return each_distinct(values, lambda distinct: list(map(allowed, distinct)))
    lists: Any = values.combine_chunks()
    items = pa.chunked_array([lists.flatten()])
    codes = each_distinct(items, lambda distinct: [(allowed(item) or None) if item else None for item in distinct])
    stays = codes.is_valid().to_numpy()
    # Which list each item that stays is of; a list that loses all of its items is empty, and not missing.
    owners = pc.list_parent_indices(lists).to_numpy()[stays]
    ends = np.cumsum(np.bincount(owners, minlength=len(lists)))
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    return pa.chunked_array([pa.ListArray.from_arrays(offsets, codes.drop_null().combine_chunks(), mask=lists.is_null())])


def _rule(column: Column) -> Callable[[str], str | None]:
    if column.vocabulary:
        return vocabulary(column.vocabulary).exact
    if column.values:
        return lambda value: value if value in column.values else None
    pattern = re.compile(column.pattern, re.ASCII)
    return lambda value: value if pattern.fullmatch(value) else None


def verify(table: Table, data: pa.Table, filled: Set[str] | None = None) -> Iterator[tuple[str, str]]:
    """Check a de-identified table against its declaration, without trusting how it was made.

    Args:
        table: declaration of the de-identified table.
        data: its rows.
        filled: the columns that may have values under the profile; None for all.

    Yields:
        Column and what is wrong with it, never a value.
    """
    yield from ((name, "is missing") for name in table.names if name not in data.column_names)
    types = {field.name: field.type for field in arrow_schema(table)}
    for name in data.column_names:
        if name not in table:
            yield name, "is not declared"
            continue
        column = table[name]
        if data.schema.field(name).type != types[name]:
            yield name, "has another type than declared"
            continue
        if filled is not None and name not in filled and (values := _count(data[name])):
            yield name, f"has {values} values, and the profile shows none"
        if column.identifying in {Identifying.DIRECT, Identifying.CRITERION_ONLY}:
            yield name, f"is of class {column.identifying}"
        if column.type in {Type.STRING, Type.STRINGS}:
            outside = _outside(column, data[name])
            if outside:
                yield name, f"has {outside} values outside its closed set"
        if name == "age" and (pc.max(data[name]).as_py() or 0) > TOP_AGE:
            yield name, f"has ages over {TOP_AGE}"


def _outside(column: Column, array: Chunked) -> int:
    """How many distinct texts are outside their column's closed set."""
    rule = _rule(column)
    items = pc.list_flatten(array) if column.type is Type.STRINGS else array
    if column.pattern:
        # Arrow's expressions are many times faster. What they do not take is asked again, by the rule itself.
        items = items.filter(pc.invert(pc.match_substring_regex(items, rf"^(?:{column.pattern})$")))
    return sum(value is not None and rule(value) != value for value in pc.unique(items).to_pylist())
