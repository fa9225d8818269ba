"""The form of recipes: what is accepted, what each fault says, and that editors and the tool agree."""

import functools
import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from pathcurate.errors import RecipeError
from pathcurate.model.recipe import AnyOf, Missing, Range, Recipe
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.recipeschema import recipe_schema

HEAD = "recipe: 1\nname: he_slides\nversion: 1.0.0\ntitle: HE 切片\nunit: slide\n"
LAST = "columns: [slide_id]\n"
FULL = """\
# a comment
recipe: 1
name: he_slides
version: 2.1.0-rc.1+b5
title: HE 切片
owner: research@hospital.example
approval: IRB-2026-1
purpose: product_development
links: [exact, reviewed]
unit: slide
x-anchors: {he: &he {any_of: [HE, PAS]}, blank: }
include:
  - {id: he, label: H&E, level: slide, where: {stain: *he, format: svs}}
  - {id: forty_x, level: slide, where: {mpp: {min: 0.2, max: 0.3}}, if_missing: pass}
  - {id: since, level: slide, where: {scan_datetime: {min: 2012-01-01}, width: {max: 100000}}}
  - {id: day, level: slide, where: {scan_datetime: 2012-01-01, is_control: false, size_bytes: {min: 1}}}
  - {id: two_reports, level: case, has: {table: reports, where: {status: final}, count: ">= 2"}}
exclude:
  - {id: no_path, level: slide, where: {level_downsamples: {missing: true}}, if_missing: fail}
  - {id: young, level: patient, where: {sex: male}}
  - {id: lonely, level: patient, has: {table: slides, count: "<=1"}}
split:
  group: patient
  ratios: {train: 0.7, val: 0.1, test: 0.2}
  seed: 种子
  stratify: [site]
columns: [slide_id, case_id, split, site]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path, text: str) -> RecipeSource:
    return load_recipe(write(folder, text))


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text)
    start = f"{folder / 'r.yaml'}:"
    lines = caught.value.message.splitlines()
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


@functools.cache
def schema() -> jsonschema.Draft7Validator:
    content = recipe_schema()
    jsonschema.Draft7Validator.check_schema(content)
    return jsonschema.Draft7Validator(content)


def schema_accepts(data: Any) -> bool:
    return bool(schema().is_valid(data))


class _Text(yaml.SafeLoader):
    """Reads dates as text, as the recipe language does; a second reader, so that the schema's test has its own."""


_Text.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in forms if tag != "tag:yaml.org,2002:timestamp"]
    for first, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> Any:
    return yaml.load(text, Loader=_Text)  # noqa: S506 (a SafeLoader)


def test_every_key_arrives(tmp_path: Path) -> None:
    recipe = load(tmp_path, FULL).recipe
    assert (recipe.name, recipe.version, recipe.unit) == ("he_slides", "2.1.0-rc.1+b5", "slide")
    assert (recipe.owner, recipe.approval, recipe.purpose) == (
        "research@hospital.example",
        "IRB-2026-1",
        "product_development",
    )
    assert recipe.links == ("exact", "reviewed")
    assert [(criterion.id, criterion.if_missing) for criterion in recipe.criteria] == [
        ("he", "fail"), ("forty_x", "pass"), ("since", "fail"), ("day", "fail"), ("two_reports", "fail"),
        ("no_path", "fail"), ("young", "pass"), ("lonely", "pass"),
    ]  # fmt: skip
    he, forty, since, day, reports = recipe.include
    assert he.where == {"stain": AnyOf(any_of=("HE", "PAS")), "format": "svs"}
    assert forty.where == {"mpp": Range(min=0.2, max=0.3)}
    assert since.where == {"scan_datetime": Range(min=date(2012, 1, 1)), "width": Range(max=100000)}
    assert day.where is not None
    assert day.where["is_control"] is False
    assert reports.has is not None
    assert (reports.has.table, reports.has.operator, reports.has.threshold) == ("reports", ">=", 2)
    assert recipe.exclude[0].where == {"level_downsamples": Missing(missing=True)}
    lonely = recipe.exclude[2].has
    assert lonely is not None
    assert (lonely.operator, lonely.threshold, lonely.where) == ("<=", 1, {})
    assert recipe.split is not None
    assert (recipe.split.ratios, recipe.seed) == ({"train": 0.7, "val": 0.1, "test": 0.2}, "种子")


def test_the_least_recipe_and_its_defaults(tmp_path: Path) -> None:
    recipe = load(tmp_path, HEAD + LAST).recipe
    assert (recipe.purpose, recipe.links) == ("research", ("exact", "barcode", "metadata", "index", "file_name", "reviewed"))
    assert (recipe.criteria, recipe.split, recipe.seed) == ((), None, "he_slides")


def test_the_canonical_form_knows_no_layout(tmp_path: Path) -> None:
    source = load(tmp_path, FULL)
    assert source.sha256 == "sha256:" + hashlib.sha256(source.canonical).hexdigest()
    content = json.loads(source.canonical)
    assert source.canonical.decode() == json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert Recipe.model_validate(content) == source.recipe
    assert content["include"][2]["where"]["scan_datetime"] == {"min": "2012-01-01"}
    assert "x-anchors" not in content
    assert "owner" not in json.loads(load(tmp_path, HEAD + LAST).canonical)
    lines = FULL.splitlines()
    reordered = "\n".join([*lines[1:10][::-1], *lines[10:], "x-more: 1", "# end"])
    assert load(tmp_path, reordered).sha256 == source.sha256
    spelled = FULL.replace("if_missing: pass", "'if_missing': \"pass\"").replace("he}}", "he}, if_missing: fail}")
    assert load(tmp_path, spelled).sha256 == source.sha256
    assert load(tmp_path, FULL.replace("min: 0.2", "min: 0.21")).sha256 != source.sha256


def test_a_recipe_does_not_change(tmp_path: Path) -> None:
    recipe = load(tmp_path, FULL).recipe
    with pytest.raises(ValidationError, match="frozen"):
        recipe.name = "other"  # type: ignore[misc]


def criterion(text: str, part: str = "include") -> str:
    return f"{HEAD}{part}:\n- {{id: a, level: slide, {text}}}\n{LAST}"


# The flag says whether the JSON Schema sees the fault too.
BAD = [
    (HEAD.replace("recipe: 1", "recipe: 2") + LAST, True,
     ["1:9: error: `recipe` is the version of the recipe language; this version of pathcurate reads 1"]),
    (HEAD.replace("1.0.0", "1.0") + LAST, True,
     ["3:10: error: `version` must have three parts, such as 1.0.0: 1.0 is a number"]),
    (HEAD.replace("1.0.0", "v1.0.0") + LAST, True,
     ["3:10: error: `version` must be a semantic version of three parts, such as 1.0.0"]),
    (HEAD.replace("1.0.0", "1.02.0") + LAST, True,
     ["3:10: error: `version` must be a semantic version of three parts, such as 1.0.0"]),
    (HEAD.replace("he_slides", "HE-slides") + LAST, True, ["2:7: error: must be 1 to 64 of a-z, 0-9 and _"]),
    (HEAD.replace("he_slides", "..") + LAST, True, ["2:7: error: must be 1 to 64 of a-z, 0-9 and _"]),
    (HEAD.replace("unit: slide", "unit: slides") + LAST, True,
     [("5:7: error: Input should be 'slide', 'case', 'patient', 'series' or 'event' (got \"slides\"); "
       "did you mean `slide`?")]),
    (HEAD.replace("HE 切片", "''") + LAST, True, ["4:8: error: the text must not be empty"]),
    (HEAD.replace("title", "titel") + LAST, True,
     ["1:1: error: key `title` is missing in recipe", "4:1: error: unknown key `titel` in recipe; did you mean `title`?"]),
    (HEAD, True, ["1:1: error: a recipe needs exactly one of `columns` and `tables`"]),
    (HEAD + "columns: []\n", True, ["6:10: error: a list must not be empty"]),
    (HEAD + "columns: slide_id\n", True, ["6:10: error: Input should be a list (got \"slide_id\")"]),
    (HEAD + "columns: [slide_id, site, slide_id]\n", True, ["6:27: error: `slide_id` is given twice"]),
    (HEAD + LAST + "links: [exact, probable]\n", True,
     [("7:16: error: Input should be 'exact', 'barcode', 'metadata', 'index', 'file_name', 'patient_date' or 'reviewed' "
       '(got "probable")')]),
    (HEAD + LAST + "links: [exact, exact]\n", True, ["7:16: error: `exact` is given twice"]),
    (HEAD + LAST + "purpose: For Profit\n", True, ["7:10: error: must be 1 to 40 of a-z and _, as in the permissions"]),
    (HEAD + LAST + "exclude:\n", True, ["7:1: error: no value is given here"]),
    (HEAD + LAST + "owner: 12\n", True, ["7:8: error: Input should be a valid string (got 12)"]),
    (HEAD + LAST + "tables: {slides: {columns: [slide_id]}}\n", True,
     ["1:1: error: a recipe needs exactly one of `columns` and `tables`"]),
    (HEAD + "tables: {cases: {columns: [case_id]}}\n", False,
     ["6:9: error: `tables` must hold `slides`: its rows are the units of the cohort"]),
    (HEAD + LAST + "extends: {a: 1}\n", True, ["7:10: error: Input should be a list (got a mapping)"]),
    (HEAD + LAST + "params: {a: 1}\n", True, ["7:13: error: Input should be a mapping (got 1)"]),
    (HEAD + LAST + "index: {a: 1}\n", True,
     ["7:8: error: key `date` is missing in `index`", "7:8: error: key `table` is missing in `index`",
      "7:9: error: unknown key `a` in `index`; known keys: table, date, pick, per, where, text"]),
    (HEAD + LAST + "sample: {seed: a}\n", False, ["7:9: error: a sample needs `per`, `balance` or both"]),
    (HEAD + LAST + "expect: {}\n", False, ["7:9: error: `expect` says nothing"]),
    (HEAD + LAST + "disclosure: {min_cell: 5}\n", True,
     ["7:24: error: Input should be greater than or equal to 10 (got 5)"]),
    (HEAD + LAST + "labels: [{name: a, level: case}]\n", True,
     ["7:10: error: label `a` needs exactly one of `column`, `has`, `time_to_event`, `nearest` and `from`"]),
    (HEAD + LAST + "codelists: {a: {system: icd10, codes: [153.0, C34]}}\n", True,
     ["7:40: error: Input should be a valid string (got 153.0)"]),
    (HEAD + LAST + "codelists: {a: {system: icd10}}\n", True,
     ["7:16: error: a code list needs exactly one of `codes` and `file`"]),
    (HEAD + LAST + "codelists: {A b: {system: icd10, codes: [C34]}}\n", True,
     ["7:13: error: must be 1 to 64 of a-z, 0-9 and _"]),
    (criterion("wher: {stain: HE}"), True, ["7:25: error: unknown key `wher` in criterion; did you mean `where`?"]),
    (criterion("label: x"), True, ["7:3: error: criterion `a` needs exactly one of `where`, `has`, `any_of` and `sql`"]),
    (criterion("where: {stain: HE}, has: {table: reports}"), True,
     ["7:3: error: criterion `a` needs exactly one of `where`, `has`, `any_of` and `sql`"]),
    (criterion("has: {table: reports}, if_missing: pass"), True,
     ["7:60: error: `if_missing` goes with `where`; a count is never missing"]),
    (criterion("any_of: []"), True, ["7:33: error: a list must not be empty"]),
    (criterion("any_of: [{where: {stain: HE}}]"), True, ["7:33: error: needs at least 2 items (got 1)"]),
    (criterion("any_of: [{where: {stain: HE}, sql: x}, {id: B}]"), True,
     ["7:34: error: an alternative needs exactly one of `where`, `has`, `any_of` and `sql`",
      "7:69: error: must be 1 to 64 of a-z, 0-9 and _"]),
    (HEAD + LAST + "split: {ratios: {train: 1}, stratify: [site, site]}\n", True,
     ["7:46: error: `site` is given twice"]),
    (criterion("where: {stain: HE}, if_missing: drop"), True,
     ["7:57: error: Input should be 'pass' or 'fail' (got \"drop\")"]),
    (criterion("where: {}"), True, ["7:32: error: a mapping must not be empty"]),
    (criterion("where: {stain: [HE, PAS]}"), True,
     ["7:40: error: a condition is one value; for several write {any_of: [...]} (got a list)"]),
    (criterion("where: {stain: }"), True, ["7:33: error: no value is given here"]),
    (criterion("where: {stain: {}}"), True,
     ["7:40: error: a condition is a value, {any_of: [...]}, {min: ..., max: ...}, {codelist: ...} or {missing: true}"]),
    (criterion("where: {stain: {anyof: [HE]}}"), True,
     ["7:41: error: unknown key `anyof` in condition; did you mean `any_of`?"]),
    (criterion("where: {stain: {any_of: []}}"), True, ["7:49: error: a list must not be empty"]),
    (criterion("where: {stain: {any_of: HE}}"), True, ["7:49: error: Input should be a list (got \"HE\")"]),
    (criterion("where: {stain: {any_of: [HE, [x], HE]}}"), True,
     ["7:54: error: a value must be text, a number, true or false"]),
    (criterion("where: {stain: {any_of: [HE, HE]}}"), True, ["7:54: error: `HE` is given twice"]),
    (criterion("where: {stain: {any_of: [HE], min: 3}}"), True,
     ["7:55: error: key `min` cannot stand beside the others here"]),
    (criterion("where: {stain: {missing: maybe}}"), True, ["7:50: error: Input should be true or false (got \"maybe\")"]),
    (criterion("where: {mpp: {mni: 0.2}}"), True, ["7:39: error: unknown key `mni` in condition; did you mean `min`?"]),
    (criterion("where: {mpp: {min: x}}"), True, ["7:44: error: `x` is not a date such as 2020-01-31"]),
    (criterion("where: {mpp: {min: '0.2'}}"), True,
     ["7:44: error: `0.2` in quotes is text; a bound is a number without, or a date such as 2020-01-31"]),
    (criterion("where: {mpp: {min: true}}"), True,
     ["7:44: error: a bound must be a number or a date such as 2020-01-31"]),
    (criterion("where: {mpp: {min: 2, max: 1}}"), False,
     ["7:44: error: `min` is greater than `max`: nothing can lie between"]),
    (criterion("where: {scan_datetime: {min: 2020-01-02, max: 2020-01-01}}"), False,
     ["7:54: error: `min` is greater than `max`: nothing can lie between"]),
    (criterion("where: {mpp: {min: 2, max: 2020-01-01}}"), False,
     ["7:38: error: `min` and `max` must both be numbers or both be dates"]),
    (criterion("where: {scan_datetime: {min: 2021-02-29}}"), False, ["7:54: error: `2021-02-29` is not in the calendar"]),
    (criterion("where: {mpp: {max: .inf}}"), False,
     ["7:44: error: a number must be finite; leave out a bound that does not bind"]),
    (criterion(f"where: {{width: 1{'0' * 200}}}"), False, ["7:40: error: a whole number must fit into 64 bits"]),
    (criterion("where: {width: {any_of: [1, -9223372036854775809]}}"), False,
     ["7:53: error: a whole number must fit into 64 bits"]),
    (criterion("where: {width: {max: 9223372036854775808}}"), False, ["7:46: error: a whole number must fit into 64 bits"]),
    (criterion("where: {mpp: {min: -9223372036854775809}}"), False, ["7:44: error: a whole number must fit into 64 bits"]),
    (criterion("where: {mpp: .nan}"), False, ["7:38: error: a number must be finite"]),
    (criterion("has: {where: {status: final}}"), True, ["7:30: error: key `table` is missing in `has`"]),
    (criterion("has: {table: report}"), True,
     [("7:38: error: Input should be 'slides', 'cases', 'reports', 'events', 'series', 'diagnoses', 'ihc_results', "
       "'report_concepts', 'materials' or 'annotations' (got \"report\"); did you mean `reports`?")]),
    (criterion("has: {table: reports, within: {from: -90}}"), True,
     ["7:62: error: a duration needs a unit, such as 90d, -2w, 24mo or 5y: -90 has none"]),
    (criterion("has: {table: reports, within: {}}"), True, ["7:55: error: a window needs `from`, `to` or both"]),
    (criterion("has: {table: reports, within: {from: 1mo, to: -1d}}"), False,
     ["7:62: error: `from` is later than `to`: no day can lie between"]),
    (criterion("has: {table: reports, count: 2}"), True, ["7:54: error: Input should be a valid string (got 2)"]),
    (criterion("has: {table: reports, count: '!=2'}"), True,
     ['7:54: error: must be an operator (>=, >, =, <=) and a whole number, in quotes: ">=2"']),
    (criterion("has: {table: reports, count: '>=0'}"), False, ["7:54: error: a count of at least 0 is always met"]),
    (HEAD + "include:\n- {level: slide, where: {stain: HE}}\n- {id: A b, level: slid, where: {stain: HE}}\n" + LAST, True,
     ["7:3: error: key `id` is missing in criterion", "8:8: error: must be 1 to 64 of a-z, 0-9 and _",
      ("8:20: error: Input should be 'patient', 'case', 'specimen', 'block', 'slide', 'series' or 'event' (got \"slid\"); "
       "did you mean `slide`?")]),
    (criterion("where: {stain: HE}") + "exclude:\n- {id: a, level: slide, where: {stain: PAS}}\n", False,
     ["10:8: error: criterion `a` is given twice"]),
    (HEAD + "columns: [slide_id, split]\n", False, ["6:21: error: column `split` needs a `split` section in the recipe"]),
    (HEAD + LAST + "split: {}\n", True, ["7:8: error: key `ratios` is missing in `split`"]),
    (HEAD + LAST + "split: {ratios: {}}\n", True, ["7:17: error: a mapping must not be empty"]),
    (HEAD + LAST + "split: {ratios: {train: 0.8, test: 0.1}}\n", False, ["7:17: error: the ratios add up to 0.9, not to 1"]),
    (HEAD + LAST + "split: {ratios: {train: 1, trian: 0.0, val: 0}}\n", True,
     ["7:35: error: Input should be greater than 0 (got 0.0)", "7:45: error: Input should be greater than 0 (got 0)"]),
    (HEAD + LAST + "split: {ratios: {train: '1'}}\n", True, ["7:25: error: Input should be a valid number (got \"1\")"]),
    (HEAD + LAST + "split: {ratios: {train: 1}, group: slide, seed: 7, hold_out: {}, keep_from: x}\n", True,
     ["7:36: error: Input should be 'patient' (got \"slide\")", "7:49: error: Input should be a valid string (got 7)",
      "7:62: error: a mapping must not be empty",
      "7:77: error: String should match pattern '^[a-z0-9_]{1,64}@[0-9A-Za-z.+-]{1,64}$' (got \"x\")"]),
    ("[1]", True, ["1:1: error: Input should be a mapping (got a list)"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "_in_schema", "expected"), BAD)
def test_every_fault_of_form_with_its_place(tmp_path: Path, text: str, _in_schema: bool, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected


@pytest.mark.parametrize(("text", "in_schema", "_expected"), BAD)
def test_the_schema_refuses_what_the_tool_refuses(text: str, in_schema: bool, _expected: list[str]) -> None:
    assert schema_accepts(parse(text)) is not in_schema


@pytest.mark.parametrize("text", [FULL, HEAD + LAST, HEAD + LAST + "split: {ratios: {test: 1}}"])
def test_the_schema_accepts_what_the_tool_accepts(tmp_path: Path, text: str) -> None:
    load(tmp_path, text)
    assert schema_accepts(parse(text))


def test_the_message_shows_the_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load(tmp_path, criterion("wher: {stain: HE}"))
    assert caught.value.exit_code == 10
    assert caught.value.message == (
        f"{tmp_path}/r.yaml:7:25: error: unknown key `wher` in criterion; did you mean `where`?\n"
        "       7 | - {id: a, level: slide, wher: {stain: HE}}\n"
        "         |                         ^"
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(tmp_path / "absent.yaml")
