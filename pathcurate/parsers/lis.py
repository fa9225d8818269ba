"""Laboratory system exports as CSV or TSV: one row per report."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.model.column import Type
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import REPORTS, TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, resolve
from pathcurate.text.values import language, parse_age, parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import Mapping

NAME = "lis"
_OPENING = 60
_TEXT_CONTROLS = frozenset(range(9, 14))
# Stray control bytes occur in texts; a workbook, a picture or an archive has one in ten.
_CONTROL_SHARE = 0.05
_BINARY = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF")
# A kind or state that is not understood must not make a report stand for its case, or count as final.
_UNCLEAR = {"report_type": "supplementary", "status": "preliminary"}
_DERIVED = frozenset({"report_id", "site", "accession_raw", "is_current", "language", "source_file", "source_row"})
COLUMNS = tuple(name for name in REPORTS.names if name not in _DERIVED)
"""Canonical names that a mapping may give heads or constants for."""


def detects(head: bytes) -> bool:
    """Whether the first bytes of a file look like delimited text: hardly any control bytes but tab and line ends.

    A wide encoding is told by its byte order mark.
    """
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return True
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return bool(head) and not head.startswith(_BINARY) and controls <= _CONTROL_SHARE * len(head)


@dataclass
class _Trouble:
    """Values of a column that could not be understood, counted so that a million bad ages are one finding."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first_row: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, column: str, rule: str, row: int) -> None:
        self.counts[column, rule] += 1
        self.first_row.setdefault((column, rule), row)

    def findings(self, site: str, source: str) -> Iterator[Finding]:
        for (column, rule), count in self.counts.items():
            treated = f"count as {_UNCLEAR[column]}" if column in _UNCLEAR else "were left empty"
            yield Finding(
                rule, Severity.WARNING,
                f"{count} values of {column} could not be understood and {treated}; the first stands in row "
                f"{self.first_row[column, rule]} of {source}",
                stage="reports", site=site, table="reports", column=column, subject=source, count=count,
            )  # fmt: skip


def parse(path: Path, site: str, patterns: AccessionPatterns, mapping: Mapping) -> Iterator[dict[str, Any] | Finding]:
    """Rows of the ``reports`` table without ``report_id``, ``is_current`` and ``source_file``, and findings.

    A row without an accession number, or with a wrong number of cells, becomes a finding and no row.

    Args:
        path: the export.
        site: code of the site it came from.
        patterns: the site's accession patterns.
        mapping: how this export names things; empty to go by known heads alone.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it cannot be decoded, or no column is the accession number.
    """
    sheet = read_sheet(path, mapping.encoding)
    heads = resolve("reports", sheet.heads, mapping.columns, path.name)
    if "accession" not in heads.columns:
        raise UsageError(
            f"{path.name}: no column is recognised as the accession number (病理号)",
            "Write a mapping file with `columns: {accession: …}` and name it in pathcurate.yaml.",
        )
    yield from _about_heads(sheet, heads, site, path.name)
    trouble = _Trouble()
    for number in sheet.misfits:
        yield _lost_row("reports.row_misfit", "has more or fewer cells than there are heads", number, site, path.name)
    for row in sheet.rows:
        parsed = _report(row, heads, mapping, patterns, trouble)
        if parsed is None:
            yield _lost_row("reports.no_accession", "has no usable accession number", row.number, site, path.name)
        else:
            yield {**parsed, "site": site, "source_row": row.number}
    yield from trouble.findings(site, path.name)


def _about_heads(sheet: Sheet, heads: Heads, site: str, source: str) -> Iterator[Finding]:
    for index in heads.unknown:
        yield Finding(
            "reports.unknown_column", Severity.INFO,
            f"{shown_head(sheet.heads, index)} of {source} is not known and was not imported; a mapping can name it",
            stage="reports", site=site, table="reports", subject=f"{source} column {index + 1}",
        )  # fmt: skip


def _lost_row(rule: str, what: str, number: int, site: str, source: str) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} of {source} {what} and was not imported",
        stage="reports", site=site, table="reports", subject=f"{source} row {number}",
    )  # fmt: skip


def _report(
    row: Row, heads: Heads, mapping: Mapping, patterns: AccessionPatterns, trouble: _Trouble
) -> dict[str, Any] | None:
    texts = {name: heads.cell(row.cells, name) for name in heads.columns}
    texts["report_type"] = texts.get("report_type") or _heading(texts.get("diagnosis", ""))
    for name, constant in mapping.constants.items():
        texts[name] = texts.get(name) or constant
    for name, translation in mapping.values.items():
        texts[name] = translation.get(texts.get(name, ""), texts.get(name, ""))
    if parse_number(texts["accession"]) is None:
        return None
    report: dict[str, Any] = {
        name: _value(name, text, row.number, trouble) for name, text in texts.items() if text and name in REPORTS
    }
    report["accession_raw"] = texts["accession"]
    report["accession"] = patterns.normalise(texts["accession"])
    for name, default in (("report_type", "primary"), ("status", "final")):
        report[name] = report[name] or _UNCLEAR[name] if name in report else default
    organs = vocabulary("organs")
    # Where no column says what was taken, a diagnosis begins with it: （右乳）…, Colon, ascending, polypectomy: …
    opening = texts.get("diagnosis", "")[:_OPENING]
    report["organ"] = report.get("organ") or organs.first(texts.get("specimen_sites")) or organs.first(opening)
    report["language"] = language(" ".join(texts.get(name, "") for name in TEXT_COLUMNS))
    return report


def _heading(diagnosis: str) -> str:
    """The kind of report that a diagnosis names as its heading (补充报告：), for exports that have no column for it."""
    first = diagnosis.partition("\n")[0].strip().strip("【】[]:： ")
    return first if vocabulary("report_types").exact(first) else ""


def _value(name: str, text: str, row: int, trouble: _Trouble) -> Any:
    parse_text = _PARSERS.get(name)
    if parse_text is None:
        return text
    value = parse_text(text)
    if value is None:
        trouble.add(name, "reports.not_understood", row)
    return value


def _pattern_parser(name: str) -> Callable[[str], str | None]:
    pattern = re.compile(REPORTS[name].pattern)

    def parse_code(text: str) -> str | None:
        code = text.upper().replace(" ", "")
        return code if pattern.fullmatch(code) else None

    return parse_code


_PARSERS: dict[str, Callable[[str], Any]] = {
    "patient_id": parse_number,
    "id_number": parse_number,
    "sex": lambda text: vocabulary("sexes").exact(text),
    "age": parse_age,
    "birth_date": lambda text: moment.date() if (moment := parse_datetime(text)) else None,
    "report_type": lambda text: vocabulary("report_types").exact(text),
    "status": lambda text: vocabulary("report_statuses").exact(text),
    "organ": lambda text: vocabulary("organs").first(text),
    **{name: _pattern_parser(name) for name in ("icd10", "icdo3_topography", "icdo3_morphology")},
    **{column.name: parse_datetime for column in REPORTS.columns if column.type is Type.TIMESTAMP},
}
