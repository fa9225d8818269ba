"""How many slides a second `pathcurate scan` reads, beside a loop over ``openslide.OpenSlide(path).properties``.

Both read the same files in the same run, in turns, warm in the page cache: what is compared is work, not a disk. Prints
medians and the range of all repetitions. `python tests/bench/scan_speed.py --help` shows the settings.
"""

import argparse
import cProfile
import itertools
import os
import pstats
import shutil
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import openslide
import pyarrow as pa

from pathcurate import ifd
from pathcurate.demo.slides import write_svs, write_tiff
from pathcurate.demo.tiffwriter import Page, ascii_text, encode_tiff, long8s, longs, shorts
from pathcurate.engines.embedded import Embedded
from pathcurate.model.slide import SLIDES
from pathcurate.scan import ScanSummary, scan
from pathcurate.scan.kernels import HEADER_INPUT, ScanSpec, read_headers
from pathcurate.storage import Entry, LocalRoot, LocalSource
from pathcurate.tables import Catalog
from pathcurate.workspace import DEFAULT_PATTERNS, Workspace, load_workspace

KEYS = {"AppMag": "20", "MPP": "0.5", "ScanScope ID": "SS1234", "Date": "03/04/21", "ImageID": "0000000"}
TILE = 256
TILE_BYTES = 20_000

Measure = tuple[float, int]
"""Seconds, and for how many slides."""


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=1500, help="copies of demo slides, no two alike  [%(default)s]")
    parser.add_argument("--large", type=int, default=320, help="sparse SVS files of 57,600 tiles  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each side  [%(default)s]")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes of the scan  [%(default)s]")
    parser.add_argument("--profile", action="store_true", help="show where the scan's own process spends its time")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="scan_speed_"))
    try:
        say(f"{options.workers} workers, {options.repeat} repetitions, median (least to most)")
        for title, make, count in (
            ("demo slides", make_slides, options.slides),
            ("57,600 tiles", make_large, options.large),
        ):
            archive = directory / make.__name__
            archive.mkdir()
            make(archive, count)
            measure(title, archive, options.repeat, options.workers, profile=options.profile)
            shutil.rmtree(archive)
    finally:
        shutil.rmtree(directory)


def measure(title: str, archive: Path, repeat: int, workers: int, *, profile: bool) -> None:
    """Both sides in turns over one archive."""
    files = sorted(os.fsencode(path) for path in archive.rglob("*.*"))
    batch, spec = kernel_input(archive)
    times: dict[str, list[Measure]] = {}
    for repetition in range(repeat + 1):
        run = scan_once(archive, len(files), workers)
        run["kernel in this process"] = (timed(lambda: read_headers(batch, spec)), len(files))
        run["OpenSlide, one process"] = (openslide_loop(files), len(files))
        if repetition:  # the first fills the page cache and is thrown away
            for name, seconds in run.items():
                times.setdefault(name, []).append(seconds)
    report(title, len(files), times)
    if profile:
        show_profile(archive, workers)


def kernel_input(archive: Path) -> tuple[pa.RecordBatch, ScanSpec]:
    """What the header kernel is given for all files of an archive."""
    root = LocalRoot(os.fsencode(archive))
    rows = [
        {"root": 0, "relpath": entry.relpath, "size": entry.size, "mtime": entry.mtime_ns // 1000, "file_count": 1,
         "is_offline": False, "slide": -1, "file": -1}
        for entry in root.walk(lambda names: set()) if isinstance(entry, Entry)
    ]  # fmt: skip
    spec = ScanSpec((root,), (("NB01", "main"),), (DEFAULT_PATTERNS,), ("0" * 16,))
    return pa.RecordBatch.from_pylist(rows, schema=HEADER_INPUT), spec


def report(title: str, count: int, times: Mapping[str, list[Measure]]) -> None:
    """A table: slides a second of each repetition's median, least and most, and how that compares with OpenSlide."""
    rates = {name: [slides / seconds for seconds, slides in runs] for name, runs in times.items()}
    baseline = median(rates["OpenSlide, one process"])
    say(f"\n{count} x {title}")
    say(f"  {'':<34}{'seconds':>9}{'slides/s':>10}{'least to most':>18}{'/ OpenSlide':>13}")
    for name, rate in rates.items():
        seconds = median(seconds for seconds, _ in times[name])
        span = f"{min(rate):,.0f} to {max(rate):,.0f}"
        say(f"  {name:<34}{seconds:>9.3f}{median(rate):>10,.0f}{span:>18}{median(rate) / baseline:>12.2f}x")


def scan_once(archive: Path, count: int, workers: int) -> dict[str, Measure]:
    """A first scan with a new workspace, its parts, and a second scan that finds nothing new."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = make_workspace(Path(directory), archive)
        with Embedded(workers=workers, temp_directory=Path(directory) / "sql") as engine:
            moments: list[Measure] = []
            begun = time.perf_counter()
            summary = scan(
                workspace, engine, progress=lambda what, done, _: moments.append((time.perf_counter() - begun, done))
            )
            whole = time.perf_counter() - begun
            check(workspace, summary, count)
            again = timed(lambda: scan(workspace, engine))
    (first, done), (last, _) = moments[0], moments[-1]
    return {
        "scan, from cold": (whole, count),
        "  until the first batch is read": (first, done),
        "  reading, once workers run": (last - first, count - done),
        "  commit, duplicates, keys": (whole - last, count),
        "scan, without the start": (whole - first, count - done),
        "scan again, nothing new": (again, count),
    }


def openslide_loop(files: list[bytes]) -> float:
    """Seconds for opening each file with OpenSlide and copying its properties."""

    def loop() -> None:
        for path in files:
            with openslide.OpenSlide(path) as slide:
                dict(slide.properties)

    return timed(loop)


def say(line: str) -> None:
    """A line for people, at once: a run takes a minute."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed(action: Callable[[], object]) -> float:
    """Seconds that something takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def check(workspace: Workspace, summary: ScanSummary, count: int) -> None:
    """A fast scan of the wrong thing is worth nothing."""
    rows = Catalog(workspace.catalog).read(SLIDES)
    assert summary.statuses == {"ok": count}
    assert rows.num_rows == count
    assert len(set(rows["header_fingerprint"].to_pylist())) == count


def show_profile(archive: Path, workers: int) -> None:
    """Where the process of the command spends its time while workers read."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = make_workspace(Path(directory), archive)
        with Embedded(workers=workers, temp_directory=Path(directory) / "sql") as engine, cProfile.Profile() as profile:
            scan(workspace, engine)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(r"pathcurate|wait|acquire", 30)


# --- Archives ----------------------------------------------------------------------------------------------------


def make_workspace(directory: Path, archive: Path) -> Workspace:
    """A workspace with one archive."""
    file = directory / "pathcurate.yaml"
    file.write_text(
        f"workspace: 1\nname: bench\nsites:\n  - code: NB01\n    archives: [{{name: main, root: '{archive}'}}]\n"
    )
    return load_workspace(file)


def make_slides(archive: Path, count: int) -> None:
    """Copies of four demo slides that differ in their tiles' sizes and in a number in their description."""
    sizes = ((2048, 1536), (1536, 1280))
    for seed, size in enumerate(sizes):
        write_svs(archive / f"{seed}.svs", seed=seed, size=size, description=KEYS, label_lines=["S23-00001"])
        write_tiff(archive / f"{seed}.tif", seed=seed + 10, size=size, mpp=0.5)
    originals = sorted(archive.iterdir())
    distinct = [(path, copies(path.read_bytes(), tile_table(path))) for path in originals]
    for path in originals:
        path.unlink()
    for number, (path, versions) in zip(range(count), itertools.cycle(distinct)):
        folder = archive / f"{number // 200:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"S23-{number:05}-A1 HE{path.suffix}").write_bytes(next(versions))


def tile_table(path: Path) -> tuple[int, int]:
    """Offset and length of the table of level 0's tile sizes."""
    with LocalSource(os.fsencode(path)) as source:
        entry = ifd.walk(source)[0].entries[ifd.TILE_BYTE_COUNTS]
    return entry.offset, entry.count


def copies(data: bytes, table: tuple[int, int]) -> Iterator[bytes]:
    """Copies of a slide of which no two have the same tile sizes: by a byte less of some tiles, which nobody decodes."""
    offset, length = table
    sizes = struct.unpack_from(f"<{length}I", data, offset)
    for number in itertools.count():
        copy = bytearray(data)
        struct.pack_into(f"<{length}I", copy, offset, *(size - (number >> bit & 1) for bit, size in enumerate(sizes)))
        yield bytes(copy).replace(b"ImageID = 0000000", b"ImageID = %07d" % number)


def make_large(archive: Path, count: int) -> None:
    """Aperio files of 61,440 x 61,440 pixels in three levels; their tiles lie in a hole and take no room on disk."""
    for number in range(count):
        path = archive / f"S23-{number:05}-B1 HE.svs"
        pages = []
        position = 16 << 20
        for side in (61_440, 15_360, 3840):
            across = side // TILE
            tiles = across * across
            sizes = [TILE_BYTES // 2 + (index * 7 + number) % 500 for index in range(tiles)]
            offsets = list(itertools.accumulate(sizes, initial=position))
            position = offsets.pop()
            keys = "".join(f"|{key} = {value}" for key, value in KEYS.items())
            text = f"Aperio Image Library v12.0.15 \r\n{side}x{side} ({TILE}x{TILE}) JPEG/RGB Q=70{keys}"
            fields = {
                256: longs(side), 257: longs(side), 258: shorts(8, 8, 8), 259: shorts(7), 262: shorts(6),
                270: ascii_text(text), 277: shorts(3), 284: shorts(1), 322: shorts(TILE), 323: shorts(TILE),
                530: shorts(2, 2), 324: long8s(*offsets), 325: longs(*sizes),
            }  # fmt: skip
            pages.append(Page(fields, [b""] * tiles, tiled=True))
        path.write_bytes(encode_tiff(pages, bigtiff=True))
        os.truncate(path, position)


if __name__ == "__main__":
    main()
