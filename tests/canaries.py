"""Searches files for planted values in decoded form: in a compressed Parquet page a search of bytes sees no value."""

import base64
import gzip
import html
import io
import json
import re
import sqlite3
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq


def spellings(value: str | date) -> set[str]:
    """The texts in which a value may stand."""
    if isinstance(value, date):
        year, month, day = value.year, value.month, value.day
        return {
            value.isoformat(), f"{year}{month:02}{day:02}", f"{year}/{month}/{day}", f"{year}/{month:02}/{day:02}",
            f"{year}.{month:02}.{day:02}", f"{year}年{month}月{day}日", f"{month:02}/{day:02}/{year % 100:02}",
            f"{month:02}/{day:02}/{year}", f"{day:02}/{month:02}/{year}",
        }  # fmt: skip
    return {value, value.lower(), value.upper()}


class Search:
    """Looks for named values.

    Args:
        values: name of each canary to its value.
    """

    def __init__(self, values: Mapping[str, str | date]) -> None:
        self._texts = {name: spellings(value) for name, value in values.items()}
        self._bytes = {name: {form for text in texts for form in _byte_forms(text)} for name, texts in self._texts.items()}

    def in_text(self, text: str) -> set[str]:
        """Canaries in a text, also behind escapes of HTML and JSON."""
        forms = (text, html.unescape(text), _unescaped(text))
        return {name for name, texts in self._texts.items() if any(part in form for part in texts for form in forms)}

    def in_bytes(self, data: bytes) -> set[str]:
        """Canaries in raw bytes, in every usual encoding."""
        return {name for name, forms in self._bytes.items() if any(form in data for form in forms)}

    def in_tree(self, root: Path, *, without: Iterable[str] = ()) -> dict[str, set[str]]:
        """Canaries below a directory: file by relative path to what was found in its name or content.

        Args:
            root: the directory.
            without: names directly below it that are not searched.
        """
        skipped = set(without)
        found: dict[str, set[str]] = {}
        for path in sorted(root.rglob("*")):
            relpath = path.relative_to(root)
            if relpath.parts[0] in skipped:
                continue
            hits = self.in_text(str(relpath))
            if path.is_file() and not path.is_symlink():
                hits |= self.in_file(path.name, path.read_bytes())
            if hits:
                found[str(relpath)] = hits
        return found

    def in_file(self, name: str, data: bytes) -> set[str]:
        """Canaries in a file: raw, and decoded by what it is."""
        hits = self.in_bytes(data)
        for text in _decoded(name, data):
            hits |= self.in_text(text)
        for member, content in _members(data):
            hits |= self.in_text(member) | self.in_file(member, content)
        return hits


def _byte_forms(text: str) -> Iterator[bytes]:
    for encoding in ("utf-8", "gb18030", "utf-16-le", "utf-16-be"):
        data = text.encode(encoding)
        yield data
        yield data.hex().encode()
        # Base64 of the middle of a text, whatever stands before it.
        for lead in range(3):
            encoded = base64.b64encode(b"\0" * lead + data)
            core = encoded[4 if lead else 0 : len(encoded) - 4]
            # Shorter cores are parts of words, which stand elsewhere with every right.
            if len(core) >= 12:
                yield core
    yield quote(text).encode()
    yield text.encode("unicode_escape")


def _unescaped(text: str) -> str:
    return re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)


def _decoded(name: str, data: bytes) -> Iterator[str]:
    if data.startswith(b"PAR1"):
        yield from _parquet_texts(data)
    elif data.startswith(b"SQLite format 3\0"):
        yield from _sqlite_texts(data)
    else:
        yield data.decode("utf-8", "replace")
        if name.endswith((".json", ".jsonl")):
            for line in data.decode("utf-8", "replace").splitlines() if name.endswith("l") else [data.decode()]:
                yield "\n".join(_strings(json.loads(line)))


def _parquet_texts(data: bytes) -> Iterator[str]:
    file = pq.ParquetFile(io.BytesIO(data))
    table = file.read()
    yield "\n".join(_strings(table.to_pylist()))
    for column in table.columns:
        for chunk in column.chunks:
            if hasattr(chunk, "dictionary"):
                yield "\n".join(_strings(chunk.dictionary.to_pylist()))
    for field in table.schema:
        yield "\n".join(_strings([field.name, *(field.metadata or {}).values()]))
    yield "\n".join(_strings(list((file.metadata.metadata or {}).values())))
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            statistics = file.metadata.row_group(group).column(index).statistics
            if statistics is not None and statistics.has_min_max:
                yield "\n".join(_strings([statistics.min, statistics.max]))


def _sqlite_texts(data: bytes) -> Iterator[str]:
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    yield "\n".join(_strings(connection.execute("select sql from sqlite_master").fetchall()))
    for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
        yield "\n".join(_strings(connection.execute(f'select * from "{table}"').fetchall()))
    connection.close()


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                yield info.filename, archive.read(info)
    elif data.startswith(b"\x1f\x8b"):
        yield "content", gzip.decompress(data)
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member)
                yield member.name, content.read() if content else b""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
        yield value.decode("gb18030", "replace")
    elif isinstance(value, datetime):
        yield value.date().isoformat()
    elif value is not None:
        yield str(value)
