"""Files of a copy in which all is zero that nobody refers to: copied whole, then blanked in place and cut."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.copying import copy_file
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.storage import Source

_PIECE: Final = 1 << 20
_TEXT: Final = re.compile(rb"[ -~]{24}|(?:[ -~]\0){12}")
"""As many printable characters, in 8 or in 16 bits, stand nowhere in a table of numbers by chance."""
_SLACK_BYTES: Final = 1 << 20
_SLACK_SHARE: Final = 100

Spans = NDArray[np.int64]
"""Shape (n, 2): begin and end, in order, apart from one another."""


def joined(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Spans:
    """Stretches in order, those that touch or overlap as one; empty ones left out."""
    is_there = lengths > 0
    order = np.argsort(starts[is_there], kind="stable")
    begins = starts[is_there][order]
    ends = np.maximum.accumulate(begins + lengths[is_there][order]) if len(begins) else begins
    is_first = np.ones(len(begins), np.bool_)
    is_first[1:] = begins[1:] > ends[:-1]
    is_last = np.append(is_first[1:], True)[: len(begins)]
    return np.stack([begins[is_first], ends[is_last]], axis=1) if len(begins) else np.empty((0, 2), np.int64)


def are_apart(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> bool:
    """Whether any two stretches are the same, or have no byte in common."""
    order = np.argsort(starts, kind="stable")
    begins, sizes = starts[order], lengths[order]
    is_same = (begins[1:] == begins[:-1]) & (sizes[1:] == sizes[:-1])
    return not np.any((begins[1:] < begins[:-1] + sizes[:-1]) & ~is_same)


def overlaps(spans: Spans, start: int, length: int) -> bool:
    """Whether a stretch shares a byte with any of them."""
    at = int(np.searchsorted(spans[:, 1], start, side="right"))
    return length > 0 and at < len(spans) and int(spans[at, 0]) < start + length


def gaps(spans: Spans, size: int) -> Iterator[tuple[int, int]]:
    """Begin and end of what lies between, before and behind them in a file of some size."""
    at = 0
    for begin, end in spans.tolist():
        if begin > at:
            yield at, begin
        at = end
    if at < size:
        yield at, size


def check_slack(source: Source, kept: Spans, known: Sequence[tuple[int, int]]) -> None:
    """Refuse a file of which much is nobody's: then it has parts that were not understood.

    Args:
        source: the file.
        kept: stretches that the copy keeps.
        known: begin and end of stretches that are known to go.

    Raises:
        UnscrubbableError: more than 1 MiB, and more than a hundredth of it, is neither zero nor anybody's.
    """
    starts = np.array([begin for begin, _ in known], np.int64)
    ends = np.array([end for _, end in known], np.int64)
    both = joined(np.concatenate([kept[:, 0], starts]), np.concatenate([kept[:, 1] - kept[:, 0], ends - starts]))
    most = max(_SLACK_BYTES, source.size // _SLACK_SHARE)
    found = list(gaps(both, source.size))
    if sum(end - begin for begin, end in found) <= most:
        return
    left = 0
    for begin, end in found:
        left += sum(len(piece) - piece.count(0) for piece in _pieces(source, begin, end))
        if left > most:
            raise UnscrubbableError("a file of the slide holds much that nothing in it refers to")


def check_no_text(source: Source, start: int, length: int) -> None:
    """Refuse a table of numbers that holds a text.

    Raises:
        UnscrubbableError: it does.
    """
    tail = b""
    for piece in _pieces(source, start, start + length):
        data = tail + piece
        if _TEXT.search(data):
            raise UnscrubbableError("a record that should hold numbers holds a text")
        tail = data[-24:]


def write_blanked(source: Source, target: Path, kept: Spans, edits: Iterable[tuple[int, bytes]]) -> None:
    """Copy a file, make all zero that is not kept, cut what follows the last of it, and write what is new.

    Raises:
        OSError: it cannot be read or written.
    """
    copy_file(source, target)
    end = int(kept[-1, 1]) if len(kept) else 0
    zeros = bytes(_PIECE)
    handle = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.ftruncate(handle, end)
        for begin, stop in gaps(kept, end):
            for at in range(begin, stop, _PIECE):
                _write(handle, at, zeros[: min(_PIECE, stop - at)])
        for at, data in edits:
            _write(handle, at, data[: max(0, end - at)])
    finally:
        os.close(handle)


def _write(handle: int, at: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, at)
        view, at = view[done:], at + done


def _pieces(source: Source, begin: int, end: int) -> Iterator[bytes]:
    for at in range(begin, end, _PIECE):
        piece = source.read_at(at, min(_PIECE, end - at))
        if not piece:
            return
        yield piece
