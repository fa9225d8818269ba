"""Archives in an object store: against a server that speaks S3, one that misbehaves, and a shelf in memory."""

import errno
import http.server
import multiprocessing
import os
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate import doctor, objectstore
from pathcurate.demo.slides import write_svs
from pathcurate.errors import InputOutputError
from pathcurate.objectstore import HEAD_BYTES, Address, S3Root, checked_endpoint
from pathcurate.readers import companion_folders, read_slide
from pathcurate.roots import root_below
from pathcurate.storage import Entry, LocalRoot, OfflineError
from pathcurate.workspace import load_workspace
from tests.objectstores import object_store

BUCKET = "archive"


def items(root: S3Root | LocalRoot) -> list[tuple[bytes, int | str, bool]]:
    """What a walk yields: path, size or kind of what was skipped, whether a companion."""
    return [
        (item.relpath, item.size, item.companion) if isinstance(item, Entry) else (item.relpath, item.kind, False)
        for item in root.walk(companion_folders)
    ]


# --- a server that speaks S3 -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with object_store() as address:
        yield address


@pytest.fixture(scope="module", autouse=True)
def credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        yield


Put = Callable[..., None]


@pytest.fixture(scope="module")
def store(endpoint: str) -> Any:
    return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name="us-east-1")


@pytest.fixture
def put(store: Any) -> Iterator[Put]:
    """Puts an object into an empty bucket."""
    store.create_bucket(Bucket=BUCKET)
    yield lambda key, body=b"x", **options: store.put_object(Bucket=BUCKET, Key=key, Body=body, **options)
    for item in store.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        store.delete_object(Bucket=BUCKET, Key=item["Key"])
    store.delete_bucket(Bucket=BUCKET)


class Requests:
    """What a root's client asked for: operations, ranges and bytes received."""

    def __init__(self, root: S3Root) -> None:
        self.names: list[str] = []
        self.ranges: list[str] = []
        self.bytes = 0
        events = objectstore.client_of(root).meta.events
        events.register("before-send.s3", self._sent)
        events.register("after-call.s3", self._answered)

    def _sent(self, request: Any, event_name: str, **_: object) -> None:
        self.names.append(event_name.rpartition(".")[2])
        if "Range" in request.headers:
            self.ranges.append(bytes(request.headers["Range"]).decode())

    def _answered(self, parsed: Mapping[str, Any], event_name: str, **_: object) -> None:
        if event_name.endswith("GetObject"):
            self.bytes += parsed.get("ContentLength", 0)


def test_a_walk_gives_what_a_directory_of_the_same_files_would(endpoint: str, put: Put, tmp_path: Path) -> None:
    keys = ["2024/a.svs", "2024/a/x.dat", "2024/a-b/c.svs", "2024/空 格%+.svs", "2024/m.mrxs", "2024/m/Slidedat.ini",
            "2024/m/deep/Data0000.dat", "2024/Z", "2024/empty.svs"]  # fmt: skip
    for number, key in enumerate(keys):
        put(key, b"x" * number)
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(b"x" * number)
    put("2024-old/other.svs")
    put("2024/folder/")
    (tmp_path / "2024/folder").mkdir()
    root = S3Root(BUCKET, "2024", endpoint)
    requests = Requests(root)
    assert items(root) == items(LocalRoot(os.fsencode(tmp_path / "2024")))
    assert requests.names == ["ListObjectsV2"] * 2
    assert [item[0] for item in items(S3Root(BUCKET, "", endpoint))][-1] == b"2024-old/other.svs"
    now = time.time_ns()
    times = [item.mtime_ns for item in root.walk(companion_folders) if isinstance(item, Entry)]
    assert all(now - 60e9 < moment < now + 5e9 for moment in times)


def test_an_address_keeps_every_byte_and_can_be_read(endpoint: str, put: Put) -> None:
    put("a b/空%+.svs", b"content")
    root = S3Root(BUCKET, "a b", endpoint)
    assert root.uri("空%+.svs".encode()) == f"s3://{BUCKET}/a%20b/%E7%A9%BA%25%2B.svs"
    with root.open("空%+.svs".encode()) as source:
        assert (source.name, source.local_path, source.read_at(0, 99)) == ("空%+.svs", None, b"content")


def test_reads_are_those_of_the_bytes_whatever_the_offsets(endpoint: str, put: Put) -> None:
    data = os.urandom(HEAD_BYTES + 5000)
    put("slide.svs", data)
    put("empty.svs", b"")
    root = S3Root(BUCKET, "", endpoint)
    requests = Requests(root)
    with root.open(b"slide.svs") as source:
        assert source.size == len(data)
        for offset, length in ((0, 10), (HEAD_BYTES - 5, 5), (5, HEAD_BYTES - 5), (9, 0), (len(data), 1), (1 << 40, 9)):
            assert source.read_at(offset, length) == data[offset : offset + length]
        assert requests.ranges == [f"bytes=0-{HEAD_BYTES - 1}"]
        for offset, length in ((HEAD_BYTES - 5, 10), (HEAD_BYTES, 1), (len(data) - 3, 1 << 40), (0, 1 << 40)):
            assert source.read_at(offset, length) == data[offset : offset + length]
        assert not source.changed()
    end = len(data) - 1
    assert requests.ranges[1:] == [
        f"bytes={HEAD_BYTES}-{HEAD_BYTES + 4}", f"bytes={HEAD_BYTES}-{HEAD_BYTES}", f"bytes={end - 2}-{end}",
        f"bytes={HEAD_BYTES}-{end}",
    ]  # fmt: skip
    with root.open(b"empty.svs") as source:
        assert (source.size, source.read_at(0, 10), source.changed()) == (0, b"", False)
    assert set(requests.names) == {"GetObject"}


def test_a_header_costs_few_requests_and_few_bytes(endpoint: str, put: Put, tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    write_svs(path, seed=1, size=(2048, 1536), description={"AppMag": "20", "MPP": "0.5"}, label_lines=["S23-00001"])
    put("slide.svs", path.read_bytes())
    root = S3Root(BUCKET, "", endpoint)
    requests = Requests(root)
    with root.open(b"slide.svs") as source:
        result = read_slide(source)
    with LocalRoot(os.fsencode(tmp_path)).open(b"slide.svs") as local:
        assert result == read_slide(local)
    assert result is not None
    assert result.header.status == "ok"
    assert path.stat().st_size > 4 * HEAD_BYTES
    assert len(requests.names) <= 16
    assert requests.bytes <= 64 << 10


@pytest.mark.skipif("PATHCURATE_REAL_DATA" not in os.environ, reason="PATHCURATE_REAL_DATA names no directory of real files")
def test_real_files_read_the_same_as_from_a_directory(endpoint: str, put: Put) -> None:
    local = LocalRoot(os.fsencode(os.environ["PATHCURATE_REAL_DATA"]))
    root = S3Root(BUCKET, "", endpoint)
    paths = [item.relpath for item in local.walk(companion_folders) if isinstance(item, Entry)]
    paths = [path for path in paths if path.startswith((b"wsi/", b"dicom/"))]
    assert paths
    for path in paths:
        with local.open(path) as source:
            expected = read_slide(source)
            put(path.decode(), source.read_at(0, source.size))
        requests = Requests(root)
        with root.open(path) as source:
            assert read_slide(source) == expected, path
        assert len(requests.names) <= 16, path
        assert requests.bytes <= 64 << 10, path


def test_a_small_slide_costs_one_request(endpoint: str, put: Put, tmp_path: Path) -> None:
    path = tmp_path / "slide.svs"
    write_svs(path, seed=1, size=(256, 256), description={"AppMag": "20", "MPP": "0.5"}, label_lines=["S"])
    data = path.read_bytes()[:HEAD_BYTES]
    put("slide.svs", data)
    root = S3Root(BUCKET, "", endpoint)
    requests = Requests(root)
    with root.open(b"slide.svs") as source:
        read_slide(source)
    assert requests.names == ["GetObject"]


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_what_is_in_cold_storage_is_listed_and_refused_without_a_byte(endpoint: str, put: Put, storage_class: str) -> None:
    put("cold.svs", b"x" * 100, StorageClass=storage_class)
    put("cool.svs", b"x" * 100, StorageClass="STANDARD_IA")
    put("instant.svs", b"x" * 100, StorageClass="GLACIER_IR")
    root = S3Root(BUCKET, "", endpoint)
    requests = Requests(root)
    states = {item.relpath: item.is_offline for item in root.walk(companion_folders) if isinstance(item, Entry)}
    assert states == {b"cold.svs": True, b"cool.svs": False, b"instant.svs": False}
    assert requests.bytes == 0
    with pytest.raises(OfflineError) as caught:
        root.open(b"cold.svs")
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), OfflineError)  # noqa: S301  as it comes from a worker


def test_what_was_restored_is_not_cold() -> None:
    cold = {"StorageClass": "DEEP_ARCHIVE"}
    soon = datetime.now(UTC) + timedelta(days=2)
    assert objectstore._is_cold(cold)
    assert objectstore._is_cold({**cold, "RestoreStatus": {"IsRestoreInProgress": True}})
    assert not objectstore._is_cold({**cold, "RestoreStatus": {"IsRestoreInProgress": False, "RestoreExpiryDate": soon}})
    assert not objectstore._is_cold({})


@pytest.mark.parametrize("end", ["replaced", "deleted"])
def test_an_object_that_is_not_the_same_any_more_has_changed(endpoint: str, put: Put, store: Any, end: str) -> None:
    put("slide.svs", b"a" * HEAD_BYTES * 2)
    with S3Root(BUCKET, "", endpoint).open(b"slide.svs") as source:
        assert source.read_at(HEAD_BYTES, 3) == b"aaa"
        if end == "replaced":
            put("slide.svs", b"b" * HEAD_BYTES * 2)
        else:
            store.delete_object(Bucket=BUCKET, Key="slide.svs")
        assert source.read_at(0, 3) == b"aaa"
        with pytest.raises(OSError, match="object store") as caught:
            source.read_at(HEAD_BYTES, 3)
        assert caught.value.errno == (errno.ESTALE if end == "replaced" else errno.ENOENT)
        assert source.changed()


def test_companions_lie_beside(endpoint: str, put: Put) -> None:
    put("root/case/x.mrxs")
    put("root/case/x/Slidedat.ini", b"[GENERAL]")
    put("root/y.mrxs")
    put("root/y/Slidedat.ini", b"[Y]")
    root = S3Root(BUCKET, "root", endpoint)
    with root.open(b"case/x.mrxs") as source:
        with source.beside(b"x/Slidedat.ini") as companion:
            assert (companion.name, companion.read_at(0, 99)) == ("Slidedat.ini", b"[GENERAL]")
            with companion.beside(b"Slidedat.ini") as itself:
                assert itself.size == 9
        for name in (b"x/Data0000.dat", "x/数据.dat".encode("gb18030"), b"../y.mrxs"):
            with pytest.raises(FileNotFoundError):
                source.beside(name)
    with root.open(b"y.mrxs") as source, source.beside(b"y/Slidedat.ini") as companion:
        assert companion.read_at(0, 99) == b"[Y]"


def test_no_error_names_a_key(endpoint: str, put: Put) -> None:
    put("x.svs")
    root = S3Root(BUCKET, "", endpoint)
    with pytest.raises(FileNotFoundError) as caught:
        root.open(b"S23-00001-SECRET.svs")
    assert "SECRET" not in f"{caught.value}{caught.value!r}{caught.value.filename}"
    assert caught.value.__suppress_context__
    for broken in (S3Root("nobody-has-this", "", endpoint), S3Root(BUCKET, "", "http://127.0.0.1:1")):
        with pytest.raises(InputOutputError, match=r"the root cannot be listed \((ENOENT|EIO)\)"):
            list(broken.walk(companion_folders))


def test_the_doctor_lists_an_object_store(endpoint: str, put: Put, tmp_path: Path) -> None:
    put("2024/x.svs")
    file = tmp_path / "pathcurate.yaml"
    file.write_text(
        "workspace: 1\nname: demo\nsites:\n- code: AA\n  archives:\n"
        f"  - {{name: there, root: 's3://{BUCKET}/2024', endpoint: '{endpoint}'}}\n"
        f"  - {{name: away, root: 's3://nobody-has-this', endpoint: '{endpoint}'}}\n"
        f"  - {{name: silent, root: 's3://{BUCKET}', endpoint: 'http://127.0.0.1:1'}}\n"
    )
    site = load_workspace(file).sites[0]
    checks = [doctor._archive(site, archive) for archive in site.archives]
    assert [check.status for check in checks] == ["ok", "error", "error"]
    assert "(FileNotFoundError)" in checks[1].message
    assert "(OSError)" in checks[2].message


def _size_in_a_worker(root: S3Root) -> int:
    with root.open(b"slide.svs") as source:
        return source.size


def test_a_root_goes_to_another_process_without_its_client(endpoint: str, put: Put) -> None:
    put("slide.svs", b"x" * 77)
    root = S3Root(BUCKET, "", endpoint, "us-east-1", 8)
    assert _size_in_a_worker(root) == 77
    assert b"nobody" not in pickle.dumps(root)
    assert b"nothing" not in pickle.dumps(root)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_size_in_a_worker, (root,)) == 77


def test_many_threads_share_one_client(endpoint: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        put(f"{number}.svs", b"x" * number)
    made = []
    new_client = objectstore._new_client
    monkeypatch.setattr(objectstore, "_clients", {})
    monkeypatch.setattr(objectstore, "_new_client", lambda root: made.append(root) or new_client(root))
    root = S3Root(BUCKET, "", endpoint)

    def size(number: int) -> int:
        with root.open(b"%d.svs" % number) as source:
            return source.size

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(size, range(40))) == list(range(40))
    assert made == [root]


def test_without_boto3_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectstore, "_clients", {})
    objectstore._session.cache_clear()
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputOutputError) as caught:
        list(S3Root(BUCKET).walk(companion_folders))
    assert caught.value.hint == "Run: pip install 'pathcurate[s3]'"


# --- a server that misbehaves ------------------------------------------------------------------------------------


class Misbehaving(http.server.BaseHTTPRequestHandler):
    """Answers by the key's name; what it sent is counted."""

    protocol_version = "HTTP/1.1"
    sent = 0
    asked: Sequence[str] = ()

    def do_GET(self) -> None:
        type(self).asked = [*self.asked, self.path]
        kind = self.path.rpartition("/")[2].partition("?")[0]
        if kind == "hangs":
            time.sleep(2)
            self.close_connection = True
        elif kind.isdigit():
            self._answer(int(kind), b"<Error><Code>Whatever</Code><Message>S23-00001</Message></Error>")
        elif kind == "breaks":
            self._answer(206, b"x" * 100, length=HEAD_BYTES, range_="bytes 0-16383/999999")
        elif kind == "breaks_once":
            is_first = self.asked.count(self.path) == 1
            self._answer(206, b"x" * (100 if is_first else HEAD_BYTES), length=HEAD_BYTES, range_="bytes 0-16383/999999")
        elif kind == "whole":
            self._answer(200, b"w" * (64 << 20))
        elif kind == "no_etag":
            self._answer(206, b"x" * 10, range_="bytes 0-9/10")
        else:
            self._answer(206, b"x" * HEAD_BYTES, range_="bytes 0-16383/nonsense")

    def _answer(self, status: int, body: bytes, length: int | None = None, range_: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if range_:
            self.send_header("Content-Range", range_)
        self.end_headers()
        try:
            for start in range(0, len(body), 1 << 16):
                self.wfile.write(body[start : start + (1 << 16)])
                type(self).sent += len(body[start : start + (1 << 16)])
        except OSError:
            pass
        self.close_connection = length is not None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def misbehaving(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Root]:
    monkeypatch.setattr(objectstore, "_READ_SECONDS", 0.4)
    monkeypatch.setattr(objectstore, "_ATTEMPTS", 2)
    monkeypatch.setattr(Misbehaving, "sent", 0)
    monkeypatch.setattr(Misbehaving, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Misbehaving)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield S3Root(BUCKET, "", f"http://127.0.0.1:{server.server_port}", "us-east-1")
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("key", "number", "requests"),
    [
        ("403", errno.EACCES, 1), ("401", errno.EACCES, 1), ("404", errno.ENOENT, 1), ("500", errno.EIO, 2),
        ("503", errno.EIO, 2), ("504", errno.ETIMEDOUT, 2), ("400", errno.EIO, 1), ("hangs", errno.ETIMEDOUT, 2),
        ("breaks", errno.EIO, 3),
    ],
)  # fmt: skip
def test_each_failure_is_an_error_of_its_kind(misbehaving: S3Root, key: str, number: int, requests: int) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        misbehaving.open(key.encode())
    assert caught.value.errno == number
    assert "S23" not in str(caught.value)
    assert len(Misbehaving.asked) == requests


def test_an_answer_that_breaks_off_once_is_asked_for_again(misbehaving: S3Root) -> None:
    with misbehaving.open(b"breaks_once") as source:
        assert (source.size, len(source.read_at(0, 1 << 20)[:HEAD_BYTES])) == (999_999, HEAD_BYTES)


def test_a_store_that_ignores_ranges_does_not_send_it_all(misbehaving: S3Root) -> None:
    with misbehaving.open(b"whole") as source:
        assert (source.size, source.read_at(0, 5)) == (64 << 20, b"wwwww")
        with pytest.raises(OSError, match="ignores byte ranges") as caught:
            source.read_at(1 << 20, 5)
    assert caught.value.errno == errno.ENOTSUP
    assert Misbehaving.sent < 32 << 20


def test_a_store_that_gives_no_tag_or_nonsense_is_still_read(misbehaving: S3Root) -> None:
    with misbehaving.open(b"no_etag") as source:
        assert (source.size, source.read_at(0, 99), source.changed()) == (10, b"x" * 10, False)
    with misbehaving.open(b"other") as source:
        assert source.size == HEAD_BYTES


# --- a shelf in memory -------------------------------------------------------------------------------------------


class Shelf:
    """The listing of a bucket, by small pages, with what was asked; some prefixes cannot be listed."""

    def __init__(self, keys: Sequence[str], page: int = 3, broken: str = "\0") -> None:
        self._keys = sorted(keys, key=str.encode)
        self._page = page
        self._broken = broken
        self.requests = 0

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        prefix, delimiter = request["Prefix"], request.get("Delimiter", "")
        after = (request.get("ContinuationToken") or request.get("StartAfter", "")).encode()
        most = min(self._page, request.get("MaxKeys", 1000))
        self.requests += 1
        files: list[dict[str, Any]] = []
        folders: dict[str, None] = {}
        for key in self._keys:
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            group = prefix + rest.partition("/")[0] + "/" if delimiter and "/" in rest else None
            if (group or key).encode() <= after:
                continue
            if group in folders:
                continue
            if len(files) + len(folders) == most:
                last = max([item["Key"] for item in files[-1:]] + list(folders)[-1:], key=str.encode)
                return self._answer(files, folders) | {"IsTruncated": True, "NextContinuationToken": last}
            if group is not None:
                folders[group] = None
            elif key.startswith(self._broken):
                raise OSError(errno.EIO, "the object store")
            else:
                files.append({"Key": key, "Size": len(key), "LastModified": datetime.now(UTC)})
        return self._answer(files, folders) | {"IsTruncated": False}

    @staticmethod
    def _answer(files: list[dict[str, Any]], folders: Mapping[str, None]) -> dict[str, Any]:
        return {"Contents": files, "CommonPrefixes": [{"Prefix": folder} for folder in folders]}


def walked(shelf: Shelf, prefix: str = "", held: int = 5) -> list[tuple[bytes, int | str, bool]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objectstore, "client_of", lambda _: shelf)
        patch.setattr(objectstore, "_HELD_KEYS", held)
        return items(S3Root(BUCKET, prefix))


_PARTS = st.sampled_from(["a", "a-b", "a.b", "a b", "b", "B", "é", "x.mrxs", "x", "_y_", "y.vsi", "空"])
_KEYS = st.lists(st.lists(_PARTS, min_size=1, max_size=4).map("/".join), max_size=25, unique=True)


@settings(max_examples=150, deadline=None)
@given(_KEYS, st.integers(1, 7), st.integers(0, 12))
def test_any_keys_come_as_from_a_directory(keys: list[str], page: int, held: int) -> None:
    # A directory cannot hold a file and a folder of one name, as a bucket can.
    keys = [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
    with tempfile.TemporaryDirectory() as name:
        for key in keys:
            path = Path(name) / "root" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * len(f"root/{key}"))
        (Path(name) / "root").mkdir(exist_ok=True)
        expected = items(LocalRoot(os.fsencode(Path(name) / "root")))
    shelf = Shelf([*(f"root/{key}" for key in keys), "root-2/z", "rook/z", "root"], page)
    assert walked(shelf, "root", held) == expected


_STRANGE = st.lists(st.text("/a-.", min_size=1, max_size=8), max_size=20, unique=True)


@settings(max_examples=150, deadline=None)
@given(_STRANGE, st.integers(1, 5), st.integers(0, 8))
def test_strange_keys_come_each_once(keys: list[str], page: int, held: int) -> None:
    found = [item[0].decode() for item in walked(Shelf(keys, page), "", held)]
    assert sorted(found) == sorted(key for key in keys if not key.endswith("/"))


def test_a_folder_for_every_slide_does_not_cost_a_request_for_every_slide() -> None:
    keys = [f"{month:02}/S23-{case:05}/{file}" for month in range(4) for case in range(500) for file in ("a.svs", "b.txt")]
    shelf = Shelf(keys, page=100)
    assert len(walked(shelf, held=200)) == len(keys) == 4000
    # Forty pages hold all; each of the four large folders and the root are listed by name as well.
    assert shelf.requests < 40 + 4 * (6 + 3) + 5


def test_a_folder_that_cannot_be_listed_hides_only_itself() -> None:
    keys = [f"{folder}/{number}.svs" for folder in "abc" for number in range(20)]
    found = walked(Shelf(keys, broken="b/"), held=4)
    assert found.count((b"b", "unreadable_directory", False)) == 1
    assert {path for path, *_ in found} == {key.encode() for key in keys if key[0] != "b"} | {b"b"}


# --- addresses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket", Address("bucket")), ("s3://bucket/", Address("bucket")),
        ("s3://my.bucket-1/a/b c%20/", Address("my.bucket-1", "a/b c%20")),
    ],
)  # fmt: skip
def test_an_address_is_taken_as_it_stands(text: str, expected: Address) -> None:
    assert Address.parse(text) == expected
    assert Address.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["s3://", "s3:///x", "s3://key:secret@bucket/x", "gs://bucket", "S3://bucket", "s3://b", "bucket"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="s3://BUCKET/FOLDER") as caught:
        Address.parse(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["http://minio", "https://minio.local:9000", "http://10.0.0.1:80/", "https://[::1]:9000"])
def test_an_endpoint(text: str) -> None:
    assert checked_endpoint(text) == text


@pytest.mark.parametrize(
    "text", ["minio:9000", "https://u:p@host", "https://host/path", "ftp://host", "https://", "https://h?x=1"]
)
def test_what_is_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match="https://HOST:PORT"):
        checked_endpoint(text)


def test_a_folder_is_a_root_of_its_own(endpoint: str, put: Put, tmp_path: Path) -> None:
    for key in ("2024/m/Index.dat", "2024/m/deep/Data 0.dat", "2024/mm/other.dat", "2024/a.svs"):
        put(key)
    below = root_below(S3Root(BUCKET, "2024", endpoint), b"m")
    assert [item[0] for item in items(below)] == [b"Index.dat", b"deep/Data 0.dat"]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "Index.dat").touch()
    assert [item[0] for item in items(root_below(LocalRoot(os.fsencode(tmp_path)), b"m"))] == [b"Index.dat"]
