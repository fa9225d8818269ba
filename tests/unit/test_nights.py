"""A thousand nights: how many files are opened stays bounded once they are compacted, and what they left goes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pathcurate import tables
from pathcurate.compaction import compact
from pathcurate.goingback import states_at
from pathcurate.lookup import Lookup, OneOf
from pathcurate.lookup.parts import Part
from pathcurate.model.person import PERSONS
from pathcurate.tables import Catalog, arrow_schema, from_rows
from pathcurate.upkeep import check, expire
from pathcurate.workspace import Workspace, load_workspace

NIGHTS, GONE = 1000, 550
"""Nights, and how many of them nobody can go back to any more."""
NOW = datetime.now(UTC)


def person(number: int) -> str:
    return f"P-{number:016d}"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A person more each night; the log entries say what `upsert` says, each with all parts before it."""
    root = tmp_path_factory.mktemp("nights")
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    workspace = load_workspace(root / "pathcurate.yaml")
    folder = workspace.catalog / PERSONS.name
    (folder / "_log").mkdir(parents=True)
    names: list[str] = []
    schema = arrow_schema(PERSONS)
    for night in range(NIGHTS):
        rows = [{"person_id": person(night), "group_id": "Q", "basis": "case"}]
        names.append(f"part-{night + 1:08d}-0000.parquet")
        pq.write_table(from_rows(PERSONS, rows).cast(schema), folder / names[-1])
        if night < GONE:
            continue
        at = NOW - timedelta(days=NIGHTS - night)
        entry = {"number": night + 1, "at": at.isoformat(), "operation": "upsert", "parts": names,
                 "schema_version": PERSONS.version}  # fmt: skip
        (folder / "_log" / f"{night + 1:08d}.json").write_text(json.dumps(entry))
    return workspace


def opened(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Files that are opened to read the table, and to find one row."""
    paths: set[Path] = set()
    read, single = tables.read_parquet, Part.__init__

    def counting(path: Path, columns: Any = None) -> Any:
        paths.add(path)
        return read(path, columns)

    def counting_parts(part: Part, name: str, path: Path, *more: Any) -> None:
        paths.add(path)
        single(part, name, path, *more)

    with monkeypatch.context() as patch:
        patch.setattr(tables, "read_parquet", counting)
        patch.setattr(Part, "__init__", counting_parts)
        assert Catalog(workspace.catalog).read(PERSONS).num_rows == NIGHTS
        whole = len(paths)
        paths.clear()
        assert len(Lookup(Catalog(workspace.catalog)).rows(PERSONS, (), {"person_id": OneOf({person(77)})})) == 1
        return whole, len(paths)


def test_a_thousand_nights_are_read_as_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = Catalog(workspace.catalog)
    assert opened(workspace, monkeypatch) == (NIGHTS, NIGHTS)
    compact(workspace.catalog)
    assert opened(workspace, monkeypatch) == (1, 1)
    assert catalog.state(PERSONS) == f"persons@{NIGHTS}"

    earlier = states_at(workspace.catalog, [PERSONS.name], NOW - timedelta(days=400, hours=1))
    was = Catalog(workspace.catalog, earlier).read(PERSONS).num_rows
    assert was == NIGHTS - 400
    expire(workspace, NOW - timedelta(days=400, hours=1))
    assert Catalog(workspace.catalog, earlier).read(PERSONS).num_rows == was, "what is within the time to keep stays"
    assert len(list((workspace.catalog / PERSONS.name / "_log").iterdir())) == 401
    expire(workspace, NOW)
    left = {path.name for path in (workspace.catalog / PERSONS.name).glob("part-*")}
    assert len(left) == 1
    assert opened(workspace, monkeypatch) == (1, 1)
    assert list(check(workspace)) == []
