"""A contract's data is delivered: what goes is ordered, prepared, sent by whoever has the target, and concluded.

The steps stand alone so that the workspace need not be held while terabytes travel: whoever withdraws meanwhile is heard,
and what was sent then is not concluded but sent anew without them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.digests import sha256_text
from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    ExpiredError,
    InputOutputError,
    PlanIncompleteError,
    UsageError,
    VaultError,
)
from pathcurate.lifecycle import lifecycle
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY, Agreement
from pathcurate.model.attestation import DELIVERY, DELIVERY_RECEIPT, Envelope, Statement
from pathcurate.model.attestation import Subject as StatedSubject
from pathcurate.model.delivery import CONTENTS_LIST, DELIVERY_FILE, DELIVERY_SIGNED, DeliveryDocument, VolumeEntry
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Opened, Step, Subject
from pathcurate.model.trust import TrustedSigner
from pathcurate.product.contents import Prepared
from pathcurate.product.contracts import (
    contract_directory,
    demand_release,
    find_contract,
    read_agreement,
    recipient_trust,
    trust_of,
)
from pathcurate.product.desk import Desk, keep_paper
from pathcurate.product.settlement import DELIVERIES, SOURCES_FILE, charged_before
from pathcurate.product.signatures import role_of, trusted
from pathcurate.releases import Release, find_release, verify_release
from pathcurate.rights import unauthorised
from pathcurate.rights.metering import meter
from pathcurate.rights.sources import read_sources
from pathcurate.roles import shared_directory
from pathcurate.signing import Signer, Verified, lacking, sign, verify
from pathcurate.withdrawals.subjects import withdrawn_head

RECEIPT_FILE = "receipt.json"
_UNDER_WAY = ("prepared", "started")
_DELIVERED = ("offered", "superseded")
"""States of a release in which its contracts are delivered: those of a superseded one go on."""
_NO_FILES = {"api": "through an interface", "sealed": "not at all: it is evaluated where it lies"}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be delivered to whom.

    Attributes:
        contract: in force.
        agreement: its terms.
        release: that it is for, whole.
        delivery: under way, or done.
        is_moved: whether it was under way to another target until now, so that everything is sent anew.
    """

    contract: Subject
    agreement: Agreement
    release: Release
    delivery: Subject
    is_moved: bool = False

    @property
    def is_done(self) -> bool:
        """Whether everything has been delivered already."""
        return self.delivery.state not in _UNDER_WAY


# --- Ordering ----------------------------------------------------------------------------------------------------


def order(desk: Desk, name: str, signer: Signer, *, target: str, again: bool) -> Order:
    """What a contract's next delivery is: the one under way, the one that is done, or a new one.

    Args:
        desk: whose it is.
        name: of the contract.
        signer: who will sign for it; told before anything is sent.
        target: where it goes, as it is kept in the registry.
        again: make a new one although one is done; send one that is under way to another target.

    Raises:
        UsageError: there is no such contract, or the delivery under way goes elsewhere.
        PlanIncompleteError: the contract is not in force, or not for data that is given away.
        ExpiredError: its last day is over, or what the release rests on has run out.
        DigestMismatchError: the release is not the one that it is for.
        DisclosureRefusedError: a site's authorisation has ended since.
        VaultError: the key is nobody's, does not count any more, or is not one that the recipient knows.
    """
    contract = find_contract(desk, name)
    agreement = _in_force(desk, contract)
    _demand_outside(desk, target)
    _demand_signer(desk, agreement, signer)
    release = verify_release(
        find_release(desk.workspace.releases, f"{agreement.product}@{agreement.version}", desk.workspace.root)
    )
    if release.digest != agreement.release_digest:
        raise DigestMismatchError(
            f"{release.name} {release.version} is not the release that contract {contract.id} is for",
            "Restore the release whose digest the agreement names from a copy.",
        )
    _demand_sites(desk, release)
    made = _deliveries(desk, contract)
    if not made or made[-1].state in {*_UNDER_WAY, "suspended"} or again:
        demand_release(desk, f"{contract.product}@{contract.version}", _DELIVERED, "delivered")
    if made and (made[-1].state in {*_UNDER_WAY, "suspended"} or not again):
        going = _gone_on(desk, made[-1], target, again=again)
        return Order(contract, agreement, release, going, going.facts["target"] != made[-1].facts["target"])
    opened = Opened(
        Machine.DELIVERY, f"{contract.id}-d{len(made) + 1}", contract.product, contract.version, contract.id, desk.actor,
        desk.at, {"recipient": agreement.recipient, "number": agreement.number, "target": target},
    )  # fmt: skip
    return Order(contract, agreement, release, desk.registry.open(opened).subject)


def _in_force(desk: Desk, contract: Subject) -> Agreement:
    if contract.state != "active":
        raise PlanIncompleteError(
            f"contract {contract.id} is {contract.state}; only one that is active is delivered",
            f"`pathcurate product contracts {contract.id}` says what comes next.",
        )
    agreement = read_agreement(desk, contract)
    if agreement.period.first > desk.today:
        raise PlanIncompleteError(
            f"the use of contract {contract.id} begins on {agreement.period.first}", "Deliver it then."
        )
    if agreement.period.last < desk.today:
        raise ExpiredError(
            f"the use of contract {contract.id} ended on {agreement.period.last}", "Agree upon a new one; see `apply`."
        )
    if agreement.environment in _NO_FILES:
        raise PlanIncompleteError(
            f"contract {contract.id} gives the data {_NO_FILES[agreement.environment]}", "It is not delivered as files."
        )
    return agreement


def _demand_outside(desk: Desk, target: str) -> None:
    """Refuse a directory within the workspace or an archive, or that holds either."""
    if target.startswith("s3://"):
        return
    archives = [archive.root for site in desk.workspace.settings.sites for archive in site.archives]
    place = Path(target).resolve()
    for own in (desk.workspace.root, *(root for root in archives if isinstance(root, Path))):
        if place.is_relative_to(own.resolve()) or own.resolve().is_relative_to(place):
            raise UsageError("the delivery would lie in the workspace or an archive", "Name a directory outside of both.")


def _demand_signer(desk: Desk, agreement: Agreement, signer: Signer) -> TrustedSigner:
    """Whose key it is, if the recipient can know it.

    Raises:
        VaultError: the key is nobody's, does not count, or is none of the agreement's.
    """
    known = trusted(desk, trust_of(desk), signer)
    role_of(known, None, tuple(trust_of(desk).needs("deliver")) or ("steward",))
    if signer.keyid not in {one.keyid for one in agreement.holder_keys}:
        raise VaultError(
            f"the key of {known.name} is not one that contract {agreement.contract} names, so its recipient would refuse it",
            "Let a steward sign whose key counted when the contract was signed.",
        )
    return known


def _demand_sites(desk: Desk, release: Release) -> None:
    sources = read_sources(desk.workspace, release.name, release.version, release.digest)
    faults = unauthorised(
        desk.workspace, desk.today, [site for site, one in sources.sites.items() if any(one.counts.values())]
    )
    if faults:
        named = "; ".join(f"{site}: {fault}" for site, fault in faults.items())
        raise DisclosureRefusedError(
            f"the release holds rows of a site without a valid authorisation ({named})",
            "Renew the authorisation, or build a version without the site and agree upon that.",
        )


def _deliveries(desk: Desk, contract: Subject) -> list[Subject]:
    made = desk.registry.subjects(Machine.DELIVERY, parent=contract.id)
    return sorted(made, key=lambda one: int(one.id.rpartition("-d")[2]))


def _gone_on(desk: Desk, delivery: Subject, target: str, *, again: bool) -> Subject:
    """The delivery to go on with."""
    if delivery.state not in {*_UNDER_WAY, "suspended"}:
        return delivery
    if delivery.facts["target"] != target and not again:
        raise UsageError(
            f"delivery {delivery.id} is under way to another target",
            "Give that one, so that it goes on; or give --again to begin anew at this one: then destroy what lies there.",
        )
    if delivery.state == "suspended":
        delivery = desk.registry.transition(_command(desk, delivery, "resume")).subject
    if delivery.facts["target"] != target:
        return desk.registry.transition(_command(desk, delivery, "start", sets={"target": target})).subject
    return delivery


# --- Sending -----------------------------------------------------------------------------------------------------


def start(desk: Desk, made: Order, prepared: Prepared) -> Subject:
    """Say that what was prepared is on its way, and what it costs."""
    before = charged_before(desk, made.contract, made.delivery.id)
    period = (made.agreement.period.first, made.agreement.period.last)
    metered = meter(made.agreement.price, _charged(prepared), before, period)
    sources = json_text(prepared.sources.as_dict()).encode()
    keep_paper(kept_directory(desk, made.delivery) / SOURCES_FILE, sources)
    sets = {
        "contents": prepared.contents_sha256, "counts": dict(prepared.counts), "left_out": dict(prepared.left_out),
        "metered": metered.as_dict(), "sources": sha256_text(sources), "unit": prepared.unit,
        "withdrawals": prepared.withdrawals,
    }  # fmt: skip
    return desk.registry.transition(_command(desk, made.delivery, "start", sets=sets)).subject


def _charged(prepared: Prepared) -> Mapping[str, int]:
    """What is paid for: of slides and series whose files could not be delivered, the rows are free."""
    missing = prepared.left_out.get("files_missing", 0)
    return {
        name: max(0, count - missing) if name in {"slides", "series"} else count for name, count in prepared.counts.items()
    }


def kept_directory(desk: Desk, delivery: Subject) -> Any:
    """Where the workspace keeps what is said of a delivery."""
    return shared_directory(shared_directory(desk.workspace.products / DELIVERIES) / delivery.id)


def documents(
    desk: Desk, made: Order, delivery: Subject, prepared: Prepared, volumes: Sequence[VolumeEntry], signer: Signer,
    *, is_encrypted: bool,
) -> Mapping[str, bytes]:  # fmt: skip
    """What lies beside the volumes and says what they are, signed; kept in the workspace too.

    A run that was cut off goes on with what it signed, as long as that is of the same volumes.

    Raises:
        VaultError: the key is nobody's, or does not count any more.
        UsageError: ``trust.yaml`` asks for more than one signature.
        PlanIncompleteError: somebody has withdrawn since it was prepared, or another run has prepared something else.
        ExpiredError: the contract's last day is over.
    """
    now = desk.registry.subject(Machine.DELIVERY, delivery.id)
    _in_force(desk, find_contract(desk, made.contract.id))
    is_as_sent = (
        now is not None
        and (now.state, now.facts.get("contents")) == ("started", prepared.contents_sha256)
        and now.facts.get("withdrawals", 0) == prepared.withdrawals
    )
    if not is_as_sent or prepared.withdrawn != withdrawn_head(desk.workspace.vault):
        raise PlanIncompleteError(
            f"somebody has withdrawn, or the contract was stopped, while delivery {delivery.id} was under way",
            "Run the command again: it goes on with what is still to be delivered. What was sent is not announced.",
        )
    agreement, directory = made.agreement, contract_directory(desk.workspace, made.contract.id)
    document = DeliveryDocument(
        delivery=delivery.id, contract=made.contract.id, number=agreement.number, recipient=agreement.recipient,
        product=agreement.product, version=agreement.version, derived_from=agreement.release_digest,
        agreement=sha256_text((directory / AGREEMENT_FILE).read_bytes()), at=desk.at,
        encryption="age-encryption.org/v1 X25519" if is_encrypted else None, tables=prepared.tables,
        counts=prepared.counts, left_out=prepared.left_out, contents_sha256=prepared.contents_sha256,
        withdrawals=prepared.withdrawals, volumes=tuple(volumes),
    )  # fmt: skip
    kept = kept_directory(desk, delivery)
    before = _kept_document(kept, document)
    content = json_text(document.as_dict()).encode() if before is None else before[0]
    envelope = _signed(desk, document, content, signer) if before is None else before[1]
    found = {
        DELIVERY_FILE: content, DELIVERY_SIGNED: envelope,
        AGREEMENT_FILE: (directory / AGREEMENT_FILE).read_bytes(),
        AGREEMENT_POLICY: (directory / AGREEMENT_POLICY).read_bytes(),
    }  # fmt: skip
    for name in (DELIVERY_FILE, DELIVERY_SIGNED):
        keep_paper(kept / name, found[name])
    return found


def _kept_document(kept: Any, document: DeliveryDocument) -> tuple[bytes, bytes] | None:
    """What was signed before of the same volumes."""
    try:
        content, envelope = (kept / DELIVERY_FILE).read_bytes(), (kept / DELIVERY_SIGNED).read_bytes()
        there = DeliveryDocument.model_validate_json(content)
    except (OSError, ValueError):
        return None
    return (content, envelope) if there.model_copy(update={"at": document.at}) == document else None


def _signed(desk: Desk, document: DeliveryDocument, content: bytes, signer: Signer) -> bytes:
    known = trusted(desk, trust_of(desk), signer)
    needed = trust_of(desk).needs("deliver")
    role = role_of(known, None, tuple(needed) or ("steward",))
    if lacking((Verified(signer.keyid, known.name, (role,)),), needed):
        raise UsageError(
            "trust.yaml asks for more than one signature on a delivery, which can have one alone",
            "Correct `thresholds: {deliver: …}` in it.",
        )
    events, head = desk.registry.head()
    subjects = (
        StatedSubject(DELIVERY_FILE, sha256_text(content).removeprefix("sha256:")),
        StatedSubject(CONTENTS_LIST, document.contents_sha256.removeprefix("sha256:")),
    )
    predicate = {
        "delivery": document.delivery, "contract": document.contract, "recipient": document.recipient,
        "product": document.product, "version": document.version, "derivedFrom": document.derived_from,
        "agreement": document.agreement, "at": desk.at, "registry": {"events": events, "head": head},
    }  # fmt: skip
    return sign(Statement(subjects, DELIVERY, predicate), [signer]).as_bytes()


def complete(desk: Desk, delivery: Subject, volumes: Sequence[VolumeEntry], document: bytes) -> Step:
    """Say that all of it is at the target."""
    sets = {
        "document": sha256_text(document), "volumes": len(volumes), "bytes": sum(volume.bytes for volume in volumes),
        "completed_at": desk.at,
    }  # fmt: skip
    return desk.registry.transition(Command(Machine.DELIVERY, delivery.id, "complete", desk.actor, desk.at, sets=sets))


# --- Afterwards --------------------------------------------------------------------------------------------------


def find_delivery(desk: Desk, name: str) -> Subject:
    """The delivery of a name; see :meth:`Desk.found`."""
    return desk.found(Machine.DELIVERY, name)


def acknowledge(desk: Desk, delivery: Subject, receipt: bytes) -> Step:
    """Keep the receipt that whoever got a delivery has signed; the same again changes nothing.

    Raises:
        DigestMismatchError: it is not signed by the contract's recipient, or is of another delivery.
        InputOutputError: it is no receipt.
        PlanIncompleteError: the delivery is in no state for that.
    """
    contract = desk.registry.subject(Machine.CONTRACT, delivery.parent)
    if contract is None:
        raise InputOutputError("the registry has lost the contract of the delivery", "Restore it from a copy.")
    envelope = Envelope.parse(receipt)
    statement = envelope.statement()
    if statement.predicate_type != DELIVERY_RECEIPT:
        raise InputOutputError("the file is no receipt of a delivery", "Ask for the one that `product receive` has signed.")
    faults = [one.fault for one in verify(envelope, recipient_trust(contract)) if one.fault is not None]
    if faults or not envelope.signatures:
        raise DigestMismatchError(
            f"the receipt is not signed with the key that contract {contract.id} names",
            "Ask the recipient who has signed it; nothing was kept.",
        )
    said = statement.predicate
    contents = {one.sha256 for one in statement.subjects if one.name == CONTENTS_LIST}
    is_of_it = said.get("delivery") == delivery.id and f"sha256:{''.join(contents)}" == delivery.facts.get("contents")
    if not is_of_it or said.get("document") != delivery.facts.get("document"):
        raise DigestMismatchError(
            f"the receipt is of another delivery than {delivery.id}, or of other content",
            "Find out which one it is of; nothing was kept.",
        )
    held = {"sha256": sha256_text(receipt), "signed_on": str(statement.signed_on), "keyid": envelope.signatures[0].keyid}
    if delivery.facts.get("receipt") == held:
        return Step(delivery, (), False)
    table = lifecycle().delivery
    name = "acknowledge" if table.target("acknowledge", delivery.state) is not None else "acknowledge_late"
    if table.target(name, delivery.state) is None:
        words = table.states[delivery.state]
        raise PlanIncompleteError(
            f"delivery {delivery.id} is {delivery.state} ({words.zh}, {words.en}); its receipt is kept once it is completed",
            f"`pathcurate product deliveries {delivery.id}` shows where it stands.",
        )
    keep_paper(kept_directory(desk, delivery) / RECEIPT_FILE, receipt)
    return desk.registry.transition(_command(desk, delivery, name, sets={"receipt": held}))


def _command(desk: Desk, delivery: Subject, name: str, **parts: Any) -> Command:
    return Command(Machine.DELIVERY, delivery.id, name, desk.actor, desk.at, seen=delivery.last, **parts)
