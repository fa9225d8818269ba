"""Any recipe over any small tables: every engine and a slow oracle in plain Python decide alike about everybody.

``PATHCURATE_EXAMPLES`` says how many recipes are tried, each time others; by default they are few, and always the same.
"""

import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pathcurate.cohort.sides import sides_of, together
from pathcurate.engines import Engine
from pathcurate.errors import RecipeError
from pathcurate.model.recipe import Recipe
from pathcurate.model.recipe.levels import recipe_views
from pathcurate.recipefile import check_columns
from pathcurate.text.vocabulary import all_codes
from tests.sqlengines import connect, engine  # noqa: F401 - fixtures

sys.path.append(str(Path(__file__).parents[1] / "spec"))

from drawn_hospital import Drawn
from drawn_recipes import ANSWERS, hospitals, recipes
from judging import judge

MANY = int(os.environ.get("PATHCURATE_EXAMPLES", "0"))
CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def few(examples: int) -> settings:
    """So many examples, always the same, unless there shall be many."""
    return settings(max_examples=MANY or examples, derandomize=not MANY, deadline=None, suppress_health_check=CHECKS)


def checked(written: dict[str, Any]) -> Recipe:
    recipe = Recipe.model_validate(written)
    faults = check_columns(recipe, recipe_views(has_index=recipe.index is not None), all_codes())
    assert not faults, faults
    return recipe


@few(25)
@given(hospitals(), recipes())
def test_the_embedded_engine_and_the_oracle_agree(engine: Engine, drawn: Drawn, written: dict[str, Any]) -> None:  # noqa: F811
    judge(engine, drawn, checked(written), written, ANSWERS)


@few(6)
@given(hospitals(), recipes())
def test_a_cluster_and_the_oracle_agree(connect: Engine, drawn: Drawn, written: dict[str, Any]) -> None:  # noqa: F811
    judge(connect, drawn, checked(written), written, ANSWERS)


# --- splits --------------------------------------------------------------------------------------------------------

RATIOS = [{"train": 1.0}, {"train": 0.8, "test": 0.2}, {"train": 0.5, "val": 0.25, "test": 0.25}, {"b": 0.5, "a": 0.5}]
GROUPS = [f"Q-{number:016d}" for number in range(40)]


def split_recipe(**split: Any) -> Recipe:
    return Recipe.model_validate({
        "recipe": 1, "name": "r", "version": "1.0.0", "title": "r", "unit": "slide", "columns": ["slide_id", "split"],
        "split": split,
    })  # fmt: skip


def slides(groups: list[str], **columns: list[Any]) -> pa.Table:
    patients = [f"P{group[1:]}" for group in groups]
    return pa.table({"patient_id": pa.array(patients, pa.string()), **columns})


def sides_by_group(
    recipe: Recipe, groups: list[str], kept: Mapping[str, str] | None = None, **columns: Any
) -> dict[str, str]:
    sides = sides_of(recipe, slides(groups, **columns), groups, kept or {})
    found = dict(zip(groups, sides, strict=True))
    assert len(set(zip(groups, sides, strict=True))) == len(found), "a group stands on two sides"
    return found


@few(40)
@given(
    st.lists(st.tuples(st.sampled_from(GROUPS[:12]), st.sampled_from(["s", "t", None])), max_size=20),
    st.permutations(range(20)),
)
def test_groups_that_share_a_scan_stay_together_whatever_the_order(
    engine: Engine,  # noqa: F811
    pairs: list[tuple[str, str | None]],
    order: list[int],
) -> None:
    def view(rows: list[tuple[str, str | None]]) -> None:
        columns = {"group_id": [group for group, _ in rows], "scan_group": [scan for _, scan in rows]}
        engine.view("slides", pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}))

    view(pairs)
    groups = [group for group, _ in pairs]
    names = dict(zip(groups, together(engine, groups), strict=True))
    for scan in ("s", "t"):
        assert len({names[group] for group, its in pairs if its == scan}) <= 1
    shares: dict[str, set[str | None]] = {}
    for group, scan in pairs:
        shares.setdefault(group, set()).add(scan)
    alone = {group for group, scans in shares.items() if scans == {None}}
    assert all(names[group] == group for group in alone)
    assert not alone & {name for group, name in names.items() if group not in alone}
    view([pairs[place] for place in order if place < len(pairs)])
    assert dict(zip(groups, together(engine, groups), strict=True)) == names


@few(60)
@given(st.lists(st.tuples(st.sampled_from(GROUPS), st.sampled_from(["a", "b", None])), min_size=1, max_size=60),
       st.sampled_from(RATIOS), st.booleans(), st.randoms(use_true_random=False))  # fmt: skip
def test_a_split_is_a_function_of_who_is_in_it(rows: Any, ratios: Any, is_stratified: bool, random: Any) -> None:
    recipe = split_recipe(ratios=ratios, stratify=["stain"] if is_stratified else [])
    found = sides_by_group(recipe, [group for group, _ in rows], stain=[stain for _, stain in rows])
    assert set(found.values()) <= set(ratios)
    random.shuffle(rows)
    assert sides_by_group(recipe, [group for group, _ in rows], stain=[stain for _, stain in rows]) == found


@few(30)
@given(st.sampled_from(RATIOS[1:]), st.text("abc", min_size=1, max_size=4), st.integers(300, 600), st.integers(1, 20))
def test_shares_are_met_and_adding_groups_moves_few(ratios: Any, seed: str, size: int, more: int) -> None:
    recipe = split_recipe(ratios=ratios, seed=seed)
    groups = [f"Q-{number * 7919 % 100_003:016d}" for number in range(size + more)]
    before, after = (sides_by_group(recipe, groups[:count]) for count in (size, size + more))
    counts = Counter(before.values())
    assert all(abs(counts[side] - share * size) <= 2 for side, share in ratios.items())
    moved = sum(before[group] != after[group] for group in before)
    # Each group that is added can push one over each border.
    assert moved <= (more + 1) * (len(ratios) - 1)


@few(40)
@given(st.lists(st.sampled_from(GROUPS[:15]), min_size=1, max_size=40),
       st.dictionaries(st.sampled_from(GROUPS[:15]), st.sampled_from(["train", "test", "gone"]), max_size=10),
       st.sets(st.sampled_from(GROUPS[:15]), max_size=4))  # fmt: skip
def test_who_was_on_a_side_stays_there_and_who_is_held_out_is_there_as_a_whole(
    groups: list[str], earlier: dict[str, str], held: set[str]
) -> None:
    recipe = split_recipe(ratios={"train": 0.5, "test": 0.5}, hold_out={"external": {"site": "NB02"}}, keep_from="r@0.9.0")
    # Only the last slide of a group meets the condition.
    is_external = [group in held and group not in groups[place + 1 :] for place, group in enumerate(groups)]
    kept = {f"P{group[1:]}": side for group, side in earlier.items()}
    found = sides_by_group(recipe, groups, kept, is_external=is_external)
    for group, side in found.items():
        if group in held:
            assert side == "external"
        elif earlier.get(group) in {"train", "test"}:
            assert side == earlier[group]
        else:
            assert side in {"train", "test"}


def test_an_earlier_version_with_one_group_on_two_sides_is_refused() -> None:
    recipe = split_recipe(ratios={"train": 0.5, "test": 0.5}, keep_from="r@0.9.0")
    rows = pa.table({"patient_id": pa.array(["P1", "P2", None], pa.string())})
    assert sides_of(recipe, rows, ["Q1", "Q1", "Q1"], {"P1": "test"}) == ["test"] * 3
    with pytest.raises(RecipeError, match="1 groups on two sides"):
        sides_of(recipe, rows, ["Q1", "Q1", "Q1"], {"P1": "test", "P2": "train"})
