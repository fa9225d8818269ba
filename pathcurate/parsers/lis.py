"""Laboratory system exports as CSV, TSV, Excel or HTML table: one row per report, or several reports joined in one.

A file of text is read row by row: the memory that this takes does not grow with the file.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pathcurate.delimited import Export, Loss, Sheet, clean, open_export, read_sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.mapping import Mapping
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, fold_head, resolve
from pathcurate.text.kinds import kind
from pathcurate.text.reportrow import ReportRows, is_test

NAME = "lis"
_TEXT_CONTROLS = frozenset(range(9, 14))
# Stray control bytes occur in texts; a workbook, a picture or an archive has one in ten.
_CONTROL_SHARE = 0.05
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_JOIN = "||"
# What says which report of a joined row is which; a text alone may be joined of parts of one report.
_TELLING = ("accession", "report_type", "status", "received_date", "reported_date")
# Values that must not get into a column because its head says so. A number that many people share would make them one
# person: of their reports, splits and withdrawals. A name or number in a text is found by the scrubber only if it is known.
_IN_A_NUMBER = frozenset({"date", "telephone", "name"})
_LIES = {
    "accession": _IN_A_NUMBER | {"identity card"},
    "patient_id": _IN_A_NUMBER,
    "id_number": _IN_A_NUMBER,
    "patient_name": frozenset({"date", "identity card", "telephone", "case number", "small number"}),
    **dict.fromkeys((*TEXT_COLUMNS, "specimen_sites"), frozenset({"identity card", "telephone", "name"})),
}
_SAMPLE_ROWS = 4000
"""Rows by whose values the heads are checked."""
_MOST_NAMED = 1000
"""Rows of one fault that have findings of their own; the others are counted."""


def detects(head: bytes) -> bool:
    """Whether the first bytes of a file look like a workbook, or like text: hardly any control bytes but tab and line ends.

    A wide encoding is told by its byte order mark.
    """
    if head.startswith(_WORKBOOK):
        return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return True
    controls = sum(byte < 32 and byte not in _TEXT_CONTROLS for byte in head)
    return bool(head) and not head.startswith(b"%PDF") and controls <= _CONTROL_SHARE * len(head)


def parse(path: Path, site: str, patterns: AccessionPatterns, mapping: Mapping) -> Iterator[dict[str, Any] | Finding]:
    """Rows of the ``reports`` table without ``report_id``, ``is_current`` and ``source_file``, and findings.

    A row without an accession number, with a wrong number of cells, with bytes that cannot be decoded, or of a test of the
    system becomes a finding and no row.

    Args:
        path: the export.
        site: code of the site it came from.
        patterns: the site's accession patterns.
        mapping: how this export names things; empty to go by known heads alone.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it cannot be decoded, no column is the accession number, or it is broken in some row.
    """
    export = open_export(path, mapping.encoding, mapping.sheet, expected=_named(mapping))
    heads = resolve("reports", export.heads, mapping.columns, path.name)
    lines = export.lines()
    sample = list(itertools.islice(lines, _SAMPLE_ROWS))
    lies = _lies(lambda head: _column(export, sample, head), heads, mapping)
    heads = without(heads, lies)
    if "accession" not in heads.columns:
        raise UsageError(
            f"{path.name}: no column is recognised as the accession number (病理号)",
            "Write a mapping file with `columns: {accession: …}` and name it in pathcurate.yaml.",
        )
    yield from _about_heads(export, heads, lies, site, path.name)
    yield from _about_cells(export, heads, site, path.name)
    rows = ReportRows(site, patterns, mapping, path.name, export.epoch)
    lost = _LostRows(site, path.name)
    reader = _RowReader(export, heads, rows)
    for number, cells in itertools.chain(sample, lines):
        if isinstance(cells, Loss):
            yield from lost.row(f"reports.{cells.value}", number)
            continue
        for texts in reader.reports(cells, number):
            if texts is None:
                yield from lost.row("reports.joined_row", number)
            elif is_test(texts):
                yield from lost.row("reports.test_row", number)
            elif (report := rows.row(texts, number)) is None:
                yield from lost.row("reports.no_accession", number)
            else:
                yield report
    yield from lost.rest()
    yield from rows.findings()


def read_mapped(path: Path, mapping: Mapping) -> Sheet:
    """The table of a file, as its mapping says where it is; errors as of :func:`~pathcurate.delimited.read_sheet`."""
    return read_sheet(path, mapping.encoding, mapping.sheet, expected=_named(mapping))


def _named(mapping: Mapping) -> list[str]:
    return [head for heads in mapping.columns.values() for head in heads]


def lying_heads(sheet: Sheet, heads: Heads, mapping: Mapping) -> dict[str, tuple[str, str]]:
    """Heads whose values would do harm in the column that they name: head to column and kind of value.

    A head that the mapping names is what the mapping says.
    """
    return _lies(lambda head: [row.cells[head] for row in sheet.rows[:_SAMPLE_ROWS]], heads, mapping)


def _lies(values: Callable[[str], Sequence[str]], heads: Heads, mapping: Mapping) -> dict[str, tuple[str, str]]:
    found = {}
    for name, chosen in heads.columns.items():
        for head in chosen if name not in mapping.columns and name in _LIES else ():
            held = kind(values(head))
            if held in _LIES[name]:
                found[head] = (name, str(held))
    return found


def _column(export: Export, lines: Sequence[tuple[int, Sequence[str] | Loss]], head: str) -> list[str]:
    index = export.heads.index(head)
    return [clean(cells[index]) for _, cells in lines if not isinstance(cells, Loss)]


def without(heads: Heads, left: Collection[str]) -> Heads:
    """Resolved heads without some, which count as neither known nor unknown."""
    columns = {name: tuple(head for head in chosen if head not in left) for name, chosen in heads.columns.items()}
    return replace(heads, columns={name: chosen for name, chosen in columns.items() if chosen})


def _about_heads(
    export: Export, heads: Heads, lies: dict[str, tuple[str, str]], site: str, source: str
) -> Iterator[Finding]:
    def about(rule: str, severity: Severity, index: int, what: str) -> Finding:
        return Finding(
            rule, severity, f"{shown_head(export.heads, index)} of {source} {what}",
            stage="reports", site=site, table="reports", subject=f"{source} column {index + 1}",
        )  # fmt: skip

    for index in heads.unknown:
        if index in heads.left_out:
            what = f"({heads.left_out[index]}) has no column in `reports` and was not imported; a mapping can name one"
            yield about("reports.left_out_column", Severity.INFO, index, what)
        else:
            what = "is not known and was not imported; a mapping can name it"
            yield about("reports.unknown_column", Severity.INFO, index, what)
    for index, head in enumerate(export.heads):
        if head in lies:
            name, held = lies[head]
            what = f"is called {name} and holds values of another kind ({held}): it was not imported; a mapping can name it"
            yield about("reports.lying_head", Severity.WARNING, index, what)
        elif head in heads.by_pinyin:
            name = next(name for name, chosen in heads.columns.items() if head in chosen)
            yield about("reports.pinyin_head", Severity.INFO, index, f"was read as {name} by its initials")


def _about_cells(export: Export, heads: Heads, site: str, source: str) -> Iterator[Finding]:
    imported = {head for chosen in heads.columns.values() for head in chosen}
    faults = (
        ("reports.ruined_number", export.ruined,
         "numbers of {} have lost digits, because a spreadsheet keeps 15 of them, and were left empty", "text"),
        ("reports.uncomputed_formula", export.uncomputed, "formulas of {} have no result and were left empty", "values"),
    )  # fmt: skip
    for rule, places, what, wanted in faults:
        for head, count in Counter(head for _, head in places if head in imported).items():
            index = export.heads.index(head)
            first = min(number for number, of_place in places if of_place == head)
            yield Finding(
                rule, Severity.WARNING,
                f"{count} {what.format(shown_head(export.heads, index))}; the first stands in row {first} of {source}; "
                f"export the column as {wanted}",
                stage="reports", site=site, table="reports", subject=f"{source} column {index + 1}", count=count,
            )  # fmt: skip
    for number in export.unnamed:
        yield Finding(
            "reports.unnamed_column", Severity.INFO, f"column {number} of {source} has no head and was not imported",
            stage="reports", site=site, table="reports", subject=f"{source} column {number}",
        )  # fmt: skip


_LOST = {
    "reports.row_misfit": (Severity.ERROR, "has more or fewer cells than there are heads"),
    "reports.row_undecodable": (Severity.ERROR, "is not in the encoding of the rest of the file"),
    "reports.joined_row": (Severity.ERROR, f"holds several reports joined by {_JOIN} that cannot be told apart"),
    "reports.no_accession": (Severity.ERROR, "has no usable accession number"),
    "reports.test_row": (Severity.INFO, "is a test of the laboratory's system, by its name or number,"),
}


@dataclass(slots=True)
class _LostRows:
    """Findings about rows that are not imported: of a million, most are only counted."""

    site: str
    source: str
    counts: Counter[str] = field(default_factory=Counter)

    def row(self, rule: str, number: int) -> Iterator[Finding]:
        self.counts[rule] += 1
        if self.counts[rule] <= _MOST_NAMED:
            yield self._finding(rule, f"row {number} of {self.source} {_LOST[rule][1]}", f"{self.source} row {number}", 1)

    def rest(self) -> Iterator[Finding]:
        for rule, count in self.counts.items():
            if count > _MOST_NAMED:
                more = count - _MOST_NAMED
                what = f"each of {more} more rows of {self.source} {_LOST[rule][1]}"
                yield self._finding(rule, what, self.source, more)

    def _finding(self, rule: str, what: str, subject: str, count: int) -> Finding:
        return Finding(
            rule, _LOST[rule][0], f"{what} and was not imported",
            stage="reports", site=self.site, table="reports", subject=subject, count=count,
        )  # fmt: skip


class _RowReader:
    """What the cells of a row say of one report, or of several that are joined in it."""

    def __init__(self, export: Export, heads: Heads, rows: ReportRows) -> None:
        self._export = export
        self._heads = heads
        self._rows = rows
        places = {head: index for index, head in enumerate(export.heads) if head}
        self._places = {head: places[head] for chosen in heads.columns.values() for head in chosen}
        self._plan = [
            (name, places[chosen[0]], [places[head] for head in chosen[1:]]) for name, chosen in heads.columns.items()
        ]
        self._positions = {head: _inpatient_position(head) for head in heads.columns.get("patient_id", ())}
        self._joined = {head: True for head, position in self._positions.items() if position is not None}
        self._telling = {head for name in _TELLING for head in heads.columns.get(name, ())}

    def reports(self, cells: Sequence[str], number: int) -> Iterator[dict[str, str] | None]:
        """Texts by name of each report; None for a row whose cells are joined of different numbers of parts."""
        texts = {}
        joined = False
        for name, first, others in self._plan:
            text = clean(cells[first])
            if not text and others:
                text = next((other for index in others if (other := clean(cells[index]))), "")
            if _JOIN in text:
                joined = True
            texts[name] = text
        if not joined:
            if "/" in texts.get("patient_id", ""):
                by_head = {head: clean(cells[self._places[head]]) for head in self._heads.columns["patient_id"]}
                texts["patient_id"] = self._patient_number(by_head, number)
            yield texts
            return
        for of_report in self._separated({head: clean(cells[index]) for head, index in self._places.items()}):
            if of_report is None:
                yield None
            else:
                texts = {name: self._heads.cell(of_report, name) for name in self._heads.columns}
                if "patient_id" in texts:
                    texts["patient_id"] = self._patient_number(of_report, number)
                yield texts

    def _separated(self, cells: Dict[str, str]) -> list[dict[str, str] | None]:
        """The reports of a row, where what tells them apart is joined too; else the row, its parts as lines."""
        parts = {head: [part.strip() for part in cell.split(_JOIN)] for head, cell in cells.items() if _JOIN in cell}
        if not self._telling & parts.keys():
            return [{head: cell.replace(_JOIN, "\n") for head, cell in cells.items()}]
        counts = {len(of_cell) for of_cell in parts.values()}
        if len(counts) > 1:
            return [None]
        return [{**cells, **{head: of_cell[index] for head, of_cell in parts.items()}} for index in range(counts.pop())]

    def _patient_number(self, cells: Dict[str, str], number: int) -> str:
        """The first number of the patient, where a column holds two, joined by a slash."""
        for head in self._heads.columns["patient_id"]:
            parts = [part.strip() for part in cells[head].split("/")]
            given = [part for part in parts if part]
            if len(parts) == 1 or not self._is_joined(head, cells[head]):
                given = [cells[head]] if cells[head] else []
            if len(given) == 1:
                return given[0]
            position = self._positions[head]
            if given and position is not None and len(parts) == 2:
                return parts[position]
            if given:
                self._rows.trouble("patient_id", "reports.two_numbers", number)
        return ""

    def _is_joined(self, head: str, cell: str) -> bool:
        """Whether a column joins two numbers by a slash (``12345/``, ``/A678``).

        A slash inside the numbers of a column none of which begins or ends with one is part of them. Only a column that has
        one inside is looked through for that, once.
        """
        if head not in self._joined and _has_an_edge(cell):
            self._joined[head] = True
        if head not in self._joined:
            index = self._places[head]
            self._joined[head] = any(
                _has_an_edge(clean(cells[index])) for _, cells in self._export.lines() if not isinstance(cells, Loss)
            )
        return self._joined[head]


def _has_an_edge(cell: str) -> bool:
    return len(cell) > 1 and (cell[0] == "/" or cell[-1] == "/")


def _inpatient_position(head: str) -> int | None:
    """Which of two numbers in a cell is the inpatient's, by the head of their column."""
    folded = fold_head(head)
    inpatient, outpatient = folded.find("住院"), folded.find("门诊")
    position = int(inpatient > outpatient) if min(inpatient, outpatient) >= 0 else None
    return 1 if folded == "fmzhorzyh" else position
