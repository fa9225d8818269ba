"""Scrubbing the files of a slide or series: what will be done, what was done, and what no rule knows.

A scrubber plans from headers alone, then writes copies; it never touches the archive. Both speak in places of a file's
structure (``directory 3, tag 270, key Filename``) and never in values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Deed(StrEnum):
    """What a rule does to a value of a file; the words of the rule language."""

    KEEP = "keep"
    REMOVE = "remove"
    """The value goes, and what names it, as far as the format can do without."""
    EMPTY = "empty"
    """The value goes, what names it stays, because readers ask for it."""
    SHIFT = "shift"
    """A date, or a date and a time, moved as all dates of the same person."""
    PSEUDONYM = "pseudonym"
    """A code of the layer takes its place: of the slide, case or patient, as the rule says."""
    UID = "uid"
    """Another UID takes its place, everywhere the same."""
    CLEAN = "clean"
    """It holds values of its own, which rules of another table decide about."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is done to a file.

    Attributes:
        place: where, in words of the file's structure; never a value.
        deed: what.
        rule: which rule says so: format, table, name as the rule writes it.
    """

    place: str
    deed: Deed
    rule: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something for which there is no rule, so that the slide is put aside.

    Attributes:
        table: the table of rules that knows no such name.
        name: as the file has it. A hostile or careless writer may have put a value there, so it is identified: it is shown
            below ``catalog/review/`` only.
        place: where, in words of the file's structure.
    """

    table: str
    name: str
    place: str


@dataclass(frozen=True, slots=True)
class OwnValue:
    """A value that identifies this slide, which its copies must not hold anywhere.

    Attributes:
        kind: as the leak search names kinds: name, number, case, file, uid, …
        value: the value.
    """

    kind: str
    value: str

    def __repr__(self) -> str:
        return f"OwnValue({self.kind})"


@dataclass(frozen=True, slots=True)
class FilePlan:
    """What scrubbing will do.

    Attributes:
        changes: in the order of the file.
        unknown: what no rule knows; with any, nothing is written.
        refusal: why the slide cannot be scrubbed with proof; None if it can.
        own: values that go and that identify: nothing of them may be left.
        size: bytes that the copies take at most.
    """

    changes: tuple[Change, ...]
    unknown: tuple[Unknown, ...] = ()
    refusal: str | None = None
    own: tuple[OwnValue, ...] = ()
    size: int = 0


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """The copies that were written.

    Attributes:
        main: the one that readers open, relative to the folder they were written in, ``/`` between parts.
        files: all of them, with it; in a fixed order.
        uids: UIDs that were replaced, old to new.
        dropped: files of the source that have no copy (a label instance, a file of another kind), and how many.
        copied: for each copy that readers open by itself, the member of the source that it was made of; empty if that is
            the main one of both.
    """

    main: str
    files: tuple[str, ...]
    uids: Mapping[str, str]
    dropped: int = 0
    copied: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PixelRun:
    """Bytes of an image's compressed pixels.

    Attributes:
        image: the image, by its place and shape (``level 0, 4096 x 3072``), the same in source and copy.
        file: path of the file that holds them, relative to the main file's folder; empty for the main file itself.
        offset: of the first byte.
        length: bytes.
    """

    image: str
    file: bytes
    offset: int
    length: int


class UnscrubbableError(Exception):
    """A slide cannot be scrubbed with proof; the text says why and holds no value."""
