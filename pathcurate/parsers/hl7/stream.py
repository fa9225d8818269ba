"""Files of HL7 v2 messages, cut into messages: MLLP's block marks, batches, any end of segments."""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_BLOCK = 1 << 20
# A message may hold the report as a picture; what is longer is no message, and must not fill the memory.
_LONGEST = 32 << 20
# Begin of a message: MLLP's block mark or the end of a segment, a byte order mark, MSH and its field separator.
_BEGIN = re.compile(rb"(?:\A|[\r\n\x0b\x1c\x00])(?:\xef\xbb\xbf)?[ \t]*MSH[^A-Za-z0-9\s]")
_LONGEST_BEGIN = 16
HEAD = re.compile(r"[\s\x00\x0b\ufeff]*(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
ENVELOPE = re.compile(rb"(?:\A|[\r\n\x0b\x1c])(?:\xef\xbb\xbf)?((?:FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s])[^\r\n\x1c]*)")
NOTHING = b"\r\n\t \x00\x0b\x1c\xef\xbb\xbf"


class Piece(NamedTuple):
    """Bytes from one begin of a message to the next; None if they are too many. The first piece may hold no message."""

    data: bytes | None
    is_message: bool
    is_last: bool


def pieces(file: BinaryIO) -> Iterator[Piece]:
    """A file cut where messages begin, so that no more than one is held; UTF-16 is read as UTF-8."""
    buffer = bytearray()
    searched, is_message, is_lost = 0, False, False
    for block in _blocks(file):
        buffer += block
        while match := _BEGIN.search(buffer, searched):
            if match.start():
                yield Piece(None if is_lost else bytes(buffer[: match.start()]), is_message, False)
                del buffer[: match.start()]
            searched, is_message, is_lost = 1, True, False
        searched = max(searched, len(buffer) - _LONGEST_BEGIN)
        if len(buffer) > _LONGEST:
            del buffer[:-_LONGEST_BEGIN]
            searched, is_lost = 1, True
    if buffer:
        yield Piece(None if is_lost else bytes(buffer), is_message, True)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    first = file.read(_BLOCK)
    if not first.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield first
        while block := file.read(_BLOCK):
            yield block
        return
    decoder = codecs.getincrementaldecoder("utf-16")(errors="replace")
    while first:
        yield decoder.decode(first).encode("utf-8", errors="replace")
        first = file.read(_BLOCK)
