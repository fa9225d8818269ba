"""What all dialects work on: the directories of one slide, and what each of them is."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pathcurate import ifd
from pathcurate.ifd import Blocks, Directory
from pathcurate.scrubbers.tiff.judging import Judge

_MAX_SIDE = 1 << 31


class Role(StrEnum):
    """What becomes of a directory."""

    LEVEL = "level"
    """Its pixels stay as they are."""
    THUMBNAIL = "thumbnail"
    """It stays if its picture proves to be that of a level and no more; else it is made anew of one."""
    LABEL = "label"
    """It goes, or a study label takes its place."""
    CARRIER = "carrier"
    """Its texts are needed, its picture goes: a thumbnail made of a level takes its place."""
    BLANK = "blank"
    """Readers need an image there: a white one of the same size takes its place."""
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Slide:
    """A slide that is planned.

    Attributes:
        blocks: its file.
        directories: of the chain.
        judge: the rules, and the account.
    """

    blocks: Blocks
    directories: Sequence[Directory]
    judge: Judge

    def place(self, index: int, tag: int) -> str:
        """A value's place in words."""
        return f"directory {index}, tag {tag}"


class Dialect(Protocol):
    """What a module of a dialect offers."""

    @property
    def HEAD_TEXT(self) -> bool:  # noqa: N802 -- a constant of the module
        """Whether the first directory's description is of the whole file, so that another one bears it if that one goes."""

    def roles(self, slide: Slide) -> Sequence[Role]:
        """The role of each directory of the chain.

        Raises:
            UnscrubbableError: the file is not what its format says, or its structure is beyond proof.
            TiffDamage: a value cannot be read.
        """

    def clean(self, slide: Slide, index: int, tag: int, table: str, data: bytes) -> bytes | None:
        """What becomes of a value that holds values of its own; None if it goes.

        Args:
            slide: the slide.
            index: of the directory in the chain.
            tag: whose value it is.
            table: which decides about what it holds.
            data: the value's bytes.

        Raises:
            UnscrubbableError: it is damaged.
        """


def sides(directory: Directory) -> tuple[int, int]:
    """Width and height in pixels; 0 for what is missing or impossible."""
    width, height = (directory.first_int(tag, 0) or 0 for tag in (ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH))
    return (width if 0 < width < _MAX_SIDE else 0, height if 0 < height < _MAX_SIDE else 0)


def described(directory: Directory) -> str:
    """The word by which a description names an image beside the pyramid: the first of its second line, or of its first."""
    lines = directory.text(ifd.IMAGE_DESCRIPTION).splitlines()
    for line in (*lines[1:2], *lines[:1]):
        if words := line.split():
            word = words[0].lower().rstrip(":;,").removesuffix("_image")
            if word in ("label", "macro", "overview", "thumbnail"):
                return word
    return ""


def pyramid(directories: Sequence[Directory]) -> set[int]:
    """Indices of the tiled images of one shape: the largest, and what is as large or smaller in the same proportions.

    One that a word or NewSubfileType 9 calls a label or an overview is none of them, whatever its shape.
    """
    tiled = [
        (index, *sides(directory))
        for index, directory in enumerate(directories)
        if directory.is_tiled
        and all(sides(directory))
        and not described(directory)
        and directory.first_int(ifd.NEW_SUBFILE_TYPE, 0) != 9
    ]
    if not tiled:
        return set()
    _, width, height = max(tiled, key=lambda item: item[1] * item[2])
    return {index for index, w, h in tiled if has_shape(w, h, width, height)}


def has_shape(width: int, height: int, full_width: int, full_height: int) -> bool:
    """Whether an image may show the same field as one of the full size, no larger than it."""
    # Each halving may round a side up or down by a pixel, so small levels differ most: two pixels, or 1 %.
    tolerance = max(2 / full_width + 2 / full_height, 0.01 * width / full_width)
    return width <= full_width and height <= full_height and abs(width / full_width - height / full_height) <= tolerance
