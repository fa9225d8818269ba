"""The reports that a label is held against, with the places that say it. They identify patients."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from pathcurate.engines import Engine
from pathcurate.labels.drawing import Drawn
from pathcurate.lookup import Lookup, OneOf
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS, PLACES, REPORT_CONCEPTS
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.tables import Catalog
from pathcurate.vault import Vault
from pathcurate.vault.crosswalk import look_up
from pathcurate.workspace import Workspace

MOST_REPORTS: Final = 6
"""Reports that are shown of one case or patient; more do not help whoever has a minute for it."""
_COLUMNS: Final = ("report_id", "site", "accession", "report_type", "status", "reported_date", *TEXT_COLUMNS)

Row = Mapping[str, Any]
Place = tuple[str, int, int]
"""Column of `reports`, start and end."""


@dataclass(frozen=True, slots=True, repr=False)
class Told:
    """A report as a reviewer sees it.

    Attributes:
        report_id: its identifier in the catalog.
        row: its row.
        lines: places of the lines that say the label.
        values: places of the very words, within those lines or without.
        is_source: whether the label was read in it.
    """

    report_id: str
    row: Row
    lines: tuple[Place, ...]
    values: tuple[Place, ...]
    is_source: bool


class Reports:
    """The reports of everything that was drawn.

    Args:
        workspace: the workspace.
        engine: for SQL over the de-identified tables.
        vault: whose crosswalk leads from codes back to reports.
        drawn: what was drawn.
    """

    def __init__(self, workspace: Workspace, engine: Engine, vault: Vault, drawn: Sequence[Drawn]) -> None:
        self._of_owner = _codes(workspace, engine, drawn)
        named = {one.report_code for one in drawn if one.report_code is not None}
        known = look_up(vault, {*named, *(code for codes in self._of_owner.values() for code in codes)})
        self._ids = {code: original[0] for code, original in known.items()}
        ids = sorted(set(self._ids.values()))
        lookup = Lookup(Catalog(workspace.catalog))
        self._rows = {row["report_id"]: row for row in lookup.rows(REPORTS, _COLUMNS, {"report_id": OneOf(ids)})}
        self._said = {
            table.name: _grouped(lookup.rows(table, columns, {"report_id": OneOf(ids)})) for table, columns in _needed(drawn)
        }

    def of(self, one: Drawn) -> tuple[Told, ...]:
        """The reports of its case, or of its patient; the one that said the label comes first."""
        owner = one.case_id or one.patient_id or ""
        codes = dict.fromkeys([one.report_code or "", *self._of_owner.get(owner, ())])
        rows = [self._rows[self._ids[code]] for code in codes if self._ids.get(code) in self._rows]
        return tuple(self._told(one, row) for row in rows[:MOST_REPORTS])

    def _told(self, one: Drawn, row: Row) -> Told:
        is_source = one.report_code is not None and self._ids.get(one.report_code) == row["report_id"]
        lines, values = [], []
        for place, word in self._places(one, row["report_id"], is_source=is_source):
            lines += [place] if place is not None else []
            values += [word] if word is not None else []
        return Told(row["report_id"], row, tuple(lines), tuple(values), is_source)

    def _places(self, one: Drawn, report_id: str, *, is_source: bool) -> Iterator[tuple[Place | None, Place | None]]:
        """Where the report says the label: the line, and the words of the value."""
        table, _, column = (one.label.column or "").partition(".")
        rows = one.label.has or one.label.nearest
        if one.label.has is not None and one.label.has.text is not None:
            for row in self._said[REPORT_CONCEPTS.name].get(report_id, ()):
                if row["concept"] == one.label.has.text:
                    yield None, _place(row)
        elif rows is None and is_source and one.ordinal is not None and table in self._said:
            for row in self._said[table].get(report_id, ()):
                if row["ordinal"] == one.ordinal:
                    yield _place(row), _span(row, column)
        elif rows is None and one.ordinal is None:
            # A value of the report itself was summed up from its lines.
            for row in self._said[DIAGNOSES.name].get(report_id, ()):
                yield None, _span(row, column)


def _needed(drawn: Iterable[Drawn]) -> Iterator[tuple[Table, tuple[str, ...]]]:
    """The tables that say where something stands, as far as a label looks at them, and their columns."""
    labels = {one.label.name: one.label for one in drawn}.values()
    yield DIAGNOSES, ("report_id", "ordinal", "spans", *PLACES)
    if any((label.column or "").startswith(f"{IHC_RESULTS.name}.") for label in labels):
        yield IHC_RESULTS, ("report_id", "ordinal", *PLACES)
    if any(label.has is not None and label.has.text is not None for label in labels):
        yield REPORT_CONCEPTS, ("report_id", "concept", *PLACES)


def _codes(workspace: Workspace, engine: Engine, drawn: Iterable[Drawn]) -> dict[str, list[str]]:
    """Codes of the reports of each case or patient that was drawn; those that stand now come first."""
    found: dict[str, list[str]] = defaultdict(list)
    engine.view("review_reports", [workspace.deid / "reports.parquet"])
    for key in ("case_id", "patient_id"):
        owners = {one.case_id or one.patient_id for one in drawn if (one.case_id is None) == (key == "patient_id")} - {None}
        engine.view("review_owners", pa.table({"owner": pa.array(sorted(map(str, owners)), pa.string())}))
        for owner, code in engine.rows(
            f"select o.owner, r.report_id from review_reports as r join review_owners as o on r.{key} = o.owner"
            " order by o.owner, coalesce(r.is_current, true) desc, r.reported_date desc nulls last, r.report_id"
        ):
            found[owner].append(code)
    return found


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["report_id"]].append(row)
    return found


def _place(row: Row) -> Place | None:
    column, start, end = row["text_column"], row["start"], row["end"]
    return (column, start, end) if column is not None and start is not None and end is not None else None


def _span(row: Row, column: str) -> Place | None:
    """Where a line says one of its values."""
    try:
        text_column, start, end = json.loads(row.get("spans") or "{}")[column]
    except (KeyError, ValueError, TypeError):
        return None
    return str(text_column), int(start), int(end)
