"""Backup and restore as the README says: the same answers, codes and chain; one part restored alone is noticed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.api import Archive
from pathcurate.forgotten import is_unfinished
from pathcurate.model.report import REPORTS
from pathcurate.pairing import note_pair, unpaired
from pathcurate.pseudonyms import internal
from pathcurate.storage import locked
from pathcurate.tables import Catalog
from pathcurate.vault import broken_event, open_vault, read_events
from pathcurate.workspace import Workspace, load_workspace
from tests.commandline import pathcurate

KEPT = ("pathcurate.yaml", "recipes", "mappings", "catalog", "vault", "cohorts", "releases", "products", "requests",
        "registry.db", "trust.yaml")  # fmt: skip
"""What the README says must be copied, in its order."""


def back_up(root: Path, to: Path) -> None:
    """The README's procedure: check, then copy while the lock is held."""
    checked = pathcurate("catalog", "check", "-w", root)
    assert checked.returncode == 0, checked.stdout
    with locked(root, "backup"):
        to.mkdir(parents=True)
        for name in KEPT:
            if (root / name).is_dir():
                shutil.copytree(root / name, to / name, symlinks=True)
            elif (root / name).exists():
                shutil.copy2(root / name, to / name)


def answers(root: Path) -> dict[str, Any]:
    """What somebody would ask before and after."""
    archive = Archive(root)
    reports = Catalog(root / "catalog").read(REPORTS, columns=["accession", "patient_id"]).slice(0, 3)
    asked = [str(value) for column in reports.columns for value in column.to_pylist()]
    vault = open_vault(root / "vault")
    return {
        "found": {text: archive.find(text) for text in asked},
        "codes": [internal(vault.key).codes.code("P", text) for text in asked],
        "releases": [
            (one.name, one.version, json.dumps(one.manifest, sort_keys=True, default=str)) for one in archive.releases()
        ],
        "products": pathcurate("product", "list", "--json", "-w", root).stdout,
    }


@pytest.fixture
def root(run_hospital: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run_hospital, tmp_path / "w", symlinks=True)


def events(root: Path) -> int:
    return len(list(read_events(root / "vault")))


def doctor(root: Path) -> set[str]:
    """What the doctor finds that is not in order, without places on the disk."""
    checks = json.loads(pathcurate("doctor", "--json", "-w", root).stdout)["checks"]
    return {json.dumps(one, sort_keys=True) for one in checks if "ok" not in one.values() and "GB" not in json.dumps(one)}


def test_a_workspace_that_is_gone_comes_back(root: Path, tmp_path: Path) -> None:
    backup, before = tmp_path / "backup", answers(root)
    well = doctor(root)
    back_up(root, backup)
    count = events(root)
    hospital = shutil.move(root / "hospital", tmp_path / "hospital")
    shutil.rmtree(root)

    shutil.copytree(backup, root, symlinks=True)
    shutil.move(hospital, root / "hospital")
    assert not is_unfinished(root / "vault")
    assert pathcurate("catalog", "check", "-w", root).returncode == 0
    assert broken_event(root / "vault") is None
    assert events(root) == count
    assert answers(root) == before
    applied = pathcurate("deid", "apply", "-q", "-w", root)
    assert applied.returncode == 0, applied.stderr
    assert doctor(root) == well
    assert broken_event(root / "vault") is None


def test_a_run_and_a_copy_do_not_meet(root: Path, tmp_path: Path) -> None:
    with locked(root, "backup"):
        refused = pathcurate("scan", "-w", root)
    assert refused.returncode == 14
    assert "`pathcurate backup`" in refused.stderr


def later(root: Path) -> None:
    """A day of work: rows that come, and people who look."""
    workspace = load_workspace(root / "pathcurate.yaml")
    catalog = Catalog(workspace.catalog)
    rows = catalog.read(REPORTS).slice(0, 1)
    catalog.upsert(REPORTS, rows)
    Archive(root).find("S23-1")
    assert pathcurate("catalog", "check", "-w", root).returncode == 0


@pytest.mark.parametrize(
    ("restored", "said"),
    [("catalog", "the catalog is of an earlier time than the vault (reports)"),
     ("vault", "the vault is of an earlier time than the catalog")],
)  # fmt: skip
def test_one_of_the_two_restored_alone_is_noticed(root: Path, tmp_path: Path, restored: str, said: str) -> None:
    back_up(root, tmp_path / "backup")
    later(root)
    shutil.rmtree(root / restored)
    shutil.copytree(tmp_path / "backup" / restored, root / restored)
    checked = pathcurate("catalog", "check", "-w", root)
    assert checked.returncode == 1
    assert said in checked.stdout
    assert pathcurate("catalog", "check", "-w", root).returncode == 1, "it is not forgotten by looking"
    other = "vault" if restored == "catalog" else "catalog"
    shutil.rmtree(root / other)
    shutil.copytree(tmp_path / "backup" / other, root / other)
    assert pathcurate("catalog", "check", "-w", root).returncode == 0


@pytest.fixture
def small(tmp_path: Path) -> Workspace:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    return load_workspace(tmp_path / "pathcurate.yaml")


def another_catalog(workspace: Workspace) -> None:
    shutil.rmtree(workspace.catalog / "reports")
    Catalog(workspace.catalog).upsert(REPORTS, Catalog(workspace.catalog).read(REPORTS))


def another_key(workspace: Workspace) -> None:
    from pathcurate.vault import create_vault

    shutil.rmtree(workspace.vault)
    create_vault(workspace.vault)


@pytest.mark.parametrize(
    ("change", "said"), [(another_catalog, "another one (reports)"), (another_key, "is not the one that this catalog")]
)
def test_another_one_in_its_place_is_noticed(small: Workspace, change: Callable[[Workspace], None], said: str) -> None:
    from pathcurate.vault import create_vault

    note_pair(small)
    assert list(unpaired(small)) == []
    create_vault(small.vault)
    Catalog(small.catalog).upsert(REPORTS, Catalog(small.catalog).read(REPORTS))
    note_pair(small)
    assert list(unpaired(small)) == []
    change(small)
    (fault,) = unpaired(small)
    assert said in fault


def test_notes_that_are_damaged_or_missing_say_nothing(small: Workspace) -> None:
    from pathcurate.vault import create_vault

    create_vault(small.vault)
    Catalog(small.catalog).upsert(REPORTS, Catalog(small.catalog).read(REPORTS))
    for content in (b"", b"[1]", b'{"states": 3}'):
        (small.vault / "catalog.json").write_bytes(content)
        (small.catalog / "vault.json").write_bytes(content)
        assert list(unpaired(small)) == []
