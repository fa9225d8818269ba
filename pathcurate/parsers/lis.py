"""Laboratory system exports as CSV, TSV, Excel or HTML table: one row per report, or several reports joined in one."""

from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pathcurate.delimited import Row, Sheet, read_sheet, shown_head
from pathcurate.errors import UsageError
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.report import TEXT_COLUMNS
from pathcurate.text.accession import AccessionPatterns
from pathcurate.text.heads import Heads, fold_head, resolve
from pathcurate.text.kinds import kind
from pathcurate.text.reportrow import ReportRows
from pathcurate.workspace import Mapping

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
    "accession": _IN_A_NUMBER,
    "patient_id": _IN_A_NUMBER,
    "id_number": _IN_A_NUMBER,
    **dict.fromkeys((*TEXT_COLUMNS, "specimen_sites"), frozenset({"identity card", "telephone", "name"})),
}


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
    sheet = read_mapped(path, mapping)
    heads = resolve("reports", sheet.heads, mapping.columns, path.name)
    lies = lying_heads(sheet, heads, mapping)
    heads = without(heads, lies)
    if "accession" not in heads.columns:
        raise UsageError(
            f"{path.name}: no column is recognised as the accession number (病理号)",
            "Write a mapping file with `columns: {accession: …}` and name it in pathcurate.yaml.",
        )
    yield from _about_heads(sheet, heads, lies, site, path.name)
    yield from _about_cells(sheet, heads, site, path.name)
    rows = ReportRows(site, patterns, mapping, path.name, sheet.epoch)
    for number in sheet.misfits:
        yield _lost_row("reports.row_misfit", "has more or fewer cells than there are heads", number, site, path.name)
    reader = _RowReader(sheet, heads, rows)
    for row in sheet.rows:
        for cells in _separated(row.cells, heads):
            parsed = None if cells is None else reader.report(Row(row.number, cells))
            if cells is None:
                what = f"holds several reports joined by {_JOIN} that cannot be told apart"
                yield _lost_row("reports.joined_row", what, row.number, site, path.name)
            elif parsed is None:
                yield _lost_row("reports.no_accession", "has no usable accession number", row.number, site, path.name)
            else:
                yield parsed
    yield from rows.findings()


def read_mapped(path: Path, mapping: Mapping) -> Sheet:
    """The table of a file, as its mapping says where it is; errors as of :func:`~pathcurate.delimited.read_sheet`."""
    expected = [head for heads in mapping.columns.values() for head in heads]
    return read_sheet(path, mapping.encoding, mapping.sheet, expected=expected)


def lying_heads(sheet: Sheet, heads: Heads, mapping: Mapping) -> dict[str, tuple[str, str]]:
    """Heads whose values would do harm in the column that they name: head to column and kind of value.

    A head that the mapping names is what the mapping says.
    """
    found = {}
    for name, chosen in heads.columns.items():
        for head in chosen if name not in mapping.columns and name in _LIES else ():
            held = kind([row.cells[head] for row in sheet.rows])
            if held in _LIES[name]:
                found[head] = (name, str(held))
    return found


def without(heads: Heads, left: Collection[str]) -> Heads:
    """Resolved heads without some, which count as neither known nor unknown."""
    columns = {name: tuple(head for head in chosen if head not in left) for name, chosen in heads.columns.items()}
    return replace(heads, columns={name: chosen for name, chosen in columns.items() if chosen})


def _about_heads(sheet: Sheet, heads: Heads, lies: dict[str, tuple[str, str]], site: str, source: str) -> Iterator[Finding]:
    def about(rule: str, severity: Severity, index: int, what: str) -> Finding:
        return Finding(
            rule, severity, f"{shown_head(sheet.heads, index)} of {source} {what}",
            stage="reports", site=site, table="reports", subject=f"{source} column {index + 1}",
        )  # fmt: skip

    for index in heads.unknown:
        if index in heads.left_out:
            what = f"({heads.left_out[index]}) has no column in `reports` and was not imported; a mapping can name one"
            yield about("reports.left_out_column", Severity.INFO, index, what)
        else:
            what = "is not known and was not imported; a mapping can name it"
            yield about("reports.unknown_column", Severity.INFO, index, what)
    for head in sheet.heads:
        index = sheet.heads.index(head)
        if head in lies:
            name, held = lies[head]
            what = f"is called {name} and holds values of another kind ({held}): it was not imported; a mapping can name it"
            yield about("reports.lying_head", Severity.WARNING, index, what)
        elif head in heads.by_pinyin:
            name = next(name for name, chosen in heads.columns.items() if head in chosen)
            yield about("reports.pinyin_head", Severity.INFO, index, f"was read as {name} by its initials")


def _about_cells(sheet: Sheet, heads: Heads, site: str, source: str) -> Iterator[Finding]:
    imported = {head for chosen in heads.columns.values() for head in chosen}
    for head in dict.fromkeys(head for _, head in sheet.ruined if head in imported):
        rows = [number for number, ruined in sheet.ruined if ruined == head]
        index = sheet.heads.index(head)
        yield Finding(
            "reports.ruined_number", Severity.WARNING,
            f"{len(rows)} numbers of {shown_head(sheet.heads, index)} have lost digits, because a spreadsheet keeps 15 of "
            f"them, and were left empty; the first stands in row {rows[0]} of {source}; export the column as text",
            stage="reports", site=site, table="reports", subject=f"{source} column {index + 1}", count=len(rows),
        )  # fmt: skip
    for number in sheet.unnamed:
        yield Finding(
            "reports.unnamed_column", Severity.INFO, f"column {number} of {source} has no head and was not imported",
            stage="reports", site=site, table="reports", subject=f"{source} column {number}",
        )  # fmt: skip


def _separated(cells: Dict[str, str], heads: Heads) -> list[dict[str, str] | None]:
    """The reports of a row: itself; or each of those that are joined in it, where what tells them apart is joined too.

    None stands for a row whose cells are joined of different numbers of parts.
    """
    if not any(_JOIN in cell for cell in cells.values()):
        return [dict(cells)]
    imported = {head for chosen in heads.columns.values() for head in chosen}
    parts = {head: [part.strip() for part in cells[head].split(_JOIN)] for head in imported if _JOIN in cells[head]}
    telling = {head for name in _TELLING for head in heads.columns.get(name, ())}
    if not telling & parts.keys():
        return [{head: cell.replace(_JOIN, "\n") for head, cell in cells.items()}]
    counts = {len(of_cell) for of_cell in parts.values()}
    if len(counts) > 1:
        return [None]
    return [{**cells, **{head: of_cell[index] for head, of_cell in parts.items()}} for index in range(counts.pop())]


def _lost_row(rule: str, what: str, number: int, site: str, source: str) -> Finding:
    return Finding(
        rule, Severity.ERROR, f"row {number} of {source} {what} and was not imported",
        stage="reports", site=site, table="reports", subject=f"{source} row {number}",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _RowReader:
    """What is needed to make a report of a row."""

    sheet: Sheet
    heads: Heads
    rows: ReportRows
    joined: dict[str, int | None] = field(init=False)

    def __post_init__(self) -> None:
        found = {head: _joined_numbers(self.sheet, head) for head in self.heads.columns.get("patient_id", ())}
        joined = {head: position for head, (is_joined, position) in found.items() if is_joined}
        object.__setattr__(self, "joined", joined)

    def report(self, row: Row) -> dict[str, Any] | None:
        texts = {name: self.heads.cell(row.cells, name) for name in self.heads.columns}
        if self.joined:
            texts["patient_id"] = self._patient_number(row)
        return self.rows.row(texts, row.number)

    def _patient_number(self, row: Row) -> str:
        """The first number of the patient, where a column holds two, joined by a slash."""
        for head in self.heads.columns["patient_id"]:
            parts = [part.strip() for part in row.cells[head].split("/")]
            given = [part for part in parts if part]
            if head not in self.joined or len(parts) == 1:
                given = [row.cells[head]] if row.cells[head] else []
            if len(given) == 1:
                return given[0]
            position = self.joined.get(head)
            if given and position is not None and len(parts) == 2:
                return parts[position]
            if given:
                self.rows.trouble("patient_id", "reports.two_numbers", row.number)
        return ""


def _joined_numbers(sheet: Sheet, head: str) -> tuple[bool, int | None]:
    """Whether a column joins two numbers by a slash (``12345/``, ``/A678``), and which of them is the inpatient's.

    A slash inside the numbers of a column none of which begins or ends with one is part of them.
    """
    folded = fold_head(head)
    inpatient, outpatient = folded.find("住院"), folded.find("门诊")
    position = int(inpatient > outpatient) if min(inpatient, outpatient) >= 0 else None
    position = 1 if folded == "fmzhorzyh" else position
    edges = any(cell[0] == "/" or cell[-1] == "/" for row in sheet.rows if len(cell := row.cells[head]) > 1)
    return edges or position is not None, position
