"""Writes a release below a temporary name: its tables as part files, the documents beside them, and the lists of digests."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pathcurate import __version__
from pathcurate.checksums import CHECKSUMS_NAME, SM3_NAME, write_checksums, write_sm3
from pathcurate.digests import file_sha256
from pathcurate.manifest.contents import ReleaseTable
from pathcurate.model.description import PartFile
from pathcurate.recipefile import RecipeSource
from pathcurate.tables import write_parquet

PART_ROWS = 1_000_000
"""Rows of a part file of a table that has more: what one person can copy, read and check on its own."""


def footer(source: RecipeSource, table: str, content_digest: str, attrition: Mapping[str, Any]) -> dict[str, str]:
    """What the footer of each file says, so that a file alone tells where it is from."""
    recipe = source.recipe
    return {
        "pathcurate.table": table,
        "pathcurate.product": recipe.name,
        "pathcurate.version": recipe.version,
        "pathcurate.content_digest": content_digest,
        "pathcurate.recipe": source.canonical.decode(),
        "pathcurate.recipe_sha256": source.sha256,
        "pathcurate.attrition": json.dumps(attrition, ensure_ascii=False, sort_keys=True),
        "pathcurate.tool": f"pathcurate {__version__}",
    }


def write_table(directory: Path, table: ReleaseTable, said: Mapping[str, str]) -> tuple[PartFile, ...]:
    """Write one table, in the order of its rows, as one file or as several of :data:`PART_ROWS`."""
    return tuple(_parts(directory, table, said))


def _parts(directory: Path, table: ReleaseTable, said: Mapping[str, str]) -> Iterator[PartFile]:
    name, rows = table.table.name, table.data.num_rows
    for number, first in enumerate(range(0, max(rows, 1), PART_ROWS)):
        relpath = f"data/{name}.parquet" if rows <= PART_ROWS else f"data/{name}/part-{number:05}.parquet"
        path, piece = directory / relpath, table.data.slice(first, PART_ROWS)
        write_parquet(path, piece, said, mode=0o444)
        yield PartFile(relpath, piece.num_rows, path.stat().st_size, file_sha256(path))


def table_entry(table: ReleaseTable, parts: tuple[PartFile, ...]) -> dict[str, Any]:
    """What the manifest says of a table."""
    return {
        "rows": table.identity["rows"],
        "key": list(table.table.key),
        "parts": [{"path": part.path, "rows": part.rows, "bytes": part.size, "sha256": part.sha256} for part in parts],
        "table_digest": table.identity["digest"],
        "schema_sha256": table.identity["schema_sha256"],
    }


def write_lists(directory: Path, *, sm3: bool) -> None:
    """Write the lists of digests, the last files of a release."""
    if sm3:
        _write(directory / SM3_NAME, write_sm3(directory))
    _write(directory / CHECKSUMS_NAME, write_checksums(directory))


def write_text(directory: Path, relpath: str, text: str) -> None:
    """Write one document."""
    _write(directory / relpath, text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o444)
