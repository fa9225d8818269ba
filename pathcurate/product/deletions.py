"""A recipient attests that what was withdrawn is deleted; and who still owes that."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.attestation import DELETION, Envelope, Statement
from pathcurate.model.delivery import CONTENTS_LIST
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Step, Subject
from pathcurate.model.rights import Ending
from pathcurate.product.contracts import read_agreement, recipient_trust
from pathcurate.product.desk import Desk, keep_paper
from pathcurate.roles import shared_directory
from pathcurate.signing import verify
from pathcurate.withdrawals.feed import Feed, contract_feed, read_feed

_DELIVERIES = "deliveries"
_TO_DESTROY = frozenset({"recalled", "terminated"})
_HINT = (
    "Nothing was kept; ask the recipient to run `pathcurate product purge` with the newest feed, and send what it writes."
)


@dataclass(frozen=True, slots=True)
class Owed:
    """A deletion that a recipient has not attested.

    Attributes:
        delivery: which copy.
        since: number of the first line of the contract's feed that is not attested; 0 if the whole copy is to be destroyed.
        until: last day on which it is to be attested.
    """

    delivery: Subject
    since: int
    until: date


def attest(desk: Desk, delivery: Subject, content: bytes) -> Step:
    """Keep a recipient's statement that what was withdrawn, or the whole delivery, is deleted; again changes nothing.

    Args:
        desk: whose delivery it is; it holds the lock on the workspace.
        delivery: of which the statement is.
        content: of the statement's file.

    Raises:
        DigestMismatchError: it is not signed with the recipient's key, is of another delivery, or of another feed.
        InputOutputError: it is no such statement.
        PlanIncompleteError: the delivery is in no state for that.
        UsageError: a later one is kept already.
    """
    contract = _contract(desk, delivery)
    envelope = Envelope.parse(content)
    statement = envelope.statement()
    if statement.predicate_type != DELETION:
        raise InputOutputError("the file is no statement of a deletion", _HINT)
    signed = verify(envelope, recipient_trust(contract))
    if not signed or any(one.fault is not None for one in signed):
        raise DigestMismatchError(f"the statement is not signed with the key that contract {contract.id} names", _HINT)
    feed = read_feed(contract_feed(desk.workspace, contract.id))
    seq, is_whole = _checked(statement, delivery, feed)
    kept: dict[str, Any] = delivery.facts.get("attested", {})
    fact = {"seq": seq, "whole": is_whole, "sha256": sha256_text(content), "signed_on": str(statement.signed_on)}
    if kept == fact:
        return Step(delivery, (), False)
    if kept and (kept["whole"], kept["seq"]) >= (is_whole, seq):
        raise UsageError(
            f"a statement of the deletion up to line {kept['seq']} is kept already, and this one says no more",
            "Nothing was changed.",
        )
    name = "destroy" if is_whole else "attest"
    if lifecycle().delivery.target(name, delivery.state) is None:
        raise PlanIncompleteError(
            f"delivery {delivery.id} is {delivery.state}: nothing of it can have been deleted by its recipient",
            "See `pathcurate product deliveries`.",
        )
    folder = shared_directory(shared_directory(desk.workspace.products / _DELIVERIES) / delivery.id)
    keep_paper(folder / f"deletion.{'all' if is_whole else seq}.json", content)
    command = Command(Machine.DELIVERY, delivery.id, name, desk.actor, desk.at, sets={"attested": fact}, seen=delivery.last)
    return desk.registry.transition(command)


def _checked(statement: Statement, delivery: Subject, feed: Feed) -> tuple[int, bool]:
    """Up to which line of the feed it was deleted, and whether all was."""
    said = statement.predicate
    contents = {one.sha256 for one in statement.subjects if one.name == CONTENTS_LIST}
    known = str(delivery.facts.get("contents", "")).removeprefix("sha256:")
    if (said.get("delivery"), said.get("contract")) != (delivery.id, delivery.parent) or contents != {known}:
        raise DigestMismatchError(f"the statement is of another delivery than {delivery.id}, or of other content", _HINT)
    of_feed = said.get("feed")
    seq, head = (of_feed.get("seq"), of_feed.get("head")) if isinstance(of_feed, dict) else (None, None)
    if not isinstance(seq, int) or isinstance(seq, bool) or not isinstance(said.get("whole"), bool):
        raise InputOutputError("the statement does not say of which withdrawals it is", _HINT)
    found, is_whole = feed.digest_at(seq), bool(said["whole"])
    # Who deletes all of it need not have seen the feed.
    if found is None or (head != found and not (is_whole and head is None)):
        raise DigestMismatchError(f"the statement is of another feed of withdrawals than that of {delivery.parent}", _HINT)
    return seq, is_whole


def _contract(desk: Desk, delivery: Subject) -> Subject:
    contract = desk.registry.subject(Machine.CONTRACT, delivery.parent)
    if contract is None:
        raise InputOutputError("the registry has lost the contract of the delivery", "Restore it from a copy.")
    return contract


# --- Who owes one ------------------------------------------------------------------------------------------------


def owed(desk: Desk) -> Iterator[Owed]:
    """Deletions that recipients have not attested, with the last day for it.

    Raises:
        DigestMismatchError: a contract's feed or agreement is damaged, or missing.
    """
    for contract in desk.registry.subjects(Machine.CONTRACT):
        made = [one for one in desk.registry.subjects(Machine.DELIVERY, parent=contract.id) if _is_held(one)]
        if made:
            feed = read_feed(contract_feed(desk.workspace, contract.id))
            yield from (one for delivery in made if (one := _owed(desk, contract, delivery, feed)) is not None)


def endings(desk: Desk) -> Iterator[Ending]:
    """:func:`owed` as what runs out."""
    for one in owed(desk):
        what = "attestation of deletion" if one.since else "attestation of destruction"
        yield Ending(what, one.delivery.id, "contract", one.delivery.parent, one.until)


def _is_held(delivery: Subject) -> bool:
    """Whether the recipient may have something of it."""
    return lifecycle().delivery.target("attest", delivery.state) is not None


def _owed(desk: Desk, contract: Subject, delivery: Subject, feed: Feed) -> Owed | None:
    attested = delivery.facts.get("attested", {"seq": 0})
    done = max(attested["seq"], delivery.facts.get("honoured", delivery.facts.get("withdrawals", 0)))
    open_lines = feed.lines[done:]
    days = [_day(open_lines[0].at)] if open_lines else []
    if "contents" not in delivery.facts:
        return None  # nothing was ever sent
    if delivery.state in _TO_DESTROY:
        # What keeps the state, as being told of a withdrawal, moves no deadline.
        events = desk.registry.history(delivery.product, delivery.version)
        came = [event for event in events if event.subject == delivery.id and event.payload.get("to") == delivery.state]
        days += [_day(event.at) for event in came if event.payload.get("from") != delivery.state][-1:]
    if not days:
        return None
    granted = read_agreement(desk, contract).deletion_days if "agreement" in contract.facts else 0
    until = min(days) + timedelta(days=granted)
    return Owed(delivery, 0 if delivery.state in _TO_DESTROY else done + 1, until)


def _day(text: str) -> date:
    return datetime.fromisoformat(text).astimezone(UTC).date()
