"""Workbooks (.xlsx, .xlsb, .xls) as grids of text: what a person sees in the cells, and which cells cannot be trusted."""

import io
import posixpath
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from pathcurate.errors import UsageError

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# Excel keeps 15 digits of a number; what follows them in an identity number or a barcode is zeros of its own.
_EXACT = 10**15
_LARGEST = 2 << 30
_MOST_CELLS = 50_000_000
_MOST_PARTS = 10_000
# Sheets of numbers shrink to a thirtieth, of nothing but empty cells to a hundredth; what is small may shrink as it likes.
_MOST_SHRUNK, _SMALL = 200, 32 << 20
_STORED, _DEFLATED = 0, 8
_LOCAL_HEADER = 30
_CELL = re.compile(rb"""\br(?:ef)?=["'](?:[A-Z]+[0-9]+:)?([A-Z]+)([0-9]+)["']|<row\b[^>]*\br=["']([0-9]+)["']""")
_BLOCK = 1 << 22
# A formula has at most 8,192 characters.
_TAIL = 1 << 16
_FORMULA = re.compile(
    rb"<(?:\w+:)?c\b([^>]*)>\s*<(?:\w+:)?f\b[^>]*?(?:/>|>[^<]*</(?:\w+:)?f>)\s*"
    rb"(<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_PLACE = re.compile(rb"""\br=["']([A-Z]+)([0-9]+)["']""")
_IS_TEXT = re.compile(rb"""\bt=["']str["']""")
_ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
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
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError, KeyError)
# What its parsers raise for XML that is broken, or declares entities.
_BROKEN_XML = (ParseError, DefusedXmlException)
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
        uncomputed: row and column, from 0, of formulas without a result; their cells are empty.
    """

    rows: list[list[str]]
    wide: tuple[Range, ...] = ()
    ruined: tuple[tuple[int, int], ...] = ()
    epoch: date | None = None
    uncomputed: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class _Contents:
    """What an archive says before anybody expands it: its calendar, and sheet to formulas without a result."""

    epoch: date | None = None
    uncomputed: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)


def is_workbook(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a workbook's container, a ZIP archive or an OLE file."""
    return head.startswith((_ZIP, _OLE))


def read_grids(data: bytes, name: str, wanted: str | None = None) -> Iterator[Grid]:
    """The sheets of a workbook that a person sees and that are not empty, in their order.

    A vertically merged cell is the value of all its rows; a horizontally merged one stays in its first column. Dates are
    ISO text, whole numbers have no tail, formulas are their last result, errors (``#N/A``) are empty.

    An archive is measured before it is read, by inflating it block by block, whatever it says of its sizes. Refused are more
    than 2 GB of content, 50 million cells, or 10,000 parts; parts that lie about their size, or above 32 MB shrink to less
    than a two-hundredth; and XML that declares entities. Macros are never run.

    Args:
        data: the file.
        name: its name, for messages.
        wanted: name of the one sheet to read, also if it is hidden.

    Raises:
        UsageError: no workbook, a broken or protected one, one that is too large, or without the sheet that is wanted.
    """
    contents = _contents(data, name)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as workbook:
            for sheet_name in _sheet_names(workbook, name, wanted):
                sheet = workbook.get_sheet_by_name(sheet_name)
                if sheet.total_height * sheet.total_width > _MOST_CELLS:
                    raise _too_large(name)
                grid = _grid(sheet, contents.epoch, contents.uncomputed.get(sheet_name, ()))
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


def _contents(data: bytes, name: str) -> _Contents:
    """Measure an archive: a small one can hold gigabytes, and one stray cell in the last corner makes 17 billion cells."""
    if not data.startswith(_ZIP):
        _try_elsewhere(data, name)
        return _Contents()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            too_large = len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _LARGEST
            if too_large or any(_shrinks_too_much(part) for part in parts):
                raise _too_large(name)
            cells, uncomputed = 0, {}
            for part in parts:
                extent, formulas = _measured(data, part)
                cells += extent
                uncomputed[part.filename] = formulas
            if cells > _MOST_CELLS:
                raise _too_large(name)
            contents = _described(data, {part.filename: part for part in parts}, uncomputed)
    except (*_BROKEN_ZIP, *_BROKEN_XML) as error:
        raise UsageError(f"{name} is no workbook that can be read ({type(error).__name__})", _ADVICE) from None
    if contents.epoch is None:
        _try_elsewhere(data, name)
    return contents


def _shrinks_too_much(part: zipfile.ZipInfo) -> bool:
    return part.file_size > _SMALL and part.file_size > _MOST_SHRUNK * part.compress_size


def _inflated(data: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """A part block by block. Python's own reader believes what the archive says of its size; other readers do not."""
    names, extra = struct.unpack_from("<HH", data, part.header_offset + 26)
    start = part.header_offset + _LOCAL_HEADER + names + extra
    packed = memoryview(data)[start : start + part.compress_size]
    if part.flag_bits & 1 or part.compress_type not in {_STORED, _DEFLATED}:
        raise zipfile.BadZipFile
    stream = zlib.decompressobj(-zlib.MAX_WBITS) if part.compress_type == _DEFLATED else None
    length = 0
    for offset in range(0, len(packed), _BLOCK):
        waiting: bytes = bytes(packed[offset : offset + _BLOCK])
        while waiting:
            block = stream.decompress(waiting, _BLOCK) if stream else waiting
            waiting = stream.unconsumed_tail if stream else b""
            length += len(block)
            if length > part.file_size:
                raise zipfile.BadZipFile
            yield block
    while stream and (block := stream.decompress(stream.unconsumed_tail, _BLOCK)):
        length += len(block)
        if length > part.file_size:
            raise zipfile.BadZipFile
        yield block
    if length != part.file_size:
        raise zipfile.BadZipFile


def _measured(data: bytes, part: zipfile.ZipInfo) -> tuple[int, tuple[tuple[int, int], ...]]:
    """How many cells a sheet spans, from its first to its last row and column, whatever it says of its dimension; and where
    its formulas without a result are. Other parts have none of both.
    """
    is_sheet = part.filename.startswith("xl/worksheets/") and part.filename.endswith(".xml")
    is_xml = part.filename.endswith((".xml", ".rels", ".vml"))
    rows = columns = 0
    formulas: dict[tuple[int, int], None] = {}
    tail = b""
    for block in _inflated(data, part):
        seen = tail + block
        if is_xml and _ENTITIES.search(seen.replace(b"\x00", b"")):
            raise zipfile.BadZipFile
        if is_sheet:
            found = set(_CELL.findall(seen))
            rows = max(rows, *(int(row or row_alone) for _, row, row_alone in found), 0)
            columns = max(columns, *(_column(letters) for letters in {letters for letters, _, _ in found}), 0)
            formulas |= dict.fromkeys(_without_result(seen) if b"<f" in seen or b":f" in seen else ())
        tail = seen[-_TAIL:]
    return rows * columns, tuple(formulas)


def _without_result(xml: bytes) -> Iterator[tuple[int, int]]:
    for cell in _FORMULA.finditer(xml):
        place = _PLACE.search(cell[1])
        # An empty text is a result.
        if place and not (cell[2] and _IS_TEXT.search(cell[1])):
            yield int(place[2]) - 1, _column(place[1]) - 1


def _described(
    data: bytes, parts: dict[str, zipfile.ZipInfo], uncomputed: dict[str, tuple[tuple[int, int], ...]]
) -> _Contents:
    """What a workbook's own part says of it; nothing for a binary one."""
    if "xl/workbook.xml" not in parts:
        return _Contents()
    text = b"".join(_inflated(data, parts["xl/workbook.xml"]))
    # Excel's calendar has a 29 February 1900, so its later days count from the day before the year's eve.
    epoch = date(1904, 1, 1) if _SYSTEM_1904.search(text) else date(1899, 12, 30)
    relations = parts.get("xl/_rels/workbook.xml.rels")
    targets = {
        str(relation.get("Id")): posixpath.normpath(posixpath.join("/xl", str(relation.get("Target"))))[1:]
        for relation in (fromstring(b"".join(_inflated(data, relations))) if relations else ())
    }
    of_sheets = {}
    for element in fromstring(text).iter():
        if element.tag.endswith("}sheet"):
            identifier = next((value for key, value in element.attrib.items() if key.endswith("}id")), "")
            of_sheets[str(element.get("name"))] = uncomputed.get(targets.get(identifier, ""), ())
    return _Contents(epoch, of_sheets)


def _too_large(name: str) -> UsageError:
    return UsageError(
        f"{name} is too large for a workbook (2 GB of content, 50 million cells or 10,000 parts), or packed like a bomb",
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


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _grid(sheet: CalamineSheet, epoch: date | None, uncomputed: tuple[tuple[int, int], ...]) -> Grid:
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
    return Grid(rows, wide, tuple(ruined), epoch, uncomputed)


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
