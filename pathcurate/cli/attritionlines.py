"""An attrition as people read it in a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from pathcurate.cli.language import said, word
from pathcurate.cli.session import counted
from pathcurate.terminaltext import width


def attrition_lines(attrition: Mapping[str, Any]) -> Iterator[str]:
    """An attrition as it may be shown, for people."""
    from pathcurate.model.attrition import UNIT_LEVEL

    levels = [level for level in ("slides", "series", "events", "cases", "patients") if level in attrition["levels"]]
    heads = [*levels, "dropped", "missing"]
    yield " ".join(_right(word(head), 11 if head == "dropped" else 9) for head in heads) + f"  {word('step')}"
    every = said(f"all {UNIT_LEVEL[attrition['unit']]}")
    yield f"{_counts(attrition['start'], levels)}   {'':>9} {'':>9}  {every}"
    for step in attrition["steps"]:
        # A label is the recipe's own words, but for those of the steps that every recipe has.
        name = f"{word('not ') if step['kind'] == 'exclude' else ''}{said(step['label'])}"
        if step["together"] > 1:
            name += said(f" (with the {counted(step['together'] - 1, 'step')} before)")
        dropped, missing = _number(step["dropped"]), _number(step["dropped_missing"])
        yield f"{_counts(step['remaining'], levels)}   {_right(dropped, 9)} {_right(missing, 9)}  {name}"


def _counts(counts: Mapping[str, Any], levels: list[str]) -> str:
    return " ".join(_right(_number(counts.get(level, "")), 9) for level in levels)


def _number(count: object) -> str:
    return f"{count:,}" if isinstance(count, int) else word(str(count))


def _right(text: str, columns: int) -> str:
    return " " * (columns - width(text)) + text
