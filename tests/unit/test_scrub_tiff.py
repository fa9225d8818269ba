"""Scrubbed slides of the TIFF family: nothing planted is left, every pixel of the pyramid is, and readers still open them.

What is left is searched for by the byte, in encodings of our own writing; OpenSlide, tifffile and our readers are the judges
of what a copy is.
"""

import hashlib
import logging
import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image, ImageDraw

from pathcurate import ifd, readers
from pathcurate.demo.slides import paint_label
from pathcurate.demo.tiffwriter import ascii_text, encode_tiff, longs, shorts, undefined
from pathcurate.images.symbols import read_symbols
from pathcurate.model.filescrub import Deed, UnscrubbableError
from pathcurate.readers import ndpi as ndpi_reader
from pathcurate.readers import tiff as tiff_reader
from pathcurate.scrubbers import tiff
from pathcurate.scrubbers.tiff import ground
from pathcurate.storage import LocalRoot
from tests.makers import planted
from tests.makers.ome import binary_only, describe
from tests.makers.planted import CODE, job_of, refused, scrub
from tests.makers.tiff import ndpi_slide

NAMES = ("vendor", "width", "height", "level_count", "level_downsamples", "mpp_x", "mpp_y", "objective_power", "tiles_bad")


def header_of(path: Path):
    with LocalRoot(os.fsencode(path.parent)).open(os.fsencode(path.name)) as source:
        return readers.read_slide(source).header


def pixels_of(path: Path, reader) -> list[tuple[str, bytes]]:
    with LocalRoot(os.fsencode(path.parent)).open(os.fsencode(path.name)) as source:
        return [(run.image, source.read_at(run.offset, run.length)) for run in reader.pixel_runs(source)]


def seen(path: Path) -> dict[str, object]:
    """What OpenSlide makes of a slide, down to its pixels."""
    with openslide.OpenSlide(path) as slide:
        pixels = [
            hashlib.sha256(slide.read_region((0, 0), level, (min(300, size[0]), min(300, size[1]))).tobytes()).hexdigest()
            for level, size in enumerate(slide.level_dimensions)
        ]
        names = ("openslide.vendor", "openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power")
        return {"sizes": slide.level_dimensions, "pixels": pixels, **{name: slide.properties.get(name) for name in names}}


def pyramids(path: Path) -> list[tuple[str, list[tuple[int, ...]]]]:
    """What tifffile makes of it: the kind and the levels' shapes of the series with the most pixels."""
    with tifffile.TiffFile(path) as file:
        series = max(file.series, key=lambda one: np.prod(one.shape))
        return [(series.kind, [level.shape for level in series.levels])]


def slack_of(path: Path) -> bytes:
    """Bytes of a file that no directory, value, tile or strip accounts for, as tifffile tells them."""
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    with tifffile.TiffFile(path) as file:
        form = file.tiff
        head = 16 if form.is_bigtiff else 12 if form.is_ndpi else 8
        data[:head] = 0
        pages = list(file.pages)
        pages += [child for page in pages for child in (page.pages or [])]
        for page in pages:
            count = len(page.tags)
            size = form.tagnosize + count * form.tagsize + form.offsetsize + (4 * count if form.is_ndpi else 0)
            data[page.offset : page.offset + size] = 0
            for tag in page.tags:
                data[tag.valueoffset : tag.valueoffset + tag.valuebytecount] = 0
            # Of Hamamatsu's JPEG tifffile gives the pieces between restart markers.
            offsets, lengths = (page.tags[273].value, page.tags[279].value) if form.is_ndpi else (
                page.dataoffsets, page.databytecounts
            )  # fmt: skip
            for offset, length in zip(offsets, lengths, strict=True):
                data[offset : offset + length] = 0
    return data[np.flatnonzero(data)].tobytes()


def made_slides(folder: Path) -> Iterator[tuple[str, planted.Planted]]:
    yield "svs classic", planted.svs()
    yield "svs gt450", planted.svs(layout="gt450")
    yield "svs big", planted.svs(big=True)
    yield "svs other byte order", planted.big_endian(planted.svs())
    yield "svs big, other byte order", planted.big_endian(planted.svs(big=True))
    yield "ndpi", planted.ndpi()
    yield "philips", planted.philips_slide()
    yield "scn", planted.scn_slide()
    yield (
        "scn of two regions",
        planted.scn_slide(regions=((5_000_000, 9_000_000, 1000, 700), (5_000_000, 19_000_000, 600, 900))),
    )
    yield "bif", planted.bif_slide()
    yield "tiff of a ventana", planted.bif_slide(is_tiff=True, quote="'", root="Metadata")
    yield "ome", planted.ome_slide(folder)
    yield "ome in the chain", planted.ome_slide(folder, in_chain=True, bigtiff=True)
    yield "generic", planted.generic_slide()
    yield "generic big", planted.generic_slide(big=True)


SLIDES = (
    "svs classic", "svs gt450", "svs big", "svs other byte order", "svs big, other byte order", "ndpi", "philips", "scn",
    "scn of two regions", "bif", "tiff of a ventana", "ome", "ome in the chain", "generic", "generic big",
)  # fmt: skip


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> dict[str, planted.Planted]:
    return dict(made_slides(tmp_path_factory.mktemp("made")))


@pytest.mark.parametrize("name", SLIDES)
def test_nothing_planted_is_left_and_every_pixel_is(
    name: str, slides: dict[str, planted.Planted], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "tifffile")
    made = slides[name]
    assert {secret for secret in made.secrets if not any(form in made.data for form in planted.forms(secret))} == set()
    assert all(mark in made.data for mark in made.marks)
    plan, path, copy = scrub(made, tmp_path)
    assert made.leaks(copy.read_bytes()) == []
    assert slack_of(copy) == b""
    assert copy.name.startswith(CODE + ".")
    assert plan.refusal is None
    assert not plan.unknown
    assert plan.size >= copy.stat().st_size

    before, after = header_of(path), header_of(copy)
    assert [getattr(after, name) for name in NAMES] == [getattr(before, name) for name in NAMES]
    assert (after.status, after.format, after.shape_fingerprint) == ("ok", made.format, before.shape_fingerprint)
    # OpenSlide needs a picture of the glass where there are several regions: a white one.
    assert after.has_overview == (name == "scn of two regions")
    assert not any((after.has_label, after.barcode, after.label_text, after.metadata_texts))
    assert after.scanner_serial is None

    reader = ndpi_reader if made.format == "ndpi" else tiff_reader
    assert pixels_of(path, reader) == pixels_of(copy, reader) != []
    assert pyramids(copy) == pyramids(path)
    if "byte order" not in name or "big" in name:
        assert seen(copy) == seen(path)
        with openslide.OpenSlide(copy) as slide:
            kept = {"label", "macro"} & set(slide.associated_images)
            assert all(np.asarray(slide.associated_images[image].convert("RGB")).min() == 255 for image in kept)
            assert kept == ({"macro"} if name == "scn of two regions" else set())


@pytest.mark.parametrize("name", ["svs classic", "ndpi", "philips", "scn", "bif", "ome", "generic"])
def test_own_values_name_what_went_and_nothing_that_stays(
    name: str, slides: dict[str, planted.Planted], tmp_path: Path
) -> None:
    made = slides[name]
    plan, _, copy = scrub(made, tmp_path)
    own = {item.value for item in plan.own}
    texts = {secret for secret in made.secrets if any(secret in value for value in own)}
    assert len(texts) >= len(made.secrets) - 6 or name == "ome"
    data = copy.read_bytes()
    assert not [value for value in own for form in planted.forms(value) if form in data]
    assert not any(secret in str((change, plan.own)) for change in plan.changes for secret in made.secrets)


def test_plan_says_what_writing_does(slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    plan, path, _ = scrub(slides["svs classic"], tmp_path)
    assert tiff.plan(job_of(path, "svs")) == plan
    said = {change.place: (change.deed, change.rule) for change in plan.changes}
    assert said["directory 0, tag 270, key Barcode"] == (Deed.REMOVE, "svs, key, Barcode")
    assert said["directory 0, tag 270, key Date"] == (Deed.SHIFT, "svs, key, Date")
    assert said["directory 0, tag 306"] == (Deed.SHIFT, "svs, tag, 306")
    assert said["directory 3"] == (Deed.REMOVE, "svs, images, label")
    assert said["directory 4"][0] is Deed.REMOVE


def test_the_order_of_images_that_readers_expect_stays(slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    _, _, copy = scrub(slides["svs classic"], tmp_path)
    with tifffile.TiffFile(copy) as file:
        assert [(page.imagewidth, page.is_tiled) for page in file.pages] == [(512, True), (200, False), (128, True)]
        assert file.pages[0].description.endswith("|Date = 01/23/99")
        assert "AppMag = 20|MPP = 0.4990|Left = 25.69|Top = 23.44" in file.pages[0].description
        assert file.pages[0].tags[306].value == "1999:01:23 00:00:00"
        assert [series.name for series in file.series] == ["Baseline", "Thumbnail"]


# --- Images beside the pyramid -------------------------------------------------------------------------------------


def test_thumbnail_that_shows_the_level_stays_bit_for_bit(slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    _, path, copy = scrub(slides["svs classic"], tmp_path)
    found = []
    for one in (path, copy):
        with tifffile.TiffFile(one) as file, one.open("rb") as data:
            data.seek(file.pages[1].dataoffsets[0])
            found.append(data.read(file.pages[1].databytecounts[0]))
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["label at the edge", "number in a corner", "another picture"])
def test_thumbnail_that_shows_more_is_made_anew(kind: str, tmp_path: Path) -> None:
    shown = planted.tissue().resize((200, 150), Image.Resampling.BOX)
    if kind == "label at the edge":
        shown.paste(paint_label(["S24-90817"]).resize((60, 150)), (0, 0))
    elif kind == "number in a corner":
        ImageDraw.Draw(shown).text((120, 130), "24-90817", fill="black")
    else:
        shown = Image.effect_noise((200, 150), 60).convert("RGB")
    made = planted.svs(thumbnail=shown)
    plan, path, copy = scrub(made, tmp_path)
    assert ("directory 1", Deed.CLEAN, "svs, images, thumbnail") in {
        (change.place, change.deed, change.rule) for change in plan.changes
    }
    with openslide.OpenSlide(copy) as slide, openslide.OpenSlide(path) as before:
        picture = np.asarray(slide.associated_images["thumbnail"].convert("RGB"), float)
        level = planted.tissue().resize(slide.associated_images["thumbnail"].size, Image.Resampling.BOX)
        assert np.abs(picture - np.asarray(level, float)).mean() < 12
        assert np.abs(picture - np.asarray(before.associated_images["thumbnail"].convert("RGB"), float)).max() > 60


def test_thumbnail_with_a_comment_is_made_anew(tmp_path: Path) -> None:
    shown = planted.tissue().resize((200, 150), Image.Resampling.BOX)
    made = planted.svs()
    plain = planted.beside(shown).segments[0]
    said = plain[:2] + b"\xff\xfe" + struct.pack(">H", 14) + b"Wurzelbacher" + plain[2:]
    start = made.data.index(plain)
    assert made.data.count(plain) == 1
    assert len(said) > len(plain)
    # The comment makes the strip longer, so it goes to the end.
    data = bytearray(made.data) + said
    for old, new in ((start, len(made.data)), (len(plain), len(said))):
        at = bytes(data).index(struct.pack("<I", old), ifd_of(made.data, 1))
        struct.pack_into("<I", data, at, new)
    _, _, copy = scrub(planted.Planted(bytes(data), "svs", ("Wurzelbacher",)), tmp_path)
    assert b"Wurzelbacher" not in copy.read_bytes()


def ifd_of(data: bytes, number: int) -> int:
    """Where a directory of a little-endian classic TIFF begins."""
    (at,) = struct.unpack_from("<I", data, 4)
    for _ in range(number):
        (count,) = struct.unpack_from("<H", data, at)
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return at


@pytest.mark.parametrize("method", [33003, 33005])
def test_thumbnail_beside_levels_of_jpeg_2000(method: int, tmp_path: Path) -> None:
    def encode(image: Image.Image) -> bytes:
        out = BytesIO()
        stored = image.convert("YCbCr") if method == 33003 else image
        Image.frombytes("RGB", image.size, stored.tobytes()).save(out, "JPEG2000", no_jp2=True, mct=0)
        return out.getvalue()

    text = ascii_text("Aperio Image Library v12.0.15 \r\n512x384 (64x64) J2K/YUV16|AppMag = 20")
    page = planted.level(planted.tissue(), {259: shorts(method), 262: shorts(2), 270: text}, encode)
    thumbnail = planted.beside(planted.tissue().resize((200, 150), Image.Resampling.BOX), {270: text})
    plan, path, copy = scrub(planted.Planted(encode_tiff([page, thumbnail]), "svs", ()), tmp_path)
    assert "directory 1" not in {change.place for change in plan.changes}
    assert seen(copy) == seen(path)

    other = planted.beside(Image.effect_noise((200, 150), 60), {270: text})
    (tmp_path / "other").mkdir()
    plan, _, _ = scrub(planted.Planted(encode_tiff([page, other]), "svs", ()), tmp_path / "other")
    assert "directory 1" in {change.place for change in plan.changes}


def test_thumbnail_beside_levels_that_cannot_be_decoded_is_white(tmp_path: Path) -> None:
    made = planted.svs()
    damaged = planted.level(planted.tissue(), {270: ascii_text("Aperio |AppMag = 20")}, lambda _: b"\xff\xd8\xff\xd9")
    thumbnail = planted.beside(planted.tissue().resize((200, 150)), {270: ascii_text("Aperio")})
    _, _, copy = scrub(planted.Planted(encode_tiff([damaged, thumbnail]), "svs", made.secrets), tmp_path)
    with openslide.OpenSlide(copy) as slide:
        assert np.asarray(slide.associated_images["thumbnail"].convert("RGB")).min() == 255


def test_tiled_label_of_the_levels_shape_goes(tmp_path: Path) -> None:
    page = planted.level(paint_label(["S24-90817"]).resize((128, 96)), {254: longs(9)})
    made = planted.svs(pages=[page])
    _, _, copy = scrub(made, tmp_path)
    with tifffile.TiffFile(copy) as file:
        assert len(file.pages) == 3
    assert page.segments[0][-60:] not in copy.read_bytes()


@pytest.mark.parametrize("name", ["svs classic", "svs gt450", "philips"])
def test_study_label_takes_the_labels_place(name: str, slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    plan, path, copy = scrub(slides[name], tmp_path, relabel=True)
    assert slides[name].leaks(copy.read_bytes()) == []
    with openslide.OpenSlide(copy) as slide:
        assert "macro" not in slide.associated_images
        found = read_symbols(slide.associated_images["label"].convert("RGB"))
    assert found is not None
    assert found.text == CODE
    assert seen(copy) == seen(path)
    assert slack_of(copy) == b""
    assert plan.size >= copy.stat().st_size


# --- Structures that are beyond proof ------------------------------------------------------------------------------


def test_tile_over_a_text_that_must_go_is_refused(tmp_path: Path) -> None:
    made = planted.svs()
    with tifffile.TiffFile(made.write(tmp_path)) as file:
        page, artist = file.pages[2], file.pages[0].tags[315].valueoffset
        place = page.tags[324].valueoffset
    data = bytearray(made.data)
    struct.pack_into("<I", data, place, artist)
    assert "pixels that stay" in refused(planted.Planted(bytes(data), "svs", ()), tmp_path)


def test_tile_over_the_labels_pixels_is_refused(tmp_path: Path) -> None:
    made = planted.svs()
    with tifffile.TiffFile(made.write(tmp_path)) as file:
        label, place = file.pages[3].dataoffsets[0], file.pages[0].tags[324].valueoffset
    data = bytearray(made.data)
    struct.pack_into("<I", data, place, label + 3)
    assert refused(planted.Planted(bytes(data), "svs", ()), tmp_path) == "what must go lies within pixels that stay"


def test_number_over_a_text_that_must_go_is_refused(tmp_path: Path) -> None:
    made = planted.svs()
    with tifffile.TiffFile(made.write(tmp_path)) as file:
        bits, artist = file.pages[0].tags[258], file.pages[0].tags[315].valueoffset
    data = bytearray(made.data)
    struct.pack_into("<I", data, bits.offset + 8, artist - 4)
    assert "must go lies within" in refused(planted.Planted(bytes(data), "svs", ()), tmp_path)


def test_text_that_two_directories_share_is_scrubbed_once(tmp_path: Path) -> None:
    made = planted.svs()
    with tifffile.TiffFile(made.write(tmp_path)) as file:
        first, other = file.pages[0].tags[270], file.pages[2].tags[270]
    data = bytearray(made.data)
    data[other.offset + 4 : other.offset + 12] = data[first.offset + 4 : first.offset + 12]
    _, path, copy = scrub(planted.Planted(bytes(data), "svs", made.secrets, made.marks), tmp_path)
    assert made.leaks(copy.read_bytes()) == []
    with tifffile.TiffFile(copy) as file:
        assert file.pages[0].tags[270].valueoffset == file.pages[2].tags[270].valueoffset
    assert seen(copy) == seen(path)


def test_comment_in_a_tile_is_refused_and_in_tables_is_taken_out(tmp_path: Path) -> None:
    page = planted.level(planted.tissue((128, 96)))
    said = b"\xff\xfe" + struct.pack(">H", 14) + b"Wurzelbacher"
    tiles = [page.segments[0][:2] + said + page.segments[0][2:], *page.segments[1:]]
    data = encode_tiff([type(page)(page.fields, tiles, tiled=True)])
    assert refused(planted.Planted(data, "tiff", ()), tmp_path) == "pixels that stay hold a comment or another text"

    tables = b"\xff\xd8" + said + b"\xff\xdb\0\x43\0" + bytes(range(1, 65)) + b"\xff\xd9"
    made = planted.svs(extra={347: undefined(tables)})
    _, _, copy = scrub(made, tmp_path)
    assert b"Wurzelbacher" not in copy.read_bytes()
    assert b"\xff\xd8\xff\xdb\0\x43\0" + bytes(range(1, 65)) + b"\xff\xd9" in copy.read_bytes()


def test_text_behind_a_tiles_end_is_refused(tmp_path: Path) -> None:
    page = planted.level(planted.tissue((128, 96)))
    tiles = [page.segments[0] + b"Wurzelbacher", *page.segments[1:]]
    data = encode_tiff([type(page)(page.fields, tiles, tiled=True)])
    assert "hold a comment or another text" in refused(planted.Planted(data, "tiff", ()), tmp_path)


def test_slide_of_a_region_that_shows_the_whole_glass_is_refused(tmp_path: Path) -> None:
    made = planted.scn_slide(has_macro=False, regions=((0, 0, 53_129, 153_468),), thin=True)
    assert "photo of the glass" in refused(made, tmp_path)


@pytest.mark.parametrize("name", ["svs classic", "ndpi", "ome", "scn"])
def test_file_that_lost_its_tail_is_refused(name: str, slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    made = slides[name]
    for share in (0.02, 0.3, 0.6, 0.9):
        data = made.data[: int(share * len(made.data))]
        path = planted.Planted(data, made.format, ()).write(tmp_path)
        with pytest.raises(UnscrubbableError):
            tiff.plan(job_of(path, made.format))


def test_file_of_another_format_is_refused(slides: dict[str, planted.Planted], tmp_path: Path) -> None:
    for format_ in tiff.FORMATS:
        for name in ("svs classic", "ndpi", "philips", "scn", "bif", "ome", "generic"):
            if slides[name].format != format_ != "tiff":
                assert refused(planted.Planted(slides[name].data, format_, ()), tmp_path)


# --- OME companions, large files -----------------------------------------------------------------------------------


def test_companion_becomes_the_description(tmp_path: Path) -> None:
    xml = describe((512, 384), 1, 0, (), {"PhysicalSizeX": "0.25", "PhysicalSizeY": "0.25"}, "NAME-Wurzelbacher", "", [])
    made = planted.ome_slide(tmp_path, extras=(), text=binary_only("S24-90817.companion.ome"))
    slide = planted.Planted(
        made.data, "ome", ("NAME-Wurzelbacher", "S24-90817.companion.ome", "SN-77", planted.SLACK), name="S24.ome.tif",
        files={"S24-90817.companion.ome": xml.encode()},
    )  # fmt: skip
    _, path, copy = scrub(slide, tmp_path)
    assert slide.leaks(copy.read_bytes()) == []
    before, after = header_of(path), header_of(copy)
    assert [getattr(after, name) for name in NAMES] == [getattr(before, name) for name in NAMES]
    assert after.status == "ok"
    assert after.mpp_x == 0.25
    (path.parent / "S24-90817.companion.ome").unlink()
    assert "companion file" in refused(planted.Planted(slide.data, "ome", ()), tmp_path)


def test_every_byte_is_written_though_the_system_takes_few_at_once(
    slides: dict[str, planted.Planted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: write(handle, bytes(data[:100]), offset))
    made = slides["svs classic"]
    _, path, copy = scrub(made, tmp_path)
    assert made.leaks(copy.read_bytes()) == []
    assert slack_of(copy) == b""
    assert seen(copy) == seen(path)


def test_every_focal_plane_stays(tmp_path: Path) -> None:
    stack = ndpi_slide(focuses=(0, -1000, 1000), first={65449: (2, b"Created=1999/04/03\r\n\0")})
    made = planted.Planted(stack.read_at(0, stack.size), "ndpi", ())
    _, path, copy = scrub(made, tmp_path)
    assert pixels_of(path, ndpi_reader) == pixels_of(copy, ndpi_reader)
    assert len(pixels_of(copy, ndpi_reader)) == 9

    page = planted.level(planted.tissue().transpose(Image.Transpose.FLIP_TOP_BOTTOM), {270: ascii_text("Aperio")})
    svs = planted.svs(pages=[page])
    (tmp_path / "svs").mkdir()
    _, path, copy = scrub(svs, tmp_path / "svs")
    assert svs.leaks(copy.read_bytes()) == []
    assert pixels_of(path, tiff_reader) == pixels_of(copy, tiff_reader)
    assert [image for image, _ in pixels_of(copy, tiff_reader)].count("level 2, 512 x 384") == 48


def test_repeated_tag_and_what_only_it_refers_to_go(tmp_path: Path) -> None:
    made = planted.svs(extra={330 - 1: ascii_text("Hans Wurzelb")})
    at = ifd_of(made.data, 0)
    data = bytearray(made.data)
    (count,) = struct.unpack_from("<H", data, at)
    places = {struct.unpack_from("<H", data, place)[0]: place for place in range(at + 2, at + 2 + 12 * count, 12)}
    # Tag 329 becomes a second artist, whom no reader sees.
    struct.pack_into("<H", data, places[329], 315)
    slide = planted.Planted(bytes(data), "svs", (*made.secrets, "Hans Wurzelb"), made.marks)
    _, path, copy = scrub(slide, tmp_path)
    assert slide.leaks(copy.read_bytes()) == []
    assert seen(copy) == seen(path)


def test_ndpi_beyond_4_gib_keeps_its_offsets(tmp_path: Path) -> None:
    made = ndpi_slide(first={65427: (2, b"REF-Wurzelbacher\0")}, start=5 << 30)
    path = made.save(tmp_path / "large.ndpi")
    with LocalRoot(os.fsencode(tmp_path)).open(b"large.ndpi") as source:
        plan = tiff._plan(job_of(path, "ndpi"), source)
    assert not plan.plan.unknown
    before = list(ndpi_reader.pixel_runs(made))
    for offset, data in plan.placed.patches.items():
        made.chunks = {start: piece for start, piece in made.chunks.items() if not offset <= start < offset + len(data)}
        made.write_at(offset, data)
    assert list(ndpi_reader.pixel_runs(made)) == before
    assert all(run.offset >= 5 << 30 for run in before)
    assert all(65427 not in directory for directory in ifd.walk(made))
    assert len(ifd.walk(made)) == 3


def test_windows_make_no_difference(
    slides: dict[str, planted.Planted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one").mkdir()
    _, _, copy = scrub(slides["svs classic"], tmp_path / "one")
    monkeypatch.setattr(ground, "_TILES", 3)
    monkeypatch.setattr(ground, "_VIEW", 4096)
    (tmp_path / "other").mkdir()
    _, _, other = scrub(slides["svs classic"], tmp_path / "other")
    assert copy.read_bytes() == other.read_bytes()


def test_small_gaps_between_tiles_become_zero(tmp_path: Path) -> None:
    page = planted.level(planted.tissue())
    # Every tile is longer in the file than its table says: what is cut off is a gap.
    data = bytearray(encode_tiff([type(page)(page.fields, [tile + b"Wurzel" for tile in page.segments], tiled=True)]))
    with tifffile.TiffFile(planted.Planted(bytes(data), "tiff", ()).write(tmp_path)) as file:
        counts = file.pages[0].tags[325]
        for number, length in enumerate(counts.value):
            struct.pack_into("<I", data, counts.valueoffset + 4 * number, length - 6)
    made = planted.Planted(bytes(data), "tiff", ("Wurzel",))
    assert made.data.count(b"Wurzel") == len(page.segments)
    _, path, copy = scrub(made, tmp_path)
    assert b"Wurzel" not in copy.read_bytes()
    assert pixels_of(path, tiff_reader) == pixels_of(copy, tiff_reader)


@pytest.mark.parametrize(
    "name", ["libvips+libvips/CMU-1-Small-Region.svs", "openslide+openslide-python/small.svs",
             "openslide+openslide-python/boxes.tiff", "girder+large_image/yb10kx5k.zstd.tiff",
             "Booritas+slideio-tutorial/test3-TRITC 2 (560).ndpi"],
)  # fmt: skip
def test_real_slides(name: str, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "wsi" / name
    if not path.is_file():
        pytest.skip("not among the real input")
    header = header_of(path)
    out = tmp_path / "out"
    out.mkdir()
    plan, written = tiff.write(job_of(path, header.format), out)
    assert written is not None
    copy = out / written.main
    assert seen(copy) == seen(path)
    reader = ndpi_reader if header.format == "ndpi" else tiff_reader
    assert pixels_of(path, reader) == pixels_of(copy, reader) != []
    assert slack_of(copy) == b""
    assert not [item for item in plan.own if item.value.encode() in copy.read_bytes()]
