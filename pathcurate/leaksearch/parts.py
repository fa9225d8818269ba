"""Pieces of files that are searched, and pieces that cannot be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """Something to search.

    Attributes:
        where: which part of its file it is; empty for the file as it is. It never holds a name that the file gives.
        data: bytes as they are, or a text that was decoded.
        offset: of the first byte, in what ``where`` names.
        begin: hits that begin before this offset belong to the piece before.
        end: hits that begin here or later belong to the piece behind.
        is_packed: the bytes are compressed and nearly random, so that a short hit in them says nothing.
        first_value: of values one behind the other the number of the first; None where an offset is one of bytes.
    """

    where: str
    data: bytes | str
    offset: int
    begin: int
    end: int
    is_packed: bool
    first_value: int | None = None


@dataclass(frozen=True, slots=True)
class Unsearched:
    """Something that was not searched.

    Attributes:
        where: see :attr:`Part.where`.
        reason: why, in a few words.
    """

    where: str
    reason: str


def inside(where: str, what: str) -> str:
    """A part of a part."""
    return f"{where}, {what}" if where else what
