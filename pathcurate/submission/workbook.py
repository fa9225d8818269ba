"""Excel templates: placeholders inside of cells, and rows that are repeated for each entry of a list."""

import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from openpyxl import Workbook, load_workbook
from openpyxl.cell import Cell, MergedCell
from openpyxl.cell.rich_text import CellRichText
from openpyxl.worksheet.formula import ArrayFormula
from openpyxl.worksheet.worksheet import Worksheet

from pathcurate.errors import UsageError
from pathcurate.model.finding import Severity
from pathcurate.submission.container import Parts, packed, placeholders_outside, read_parts
from pathcurate.submission.filled import Filled
from pathcurate.submission.names import Notes, Place, Values
from pathcurate.submission.rows import copy_row

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_FILLED = re.compile(r"xl/(?:worksheets/sheet\d+|sharedStrings)\.xml")
_NUMBER = "序号"
"""Stands for the number of a repeated row, where no name is called so."""
_MOST_CELLS = 200_000
_MOST_REPEATED = 10
_LONGEST_CELL = 32_767
_EXACT = 10**15
"""Excel keeps 15 digits of a number."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# What Excel would take for a sign by its code (ISO/IEC 29500-1, 22.9.2.19).
_CODED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_SHAPES = re.compile(rb"<(?:xdr:)?(?:sp|cxnSp|grpSp)\b")
_LOST = {
    "xl/ctrlProps/": "form controls", "xl/slicers/": "slicers", "xl/threadedComments/": "threads of comments",
    "xl/diagrams/": "diagrams",
}  # fmt: skip
_BROKEN = (KeyError, ValueError, AttributeError, TypeError, IndexError, zipfile.BadZipFile, RecursionError, OverflowError)

Steps = tuple[str, ...]
Entry = Mapping[Steps, Place]
"""Where a repeated row stands: each list that it goes through, and which entry of it."""


def fill_xlsx(template: bytes, values: Values, name: str = "template.xlsx") -> Filled:
    """Fill an Excel template.

    ``{{ 数据名称 }}`` in a cell is a value; a cell that holds nothing else keeps its number, and there may be several. A row
    whose placeholders go through a list, such as ``{{ 结构规模.数据表.名称 }}``, is repeated for each of its entries, and
    ``{{ 序号 }}`` there counts them. What is filled in is text or a number, never a formula. Formulas, styles, merged
    cells and rules of the template stay, and follow rows that are repeated.

    Args:
        template: the file.
        values: what its names stand for.
        name: of the file, for messages.

    Returns:
        The filled file, with the same bytes each time; and what is unknown, not given, cut, lost, or stands where nothing is
        filled.

    Raises:
        UsageError: the file is no template that may be filled, see :func:`~pathcurate.submission.container.read_parts`, or
            too large when it is filled.
    """
    parts = read_parts(template, name)
    notes = Notes(name)
    _look(parts, notes)
    try:
        with warnings.catch_warnings(record=True) as dropped:
            warnings.simplefilter("always")
            book = load_workbook(io.BytesIO(template), rich_text=True)
        if dropped:
            notes.add("lost", Severity.WARNING, name, "holds extensions of Excel that are not kept; compare the filled file")
        if sum(sheet.max_row * sheet.max_column for sheet in book.worksheets) > _MOST_CELLS:
            raise UsageError(f"{name} has more than {_MOST_CELLS:,} cells", "Delete stray cells far below or right.")
        if not _fill(book, values.root(notes), notes):
            notes.add("no_placeholder", Severity.WARNING, name, "has no placeholder; it goes out as it is")
        out = io.BytesIO()
        book.save(out)
    except _BROKEN as error:
        kind = type(error).__name__
    else:
        return Filled(packed(out.getvalue(), parts), notes.findings)
    # Outside of the except block: errors of openpyxl quote cells.
    raise UsageError(
        f"{name} cannot be filled ({kind})", "Open it in Excel and save it again, without what is unusual in it."
    )


def _look(parts: Parts, notes: Notes) -> None:
    for part in placeholders_outside(parts, _FILLED):
        notes.add("not_filled_there", Severity.ERROR, part, "holds a placeholder, and is not filled; move it into a cell")
    lost = {what for folder, what in _LOST.items() if any(part.startswith(folder) for part in parts)}
    if any(part.startswith("xl/drawings/") and _SHAPES.search(content) for part, content in parts.items()):
        lost.add("drawn shapes")
    for what in sorted(lost):
        notes.add("lost", Severity.WARNING, what, "of the template are not in the filled file; put them back by hand")


def _fill(book: Workbook, root: Place, notes: Notes) -> bool:
    """Fill all sheets; whether there was anything to fill."""
    found = False
    for sheet in book.worksheets:
        held = {row: names for row in range(1, sheet.max_row + 1) if (names := list(_names(sheet, row, notes)))}
        found = found or bool(held)
        plan = {row: _entries(root, names, notes) for row, names in held.items()}
        more = [len(entries) - 1 for entries in plan.values() if len(entries) > 1]
        if len(more) > _MOST_REPEATED or (sheet.max_row + sum(more)) * sheet.max_column > _MOST_CELLS:
            raise UsageError(
                f"{notes.template} repeats more than {_MOST_REPEATED} rows of a sheet, or to over {_MOST_CELLS:,} cells",
                "Repeat one row for each list, and a shorter list.",
            )
        # From the bottom: rows that are put in move only what is done.
        for row in sorted(plan, reverse=True):
            copy_row(book, sheet, row, len(plan[row]) - 1)
            for number, entry in enumerate(plan[row]):
                _fill_row(sheet, row + number, root, entry, number + 1 if entry else None, notes)
    return found


def _names(sheet: Worksheet, row: int, notes: Notes) -> Iterator[Steps]:
    for cell in sheet[row]:
        text = _said(cell)
        names = _PLACEHOLDER.findall(text)
        if names and cell.data_type == "f":
            notes.add(
                "not_filled_there", Severity.ERROR, cell.coordinate, "is a formula with a placeholder; it is not filled"
            )
        elif names:
            yield from (_steps(name) for name in names)
        elif "{{" in text or "{%" in text:
            notes.add("not_filled_there", Severity.ERROR, cell.coordinate, "has no whole {{ name }}; it is not filled")


def _said(cell: Cell | MergedCell) -> str:
    if isinstance(cell.value, ArrayFormula):
        return str(cell.value.text)
    return str(cell.value) if isinstance(cell.value, str | CellRichText) else ""


def _steps(name: str) -> Steps:
    return tuple(step.strip() for step in name.split("."))


def _entries(root: Place, names: Sequence[Steps], notes: Notes) -> list[Entry]:
    """The entries that a row is repeated for; one without lists if it is not repeated."""
    chains = sorted({chain for name in names if (chain := _chain(root, name))}, key=lambda chain: (len(chain), chain))
    longest: tuple[Steps, ...] = chains[-1] if chains else ()
    if any(longest[: len(chain)] != chain for chain in chains):
        notes.add("two_lists", Severity.ERROR, ".".join(longest[-1]), "is not the only list of its row; repeat one in a row")
    found: list[dict[Steps, Place]] = [{}]
    for before, here in pairwise(((), *longest)):
        leads = [name for name in names if name[: len(here)] == here and len(name) > len(here)]
        deeper = []
        for entry in found:
            start = entry.get(before, root)
            for name in leads:
                inner = _walk(start, here[len(before) :]).entries(name[len(here)])
                if inner is not None:
                    deeper += [{**entry, here: place} for place in inner]
                    break
        for _ in deeper:
            notes.count_entry()
        found = deeper
    return list(found) or [{}]


def _chain(root: Place, name: Steps) -> tuple[Steps, ...]:
    """The lists that a name goes through, as beginnings of it."""
    chain = []
    place = root
    for index, step in enumerate(name[:-1], 1):
        if not place.has(step):
            return ()
        place = place.child(step)
        inner = place.entries(name[index])
        if inner is not None:
            chain.append(name[:index])
            # The first entry that goes on stands for all: they are of one form.
            place = next((entry for entry in inner if entry.has(name[index])), place)
    return tuple(chain)


def _walk(place: Place, steps: Steps) -> Place:
    for step in steps:
        place = place.child(step)
    return place


def _fill_row(sheet: Worksheet, row: int, root: Place, entry: Entry, number: int | None, notes: Notes) -> None:
    def place_of(name: str) -> Place:
        steps = _steps(name)
        if number is not None and steps == (_NUMBER,) and not root.has(_NUMBER):
            return Place(name, [number], notes)
        through = max((beginning for beginning in entry if steps[: len(beginning)] == beginning), key=len, default=())
        return _walk(entry.get(through, root), steps[len(through) :])

    for cell in sheet[row]:
        text = _said(cell)
        if isinstance(cell, MergedCell) or cell.data_type == "f" or not _PLACEHOLDER.search(text):
            continue
        alone = _PLACEHOLDER.fullmatch(text.strip())
        value = place_of(alone[1]).value if alone else None
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _EXACT:
            cell.value = value
        else:
            _put(cell, _PLACEHOLDER.sub(lambda match: place_of(match[1]).text, text), notes)


def _put(cell: Cell, text: str, notes: Notes) -> None:
    """Set a cell to a text that stays one, whatever it begins with."""
    text = _CODED.sub("_x005F_", text)
    if len(text) > _LONGEST_CELL:
        notes.add(
            "too_long", Severity.ERROR, cell.coordinate, f"is cut after {_LONGEST_CELL:,} characters, as Excel demands"
        )
        text = text[:_LONGEST_CELL]
    cell.value = text
    cell.data_type = "s"
    if text.startswith(_FORMULA):
        cell.quotePrefix = True
