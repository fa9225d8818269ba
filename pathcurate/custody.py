"""Stage: custody of the vault: its key's rotation, backup and return, and the people it trusts; each is audited."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from pathcurate import __version__
from pathcurate.errors import UsageError
from pathcurate.vault import Vault, append_event, open_vault
from pathcurate.vault import rotation as keys
from pathcurate.vault import shares as backups
from pathcurate.vault.people import Trusted, add_people, remove_person
from pathcurate.vault.shares import Backup, GivenShare
from pathcurate.workspace import Workspace


def rotate(workspace: Workspace, *, reason: str, actor: str) -> tuple[Vault, int]:
    """Give the vault a new key; the vault, and the rows of its crosswalk that were sealed again.

    ``deid/`` is of the old key then: no later stage uses it until ``deid apply`` has run.

    Raises:
        VaultError: the vault cannot be used; nothing was changed.
    """
    old = open_vault(workspace.vault)
    # Before and after: a run that is killed between the new key and its event would leave the trail without either.
    begun: dict[str, str | int] = {"old_key": old.fingerprint, "version": __version__}
    append_event(workspace.vault, actor, "vault rotate begin", begun, purpose=reason)
    vault, rows = keys.rotate(old)
    facts: dict[str, str | int] = {"old_key": old.fingerprint, "key": vault.fingerprint, "rows": rows}
    append_event(workspace.vault, actor, "vault rotate", {**facts, "version": __version__}, purpose=reason)
    return vault, rows


def back_up(
    workspace: Workspace, to: Path, *, shares: int, threshold: int, today: date, actor: str
) -> tuple[Backup, list[Path]]:
    """Write the key's shares to a directory outside the workspace; the backup, and the files.

    Raises:
        UsageError: the directory lies in the workspace, holds such files already, or the numbers do not fit.
        VaultError: the vault cannot be used.
    """
    if to.resolve().is_relative_to(workspace.root.resolve()):
        raise UsageError(
            "the shares would lie in the workspace", "Give a directory outside of it, best on a medium that is taken away."
        )
    backup, files = backups.back_up(open_vault(workspace.vault), to, shares, threshold, today)
    append_event(workspace.vault, actor, "vault backup", {**asdict(backup), "version": __version__})
    return backup, files


def restore(workspace: Workspace, given: Sequence[GivenShare], sealed: bytes | None, *, actor: str) -> Vault:
    """Make the vault's key again from shares; an existing key is never replaced.

    Raises:
        VaultError: a share is damaged, of another backup, or there are too few; the vault has another key.
    """
    vault, head = backups.restore(workspace.vault, given, sealed)
    # How far the trail had come at the backup: a trail that was lost or cut short since does not hold this line.
    facts: dict[str, str | int] = {"key": vault.fingerprint, "shares": len(given), "audit_head_then": head}
    append_event(workspace.vault, actor, "vault restore", {**facts, "version": __version__})
    return vault


def add(workspace: Workspace, names: Sequence[str], role: str, *, today: date, actor: str) -> list[Trusted]:
    """Enter people on the vault's list; the list as it is then.

    Raises:
        UsageError: a name is not one line of text.
        VaultError: the list is damaged.
    """
    people = add_people(workspace.vault, names, role, today)
    for name in names:
        facts: dict[str, str | int] = {"name": name, "role": role, "people": len(people)}
        append_event(workspace.vault, actor, "vault people add", {**facts, "version": __version__})
    return people


def remove(workspace: Workspace, name: str, *, actor: str) -> list[Trusted]:
    """Take somebody who has left off the vault's list; the list as it is then.

    Raises:
        UsageError: nobody on it has that name.
        VaultError: the list is damaged.
    """
    people = remove_person(workspace.vault, name)
    facts: dict[str, str | int] = {"name": name, "people": len(people)}
    append_event(workspace.vault, actor, "vault people remove", {**facts, "version": __version__})
    return people
