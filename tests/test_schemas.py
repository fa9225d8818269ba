"""``schemas/`` is what the declarations say, and what pathcurate writes and ships is of these schemas."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pathcurate.cohort import read_recipe
from pathcurate.contracts import contracts, write_contracts
from pathcurate.errors import RecipeError
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.resources import shipped
from pathcurate.tables import read_parquet
from tests.built import build_release

SCHEMAS = shipped("schemas")
RECIPES = sorted(shipped("recipes").glob("*.yaml"))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_release(tmp_path_factory.mktemp("schemas") / "w")


def faults(schema: str, document: Any) -> list[str]:
    validator = Draft202012Validator(json.loads((SCHEMAS / schema).read_bytes()))
    return [fault.message for fault in validator.iter_errors(document)]


def recipe(text: str) -> Any:
    """YAML as a validating editor reads it: a date is text there."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_schemas_are_what_the_declarations_render() -> None:
    there = {path.relative_to(SCHEMAS).as_posix(): path.read_bytes() for path in SCHEMAS.rglob("*") if path.is_file()}
    assert there == contracts(), "run `make schemas`"


def test_what_is_no_longer_rendered_is_removed(tmp_path: Path) -> None:
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "stale.json").write_text("{}")
    write_contracts(tmp_path)
    assert {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.json")} == contracts()


@pytest.mark.parametrize("name", sorted(name for name in contracts() if name.endswith(".schema.json")))
def test_each_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((SCHEMAS / name).read_bytes()))


@pytest.mark.parametrize("file", RECIPES, ids=lambda path: path.stem)
def test_each_shipped_recipe_is_of_its_schema_and_loads(file: Path) -> None:
    assert faults("recipe-v1.schema.json", recipe(file.read_text(encoding="utf-8"))) == []
    assert read_recipe(file).recipe.name == file.stem


def test_there_are_recipes_with_titles() -> None:
    titles = [read_recipe(file).recipe.title for file in RECIPES]
    assert len(titles) >= 2
    assert len(set(titles)) == len(titles)
    assert all(len(title) > 10 for title in titles)


# Each breaks the first shipped recipe in one place; the schema in the editor and the loader must both refuse it.
BROKEN = {
    "unknown_key": ("title:", "titel:"),
    "no_number": ("recipe: 1", "recipe: one"),
    "unknown_unit": ("unit: ", "unit: not_"),
    "no_semantic_version": ("version: 1.0.0", "version: one"),
    "name_with_space": ("name: ", "name: a "),
}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("file", RECIPES, ids=lambda path: path.stem)
def test_a_broken_recipe_is_refused_by_schema_and_loader(file: Path, fault: str, tmp_path: Path) -> None:
    old, new = BROKEN[fault]
    text = file.read_text(encoding="utf-8")
    assert old in text
    broken = text.replace(old, new, 1)
    assert faults("recipe-v1.schema.json", recipe(broken)) != []
    (tmp_path / "broken.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(RecipeError):
        read_recipe(tmp_path / "broken.yaml")


def test_a_real_manifest_is_of_its_schema(release: Path) -> None:
    manifest = json.loads((release / MANIFEST_NAME).read_bytes())
    assert faults("manifest-2.schema.json", manifest) == []
    assert faults("manifest-2.schema.json", {**manifest, "extra": 1}) != []
    assert faults("manifest-2.schema.json", {**manifest, "tables": {}}) != []


def test_a_released_table_is_of_its_contract(release: Path) -> None:
    contract = json.loads((SCHEMAS / "deid" / "slides.json").read_bytes())
    columns = {column["name"]: column for column in contract["columns"]}
    data = read_parquet(release / "data" / "slides.parquet")
    for field in data.schema:
        if field.name != "split":
            assert field.nullable is not columns[field.name]["required"]
            assert (field.metadata or {})[b"meaning"].decode() == columns[field.name]["meaning"]


def test_no_contract_of_a_released_table_has_a_direct_identifier() -> None:
    for name, content in contracts().items():
        if name.startswith("deid/"):
            classes = {column["identifying"] for column in json.loads(content)["columns"]}
            assert classes <= {"none", "quasi", "sensitive"}
