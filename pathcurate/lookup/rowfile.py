"""Rows of a part one by one, and where in it a value stands: one file beside the part, which is mapped and never read whole.

A part of a table is good for reading columns. A single row of it costs a group of rows in each column, and there are people
who wait for single rows. So the columns that they ask for lie here again row by row. For columns by which rows are found the
digests of the values lie in order, with the numbers of their rows: a digest says where to look, and the row decides.

Cells are bytes between separators; a value that has one of these has it escaped.
"""

import io
import json
import mmap
import re
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.model.column import Table, Type
from pathcurate.storage import path_text, private_directory, replacing
from pathcurate.tables import FILTERS, conform

# pyarrow's stubs do not know what most functions return.
pc: Any = pyarrow.compute

_HEAD: Final = b"pathcurate rows\n"
_END: Final = b"\nrows end here v1"
_CELL, _ITEM, _ESCAPE, _NULL, _EMPTY = b"\x1f", b"\x1e", b"\x1d", b"\x1c", b"\x1b"
_ESCAPES: Final = tuple((one, _ESCAPE + b"%d" % place) for place, one in enumerate((_ESCAPE, _CELL, _ITEM, _NULL, _EMPTY)))
_CELL_TEXT, _ITEM_TEXT, _ESCAPE_TEXT, _NULL_TEXT, _EMPTY_TEXT = "\x1f", "\x1e", "\x1d", "\x1c", "\x1b"
_MEANT: Final = {escaped.decode(): meant.decode() for meant, escaped in _ESCAPES}
_BATCH_ROWS: Final = 1 << 15
_TAIL_WORDS: Final = 4
"""A digest is made of a text's length and of so many times 8 bytes at its end: numbers and names differ in their ends."""
_ODD: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
_FINISH: Final = (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)
_MASK: Final = (1 << 64) - 1
_WORDS: Final = struct.Struct(f"<{_TAIL_WORDS}Q").unpack
_EPOCH, _FIRST_DAY = datetime(1970, 1, 1), date(1970, 1, 1).toordinal()  # noqa: DTZ001 - clocks of laboratories have no zone
_OUTER_SPACES: Final = " \t\n\v\f\r"
_SHOWN_CHARACTERS: Final = 1000
"""Of a long text nobody is shown more."""

Cells = Any
"""A ``pa.BinaryArray``."""
Make = Callable[[str], Any] | None
"""Makes a value of a cell; None for a text, which is one."""
Reader = Sequence[tuple[str, int, Make]]
"""Names of columns, their places in a row, and what makes their values."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What of a table's rows is kept beside its parts.

    Attributes:
        table: the declaration.
        by: columns of texts by whose values rows are found, whatever their width and case.
        shown: further columns.
        named: a column of paths, by whose last names rows are found too.
        shortened: columns of which only the beginning is kept.
    """

    table: Table
    by: tuple[str, ...]
    shown: tuple[str, ...]
    named: str | None = None
    shortened: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, those of the key first."""
        return tuple(dict.fromkeys((*self.table.key, *self.by, *self.shown)))


# --- Digests -----------------------------------------------------------------------------------------------------------


def folded(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """Texts in the form in which they compare: NFKC (full-width digits become ASCII), upper case, no outer spaces."""
    if pc.all(pc.string_is_ascii(values), min_count=0).as_py():
        plain: pa.Array[Any] = pc.ascii_upper(pc.ascii_trim_whitespace(values))
        return plain
    normal: pa.Array[Any] = pc.utf8_upper(pc.utf8_trim_whitespace(pc.utf8_normalize(values, form="NFKC")))
    return normal


def text_array(texts: Iterable[str]) -> "pa.Array[Any]":
    """Texts as Arrow has them. ``pa.array`` would load pandas first, which takes as long as all of a search."""
    encoded = [text.encode(errors="replace") for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def folded_text(text: str) -> str:
    """:func:`folded` of one."""
    if text.isascii():
        return text.strip(_OUTER_SPACES).upper()
    return str(folded(text_array([text]))[0].as_py())


def digest(text: str) -> int:
    """64 bits of one text."""
    content = text.encode(errors="replace")
    a, b, c, d = _WORDS(content[-8 * _TAIL_WORDS :].rjust(8 * _TAIL_WORDS, b"\0"))
    mixed = (len(content) ^ a * _ODD[0] ^ b * _ODD[1] ^ c * _ODD[2] ^ d * _ODD[3]) & _MASK
    mixed = ((mixed ^ mixed >> 33) * _FINISH[0]) & _MASK
    mixed = ((mixed ^ mixed >> 29) * _FINISH[1]) & _MASK
    return int(mixed ^ mixed >> 33)


def digests(texts: "pa.Array[Any]") -> "np.ndarray[Any, np.dtype[np.uint64]]":
    """:func:`digest` of each text or run of bytes, none of which is null."""
    _, ends, content = texts.buffers()
    offsets = np.frombuffer(memoryview(ends or bytes(4)), np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    data = np.frombuffer(memoryview(content or bytes(1)), np.uint8)
    at = offsets[1:, None] - np.arange(8 * _TAIL_WORDS, 0, -1)
    tails = np.where(at >= offsets[:-1, None], data[np.clip(at, 0, max(0, data.size - 1))], np.uint8(0))
    mixed = np.diff(offsets).astype(np.uint64)
    for word, odd in zip(np.ascontiguousarray(tails).view("<u8").T, _ODD, strict=True):
        mixed ^= word * np.uint64(odd)
    # The finisher of MurmurHash3 (Appleby), but for its middle: every bit of the input changes about half of the output's.
    mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(_FINISH[0])
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(_FINISH[1])
    return np.asarray(mixed ^ (mixed >> np.uint64(33)), np.uint64)


def names_of(relpath: bytes) -> set[str]:
    """What a file may be called: its path, its name, and that without its extension; in one case."""
    path = path_text(relpath).casefold()
    last = path.rpartition("/")[2]
    return {path, last, last.rpartition(".")[0]} - {""}


def _name_digests(paths: Cells, first: int) -> Iterator[tuple[Any, Any]]:
    """Digests of the names of files, and the numbers of their rows."""
    rows = np.arange(first, first + len(paths), dtype=np.uint32)
    plain = np.array([path is not None and path.isascii() for path in paths.to_pylist()], np.bool_)
    ascii_paths = pc.ascii_lower(paths.filter(pa.array(plain)).cast(pa.string()))
    last = pc.replace_substring_regex(ascii_paths, pattern="^(?s:.*)/", replacement="")
    stem = pc.replace_substring_regex(last, pattern=r"(^|\.)[^.]*$", replacement="")
    for names in (ascii_paths, last, stem):
        yield digests(names), rows[plain]
    others = [(digest(name), row) for row, path in zip(rows[~plain], paths.filter(pa.array(~plain)).to_pylist(), strict=True)
              if path is not None for name in names_of(path)]  # fmt: skip
    yield np.array([one for one, _ in others], np.uint64), np.array([row for _, row in others], np.uint32)


# --- Writing -----------------------------------------------------------------------------------------------------------


def write_rows(kept: Kept, part: Path) -> None:
    """Put the file beside a part.

    Raises:
        InputOutputError: the part cannot be read.
    """
    path = rows_path(part)
    private_directory(path.parent)
    with replacing(path, 0o600) as temporary, temporary.open("wb") as out:
        _write(kept, _batches(kept, part), out)


def rows_path(part: Path) -> Path:
    """Where what lies beside a part lies."""
    return part.parent / FILTERS / f"{part.stem}.v1.rows"


def _batches(kept: Kept, part: Path) -> Iterator[pa.RecordBatch]:
    wanted = kept.table.select(kept.columns)
    try:
        with pq.ParquetFile(part) as file:
            present = set(file.schema_arrow.names)
            columns = [name for name in wanted.names if name in present]
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                yield from conform(wanted, pa.Table.from_batches([batch])).combine_chunks().to_batches()
    except (OSError, pa.ArrowException) as error:
        # Arrow quotes the value that it could not convert.
        raise InputOutputError(
            f"{part.name} of catalog table {kept.table.name} cannot be read ({type(error).__name__})",
            "Restore the catalog from a backup, or run the stage that writes it again.",
        ) from None


def _write(kept: Kept, batches: Iterable[pa.RecordBatch], out: BinaryIO) -> None:
    out.write(_HEAD)
    place, count = len(_HEAD), 0
    ends: list[Any] = [np.array([place], np.uint64)]
    found: dict[str, list[tuple[Any, Any]]] = {name: [] for name in (*kept.by, *([kept.named] if kept.named else []))}
    for batch in batches:
        content, lengths = _joined(kept, batch)
        out.write(content)
        ends.append(place + np.cumsum(lengths, dtype=np.uint64))
        place += content.nbytes
        for name in kept.by:
            texts = batch[name]
            rows = np.flatnonzero(np.asarray(texts.is_valid())).astype(np.uint32) + np.uint32(count)
            found[name].append((digests(folded(texts.drop_null())), rows))
        if kept.named:
            found[kept.named].extend(_name_digests(batch[kept.named], count))
        count += batch.num_rows
    place += out.write(bytes(-place % 8))
    told: dict[str, Any] = {"columns": kept.columns, "rows": count, "ends": place, "orders": {}}
    place += out.write(np.concatenate(ends).tobytes())
    for name, pieces in found.items():
        all_digests = np.concatenate([one for one, _ in pieces] or [np.empty(0, np.uint64)])
        rows = np.concatenate([numbers for _, numbers in pieces] or [np.empty(0, np.uint32)])
        order = np.argsort(all_digests, kind="stable")
        told["orders"][name] = place, len(order)
        place += out.write(all_digests[order].tobytes())
        place += out.write(rows[order].tobytes())
        place += out.write(bytes(-place % 8))
    directory = json.dumps(told).encode()
    out.write(directory + struct.pack("<Q", len(directory)) + _END)


def _joined(kept: Kept, batch: pa.RecordBatch) -> tuple[memoryview, Any]:
    """The rows of a batch as bytes, and how long each is."""
    cells = [_cells(kept, name, batch[name]) for name in kept.columns]
    rows: Cells = pc.binary_join_element_wise(*cells, pa.scalar(_CELL, pa.binary()))
    _, ends, content = rows.buffers()
    offsets = np.frombuffer(memoryview(ends), np.int32, len(rows) + 1, rows.offset * 4)
    return memoryview(content or b"")[offsets[0] : offsets[-1]], np.diff(offsets)


def _cells(kept: Kept, name: str, values: "pa.Array[Any]") -> Cells:
    kind = kept.table[name].type
    if kind is Type.STRINGS:
        lengths = pc.fill_null(pc.list_value_length(values), 0)
        offsets = pa.array(np.concatenate([[0], np.cumsum(np.asarray(lengths))]).astype(np.int32), pa.int32())
        items = _escaped(pc.list_flatten(values).cast(pa.binary()))
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, items), pa.scalar(_ITEM, pa.binary()))
        joined = pc.if_else(pc.equal(lengths, 0), pa.scalar(_EMPTY, pa.binary()), joined)
        return pc.if_else(values.is_valid(), joined, pa.scalar(_NULL, pa.binary()))
    if kind in {Type.STRING, Type.BYTES}:
        if name in kept.shortened:
            values = pc.utf8_slice_codeunits(values, 0, _SHOWN_CHARACTERS)
        return _escaped(values.cast(pa.binary()))
    if kind in {Type.DATE, Type.TIMESTAMP}:
        values = values.cast(pa.int32() if kind is Type.DATE else pa.int64())
    return pc.fill_null(values.cast(pa.string()).cast(pa.binary()), _NULL)


def _escaped(values: Cells) -> Cells:
    for meant, escaped in _ESCAPES:
        values = pc.replace_substring(values, pattern=meant, replacement=escaped)
    return pc.fill_null(values, _NULL)


# --- Reading -----------------------------------------------------------------------------------------------------------


class Rows:
    """Rows by their number, and their numbers by a value.

    Attributes:
        count: how many.
        by: columns by whose values rows are found.
        columns: columns that a row has.
        shortened: columns of which a row has only the beginning.

    Args:
        kept: what is kept of the table.
        content: of the file.

    Raises:
        ValueError: it is no such file, or not whole, or of other columns.
    """

    def __init__(self, kept: Kept, content: memoryview) -> None:
        end = len(content) - len(_END)
        if end < len(_HEAD) + 8 or bytes(content[: len(_HEAD)]) != _HEAD or bytes(content[end:]) != _END:
            raise ValueError("not a whole file of rows")
        (size,) = struct.unpack("<Q", content[end - 8 : end])
        told = json.loads(bytes(content[max(0, end - 8 - size) : end - 8]))
        if tuple(told["columns"]) != kept.columns:
            raise ValueError("rows of other columns")
        self.count: int = told["rows"]
        self._content = content
        self._ends = content[told["ends"] : told["ends"] + 8 * (self.count + 1)].cast("Q")
        self._orders = {}
        for name, (place, count) in told["orders"].items():
            middle = place + 8 * count
            self._orders[name] = content[place:middle].cast("Q"), content[middle : middle + 4 * count].cast("I")
        self._made = {name: (name, place, _MAKERS[kept.table[name].type]) for place, name in enumerate(kept.columns)}
        self.by: Set[str] = self._orders.keys()
        self.columns: Set[str] = self._made.keys()
        self.shortened = frozenset(kept.shortened)

    def numbers(self, column: str, sought: Iterable[int]) -> list[int]:
        """Numbers of the rows whose value has one of some digests, in order."""
        held, rows = self._orders[column]
        found: list[int] = []
        for one in sought:
            place = bisect_left(held, one)
            while place < len(held) and held[place] == one:
                found.append(rows[place])
                place += 1
        return sorted({*found}) if len(found) > 1 else found

    def reader(self, names: Iterable[str]) -> Reader:
        """For :meth:`row`."""
        return tuple(self._made[name] for name in names)

    def cells(self, number: int) -> list[str]:
        """A row, for :func:`row_values`."""
        return str(self._content[self._ends[number] : self._ends[number + 1]], "utf-8", "surrogateescape").split(_CELL_TEXT)


def row_values(cells: Sequence[str], reader: Reader) -> dict[str, Any]:
    """Some values of a row."""
    return {
        name: None if (cell := cells[place]) == _NULL_TEXT
        else make(cell) if make is not None
        else _meant(cell) if _ESCAPE_TEXT in cell else cell
        for name, place, make in reader
    }  # fmt: skip


def cell_value(cell: str, make: Make) -> Any:
    """The value of a cell."""
    if cell == _NULL_TEXT:
        return None
    return _meant(cell) if make is None else make(cell)


def open_rows(kept: Kept, part: Path) -> Rows | None:
    """What lies beside a part; None if nothing does, or nothing whole."""
    try:
        with rows_path(part).open("rb") as file:
            return Rows(kept, memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def hold_rows(kept: Kept, parts: Sequence[Path]) -> tuple[Rows, list[int]]:
    """The rows of several parts in memory, and how many each has.

    Raises:
        InputOutputError: a part cannot be read.
    """
    sizes = [0] * len(parts)

    def batches() -> Iterator[pa.RecordBatch]:
        for at, part in enumerate(parts):
            for batch in _batches(kept, part):
                sizes[at] += batch.num_rows
                yield batch

    out = io.BytesIO()
    _write(kept, batches(), out)
    return Rows(kept, out.getbuffer()), sizes


def _meant(cell: str) -> str:
    return re.sub("\x1d[0-4]", lambda found: _MEANT[found[0]], cell) if _ESCAPE_TEXT in cell else cell


def _bytes(cell: str) -> bytes:
    return _meant(cell).encode("utf-8", "surrogateescape")


def _texts(cell: str) -> list[str | None]:
    if cell == _EMPTY_TEXT:
        return []
    return [None if item == _NULL_TEXT else _meant(item) for item in cell.split(_ITEM_TEXT)]


_MAKERS: Final[Mapping[Type, Make]] = {
    Type.STRING: None,
    Type.BYTES: _bytes,
    Type.INTEGER: int,
    Type.FLOAT: float,
    Type.BOOLEAN: "true".__eq__,
    Type.DATE: lambda cell: date.fromordinal(int(cell) + _FIRST_DAY),
    Type.TIMESTAMP: lambda cell: _EPOCH + timedelta(microseconds=int(cell)),
    Type.STRINGS: _texts,
}
