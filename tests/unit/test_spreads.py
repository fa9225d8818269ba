"""How values are spread: every row is counted, no small count is shown, and none can be worked out from what is."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.model.column import Column, Identifying, Table, Type
from pathcurate.model.deidentified import SLIDES_DEID
from pathcurate.model.description import Spread
from pathcurate.model.text import TEXTS
from pathcurate.spreads import MOST_VALUES, ColumnSpread, table_spreads
from pathcurate.tables import conform

LEAST = 10
TABLE = Table(
    name="things",
    row="one thing",
    key=("thing_id",),
    columns=(
        Column("thing_id", Type.STRING, "Which.", pattern=r"S-[0-9A-HJKMNP-TV-Z]{16}"),
        Column("colour", Type.STRING, "A closed set.", values=tuple("abcdefgh")),
        Column("code", Type.STRING, "Bounded by a pattern alone.", pattern=r"[A-Z]\d{2}"),
        Column("is_good", Type.BOOLEAN, "Yes or no."),
        Column("size", Type.INTEGER, "A whole number."),
        Column("scan_year", Type.INTEGER, "A year.", Identifying.QUASI),
        Column("age", Type.INTEGER, "In years.", Identifying.QUASI),
        Column("mpp", Type.FLOAT, "A number."),
        Column("day", Type.DATE, "A day.", Identifying.QUASI),
        Column("steps", Type.FLOATS, "A list."),
    ),
)


def told(name: str, values: Sequence[object], least: int = LEAST) -> ColumnSpread:
    """What is told of one column with these values."""
    table = TABLE.select([name])
    return table_spreads(table, conform(table, pa.table({name: values})), least)[name]


def spread_of(name: str, values: Sequence[object], least: int = LEAST) -> Spread:
    spread = told(name, values, least).spread
    assert spread is not None
    return spread


def test_values_come_by_size_and_what_is_missing_is_counted() -> None:
    found = told("colour", ["b"] * 30 + ["a"] * 40 + [None] * 3)
    assert found == ColumnSpread(3, 2, Spread({"a": 40, "b": 30}, 0))
    assert list(spread_of("colour", ["b"] * 30 + ["a"] * 40).counts) == ["a", "b"]
    assert spread_of("is_good", [True] * 20 + [False] * 12).counts == {"true": 20, "false": 12}


def test_a_small_count_takes_the_next_one_with_it() -> None:
    found = spread_of("colour", ["a"] * 100 + ["b"] * 40 + ["c"] * 30 + ["d"] * 3)
    assert found.counts == {"a": 100, "b": 40, "c": None, "d": None}
    assert list(found.counts) == ["a", "b", "c", "d"], "the hidden ones by name"


def test_two_single_rows_do_not_tell_each_other() -> None:
    assert spread_of("colour", ["a"] * 100 + ["b"] + ["c"]).counts == {"a": None, "b": None, "c": None}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=5), st.integers(10, 20))
def test_no_hidden_count_can_be_worked_out(counts: list[int], least: int) -> None:
    names = "abcdefgh"[: len(counts)]
    spread = spread_of("colour", [name for name, count in zip(names, counts, strict=True) for _ in range(count)], least)
    true = {name: count for name, count in zip(names, counts, strict=True) if count}
    assert spread.others == 0
    assert set(spread.counts) == set(true)
    shown = {name: count for name, count in spread.counts.items() if count is not None}
    assert shown == {name: true[name] for name in shown}
    assert all(count >= least for count in shown.values())
    hidden = sorted(set(true) - set(shown))
    if any(count < least for count in true.values()):
        assert any(true[name] < least for name in hidden)
    else:
        assert hidden == []
    if hidden and shown:
        # Whoever knows the number of rows and that the least counts were hidden: what may each of them be?
        rest, most = sum(true[name] for name in hidden), min(shown.values())
        small = sum(true[name] < least for name in hidden)
        may_be = [
            numbers for numbers in _sums(rest, len(hidden), most)
            if sum(number < least for number in numbers) == small
        ]  # fmt: skip
        for place in range(len(hidden)):
            assert len({numbers[place] for numbers in may_be}) >= 4


def _sums(total: int, parts: int, most: int) -> list[tuple[int, ...]]:
    """All ways to write a number as a sum of so many parts from 1 to ``most``."""
    if parts == 1:
        return [(total,)] if 1 <= total <= most else []
    return [(first, *more) for first in range(1, min(most, total) + 1) for more in _sums(total - first, parts - 1, most)]


def test_a_rare_code_is_not_named() -> None:
    values = ["C50"] * 50 + ["C34"] * 30 + ["Q99"] * 2 + [f"Z{n:02d}" for n in range(30)]
    found = told("code", values)
    assert found.spread == Spread({"C50": 50, "C34": 30}, 32)
    assert found.distinct == 33
    few = told("code", ["C50"] * 50 + ["C34"] * 30 + ["Q99"] * 2)
    assert few.spread == Spread({"C50": 50, "C34": None}, None)
    assert few.distinct is None, "how many others there are would narrow them down"


def test_many_values_are_listed_up_to_a_limit() -> None:
    values = [f"{chr(65 + n // 100)}{n % 100:02d}" for n in range(400) for _ in range(20)]
    found = told("code", values)
    assert found.spread is not None
    assert (len(found.spread.counts), found.spread.others, found.distinct) == (MOST_VALUES, 100 * 20, 400)


# --- Numbers -----------------------------------------------------------------------------------------------------------


def test_few_numbers_are_told_one_by_one_and_small_ones_with_their_neighbours() -> None:
    assert spread_of("mpp", [0.2498] * 20 + [0.5015] * 30).counts == {"0.2498": 20, "0.5015": 30}
    assert spread_of("size", [3] * 20 + [4] * 2 + [7] * 30).counts == {"3 … 4": 22, "7": 30}
    assert spread_of("size", [3] * 2 + [4] * 20 + [9] * 2).counts == {"3 … 9": 24}


def test_years_stay_years() -> None:
    values = [year for year in range(1990, 2026) for _ in range(11)] + [1980]
    counts = spread_of("scan_year", values).counts
    assert next(iter(counts.items())) == ("1980 … 1990", 12)
    assert list(counts)[1:3] == ["1991", "1992"]
    assert len(counts) == 36


def test_ages_come_in_bands_with_the_oldest_together() -> None:
    assert spread_of("age", [34] * 20 + [61] * 20 + [68] * 10 + [90] * 11).counts == {
        "30-39": 20, "60-69": 30, "90+": 11,
    }  # fmt: skip
    assert spread_of("age", [34] * 20 + [61] * 20 + [90] * 2).counts == {"30-39": 20, "60-69 … 90+": 22}


def test_beside_age_bands_ages_are_not_counted_and_bands_stay_in_order() -> None:
    table = SLIDES_DEID.select(["age", "age_band"])
    data = conform(table, pa.table({"age": [5] * 12 + [34] * 40, "age_band": ["5-9"] * 12 + ["30-34"] * 40}))
    found = table_spreads(table, data, LEAST)
    assert found["age"] == ColumnSpread(0)
    assert found["age_band"].spread == Spread({"5-9": 12, "30-34": 40}, 0)
    assert list(found["age_band"].spread.counts) == ["5-9", "30-34"]


def test_one_number_far_off_does_not_flatten_the_others() -> None:
    counts = spread_of("size", [*range(1000, 3000), *[10**12] * 15]).counts
    assert list(counts)[:2] == ["1000 … 1199", "1200 … 1399"]
    assert list(counts.items())[-1] == ("3000 …", 15)
    assert sum(count or 0 for count in counts.values()) == 2015


numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7e308, -1.7e308, 0.1 + 0.2, 1e-7, 999999.5, math.pi]),
    st.floats(-5, 5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), numbers), max_size=60), st.integers(1, 5))
def test_every_number_is_in_one_range(values: list[float | None], times: int) -> None:
    found = told("mpp", [value for value in values for _ in range(times * 4)])
    assert found.spread is not None
    present = [value for value in values if value is not None for _ in range(times * 4)]
    assert found.missing == len(values) * times * 4 - len(present)
    shown = [count for count in found.spread.counts.values() if count is not None]
    assert all(count == 0 or count >= LEAST for count in shown)
    if None not in found.spread.counts.values() and found.spread.others is not None:
        assert sum(shown) == sum(math.isfinite(value) for value in present)
        assert found.spread.others == len(present) - sum(shown)
    assert len(found.spread.counts) <= 16


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-300, 300), min_size=1, max_size=40))
def test_ranges_of_whole_numbers_hold_what_they_say(values: list[int]) -> None:
    counts = spread_of("size", [value for value in values for _ in range(LEAST)]).counts
    assert sum(count or 0 for count in counts.values()) == len(values) * LEAST
    if all(abs(value) <= 300 for value in values):
        for label, count in counts.items():
            first, _, last = label.partition(" …") if "…" in label else (label, "", label)
            low = float(first.removesuffix("…") or "-inf")
            high = float(last or "inf")
            assert count == LEAST * sum(low <= value <= high for value in values)


# --- Layout -------------------------------------------------------------------------------------------------------------


def made(rows: int) -> pa.Table:
    """Rows of every kind of column, with missing values."""
    numbers = range(rows)
    cells: dict[str, list[Any]] = {
        "thing_id": [f"S-{n:016d}" for n in numbers],
        "colour": ["abc"[n % 3] if n % 7 else None for n in numbers],
        "code": [f"C{n % 40:02d}" for n in numbers],
        "is_good": [n % 2 == 0 if n % 5 else None for n in numbers],
        "size": [n * 37 % 5000 for n in numbers],
        "scan_year": [2010 + n % 12 for n in numbers],
        "age": [n % 91 for n in numbers],
        "mpp": [0.25 + n % 9 / 1000 if n % 11 else None for n in numbers],
        "day": [None] * rows,
        "steps": [[1.0, None] if n % 4 else None for n in numbers],
    }
    return conform(TABLE, pa.table(cells))


def test_pieces_change_nothing() -> None:
    whole = made(3000)
    pieces = [whole.slice(start, rows) for start, rows in ((0, 7), (7, 0), (7, 993), (1000, 1700), (2700, 299), (2999, 1))]
    parted = pa.concat_tables(pieces)
    assert parted["size"].num_chunks > 1
    expected = table_spreads(TABLE, whole, LEAST)
    assert table_spreads(TABLE, parted, LEAST) == expected
    assert expected["steps"] == ColumnSpread(750)
    assert expected["day"] == ColumnSpread(3000)
    assert expected["thing_id"] == ColumnSpread(0)
    assert all(expected[name].spread for name in ("colour", "code", "is_good", "size", "scan_year", "age", "mpp"))


def test_of_texts_only_the_missing_are_counted() -> None:
    texts = {"report_id": ["R"] * 30, "language": ["zh"] * 30, "text": ["癌"] * 28 + [None] * 2}
    found = table_spreads(TEXTS, conform(TEXTS, pa.table(texts)), LEAST)
    assert (found["text"], found["language"].spread) == (ColumnSpread(2), Spread({"zh": 30}, 0))


def test_no_rows() -> None:
    assert table_spreads(TABLE, made(0), LEAST)["colour"] == ColumnSpread(0, 0, Spread({}, 0))


def test_the_order_of_rows_changes_nothing() -> None:
    data = made(500)
    order = pa.array([n * 7919 % 500 for n in range(500)])
    assert table_spreads(TABLE, data.take(order), LEAST) == table_spreads(TABLE, data, LEAST)
    assert Counter(order.to_pylist()) == Counter(range(500))
    assert list(itertools.islice(order.to_pylist(), 3)) == [0, 419, 338]
