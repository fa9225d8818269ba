"""What an analyst, or whoever gets a release, may not learn from a cohort: true values, opted-out cases, single rows."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.cohort import CohortResult, read_recipe, select, whole, written
from pathcurate.disclosure.criteria import telling_criteria
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PlanIncompleteError, RecipeError
from pathcurate.manifest import build
from pathcurate.model.column import Identifying
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.declared import label_columns
from pathcurate.requests import Request, refusal
from pathcurate.tables import read_parquet
from pathcurate.workspace import Workspace

sys.path.append(str(Path(__file__).parents[1] / "spec"))

from drawn_hospital import SHIFTED_AGE, SHIFTED_CODE, SHIFTED_DATE, draw

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)
PEOPLE = """
slides
slide | case | stain | scan_datetime | age | year
S1    | C1   | HE    | 2011-11-11    | 95  | 2011
S2    | C2   | PAS   | 2011-11-12    | 96  | 2011

cases
case | patient | age | received_date | reported_date | year
C1   | P1      | 95  | 2011-10-11    | 2011-10-12    | 2011
C2   | P2      | 96  | 2011-10-13    | 2011-10-14    | 2011

reports
report | case | reported_date | age
R1     | C1   | 2011-10-12    | 95
R2     | C2   | 2011-10-14    | 96

events
event | patient | kind       | code | date       | value
E1    | P1      | laboratory | Na 1 | 2011-10-20 | 3.5
E2    | P2      | laboratory | Na 1 | 2011-10-21 | 4.5
"""
TWO_CASES = """
slides
slide | case | stain | site
S1    | C1   | HE    | NB01
S2    | C2   | HE    | NB02

cases
case | patient | group | site
C1   | P1      | Q1    | NB01
C2   | P1      | Q1    | NB02

reports
report | case | icd10
R1     | C1   | C34.1
R2     | C2   | C50.9

diagnoses
report | icd10
R1     | C34.1
R2     | C50.9

annotations
annotation | slide
A1         | S1
A2         | S2

permissions
subject | code | opt_out
{}
"""
DAY_0 = {"table": "reports", "date": "reported_date", "pick": "first"}


def recipe_file(folder: Path, **changes: Any) -> Path:
    content: dict[str, Any] = {"recipe": 1, "name": "r", "version": "1.0.0", "title": "t", "unit": "slide"}
    columns: dict[str, Any] = {} if "tables" in changes else {"columns": ["slide_id"]}
    file = folder / "r.yaml"
    file.write_text(json.dumps(content | columns | changes), encoding="utf-8")
    return file


def run(workspace: Workspace, *, dry_run: bool = False, **changes: Any) -> CohortResult:
    source = read_recipe(recipe_file(workspace.root, **changes))
    with Embedded(workers=1, temp_directory=workspace.root / "spill") as engine:
        return select(workspace, engine, source, now=NOW, dry_run=dry_run)


def recipe_of(folder: Path, **changes: Any) -> Recipe:
    return read_recipe(recipe_file(folder, **changes)).recipe


# --- True values -------------------------------------------------------------------------------------------------------


def of_case(column: str, name: str = "it") -> dict[str, Any]:
    return {"name": name, "level": "case", "column": column}


def nearest(column: str) -> dict[str, Any]:
    return {"name": f"event_{column}", "level": "patient", "nearest": {"table": "events", "column": column}}


def test_a_label_without_classes_shows_what_a_column_would_show(tmp_path: Path) -> None:
    workspace = draw(PEOPLE).workspace(tmp_path)
    labels = [
        of_case("cases.age", "age_then"), of_case("cases.received_date", "came"), of_case("reports.reported_date", "left"),
        {"name": "scanned", "level": "slide", "column": "slides.scan_datetime"},
        nearest("date"), nearest("code"), nearest("value"),
    ]  # fmt: skip
    result = run(workspace, index=DAY_0, labels=labels)
    assert result.directory is not None
    shown = {
        "case_age_then": SHIFTED_AGE, "case_came": SHIFTED_DATE, "case_left": SHIFTED_DATE, "scanned": SHIFTED_DATE,
        "patient_event_date": SHIFTED_DATE, "patient_event_code": SHIFTED_CODE, "patient_event_value": float(SHIFTED_AGE),
    }  # fmt: skip
    rows = read_parquet(result.directory / "cohort.parquet").select(list(shown)).to_pylist()
    assert rows == [shown] * 2
    said = set(read_parquet(result.directory / "labels.parquet")["value"].to_pylist())
    assert said == {str(SHIFTED_AGE), str(SHIFTED_DATE), SHIFTED_CODE}


def asks(criterion: str, **where: Any) -> dict[str, Any]:
    return {"id": criterion, "level": "case", "where": where}


def classes(column: str, **conditions: Any) -> dict[str, Any]:
    return {"labels": [of_case(column) | {"classes": conditions}]}


TELLING: dict[str, dict[str, Any]] = {
    "two criteria with a bound each": {
        "include": [asks("a", received_date={"min": "2011-10-13"}), asks("b", received_date={"max": "2011-10-15"})]},
    "a bound of each of two dates": {
        "include": [asks("a", received_date={"min": "2011-10-13"}), asks("b", reported_date={"max": "2011-10-20"})]},
    "the end of a true year": {
        "include": [asks("a", received_date={"min": "2011-12-20"}), asks("b", year=2011)]},
    "another class than the first": classes("cases.received_date", old={"max": "1990-01-01"}, it=["2011-10-11"]),
    "another class by age": classes("cases.age", young={"max": 50}, it=[95]),
    "classes that begin on successive days": classes(
        "cases.received_date", a={"max": "2011-10-10"}, b={"max": "2011-10-11"}, c={"max": "2011-10-12"}),
    "classes of four weeks": classes(
        "cases.received_date", a={"max": "2011-09-30"}, b={"min": "2011-10-01", "max": "2011-10-31"}),
    "a class for each year": classes("cases.year", a=[2010], b=[2011], c=[2012]),
    "labels with a bound each": {"labels": [
        {"name": f"l{month}", "level": "case",
         "has": {"table": "reports", "where": {"reported_date": {"min": f"2011-{month}-01"}}}}
        for month in (10, 11, 12)]},
    "sides with a bound each": {"split": {"ratios": {"train": 1.0}, "hold_out": {
        "one": {"scan_datetime": {"min": "2011-06-01"}}, "two": {"scan_datetime": {"min": "2011-10-01"}}}}},
    "rows that go out by a span": {"tables": {"slides": {"columns": ["slide_id"]}, "events": {
        "rows": "of_patients", "columns": ["event_id"], "where": {"date": {"min": "2011-10-01", "max": "2011-11-30"}}}}},
}  # fmt: skip
HARMLESS: dict[str, dict[str, Any]] = {
    "a span": {"include": [asks("a", received_date={"min": "2011-10-01"}), asks("b", received_date={"max": "2011-12-31"})]},
    "the same day twice": {
        "include": [asks("a", received_date={"min": "2011-10-13"}), asks("b", reported_date={"min": "2011-10-13"})]},
    "held out from a day on": {
        "split": {"ratios": {"train": 1.0}, "hold_out": {"late": {"scan_datetime": {"min": "2011-06-01"}}}}},
    "before and after": classes("cases.received_date", a={"max": "2011-09-30"}, b={"min": "2011-10-01"}),
    "ages": classes("cases.age", a={"max": 59}, b={"min": 60}),
}  # fmt: skip


@pytest.mark.parametrize("changes", TELLING.values(), ids=TELLING)
def test_a_recipe_that_tells_a_true_date_or_age_is_known_for_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert telling_criteria(recipe_of(tmp_path, **changes))


@pytest.mark.parametrize("changes", HARMLESS.values(), ids=HARMLESS)
def test_spans_and_one_day_tell_nothing(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert telling_criteria(recipe_of(tmp_path, **changes)) == []


@pytest.mark.parametrize(
    ("label", "identifying"),
    [
        (of_case("reports.sex") | {"classes": {"m": ["male"], "f": ["female"]}}, Identifying.QUASI),
        (of_case("cases.age") | {"classes": {"old": {"min": 70}}}, Identifying.QUASI),
        (of_case("cases.year") | {"classes": {"late": {"min": 2015}}}, Identifying.QUASI),
        ({"name": "it", "level": "case", "has": {"table": "reports", "where": {"sex": "female"}}}, Identifying.QUASI),
        (of_case("reports.icd10") | {"classes": {"lung": ["C34.1"]}}, Identifying.SENSITIVE),
        ({"name": "it", "level": "case", "has": {"table": "reports", "where": {"icd10": "C34.1"}}}, Identifying.SENSITIVE),
    ],
    ids=["sex", "age", "year", "has a sex", "diagnosis", "has a diagnosis"],
)
def test_k_counts_what_a_label_tells_of_sex_or_age(tmp_path: Path, label: dict[str, Any], identifying: Identifying) -> None:
    recipe = recipe_of(tmp_path, labels=[label])
    (column,) = label_columns(recipe, recipe.labels[0])
    assert column.identifying is identifying


# --- Permission --------------------------------------------------------------------------------------------------------

STATEMENTS = {
    "its site opted out": "population | population | no\nsite | NB02 | yes",
    "its case opted out": "population | population | no\ncase | C2 | yes",
    "only the other case is permitted": "case | C1 | no",
}


@pytest.mark.parametrize("statements", STATEMENTS.values(), ids=STATEMENTS)
def test_what_a_case_without_permission_says_goes_out_with_no_other_case(tmp_path: Path, statements: str) -> None:
    workspace = draw(TWO_CASES.format(statements)).workspace(tmp_path)
    tables: dict[str, Any] = {
        name: {"rows": "of_patients", "columns": [f"{name[:-1]}_id"]} for name in ("reports", "annotations")
    }
    tables |= {"slides": {"columns": ["slide_id"]}, "diagnoses": {"rows": "of_patients", "columns": ["icd10"]}}
    result = run(workspace, tables=tables)
    assert result.directory is not None
    for name in ("cohort", "tables/reports", "tables/annotations", "tables/diagnoses"):
        (case,) = read_parquet(result.directory / f"{name}.parquet")["case_id"].to_pylist()
        assert str(case).endswith("1"), name
    # A label tells it as its row would: units whose labels look at all cases of a patient need what patients need.
    where = {"icd10": "C50.9"}
    told = run(workspace, dry_run=True, labels=[
        {"name": "which", "level": "patient", "column": "diagnoses.icd10", "where": where},
        {"name": "whether", "level": "patient", "has": {"table": "diagnoses", "where": where}},
    ])  # fmt: skip
    assert told.rows.num_rows == 0


AT_ANOTHER_SITE = """
slides
slide | case | site
S1    | C1   | NB01

reports
report | case | reported_date
R1     | C1   | 2011-10-12

events
event | patient | kind      | code  | date       | site
E1    | P1      | diagnosis | Stage | 2011-10-22 | NB02

permissions
subject    | code       | kinds                 | opt_out
population | population | slides reports events | no
site       | NB02       | -                     | yes
"""


def test_what_a_site_that_opted_out_says_of_a_patient_is_no_label(tmp_path: Path) -> None:
    workspace = draw(AT_ANOTHER_SITE).workspace(tmp_path)
    events = {"table": "events", "where": {"code": "Stage"}}
    label = {"name": "it", "level": "case", "nearest": events | {"column": "kind"}}
    assert run(workspace, dry_run=True, index=DAY_0, labels=[label]).rows.num_rows == 0
    assert run(workspace, dry_run=True, labels=[{"name": "it", "level": "case", "has": events}]).rows.num_rows == 0
    assert run(workspace, dry_run=True).rows.num_rows == 1


# --- Requests ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": [of_case("reports.icd10") | {"on_conflict": "error"}]},
        {"sample": {"balance": {"by": ["stain"], "max": 7, "if_short": "error"}}},
        {"expect": {"cases_file": "catalog/known.csv"}},
    ],
    ids=["conflict", "short", "known cases"],
)
def test_a_request_cannot_ask_whether_single_rows_stop_it(tmp_path: Path, changes: dict[str, Any]) -> None:
    """A run that stops tells that some rows conflict, or that one combination is below a number of the asker's choice."""
    workspace = draw(PEOPLE).workspace(tmp_path)
    workspace.requests.mkdir()
    request = Request("r-0123456789ab", "ana", os.getuid(), "", dry_run=True)
    reason = refusal(workspace, request, recipe_of(tmp_path, **changes))
    assert reason is not None
    assert not any(sign.isdigit() for sign in reason)
    assert refusal(workspace, request, recipe_of(tmp_path)) is None


# --- The disk ----------------------------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Stands for the end of a process."""


def die(*_: object, **__: object) -> None:
    raise KilledError


def scanned_from(workspace: Workspace, day: str) -> list[str]:
    result = run(workspace, dry_run=True, include=[{"id": "a", "level": "slide", "where": {"scan_datetime": {"min": day}}}])
    return [str(code) for code in result.rows["slide_id"].to_pylist()]


def test_a_run_that_was_killed_leaves_no_cohort_and_the_next_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = draw(PEOPLE).workspace(tmp_path)
    source = run(workspace).recipe
    cohort = workspace.cohorts / "r"
    before = {path.name: path.read_bytes() for path in cohort.glob("*.parquet")}
    for place in ("_write_ledger", "write_bytes"):
        with monkeypatch.context() as patch:
            patch.setattr(written, place, die)
            with pytest.raises(KilledError):
                run(workspace)
        assert not (cohort / "cohort.json").exists()
        with pytest.raises(PlanIncompleteError):
            build(workspace, source, actor="tester", today=NOW.date(), no_permissions=True)
    run(workspace)
    assert {name: (cohort / name).read_bytes() for name in before} == before
    assert not [path for path in cohort.rglob(".*") if path.is_file()]


def test_true_values_of_other_tables_than_today_s_are_never_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables change, the run that puts them together is killed before it notes so, and they are changed back."""
    later = PEOPLE.replace("2011-11-12", "2001-01-01")
    workspace = draw(PEOPLE).workspace(tmp_path)
    assert len(scanned_from(workspace, "2011-11-12")) == 1
    draw(later).workspace(tmp_path)
    put_together = whole._write

    def write_and_die(*arguments: Any) -> None:
        put_together(*arguments)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(whole, "_write", write_and_die)
        with pytest.raises(KilledError):
            scanned_from(workspace, "2011-11-12")
    draw(PEOPLE).workspace(tmp_path)
    assert len(scanned_from(workspace, "2011-11-12")) == 1


def test_damaged_tables_of_true_values_are_put_together_anew(tmp_path: Path) -> None:
    workspace = draw(PEOPLE).workspace(tmp_path)
    assert len(scanned_from(workspace, "2011-11-12")) == 1
    table = workspace.criteria / "whole" / "slides.parquet"
    for path, length in ((table, table.stat().st_size // 2), (table, 0), (table.with_name("made_of.json"), 7)):
        path.write_bytes(path.read_bytes()[:length])
        assert len(scanned_from(workspace, "2011-11-12")) == 1


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def test_what_tells_true_values_is_the_curator_s_whatever_the_umask(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    workspace = draw(PEOPLE).workspace(tmp_path)
    with umask(0):
        for _ in range(2):
            run(workspace, labels=[of_case("reports.icd10")])
    cohort = workspace.cohorts / "r"
    own = {path.relative_to(cohort).as_posix() for path in cohort.rglob("*") if not path.stat().st_mode & 0o077}
    whose = {"ledger.parquet", "labels.parquet", "differences.parquet"}
    assert own >= {*whose, "previous", "previous/ledger.parquet", "previous/labels.parquet"}
    writable = [path for path in (workspace.cohorts, *workspace.cohorts.rglob("*")) if path.stat().st_mode & 0o022]
    assert not writable
    secret = list((workspace.criteria / "whole").iterdir())
    assert secret
    assert not [path for path in secret if path.stat().st_mode & 0o077]


def test_the_error_about_an_empty_cohort_names_no_number(tmp_path: Path) -> None:
    workspace = draw(PEOPLE).workspace(tmp_path)
    with pytest.raises(RecipeError) as error:
        run(workspace, include=[asks("day", received_date={"max": str(date(1990, 1, 1))})])
    assert "1990" not in error.value.message
