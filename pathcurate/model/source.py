"""What has been imported from which file (the ``sources`` and ``source_rows`` tables), so that it is not read again."""

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.slide import SITE

IMPORTED = ("reports", "events", "materials", "scanner_index", "merges", "annotations")
"""Tables that are filled by imports."""
_TABLE = Column("table", Type.STRING, "Table that the file's rows are in.", values=IMPORTED, required=True)


def _dropped(name: str, meaning: str, kind: Type = Type.STRING, *, required: bool = True) -> Column:
    return Column(name, kind, meaning, Identifying.DIRECT, Action.DROP, required=required)


def _count(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, Type.INTEGER, meaning, Identifying.QUASI, Action.DROP, required=required)


_SOURCE_FILE = _dropped("source_file", "Path of the file, from the workspace.")

SOURCES = Table(
    name="sources",
    row="one file that was imported into one table",
    key=("site", "table", "source_file"),
    columns=(
        SITE,
        _TABLE,
        _SOURCE_FILE,
        _dropped("content_sha256", "Digest of the file's bytes."),
        _dropped("read_as", "Digest of mapping, parsers, patterns and rules by which it was read."),
        _count("size_bytes", "Size of the file."),
        _count("mtime_ns", "When the file was changed last, in nanoseconds since 1970."),
        _count("rows", "Rows that it gave, those among them that another file gives too."),
        _dropped("state", "State of the table in which its rows are."),
        Column("imported_at", Type.TIMESTAMP, "When it was read last, UTC.", Identifying.QUASI, Action.DROP, required=True),
        Column("forgotten_at", Type.TIMESTAMP, "When its import was undone, UTC; it is not read again until its bytes "
               "change or it is named.", Identifying.QUASI, Action.DROP),
    ),
)  # fmt: skip

SOURCE_ROWS = Table(
    name="source_rows",
    row="one row of a table, as one file gives it",
    key=("site", "table", "source_file", "content"),
    columns=(
        SITE,
        _TABLE,
        _SOURCE_FILE,
        _count("source_row", "Row of the source, the head being row 1."),
        _dropped("identity", "Digest of what makes the row this one and no other.", Type.BYTES),
        _dropped("content", "Digest of all that the file says in the row.", Type.BYTES),
        _count("ordinal", "Place among the rows of one identity, from 1."),
        _dropped("row_id", "Identifier of the row in its table."),
    ),
)  # fmt: skip
