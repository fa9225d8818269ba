"""The labels of a sealed evaluation are opened for good: said first, written then, and checked by whoever gets them."""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.errors import (
    DigestMismatchError,
    InputOutputError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
    VaultError,
)
from pathcurate.lifecycle import lifecycle
from pathcurate.model.attestation import BENCHMARK_UNSEALED, Envelope
from pathcurate.model.lifecycle import Machine
from pathcurate.product import register
from pathcurate.product.desk import Desk
from pathcurate.product.unsealing import check_unsealed, found_labels, unseal
from pathcurate.product.verification import verify_registry
from pathcurate.registries.sql import open_registry
from pathcurate.sealedsets import read_sealed_set
from pathcurate.sealing import open_labels
from pathcurate.trustfile import load_trust
from pathcurate.vault import open_vault, read_events
from pathcurate.workspace import load_workspace
from tests.commandline import Done, pathcurate
from tests.products import enter, key, tree
from tests.registered import command, no_sync  # noqa: F401 -- a fixture
from tests.sealed import SEALED, sealed_release

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
REASON = "the challenge has ended"
pytestmark = pytest.mark.usefixtures("no_sync")


@contextmanager
def desk(root: Path) -> Iterator[Desk]:
    workspace = load_workspace(root / "pathcurate.yaml")
    with open_registry(root / "registry.db") as registry:
        yield Desk(workspace, registry, "steward", NOW)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a sealed release that an authority has registered."""
    root = tmp_path_factory.mktemp("unseal") / "w"
    directory = sealed_release(root)
    with desk(root) as at:
        entry, _ = register(at.registry, directory, actor="steward", now=NOW)
        for name in ("check", "approve", "submit", "receipt"):
            at.registry.transition(command(name, entry.id))
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "w")
    return tmp_path / "w"


def release(root: Path) -> Path:
    return root / "releases" / "small" / "1.0.0"


def truths(root: Path) -> dict[str, str]:
    sealed = read_sealed_set(release(root))
    rows = open_labels(open_vault(root / "vault"), "small", "1.0.0", sealed.commitment).to_pylist()
    return {row["unit_id"]: row["truth"] for row in rows}


def opened(root: Path, folder: Path, **parts: Any) -> None:
    with desk(root) as at:
        unseal(at, release(root), folder, REASON, **parts)


def facts(root: Path) -> dict[str, Any]:
    with desk(root) as at:
        entry = at.registry.get("small", "1.0.0")
    assert entry is not None
    return dict(entry.facts)


# --- Unsealing -----------------------------------------------------------------------------------------------------------


def test_labels_and_key_are_written_and_can_be_checked(root: Path, tmp_path: Path) -> None:
    opened(root, tmp_path / "labels")
    rows = pq.read_table(tmp_path / "labels" / "labels.parquet").to_pylist()
    assert {row["unit_id"]: row["truth"] for row in rows} == truths(root)
    # Where a slide is from may have been made coarser in the release, and was never committed to.
    assert set(rows[0]) == {"unit_id", "truth", "days", "event"}
    bought = shutil.copytree(release(root), tmp_path / "bought")
    shutil.rmtree(root)
    assert check_unsealed(bought, tmp_path / "labels").labels == 24


def test_registry_and_audit_trail_say_so_once(root: Path, tmp_path: Path) -> None:
    opened(root, tmp_path / "labels")
    before = tree(tmp_path / "labels")
    opened(root, tmp_path / "labels")
    opened(root, tmp_path / "more")
    assert tree(tmp_path / "labels") == before == tree(tmp_path / "more")
    said = facts(root)["unsealed"]
    assert (said["reason"], said["labels"]) == (REASON, 24)
    assert said["commitment"] == read_sealed_set(release(root)).commitment.value
    events = [event for event in read_events(root / "vault") if event.action == "product unseal"]
    assert [(event.actor, event.purpose, event.facts["units"]) for event in events] == [("steward", REASON, 24)]
    with desk(root) as at:
        assert [event.action for event in at.registry.history("small", "1.0.0")].count("unseal") == 1


def test_they_are_said_to_be_open_before_they_are(root: Path, tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "other").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        opened(root, tmp_path / "labels")
    assert "unsealed" in facts(root)
    assert [path.name for path in (tmp_path / "labels").iterdir()] == ["other"]
    opened(root, tmp_path / "labels2")
    assert check_unsealed(release(root), tmp_path / "labels2").labels == 24


def test_a_release_that_is_not_registered_keeps_its_labels(tmp_path: Path) -> None:
    directory = sealed_release(tmp_path / "w")
    with pytest.raises(UsageError, match="is not registered"):
        opened(tmp_path / "w", tmp_path / "labels")
    with desk(tmp_path / "w") as at:
        register(at.registry, directory, actor="steward", now=NOW)
    with pytest.raises(PlanIncompleteError, match="is frozen"):
        opened(tmp_path / "w", tmp_path / "labels")
    assert not (tmp_path / "labels").exists()
    assert [event for event in read_events(tmp_path / "w" / "vault") if event.action == "product unseal"] == []


def test_a_release_that_has_ended_can_still_be_opened_and_stays_ended(root: Path, tmp_path: Path) -> None:
    with desk(root) as at:
        at.registry.transition(command("withdraw", "small@1.0.0"))
    opened(root, tmp_path / "labels")
    with desk(root) as at:
        entry = at.registry.get("small", "1.0.0")
    assert entry is not None
    assert entry.state == "withdrawn"
    table = lifecycle().table(Machine.RELEASE)
    assert table.commands["unseal"].to == "same"
    assert not {"draft", "frozen", "validated", "submitted"} & set(table.commands["unseal"].from_)


def test_labels_that_were_changed_in_the_vault_are_not_given_away(root: Path, tmp_path: Path) -> None:
    (sealed,) = (root / "vault" / "sealed").iterdir()
    content = bytearray(sealed.read_bytes())
    content[-1] ^= 1
    sealed.write_bytes(content)
    with pytest.raises(DigestMismatchError):
        opened(root, tmp_path / "labels")
    assert "unsealed" not in facts(root)
    assert not (tmp_path / "labels").exists()


def test_a_release_that_withholds_nothing_has_nothing_to_open(tmp_path: Path) -> None:
    root = tmp_path / "w"
    directory = sealed_release(root, SEALED.replace("sealed: {task: binary, label: tumour}\n", ""))
    with desk(root) as at:
        entry, _ = register(at.registry, directory, actor="steward", now=NOW)
        for name in ("check", "approve", "submit", "receipt"):
            at.registry.transition(command(name, entry.id))
    with pytest.raises(PlanIncompleteError, match="no sealed evaluation"):
        opened(root, tmp_path / "labels")


def test_a_steward_signs_that_they_are_open(root: Path, tmp_path: Path) -> None:
    steward = enter(root, "Li Hua", ["steward"])
    opened(root, tmp_path / "labels", signer=steward)
    opened(root, tmp_path / "labels", signer=steward)
    (file,) = (release(root) / "attestations").iterdir()
    statement = Envelope.parse(file.read_bytes()).statement()
    assert statement.predicate_type == BENCHMARK_UNSEALED
    assert statement.predicate["commitment"] == read_sealed_set(release(root)).commitment.value
    assert [one["name"] for one in facts(root)["signatures"]] == ["Li Hua"]
    with desk(root) as at:
        verdict = verify_registry(at, load_trust(root / "trust.yaml"))
    assert (verdict.faults, verdict.heads) == ((), 1)


def test_others_cannot_sign_for_it(root: Path, tmp_path: Path) -> None:
    clerk = enter(root, "王芳", ["compliance"])
    with pytest.raises(UsageError, match="none of the roles"):
        opened(root, tmp_path / "labels", signer=clerk)
    with pytest.raises(VaultError, match="nobody in"):
        opened(root, tmp_path / "labels", signer=key())
    assert "unsealed" not in facts(root)


# --- Checking ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unsealed labels, and the release beside them."""
    beside = tmp_path_factory.mktemp("given")
    shutil.copytree(built, beside / "w")
    opened(beside / "w", beside / "labels")
    return beside / "labels"


def changed(folder: Path, to: Path, how: str) -> Path:
    """A copy of unsealed labels in which something is another."""
    shutil.copytree(folder, to)
    file = to / "labels.parquet"
    labels = pq.read_table(file)
    values = labels["truth"].to_pylist()
    match how:
        case "one label":
            values[7] = "no" if values[7] == "yes" else "yes"
            labels = labels.set_column(1, "truth", pa.array(values))
        case "two exchanged":
            place = values.index("yes"), values.index("no")
            values[place[0]], values[place[1]] = values[place[1]], values[place[0]]
            labels = labels.set_column(1, "truth", pa.array(values))
        case "one less":
            labels = labels.slice(1)
        case "one twice":
            labels = pa.concat_tables([labels, labels.slice(0, 1)])
        case "key":
            said = json.loads((to / "key.json").read_bytes())
            (to / "key.json").write_text(json.dumps({"key": said["key"][::-1]}))
    pq.write_table(labels, file)
    return to


@pytest.mark.parametrize("how", ["one label", "two exchanged", "one less", "one twice", "key"])
def test_a_buyer_finds_what_was_changed(built: Path, folder: Path, tmp_path: Path, how: str) -> None:
    wrong = changed(folder, tmp_path / "labels", how)
    with pytest.raises(DigestMismatchError) as caught:
        check_unsealed(release(built), wrong)
    assert caught.value.exit_code == 4
    done = pathcurate("product", "unseal", release(built), "--check", wrong)
    assert done.returncode == 4, done.stderr


def test_the_same_labels_in_another_order_are_the_same(built: Path, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "labels")
    labels = pq.read_table(folder / "labels.parquet")
    pq.write_table(labels.sort_by([("truth", "ascending")]), tmp_path / "labels" / "labels.parquet", compression="none")
    assert check_unsealed(release(built), tmp_path / "labels").labels == 24


@pytest.mark.parametrize(
    ("name", "content"),
    [("key.json", b""), ("key.json", b"[1]"), ("key.json", b'{"key": "xyz"}'), ("key.json", None),
     ("labels.parquet", b"PAR1"), ("labels.parquet", None)],
)  # fmt: skip
def test_a_folder_that_is_none_is_refused(
    built: Path, folder: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    shutil.copytree(folder, tmp_path / "labels")
    (tmp_path / "labels" / name).unlink()
    if content is not None:
        (tmp_path / "labels" / name).write_bytes(content)
    with pytest.raises(InputOutputError):
        check_unsealed(release(built), tmp_path / "labels")


# --- Found elsewhere -----------------------------------------------------------------------------------------------------


def sheet(path: Path, rows: dict[str, str], heads: tuple[str, str] = ("slide", "诊断")) -> Path:
    with path.open("w", newline="", encoding="gb18030") as file:
        csv.writer(file).writerows([heads, *rows.items()])
    return path


def found(root: Path, file: Path) -> tuple[int, int, bool, bool, bool]:
    _, match, is_open = found_labels(load_workspace(root / "pathcurate.yaml"), release(root), file, actor="steward")
    return match.units, match.equal, match.is_whole, match.is_taken, is_open


def test_a_file_with_the_labels_is_known_again_whatever_its_heads(root: Path, tmp_path: Path) -> None:
    assert found(root, sheet(tmp_path / "a.csv", truths(root))) == (24, 24, True, True, False)
    lines = "\n".join(json.dumps({"x": 1, "s": unit, "t": truth}) for unit, truth in truths(root).items())
    (tmp_path / "a.jsonl").write_text(lines)
    assert found(root, tmp_path / "a.jsonl")[:3] == (24, 24, True)
    known = truths(root)
    pq.write_table(pa.table({"t": list(known.values()), "u": list(known)}), tmp_path / "a.parquet")
    assert found(root, tmp_path / "a.parquet")[:3] == (24, 24, True)
    assert [event.action for event in read_events(root / "vault")][-1] == "product unseal --found"


def test_a_file_of_a_model_is_only_compared(root: Path, tmp_path: Path) -> None:
    known = truths(root)
    for unit in sorted(known)[:4]:
        known[unit] = "no" if known[unit] == "yes" else "yes"
    assert found(root, sheet(tmp_path / "a.csv", known)) == (24, 20, False, False, False)


def test_a_few_right_ones_may_be_luck_and_files_of_others_say_nothing(root: Path, tmp_path: Path) -> None:
    few = dict(list(truths(root).items())[:5])
    assert found(root, sheet(tmp_path / "few.csv", few)) == (5, 5, False, False, False)
    strangers = {f"S-{number:016}": "yes" for number in range(24)}
    assert found(root, sheet(tmp_path / "other.csv", strangers)) == (0, 0, False, False, False)


def ran(root: Path, *words: str | Path) -> Done:
    return pathcurate("product", "unseal", release(root), *words, "-w", root)


def test_the_command_tells_labels_that_are_still_sealed_from_open_ones(root: Path, tmp_path: Path) -> None:
    file = sheet(tmp_path / "a.csv", truths(root))
    done = ran(root, "--found", file)
    assert (done.returncode, "24 (100.0%) with their sealed label" in done.stderr) == (4, True)
    assert ran(root, "--to", tmp_path / "labels", "--reason", REASON).returncode == 0
    done = ran(root, "--found", file)
    assert (done.returncode, "open since they were unsealed" in done.stdout) == (0, True)


@pytest.mark.parametrize("words", [[], ["--to", "x"], ["--reason", "x"], ["--to", "x", "--reason", "x", "--check", "."]])
def test_the_command_does_one_thing(root: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert ran(root, *words).returncode == 2
    assert not (tmp_path / "x").exists()


def test_a_release_that_was_changed_checks_nothing(root: Path, folder: Path) -> None:
    task = release(root) / "evaluation" / "task.json"
    task.chmod(0o644)
    task.write_bytes(task.read_bytes() + b"\n")
    with pytest.raises(PathcurateError) as caught:
        check_unsealed(release(root), folder)
    assert caught.value.exit_code == 4
