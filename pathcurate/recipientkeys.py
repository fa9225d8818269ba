"""A recipient's two private keys: one to sign receipts with, one to open what was encrypted for them.

The second is an age identity (age-encryption.org/v1, X25519), which any program of that format reads: as `age -p` writes
it, encrypted under a passphrase, or in plain text as `age-keygen` does, in a file that only its owner can read.
"""

import contextlib
import os
from base64 import b64encode
from pathlib import Path
from typing import Protocol

import pyrage

from pathcurate.errors import UsageError, VaultError
from pathcurate.model.application import RecipientKeys
from pathcurate.signing import new_key, private_bytes

SIGNING_FILE = "recipient.pem"
IDENTITY_FILE = "recipient.age"
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----"
_BINARY = b"age-encryption.org/v1\n"
_BEGINNING = "AGE-SECRET-KEY-1"


class Identity(Protocol):
    """A private key in memory."""

    def to_public(self) -> object:
        """Its public half; the text of that is ``age1…``."""


def new_recipient_keys(directory: Path, passphrase: str) -> RecipientKeys:
    """Make both keys, and write them to files that only their owner can read (mode 0600), both under one passphrase.

    Args:
        directory: that :data:`SIGNING_FILE` and :data:`IDENTITY_FILE` are written to; made if it is missing.
        passphrase: see :func:`~pathcurate.signing.new_key`.

    Returns:
        Their public halves, for an application.

    Raises:
        UsageError: there are such files, or they cannot be made.
        VaultError: the passphrase is too short, or the file system lets others read the files.
    """
    signing, file = directory / SIGNING_FILE, directory / IDENTITY_FILE
    if file.exists() or file.is_symlink():
        raise UsageError("there is a file of the key's name already", "A key is never overwritten: name another folder.")
    with contextlib.suppress(OSError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = new_key(signing, passphrase)
    try:
        identity = pyrage.x25519.Identity.generate()
        text = f"# public key: {identity.to_public()}\n{identity}\n"
        _write(file, pyrage.passphrase.encrypt(text.encode(), passphrase, armored=True))
    except BaseException:
        # One without the other would be of no use, and in the way of the next attempt.
        signing.unlink(missing_ok=True)
        raise
    return RecipientKeys(signing=b64encode(signer.public).decode(), encryption=str(identity.to_public()))


def _write(file: Path, content: bytes) -> None:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(f"the key's file cannot be made: {error.strerror}", "Name a folder of yours.") from None
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def is_encrypted(file: Path) -> bool:
    """Whether an identity needs a passphrase.

    Raises:
        VaultError: the file cannot be read, or is open to others.
    """
    return private_bytes(file, "the identity").startswith((_ARMOR, _BINARY))


def load_identity(file: Path, passphrase: str | None) -> Identity:
    """The identity in a file.

    Args:
        file: as :func:`new_recipient_keys` or `age-keygen` has made it.
        passphrase: None if it has none.

    Raises:
        VaultError: the file cannot be read, is open to others, holds no identity or several, or the passphrase is another.
    """
    content = private_bytes(file, "the identity")
    if content.startswith((_ARMOR, _BINARY)):
        try:
            content = pyrage.passphrase.decrypt(content, passphrase or "")
        except Exception:  # noqa: BLE001  the library has no class for it in every version; its text may quote its input
            raise VaultError(
                "the passphrase is not the identity's, or its file is damaged", "Nothing was decrypted."
            ) from None
    lines = [line.strip() for line in content.decode(errors="replace").splitlines()]
    found = [line for line in lines if line.startswith(_BEGINNING)]
    try:
        (secret,) = found
        identity: Identity = pyrage.x25519.Identity.from_str(secret)
    except Exception:  # noqa: BLE001  as above
        raise VaultError(
            "the file holds no identity of age, or several",
            f"Give {IDENTITY_FILE}, which `pathcurate product keys recipient` has made.",
        ) from None
    return identity
