"""Accession numbers of many texts at once: what :mod:`pathcurate.text.slidenames` reads one by one, for plain texts.

A text is plain for a pattern if the pattern's first match is certainly the only one that counts: it does not begin in a UUID
or a date, and behind it the pattern matches nowhere. Everything else is read by the code that reads one text. RE2 is the
same library on both sides, so a match is the same match.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from pathcurate.text.accession import AccessionKey, AccessionPatterns, fold
from pathcurate.text.slidenames import part_beside, read_names

# pyarrow's stubs know neither numpy's masks nor Python's scalars, nor what most functions return.
pc: Any = pyarrow.compute
Strings = Any
"""A ``pa.StringArray``."""
Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# Of these characters `fold` changes none but a-z: ASCII, and Han with its punctuation (not U+3000, the wide space).
PLAIN: Final = r"^[\x00-\x7f\x{3001}-\x{303f}\x{3400}-\x{4dbf}\x{4e00}-\x{9fff}]*$"
# Whatever a UUID or a date begins with; each of them begins where this matches, so none begins before its first match.
TRAP: Final = (
    r"(?P<trap>[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-"
    r"|(?:19|20)?[0-9]{2}(?:[-./_](?:0?[1-9]|1[0-2])[-./_]|年(?:0?[1-9]|1[0-2])月)[0-9])"
)
_IN_TRAP: Final = np.isin(np.arange(256), [*b"0123456789ABCDEF-./_", *range(128, 256)])
_YEAR: Final = 4
_GLASS: Final = frozenset({"specimen", "block", "slide"})
_LONG: Final = "[0-9]{6}|[0-9]{4}[-._/ ][0-9]{2}"


@dataclass(frozen=True)
class Found:
    """Numbers in some texts.

    Attributes:
        text: which of the texts each stands in, in order.
        key: the numbers.
        specimen: specimen letter, where one stands with it.
        block: block number, likewise.
    """

    text: Numbers
    key: Strings
    specimen: Strings
    block: Strings

    def of(self, chosen: Mask) -> "Found":
        """Some of them."""
        mask = pa.array(chosen)
        return Found(self.text[chosen], self.key.filter(mask), self.specimen.filter(mask), self.block.filter(mask))

    @classmethod
    def none(cls) -> "Found":
        """Nothing found."""
        return cls.from_rows([])

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[int, str, str | None, str | None]]) -> "Found":
        """Of rows of text, key, specimen and block."""
        text, *parts = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(np.array(text, np.int64), *(pa.array(part, pa.string()) for part in parts))


def joined(pieces: Sequence[Found]) -> Found:
    """Several of one list of texts as one; numbers of a text stay in order, the texts are not."""
    columns = [pa.concat_arrays([getattr(piece, name) for piece in pieces]) for name in ("key", "specimen", "block")]
    return Found(np.concatenate([piece.text for piece in pieces]), *columns)


def find_numbers(texts: Strings, patterns: tuple[str, ...]) -> Found:
    """The numbers of each text, as :func:`~pathcurate.text.slidenames.read_names` gives them for it."""
    folded = _folded(texts)
    left = np.arange(len(folded))
    found, slow = [Found.none()], [np.zeros(0, np.int64)]
    for pattern in patterns:
        some = folded if len(left) == len(folded) else folded.take(pa.array(left))
        is_hit, is_plain, plain = _plain_matches(some, pattern)
        found.append(Found(left[plain.text], plain.key, plain.specimen, plain.block))
        slow.append(left[is_hit & ~is_plain])
        left = left[~is_hit]
    rest = np.concatenate(slow)
    reader = _patterns(patterns)
    rows = [
        (at, one.key, one.specimen, one.block)
        for at, text in zip(rest.tolist(), texts.take(pa.array(rest)).to_pylist(), strict=True)
        for one in read_names(b"", text, None, None, reader).keys
    ]
    return joined([*found, Found.from_rows(rows)])


@lru_cache(maxsize=64)
def _patterns(patterns: tuple[str, ...]) -> AccessionPatterns:
    return AccessionPatterns(patterns)


def _folded(texts: Strings) -> Strings:
    upper = pc.ascii_upper(texts)
    odd = np.flatnonzero(~mask_of(pc.match_substring_regex(texts, PLAIN)))
    if not odd.size:
        return upper
    mask = np.zeros(len(texts), np.bool_)
    mask[odd] = True
    other = [fold(text) for text in texts.take(pa.array(odd)).to_pylist()]
    return pc.replace_with_mask(upper, pa.array(mask), pa.array(other, pa.string()))


def _plain_matches(texts: Strings, pattern: str) -> tuple[Mask, Mask, Found]:
    """Which texts a pattern matches, which of them are plain, and what it says of those."""
    try:
        spans = pc.call_function("extract_regex_span", [texts], pc.ExtractRegexSpanOptions(pattern))
    except pa.ArrowInvalid:
        # It has a group without a name.
        return mask_of(pc.match_substring_regex(texts, pattern)), np.zeros(len(texts), np.bool_), Found.none()
    is_hit = mask_of(spans.is_valid())
    hits = np.flatnonzero(is_hit)
    is_plain = np.zeros(len(texts), np.bool_)
    if not hits.size:
        return is_hit, is_plain, Found.none()
    match = _Matches(texts, spans).of(is_hit)
    plain = match.is_whole() & ~match.may_be_trapped() & ~match.may_repeat(pattern)
    is_plain[hits] = plain
    return is_hit, is_plain, match.of(plain).found(hits[plain])


class _Matches:
    """The first match of one pattern in each of some texts."""

    def __init__(self, texts: Strings, spans: pa.StructArray) -> None:
        self._raw = texts, spans
        self._texts = texts
        self._offsets, self._bytes = Bytes.of(texts)
        self._spans = {field.name: _Span(spans.field(number)) for number, field in enumerate(spans.type)}
        nowhere = np.full(len(texts), np.iinfo(np.int64).max)
        self._start, self._end = nowhere, np.zeros(len(texts), np.int64)
        self._number_end = self._end
        for name, span in self._spans.items():
            end = span.start + span.length
            self._start = np.minimum(self._start, np.where(end > 0, span.start, nowhere))
            self._end = np.maximum(self._end, end)
            if name not in _GLASS:
                self._number_end = np.maximum(self._number_end, end)
        self._start = np.where(self._end > 0, self._start, 0)

    def of(self, chosen: Mask) -> "_Matches":
        """Those of some texts."""
        return self if chosen.all() else _Matches(*(array.filter(pa.array(chosen)) for array in self._raw))

    def is_whole(self) -> Mask:
        """Whether there is a number; and no more than ASCII up to the end of it, so that bytes are characters."""
        named = np.zeros(len(self._texts), np.bool_)
        for name in ("accession", "number"):
            if name in self._spans:
                named |= self._spans[name].length > 0
        other = np.flatnonzero(named & ~mask_of(pc.string_is_ascii(self._texts)))
        match = pieces(self._bytes, (self._offsets[:-1] + self._start)[other], (self._end - self._start)[other])
        named[other] = mask_of(pc.string_is_ascii(match))
        return named

    def may_be_trapped(self) -> Mask:
        """Whether the match may begin in a UUID or in a date."""
        is_in = np.zeros(len(self._texts), np.bool_)
        first = np.minimum(self._offsets[:-1] + self._start, max(len(self._bytes) - 1, 0))
        doubtful = np.flatnonzero(_IN_TRAP[self._bytes[first]]) if len(self._bytes) else np.zeros(0, np.int64)
        if doubtful.size:
            some = self._texts.take(pa.array(doubtful))
            traps = pc.call_function("extract_regex_span", [some], pc.ExtractRegexSpanOptions(TRAP))
            trap = _Span(traps.field(0))
            is_in[doubtful] = mask_of(traps.is_valid()) & (trap.start <= self._start[doubtful])
        return is_in

    def may_repeat(self, pattern: str) -> Mask:
        """Whether the pattern may match again behind the number; the last character of it is context for ``\\b``."""
        return mask_of(pc.match_substring_regex(self._behind(np.maximum(self._end - 1, 0)), pattern))

    def found(self, texts: Numbers) -> Found:
        """What these matches say."""
        rows = self._parts()
        prefix, year, number = (self._cut(name).fill_null("") for name in ("prefix", "year", "number"))
        key = _normal_form(prefix, pc.utf8_slice_codeunits(year, -2), number)
        whole = self._cut("accession")
        is_whole = pc.greater(pc.binary_length(whole.fill_null("")), 0)
        key = pc.if_else(is_whole, whole, key)
        first = Found(texts, key, *rows)
        twice = self._may_be_long_year() & ~mask_of(is_whole)
        if not twice.any():
            return first
        mask = pa.array(twice)
        short = pc.utf8_slice_codeunits(year.filter(mask), 0, 2)
        rest = _concat(pc.utf8_slice_codeunits(year.filter(mask), 2), number.filter(mask))
        second = Found(
            texts[twice], _normal_form(prefix.filter(mask), short, rest), rows[0].filter(mask), rows[1].filter(mask)
        )
        is_other = pc.not_equal(second.key, key.filter(mask))
        return joined([first, second.of(mask_of(is_other))])

    def _may_be_long_year(self) -> Mask:
        """Whether a year of four digits stands right before the number, so that it may be one of two."""
        if not {"year", "number"} <= self._spans.keys():
            return np.zeros(len(self._texts), np.bool_)
        year, number = self._spans["year"], self._spans["number"]
        is_next = (year.start + year.length == number.start) & (number.length > 0)
        return np.asarray((year.length == _YEAR) & is_next, np.bool_)

    def _parts(self) -> tuple[Strings, Strings]:
        """Specimen and block, by what stands with the number and behind it; each way to write them is read once."""
        specimen, block = self._cut("specimen"), self._cut("block")
        behind = self._behind(self._number_end)
        # No stain has so long a number in its name: what stands behind one, mostly a time, decides nothing.
        is_long = pc.match_substring_regex(behind, _LONG)
        short = pc.replace_substring_regex(behind.filter(is_long), f"(?s)({_LONG}).*$", r"\1")
        behind = pc.replace_with_mask(behind, is_long, short)
        ends = pa.array(self._end - self._number_end).cast(pa.string())
        text = _concat(specimen.fill_null("\x01"), "\x1f", block.fill_null("\x01"), "\x1f", ends, "\x1f", behind)
        coded = pc.dictionary_encode(text)
        read = [part_beside(*_key_and_text(*one.split("\x1f", 3))) for one in coded.dictionary.to_pylist()]
        columns = (pa.array([part[at] for part in read], pa.string()).take(coded.indices) for at in (0, 1))
        return next(columns), next(columns)

    def _behind(self, place: Numbers) -> Strings:
        """The rest of each text from a place on."""
        start = self._offsets[:-1] + place
        return pieces(self._bytes, start, self._offsets[1:] - start)

    def _cut(self, name: str) -> Strings:
        """The text of a group; null where it took no part."""
        if name not in self._spans:
            return pa.nulls(len(self._texts), pa.string())
        span = self._spans[name]
        return pieces(self._bytes, self._offsets[:-1] + span.start, span.length, span.is_there)


def _key_and_text(specimen: str, block: str, end: str, behind: str) -> tuple[AccessionKey, str]:
    letter, number = (None if part == "\x01" else part for part in (specimen, block))
    return AccessionKey("", letter, number, 0, 0, int(end)), behind


class Bytes(NamedTuple):
    """The texts of an array: where each begins and the last ends, and all their bytes."""

    offsets: Numbers
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Strings) -> "Bytes":
        """Those of some texts."""
        _, offsets, data = texts.buffers()
        begin = texts.offset
        ends = np.frombuffer(offsets, np.int32)[begin : begin + len(texts) + 1] if offsets else np.zeros(1, np.int32)
        return cls(ends.astype(np.int64), np.frombuffer(data or b"", np.uint8))


class _Span:
    """Where a group stands in each text, in bytes; of length 0 where it took no part."""

    def __init__(self, spans: Any) -> None:
        self.is_there = mask_of(spans.is_valid())
        pairs = spans.values.to_numpy(zero_copy_only=False).reshape(-1, 2)[spans.offset : spans.offset + len(spans)]
        self.length = np.where(self.is_there, pairs[:, 1], 0).astype(np.int64)
        self.start = np.where(self.length > 0, pairs[:, 0], 0).astype(np.int64)


def _normal_form(prefix: Strings, year: Strings, number: Strings) -> Strings:
    stripped = pc.utf8_ltrim(number, characters="0")
    stripped = pc.if_else(pc.equal(pc.binary_length(stripped), 0), "0", stripped)
    dash = "-"
    without_year = pc.equal(pc.binary_length(year), 0)
    if pc.any(without_year).as_py():
        is_plain = pc.and_(without_year, pc.invert(pc.match_substring_regex(prefix, "[0-9]$")))
        dash = pc.if_else(is_plain, "", dash)
    return _concat(prefix, year, dash, stripped)


def _concat(*parts: Any) -> Strings:
    return pc.binary_join_element_wise(*parts, "")


def pieces(data: NDArray[np.uint8], start: Numbers, length: Numbers, valid: Mask | None = None) -> Strings:
    """Pieces of a text as strings."""
    offsets = np.zeros(len(start) + 1, np.int32)
    np.cumsum(length, out=offsets[1:])
    at = np.repeat(start - offsets[:-1], length) + np.arange(offsets[-1])
    nulls = None if valid is None or valid.all() else pa.array(valid).buffers()[1]
    buffers = [pa.array(offsets).buffers()[1], pa.array(data[at]).buffers()[1], nulls]
    return pa.StringArray.from_buffers(len(start), *buffers)


def mask_of(array: "pa.Array[Any]") -> Mask:
    """Truth values as numpy has them."""
    return np.asarray(array.to_numpy(zero_copy_only=False), np.bool_)
