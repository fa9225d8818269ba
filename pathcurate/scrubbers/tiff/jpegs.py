"""What compressed tiles say beside their pixels: comments and application segments of JPEG, JPEG 2000 and WebP.

Tiles of a copy are those of the slide, bit for bit, so a text in one cannot be taken out: such a slide is refused.
"""

from typing import Final

from pathcurate.images.jpegsegments import codestream_comments, comments, has_text_behind, segments
from pathcurate.scrubbers.tiff.forms import is_of_words

TAIL_BYTES: Final = 256
_TABLES: Final = frozenset({0xDB, 0xC4, 0xDD, 0xCC})
"""Quantisation, Huffman and arithmetic tables, restart interval (ITU-T T.81, table B.1)."""


def says_more(head: bytes, tail: bytes, words: frozenset[str]) -> bool:
    """Whether a tile holds anything beside pixels that nobody needs to decode it.

    Args:
        head: its first bytes, :data:`HEAD_BYTES` if it has so many.
        tail: its last bytes.
        words: of comments that encoders write, folded.
    """
    if head[:2] == b"\xff\xd8":
        found = comments(head)
        return found is None or not all(_is_stock(text, words) for text in found) or has_text_behind(tail)
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


def has_no_end(head: bytes, tail: bytes) -> bool:
    """Whether a tile is a JPEG whose end is not in the last bytes that were read: something may stand behind it."""
    return head[:2] == b"\xff\xd8" and b"\xff\xd9" not in tail


def bare_tables(data: bytes) -> bytes | None:
    """Tables of abbreviated JPEG streams (TIFF Technical Note 2) and nothing else; None if they are damaged."""
    if data[:2] != b"\xff\xd8":
        return None
    kept, at = b"\xff\xd8", 2
    for marker, begin, at in segments(data):
        if marker in _TABLES:
            kept += data[begin:at]
    return kept + b"\xff\xd9" if data[at : at + 2] == b"\xff\xd9" else None


def _is_stock(text: bytes, words: frozenset[str]) -> bool:
    stripped = text.strip(b"\0 \r\n\t")
    return not stripped or is_of_words(stripped.decode("latin-1"), words)


def _codestream_says_more(head: bytes, words: frozenset[str]) -> bool:
    return not all(_is_stock(text, words) for text in codestream_comments(head))
