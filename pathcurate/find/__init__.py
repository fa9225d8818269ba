"""Stage: a slide or case by any of its numbers, and where it stands. What it gives is identified; every call is audited."""

import secrets
from datetime import UTC, datetime
from pathlib import Path

from pathcurate.find.facts import Found
from pathcurate.find.finder import Finder, find_event
from pathcurate.find.opened import Opened
from pathcurate.storage import private_directory, write_bytes
from pathcurate.vault import create_vault
from pathcurate.vault.together import append_events
from pathcurate.workspace import Workspace

__all__ = ["Finder", "find", "write_review"]


def find(workspace: Workspace, text: str, *, actor: str, purpose: str | None = None) -> Found:
    """Find cases, slides and series by a number of theirs; the audit trail notes that somebody looked, but not for what.

    Known are: identifiers of slides, series, reports, glass, persons and groups; accession numbers in any spelling, at every
    site, also a sender's; numbers of glass and barcodes, also of the scanner's table; patient and identity-card numbers,
    also of a merge list; numbers of series; file names; and pseudonyms, the workspace's own and those of every product.
    Rows are looked up without reading the tables (see :mod:`pathcurate.lookup`); only pseudonyms take long: those of
    everything of their kind are made again. Many people are answered by one :class:`Finder`.

    Args:
        workspace: the workspace.
        text: the number.
        actor: who looks.
        purpose: why, in their words.

    Raises:
        VaultError: the vault's key cannot be used.
        InputOutputError: the catalog cannot be read.
    """
    vault = create_vault(workspace.vault)
    found = Opened(workspace, vault.key).answer(text) or Found()
    append_events(workspace.vault, [find_event(vault, text, found, actor, purpose)])
    return found


def write_review(workspace: Workspace, content: str, suffix: str) -> Path:
    """Write what was found where only the workspace's owner can read it: below ``catalog/review/``, mode 0600."""
    folder = private_directory(private_directory(workspace.catalog) / "review")
    path = folder / f"find-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}{suffix}"
    write_bytes(path, content.encode(), mode=0o600)
    return path
