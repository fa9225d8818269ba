"""Every way in which a text may stand in bytes or in another text: encodings, misreadings, escapes.

UTF-8 is the first pass; each other one reads the same bytes again. A pass that finds nothing to undo costs next to nothing,
but for UTF-16 and GB18030, which any bytes can be. In nearly random bytes there is always something to undo: of what
is packed only the runs that look like text are read in the later passes. What is undone within what is undone (Base64 of
GB18030, an escape of a misreading) is followed as far as files of hospitals show it, not without end.
"""

import binascii
import html
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import re2
from numpy.typing import NDArray

from pathcurate.leaksearch.folding import UNITS, units_of

UTF_8: Final = "utf-8"
UTF_16: Final = "utf-16"
GB18030: Final = "gb18030"
MISREAD: Final = "misread"
BASE64: Final = "base64"
PERCENT: Final = "percent"
ESCAPES: Final = "escapes"
MARKUP: Final = "markup"
ALL: Final = (UTF_8, UTF_16, GB18030, MISREAD, BASE64, PERCENT, ESCAPES, MARKUP)

# Windows-1252 stands for latin-1 wherever a web page or a spreadsheet misread: its signs give back their bytes.
_WINDOWS = {
    ord(sign): byte for byte in range(0x80, 0xA0) if (sign := bytes([byte]).decode("cp1252", "ignore")) and ord(sign) > 0xFF
}
_BYTE_OF = np.full(UNITS, ord("?"), dtype=np.uint8)
_BYTE_OF[:0x100] = np.arange(0x100)
_BYTE_OF[list(_WINDOWS)] = list(_WINDOWS.values())
_WIDE = re.compile(f"[\x80-\xff{''.join(map(chr, _WINDOWS))}]{{2}}")
_BASE64 = re2.compile(rb"[A-Za-z0-9+/_-]{16,}(?:\r?\n[A-Za-z0-9+/_-]+)*")
# Codes, UUIDs and digests are random: among a million of them, read as Base64, short numbers stand by chance.
_RANDOM = re.compile(
    rb"(?<![A-Za-z0-9+/_-])(?:[A-Z]-[0-9A-HJKMNP-TV-Z]{16}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,})"
    rb"(?![A-Za-z0-9+/])"
)
# Columns hold little else than codes: where nothing else stands between two signs that end every run, one match takes many.
_LONE_CODES = re2.compile(rb"[^A-Za-z0-9+/_\-\r\n](?:[A-Z]-[0-9A-HJKMNP-TV-Z]{16}[^A-Za-z0-9+/_\-\r\n])+")
_LEAST_BASE64 = 16
_IN_BYTES = re2.Options()
_IN_BYTES.encoding = re2.Options.Encoding.LATIN1
# As UTF-8: ASCII, Han, and what stands for the bytes of a text that was misread.
_TEXT_RUNS = re2.compile(
    rb"(?:[\t\n\r\x20-\x7e]|[\xe3-\xe9][\x80-\xbf]{2}|[\xc2\xc3\xc5\xc6\xcb][\x80-\xbf]|\xe2[\x80-\x84][\x80-\xbf]){8,}",
    _IN_BYTES,
)
_NO_SIGN = b"\x01"
"""Stands between the runs: the edge of no value, as nothing that was there."""
_BASE64_SIGNS = bytes.maketrans(b"-_", b"+/")
_PERCENT = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(?:U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([\\/\"']))")
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9:]{0,40})?[^<>]{0,4000}>")
_WITHIN_WORDS = frozenset({
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "kbd", "mark", "ruby", "rb", "rp", "rt", "s",
    "samp", "small", "span", "strong", "sub", "sup", "tspan", "tt", "u", "var", "wbr",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes or a text, read in one way.

    Attributes:
        encoding: the pass.
        units: UTF-16 units, or bytes of ASCII.
        offset: from a unit to the byte or character that it was read from; None if that cannot be said.
    """

    encoding: str
    units: NDArray[Any]
    offset: Callable[[int], int] | None


def readings(data: bytes | str, passes: Collection[str] = ALL, *, is_packed: bool = False) -> Iterator[Reading]:
    """A piece of data in every way in which identifiers could be read from it.

    Args:
        data: bytes as they are, or a text that something else has decoded.
        passes: of :data:`ALL`.
        is_packed: the bytes are nearly random, and a hit of fewer than eight of them does not count.
    """
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    if UTF_8 in passes:
        yield Reading(UTF_8, units_of(text), _place_in(text, isinstance(data, bytes)))
    if isinstance(data, bytes):
        if UTF_16 in passes:
            yield from _utf_16(data)
        if GB18030 in passes and not data.isascii():
            yield from _gb18030(data, GB18030)
        if is_packed:
            data = _NO_SIGN.join(_TEXT_RUNS.findall(data))
            text = data.decode("utf-8", "surrogateescape")
    if MISREAD in passes:
        yield from _misread(text)
    if BASE64 in passes:
        yield from _base64(data if isinstance(data, bytes) else text.encode("utf-8", "surrogatepass"))
    if PERCENT in passes and "%" in text:
        yield from _percent(data if isinstance(data, bytes) else text.encode("utf-8", "surrogatepass"))
    if ESCAPES in passes and "\\" in text:
        yield from _escapes(text)
    if MARKUP in passes:
        yield from _markup(text)


def _place_in(text: str, is_bytes: bool) -> Callable[[int], int]:
    if text.isascii():
        return lambda unit: unit

    def place(unit: int) -> int:
        before = text.encode("utf-16-le", "surrogatepass")[: 2 * unit].decode("utf-16-le", "surrogatepass")
        return len(before.encode("utf-8", "surrogateescape")) if is_bytes else len(before)

    return place


def _utf_16(data: bytes) -> Iterator[Reading]:
    """Both orders of bytes, from even and from odd places."""
    for shift in range(2):
        whole = memoryview(data)[shift : len(data) - (len(data) - shift) % 2]
        for order in "<>":
            units = np.frombuffer(whole, dtype=order + "u2").astype("<u2", copy=False)
            yield Reading(UTF_16, units, lambda unit, shift=shift: 2 * unit + shift)  # type: ignore[misc]


def _gb18030(data: bytes, encoding: str) -> Iterator[Reading]:
    yield Reading(encoding, units_of(data.decode("gb18030", "replace")), None)
    # A stray byte before a name makes pairs of the wrong bytes up to the next sign of ASCII.
    codes = np.frombuffer(data, dtype=np.uint8)
    high = codes >= 0x80
    first = high.copy()
    first[1:] &= ~high[:-1]
    shifted = np.where(first, ord("\n"), codes).astype(np.uint8).tobytes()
    yield Reading(encoding, units_of(shifted.decode("gb18030", "replace")), None)


def _bytes_of(data: bytes, encoding: str, *, wide: bool = False) -> Iterator[Reading]:
    """What has come out as bytes again, in every encoding that it may have, one behind the other."""
    found = [Reading(encoding, units_of(data.decode("utf-8", "surrogateescape")), None)]
    if not data.isascii():
        found += _gb18030(data, encoding)
    if wide:
        found += _utf_16(data)
    edge = np.array([ord("\n")], dtype=np.uint16)
    yield Reading(encoding, np.concatenate([part for reading in found for part in (reading.units, edge)]), None)


def _misread(text: str, encoding: str = MISREAD) -> Iterator[Reading]:
    """Bytes of UTF-8 or GB18030 that somebody took for latin-1 and encoded again."""
    if not text.isascii() and _WIDE.search(text):
        yield from _bytes_of(_BYTE_OF.take(units_of(text), mode="wrap").tobytes(), encoding)


def _base64(data: bytes) -> Iterator[Reading]:
    """What long runs of its signs say, wherever in the run a text may have begun."""
    decoded = []
    data, _ = _LONE_CODES.subn(b"\0", data)
    pieces = (piece for run in _BASE64.finditer(data) for piece in _RANDOM.split(run.group()))
    for signs in (piece.translate(_BASE64_SIGNS, b"\r\n") for piece in pieces):
        if len(signs) < _LEAST_BASE64:
            continue
        for begin in range(4):
            part = signs[begin : len(signs) - ((len(signs) - begin) % 4 == 1)]
            decoded.append(binascii.a2b_base64(part + b"=" * (-len(part) % 4)))
    if decoded:
        yield from _bytes_of(b"\n".join(decoded), BASE64, wide=True)


def _percent(data: bytes) -> Iterator[Reading]:
    """``%E5%BC%A0`` as addresses of the web write it."""
    undone, count = _PERCENT.subn(lambda run: bytes.fromhex(run[0].replace(b"%", b"").decode()), data)
    if count:
        yield from _bytes_of(undone, PERCENT)


def _escapes(text: str) -> Iterator[Reading]:
    r"""``\u5f20``, ``\xe5``, ``\/`` as JSON, JavaScript, Python and C write them."""
    if not _ESCAPE.search(text):
        return

    def sign(match: re.Match[str]) -> str:
        if match[1]:
            return bytes.fromhex(match[1].replace("\\u", "")).decode("utf-16-be", "surrogatepass")
        digits = match[2] or match[3]
        if digits is None:
            return match[4]
        return chr(int(digits, 16)) if int(digits, 16) <= 0x10FFFF else match[0]

    undone = _ESCAPE.sub(sign, text)
    yield Reading(ESCAPES, units_of(undone), None)
    yield from _misread(undone, ESCAPES)


def _markup(text: str) -> Iterator[Reading]:
    """References undone, and tags gone: those within words without a trace, others as the edges of values."""
    if "&" in text:
        yield Reading(MARKUP, units_of(html.unescape(text)), None)
    if "<" in text:
        bare = _TAG.sub(_tag_as_text, text)
        yield Reading(MARKUP, units_of(html.unescape(bare)), None)


def _tag_as_text(tag: re.Match[str]) -> str:
    name = (tag[1] or "").strip("/").lower().rpartition(":")[2]
    return "" if name in _WITHIN_WORDS else "\n"
