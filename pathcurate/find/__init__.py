"""Stage: a slide or case by any of its numbers, and where it stands. What it gives is identified; every call is audited."""

import hashlib
import hmac
import secrets
from datetime import UTC, datetime
from pathlib import Path

from pathcurate import __version__
from pathcurate.find.case import gather
from pathcurate.find.facts import Found
from pathcurate.find.numbers import Numbers
from pathcurate.find.standing import Standing
from pathcurate.lookup import Lookup
from pathcurate.pseudonyms import canonical
from pathcurate.storage import private_directory, write_bytes
from pathcurate.tables import Catalog
from pathcurate.text.accession import AccessionPatterns
from pathcurate.vault import append_event, create_vault
from pathcurate.workspace import Workspace


def find(workspace: Workspace, text: str, *, actor: str, purpose: str | None = None) -> Found:
    """Find cases, slides and series by a number of theirs; the audit trail notes that somebody looked, but not for what.

    Known are: identifiers of slides, series, reports, glass, persons and groups; accession numbers in any spelling, at every
    site, also a sender's; numbers of glass and barcodes, also of the scanner's table; patient and identity-card numbers,
    also of a merge list; numbers of series; file names; and pseudonyms, the workspace's own and those of every product.
    Numbers are looked up without reading the tables (see :mod:`pathcurate.lookup`). File names without a number in them,
    numbers in a spelling that no pattern knows, and pseudonyms take as long as reading one column.

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
    catalog, standing = Catalog(workspace.catalog), Standing(workspace, vault.key)
    lookup = Lookup(catalog)
    numbers = Numbers(catalog, lookup, {site.code: AccessionPatterns(site.accession.patterns) for site in workspace.sites})
    found = gather(lookup, numbers, standing, numbers.look(standing, text.strip()))
    digest = hmac.new(vault.key, b"pathcurate find v1\x1f" + canonical(text).encode(), hashlib.sha256).hexdigest()
    append_event(
        workspace.vault, actor, "find",
        {"query_hmac": digest, "slides": len(found.slides), "cases": len(found.cases), "version": __version__},
        purpose=purpose,
    )  # fmt: skip
    return found


def write_review(workspace: Workspace, content: str, suffix: str) -> Path:
    """Write what was found where only the workspace's owner can read it: below ``catalog/review/``, mode 0600."""
    folder = private_directory(private_directory(workspace.catalog) / "review")
    path = folder / f"find-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}{suffix}"
    write_bytes(path, content.encode(), mode=0o600)
    return path
