"""Where a contract stands: what it lacks next, and whether its papers are those that the registry knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pathcurate.agreements import demand_terms, signed_terms
from pathcurate.digests import file_sha256, sha256_text
from pathcurate.errors import DisclosureRefusedError, PathcurateError, PlanIncompleteError
from pathcurate.model.agreement import AGREEMENT_POLICY
from pathcurate.model.attestation import Envelope
from pathcurate.model.product import Subject
from pathcurate.model.registration import Lack, RecordedSignature
from pathcurate.model.trust import Command, Trust
from pathcurate.model.usematch import Answer, UseMatch
from pathcurate.product.applying import compare
from pathcurate.product.contracts import (
    ACCEPTANCE_FILE,
    contract_directory,
    demand_release,
    given_signatures,
    read_agreement,
    read_applied,
    recipient_trust,
    still_lacking,
    trust_of,
)
from pathcurate.product.desk import Desk
from pathcurate.signing import verify

_MISSING, _REFUSED = PlanIncompleteError.exit_code, DisclosureRefusedError.exit_code
_LIVE = frozenset({"signed", "active", "suspended"})


@dataclass(frozen=True, slots=True)
class ContractStanding:
    """A contract as of today.

    Attributes:
        contract: as the registry has it.
        is_over: whether its last day has passed, be that told to the registry or not.
        next: the command that leads it on; empty if none does.
        lacks: what that command lacks.
        match: how the use and the policy compare; None if that cannot be said, or matters no more.
        faults: what is wrong with its papers.
    """

    contract: Subject
    is_over: bool
    next: str
    lacks: tuple[Lack, ...]
    match: UseMatch | None
    faults: tuple[str, ...]


def is_over(contract: Subject, today: date) -> bool:
    """Whether the last day of a contract in force has passed."""
    until = contract.facts.get("valid_until")
    return until is not None and contract.state in _LIVE and date.fromisoformat(until) < today


def standing_of(desk: Desk, contract: Subject) -> ContractStanding:
    """Where a contract stands, with its papers read again."""
    faults = tuple(contract_faults(desk, contract))
    match = None
    if not faults and contract.state in {"applied", "reviewing"}:
        try:
            match = compare(desk, contract)
        except PathcurateError as error:
            faults = (error.message,)
    command, lacks = _next(desk, contract, match)
    return ContractStanding(contract, is_over(contract, desk.today), command, tuple(lacks), match, faults)


def _next(desk: Desk, contract: Subject, match: UseMatch | None) -> tuple[str, list[Lack]]:
    match contract.state:
        case "applied" | "reviewing":
            return "approve", [*_use(match), *_unsigned(desk, contract, "approve", "approvals"), *_unoffered(desk, contract)]
        case "approved" | "negotiating":
            return "contract", [*_unsigned(desk, contract, "contract", "signatures"), *_unoffered(desk, contract)]
        case "signed":
            how = f"Send them products/contracts/{contract.id}/; they run `pathcurate product accept DIR --key FILE`."
            return "activate", [
                Lack("acceptance", "the recipient has not signed", how, _MISSING),
                *_unoffered(desk, contract),
            ]
        case "suspended":
            states = ("offered", "superseded")
            return "activate", list(_unoffered(desk, contract, states))
        case "active":
            return ("", []) if is_over(contract, desk.today) else ("deliver", [])
        case _:
            return "", []


def _use(match: UseMatch | None) -> Iterator[Lack]:
    for one in match.terms if match is not None else ():
        if one.answer is Answer.NO:
            how = "Nobody can approve that; `pathcurate product reject` says so."
            yield Lack(one.term, f"{one.label}: {one.why}", how, _REFUSED)
        elif one.answer is Answer.PERSON:
            yield Lack(
                one.term, f"{one.label}: {one.why}", "Whoever approves decides it, and says how with --note.", _MISSING
            )


def _unsigned(desk: Desk, contract: Subject, step: Command, fact: str) -> Iterator[Lack]:
    for role, number in still_lacking(given_signatures(contract, fact), trust_of(desk).needs(step)).items():
        how = f"Somebody with the role {role} in trust.yaml runs `pathcurate product {step} {contract.id} --key FILE`."
        yield Lack("signatures", f"{number} more signature{'s' if number > 1 else ''} as {role}", how, _MISSING)


def _unoffered(desk: Desk, contract: Subject, states: tuple[str, ...] = ("offered",)) -> Iterator[Lack]:
    try:
        demand_release(desk, contract.parent, states, "led on")
    except PathcurateError as error:
        yield Lack("release", error.message, error.hint, error.exit_code)


# --- Papers ------------------------------------------------------------------------------------------------------


def contract_faults(desk: Desk, contract: Subject) -> Iterator[str]:
    """What is wrong with the papers of a contract, a sentence each: something is missing, was changed, or is not signed by
    whom the registry says."""
    directory = contract_directory(desk.workspace, contract.id)
    trust = trust_of(desk)
    try:
        read_applied(desk, contract)
        if "agreement" in contract.facts:
            read_agreement(desk, contract)
    except PathcurateError as error:
        yield error.message
    if (policy := contract.facts.get("policy")) is not None and _digest(directory / AGREEMENT_POLICY) != policy:
        yield f"{AGREEMENT_POLICY} is missing, or was changed since it was signed"
    for one in (*given_signatures(contract, "approvals"), *given_signatures(contract, "signatures")):
        fault = _signature_fault(directory, one, trust)
        if fault is not None:
            yield f"{one.file} {fault}"
    if (accepted := contract.facts.get("accepted")) is not None:
        fault = _acceptance_fault(directory / ACCEPTANCE_FILE, contract, accepted["sha256"])
        if fault is not None:
            yield f"{ACCEPTANCE_FILE} {fault}"


def _signature_fault(directory: Path, one: RecordedSignature, trust: Trust) -> str | None:
    try:
        content = (directory / one.file).read_bytes()
        if sha256_text(content) != one.sha256:
            return "was changed since it was signed"
        verified = verify(Envelope.parse(content), trust)
    except (OSError, PathcurateError):
        return "is missing, or is no signed statement"
    return next((found.fault for found in verified if found.fault is not None), None)


def _acceptance_fault(file: Path, contract: Subject, digest: str) -> str | None:
    if _digest(file) != digest:
        return "is missing, or was changed since it was entered"
    try:
        statement = signed_terms(file.read_bytes(), "recipient", recipient_trust(contract))
        demand_terms(statement, contract.id, contract.facts["agreement"], contract.facts["policy"])
    except PathcurateError as error:
        return f"does not count: {error.message}"
    return None


def _digest(file: Path) -> str | None:
    try:
        return file_sha256(file)
    except OSError:
        return None
