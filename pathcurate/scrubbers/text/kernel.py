"""What must be taken out of the texts of reports: a kernel over record batches of reports."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import Any, Final, NamedTuple

import pyarrow as pa

from pathcurate.model.removal import Removal
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.scrubbers.text import KnownValues, ReportTexts, SiteRules, TextScrubber
from pathcurate.tables import column_values

_REMOVAL: Final = pa.struct(
    [
        pa.field("text_column", pa.string()), pa.field("start", pa.int64()), pa.field("end", pa.int64()),
        pa.field("kind", pa.string()), pa.field("rule", pa.string()), pa.field("value", pa.string()),
        pa.field("form", pa.string()),
    ]
)  # fmt: skip
REMOVALS_FOUND: Final[pa.Schema] = pa.schema(
    [
        pa.field("report_id", pa.string()), pa.field("error", pa.string()), pa.field("removals", pa.list_(_REMOVAL)),
        pa.field("suspicious", pa.list_(pa.string())),
    ]
)  # fmt: skip
"""What the kernel gives for each report; it holds values that identify, and stays in the process that asked for it."""
TOGETHER: Final = 32
"""Reports that are scrubbed together: twice as many are hardly faster, and a text is kept until all of them are done."""


@dataclass(frozen=True, slots=True)
class Scrub:
    """By which sites' rules the kernel scrubs."""

    sites: tuple[SiteRules, ...]


def find_text_removals(batch: pa.RecordBatch, spec: Scrub) -> pa.RecordBatch:
    """All removals in each report, and the columns whose text still looks as if it identified somebody without them.

    A report that cannot be scrubbed has ``error`` and no removals.

    Args:
        batch: reports with ``report_id``, ``site``, ``language``, ``year`` (for dates without one), ``known`` (a struct of
            the fields of :class:`KnownValues`) and the columns of texts.
        spec: rules of every site in the batch.
    """
    names = ("report_id", "site", "language", "year", "known", *TEXT_COLUMNS)
    columns = (column_values(batch, name) for name in names)
    reports = [
        _Report(report_id, site, language, year, known, texts)
        for report_id, site, language, year, known, *texts in zip(*columns, strict=True)
    ]
    scrubbers = _scrubbers(spec)
    rows: list[dict[str, object]] = []
    for site, of_site in groupby(reports, key=lambda report: report.site):
        while together := list(islice(of_site, TOGETHER)):
            rows += _rows(scrubbers.get(site), together)
    return pa.RecordBatch.from_pylist(rows, schema=REMOVALS_FOUND)


class _Report(NamedTuple):
    """A row of the batch."""

    report_id: str
    site: str
    language: str | None
    year: int | None
    known: Mapping[str, Any] | None
    texts: Sequence[str | None]


def _rows(scrubber: TextScrubber | None, reports: Sequence[_Report]) -> Iterator[dict[str, object]]:
    """The rows of several reports of a site; if they cannot be scrubbed together each is by itself."""
    try:
        if scrubber is None:
            raise KeyError
        found = scrubber.removals_of(
            [ReportTexts(one.texts, _known_values(one.known), one.language, one.year) for one in reports]
        )
        suspicious = _suspicious(scrubber, reports, found)
    except Exception as failure:  # noqa: BLE001  one report must not end the run for all others
        if len(reports) > 1:
            for one in reports:
                yield from _rows(scrubber, [one])
        else:
            yield {"report_id": reports[0].report_id, "error": type(failure).__name__, "removals": [], "suspicious": []}
        return
    for one, own, columns in zip(reports, found, suspicious, strict=True):
        removals = [
            {"text_column": column, "start": removal.start, "end": removal.end, "kind": removal.kind.value,
             "rule": removal.rule, "value": removal.value, "form": removal.form}
            for column, of_text in zip(TEXT_COLUMNS, own, strict=True)
            for removal in of_text
        ]  # fmt: skip
        yield {"report_id": one.report_id, "error": None, "removals": removals, "suspicious": columns}


def _suspicious(
    scrubber: TextScrubber, reports: Sequence[_Report], found: Sequence[Sequence[Sequence[Removal]]]
) -> list[list[str]]:
    """For each report the columns whose text still looks as if it identified somebody when it is scrubbed."""
    every = [
        (number, column, text, removals)
        for number, (report, own) in enumerate(zip(reports, found, strict=True))
        for column, text, removals in zip(TEXT_COLUMNS, report.texts, own, strict=True)
        if text
    ]
    # What is likely and not sure enough to be taken out was seen when the texts were scrubbed: it is asked for first.
    doubtful = [scrubber.doubts(text, removals) for _, _, text, removals in every]
    # In a text in which all passes found nothing, the detectors, which are some of them, find nothing either.
    again = iter(scrubber.suspects([_without(text, removals) for _, _, text, removals in every if removals]))
    suspicious: list[list[str]] = [[] for _ in reports]
    for (number, column, _, removals), is_doubtful in zip(every, doubtful, strict=True):
        if (bool(removals) and next(again)) or is_doubtful:
            suspicious[number].append(column)
    return suspicious


def lost_report(row: pa.RecordBatch, reason: str) -> pa.RecordBatch:
    """The row of a report whose scrubbing killed its process or did not end; the reason is the engine's word for it."""
    report_id = row["report_id"][0].as_py()
    lost = {"report_id": report_id, "error": reason, "removals": [], "suspicious": []}
    return pa.RecordBatch.from_pylist([lost], schema=REMOVALS_FOUND)


def _without(text: str, removals: Sequence[Removal]) -> str:
    """A text with the kinds of what is removed in its place, as a scrubbed text shows them."""
    parts, position = [], 0
    for one in removals:
        parts += [text[position : one.start], f"⟦{one.kind}⟧"]
        position = one.end
    return "".join([*parts, text[position:]])


@lru_cache(maxsize=4)
def _scrubbers(spec: Scrub) -> dict[str, TextScrubber]:
    return {rules.site: TextScrubber(rules) for rules in spec.sites}


def _known_values(known: Mapping[str, Any] | None) -> KnownValues:
    given: dict[str, Any] = {name: value for name, value in (known or {}).items() if value is not None}
    birth = given.pop("birth", None)
    return KnownValues(**{name: tuple(values) for name, values in given.items()}, birth=birth)
