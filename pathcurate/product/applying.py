"""Somebody applies for a release, the use is compared with its policy, and named persons approve."""

from collections.abc import Sequence
from pathlib import Path

from pathcurate.applications import application_digest, contract_id, load_application, read_application
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, DisclosureRefusedError, PlanIncompleteError, UsageError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.application import APPLICATION_FILE, Applicant, Application
from pathcurate.model.attestation import APPLICATION_REVIEW, Statement
from pathcurate.model.attestation import Subject as StatedSubject
from pathcurate.model.filerule import folded
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Opened, Subject
from pathcurate.model.registration import RecordedSignature
from pathcurate.model.usematch import Answer, TermMatch, UseMatch
from pathcurate.product.contracts import (
    MATCH_FILE,
    Advanced,
    applied_release,
    contract_command,
    contract_directory,
    demand_release,
    demand_state,
    given_signatures,
    lay_statement,
    read_applied,
    signed_at,
    still_lacking,
    terms_of,
    trust_of,
)
from pathcurate.product.desk import Desk, keep_paper
from pathcurate.product.signatures import role_of, trusted
from pathcurate.roles import shared_directory
from pathcurate.signing import Signer
from pathcurate.usematching import match_use


def apply(desk: Desk, directory: Path, file: Path) -> Advanced:
    """Enter an application for a release that is on offer; the same again changes nothing.

    Args:
        desk: whose it is.
        directory: the release.
        file: the application.

    Raises:
        UsageError: it is not of its form, or its short name or its key is somebody else's.
        PlanIncompleteError: the release is not on offer.
        ExpiredError: what the release rests on has run out.
    """
    content = read_application(file)
    application = load_application(file, content)
    release, entry = desk.entered(directory)
    name = contract_id(release.name, release.digest, application)
    known = desk.registry.subject(Machine.CONTRACT, name)
    match = match_use(application, terms_of(release), desk.today)
    if known is not None:
        if known.facts["application"] != application_digest(application):
            raise DigestMismatchError(
                f"there is another application with the id {name}", "Change a word of it, and apply anew."
            )
        return Advanced(known, False, match)
    demand_release(desk, entry.id, ("offered",), "applied for")
    _demand_own(desk, application)
    party = application.applicant
    facts = {
        "recipient": application.recipient, "party": party.name, "country": party.country, "uscc": party.uscc,
        "application": application_digest(application), "release_digest": release.digest, "match": str(match.answer),
        "keys": application.keys.model_dump(),
    }  # fmt: skip
    held = shared_directory(contract_directory(desk.workspace, name))
    keep_paper(held / APPLICATION_FILE, content)
    opened = Opened(Machine.CONTRACT, name, release.name, release.version, entry.id, desk.actor, desk.at, facts)
    step = desk.registry.open(opened)
    return Advanced(step.subject, step.is_new, match)


def _demand_own(desk: Desk, application: Application) -> None:
    """Refuse what belongs to somebody else: a short name, by which codes are keyed, and a key, by which they are known."""
    signing = application.keys.signing
    if trust_of(desk).signer(application.keys.keyid) is not None:
        raise UsageError(
            "the application names a key of trust.yaml: its owner would sign for both sides",
            "Ask for one that `pathcurate product keys recipient` made for the applicant.",
        )
    for other in _living(desk):
        is_same_name = other.facts.get("recipient") == application.recipient
        if is_same_name and not _is_same(other, application.applicant):
            raise UsageError(
                f"`recipient: {application.recipient}` is the short name of another organisation",
                "Ask for another: the codes of what is delivered are keyed by it.",
            )
        if not is_same_name and other.facts.get("keys", {}).get("signing") == signing:
            raise UsageError(
                f"the application's signing key is that of the recipient `{other.facts.get('recipient')}`",
                "An organisation has one short name; ask whose key it is.",
            )


def _living(desk: Desk) -> list[Subject]:
    """Contracts and applications, without those that were rejected: nothing was ever delivered of them, and what they
    claimed to be binds nobody."""
    return [one for one in desk.registry.subjects(Machine.CONTRACT) if one.state != "rejected"]


def _is_known(contract: Subject) -> bool:
    """Whether the key of a contract is known to be its party's: they have signed with it what the holder had sent them."""
    return contract.facts.get("accepted") is not None


def _is_same(other: Subject, party: Applicant) -> bool:
    """Whether a contract's party is this one: by its code if both have one, else by name and country."""
    code = other.facts.get("uscc")
    if code and party.uscc:
        return bool(code == party.uscc)
    then = (folded(str(other.facts.get("party", ""))), other.facts.get("country"))
    return then == (folded(party.name), party.country)


# --- Review ------------------------------------------------------------------------------------------------------


def compare(desk: Desk, contract: Subject) -> UseMatch:
    """What was applied for, compared with what the release allows, as of today.

    A key that another contract of the same recipient does not have is for a person to look at: whoever can take over a
    short name is delivered what its owner paid for.

    Raises:
        DigestMismatchError: the application, or the release, was changed.
    """
    application, release = read_applied(desk, contract), applied_release(desk, contract)
    found = match_use(application, terms_of(release), desk.today)
    others = {
        str(one.facts["keys"]["signing"])
        for one in _living(desk)
        if one.facts.get("recipient") == application.recipient and one.id != contract.id and _is_known(one)
    }
    is_first = not any(
        one.facts.get("recipient") == application.recipient and one.id != contract.id for one in _living(desk)
    )
    if is_first or application.keys.signing in others:
        return found
    why = "the signing key is none of those that this recipient has used before"
    return UseMatch((*found.terms, TermMatch("keys", "who applies", "申请方身份", Answer.PERSON, why)))


def review(desk: Desk, contract: Subject) -> Advanced:
    """Compare the use with the policy, and keep what came out."""
    demand_state(contract, "review")
    match = compare(desk, contract)
    written = json_text(match.as_dict()).encode()
    keep_paper(contract_directory(desk.workspace, contract.id) / MATCH_FILE, written)
    sets = {"match": str(match.answer), "match_sha256": sha256_text(written)}
    step = desk.registry.transition(contract_command(desk, contract, "review", sets))
    return Advanced(step.subject, step.is_new, match)


def approve(desk: Desk, contract: Subject, signer: Signer, *, role: str | None = None, note: str = "") -> Advanced:
    """Sign that an application is approved; with the last signature that is needed it is.

    What the comparison says no to is never approved, by nobody: the contract repeats the policy, and would forbid what it
    is for. What it leaves to a person, the signer decides, and says in words how.

    Args:
        desk: whose it is.
        contract: applied for; it is reviewed first if nobody has.
        signer: steward or compliance officer.
        role: in which role, if the signer has several.
        note: why what only a person can decide holds.

    Raises:
        DisclosureRefusedError: the use is not what the policy allows.
        PlanIncompleteError: what a person must decide is not decided, or the release is not on offer any more.
        VaultError: the key is nobody's, or does not count any more.
    """
    trust = trust_of(desk)
    known = trusted(desk, trust, signer)
    needed = trust.needs("approve")
    chosen = role_of(known, role, tuple(needed) or ("steward", "compliance"))
    given = given_signatures(contract, "approvals")
    is_given = any((one.keyid, one.role) == (signer.keyid, chosen) for one in given)
    lacks = still_lacking(given, needed)
    if is_given and (lacks or contract.state not in {"applied", "reviewing"}):
        return Advanced(contract, False, None, lacks)
    if contract.state == "applied":
        contract = review(desk, contract).contract
    demand_state(contract, "approve")
    demand_release(desk, contract.parent, ("offered",), "approved")
    match = compare(desk, contract)
    _demand_match(desk, contract, match, note)
    predicate = {
        "contract": contract.id, "application": contract.facts["application"],
        "releaseDigest": contract.facts["release_digest"], "decision": "approved", "match": match.as_dict(),
        "note": note.strip(), "role": chosen, **signed_at(desk),
    }  # fmt: skip
    name = f"approval.{signer.keyid[:8]}"
    subject = StatedSubject(APPLICATION_FILE, str(contract.facts["application"]).removeprefix("sha256:"))
    digest = lay_statement(desk, contract, name, signer, Statement((subject,), APPLICATION_REVIEW, predicate))
    signed = RecordedSignature(chosen, known.name, signer.keyid, f"{name}.json", digest)
    given = [*(one for one in given if one.keyid != signer.keyid), signed]
    lacks = still_lacking(given, needed)
    sets = {"approvals": [one.as_dict() for one in given], "match": str(match.answer)}
    step = desk.registry.transition(contract_command(desk, contract, "review" if lacks else "approve", sets))
    return Advanced(step.subject, step.is_new, match, lacks)


def _demand_match(desk: Desk, contract: Subject, match: UseMatch, note: str) -> None:
    if match.answer is Answer.NO:
        desk.registry.refuse(contract_command(desk, contract, "approve", {}), ["use"])
        raise DisclosureRefusedError(
            f"the use is not one that the policy allows ({_listed(match.terms, Answer.NO)})",
            "Reject it, and let them apply for what is offered; what may be offered is a new version's policy.",
        )
    if match.answer is Answer.PERSON and not note.strip():
        raise PlanIncompleteError(
            f"a person must decide what no form can tell ({_listed(match.terms, Answer.PERSON)})",
            'Say how it was decided: --note "…".',
        )


def _listed(terms: Sequence[TermMatch], answer: Answer) -> str:
    return "; ".join(f"{one.label}: {one.why}" for one in terms if one.answer is answer)


def reject(desk: Desk, contract: Subject, reason: str) -> Advanced:
    """Say no to an application."""
    if contract.state != "rejected":
        demand_state(contract, "reject")
    elif contract.facts.get("reason") != reason:
        return Advanced(contract, False)
    step = desk.registry.transition(contract_command(desk, contract, "reject", {"reason": reason}))
    return Advanced(step.subject, step.is_new)
