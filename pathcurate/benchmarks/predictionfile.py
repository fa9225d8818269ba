"""The columns of a file of predictions as text, with the line of each row."""

import codecs
import csv
import hashlib
import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pathcurate.digests import open_regular
from pathcurate.errors import InputOutputError, UsageError

MOST_BYTES: Final = 1 << 30
MOST_ROWS: Final = 5_000_000
_MOST_HEADS = 2_000
_MOST_CELL = 10_000
_MOST_HELD = 4 << 30
_BLOCK = 1 << 20
_SEPARATORS = (",", "\t", ";", "|")
_ENCODINGS = ("utf-8-sig", "gb18030")
_PARQUET = b"PAR1"
_OTHERS = {b"PK\x03\x04": "a workbook or an archive", b"\xd0\xcf\x11\xe0": "a workbook", b"\x1f\x8b": "compressed"}
_WHAT_TO_GIVE = "Give predictions as CSV in UTF-8 or GB18030, or as Parquet."


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that were asked for.

    Attributes:
        sha256: of the file's bytes.
        cells: values of each column as text without outer spaces.
        lines: line of the file at which each row begins; of Parquet the number of the row, from 1.
        misfits: lines of rows with more or fewer cells than the head row, which are left out.
    """

    sha256: str
    cells: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    misfits: Sequence[int]


def read_columns(path: Path, choose: Callable[[Sequence[str]], Sequence[str]]) -> Columns:
    """Read the columns that ``choose`` picks from the heads.

    Raises:
        UsageError: it is neither CSV nor Parquet, or too large.
        InputOutputError: it cannot be read.
    """
    try:
        with open(path, "rb", opener=open_regular) as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({error.strerror or type(error).__name__})", "Give a file that can be read."
        ) from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{path.name} exceeds 1 GiB", "Leave out columns that are not asked for.")
    sha256 = "sha256:" + hashlib.sha256(content).hexdigest()
    if content.startswith(_PARQUET):
        return _of_parquet(content, path.name, choose, sha256)
    return _of_text(content, path.name, choose, sha256)


def _of_text(content: bytes, name: str, choose: Callable[[Sequence[str]], Sequence[str]], sha256: str) -> Columns:
    encoding = _encoding(content, name)
    with io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="") as text:
        head = text.readline(_MOST_CELL * 10).removeprefix("\ufeff")
        separator = max(_SEPARATORS, key=head.count)
        rows = csv.reader(itertools.chain([head], text), delimiter=separator, strict=True)
        try:
            return _collected(rows, choose, name, sha256)
        except csv.Error:
            raise UsageError(
                f"{name}: the row at line {rows.line_num} is not valid CSV (a quote is not closed, or a cell is too long)",
                "Correct the row, or write the file again.",
            ) from None


def _collected(
    rows: "Iterator[list[str]]", choose: Callable[[Sequence[str]], Sequence[str]], name: str, sha256: str
) -> Columns:
    heads = [head.strip() for head in next(rows, [])]
    wanted = _checked(choose(heads), heads, name)
    places = [heads.index(head) for head in wanted]
    cells: list[list[str]] = [[] for _ in wanted]
    lines: list[int] = []
    misfits: list[int] = []
    line = _line(rows) + 1
    for row in rows:
        begins, line = line, _line(rows) + 1
        if not any(row):
            continue
        if len(row) != len(heads):
            misfits.append(begins)
        else:
            lines.append(begins)
            for column, place in zip(cells, places, strict=True):
                column.append(row[place].strip())
        if len(lines) + len(misfits) > MOST_ROWS:
            raise _too_many(name)
    return Columns(sha256, dict(zip(wanted, cells, strict=True)), lines, misfits)


def _line(rows: Iterator[list[str]]) -> int:
    return int(getattr(rows, "line_num", 0))


def _checked(wanted: Sequence[str], heads: Sequence[str], name: str) -> Sequence[str]:
    doubled = [head for head in wanted if heads.count(head) > 1]
    if doubled or len(heads) > _MOST_HEADS:
        raise UsageError(
            f"{name}: two columns have the head `{doubled[0]}`" if doubled else f"{name} has {len(heads)} columns",
            "Give each column that is asked for once.",
        )
    return wanted


def _encoding(content: bytes, name: str) -> str:
    kind = next((kind for begin, kind in _OTHERS.items() if content.startswith(begin)), None)
    if kind is not None:
        raise UsageError(f"{name} is {kind}", _WHAT_TO_GIVE)
    for encoding in _ENCODINGS:
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for begin in range(0, len(content), _BLOCK):
                decoder.decode(content[begin : begin + _BLOCK])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        if b"\x00" not in content:
            return encoding
    raise UsageError(f"{name} is not text in UTF-8 or GB18030", _WHAT_TO_GIVE)


def _of_parquet(content: bytes, name: str, choose: Callable[[Sequence[str]], Sequence[str]], sha256: str) -> Columns:
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            heads = file.schema_arrow.names
            wanted = _checked(choose(heads), heads, name)
            for head in wanted:
                _check_type(file.schema_arrow.field(head).type, head, name)
            if file.metadata.num_rows > MOST_ROWS:
                raise _too_many(name)
            groups = (file.metadata.row_group(number).total_byte_size for number in range(file.metadata.num_row_groups))
            if sum(groups) > _MOST_HELD:
                raise UsageError(f"{name} holds more than 4 GiB", "Leave out columns that are not asked for.")
        # Dictionaries stay such until their words are known to be short: a few bytes can stand for gigabytes of text.
        table = pq.ParquetFile(pa.BufferReader(content), read_dictionary=list(wanted)).read(columns=list(wanted))
        cells = {head: _texts(table[head], head, name) for head in wanted}
    except (pa.ArrowException, OSError):
        raise UsageError(f"{name} cannot be read as Parquet", "Write the file again.") from None
    return Columns(sha256, cells, range(1, table.num_rows + 1), ())


def _check_type(kind: Any, head: str, name: str) -> None:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = (pa.types.is_string, pa.types.is_large_string, pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)
    if not any(is_type(kind) for is_type in types):
        raise UsageError(f"{name}: column `{head}` is neither text nor number", "Write it as one of them.")


def _texts(column: Any, head: str, name: str) -> list[str]:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return ["" if value is None else repr(value) for value in column.to_pylist()]
    for chunk in column.chunks:
        held = chunk.dictionary if pa.types.is_dictionary(kind) else chunk
        if int(pc.max(pc.binary_length(held)).as_py() or 0) > _MOST_CELL:
            raise UsageError(f"{name}: column `{head}` has a cell of more than {_MOST_CELL} bytes", "Write it again.")
    return ["" if value is None else str(value).strip() for value in column.to_pylist()]


def _too_many(name: str) -> UsageError:
    return UsageError(f"{name} has more than {MOST_ROWS:,} rows", "Give one row for each unit that is asked about.")
