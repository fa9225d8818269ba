"""Each thing that is wrong is found by its check, and nothing is changed by looking."""

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import openslide
import pytest

from pathcurate import doctor
from pathcurate.cli.main import run
from pathcurate.disclosure.lists import record_permission_lists
from pathcurate.doctor import examine
from pathcurate.doctor.check import Check
from pathcurate.model.slide import SLIDES
from pathcurate.product import register
from pathcurate.registries.sql import open_registry
from pathcurate.storage import locked
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import append_event, open_vault
from pathcurate.vault.crosswalk import write_crosswalk
from pathcurate.vault.people import add_people
from pathcurate.vault.rotation import rotate
from pathcurate.vault.shares import back_up
from pathcurate.verification import input_states, write_seal
from pathcurate.workspace import load_workspace
from tests.built import build_release

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CANARY = "龘靐齉S23-99887"
SETTINGS = """\
workspace: 1
name: built
sites:
  - code: NB01
    archives: [{name: main, root: slides}]
    reports: [{path: "lis/*.csv", mapping: lis.yaml}]
    events: [{path: stage.csv, mapping: stage.yaml}]
permissions: [{path: consent.csv, mapping: consent.yaml, max_age_days: 30}]
"""


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in order, with a registered release; nobody may change it."""
    root = tmp_path_factory.mktemp("doctor") / "w"
    release = build_release(root)
    (root / "pathcurate.yaml").write_text(SETTINGS)
    for folder in ("slides", "lis"):
        (root / folder).mkdir()
    (root / "lis" / f"{CANARY}.csv").write_text("病理号\n")
    (root / "lis.yaml").write_text("columns: {accession: 病理号}\n")
    (root / "stage.csv").write_text("病案号\n")
    (root / "stage.yaml").write_text("columns: {patient_id: 病案号}\nconstants: {kind: diagnosis}\n")
    (root / "consent.yaml").write_text("columns: {subject_value: 病案号}\n")
    moment = NOW.timestamp() - 60
    os.utime(root / "consent.csv", (moment, moment))
    with open_registry(root / "registry.db") as registry:
        register(registry, release, actor="tester", now=NOW)
    # It was never scanned, and something must be there for the de-identified tables to be up to date with.
    workspace = load_workspace(root / "pathcurate.yaml")
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, []))
    write_seal(workspace, input_states(workspace), open_vault(workspace.vault).fingerprint, [])
    vault = open_vault(root / "vault")
    for path in vault.criteria.iterdir():
        path.chmod(0o600)
    write_crosswalk(vault, "C", ["C-0000000000000000"], [("NB01", CANARY)])
    add_people(vault.directory, ["Li Wei"], "curator", NOW.date())
    add_people(vault.directory, [CANARY], "approver", NOW.date())
    back_up(vault, root.parent / "shares", 3, 2, NOW.date())
    os.utime(root / "vault" / "audit.jsonl", (moment, moment))
    return root


@pytest.fixture
def workspace(pristine: Path, tmp_path: Path) -> Path:
    """One of the test's own."""
    root = tmp_path / "w"
    shutil.copytree(pristine, root)
    # Which bytes of a list were imported is remembered by its place, and this is another.
    record_permission_lists(load_workspace(root / "pathcurate.yaml"))
    return root


def look(workspace: Path, now: datetime = NOW) -> dict[str, Check]:
    checks = examine(workspace / "pathcurate.yaml", now)
    assert CANARY not in repr(checks)
    assert all(check.hint for check in checks if check.status != "ok")
    # The worst of each name: a thing may be looked at twice.
    return {check.name: check for check in sorted(checks, key=lambda check: ("ok", "warning", "error").index(check.status))}


def test_a_workspace_in_order_has_no_warning(workspace: Path) -> None:
    found = look(workspace)
    assert {name: check.message for name, check in found.items() if check.status != "ok"} == {}
    assert found["key backup"].message == "of 2026-11-21: 3 shares, any 2 are enough"
    assert found["people of the vault"].message == "2, of whom 1 may approve"
    assert found["crosswalk"].message == "1 rows, all there"
    assert {
        "Python", "libraries", "OpenSlide", "readers", "engine", "clock", "disk of the workspace", "lock", "workspace file",
        "archive main of site NB01", "report source 1 of site NB01", "event source 1 of site NB01",
        "permission lists", "vault key", "audit trail", "vault in git",
        "catalog", "de-identified tables", "registry", "disk of temporary files",
    } <= set(found)  # fmt: skip


def state(directory: Path) -> dict[str, str]:
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*") if path.is_file()
    }  # fmt: skip


def test_looking_changes_nothing(workspace: Path) -> None:
    before = state(workspace)
    look(workspace)
    assert state(workspace) == before


def test_a_work_tree_that_ignores_the_vault_is_no_trouble(workspace: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not installed here")
    subprocess.run(["git", "init", "-q", workspace], check=True, capture_output=True)
    (workspace / ".gitignore").write_text("vault/\n")
    assert look(workspace)["vault in git"].status == "ok"
    (workspace / ".gitignore").write_text("deid/\n")
    assert look(workspace)["vault in git"].status == "warning"


def test_a_key_that_was_retired_is_told(workspace: Path) -> None:
    rotate(open_vault(workspace / "vault"))
    assert look(workspace)["retired keys"].message == "1, sealed under the present one"


def test_a_new_workspace_has_no_error(tmp_path: Path) -> None:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: new\n")
    found = look(tmp_path)
    assert {name for name, check in found.items() if check.status != "ok"} == {"permission lists"}
    assert [path.name for path in tmp_path.iterdir()] == ["pathcurate.yaml"]


def test_the_tables_of_other_systems_are_looked_at_like_exports(tmp_path: Path) -> None:
    (tmp_path / "pathcurate.yaml").write_text(
        "workspace: 1\nname: new\nsites:\n  - code: NB01\n    materials: [{path: g.csv}, {path: 'h*', mapping: h.yaml}]\n"
        "    index: [{path: i.csv, mapping: i.yaml}]\n    annotations: [{path: '*.geojson'}]\n"
        "identities: [{path: m.csv}, {path: m.csv, site: NB09}, {path: m.csv, mapping: m.yaml}]\n"
    )
    for name in ("g.csv", f"h{CANARY}", "i.csv", "m.csv"):
        (tmp_path / name).write_text("x")
    (tmp_path / "h.yaml").write_text("columns: {blok: x}\n")
    (tmp_path / "i.yaml").write_text("columns: {path: x}\n")
    (tmp_path / "m.yaml").write_text("columns: {mastr_id: x}\n")
    found = {name: check for name, check in look(tmp_path).items() if "source" in name or "merge list" in name}
    assert {name: check.status for name, check in found.items()} == {
        "material source 1 of site NB01": "ok", "mapping of material source 2 of site NB01": "error",
        "index source 1 of site NB01": "ok", "annotation source 1 of site NB01": "error", "merge list 1": "ok",
        "merge list 2": "error", "mapping of merge list 3": "error",
    }  # fmt: skip
    assert "did you mean `block`" in found["mapping of material source 2 of site NB01"].message
    assert "no site `NB09`" in found["merge list 2"].message
    assert "matches no file" in found["annotation source 1 of site NB01"].message


def change_registry(workspace: Path) -> None:
    with sqlite3.connect(workspace / "registry.db") as database:
        database.execute("update subjects set facts = replace(facts, 'title', ?)", (CANARY,))
    database.close()


def remake_key(workspace: Path) -> None:
    (workspace / "vault" / "key").write_bytes(bytes(32))


def remove_row(workspace: Path) -> None:
    with sqlite3.connect(workspace / "vault" / "crosswalk.db") as database:
        database.execute("delete from rows")
    database.close()


FAULTS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "a typo": (
        lambda w: (w / "pathcurate.yaml").write_text("workspace: 1\nname: x\nsitse: []\n"),
        "workspace file", "error", "pathcurate.yaml:3:1"),
    "no archive": (lambda w: (w / "slides").rmdir(), "archive main of site NB01", "error", "FileNotFoundError"),
    "an archive that is a file": (
        lambda w: ((w / "slides").rmdir(), (w / "slides").touch()), "archive main of site NB01", "error", "NotADirectory"),
    "no report": (
        lambda w: next((w / "lis").iterdir()).unlink(), "report source 1 of site NB01", "error", "matches no file"),
    "no mapping": (lambda w: (w / "lis.yaml").unlink(), "mapping of report source 1 of site NB01", "error", "lis.yaml"),
    "a mapping with a typo": (
        lambda w: (w / "lis.yaml").write_text("columns: {acession: 病理号}\n"),
        "mapping of report source 1 of site NB01", "error", "did you mean `accession`"),
    "no events": (lambda w: (w / "stage.csv").unlink(), "event source 1 of site NB01", "error", "matches no file"),
    "an event mapping with a typo": (
        lambda w: (w / "stage.yaml").write_text("columns: {knid: 类型}\n"),
        "mapping of event source 1 of site NB01", "error", "did you mean `kind`"),
    "no permission mapping": (
        lambda w: (w / "consent.yaml").unlink(), "mapping of permission list 1", "error", "consent.yaml"),
    "no permission list": (lambda w: (w / "consent.csv").unlink(), "permission lists", "error", "1 of 1 are missing"),
    "another permission list": (
        lambda w: (w / "consent.csv").write_text(CANARY), "permission lists", "error", "has changed since"),
    "a list never imported": (
        lambda w: (w / "catalog" / "permissions" / "lists.json").unlink(),
        "permission lists", "warning", "not imported yet"),
    "an open key": (lambda w: (w / "vault" / "key").chmod(0o644), "vault key", "error", "can be read by other users"),
    "a short key": (lambda w: (w / "vault" / "key").write_bytes(b"x"), "vault key", "error", "has 1 bytes"),
    "another key": (remake_key, "vault key", "error", "not the one that the vault was made with"),
    "a key without a backup": (
        lambda w: (w / "vault" / "backups.json").unlink(), "key backup", "warning", "there is none"),
    "a key that is younger than its backup": (
        lambda w: rotate(open_vault(w / "vault")), "key backup", "warning", "keys before this one"),
    "tables of the key before": (
        lambda w: rotate(open_vault(w / "vault")), "de-identified tables", "warning", "not the one that made"),
    "nobody who may ask": (lambda w: (w / "vault" / "people.json").unlink(), "people of the vault", "warning", "nobody"),
    "a damaged list of people": (
        lambda w: (w / "vault" / "people.json").write_text(CANARY), "vault", "error", "list of people"),
    "no crosswalk": (lambda w: (w / "vault" / "crosswalk.db").unlink(), "crosswalk", "warning", "there is none"),
    "a damaged crosswalk": (
        lambda w: (w / "vault" / "crosswalk.db").write_text(CANARY), "vault", "error", "crosswalk is damaged"),
    "a crosswalk without a row": (remove_row, "vault", "error", "rows of the crosswalk are missing"),
    "a list that others can read": (
        lambda w: (w / "vault" / "people.json").chmod(0o644), "vault", "error", "1 of its files can be read by other"),
    "a vault that git would take": (lambda w: (w.parent / ".git").mkdir(), "vault in git", "warning", "does not ignore"),
    "an open catalog": (lambda w: (w / "catalog").chmod(0o755), "catalog", "error", "read by other users"),
    "a changed audit trail": (
        lambda w: (w / "vault" / "audit.jsonl").write_text(CANARY + "\n"), "audit trail", "error", "line 1 of"),
    "a table that was not verified": (
        lambda w: (w / "deid" / "cases.parquet").write_bytes(b"x"), "de-identified tables", "warning", "deid/cases.parquet"),
    "a damaged seal": (
        lambda w: (w / "deid" / "verify.json").write_text("{"), "de-identified tables", "warning", "is damaged"),
    "a changed registry": (change_registry, "registry", "error", "event 1"),
    "a registry that is none": (lambda w: (w / "registry.db").write_text(CANARY), "registry", "error", "not a database"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_its_check(name: str, workspace: Path) -> None:
    damage, check, status, said = FAULTS[name]
    damage(workspace)
    found = look(workspace)
    assert (found[check].status, said in found[check].message) == (status, True), found[check]
    others = {other for other, item in found.items() if item.status == "error"} - {check}
    assert others == set()


def test_a_permission_list_grows_old(workspace: Path) -> None:
    assert look(workspace, NOW + timedelta(days=29))["permission lists"].status == "ok"
    assert look(workspace, NOW + timedelta(days=31))["permission lists"].status == "error"


def test_a_clock_that_is_wrong_is_found(workspace: Path) -> None:
    assert look(workspace, datetime(1970, 1, 1, tzinfo=UTC))["clock"].status == "error"
    append_event(workspace / "vault", "tester", "deid apply", {})
    ahead = (NOW + timedelta(days=1)).timestamp()
    os.utime(workspace / "vault" / "audit.jsonl", (ahead, ahead))
    assert look(workspace)["clock"].status == "warning"


def test_who_holds_the_workspace_is_said(workspace: Path) -> None:
    with locked(workspace, "scan"):
        held = look(workspace)["lock"]
    assert (held.status, "`pathcurate scan`" in held.message) == ("warning", True)
    assert look(workspace)["lock"].status == "ok"


def test_an_archive_that_does_not_answer_is_not_waited_for(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    ended = threading.Event()
    monkeypatch.setattr(doctor, "_ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(doctor, "_listing_fault", lambda root: str(ended.wait(20)))
    found = look(workspace)["archive main of site NB01"]
    ended.set()
    assert (found.status, "does not answer" in found.message) == ("error", True)


@pytest.mark.parametrize(
    ("versions", "name", "status"),
    [
        ({"duckdb": None}, "library duckdb", "error"), ({"duckdb": "1.4.9"}, "library duckdb", "warning"),
        ({"duckdb": "3.0.0"}, "library duckdb", "warning"), ({"duckdb": "2.99.1"}, "libraries", "ok"),
        ({"pathcurate": None}, "libraries", "warning"),
    ],
)  # fmt: skip
def test_libraries_that_were_not_tried_are_named(
    versions: dict[str, str | None], name: str, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = {"version": metadata.version, "requires": metadata.requires}

    def asked(what: str) -> Callable[[str], object]:
        def answer(library: str) -> object:
            if versions.get(library, "") is None:
                raise metadata.PackageNotFoundError(library)
            return versions[library] if what == "version" and library in versions else real[what](library)

        return answer

    for what in real:
        monkeypatch.setattr(metadata, what, asked(what))
    found = {check.name: check for check in examine(None, NOW)}
    assert found[name].status == status


def test_an_old_openslide_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openslide, "__library_version__", "4.0.0")
    assert {check.name: check.status for check in examine(None, NOW)}["OpenSlide"] == "error"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv("PATHCURATE_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_workspace_the_installation_is_looked_at(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["checks"][-1]["name"] == "workspace"
    assert sum(document["counts"].values()) == len(document["checks"])
    assert run(["doctor", "-w", str(elsewhere)]) == 2, "a workspace that was named must be one"


def test_the_exit_code_is_that_of_fail_on(workspace: Path, elsewhere: Path) -> None:
    def code(*options: str) -> int:
        return run(["doctor", "-w", str(workspace), *options])

    (workspace / "consent.csv").touch()  # to-day's, whatever day this runs on
    (workspace / "vault" / "backups.json").unlink()
    assert (code(), code("--fail-on", "warning"), code("--fail-on", "never")) == (0, 1, 0)
    (workspace / "pathcurate.yaml").write_text("workspace: one\n")
    assert (code(), code("--fail-on", "never")) == (1, 0)


def test_files_that_this_user_cannot_read_are_counted(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith(".csv"))  # root may read everything
    assert look(workspace)["report source 1 of site NB01"].message == "1 of 1 files cannot be read"
