"""What a delivery costs: what it holds of the unit that the price is of, less what was charged before, at the price."""

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext

from pathcurate.errors import UsageError
from pathcurate.model.productfile import Price
from pathcurate.model.rights import MINOR_UNITS
from pathcurate.model.settlement import Metered

_COUNTED = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series"}
_ONCE = {"release"}
"""Units of which a contract has one, however often it is delivered."""
_DIGITS = 60
"""Of a product of price and count; what anybody pays has fewer."""


def counted_by(price: Price | None) -> str:
    """The count that a price is of; ``slides`` where it is of no rows."""
    return _COUNTED.get(price.unit, "slides") if price is not None else "slides"


def meter(price: Price | None, counts: Mapping[str, int], before: int, period: tuple[date, date]) -> Metered:
    """What a delivery costs.

    Args:
        price: None if nothing is asked.
        counts: what was delivered: ``slides``, ``cases``, ``patients``, ``series``.
        before: how many of the unit were charged with earlier deliveries of the contract.
        period: first and last day of the use, for a price of a month: every month that was begun counts.

    Returns:
        The amount to the currency's smallest unit, half of one upwards.

    Raises:
        UsageError: the price is of queries, which no delivery has.
    """
    if price is None:
        return Metered("release", 1, before, None, "", Decimal(0))
    if price.unit == "query":
        raise UsageError(
            "the price is of a query, and a delivery answers none", "Agree upon a price of slides, cases or the release."
        )
    if price.unit in _ONCE:
        count = 1
    elif price.unit == "month":
        count = _months(*period)
    else:
        count = counts.get(_COUNTED[price.unit], 0)
    smallest = Decimal(1).scaleb(-MINOR_UNITS.get(price.currency, 2))
    with localcontext() as context:
        context.prec = _DIGITS
        amount = (Decimal(price.amount) * max(0, count - before)).quantize(smallest, ROUND_HALF_UP)
    return Metered(price.unit, count, min(before, count), Decimal(price.amount), price.currency, amount)


def _months(first: date, last: date) -> int:
    whole = (last.year - first.year) * 12 + last.month - first.month
    return whole + 1 if last.day >= first.day else max(whole, 1)
