"""The plan of one slide: which directories its copy has, with which entries, and where everything goes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from pathcurate import ifd
from pathcurate.ifd import Blocks, Directory, tiles
from pathcurate.images.jpegsegments import HEAD_BYTES
from pathcurate.images.studylabel import study_label
from pathcurate.model.filescrub import Deed, FilePlan, UnscrubbableError
from pathcurate.scrubbers.tiff import generic, jpegs
from pathcurate.scrubbers.tiff.drafts import Draft, Fresh, Placed, place
from pathcurate.scrubbers.tiff.forms import words_of
from pathcurate.scrubbers.tiff.ground import Pixels, Table
from pathcurate.scrubbers.tiff.judging import Judge
from pathcurate.scrubbers.tiff.pictures import MOST_PIXELS, picture_of, scaled, shows_another, shows_no_more, strip_of
from pathcurate.scrubbers.tiff.slide import Dialect, Role, Slide, described, has_shape, sides
from pathcurate.scrubbers.tiff.tags import draft
from pathcurate.slidefiles import ScrubJob

_LOOKED_AT: Final = 256
"""Tiles of a level whose heads and ends are read."""
_OF_ONE_PYRAMID: Final = frozenset({"svs", "tiff"})
"""Formats that know a level by its shape alone."""
_MOST_COMPARED: Final = 3_000_000
"""Pixels of an image that may be a label or a photo of the glass."""
_MOST_TILE: Final = 16 << 20
_BITS_PER_SAMPLE: Final = 258
_SHORT, _LONG = 3, 4
_PHOTOMETRIC, _PALETTE = 262, 3
_KEPT_OF_A_PICTURE: Final = (ifd.NEW_SUBFILE_TYPE, ifd.IMAGE_DESCRIPTION, ifd.XMP, ifd.SOFTWARE)
_BLANK: Final = (240, 320)
_CARRIED: Final = 512
"""Width and height in pixels of pictures that are made where there was no thumbnail."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done, and how.

    Attributes:
        plan: as others see it.
        placed: where everything but pixels goes.
        pixels: which stay and which go.
    """

    plan: FilePlan
    placed: Placed
    pixels: Pixels


def planned(job: ScrubJob, dialect: Dialect, blocks: Blocks) -> Plan:
    """The plan of a slide.

    Raises:
        UnscrubbableError: it cannot be scrubbed with proof.
        OSError: the file cannot be read.
    """
    try:
        slide = Slide(blocks, blocks.walk(), Judge(job))
        return _Planning(slide, dialect).plan()
    except ifd.TiffDamage as damage:
        raise UnscrubbableError(f"{damage.reason} (offset {damage.offset})") from None


class _Planning:
    def __init__(self, slide: Slide, dialect: Dialect) -> None:
        self._slide = slide
        self._judge = slide.judge
        self._dialect = dialect
        self._gone: list[Directory] = []
        self._pictures: dict[int, Image.Image | None] = {}

    def plan(self) -> Plan:
        roles = self._dialect.roles(self._slide)
        levels = [d for d, role in zip(self._slide.directories, roles, strict=True) if role is Role.LEVEL]
        if not levels:
            raise UnscrubbableError("no level of a pyramid among its images")
        drafts = [
            made
            for index, (directory, role) in enumerate(zip(self._slide.directories, roles, strict=True))
            if (made := self._draft(directory, index, role, levels)) is not None
        ]
        if self._dialect.HEAD_TEXT and roles[0] is Role.GONE:
            self._move_text(drafts[0])
        every = [each for one in drafts for each in (one, *one.children)]
        kept = [self._table(one.directory) for one in every if one.strip is None]
        gone = [
            Table(directory, held)
            for directory in (*self._gone, *(one.directory for one in every if one.strip is not None))
            if (held := tiles.entries(directory)) is not None
        ]
        pixels = Pixels(kept, gone, self._slide.blocks.size)
        if any(self._says_more(table, _LOOKED_AT) for table in kept):
            raise UnscrubbableError("pixels that stay hold a comment or another text")
        if self._slide.judge.job.format in _OF_ONE_PYRAMID:
            self._demand_one_picture(levels)
        head = self._slide.blocks.read_at(0, 16)
        left = [directory for directory in self._gone if id(directory) not in {id(one.directory) for one in every}]
        placed = place(head, drafts, left, pixels.end())
        for _ in pixels.windows(placed):
            pass
        values = [value for one in every for value in one.values.values()]
        texts = [value.data for value in values if isinstance(value, Fresh) and value.type in (1, 2, 7)]
        judge = self._judge
        size = max(placed.end, self._slide.blocks.size)
        return Plan(FilePlan(judge.changes, judge.unknown, None, judge.own(texts), size), placed, pixels)

    def _table(self, directory: Directory) -> Table:
        held = tiles.entries(directory)
        if held is None:
            raise UnscrubbableError("an image of the pyramid has no table of tiles")
        return Table(directory, held)

    def _draft(self, directory: Directory, index: int, role: Role, levels: Sequence[Directory]) -> Draft | None:
        match role:
            case Role.LEVEL:
                if directory.first_int(_PHOTOMETRIC) == _PALETTE:
                    raise UnscrubbableError("a level whose colours are those of a table")
                made = draft(self._slide, self._dialect, directory, index)
                made.children = self._children(directory, index)
                return made
            case Role.THUMBNAIL:
                return self._thumbnail(directory, index, levels)
            case Role.CARRIER:
                return self._carrier(directory, index, levels)
            case Role.BLANK:
                return self._blank(directory, index)
            case Role.LABEL if self._judge.job.relabel:
                self._judge.note(f"directory {index}", Deed.PSEUDONYM, "images", "label")
                return self._picture(directory, index, study_label(self._judge.job.code))
            case _:
                self._judge.note(f"directory {index}", Deed.REMOVE, "images", str(role))
                self._lose(directory, index)
                return None

    def _children(self, directory: Directory, index: int) -> list[Draft]:
        found = []
        for child in directory.sub_directories():
            size, full = sides(child), sides(directory)
            if child.is_tiled and all(size) and all(full) and has_shape(*size, *full) and not described(child):
                # Descriptions of sub-directories are in no dialect.
                found.append(draft(self._slide, generic, child, index))
            else:
                self._judge.note(f"directory {index}, a sub-directory", Deed.REMOVE, "images", "gone")
                self._lose(child, index)
        return found

    def _lose(self, directory: Directory, index: int) -> None:
        """Remember what the texts of a directory said that the copy has not."""
        self._gone.append(directory)
        # What else it refers to lies in no kept range, and becomes zero with all that does.
        self._gone += directory.sub_directories()
        with self._judge.muted():
            draft(self._slide, self._dialect if index else generic, directory, index)

    def _move_text(self, first: Draft) -> None:
        """The description of the whole file goes to the first directory that stays."""
        head = draft(self._slide, self._dialect, self._slide.directories[0], 0)
        text = head.values.get(ifd.IMAGE_DESCRIPTION)
        if isinstance(text, Fresh):
            first.values[ifd.IMAGE_DESCRIPTION] = text

    def _thumbnail(self, directory: Directory, index: int, levels: Sequence[Directory]) -> Draft | None:
        level = self._level_of(levels, sides(directory)[0])
        picture = None if level is None else picture_of(self._slide.blocks, directory)
        is_bare = not self._says_more(self._table(directory), 1 << 16)
        if level is not None and picture is not None and is_bare and shows_no_more(picture, level):
            return draft(self._slide, self._dialect, directory, index)
        if level is None and index == 1:
            # Readers of Aperio's files take the second image for the thumbnail, whatever it is.
            return self._blank(directory, index)
        if level is None:
            return self._draft(directory, index, Role.GONE, levels)
        self._judge.note(f"directory {index}", Deed.CLEAN, "images", "thumbnail")
        return self._picture(directory, index, scaled(level, *sides(directory)))

    def _carrier(self, directory: Directory, index: int, levels: Sequence[Directory]) -> Draft:
        self._judge.note(f"directory {index}", Deed.CLEAN, "images", "carrier")
        level = self._level_of(levels, _CARRIED)
        made = Image.new("RGB", _BLANK, "white") if level is None else scaled(level, _CARRIED, _CARRIED)
        return self._picture(directory, index, made)

    def _blank(self, directory: Directory, index: int) -> Draft:
        """The directory with a white picture of the same size, in tiles if the picture was."""
        width, height = sides(directory)
        if not 0 < width * height <= MOST_PIXELS:
            raise UnscrubbableError("an image that must go and be replaced has no usual size")
        self._judge.note(f"directory {index}", Deed.EMPTY, "images", "blank")
        if not directory.is_tiled:
            return self._picture(directory, index, Image.new("RGB", (width, height), "white"))
        across, down = (directory.first_int(tag, 0) or 0 for tag in (ifd.TILE_WIDTH, ifd.TILE_LENGTH))
        if not (0 < across * down <= MOST_PIXELS and across % 16 == down % 16 == 0):
            raise UnscrubbableError("an image that must go and be replaced has no usual tiles")
        made = self._picture(directory, index, Image.new("RGB", (across, down), "white"))
        made.repeats = -(-width // across) * -(-height // down)
        order, length = directory.byte_order, len(made.strip or b"")
        for tag in (278, ifd.STRIP_BYTE_COUNTS):
            del made.values[tag]
        numbers = {ifd.IMAGE_WIDTH: width, ifd.IMAGE_LENGTH: height, ifd.TILE_WIDTH: across, ifd.TILE_LENGTH: down}
        for tag, number in numbers.items():
            made.values[tag] = Fresh(_LONG, struct.pack(f"{order}I", number))
        lengths = struct.pack(f"{order}{made.repeats}I", *[length] * made.repeats)
        made.values[ifd.TILE_BYTE_COUNTS] = Fresh(_LONG, lengths)
        return made

    def _demand_one_picture(self, levels: Sequence[Directory]) -> None:
        """Refuse an image that has the shape of a level and shows something else than the next larger one."""
        below = [child for level in levels for child in level.sub_directories() if child.is_tiled]
        of_colour = [level for level in (*levels, *below) if level.first_int(ifd.SAMPLES_PER_PIXEL, 1) == 3]
        for small in of_colour:
            width, height = sides(small)
            larger = [level for level in of_colour if sides(level)[0] > width]
            if width * height > _MOST_COMPARED or not larger:
                continue
            large = min(larger, key=lambda level: sides(level)[0])
            shown, whole = self._picture_of(small), self._picture_of(large)
            if shown is not None and whole is not None and shows_another(shown, whole):
                raise UnscrubbableError("an image that has the shape of a level shows something else")

    def _picture_of(self, directory: Directory) -> Image.Image | None:
        if directory.offset not in self._pictures:
            self._pictures[directory.offset] = picture_of(self._slide.blocks, directory)
        return self._pictures[directory.offset]

    def _level_of(self, levels: Sequence[Directory], width: int) -> Image.Image | None:
        """The picture of the smallest level of at least this width, else of the largest smaller one that can be decoded."""
        below = [child for level in levels for child in level.sub_directories() if child.is_tiled]
        wide = sorted((*levels, *below), key=lambda directory: sides(directory)[0])
        enough = [directory for directory in wide if sides(directory)[0] >= width]
        for directory in (*enough[:1], *wide[-len(enough) - 1 :: -1]):
            if (found := self._picture_of(directory)) is not None:
                return found
        return None

    def _picture(self, directory: Directory, index: int, image: Image.Image) -> Draft:
        """A directory with another picture: the texts that its place needs, and one JPEG in a strip."""
        made = draft(self._slide, self._dialect, directory, index)
        made.values = {tag: value for tag, value in made.values.items() if tag in _KEPT_OF_A_PICTURE}
        made.strip = strip_of(image)
        self._gone += directory.sub_directories()
        order = directory.byte_order
        shorts = {
            258: (8, 8, 8), ifd.COMPRESSION: (7,), 262: (6,), ifd.SAMPLES_PER_PIXEL: (3,), ifd.PLANAR_CONFIGURATION: (1,),
            530: (1, 1),
        }  # fmt: skip
        longs = {
            ifd.IMAGE_WIDTH: image.width, ifd.IMAGE_LENGTH: image.height, 278: image.height,
            ifd.STRIP_BYTE_COUNTS: len(made.strip),
        }  # fmt: skip
        for tag, numbers in shorts.items():
            made.values[tag] = Fresh(_SHORT, struct.pack(f"{order}{len(numbers)}H", *numbers))
        for tag, number in longs.items():
            made.values[tag] = Fresh(_LONG, struct.pack(f"{order}I", number))
        return made

    def _says_more(self, table: Table, most: int) -> bool:
        """Whether tiles, at most so many of them, say more than pixels."""
        words = words_of(self._judge.job.rules, "jpeg_texts")
        count = table.entries[0].count
        most_bytes = _most_bytes(table.directory)
        for number in range(count) if count <= most else sorted({(count - 1) * step // (most - 1) for step in range(most)}):
            offset, length = tiles.tile_at(table.directory, table.entries, number)
            head = self._slide.blocks.read_past(offset, min(length, HEAD_BYTES))
            start = max(0, length - jpegs.TAIL_BYTES)
            tail = self._slide.blocks.read_past(offset + start, length - start)
            if start and jpegs.has_no_end(head, tail) and length <= _MOST_TILE:
                tail = self._slide.blocks.read_past(offset, length)
            if jpegs.says_more(head, tail, words):
                return True
            if most_bytes is not None and any(
                self._slide.blocks.read_past(offset + most_bytes, min(max(0, length - most_bytes), _MOST_TILE))
            ):
                return True
        return False


def _most_bytes(directory: Directory) -> int | None:
    """Bytes that a tile or strip of an image takes at most; None if it is compressed."""
    if directory.first_int(ifd.COMPRESSION, 1) != 1:
        return None
    width, height = (ifd.TILE_WIDTH, ifd.TILE_LENGTH) if directory.is_tiled else (ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH)
    across, down = (directory.first_int(tag, 0) or 0 for tag in (width, height))
    samples, bits = directory.first_int(ifd.SAMPLES_PER_PIXEL, 1) or 1, directory.first_int(_BITS_PER_SAMPLE, 1) or 1
    return -(-across * samples * bits // 8) * down
