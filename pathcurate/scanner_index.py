"""Stage: the table that a scanner or a picture archive keeps of its files becomes the ``scanner_index`` table."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pathcurate.errors import UsageError
from pathcurate.glassrow import GLASS_RULES, read_case, read_part, read_stain
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.material import SCANNER_INDEX
from pathcurate.rowtable import Line, RowKind, RowSource, Trouble, all_values, forget_rows, import_rows, source_row
from pathcurate.sources import FileKey, ImportSummary, SourceRow, repeated_in_files
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.values import parse_datetime
from pathcurate.workspace import Workspace

COLUMNS = ("archive", "path", "barcode", "accession", "patient_id", "specimen", "block", "stain", "scanned_date")
"""Canonical names that a mapping may give heads or constants for."""
_FILE = ("path", "barcode")
_SAYS = ("barcode", "accession", "patient_id", "specimen", "block", "stain")
_IDENTITY = ("site", "archive", "path", "barcode")
_LONGEST_PATH = 32_767
"""Signs of the longest path that Windows knows."""
_RULES: Mapping[str, tuple[Severity, str]] = {
    **GLASS_RULES,
    "no_file": (Severity.ERROR, "rows that name neither a file nor a barcode, not imported"),
    "empty_row": (Severity.INFO, "rows that say nothing of their file, not imported"),
}


def import_index(
    workspace: Workspace,
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``scanner_index`` up to date with the configured tables of scanners and picture archives.

    Paths stay as they were exported, also those of Windows; `link` finds the slides that they mean. A row without a column
    for the case is of the case whose number stands in its barcode.

    Args:
        workspace: the workspace; the caller holds its lock.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source cannot be decoded, or its mapping does not fit, or nothing names its files or what they show.
    """
    listed = (
        RowSource(
            site.code, source.path, source.mapping, _demand,
            functools.partial(_read, site.code, AccessionPatterns(site.accession.patterns)), site.accession.patterns,
        )
        for site in workspace.sites
        for source in site.index
    )  # fmt: skip
    return import_rows(workspace, _KIND, listed, only=only, progress=progress)


def forget_index(workspace: Workspace, files: Collection[FileKey]) -> int:
    """Undo the import of files; how many rows went, and errors, as of :func:`~pathcurate.rowtable.forget_rows`."""
    return forget_rows(workspace, _KIND, files)


def _demand(named: Collection[str], by_heads: Collection[str], name: str) -> None:
    if not set(_FILE) & set(by_heads):
        raise UsageError(
            f"{name}: no column is recognised as the file or its barcode (文件路径, 条码)",
            "Write a mapping file with `columns: {path: …}` and name it in pathcurate.yaml.",
        )
    if not set(_SAYS) & set(named):
        raise UsageError(
            f"{name}: no column says what its files show (病理号, 条码, 病案号)",
            "Write a mapping file with `columns: {accession: …}` and name it in pathcurate.yaml.",
        )


def _read(site: str, patterns: AccessionPatterns, line: Line, trouble: Trouble) -> SourceRow | None:
    if not any(line.texts.get(name) for name in _FILE):
        trouble.add("no_file", line.number)
        return None
    if not any(line.given.get(name) for name in _SAYS):
        trouble.add("empty_row", line.number)
        return None
    barcode = trouble.number(line, "barcode")
    path = trouble.value(line, "path", lambda text: text if len(text) <= _LONGEST_PATH else None)
    if path is None and barcode is None:
        trouble.add("no_file", line.number)
        return None
    case = read_case(line, trouble, patterns, barcode)
    entry = {
        "site": site,
        "archive": line.texts.get("archive") or None,
        "path": path,
        "barcode": barcode,
        "accession": case.accession,
        "accession_raw": case.accession_raw,
        "patient_id": trouble.number(line, "patient_id"),
        "scanned_date": trouble.value(line, "scanned_date", lambda text: parse_datetime(text, line.epoch)),
        "source_row": line.number,
        **read_part(line, trouble, patterns, case),
        **read_stain(line, trouble),
    }
    return source_row((entry[name] for name in _IDENTITY), entry, all_values(SCANNER_INDEX, entry))


def _look(catalog: Catalog) -> list[Finding]:
    return repeated_in_files(catalog, SCANNER_INDEX)


_KIND = RowKind(
    SCANNER_INDEX, "N", "index", "`index:` of its site", COLUMNS, _RULES, _look,
    frozenset({"scanner_index.repeated_in_file"}),
)  # fmt: skip
