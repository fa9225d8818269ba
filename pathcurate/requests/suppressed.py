"""The attrition of a cohort so that somebody may read it who may not see the data: no count below ten can be worked out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pathcurate.disclosure.counts import WITHHELD, suppress
from pathcurate.model.attrition import Attrition

_LEVELS = ("slides", "cases", "patients")


def suppressed(attrition: Attrition) -> dict[str, Any]:
    """The attrition as plain JSON values, with the small counts hidden.

    What leaves at a step is hidden on all levels if on one of them it is small: twelve slides may be those of one patient.
    What remains after a step is shown where it follows from what is shown, and nowhere else. How many fell for a missing
    value is left out: nothing says of how many patients they are.

    Args:
        attrition: of the cohort, exact.
    """
    left = {level: [getattr(step.remaining, level) for step in attrition.steps] for level in _LEVELS}
    start = {level: getattr(attrition.start, level) for level in _LEVELS}
    parts = {level: _parts(start[level], left[level]) for level in _LEVELS}
    hidden = _hidden(parts)
    is_told = not any(any(counts) and _is_all_hidden(counts, hidden) for counts in parts.values())
    shown = {level: _shown(left[level], hidden, is_told=is_told) for level in _LEVELS}
    unit = f"{attrition.unit}s"
    steps = [
        {
            "id": step.id, "label": step.label, "level": step.level, "kind": step.kind,
            "dropped": WITHHELD if number in hidden else parts[unit][number],
            "remaining": {level: shown[level][number] for level in _LEVELS},
        }
        for number, step in enumerate(attrition.steps)
    ]  # fmt: skip
    return {
        "unit": attrition.unit,
        "start": asdict(attrition.start) if is_told else dict.fromkeys(_LEVELS, WITHHELD),
        "steps": steps,
    }


def _parts(start: int, left: Sequence[int]) -> list[int]:
    """How many left at each step, and how many stayed; together they are all that there were."""
    return [before - after for before, after in zip((start, *left), left, strict=False)] + [left[-1] if left else start]


def _hidden(parts: Mapping[str, Sequence[int]]) -> set[int]:
    """Places of the parts that are hidden on every level.

    A part that another level hides is one more unknown for whoever adds up: on no level does that narrow another one down.
    """
    found: set[int] = set()
    for counts in parts.values():
        told = suppress({str(place): count for place, count in enumerate(counts)})
        found.update(int(place) for place, count in told.items() if isinstance(count, str))
    return found


def _is_all_hidden(counts: Sequence[int], hidden: set[int]) -> bool:
    """Whether nothing of a level is shown but zeros: then its sum is as small as its parts."""
    return all(place in hidden or not count for place, count in enumerate(counts))


def _shown(left: Sequence[int], hidden: set[int], *, is_told: bool) -> list[int | str]:
    """What remains after each step; it is told if no hidden part lies before it, or none behind it."""
    first, last = min(hidden, default=len(left) + 1), max(hidden, default=-1)
    return [
        count if is_told and (number < first or number >= last) else WITHHELD for number, count in enumerate(left)
    ]  # fmt: skip
