"""Text in one spelling, character for character: what is found in it stands at the same place in the text itself."""

import unicodedata
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAME = {ord(sign): "-" for sign in "‐‑‒–—―−－"} | {ord("　"): " ", ord("\t"): " ", ord("\r"): " ", ord("İ"): "i"}
_SAME |= {ord("【"): "[", ord("】"): "]", ord("〖"): "[", ord("〗"): "]", ord("〔"): "(", ord("〕"): ")"}
_SAME |= {ord("“"): '"', ord("”"): '"', ord("‘"): "'", ord("’"): "'"}
_SAME |= {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


_SMALL = 0x10000
_SHORT = 64
"""Characters up to which numpy is not worth its loading, nor its calls."""
# What nobody sees and whoever wants to hide a number puts between its digits; the bars and line separators of the web.
_UNSEEN = (
    "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\ufeff"
)
_MIDDLE_DOTS = "•‧∙⋅・･"


@cache
def _table() -> dict[int, str]:
    table = {}
    for point in range(128, _SMALL):
        folded = unicodedata.normalize("NFKC", chr(point))
        # A sign that stands for several letters (Ⅱ, ㎝) stays: taking their place would move all that follows.
        folded = folded.lower() if len(folded.lower()) == 1 else folded
        if len(folded) == 1 and ord(folded) != point:
            table[point] = folded
    return {**table, **_SAME}


@cache
def _half_widths() -> dict[int, str]:
    table = {}
    for point in (*range(128, _SMALL), *range(0x1D7CE, 0x1D800)):
        folded = unicodedata.normalize("NFKC", chr(point))
        # ① is no digit of the number before it, and Ⅴ no letter.
        if len(folded) == 1 and ord(folded) != point and unicodedata.category(chr(point)) not in {"No", "Nl", "So"}:
            table[point] = folded
    signs = {point: sign for point, sign in _SAME.items() if not chr(point).isascii() and chr(point) != "İ"}
    spaces = {ord(sign): " " for sign in (*_UNSEEN, *"\t\r\v\f\x85")}
    # Half a character, from a text that was cut: nothing that encodes takes it.
    halves = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    return {**table, **halves, **signs, **spaces, **dict.fromkeys(map(ord, _MIDDLE_DOTS), "·"), ord("İ"): "I", ord("∶"): ":"}


@cache
def _points(table: Callable[[], dict[int, str]]) -> "NDArray[np.uint32]":
    import numpy as np  # noqa: PLC0415  see _SHORT

    points = np.arange(_SMALL, dtype=np.uint32)
    for point, folded in table().items():
        if point < _SMALL:
            points[point] = ord(folded)
    return points


def fold(text: str) -> str:
    """A text of the same length in lower case and half width, with one sign for all dashes and kinds of space.

    ``（ＨＥＲ２：３＋）`` becomes ``(her2:3+)``. Line feeds, 。 and 、 stay; signs that
    stand for several letters (Ⅱ, ㎝) do too.
    """
    return _translate(text, _table)


def half_width(text: str) -> str:
    """A text of the same length in half width, its case kept: ``（ＨＥＲ２：３＋）`` becomes ``(HER2:3+)``.

    Signs that cannot be seen become spaces, so that none hides in a number.
    """
    return _translate(text, _half_widths)


def _translate(text: str, table: Callable[[], dict[int, str]]) -> str:
    if text.isascii() or len(text) <= _SHORT:
        return text.translate(table())
    import numpy as np  # noqa: PLC0415  see _SHORT

    # A lookup of all characters at once takes a third of the time that `translate` takes for Han text.
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    try:
        folded = _points(table)[points]
    except IndexError:  # rare characters beyond the table, of names for the most part
        return text.translate(table())
    return folded.tobytes().decode("utf-32-le", "surrogatepass")
