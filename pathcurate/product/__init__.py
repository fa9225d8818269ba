"""Stage: a release becomes a product: it is entered by its digest, checked, signed, registered, offered, and withdrawn.

Every verb asks the guards of :mod:`pathcurate.product.guards` first; a refusal is kept in the history and says which
evidence is lacking and how to supply it. Given again, a verb changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import DigestMismatchError, PathcurateError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.certificate import Certificate
from pathcurate.model.product import Command, Entry, State, Step, Subject
from pathcurate.model.registration import Assessment, Lack, RecordedSignature, TestResult
from pathcurate.model.rights import Withdrawal
from pathcurate.product import statements
from pathcurate.product.desk import Desk, keep_paper
from pathcurate.product.evidence import Evidence, approval_of, gather, once_signed
from pathcurate.product.guards import lacks_of, refusal
from pathcurate.product.holdings import holding
from pathcurate.product.signatures import lay, role_of, trusted, with_signature
from pathcurate.registries import Registry
from pathcurate.releases import verify_release
from pathcurate.rights.withdrawn import withdraw_site as record_withdrawal
from pathcurate.roles import shared_directory
from pathcurate.signing import Signer, Verified, lacking
from pathcurate.submission import Bundle, write_bundle

Tester = Callable[[Path], TestResult]
"""Validates a release; another stage does that."""
Word = Literal["notice", "object", "return"]
"""What an authority says before it decides: public notice, an objection, sent back."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a verb did.

    Attributes:
        entry: the release as it stands now.
        also: contracts, deliveries and earlier versions that were moved with it.
        is_new: False if it was so before.
        lacks: what the next step still lacks; the verb itself was carried out.
    """

    entry: Entry
    also: tuple[Subject, ...] = ()
    is_new: bool = True
    lacks: tuple[Lack, ...] = ()


def register(registry: Registry, directory: Path, *, actor: str, now: datetime) -> tuple[Entry, bool]:
    """Enter a release; again gives the same answer.

    Args:
        registry: the registry.
        directory: the release.
        actor: who registers it.
        now: the present, with time zone; it is stored in UTC.

    Returns:
        The entry, and whether it is new.

    Raises:
        DigestMismatchError: the release was changed since it was built, or its version is registered with other content.
        InputOutputError: the directory is no release.
    """
    release = verify_release(directory)
    entry = Entry(
        product=release.name,
        version=release.version,
        release_digest=release.digest,
        content_digest=str(release.manifest["content_digest"]),
        state=State.FROZEN,
        title=str(release.manifest.get("title", "")),
        counts=dict(release.manifest["counts"]),
        registered_at=now.astimezone(UTC).isoformat(timespec="seconds"),
        actor=actor,
    )
    return registry.register(entry)


def check(desk: Desk, directory: Path, tester: Tester, signer: Signer | None = None) -> Moved:
    """Validate a release, and keep what came out; with a key, as a signed statement beside it too.

    Raises:
        DigestMismatchError: it was changed since it was built.
        PlanIncompleteError: it breaks rules, or its state is another. What had passed before has then failed.
        VaultError: the key is nobody's, or does not count any more.
    """
    release, entry = desk.entered(directory)
    _demand_state(entry, "check")
    tested = tester(directory)
    validation = tested.as_dict()
    evidence = gather(desk, release, replace(entry, facts={**entry.facts, "validation": validation}))
    command = desk.command(entry, "check", sets={"validation": validation})
    if tested.exit_code and entry.state == State.VALIDATED:
        # Signatures would otherwise clear it on the strength of an earlier result.
        desk.registry.transition(replace(command, name="fail"))
    _demand(desk, evidence, command)
    if signer is not None:
        trusted(desk, evidence.trust, signer)
        statement = statements.test_result(desk, release, tested)
        lay(desk, release, f"quality.{signer.keyid[:8]}", signer, lambda: statement, evidence.trust)
    return _moved(desk, entry, desk.registry.transition(command))


def sign(desk: Desk, directory: Path, signer: Signer, role: str | None = None) -> Moved:
    """Sign for a release, as steward or as compliance officer; with the last signature that is needed it is cleared.

    Raises:
        VaultError: the key is nobody's, or does not count any more.
        PathcurateError: evidence is lacking: somebody who signs says that it is there.
    """
    release, entry = desk.entered(directory)
    evidence = gather(desk, release, entry)
    known = trusted(desk, evidence.trust, signer)
    chosen = role_of(known, role, ("steward", "compliance"))
    name = f"{'release' if chosen == 'steward' else 'compliance'}.{signer.keyid[:8]}"
    if any(one["file"] == f"{name}.json" for one in entry.facts.get("signatures", ())) and entry.state != State.VALIDATED:
        return Moved(entry, is_new=False)
    _demand_state(entry, "sign")
    _demand(desk, evidence, desk.command(entry, "sign"))
    make = statements.product_release if chosen == "steward" else statements.compliance_check
    _, digest = lay(desk, release, name, signer, lambda: make(desk, evidence), evidence.trust)
    sets = with_signature(entry, RecordedSignature(chosen, known.name, signer.keyid, f"{name}.json", digest))
    signed = replace(entry, facts={**entry.facts, **sets})
    lacks = lacks_of(once_signed(evidence, signed), "approve")
    # The last signature clears the release in the same step: nobody can come in between.
    command = desk.command(entry, "sign" if lacks else "approve", sets={**sets, **approval_of(desk, evidence)})
    return replace(_moved(desk, entry, desk.registry.transition(command)), lacks=tuple(lacks))


def submit(desk: Desk, directory: Path, regime: str, target: Path) -> tuple[Moved, Bundle]:
    """Write what a person uploads to an authority, and keep its digest; the same again gives the same answer.

    Args:
        desk: whose it is.
        directory: the release.
        regime: name of the authority's form.
        target: folder that the bundle is written to.

    Raises:
        PathcurateError: evidence is lacking, or the form cannot be filled.
    """
    release, entry = desk.entered(directory)
    if entry.state != State.SUBMITTED or entry.facts.get("submission", {}).get("regime") != regime:
        _demand_state(entry, "submit")
        _demand(desk, gather(desk, release, entry), desk.command(entry, "submit"))
    bundle = write_bundle(release, regime, desk.workspace.root / "forms" / "templates", target)
    sets = {"submission": {"regime": regime, "bundle": bundle.digest}}
    return _moved(desk, entry, desk.registry.transition(desk.command(entry, "submit", sets=sets))), bundle


def told(desk: Desk, directory: Path, word: Word, note: str) -> Moved:
    """Keep what an authority has said before it decides."""
    _, entry = desk.entered(directory)
    command = desk.command(entry, word, sets={"authority_says": {"word": word, "note": note}})
    return _moved(desk, entry, desk.registry.transition(command))


def receipt(desk: Desk, directory: Path, certificate: Certificate, file: Path, signer: Signer | None) -> Moved:
    """Bind an authority's certificate to a release.

    Its file is kept below ``products/certificates/``; number and file can be those of one release only.

    Args:
        desk: whose it is.
        directory: the release.
        certificate: what the certificate says.
        file: the certificate itself.
        signer: of whoever answers for that; needed as far as ``trust.yaml`` says.

    Raises:
        DigestMismatchError: the file is not the one that the certificate names, or is bound to another release.
        PathcurateError: it has expired, or the signature is lacking.
    """
    release, entry = desk.entered(directory)
    if certificate.issued > desk.today:
        raise UsageError(f"the certificate is of {certificate.issued}, which is to come", "Check the day of issue.")
    if certificate.release not in {entry.id, release.digest}:
        raise DigestMismatchError(f"the certificate is of another release than {entry.id}", "Find out whose it is.")
    content = file.read_bytes()  # once: it is kept as it was looked at
    if sha256_text(content) != certificate.sha256:
        raise DigestMismatchError(
            "the certificate's file is not the one whose digest is named", "Find out which one the authority gave."
        )
    held = {name: value for name, value in certificate.as_dict().items() if name != "release"}
    name = "renew" if entry.state in lifecycle().release.commands["renew"].from_ else "receipt"
    _demand_state(entry, name)
    evidence = gather(desk, release, replace(entry, facts={**entry.facts, "certificate": held}))
    command = desk.command(entry, name, sets={"certificate": held}, claims=_claims(certificate))
    if entry.facts.get("certificate") == held and entry.state in {State.REGISTERED, State.OFFERED, State.SUSPENDED}:
        return Moved(entry, is_new=False)
    _demand(desk, evidence, command)
    # Before anything is signed: the registry would refuse it too, but the signature would lie there.
    _demand_own(desk, entry, certificate)
    command = replace(command, sets={**command.sets, **_receipt_signed(desk, evidence, certificate, signer)})
    kept = shared_directory(desk.workspace.products / "certificates") / f"{certificate.sha256.removeprefix('sha256:')}.pdf"
    keep_paper(kept, content)
    return _moved(desk, entry, desk.registry.transition(command))


def _claims(certificate: Certificate) -> tuple[tuple[str, str], ...]:
    """What no other release may have: the number of the authority, and the file."""
    number = sha256_text(canonical_json([certificate.authority, certificate.number]))
    return ("certificate", number), ("certificate file", certificate.sha256)


def _demand_own(desk: Desk, entry: Entry, certificate: Certificate) -> None:
    """Refuse a certificate whose number or file is, or once was, that of another release."""
    for kind, value in _claims(certificate):
        holder = desk.registry.claimed(kind, value)
        if holder not in {None, entry.id}:
            raise DigestMismatchError(
                f"this {kind} is bound to the release {holder} already",
                f"It cannot be that of {entry.id} as well; nothing was done.",
            )


def _receipt_signed(desk: Desk, evidence: Evidence, certificate: Certificate, signer: Signer | None) -> dict[str, object]:
    needed = evidence.trust.needs("receipt")
    if signer is None:
        if needed:
            roles = ", ".join(needed)
            raise PlanIncompleteError(
                f"a receipt is to be signed by: {roles}",
                "Give the command again with --key FILE of somebody who has that role.",
            )
        return {}
    known = trusted(desk, evidence.trust, signer)
    role = role_of(known, None, tuple(needed) or known.roles[:1])
    if lacking((Verified(signer.keyid, known.name, (role,)),), needed):
        raise UsageError(
            "trust.yaml asks for more than one signature on a receipt, which can have one alone",
            "Correct `thresholds: {receipt: …}` in it.",
        )
    name = f"registration.{certificate.sha256.removeprefix('sha256:')[:8]}"
    statement = statements.registration_receipt(desk, evidence.release, certificate)
    _, digest = lay(desk, evidence.release, name, signer, lambda: statement, evidence.trust)
    return dict(with_signature(evidence.entry, RecordedSignature(role, known.name, signer.keyid, f"{name}.json", digest)))


def assess(desk: Desk, directory: Path, assessment: Assessment, file: Path) -> Moved:
    """Keep what somebody else has said of the quality of a release; the newest counts, earlier ones stay in the history.

    Raises:
        DigestMismatchError: the file is not the report whose digest is named, or is that of another release.
        PlanIncompleteError: the release was never checked, or has ended.
    """
    _, entry = desk.entered(directory)
    _demand_state(entry, "assess")
    content = file.read_bytes()
    if sha256_text(content) != assessment.sha256:
        raise DigestMismatchError("the report's file is not the one whose digest is named", "Find out which one is right.")
    claims = (("quality report", assessment.sha256),)
    command = desk.command(entry, "assess", sets={"quality": assessment.as_dict()}, claims=claims)
    kept = shared_directory(desk.workspace.products / "reports") / f"{assessment.sha256.removeprefix('sha256:')}"
    keep_paper(kept, content)
    return _moved(desk, entry, desk.registry.transition(command))


def offer(desk: Desk, directory: Path) -> Moved:
    """Put a registered release on offer; earlier versions on offer are superseded."""
    return _guarded(desk, directory, "offer")


def resume(desk: Desk, directory: Path) -> Moved:
    """Offer again what was suspended."""
    return _guarded(desk, directory, "resume")


def _guarded(desk: Desk, directory: Path, name: str) -> Moved:
    release, entry = desk.entered(directory)
    command = desk.command(entry, name)
    if entry.state != lifecycle().release.commands[name].to:
        _demand_state(entry, name)
        evidence = gather(desk, release, entry)
        _demand(desk, evidence, command)
        command = replace(command, sets=approval_of(desk, evidence))
    return _moved(desk, entry, desk.registry.transition(command))


def suspend(desk: Desk, name: str, version: str, reason: str) -> Moved:
    """Take a release off offer for now; its contracts and deliveries are suspended with it."""
    return _without_directory(desk, name, version, "suspend", reason)


def withdraw(desk: Desk, name: str, version: str, reason: str) -> Moved:
    """Withdraw a release for good: its contracts end, and what was delivered is to be destroyed.

    It needs no directory: a release that is lost can be withdrawn too.
    """
    return _without_directory(desk, name, version, "withdraw", reason)


def expire(desk: Desk, name: str, version: str, reason: str) -> Moved:
    """Say of a release that what it rests on has run out."""
    return _without_directory(desk, name, version, "expire", reason)


def _without_directory(desk: Desk, name: str, version: str, verb: str, reason: str) -> Moved:
    entry = desk.registry.get(name, version)
    if entry is None:
        raise UsageError(f"{name} {version} is not registered", "`pathcurate product list` shows what is.")
    step = desk.registry.transition(desk.command(entry, verb, sets={"reason": reason}))
    return _moved(desk, entry, step)


def withdraw_site(desk: Desk, site: str, reason: str) -> tuple[Withdrawal, list[Moved]]:
    """Withdraw a site: no row of it is built in from now on, and every release that holds some is withdrawn.

    Raises:
        UsageError: the workspace has no such site.
    """
    withdrawal, _ = record_withdrawal(desk.workspace, site, actor=desk.actor, reason=reason, now=desk.now)
    return withdrawal, [
        withdraw(desk, entry.product, entry.version, f"site {site}: {reason}") for entry in holding(desk, site)
    ]


# --- What the verbs share ------------------------------------------------------------------------------------------


def _demand_state(entry: Entry, name: str) -> None:
    """Refuse a command that the state forbids before anybody looks for evidence."""
    table = lifecycle().release
    if table.target(name, entry.state) is None:
        needed = " or ".join(table.commands[name].from_)
        words = table.states[entry.state]
        raise PlanIncompleteError(
            f"{entry.product} {entry.version} is {entry.state} ({words.zh}, {words.en}); `{name}` needs it to be {needed}",
            f"`pathcurate product show {entry.id}` shows how it came there, and what comes next.",
        )


def _demand(desk: Desk, evidence: Evidence, command: Command) -> None:
    """Refuse a command that lacks evidence, and keep that in the history."""
    lacks = lacks_of(evidence, command.name)
    if lacks:
        desk.registry.refuse(command, sorted({lack.demand for lack in lacks}))
        raise refusal(evidence, command.name, lacks)


def _moved(desk: Desk, entry: Entry, step: Step) -> Moved:
    """The entry as it stands after a step."""
    now = desk.registry.get(entry.product, entry.version)
    if now is None:
        raise PathcurateError("the registry has lost what it has just kept", "Restore it from a copy.")
    return Moved(now, step.also, step.is_new)
