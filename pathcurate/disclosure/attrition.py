"""What may be seen of an attrition: no number of people below a least one can be worked out from it.

One rule for steps, for values of a trait and for the halves of a number: parts in a fixed order are joined with their
neighbours until each group, on every level, counts nobody or at least ``min_cell``. Groups are told, and of the parts of a
group nothing. It cannot be undone by subtraction, also not by somebody who knows the rule: the first part of a group may
always have been anything from 1 to ``min_cell - 1``, each one between may have been anything from 0 to ``min_cell - 2``, and
the last has the rest, so that at least ``min_cell - 1`` numbers are possible for each. The order does not depend on the
numbers; and one word stands for all that is hidden, since a mark for the small ones would tell the others apart.

All levels are hidden together: twelve slides may be those of one patient, and so may five hundred that fell while others of
that patient remain. What is told is then rounded, each number for itself and always alike: that takes knowledge away and
adds none.

The same criteria in another order tell of other sets of people, and the differences between both may be small; rounding
alone does not hide them. So one order of the same criteria is shown and no other: :func:`criteria_order` tells orders apart,
and with ``only_ends`` a second order gets what there was, what is left, and nothing in between. The exact counts of other
orders are the curator's. Recipes that differ in more can be subtracted from one another; that is for a person to judge.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pathcurate.disclosure.counts import LEAST_COUNT
from pathcurate.model.attrition import (
    TRAITS,
    UNIT_LEVEL,
    WITHHELD,
    Attrition,
    AttritionStep,
    Counts,
    Shown,
    ShownAttrition,
    ShownStep,
    ShownTrait,
)

ROUND_TO = 5
"""Counts are rounded to a multiple of it, unless a recipe asks for a coarser one."""
_ROW = 20
"""Between two rows of a table of traits there are so many times ``min_cell`` patients: else values would have to be joined
for the sake of steps at which hardly anybody left."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Something that is told, or hidden, as a whole.

    Attributes:
        counts: how many there are, on each level; those of parts add up.
        units: how many units.
        people: patients behind them, at least; those of parts do not add up, since one patient may be behind several.
    """

    counts: tuple[int, ...]
    units: int
    people: int

    def __add__(self, other: "_Part") -> "_Part":
        counts = tuple(one + another for one, another in zip(self.counts, other.counts, strict=True))
        return _Part(counts, self.units + other.units, max(self.people, other.people))


def shown(
    attrition: Attrition,
    *,
    min_cell: int = LEAST_COUNT,
    round_to: int = ROUND_TO,
    exact_kept: bool = False,
    only_ends: bool = False,
) -> ShownAttrition:
    """What everybody but the curator may see of an attrition.

    Args:
        attrition: the exact one, in the recipe's order.
        min_cell: the least count that is told.
        round_to: what is told is rounded to a multiple of it.
        exact_kept: whether what is left in the end is told as it is, since whoever reads this has its rows.
        only_ends: whether the steps are told as one sum, since the same criteria were shown in another order before.

    Raises:
        ValueError: it is in another order, or one of the two numbers is less than this module promises.
    """
    if attrition.is_reordered:
        raise ValueError("only the recipe's own order is shown")
    if min_cell < LEAST_COUNT or round_to < 1:
        raise ValueError(f"counts below {LEAST_COUNT} are never told")
    drops = [_dropped(step, before, attrition) for step, before in _with_before(attrition)]
    # Its patients are counted on their own level; no others are behind it.
    kept = _part(attrition, attrition.kept, attrition.kept.of(UNIT_LEVEL[attrition.unit]))
    # What is left is one part more; it stands alone if it may, since it is what people ask for.
    is_kept_told = _is_told([kept], min_cell)
    parts = drops if is_kept_told else [*drops, kept]
    if only_ends and parts:
        groups = [range(len(parts))] if _is_told(parts, min_cell) else None
    else:
        groups = _grouped(parts, min_cell)
    told = _Told(attrition, min_cell, round_to)
    steps = list(_steps(told, groups, drops))
    start = told.counts(attrition.start) if groups is not None else told.nothing()
    if is_kept_told:
        left = told.counts(attrition.kept, is_exact=exact_kept)
        if steps:
            steps[-1] = replace(steps[-1], remaining=left)
        else:
            start = left
    rows = _rows(attrition, start, steps, _ROW * min_cell)
    traits = (trait for name in TRAITS if (trait := _trait(told, name, rows)) is not None)
    return ShownAttrition(attrition.unit, attrition.levels, start, tuple(steps), tuple(traits), min_cell, round_to)


def whole_attrition(attrition: Attrition) -> ShownAttrition:
    """An attrition in the same form with nothing hidden and nothing rounded: for the curator alone."""
    steps = (
        ShownStep(
            step.id, step.label, step.level, step.kind, step.dropped, 1, step.dropped_missing, step.remaining.as_dict(),
            step.gained.as_dict() if step.gained else {},
        )
        for step in attrition.steps
    )  # fmt: skip
    rows = tuple(range(-1, len(attrition.steps)))
    traits = []
    for name in TRAITS:
        values = sorted(attrition.demographics.get(name, ()), key=_rank)
        counts = tuple(tuple(_demographics(attrition, row, name).get(value, 0) for value in values) for row in rows)
        if any(values):
            traits.append(ShownTrait(name, tuple((value, value) for value in values), rows, counts))
    return ShownAttrition(attrition.unit, attrition.levels, attrition.start.as_dict(), tuple(steps), tuple(traits), 0, 1)


def criteria_order(recipe: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """What a recipe selects by, whatever the order of its criteria, and that order, both as digests.

    Names and labels of criteria do not count; nor does what comes after them.

    Args:
        recipe: the resolved recipe, as plain JSON values.
    """
    criteria = [
        _digest([kind, {name: value for name, value in criterion.items() if name not in {"id", "label"}}])
        for kind in ("include", "exclude")
        for criterion in recipe.get(kind) or ()
    ]
    others = {name: recipe.get(name) for name in ("unit", "links", "index", "purpose", "codelists", "concepts")}
    return _digest([others, sorted(criteria)]), tuple(criteria)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


# --- Groups ------------------------------------------------------------------------------------------------------------


def _is_told(parts: Sequence[_Part], least: int) -> bool:
    """Whether the sum of parts may be told."""
    whole = sum(parts[1:], start=parts[0])
    if any(0 < count < least for count in (*whole.counts, whole.units)) or (whole.units and whole.people < least):
        return False
    # Of several, the last alone may be those `least` people, and the first has to have had room beside it.
    return len(parts) == 1 or whole.units >= 2 * least - 1


def _grouped(parts: Sequence[_Part], least: int) -> list[range] | None:
    """Places of parts, joined until each group may be told; None if even all of them together may not."""
    groups: list[range] = []
    start = 0
    for end in range(1, len(parts) + 1):
        if _is_told(parts[start:end], least):
            groups.append(range(start, end))
            start = end
    while start < len(parts):
        if not groups:
            return None
        start = groups.pop().start
        if _is_told(parts[start:], least):
            groups.append(range(start, len(parts)))
            start = len(parts)
    return groups


def _part(attrition: Attrition, counts: Counts, people: int) -> _Part:
    return _Part(tuple(counts.of(level) for level in attrition.levels), counts.of(UNIT_LEVEL[attrition.unit]), people)


def _with_before(attrition: Attrition) -> Iterator[tuple[AttritionStep, Counts]]:
    """Each step with what there was before it."""
    befores = [attrition.start, *(step.remaining for step in attrition.steps)]
    return zip(attrition.steps, befores, strict=False)


def _dropped(step: AttritionStep, before: Counts, attrition: Attrition) -> _Part:
    counts = tuple(before.of(level) - step.remaining.of(level) for level in attrition.levels)
    # Where nobody counted whose units they were, those who are gone altogether are all that is known of.
    people = step.touched.dropped if step.touched else before.patients - step.remaining.patients
    return _Part(counts, step.dropped, people)


# --- Numbers -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Told:
    """How numbers of one attrition are told."""

    attrition: Attrition
    least: int
    round_to: int

    def number(self, count: int) -> int:
        """To the next multiple, a half upwards; what is there is never told as 0."""
        if not count:
            return 0
        return max(self.round_to, (2 * count + self.round_to) // (2 * self.round_to) * self.round_to)

    def counts(self, counts: Counts, *, is_exact: bool = False) -> dict[str, Shown]:
        return {level: counts.of(level) if is_exact else self.number(counts.of(level)) for level in self.attrition.levels}

    def nothing(self) -> dict[str, Shown]:
        return dict.fromkeys(self.attrition.levels, WITHHELD)

    def missing(self, step: AttritionStep) -> Shown:
        """How many fell for a missing value, if neither they nor the others are few."""
        if step.touched is None:
            return WITHHELD if step.dropped else 0
        known = step.dropped - step.dropped_missing
        halves = (
            _Part((), step.dropped_missing, step.touched.missing),
            _Part((), known, step.touched.known),
        )
        return self.number(step.dropped_missing) if all(_is_told([half], self.least) for half in halves) else WITHHELD

    def gained(self, step: AttritionStep) -> dict[str, Shown]:
        """What leaving the step out would gain, if neither that is little nor what another step drops besides."""
        if step.gained is None or step.touched is None:
            return {}
        levels = [level for level in self.attrition.levels if getattr(step.gained, level) is not None]
        gain = _part(self.attrition, step.gained, step.touched.gained)
        others = step.dropped - gain.units
        halves = (gain, _Part((), others, max(0, step.touched.dropped - step.touched.gained)))
        is_told = all(_is_told([half], self.least) for half in halves)
        return {level: self.number(step.gained.of(level)) if is_told else WITHHELD for level in levels}


def _steps(told: _Told, groups: Sequence[range] | None, drops: Sequence[_Part]) -> Iterator[ShownStep]:
    group_of = {place: group for group in groups or () for place in group}
    for place, step in enumerate(told.attrition.steps):
        group = group_of.get(place)
        is_told = group is not None and group[-1] == place
        units = sum(part.units for part in drops[group.start : place + 1]) if group is not None else 0
        is_alone = is_told and len(group or ()) == 1
        gained = told.gained(step)
        yield ShownStep(
            step.id,
            step.label,
            step.level,
            step.kind,
            told.number(units) if is_told else WITHHELD,
            len(group) if is_told and group is not None else 1,
            told.missing(step) if is_alone else WITHHELD,
            told.counts(step.remaining) if is_told else told.nothing(),
            gained if is_alone else dict.fromkeys(gained, WITHHELD),
        )


# --- Traits ------------------------------------------------------------------------------------------------------------


def _rows(attrition: Attrition, start: Mapping[str, Shown], steps: Sequence[ShownStep], apart: int) -> list[int]:
    """Steps after which patients are told by trait: of those that are told at all, some with many patients in between.

    Which they are follows from numbers that are told anyway.
    """
    told = [-1] if start["patients"] != WITHHELD else []
    told += [number for number, step in enumerate(steps) if step.remaining["patients"] != WITHHELD]
    people = {row: (attrition.steps[row].remaining if row >= 0 else attrition.start).patients for row in told}
    rows: list[int] = []
    for row in told:
        if row == told[-1]:
            while rows and people[rows[-1]] - people[row] < apart:
                rows.pop()
        if people[row] and (not rows or row == told[-1] or people[rows[-1]] - people[row] >= apart):
            rows.append(row)
    return rows


def _trait(told: _Told, name: str, rows: Sequence[int]) -> ShownTrait | None:
    """Patients by one trait; None if there is nothing to tell apart."""
    tables = [_demographics(told.attrition, row, name) for row in rows]
    if not tables:
        return None
    values = sorted(tables[0], key=_rank)
    parts = []
    for value in values:
        counts = [table.get(value, 0) for table in tables]
        # Who is between two rows, and who is left: all of these can be worked out from what is told.
        parts.append(_Part(tuple(_differences(counts)), counts[0], told.least))
    groups = _grouped(parts, told.least)
    if groups is None or len(groups) < 2:
        return None
    ends = tuple((values[group[0]], values[group[-1]]) for group in groups)
    sums = [[sum(table.get(values[place], 0) for place in group) for group in groups] for table in tables]
    return ShownTrait(name, ends, tuple(rows), tuple(tuple(map(told.number, row)) for row in sums))


def _differences(counts: Sequence[int]) -> Iterator[int]:
    return (before - after for before, after in zip(counts, (*counts[1:], 0), strict=True))


def _demographics(attrition: Attrition, row: int, name: str) -> Mapping[str, int]:
    return (attrition.steps[row] if row >= 0 else attrition).demographics.get(name, {})


def _rank(value: str) -> tuple[bool, int, str]:
    """Order of a trait's values: ages and years by number, the rest by letter, what is missing last."""
    digits = re.match(r"\d+", value)
    return not value, int(digits[0]) if digits else 0, value
