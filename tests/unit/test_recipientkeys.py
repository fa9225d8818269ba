"""A recipient's keys: made once, closed to others, and readable by age's own program."""

import shutil
import stat
from pathlib import Path

import pyrage
import pytest

from pathcurate.errors import UsageError, VaultError
from pathcurate.model.application import RecipientKeys
from pathcurate.recipientkeys import IDENTITY_FILE, SIGNING_FILE, is_encrypted, load_identity, new_recipient_keys
from pathcurate.signing import load_key
from tests.commandline import pathcurate

PASSPHRASE = "six words that nobody would guess"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecipientKeys]:
    directory = tmp_path_factory.mktemp("keys") / "lab"
    return directory, new_recipient_keys(directory, PASSPHRASE)


@pytest.fixture
def copy(made: tuple[Path, RecipientKeys], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "lab"))


def test_both_private_halves_are_those_of_the_public_ones(made: tuple[Path, RecipientKeys]) -> None:
    directory, keys = made
    assert load_key(directory / SIGNING_FILE, PASSPHRASE).public == keys.spki
    identity = load_identity(directory / IDENTITY_FILE, PASSPHRASE)
    assert str(identity.to_public()) == keys.encryption
    for name in (SIGNING_FILE, IDENTITY_FILE):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        assert b"AGE-SECRET-KEY" not in (directory / name).read_bytes()
    assert is_encrypted(directory / IDENTITY_FILE)


@pytest.mark.parametrize("passphrase", ["another one altogether", "", None])
def test_another_passphrase_opens_nothing(passphrase: str | None, made: tuple[Path, RecipientKeys]) -> None:
    with pytest.raises(VaultError, match="passphrase is not the identity's") as refused:
        load_identity(made[0] / IDENTITY_FILE, passphrase)
    assert "another" not in str(refused.value)


def test_keys_are_never_overwritten_and_never_halves(copy: Path) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    with pytest.raises(UsageError):
        new_recipient_keys(copy, PASSPHRASE)
    (copy / IDENTITY_FILE).unlink()
    with pytest.raises(UsageError):
        new_recipient_keys(copy, PASSPHRASE)
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == {SIGNING_FILE: before[SIGNING_FILE]}


def test_one_key_without_the_other_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> bytes:
        raise OSError(28, "full")

    monkeypatch.setattr("pathcurate.recipientkeys._write", full)
    with pytest.raises(OSError, match="full"):
        new_recipient_keys(tmp_path / "lab", PASSPHRASE)
    assert list((tmp_path / "lab").iterdir()) == []


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="fewer than"):
        new_recipient_keys(tmp_path / "lab", "short")
    assert list((tmp_path / "lab").iterdir()) == []


def test_an_identity_that_others_can_read_is_refused(copy: Path) -> None:
    (copy / IDENTITY_FILE).chmod(0o644)
    with pytest.raises(VaultError, match="other users"):
        load_identity(copy / IDENTITY_FILE, PASSPHRASE)


@pytest.mark.parametrize("text", ["", "nothing", "AGE-SECRET-KEY-1QQQQ", "two", "\x00\xff"])
def test_what_is_no_identity_is_refused_without_being_quoted(text: str, tmp_path: Path) -> None:
    secret = f"{pyrage.x25519.Identity.generate()}\n"
    file = tmp_path / "identity"
    file.write_text(secret * 2 if text == "two" else text)
    file.chmod(0o600)
    with pytest.raises(VaultError, match="holds no identity") as refused:
        load_identity(file, None)
    assert "SECRET" not in str(refused.value)


def test_an_identity_of_age_keygen_is_read(tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity"
    file.write_text(f"# created: 2026-01-01T00:00:00Z\r\n# public key: {identity.to_public()}\r\n{identity}\r\n")
    file.chmod(0o600)
    assert not is_encrypted(file)
    assert str(load_identity(file, None).to_public()) == str(identity.to_public())


def test_the_command_prints_what_goes_into_an_application(tmp_path: Path) -> None:
    (tmp_path / "pass").write_text(PASSPHRASE + "\n")
    (tmp_path / "pass").chmod(0o600)
    asked = ["product", "keys", "recipient", "--out-dir", tmp_path / "lab", "--passphrase-file", tmp_path / "pass"]
    done = pathcurate(*asked)
    assert done.returncode == 0, done.stderr
    lines = dict(line.strip().split(": ") for line in done.stdout.splitlines() if ": " in line and not line.startswith("#"))
    keys = RecipientKeys(**lines)
    assert load_key(tmp_path / "lab" / SIGNING_FILE, PASSPHRASE).public == keys.spki
    assert PASSPHRASE not in done.stdout + done.stderr
    again = pathcurate(*asked)
    assert (again.returncode, again.stdout) == (2, "")
