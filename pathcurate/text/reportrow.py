"""What a source says of a report, as a row of the table ``reports``; the same for every form of export."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from pathcurate.model.column import Type
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import GIVEN, REPORT_STATUSES, REPORT_TYPES, REPORTS, SEXES, TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.values import language, parse_age, parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary
from pathcurate.workspace import Mapping

_OPENING = 60
_UNIT = re.compile(r"[^\d.\s]")
# A kind or state that is not understood must not make a report stand for its case, or count as final.
_UNCLEAR = {"report_type": "supplementary", "status": "preliminary"}
_DEFAULTS = {"report_type": "primary", "status": "final"}
AGE_UNIT = "age_unit"
COLUMNS = (*(name for name in GIVEN if name not in {"accession_raw", "language"}), AGE_UNIT)
"""Names that a source may fill, or a mapping give; the unit of an age that stands in a column of its own is one."""
CODES = {"sex": SEXES, "report_type": REPORT_TYPES, "status": REPORT_STATUSES}
"""Columns whose texts are words that mean one of few codes."""


class ReportRows:
    """Makes rows of what one file says, and counts the values that could not be understood."""

    def __init__(
        self, site: str, patterns: AccessionPatterns, mapping: Mapping, source: str, epoch: date | None = None
    ) -> None:
        """Begin a file.

        Args:
            site: code of the site it came from.
            patterns: the site's accession patterns.
            mapping: its ``constants`` and ``values`` are applied.
            source: name of the file, for findings.
            epoch: the day that is 0 where dates may be serial numbers; None where they may not.
        """
        self._site = site
        self._patterns = patterns
        self._mapping = mapping
        self._source = source
        self._epoch = epoch
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], int] = {}

    def trouble(self, column: str, rule: str, number: int) -> None:
        """Count a value that could not be used: a million bad ages are one finding."""
        self._counts[column, rule] += 1
        self._first.setdefault((column, rule), number)

    def row(self, texts: dict[str, str], number: int) -> dict[str, Any] | None:
        """A row without ``report_id``, ``is_current``, ``source_file`` and what is derived from its texts.

        Args:
            texts: text by a name of :data:`COLUMNS`; absent or empty where the source says nothing. Not kept.
            number: row or message of the file, from 1.

        Returns:
            None if there is no usable accession number; the caller says so in a finding.
        """
        self._complete(texts)
        accession = texts.get("accession", "")
        if parse_number(accession) is None:
            return None
        report: dict[str, Any] = {
            name: self._value(name, text, number) for name, text in texts.items() if text and name in REPORTS
        }
        report["accession_raw"] = accession
        report["accession"] = self._patterns.normalise(accession)
        for name, default in _DEFAULTS.items():
            report[name] = report[name] or _UNCLEAR[name] if name in report else default
        organs = vocabulary("organs")
        # Where no column says what was taken, a diagnosis begins with it: （右乳）…, Colon, ascending, polypectomy: …
        opening = texts.get("diagnosis", "")[:_OPENING]
        report["organ"] = report.get("organ") or organs.first(texts.get("specimen_sites")) or organs.first(opening)
        report["language"] = language(" ".join(texts.get(name, "") for name in TEXT_COLUMNS))
        report["site"] = self._site
        report["source_row"] = number
        return report

    def _complete(self, texts: dict[str, str]) -> None:
        texts["report_type"] = texts.get("report_type") or heading(texts.get("diagnosis", ""))
        for name, constant in self._mapping.constants.items():
            texts[name] = texts.get(name) or constant
        for name, translation in self._mapping.values.items():
            texts[name] = translation.get(texts.get(name, ""), texts.get(name, ""))
        # ``3`` in a column beside ``月`` is no age in years; an age that has a unit of its own does not need the other.
        if texts.get("age") and not _UNIT.search(texts["age"]):
            unit = texts.get(AGE_UNIT, "")
            # A code for a unit, written behind the number, would make another number of it.
            texts["age"] += unit if not unit or _UNIT.search(unit) else "?"

    def _value(self, name: str, text: str, number: int) -> Any:
        if REPORTS[name].type in (Type.TIMESTAMP, Type.DATE):
            moment = parse_datetime(text, self._epoch)
            value = moment.date() if moment and REPORTS[name].type is Type.DATE else moment
        elif name in _PARSERS:
            value = _PARSERS[name](text)
        else:
            return text
        if value is None:
            self.trouble(name, "reports.not_understood", number)
        return value

    def findings(self) -> Iterator[Finding]:
        """What could not be understood in the rows made so far, one finding for each column and fault."""
        for (column, rule), count in self._counts.items():
            treated = f"count as {_UNCLEAR[column]}" if column in _UNCLEAR else "were left empty"
            what = (
                "are two numbers, of which none is known to be the inpatient's,"
                if rule == "reports.two_numbers"
                else "could not be understood"
            )
            yield Finding(
                rule, Severity.WARNING,
                f"{count} values of {column} {what} and {treated}; the first stands in row "
                f"{self._first[column, rule]} of {self._source}",
                stage="reports", site=self._site, table="reports", column=column, subject=self._source, count=count,
            )  # fmt: skip


def is_understood(name: str, text: str) -> bool:
    """Whether a text of one of the columns of :data:`CODES` means a code."""
    return _PARSERS[name](text) is not None


def heading(diagnosis: str) -> str:
    """The kind of report that a diagnosis names as its heading (补充报告：), for exports that have no column for it."""
    first = diagnosis.partition("\n")[0].strip().strip("【】[]:： ")
    return first if vocabulary("report_types").exact(first) else ""


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
    "report_type": lambda text: vocabulary("report_types").exact(text),
    "status": lambda text: vocabulary("report_statuses").exact(text),
    "organ": lambda text: vocabulary("organs").first(text),
    **{name: _pattern_parser(name) for name in ("icd10", "icdo3_topography", "icdo3_morphology")},
}
