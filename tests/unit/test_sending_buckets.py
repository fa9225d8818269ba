"""Volumes to an object store: cut off uploads, parts that changed, objects of others, bits that flip."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pathcurate.delivering.buckets import BucketTarget
from pathcurate.delivering.sending import announce, send
from pathcurate.delivering.volumes import Volume, plan
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.objectstore import S3Root, client_of
from tests.objectstores import object_store
from tests.unit.test_sending import DOCUMENTS, check_whole
from tests.unit.test_volumes import KEY, members_in

LEAST = 5 << 20
"""Of a part, as S3 has it."""
SLIDE = os.urandom(11 << 20)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, object_store() as address:
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        yield address


@pytest.fixture
def target(endpoint: str, request: pytest.FixtureRequest) -> BucketTarget:
    """An empty folder of an empty bucket."""
    bucket = f"b{abs(hash(request.node.name))}"
    found = BucketTarget(S3Root(bucket, "to/lab", endpoint, "us-east-1"), LEAST)
    client_of(found.root).create_bucket(Bucket=bucket)
    return found


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Volume, ...]:
    members = members_in(tmp_path_factory.mktemp("files"), {"data/slides.parquet": b"PAR1" * 50, "slides/S-1.svs": SLIDE})
    return plan(members, size=1 << 30, is_encrypted=True)


class Broken(Exception):  # noqa: N818  what a power cut is
    """The run ends here."""


def test_an_upload_that_was_cut_off_twice_goes_on_with_the_next_part(
    planned: tuple[Volume, ...], target: BucketTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, sent = BucketTarget._upload_part, []

    def upload(self: BucketTarget, key: str, upload: str, number: int, piece: bytes) -> str:
        if len(sent) == number - 1 < 2:
            sent.append(number)
            tag = original(self, key, upload, number, piece)
            raise Broken(tag)
        sent.append(number)
        return original(self, key, upload, number, piece)

    monkeypatch.setattr(BucketTarget, "_upload_part", upload)
    for _ in range(2):
        with pytest.raises(Broken):
            send(planned, target, KEY, tmp_path / "work")
        assert [name for name in target.names() if name.startswith("volume")] == []
    volumes = send(planned, target, KEY, tmp_path / "work")
    assert sent == [1, 2, 3]
    announce(target, tmp_path / "work", DOCUMENTS, volumes)
    out = tmp_path / "fetched"
    out.mkdir()
    for name in target.names():
        (out / name).write_bytes(b"".join(target.pieces(name)))
    assert (out / volumes[0].name).stat().st_size == volumes[0].bytes
    import tests.unit.test_sending as told

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(told, "CONTENT", {"data/slides.parquet": b"PAR1" * 50, "slides/S-1.svs": SLIDE})
        check_whole(out, tmp_path / "work", volumes)
    before = sent.copy()
    assert send(planned, target, KEY, tmp_path / "work") == volumes
    assert sent == before


def test_a_part_of_other_bytes_is_uploaded_again(planned: tuple[Volume, ...], target: BucketTarget, tmp_path: Path) -> None:
    client, key = client_of(target.root), target.root.key("volume-0001.tar.age")
    upload = client.create_multipart_upload(Bucket=target.root.bucket, Key=key)["UploadId"]
    client.upload_part(Bucket=target.root.bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x" * LEAST)
    other = client.create_multipart_upload(Bucket=target.root.bucket, Key=key)["UploadId"]
    assert upload != other
    (entry,) = send(planned, target, KEY, tmp_path / "work")
    assert target.holds(entry)
    assert "Uploads" not in client.list_multipart_uploads(Bucket=target.root.bucket)


def test_an_object_that_comes_back_with_other_bytes_is_found_and_removed(
    planned: tuple[Volume, ...], target: BucketTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = BucketTarget.pieces

    def pieces(self: BucketTarget, name: str) -> Iterator[bytes]:
        for piece in original(self, name):
            yield piece[:-1] + bytes([piece[-1] ^ 1])

    with monkeypatch.context() as patch:
        patch.setattr(BucketTarget, "pieces", pieces)
        with pytest.raises(DigestMismatchError, match="gives back other bytes"):
            send(planned, target, KEY, tmp_path / "work")
    assert "volume-0001.tar.age" not in target.names()
    (entry,) = send(planned, target, KEY, tmp_path / "work")
    assert target.holds(entry)


@pytest.mark.parametrize("key", ["to/lab/x", "to/lab/volume-0001.tar.age", "to/lab/folder/x"])
def test_objects_of_somebody_else_are_refused(
    key: str, planned: tuple[Volume, ...], target: BucketTarget, tmp_path: Path
) -> None:
    client_of(target.root).put_object(Bucket=target.root.bucket, Key=key, Body=b"theirs")
    client_of(target.root).put_object(Bucket=target.root.bucket, Key="to/lab-2/other", Body=b"theirs")
    with pytest.raises(InputOutputError, match="1 files or folders"):
        send(planned, target, KEY, tmp_path / "work")
    assert len(target.names()) == 1


def test_a_store_that_fails_is_told_without_a_key(
    planned: tuple[Volume, ...], target: BucketTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(*_: Any) -> str:
        raise OSError(errno.ETIMEDOUT, "secret")

    monkeypatch.setattr(BucketTarget, "_upload_part", upload)
    with pytest.raises(InputOutputError, match="does not answer") as failed:
        send(planned, target, KEY, tmp_path / "work")
    assert "secret" not in str(failed.value)


def test_a_bucket_that_is_not_there_is_told(planned: tuple[Volume, ...], endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="ENOENT"):
        send(planned, BucketTarget(S3Root("no-such-bucket", "a", endpoint, "us-east-1")), KEY, tmp_path / "work")
