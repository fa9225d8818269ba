"""The recipe language: what is accepted, what each fault says, and that editors and the tool agree."""

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
from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.recipe import AnyOf, Missing, Range, Recipe
from pathcurate.recipefile import RecipeSource, check_columns, load_recipe

PATTERN = "S-[0-9A-Z]{4}"
SLIDES = Table("slides", "one slide", ("slide_id",), (
    Column("slide_id", Type.STRING, "Pseudonym of the slide.", pattern=PATTERN),
    Column("stain", Type.STRING, "Stain.", vocabulary="stains"),
    Column("format", Type.STRING, "File format.", values=("svs", "ndpi", "kfb")),
    Column("mpp", Type.FLOAT, "Microns per pixel."),
    Column("width", Type.INTEGER, "Width."),
    Column("is_control", Type.BOOLEAN, "Whether it is a control."),
    Column("scan_datetime", Type.DATE, "When it was scanned.", Identifying.QUASI),
    Column("scanned_at", Type.TIMESTAMP, "When it was read.", Identifying.QUASI, Action.SHIFT),
    Column("relpath", Type.BYTES, "Path.", Identifying.DIRECT, Action.DROP),
    Column("case_key", Type.STRING, "Case.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="C"),
    Column("label_text", Type.STRING, "Text of the label.", Identifying.DIRECT, Action.WITHHOLD),
    Column("mtime", Type.TIMESTAMP, "Modified.", Identifying.QUASI, Action.DROP),
    Column("level_downsamples", Type.FLOATS, "Downsamples."),
    Column("size_bytes", Type.INTEGER, "Bytes.", Identifying.CRITERION_ONLY, Action.CRITERION),
    Column("birth_date", Type.DATE, "Birth.", Identifying.QUASI, Action.CRITERION),
    Column("site", Type.STRING, "Site.", Identifying.QUASI, pattern="[A-Z]{2}[0-9]{2}"),
))  # fmt: skip
CASES = Table("cases", "one case", (), (Column("organ", Type.STRING, "Organ.", values=("lung", "bone")),))
PATIENTS = Table("patients", "one person", (), (Column("sex", Type.STRING, "Sex.", values=("male", "female")),))
REPORTS = Table("reports", "one report", (), (
    Column("status", Type.STRING, "State.", values=("final", "preliminary")),
    Column("reported_date", Type.DATE, "Date.", Identifying.QUASI),
))  # fmt: skip
TABLES = {table.name: table for table in (SLIDES, CASES, PATIENTS, REPORTS)}
VOCABULARIES = {"stains": ("HE", "PAS", "IHC:Ki-67")}

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
columns: [slide_id, case_key, split, site]
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "r.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def load(folder: Path, text: str) -> RecipeSource:
    return load_recipe(write(folder, text), TABLES, VOCABULARIES)


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        load(folder, text)
    start = f"{folder / 'r.yaml'}:"
    lines = caught.value.message.splitlines()
    return [line.removeprefix(start) for line in lines if line.startswith(start)]


@functools.cache
def schema() -> jsonschema.Draft202012Validator:
    content = Recipe.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(content)
    return jsonschema.Draft202012Validator(content)


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
     ["5:7: error: Input should be 'slide', 'case' or 'patient' (got \"slides\"); did you mean `slide`?"]),
    (HEAD.replace("HE 切片", "''") + LAST, True, ["4:8: error: the text must not be empty"]),
    (HEAD.replace("title", "titel") + LAST, True,
     ["1:1: error: key `title` is missing in recipe", "4:1: error: unknown key `titel` in recipe; did you mean `title`?"]),
    (HEAD, True, ["1:1: error: key `columns` is missing in recipe"]),
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
    *[(HEAD + LAST + f"{key}: {{a: 1}}\n", True, [f"7:1: error: key `{key}` is not supported in this version"])
      for key in ("extends", "params", "codelists", "index", "labels", "sample", "disclosure", "tables",
                  "expect")],
    (criterion("wher: {stain: HE}"), True, ["7:25: error: unknown key `wher` in criterion; did you mean `where`?"]),
    (criterion("label: x"), True, ["7:3: error: criterion `a` needs exactly one of `where` and `has`"]),
    (criterion("where: {stain: HE}, has: {table: reports}"), True,
     ["7:3: error: criterion `a` needs exactly one of `where` and `has`"]),
    (criterion("has: {table: reports}, if_missing: pass"), True,
     ["7:60: error: `if_missing` goes with `where`; a count is never missing"]),
    (criterion("any_of: []"), True, ["7:25: error: key `any_of` is not supported in this version"]),
    (criterion("where: {stain: HE}, if_missing: drop"), True,
     ["7:57: error: Input should be 'pass' or 'fail' (got \"drop\")"]),
    (criterion("where: {}"), True, ["7:32: error: a mapping must not be empty"]),
    (criterion("where: {stain: [HE, PAS]}"), True,
     ["7:40: error: a condition is one value; for several write {any_of: [...]} (got a list)"]),
    (criterion("where: {stain: }"), True, ["7:33: error: no value is given here"]),
    (criterion("where: {stain: {}}"), True,
     ["7:40: error: a condition is a value, {any_of: [...]}, {min: ..., max: ...} or {missing: true}"]),
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
     ["7:38: error: Input should be 'reports', 'slides' or 'events' (got \"report\"); did you mean `reports`?"]),
    (criterion("has: {table: reports, within: {from: -90d}}"), True,
     ["7:47: error: key `within` is not supported in this version"]),
    (criterion("has: {table: reports, count: 2}"), True, ["7:54: error: Input should be a valid string (got 2)"]),
    (criterion("has: {table: reports, count: '!=2'}"), True,
     ['7:54: error: must be an operator (>=, >, =, <=) and a whole number, in quotes: ">=2"']),
    (criterion("has: {table: reports, count: '>=0'}"), False, ["7:54: error: a count of at least 0 is always met"]),
    (HEAD + "include:\n- {level: slide, where: {stain: HE}}\n- {id: A b, level: slid, where: {stain: HE}}\n" + LAST, True,
     ["7:3: error: key `id` is missing in criterion", "8:8: error: must be 1 to 64 of a-z, 0-9 and _",
      "8:20: error: Input should be 'slide', 'case' or 'patient' (got \"slid\"); did you mean `slide`?"]),
    (criterion("where: {stain: HE}") + "exclude:\n- {id: a, level: slide, where: {stain: PAS}}\n", False,
     ["10:8: error: criterion `a` is given twice"]),
    (HEAD + "columns: [slide_id, split]\n", False, ["6:21: error: column `split` needs a `split` section in the recipe"]),
    (HEAD + LAST + "split: {}\n", True, ["7:8: error: key `ratios` is missing in `split`"]),
    (HEAD + LAST + "split: {ratios: {}}\n", True, ["7:17: error: a mapping must not be empty"]),
    (HEAD + LAST + "split: {ratios: {train: 0.8, test: 0.1}}\n", False, ["7:17: error: the ratios add up to 0.9, not to 1"]),
    (HEAD + LAST + "split: {ratios: {train: 1, trian: 0.0, val: 0}}\n", True,
     ["7:28: error: Input should be 'train', 'val' or 'test' (got \"trian\"); did you mean `train`?",
      "7:35: error: Input should be greater than 0 (got 0.0)", "7:45: error: Input should be greater than 0 (got 0)"]),
    (HEAD + LAST + "split: {ratios: {train: '1'}}\n", True, ["7:25: error: Input should be a valid number (got \"1\")"]),
    (HEAD + LAST + "split: {ratios: {train: 1}, group: slide, seed: 7, hold_out: {}, keep_from: x}\n", True,
     ["7:36: error: Input should be 'patient' (got \"slide\")", "7:49: error: Input should be a valid string (got 7)",
      "7:52: error: key `hold_out` is not supported in this version",
      "7:66: error: key `keep_from` is not supported in this version"]),
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (criterion("where: {stian: HE}"), ["7:33: error: unknown column `stian` in table slides; did you mean `stain`?"]),
        (criterion("where: {organ: lung}"), ["7:33: error: unknown column `organ` in table slides"]),
        (criterion("has: {table: reports, where: {stain: HE}}"),
         ["7:18: error: `has` counts rows of a case or a patient; use level case or patient",
          "7:55: error: unknown column `stain` in table reports"]),
        (criterion("where: {stain: he}"),
         ["7:40: error: `he` is not a value of column `stain`; did you mean `HE`?"]),
        (criterion("where: {stain: {any_of: [HE, Giemsa, IHC:Ki67]}}"),
         ["7:54: error: `Giemsa` is not a value of column `stain`; known: HE, PAS, IHC:Ki-67",
          "7:62: error: `IHC:Ki67` is not a value of column `stain`; did you mean `IHC:Ki-67`?"]),
        (criterion("where: {format: 3, site: nb01}", "exclude"),
         ["7:41: error: column `format` is text: put the value in quotes",
          "7:50: error: `nb01` has not the form of column `site`: Site."]),
        (criterion("where: {format: {min: 3}, is_control: {max: 2020-01-01}}"),
         ["7:47: error: column `format` is text: `min` and `max` are for numbers and dates",
          "7:69: error: column `is_control` is true or false: `min` and `max` are for numbers and dates"]),
        (criterion("where: {mpp: high, width: 1.5, is_control: 'true'}"),
         ["7:38: error: column `mpp` is a number", "7:51: error: column `width` is a whole number",
          "7:68: error: column `is_control` is true or false"]),
        (criterion("where: {mpp: true, width: {min: 2020-01-01}}"),
         ["7:38: error: column `mpp` is a number", "7:57: error: column `width` is a number, not a date"]),
        (criterion("where: {scan_datetime: {min: 2012}}"),
         ["7:54: error: column `scan_datetime` is a date: write one such as 2020-01-31"]),
        (criterion("where: {scan_datetime: {any_of: [2012-01-01, 2012, 2012-13-01, '2012']}}"),
         ["7:70: error: column `scan_datetime` is a date: write one such as 2020-01-31",
          "7:76: error: column `scan_datetime` is a date: `2012-13-01` is not in the calendar",
          "7:88: error: column `scan_datetime` is a date: `2012` is not a date such as 2020-01-31"]),
        (criterion("where: {scanned_at: 2012-01-01}"),
         ["7:45: error: column `scanned_at` is a time: write {min: ..., max: ...} with dates"]),
        (criterion("where: {relpath: a, label_text: b, mtime: {missing: true}, level_downsamples: 4}"),
         ["7:33: error: column `relpath` identifies a person or a slide directly; a recipe cannot name it",
          "7:45: error: column `label_text` is free text, which is withheld from recipes",
          "7:60: error: column `mtime` is dropped by de-identification",
          "7:84: error: column `level_downsamples` holds no single value; only `missing` can be asked of it"]),
        (f"{HEAD}columns: [slide_id, relpath, size_bytes, label_text, mtime, birth_date, splitt, organ]\n",
         ["6:21: error: column `relpath` identifies a person or a slide directly; a recipe cannot name it",
          "6:30: error: column `size_bytes` is for criteria only: its true value never goes out; it may stand in `where`",
          "6:42: error: column `label_text` is free text, which is withheld from recipes",
          "6:54: error: column `mtime` is dropped by de-identification",
          "6:61: error: column `birth_date` is for criteria only: its true value never goes out; it may stand in `where`",
          "6:73: error: unknown column `splitt` in table slides; did you mean `split`?",
          "6:81: error: unknown column `organ` in table slides"]),
        (HEAD + LAST + "split: {ratios: {train: 1}, stratify: [size_bytes, split]}\n",
         ["7:40: error: column `size_bytes` is for criteria only: its true value never goes out; it may stand in `where`",
          "7:52: error: unknown column `split` in table slides; did you mean `site`?"]),
        (HEAD.replace("unit: slide", "unit: case") + LAST, ["6:11: error: unknown column `slide_id` in table cases"]),
    ],
)  # fmt: skip
def test_every_fault_of_columns_with_its_place(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert faults(tmp_path, text) == expected
    assert schema_accepts(parse(text))


def test_the_level_and_not_the_unit_decides_the_table(tmp_path: Path) -> None:
    text = HEAD + "include:\n- {id: a, level: case, where: {organ: lung}}\n- {id: b, level: patient, where: {organ: lung}}\n"
    assert faults(tmp_path, text + LAST) == ["8:35: error: unknown column `organ` in table patients"]


def test_faults_carry_paths_into_the_file() -> None:
    recipe = Recipe.model_validate(parse(criterion("where: {stian: HE, format: {any_of: [svs, svx]}}")))
    found = [(fault.path, fault.on_key) for fault in check_columns(recipe, TABLES, VOCABULARIES)]
    assert found == [(("include", 0, "where", "stian"), True), (("include", 0, "where", "format", "any_of", 1), False)]


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
        load_recipe(tmp_path / "absent.yaml", TABLES, VOCABULARIES)
