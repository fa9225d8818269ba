"""The vault: the key that pseudonyms and date offsets hang on, and the audit trail. Mode 0700; never leaves the hospital.

Beside them lie the crosswalk (:mod:`pathcurate.vault.crosswalk`), retired keys (:mod:`pathcurate.vault.rotation`), the list
of people (:mod:`pathcurate.vault.people`) and the record of backups (:mod:`pathcurate.vault.shares`).
"""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pathcurate.errors import VaultError
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.storage import create_exclusively, private_directory, sweep, write_bytes

KEY_BYTES = 32
MOST_TOGETHER = 64
"""Lines of the audit trail that are written as one group, at most."""
FINGERPRINT_FILE = "fingerprint"
"""The name of the key that this vault was made with, so that another one in its place is noticed."""
SWITCH = "switch"
"""Files of a rotation that is decided: they replace those of their names, the key last."""
_NO_EVENT = "0" * 64
_BLOCK = 1 << 14
"""Bytes of the audit trail that are read at least, from its end."""
_GOES_OUT = ("deid", "cohorts", "releases", "requests", "products", "evaluations")


@dataclass(frozen=True, slots=True)
class Vault:
    """An open vault.

    Attributes:
        directory: where it is.
        key: 32 random bytes. Whoever holds it can compute every pseudonym; it is never printed or written elsewhere.
    """

    directory: Path
    key: bytes

    def __repr__(self) -> str:
        # The generated one would show the key in a traceback.
        return f"Vault({self.fingerprint})"

    @property
    def fingerprint(self) -> str:
        """Tells two keys apart without giving either away."""
        return hmac.new(self.key, b"pathcurate key fingerprint v1", hashlib.sha256).hexdigest()[:16]

    @property
    def criteria(self) -> Path:
        """Directory of the criterion-only values."""
        return self.directory / "criteria"

    def subkey(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose inside the vault, independent of all others (HKDF, RFC 5869)."""
        info = f"pathcurate vault v1 {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.key)


def create_vault(directory: Path) -> Vault:
    """Open the vault, making it and its key on first use.

    Raises:
        VaultError: see :func:`open_vault`; or the key is gone although values made with it are there.
    """
    _refuse_place(directory)
    private_directory(directory)
    finish_switch(directory)
    left = [name for name in ("criteria", "crosswalk.db", FINGERPRINT_FILE) if (directory / name).exists()]
    if left and not (directory / "key").exists():
        raise VaultError(
            "the vault's key is gone, but values made with it are still there",
            "Run `pathcurate vault restore` with the shares of its backup: under a new key every pseudonym and every date "
            f"would change. If it is lost for good, remove vault/{' and vault/'.join(left)} first.",
        )
    create_exclusively(directory / "key", secrets.token_bytes(KEY_BYTES), mode=0o600)
    vault = open_vault(directory)
    create_exclusively(directory / FINGERPRINT_FILE, vault.fingerprint.encode(), mode=0o600)
    return vault


def open_vault(directory: Path) -> Vault:
    """Open an existing vault.

    Raises:
        VaultError: the vault lies where data goes out; the key is missing, has another length, is another one than the vault
            was made with, or others may read it.
    """
    _refuse_place(directory)
    finish_switch(directory)
    path = directory / "key"
    try:
        state = path.stat()
        if stat.S_IMODE(state.st_mode) & 0o077 or stat.S_IMODE(directory.stat().st_mode) & 0o077:
            raise VaultError(
                "the vault or its key can be read by other users",
                "Run `chmod 700 vault && chmod 600 vault/key`, and find out who could have read the key.",
            )
        key = path.read_bytes()
    except FileNotFoundError:
        raise VaultError(
            "the workspace has no vault key",
            "Make the lost one again by `pathcurate vault restore` with the shares of its backup. A new workspace gets its "
            "first one from `pathcurate deid apply`.",
        ) from None
    except OSError as error:
        raise VaultError(f"the vault key cannot be read ({type(error).__name__})", "Check the owner of vault/.") from None
    if len(key) != KEY_BYTES:
        raise VaultError(f"the vault key has {len(key)} bytes instead of {KEY_BYTES}", "Restore vault/key from its backup.")
    vault = Vault(directory, key)
    if recorded_fingerprint(directory) not in {None, vault.fingerprint}:
        raise VaultError(
            "the vault's key is not the one that the vault was made with: every code and date would change",
            "Restore vault/key from its backup; a new key is made by `pathcurate vault rotate` only.",
        )
    return vault


def recorded_fingerprint(directory: Path) -> str | None:
    """Fingerprint of the key that the vault was made with; None if it does not say."""
    try:
        return (directory / FINGERPRINT_FILE).read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def finish_switch(directory: Path) -> None:
    """Finish a rotation that was decided and then killed: move each of its files to its place, the key last.

    Whoever opens the vault does it, also several at once: a file that is no longer there was moved by another.
    """
    switch = directory / SWITCH
    if not _is_there(switch):
        return
    # Unlike rglob, walk stands it when another who finishes the same switch removes a folder under its feet.
    files = (Path(folder) / name for folder, _, names in os.walk(switch) for name in names)
    for path in sorted(files, key=lambda path: (path.name == "key", path)):
        target = directory / path.relative_to(switch)
        private_directory(target.parent)
        try:
            path.replace(target)
        except FileNotFoundError:
            continue
    shutil.rmtree(switch, ignore_errors=True)


def _refuse_place(directory: Path) -> None:
    """Refuse a vault that would go out with what is handed on, also through a symbolic link."""
    root = directory.parent.resolve()
    for real in (directory.resolve(), (directory / "key").resolve().parent):
        inside = next((name for name in _GOES_OUT if real.is_relative_to(root / name)), None)
        if inside or any(_is_there(folder / MANIFEST_NAME) for folder in (real, *real.parents)):
            raise VaultError(
                f"the vault lies inside {f'{inside}/' if inside else 'a release'}, which is handed on",
                "Move vault/ back beside pathcurate.yaml, and find out who could have read the key.",
            )


def _is_there(path: Path) -> bool:
    # Unlike Path.exists it does not raise where this user may not look: opening the key says so in its own words.
    return os.path.exists(path)  # noqa: PTH110


# --- The audit trail ---------------------------------------------------------------------------------------------------


def append_event(
    directory: Path, actor: str, action: str, facts: Mapping[str, str | int], *, purpose: str | None = None
) -> None:
    """Append to the audit trail ``audit.jsonl``: who did what with which version, never with a value from the data.

    Each line holds the SHA-256 of the one before, and ``audit.head`` that of the last, so a changed, moved or removed line
    breaks the chain. A line that a crash cut short was never acknowledged, and goes.

    Args:
        directory: the vault's directory.
        actor: operating system user.
        action: the command, as ``deid apply``.
        facts: counts, digests and versions.
        purpose: why, in the actor's words.
    """
    private_directory(directory)
    handle = os.open(directory / "audit.jsonl", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as trail:
        # A lock of its own: reading commands write here too, without holding the workspace.
        fcntl.flock(trail, fcntl.LOCK_EX)
        whole, ending = _ending(trail)
        trail.truncate(whole)
        previous = _continued(directory, trail, ending)
        trail.seek(0, os.SEEK_END)
        event = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "actor": actor,
            "action": action,
            "facts": dict(facts),
            **({"purpose": purpose} if purpose else {}),
            "previous": previous,
        }
        line = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
        trail.write(line + b"\n")
        trail.flush()
        os.fsync(trail.fileno())
        write_bytes(directory / "audit.head", hashlib.sha256(line).hexdigest().encode(), mode=0o600)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail.

    Attributes:
        at: when, with its zone.
        actor: operating system user.
        action: the command.
        facts: counts, digests and versions.
        purpose: why, in the actor's words; None if nobody asked.
    """

    at: datetime
    actor: str
    action: str
    facts: Mapping[str, str | int]
    purpose: str | None


def read_events(directory: Path) -> Iterator[Event]:
    """The audit trail, oldest first, without lines that are none; :func:`broken_event` tells of those."""
    path = directory / "audit.jsonl"
    for line in _whole_lines(path.read_bytes()) if path.exists() else []:
        try:
            event = json.loads(line)
            at = datetime.fromisoformat(event["at"])
            told = Event(at, str(event["actor"]), str(event["action"]), dict(event["facts"]), event.get("purpose"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        yield told


def broken_event(directory: Path) -> int | None:
    """Number of the first line of the audit trail that does not continue the chain, None if all do."""
    path = directory / "audit.jsonl"
    lines = _whole_lines(path.read_bytes()) if path.exists() else []
    previous = _NO_EVENT
    for number, line in enumerate(lines, start=1):
        if _previous(line) != previous:
            return number
        previous = hashlib.sha256(line).hexdigest()
    return None if _is_head_of(_read_head(directory), lines) else max(1, len(lines))


def _is_head_of(head: str, lines: Sequence[bytes]) -> bool:
    """Whether the head belongs to lines that end so.

    A crash between line and head leaves the head one line behind, never more. While a group is written it holds two digests:
    of the line before the group and of its last; after a crash any number of the group may be there.
    """
    last = _last_digest(lines)
    before, _, after = head.partition(" ")
    if not after:
        return before in {last.digest, last.previous}
    reached = {_previous(line) for line in lines[-MOST_TOGETHER:]} | {last.digest}
    return after == last.digest or before in reached


def _continued(directory: Path, trail: BinaryIO, ending: Sequence[bytes]) -> str:
    """The digest that the next line continues; the head is brought up to the last line before it is left behind again.

    After a line was tampered with, the next one continues what stood there, so that the break stays visible.
    """
    # Of a run that was killed while it wrote the head, whichever of the two heads of a group it was.
    sweep(directory / "audit.head")
    head, last = _read_head(directory), _last_digest(ending)
    if " " in head:
        ending = _ending(trail, MOST_TOGETHER + 1)[1]
    if not _is_head_of(head, ending):
        return head.rpartition(" ")[2]
    if head != last.digest:
        # A run was killed between its lines and the head. If this one were too, the head would be further behind than it
        # can be where no line was changed.
        write_bytes(directory / "audit.head", last.digest.encode(), mode=0o600)
    return last.digest


@dataclass(frozen=True, slots=True)
class _Last:
    """The end of the chain: the last line's digest, and the digest that it continues."""

    digest: str
    previous: str | None


def _ending(trail: BinaryIO, most: int = 1) -> tuple[int, list[bytes]]:
    """Bytes of all whole lines, and the last of these lines (none if there is none): a trail of years is not read whole."""
    end = trail.seek(0, os.SEEK_END)
    start, content = end, b""
    while start and content.count(b"\n") <= most:
        start = max(0, start - max(_BLOCK, len(content)))
        trail.seek(start)
        content = trail.read(end - start)
    return start + content.rfind(b"\n") + 1, _whole_lines(content)[-most:]


def _whole_lines(content: bytes) -> list[bytes]:
    return content.split(b"\n")[:-1]


def _last_digest(lines: Sequence[bytes]) -> _Last:
    return _Last(hashlib.sha256(lines[-1]).hexdigest(), _previous(lines[-1])) if lines else _Last(_NO_EVENT, None)


def _previous(line: bytes) -> str | None:
    try:
        return str(json.loads(line)["previous"])
    except (ValueError, KeyError, TypeError):
        return None


def _read_head(directory: Path) -> str:
    path = directory / "audit.head"
    return path.read_text(encoding="ascii", errors="replace") if path.exists() else _NO_EVENT
