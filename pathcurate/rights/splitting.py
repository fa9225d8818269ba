"""Whose part of an amount is how much, to the smallest unit of the currency."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

from pathcurate.errors import UsageError
from pathcurate.model.rights import MINOR_UNITS, Part


def split_amount(
    amount: Decimal, currency: str, counts: Mapping[str, int], shares: Mapping[str, Decimal | None]
) -> tuple[Part, ...]:
    """Split what is paid for a release between its sites and the operator of the archive, exactly.

    What is paid for a site's data is the amount × the site's count ÷ the count of all sites. Of that the site gets its
    share, all of it where nobody says; what no site gets is the operator's. Each part is then cut to the currency's smallest
    unit, and the units that are left over go one each to the parts that lost most by it (largest remainder; of equal ones
    the first by code, the operator last). So the parts always add up to the amount, each is less than a unit from what it
    would be, and a site with a count or a share of 0 gets nothing. A negative amount is split as the positive one, with its
    sign.

    Args:
        amount: in units of the currency.
        currency: code by ISO 4217.
        counts: of each site, whatever is counted.
        shares: of each site, 0 to 1; None, or not there, for 1.

    Returns:
        A part for each site, by code, and last that of the operator.

    Raises:
        UsageError: no site has a count, or the amount has more decimals than the currency.
        ValueError: a count is negative, a share is none, or the amount is infinite or no number.
    """
    if not amount.is_finite():
        raise ValueError("an amount is a number")
    total = sum(counts.values())
    taken = {site: 1 if (share := shares.get(site)) is None else Fraction(share) for site in counts}
    if any(count < 0 for count in counts.values()) or any(not 0 <= share <= 1 for share in taken.values()):
        raise ValueError("counts are not negative, and shares are between 0 and 1")
    if not total:
        raise UsageError("the release has nothing of any site to split an amount by", "Split it by what the release counts.")
    decimals = MINOR_UNITS.get(currency, 2)
    units = abs(Fraction(amount)) * 10**decimals
    if units.denominator != 1:
        raise UsageError(
            f"{amount} {currency} has more than the {decimals} decimals of that currency", "Correct the contract's amount."
        )
    sites = sorted(counts)
    exact = [units * counts[site] * taken[site] / total for site in sites]
    exact.append(units - sum(exact))
    whole = [int(part) for part in exact]
    by_loss = sorted(range(len(exact)), key=lambda place: (whole[place] - exact[place], place))
    for place in by_loss[: int(units) - sum(whole)]:
        whole[place] += 1
    sign = -1 if amount < 0 else 1
    amounts = [_decimal(sign * part, decimals) for part in whole]
    parts = [Part(site, counts[site], shares.get(site), part) for site, part in zip(sites, amounts, strict=False)]
    return (*parts, Part(None, total, None, amounts[-1]))


def _decimal(units: int, decimals: int) -> Decimal:
    """So many smallest units as an amount; not by arithmetic, which rounds to the digits of the thread's context."""
    digits = tuple(map(int, str(abs(units))))
    return Decimal((int(units < 0), digits, -decimals))
