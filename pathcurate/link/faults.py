"""What linking finds: numbers that disagree, slides of no case, cases of two people."""

from collections.abc import Iterator

import pyarrow as pa

from pathcurate.engines import Engine
from pathcurate.findings import read_findings
from pathcurate.link import statements
from pathcurate.link.cases import Persons
from pathcurate.model.case import CASES
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.material import MATERIALS, SCANNER_INDEX
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS
from pathcurate.relations import relation
from pathcurate.sqlplan.expressions import literal
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import Workspace

_NORMALISED = ((REPORTS, "reports"), (MATERIALS, "materials"), (SCANNER_INDEX, "index"))
_LOOKED_AT = 200
_SLIDES = {
    "numbers_disagree": (Severity.ERROR, "names more than one case"),
    "case_two_patients": (Severity.ERROR, "belongs to a case of two patients"),
    "number_two_people": (Severity.ERROR, "belongs to a case whose patient number is of two people"),
    "patient_disagrees": (Severity.ERROR, "bears a case's number and the number of another patient"),
    "unknown_number": (Severity.WARNING, "has a number that no report of its site has"),
    "no_number": (Severity.WARNING, "has no number in its names, barcode or header"),
    "several_cases_of_patient": (Severity.WARNING, "has only its patient's number, who had several cases at the time"),
    "rejected_by_review": (Severity.INFO, "was taken from its case by a reviewer, and nothing names another"),
    "another_number": (
        Severity.WARNING,
        "also has a number that no report of its site has; check that it belongs to the case it was linked to",
    ),
    "scanned_before_receipt": (
        Severity.WARNING, "was scanned before its specimen was received; check the number or the scanner's clock",
    ),
}  # fmt: skip

_OF_PERSONS = ("reports", "merges")
"""Tables of the findings about persons."""


def link_findings(engine: Engine, workspace: Workspace, catalog: Catalog, links: str) -> Iterator[Finding]:
    """What stands out about single slides, and archives that are no longer configured."""
    rest: dict[tuple[str, str], int] = {}
    for rule, site, slide_id, total in engine.rows(statements.slide_findings(links)):
        severity, what = _SLIDES[rule]
        yield _about_slide(rule, severity, f"slide {slide_id} {what}", site, slide_id)
        rest[rule, site] = total - statements.MOST_NAMED
    for (rule, site), count in rest.items():
        if count > 0:
            severity, what = _SLIDES[rule]
            yield Finding(
                f"link.{rule}", severity, f"{count} more slides of site {site}, each of which {what}; `links` has them all",
                stage="link", site=site, table="links", count=count,
            )  # fmt: skip
    keys = relation(engine, catalog, SLIDE_KEYS, ("slide_id", "site", "archive"))
    # Only what is left of archives that are gone is counted: nearly always nothing, of many million slides.
    configured = [(site.code, archive.name) for site in workspace.sites for archive in site.archives]
    named = ", ".join(f"({literal(site)}, {literal(archive)})" for site, archive in configured)
    gone = f"WHERE (site, archive) NOT IN ({named})" if named else ""
    sql = f"SELECT site, archive, count(DISTINCT slide_id) FROM {keys} {gone} GROUP BY site, archive ORDER BY site, archive"
    for site, archive, count in engine.rows(sql):
        yield Finding(
            "link.archive_not_configured", Severity.ERROR,
            f"{count} slides are of archive {archive} of site {site}, which pathcurate.yaml no longer has; they are "
            "linked to nothing and in no cohort",
            stage="link", site=site, table="slides", column="archive", subject=archive, count=count,
        )  # fmt: skip


def pattern_findings(engine: Engine, workspace: Workspace, catalog: Catalog) -> Iterator[Finding]:
    """Tables whose numbers are not in the normal form of today's patterns: they were imported before a site changed them."""
    for table, command in _NORMALISED:
        rows = relation(engine, catalog, table, ("site", "accession", "accession_raw"))
        for site in workspace.sites:
            patterns = AccessionPatterns(site.accession.patterns)
            given = f"{rows} WHERE site = ? AND accession_raw IS NOT NULL LIMIT {_LOOKED_AT}"
            pairs = engine.rows(f"SELECT accession, accession_raw FROM {given}", [site.code])
            other = sum(patterns.normalise(raw) != number for number, raw in pairs)
            if other * 2 > len(pairs):
                yield Finding(
                    "link.other_patterns", Severity.ERROR,
                    f"{table.name} of site {site.code} were imported with other accession patterns than those of today, so "
                    f"their numbers are not those of the slides; run `pathcurate {command} import`, then link again",
                    stage="link", site=site.code, table=table.name, column="accession",
                )  # fmt: skip


def shared_findings(shared: pa.Table) -> Iterator[Finding]:
    """Slides that show one glass and are of several patients."""
    for row in shared.to_pylist():
        others = len(row["persons"]) - 1
        for slide_id in row["slides"]:
            what = f"slide {slide_id} shows the same glass as slides of {others} other patients; check it"
            yield _about_slide("shared_pixels_two_patients", Severity.ERROR, what, row["site"], slide_id)


def case_findings(catalog: Catalog, engine: Engine, persons: Persons) -> Iterator[Finding]:
    """What was found about persons, now or, if nothing they are made of has changed, when they were found last."""
    if persons.found is None:
        yield from (finding for finding in read_findings(catalog, "link") if finding.table in _OF_PERSONS)
        return
    yield from persons.found.findings
    engine.view("people_cases", persons.found.cases)
    cases = relation(engine, catalog, CASES, ("site", "accession", "fault", "report_id"))
    sql = f"""
        SELECT c.site, c.report_id, p.people FROM {cases} c
        JOIN people_cases p ON c.site = p.site AND c.accession = p.accession
        WHERE c.fault = {literal("case_two_patients")} ORDER BY c.site, c.accession"""
    for site, report_id, count in engine.rows(sql):
        yield Finding(
            "link.case_two_patients", Severity.ERROR,
            f"the reports of one case name {count} patients; its slides are linked to none of them. Correct the export",
            stage="link", site=site, table="reports", column="patient_id", subject=report_id,
        )  # fmt: skip


def _about_slide(rule: str, severity: Severity, what: str, site: str, slide_id: str) -> Finding:
    return Finding(f"link.{rule}", severity, what, stage="link", site=site, table="links", subject=slide_id)
