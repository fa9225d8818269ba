"""Catalogs of every form that was ever written are read or brought into today's; one of the future says what to do.

Each folder below ``fixtures/versions`` holds the made-up hospital's catalog as that version of the program wrote it. 0.2.0
has numbers of cases among the slides' columns, numbers of slides one by one, and links of slides alone; 0.4.0 has numbers
among the slides' columns as JSON, and arrivals with them. From 0.5.0 on the form is today's. Releases have
``test_old_releases.py``, the registry ``test_registry_migration.py``.
"""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pathcurate.compaction import compact
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.find import find
from pathcurate.link import link
from pathcurate.model.catalog import CATALOG_TABLES
from pathcurate.model.link import LINKS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog
from pathcurate.upkeep import check
from pathcurate.workspace import Workspace, load_workspace

FOLDER = Path(__file__).parents[1] / "fixtures" / "versions"
VERSIONS = sorted(path.name for path in FOLDER.iterdir())
FORMER = {"0.2.0": {"slides"}, "0.4.0": {"slides", "arrivals"}}
"""Tables with columns that are no more."""


def opened(version: str, folder: Path) -> Workspace:
    shutil.copytree(FOLDER / version, folder)
    return load_workspace(folder / "pathcurate.yaml")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_catalog_of_that_version_is_read_told_and_brought_into_todays_form(version: str, tmp_path: Path) -> None:
    workspace = opened(version, tmp_path / "w")
    catalog = Catalog(workspace.catalog)
    told = dict(check(workspace))
    assert told.keys() == {"links", "slide_keys", *FORMER[version]}
    assert "pathcurate link" in told["links"]
    assert "pathcurate link" in told["slide_keys"]
    assert all("pathcurate catalog compact" in told[name] for name in FORMER[version])
    before = {table.name: catalog.read(table) for table in CATALOG_TABLES if table.name not in {"links", "slide_keys"}}
    states = {name: catalog.state(table) for table in CATALOG_TABLES if (name := table.name) in before}
    assert before["slides"].num_rows == 67
    assert before["reports"].num_rows == 52

    assert {done.table for done in compact(workspace.catalog)} == FORMER[version]
    for table in CATALOG_TABLES:
        if table.name in before:
            assert catalog.read(table).equals(before[table.name])
            assert catalog.state(table) == states[table.name], "nothing that was made of it is out of date"
            assert catalog.columns(table) <= {*table.names}
    assert dict(check(workspace)).keys() == {"links", "slide_keys"}
    assert compact(workspace.catalog) == []

    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        link(workspace, engine, now=datetime.now(UTC))
    assert list(check(workspace)) == []
    links = catalog.read(LINKS, columns=["slide_id", "accession"])
    assert links.num_rows > 60
    accession = next(filter(None, links["accession"].to_pylist()))
    found = find(workspace, accession, actor="tester")
    assert found.cases
    assert found.slides


def numbered(workspace: Workspace, table: str, version: int) -> None:
    for log in (workspace.catalog / table / "_log").iterdir():
        log.write_text(json.dumps(json.loads(log.read_bytes()) | {"schema_version": version}))


def test_a_table_of_the_future_is_not_read_and_says_what_to_do(tmp_path: Path) -> None:
    workspace = opened("0.4.0", tmp_path / "w")
    numbered(workspace, "slides", SLIDES.version + 1)
    with pytest.raises(InputOutputError, match="slides was written by a newer pathcurate") as caught:
        Catalog(workspace.catalog).read(SLIDES)
    assert "Upgrade pathcurate" in str(caught.value.hint)
    with pytest.raises(InputOutputError, match="newer"):
        compact(workspace.catalog)
    with pytest.raises(InputOutputError, match="newer"):
        find(workspace, "S-0000000000000001", actor="tester")
    assert "upgrade pathcurate" in dict(check(workspace))["slides"]
    (workspace.catalog / "moods" / "_log").mkdir(parents=True)
    (workspace.catalog / "moods" / "_log" / "00000001.json").write_bytes(
        (workspace.catalog / "links" / "_log" / "00000001.json").read_bytes()
    )
    assert any(table == "moods" and "no table of this version" in fault for table, fault in check(workspace))


def test_numbers_of_slides_in_the_former_form_are_not_merged_by_todays_key(tmp_path: Path) -> None:
    workspace = opened("0.2.0", tmp_path / "w")
    parts = sorted((workspace.catalog / SLIDE_KEYS.name).glob("part-*"))
    compact(workspace.catalog)
    assert sorted((workspace.catalog / SLIDE_KEYS.name).glob("part-*")) == parts


def test_a_workspace_file_of_the_future_says_what_this_version_reads(tmp_path: Path) -> None:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 2\nname: w\n")
    with pytest.raises(UsageError, match=r"`workspace` is the version of this file; this version of pathcurate reads 1"):
        load_workspace(tmp_path / "pathcurate.yaml")
