"""Directories of a copy: which entries they have, and where everything goes in a file whose pixels stay where they are.

A directory and a value that changes go back to where they stood if there is room, else behind the end of what the copy
keeps. So pixels never move, and whatever is not placed here, nor pixels, is nobody's.
"""

import struct
from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pathcurate.ifd import STRIP_OFFSETS, SUB_IFDS, TILE_OFFSETS, TILE_WIDTH, Directory, Entry
from pathcurate.ifd.layouts import NDPI, Layout, layout_of
from pathcurate.model.filescrub import UnscrubbableError

SIZES: Final[Mapping[int, int]] = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
"""Bytes of one value by field type (TIFF 6.0, section 2; BigTIFF)."""
_ASCII: Final = 2


@dataclass(frozen=True, slots=True)
class Fresh:
    """A value that the copy has and the slide has not.

    Attributes:
        type: field type.
        data: its values as bytes in the file's byte order.
        at: where the value that it takes the place of stood; None if there was none out of line.
        room: bytes there.
    """

    type: int
    data: bytes
    at: int | None = None
    room: int = 0

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.data) // SIZES[self.type]


@dataclass(slots=True)
class Draft:
    """A directory as the copy has it.

    Attributes:
        directory: as the slide has it.
        values: by tag: an entry of the slide as it is, or a fresh value.
        children: its sub-directories (tag 330).
        strip: its pixels if they are made anew, as one strip or tile; None if those of the slide stay.
        repeats: how often the table of tiles names it.
    """

    directory: Directory
    values: dict[int, Entry | Fresh]
    children: "list[Draft]" = field(default_factory=list)
    strip: bytes | None = None
    repeats: int = 1


@dataclass(frozen=True, slots=True)
class Placed:
    """Where everything but pixels goes.

    Attributes:
        patches: what is written, by offset.
        kept: ranges of values that stay as they are: start, end, field type.
        left: ranges that held something of which nothing may stay: start, end, field type (0: no value).
        end: where the last of it ends, and of the pixels that stay.
    """

    patches: Mapping[int, bytes]
    kept: Sequence[tuple[int, int, int]]
    left: Sequence[tuple[int, int, int]]
    end: int


def place(head: bytes, drafts: Sequence[Draft], gone: Iterable[Directory], pixels_end: int) -> Placed:
    """Where the directories of a copy and their values go.

    Args:
        head: the slide's first 16 bytes.
        drafts: directories of the chain, in order; at least one.
        gone: directories that the copy has not.
        pixels_end: where the last kept tile or strip ends.

    Raises:
        UnscrubbableError: an offset would not fit into the file's kind of pointers.
    """
    layout = _layout(drafts[0].directory)
    every = [each for draft in drafts for each in (draft, *draft.children)]
    kept = [
        (value.offset, value.offset + value.size, value.type)
        for draft in every
        for value in draft.values.values()
        if isinstance(value, Entry) and value.inline is None
    ]
    left = list(_left(every, gone))
    ground = _Ground(kept, layout, max([pixels_end, *_ends(every, layout)]))
    made = _Placing(head, layout, ground).placed(drafts, every)
    ends = [start + len(data) for start, data in made.items()] + [end for _, end, _ in kept]
    return Placed(made, kept, left, max(pixels_end, *ends))


def _layout(directory: Directory) -> Layout:
    """How the file lays out its directories; that of NDPI is known by the length of one."""
    if directory.is_big or directory.byte_order != "<":
        return layout_of(directory.byte_order, is_big=directory.is_big)
    (count,) = struct.unpack_from("<H", directory.raw)
    return NDPI if len(directory.raw) == 2 + 16 * count + 8 else layout_of("<")


def _length(draft: Draft, layout: Layout) -> int:
    """Bytes of a directory."""
    entries = len(draft.values) + bool(draft.children) + (draft.strip is not None)
    return layout.count.size + entries * (layout.entry_bytes + 4 * layout.is_ndpi) + layout.pointer.size


def _ends(every: Sequence[Draft], layout: Layout) -> Iterable[int]:
    """Ends of everything that is kept or may be written over."""
    for draft in every:
        yield draft.directory.offset + len(draft.directory.raw)
        for value in draft.values.values():
            if isinstance(value, Fresh):
                yield (value.at or 0) + value.room
            elif value.inline is None:
                yield value.offset + value.size


def _left(every: Sequence[Draft], gone: Iterable[Directory]) -> Iterable[tuple[int, int, int]]:
    """What must not stay: directories as they were, and values that are not kept."""
    kept = {id(draft.directory): draft.values for draft in every}
    for directory in [*(draft.directory for draft in every), *gone]:
        yield directory.offset, directory.offset + len(directory.raw), 0
        values = kept.get(id(directory), {})
        for tag, entry in directory.entries.items():
            if entry.inline is None and entry.size and values.get(tag) is not entry:
                yield entry.offset, entry.offset + entry.size, entry.type


class _Ground:
    """Ranges that are taken, and what lies free behind them.

    Args:
        kept: ranges that stay as they are; they may overlap.
        layout: of the file.
        end: where free ground begins.
    """

    def __init__(self, kept: Sequence[tuple[int, int, int]], layout: Layout, end: int) -> None:
        self._taken: list[tuple[int, int]] = [(0, 12 if layout.is_ndpi else layout.header_bytes)]
        for start, stop, _ in sorted(kept):
            if start < self._taken[-1][1]:
                self._taken[-1] = (self._taken[-1][0], max(stop, self._taken[-1][1]))
            else:
                self._taken.append((start, stop))
        self._most = 1 << 32 if not layout.is_big and not layout.is_ndpi else 1 << 63
        self.end = -(-end // 8) * 8

    def take(self, length: int, at: int | None, room: int) -> int:
        """Ground for so many bytes: where they stood if it is free, else at the end.

        Raises:
            UnscrubbableError: it lies beyond what the file's pointers reach.
        """
        if at is not None and length <= room and self._is_free(at, at + length):
            insort(self._taken, (at, at + length))
            return at
        start = self.end
        self.end = -(-(start + length) // 8) * 8
        if self.end >= self._most:
            raise UnscrubbableError("the file is too large for its kind of TIFF to take anything more")
        return start

    def _is_free(self, start: int, end: int) -> bool:
        at = bisect_right(self._taken, (start, 1 << 64))
        before = at == 0 or self._taken[at - 1][1] <= start
        return before and (at == len(self._taken) or self._taken[at][0] >= end)


class _Placing:
    def __init__(self, head: bytes, layout: Layout, ground: _Ground) -> None:
        self._head = head
        self._layout = layout
        self._ground = ground
        self._patches: dict[int, bytes] = {}
        self._shared: dict[tuple[int | None, bytes], int] = {}

    def placed(self, drafts: Sequence[Draft], every: Sequence[Draft]) -> Mapping[int, bytes]:
        """What is written, by offset."""
        where = {id(draft): self._room_for(draft) for draft in every}
        following = [*(where[id(draft)] for draft in drafts[1:]), 0]
        for draft, after in zip(drafts, following, strict=True):
            below = [where[id(child)] for child in draft.children]
            self._patches[where[id(draft)]] = self._encoded(draft, below, after)
            for child in draft.children:
                self._patches[where[id(child)]] = self._encoded(child, [], 0)
        self._patches[0] = self._header(where[id(drafts[0])])
        return self._patches

    def _room_for(self, draft: Draft) -> int:
        directory = draft.directory
        return self._ground.take(_length(draft, self._layout), directory.offset, len(directory.raw))

    def _header(self, first: int) -> bytes:
        start = self._layout.header_bytes - (8 if self._layout.is_big else 4)
        if not self._layout.is_ndpi or first < 1 << 32:
            # Bytes 8 to 12 are part of an NDPI's header only where it needs them.
            form = "Q" if self._layout.is_big else "I"
            return self._head[:start] + struct.pack(self._layout.byte_order + form, first)
        return self._head[:start] + struct.pack("<Q", first)

    def _encoded(self, draft: Draft, below: Sequence[int], after: int) -> bytes:
        layout = self._layout
        values = dict(draft.values)
        if below:
            type_ = 18 if layout.is_big else 13
            held = draft.directory.entries[SUB_IFDS]
            type_ = held.type if SIZES[held.type] == (8 if layout.is_big else 4) else type_
            data = struct.pack(f"{layout.byte_order}{len(below)}{'Q' if layout.is_big else 'I'}", *below)
            values[SUB_IFDS] = Fresh(type_, data, held.offset if held.inline is None else None, held.size)
        if draft.strip is not None:
            start = self._ground.take(len(draft.strip), None, 0)
            self._patches[start] = draft.strip
            form, type_ = ("Q", 16) if layout.is_big else ("I", 4)
            places = struct.pack(f"{layout.byte_order}{draft.repeats}{form}", *[start] * draft.repeats)
            values[TILE_OFFSETS if TILE_WIDTH in values else STRIP_OFFSETS] = Fresh(type_, places)
        types = _types(draft.directory, layout)
        made = [self._entry(tag, value, types.get(tag, 0)) for tag, value in sorted(values.items())]
        table = b"".join(entry for entry, _ in made)
        high = b"".join(upper for _, upper in made)
        return layout.count.pack(len(made)) + table + layout.pointer.pack(after) + high

    def _entry(self, tag: int, value: Entry | Fresh, type_: int) -> tuple[bytes, bytes]:
        """An entry, and its upper half of NDPI."""
        layout = self._layout
        word = 8 if layout.is_big else 4
        if isinstance(value, Entry):
            type_, count = type_ or value.type, value.count
            inline = value.inline
            number = value.offset
        else:
            type_, count = value.type, value.count
            is_inline = len(value.data) <= word and not (layout.is_ndpi and type_ == _ASCII)
            inline = value.data if is_inline else None
            number = 0 if is_inline else self._put(value)
        head = struct.pack(layout.byte_order + ("HHQ" if layout.is_big else "HHI"), tag, type_, count)
        if inline is not None:
            low, high = inline[:word].ljust(word, b"\0"), inline[word:].ljust(4, b"\0")
        elif layout.is_big:
            low, high = struct.pack(layout.byte_order + "Q", number), b""
        else:
            low, high = struct.pack(layout.byte_order + "I", number & 0xFFFFFFFF), struct.pack("<I", number >> 32)
        return head + low, high[:4] if layout.is_ndpi else b""

    def _put(self, value: Fresh) -> int:
        # Directories often share a text; what was made of it is shared too.
        key = (value.at, value.data)
        if value.at is None or key not in self._shared:
            self._shared[key] = self._ground.take(len(value.data), value.at, value.room)
            self._patches[self._shared[key]] = value.data
        return self._shared[key]


def _types(directory: Directory, layout: Layout) -> dict[int, int]:
    """Field types as they stand in the file, where the walk may have widened them."""
    start = layout.count.size
    found: dict[int, int] = {}
    for number in range((len(directory.raw) - start - layout.pointer.size) // (layout.entry_bytes + 4 * layout.is_ndpi)):
        tag, type_ = struct.unpack_from(layout.byte_order + "HH", directory.raw, start + number * layout.entry_bytes)
        found.setdefault(tag, type_)
    return found
