"""Attrition: how many remain after each step, on every level, and which step each of the others failed first (the ledger).

:class:`Attrition` is exact and for the curator alone; :class:`ShownAttrition` is what everybody else may see of it
(``disclosure.attrition`` makes it), and what files outside the vault hold.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import VIEWS
from pathcurate.model.recipe.levels import LEVEL_KEYS

KEPT = "kept"
CURATORS_FILES = frozenset({
    "ledger.parquet", "labels.parquet", "attrition.exact.json", "differences.parquet", "previous",
})  # fmt: skip
"""What of a cohort tells true values or exact counts: for the curator alone."""
COHORT_FILE = "cohort.json"
"""Where a cohort's facts are: recipe, inputs, attrition, split."""
WITHHELD = "withheld"
"""Stands for a number that is not told: it is small, or a small one could be worked out from it. One word for both, because
which of them it is would narrow the number down."""
LEVELS: Mapping[str, tuple[str, ...]] = {
    "slide": ("slides", "blocks", "specimens", "cases", "patients"),
    "case": ("slides", "cases", "patients"),
    "patient": ("slides", "cases", "patients"),
    "series": ("series", "cases", "patients"),
    "event": ("events", "patients"),
}
"""What is counted of each unit, the finest first."""
UNIT_LEVEL = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series", "event": "events"}
"""The level that counts the units themselves."""
TRAITS = ("sex", "age_band", "site", "year")
"""By what patients are counted along the attrition."""

Demographics = Mapping[str, Mapping[str, int]]
"""Trait to value to patients; every patient has one value of each, and ``""`` stands for a missing one."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are, on each level; None on a level that is not counted."""

    slides: int
    cases: int
    patients: int
    specimens: int | None = None
    blocks: int | None = None
    series: int | None = None
    events: int | None = None

    def of(self, level: str) -> int:
        """The number on a level, 0 on one that is not counted."""
        number: int | None = getattr(self, level)
        return number or 0

    def as_dict(self) -> dict[str, int]:
        """Of the levels that are counted."""
        return {level: number for level, number in asdict(self).items() if number is not None}


@dataclass(frozen=True, slots=True)
class Touched:
    """Patients behind units, whether or not other units of theirs remain: five hundred slides may be those of one.

    A unit without a patient counts like one of a patient of its own.

    Attributes:
        dropped: those of whom a unit failed this step first.
        missing: those of whom one failed it first for a missing value.
        known: those of whom one failed it first, and not for a missing value.
        gained: those of whom a unit fails no other step.
    """

    dropped: int
    missing: int
    known: int
    gained: int


@dataclass(frozen=True, slots=True)
class AttritionStep:
    """One step.

    Attributes:
        id: of the criterion, or ``permission``, ``readable``, ``linked``, ``label_NAME``, ``sample_...``.
        label: for people.
        level: what the criterion is about.
        kind: ``permission``, ``built_in``, ``include``, ``exclude``, ``label`` or ``sample``.
        dropped: units that failed this step first.
        dropped_missing: of these, units that failed for a missing value.
        remaining: what is left after it.
        gained: what would meet all criteria besides, were this step left out; None where that is not counted.
        touched: the patients behind these numbers; None where that is not counted.
        demographics: patients that remain, by trait.
    """

    id: str
    label: str
    level: str
    kind: str
    dropped: int
    dropped_missing: int
    remaining: Counts
    gained: Counts | None = None
    touched: Touched | None = None
    demographics: Demographics = field(default_factory=dict)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`Attrition.as_dict` gave."""
        gained, touched = content.get("gained"), content.get("touched")
        parts = {
            "remaining": Counts(**content["remaining"]),
            "gained": Counts(**gained) if gained else None,
            "touched": Touched(**touched) if touched else None,
        }
        return cls(**{**content, **parts})

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        gained = self.gained.as_dict() if self.gained else None
        return {**asdict(self), "remaining": self.remaining.as_dict(), "gained": gained}


@dataclass(frozen=True, slots=True)
class Attrition:
    """The exact table of one cohort.

    Attributes:
        unit: what the cohort counts.
        start: what there was before the first step.
        steps: in the order in which they ran.
        demographics: patients at the start, by trait.
        is_reordered: whether this is another order than the recipe's; only the recipe's is ever shown.
    """

    unit: str
    start: Counts
    steps: tuple[AttritionStep, ...]
    demographics: Demographics = field(default_factory=dict)
    is_reordered: bool = False

    @property
    def kept(self) -> Counts:
        """What is left in the end."""
        return self.steps[-1].remaining if self.steps else self.start

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that are counted, the finest first."""
        return tuple(level for level in LEVELS[self.unit] if getattr(self.start, level) is not None)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`as_dict` gave."""
        parts = {
            "start": Counts(**content["start"]),
            "steps": tuple(AttritionStep.from_dict(step) for step in content["steps"]),
        }
        return cls(**{**content, **parts})

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "unit": self.unit, "start": self.start.as_dict(), "steps": [step.as_dict() for step in self.steps],
            "demographics": {trait: dict(counts) for trait, counts in self.demographics.items()},
            "is_reordered": self.is_reordered,
        }  # fmt: skip


# --- What may be seen of it --------------------------------------------------------------------------------------------

Shown = int | str
"""A rounded number, or :data:`WITHHELD`."""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step, as it may be seen; see :class:`AttritionStep`.

    Attributes:
        id: of the step.
        label: for people.
        level: what the criterion is about.
        kind: as in :class:`AttritionStep`.
        dropped: units that failed this step first, or those of several steps together.
        together: how many steps, up to this one, that is the sum of.
        dropped_missing: units that failed for a missing value.
        remaining: what is left after it, by level.
        gained: what would meet all criteria besides, were this step left out, by level; empty where that is not counted.
    """

    id: str
    label: str
    level: str
    kind: str
    dropped: Shown
    together: int
    dropped_missing: Shown
    remaining: Mapping[str, Shown]
    gained: Mapping[str, Shown]


@dataclass(frozen=True, slots=True)
class ShownTrait:
    """Patients by one trait, along the attrition.

    Attributes:
        trait: one of :data:`TRAITS`.
        groups: first and last value of each group of neighbouring values; ``""`` is a missing value.
        after: the steps after which they are counted, by number; -1 is the start.
        patients: for each of these the patients of each group.
    """

    trait: str
    groups: tuple[tuple[str, str], ...]
    after: tuple[int, ...]
    patients: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ShownAttrition:
    """What may be seen of an attrition.

    Attributes:
        unit: what the cohort counts.
        levels: that are counted, the finest first.
        start: what there was before the first step, by level.
        steps: in the order of the recipe.
        traits: patients by trait along the steps.
        min_cell: no number below it is told; 0 where all are told.
        round_to: the numbers are multiples of it.
    """

    unit: str
    levels: tuple[str, ...]
    start: Mapping[str, Shown]
    steps: tuple[ShownStep, ...]
    traits: tuple[ShownTrait, ...]
    min_cell: int
    round_to: int

    @property
    def kept(self) -> Mapping[str, Shown]:
        """What is left in the end, by level."""
        return self.steps[-1].remaining if self.steps else self.start

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`as_dict` gave, also if it went through JSON."""
        parts = {
            "levels": tuple(content["levels"]),
            "steps": tuple(ShownStep(**step) for step in content["steps"]),
            "traits": tuple(
                ShownTrait(
                    trait["trait"],
                    tuple((first, last) for first, last in trait["groups"]),
                    tuple(trait["after"]),
                    tuple(tuple(row) for row in trait["patients"]),
                )
                for trait in content["traits"]
            ),
        }
        return cls(**{**content, **parts})

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def ledger_table(unit: str) -> Table:
    """The declaration of a cohort's ledger: one row per unit that was looked at. It tells true values."""
    view = VIEWS[UNIT_LEVEL[unit]]
    key = LEVEL_KEYS[unit][0]
    keys = [name for name in dict.fromkeys((key, "case_id", "patient_id")) if name in view]
    return Table(
        name="ledger",
        row=f"one {unit} that was looked at, and the first step it failed",
        key=(key,),
        columns=(
            *(view[name] for name in keys),
            Column("step", Type.STRING, f"Step that it failed first, `{KEPT}` if none.", pattern=r"[a-z0-9_]{1,80}",
                   required=True),
            Column("step_number", Type.INTEGER, "Number of that step, 0 for the permission; missing if none."),
            Column("missing", Type.BOOLEAN, "Whether it failed for a missing value.", required=True),
            Column("failed", Type.INTEGER, "Steps that it fails: bit n is step n; labels and sample are not among them.",
                   required=True),
            Column("missing_mask", Type.INTEGER, "Steps that a missing value decided, likewise.", required=True),
        ),
    )  # fmt: skip
