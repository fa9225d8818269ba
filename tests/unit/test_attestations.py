"""``attestations/`` of a release, which anybody may have filled, and ``product keys`` that makes the keys for it."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from pathcurate.attestations import MOST_FILES, check_attestations, read_attestations, write_attestation
from pathcurate.cli import productkeys
from pathcurate.digests import release_digest
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError, VaultError
from pathcurate.model.attestation import MOST_BYTES, PRODUCT_RELEASE, Envelope, Statement, Subject
from pathcurate.signing import Verified, load_key, meets, release_subject, sign
from pathcurate.trustfile import load_trust
from tests.unit.test_signing import AT, CHECKSUMS, LI, PASSPHRASE, TRUST, WANG, signer_of, statement_of

SUBJECT = release_subject(CHECKSUMS)
SM3 = SUBJECT.sm3 or ""
DIGEST = release_digest(CHECKSUMS)
GOOD = sign(statement_of(product="demo"), [LI])


def about(*subjects: Subject, key: Any = LI) -> Envelope:
    return sign(Statement(subjects, PRODUCT_RELEASE, {"at": AT}), [key])


def checked(directory: Path) -> dict[str, tuple[str, ...]]:
    """Name of each file to its faults."""
    return {one.name: one.faults for one in check_attestations(directory, DIGEST, SM3, TRUST)}


def lay(directory: Path, name: str, content: bytes) -> None:
    (directory / "attestations").mkdir(exist_ok=True)
    (directory / "attestations" / name).write_bytes(content)


# --- Writing and reading ---------------------------------------------------------------------------------------------


def test_what_is_written_is_read_and_counts(tmp_path: Path) -> None:
    assert read_attestations(tmp_path) == ()
    path = write_attestation(tmp_path, "release.1", GOOD)
    write_attestation(tmp_path, "compliance.1", sign(statement_of(), [WANG]))
    assert path == tmp_path / "attestations" / "release.1.json"
    found = check_attestations(tmp_path, DIGEST, SM3, TRUST)
    assert [(one.name, one.faults) for one in found] == [("compliance.1.json", ()), ("release.1.json", ())]
    assert found[1].statement == statement_of(product="demo")
    assert found[1].counting == (Verified(LI.keyid, "Li Hua", ("steward",)),)
    assert meets([one for file in found for one in file.counting], TRUST.needs("sign"))
    assert not meets(found[0].counting, TRUST.needs("sign"))


def test_the_same_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    path = write_attestation(tmp_path, "release", GOOD)
    before = path.stat()
    assert write_attestation(tmp_path, "release", GOOD) == path
    with pytest.raises(DigestMismatchError, match="never replaced"):
        write_attestation(tmp_path, "release", sign(statement_of(), [WANG]))
    assert path.read_bytes() == GOOD.as_bytes()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_killed_run_leaves_nothing_after_the_next(tmp_path: Path) -> None:
    lay(tmp_path, ".release.json.0123456789abcdef", b"half")
    assert checked(tmp_path)[".release.json.0123456789abcdef"] == ("it is not named as an attestation is",)
    write_attestation(tmp_path, "release", GOOD)
    assert checked(tmp_path) == {"release.json": ()}


@pytest.mark.parametrize("target", ["nowhere", "product.yaml"])
def test_nothing_is_written_through_a_link(tmp_path: Path, target: str) -> None:
    (tmp_path / "product.yaml").write_text("x")
    (tmp_path / "attestations").mkdir()
    (tmp_path / "attestations" / "release.json").symlink_to(tmp_path / target)
    with pytest.raises(DigestMismatchError):
        write_attestation(tmp_path, "release", GOOD)
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "product.yaml").read_text() == "x"


def test_a_folder_that_is_a_link_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "attestations").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "filed").mkdir()
    (tmp_path / "filed" / "attestations").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "attestations").symlink_to(tmp_path / "nowhere")
    for name in ("linked", "filed", "broken"):
        with pytest.raises(InputOutputError, match="link or a file"):
            write_attestation(tmp_path / name, "release", GOOD)
        with pytest.raises(InputOutputError, match="link or a file"):
            read_attestations(tmp_path / name)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("name", ["", "../release", "a/b", ".hidden", "-x", "a\n", "发布", "x" * 121])
def test_a_name_stays_in_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        write_attestation(tmp_path, name, GOOD)
    assert list(tmp_path.iterdir()) == []


# --- What others put there -------------------------------------------------------------------------------------------


def test_a_statement_about_another_release_is_worth_nothing(tmp_path: Path) -> None:
    write_attestation(tmp_path, "other", about(release_subject(b"other")))
    write_attestation(tmp_path, "named_alike", about(Subject(SUBJECT.name, "0" * 64, SM3)))
    write_attestation(tmp_path, "by_sm3_alone", about(Subject(SUBJECT.name, "1" * 64, SM3), release_subject(b"x")))
    assert set(checked(tmp_path).values()) == {("it is about another release",)}
    found = check_attestations(tmp_path, DIGEST, SM3, TRUST)
    assert [one.verified[0].fault for one in found] == [None] * 3
    assert [one.counting for one in found] == [()] * 3


def test_an_sm3_that_differs_is_told(tmp_path: Path) -> None:
    write_attestation(tmp_path, "wrong", about(Subject(SUBJECT.name, SUBJECT.sha256, "0" * 64)))
    write_attestation(tmp_path, "twice", about(SUBJECT, Subject("again", SUBJECT.sha256, "0" * 64)))
    write_attestation(tmp_path, "unsaid", about(Subject(SUBJECT.name, SUBJECT.sha256)))
    write_attestation(tmp_path, "among_others", about(release_subject(b"other"), SUBJECT))
    fault = ("the SM3 that it says is another than the release's",)
    assert checked(tmp_path) == {"wrong.json": fault, "twice.json": fault, "unsaid.json": (), "among_others.json": ()}


def test_each_hostile_file_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    write_attestation(tmp_path, "good", GOOD)
    folder = tmp_path / "attestations"
    (tmp_path / "outside.json").write_bytes(GOOD.as_bytes())
    (folder / "link.json").symlink_to(tmp_path / "outside.json")
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "fifo.json")
    lay(tmp_path, "notes.txt", b"x")
    lay(tmp_path, ".hidden.json", GOOD.as_bytes())
    lay(tmp_path, "empty.json", b"")
    lay(tmp_path, "deep.json", b"[" * 100_000)
    lay(tmp_path, "twice.json", GOOD.as_bytes().replace(b'"payloadType"', b'"payload":"e30=","payloadType"'))
    lay(tmp_path, "base64.json", GOOD.as_bytes().replace(b'"payload":"', b'"payload":"!'))
    with (folder / "large.json").open("wb") as large:
        large.truncate(2 * MOST_BYTES + 1)
    unsigned = {"payload": "e30=", "payloadType": GOOD.payload_type, "signatures": GOOD.as_dict()["signatures"]}
    lay(tmp_path, "no_statement.json", json.dumps(unsigned).encode())
    faults = {name: "; ".join(told) for name, told in checked(tmp_path).items()}
    assert faults.pop("good.json") == ""
    assert {
        name: told.partition(" (")[0] for name, told in faults.items() if name in {"link.json", "folder.json", "fifo.json"}
    } == (dict.fromkeys(("link.json", "folder.json", "fifo.json"), "it is no plain file, or cannot be read"))
    assert faults["notes.txt"] == faults[".hidden.json"] == "it is not named as an attestation is"
    assert faults["empty.json"] == faults["deep.json"] == faults["twice.json"]
    assert "ambiguous" in faults["twice.json"]
    assert faults["base64.json"] == "a part of the envelope is not base64"
    assert "larger than" in faults["large.json"]
    assert faults["no_statement.json"] == "the statement is not of in-toto's version 1"
    assert all(faults.values())


def test_a_changed_file_is_told_by_its_signature(tmp_path: Path) -> None:
    other = sign(statement_of(product="dear"), [LI])
    lay(tmp_path, "release.json", Envelope(other.payload, GOOD.signatures).as_bytes())
    (found,) = check_attestations(tmp_path, DIGEST, SM3, TRUST)
    assert found.faults == ()
    assert found.verified[0].fault == "the signature is not of what the envelope holds"
    assert found.counting == ()


def test_a_name_that_steers_the_terminal_is_shown_harmless(tmp_path: Path) -> None:
    lay(tmp_path, "\x1b[2J.json", GOOD.as_bytes())
    os.rename(  # noqa: PTH104  pathlib refuses such names
        os.fsencode(tmp_path / "attestations" / "\x1b[2J.json"), os.fsencode(tmp_path / "attestations") + b"/\x1b\xff.json"
    )
    (found,) = check_attestations(tmp_path, DIGEST, SM3, TRUST)
    assert found.name == "\\x1b\\xff.json"
    assert found.counting


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    for number in range(MOST_FILES + 1):
        lay(tmp_path, f"{number}.json", b"")
    with pytest.raises(InputOutputError, match="more than 1000"):
        read_attestations(tmp_path)


# --- product keys ----------------------------------------------------------------------------------------------------

Keys = Callable[..., None]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """`pathcurate product keys …` in a workspace of the test's own; a passphrase lies beside it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "pass").chmod(0o600)

    def call(*arguments: str) -> None:
        productkeys.command.main([*arguments, "-w", str(tmp_path / "w")], standalone_mode=False)

    return call


def new(keys: Keys, tmp_path: Path, name: str, *more: str, out: str = "li.pem") -> None:
    keys("new", name, *more, "--out", str(tmp_path / out), "--passphrase-file", str(tmp_path / "pass"))


def test_a_key_is_made_listed_and_retired(keys: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new(keys, tmp_path, "Li Hua", "--role", "steward", "--role", "compliance", "--role", "steward")
    shown = capsys.readouterr()
    key = load_key(tmp_path / "li.pem", PASSPHRASE)
    (signer,) = load_trust(tmp_path / "w" / "trust.yaml").signers
    assert (signer.keyid, signer.name, signer.roles) == (key.keyid, "Li Hua", ("steward", "compliance"))
    assert key.keyid in shown.out
    assert PASSPHRASE not in shown.out + shown.err + (tmp_path / "w" / "trust.yaml").read_text()
    keys("list")
    listed = capsys.readouterr().out
    assert f"{key.keyid[:16]}  counts " in listed
    assert "sign needs 1 steward and 1 compliance\n" in listed
    keys("retire", "li hua", "--json")
    (retired,) = json.loads(capsys.readouterr().out)["retired"]
    assert retired["retired"] == str(signer.since)
    assert not retired["counts"]
    keys("retire", "Li Hua")
    assert "already" in capsys.readouterr().out
    keys("list", "--json")
    document = json.loads(capsys.readouterr().out)
    assert [(one["keyid"], one["counts"]) for one in document["signers"]] == [(key.keyid, False)]
    one = {"steward": 1}
    assert document["thresholds"] == {
        "sign": {**one, "compliance": 1}, "receipt": {"compliance": 1}, "approve": {**one, "compliance": 1},
        "contract": one, "deliver": one, "withdraw": one,
    }  # fmt: skip


def test_a_signature_of_today_counts_with_a_key_of_today(keys: Keys, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    new(keys, tmp_path, "Li Hua", "--role", "steward")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_attestation(tmp_path, "release", sign(statement_of(now), [load_key(tmp_path / "li.pem", PASSPHRASE)]))
    (found,) = check_attestations(tmp_path, DIGEST, SM3, load_trust(tmp_path / "w" / "trust.yaml"))
    assert [one.name for one in found.counting] == ["Li Hua"]


@pytest.mark.parametrize(
    ("name", "more", "error"),
    [
        ("Li\nHua", (), UsageError), (" Li", (), UsageError), ("x" * 101, (), UsageError), ("", (), UsageError),
        ("Li", ("--until", "2020-01-01"), UsageError), ("Li", ("--until", "soon"), UsageError),
        ("Li", ("--role", "boss"), click.BadParameter),
    ],
)  # fmt: skip
def test_what_cannot_be_entered_makes_no_key(
    keys: Keys, tmp_path: Path, name: str, more: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        new(keys, tmp_path, name, "--role", "steward", *more)
    assert not (tmp_path / "li.pem").exists()
    assert not (tmp_path / "w" / "trust.yaml").exists()


def test_a_private_key_does_not_lie_in_the_workspace(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "w")
    for out in ("w/li.pem", "w/deid/li.pem", "link/li.pem", "link/../w/li.pem"):
        with pytest.raises(UsageError, match="lie in the workspace"):
            new(keys, tmp_path, "Li", "--role", "steward", out=out)
    assert sorted(path.name for path in (tmp_path / "w").iterdir() if path.name != ".lock") == ["pathcurate.yaml"]


def test_a_broken_trust_file_is_told_before_a_key_is_made(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "w" / "trust.yaml").write_text("trust: 3\n")
    with pytest.raises(UsageError, match="reads 1"):
        new(keys, tmp_path, "Li", "--role", "steward")
    assert not (tmp_path / "li.pem").exists()


def test_an_existing_file_is_no_place_for_a_key(keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "li.pem").write_text("mine")
    with pytest.raises(UsageError, match="already"):
        new(keys, tmp_path, "Li", "--role", "steward")
    assert (tmp_path / "li.pem").read_text() == "mine"
    assert not (tmp_path / "w" / "trust.yaml").exists()


def test_the_passphrase_comes_from_where_it_is_safe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{PASSPHRASE}\nthe rest\n".encode())))
    assert productkeys.passphrase("-") == PASSPHRASE
    with pytest.raises(UsageError, match="no terminal"):
        productkeys.passphrase(None)
    (tmp_path / "pass").write_text(PASSPHRASE)
    (tmp_path / "pass").chmod(0o644)
    with pytest.raises(VaultError, match="can be read by other users"):
        productkeys.passphrase(str(tmp_path / "pass"))
    (tmp_path / "pass").chmod(0o600)
    assert productkeys.passphrase(str(tmp_path / "pass")) == PASSPHRASE


@pytest.mark.parametrize(("is_new", "asked"), [(True, 2), (False, 1)])
def test_a_new_passphrase_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch, is_new: bool, asked: int) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    prompts = []

    def typed(prompt: str) -> str:
        prompts.append(prompt)
        return PASSPHRASE

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click.termui, "hidden_prompt_func", typed)
    assert productkeys.passphrase(None, is_new=is_new) == PASSPHRASE
    assert len(prompts) == asked


def test_a_stranger_is_nobody(tmp_path: Path) -> None:
    write_attestation(tmp_path, "release", about(SUBJECT, key=signer_of(77)))
    (found,) = check_attestations(tmp_path, DIGEST, SM3, TRUST)
    assert (found.faults, found.counting) == ((), ())
    assert found.verified[0].fault == "nobody in trust.yaml has this key"
