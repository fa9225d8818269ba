"""Persons of a few reports, drawn row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pathcurate.link.persons import COLUMNS, MERGE_COLUMNS, build_people
from pathcurate.model.column import Table
from pathcurate.model.finding import Finding
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.tables import arrow_schema, conform, from_rows

Row = dict[str, Any]
CaseKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, as rows.

    Attributes:
        owners: person of each case that is one person's.
        faults: of each other case, why it is nobody's.
        people: of each such case, how many people it names.
        persons: rows of ``persons``.
        identities: rows of ``identities``.
        findings: findings.
    """

    owners: Mapping[CaseKey, str]
    faults: Mapping[CaseKey, str]
    people: Mapping[CaseKey, int]
    persons: Sequence[Row]
    identities: Sequence[Row]
    findings: Sequence[Finding]


def find_people(reports: Sequence[Row], merges: Sequence[Row] = ()) -> Found:
    """The persons behind reports and merge lists; a column that a row lacks is null."""
    people = build_people(_table(REPORTS.select(COLUMNS), reports), _table(MERGES.select(MERGE_COLUMNS), merges))
    cases = {(row["site"], row["accession"]): row for row in people.cases.to_pylist()}
    assert list(cases) == sorted(cases)
    assert people.persons.schema.equals(arrow_schema(PERSONS))
    return Found(
        {key: row["person_id"] for key, row in cases.items() if row["person_id"] is not None},
        {key: row["fault"] for key, row in cases.items() if row["fault"] is not None},
        {key: row["people"] for key, row in cases.items() if row["people"] is not None},
        people.persons.to_pylist(),
        conform(IDENTITIES, people.identities).to_pylist(),
        people.findings,
    )


def _table(table: Table, rows: Sequence[Row]) -> pa.Table:
    return from_rows(table, [{name: row.get(name) for name in table.names} for row in rows])
