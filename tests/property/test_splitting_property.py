"""An amount is split exactly, whatever it is and whoever shares it."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.errors import UsageError
from pathcurate.model.rights import MINOR_UNITS
from pathcurate.rights.splitting import split_amount

SITES = st.from_regex(r"[A-Z][A-Z0-9_]{1,3}", fullmatch=True)
CURRENCIES = st.sampled_from(["CNY", "EUR", "JPY", "KWD", "UYW"])
SHARES = (
    st.none() | st.decimals(0, 1, places=6) | st.sampled_from([Decimal(0), Decimal(1), Decimal("0.3"), Decimal("1e-30")])
)
COUNTS = st.dictionaries(SITES, st.integers(0, 3_000_000), min_size=1, max_size=12).filter(lambda it: sum(it.values()))


@given(st.data(), COUNTS, CURRENCIES, st.integers(-(10**40), 10**40))
def test_parts_add_up_and_each_is_right_to_a_unit(
    data: st.DataObject, counts: dict[str, int], currency: str, units: int
) -> None:
    shares = data.draw(st.dictionaries(st.sampled_from(sorted(counts)), SHARES))
    unit = Fraction(1, 10 ** MINOR_UNITS.get(currency, 2))
    amount = Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -MINOR_UNITS.get(currency, 2)))
    *parts, rest = split_amount(amount, currency, counts, shares)
    assert [part.site for part in parts] == sorted(counts)
    assert (rest.site, rest.share, rest.count) == (None, None, sum(counts.values()))
    assert sum(Fraction(part.amount) for part in (*parts, rest)) == Fraction(amount)
    exact = {}
    for part in parts:
        share = shares.get(str(part.site))
        taken = 1 if share is None else Fraction(share)
        exact[part.site] = Fraction(amount) * counts[str(part.site)] * taken / sum(counts.values())
        assert (part.count, part.share) == (counts[str(part.site)], share)
    exact[None] = Fraction(amount) - sum(exact.values())
    for part in (*parts, rest):
        assert abs(Fraction(part.amount) - exact[part.site]) < unit
        assert Fraction(part.amount) / unit == int(Fraction(part.amount) / unit), "no part has less than the smallest unit"
        assert exact[part.site] or not part.amount, "who is due nothing gets nothing"
        assert Fraction(part.amount) * Fraction(amount) >= 0


@given(COUNTS, st.integers(0, 10**15))
def test_the_order_in_which_sites_are_given_does_not_matter(counts: dict[str, int], units: int) -> None:
    amount = Decimal(units).scaleb(-2)
    turned = dict(reversed(counts.items()))
    assert split_amount(amount, "CNY", counts, {}) == split_amount(amount, "CNY", turned, {})


@given(COUNTS, st.integers(0, 10**15), st.integers(1, 1000))
def test_only_the_ratio_of_counts_matters(counts: dict[str, int], units: int, factor: int) -> None:
    amount = Decimal(units).scaleb(-2)
    more = {site: count * factor for site, count in counts.items()}
    assert [part.amount for part in split_amount(amount, "CNY", counts, {})] == [
        part.amount for part in split_amount(amount, "CNY", more, {})
    ]


def test_thirds_of_a_cent_go_to_those_who_lost_most() -> None:
    third = {"A1": 1, "B1": 1, "C1": 1}
    assert [str(part.amount) for part in split_amount(Decimal("100.00"), "CNY", third, {})] == [
        "33.34", "33.33", "33.33", "0.00",
    ]  # fmt: skip
    half = dict.fromkeys(third, Decimal("0.5"))
    assert [str(part.amount) for part in split_amount(Decimal(100), "JPY", third, half)] == ["17", "17", "16", "50"]
    assert [str(part.amount) for part in split_amount(Decimal("-0.01"), "CNY", third, {})] == [
        "-0.01",
        "0.00",
        "0.00",
        "0.00",
    ]


@pytest.mark.parametrize(("amount", "currency"), [("0.001", "CNY"), ("0.5", "JPY"), ("1.0001", "KWD"), ("1e-9", "CNY")])
def test_an_amount_that_nobody_can_pay_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(UsageError, match="decimals"):
        split_amount(Decimal(amount), currency, {"A1": 1}, {})


def test_what_cannot_be_split_is_refused() -> None:
    for counts in ({}, {"A1": 0, "B1": 0}):
        with pytest.raises(UsageError, match="nothing of any site"):
            split_amount(Decimal(1), "CNY", counts, {})
    for amount, counts, share in (("NaN", 1, "1"), ("Infinity", 1, "1"), ("1", -1, "1"), ("1", 1, "1.01"), ("1", 1, "-0.1")):
        with pytest.raises(ValueError, match=r"number|between|negative"):
            split_amount(Decimal(amount), "CNY", {"A1": counts, "B1": 5}, {"A1": Decimal(share)})
