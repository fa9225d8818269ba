"""Stage: clinical tables become the ``events`` table, one event for each row and mapping."""

import hashlib
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.digests import canonical_json
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.findings import read_findings, record_findings
from pathcurate.model.column import Type
from pathcurate.model.event import EVENTS, is_closed_code
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import canonical, opaque_code
from pathcurate.tables import Catalog, from_rows
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.values import parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import EventSource, Mapping, Site, Workspace, load_mapping

_DERIVED = frozenset({"event_id", "site", "value_text", "source_file", "source_mapping", "source_row"})
COLUMNS = tuple(name for name in EVENTS.names if name not in _DERIVED)
"""Canonical names that a mapping may give heads or constants for."""
_DATES = tuple(column.name for column in EVENTS.columns if column.type is Type.TIMESTAMP)
_CONTENT = ("code", "text", "value", "date", "end_date")
_NUMBER = re.compile(r"[-+]?(\d{1,15}|\d{1,3}(,\d{3}){1,4})(\.\d{1,15})?([eE][-+]?\d{1,3})?", re.ASCII)
_STAGE = re.compile(
    r"(?:(?:ajcc|临床|病理|clinical|pathologic(?:al)?)\s*)?(?:stage\s*)?(x|0is|0a|0|(?:iii|iv|ii|i)[abc]?[1-3]?)\s*期?"
)


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import did.

    Attributes:
        files: files read.
        rows: events imported from them.
        total: rows of the table afterwards.
        findings: what was found.
    """

    files: int
    rows: int
    total: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A file, and the mappings by which it is read: stage and age of one clinical table are two events of a row."""

    site: Site
    path: Path
    source_file: str
    mappings: tuple[Path | None, ...]


def import_events(
    workspace: Workspace, *, only: Sequence[Path] = (), progress: Callable[[int, int], None] = lambda done, total: None
) -> ImportSummary:
    """Import the configured event sources.

    A file's events, by whichever mapping, replace those that came from it before; other files' events stay.

    Args:
        workspace: the workspace.
        only: import only these files; each must be covered by a configured source.
        progress: called with the number of files read and of files to read.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source cannot be decoded, or its mapping does not fit, or nothing says who or what an event is about.
    """
    chosen = _chosen_files(workspace, only)
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    for number, file in enumerate(chosen, start=1):
        events, found = _read_file(workspace, file)
        progress(number, len(chosen))
        rows += events
        findings += found
    catalog = Catalog(workspace.catalog)
    read = {(file.site.code, file.source_file) for file in chosen}
    # Importing everything leaves only what is configured: a source that was taken out takes its rows with it.
    before = catalog.read(EVENTS) if only else from_rows(EVENTS, ())
    table = _replace_sources(before, from_rows(EVENTS, rows), read)
    catalog.replace(EVENTS, table)
    others = [finding for finding in read_findings(catalog, "events") if only and not _is_about(finding, read)]
    record_findings(catalog, "events", [*others, *findings])
    return ImportSummary(len(chosen), len(rows), table.num_rows, tuple(findings))


def _replace_sources(current: pa.Table, new: pa.Table, sources: Collection[tuple[str, str]]) -> pa.Table:
    named = zip(current["site"].to_pylist(), current["source_file"].to_pylist(), strict=True)
    kept = current.filter(pa.array([pair not in sources for pair in named], pa.bool_()))
    order = ("site", "source_file", "source_mapping", "source_row")
    return pa.concat_tables([kept, new]).sort_by([(name, "ascending") for name in order])


def _is_about(finding: Finding, sources: Collection[tuple[str, str]]) -> bool:
    subject = finding.subject or ""
    return any(
        finding.site == site and (subject == source or subject.startswith((f"{source} by ", f"{source} column ")))
        for site, source in sources
    )


def _chosen_files(workspace: Workspace, only: Sequence[Path]) -> list[_File]:
    found: dict[tuple[str, Path], tuple[Site, dict[Path | None, None]]] = {}
    for site in workspace.sites:
        for source in site.events:
            for path in _paths(site, source):
                found.setdefault((site.code, path), (site, {}))[1][source.mapping] = None
    configured = [
        # Relative to the workspace, because 2023/visits.csv and 2024/visits.csv are two files.
        _File(site, path, os.path.relpath(path, workspace.root), tuple(mappings))
        for (_, path), (site, mappings) in found.items()
    ]
    if not only:
        return configured
    wanted = {path.resolve() for path in only}
    chosen = [file for file in configured if file.path.resolve() in wanted]
    missing = wanted - {file.path.resolve() for file in chosen}
    if missing:
        raise UsageError(
            f"{min(missing).name} belongs to no event source of pathcurate.yaml",
            "Name it under `events:` of its site, so that its site and mapping are known.",
        )
    return chosen


def _paths(site: Site, source: EventSource) -> list[Path]:
    found = source.path.files()
    if not found:
        raise InputOutputError(
            f"event source {source.path.text} of site {site.code}: no such file",
            "Correct `path` in pathcurate.yaml, or put the export there.",
        )
    return found


@dataclass
class _Trouble:
    """What could not be used, counted, so that a million bad values are one finding."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_row: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, rule: str, row: int, column: str = "") -> None:
        self.counts[rule, column] += 1
        self.first_row.setdefault((rule, column), row)


_RULES = {
    "row_misfit": (Severity.ERROR, "rows with more or fewer cells than there are heads, not imported"),
    "no_patient": (Severity.ERROR, "rows without a usable patient number, not imported"),
    "no_kind": (Severity.ERROR, "rows without a kind of event that is known, not imported"),
    "repeated_row": (Severity.INFO, "rows that repeat an earlier one in every cell, imported once"),
    "empty_row": (Severity.INFO, "rows that say nothing in the columns of this mapping, so give no event"),
    "not_a_number": (Severity.WARNING, "values that are no number, which no criterion on `value` can use"),
    "ruined_number": (Severity.WARNING, "numbers that a spreadsheet robbed of digits, left empty; export them as text"),
    "not_understood": (Severity.WARNING, "values that could not be understood, left empty"),
}


def _read_file(workspace: Workspace, file: _File) -> tuple[list[dict[str, Any]], list[Finding]]:
    rows: list[dict[str, Any]] = []
    findings: list[Finding] = []
    unknown: dict[int, str] | None = None
    for path in file.mappings:
        mapping = load_mapping(path, COLUMNS) if path else Mapping()
        name = os.path.relpath(path, workspace.root) if path else None
        named = [head for heads in mapping.columns.values() for head in heads]
        sheet = read_sheet(file.path, mapping.encoding, mapping.sheet, expected=named)
        heads = _heads(sheet, mapping, file)
        # A head is unknown if no mapping of the file uses it.
        unused = [index for index in heads.unknown if unknown is None or index in unknown]
        unknown = {index: shown_head(sheet.heads, index) for index in unused}
        trouble = _Trouble()
        for event in _events(sheet, heads, mapping, trouble):
            event |= {"site": file.site.code, "source_file": file.source_file, "source_mapping": name}
            rows.append(event)
        findings += _findings(trouble, file, name)
    findings += [_unknown_head(head, index, file) for index, head in (unknown or {}).items()]
    return _identified(rows), findings


def _heads(sheet: Sheet, mapping: Mapping, file: _File) -> Heads:
    heads = resolve("events", sheet.heads, mapping.columns, file.path.name)
    named = {*heads.columns, *mapping.constants}
    if "patient_id" not in heads.columns:
        raise UsageError(
            f"{file.path.name}: no column is recognised as the patient number (病案号, 住院号)",
            "Write a mapping file with `columns: {patient_id: …}` and name it in pathcurate.yaml.",
        )
    if "kind" not in named:
        raise UsageError(
            f"{file.path.name}: nothing says what kind of events its rows are",
            "Write a mapping file with `columns: {kind: …}` or `constants: {kind: visit}`, and name it in pathcurate.yaml.",
        )
    return heads


def _unknown_head(head: str, index: int, file: _File) -> Finding:
    return Finding(
        "events.unknown_column", Severity.INFO,
        f"{head} of {file.path.name} is not known and was not imported; a mapping can name it",
        stage="events", site=file.site.code, table="events", subject=f"{file.source_file} column {index + 1}",
    )  # fmt: skip


def _findings(trouble: _Trouble, file: _File, mapping: str | None) -> Iterator[Finding]:
    by = f" by {mapping}" if mapping else ""
    for (rule, column), count in trouble.counts.items():
        severity, what = _RULES[rule]
        where = f"{column}: " if column else ""
        yield Finding(
            f"events.{rule}", severity,
            f"{where}{what}: {count}, the first in row {trouble.first_row[rule, column]} of {file.path.name}",
            stage="events", site=file.site.code, table="events", column=column or None, subject=file.source_file + by,
            count=count,
        )  # fmt: skip


def _events(sheet: Sheet, heads: Heads, mapping: Mapping, trouble: _Trouble) -> Iterator[dict[str, Any]]:
    for number in sheet.misfits:
        trouble.add("row_misfit", number)
    for number, head in sheet.ruined:
        for name in (name for name, chosen in heads.columns.items() if head in chosen):
            trouble.add("ruined_number", number, name)
    content = [name for name in _CONTENT if name in heads.columns]
    seen: set[bytes] = set()
    for row in sheet.rows:
        digest = hashlib.sha256(canonical_json(dict(row.cells))).digest()
        if digest in seen:
            trouble.add("repeated_row", row.number)
            continue
        seen.add(digest)
        texts = _texts(heads, mapping, row)
        if parse_number(texts.get("patient_id", "")) is None:
            trouble.add("no_patient", row.number)
        elif (kind := vocabulary("event_kinds").exact(texts.get("kind"))) is None:
            trouble.add("no_kind", row.number)
        elif content and not any(heads.cell(row.cells, name) for name in content):
            # An empty date of death is not a death.
            trouble.add("empty_row", row.number)
        else:
            yield {**_values(texts, row.number, trouble, sheet.epoch), "kind": kind, "source_row": row.number}


def _texts(heads: Heads, mapping: Mapping, row: Row) -> dict[str, str]:
    texts = {name: heads.cell(row.cells, name) for name in heads.columns}
    for name, constant in mapping.constants.items():
        texts[name] = texts.get(name) or constant
    for name, translation in mapping.values.items():
        texts[name] = translation.get(texts.get(name, ""), texts.get(name, ""))
    return texts


def _values(texts: dict[str, str], row: int, trouble: _Trouble, epoch: date | None) -> dict[str, Any]:
    event: dict[str, Any] = {name: texts[name] for name in ("patient_id", "text", "unit") if texts.get(name)}
    for name, parse_text in _PARSERS.items():
        if texts.get(name):
            event[name] = parse_text(texts[name]) if name not in _DATES else parse_datetime(texts[name], epoch)
            if event[name] is None:
                trouble.add("not_understood", row, name)
    if texts.get("code"):
        event["code"] = _code(event.get("code_system"), texts["code"])
    if texts.get("value"):
        event["value"] = _number(texts["value"])
        if event["value"] is None:
            event["value_text"] = texts["value"]
            trouble.add("not_a_number", row, "value")
    return event


_PARSERS: dict[str, Callable[[str], Any]] = {
    "code_system": lambda text: vocabulary("code_systems").exact(text),
    "laterality": lambda text: vocabulary("lateralities").exact(text),
    **dict.fromkeys(_DATES, parse_datetime),
}


def _number(text: str) -> float | None:
    """A number that stands alone; ``<0.5`` and ``阳性`` are none, and a comma only parts thousands."""
    folded = unicodedata.normalize("NFKC", text).strip()
    if _NUMBER.fullmatch(folded) is None:
        return None
    value = float(folded.replace(",", ""))
    return value if math.isfinite(value) else None


def _code(system: str | None, text: str) -> str:
    """The code in the spelling of its code system, if it has one; else as it stands."""
    folded = unicodedata.normalize("NFKC", text).strip()
    if system == "ajcc" and (stage := _STAGE.fullmatch(folded.lower())):
        return f"Stage {stage[1] if stage[1].startswith('0') else stage[1].upper()}"
    for spelling in (folded, folded.upper(), folded.upper().replace(" ", "").replace("-", "")):
        if is_closed_code(system, spelling):
            return spelling
    return folded


def _identified(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their ``event_id``, which stays when other rows are added to the file."""
    ordinals: Counter[bytes] = Counter()
    named = []
    for row in rows:
        parts = [row["site"], row["source_file"], row["source_mapping"] or "", canonical(row["patient_id"]), row["kind"],
                 row.get("code") or "", str(row.get("date") or "")]  # fmt: skip
        identity = canonical_json(parts)
        ordinals[identity] += 1
        digest = hashlib.sha256(canonical_json([*parts, ordinals[identity]])).digest()
        named.append({**row, "event_id": opaque_code("E", digest)})
    return named
