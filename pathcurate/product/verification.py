"""Whether the registry is what was signed: its chain against itself, and against every head that a signature vouches for.

Somebody who can write to the database can rewrite all of it, consistently. They cannot sign: each attestation names how many
events there were and the digest of the last, and a chain that was rewritten since has another digest there.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pathcurate.attestations import FOLDER, Attested, check_attestations
from pathcurate.digests import file_sha256
from pathcurate.errors import InputOutputError
from pathcurate.model.attestation import REGISTRATION_RECEIPT
from pathcurate.model.product import Entry
from pathcurate.model.registration import recorded_signatures
from pathcurate.model.trust import Trust
from pathcurate.product.desk import Desk
from pathcurate.product.heads import head_faults
from pathcurate.product.papers import paper_faults
from pathcurate.releases import Release, checksums_bytes, list_releases, read_release, verify_release
from pathcurate.signing import release_subject

_RECEIPT: Final = (
    ("authority", "authority"), ("certificateNo", "number"), ("scheme", "scheme"), ("issuedAt", "issued"),
    ("validUntil", "valid_until"),
)  # fmt: skip
"""Members of a signed receipt, and of the fact that the registry keeps."""


_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RegistryVerdict:
    """What a registry is worth.

    Attributes:
        faults: what is wrong, as sentences; empty if nothing is.
        events: how many there are.
        heads: how many signed heads were compared.
        newest: how many events the newest of them vouches for; None if there is none.
    """

    faults: tuple[str, ...]
    events: int
    heads: int
    newest: int | None


def verify_registry(desk: Desk, trust: Trust, others: Sequence[Path] = ()) -> RegistryVerdict:
    """Replay the chain, and compare it with every signed head of the workspace's releases.

    Args:
        desk: whose registry.
        trust: whose signatures count.
        others: more releases, such as copies that buyers have sent back; their heads count too.
    """
    faults = desk.registry.verify()
    heads: list[int] = []
    # What a registry that contradicts itself says of papers is worth nothing.
    is_sound = not faults
    entries = {(entry.product, entry.version): entry for entry in desk.registry.list()} if is_sound else {}
    for directory in (*list_releases(desk.workspace.releases), *others):
        try:
            release = read_release(directory)
            attested = attestations_of(directory, release, trust)
        except InputOutputError as error:
            faults.append(f"{directory.parent.name} {directory.name}: {error.message}")
            continue
        name = f"{release.name} {release.version}"
        for one in attested:
            if one.counting:
                said = one.statement.predicate if one.statement is not None else {}
                faults += [f"{name}: {fault}" for fault in head_faults(desk.registry, f"{FOLDER}/{one.name}", said, heads)]
        entry = entries.get((release.name, release.version))
        if entry is None or directory in others:
            continue
        if entry.release_digest != release.digest:
            faults.append(f"{name} is not the release that was registered: its list of files was changed")
        else:
            faults += [f"{name}: {fault}" for fault in _record_faults(desk, entry, directory, attested)]
    current = {entry.facts["certificate"]["sha256"] for entry in entries.values() if "certificate" in entry.facts}
    faults += _kept_faults(desk, current)
    if is_sound:
        faults += paper_faults(desk, trust, heads)
    return RegistryVerdict(tuple(faults), desk.registry.head()[0], len(heads), max(heads, default=None))


def attestations_of(directory: Path, release: Release, trust: Trust) -> tuple[Attested, ...]:
    """What is signed about a release: needs its directory and public keys alone."""
    subject = release_subject(checksums_bytes(directory))
    return check_attestations(directory, release.digest, subject.sm3 or "", trust)


def verify_copy_signed(directory: Path, trust: Trust) -> tuple[Release, tuple[Attested, ...]]:
    """A release whose every byte is what was built, and what is signed about it; no registry is asked.

    Raises:
        DigestMismatchError: a file was changed.
    """
    release = verify_release(directory)
    return release, attestations_of(directory, release, trust)


def _kept_faults(desk: Desk, looked_at: Collection[str]) -> Iterator[str]:
    """Earlier certificates and reports that were exchanged: each lies under the digest of its bytes."""
    for folder in ("certificates", "reports"):
        for file in sorted((desk.workspace.products / folder).glob("*")):
            if f"sha256:{file.stem}" in looked_at or not _DIGEST.fullmatch(file.stem) or not file.is_file():
                continue
            if file_sha256(file) != f"sha256:{file.stem}":
                yield f"a file that is kept in products/{folder}/ was exchanged: {file.stem[:16]}…"


def _record_faults(desk: Desk, entry: Entry, directory: Path, attested: Iterable[Attested]) -> Iterator[str]:
    """Signatures that the registry keeps and are gone or other ones, and files that it knows nothing of."""
    files = {one.name: one for one in attested}
    recorded = {one.file: one for one in recorded_signatures(entry.facts)}
    for name, record in recorded.items():
        if name not in files:
            yield f"{FOLDER}/{name}, which {record.name} signed, is missing"
        elif file_sha256(directory / FOLDER / name) != record.sha256:
            yield f"{FOLDER}/{name} is not what {record.name} signed when it was recorded"
    for name, one in files.items():
        if one.faults or not one.counting:
            reasons = [*one.faults, *(found.fault for found in one.verified if found.fault is not None)]
            yield f"{FOLDER}/{name} does not count: {'; '.join(reasons)}"
        elif name not in recorded and not name.startswith("quality."):
            yield f"{FOLDER}/{name} was never recorded: nobody knows when it was signed"
    certificate = entry.facts.get("certificate")
    if certificate is not None:
        digest = certificate["sha256"].removeprefix("sha256:")
        kept = desk.workspace.products / "certificates" / f"{digest}.pdf"
        if not kept.is_file():
            yield "the file of its certificate is missing from products/certificates/"
        elif file_sha256(kept) != f"sha256:{digest}":
            yield "the file of its certificate was exchanged"
        for one in files.values():
            if one.counting and one.statement is not None and one.statement.predicate_type == REGISTRATION_RECEIPT:
                yield from _receipt_faults(one.name, one.statement.predicate, certificate)


def _receipt_faults(name: str, signed: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[str]:
    """Events that came after the newest signed head are vouched for by nobody, but what a receipt says is."""
    if signed.get("certificateSha256") == held["sha256"] and any(signed.get(key) != held[own] for key, own in _RECEIPT):
        yield f"{FOLDER}/{name} says something else of its certificate than the registry"
