"""Signs statements and verifies signatures; the one door to private keys.

Ed25519 (RFC 8032) today. Another scheme, as the national SM2, is a :class:`Signer` of its own and an entry of
:data:`VERIFIERS`. A private key is an encrypted PKCS#8 file that its owner keeps; its passphrase never comes from
arguments or the environment, and no message quotes either.
"""

import base64
import os
import secrets
import stat
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from pathcurate.checksums import CHECKSUMS_NAME
from pathcurate.digests import open_regular
from pathcurate.errors import InputOutputError, UsageError, VaultError
from pathcurate.model.attestation import PAYLOAD_TYPE, Envelope, Signature, Statement, Subject, pae
from pathcurate.model.filerule import folded
from pathcurate.model.trust import ED25519, Role, Trust

LEAST_PASSPHRASE = 12
"""Characters of a new key's passphrase: whoever copies the file can try as many as they have time for."""
_MOST_PASSPHRASE = 1000  # bytes; OpenSSL takes 1023
_MOST_KEY_FILE = 20_000
_ROUNDS = 600_000


class Signer(Protocol):
    """Whatever can sign: a key in a file, later perhaps one in a device."""

    @property
    def keyid(self) -> str:
        """SHA-256 of the public key's DER SubjectPublicKeyInfo, 64 hexadecimal digits."""

    @property
    def scheme(self) -> str:
        """Name of the scheme, as ``trust.yaml`` writes it."""

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """An Ed25519 key in memory."""

    _key: Ed25519PrivateKey = field(repr=False)

    @property
    def scheme(self) -> str:
        """``ed25519``."""
        return ED25519

    @property
    def public(self) -> bytes:
        """The public key, as DER SubjectPublicKeyInfo."""
        return self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def keyid(self) -> str:
        """SHA-256 of :attr:`public`, 64 hexadecimal digits."""
        return sha256(self.public).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes; the same for the same message."""
        return self._key.sign(message)


# --- Signatures --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one signature.

    Attributes:
        keyid: the key that it names.
        name: of the person whose key that is; empty if nobody's.
        roles: of that person under this key.
        fault: why the signature does not count; None if it does.
    """

    keyid: str
    name: str = ""
    roles: tuple[Role, ...] = ()
    fault: str | None = None


def release_subject(checksums: bytes) -> Subject:
    """A release as the subject of a statement: the bytes of its ``manifest-sha256.txt``, by SHA-256 and SM3."""
    digest = Hash(SM3())
    digest.update(checksums)
    return Subject(CHECKSUMS_NAME, sha256(checksums).hexdigest(), digest.finalize().hex())


def sign(statement: Statement, signers: Collection[Signer]) -> Envelope:
    """Sign a statement.

    Args:
        statement: its predicate says in ``at`` when it is signed (UTC, ISO 8601): by that, keys count or not.
        signers: one or more, each with another key.

    Raises:
        InputOutputError: the statement does not say when, or there is no signer, or one twice.
    """
    if statement.signed_on is None:
        raise InputOutputError("the statement does not say when it is signed", "Its predicate needs `at`, a time in UTC.")
    payload = statement.payload()
    message = pae(PAYLOAD_TYPE, payload)
    return Envelope(payload, tuple(Signature(signer.keyid, signer.sign(message)) for signer in signers))


def verify(envelope: Envelope, trust: Trust) -> tuple[Verified, ...]:
    """Check each signature of an envelope, in its order. One that counts is not enough by itself: see :func:`meets`.

    Raises:
        InputOutputError: what was signed is no statement.
    """
    statement = envelope.statement()
    message = envelope.signed_bytes
    return tuple(_verified(one, message, statement, trust) for one in envelope.signatures)


def _verified(signature: Signature, message: bytes, statement: Statement, trust: Trust) -> Verified:
    signer = trust.signer(signature.keyid)
    if signer is None:
        return Verified(signature.keyid, fault="nobody in trust.yaml has this key")
    verifier = VERIFIERS.get(signer.scheme)
    if verifier is None:
        fault: str | None = f"this version of pathcurate does not know signatures of the scheme {signer.scheme}"
    elif not verifier(signer.spki, message, signature.value):
        fault = "the signature is not of what the envelope holds"
    elif statement.signed_on is None:
        fault = "the statement does not say when it was signed"
    else:
        fault = signer.fault_on(statement.signed_on)
    return Verified(signature.keyid, signer.name, signer.roles, fault)


def _is_ed25519(spki: bytes, message: bytes, signature: bytes) -> bool:
    try:
        key = load_der_public_key(spki)
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(signature, message)
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


VERIFIERS: Mapping[str, Callable[[bytes, bytes, bytes], bool]] = {ED25519: _is_ed25519}
"""Scheme to what says whether a signature is one: of (SubjectPublicKeyInfo, message, signature)."""


def meets(verified: Iterable[Verified], needed: Mapping[Role, int]) -> bool:
    """Whether enough persons have signed; see :func:`lacking`."""
    return not lacking(verified, needed)


def lacking(verified: Iterable[Verified], needed: Mapping[Role, int]) -> dict[Role, int]:
    """How many persons of each role are still to sign; empty if none.

    Persons are counted, not keys or signatures: who signs twice counts once, and who has two roles fills one place.

    Args:
        verified: signatures, of one envelope or of several.
        needed: role to number of persons, as :meth:`~pathcurate.model.trust.Trust.needs` gives it.
    """
    persons: dict[str, set[Role]] = {}
    for one in verified:
        if one.fault is None:
            persons.setdefault(folded(one.name), set()).update(one.roles)
    placed: dict[tuple[Role, int], str] = {}
    missing: dict[Role, int] = {}
    for role, number in needed.items():
        for place in range(number):
            if not _place((role, place), persons, placed, set()):
                missing[role] = missing.get(role, 0) + 1
    return missing


def _place(
    place: tuple[Role, int], persons: Mapping[str, Collection[Role]], placed: dict[tuple[Role, int], str], tried: set[str]
) -> bool:
    """Find somebody for a place, moving others to places that they can fill as well (augmenting paths, Kuhn 1955)."""
    taken = {person: other for other, person in placed.items()}
    for person, roles in persons.items():
        if place[0] in roles and person not in tried:
            tried.add(person)
            if person not in taken or _place(taken[person], persons, placed, tried):
                placed[place] = person
                return True
    return False


# --- Keys --------------------------------------------------------------------------------------------------------


def new_key(file: Path, passphrase: str) -> Ed25519Signer:
    """Make a key, and write it encrypted to a file that only its owner can read (mode 0600).

    The file is PKCS#8 as any tool reads it (PBES2: AES-256-CBC under PBKDF2 with HMAC-SHA-256).

    Args:
        file: does not exist yet.
        passphrase: at least :data:`LEAST_PASSPHRASE` characters.

    Raises:
        UsageError: there is such a file, or it cannot be made.
        VaultError: the passphrase is too short, or the file system lets others read the file.
    """
    secret = _passphrase_bytes(passphrase)
    if len(passphrase) < LEAST_PASSPHRASE:
        raise VaultError(
            f"the passphrase has fewer than {LEAST_PASSPHRASE} characters", "Take several words that nobody would guess."
        )
    key = Ed25519PrivateKey.generate()
    content = _encrypted(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()), secret)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError("there is a file of the key's name already", "A key is never overwritten: name another.") from None
    except OSError as error:
        raise UsageError(f"the key's file cannot be made: {error.strerror}", "Name one in a folder of yours.") from None
    try:
        with os.fdopen(handle, "wb") as out:
            if stat.S_IMODE(os.fstat(out.fileno()).st_mode) & 0o077:
                raise VaultError(
                    "the file system lets other users read whatever lies on it",
                    "Write the key to another, and copy it from there if it must travel.",
                )
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    return Ed25519Signer(key)


def load_key(file: Path, passphrase: str) -> Ed25519Signer:
    """A private key from its file.

    Raises:
        VaultError: the file cannot be read, is open to others, is not encrypted, holds a key of another kind, or the
            passphrase is another.
    """
    content = private_bytes(file, "the key file")
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" not in content:
        raise VaultError(
            "the key file is no encrypted PKCS#8 key",
            "`openssl pkcs8 -topk8 -in FILE` encrypts one; `pathcurate product keys new` makes a new one.",
        )
    secret = _passphrase_bytes(passphrase)
    try:
        key = load_pem_private_key(content, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # What the library says may quote what it was given.
        raise VaultError("the passphrase is not the key's, or the key file is damaged", "Nothing was signed.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise VaultError("the key is not an Ed25519 key", "`pathcurate product keys new` makes one.")
    return Ed25519Signer(key)


def read_passphrase(file: Path) -> str:
    """The passphrase in a file that only its owner can read: its content, without the line end.

    Raises:
        VaultError: the file cannot be read, is open to others, or does not hold one line of text.
    """
    return passphrase_of(private_bytes(file, "the passphrase file"))


def passphrase_of(content: bytes) -> str:
    """The passphrase in what a file or standard input holds.

    Raises:
        VaultError: it is not one line of text.
    """
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise VaultError("the passphrase is not one line of text in UTF-8", "Write it alone into the file.")
    return text


def _passphrase_bytes(passphrase: str) -> bytes:
    try:
        # Keyboards differ in how they compose an accent; RFC 8265 takes the composed form too.
        secret = unicodedata.normalize("NFC", passphrase).encode()
    except UnicodeEncodeError:
        secret = b""
    if not 0 < len(secret) <= _MOST_PASSPHRASE:
        raise VaultError(f"a passphrase has 1 to {_MOST_PASSPHRASE} bytes of text", "Type it again.")
    return secret


def private_bytes(file: Path, what: str) -> bytes:
    """Content of a file that only its owner can read.

    Args:
        file: of at most 20,000 bytes.
        what: it is, for messages.

    Raises:
        VaultError: it cannot be read, is open to others, no plain file, or too large.
    """
    try:
        with open(file, "rb", opener=open_regular) as opened:
            mode = stat.S_IMODE(os.fstat(opened.fileno()).st_mode)
            content = opened.read(_MOST_KEY_FILE + 1)
    except OSError as error:
        raise VaultError(
            f"{what} cannot be read: {error.strerror}", "Check its path, and that it is a plain file."
        ) from None
    if mode & 0o077:
        raise VaultError(
            f"{what} can be read by other users", "Run `chmod 600` on it, and find out who could have read it before."
        )
    if len(content) > _MOST_KEY_FILE:
        raise VaultError(f"{what} is larger than any that there is", "Check that it is the file that you meant.")
    return content


def _encrypted(private: bytes, secret: bytes) -> bytes:
    """PEM of a PKCS#8 EncryptedPrivateKeyInfo (RFC 5958, RFC 8018).

    Written here because the library derives the file's key in 2048 rounds, a three-hundredth of what is advised today.
    """
    salt, start = secrets.token_bytes(16), secrets.token_bytes(16)
    derived = PBKDF2HMAC(SHA256(), 32, salt, _ROUNDS).derive(secret)
    padder, encryptor = PKCS7(128).padder(), Cipher(AES256(derived), CBC(start)).encryptor()
    sealed = encryptor.update(padder.update(private) + padder.finalize()) + encryptor.finalize()
    rounds = _der(0x02, _ROUNDS.to_bytes(3))
    derivation = _der(
        0x30,
        _oid("2a864886f70d01050c"),
        _der(0x30, _der(0x04, salt), rounds, _der(0x30, _oid("2a864886f70d0209"), _der(0x05))),
    )
    cipher = _der(0x30, _oid("60864801650304012a"), _der(0x04, start))
    algorithm = _der(0x30, _oid("2a864886f70d01050d"), _der(0x30, derivation, cipher))
    text = base64.encodebytes(_der(0x30, algorithm, _der(0x04, sealed))).replace(b"\n", b"")
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return b"\n".join((b"-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, b"-----END ENCRYPTED PRIVATE KEY-----", b""))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = bytes((len(content),)) if len(content) < 0x80 else bytes((0x81, len(content)))
    return bytes((tag,)) + length + content


def _oid(encoded: str) -> bytes:
    return _der(0x06, bytes.fromhex(encoded))
