"""How the kinds of TIFF lay out their directories: classic and BigTIFF in either byte order, and Hamamatsu NDPI."""

import struct
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes and byte order of one kind of TIFF.

    Attributes:
        byte_order: ``<`` or ``>``, as in :mod:`struct`.
        count: of a directory's number of entries.
        entry: tag, type, number of values, value or offset; of NDPI after its values were widened to 64 bits.
        entry_bytes: an entry's size in the file.
        pointer: to a directory.
        header_bytes: up to and with the pointer to the first directory.
        inline_bytes: largest value that stands in its entry.
    """

    byte_order: str
    is_big: bool
    is_ndpi: bool
    count: struct.Struct
    entry: struct.Struct
    entry_bytes: int
    pointer: struct.Struct
    header_bytes: int
    inline_bytes: int


def layout_of(byte_order: str, *, is_big: bool = False, is_ndpi: bool = False) -> Layout:
    """The layout of a kind of TIFF; NDPI and big are never both."""
    count, entry, pointer = ("Q", "HHQQ", "Q") if is_big else ("H", "HHIQ", "Q") if is_ndpi else ("H", "HHII", "I")
    return Layout(
        byte_order,
        is_big,
        is_ndpi,
        struct.Struct(byte_order + count),
        struct.Struct(byte_order + entry),
        20 if is_big else 12,
        struct.Struct(byte_order + pointer),
        16 if is_big else 8,
        8 if is_big else 4,
    )


LAYOUTS: Final = {
    b"II*\0": layout_of("<"),
    b"MM\0*": layout_of(">"),
    b"II+\0": layout_of("<", is_big=True),
    b"MM\0+": layout_of(">", is_big=True),
}
NDPI: Final = layout_of("<", is_ndpi=True)
