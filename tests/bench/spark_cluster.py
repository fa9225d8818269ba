"""What a Spark cluster of several workers does: the same rows as one machine, and more of them where storage is slow.

All processes lie on this machine, which has few cores: master, server, and workers of one core each. First so many rows by
every kernel and a statement, on four workers, of which one is killed on the way, against the embedded engine. Then headers
from storage of which every read takes 5 ms, by 1, 2 and 4 workers: what waits costs no core, so here workers count. Last
the reads and bytes that one slide takes, of which the plan for a whole archive is made.
`python tests/bench/spark_cluster.py --help` shows the settings; `make spark` makes the environment that it needs.
"""

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.concepts.kernel import MENTIONS, Search, find_mentions
from pathcurate.engines import Engine, Kernel
from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect
from pathcurate.readers import companion_folders, read_slide
from pathcurate.scan.kernels import HEADER_INPUT, HEADER_SCHEMA, ScanSpec, read_headers
from pathcurate.scrubbers.text import SiteRules
from pathcurate.scrubbers.text.kernel import REMOVALS_FOUND, Scrub, find_text_removals
from pathcurate.storage import Entry, LocalRoot
from pathcurate.text.slidenames import names_rules
from pathcurate.workspace import DEFAULT_PATTERNS
from tests.bench.concept_speed import CONCEPTS, as_batch, report_texts
from tests.bench.slides import make_svs, say
from tests.bench.slow import SlowRoot, SlowSource
from tests.sparkcluster import Cluster, running

BATCH_ROWS = 500
SLOW_BATCH_ROWS = 16
STATEMENT = (
    "select s.relpath as relpath, s.format as format, s.width * s.height as pixels, substr(md5(s.relpath), 1, 4) as part, "
    "row_number() over (partition by s.format order by s.width, s.relpath) as place from slides as s "
    "where regexp_matches(s.relpath, 'S23-[0-9]+') and s.mpp_x between 0.1 and 1 order by s.relpath"
)


@dataclass(frozen=True)
class Work:
    """Rows for a kernel."""

    name: str
    kernel: Kernel
    spec: Any
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]


def main() -> None:
    """Make the input, start a cluster, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="of every kernel  [%(default)s]")
    parser.add_argument("--slow-slides", type=int, default=256, help="slides on slow storage  [%(default)s]")
    parser.add_argument("--milliseconds", type=float, default=5.0, help="of every read there  [%(default)s]")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="of the cluster  [%(default)s]")
    options = parser.parse_args()
    say(machine())
    with tempfile.TemporaryDirectory(prefix="spark_cluster_") as directory:
        base = Path(directory)
        archive = base / "archive"
        archive.mkdir()
        files = -(-max(options.rows, options.slow_slides) // 100)
        make_svs(archive, files, 100)
        root = LocalRoot(os.fsencode(archive))
        entries = [item for item in root.walk(companion_folders) if isinstance(item, Entry)]
        say_reads(root, entries)
        with running(options.workers[0]) as (cluster, address), Connect(address, temp_directory=base / "spill") as there:
            cluster.wait_for_executors(there)
            slow = SlowRoot(root, options.milliseconds / 1000)
            slides = headers("slow headers", slow, entries[: options.slow_slides], SLOW_BATCH_ROWS)
            speed_up(cluster, there, slides, options.slow_slides, options.workers)
            with Embedded(workers=2, temp_directory=base / "sql") as here:
                equal_rows(cluster, here, there, root, entries[: options.rows])


# --- Equal rows ----------------------------------------------------------------------------------------------------------


def equal_rows(cluster: Cluster, here: Engine, there: Engine, root: LocalRoot, entries: Sequence[Entry]) -> None:
    """Rows of both engines, compared one by one."""
    count = len(entries)
    texts = as_batch([report_texts(random.Random(f"5 {number}"), number) for number in range(count)])
    say(f"\n{'rows':<34}{'here':>10}{'cluster':>10}")
    for work in (
        headers("headers of slides", root, entries, BATCH_ROWS),
        Work("concepts in reports", find_mentions, Search(CONCEPTS), MENTIONS, partial(pieces, texts)),
        Work("text de-identification", find_text_removals, Scrub((SiteRules("NB01"),)), REMOVALS_FOUND,
             partial(pieces, scrubbing(texts))),
    ):  # fmt: skip
        begun = time.perf_counter()
        ours = list(results(here, work))
        between = time.perf_counter()
        victim = cluster.alive()[-1] if work.kernel is find_mentions and len(cluster.alive()) > 1 else None
        theirs = []
        for number, batch in enumerate(results(there, work)):
            theirs.append(batch)
            if victim is not None and number == count // BATCH_ROWS // 4:
                victim.kill()
        seconds = between - begun, time.perf_counter() - between
        note = f"; worker {victim.page} was killed after a quarter" if victim is not None else ""
        tell(work.name, count, equal(ours, theirs), seconds, note)
        if work.kernel is read_headers:
            compare_statement(here, there, pa.Table.from_batches(ours))


def compare_statement(here: Engine, there: Engine, slides: pa.Table) -> None:
    """A statement over the headers, whose result both materialise."""
    relpath = slides["relpath"].cast(pa.string())
    slides = slides.select(["format", "width", "height", "mpp_x"]).append_column("relpath", relpath)
    found, seconds = [], []
    for engine in (here, there):
        begun = time.perf_counter()
        engine.view("slides", slides)
        engine.materialise("kept", STATEMENT)
        found.append(engine.table("select k.* from kept as k order by k.relpath"))
        seconds.append(time.perf_counter() - begun)
    tell("a statement, materialised", slides.num_rows, equal(*(table.to_batches() for table in found)), seconds, "")


def tell(name: str, count: int, same: int, seconds: Sequence[float], note: str) -> None:
    """A row of the table."""
    say(f"{name:<34}{seconds[0]:>8.0f} s{seconds[1]:>8.0f} s   {same:,} of {count:,} rows equal{note}")
    assert same == count


def equal(ours: Sequence[pa.RecordBatch], theirs: Sequence[pa.RecordBatch]) -> int:
    """How many rows are the same and in the same place."""
    pairs = zip(
        *(pa.Table.from_batches(batches).to_batches(max_chunksize=BATCH_ROWS) for batches in (ours, theirs)), strict=True
    )
    return sum(
        mine.num_rows if mine.equals(other) else sum(map(dict.__eq__, mine.to_pylist(), other.to_pylist()))
        for mine, other in pairs
    )


def results(engine: Engine, work: Work) -> Iterator[pa.RecordBatch]:
    """What a kernel makes of its rows, but for the time at which it did."""
    for batch in engine.run(work.kernel, work.batches(), work.spec, work.schema, on_crash=lost):
        yield batch.drop_columns([name for name in batch.schema.names if name.endswith("_at")])


def lost(row: pa.RecordBatch, reason: str) -> pa.RecordBatch:
    """No row of these is lost."""
    raise AssertionError(reason)


def headers(name: str, root: Any, entries: Sequence[Entry], batch_rows: int) -> Work:
    """Headers of slides below a root."""
    spec = ScanSpec((root,), (("NB01", "main"),), (DEFAULT_PATTERNS,), (names_rules(DEFAULT_PATTERNS),))
    rows = [
        {"root": 0, "relpath": entry.relpath, "size": entry.size, "mtime": entry.mtime_ns // 1000, "file_count": 1,
         "is_offline": False, "slide": -1, "file": -1}
        for entry in entries
    ]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=HEADER_INPUT)
    return Work(name, read_headers, spec, HEADER_SCHEMA, partial(pieces, batch, batch_rows))


def pieces(batch: pa.RecordBatch, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """A batch so many rows at a time."""
    for start in range(0, batch.num_rows, rows):
        yield batch.slice(start, rows)


def scrubbing(texts: pa.RecordBatch) -> pa.RecordBatch:
    """Reports as the text scrubber gets them, without anything known of them."""
    columns = {name: texts.column(name) for name in texts.schema.names}
    columns["site"] = pa.array(["NB01"] * texts.num_rows)
    columns["year"] = pa.array([2024] * texts.num_rows, pa.int64())
    columns["known"] = pa.nulls(texts.num_rows, pa.struct([("names", pa.list_(pa.string()))]))
    return pa.RecordBatch.from_pydict(columns)


# --- Slow storage --------------------------------------------------------------------------------------------------------


def speed_up(cluster: Cluster, there: Connect, work: Work, count: int, numbers: Iterable[int]) -> None:
    """Slides a second by more and more workers."""
    first = None
    expected = None
    say(
        f"\n{'workers':>8}{'slides/s':>10}{'speed-up':>10}   {count} slides, {work.spec.roots[0].seconds * 1000:g} ms a read"
    )
    for number in numbers:
        missing = number - len(cluster.alive())
        if missing > 0:
            cluster.add_workers(missing)
            cluster.wait_for_executors(there)
        warm = Work(work.name, work.kernel, work.spec, work.schema, lambda: (batch.slice(0, 1) for batch in work.batches()))
        for _ in results(there, warm):
            pass
        begun = time.perf_counter()
        found = list(results(there, work))
        rate = count / (time.perf_counter() - begun)
        first = first or rate / number
        expected = expected or found
        assert equal(expected, found) == count
        say(f"{number:>8}{rate:>10.1f}{rate / first:>10.2f}   load {os.getloadavg()[0]:.1f}")


def say_reads(root: LocalRoot, entries: Sequence[Entry]) -> None:
    """Reads, bytes and the processor's time of a slide's header, by a sample."""
    sample = random.Random(5).sample(list(entries), min(500, len(entries)))
    reads = size = 0
    begun = time.process_time()
    for entry in sample:
        with closing(SlowRoot(root, 0.0).open(entry.relpath)) as source:
            assert isinstance(source, SlowSource)
            assert read_slide(source) is not None
            reads, size = reads + source.reads, size + source.bytes
    work = (time.process_time() - begun) / len(sample)
    count = len(sample)
    say(f"a header: {reads / count:.1f} reads, {size / count:,.0f} bytes, {1000 * work:.2f} ms of a core ({count} slides)")


def machine() -> str:
    """Where the figures are from."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in cpus if line.startswith("model name")]
    name = models[0] if models else platform.machine()
    return f"{name}, {os.cpu_count()} processors, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"


if __name__ == "__main__":
    main()
