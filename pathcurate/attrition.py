"""Counts an attrition from the masks of a cohort's units: one view, and one group-by for each level.

The view ``decided`` has one row per unit: its key; ``case_id``, ``patient_id``, ``specimen_no`` and ``block_no`` as far as
the unit has them; ``slide_count``, of patients ``case_count``; ``sex``, ``age_band``, ``site`` and ``year``; and two
numbers, ``failed`` (bit n is set if step n is not passed) and ``missing`` (bit n is set if a missing value decided step n).
Labels and sample come after all of these: the view ``tail`` has the key of each unit that falls there, and ``step``, its
number.

An entity above the unit remains as long as one of its units does, so it falls with the last of them. Whatever the order of
the steps, that is one maximum for each entity: nothing is decided again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pathcurate.model.attrition import LEVELS, TRAITS, UNIT_LEVEL, Attrition, AttritionStep, Counts, Demographics, Touched
from pathcurate.model.recipe.levels import LEVEL_KEYS
from pathcurate.sqlplan.compiler import Step

DECIDED, TAIL = "decided", "tail"
"""The views."""
_ABOVE = {"blocks": "block_no", "specimens": "specimen_no", "cases": "case_id"}
"""Levels above a unit, with the column that names them; patients are counted together with their traits."""
_MASKS = ("lost", "lost_missing", "lost_known", "lost_tail")
# What the patients are grouped by; which of the columns are in a set, ``grouping_id`` tells.
_COLUMNS = ("last", "singles", *_MASKS, *TRAITS)
_SETS = (("last", "singles"), *((mask,) for mask in _MASKS), *(("last", trait) for trait in TRAITS))


class Queries(Protocol):
    """What answers SQL; an engine does."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""


def count_attrition(
    engine: Queries, unit: str, steps: Sequence[Step], *, ordered: int | None = None, order: Sequence[int] | None = None
) -> Attrition:
    """Count what remains of the view ``decided`` after each step, on every level.

    A patient with several values of a trait is counted by the first of them in the order of their letters.

    Args:
        engine: knows the views.
        unit: of the cohort.
        steps: those of the masks in the order of their bits, then those of the view ``tail``.
        ordered: how many are those of the masks; None for all, then no view ``tail`` is read.
        order: numbers of these in the order in which they are to be counted; the permission stays the first.

    Raises:
        ValueError: the order is none of these steps.
        InputOutputError: a query failed.
    """
    criteria = len(steps) if ordered is None else ordered
    numbers = tuple(range(criteria)) if order is None else tuple(order)
    if sorted(numbers) != list(range(criteria)) or (steps and steps[0].kind == "permission" and numbers[0] != 0):
        raise ValueError("the order names each step once, the permission first")
    masks, tally = _Masks(unit, numbers, len(steps)), _Tally(unit, criteria)
    tally.add_units(engine.rows(masks.units()))
    for level in LEVELS[unit]:
        if level in _ABOVE and level != UNIT_LEVEL[unit] and unit != "patient":
            tally.add_entities(level, engine.rows(masks.entities(_ABOVE[level])))
    tally.add_patients(engine.rows(masks.patients()))
    every = [*(steps[number] for number in numbers), *steps[criteria:]]
    return Attrition(
        unit, tally.remaining(0), tuple(tally.step(place, step) for place, step in enumerate(every)), tally.demographics(0),
        is_reordered=numbers != tuple(range(criteria)),
    )  # fmt: skip


# --- The queries -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Masks:
    """The queries: of each unit its place, the number of the first step that it fails in the order that is counted.

    Attributes:
        unit: of the cohort.
        order: numbers of the steps of the masks.
        every: how many steps there are with those that follow.
    """

    unit: str
    order: tuple[int, ...]
    every: int

    def units(self) -> str:
        cases = "sum(u.case_count)" if self.unit == "patient" else "0"
        places = self._places(("patient_id", "slide_count", *(("case_count",) if self.unit == "patient" else ())))
        return (
            "select u.place as place, u.lost_missing <> 0 as is_missing, u.single <> 0 as is_single,"
            " u.patient_id is null as is_nobodys, count(*) as units, sum(u.slide_count) as slides,"
            f" {cases} as cases from {places} as u"
            " group by u.place, u.lost_missing <> 0, u.single <> 0, u.patient_id is null"
        )

    def entities(self, key: str) -> str:
        """Whom the last of its units takes along, at which place, and which steps alone one of its units fails."""
        # Only cases are asked what they would gain: for specimens and blocks that costs more than it tells.
        singles = "bit_or(u.single)" if key == _ABOVE["cases"] else "0"
        return (
            "select e.last as last, e.singles as singles, count(*) as entities"
            f" from (select max(u.place) as last, {singles} as singles from {self._places((key,))} as u"
            f" where u.{key} is not null group by u.{key}) as e"
            " group by e.last, e.singles"
        )

    def patients(self) -> str:
        """Like :meth:`entities`, with the steps at which a unit fell and with traits, in several groupings at once."""
        masks = ", ".join(f"bit_or(u.{mask}) as {mask}" for mask in _MASKS)
        traits = ", ".join(f"min(u.{trait}) as {trait}" for trait in TRAITS)
        people = (
            f"(select u.patient_id, max(u.place) as last, bit_or(u.single) as singles, {masks}, {traits}"
            f" from {self._places(('patient_id', *TRAITS))} as u where u.patient_id is not null group by u.patient_id)"
        )
        columns = ", ".join(f"p.{name}" for name in _COLUMNS)
        sets = ", ".join("(" + ", ".join(f"p.{name}" for name in names) + ")" for names in _SETS)
        return (
            f"select grouping_id({columns}) as grouped, {columns}, count(*) as patients from {people} as p"
            f" group by grouping sets ({sets})"
        )

    def _places(self, columns: Sequence[str]) -> str:
        """One row per unit, as a derived table.

        Beside the columns: ``place``; with the bit of that place ``lost``, and ``lost_missing`` or ``lost_known``, whether
        for a missing value or not, or else ``lost_tail``; ``single``, that bit if the unit fails no other step; each 0 where
        it does not hold.
        """
        first, is_missing = self._first()
        tail_place, tail_bit, join = str(self.every), _bit(), ""
        if self.every > len(self.order):
            key = LEVEL_KEYS[self.unit][0]
            numbers = range(len(self.order), self.every)
            bits = " ".join(f"when t.step = {number} then {_bit(n)}" for n, number in enumerate(numbers))
            tail_place, tail_bit = f"coalesce(t.step, {self.every})", f"case {bits} else {_bit()} end"
            join = f" left join {TAIL} as t on t.{key} = d.{key}"
        named = "".join(f", d.{name} as {name}" for name in columns)
        tail_columns = f", {tail_place} as tail_place, {tail_bit} as tail_bit"
        inner = (
            f"(select d.failed as failed, {first} as first, {is_missing} as is_missing{named}{tail_columns}"
            f" from {DECIDED} as d{join})"
        )
        passed = "".join(f", m.{name} as {name}" for name in columns)
        return (
            "(select case when m.failed = 0 then m.tail_place else bit_count(m.first - 1) end as place, m.first as lost,"
            f" case when m.is_missing then m.first else {_bit()} end as lost_missing,"
            f" case when m.is_missing then {_bit()} else m.first end as lost_known,"
            f" case when m.failed = 0 then m.tail_bit else {_bit()} end as lost_tail,"
            f" case when (m.failed & (m.failed - 1)) = 0 then m.first else {_bit()} end as single{passed}"
            f" from {inner} as m)"
        )

    def _first(self) -> tuple[str, str]:
        """The bit of the first step that a unit fails, 0 if none, and whether a missing value decided that."""
        if self.order == tuple(range(len(self.order))):
            lowest = "(d.failed & (-d.failed))"
            return lowest, f"((d.missing & {lowest}) <> 0)"
        fails = [(f"(d.failed & {2**number}) <> 0", 2**number) for number in self.order]
        bits = " ".join(f"when {fail} then {_bit(place)}" for place, (fail, _) in enumerate(fails))
        missing = " ".join(f"when {fail} then (d.missing & {bit}) <> 0" for fail, bit in fails)
        return f"(case {bits} else {_bit()} end)", f"(case {missing} else false end)"


def _bit(number: int | None = None) -> str:
    return f"cast({0 if number is None else 2**number} as bigint)"


# --- What comes of them ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tally:
    """Sums up what the queries find.

    Attributes:
        unit: of the cohort.
        criteria: how many steps come before the tail.
        fallen: by level and place, who falls there; who is kept has the place behind the last.
        gained: by level and place, who fails no other step.
        missing: by place, the units that fall there for a missing value.
        touched: by what a unit of theirs did and place, patients.
        people: by trait, value and place, patients who fall there.
    """

    unit: str
    criteria: int
    fallen: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    gained: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    missing: Counter[int] = field(default_factory=Counter)
    touched: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    people: defaultdict[str, defaultdict[str, Counter[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )

    def add_units(self, rows: Iterable[tuple[Any, ...]]) -> None:
        for place, is_missing, is_single, is_nobodys, units, slides, cases in rows:
            counts = {"slides": slides or 0, "cases": cases or 0, UNIT_LEVEL[self.unit]: units}
            for level, count in counts.items():
                self.fallen[level][place] += count
                if is_single:
                    self.gained[level][place] += count
            if is_missing:
                self.missing[place] += units
            if is_nobodys:
                # Whose they are nobody knows, so each may be somebody's.
                self._touch(place, units, is_missing=is_missing)
                self.touched["gained"][place] += units * is_single

    def add_entities(self, level: str, rows: Iterable[tuple[Any, ...]]) -> None:
        for last, singles, count in rows:
            self.fallen[level][last] += count
            self._add_gains(level, last, singles, count)

    def add_patients(self, rows: Iterable[tuple[Any, ...]]) -> None:
        kinds = {_grouping(names): names for names in _SETS}
        is_unit = self.unit == "patient"
        for grouped, *columns, count in rows:
            names = kinds[grouped]
            found = dict(zip(_COLUMNS, columns, strict=True))
            if names == ("last", "singles"):
                if not is_unit:
                    self.fallen["patients"][found["last"]] += count
                    self._add_gains("patients", found["last"], found["singles"], count)
                for place in _places_of(found["singles"]):
                    self.touched["gained"][place] += count
            elif names[0] in _MASKS:
                for place in _places_of(found[names[0]]):
                    if names[0] == "lost_tail":
                        self._touch(place + self.criteria, count)
                    else:
                        self.touched[names[0]][place] += count
            else:
                value = found[names[1]]
                self.people[names[1]]["" if value is None else str(value)][found["last"]] += count

    def _touch(self, place: int, people: int, *, is_missing: bool = False) -> None:
        for kind in ("lost", "lost_missing" if is_missing else "lost_known"):
            self.touched[kind][place] += people

    def _add_gains(self, level: str, last: int, singles: int, count: int) -> None:
        if last < self.criteria:
            for place in _places_of(singles):
                self.gained[level][place] += count

    def remaining(self, place: int) -> Counts:
        """What has not fallen before a place."""
        return _counts({level: _from(self.fallen[level], place) for level in LEVELS[self.unit]})

    def demographics(self, place: int) -> Demographics:
        """Patients who have not fallen before a place."""
        return {
            trait: {value: left for value in sorted(values) if (left := _from(values[value], place))}
            for trait in TRAITS
            if (values := self.people[trait])
        }

    def step(self, place: int, step: Step) -> AttritionStep:
        """What there is to say of the step at a place."""
        gains = {level: self.gained[level][place] for level in LEVELS[self.unit] if level not in {"blocks", "specimens"}}
        gained = _counts(gains) if place < self.criteria else None
        touched = Touched(*(self.touched[kind][place] for kind in ("lost", "lost_missing", "lost_known", "gained")))
        return AttritionStep(
            step.id, step.label, step.level, step.kind, self.fallen[UNIT_LEVEL[self.unit]][place], self.missing[place],
            self.remaining(place + 1), gained, touched, self.demographics(place + 1),
        )  # fmt: skip


def _counts(counts: dict[str, int]) -> Counts:
    return Counts(**{"slides": 0, "cases": 0, "patients": 0, **counts})


def _from(counts: Counter[int], place: int) -> int:
    return sum(count for fell, count in counts.items() if fell >= place)


def _grouping(names: Sequence[str]) -> int:
    """What ``grouping_id`` says of a set: a bit for each column that is not in it, the first column the highest."""
    return sum(2**place for place, name in enumerate(reversed(_COLUMNS)) if name not in names)


def _places_of(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
