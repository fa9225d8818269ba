"""A recipient accepts a contract: they sign the terms that the holder has signed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pathcurate.agreements import contract_statement, demand_terms, read_signed, signed_terms
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, ExpiredError, InputOutputError, PathcurateError, VaultError
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY, Agreement
from pathcurate.model.attestation import Envelope
from pathcurate.model.trust import ED25519, LANGUAGE, Trust, TrustedSigner
from pathcurate.signing import Signer, sign
from pathcurate.storage import write_bytes

ACCEPTANCE_FILE = "acceptance.json"
_SIGNATURES = "contract.*.json"
_MOST_SIGNATURES = 32
_HINT = "Ask the holder for the folder again; nothing was signed."


@dataclass(frozen=True, slots=True)
class Accepted:
    """What was accepted.

    Attributes:
        agreement: the terms.
        file: what was signed, for the holder.
        signed_by: names of those who signed for the holder.
        is_new: False if it was accepted before.
    """

    agreement: Agreement
    file: Path
    signed_by: tuple[str, ...]
    is_new: bool


def accept(directory: Path, signer: Signer, *, now: datetime, trust: Trust | None = None) -> Accepted:
    """Sign the terms of a contract as its recipient; again changes nothing.

    Args:
        directory: what the holder has sent: ``agreement.json``, its policy, and the holder's signatures.
        signer: the recipient's key, which the application named.
        now: the present, with time zone.
        trust: whose signatures count for the holder; without it, the keys that the agreement itself names: then only the
            way on which it came says whose they are.

    Raises:
        DigestMismatchError: the policy is not the one that the terms name, or no one who counts has signed them.
        ExpiredError: the time of the use is over.
        InputOutputError: something is missing or of another form.
        VaultError: the key is not the one that the terms name.
    """
    content, policy = read_signed(directory / AGREEMENT_FILE), read_signed(directory / AGREEMENT_POLICY)
    try:
        agreement = Agreement.model_validate_json(content)
    except ValueError:
        raise InputOutputError(f"{AGREEMENT_FILE} is not of its form", _HINT) from None
    if sha256_text(policy) != agreement.policy_sha256:
        raise DigestMismatchError(f"{AGREEMENT_POLICY} is not the policy that the terms name", _HINT)
    if signer.keyid != agreement.keys.keyid:
        raise VaultError(
            "this key is not the one that the terms name as the recipient's",
            "Sign with the key that your application named; `agreement.json` says which one.",
        )
    holders = trust or Trust(trust=LANGUAGE, signers=agreement.holder_keys)
    names = _holders(directory, agreement, content, holders)
    if agreement.period.last < now.date():
        raise ExpiredError(f"the use ended on {agreement.period.last}", "Apply anew.")
    file = directory / ACCEPTANCE_FILE
    own = _own_trust(agreement)
    if file.exists():
        there = signed_terms(read_signed(file), "recipient", own)
        demand_terms(there, agreement.contract, sha256_text(content), agreement.policy_sha256)
        return Accepted(agreement, file, names, is_new=False)
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    envelope = sign(contract_statement(agreement, content, policy, "recipient", {"at": at}), [signer])
    write_bytes(file, envelope.as_bytes())
    return Accepted(agreement, file, names, is_new=True)


def _own_trust(agreement: Agreement) -> Trust:
    key = TrustedSigner(
        name=agreement.recipient,
        roles=("recipient",),
        scheme=ED25519,
        public=agreement.keys.signing,
        since=datetime.min.date(),
    )
    return Trust(trust=LANGUAGE, signers=(key,))


def _holders(directory: Path, agreement: Agreement, content: bytes, trust: Trust) -> tuple[str, ...]:
    """Who has signed for the holder; what is wrong with any of their files is told."""
    files = sorted(directory.glob(_SIGNATURES))[:_MOST_SIGNATURES]
    if not files:
        raise InputOutputError("the holder's signature (contract.*.json) is not in the folder", _HINT)
    names = []
    for file in files:
        signed = read_signed(file)
        try:
            statement = signed_terms(signed, "holder", trust)
            demand_terms(statement, agreement.contract, sha256_text(content), agreement.policy_sha256)
        except PathcurateError as error:
            raise DigestMismatchError(f"{file.name}: {error.message}", _HINT) from None
        names.extend(_names(signed, trust))
    return tuple(dict.fromkeys(names))


def _names(signed: bytes, trust: Trust) -> list[str]:
    found = (trust.signer(one.keyid) for one in Envelope.parse(signed).signatures)
    return [one.name for one in found if one is not None]
