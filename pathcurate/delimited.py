"""Tables as hospitals export them (CSV, TSV, Excel, HTML saved as .xls): every cell as text, every row numbered.

A file of text is read row by row, whatever its size; of it, no more than a line is held. Workbooks and pages are held.
"""

import csv
import io
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.htmltable import declared_encoding, is_html, read_tables
from pathcurate.spreadsheet import Grid, is_workbook, read_grids
from pathcurate.text.fileencoding import FileEncoding, find_encoding, given_encoding
from pathcurate.text.heads import count_known, fold_head

_SEPARATORS = (",", "\t", ";", "|")
_CELL_LIMIT = 16 << 20
_LINE_LIMIT = 64 << 20
_LONG_LINE = "a line exceeds 64 MB"
_HELD_LIMIT = 1 << 30
"""Most bytes of a workbook or page, which are held as a whole."""
_MISSING = frozenset({"", "null", "none", "nan", "n/a", "#n/a", "[not available]", "无", "—", "-"})
_LONGEST_MISSING = max(map(len, _MISSING))
# What heads never are but a patient's values often: a file without heads has its first patient where the heads should be.
_HEAD_LIMIT = 40
_VALUE = re.compile(
    r"(?:\D*\d){5}.*|\d{1,3}\s*(?:岁|月|天|周|y|yrs?|years?)|\d+[-/.年]\d+.*|[男女是否有无]|male|female|[mfyn\d]|yes|no",
    re.DOTALL,
)
_TITLE_ROWS = 30
_ROW = re.compile(r'[\r\n]*((?:"[^"]*"|[^"\r\n])*)')
_LINE_END = re.compile(r"_x000D_|%Enter%|\$\$")
_MARK_BYTES = 65536
_SEPARATOR_SIGNS = 1 << 18
_BUFFER = 1 << 20
_XML_SPREADSHEET = b"urn:schemas-microsoft-com:office:spreadsheet"
_FEWEST_REPEATED = 2


class Loss(StrEnum):
    """Why a row cannot be used; its value ends the name of the rule of its finding."""

    MISFIT = "row_misfit"
    UNDECODABLE = "row_undecodable"


Line = tuple[int, Sequence[str] | Loss]
"""Number of a row, and its raw cells or why it has none.

The file's first row is row 1; a quoted line break does not count.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number and its cells by head."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Export:
    """A table whose heads are known and whose rows are read when they are asked for.

    Attributes:
        heads: column heads, outer spaces removed; empty where a column has none.
        encoding: Python's name of the encoding used; None for a workbook.
        head_row: number of the row of heads; it is not 1 if titles stand above it.
        ruined: row number and head of numbers that a spreadsheet robbed of digits; their cells are empty.
        uncomputed: row number and head of formulas without a result; their cells are empty.
        unnamed: numbers of columns that have cells but no head; a file of text has them as misfits.
        epoch: the day that is 0 where dates are numbers; None if that is not known.
        lines: reads the rows below the heads, from the first one each time it is called; empty rows and repeated heads are
            left out. A row has as many cells as there are heads, or only empty ones more, or only columns without a head
            fewer; :func:`clean` makes the values of them. It raises a UsageError that names the row if the file is broken.
    """

    heads: tuple[str, ...]
    encoding: str | None
    head_row: int
    ruined: tuple[tuple[int, str], ...]
    uncomputed: tuple[tuple[int, str], ...]
    unnamed: tuple[int, ...]
    epoch: date | None
    lines: Callable[[], Iterator[Line]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of an export, all of it.

    Attributes:
        heads: column heads, outer spaces removed; empty where a column has none.
        rows: rows with as many cells as there are heads; empty cells at the end are not counted, empty rows are left out.
        misfits: numbers of rows with more or fewer cells, with one cell over several columns, or with bytes that cannot be
            decoded; they cannot be trusted.
        encoding: Python's name of the encoding used; None for a workbook.
        head_row: number of the row of heads; it is not 1 if titles stand above it.
        ruined: row number and head of numbers that a spreadsheet robbed of digits; their cells are empty.
        unnamed: numbers of columns that have cells but no head; a file of text has them as misfits.
        epoch: the day that is 0 where dates are numbers; None if that is not known.
    """

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    misfits: tuple[int, ...]
    encoding: str | None
    head_row: int = 1
    ruined: tuple[tuple[int, str], ...] = ()
    unnamed: tuple[int, ...] = ()
    epoch: date | None = None


def read_sheet(
    path: Path, encoding: str | None = None, sheet: str | None = None, *, expected: Collection[str] = ()
) -> Sheet:
    """Read a table as text, all of it; arguments and errors as of :func:`open_export`."""
    export = open_export(path, encoding, sheet, expected=expected)
    rows, misfits = [], []
    for number, cells in export.lines():
        if isinstance(cells, Loss):
            misfits.append(number)
        else:
            rows.append(Row(number, {head: clean(cell) for head, cell in zip(export.heads, cells, strict=False) if head}))
    return Sheet(
        export.heads, tuple(rows), tuple(misfits), export.encoding, export.head_row, export.ruined, export.unnamed,
        export.epoch,
    )  # fmt: skip


def open_export(
    path: Path, encoding: str | None = None, sheet: str | None = None, *, expected: Collection[str] = ()
) -> Export:
    """Open a table and find its heads; what kind of file it is, its content says.

    Of a workbook, the sheet that is named, else the first visible one with two known heads, else the one with most;
    of a page, likewise. The row of heads is the one with most known heads, if only titles stand above it, else the first.

    Args:
        path: the file.
        encoding: Python's name of the encoding; detected if None.
        sheet: name of the sheet of a workbook.
        expected: heads that are known besides the shipped ones.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it cannot be decoded or parsed, has no head row, or not the sheet that is named.
    """
    known = frozenset(map(fold_head, expected))
    try:
        with path.open("rb") as file:
            start = file.read(_MARK_BYTES)
            is_held = is_workbook(start) or is_html(start)
            if not is_held:
                _refuse_other(path.name, start, sheet)
                file.seek(0)
                found = given_encoding(file, encoding, path.name) if encoding else find_encoding(file, path.name)
                return _of_text(path, found, known)
            data = start + file.read(_HELD_LIMIT)
    except OSError as error:
        raise _unreadable(path.name, error) from None
    if len(data) > _HELD_LIMIT:
        raise UsageError(f"{path.name} is too large for a workbook or a page (1 GB)", "Export the table as CSV.")
    if is_workbook(start):
        return _of_grids(read_grids(data, path.name, sheet), path.name, known, None)
    _refuse_other(path.name, start, sheet)
    text, used = decode(data, encoding or declared_encoding(data), path.name)
    try:
        tables = read_tables(text)
    except OverflowError:
        raise UsageError(f"{path.name} is too large for a page (20 million cells)", "Export the table as CSV.") from None
    return _of_grids(iter(tables), path.name, known, used)


def _unreadable(name: str, error: OSError) -> InputOutputError:
    return InputOutputError(
        f"{name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
    )


def _refuse_other(name: str, start: bytes, sheet: str | None) -> None:
    if sheet is not None:
        raise UsageError(f"{name} is no workbook and has no sheets", "Remove `sheet` from its mapping.")
    if _XML_SPREADSHEET in start:
        raise UsageError(f"{name} is an XML spreadsheet of 2003", "Open it in a spreadsheet program and save it as .xlsx.")


def decode(data: bytes, encoding: str | None, name: str) -> tuple[str, FileEncoding]:
    """Decode by the given encoding, else by the one that :func:`~pathcurate.text.fileencoding.find_encoding` finds.

    Raises:
        UsageError: no encoding fits.
    """
    file = io.BytesIO(data)
    found = given_encoding(file, encoding, name) if encoding else find_encoding(file, name)
    # A mark that the encoding does not take for one would hide the quotes of the first head.
    return data[found.mark :].decode(found.codec, found.errors).removeprefix("\ufeff"), found


def _of_grids(grids: Iterator[Grid], name: str, expected: frozenset[str], encoding: FileEncoding | None) -> Export:
    best: tuple[int, Grid, int] | None = None
    for grid in grids:
        index = _head_index(grid.rows, expected, frozenset(area[0] for area in grid.wide))
        known = count_known(grid.rows[index], expected)
        if best is None or known > best[0]:
            best = known, grid, index
        # One word that is a head somewhere can stand in any sheet of notes.
        if known > 1:
            break
    if best is None:
        raise UsageError(f"{name} has no head row", "The first row must name the columns.")
    return _of_grid(best[1], best[2], name, encoding)


def _head_index(rows: Sequence[Sequence[str]], expected: frozenset[str], wide: frozenset[int] = frozenset()) -> int:
    """The row with most known heads, if all above it are titles: half as many cells, or heads of groups; else the first."""
    first = next((index for index, row in enumerate(rows) if any(row)), 0)
    counts = [count_known(row, expected) for row in rows[: first + _TITLE_ROWS]]
    best = max(range(len(counts)), key=counts.__getitem__, default=first)
    limit = len(set(filter(None, rows[best]))) / 2 if rows else 0
    titles = all(len(set(filter(None, row))) <= limit or index in wide for index, row in enumerate(rows[:best]))
    return best if best > first and counts[best] > max(1, counts[first]) and titles else first


def _of_grid(grid: Grid, index: int, name: str, encoding: FileEncoding | None) -> Export:
    covered = {(index, column) for top, left, bottom, right in grid.wide if top <= index <= bottom
               for column in range(left + 1, right + 1)}  # fmt: skip
    heads = tuple("" if (index, column) in covered else clean(cell) for column, cell in enumerate(grid.rows[index]))
    _check_heads(heads, name)
    torn = {row for top, left, bottom, right in grid.wide if sum(map(bool, heads[left : right + 1])) > 1
            for row in range(top, bottom + 1)}  # fmt: skip

    def lines() -> Iterator[Line]:
        is_row = _row_test(heads)
        for number, cells in enumerate(itertools.islice(grid.rows, index + 1, None), start=index + 2):
            if is_row(cells):
                lost = encoding is not None and encoding.is_lost(cells)
                yield number, Loss.UNDECODABLE if lost else Loss.MISFIT if number - 1 in torn else cells

    nameless = [column for column, head in enumerate(heads) if not head]
    used = (cells for _, cells in (lines() if nameless else ()) if not isinstance(cells, Loss))
    unnamed = {column + 1 for cells in used for column in nameless if clean(cells[column])}
    ruined, uncomputed = (
        tuple((row + 1, heads[column]) for row, column in places if row > index and heads[column])
        for places in (grid.ruined, grid.uncomputed)
    )
    used_encoding = encoding.name if encoding else None
    return Export(heads, used_encoding, index + 1, ruined, uncomputed, tuple(sorted(unnamed)), grid.epoch, lines)


def _of_text(path: Path, encoding: FileEncoding, expected: frozenset[str]) -> Export:
    with _open_text(path, encoding) as text:
        try:
            separator = _separator(text.read(_SEPARATOR_SIGNS))
        except OverflowError:
            raise _invalid(path.name, 1, _LONG_LINE) from None
    top = list(itertools.islice(_numbered(path, encoding, separator), _TITLE_ROWS))
    index = _head_index([[cell.strip() for cell in cells] for _, cells in top], expected)
    # Without a head that is known, nothing but the first row can be the heads.
    if not top or not count_known(top[index][1], expected):
        index = 0
    head_line = top[index][1] if top else []
    if encoding.is_lost(head_line):
        raise UsageError(
            f"{path.name}: the heads in row {index + 1} are not in the encoding of the file ({encoding.name})",
            "Export the file again, in one encoding.",
        )
    heads = tuple(head.strip() for head in head_line)
    _check_heads(heads, path.name)
    # Spreadsheets end some rows with empty cells and leave them out of others.
    needed = max(place + 1 for place, head in enumerate(heads) if head)
    width = len(heads)

    def lines() -> Iterator[Line]:
        is_row = _row_test(heads)
        may_be_lost = encoding.damaged or encoding.mixed
        for number, cells in itertools.islice(_numbered(path, encoding, separator), index + 1, None):
            if not is_row(cells):
                continue
            if may_be_lost and encoding.is_lost(cells):
                yield number, Loss.UNDECODABLE
            elif len(cells) < needed or (len(cells) > width and any(map(clean, cells[width:]))):
                yield number, Loss.MISFIT
            else:
                yield number, cells

    return Export(heads, encoding.name, index + 1, (), (), (), None, lines)


class _Blocks(io.RawIOBase):
    """A file that ends with an OverflowError where a line is longer than any table's, before it is held."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._length = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._file.read(len(buffer))
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._length = len(block) - end if end >= 0 else self._length + len(block)
        if self._length > _LINE_LIMIT:
            raise OverflowError
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_text(path: Path, encoding: FileEncoding) -> io.TextIOWrapper:
    file = path.open("rb")
    file.seek(encoding.mark)
    blocks = io.BufferedReader(_Blocks(file), _BUFFER)
    return io.TextIOWrapper(blocks, encoding=encoding.codec, errors=encoding.errors, newline="")


def _numbered(path: Path, encoding: FileEncoding, separator: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_CELL_LIMIT)
    number = 0
    try:
        with _open_text(path, encoding) as text:
            for cells in csv.reader(_unmarked(text), delimiter=separator, strict=True):
                number += 1
                yield number, cells
    except OSError as error:
        raise _unreadable(path.name, error) from None
    except csv.Error:
        raise _invalid(path.name, number + 1, "a quote is not closed or a cell exceeds 16 MB") from None
    except OverflowError:
        raise _invalid(path.name, number + 1, _LONG_LINE) from None
    except UnicodeError:
        raise _invalid(path.name, number + 1, "the file was changed while it was read") from None


def _invalid(name: str, row: int, why: str) -> UsageError:
    return UsageError(f"{name}: row {row} is not valid CSV ({why})", "Export the file again, or correct the row.")


def _unmarked(text: Iterable[str]) -> Iterator[str]:
    """Lines without the mark of an encoding that does not take it for one, as GB18030."""
    lines = iter(text)
    first = next(lines, None)
    return lines if first is None else itertools.chain([first.removeprefix("\ufeff")], lines)


def _check_heads(heads: Sequence[str], name: str) -> None:
    if not any(heads):
        raise UsageError(f"{name} has no head row", "The first row must name the columns.")
    repeated = sorted({index + 1 for index, head in enumerate(heads) if head and head in heads[:index]})
    if repeated:
        raise UsageError(
            f"{name}: column {repeated[0]} has the same head as an earlier one", "Give every column a head of its own."
        )


def _row_test(heads: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Whether a row is one: it says something, and is not the heads again.

    Printed pages begin with the heads, and so does a head that is merged over two rows; a copied head may have lost some.
    """
    first = next(index for index, head in enumerate(heads) if head)

    def is_row(cells: Sequence[str]) -> bool:
        # Most rows begin with a cell that is not empty and no head, which is quickly seen.
        beginning = clean(cells[first]) if len(cells) > first else ""
        if beginning and beginning != heads[first]:
            return True
        cleaned = list(map(clean, cells))
        given = sum(map(bool, cleaned))
        same = sum(cell == head for cell, head in zip(cleaned, heads, strict=False) if head)
        return given > 0 and not (same == given or (same >= _FEWEST_REPEATED and 2 * same > given))

    return is_row


def _separator(text: str) -> str:
    """The separator that splits the first row into most cells, or the first that any splits, below titles of one cell."""
    start = 0
    for _ in range(_TITLE_ROWS):
        row = _ROW.match(text, start)
        unquoted = re.sub(r'"[^"]*"', "", row[1] if row else "")
        best = max(_SEPARATORS, key=unquoted.count)
        if best in unquoted or row is None or row.end() == start:
            return best
        start = row.end()
    return _SEPARATORS[0]


def clean(cell: str) -> str:
    """A cell without what exports leave in it: outer spaces, NUL, line ends as ``_x000D_``, ``%Enter%`` or ``$$``.

    Words for missing are empty.
    """
    if "\x00" in cell:
        cell = cell.replace("\x00", "")
    if "$$" in cell or "_x000D_" in cell or "%Enter%" in cell:
        cell = _LINE_END.sub("\n", cell)
    cell = cell.strip()
    return "" if len(cell) <= _LONGEST_MISSING and cell.lower() in _MISSING else cell


def shown_head(heads: tuple[str, ...], index: int) -> str:
    """A head as a message may show it: in backticks, or only its number if any of the heads might be a patient's value."""
    if any(len(head) > _HEAD_LIMIT for head in heads) or any(_VALUE.fullmatch(head.lower()) for head in heads):
        return f"column {index + 1}"
    return f"`{heads[index]}`"
