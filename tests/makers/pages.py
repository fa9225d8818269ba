"""Pages of plain tiles and strips for the makers of TIFF dialects: real JPEG, one tile encoded and repeated."""

import functools
from collections.abc import Mapping
from io import BytesIO

from PIL import Image

from pathcurate.demo.tiffwriter import Field, Page, ascii_text, longs, shorts

DESCRIPTION, SOFTWARE, DATE_TIME, XMP = 270, 305, 306, 700
SUBFILE_TYPE, REDUCED = 254, 1
_STUMP = b"\xff\xd8 no tile \xff\xd9"


def tiled(
    size: tuple[int, int],
    tile: int = 256,
    *,
    text: str | None = None,
    fields: Mapping[int, Field] | None = None,
    seed: int = 0,
    sparse: bool = False,
    thin: bool = False,
) -> Page:
    """A tiled JPEG image; ``seed`` is its colour, and every second tile of a sparse one is missing.

    The tiles of a ``thin`` one are a few bytes that nobody can decode, for files of many tiles.
    """
    count = -(-size[0] // tile) * -(-size[1] // tile)
    segments = [_STUMP if thin else jpeg((tile, tile), seed + index % 5) for index in range(count)]
    added: dict[int, Field] = {322: longs(tile), 323: longs(tile), **_text(text), **(fields or {})}
    if sparse:
        segments = [b"" if index % 2 else segment for index, segment in enumerate(segments)]
    return Page({**_common(size), **added}, segments, tiled=True)


def striped(
    size: tuple[int, int], *, text: str | None = None, fields: Mapping[int, Field] | None = None, seed: int = 7
) -> Page:
    """A JPEG image in one strip."""
    return Page({**_common(size), 278: longs(size[1]), **_text(text), **(fields or {})}, [jpeg(size, seed)])


@functools.cache
def jpeg(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG of one colour."""
    out = BytesIO()
    Image.new("RGB", size, (40 * seed % 256, 200 - 9 * seed % 200, 90)).save(out, "JPEG", quality=70)
    return out.getvalue()


def _text(text: str | None) -> dict[int, Field]:
    return {} if text is None else {DESCRIPTION: ascii_text(text)}


def _common(size: tuple[int, int]) -> dict[int, Field]:
    return {
        256: longs(size[0]), 257: longs(size[1]), 258: shorts(8, 8, 8), 259: shorts(7), 262: shorts(6), 277: shorts(3),
        284: shorts(1), 530: shorts(2, 2),
    }  # fmt: skip
