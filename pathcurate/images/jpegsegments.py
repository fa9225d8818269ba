"""What a JPEG says beside its pixels: comments and application segments before the first scan (ITU-T T.81, annex B)."""

import re
import struct
from collections.abc import Iterator
from typing import Final

HEAD_BYTES: Final = 8192
"""Of a tile this much is looked at."""
_SCAN, _END, _COMMENT = 0xDA, 0xD9, 0xFE
_TILE_PART, _COMMENT_2000 = 0x90, 0x64
_SPIFF_END: Final = b"\0\0\0\1\xff\xd8"
_VERSION: Final = re.compile(r"v?[0-9.]{0,10}")
"""What stands behind the name of an encoder."""
_PRINTED: Final = re.compile(rb"[ -~\x80-\xfe]{4}")
_LONG_PRINTED: Final = re.compile(rb"[ -~]{24}")
"""A text where no end is seen; compressed pixels look so once in 2.5e10 places."""


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, begin and end (behind it) of each segment with its marker, as far as they are whole, before the first scan."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (_SCAN, _END):
        if data[at + 1] == 0xFF:
            # Any number of these may stand before a marker (section B.1.1.2).
            at += 1
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if length < 2 or at + 2 + length > len(data):
            return
        yield data[at + 1], at, at + 2 + length
        at += 2 + length


def says_more(data: bytes, words: frozenset[str] = frozenset()) -> bool:
    """Whether a JPEG holds texts, profiles or a picture that nobody needs to decode it; of other data nothing is said.

    Args:
        data: its beginning, :data:`HEAD_BYTES` if it has so many.
        words: comments that encoders write, in small letters.
    """
    if data[:2] != b"\xff\xd8":
        return False
    found = comments(data)
    return found is None or not all(_is_stock(body, words) for body in found)


def comments(data: bytes) -> list[bytes] | None:
    """The comments of a JPEG that holds nothing else that nobody needs to decode it; None if it does.

    Args:
        data: its beginning, :data:`HEAD_BYTES` if it has so many.
    """
    at = 2
    found = []
    for marker, begin, at in segments(data):
        body = data[begin + 4 : at]
        if marker == _COMMENT:
            found.append(body)
        elif 0xE0 <= marker <= 0xEF and not _is_plain(marker, body):
            return None
    # Decoders skip what stands where a marker should, and a segment that does not end here is longer than any they need.
    rest = data[at:].lstrip(b"\xff")
    return None if rest[:1] not in (b"\xda", b"\xd9") and any(rest) else found


def has_text_behind(tail: bytes) -> bool:
    """Whether a text follows the end of a JPEG.

    Args:
        tail: its last bytes, or all of it.
    """
    _, end, rest = tail.rpartition(b"\xff\xd9")
    return _PRINTED.search(rest) is not None if end else has_long_text(rest)


def has_long_text(data: bytes) -> bool:
    """Whether compressed pixels, or tables of their codes, hold what can only be a text; the usual tables rise."""
    return any(list(found[0]) != sorted(set(found[0])) for found in _LONG_PRINTED.finditer(data))


def _is_plain(marker: int, body: bytes) -> bool:
    """Whether a segment only says how to decode: JFIF without a thumbnail, colours of Adobe's or JPEG-LS, fields."""
    return (
        (marker == 0xE0 and body[:5] == b"JFIF\0" and len(body) == 14)
        or (marker == 0xE0 and body[:4] == b"AVI1" and not any(body[5:]))
        or (marker == 0xE8 and ((body[:4] == b"mrfx" and len(body) == 5) or (body[:6] == b"SPIFF\0" and len(body) == 30)))
        or (marker == 0xE8 and body == _SPIFF_END)
        or (marker == 0xEE and body[:5] == b"Adobe" and len(body) == 12)
    )


def _is_stock(body: bytes, words: frozenset[str]) -> bool:
    text = body.strip(b"\0 \r\n\t").decode("latin-1").lower()
    return not text or text in words


def has_trailer(data: bytes) -> bool:
    """Whether a whole JPEG does not end with its end, or with blanks behind it."""
    _, _, rest = data.rpartition(b"\xff\xd9")
    return bool(rest.strip(b"\0"))


def codestream_comments(data: bytes) -> Iterator[bytes]:
    """Comments in the main header of a JPEG 2000 codestream (ITU-T T.800, section A.9.2); of one that is cut, what is there.

    Args:
        data: its beginning, :data:`HEAD_BYTES` if it has so many.
    """
    at = 2
    for marker, begin, at in segments(data):
        if marker == _TILE_PART:
            return
        if marker == _COMMENT_2000:
            yield data[begin + 6 : at].strip(b"\0 \r\n\t")
    if data[at : at + 2] == bytes((0xFF, _COMMENT_2000)):
        yield data[at + 6 :].strip(b"\0 \r\n\t")


def codestream_says_more(data: bytes, words: frozenset[str] = frozenset()) -> bool:
    """Whether the main header of a JPEG 2000 codestream holds a comment that is not its encoder's.

    Args:
        data: its beginning, :data:`HEAD_BYTES` if it has so many.
        words: beginnings of comments that encoders write, in small letters.
    """
    texts = (comment.decode("latin-1").lower() for comment in codestream_comments(data))
    return any(
        text and not any(text.startswith(word) and _VERSION.fullmatch(text[len(word) :]) for word in words) for text in texts
    )
