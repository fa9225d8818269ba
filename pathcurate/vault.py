"""The vault: the key that pseudonyms and date offsets hang on, and the audit trail. Mode 0700; never leaves the hospital."""

import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pathcurate.errors import VaultError
from pathcurate.storage import create_exclusively, private_directory

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
        VaultError: see :func:`open_vault`.
    """
    private_directory(directory)
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

    Each line holds the SHA-256 of the one before, so a changed or removed line breaks the chain.

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
        lines = trail.read().splitlines()
        event = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "actor": actor,
            "action": action,
            "facts": dict(facts),
            "previous": hashlib.sha256(lines[-1]).hexdigest() if lines else _NO_EVENT,
        }
        trail.write(json.dumps(event, ensure_ascii=False, sort_keys=True).encode() + b"\n")
        trail.flush()
        os.fsync(trail.fileno())


def broken_event(directory: Path) -> int | None:
    """Number of the first line of the audit trail that does not continue the chain, None if all do."""
    path = directory / "audit.jsonl"
    previous = _NO_EVENT
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), start=1):
        try:
            if json.loads(line)["previous"] != previous:
                return number
        except (ValueError, KeyError, TypeError):
            return number
        previous = hashlib.sha256(line).hexdigest()
    return None
