"""Shares of the key: enough of them give back the key and nothing else, fewer give nothing, and a wrong one is named."""

import stat
import subprocess
import sys
from datetime import date
from itertools import combinations
from pathlib import Path

import pytest
import shamir_mnemonic

from pathcurate.errors import UsageError, VaultError
from pathcurate.vault import FINGERPRINT_FILE, Vault, create_vault, open_vault
from pathcurate.vault import shares as backups
from pathcurate.vault.people import add_people, read_people
from pathcurate.vault.rotation import retired_keys, rotate
from pathcurate.vault.shares import GivenShare, back_up, read_backups, read_shares, restore

TODAY = date(2026, 1, 2)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return create_vault(tmp_path / "vault")


def made(vault: Vault, to: Path, shares: int = 3, threshold: int = 2) -> list[GivenShare]:
    back_up(vault, to, shares, threshold, TODAY)
    paths = sorted(to.glob("share-*"), key=lambda path: int(path.name.split("-")[1]))
    return [share for path in paths for share in read_shares(path.name, path.read_text())]


def shows(text: str, words: str) -> bool:
    """Whether three words of a share follow one another in a text; single ones are words of our messages too."""
    listed, plain = words.lower().split(), " ".join(text.lower().split())
    return any(" ".join(listed[start : start + 3]) in plain for start in range(len(listed) - 2))


@pytest.mark.parametrize(("shares", "threshold"), [(2, 2), (3, 2), (5, 3), (16, 9)])
def test_enough_shares_make_the_key_whichever_they_are(vault: Vault, tmp_path: Path, shares: int, threshold: int) -> None:
    given = made(vault, tmp_path / "to", shares, threshold)
    assert len(given) == shares
    chosen = [given[:threshold], given[-threshold:], given[::-1]]
    for number, some in enumerate(chosen):
        assert restore(tmp_path / f"again{number}", some, None)[0].key == vault.key
    with pytest.raises(VaultError, match=f"{threshold} shares are needed, and {threshold - 1} w"):
        restore(tmp_path / "few", given[: threshold - 1], None)
    assert not (tmp_path / "few").exists()


def test_each_pair_of_three_makes_it(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    for number, pair in enumerate(combinations(given, 2)):
        assert restore(tmp_path / f"again{number}", pair, None)[0] == Vault(tmp_path / f"again{number}", vault.key)


def test_a_share_is_a_file_for_its_owner_that_says_what_it_is(vault: Vault, tmp_path: Path) -> None:
    backup, files = back_up(vault, tmp_path / "to", 3, 2, TODAY)
    assert [path.name for path in files] == ["share-1-of-3.txt", "share-2-of-3.txt", "share-3-of-3.txt", "vault.sealed"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "to").stat().st_mode) == 0o700
    for path in files:
        assert vault.key not in path.read_bytes()
        assert vault.key.hex() not in path.read_text(errors="replace")
    lines = files[1].read_text().splitlines()
    assert lines[0] == "pathcurate vault key, share 2 of 3, made on 2026-01-02"
    assert lines[2] == f"key: {vault.fingerprint}"
    assert len(lines[3].split()) == 34
    assert read_backups(vault.directory) == [backup]
    record = (vault.directory / "backups.json").read_text()
    assert shows(files[1].read_text(), lines[3])
    assert not shows(record, lines[3])


def test_nothing_is_replaced_and_half_a_backup_is_none(vault: Vault, tmp_path: Path) -> None:
    to = tmp_path / "to"
    to.mkdir()
    (to / "share-3-of-3.txt").write_text("another")
    with pytest.raises(UsageError, match=r"share-3-of-3\.txt is there already"):
        back_up(vault, to, 3, 2, TODAY)
    assert [path.name for path in to.iterdir()] == ["share-3-of-3.txt"]
    assert (to / "share-3-of-3.txt").read_text() == "another"
    assert read_backups(vault.directory) == []


@pytest.mark.parametrize(("shares", "threshold"), [(1, 1), (3, 1), (2, 3), (17, 2), (0, 0), (3, -1)])
def test_numbers_that_make_no_backup_are_refused(vault: Vault, tmp_path: Path, shares: int, threshold: int) -> None:
    with pytest.raises(UsageError, match="make no backup"):
        back_up(vault, tmp_path / "to", shares, threshold, TODAY)
    assert not (tmp_path / "to").exists()


# --- What is wrong with shares -------------------------------------------------------------------------------------------


def test_a_damaged_share_is_named(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    words = given[1].words.split()
    other = next(word for word in shamir_mnemonic.wordlist.WORDLIST if word != words[9])
    for changed in ([*words[:9], other, *words[10:]], words[:-1], [*words, words[0]], words[::-1], ["zebra", *words[1:]]):
        damaged = GivenShare("share file 2", " ".join(changed), None)
        with pytest.raises(VaultError, match=r"^share file 2 is damaged") as caught:
            restore(tmp_path / "again", [given[0], damaged], None)
        assert caught.value.exit_code == 11
        assert not shows(str(caught.value), given[1].words)
    assert not (tmp_path / "again").exists()


def test_shares_of_two_backups_do_not_go_together(vault: Vault, tmp_path: Path) -> None:
    one, other = made(vault, tmp_path / "one"), made(vault, tmp_path / "other")
    with pytest.raises(VaultError, match=r"share-2-of-3.txt is of another backup than share-1-of-3.txt"):
        restore(tmp_path / "again", [one[0], other[1]], None)
    stranger = made(create_vault(tmp_path / "stranger"), tmp_path / "third")
    with pytest.raises(VaultError, match="of another backup"):
        restore(tmp_path / "again", [one[0], stranger[1]], None)


def test_a_share_given_twice_counts_once(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    with pytest.raises(VaultError, match=r"is the same as share-1-of-3.txt"):
        restore(tmp_path / "again", [given[0], given[0]], None)


def test_shares_that_say_another_key_are_refused(vault: Vault, tmp_path: Path) -> None:
    one, two, _ = made(vault, tmp_path / "to")
    with pytest.raises(VaultError, match="another key than they say"):
        restore(tmp_path / "again", [one, GivenShare(two.label, two.words, "0" * 16)], None)


def test_a_share_of_another_kind_of_secret_is_refused(tmp_path: Path) -> None:
    ((one, two),) = shamir_mnemonic.generate_mnemonics(1, [(2, 2)], b"sixteen bytes!!!")
    with pytest.raises(VaultError, match="do not make a key"):
        restore(tmp_path / "again", [GivenShare("a", one, None), GivenShare("b", two, None)], None)


@pytest.mark.parametrize("text", ["", "\n\n", "hello", "key: 00", "\x00\xff"])
def test_a_text_without_a_share_is_refused(text: str) -> None:
    with pytest.raises(VaultError, match="holds no share"):
        list(read_shares("standard input", text))


def test_words_alone_are_enough_on_a_line_each(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    text = f"\n  {given[2].words.upper()}  \r\n{given[0].words}\n"
    read = list(read_shares("standard input", text))
    assert [share.label for share in read] == ["share 1 of standard input", "share 2 of standard input"]
    assert restore(tmp_path / "again", read, None)[0].key == vault.key
    both = "".join((tmp_path / "to" / f"share-{number}-of-3.txt").read_text() for number in (1, 3))
    assert restore(tmp_path / "more", list(read_shares("x", both)), None)[0].key == vault.key


# --- What is there already -----------------------------------------------------------------------------------------------


def test_another_key_is_never_replaced(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    other = create_vault(tmp_path / "other")
    with pytest.raises(VaultError, match="another key"):
        restore(other.directory, given[:2], None)
    (other.directory / FINGERPRINT_FILE).unlink()
    with pytest.raises(VaultError, match="another key"):
        restore(other.directory, given[:2], None)
    assert open_vault(other.directory) == other
    assert restore(vault.directory, given[:2], None)[0] == vault


def test_the_right_key_comes_back_where_it_was_lost_and_no_other(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    stranger = made(create_vault(tmp_path / "other"), tmp_path / "third")
    vault.criteria.mkdir()
    (vault.directory / "key").unlink()
    with pytest.raises(VaultError, match="key is gone") as caught:
        create_vault(vault.directory)
    assert "vault restore" in caught.value.hint
    with pytest.raises(VaultError, match="another key"):
        restore(vault.directory, stranger[:2], None)
    assert restore(vault.directory, given[1:], None)[0] == open_vault(vault.directory) == vault


def test_shares_from_before_a_rotation_are_refused(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    rotate(vault)
    with pytest.raises(VaultError, match="another key") as caught:
        restore(vault.directory, given[:2], None)
    assert "rotate" in caught.value.hint


def test_the_sealed_file_brings_back_retired_keys_and_people(vault: Vault, tmp_path: Path) -> None:
    add_people(vault.directory, ["Li Wei", "张三"], "approver", TODAY)
    new, _ = rotate(vault)
    (new.directory / "audit.head").write_text("ab" * 32)
    given = made(new, tmp_path / "to")
    sealed = (tmp_path / "to" / "vault.sealed").read_bytes()
    assert "张三".encode() not in sealed
    again, head = restore(tmp_path / "again", given[:2], sealed)
    assert [old.key for old in retired_keys(again)] == [vault.key]
    assert read_people(again.directory) == read_people(new.directory)
    assert head == "ab" * 32
    for path in (tmp_path / "again").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_a_sealed_file_that_was_changed_or_is_anothers_restores_nothing(vault: Vault, tmp_path: Path) -> None:
    given = made(vault, tmp_path / "to")
    other = create_vault(tmp_path / "other")
    made(other, tmp_path / "others")
    sealed = (tmp_path / "to" / "vault.sealed").read_bytes()
    for content in (sealed[:-1] + b"x", sealed[:20], b"", (tmp_path / "others" / "vault.sealed").read_bytes()):
        with pytest.raises(VaultError, match="sealed file"):
            restore(tmp_path / "again", given[:2], content)
    assert not (tmp_path / "again").exists()


def test_people_who_were_removed_since_do_not_come_back(vault: Vault, tmp_path: Path) -> None:
    add_people(vault.directory, ["Li Wei"], "approver", TODAY)
    given = made(vault, tmp_path / "to")
    add_people(vault.directory, ["Zhang San"], "curator", TODAY)
    restore(vault.directory, given[:2], (tmp_path / "to" / "vault.sealed").read_bytes())
    assert [person.name for person in read_people(vault.directory)] == ["Li Wei", "Zhang San"]


_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from pathcurate.vault import open_vault
from pathcurate.vault.people import read_people
from pathcurate.vault.shares import read_shares, restore

to, work = Path(sys.argv[1]), Path(sys.argv[2])
given = [share for number in (1, 2) for share in read_shares("x", (to / f"share-{number}-of-3.txt").read_text())]
sealed = (to / "vault.sealed").read_bytes()
seen, limit = 0, None

def hook(event, arguments):
    global seen
    if limit is not None and event in {"open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.link"}:
        seen += 1
        if seen == limit:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
for step in range(1, 200, 5):
    shutil.rmtree(work, ignore_errors=True)
    child = os.fork()
    if child == 0:
        limit = step
        restore(work, given, sealed)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    # Only a whole key has the name of one, and what was begun can be ended.
    assert not (work / "key").exists() or len((work / "key").read_bytes()) == 32
    vault, _ = restore(work, given, sealed)
    assert open_vault(work) == vault
    assert len(read_people(work)) == 1
    if status == 0:
        print(step)
        break
"""


def test_a_restore_killed_at_any_step_can_be_run_again(vault: Vault, tmp_path: Path) -> None:
    add_people(vault.directory, ["Li Wei"], "approver", TODAY)
    new, _ = rotate(vault)
    back_up(new, tmp_path / "to", 3, 2, TODAY)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, tmp_path / "to", tmp_path / "work"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_nothing_shows_a_share(vault: Vault, tmp_path: Path) -> None:
    (share, *_) = made(vault, tmp_path / "to")
    assert not shows(repr(share), share.words)


def test_a_damaged_record_of_backups_is_none(vault: Vault, tmp_path: Path) -> None:
    made(vault, tmp_path / "to")
    assert len(read_backups(vault.directory)) == 1
    for content in (b"", b"{}", b"[{}]", b"\xff", b'[{"key": "x"}]'):
        (vault.directory / backups.BACKUPS_FILE).write_bytes(content)
        assert read_backups(vault.directory) == []
