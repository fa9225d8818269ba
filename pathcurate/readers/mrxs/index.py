"""``Index.dat`` of a MIRAX slide: where its images lie."""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.readers.mrxs.slidedat import Damage, Slidedat

HEADER_PAGES: Final = 64
"""Pages of the smallest level that are followed for a header."""
MOST_PAGES: Final = 1 << 20
_INDEX_VERSION: Final = b"01.02"
_CHUNK_RECORDS: Final = 65_536
_SINT32: Final = np.dtype("<i4")

Read = Callable[[int, int], bytes]
Records = NDArray[np.int32]
"""Shape (n, 4): image number, offset, length, file number."""


class Index:
    """The records of ``Index.dat``, never more of them than it has bytes for.

    Args:
        read: reads the file.
        size: of the file, in bytes.
        slidedat: what names the slide.
        most_pages: pages of one chain that are followed; one that is longer ends there.

    Raises:
        Damage: from the start, if the index is of another slide or version; from each method, if what it needs lies beyond
            the end or makes no sense.
    """

    def __init__(self, read: Read, size: int, slidedat: Slidedat, most_pages: int) -> None:
        self._read = read
        self._size = size
        self._most_pages = most_pages
        identifier = slidedat.text("GENERAL", "SLIDE_ID").encode()
        head = self._bytes(0, len(_INDEX_VERSION) + len(identifier))
        if not head.startswith(_INDEX_VERSION):
            raise Damage("corrupt", "Index.dat does not begin as an index of version 01.02")
        if not identifier or head[len(_INDEX_VERSION) :] != identifier:
            raise Damage("corrupt", "Index.dat is that of another slide than Slidedat.ini")
        self._levels, self._layers = self._ints(len(head), 2)

    def level(self, level: int) -> Iterator[Records]:
        """The records of one level of the pyramid, page by page, shape (n, 4): image number, offset, length, file number."""
        position = self._page(self._levels + 4 * level)
        seen: set[int] = set()
        left = self._size // 16  # pages that overlap could otherwise hold more records than bytes
        while position != 0 and len(seen) < self._most_pages:
            if position in seen:
                raise Damage("corrupt", f"the pages of Index.dat run in a circle (offset {position})")
            seen.add(position)
            count, following = self._ints(position, 2)
            left -= count
            if count < 0 or left < 0:
                raise Damage("corrupt", f"a page of Index.dat has an absurd length (offset {position})")
            for first in range(0, count, _CHUNK_RECORDS):
                data = self._bytes(position + 8 + 16 * first, 16 * min(_CHUNK_RECORDS, count - first))
                yield np.frombuffer(data, _SINT32).reshape(-1, 4)
            position = following

    def has_level(self, level: int) -> bool:
        """Whether a pointer behind those of the zoom levels, which not every version has, leads to a chain of pages."""
        pointer = self._levels + 4 * level
        if self._levels < self._layers <= pointer or pointer + 4 > self._size:
            return False
        (start,) = self._ints(pointer, 1)
        return 0 < start <= self._size - 8 and self._ints(start, 1) == [0]

    def layer(self, number: int) -> tuple[int, int, int]:
        """Offset, length and file number of a non-hierarchical record, which stands alone in its page."""
        position = self._page(self._layers + 4 * number)
        # What would be the position of the next page is sometimes none, and is not looked at.
        count, _, zero, other_zero, offset, length, file = self._ints(position, 7)
        if (count, zero, other_zero) != (1, 0, 0):
            raise Damage("corrupt", f"a page of Index.dat is not one of a single record (offset {position})")
        return offset, length, file

    def _page(self, pointer: int) -> int:
        """Position of the first page of the chain to which a pointer leads."""
        (start,) = self._ints(pointer, 1)
        zero, position = self._ints(start, 2)
        if zero != 0:
            raise Damage("corrupt", f"Index.dat has no chain of pages where one should be (offset {start})")
        return position

    def _ints(self, offset: int, count: int) -> list[int]:
        numbers: list[int] = np.frombuffer(self._bytes(offset, 4 * count), _SINT32).tolist()
        return numbers

    def _bytes(self, offset: int, length: int) -> bytes:
        if offset < 0:
            raise Damage("corrupt", "Index.dat points before its beginning")
        data = self._read(offset, length) if offset + length <= self._size else b""
        if len(data) < length:
            raise Damage("truncated", f"Index.dat ends before what it points to (offset {offset})")
        return data


def first_records(pages: Iterator[Records], most: int) -> Records:
    """The first records of a chain, in the order of their image numbers."""
    found: list[Records] = []
    for page in pages:
        found.append(page[:most])
        most -= len(found[-1])
        if most <= 0:
            break
    records = np.concatenate(found) if found else np.empty((0, 4), np.int32)
    return records[np.argsort(records[:, 0], kind="stable")]


def count_beyond(records: Records, sizes: NDArray[np.int64]) -> int:
    """How many records point to no file, or not into it."""
    _, offsets, lengths, numbers = records.astype(np.int64).T
    known = (numbers >= 0) & (numbers < len(sizes))
    size = sizes[np.where(known, numbers, 0)]
    good = known & (offsets >= 0) & (lengths > 0) & (offsets + lengths <= size)
    return int(np.count_nonzero(~good))
