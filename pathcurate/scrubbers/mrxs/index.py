"""``Index.dat`` walked whole: every chain and page that a pointer leads to, so that the rest is known to be nobody's.

It begins with a version and the slide's id, then the positions of two tables of pointers: to chains of pages of the
pyramid's images, and to those of all else. Source: OpenSlide's description of the format. All numbers are signed 32-bit,
little-endian.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.storage import Source

VERSION_BYTES: Final = 5
_VERSION: Final = b"01.02"
_MOST_PAGES: Final = 1 << 18
_MOST_RECORDS: Final = 8_000_000
_MOST_ITEMS: Final = 64
_CHUNK: Final = 65_536
_RECORD: Final = np.dtype("<i4")

Places = NDArray[np.int32]
"""Shape (n, 3): offset, length, number of the data file."""
Place = tuple[int, int, int]


@dataclass(slots=True)
class Index:
    """What the index holds.

    Attributes:
        levels: of each pointer of the pyramid that leads anywhere, the places of its images in pieces.
        items: of each record that is not of the pyramid, the places of what it holds; mostly one.
        spans: stretches of the index that belong to what the copy keeps.
        edits: what is written into the copy: where, and what.
    """

    levels: list[list[Places]] = field(default_factory=list)
    items: list[list[Place]] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    edits: list[tuple[int, bytes]] = field(default_factory=list)


class Walk:
    """One walk of an index.

    Args:
        source: ``Index.dat``.
        slide_id: what must stand at its head.
        new_id: what stands there in the copy.
    """

    def __init__(self, source: Source, slide_id: bytes, new_id: bytes) -> None:
        self._source = source
        self._slide_id, self._new_id = slide_id, new_id
        self._found = Index()
        self._seen: set[int] = set()
        self._count = 0

    def index(self, zooms: int, levels: int, is_kept: Sequence[bool]) -> Index:
        """Everything that it leads to.

        Args:
            zooms: pointers of zoom levels, each of which must lead to a chain.
            levels: all pointers of the pyramid.
            is_kept: for each other record whether the copy has it.

        Raises:
            UnscrubbableError: it is of another slide, damaged, or larger than can be proven.
            OSError: it cannot be read.
        """
        found = self._found
        head = VERSION_BYTES + len(self._slide_id)
        if self._bytes(0, head) != _VERSION + self._slide_id:
            raise UnscrubbableError("Index.dat is not that of this slide")
        found.edits.append((VERSION_BYTES, self._new_id))
        found.spans.append((0, head + 8))
        levels_at, layers_at = self._ints(head, 2)
        for number in range(levels):
            pointer = levels_at + 4 * number
            if number < zooms:
                self._level(pointer, must_be=True)
            elif not levels_at < layers_at <= pointer:
                # Not every version has a pointer for each filter and focus level; then the other table follows.
                self._level(pointer, must_be=False)
        self._layers(layers_at, is_kept)
        return found

    def _level(self, pointer: int, *, must_be: bool) -> None:
        (start,) = self._ints(pointer, 1) if must_be or pointer + 4 <= self._source.size else [0]
        zero, page = self._ints(start, 2) if must_be or 0 < start <= self._source.size - 8 else (1, 0)
        if zero != 0:
            if must_be:
                raise UnscrubbableError("Index.dat has no chain of pages for a level")
            return
        self._found.spans += [(pointer, pointer + 4), (start, start + 8)]
        self._found.levels.append([places for places in self._pages(page) if len(places)])

    def _pages(self, position: int) -> Iterator[Places]:
        while position != 0:
            if position in self._seen or len(self._seen) >= _MOST_PAGES:
                raise UnscrubbableError("the pages of Index.dat run in a circle, or are more than any slide has")
            self._seen.add(position)
            count, following = self._ints(position, 2)
            self._count += max(count, 0)
            if count < 0 or self._count > min(_MOST_RECORDS, self._source.size // 16):
                raise UnscrubbableError("Index.dat has more images than it has room for, or than can be proven")
            self._found.spans.append((position, position + 8 + 16 * count))
            for first in range(0, count, _CHUNK):
                data = self._bytes(position + 8 + 16 * first, 16 * min(_CHUNK, count - first))
                yield np.frombuffer(data, _RECORD).reshape(-1, 4)[:, 1:].copy()
            position = following

    def _layers(self, table: int, is_kept: Sequence[bool]) -> None:
        pointers = self._ints(table, len(is_kept))
        kept: list[int] = []
        for pointer, keeps in zip(pointers, is_kept, strict=True):
            items: list[Place] = []
            if pointer != 0:
                zero, page = self._ints(pointer, 2)
                if zero != 0:
                    raise UnscrubbableError("Index.dat has no page where a record should be")
                if keeps:
                    self._found.spans.append((pointer, pointer + 8))
                if page != 0:
                    items = self._items(page, keeps=keeps)
            self._found.items.append(items)
            kept += [pointer] if keeps else []
        self._found.edits.append((table, struct.pack(f"<{len(is_kept)}i", *kept, *[0] * (len(is_kept) - len(kept)))))
        self._found.spans.append((table, table + 4 * len(kept)))

    def _items(self, page: int, *, keeps: bool) -> list[Place]:
        (count,) = self._ints(page, 1)
        if not 0 <= count <= _MOST_ITEMS:
            raise UnscrubbableError("a page of Index.dat has an absurd length")
        numbers = self._ints(page, 2 + 5 * count)
        # The second number is that of another page only where images are listed, and the first two of an item are blank.
        items = [(numbers[at + 2], numbers[at + 3], numbers[at + 4]) for at in range(2, len(numbers), 5)]
        if keeps:
            self._found.spans.append((page, page + 4 * len(numbers)))
            plain = [count, 0, *(number for item in items for number in (0, 0, *item))]
            self._found.edits.append((page, struct.pack(f"<{len(plain)}i", *plain)))
        return items

    def _ints(self, offset: int, count: int) -> list[int]:
        numbers: list[int] = np.frombuffer(self._bytes(offset, 4 * count), _RECORD).tolist()
        return numbers

    def _bytes(self, offset: int, length: int) -> bytes:
        data = self._source.read_at(offset, length) if 0 <= offset <= self._source.size - length else b""
        if len(data) < length:
            raise UnscrubbableError("Index.dat points before its beginning or beyond its end")
        return data
