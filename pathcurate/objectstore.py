"""Archives in an object store that speaks S3, read by byte range without a mount.

Needs boto3, which is imported when the first request is made: ``pip install 'pathcurate[s3]'``. Credentials come from
boto3's own chain (environment, ``~/.aws``, the machine's role) and are never part of a root.
"""

import contextlib
import errno
import functools
import os
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pathcurate.errors import InputOutputError
from pathcurate.storage import CompanionFolders, Entry, OfflineError, Skipped

HEAD_BYTES = 16 << 10
"""Read with the request that opens an object: it tells the size, and it is all that a small slide's header needs."""
_HELD_KEYS = 10_000
"""A folder with no more keys below it is listed at once, whatever folders are in it; a larger one folder by folder."""
_ATTEMPTS = 5
_BODY_ATTEMPTS = 3
_CONNECT_SECONDS = 5
_READ_SECONDS = 10
PATIENCE_SECONDS = 70
"""The longest that one request takes, with all attempts and the pauses between; who gives up on a file must wait longer."""
_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE", "ARCHIVE"})
_ERRNO_OF_STATUS = {
    401: errno.EACCES, 403: errno.EACCES, 404: errno.ENOENT, 408: errno.ETIMEDOUT, 412: errno.ESTALE, 416: errno.ERANGE,
    504: errno.ETIMEDOUT,
}  # fmt: skip

Listed = Mapping[str, Any]
"""An object as ``ListObjectsV2`` tells of it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where an archive lies in an object store.

    Attributes:
        bucket: name of the bucket.
        prefix: folder in it, without ``/`` at its ends; empty for all of it.
    """

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """From text such as ``s3://bucket/folder``, taken as it stands: nothing in it is percent-encoded.

        Raises:
            ValueError: it is no such text.
        """
        found = re.fullmatch(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9])(?:/(.*))?", text, re.ASCII)
        if found is None:
            raise ValueError("an archive in an object store is written s3://BUCKET/FOLDER, without keys or users")
        return cls(found[1], (found[2] or "").strip("/"))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


def checked_endpoint(text: str) -> str:
    """The address of a store, if it is one that holds no user and no path.

    Raises:
        ValueError: it is not.
    """
    if re.fullmatch(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?/?", text, re.ASCII) is None:
        raise ValueError("an endpoint is written https://HOST:PORT")
    return text


@dataclass(frozen=True, slots=True)
class S3Root:
    """Objects below a prefix of a bucket. Picklable; every process makes its own client, which its threads share.

    A key's parts between ``/`` are its folders. Keys that end in ``/`` stand for a folder and are no files.

    Attributes:
        bucket: the bucket's name.
        prefix: folder that the archive lies in, without ``/`` at its end; empty for the whole bucket.
        endpoint: address of a store other than Amazon's.
        region: its region; None for what boto3 is configured for.
        connections: requests that may be under way at a time; at least the threads that read.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    connections: int = 64

    def walk(self, companion_folders: CompanionFolders) -> Iterator[Entry | Skipped]:
        """Everything below the root in byte order, a folder's own files before those of its sub-folders.

        Costs one request for about 1,000 keys, and for large folders another 1,000 files and sub-folders of theirs.

        Raises:
            InputOutputError: the root cannot be listed, or boto3 is missing.
        """
        try:
            self.check()
        except OSError as error:
            raise InputOutputError(
                f"the root cannot be listed ({errno.errorcode.get(error.errno or 0, 'error')})",
                "Check bucket, endpoint and region in pathcurate.yaml, and that boto3 finds credentials that may list it "
                "(environment, ~/.aws, or the machine's role).",
            ) from None
        keys = _Keys(self)
        held: dict[str, _Page] = {}
        stack = [("", False)]
        while stack:
            folder, is_companion = stack.pop()
            names: list[str] = []
            below: list[str] = []
            try:
                if folder not in held and (objects := keys.subtree(folder)) is not None:
                    held.update(_folders(folder, objects, len(self.key(""))))
                pages = [held.pop(folder)] if folder in held else self._pages(folder)
                for page in pages:
                    for item in page.files:
                        yield self._entry(folder, item, is_companion=is_companion)
                    # Joined, because a million names apart take thrice the room of their text.
                    names.append("/".join(_name(item) for item in page.files))
                    below += page.folders
            except OSError:
                yield Skipped(folder[:-1].encode(), "unreadable_directory")
            if below:
                names += below
                companions = companion_folders(name.encode() for part in names for name in part.split("/") if name)
                stack += [
                    (f"{folder}{name}/", is_companion or name.encode() in companions) for name in sorted(below, reverse=True)
                ]

    def open(self, relpath: bytes) -> "S3Source":
        """An object below the root, with one request that also reads its first :data:`HEAD_BYTES`.

        Raises:
            FileNotFoundError: there is none.
            PermissionError: it may not be read.
            OfflineError: it is in cold storage.
            TimeoutError: the store does not answer.
            OSError: anything else.
        """
        try:
            return S3Source(self, relpath.decode())
        except UnicodeDecodeError:
            raise FileNotFoundError(errno.ENOENT, "no key can be these bytes") from None

    def uri(self, relpath: bytes) -> str:
        """An ``s3://`` address, percent-encoded."""
        return f"s3://{self.bucket}/{quote(self.key('').encode() + relpath)}"

    def check(self) -> None:
        """Ask whether the root can be listed.

        Raises:
            OSError: it cannot, see :meth:`open`.
            InputOutputError: boto3 is missing.
        """
        self.list_keys(self.key(""), MaxKeys=1)

    def key(self, relpath: str) -> str:
        """The key of a file below the root."""
        return f"{self.prefix}/{relpath}" if self.prefix else relpath

    def list_keys(self, prefix: str, **options: Any) -> Mapping[str, Any]:
        """One page of a listing, in byte order of keys.

        Raises:
            OSError: see :meth:`open`.
        """
        client = client_of(self)
        with plain_errors():
            answer: Mapping[str, Any] = client.list_objects_v2(
                Bucket=self.bucket, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"], **options
            )
        return answer

    def get_range(self, key: str, offset: int, length: int, etag: str | None = None) -> tuple[bytes, Mapping[str, Any]]:
        """Up to ``length`` bytes of an object and what the store says of it.

        Args:
            key: the object.
            offset: first byte.
            length: how many, at least one.
            etag: the state that it must have; None for any.

        Raises:
            OSError: see :meth:`open`; ``ESTALE`` if its state is another, ``ERANGE`` if it has no byte at the offset.
        """
        client = client_of(self)
        only = {"IfMatch": etag} if etag is not None else {}
        for _ in range(_BODY_ATTEMPTS):
            with plain_errors():
                answer = client.get_object(
                    Bucket=self.bucket, Key=key, Range=f"bytes={offset}-{offset + length - 1}", **only
                )
            data = _body(answer, offset, length)
            if len(data) == min(length, answer["ContentLength"]):
                return data, answer
        raise OSError(errno.EIO, "the answer broke off")

    def _pages(self, folder: str) -> Iterator["_Page"]:
        """A folder's own files and sub-folders."""
        token: dict[str, str] = {}
        prefix = self.key(folder)
        while True:
            answer = self.list_keys(prefix, Delimiter="/", **token)
            files = [item for item in answer.get("Contents", ()) if not item["Key"].endswith("/")]
            yield _Page(files, [each["Prefix"][len(prefix) : -1] for each in answer.get("CommonPrefixes", ())])
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    def _entry(self, folder: str, item: Listed, *, is_companion: bool) -> Entry:
        # By integer division: a float would round the microseconds.
        time = (item["LastModified"] - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1) * 1000
        return Entry((folder + _name(item)).encode(), item["Size"], time, is_companion, _is_cold(item))


class S3Source:
    """An object, read by byte range: its first :data:`HEAD_BYTES` with the request that opens it, the rest as asked for.

    All reads are of one state: once the object is replaced, reading it fails with ``ESTALE``.
    """

    def __init__(self, root: S3Root, relpath: str) -> None:
        self._root = root
        self._relpath = relpath
        self._changed = False
        self._head = b""
        self._size = 0
        self._etag: str | None = None
        try:
            self._head, answer = root.get_range(root.key(relpath), 0, HEAD_BYTES)
        except OSError as error:
            # Of nothing there is no first byte: the object is empty.
            if error.errno != errno.ERANGE:
                raise
            return
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        self._size = int(total) if total.isascii() and total.isdigit() else answer["ContentLength"]
        self._etag = answer.get("ETag")

    @property
    def size(self) -> int:
        """Size in bytes when the object was opened."""
        return self._size

    @property
    def name(self) -> str:
        """Last part of the key."""
        return self._relpath.rpartition("/")[2]

    @property
    def local_path(self) -> bytes | None:
        """None: there is no path on this machine."""
        return None

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer only at the end of the object."""
        end = min(offset + length, self._size)
        if offset >= end:
            return b""
        head = self._head[offset:end]
        at = offset + len(head)
        if at == end:
            return head
        try:
            return head + self._root.get_range(self._root.key(self._relpath), at, end - at, self._etag)[0]
        except OSError as error:
            # Deleted or replaced: in both cases what was read so far is of a state that is gone.
            self._changed = self._changed or error.errno in {errno.ESTALE, errno.ENOENT}
            raise

    def beside(self, relpath: bytes) -> "S3Source":
        """Another object of the same slide, by its path relative to the folder of this one."""
        folder, slash, _ = self._relpath.rpartition("/")
        return self._root.open((folder + slash).encode() + relpath)

    def changed(self) -> bool:
        """Whether a read found the object replaced or deleted; asks the store nothing, since all reads are of one state."""
        return self._changed

    def close(self) -> None:
        """Let go of what was read."""
        self._head = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Page:
    """Some files of a folder and the names of some of its sub-folders."""

    files: list[Listed]
    folders: list[str]


class _Keys:
    """The keys below a root in byte order, by pages, with a place to go on from."""

    def __init__(self, root: S3Root) -> None:
        self._root = root
        self._keys: deque[Listed] = deque()
        self._token: dict[str, str] = {}
        self._is_whole = False

    def subtree(self, folder: str) -> list[Listed] | None:
        """All objects below a folder if they are few; None if they are many, which loses nothing that was listed."""
        prefix = self._root.key(folder)
        while self._keys and self._keys[0]["Key"] < prefix:
            self._keys.popleft()
        if not (self._keys and self._keys[0]["Key"].startswith(prefix)):
            # Folders come in the order of their names, keys in that of names with `/`: `a-b/` before `a/`.
            self._keys.clear()
            self._token = {"StartAfter": prefix} if prefix else {}
            self._fetch()
        while not self._is_whole and self._keys[-1]["Key"].startswith(prefix):
            if len(self._keys) > _HELD_KEYS:
                return None
            self._fetch()
        found = []
        while self._keys and self._keys[0]["Key"].startswith(prefix):
            found.append(self._keys.popleft())
        return found

    def _fetch(self) -> None:
        while True:
            answer = self._root.list_keys(self._root.key(""), **self._token)
            found = answer.get("Contents", ())
            self._keys += found
            self._is_whole = not answer.get("IsTruncated")
            if not self._is_whole:
                self._token = {"ContinuationToken": answer["NextContinuationToken"]}
            # A store may give an empty page and more after it.
            if found or self._is_whole:
                return


def _folders(top: str, objects: Iterable[Listed], skipped: int) -> dict[str, _Page]:
    """The folder ``top`` and those below it, by path, that hold these objects or a folder that does.

    Args:
        top: path below the root, with ``/`` at its end, or empty.
        objects: what is below it.
        skipped: length of what the keys have before the path.
    """
    pages = {top: _Page([], [])}
    for item in objects:
        own = folder = _above(item["Key"][skipped:])
        missing = []
        while folder not in pages:
            missing.append(folder)
            folder = _above(folder[:-1])
        for each in reversed(missing):
            pages[each] = _Page([], [])
            above = _above(each[:-1])
            pages[above].folders.append(each[len(above) : -1])
        if not item["Key"].endswith("/"):
            pages[own].files.append(item)
    return pages


def _above(path: str) -> str:
    """The folder that a path lies in, with ``/`` at its end; empty for the root."""
    return path[: path.rfind("/") + 1]


def _name(item: Listed) -> str:
    name: str = item["Key"].rpartition("/")[2]
    return name


def _is_cold(item: Listed) -> bool:
    """Whether an object must be asked back before it can be read: archived, and no restored copy of it is there."""
    restore = item.get("RestoreStatus", {})
    is_back = "RestoreExpiryDate" in restore and not restore.get("IsRestoreInProgress")
    return item.get("StorageClass") in _COLD and not is_back


_clients: dict[tuple[int, S3Root], Any] = {}
_clients_lock = threading.Lock()


def client_of(root: S3Root) -> Any:
    """This process's client for a store: safe for threads, not for forks.

    Raises:
        InputOutputError: boto3 is missing.
    """
    place = os.getpid(), root
    with _clients_lock:
        if place not in _clients:
            _clients[place] = _new_client(root)
        return _clients[place]


@functools.cache
def _session() -> Any:
    """What clients are made of; made once, because it reads megabytes of descriptions. Only for whoever holds the lock."""
    import boto3  # noqa: PLC0415  an extra, and slow to import

    return boto3.session.Session()


def _new_client(root: S3Root) -> Any:
    try:
        session = _session()
    except ImportError:
        raise InputOutputError(
            "archives in an object store need boto3, which is not installed", "Run: pip install 'pathcurate[s3]'"
        ) from None
    from botocore.config import Config  # noqa: PLC0415  see _session

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=root.connections,
        # Stores on one's own premises seldom have a host name for every bucket.
        s3={"addressing_style": "path" if root.endpoint else "auto"},
    )
    with plain_errors():
        return session.client("s3", endpoint_url=root.endpoint, region_name=root.region, config=config)


def _body(answer: Mapping[str, Any], offset: int, length: int) -> bytes:
    """The bytes of an answer; too few if it breaks off, which the client does not repeat by itself."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  see _session

    with contextlib.closing(answer["Body"]) as body:
        is_range = answer["ResponseMetadata"]["HTTPStatusCode"] == 206 and answer["ContentLength"] <= length
        if offset and not is_range:
            raise OSError(errno.ENOTSUP, "the store ignores byte ranges")
        try:
            # To the end, so that the connection can be used again; but not the terabyte of a store that ignores ranges.
            data: bytes = body.read() if is_range else body.read(length)
        except BotoCoreError:
            return b""
        return data


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what the client raises into an :class:`OSError` that names no key."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  see _session

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise _translated(error) from None


def _translated(error: Exception) -> OSError:
    from botocore import exceptions  # noqa: PLC0415  see _session

    if isinstance(error, exceptions.ClientError):
        if error.response.get("Error", {}).get("Code") == "InvalidObjectState":
            return OfflineError()
        number = _ERRNO_OF_STATUS.get(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0), errno.EIO)
    elif isinstance(error, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError):
        number = errno.ETIMEDOUT
    elif isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        number = errno.EACCES
    else:
        number = errno.EIO
    return OSError(number, f"the object store: {os.strerror(number)}")
