"""What became of the columns of tables, and what that means for those who read and those who deliver them.

Graded as data contract tools do it: whoever reads by the old schema is broken by a contract that promises less, whoever
delivers by it is broken by one that asks for more.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from pathcurate.model.diff import ColumnChanges, SchemaChange, TableDifference

_TRAITS = (b"unit", b"identifying")
_BREAKING, _FINE = "breaking", "non-breaking"


def column_changes(old: pa.Schema, new: pa.Schema) -> ColumnChanges:
    """What became of the columns of a table."""
    common = [name for name in old.names if name in new.names]
    retyped = tuple(name for name in common if _traits(old.field(name)) != _traits(new.field(name)))
    return ColumnChanges(
        tuple(name for name in new.names if name not in old.names),
        tuple(name for name in old.names if name not in new.names),
        retyped,
        tuple(name for name in common if new.field(name).nullable and not old.field(name).nullable),
        tuple(name for name in common if old.field(name).nullable and not new.field(name).nullable),
    )


def _traits(column: "pa.Field[Any]") -> tuple[object, ...]:
    # The meaning is wording, which may be mended; unit and identifying class say what a value is.
    notes = column.metadata or {}
    return (column.type, *(notes.get(name, b"") for name in _TRAITS))


def schema_changes(
    gone: Iterable[str], new: Iterable[str], tables: Mapping[str, TableDifference], required: Mapping[str, frozenset[str]]
) -> Iterator[SchemaChange]:
    """Every change of the schema, graded.

    Args:
        gone: tables that are no longer there.
        new: tables that are new.
        tables: the others.
        required: of each of these, the columns that have a value in every row of the later version.
    """
    for name in gone:
        yield SchemaChange(name, "", "table removed", "loosened", _BREAKING, _FINE)
    for name in new:
        yield SchemaChange(name, "", "table added", "extended", _FINE, _FINE)
    for name, table in tables.items():
        if table.is_rekeyed:
            yield SchemaChange(name, "", "key changed", "changed", _BREAKING, _BREAKING)
        yield from _of_columns(name, table.columns, required[name])


def _of_columns(table: str, columns: ColumnChanges, required: frozenset[str]) -> Iterator[SchemaChange]:
    for name in columns.removed:
        yield SchemaChange(table, name, "column removed", "loosened", _BREAKING, _FINE)
    for name in columns.retyped:
        yield SchemaChange(table, name, "type, unit or class changed", "changed", _BREAKING, _BREAKING)
    for name in columns.loosened:
        yield SchemaChange(table, name, "value no longer required", "loosened", _BREAKING, _FINE)
    for name in columns.tightened:
        yield SchemaChange(table, name, "value required", "tightened", _FINE, _BREAKING)
    for name in columns.added:
        if name in required:
            yield SchemaChange(table, name, "required column added", "tightened", _FINE, _BREAKING)
        else:
            yield SchemaChange(table, name, "column added", "extended", _FINE, _FINE)
