"""Catalog and vault belong together: each notes where the other stood, so that one restored without the other is noticed.

An earlier catalog with a later vault would bring back people who were erased, and permissions that were withdrawn. An
earlier vault with a later catalog has lost who looked at what, and whom to keep out. With another key every code changes.
What is noted says nothing of anybody: numbers of states, names of files, digests of the audit trail.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.storage import write_bytes
from pathcurate.tables import Catalog
from pathcurate.vault import recorded_fingerprint
from pathcurate.workspace import Workspace

_OF_VAULT, _OF_CATALOG = "vault.json", "catalog.json"


def note_pair(workspace: Workspace) -> None:
    """Note in the catalog where the vault stands, and in the vault where the catalog stands; none is made that is not there.

    Args:
        workspace: the workspace; the caller holds its lock.
    """
    if not (workspace.catalog.is_dir() and workspace.vault.is_dir()):
        return
    trail = _trail(workspace.vault)
    last = hashlib.sha256(trail[-1]).hexdigest() if trail else None
    ours = {"key": recorded_fingerprint(workspace.vault), "event": last}
    _write(workspace.vault / _OF_CATALOG, {"states": _states(workspace.catalog)})
    _write(workspace.catalog / _OF_VAULT, ours)


def unpaired(workspace: Workspace) -> Iterator[str]:
    """In what catalog and vault do not belong together, in words; nothing if one of them notes nothing of the other."""
    of_vault = _read(workspace.catalog / _OF_VAULT)
    fingerprint = recorded_fingerprint(workspace.vault) if workspace.vault.is_dir() else None
    if of_vault.get("key") not in {None, fingerprint}:
        yield (
            "the vault's key is not the one that this catalog was last used with: every code would change; restore catalog/ "
            "and vault/ of one backup (after `pathcurate vault rotate` remove catalog/vault.json)"
        )
    elif of_vault.get("event") and all(of_vault["event"] != digest for digest in _digests(workspace.vault)):
        yield (
            "the vault is of an earlier time than the catalog: its audit trail lacks what was done since, and who was "
            "erased since is not kept out; restore catalog/ and vault/ of one backup (or remove catalog/vault.json to go "
            "on so)"
        )
    noted = _read(workspace.vault / _OF_CATALOG).get("states")
    if not isinstance(noted, dict):
        return
    there = _states(workspace.catalog)
    earlier = sorted(name for name, state in noted.items() if name not in there or there[name]["number"] < state["number"])
    others = sorted(
        name for name, state in noted.items()
        if name in there and there[name]["number"] == state["number"] and there[name]["part"] != state["part"]
    )  # fmt: skip
    if earlier or others:
        how = (
            f"of an earlier time than the vault ({', '.join(earlier)})" if earlier else f"another one ({', '.join(others)})"
        )
        yield (
            f"the catalog is {how}: who was erased or withdrew since would be there again; restore catalog/ and vault/ of "
            "one backup (or remove vault/catalog.json to go on so)"
        )


def _states(catalog: Path) -> dict[str, dict[str, Any]]:
    """Number of each table's newest state, and the last of the parts that it was committed with."""
    found = {}
    for table in CATALOG_TABLES:
        snapshot = Catalog(catalog).snapshot(table)
        if snapshot is not None:
            parts = snapshot.committed_as or snapshot.parts
            found[table.name] = {"number": snapshot.number, "part": parts[-1] if parts else ""}
    return found


def _trail(vault: Path) -> list[bytes]:
    path = vault / "audit.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _digests(vault: Path) -> Iterator[str]:
    # From its end: what is looked for is rarely far from there.
    return (hashlib.sha256(line).hexdigest() for line in reversed(_trail(vault)))


def _write(path: Path, content: dict[str, Any]) -> None:
    write_bytes(path, json.dumps(content).encode(), mode=0o600)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
