"""FHIR R4 diagnostic reports: a bundle or one resource in JSON, or a bulk export in NDJSON (http://hl7.org/fhir/R4)."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.parsers.fhir.paths import REFERRED, Located, References
from pathcurate.parsers.fhir.stream import Damage, ResourceFile
from pathcurate.parsers.fhir.texts import ReportReader, is_pathology
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.reportrow import ReportRows

NAME = "fhir"
_MARK: Final = re.compile(rb"(?:^|\n)\s*[\[{].*\"resourceType\"\s*:", re.DOTALL)


def detects(head: bytes) -> bool:
    """Whether the first bytes of a file are JSON that names a type of resource, in UTF-8, UTF-16 or UTF-32."""
    plain = head.replace(b"\x00", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").removeprefix(b"\xef\xbb\xbf")
    return _MARK.search(plain) is not None


def parse(path: Path, site: str, patterns: AccessionPatterns, mapping: Mapping) -> Iterator[dict[str, Any] | Finding]:
    """Rows of the ``reports`` table without ``report_id``, ``is_current`` and ``source_file``, and findings.

    Each DiagnosticReport of pathology is a row; ``source_row`` is its entry in the bundle or its line in the file. Others
    are left out and counted, and so are references to what is not in the file. Of what is said twice in an object, the
    last counts. The file is read twice, entry by entry: memory is that of the largest entry (at most 32 Mi characters)
    and about 300 bytes for each resource.

    ``mapping.columns`` names element paths of the DiagnosticReport, through references: ``{accession: [identifier[SYSTEM],
    basedOn.identifier], patient_id: [subject.id]}``. What stands in brackets is a system, use, address or type code. A
    mapped column takes nothing but what stands there. Else the accession number is the identifier of type ACSN of the
    report, its specimen or its request; else the first of them that the site's patterns know; else the only one.

    Args:
        path: the file.
        site: code of the site it came from.
        patterns: the site's accession patterns.
        mapping: how this export names things; empty to go by the standard alone.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: the mapping names no encoding or no element path.
    """
    file = ResourceFile(path, mapping.encoding)
    rows = ReportRows(site, patterns, mapping, path.name)
    about = _About(site, path.name)
    counts: Counter[str] = Counter()
    places: list[tuple[int, int, int, str]] = []
    with file.places() as read:
        references = References(read)
        reader = ReportReader(references, patterns, mapping.columns)
        for item in file.entries():
            if isinstance(item, Damage):
                counts["damaged"] += 1
                yield about.lost("reports.entry_damaged", item.what, item.number)
            elif item.resource["resourceType"] != "DiagnosticReport":
                counts["resources"] += 1
                if item.resource["resourceType"] in REFERRED:
                    references.add(item)
            elif is_pathology(item.resource):
                places.append((item.number, item.offset, item.length, item.full_url))
            else:
                counts["others"] += 1
        for number, offset, length, full_url in places:
            report = reader.read(Located(read(offset, length), full_url))
            counts["open"] += len(references.open)
            references.open.clear()
            if report.unread:
                rows.trouble("text_raw", "reports.not_understood", number)
            row = rows.row(report.texts, number)
            if row is None:
                yield about.lost("reports.no_accession", "has no usable accession number", number)
                continue
            row["attachment_count"] = report.attachments
            counts["attachments"] += report.attachments
            counts["with attachments"] += report.attachments > 0
            yield row
    yield from rows.findings()
    yield from about.counted(counts, len(places))


class _About:
    """Findings about one file."""

    def __init__(self, site: str, source: str) -> None:
        self._site = site
        self._source = source

    def lost(self, rule: str, what: str, number: int) -> Finding:
        return Finding(
            rule, Severity.ERROR, f"entry {number} of {self._source} {what} and was not imported",
            stage="reports", site=self._site, table="reports", subject=f"{self._source} entry {number}",
        )  # fmt: skip

    def counted(self, counts: Counter[str], reports: int) -> Iterator[Finding]:
        if not reports and not counts["others"] and (counts["resources"] or not counts["damaged"]):
            what = "resources and no report are in the file"
            yield self._count("reports.no_report", Severity.INFO, what, counts["resources"])
        if counts["others"]:
            what = "reports are none of pathology and were left out"
            yield self._count("reports.other_report", Severity.INFO, what, counts["others"])
        if counts["open"]:
            what = "references of reports lead to nothing in the file, or to two different things, and were left open"
            yield self._count("reports.open_reference", Severity.WARNING, what, counts["open"])
        if counts["attachments"]:
            what = f"pictures and documents of {counts['with attachments']} reports were left out"
            yield self._count("reports.attachment", Severity.INFO, what, counts["attachments"])

    def _count(self, rule: str, severity: Severity, what: str, count: int) -> Finding:
        return Finding(
            rule, severity, f"{count} {what}: {self._source}",
            stage="reports", site=self._site, table="reports", subject=self._source, count=count,
        )  # fmt: skip
