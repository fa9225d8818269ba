"""What a JPEG says beside its pixels: comments and application segments before the first scan (ITU-T T.81, annex B)."""

import struct
from collections.abc import Iterator
from typing import Final

HEAD_BYTES: Final = 8192
"""Of a tile this much is looked at."""
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end (behind it) of each segment with its marker, as far as they are whole, before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (_SCAN, _END):
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            return
        yield data[at + 1], at, at + 2 + length
        at += 2 + length


def says_more(data: bytes, words: frozenset[str] = frozenset()) -> bool:
    """Whether a JPEG holds texts, profiles or a picture that nobody needs to decode it.

    Args:
        data: its beginning, :data:`HEAD_BYTES` if it has so many.
        words: comments that encoders write, in small letters.
    """
    at = 2
    for marker, begin, at in segments(data):
        body = data[begin + 4 : at]
        if marker == _COMMENT and not _is_stock(body, words):
            return True
        if 0xE0 <= marker <= 0xEF and not _is_plain(marker, body):
            return True
    # A segment that goes on beyond what was looked at is longer than any that decoding needs.
    return len(data) >= HEAD_BYTES and data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"\xda", b"\xd9")


def _is_plain(marker: int, body: bytes) -> bool:
    """Whether a segment only says how to decode: JFIF without a thumbnail, Adobe's colours, Motion-JPEG's fields."""
    return (
        (marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) == 14)
        or (marker == 0xE0 and body[:4] == b"AVI1" and not any(body[5:]))
        or (marker == 0xEE and body[:5] == b"Adobe" and len(body) == 12)
    )


def _is_stock(body: bytes, words: frozenset[str]) -> bool:
    text = body.strip(b"\0 \r\n\t").decode("latin-1").lower()
    return not text or text in words


def has_trailer(data: bytes) -> bool:
    """Whether a whole JPEG does not end with its end, or with blanks behind it."""
    _, _, rest = data.rpartition(b"\xff\xd9")
    return bool(rest.strip(b"\0"))
