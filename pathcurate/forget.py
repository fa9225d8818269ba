"""Stage: what undoing an import would take away. Each kind of import undoes its own: see their ``forget_…`` functions."""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import UsageError
from pathcurate.findings import read_findings
from pathcurate.model.source import IMPORTED, SOURCE_ROWS, SOURCES
from pathcurate.sources import FileKey, is_about
from pathcurate.tables import Catalog, column_values
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.kinds import is_name
from pathcurate.workspace import Workspace
from pathcurate.yamlsource import did_you_mean

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class ForgetPlan:
    """What would go.

    Attributes:
        table: the table that the file was imported into.
        files: the file, once for each site that has it as a source.
        rows: rows that no other file gives, which go.
        shared: rows that another file gives too, which stay.
        findings: findings about the file, which go.
    """

    table: str
    files: tuple[FileKey, ...]
    rows: int
    shared: int
    findings: int


def plan_forgetting(workspace: Workspace, source: str, *, directory: Path, table: str | None = None) -> ForgetPlan:
    """What undoing the import of a file would take away; nothing is changed.

    Args:
        workspace: the workspace.
        source: the file, which may be gone: its name, the end of its path, or a path from the workspace or the directory.
        directory: where relative paths may start too, absolute.
        table: the table that it was imported into; None if there is only one.

    Raises:
        UsageError: no file of this name was imported, or several were.
    """
    catalog = Catalog(workspace.catalog)
    rows = catalog.read(SOURCES, columns=("site", "table", "source_file", "forgotten_at"))
    rows = rows.filter(pc.is_null(rows["forgotten_at"]))
    imported = list(zip(*(column_values(rows, name) for name in ("table", "source_file", "site")), strict=True))
    if table is not None and table not in IMPORTED:
        raise UsageError(f"`{table}` is filled by no import{did_you_mean(table, IMPORTED)}", f"Give {', '.join(IMPORTED)}.")
    matching = _matching(workspace, [item for item in imported if table in (None, item[0])], source, directory)
    where = sorted({(name, file) for name, file, _ in matching})
    if not where:
        raise UsageError(
            "no file of that name was imported" + (f" into {table}" if table else ""),
            "Give its path as pathcurate.yaml has it, or as it lies below the workspace. What was forgotten is not there "
            "any more.",
        )
    if len(where) > 1:
        raise _ambiguous(workspace, where)
    ((name, _),) = where
    files = tuple(sorted((site, file) for _, file, site in matching))
    own, shared = _rows_of(catalog, name, files)
    findings = sum(is_about(finding, files) for finding in read_findings(catalog, name))
    return ForgetPlan(name, files, own, shared, findings)


def _matching(
    workspace: Workspace, imported: Collection[tuple[str, str, str]], source: str, directory: Path
) -> list[tuple[str, str, str]]:
    """Files that are meant: by their whole path if one is, else by the end of it."""
    paths = {os.path.normpath(base / source) for base in (workspace.root, directory)}
    exact = [item for item in imported if os.path.normpath(workspace.root / item[1]) in paths]
    parts = PurePath(source).parts
    return exact or [item for item in imported if parts and PurePath(item[1]).parts[-len(parts) :] == parts]


def _ambiguous(workspace: Workspace, where: Collection[tuple[str, str]]) -> UsageError:
    tables = sorted({table for table, _ in where})
    if len(tables) > 1:
        listed = " or ".join(f"--table {table}" for table in tables)
        return UsageError(f"a file of that name was imported into {len(tables)} tables", f"Add {listed}.")
    patterns = [AccessionPatterns(site.accession.patterns) for site in workspace.sites]
    named = [file for _, file in where if not _may_tell(file, patterns)][:_MOST_NAMED]
    hint = "Give its path below the workspace" + (f", as {' or '.join(named)}." if named else ", with its folders.")
    return UsageError(f"{len(where)} files of that name were imported into {tables[0]}", hint)


def _may_tell(file: str, patterns: Collection[AccessionPatterns]) -> bool:
    """Whether a path may hold the number of a case or the name of a patient, as exports of one report a file do."""
    words = "".join(char if char.isalpha() else " " for char in file).split()
    return any(pattern.find(file) for pattern in patterns) or any(map(is_name, words))


def _rows_of(catalog: Catalog, table: str, files: Collection[FileKey]) -> tuple[int, int]:
    """How many rows only these files give, and how many another one gives too."""
    rows = catalog.read(SOURCE_ROWS, columns=("site", "table", "source_file", "row_id"))
    rows = rows.filter(pc.equal(rows["table"], pa.scalar(table)))
    keys = zip(column_values(rows, "site"), column_values(rows, "source_file"), strict=True)
    here = pa.array([key in files for key in keys], pa.bool_())
    mine = set(column_values(rows.filter(here), "row_id"))
    others = Counter(column_values(rows.filter(pc.invert(here)), "row_id"))
    shared = sum(row_id in others for row_id in mine)
    return len(mine) - shared, shared
