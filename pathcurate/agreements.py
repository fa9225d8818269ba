"""What both sides of a contract sign: statements about its terms and its policy, of one form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pathcurate.digests import open_regular, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.agreement import AGREEMENT_FILE, AGREEMENT_POLICY, Agreement
from pathcurate.model.attestation import CONTRACT, MOST_BYTES, Envelope, Statement, Subject
from pathcurate.model.trust import Trust
from pathcurate.signing import verify

Party = Literal["holder", "recipient"]
"""Who signs."""
_HINT = "Check that it is the file that was sent, and ask for it again if it is."


def contract_statement(
    agreement: Agreement, content: bytes, policy: bytes, party: Party, more: Mapping[str, Any]
) -> Statement:
    """That these are the terms.

    Args:
        agreement: the terms.
        content: their file, ``agreement.json``.
        policy: the file beside it.
        party: who signs.
        more: of the predicate: ``at`` at least, when it is signed.
    """
    predicate = {
        "contract": agreement.contract, "releaseDigest": agreement.release_digest, "recipient": agreement.recipient,
        "party": party, **more,
    }  # fmt: skip
    subjects = (Subject(AGREEMENT_FILE, _digits(content)), Subject(AGREEMENT_POLICY, _digits(policy)))
    return Statement(subjects, CONTRACT, predicate)


def signed_terms(content: bytes, party: Party, trust: Trust) -> Statement:
    """What one side has signed; whether it is of the right terms, :func:`demand_terms` says.

    Raises:
        InputOutputError: it is no such statement.
        DigestMismatchError: no key that counts has signed it, or it is the other side's.
    """
    envelope = Envelope.parse(content)
    statement = envelope.statement()
    if statement.predicate_type != CONTRACT:
        raise InputOutputError("the file is no signature of a contract", f"Ask the {party} for theirs.")
    if any(one.fault is not None for one in verify(envelope, trust)):
        raise DigestMismatchError(
            f"the contract is not signed with a key that is known as the {party}'s",
            "Ask them who has signed it, and with which key.",
        )
    if statement.predicate.get("party") != party:
        raise DigestMismatchError(f"the contract is not signed for the {party}", "Ask the other side for their signature.")
    return statement


def demand_terms(statement: Statement, contract: str, agreement: str, policy: str) -> None:
    """Refuse a signature of other terms.

    Args:
        statement: what was signed.
        contract: id that is meant.
        agreement: digest of ``agreement.json``.
        policy: digest of the policy.

    Raises:
        DigestMismatchError: it is of others.
    """
    said = [(one.name, f"sha256:{one.sha256}") for one in statement.subjects]
    wanted = [(AGREEMENT_FILE, agreement), (AGREEMENT_POLICY, policy)]
    if said != wanted or statement.predicate.get("contract") != contract:
        raise DigestMismatchError(
            "what was signed are other terms", "Send them the terms that are meant, and ask them to sign anew."
        )


def read_signed(file: Path) -> bytes:
    """The bytes of a file that somebody else has sent.

    Raises:
        InputOutputError: it cannot be read, or is larger than any that there is.
    """
    try:
        with open(file, "rb", opener=open_regular) as opened:
            content = opened.read(2 * MOST_BYTES + 1)
    except OSError as error:
        raise InputOutputError(f"{file.name} cannot be read ({type(error).__name__})", _HINT) from None
    if len(content) > 2 * MOST_BYTES:
        raise InputOutputError(f"{file.name} is larger than any that there is", _HINT)
    return content


def _digits(content: bytes) -> str:
    return sha256_text(content).removeprefix("sha256:")
