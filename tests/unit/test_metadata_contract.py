"""The data contract of a release: valid by the standard's own JSON Schema, and every query of it run by DuckDB."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml
from jsonschema import Draft201909Validator
from open_data_contract_standard.model import OpenDataContractStandard

from pathcurate.metadata.contract import PHYSICAL, contract
from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.description import DescribedColumn, DescribedTable, Description, PartFile
from pathcurate.model.productfile import ProductFile
from pathcurate.model.text import TEXT_TABLES
from pathcurate.tables import from_rows, write_parquet
from tests.built import build_release
from tests.releases import RECIPE, made_up
from tests.unit.descriptions import bare_description, hostile_description, slide_description

Contract = Mapping[str, Any]
ROWS = 12
QUASI = ("site", "sex")
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GOOD = {
    "site": "NB01", "specimen": "A", "block": "1", "stain": "HE", "icd10": "C50.9", "icdo3_topography": "C50.4",
    "icdo3_morphology": "8500/3", "grade": "G2", "pt": "T2", "pn": "N1(sn)", "pm": "M0", "stage": "IIA", "code": "C50.9",
    "ihc_results": ["ER=positive"], "molecular_results": ["EGFR=L858R"], "colour": "#ff0000", "score": "3+",
    "concept": "treated", "concept_sha": "ab" * 32, "rule": "han.names", "name": "treated", "language": "zh",
}  # fmt: skip
"""Values of columns whose closed set is a pattern."""


def parsed(text: str) -> Any:
    """The document; by libyaml, because Python's own parser takes a second for it."""
    return yaml.load(text, Loader=yaml.CSafeLoader)


@pytest.fixture(scope="module")
def validator() -> Draft201909Validator:
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
    return Draft201909Validator(schema)


@pytest.mark.parametrize("make", [slide_description, hostile_description, bare_description])
def test_a_contract_is_one_of_the_standard(validator: Draft201909Validator, make: Callable[[], Description]) -> None:
    text = contract(make())
    document = parsed(text)
    assert [fault.message for fault in validator.iter_errors(document)] == []
    read = OpenDataContractStandard.from_string(text)
    assert read.apiVersion == "v3.1.0"
    assert [table.name for table in read.schema_ or []] == [table.table.name for table in make().tables]


def test_the_schema_would_have_found_a_fault(validator: Draft201909Validator) -> None:
    document = parsed(contract(bare_description()))
    document["schema"][0]["properties"][0]["quality"] = [{"type": "sql", "query": "SELECT 1", "mustBe": 1}]
    document["schema"][0]["properties"][0]["quality"][0]["dimension"] = "beauty"
    document["schema"][0]["nullable"] = True
    assert len(list(validator.iter_errors(document))) >= 2


def test_a_contract_says_what_the_product_file_says() -> None:
    document = parsed(contract(slide_description()))
    assert document["price"] == {"priceAmount": 1.5, "priceCurrency": "CNY", "priceUnit": "slide"}
    assert document["team"]["members"][0]["username"] == "data-steward@pathology.example"
    assert document["slaProperties"] == [
        {"property": "generalAvailability", "value": "2026-11-20"},
        {"property": "frequency", "value": 3, "unit": "month"},
        {"property": "endOfSupport", "value": "2029-11-20"},
    ]
    own = {one["property"]: one["value"] for one in document["customProperties"]}
    assert own["contentDigest"] == slide_description().content_digest
    assert own["policyValidUntil"] == "2027-11-20"
    assert document["servers"][0]["path"] == "data/slides/*.parquet"
    assert document["servers"][1]["path"] == "data/texts.parquet"
    columns = {column["name"]: column for column in document["schema"][0]["properties"]}
    assert [columns["slide_id"][fact] for fact in ("primaryKey", "unique", "required")] == [True, True, True]
    assert columns["age_band"]["tags"] == ["quasi-identifier"]
    assert columns["level_downsamples"]["items"]["logicalType"] == "number"


def test_the_same_description_gives_the_same_bytes() -> None:
    assert contract(bare_description()) == contract(bare_description())


def test_what_nobody_said_is_not_in_it() -> None:
    document = parsed(contract(bare_description()))
    assert {"price", "team", "support", "tags"}.isdisjoint(document)
    assert {one["property"] for one in document["slaProperties"]} == {"generalAvailability"}
    assert "policy" not in {one["property"] for one in document["customProperties"]}


@pytest.mark.parametrize(("amount", "number"), [("1.50", 1.5), ("30", 30), ("30.00", 30), ("0.1", 0.1)])
def test_a_price_is_the_number_that_was_written(amount: str, number: float) -> None:
    description = bare_description()
    told = {"product": 1, "name": "x"} | {"price": {"amount": amount, "currency": "CNY", "unit": "slide"}}
    document = parsed(contract(replace(description, file=ProductFile.model_validate(told))))
    assert document["price"]["priceAmount"] == number


def test_hostile_words_come_back_as_they_are() -> None:
    hostile = hostile_description()
    document = parsed(contract(hostile))
    assert hostile.file is not None
    assert document["description"]["usage"] == f"{hostile.file.scenarios.zh}\n\n{hostile.file.scenarios.en}"
    label = document["schema"][0]["properties"][0]["businessName"]
    assert label == hostile.tables[0].columns[0].label_zh
    assert document["team"]["name"] == hostile.file.holder.name.zh  # type: ignore[union-attr]


# --- The queries -------------------------------------------------------------------------------------------------------


def code(kind: str, number: int) -> str:
    return f"{kind}-{''.join(_BASE32[number >> shift & 31] for shift in range(75, -1, -5))}"


def value(column: Column, number: int) -> Any:
    if column.values:
        one = column.values[0]
        return [one] if column.type is Type.STRINGS else one
    if "[0-9A-HJKMNP-TV-Z]{16}" in column.pattern:
        return code(column.pattern[0], number)
    plain = {Type.INTEGER: 1, Type.FLOAT: 0.5, Type.BOOLEAN: True, Type.DATE: date(2024, 2, 29), Type.FLOATS: [1.0]}
    return plain.get(column.type, _GOOD.get(column.name, "text"))


def good_rows(table: Table) -> list[dict[str, Any]]:
    rows = []
    for number in range(ROWS):
        row = {column.name: value(column, number) for column in table.columns}
        # What tells rows apart is not always a code.
        told = {"ordinal": number + 1, "start": number + 1, "end": number + 9}
        rows.append(row | {name: count for name, count in told.items() if name in table})
    # Nor must everything be filled; but then a row is in a class of its own.
    optional = [column.name for column in table.columns if not column.required and column.name not in QUASI]
    return [*rows[:-1], rows[-1] | dict.fromkeys(optional)]


def described(table: Table) -> DescribedTable:
    columns = tuple(DescribedColumn(column, column.name, column.name, 0) for column in table.columns)
    part = PartFile(f"data/{table.name}.parquet", ROWS, 1, "sha256:" + "0" * 64)
    return DescribedTable(table, "一行", ROWS, (part,), "sha256:" + "0" * 64, columns)


@cache
def whole() -> Description:
    """A release of every table that can go out, with all columns, split and guarded."""
    base = slide_description()
    slides = DEID_TABLES["slides"]
    split = base.tables[0].table["split"]
    unit = replace(slides, columns=(*slides.columns, split))
    others = [table for table in (*DEID_TABLES.values(), *TEXT_TABLES.values()) if table.name != "slides"]
    figures = replace(base.evaluation.figures, quasi=QUASI)
    return replace(
        base, tables=(described(unit), *(described(table) for table in others)),
        evaluation=replace(base.evaluation, figures=figures, k_required=5),
    )  # fmt: skip


Checked = tuple[str, str, dict[str, Any]]


def checks(document: Contract) -> Iterator[Checked]:
    """Table, column (empty for the table itself) and check."""
    for table in document["schema"]:
        for column in table["properties"]:
            yield from ((table["name"], column["name"], check) for check in column.get("quality", []))
        yield from ((table["name"], "", check) for check in table["quality"])


def holds(check: Mapping[str, Any], found: Any) -> bool:
    if "mustBe" in check:
        return bool(found == check["mustBe"])
    return bool(found >= check["mustBeGreaterOrEqualTo"])


CONNECTION = duckdb.connect(":memory:")


def ask(check: Mapping[str, Any], data: pa.Table | str) -> bool:
    if isinstance(data, pa.Table):
        CONNECTION.register("rows_here", data)
    relation = "rows_here" if isinstance(data, pa.Table) else f"read_parquet('{data}')"
    found = CONNECTION.execute(check["query"].replace("{object}", relation)).fetchall()
    assert len(found) == 1
    return holds(check, found[0][0])


Everything = tuple[Contract, dict[str, list[dict[str, Any]]], dict[str, Table]]


@pytest.fixture(scope="module")
def everything() -> Everything:
    description = whole()
    tables = {table.table.name: table.table for table in description.tables}
    return parsed(contract(description)), {name: good_rows(table) for name, table in tables.items()}, tables


def test_every_query_holds_on_files_of_good_rows(everything: Everything, tmp_path: Path) -> None:
    document, rows, tables = everything
    for name, table in tables.items():
        write_parquet(tmp_path / f"{name}.parquet", from_rows(table, rows[name]))
    found = {(table, column, check["id"]): ask(check, str(tmp_path / f"{table}.parquet"))
             for table, column, check in checks(document)}  # fmt: skip
    assert [place for place, good in found.items() if not good] == []
    assert len(found) > 200
    for listed in document["schema"]:
        query = f"DESCRIBE SELECT * FROM read_parquet('{tmp_path / listed['name']}.parquet')"
        types = {row[0]: row[1] for row in CONNECTION.execute(query).fetchall()}
        assert types == {column["name"]: column["physicalType"] for column in listed["properties"]}


def test_every_query_finds_the_row_that_breaks_it(everything: Everything) -> None:
    document, rows, tables = everything
    # The same question of several tables is asked once.
    once = {check["query"]: (name, column, check) for name, column, check in checks(document)}
    silent = [
        (name, check["id"])
        for name, column, check in once.values()
        if ask(check, loose(tables[name], broken(rows[name], column, check["id"], tables[name])))
    ]
    assert silent == []
    assert len(once) > 100


def loose(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of a table of which every column may be missing."""
    return from_rows(replace(table, columns=tuple(replace(column, required=False) for column in table.columns)), rows)


def broken(rows: list[dict[str, Any]], column: str, name: str, table: Table) -> list[dict[str, Any]]:
    """The rows with one that breaks a check."""
    first, *others = rows
    if name in {"rows", "key"}:
        return others if name == "rows" else [*rows, first]
    bad = [*first[column], "~"] if column and table[column].type is Type.STRINGS else "~"
    change: dict[str, Any] = {
        "places": {"start": 9, "end": 8}, "no_leakage": {"group_id": others[0].get("group_id"), "split": "test"},
        "k_anonymity": {"site": "NB02"}, "present": {column: None}, "closed": {column: bad},
        "in_range": {column: -1},
    }  # fmt: skip
    return [{**first, **change[name.removeprefix(f"{column}_")]}, *others]


def test_a_release_keeps_what_its_contract_promises(tmp_path: Path) -> None:
    # Under this profile, which asks for k = 5, an age would be empty.
    release = build_release(tmp_path / "w", rows=made_up(), profile="agreement", recipe=RECIPE.replace(" age,", ""))
    document = parsed((release / "metadata" / "contract.odcs.yaml").read_text(encoding="utf-8"))
    paths = {server["server"]: release / server["path"] for server in document["servers"]}
    assert {str(path.relative_to(release)) for path in paths.values()} == {
        str(path.relative_to(release)) for path in (release / "data").rglob("*.parquet")
    }
    asked = {(table, column, check["id"]): ask(check, str(paths[table])) for table, column, check in checks(document)}
    assert all(asked.values()), asked
    assert ("slides", "", "no_leakage") in asked
    assert ("slides", "", "k_anonymity") in asked


@pytest.mark.parametrize(("column", "beyond"), [("age", 91), ("percent_low", 101), ("quarter", 5), ("tissue_fraction", 1.5)])
def test_a_bound_has_two_ends(everything: Everything, column: str, beyond: float) -> None:
    document, rows, tables = everything
    found = [(name, check) for name, of, check in checks(document) if of == column and check["id"].endswith("_in_range")]
    assert found
    for name, check in found:
        data = loose(tables[name], [{**rows[name][0], column: beyond}, *rows[name][1:]])
        assert not ask(check, data)


def test_every_type_is_told() -> None:
    assert set(PHYSICAL) == set(Type)


def test_nobody_promises_what_no_column_can_show() -> None:
    description = replace(whole(), tables=whole().tables[:1])
    unit = description.tables[0]
    kept = tuple(column for column in unit.columns if column.column.name not in {"group_id", "patient_id"})
    table = replace(unit.table, columns=tuple(column.column for column in kept))
    without = replace(description, tables=(replace(unit, table=table, columns=kept),))
    named = {check["id"] for name, _, check in checks(parsed(contract(without))) if name == "slides"}
    assert {"no_leakage", "k_anonymity"}.isdisjoint(named)


def test_a_person_who_is_not_known_counts_as_one() -> None:
    description = replace(whole(), tables=whole().tables[:1])
    check = next(check for name, _, check in checks(parsed(contract(description))) if check["id"] == "k_anonymity")
    table = description.tables[0].table
    rows = good_rows(table)
    unknown = [{**row, "group_id": None, "site": "NB02"} for row in rows]
    assert ask(check, loose(table, rows))
    assert not ask(check, loose(table, unknown))
    assert ask(check, loose(table, []))
