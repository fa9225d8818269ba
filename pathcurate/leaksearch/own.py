"""The few identifiers of one slide, searched in all bytes of its copy, in every encoding, at the speed of a disk.

Other than :mod:`pathcurate.leaksearch.identifiers`, which looks for millions in texts, this looks for some hundreds of byte
patterns in gigabytes that are mostly compressed pixels. What is looked at of each pair of bytes is whether some pattern
begins so; only what is left is compared. A short pattern occurs by chance in pixels, so it counts only outside of them:
among 2^30 random bytes one of five bytes is met with probability 1e-3, one of four with 0.25.
"""

import base64
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pathcurate.model.filescrub import OwnValue

LEAST_BYTES: Final = 4
"""A shorter pattern is not searched for: it says nothing."""
LEAST_IN_PIXELS: Final = 6
"""Bytes of a pattern that counts within pixels."""
_MOST_SIGNS: Final = 200
_LEAST_BASE64: Final = 6
_CHUNK: Final = 1 << 18
_SEPARATORS: Final = re.compile(r"(?:%20|[\W_])+")
_WORD: Final = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS: Final = frozenset(b"0123456789")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One value in one encoding.

    Attributes:
        data: its bytes.
        kind: what it identifies.
        encoding: how it is written.
        number: of the value, in the order given; says nothing of it.
        neighbours: bytes that must not stand beside it, or it is part of something else.
        step: bytes from one sign to the next.
    """

    data: bytes
    kind: str
    encoding: str
    number: int
    neighbours: frozenset[int]
    step: int

    def __repr__(self) -> str:
        return f"Pattern({self.kind}, {self.encoding})"


@dataclass(frozen=True, slots=True, order=True)
class OwnHit:
    """Where a value stands; never which.

    Attributes:
        offset: of its first byte.
        kind: what it identifies.
        encoding: how it is written.
    """

    offset: int
    kind: str
    encoding: str


class OwnSearch:
    """Searches for the identifiers of one slide.

    Args:
        values: the identifiers.
        without: words that are none, such as the codes that take their place.

    Attributes:
        searched: values that are searched for.
        too_short: values that are not: fewer than four signs, or two Han signs.
        longest: bytes of the longest pattern; what overlaps between two pieces of a file.
    """

    def __init__(self, values: Iterable[OwnValue], without: Iterable[str] = ()) -> None:
        allowed = {_bare(word) for word in without}
        distinct = {(form.strip()[:_MOST_SIGNS], value.kind) for value in values for form in _orders(value)}
        wanted = sorted((text, kind) for text, kind in distinct if text and _bare(text) not in allowed)
        self._texts = [(_bare(text), kind) for text, kind in wanted if _counts(_bare(text))]
        self.searched, self.too_short = len(self._texts), len(wanted) - len(self._texts)
        patterns: dict[bytes, Pattern] = {}
        for number, (text, kind) in enumerate(wanted):
            if _counts(_bare(text)):
                for pattern in _patterns(text, kind, number):
                    patterns.setdefault(pattern.data, pattern)
        self.longest = max((len(data) for data in patterns), default=0)
        self._by_head: dict[int, list[Pattern]] = defaultdict(list)
        self._pairs: NDArray[np.bool_] = np.zeros(1 << 16, bool)
        for pattern in patterns.values():
            self._by_head[int.from_bytes(pattern.data[:LEAST_BYTES], "little")].append(pattern)
            self._pairs[pattern.data[0] | pattern.data[1] << 8] = True
        self._heads = np.array(sorted(self._by_head), np.uint32)

    def __repr__(self) -> str:
        return f"OwnSearch({self.searched} values)"

    def in_bytes(
        self, data: bytes, is_pixels: Callable[[int, int], bool] | None = None, before: int = 0
    ) -> Iterator[OwnHit]:
        """Where values stand in a piece of a file, in order.

        Args:
            data: the piece.
            is_pixels: whether all bytes from one place to another are of compressed pixels; None if none is.
            before: bytes at its beginning that were searched with the piece before: nothing that ends within them is named.
        """
        for at in self._candidates(data):
            head = int.from_bytes(data[at : at + LEAST_BYTES], "little")
            for pattern in self._by_head[head]:
                end = at + len(pattern.data)
                if end <= before or not data.startswith(pattern.data, at):
                    continue
                if len(pattern.data) < LEAST_IN_PIXELS and is_pixels is not None and is_pixels(at, end):
                    continue
                if _is_whole(data, at, end, pattern):
                    yield OwnHit(at, pattern.kind, pattern.encoding)

    def _candidates(self, data: bytes) -> Iterator[int]:
        """Where four bytes stand that begin a pattern."""
        if len(data) < LEAST_BYTES or not len(self._heads):
            return
        for first in range(0, len(data) - LEAST_BYTES + 1, _CHUNK):
            # Pairs at even and at odd places; the last ones overlap the next chunk.
            chunk = np.frombuffer(data, np.uint8, min(_CHUNK + LEAST_BYTES, len(data) - first), first)
            found = []
            for shift in range(2):
                pairs = chunk[shift : shift + (len(chunk) - shift) // 2 * 2].view("<u2")
                places = 2 * np.flatnonzero(self._pairs.take(pairs)) + shift
                found.append(places[(places < _CHUNK) & (places <= len(chunk) - LEAST_BYTES)])
            places = np.sort(np.concatenate(found))
            if not len(places):
                continue
            heads = np.zeros(len(places), np.uint32)
            for byte in range(LEAST_BYTES):
                heads |= chunk[places + byte].astype(np.uint32) << np.uint32(8 * byte)
            yield from (first + places[np.isin(heads, self._heads)]).tolist()

    def in_text(self, text: str) -> list[str]:
        """Kinds of the values that a decoded text holds, without regard to case, width and separators.

        Also if its bytes were taken for latin-1, as readers do where a character set is not declared.
        """
        forms = [_bare(one) for one in (text, *_read_again(text))]
        return sorted({kind for value, kind in self._texts if any(_holds(bare, value) for bare in forms)})


def _read_again(text: str) -> Iterator[str]:
    """A text that is not ASCII, with its bytes in the encodings that are mistaken for latin-1."""
    if text.isascii():
        return
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        return
    for encoding in ("utf-8", "gb18030"):
        yield data.decode(encoding, "replace")


def _orders(value: OwnValue) -> Iterator[str]:
    """A value, and a name of two or three Latin words with the last one first: families differ in where it stands."""
    yield value.value
    words = _SEPARATORS.split(value.value.strip())
    if value.kind in {"name", "staff"} and 2 <= len(words) <= 3 and all(word.isascii() and word.isalpha() for word in words):
        yield " ".join([words[-1], *words[:-1]])
        yield " ".join([*words[1:], words[0]])


def _bare(text: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _counts(bare: str) -> bool:
    """Whether a value is long enough to be somebody's; a shorter one is met everywhere."""
    return len(bare) >= 4 or (len(bare) >= 2 and all(ord(sign) >= 0x2E80 for sign in bare))


def _holds(bare: str, value: str) -> bool:
    at = bare.find(value)
    while at >= 0:
        end = at + len(value)
        around = bare[at - 1 : at] + bare[end : end + 1]
        # Without separators words run together, so only a number may be part of a longer one.
        if not (value.isdigit() and any(sign.isdigit() for sign in around)):
            return True
        at = bare.find(value, at + 1)
    return False


def _patterns(text: str, kind: str, number: int) -> Iterator[Pattern]:
    """A value in every writing and encoding."""
    plain = unicodedata.normalize("NFKC", text)
    joined = _SEPARATORS.sub("", plain)
    written = dict.fromkeys([text, plain, plain.upper(), plain.lower(), joined, joined.upper(), joined.lower()])
    for form in written:
        neighbours = _DIGITS if form.isdigit() else _WORD if form.isascii() and form.isalnum() else frozenset()
        for encoding, data, step in _encodings(form):
            if len(data) >= LEAST_BYTES:
                yield Pattern(data, kind, encoding, number, neighbours if step else frozenset(), step)


def _encodings(form: str) -> Iterator[tuple[str, bytes, int]]:
    """Encoding, bytes, and bytes of a sign of ASCII in it; 0 where neighbours say nothing."""
    utf_8 = form.encode("utf-8", "surrogateescape")
    yield "utf-8", utf_8, 1
    yield "utf-16-le", form.encode("utf-16-le", "surrogatepass"), 2
    yield "utf-16-be", form.encode("utf-16-be", "surrogatepass"), 2
    packed = [utf_8]
    if not form.isascii():
        try:
            gb18030 = form.encode("gb18030")
        except UnicodeEncodeError:
            pass
        else:
            yield "gb18030", gb18030, 1
            # Bytes of GB18030 or UTF-8 that were taken for latin-1 and written as UTF-8.
            yield "misread", gb18030.decode("latin-1").encode(), 0
            packed.append(gb18030)
        yield "misread", utf_8.decode("latin-1").encode(), 0
    for data in packed:
        if len(data) >= _LEAST_BASE64:
            yield from (("base64", part, 0) for part in _in_base64(data))


def _in_base64(data: bytes) -> Iterator[bytes]:
    """What is the same of its Base64 whatever stands before and behind, for each of the three places where it may begin."""
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + data)
        first = (shift * 8 + 5) // 6
        last = (shift + len(data)) * 8 // 6
        yield coded[first:last]


def _is_whole(data: bytes, start: int, end: int, pattern: Pattern) -> bool:
    """Whether what stands beside it does not make it a part of something else."""
    if not pattern.neighbours:
        return True
    behind = end + (1 if pattern.encoding == "utf-16-be" else 0)
    before = start - (1 if pattern.encoding != "utf-16-le" else 2)
    beside = [data[at] for at in (before, behind) if 0 <= at < len(data)]
    return not any(byte in pattern.neighbours for byte in beside)
