"""The crosswalk gives back what stands behind a code, only that, and nothing that anybody changed."""

import json
import os
import re
import resource
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import InputOutputError, VaultError
from pathcurate.pseudonyms import internal
from pathcurate.vault import Vault, create_vault
from pathcurate.vault import crosswalk as crosswalks
from pathcurate.vault.crosswalk import check_crosswalk, cross, erase, held, internal_codes, look_up, write_crosswalk

CANARY = "欧阳靖远S23-99887"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return create_vault(tmp_path / "vault")


def codes(vault: Vault, *accessions: str) -> list[str]:
    return [internal(vault.key).codes.code("C", "NB01", accession) for accession in accessions]


def write(vault: Vault, *accessions: str) -> list[str]:
    made = codes(vault, *accessions)
    write_crosswalk(vault, "C", made, [("NB01", accession) for accession in accessions])
    return made


def change(vault: Vault, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        assert database.execute(statement, values).rowcount > 0
        database.commit()


def test_what_was_written_is_found_by_its_code(vault: Vault) -> None:
    made = write(vault, "S23-1", CANARY, "S23-3")
    assert look_up(vault, made[1:]) == {made[1]: ("NB01", CANARY), made[2]: ("NB01", "S23-3")}
    assert held(vault, [made[0], "C-0000000000000000"]) == {made[0]: made[0]}
    assert sorted(internal_codes(vault, "C")) == sorted(made)
    assert list(internal_codes(vault, "P")) == []
    assert stat.S_IMODE((vault.directory / "crosswalk.db").stat().st_mode) == 0o600


def test_a_path_that_is_no_utf_8_comes_back_byte_by_byte(vault: Vault) -> None:
    path = "切片".encode("gb18030") + b"/\xff.svs"
    code = internal(vault.key).codes.code("S", "S-1")
    write_crosswalk(vault, "S", [code], [("S-1", "NB01", "main", path.decode("utf-8", "surrogateescape"))])
    assert look_up(vault, [code])[code][3].encode("utf-8", "surrogateescape") == path


_BYTES_THAT_ARE_NO_UTF_8 = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)
_TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), _BYTES_THAT_ARE_NO_UTF_8))


@given(originals=st.lists(st.tuples(_TEXTS, _TEXTS), min_size=1, max_size=5, unique=True))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_whatever_stands_behind_a_code_comes_back(
    tmp_path_factory: pytest.TempPathFactory, originals: list[tuple[str, str]]
) -> None:
    vault = create_vault(tmp_path_factory.mktemp("any") / "vault")
    made = [f"C-{number:016}" for number in range(len(originals))]
    assert write_crosswalk(vault, "C", made, originals) == len(originals)
    assert look_up(vault, made) == dict(zip(made, originals, strict=True))
    assert write_crosswalk(vault, "C", made, originals) == 0


def test_the_same_again_writes_nothing_and_more_only_what_is_new(vault: Vault) -> None:
    write(vault, "S23-1", "S23-2")
    before = (vault.directory / "crosswalk.db").read_bytes()
    pairs = codes(vault, "S23-2", "S23-1"), [("NB01", "S23-2"), ("NB01", "S23-1")]
    assert write_crosswalk(vault, "C", *pairs) == 0
    assert (vault.directory / "crosswalk.db").read_bytes() == before
    assert write_crosswalk(vault, "C", codes(vault, "S23-1", "S23-3"), [("NB01", "S23-1"), ("NB01", "S23-3")]) == 1
    state = check_crosswalk(vault)
    assert state is not None
    assert state.rows == 3


def test_an_original_that_changed_is_replaced(vault: Vault) -> None:
    code = internal(vault.key).codes.code("P", "person")
    for numbers, changed in (("NB01 1", 1), ("NB01 1; NB02 2", 1), ("NB01 1; NB02 2", 0)):
        assert write_crosswalk(vault, "P", [code], [("person", numbers)]) == changed
    assert look_up(vault, [code]) == {code: ("person", "NB01 1; NB02 2")}
    assert check_crosswalk(vault) is not None


def test_more_than_one_chunk_is_written_whole(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosswalks, "_CHUNK", 7)
    made = write(vault, *(f"S23-{number}" for number in range(100)))
    assert len(look_up(vault, made)) == 100
    write(vault, *(f"S23-{number}" for number in range(0, 200, 3)))
    state = check_crosswalk(vault)
    assert state is not None
    assert state.rows == len(set(range(100)) | set(range(0, 200, 3)))


def test_nothing_of_an_original_lies_open(vault: Vault) -> None:
    write(vault, CANARY, "S23-00002")
    content = (vault.directory / "crosswalk.db").read_bytes()
    for text in (CANARY.encode(), b"S23-99887", b"S23-00002", b"NB01", json.dumps(CANARY).encode(), vault.key):
        assert text not in content


def test_only_the_rows_asked_for_are_opened(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    made = write(vault, *(f"S23-{number}" for number in range(20)))
    opened = []
    real = crosswalks._Cipher.open

    def counting(cipher: object, code: str, sealed: bytes) -> bytes:
        opened.append(code)
        return real(cipher, code, sealed)  # type: ignore[arg-type]

    monkeypatch.setattr(crosswalks._Cipher, "open", counting)
    look_up(vault, [made[3], made[7], "C-0000000000000000"])
    held(vault, made)
    list(internal_codes(vault, "C"))
    assert sorted(opened) == sorted([made[3], made[7]])


# --- What somebody does to it --------------------------------------------------------------------------------------------


def flipped(vault: Vault, code: str, position: int) -> None:
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        (sealed,) = database.execute("SELECT sealed FROM rows WHERE code = ?", (code,)).fetchone()
    changed = bytearray(sealed)
    changed[position] ^= 1
    change(vault, "UPDATE rows SET sealed = ? WHERE code = ?", bytes(changed), code)


@pytest.mark.parametrize("position", [0, 11, 12, 20, -16, -1])
def test_a_row_with_one_bit_changed_does_not_open(vault: Vault, position: int) -> None:
    one, other = write(vault, CANARY, "S23-2")
    flipped(vault, one, position)
    assert look_up(vault, [other]) == {other: ("NB01", "S23-2")}
    with pytest.raises(VaultError, match=f"row of {one} was changed") as caught:
        look_up(vault, [one])
    assert caught.value.exit_code == 11
    assert "S23" not in str(caught.value)


@pytest.mark.parametrize("sealed", [b"", b"x" * 11, b"x" * 12, b"x" * 27, None, "text", 7])
def test_a_row_of_other_content_does_not_open(vault: Vault, sealed: object) -> None:
    (code,) = write(vault, CANARY)
    if sealed is None:
        with pytest.raises(sqlite3.IntegrityError):
            change(vault, "UPDATE rows SET sealed = NULL")
        return
    change(vault, "UPDATE rows SET sealed = ?", sealed)
    with pytest.raises(VaultError, match="was changed"):
        look_up(vault, [code])


def test_two_rows_that_changed_places_do_not_open(vault: Vault) -> None:
    one, other = write(vault, "S23-1", "S23-2")
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        rows = dict(database.execute("SELECT code, sealed FROM rows"))
    change(vault, "UPDATE rows SET sealed = ? WHERE code = ?", rows[one], other)
    change(vault, "UPDATE rows SET sealed = ? WHERE code = ?", rows[other], one)
    for code in (one, other):
        with pytest.raises(VaultError, match="was changed"):
            look_up(vault, [code])


@pytest.mark.parametrize(
    "statement", ["DELETE FROM rows", "DELETE FROM rows WHERE code = (SELECT min(code) FROM rows)",
                  "INSERT INTO rows SELECT 'C-00', keyed, sealed FROM rows LIMIT 1",
                  "INSERT INTO bridge SELECT 'ab', code, sealed FROM rows"],
)  # fmt: skip
def test_rows_that_went_or_came_are_noticed_before_a_code_is_called_unknown(vault: Vault, statement: str) -> None:
    write(vault, "S23-1", "S23-2")
    change(vault, statement)
    with pytest.raises(VaultError, match="missing, or there are too many"):
        held(vault, ["C-0000000000000000"])
    with pytest.raises(VaultError, match="missing, or there are too many"):
        check_crosswalk(vault)


@pytest.mark.parametrize(
    ("change_state", "message"),
    [
        (lambda text: text.replace('"rows": 2', '"rows": 1'), "state was changed"),
        (lambda text: "", "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: text.replace("crosswalk-v1", "crosswalk-v2"), "state was changed"),
        (lambda text: re.sub(r'"key": "\w+"', '"key": "0000000000000000"', text), "another key"),
    ],
)
def test_what_it_says_of_itself_cannot_be_changed(vault: Vault, change_state: Callable[[str], str], message: str) -> None:
    made = write(vault, "S23-1", "S23-2")
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        (content,) = database.execute("SELECT content FROM state").fetchone()
    assert change_state(content) != content
    change(vault, "UPDATE state SET content = ?", change_state(content))
    with pytest.raises(VaultError, match=message):
        look_up(vault, made)


def test_a_crosswalk_of_another_key_is_refused(vault: Vault, tmp_path: Path) -> None:
    made = write(vault, "S23-1")
    other = create_vault(tmp_path / "other")
    (vault.directory / "crosswalk.db").rename(other.directory / "crosswalk.db")
    for use in (lambda: look_up(other, made), lambda: write(other, "S23-1"), lambda: check_crosswalk(other)):
        with pytest.raises(VaultError, match="made with another key"):
            use()


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 5000, 0.5, 0.9])
def test_a_crosswalk_cut_short_is_refused(vault: Vault, length: float) -> None:
    made = write(vault, *(f"S23-{number}" for number in range(500)))
    path = vault.directory / "crosswalk.db"
    content = path.read_bytes()
    cut = content[: int(length * len(content)) if isinstance(length, float) else length]
    path.write_bytes(cut)
    for use in (lambda: look_up(vault, made), lambda: write(vault, "new"), lambda: check_crosswalk(vault)):
        with pytest.raises(VaultError) as caught:
            use()
        assert caught.value.exit_code == 11
    assert path.read_bytes() == cut


def test_noise_in_its_place_is_refused(vault: Vault) -> None:
    (vault.directory / "crosswalk.db").write_bytes(os.urandom(20_000))
    (vault.directory / "crosswalk.db").chmod(0o600)
    with pytest.raises(VaultError, match="damaged"):
        held(vault, ["C-0000000000000000"])


def test_a_crosswalk_that_others_can_read_is_refused(vault: Vault) -> None:
    made = write(vault, "S23-1")
    (vault.directory / "crosswalk.db").chmod(0o640)
    for use in (lambda: look_up(vault, made), lambda: write(vault, "S23-2")):
        with pytest.raises(VaultError, match="read by other users"):
            use()


def test_each_row_has_a_nonce_of_its_own(vault: Vault) -> None:
    write(vault, *(f"S23-{number}" for number in range(300)))
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        nonces = {sealed[:12] for (sealed,) in database.execute("SELECT sealed FROM rows")}
    assert len(nonces) == 300


def test_a_row_is_aes_gcm_bound_to_its_place(vault: Vault) -> None:
    (code,) = write(vault, "S23-1")
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        (sealed,) = database.execute("SELECT sealed FROM rows").fetchone()
    place = f"crosswalk-v1|C|{vault.fingerprint}|{code}".encode()
    opened = AESGCM(vault.subkey("crosswalk rows")).decrypt(sealed[:12], sealed[12:], place)
    assert json.loads(opened) == ["NB01", "S23-1"]


# --- What goes wrong -----------------------------------------------------------------------------------------------------


def test_an_original_that_fails_leaves_everything_as_it_was(vault: Vault) -> None:
    write(vault, "S23-1")
    before = (vault.directory / "crosswalk.db").read_bytes()
    with pytest.raises(ValueError, match="fields"):
        write_crosswalk(vault, "C", codes(vault, "S23-2", "S23-3"), [("NB01", "S23-2"), ("NB01",)])
    with pytest.raises(ValueError, match="kind C"):
        write_crosswalk(vault, "C", ["P-0000000000000000"], [("NB01", "x")])
    assert (vault.directory / "crosswalk.db").read_bytes() == before


_FILL = """
import resource, signal, sys
from pathlib import Path
from pathcurate.errors import PathcurateError
from pathcurate.pseudonyms import internal
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import write_crosswalk
vault = open_vault(Path(sys.argv[1]))
numbers = [f"S24-{number}" for number in range(3000)]
codes = [internal(vault.key).codes.code("C", "NB01", number) for number in numbers]
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    write_crosswalk(vault, "C", codes, [("NB01", number) for number in numbers])
except PathcurateError as error:
    print(error.exit_code, error.message)
"""


def test_a_full_disk_is_said_and_leaves_the_rows_that_were_there(vault: Vault) -> None:
    made = write(vault, "S23-1", "S23-2")
    # A short write of compiled Python would be a broken module for everybody.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", _FILL, vault.directory],
        capture_output=True, text=True, check=True, timeout=60, env=environment,
    )  # fmt: skip
    assert done.stdout.startswith("3 the crosswalk cannot be used"), done.stdout + done.stderr
    assert len(look_up(vault, made)) == 2
    state = check_crosswalk(vault)
    assert state is not None
    assert state.rows == 2
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


_ADD = """
import sys
from pathlib import Path
from pathcurate.pseudonyms import internal
from pathcurate.vault import create_vault
from pathcurate.vault.crosswalk import write_crosswalk
vault = create_vault(Path(sys.argv[1]))
for start in range(0, 60, 10):
    numbers = [f"{sys.argv[2]}23-{start + number}" for number in range(10)] + ["S23-1"]
    codes = [internal(vault.key).codes.code("C", "NB01", number) for number in numbers]
    write_crosswalk(vault, "C", codes, [("NB01", number) for number in numbers])
"""


def test_two_processes_write_one_crosswalk(tmp_path: Path) -> None:
    directory = tmp_path / "vault"
    processes = [subprocess.Popen([sys.executable, "-c", _ADD, directory, name]) for name in "ab"]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    vault = create_vault(directory)
    state = check_crosswalk(vault)
    assert state is not None
    assert state.rows == 121
    assert len(look_up(vault, codes(vault, *(f"{name}23-{number}" for name in "ab" for number in range(60))))) == 120


_KILLED = """
import os, signal, sys
from pathlib import Path
from pathcurate.pseudonyms import internal
from pathcurate.vault import open_vault
from pathcurate.vault.crosswalk import write_crosswalk
vault = open_vault(Path(sys.argv[1]))
numbers = [f"S24-{number}" for number in range(3000)]
def originals():
    for number in numbers:
        yield ("NB01", number)
import pathcurate.vault.crosswalk as crosswalks
crosswalks._CHUNK = 1000
seen = []
real = crosswalks._Cipher.seal
def seal(cipher, code, payload):
    seen.append(1)
    if len(seen) == 2500:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(cipher, code, payload)
crosswalks._Cipher.seal = seal
codes = [internal(vault.key).codes.code("C", "NB01", number) for number in numbers]
write_crosswalk(vault, "C", codes, originals())
"""


def test_a_killed_run_leaves_the_rows_that_were_there(vault: Vault) -> None:
    made = write(vault, "S23-1")
    done = subprocess.run([sys.executable, "-c", _KILLED, vault.directory], check=False, timeout=60)
    assert done.returncode == -9
    assert look_up(vault, made) == {made[0]: ("NB01", "S23-1")}
    assert check_crosswalk(vault) is not None
    assert len(list(internal_codes(vault, "C"))) == 1


def test_no_traceback_shows_what_stands_behind_a_code(vault: Vault) -> None:
    (code,) = write(vault, CANARY)
    flipped(vault, code, 15)
    with pytest.raises(VaultError) as caught:
        look_up(vault, [code])
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert CANARY not in shown
    assert vault.key.hex() not in shown
    assert repr(vault.key)[2:-1] not in shown


def test_an_unreadable_crosswalk_is_an_input_output_error(vault: Vault) -> None:
    (vault.directory / "crosswalk.db").mkdir(mode=0o700)
    with pytest.raises((InputOutputError, VaultError)):
        held(vault, ["C-0000000000000000"])


# --- Erasure -------------------------------------------------------------------------------------------------------------


def test_what_is_erased_is_gone_from_the_file_too(vault: Vault) -> None:
    one, other = write(vault, "S23-1", "S23-2")
    with closing(sqlite3.connect(vault.directory / "crosswalk.db")) as database:
        (sealed,) = database.execute("SELECT sealed FROM rows WHERE code = ?", (one,)).fetchone()
    assert sealed in (vault.directory / "crosswalk.db").read_bytes()
    assert erase(vault, [one, "C-0000000000000000"]) == 1
    assert sealed not in (vault.directory / "crosswalk.db").read_bytes()
    assert one.encode() not in (vault.directory / "crosswalk.db").read_bytes()
    assert held(vault, [one, other]) == {other: other}
    assert erase(vault, [one]) == 0


def test_there_is_nothing_to_find_or_erase_without_a_crosswalk(vault: Vault) -> None:
    assert look_up(vault, ["C-0000000000000000"]) == held(vault, ["C-0000000000000000"]) == {}
    assert cross(vault, vault.fingerprint, ["C-0000000000000000"]) == {}
    assert erase(vault, ["C-0000000000000000"]) == 0
    assert check_crosswalk(vault) is None
    assert list(internal_codes(vault, "C")) == []
    assert not (vault.directory / "crosswalk.db").exists()


@given(st.lists(st.text(st.characters(), max_size=12), min_size=1, max_size=4))
def test_what_is_sealed_is_the_json_of_all_fields(original: list[str]) -> None:
    # Halves of pairs too: a path need not be UTF-8. Rows of former versions are compared with these bytes.
    original = [*original, '\udce5\udcbc\x1f"\\']
    assert crosswalks._payload(original, len(original)) == json.dumps(original).encode("ascii")
