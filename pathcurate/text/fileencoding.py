"""Which encoding a file of text is in, decided on the whole of it, and never holding more than a block of it."""

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import BinaryIO

from charset_normalizer import from_bytes

from pathcurate.errors import UsageError

_WIDE = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 1 << 20
_SAMPLE = 1 << 18
_BIG5 = ("big5", "cp950", "big5hkscs")
"""Big5, and what was added to it by Windows and in Hong Kong; the first that fits."""
# A line of GB18030 that is UTF-8 by chance would begin with a rare character, go on with one of the first in the table, and
# so on; with this many characters of the kind that UTF-8 writes in three bytes it is no chance.
_UNICODE_SIGNS = 3
_UNICODE_BEGINNING = re.compile(rb"[\x00-\x7f]*+(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xf4][\x80-\xbf]{2})")
_BEYOND_LETTERS = "\u0800"
# Shares of signs that are common in texts. Right texts have 0.9 and more of them, wrongly read ones about half.
_COMMON, _FEWER, _DAMAGED_COMMON = 0.85, 0.2, 0.7
_DAMAGED = 0.1
"""Most lines that may be damaged, as a share of those that are not ASCII."""
_SIGNS = frozenset("，。、：；（）“”《》％＋－×【】／～！？·…—")
_ESCAPED = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class FileEncoding:
    """How to decode a file.

    Attributes:
        name: Python's name of the encoding; ``utf-8-sig`` for UTF-8 behind a mark.
        damaged: some lines cannot be decoded; :func:`is_lost` tells which rows these are.
        mixed: some lines are in UTF-8, though the file is not.
        mark: bytes of the mark to leave out at the beginning.
    """

    name: str
    damaged: bool = False
    mixed: bool = False
    mark: int = 0

    @property
    def codec(self) -> str:
        """What decodes the bytes behind the mark."""
        return "utf-8" if self.name == "utf-8-sig" else self.name

    @property
    def errors(self) -> str:
        """How the codec treats bytes that it cannot decode; with ``surrogateescape`` they come out as lone surrogates."""
        return "surrogateescape" if self.damaged else "strict"

    def is_lost(self, cells: Iterable[str]) -> bool:
        """Whether a row of decoded cells holds bytes that are not in the file's encoding."""
        if not self.damaged and not self.mixed:
            return False
        text = "".join(cells)
        if text.isascii():
            return False
        if self.damaged and _ESCAPED.search(text):
            return True
        return self.mixed and _unicode_signs(text.encode(self.codec, "surrogateescape")) >= _UNICODE_SIGNS


def given_encoding(file: BinaryIO, encoding: str, name: str) -> FileEncoding:
    """The encoding that somebody names, checked on the whole file.

    Raises:
        UsageError: there is none of this name, or the file is not in it.
    """
    mark = _mark_length(file)
    try:
        # Encodings that are none of text, as hex, are refused here.
        "".encode(encoding)
        wrong = _first_wrong(file, encoding, mark)
    except LookupError:
        raise UsageError(f"{name}: there is no encoding called {encoding!r}", "Use a name like utf-8 or gb18030.") from None
    if wrong is not None:
        raise UsageError(
            f"{name} is not {encoding}: byte {wrong} cannot be decoded", "Correct or remove `encoding` in its mapping."
        )
    return FileEncoding(encoding, mark=mark)


def find_encoding(file: BinaryIO, name: str) -> FileEncoding:
    """The encoding by byte order mark, UTF-8, GB18030, Big5, a detector: in this order, each strictly and on the whole file.

    GB18030 stands before any guessing and is never narrowed to GBK: rare characters of names (䶮, 㛃) exist only there.
    Nearly all Big5 is valid GB18030 too; where both fit, the one counts in which far more of the characters are common.
    What cannot be told is a file of a few characters that are common in both. A file most of whose lines are UTF-8, or
    nearly all GB18030 or Big5, is damaged or mixed; its other lines are lost.

    Args:
        file: the file, open at any place and seekable.
        name: its name, for messages.

    Raises:
        UsageError: no encoding fits.
    """
    mark = _mark_length(file)
    file.seek(0)
    start = file.read(4)
    wide = next((codec for bom, codec in _WIDE if start.startswith(bom)), None)
    if wide and _first_wrong(file, wide) is None:
        return FileEncoding(wide)
    if _first_wrong(file, "utf-8", mark) is None:
        return FileEncoding("utf-8-sig" if mark else "utf-8", mark=mark)
    seen = _look_at_lines(file)
    if seen.unicode > seen.other:
        return FileEncoding("utf-8-sig" if mark else "utf-8", damaged=True, mark=mark)
    found = _chinese(file, seen, mark) or _detected(file, mark)
    if found is None:
        raise UsageError(f"{name} is not text in a known encoding", "Name its encoding in a mapping: `encoding: gb18030`.")
    return found


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the lines of a file are that is not UTF-8.

    Attributes:
        unicode: lines that are UTF-8 and have Han characters or their signs.
        certain: of these, how many cannot be it by chance.
        other: lines that are neither that nor ASCII.
        sample: the first of the other lines.
    """

    unicode: int
    certain: int
    other: int
    sample: bytes


def _look_at_lines(file: BinaryIO) -> _Seen:
    unicode = certain = other = 0
    sample = bytearray()
    for line in _lines(file):
        if signs := _unicode_signs(line):
            unicode += 1
            certain += signs >= _UNICODE_SIGNS
            continue
        other += 1
        if len(sample) < _SAMPLE:
            sample += line + b"\n"
    return _Seen(unicode, certain, other, bytes(sample[:_SAMPLE]))


def _chinese(file: BinaryIO, seen: _Seen, mark: int) -> FileEncoding | None:
    fitting = [codec for codec in ("gb18030", *_BIG5) if _first_wrong(file, codec, mark) is None]
    big5 = next((codec for codec in fitting if codec in _BIG5), None)
    mixed = seen.certain > 0
    if "gb18030" in fitting:
        name = big5 if big5 and _is_rather_big5(seen.sample, big5) else "gb18030"
        return FileEncoding(name, mixed=mixed, mark=mark)
    if big5 and not mixed:
        return FileEncoding(big5, mark=mark)
    codec = _BIG5[0] if _is_rather_big5(seen.sample, _BIG5[0]) else "gb18030"
    if _share(seen.sample, codec) < _DAMAGED_COMMON or not _is_mostly(file, codec, _DAMAGED * seen.other):
        return None
    return FileEncoding(codec, damaged=True, mixed=mixed, mark=mark)


def _is_mostly(file: BinaryIO, codec: str, most: float) -> bool:
    """Whether few of the lines that are not UTF-8 cannot be decoded."""
    wrong = 0
    for line in _lines(file):
        wrong += not _decodes(line, codec) and not _unicode_signs(line)
        if wrong > most:
            return False
    return True


def _detected(file: BinaryIO, mark: int) -> FileEncoding | None:
    file.seek(mark)
    guess = from_bytes(file.read(_SAMPLE)).best()
    return FileEncoding(guess.encoding, mark=mark) if guess and _first_wrong(file, guess.encoding, mark) is None else None


def _is_rather_big5(sample: bytes, codec: str) -> bool:
    share = _share(sample, codec)
    return share >= _COMMON and share >= _share(sample, "gb18030") + _FEWER


def _share(sample: bytes, codec: str) -> float:
    """How many of the characters that are not ASCII are common ones, if a sample is read in an encoding."""
    common = _common_in("gb2312", (0xB0, 0xD7)) if codec == "gb18030" else _common_in("big5", (0xA4, 0xC6))
    signs = [sign for sign in sample.decode(codec, "replace") if sign > "\x7f"]
    return sum(sign in common or sign in _SIGNS for sign in signs) / len(signs) if signs else 0.0


@cache
def _common_in(codec: str, leads: tuple[int, int]) -> frozenset[str]:
    """Characters of the first level of GB 2312 or Big5, which are the common ones, by the first bytes of their codes."""
    codes = (bytes((lead, trail)) for lead in range(leads[0], leads[1] + 1) for trail in range(0x40, 0xFF))
    return frozenset(sign for code in codes for sign in code.decode(codec, "ignore") if len(sign) == 1 and sign > "\x7f")


def _mark_length(file: BinaryIO) -> int:
    file.seek(0)
    return len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0


def _blocks(file: BinaryIO, start: int) -> Iterator[bytes]:
    file.seek(start)
    return iter(lambda: file.read(_BLOCK), b"")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines of a file that are not ASCII; of one that is longer than a block, the beginning."""
    begun, is_long = b"", False
    for block in _blocks(file, 0):
        *lines, rest = (begun + block).split(b"\n")
        yield from (line for line in lines[is_long:] if not line.isascii())
        is_long &= not lines
        if len(rest) >= _BLOCK and not is_long:
            is_long = True
            if not rest[:_BLOCK].isascii():
                yield rest[:_BLOCK]
        begun = b"" if is_long else rest
    if not begun.isascii():
        yield begun


def _first_wrong(file: BinaryIO, codec: str, start: int = 0) -> int | None:
    """Place of the first byte that cannot be decoded, counted from the beginning of the text; None if there is none."""
    decoder = codecs.getincrementaldecoder(codec)()
    place = 0
    pending = b""
    try:
        for block in _blocks(file, start):
            pending = decoder.getstate()[0]
            decoder.decode(block)
            place += len(block)
        pending = decoder.getstate()[0]
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return place - len(pending) + error.start
    except UnicodeError:
        # UTF-16 and UTF-32 of either order must begin with a mark.
        return 0
    return None


def _decodes(line: bytes, codec: str) -> bool:
    try:
        line.decode(codec)
    except UnicodeDecodeError:
        # The end of a line that is longer than a block may be the half of a character.
        return len(line) >= _BLOCK
    return True


def _unicode_signs(line: bytes) -> int:
    """How many characters UTF-8 writes in three bytes or more; 0 if a line is not UTF-8."""
    # Nearly all lines fail at their first character, and an exception takes longer than a look.
    if not _UNICODE_BEGINNING.match(line):
        return 0
    try:
        text = codecs.utf_8_decode(line, "strict", len(line) < _BLOCK)[0]
    except UnicodeDecodeError:
        return 0
    return sum(sign >= _BEYOND_LETTERS for sign in text)
