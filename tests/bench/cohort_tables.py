"""De-identified tables of the size of an archive, made up by SQL: for measuring cohorts, and for nothing else.

One slide of ten is of a thoracic case; cases have three slides on the average, and three reports for two cases.
"""

from pathlib import Path

import duckdb

_SLIDES = """
with numbered as (select i, i // 3 as c from range({slides}) t(i))
select 'S-' || upper(substr(md5('s' || i), 1, 16)) as slide_id, 'C-' || upper(substr(md5('c' || c), 1, 16)) as case_id,
  'P-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as patient_id,
  'Q-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as group_id,
  printf('NB%02d', c % 19) as site, case when i % 97 = 0 then 'truncated' else 'ok' end as status,
  case when i % 23 = 0 then 'none' when i % 5 = 0 then 'barcode' else 'exact' end as tier,
  chr((65 + i % 3)::integer) as specimen, (1 + i % 9)::varchar as block,
  ['HE', 'HE', 'HE', 'PAS', 'IHC:Ki-67'][1 + (i * 7919 % 5)::integer] as stain,
  ['svs', 'ndpi', 'mrxs', 'kfb', 'tiff', 'other'][1 + (i * 31 % 6)::integer] as format,
  case when i % 41 = 0 then null else [0.2431, 0.2527, 0.4990][1 + (i * 17 % 3)::integer] end as mpp,
  (i * 7 % 1000) / 1000.0::double as tissue_fraction, i % 53 = 0 as is_control,
  case when i % 37 = 0 then 'blur' when i % 43 = 0 then 'pen' else 'ok' end as qc,
  cast(null as varchar) as scan_group, ['male', 'female'][1 + (c % 2)::integer] as sex,
  ['40-44', '50-54', '60-64', '70-74'][1 + (c * 3 % 4)::integer] as age_band, (1 + c % 90)::bigint as age,
  20000 + (i % 60000) as width, 20000 + (i % 50000) as height, 'aperio' as vendor,
  date '2010-01-01' + (i * 13 % 5400)::integer as scan_datetime, 2010 + (i * 13 % 5400) // 365 as year
from numbered order by slide_id
"""
_REPORTS = """
with numbered as (select i, (i * 2) // 3 as c from range({reports}) t(i))
select 'R-' || upper(substr(md5('r' || i), 1, 16)) as report_id, 'C-' || upper(substr(md5('c' || c), 1, 16)) as case_id,
  'P-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as patient_id,
  'Q-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as group_id, printf('NB%02d', c % 19) as site,
  case when i % 50 = 0 then 'preliminary' else 'final' end as status, i % 3 <> 0 as is_current,
  case when c % 10 = 3 then ['C34.1', 'C34.9', 'C37', 'C38.1'][1 + (c % 4)::integer]
       when i % 4 = 0 then null else ['C18.2', 'C50.4', 'D12.6', 'K29.5', 'C64'][1 + (c * 7 % 5)::integer] end as icd10,
  case when c % 10 = 3 then ['8140/3', '8070/3', '8041/3', '8250/3'][1 + (c * 3 % 4)::integer]
       when i % 4 = 0 then null else ['8140/3', '8500/3', '8211/0'][1 + (c * 11 % 3)::integer] end as icdo3_morphology,
  cast(null as varchar) as laterality,
  date '2010-01-01' + (c * 11 % 5400)::integer + (i % 9)::integer as reported_date
from numbered order by report_id
"""
_CONCEPTS = """
with numbered as (select i, (i * 2) // 3 as c from range({reports}) t(i))
select 'R-' || upper(substr(md5('r' || i), 1, 16)) as report_id, 1 as ordinal,
  'C-' || upper(substr(md5('c' || c), 1, 16)) as case_id, 'P-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as patient_id,
  ['adenocarcinoma', 'squamous', 'neoadjuvant', 'metastasis'][1 + (c * 3 % 4)::integer] as concept,
  '{sha}' as concept_sha, case when i % 11 = 0 then 'negated' else 'affirmed' end as assertion
from numbered where c % 10 = 3 or i % 40 = 0 order by report_id
"""
_DIAGNOSES = """
select report_id, 1 as ordinal, case_id, patient_id, group_id, site, cast(null as varchar) as specimen, 'lung' as organ,
  icdo3_morphology, icd10, 'affirmed' as assertion
from read_parquet('{reports}') where icdo3_morphology is not null order by report_id
"""
_CASES = """
with numbered as (select c from range({cases}) t(c))
select 'C-' || upper(substr(md5('c' || c), 1, 16)) as case_id,
  'P-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as patient_id,
  'Q-' || upper(substr(md5('p' || c * 3 // 4), 1, 16)) as group_id, printf('NB%02d', c % 19) as site,
  ['male', 'female'][1 + (c % 2)::integer] as sex, (1 + c % 90)::bigint as age, 3 as slide_count, 2 as report_count,
  date '2010-01-01' + (c * 11 % 5400)::integer as received_date, cast(null as date) as birth_date
from numbered order by case_id
"""


def make_tables(folder: Path, slides: int, shas: dict[str, str]) -> None:
    """Write ``deid/`` and ``criteria/`` below a folder, for so many slides and half as many reports.

    Args:
        folder: gets the tables.
        slides: rows of the largest of them.
        shas: digest of each concept, as the recipe that is measured has them.
    """
    connection = duckdb.connect()
    connection.execute("SET memory_limit = '6GB'; SET enable_progress_bar = false")
    connection.execute(f"SET temp_directory = '{folder / 'spill'}'")
    made = {
        "slides": (_SLIDES, ("slide_id", "scan_datetime", "year")),
        "reports": (_REPORTS, ("report_id", "reported_date")),
        "cases": (_CASES, ("case_id", "received_date", "birth_date", "age")),
    }
    for name in ("deid", "criteria"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    sizes = {"slides": slides, "reports": slides // 2, "cases": slides // 3 + 1}
    for name, (sql, true) in made.items():
        rows = sql.format(**sizes)
        _write(connection, rows, folder / "deid" / f"{name}.parquet")
        chosen = f"select {', '.join(true)} from read_parquet('{folder / 'deid' / name}.parquet')"
        _write(connection, chosen, folder / "criteria" / f"{name}.parquet")
    case = " ".join(f"when '{name}' then '{sha}'" for name, sha in shas.items())
    concepts = f"select * replace (case concept {case} end as concept_sha) from ({_CONCEPTS.format(sha='', **sizes)})"
    _write(connection, concepts, folder / "deid" / "report_concepts.parquet")
    _write(connection, _DIAGNOSES.format(reports=folder / "deid" / "reports.parquet"), folder / "deid" / "diagnoses.parquet")
    people = (f"select distinct patient_id, group_id, 'female' as sex, 1 as case_count, 3 as slide_count"
              f" from read_parquet('{folder / 'deid' / 'cases.parquet'}') order by patient_id")  # fmt: skip
    _write(connection, people, folder / "deid" / "patients.parquet")
    born = f"select patient_id, cast(null as date) as birth_date from read_parquet('{folder / 'deid' / 'patients.parquet'}')"
    _write(connection, born, folder / "criteria" / "patients.parquet")


def _write(connection: duckdb.DuckDBPyConnection, sql: str, path: Path) -> None:
    connection.execute(f"COPY ({sql}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 131072)")
