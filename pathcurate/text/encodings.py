"""Text of bytes whose encoding is said wrongly or not at all, as Chinese systems send them."""

import codecs
import re

_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = bytes(range(0x80, 0x100))
_HIGH_RUN = re.compile(rb"[\x80-\xff]{2,}")
# Below it lie the letters of Europe and the Near East, at it and above the Han characters.
_HAN_BEGIN = "\u0800"
_BELOW_HAN = re.compile("[\0-\u07ff]+")
_BAD_SHARE = 0.1
_WIDE_SAMPLE = 4096
_WIDE_SHARE = 0.05


def decode(data: bytes, claimed: str | None = None) -> str | None:
    """The text of bytes, strictly decoded; without a byte order mark at its start.

    In this order: byte order mark; UTF-16 that is told by its zeros; the claimed encoding, if it is the right one; UTF-8;
    GB18030, which holds GBK and GB2312. What is UTF-8 but for a few bytes is damaged, and is not read as something else.

    Args:
        data: the bytes.
        claimed: Python's name of the encoding that the sender claims; it is believed only if the bytes are like it.

    Returns:
        None if no encoding fits.
    """
    if data.isascii() and b"\0" not in data:
        return data.decode("ascii")
    wide = next((name for mark, name in _WIDE_MARKS if data.startswith(mark)), None) or _without_mark(data)
    if wide:
        return _strict(data, wide)
    data = data.removeprefix(codecs.BOM_UTF8)
    unicode = _strict(data, "utf-8")
    # Short texts of another encoding can be valid UTF-8 by chance, but never with Han characters in it.
    if unicode is not None and (claimed is None or max(unicode, default="") >= _HAN_BEGIN):
        return unicode
    if unicode is None and _is_damaged_unicode(data):
        return None
    if claimed and claimed != "utf-8" and (text := _strict(data, claimed)) is not None and not _is_lie(data, claimed):
        return text
    return unicode if unicode is not None else _strict(data, "gb18030")


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None


def _without_mark(data: bytes) -> str | None:
    """UTF-16 of either order, by where its zeros stand: every second byte of the digits and line ends is one."""
    even, odd = data[0:_WIDE_SAMPLE:2].count(0), data[1:_WIDE_SAMPLE:2].count(0)
    if max(even, odd) < _WIDE_SHARE * min(len(data), _WIDE_SAMPLE) / 2 or min(even, odd) * 9 > max(even, odd):
        return None
    return "utf-16-be" if even > odd else "utf-16-le"


def _is_lie(data: bytes, claimed: str) -> bool:
    """Whether bytes cannot be of a claimed encoding of one byte a character, which decodes anything.

    Letters beyond ASCII stand alone among others in the languages of such encodings; Han characters are pairs.
    """
    if len("é".encode(claimed, errors="ignore")) != 1:
        return False
    high = len(data) - len(data.translate(None, _HIGH))
    return 2 * sum(len(run) for run in _HIGH_RUN.findall(data)) > high


def _is_damaged_unicode(data: bytes) -> bool:
    text = _BELOW_HAN.sub("", data.decode("utf-8", errors="replace"))
    bad = text.count("\ufffd")
    good = len(text) - bad
    return 0 < bad <= max(1, _BAD_SHARE * good) and good > 0
