"""How long a thousand people wait who ask at once, when a service holds one `Archive` for all of them.

The catalog is that of `find_speed.py`, with a cohort that everybody of the archive was looked at for. Every thread has one
question, all begin at the same moment, and each answer is identified data with its own record in the audit trail, which is
verified afterwards. The questions are mixed: accession numbers of one site and of several, slides, patients, glass, and
numbers that nobody has. Beside it stands what DuckDB takes for one number in the slides' keys alone, without a record
and without the rest of the case. `python tests/bench/find_concurrent.py --help` shows the settings.
"""

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.api import Archive
from pathcurate.model.material import MATERIALS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, write_parquet
from pathcurate.vault import broken_event, create_vault, read_events
from tests.bench.find_speed import draw
from tests.bench.slides import say

MOST_SECONDS = 1.0
"""What 99 of 100 people wait at most."""
_OPENING_SECONDS = 20


def main() -> None:
    """Draw the catalog, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=2_800_000, help="slides; 5 of 14 are cases  [%(default)s]")
    parser.add_argument("--users", type=int, default=1000, help="people who ask at once  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=5, help="times that all ask  [%(default)s]")
    parser.add_argument("--directory", type=Path, help="draw it here and leave it; or use what is there")
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp(prefix="find_concurrent_"))
    try:
        if not (directory / "pathcurate.yaml").exists():
            draw(directory, options.slides, 4)
            look_at_everybody(directory)
        measure(directory, options.users, options.repeat)
        peer(directory)
    finally:
        if options.directory is None:
            shutil.rmtree(directory)


def look_at_everybody(directory: Path) -> None:
    """A cohort's ledger with a row for every slide."""
    slides = Catalog(directory / "catalog").read(SLIDES, columns=["slide_id"])["slide_id"]
    codes = internal(create_vault(directory / "vault").key).codes.code_array("S", slides)
    steps = pa.array([("kept", "tissue", "stain")[number % 3] for number in range(len(codes))])
    folder = directory / "cohorts" / "everybody"
    folder.mkdir(parents=True)
    write_parquet(folder / "ledger.parquet", pa.table({"slide_id": codes, "step": steps}))


def questions(directory: Path, count: int) -> list[str]:
    """Numbers of all kinds, drawn from the tables."""
    catalog, chosen = Catalog(directory / "catalog"), random.Random(14)

    def some(name: str, column: str) -> list[str]:
        table = {"slides": SLIDES, "reports": REPORTS, "materials": MATERIALS}[name]
        values = catalog.read(table, columns=[column])[column]
        return [str(values[chosen.randrange(len(values))].as_py()) for _ in range(count // 6 + 1)]

    kinds = [
        some("reports", "accession"), some("slides", "slide_id"), some("reports", "patient_id"),
        some("materials", "glass_id"), some("reports", "accession"), [f"S99-{n}" for n in range(count // 6 + 1)],
    ]  # fmt: skip
    return [text for texts in zip(*kinds, strict=True) for text in texts][:count]


def ask(archive: Archive, texts: Sequence[str]) -> tuple[list[float], float]:
    """Seconds that each waits when all ask at once, and seconds of computing in all."""
    waits = [0.0] * len(texts)
    start = threading.Barrier(len(texts) + 1)

    def one(place: int) -> None:
        start.wait()
        archive.find(texts[place], purpose="bench")
        waits[place] = time.perf_counter() - begun

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(texts))]
    for thread in threads:
        thread.start()
    used = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    start.wait()
    for thread in threads:
        thread.join()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return waits, after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime


def measure(directory: Path, users: int, repeat: int) -> None:
    """Waits of all who ask at once, several times."""
    texts = questions(directory, users)
    archive = Archive(directory)
    begun = time.perf_counter()
    archive.find(texts[0], purpose="bench")
    say(f"the first question of a new service, which opens everything: {time.perf_counter() - begun:.2f} s")
    before = sum(1 for _ in read_events(directory / "vault"))
    alone = []
    for text in texts[:100]:
        begun = time.perf_counter()
        archive.find(text, purpose="bench")
        alone.append(time.perf_counter() - begun)
    say(f"one after another: {1000 * median(alone):.1f} ms ({1000 * min(alone):.1f} to {1000 * max(alone):.1f})")
    worst = []
    # The first crowd starts the second process, which opens everything; a service does that once.
    waits, _ = ask(archive, texts)
    say(f"the first {users:,} at once: p99 {quantiles(waits, n=100)[98]:.2f} s")
    time.sleep(_OPENING_SECONDS)
    for _ in range(repeat):
        waits, computed = ask(archive, texts)
        parts = quantiles(waits, n=100)
        worst.append(parts[98])
        say(
            f"{users:,} at once: p50 {parts[49]:.2f} s, p95 {parts[94]:.2f} s, p99 {parts[98]:.2f} s, the last "
            f"{max(waits):.2f} s; {1000 * computed / users:.2f} ms of computing each here; load {os.getloadavg()[0]:.1f}"
        )
    noted = sum(1 for _ in read_events(directory / "vault")) - before
    whole = "whole" if broken_event(directory / "vault") is None else "BROKEN"
    expected = users * (repeat + 1) + len(alone)
    say(f"audit trail: {noted:,} of {expected:,} noted, chain {whole}; memory {_memory()} MB at most")
    reached = "reached" if median(worst) <= MOST_SECONDS and noted == expected and whole == "whole" else "MISSED"
    say(f"wanted of 99 of 100: at most {MOST_SECONDS:.1f} s; median of the runs {median(worst):.2f} s: {reached}")


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def peer(directory: Path) -> None:
    """What DuckDB takes for one number in one table."""
    connection, times = duckdb.connect(), []
    connection.execute("SET threads = 2")
    for text in questions(directory, 60)[::6]:
        begun = time.perf_counter()
        sql = f"select slide_id from '{directory}/catalog/slide_keys/part-*.parquet' where \"key\" = ?"
        connection.execute(sql, [text]).fetchall()
        times.append(time.perf_counter() - begun)
    say(f"peer: DuckDB {duckdb.__version__}, one number in the slides' keys alone: {1000 * median(times):.1f} ms")


if __name__ == "__main__":
    main()
