"""What Hamamatsu NDPI does otherwise than TIFF, as far as bytes tell: its mark, upper halves of offsets, texts elsewhere."""

import struct
from typing import Final

ENTRY_BYTES: Final = 12
_MARK: Final = (65420).to_bytes(2, "little")
_MOST_HIGH: Final = 1 << 12
"""Upper halves of offsets into files below 16 TiB; larger ones are no upper halves but what else stands there."""
_ASCII: Final = 2


def has_mark(entries: bytes) -> bool:
    """Whether tag 65420 is among these entries of a little-endian classic TIFF directory."""
    return _MARK in entries and any(entries[at : at + 2] == _MARK for at in range(0, len(entries), ENTRY_BYTES))


def high_halves(data: bytes, count: int) -> bytes:
    """The upper halves of a directory's values; zeros in files of other writers, where something else stands there."""
    if max(struct.unpack(f"<{count}I", data)) >= _MOST_HIGH:
        return bytes(4 * count)
    return data


def widened(entries: bytes, high: bytes) -> bytes:
    """Entries of 12 bytes with values of 32 bits as entries of 16 bytes with values of 64 bits."""
    return b"".join(
        entries[3 * at : 3 * at + ENTRY_BYTES] + high[at : at + 4] for at in range(0, len(high), 4)
    )  # fmt: skip


def is_elsewhere(type_: int, size: int, value: int, limit: int) -> bool:
    """Whether a value that would fit into its entry stands elsewhere all the same: texts do, in Hamamatsu's files."""
    return type_ == _ASCII and size > 0 and 8 <= value <= limit - size
