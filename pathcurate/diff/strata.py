"""How the units are spread over sites, years, stains and the like, before and after, as anybody may see it."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.diff import Share, Stratum

TRAITS = ("site", "stain", "scanner_model", "vendor", "sex", "age_band", "age", "organ", "modality", "kind")
"""Columns, beside years and labels, by which a buyer asks what has shifted."""
_MOST_VALUES = 40
_AGES = 10
_CHOICE = 4
LEAST_CELL = 10


def is_stratum(name: str, kind: pa.DataType, labels: Iterable[str]) -> bool:
    """Whether the spread of a column is told: it is one of closed sets, and not of dates, codes or words."""
    if pa.types.is_string(kind):
        return name in TRAITS or name in labels
    if pa.types.is_integer(kind):
        return name == "age" or name.endswith("year")
    return pa.types.is_boolean(kind) and name in labels


def label_columns(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that a recipe's labels make, for all levels."""
    names = [label.get("name") for label in recipe.get("labels") or () if isinstance(label, Mapping)]
    parts = itertools.product(("", "case_", "patient_"), names, ("", "_days", "_event"))
    return tuple("".join(map(str, part)) for part in parts)


def least_cell(*recipes: Mapping[str, Any]) -> int:
    """The least count that both recipes show."""
    asked = [(recipe.get("disclosure") or {}).get("min_cell") for recipe in recipes]
    return max([LEAST_CELL, *(cell for cell in asked if isinstance(cell, int))])


def stratum(name: str, old: "pa.ChunkedArray[Any]", new: "pa.ChunkedArray[Any]", cell: int) -> Stratum:
    """How the rows of two versions are spread over a column's values.

    A count is told as a multiple of ``cell``: that of few rows, and what came or went where few did, can so be worked out
    neither from the other values and the whole nor from the other version. Values that have few rows in a version that has
    them are put together with others, as are those beyond the most frequent.
    """
    before, after = (_counts(name, column) for column in (old, new))
    totals = before.total(), after.total()
    few = {value for value in {*before, *after} if any(0 < side[value] < cell for side in (before, after))}
    order = sorted({*before, *after}, key=lambda value: (-max(before[value], after[value]), value is None, str(value)))
    shown = [value for value in order if value not in few][:_MOST_VALUES]
    if len(order) - len(shown) == 1 and len(shown) > 1:
        shown.pop()  # the whole would tell of a single one
    while shown and any(_tells(side, shown, cell) for side in (before, after)):
        shown.pop()
    rest = [side.total() - sum(side[value] for value in shown) for side in (before, after)]
    if name.startswith("age") or name.endswith("year"):
        shown.sort(key=_first_number)
    shares = [Share(_words(value), *(_rounded(side[value], cell) for side in (before, after))) for value in shown]
    others = Share("", *(None if 0 < count < cell else _rounded(count, cell) for count in rest)) if any(rest) else None
    return Stratum(name, totals, tuple(shares), len(order) - len(shown), others)


def _tells(side: Counter[Any], shown: list[Any], cell: int) -> bool:
    """Whether the whole and the rounded counts leave less than four numbers for a few rows that are not told."""
    rest = side.total() - sum(side[value] for value in shown)
    if not 0 < rest < cell:
        return False
    told = [_rounded(side[value], cell) for value in shown if side[value]]
    most = sum(count + (cell - 1) // 2 for count in told)
    least = sum(max(cell, count - cell // 2) for count in told)
    return min(cell - 1, side.total() - least) - max(1, side.total() - most) < _CHOICE - 1


def _counts(name: str, column: "pa.ChunkedArray[Any]") -> Counter[Any]:
    if name == "age":
        tens = pc.multiply(pc.divide(column, pa.scalar(_AGES, column.type)), pa.scalar(_AGES, column.type))
        ages = {None if value is None else f"{value}-{value + _AGES - 1}": n for value, n in _tally(tens).items()}
        return Counter(ages)
    return _tally(column)


def _tally(column: "pa.ChunkedArray[Any]") -> Counter[Any]:
    pairs: Any = pc.value_counts(column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column)
    counts: Counter[Any] = Counter()
    for value, count in zip(pairs.field("values").to_pylist(), pairs.field("counts").to_pylist(), strict=True):
        counts[value] += count
    return counts


def _first_number(value: object) -> float:
    """Where a year or a band of ages stands among others; a missing one is the last."""
    digits = "".join(itertools.takewhile(str.isdecimal, str(value)))
    return int(digits) if digits.isascii() and digits else math.inf


def _words(value: object) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rounded(count: int, cell: int) -> int:
    return (count + cell // 2) // cell * cell
