"""Deliveries are paid for: what was delivered is counted, priced by the contract, and split between the sites."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Step, Subject
from pathcurate.model.rights import Part, SourceStatement
from pathcurate.model.settlement import Metered, Settled
from pathcurate.product.desk import Desk
from pathcurate.rights.splitting import split_amount
from pathcurate.workspace import Workspace

DELIVERIES = "deliveries"
"""Below ``products/``: what is kept of each delivery."""
SOURCES_FILE = "sources.json"
"""What of a delivery is whose; no part of it, for small counts of a site could tell something about people."""
_PAID = ("settled", "recalled", "destroyed")
"""States in which a delivery may have been paid for."""
_COUNTED = {"slide": "slides", "case": "cases", "patient": "patients", "series": "series"}
_AMOUNT = re.compile(r"\d{1,15}(\.\d{1,8})?", re.ASCII)
_MOST_REFERENCE = 200


def settle(desk: Desk, delivery: Subject, *, paid: str | None, on: date, reference: str) -> Step:
    """Keep that a delivery was paid for; the same again changes nothing.

    Args:
        desk: whose it is.
        delivery: the delivery, acknowledged by whoever got it.
        paid: the amount, as decimal text; None for what the delivery costs.
        on: the day.
        reference: of the payment, such as the number of an invoice.

    Raises:
        UsageError: the amount is none, the day is to come, or the reference is no line of text.
        PlanIncompleteError: it is not acknowledged, or is paid for otherwise already.
    """
    table = lifecycle().delivery
    name = "settle" if table.target("settle", delivery.state) is not None else "settle_late"
    is_paid = delivery.facts.get("settlement") is not None
    if not is_paid and (table.target(name, delivery.state) is None or "receipt" not in delivery.facts):
        raise PlanIncompleteError(
            f"delivery {delivery.id} is {delivery.state}; it is paid for once its receipt is kept",
            "`pathcurate product acknowledge` keeps what the recipient has signed.",
        )
    metered = Metered.from_dict(delivery.facts["metered"])
    amount = metered.amount if paid is None else _amount(paid)
    if on > desk.today:
        raise UsageError(f"nothing was paid on {on}, which is to come", "Give the day of the payment.")
    if not 0 < len(reference.strip()) <= _MOST_REFERENCE or not reference.isprintable():
        raise UsageError("the reference of a payment is one line of text", "Give the number of the invoice or transfer.")
    if not metered.currency and amount:
        raise UsageError("the contract asks nothing for it, so nothing can have been paid", "Leave the amount out.")
    held = {"paid": str(amount), "on": on.isoformat(), "reference": reference.strip()}
    if (before := delivery.facts.get("settlement")) is not None and before != held:
        raise PlanIncompleteError(
            f"delivery {delivery.id} is settled with another amount, day or reference already",
            "What was settled stands; see `pathcurate product settlement`.",
        )
    if before == held:
        return Step(delivery, (), False)
    # Before anything is kept: what cannot be split between the sites is not settled.
    _parts(desk.workspace, delivery, metered, amount)
    command = Command(
        Machine.DELIVERY, delivery.id, name, desk.actor, desk.at, sets={"settlement": held}, seen=delivery.last
    )
    return desk.registry.transition(command)


def settlement(desk: Desk, since: date | None, until: date | None) -> list[Settled]:
    """Deliveries that were paid for, by the day of payment, each with whose part is how much.

    Args:
        desk: whose they are.
        since: first day; None for all before.
        until: last day; None for all after.

    Raises:
        DigestMismatchError: what says whose a delivery was is damaged.
    """
    found = [one for subject in desk.registry.subjects(Machine.DELIVERY) for one in _settled(desk, subject)]
    wanted = [one for one in found if (since is None or one.on >= since) and (until is None or one.on <= until)]
    return sorted(wanted, key=lambda one: (one.on, one.delivery))


def totals(settled: Sequence[Settled]) -> dict[tuple[str, str | None], Decimal]:
    """What each site, and the archive (None), gets of all that was paid, by currency."""
    sums: dict[tuple[str, str | None], Decimal] = {}
    for one in settled:
        for part in one.parts:
            key = one.metered.currency, part.site
            sums[key] = sums.get(key, Decimal(0)) + part.amount
    # Sites by code, the archive behind them.
    return dict(sorted(sums.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1] or "")))


def charged_before(desk: Desk, contract: Subject, but: str) -> int:
    """How many of the unit of its price a contract's other deliveries were charged with."""
    return max(
        (
            int(one.facts["metered"]["count"])
            for one in desk.registry.subjects(Machine.DELIVERY, parent=contract.id)
            if one.id != but and "metered" in one.facts
        ),
        default=0,
    )


def read_delivered_sources(workspace: Workspace, delivery: Subject) -> SourceStatement:
    """What of a delivery is whose.

    Raises:
        DigestMismatchError: the file is missing, damaged, or not the one that the registry knows.
    """
    path = workspace.products / DELIVERIES / delivery.id / SOURCES_FILE
    try:
        content = path.read_bytes()
        if sha256_text(content) != delivery.facts.get("sources"):
            raise ValueError("another file")
        return SourceStatement.from_dict(json.loads(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        raise DigestMismatchError(
            f"products/{DELIVERIES}/{delivery.id}/{SOURCES_FILE} is missing, or was changed since the delivery",
            "Restore it from a copy: it says whose part of the payment is how much.",
        ) from None


def _settled(desk: Desk, subject: Subject) -> Iterator[Settled]:
    held: Any = subject.facts.get("settlement")
    if held is None or subject.state not in _PAID:
        return
    metered, paid = Metered.from_dict(subject.facts["metered"]), Decimal(held["paid"])
    yield Settled(
        subject.id, subject.parent, f"{subject.product}@{subject.version}", str(subject.facts["recipient"]), metered, paid,
        date.fromisoformat(held["on"]), held["reference"], _parts(desk.workspace, subject, metered, paid),
    )  # fmt: skip


def _parts(workspace: Workspace, delivery: Subject, metered: Metered, paid: Decimal) -> tuple[Part, ...]:
    if not metered.currency:
        return ()
    sources = read_delivered_sources(workspace, delivery)
    counts = sources.counts(_COUNTED.get(metered.unit, str(delivery.facts["unit"])))
    return split_amount(paid, metered.currency, counts, sources.shares())


def _amount(text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text):
        raise UsageError("the amount is no number that anybody pays", "Write it as 12500.00.")
    return Decimal(text)
