"""How the values of a table's columns are spread over its rows, as anybody may see it: see :class:`Spread`.

Values in order (numbers, years, ages) are told as ranges that hold enough rows each. Of other values a count below the least
one is hidden, and with it the next larger ones, until nobody can work it out who knows how many rows the table has and how
many of them have no value.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.model.column import Column, Table, Type
from pathcurate.model.deidentified import PSEUDONYM_KINDS, age_band, pseudonym_pattern
from pathcurate.model.description import Spread
from pathcurate.model.text import TEXTS

MOST_VALUES = 300
"""Values of a column that are listed, the commonest."""

_MOST_KINDS = 100_000  # of which counts are held at a time; beyond it a column has no spread
_MOST_RANGES = 14
_MOST_YEARS = 40
_DIGITS = 4  # of a number that are looked at, which bounds what is held, and that ranges are cut at
_ENDLESS = 1e300  # what is further off is told as that, and what is nearer to nothing as 0
_CHOICE = 4  # numbers that each hidden count must still be able to be; see disclosure.counts
_UNCOUNTED = {*(pseudonym_pattern(kind) for kind in PSEUDONYM_KINDS), TEXTS["text"].pattern}
_NUMBERS = (Type.INTEGER, Type.FLOAT)


@dataclass(frozen=True, slots=True)
class ColumnSpread:
    """What may be said of a column's values.

    Attributes:
        missing: rows without a value.
        distinct: different values; None where nobody counts them, or where that would narrow a hidden count down.
        spread: see :class:`Spread`; None where nobody counts.
    """

    missing: int
    distinct: int | None = None
    spread: Spread | None = None


def table_spreads(table: Table, data: pa.Table, least: int) -> dict[str, ColumnSpread]:
    """The spread of each column of a table in memory.

    Args:
        table: its declaration.
        data: its rows.
        least: the smallest count that may be shown.
    """
    counted = _counted(table)
    return _told(table, _tallied(table.columns, counted, data.to_batches()), least)


# --- Counting ----------------------------------------------------------------------------------------------------------


def _counted(table: Table) -> frozenset[str]:
    """Names of the columns whose values are counted: not those that tell rows or persons apart, days, lists and texts."""
    return frozenset(
        column.name
        for column in table.columns
        if (column.type in {Type.BOOLEAN, *_NUMBERS} or (column.type is Type.STRING and column.is_closed))
        and column.pattern not in _UNCOUNTED
        and (column.values or column.name not in table.key)
        # Beside its bands the ages would tell what the bands hide.
        and not (column.name == "age" and "age_band" in table)
    )


@dataclass(slots=True)
class _Tally:
    """Counts of one column, while they grow.

    Attributes:
        missing: rows without a value.
        present: rows with one.
        counts: value to rows; a number stands for all that begin with its four digits.
        is_exact: whether all numbers are those that they are counted under.
        is_over: whether there were too many values to count.
    """

    missing: int = 0
    present: int = 0
    counts: Counter[Any] = field(default_factory=Counter)
    is_exact: bool = True
    is_over: bool = False

    def skip(self, values: "pa.Array[Any]") -> None:
        """Count rows without looking at their values."""
        self.missing += values.null_count
        self.present += len(values) - values.null_count

    def add(self, values: "pa.Array[Any]") -> None:
        """Count rows by value."""
        self.skip(values)
        if self.is_over:
            return
        present = values.drop_null()
        are_numbers = pa.types.is_integer(present.type) or pa.types.is_floating(present.type)
        found = pc.value_counts(self._cut(present) if are_numbers else present)
        values_found: list[Any] = found.field("values").to_pylist()
        rows: list[Any] = found.field("counts").to_pylist()
        for value, count in zip(values_found, rows, strict=True):
            self.counts[value] += count
        if len(self.counts) > _MOST_KINDS:
            self.counts.clear()
            self.is_over = True

    def numbers(self) -> Counter[float]:
        """The counts by number, as its digits say it: sums of binary fractions may be a little off."""
        found: Counter[float] = Counter()
        for value, count in self.counts.items():
            found[float(f"{value:.{_DIGITS}g}")] += count
        return found

    def _cut(self, values: "pa.Array[Any]") -> "pa.Array[Any]":
        """Numbers cut down to four digits; what is not finite is left out."""
        numbers = pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        numbers = np.clip(numbers[np.isfinite(numbers)], -_ENDLESS, _ENDLESS)
        numbers = np.where(np.abs(numbers) < 1 / _ENDLESS, 0.0, numbers)
        size = np.abs(numbers)
        unit = 10.0 ** (np.floor(np.log10(np.where(size > 0, size, 1.0))) - (_DIGITS - 1))
        # A decimal number may be stored a little below itself: 0.2498 must not become 0.2497.
        cut = np.floor(np.round(numbers / unit, 6)) * unit
        self.is_exact = self.is_exact and bool(np.allclose(cut, numbers, rtol=1e-9, atol=0.0))
        return pa.array(cut, pa.float64())


def _tallied(columns: Sequence[Column], counted: frozenset[str], batches: Iterable[pa.RecordBatch]) -> dict[str, _Tally]:
    tallies = {column.name: _Tally() for column in columns}
    for batch in batches:
        for name, tally in tallies.items():
            values = batch.column(name)
            if name in counted:
                tally.add(values)
            else:
                tally.skip(values)
    return tallies


# --- Telling -----------------------------------------------------------------------------------------------------------


def _told(table: Table, tallies: Mapping[str, _Tally], least: int) -> dict[str, ColumnSpread]:
    counted = _counted(table)
    return {
        column.name: _column(column, tallies[column.name], least)
        if column.name in counted and not tallies[column.name].is_over
        else ColumnSpread(tallies[column.name].missing)
        for column in table.columns
    }


def _column(column: Column, tally: _Tally, least: int) -> ColumnSpread:
    if column.type in _NUMBERS or column.name == "age_band":
        spread = _hidden(dict(_ranges(column, tally, least)), tally.present, least, in_order=True)
        return ColumnSpread(tally.missing, None, spread)
    named = Counter({_word(value): count for value, count in tally.counts.items()})
    ordered = sorted(named.items(), key=lambda item: (-item[1], item[0]))
    # Nothing but a pattern bounds such codes: a rare one could itself say who it is.
    is_open = bool(column.pattern) and not column.values and not column.vocabulary
    listed = {value: count for value, count in ordered[:MOST_VALUES] if count >= least or not is_open}
    spread = _hidden(listed, tally.present, least, in_order=False)
    hides = spread.others is None or None in spread.counts.values()
    return ColumnSpread(tally.missing, None if hides and len(listed) < len(ordered) else len(ordered), spread)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _hidden(counts: Mapping[str, int], present: int, least: int, *, in_order: bool) -> Spread:
    """Counts with those hidden that may not be seen; what they do not hold of all present rows are the others."""
    others = present - sum(counts.values())
    hides = _to_hide([*counts.values(), others], least)
    shown = {name: None if number in hides else count for number, (name, count) in enumerate(counts.items())}
    if not in_order:  # the hidden ones by name: their order would say something of their counts
        shown = dict(sorted(shown.items(), key=lambda item: (item[1] is None, -(item[1] or 0), item[0])))
    return Spread(shown, None if len(counts) in hides else others)


def _to_hide(counts: Sequence[int], least: int) -> set[int]:
    """Places of the counts to hide, given that their sum is known.

    The small ones, and then the least of the others, until each hidden one can still be at least four numbers, also for
    somebody who knows that the least were taken; all of them if that is not enough.
    """
    small = {number for number, count in enumerate(counts) if 0 < count < least}
    if not small:
        return set()
    large = sorted((number for number, count in enumerate(counts) if count >= least), key=lambda number: counts[number])
    for taken in range(len(large) + 1):
        most = counts[large[taken]] if taken < len(large) else sum(counts)
        bounds = {**dict.fromkeys(small, (1, least - 1)), **dict.fromkeys(large[:taken], (least, most))}
        if _are_open(sum(counts[number] for number in bounds), list(bounds.values())):
            return set(bounds)
    return {*small, *large}


def _are_open(total: int, bounds: Sequence[tuple[int, int]]) -> bool:
    """Whether numbers within these bounds, of this sum, can each be several."""
    lowest, highest = sum(low for low, _ in bounds), sum(high for _, high in bounds)
    return all(
        min(high, total - (lowest - low)) - max(low, total - (highest - high)) >= _CHOICE - 1 for low, high in set(bounds)
    )


# --- Ranges ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Range:
    """Values that are told together.

    Attributes:
        first: what the lowest is called, empty where the range is open.
        last: what the highest is called, likewise.
        rows: that have one.
    """

    first: str
    last: str
    rows: int

    @property
    def label(self) -> str:
        return self.first if self.first and self.first == self.last else f"{self.first} … {self.last}".strip()


def _ranges(column: Column, tally: _Tally, least: int) -> Iterator[tuple[str, int]]:
    """What a range is called, and its rows, in order; none has fewer than ``least`` unless all have."""
    counts = tally.counts if column.name == "age_band" else tally.numbers()
    if column.name in {"age", "age_band"}:
        parts = _bands(counts)
    elif tally.is_exact and len(counts) <= (_MOST_YEARS if column.name.endswith("year") else _MOST_RANGES):
        parts = [_Range(_number(value), _number(value), counts[value]) for value in sorted(counts)]
    else:
        parts = _steps(counts, is_whole=column.type is Type.INTEGER)
    for merged in _merged(parts, least):
        yield merged.label, merged.rows


def _bands(counts: Mapping[Any, int]) -> list[_Range]:
    """Bands of age in order; of ages those of ten years."""
    found: Counter[str] = Counter()
    for value, count in counts.items():
        found[value if isinstance(value, str) else age_band(int(value), 10) or "<0"] += count
    return [_Range(band, band, found[band]) for band in sorted(found, key=_first_age)]


def _first_age(band: str) -> int:
    return int(band.partition("-")[0].strip("+<"))


def _steps(counts: Mapping[float, int], *, is_whole: bool) -> list[_Range]:
    """Ranges of equal width that most numbers lie in, and one on each side for the others."""
    ordered, rows = sorted(counts), sum(counts.values())
    low, high = _reached(ordered, counts, rows * 0.01), _reached(ordered, counts, rows * 0.99)
    finest = 10.0 ** (math.floor(math.log10(max(abs(low), abs(high), 1e-300))) - (_DIGITS - 1))
    width = _round_width((high - low) / (_MOST_RANGES - 2), max(finest, 1.0) if is_whole else finest)
    first, last = _place(low, width), _place(high, width)
    found: Counter[int] = Counter()
    for value, count in counts.items():
        found[min(max(_place(value, width), first - 1), last + 1)] += count
    parts = [_Range(*_ends(place, width, is_whole=is_whole), found[place]) for place in range(first, last + 1)]
    before, after = found[first - 1], found[last + 1]
    lower = [_Range("", _ends(first - 1, width, is_whole=is_whole)[1], before)] if before else []
    upper = [_Range(_ends(last + 1, width, is_whole=is_whole)[0], "", after)] if after else []
    return [*lower, *parts, *upper]


def _reached(ordered: Sequence[float], counts: Mapping[float, int], rows: float) -> float:
    """The number that so many rows lie below, or are."""
    below = 0
    for value in ordered:
        below += counts[value]
        if below > rows:
            return value
    return ordered[-1]


def _round_width(width: float, finest: float) -> float:
    """The next 1, 2 or 5 times a power of ten."""
    if width <= finest:
        return finest
    power = 10.0 ** math.floor(math.log10(width))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= width * (1 - 1e-9))


def _place(value: float, width: float) -> int:
    return math.floor(value / width + 1e-9)


def _ends(place: int, width: float, *, is_whole: bool) -> tuple[str, str]:
    """What the ends of a range are called: of whole numbers its last, of others where the next begins."""
    low, high = place * width, (place + 1) * width
    return _number(low), _number(high - 1 if is_whole else high)


def _number(value: float) -> str:
    text = f"{value:.12g}"
    return text if "e" not in text else f"{value:.4g}"


def _merged(parts: Iterable[_Range], least: int) -> list[_Range]:
    """Neighbours taken together until each that has rows has enough."""
    found: list[_Range] = []
    for part in parts:
        found.append(part)
        while len(found) > 1 and any(0 < one.rows < least for one in found[-2:]):
            after, before = found.pop(), found.pop()
            found.append(_Range(before.first, after.last, before.rows + after.rows))
    return found
