"""What pixel data hold beside pixels: comments in compressed frames, bytes behind them, tables of frames that are none.

Pixels of a copy are those of the source, bit for bit, so nothing can be taken out of them: such an instance is refused.
"""

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from pathcurate.images.jpegsegments import HEAD_BYTES, codestream_says_more, has_long_text, says_more
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.scrubbers.dicom.structure import ITEM, SEQUENCE_END, UNDEFINED
from pathcurate.storage import Source

_JPEG: Final = b"\xff\xd8"
_CODESTREAM: Final = b"\xff\x4f\xff\x51"
_END: Final = b"\xff\xd9"
"""Of JPEG, JPEG-LS and JPEG 2000 alike (ITU-T T.81, T.87, T.800)."""
_TAIL: Final = 256
_PIECE: Final = 1 << 18
_FLOATS: Final = {0x7FE0_0008: 32, 0x7FE0_0009: 64}
_LONGER: Final = "its pixel data hold bytes that belong to no frame"
_NO_TABLE: Final = "its table of frames holds what are no places of frames"


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one instance.

    Attributes:
        count: as many as its head says.
        samples: of all frames together; 0 if the head does not say.
        bits: of a sample that is not compressed.
        words: comments that encoders write, in small letters.
    """

    count: int
    samples: int
    bits: int
    words: frozenset[str]

    def check_native(self, source: Source, at: int, length: int, tag: int) -> None:
        """Refuse pixels that are not compressed and go on behind the last frame.

        Raises:
            UnscrubbableError: they do, with more than zeros.
            OSError: the file cannot be read.
        """
        needed = -(-self.samples * _FLOATS.get(tag, self.bits) // 8)
        # The last byte makes the length even.
        if not needed or length <= needed + (needed & 1):
            return
        for start in range(at + needed, at + length, _PIECE):
            if any(source.read_at(start, min(_PIECE, at + length - start))):
                raise UnscrubbableError(_LONGER)

    def behind(self, source: Source, at: int) -> int:
        """Behind the end mark of encapsulated pixel data (PS3.5 section A.4), whose fragments are looked at.

        Args:
            source: the file.
            at: where the first item begins, which holds the basic offset table.

        Raises:
            UnscrubbableError: they have no end mark, or hold more than frames.
            OSError: the file cannot be read.
        """
        begun = 0
        is_whole = is_first = True
        mark = b""
        before = 0
        while True:
            data = source.read_at(at - before, before + 8 + HEAD_BYTES)
            if len(data) < before + 8:
                raise UnscrubbableError("the pixel data have no end mark")
            tail, head = data[:before], data[before + 8 :]
            if mark:
                is_whole = _ends(tail)
            group, element, length = struct.unpack_from("<HHI", data, before)
            tag, at = group << 16 | element, at + 8
            if tag == SEQUENCE_END:
                if length:
                    raise UnscrubbableError("the pixel data have no end mark")
                return at
            if tag != ITEM or length == UNDEFINED or at + length > source.size:
                raise UnscrubbableError("the pixel data have no end mark")
            if is_first:
                check_places(source, at, length, 4)
            else:
                head = head[:length]
                mark = mark or next((mark for mark in (_JPEG, _CODESTREAM) if head.startswith(mark)), b"")
                if mark and head.startswith(mark):
                    begun += 1
                    says = says_more if mark == _JPEG else codestream_says_more
                    if says(head, self.words):
                        raise UnscrubbableError("a frame of its pixels holds a comment or another text")
                if mark and (begun > self.count or (is_whole and not head.startswith(mark) and length)):
                    raise UnscrubbableError(_LONGER)
            at += length
            # The end of a fragment is read with the beginning of the next.
            before, is_first = 0 if is_first else min(_TAIL, length), False


def _ends(tail: bytes) -> bool:
    """Whether a fragment ends with the end of its frame.

    Raises:
        UnscrubbableError: a text stands behind it.
    """
    _, end, rest = tail.rpartition(_END)
    if rest.strip(b"\0\xff") if end else has_long_text(rest):
        raise UnscrubbableError(_LONGER)
    return bool(end)


def check_places(source: Source, at: int, length: int, width: int, *, rises: bool = True) -> None:
    """Refuse a table of frames (PS3.5 section A.4, PS3.3 section C.7.6.3.1.8) whose numbers are no places in the file.

    Args:
        source: the file.
        at: where the table begins.
        length: of it in bytes.
        width: of a number in bytes; those of four begin anew at multiples of 4 GiB.
        rises: whether each number is larger than the one before; else they are lengths.

    Raises:
        UnscrubbableError: they are not.
        OSError: the file cannot be read.
    """
    begins, before = 0, 0
    for start in range(at, at + length, _PIECE):
        data = source.read_at(start, min(_PIECE, at + length - start))
        if len(data) % width:
            raise UnscrubbableError(_NO_TABLE)
        numbers = np.frombuffer(data, f"<u{width}")
        if not numbers.size:
            return
        if int(numbers.max()) >= source.size:
            raise UnscrubbableError(_NO_TABLE)
        if rises:
            signed = numbers.astype(np.int64)
            begins += int(np.count_nonzero(np.diff(signed, prepend=before) < 0))
            before = int(signed[-1])
    if begins > (source.size >> 32 if width == 4 else 0):
        raise UnscrubbableError(_NO_TABLE)


TABLES: Final = {0x7FE0_0001: True, 0x7FE0_0002: False}
"""Extended Offset Table and Extended Offset Table Lengths, and whether its numbers rise."""
