"""Care of the catalog as a whole: earlier states that are no longer needed go, and its files are checked."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pathcurate.compaction import is_of_today
from pathcurate.errors import InputOutputError
from pathcurate.goingback import numbers
from pathcurate.lookup import KEPT
from pathcurate.lookup.rowfile import open_rows, rows_path
from pathcurate.model.attrition import COHORT_FILE
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.permission import PERMISSIONS
from pathcurate.tables import FILTERS, Snapshot, read_metadata, read_snapshot
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
    """What is wrong with the catalog's files: the table, and what it is, without any value. Every file is read whole.

    The caller holds the workspace's lock: what a run is about to name in the log would be taken for a file that none names.
    """
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
        named = dict.fromkeys(part for snapshot in snapshots for part in snapshot.parts)
        damaged = {name: fault for name in named if (fault := _fault(table / name))}
        for name, fault in damaged.items():
            needed = ", which the newest state needs" if name in snapshots[-1].parts else ", which earlier states need"
            yield table.name, f"{name} {fault}{needed}"
        if len(snapshots) == len(logs):
            # Of a damaged snapshot it is not known what it names.
            yield from ((table.name, fault) for fault in _unnamed_files(table, named))
        if snapshots:
            newest = [name for name in snapshots[-1].parts if name not in damaged]
            yield from ((table.name, fault) for fault in _other_versions(table, snapshots, newest))


def _unnamed_files(table: Path, named: Mapping[str, None]) -> Iterator[str]:
    for path in sorted((*table.glob("part-*"), *table.glob(".part-*"))):
        if path.name not in named:
            yield f"{path.name} is named by no state: a killed run left it, and `pathcurate catalog compact` removes it"


def _other_versions(table: Path, snapshots: Sequence[Snapshot], newest: Sequence[str]) -> Iterator[str]:
    """What another version of the tool wrote, and what lies beside parts and is not of them."""
    declared = next((one for one in CATALOG_TABLES if one.name == table.name), None)
    if declared is None:
        yield "is no table of this version of pathcurate: a newer one wrote it; upgrade, or leave it to that one"
        return
    if any(one.schema_version > declared.version for one in snapshots):
        yield "was written by a newer pathcurate; upgrade pathcurate to read it"
        return
    if snapshots[-1].schema_version < declared.version:
        yield "was written by an earlier pathcurate, which made it otherwise; `pathcurate link` makes it again"
        return
    if not all(is_of_today(declared, read_metadata(table / name)) for name in newest):
        yield "has columns that only an earlier pathcurate knows; `pathcurate catalog compact` writes it in today's form"
    for kept in KEPT:
        for name in newest if kept.table.name == table.name else ():
            rows = open_rows(kept, table / name)
            there = rows_path(table / name).exists()
            if there and (rows is None or rows.count != read_metadata(table / name).num_rows):
                yield f"what lies beside {name} is not of it; `pathcurate link` makes it again"


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
