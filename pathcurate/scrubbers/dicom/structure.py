"""How a DICOM file is laid out: its beginning, the forms of its elements, and a window that is read through.

PS3.5 section 7 and PS3.10 section 7. Files are untrusted: every length is held against what there is.
"""

import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.storage import Source

UNDEFINED: Final = 0xFFFF_FFFF
ITEM: Final = 0xFFFE_E000
ITEM_END: Final = 0xFFFE_E00D
SEQUENCE_END: Final = 0xFFFE_E0DD
PIXEL_DATA: Final = 0x7FE0_0010
DEEPEST: Final = 48
"""Sequences within sequences; no standard object has a third of it."""

LONG_FORMS: Final = frozenset({b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UN", b"UR", b"UT", b"SV", b"UV"})
"""Value representations whose length takes four bytes (PS3.5 section 7.1.2)."""
SHORT_FORMS: Final = frozenset({b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN",
                                b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"})  # fmt: skip

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
NATIVE: Final = frozenset({IMPLICIT, EXPLICIT, BIG_ENDIAN})
_ELSEWHERE: Final = frozenset({"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204",
                               "1.2.840.10008.1.2.4.205"})  # fmt: skip
"""JPIP: the pixels lie on a server whose address the file holds."""

_PREAMBLE: Final = 132
_FIRST: Final = 64 << 10
_PIECE: Final = 256 << 10
_MOST_META: Final = 1 << 20
_LONGEST_HEAD_VALUE: Final = 4096
_LAST_OF_HEAD: Final = 0x0048_FFFF


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the elements of a data set are written: byte order as :mod:`struct` names it, and whether kinds are left out."""

    order: str = "<"
    is_implicit: bool = False


@dataclass(frozen=True, slots=True)
class Beginning:
    """What stands before the data set.

    Attributes:
        at: where the data set begins.
        syntax: UID of the transfer syntax that the data set is written in.
        encoding: as its first element shows it.
        meta: values of the file meta group by tag.
        has_preamble: whether the file begins as PS3.10 says.
    """

    at: int
    syntax: str
    encoding: Encoding
    meta: dict[int, bytes]
    has_preamble: bool


class Window:
    """The part of a source that was read last.

    Attributes:
        source: the file.
        size: its bytes.
        data: the part.
        base: where it begins.
    """

    __slots__ = ("base", "data", "size", "source")

    def __init__(self, source: Source) -> None:
        self.source, self.size, self.base = source, source.size, 0
        self.data = source.read_at(0, _FIRST)

    def load(self, at: int, length: int) -> None:
        """Read on so that these bytes are in the window.

        Raises:
            UnscrubbableError: the file ends before.
        """
        if at < self.base or at + length > self.base + len(self.data):
            if at + length > self.size:
                raise UnscrubbableError("the file ends within an attribute")
            self.data, self.base = self.source.read_at(at, max(length, _PIECE)), at
            if len(self.data) < length:
                raise OSError("the file became shorter while it was read")

    def bytes_at(self, at: int, length: int) -> bytes:
        """These bytes.

        Raises:
            UnscrubbableError: the file ends before.
        """
        self.load(at, length)
        return self.data[at - self.base : at - self.base + length]


def beginning(window: Window) -> Beginning:
    """Read what stands before the data set.

    Raises:
        UnscrubbableError: it is no DICOM, or of a transfer syntax that cannot be scrubbed.
    """
    has_preamble = window.data[128:132] == b"DICM"
    at, meta = _meta(window, _PREAMBLE if has_preamble else 0)
    if at + 8 > window.size:
        raise UnscrubbableError("the file holds no data set")
    head = window.bytes_at(at, 8)
    is_implicit = not _is_kind(head[4:6])
    declared = meta.get(0x0002_0010, b"").strip(b" \0").decode("ascii", "replace")
    if declared == DEFLATED:
        raise UnscrubbableError("the data set is deflated: pixels within it cannot be compared")
    # A small group number looks large in the other byte order only.
    if declared == BIG_ENDIAN:
        order = "<" if head[1] == 0 < head[0] else ">"
    else:
        order = ">" if not declared and head[0] == 0 < head[1] else "<"
    if not has_preamble and not meta and struct.unpack(f"{order}H", head[:2])[0] != 8:
        raise UnscrubbableError("the file is no DICOM")
    if not declared or (declared in NATIVE and declared != _native(order, is_implicit=is_implicit)):
        # Some writers do not keep to the transfer syntax that they name; the copy says what is so.
        declared = _native(order, is_implicit=is_implicit)
    elif declared in _ELSEWHERE or not declared.startswith("1.2.840.10008.1.2"):
        raise UnscrubbableError("its transfer syntax is not one whose pixels are in the file as the standard says")
    elif is_implicit and declared not in NATIVE:
        raise UnscrubbableError("its elements are not written as its transfer syntax says")
    return Beginning(at, declared, Encoding(order, is_implicit), meta, has_preamble)


def _native(order: str, *, is_implicit: bool) -> str:
    if is_implicit and order == ">":
        raise UnscrubbableError("its elements are written as no transfer syntax says")
    return IMPLICIT if is_implicit else BIG_ENDIAN if order == ">" else EXPLICIT


def _meta(window: Window, at: int) -> tuple[int, dict[int, bytes]]:
    """Where the file meta group ends, and its values."""
    found: dict[int, bytes] = {}
    start = at
    while at + 8 <= window.size and at - start < _MOST_META:
        head = window.bytes_at(at, min(12, window.size - at))
        group, element = struct.unpack("<HH", head[:4])
        if group != 2:
            return at, found
        kind = head[4:6]
        if kind in LONG_FORMS and len(head) == 12:
            length, at = int.from_bytes(head[8:12], "little"), at + 12
        elif _is_kind(kind):
            length, at = int.from_bytes(head[6:8], "little"), at + 8
        else:
            length, at = int.from_bytes(head[4:8], "little"), at + 8
        if length > _MOST_META:
            raise UnscrubbableError("the file meta group is damaged")
        found[group << 16 | element] = window.bytes_at(at, length)
        at += length
    raise UnscrubbableError("the file meta group is damaged")


def _is_kind(letters: bytes) -> bool:
    return letters in LONG_FORMS or letters in SHORT_FORMS or (letters.isalpha() and letters.isupper())


def element_at(window: Window, at: int, encoding: Encoding) -> tuple[int, bytes, int, int]:
    """Tag, kind (empty if left out), length, and where the value begins.

    Raises:
        UnscrubbableError: the file ends before, or the kind is none of the standard.
    """
    head = window.bytes_at(at, 8)
    group, element = struct.unpack_from(f"{encoding.order}HH", head)
    tag, kind = group << 16 | element, head[4:6]
    if encoding.is_implicit or group == 0xFFFE or not _is_kind(kind):
        return tag, b"", struct.unpack_from(f"{encoding.order}I", head, 4)[0], at + 8
    if kind in LONG_FORMS:
        return tag, kind, struct.unpack(f"{encoding.order}I", window.bytes_at(at + 8, 4))[0], at + 12
    if kind not in SHORT_FORMS:
        raise UnscrubbableError(f"at offset {at} stands a kind of value that the standard does not know")
    return tag, kind, struct.unpack_from(f"{encoding.order}H", head, 6)[0], at + 8


def behind_items(window: Window, at: int, encoding: Encoding, depth: int = 0) -> int:
    """Where a sequence of undefined length ends.

    Raises:
        UnscrubbableError: it has no end, or is nested too deep.
    """
    if depth > DEEPEST:
        raise UnscrubbableError("its sequences are nested too deep")
    while True:
        tag, _, length, at = element_at(window, at, encoding)
        if tag == SEQUENCE_END:
            return at
        if tag != ITEM:
            raise UnscrubbableError(f"no item where one should begin (offset {at - 8})")
        at = at + length if length != UNDEFINED else _behind_item(window, at, encoding, depth)


def _behind_item(window: Window, at: int, encoding: Encoding, depth: int) -> int:
    while True:
        tag, kind, length, at = element_at(window, at, encoding)
        if tag == ITEM_END:
            return at
        inner = Encoding(encoding.order, is_implicit=True) if kind == b"UN" else encoding
        at = at + length if length != UNDEFINED else behind_items(window, at, inner, depth + 1)


def head_values(window: Window, start: Beginning, wanted: Collection[int]) -> dict[int, bytes]:
    """Values of a data set's first groups, as far as they are short; sequences are skipped.

    Raises:
        UnscrubbableError: an element goes beyond the end of the file, or is of no form.
    """
    found: dict[int, bytes] = {}
    at = start.at
    while at + 8 <= window.size:
        tag, kind, length, value_at = element_at(window, at, start.encoding)
        if tag > _LAST_OF_HEAD or tag == 0:
            break
        if length == UNDEFINED:
            inner = Encoding(start.encoding.order, is_implicit=True) if kind == b"UN" else start.encoding
            at = behind_items(window, value_at, inner)
            continue
        at = value_at + length
        if at > window.size:
            raise UnscrubbableError("the file ends within an attribute")
        if tag in wanted and length <= _LONGEST_HEAD_VALUE:
            found[tag] = window.bytes_at(value_at, length)
    return found
