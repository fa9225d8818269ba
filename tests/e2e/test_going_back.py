"""A year of an archive: thousands of reports, of which 2,040 change; then the cohort of the first day is asked for again."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pathcurate import deid
from pathcurate.attribution import WORDS, Differences, Reason, attribute, read_runs
from pathcurate.cohort import CohortResult, read_recipe, select
from pathcurate.deid import apply
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.engines.embedded import Embedded
from pathcurate.erasure import erase_person, plan_erasure
from pathcurate.goingback import Earlier, erasures_since, parse_as_of
from pathcurate.model.link import LINK_DECISIONS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, from_rows, read_parquet
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace, load_workspace
from tests.archives import Here
from tests.clinic import Row, link_again, open_clinic, report, slide
from tests.commandline import Done, pathcurate

REPORT_COUNT = 2160
CHANGED = 2040
NEW_SLIDES = 60
FIRST_NEW = 2050
WRONG, RIGHT = 2133, 2134
ORGANS = ("breast", "lung", "skin")
RECIPE = """\
recipe: 1
name: breasts
version: 1.0.0
title: Slides of breasts
unit: slide
include:
  - {id: of_breast, level: case, where: {organ: breast}}
  - {id: standing, level: patient, has: {table: reports, where: {status: final}}}
split: {ratios: {train: 0.8, test: 0.2}}
columns: [slide_id, case_id, patient_id, stain, scan_datetime, split]
"""


@dataclass(frozen=True)
class Year:
    """A workspace after a year.

    Attributes:
        root: its directory; nobody may change it.
        first: a moment of the first day.
        cohort: bytes of that day's cohort.
        differences: between the cohort of the first day and that of the last.
        new: numbers of the slides that came.
    """

    root: Path
    first: datetime
    cohort: bytes
    differences: Differences


def a_report(number: int, **values: object) -> Row:
    named: Row = {"patient_id": _patient(number), "patient_name": None, "organ": ORGANS[number % 3]}
    return report(number, f"S23-{number:05}", **{**named, "birth_date": None, **values})


def a_slide(number: int, case: int) -> Row:
    return slide(number, barcode=f"S23-{case:05}-A1")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with pytest.MonkeyPatch.context() as patch, Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as one:
        patch.setattr(Embedded, "run", Here.run)
        # The present tables are verified in many tests; those of the first day are, here.
        patch.setattr(deid, "known", lambda _: None)
        patch.setattr(deid, "find_faults", lambda *_: [])
        yield one


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory, engine: Embedded) -> Year:
    root = tmp_path_factory.mktemp("year")
    numbers = range(REPORT_COUNT)
    keys = {f"S-{n:016d}": f"S23-{n:05}" for n in numbers}
    open_clinic(root, slides=[slide(n) for n in numbers], reports=[a_report(n) for n in numbers], keys=keys, events=[])
    catalog = Catalog(root / "catalog")
    file = root / "pathcurate.yaml"
    file.write_text(file.read_text() + "permissions: [{path: consent.csv}]\n")
    (root / "consent.csv").write_text("病案号\n")
    (root / "breasts.yaml").write_text(RECIPE)
    workspace = load_workspace(file)
    record_permission_lists(workspace)
    state(workspace)
    apply(workspace, actor="tester")
    cohort(workspace, engine)
    before = (workspace.cohorts / "breasts" / "cohort.parquet").read_bytes()
    first = datetime.now(UTC)
    for quarter in range(4):
        some = range(quarter * CHANGED // 4, (quarter + 1) * CHANGED // 4)
        # One in twenty is of another organ since, the others are worded anew.
        rows = [a_report(n, organ=ORGANS[(n + (n % 20 == 0)) % 3], age=62) for n in some]
        catalog.upsert(REPORTS, from_rows(REPORTS, rows))
    come = range(REPORT_COUNT, REPORT_COUNT + NEW_SLIDES)
    catalog.upsert(SLIDES, from_rows(SLIDES, [a_slide(n, n - REPORT_COUNT + FIRST_NEW) for n in come]))
    decision = {
        "decision_id": "D-1", "slide_id": f"S-{WRONG:016d}", "site": "NB01", "accession": f"S23-{RIGHT:05}",
        "decision": "confirm", "decided_at": datetime.fromisoformat("2026-01-01"), "reviewer": "x",
    }  # fmt: skip
    catalog.upsert(LINK_DECISIONS, from_rows(LINK_DECISIONS, [decision]))
    follow(workspace)
    cohort(workspace, engine)
    folder = workspace.cohorts / "breasts"
    return Year(root, first, before, attribute(*read_runs(folder / "previous", folder)))


@pytest.fixture
def later(year: Year, tmp_path: Path) -> Workspace:
    shutil.copytree(year.root, tmp_path / "later")
    return load_workspace(tmp_path / "later" / "pathcurate.yaml")


def state(workspace: Workspace, *opt_outs: int) -> None:
    """Everybody of the site agrees, but for the patients of some reports."""
    site: Row = {"subject": "site", "site": "NB01", "basis": "waiver", "purposes": ["research"], "opt_out": False,
                 "data_kinds": ["slides", "reports"], "source": "a", "source_row": 1}  # fmt: skip
    out = [
        {"subject": "person", "site": "NB01", "subject_value": _patient(n), "opt_out": True, "source": "a",
         "source_row": n}
        for n in opt_outs
    ]  # fmt: skip
    Catalog(workspace.catalog).replace(PERMISSIONS, from_rows(PERMISSIONS, [site, *out]))


def follow(workspace: Workspace) -> None:
    link_again(workspace)
    assert apply(workspace, actor="tester").faults == ()


def cohort(workspace: Workspace, engine: Embedded) -> CohortResult:
    source = read_recipe(workspace.root / "breasts.yaml")
    return select(workspace, engine, source, now=datetime.now(UTC) + timedelta(minutes=1))


def first_day(year: Year, workspace: Workspace) -> Earlier:
    now = datetime.now(UTC)
    return parse_as_of(year.first.isoformat(), workspace, directory=workspace.root, now=now)


def cohort_then(year: Year, workspace: Workspace) -> Done:
    recipe = workspace.root / "breasts.yaml"
    done = pathcurate("cohort", recipe, "--as-of", year.first.isoformat(), "-w", workspace.root)
    assert done.returncode == 0, done.stderr
    assert "with the permissions of today\n" in done.stderr
    return done


def test_a_year_and_2040_changed_reports_later_the_cohort_is_the_same_to_the_byte(year: Year, later: Workspace) -> None:
    folder = later.cohorts / "breasts"
    lock = folder / "previous" / "cohort.json"
    assert (folder / "cohort.parquet").read_bytes() != year.cohort
    assert parse_as_of(str(lock), later, directory=later.root, now=datetime.now(UTC)).states == first_day(year, later).states
    done = cohort_then(year, later)
    assert "erased" not in done.stderr
    assert (folder / "cohort.parquet").read_bytes() == year.cohort
    assert json.loads((folder / "cohort.json").read_bytes())["states"]["reports"] == "reports@1"
    back = attribute(*read_runs(folder / "previous", folder))
    assert back.unexplained == 0
    assert back.units.num_rows == year.differences.units.num_rows
    assert WORDS[Reason.DATA] in done.stdout
    assert "unexplained" not in done.stdout


def test_without_going_back_every_difference_has_its_reason(year: Year) -> None:
    counts = year.differences.counts
    reports = range(CHANGED)
    moved = [n for n in reports if n % 20 == 0]
    lost, gained = ([n for n in moved if ORGANS[(n + shift) % 3] == "breast"] for shift in (0, 1))
    came = [n for n in range(FIRST_NEW, FIRST_NEW + NEW_SLIDES) if ORGANS[n % 3] == "breast"]
    assert counts[("lost", Reason.DATA, "of_breast")] == len(lost)
    assert counts[("gained", Reason.DATA, "of_breast")] == len(gained)
    assert counts[("gained", Reason.NEW, "")] == len(came)
    # One slide was linked to a breast, and is known to be of another patient's lung.
    assert counts[("lost", Reason.LINK, "of_breast")] == 1
    assert year.differences.unexplained == 0
    whole = sum(counts.values())
    altered = sum(count for (change, _, _), count in counts.items() if change == "altered")
    assert whole - altered == len(lost) + len(gained) + len(came) + 1


def test_who_has_opted_out_or_was_erased_since_is_missing_and_nobody_else(year: Year, later: Workspace) -> None:
    # Who leaves may move others in the split, unless the recipe says `keep_from`.
    shown = ["slide_id", "case_id", "patient_id", "group_id", "stain", "scan_datetime"]
    before = read_parquet(later.cohorts / "breasts" / "previous" / "cohort.parquet", shown).to_pylist()
    # The erasure removes the cohorts, so what they held is kept here.
    planned = plan_erasure(later, _patient(12), "NB01")
    assert planned is not None
    erase_person(later, planned[1], actor="tester")
    assert erasures_since(later, year.first - timedelta(seconds=1)) == 1
    # Of the patient of report 1000 nothing was in the cohort; the true one of the wrong link was not in it by name.
    state(later, 6, 1000, RIGHT)
    follow(later)
    assert "1 patient was erased since, and cannot be brought back\n" in cohort_then(year, later).stderr
    folder = later.cohorts / "breasts"
    after = read_parquet(folder / "cohort.parquet", shown).to_pylist()
    codes = internal(open_vault(later.vault).key).codes
    gone = {codes.code("S", f"S-{number:016d}") for number in (6, 12, WRONG)}
    # Of each of these patients the other report is of another organ.
    assert [row for row in before if row["slide_id"] not in gone] == after
    assert len(before) - len(after) == len(gone)
    ledger = read_parquet(folder / "ledger.parquet").to_pylist()
    assert {row["slide_id"] for row in ledger if row["step"] == "permission"} & gone == gone - {
        codes.code("S", f"S-{12:016d}")
    }  # fmt: skip


def _patient(number: int) -> str:
    """Number of the patient of a report; two reports in a row are of one."""
    return str(500_000 + number // 2)
