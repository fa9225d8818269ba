"""What images say beside their pixels: texts of PNG chunks, segments of JPEG, values of TIFF tags."""

import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Final

from pathcurate.ifd import Directory, TiffDamage, walk
from pathcurate.leaksearch.parts import Part, inside
from pathcurate.storage import Source

_MOST_BYTES: Final = 16 << 20
_PIXELS = frozenset({b"IDAT", b"fdAT"})


def png_parts(file: BinaryIO, where: str) -> Iterator[Part]:
    """Chunks of a PNG that are no pixels (PNG 3rd edition, section 11), unpacked where they are packed."""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if name in _PIXELS:
            file.seek(length + 4, 1)
            continue
        data = file.read(min(length, _MOST_BYTES))
        file.seek(max(0, length - len(data)) + 4, 1)
        yield from _part(where, data)
        if name in {b"zTXt", b"iTXt", b"iCCP"}:
            yield from _part(where, _inflated(data))


def _inflated(data: bytes) -> bytes:
    """The packed end of a chunk, wherever it begins; empty if there is none."""
    for start in range(min(len(data), 400)):
        if data[start] & 0x0F == 8 and int.from_bytes(data[start : start + 2], "big") % 31 == 0:
            try:
                return zlib.decompressobj().decompress(data[start:], _MOST_BYTES)
            except zlib.error:
                continue
    return b""


def jpeg_parts(file: BinaryIO, where: str) -> Iterator[Part]:
    """Application and comment segments of a JPEG up to its pixels (ITU-T T.81, annex B): EXIF, XMP, JFIF, comments."""
    file.seek(2)
    while len(head := file.read(4)) == 4 and head[0] == 0xFF and head[1] not in {0xDA, 0xD9}:
        data = file.read(max(0, int.from_bytes(head[2:], "big") - 2))
        if head[1] == 0xFE or 0xE0 <= head[1] <= 0xEF:
            yield from _part(where, data)


def tiff_parts(file: BinaryIO, where: str) -> Iterator[Part]:
    """Values of all tags of a TIFF that are texts or bytes.

    Raises:
        ValueError: its directories cannot be read to the end.
    """
    directories: list[Directory] = []
    try:
        for directory in walk(_Whole(file)):
            directories += [directory, *directory.sub_directories()]
        damage = None
    except TiffDamage as error:
        directories, damage = list(error.directories), error
    for directory in directories:
        for tag, entry in directory.entries.items():
            if entry.type in {1, 2, 7} and entry.count > 4:
                yield from _part(where, directory.raw_value(tag, _MOST_BYTES))
    if damage is not None:
        raise ValueError("damaged") from None


class _Whole:
    """An opened file as a source."""

    name = ""
    local_path = None

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    def read_at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def beside(self, relpath: bytes) -> AbstractContextManager[Source]:
        raise FileNotFoundError


def _part(where: str, data: bytes) -> Iterator[Part]:
    if data:
        yield Part(inside(where, "metadata"), data, 0, 0, len(data), False)
