"""How many slides a second `pathcurate scan` reads, beside a loop over ``openslide.OpenSlide(path).properties``.

Both read the same files in the same run and in turns, with as many processes, warm in the page cache: what is compared is
work, not a disk. Each side begins with processes that are not started yet. The large slides lie under several names each,
so that every one is a duplicate: what the scan does about that is shown apart, because no archive is like that. Prints
medians and the range of all repetitions. `python tests/bench/scan_speed.py --help` shows the settings.
"""

import argparse
import contextlib
import cProfile
import functools
import itertools
import os
import pstats
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate import ifd
from pathcurate.demo.slides import write_svs, write_tiff
from pathcurate.engines.embedded import Embedded
from pathcurate.model.slide import SLIDES
from pathcurate.readers import companion_folders, read_slide
from pathcurate.scan import scan
from pathcurate.scan.kernels import HEADER_INPUT, ScanSpec, read_headers
from pathcurate.storage import Entry, LocalRoot, LocalSource
from pathcurate.tables import Catalog
from pathcurate.workspace import DEFAULT_PATTERNS, Workspace
from tests.bench import openslide_loop
from tests.bench.rows import Row, record
from tests.bench.slides import cpu_seconds, distinct_copies, make_svs, make_workspace, one_scan, say, timed
from tests.bench.slow import SlowRoot

KEYS = {"AppMag": "20", "MPP": "0.5", "ScanScope ID": "SS1234", "Date": "03/04/21", "ImageID": "0000000"}
READS, BYTES, RATIO = 16, 64 << 10, 5
"""What is wanted: reads and bytes of one slide's header, and times as fast as OpenSlide."""
OPENSLIDE = "OpenSlide"
CPU_SCAN, CPU_OPENSLIDE = "scan, time of processors", "OpenSlide, time of processors"
LESS = "  without the duplicates' part"
REST = ("open the archives", "moves, merging", "duplicates", "summary, findings")


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="sparse SVS of 20,000 to 100,000 tiles  [%(default)s]")
    parser.add_argument("--names", type=int, default=10, help="names of each  [%(default)s]")
    parser.add_argument("--demo", type=int, default=1500, help="copies of demo slides, no two alike  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each side  [%(default)s]")
    parser.add_argument("--workers", type=int, default=2, help="processes of each side  [%(default)s]")
    parser.add_argument("--profile", action="store_true", help="show where the scan's own process spends its time")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="scan_speed_"))
    large, demo = directory / "large", directory / "demo"
    try:
        say(f"{options.workers} processes, median (least to most) of {options.repeat}; load {os.getloadavg()[0]:.1f}")
        for archive, make, title in (
            (large, functools.partial(make_svs, names=options.names), f"names of {options.files} large SVS"),
            (demo, make_demo, "demo slides"),
        ):
            if count := options.files if archive is large else options.demo:
                archive.mkdir()
                make(archive, count)
                measure(title, archive, options.repeat, options.workers, distinct=count)
                count_reads(title, archive)
                if options.profile:
                    show_profile(archive, options.workers)
                shutil.rmtree(archive)
    finally:
        shutil.rmtree(directory)


def measure(title: str, archive: Path, repeat: int, workers: int, *, distinct: int) -> None:
    """Both sides in turns over one archive."""
    files = sorted(os.fsencode(path) for path in archive.rglob("*.*"))
    few = files[:: -(-len(files) // 1000)]
    times: dict[str, list[float]] = {}
    for path in files:
        path_warm(path)
    for _ in range(repeat):
        run = scan_twice(archive, workers, len(files), distinct)
        worked = cpu_seconds()
        run[OPENSLIDE] = openslide_seconds(files, workers)
        run[CPU_OPENSLIDE] = cpu_seconds() - worked
        # One process, without its start and without tables: the readers alone.
        share = len(files) / len(few)
        run["one process: header kernel"] = share * timed(functools.partial(read_headers, *kernel_input(archive, few)))
        run["one process: OpenSlide"] = share * timed(functools.partial(openslide_loop.properties, few))
        for name, seconds in run.items():
            times.setdefault(name, []).append(seconds)
    report(title, len(files), times)


def path_warm(path: bytes) -> None:
    """Bring a header into the page cache."""
    with LocalSource(path) as source:
        read_slide(source)


def report(title: str, count: int, times: Mapping[str, Sequence[float]]) -> None:
    """A table: slides a second, and how that compares with OpenSlide in as many processes."""
    baseline = median(times[OPENSLIDE])
    say(f"\n{count:,} {title}")
    say(f"  {'':<34}{'seconds':>9}{'slides/s':>10}{'least to most':>20}{'x OpenSlide':>13}")
    for name, seconds in times.items():
        span = f"{count / max(seconds):,.0f} to {count / min(seconds):,.0f}"
        ratio = baseline / median(seconds)
        say(f"  {name:<34}{median(seconds):>9.2f}{count / median(seconds):>10,.0f}{span:>20}{ratio:>13.2f}")
    whole, headers = (baseline / median(times[name]) for name in ("scan, from cold", LESS))
    work = median(times[CPU_OPENSLIDE]) / median(times[CPU_SCAN])
    ours, theirs = count / median(times["scan, from cold"]), count / baseline
    record(Row(f"scan from cold, {count:,} {title}", ours, "slides/s", theirs, "OpenSlide", RATIO * theirs))
    ours, theirs = median(times[CPU_SCAN]), median(times[CPU_OPENSLIDE])
    record(Row(f"processors' work of a scan, {count:,} {title}", ours, "s", theirs, "OpenSlide", at_least=False))
    say(f"=> {work:.2f} times less work for the processors, duplicates and start included")
    say(f"=> scan {whole:.2f} times as fast as OpenSlide, {headers:.2f} without the duplicates' part ({RATIO} wanted)")


def scan_twice(archive: Path, workers: int, count: int, distinct: int) -> dict[str, float]:
    """Seconds of a first scan with a new workspace, of its parts, and of a second scan that finds nothing new."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = make_workspace(Path(directory), archive)
        first = one_scan(workspace.root, "--workers", str(workers))
        check(workspace, first, count, distinct)
        again = one_scan(workspace.root, "--workers", str(workers))
    less = first["cold"] - first["duplicates"] - first["summary, findings"]
    parts = {f"  {name}": first[name] for name in ("walk and headers", *REST)}
    return {
        "scan, from cold": first["cold"],
        LESS: less,
        **parts,
        CPU_SCAN: first["cpu"],
        "scan again, nothing new": again["cold"],
    }


def check(workspace: Workspace, said: Mapping[str, Any], count: int, distinct: int) -> None:
    """A fast scan of the wrong thing is worth nothing."""
    rows = Catalog(workspace.catalog).read(SLIDES)
    assert said["statuses"] == {"ok": count}
    assert rows.num_rows == count
    assert len(set(rows["header_fingerprint"].to_pylist())) == distinct
    assert rows["duplicate_of"].null_count == distinct


def openslide_seconds(files: Sequence[bytes], workers: int) -> float:
    """Seconds for opening each file with OpenSlide and copying its properties, in processes that are started for it."""

    def loop() -> None:
        program = [sys.executable, str(Path(openslide_loop.__file__))]
        running = [subprocess.Popen(program, stdin=subprocess.PIPE) for _ in range(workers)]
        for number, process in enumerate(running):
            assert process.stdin is not None
            process.stdin.write(b"\0".join(files[number::workers]))
            process.stdin.close()
        assert [process.wait() for process in running] == [0] * workers

    return timed(loop)


def kernel_input(archive: Path, files: Sequence[bytes]) -> tuple[pa.RecordBatch, ScanSpec]:
    """What the header kernel is given for some files of an archive."""
    root = os.fsencode(archive)
    rows = [
        {"root": 0, "relpath": path[len(root) + 1 :], "size": 1, "mtime": 0, "file_count": 1, "is_offline": False,
         "slide": -1, "file": -1}
        for path in files
    ]  # fmt: skip
    spec = ScanSpec((LocalRoot(root),), (("NB01", "main"),), (DEFAULT_PATTERNS,), ("0" * 16,))
    return pa.RecordBatch.from_pylist(rows, schema=HEADER_INPUT), spec


def count_reads(title: str, archive: Path) -> None:
    """Reads and bytes of each slide's header."""
    root = SlowRoot(LocalRoot(os.fsencode(archive)), 0)
    counts = []
    for entry in root.walk(companion_folders):
        if isinstance(entry, Entry):
            with contextlib.closing(root.open(entry.relpath)) as source:
                read_slide(source)
                counts.append((source.reads, source.bytes))
    reads, sizes = zip(*counts, strict=True)
    record(Row(f"reads of a header, most, {title}", max(reads), "reads", wanted=READS, at_least=False))
    record(Row(f"bytes of a header, most, {title}", max(sizes), "bytes", wanted=BYTES, at_least=False))
    say(
        f"=> {median(reads):.0f} reads of a header, at most {max(reads)} ({READS} wanted); "
        f"{median(sizes):,.0f} bytes, at most {max(sizes):,} ({BYTES:,} wanted)"
    )


def show_profile(archive: Path, workers: int) -> None:
    """Where the process of the command spends its time while workers read."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = make_workspace(Path(directory), archive)
        with Embedded(workers=workers, temp_directory=Path(directory) / "sql") as engine, cProfile.Profile() as profile:
            scan(workspace, engine)
    pstats.Stats(profile).strip_dirs().sort_stats("cumulative").print_stats(45)


# --- Demo slides -------------------------------------------------------------------------------------------------


def make_demo(archive: Path, count: int) -> None:
    """Copies of four demo slides that differ in their tiles' sizes and in a number in their description."""
    sizes = ((2048, 1536), (1536, 1280))
    for seed, size in enumerate(sizes):
        write_svs(archive / f"{seed}.svs", seed=seed, size=size, description=KEYS, label_lines=["S23-00001"])
        write_tiff(archive / f"{seed}.tif", seed=seed + 10, size=size, mpp=0.5)
    originals = sorted(archive.iterdir())
    distinct = [(path, distinct_copies(path.read_bytes(), tile_table(path))) for path in originals]
    for path in originals:
        path.unlink()
    for number, (path, versions) in zip(range(count), itertools.cycle(distinct)):
        folder = archive / f"{number // 200:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"S23-{number:05}-A1 HE{path.suffix}").write_bytes(next(versions))


def tile_table(path: Path) -> tuple[int, int]:
    """Offset and length of the table of the smallest level's tile sizes."""
    with LocalSource(os.fsencode(path)) as source:
        tables = [page.entries[ifd.TILE_BYTE_COUNTS] for page in ifd.walk(source) if ifd.TILE_BYTE_COUNTS in page.entries]
    smallest = min(tables, key=lambda entry: entry.count)
    return smallest.offset, smallest.count


if __name__ == "__main__":
    main()
