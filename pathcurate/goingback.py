"""Earlier states of the archive: which one somebody means, the lock by which a cohort names its own, and what is still kept.

One goes back for data, never for permission: permissions, withdrawals and erasures are always today's.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import InputOutputError, PlanIncompleteError, UsageError
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.permission import PERMISSIONS
from pathcurate.tables import Catalog, not_kept, read_snapshot
from pathcurate.vault import read_events
from pathcurate.verification import INPUTS, Seal
from pathcurate.workspace import Workspace

LOCK = "lock"
"""The member of ``cohort.json`` that :func:`lock` gives."""
_ERASURE = "forget --patient"
_EXAMPLE = "Give a time such as 2026-01-31 or 2026-01-31T18:00, the name of a cohort, or the path of its cohort.json."


@dataclass(frozen=True, slots=True)
class Earlier:
    """A state of the archive that somebody goes back to.

    Attributes:
        at: the moment whose state it is; for a cohort, when that was selected.
        states: number of the snapshot of each table, 0 for one that was not there yet.
    """

    at: datetime
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PastWorkspace(Workspace):
    """A workspace whose de-identified tables are those of an earlier state; all else of it is today's.

    Attributes:
        directory: where these tables lie.
        states: what they are made of, but for the permissions, which are today's.
    """

    directory: Path
    states: Mapping[str, int]

    @property
    def deid(self) -> Path:
        """De-identified tables."""
        return self.directory / "deid"

    @property
    def criteria(self) -> Path:
        """Criterion-only values that belong to them."""
        return self.directory / "criteria"

    @property
    def pinned(self) -> Mapping[str, int]:
        """Snapshots of the catalog that they are made of."""
        return self.states


def states_at(directory: Path, names: Iterable[str], when: datetime | None = None) -> dict[str, int]:
    """Which snapshot of each table was the newest at a moment, by its number; 0 if the table was not there yet.

    Args:
        directory: the catalog.
        names: of the tables.
        when: the moment, with time zone; None for now.

    Raises:
        PlanIncompleteError: a table was there, and its state of that time is no longer kept.
        InputOutputError: a snapshot is damaged.
    """
    states = {}
    for name in names:
        logs = sorted((directory / name / "_log").glob("*.json"), reverse=True)
        kept = [int(path.stem) for path in logs]
        found = (read_snapshot(path) for path in logs)
        reached = (one.number for one in found if when is None or datetime.fromisoformat(one.at) <= when)
        number = next(reached, 0)
        if not number and kept and kept[-1] > 1:
            raise not_kept(name)
        states[name] = number
    return states


# --- The lock ----------------------------------------------------------------------------------------------------------


def lock(workspace: Workspace, seal: Seal, now: datetime) -> dict[str, Any]:
    """What ``cohort.json`` says, beside its ``states``, so that the same cohort can be selected again.

    Args:
        workspace: that it is selected from, today's or a past one.
        seal: on its de-identified tables.
        now: the present, with time zone.

    Raises:
        PlanIncompleteError: a state that they were made of is no longer kept.
    """
    return {
        "at": now.isoformat(timespec="seconds"),
        "catalog": _catalog_digest(workspace.catalog, numbers(seal.inputs)),
    }


def numbers(states: Mapping[str, str]) -> dict[str, int]:
    """The snapshot of each catalog table that sealed tables were made of, from what a seal says as ``slides@3``.

    Raises:
        KeyError: a table is not among them.
        ValueError: a number is none.
    """
    return {table.name: int(states[table.name].removeprefix(f"{table.name}@")) for table in INPUTS}


def _catalog_digest(directory: Path, states: Mapping[str, int]) -> str:
    """Tells this catalog from another one, or from itself put back from a backup: names of parts are drawn at random.

    Permissions are left out: one never goes back for them.
    """
    catalog = Catalog(directory, states)
    found = {table.name: catalog.snapshot(table) for table in INPUTS if table is not PERMISSIONS}
    named = {name: list(one.committed_as or one.parts) if one else [] for name, one in found.items()}
    return sha256_text(canonical_json(named))


def erasures_since(workspace: Workspace, when: datetime) -> int:
    """How many patients were erased after a moment."""
    return sum(event.action == _ERASURE and event.at > when for event in read_events(workspace.vault))


# --- Which state is meant ----------------------------------------------------------------------------------------------


def parse_as_of(text: str, workspace: Workspace, *, directory: Path, now: datetime) -> Earlier:
    """The state that ``--as-of`` names.

    Args:
        text: a time in ISO 8601 (a day means its end; without a zone, this machine's), a cohort's name, or the path of a
            ``cohort.json``.
        workspace: the workspace.
        directory: what a relative path starts from.
        now: the present, with time zone.

    Raises:
        UsageError: it is none of these, or a time to come.
        PlanIncompleteError: that state is no longer kept, or the lock is of another catalog.
        InputOutputError: the file is no cohort's, or a snapshot is damaged.
    """
    file = directory / text
    if text.endswith(".json"):
        if not file.is_file():
            raise UsageError("--as-of: there is no such file", _EXAMPLE)
        return _locked(workspace, file)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        known = workspace.cohorts / text / COHORT_FILE
        if "/" not in text and text not in {"", ".", ".."} and known.is_file():
            return _locked(workspace, known)
        raise UsageError("--as-of: that is no time, no cohort of this workspace and no cohort.json", _EXAMPLE) from None
    if "T" not in text and " " not in text:
        moment += timedelta(days=1, microseconds=-1)
    moment = moment if moment.tzinfo is not None else moment.astimezone()
    if moment > now:
        # The day of today ends later, and means now.
        if moment - now >= timedelta(days=1):
            raise UsageError("--as-of: that time has not come yet", _EXAMPLE)
        moment = now
    return Earlier(moment, states_at(workspace.catalog, [table.name for table in INPUTS], moment))


def _locked(workspace: Workspace, file: Path) -> Earlier:
    try:
        facts = json.loads(file.read_bytes())
        at = datetime.fromisoformat(facts[LOCK]["at"])
        states, digest = numbers(facts["states"]), facts[LOCK]["catalog"]
        if at.tzinfo is None or min(states.values()) < 0:
            raise ValueError("a time without its zone, or a number that is none")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputOutputError(
            f"{file.name} does not say what its cohort was made of",
            "It may be of an earlier pathcurate, or changed by hand; name a time instead.",
        ) from None
    if _catalog_digest(workspace.catalog, states) != digest:
        raise PlanIncompleteError(
            f"{file.name} was made of another catalog than this one, or this one was put back from a backup since",
            "Go back in the workspace that the cohort comes from, or name a time.",
        )
    return Earlier(at, states)
