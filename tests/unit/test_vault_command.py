"""``pathcurate vault`` as a person meets it, from the first backup to a key that came back."""

import json
import sys
from pathlib import Path

import pytest

from pathcurate.cli.main import run
from pathcurate.storage import locked
from pathcurate.vault import create_vault, open_vault, read_events
from tests.unit.test_shares import shows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "w"
    root.mkdir()
    (root / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    create_vault(root / "vault")
    return root


def call(root: Path, *arguments: str) -> int:
    return run([*arguments, "-w", str(root)])


def test_a_key_goes_out_in_shares_and_comes_back(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = (root / "vault" / "key").read_bytes()
    to = tmp_path / "shares"
    assert call(root, "vault", "backup", "--shares", "5", "--threshold", "3", "--to", str(to)) == 0
    shown = capsys.readouterr().out
    assert "in 5 shares, any 3 of which make it again" in shown
    mnemonics = [path.read_text().splitlines()[3] for path in to.glob("share-*")]
    assert len(mnemonics) == 5
    assert not any(shows(shown, words) for words in mnemonics)
    (root / "vault" / "key").unlink()
    shares = [str(to / f"share-{number}-of-5.txt") for number in (5, 1, 3)]
    assert call(root, "vault", "restore", *shares[:2]) == 11
    assert "3 shares are needed, and 2 were given" in capsys.readouterr().err
    assert call(root, "vault", "restore", *shares, "--sealed", str(to / "vault.sealed")) == 0
    assert (root / "vault" / "key").read_bytes() == key
    assert [event.action for event in read_events(root / "vault")] == ["vault backup", "vault restore"]
    trail = (root / "vault" / "audit.jsonl").read_text() + (root / "vault" / "backups.json").read_text()
    assert not any(shows(trail, words) for words in mnemonics)
    assert key.hex() not in trail


def test_a_share_that_others_can_read_is_refused(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(root, "vault", "backup", "--to", str(tmp_path / "to"))
    paths = sorted((tmp_path / "to").glob("share-*"))[:2]
    paths[1].chmod(0o644)
    assert call(root, "vault", "restore", *map(str, paths)) == 11
    shown = capsys.readouterr().err
    assert "share file 2 can be read by other users" in shown
    assert not shows(shown, paths[1].read_text().splitlines()[3])


def test_words_come_in_through_standard_input(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call(root, "vault", "backup", "--to", str(tmp_path / "to"))
    key = open_vault(root / "vault").key
    (root / "vault" / "key").unlink()
    words = "\n".join(path.read_text().splitlines()[3] for path in sorted((tmp_path / "to").glob("share-*"))[:2])
    (tmp_path / "words").write_text(words)
    with (tmp_path / "words").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        assert call(root, "vault", "restore", "-") == 0
    assert open_vault(root / "vault").key == key
    shown = capsys.readouterr()
    assert not shows(shown.out + shown.err, words)


def test_a_rotation_is_said_and_asks_for_what_comes_next(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = open_vault(root / "vault")
    assert call(root, "vault", "rotate", "--reason", "a curator has left") == 0
    shown = capsys.readouterr().out
    assert "deid apply" in shown
    assert "vault backup" in shown
    assert open_vault(root / "vault").key != before.key
    assert call(root, "vault", "rotate", "--reason", "two\nlines") == 2
    assert call(root, "vault", "rotate", "--reason", "again", "--json") == 0
    assert json.loads(capsys.readouterr().out)["key"] == open_vault(root / "vault").fingerprint


def test_people_are_entered_listed_and_removed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(root, "vault", "people", "list") == 0
    assert call(root, "vault", "people", "add", "Li Wei", "张三", "--role", "curator") == 0
    assert call(root, "vault", "people", "add", "李四", "--role", "approver", "-q") == 0
    assert call(root, "vault", "people", "remove", "li wei") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "nobody is on the list"
    assert [line.split()[-1] for line in lines[-2:]] == ["张三", "李四"]
    assert [event.action for event in read_events(root / "vault")] == [
        "vault people add", "vault people add", "vault people add", "vault people remove"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments", [("people", "add", "", "--role", "curator"), ("people", "add", "a\x1b[2J", "--role", "curator"),
                  ("people", "add", "Li", "LI", "--role", "curator"), ("people", "add", "Li", "--role", "king"),
                  ("people", "remove", "Nobody"), ("backup",), ("backup", "--threshold", "1", "--to", "/nowhere"),
                  ("backup", "--shares", "2", "--threshold", "3", "--to", "/nowhere"), ("restore",)],
)  # fmt: skip
def test_a_call_that_is_wrong_changes_nothing(root: Path, arguments: tuple[str, ...]) -> None:
    before = {path.name: path.read_bytes() for path in (root / "vault").iterdir()}
    assert call(root, "vault", *arguments) == 2
    assert {path.name: path.read_bytes() for path in (root / "vault").iterdir()} == before


@pytest.mark.parametrize("arguments", [("rotate", "--reason", "x"), ("backup", "--to", "x"), ("people", "remove", "x")])
def test_a_workspace_in_use_is_left_alone(root: Path, arguments: tuple[str, ...]) -> None:
    with locked(root, "deid apply"):
        assert call(root, "vault", *arguments) == 14


def test_without_a_key_there_is_nothing_to_keep(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "vault" / "key").unlink()
    for arguments in (("rotate", "--reason", "x"), ("backup", "--to", str(tmp_path / "to"))):
        assert call(root, "vault", *arguments) == 11
    assert not (tmp_path / "to").exists()
    assert "vault restore" in capsys.readouterr().err
