"""The one door to digests: of files, rows, tables, contents and releases.

Five layers, each a sha256: a file's bytes; a row's canonical JSON (RFC 8785); a table, which is the set of its rows
whatever their order and layout; the contents of all tables; a release, which is the list of its files. Written as
``sha256:`` and 64 lower-case hexadecimal digits, except for row digests, which are 32 raw bytes.
"""

import hashlib
import itertools
import json
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.errors import InputOutputError

_LARGEST_INTEGER = 2**53 - 1
_ROWS_AT_ONCE = 65_536
_EXACT_DECIMAL_DIGITS = 15  # a float64 keeps every decimal of so many digits apart from its neighbours


# --- Canonical JSON and bytes ------------------------------------------------------------------------------------


def canonical_json(value: object) -> bytes:
    """RFC 8785 (JCS) bytes of text, integers below 2**53, booleans, None, and lists and mappings of these.

    Raises:
        TypeError: another type, also a float (its text differs between writers) or a key that is not text.
        ValueError: an integer of 2**53 or more, or text that is not Unicode (a lone surrogate).
    """
    return _dump(_canonical(value)).encode()


_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _canonical(value: object) -> object:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError("canonical JSON holds no integer of 2**53 or more")
        return value
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("canonical JSON has text as keys only")
        return {key: _canonical(value[key]) for key in sorted(value, key=_utf16)}
    raise TypeError(f"canonical JSON holds no {type(value).__name__}")


def _utf16(key: str) -> bytes:
    # RFC 8785 section 3.2.3: keys are sorted by UTF-16 code units, which differ from code points above U+FFFF.
    return key.encode("utf-16-be")


def sha256_text(content: bytes) -> str:
    """The digest of bytes, as ``sha256:`` and hexadecimal digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """The digest of a regular file's bytes, read piece by piece. A symbolic link at the path's end is not followed.

    Raises:
        OSError: the file cannot be read, or is a link or anything else than a regular file.
    """
    with open(path, "rb", opener=open_regular) as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: str, flags: int) -> int:
    """An opener for :func:`open` that takes regular files only and follows no symbolic link.

    Raises:
        OSError: the path is a link or anything else than a regular file, or cannot be opened.
    """
    # O_NONBLOCK: a FIFO without a writer would be waited for.
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(22, "not a regular file")
    return descriptor


# --- Rows and tables ---------------------------------------------------------------------------------------------


def row_digests(table: pa.Table) -> list[bytes]:
    """The sha256 of each row, 32 bytes each, in the table's order.

    A row is a JSON object in RFC 8785 form with a member for each column, nulls included; the order of columns, chunks
    and encodings (dictionary, large text, integer width) do not matter. Text is in NFC. Values that JSON cannot hold
    for certain are text: a floating-point number is Python's ``repr`` of its float64, a decimal likewise (so
    ``decimal 0.50`` is ``"0.5"``), a date is ``YYYY-MM-DD``, a timestamp ``YYYY-MM-DDTHH:MM:SS[.ffffff]`` with ``Z``
    if it has a time zone, after conversion to UTC.

    Raises:
        TypeError: a column of another type, decimals of more than 15 digits, or two columns of one name.
        InputOutputError: an integer of 2**53 or more, a time finer than microseconds or beyond the year 9999, or
            text that is not UTF-8. The message names the column.
    """
    names = sorted(table.column_names, key=_utf16)
    if len(set(names)) != len(names):
        raise TypeError("a table with two columns of one name has no row digests")
    # json.dumps of a row is the sum of its parts: each column is turned into JSON texts at once, rows only join them.
    template = "{" + ",".join(f"{_dump(name)}:".replace("%", "%%") + "%s" for name in names) + "}"
    sha256 = hashlib.sha256
    digests: list[bytes] = []
    for batch in table.select(names).to_batches(max_chunksize=_ROWS_AT_ONCE):
        if not names:
            digests += [sha256(b"{}").digest()] * batch.num_rows
            continue
        columns = [_json_texts(column, name) for name, column in zip(names, batch.columns, strict=True)]
        digests += [sha256((template % row).encode()).digest() for row in zip(*columns, strict=True)]
    return digests


def _json_texts(column: "pa.Array[Any]", name: str) -> list[str]:
    """One JSON text for each value."""
    kind = column.type
    if isinstance(column, pa.DictionaryArray):
        return _json_texts(column.dictionary_decode(), name)
    if isinstance(column, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        items = iter(_json_texts(column.flatten(), name))
        lengths = pc.list_value_length(column).to_pylist()
        return ["null" if n is None else "[" + ",".join(itertools.islice(items, n)) + "]" for n in lengths]
    if pa.types.is_null(kind):
        return ["null"] * len(column)
    if pa.types.is_boolean(kind):
        return [_BOOLEANS[value] for value in column.to_pylist()]
    if pa.types.is_integer(kind):
        _check_integers(column, name)
        return ["null" if value is None else str(value) for value in column.to_pylist()]
    return ["null" if text is None else _dump_text(text) for text in _plain_texts(column, name)]


_BOOLEANS = {True: "true", False: "false", None: "null"}
_dump_text = json.encoder.encode_basestring


def _check_integers(column: "pa.Array[Any]", name: str) -> None:
    least, largest = pc.min(column).as_py(), pc.max(column).as_py()
    if least is not None and max(-least, largest) > _LARGEST_INTEGER:
        raise InputOutputError(
            f"Column {name} holds an integer of 2**53 or more, which a digest cannot vouch for.",
            "Keep such numbers as text.",
        )


def _plain_texts(column: "pa.Array[Any]", name: str) -> list[str | None]:
    """Text, numbers and times as Python text."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return [value if value is None or value.isascii() else normalize("NFC", value) for value in _text(column, name)]
    if pa.types.is_floating(kind) or (pa.types.is_decimal(kind) and kind.precision <= _EXACT_DECIMAL_DIGITS):
        return [None if value is None else repr(float(value)) for value in column.to_pylist()]
    if pa.types.is_date(kind):
        return _iso_texts(column, pa.date32(), "", name)
    if pa.types.is_timestamp(kind):
        return _iso_texts(column, pa.timestamp("us"), "Z" if kind.tz else "", name)
    raise TypeError(f"column {name} has the type {kind}, which no released table has")


def _text(column: "pa.Array[Any]", name: str) -> list[str | None]:
    try:
        values: list[str | None] = column.to_pylist()
    except UnicodeDecodeError:
        pass
    else:
        return values
    # Outside of the except block: the decoder's error carries the text.
    raise InputOutputError(
        f"Column {name} holds text that is not UTF-8.", "Correct it where it comes from, and import it again."
    )


def _iso_texts(column: "pa.Array[Any]", kind: pa.DataType, suffix: str, name: str) -> list[str | None]:
    try:
        # Without its zone, a timestamp is its UTC time.
        moments: pa.Array[Any] = column.cast(kind)
        return [None if value is None else value.isoformat() + suffix for value in moments.to_pylist()]
    except (pa.ArrowInvalid, ValueError, OverflowError):
        pass
    raise InputOutputError(
        f"Column {name} holds a time finer than microseconds, or beyond the years 1 to 9999.",
        "Correct it where it comes from, and import it again.",
    )


def bucket_digests(digests: Iterable[bytes]) -> list[bytes]:
    """256 digests, one for all row digests that begin with the same byte: two tables differ only in buckets that do."""
    words = np.frombuffer(b"".join(digests), np.dtype(">u8")).reshape(-1, 4)
    ordered = words[np.lexsort(words.T[::-1])]
    ends = np.searchsorted(ordered[:, 0] >> np.uint64(56), np.arange(256, dtype=np.uint64), side="right")
    return [hashlib.sha256(piece.tobytes()).digest() for piece in np.split(ordered, ends)[:256]]


def table_digest(digests: Iterable[bytes]) -> str:
    """The digest of a table from its row digests, in any order; equal rows count as often as they are there.

    Args:
        digests: of 32 bytes each, or several of them one behind the other.
    """
    return sha256_text(b"".join(bucket_digests(digests)))


class TableIdentity(TypedDict):
    """What a table's contents are, whatever file holds them."""

    digest: str
    rows: int
    schema_sha256: str


def schema_sha256(columns: Iterable[tuple[str, str, bool]]) -> str:
    """The digest of a schema: (name, type, nullable) of each column, in any order."""
    listed = [{"name": name, "nullable": nullable, "type": kind} for name, kind, nullable in sorted(columns)]
    return sha256_text(canonical_json(listed))


RowDigests = Callable[[pa.Table], bytes]
"""Gives what :func:`row_digests` gives, one digest behind the other, perhaps by several processes."""


def table_identity(data: pa.Table) -> TableIdentity:
    """What makes a table this one: digest of its rows, their number, digest of its schema."""
    return identity_of(data.schema, b"".join(row_digests(data)))


def identity_of(schema: pa.Schema, digests: bytes) -> TableIdentity:
    """What makes a table this one, whose rows have these digests, one behind the other."""
    return {
        "digest": table_digest([digests]),
        "rows": len(digests) // 32,
        "schema_sha256": schema_sha256((field.name, str(field.type), field.nullable) for field in schema),
    }


def content_digest(tables: Mapping[str, TableIdentity]) -> str:
    """The digest of all tables by name; it does not depend on files, their layout or their compression."""
    listed = {
        name: {"digest": table["digest"], "rows": table["rows"], "schema_sha256": table["schema_sha256"]}
        for name, table in tables.items()
    }
    return sha256_text(canonical_json({"tables": listed}))


def release_digest(checksums: bytes) -> str:
    """The digest of a release: of the bytes of its ``manifest-sha256.txt``. It is what is signed and registered."""
    return sha256_text(checksums)
