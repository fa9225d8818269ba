"""Verification of ``deid/``: from the files alone, against the identifiers that the catalog knows."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.column import Action, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.event import EVENTS
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.scrubbers.table import identifier_columns, known_identifiers, verify
from pathcurate.tables import Catalog, read_parquet
from pathcurate.verification import SEAL_FILE
from pathcurate.workspace import Workspace

_IDENTIFIED = (
    SLIDES, SLIDE_KEYS, REPORTS, EVENTS, PERSONS, IDENTITIES, MERGES, MATERIALS, SCANNER_INDEX, PERMISSIONS,
)  # fmt: skip


def find_faults(workspace: Workspace) -> list[str]:
    """What is wrong with the de-identified tables, in words without any value; empty if nothing is."""
    catalog = Catalog(workspace.catalog)
    identifiers: set[str] = set()
    for table in _IDENTIFIED:
        columns = [column.name for column in identifier_columns(table)]
        identifiers |= known_identifiers(table, catalog.read(table, columns=columns))
    # A site's code is configuration, and may be a folder's name as well.
    identifiers -= {site.code for site in workspace.sites}
    faults = []
    if strays := _strays(workspace.deid):
        # Their names are anybody's, and may name a patient.
        faults.append(f"deid/ holds {strays} files or folders that do not belong there")
    for name, table in DEID_TABLES.items():
        data = read_parquet(workspace.deid / f"{name}.parquet")
        faults += [f"{name}.{column} {what}" for column, what in verify(table, data, identifiers)]
        if name in CRITERIA_TABLES:
            true = read_parquet(workspace.vault / "criteria" / f"{name}.parquet")
            faults += [f"{name}.{column} {what}" for column, what in _unshifted(table, data, true)]
    return faults


def _strays(directory: Path) -> int:
    expected = {f"{name}.parquet" for name in DEID_TABLES} | {SEAL_FILE}
    return sum(path.name not in expected for path in directory.iterdir())


def _unshifted(table: Table, data: pa.Table, true: pa.Table) -> Iterator[tuple[str, str]]:
    """Dates that stand as they were; both tables are sorted by the same pseudonym."""
    key = table.key[0]
    if key not in data.column_names or not data[key].equals(true[key]):
        yield key, "does not agree with the criterion-only values"
        return
    for column in table.columns:
        shown = column.type is Type.DATE and column.action is Action.KEEP and column.name in data.column_names
        if shown and column.name in true.column_names and data[column.name].type == true[column.name].type:
            same = pc.equal(data[column.name], true[column.name]).to_pylist().count(True)  # null where either is
            if same:
                yield column.name, f"has {same} dates that were not moved"
