"""What a delivery costs."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.errors import UsageError
from pathcurate.model.productfile import Price
from pathcurate.model.settlement import Metered
from pathcurate.rights.metering import counted_by, meter

YEAR = (date(2026, 1, 1), date(2026, 12, 31))
COUNTS = {"slides": 20, "cases": 7, "patients": 5, "series": 3}


def price(amount: str, unit: Any = "slide", currency: str = "CNY") -> Price:
    return Price(amount=amount, unit=unit, currency=currency)


@pytest.mark.parametrize(
    ("unit", "count", "amount"),
    [("slide", 20, "30.00"), ("case", 7, "10.50"), ("patient", 5, "7.50"), ("series", 3, "4.50"), ("release", 1, "1.50"),
     ("month", 12, "18.00")],
)  # fmt: skip
def test_the_unit_of_the_price_is_counted(unit: str, count: int, amount: str) -> None:
    found = meter(price("1.50", unit), COUNTS, 0, YEAR)
    assert (found.count, str(found.amount), found.unit, found.currency) == (count, amount, unit, "CNY")
    assert counted_by(price("1", unit)) in COUNTS


def test_what_was_charged_before_is_not_charged_again() -> None:
    assert str(meter(price("1.50"), COUNTS, 15, YEAR).amount) == "7.50"
    assert str(meter(price("1.50"), COUNTS, 25, YEAR).amount) == "0.00"
    assert str(meter(price("900", "release"), COUNTS, 1, YEAR).amount) == "0.00"


def test_nothing_is_asked_for_nothing() -> None:
    free = meter(None, COUNTS, 0, YEAR)
    assert (free.amount, free.currency, free.price) == (0, "", None)
    assert counted_by(None) == "slides"


def test_a_price_of_a_query_has_no_delivery() -> None:
    with pytest.raises(UsageError, match="query"):
        meter(price("1", "query"), COUNTS, 0, YEAR)


@pytest.mark.parametrize(("currency", "amount"), [("CNY", "0.07"), ("JPY", "0"), ("KWD", "0.067")])
def test_half_of_the_smallest_unit_goes_upwards(currency: str, amount: str) -> None:
    assert str(meter(price("0.00333", currency=currency), COUNTS, 0, YEAR).amount) == amount


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [("2026-01-01", "2026-01-31", 1), ("2026-01-15", "2026-02-14", 1), ("2026-01-15", "2026-02-15", 2),
     ("2026-01-31", "2026-02-28", 1), ("2026-03-01", "2027-02-28", 12), ("2026-03-05", "2026-03-05", 1)],
)  # fmt: skip
def test_every_month_that_was_begun_counts(first: str, last: str, months: int) -> None:
    period = date.fromisoformat(first), date.fromisoformat(last)
    assert meter(price("1", "month"), {}, 0, period).count == months


@given(
    st.decimals(0, 10**9, places=4), st.integers(0, 10**9), st.integers(0, 10**9),
    st.sampled_from(["CNY", "JPY", "KWD", "EUR"]),
)  # fmt: skip
def test_it_is_the_exact_product_to_half_a_unit(amount: Decimal, slides: int, before: int, currency: str) -> None:
    found = meter(price(format(amount, "f"), currency=currency), {"slides": slides}, before, YEAR)
    exact = amount * max(0, slides - before)
    smallest = {"JPY": Decimal(1), "KWD": Decimal("0.001")}.get(currency, Decimal("0.01"))
    assert abs(found.amount - exact) <= smallest / 2
    assert found.amount % smallest == 0
    assert Metered.from_dict(found.as_dict()) == found
