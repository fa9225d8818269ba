"""What must be taken out of the texts of reports: a kernel over record batches of reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from pathcurate.model.removal import Removal
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.scrubbers.text import KnownValues, SiteRules, TextScrubber
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
    scrubbers = _scrubbers(spec)
    given = [column_values(batch, name) for name in ("report_id", "site", "language", "year", "known")]
    texts = zip(*(column_values(batch, name) for name in TEXT_COLUMNS), strict=True)
    rows: list[dict[str, object]] = []
    for report_id, site, language, year, known, own in zip(*given, texts, strict=True):
        error = None
        found: list[list[Removal]] = []
        suspicious: list[str] = []
        try:
            scrubber = scrubbers[site]
            found = scrubber.removals(own, _known_values(known), language=language, year=year)
            # In a text in which all passes found nothing, the detectors, which are some of them, find nothing either; but a
            # name may be likely that is not sure enough to be taken out.
            scrubbed = [_without(text, removals) for text, removals in zip(own, found, strict=True) if removals]
            again = iter(scrubber.suspects(scrubbed))
            suspicious = [
                column
                for column, text, removals in zip(TEXT_COLUMNS, own, found, strict=True)
                if text and any((bool(removals) and next(again), scrubber.doubts(text, removals)))
            ]
        except Exception as failure:  # noqa: BLE001  one report must not end the run for all others
            error = type(failure).__name__
        rows.append(
            {
                "report_id": report_id,
                "error": error,
                "removals": [
                    {"text_column": column, "start": one.start, "end": one.end, "kind": one.kind.value, "rule": one.rule,
                     "value": one.value, "form": one.form}
                    for column, removals in zip(TEXT_COLUMNS, found, strict=False)
                    for one in removals
                ],
                "suspicious": suspicious,
            }
        )  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=REMOVALS_FOUND)


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
