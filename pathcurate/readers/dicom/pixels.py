"""Where the frames of an instance lie, without decoding them: pixel data native or encapsulated (PS3.5 section A.4)."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pathcurate.readers.dicom.elements import PER_FRAME_GROUPS, PIXEL_DATA, PIXELS_FROM, UNDEFINED, Broken, Cut, Stop
from pathcurate.readers.dicom.facts import DEFLATED, IMPLICIT, NATIVE
from pathcurate.readers.dicom.header import Header
from pathcurate.storage import Source

_EXTENDED_OFFSETS: Final = 0x7FE0_0001
_ITEM: Final = b"\xfe\xff\x00\xe0"
_END_OF_ITEMS: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"
"""The sequence delimitation item, with which encapsulated pixel data end."""
_TAIL_BYTES: Final = 4096
_MOST_STEPS: Final = 64
_MOST_TABLE_BYTES: Final = 16 << 20
_MOST_ITEMS_WALKED: Final = 4096
_MOST_ITEMS_COUNTED: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class PixelData:
    """The pixel data element.

    Attributes:
        offset: where its value begins.
        length: of its value in bytes, or :data:`UNDEFINED` if it is encapsulated.
        extended: where the Extended Offset Table (7FE0,0001) begins and how long it is; (0, 0) if there is none.
    """

    offset: int
    length: int
    extended: tuple[int, int] = (0, 0)


def pixel_state(header: Header, source: Source, *, is_image: bool, needed: int) -> tuple[str, str | None, int | None]:
    """Whether the pixel data are as long as the header says, and the file as long as they are.

    Args:
        header: the header.
        source: the file.
        is_image: whether the instance must have pixels.
        needed: bytes that all its frames take, not compressed.

    Returns:
        Status, detail, and the bytes that all frames take in the file where that is known at no cost.
    """
    size, stop = source.size, header.stop
    if not is_image or header.syntax == DEFLATED:
        # What is deflated has no offsets of its own in the file.
        return "ok", None, None
    if not stop.tag:
        return "truncated", "the file ends before its pixel data", None
    if stop.length != UNDEFINED and stop.offset + stop.length > size:
        detail = f"the element at offset {stop.offset} is longer than the rest of the file (size {size})"
        return "truncated", detail, None
    is_native = header.syntax is None or header.syntax in NATIVE
    return _native_state(header, size, needed) if is_native else _encapsulated_state(header, source)


def _native_state(header: Header, size: int, needed: int) -> tuple[str, str | None, int | None]:
    stop = header.stop
    is_pixel_data = stop.tag == PIXEL_DATA and stop.length != UNDEFINED
    # Behind per-frame groups that say how long they are, the pixel data begin with a tag, its kind and a length.
    before = stop.length + (8 if header.syntax == IMPLICIT else 12) if stop.length != UNDEFINED else 0
    held = stop.length if is_pixel_data else max(0, size - stop.offset - before)
    if held < needed:
        detail = f"{held} bytes of pixel data where the frames need {needed}"
        return "corrupt" if is_pixel_data else "truncated", detail, None
    return "ok", None, stop.length if is_pixel_data else None


def _encapsulated_state(header: Header, source: Source) -> tuple[str, str | None, int | None]:
    size, stop = source.size, header.stop
    if stop.tag == PIXEL_DATA and stop.length != UNDEFINED:
        return "ok", None, stop.length
    tail_at = max(stop.offset, size - _TAIL_BYTES)
    end = source.read_at(tail_at, _TAIL_BYTES).rfind(_END_OF_ITEMS)
    if end < 0:
        return "truncated", f"the pixel data have no end mark (size {size})", None
    first = _first_frame(header, find_pixels(header) if stop.tag >= PIXELS_FROM else None)
    return "ok", None, tail_at + end - first if first is not None else None


def _first_frame(header: Header, pixels: PixelData | None) -> int | None:
    """Where the first item behind the Basic Offset Table begins."""
    if pixels is None or pixels.length != UNDEFINED:
        return None
    try:
        return _behind_table(header, pixels)[0]
    except (Cut, Broken):
        return None


def _behind_table(header: Header, pixels: PixelData) -> tuple[int, bytes]:
    """Where the item behind the Basic Offset Table begins, and the table if it is no longer than it may be.

    Raises:
        Cut: the file ends within the table.
        Broken: there is no table, which may be empty but not missing.
    """
    mark, length = struct.unpack("<4sI", header.walk.bytes_at(pixels.offset, 8))
    if mark != _ITEM:
        raise Broken("no item where the offset table should be")
    at = pixels.offset + 8
    if at + length > header.walk.size:
        raise Cut
    return at + length, header.walk.bytes_at(at, length) if 0 < length <= _MOST_TABLE_BYTES else b""


def find_pixels(header: Header) -> PixelData | None:
    """The pixel data behind where the header's walk stopped; None if they are not to be found within bounds."""
    extended = (0, 0)
    stop = header.stop
    try:
        for _ in range(_MOST_STEPS):
            if stop.tag == PIXEL_DATA:
                return PixelData(stop.offset, stop.length, extended)
            if stop.tag == _EXTENDED_OFFSETS:
                extended = (stop.offset, stop.length)
            if stop.tag == 0 or (stop.length == UNDEFINED and stop.tag != PER_FRAME_GROUPS):
                return None
            at = header.walk.skip(stop.offset) if stop.length == UNDEFINED else stop.offset + stop.length
            stop = _element(header, at)
    except (Cut, Broken, struct.error):
        pass
    return None


def _element(header: Header, at: int) -> Stop:
    order = header.data.order
    if header.syntax == IMPLICIT:
        group, element, length = struct.unpack(f"{order}HHI", header.walk.bytes_at(at, 8))
        return Stop(group << 16 | element, length, at + 8)
    group, element, kind, length = struct.unpack(f"{order}HH2sH", header.walk.bytes_at(at, 8))
    if kind in {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UN", b"UT", b"UC", b"UR"}:
        (length,) = struct.unpack(f"{order}I", header.walk.bytes_at(at + 8, 4))
        return Stop(group << 16 | element, length, at + 12)
    return Stop(group << 16 | element, length, at + 8)


def _fragments(source: Source, at: int, most: int) -> Iterator[tuple[int, int]]:
    """Offset of the value and length of each item whose end is within the file; ends at the first that is not an item.

    The last is (offset, -1) where the end mark stands.
    """
    size = source.size
    for _ in range(most):
        head = source.read_at(at, 8)
        if head == _END_OF_ITEMS:
            yield at, -1
            return
        if len(head) < 8 or head[:4] != _ITEM:
            return
        length = int.from_bytes(head[4:], "little")
        if at + 8 + length > size:
            return
        yield at + 8, length
        at += 8 + length


def whole_pixels(header: Header, source: Source) -> tuple[int, int] | None:
    """Where the value of the pixel data begins, and its bytes with the end mark; None if it cannot be told.

    Raises:
        OSError: the file cannot be read.
    """
    pixels = find_pixels(header) if header.syntax != DEFLATED else None
    if pixels is None:
        return None
    if pixels.length != UNDEFINED:
        return (pixels.offset, pixels.length) if pixels.offset + pixels.length <= source.size else None
    last = None
    for last in _fragments(source, pixels.offset, _MOST_ITEMS_COUNTED):  # noqa: B007 -- the last one is wanted
        pass
    if last is None or last[1] != -1:
        return None
    return pixels.offset, last[0] + len(_END_OF_ITEMS) - pixels.offset


def find_frames(
    header: Header, source: Source, frames: int, frame_bytes: int
) -> "Sequence[tuple[tuple[int, int], ...]] | None":
    """For each frame the (offset, length) of the pieces that it lies in; None if they cannot be told within bounds."""
    # What is deflated has no offsets in the file.
    pixels = find_pixels(header) if header.syntax != DEFLATED else None
    if pixels is None:
        return None
    if pixels.length == UNDEFINED:
        return _encapsulated(header, source, pixels, frames)
    is_native = header.syntax is None or header.syntax in NATIVE
    if not is_native or frame_bytes <= 0 or frames * frame_bytes > pixels.length:
        return None
    return _NativeFrames(pixels.offset, frame_bytes, frames)


def _encapsulated(
    header: Header, source: Source, pixels: PixelData, frames: int
) -> "Sequence[tuple[tuple[int, int], ...]] | None":
    try:
        first, table = _behind_table(header, pixels)
        offsets = _offsets(header, pixels, table, frames)
    except (Cut, Broken):
        return None
    if offsets is not None:
        return _TabledFrames(source, first, offsets)
    items = list(_fragments(source, first, _MOST_ITEMS_WALKED))
    is_whole = bool(items) and items.pop()[1] == -1
    if frames == 1 and is_whole:
        return [tuple(items)]
    return [(item,) for item in items] if is_whole and len(items) == frames else None


def _offsets(header: Header, pixels: PixelData, basic: bytes, frames: int) -> tuple[int, ...] | None:
    """The offsets of all frames from the first item on, by the extended table or the basic one; None without either."""
    at, length = pixels.extended
    for raw, code in (
        (header.walk.bytes_at(at, length) if 0 < length <= _MOST_TABLE_BYTES else b"", "Q"),
        (basic, "I"),
    ):
        if len(raw) == frames * struct.calcsize(f"<{code}") and raw:
            offsets = struct.unpack(f"<{frames}{code}", raw)
            # An offset beyond 4 GiB wraps around in the basic table: then it is no table of this file.
            if offsets[0] == 0 and all(before < after for before, after in pairwise(offsets)):
                return offsets
    return None


class _NativeFrames(Sequence[tuple[tuple[int, int], ...]]):
    """Frames one behind the other."""

    def __init__(self, offset: int, frame_bytes: int, frames: int) -> None:
        self._offset, self._bytes, self._frames = offset, frame_bytes, frames

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, frame: int) -> tuple[tuple[int, int], ...]:  # type: ignore[override]  # only ever one frame
        return ((self._offset + frame * self._bytes, self._bytes),)


class _TabledFrames(Sequence[tuple[tuple[int, int], ...]]):
    """Encapsulated frames whose offsets are known."""

    def __init__(self, source: Source, first: int, offsets: Sequence[int]) -> None:
        self._source, self._first, self._offsets = source, first, offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, frame: int) -> tuple[tuple[int, int], ...]:  # type: ignore[override]  # only ever one frame
        end = self._first + self._offsets[frame + 1] if frame + 1 < len(self._offsets) else None
        pieces = []
        for offset, length in _fragments(self._source, self._first + self._offsets[frame], _MOST_ITEMS_WALKED):
            if length < 0 or (end is not None and offset > end):
                break
            pieces.append((offset, length))
        return tuple(pieces)


def count_frames(header: Header, source: Source, frames: int, frame_bytes: int) -> tuple[int, int] | None:
    """How many frames there should be, and how many of them do not lie within the file; None if that cannot be told."""
    pixels = find_pixels(header) if header.syntax != DEFLATED else None
    if pixels is None:
        is_missing = header.syntax != DEFLATED and (header.is_cut or not header.stop.tag)
        return (frames, frames) if is_missing else None
    good: int | None = None
    if pixels.length == UNDEFINED:
        try:
            first, table = _behind_table(header, pixels)
            good = _whole_frames(source, first, _offsets(header, pixels, table, frames), frames)
        except Cut:
            good = 0
        except Broken:
            pass
    elif frame_bytes > 0 and (header.syntax is None or header.syntax in NATIVE):
        good = max(0, min(pixels.length, source.size - pixels.offset)) // frame_bytes
    return None if good is None else (frames, frames - min(frames, good))


def _whole_frames(source: Source, first: int, offsets: Sequence[int] | None, frames: int) -> int | None:
    end, count, is_whole, walked = first, 0, False, 0
    for offset, length in _fragments(source, first, _MOST_ITEMS_COUNTED):
        walked += 1
        if length < 0:
            is_whole = True
            break
        count += length > 0
        end = offset + length
    if walked == _MOST_ITEMS_COUNTED:
        return None
    if offsets is not None:
        ends = [*offsets[1:], end - first if is_whole and end - first > offsets[-1] else end - first + 1]
        return sum(frame_end <= end - first for frame_end in ends)
    if frames == 1:
        return int(is_whole and count > 0)
    return count
