"""Splits: whole groups, fair shares, and the same answer whatever the order."""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pathcurate.splits import assign_splits

RATIOS = {"train": 0.7, "val": 0.1, "test": 0.2}
NO_STRATUM: tuple[str | None, ...] = ()

_groups = st.lists(st.text("ABCDEFGH0123456789-病", min_size=1, max_size=6), min_size=1, max_size=40)
_ratios = st.sampled_from([
    RATIOS, {"train": 1.0}, {"test": 0.5, "train": 0.5}, {"train": 1 / 3, "val": 1 / 3, "test": 1 / 3},
    {"val": 0.999, "test": 0.001}, {"train": 0.8, "val": 0.1, "test": 0.1},
])  # fmt: skip
_seeds = st.text(max_size=5)


def stratum(group: str) -> tuple[str | None, ...]:
    """A stratum that depends on the group alone."""
    return (("NB01", "NB02", None)[sum(group.encode()) % 3],)


def by_stratum(sides: Mapping[str, str]) -> dict[tuple[str | None, ...], Counter[str]]:
    counted: dict[tuple[str | None, ...], Counter[str]] = defaultdict(Counter)
    for group, side in sides.items():
        counted[stratum(group)][side] += 1
    return counted


@given(_groups, _ratios, _seeds)
def test_every_group_has_one_of_the_sides(groups: list[str], ratios: dict[str, float], seed: str) -> None:
    sides = assign_splits(groups, [stratum(group) for group in groups], ratios, seed)
    assert sides.keys() == set(groups)
    assert set(sides.values()) <= ratios.keys()


@given(_groups, _ratios, _seeds)
def test_each_side_gets_its_share_of_each_stratum(groups: list[str], ratios: dict[str, float], seed: str) -> None:
    sides = assign_splits(groups, [stratum(group) for group in groups], ratios, seed)
    for counted in by_stratum(sides).values():
        for side, share in ratios.items():
            assert abs(counted[side] - share * counted.total()) < 1 + 1e-9


@given(_groups, _ratios, _seeds, st.randoms(use_true_random=False))
def test_order_and_number_of_rows_do_not_matter(
    groups: list[str], ratios: dict[str, float], seed: str, chance: random.Random
) -> None:
    names = sorted(set(groups))
    before = assign_splits(names, [stratum(group) for group in names], ratios, seed)
    shuffled = [*groups, *groups]
    chance.shuffle(shuffled)
    backwards = dict(reversed(ratios.items()))
    assert assign_splits(shuffled, [stratum(group) for group in shuffled], backwards, seed) == before


@given(st.data())
def test_a_group_in_several_strata_has_one_side_whatever_the_order(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.tuples(st.sampled_from("ABCDEF"), st.sampled_from(["x", "y", "z", None])), min_size=1, max_size=30)
    )
    mixed = data.draw(st.permutations(rows))
    one, other = (
        assign_splits([group for group, _ in given_], [(value,) for _, value in given_], RATIOS, "s")
        for given_ in (rows, mixed)
    )
    assert one == other
    assert one.keys() == {group for group, _ in rows}


@given(_groups, st.text("xyz", min_size=1, max_size=6), _ratios, _seeds)
def test_one_more_group_moves_at_most_one_over_each_border(
    groups: list[str], new: str, ratios: dict[str, float], seed: str
) -> None:
    assume(new not in groups)
    names = sorted(set(groups))
    before = assign_splits(names, [NO_STRATUM] * len(names), ratios, seed)
    after = assign_splits([*names, new], [NO_STRATUM] * (len(names) + 1), ratios, seed)
    assert sum(after[group] != before[group] for group in names) <= len(ratios) - 1


def test_many_more_groups_move_few() -> None:
    names = [f"Q-{number}" for number in range(2000)]
    before = assign_splits(names[:1900], [NO_STRATUM] * 1900, RATIOS, "s")
    after = assign_splits(names, [NO_STRATUM] * 2000, RATIOS, "s")
    assert sum(after[group] != before[group] for group in names[:1900]) < 40


def test_a_new_group_in_one_stratum_leaves_the_others_alone() -> None:
    groups = [f"Q-{number}" for number in range(100)]
    strata: list[tuple[str | None, ...]] = [(f"NB0{number % 2}",) for number in range(100)]
    before = assign_splits(groups, strata, RATIOS, "s")
    after = assign_splits([*groups, "Q-new"], [*strata, ("NB00",)], RATIOS, "s")
    assert all(after[group] == before[group] for group, (site,) in zip(groups, strata, strict=True) if site == "NB01")


def test_another_seed_is_another_split() -> None:
    groups = [f"Q-{number}" for number in range(400)]
    one, other = (assign_splits(groups, [NO_STRATUM] * 400, RATIOS, seed) for seed in ("a", "b"))
    moved = sum(one[group] != other[group] for group in groups)
    # Two independent splits agree on 0.7² + 0.1² + 0.2² = 54 %.
    assert 130 < moved < 240


def test_sides_do_not_depend_on_the_sort_order_of_names() -> None:
    groups = [f"Q-{number:05}" for number in range(3000)]
    sides = assign_splits(groups, [NO_STRATUM] * 3000, RATIOS, "s")
    train = sum(sides[group] == "train" for group in groups[:1500])
    assert 980 < train < 1120


def test_many_small_strata_together_come_near_the_shares() -> None:
    # One group each: the first side must not swallow them all.
    groups = [f"Q-{number}" for number in range(2000)]
    strata: list[tuple[str | None, ...]] = [(f"stratum {number}",) for number in range(2000)]
    counted = Counter(assign_splits(groups, strata, RATIOS, "s").values())
    assert all(abs(counted[side] / 2000 - share) < 0.03 for side, share in RATIOS.items())


def test_a_group_belongs_to_its_rarest_stratum() -> None:
    # Ten groups have a rare row beside common ones; stratified by it, halves of them go to each side.
    groups, strata = [], []
    for number in range(100):
        rare = number < 10
        groups += [f"Q-{number}"] * 3
        strata += [("common",), ("rare",) if rare else ("common",), ("common",)]
    sides = assign_splits(groups, strata, {"train": 0.5, "test": 0.5}, "s")
    counted = Counter(sides[f"Q-{number}"] for number in range(10))
    assert counted == {"train": 5, "test": 5}


@pytest.mark.parametrize("ratios", [{"train": 0.1, "val": 0.2, "test": 0.7}, {"train": 1 / 3, "val": 1 / 3, "test": 1 / 3}])
def test_shares_whose_sum_falls_short_of_one_by_rounding_leave_nobody_without_a_side(ratios: dict[str, float]) -> None:
    groups = [f"Q-{number}" for number in range(997)]
    sides = assign_splits(groups, [NO_STRATUM] * 997, ratios, "s")
    assert len(sides) == 997
    assert all(abs(Counter(sides.values())[side] - 997 * share) <= 1 for side, share in ratios.items())


def test_a_missing_stratum_value_is_a_stratum() -> None:
    groups = [f"Q-{number}" for number in range(10)]
    sides = assign_splits(groups, [(None,)] * 10, {"train": 0.5, "test": 0.5}, "s")
    assert Counter(sides.values()) == {"train": 5, "test": 5}


def test_no_rows_no_sides() -> None:
    assert assign_splits([], [], RATIOS, "s") == {}


@settings(max_examples=20)
@given(st.integers(1, 400), _seeds)
def test_shares_add_up(count: int, seed: str) -> None:
    groups = [f"Q-{number}" for number in range(count)]
    assert Counter(assign_splits(groups, [NO_STRATUM] * count, RATIOS, seed).values()).total() == count
