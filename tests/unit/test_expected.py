"""Known cases that must be in a cohort or out of it: found in any spelling of their number, and never shown."""

from typing import Any

import pyarrow as pa
import pytest

from pathcurate.cohort.expected import KnownCases, known_cases, unmet
from pathcurate.errors import InputOutputError, PathcurateError, RecipeError
from pathcurate.model.attrition import Counts
from pathcurate.model.recipe import Recipe
from pathcurate.pseudonyms import internal
from pathcurate.tables import write_parquet
from pathcurate.vault import create_vault
from pathcurate.workspace import Workspace, load_workspace

CASES = {("NB01", "S24-1234"): "P1", ("NB01", "S24-77"): "P1", ("NB02", "K-0042"): "P2", ("NB01", "S24-9"): None}
"""Numbers as reports are imported, and whose they are; nobody knows of whom the last is."""
KEPT = Counts(slides=1, cases=1, patients=1)


def recipe(unit: str = "case", file: str | None = "catalog/known.csv", **more: Any) -> Recipe:
    return Recipe.model_validate({
        "recipe": 1, "name": "known", "version": "1.0.0", "title": "Known", "purpose": "research", "unit": unit,
        "include": [{"id": "any", "level": "patient", "where": {"sex": "female"}}],
        "expect": {**({"cases_file": file} if file else {}), **more}, "columns": ["patient_id"],
    })  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    root = tmp_path_factory.mktemp("known")
    (root / "pathcurate.yaml").write_text(
        "workspace: 1\nname: known\nsites:\n  - {code: NB01, archives: [a]}\n"
        "  - {code: NB02, archives: [b], accession: {patterns: ['^(?P<accession>K-[0-9]{4})']}}\n"
    )
    found = load_workspace(root / "pathcurate.yaml")
    layer = internal(create_vault(found.vault).key).codes
    codes = {"case_id": [layer.code("C", *case) for case in CASES], "patient_id": list(CASES.values())}
    found.deid.mkdir()
    write_parquet(found.deid / "cases.parquet", pa.table(codes, schema=pa.schema(dict.fromkeys(codes, pa.string()))))
    found.catalog.mkdir(mode=0o700)
    return found


def code(workspace: Workspace, *case: str) -> str:
    return internal(create_vault(workspace.vault).key).codes.code("C", *case)


def read(workspace: Workspace, rows: str, unit: str = "case", heads: str = "site,accession,expected") -> KnownCases:
    (workspace.catalog / "known.csv").write_text(f"\ufeff{heads}\n{rows}\n", encoding="utf-8")
    found = known_cases(workspace, recipe(unit))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "number", ["S24-1234", "s24-1234", "S24-01234", "Ｓ２４－０１２３４", "S2024-1234", " S24–1234 ", "S24-1234-A1"]
)  # fmt: skip
def test_every_spelling_finds_its_case(workspace: Workspace, number: str) -> None:
    assert read(workspace, f"NB01,{number},in") == KnownCases({code(workspace, "NB01", "S24-1234"): True}, 0)


def test_each_site_has_its_own_patterns(workspace: Workspace) -> None:
    found = read(workspace, "NB02,k-0042,out\nNB01,K-0042,in\nNB02,S24-1234,in")
    assert found == KnownCases({code(workspace, "NB02", "K-0042"): False}, 2)


def test_unknown_sites_and_numbers_are_counted_and_not_shown(workspace: Workspace) -> None:
    found = read(workspace, "NB01,S24-1234,in\nNB77,S24-1234,in\nNB01,S24-5555,out\nNB01,欧阳靖远,in\nNB01,,in")
    assert found.unknown == 4
    rows = pa.table({"case_id": [code(workspace, "NB01", "S24-1234")]})
    assert unmet(recipe(), rows, KEPT, found) == ["4 known cases not found: no case has such a site and number"]


def test_who_left_and_who_stayed_are_counted(workspace: Workspace) -> None:
    found = read(workspace, "NB01,S24-1234,in\nNB01,S24-77,out\nNB02,K-0042,out")
    rows = pa.table({"case_id": [code(workspace, "NB01", "S24-77"), code(workspace, "NB02", "K-0042")]})
    assert unmet(recipe(), rows, KEPT, found) == [
        "1 known case must be in the cohort and left it",
        "2 known cases must not be in the cohort and stayed in it",
    ]


@pytest.mark.parametrize("unit", ["patient", "event"])
def test_units_of_patients_stand_for_their_cases(workspace: Workspace, unit: str) -> None:
    found = read(workspace, "NB01,S24-77,out\nNB01,S24-1234,in\nNB02,K-0042,out\nNB01,S24-9,in", unit)
    # One patient is to be in for one case and out for another; of one case nobody knows whose it is.
    assert found == KnownCases({"P1": True, "P2": False}, 1)
    assert unmet(recipe(unit), pa.table({"patient_id": ["P1"]}), KEPT, found)[1:] == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("NB01,S24-1234,maybe", "row 2 .* neither"),
        ("NB01,S24-1234,in\nNB01,S24-77", "row 3 .* neither"),
        ("NB01,S24-1234,in\nNB01,s24-01234,out", "row 3 .* says otherwise"),
    ],
)
def test_a_row_that_makes_no_sense_is_named_by_its_number(workspace: Workspace, rows: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as raised:
        read(workspace, rows)
    assert not any(value in raised.value.message for value in ("1234", "maybe"))


def test_the_file_is_a_table_below_the_catalog(workspace: Workspace) -> None:
    with pytest.raises(RecipeError, match="lacks a column"):
        read(workspace, "NB01,S24-1234", heads="site,accession")
    (workspace.catalog / "known.csv").write_bytes("site,accession,expected\nNB01,病,in".encode("gb18030"))
    with pytest.raises(RecipeError, match="not UTF-8"):
        known_cases(workspace, recipe())
    for file, error in {
        "known.csv": RecipeError,
        "catalog/../pathcurate.yaml": RecipeError,
        "catalog/no.csv": InputOutputError,
    }.items():
        with pytest.raises(PathcurateError) as raised:
            known_cases(workspace, recipe(file=file))
        assert type(raised.value) is error


def test_nothing_is_expected_of_cases_without_a_file(workspace: Workspace) -> None:
    plain = recipe(file=None, rows={"min": 2})
    assert known_cases(workspace, plain) is None
    assert unmet(plain, pa.table({"case_id": ["C"]}), KEPT, None) == ["rows must be at least 2, and are fewer"]
