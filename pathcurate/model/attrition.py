"""Attrition: how many units remain after each step, and which step each of the others failed first (the ledger)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import UNIT_KEYS, UNIT_TABLES, VIEWS

KEPT = "kept"
COHORT_FILE = "cohort.json"
"""Where a cohort's facts are: recipe, inputs, attrition, split."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many there are, on each level."""

    slides: int
    cases: int
    patients: int


@dataclass(frozen=True, slots=True)
class AttritionStep:
    """One step.

    Attributes:
        id: of the criterion, or ``permission``, ``readable``, ``linked``.
        label: for people.
        level: ``slide``, ``case`` or ``patient``: what the criterion is about.
        kind: ``permission``, ``built_in``, ``include`` or ``exclude``.
        dropped: units that failed this step first.
        dropped_missing: of these, units that failed for a missing value.
        remaining: what is left after it.
    """

    id: str
    label: str
    level: str
    kind: str
    dropped: int
    dropped_missing: int
    remaining: Counts


@dataclass(frozen=True, slots=True)
class Attrition:
    """The sequential table of one cohort.

    Attributes:
        unit: what the cohort counts.
        start: what there was before the first step.
        steps: in the order in which they ran.
    """

    unit: str
    start: Counts
    steps: tuple[AttritionStep, ...]

    @property
    def kept(self) -> Counts:
        """What is left in the end."""
        return self.steps[-1].remaining if self.steps else self.start

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """From what :meth:`as_dict` gave."""
        steps = tuple(AttritionStep(**{**step, "remaining": Counts(**step["remaining"])}) for step in content["steps"])
        return cls(content["unit"], Counts(**content["start"]), steps)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def ledger_table(unit: str) -> Table:
    """The declaration of a cohort's ledger: one row per unit that was looked at."""
    view = VIEWS[UNIT_TABLES[unit]]
    key = UNIT_KEYS[unit]
    keys = [name for name in dict.fromkeys((key, "case_id", "patient_id")) if name in view]
    return Table(
        name="ledger",
        row=f"one {unit} that was looked at, and the first step it failed",
        key=(key,),
        columns=(
            *(view[name] for name in keys),
            Column("step", Type.STRING, f"Step that it failed first, `{KEPT}` if none.", pattern=r"[a-z0-9_]{1,64}",
                   required=True),
            Column("step_number", Type.INTEGER, "Number of that step, 0 for the permission; missing if none."),
            Column("missing", Type.BOOLEAN, "Whether it failed for a missing value.", required=True),
        ),
    )  # fmt: skip
