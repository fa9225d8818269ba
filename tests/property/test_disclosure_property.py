"""Classes of any table: counted as pandas counts them, and made large enough without hiding more than it takes."""

from collections import defaultdict
from fractions import Fraction
from math import floor
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.disclosure.generalisation import Reached, reach
from pathcurate.disclosure.risk import evaluate
from pathcurate.disclosure.standard import read_standard
from pathcurate.errors import DisclosureRefusedError
from pathcurate.model.deidentified import AGE_BANDS, age_band

STANDARD = read_standard()
QUASI = ["age", "sex", "site", "received_year"]
Row = tuple[Any, ...]
rows_of_people = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 90)),
        st.sampled_from(["female", "male", None]),
        st.sampled_from(["NB01", "NB02"]),
        st.sampled_from([2022, 2023, None]),
        st.sampled_from(["breast", "lung", None]),
        st.integers(0, 12),
    ),
    min_size=1,
    max_size=40,
)
shares = st.sampled_from([0.0, 0.05, 0.1, 0.29, 0.5])


def table(rows: list[Row]) -> tuple[pa.Table, "pa.ChunkedArray[Any]"]:
    """Quasi-identifiers and organ, and whose each row is."""
    types = [pa.int64(), pa.string(), pa.string(), pa.int64(), pa.string()]
    columns = [pa.array([row[place] for row in rows], type_) for place, type_ in enumerate(types)]
    owners = pa.chunked_array([pa.array([f"Q-{row[5]}" for row in rows])])
    return pa.Table.from_arrays(columns, names=[*QUASI, "organ"]), owners


def shown_of_rows(reached: Reached, count: int) -> list[Row]:
    """What is shown of each row, kept or not."""
    columns = [reached.columns[name].to_pylist() for name in sorted(reached.columns)]
    return [tuple(column[number] for column in columns) for number in range(count)]


def people_by_class(reached: Reached, rows: list[Row]) -> dict[Row, set[int]]:
    """Persons by what is shown of their rows."""
    found = defaultdict(set)
    for values, row in zip(shown_of_rows(reached, len(rows)), rows, strict=True):
        found[values].add(row[5])
    return found


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows_of_people, st.booleans())
def test_classes_are_those_of_pandas(rows: list[Row], has_owner: bool) -> None:
    data, owners = table(rows)
    figures = evaluate(data, QUASI, ["organ"], owners if has_owner else None, STANDARD, 3)
    # Text, because pandas takes a missing number for NaN; "None" is then a value like others.
    frame = pd.DataFrame([[str(value) for value in row] for row in rows], columns=[*QUASI, "organ", "owner"])
    if not has_owner:
        frame["owner"] = range(len(frame))
    sizes = frame.groupby(QUASI)["owner"].nunique()
    assert (figures.k, figures.classes, figures.persons) == (sizes.min(), len(sizes), frame["owner"].nunique())
    assert figures.highest == pytest.approx((1 / sizes).max())
    assert figures.mean == pytest.approx((1 / sizes).mean())
    assert figures.expected == pytest.approx(len(sizes) / sizes.sum())
    assert (sum(bin_.persons for bin_ in figures.sizes), sum(bin_.classes for bin_ in figures.sizes)) == (
        sizes.sum(),
        len(sizes),
    )
    small = sum(bin_.classes for bin_ in figures.sizes if bin_.least < 3)
    assert small == (sizes < 3).sum()
    organs = frame.groupby(QUASI)["organ"].nunique()
    assert [(told.least, told.alike) for told in figures.diversity] == [(organs.min(), sizes[organs == 1].sum())]
    histories = frame.groupby("owner")[QUASI].apply(lambda part: frozenset(map(tuple, part.to_numpy())))
    assert figures.alone == (histories.value_counts() == 1).sum()
    for risk in figures.risks:
        over = (sizes < {"public": 20, "agreement": 5, "enclave": 3}[risk.sharing]).mean()
        assert risk.over == pytest.approx(over)
        assert risk.level == (2 if over else 3)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(rows_of_people, st.integers(2, 7), shares)
def test_a_reached_k_hides_neither_too_little_nor_too_much(rows: list[Row], k: int, most: float) -> None:
    data, owners = table(rows)
    people = {row[5] for row in rows}
    if len(people) < k:
        with pytest.raises(DisclosureRefusedError):
            reach(data, QUASI, owners, k, most)
        return
    reached = reach(data, QUASI, owners, k, most)
    found = people_by_class(reached, rows)
    shown = shown_of_rows(reached, len(rows))
    # A row goes out if, and only if, enough persons are in its class.
    assert [len(found[values]) >= k for values in shown] == reached.is_kept.tolist()
    left_out = {row[5] for row, is_kept in zip(rows, reached.is_kept, strict=True) if not is_kept}
    assert len(left_out) == reached.suppressed <= floor(Fraction(str(most)) * len(people))
    assert reached.is_kept.any()
    for name, column in reached.columns.items():
        values = column.to_pylist()
        if name != "age_band":
            assert values == data[name].to_pylist()
        else:
            assert {value for value in values if value is not None} <= set(AGE_BANDS)
            assert values in [[age_band(row[0], width) for row in rows] for width in (5, 10, 20)]
    assert len(reached.steps) == sum(name not in reached.columns for name in QUASI)
    if "sex" not in reached.columns:  # it goes only if to hide all the rest is not enough
        by_sex = {sex: {row[5] for row in rows if row[1] == sex} for sex in ("female", "male", None)}
        alone = set().union(*(persons for persons in by_sex.values() if len(persons) < k))
        assert len(alone) > floor(Fraction(str(most)) * len(people))
    for name in set(QUASI) - {"age"} - set(reached.columns):  # and nothing else goes that need not
        finer = [(*values, row) for values, row in zip(shown, data[name].to_pylist(), strict=True)]
        small = [n for n, values in enumerate(finer) if len({rows[m][5] for m, v in enumerate(finer) if v == values}) < k]
        assert len({rows[n][5] for n in small}) > floor(Fraction(str(most)) * len(people))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows_of_people, st.integers(2, 4), shares, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Row], k: int, most: float, chance: Any) -> None:
    if len({row[5] for row in rows}) < k:
        return
    order = list(range(len(rows)))
    chance.shuffle(order)
    data, owners = table(rows)
    one, other = (reach(part, QUASI, whose, k, most) for part, whose in ((data, owners), table([rows[n] for n in order])))
    assert one.steps == other.steps
    assert [one.is_kept[n] for n in order] == other.is_kept.tolist()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(rows_of_people, st.integers(2, 4))
def test_a_table_that_is_coarse_enough_stays_as_it_is(rows: list[Row], k: int) -> None:
    everybody = [(*row[:5], person) for row in rows for person in range(k)]
    data, owners = table(everybody)
    reached = reach(data, QUASI, owners, k, 0.0)
    assert (reached.steps, reached.suppressed, reached.is_kept.all()) == ((), 0, True)
    assert {name: column.to_pylist() for name, column in reached.columns.items()} == data.select(QUASI).to_pydict()
