"""Care of the catalog as a whole: earlier states that are no longer needed go, and its files are checked."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.errors import InputOutputError
from pathcurate.goingback import numbers
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.permission import PERMISSIONS
from pathcurate.tables import FILTERS, Snapshot, read_snapshot
from pathcurate.workspace import Workspace

_ROWS = 1 << 16


@dataclass(frozen=True, slots=True)
class Expiry:
    """Earlier states that go.

    Attributes:
        states: how many of each table.
        files: files that no state needs any more.
        size_bytes: what they take.
        cohorts: cohorts whose state will not be there to be gone back to.
    """

    states: Mapping[str, int]
    files: int
    size_bytes: int
    cohorts: tuple[str, ...]


def plan_expiry(workspace: Workspace, horizon: datetime) -> Expiry:
    """What :func:`expire` would remove.

    Args:
        workspace: the workspace; the caller holds its lock.
        horizon: the moment, with time zone, from which on every state stays.

    Raises:
        InputOutputError: a snapshot is damaged.
    """
    going = {table.name: _going(table, horizon) for table in _tables(workspace)}
    files = [path for table in _tables(workspace) for path in _unnamed(table, going[table.name])]
    sizes = sum(path.stat().st_size for path in files)
    oldest = {name: max(one.number for one in gone) for name, gone in going.items() if gone}
    counts = {name: len(gone) for name, gone in going.items() if gone}
    return Expiry(counts, len(files), sizes, tuple(sorted(_cohorts_before(workspace, oldest))))


def expire(workspace: Workspace, horizon: datetime) -> Expiry:
    """Remove every state that was no longer the newest of its table at a moment; from then on all can be gone back to.

    Killed at any point, nothing that a state needs is gone, and the same call again ends the work. The arguments and errors
    are those of :func:`plan_expiry`.
    """
    plan = plan_expiry(workspace, horizon)
    for table in _tables(workspace):
        # Oldest first: what is left is always the end of the log, which says that earlier states are not kept.
        for snapshot in _going(table, horizon):
            (table / "_log" / f"{snapshot.number:08d}.json").unlink()
        for path in _unnamed(table, []):
            path.unlink(missing_ok=True)
    return plan


def check(workspace: Workspace) -> Iterator[tuple[str, str]]:
    """What is wrong with the catalog's files: the table, and what it is, without any value. Every file is read whole."""
    for table in _tables(workspace):
        logs = sorted((table / "_log").glob("*.json"))
        snapshots = []
        for path in logs:
            try:
                snapshots.append(read_snapshot(path))
            except InputOutputError:
                yield table.name, f"snapshot {path.name} is damaged"
        stems = [path.stem for path in logs]
        if stems and stems != [f"{number:08d}" for number in range(int(stems[0]), int(stems[0]) + len(stems))]:
            yield table.name, "snapshots are missing between others"
        for name in dict.fromkeys(part for snapshot in snapshots for part in snapshot.parts):
            if fault := _fault(table / name):
                needed = ", which the newest state needs" if name in snapshots[-1].parts else ", which earlier states need"
                yield table.name, f"{name} {fault}{needed}"


def _tables(workspace: Workspace) -> list[Path]:
    """Folders of the catalog's tables, known to this version or not."""
    return sorted(path.parent for path in workspace.catalog.glob("*/_log"))


def _going(table: Path, horizon: datetime) -> list[Snapshot]:
    """States that go, oldest first: all before the one that was the newest at the horizon."""
    snapshots = [read_snapshot(path) for path in sorted((table / "_log").glob("*.json"))]
    before = [one for one in snapshots if datetime.fromisoformat(one.at) <= horizon]
    # The clock may have been put back: a state that a later one by number precedes in time goes with it, or stays.
    return snapshots[: snapshots.index(before[-1])] if before else []


def _unnamed(table: Path, going: list[Snapshot]) -> list[Path]:
    """Files of a table, and what lies beside them to find their rows by, that no state names but those that go."""
    gone = {one.number for one in going}
    logs = (read_snapshot(path) for path in (table / "_log").glob("*.json"))
    named = {part.partition(".")[0] for one in logs if one.number not in gone for part in one.parts}
    found = [*table.glob("part-*"), *(table / FILTERS).glob("part-*")]
    return [path for path in found if path.name.partition(".")[0] not in named]


def _cohorts_before(workspace: Workspace, oldest: Mapping[str, int]) -> Iterator[str]:
    """Cohorts that were made of a state that goes."""
    for file in workspace.cohorts.glob(f"*/{COHORT_FILE}"):
        try:
            states = numbers(json.loads(file.read_bytes())["states"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Of an earlier version, which could not be gone back to anyway.
            continue
        states.pop(PERMISSIONS.name)
        if any(0 < number <= oldest.get(name, 0) for name, number in states.items()):
            yield file.parent.name


def _fault(path: Path) -> str:
    if not path.is_file():
        return "is missing"
    try:
        with pq.ParquetFile(path) as file:
            for _ in file.iter_batches(batch_size=_ROWS):
                pass
    except (OSError, pa.ArrowException, ValueError) as error:
        # ValueError: text that is not UTF-8 is met when it is made; Arrow's own words may quote the data.
        return f"cannot be read ({type(error).__name__})"
    return ""
