"""Stage: slides find their reports by accession number, with evidence; patient numbers become persons."""

import hashlib
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.findings import record_findings
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.link import LINKS, TIERS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS, precedence
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import canonical, opaque_code
from pathcurate.tables import Catalog, from_rows
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
_REPORT_COLUMNS = (
    "report_id", "site", "patient_id", "accession", "report_type", "status", "is_current", "received_date", "reported_date"
)  # fmt: skip

Row = dict[str, Any]
CaseKey = tuple[str, str]
Identity = tuple[str, str, str]
"""Site, kind of number, number."""


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
    """One accession number of one site: its report to link to, its one patient, when its specimen came."""

    report_id: str
    identity: Identity | None
    received: datetime | None


def link(workspace: Workspace) -> LinkSummary:
    """Link every slide of the catalog, always within its site.

    A number counts only if the site's reports have it. Two witnesses (label, header texts, names typed by a person) that
    agree make the link ``exact``; two numbers that are both known make a ``conflict``, and nothing is linked.
    """
    catalog = Catalog(workspace.catalog)
    reports = catalog.read(REPORTS, columns=_REPORT_COLUMNS).to_pylist()
    findings: list[Finding] = []
    cases = _cases(reports, findings)
    persons, identities = _persons(reports, cases)
    slides = [row for row in catalog.read(SLIDES).to_pylist() if row["status"] != "gone"]
    keys: dict[str, list[Row]] = defaultdict(list)
    for key in catalog.read(SLIDE_KEYS).to_pylist():
        keys[key["slide_id"]].append(key)
    rule_sets = {site.code: sha256_text(canonical_json([RULES, list(site.accession.patterns)])) for site in workspace.sites}
    links = [_link(slide, keys[slide["slide_id"]], cases, rule_sets.get(slide["site"])) for slide in slides]
    findings += _link_findings(slides, links, keys, cases)
    catalog.replace(PERSONS, from_rows(PERSONS, persons))
    catalog.replace(IDENTITIES, from_rows(IDENTITIES, identities))
    catalog.replace(LINKS, from_rows(LINKS, links))
    renamed = []
    for slide, row in zip(slides, links, strict=True):
        named = {"accession": row["accession"], **_part(row["accession"], keys[slide["slide_id"]])}
        if any(slide[column] != value for column, value in named.items()):
            renamed.append({**slide, **named})
    catalog.upsert(SLIDES, from_rows(SLIDES, renamed))
    record_findings(catalog, "link", findings)
    linked = {(row["site"], row["accession"]) for row in links if row["accession"] is not None}
    counts = Counter(row["tier"] for row in links)
    return LinkSummary(
        slides=len(slides),
        tiers={tier: counts[tier] for tier in TIERS},
        cases=len(cases),
        cases_without_slides=len(cases.keys() - linked),
        persons=len(persons),
        findings=tuple(findings),
    )


def _cases(reports: Iterable[Row], findings: list[Finding]) -> dict[CaseKey, _Case]:
    by_case: dict[CaseKey, list[Row]] = defaultdict(list)
    for report in reports:
        by_case[report["site"], report["accession"]].append(report)
    cases = {}
    for (site, accession), members in sorted(by_case.items()):
        # A supplement often comes without the patient's number; the reports that have one speak for the case. A case
        # without any is a person of its own, so that it still has a side of the split.
        numbers = {canonical(report["patient_id"]) for report in members if report["patient_id"]}
        identities = [(site, "patient_id", number) for number in numbers] or [(site, "accession", accession)]
        best = max(members, key=precedence)
        if len(identities) > 1:
            findings.append(_two_patients(site, best["report_id"], len(identities)))
        received = min((report["received_date"] for report in members if report["received_date"]), default=None)
        cases[site, accession] = _Case(best["report_id"], identities[0] if len(identities) == 1 else None, received)
    return cases


def _persons(reports: Iterable[Row], cases: Mapping[CaseKey, _Case]) -> tuple[list[Row], list[Row]]:
    """One person per patient number of a site, and one per case without a number."""
    numbers = Counter((row["site"], "patient_id", canonical(row["patient_id"])) for row in reports if row["patient_id"])
    numbers.update({case.identity: 1 for case in cases.values() if case.identity and case.identity[1] == "accession"})
    persons = [
        {
            "person_id": opaque_code("P", _digest(identity)),
            "group_id": opaque_code("Q", _digest(identity)),
            "basis": "site_number" if identity[1] == "patient_id" else "case",
            "evidence": count,
        }
        for identity, count in sorted(numbers.items())
    ]
    owners = {identity: identity for identity in numbers}
    owners.update(
        ((site, "accession", accession), case.identity) for (site, accession), case in cases.items() if case.identity
    )
    identities = [
        {"site": site, "issuer": site, "id_type": id_type, "id_value": value, "person_id": opaque_code("P", _digest(owner))}
        for (site, id_type, value), owner in sorted(owners.items())
    ]
    return persons, identities


def _digest(identity: Identity) -> bytes:
    return hashlib.sha256(canonical_json(list(identity))).digest()


def _two_patients(site: str, report_id: str, count: int) -> Finding:
    return Finding(
        "link.case_two_patients", Severity.ERROR,
        f"the reports of one case name {count} patients; its slides are linked to none of them. Correct the export",
        stage="link", site=site, table="reports", column="patient_id", subject=report_id,
    )  # fmt: skip


def _part(accession: str | None, keys: Iterable[Row]) -> Row:
    """Specimen and block that the best source gives for the linked case; for any number, if nothing is linked."""
    parts = [key for key in keys if key["specimen"] and accession in {None, key["key"]}]
    best = min(parts, key=lambda key: SOURCES.index(key["source"]), default={})
    return {"specimen": best.get("specimen"), "block": best.get("block")}


def _link(slide: Row, keys: Iterable[Row], cases: Mapping[CaseKey, _Case], rule_set: str | None) -> Row:
    site = slide["site"]
    read: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        if key["source"] not in read[key["key"]]:
            read[key["key"]].append(key["source"])
    named = {key: sources for key, sources in read.items() if (site, key) in cases}
    common = {"slide_id": slide["slide_id"], "site": site, "accession": None, "rule_set_sha": rule_set}
    losing = sorted(f"{key} {source}" for key, sources in named.items() for source in sources)
    if not named:
        return {**common, "tier": "none", "rule": "no_known_number"}
    if len(named) > 1:
        return {**common, "tier": "conflict", "rule": "numbers_disagree", "losing_candidates": losing}
    (accession, sources), *_ = named.items()
    case = cases[site, accession]
    if case.identity is None:
        return {**common, "tier": "conflict", "rule": "case_two_patients", "losing_candidates": losing}
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
    slides: Iterable[Row], links: Iterable[Row], keys: Mapping[str, list[Row]], cases: Mapping[CaseKey, _Case]
) -> Iterator[Finding]:
    pairs = list(zip(slides, links, strict=True))
    for slide, row in pairs:
        yield from _slide_findings(slide, row, bool(keys.get(slide["slide_id"])), cases)
    grouped = sorted((pair for pair in pairs if pair[0]["scan_group"]), key=lambda pair: str(pair[0]["scan_group"]))
    for _, members in itertools.groupby(grouped, key=lambda pair: pair[0]["scan_group"]):
        linked = [(slide, row) for slide, row in members if row["accession"]]
        persons = {cases[row["site"], row["accession"]].identity for _, row in linked}
        if len(persons) > 1:
            for slide, row in linked:
                yield _finding(
                    slide, row, "link.shared_pixels_two_patients", Severity.ERROR,
                    f"has the same pixels as slides of {len(persons) - 1} other patients; check the glass",
                )  # fmt: skip


def _slide_findings(slide: Row, row: Row, has_keys: bool, cases: Mapping[CaseKey, _Case]) -> Iterator[Finding]:
    if row["tier"] == "conflict":
        yield _finding(
            slide, row, f"link.{row['rule']}", Severity.ERROR,
            "names more than one case" if row["rule"] == "numbers_disagree" else "belongs to a case of two patients",
        )  # fmt: skip
    elif row["tier"] == "none" and has_keys:
        yield _finding(slide, row, "link.unknown_number", Severity.WARNING, "has a number that the site's reports do not")
    elif row["tier"] == "none":
        yield _finding(slide, row, "link.no_number", Severity.WARNING, "has no number in its names, barcode or header")
    else:
        received = cases[row["site"], row["accession"]].received
        if received and slide["scan_datetime"] and slide["scan_datetime"].date() < received.date():
            yield _finding(
                slide, row, "link.scanned_before_receipt", Severity.WARNING,
                "was scanned before its specimen was received; check the number or the scanner's clock",
            )  # fmt: skip


def _finding(slide: Row, row: Row, rule: str, severity: Severity, what: str) -> Finding:
    return Finding(
        rule, severity, f"slide {slide['slide_id']} {what}",
        stage="link", site=row["site"], table="links", subject=slide["slide_id"],
    )  # fmt: skip
