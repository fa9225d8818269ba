"""How long `pathcurate find ACCESSION --to-review` takes on the catalog of a large archive, the start of Python included.

The catalog is drawn by SQL, written by the catalog's own writers, and removed afterwards. Slides lie in scan order under
random identifiers, a tenth of them unlinked, one in 33 rescanned years later; some sites have the same numbers. Prints
the median and the range. `python tests/bench/find_speed.py --help` shows the settings.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import duckdb
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.lookup import keep_filters
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES
from pathcurate.model.link import LINKS
from pathcurate.model.material import MATERIALS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, conform
from tests.bench.rows import Row, record
from tests.bench.slides import say

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 1.0
"""What is wanted of a number that a site's reports have."""
SITES, PART_ROWS, BATCH_ROWS = 19, 1_000_000, 100_000
_MACROS = """
create macro case_of(i) as case when i % 33 = 0 then hash(i) % {cases} else i * {cases} // {slides} end;
create macro index_of(c) as c * {sites} // {cases};
create macro site_of(c) as printf('NB%02d', 1 + index_of(c));
create macro nth(c) as c - (index_of(c) * {cases} + {sites} - 1) // {sites};
create macro number_of(c) as 'S' || case when index_of(c) < {shared} then '' else chr(65 + index_of(c)::int) end
  || (15 + nth(c) // {yearly})::varchar || '-' || (1 + nth(c) % {yearly})::varchar;
create macro code(kind, i) as kind || '-' || upper(substr(md5(kind || i), 1, 16));
create macro person_of(c) as hash(c // 2 * 2 + (c % 2) * (hash(c) % 2)) % {persons};
create macro patient_of(c) as printf('%08d', person_of(c));
create macro block_of(i) as (i % 9 + 1)::varchar;
"""
_SLIDES = """
select code('S', i) slide_id, site_of(c) site, 'main' archive, 'ok' status, 'svs' format, 'HE' stain, 'A' specimen,
  block_of(i) block, encode('20' || (15 + nth(c) // {yearly})::varchar || '/' || printf('%02d', c % 12 + 1) || '/'
  || number_of(c) || '-A' || block_of(i) || '_HE_' || (i % 7)::varchar || '.svs') relpath,
  case when i % 5 < 3 then number_of(c) || '-A-' || block_of(i) || '-' || (i % 7)::varchar end barcode,
  timestamp '2015-01-01' + to_hours((i % 80000)::int) scan_datetime, md5(i::varchar) header_fingerprint
from (select i, case_of(i) c from range({first}, {last}) t(i))
"""
_STREAMED = (
    (SLIDE_KEYS, """
select code('S', i) slide_id, site_of(c) site, 'main' archive, number_of(c) "key", 'barcode,file_name' sources,
  true is_only, 'A' specimen, block_of(i) block, 'HE' stain
from (select i, case_of(i) c from range({slides}) t(i)) order by site, "key", slide_id
"""),
    (LINKS, """
select code('S', i) slide_id, site_of(c) site, case when i % 10 > 0 then number_of(c) end accession,
  case when i % 10 > 0 then code('R', c) end report_id, code('P', person_of(c)) person_id, 'A' specimen, block_of(i) block,
  'HE' stain, case when i % 10 > 0 then 'exact' else 'conflict' end tier, 1.0 confidence, ['barcode', 'file_name'] evidence,
  true patient_agrees, 3 lag_days, true scanned_after_receipt, true block_named, 'two_witnesses' rule,
  'sha256:' || repeat('0', 64) rule_set_sha, case when i % 10 = 0 then [number_of(c) || ' (file_name)'] end losing_candidates
from (select i, case_of(i) c from range({slides}) t(i)) order by site, accession, slide_id
"""),
    (REPORTS, """
select code('R', c) report_id, site_of(c) site, patient_of(c) patient_id, '张三' patient_name, 'female' sex,
  printf('%018d', person_of(c)) id_number, number_of(c) accession, number_of(c) || '号' accession_raw,
  'primary' report_type, 'final' status, true is_current, 1 case_order, 'lung' organ,
  timestamp '2015-01-01' + to_hours((c % 80000)::int) received_date,
  timestamp '2015-01-03' + to_hours((c % 80000)::int) reported_date, '(左肺上叶) 浸润性腺癌 ' || md5(c::varchar) diagnosis,
  '灰白组织一枚 ' || md5('g' || c) || ' 大小约2x1x1cm，切面灰白质硬' gross, ['A1', 'A2'] blocks, 'x.csv' source_file,
  c source_row from range({cases}) t(c)
"""),
    (DIAGNOSES, """
select code('R', c) report_id, site_of(c) site, 1 ordinal, 'A' specimen, 1 line, 'lung' organ, '3' behaviour,
  'affirmed' "assertion" from range({cases}) t(c)
"""),
    (MATERIALS, """
select code('M', i) material_id, site_of(c) site, 'slide' kind, number_of(c) accession, 'A' specimen, block_of(i) block,
  'G' || i glass_id, 'HE' stain, 'm.csv' source_file, i source_row
from (select i, case_of(i) c from range({slides}) t(i))
"""),
    (PERSONS, """
select code('P', p) person_id, code('Q', p) group_id, 'site_number' basis, 3 evidence from range({persons}) t(p) order by 1
"""),
    (IDENTITIES, """
select * from (select site_of(c) site, site_of(c) issuer, 'accession' id_type, number_of(c) id_value,
    code('P', person_of(c)) person_id from range({cases}) t(c)
  union all select distinct site_of(c), site_of(c), 'patient_id', patient_of(c), code('P', person_of(c))
    from range({cases}) t(c)) order by site, id_type, id_value
"""),
)  # fmt: skip


def main() -> None:
    """Draw the catalog, look, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=14_000_000, help="slides; 5 of 14 are cases  [%(default)s]")
    parser.add_argument("--shared", type=int, default=4, help="of 19 sites, how many have the same numbers  [%(default)s]")
    parser.add_argument("--repeat", type=int, default=5, help="searches for each text  [%(default)s]")
    parser.add_argument("--directory", type=Path, help="draw it here and leave it; or use what is there")
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp(prefix="find_speed_"))
    try:
        if not (directory / "pathcurate.yaml").exists():
            draw(directory, options.slides, options.shared)
        measure(directory, options.repeat)
    finally:
        if options.directory is None:
            shutil.rmtree(directory)


def draw(directory: Path, slides: int, shared: int) -> None:
    """A workspace of so many slides, and the filters that `link` would put beside its tables."""
    cases = slides * 5 // 14
    sizes = {
        "slides": slides, "cases": cases, "persons": cases * 7 // 10, "sites": SITES, "shared": shared,
        "yearly": cases // SITES // 10 + 1,
    }  # fmt: skip
    catalog = Catalog(directory / "catalog")
    connection = duckdb.connect()
    connection.execute(f"SET threads = 2; SET memory_limit = '6GB'; SET temp_directory = '{directory}/spill'")
    connection.execute(_MACROS.format(**sizes))
    begun = time.perf_counter()
    for first in range(0, slides, PART_ROWS):
        sql = _SLIDES.format(first=first, last=min(slides, first + PART_ROWS), **sizes)
        catalog.upsert(SLIDES, conform(SLIDES, connection.sql(sql).to_arrow_table()), only_adds=True)
    for table, sql in _STREAMED:
        catalog.replace_streamed(table, batches(connection, table, sql.format(**sizes)), f"{catalog.state(SLIDES)} drawn")
    say(f"{slides:,} slides and {cases:,} cases drawn in {time.perf_counter() - begun:.0f} s")
    begun = time.perf_counter()
    keep_filters(catalog)
    say(f"filters made in {time.perf_counter() - begun:.1f} s")
    sites = "".join(
        f"  - {{code: NB{site:02d}, archives: [{{name: main, root: a{site}}}]}}\n" for site in range(1, SITES + 1)
    )
    (directory / "pathcurate.yaml").write_text(f"workspace: 1\nname: large\nsites:\n{sites}")


def batches(connection: duckdb.DuckDBPyConnection, table: Table, sql: str) -> Iterator[pa.RecordBatch]:
    """The rows of a query as the table declares them."""
    for batch in connection.sql(sql).to_arrow_reader(BATCH_ROWS):
        yield from conform(table, pa.Table.from_batches([batch])).combine_chunks().to_batches()


def measure(directory: Path, repeat: int) -> None:
    """Seconds of whole processes; the first number is that of several sites, the second of one."""
    for text, what in (
        ("S24-00123", "a number of several sites"), ("SK23-00077", "a number of one site"),
        ("S24-99999", "a number of no case"), ("00001234", "a patient's number"), ("G12345", "a glass"),
        ("SK23-77-A-3-2", "a barcode"), ("no such file.svs", "a file that is not there"),
    ):  # fmt: skip
        times = []
        for _ in range(repeat):
            begun = time.perf_counter()
            command = [sys.executable, "-m", "pathcurate", "find", "-", "--to-review", "-q", "-w", str(directory)]
            done = subprocess.run(
                command, input=text.encode(), capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            times.append(time.perf_counter() - begun)
            if done.returncode not in {0, 1}:
                sys.exit(done.stderr.decode())
        found = "found" if done.returncode == 0 else "nothing"
        record(Row(f"find {what}, the whole command", median(times), "s", wanted=MOST_SECONDS, at_least=False))
        say(f"{what}: {median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), {found}")
    say(f"wanted of a number: at most {MOST_SECONDS:.1f} s; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
