"""Nothing of the vault, and no identified table, passes a search of what is to be given away."""

import base64
import shutil
import zipfile
from pathlib import Path

import pytest

from pathcurate import deid
from pathcurate.deid.faults import search
from pathcurate.errors import InputOutputError
from pathcurate.workspace import Workspace
from tests.clinic import open_clinic


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    clinic = open_clinic(tmp_path_factory.mktemp("clinic"))
    deid.apply(clinic, actor="tester")
    return clinic


def kinds(workspace: Workspace, directory: Path) -> set[str]:
    return {leak.kind for leak in search(workspace, directory, actor="tester").leaks}


def test_what_was_de_identified_passes(workspace: Workspace) -> None:
    assert kinds(workspace, workspace.deid) == set()


@pytest.mark.parametrize("form", ["raw", "inside", "hex", "base64", "zip of hex", "share"])
def test_the_key_is_found_in_any_form(workspace: Workspace, tmp_path: Path, form: str) -> None:
    key = (workspace.vault / "key").read_bytes()
    written = {
        "raw": key, "inside": b"x" * 5000 + key + b"y", "hex": key.hex().encode(), "base64": base64.b64encode(key),
        "share": b"pathcurate vault key, share 1 of 3, made on 2026-01-01\nwords: academic acid\n",
    }  # fmt: skip
    if form == "zip of hex":
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("note.txt", key.hex())
    else:
        (tmp_path / "a.bin").write_bytes(written[form])
    assert kinds(workspace, tmp_path) & {"key of the vault", "file of the vault"}


def test_files_of_the_vault_and_identified_tables_are_found(workspace: Workspace, tmp_path: Path) -> None:
    shutil.copy(workspace.vault / "audit.jsonl", tmp_path / "notes.txt")
    shutil.copy(workspace.vault / "crosswalk.db", tmp_path / "x")
    assert kinds(workspace, tmp_path) == {"file of the vault"}
    part = next((workspace.catalog / "reports").glob("*.parquet"))
    shutil.copy(part, tmp_path / "r.parquet")
    assert "identified column" in kinds(workspace, tmp_path)


def test_a_directory_without_files_proves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="no file to search"):
        search(workspace, tmp_path, actor="tester")
