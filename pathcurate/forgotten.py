"""Whom the workspace has forgotten: marks by which imports and scans leave out what would bring an erased person back.

A mark is the keyed digest (HMAC-SHA-256, RFC 2104) of one number of the person, of the path of one slide of theirs, or of
the name of one file that tells who it is about. Its key is one of its own, so that another key of the vault leaves it valid;
a number cannot be read out of it, only asked for. It lies in ``vault/forgotten.json``, beside ``vault/erasing.json``, which
says what an erasure that has begun still has to do.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pathcurate.errors import VaultError
from pathcurate.pseudonyms import canonical
from pathcurate.storage import private_directory, write_bytes
from pathcurate.text.identities import card_number

Mark = tuple[str, ...]
"""What is remembered: its kind, its site where it has one, and what it is."""

PATIENT, CARD, CASE, PATH, FILE, SLIDE_NAME = "patient", "card", "case", "path", "file", "slide name"
_FORGOTTEN, _ERASING = "forgotten.json", "erasing.json"

NAMED: Mapping[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "reports": ((PATIENT, ("site",), "patient_id"), (CARD, (), "id_number"), (CASE, ("site",), "accession")),
    "events": ((PATIENT, ("site",), "patient_id"),),
    "materials": ((CASE, ("site",), "accession"),),
    "scanner_index": ((CASE, ("site",), "accession"), (PATIENT, ("site",), "patient_id")),
    "merges": ((PATIENT, ("site",), "patient_id"), (PATIENT, ("other_site", "site"), "other_patient_id")),
    "series": ((PATIENT, ("site",), "patient_id"), (CASE, ("site",), "accession")),
    "slides": ((PATIENT, ("site",), "patient_id"),),
    "slide_keys": ((CASE, ("site",), "key"),),
    "cases": ((CASE, ("site",), "accession"),),
    "links": ((CASE, ("site",), "accession"),),
    "link_decisions": ((CASE, ("site",), "accession"), (CASE, ("site",), "proposed_accession")),
    "identities": ((PATIENT, ("site",), "id_value"), (CASE, ("site",), "id_value"), (CARD, (), "id_value")),
    "permissions": ((PATIENT, ("site",), "subject_value"), (CASE, ("site",), "subject_value")),
}  # fmt: skip
"""Where a table names a person or a case: the kind of number, the columns that say its site (the first that does), and its
column."""
_DISCRIMINATED = {"identities": ("id_type", {PATIENT: "patient_id", CASE: "accession", CARD: "id_number"}),
                  "permissions": ("subject", {PATIENT: "person", CASE: "case"})}  # fmt: skip
"""Tables in which a column says what kind of number a row has."""


def applies(table: str, kind: str, row: Mapping[str, Any]) -> bool:
    """Whether a row's number is of this kind."""
    column, values = _DISCRIMINATED.get(table, ("", {}))
    return not column or row[column] == values[kind]


def discriminated(table: str, kind: str) -> tuple[str, str] | None:
    """The column that says what kind of number a row of the table has, and what it says of this kind; None if none does."""
    if table not in _DISCRIMINATED:
        return None
    column, values = _DISCRIMINATED[table]
    return column, values[kind]


def number_mark(kind: str, site: str | None, number: str) -> Mark | None:
    """The mark of a number as a table has it; None for what is no number of its kind."""
    if kind == CARD:
        card = card_number(number)
        return (CARD, card) if card else None
    return kind, site or "", canonical(number) if kind == PATIENT else number


def slide_name_mark(name: str) -> Mark:
    """The mark of a slide file by its name alone, as annotation tools know it."""
    return SLIDE_NAME, PurePosixPath(name.replace("\\", "/")).stem.casefold()


@dataclass(frozen=True)
class Forgotten:
    """What is to be left out.

    Attributes:
        key: of the marks.
        digests: the marks.
    """

    key: bytes = field(repr=False)
    digests: frozenset[str] = field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def holds(self, mark: Mark | None) -> bool:
        """Whether this was to be forgotten."""
        return mark is not None and bool(self.digests) and _digest(self.key, mark) in self.digests

    def holds_row(self, table: str, row: Mapping[str, Any]) -> bool:
        """Whether a row names somebody who is forgotten."""
        return bool(self.digests) and any(map(self.holds, _marks_of(table, row)))

    def holds_path(self, site: str, archive: str, relpath: bytes) -> bool:
        """Whether a path below an archive root, or a folder above it, is of a slide or series that is forgotten."""
        if not self.digests:
            return False
        folders = [relpath]
        while b"/" in folders[-1]:
            folders.append(folders[-1].rpartition(b"/")[0])
        return any(self.holds((PATH, site, archive, path.hex())) for path in folders)


NOBODY = Forgotten(b"", frozenset())


def _marks_of(table: str, row: Mapping[str, Any]) -> Iterator[Mark | None]:
    for kind, sites, column in NAMED.get(table, ()):
        if row.get(column) and applies(table, kind, row):
            site = next((row[name] for name in sites if row.get(name)), None)
            yield number_mark(kind, site, row[column])
    if table == "annotations" and row.get("slide_raw"):
        yield slide_name_mark(row["slide_raw"])
    if table == "scanner_index" and row.get("path"):
        yield slide_name_mark(row["path"])


def _digest(key: bytes, mark: Mark) -> str:
    return hmac.digest(key, "\x1f".join(mark).encode("utf-8", "surrogatepass"), hashlib.sha256)[:16].hex()


def read_forgotten(vault: Path) -> Forgotten:
    """Everybody whom the workspace has forgotten.

    Args:
        vault: the vault's directory.

    Raises:
        VaultError: the marks are damaged: nothing could be left out by them.
    """
    path = vault / _FORGOTTEN
    try:
        content = json.loads(path.read_bytes())
        return Forgotten(bytes.fromhex(content["key"]), frozenset(map(str, content["marks"])))
    except FileNotFoundError:
        return NOBODY
    except (ValueError, KeyError, TypeError):
        raise VaultError(
            "vault/forgotten.json is damaged, so erased patients would come back", "Restore it from a copy."
        ) from None


def remember(vault: Path, marks: Iterable[Mark]) -> str:
    """Add marks; a digest of what they are of, which tells nobody what."""
    known = read_forgotten(vault)
    key = known.key or secrets.token_bytes(32)
    digests = {_digest(key, mark) for mark in marks}
    content = {"key": key.hex(), "marks": sorted(known.digests | digests)}
    write_bytes(private_directory(vault) / _FORGOTTEN, json.dumps(content, indent=0).encode(), mode=0o600)
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


# --- An erasure that has begun -----------------------------------------------------------------------------------------


def begin(vault: Path, scope: Mapping[str, Any]) -> None:
    """Note what an erasure has to do, before it does anything."""
    write_bytes(private_directory(vault) / _ERASING, json.dumps(dict(scope), ensure_ascii=True).encode(), mode=0o600)


def begun(vault: Path) -> Mapping[str, Any] | None:
    """What an erasure that has not ended has to do; None if none has begun.

    Raises:
        VaultError: the note is damaged.
    """
    try:
        content: Mapping[str, Any] = json.loads((vault / _ERASING).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise VaultError("vault/erasing.json is damaged", "Remove it, and erase the patient again.") from None
    return content


def is_unfinished(vault: Path) -> bool:
    """Whether an erasure has begun and not ended."""
    return (vault / _ERASING).exists()


def end(vault: Path) -> None:
    """The erasure is done: nothing of what it had to do is kept."""
    (vault / _ERASING).unlink(missing_ok=True)
