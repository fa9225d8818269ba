"""What a file holds: its bytes, and decoded what is packed in it, as pieces to be searched.

Everything is recognised by its first bytes, never by its name. A file is not trusted: how deep it may be packed, how many
members it may have and how much may come out of it is limited, and what a limit or damage keeps from being read is
named, never passed over. Texts of PDF are searched where their streams are deflated and a text stands in them as bytes,
which is not always so.
"""

import bz2
import gzip
import io
import lzma
import re
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Literal, TypeAlias, cast

import pyarrow as pa

from pathcurate.leaksearch.columns import VALUE_END, arrow_parts, parquet_parts
from pathcurate.leaksearch.imagetexts import jpeg_parts, png_parts, tiff_parts
from pathcurate.leaksearch.parts import Part, Unsearched, inside

BLOCK: Final = 1 << 20
OVERLAP: Final = 2048
"""Bytes that a block shares with each neighbour: more than an identifier and what its borders are judged by."""
_HEAD_BYTES = 600
_IN_MEMORY = 256 << 20
"""Most that is unpacked into memory, for what cannot be read from its beginning to its end."""
_FREE_BYTES = 64 << 20
"""What may come out of a packed file whatever its size."""


@dataclass(slots=True)
class Limits:
    """What is left of what one file may cost.

    Attributes:
        depth: packings within packings.
        members: members of archives, in all.
        ratio: bytes that may come out for each byte of the file.
        most_bytes: bytes that may come out in all.
    """

    depth: int = 6
    members: int = 200_000
    ratio: int = 1000
    most_bytes: int = 64 << 30
    left: int = field(default=0, init=False)

    def open(self, size: int) -> None:
        """Begin with a file of so many bytes."""
        self.left = min(self.most_bytes, _FREE_BYTES + self.ratio * size)


class _LimitReachedError(Exception):
    """Something is larger than it may be."""


_DAMAGE = (
    OSError, EOFError, ValueError, KeyError, IndexError, RuntimeError, NotImplementedError, OverflowError, MemoryError,
    pa.ArrowException, zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError, sqlite3.Error, _LimitReachedError,
)  # fmt: skip
Pieces: TypeAlias = Iterator[Part | Unsearched]


def parts(file: BinaryIO, where: str, limits: Limits, depth: int = 0) -> Pieces:
    """All that can be searched in a file: its bytes in blocks, and what is packed in them.

    Args:
        file: positioned at its beginning and seekable.
        where: which part of the searched file it is; empty for the whole.
        limits: what it may cost, opened.
        depth: packings around it.
    """
    head = file.read(_HEAD_BYTES)
    kind = kind_of(head)
    file.seek(0)
    yield from _blocks(file, where, is_packed=kind in _PACKED)
    opener = _OPENERS.get(kind)
    if opener is None:
        if kind in _CLOSED:
            yield Unsearched(where, f"packed as {kind}, which is not opened")
        return
    if depth >= limits.depth:
        yield Unsearched(where, f"packed more than {limits.depth} times")
        return
    file.seek(0)
    try:
        yield from opener(file, where, limits, depth)
    except _DAMAGE as error:
        yield Unsearched(where, str(error) if isinstance(error, _LimitReachedError) else f"damaged or encrypted ({kind})")


def kind_of(head: bytes) -> str:
    """What a file is by its first bytes; empty for what is searched as it is."""
    if head[257:262] == b"ustar":
        return "tar"
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")


def _blocks(file: BinaryIO, where: str, *, is_packed: bool, limits: Limits | None = None) -> Iterator[Part]:
    """Bytes as they are, in blocks that overlap."""
    before, body, start = b"", _read(file, BLOCK, limits), 0
    while body:
        following = _read(file, BLOCK, limits)
        yield Part(where, before + body + following[:OVERLAP], start - len(before), start, start + len(body), is_packed)
        start += len(body)
        before, body = body[-OVERLAP:], following


def _read(file: BinaryIO, length: int, limits: Limits | None) -> bytes:
    """Up to so many bytes, fewer only at the end."""
    pieces: list[bytes] = []
    while length and (piece := file.read(length)):
        pieces.append(piece)
        length -= len(piece)
        if limits is not None:
            limits.left -= len(piece)
            if limits.left < 0:
                raise _LimitReachedError("more comes out of it than is allowed")
    return b"".join(pieces)


def _unpacked(stream: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
    """What comes out of a packing: searched as it comes, or, where it is packed itself, opened in memory."""
    head = _read(stream, _HEAD_BYTES, limits)
    kind = kind_of(head)
    joined = cast(BinaryIO, io.BufferedReader(_Joined(head, stream)))
    if not kind:
        yield from _blocks(joined, where, is_packed=False, limits=limits)
        return
    data = _read(joined, _IN_MEMORY + 1, limits)
    if len(data) > _IN_MEMORY:
        yield Unsearched(where, "too large to be opened where it is packed")
        yield Part(where, data, 0, 0, len(data), True)
        yield from _blocks(joined, where, is_packed=True, limits=limits)
        return
    yield from parts(io.BytesIO(data), where, limits, depth + 1)


class _Joined(io.RawIOBase):
    """What was read of a stream already, and then the rest of it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def _stream(opened: Callable[[BinaryIO], Any]) -> "Callable[[BinaryIO, str, Limits, int], Pieces]":
    """How a file is opened that is one compressed stream."""

    def open_it(file: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
        with closing(opened(file)) as stream:
            yield from _unpacked(stream, inside(where, "unpacked"), limits, depth)

    return open_it


def _zip(file: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        named = [_raw_name(info.filename) for info in members]
        yield from _listed(where, VALUE_END.join([*named, archive.comment, *(info.comment for info in members)]))
        for number, info in enumerate(members, 1):
            inner = inside(where, f"member {number}")
            if not _may_open(limits):
                yield Unsearched(inner, "too many members")
                return
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                yield Unsearched(inner, "encrypted")
                continue
            try:
                with archive.open(info) as stream:
                    yield from _unpacked(cast(BinaryIO, stream), inner, limits, depth)
            except _DAMAGE as error:
                yield Unsearched(inner, str(error) if isinstance(error, _LimitReachedError) else "damaged")


def _raw_name(name: str) -> bytes:
    # What is not marked as UTF-8 was decoded as code page 437, whatever it was.
    try:
        return name.encode("cp437")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass")


def _tar(file: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
    with tarfile.open(fileobj=file, mode="r:", errors="surrogateescape") as archive:
        for number, member in enumerate(archive, 1):
            inner = inside(where, f"member {number}")
            if not _may_open(limits):
                yield Unsearched(inner, "too many members")
                return
            names = [member.name, member.linkname, member.uname, member.gname, *map(str, member.pax_headers.values())]
            yield from _listed(inner, VALUE_END.join(name.encode("utf-8", "surrogateescape") for name in names))
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                with content:
                    yield from _unpacked(cast(BinaryIO, content), inner, limits, depth)


def _may_open(limits: Limits) -> bool:
    limits.members -= 1
    return limits.members >= 0


def _listed(where: str, names: bytes) -> Iterator[Part]:
    if names:
        yield Part(inside(where, "names"), names, 0, 0, len(names), False)


def _sqlite(file: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
    """All tables; what a deleted row has left is in the file's bytes, which are searched as well."""
    data = _read(file, _IN_MEMORY + 1, None)
    if len(data) > _IN_MEMORY:
        yield Unsearched(where, "too large to be opened as SQLite; its bytes were searched")
        return
    with closing(sqlite3.connect(":memory:")) as connection:
        # A journal of another mode would be looked for beside a database that has no file.
        connection.deserialize(data[:18] + b"\x01\x01" + data[20:])
        connection.text_factory = bytes
        connection.execute("PRAGMA trusted_schema = OFF")
        # Not those of modules, whose rows lie in tables beside them.
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0").fetchall()
        names = [name for (name,) in listed]
        for number, name in enumerate(names, 1):
            quoted = name.decode("utf-8", "surrogateescape").replace('"', '""')
            rows = connection.execute(f'SELECT * FROM "{quoted}"')
            while batch := rows.fetchmany(4096):
                values = [_cell(value) for row in batch for value in row if value is not None]
                joined = VALUE_END.join(values)
                yield Part(inside(where, f"table {number}"), joined, 0, 0, len(joined), False)


def _cell(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).encode()


def _pdf(file: BinaryIO, where: str, limits: Limits, depth: int) -> Pieces:
    data = _read(file, _IN_MEMORY, None)
    for number, match in enumerate(re.finditer(rb"stream\r?\n", data), 1):
        unpacker = zlib.decompressobj()
        try:
            text = unpacker.decompress(data[match.end() :], 16 << 20)
        except zlib.error:
            continue  # not deflated: its bytes were searched
        limits.left -= len(text)
        if limits.left < 0:
            raise _LimitReachedError("more comes out of it than is allowed")
        yield Part(inside(where, f"stream {number}"), text, 0, 0, len(text), False)
    if b"/Encrypt" in data:
        yield Unsearched(where, "encrypted")


def _arrow_stream(codec: Literal["zstd", "lz4"]) -> Callable[[BinaryIO], Any]:
    return lambda file: pa.CompressedInputStream(pa.PythonFile(cast(io.IOBase, file), mode="r"), codec)


def _plain(reader: Callable[[BinaryIO, str], Iterator[Part]]) -> "Callable[[BinaryIO, str, Limits, int], Pieces]":
    return lambda file, where, limits, depth: reader(file, where)


_MAGIC = (
    (b"PAR1", "parquet"), (b"PARE", "encrypted parquet"), (b"ARROW1", "arrow"), (b"ORC", "orc"),
    (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"), (b"PK\x07\x08", "zip"),
    (b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"), (b"\x1f\x9d", "compress"),
    (b"SQLite format 3\0", "sqlite"), (b"\x89PNG\r\n\x1a\n", "png"), (b"\xff\xd8\xff", "jpeg"), (b"%PDF-", "pdf"),
    (b"II*\0", "tiff"), (b"MM\0*", "tiff"), (b"II+\0", "tiff"), (b"MM\0+", "tiff"),
)  # fmt: skip
_OPENERS: dict[str, Callable[[BinaryIO, str, Limits, int], Pieces]] = {
    "parquet": _plain(parquet_parts),
    "arrow": _plain(arrow_parts),
    "zip": _zip,
    "tar": _tar,
    "gzip": _stream(lambda file: gzip.GzipFile(fileobj=file)),
    "bzip2": _stream(bz2.BZ2File),
    "xz": _stream(lzma.LZMAFile),
    "zstd": _stream(_arrow_stream("zstd")),
    "lz4": _stream(_arrow_stream("lz4")),
    "sqlite": _sqlite,
    "png": _plain(png_parts),
    "jpeg": _plain(jpeg_parts),
    "tiff": _plain(tiff_parts),
    "pdf": _pdf,
}
_CLOSED = frozenset({"encrypted parquet", "orc", "7z", "rar", "compress"})
# Their bytes are compressed: of what is found there, short hits are chance.
_PACKED = frozenset({*_OPENERS, *_CLOSED} - {"sqlite", "tar", "pdf"})
