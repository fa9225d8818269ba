"""Keys: public ones that are trusted, private ones in files that only their owners can read."""

import base64
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from pathcurate.errors import PathcurateError, UsageError, VaultError
from pathcurate.model.trust import ED25519, TrustedSigner
from pathcurate.signing import load_key, new_key, passphrase_of, read_passphrase, sign
from tests.unit.test_signing import LI, PASSPHRASE, faults, statement_of, trust_of, trusted

# --- Public keys -----------------------------------------------------------------------------------------------------


def _points_of_small_order() -> list[bytes]:
    """Encodings of the eight points, found by adding points of the curve (RFC 8032, 5.1.4), not taken from a list."""
    p, order = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
    d = -121665 * pow(121666, -1, p) % p

    def add(one: tuple[int, int], two: tuple[int, int]) -> tuple[int, int]:
        (x1, y1), (x2, y2) = one, two
        k = d * x1 * x2 * y1 * y2 % p
        return (x1 * y2 + x2 * y1) * pow(1 + k, -1, p) % p, (y1 * y2 + x1 * x2) * pow(1 - k, -1, p) % p

    found: set[tuple[int, int]] = set()
    for y in range(2, 40):
        square = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        x = pow(square, (p + 3) // 8, p)
        if x * x % p != square:
            x = x * pow(2, (p - 1) // 4, p) % p
        if x * x % p != square:
            continue
        point, sum_, factor = (x, y), (0, 1), order
        while factor:
            if factor & 1:
                sum_ = add(sum_, point)
            point, factor = add(point, point), factor >> 1
        found.add(sum_)
        found.add((-sum_[0] % p, sum_[1]))
        if len(found) == 8:
            break
    assert len(found) == 8
    return [(y | (x & 1) << 255).to_bytes(32, "little") for x, y in found]


def under(key: bytes) -> TrustedSigner:
    public = base64.b64encode(bytes.fromhex("302a300506032b6570032100") + key).decode()
    return TrustedSigner(name="Li", roles=("steward",), scheme=ED25519, public=public, since="2026-01-01")


@pytest.mark.parametrize("key", [*_points_of_small_order(), (2**255 - 19).to_bytes(32, "little")], ids=bytes.hex)
def test_a_key_under_which_anybody_can_sign_is_refused(key: bytes) -> None:
    with pytest.raises(ValidationError, match="anybody can sign"):
        under(key)


def test_a_key_that_is_written_in_another_form_is_not_taken_for_one_of_those() -> None:
    assert under((2**255 - 1).to_bytes(32, "little")).fault_on(date(2026, 1, 1)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"public": "MCow"}, {"public": "not base64"}, {"public": ""}, {"name": ""}, {"name": " Li"}, {"name": "a\x1b[0m"},
        {"name": "x" * 101}, {"roles": ()}, {"roles": ("steward", "steward")}, {"roles": ("boss",)}, {"scheme": "SM2!"},
        {"until": "2025-12-31"}, {"retired": "2025-12-31"}, {"since": "2026-02-30"}, {"until": "soon"}, {"note": "x"},
    ],
)  # fmt: skip
def test_a_signer_of_another_form_is_refused(change: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrustedSigner(**{**trusted("Li", LI).model_dump(), **change})


def test_two_signers_cannot_share_a_key() -> None:
    with pytest.raises(ValidationError, match="the key of signer 1 too"):
        trust_of(trusted("Li", LI), trusted("Wang", LI))


# --- Key files -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key file that nobody may change; making one takes a fifth of a second, by intention."""
    file = tmp_path_factory.mktemp("keys") / "li.pem"
    new_key(file, PASSPHRASE)
    return file


def copied(file: Path, to: Path, mode: int = 0o600) -> Path:
    to.write_bytes(file.read_bytes())
    to.chmod(mode)
    return to


def test_a_new_key_signs_when_it_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "li.pem"
    before = os.umask(0)
    try:
        made = new_key(file, PASSPHRASE)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == 0o600
    read = load_key(file, PASSPHRASE)
    assert (read.keyid, read.public) == (made.keyid, made.public)
    trust = trust_of(trusted("Li", made))
    assert faults(sign(statement_of(), [read]), trust) == [None]
    private = made._key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    told = repr(made) + str(made)
    assert private.hex() not in told
    assert "Private" not in told


def test_the_file_is_one_that_openssl_reads(key_file: Path) -> None:
    call = ["openssl", "pkey", "-in", str(key_file), "-passin", "stdin", "-pubout", "-outform", "DER"]
    try:
        done = subprocess.run(call, input=PASSPHRASE.encode() + b"\n", capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no openssl here")
    assert done.stdout == load_key(key_file, PASSPHRASE).public
    text = subprocess.run(["openssl", "asn1parse", "-in", str(key_file)], capture_output=True, text=True, check=True).stdout
    assert [word in text for word in ("PBES2", "PBKDF2", "hmacWithSHA256", "aes-256-cbc", "0927C0")] == [True] * 5


def test_a_composed_accent_is_the_same_passphrase(tmp_path: Path) -> None:
    made = new_key(tmp_path / "k", "passphrase é 通行短语")
    assert load_key(tmp_path / "k", "passphrase e\u0301 通行短语").keyid == made.keyid


def test_a_wrong_passphrase_is_refused_without_being_repeated(key_file: Path) -> None:
    wrong = "Tr0ub4dor-and-three"
    with pytest.raises(VaultError) as caught:
        load_key(key_file, wrong)
    shown = str(caught.value)
    assert caught.value.exit_code == 11
    assert "the passphrase is not the key's" in shown
    lines = key_file.read_text().splitlines()
    assert not [word for word in (wrong, PASSPHRASE, *lines) if word in shown]
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o601, 0o620])
def test_a_key_file_that_is_open_to_others_is_refused(key_file: Path, tmp_path: Path, mode: int) -> None:
    with pytest.raises(VaultError, match="can be read by other users"):
        load_key(copied(key_file, tmp_path / "k", mode), PASSPHRASE)
    passphrase = tmp_path / "p"
    passphrase.write_text(PASSPHRASE)
    passphrase.chmod(mode)
    with pytest.raises(VaultError, match="can be read by other users"):
        read_passphrase(passphrase)


_LOAD_AS_NOBODY = """
import os, sys
from pathlib import Path
from pathcurate.errors import VaultError
from pathcurate.signing import load_key, new_key
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for name in sys.argv[1:]:
    try:
        print(name, load_key(Path(name), "correct horse battery staple").keyid)
    except VaultError as error:
        print(name, error.message)
"""


def test_an_ordinary_user_meets_the_same_refusals(key_file: Path) -> None:
    # Not below pytest's directory, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        for file, mode in (("own", 0o600), ("open", 0o644), ("closed", 0o000)):
            copied(key_file, root / file, mode)
            if os.getuid() == 0 and file != "closed":
                os.chown(root / file, 65534, 65534)
        call = [sys.executable, "-c", _LOAD_AS_NOBODY, "own", "open", "closed"]
        done = subprocess.run(call, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"own {load_key(key_file, PASSPHRASE).keyid}", "open the key file can be read by other users",
        "closed the key file cannot be read: Permission denied",
    ]  # fmt: skip


def test_what_is_no_encrypted_ed25519_key_is_refused(key_file: Path, tmp_path: Path) -> None:
    plain = LI._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE.encode())
    )
    for content, message in (
        (plain, "no encrypted PKCS#8 key"),
        (other, "not an Ed25519 key"),
        (b"", "no encrypted PKCS#8 key"),
        (b"\0" * 30_000, "larger than any"),
        (key_file.read_bytes()[:-70], "passphrase is not the key's, or the key file is damaged"),
        (key_file.read_bytes().replace(b"PRIVATE KEY-----\nM", b"PRIVATE KEY-----\nN"), "key file is damaged"),
    ):
        file = tmp_path / "key"
        file.unlink(missing_ok=True)
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(VaultError, match=message):
            load_key(file, PASSPHRASE)
    (tmp_path / "link").symlink_to(key_file)
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("link", "fifo", "nowhere", "."):
        with pytest.raises(VaultError, match="cannot be read"):
            load_key(tmp_path / name, PASSPHRASE)


def test_a_key_of_the_library_itself_is_read(tmp_path: Path) -> None:
    content = LI._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"short"))
    (tmp_path / "key").write_bytes(content)
    (tmp_path / "key").chmod(0o600)
    assert load_key(tmp_path / "key", "short").keyid == LI.keyid


def test_a_key_is_never_overwritten_and_a_failed_one_leaves_nothing(
    key_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = key_file.read_bytes()
    with pytest.raises(UsageError, match="already"):
        new_key(key_file, PASSPHRASE)
    assert key_file.read_bytes() == before
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="already"):
        new_key(tmp_path / "link", PASSPHRASE)
    with pytest.raises(UsageError, match="cannot be made"):
        new_key(tmp_path / "no" / "folder", PASSPHRASE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        new_key(tmp_path / "key", PASSPHRASE)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("passphrase", ["", "short", "elevenchars", "x" * 1001, "\ud800" * 20])
def test_a_weak_passphrase_makes_no_key(tmp_path: Path, passphrase: str) -> None:
    with pytest.raises(VaultError) as caught:
        new_key(tmp_path / "key", passphrase)
    assert not (tmp_path / "key").exists()
    assert not passphrase or passphrase not in str(caught.value)


def test_a_passphrase_file_holds_one_line(tmp_path: Path) -> None:
    assert passphrase_of(b"two words \r\n") == "two words "
    assert passphrase_of("通行短语".encode()) == "通行短语"
    for content in (b"", b"\n", b"a\nb\n", b"\xff\xfe", b"tab\there"):
        with pytest.raises(PathcurateError) as caught:
            passphrase_of(content)
        assert caught.value.exit_code == 11
    with pytest.raises(VaultError, match="cannot be read"):
        read_passphrase(tmp_path / "nowhere")
