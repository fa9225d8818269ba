"""The entries of a directory by the rules: numbers stay if they are numbers, texts if a rule and a form allow them."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from pathcurate import ifd
from pathcurate.ifd import Directory, Entry, texts
from pathcurate.images.colourprofile import blank_texts
from pathcurate.model.filerule import FileRule
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.tiff.drafts import SIZES, Draft, Fresh
from pathcurate.scrubbers.tiff.jpegs import bare_tables
from pathcurate.scrubbers.tiff.markup import MOST_BYTES
from pathcurate.scrubbers.tiff.slide import Dialect, Slide

PIXELS: Final = frozenset({ifd.STRIP_OFFSETS, ifd.STRIP_BYTE_COUNTS, ifd.TILE_OFFSETS, ifd.TILE_BYTE_COUNTS})
_TABLE: Final = "tag"
_BYTES: Final = frozenset({1, 2, 6, 7})
_LONG: Final = 4
_MOST_NUMBERS: Final = 64
_WRITING: Final = re.compile(
    rb"[ -~]{6}|(?:[ -~]\0){4}|(?:\0[ -~]){4}|(?:[\xb0-\xf7][\xa1-\xfe]){3}|(?:[\xe4-\xe9][\x80-\xbf]{2}){2}"
)
"""ASCII, UTF-16, GB 2312 and Chinese in UTF-8, where numbers should be."""
_RISING: Final[Mapping[int, int]] = {65426: 65432, 65432: 0}
"""Hamamatsu's places of restart markers, of any number, and the tag that holds their upper halves."""
_MOST_MARKERS: Final = 1 << 24
_MOST_BEGINS: Final = 1 << 12
_PIECE: Final = 1 << 16


def draft(slide: Slide, dialect: Dialect, directory: Directory, index: int) -> Draft:
    """A directory as the rules leave it.

    Raises:
        UnscrubbableError: what decoding needs is damaged.
        TiffDamage: a value cannot be read.
    """
    made = Draft(directory, {})
    for tag, entry in directory.entries.items():
        if tag == ifd.SUB_IFDS:
            continue
        if tag in PIXELS:
            made.values[tag] = entry
        elif (kept := _judged(slide, dialect, directory, index, tag, entry)) is not None:
            made.values[tag] = kept
    return made


def _judged(
    slide: Slide, dialect: Dialect, directory: Directory, index: int, tag: int, entry: Entry
) -> Entry | Fresh | None:
    place = slide.place(index, tag)
    rule = slide.judge.find(_TABLE, str(tag), place)
    if rule is None:
        return None
    if entry.type not in SIZES:
        if rule.deed is Deed.KEEP:
            raise UnscrubbableError("a tag that decoding may need is of no known type")
        return None
    if (special := _SPECIAL.get(tag)) is not None and rule.deed is Deed.KEEP:
        return _rewritten(slide, directory, entry, place, rule, special)
    if entry.type in _BYTES and not (entry.type == 1 and entry.count == 1):
        return _text(slide, dialect, directory, index, entry, rule)
    if rule.deed is not Deed.KEEP or not _are_numbers(directory, entry):
        slide.judge.note(place, Deed.REMOVE, _TABLE, rule.name)
        return None
    return entry


def _are_numbers(directory: Directory, entry: Entry) -> bool:
    """Whether a value is numbers, as few as a tag has: no text in one byte or two a character."""
    if entry.tag in _RISING:
        return entry.type == _LONG and entry.count <= _MOST_MARKERS and _rise(directory, entry)
    if entry.count > _MOST_NUMBERS:
        return False
    return _WRITING.search(directory.raw_value(entry.tag, entry.size)) is None


def _rise(directory: Directory, entry: Entry) -> bool:
    """Whether a table of places rises all the way, but for where its numbers begin anew at a multiple of 4 GiB."""
    upper = directory.entries.get(_RISING[entry.tag])
    begins = 0
    if upper is not None and upper.count and upper.type == _LONG:
        begins = int(directory.numbers_past(upper, upper.count - 1, 1)[0])
    falls, before = 0, 0
    for start in range(0, entry.count, _PIECE):
        numbers = directory.numbers_past(entry, start, min(_PIECE, entry.count - start)).astype(np.int64)
        falls += int(np.count_nonzero(np.diff(numbers, prepend=before) < 0))
        before = int(numbers[-1])
    return falls <= begins < _MOST_BEGINS


def _rewritten(
    slide: Slide, directory: Directory, entry: Entry, place: str, rule: FileRule, make: Callable[[bytes], bytes | None]
) -> Entry | Fresh | None:
    """A value that is cleaned by its own structure: tables of JPEG, a colour profile."""
    if entry.size > MOST_BYTES:
        raise UnscrubbableError("a colour profile or a table of JPEG is larger than any slide's")
    data = directory.raw_value(entry.tag, entry.size)
    made = make(data)
    if made is None and entry.tag == ifd.JPEG_TABLES:
        raise UnscrubbableError("the tables of JPEG are damaged")
    if made == data:
        return entry
    slide.judge.note(place, Deed.REMOVE if made is None else Deed.CLEAN, _TABLE, rule.name)
    return None if made is None else _fresh(entry, made)


_SPECIAL: Final[Mapping[int, Callable[[bytes], bytes | None]]] = {
    ifd.JPEG_TABLES: bare_tables, ifd.ICC_PROFILE: blank_texts,
}  # fmt: skip


def _text(
    slide: Slide, dialect: Dialect, directory: Directory, index: int, entry: Entry, rule: FileRule
) -> Entry | Fresh | None:
    if entry.size > MOST_BYTES:
        raise UnscrubbableError("a text is larger than any slide's")
    data = directory.raw_value(entry.tag, entry.size)
    place = slide.place(index, entry.tag)
    if rule.deed is Deed.CLEAN:
        made = dialect.clean(slide, index, entry.tag, rule.about or "", data)
        if made != data:
            slide.judge.note(place, Deed.REMOVE if made is None else Deed.CLEAN, _TABLE, rule.name)
        return None if made is None else _fresh(entry, made)
    # A text may be several, each with its NUL (TIFF 6.0, section 2): the first is judged, the others go.
    first, _, rest = data.partition(b"\0")
    text = texts.decode(first, MOST_BYTES + 1)
    kept = slide.judge.value(rule, _TABLE, text, place)
    for other in rest.split(b"\0"):
        slide.judge.gone(rule.name, texts.decode(other, MOST_BYTES + 1))
    if kept is None:
        return None
    return _fresh(entry, kept.encode() + b"\0")


def _fresh(entry: Entry, data: bytes) -> Fresh:
    """A value in the place of one; texts that are bytes or undefined stay so."""
    return Fresh(entry.type, data, entry.offset if entry.inline is None else None, entry.size)
