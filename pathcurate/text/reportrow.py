"""What a source says of a report, as a row of the table ``reports``; the same for every form of export."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Dict
from datetime import date
from typing import Any

from pathcurate.mapping import Mapping
from pathcurate.model.column import Type
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import GIVEN, REPORT_STATUSES, REPORT_TYPES, REPORTS, SEXES, SOURCE_CODES, TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.kinds import is_name
from pathcurate.text.values import is_ruined, language, parse_age, parse_datetime, parse_number
from pathcurate.text.vocabulary import vocabulary

_OPENING = 60
_LONGEST_HEADING = 40
# Values that many rows share are understood once; of columns whose values do not repeat, nothing is gained by keeping them.
_MOST_KEPT = 20_000
_NOT_KEPT = frozenset({"patient_id", "id_number"})
_MOMENTS = (Type.TIMESTAMP, Type.DATE)
_PARTS = re.compile(r"\s*[、,，;；/&＋+\n]\s*|\s+[和与]?\s*")
_CARD = re.compile(r"(?<![0-9])(?:[0-9]{17}[0-9Xx]|[0-9]{15})(?![0-9])")
# Nobody is called 测试; Test is part of names of people, so it must stand alone.
_TEST = re.compile(r"测试|測試|(?<![a-z])test(?:ing)?(?![a-z])", re.IGNORECASE)
_PLACEHOLDERS = frozenset({"张三", "张三三", "李四", "王五", "赵六", "某某", "某某某", "張三", "張三三", "趙六"})
_NO_NUMBER = re.compile(r"[A-Za-z]{0,3}[-_ ]?0{4,}(?:-0+)?")
_WHAT = {
    "reports.two_numbers": "are two numbers, of which none is known to be the right one,",
    "reports.two_patients": "name two patients",
    "reports.ruined_number": "have lost digits, because a spreadsheet kept them as numbers,",
}
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
        self._kept: dict[str, dict[str, Any]] = {name: {} for name in COLUMNS}

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
            name: text if name in _PLAIN else self._value(name, text, number)
            for name, text in texts.items()
            if text and name in _IMPORTED
        }
        report["accession_raw"] = accession
        report["accession"] = self._patterns.normalise(accession)
        if _PARTS.search(accession) and len({key.start for key in self._patterns.find(accession)}) > 1:
            self.trouble("accession", "reports.two_numbers", number)
        for name, default in _DEFAULTS.items():
            report[name] = report[name] or _UNCLEAR[name] if name in report else default
        report["source_codes"] = [name for name in SOURCE_CODES if report.get(name)]
        # Where no column says what was taken, a diagnosis begins with it: （右乳）…, Colon, ascending, polypectomy: …
        report["organ"] = (
            report.get("organ")
            or self._organ(texts.get("specimen_sites"))
            or self._organ(texts.get("diagnosis", "")[:_OPENING])
        )
        report["language"] = language(" ".join([texts[name] for name in TEXT_COLUMNS if texts.get(name)]))
        report["site"] = self._site
        report["source_row"] = number
        return report

    def _complete(self, texts: dict[str, str]) -> None:
        if not texts.get("report_type"):
            texts["report_type"] = heading(texts.get("diagnosis", ""))
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
        kept = self._kept[name]
        value = kept.get(text)
        if value is None:
            value = self._parsed(name, text)
            if value is None:
                self.trouble(name, _fault(name, text), number)
            elif name not in _NOT_KEPT:
                if len(kept) >= _MOST_KEPT:
                    kept.clear()
                kept[text] = value
        return value

    def _parsed(self, name: str, text: str) -> Any:
        column = REPORTS[name].type
        if column in _MOMENTS:
            moment = parse_datetime(text, self._epoch)
            return moment.date() if moment and column is Type.DATE else moment
        return _PARSERS[name](text)

    def _organ(self, text: str | None) -> str | None:
        if not text:
            return None
        kept = self._kept["specimen_sites"]
        if text not in kept:
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[text] = vocabulary("organs").first(text)
        organ: str | None = kept[text]
        return organ

    def findings(self) -> Iterator[Finding]:
        """What could not be understood in the rows made so far, one finding for each column and fault."""
        for (column, rule), count in self._counts.items():
            treated = f"count as {_UNCLEAR[column]}" if column in _UNCLEAR else "were left empty"
            what = _WHAT.get(rule, "could not be understood")
            if column == "accession":
                treated = "were imported under the first of them"
            yield Finding(
                rule, Severity.WARNING,
                f"{count} values of {column} {what} and {treated}; the first stands in row "
                f"{self._first[column, rule]} of {self._source}",
                stage="reports", site=self._site, table="reports", column=column, subject=self._source, count=count,
            )  # fmt: skip


def is_test(texts: Dict[str, str]) -> bool:
    """Whether a row was made to try the laboratory's system out, by its name and numbers alone.

    A word for test in the name or a number says so; so does the name of nobody (张三, 李四) beside a number of zeros.
    A text that speaks of a test says nothing.
    """
    name = texts.get("patient_name", "")
    numbers = [texts.get(column, "") for column in ("accession", "patient_id")]
    if _TEST.search("\n".join((name, *numbers))):
        return True
    return name in _PLACEHOLDERS and any(_NO_NUMBER.fullmatch(text) for text in numbers)


def _fault(name: str, text: str) -> str:
    """Rule of the finding about a value that is not understood."""
    if name == "patient_name" or (name == "id_number" and _several_cards(text)):
        return "reports.two_patients"
    if name in _NOT_KEPT and is_ruined(text):
        return "reports.ruined_number"
    return "reports.not_understood"


def _one_name(text: str) -> str | None:
    """A name; None for a text of two of them: nobody can tell whose report it is."""
    parts = _PARTS.split(text)
    return None if len(parts) > 1 and len({part for part in parts if is_name(part)}) > 1 else text


def _several_cards(text: str) -> bool:
    return len(set(_CARD.findall(text))) > 1


def is_understood(name: str, text: str) -> bool:
    """Whether a text of one of the columns of :data:`CODES` means a code."""
    return _PARSERS[name](text) is not None


def heading(diagnosis: str) -> str:
    """The kind of report that a diagnosis names as its heading (补充报告：), for exports that have no column for it."""
    first = diagnosis.partition("\n")[0].strip().strip("【】[]:： ")
    if len(first) > _LONGEST_HEADING:
        return ""
    return first if vocabulary("report_types").exact(first) else ""


def _pattern_parser(name: str) -> Callable[[str], str | None]:
    pattern = re.compile(REPORTS[name].pattern)

    def parse_code(text: str) -> str | None:
        code = text.upper().replace(" ", "")
        return code if pattern.fullmatch(code) else None

    return parse_code


_PARSERS: dict[str, Callable[[str], Any]] = {
    "patient_id": parse_number,
    "id_number": lambda text: None if _several_cards(text) else parse_number(text),
    "patient_name": _one_name,
    "sex": lambda text: vocabulary("sexes").exact(text),
    "age": parse_age,
    "report_type": lambda text: vocabulary("report_types").exact(text),
    "status": lambda text: vocabulary("report_statuses").exact(text),
    "organ": lambda text: vocabulary("organs").first(text),
    **{name: _pattern_parser(name) for name in ("icd10", "icdo3_topography", "icdo3_morphology")},
}
_IMPORTED = frozenset(name for name in COLUMNS if name in REPORTS)
_PLAIN = frozenset(name for name in _IMPORTED if name not in _PARSERS and REPORTS[name].type not in _MOMENTS)
"""Columns whose text is their value."""
