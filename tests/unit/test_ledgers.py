"""What ledgers say: at which criterion a case fell and on what value, and in whom two cohorts differ."""

import json
import stat
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.cohort import select
from pathcurate.cohortfacts import is_of_recipe
from pathcurate.deid import apply
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.ledgers import NOT_LOOKED_AT, Fate, Overlap, _Part, _shown, fates, overlap
from pathcurate.model.attrition import KEPT, WITHHELD, ledger_table
from pathcurate.model.link import LINKS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.recipefile import RecipeSource, load_recipe
from pathcurate.tables import from_rows, read_parquet, write_parquet
from pathcurate.vault import open_vault
from pathcurate.verification import read_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.built import build_release
from tests.clinic import report, slide
from tests.commandline import Done, pathcurate
from tests.drawn import identity, key, link, open_catalog

PERSON = "P-0000000000000001"
_RECIPE = """\
recipe: 1
name: known
version: 1.0.0
title: Known
unit: slide
include:
  - {id: he, label: H&E, level: slide, where: {stain: HE}}
  - {id: adult, level: case, where: {age: {min: 18}}}
  - {id: early, level: case, where: {received_date: {max: 2020-01-01}}}
  - {id: several, level: case, has: {table: reports, where: {status: final}, count: ">=2"}}
  - {id: either, level: slide, any_of: [{where: {site: NB02}}, {sql: "width > 9"}]}
columns: [slide_id]
"""


def facts(source: RecipeSource) -> dict[str, Any]:
    """What a run writes of itself, as far as it is read here."""
    criteria = (criterion.id for criterion in source.recipe.criteria)
    steps = ("permission", "readable", "linked", *criteria, "sample_cap_1")
    shown = [
        {"id": step, "label": step, "level": "slide", "kind": "include", "dropped": 0, "together": 1, "dropped_missing": 0,
         "remaining": {"slides": 20}, "gained": {}}
        for step in steps
    ]  # fmt: skip
    attrition = {"unit": source.recipe.unit, "levels": ["slides"], "start": {"slides": 20}, "steps": shown, "traits": [],
                 "min_cell": 10, "round_to": 5}  # fmt: skip
    return {"recipe": {"canonical": json.loads(source.canonical)}, "attrition": attrition, "states": {}, "inputs": {}}


def write_cohort(workspace: Workspace, source: RecipeSource, rows: list[dict[str, Any]]) -> None:
    folder = workspace.cohorts / source.recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    seal = read_seal(workspace)
    inputs = {"inputs": dict(seal.tables)} if seal is not None else {}
    (folder / "cohort.json").write_text(json.dumps(facts(source) | inputs))
    whole = [
        {"step_number": None, "missing": False, "failed": 0, "missing_mask": 0, "step": KEPT, **row} for row in rows
    ]  # fmt: skip
    write_parquet(folder / "ledger.parquet", from_rows(ledger_table(source.recipe.unit), whole))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One patient with a case of two slides, and a slide that is linked to none."""
    root = tmp_path_factory.mktemp("ledgers")
    slides = [slide(1, width=None), slide(2), slide(3)]
    ids = [str(row["slide_id"]) for row in slides]
    reports = [report(1, "S23-1", patient_id="77", age=9, received_date=datetime(2023, 5, 6, 8, tzinfo=UTC))]
    workspace = open_catalog(root, {
        SLIDES: slides, REPORTS: reports,
        SLIDE_KEYS: [key(ids[0], "S23-1"), key(ids[1], "S23-1"), key(ids[2], "S23-404")],
        PERSONS: [{"person_id": PERSON, "group_id": "Q" + PERSON[1:], "basis": "site_number"}],
        IDENTITIES: [identity("accession", "S23-1", PERSON), identity("patient_id", "77", PERSON)],
        LINKS: [*(link(one, "S23-1", report_id=reports[0]["report_id"], person_id=PERSON, stain=stain)
                  for one, stain in zip(ids, ("IHC:Ki-67", "HE"), strict=False)),
                link(ids[2], None)],
    })  # fmt: skip
    apply(workspace, actor="tester")
    (root / "known.yaml").write_text(_RECIPE)
    layer = internal(open_vault(workspace.vault).key).codes
    case = {"case_id": layer.code("C", "NB01", "S23-1"), "patient_id": layer.code("P", PERSON)}
    write_cohort(workspace, load_recipe(root / "known.yaml"), [
        {"slide_id": layer.code("S", ids[0]), **case, "step": "he", "step_number": 3, "failed": 0b11111000,
         "missing_mask": 0b10000000},
        {"slide_id": layer.code("S", ids[1]), **case, "step": "sample_cap_1", "step_number": 8},
        {"slide_id": layer.code("S", ids[2]), "step": "linked", "step_number": 2, "failed": 0b100},
        {"slide_id": "S-0000000000000099", "case_id": "C-0000000000000099", "patient_id": "P-0000000000000099"},
    ])  # fmt: skip
    return workspace


def told_of(workspace: Workspace, source: RecipeSource, **asked: Any) -> tuple[Fate, ...]:
    with Embedded(workers=1, temp_directory=workspace.root / "spill") as engine:
        return fates(workspace, engine, source, **asked)


def source_of(workspace: Workspace) -> RecipeSource:
    return load_recipe(workspace.root / "known.yaml")


def test_a_case_is_told_by_what_and_for_want_of_what_its_slides_fell(workspace: Workspace) -> None:
    first, second = sorted(
        told_of(workspace, source_of(workspace), cases=[("NB01", "S23-1")], persons=[PERSON], slides=[], actor="tester"),
        key=lambda fate: fate.step,
    )
    assert (first.step, second.step) == ("he", "sample_cap_1")
    assert [(failure.id, failure.is_missing) for failure in first.failures] == [
        ("he", False), ("adult", False), ("early", False), ("several", False), ("either", True),
    ]  # fmt: skip
    looked = {failure.id: {one.column: one.value for one in failure.looked} for failure in first.failures}
    assert looked["he"] == {"slides.stain": "IHC:Ki-67"}
    assert looked["adult"] == {"cases.age": 9}
    # The true day, not the one that was moved.
    assert looked["early"] == {"cases.received_date": date(2023, 5, 6)}
    assert looked["several"] == {"number of reports": 1, "reports.status": None}
    assert looked["either"] == {"slides.site": "NB01", "slides.width": None}
    assert [one.is_known for one in first.failures[3].looked] == [True, False]
    assert [failure.id for failure in second.failures] == ["sample_cap_1"]


def test_a_slide_that_belongs_to_no_case_is_told_of_by_itself(workspace: Workspace) -> None:
    slide_id = str(slide(3)["slide_id"])
    (fate,) = told_of(workspace, source_of(workspace), cases=[], persons=[], slides=[slide_id], actor="tester")
    assert (fate.step, [failure.id for failure in fate.failures]) == ("linked", ["linked"])


def test_nobody_is_told_of_who_was_not_asked_for(workspace: Workspace) -> None:
    assert told_of(workspace, source_of(workspace), cases=[("NB02", "S23-1")], persons=[], slides=[], actor="tester") == ()
    assert told_of(workspace, source_of(workspace), cases=[], persons=[], slides=[], actor="tester") == ()


@pytest.mark.parametrize(("unit", "key"), [("patient", "patient_id"), ("event", "event_id")])
def test_units_of_patients_are_found_by_the_person(workspace: Workspace, unit: str, key: str) -> None:
    file = workspace.root / f"by_{unit}.yaml"
    index = "index: {table: events, date: date, pick: each}\n" if unit == "event" else ""
    file.write_text(
        f"recipe: 1\nname: by_{unit}\nversion: 1.0.0\ntitle: By\nunit: {unit}\n{index}columns: [{key}]\n"
        "include: [{id: women, level: patient, where: {sex: female}}]\n"
    )
    code = internal(open_vault(workspace.vault).key).codes.code("P", PERSON)
    mine = {"patient_id": code, "step": "women", "step_number": 3, "failed": 0b1000}
    other = {"patient_id": "P-0000000000000098"}
    names = {"event_id": "E-0000000000000001"}, {"event_id": "E-0000000000000002"}
    rows = [{**row, **(name if unit == "event" else {})} for row, name in zip((mine, other), names, strict=True)]
    source = load_recipe(file)
    write_cohort(workspace, source, rows)
    (fate,) = told_of(workspace, source, cases=[("NB01", "S23-1")], persons=[PERSON], slides=[], actor="tester")
    (failure,) = fate.failures
    assert (fate.step, failure.id, failure.looked[0].column) == ("women", "women", "patients.sex")
    assert failure.looked[0].value == read_parquet(workspace.deid / "patients.parquet")["sex"][0].as_py()


def test_what_a_real_run_has_written_is_read(workspace: Workspace) -> None:
    file = workspace.root / "real.yaml"
    file.write_text(
        "recipe: 1\nname: real\nversion: 1.0.0\ntitle: Real\nunit: slide\ncolumns: [slide_id]\n"
        "include: [{id: he, level: slide, where: {stain: HE}}, {id: wide, level: slide, where: {width: {min: 9}}}]\n"
    )
    source = load_recipe(file)
    with Embedded(workers=1, temp_directory=workspace.root / "spill") as engine:
        select(workspace, engine, source, now=datetime(2026, 1, 1, tzinfo=UTC))
    ids = [str(slide(number)["slide_id"]) for number in (1, 2, 3)]
    found = told_of(workspace, source, cases=[("NB01", "S23-1")], persons=[PERSON], slides=ids[2:], actor="tester")
    by_step = {fate.step: [(failure.id, failure.is_missing) for failure in fate.failures] for fate in found}
    assert by_step.keys() == {"he", KEPT, "linked"}
    assert by_step["he"] == [("he", False), ("wide", True)]
    assert by_step[KEPT] == []
    assert by_step["linked"][0] == ("linked", False)


def test_a_recipe_that_is_not_as_it_was_is_refused(workspace: Workspace) -> None:
    other = workspace.root / "other.yaml"
    other.write_text(_RECIPE.replace("min: 18", "min: 17"))
    with pytest.raises(PlanIncompleteError, match="is not as it was"):
        told_of(workspace, load_recipe(other), cases=[], persons=[], slides=[], actor="tester")
    other.write_text(_RECIPE.replace("name: known", "name: unknown"))
    with pytest.raises(PlanIncompleteError, match="has not run yet"):
        told_of(workspace, load_recipe(other), cases=[], persons=[], slides=[], actor="tester")


def test_words_for_people_do_not_make_another_recipe(workspace: Workspace) -> None:
    other = workspace.root / "words.yaml"
    other.write_text(_RECIPE.replace("title: Known", "title: Other\nowner: me").replace("1.0.0", "2.0.0"))
    assert is_of_recipe(facts(source_of(workspace)), load_recipe(other).canonical)


# --- The command -------------------------------------------------------------------------------------------------------


def explain_case(workspace: Workspace, number: str, *options: str) -> Done:
    recipe = workspace.root / "known.yaml"
    return pathcurate(
        "recipe", "explain", recipe, "--case", number, "-w", workspace.root, "--purpose", "a question", *options
    )


def test_a_case_is_explained_in_a_file_for_the_owner_only(workspace: Workspace, write: Callable[[str, str], Path]) -> None:
    done = explain_case(workspace, f"@{write('number.txt', 'S23-00001')}", "--to-review")
    assert (done.returncode, done.stderr) == (0, "")
    path = Path(done.stdout.strip())
    assert path.parent == workspace.catalog / "review"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "2 slides by accession number\n" in text
    assert "left at he\n  fails he (H&E)\n    slides.stain: IHC:Ki-67\n  fails adult\n    cases.age: 9\n" in text
    assert "  fails either, for want of a value\n    slides.site: NB01\n    slides.width: missing\n" in text


def test_that_somebody_looked_is_in_the_trail_and_for_what_is_not(workspace: Workspace) -> None:
    done = explain_case(workspace, "S23-00001", "--to-review")
    assert "is seen in the process list" in done.stderr
    trail = (
        (workspace.vault / "audit").rglob("*") if (workspace.vault / "audit").is_dir() else workspace.vault.glob("audit*")
    )
    # Hashes of the chain hold any digits by chance, so that only what an entry says is looked at.
    lines = [line for path in trail if path.is_file() for line in path.read_text().splitlines()]
    entries = [json.loads(line) for line in lines if line.startswith("{")]
    told = json.dumps([{name: value for name, value in entry.items() if name != "previous"} for entry in entries])
    assert '"recipe explain --case"' in told
    assert "a question" in told
    assert "S23" not in told
    assert "00001" not in told.replace(PERSON, "")


def test_a_number_that_nothing_has_is_said_so(workspace: Workspace, write: Callable[[str, str], Path]) -> None:
    done = explain_case(workspace, f"@{write('number.txt', 'S23-9999')}", "--to-review")
    assert (done.returncode, done.stdout) == (1, "nothing here has that number\n")


def test_what_the_last_run_left_is_told_while_nothing_has_changed(workspace: Workspace) -> None:
    command = ("recipe", "explain", workspace.root / "known.yaml", "-w", workspace.root)
    told = (
        "What the last run left (same recipe, same archive)\n  start: 20 slides\n  permission: dropped 0; left 20 slides\n"
    )
    assert told in pathcurate(*command).stdout
    file = workspace.cohorts / "known" / "cohort.json"
    content = file.read_text()
    try:
        file.write_text(json.dumps(json.loads(content) | {"inputs": {"deid/slides.parquet": "sha256:other"}}))
        assert "What the last run left" not in pathcurate(*command).stdout
    finally:
        file.write_text(content)


def test_the_linter_knows_what_the_last_run_dropped(workspace: Workspace) -> None:
    done = pathcurate("recipe", "check", workspace.root / "known.yaml", "-w", workspace.root, "--json")
    dropped = [one["message"] for one in json.loads(done.stdout)["lints"] if one["rule"] == "dropped_nothing"]
    assert dropped == [f"`{name}` dropped nothing in the last run" for name in ("he", "adult", "early", "several", "either")]


def test_a_recipe_is_compared_with_its_release_and_its_cohort(tmp_path: Path) -> None:
    root = tmp_path / "built"
    build_release(root)
    recipe = root / "small.yaml"
    where = ("-w", root)
    for name in ("small", "small@1.0.0", recipe):
        assert pathcurate("recipe", "diff", name, recipe, *where).stdout == "the recipes say the same\n"
    assert "[version_reused]" not in pathcurate("recipe", "check", recipe, *where).stdout
    recipe.write_text(recipe.read_text().replace("train: 0.5, test: 0.5", "train: 0.75, test: 0.25"))
    for name in ("small", "small@1.0.0"):
        told = pathcurate("recipe", "diff", name, recipe, *where).stdout.splitlines()
        assert sorted(told) == ["  ~ ratios.test: 0.5 -> 0.25", "  ~ ratios.train: 0.5 -> 0.75", "split:"]
    done = pathcurate("recipe", "check", recipe, *where)
    assert ("[version_reused]" in done.stdout, done.returncode) == (True, 1)
    done = pathcurate("recipe", "diff", "small@2.0.0", recipe, *where)
    assert (done.returncode, "there is no release" in done.stderr) == (2, True)


# --- Two cohorts -------------------------------------------------------------------------------------------------------


def cohort(workspace: Workspace, name: str, steps: Mapping[int, str], *, unit: str = "slide", patients: int = 10**6) -> None:
    file = workspace.root / f"{name}.yaml"
    file.write_text(_RECIPE.replace("name: known", f"name: {name}").replace("unit: slide", f"unit: {unit}"))
    rows = [
        {"slide_id": f"S-{number:016}", "case_id": f"C-{number:016}", "patient_id": f"P-{number % patients:016}",
         "step": step}
        for number, step in steps.items()
    ]  # fmt: skip
    write_cohort(workspace, load_recipe(file), rows)


@pytest.fixture
def empty(tmp_path: Path) -> Workspace:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: empty\nsites: [{code: NB01}]\n")
    return load_workspace(tmp_path / "pathcurate.yaml")


def compared(workspace: Workspace, before: str = "one", after: str = "other") -> Overlap:
    with Embedded(workers=1, temp_directory=workspace.root / "spill") as engine:
        return overlap(workspace, engine, before, after)


def test_who_is_in_one_cohort_only_is_counted_by_the_others_criterion(empty: Workspace) -> None:
    cohort(empty, "one", dict.fromkeys(range(200), KEPT) | dict.fromkeys(range(200, 240), "adult"))
    cohort(empty, "other", dict.fromkeys(range(100), KEPT) | dict.fromkeys(range(100, 160), "he")
           | dict.fromkeys(range(160, 200), "early") | dict.fromkeys(range(200, 230), KEPT)
           | dict.fromkeys(range(300, 350), KEPT))  # fmt: skip
    found = compared(empty)
    assert (found.both, dict(found.only_before)) == (100, {"early": 40, "he": 60})
    assert found.only_after == {"adult": 30, NOT_LOOKED_AT: 50}


def test_few_are_withheld_and_so_is_what_would_give_them_away(empty: Workspace) -> None:
    cohort(empty, "one", dict.fromkeys(range(100), KEPT))
    cohort(empty, "other", dict.fromkeys(range(60), KEPT) | dict.fromkeys(range(60, 97), "he")
           | dict.fromkeys(range(97, 100), "early"))  # fmt: skip
    found = compared(empty)
    assert (found.both, dict(found.only_before)) == (60, {"early": WITHHELD, "he": WITHHELD})


def test_many_slides_of_few_patients_are_few(empty: Workspace) -> None:
    cohort(empty, "one", dict.fromkeys(range(100), KEPT), patients=4)
    cohort(empty, "other", dict.fromkeys(range(60), KEPT) | dict.fromkeys(range(60, 100), "he"), patients=4)
    assert (compared(empty).both, compared(empty).only_before) == (WITHHELD, {"he": WITHHELD})


def test_cohorts_are_compared_after_their_recipes(empty: Workspace) -> None:
    cohort(empty, "one", dict.fromkeys(range(200), KEPT))
    cohort(empty, "other", dict.fromkeys(range(150), KEPT) | dict.fromkeys(range(150, 200), "adult"))
    for sides in (("one", "other"), (empty.root / "one.yaml", "other")):
        done = pathcurate("recipe", "diff", *sides, "-w", empty.root)
        assert done.stdout.splitlines() == [
            "name:", "  ~ one -> other", "cohorts:", "  in both: 150 slides",
            "  in one only: 50, which other drops at adult", "  in other only: none",
        ]  # fmt: skip
    # A recipe that is not as it was when it ran has no cohort.
    (empty.root / "one.yaml").write_text((empty.root / "one.yaml").read_text().replace("min: 18", "min: 19"))
    assert "cohorts:" not in pathcurate("recipe", "diff", empty.root / "one.yaml", "other", "-w", empty.root).stdout


def test_cohorts_of_other_units_or_names_cannot_be_compared(empty: Workspace) -> None:
    cohort(empty, "one", {1: KEPT})
    with pytest.raises(UsageError, match="there is no cohort other"):
        compared(empty)
    cohort(empty, "other", {1: KEPT})
    (empty.cohorts / "other" / "ledger.parquet").unlink()
    with pytest.raises(InputOutputError, match="has no ledger"):
        compared(empty)
    (empty.cohorts / "other" / "cohort.json").write_text("{}")
    with pytest.raises(InputOutputError, match="cannot be read"):
        compared(empty)


_PARTS = st.dictionaries(
    st.tuples(st.sampled_from(("both", "before", "after")), st.sampled_from("abc")),
    st.builds(lambda units, patients: _Part(units, min(units, patients)), st.integers(0, 60), st.integers(1, 60)),
    min_size=1,
)  # fmt: skip


@given(parts=_PARTS, least=st.sampled_from((10, 25)))
@settings(max_examples=40, derandomize=True)
def test_no_small_part_can_be_worked_out_from_the_sizes_of_both_cohorts(
    parts: dict[tuple[str, str], _Part], least: int
) -> None:
    shown = _shown(parts, least, 1)
    hidden = {part for part, count in shown.items() if count == WITHHELD}
    small = {part for part, one in parts.items() if one.units and one.patients < least}
    assert small <= hidden
    assert all(shown[part] == one.units for part, one in parts.items() if part not in hidden)
    told = {part for part, count in shown.items() if count not in (WITHHELD, 0)}
    for side in ("before", "after"):
        # Knowing a cohort's size and what is shown of it, one knows the sum of what is hidden on its side.
        of_side = sorted(parts[part].units for part in hidden if part[0] == side)
        assert not of_side or not told or (len(of_side) >= 2 and sum(of_side) >= 2 * least)
