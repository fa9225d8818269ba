"""A recipient deletes what was withdrawn from a copy: rows, files, lists, and what is signed of it."""

import contextlib
import json
import shutil
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pathcurate.checksums import parse_checksums
from pathcurate.digests import file_sha256, sha256_text, table_identity
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.metadata.jsontext import json_text
from pathcurate.model.attestation import DELETION, DELIVERY, Envelope, Statement, Subject
from pathcurate.model.delivery import CONTENTS_LIST, DELIVERY_FILE, DELIVERY_SIGNED
from pathcurate.model.feed import FEED_FILE, Reason, Scope
from pathcurate.model.trust import ED25519, LANGUAGE, Trust, TrustedSigner
from pathcurate.receiving import purging
from pathcurate.receiving.purging import purge
from pathcurate.receiving.withdrawn import DELIVERED_LIST, PURGED_FILE, read_copy, verify_withdrawals
from pathcurate.signing import Ed25519Signer, sign, verify
from pathcurate.tables import read_parquet, write_parquet
from pathcurate.withdrawals.feed import append_line, read_feed, sign_head
from tests.agreements import HEX, agreement_document

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
CONTRACT = "small-lab-00000000"
STEWARD, LAB = (Ed25519Signer(Ed25519PrivateKey.generate()) for _ in range(2))
HOLDER = TrustedSigner(
    name="Li Hua", roles=("steward",), scheme=ED25519, public=b64encode(STEWARD.public).decode(), since=date(2025, 1, 1)
)


def code(number: int, letter: str = "S") -> str:
    return f"{letter}-{number:016}"


def _write(directory: Path, name: str, content: bytes) -> None:
    (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(content)


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of six slides of three patients, and a list of the slide files."""
    directory = tmp_path_factory.mktemp("received") / "copy"
    slides = pa.table(
        {"slide_id": [code(one) for one in range(6)], "patient_id": [code(one // 2, "P") for one in range(6)],
         "code": ["S-0000000000000000"] * 6}
    )  # fmt: skip
    patients = pa.table({"patient_id": pa.array([code(one, "P") for one in range(3)]), "sex": ["f"] * 3})
    files = pa.table({"code": [code(one) for one in range(6)], "standing": ["made"] * 6})
    (directory / "data").mkdir(parents=True)
    tables = {}
    for name, table, key in (("slides", slides, "slide_id"), ("patients", patients, "patient_id")):
        path = f"data/{name}.parquet"
        write_parquet(directory / path, table)
        tables[name] = {"path": path, "rows": table.num_rows, "key": [key], "table_digest": table_identity(table)["digest"],
                        "sha256": file_sha256(directory / path)}  # fmt: skip
    write_parquet(directory / "deid-files.parquet", files)
    for one in range(6):
        _write(directory, f"slides/{code(one)}.svs", b"slide %d" % one)
    _write(directory, f"slides/{code(2)}.mrxs/Data0000.dat", b"part")
    for one in (2, 4):
        _write(directory, f"dicom/S/{code(one)[2:10]}/{code(one)[10:]}/0001", b"instance")
    _write(directory, "dicom/DICOMDIR", b"names every instance")
    _write(directory, "metadata/croissant.json", b"{}")
    listed = sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())
    lines = "".join(f"{sha256((directory / path).read_bytes()).hexdigest()}  {path}\n" for path in listed)
    _write(directory, CONTENTS_LIST, lines.encode())
    agreement = json_text(agreement_document(CONTRACT, "lab", b64encode(LAB.public).decode(), 30, HOLDER)).encode()
    _write(directory, "agreement.json", agreement)
    document = {
        "schema": "https://pathcurate.example/schema/delivery/1", "delivery": f"{CONTRACT}-d1", "contract": CONTRACT,
        "number": "HT-1", "recipient": "lab", "product": "small", "version": "1.0.0", "derived_from": f"sha256:{HEX}",
        "agreement": sha256_text(agreement), "at": "2026-01-01T00:00:00+00:00", "encryption": None, "tables": tables,
        "counts": {}, "left_out": {}, "contents_sha256": sha256_text(lines.encode()), "withdrawals": 0,
        "volumes": [{"name": "volume-0001.tar", "bytes": 1, "sha256": HEX, "files": 1}],
    }  # fmt: skip
    sign_document(directory, document)
    return directory


def sign_document(directory: Path, document: dict[str, Any], signer: Ed25519Signer = STEWARD) -> None:
    content = json_text(document).encode()
    _write(directory, DELIVERY_FILE, content)
    subject = Subject(DELIVERY_FILE, sha256(content).hexdigest())
    statement = Statement((subject,), DELIVERY, {"at": NOW.isoformat()})
    _write(directory, DELIVERY_SIGNED, sign(statement, [signer]).as_bytes())


@pytest.fixture
def copy(received: Path, tmp_path: Path) -> Path:
    shutil.copytree(received, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def feed(tmp_path: Path) -> Path:
    """Patient 1 with both slides has withdrawn."""
    file = tmp_path / "feed" / FEED_FILE
    file.parent.mkdir()
    withdraw(file, patient_id=[code(1, "P")], slide_id=[code(2), code(3)])
    return file


def withdraw(file: Path, signer: Ed25519Signer = STEWARD, **codes: list[str]) -> None:
    added = append_line(file, read_feed(file), at=NOW.isoformat(), scope=Scope.PATIENT, reason=Reason.CONSENT, codes=codes,
                        affects=["small@1.0.0"])  # fmt: skip
    sign_head(file, added, {"product": "small", "contract": CONTRACT, "at": NOW.isoformat(), "registry": {}}, signer)


def tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_stale_copy_is_refused_until_it_is_purged(copy: Path, feed: Path) -> None:
    with pytest.raises(DigestMismatchError, match=r"(?s)stale copy.*slides\.parquet: 2 rows") as caught:
        verify_withdrawals(copy, feed)
    assert f"slides/{code(2)}.svs" in str(caught.value)
    before = tree(copy)
    done = purge(copy, feed, LAB, now=NOW)
    assert (done.rows, done.files, done.is_new) == ({"slides": 2, "patients": 1}, 5, True)
    after = tree(copy)
    gone = {f"slides/{code(2)}.svs", f"slides/{code(3)}.svs", f"slides/{code(2)}.mrxs/Data0000.dat",
            f"dicom/S/{code(2)[2:10]}/{code(2)[10:]}/0001", "dicom/DICOMDIR"}  # fmt: skip
    assert before.keys() - after.keys() == gone
    assert len(list((copy / "dicom").rglob("*"))) == 4  # of the other one
    assert read_parquet(copy / "data/slides.parquet")["slide_id"].to_pylist() == [code(one) for one in (0, 1, 4, 5)]
    assert read_parquet(copy / "deid-files.parquet").num_rows == 4
    assert read_parquet(copy / "data/patients.parquet").num_rows == 2
    assert after[DELIVERED_LIST] == before[CONTENTS_LIST]
    for path, digest in parse_checksums(after[CONTENTS_LIST]).items():
        assert file_sha256(copy / path) == digest
    assert not any(code(2).encode() in content for name, content in after.items() if name.endswith(("list", ".json")))
    assert verify_withdrawals(copy, feed.parent).seq == 1


def test_the_statement_says_what_was_deleted_and_is_the_recipients(copy: Path, feed: Path) -> None:
    done = purge(copy, feed, LAB, now=NOW)
    assert done.statement.name == "deletion.1.json"
    envelope = Envelope.parse(done.statement.read_bytes())
    said = envelope.statement()
    recipient = HOLDER.model_copy(update={"name": "lab", "public": b64encode(LAB.public).decode(), "roles": ("recipient",)})
    assert [one.fault for one in verify(envelope, Trust(trust=LANGUAGE, signers=(recipient,)))] == [None]
    assert said.predicate_type == DELETION
    assert f"sha256:{said.subjects[0].sha256}" == read_copy(copy).document.contents_sha256
    expected = {"delivery": f"{CONTRACT}-d1", "contract": CONTRACT, "whole": False, "rows": {"slides": 2, "patients": 1},
                "files": 5, "feed": {"seq": 1, "head": read_feed(feed).head}}  # fmt: skip
    assert {name: said.predicate[name] for name in expected} == expected


def test_again_changes_nothing_and_a_longer_feed_goes_on(copy: Path, feed: Path) -> None:
    purge(copy, feed, LAB, now=NOW)
    before = tree(copy)
    assert not purge(copy, feed, LAB, now=NOW).is_new
    assert tree(copy) == before
    withdraw(feed, slide_id=[code(5)])
    with pytest.raises(DigestMismatchError, match="stale copy"):
        verify_withdrawals(copy, feed)
    done = purge(copy, feed, LAB, now=NOW)
    assert (done.rows, done.files, done.statement.name) == ({"slides": 3, "patients": 1}, 6, "deletion.2.json")
    assert tree(copy)[DELIVERED_LIST] == before[DELIVERED_LIST]


def test_an_older_feed_a_forged_one_and_another_one_are_refused_and_nothing_is_deleted(
    copy: Path, feed: Path, tmp_path: Path
) -> None:
    shutil.copytree(feed.parent, tmp_path / "old")
    withdraw(feed, slide_id=[code(5)])
    purge(copy, feed, LAB, now=NOW)
    before = tree(copy)
    other = tmp_path / "other" / FEED_FILE
    other.parent.mkdir()
    for _ in range(3):
        withdraw(other, slide_id=[code(0)])
    forged = tmp_path / "forged" / FEED_FILE
    shutil.copytree(feed.parent, forged.parent)
    withdraw(forged, signer=LAB, slide_id=[code(0)])
    cut = tmp_path / "cut" / FEED_FILE
    shutil.copytree(feed.parent, cut.parent)
    cut.write_bytes(cut.read_bytes().splitlines(keepends=True)[0])
    for bad in (tmp_path / "old" / FEED_FILE, other, forged, cut):
        for act in (lambda path: purge(copy, path, LAB, now=NOW), lambda path: verify_withdrawals(copy, path)):
            with pytest.raises(DigestMismatchError):
                act(bad)
    assert tree(copy) == before


def test_a_delivery_that_honours_a_later_line_refuses_a_feed_that_ends_before(copy: Path, feed: Path) -> None:
    document = json.loads((copy / DELIVERY_FILE).read_bytes())
    sign_document(copy, {**document, "withdrawals": 2})
    with pytest.raises(DigestMismatchError, match="an old one"):
        verify_withdrawals(copy, feed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda copy: (copy / CONTENTS_LIST).write_bytes(b""),
        lambda copy: (copy / "agreement.json").write_bytes((copy / "agreement.json").read_bytes() + b" "),
        lambda copy: (copy / DELIVERY_FILE).write_bytes((copy / DELIVERY_FILE).read_bytes() + b" "),
        lambda copy: sign_document(copy, json.loads((copy / DELIVERY_FILE).read_bytes()), LAB),
        lambda copy: (copy / DELIVERED_LIST).write_bytes(b""),
        lambda copy: (copy / PURGED_FILE).write_bytes(b"[]"),
        lambda copy: (copy / PURGED_FILE).write_bytes(b'{"seq": 1, "head": null, "whole": true, "contents": "x"}'),
        lambda copy: (copy / "data/slides.parquet").write_bytes((copy / "data/patients.parquet").read_bytes()),
    ],
)
def test_a_copy_that_was_changed_is_not_purged(damage: Callable[[Path], object], copy: Path, feed: Path) -> None:
    damage(copy)
    before = tree(copy)
    with pytest.raises(DigestMismatchError):
        purge(copy, feed, LAB, now=NOW)
    assert {name: content for name, content in tree(copy).items() if not name.startswith(".purging")} == before


def test_a_folder_that_leads_elsewhere_is_not_followed(copy: Path, feed: Path, tmp_path: Path) -> None:
    shutil.move(copy / "slides", tmp_path / "elsewhere")
    (copy / "slides").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputOutputError, match="leads out of the copy"):
        purge(copy, feed, LAB, now=NOW)
    assert len(list((tmp_path / "elsewhere").glob("*.svs"))) == 6


KILLS = [("_delete", 0), ("_delete", 2), ("_move", 0), ("_move", 2), ("_move", 3), ("_move", 4), ("_move", 5), ("_say", 0),
         ("_attest", 0), ("sync_tree", 0)]  # fmt: skip


@pytest.mark.parametrize(("step", "times"), KILLS)
@pytest.mark.parametrize("whole", [False, True])
def test_a_purge_that_was_killed_is_finished_by_the_next(
    step: str, times: int, whole: bool, copy: Path, feed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, real = 0, getattr(purging, step)

    def killed(*args: Any, **parts: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > times:
            raise KeyboardInterrupt
        return real(*args, **parts)

    monkeypatch.setattr(purging, step, killed)
    with contextlib.suppress(KeyboardInterrupt):
        purge(copy, feed, LAB, now=NOW, whole=whole)
        assert (step, whole) == ("_move", True)  # it has fewer files to replace
    monkeypatch.undo()
    done = purge(copy, feed, LAB, now=NOW, whole=whole)
    assert done.files == (14 if whole else 5)
    assert done.rows == ({"slides": 6, "patients": 3} if whole else {"slides": 2, "patients": 1})
    assert not (copy / ".purging").exists()
    assert verify_withdrawals(copy, feed).seq == 1


def test_all_of_it_is_destroyed_with_or_without_a_feed(copy: Path) -> None:
    done = purge(copy, None, LAB, now=NOW, whole=True)
    assert done.files == 14
    kept = {
        CONTENTS_LIST,
        DELIVERED_LIST,
        PURGED_FILE,
        DELIVERY_FILE,
        DELIVERY_SIGNED,
        "agreement.json",
        "deletion.all.json",
    }
    assert tree(copy).keys() == kept
    said = Envelope.parse(done.statement.read_bytes()).statement().predicate
    assert said["whole"] is True
    assert said["rows"] == {"slides": 6, "patients": 3}
    assert not purge(copy, None, LAB, now=NOW, whole=True).is_new
    with pytest.raises(UsageError, match="without a feed"):
        purge(copy, None, LAB, now=NOW)


def test_a_row_or_file_that_came_back_is_stale_again(copy: Path, feed: Path) -> None:
    table, slide = (copy / "data/slides.parquet").read_bytes(), copy / f"slides/{code(2)}.svs"
    purge(copy, feed, LAB, now=NOW)
    slide.write_bytes(b"from a backup")
    with pytest.raises(DigestMismatchError, match=slide.name):
        verify_withdrawals(copy, feed)
    assert purge(copy, feed, LAB, now=NOW).is_new
    assert not slide.exists()
    (copy / "data/slides.parquet").write_bytes(table)
    with pytest.raises(DigestMismatchError, match="stale"):
        verify_withdrawals(copy, feed)
    purge(copy, feed, LAB, now=NOW)
    assert verify_withdrawals(copy, feed).seq == 1


def test_the_command_needs_neither_workspace_nor_registry(
    copy: Path, feed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathcurate.signing import new_key
    from tests.commandline import pathcurate

    monkeypatch.chdir(tmp_path)
    new_key(tmp_path / "lab.pem", "a long passphrase of the lab")
    (tmp_path / "pass").write_text("a long passphrase of the lab", encoding="utf-8")
    (tmp_path / "pass").chmod(0o600)
    assert pathcurate("product", "verify", copy, "--withdrawals", feed).returncode == 4
    signed = ("--key", tmp_path / "lab.pem", "--passphrase-file", tmp_path / "pass")
    assert pathcurate("product", "purge", copy, *signed).returncode == 2
    done = pathcurate("product", "purge", copy, "--withdrawals", feed, *signed)
    assert done.returncode == 0, done.stderr
    assert "deletion.1.json" in done.stdout
    assert code(2) not in done.stdout
    assert pathcurate("product", "verify", copy, "--withdrawals", feed).returncode == 0
    assert pathcurate("product", "verify", copy).returncode == 0
    (copy / f"slides/{code(0)}.svs").write_bytes(b"another")
    assert pathcurate("product", "verify", copy).returncode == 4
    assert pathcurate("product", "verify", copy, "--withdrawals", feed).returncode == 4
