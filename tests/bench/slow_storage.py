"""How many slides a second are read when every read takes 5 ms, as on busy network storage, by threads per process.

The files are made up, of 57,600 tiles each and in holes; each is read under ten names. `python tests/bench/slow_storage.py
--help` shows the settings. What limits is told by the last two columns: threads times 1 / (reads x 5 ms) is what waiting
allows, and seconds of work per slide, over the processes' cores, is what Python allows.
"""

import argparse
import contextlib
import functools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path

from scan_speed import make_large

from pathcurate.readers import companion_folders, read_slide
from pathcurate.storage import CompanionFolders, Entry, LocalRoot, LocalSource, Skipped

NAMES = 10


class SlowSource(LocalSource):
    """A local file of which every read takes its time."""

    def __init__(self, path: bytes, within: bytes | None, seconds: float) -> None:
        super().__init__(path, within)
        self._seconds = seconds
        self.reads = 0
        self.bytes = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """As :class:`LocalSource`, later."""
        time.sleep(self._seconds)
        data = super().read_at(offset, length)
        self.reads += 1
        self.bytes += len(data)
        return data


@dataclass(frozen=True)
class SlowRoot:
    """A directory on slow storage; listing and opening it is as quick as it is."""

    root: LocalRoot
    seconds: float

    def walk(self, companions: CompanionFolders) -> Iterator[Entry | Skipped]:
        """As the directory itself."""
        return self.root.walk(companions)

    def open(self, relpath: bytes) -> SlowSource:
        """A file whose reads are slow."""
        return SlowSource(os.path.join(self.root.path, relpath), self.root.path, self.seconds)  # noqa: PTH118  bytes

    def uri(self, relpath: bytes) -> str:
        """As the directory itself."""
        return self.root.uri(relpath)


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
    parser.add_argument("--slides", type=int, default=2000, help="names of slides  [%(default)s]")
    parser.add_argument("--processes", type=int, default=2, help="processes  [%(default)s]")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1, 4, 8, 16, 32, 64], help="threads in each  [%(default)s]"
    )
    parser.add_argument("--milliseconds", type=float, default=5.0, help="of every read  [%(default)s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slow_storage_") as directory:
        root = SlowRoot(LocalRoot(os.fsencode(directory)), options.milliseconds / 1000)
        make(Path(directory), options.slides)
        names = [item.relpath for item in root.walk(companion_folders) if isinstance(item, Entry)]
        say(f"{len(names)} slides, {options.processes} processes, {options.milliseconds} ms a read")
        say(f"{'threads':>8}{'slides/s':>10}{'reads/slide':>13}{'bytes/slide':>13}{'waiting allows':>16}{'work/slide':>12}")
        for threads in options.threads:
            # One thread would take minutes for all.
            measure(root, names[: threads * options.processes * 250], options.processes, threads)


def make(directory: Path, count: int) -> None:
    """Slides, each under ten names, in folders of a thousand."""
    originals = directory / "000"
    originals.mkdir()
    make_large(originals, count // NAMES)
    for path in sorted(originals.iterdir()):
        for copy in range(1, NAMES):
            folder = directory / f"{copy:03}"
            folder.mkdir(exist_ok=True)
            os.link(path, folder / path.name)


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


def say(line: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
