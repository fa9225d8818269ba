"""Papers of contracts and deliveries: whether those that the registry knows by digest are there, as they were kept."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pathcurate.digests import file_sha256
from pathcurate.errors import InputOutputError
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY
from pathcurate.model.attestation import Envelope
from pathcurate.model.delivery import DELIVERY_FILE, DELIVERY_SIGNED
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Subject
from pathcurate.model.trust import Trust
from pathcurate.product.contracts import ACCEPTANCE_FILE, contract_directory
from pathcurate.product.deliveries import RECEIPT_FILE
from pathcurate.product.desk import Desk
from pathcurate.product.heads import head_faults
from pathcurate.product.settlement import DELIVERIES, SOURCES_FILE
from pathcurate.signing import verify


def paper_faults(desk: Desk, trust: Trust, heads: list[int]) -> Iterator[str]:
    """What is wrong with the papers of contracts and deliveries.

    Args:
        desk: whose they are.
        trust: whose signatures count.
        heads: of the registry's chain; those that papers vouch for are added.
    """
    for contract in desk.registry.subjects(Machine.CONTRACT):
        folder = contract_directory(desk.workspace, contract.id)
        facts = contract.facts
        known = {AGREEMENT_FILE: facts.get("agreement"), AGREEMENT_POLICY: facts.get("policy"),
                 ACCEPTANCE_FILE: facts.get("accepted", {}).get("sha256")}  # fmt: skip
        signed = [*facts.get("approvals", ()), *facts.get("signatures", ())]
        known |= {one["file"]: one["sha256"] for one in signed}
        yield from _of(contract, folder, known)
        for one in signed:
            yield from _heads(desk, contract, folder / one["file"], trust, heads)
    for delivery in desk.registry.subjects(Machine.DELIVERY):
        folder = desk.workspace.products / DELIVERIES / delivery.id
        facts = delivery.facts
        known = {DELIVERY_FILE: facts.get("document"), RECEIPT_FILE: facts.get("receipt", {}).get("sha256"),
                 SOURCES_FILE: facts.get("sources")}  # fmt: skip
        attested: Any = facts.get("attested")
        if attested is not None:
            known[f"deletion.{'all' if attested['whole'] else attested['seq']}.json"] = attested["sha256"]
        yield from _of(delivery, folder, known)
        if "document" in facts:
            yield from _heads(desk, delivery, folder / DELIVERY_SIGNED, trust, heads)


def _of(subject: Subject, folder: Path, known: dict[str, str | None]) -> Iterator[str]:
    for name, digest in known.items():
        if digest is None:
            continue
        try:
            found = file_sha256(folder / name)
        except (OSError, InputOutputError):
            yield f"{subject.machine} {subject.id}: {name} is missing"
            continue
        if found != digest:
            yield f"{subject.machine} {subject.id}: {name} is not what was kept"


def _heads(desk: Desk, subject: Subject, path: Path, trust: Trust, heads: list[int]) -> Iterator[str]:
    try:
        envelope = Envelope.parse(path.read_bytes())
        counting = [one for one in verify(envelope, trust) if one.fault is None]
        statement = envelope.statement()
    except (OSError, InputOutputError):
        yield f"{subject.machine} {subject.id}: {path.name} cannot be read as a signed statement"
        return
    if not counting:
        yield f"{subject.machine} {subject.id}: {path.name} is signed by nobody whose signature counts"
    elif path.name == DELIVERY_SIGNED and subject.facts["document"] not in {
        f"sha256:{one.sha256}" for one in statement.subjects
    }:
        yield f"{subject.machine} {subject.id}: {path.name} is signed of another delivery"
    else:
        yield from head_faults(desk.registry, f"{subject.id} {path.name}", statement.predicate, heads)
