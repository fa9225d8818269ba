"""Tables as hospitals export them (CSV, TSV, Excel, HTML saved as .xls): every cell as text, every row numbered."""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from charset_normalizer import from_bytes

from pathcurate.errors import InputOutputError, UsageError
from pathcurate.htmltable import declared_encoding, is_html, read_tables
from pathcurate.spreadsheet import Grid, is_workbook, read_grids
from pathcurate.text.heads import count_known, fold_head

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SEPARATORS = (",", "\t", ";", "|")
_CELL_LIMIT = 16 << 20
_MISSING = frozenset({"", "null", "none", "nan", "n/a", "#n/a", "[not available]", "无", "—", "-"})
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
_XML_SPREADSHEET = b"urn:schemas-microsoft-com:office:spreadsheet"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (the file's first row is row 1; a quoted line break does not count) and its cells by head."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of an export.

    Attributes:
        heads: column heads, outer spaces removed; empty where a column has none.
        rows: rows with as many cells as there are heads; empty cells at the end are not counted, empty rows are left out.
        misfits: numbers of rows with more or fewer cells, or with one cell over several columns; they cannot be trusted.
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
    """Read a table as text; what kind of file it is, its content says.

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
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    known = frozenset(map(fold_head, expected))
    if is_workbook(data):
        return _of_grids(read_grids(data, path.name, sheet), path.name, known)
    if sheet is not None:
        raise UsageError(f"{path.name} is no workbook and has no sheets", "Remove `sheet` from its mapping.")
    start = data[:_MARK_BYTES]
    if _XML_SPREADSHEET in start:
        raise UsageError(
            f"{path.name} is an XML spreadsheet of 2003", "Open it in a spreadsheet program and save it as .xlsx."
        )
    if is_html(start):
        text, used = decode(data, encoding or declared_encoding(data), path.name)
        return replace(_of_grids(iter(read_tables(text)), path.name, known), encoding=used)
    text, used = decode(data, encoding, path.name)
    return _parse(text, used, path.name, known)


def decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str]:
    """Decode by the given encoding, else by byte order mark, UTF-8, GB18030, Big5, in that order, each strictly.

    GB18030 stands before any guessing and is never narrowed to GBK: rare characters of names (䶮, 㛃) exist only there.

    Raises:
        UsageError: no encoding fits.
    """
    marked = [label for bom, label in _BOMS if data.startswith(bom)][:1]
    for candidate in [encoding] if encoding else [*marked, "utf-8", "gb18030", "big5"]:
        try:
            # A mark that the encoding does not take for one would hide the quotes of the first head.
            return data.removeprefix(codecs.BOM_UTF8).decode(candidate).removeprefix("\ufeff"), candidate
        except UnicodeDecodeError as error:
            if encoding:
                raise UsageError(
                    f"{name} is not {encoding}: byte {error.start} cannot be decoded",
                    "Correct or remove `encoding` in its mapping.",
                ) from None
        except LookupError:
            raise UsageError(
                f"{name}: there is no encoding called {encoding!r}", "Use a name like utf-8 or gb18030."
            ) from None
    guess = from_bytes(data).best()
    if guess is None:
        raise UsageError(f"{name} is not text in a known encoding", "Name its encoding in a mapping: `encoding: gb18030`.")
    return str(guess), guess.encoding


def _of_grids(grids: Iterator[Grid], name: str, expected: frozenset[str]) -> Sheet:
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
    return _of_grid(best[1], best[2], name)


def _head_index(rows: Sequence[Sequence[str]], expected: frozenset[str], wide: frozenset[int] = frozenset()) -> int:
    """The row with most known heads, if all above it are titles: half as many cells, or heads of groups; else the first."""
    first = next((index for index, row in enumerate(rows) if any(row)), 0)
    counts = [count_known(row, expected) for row in rows[: first + _TITLE_ROWS]]
    best = max(range(len(counts)), key=counts.__getitem__, default=first)
    limit = len(set(filter(None, rows[best]))) / 2 if rows else 0
    titles = all(len(set(filter(None, row))) <= limit or index in wide for index, row in enumerate(rows[:best]))
    return best if best > first and counts[best] > max(1, counts[first]) and titles else first


def _of_grid(grid: Grid, index: int, name: str) -> Sheet:
    covered = {(index, column) for top, left, bottom, right in grid.wide if top <= index <= bottom
               for column in range(left + 1, right + 1)}  # fmt: skip
    heads = tuple("" if (index, column) in covered else clean(cell) for column, cell in enumerate(grid.rows[index]))
    _check_heads(heads, name)
    rows, misfits, unnamed = [], [], set()
    torn = {row for top, left, bottom, right in grid.wide if sum(map(bool, heads[left : right + 1])) > 1
            for row in range(top, bottom + 1)}  # fmt: skip
    for number, raw_cells in enumerate(grid.rows[index + 1 :], start=index + 2):
        cells = [clean(cell) for cell in raw_cells]
        if not any(cells) or _repeats(cells, heads):
            continue
        if number - 1 in torn:
            misfits.append(number)
            continue
        unnamed |= {column + 1 for column, cell in enumerate(cells) if cell and not heads[column]}
        rows.append(Row(number, {head: cell for head, cell in zip(heads, cells, strict=True) if head}))
    ruined = tuple((row + 1, heads[column]) for row, column in grid.ruined if row > index and heads[column])
    return Sheet(heads, tuple(rows), tuple(misfits), None, index + 1, ruined, tuple(sorted(unnamed)), grid.epoch)


def _parse(text: str, encoding: str, name: str, expected: frozenset[str]) -> Sheet:
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    lines = _numbered(reader, name)
    top = list(itertools.islice(lines, _TITLE_ROWS))
    index = _head_index([[cell.strip() for cell in cells] for _, cells in top], expected)
    # Without a head that is known, nothing but the first row can be the heads.
    if not top or not count_known(top[index][1], expected):
        index = 0
    heads = tuple(head.strip() for _, head_line in top[index : index + 1] for head in head_line)
    _check_heads(heads, name)
    # Spreadsheets end some rows with empty cells and leave them out of others.
    needed = max(index + 1 for index, head in enumerate(heads) if head)
    rows, misfits = [], []
    for number, raw_cells in itertools.chain(top[index + 1 :], lines):
        cells = [clean(cell) for cell in raw_cells]
        if not any(cells) or _repeats(cells, heads):
            continue
        if len(cells) < needed or any(cells[len(heads) :]):
            misfits.append(number)
        else:
            rows.append(Row(number, dict(zip(heads, cells, strict=False))))
    return Sheet(heads, tuple(rows), tuple(misfits), encoding, index + 1)


def _check_heads(heads: Sequence[str], name: str) -> None:
    if not any(heads):
        raise UsageError(f"{name} has no head row", "The first row must name the columns.")
    repeated = sorted({index + 1 for index, head in enumerate(heads) if head and head in heads[:index]})
    if repeated:
        raise UsageError(
            f"{name}: column {repeated[0]} has the same head as an earlier one", "Give every column a head of its own."
        )


def _repeats(cells: Sequence[str], heads: Sequence[str]) -> bool:
    """Whether a row is the heads again: printed pages begin with them, and so does a head that is merged over two rows."""
    return len(cells) >= len(heads) and all(cell == head for cell, head in zip(cells, heads, strict=False) if head)


def _numbered(reader: Iterator[list[str]], name: str) -> Iterator[tuple[int, list[str]]]:
    number = 0
    while True:
        number += 1
        try:
            yield number, next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise UsageError(
                f"{name}: row {number} is not valid CSV (a quote is not closed or a cell exceeds 16 MB)",
                "Export the file again, or correct the row.",
            ) from None


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
    cleaned = _LINE_END.sub("\n", cell.replace("\x00", "")).strip().strip("　").strip()
    return "" if cleaned.lower() in _MISSING else cleaned


def shown_head(heads: tuple[str, ...], index: int) -> str:
    """A head as a message may show it: in backticks, or only its number if any of the heads might be a patient's value."""
    if any(len(head) > _HEAD_LIMIT for head in heads) or any(_VALUE.fullmatch(head.lower()) for head in heads):
        return f"column {index + 1}"
    return f"`{heads[index]}`"
