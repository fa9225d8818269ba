"""The rows of a release's tables, a piece at a time."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.releases import Release

BATCH_ROWS = 20_000
_NAME = re.compile(r"[a-z0-9_]{1,128}")


@dataclass(frozen=True, slots=True)
class Made:
    """What a writer made.

    Attributes:
        rows: by name of each file, how many it holds.
        losses: what the form cannot hold, a sentence each.
    """

    rows: Mapping[str, int]
    losses: tuple[str, ...]


def schema_of(release: Release, table: str) -> pa.Schema:
    """The columns of a table, with what each field says of itself.

    Raises:
        InputOutputError: its first file cannot be read, or has columns that no release has.
    """
    path = release.paths(table)[0]
    try:
        schema = pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    # They become the head of a file that a spreadsheet program opens.
    if not all(map(_NAME.fullmatch, schema.names)) or len(set(schema.names)) < len(schema.names):
        raise InputOutputError(
            f"{path.name} of the release has a column that is called as none of a release is",
            "Run `pathcurate validate` on the release, and restore it from a copy.",
        )
    return schema


def batches(release: Release, table: str) -> Iterator[pa.RecordBatch]:
    """All rows of a table in their order.

    Raises:
        InputOutputError: a file cannot be read, or has other columns than the first.
    """
    schema = schema_of(release, table)
    for path in release.paths(table):
        try:
            with pq.ParquetFile(path) as file:
                if not file.schema_arrow.equals(schema, check_metadata=False):
                    raise InputOutputError(
                        f"{path.name} of table {table} has other columns than the table's first file",
                        "Run `pathcurate validate` on the release, and restore it from a copy.",
                    )
                yield from file.iter_batches(batch_size=BATCH_ROWS)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> InputOutputError:
    return InputOutputError(
        f"{path.name} of the release cannot be read as Parquet ({type(error).__name__})",
        "`pathcurate manifest verify` tells whether it is as it was built.",
    )


def columns_of(release: Release, table: str) -> list[dict[str, str]]:
    """Name, type, meaning and unit of each column, as its field says them."""
    return [
        {"name": field.name, "type": str(field.type), **{part: noted(field, part) for part in ("meaning", "unit")}}
        for field in schema_of(release, table)
    ]


def noted(field: "pa.Field[pa.DataType]", what: str) -> str:
    """What a field says of itself, nothing if it does not."""
    return (field.metadata or {}).get(what.encode(), b"").decode(errors="replace")
