"""Verification of ``deid/``: from the files alone, against the identifiers that the catalog knows."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pathcurate.model.column import Action, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.scrubbers.table import known_identifiers, verify
from pathcurate.tables import Catalog, read_parquet
from pathcurate.workspace import Workspace

_IDENTIFIED = (SLIDES, SLIDE_KEYS, REPORTS, IDENTITIES, PERMISSIONS)
_SEAL = "verify.json"


def find_faults(workspace: Workspace) -> list[str]:
    """What is wrong with the de-identified tables, in words without any value; empty if nothing is."""
    catalog = Catalog(workspace.catalog)
    identifiers: set[str] = set()
    for table in _IDENTIFIED:
        identifiers |= known_identifiers(table, catalog.read(table))
    # A site's code is configuration, and may be a folder's name as well.
    identifiers -= {site.code for site in workspace.sites}
    faults = [f"deid/{path.name} does not belong there" for path in _strays(workspace.deid)]
    for name, table in DEID_TABLES.items():
        data = read_parquet(workspace.deid / f"{name}.parquet")
        faults += [f"{name}.{column} {what}" for column, what in verify(table, data, identifiers)]
        if name in CRITERIA_TABLES:
            true = read_parquet(workspace.vault / "criteria" / f"{name}.parquet")
            faults += [f"{name}.{column} {what}" for column, what in _unshifted(table, data, true)]
    return faults


def _strays(directory: Path) -> Iterator[Path]:
    expected = {f"{name}.parquet" for name in DEID_TABLES} | {_SEAL}
    return (path for path in sorted(directory.iterdir()) if path.name not in expected)


def _unshifted(table: Table, data: pa.Table, true: pa.Table) -> Iterator[tuple[str, str]]:
    """Dates that stand as they were; both tables are sorted by the same pseudonym."""
    key = table.key[0]
    if not data[key].equals(true[key]):
        yield key, "does not agree with the criterion-only values"
        return
    for column in table.columns:
        if column.type is Type.DATE and column.action is Action.KEEP and column.name in true.column_names:
            same = sum(
                a is not None and a == b
                for a, b in zip(data[column.name].to_pylist(), true[column.name].to_pylist(), strict=True)
            )
            if same:
                yield column.name, f"has {same} dates that were not moved"
