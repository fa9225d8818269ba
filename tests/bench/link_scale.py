"""What linking costs at the size of an archive: the keys of its slides, all of them and of the few that have changed, and
the links with their evidence, beside SQL that joins two sources and keeps nothing else.

The slides are made up by SQL, straight into a catalog: six of ten have a barcode, every fifth has header texts and every
seventh a patient's number; more than half lie in a folder of their case. Each measurement has a process of its own.
`python tests/bench/link_scale.py --help` shows the settings.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.engines.embedded import Embedded
from pathcurate.link import write_links
from pathcurate.link.keys import bring_keys
from pathcurate.model.case import CASES
from pathcurate.model.column import Table
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.relations import relation
from pathcurate.tables import Catalog, conform
from pathcurate.workspace import load_workspace
from tests.bench.phases import alone, peak_mb
from tests.bench.rows import Row, record

SITES = 19
PART_ROWS = 1_000_000
SECONDS, LINK_SECONDS, MEMORY = 25, 20, 3000
"""What is wanted for 14 million slides, in seconds for their keys and for their links, and in millions of bytes."""
MADE_UP = """
WITH numbered AS (SELECT i, i * {sites} // {count} AS site, i // 3 + {shift} AS c FROM range({start}, {stop}) t(i)),
named AS (
    SELECT *, printf('S%02d-%07d', 10 + c % 14, c) AS number, printf('20%02d', 10 + c % 14) AS year,
           chr((65 + i % 3)::INTEGER) || (1 + i % 9) AS part,
           ['HE', 'CK7', 'KI67', 'P53'][1 + (i * 7919 % 4)::INTEGER] AS stain
    FROM numbered
)
SELECT 'S-' || upper(substr(md5(i::VARCHAR), 1, 16)) AS slide_id, printf('NB%02d', site) AS site, 'main' AS archive,
       (CASE WHEN site % 2 = 0 THEN year || '/' || number || '/' || number || '-' || part || '-' || (i % 4) || ' ' || stain
                                    || '.svs'
             WHEN site % 4 = 1 THEN year || '/' || replace(number, '-', '') || ' ' || part || '_' || stain || ' - ' || year
                                    || '-03-14 10.30.' || (10 + i % 50) || '.ndpi'
             ELSE '扫描/' || year || '/' || number || '_' || part || '_' || stain || '.svs' END).encode() AS relpath,
       CASE WHEN i * 31 % 10 < 6 THEN number || '-' || part || '-' || (i % 4) END AS barcode,
       CASE WHEN i % 5 = 0 THEN ['5533', number || ' ' || part] END AS metadata_texts,
       CASE WHEN i % 7 = 0 THEN 'P' || (c % 1000003) END AS patient_id, stain, 'ok' AS status
FROM named
"""

# One case for three slides; the reports lack every fiftieth, and every thousandth is of two patients.
CASES_MADE_UP = """
WITH numbered AS (
    SELECT c, (c * 3) * {sites} // {count} AS site, printf('S%02d-%d', 10 + c % 14, c) AS accession,
           'P-' || upper(substr(md5((c % 1000003)::VARCHAR), 1, 16)) AS person
    FROM range(0, {cases}) t(c) WHERE c % 50 <> 7)
SELECT printf('NB%02d', site) AS site, accession, CASE WHEN c % 1000 <> 3 THEN person END AS person_id, person AS group_id,
       CASE WHEN c % 1000 = 3 THEN 'case_two_patients' END AS fault,
       'R-' || upper(substr(md5(c::VARCHAR), 1, 16)) AS report_id, TIMESTAMP '2015-01-01' + to_days((c % 3000)::INTEGER) AS
       received_date, ['breast'] AS organs, ['IHC:CK7', 'IHC:Ki-67'] AS stains, ['A1', 'A2', 'B1'] AS blocks,
       ['P' || (c % 1000003)] AS patients
FROM numbered ORDER BY 1, 2
"""
IDENTITIES_MADE_UP = """
SELECT site, site AS issuer, 'patient_id' AS id_type, patients[1] AS id_value,
       max(coalesce(person_id, group_id)) AS person_id, max(group_id) AS group_id FROM {cases} GROUP BY ALL ORDER BY 1, 3, 4
"""
RAW = """
CREATE TABLE raw AS
WITH named AS (
    SELECT slide_id, site, regexp_extract(barcode, '(S[0-9]{{2}})-?0*([0-9]+)', ['a', 'b']) AS barcode,
           regexp_extract(decode(relpath), '.*/(S[0-9]{{2}})-?0*([0-9]+)', ['a', 'b']) AS name FROM {slides})
SELECT n.slide_id, coalesce(b.report_id, f.report_id) AS report_id
FROM named n LEFT JOIN {cases} b ON n.site = b.site AND b.accession = n.barcode.a || '-' || n.barcode.b
     LEFT JOIN {cases} f ON n.site = f.site AND f.accession = n.name.a || '-' || n.name.b
"""


@dataclass(frozen=True)
class Outcome:
    """One measurement: seconds by the clock, seconds of all processors, memory, rows of the table."""

    seconds: float
    worked: float
    peak_mb: float
    worker_mb: float
    rows: int


def main() -> None:
    """Make a catalog, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=14_000_000, help="slides  [%(default)s]")
    parser.add_argument("--changed", type=int, default=0, help="slides that are written again  [one of a hundred]")
    parser.add_argument("--memory", type=int, default=1500, help="millions of bytes that SQL may use  [%(default)s]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="link_scale_") as directory:
        base = Path(directory)
        begun = time.perf_counter()
        alone(make_slides, base, 0, options.slides, options.slides)
        say(f"{options.slides:,} slides made up in {time.perf_counter() - begun:.0f} s")
        show("keys of all slides", options.slides, alone(measured, base, options.memory), SECONDS)
        alone(make_cases, base, options.slides)
        show("links of all slides", options.slides, alone(linked, base, options.memory), LINK_SECONDS)
        show("two sources joined by SQL alone", options.slides, alone(joined, base, options.memory), LINK_SECONDS)
        changed = options.changed or options.slides // 100
        alone(make_slides, base, options.slides // 2, options.slides // 2 + changed, options.slides)
        show(f"keys of {changed:,} changed slides", options.slides, alone(measured, base, options.memory), SECONDS)


def make_slides(base: Path, start: int, stop: int, count: int) -> None:
    """Put slides into the catalog: new ones as a scan of so many does, or some of them again with other names."""
    sites = [f"  - {{code: NB{n:02}, archives: [{{name: main, root: a{n}}}]}}\n" for n in range(SITES)]
    (base / "pathcurate.yaml").write_text("workspace: 1\nname: scale\nsites:\n" + "".join(sites))
    catalog = Catalog(base / "catalog")
    is_new = start == 0
    for first in range(start, stop, PART_ROWS):
        last = min(stop, first + PART_ROWS)
        sql = MADE_UP.format(sites=SITES, count=count, start=first, stop=last, shift=0 if is_new else count)
        with duckdb.connect(":memory:", config={"threads": 2}) as connection:
            connection.execute("SET enable_progress_bar = false")
            catalog.upsert(SLIDES, conform(SLIDES, connection.sql(sql).to_arrow_table()), only_adds=is_new)


def measured(base: Path, memory: int) -> Outcome:
    """Bring the keys up to date, in this process."""
    workspace = load_workspace(base / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    begun = time.perf_counter()
    with opened(base, memory) as engine:
        assert bring_keys(workspace, catalog, engine)
    return outcome(time.perf_counter() - begun, catalog.row_count(SLIDE_KEYS))


def make_cases(base: Path, count: int) -> None:
    """Put cases and their patients into the catalog."""
    catalog = Catalog(base / "catalog")
    with opened(base, 2000) as engine:
        sql = CASES_MADE_UP.format(sites=SITES, count=count, cases=count // 3)
        catalog.replace_streamed(CASES, conformed(engine, CASES, sql), "made up")
        identities = IDENTITIES_MADE_UP.format(cases=relation(engine, catalog, CASES))
        catalog.replace_streamed(IDENTITIES, conformed(engine, IDENTITIES, identities), "made up")


def conformed(engine: Embedded, table: Table, sql: str) -> Iterator[pa.RecordBatch]:
    """Rows of a query in the declared columns."""
    for batch in engine.batches(sql):
        yield from conform(table, pa.Table.from_batches([batch])).to_batches()


def linked(base: Path, memory: int) -> Outcome:
    """Write the links, in this process."""
    workspace = load_workspace(base / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    begun = time.perf_counter()
    with opened(base, memory) as engine:
        write_links(workspace, catalog, engine)
    return outcome(time.perf_counter() - begun, catalog.row_count(LINKS))


def joined(base: Path, memory: int) -> Outcome:
    """The peer: normalise two texts and join them with the cases, without evidence, conflicts or what has lost."""
    catalog = Catalog(base / "catalog")
    begun = time.perf_counter()
    with opened(base, memory) as engine:
        cases = relation(engine, catalog, CASES, ("site", "accession", "report_id"))
        slides = relation(engine, catalog, SLIDES, ("slide_id", "site", "barcode", "relpath"))
        engine.rows(RAW.format(slides=slides, cases=cases))
        [(rows,)] = engine.rows("SELECT count(*) FROM raw")
    return outcome(time.perf_counter() - begun, rows)


def opened(base: Path, memory: int) -> Embedded:
    """The engine, with so many millions of bytes for SQL."""
    return Embedded(workers=2, temp_directory=base / "sql", memory_limit_bytes=memory * 1_000_000)


def outcome(seconds: float, rows: int) -> Outcome:
    """What this process and its children have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    worked = sum(one.ru_utime + one.ru_stime for one in used)
    return Outcome(seconds, worked, peak_mb(), used[1].ru_maxrss * 1024 / 1e6, rows)


def show(title: str, slides: int, outcome: Outcome, wanted: float) -> None:
    """A few lines of one measurement."""
    most, peak = wanted * slides / 14e6, int(1e6 * (outcome.peak_mb + outcome.worker_mb))
    record(Row(f"{title}, {slides:,}", outcome.seconds, "s", wanted=most, at_least=False, peak_bytes=peak))
    say(f"\n{title}: {outcome.seconds:.1f} s ({wanted * slides / 14e6:.1f} wanted for all), {outcome.rows:,} rows")
    each = 1e6 * outcome.worked / slides
    say(f"  {outcome.worked:.1f} s of all processors, {each:.2f} us a slide; load {os.getloadavg()[0]:.1f}")
    say(f"  {outcome.peak_mb:,.0f} MB, and {outcome.worker_mb:,.0f} MB in each worker ({MEMORY:,} wanted)")


def say(line: str) -> None:
    """A line for people, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
