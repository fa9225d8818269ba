"""What is hidden of an attrition cannot be worked out: other counts would have been shown in just the same way.

Whoever reads cohort.json, the page and the figure, and knows this program, sees :class:`ShownAttrition` and no more. So a
number is safe if there are several attritions that differ in it and are shown alike, byte for byte.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.disclosure.attrition import criteria_order, shown, whole_attrition
from pathcurate.model.attrition import WITHHELD, Attrition, AttritionStep, Counts, ShownAttrition, Touched

CHOICE = 4
"""So many numbers at least are possible for each that is hidden."""
LEVELS = ("slides", "cases", "patients")
VALUES = {"sex": ("female", "male", ""), "age_band": ("5-9", "10-14", "90+"), "year": ("2019", "2020", "2021")}


@dataclass(frozen=True)
class Part:
    """Who falls at one step, or is kept: slides, cases, patients; patients behind them; patients by value of each trait."""

    counts: tuple[int, int, int]
    people: int
    missing: int = 0
    gained: tuple[int, int, int] = (0, 0, 0)
    values: tuple[tuple[int, ...], ...] = ()


def made(parts: Sequence[Part]) -> Attrition:
    """The attrition of which these are the steps, and the last what is kept."""
    left = [tuple(sum(part.counts[level] for part in parts[place:]) for level in range(3)) for place in range(len(parts))]
    demographics = [
        {
            trait: {value: count for number, value in enumerate(values)
                    if (count := sum(part.values[place][number] for part in parts[first:]))}
            for place, (trait, values) in enumerate(VALUES.items())
        } if parts[0].values else {}
        for first in range(len(parts))
    ]  # fmt: skip
    steps = tuple(
        AttritionStep(
            f"s{place}", f"Step {place}", "slide", "include", part.counts[0], part.missing, Counts(*left[place + 1]),
            Counts(*part.gained), Touched(part.people, min(part.missing, part.people),
                                          min(part.counts[0] - part.missing, part.people), min(part.gained[0], part.people)),
            demographics[place + 1],
        )
        for place, part in enumerate(parts[:-1])
    )  # fmt: skip
    return Attrition("slide", Counts(*left[0]), steps, demographics[0])


def groups(told: ShownAttrition) -> Iterator[range]:
    """Steps of which only the sum is told, and those at the end of which nothing is."""
    start = 0
    for place, step in enumerate(told.steps):
        if step.dropped != WITHHELD:
            if step.together > 1:
                yield range(place - step.together + 1, place + 1)
            start = place + 1
    if start < len(told.steps):
        yield range(start, len(told.steps))


NUMBER = st.sampled_from([0, 0, 0, 1, 2, 5, 9, 10, 11, 19, 25, 300])


@st.composite
def some_parts(draw: st.DrawFn) -> list[Part]:
    found = []
    for _ in range(draw(st.integers(2, 6))):
        patients, cases, slides = sorted(draw(st.tuples(NUMBER, NUMBER, NUMBER)))
        people = draw(st.integers(patients, slides))
        missing = draw(st.sampled_from([0, slides, min(slides, 3), slides // 2]))
        gain = draw(st.sampled_from([0, slides, min(slides, 4), slides // 2]))
        values = []
        for _ in VALUES:
            first = draw(st.integers(0, patients))
            second = draw(st.integers(0, patients - first))
            values.append((first, second, patients - first - second))
        found.append(Part((slides, cases, patients), people, missing, (gain, min(gain, cases), min(gain, patients)),
                          tuple(values)))  # fmt: skip
    return found


def spread(whole: Sequence[Part], numbers: Sequence[int], rest: int) -> list[Part]:
    """Other parts with the same sum: so many on each level, and what is left over at one place."""
    left = [sum(part.counts[level] for part in whole) for level in range(3)]
    values = [[sum(part.values[trait][place] for part in whole) for place in range(3)] for trait in range(len(VALUES))]
    found = []
    for place, number in enumerate(numbers):
        counts = [0, 0, 0] if place == rest else [number if have else 0 for have in left]
        left = [have - less for have, less in zip(left, counts, strict=True)]
        rows = []
        for row in values:
            taken = [min(row[0], counts[2]), 0, 0]
            taken[1] = min(row[1], counts[2] - taken[0])
            taken[2] = counts[2] - taken[0] - taken[1]
            row[:] = [have - less for have, less in zip(row, taken, strict=True)]
            rows.append(tuple(taken))
        found.append(Part(tuple(counts), counts[0], values=tuple(rows)))  # type: ignore[arg-type]
    rests = tuple(tuple(have + more for have, more in zip(row, found[rest].values[trait], strict=True))
                  for trait, row in enumerate(values))  # fmt: skip
    found[rest] = Part(tuple(left), left[0], values=rests)  # type: ignore[arg-type]
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some_parts(), st.sampled_from([1, 5]))
def test_a_hidden_step_may_have_dropped_other_numbers(parts: list[Part], round_to: int) -> None:
    told = shown(made(parts), round_to=round_to)
    for group in groups(told):
        has_kept = told.steps[group.stop - 1].remaining["slides"] == WITHHELD
        end = len(parts) if has_kept else group.stop
        whole, size = parts[group.start : end], end - group.start
        is_start_told = isinstance(told.start["slides"], int)
        assert size > 1 or not is_start_told, "one alone is told by its neighbours"
        if not is_start_told:
            whole = [Part((1, 1, 1), 1, values=((1, 0, 0),) * 3)] * (CHOICE + 2)  # how many there were is not told either
        # Where what is kept is hidden it is little, and the first part has the rest; else the last has.
        rest = 0 if has_kept else size - 1
        possible: dict[int, set[int]] = defaultdict(set)
        for place, number in product(range(size), range(1, CHOICE + 1)):
            numbers = [1 if n in {0, size - 1} else 0 for n in range(size)]
            numbers[place] = number if place in {0, size - 1} else number - 1
            others = spread(whole[: sum(numbers)] if not is_start_told else whole, numbers, rest)
            world = [*parts[: group.start], *others, *parts[end:]]
            assert shown(made(world), round_to=round_to).as_dict() == told.as_dict()
            for n, part in enumerate(others):
                possible[n].add(part.counts[0])
        assert all(len(found) >= CHOICE for found in possible.values()) or not sum(part.counts[0] for part in whole)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some_parts())
def test_hidden_halves_of_a_number_may_be_other_numbers(parts: list[Part]) -> None:
    """How many fell for a missing value, and how many leaving the step out would gain."""
    told = shown(made(parts), round_to=1)
    for place, step in enumerate(told.steps):
        if step.dropped == WITHHELD or step.together > 1:
            assert {step.dropped_missing, *step.gained.values()} == {WITHHELD}
            continue
        for number in range(1, CHOICE + 1):
            world = list(parts)
            if step.dropped_missing == WITHHELD:
                world[place] = replace(world[place], missing=number)
            if step.gained["slides"] == WITHHELD:
                world[place] = replace(world[place], gained=(number, 0, 0))
            assert shown(made(world), round_to=1).as_dict() == told.as_dict()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(some_parts(), st.booleans())
def test_joined_values_of_a_trait_may_be_other_numbers(parts: list[Part], has_many: bool) -> None:
    """Of values that are told as one group the first, at any step, may have been one patient or four."""
    if has_many:
        parts = [replace(part, counts=tuple(40 * count for count in part.counts), people=40 * part.people,  # type: ignore[arg-type]
                         values=tuple(tuple(40 * count for count in row) for row in part.values))
                 for part in parts]  # fmt: skip
    attrition = made(parts)
    told = shown(attrition, round_to=1)
    for trait in told.traits:
        values = VALUES[trait.trait]
        order = [value for value in sorted(values, key=lambda value: (not value, len(value), value)) if value in values]
        for group, (first, last) in enumerate(trait.groups):
            if first == last:
                assert all(not 0 < count < 10 for count in differences([row[group] for row in trait.patients]))
                continue
            inside = set(order[order.index(first) : order.index(last) + 1])
            sums = [row[group] for row in trait.patients]
            for at, between in enumerate(differences(sums)):
                for number in range(1, CHOICE + 1) if between else ():
                    world = attrition
                    for row, after in enumerate(trait.after):
                        count = number if row <= at else 0
                        world = with_values(world, after, trait.trait, inside,
                                            {first: count, last: sums[row] - count})  # fmt: skip
                    assert shown(world, round_to=1).as_dict() == told.as_dict()


def differences(counts: Sequence[int]) -> list[int]:
    return [before - after for before, after in pairwise([*counts, 0])]


def with_values(attrition: Attrition, after: int, trait: str, inside: set[str], counts: dict[str, int]) -> Attrition:
    here: Any = attrition if after < 0 else attrition.steps[after]
    left = {value: count for value, count in here.demographics[trait].items() if value not in inside}
    more = {value: count for value, count in counts.items() if count}
    changed = replace(here, demographics={**here.demographics, trait: {**left, **more}})
    if after < 0:
        return changed  # type: ignore[no-any-return]
    return replace(attrition, steps=(*attrition.steps[:after], changed, *attrition.steps[after + 1 :]))


def test_of_all_small_attritions_none_gives_a_step_away() -> None:
    """Somebody who knows how many there were and how many are left tries all that could have been between."""
    worlds: dict[Any, list[tuple[int, ...]]] = defaultdict(list)
    for total in (21, 34):
        for first, second in product(range(total + 1), repeat=2):
            if first + second <= total:
                counts = (first, second, total - first - second, 50)
                told = shown(made([Part((count,) * 3, count) for count in counts]), round_to=1, exact_kept=True)
                if told.start["slides"] != WITHHELD:
                    worlds[total, *((step.dropped, step.together) for step in told.steps)].append(counts)
    assert len(worlds) > 60
    for (_, *steps), counts_ in worlds.items():
        for place, (dropped, together) in enumerate(steps):
            possible = {counts[place] for counts in counts_}
            assert possible == {dropped} if dropped != WITHHELD and together == 1 else len(possible) >= CHOICE


def test_nothing_below_ten_is_told_on_any_level() -> None:
    told = shown(made([Part((500, 0, 0), 1), Part((12, 1, 1), 1), Part((700, 90, 80), 80), Part((900, 300, 200), 200)]))
    assert [step.dropped for step in told.steps] == [WITHHELD, WITHHELD, 1210], "slides of one patient are that patient's"
    assert told.steps[2].together == 3
    assert told.steps[1].remaining == dict.fromkeys(LEVELS, WITHHELD)
    assert told.kept == {"slides": 900, "cases": 300, "patients": 200}


def test_few_that_are_left_are_hidden_with_whoever_left_last() -> None:
    told = shown(made([Part((300, 200, 100), 100), Part((40, 30, 20), 20), Part((30, 5, 5), 5)]))
    assert [step.dropped for step in told.steps] == [300, WITHHELD]
    assert set(told.kept.values()) == {WITHHELD}
    told = shown(made([Part((3, 2, 1), 1), Part((30, 20, 11), 11)]))
    assert (told.start["slides"], told.steps[0].dropped, told.kept["slides"]) == (WITHHELD, WITHHELD, 30)
    told = shown(made([Part((3, 2, 1), 1), Part((3, 2, 1), 1)]))
    assert {*told.start.values(), *told.kept.values()} == {WITHHELD}


def test_numbers_are_rounded_and_the_end_is_exact_for_who_has_its_rows() -> None:
    parts = [Part((102, 52, 42), 42), Part((1013, 508, 407), 407)]
    told = shown(made(parts))
    assert told.start == {"slides": 1115, "cases": 560, "patients": 450}
    assert (told.steps[0].dropped, told.kept) == (100, {"slides": 1015, "cases": 510, "patients": 405})
    assert shown(made(parts), exact_kept=True).kept == {"slides": 1013, "cases": 508, "patients": 407}
    coarse = shown(made(parts), round_to=1000)
    assert (coarse.kept["patients"], coarse.steps[0].dropped) == (1000, 1000), "what is there is not told as nothing"
    assert whole_attrition(made(parts)).steps[0].dropped == 102


def test_what_was_shown_can_be_read_again() -> None:
    parts = [Part((300, 200, 100), 100, 150, values=((30, 30, 40),) * 3),
             Part((900, 600, 500), 500, values=((200, 200, 100),) * 3)]  # fmt: skip
    for told in (shown(made(parts)), whole_attrition(made(parts))):
        assert told.traits
        assert ShownAttrition.from_dict(told.as_dict()) == told


@pytest.mark.parametrize("changes", [{"min_cell": 9}, {"round_to": 0}])
def test_less_protection_than_promised_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="never told"):
        shown(made([Part((300, 200, 100), 100)]), **changes)  # type: ignore[arg-type]


def test_another_order_is_the_curators() -> None:
    with pytest.raises(ValueError, match="own order"):
        shown(replace(made([Part((300, 200, 100), 100)]), is_reordered=True))


def test_a_second_order_of_the_same_criteria_gets_the_ends_and_no_more() -> None:
    """Else what both leave at different places would be subtracted."""
    one = {"unit": "slide", "include": [{"id": "a", "where": {"x": 1}}, {"id": "b", "where": {"y": 2}}], "exclude": []}
    other = {**one, "include": [{"id": "z", "label": "Z", "where": {"y": 2}}, {"id": "a", "where": {"x": 1}}]}
    wider = {**one, "include": one["include"][:1]}
    (first, order), (second, reversed_), (third, _) = map(criteria_order, (one, other, wider))
    assert first == second != third
    assert order == reversed_[::-1] != reversed_
    parts = [Part((300, 200, 100), 100), Part((40, 30, 20), 20), Part((900, 600, 500), 500)]
    told = shown(made(parts), only_ends=True)
    assert [step.dropped for step in told.steps] == [WITHHELD, 340]
    assert told.steps[0].remaining == dict.fromkeys(LEVELS, WITHHELD)
    assert told.start["slides"] == 1240
    assert {step.dropped_missing for step in told.steps} == {WITHHELD}
