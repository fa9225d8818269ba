"""Tiles and digests: what opens and cannot be read is found, what is whole is left alone, and the odds are as stated."""

import contextlib
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openslide
import pyarrow as pa
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import JPEGBaseline8Bit

from pathcurate.demo.slides import write_svs, write_tiff
from pathcurate.scan.passes import PASS_INPUT, PassSpec
from pathcurate.scan.tiles import (
    DIGEST_SCHEMA,
    TILES_SCHEMA,
    Tile,
    check_tiles,
    digest_files,
    draw_tiles,
    lost_digest,
    lost_tiles,
)
from pathcurate.storage import LocalRoot, LocalSource
from tests.archives import tiff
from tests.dicoms import slide_part

EVERY = 10_000
"""More tiles than any level of the slides below has."""
ID = "S-0000000000000001"


def batch(relpath, *, reader="tiff", format_="svs", files=None, slide_id=ID):
    row = {"slide_id": slide_id, "root": 0, "relpath": relpath, "format": format_, "reader": reader, "files": files}
    return pa.RecordBatch.from_pylist([row], schema=PASS_INPUT)


def spec(folder, tiles=4, seed=0):
    return PassSpec((LocalRoot(os.fsencode(folder)),), seed=seed, tiles_per_level=tiles)


def checked(folder, relpath, *, tiles=4, **more):
    answer = check_tiles(batch(relpath, **more), spec(folder, tiles))
    assert answer.schema.equals(TILES_SCHEMA)
    (row,) = answer.to_pylist()
    assert row["check_level"] == "tiles"
    return row


def digested(folder, relpath, **more):
    answer = digest_files(batch(relpath, **more), spec(folder))
    assert answer.schema.equals(DIGEST_SCHEMA)
    (row,) = answer.to_pylist()
    return row


def sha256(*pieces):
    return hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    path = tmp_path / "whole.svs"
    write_svs(path, seed=1, size=(1000, 700), description={"AppMag": "40", "MPP": "0.25"})
    return path


def offsets(path):
    """Where level 0's tiles lie, as another reader sees it."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        return list(zip(page.dataoffsets, page.databytecounts, strict=True)), math.ceil(page.imagewidth / page.tilewidth)


# --- Tiles -----------------------------------------------------------------------------------------------------------


def test_a_whole_slide_keeps_its_status(slide: Path) -> None:
    row = checked(slide.parent, b"whole.svs", tiles=EVERY)
    with openslide.OpenSlide(slide) as opened:
        levels = range(opened.level_count)
        sides = [int(opened.properties[f"openslide.level[{level}].tile-width"]) for level in levels]
        tiles = sum(
            math.ceil(width / side) * math.ceil(height / side)
            for (width, height), side in zip(opened.level_dimensions, sides, strict=True)
        )
    assert (row["status"], row["status_detail"], row["tiles_bad"]) == (None, None, 0)
    assert row["tiles_decoded"] == tiles
    assert row["tiles_checked"] >= tiles


def test_a_slide_that_opens_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "noise.svs").write_bytes(tiff(1, keys={"AppMag": "20"}))
    row = checked(tmp_path, b"noise.svs", tiles=4)
    assert row["status"] == "decode_failed"
    assert row["status_detail"].startswith("4 of 4 sampled tiles cannot be decoded, the first at level 0, column ")
    assert row["tiles_decoded"] == 0


def test_one_bad_tile_is_named_by_its_place(slide: Path) -> None:
    tiles, across = offsets(slide)
    index = len(tiles) - 2
    content = bytearray(slide.read_bytes())
    start, length = tiles[index]
    content[start : start + length] = bytes(length)
    slide.write_bytes(content)
    row = checked(slide.parent, b"whole.svs", tiles=EVERY)
    place = f"level 0, column {index % across}, row {index // across}"
    assert row["status"] == "decode_failed"
    assert row["status_detail"].startswith("1 of ")
    assert row["status_detail"].endswith(place)


def test_a_slide_without_its_tail_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    write_tiff(path, seed=2, size=(1000, 700), mpp=0.5, ifds_first=True)
    path.write_bytes(path.read_bytes()[:-20_000])
    row = checked(tmp_path, b"cut.tif", format_="tiff", tiles=EVERY)
    assert row["status"] == "truncated"
    assert row["tiles_bad"] > 0
    assert row["status_detail"] == f"{row['tiles_bad']} of {row['tiles_checked']} tiles lie beyond the end of the file"


def test_what_is_not_there_is_unreadable(tmp_path: Path) -> None:
    assert checked(tmp_path, b"no.svs")["status_detail"] == "ENOENT"
    (tmp_path / "folder.svs").mkdir()
    assert checked(tmp_path, b"folder.svs")["status"] == "unreadable"


def test_what_openslide_does_not_know_is_only_counted(tmp_path: Path) -> None:
    (tmp_path / "text.svs").write_bytes(b"no slide\n" * 100)
    row = checked(tmp_path, b"text.svs", reader="none", format_=None)
    assert row == {**dict.fromkeys(TILES_SCHEMA.names), "check_level": "tiles"}


def test_a_file_that_is_not_on_this_machine_is_only_counted(slide: Path) -> None:
    root = _Elsewhere(LocalRoot(os.fsencode(slide.parent)))
    (row,) = check_tiles(batch(b"whole.svs"), PassSpec((root,))).to_pylist()
    assert (row["status"], row["tiles_decoded"], row["tiles_bad"]) == (None, None, 0)
    assert row["tiles_checked"] > 0


class _Far:
    """A source whose bytes are read through this program alone."""

    local_path = None

    def __init__(self, source: LocalSource) -> None:
        self._source = source

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)


@dataclass(frozen=True)
class _Elsewhere:
    root: LocalRoot

    @contextlib.contextmanager
    def open(self, relpath: bytes) -> Iterator[_Far]:
        with self.root.open(relpath) as source:
            yield _Far(source)


def test_instances_are_found_in_whatever_folder_and_no_others(write: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    write("one/a", slide_part(number=1, width=96, height=64))
    write("two/b", slide_part(number=2, width=48, height=32, level=2))
    write("one/other", slide_part(number=3, width=96, height=64, slide=2))
    dicom = {"format_": "dicom", "reader": "dicom", "tiles": EVERY}
    whole = checked(tmp_path, b"one/a", files=[b"two/b", b"one/a"], **dicom)
    assert (whole["status"], whole["tiles_decoded"], whole["tiles_checked"]) == (None, 6 + 2, 8)
    assert checked(tmp_path, b"one/a", files=[b"one/a"], **dicom)["tiles_decoded"] == 6
    write("two/b", slide_part(number=2, width=48, height=32, level=2, syntax=JPEGBaseline8Bit))
    broken = checked(tmp_path, b"one/a", files=[b"two/b", b"one/a"], **dicom)
    assert broken["status"] == "decode_failed"
    assert "2 of 8 sampled tiles cannot be decoded, the first at level 1, column 0, row 0" in broken["status_detail"]


@pytest.mark.parametrize("reason", ["reader_crashed", "timeout"])
def test_a_slide_that_kills_the_decoder_is_recorded(reason: str) -> None:
    (tiles,) = lost_tiles(batch(b"x"), reason).to_pylist()
    (digest,) = lost_digest(batch(b"x"), reason).to_pylist()
    assert tiles["status"] == ("timeout" if reason == "timeout" else "decode_failed")
    assert digest["status"] == ("timeout" if reason == "timeout" else "unreadable")
    assert digest["content_sha256"] is None


# --- The sample ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grid:
    """What of an opened slide the draw looks at."""

    level_dimensions: tuple[tuple[int, int], ...]
    side: int = 10

    @property
    def level_count(self) -> int:
        return len(self.level_dimensions)

    @property
    def properties(self) -> dict[str, str]:
        return {f"openslide.level[{n}].tile-{name}": str(self.side) for n in range(9) for name in ("width", "height")}


def test_the_draw_depends_on_slide_and_seed_alone() -> None:
    grid = Grid(((1000, 700), (250, 175)))
    drawn = draw_tiles(grid, ID, spec("."))
    assert drawn == draw_tiles(grid, ID, spec("."))
    assert drawn != draw_tiles(grid, "S-0000000000000002", spec("."))
    assert drawn != draw_tiles(grid, ID, spec(".", seed=1))
    # A level's tiles are the same whatever other levels there are.
    assert [tile for tile in drawn if tile.level == 0] == draw_tiles(Grid(((1000, 700),)), ID, spec("."))


@given(
    levels=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1, max_size=4),
    tiles=st.integers(0, 12),
    seed=st.integers(0, 5),
)
def test_no_tile_is_drawn_twice_or_outside_its_level(levels: list[tuple[int, int]], tiles: int, seed: int) -> None:
    drawn = draw_tiles(Grid(tuple(levels)), ID, spec(".", tiles, seed))
    assert len(set(drawn)) == len(drawn)
    for level, (width, height) in enumerate(levels):
        columns, rows = -(-width // 10), -(-height // 10)
        here = [tile for tile in drawn if tile.level == level]
        assert len(here) == min(tiles, columns * rows)
        assert all(0 <= tile.column < columns and 0 <= tile.row < rows for tile in here)


def test_faults_are_missed_as_often_as_stated() -> None:
    grid, tiles, runs = Grid(((100, 60),)), 4, 4000
    total, bad = 60, 15
    broken = {Tile(0, index % 10, index // 10) for index in range(bad)}
    missed = sum(broken.isdisjoint(draw_tiles(grid, f"S-{run:016d}", spec(".", tiles))) for run in range(runs)) / runs
    exact = math.comb(total - bad, tiles) / math.comb(total, tiles)
    assert exact <= (1 - bad / total) ** tiles
    assert missed == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / runs))


# --- Digests ---------------------------------------------------------------------------------------------------------


def test_the_digest_of_one_file_is_the_files(slide: Path) -> None:
    row = digested(slide.parent, b"whole.svs")
    assert row == {
        "status": None, "status_detail": None, "content_sha256": f"sha256:{sha256(slide.read_bytes())}",
        "check_level": "digest",
    }  # fmt: skip


def test_a_file_of_several_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathcurate.scan.tiles._PIECE", 7)
    (tmp_path / "a.svs").write_bytes(bytes(range(100)))
    (tmp_path / "empty.svs").write_bytes(b"")
    assert digested(tmp_path, b"a.svs")["content_sha256"] == f"sha256:{sha256(bytes(range(100)))}"
    assert digested(tmp_path, b"empty.svs")["content_sha256"] == f"sha256:{sha256()}"


def test_the_digest_of_several_files_is_of_their_names_sizes_and_digests(write: Callable[[str, bytes], Path]) -> None:
    folder = write("deep/one/b.dcm", b"bb").parents[2]
    write("deep/a.dcm", b"a")
    row = digested(folder, b"deep/a.dcm", format_="dicom", files=[b"deep/one/b.dcm", b"deep/a.dcm"])
    lines = f"a.dcm\0{1}\0{sha256(b'a')}\none/b.dcm\0{2}\0{sha256(b'bb')}\n".encode()
    assert row["content_sha256"] == f"sha256:{sha256(lines)}"


def test_a_companion_folder_belongs_to_the_slide(write: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    write("x/王.mrxs", b"preview")
    write("x/王/Slidedat.ini", b"[GENERAL]")
    write("x/王/sub/Data0000.dat", b"tiles")
    path = "x/王.mrxs".encode()
    before = digested(tmp_path, path, format_="mrxs")["content_sha256"]
    lines = sorted(
        f"{name}\0{len(content)}\0{sha256(content)}\n".encode()
        for name, content in {
            "王.mrxs": b"preview",
            "王/Slidedat.ini": b"[GENERAL]",
            "王/sub/Data0000.dat": b"tiles",
        }.items()
    )
    assert before == f"sha256:{sha256(*lines)}"
    # It moves as a whole without a change, and no byte of any file changes unseen.
    shutil.move(tmp_path / "x", tmp_path / "y")
    assert digested(tmp_path, "y/王.mrxs".encode(), format_="mrxs")["content_sha256"] == before
    write("y/王/sub/Data0000.dat", b"tilEs")
    assert digested(tmp_path, "y/王.mrxs".encode(), format_="mrxs")["content_sha256"] != before


def test_where_the_files_cannot_be_told_nothing_is_vouched_for(write: Callable[[str, bytes], Path], tmp_path: Path) -> None:
    write("a.vms", b"[Virtual Microscope Specimen]")
    assert set(digested(tmp_path, b"a.vms").values()) == {None}
    write("b.mrxs", b"preview")
    far = PassSpec((_Elsewhere(LocalRoot(os.fsencode(tmp_path))),))
    assert set(digest_files(batch(b"b.mrxs", format_="mrxs"), far).to_pylist()[0].values()) == {None}


@pytest.mark.parametrize("change", ["grows", "is_replaced", "is_touched"])
def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "live.svs"
    path.write_bytes(bytes(1000))
    real = LocalSource.read_at

    def read_at(self: LocalSource, offset: int, length: int) -> bytes:
        piece = real(self, offset, length)
        if offset == 0:
            if change == "grows":
                with path.open("ab") as file:
                    file.write(b"more")
            elif change == "is_replaced":
                (tmp_path / "other").write_bytes(bytes(1000))
                (tmp_path / "other").replace(path)
            else:
                os.utime(path, (1, 1))
        return piece

    monkeypatch.setattr(LocalSource, "read_at", read_at)
    row = digested(tmp_path, b"live.svs")
    assert (row["status"], row["content_sha256"]) == ("unreadable", None)
    assert row["status_detail"] == "the file changed while it was read"


def test_a_file_that_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    row = digested(tmp_path, b"no.svs")
    assert (row["status"], row["status_detail"], row["content_sha256"]) == ("unreadable", "ENOENT", None)


# --- Real input ------------------------------------------------------------------------------------------------------


def test_the_real_slide_that_opens_and_cannot_be_read(real_data: Path) -> None:
    folder = real_data / "wsi" / "openslide+openslide-python"
    row = checked(folder, b"unreadable.svs")
    assert row["status"] == "decode_failed"
    assert "the first at level 0, column 0, row 0" in row["status_detail"]
    for name in ("small.svs", "😐.svs", "boxes.tiff"):
        assert checked(folder, name.encode())["status"] is None


def test_a_real_slide_that_openslide_refuses_is_only_counted(real_data: Path) -> None:
    folder = real_data / "wsi" / "ImagingDataCommons+highdicom"
    row = checked(folder, b"sm_image_jpegls.dcm", format_="dicom", reader="dicom")
    assert (row["status"], row["tiles_decoded"], row["tiles_bad"]) == (None, None, 0)


def test_no_file_is_left_behind(
    slide: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = len(list(Path("/dev/fd").iterdir()))
    checked(slide.parent, b"whole.svs", format_="dicom", files=[b"whole.svs"])
    checked(slide.parent, b"whole.svs", format_="dicom", files=[b"whole.svs", b"no.svs"])
    assert list(scratch.iterdir()) == []
    assert len(list(Path("/dev/fd").iterdir())) == before
