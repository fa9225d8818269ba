"""The vault: the key that pseudonyms and date offsets hang on, and the audit trail. Mode 0700; never leaves the hospital."""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pathcurate.errors import VaultError
from pathcurate.storage import create_exclusively, private_directory, write_bytes

KEY_BYTES = 32
_NO_EVENT = "0" * 64


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


def create_vault(directory: Path) -> Vault:
    """Open the vault, making it and its key on first use.

    Raises:
        VaultError: see :func:`open_vault`; or the key is gone although values made with it are there.
    """
    private_directory(directory)
    if (directory / "criteria").exists() and not (directory / "key").exists():
        raise VaultError(
            "the vault's key is gone, but values made with it are still there",
            "Restore vault/key from its backup: under a new key every pseudonym and every date would change. "
            "If it is lost for good, remove vault/criteria first.",
        )
    create_exclusively(directory / "key", secrets.token_bytes(KEY_BYTES), mode=0o600)
    return open_vault(directory)


def open_vault(directory: Path) -> Vault:
    """Open an existing vault.

    Raises:
        VaultError: the key is missing, has another length, or others may read it.
    """
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
            "Run `pathcurate deid apply` to make one, or restore vault/key from its backup.",
        ) from None
    except OSError as error:
        raise VaultError(f"the vault key cannot be read ({type(error).__name__})", "Check the owner of vault/.") from None
    if len(key) != KEY_BYTES:
        raise VaultError(f"the vault key has {len(key)} bytes instead of {KEY_BYTES}", "Restore vault/key from its backup.")
    return Vault(directory, key)


def append_event(directory: Path, actor: str, action: str, facts: Mapping[str, str | int]) -> None:
    """Append to the audit trail ``audit.jsonl``: who did what with which version, never with a value from the data.

    Each line holds the SHA-256 of the one before, and ``audit.head`` that of the last, so a changed, moved or removed line
    breaks the chain. A line that a crash cut short was never acknowledged, and goes.

    Args:
        directory: the vault's directory.
        actor: operating system user.
        action: the command, as ``deid apply``.
        facts: counts, digests and versions.
    """
    private_directory(directory)
    handle = os.open(directory / "audit.jsonl", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as trail:
        # A lock of its own: reading commands write here too, without holding the workspace.
        fcntl.flock(trail, fcntl.LOCK_EX)
        lines = _whole_lines(trail.read())
        trail.truncate(sum(len(line) + 1 for line in lines))
        trail.seek(0, os.SEEK_END)
        last = _last_digest(lines)
        head = _read_head(directory)
        event = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "actor": actor,
            "action": action,
            "facts": dict(facts),
            # After a line was tampered with, the new one continues what stood there, so that the break stays visible.
            "previous": last.digest if head in {last.digest, last.previous} else head,
        }
        line = json.dumps(event, ensure_ascii=False, sort_keys=True).encode()
        trail.write(line + b"\n")
        trail.flush()
        os.fsync(trail.fileno())
        write_bytes(directory / "audit.head", hashlib.sha256(line).hexdigest().encode(), mode=0o600)


def broken_event(directory: Path) -> int | None:
    """Number of the first line of the audit trail that does not continue the chain, None if all do."""
    path = directory / "audit.jsonl"
    lines = _whole_lines(path.read_bytes()) if path.exists() else []
    previous = _NO_EVENT
    for number, line in enumerate(lines, start=1):
        if _previous(line) != previous:
            return number
        previous = hashlib.sha256(line).hexdigest()
    last = _last_digest(lines)
    # A crash between line and head leaves the head one line behind, never more.
    return None if _read_head(directory) in {last.digest, last.previous} else max(1, len(lines))


@dataclass(frozen=True, slots=True)
class _Last:
    """The end of the chain: the last line's digest, and the digest that it continues."""

    digest: str
    previous: str | None


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
