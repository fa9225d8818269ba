"""`recipe check`, `explain`, `diff`, `new`, `schema` and `codelist check`, as a person meets them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pathcurate import yamlsource
from pathcurate.cli import nearby
from pathcurate.errors import RecipeError
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.recipefile import load_recipe
from pathcurate.recipelint import RULES
from pathcurate.recipetemplates import schema, template_names
from pathcurate.resources import shipped
from pathcurate.tables import from_rows, write_parquet
from pathcurate.vault import create_vault
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import WORKSPACE_FILE, Workspace, load_workspace
from tests.commandline import pathcurate

Write = Callable[[str, str], Path]

_RECIPE = """\
recipe: 1
name: small
version: 1.0.0
title: Slides
owner: team@hospital.example
approval: IRB-1
unit: slide
include:
  - id: he
    level: slide
    where: {stain: HE}
columns: [slide_id]
"""
_ARCHIVE: dict[str, Any] = {
    "profile": 1,
    "tables": {"slides": {"rows": 2_000_000, "columns": [
        {"name": "stain", "missing": 0, "counts": {"HE": 1_900_000, "PAS": "<10"}}]}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory with no workspace around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PATHCURATE_WORKSPACE", raising=False)


# --- check -------------------------------------------------------------------------------------------------------------


def test_a_sound_recipe_is_good(write: Write) -> None:
    done = pathcurate("recipe", "check", write("small.yaml", _RECIPE))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "small 1.0.0 is a good recipe: unit slide, 1 criterion\n"


def test_a_broken_rule_is_shown_at_its_place_with_its_advice(write: Write) -> None:
    text = _RECIPE.replace("columns:", "  - id: pas\n    level: slide\n    where: {stain: PAS}\ncolumns:")
    file = write("small.yaml", text)
    done = pathcurate("recipe", "check", file)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{file}:14:13: error: no slide meets this and `he` as well [includes_contradict]",
        "      14 |     where: {stain: PAS}",
        "         |             ^",
        "  Correct one of them, or make them alternatives with `any_of`.",
        "small 1.0.0 can be read, and cannot be meant so: 1 error",
    ]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), 0), (("--strict",), 1), (("--fail-on", "warning"), 1), (("--fail-on", "error"), 0), (("--fail-on", "never"), 0),
        (("--fail-on", "info"), 1), (("--strict", "--fail-on", "info"), 1),
    ],
)  # fmt: skip
def test_from_which_severity_on_the_exit_code_is_one(write: Write, options: tuple[str, ...], code: int) -> None:
    file = write("small.yaml", _RECIPE.replace("{stain: HE}", "{mpp: 0.25}"))
    assert pathcurate("recipe", "check", file, *options).returncode == code


def test_hints_are_counted_and_shown_when_asked_for(write: Write) -> None:
    file = write("small.yaml", _RECIPE.replace("owner: team@hospital.example\n", ""))
    done = pathcurate("recipe", "check", file)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1)
    assert done.stdout.endswith("; 1 info (-v shows it)\n")
    assert "[nobody_answers]" in pathcurate("recipe", "check", file, "-v").stdout


def test_a_fault_in_an_extended_file_is_shown_in_that_file(write: Write) -> None:
    base = write("base.yaml", "include:\n  - {id: exact, level: slide, where: {mpp: 0.25}}\n")
    file = write("small.yaml", _RECIPE.replace("unit:", "extends: [base.yaml]\nunit:"))
    assert f"{base}:2:39: warning: `mpp` is measured" in pathcurate("recipe", "check", file).stdout


def test_parameters_that_nothing_uses_and_files_without_a_digest_are_found(write: Write) -> None:
    write("codes.csv", "code\nC34\n")
    file = write("small.yaml", _RECIPE.replace("include:", (
        "params: {most: {type: number, default: 0.3}, spare: {type: int, default: 1}}\n"
        "codelists: {site: {system: icd10, file: codes.csv, match: descendants}}\ninclude:\n"
        "  - {id: fine, level: slide, where: {mpp: {max: '${most}'}}}\n"
        "  - id: dx\n    level: case\n    any_of: [{has: {table: reports, where: {icd10: {codelist: site}}}},\n"
        "      {has: {table: diagnoses, where: {icdo3_topography: C34.1}}}]")))  # fmt: skip
    document = json.loads(pathcurate("recipe", "check", file, "--json").stdout)
    found = {lint["rule"]: lint["message"] for lint in document["lints"]}
    assert set(found) == {"unused_parameter", "file_unpinned"}
    assert found["unused_parameter"] == "nothing uses parameter `spare`"
    assert (
        json.loads(pathcurate("recipe", "check", file, "--param", "most=0.2", "--json").stdout)["sha256"]
        != (document["sha256"])
    )


@pytest.mark.parametrize("given", ["most", "=1", "most=1=2=3"])
def test_what_is_no_parameter_is_refused(write: Write, given: str) -> None:
    done = pathcurate("recipe", "check", write("small.yaml", _RECIPE), "--param", given)
    assert done.returncode in {2, 10}


def test_a_recipe_is_checked_without_data_against_a_profile(write: Write) -> None:
    profile = write("profile.json", json.dumps(_ARCHIVE))
    file = write("small.yaml", _RECIPE.replace("stain: HE", "stain: IHC:Ki-67"))
    done = pathcurate("recipe", "check", file, "--profile", profile)
    assert "no row of slides has `IHC:Ki-67` in `stain`; the commonest are `HE` (1.9 M), `PAS` (<10)" in done.stdout


def test_a_value_that_no_column_can_have_is_told_with_the_number_of_rows(write: Write) -> None:
    profile = write("profile.json", json.dumps(_ARCHIVE))
    file = write("small.yaml", _RECIPE.replace("stain: HE", "stain: H&E"))
    done = pathcurate("recipe", "check", file, "--profile", profile)
    assert done.returncode == 10
    assert "`H&E` is not a value of column `stain`; did you mean `HE` (1.9 M)?" in done.stderr
    assert "(1.9 M)" not in pathcurate("recipe", "check", file).stderr


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"profile": 2, "tables": {}}', '{"profile": 1, "tables": {"slides": {}}}', "\x00"]
)
def test_what_is_no_profile_is_refused(write: Write, content: str) -> None:
    done = pathcurate("recipe", "check", write("small.yaml", _RECIPE), "--profile", write("profile.json", content))
    assert (done.returncode, "no profile of an archive" in done.stderr) == (3, True)


def test_every_rule_is_listed() -> None:
    done = pathcurate("recipe", "check", "--list-rules")
    assert done.returncode == 0
    for rule in RULES:
        assert f"{rule.id} " in done.stdout
        assert rule.advice in done.stdout
    assert len(json.loads(pathcurate("recipe", "check", "--list-rules", "--json").stdout)["rules"]) == len(RULES)


def test_a_recipe_is_needed_unless_rules_are_listed() -> None:
    assert pathcurate("recipe", "check").returncode == 2


def test_what_is_said_of_workspaces_twice_is_the_same() -> None:
    assert nearby.WORKSPACE_FILE == WORKSPACE_FILE


# --- explain -----------------------------------------------------------------------------------------------------------


def test_a_recipe_is_explained_in_both_languages(write: Write) -> None:
    file = write("small.yaml", _RECIPE)
    assert "     Keep only if the slide's stain is HE.\n" in pathcurate("recipe", "explain", file).stdout
    assert "     仅保留：该切片的染色为 HE。\n" in pathcurate("recipe", "explain", file, "--lang", "zh").stdout


def test_values_of_parameters_are_those_that_were_given(write: Write) -> None:
    text = _RECIPE.replace("include:", "params: {least: {type: number, default: 0.3}}\ninclude:")
    file = write("small.yaml", text.replace("{stain: HE}", "{mpp: {min: '${least}'}}"))
    assert "at least 0.3 µm/px" in pathcurate("recipe", "explain", file).stdout
    assert "at least 0.4 µm/px" in pathcurate("recipe", "explain", file, "--param", "least=0.4").stdout


@pytest.mark.parametrize(("options", "words"), [((), "with"), (("--engine", "spark"), "WITH")])
def test_the_query_is_shown_as_each_engine_reads_it(write: Write, options: tuple[str, ...], words: str) -> None:
    done = pathcurate("recipe", "explain", write("small.yaml", _RECIPE), "--sql", *options)
    assert done.returncode == 0
    assert done.stdout.startswith(words)
    assert "'HE'" in done.stdout


def test_the_query_of_the_kept_alone_says_nothing_of_the_others(write: Write) -> None:
    recipe = write("small.yaml", _RECIPE)
    done = pathcurate("recipe", "explain", recipe, "--sql", "--rows")
    assert done.returncode == 0
    assert "where " in done.stdout
    assert "failed" not in done.stdout
    assert pathcurate("recipe", "explain", recipe, "--rows").returncode == 2


@pytest.mark.parametrize("number", ["-", "@number.txt", "S24-01234"])
def test_a_case_is_explained_to_a_terminal_only(write: Write, number: str) -> None:
    done = pathcurate("recipe", "explain", write("small.yaml", _RECIPE), "--case", number)
    assert done.returncode == 13
    assert "01234" not in done.stdout + done.stderr


# --- diff --------------------------------------------------------------------------------------------------------------


def test_two_recipes_are_compared_key_by_key(write: Write) -> None:
    before = write("before.yaml", _RECIPE)
    after = write("after.yaml", _RECIPE.replace("stain: HE", "stain: PAS").replace("columns: [slide_id]", (
        "  - {id: fine, level: slide, where: {mpp: {max: 0.3}}}\ncolumns: [slide_id, site]")))  # fmt: skip
    assert pathcurate("recipe", "diff", before, after).stdout.splitlines() == [
        "criteria:",
        "  + fine: Keep only if the slide's resolution is at most 0.3 µm/px. Where a missing value leaves this open: drop.",
        "  ~ he where.stain: HE -> PAS",
        "columns:",
        "  ~ with [site]",
    ]
    assert pathcurate("recipe", "diff", before, before).stdout == "the recipes say the same\n"


@pytest.mark.parametrize("name", ["nothing.yaml", "thorax", "thorax@1.0.0"])
def test_what_is_not_there_cannot_be_compared(write: Write, name: str) -> None:
    done = pathcurate("recipe", "diff", write("small.yaml", _RECIPE), name)
    assert (done.returncode, f"there is no file `{name}`" in done.stderr) == (2, True)


# --- new and schema ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", ["blank", "demo_he_2023", "thoracic_tumour"])
def test_a_new_recipe_loads_and_editors_find_its_schema(tmp_path: Path, template: str) -> None:
    file = tmp_path / "mine" / "lung_he.yaml"
    assert pathcurate("recipe", "new", file, "--template", template).returncode == 0
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./recipe-v1.schema.json\n")
    assert text.count("$schema=") == 1
    assert (file.parent / "recipe-v1.schema.json").read_bytes() == schema()
    recipe = load_recipe(file).recipe
    assert (recipe.name, recipe.version) == ("lung_he", "0.1.0")
    jsonschema.validate(yamlsource.load(file, "new", RecipeError).data, json.loads(schema()))


def test_a_new_recipe_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "lung_he.yaml"
    assert pathcurate("recipe", "new", file).returncode == 0
    file.write_text("mine")
    done = pathcurate("recipe", "new", file)
    assert (done.returncode, file.read_text()) == (2, "mine")


@pytest.mark.parametrize("name", ["Lung HE.yaml", "lung.txt", "肺.yaml"])
def test_a_file_whose_name_cannot_name_a_recipe_is_refused(tmp_path: Path, name: str) -> None:
    assert pathcurate("recipe", "new", tmp_path / name).returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_every_shipped_recipe_is_a_template() -> None:
    assert set(template_names()) == {"blank", *(path.stem for path in shipped("recipes").glob("*.yaml"))}


def test_an_unknown_template_is_named_with_the_nearest() -> None:
    assert "did you mean `demo_he_2023`?" in pathcurate("recipe", "new", "--template", "demo_he_2024").stderr


def test_the_blank_recipe_breaks_no_rule(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    pathcurate("recipe", "new", file)
    assert json.loads(pathcurate("recipe", "check", file, "--json").stdout)["lints"] == []


def test_the_schema_is_printed_or_written(tmp_path: Path) -> None:
    assert json.loads(pathcurate("recipe", "schema").stdout) == json.loads(schema())
    file = tmp_path / "schema.json"
    assert pathcurate("recipe", "schema", file).returncode == 0
    assert pathcurate("recipe", "schema", file).returncode == 0
    file.write_text("mine")
    assert (pathcurate("recipe", "schema", file).returncode, file.read_text()) == (2, "mine")
    assert pathcurate("recipe", "schema", file, "--force").returncode == 0
    assert file.read_bytes() == schema()


# --- codelist check ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Reports with a few ICD-10 codes."""
    root = tmp_path_factory.mktemp("codes")
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: codes\nsites: [{code: NB01}]\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    vault = create_vault(workspace.vault)
    codes = ["C34.1"] * 12 + ["C34.900x001"] * 3 + ["C50.9"] * 20
    reports = [
        {"report_id": f"R-{n:016}", "case_id": f"C-{n:016}", "patient_id": f"P-{n:016}", "group_id": f"Q-{n:016}",
         "site": "NB01", "icd10": code}
        for n, code in enumerate(codes)
    ]  # fmt: skip
    for name, table in DEID_TABLES.items():
        write_parquet(workspace.deid / f"{name}.parquet", from_rows(table, reports if name == "reports" else ()))
    for name, table in CRITERIA_TABLES.items():
        write_parquet(vault.criteria / f"{name}.parquet", from_rows(table, ()))
    write_parquet(vault.criteria / "permissions.parquet", from_rows(CRITERIA_TABLES["patients"], ()))
    write_seal(workspace, input_states(workspace), vault.fingerprint, [])
    return workspace


def _listed(write: Write, codes: str) -> Path:
    return write("small.yaml", _RECIPE.replace("include:", (
        f"codelists: {{lung: {codes}}}\ninclude:\n  - id: dx\n    level: case\n"
        "    has: {table: reports, where: {icd10: {codelist: lung}}}")))  # fmt: skip


def test_codes_that_nobody_has_and_codes_that_a_list_leaves_out_are_shown(write: Write, archive: Workspace) -> None:
    file = _listed(write, "{system: icd10-cn, version: 医保2.0, codes: [C34, C34.1, C37]}")
    done = pathcurate("codelist", "check", file, "-w", archive.root)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "lung: icd10-cn, 3 codes matched exactly",
        "  not in the archive: C34, C37",
        "  left out: C34.900x001 in reports.icd10, fewer than 10 rows",
    ]


def test_a_list_with_descendants_leaves_none_of_them_out(write: Write, archive: Workspace) -> None:
    done = pathcurate("codelist", "check", _listed(write, "{system: icd10, codes: [C34], match: descendants}"),
                      "-w", archive.root)  # fmt: skip
    assert (done.returncode, done.stdout) == (
        0, "lung: icd10, 1 code matched with their descendants\n  all of them are in the archive\n"
    )  # fmt: skip


def test_a_recipe_without_code_lists_has_nothing_to_check(write: Write, archive: Workspace) -> None:
    done = pathcurate("codelist", "check", write("small.yaml", _RECIPE), "-w", archive.root)
    assert (done.returncode, done.stdout) == (0, "small has no code lists\n")


def test_a_recipe_cannot_steer_the_terminal_of_whoever_reads_it(write: Write) -> None:
    file = write("small.yaml", _RECIPE.replace("title: Slides", "title: 'Slides\u202eskcirt'"))
    other = write("other.yaml", _RECIPE)
    for done in (pathcurate("recipe", "explain", file), pathcurate("recipe", "diff", file, other)):
        assert done.returncode == 0
        assert "\u202e" not in done.stdout
        assert "Slides\\u202eskcirt" in done.stdout
