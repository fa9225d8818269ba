"""Stage: clinical tables become the ``events`` table, one event for each row and mapping."""

import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping, load_mapping
from pathcurate.model.column import Type
from pathcurate.model.event import EVENTS, is_closed_code
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.pseudonyms import canonical
from pathcurate.sources import (
    ImportSummary,
    Intake,
    SourceFile,
    SourceRow,
    choose,
    digest,
    files_of,
    import_files,
    repeated_in_files,
    rules_digest,
)
from pathcurate.tables import Catalog, column_values
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.values import parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import Workspace

_DERIVED = frozenset({"event_id", "site", "value_text", "source_file", "source_mapping", "source_row"})
COLUMNS = tuple(name for name in EVENTS.names if name not in _DERIVED)
"""Canonical names that a mapping may give heads or constants for."""
_DATES = tuple(column.name for column in EVENTS.columns if column.type is Type.TIMESTAMP)
_CONTENT = ("code", "text", "value", "date", "end_date")
_NUMBER = re.compile(r"[-+]?(\d{1,15}|\d{1,3}(,\d{3}){1,4})(\.\d{1,15})?([eE][-+]?\d{1,3})?", re.ASCII)
_IDENTITY = ("site", "source_mapping", *(name for name in COLUMNS if name != "patient_id"), "value_text")
_STAGE = re.compile(
    r"(?:(?:ajcc|临床|病理|clinical|pathologic(?:al)?)\s*)?(?:stage\s*)?(x|0is|0a|0|(?:iii|iv|ii|i)[abc]?[1-3]?)\s*期?"
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A file, and the mappings by which it is read: stage and age of one clinical table are two events of a row."""

    file: SourceFile
    mappings: tuple[tuple[str | None, Mapping], ...]

    def rows(self) -> Iterator[SourceRow | Finding]:
        """Events and findings of the file; see :func:`import_events` for what it raises."""
        unknown: dict[int, str] | None = None
        for name, mapping in self.mappings:
            named = [head for heads in mapping.columns.values() for head in heads]
            sheet = read_sheet(self.file.path, mapping.encoding, mapping.sheet, expected=named)
            heads = _heads(sheet, mapping, self.file)
            # A head is unknown if no mapping of the file uses it.
            unused = [index for index in heads.unknown if unknown is None or index in unknown]
            unknown = {index: shown_head(sheet.heads, index) for index in unused}
            trouble = _Trouble()
            for cells, event in _events(sheet, heads, mapping, trouble):
                yield _source_row(cells, {**event, "site": self.file.site, "source_mapping": name})
            yield from _findings(trouble, self.file, name)
        for index, head in (unknown or {}).items():
            yield _unknown_head(head, index, self.file)


def import_events(
    workspace: Workspace,
    *,
    only: Sequence[Path] = (),
    now: datetime | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> ImportSummary:
    """Bring ``events`` up to date with the configured sources.

    A file that has not changed is not read again. What a changed file gives, by whichever mapping, replaces what it gave
    before; other files' events stay. A row that stands in several files gives one event.

    Args:
        workspace: the workspace; the caller holds its lock.
        only: import only these files; each must be covered by a configured source.
        now: an event that is later than this has not happened; None for the machine's clock.
        progress: called with the number of files done and of files to do.

    Raises:
        InputOutputError: a source is missing or cannot be read.
        UsageError: a source cannot be decoded, or its mapping does not fit, or nothing says who or what an event is about.
    """
    plans = _plans(workspace)
    configured = [plan.file for plan in plans.values()]
    moment = now or datetime.now()  # noqa: DTZ005 - clinical tables give local time
    intake = Intake(
        EVENTS, "E", lambda file: plans[file.key].rows(), lambda table, *_: table, lambda catalog: _look(catalog, moment),
        frozenset({"events.repeated_in_file", *_IMPOSSIBLE}),
    )  # fmt: skip
    chosen = choose(configured, only, "event") if only else None
    return import_files(Catalog(workspace.catalog), intake, configured, chosen, progress=progress)


def _plans(workspace: Workspace) -> dict[tuple[str, str], _Plan]:
    found: dict[tuple[str, Path], dict[Path | None, None]] = {}
    for site in workspace.sites:
        for source in site.events:
            for path in files_of(source.path, "event", site.code):
                found.setdefault((site.code, path), {})[source.mapping] = None
    mappings = {path: _mapping(workspace, path) for chosen in found.values() for path in chosen}
    plans = {}
    for (site_code, path), chosen in found.items():
        named = tuple(mappings[mapping] for mapping in chosen)
        rules = (text for name, mapping in named for text in (name, mapping.model_dump_json()))
        read_as = digest([rules_digest(), *rules]).hex()
        file = SourceFile(site_code, path, os.path.relpath(path, workspace.root), read_as)
        plans[file.key] = _Plan(file, named)
    return plans


def _mapping(workspace: Workspace, path: Path | None) -> tuple[str | None, Mapping]:
    return (os.path.relpath(path, workspace.root), load_mapping(path, COLUMNS)) if path else (None, Mapping())


def _source_row(cells: dict[str, str], event: dict[str, Any]) -> SourceRow:
    """An event with its digests: two rows that differ only in cells that are not imported are two events of one identity."""
    values = [None if (value := event.get(name)) is None else str(value) for name in _IDENTITY]
    identity = digest([canonical(event["patient_id"]), *values])
    said = (text for cell in sorted(cells.items()) for text in cell)
    return SourceRow(identity, digest([identity.hex(), *said]), event)


_IMPOSSIBLE = {
    "events.ends_before_it_begins": "end before they begin",
    "events.in_the_future": "lie in the future",
    "events.before_birth": "lie before the patient's birth, as the reports give it",
}


def _look(catalog: Catalog, now: datetime) -> list[Finding]:
    return [*_impossible_dates(catalog, now), *repeated_in_files(catalog, EVENTS)]


def _impossible_dates(catalog: Catalog, now: datetime) -> Iterator[Finding]:
    """Events whose dates cannot be, counted by file. The rows stay as they are: it is not known which date is wrong."""
    rows = catalog.read(EVENTS, columns=("site", "patient_id", "date", "end_date", "source_file", "source_row"))
    born = _births(catalog, rows)
    begin, end = rows["date"], rows["end_date"]
    latest = pc.max_element_wise(begin, end)
    future = pc.greater(latest, pa.scalar(now, pa.timestamp("us")))
    masks = (pc.less(end, begin), future, pc.less(pc.min_element_wise(begin, end), born))
    for (rule, what), mask in zip(_IMPOSSIBLE.items(), masks, strict=True):
        counted = rows.filter(mask).group_by(["site", "source_file"], use_threads=False)
        for group in counted.aggregate([("source_row", "min"), ("source_row", "count")]).to_pylist():
            count, first, name = group["source_row_count"], group["source_row_min"], Path(group["source_file"]).name
            yield Finding(
                rule, Severity.WARNING,
                f"events that {what}: {count}, the first in row {first} of {name}; correct the dates in the export",
                stage="events", site=group["site"], table="events", column="date", subject=group["source_file"], count=count,
            )  # fmt: skip


def _births(catalog: Catalog, rows: pa.Table) -> "pa.Array[Any]":
    """When the patient of each event was born, where all reports of that number say the same."""
    reports = catalog.read(REPORTS, columns=("site", "patient_id", "birth_date"))
    known = reports.filter(pc.and_(pc.is_valid(reports["birth_date"]), pc.is_valid(reports["patient_id"])))
    born: dict[tuple[str, str], set[date]] = {}
    for site, patient, birth in zip(*(known[name].to_pylist() for name in known.column_names), strict=True):
        born.setdefault((site, canonical(patient)), set()).add(birth)
    certain = {key: datetime.combine(dates.pop(), time()) for key, dates in born.items() if len(dates) == 1}
    owners = zip(column_values(rows, "site"), column_values(rows, "patient_id"), strict=True)
    births = [certain.get((site, canonical(patient))) for site, patient in owners] if certain else [None] * rows.num_rows
    return pa.array(births, pa.timestamp("us"))


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


def _heads(sheet: Sheet, mapping: Mapping, file: SourceFile) -> Heads:
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


def _unknown_head(head: str, index: int, file: SourceFile) -> Finding:
    return Finding(
        "events.unknown_column", Severity.INFO,
        f"{head} of {file.path.name} is not known and was not imported; a mapping can name it",
        stage="events", site=file.site, table="events", subject=f"{file.source_file} column {index + 1}",
    )  # fmt: skip


def _findings(trouble: _Trouble, file: SourceFile, mapping: str | None) -> Iterator[Finding]:
    by = f" by {mapping}" if mapping else ""
    for (rule, column), count in trouble.counts.items():
        severity, what = _RULES[rule]
        where = f"{column}: " if column else ""
        yield Finding(
            f"events.{rule}", severity,
            f"{where}{what}: {count}, the first in row {trouble.first_row[rule, column]} of {file.path.name}",
            stage="events", site=file.site, table="events", column=column or None, subject=file.source_file + by,
            count=count,
        )  # fmt: skip


def _events(
    sheet: Sheet, heads: Heads, mapping: Mapping, trouble: _Trouble
) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    for number in sheet.misfits:
        trouble.add("row_misfit", number)
    for number, head in sheet.ruined:
        for name in (name for name, chosen in heads.columns.items() if head in chosen):
            trouble.add("ruined_number", number, name)
    content = [name for name in _CONTENT if name in heads.columns]
    seen: set[bytes] = set()
    for row in sheet.rows:
        cells = dict(row.cells)
        if (said := digest(cells.values())) in seen:
            trouble.add("repeated_row", row.number)
            continue
        seen.add(said)
        texts = _texts(heads, mapping, row)
        if parse_number(texts.get("patient_id", "")) is None:
            trouble.add("no_patient", row.number)
        elif (kind := vocabulary("event_kinds").exact(texts.get("kind"))) is None:
            trouble.add("no_kind", row.number)
        elif content and not any(heads.cell(row.cells, name) for name in content):
            # An empty date of death is not a death.
            trouble.add("empty_row", row.number)
        else:
            yield cells, {**_values(texts, row.number, trouble, sheet.epoch), "kind": kind, "source_row": row.number}


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
