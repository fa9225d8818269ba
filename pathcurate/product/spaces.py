"""A release in data spaces: published there, confirmed by them, and taken off again.

The registry keeps for each space how a release stands there, and says that it is listed only after the space has said so.
What is about to be done is kept before a connector is called: of a run that was cut off, everybody can see that something
may be there, and the same command given again finishes it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pathcurate.dataspace.bodies import refs_of
from pathcurate.dataspace.handover import Handover, write_handover
from pathcurate.dataspace.receipts import PlatformReceipt, listing_of
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    InputOutputError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
)
from pathcurate.lifecycle import lifecycle
from pathcurate.model.dataspace import Listing, Offering
from pathcurate.model.product import Entry, State, Subject
from pathcurate.product.desk import Desk
from pathcurate.product.endings import shown_state
from pathcurate.product.evidence import gather
from pathcurate.product.guards import lacks_of, refusal
from pathcurate.product.offerings import offering_of
from pathcurate.registries import Space
from pathcurate.releases import Release, is_release, verify_release

FACT = "spaces"
"""Of a release in the registry: name of a space to how the release stands there."""
EDC, FILES = "edc", "files"
_CLAIM = "entry of a data space"


class Standing(StrEnum):
    """How a release stands in a space, as far as anybody has said."""

    PENDING = "pending"
    HANDED_OVER = "handed_over"
    LISTED = "listed"
    RETRACTING = "retracting"
    RETRACTED = "retracted"

    @property
    def words(self) -> str:
        """For people."""
        return _WORDS[self]


_WORDS: Mapping[Standing, str] = {
    Standing.PENDING: "was begun and not finished: parts of it may be there",
    Standing.HANDED_OVER: "handed over; nobody has said whether it is listed",
    Standing.LISTED: "listed",
    Standing.RETRACTING: "listed, to be taken off by the platform's people",
    Standing.RETRACTED: "taken off",
}


@dataclass(frozen=True, slots=True)
class InSpace:
    """A release in a space.

    Attributes:
        release: id of the release.
        state: of the release as of today, see :func:`~pathcurate.product.endings.shown_state`.
        listing: what is known of it there; its references are those that were about to be made if it is pending.
        standing: how it stands.
        at: since when, ISO 8601 in UTC.
        actor: who brought it there.
        stays: what stays there after it was taken off, a sentence each.
    """

    release: str
    state: str
    listing: Listing
    standing: Standing
    at: str
    actor: str
    stays: tuple[str, ...] = ()

    @property
    def may_be_seen(self) -> bool:
        """Whether somebody may find it there, for all that is known."""
        return self.standing is not Standing.RETRACTED

    @property
    def must_go(self) -> bool:
        """Whether it may be found there, and is not on offer."""
        return self.may_be_seen and self.state != State.OFFERED

    def as_fact(self) -> dict[str, Any]:
        """What the registry keeps."""
        more = {"stays": list(self.stays)} if self.stays else {}
        return {**self.listing.as_fact(), "standing": str(self.standing), "at": self.at, "actor": self.actor, **more}


@dataclass(frozen=True, slots=True)
class Shelved:
    """What a verb did.

    Attributes:
        entry: the release as it stands now.
        shelf: how it stands in the space.
        is_new: False if it was so before.
    """

    entry: Entry
    shelf: InSpace
    is_new: bool


# --- What is known -------------------------------------------------------------------------------------------------


def in_spaces(release: Entry | Subject, state: str = "") -> list[InSpace]:
    """How a release stands in each space, by the spaces' names.

    Args:
        release: the release.
        state: its state as of today; without it, that of the registry.

    Raises:
        InputOutputError: the registry keeps something of another form.
    """
    facts = release.facts.get(FACT, {})
    return [_of_fact(release.id, state or release.state, name, facts[name]) for name in sorted(facts)]


def _of_fact(release: str, state: str, name: str, fact: Mapping[str, Any]) -> InSpace:
    listing = Listing.of_fact(name, fact)
    try:
        standing, stays = Standing(fact["standing"]), tuple(str(one) for one in fact.get("stays", ()))
        return InSpace(release, state, listing, standing, str(fact["at"]), str(fact["actor"]), stays)
    except (KeyError, TypeError, ValueError):
        raise InputOutputError(
            f"what the registry keeps of {release} in the space {name} is of another form", "`pathcurate product verify`."
        ) from None


def spaces(desk: Desk) -> list[InSpace]:
    """Every release that was ever brought to a space, by release and space."""
    entries = [entry for entry in desk.registry.list() if entry.facts.get(FACT)]
    return [shelf for entry in entries for shelf in in_spaces(entry, shown_state(desk, entry))]


# --- Bringing it there -----------------------------------------------------------------------------------------------


def publish(desk: Desk, directory: Path, name: str, space: Space, *, transfer: Sequence[str] = ()) -> Shelved:
    """List a release on offer through a connector; again changes nothing, and finishes what was cut off.

    Args:
        desk: whose it is.
        directory: the release.
        name: of the space.
        space: its connector.
        transfer: see :func:`~pathcurate.product.offerings.offering_of`.

    Raises:
        DigestMismatchError: the release was changed, or its name is taken there by something else.
        DisclosureRefusedError: the connector would not enforce a term of the policy.
        PathcurateError: evidence is lacking or has run out; or as the connector says.
    """
    entry, offering = _offered(desk, directory, name, EDC, transfer)[1:]
    known = _known(entry, name)
    if known is not None and known.standing is Standing.LISTED and space.look(offering) is not None:
        return Shelved(entry, known, False)
    planned = Listing(name, EDC, offering.release_digest, refs_of(offering.asset_id))
    entry = _keep(desk, entry, "publish", planned, Standing.PENDING).entry
    try:
        listing = space.publish(offering)
    except DisclosureRefusedError:
        desk.registry.refuse(desk.command(entry, "publish"), ["enforcement"])
        raise
    return _keep(desk, entry, "published", replace(listing, space=name), Standing.LISTED)


def hand_over(
    desk: Desk, directory: Path, name: str, target: Path, *, access_policy: str = "", transfer: Sequence[str] = ()
) -> tuple[Shelved, Handover]:
    """Write the folder that a platform's people take; again writes the same bytes.

    Args:
        desk: whose it is.
        directory: the release.
        name: of the space.
        target: folder to be made.
        access_policy: id of the policy of whoever posts the bodies by hand.
        transfer: see :func:`~pathcurate.product.offerings.offering_of`.

    Raises:
        PathcurateError: evidence is lacking or has run out, or something else is in the folder's place.
    """
    release, entry, offering = _offered(desk, directory, name, FILES, transfer)
    handover = write_handover(offering, release, target, access_policy=access_policy)
    known = _known(entry, name)
    if known is not None and known.standing is not Standing.RETRACTED:
        return Shelved(entry, known, False), handover
    listing = Listing(name, FILES, offering.release_digest, {"handover": handover.digest})
    return _keep(desk, entry, "publish", listing, Standing.HANDED_OVER), handover


def listed(desk: Desk, directory: Path, name: str, receipt: PlatformReceipt) -> Shelved:
    """Keep what a platform that takes files has answered: the release is listed there, under a name of the platform's.

    It is kept whatever the release's state is now: if it is not on offer any more, it must go from there.

    Raises:
        DigestMismatchError: the receipt is of another release, or its entry is that of another.
        PlanIncompleteError: it is listed there under another name, or was never registered.
    """
    release, entry = desk.entered(directory)
    listing = listing_of(receipt, offering_of(release, entry), name)
    known = _known(entry, name)
    _demand_kind(known, FILES)
    if known is not None and known.may_be_seen:
        there = known.listing.refs
        if there.get("entry", listing.refs["entry"]) != listing.refs["entry"]:  # what was only handed over has none
            raise PlanIncompleteError(
                f"{entry.id} is listed in {name} as {there['entry']} already",
                f"If that was taken off: `pathcurate product retract {entry.id} --space {name} --confirmed --reason …`.",
            )
        if listing.refs.items() <= there.items():
            return Shelved(entry, known, False)
        listing = replace(listing, refs={**there, **listing.refs})
    claims = ((_CLAIM, sha256_text(canonical_json([name, listing.refs["entry"]]))),)
    holder = desk.registry.claimed(*claims[0])
    if holder not in {None, entry.id}:
        raise DigestMismatchError(
            f"this entry of {name} is that of the release {holder}", "Look which release the receipt is of."
        )
    standing = known.standing if known is not None and known.standing is Standing.RETRACTING else Standing.LISTED
    return _keep(desk, entry, "published", listing, standing, claims=claims)


def retract(
    desk: Desk, entry: Entry, name: str, reason: str, space: Space | None = None, *, is_gone: bool = False
) -> Shelved:
    """Take a release off a space; its directory is not needed.

    From a platform that takes files its people take it off: first it is kept that they are to, and once somebody says that
    they have, that it is gone.

    Args:
        desk: whose it is.
        entry: the release.
        name: of the space.
        reason: why.
        space: its connector; None for a platform that takes files.
        is_gone: of such a platform: it is not listed there any more.

    Raises:
        UsageError: it was never brought there.
        PathcurateError: as the connector says; it may still be listed then.
    """
    known = _known(entry, name)
    if known is None:
        where = ", ".join(sorted(entry.facts.get(FACT, {}))) or "no space"
        raise UsageError(f"{entry.id} was never published in {name}", f"It was in {where}; see `pathcurate product spaces`.")
    _demand_kind(known, FILES if space is None else EDC)
    says = {"reason": reason}
    if space is not None:
        # Asked for even if it was taken off before: somebody may have put it back at the connector.
        stays = _taken_off(known, space)
        if not known.may_be_seen:
            return Shelved(entry, known, False)
        return _keep(desk, entry, "retract", known.listing, Standing.RETRACTED, stays=stays, says=says)
    standing = Standing.RETRACTED if is_gone else Standing.RETRACTING
    if known.standing in {standing, Standing.RETRACTED}:
        return Shelved(entry, known, False)
    return _keep(desk, entry, "retract", known.listing, standing, says=says)


def _taken_off(known: InSpace, space: Space) -> tuple[str, ...]:
    try:
        return tuple(space.retract(known.listing))
    except DigestMismatchError as error:
        if known.standing is not Standing.PENDING:
            raise
        return (error.message,)  # what kept it from being published is another's, and stays


def _offered(desk: Desk, directory: Path, name: str, kind: str, transfer: Sequence[str]) -> tuple[Release, Entry, Offering]:
    """A release that may be published today, and what a space is told of it."""
    release, entry = desk.entered(directory)
    table = lifecycle().release
    if table.target("publish", entry.state) is None:
        words = table.states[entry.state]
        raise PlanIncompleteError(
            f"{entry.id} is {entry.state} ({words.zh}, {words.en}); only what is on offer is published",
            f"`pathcurate product show {entry.id}` shows what comes next.",
        )
    evidence = gather(desk, release, entry)
    if lacks := lacks_of(evidence, "publish"):
        desk.registry.refuse(desk.command(entry, "publish"), sorted({lack.demand for lack in lacks}))
        raise refusal(evidence, "publish", lacks)
    _demand_kind(_known(entry, name), kind)
    return release, entry, offering_of(release, entry, transfer)


def _known(entry: Entry, name: str) -> InSpace | None:
    fact = entry.facts.get(FACT, {}).get(name)
    return None if fact is None else _of_fact(entry.id, entry.state, name, fact)


def _demand_kind(known: InSpace | None, kind: str) -> None:
    """Refuse a space that was another when the release came there."""
    if known is not None and known.may_be_seen and known.listing.kind != kind:
        raise UsageError(
            f"{known.release} came to {known.listing.space} when that was of kind `{known.listing.kind}`",
            "Correct `spaces` in pathcurate.yaml: another space needs another name.",
        )


def _keep(
    desk: Desk,
    entry: Entry,
    command: str,
    listing: Listing,
    standing: Standing,
    *,
    stays: tuple[str, ...] = (),
    says: Mapping[str, Any] | None = None,
    claims: Sequence[tuple[str, str]] = (),
) -> Shelved:
    """Tell the registry how a release stands in a space."""
    # A connector takes a while, and others may move the release meanwhile: what it has confirmed is kept all the same.
    now = entry if command == "publish" else _again(desk, entry)
    shelf = InSpace(now.id, now.state, listing, standing, desk.at, desk.actor, stays)
    facts = {**now.facts.get(FACT, {}), listing.space: shelf.as_fact()}
    told = {"space": listing.space, **(says or {})}
    desk.registry.transition(desk.command(now, command, sets={FACT: facts}, says=told, claims=claims))
    moved = _again(desk, entry)
    return Shelved(moved, replace(shelf, state=shown_state(desk, moved)), True)


def _again(desk: Desk, entry: Entry) -> Entry:
    now = desk.registry.get(entry.product, entry.version)
    if now is None:
        raise PathcurateError("the registry has lost what it has just kept", "Restore it from a copy.")
    return now


# --- Asking the spaces -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What a space says of a release.

    Attributes:
        shelf: what the registry says.
        answer: ``agrees``, ``differs``, ``unknown`` if nobody could be asked, or ``not asked``.
        words: what it says, or why nobody could be asked.
    """

    shelf: InSpace
    answer: str
    words: str = ""


def ask(desk: Desk, shelves: Sequence[InSpace], connect: Callable[[str], Space | None]) -> Iterator[Asked]:
    """Ask each connector whether it lists what the registry says.

    Args:
        desk: whose releases.
        shelves: of :func:`spaces`.
        connect: the connector of a space; None if it has none.
    """
    for shelf in shelves:
        try:
            space = connect(shelf.listing.space) if shelf.listing.kind == EDC else None
            yield Asked(shelf, "not asked") if space is None else _asked(desk, shelf, space)
        except DigestMismatchError as error:
            yield Asked(shelf, "differs", error.message)
        except PathcurateError as error:
            yield Asked(shelf, "unknown", error.message)


def _asked(desk: Desk, shelf: InSpace, space: Space) -> Asked:
    product, _, version = shelf.release.partition("@")
    entry, directory = desk.registry.get(product, version), desk.workspace.releases / product / version
    if entry is None or not is_release(directory):
        return Asked(shelf, "unknown", "its directory is not here, so nobody can say what should be listed")
    found = space.look(offering_of(verify_release(directory), entry))
    if found is None:
        agrees = shelf.standing is not Standing.LISTED
        return Asked(shelf, "agrees" if agrees else "differs", "" if agrees else "it is not listed there any more")
    agrees = shelf.standing is Standing.LISTED
    return Asked(shelf, "agrees" if agrees else "differs", "" if agrees else "it is listed there")
