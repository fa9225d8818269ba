"""A bounded walk over the elements of a DICOM data set (PS3.5 section 7): it keeps what is asked for and skips the rest.

Files are untrusted: no length or count in a file decides how much memory or time is spent.
"""

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pathcurate.dicomtexts import decode

UNDEFINED: Final = 0xFFFF_FFFF
PRESENCE: Final = "presence"
"""Asked for in place of a value representation where only matters whether there is such an element."""
PER_FRAME_GROUPS: Final = 0x5200_9230
PIXELS_FROM: Final = 0x7FE0_0000
PIXEL_DATA: Final = 0x7FE0_0010

_CONTOURS: Final = 0x3006
"""Group of what is drawn on images for radiotherapy, which can be longer than the images; nothing needed follows it."""
_META_END: Final = 0x0003_0000
_DATA_SET_END: Final = _CONTOURS << 16
_NEVER: Final = 1 << 32
_ITEM: Final = 0xFFFE_E000
_ITEM_END: Final = 0xFFFE_E00D
_SEQUENCE_END: Final = 0xFFFE_E0DD
_CHARSET: Final = 0x0008_0005

_BLOCK_BYTES: Final = 16_384
_LONGEST_VALUE: Final = 65_536
"""Longer values are skipped: none that the scan wants is that long."""
_LONGEST_TEXT: Final = 1024
_DEEPEST: Final = 48
MOST_ITEMS: Final = 1000
"""Items of a sequence that are kept; of any that the scan wants, there are a handful."""

_LONG_LENGTHS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
"""Value representations whose length takes four bytes (PS3.5 section 7.1.2)."""
_SHORT_LENGTHS: Final = frozenset({b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN",
                                   b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"})  # fmt: skip
_MAY_BE_SEQUENCE: Final = frozenset({b"SQ", b"UN", None})
_NUMBERS: Final = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
_NO_TEXT: Final = frozenset({*_NUMBERS, "AT", "OB", "OW", "OF", "OD", "OL", "OV", "UN", "SQ", PRESENCE})

Wanted = Mapping[int, "str | Wanted"]
"""Tags of the elements to keep: for each its value representation, or for a sequence what to keep of its items."""


class Cut(Exception):  # noqa: N818 -- states of a file, named for what they are
    """The data set goes on beyond the end of the file."""


class Broken(Exception):  # noqa: N818
    """The structure is impossible, or larger than any header; the text says which, without a value."""


@dataclass(slots=True)
class Elements:
    """What was kept of a data set or of an item.

    Attributes:
        values: by tag: value representation and bytes, or the items of a sequence.
        order: byte order as :mod:`struct` writes it.
        charset: values of SpecificCharacterSet (0008,0005), also of the data set around an item.
    """

    order: str = "<"
    charset: tuple[str, ...] = ()
    values: "dict[int, tuple[str, bytes] | list[Elements]]" = field(default_factory=dict)

    def __contains__(self, tag: int) -> bool:
        return tag in self.values

    def items(self, tag: int) -> "Sequence[Elements]":
        """The items of a sequence; none if it is missing."""
        value = self.values.get(tag)
        return value if isinstance(value, list) else ()

    def text(self, tag: int) -> str | None:
        """A value as text, several joined by a backslash as DICOM does; None if it is empty or not text."""
        value = self.values.get(tag)
        if value is None or isinstance(value, list) or not value[1] or value[0] in _NO_TEXT:
            return None
        text = decode(value[1], self.charset)
        if "\\" in text:
            text = "\\".join(part.strip(" \0") for part in text.split("\\"))
        if value[0] == "PN":
            # Groups of components that are empty (PS3.5 section 6.2.1.1).
            text = text.rstrip("= \0")
        return text[:_LONGEST_TEXT].replace("\0", "").strip() or None

    def numbers(self, tag: int) -> list[float]:
        """Finite numbers of a value, binary or written out; none if one of them is no number."""
        value = self.values.get(tag)
        if value is None or isinstance(value, list):
            return []
        kind, raw = value
        try:
            if kind in _NUMBERS:
                code = _NUMBERS[kind]
                numbers = list(struct.unpack(f"{self.order}{len(raw) // struct.calcsize(code)}{code}", raw))
            else:
                numbers = [float(part) for part in raw.rstrip(b" \0").split(b"\\")] if kind not in _NO_TEXT else []
        except (ValueError, struct.error):
            return []
        return numbers if all(map(math.isfinite, numbers)) else []

    def number(self, tag: int, least: float, most: float) -> float | None:
        """A single number within bounds."""
        numbers = self.numbers(tag)
        return numbers[0] if len(numbers) == 1 and least <= numbers[0] <= most else None

    def integer(self, tag: int) -> int | None:
        """A single whole number from 0 to 2**31."""
        number = self.number(tag, 0, 2**31)
        return int(number) if number is not None and number == int(number) else None


@dataclass(frozen=True, slots=True)
class Stop:
    """The first element that was not read: its tag (0 if all were), its length, where its value begins."""

    tag: int = 0
    length: int = 0
    offset: int = 0


class Walk:
    """Reads elements through a window of the file.

    Args:
        read_at: reads up to so many bytes from an offset.
        size: bytes there are.
        most_bytes: most that is read before the file is :class:`Broken`.
        window: the first bytes of the file, if they have been read.
        most_items: most items that are kept of a sequence.
    """

    def __init__(
        self,
        read_at: Callable[[int, int], bytes],
        size: int,
        most_bytes: int,
        window: bytes = b"",
        most_items: int = MOST_ITEMS,
    ) -> None:
        self._read_at = read_at
        self.size = size
        self._left = most_bytes
        self._window = window
        self._most_items = most_items
        self._base = 0
        self._order = "<"

    def bytes_at(self, at: int, length: int) -> bytes:
        """Exactly so many bytes.

        Raises:
            Cut: the file ends before.
        """
        start = at - self._base
        if start < 0 or start + length > len(self._window):
            self._load(at, length)
            start = 0
        return self._window[start : start + length]

    def _load(self, at: int, length: int) -> None:
        if at + length > self.size:
            raise Cut
        if self._left < length:
            raise Broken("the header is too long")
        self._window = self._read_at(at, max(length, _BLOCK_BYTES))
        self._base = at
        self._left -= len(self._window)
        if len(self._window) < length:
            raise Cut

    def meta(self, at: int, wanted: Wanted, into: Elements) -> int:
        """The file meta group (PS3.10 section 7.1), always in explicit little endian; the offset of the data set."""
        return self._elements(at, None, wanted, into, stops=_META_END, is_implicit=self._is_implicit(at, default=False))[0]

    def data_set(self, at: int, wanted: Wanted, into: Elements, *, is_implicit: bool) -> Stop:
        """A data set up to the per-frame groups, contours or pixels. What was read before an exception is in ``into``."""
        self._order = into.order
        is_implicit = self._is_implicit(at, default=is_implicit)
        return self._elements(at, None, wanted, into, stops=_DATA_SET_END, is_implicit=is_implicit)[1]

    def _is_implicit(self, at: int, *, default: bool) -> bool:
        """Some writers do not keep to the transfer syntax that they name; a first length cannot look like two letters."""
        if at + 6 > self.size:
            return default
        kind = self.bytes_at(at + 4, 2)
        return not (kind.isalpha() and kind.isupper())

    def allow(self, most_bytes: int) -> None:
        """Let so many bytes be read from here on."""
        self._left = most_bytes

    def skip(self, at: int) -> int:
        """Where a sequence of undefined length ends whose first item is at an offset."""
        return self._items(at, None, {}, Elements(self._order), [], is_implicit=False, depth=0)

    def _elements(  # noqa: C901, PLR0912 -- one loop, since a call for each element would double its time
        self,
        at: int,
        end: int | None,
        wanted: Wanted,
        into: Elements,
        *,
        stops: int = _NEVER,
        is_implicit: bool,
        depth: int = 0,
    ) -> tuple[int, Stop]:
        """The offset behind the last element, and the element that stopped the walk."""
        if depth > _DEEPEST:
            raise Broken("sequences are nested too deep")
        explicit = struct.Struct(f"{self._order}HH2sH").unpack_from
        implicit = struct.Struct(f"{self._order}HHI").unpack_from
        long_length = struct.Struct(f"{self._order}I").unpack_from
        window, base, size = self._window, self._base, self.size
        room = len(window) - 12
        while end is None or at < end:
            here = at - base
            if not 0 <= here <= room:
                if at == size and stops != _NEVER:
                    return at, Stop()
                # Near the end of the file there need not be room for the longer kind of element.
                self._load(at, min(12, max(8, size - at)))
                window, base, here = self._window, self._base, 0
                room = len(window) - 12
            kind: bytes | None
            if is_implicit:
                group, element, length = implicit(window, here)
                kind, value_at = None, at + 8
            else:
                group, element, kind, length = explicit(window, here)
                value_at = at + 8
                if kind in _LONG_LENGTHS:
                    if at + 12 > size:
                        raise Cut
                    length, value_at = long_length(window, here + 8)[0], at + 12
                elif kind not in _SHORT_LENGTHS and not b"AA" <= kind <= b"ZZ":
                    # Items within explicit data sets may be implicit (PS3.5 section 6.2.2), and delimiters always are.
                    group, element, length = implicit(window, here)
                    kind = None
            tag = group << 16 | element
            if tag == _ITEM_END:
                return value_at, Stop()
            if tag >= stops and (
                tag >= PIXELS_FROM or tag == PER_FRAME_GROUPS or tag >> 16 == _CONTOURS or stops == _META_END
            ):
                return at, Stop(tag, length, value_at)
            want = wanted.get(tag)
            if length == UNDEFINED or (want is not None and not isinstance(want, str)):
                if length != UNDEFINED and kind not in _MAY_BE_SEQUENCE:
                    want = None
                at = self._sequence(value_at, length, tag, want, into, is_implicit=is_implicit, depth=depth)
                window, base = self._window, self._base
                room = len(window) - 12
                continue
            at = value_at + length
            if at > size:
                raise Cut
            if want is not None and length <= _LONGEST_VALUE:
                self._keep(tag, want, kind, value_at, length, into)
                window, base = self._window, self._base
                room = len(window) - 12
        return at, Stop()

    def _keep(self, tag: int, want: "str | Wanted", kind: bytes | None, at: int, length: int, into: Elements) -> None:
        if not isinstance(want, str):
            return
        if want == PRESENCE:
            into.values[tag] = (PRESENCE, b"")
            return
        raw = self.bytes_at(at, length)
        # What is of unknown kind is of the kind that the standard gives it (PS3.5 section 6.2.2).
        into.values[tag] = (want if kind is None or kind == b"UN" else kind.decode("ascii", "replace"), raw)
        if tag == _CHARSET:
            into.charset = tuple(part.strip() for part in raw.decode("ascii", "replace").replace("\0", "").split("\\"))

    def _sequence(
        self, at: int, length: int, tag: int, want: "str | Wanted | None", into: Elements, *, is_implicit: bool, depth: int
    ) -> int:
        """The offset behind a sequence, whose items are kept if they are wanted."""
        end = None if length == UNDEFINED else at + length
        if end is not None and end > self.size:
            raise Cut
        if want is None or isinstance(want, str):
            if want == PRESENCE:
                into.values[tag] = (PRESENCE, b"")
            return end if end is not None else self._items(at, None, {}, into, [], is_implicit=is_implicit, depth=depth)
        found: list[Elements] = []
        into.values[tag] = found
        return self._items(at, end, want, into, found, is_implicit=is_implicit, depth=depth)

    def _items(
        self,
        at: int,
        end: int | None,
        wanted: Wanted,
        around: Elements,
        found: list[Elements],
        *,
        is_implicit: bool,
        depth: int,
    ) -> int:
        header = struct.Struct(f"{self._order}HHI").unpack
        while end is None or at < end:
            group, element, length = header(self.bytes_at(at, 8))
            tag = group << 16 | element
            at += 8
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise Broken(f"no item where one should begin (offset {at - 8})")
            item_end = None if length == UNDEFINED else at + length
            if item_end is not None and item_end > self.size:
                raise Cut
            item = Elements(around.order, around.charset)
            if item_end is not None and (not wanted or len(found) >= self._most_items):
                at = item_end
                continue
            # What a walk over an unwanted item of undefined length finds is thrown away.
            at, _ = self._elements(at, item_end, wanted, item, is_implicit=is_implicit, depth=depth + 1)
            if wanted and len(found) < self._most_items:
                found.append(item)
        return at
