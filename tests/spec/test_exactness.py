"""Truth decides and never goes out; what a recipe says is data and never SQL; the SQL keeps to the portable subset."""

import json
import re
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate.cohort import CohortResult, read_recipe, select
from pathcurate.cohort.whole import as_codes, whole_table
from pathcurate.engines import Engine
from pathcurate.errors import DisclosureRefusedError, InputOutputError, PlanIncompleteError, RecipeError
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES, UNIT_KEYS, UNIT_TABLES, VIEWS, released
from pathcurate.model.recipe import MOST_CRITERIA, AnyOf, Recipe
from pathcurate.model.recipe.declared import cohort_table
from pathcurate.profiles import read_profile
from pathcurate.recipefile import check_columns
from pathcurate.sqlplan.compiler import compile_recipe
from pathcurate.sqlplan.expressions import all_sql, literal
from pathcurate.tables import read_parquet
from pathcurate.text.vocabulary import all_codes

sys.path.append(str(Path(__file__).parent))

from drawn_hospital import SHIFTED_AGE, SHIFTED_DATE, Drawn, draw, long

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)

DRAWING = """
slides
slide | case | stain | scan_datetime | size_bytes | age | year
S1    | C1   | HE    | 2011-11-11    | 5123456789 | 95  | 2011
S2    | C2   | PAS   | 2011-11-12    | 5123456788 | 96  | 2011
S3    | C3   | HE    | 2011-11-13    | 5123456787 | 97  | 2011
S4    | -    | HE    | 2011-11-14    | 5123456786 | -   | -

cases
case | patient | group | age | received_date | reported_date | birth_date | year
C1   | P1      | Q1    | 95  | 2011-10-11    | 2011-10-12    | 1916-01-02 | 2011
C2   | P2      | Q1    | 96  | 2011-10-13    | 2011-10-14    | 1915-01-02 | 2011
C3   | P3      | Q3    | 97  | 2011-10-15    | 2011-10-16    | 1914-01-02 | 2011
"""
TRUTH = [b"2011-1", b"2011", b"1916-01-02", b"1915-01-02", b"1914-01-02", b"512345678"]


def recipe_of(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"recipe": 1, "name": "r", "version": "1.0.0", "title": "t", "unit": "slide"}
    return content | {"columns": [UNIT_KEYS.get(changes.get("unit", "slide"), "slide_id")], **changes}


def run(folder: Path, engine: Engine, drawn: Drawn, *, dry_run: bool = False, **changes: Any) -> CohortResult:
    file = folder / "r.yaml"
    file.write_text(json.dumps(recipe_of(**changes), ensure_ascii=False), encoding="utf-8")
    return select(drawn.workspace(folder), engine, read_recipe(file), now=NOW, dry_run=dry_run)


# --- truth decides, and stays where it is ------------------------------------------------------------------------


def test_true_values_decide_and_deidentified_ones_go_out(tmp_path: Path, engine: Engine) -> None:
    result = run(
        tmp_path, engine, draw(DRAWING),
        columns=["slide_id", "scan_datetime", "split"],
        include=[
            {"id": "scanned", "level": "slide", "where": {"scan_datetime": {"max": "2011-11-12"}}},
            {"id": "old", "level": "case", "where": {"age": {"min": 95}, "birth_date": {"max": "1920-01-01"}}},
        ],
        split={"ratios": {"train": 0.5, "test": 0.5}},
    )  # fmt: skip
    assert result.directory is not None
    rows = read_parquet(result.directory / "cohort.parquet").to_pylist()
    assert [row["slide_id"] for row in rows] == [long("S1"), long("S2")]
    assert {row["scan_datetime"] for row in rows} == {SHIFTED_DATE}
    assert len({row["split"] for row in rows}) == 1, "two persons who may be one are on one side"


@pytest.mark.parametrize("unit", ["slide", "case"])
def test_no_file_of_a_cohort_holds_a_true_value(unit: str, tmp_path: Path, engine: Engine) -> None:
    filled = read_profile("default", Path()).filled(UNIT_TABLES[unit])
    columns = [name for name in DEID_TABLES[UNIT_TABLES[unit]].names if name in filled - {"level_downsamples"}]
    true = CRITERIA_TABLES[UNIT_TABLES[unit]].names[1:]
    result = run(
        tmp_path, engine, draw(DRAWING), unit=unit, columns=columns,
        include=[{"id": f"has_{name}", "level": unit, "where": {name: {"missing": False}}}
                 for name in true],
    )  # fmt: skip
    assert result.directory is not None
    files = sorted(path for path in result.directory.rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"cohort.parquet", "ledger.parquet", "cohort.json", "attrition.svg"}
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = json.dumps(read_parquet(path).to_pylist(), default=str).encode()
        assert not [truth for truth in TRUTH if truth in content], path.name
    ages = {row.get("age", SHIFTED_AGE) for row in read_parquet(result.directory / "cohort.parquet").to_pylist()}
    assert ages <= {SHIFTED_AGE, None}


HIDDEN = [
    (unit, name) for unit, table in UNIT_TABLES.items() for name in VIEWS[table].names if name not in DEID_TABLES[table]
]


def test_there_is_something_to_hide() -> None:
    assert {("slide", "size_bytes"), ("slide", "year"), ("case", "birth_date"), ("case", "year")} <= set(HIDDEN)


@pytest.mark.parametrize(("unit", "name"), HIDDEN)
@pytest.mark.parametrize("place", ["columns", "stratify"])
def test_a_criterion_only_column_can_be_compared_and_never_selected(unit: str, name: str, place: str) -> None:
    key = UNIT_KEYS[unit]
    changes: dict[str, Any] = {"columns": [key, name]}
    if place == "stratify":
        changes = {"split": {"ratios": {"train": 1.0}, "stratify": [name]}}
    where = [{"id": "it", "level": unit, "where": {name: {"missing": False}}}]
    recipe = Recipe.model_validate(recipe_of(unit=unit, include=where, **changes))
    faults = check_columns(recipe, VIEWS, all_codes())
    assert [fault.path[0] for fault in faults] == ["columns" if place == "columns" else "split"]
    assert "criteria only" in faults[0].message
    if place == "columns":
        with pytest.raises(KeyError):
            cohort_table(recipe)
        with pytest.raises(KeyError):
            released(DEID_TABLES[UNIT_TABLES[unit]], (key, name))


# --- what the SQL gives back ---------------------------------------------------------------------------------------

DEMOGRAPHICS = ["sex", "age_band", "site", "year"]
MASKS = ["slide_count", *DEMOGRAPHICS, "failed", "missing"]
ANSWERS = {
    "slide": ["slide_id", "case_id", "patient_id", "specimen_no", "block_no", *MASKS],
    "case": ["case_id", "patient_id", *MASKS],
    "patient": ["patient_id", "case_count", *MASKS],
}


@cache
def everything(unit: str) -> list[Recipe]:
    """Recipes that name every column that a criterion may name, on every level."""
    levels = ["slide", "case", "patient"]
    include: list[dict[str, Any]] = []
    for level in levels[levels.index(unit) :]:
        names = VIEWS[UNIT_TABLES[level]].names
        include.append({"id": f"{level}_all", "level": level, "where": {name: {"missing": False} for name in names}})
        include += [{"id": f"{level}_{name}", "level": level, "where": {name: {"missing": True}}} for name in names]
        if level != "slide":
            include += [
                {"id": f"{level}_{table}", "level": level,
                 "has": {"table": table, "where": {name: {"missing": False} for name in VIEWS[table].names}}}
                for table in ("slides", "reports", "diagnoses", "ihc_results", "events", "series", "materials")
            ]  # fmt: skip
    half = MOST_CRITERIA // 2
    pieces = [include[first : first + half] for first in range(0, len(include), half)]
    return [
        Recipe.model_validate(recipe_of(unit=unit, include=piece, exclude=[{**c, "id": f"x_{c['id']}"} for c in piece]))
        for piece in pieces
    ]


@pytest.mark.parametrize("with_permissions", [True, False])
@pytest.mark.parametrize("unit", ["slide", "case", "patient"])
def test_the_sql_gives_numbers_masks_and_what_attrition_counts_by(unit: str, with_permissions: bool, engine: Engine) -> None:
    drawn = draw(DRAWING)
    for view, data in drawn.arrow().items():
        engine.view(view, data)
    names = ("subject", "code", "data_kind", "opt_out")
    engine.view(
        "permissions", pa.table({name: pa.array([], pa.bool_() if name == "opt_out" else pa.string()) for name in names})
    )
    for recipe in everything(unit)[with_permissions::2]:
        plan = compile_recipe(recipe, with_permissions=with_permissions)
        decided = engine.table(plan.sql)
        assert decided.column_names == ANSWERS[unit]
        assert sorted(decided[UNIT_KEYS[unit]].to_pylist()) == list(range(len(drawn.tables[UNIT_TABLES[unit]])))
        for row in decided.to_pylist():
            assert 0 <= row["missing"] <= row["failed"] < 1 << len(plan.steps)
            assert row["missing"] & ~row["failed"] == 0
            assert {type(value) for name, value in row.items() if name.endswith("_id")} <= {int, type(None)}
            assert with_permissions == bool(row["failed"] & 1), "who has no permission fails step 0"


# --- the portable subset -------------------------------------------------------------------------------------------


@cache
def syntax(sql: str) -> dict[str, Any]:
    """The statement as DuckDB's own parser sees it."""
    with duckdb.connect(":memory:") as connection:
        (text,) = connection.execute("select json_serialize_sql(?::varchar)", [sql]).fetchall()[0]
    tree: dict[str, Any] = json.loads(text)
    assert tree["error"] is False
    return tree


def nodes(tree: Any) -> list[dict[str, Any]]:
    if isinstance(tree, dict):
        return [tree, *(node for part in tree.values() for node in nodes(part))]
    return [node for part in tree for node in nodes(part)] if isinstance(tree, list) else []


def statements(unit: str) -> list[str]:
    recipes = [*everything(unit), *[Recipe.model_validate(recipe_of(unit=unit))] * 2]
    return [compile_recipe(recipe, with_permissions=number % 2 == 0).sql for number, recipe in enumerate(recipes)]


@pytest.mark.parametrize("unit", ["slide", "case", "patient"])
def test_the_sql_keeps_to_the_portable_subset(unit: str) -> None:
    for sql in statements(unit):
        found = nodes(syntax(sql))
        assert not [node for node in found if node.get("class") == "STAR"], "every column is named"
        assert not [node for node in found if node.get("qualify")], "QUALIFY is not portable"
        relations = [node for node in found if node.get("type") in {"BASE_TABLE", "SUBQUERY", "TABLE_FUNCTION"}]
        relations = [node for node in relations if "alias" in node and ("table_name" in node or "subquery" in node)]
        assert relations
        for node in relations:
            assert node["type"] in {"BASE_TABLE", "SUBQUERY"}
            # A join to an expression of this name needs no second name.
            own_name = re.fullmatch(r"(may|not|at|of)_\w+|n\d+", node.get("table_name", ""))
            assert node["alias"] or own_name, node.get("table_name", "a derived table")
        selects = [node for node in found if node.get("type") == "SELECT_NODE"]
        assert selects
        for select_node in selects:
            for column in select_node["select_list"]:
                assert column["alias"], "every selected column has a name"
        for word in (" qualify ", "any_value", " limit ", "::", "hash("):
            assert word not in sql.lower()


def test_the_views_are_exactly_those_that_the_sql_reads() -> None:
    for unit in ("slide", "case", "patient"):
        recipes = [*everything(unit), *[Recipe.model_validate(recipe_of(unit=unit))] * 2]
        for number, recipe in enumerate(recipes):
            plan = compile_recipe(recipe, with_permissions=number % 2 == 0)
            read = {node["table_name"] for node in nodes(syntax(plan.sql)) if node.get("type") == "BASE_TABLE"}
            assert read & {*VIEWS, "permissions"} == set(plan.views)


def test_a_recipe_is_compiled_the_same_way_each_time() -> None:
    assert statements("slide") == statements("slide")


# --- a recipe is data ----------------------------------------------------------------------------------------------

HOSTILE = [
    "'; drop view slides_deid; --", "x' or '1'='1", "\\'; select 1; --", "\\", "'", "''", '"', "`", "病理'学", "$1", "?",
    "%s", "{0}", "/* */", "-- x", "a\nb", "\u2028", "\u0000'", "<script>alert(1)</script>", "]]>", "&amp;", "\ud83d\ude00",
]  # fmt: skip
HOSTILE[-1] = "😀"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_a_literal(text: str, engine: Engine) -> None:
    assert engine.rows(f"select {literal(text)} as value") == [(text,)]


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=8) | st.sampled_from(HOSTILE), min_size=1, max_size=5, unique=True), st.data())
def test_any_text_in_a_condition_means_itself(engine: Engine, texts: list[str], data: st.DataObject) -> None:
    column = Column("name", Type.STRING, "Any text.", pattern=".*")
    table = Table("texts", "one text", (), (column,))
    wanted = data.draw(st.lists(st.sampled_from(texts), min_size=1, unique=True))
    engine.view("texts", pa.table({"name": pa.array([*texts, None], pa.string())}))
    met = engine.rows(
        f"select t.name as name from texts as t where {all_sql('t', table, {'name': AnyOf(any_of=tuple(wanted))}, {})}"
    )
    assert sorted(name for (name,) in met) == sorted(wanted)
    one = engine.rows(f"select t.name as name from texts as t where {all_sql('t', table, {'name': wanted[0]}, {})}")
    assert one == [(wanted[0],)]


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_for_people_never_reach_the_sql(text: str, tmp_path: Path, engine: Engine) -> None:
    criterion = {"id": "he", "level": "slide", "where": {"stain": "HE"}}
    plain = Recipe.model_validate(recipe_of(include=[criterion]))
    changes: dict[str, Any] = {
        "title": text, "owner": text, "approval": text, "include": [{**criterion, "label": text}],
        "split": {"ratios": {"train": 1.0}, "seed": text}, "x-note": text,
    }  # fmt: skip
    recipe = Recipe.model_validate(recipe_of(**changes))
    sql = compile_recipe(recipe, with_permissions=True).sql
    assert sql == compile_recipe(plain, with_permissions=True).sql
    if "\u0000" in text:
        return  # YAML has no such character
    result = run(tmp_path, engine, draw(DRAWING), **changes)
    assert result.directory is not None
    assert read_parquet(result.directory / "cohort.parquet").num_rows == 2
    ET.fromstring((result.directory / "attrition.svg").read_bytes())  # noqa: S314 - our own file
    page = (result.directory / "attrition.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page


REFUSED: dict[str, Any] = {
    "name": lambda text: {"name": text},
    "version": lambda text: {"version": text},
    "purpose": lambda text: {"purpose": text},
    "unit": lambda text: {"unit": text},
    "links": lambda text: {"links": [text]},
    "columns": lambda text: {"columns": [text]},
    "side": lambda text: {"split": {"ratios": {text: 1.0}}},
    "stratum": lambda text: {"split": {"ratios": {"train": 1.0}, "stratify": [text]}},
    "id": lambda text: {"include": [{"id": text, "level": "slide", "where": {"stain": "HE"}}]},
    "level": lambda text: {"include": [{"id": "a", "level": text, "where": {"stain": "HE"}}]},
    "if_missing": lambda text: {"include": [{"id": "a", "level": "slide", "where": {"stain": "HE"}, "if_missing": text}]},
    "column": lambda text: {"include": [{"id": "a", "level": "slide", "where": {text: "HE"}}]},
    "date": lambda text: {"include": [{"id": "a", "level": "slide", "where": {"scan_datetime": text}}]},
    "bound": lambda text: {"include": [{"id": "a", "level": "slide", "where": {"width": {"min": text}}}]},
    "number": lambda text: {"include": [{"id": "a", "level": "slide", "where": {"width": text}}]},
    "has_table": lambda text: {"include": [{"id": "a", "level": "case", "has": {"table": text}}]},
    "has_count": lambda text: {"include": [{"id": "a", "level": "case", "has": {"table": "slides", "count": text}}]},
    "has_column": lambda text: {
        "include": [{"id": "a", "level": "case", "has": {"table": "slides", "where": {text: "HE"}}}]
    },
    **{
        f"value_of_{column.name}": lambda text, name=column.name: {
            "include": [{"id": "a", "level": "slide", "where": {name: {"any_of": [text]}}}]
        }
        for column in VIEWS["slides"].columns
        if column.type is Type.STRING
    },
}


@pytest.mark.parametrize("place", REFUSED)
def test_a_hostile_text_is_refused_wherever_it_would_matter(place: str, tmp_path: Path) -> None:
    for text in HOSTILE:
        file = tmp_path / "r.yaml"
        file.write_text(json.dumps(recipe_of(**REFUSED[place](text))), encoding="utf-8")
        with pytest.raises(RecipeError):
            read_recipe(file)


def test_every_text_column_of_a_view_has_a_closed_set() -> None:
    # What a recipe can say of a text column is thereby limited to harmless values.
    for table in VIEWS.values():
        for column in table.columns:
            if column.type is Type.STRING:
                assert column.is_closed, f"{table.name}.{column.name}"


# --- the stage -----------------------------------------------------------------------------------------------------


def test_a_row_without_its_true_twin_is_refused_and_does_not_vanish() -> None:
    files = draw(DRAWING).files()
    deid, true = files["slides_deid"], files["slides_true"]
    codes = {name: as_codes(files[f"{name}_deid"][DEID_TABLES[name].key[0]]) for name in ("slides", "cases", "patients")}
    assert whole_table("slides", deid, true, codes).num_rows == 4
    for other in (true.slice(0, 1), true.slice(1), true.take([0, 2, 1, 3])):
        with pytest.raises(InputOutputError, match="not of the same rows"):
            whole_table("slides", deid, other, codes)


@pytest.mark.parametrize("column", ["status", "tier"])
def test_a_slide_of_unknown_state_or_link_is_not_let_in(column: str, engine: Engine) -> None:
    for view, data in draw(DRAWING).arrow().items():
        if view == "slides":
            schema = pa.schema([field.with_nullable(True) for field in data.schema])
            place = data.column_names.index(column)
            data = data.cast(schema).set_column(place, column, pa.nulls(data.num_rows, pa.string()))  # noqa: PLW2901
        engine.view(view, data)
    plan = compile_recipe(Recipe.model_validate(recipe_of()), with_permissions=False)
    decided_by = {"status": "readable", "tier": "linked"}[column]
    step = next(number for number, step in enumerate(plan.steps) if step.id == decided_by)
    assert all(row["failed"] >> step & 1 for row in engine.table(plan.sql).to_pylist())


def test_the_ledger_accounts_for_every_slide_and_the_cohort_for_every_kept_one(tmp_path: Path, engine: Engine) -> None:
    result = run(tmp_path, engine, draw(DRAWING), include=[{"id": "he", "level": "slide", "where": {"stain": "HE"}}])
    assert result.directory is not None
    ledger = read_parquet(result.directory / "ledger.parquet").to_pylist()
    assert [(row["slide_id"], row["step"], row["step_number"], row["missing"]) for row in ledger] == [
        (long("S1"), "kept", None, False),
        (long("S2"), "he", 3, False),
        (long("S3"), "kept", None, False),
        (long("S4"), "linked", 2, False),
    ]
    cohort = read_parquet(result.directory / "cohort.parquet")
    assert cohort.column_names == ["slide_id", "case_id", "patient_id", "group_id"]
    assert cohort["slide_id"].to_pylist() == [long("S1"), long("S3")]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path, engine: Engine) -> None:
    changes: dict[str, Any] = {"split": {"ratios": {"train": 0.5, "test": 0.5}}, "columns": ["slide_id", "split", "stain"]}
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        result = run(folder, engine, draw(DRAWING), **changes)
        assert result.directory is not None
        contents.append({path.name: path.read_bytes() for path in result.directory.iterdir() if path.name != "cohort.json"})
    assert contents[0] == contents[1]


def test_a_dry_run_writes_nothing(tmp_path: Path, engine: Engine) -> None:
    result = run(tmp_path, engine, draw(DRAWING), dry_run=True)
    assert result.directory is None
    assert not (tmp_path / "cohorts").exists()


def test_an_empty_cohort_is_an_error_that_names_the_costliest_step(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(RecipeError, match="no slide is left; most fell at step `pap`"):
        run(tmp_path, engine, draw(DRAWING), include=[{"id": "pap", "level": "slide", "where": {"stain": "PAP"}}])
    assert not (tmp_path / "cohorts").exists()


def test_without_a_configured_list_step_zero_says_so(tmp_path: Path, engine: Engine) -> None:
    result = run(tmp_path, engine, draw(DRAWING), dry_run=True)
    assert not result.has_permissions
    assert (result.attrition.steps[0].id, result.attrition.steps[0].dropped) == ("permission", 0)
    assert "No permission list is configured" in result.attrition.steps[0].label


def test_no_recipe_comes_before_or_around_the_permission(tmp_path: Path, engine: Engine) -> None:
    drawn = draw(DRAWING + "\npermissions\nsubject | code\nperson | P3\n")
    criterion = {"id": "permission_too", "level": "patient", "where": {"sex": {"missing": True}}}
    result = run(tmp_path, engine, drawn, include=[criterion], dry_run=True)
    assert [step.kind for step in result.attrition.steps] == ["permission", "built_in", "built_in", "include"]
    assert result.attrition.kept.patients == 1


def test_a_list_that_changed_after_its_import_refuses(tmp_path: Path, engine: Engine) -> None:
    workspace = draw(DRAWING + "\npermissions\nsubject | code\nperson | P3\n").workspace(tmp_path)
    file = tmp_path / "r.yaml"
    file.write_text(json.dumps(recipe_of()), encoding="utf-8")
    (tmp_path / "consent.csv").write_text("patient_id\nP3\n", encoding="utf-8")
    with pytest.raises(DisclosureRefusedError):
        select(workspace, engine, read_recipe(file), now=NOW)


@pytest.mark.parametrize(
    "relpath", ["deid/slides.parquet", "vault/criteria/slides.parquet", "vault/criteria/permissions.parquet"]
)
def test_tables_that_are_not_the_verified_ones_refuse(relpath: str, tmp_path: Path, engine: Engine) -> None:
    workspace = draw(DRAWING).workspace(tmp_path)
    file = tmp_path / "r.yaml"
    file.write_text(json.dumps(recipe_of()), encoding="utf-8")
    with (tmp_path / relpath).open("ab") as table:
        table.write(b" ")
    with pytest.raises(PlanIncompleteError):
        select(workspace, engine, read_recipe(file), now=NOW)
