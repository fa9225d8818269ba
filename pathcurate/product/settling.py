"""What of a price is whose."""

from decimal import Decimal, InvalidOperation

from pathcurate.errors import UsageError
from pathcurate.model.product import Entry
from pathcurate.model.rights import Part
from pathcurate.product.desk import Desk
from pathcurate.productfile import load_product_file, product_path
from pathcurate.rights.sources import read_sources
from pathcurate.rights.splitting import split_amount

_COUNTED = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series"}
"""Unit of a price to what is counted for it; for one of the whole release, a month or a query, slides are."""

_MOST_DIGITS = 30
"""Before or behind the point: 1e999999999 would take all memory."""


def statement_of(desk: Desk, entry: Entry, amount: str, currency: str, level: str) -> tuple[tuple[Part, ...], str]:
    """Split an amount that was paid for a release between its sites.

    Args:
        desk: whose release.
        entry: the release.
        amount: decimal, in units of the currency.
        currency: ISO 4217.
        level: what is counted; empty for what the price is of.

    Returns:
        The parts, whose sum is the amount to the smallest unit, and what was counted.

    Raises:
        UsageError: the amount is no number, or one that nobody pays, or no site has any of what is counted.
        PlanIncompleteError: nothing says of which sites the release is made.
    """
    try:
        paid = Decimal(amount)
    except InvalidOperation:
        paid = Decimal("NaN")
    if not paid.is_finite() or abs(paid.adjusted()) > _MOST_DIGITS:
        raise UsageError("the amount is no number that anybody pays", "Write it as 12500.00.")
    of = level or _of_price(desk, entry)
    sources = read_sources(desk.workspace, entry.product, entry.version, entry.release_digest)
    return split_amount(paid, currency, sources.counts(of), sources.shares()), of


def _of_price(desk: Desk, entry: Entry) -> str:
    file = product_path(desk.workspace.root, entry.product)
    price = load_product_file(file).price if file.is_file() else None
    return _COUNTED.get(price.unit, "slides") if price is not None else "slides"
