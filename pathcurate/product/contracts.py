"""A contract for a release: terms that are bound to its digest, signed by both sides, in force until they end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from pathcurate.agreements import contract_statement, demand_terms, signed_terms
from pathcurate.applications import application_digest, load_application
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import (
    DigestMismatchError,
    ExpiredError,
    InputOutputError,
    PlanIncompleteError,
    UsageError,
)
from pathcurate.lifecycle import lifecycle
from pathcurate.metadata.agreement import POLICY_PATH, agreement_policy
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY, Agreement
from pathcurate.model.application import APPLICATION_FILE, Application
from pathcurate.model.attestation import Statement
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Subject
from pathcurate.model.productfile import PRODUCT_FILE, Price, ProductFile
from pathcurate.model.registration import RecordedSignature
from pathcurate.model.trust import ED25519, LANGUAGE, Role, Trust, TrustedSigner
from pathcurate.model.usematch import UseMatch
from pathcurate.product.desk import Desk, keep_paper
from pathcurate.product.endings import over
from pathcurate.product.signatures import role_of, trusted
from pathcurate.productfile import load_product_file
from pathcurate.releases import Release, find_release, verify_release
from pathcurate.signing import Signer, Verified, lacking, sign
from pathcurate.trustfile import load_trust
from pathcurate.workspace import Workspace

CONTRACTS = "contracts"
"""Below ``products/``: a folder for each contract."""
ACCEPTANCE_FILE = "acceptance.json"
"""What the recipient has signed."""
MATCH_FILE = "match.json"
DELETION_DAYS = 30
"""Within which what was withdrawn is deleted, unless something else is agreed upon."""

_SIGNED = frozenset({"signed", "active", "suspended", "expired", "terminated"})
_NUMBER = "contract number"
_CARE = ("DUO_0000043",)
"""Beside the purpose, of a use that is for the care of patients too."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed upon beside what the application and the release say.

    Attributes:
        number: of the contract, as the parties gave it.
        price: None for that of the release.
        last: last day of the use; None for that of the application.
        deletion_days: see :data:`DELETION_DAYS`.
    """

    number: str
    price: Price | None = None
    last: date | None = None
    deletion_days: int = DELETION_DAYS


@dataclass(frozen=True, slots=True)
class Advanced:
    """A contract after somebody did something about it.

    Attributes:
        contract: as it stands.
        is_new: False if it was so before.
        match: how the use and the policy compare; None if nobody looked.
        lacks: how many persons of each role are still to sign.
        also: what else was moved.
    """

    contract: Subject
    is_new: bool = True
    match: UseMatch | None = None
    lacks: Mapping[Role, int] | None = None
    also: Sequence[Subject] = ()


def contract_directory(workspace: Workspace, contract: str) -> Path:
    """Where a workspace keeps the papers of a contract."""
    return workspace.products / CONTRACTS / contract


def find_contract(desk: Desk, name: str) -> Subject:
    """The contract of a name; see :meth:`Desk.found`."""
    return desk.found(Machine.CONTRACT, name)


def recipient_trust(contract: Subject) -> Trust:
    """The trust in which the signatures of a contract's recipient count, and nobody else's."""
    signer = TrustedSigner(
        name=str(contract.facts["recipient"]), roles=("recipient",), scheme=ED25519,
        public=str(contract.facts["keys"]["signing"]), since=date.min,
    )  # fmt: skip
    return Trust(trust=LANGUAGE, signers=(signer,))


def terms_of(release: Release) -> ProductFile:
    """What the release says of itself: what was offered is what is agreed upon."""
    path = release.directory / PRODUCT_FILE
    if not path.is_file():
        raise PlanIncompleteError(
            f"{release.name} {release.version} says nothing of what it may be used for",
            f"Write products/{release.name}.yaml, raise the version and offer that one.",
        )
    return load_product_file(path)


def read_applied(desk: Desk, contract: Subject) -> Application:
    """What was applied for.

    Raises:
        DigestMismatchError: the file is missing, or was changed since.
    """
    path = contract_directory(desk.workspace, contract.id) / APPLICATION_FILE
    try:
        application = load_application(path)
    except (UsageError, InputOutputError):
        raise _changed(contract, APPLICATION_FILE) from None
    if application_digest(application) != contract.facts["application"]:
        raise _changed(contract, APPLICATION_FILE)
    return application


def _changed(contract: Subject, name: str) -> DigestMismatchError:
    return DigestMismatchError(
        f"products/{CONTRACTS}/{contract.id}/{name} is missing, or was changed since it was kept", "Restore it from a copy."
    )


# --- Contract ----------------------------------------------------------------------------------------------------


def contract(desk: Desk, subject: Subject, terms: Terms, signer: Signer) -> Advanced:
    """Write the terms, and sign them for the holder; with the last signature that is needed the contract is signed.

    Until then other terms may be given: signatures under earlier ones count no more.

    Args:
        desk: whose it is.
        subject: an application that is approved.
        terms: what else is agreed upon.
        signer: a steward.

    Raises:
        UsageError: the terms are of another form.
        DigestMismatchError: it is signed with other terms, or its number is another contract's.
        PlanIncompleteError: it is not approved, or the release is not on offer any more.
        ExpiredError: the use would be over.
    """
    trust = trust_of(desk)
    known = trusted(desk, trust, signer)
    chosen = role_of(known, None, tuple(trust.needs("contract")) or ("steward",))
    is_signed = "agreement" in subject.facts and subject.state in _SIGNED
    if is_signed and still_lacking(given_signatures(subject, "signatures"), trust.needs("contract")):
        demand_state(subject, "sign")  # it ended before all had signed
    if not is_signed:
        demand_state(subject, "sign")
        demand_release(desk, subject.parent, ("offered",), "signed")
    made, policy = _agreement(desk, subject, terms, trust)
    directory = contract_directory(desk.workspace, subject.id)
    content, given = json_text(made.as_dict()).encode(), given_signatures(subject, "signatures")
    is_same = "agreement" in subject.facts and _is_of(desk, subject, made, is_binding=is_signed)
    if is_signed:
        if not is_same:
            raise DigestMismatchError(
                f"contract {subject.id} is signed with other terms", "What was signed stands; terminate it and apply anew."
            )
        return Advanced(subject, False, None, {})
    if is_same:
        content = (directory / AGREEMENT_FILE).read_bytes()
        if any(one.keyid == signer.keyid for one in given) and (lacks := still_lacking(given, trust.needs("contract"))):
            return Advanced(subject, False, None, lacks)
    else:
        given = []
    claim = (_NUMBER, sha256_text(canonical_json(made.number)))
    if desk.registry.claimed(*claim) not in {None, subject.id}:
        raise DigestMismatchError("another contract has this number", "Give the contract a number of its own.")
    keep_paper(directory / AGREEMENT_POLICY, policy.encode())
    keep_paper(directory / AGREEMENT_FILE, content)
    name = f"contract.{signer.keyid[:8]}"
    statement = contract_statement(made, content, policy.encode(), "holder", signed_at(desk))
    digest = lay_statement(desk, subject, name, signer, statement)
    given = [*(one for one in given if one.keyid != signer.keyid),
             RecordedSignature(chosen, known.name, signer.keyid, f"{name}.json", digest)]  # fmt: skip
    lacks = still_lacking(given, trust.needs("contract"))
    sets = {
        "signatures": [one.as_dict() for one in given], "agreement": sha256_text(content),
        "policy": sha256_text(policy.encode()), "number": made.number, "valid_from": str(made.period.first),
        "valid_until": str(made.period.last), "price": made.price.model_dump() if made.price is not None else None,
        "deletion_days": made.deletion_days,
    }  # fmt: skip
    command = contract_command(desk, subject, "negotiate" if lacks else "sign", sets)
    # Only a number that stands is nobody else's: one that was mistyped while they negotiated is free again.
    step = desk.registry.transition(command if lacks else replace(command, claims=(claim,)))
    return Advanced(step.subject, step.is_new, None, lacks)


def _is_of(desk: Desk, contract: Subject, made: Agreement, *, is_binding: bool) -> bool:
    """Whether a contract has these terms, whoever's keys counted on the day that they were written.

    Raises:
        DigestMismatchError: they are binding, and were changed. Until then a run may have been cut off over others.
    """
    try:
        there = read_agreement(desk, contract)
    except DigestMismatchError:
        if is_binding:
            raise
        return False
    return there.model_copy(update={"signed_on": made.signed_on, "holder_keys": made.holder_keys}) == made


def _agreement(desk: Desk, subject: Subject, terms: Terms, trust: Trust) -> tuple[Agreement, str]:
    application, release = read_applied(desk, subject), applied_release(desk, subject)
    said, use = terms_of(release), application.use
    if said.holder is None:
        raise PlanIncompleteError(
            f"{release.name} {release.version} does not say who holds the data",
            f"Write `holder:` into products/{release.name}.yaml, raise the version and offer that one.",
        )
    period = application.period.model_copy(update={"last": terms.last or application.period.last})
    if period.last > application.period.last or period.last < period.first:
        raise UsageError(
            f"the use was applied for until {application.period.last}", "Give a last day within the time that was approved."
        )
    price = terms.price or said.price
    if price is not None and price.unit == "query" and said.policy.environment in {"file", "tre"}:
        raise UsageError(
            "the price is of a query, and files answer none", "Give --price of a slide, case, patient or the release."
        )
    if period.last < desk.today:
        raise ExpiredError(f"the use would have ended on {period.last}", "Let them apply anew.")
    policy = agreement_policy(
        (release.directory / POLICY_PATH).read_bytes(), contract=subject.id, release_digest=release.digest,
        party=application.applicant, purposes=(use.purpose, *(_CARE if use.clinical_care else ())), diseases=use.diseases,
        period=period, deletion_days=terms.deletion_days,
    )  # fmt: skip
    roles = {"steward", *trust.needs("deliver"), *trust.needs("withdraw")}
    today = desk.now_utc.date()
    stewards = tuple(one for one in trust.signers if roles & set(one.roles) and one.fault_on(today) is None)
    try:
        made = Agreement(
            contract=subject.id, number=terms.number, product=release.name, version=release.version,
            release_digest=release.digest, urn=str(release.manifest["urn"]), title=str(release.manifest.get("title", "")),
            holder=said.holder.name.either("zh"), recipient=application.recipient,
            party=application.applicant, purpose=use.purpose, diseases=use.diseases, duo=said.policy.duo,
            forbidden=said.policy.forbidden, environment=said.policy.environment, period=period,
            price=price, deletion_days=terms.deletion_days, policy_sha256=sha256_text(policy.encode()),
            application_sha256=str(subject.facts["application"]), signed_on=desk.today, keys=application.keys,
            holder_keys=stewards,
        )  # fmt: skip
    except ValueError:
        raise UsageError(
            "the terms are of another form: a number is one line, deletion days are 1 to 3650, and a steward has a key",
            "Correct them; see `pathcurate product contract --help`.",
        ) from None
    return made, policy


def read_agreement(desk: Desk, contract: Subject) -> Agreement:
    """The terms of a contract that is signed.

    Raises:
        PlanIncompleteError: it has none yet.
        DigestMismatchError: they are missing, or were changed since.
    """
    if "agreement" not in contract.facts:
        raise PlanIncompleteError(
            f"contract {contract.id} has no terms yet", f"`pathcurate product contract {contract.id}` writes them."
        )
    path = contract_directory(desk.workspace, contract.id) / AGREEMENT_FILE
    try:
        content = path.read_bytes()
        if sha256_text(content) != contract.facts["agreement"]:
            raise ValueError("another file")
        return Agreement.model_validate_json(content)
    except (OSError, ValueError):
        raise _changed(contract, AGREEMENT_FILE) from None


def activate(desk: Desk, contract: Subject, acceptance: bytes) -> Advanced:
    """Bring a contract into force: its recipient has signed the same terms.

    Raises:
        DigestMismatchError: it is not signed with the recipient's key, or is of other terms.
        InputOutputError: it is no acceptance.
        PlanIncompleteError: the holder has not signed yet, or the release is not on offer any more.
        ExpiredError: the use would be over.
    """
    agreement = read_agreement(desk, contract)
    statement = signed_terms(acceptance, "recipient", recipient_trust(contract))
    demand_terms(statement, contract.id, str(contract.facts["agreement"]), str(contract.facts["policy"]))
    if contract.facts.get("accepted") is not None:
        return Advanced(contract, False)
    # The release was suspended before the recipient had signed: the contract comes into force when it is resumed.
    name = "resume" if contract.state == "suspended" else "activate"
    demand_state(contract, name)
    demand_release(desk, contract.parent, lifecycle().contract.commands[name].parent, "brought into force")
    _demand_time(desk, agreement)
    if trust_of(desk).signer(agreement.keys.keyid) is not None:
        raise DigestMismatchError(
            "the recipient's key is in trust.yaml: one owner would have signed for both sides",
            "Find out whose key it is; terminate the contract if it is one of yours.",
        )
    held = {"sha256": sha256_text(acceptance), "signed_on": str(statement.signed_on), "keyid": agreement.keys.keyid}
    keep_paper(contract_directory(desk.workspace, contract.id) / ACCEPTANCE_FILE, acceptance)
    step = desk.registry.transition(contract_command(desk, contract, name, {"accepted": held}))
    return Advanced(step.subject, step.is_new)


def _demand_time(desk: Desk, agreement: Agreement) -> None:
    if agreement.period.last < desk.today:
        raise ExpiredError(f"the use ended on {agreement.period.last}", "Let them apply anew.")


def end(desk: Desk, contract: Subject, reason: str) -> Advanced:
    """Terminate a contract: what was delivered is to be destroyed."""
    if contract.state == "terminated":
        return Advanced(contract, False)
    demand_state(contract, "terminate")
    step = desk.registry.transition(contract_command(desk, contract, "terminate", {"reason": reason}))
    return Advanced(step.subject, step.is_new, also=step.also)


def go_on(desk: Desk, contract: Subject) -> Advanced:
    """Resume a contract that was suspended with its release; its deliveries go on when they are given again.

    Raises:
        PlanIncompleteError: it is not suspended, its release still is, or its recipient has never signed.
        ExpiredError: the use is over.
    """
    if contract.state == "active":
        return Advanced(contract, False)
    demand_state(contract, "resume")
    if contract.facts.get("accepted") is None:
        raise PlanIncompleteError(
            f"the recipient of contract {contract.id} has not signed it", "`pathcurate product activate` resumes it then."
        )
    demand_release(desk, contract.parent, lifecycle().contract.commands["resume"].parent, "resumed")
    _demand_time(desk, read_agreement(desk, contract))
    step = desk.registry.transition(contract_command(desk, contract, "resume", {}))
    return Advanced(step.subject, step.is_new)


def expire_ended(desk: Desk) -> list[Advanced]:
    """Tell the registry of every contract whose last day is over."""
    moved = []
    for one in desk.registry.subjects(Machine.CONTRACT):
        until = one.facts.get("valid_until")
        is_over = until is not None and date.fromisoformat(until) < desk.today
        if is_over and lifecycle().contract.target("expire", one.state) is not None:
            step = desk.registry.transition(contract_command(desk, one, "expire", {}))
            moved.append(Advanced(step.subject, step.is_new))
    return moved


# --- What they share ---------------------------------------------------------------------------------------------


def applied_release(desk: Desk, contract: Subject) -> Release:
    """The release that was applied for, whole.

    Raises:
        DigestMismatchError: it was changed, or is another.
    """
    name = f"{contract.product}@{contract.version}"
    release = verify_release(find_release(desk.workspace.releases, name, desk.workspace.root))
    if release.digest != contract.facts["release_digest"]:
        raise DigestMismatchError(f"{name} is not the release that was applied for", "Restore it from a copy.")
    return release


def trust_of(desk: Desk) -> Trust:
    """Whose signatures count here."""
    return load_trust(desk.trust_file) if desk.trust_file.exists() else Trust(trust=LANGUAGE)


def given_signatures(contract: Subject, what: str) -> list[RecordedSignature]:
    """Signatures of one kind that the registry keeps: ``approvals`` or ``signatures``."""
    return [RecordedSignature(**one) for one in contract.facts.get(what, ())]


def still_lacking(given: Sequence[RecordedSignature], needed: Mapping[Role, int]) -> dict[Role, int]:
    """Who is still to sign; whoever's key was retired has signed before, and that counts."""
    roles: dict[str, Role] = {role: role for role in needed}
    return lacking((Verified(one.keyid, one.name, (roles[one.role],)) for one in given if one.role in roles), needed)


def signed_at(desk: Desk) -> Mapping[str, Any]:
    """What every statement about a contract says of the moment: when it was signed, and where the registry's chain ended."""
    events, head = desk.registry.head()
    return {"registry": {"events": events, "head": head}, "at": desk.at}


def lay_statement(desk: Desk, contract: Subject, name: str, signer: Signer, statement: Statement) -> str:
    """Sign, and keep what was signed beside the contract; its digest.

    What lies there under the name is replaced: as long as the registry does not know a signature, it counts for nothing.
    """
    content = sign(statement, [signer]).as_bytes()
    keep_paper(contract_directory(desk.workspace, contract.id) / f"{name}.json", content)
    return sha256_text(content)


def demand_state(contract: Subject, name: str) -> None:
    """Refuse a command that the state forbids before anything is signed or written."""
    table = lifecycle().contract
    if table.target(name, contract.state) is None:
        words = table.states[contract.state]
        needed = " or ".join(table.commands[name].from_)
        raise PlanIncompleteError(
            f"contract {contract.id} is {contract.state} ({words.zh}, {words.en}); `{name}` needs it to be {needed}",
            f"`pathcurate product contracts {contract.id}` says what comes next.",
        )


def demand_release(desk: Desk, release: str, states: Sequence[str], done: str) -> None:
    """Refuse what a release's state forbids before anything is signed or written; the registry would refuse it too.

    Raises:
        PlanIncompleteError: it is in another state.
        ExpiredError: what it rests on has run out, whether or not somebody has told the registry.
    """
    name, _, version = release.partition("@")
    entry = desk.registry.get(name, version)
    if entry is None or entry.state not in states:
        state = entry.state if entry is not None else "not registered"
        raise PlanIncompleteError(
            f"{release} is {state}; a contract is {done} while it is {' or '.join(states)}",
            f"`pathcurate product show {release}` says what comes next.",
        )
    if ended := over(desk, entry):
        what = "; ".join(f"{one.what} ended on {one.until}" for one in ended)
        raise ExpiredError(f"{release} rests on what has run out ({what})", "Renew it first; see `pathcurate product due`.")


def contract_command(desk: Desk, contract: Subject, name: str, sets: Mapping[str, Any]) -> Command:
    """A command for a contract as this desk saw it."""
    return Command(Machine.CONTRACT, contract.id, name, desk.actor, desk.at, sets=sets, seen=contract.last)
