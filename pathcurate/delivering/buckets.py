"""Deliveries to an object store that speaks S3: volumes go in parts, and a run that was cut off goes on with the next.

Needs boto3, as :mod:`pathcurate.objectstore` does.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pathcurate.errors import DigestMismatchError
from pathcurate.model.delivery import VolumeEntry
from pathcurate.objectstore import S3Root, client_of, plain_errors

_LEAST_PART: Final = 64 << 20
_MOST_PARTS: Final = 10_000
"""Of an object; S3's own limit."""
_PIECE: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class BucketTarget:
    """Objects below a prefix of a bucket, see :class:`~pathcurate.delivering.targets.Target`.

    Attributes:
        root: the place.
        least_part: bytes of a part; of an object of more than 10,000 such parts they are larger.
    """

    root: S3Root
    least_part: int = _LEAST_PART

    def __str__(self) -> str:
        return f"s3://{self.root.bucket}/{self.root.prefix}"

    def make(self) -> None:
        """Nothing is to be made: whether the bucket is there is asked by :meth:`names`."""

    def names(self) -> Mapping[str, int]:
        """Objects below the prefix, and folders with the size -1."""
        prefix = self.root.key("")
        token: dict[str, str] = {}
        found: dict[str, int] = {}
        while True:
            answer = self.root.list_keys(prefix, Delimiter="/", **token)
            found |= {item["Key"][len(prefix) :]: int(item["Size"]) for item in answer.get("Contents", ())}
            found |= {item["Prefix"][len(prefix) :]: -1 for item in answer.get("CommonPrefixes", ())}
            if not answer.get("IsTruncated"):
                # Some tools make an empty object that stands for the folder itself.
                found.pop("", None)
                return found
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def free(self) -> int | None:
        """Nobody knows."""
        return None

    def lay(self, staged: Path, entry: VolumeEntry, progress: Callable[[int], None]) -> None:
        """Upload a volume in parts and read it back; parts that an earlier call has uploaded stay."""
        key = self.root.key(entry.name)
        upload = self._upload(key)
        length = max(self.least_part, -(-entry.bytes // _MOST_PARTS))
        there = self._parts(key, upload)
        parts: list[dict[str, Any]] = []
        done = 0
        with staged.open("rb") as source:
            while piece := source.read(length):
                number = len(parts) + 1
                tag = f'"{hashlib.md5(piece, usedforsecurity=False).hexdigest()}"'
                if there.get(number) != (len(piece), tag):
                    tag = self._upload_part(key, upload, number, piece)
                parts.append({"PartNumber": number, "ETag": tag})
                done += len(piece)
                progress(done)
        with plain_errors():
            client_of(self.root).complete_multipart_upload(
                Bucket=self.root.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        if not self._agrees(entry, lambda read: progress(done + read)):
            self.remove(entry.name)
            raise DigestMismatchError(
                f"the object store gives back other bytes of {entry.name} than were written",
                "The same command makes this volume anew and goes on.",
            )

    def holds(self, entry: VolumeEntry) -> bool:
        """Whether a volume is there, by its size and its digest."""
        return self.names().get(entry.name) == entry.bytes and self._agrees(entry, lambda read: None)

    def write(self, name: str, content: bytes) -> None:
        """Write a small object."""
        with plain_errors():
            client_of(self.root).put_object(Bucket=self.root.bucket, Key=self.root.key(name), Body=content)

    def remove(self, name: str) -> None:
        """Remove an object, and parts of it."""
        key, client = self.root.key(name), client_of(self.root)
        with plain_errors():
            client.delete_object(Bucket=self.root.bucket, Key=key)
            for upload in self._uploads(key):
                client.abort_multipart_upload(Bucket=self.root.bucket, Key=key, UploadId=upload)

    def pieces(self, name: str) -> Iterator[bytes]:
        """The bytes of an object, all of one state of it."""
        with self.root.open(name.encode()) as source:
            for offset in range(0, source.size, _PIECE):
                yield source.read_at(offset, _PIECE)

    def _agrees(self, entry: VolumeEntry, progress: Callable[[int], None]) -> bool:
        digest, read = hashlib.sha256(), 0
        for piece in self.pieces(entry.name):
            digest.update(piece)
            read += len(piece)
            progress(read)
        return digest.hexdigest() == entry.sha256

    def _upload(self, key: str) -> str:
        """The upload to go on with, or a new one."""
        with plain_errors():
            client = client_of(self.root)
            found = self._uploads(key)
            for other in found[1:]:
                client.abort_multipart_upload(Bucket=self.root.bucket, Key=key, UploadId=other)
            made: str = found[0] if found else client.create_multipart_upload(Bucket=self.root.bucket, Key=key)["UploadId"]
            return made

    def _uploads(self, key: str) -> list[str]:
        answer = client_of(self.root).list_multipart_uploads(Bucket=self.root.bucket, Prefix=key)
        return [str(one["UploadId"]) for one in answer.get("Uploads", ()) if one["Key"] == key]

    def _parts(self, key: str, upload: str) -> dict[int, tuple[int, str]]:
        """Parts that are there: number to size and tag, the MD5 of a part unless the store encrypts by a key of its own."""
        found: dict[int, tuple[int, str]] = {}
        marker: dict[str, Any] = {}
        while True:
            with plain_errors():
                answer = client_of(self.root).list_parts(Bucket=self.root.bucket, Key=key, UploadId=upload, **marker)
            found |= {int(one["PartNumber"]): (int(one["Size"]), str(one["ETag"])) for one in answer.get("Parts", ())}
            if not answer.get("IsTruncated"):
                return found
            marker = {"PartNumberMarker": answer["NextPartNumberMarker"]}

    def _upload_part(self, key: str, upload: str, number: int, piece: bytes) -> str:
        with plain_errors():
            answer = client_of(self.root).upload_part(
                Bucket=self.root.bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
            )
        tag: str = answer["ETag"]
        return tag
