"""An earlier state of the archive, de-identified beside the present one with today's key, profile and permissions.

It lies in ``catalog/as_of/``, the curator's own area; the two that were used last are kept.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from pathcurate import __version__
from pathcurate.deid.build import build_files, permissions_by_code
from pathcurate.deid.faults import find_faults, known
from pathcurate.deid.originals import record_originals
from pathcurate.deid.pastpermissions import permissions_of_then
from pathcurate.digests import canonical_json
from pathcurate.engines import Engine
from pathcurate.errors import PlanIncompleteError
from pathcurate.forgotten import read_forgotten
from pathcurate.goingback import Earlier, PastWorkspace, numbers
from pathcurate.model.link import LINKS
from pathcurate.model.permission import PERMISSIONS
from pathcurate.profiles import load_profile
from pathcurate.pseudonyms import Layer, internal
from pathcurate.storage import private_directory
from pathcurate.tables import Catalog, write_parquet
from pathcurate.vault import Vault, append_event, open_vault
from pathcurate.verification import (
    INPUTS,
    Seal,
    break_seal,
    demand_seal,
    demand_whole,
    files,
    input_states,
    write_seal,
)
from pathcurate.workspace import Workspace

_KEPT = 2
"""How many earlier states stay de-identified; each is as large as ``deid/``."""
_FOLDER = "as_of"
_PERMISSIONS = "permissions.parquet"


def go_back(workspace: Workspace, earlier: Earlier, engine: Engine, *, actor: str) -> Workspace:
    """The workspace with the de-identified tables of an earlier state; itself if nothing has changed since.

    Args:
        workspace: the workspace; the caller holds its lock. Its own tables must be up to date: they say what is permitted
            today of whose data.
        earlier: the state.
        engine: compares whose rows were and are.
        actor: who goes back, for the audit trail.

    Raises:
        PlanIncompleteError: today's tables are not up to date and verified, nothing was linked then, a state is no longer
            kept, or the tables of then did not pass their verification.
        VaultError: the key cannot be used.
        InputOutputError: a table cannot be read.
    """
    seal = demand_seal(workspace)
    today = numbers(seal.inputs)
    states = {**earlier.states, PERMISSIONS.name: today[PERMISSIONS.name]}
    if states == today:
        return workspace
    if not states[LINKS.name]:
        raise PlanIncompleteError("at that time nothing was linked yet", "Name a later time.")
    _demand_kept(workspace, states)
    vault = open_vault(workspace.vault)
    root = private_directory(private_directory(workspace.catalog) / _FOLDER)
    directory = root / _digest(workspace, states, seal)
    past = PastWorkspace(workspace.root, workspace.settings, workspace.document, directory, states)
    layer = internal(vault.key)
    if not _is_there(past):
        _sweep(root, keep=_KEPT - 1)
        _build(past, layer, vault, actor)
    _write_permissions(workspace, past, layer, engine, vault)
    # Which states were used last is told by the times of their folders.
    os.utime(directory)
    return past


def _demand_kept(workspace: Workspace, states: Mapping[str, int]) -> None:
    catalog = Catalog(workspace.catalog, states)
    for table in INPUTS:
        only_added, replacing = catalog.part_paths(table)
        if not all(path.is_file() for path in (*only_added, *replacing)):
            raise PlanIncompleteError(
                f"files of the state that catalog table {table.name} had then are missing",
                "Restore the catalog from a backup.",
            )


def _digest(workspace: Workspace, states: Mapping[str, int], seal: Seal) -> str:
    """What the tables depend on, but for the permissions, which are made anew each time."""
    made_of = {
        "states": {name: number for name, number in states.items() if name != PERMISSIONS.name},
        "rules": [seal.inputs["profile"], seal.inputs["scheme"], seal.key],
        "version": __version__,
        # An erasure takes rows out of every state, and all that was made of one.
        "forgotten": sorted(read_forgotten(workspace.vault).digests),
    }
    return hashlib.sha256(canonical_json(made_of)).hexdigest()[:32]


def _is_there(past: PastWorkspace) -> bool:
    """Whether the tables are there as they were verified; their permissions are written anew in any case."""
    try:
        demand_whole(past, {name: path for name, path in files(past).items() if path != past.criteria / _PERMISSIONS})
    except PlanIncompleteError:
        return False
    return True


def _sweep(root: Path, keep: int) -> None:
    folders = sorted(root.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for folder in folders[keep:]:
        shutil.rmtree(folder)


def _build(past: PastWorkspace, layer: Layer, vault: Vault, actor: str) -> None:
    for folder in (past.directory, past.deid, past.criteria):
        private_directory(folder)
    break_seal(past)
    catalog = Catalog(past.catalog, past.pinned)
    # No code is shown anywhere that does not lead back; where both know one, today's word counts.
    record_originals(catalog, layer.codes, vault)
    record_originals(Catalog(past.catalog), layer.codes, vault)
    built = build_files(catalog, layer, load_profile(past), past.deid, past.criteria)
    faults = find_faults(past, known(past))
    facts: dict[str, str | int] = {**built.rows, "faults": len(faults), "key": vault.fingerprint, "version": __version__}
    append_event(past.vault, actor, "deid as-of", facts)
    if faults:
        shutil.rmtree(past.directory)
        raise PlanIncompleteError(
            f"the tables of that time did not pass their verification ({len(faults)} faults, the first: {faults[0]})",
            "Name another time; if it is the same there, the profile or this version of pathcurate does not fit them.",
        )
    write_seal(past, input_states(past), vault.fingerprint, [])


def _write_permissions(workspace: Workspace, past: PastWorkspace, layer: Layer, engine: Engine, vault: Vault) -> None:
    """Today's permissions in the codes of then, whatever stood there."""
    of_then = permissions_by_code(Catalog(past.catalog, past.pinned), layer, load_profile(past))
    permissions = permissions_of_then(workspace, past, of_then, engine)
    break_seal(past)
    write_parquet(past.criteria / _PERMISSIONS, permissions, mode=0o600)
    write_seal(past, input_states(past), vault.fingerprint, [])
