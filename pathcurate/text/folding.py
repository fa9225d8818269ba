"""Text in one spelling, character for character: what is found in it stands at the same place in the text itself."""

import unicodedata
from functools import cache

import numpy as np
from numpy.typing import NDArray

_SAME = {ord(sign): "-" for sign in "‐‑‒–—―−－"} | {ord("　"): " ", ord("\t"): " ", ord("\r"): " ", ord("İ"): "i"}
_SAME |= {ord("【"): "[", ord("】"): "]", ord("〖"): "[", ord("〗"): "]", ord("〔"): "(", ord("〕"): ")"}
_SAME |= {ord("“"): '"', ord("”"): '"', ord("‘"): "'", ord("’"): "'"}
_SAME |= {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


_SMALL = 0x10000


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
def _points() -> NDArray[np.uint32]:
    points = np.arange(_SMALL, dtype=np.uint32)
    for point, folded in _table().items():
        points[point] = ord(folded)
    return points


def fold(text: str) -> str:
    """A text of the same length in lower case and half width, with one sign for all dashes and kinds of space.

    ``（ＨＥＲ２：３＋）`` becomes ``(her2:3+)``. Line feeds, 。 and 、 stay; signs that
    stand for several letters (Ⅱ, ㎝) do too.
    """
    if text.isascii():
        return text.translate(_table())
    # A lookup of all characters at once takes a third of the time that `translate` takes for Han text.
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    try:
        folded = _points()[points]
    except IndexError:  # rare characters beyond the table, of names for the most part
        return text.translate(_table())
    return folded.tobytes().decode("utf-32-le", "surrogatepass")
