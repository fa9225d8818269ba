"""Stage: clinical tables become the ``events`` table, one event for each row and mapping."""

import functools
import math
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import UsageError
from pathcurate.model.column import Type
from pathcurate.model.event import EVENTS, is_closed_code
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS
from pathcurate.pseudonyms import canonical
from pathcurate.rowtable import RULES, Line, RowKind, RowSource, Trouble, all_cells, forget_rows, import_rows, source_row
from pathcurate.sources import FileKey, ImportSummary, SourceRow, repeated_in_files
from pathcurate.tables import Catalog, column_values
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
    moment = now or datetime.now()  # noqa: DTZ005 - clinical tables give local time
    listed = (
        RowSource(site.code, source.path, source.mapping, _demand, functools.partial(_read, site.code))
        for site in workspace.sites
        for source in site.events
    )
    return import_rows(workspace, _kind(moment), listed, only=only, progress=progress)


def forget_events(workspace: Workspace, files: Collection[FileKey]) -> int:
    """Undo the import of event files; how many events went, and errors, as of :func:`~pathcurate.rowtable.forget_rows`."""
    return forget_rows(workspace, _kind(datetime.now()), files)  # noqa: DTZ005 - as above


def _kind(now: datetime) -> RowKind:
    return RowKind(
        EVENTS, "E", "event", "`events:` of its site", COLUMNS, _RULES, lambda catalog: _look(catalog, now),
        frozenset({"events.repeated_in_file", *_IMPOSSIBLE}),
    )  # fmt: skip


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


_RULES: Mapping[str, tuple[Severity, str]] = {
    **RULES,
    "no_patient": (Severity.ERROR, "rows without a usable patient number, not imported"),
    "no_kind": (Severity.ERROR, "rows without a kind of event that is known, not imported"),
    "empty_row": (Severity.INFO, "rows that say nothing in the columns of this mapping, so give no event"),
    "not_a_number": (Severity.WARNING, "values that are no number, which no criterion on `value` can use"),
}


def _demand(named: Collection[str], by_heads: Collection[str], name: str) -> None:
    if "patient_id" not in by_heads:
        raise UsageError(
            f"{name}: no column is recognised as the patient number (病案号, 住院号)",
            "Write a mapping file with `columns: {patient_id: …}` and name it in pathcurate.yaml.",
        )
    if "kind" not in named:
        raise UsageError(
            f"{name}: nothing says what kind of events its rows are",
            "Write a mapping file with `columns: {kind: …}` or `constants: {kind: visit}`, and name it in pathcurate.yaml.",
        )


def _read(site: str, line: Line, trouble: Trouble) -> SourceRow | None:
    texts, content = line.texts, [line.given[name] for name in _CONTENT if name in line.given]
    kind = vocabulary("event_kinds").exact(texts.get("kind"))
    if parse_number(texts.get("patient_id", "")) is None:
        trouble.add("no_patient", line.number)
    elif kind is None:
        trouble.add("no_kind", line.number)
    elif content and not any(content):
        # An empty date of death is not a death.
        trouble.add("empty_row", line.number)
    else:
        event = {
            **_values(texts, line.number, trouble, line.epoch), "kind": kind, "site": site, "source_mapping": line.mapping,
            "source_row": line.number,
        }  # fmt: skip
        values = [None if (value := event.get(name)) is None else str(value) for name in _IDENTITY]
        # Two rows that differ only in cells that are not imported are two events of one identity.
        return source_row([canonical(event["patient_id"]), *values], event, all_cells(line))
    return None


def _values(texts: Mapping[str, str], row: int, trouble: Trouble, epoch: date | None) -> dict[str, Any]:
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
