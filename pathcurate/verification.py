"""The seal on ``deid/``: which bytes were verified, made from which inputs with which key. Later stages demand it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathcurate.digests import file_sha256
from pathcurate.errors import PlanIncompleteError
from pathcurate.model.column import Table
from pathcurate.model.deidentified import CRITERIA_TABLES, DEID_TABLES
from pathcurate.model.event import EVENTS
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.storage import sweep, write_bytes
from pathcurate.tables import Catalog
from pathcurate.vault import open_vault
from pathcurate.workspace import Workspace

INPUTS: tuple[Table, ...] = (SLIDES, REPORTS, EVENTS, LINKS, PERSONS, IDENTITIES, PERMISSIONS)
"""Catalog tables that ``deid apply`` reads."""
SEAL_FILE = "verify.json"
_NEXT = "Run `pathcurate deid apply`."


@dataclass(frozen=True, slots=True)
class Seal:
    """What was verified.

    Attributes:
        tables: file name in ``deid/`` and ``vault/criteria/`` to digest.
        inputs: state of each catalog table.
        key: fingerprint of the vault key.
        faults: what is wrong, none if the verification passed.
    """

    tables: Mapping[str, str]
    inputs: Mapping[str, str]
    key: str
    faults: tuple[str, ...]


def files(workspace: Workspace) -> dict[str, Path]:
    """The sealed files by name: the de-identified tables and the criterion-only values that belong to them."""
    tables = {f"deid/{name}.parquet": workspace.deid / f"{name}.parquet" for name in DEID_TABLES}
    criteria = (*CRITERIA_TABLES, "permissions")
    return tables | {f"criteria/{name}.parquet": workspace.vault / "criteria" / f"{name}.parquet" for name in criteria}


def input_states(workspace: Workspace) -> dict[str, str]:
    """State of each catalog table that ``deid apply`` reads."""
    catalog = Catalog(workspace.catalog)
    return {table.name: catalog.state(table) for table in INPUTS}


def write_seal(workspace: Workspace, inputs: Mapping[str, str], key: str, faults: Sequence[str]) -> Seal:
    """Seal the tables as they are now."""
    digests = {name: file_sha256(path) for name, path in files(workspace).items()}
    seal = Seal(digests, dict(inputs), key, tuple(faults))
    content = {"tables": digests, "inputs": dict(inputs), "key": key, "faults": list(faults)}
    write_bytes(_path(workspace), json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")
    return seal


def break_seal(workspace: Workspace) -> None:
    """Remove the seal, before anything that it vouches for is touched, and what a killed run left half-written."""
    _path(workspace).unlink(missing_ok=True)
    for path in (*files(workspace).values(), _path(workspace)):
        sweep(path)


def read_seal(workspace: Workspace) -> Seal | None:
    """The seal, None if there is none.

    Raises:
        PlanIncompleteError: it is damaged.
    """
    if not _path(workspace).is_file():
        return None
    try:
        content = json.loads(_path(workspace).read_bytes())
        return Seal(dict(content["tables"]), dict(content["inputs"]), content["key"], tuple(content["faults"]))
    except (ValueError, KeyError, TypeError):
        raise PlanIncompleteError("the seal on the de-identified tables is damaged", _NEXT) from None


def demand_whole(workspace: Workspace, names: Mapping[str, Path]) -> Seal:
    """The seal, if it vouches for these of the sealed files as they are; neither catalog nor vault is read for it.

    Args:
        workspace: the workspace.
        names: some of :func:`files`.

    Raises:
        PlanIncompleteError: there is none, it found faults, or one of the files is another.
    """
    seal = read_seal(workspace)
    if seal is None:
        raise PlanIncompleteError("the workspace has no verified de-identified tables", _NEXT)
    if seal.faults:
        raise PlanIncompleteError(
            f"de-identification did not pass its verification ({len(seal.faults)} faults)",
            "Run `pathcurate deid verify` to see them.",
        )
    for name, path in names.items():
        if not path.is_file() or file_sha256(path) != seal.tables.get(name):
            raise PlanIncompleteError(f"{name} is not the file that was verified", _NEXT)
    return seal


def demand_seal(workspace: Workspace) -> Seal:
    """The seal, if it vouches for the tables as they are and they are up to date.

    Raises:
        PlanIncompleteError: there is none, it found faults, or the tables, their inputs or the key have changed since.
        VaultError: the vault's key is there and cannot be used.
    """
    seal = demand_whole(workspace, files(workspace))
    # A missing key is an error of the stages that need one.
    if (workspace.vault / "key").exists() and open_vault(workspace.vault).fingerprint != seal.key:
        raise PlanIncompleteError("the vault's key is not the one that made the de-identified tables", _NEXT)
    stale = sorted(name for name, state in input_states(workspace).items() if seal.inputs.get(name) != state)
    if stale:
        raise PlanIncompleteError(f"{', '.join(stale)} changed since the last de-identification", _NEXT)
    return seal


def _path(workspace: Workspace) -> Path:
    return workspace.deid / SEAL_FILE
