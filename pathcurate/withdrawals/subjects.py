"""Who has withdrawn: ``vault/withdrawn.jsonl``, a chain in the internal codes, to which lines are only ever added."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate.errors import DigestMismatchError, InputOutputError, VaultError
from pathcurate.model.feed import Reason, Scope
from pathcurate.storage import private_directory, sweep, write_bytes
from pathcurate.vault import Vault, open_vault, recorded_fingerprint
from pathcurate.vault.crosswalk import cross
from pathcurate.withdrawals.chain import content_of, head_of, next_line, read_lines
from pathcurate.workspace import Workspace

WITHDRAWN_FILE = "withdrawn.jsonl"
"""Below ``vault/``."""
Subject = tuple[str, str]
"""A kind of :data:`KINDS` and an internal code of it."""
KINDS: Mapping[str, str] = {"person": "Q", "patient": "P", "case": "C", "slide": "S", "series": "I"}
"""What may have been withdrawn, with the letter of its codes; a person is all patients who may be the same one."""
_MEMBERS = frozenset({"at", "actor", "scope", "reason", "key", "subjects", "seq", "previous", "digest"})


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """One line of the list.

    Attributes:
        seq: its number, from 1.
        at: when, ISO 8601 in UTC.
        actor: who entered it.
        scope: of whom or what somebody has withdrawn.
        reason: why.
        subjects: internal codes under the vault's present key; those that no key leads to any more are not in it.
    """

    seq: int
    at: str
    actor: str
    scope: Scope
    reason: Reason
    subjects: frozenset[Subject]


def withdrawn_subjects(workspace: Workspace) -> frozenset[Subject]:
    """Everybody and everything that was withdrawn: ``("person", Q-code)``, ``("patient", P-code)``, ``("case", C-code)``,
    ``("slide", S-code)``, ``("series", I-code)``, in the internal codes of the vault's present key.

    Raises:
        VaultError: the list is damaged: somebody who has withdrawn may be missing from it.
    """
    return frozenset(subject for one in read_withdrawn(workspace.vault) for subject in one.subjects)


def read_withdrawn(directory: Path) -> tuple[Withdrawn, ...]:
    """The list, oldest first; empty if nobody has withdrawn.

    Args:
        directory: the vault's.

    Raises:
        VaultError: the list is damaged, or was written under another key and the crosswalk does not lead to this one.
    """
    lines = _lines(directory)
    present = recorded_fingerprint(directory)
    older = {line["key"] for line in lines} - {present}
    crossed = _crossed(open_vault(directory), lines, older) if older else {}
    return tuple(_read(line, crossed, is_present=line["key"] not in older) for line in lines)


def add_withdrawn(vault: Vault, subjects: Collection[Subject], *, scope: Scope, reason: Reason, actor: str, at: str) -> bool:
    """Enter a withdrawal; False if every subject of it is on the list already, which then stays as it is.

    The caller holds the lock on the workspace. After a kill the line is there or it is not.

    Args:
        vault: the open vault.
        subjects: internal codes under its key.
        scope: of whom or what somebody has withdrawn.
        reason: why.
        actor: who enters it.
        at: when, ISO 8601 in UTC.

    Raises:
        VaultError: the list is damaged.
    """
    known = {subject for one in read_withdrawn(vault.directory) for subject in one.subjects}
    new = sorted(set(subjects) - known)
    if not new:
        return False
    lines = _lines(vault.directory)
    members = {
        "at": at, "actor": actor, "scope": str(scope), "reason": str(reason), "key": vault.fingerprint,
        "subjects": [list(subject) for subject in new],
    }  # fmt: skip
    content = content_of([*lines, next_line(lines, members)])
    try:
        path = private_directory(vault.directory) / WITHDRAWN_FILE
        sweep(path)
        write_bytes(path, content, mode=0o600)
    except OSError as error:
        raise InputOutputError(
            f"vault/{WITHDRAWN_FILE} cannot be written ({type(error).__name__})", "Check vault/, and run it again."
        ) from None
    return True


def withdrawn_head(directory: Path) -> tuple[int, str]:
    """How many lines the list has, and the digest of the last, for the audit trail.

    Raises:
        VaultError: the list is damaged.
    """
    return head_of(_lines(directory))


def _lines(directory: Path) -> list[dict[str, Any]]:
    try:
        lines = read_lines((directory / WITHDRAWN_FILE).read_bytes(), f"vault/{WITHDRAWN_FILE}")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _damaged(f"cannot be read ({type(error).__name__})") from None
    except DigestMismatchError as error:
        raise _damaged(f"is damaged ({error.message})") from None
    for line in lines:
        if not _is_line(line):
            raise _damaged(f"is damaged (line {line['seq']} has another form)")
    return lines


def _is_line(line: Mapping[str, Any]) -> bool:
    texts = [line.get(name) for name in ("at", "actor", "scope", "reason", "key")]
    if line.keys() != _MEMBERS or not all(isinstance(text, str) for text in texts):
        return False
    if line["scope"] not in set(Scope) or line["reason"] not in set(Reason) or not isinstance(line["subjects"], list):
        return False
    return all(
        isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one)
        and KINDS.get(one[0]) == one[1].partition("-")[0]
        for one in line["subjects"]
    )  # fmt: skip


def _damaged(what: str) -> VaultError:
    return VaultError(
        f"vault/{WITHDRAWN_FILE} {what}: somebody who has withdrawn may be missing from it",
        "Restore it from a copy of the vault; until then nothing is selected, built or delivered.",
    )


def _crossed(vault: Vault, lines: Collection[Mapping[str, Any]], older: Collection[str]) -> dict[tuple[str, str], str]:
    """Fingerprint of a key and code under it, to the code under the present key."""
    codes: dict[str, set[str]] = defaultdict(set)
    for line in lines:
        codes[line["key"]].update(code for _, code in line["subjects"])
    return {(key, old): new for key in older for old, new in cross(vault, key, codes[key]).items()}


def _read(line: Mapping[str, Any], crossed: Mapping[tuple[str, str], str], *, is_present: bool) -> Withdrawn:
    found = ((kind, code if is_present else crossed.get((line["key"], code))) for kind, code in line["subjects"])
    subjects = frozenset((kind, code) for kind, code in found if code is not None)
    return Withdrawn(line["seq"], line["at"], line["actor"], Scope(line["scope"]), Reason(line["reason"]), subjects)
