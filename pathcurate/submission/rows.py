"""Copies of a row of a sheet, with everything below moved down and every reference to it moved with it.

openpyxl moves nothing but the cells themselves; formulas, merged cells, heights and rules stay where they were.
"""

import re
from collections.abc import Callable
from copy import copy

from openpyxl.cell import Cell, MergedCell
from openpyxl.formatting.formatting import ConditionalFormattingList
from openpyxl.formula import Tokenizer
from openpyxl.formula.tokenizer import Token
from openpyxl.formula.translate import Translator
from openpyxl.workbook import Workbook
from openpyxl.worksheet.cell_range import CellRange
from openpyxl.worksheet.formula import ArrayFormula
from openpyxl.worksheet.worksheet import Worksheet

_AREA = re.compile(r"(?P<first>\$?[A-Z]{0,3}\$?)(?P<top>\d+)(?::(?P<last>\$?[A-Z]{0,3}\$?)(?P<bottom>\d+))?")
_STYLE = ("font", "border", "fill", "number_format", "protection", "alignment", "quotePrefix")
_HEIGHT = ("height", "hidden", "outlineLevel", "collapsed", "thickBot", "thickTop")

Move = Callable[[str], str]
"""Where an area such as ``$A$3:B5`` is after rows were put in."""


def copy_row(book: Workbook, sheet: Worksheet, row: int, count: int) -> None:
    """Put so many copies of a row below it: cells with their style, cells merged within it, its height.

    Formulas of the row count for each copy; areas that hold the row, such as those of a sum, then hold its copies.

    Args:
        book: the workbook, whose formulas on all sheets are adapted.
        sheet: one of its sheets.
        row: number of the row, from 1.
        count: of copies.
    """
    if count < 1:
        return
    merged = sorted(str(area) for area in sheet.merged_cells.ranges)
    sheet.merged_cells.ranges.clear()
    sheet.insert_rows(row + 1, count)

    def move(areas: str) -> str:
        return " ".join(_moved(area, row, count) for area in areas.split(" "))

    _move_references(book, sheet, move)
    _move_heights(sheet, row, count)
    _copy_cells(sheet, row, count)
    _merge(sheet, merged, row, count, move)
    _move_rules(sheet, move)


def _moved(area: str, row: int, count: int) -> str:
    match = _AREA.fullmatch(area)
    if match is None:
        return area
    top = int(match["top"])
    first = f"{match['first']}{top + count if top > row else top}"
    if match["bottom"] is None:
        return first
    bottom = int(match["bottom"])
    return f"{first}:{match['last']}{bottom + count if bottom >= row else bottom}"


def _formula(text: str, here: bool, sheet: Worksheet, move: Move) -> str:
    """A formula after the move; ``here`` tells whether it stands on the sheet that rows were put into."""
    tokens = Tokenizer(text).items
    for token in tokens:
        if token.type == Token.OPERAND and token.subtype == Token.RANGE:
            of, mark, area = token.value.rpartition("!")
            if (of.strip("'").replace("''", "'") == sheet.title) if mark else here:
                token.value = f"{of}{mark}{move(area)}"
    return "=" + "".join(token.value for token in tokens)


def _move_references(book: Workbook, sheet: Worksheet, move: Move) -> None:
    for other in book.worksheets:
        for cells in other.iter_rows():
            for cell in cells:
                _move_formula(cell, other is sheet, sheet, move)
                if other is sheet and isinstance(cell, Cell) and cell.hyperlink is not None:
                    cell.hyperlink.ref = cell.coordinate
    for names in (book.defined_names, *(other.defined_names for other in book.worksheets)):
        for name in names.values():
            if name.value:
                name.value = _formula(f"={name.value}", False, sheet, move)[1:]
    for picture in (*getattr(sheet, "_images", ()), *getattr(sheet, "_charts", ())):
        for corner in (getattr(picture.anchor, "_from", None), getattr(picture.anchor, "to", None)):
            if corner is not None:
                corner.row = int(move(f"A{corner.row + 1}")[1:]) - 1


def _move_formula(cell: Cell | MergedCell, here: bool, sheet: Worksheet, move: Move) -> None:
    if isinstance(cell.value, ArrayFormula):
        cell.value.text = _formula(str(cell.value.text), here, sheet, move)
        cell.value.ref = move(cell.value.ref) if here else cell.value.ref
    elif cell.data_type == "f" and isinstance(cell.value, str):
        cell.value = _formula(cell.value, here, sheet, move)


def _move_heights(sheet: Worksheet, row: int, count: int) -> None:
    known = {number: sheet.row_dimensions[number] for number in sorted(sheet.row_dimensions)}
    for number in sorted((number for number in known if number > row), reverse=True):
        del sheet.row_dimensions[number]
        known[number].index = number + count
        sheet.row_dimensions[number + count] = known[number]
    for number in range(row + 1, row + count + 1) if row in known else ():
        for attribute in _HEIGHT:
            setattr(sheet.row_dimensions[number], attribute, getattr(known[row], attribute))


def _copy_cells(sheet: Worksheet, row: int, count: int) -> None:
    for column, original in enumerate(list(sheet[row]), 1):
        for number in range(row + 1, row + count + 1):
            cell = sheet.cell(number, column)
            if original.has_style:
                for attribute in _STYLE:
                    setattr(cell, attribute, copy(getattr(original, attribute)))
            if isinstance(original, MergedCell) or isinstance(cell, MergedCell):
                continue
            if original.data_type == "f" and isinstance(original.value, str):
                cell.value = Translator(original.value, original.coordinate).translate_formula(cell.coordinate)
            else:
                cell.value = copy(original.value)
                cell.data_type = original.data_type


def _merge(sheet: Worksheet, merged: list[str], row: int, count: int, move: Move) -> None:
    for area in merged:
        place = CellRange(area)
        if place.min_row > row or place.max_row < row:
            sheet.merged_cells.add(CellRange(move(area)))
        elif place.min_row < place.max_row:
            sheet.merge_cells(move(area))
        else:
            sheet.merged_cells.add(CellRange(area))
            for _ in range(count):
                place.shift(row_shift=1)
                sheet.merge_cells(str(place))


def _move_rules(sheet: Worksheet, move: Move) -> None:
    formats = ConditionalFormattingList()
    for areas in sheet.conditional_formatting:
        for rule in areas.rules:
            rule.formula = [_formula(f"={text}", True, sheet, move)[1:] for text in rule.formula]
            formats.add(move(str(areas.sqref)), rule)
    sheet.conditional_formatting = formats
    for validation in sheet.data_validations.dataValidation:
        validation.sqref = type(validation.sqref)(move(str(validation.sqref)))
        for attribute in ("formula1", "formula2"):
            text = getattr(validation, attribute)
            if text:
                setattr(validation, attribute, _formula(f"={text}", True, sheet, move)[1:])
    if sheet.auto_filter.ref:
        sheet.auto_filter.ref = move(sheet.auto_filter.ref)
    if sheet.print_area:
        printed = sheet.print_area if isinstance(sheet.print_area, str) else ",".join(sheet.print_area)
        sheet.print_area = ",".join(move(area.rpartition("!")[2]) for area in printed.split(","))
    for table in sheet.tables.values():
        table.ref = move(table.ref)
        if table.autoFilter is not None and table.autoFilter.ref:
            table.autoFilter.ref = move(table.autoFilter.ref)
