"""Rules about the tables themselves: schema, closed sets, keys, shapes of identifiers. They need no release around them."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from pathcurate.errors import InputOutputError
from pathcurate.model.column import Column, Identifying, Table
from pathcurate.model.deidentified import COMPANIONS, DEID_TABLES, PSEUDONYM_KINDS, TOP_AGE, pseudonym_pattern
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.model.validation import Breach
from pathcurate.tables import arrow_schema, read_metadata
from pathcurate.validate.arrays import several
from pathcurate.validate.breaches import breach, counted
from pathcurate.validate.groups import MOST_BYTES, MOST_ROWS, ColumnFacts, Scan, scan_groups
from pathcurate.validate.opened import OpenedTable, readable_columns

_CATALOG = (SLIDES, SLIDE_KEYS, REPORTS, PERSONS, IDENTITIES, PERMISSIONS)
_PSEUDONYMS = {pseudonym_pattern(kind) for kind in PSEUDONYM_KINDS}


class _Where(TypedDict):
    table: str
    column: str


def open_table(
    name: str, paths: tuple[Path, ...], declared: Table | None, *, has_digests: bool, workers: int
) -> OpenedTable | str:
    """Look at all row groups of a table; why not, if it cannot be read.

    Args:
        name: of the table.
        paths: its files.
        declared: its declaration, None if nobody declares it.
        has_digests: whether digests of the rows are computed too.
        workers: processes that may be used.
    """
    groups: list[tuple[Path, int]] = []
    rows, schema = 0, None
    for path in paths:
        try:
            footer = read_metadata(path)
            own = footer.schema.to_arrow_schema()
        except (InputOutputError, ValueError, pa.ArrowException):  # ValueError: a name in a foreign file that is not UTF-8
            return "cannot be read as Parquet"
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            if group.num_rows > MOST_ROWS or group.total_byte_size > MOST_BYTES:
                return f"has a row group of more than {MOST_ROWS:,} rows or {MOST_BYTES >> 30} GB, which is not read"
            groups.append((path, number))
        if schema is not None and not own.equals(schema):
            return "has files whose columns differ"
        schema, rows = own, rows + footer.num_rows
    if schema is None:
        return "has no file"
    facts = scan_groups(groups, rows, Scan(declared, has_digests), workers)
    if facts.unreadable:
        return "cannot be read as Parquet"
    if not groups:
        facts.columns = {column: ColumnFacts() for column in schema.names}
    table = OpenedTable(name, paths, declared, schema, facts)
    if declared is not None:
        table.readable = readable_columns(declared, schema, facts)
    return table


def check_table(table: OpenedTable) -> Iterator[Breach]:
    """What is wrong with a table that could be read."""
    if len(set(table.schema.names)) != len(table.schema.names):
        yield breach("PC-SCH-001", "has two columns of one name", table=table.name)
        return
    if table.declared is None:
        yield from _undeclared_table(table)
        return
    for name in table.schema.names:
        if name in table.declared:
            yield from _column(table, table.declared[name])
        else:
            yield _undeclared(table.name, name)
            yield from _shaped(table, name)
    yield from _key(table)
    yield from _both_dates(table)


def _undeclared_table(table: OpenedTable) -> Iterator[Breach]:
    """A table that nobody declares: its columns are judged by what the catalog calls so, and by the shapes of values."""
    for name in table.schema.names:
        if any(name in source for source in _CATALOG) and not any(name in known for known in DEID_TABLES.values()):
            yield _undeclared(table.name, name)
        if table.facts.columns[name].unsound:
            yield breach("PC-SCH-002", "holds bytes that are not of its type", table=table.name)
        # Names of columns that nobody declared are data too.
        yield from _shaped(table, name)


def _column(table: OpenedTable, column: Column) -> Iterator[Breach]:
    name, facts = column.name, table.facts.columns[column.name]
    where: _Where = {"table": table.name, "column": column.name}
    stated = (table.schema.field(name).metadata or {}).get(b"identifying", b"").decode("utf-8", "replace")
    if stated in {Identifying.DIRECT, Identifying.CRITERION_ONLY}:
        yield breach("PC-PRIV-001", f"is of class {stated}", **where)
    expected = arrow_schema(Table(table.name, "", (), (column,))).field(0).type
    if table.schema.field(name).type != expected:
        # Not which: the name of a type may hold text of its maker's (fields of a struct, a time zone).
        yield breach("PC-SCH-002", f"does not have type {expected}", **where)
        yield from _shaped(table, name)
        return
    if facts.unsound:
        yield breach("PC-SCH-002", "holds bytes that are not of its type", **where)
        return
    if column.required and facts.nulls:
        message = f"has no value in {counted(facts.nulls, 'row')}"
        yield breach("PC-SCH-003", message, **where, count=facts.nulls, of=table.rows)
    if facts.outside:
        rule = "PC-PRIV-003" if column.pattern in _PSEUDONYMS else "PC-SCH-004"
        what = "that are no pseudonyms" if rule == "PC-PRIV-003" else "outside its closed set"
        message = f"has {counted(facts.outside, 'value')} {what}"
        yield breach(rule, message, **where, count=facts.outside, of=table.rows)
    if name == "age" and facts.most is not None and facts.most > TOP_AGE:
        yield breach("PC-PRIV-002", f"has ages over {TOP_AGE}", **where, threshold=str(TOP_AGE))
    yield from _shaped(table, name)


def _shaped(table: OpenedTable, name: str) -> Iterator[Breach]:
    facts = table.facts.columns[name]
    if facts.shaped:
        message = f"has {counted(facts.shaped, 'value')} shaped as identity cards, mobile numbers or mail addresses are"
        known = table.declared is not None and name in table.declared
        yield breach(
            "PC-PRIV-008", message, table=table.name, column=name if known else None, count=facts.shaped, of=table.rows
        )


def _undeclared(table: str, column: str) -> Breach:
    hidden = next((source[column] for source in _CATALOG if column in source), None)
    if hidden is not None:
        what = "is a direct identifier" if hidden.identifying is Identifying.DIRECT else "is removed by de-identification"
        return breach("PC-PRIV-001", f"{what} and may not be released", table=table, column=column)
    # A column that nobody declared may hold anything; its name is data too and is not shown.
    return breach("PC-SCH-001", "has a column that is not declared", table=table)


def _key(table: OpenedTable) -> Iterator[Breach]:
    key = table.declared.key if table.declared is not None else ()
    if not key or not table.has(*key):
        return
    different = _different(table, key)
    if different != table.rows:
        yield breach(
            "PC-SCH-005", "is the key, but not unique", table=table.name, column=", ".join(key),
            count=table.rows - different, of=table.rows,
        )  # fmt: skip


def _different(table: OpenedTable, key: tuple[str, ...]) -> int:
    """How many different keys there are; a missing part of one is a value of its own."""
    if len(key) > 1:
        return int(table.columns(*key).group_by(list(key)).aggregate([]).num_rows)
    codes = table.codes(key[0])
    return len(codes.values) + bool((codes.codes < 0).any())


def _both_dates(table: OpenedTable) -> Iterator[Breach]:
    for place, companions in COMPANIONS.items():
        day, year = place.partition(".")[2], companions[0].name
        if year.endswith("year") and _has_values(table, day) and _has_values(table, year):
            yield breach("PC-PRIV-011", f"shows the true year beside the moved day {day}", table=table.name, column=year)


def _has_values(table: OpenedTable, name: str) -> bool:
    return name in table.readable and table.facts.columns[name].nulls < table.rows


def leakage(table: OpenedTable, sides: str) -> Iterator[Breach]:
    """Groups, patients, cases and scan groups that are on two sides of the split."""
    for owner, rule, noun, nouns in _TOGETHER:
        if table.has(owner, sides) and (torn := several(table.codes(owner), table.codes(sides))):
            message = f"{counted(torn, noun, nouns)} {'is' if torn == 1 else 'are'} on more than one side of the split"
            yield breach(rule, message, table=table.name, column=owner, count=torn, cause=("split",))


_TOGETHER = (
    ("group_id", "PC-SPL-001", "group of possibly one person", "groups of possibly one person"),
    ("patient_id", "PC-SPL-001", "patient", "patients"),
    ("case_id", "PC-SPL-001", "case", "cases"),
    ("scan_group", "PC-SPL-003", "group of slides with the same pixels", "groups of slides with the same pixels"),
)
