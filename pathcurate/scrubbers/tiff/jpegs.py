"""What compressed tiles say beside their pixels: comments and application segments of JPEG, JPEG 2000 and WebP.

Tiles of a copy are those of the slide, bit for bit, so a text in one cannot be taken out: such a slide is refused.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

from pathcurate.scrubbers.tiff.forms import is_of_words

HEAD_BYTES: Final = 8192
"""Of a tile this much is looked at: segments before the pixels."""
TAIL_BYTES: Final = 256
_TABLES: Final = frozenset({0xDB, 0xC4, 0xDD, 0xCC})
"""Quantisation, Huffman and arithmetic tables, restart interval (ITU-T T.81, table B.1)."""
_COMMENT: Final = 0xFE
_PRINTED: Final = re.compile(rb"[ -~\x80-\xff]{4}")


def says_more(head: bytes, tail: bytes, words: frozenset[str]) -> bool:
    """Whether a tile holds anything beside pixels that nobody needs to decode it.

    Args:
        head: its first bytes, :data:`HEAD_BYTES` if it has so many.
        tail: its last bytes.
        words: of comments that encoders write, folded.
    """
    if head[:2] == b"\xff\xd8":
        return _jpeg_says_more(head, words) or _has_trailer(tail)
    if head[:4] == b"\xff\x4f\xff\x51":
        return _codestream_says_more(head, words)
    if head[4:12] == b"jP  \r\n\x87\n":
        start = head.find(b"\xff\x4f\xff\x51")
        return start < 0 or any(box in head[:start] for box in (b"xml ", b"uuid", b"uinf")) or _codestream_says_more(
            head[start:], words
        )  # fmt: skip
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
        # Flags: Exif 8, XMP 4 (RFC 9649, 2.7.1).
        return bool(head[20:21]) and bool(head[20] & 0x0C)
    return False


def bare_tables(data: bytes) -> bytes | None:
    """Tables of abbreviated JPEG streams (TIFF Technical Note 2) and nothing else; None if they are damaged."""
    if data[:2] != b"\xff\xd8":
        return None
    kept, at = b"\xff\xd8", 2
    for marker, body in _segments(data):
        if marker in _TABLES:
            kept += struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        at += 4 + len(body)
    return kept + b"\xff\xd9" if data[at : at + 2] == b"\xff\xd9" else None


def _segments(head: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers with what belongs to them, as far as they are whole, up to the first scan or the end."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] not in (0xDA, 0xD9):
        (length,) = struct.unpack_from(">H", head, at + 2)
        if length < 2 or at + 2 + length > len(head):
            return
        yield head[at + 1], head[at + 4 : at + 2 + length]
        at += 2 + length


def _jpeg_says_more(head: bytes, words: frozenset[str]) -> bool:
    at = 2
    for marker, body in _segments(head):
        at += 4 + len(body)
        if marker == _COMMENT and not _is_stock(body, words):
            return True
        if 0xE0 <= marker <= 0xEF and not _is_plain(marker, body):
            return True
    # A segment that goes on beyond what was looked at is longer than any that decoding needs.
    return len(head) == HEAD_BYTES and head[at : at + 1] == b"\xff" and head[at + 1 : at + 2] not in (b"\xda", b"\xd9")


def _is_plain(marker: int, body: bytes) -> bool:
    """Whether an application segment only says how to decode: JFIF without a thumbnail, or Adobe's colour transform."""
    return (marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) == 14) or (
        marker == 0xEE and body[:5] == b"Adobe" and len(body) == 12
    )  # fmt: skip


def _is_stock(text: bytes, words: frozenset[str]) -> bool:
    stripped = text.strip(b"\0 \r\n\t")
    return not stripped or is_of_words(stripped.decode("latin-1"), words)


def _codestream_says_more(head: bytes, words: frozenset[str]) -> bool:
    """Comments of a JPEG 2000 codestream (ITU-T T.800, A.9.2)."""
    at = 2
    while at + 4 <= len(head) and head[at] == 0xFF and head[at + 1] != 0x90:
        (length,) = struct.unpack_from(">H", head, at + 2)
        if head[at + 1] == 0x64 and not _is_stock(head[at + 6 : at + 2 + length], words):
            return True
        at += 2 + max(2, length)
    return False


def _has_trailer(tail: bytes) -> bool:
    """Whether text follows a JPEG's end."""
    _, end, rest = tail.rpartition(b"\xff\xd9")
    return bool(end) and _PRINTED.search(rest) is not None
