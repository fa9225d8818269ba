"""The labels that a sealed evaluation withholds: kept in the vault, committed to by a keyed digest, opened and compared.

The commitment is HMAC-SHA-256 (RFC 2104) of the labels' table digest under a key of 32 bytes, which HKDF gives for this
version alone. Nobody learns a label from it, not even by trying (the key is unknown until the labels are unsealed), and
nobody can show other labels afterwards: the digest of the key is published with it.
"""

import hashlib
import hmac
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jsonschema import Draft202012Validator

from pathcurate.digests import canonical_json, table_identity
from pathcurate.errors import DigestMismatchError, InputOutputError, PlanIncompleteError, VaultError
from pathcurate.model.benchmark import (
    COMMITTED,
    SEALED_COMMITMENT_PATH,
    SEALED_LABELS,
    TASK_JSON_SCHEMA,
    TASK_PATH,
    BenchmarkTask,
)
from pathcurate.pseudonyms import sealed_key
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import conform, from_rows
from pathcurate.vault import Vault
from pathcurate.vault.rotation import retired_keys

FOLDER = "sealed"
"""Below the vault."""
SCHEMA = "https://pathcurate.example/schema/sealed-commitment/1"
_ALGORITHM = "hmac-sha256:"
_COMMITTED = SEALED_LABELS.select(COMMITTED)
_NONCE_BYTES = 12
_LARGEST = 1 << 20
"""Bytes of the largest document that is read; a task with 200 classes has 40,000."""
_HOW = (
    "HMAC-SHA-256 under a key of 32 bytes, of the canonical JSON (RFC 8785) of what the labels are: number of rows, digest "
    "of the schema, and table digest: the sha256 of each row's canonical JSON, sorted, the sha256 of each of 256 buckets by "
    "first byte, and the sha256 of these. Key and labels stay with the holder; whoever gets both can reckon it again."
)
COMMITMENT_JSON_SCHEMA: Mapping[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": SCHEMA,
    "title": "evaluation/commitment.json of a sealed release",
    "type": "object",
    "additionalProperties": False,
    "required": ["schema", "how", "commitment", "key_sha256", "rows"],
    "properties": {
        "schema": {"const": SCHEMA},
        "how": {"type": "string"},
        "commitment": {"type": "string", "pattern": f"^{_ALGORITHM}[0-9a-f]{{64}}$"},
        "key_sha256": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "rows": {"type": "integer", "minimum": 1},
    },
}


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a holder cannot take back.

    Attributes:
        value: of the labels, as ``hmac-sha256:`` and 64 digits.
        key_sha256: of the key, as ``sha256:`` and 64 digits.
        rows: how many labels there are.
    """

    value: str
    key_sha256: str
    rows: int

    def as_dict(self) -> dict[str, Any]:
        """As ``evaluation/commitment.json`` holds it."""
        return {
            "schema": SCHEMA, "how": _HOW, "commitment": self.value, "key_sha256": self.key_sha256, "rows": self.rows,
        }  # fmt: skip


def commit(key: bytes, labels: pa.Table) -> Commitment:
    """Commit to labels of :data:`~pathcurate.model.benchmark.SEALED_LABELS`, in any order of rows.

    What of them is committed to is :data:`~pathcurate.model.benchmark.COMMITTED`.
    """
    identity = table_identity(conform(_COMMITTED, labels))
    digest = hmac.digest(key, canonical_json(dict(identity)), "sha256").hex()
    return Commitment(f"{_ALGORITHM}{digest}", f"sha256:{hashlib.sha256(key).hexdigest()}", identity["rows"])


def is_committed(key: bytes, labels: pa.Table, commitment: Commitment) -> bool:
    """Whether these are the labels and this the key that somebody committed to."""
    return hmac.compare_digest(repr(commit(key, labels)), repr(commitment))


# --- In the vault --------------------------------------------------------------------------------------------------------


def seal_labels(
    vault: Vault, product: str, version: str, labels: pa.Table, *, replace: bool = False
) -> Commitment:  # fmt: skip
    """Keep the labels of a version in the vault, encrypted (AES-256-GCM), and commit to them.

    Args:
        vault: the workspace's.
        product: name of the product.
        version: its version.
        labels: one row for each unit.
        replace: put them in the place of others, which no release has committed to: a build was cut off before.

    Raises:
        InputOutputError: they cannot be written.
        DigestMismatchError: other labels are sealed for that version already.
    """
    key = sealed_key(vault.key, product, version)
    labels = conform(SEALED_LABELS, labels).sort_by("unit_id")
    commitment = commit(key, labels)
    path = _path(vault, product, version)
    if path.is_file() and not replace:
        if _opened(vault, product, version, commitment.key_sha256).equals(labels):
            return commitment
        raise DigestMismatchError(
            f"other labels are sealed for {product} {version} already",
            "Raise `version` in the recipe: what was committed to never changes.",
        )
    content = io.BytesIO()
    pq.write_table(labels, content, compression="zstd")
    nonce = os.urandom(_NONCE_BYTES)
    private_directory(path.parent)
    write_bytes(path, nonce + AESGCM(key).encrypt(nonce, content.getvalue(), _place(product, version)), mode=0o600)
    return commitment


def open_labels(vault: Vault, product: str, version: str, commitment: Commitment) -> pa.Table:
    """The sealed labels of a version, which are those that it committed to.

    Args:
        vault: the workspace's; keys that it had before its rotation count too.
        product: name of the product.
        version: its version.
        commitment: what its release says.

    Raises:
        PlanIncompleteError: the vault does not have them.
        VaultError: none of its keys is the one that they were sealed with.
        DigestMismatchError: they were changed.
    """
    labels = _opened(vault, product, version, commitment.key_sha256)
    if not is_committed(labels_key(vault, product, version, commitment), labels, commitment):
        raise DigestMismatchError(
            f"the sealed labels of {product} {version} are not those that its release committed to",
            "Restore vault/sealed from a copy; nothing can be scored against changed labels.",
        )
    return labels


def labels_key(vault: Vault, product: str, version: str, commitment: Commitment) -> bytes:
    """The key of a version's labels.

    Raises:
        VaultError: no key that the vault has, or had before a rotation, gives it.
    """
    return _key(vault, product, version, commitment.key_sha256)


def _key(vault: Vault, product: str, version: str, key_sha256: str) -> bytes:
    for one in (vault, *retired_keys(vault)):
        key = sealed_key(one.key, product, version)
        if hmac.compare_digest(f"sha256:{hashlib.sha256(key).hexdigest()}", key_sha256):
            return key
    raise VaultError(
        f"none of the vault's keys is the one that the labels of {product} {version} were sealed with",
        "Restore vault/key and vault/retired from the backup of the workspace that has built it.",
    )


def _opened(vault: Vault, product: str, version: str, key_sha256: str) -> pa.Table:
    path = _path(vault, product, version)
    try:
        sealed = path.read_bytes()
    except FileNotFoundError:
        raise PlanIncompleteError(
            f"this workspace's vault does not hold the labels of {product} {version}",
            "Score it in the workspace that has built it, or give the folder of `product unseal` with --labels.",
        ) from None
    except OSError as error:
        raise InputOutputError(
            f"vault/{FOLDER}/{path.name} cannot be read ({type(error).__name__})",
            "Check who owns vault/, or restore it from a copy.",
        ) from None
    key = _key(vault, product, version, key_sha256)
    try:
        content = AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _place(product, version))
    except (InvalidTag, ValueError):
        raise DigestMismatchError(
            f"the sealed labels of {product} {version} were changed in the vault", "Restore vault/sealed from a copy."
        ) from None
    return pq.read_table(io.BytesIO(content))


def _path(vault: Vault, product: str, version: str) -> Path:
    return vault.directory / FOLDER / f"{product}-{version}.bin"


def _place(product: str, version: str) -> bytes:
    return f"sealed-labels-v1|{len(product)}|{product}|{version}".encode()


# --- In the open ---------------------------------------------------------------------------------------------------------

LABELS_NAME, KEY_NAME = "labels.parquet", "key.json"
"""The files of a folder of unsealed labels."""


def write_unsealed(directory: Path, key: bytes, labels: pa.Table) -> None:
    """Write labels that are open now, and the key that shows that they are the ones, into a folder that is there.

    Site, scanner and topic are not among them: they need not be in the release, and were never committed to.
    """
    content = io.BytesIO()
    pq.write_table(conform(_COMMITTED, labels), content, compression="zstd")
    write_bytes(directory / LABELS_NAME, content.getvalue())
    write_bytes(directory / KEY_NAME, json.dumps({"key": key.hex()}).encode() + b"\n")


def read_unsealed(directory: Path, commitment: Commitment) -> pa.Table:
    """The labels of a folder that ``product unseal`` has written, which are those that were committed to.

    Raises:
        InputOutputError: it is no such folder.
        DigestMismatchError: key or labels are not those that were committed to.
    """
    key, labels = read_key(directory / KEY_NAME), read_labels(directory / LABELS_NAME)
    if not is_committed(key, labels, commitment):
        raise DigestMismatchError(
            "these labels are not those that the release committed to",
            "Ask the holder for them again; do not trust a score that rests on these.",
        )
    return labels


def read_key(path: Path) -> bytes:
    """The key of unsealed labels.

    Raises:
        InputOutputError: it cannot be read, or is none.
    """
    try:
        key = bytes.fromhex(_document(path)["key"])
    except (KeyError, TypeError, ValueError):
        key = b""
    if len(key) != 32:
        raise InputOutputError(f"{path.name} holds no key", f"`product unseal` writes {KEY_NAME}; take it from there.")
    return key


def read_labels(path: Path) -> pa.Table:
    """Labels from a Parquet file, without what scores are told apart by.

    Raises:
        InputOutputError: it cannot be read, or has other columns.
    """
    try:
        labels = pq.read_table(path)
        if set(labels.column_names) != set(COMMITTED):
            raise ValueError("other columns")
        return conform(SEALED_LABELS, labels)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputOutputError(
            f"{path.name} cannot be read as labels ({type(error).__name__})", "`product unseal` writes such a file."
        ) from None


# --- In a release --------------------------------------------------------------------------------------------------------


def read_task(directory: Path) -> BenchmarkTask:
    """What a sealed release asks.

    Raises:
        PlanIncompleteError: it is none.
        InputOutputError: its task is not of the form.
    """
    said = _of_form(directory, TASK_PATH, TASK_JSON_SCHEMA)
    return BenchmarkTask.from_dict(said)


def read_commitment(directory: Path) -> Commitment:
    """What a sealed release committed to.

    Raises:
        PlanIncompleteError: it is none.
        InputOutputError: its commitment is not of the form.
    """
    said = _of_form(directory, SEALED_COMMITMENT_PATH, COMMITMENT_JSON_SCHEMA)
    return Commitment(said["commitment"], said["key_sha256"], said["rows"])


def _of_form(directory: Path, path: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if not (directory / path).is_file():
        raise PlanIncompleteError(
            f"{directory.name} has no {path}: it is no sealed evaluation",
            "Build it from a recipe with `sealed:`, or name another release.",
        )
    said = _document(directory / path)
    faults = Draft202012Validator(schema).iter_errors(said)
    if fault := next(iter(faults), None):
        raise InputOutputError(
            f"{path} is not of its form at {fault.json_path}",
            "Restore the release from a copy; `manifest verify` checks it.",
        )
    return said


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
        said = json.loads(content) if len(content) <= _LARGEST else None
    except (OSError, ValueError, RecursionError) as error:
        raise InputOutputError(
            f"{path.name} cannot be read ({type(error).__name__})", "Check who owns it, or restore it from a copy."
        ) from None
    if not isinstance(said, dict):
        raise InputOutputError(f"{path.name} is not of its form", "Restore it from a copy.")
    return said


def labels_of(rows: "list[dict[str, Any]]") -> pa.Table:
    """Rows as a table of labels; what a row lacks is missing."""
    return from_rows(SEALED_LABELS, rows)
