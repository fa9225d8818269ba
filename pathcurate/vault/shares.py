"""Backup of the vault's key in shares: words on paper, of which any few make the key again (SLIP-0039, Shamir's scheme).

Each share is a file of its own, to be given to another person. Beside them lies one sealed file with what the key alone does
not bring back: retired keys, the list of people, and how far the audit trail had come. The crosswalk is not in it: ``deid
apply`` writes it again, and its rows are sealed, so that an ordinary copy of ``vault/crosswalk.db`` gives nothing away.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import shamir_mnemonic
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pathcurate.errors import UsageError, VaultError
from pathcurate.storage import create_exclusively, private_directory, write_bytes
from pathcurate.vault import FINGERPRINT_FILE, KEY_BYTES, Vault, open_vault, recorded_fingerprint
from pathcurate.vault.people import PEOPLE_FILE, Trusted, read_people, write_people
from pathcurate.vault.rotation import RETIRED, retire, retired_keys

MOST_SHARES = 16
BACKUPS_FILE = "backups.json"
_NONCE_BYTES = 12
_LEAST_WORDS = 20  # SLIP-0039 knows no shorter share; one of 32 bytes has 33
_AGAIN = "Read it again from the paper or the medium that it was kept on: 33 words, each from the list of SLIP-0039."


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that was made; nothing of it is secret.

    Attributes:
        key: fingerprint of the key.
        made_on: day, ISO 8601.
        shares: how many shares there are.
        threshold: how many of them make the key again.
    """

    key: str
    made_on: str
    shares: int
    threshold: int


@dataclass(frozen=True, slots=True, repr=False)
class GivenShare:
    """A share as somebody gives it back. It is secret: it has no useful ``repr``.

    Attributes:
        label: which of those given it is, as messages name it.
        words: the words.
        key: fingerprint of the key it is said to be of; None if it does not say.
    """

    label: str
    words: str
    key: str | None


@dataclass(frozen=True, slots=True, repr=False)
class _Content:
    """What the sealed file holds beside the key."""

    retired: tuple[bytes, ...] = ()
    people: tuple[Trusted, ...] = ()
    audit_head: str = ""


# --- Backup ------------------------------------------------------------------------------------------------------------


def back_up(vault: Vault, to: Path, shares: int, threshold: int, today: date) -> tuple[Backup, list[Path]]:
    """Write the key's shares, and the sealed file beside them; the backup, and the files.

    Args:
        vault: the vault.
        to: directory that the files are written to; nothing there is replaced.
        shares: how many shares, at most 16.
        threshold: how many of them make the key again, at least 2.
        today: the day.

    Raises:
        UsageError: the numbers do not fit, or files of these names are there already.
        VaultError: a retired key or the list of people is damaged.
    """
    if not 2 <= threshold <= shares <= MOST_SHARES:
        raise UsageError(
            "these numbers of shares make no backup",
            f"Give --threshold from 2 to the number of shares, at most {MOST_SHARES}.",
        )
    backup = Backup(vault.fingerprint, today.isoformat(), shares, threshold)
    (mnemonics,) = shamir_mnemonic.generate_mnemonics(1, [(threshold, shares)], vault.key)
    contents = {
        to / f"share-{number}-of-{shares}.txt": _share_text(backup, number, words)
        for number, words in enumerate(mnemonics, start=1)
    }
    contents[to / "vault.sealed"] = _sealed(vault)
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Path] = []
    try:
        for path, content in contents.items():
            if not create_exclusively(path, content, mode=0o600):
                raise UsageError(f"{path.name} is there already", "Give another directory; nothing was replaced.")
            written.append(path)
    except BaseException:
        # Shares of two backups do not go together, so half a backup is none.
        for path in written:
            path.unlink(missing_ok=True)
        raise
    records = [*read_backups(vault.directory), backup]
    content = json.dumps([asdict(record) for record in records], indent=1).encode() + b"\n"
    write_bytes(vault.directory / BACKUPS_FILE, content, mode=0o600)
    return backup, written


def _share_text(backup: Backup, number: int, words: str) -> bytes:
    return (
        f"pathcurate vault key, share {number} of {backup.shares}, made on {backup.made_on}\n"
        f"Any {backup.threshold} shares make the key again: pathcurate vault restore FILE FILE ...\n"
        f"key: {backup.key}\n"
        f"words: {words}\n"
    ).encode()


def read_backups(directory: Path) -> list[Backup]:
    """The backups that were made, oldest first; none if their record is missing or damaged."""
    try:
        return [
            Backup(str(row["key"]), str(row["made_on"]), int(row["shares"]), int(row["threshold"]))
            for row in json.loads((directory / BACKUPS_FILE).read_bytes())
        ]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def _sealed(vault: Vault) -> bytes:
    head = vault.directory / "audit.head"
    content = {
        "retired": [old.key.hex() for old in retired_keys(vault)],
        "people": [asdict(person) for person in read_people(vault.directory)],
        "audit_head": head.read_text(encoding="ascii") if head.exists() else "",
    }
    nonce = os.urandom(_NONCE_BYTES)
    payload = json.dumps(content).encode()
    return nonce + AESGCM(vault.subkey("backup")).encrypt(nonce, payload, f"backup-v1|{vault.fingerprint}".encode())


# --- Restore -----------------------------------------------------------------------------------------------------------


def read_shares(label: str, text: str) -> Iterator[GivenShare]:
    """The shares in a text: as :func:`back_up` wrote them, one or more, or their words alone, a share on each line.

    Args:
        label: how messages name the text.
        text: what was given.

    Raises:
        VaultError: there is no share in it.
    """
    lines = [line.strip() for line in text.splitlines()]
    keys = [line.removeprefix("key:").strip() for line in lines if line.startswith("key:")]
    found = [line.removeprefix("words:").strip() for line in lines if line.startswith("words:")]
    if not found:
        keys, found = [], [line for line in lines if len(line.split()) >= _LEAST_WORDS]
    if not found:
        raise VaultError(f"{label} holds no share", "Give the files of shares as they were written, or their words.")
    for number, words in enumerate(found, start=1):
        name = label if len(found) == 1 else f"share {number} of {label}"
        yield GivenShare(name, words.lower(), keys[number - 1] if len(keys) == len(found) else None)


def restore(directory: Path, given: Sequence[GivenShare], sealed: bytes | None) -> tuple[Vault, str]:
    """Make the vault's key again, and with the sealed file what else it holds; the vault, and the audit trail's old head.

    What is there is never replaced. The key comes last: a killed run is begun again.

    Args:
        directory: the vault's directory, which may be missing.
        given: the shares.
        sealed: content of the sealed file; None to restore the key alone.

    Raises:
        VaultError: a share is damaged, of another backup or given twice; there are too few; the vault has another key.
    """
    key = _combine(given)
    vault = Vault(directory, key)
    if any(share.key not in {None, vault.fingerprint} for share in given):
        raise VaultError("the shares make another key than they say", "They were edited, or are of two backups.")
    recorded = recorded_fingerprint(directory)
    path = directory / "key"
    # A key beside the fingerprint of another is not the vault's: it may give way to the one that is.
    is_anothers = path.exists() and path.read_bytes() != key and recorded != vault.fingerprint
    if recorded not in {None, vault.fingerprint} or is_anothers:
        raise VaultError(
            "the vault has, or had, another key than these shares make; nothing was changed",
            "Shares made before `pathcurate vault rotate` make the key of then. Give those of the last backup.",
        )
    content = _opened(vault, sealed) if sealed is not None else _Content()
    private_directory(directory)
    if content.people and not (directory / PEOPLE_FILE).exists():
        write_people(directory, content.people)
    there = {path.name for path in (directory / RETIRED).glob("*")}
    old_keys = [Vault(directory, old) for old in content.retired]
    retire(vault, [old for old in old_keys if old.fingerprint not in there])
    create_exclusively(directory / FINGERPRINT_FILE, vault.fingerprint.encode(), mode=0o600)
    write_bytes(path, key, mode=0o600)
    return open_vault(directory), content.audit_head


def _combine(given: Sequence[GivenShare]) -> bytes:
    shares: dict[int, tuple[str, shamir_mnemonic.Share]] = {}
    for item in given:
        try:
            share = shamir_mnemonic.Share.from_mnemonic(item.words)
        except (shamir_mnemonic.MnemonicError, ValueError):
            raise VaultError(f"{item.label} is damaged", _AGAIN) from None
        first = next(iter(shares.values()), (item.label, share))
        if share.common_parameters() != first[1].common_parameters():
            raise VaultError(f"{item.label} is of another backup than {first[0]}", "Give shares that were made at one time.")
        if share.index in shares:
            raise VaultError(f"{item.label} is the same as {shares[share.index][0]}", "Give each share once.")
        shares[share.index] = (item.label, share)
    needed = next(iter(shares.values()))[1].member_threshold if shares else 2
    if len(shares) < needed:
        raise VaultError(
            f"{needed} shares are needed, and {len(shares)} {'was' if len(shares) == 1 else 'were'} given",
            "Ask another keeper for theirs.",
        )
    try:
        key: bytes = shamir_mnemonic.combine_mnemonics([share.mnemonic() for _, share in list(shares.values())[:needed]])
    except (shamir_mnemonic.MnemonicError, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise VaultError("the shares do not make a key together", "Give shares that were made at one time.")
    return key


def _opened(vault: Vault, sealed: bytes) -> _Content:
    try:
        payload = AESGCM(vault.subkey("backup")).decrypt(
            sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], f"backup-v1|{vault.fingerprint}".encode()
        )
    except (InvalidTag, ValueError):
        raise VaultError(
            "the sealed file was changed, or is of another backup", "Give the one that was written with the shares, or none."
        ) from None
    told = json.loads(payload)
    return _Content(
        tuple(bytes.fromhex(key) for key in told["retired"]),
        tuple(Trusted(**person) for person in told["people"]),
        told["audit_head"],
    )
