"""Texts of DICOM, whatever SpecificCharacterSet (0008,0005) says: modalities name the wrong one, or none, every day.

The declared set is tried together with UTF-8 and GB18030, in the order in which their mistakes can be told apart: text in
UTF-8 is hardly ever anything else by chance; of GB18030 and a Western European set, which accept nearly all bytes, the one
counts whose reading looks like writing.
"""

import re
import warnings
from collections.abc import Sequence
from typing import Final

from pydicom import charset

_ESCAPE: Final = b"\x1b"
_TO_CHINESE: Final = b"\x1b$)A"
"""From here on, high bytes are GB 2312 (ISO-IR 58), two for each character."""
_DELIMITERS: Final = frozenset(b"\r\n\f\t\\^=")
"""Characters after which code extension begins anew (PS3.5 section 6.1.2.5.3)."""
_CODE_EXTENSIONS: Final = ("iso8859", "iso_ir_58", "iso2022_jp", "iso2022_jp_2", "euc_kr", "shift_jis")
_GB: Final = frozenset({"gb18030", "gbk", "gb2312", "iso_ir_58"})
_WESTERN: Final = frozenset({"", "iso8859", "latin_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso_ir_148"})
"""Sets in which accented letters stand between plain ones, unlike those of Greek, Russian, Arabic, Hebrew or Thai."""

_CHINESE: Final = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_CHINESE_PRINT: Final = re.compile("[\u2010-\u2040\u2103\u2160-\u217f\u2460-\u249b\u3000-\u303f\uff00-\uffef·×°±÷α-ωΑ-Ω]")
_COMMON_HANZI: Final = re.compile("[一-鿿]")
_BESIDE_LETTER: Final = re.compile("[A-Za-z][\u3400-\u9fff]|[\u3400-\u9fff][A-Za-z]")
_ACCENTED: Final = re.compile("[\u00a0-\u00ff]")
_BEYOND_TWO_BYTES: Final = re.compile("[\u0800-\U0010ffff]")


def decode(raw: bytes, declared: Sequence[str]) -> str:
    """A value as text; never raises. Bytes that nothing can read become replacement characters.

    Args:
        raw: the value.
        declared: values of SpecificCharacterSet.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii")
    with warnings.catch_warnings():
        # pydicom's warnings hold values.
        warnings.simplefilter("ignore")
        encodings = _encodings(declared)
        if _ESCAPE in raw:
            return _extended(raw, encodings)
    first = next((name for name in encodings if name not in _WESTERN), encodings[0]).lower()
    chinese = _strict(raw, "gb18030")
    if (text := _strict(raw, "utf-8")) is not None and not (
        (first in _GB or first in _WESTERN) and _is_rather_chinese(text, chinese)
    ):
        return text
    if first not in _WESTERN and first != "utf8" and (text := _strict(raw, first)) is not None:
        return text
    if chinese is not None and (first not in _WESTERN or _looks_chinese(chinese)):
        return chinese
    return raw.decode("utf-8" if first == "utf8" else encodings[0], "replace")


def _encodings(declared: Sequence[str]) -> list[str]:
    """Names of Python's codecs for the declared sets."""
    try:
        return list(charset.convert_encodings(list(declared) or "")) or ["iso8859"]
    except (LookupError, ValueError):
        return ["iso8859"]


def _extended(raw: bytes, encodings: list[str]) -> str:
    """Text with escape sequences (PS3.5 section 6.1.2.5), as declared or, if that fails, by all sets that have any."""
    plain = raw.replace(_TO_CHINESE, b"")
    if _ESCAPE not in plain and (chinese := _strict(plain, "gb18030")) is not None:
        return chinese
    texts = []
    for names in (encodings, [*encodings[:1], *_CODE_EXTENSIONS]):
        try:
            text = charset.decode_bytes(raw, names, set(_DELIMITERS))
        except (LookupError, UnicodeError):
            continue
        if "�" not in text and "\x1b" not in text:
            return text
        texts.append(text)
    return texts[0].replace("\x1b", "") if texts else raw.decode("ascii", "replace").replace("\x1b", "")


def _strict(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _is_rather_chinese(text: str, chinese: str | None) -> bool:
    """Whether text that is valid as UTF-8 and as GB18030 is the latter: some pairs of Chinese bytes make Greek or Arabic.

    So it is if all its characters are common in Chinese, unless the other reading is accented letters within a word.
    """
    if chinese is None or _BEYOND_TWO_BYTES.search(text):
        return False
    special = [character for character in chinese if character > "\x7f"]
    is_common = all(_is_common(character) or _CHINESE_PRINT.match(character) for character in special)
    return is_common and not (_ACCENTED.search(text) and _BESIDE_LETTER.search(chinese))


def _looks_chinese(text: str) -> bool:
    """Whether what was read as GB18030 makes sense as Chinese, and not as accented letters between plain ones."""
    special = [character for character in text if character > "\x7f"]
    if not all(_CHINESE.match(character) or _CHINESE_PRINT.match(character) for character in special):
        return False
    return any(map(_is_common, special)) or not _BESIDE_LETTER.search(text)


def _is_common(character: str) -> bool:
    """Whether a character is of the first level of GB 2312, its 3,755 commonest; accented small letters never make one."""
    if not _COMMON_HANZI.match(character):
        return False
    code = character.encode("gb18030")
    return len(code) == 2 and 0xB0 <= code[0] <= 0xD7 and code[1] >= 0xA1
