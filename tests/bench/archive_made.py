"""An archive that was never scanned: a workspace whose catalog holds what `scan` and `reports import` would have written.

Slides and their headers are made up by SQL. Reports are whole ones of ``archive_texts``: a few thousand are imported by the
real command, and SQL gives each of millions the texts and the values of one of these, with a person, numbers, sizes and
dates of its own. The same counts give the same rows.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from pathcurate.mapping import Mapping
from pathcurate.model.column import Table
from pathcurate.model.diagnosis import DIAGNOSES, IHC_RESULTS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.model.source import SOURCE_ROWS, SOURCES
from pathcurate.reports import _read_as as _rules_of
from pathcurate.sources.filestate import content_sha256, file_state
from pathcurate.tables import Catalog, arrow_schema, conform, from_rows
from pathcurate.workspace import load_workspace
from tests.bench import archive_texts
from tests.bench.archive_texts import GIVEN, SLOTS, SURNAMES

ROOT = Path(__file__).resolve().parents[2]
SITES = 19
FIRST_YEAR, YEARS = 2015, 10
REPORTS_OF_A_SLIDE = 2.5
"""The archive of which this is a picture has 7.1 million reports and 2.8 million slides."""
SLIDES_OF_A_CASE = 3
NIGHT = 20_000_000
"""Numbers of what comes in a night begin here."""
_PART_ROWS = 1_000_000
_ROWS_AT_ONCE = 250_000
_MACROS = """
create macro index_of(c) as c * {sites} // {cases};
create macro site_of(c) as printf('NB%02d', 1 + index_of(c));
create macro nth(c) as c - (index_of(c) * {cases} + {sites} - 1) // {sites};
create macro year_of(c) as least({first_year} + nth(c) // {yearly}, {first_year} + {years} - 1);
create macro within(c) as 1 + nth(c) - (year_of(c) - {first_year}) * {yearly};
create macro number_of(c) as printf('S%02d-%d', year_of(c) - 2000, within(c));
create macro day_of(c) as make_timestamp(year_of(c), 1, 1, 8, 5, 0) + to_days((within(c) * 360 // ({yearly} + 1))::int);
create macro pick(kind, i, n) as (hash(kind || i::varchar) % n::ubigint)::bigint;
create macro code(kind, i) as kind || '-' || upper(substr(md5(kind || i), 1, 16));
create macro case_of_report(r) as least(r * 9 // 10, {cases} - 1);
create macro case_of_slide(i) as (i // {of_case}) * {cases} // ({slides} // {of_case} + 1);
create macro patient_of(c) as 1 + c * 7 // 10;
create macro who(p) as case when p % 50 = 0 then 1 + pick('moved', p, {cases} * 7 // 10) else p end;
create macro born(w) as date '1935-01-01' + pick('born', w, 25000)::int;
create macro is_male(w) as w % 500 % 2 = 1;
create macro digits(w) as '330203' || strftime(born(w), '%Y%m%d') || printf('%03d', w % 500);
create macro card(w) as digits(w) || substr('10X98765432', 1 + (list_sum(list_transform(list_zip(
  [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2], string_split(digits(w), '')),
  lambda pair: pair[1] * pair[2]::int)) % 11)::int, 1);
create macro letter(text, i) as substr(text, 1 + (i % length(text))::int, 1);
create macro name_of(w) as letter('{surnames}', pick('a', w, 1000)) || letter('{given}', pick('b', w, 1000))
  || letter('{given}', pick('c', w, 1000));
create macro file_of(c) as 'lis/' || site_of(c) || '/' || year_of(c) || '.csv';
"""
_SLIDES = """
with named as (
  select i, c, site_of(c) as site, nth(c) % 2 = 0 as is_filed, printf('S%02d-%07d', year_of(c) - 2000, within(c)) as number,
    year_of(c)::varchar as year, chr((65 + i % 2)::int) as part, (1 + i % 9)::varchar as block, pick('stain', i, 10) as dye,
    i % 40 = 7 as is_lost
  from (select i, case_of_slide(i) as c from range({first}, {last}) t(i)))
select code('S', i) as slide_id, site, 'main' as archive, encode(path) as relpath, 'file:///archive/' || site || '/' || path
  as uri, 1 as file_count, 300000000 + pick('size', i, 2000000000) as size_bytes, day_of(c) + to_days(9) as mtime,
  'svs' as format, 'aperio' as vendor, 'GT450' as scanner_model, 'SS' || (100 + pick('scanner', i, 40)) as scanner_serial,
  day_of(c) + to_days(3 + pick('scanned', i, 400)::int) as scan_datetime, 20000 + pick('w', i, 60000) as width,
  20000 + pick('h', i, 50000) as height, 4 as level_count, [1.0, 4.0, 16.0, 64.0] as level_downsamples, 256 as tile_width,
  256 as tile_height, 'jpeg' as compression, mpp as mpp_x, mpp as mpp_y, 'vendor' as mpp_source, 40.0 as objective_power,
  1 as focal_planes, 3 as channels, true as icc_profile, true as has_label, true as has_overview, true as has_thumbnail,
  case when not is_lost and i % 10 < 6 then number || '-' || part || block end as barcode,
  case when not is_lost and i % 10 < 6 then 'header' end as barcode_source,
  case when not is_lost and i % 5 = 0 then ['5533', number || ' ' || part || block] end as metadata_texts,
  case when not is_lost and i % 7 = 0 then printf('%08d', patient_of(c)) end as patient_id,
  case when dye < 7 then 'HE' else ['IHC:Ki-67', 'IHC:CK7', 'PAS'][dye - 6] end as stain,
  'sha256:' || sha256('h' || i) as header_fingerprint, 'sha256:' || sha256('s' || i) as shape_fingerprint,
  case when i % 97 = 0 then 'truncated' else 'ok' end as status, 'header' as check_level, 1000 as tiles_checked,
  0 as tiles_bad, 'online' as storage_state, now()::timestamp as scanned_at, 'tiff' as reader, 1 as reader_version
from (select *, [0.2431, 0.2527, 0.4990][1 + pick('mpp', i, 3)] as mpp,
    year || '/' || case when is_lost then 'scan_' || i else case when is_filed then number || '/' else '' end || number
      || '-' || part || block || '_' || case when dye < 7 then 'HE' else ['KI67', 'CK7', 'PAS'][dye - 6] end end
      || '_' || (i % 7) || '.svs' as path from named)
order by i
"""
_REPORTS = """
with numbered as (
  select r, c, patient_of(c) as p, who(patient_of(c)) as w, pick('sample', r, {samples}) as k, r % 10 = 1 as is_more
  from (select r, case_of_report(r) as c from range({first}, {last}) t(r))),
own as (select *, printf('%d.%d×%d.%d×%d.%dcm', 1 + pick('x', r, 9), pick('y', r, 10), 1 + pick('z', r, 9), pick('u', r, 10),
  1 + pick('v', r, 9), pick('t', r, 10)) as size, printf('约%d个/10HPF', 10 + pick('m', r, 90)) as mitoses,
  '139' || printf('%08d', pick('phone', w, 100000000)) as phone_of, name_of(w) as name from numbered)
select s.* replace (
  code('R', r) as report_id, site_of(c) as site, printf('%08d', p) as patient_id, name as patient_name,
  case when pick('card', w, 10) < 7 then card(w) end as id_number,
  case when is_male(w) then 'male' else 'female' end as sex,
  greatest(0, least(99, year_of(c) - year(born(w)))) as age, number_of(c) as accession, number_of(c) as accession_raw,
  case when is_more then 'supplementary' else 'primary' end as report_type, true as is_current,
  case when is_more then 2 else 1 end as case_order, day_of(c) as received_date,
  day_of(c) + to_days(case when is_more then 9 else 2 end) as reported_date, phone_of as phone,
  replace(gross, '{size}', size) as gross, replace(microscopy, '{mitoses}', mitoses) as microscopy,
  replace(replace(replace(comment, '{name}', name), '{phone}', phone_of), '{date}', strftime(day_of(c), '%Y-%m-%d'))
    as comment,
  file_of(c) as source_file, 2 + r as source_row, 'sha256:' || sha256(k || size || mitoses || name) as text_digest)
from own join samples s on s.at = own.k order by r
"""
_SAID = """
select d.* replace (code('R', r) as report_id, site_of(case_of_report(r)) as site)
from (select r, pick('sample', r, {samples}) as k from range({first}, {last}) t(r)) own
join (select s.at, d.* from said d join samples s using (report_id)) d on d.at = own.k order by site, report_id, ordinal
"""
_ROWS = """
select site_of(c) as site, 'reports' as "table", file_of(c) as source_file, 2 + r as source_row,
  unhex(md5('i' || r)) as identity, unhex(md5('c' || r)) as content, 1 as ordinal, code('R', r) as row_id
from (select r, case_of_report(r) as c from range({first}, {last}) t(r)) order by site, source_file, content
"""
_NIGHT = """
select 'S-' || upper(substr(md5('night {night} ' || i), 1, 16)) as slide_id, 'NB01' as site, 'main' as archive,
  encode('2026/' || number || '-A' || (1 + i % 9) || '_HE_' || i || '.svs') as relpath, 1 as file_count, 'svs' as format,
  'aperio' as vendor, 0.2431 as mpp_x, 0.2431 as mpp_y, number || '-A' || (1 + i % 9) as barcode, 'HE' as stain,
  timestamp '2026-01-02 03:04:05' as scan_datetime, 40000 as width, 40000 as height, 'ok' as status
from (select i, printf('S26-%07d', {first} + 1 + i * {cases} // {slides}) as number from range({slides}) t(i))
"""
_FILES = """
select site_of(c) as site, file_of(c) as source_file, count(*) as rows
from (select case_of_report(r) as c from range(0, {reports}) t(r)) group by all order by 1, 2
"""


@dataclass(frozen=True)
class Size:
    """How large an archive is."""

    slides: int
    reports: int

    @property
    def cases(self) -> int:
        """Nine of ten reports are of a case of their own."""
        return max(self.reports * 9 // 10, SITES)

    @property
    def yearly(self) -> int:
        """Cases of a site in a year."""
        return self.cases // SITES // YEARS + 1


def make_archive(base: Path, size: Size, samples: int = 4000) -> None:
    """Write a workspace whose catalog holds so many slides and reports."""
    write_settings(base)
    imported = _imported_samples(base / "samples", samples)
    catalog = Catalog(base / "catalog")
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = 2; SET memory_limit = '3GB'; SET temp_directory = '{base / 'spill'}'")
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            _MACROS.format(
                sites=SITES, cases=size.cases, slides=size.slides, yearly=size.yearly, first_year=FIRST_YEAR, years=YEARS,
                of_case=SLIDES_OF_A_CASE, surnames=SURNAMES, given=GIVEN,
            )
        )  # fmt: skip
        _add_slides(catalog, connection, size.slides)
        _write_reports(catalog, connection, size, imported)
        _remember_files(base, catalog, connection, size)
    shutil.rmtree(base / "samples")
    shutil.rmtree(base / "spill", ignore_errors=True)


def make_night(base: Path, cases: int, night: int) -> tuple[int, int]:
    """What one night adds: an export of reports that the workspace names, and slides as a scan would have found them.

    Returns:
        New reports and new slides.
    """
    reports, slides, first = cases * 5 // 2, cases * 7 // 5, night * 100_000
    rows = []
    for number in range(reports):
        case = number * cases // reports
        is_more = number > 0 and case == (number - 1) * cases // reports
        person = archive_texts.made_person(NIGHT + first + case)
        row = archive_texts.new_row(10 * (NIGHT + first) + number, f"S26-{first + case + 1}", person)
        rows.append((*row[:-2], "补充" if is_more else "常规", row[-1]))
    archive_texts.write_export(base / f"lis/NB01/night{night}.csv", rows)
    sql = _NIGHT.format(night=night, first=first, cases=cases, slides=slides)
    with duckdb.connect() as connection:
        found = conform(SLIDES, connection.sql(sql).to_arrow_table())
    Catalog(base / "catalog").upsert(SLIDES, found, only_adds=True)
    return reports, slides


def write_settings(base: Path) -> None:
    """The workspace file and who may be used for what."""
    sites = [
        f"  - {{code: NB{n:02}, archives: [{{name: main, root: a{n}}}], reports: [{{path: 'lis/NB{n:02}/*.csv'}}]}}\n"
        for n in range(1, SITES + 1)
    ]
    base.mkdir(parents=True, exist_ok=True)
    (base / "pathcurate.yaml").write_text(
        f"workspace: 1\nname: archive\nsites:\n{''.join(sites)}permissions: [{{path: consent.csv}}, {{path: left.csv}}]\n"
        "deid: {profile: enclave}\n"
    )
    kinds = "slides;reports;events"
    consent = [f"NB{n:02},waiver,research,{kinds},2018-01-01,2079-12-31\n" for n in range(1, SITES + 1)]
    (base / "consent.csv").write_text("机构,依据,用途,数据类型,有效期起,有效期止\n" + "".join(consent))
    (base / "left.csv").write_text("机构,住院号,退出\n" + "".join(f"NB01,{n:08},是\n" for n in range(1, 200, 10)))


def _imported_samples(base: Path, count: int) -> Catalog:
    """Reports of ``archive_texts``, imported."""
    archive_texts.write_export(base / "lis/samples.csv", archive_texts.samples(count))
    site = "{code: NB01, reports: [{path: lis/*.csv}]}"
    (base / "pathcurate.yaml").write_text(f"workspace: 1\nname: samples\nsites: [{site}]\n")
    command = [sys.executable, "-m", "pathcurate", "reports", "import", "-q", "-w", str(base)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return Catalog(base / "catalog")


def _add_slides(catalog: Catalog, connection: duckdb.DuckDBPyConnection, count: int) -> None:
    for start in range(0, count, _PART_ROWS):
        sql = _SLIDES.format(first=start, last=min(count, start + _PART_ROWS))
        catalog.upsert(SLIDES, conform(SLIDES, connection.sql(sql).to_arrow_table()), only_adds=True)


def _write_reports(catalog: Catalog, connection: duckdb.DuckDBPyConnection, size: Size, imported: Catalog) -> None:
    read = imported.read(REPORTS)
    samples = read.append_column("at", pa.array(range(read.num_rows)))
    connection.register("sample_rows", samples)
    connection.execute("create table samples as select * from sample_rows")
    values = {**SLOTS, "samples": read.num_rows}
    starts = range(0, size.reports, _ROWS_AT_ONCE)
    spans = [(start, min(size.reports, start + _ROWS_AT_ONCE)) for start in starts]
    catalog.replace_streamed(REPORTS, _rows(connection, REPORTS, _REPORTS, spans, values), "made up")
    spans = list(_spans_of_sites(size))
    for table in (DIAGNOSES, IHC_RESULTS):
        connection.register("said_rows", imported.read(table))
        connection.execute("create or replace table said as select * from said_rows")
        catalog.replace_streamed(table, _rows(connection, table, _SAID, spans, values), "made up")
    catalog.replace_streamed(SOURCE_ROWS, _rows(connection, SOURCE_ROWS, _ROWS, spans, {}), "made up")


def _rows(
    connection: duckdb.DuckDBPyConnection, table: Table, sql: str, spans: list[tuple[int, int]], values: dict[str, object]
) -> Iterator[pa.RecordBatch]:
    names = arrow_schema(table).names
    for first, last in spans:
        reader = connection.sql(sql.format(first=first, last=last, **values)).to_arrow_reader(50_000)
        for batch in reader:
            rows = pa.Table.from_batches([batch])
            yield from conform(table, rows.select([name for name in names if name in rows.column_names])).to_batches()


def _spans_of_sites(size: Size) -> Iterator[tuple[int, int]]:
    """First and last report of some whole sites each, few enough rows to be sorted in memory."""
    starts = [-(-index * size.cases // SITES) for index in range(SITES)]
    # The first report r of a case c is the least r with r * 9 // 10 = c.
    firsts = [-(-start * 10 // 9) for start in starts]
    first = 0
    for start in (*firsts[1:], size.reports):
        if start - first >= _ROWS_AT_ONCE or start == size.reports:
            yield first, start
            first = start


def _remember_files(base: Path, catalog: Catalog, connection: duckdb.DuckDBPyConnection, size: Size) -> None:
    """Note the export files as imported, each as it stands: it holds hardly anything, so that millions of reports fit."""
    state = " ".join(catalog.state(table) for table in (REPORTS, DIAGNOSES, IHC_RESULTS))
    found = connection.sql(_FILES.format(reports=size.reports)).fetchall()
    for site, name, _ in found:
        (base / "lis" / site).mkdir(parents=True, exist_ok=True)
        path = base / name
        path.write_text("simulated\n")
        os.utime(path, (1.6e9, 1.6e9))
    read_as = _read_as(base)
    moment = datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=1)
    records = []
    for site, name, rows in found:
        length, mtime = file_state(base / name)
        records.append(
            {"site": site, "table": "reports", "source_file": name, "content_sha256": content_sha256(base / name),
             "read_as": read_as[site], "size_bytes": length, "mtime_ns": mtime, "rows": rows, "state": state,
             "imported_at": moment}
        )  # fmt: skip
    catalog.replace(SOURCES, from_rows(SOURCES, records))


def _read_as(base: Path) -> dict[str, str]:
    """By which rules an import would read the files of each site."""
    workspace = load_workspace(base / "pathcurate.yaml")
    return {site.code: _rules_of(site, site.reports[0], Mapping(), None) for site in workspace.sites}
