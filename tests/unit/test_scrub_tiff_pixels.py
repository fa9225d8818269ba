"""What tiles of the TIFF family may hold beside pixels, and images that have the shape of a level and are none."""

import struct
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pathcurate.demo.slides import paint_label
from pathcurate.demo.tiffwriter import Page, encode_tiff, longs, shorts
from pathcurate.images.jpegsegments import codestream_comments
from tests.makers import planted
from tests.makers.planted import Planted, level, refused, scrub, tissue

NAME = b"Wurzelbacher Hans"
COMMENT = b"\xff\xfe" + struct.pack(">H", len(NAME) + 2) + NAME


def jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=85, subsampling=0)
    return out.getvalue()


def pyramid(number: int, change) -> Planted:
    """A level of 48 tiles, one of which is changed."""
    tiles = iter(range(1000))

    def encode(image: Image.Image) -> bytes:
        return change(jpeg(image)) if next(tiles) == number else jpeg(image)

    return Planted(encode_tiff([level(tissue(), encode=encode)]), "tiff", ())


CHANGES = {
    "a comment": lambda tile: tile[:2] + COMMENT + tile[2:],
    "a comment behind a filling byte": lambda tile: tile[:2] + b"\xff" + COMMENT + tile[2:],
    "text where a marker should stand": lambda tile: tile[:2] + NAME + tile[2:],
    "a segment of an application": lambda tile: tile[:2] + b"\xff\xed" + COMMENT[2:] + tile[2:],
    "a text behind its end": lambda tile: tile + NAME,
    "a long text behind its end": lambda tile: tile + b"." * 300 + NAME,
    "a text and other bytes behind its end": lambda tile: tile + NAME + bytes(range(32)) * 20,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", [0, 29, 47])
def test_a_tile_with_a_text_is_refused(change: str, number: int, tmp_path: Path) -> None:
    assert "comment or another text" in refused(pyramid(number, CHANGES[change]), tmp_path)


def test_tiles_may_end_with_zeros(tmp_path: Path) -> None:
    scrub(pyramid(3, lambda tile: tile + bytes(700)), tmp_path)


def test_a_text_behind_pixels_that_are_not_compressed(tmp_path: Path) -> None:
    def made(end: bytes) -> Planted:
        fields = {**planted._fields((128, 64), 1, 2), 322: longs(64), 323: longs(64), 262: shorts(2)}
        tiles = [tissue((64, 64)).tobytes(), tissue((64, 64)).tobytes() + end]
        return Planted(encode_tiff([Page(fields, tiles, tiled=True)]), "tiff", ())

    assert "comment or another text" in refused(made(NAME), tmp_path)
    scrub(made(bytes(20)), tmp_path)


@pytest.mark.parametrize("format_", ["svs", "tiff"])
def test_a_label_in_the_shape_of_a_level_is_refused(format_: str, tmp_path: Path) -> None:
    label = paint_label(["S24-90817", "Wurzelbacher"]).convert("RGB").resize((256, 192))
    pages = [level(label, {254: longs(1)})]
    plain = Planted(encode_tiff([level(tissue()), *pages]), "tiff", ())
    made = planted.svs(pages=pages) if format_ == "svs" else plain
    assert "shows something else" in refused(made, tmp_path)


def test_tiles_without_an_end_are_no_texts(tmp_path: Path) -> None:
    scrub(pyramid(3, lambda tile: tile[:-2]), tmp_path)


def test_a_comment_of_a_codestream_that_is_cut_counts_as_far_as_it_is_there() -> None:
    head = b"\xff\x4f\xff\x51\0\x04\0\0\xff\x64\0\x40\0\x01written by Wurzelbacher"
    assert list(codestream_comments(head)) == [b"written by Wurzelbacher"]
    assert list(codestream_comments(head[:8] + b"\xff\x90" + head[8:])) == []
    assert list(codestream_comments(b"\xff\x4f")) == []
