"""Text in one spelling, character for character: what is found in it stands at the same place in the text itself."""

import unicodedata
from functools import cache

_SAME = {ord(sign): "-" for sign in "‐‑‒–—―−－"} | {ord("　"): " ", ord("\t"): " ", ord("\r"): " ", ord("İ"): "i"}
_SAME |= {ord("【"): "[", ord("】"): "]", ord("〖"): "[", ord("〗"): "]", ord("〔"): "(", ord("〕"): ")"}
_SAME |= {ord("“"): '"', ord("”"): '"', ord("‘"): "'", ord("’"): "'"}
_SAME |= {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


@cache
def _table() -> dict[int, str]:
    table = {}
    for point in range(128, 0x10000):
        folded = unicodedata.normalize("NFKC", chr(point))
        # A sign that stands for several letters (Ⅱ, ㎝) stays: taking their place would move all that follows.
        folded = folded.lower() if len(folded.lower()) == 1 else folded
        if len(folded) == 1 and ord(folded) != point:
            table[point] = folded
    return {**table, **_SAME}


def fold(text: str) -> str:
    """A text of the same length in lower case and half width, with one sign for all dashes and kinds of space.

    ``（ＨＥＲ２：３＋）`` becomes ``(her2:3+)``. Line feeds, 。 and 、 stay; signs that
    stand for several letters (Ⅱ, ㎝) do too.
    """
    return text.translate(_table())
