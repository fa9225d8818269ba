"""Colour profiles without their texts: names of makers, models and calibrations, which may hold a scanner's serial number.

A slide keeps its profile, since pixels mean nothing without it. The profile keeps its length and the place of every tag; its
texts become blanks, and so do its day, its own digest, and whatever no tag refers to. Source: ICC.1:2022 (v4), ICC.1:2001-04
(v2, ``desc``).
"""

import struct
from typing import Final

_COLOURS: Final = frozenset({
    b"XYZ ", b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet", b"sf32", b"uf32", b"ui08", b"ui16", b"ui32",
    b"ui64", b"sig ", b"view", b"meas", b"chrm", b"clro", b"cicp", b"gbd ", b"dat0",
})  # fmt: skip
"""Types that hold numbers."""
_MOST_TAGS: Final = 200
_HEAD_BYTES: Final = 132


def blank_texts(profile: bytes) -> bytes | None:
    """The profile without texts, of the same length; None if it is no profile."""
    if not any(profile):
        return profile
    if len(profile) < _HEAD_BYTES or profile[36:40] != b"acsp":
        return None
    (count,) = struct.unpack_from(">I", profile, 128)
    table = _HEAD_BYTES + 12 * count
    if count > _MOST_TAGS or table > len(profile):
        return None
    made = bytearray(len(profile))
    made[:table] = profile[:table]
    # The day it was made, and the digest of the profile (0: not computed).
    made[24:36] = bytes(12)
    made[84:128] = bytes(44)
    places = [struct.unpack_from(">4xII", profile, _HEAD_BYTES + 12 * number) for number in range(count)]
    if any(offset < table or offset + size > len(profile) or size < 8 for offset, size in places):
        return None
    bodies = [(offset, profile[offset : offset + size]) for offset, size in places]
    colours = [item for item in bodies if item[1][:4] in _COLOURS and not _is_text(item[1])]
    for offset, body in colours:
        made[offset : offset + len(body)] = body
    # Texts last: a tag may lie within another one.
    for offset, body in bodies:
        if (offset, body) not in colours:
            made[offset : offset + len(body)] = _blank(body)
    return bytes(made)


def _is_text(body: bytes) -> bool:
    """Whether numbers of a byte spell a text, which no colour does."""
    return body[:4] in (b"ui08", b"ui32", b"gbd ") and all(32 <= byte < 127 or byte == 0 for byte in body[8:])


def _blank(body: bytes) -> bytes:
    """A text tag of the same type and length that says nothing."""
    kind, size = body[:4], len(body)
    if kind == b"mluc" and size >= 30:
        # One record of no language, its text one blank.
        return (kind + struct.pack(">III2s2sIIH", 0, 1, 12, b"en", b"US", 2, 28, 0x20)).ljust(size, b"\0")[:size]
    if kind == b"desc" and size >= 13:
        return (kind + struct.pack(">II", 0, 1)).ljust(size, b"\0")
    return (kind if kind in (b"text", b"desc", b"mluc") else b"data") + bytes(size - 4)
