"""How many slides a second `pathcurate scan` reads when every read takes 5 ms, as on busy network storage.

First the readers alone, by threads per process. What limits them is told by the last two columns: threads times 1 / (reads
x 5 ms) is what waiting allows, and seconds of work per slide, over the processes' cores, is what Python allows. Then `scan
--io-threads` itself. The files are made up, of 20,000 to 100,000 tiles each and in holes; each lies under several names.
`python tests/bench/slow_storage.py --help` shows the settings.
"""

import argparse
import contextlib
import functools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.readers import companion_folders, read_slide
from pathcurate.storage import Entry, LocalRoot
from tests.bench.rows import Row, record
from tests.bench.slides import make_svs, make_workspace, one_scan, say
from tests.bench.slow import SlowRoot

RATE = 500
"""Slides a second that are wanted."""


@dataclass(frozen=True)
class Share:
    """What one process did."""

    seconds: float
    work_seconds: float
    reads: int
    bytes: int


def main() -> None:
    """Make the files, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000, help="files  [%(default)s]")
    parser.add_argument("--names", type=int, default=10, help="names of each  [%(default)s]")
    parser.add_argument("--processes", type=int, default=2, help="processes  [%(default)s]")
    parser.add_argument("--threads", type=int, nargs="*", default=[8, 32, 64], help="threads in each  [%(default)s]")
    parser.add_argument("--io-threads", type=int, nargs="*", default=[32, 64], help="of the scan  [%(default)s]")
    parser.add_argument("--milliseconds", type=float, default=5.0, help="of every read  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=1, help="scans with each number of threads  [%(default)s]")
    options = parser.parse_args()
    seconds = options.milliseconds / 1000
    with tempfile.TemporaryDirectory(prefix="slow_storage_") as directory:
        archive = Path(directory) / "archive"
        archive.mkdir()
        make_svs(archive, options.files, options.names)
        root = SlowRoot(LocalRoot(os.fsencode(archive)), seconds)
        names = [item.relpath for item in root.walk(companion_folders) if isinstance(item, Entry)]
        say(f"{len(names)} slides, {options.processes} processes, {options.milliseconds} ms a read")
        say(f"{'threads':>8}{'slides/s':>10}{'reads/slide':>13}{'bytes/slide':>13}{'waiting allows':>16}{'work/slide':>12}")
        for threads in options.threads:
            # Few threads would take minutes for all.
            measure(root, names[: threads * options.processes * 50], options.processes, threads)
        for threads in options.io_threads:
            runs = [scan_slowly(archive, options.processes, threads, options.milliseconds) for _ in range(options.repeat)]
            headers, whole = (len(names) / median(run[at] for run in runs) for at in (0, 1))
            what = f"headers of {len(names):,} slides, {options.milliseconds:g} ms a read, {threads} threads"
            record(Row(what, headers, "slides/s", wanted=RATE))
            say(
                f"=> scan --io-threads {threads}: {headers:,.0f} slides/s till the last header ({RATE} wanted), "
                f"{whole:,.0f} with the reading of the pixels of duplicates, which here are all"
            )


def scan_slowly(archive: Path, workers: int, threads: int, milliseconds: float) -> tuple[float, float]:
    """Seconds of a first scan till its last header is kept, with the start of its workers, and to its end."""
    with tempfile.TemporaryDirectory() as directory:
        workspace = make_workspace(Path(directory), archive)
        options = {"--workers": workers, "--io-threads": threads, "--milliseconds": milliseconds}
        said = one_scan(workspace.root, *(str(word) for option in options.items() for word in option))
    assert set(said["statuses"]) == {"ok"}
    return said["walk and headers"], said["cold"]


def measure(root: SlowRoot, names: Sequence[bytes], processes: int, threads: int) -> None:
    """A row of the table."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with context.Pool(processes, initializer=prepare, initargs=(barrier,)) as pool:
        shares = pool.starmap(
            functools.partial(read_all, root, threads),
            [(names[start::processes],) for start in range(processes)],
            chunksize=1,
        )
    count = len(names)
    seconds = max(share.seconds for share in shares)
    reads = sum(share.reads for share in shares) / count
    work = sum(share.work_seconds for share in shares) / count
    allowed = processes * threads / (reads * root.seconds)
    say(
        f"{threads:>8}{count / seconds:>10,.0f}{reads:>13.1f}{sum(share.bytes for share in shares) / count:>13,.0f}"
        f"{allowed:>16,.0f}{work * 1000:>9.2f} ms"
    )


_ready: list[Barrier] = []


def prepare(barrier: Barrier) -> None:
    """Remember what the processes wait at, so that none begins before all have started."""
    _ready.append(barrier)


def read_all(root: SlowRoot, threads: int, names: Sequence[bytes]) -> Share:
    """Read the headers of these slides with so many threads."""
    with ThreadPoolExecutor(threads) as pool:
        _ready[0].wait()
        begun, worked = time.perf_counter(), time.process_time()
        counts = list(pool.map(functools.partial(read_one, root), names))
        return Share(
            time.perf_counter() - begun,
            time.process_time() - worked,
            sum(reads for reads, _ in counts),
            sum(size for _, size in counts),
        )


def read_one(root: SlowRoot, name: bytes) -> tuple[int, int]:
    """Reads and bytes of one slide's header, which must come out right."""
    with contextlib.closing(root.open(name)) as source:
        result = read_slide(source)
        assert result is not None
        assert result.header.status == "ok"
        return source.reads, source.bytes


if __name__ == "__main__":
    main()
