"""An attrition as people read it in a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.cli.session import counted


def attrition_lines(attrition: Mapping[str, Any]) -> Iterator[str]:
    """An attrition as it may be shown, for people."""
    from pathcurate.model.attrition import UNIT_LEVEL

    levels = [level for level in ("slides", "series", "events", "cases", "patients") if level in attrition["levels"]]
    yield " ".join(f"{level:>9}" for level in levels) + f"   {'dropped':>9} {'missing':>9}  step"
    yield f"{_counts(attrition['start'], levels)}   {'':>9} {'':>9}  all {UNIT_LEVEL[attrition['unit']]}"
    for step in attrition["steps"]:
        name = f"{'not ' if step['kind'] == 'exclude' else ''}{step['label']}"
        if step["together"] > 1:
            name += f" (with the {counted(step['together'] - 1, 'step')} before)"
        dropped, missing = _number(step["dropped"]), _number(step["dropped_missing"])
        yield f"{_counts(step['remaining'], levels)}   {dropped:>9} {missing:>9}  {name}"


def _counts(counts: Mapping[str, Any], levels: list[str]) -> str:
    return " ".join(f"{_number(counts.get(level, '')):>9}" for level in levels)


def _number(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else str(count)
