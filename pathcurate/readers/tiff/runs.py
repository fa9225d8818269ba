"""Where the compressed pixels of a pyramid lie, image by image, for a comparison of a slide with a copy of it."""

from collections.abc import Iterator, Sequence
from typing import Final

from pathcurate.ifd import NEW_SUBFILE_TYPE, Directory, tiles
from pathcurate.model.filescrub import PixelRun
from pathcurate.readers.tiff.description import geometry, has_shape

_OVERVIEW: Final = 9
"""NewSubfileType of the photo of the glass."""


def runs(directories: Sequence[Directory], levels: Sequence[Directory]) -> Iterator[PixelRun]:
    """The tiles of every image of the pyramid, each a run of its own, so that they compare one by one.

    Images are named by their order and size; those of one size are focal planes, channels or scanned regions. A tile that
    was never written has length 0.

    Args:
        directories: of the chain, without the images beside the pyramid.
        levels: what the dialect takes for the pyramid, largest first.

    Raises:
        TiffDamage: a table cannot be read.
    """
    known = {id(level) for level in levels}
    shapes = [geometry(level)[:2] for level in levels]
    number = 0
    for directory in directories:
        for image in (directory, *directory.sub_directories()):
            width, height, *tile = geometry(image)
            is_like_one = image.is_tiled and all(tile) and image.first_int(NEW_SUBFILE_TYPE, 0) != _OVERVIEW
            if id(image) not in known and not (is_like_one and _belongs(width, height, shapes)):
                continue
            if (tables := tiles.entries(image)) is None:
                continue
            name = f"level {number}, {width} x {height}"
            number += 1
            for piece in tiles.read_pieces(image, tables):
                for offset, length in zip(piece.offsets.tolist(), piece.byte_counts.tolist(), strict=True):
                    yield PixelRun(name, b"", offset if length else 0, length)


def _belongs(width: int, height: int, shapes: Sequence[tuple[int, int]]) -> bool:
    """Whether an image is one of the pyramid's levels, or shows the same field no larger."""
    if not shapes or not width or not height or not all(shapes[0]):
        return False
    full_width, full_height = shapes[0]
    same_field = width <= full_width and height <= full_height and has_shape(width, height, full_width, full_height)
    return (width, height) in shapes or same_field
