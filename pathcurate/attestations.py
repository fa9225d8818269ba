"""Writes, reads and checks the ``attestations/`` of a release; to check, its directory and public keys are enough."""

import re
from dataclasses import dataclass
from pathlib import Path

from pathcurate.digests import open_regular
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.attestation import MOST_BYTES, Envelope, Statement
from pathcurate.model.trust import Trust
from pathcurate.signing import Verified, verify
from pathcurate.storage import create_exclusively, sweep

FOLDER = "attestations"
MOST_FILES = 1000
_NAME = re.compile(r"[0-9a-z][0-9A-Za-z._-]{0,119}")
_LARGEST = 2 * MOST_BYTES


@dataclass(frozen=True, slots=True)
class AttestationFile:
    """A file of ``attestations/``.

    Attributes:
        name: of the file; characters that a terminal would obey are escaped.
        envelope: what it holds; None if it is no envelope.
        fault: why not.
    """

    name: str
    envelope: Envelope | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Attested:
    """What a file of ``attestations/`` is worth.

    Attributes:
        name: of the file; characters that a terminal would obey are escaped.
        statement: what it says; None if that cannot be read.
        verified: its signatures, each with its fault if it does not count.
        faults: what is wrong with the file as a whole: then none of its signatures says anything of the release.
    """

    name: str
    statement: Statement | None = None
    verified: tuple[Verified, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def counting(self) -> tuple[Verified, ...]:
        """The signatures that count for the release, for :func:`~pathcurate.signing.meets`."""
        return () if self.faults else tuple(one for one in self.verified if one.fault is None)


def write_attestation(directory: Path, name: str, envelope: Envelope) -> Path:
    """Lay an envelope into the ``attestations/`` of a release; the same content again changes nothing.

    Args:
        directory: the release; the caller holds the lock on the workspace.
        name: of the file without its ending: letters, digits, dots, dashes and underscores.
        envelope: what it is to hold.

    Raises:
        UsageError: the name has another form.
        DigestMismatchError: there is another content under this name, which is never replaced.
        InputOutputError: ``attestations`` is a link or a file.
    """
    if not _NAME.fullmatch(name):
        raise UsageError("the name of an attestation has another form", "Take letters, digits, dots, dashes, underscores.")
    folder = directory / FOLDER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputOutputError(f"{FOLDER} of the release is a link or a file", "Remove it; nothing was written.")
    path = folder / f"{name}.json"
    content = envelope.as_bytes()
    sweep(path)
    if not create_exclusively(path, content, 0o444) and not _holds(path, content):
        raise DigestMismatchError(
            f"{FOLDER}/{path.name} holds something else already, and is never replaced",
            "Look at it with `pathcurate product verify`; write the new one under another name.",
        )
    return path


def read_attestations(directory: Path) -> tuple[AttestationFile, ...]:
    """Every file of a release's ``attestations/``, by name; none if there is no such folder.

    Raises:
        InputOutputError: the folder cannot be listed, is a link or a file, or holds more than :data:`MOST_FILES`.
    """
    folder = directory / FOLDER
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputOutputError(f"{FOLDER} of the release is a link or a file", "Remove it.")
    try:
        paths = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise InputOutputError(f"{FOLDER} cannot be listed: {error.strerror}", "Check its owner.") from None
    if len(paths) > MOST_FILES:
        raise InputOutputError(f"{FOLDER} holds more than {MOST_FILES} files", "Remove what does not belong there.")
    return tuple(_file(path) for path in paths)


def check_attestations(directory: Path, release_digest: str, sm3: str, trust: Trust) -> tuple[Attested, ...]:
    """What each file of a release's ``attestations/`` is worth, by name.

    Args:
        directory: the release.
        release_digest: of it, ``sha256:`` and 64 digits, as the caller has computed it from ``manifest-sha256.txt``.
        sm3: of the same bytes, 64 digits.
        trust: whose signatures count.

    Raises:
        InputOutputError: see :func:`read_attestations`.
    """
    return tuple(
        _attested(file, release_digest.removeprefix("sha256:"), sm3, trust) for file in read_attestations(directory)
    )


def _attested(file: AttestationFile, sha256: str, sm3: str, trust: Trust) -> Attested:
    if file.envelope is None:
        return Attested(file.name, faults=(file.fault or "",))
    try:
        statement = file.envelope.statement()
        verified = verify(file.envelope, trust)
    except InputOutputError as error:
        return Attested(file.name, faults=(error.message,))
    return Attested(file.name, statement, verified, tuple(_subject_faults(statement, sha256, sm3)))


def _subject_faults(statement: Statement, sha256: str, sm3: str) -> list[str]:
    of_release = [one for one in statement.subjects if one.sha256 == sha256]
    if not of_release:
        return ["it is about another release"]
    if any(one.sm3 not in {None, sm3} for one in of_release):
        return ["the SM3 that it says is another than the release's"]
    return []


def _file(path: Path) -> AttestationFile:
    name = path.name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in name)
    if not shown.endswith(".json") or shown.startswith("."):
        return AttestationFile(shown, fault="it is not named as an attestation is")
    try:
        return AttestationFile(shown, Envelope.parse(_read(path)))
    except OSError as error:
        return AttestationFile(shown, fault=f"it is no plain file, or cannot be read ({error.strerror})")
    except InputOutputError as error:
        return AttestationFile(shown, fault=error.message)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return _read(path) == content
    except OSError:
        return False


def _read(path: Path) -> bytes:
    """Content of a plain file, one byte more than an envelope may have at most."""
    with open(path, "rb", opener=open_regular) as file:
        return file.read(_LARGEST + 1)
