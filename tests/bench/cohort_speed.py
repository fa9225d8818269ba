"""What a cohort costs at the size of an archive: the thoracic recipe, its attrition, and one criterion on concepts, beside a
query that somebody wrote by hand for the same rows, and beside pandas.

The tables are made up by SQL (``cohort_tables``). Each measurement has a process of its own; files are read from the page
cache. By hand means: the same files, with the joins and filters that keep the fewest rows first, and nothing but the rows; a
recipe also learns of every slide which criteria it fails. `python tests/bench/cohort_speed.py --help` shows the settings.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pathcurate.attrition import DECIDED, count_attrition
from pathcurate.cohort.whole import whole_paths
from pathcurate.engines.embedded import Embedded
from pathcurate.model.recipe import Recipe
from pathcurate.recipefile import load_recipe
from pathcurate.sqlplan.compiler import Plan, compile_recipe
from pathcurate.text.conceptdigest import concept_sha
from tests.bench.cohort_tables import make_tables
from tests.bench.phases import alone, peak_mb
from tests.bench.rows import Row, record

MEMORY = 1_200_000_000
"""Bytes that SQL may take; what is wanted of the whole process is 1,500 MB."""
RECIPE = """
recipe: 1
name: thoracic
version: 1.0.0
title: Thoracic tumours, H&E at 40x, subtype confirmed by the report
unit: slide
links: [exact, barcode, metadata, reviewed]
codelists:
  thoracic: {system: icd10, codes: [C34, C37, C38, "C45.0"], match: descendants}
  other_primary: {system: icd10, codes: [C18, C19, C20, C50, C64], match: descendants}
  carcinoma: {system: icdo3-morphology, codes: ["8140/3", "8070/3", "8041/3", "8250/3"]}
concepts:
  adenocarcinoma: {any: [adenocarcinoma]}
  squamous: {any: [squamous]}
  neoadjuvant: {any: [neoadjuvant], assertion: any}
  metastasis: {any: [metastasis]}
index: {table: reports, date: reported_date, pick: first, where: {icd10: {codelist: thoracic}, status: final}}
include:
  - {id: he, level: slide, where: {stain: HE}}
  - {id: forty_x, level: slide, where: {mpp: {min: 0.20, max: 0.30}}}
  - {id: known_format, level: slide, where: {format: {any_of: [svs, ndpi, mrxs, dicom, tiff, kfb]}}}
  - {id: scanned_since, level: slide, where: {scan_datetime: {min: 2012-01-01}}}
  - id: coded
    level: case
    has: {table: reports, where: {icd10: {codelist: thoracic}, icdo3_morphology: {codelist: carcinoma}}}
  - id: subtype
    level: case
    any_of: [{has: {table: reports, text: adenocarcinoma}}, {has: {table: reports, text: squamous}}]
exclude:
  - {id: control, level: slide, where: {is_control: true}}
  - {id: failed_qc, level: slide, where: {qc: {any_of: [blur, empty, pen]}}}
  - {id: metastasis, level: patient, has: {table: reports, text: metastasis, within: {from: -90d, to: 90d}}}
  - id: other_primary
    level: patient
    has: {table: reports, where: {icd10: {codelist: other_primary}}, within: {from: -5y, to: -1d}}
  - {id: treated, level: case, has: {table: reports, text: neoadjuvant}}
columns: [slide_id, case_id, patient_id, site, mpp]
"""
_THORACIC = "regexp_matches(icd10, '^(C34|C37|C38|C450)')"
BY_HAND = f"""
with day0 as (
  select patient_no, min(reported_date) as d from reports
  where status = 'final' and {_THORACIC.replace("icd10", "replace(icd10, '.', '')")} group by patient_no),
coded as (
  select distinct case_no from reports where {_THORACIC.replace("icd10", "replace(icd10, '.', '')")}
  and icdo3_morphology in ('8140/3', '8070/3', '8041/3', '8250/3')),
said as (select case_no, patient_no, concept, assertion, report_no from report_concepts),
subtype as (select distinct case_no from said where concept in ('adenocarcinoma', 'squamous') and assertion = 'affirmed'),
spread as (
  select distinct s.patient_no from said s join reports r on r.report_no = s.report_no
  join day0 i on i.patient_no = s.patient_no
  where s.concept = 'metastasis' and s.assertion = 'affirmed' and r.reported_date between i.d - 90 and i.d + 90),
other as (
  select distinct r.patient_no from reports r join day0 i on i.patient_no = r.patient_no
  where regexp_matches(replace(r.icd10, '.', ''), '^(C18|C19|C20|C50|C64)')
  and r.reported_date between i.d - interval 5 year and i.d - 1),
treated as (select distinct case_no from said where concept = 'neoadjuvant')
select s.slide_id from slides s
where s.status = 'ok' and s.tier in ('exact', 'barcode', 'metadata', 'reviewed') and s.stain = 'HE'
  and s.mpp between 0.2 and 0.3 and s.format in ('svs', 'ndpi', 'mrxs', 'dicom', 'tiff', 'kfb')
  and s.scan_datetime >= date '2012-01-01' and not s.is_control and s.qc not in ('blur', 'empty', 'pen')
  and s.case_no in (select case_no from coded) and s.case_no in (select case_no from subtype)
  and s.patient_no in (select patient_no from day0) and s.patient_no not in (select patient_no from spread)
  and s.patient_no not in (select patient_no from other) and s.case_no not in (select case_no from treated)
"""


@dataclass(frozen=True)
class Place:
    """Where the made-up tables lie; it stands in for a workspace."""

    deid: Path
    criteria: Path


def recipe() -> Recipe:
    """The recipe that is measured."""
    return load_recipe(Path("thoracic.yaml"), text=RECIPE).recipe


def made(folder: Path, slides: int) -> dict[str, Path]:
    """The tables as queries read them, made if they are not there yet."""
    if not (folder / "deid" / "diagnoses.parquet").is_file():
        make_tables(folder, slides, {name: concept_sha(one) for name, one in (recipe().concepts or {}).items()})
    names = ("slides", "cases", "patients", "reports", "report_concepts")
    return whole_paths(Place(folder / "deid", folder / "criteria"), dict.fromkeys(names, "made"), names)  # type: ignore[arg-type]


def opened(paths: dict[str, Path], folder: Path) -> tuple[Embedded, Plan]:
    """An engine with the recipe's views."""
    plan = compile_recipe(recipe(), with_permissions=False)
    engine = Embedded(workers=2, temp_directory=folder / "spill", memory_limit_bytes=MEMORY)
    for view in plan.views:
        engine.view(view, [paths[view]])
    return engine, plan


def by_recipe(paths: dict[str, Path], folder: Path) -> int:
    """Rows that the recipe keeps."""
    engine, plan = opened(paths, folder)
    with engine:
        return int(engine.table(plan.rows).num_rows)


def with_masks(paths: dict[str, Path], folder: Path) -> int:
    """The same rows, and of every other slide all criteria that it fails."""
    engine, plan = opened(paths, folder)
    with engine:
        return int(engine.table(f"select d.slide_id as slide_id from ({plan.sql}) as d where d.failed = 0").num_rows)


def with_attrition(paths: dict[str, Path], folder: Path) -> int:
    """The same with the attrition on all levels, as a dry run does it."""
    engine, plan = opened(paths, folder)
    with engine:
        engine.materialise(DECIDED, plan.sql)
        return count_attrition(engine, "slide", plan.steps).kept.slides


def by_hand(paths: dict[str, Path], folder: Path) -> int:
    """The same rows by a query of one's own."""
    connection = duckdb.connect(config={"threads": 2, "memory_limit": "1200MB", "temp_directory": str(folder / "spill")})
    connection.execute("SET enable_progress_bar = false")
    for name, path in paths.items():
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")
    return len(connection.sql(BY_HAND).to_arrow_table())


def one_concept(paths: dict[str, Path], folder: Path) -> int:
    """Cases whose report says a concept."""
    engine, _ = opened(paths, folder)
    sha = concept_sha((recipe().concepts or {})["squamous"])
    with engine:
        engine.view("report_concepts", [paths["report_concepts"]])
        return int(engine.rows(
            "select count(distinct r.case_no) from reports as r join (select distinct m.report_no as report_no"
            f" from report_concepts as m where m.concept = 'squamous' and m.concept_sha = '{sha}'"
            " and m.assertion = 'affirmed') as m on m.report_no = r.report_no"
        )[0][0])  # fmt: skip


def by_pandas(paths: dict[str, Path], folder: Path) -> int:
    """The same rows by pandas, reading only the columns that it needs."""
    import pandas as pd

    del folder
    slides = pd.read_parquet(paths["slides"], columns=[
        "slide_id", "case_no", "patient_no", "status", "tier", "stain", "mpp", "format", "scan_datetime", "is_control", "qc",
    ])  # fmt: skip
    reports = pd.read_parquet(paths["reports"], columns=[
        "report_no", "case_no", "patient_no", "status", "icd10", "icdo3_morphology", "reported_date",
    ])  # fmt: skip
    said = pd.read_parquet(paths["report_concepts"], columns=["report_no", "case_no", "patient_no", "concept", "assertion"])
    code = reports["icd10"].str.replace(".", "", regex=False)
    thoracic = code.str.match("C34|C37|C38|C450", na=False)
    reports["reported_date"] = pd.to_datetime(reports["reported_date"])
    day0 = reports[thoracic & (reports["status"] == "final")].groupby("patient_no")["reported_date"].min().rename("d")
    coded = reports[thoracic & reports["icdo3_morphology"].isin(["8140/3", "8070/3", "8041/3", "8250/3"])]["case_no"]
    affirmed = said[said["assertion"] == "affirmed"]
    subtype = affirmed[affirmed["concept"].isin(["adenocarcinoma", "squamous"])]["case_no"]
    spread = affirmed[affirmed["concept"] == "metastasis"].merge(reports[["report_no", "reported_date"]], on="report_no")
    spread = spread.join(day0, on="patient_no", how="inner")
    spread = spread[(spread["reported_date"] - spread["d"]).dt.days.between(-90, 90)]["patient_no"]
    other = reports[code.str.match("C18|C19|C20|C50|C64", na=False)].join(day0, on="patient_no", how="inner")
    first, last = other["d"] - pd.DateOffset(years=5), other["d"] - pd.Timedelta(days=1)
    other = other[other["reported_date"].between(first, last)]["patient_no"]
    treated = said[said["concept"] == "neoadjuvant"]["case_no"]
    kept = slides[
        (slides["status"] == "ok") & slides["tier"].isin(["exact", "barcode", "metadata", "reviewed"])
        & (slides["stain"] == "HE") & slides["mpp"].between(0.2, 0.3)
        & slides["format"].isin(["svs", "ndpi", "mrxs", "dicom", "tiff", "kfb"])
        & (pd.to_datetime(slides["scan_datetime"]) >= "2012-01-01") & ~slides["is_control"]
        & ~slides["qc"].isin(["blur", "empty", "pen"]) & slides["case_no"].isin(coded) & slides["case_no"].isin(subtype)
        & slides["patient_no"].isin(day0.index) & ~slides["patient_no"].isin(spread) & ~slides["patient_no"].isin(other)
        & ~slides["case_no"].isin(treated)
    ]  # fmt: skip
    return len(kept)


MEASURED: dict[str, Callable[[dict[str, Path], Path], int]] = {
    "by hand (rows only)": by_hand,
    "recipe (rows)": by_recipe,
    "recipe (every slide's failures)": with_masks,
    "recipe with attrition on all levels": with_attrition,
    "one concept": one_concept,
    "pandas (rows only)": by_pandas,
}


def measured(name: str, paths: dict[str, Path], folder: Path) -> dict[str, Any]:
    """Wall and processor seconds of one measurement, its peak of memory and what it found."""
    began, used = time.perf_counter(), time.process_time()
    found = MEASURED[name](paths, folder)
    return {"wall": time.perf_counter() - began, "cpu": time.process_time() - used, "peak": peak_mb(), "found": found}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=1_400_000)
    parser.add_argument("--folder", type=Path, help="keep the tables here for the next time")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--no-pandas", action="store_true", help="it takes 12 GB for 14 million slides")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.folder or Path(temporary)
        paths = made(folder, settings.slides)
        sys.stdout.write(f"{settings.slides:,} slides, {settings.slides // 2:,} reports\n")
        for name in MEASURED:
            if name.startswith("pandas") and settings.no_pandas:
                continue
            for _ in range(settings.repeat):
                one = alone(measured, name, paths, folder)
                times = f"{one['wall']:6.1f} s  {one['cpu']:6.1f} s of processors  {one['peak']:7,.0f} MB"
                what = f"cohort of {settings.slides:,} slides: {name}"
                record(Row(what, one["wall"], "s", at_least=False, peak_bytes=int(one["peak"] * 1e6)))
                sys.stdout.write(f"{name:<36} {times}  {one['found']:>9,} found\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
