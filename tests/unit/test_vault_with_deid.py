"""The vault under the real de-identification: codes lead back, and a key that came back from shares makes the same bytes."""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pathcurate import deid
from pathcurate.custody import add, back_up, restore, rotate
from pathcurate.errors import PlanIncompleteError, VaultError
from pathcurate.model.slide import SLIDES
from pathcurate.reidentify import Request, reidentify
from pathcurate.tables import Catalog, column_values, read_parquet
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import check_crosswalk
from pathcurate.vault.shares import read_shares
from pathcurate.verification import demand_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import CANARIES, open_clinic, report, slide
from tests.unit.test_shares import TODAY


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clinic that was de-identified; nobody may change it."""
    reports = [report(1), report(2, "S23-00002", patient_id="7001"), report(3, "S23-00003", patient_id=None)]
    slides = [slide(1, relpath=b"\xff/S23-00001.svs"), slide(2)]
    keys = {slides[0]["slide_id"]: CANARIES["accession"]}
    workspace = open_clinic(tmp_path_factory.mktemp("clinic"), reports=reports, slides=slides, keys=keys)
    apply(workspace)
    add(workspace, ["Li", "Zhang"], "approver", today=TODAY, actor="owner")
    return workspace.root


@pytest.fixture
def clinic(pristine: Path, tmp_path: Path) -> Workspace:
    """One of the test's own."""
    shutil.copytree(pristine, tmp_path / "clinic")
    return load_workspace(tmp_path / "clinic" / "pathcurate.yaml")


def apply(workspace: Workspace) -> None:
    assert deid.apply(workspace, actor="tester").faults == ()


def released(workspace: Workspace) -> Iterator[str]:
    """All codes of persons, cases, slides and reports in ``deid/``."""
    keys = {"patients": "patient_id", "cases": "case_id", "slides": "slide_id", "reports": "report_id"}
    for table, column in keys.items():
        yield from column_values(read_parquet(workspace.deid / f"{table}.parquet"), column)


def everything(workspace: Workspace) -> dict[str, bytes]:
    paths = [*workspace.deid.rglob("*.parquet"), *(workspace.vault / "criteria").glob("*.parquet")]
    return {path.name: path.read_bytes() for path in paths}


def test_every_code_of_the_tables_leads_back(clinic: Workspace) -> None:
    codes = tuple(released(clinic))
    found = reidentify(clinic, Request(codes, None, "test", "Li", "Zhang"), actor="me")
    assert (found.unknown, len(found.rows)) == (0, len(set(codes)))
    rows = list(found.rows.values())
    assert {row["accession"] for row in rows if "accession" in row} == {CANARIES["accession"], "S23-00002", "S23-00003"}
    assert {row["numbers"] for row in rows if "numbers" in row} == {f"NB01 {CANARIES['number']}", "NB01 7001", ""}
    assert {row["slide_id"] for row in rows if "slide_id" in row} == set(
        column_values(Catalog(clinic.catalog).read(SLIDES), "slide_id")
    )
    assert CANARIES["name"] not in str(rows)


def test_the_same_again_leaves_the_crosswalk_as_it_was(clinic: Workspace) -> None:
    before = (clinic.vault / "crosswalk.db").read_bytes()
    apply(clinic)
    assert (clinic.vault / "crosswalk.db").read_bytes() == before


def test_a_key_that_came_back_makes_the_same_bytes(clinic: Workspace, tmp_path: Path) -> None:
    before = everything(clinic)
    back_up(clinic, tmp_path / "to", shares=3, threshold=2, today=TODAY, actor="owner")
    for path in (*clinic.deid.rglob("*"), clinic.vault / "key", clinic.vault / "crosswalk.db"):
        if path.is_file():
            path.unlink()
    with pytest.raises(VaultError, match="key is gone"):
        deid.apply(clinic, actor="tester")
    texts = [(tmp_path / "to" / f"share-{number}-of-3.txt").read_text() for number in (2, 3)]
    given = [share for text in texts for share in read_shares("x", text)]
    restore(clinic, given, None, actor="owner")
    apply(clinic)
    assert everything(clinic) == before
    state = check_crosswalk(open_vault(clinic.vault))
    assert state is not None
    assert state.rows == len(set(released(clinic)))


def test_after_a_rotation_the_tables_are_of_the_old_key_until_they_are_made_again(clinic: Workspace) -> None:
    before = set(released(clinic))
    demand_seal(clinic)
    rotate(clinic, reason="test", actor="owner")
    with pytest.raises(PlanIncompleteError, match="not the one that made"):
        demand_seal(clinic)
    apply(clinic)
    demand_seal(clinic)
    now = set(released(clinic))
    assert not now & before
    assert len(now) == len(before)
    found = reidentify(clinic, Request(tuple(before | now), None, "test", "Li", "Zhang"), actor="me")
    assert found.unknown == 0
    state = check_crosswalk(open_vault(clinic.vault))
    assert state is not None
    assert state.rows == len(now)


def test_a_key_that_somebody_put_there_makes_no_tables(clinic: Workspace) -> None:
    before = everything(clinic)
    (clinic.vault / "key").write_bytes(secrets.token_bytes(32))
    for stage in (deid.apply, deid.verify):
        with pytest.raises(VaultError, match="not the one that the vault was made with"):
            stage(clinic, actor="tester")
    assert everything(clinic) == before
