"""Another key: whatever happens, either the old one works with all that is its own, or the new one does."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pathcurate.errors import VaultError
from pathcurate.pseudonyms import internal
from pathcurate.vault import SWITCH, Vault, create_vault, open_vault
from pathcurate.vault.crosswalk import check_crosswalk, cross, erase, held, internal_codes, look_up, write_crosswalk
from pathcurate.vault.rotation import retired_keys, rotate

NUMBERS = [f"S23-{number}" for number in range(10)]


def codes(vault: Vault) -> list[str]:
    return [internal(vault.key).codes.code("C", "NB01", number) for number in NUMBERS]


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    vault = create_vault(tmp_path / "vault")
    write_crosswalk(vault, "C", codes(vault), [("NB01", number) for number in NUMBERS])
    person = internal(vault.key).codes.code("P", "person-1")
    write_crosswalk(vault, "P", [person], [("person-1", "NB01 77; NB02 88")])
    return vault


def test_a_new_key_has_new_codes_and_the_same_originals(vault: Vault) -> None:
    new, rows = rotate(vault)
    assert rows == 11
    assert new.key != vault.key
    assert open_vault(vault.directory) == new
    assert not set(codes(new)) & set(codes(vault))
    assert look_up(new, codes(new)) == {
        code: ("NB01", number) for code, number in zip(codes(new), NUMBERS, strict=True)
    }  # fmt: skip
    person = internal(new.key).codes.code("P", "person-1")
    assert look_up(new, [person]) == {person: ("person-1", "NB01 77; NB02 88")}
    assert held(new, codes(vault)) == {}


def test_old_codes_lead_to_new_ones_over_several_rotations(vault: Vault) -> None:
    second, _ = rotate(vault)
    third, _ = rotate(second)
    fourth, _ = rotate(third)
    for old in (vault, second, third):
        assert cross(fourth, old.fingerprint, codes(old)) == dict(zip(codes(old), codes(fourth), strict=True))
        assert sorted(internal_codes(fourth, "C", old.fingerprint)) == sorted(codes(old))
    assert cross(fourth, fourth.fingerprint, codes(fourth)) == {}
    assert cross(fourth, vault.fingerprint, ["C-0000000000000000"]) == {}
    assert {old.fingerprint: old.key for old in retired_keys(fourth)} == {
        old.fingerprint: old.key for old in (vault, second, third)
    }  # fmt: skip
    state = check_crosswalk(fourth)
    assert state is not None
    assert state.bridges == tuple((old.fingerprint, 11) for old in (vault, second, third))


def test_no_old_key_lies_open_and_nobody_else_reads_anything(vault: Vault) -> None:
    new, _ = rotate(vault)
    for path in vault.directory.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            content = path.read_bytes()
            assert vault.key not in content
            assert vault.key.hex().encode() not in content
            assert (new.key in content) == (path.name == "key")
    assert sorted(path.name for path in vault.directory.iterdir()) == ["crosswalk.db", "fingerprint", "key", "retired"]


def test_a_retired_key_that_was_changed_or_renamed_does_not_open(vault: Vault) -> None:
    second, _ = rotate(vault)
    third, _ = rotate(second)
    one, other = sorted((vault.directory / "retired").iterdir())
    content = one.read_bytes(), other.read_bytes()
    one.write_bytes(content[1])
    other.write_bytes(content[0])
    with pytest.raises(VaultError, match=r"retired key .* was changed"):
        retired_keys(third)
    one.write_bytes(content[0][:-1] + bytes([content[0][-1] ^ 1]))
    with pytest.raises(VaultError, match=r"retired key .* was changed"):
        rotate(third)
    assert open_vault(vault.directory) == third
    assert not list(vault.directory.glob(".prepared-*"))


def test_a_damaged_crosswalk_stops_the_rotation_and_changes_nothing(vault: Vault) -> None:
    path = vault.directory / "crosswalk.db"
    path.write_bytes(path.read_bytes()[:-4096])
    before = {item.name: item.read_bytes() for item in vault.directory.iterdir()}
    with pytest.raises(VaultError):
        rotate(vault)
    assert {item.name: item.read_bytes() for item in vault.directory.iterdir()} == before


def test_a_vault_without_a_crosswalk_gets_a_new_key_too(tmp_path: Path) -> None:
    vault = create_vault(tmp_path / "vault")
    new, rows = rotate(vault)
    assert rows == 0
    assert [old.key for old in retired_keys(new)] == [vault.key]
    assert check_crosswalk(new) is None


def test_what_is_erased_is_erased_on_the_bridge_too(vault: Vault) -> None:
    second, _ = rotate(vault)
    third, _ = rotate(second)
    gone = codes(third)[0]
    assert erase(third, [gone]) == 1
    for old in (vault, second):
        assert codes(old)[0] not in set(internal_codes(third, "C", old.fingerprint))
        assert len(cross(third, old.fingerprint, codes(old))) == len(NUMBERS) - 1
    assert check_crosswalk(third) is not None


_KILLED_ANYWHERE = """
import json, os, shutil, signal, sys
from pathlib import Path
from pathcurate.pseudonyms import internal
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import check_crosswalk, cross, look_up
from pathcurate.vault.rotation import retired_keys, rotate

template, work = Path(sys.argv[1]), Path(sys.argv[2])
numbers = json.loads(sys.argv[3])
old = open_vault(template)
CHANGES = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.link", "sqlite3.connect"}
seen = 0
limit = None

def hook(event, arguments):
    global seen
    if limit is not None and event in CHANGES:
        seen += 1
        if seen == limit:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
told = []
for step in range(1, 400, 6):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(template, work)
    child = os.fork()
    if child == 0:
        limit = step
        rotate(open_vault(work))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    is_switching = (work / "switch").exists()
    vault = open_vault(work)
    codes = [internal(vault.key).codes.code("C", "NB01", number) for number in numbers]
    assert [value[1] for value in map(look_up(vault, codes).get, codes)] == numbers, step
    if vault.key != old.key:
        assert [key.key for key in retired_keys(vault)] == [old.key], step
        before = [internal(old.key).codes.code("C", "NB01", number) for number in numbers]
        assert cross(vault, old.fingerprint, before) == dict(zip(before, codes)), step
    assert check_crosswalk(vault).rows == len(numbers) + 1, step
    assert not (work / "switch").exists()
    if step % 4 == 1:
        rotate(vault)
        assert not list(work.glob(".prepared-*")), step
    told.append((vault.key == old.key, is_switching))
    if status == 0:
        break
print(json.dumps(told))
"""


def test_a_rotation_killed_at_any_step_leaves_one_key_that_works(vault: Vault, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_ANYWHERE, vault.directory, tmp_path / "work", json.dumps(NUMBERS)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told) > 5
    was_old = [is_old for is_old, _ in told]
    # At first the old key, from one step on the new one, and some of the kills fell into the switch.
    assert was_old == sorted(was_old, reverse=True)
    assert was_old[0]
    assert not was_old[-1]
    assert sum(is_switching for _, is_switching in told) >= 1


def test_two_who_finish_a_switch_do_not_stumble(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pathcurate.vault.rotation.finish_switch", lambda directory: None)
        patch.setattr("pathcurate.vault.rotation.open_vault", lambda directory: vault)
        rotate(vault)
    assert (vault.directory / SWITCH / "key").exists()
    program = (
        "import sys\nfrom pathlib import Path\nfrom pathcurate.vault import open_vault\n"
        "print(open_vault(Path(sys.argv[1])).fingerprint)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, vault.directory], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    shown = [process.communicate(timeout=60)[0].strip() for process in processes]
    new = open_vault(vault.directory)
    assert new.key != vault.key
    assert shown == [new.fingerprint] * 3
    assert [path.name for path in (vault.directory / "retired").iterdir()] == [vault.fingerprint]
