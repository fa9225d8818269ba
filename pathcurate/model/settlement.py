"""What was delivered is counted, priced and paid for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pathcurate.model.rights import Part


@dataclass(frozen=True, slots=True)
class Metered:
    """What a delivery costs.

    Attributes:
        unit: that the price is of, see :class:`~pathcurate.model.productfile.Price`.
        count: of that unit in the delivery.
        before: of these, so many were charged with earlier deliveries of the contract.
        price: of one unit; None if nothing is asked.
        currency: ISO 4217; empty if nothing is asked.
        amount: to be paid, in units of the currency.
    """

    unit: str
    count: int
    before: int
    price: Decimal | None
    currency: str
    amount: Decimal

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values; amounts are text."""
        return {
            "unit": self.unit, "count": self.count, "before": self.before,
            "price": None if self.price is None else str(self.price), "currency": self.currency, "amount": str(self.amount),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Metered":
        """From what :meth:`as_dict` gave."""
        price = None if content["price"] is None else Decimal(content["price"])
        return cls(
            content["unit"], content["count"], content["before"], price, content["currency"], Decimal(content["amount"])
        )


@dataclass(frozen=True, slots=True)
class Settled:
    """A delivery that was paid for.

    Attributes:
        delivery: its id.
        contract: its contract's.
        release: as ``NAME@VERSION``.
        recipient: short name.
        metered: what it costs.
        paid: what was paid.
        on: the day.
        reference: of the payment, such as the number of an invoice.
        parts: whose part of it is how much; they add up to what was paid.
    """

    delivery: str
    contract: str
    release: str
    recipient: str
    metered: Metered
    paid: Decimal
    on: date
    reference: str
    parts: Sequence[Part]
