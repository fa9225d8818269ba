"""Another key for the vault: the old one is kept, sealed under the new one, so that old releases still lead back."""

import os
import secrets
import shutil
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pathcurate.errors import VaultError
from pathcurate.pseudonyms import internal
from pathcurate.storage import private_directory, sync_tree, write_bytes
from pathcurate.vault import FINGERPRINT_FILE, KEY_BYTES, SWITCH, Vault, finish_switch, open_vault
from pathcurate.vault.crosswalk import rewrite

RETIRED = "retired"
_PREPARED = ".prepared-"
_NONCE_BYTES = 12


def rotate(vault: Vault) -> tuple[Vault, int]:
    """Give the vault a new key. Only for whoever holds the lock on the workspace.

    Everything under the new key is prepared apart; one rename decides, and whoever opens the vault next finishes what a
    killed run left. So either the old key works with all that belongs to it, or the new one does.

    Returns:
        The vault with its new key, and the rows of its crosswalk.

    Raises:
        VaultError: the crosswalk or a retired key is damaged; nothing was changed.
    """
    for leftover in vault.directory.glob(f"{_PREPARED}*"):
        shutil.rmtree(leftover)
    prepared = private_directory(vault.directory / f"{_PREPARED}{secrets.token_hex(4)}")
    try:
        new = Vault(prepared, secrets.token_bytes(KEY_BYTES))
        layer = internal(new.key).codes

        def recode(kind: str, parts: Sequence[str]) -> str:
            return layer.code(kind, *parts)

        rows = rewrite(vault, new, recode)
        retire(new, [*retired_keys(vault), vault])
        write_bytes(prepared / FINGERPRINT_FILE, new.fingerprint.encode(), mode=0o600)
        write_bytes(prepared / "key", new.key, mode=0o600)
        sync_tree(prepared)
        prepared.rename(vault.directory / SWITCH)
    except BaseException:
        shutil.rmtree(prepared, ignore_errors=True)
        raise
    finish_switch(vault.directory)
    return open_vault(vault.directory), rows


def retire(vault: Vault, keys: Sequence[Vault]) -> None:
    """Write keys that are no longer in use, each sealed under the vault's own, to ``retired/`` under its fingerprint."""
    if not keys:
        return
    folder = private_directory(vault.directory / RETIRED)
    cipher = AESGCM(vault.subkey("retired keys"))
    for old in keys:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, old.key, _place(vault, old.fingerprint))
        write_bytes(folder / old.fingerprint, sealed, mode=0o600)


def retired_keys(vault: Vault) -> list[Vault]:
    """Keys that the vault had before, in no particular order.

    Raises:
        VaultError: one does not open.
    """
    cipher = AESGCM(vault.subkey("retired keys"))
    keys = []
    for path in sorted((vault.directory / RETIRED).glob("[0-9a-f]*")):
        sealed = path.read_bytes()
        try:
            key = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _place(vault, path.name))
        except (InvalidTag, ValueError):
            raise VaultError(
                f"the retired key {path.name} was changed, or is of another vault",
                "Restore vault/retired from a copy, or run `pathcurate vault restore` with a backup and its sealed file.",
            ) from None
        keys.append(Vault(vault.directory, key))
    return keys


def _place(vault: Vault, fingerprint: str) -> bytes:
    return f"retired-v1|{fingerprint}|{vault.fingerprint}".encode()
