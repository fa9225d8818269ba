"""Shapes of texts: what a number looks like, without the number."""

import re
import unicodedata
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGIT: Final = "9"
LETTER: Final = "A"
HAN: Final = "汉"
OTHER_LETTER: Final = "ä"
LEGEND: Final = f"{DIGIT} a digit, {LETTER} a Latin letter, {HAN} a Chinese character, {OTHER_LETTER} another letter"

_HAN_MARK, _LETTER_MARK, _DIGIT_MARK = "\x01", "\x02", "\x03"
_CONTROLS: Final = "?"
_LONGEST_RUN: Final = 8
_LONGEST_SHAPE: Final = 80
_RUN: Final = re.compile(rf"([{DIGIT}{LETTER}{HAN}{OTHER_LETTER}])\1{{{_LONGEST_RUN},}}")


def _table(pairs: dict[str, str]) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    table = np.arange(256, dtype=np.uint8)
    for characters, one in pairs.items():
        table[list(characters.encode())] = ord(one)
    return table


# First marks, then the classes' own signs: a text may hold an A or a 9 of its own.
_TO_MARKS: Final = _table(
    {
        "".join(map(chr, [*range(32), 127])): _CONTROLS,
        "0123456789": _DIGIT_MARK,
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz": _LETTER_MARK,
    }
)
_TO_SIGNS: Final = _table({_DIGIT_MARK: DIGIT, _LETTER_MARK: LETTER})
_BEYOND_ASCII: Final = (
    ("[Ａ-Ｚａ-ｚ]", _LETTER_MARK), (r"\p{Han}", _HAN_MARK), (r"[\p{L}\p{M}]", OTHER_LETTER), (r"\p{N}", _DIGIT_MARK),
    ("[‐‑‒–—―−﹣－]", "-"), (r"\x{3000}", " "),
)  # fmt: skip


def shapes(texts: pa.StringArray) -> pa.StringArray:
    """The shape of each text: its characters by class as :data:`LEGEND` says, all others as they are.

    Full-width letters and digits and every kind of dash count as in ASCII, as :func:`~pathcurate.text.accession.fold` does.

    Args:
        texts: without nulls.
    """
    marked = _mapped(texts, _TO_MARKS)
    is_odd = pc.match_substring_regex(texts, r"[^\x00-\x7f]")
    odd: Any = marked.filter(is_odd)
    if len(odd):
        for pattern, sign in _BEYOND_ASCII:
            odd = pc.replace_substring_regex(odd, pattern, sign)
        marked = pc.replace_with_mask(marked, is_odd, pc.replace_substring(odd, _HAN_MARK, HAN))
    return _mapped(marked, _TO_SIGNS)


def _mapped(texts: pa.StringArray, table: "np.ndarray[Any, np.dtype[np.uint8]]") -> pa.StringArray:
    """Texts with every ASCII character exchanged; of other characters no byte is below 128."""
    whole = pa.concat_arrays([texts])  # at offset 0, whatever it was cut from
    _, offsets, octets = whole.buffers()
    if octets is None or offsets is None:
        return texts
    changed = table[np.frombuffer(memoryview(octets), np.uint8)]
    return pa.StringArray.from_buffers(len(whole), offsets, pa.py_buffer(changed.tobytes()))


def shown(shape: str) -> str:
    """A shape for a person: runs of more than 8 of one class as a count, ``9{12}``; cut at 80 characters."""
    short = _RUN.sub(lambda run: f"{run[1]}{{{len(run[0])}}}", shape)
    odd = {sign for sign in short if sign != " " and unicodedata.category(sign)[0] in "CZ"}
    plain = "".join(_CONTROLS if sign in odd else sign for sign in short)
    return plain if len(plain) <= _LONGEST_SHAPE else plain[: _LONGEST_SHAPE - 1] + "…"
