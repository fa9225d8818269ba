"""HTML tables, which many systems save as ``.xls``, as grids of text."""

import re
from html.parser import HTMLParser

from pathcurate.spreadsheet import Grid, Range

_TABLE = re.compile(rb"<\s*(?:html|table)\b", re.IGNORECASE)
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
# What is declared as GB2312 or GBK is written in GB18030, like everything in this family.
_CHINESE = frozenset({"gb2312", "gbk", "gb18030", "gb-2312", "x-gbk", "cp936"})
_BREAKS = frozenset({"br", "p", "div", "li"})
_UNSEEN = frozenset({"script", "style", "head", "title"})
# Limits of the HTML standard, 4.9.11.
_MOST_COLUMNS, _MOST_ROWS = 1000, 65534
# A row of a few bytes below cells of 1,000 columns and 65,534 rows has 1,000 cells of its own.
_MOST_CELLS = 20_000_000


def is_html(head: bytes) -> bool:
    """Whether the first bytes of a file are HTML that may hold a table; UTF-16 is told by its zeros."""
    plain = head.replace(b"\x00", b"").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").removeprefix(b"\xef\xbb\xbf")
    return plain.lstrip().startswith(b"<") and _TABLE.search(plain) is not None


def declared_encoding(data: bytes) -> str | None:
    """The encoding that a ``meta`` element declares; None for none and for UTF-8 and GB, which are detected better."""
    found = _CHARSET.search(data[:8192])
    name = found[1].decode("ascii").lower() if found else "utf-8"
    return None if name in _CHINESE or name.startswith(("utf-", "utf8", "unicode")) else name


def read_tables(text: str) -> list[Grid]:
    """The tables of a page that are not empty; one inside a cell of another is a table of its own.

    A cell over several rows (``rowspan``) is the value of all of them; one over several columns stays in its first.

    Raises:
        OverflowError: there are more than 20 million cells.
    """
    reader = _Reader()
    reader.feed(text)
    reader.close()
    while reader.open:
        reader.handle_endtag("table")
    return [grid for grid in reader.grids if any(map(any, grid.rows))]


class _Table:
    """A table while it is read."""

    def __init__(self) -> None:
        self.rows: list[dict[int, str]] = []
        self.pending: dict[int, tuple[int, str]] = {}
        self.wide: list[Range] = []
        self.text: list[str] | None = None
        self._span = (1, 1)
        self._column = 0

    def start_row(self) -> None:
        self.end_cell()
        self._column = 0
        self.rows.append({column: text for column, (_, text) in self.pending.items()})
        self.pending = {column: (left - 1, text) for column, (left, text) in self.pending.items() if left > 1}

    def start_cell(self, rows: int, columns: int) -> None:
        self.end_cell()
        if not self.rows:
            self.start_row()
        self.text, self._span = [], (rows, columns)

    def end_cell(self) -> None:
        if self.text is None:
            return
        row = self.rows[-1]
        while self._column in row:
            self._column += 1
        column = self._column
        rows, columns = self._span
        text = "".join(self.text).strip()
        for index in range(column, column + columns):
            row[index] = text if index == column else ""
            if rows > 1:
                self.pending[index] = (rows - 1, row[index])
        if columns > 1:
            top = len(self.rows) - 1
            self.wide.append((top, column, top + rows - 1, column + columns - 1))
        self.text = None

    def grid(self) -> Grid:
        width = max((max(row, default=-1) + 1 for row in self.rows), default=0)
        return Grid([[row.get(index, "") for index in range(width)] for row in self.rows], tuple(self.wide))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[_Table] = []
        self.grids: list[Grid] = []
        self._unseen = 0
        self._cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "table":
            self.open.append(_Table())
            # A page whose head is never closed has a body all the same.
            self._unseen = 0
        elif self.open and tag == "tr":
            self.open[-1].start_row()
            self._count(len(self.open[-1].rows[-1]))
        elif self.open and tag in {"td", "th"}:
            given = dict(attrs)
            columns = _span(given.get("colspan"), _MOST_COLUMNS)
            self._count(columns)
            self.open[-1].start_cell(_span(given.get("rowspan"), _MOST_ROWS), columns)
        elif tag in _BREAKS:
            self._add("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif not self.open:
            return
        elif tag == "table":
            table = self.open.pop()
            table.end_cell()
            self.grids.append(table.grid())
        elif tag in {"td", "th", "tr"}:
            self.open[-1].end_cell()

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            # Line ends of the file are spaces in HTML, and Excel indents long cells.
            self._add(re.sub(r"[ \t\r\n]+", " ", data).replace("\xa0", " "))

    def _count(self, cells: int) -> None:
        self._cells += cells
        if self._cells > _MOST_CELLS:
            raise OverflowError

    def _add(self, text: str) -> None:
        if self.open and self.open[-1].text is not None:
            self.open[-1].text.append(text)


def _span(given: str | None, most: int) -> int:
    return min(max(int(given), 1), most) if given and given.isascii() and given.strip().isdigit() else 1
