"""Stage: lists of patients' numbers that are one person's become the ``merges`` table; ``link`` joins them."""

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from pathcurate.errors import UsageError
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.person import MERGES
from pathcurate.pseudonyms import canonical
from pathcurate.rowtable import (
    RULES,
    Line,
    RowKind,
    RowSource,
    Trouble,
    all_values,
    forget_rows,
    import_rows,
    is_usable,
    source_row,
)
from pathcurate.sources import FileKey, ImportSummary, SourceRow, repeated_in_files
from pathcurate.tables import Catalog
from pathcurate.text.values import parse_datetime
from pathcurate.workspace import Workspace

COLUMNS = ("site", "patient_id", "other_site", "other_patient_id", "master_id", "merged_date")
"""Canonical names that a mapping may give heads or constants for."""
_SECOND = ("other_patient_id", "master_id")
_RULES: Mapping[str, tuple[Severity, str]] = {
    **RULES,
    "no_patient": (Severity.ERROR, "rows without a usable patient number, not imported"),
    "no_second_number": (Severity.ERROR, "rows without a usable second number or master number, not imported"),
    "same_number": (Severity.INFO, "rows that merge a number with itself, which says nothing"),
    "unknown_site": (Severity.ERROR, "rows that name no site of pathcurate.yaml, not imported"),
}


def import_merges(
    workspace: Workspace,
    *,
    only: Sequence[Path] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``merges`` up to date with the configured merge lists.

    A row names a number that stays and one that was merged into it, perhaps at another site, as HL7 v2 ADT^A40 does (PID-3
    and MRG-1); or a number and the master number that all numbers of the person share. Its site is that of its own column,
    else that of its source, else the only one of the workspace.

    Args:
        workspace: the workspace; the caller holds its lock.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a list is missing or cannot be read.
        UsageError: a list cannot be decoded, or its mapping does not fit, or nothing says whose numbers it merges.
    """
    codes = tuple(site.code for site in workspace.sites)
    names = {canonical(name): site.code for site in workspace.sites for name in (site.name, site.code) if name}
    listed = []
    for source in workspace.settings.identities:
        if source.site is not None:
            workspace.site(source.site)
        site = source.site or (codes[0] if len(codes) == 1 else None)
        demand, read = functools.partial(_demand, site), functools.partial(_read, names, site)
        rules = (site or "", *(text for pair in sorted(names.items()) for text in pair))
        listed.append(RowSource("", source.path, source.mapping, demand, read, rules))
    return import_rows(workspace, _KIND, listed, only=only, progress=progress)


def forget_merges(workspace: Workspace, files: Collection[FileKey]) -> int:
    """Undo the import of lists; how many rows went, and errors, as of :func:`~pathcurate.rowtable.forget_rows`."""
    return forget_rows(workspace, _KIND, files)


def _demand(default: str | None, named: Collection[str], by_heads: Collection[str], name: str) -> None:
    if default is None and "site" not in named:
        raise UsageError(
            f"{name}: no column says of which site its numbers are, and the workspace has several",
            "Write `site: CODE` beside its `path` under `identities:`, or map a column of it to `site`.",
        )
    if "patient_id" not in by_heads:
        raise UsageError(
            f"{name}: no column is recognised as the patient number that stays (病案号, 保留病案号)",
            "Write a mapping file with `columns: {patient_id: …}` and name it in pathcurate.yaml.",
        )
    if not set(_SECOND) & set(by_heads):
        raise UsageError(
            f"{name}: no column is recognised as the number that was merged (被合并病案号) or a master number (主索引号)",
            "Write a mapping file with `columns: {other_patient_id: …}` or `{master_id: …}` and name it in pathcurate.yaml.",
        )


def _read(names: Mapping[str, str], default: str | None, line: Line, trouble: Trouble) -> SourceRow | None:
    texts = line.texts
    if not is_usable(texts.get("patient_id")):
        trouble.add("no_patient", line.number)
        return None
    site = _site(names, texts.get("site"), default)
    other_site = _site(names, texts.get("other_site"), site)
    if site is None or other_site is None:
        trouble.add("unknown_site", line.number)
        return None
    patient, other, master = texts["patient_id"], *(trouble.number(line, name) for name in _SECOND)
    is_same = other is not None and (other_site, canonical(other)) == (site, canonical(patient))
    if is_same or other is None:
        other, other_site = None, site
    if other is None and master is None:
        trouble.add("same_number" if is_same else "no_second_number", line.number)
        return None
    merge = {
        "site": site,
        "patient_id": patient,
        "other_site": other_site if other_site != site else None,
        "other_patient_id": other,
        "master_id": master,
        "merged_date": trouble.value(line, "merged_date", lambda text: parse_datetime(text, line.epoch)),
        "source_row": line.number,
    }
    numbers = [canonical(number) if number else None for number in (patient, other, master)]
    return source_row([site, merge["other_site"], *numbers], merge, all_values(MERGES, merge))


def _site(names: Mapping[str, str], text: str | None, default: str | None) -> str | None:
    """The site that a cell names by code or name; the default if it is empty, None if there is no such site."""
    return names.get(canonical(text)) if text else default


def _look(catalog: Catalog) -> list[Finding]:
    return repeated_in_files(catalog, MERGES)


_KIND = RowKind(MERGES, "U", "identity", "`identities:`", COLUMNS, _RULES, _look, frozenset({"merges.repeated_in_file"}))
