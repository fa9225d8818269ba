"""Stage: slides and series find their cases by numbers, with evidence; patients' numbers become persons."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.engines import Engine
from pathcurate.findings import record_findings
from pathcurate.link import statements
from pathcurate.link.cases import bring_cases
from pathcurate.link.faults import case_findings, link_findings, pattern_findings, shared_findings
from pathcurate.link.keys import bring_keys
from pathcurate.link.quality import record_run
from pathcurate.link.review import standing_decisions
from pathcurate.lookup import keep_filters
from pathcurate.model.case import CASES
from pathcurate.model.finding import Finding
from pathcurate.model.link import LINKS, TIERS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.series import SERIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.relations import relation
from pathcurate.reviews import remove_expired
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import Catalog, column_values, conform
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import Site, Workspace

RULES = "accession v2"
"""Name of the rules; changed when they decide otherwise, so that links can be told apart."""
_ROWS_AT_ONCE = 600_000
"""Rows of ``slide_keys`` that are joined in memory at a time."""
_BATCHES_AHEAD = 8


@dataclass(frozen=True, slots=True)
class LinkSummary:
    """What linking found.

    Attributes:
        slides: slides looked at.
        tiers: slides by tier, every tier named.
        series: series looked at.
        series_linked: of these, series that belong to a case.
        series_of_persons: of the others, series of which it is known whose they are.
        cases: cases that the reports know.
        cases_without_slides: of these, cases that no slide is linked to.
        persons: persons.
        findings: what was found.
    """

    slides: int
    tiers: Mapping[str, int]
    series: int
    series_linked: int
    series_of_persons: int
    cases: int
    cases_without_slides: int
    persons: int
    findings: tuple[Finding, ...]


def link(workspace: Workspace, engine: Engine, *, now: datetime | None = None) -> LinkSummary:
    """Link every slide and series of the catalog, always within its site, and find the persons behind the numbers.

    A number counts only if the site's reports have it. Two witnesses (label, header texts, scanner's table, names typed by a
    person) that agree make the link ``exact``; two numbers that are both known make a ``conflict``, and nothing is linked.
    What a person decided in a review wins. See :data:`pathcurate.model.link.TIERS`.

    Args:
        workspace: the workspace; the caller holds its lock.
        engine: runs kernels and SQL.
        now: the present, UTC, by which review pages expire; None for the machine's clock.

    Raises:
        InputOutputError: the catalog cannot be read or written.
    """
    moment = now or datetime.now(UTC)
    catalog = Catalog(workspace.catalog)
    remove_expired(workspace, moment)
    bring_keys(workspace, catalog, engine)
    persons = bring_cases(catalog, engine)
    write_links(workspace, catalog, engine)
    links = relation(engine, catalog, LINKS)
    shared = engine.table(statements.shared_glass(relation(engine, catalog, SLIDES, ("slide_id", "scan_group")), links))
    findings = [
        *case_findings(catalog, engine, persons),
        *pattern_findings(engine, workspace, catalog),
        *link_findings(engine, workspace, catalog, links),
        *shared_findings(shared),
    ]
    record_findings(catalog, "link", findings)
    persons.keep(column_values(shared, "persons"))
    record_run(engine, catalog, moment)
    keep_filters(catalog)
    return _summary(catalog, engine, links, findings)


def write_links(workspace: Workspace, catalog: Catalog, engine: Engine) -> None:
    """Write ``links`` from ``slide_keys``, ``cases`` and ``identities`` as they stand; what :func:`link` does in between."""
    _Linking(workspace, catalog, engine).run()


class _Linking:
    """One run: what the statements are given, and the order in which they are asked."""

    def __init__(self, workspace: Workspace, catalog: Catalog, engine: Engine) -> None:
        self._workspace = workspace
        self._catalog = catalog
        self._engine = engine
        self._cases = relation(engine, catalog, CASES)
        self._identities = relation(engine, catalog, IDENTITIES, ("site", "id_type", "id_value", "person_id", "group_id"))
        materials = relation(engine, catalog, MATERIALS)
        self._materials = materials if catalog.row_count(MATERIALS) else None
        self._keys = _configured(relation(engine, catalog, SLIDE_KEYS), workspace)
        self._unusual = "true"

    def run(self) -> None:
        """Write ``links``."""
        engine, catalog = self._engine, self._catalog
        engine.view("witnesses", statements.witnesses())
        twins = relation(engine, catalog, SLIDES, ("slide_id", "scan_group"))
        engine.view("twins", engine.table(f"SELECT slide_id, scan_group FROM {twins} WHERE scan_group IS NOT NULL"))
        decisions, senders = self._decisions(), self._senders()
        engine.view("decisions", decisions)
        engine.view("senders", senders)
        self._unusual = statements.unusual(has_decisions=bool(decisions.num_rows), has_senders=bool(senders.num_rows))
        engine.view("unusual_keys", engine.table(f"SELECT k.* FROM {self._keys} k WHERE {self._unusual}"))
        engine.view("candidates", engine.table(statements.candidates(self._cases)))
        days = self._workspace.settings.link.patient_date_days
        engine.view("dated", engine.table(statements.dated(self._cases, self._identities, days)))
        engine.view("chosen", engine.table(statements.CHOSEN))
        engine.view("losing", engine.table(statements.LOSING))
        engine.view("series_numbers", self._series_numbers())
        tables = (SLIDES, SLIDE_KEYS, SERIES, REPORTS, CASES, MATERIALS)
        catalog.replace_streamed(LINKS, _ahead(self._rows()), " ".join(catalog.state(table) for table in tables))

    def _rows(self) -> Iterator[pa.RecordBatch]:
        for part in _parts(self._catalog):
            rows = statements.plain_rows(f"(SELECT * FROM {self._keys} WHERE {part.of_keys})", self._unusual)
            cases = f"(SELECT * FROM {self._cases} WHERE {part.of_cases})"
            glass = f"(SELECT * FROM {self._materials} WHERE {part.of_cases})" if self._materials else None
            yield from self._links(statements.links(rows, cases, self._identities, glass))
        yield from self._links(statements.links(statements.UNUSUAL_ROWS, self._cases, self._identities, self._materials))
        series = _configured(relation(self._engine, self._catalog, SERIES), self._workspace)
        there = f"(SELECT * FROM {series} WHERE status <> 'gone')"
        yield from self._links(statements.series_links(there, self._cases, self._identities))

    def _links(self, sql: str) -> Iterator[pa.RecordBatch]:
        evidence = pa.array(statements.EVIDENCE_OF_CODE, pa.list_(pa.string()))
        sites, digests = _rule_sets(self._workspace)
        for batch in self._engine.batches(sql):
            rows = pa.Table.from_batches([batch])
            place = rows.schema.get_field_index("evidence")
            rows = rows.set_column(place, "evidence", evidence.take(batch["evidence"]))
            rows = rows.append_column("rule_set_sha", digests.take(pc.index_in(batch["site"], value_set=sites)))
            yield from conform(LINKS, rows).to_batches()

    def _decisions(self) -> pa.Table:
        """Decisions that can be obeyed: a case that was confirmed and is no longer in the reports cannot be linked to."""
        self._engine.view("all_decisions", standing_decisions(self._catalog))
        return self._engine.table(
            f"SELECT d.* FROM all_decisions d LEFT JOIN {self._cases} c ON d.site = c.site AND d.accession = c.accession "
            "WHERE d.decision = 'reject' OR c.accession IS NOT NULL"
        )

    def _senders(self) -> pa.Table:
        """Numbers under which senders know cases, in the normal form of the site that got them."""
        columns = ("site", "accession", "accession_external", "is_current", "status")
        reports = relation(self._engine, self._catalog, REPORTS, columns)
        given = self._engine.table(
            f"SELECT DISTINCT site, accession, accession_external AS number FROM {reports} "
            "WHERE accession_external IS NOT NULL AND status <> 'withdrawn' ORDER BY site, accession, number"
        )
        normal = _normalised(self._workspace.sites, given, "number")
        return normal.filter(pc.not_equal(normal["number"], normal["accession"]))

    def _series_numbers(self) -> pa.Table:
        series = relation(self._engine, self._catalog, SERIES, ("site", "accession"))
        given = self._engine.table(
            f"SELECT DISTINCT site, accession, accession AS key FROM {series} WHERE accession IS NOT NULL ORDER BY ALL"
        )
        return _normalised(self._workspace.sites, given, "key")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of ``slide_keys`` and of ``cases`` that belong together, as conditions of SQL."""

    of_keys: str
    of_cases: str


_Place = tuple[str, str | None]
"""A site, and a number in it; none for its first."""


def _parts(catalog: Catalog) -> Iterator[_Part]:
    """Parts of ``slide_keys`` in order, each small enough to be joined in memory."""
    start: _Place | None = None
    rows = 0
    for group in catalog.row_groups(SLIDE_KEYS, ("site", "key")):
        (site, last_site), (key, _) = group.bounds
        if rows >= _ROWS_AT_ONCE and site == last_site and key is not None:
            yield _part(start, (site, key))
            start, rows = (site, key), 0
        rows += group.rows
    yield _part(start, None)


def _part(start: _Place | None, end: _Place | None) -> _Part:
    return _Part(_between(start, end, "key"), _between(start, end, "accession"))


def _between(start: _Place | None, end: _Place | None, column: str) -> str:
    """From the one place to the other. Slides without a number stand behind those of their site that have one."""
    tests = []
    if start is not None:
        tests.append(f"site >= {literal(start[0])}")
        later = f"{column} >= {literal(start[1] or '')}"
        # Within one site the condition is kept so simple that pieces of the file can be passed over by it.
        tests.append(later if end and end[0] == start[0] else f"(site > {literal(start[0])} OR {column} IS NULL OR {later})")
    if end is not None:
        tests.append(f"site <= {literal(end[0])}")
        tests.append(f"(site < {literal(end[0])} OR {column} < {literal(end[1] or '')})")
    return " AND ".join(tests) or "true"


def _ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, computed while earlier ones are written: those of a part come all at once, once it is joined."""
    thread = ThreadPoolExecutor(1)
    try:
        coming = deque(thread.submit(next, batches, None) for _ in range(_BATCHES_AHEAD))
        while (batch := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, batches, None))
            yield batch
    finally:
        thread.shutdown(cancel_futures=True)


def _configured(rows: str, workspace: Workspace) -> str:
    """Rows of archives that the workspace file has. What was taken out of it is in the catalog still, but in no cohort."""
    places = [f"({literal(site.code)}, {literal(archive.name)})" for site in workspace.sites for archive in site.archives]
    there = f"(site, archive) IN ({', '.join(places)})" if places else "false"
    return f"(SELECT * FROM {rows} WHERE {there})"


def _rule_sets(workspace: Workspace) -> tuple["pa.Array[Any]", "pa.Array[Any]"]:
    """Sites, and of each the digest of all that decides its links."""
    days = workspace.settings.link.patient_date_days
    digests = [_rule_set(site, days) for site in workspace.sites]
    return pa.array([site.code for site in workspace.sites], pa.string()), pa.array(digests, pa.string())


def _rule_set(site: Site, days: int) -> str:
    return sha256_text(canonical_json([RULES, list(site.accession.patterns), list(site.accession.patients), days]))


def _normalised(sites: Sequence[Site], rows: pa.Table, column: str) -> pa.Table:
    """Rows with the numbers of a column in the normal form of their site."""
    patterns = {site.code: AccessionPatterns(site.accession.patterns) for site in sites}
    given = zip(column_values(rows, "site"), column_values(rows, column), strict=True)
    numbers = [patterns[site].normalise(number) if site in patterns else number for site, number in given]
    return rows.set_column(rows.schema.get_field_index(column), column, pa.array(numbers, pa.string()))


def _summary(catalog: Catalog, engine: Engine, links: str, findings: Sequence[Finding]) -> LinkSummary:
    counts = dict(engine.rows(f"SELECT tier, count(*) FROM {links} WHERE slide_id IS NOT NULL GROUP BY tier"))
    [(series, linked, of_persons)] = engine.rows(
        "SELECT count(*), count(accession), count(*) FILTER (WHERE accession IS NULL AND person_id IS NOT NULL) "
        f"FROM {links} WHERE series_id IS NOT NULL"
    )
    [(cases,)] = engine.rows(
        f"SELECT count(*) FROM (SELECT DISTINCT site, accession FROM {links} "
        "WHERE slide_id IS NOT NULL AND accession IS NOT NULL)"
    )
    known = catalog.row_count(CASES)
    return LinkSummary(
        slides=sum(counts.values()),
        tiers={tier: counts.get(tier, 0) for tier in TIERS},
        series=series,
        series_linked=linked,
        series_of_persons=of_persons,
        cases=known,
        cases_without_slides=known - cases,
        persons=catalog.row_count(PERSONS),
        findings=tuple(findings),
    )
