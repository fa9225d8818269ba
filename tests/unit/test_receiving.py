"""A delivery at its recipient's: forged, cut off, swapped, hostile, or just right."""

import hashlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pathcurate.delivering.checkscripts import beside
from pathcurate.delivering.targets import DirectoryTarget
from pathcurate.delivering.volumes import plan, write_volume
from pathcurate.digests import sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, PathcurateError, UsageError, VaultError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.attestation import DELIVERY, DELIVERY_RECEIPT, Envelope, Statement, Subject
from pathcurate.model.delivery import CONTENTS_LIST, DELIVERY_FILE, DELIVERY_SIGNED, VOLUME_LIST, VolumeEntry
from pathcurate.model.trust import ED25519, LANGUAGE, Trust, TrustedSigner
from pathcurate.receiving import archive, unpacking
from pathcurate.receiving.unpacking import Received, receive, verify_received
from pathcurate.signing import Ed25519Signer, sign, verify
from tests.agreements import HEX, agreement_document
from tests.commandline import pathcurate
from tests.unit.test_volumes import IDENTITY, KEY, members_in

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CONTRACT = "small-lab-00000000"
STEWARD, LAB, OTHER = (Ed25519Signer(Ed25519PrivateKey.generate()) for _ in range(3))
HOLDER = TrustedSigner(
    name="Li Hua", roles=("steward",), scheme=ED25519, public=b64encode(STEWARD.public).decode(), since=date(2025, 1, 1)
)
POLICY = b"{}\n"
AGREEMENT = json_text(
    agreement_document(
        CONTRACT, "lab", "", 30, HOLDER, policy_sha256=sha256_text(POLICY),
        keys={"signing": b64encode(LAB.public).decode(), "encryption": KEY},
    )
).encode()  # fmt: skip
CONTENT = {"data/slides.parquet": b"PAR1" * 50, **{f"slides/S-{one}.svs": bytes([one]) * 40_000 for one in range(1, 5)}}


def deliver(
    directory: Path, volumes: tuple[VolumeEntry, ...], listed: bytes, *, signer: Ed25519Signer = STEWARD, **parts: Any
) -> None:
    """Write what lies beside volumes."""
    table = {"path": "data/slides.parquet", "rows": 1, "key": [], "table_digest": f"sha256:{HEX}",
             "sha256": sha256_text(CONTENT["data/slides.parquet"])}  # fmt: skip
    document = {
        "schema": "https://pathcurate.example/schema/delivery/1", "delivery": f"{CONTRACT}-d1", "contract": CONTRACT,
        "number": "HT-1", "recipient": "lab", "product": "small", "version": "1.0.0", "derived_from": f"sha256:{HEX}",
        "agreement": sha256_text(AGREEMENT), "at": "2026-01-01T00:00:00+00:00", "encryption": "age-encryption.org/v1 X25519",
        "tables": {"slides": table}, "counts": {}, "left_out": {}, "contents_sha256": sha256_text(listed), "withdrawals": 0,
        "volumes": [one.model_dump() for one in volumes], **parts,
    }  # fmt: skip
    content = json_text(document).encode()
    subject = Subject(DELIVERY_FILE, hashlib.sha256(content).hexdigest())
    signed = sign(Statement((subject,), DELIVERY, {"at": NOW.isoformat()}), [signer]).as_bytes()
    documents = {DELIVERY_FILE: content, DELIVERY_SIGNED: signed, "agreement.json": AGREEMENT, "policy.odrl.jsonld": POLICY}
    for name, one in beside(documents, volumes).items():
        (directory / name).write_bytes(one)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivery in two volumes."""
    directory = tmp_path_factory.mktemp("disk") / "disk"
    directory.mkdir()
    members = members_in(directory.parent / "files", CONTENT)
    planned = plan(members, size=100_000, is_encrypted=True)
    volumes = tuple(write_volume(volume, directory / volume.name, KEY) for volume in planned)
    assert len(volumes) == 2
    deliver(directory, volumes, members[CONTENTS_LIST].read_bytes())
    return directory


@pytest.fixture
def sent(disk: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(disk, tmp_path / "sent"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    return tmp_path / "lab" / "thorax"


def come(sent: Path, out: Path, **parts: Any) -> Received:
    given = {"identity": IDENTITY, "signer": LAB, "agreement": AGREEMENT, "now": NOW, **parts}
    return receive(DirectoryTarget(sent), out, given.pop("identity"), given.pop("signer"), given.pop("agreement"), **given)


def check_whole(out: Path) -> None:
    """All is there, the real ``sha256sum`` says so, and nothing else lies beside it."""
    check = ["sha256sum", "--strict", "-c", CONTENTS_LIST]
    done = subprocess.run(check, cwd=out, capture_output=True, text=True, check=True)
    assert done.stdout.count(": OK\n") == len(CONTENT)
    assert {path: (out / path).read_bytes() for path in CONTENT} == CONTENT
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    verify_received(out, AGREEMENT)


def refused(sent: Path, out: Path, error: type[PathcurateError], match: str, **parts: Any) -> PathcurateError:
    with pytest.raises(error, match=match) as found:
        come(sent, out, **parts)
    assert not out.exists()
    return found.value


def test_a_delivery_is_unpacked_and_its_receipt_is_signed(sent: Path, out: Path) -> None:
    told: list[tuple[int, int]] = []
    found = come(sent, out, progress=lambda done, total: told.append((done, total)))
    check_whole(out)
    assert (found.files, found.is_new, found.is_by_own_agreement) == (len(CONTENT), True, True)
    assert told[-1][0] == told[-1][1] == sum(one.bytes for one in found.document.volumes)
    envelope = Envelope.parse((out / "receipt.json").read_bytes())
    statement = envelope.statement()
    assert statement.predicate_type == DELIVERY_RECEIPT
    assert statement.subjects == (Subject(CONTENTS_LIST, hashlib.sha256((out / CONTENTS_LIST).read_bytes()).hexdigest()),)
    assert statement.predicate["document"] == sha256_text((sent / DELIVERY_FILE).read_bytes())
    assert statement.predicate["delivery"] == f"{CONTRACT}-d1"
    lab = TrustedSigner(
        name="lab", roles=("recipient",), scheme=ED25519, public=b64encode(LAB.public).decode(), since=date(2025, 1, 1)
    )
    assert [one.fault for one in verify(envelope, Trust(trust=LANGUAGE, signers=(lab,)))] == [None]


def test_again_changes_nothing_and_signs_what_was_not_signed(sent: Path, out: Path) -> None:
    assert come(sent, out, signer=None).receipt is None
    found = come(sent, out)
    assert (found.is_new, found.receipt) == (False, out / "receipt.json")
    before = (out / "receipt.json").read_bytes()
    assert come(sent, out, now=datetime(2027, 1, 1, tzinfo=UTC)).receipt == out / "receipt.json"
    assert (out / "receipt.json").read_bytes() == before
    check_whole(out)
    (out / "slides/S-1.svs").write_bytes(b"x")
    with pytest.raises(DigestMismatchError, match=r"S-1\.svs.*changed"):
        come(sent, out)


def test_without_an_agreement_of_ones_own_it_is_said(sent: Path, out: Path) -> None:
    assert not come(sent, out, agreement=None).is_by_own_agreement


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_something_else_in_the_place_is_left_alone(what: str, sent: Path, out: Path, tmp_path: Path) -> None:
    out.mkdir() if what == "folder" else out.write_bytes(b"") if what == "file" else out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="something else"):
        come(sent, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


# --- Keys and signatures -----------------------------------------------------------------------------------------


def test_another_identity_is_told_at_once(sent: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = pyrage.x25519.Identity.generate()
    refused(sent, out, VaultError, "another key than this identity", identity=other)
    refused(sent, out, UsageError, "is encrypted", identity=None)
    monkeypatch.setattr(unpacking, "_demand_keys", lambda *_: None)
    refused(sent, out, VaultError, "cannot be opened with this identity", identity=other)


def test_a_receipt_under_another_key_is_not_signed(sent: Path, out: Path) -> None:
    refused(sent, out, VaultError, "no receipt of it would count", signer=OTHER)


def _forge(sent: Path, **parts: Any) -> None:
    volumes = tuple(
        VolumeEntry(name=path.name, bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), files=3)
        for path in sorted(sent.glob("volume-*.age"))
    )  # fmt: skip
    deliver(sent, volumes, b"x", **parts)


def test_a_delivery_that_somebody_else_has_signed_is_refused(sent: Path, out: Path) -> None:
    _forge(sent, signer=OTHER)
    refused(sent, out, DigestMismatchError, "nobody whose signature counts")
    refused(sent, out, DigestMismatchError, "nobody whose signature counts", agreement=None)


def test_a_forged_agreement_beside_is_not_believed_against_ones_own(sent: Path, out: Path) -> None:
    forged = AGREEMENT.replace(b64encode(STEWARD.public), b64encode(OTHER.public))
    assert forged != AGREEMENT
    (sent / "agreement.json").write_bytes(forged)
    _forge(sent, signer=OTHER, agreement=sha256_text(forged))
    refused(sent, out, DigestMismatchError, "another agreement")


@pytest.mark.parametrize("name", [DELIVERY_FILE, DELIVERY_SIGNED, "agreement.json", "policy.odrl.jsonld"])
def test_a_changed_document_is_refused(name: str, sent: Path, out: Path) -> None:
    content = (sent / name).read_bytes()
    (sent / name).write_bytes(content + b" ")
    refused(sent, out, DigestMismatchError, f"{name} is not what")
    listed = (sent / VOLUME_LIST).read_bytes()
    changed = listed.replace(sha256_text(content)[7:].encode(), sha256_text(content + b" ")[7:].encode())
    (sent / VOLUME_LIST).write_bytes(changed)
    if name != DELIVERY_SIGNED:  # a space after the envelope is no part of what is signed
        refused(sent, out, DigestMismatchError, r"is of another DELIVERY\.json|is not what was agreed")
    (sent / name).unlink()
    refused(sent, out, InputOutputError, f"{name} is missing")


# --- Volumes that were damaged -----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [10, 400, 50_000, -1])
@pytest.mark.parametrize("number", [1, 2])
def test_a_flipped_bit_is_found_and_a_good_copy_goes_on(at: int, number: int, sent: Path, out: Path, disk: Path) -> None:
    name = f"volume-000{number}.tar.age"
    content = bytearray((sent / name).read_bytes())
    content[at] ^= 1
    (sent / name).write_bytes(content)
    refused(sent, out, DigestMismatchError, f"{name} is not the volume that was sent")
    shutil.copy(disk / name, sent / name)
    come(sent, out)
    check_whole(out)


def test_a_volume_that_is_cut_off_missing_or_swapped_is_found(sent: Path, out: Path) -> None:
    first, second = sent / "volume-0001.tar.age", sent / "volume-0002.tar.age"
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    refused(sent, out, DigestMismatchError, r"volume-0001\.tar\.age has")
    first.unlink()
    refused(sent, out, InputOutputError, "1 of 2 volumes are missing")
    first.symlink_to(second)
    refused(sent, out, DigestMismatchError, "has -1 bytes")
    first.unlink()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    refused(sent, out, DigestMismatchError, r"volume-0001\.tar\.age has")


def test_a_kill_while_it_is_unpacked_is_gone_on_from(sent: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(count: int) -> None:
        original, calls = archive.Unpacker._ended, []

        def ended(self: Any) -> None:
            original(self)
            calls.append(self)
            if len(calls) == count:
                os.kill(os.getpid(), signal.SIGKILL)

        archive.Unpacker._ended = ended  # type: ignore[method-assign]
        come(sent, out)

    for count in (2, 5):
        process = multiprocessing.get_context("fork").Process(target=killed, args=(count,))
        process.start()
        process.join(30)
        assert process.exitcode == -signal.SIGKILL
        assert not out.exists()
    opened: list[str] = []
    original = unpacking._open
    monkeypatch.setattr(
        unpacking, "_open", lambda source, volume, *given: opened.append(volume.name) or original(source, volume, *given)
    )
    come(sent, out)
    check_whole(out)
    assert opened == ["volume-0002.tar.age"]


def test_a_full_disk_is_told_and_the_same_call_goes_on(sent: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "full")

    with monkeypatch.context() as patch:
        patch.setattr(archive.os, "fsync", full)
        refused(sent, out, InputOutputError, "is full")
    come(sent, out)
    check_whole(out)


# --- Hostile archives --------------------------------------------------------------------------------------------


def _tar(*members: tuple[str, bytes, dict[str, Any]], fmt: int = tarfile.USTAR_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=fmt) as tar:
        for name, data, parts in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in parts.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _unpack(data: bytes, directory: Path, listed: bytes, *, step: int = 1000, most: int = 1 << 20) -> archive.Unpacker:
    directory.mkdir()
    unpacker = archive.Unpacker(directory, sha256_text(listed), most, None, set())
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(archive, "_AT_ONCE", 1)
            for at in range(0, len(data), step):
                unpacker.write(data[at : at + step])
            unpacker.end()
    finally:
        unpacker.close()
    return unpacker


def _list(*paths: str, data: bytes = b"x") -> tuple[str, bytes, dict[str, Any]]:
    lines = "".join(f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path in paths)
    return CONTENTS_LIST, lines.encode(), {}


_HOSTILE: dict[str, Callable[[], tuple[bytes, bytes]]] = {
    "above": lambda: (_tar(_list("a"), ("../a", b"x", {})), _list("a")[1]),
    "absolute": lambda: (_tar(_list("a"), ("/tmp/a", b"x", {})), _list("a")[1]),  # noqa: S108
    "listed above": lambda: (_tar(_list("../a"), ("../a", b"x", {})), _list("../a")[1]),
    "listed absolute": lambda: (_tar(_list("/a"), ("/a", b"x", {})), _list("/a")[1]),
    "own document": lambda: (_tar(_list("agreement.json"), ("agreement.json", b"x", {})), _list("agreement.json")[1]),
    "upper case": lambda: (_tar(_list("a", "A"), ("a", b"x", {}), ("A", b"x", {})), _list("a", "A")[1]),
    "folder and file": lambda: (_tar(_list("a", "a/b"), ("a", b"x", {}), ("a/b", b"x", {})), _list("a", "a/b")[1]),
    "twice": lambda: (_tar(_list("a"), ("a", b"x", {}), ("a", b"x", {})), _list("a")[1]),
    "list twice": lambda: (_tar(_list("a"), _list("a"), ("a", b"x", {})), _list("a")[1]),
    "not listed": lambda: (_tar(_list("a"), ("b", b"x", {})), _list("a")[1]),
    "other bytes": lambda: (_tar(_list("a"), ("a", b"y", {})), _list("a")[1]),
    "other list": lambda: (_tar(_list("a"), ("a", b"x", {})), _list("b")[1]),
    "list not first": lambda: (_tar(("a", b"x", {}), _list("a")), _list("a")[1]),
    "cut off": lambda: (_tar(_list("a"), ("a", b"x", {}))[:1500], _list("a")[1]),
    "no end": lambda: (_tar(_list("a"), ("a", b"x", {}))[:2048], _list("a")[1]),
    "more after its end": lambda: (_tar(_list("a"), ("a", b"x", {})) + b"x" * 512, _list("a")[1]),
    "bad checksum": lambda: (_tar(_list("a")).replace(b"0000644", b"0000755", 1), _list("a")[1]),
    **{
        f"type {kind}": lambda kind=kind: (
            _tar(_list("a"), ("a", b"", {"type": kind.encode(), "linkname": "/etc/passwd"})), _list("a")[1],
        )
        for kind in "1234567SLKVgx"
    },
}  # fmt: skip


@pytest.mark.parametrize("name", _HOSTILE)
@pytest.mark.parametrize("step", [1, 700, 1 << 20])
def test_a_hostile_archive_is_refused_and_writes_nothing_outside(name: str, step: int, tmp_path: Path) -> None:
    data, listed = _HOSTILE[name]()
    (tmp_path / "deep").mkdir()
    with pytest.raises((DigestMismatchError, InputOutputError)):
        _unpack(data, tmp_path / "deep" / "in", listed, step=step)
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"in"}
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_a_size_that_is_not_there_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a")
    info.size = 1 << 60
    data = _tar(_list("a"))[:1024] + info.tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(DigestMismatchError, match="larger than the volume"):
        _unpack(data, tmp_path / "in", _list("a")[1])
    info.size = 1
    pax = tarfile.TarInfo("a")
    pax.pax_headers = {"size": str(1 << 58)}
    data = _tar(_list("a"))[:1024] + pax.tobuf(tarfile.PAX_FORMAT)
    with pytest.raises(DigestMismatchError, match="larger than the volume"):
        _unpack(data, tmp_path / "in2", _list("a")[1])
    with pytest.raises(DigestMismatchError, match="longer than its volume"):
        _unpack(_tar(_list("a"), ("a", b"x", {})), tmp_path / "in3", _list("a")[1], most=2000)


@pytest.mark.parametrize("headers", [
    {"path": "../a"}, {"comment": "x"}, {"linkpath": "/etc/passwd"}, {"GNU.sparse.major": "1"}, {"size": "-1"},
    {"path": "片"},
])  # fmt: skip
def test_an_extended_header_says_nothing_but_path_and_size(headers: dict[str, str], tmp_path: Path) -> None:
    data = _tar(_list("a"), ("a", b"x", {"pax_headers": headers}), fmt=tarfile.PAX_FORMAT)
    with pytest.raises(DigestMismatchError):
        _unpack(data, tmp_path / "in", _list("a")[1])
    assert not (tmp_path / "a").exists()


def test_long_paths_and_pieces_of_any_size_are_unpacked(tmp_path: Path) -> None:
    path = "slides/" + "x" * 120 + "/" + "y" * 100
    data = _tar(_list(path), (path, b"x", {}), fmt=tarfile.PAX_FORMAT)
    for step in (1, 511, 513, 1 << 20):
        assert _unpack(data, tmp_path / str(step), _list(path)[1], step=step).files == [CONTENTS_LIST, path]
        assert (tmp_path / str(step) / path).read_bytes() == b"x"


# --- The command -------------------------------------------------------------------------------------------------


def test_the_command_receives_and_says_what_it_was_checked_with(sent: Path, out: Path, tmp_path: Path) -> None:
    identity = tmp_path / "identity"
    identity.write_text(f"{IDENTITY}\n")
    identity.chmod(0o600)
    (tmp_path / "own.json").write_bytes(AGREEMENT)
    done = pathcurate("product", "receive", sent, "--to", out, "--identity", identity)
    assert done.returncode == 0, done.stderr
    assert "not who has sent it" in done.stdout
    assert "no receipt was signed" in done.stdout
    check_whole(out)
    done = pathcurate(
        "product", "receive", sent, "--to", out, "--identity", identity, "--agreement", tmp_path / "own.json", "--json"
    )
    found = json.loads(done.stdout)
    assert (found["is_new"], found["is_by_own_agreement"], found["receipt"]) == (False, True, None)
    identity.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    assert pathcurate("product", "receive", sent, "--to", tmp_path / "new", "--identity", identity).returncode == 11
    assert (
        pathcurate("product", "receive", tmp_path / "no", "--to", tmp_path / "new", "--identity", identity).returncode == 3
    )
    assert not (tmp_path / "new").exists()
