"""Why a cohort differs from its last run: a small archive and recipes, played through row by row."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.attribution import Differences, Reason, Run, attribute, read_runs, write_differences
from pathcurate.errors import InputOutputError
from pathcurate.model.attrition import KEPT
from pathcurate.tables import write_parquet
from pathcurate.verification import INPUTS

Slide = dict[str, Any]
Archive = dict[str, Slide]
Recipe = dict[str, Any]

ARCHIVE: Archive = {
    f"S-{number:016}": {
        "case_id": f"C-{number // 2:016}", "patient_id": f"P-{number // 4:016}", "permitted": True,
        "readable": True, "linked": True, "organ": ("lung", "breast")[number // 6 % 2], "stain": ("HE", "PAS")[number % 2],
        "grade": number % 4, "label": "a",
    }
    for number in range(48)
}  # fmt: skip
RECIPE: Recipe = {
    "name": "small", "unit": "slide", "purpose": "research", "links": ["exact"],
    "include": [
        {"id": "organ", "level": "case", "where": {"organ": "lung"}},
        {"id": "graded", "level": "case", "where": {"grade": {"codelist": "grades"}}},
    ],
    "exclude": [{"id": "special", "level": "slide", "where": {"stain": "PAS"}, "label": "no special stains"}],
    "codelists": {"grades": {"codes": [0, 1, 2]}},
    "labels": [{"name": "class", "level": "case", "column": "diagnoses.grade"}],
    "columns": ["stain"],
}  # fmt: skip
STATES = {table.name: f"{table.name}@3" for table in INPUTS} | {"profile": "sha256:p", "scheme": "2"}
_TAIL = ("label_class", "sample_1_patient")


def later(**changes: Any) -> dict[str, Any]:
    """Circumstances of a run after the archive has changed."""
    return {"states": STATES | {"reports": "reports@4"}} | changes


def play(archive: Archive, recipe: Recipe, **circumstances: Any) -> Run:
    """Select as anybody would with a pencil; no step of it is the tool's."""
    criteria = [(part == "include", one) for part in ("include", "exclude") for one in recipe.get(part, ())]
    steps = ["permission", "readable", "linked", *(one["id"] for _, one in criteria), *_TAIL]
    ledger, kept, taken = [], [], Counter[str]()
    for slide_id, slide in sorted(archive.items()):
        answers = [slide["permitted"], slide["readable"], slide["linked"]]
        answers += [_holds(one["where"], slide, recipe) == wanted for wanted, one in criteria]
        failed = [number for number, passed in enumerate(answers) if not passed]
        step = failed[0] if failed else None
        if step is None and slide["label"] is None:
            step = len(steps) - 2
        cap = (recipe.get("sample") or {}).get("max")
        if step is None and cap is not None and taken[slide["patient_id"]] == cap:
            step = len(steps) - 1
        row = {"slide_id": slide_id, "case_id": slide["case_id"], "patient_id": slide["patient_id"]}
        if step is None:
            taken[slide["patient_id"]] += 1
            kept.append({**row, "stain": slide["stain"], "case_class": slide["label"], "split": slide.get("split", "train")})
        name = KEPT if step is None else steps[step]
        ledger.append({**row, "step": name, "step_number": step, "failed": sum(1 << number for number in failed)})
    facts = {
        "unit": recipe["unit"], "recipe": {"canonical": recipe}, "attrition": {"steps": [{"id": step} for step in steps]},
        "steps": steps, "states": STATES, "key": "k1", "tool": "1.0",
        "lock": {"at": "2026-01-05T10:00:00+08:00"}, **circumstances,
    }  # fmt: skip
    kinds = {"slide_id": pa.string(), "case_id": pa.string(), "patient_id": pa.string()}
    ledger_kinds = kinds | {"step": pa.string(), "step_number": pa.int64(), "failed": pa.int64()}
    row_kinds = kinds | {"stain": pa.string(), "case_class": pa.string(), "split": pa.string()}
    return Run(facts, _table(ledger, ledger_kinds), _table(kept, row_kinds))


def _table(rows: Iterable[dict[str, Any]], kinds: dict[str, pa.DataType]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=pa.schema(list(kinds.items())))


def _holds(where: dict[str, Any], slide: Slide, recipe: Recipe) -> bool:
    ((name, wanted),) = where.items()
    values = recipe["codelists"][wanted["codelist"]]["codes"] if isinstance(wanted, dict) else [wanted]
    return slide[name] in values


def changed(**columns: Any) -> Archive:
    """The archive, of which some slides that the recipe keeps (0 and 2, of one patient) have other values."""
    archive = deepcopy(ARCHIVE)
    for number in (0, 2):
        archive[f"S-{number:016}"] |= columns
    return archive


def with_recipe(change: Callable[[Recipe], object]) -> Recipe:
    recipe = deepcopy(RECIPE)
    change(recipe)
    return recipe


def reasons(differences: Differences) -> dict[tuple[str, str, str], int]:
    return {(change, reason.value, step): count for (change, reason, step), count in differences.counts.items()}


def test_two_runs_of_one_thing_do_not_differ() -> None:
    differences = attribute(play(ARCHIVE, RECIPE), play(ARCHIVE, RECIPE))
    assert differences.units.num_rows == 0
    assert differences.unexplained == 0
    assert list(differences.lines()) == []


_ARCHIVE_CHANGES = [
    (changed(organ="breast"), ("lost", "data", "organ")),
    (changed(readable=False), ("lost", "data", "readable")),
    (changed(linked=False), ("lost", "link", "linked")),
    (changed(case_id="C-other", organ="breast"), ("lost", "link", "organ")),
    (changed(patient_id="P-other", organ="breast"), ("lost", "person", "organ")),
    (changed(permitted=False), ("lost", "permission", "permission")),
    (changed(label=None), ("lost", "data", "label_class")),
    (changed(label="b"), ("altered", "data", "case_class")),
    (changed(split="test"), ("altered", "moved", "split")),
    (changed(case_id="C-other"), ("altered", "data", "case_id")),
    ({name: row for name, row in ARCHIVE.items() if int(name[2:]) not in {0, 2}}, ("lost", "gone", "")),
]  # fmt: skip


@pytest.mark.parametrize(("archive", "expected"), _ARCHIVE_CHANGES)
def test_what_the_archive_does_has_its_reason_in_both_directions(archive: Archive, expected: tuple[str, str, str]) -> None:
    forth = attribute(play(ARCHIVE, RECIPE), play(archive, RECIPE, **later()))
    assert reasons(forth) == {expected: 2}
    back = attribute(play(archive, RECIPE), play(ARCHIVE, RECIPE, **later()))
    change, reason, step = expected
    turned = {"lost": "gained", "altered": "altered"}[change], {"gone": "new"}.get(reason, reason), step
    assert reasons(back) == {turned: 2}


def _drop(part: str, index: int) -> Callable[[Recipe], object]:
    return lambda recipe: recipe[part].pop(index)


def _codes(recipe: Recipe) -> None:
    recipe["codelists"]["grades"]["codes"] = [1, 2]


def _other_stain(recipe: Recipe) -> None:
    recipe["exclude"][0]["where"] = {"stain": "HE"}


_RECIPE_CHANGES = [
    (_codes, {("lost", "codelist", "graded")}),
    (_other_stain, {("lost", "criterion_changed", "special"), ("gained", "criterion_changed", "special")}),
    (_drop("include", 0), {("gained", "criterion_removed", "organ")}),
    (_drop("exclude", 0), {("gained", "criterion_removed", "special")}),
    (lambda recipe: recipe.update(sample={"max": 1}), {("lost", "criterion_added", "sample_1_patient")}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), _RECIPE_CHANGES)
def test_what_the_recipe_does_has_its_reason(
    change: Callable[[Recipe], object], expected: set[tuple[str, str, str]]
) -> None:
    differences = attribute(play(ARCHIVE, RECIPE), play(ARCHIVE, with_recipe(change)))
    assert reasons(differences).keys() == expected
    assert differences.units.num_rows == sum(differences.counts.values())


def test_words_for_people_change_nothing() -> None:
    other = with_recipe(lambda recipe: recipe["exclude"][0].update(label="Other words"))
    assert attribute(play(ARCHIVE, RECIPE), play(ARCHIVE, other)).units.num_rows == 0


def test_a_list_that_only_day_0_names_counts_for_windows_alone() -> None:
    def with_index(codes: list[str]) -> Recipe:
        recipe = deepcopy(RECIPE)
        recipe["index"] = {"table": "events", "where": {"code": {"codelist": "operations"}}}
        recipe["codelists"]["operations"] = {"codes": codes}
        recipe["include"][0]["within"] = {"to": "0d"}
        return recipe

    lost = changed(organ="breast")
    windowed = attribute(play(ARCHIVE, with_index(["81.51"])), play(lost, with_index(["81.52"]), **later()))
    assert reasons(windowed) == {("lost", "codelist", "organ"): 2}
    bare = changed(stain="PAS")
    without = attribute(play(ARCHIVE, with_index(["81.51"])), play(bare, with_index(["81.52"]), **later()))
    assert reasons(without) == {("lost", "data", "special"): 2}


def test_a_row_that_falls_anyway_is_not_the_recipes() -> None:
    archive = changed(organ="breast", stain="PAS")
    recipe = with_recipe(lambda one: one["include"].insert(0, {"id": "low", "level": "case", "where": {"grade": 7}}))
    differences = attribute(play(ARCHIVE, RECIPE), play(archive, recipe, **later()))
    counts = reasons(differences)
    assert counts.pop(("lost", "data", "organ")) == 2
    assert counts.keys() == {("lost", "criterion_added", "low")}


def test_others_who_come_move_the_sample_and_say_so() -> None:
    recipe = with_recipe(lambda one: one.update(sample={"max": 1}))
    archive = deepcopy(ARCHIVE)
    archive["S-" + "!" * 16] = {**archive[f"S-{0:016}"]}
    differences = attribute(play(ARCHIVE, recipe), play(archive, recipe, **later()))
    assert reasons(differences) == {("gained", "new", ""): 1, ("lost", "moved", "sample_1_patient"): 1}


def test_without_any_cause_a_difference_is_unexplained() -> None:
    differences = attribute(play(ARCHIVE, RECIPE), play(changed(organ="breast"), RECIPE))
    assert differences.unexplained == 2
    assert any("unexplained" in line for line in differences.lines())


@pytest.mark.parametrize(
    ("circumstances", "reason"),
    [
        ({"tool": "1.1"}, "tool"), ({"states": STATES | {"profile": "sha256:q"}}, "profile"),
        ({"states": STATES | {"reports": "reports@2"}, "tool": "1.1"}, "data"),
    ],
)  # fmt: skip
def test_what_else_changed_is_named_where_the_archive_did_not(circumstances: dict[str, Any], reason: str) -> None:
    differences = attribute(play(ARCHIVE, RECIPE), play(changed(organ="breast"), RECIPE, **circumstances))
    assert reasons(differences) == {("lost", reason, "organ"): 2}


def test_a_change_of_the_permissions_alone_explains_nothing_but_permissions() -> None:
    only = {"states": STATES | {"permissions": "permissions@9"}}
    differences = attribute(play(ARCHIVE, RECIPE), play(changed(organ="breast"), RECIPE, **only))
    assert reasons(differences) == {("lost", "unexplained", "organ"): 2}


@pytest.mark.parametrize("circumstances", [{"key": "k2"}, {"states": STATES | {"scheme": "3"}}])
def test_under_another_key_nothing_can_be_compared(circumstances: dict[str, Any]) -> None:
    renamed = {name.replace("S-", "S-X"): row for name, row in ARCHIVE.items()}
    before, after = play(ARCHIVE, RECIPE), play(renamed, RECIPE, **circumstances)
    differences = attribute(before, after)
    kept = before.rows.num_rows
    assert reasons(differences) == {("lost", "key", ""): kept, ("gained", "key", ""): kept}


def test_another_unit_is_another_cohort() -> None:
    before = play(ARCHIVE, RECIPE)
    facts = {**before.facts, "unit": "case"}
    names = ["case_id", "patient_id", "step", "step_number", "failed"]
    cases = Run(facts, before.ledger.select(names), before.rows.select(["case_id", "patient_id"]))
    differences = attribute(before, cases)
    assert {reason for _, reason, _ in differences.counts} == {Reason.UNIT}
    assert differences.units.num_rows == 2 * before.rows.num_rows


def test_patients_who_fell_for_want_of_a_permission_are_counted_once_and_only_if_all_of_them_fell() -> None:
    archive = deepcopy(ARCHIVE)
    for slide in archive.values():
        slide["permitted"] = slide["patient_id"] != f"P-{0:016}"
    whole = attribute(play(ARCHIVE, RECIPE), play(archive, RECIPE, **later()))
    assert whole.counts[("lost", Reason.PERMISSION, "permission")] == 2
    assert whole.patients_not_permitted == 1
    archive[f"S-{0:016}"]["permitted"] = True
    assert attribute(play(ARCHIVE, RECIPE), play(archive, RECIPE, **later())).patients_not_permitted == 0


def test_small_counts_are_hidden_from_analysts_and_exact_for_the_curator(tmp_path: Path) -> None:
    archive = {**changed(organ="breast"), **{f"S-new{n:013}": {**ARCHIVE[f"S-{0:016}"]} for n in range(30)}}
    differences = attribute(play(ARCHIVE, RECIPE), play(archive, RECIPE, **later()))
    write_differences(tmp_path, differences)
    told = json.loads((tmp_path / "differences.json").read_bytes())
    assert told["gained"] == [{"reason": "new", "step": "", "count": 30, "words": "new in the archive"}]
    assert [part["count"] for part in told["lost"]] in (["<10"], ["withheld"])
    assert "S-" not in (tmp_path / "differences.json").read_text()
    assert (tmp_path / "differences.parquet").stat().st_mode & 0o777 == 0o600
    assert differences.counts[("lost", Reason.DATA, "organ")] == 2


def _write(run: Run, folder: Path) -> Path:
    folder.mkdir()
    (folder / "cohort.json").write_text(json.dumps({**run.facts, "steps": None}))
    write_parquet(folder / "ledger.parquet", run.ledger)
    write_parquet(folder / "cohort.parquet", run.rows)
    return folder


@pytest.mark.parametrize(
    ("archive", "recipe"),
    [(changed(organ="breast", stain="PAS"), with_recipe(_codes)), (ARCHIVE, RECIPE), ({}, RECIPE),
     (changed(label="b"), with_recipe(lambda one: one.update(sample={"max": 1})))],
)  # fmt: skip
def test_runs_are_read_from_their_folders_with_as_much_of_the_ledger_as_matters(
    tmp_path: Path, archive: Archive, recipe: Recipe
) -> None:
    before, after = play(ARCHIVE, RECIPE), play(archive, recipe, **later())
    read = read_runs(_write(before, tmp_path / "before"), _write(after, tmp_path / "after"))
    assert attribute(*read).units.equals(attribute(before, after).units)
    assert read[0].ledger.num_rows <= before.ledger.num_rows
    if archive == ARCHIVE:
        assert read[0].ledger.num_rows == 0


@pytest.mark.parametrize("spoil", [b"", b"{}", b'{"unit": "slide", "states": []}', b"[1"])
def test_a_run_that_does_not_say_what_it_was_made_of_is_refused(tmp_path: Path, spoil: bytes) -> None:
    (tmp_path / "cohort.json").write_bytes(spoil)
    with pytest.raises(InputOutputError, match="cannot be compared"):
        read_runs(tmp_path, tmp_path)


_slides = st.fixed_dictionaries({
    "case_id": st.sampled_from(["C-1", "C-2", "C-3"]), "patient_id": st.sampled_from(["P-1", "P-2"]),
    "permitted": st.booleans(), "readable": st.just(True), "linked": st.booleans(),
    "organ": st.sampled_from(["lung", "breast"]), "stain": st.sampled_from(["HE", "PAS"]), "grade": st.integers(0, 3),
    "label": st.sampled_from(["a", "b", None]),
})  # fmt: skip
_archives = st.dictionaries(st.sampled_from([f"S-{n}" for n in range(8)]), _slides, max_size=8)
_criteria = st.lists(
    st.sampled_from([*RECIPE["include"], {"id": "he", "level": "slide", "where": {"stain": "HE"}},
                     {"id": "graded", "level": "case", "where": {"grade": 1}}]),
    max_size=3, unique_by=lambda one: one["id"],
)  # fmt: skip


@st.composite
def _recipes(draw: st.DrawFn) -> Recipe:
    recipe = deepcopy(RECIPE)
    recipe["include"] = draw(_criteria)
    recipe["codelists"]["grades"]["codes"] = draw(st.sampled_from([[0, 1, 2], [1]]))
    if draw(st.booleans()):
        recipe["sample"] = {"max": draw(st.integers(1, 2))}
    return recipe


@settings(max_examples=25, deadline=None)
@given(_archives, _archives, _recipes(), _recipes())
def test_every_difference_has_one_reason_and_it_is_true(then: Archive, now: Archive, old: Recipe, new: Recipe) -> None:
    before, after = play(then, old), play(now, new, **later())
    differences = attribute(before, after)
    kept_then, kept_now = ({row["slide_id"]: row for row in run.rows.to_pylist()} for run in (before, after))
    told = [(row["change"], row["unit_id"]) for row in differences.units.to_pylist()]
    assert len(set(told)) == len(told)
    assert {unit for change, unit in told if change == "lost"} == kept_then.keys() - kept_now.keys()
    assert {unit for change, unit in told if change == "gained"} == kept_now.keys() - kept_then.keys()
    both = kept_then.keys() & kept_now.keys()
    assert {unit for change, unit in told if change == "altered"} == {u for u in both if kept_then[u] != kept_now[u]}
    assert differences.unexplained == 0
    for row in differences.units.to_pylist():
        _check_truth(row, then, now, old, new)


def _check_truth(row: dict[str, Any], then: Archive, now: Archive, old: Recipe, new: Recipe) -> None:
    """By what the two archives and recipes themselves say, without any ledger."""
    unit, reason, step = row["unit_id"], Reason(row["reason"]), row["step"]
    was, is_ = then.get(unit), now.get(unit)
    criteria = [{one["id"]: one for part in ("include", "exclude") for one in recipe[part]} for recipe in (old, new)]
    match reason:
        case Reason.NEW:
            assert was is None
        case Reason.GONE:
            assert is_ is None
        case Reason.PERMISSION:
            assert was is not None
            assert is_ is not None
            assert was["permitted"] != is_["permitted"]
        case Reason.LINK:
            assert (was["case_id"], was["linked"]) != (is_["case_id"], is_["linked"])  # type: ignore[index]
        case Reason.PERSON:
            assert was["patient_id"] != is_["patient_id"]  # type: ignore[index]
        case Reason.DATA:
            assert was != is_
        case Reason.ADDED | Reason.REMOVED:
            there = ["sample" in old, "sample" in new] if step.startswith("sample") else [step in one for one in criteria]
            assert there == [reason is Reason.REMOVED, reason is Reason.ADDED]
        case Reason.CHANGED:
            assert step.startswith("sample") or criteria[0][step] != criteria[1][step]
        case Reason.CODELIST:
            assert old["codelists"] != new["codelists"]
        case Reason.MOVED:
            assert step.startswith("sample")
            assert old.get("sample") == new.get("sample")
        case _:
            pytest.fail(f"nothing here has the reason {reason}")
