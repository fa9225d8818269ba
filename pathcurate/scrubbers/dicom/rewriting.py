"""One instance from its bytes to its copy's: element by element, nothing decoded that stays.

What stays is copied as it is written; lengths of items and sequences are set right where something within them changed.
"""

import struct
from collections.abc import Sequence
from typing import Final

from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.scrubbers.dicom.copy import Copy
from pathcurate.scrubbers.dicom.frames import TABLES, Frames, check_places
from pathcurate.scrubbers.dicom.profile import Profile
from pathcurate.scrubbers.dicom.structure import (
    DEEPEST,
    ITEM,
    ITEM_END,
    LONG_FORMS,
    NATIVE,
    PIXEL_DATA,
    SEQUENCE_END,
    UNDEFINED,
    Beginning,
    Encoding,
    Window,
    behind_items,
)
from pathcurate.scrubbers.dicom.values import REMOVED, Level, Ruling, Subject

_LONGEST_VALUE: Final = 16 << 20
"""A text that may stay is read whole, so no longer one is taken; of what goes no more than the next is looked at."""
_LONGEST_LOOK: Final = 64 << 10
_SHORTEST: Final = 8
_FIRST_OF_PIXELS: Final = 0x7FE0_0000
_AMONG_PIXELS: Final = frozenset({0x7FE0_0008, 0x7FE0_0009, PIXEL_DATA})
_NAMES_OF_CODE: Final = ((0x0008_0100, b"SH"), (0x0008_0102, b"SH"), (0x0008_0104, b"LO"))

Addition = tuple[int, bytes]
"""An element that is written whatever the source has: its tag, and its bytes."""


def encoded(tag: int, kind: bytes, value: bytes, encoding: Encoding) -> bytes:
    """The bytes of an element whose value is made even."""
    order = encoding.order
    if len(value) & 1:
        value += b"\0" if kind in {b"UI", b"OB"} else b" "
    head = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if encoding.is_implicit or tag >> 16 == 0xFFFE:
        return head + struct.pack(f"{order}I", len(value)) + value
    if kind in LONG_FORMS:
        return head + kind + b"\0\0" + struct.pack(f"{order}I", len(value)) + value
    return head + kind + struct.pack(f"{order}H", len(value)) + value


def coded_item(code: str, scheme: str, meaning: str, encoding: Encoding) -> bytes:
    """The bytes of an item with a coded entry (PS3.3 section 8.1)."""
    pairs = zip(_NAMES_OF_CODE, (code, scheme, meaning), strict=True)
    return encoded(ITEM, b"", b"".join(encoded(tag, kind, text.encode(), encoding) for (tag, kind), text in pairs), encoding)


class Rewriting:
    """Reads the data set of one instance and writes that of its copy.

    Args:
        window: of the source.
        start: what stands before its data set.
        profile: the rulings.
        subject: as whom it is scrubbed.
        copy: what is written to.
        additions: elements that the copy has whatever the source has, in the order of their tags.
        frames: of its pixels.

    Attributes:
        pixels: where the pixel data begin in the copy, and how long they are if they are not compressed.
    """

    def __init__(
        self, window: Window, start: Beginning, profile: Profile, subject: Subject, copy: Copy,
        additions: Sequence[Addition], frames: Frames,
    ) -> None:  # fmt: skip
        self._window, self._start, self._profile, self._subject, self._copy = window, start, profile, subject, copy
        self._frames = frames
        self._additions = list(additions)
        self._added = {tag for tag, _ in additions}
        self.pixels: tuple[int, int] | None = None
        self.has_pixels = False

    def run(self) -> None:
        """Write the whole data set.

        Raises:
            UnscrubbableError: the structure is damaged, or holds what cannot be scrubbed.
            OSError: the source cannot be read, or the copy not written.
        """
        end = self._elements(self._start.at, None, self._start.encoding, Level(), 0)
        for _, data in self._additions:
            self._copy.write(data)
        if end < self._window.size:
            self._subject.note("behind the last attribute", Deed.REMOVE, "bytes that belong to nothing")

    def _elements(  # noqa: C901, PLR0912, PLR0915 -- one loop, since a call for each element would double its time
        self, at: int, end: int | None, encoding: Encoding, level: Level, depth: int
    ) -> int:
        """Where the data set or item ends."""
        if depth > DEEPEST:
            raise UnscrubbableError("its sequences are nested too deep")
        window, copy = self._window, self._copy
        rulings = self._profile.rulings(encoding)
        width = 4 if encoding.is_implicit else 6
        short = struct.Struct(f"{encoding.order}H").unpack_from
        long = struct.Struct(f"{encoding.order}I").unpack_from
        limit = window.size if end is None else end
        data, base, last = window.data, window.base, 0
        while end is None or at < end:
            here = at - base
            if not 0 <= here <= len(data) - 12:
                left = limit - at
                if depth == 0 and left < _SHORTEST:
                    return at
                window.load(at, max(_SHORTEST, min(12, left)))
                data, base, here = window.data, window.base, at - window.base
            ruling = rulings.get(data[here : here + width])
            if ruling is None:
                try:
                    resolve = self._profile.implicit if encoding.is_implicit else self._profile.resolve
                    ruling = resolve(data[here : here + 8], encoding)
                except UnscrubbableError:
                    if self.has_pixels and depth == 0:
                        return at
                    raise
            if ruling.form == 0:
                length, value_at = short(data, here + 6)[0], at + 8
            elif ruling.form == 1:
                if here + 12 > len(data):
                    raise UnscrubbableError("the file ends within an attribute")
                length, value_at = long(data, here + 8)[0], at + 12
            else:
                length, value_at = long(data, here + 4)[0], at + 8
            tag = ruling.tag
            if depth == 0:
                if tag >> 16 == 0xFFFE or tag == 0 or (self.has_pixels and tag <= last):
                    self._padding(at)
                    return at
                last = tag
                self._add(tag)
                if tag >= _FIRST_OF_PIXELS and tag in _AMONG_PIXELS:
                    at = self._pixels(at, value_at, length, tag)
                    data, base = window.data, window.base
                    continue
            elif tag == ITEM_END:
                if end is not None:
                    raise UnscrubbableError(f"an item ends before its length (offset {at})")
                copy.keep(at, value_at)
                return value_at
            elif tag >> 16 == 0xFFFE:
                raise UnscrubbableError(f"no attribute where one should begin (offset {at})")
            stop = value_at + length
            if length != UNDEFINED and stop > limit:
                if self.has_pixels and depth == 0:
                    return at
                raise UnscrubbableError("an attribute goes on beyond what it is in")
            if ruling.sequence is not None or length == UNDEFINED:
                at = self._sequence(at, value_at, length, ruling, encoding, level, depth)
            elif depth == 0 and tag in self._added:
                at = stop
            elif ruling.treat is None or length <= ruling.free:
                if tag in TABLES:
                    check_places(window.source, value_at, length, 8, rises=TABLES[tag])
                copy.keep(at, stop)
                at = stop
                continue
            else:
                self._value(at, value_at, length, ruling, encoding, level)
                at = stop
            data, base = window.data, window.base
        return at

    def _add(self, tag: int) -> None:
        """Write the additions that stand before a tag, or in its place."""
        while self._additions and self._additions[0][0] <= tag:
            self._copy.write(self._additions.pop(0)[1])

    def _padding(self, at: int) -> None:
        """What stands behind the data set has no form; what cannot be told from a data set that is damaged is refused."""
        if self.has_pixels:
            return
        while at < self._window.size:
            piece = self._window.source.read_at(at, _LONGEST_LOOK)
            if not piece or any(piece):
                raise UnscrubbableError(f"no attribute where one should begin (offset {at})")
            at += len(piece)

    def _value(self, at: int, value_at: int, length: int, ruling: Ruling, encoding: Encoding, level: Level) -> None:
        window = self._window
        head = window.bytes_at(at, 6)
        if length <= _LONGEST_LOOK:
            raw = window.bytes_at(value_at, length)
        elif length <= _LONGEST_VALUE:
            raw = window.source.read_at(value_at, length)
        else:
            # Longer than any text: it goes, if it would go whatever it says.
            raw = window.source.read_at(value_at, _LONGEST_LOOK)
        new = ruling.treat(self._subject, raw, level, ruling) if ruling.treat is not None else raw
        if len(raw) < length and new:
            raise UnscrubbableError("a text is longer than 16 MiB")
        if new is raw:
            self._copy.keep(at, value_at + length)
            return
        if not self._copy.muted:
            self._subject.note(level.path + ruling.place, ruling.deed, ruling.rule)
        if new is not None:
            self._copy.write(self._header(head, ruling, len(new) + (len(new) & 1), encoding) + _even(new, ruling.kind))

    def _header(self, head: bytes, ruling: Ruling, length: int, encoding: Encoding) -> bytes:
        """Tag, kind and length as the source writes them."""
        order = encoding.order
        if ruling.form == 2:
            return head[:4] + struct.pack(f"{order}I", length)
        return head + (b"\0\0" + struct.pack(f"{order}I", length) if ruling.form else struct.pack(f"{order}H", length))

    def _sequence(
        self, at: int, value_at: int, length: int, ruling: Ruling, encoding: Encoding, level: Level, depth: int
    ) -> int:
        """Where the sequence ends."""
        copy, window = self._copy, self._window
        # Within a value of unknown kind elements have none either (PS3.5 section 6.2.2).
        is_unknown = not encoding.is_implicit and ruling.form != 2 and window.bytes_at(at + 4, 2) == b"UN"
        inner = Encoding("<" if is_unknown else encoding.order, encoding.is_implicit or is_unknown)
        end = None if length == UNDEFINED else value_at + length
        is_replaced = depth == 0 and ruling.tag in self._added
        how = "drop" if is_replaced else ruling.sequence or "drop"
        if how not in {"keep", "content"}:
            if not copy.muted and not is_replaced:
                self._subject.note(level.path + ruling.place, ruling.deed, ruling.rule)
            if how in {"empty", "code"}:
                item = coded_item(REMOVED, f"99{REMOVED}", REMOVED, inner) if how == "code" else b""
                copy.write(self._header(window.bytes_at(at, 6), ruling, len(item), encoding) + item)
            copy.muted += 1
            try:
                return self._dropped(value_at, end, ruling, inner, level, depth)
            finally:
                copy.muted -= 1
        # What is muted is never taken back, and may end in an exception that is no harm.
        held = how == "content" and not copy.muted
        copy.held += held
        began = copy.position
        copy.keep(at, value_at)
        stop = self._items(value_at, end, ruling, inner, level, depth)
        written = copy.position - began - (value_at - at)
        if end is not None and written != length and not copy.muted:
            copy.patch(began + value_at - at - 4, struct.pack(f"{encoding.order}I", written))
        copy.held -= held
        return stop

    def _dropped(
        self, value_at: int, end: int | None, ruling: Ruling, encoding: Encoding, level: Level, depth: int
    ) -> int:  # fmt: skip
        """Where a sequence ends that goes; what it holds is looked at for what identifies."""
        if end is not None and not ruling.sequence:
            return end
        try:
            return self._items(value_at, end, ruling, encoding, level, depth)
        except UnscrubbableError:
            # Of a sequence that goes, damage does no harm as long as its end is known.
            return end if end is not None else behind_items(self._window, value_at, encoding)

    def _items(
        self, at: int, end: int | None, ruling: Ruling, encoding: Encoding, level: Level, depth: int
    ) -> int:  # fmt: skip
        copy, window = self._copy, self._window
        unpack = struct.Struct(f"{encoding.order}HHI").unpack
        path = level.path + ruling.place
        is_content = ruling.sequence == "content" or level.is_content
        limit = window.size if end is None else end
        while end is None or at < end:
            group, element, length = unpack(window.bytes_at(at, 8))
            tag, value_at = group << 16 | element, at + 8
            if tag == SEQUENCE_END:
                copy.keep(at, value_at)
                return value_at if end is None else end
            if tag != ITEM:
                raise UnscrubbableError(f"no item where one should begin (offset {at})")
            inner = Level(path, level.charset, is_content, creators=dict(level.creators) if level.creators else None)
            began = copy.position
            copy.keep(at, value_at)
            if length == UNDEFINED:
                at = self._elements(value_at, None, encoding, inner, depth + 1)
            else:
                if value_at + length > limit:
                    raise UnscrubbableError("an item goes on beyond what it is in")
                at = self._elements(value_at, value_at + length, encoding, inner, depth + 1)
                if not copy.muted and (written := copy.position - began - 8) != length:
                    copy.patch(began + 4, struct.pack(f"{encoding.order}I", written))
            if is_content and inner.goes and not copy.muted:
                copy.cut(began)
                self._subject.note(path, Deed.REMOVE, "E.1-1 option Clean Structured Content")
        return at

    def _pixels(self, at: int, value_at: int, length: int, tag: int) -> int:
        """Where the pixel data end; they are copied as they are."""
        size = self._window.size
        is_native = self._start.syntax in NATIVE
        if length == UNDEFINED:
            if is_native or tag != PIXEL_DATA:
                raise UnscrubbableError("its pixel data are not written as its transfer syntax says")
            end = self._frames.behind(self._window.source, value_at)
        else:
            end = value_at + length
            if end > size:
                raise UnscrubbableError("the file ends before its pixel data do")
            if not is_native and tag == PIXEL_DATA and self._start.syntax != "1.2.840.10008.1.2.1.98":
                raise UnscrubbableError("its pixel data are not written as its transfer syntax says")
            if is_native:
                self._frames.check_native(self._window.source, value_at, length, tag)
        self.pixels = (self._copy.position + value_at - at, length)
        self.has_pixels = True
        self._copy.keep(at, end)
        return end


def _even(value: bytes, kind: bytes) -> bytes:
    if not len(value) & 1:
        return value
    return value + (b"\0" if kind in {b"UI", b"OB", b"UN"} else b" ")
