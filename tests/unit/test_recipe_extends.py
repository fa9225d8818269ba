"""Recipes of several files: how they are merged, where a fault is shown, and what a recipe may not reach."""

import hashlib
import json
from pathlib import Path

import pytest

from pathcurate.errors import RecipeError
from pathcurate.model.recipe import Range, Recipe
from pathcurate.recipefile import RecipeSource, canonical_json, extending, load_recipe

HEAD = "recipe: 1\nname: r\nversion: 1.0.0\ntitle: t\nunit: slide\n"
LAST = "columns: [slide_id]\n"
QUALITY = """\
# what each of our slide recipes begins with
name: quality
title: its own
owner: another@hospital.example
params: {least: {type: number, default: 0.2, help: µm per pixel}}
include:
- {id: good_qc, level: slide, where: {qc: ok}}
- {id: forty_x, level: slide, where: {mpp: {min: "${least}"}}}
exclude:
- {id: control, level: slide, where: {is_control: true}}
disclosure: {min_cell: 20, k: 5}
codelists: {lung: {system: icd10, codes: [C34], match: descendants, without: [C34.9]}}
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "r.yaml"


def refused(file: Path) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(file)
    return [line.replace(f"{file.parent}/", "") for line in caught.value.message.splitlines() if ": error: " in line]


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> RecipeSource:
    more = (
        "extends: [../base/quality.yaml]\nunit: case\ninclude: [{id: he, level: slide, where: {stain: HE}}]\n"
        "tables: {cases: {columns: [case_id]}}\n"
    )
    own = (
        HEAD + "extends: [more/stain.yaml, base/quality.yaml]\nparams: {least: {default: 0.25}}\ndisclosure: {k: 7}\n"
        "codelists: {lung: {system: icd10, codes: [C33]}}\nowner: mine@hospital.example\n"
        "include: [{id: wide, level: slide, where: {width: {min: 1000}}}]\n" + LAST
    )
    folder = tmp_path_factory.mktemp("merged")
    return load_recipe(write(folder, {"base/quality.yaml": QUALITY, "more/stain.yaml": more, "r.yaml": own}))


def test_criteria_of_bases_come_first_and_each_file_once(merged: RecipeSource) -> None:
    assert [criterion.id for criterion in merged.recipe.criteria] == ["good_qc", "forty_x", "he", "wide", "control"]


def test_what_is_named_comes_from_the_last_file_that_has_it(merged: RecipeSource) -> None:
    recipe = merged.recipe
    assert (recipe.unit, recipe.columns, recipe.tables) == ("slide", ("slide_id",), None)
    assert (recipe.disclosure.min_cell, recipe.disclosure.k) == (20, 7)
    assert recipe.codelists is not None
    lung = recipe.codelists["lung"]
    assert (lung.codes, lung.match, lung.without) == (("C33",), "exact", None)


def test_of_a_parameter_each_key_is_taken_by_itself(merged: RecipeSource) -> None:
    assert merged.recipe.params is not None
    least = merged.recipe.params["least"]
    assert (least.type, least.default, least.help) == ("number", 0.25, "µm per pixel")
    assert merged.recipe.include[1].where == {"mpp": Range(min=0.25)}


def test_a_recipe_is_itself_whatever_it_extends(merged: RecipeSource) -> None:
    recipe = merged.recipe
    assert (recipe.name, recipe.title, recipe.owner, recipe.extends) == ("r", "t", "mine@hospital.example", None)


def test_every_file_is_noted_and_every_part_has_its_place(merged: RecipeSource) -> None:
    folder = Path(merged.document.name).parent
    assert merged.files == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("base/quality.yaml", "more/stain.yaml", "r.yaml")
    }
    assert merged.origin(("include", 1, "where", "mpp")) == (str(folder / "base/quality.yaml"), 8, 44)
    assert merged.origin(("include", 2, "id")) == (str(folder / "more/stain.yaml"), 3, 16)
    assert merged.origin(("params", "least", "type"))[:2] == (str(folder / "base/quality.yaml"), 5)
    assert merged.origin(("params", "least", "default"))[:2] == (str(folder / "r.yaml"), 7)


def test_a_merged_recipe_is_the_one_that_is_written_out(merged: RecipeSource) -> None:
    content = json.loads(merged.canonical)
    again = Recipe.model_validate(content)
    assert again == merged.recipe
    assert canonical_json(again) == merged.canonical
    text = json.dumps(content)
    assert load_recipe(Path("flat.yaml"), text=text).sha256 == merged.sha256


def test_a_fault_is_shown_in_the_file_where_it_stands(tmp_path: Path) -> None:
    base = QUALITY.replace("qc:", "qcc:").replace("- {id: control", "- {id: wide")
    own = (
        HEAD + "extends: [base/quality.yaml]\ninclude:\n- {id: wide, level: slide, where: {widht: 3}}\n"
        "- {id: good_qc, level: slide, where: {stain: HE}}\n" + LAST
    )
    file = write(tmp_path, {"base/quality.yaml": base, "r.yaml": own})
    assert refused(file) == [
        "r.yaml:8:8: error: criterion `wide` is given in base/quality.yaml:10:8 already",
        "r.yaml:9:8: error: criterion `good_qc` is given in base/quality.yaml:7:8 already",
    ]
    file = write(tmp_path, {"base/quality.yaml": base, "r.yaml": HEAD + "extends: [base/quality.yaml]\n" + LAST})
    assert refused(file) == ["base/quality.yaml:7:39: error: unknown column `qcc` in table slides; did you mean `qc`?"]


def test_faults_of_yaml_in_a_base_are_shown_there(tmp_path: Path) -> None:
    own = HEAD + "extends: [base/a.yaml, b.yaml, qualitty]\n" + LAST
    file = write(tmp_path, {"base/a.yaml": "include: [\n", "b.yaml": "- a\n", "r.yaml": own})
    assert refused(file) == [
        "r.yaml:6:32: error: no such file",
        "b.yaml:1:1: error: must be a mapping, as a recipe is",
        "base/a.yaml:2:1: error: a value is missing before this",
    ]


def test_a_base_that_is_none_is_not_passed_over(tmp_path: Path) -> None:
    base = "recipe: 2\nextends: x.yaml\nexclude:\ninclude: {a: 1}\nlabels: [1]\ncolums: [a]\nparams: 3\n"
    own = "extends: [base.yaml, empty.yaml]\ninclude: [{id: a, level: slide, where: {stain: HE}}]\nparams: {}\n"
    own = HEAD + own + LAST
    file = write(tmp_path, {"base.yaml": base, "empty.yaml": "# nothing\n", "r.yaml": own})
    assert refused(file) == [
        "r.yaml:8:9: error: a mapping must not be empty",
        "base.yaml:1:9: error: this version of pathcurate reads version 1 of the language",
        "base.yaml:2:10: error: must be a list of files",
        "base.yaml:3:1: error: no value is given here",
        "base.yaml:4:10: error: Input should be a list",
        "base.yaml:5:10: error: Input should be a mapping (got 1)",
        "base.yaml:6:1: error: unknown key `colums` in recipe; did you mean `columns`?",
        "base.yaml:7:9: error: Input should be a mapping",
        "empty.yaml:1:1: error: the file is empty",
    ]


def test_no_recipe_reaches_beyond_its_directory(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(QUALITY)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "in" / "out").symlink_to(tmp_path)
    (tmp_path / "in" / "round.yaml").symlink_to(tmp_path / "in" / "round.yaml")
    (tmp_path / "in" / "inner.yaml").write_text("extends: [../secret.yaml]\n")
    listed = ["../secret.yaml", str(tmp_path / "in" / "inner.yaml"), "link.yaml", "out/secret.yaml", ".", "inner.yaml"]
    text = HEAD + "extends:\n" + "".join(f"- {name}\n" for name in listed) + LAST
    outside = "this lies outside of the recipe's directory; only files in it and below it can be named"
    assert refused(write(tmp_path / "in", {"r.yaml": text})) == [
        f"r.yaml:7:3: error: {outside}",
        "r.yaml:8:3: error: must be a path relative to this file",
        f"r.yaml:9:3: error: {outside}",
        f"r.yaml:10:3: error: {outside}",
        "r.yaml:11:3: error: no such file",
        f"inner.yaml:1:11: error: {outside}",
    ]
    file = write(tmp_path / "in", {"r.yaml": HEAD + "extends: [round.yaml]\n" + LAST})
    assert len(refused(file)) == 1


def test_a_recipe_that_was_sent_reads_only_what_it_is_given(tmp_path: Path) -> None:
    write(tmp_path, {"base/quality.yaml": QUALITY})
    text = HEAD + "extends: [base/quality.yaml]\n" + LAST
    with pytest.raises(RecipeError, match="was sent as text, so it cannot name other files"):
        load_recipe(tmp_path / "asked", text=text)
    source = load_recipe(Path("asked"), text=text, directory=tmp_path)
    assert [criterion.id for criterion in source.recipe.criteria] == ["good_qc", "forty_x", "control"]
    assert set(source.files) == {"asked", "base/quality.yaml"}


def test_recipes_that_extend_one_another_are_refused(tmp_path: Path) -> None:
    own = HEAD + "extends: [a.yaml, r.yaml]\n" + LAST
    file = write(tmp_path, {"a.yaml": "extends: [b.yaml]\n", "b.yaml": "extends: [a.yaml, r.yaml]\n", "r.yaml": own})
    back = "this leads back to a file that extends this one"
    assert refused(file) == [
        f"r.yaml:6:19: error: {back}", f"b.yaml:1:11: error: {back}", f"b.yaml:1:19: error: {back}",
    ]  # fmt: skip


def test_there_is_an_end_to_what_a_recipe_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"b{number}.yaml" for number in range(extending.MOST_FILES)]
    own = HEAD + "extends:\n" + "".join(f"- {name}\n" for name in names) + LAST
    file = write(tmp_path, {**dict.fromkeys(names, "x-a: 1\n"), "r.yaml": own})
    assert refused(file) == ["r.yaml:26:3: error: a recipe is made of at most 20 files"]
    own = HEAD + "extends: [big.yaml]\n" + LAST
    file = write(tmp_path, {"big.yaml": QUALITY, "r.yaml": own})
    monkeypatch.setattr(extending, "MAX_BYTES", len(own) + len(QUALITY.encode()) - 1)
    assert len(refused(file)) == 1
    monkeypatch.setattr(extending, "MAX_BYTES", len(own) + len(QUALITY.encode()))
    assert load_recipe(file).recipe.name == "r"
