"""Table scrubber: every column by its declaration, and nothing that is not declared."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import PSEUDONYM_BODY, PSEUDONYM_KINDS, TOP_AGE, criterion, deidentified
from pathcurate.pseudonyms import DateShift, Pseudonyms
from pathcurate.storage import path_text
from pathcurate.tables import arrow_schema
from pathcurate.text.vocabulary import vocabulary

Chunked: TypeAlias = "pa.ChunkedArray[Any]"

_SENTENCES = {
    Action.KEEP: "kept; a text outside its closed set is left out and counted",
    Action.DROP: "dropped",
    Action.PSEUDONYM: "replaced by a keyed pseudonym (HMAC-SHA-256, 80 bits, key in the vault)",
    Action.SHIFT: "moved by the person's offset (7 to 364 days, whole weeks), time of day dropped; "
    "the true date is kept in the vault, for criteria only",
    Action.TOP_CODE: f"kept in years, {TOP_AGE} standing for {TOP_AGE} and older; "
    "the true age is kept in the vault, for criteria only",
    Action.WITHHOLD: "withheld: free text stays in the catalog",
    Action.CRITERION: "moved to the vault, for criteria only",
}
_CODE = re.compile(rf"[{''.join(PSEUDONYM_KINDS)}]-{PSEUDONYM_BODY}")
# Shorter ones occur by chance in codes and words: a telephone extension 8140 in the morphology 8140/3. Han names have two
# characters.
_LEAST_LENGTH, _LEAST_DIGITS, _LEAST_HAN = 4, 5, 2
_MOST_SEARCHED = 256


@dataclass(frozen=True, slots=True)
class PlannedColumn:
    """What will happen to one column.

    Attributes:
        table: table of the catalog.
        column: its column.
        identifying: its class, ``None`` if it is not declared.
        action: what will be done, ``None`` if there is no rule: then nothing is applied at all.
        sentence: the action in words.
        values: how many rows have a value.
    """

    table: str
    column: str
    identifying: Identifying | None
    action: Action | None
    sentence: str
    values: int


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A table after scrubbing.

    Attributes:
        table: the de-identified columns of the declaration.
        criteria: the criterion-only twins, without key.
        left_out: values left out per column, because they were outside its closed set.
    """

    table: pa.Table
    criteria: pa.Table
    left_out: dict[str, int]


def explain(table: Table) -> list[str]:
    """What is done to each column of a table, one sentence each."""
    return [f"{table.name}.{column.name}: {_SENTENCES[column.action]}" for column in table.columns]


def plan(table: Table, data: pa.Table, present: Iterable[str]) -> list[PlannedColumn]:
    """What will be done to a table.

    Args:
        table: its declaration.
        data: its rows.
        present: names of the columns that its files hold; one that is not declared has no rule.
    """
    planned = [
        PlannedColumn(
            table.name, column.name, column.identifying, column.action, _SENTENCES[column.action],
            data.num_rows - data[column.name].null_count,
        )
        for column in table.columns
    ]  # fmt: skip
    unknown = sorted(set(present) - set(table.names))
    planned += [PlannedColumn(table.name, name, None, None, "no rule", data.num_rows) for name in unknown]
    return planned


def apply(table: Table, data: pa.Table, persons: Sequence[str], pseudonyms: Pseudonyms, shift: DateShift) -> Scrubbed:
    """Scrub a table.

    Args:
        table: its declaration.
        data: its rows.
        persons: for each row the key of the person whose date offset applies.
        pseudonyms: the internal layer.
        shift: the workspace's date shift.
    """
    kept: list[tuple[Column, Chunked]] = []
    criteria: list[tuple[Column, Chunked]] = []
    left_out: dict[str, int] = {}
    for column in needed(table):
        target, twin = deidentified(column), criterion(column)
        values = data[column.name]
        if twin is not None:
            criteria.append((twin, values))
        if target is not None:
            result = _scrubbed(column, values, persons, pseudonyms, shift)
            kept.append((target, result))
            if lost := _count(values) - _count(result):
                left_out[column.name] = lost
    return Scrubbed(_assemble(table.name, kept), _assemble(table.name, criteria), left_out)


def needed(table: Table) -> list[Column]:
    """The columns that :func:`apply` reads: what is dropped or withheld need not be read at all."""
    return [column for column in table.columns if deidentified(column) or criterion(column)]


def _count(values: Chunked) -> int:
    """Values that are there, the items of lists one by one."""
    items = pc.list_flatten(values) if pa.types.is_list(values.type) else values
    return len(items) - items.null_count


def _assemble(name: str, columns: Sequence[tuple[Column, Chunked]]) -> pa.Table:
    schema = arrow_schema(Table(name, "", (), tuple(column for column, _ in columns)))
    return pa.Table.from_arrays(
        [array.cast(field.type) for (_, array), field in zip(columns, schema, strict=True)], schema=schema
    )


def _scrubbed(column: Column, values: Chunked, persons: Sequence[str], pseudonyms: Pseudonyms, shift: DateShift) -> Chunked:
    match column.action:
        case Action.PSEUDONYM:
            return _chunked(pseudonyms.codes(column.pseudonym, values.to_pylist()), pa.string())
        case Action.SHIFT:
            days: list[date | None] = values.cast(pa.date32()).to_pylist()
            return _chunked(shift.shifts(persons, days), pa.date32())
        case Action.TOP_CODE:
            return _chunked([None if age is None else min(age, TOP_AGE) for age in values.to_pylist()], pa.int64())
        case _:
            return _closed(column, values)


def _closed(column: Column, values: Chunked) -> Chunked:
    """Only values of the closed set; a vocabulary's words become their codes."""
    if column.type not in {Type.STRING, Type.STRINGS}:
        return values
    allowed = _rule(column)
    known: dict[str, str | None] = {}

    def one(value: str) -> str | None:
        if value not in known:
            known[value] = allowed(value)
        return known[value]

    if column.type is Type.STRING:
        return _chunked([None if value is None else one(value) for value in values.to_pylist()], pa.string())
    lists = [None if items is None else [code for item in items if (code := one(item))] for items in values.to_pylist()]
    return _chunked(lists, pa.list_(pa.string()))


def _rule(column: Column) -> Callable[[str], str | None]:
    if column.vocabulary:
        return vocabulary(column.vocabulary).exact
    if column.values:
        return lambda value: value if value in column.values else None
    pattern = re.compile(column.pattern, re.ASCII)
    return lambda value: value if pattern.fullmatch(value) else None


def _chunked(values: list[Any], type_: pa.DataType) -> Chunked:
    return pa.chunked_array([pa.array(values, type_)])


def identifier_columns(table: Table) -> list[Column]:
    """The columns that :func:`known_identifiers` reads: direct identifiers, but for free text and digests of bytes."""
    return [
        column
        for column in table.columns
        if column.identifying is Identifying.DIRECT
        and column.action is not Action.WITHHOLD
        and column.type in {Type.STRING, Type.STRINGS, Type.BYTES}
        and not column.name.endswith("fingerprint")
    ]


def known_identifiers(table: Table, data: pa.Table) -> set[str]:
    """Every direct identifier of a catalog table that is long enough to be told from chance."""
    found: set[str] = set()
    for column in identifier_columns(table):
        array = data[column.name]
        if column.type is Type.BYTES:
            # The file's own name; folders are named after years, organs and codes as well.
            names = (path_text(value.rpartition(b"/")[2]) for value in _distinct(array) if value)
            found.update(name.rpartition(".")[0] or name for name in names)
        elif column.type is Type.STRINGS:
            found.update(item for items in array.to_pylist() for item in items or ())
        else:
            found.update(value for value in _distinct(array) if value)
    return {value for value in found if _is_telling(value)}


def _distinct(array: Chunked) -> list[Any]:
    return list(pc.unique(array).to_pylist())


def _is_telling(value: str) -> bool:
    if len(value) >= _LEAST_LENGTH:
        return len(value) >= _LEAST_DIGITS or not value.isdigit()
    return sum("\u3400" <= character <= "\u9fff" or character >= "\U00020000" for character in value) >= _LEAST_HAN


def verify(table: Table, data: pa.Table, identifiers: Set[str]) -> Iterator[tuple[str, str]]:
    """Check a de-identified table without trusting how it was made.

    Args:
        table: declaration of the de-identified table.
        data: its rows.
        identifiers: direct identifiers that must not occur anywhere in it.

    Yields:
        Column and what is wrong with it, never a value.
    """
    yield from ((name, "is missing") for name in table.names if name not in data.column_names)
    types = {field.name: field.type for field in arrow_schema(table)}
    lengths = sorted({len(identifier) for identifier in identifiers})
    for name in data.column_names:
        if name not in table:
            yield name, "is not declared"
            continue
        column = table[name]
        if data.schema.field(name).type != types[name]:
            yield name, "has another type than declared"
            continue
        if column.identifying in {Identifying.DIRECT, Identifying.CRITERION_ONLY}:
            yield name, f"is of class {column.identifying}"
        if column.type in {Type.STRING, Type.STRINGS}:
            yield from _verify_text(column, data[name], identifiers, lengths)
        if name == "age" and (pc.max(data[name]).as_py() or 0) > TOP_AGE:
            yield name, f"has ages over {TOP_AGE}"


def _verify_text(column: Column, array: Chunked, identifiers: Set[str], lengths: Sequence[int]) -> Iterator[tuple[str, str]]:
    rule = _rule(column)
    items = pc.list_flatten(array) if column.type is Type.STRINGS else array
    texts = [value for value in pc.unique(items).to_pylist() if value is not None]
    outside = sum(rule(value) != value for value in texts)
    if outside:
        yield column.name, f"has {outside} values outside its closed set"
    # A word that pathcurate ships says nothing about a person even if somebody is so named.
    shipped = {*column.values, *(vocabulary(column.vocabulary).codes if column.vocabulary else ())}
    found = sum(_holds(value, identifiers, lengths) for value in texts if value not in shipped)
    if found:
        yield column.name, f"has {found} values that hold a known direct identifier"


def _holds(text: str, identifiers: Set[str], lengths: Sequence[int]) -> bool:
    """Whether a text holds an identifier.

    Texts of closed sets are few and short and identifiers are millions, so the parts of each text are looked up; a longer
    text is outside every closed set and was found so already.
    """
    if _CODE.fullmatch(text):
        # Parts of a code agree with short numbers by chance; the whole agrees only with an identifier of the catalog.
        return text in identifiers
    text = text[:_MOST_SEARCHED]
    return any(
        text[start : start + length] in identifiers
        for length in lengths
        if length <= len(text)
        for start in range(len(text) - length + 1)
    )
