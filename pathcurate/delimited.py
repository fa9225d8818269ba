"""Delimited text as hospitals export it: any usual encoding and separator, every cell as text, every row numbered."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from charset_normalizer import from_bytes

from pathcurate.errors import InputOutputError, UsageError

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


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number (the head is row 1; a quoted line break does not count) and its cells by head."""

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A delimited file.

    Attributes:
        heads: column heads, outer spaces removed.
        rows: rows with as many cells as there are heads; empty cells at the end are not counted, empty rows are left out.
        misfits: numbers of rows with more or fewer cells; their columns cannot be trusted.
        encoding: Python's name of the encoding used.
    """

    heads: tuple[str, ...]
    rows: tuple[Row, ...]
    misfits: tuple[int, ...]
    encoding: str


def read_sheet(path: Path, encoding: str | None = None) -> Sheet:
    """Read a CSV or TSV file as text.

    Args:
        path: the file.
        encoding: Python's name of the encoding; detected if None.

    Raises:
        InputOutputError: the file cannot be read.
        UsageError: it cannot be decoded or parsed, or has no head row.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check the path in pathcurate.yaml and its permissions."
        ) from None
    text, used = decode(data, encoding, path.name)
    return _parse(text, used, path.name)


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


def _parse(text: str, encoding: str, name: str) -> Sheet:
    csv.field_size_limit(_CELL_LIMIT)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    lines = _numbered(reader, name)
    heads = tuple(head.strip() for _, head_line in [next(lines, (1, []))] for head in head_line)
    if not any(heads):
        raise UsageError(f"{name} has no head row", "The first row must name the columns.")
    repeated = sorted({index + 1 for index, head in enumerate(heads) if head and head in heads[:index]})
    if repeated:
        raise UsageError(
            f"{name}: column {repeated[0]} has the same head as an earlier one", "Give every column a head of its own."
        )
    # Spreadsheets end some rows with empty cells and leave them out of others.
    needed = max(index + 1 for index, head in enumerate(heads) if head)
    rows, misfits = [], []
    for number, raw_cells in lines:
        cells = [clean(cell) for cell in raw_cells]
        if not any(cells):
            continue
        if len(cells) < needed or any(cells[len(heads) :]):
            misfits.append(number)
        else:
            rows.append(Row(number, dict(zip(heads, cells, strict=False))))
    return Sheet(heads, tuple(rows), tuple(misfits), encoding)


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
    """The separator that splits the head row into most cells."""
    head_row = re.match(r'[\r\n]*((?:"[^"]*"|[^"\r\n])*)', text)
    unquoted = re.sub(r'"[^"]*"', "", head_row[1] if head_row else "")
    return max(_SEPARATORS, key=unquoted.count)


def clean(cell: str) -> str:
    """A cell without what exports leave in it: outer spaces, NUL, ``_x000D_``, ``%Enter%``; words for missing are empty."""
    cleaned = cell.replace("\x00", "").replace("_x000D_", "\n").replace("%Enter%", "\n").strip().strip("　").strip()
    return "" if cleaned.lower() in _MISSING else cleaned


def fold_head(head: str) -> str:
    """A head as heads are compared: NFKC, lower case, without spaces, underscores and punctuation at the end."""
    folded = unicodedata.normalize("NFKC", head).lower()
    return "".join(folded.split()).replace("_", "").rstrip(":：*")


def shown_head(heads: tuple[str, ...], index: int) -> str:
    """A head as a message may show it: in backticks, or only its number if any of the heads might be a patient's value."""
    if any(len(head) > _HEAD_LIMIT for head in heads) or any(_VALUE.fullmatch(head.lower()) for head in heads):
        return f"column {index + 1}"
    return f"`{heads[index]}`"
