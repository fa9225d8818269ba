"""CSV that people open in a spreadsheet program, which would run what it takes for a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

# Where Chinese is the language, spreadsheet programs take the wide signs for the narrow ones.
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r")
_PREFIX = "'"


def csv_for_people(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """A table as UTF-8 with the mark by which Excel knows it; a cell that begins like a formula begins with ``'``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(heads)
    writer.writerows([f"{_PREFIX}{cell}" if cell.startswith(_FORMULA) else cell for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", errors="replace")


def without_prefix(cell: str) -> str:
    """A cell of such a table as it was before."""
    return cell[1:] if cell.startswith(_PREFIX) and cell[1:].startswith(_FORMULA) else cell
