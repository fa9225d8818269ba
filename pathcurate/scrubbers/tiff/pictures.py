"""Pictures of small images of a slide: decoded to tell a thumbnail from what shows the label, and made anew.

An image is decoded as a file of its own, made in memory of its directory and its pixels, so that it is that directory's and
no other's picture that is judged.
"""

import struct
import warnings
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathcurate import ifd
from pathcurate.ifd import Blocks, Directory, tiles
from pathcurate.scrubbers.tiff.drafts import SIZES

_DECODING: Final = (
    ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH, 258, ifd.COMPRESSION, 262, 266, 274, ifd.SAMPLES_PER_PIXEL, 278,
    ifd.PLANAR_CONFIGURATION, 317, 320, ifd.TILE_WIDTH, ifd.TILE_LENGTH, 338, 339, ifd.JPEG_TABLES, 529, 530, 532,
)  # fmt: skip
_JPEG: Final = 7
_YCBCR_2000: Final = 33003
_JPEG_2000: Final = frozenset({_YCBCR_2000, 33005, 34712})
_MOST_BYTES: Final = 16 << 20
MOST_PIXELS: Final = 12_000_000
_SIDE: Final = 1024
_BLOCK: Final = 8
_MOST_SHIFT: Final = 16.0
"""Grey levels by which the mean of a block of 8 x 8 pixels of a thumbnail may differ from the level's: print differs by
more, another compression and another way to scale by less.
"""
_MOST_DIFFERENCE: Final = 60.0
_USUAL_DIFFERENCE: Final = 12.0
"""The same of pixels, in the mean over a block and over the picture."""


_SAME_SIZE: Final = (64, 64)
_LEAST_CORRELATION: Final = 0.5
"""Of grey pictures of two levels; focal planes of one slide have more, a label and a slide next to none."""


def picture_of(blocks: Blocks, directory: Directory) -> Image.Image | None:
    """An image of the slide in RGB; None if it is too large, damaged, or compressed by a method that nothing here decodes.

    Raises:
        OSError: the file cannot be read.
        TiffDamage: a table of the image cannot be read.
    """
    width, height = (directory.first_int(tag, 0) or 0 for tag in (ifd.IMAGE_WIDTH, ifd.IMAGE_LENGTH))
    tables = tiles.entries(directory)
    if tables is None or not 0 < width * height <= MOST_PIXELS or min(width, height) <= 0 or tables[0].count > 65_536:
        return None
    table = tiles.read_table(directory, tables, tables[0].count)
    counts = table.byte_counts.tolist()
    if sum(counts) > _MOST_BYTES or table.count_beyond(blocks.size):
        return None
    data = [blocks.read_past(offset, count) for offset, count in zip(table.offsets.tolist(), counts, strict=True)]
    method = directory.first_int(ifd.COMPRESSION)
    # Else the decoder would complain on the standard error of the process.
    if method == _JPEG and not all(piece[:2] == b"\xff\xd8" for piece in data if piece):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if method in _JPEG_2000:
                return _joined(directory, data, (width, height))
            with Image.open(BytesIO(_alone(directory, data)), formats=("TIFF",)) as image:
                return image.convert("RGB")
    except Exception:  # noqa: BLE001 -- whatever a decoder says of damaged pixels, they are not proven to be harmless
        return None


def _joined(directory: Directory, data: list[bytes], size: tuple[int, int]) -> Image.Image | None:
    """An image in tiles of JPEG 2000, which the decoder of TIFF does not know."""
    across, down = (directory.first_int(tag, 0) or 0 for tag in (ifd.TILE_WIDTH, ifd.TILE_LENGTH))
    columns = -(-size[0] // across) if across > 0 else 0
    if not columns or down <= 0:
        return None
    whole = Image.new("RGB", size, "white")
    for number, piece in enumerate(data):
        if piece:
            with Image.open(BytesIO(piece), formats=("JPEG2000",)) as tile:
                if tile.mode != "RGB" or tile.size != (across, down):
                    return None
                # Aperio's method 33003 leaves its colours as YCbCr, and the decoder cannot know.
                is_raw = directory.first_int(ifd.COMPRESSION) == _YCBCR_2000
                picture = Image.frombytes("YCbCr", tile.size, tile.tobytes()).convert("RGB") if is_raw else tile
                whole.paste(picture, (number % columns * across, number // columns * down))
    return whole


def _alone(directory: Directory, data: list[bytes]) -> bytes:
    """A file that holds one image."""
    order = directory.byte_order
    values: dict[int, tuple[int, int, bytes]] = {}
    for tag in _DECODING:
        if (entry := directory.entries.get(tag)) is not None and entry.type in SIZES and entry.size <= 1 << 20:
            values[tag] = (entry.type, entry.count, directory.raw_value(tag, entry.size))
    offsets, counts = (324, 325) if directory.is_tiled else (273, 279)
    size = 8 + 2 + 12 * (len(values) + 2) + 4
    at = size + sum(len(value) for _, _, value in values.values()) + 8 * len(data)
    places = []
    for piece in data:
        places.append(at)
        at += len(piece)
    values[offsets] = (4, len(data), struct.pack(f"{order}{len(data)}I", *places))
    values[counts] = (4, len(data), struct.pack(f"{order}{len(data)}I", *map(len, data)))
    entries, outside = b"", b""
    for tag, (type_, count, value) in sorted(values.items()):
        inline = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "I", size + len(outside))
        outside += value if len(value) > 4 else b""
        entries += struct.pack(order + "HHI", tag, type_, count) + inline
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(values))
    fixed = head + entries + bytes(4) + outside
    # Values that stand in their entries left room.
    return fixed.ljust(at - sum(map(len, data)), b"\0") + b"".join(data)


def shows_no_more(thumbnail: Image.Image, level: Image.Image) -> bool:
    """Whether a thumbnail shows what a level of the pyramid shows and nothing else: no label, no writing.

    Block by block, so that a label at its edge or a number in a corner is not lost in a mean over the whole.
    """
    size = (min(thumbnail.width, level.width, _SIDE), min(thumbnail.height, level.height, _SIDE))
    skew = abs(thumbnail.width * level.height - thumbnail.height * level.width)
    if skew > 0.02 * thumbnail.width * level.height + 2 * (max(thumbnail.size) + max(level.size)):
        return False
    one, other = (np.asarray(image.resize(size, Image.Resampling.BOX), dtype=np.float32) for image in (thumbnail, level))
    difference = one - other
    shifts = np.abs(_blocks(difference)).max()
    distances = np.abs(difference)
    return bool(
        shifts <= _MOST_SHIFT and _blocks(distances).max() <= _MOST_DIFFERENCE and distances.mean() <= _USUAL_DIFFERENCE
    )


def shows_another(image: Image.Image, level: Image.Image) -> bool:
    """Whether an image shows something else than a level of a pyramid of the same shape: a label, a photo of the glass."""
    one, other = (
        np.asarray(picture.convert("L").resize(_SAME_SIZE, Image.Resampling.BOX), dtype=np.float64).ravel()
        for picture in (image, level)
    )
    if float(np.abs(one - other).mean()) <= _USUAL_DIFFERENCE:
        return False
    if min(one.std(), other.std()) == 0:
        return True
    return float(np.corrcoef(one, other)[0, 1]) < _LEAST_CORRELATION


def _blocks(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of blocks, of each colour; those at the edges are filled up with their last pixels."""
    height, width, bands = pixels.shape
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    padded = np.pad(pixels, ((0, rows * _BLOCK - height), (0, columns * _BLOCK - width), (0, 0)), mode="edge")
    means: NDArray[np.float32] = padded.reshape(rows, _BLOCK, columns, _BLOCK, bands).mean(axis=(1, 3))
    return means


def scaled(level: Image.Image, width: int, height: int) -> Image.Image:
    """A picture of a level of at most this width and height, in its own proportions, at least one pixel."""
    scale = min(width / level.width, height / level.height, 1.0)
    size = (max(1, round(level.width * scale)), max(1, round(level.height * scale)))
    return level.resize(size, Image.Resampling.BOX)


def strip_of(image: Image.Image) -> bytes:
    """A picture as one JPEG, its colours not subsampled."""
    out = BytesIO()
    Image.frombytes("RGB", image.size, image.convert("RGB").tobytes()).save(out, "JPEG", quality=85, subsampling=0)
    return out.getvalue()
