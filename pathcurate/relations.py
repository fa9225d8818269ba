"""Catalog tables as relations of SQL: of a table in many parts, the rows that count."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pathcurate.model.column import Table
from pathcurate.tables import ARROW_TYPES, Catalog, arrow_schema, read_schema

_SQL_TYPES = {
    pa.string(): "VARCHAR", pa.binary(): "BLOB", pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE", pa.timestamp("us"): "TIMESTAMP",
}  # fmt: skip


class Views(Protocol):
    """What gives files and tables names in SQL; an engine does."""

    def view(self, name: str, relation: Sequence[Path] | pa.Table) -> None:
        """Give Parquet files or a table a name, replacing what had it."""


def relation(views: Views, catalog: Catalog, table: Table, columns: Sequence[str] | None = None) -> str:
    """SQL to stand behind FROM, in parentheses, that gives the rows of a catalog table's newest state, one per key.

    The files are read where they lie. Only parts that replace rows of earlier ones are read into memory, since what they
    replace has to be left out; parts that only add rows (see :meth:`Catalog.upsert`) cost nothing.

    Args:
        views: takes the views that the SQL names, called after the table.
        catalog: the catalog.
        table: the table.
        columns: only these columns; None for all declared.

    Raises:
        InputOutputError: the table cannot be read.
    """
    wanted = tuple(columns) if columns is not None else table.names
    adding, replacing = catalog.part_paths(table)
    if not adding:
        views.view(table.name, arrow_schema(table.select(wanted)).empty_table())
        return f'(SELECT * FROM "{table.name}")'
    views.view(table.name, adding)
    present = {name for path in adding for name in read_schema(path).names}
    chosen = ", ".join(_column(table, name, present) for name in wanted)
    if not replacing:
        return f'(SELECT {chosen} FROM "{table.name}")'
    later = f"{table.name}_later"
    names = tuple(dict.fromkeys((*table.key, *wanted)))
    views.view(later, catalog.read_parts(table, replacing, names))
    same = " AND ".join(f'l."{name}" IS NOT DISTINCT FROM b."{name}"' for name in table.key)
    plain = ", ".join(f'"{name}"' for name in wanted)
    return (
        f'(SELECT {chosen} FROM "{table.name}" b WHERE NOT EXISTS (SELECT 1 FROM "{later}" l WHERE {same}) '
        f'UNION ALL SELECT {plain} FROM "{later}")'
    )


def _column(table: Table, name: str, present: set[str]) -> str:
    if name in present:
        return f'"{name}"'
    kind = ARROW_TYPES[table[name].type]
    sql = f"{_SQL_TYPES[kind.value_type]}[]" if pa.types.is_list(kind) else _SQL_TYPES[kind]
    return f'CAST(NULL AS {sql}) AS "{name}"'
