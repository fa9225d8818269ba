"""Undo the import of files: their rows and findings go, and what other files give stays."""

from collections.abc import Collection
from datetime import UTC, datetime

from pathcurate.errors import UsageError
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.sources import FileKey, Intake, Reading, conclude, remembered, write
from pathcurate.sources.appending import total_rows
from pathcurate.tables import Catalog


def forget_files(catalog: Catalog, intake: Intake, files: Collection[FileKey]) -> int:
    """Undo the import of some files, which need not be there any more; no other file is read.

    They are remembered as forgotten: see :func:`~pathcurate.sources.import_files`.

    Args:
        catalog: the catalog; the caller holds the lock on the workspace.
        intake: how the stage imports.
        files: the files.

    Returns:
        How many rows left the table.

    Raises:
        UsageError: one of them was not imported, or the last import was interrupted.
    """
    for table in (intake.table, SOURCE_ROWS, SOURCES):
        catalog.sweep(table)
    known, forgotten = remembered(catalog, intake)
    if known is None:
        raise UsageError(
            f"the last import into {intake.table.name} was interrupted, so nothing can be taken back yet",
            "Import again, then forget the file.",
        )
    if not known.keys() >= set(files):
        raise UsageError(f"nothing was imported from this file into {intake.table.name}", "Name a file that was.")
    before = total_rows(catalog, intake.table)
    kept = {key: row for key, row in known.items() if key not in files}
    now = datetime.now(UTC).replace(tzinfo=None)
    forgotten |= {key: {**known[key], "forgotten_at": now} for key in files}
    reading = Reading(intake)
    write(catalog, intake, reading, kept.keys(), is_new=False)
    conclude(catalog, intake, reading, kept, forgotten)
    return before - total_rows(catalog, intake.table)
