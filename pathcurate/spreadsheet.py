"""Workbooks (.xlsx, .xlsb, .xls) as grids of text: what a person sees in the cells, and which cells cannot be trusted."""

import io
import lzma
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import IO, Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from pathcurate.errors import UsageError

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# Excel keeps 15 digits of a number; what follows them in an identity number or a barcode is zeros of its own.
_EXACT = 10**15
_LARGEST = 2 << 30
_MOST_CELLS = 50_000_000
_CELL = re.compile(rb"""\br(?:ef)?=["'](?:[A-Z]+[0-9]+:)?([A-Z]+)([0-9]+)["']|<row\b[^>]*\br=["']([0-9]+)["']""")
_BLOCK = 1 << 24
# A broken cell in the last corner of a binary sheet makes the library ask for more memory than there is, which ends the
# process; so another one opens it first.
_TRIAL = """
import io, resource, sys
from python_calamine import CalamineError, CalamineWorkbook
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
try:
    with CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read())) as workbook:
        for sheet in workbook.sheet_names:
            workbook.get_sheet_by_name(sheet)
except (CalamineError, ValueError, OverflowError):
    pass
"""
_TRIAL_SECONDS = 300
_SYSTEM_1904 = re.compile(rb"<(?:\w+:)?workbookPr\b[^>]*\bdate1904=[\"'](?:1|true|on)[\"']")
# What zipfile raises for archives that are cut, changed or locked.
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, EOFError, OSError, KeyError)
_ADVICE = "Open it in a spreadsheet program and save it as .xlsx without a password, or as CSV."

Range = tuple[int, int, int, int]
"""First row, first column, last row, last column; counted from 0, the last ones included."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of one sheet or table.

    Attributes:
        rows: rows of equal length, from the sheet's first row and column on.
        wide: ranges of merged cells that cover more than one column.
        ruined: row and column, from 0, of numbers that lost digits; their cells are empty.
        epoch: the day that is 0 where dates are numbers; None if that is not known.
    """

    rows: list[list[str]]
    wide: tuple[Range, ...] = ()
    ruined: tuple[tuple[int, int], ...] = ()
    epoch: date | None = None


def is_workbook(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a workbook's container, a ZIP archive or an OLE file."""
    return head.startswith((_ZIP, _OLE))


def read_grids(data: bytes, name: str, wanted: str | None = None) -> Iterator[Grid]:
    """The sheets of a workbook that a person sees and that are not empty, in their order.

    A vertically merged cell is the value of all its rows; a horizontally merged one stays in its first column. Dates are
    ISO text, whole numbers have no tail, formulas are their last result, errors (``#N/A``) are empty.

    Args:
        data: the file.
        name: its name, for messages.
        wanted: name of the one sheet to read, also if it is hidden.

    Raises:
        UsageError: no workbook, a broken or protected one, one that is too large, or without the sheet that is wanted.
    """
    _check_size(data, name)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            epoch = _epoch(data)
            for sheet_name in _sheet_names(workbook, name, wanted):
                sheet = workbook.get_sheet_by_name(sheet_name)
                if sheet.total_height * sheet.total_width > _MOST_CELLS:
                    raise _too_large(name)
                grid = _grid(sheet, epoch)
                if any(map(any, grid.rows)):
                    yield grid
    except PasswordError:
        raise _protected(name) from None
    except (CalamineError, ValueError, OverflowError, *_BROKEN_ZIP) as error:
        if _ENCRYPTED in data:
            raise _protected(name) from None
        raise UsageError(f"{name} is no workbook that can be read ({type(error).__name__})", _ADVICE) from None


def _protected(name: str) -> UsageError:
    return UsageError(f"{name} is protected by a password", _ADVICE)


def _sheet_names(workbook: CalamineWorkbook, name: str, wanted: str | None) -> list[str]:
    there = [sheet for sheet in workbook.sheets_metadata if sheet.typ is SheetTypeEnum.WorkSheet]
    if wanted is None:
        return [sheet.name for sheet in there if sheet.visible is SheetVisibleEnum.Visible]
    if wanted not in [sheet.name for sheet in there]:
        raise UsageError(
            f"{name} has no sheet `{wanted}`, which its mapping names", "Correct `sheet` in the mapping, or remove it."
        )
    return [wanted]


def _check_size(data: bytes, name: str) -> None:
    """A small archive can hold gigabytes, and one stray cell in the last corner makes a grid of 17 billion."""
    if not data.startswith(_ZIP):
        _try_elsewhere(data, name)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            too_large = sum(info.file_size for info in archive.infolist()) > _LARGEST
            is_binary = "xl/workbook.xml" not in archive.namelist()
            for part in () if too_large else [item for item in archive.namelist() if item.startswith("xl/worksheets/sheet")]:
                with archive.open(part) as file:
                    too_large |= _extent(file) > _MOST_CELLS
    except _BROKEN_ZIP as error:
        raise UsageError(f"{name} is no workbook that can be read ({type(error).__name__})", _ADVICE) from None
    if is_binary and not too_large:
        _try_elsewhere(data, name)
    if too_large:
        raise _too_large(name)


def _too_large(name: str) -> UsageError:
    return UsageError(
        f"{name} is too large for a workbook (2 GB of content, or 50 million cells)",
        "Delete stray cells far below or right of the table, or export it as CSV.",
    )


def _try_elsewhere(data: bytes, name: str) -> None:
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-c", _TRIAL], input=data, capture_output=True, check=False, timeout=_TRIAL_SECONDS
        ).returncode
    except subprocess.TimeoutExpired:
        ended = 1
    if ended:
        raise UsageError(f"{name} is no workbook that can be read (its sheets do not fit into memory)", _ADVICE)


def _extent(file: IO[bytes]) -> int:
    """How many cells lie between the first of a sheet and its last row and column, whatever it says of its dimension."""
    rows = columns = 0
    tail = b""
    while block := file.read(_BLOCK):
        found = set(_CELL.findall(tail + block))
        rows = max(rows, *(int(row or row_alone) for _, row, row_alone in found), 0)
        columns = max(columns, *(_column(letters) for letters in {letters for letters, _, _ in found}), 0)
        tail = block[-64:]
    return rows * columns


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _epoch(data: bytes) -> date | None:
    if not data.startswith(_ZIP):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            return None
        # Excel's calendar has a 29 February 1900, so its later days count from the day before the year's eve.
        return date(1904, 1, 1) if _SYSTEM_1904.search(archive.read("xl/workbook.xml")) else date(1899, 12, 30)


def _grid(sheet: CalamineSheet, epoch: date | None) -> Grid:
    merged = [(*first, *last) for first, last in sheet.merged_cell_ranges or ()]
    rows: list[list[str]] = []
    ruined = []
    for cells in sheet.to_python(skip_empty_area=False):
        ruined += [(len(rows), index) for index, cell in enumerate(cells) if _is_ruined(cell)]
        rows.append([_text(cell) for cell in cells])
    width = max(map(len, rows), default=0)
    for top, left, bottom, _ in merged:
        if top < len(rows) and left < width:
            # Rows that hold nothing of their own end the sheet early.
            rows += [[""] * width for _ in range(bottom + 1 - len(rows))] if rows[top][left] else []
            for row in rows[top + 1 : bottom + 1]:
                row[left] = rows[top][left]
    wide = tuple(area for area in merged if area[3] > area[1])
    return Grid(rows, wide, tuple(ruined), epoch)


def _is_ruined(cell: Any) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= _EXACT


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, int | float):
        return "" if _is_ruined(cell) else format(cell, ".15g")
    if isinstance(cell, datetime):
        moment = (cell + timedelta(microseconds=500_000)).replace(microsecond=0)
        return moment.date().isoformat() if moment.time() == time.min else moment.isoformat(" ")
    if isinstance(cell, timedelta):
        seconds = round(cell.total_seconds())
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return str(cell.isoformat())
