"""The vault: who may read it, what never shows, and an audit trail in which every change is seen."""

import json
import os
import pickle
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from pathcurate import errors
from pathcurate import vault as vaults
from pathcurate.errors import PathcurateError, VaultError
from pathcurate.vault import KEY_BYTES, MOST_TOGETHER, append_event, broken_event, create_vault, open_vault
from pathcurate.vault.together import Act, append_events


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "vault"


# --- the key -----------------------------------------------------------------------------------------------------


def test_a_new_vault_has_a_random_key_that_only_its_owner_reads(directory: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        vault = create_vault(directory)
        append_event(directory, "me", "deid apply", {})
    finally:
        os.umask(before)
    assert len(vault.key) == KEY_BYTES
    assert mode(directory) == 0o700
    assert {path.name: mode(path) for path in directory.iterdir()} == {
        "key": 0o600, "fingerprint": 0o600, "audit.jsonl": 0o600, "audit.head": 0o600
    }  # fmt: skip
    assert create_vault(tmp_path / "other").key != vault.key


def test_the_key_stays_when_the_vault_is_made_again(directory: Path) -> None:
    first = create_vault(directory)
    assert create_vault(directory) == first == open_vault(directory)


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o610, 0o601, 0o777])
def test_a_key_that_others_may_use_is_refused(directory: Path, bits: int) -> None:
    create_vault(directory)
    (directory / "key").chmod(bits)
    for use in (open_vault, create_vault):
        with pytest.raises(VaultError, match="can be read by other users") as caught:
            use(directory)
        assert caught.value.exit_code == 11
        assert "chmod" in caught.value.hint
    assert mode(directory / "key") == bits


def test_a_directory_that_others_may_enter_is_refused(directory: Path) -> None:
    create_vault(directory)
    directory.chmod(0o750)
    with pytest.raises(VaultError, match="can be read by other users"):
        open_vault(directory)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), b"a" * 64])
def test_a_key_of_another_length_is_refused(directory: Path, key: bytes) -> None:
    create_vault(directory)
    (directory / "key").write_bytes(key)
    for use in (open_vault, create_vault):
        with pytest.raises(VaultError, match=f"has {len(key)} bytes"):
            use(directory)
    assert (directory / "key").read_bytes() == key


def test_a_missing_key_is_refused(directory: Path) -> None:
    with pytest.raises(VaultError, match="no vault key"):
        open_vault(directory)
    directory.mkdir(mode=0o700)
    with pytest.raises(VaultError, match="no vault key"):
        open_vault(directory)
    (directory / "key").mkdir(mode=0o700)
    with pytest.raises(VaultError, match="cannot be read"):
        open_vault(directory)


def test_a_lost_key_is_not_replaced_in_silence(directory: Path) -> None:
    vault = create_vault(directory)
    vault.criteria.mkdir()
    (directory / "key").unlink()
    with pytest.raises(VaultError, match="key is gone") as caught:
        create_vault(directory)
    assert caught.value.exit_code == 11
    assert not (directory / "key").exists()


def test_nothing_shows_the_key(directory: Path) -> None:
    vault = create_vault(directory)

    def fail() -> None:
        inside = vault
        raise RuntimeError(f"{inside} {inside!r}")

    with pytest.raises(RuntimeError) as caught:
        fail()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    for form in (repr(vault.key)[2:-1], vault.key.hex()):
        assert form not in shown
    assert repr(vault) == f"Vault({vault.fingerprint})"
    assert vault.fingerprint not in vault.key.hex()


def test_two_keys_have_two_fingerprints(directory: Path, tmp_path: Path) -> None:
    assert create_vault(directory).fingerprint != create_vault(tmp_path / "other").fingerprint
    assert create_vault(directory).fingerprint == open_vault(directory).fingerprint


# --- where the vault lies, and what it was made with ------------------------------------------------------------------


def test_a_key_that_changed_is_refused(directory: Path) -> None:
    vault = create_vault(directory)
    (directory / "key").write_bytes(bytes(KEY_BYTES))
    for use in (open_vault, create_vault):
        with pytest.raises(VaultError, match="not the one that the vault was made with") as caught:
            use(directory)
        assert caught.value.exit_code == 11
    (directory / "key").write_bytes(vault.key)
    assert open_vault(directory) == vault


def test_a_vault_from_before_fingerprints_gets_one(directory: Path) -> None:
    vault = create_vault(directory)
    (directory / "fingerprint").unlink()
    assert open_vault(directory) == vault
    assert not (directory / "fingerprint").exists()
    assert create_vault(directory) == vault
    assert (directory / "fingerprint").read_text() == vault.fingerprint


@pytest.mark.parametrize("name", ["deid", "cohorts", "releases", "requests", "products"])
def test_a_vault_that_is_a_link_into_what_goes_out_is_refused(tmp_path: Path, name: str) -> None:
    real = tmp_path / name / "v1" / "vault"
    create_vault(real)
    (tmp_path / "vault").symlink_to(real)
    for use in (open_vault, create_vault):
        with pytest.raises(VaultError, match=f"lies inside {name}/, which is handed on"):
            use(tmp_path / "vault")


def test_a_key_that_is_a_link_into_what_goes_out_is_refused(directory: Path) -> None:
    create_vault(directory)
    elsewhere = directory.parent / "cohorts"
    elsewhere.mkdir()
    (directory / "key").rename(elsewhere / "key")
    (directory / "key").symlink_to(elsewhere / "key")
    with pytest.raises(VaultError, match="lies inside cohorts/"):
        open_vault(directory)


def test_a_vault_inside_a_release_is_refused_before_it_is_made(tmp_path: Path) -> None:
    release = tmp_path / "1.0.0"
    release.mkdir()
    (release / "MANIFEST.json").write_text("{}")
    with pytest.raises(VaultError, match="lies inside a release"):
        create_vault(release / "workspace" / "vault")
    assert [path.name for path in release.iterdir()] == ["MANIFEST.json"]


def test_a_key_may_be_a_link_to_a_safe_place(directory: Path, tmp_path: Path) -> None:
    vault = create_vault(directory)
    safe = tmp_path / "safe"
    safe.mkdir(mode=0o700)
    (directory / "key").rename(safe / "key")
    (directory / "key").symlink_to(safe / "key")
    assert open_vault(directory) == vault


def test_a_subkey_is_of_one_purpose_and_one_key(directory: Path, tmp_path: Path) -> None:
    vault, other = create_vault(directory), create_vault(tmp_path / "other")
    keys = {vault.subkey("a"), vault.subkey("b"), other.subkey("a"), vault.key}
    assert len(keys) == 4
    assert {len(key) for key in keys} == {KEY_BYTES}


_ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PathcurateError)]


@pytest.mark.parametrize("kind", _ERRORS)
def test_an_error_crosses_processes_whole(kind: type[PathcurateError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what and where", "what to do next")))  # noqa: S301
    assert type(error) is kind
    assert (error.message, error.hint, error.exit_code) == ("what and where", "what to do next", kind.exit_code)
    assert str(error) == "what and where\n  what to do next"


# --- the audit trail ---------------------------------------------------------------------------------------------


def lines(directory: Path) -> list[bytes]:
    return (directory / "audit.jsonl").read_bytes().splitlines()


@pytest.fixture
def trail(directory: Path) -> Path:
    for number in range(5):
        append_event(directory, "张", "deid apply", {"slides": number})
    return directory


def _edit(position: int) -> Callable[[list[bytes]], list[bytes]]:
    def edit(content: list[bytes]) -> list[bytes]:
        event = json.loads(content[position])
        event["facts"]["slides"] = 99
        return [*content[:position], json.dumps(event, ensure_ascii=False).encode(), *content[position + 1 :]]

    return edit


def _remove(position: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda content: [*content[:position], *content[position + 1 :]]


def test_an_untouched_trail_is_whole(directory: Path, trail: Path) -> None:
    assert broken_event(directory) is None
    events = [json.loads(line) for line in lines(trail)]
    assert [event["facts"]["slides"] for event in events] == list(range(5))
    assert {event["actor"] for event in events} == {"张"}


def test_no_trail_is_whole(directory: Path) -> None:
    assert broken_event(directory) is None


@pytest.mark.parametrize(
    ("tamper", "place"),
    [
        *((_edit(position), min(position + 2, 5)) for position in range(5)),
        *((_remove(position), min(position + 1, 4)) for position in range(5)),
        (lambda content: [], 1),
        (lambda content: content[:2], 2),
        (lambda content: [content[1], content[0], *content[2:]], 1),
        (lambda content: [*content[:3], content[4], content[3]], 4),
        (lambda content: [*content, content[-1]], 6),
        (lambda content: [*content, b'{"previous": "00"}'], 6),
        (lambda content: [content[0], b"", *content[1:]], 2),
        (lambda content: [b"[]", *content], 1),
        (lambda content: [b"\xff\xfe", *content], 1),
    ],
)
def test_whatever_is_done_to_a_trail_is_found(trail: Path, tamper: Callable[[list[bytes]], list[bytes]], place: int) -> None:
    (trail / "audit.jsonl").write_bytes(b"".join(line + b"\n" for line in tamper(lines(trail))))
    assert broken_event(trail) == place
    append_event(trail, "me", "deid verify", {})
    assert broken_event(trail) is not None


def test_a_line_cut_short_by_a_crash_goes_and_the_trail_stays_whole(trail: Path) -> None:
    with (trail / "audit.jsonl").open("ab") as file:
        file.write(b'{"at": "2024-01-0')
    assert broken_event(trail) is None
    append_event(trail, "me", "deid verify", {})
    assert broken_event(trail) is None
    assert len(lines(trail)) == 6


def test_a_crash_between_the_line_and_its_head_leaves_the_trail_whole(trail: Path) -> None:
    head = (trail / "audit.head").read_bytes()
    append_event(trail, "me", "deid verify", {})
    (trail / "audit.head").write_bytes(head)
    assert broken_event(trail) is None
    append_event(trail, "me", "deid verify", {})
    assert broken_event(trail) is None


def test_crashes_between_lines_and_their_heads_one_after_the_other_leave_the_trail_whole(
    trail: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run before has written its line, and was killed while it wrote the head."""
    write, before = vaults.write_bytes, len(lines(trail))
    for number in range(3):

        def killed(path: Path, data: bytes, mode: int = 0o644, until: int = before + number) -> None:
            if len(lines(trail)) > until:
                (path.parent / f".{path.name}.killed").write_bytes(data)
                raise KeyboardInterrupt
            write(path, data, mode)

        with monkeypatch.context() as patch:
            patch.setattr(vaults, "write_bytes", killed)
            with pytest.raises(KeyboardInterrupt):
                append_event(trail, "me", "deid verify", {"number": number})
        assert broken_event(trail) is None
    append_event(trail, "me", "deid verify", {})
    assert broken_event(trail) is None
    assert len(lines(trail)) == before + 4
    assert not list(trail.glob(".audit.head.*")), "nothing is left of the killed runs"


@pytest.mark.parametrize("written", [0, 1, 2, 3])
@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_group_that_is_cut_off_anywhere_leaves_the_trail_whole(trail: Path, written: int, *, is_renamed: bool) -> None:
    before, head = (trail / "audit.jsonl").read_bytes(), (trail / "audit.head").read_text()
    append_events(trail, [Act("me", "find", {"number": number}) for number in range(3)])
    after, newest = (trail / "audit.jsonl").read_bytes(), (trail / "audit.head").read_text()
    assert broken_event(trail) is None
    assert " " not in newest
    group = after[len(before) :].splitlines(keepends=True)
    (trail / "audit.jsonl").write_bytes(before + b"".join(group[:written]) + (group[written][:9] if written < 3 else b""))
    (trail / "audit.head").write_text(newest if is_renamed and written == 3 else f"{head} {newest}")
    assert broken_event(trail) is None
    append_event(trail, "me", "deid verify", {})
    assert broken_event(trail) is None
    append_events(trail, [Act("me", "find", {})] * 2)
    assert broken_event(trail) is None
    assert len(lines(trail)) == before.count(b"\n") + written + 3


def test_more_events_than_one_group_are_all_there_and_a_changed_one_is_found(trail: Path) -> None:
    before = len(lines(trail))
    append_events(trail, [Act("me", "find", {"number": number}) for number in range(MOST_TOGETHER * 2 + 1)])
    assert len(lines(trail)) == before + MOST_TOGETHER * 2 + 1
    assert broken_event(trail) is None
    content = (trail / "audit.jsonl").read_bytes()
    (trail / "audit.jsonl").write_bytes(content.replace(b'"number": 70', b'"number": 71'))
    assert broken_event(trail) is not None
    append_events(trail, [Act("me", "find", {})])
    assert broken_event(trail) is not None, "what comes after does not hide it"


def test_a_trail_that_lost_more_than_a_group_is_found(trail: Path) -> None:
    head = (trail / "audit.head").read_text()
    append_events(trail, [Act("me", "find", {"number": number}) for number in range(MOST_TOGETHER + 1)])
    (trail / "audit.head").write_text(f"{head} {'ab' * 32}")
    assert broken_event(trail) is not None


def test_a_last_line_without_its_end_is_found(trail: Path) -> None:
    content = (trail / "audit.jsonl").read_bytes()
    (trail / "audit.jsonl").write_bytes(content[:-1])
    assert broken_event(trail) == 4


_APPEND = """
import sys
from pathlib import Path
from pathcurate.vault import append_event
for number in range(25):
    append_event(Path(sys.argv[1]), sys.argv[2], "find", {"number": number})
"""


@pytest.mark.parametrize("events", [0, 1, 2, 30])
@pytest.mark.parametrize("longest", [1, 60, 5_000])
@pytest.mark.parametrize("cut", [b"", b"half a li"])
def test_an_event_continues_a_trail_of_any_length(directory: Path, events: int, longest: int, cut: bytes) -> None:
    trail = directory / "audit.jsonl"
    for number in range(events):
        append_event(directory, "li", "find", {"text": "x" * (number * longest)})
    before = trail.read_bytes() if events else b""
    directory.mkdir(exist_ok=True)
    trail.write_bytes(before + cut)
    append_event(directory, "li", "find", {"cases": 1})
    assert trail.read_bytes().startswith(before)
    assert trail.read_bytes().count(b"\n") == events + 1
    assert broken_event(directory) is None


def test_a_trail_of_years_is_not_read_to_add_to_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        append_event(directory, "li", "find", {"cases": 1})
    trail = directory / "audit.jsonl"
    line = trail.read_bytes().splitlines(keepends=True)[-1]
    trail.write_bytes(line * 200_000)
    sizes: list[int] = []
    ending = vaults._ending
    monkeypatch.setattr(vaults, "_ending", lambda file: ending(_Counting(file, sizes)))
    append_event(directory, "li", "find", {"cases": 1})
    assert 0 < sum(sizes) < 1 << 17


class _Counting:
    """A file that keeps how much was read of it."""

    def __init__(self, file: BinaryIO, sizes: list[int]) -> None:
        self._file, self._sizes = file, sizes

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def read(self, size: int) -> bytes:
        self._sizes.append(size)
        return self._file.read(size)


def test_many_processes_write_one_trail(directory: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", _APPEND, directory, name]) for name in "abcd"]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]
    events = [json.loads(line) for line in lines(directory)]
    for name in "abcd":
        assert [event["facts"]["number"] for event in events if event["actor"] == name] == list(range(25))
    assert broken_event(directory) is None
