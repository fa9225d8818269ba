"""Stage: slides find their reports by accession number, with evidence; patient numbers become persons."""

import gc
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.findings import record_findings
from pathcurate.link.persons import COLUMNS as PERSON_COLUMNS
from pathcurate.link.persons import SHARED_NUMBER, TWO_PATIENTS, CaseKey, People, build_people, guarded_together
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.link import LINKS, TIERS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, column_values, from_rows
from pathcurate.text.slidenames import SOURCES
from pathcurate.workspace import Workspace

RULES = "accession v1"
"""Name of the rules below; changed when they decide otherwise, so that links can be told apart."""
# Sources that one person typed, or one machine printed, are one witness; two witnesses that agree make a link exact.
_WITNESS = {
    "barcode": "barcode",
    "label": "barcode",
    "metadata": "metadata",
    "file_name": "file_name",
    "folder": "file_name",
}
_CONFLICTS = {
    "numbers_disagree": "names more than one case",
    TWO_PATIENTS: "belongs to a case of two patients",
    SHARED_NUMBER: "belongs to a case whose patient number is of two people",
}
_REPORT_COLUMNS = (*PERSON_COLUMNS, "report_type", "status", "is_current", "received_date", "reported_date")
_SLIDE_COLUMNS = ("slide_id", "site", "archive", "status", "accession", "specimen", "block", "scan_group", "scan_datetime")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkSummary:
    """What linking found.

    Attributes:
        slides: slides looked at.
        tiers: slides by tier, every tier named.
        cases: cases that the reports know.
        cases_without_slides: of these, cases that no slide is linked to.
        persons: persons.
        findings: what was found.
    """

    slides: int
    tiers: Mapping[str, int]
    cases: int
    cases_without_slides: int
    persons: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Case:
    """One accession number of one site: its report to link to, its one patient or why it has none, when it came."""

    report_id: str
    person: str | None
    fault: str | None
    received: datetime | None


class _Key(NamedTuple):
    """A number of a slide, where it stood, and the part that stood with it."""

    key: str
    source: str
    specimen: str | None
    block: str | None


def link(workspace: Workspace) -> LinkSummary:
    """Link every slide of the catalog, always within its site, and find the persons behind the reports' numbers.

    A number counts only if the site's reports have it. Two witnesses (label, header texts, names typed by a person) that
    agree make the link ``exact``; two numbers that are both known make a ``conflict``, and nothing is linked.
    """
    with _without_collector():
        return _link_all(workspace)


@contextmanager
def _without_collector() -> Iterator[None]:
    """A million rows without one cycle among them: going through them again and again took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _link_all(workspace: Workspace) -> LinkSummary:
    catalog = Catalog(workspace.catalog)
    reports = catalog.read(REPORTS, columns=_REPORT_COLUMNS).to_pylist()
    people = build_people(reports)
    findings = list(people.findings)
    cases = _cases(reports, people, findings)
    known = catalog.read(SLIDES, columns=_SLIDE_COLUMNS)
    present = known.filter(pc.not_equal(known["status"], pa.scalar("gone"))).to_pylist()
    archives = {(site.code, archive.name) for site in workspace.sites for archive in site.archives}
    # What was taken out of the workspace file is in the catalog still, but in no cohort: it belongs to no case.
    slides = [slide for slide in present if (slide["site"], slide["archive"]) in archives]
    findings += _unconfigured(slide for slide in present if (slide["site"], slide["archive"]) not in archives)
    keys = _read_keys(catalog)
    rule_sets = {site.code: sha256_text(canonical_json([RULES, list(site.accession.patterns)])) for site in workspace.sites}
    links = [_link(slide, keys.get(slide["slide_id"], ()), cases, rule_sets.get(slide["site"])) for slide in slides]
    findings += _link_findings(slides, links, keys, cases)
    catalog.replace(PERSONS, from_rows(PERSONS, guarded_together(people.persons, _shared_glass(slides, links, cases))))
    catalog.replace(IDENTITIES, from_rows(IDENTITIES, people.identities))
    # In an order of their own: that of the slides changes when rows are written again, and would look like new links.
    catalog.replace(LINKS, from_rows(LINKS, sorted(links, key=lambda row: str(row["slide_id"]))))
    _name_slides(catalog, slides, links, keys)
    record_findings(catalog, "link", findings)
    linked = {(row["site"], row["accession"]) for row in links if row["accession"] is not None}
    counts = Counter(row["tier"] for row in links)
    return LinkSummary(
        slides=len(slides),
        tiers={tier: counts[tier] for tier in TIERS},
        cases=len(cases),
        cases_without_slides=len(cases.keys() - linked),
        persons=len(people.persons),
        findings=tuple(findings),
    )


def _read_keys(catalog: Catalog) -> dict[str, list[_Key]]:
    """The numbers of each slide."""
    data = catalog.read(SLIDE_KEYS, columns=("slide_id", *_Key._fields))
    keys: dict[str, list[_Key]] = defaultdict(list)
    columns = (column_values(data, name) for name in _Key._fields)
    for slide_id, key in zip(column_values(data, "slide_id"), map(_Key._make, zip(*columns, strict=True)), strict=True):
        keys[slide_id].append(key)
    return keys


def _name_slides(catalog: Catalog, slides: Iterable[Row], links: Iterable[Row], keys: Mapping[str, list[_Key]]) -> None:
    """Write the linked number, and the part that stood with it, into the slides that do not have them yet."""
    named = {}
    for slide, row in zip(slides, links, strict=True):
        new = {"accession": row["accession"], **_part(row["accession"], keys.get(slide["slide_id"], ()))}
        if any(slide[column] != value for column, value in new.items()):
            named[slide["slide_id"]] = new
    whole = catalog.read(SLIDES) if named else from_rows(SLIDES, ())
    # Columns of Arrow, not rows of Python: a slide has more than fifty columns, and three of them change.
    rows = whole.filter(pc.is_in(whole["slide_id"], pa.array(list(named), pa.string())))
    for column in ("accession", "specimen", "block"):
        values = pa.array([named[slide_id][column] for slide_id in column_values(rows, "slide_id")], pa.string())
        rows = rows.set_column(rows.schema.get_field_index(column), rows.schema.field(column), pa.chunked_array([values]))
    catalog.upsert(SLIDES, rows)


def _cases(reports: Iterable[Row], people: People, findings: list[Finding]) -> dict[CaseKey, _Case]:
    by_case: dict[CaseKey, list[Row]] = defaultdict(list)
    for report in reports:
        by_case[report["site"], report["accession"]].append(report)
    cases = {}
    for key, members in sorted(by_case.items()):
        best = max(members, key=precedence)
        fault = people.faults.get(key)
        if fault is not None and fault.rule == TWO_PATIENTS:
            findings.append(_two_patients(key[0], best["report_id"], fault.people))
        received = min((report["received_date"] for report in members if report["received_date"]), default=None)
        cases[key] = _Case(best["report_id"], people.owners.get(key), fault.rule if fault else None, received)
    return cases


def _two_patients(site: str, report_id: str, count: int) -> Finding:
    return Finding(
        "link.case_two_patients", Severity.ERROR,
        f"the reports of one case name {count} patients; its slides are linked to none of them. Correct the export",
        stage="link", site=site, table="reports", column="patient_id", subject=report_id,
    )  # fmt: skip


def _part(accession: str | None, keys: Iterable[_Key]) -> Row:
    """Specimen and block that the best source gives for the linked case; for any number, if nothing is linked."""
    parts = [key for key in keys if key.specimen and (accession is None or accession == key.key)]
    best = min(parts, key=lambda key: SOURCES.index(key.source), default=None)
    return {"specimen": best and best.specimen, "block": best and best.block}


def _link(slide: Row, keys: Iterable[_Key], cases: Mapping[CaseKey, _Case], rule_set: str | None) -> Row:
    site = slide["site"]
    read: dict[str, list[str]] = {}
    for key in keys:
        heard_in = read.setdefault(key.key, [])
        if key.source not in heard_in:
            heard_in.append(key.source)
    named = {key: sources for key, sources in read.items() if (site, key) in cases}
    common = {"slide_id": slide["slide_id"], "site": site, "accession": None, "rule_set_sha": rule_set}
    if not named:
        return {**common, "tier": "none", "rule": "no_known_number"}
    (accession, sources), *more = named.items()
    case = cases[site, accession]
    if more or case.fault is not None:
        losing = sorted(f"{key} {source}" for key, sources in named.items() for source in sources)
        rule = "numbers_disagree" if more else case.fault
        return {**common, "tier": "conflict", "rule": rule, "losing_candidates": losing}
    witnesses = {_WITNESS[source] for source in sources}
    tier = "exact" if len(witnesses) > 1 else witnesses.pop()
    # Numbers that the reports do not know decide nothing, but a source that names only such a number lowers confidence.
    others = sorted(f"{key} {source}" for key, read_in in read.items() if key != accession for source in read_in)
    heard = {source for read_in in read.values() for source in read_in}
    return {
        **common, "accession": accession, "report_id": case.report_id, "tier": tier,
        "confidence": len(sources) / len(heard), "evidence": sorted(sources),
        "rule": "witnesses_agree" if tier == "exact" else "one_witness", "losing_candidates": others or None,
    }  # fmt: skip


def _link_findings(
    slides: Iterable[Row], links: Iterable[Row], keys: Mapping[str, list[_Key]], cases: Mapping[CaseKey, _Case]
) -> Iterator[Finding]:
    pairs = list(zip(slides, links, strict=True))
    for slide, row in pairs:
        yield from _slide_findings(slide, row, bool(keys.get(slide["slide_id"])), cases)
    for linked in _linked_groups(slides, links):
        persons = {cases[row["site"], row["accession"]].person for _, row in linked}
        if len(persons) > 1:
            for slide, row in linked:
                yield _finding(
                    slide, row, "link.shared_pixels_two_patients", Severity.ERROR,
                    f"shows the same glass as slides of {len(persons) - 1} other patients; check it",
                )  # fmt: skip


def _linked_groups(slides: Iterable[Row], links: Iterable[Row]) -> Iterator[list[tuple[Row, Row]]]:
    """The linked slides of each scan group: the same pixels, copies of them, or rescans of one glass."""
    pairs = zip(slides, links, strict=True)
    grouped = sorted((pair for pair in pairs if pair[0]["scan_group"]), key=lambda pair: str(pair[0]["scan_group"]))
    for _, members in itertools.groupby(grouped, key=lambda pair: pair[0]["scan_group"]):
        yield [(slide, row) for slide, row in members if row["accession"]]


def _shared_glass(slides: Iterable[Row], links: Iterable[Row], cases: Mapping[CaseKey, _Case]) -> Iterator[set[str]]:
    """Persons to whom the slides of one glass are linked, where they are several."""
    for linked in _linked_groups(slides, links):
        persons = {person for _, row in linked if (person := cases[row["site"], row["accession"]].person) is not None}
        if len(persons) > 1:
            yield persons


def _slide_findings(slide: Row, row: Row, has_keys: bool, cases: Mapping[CaseKey, _Case]) -> Iterator[Finding]:
    if row["tier"] == "conflict":
        yield _finding(slide, row, f"link.{row['rule']}", Severity.ERROR, _CONFLICTS[row["rule"]])
    elif row["tier"] == "none" and has_keys:
        yield _finding(slide, row, "link.unknown_number", Severity.WARNING, "has a number that no report of its site has")
    elif row["tier"] == "none":
        yield _finding(slide, row, "link.no_number", Severity.WARNING, "has no number in its names, barcode or header")
    else:
        if (row["confidence"] or 0) < 1:
            yield _finding(
                slide, row, "link.another_number", Severity.WARNING,
                "also has a number that no report of its site has; check that it belongs to the case it was linked to",
            )  # fmt: skip
        received = cases[row["site"], row["accession"]].received
        if received and slide["scan_datetime"] and slide["scan_datetime"].date() < received.date():
            yield _finding(
                slide, row, "link.scanned_before_receipt", Severity.WARNING,
                "was scanned before its specimen was received; check the number or the scanner's clock",
            )  # fmt: skip


def _unconfigured(slides: Iterable[Row]) -> Iterator[Finding]:
    counts = Counter((slide["site"], slide["archive"]) for slide in slides)
    for (site, archive), count in sorted(counts.items()):
        yield Finding(
            "link.archive_not_configured", Severity.ERROR,
            f"{count} slides are of archive {archive} of site {site}, which pathcurate.yaml no longer has; they are linked "
            "to nothing and in no cohort",
            stage="link", site=site, table="slides", column="archive", subject=archive, count=count,
        )  # fmt: skip


def _finding(slide: Row, row: Row, rule: str, severity: Severity, what: str) -> Finding:
    return Finding(
        rule, severity, f"slide {slide['slide_id']} {what}",
        stage="link", site=row["site"], table="links", subject=slide["slide_id"],
    )  # fmt: skip
