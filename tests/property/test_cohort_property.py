"""Any recipe over any small tables: the engine's SQL and a slow oracle in plain Python decide alike about everybody."""

import sys
from collections.abc import Iterator
from dataclasses import astuple
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate import cohort
from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.model.deidentified import VIEWS
from pathcurate.model.recipe import Recipe
from pathcurate.recipefile import check_columns
from pathcurate.sqlplan.compiler import compile_recipe
from pathcurate.text.vocabulary import all_codes

sys.path.append(str(Path(__file__).parents[1] / "spec"))

import oracle
from drawn_hospital import Drawn, Row, completed, long

TODAY = date(2026, 5, 20)
DATES = [date(2026, 5, 19), TODAY, date(2026, 5, 21), date(2020, 2, 29)]
# Two floats within the tolerance of 0.25, and one outside of it.
VALUES: dict[str, dict[str, list[Any]]] = {
    "slides": {
        "stain": ["HE", "PAS", "IHC:Ki-67"], "width": [0, 1, 2], "mpp": [0.25, 0.2500000005, 0.250000003, 0.5],
        "is_control": [True, False], "scan_datetime": DATES, "size_bytes": [1, 5_000_000_000], "age": [17, 18, 95],
        "year": [2020, 2026], "sex": ["male", "female"], "site": ["NB01", "NB02"],
    },
    "cases": {
        "organ": ["breast", "colon"], "age": [17, 18, 95], "received_date": DATES, "birth_date": DATES,
        "site": ["NB01", "NB02"], "slide_count": [0, 1, 2], "year": [2020, 2026],
    },
    "patients": {"sex": ["male", "female"], "case_count": [1, 2], "slide_count": [0, 1]},
    "reports": {
        "status": ["final", "withdrawn"], "report_type": ["primary", "consultation"], "is_current": [True, False],
        "organ": ["breast", "colon"], "age": [17, 95], "reported_date": DATES,
    },
    "events": {
        "kind": ["diagnosis", "death"], "code": ["Stage IIA", "ZY-1"], "code_system": ["ajcc", "local"],
        "value": [0.0, 49.9999999999, 50.0, 50.1], "unit": ["a", "ng/mL"], "laterality": ["left"], "date": DATES,
        "site": ["NB01", "NB02"],
    },
}  # fmt: skip
CASES = [long(f"C{number}") for number in range(1, 5)]
PATIENTS = [long(f"P{number}") for number in range(1, 4)]
GROUPS = [long(f"Q{number}") for number in range(1, 3)]
SITES = ["NB01", "NB02"]
LEVELS = ["slide", "case", "patient"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


def values(table: str, *columns: str) -> dict[str, st.SearchStrategy[Any]]:
    return {column: st.sampled_from([*VALUES[table][column], None]) for column in columns}


@st.composite
def hospitals(draw: st.DrawFn) -> Drawn:
    def rows(key: str, letter: str, fields: dict[str, st.SearchStrategy[Any]], most: int) -> list[Row]:
        made = draw(st.lists(st.fixed_dictionaries(fields), max_size=most))
        return [{key: long(f"{letter}{number}"), **row} for number, row in enumerate(made, 1)]

    cases = rows("case_id", "C", {
        **values("cases", "organ", "age", "received_date", "birth_date", "year"),
        "site": st.sampled_from(SITES), "patient_id": st.sampled_from(PATIENTS),
    }, 4)  # fmt: skip
    codes = [row["case_id"] for row in cases]
    of_people = {row["patient_id"]: draw(st.sampled_from(GROUPS)) for row in cases}
    patients = [
        {"patient_id": code, "group_id": group, "sex": draw(st.sampled_from(["male", "female", None]))}
        for code, group in of_people.items()
    ]
    slides = rows("slide_id", "S", {
        **values("slides", "stain", "width", "mpp", "is_control", "scan_datetime", "size_bytes", "age", "year", "sex"),
        "site": st.sampled_from(SITES), "case_id": st.sampled_from([*codes, None]),
        "status": st.sampled_from(["ok", "ok", "ok", "corrupt"]),
        "tier": st.sampled_from(["exact", "exact", "reviewed", "none"]),
    }, 6)  # fmt: skip
    reports = rows("report_id", "R", {
        **values("reports", "is_current", "organ", "age", "reported_date"),
        "status": st.sampled_from(["final", "withdrawn"]), "report_type": st.sampled_from(["primary", "consultation"]),
        "case_id": st.sampled_from(codes),
    }, 5) if codes else []  # fmt: skip
    events = rows("event_id", "E", {
        **values("events", "code", "code_system", "value", "unit", "laterality", "date"),
        "kind": st.sampled_from(VALUES["events"]["kind"]), "site": st.sampled_from(SITES),
        "patient_id": st.sampled_from(PATIENTS),
    }, 5)  # fmt: skip
    tables = {"slides": slides, "cases": cases, "patients": patients, "reports": reports, "events": events}
    return Drawn(completed(tables), draw(st.none() | st.lists(statements(), max_size=5)))


@st.composite
def statements(draw: st.DrawFn) -> Row:
    opt_out = draw(st.sampled_from([False, False, False, True]))
    subject = draw(st.sampled_from(["person", "person", "case", "site", "population"]))
    codes = {"person": GROUPS if opt_out else PATIENTS, "case": CASES, "site": SITES, "population": ["population"]}
    return {
        "subject": subject,
        "subject_code": draw(st.sampled_from(codes[subject])),
        "purposes": draw(st.sampled_from([["research"], ["teaching", "research"], ["teaching"], None])),
        "data_kinds": draw(
            st.sampled_from([["slides", "reports"], ["slides", "reports", "events"], ["reports"], ["events"]])
        ),
        "valid_from": draw(st.sampled_from([None, None, *DATES])),
        "valid_to": draw(st.sampled_from([None, None, *DATES])),
        "opt_out": opt_out,
    }


@st.composite
def wheres(draw: st.DrawFn, table: str, least: int) -> dict[str, Any]:
    columns = draw(st.lists(st.sampled_from(sorted(VALUES[table])), min_size=least, max_size=3, unique=True))
    return {column: draw(conditions(VALUES[table][column])) for column in columns}


def conditions(known: list[Any]) -> st.SearchStrategy[Any]:
    written = [value.isoformat() if isinstance(value, date) else value for value in known]
    forms = [
        st.sampled_from(written),
        st.lists(st.sampled_from(written), min_size=1, max_size=2, unique=True).map(lambda some: {"any_of": some}),
        st.booleans().map(lambda missing: {"missing": missing}),
    ]
    if not isinstance(known[0], bool | str):
        forms += [
            st.sampled_from(written).map(lambda bound: {"min": bound}),
            st.sampled_from(written).map(lambda bound: {"max": bound}),
            st.tuples(st.sampled_from(written), st.sampled_from(written)).map(
                lambda bounds: {"min": min(bounds), "max": max(bounds)}
            ),
        ]
    return st.one_of(forms)


@st.composite
def recipes(draw: st.DrawFn) -> dict[str, Any]:
    unit = draw(st.sampled_from(LEVELS))
    recipe: dict[str, Any] = {"recipe": 1, "name": "r", "version": "1.0.0", "title": "r", "unit": unit}
    recipe["columns"] = draw(
        st.sampled_from({"slide": [["slide_id"], ["slide_id", "sex"]], "case": [["case_id"], ["slide_count"]],
                         "patient": [["patient_id"]]}[unit])
    )  # fmt: skip
    if draw(st.booleans()):
        recipe["links"] = draw(st.lists(st.sampled_from(["exact", "reviewed"]), min_size=1, unique=True))
    for part in ("include", "exclude"):
        recipe[part] = [{"id": f"{part}_{number}", **draw(criteria(unit))} for number in range(draw(st.integers(0, 2)))]
    return recipe


@st.composite
def criteria(draw: st.DrawFn, unit: str) -> dict[str, Any]:
    level = draw(st.sampled_from(LEVELS[LEVELS.index(unit) :]))
    if level != "slide" and draw(st.booleans()):
        table = draw(st.sampled_from(["slides", "reports", "events"]))
        count = draw(st.sampled_from([">=1", ">=2", ">0", ">1", "=0", "=1", "=2", "<=0", "<=1", "<= 2"]))
        return {"level": level, "has": {"table": table, "where": draw(wheres(table, 0)), "count": count}}
    criterion: dict[str, Any] = {"level": level, "where": draw(wheres(oracle.TABLE[level], 1))}
    if draw(st.booleans()):
        criterion["if_missing"] = draw(st.sampled_from(["pass", "fail"]))
    return criterion


@settings(max_examples=80, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hospitals(), recipes())
def test_engine_and_oracle_decide_alike(engine: Engine, drawn: Drawn, written: dict[str, Any]) -> None:
    recipe = Recipe.model_validate(written)
    assert not check_columns(recipe, VIEWS, all_codes())
    for view, data in drawn.arrow().items():
        engine.view(view, data)
    engine.view("permissions", cohort._todays_permissions(drawn.statements(), recipe, TODAY))
    plan = compile_recipe(recipe, with_permissions=drawn.permissions is not None)
    decided = engine.table(plan.sql)
    answer = oracle.select(written, drawn.tables, drawn.permissions, TODAY)
    key = oracle.KEY[recipe.unit]
    assert {
        row[key]: oracle.Decision(
            None if row["failed_step"] is None else plan.steps[row["failed_step"]].id, row["failed_missing"]
        )
        for row in decided.to_pylist()
    } == answer.decisions
    attrition = cohort._attrition(recipe, plan, decided)
    assert [("start", 0, 0, *astuple(attrition.start))] + [
        (step.id, step.dropped, step.dropped_missing, *astuple(step.remaining)) for step in attrition.steps
    ] == answer.attrition
    assert attrition.start.slides - attrition.kept.slides >= 0
    assert sum(step.dropped for step in attrition.steps) + decided["failed_step"].null_count == decided.num_rows
