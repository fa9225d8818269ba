"""Somebody signs for a release: the statement is laid beside it, and the registry keeps that it was."""

from collections.abc import Callable, Mapping

from pathcurate.attestations import FOLDER, read_attestations, write_attestation
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, UsageError, VaultError
from pathcurate.model.attestation import REGISTRATION_RECEIPT, Envelope, Statement
from pathcurate.model.product import Entry
from pathcurate.model.registration import RecordedSignature, recorded_signatures
from pathcurate.model.trust import Role, Trust, TrustedSigner
from pathcurate.product.desk import Desk
from pathcurate.releases import Release
from pathcurate.signing import Signer, sign, verify

_WHEN = frozenset({"at", "registry"})
"""Members of a predicate that say when it was signed."""


def trusted(desk: Desk, trust: Trust, signer: Signer) -> TrustedSigner:
    """Whose key it is, if it counts today.

    Raises:
        VaultError: it is nobody's, or does not count any more.
    """
    known = trust.signer(signer.keyid)
    if known is None:
        raise VaultError(
            "nobody in trust.yaml has this key",
            "`pathcurate product keys new` makes one that somebody has; see `keys list`.",
        )
    fault = known.fault_on(desk.now_utc.date())
    if fault is not None:
        raise VaultError(f"{known.name} cannot sign: {fault}", "Sign with a key that counts; see `product keys list`.")
    return known


def role_of(known: TrustedSigner, wanted: str | None, possible: tuple[Role, ...]) -> Role:
    """The role in which somebody signs.

    Raises:
        UsageError: they have none of those that can, or several and nobody says which.
    """
    roles = [role for role in possible if role in known.roles]
    if wanted is not None:
        roles = [role for role in roles if role == wanted]
    if len(roles) == 1:
        return roles[0]
    if not roles:
        raise UsageError(
            f"{known.name} has none of the roles that can sign this: {wanted or ', '.join(possible)}",
            "trust.yaml says who has which role.",
        )
    raise UsageError(f"{known.name} has several roles: {', '.join(roles)}", "Say in which one with --as ROLE.")


def lay(
    desk: Desk, release: Release, name: str, signer: Signer, statement: Callable[[], Statement], trust: Trust
) -> tuple[Envelope, str]:
    """The signed statement below ``attestations/``, and the digest of its file; one that is there is taken as it is.

    A run that was cut off after it had signed goes on with what it signed.

    Raises:
        DigestMismatchError: what is there is no signature of this key for this release, or of another statement: of another
            kind, or a receipt of other content. A paper that was renewed since makes no other statement.
    """
    there = {file.name: file for file in read_attestations(release.directory)}.get(f"{name}.json")
    if there is None:
        envelope = sign(statement(), [signer])
        write_attestation(release.directory, name, envelope)
        return envelope, sha256_text(envelope.as_bytes())
    is_own = (
        there.envelope is not None
        and any(one.keyid == signer.keyid and one.fault is None for one in verify(there.envelope, trust))
        and release.digest.removeprefix("sha256:") in {one.sha256 for one in there.envelope.statement().subjects}
    )
    if not is_own or there.envelope is None or there.envelope.statement().predicate_type != statement().predicate_type:
        raise DigestMismatchError(
            f"{FOLDER}/{name}.json of {release.name} {release.version} is not what this key signed for this release",
            "Find out who has put it there, and take it away; nothing was signed.",
        )
    if not _says_the_same(there.envelope.statement(), statement()):
        raise DigestMismatchError(
            f"the owner of this key has signed the same paper with other words before ({FOLDER}/{name}.json)",
            "What was signed stands: give the same number and days, or enter a corrected certificate of the authority.",
        )
    return there.envelope, sha256_text(there.envelope.as_bytes())


def _says_the_same(there: Statement, wanted: Statement) -> bool:
    """Whether two statements of one kind agree: receipts in all but when they were signed, others always do."""
    if wanted.predicate_type != REGISTRATION_RECEIPT:
        return True
    said, meant = ({key: value for key, value in one.predicate.items() if key not in _WHEN} for one in (there, wanted))
    return said == meant


def with_signature(entry: Entry, new: RecordedSignature) -> Mapping[str, object]:
    """The fact that a signature was given, with those that were given before."""
    others = [one for one in recorded_signatures(entry.facts) if one.file != new.file]
    return {"signatures": [one.as_dict() for one in (*others, new)]}
