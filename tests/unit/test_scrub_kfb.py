"""scrubbers.kfb: planted identifiers are gone, tiles are the same; converted to a TIFF that OpenSlide and tifffile read."""

import functools
import io
import os
import random
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from PIL import Image

from pathcurate import readers
from pathcurate.filerules import load_rules
from pathcurate.images.edgetiles import EdgeTileError, frame_of, padded, shows_same
from pathcurate.images.jpegsegments import has_trailer, says_more
from pathcurate.model.filescrub import UnscrubbableError
from pathcurate.pseudonyms import Pseudonyms
from pathcurate.scrubbers import kfb
from pathcurate.slidefiles import LayerCodes, ScrubJob
from pathcurate.storage import LocalRoot, LocalSource
from tests.bytesearch import left_in
from tests.makers.kfb import PLANTED, make_kfb, make_planted_kfb
from tests.makers.mrxs import tissue

CODE = "S-ABCDEFGHJKMNPQRS"
LAYOUTS = [
    {}, {"shift": 4}, {"shift": 4, "short": True, "table_last": True}, {"table_last": True},
    {"size": (300, 221), "side": 64, "levels": 4, "smallest_first": True}, {"size": (256, 128), "levels": 1},
]  # fmt: skip


@functools.cache
def shipped_rules():
    return load_rules()["kfb"]


def job_of(path: Path, *, convert: bool = False) -> ScrubJob:
    codes = LayerCodes((Pseudonyms(b"k" * 32),))
    return ScrubJob(
        LocalRoot(os.fsencode(path.parent)), (os.fsencode(path.name),), "kfb", CODE, None, None, -77, codes,
        shipped_rules(), convert=convert,
    )  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "archive").mkdir()
    return tmp_path / "archive"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "copies").mkdir()
    return tmp_path / "copies"


def runs(path: Path) -> list[tuple[str, bytes]]:
    with LocalSource(os.fsencode(path)) as opened:
        return [(run.image, opened.read_at(run.offset, run.length)) for run in readers.pixel_runs(opened, "kfb")]


def header(path: Path):
    with LocalSource(os.fsencode(path)) as opened:
        return readers.read_slide(opened).header


def encoded(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


class TestSameFormat:
    @pytest.mark.parametrize("options", LAYOUTS, ids=str)
    def test_nothing_is_left_and_tiles_are_the_same(self, source, target, options):
        path = make_planted_kfb(source, **options)
        assert {place for _, place in left_in(source, PLANTED)} == PLANTED.keys()
        before = path.read_bytes()
        plan, written = kfb.write(job_of(path), target)
        assert left_in(target, PLANTED) == set()
        assert written.files == (f"{CODE}.kfb",)
        assert runs(path) == runs(target / written.main)
        assert (target / written.main).stat().st_size <= plan.size
        assert path.read_bytes() == before
        was, now = header(path), header(target / written.main)
        assert (now.status, now.scan_datetime, now.has_label, now.has_overview, now.has_thumbnail) == (
            "ok", None, False, False, False,
        )  # fmt: skip
        for name in ("width", "height", "level_count", "tile_width", "mpp_x", "objective_power", "shape_fingerprint"):
            assert getattr(was, name) == getattr(now, name)

    def test_only_tiles_and_what_leads_to_them_is_left(self, source, target):
        path = make_planted_kfb(source)
        kfb.write(job_of(path), target)
        data = (target / f"{CODE}.kfb").read_bytes()
        for _, tile in runs(path):
            data = data.replace(tile, b"", 1)
        # The header's fields, and of each tile place, size, level, length and distance.
        assert len([byte for byte in data if byte]) <= 40 + 32 * len(runs(path))

    def test_what_identifies_is_told_to_the_search(self, source):
        plan = kfb.plan(job_of(make_planted_kfb(source)))
        own = {item.value for item in plan.own}
        assert own >= {PLANTED["header"], PLANTED["name"], PLANTED["picture header"]}
        assert not any(value in repr(plan) for value in PLANTED.values())
        assert {change.place for change in plan.changes} >= {"label", "overview", "preview", "scan time"}

    def test_a_copy_of_a_copy_is_the_same(self, source, target, tmp_path):
        kfb.write(job_of(make_planted_kfb(source, short=True, shift=4, table_last=True)), target)
        again = tmp_path / "again"
        again.mkdir()
        kfb.write(job_of(target / f"{CODE}.kfb"), again)
        assert (again / f"{CODE}.kfb").read_bytes() == (target / f"{CODE}.kfb").read_bytes()


class TestConverted:
    @pytest.mark.parametrize("options", LAYOUTS, ids=str)
    def test_openslide_and_tifffile_read_it(self, source, target, options):
        path = make_planted_kfb(source, **options)
        _, written = kfb.write(job_of(path, convert=True), target)
        assert written.files == (f"{CODE}.tiff",)
        assert left_in(target, PLANTED) == set()
        copy = target / written.main
        shapes = list(dict.fromkeys(image for image, _ in runs(path)))
        with openslide.OpenSlide(copy) as slide:
            assert [f"level {number}, {w} x {h}" for number, (w, h) in enumerate(slide.level_dimensions)] == shapes
            assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.2451)
            assert slide.properties["openslide.objective-power"] == "20"
            assert set(slide.associated_images) <= {"thumbnail"}
            shown = slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")
            for level, size in enumerate(slide.level_dimensions):
                slide.read_region((0, 0), level, size)
            drawn = tissue(*slide.dimensions)
        assert np.abs(np.asarray(shown, int) - np.asarray(drawn, int)).mean() < 3
        with tifffile.TiffFile(copy) as tiff:
            levels = [page for page in tiff.pages if page.is_tiled]
            assert [series.name for series in tiff.series[:2]] == ["Baseline", "Thumbnail"]
            assert [level.shape[:2] for level in tiff.series[0].levels] == [page.shape[:2] for page in levels]
            sizes = [(page.imagewidth, page.imagelength) for page in levels]
            assert [f"level {number}, {w} x {h}" for number, (w, h) in enumerate(sizes)] == shapes
            for page, name in zip(levels, shapes, strict=True):
                side = page.tilewidth
                tiles = [tile for image, tile in runs(path) if image == name]
                stored = [(at, count) for at, count in zip(page.dataoffsets, page.databytecounts, strict=True) if count]
                data = copy.read_bytes()
                for tile, (at, count) in zip(tiles, stored, strict=True):
                    made = data[at : at + count]
                    frame = frame_of(tile)
                    assert made == tile if (frame.width, frame.height) == (side, side) else shows_same(tile, made)

    def test_our_reader_finds_the_same_slide(self, source, target):
        path = make_kfb(source / "x.kfb")
        kfb.write(job_of(path, convert=True), target)
        was, now = header(path), header(target / f"{CODE}.tiff")
        assert (now.status, now.format) == ("ok", "svs")
        for name in ("width", "height", "level_count", "level_downsamples", "tile_width", "mpp_x", "objective_power"):
            assert getattr(was, name) == getattr(now, name)

    def test_nothing_lies_between(self, source, target):
        """Every byte belongs to a tile, a value, or a directory."""
        kfb.write(job_of(make_planted_kfb(source), convert=True), target)
        path = target / f"{CODE}.tiff"
        used = bytearray(path.stat().st_size)
        with tifffile.TiffFile(path) as tiff:
            for page in tiff.pages:
                spans = [*zip(page.dataoffsets, page.databytecounts, strict=True), (page.offset, 6 + 12 * len(page.tags))]
                spans += [(tag.valueoffset, tag.valuebytecount) for tag in page.tags.values()]
                for at, count in spans:
                    used[at : at + count] = b"\1" * count
        data = path.read_bytes()
        assert {byte for byte, is_used in zip(data[8:], used[8:], strict=True) if not is_used} <= {0}

    def test_where_there_is_no_tile(self, source, target):
        path = make_kfb(source / "x.kfb")
        data = bytearray(path.read_bytes())
        (table,) = struct.unpack_from("<Q", data, 0x40)
        data[table : table + 64] = data[table + 64 : table + 128]
        data[table + 64 : table + 128] = data[table + 64 * 7 : table + 64 * 8]
        struct.pack_into("<i", data, 0x0C, 7)
        (distance,) = struct.unpack_from("<q", data, table + 36)
        assert distance > 0
        path.write_bytes(data)
        _, written = kfb.write(job_of(path, convert=True), target)
        with openslide.OpenSlide(target / written.main) as slide:
            assert slide.read_region((0, 0), 0, (64, 64)).getpixel((9, 9))[3] == 0
            assert slide.read_region((256, 0), 0, (64, 64)).getpixel((9, 9))[3] == 255

    def test_a_large_file_is_a_bigtiff(self, source, target, monkeypatch):
        monkeypatch.setattr("pathcurate.scrubbers.kfb.pyramid._BIG_FROM", 1000)
        kfb.write(job_of(make_kfb(source / "x.kfb"), convert=True), target)
        with tifffile.TiffFile(target / f"{CODE}.tiff") as tiff, openslide.OpenSlide(target / f"{CODE}.tiff") as slide:
            assert tiff.is_bigtiff
            assert slide.level_count == 3
            slide.read_region((600, 400), 0, (100, 100))


class TestRefused:
    def changed(self, path: Path, offset: int, form: str, *values) -> Path:
        data = bytearray(path.read_bytes())
        struct.pack_into(form, data, offset, *values)
        path.write_bytes(data)
        return path

    def table(self, path: Path) -> int:
        return struct.unpack_from("<Q", path.read_bytes(), 0x40)[0]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda self, path, at: self.changed(path, 0x40, "<Q", 5), "neither"),
            (lambda self, path, at: self.changed(path, 0x0C, "<i", 10_000), "beyond the end"),
            (lambda self, path, at: self.changed(path, 4, "<3s", b"KFC"), "does not begin"),
            (lambda self, path, at: self.changed(path, at + 64 + 32, "<i", 1 << 30), "does not lie within"),
            (lambda self, path, at: self.changed(path, at + 64 + 36, "<q", 0), "share bytes"),
            (lambda self, path, at: self.changed(path, at + 64 + 36, "<q", 0x60 - at), "shares bytes"),
        ],
    )
    def test_damage(self, source, change, reason):
        path = make_kfb(source / "x.kfb")
        with pytest.raises(UnscrubbableError, match=reason):
            kfb.plan(job_of(change(self, path, self.table(path))))

    @pytest.mark.parametrize(
        ("offset", "form", "values", "reason"),
        [(4, "<i", (7,), "grid"), (4, "<i", (256,), "one place"), (12, "<i", (200,), "another size"),
         (20, "<i", (1,), "half as large")],
    )  # fmt: skip
    def test_tiles_that_no_tiff_can_hold(self, source, offset, form, values, reason):
        path = make_kfb(source / "x.kfb")
        self.changed(path, self.table(path) + offset, form, *values)
        assert kfb.plan(job_of(path)).refusal is None
        with pytest.raises(UnscrubbableError, match=reason):
            kfb.plan(job_of(path, convert=True))

    def test_much_that_is_not_understood(self, source):
        path = make_kfb(source / "x.kfb")
        path.write_bytes(path.read_bytes() + random.Random(3).randbytes(2 << 20))
        with pytest.raises(UnscrubbableError, match="nothing in it refers to"):
            kfb.plan(job_of(path))

    def test_a_comment_in_a_tile(self, source):
        path = make_kfb(source / "x.kfb")
        data = bytearray(path.read_bytes())
        at = self.table(path) + 64 * 9
        assert data[at + 2 : at + 4] == b"\xff\xe0"
        data[at + 3] = 0xFE
        path.write_bytes(data)
        with pytest.raises(UnscrubbableError, match="hold texts"):
            kfb.plan(job_of(path))

    def test_a_site_that_would_keep_the_label(self, source, tmp_path):
        site = "files: 1\nformats: {kfb: {tables: {part: {keep: [label]}}}}\n"
        (tmp_path / "site.yaml").write_text(site)
        job = job_of(make_kfb(source / "x.kfb"))
        with pytest.raises(UnscrubbableError, match="would keep"):
            kfb.plan(replace(job, rules=load_rules(tmp_path / "site.yaml")["kfb"]))

    def test_whatever_is_damaged(self, source, target):
        path = make_planted_kfb(source, size=(150, 130), side=64, levels=2)
        whole, chosen, done = path.read_bytes(), random.Random(5), 0
        table = self.table(path)
        for number in range(60):
            data = bytearray(whole)
            low, high = chosen.choice(((0, 0x58), (table, table + 64 * 13), (0, len(data))))
            for _ in range(chosen.choice((1, 2, 6))):
                data[chosen.randrange(low, high)] = chosen.randrange(256)
            path.write_bytes(data if chosen.random() < 0.85 else data[: chosen.randrange(len(data))])
            folder = target / str(number)
            folder.mkdir()
            with suppress(UnscrubbableError, OSError):
                _, written = kfb.write(job_of(path, convert=number % 2 == 1), folder)
                runs(path)
                done += written is not None
                assert left_in(folder, {place: PLANTED[place] for place in ("header", "label", "name")}) == set()
        assert done > 10


class TestEdgeTiles:
    @pytest.mark.parametrize("size", [(188, 256), (256, 244), (1, 1), (17, 33), (250, 9), (256, 256)])
    @pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2}, {"subsampling": 1, "optimize": True}])
    def test_they_show_the_same(self, size, options):
        noise = np.random.default_rng(7).integers(-25, 25, (size[1], size[0], 3))
        pixels = np.clip(np.asarray(tissue(300, 300).crop((0, 0, *size)), int) + noise, 0, 255).astype(np.uint8)
        tile = encoded(Image.fromarray(pixels), quality=88, **options)
        try:
            larger = padded(tile, 256)
        except EdgeTileError:
            # Tables made for a tile of a few blocks may lack the codes of flat ones.
            assert options.get("optimize")
            assert max(size) < 64
            return
        with Image.open(io.BytesIO(larger)) as image:
            image.load()
            assert image.size == (256, 256)
        assert shows_same(tile, larger)
        assert not has_trailer(larger)

    def test_another_picture_is_not_the_same(self):
        tile = encoded(tissue(100, 90))
        assert not shows_same(tile, padded(encoded(tissue(90, 90).rotate(180)), 256))
        assert not shows_same(padded(tile, 256), tile)

    @pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 2}])
    def test_what_cannot_be_padded(self, options):
        with pytest.raises(EdgeTileError):
            padded(encoded(tissue(100, 90), **options), 256)

    def test_whatever_is_damaged(self):
        tile, chosen, done = encoded(tissue(40, 50)), random.Random(2), 0
        for _ in range(120):
            data = bytearray(tile)
            for _ in range(chosen.choice((1, 3))):
                data[chosen.randrange(len(data))] = chosen.randrange(256)
            with suppress(EdgeTileError):
                padded(bytes(data[: chosen.choice((len(data), chosen.randrange(len(data))))]), 64)
                done += 1
        assert done > 0

    def test_texts_beside_pixels(self):
        tile = encoded(tissue(40, 50))
        assert not says_more(tile)
        assert says_more(encoded(tissue(40, 50), comment=b"Zhang San"))
        assert not says_more(encoded(tissue(40, 50), comment=b"Stock Words"), frozenset({"stock words"}))
        assert says_more(encoded(tissue(40, 50), exif=b"Exif\0\0MM\0*Zhang"))
        assert has_trailer(tile + b"Zhang San")
        assert not has_trailer(tile + bytes(7))
