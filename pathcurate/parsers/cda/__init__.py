"""Clinical documents (HL7 CDA R2) that report an examination, as Chinese hospitals share them (检查报告, WS/T 500.6)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.parsers.cda.document import RefusedError, read_document
from pathcurate.parsers.cda.texts import DocumentReader
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.reportrow import ReportRows

NAME = "cda"
_ROOT: Final = re.compile(rb"<(?:!DOCTYPE\s+)?(?:[A-Za-z_][\w.-]*:)?ClinicalDocument\b")


def detects(head: bytes) -> bool:
    """Whether the first bytes of a file begin a clinical document; UTF-16 is told by its zeros."""
    return _ROOT.search(head.replace(b"\x00", b"")) is not None


def parse(path: Path, site: str, patterns: AccessionPatterns, mapping: Mapping) -> Iterator[dict[str, Any] | Finding]:
    """The row of the ``reports`` table without ``report_id``, ``is_current`` and ``source_file``, and findings.

    A file is one document, of which one row is made if its title says pathology or it has sections that only pathology
    has. Pictures and documents in Base64 are left out and counted. A document that cannot be read, or declares entities
    or a document type, becomes a finding and no row.

    ``mapping.columns`` names element paths, which may begin with any element of the document:
    ``{accession: [inFulfillmentOf/order/id], diagnosis: [section[病理诊断]/text]}``. What stands in brackets is a root,
    code, name or title. A mapped column takes nothing but what stands there. Else numbers are told by where they stand
    and by their form, never by their object identifier alone: the accession number is the value that is called so
    (病理号, 检查号), else the identifier that the site's patterns know, else the report's (报告单号).

    Args:
        path: the file.
        site: code of the site it came from.
        patterns: the site's accession patterns.
        mapping: how these documents name things; empty to go by the standard alone.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it is not in the encoding of the mapping, or the mapping names no element path.
    """
    reader = DocumentReader(patterns, mapping.columns)
    rows = ReportRows(site, patterns, mapping, path.name)

    def about(rule: str, severity: Severity, what: str, count: int = 1) -> Finding:
        return Finding(
            rule, severity, f"{path.name} {what}",
            stage="reports", site=site, table="reports", subject=f"{path.name} entry 1", count=count,
        )  # fmt: skip

    try:
        root = read_document(path, mapping.encoding)
    except RefusedError as error:
        yield about("reports.entry_damaged", Severity.ERROR, f"{error} and was not imported")
        return
    if root.name != "ClinicalDocument":
        yield about("reports.entry_damaged", Severity.ERROR, "is no clinical document and was not imported")
        return
    texts = reader.read(root)
    if texts is None:
        yield about("reports.other_report", Severity.INFO, "is no report of pathology and was left out")
        return
    row = rows.row(texts, 1)
    if row is None:
        yield about("reports.no_accession", Severity.ERROR, "has no usable accession number and was not imported")
        return
    row["attachment_count"] = root.count_pictures()
    yield row
    yield from rows.findings()
    if row["attachment_count"]:
        what = f"holds {row['attachment_count']} pictures and documents, which were left out"
        yield about("reports.attachment", Severity.INFO, what, row["attachment_count"])
