"""The cases that slides are linked to, and the persons behind them; made when reports, glass or merge lists change."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.engines import Engine
from pathcurate.link import statements
from pathcurate.link.persons import COLUMNS as PERSON_COLUMNS
from pathcurate.link.persons import MERGE_COLUMNS, People, build_people, guarded_together
from pathcurate.model.case import CASES
from pathcurate.model.column import Table
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.relations import relation
from pathcurate.tables import Catalog, conform

_VERSION = 1
"""Raised when cases or persons are made otherwise than before."""
_WRITTEN_ROWS = 1 << 17
_REPORT_COLUMNS = (
    "report_id", "site", "accession", "report_type", "status", "is_current", "received_date", "reported_date", "organ",
    "ihc_results", "blocks",
)  # fmt: skip


@dataclass(slots=True)
class Persons:
    """The persons of this run, found when they are needed.

    Attributes:
        catalog: the catalog.
        state: name of what they are made of.
    """

    catalog: Catalog
    state: str
    _people: People | None = field(default=None)

    @property
    def found(self) -> People | None:
        """The persons, if this run had to find them."""
        return self._people

    def find(self) -> People:
        """The persons."""
        if self._people is None:
            # Straight in: held here, the reports would be in memory as long as what is made of them.
            self._people = build_people(
                self.catalog.read(REPORTS, columns=PERSON_COLUMNS), self.catalog.read(MERGES, columns=MERGE_COLUMNS)
            )
        return self._people

    def keep(self, shared: Sequence[Sequence[str]]) -> None:
        """Write ``persons``, those together whose slides show one glass.

        To be called when what was found about them is recorded: they are then not looked for again.
        """
        made_of = f"{self.state} glass {sha256_text(canonical_json([list(persons) for persons in shared]))[7:23]}"
        if self.catalog.made_of(PERSONS) != made_of:
            rows = guarded_together(self.find().persons, shared)
            self.catalog.replace_streamed(PERSONS, _batches(PERSONS, rows), made_of)


def bring_cases(catalog: Catalog, engine: Engine) -> Persons:
    """Bring ``cases`` and ``identities`` up to date with the reports."""
    states = (catalog.state(table) for table in (REPORTS, MERGES, MATERIALS))
    persons = Persons(catalog, f"v{_VERSION} {' '.join(states)}")
    # Persons are written last; if they are not, a run ended before it could say what it found about them.
    is_kept = (catalog.made_of(PERSONS) or "").startswith(f"{persons.state} ")
    if not is_kept or catalog.made_of(CASES) != persons.state or catalog.made_of(IDENTITIES) != persons.state:
        people = persons.find()
        engine.view("people_cases", people.cases)
        catalog.replace_streamed(IDENTITIES, _batches(IDENTITIES, people.identities), persons.state)
        catalog.replace_streamed(CASES, _cases(catalog, engine), persons.state)
    return persons


def _cases(catalog: Catalog, engine: Engine) -> Iterator[pa.RecordBatch]:
    reports = relation(engine, catalog, REPORTS, _REPORT_COLUMNS)
    identities, materials = relation(engine, catalog, IDENTITIES), relation(engine, catalog, MATERIALS)
    sql = statements.cases(reports, "people_cases", identities, materials)
    # Site by site, because no case is of two, and what is in memory is one site's.
    for (site,) in engine.rows(f"SELECT DISTINCT site FROM {reports} ORDER BY site"):
        for batch in engine.batches(sql, [site] * 5):
            yield from conform(CASES, pa.Table.from_batches([batch])).to_batches()


def _batches(table: Table, rows: pa.Table) -> Iterator[pa.RecordBatch]:
    for start in range(0, rows.num_rows, _WRITTEN_ROWS):
        yield from conform(table, rows.slice(start, _WRITTEN_ROWS)).combine_chunks().to_batches()
