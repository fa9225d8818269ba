"""The seal on ``deid/``: later stages refuse (12) as soon as anything that it vouches for is not as it was."""

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate import deid
from pathcurate.errors import PlanIncompleteError, VaultError
from pathcurate.model.permission import PERMISSIONS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.verification import INPUTS, SEAL_FILE, break_seal, demand_seal, files, read_seal
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import FULL_REPORT, FULL_SLIDE, link_again, open_clinic, report, slide


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clinic")
    assert deid.apply(open_clinic(root), actor="tester").faults == ()
    return root


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(pristine, tmp_path / "clinic")
    return load_workspace(tmp_path / "clinic" / "pathcurate.yaml")


def refused(workspace: Workspace) -> str:
    with pytest.raises(PlanIncompleteError) as caught:
        demand_seal(workspace)
    assert caught.value.exit_code == 12
    assert "pathcurate deid" in caught.value.hint
    return caught.value.message


def catalog(workspace: Workspace) -> Catalog:
    return Catalog(workspace.catalog)


def test_what_was_verified_is_vouched_for(workspace: Workspace) -> None:
    seal = demand_seal(workspace)
    assert seal == read_seal(workspace)
    assert set(seal.tables) == set(files(workspace))
    assert {path.parent.name for path in files(workspace).values()} == {"deid", "criteria"}
    assert set(seal.inputs) == {*(table.name for table in INPUTS), "profile", "scheme"}
    assert seal.faults == ()


def test_before_the_first_de_identification_there_is_no_seal(tmp_path: Path) -> None:
    assert "no verified" in refused(open_clinic(tmp_path))


FILES = [*(f"deid/{name}.parquet" for name in ("slides", "cases", "patients", "reports")),
         *(f"criteria/{name}.parquet" for name in ("slides", "cases", "reports", "permissions"))]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, "middle", -1])
def test_one_changed_byte(workspace: Workspace, name: str, place: int | str) -> None:
    path = files(workspace)[name]
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place == "middle" else int(place)] ^= 1
    path.write_bytes(content)
    assert refused(workspace) == f"{name} is not the file that was verified"


@pytest.mark.parametrize("name", FILES)
def test_one_missing_file(workspace: Workspace, name: str) -> None:
    files(workspace)[name].unlink()
    assert refused(workspace) == f"{name} is not the file that was verified"


CHANGES: dict[str, Callable[[Workspace], object]] = {
    "slides": lambda workspace: catalog(workspace).upsert(SLIDES, from_rows(SLIDES, [slide(2)])),
    "reports": lambda workspace: catalog(workspace).replace(REPORTS, from_rows(REPORTS, [report(1)])),
    "permissions": lambda workspace: catalog(workspace).replace(
        PERMISSIONS,
        from_rows(PERMISSIONS, [{"subject": "site", "site": "NB01", "opt_out": True, "source": "a", "source_row": 2}]),
    ),
}


@pytest.mark.parametrize("table", CHANGES)
def test_a_changed_input(workspace: Workspace, table: str) -> None:
    CHANGES[table](workspace)
    assert refused(workspace) == f"{table} changed since the last de-identification"
    deid.apply(workspace, actor="tester")
    demand_seal(workspace)


def test_the_same_input_again_changes_nothing(workspace: Workspace) -> None:
    catalog(workspace).replace(REPORTS, from_rows(REPORTS, [FULL_REPORT]))
    link_again(workspace)
    demand_seal(workspace)


def test_a_new_link(workspace: Workspace) -> None:
    catalog(workspace).upsert(SLIDES, from_rows(SLIDES, [slide(2)]))
    link_again(workspace)
    assert refused(workspace) == "links, slides changed since the last de-identification"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"tables": 1, "inputs": {}, "key": "", "faults": []}']
)
def test_a_damaged_seal_vouches_for_nothing(workspace: Workspace, content: bytes) -> None:
    (workspace.deid / SEAL_FILE).write_bytes(content)
    assert "damaged" in refused(workspace)
    deid.apply(workspace, actor="tester")
    demand_seal(workspace)


def test_a_seal_with_faults_or_of_fewer_files_vouches_for_nothing(workspace: Workspace) -> None:
    path = workspace.deid / SEAL_FILE
    seal = json.loads(path.read_bytes())
    path.write_text(json.dumps({**seal, "faults": ["slides.organ has 1 values outside its closed set"]}))
    assert "did not pass" in refused(workspace)
    path.write_text(json.dumps({**seal, "tables": {}}))
    assert "is not the file that was verified" in refused(workspace)
    path.write_text(json.dumps({**seal, "inputs": {}}))
    assert "changed since" in refused(workspace)


def test_a_broken_seal_is_no_seal(workspace: Workspace) -> None:
    break_seal(workspace)
    assert read_seal(workspace) is None
    refused(workspace)
    break_seal(workspace)


def test_another_key_does_not_go_with_these_tables(workspace: Workspace) -> None:
    key = (workspace.vault / "key").read_bytes()
    (workspace.vault / "key").write_bytes(secrets.token_bytes(32))
    with pytest.raises(VaultError, match="not the one that the vault was made with"):
        demand_seal(workspace)
    (workspace.vault / "fingerprint").unlink()  # a vault from before fingerprints
    assert refused(workspace) == "the vault's key is not the one that made the de-identified tables"
    (workspace.vault / "key").write_bytes(key)
    demand_seal(workspace)
    (workspace.vault / "key").chmod(0o644)
    with pytest.raises(VaultError):
        demand_seal(workspace)


def test_a_verification_that_fails_breaks_the_seal(workspace: Workspace) -> None:
    # The catalog learns afterwards that a value which was kept is somebody's number.
    catalog(workspace).upsert(SLIDES, from_rows(SLIDES, [{**FULL_SLIDE, "barcode": "C50.900"}]))
    summary = deid.verify(workspace, actor="tester")
    assert sorted(summary.faults) == [
        "cases.icd10 has 1 values that hold a known direct identifier",
        "reports.icd10 has 1 values that hold a known direct identifier",
    ]
    assert read_seal(workspace) is None
    assert "no verified" in refused(workspace)


def test_a_verification_that_passes_seals_nothing_anew(workspace: Workspace) -> None:
    catalog(workspace).upsert(SLIDES, from_rows(SLIDES, [slide(2)]))
    assert deid.verify(workspace, actor="tester").faults == ()
    assert refused(workspace) == "slides changed since the last de-identification"


def test_verifying_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanIncompleteError, match="no de-identified tables"):
        deid.verify(open_clinic(tmp_path), actor="tester")
