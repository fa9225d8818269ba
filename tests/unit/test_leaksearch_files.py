"""Identifiers in files: in every container and every encoding, and nothing is passed over in silence."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import random
import socket
import sqlite3
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.leaksearch.contents import BLOCK, Limits
from pathcurate.leaksearch.identifiers import Identifiers
from pathcurate.leaksearch.search import NOT_SEARCHED, Leak, search_directory

NAME, NUMBER = "张三丰", "13800138000"
IDENTIFIERS = Identifiers.of({"name": [NAME], "phone": [NUMBER]})
TEXT = f"x {NAME} y"

ENCODED = {
    "utf-8": TEXT.encode(),
    "utf-16-le": TEXT.encode("utf-16-le"),
    "utf-16-be at an odd place": b"x" + TEXT.encode("utf-16-be"),
    "gb18030": TEXT.encode("gb18030"),
    "gb18030 behind a stray byte": b"\xe5" + TEXT[2:].encode("gb18030"),
    "utf-8 as latin-1": TEXT.encode().decode("latin-1").encode(),
    "gb18030 as latin-1": TEXT.encode("gb18030").decode("latin-1").encode(),
    "gb18030 as windows-1252": TEXT.encode("gb18030").decode("cp1252").encode(),
    "base64": b"data:;base64," + base64.b64encode(f"patient {TEXT}".encode()),
    "base64 without its beginning": base64.b64encode(f"some patient {TEXT} and more".encode())[3:],
    "base64 for addresses": base64.urlsafe_b64encode(f"??>>~~ patient {TEXT}".encode()).rstrip(b"="),
    "base64 of gb18030": base64.b64encode(f"patient {TEXT}".encode("gb18030")),
    "base64 of utf-16": base64.b64encode(f"patient {TEXT}".encode("utf-16-le")),
    "base64 in lines": base64.encodebytes(b"0123456789" * 20 + TEXT.encode() + b"0" * 100),
    "percent": quote(TEXT).encode(),
    "percent of gb18030": quote(TEXT, encoding="gb18030").encode(),
    "json": json.dumps([TEXT]).encode(),
    "bytes of python": repr(TEXT.encode()).encode(),
    "references": "".join(f"&#{ord(sign)};" for sign in NAME).encode(),
    "tags within": f"<text>{NAME[0]}<tspan x='1'>{NAME[1]}</tspan>{NAME[2]}</text>".encode(),
    "full width": "１３８００１３８０００".encode(),
    "separators": b"138-0013 8000",
}


@pytest.mark.parametrize("layout", ["{0}", "{0}-A1.svs", '["{0}","{0}"]', "{0}\n{0}\n{0}"])
def test_what_is_random_holds_no_number_by_chance(tmp_path: Path, layout: str) -> None:
    # Read as Base64 each of these codes holds the number beside it.
    codes = {"P-0V3ZW343NDA5MDHC": "740901", "P-VXJ7E6Y2MTQ4MTXS": "614815", "P-2NDY1MDQ2H2CFCZ8": "465046"}
    numbers = Identifiers.of({"number": codes.values()})
    (tmp_path / "codes.txt").write_text("\n".join(layout.format(code) for code in codes))
    assert list(search_directory(tmp_path, numbers)) == []
    (tmp_path / "codes.txt").write_bytes(b"P-0V3ZW343NDA5MDHC\n" + base64.b64encode(b"patient no. 740901"))
    (leak,) = search_directory(tmp_path, numbers)
    assert (leak.kind, leak.encoding) == ("number", "base64")


def parquet(column: "pa.Array[pa.Scalar[pa.DataType]]") -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"plain": pa.array([1] * len(column)), "a.b": column}), file)
    return file.getvalue()


def zipped(data: bytes, name: str = "m", *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


def tarred(data: bytes, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        info = tarfile.TarInfo("m")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def sqlite(data: bytes) -> bytes:
    with sqlite3.connect(":memory:") as connection:
        connection.execute('CREATE TABLE "a""b" (x)')
        connection.execute('INSERT INTO "a""b" VALUES (?)', (zlib.compress(b"other"),))
        connection.execute('INSERT INTO "a""b" VALUES (?)', (data,))
        connection.commit()
        return connection.serialize()


def png(data: bytes) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    packed = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(data))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + packed + pixels + chunk(b"IEND", b"")


def jpeg(data: bytes) -> bytes:
    return b"\xff\xd8\xff\xfe" + struct.pack(">H", len(data) + 2) + data + b"\xff\xd9"


def tiff(data: bytes) -> bytes:
    entries = [(256, 4, 1, 1), (257, 4, 1, 1), (270, 2, len(data) + 8, 50)]
    listed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + listed + bytes(4) + data + bytes(8)


def arrow(data: bytes) -> bytes:
    file, table = io.BytesIO(), pa.table({"c": [data]})
    with pa.ipc.new_file(file, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return file.getvalue()


def pdf(data: bytes) -> bytes:
    return b"%PDF-1.4\n1 0 obj<</Filter/FlateDecode>>stream\r\n" + zlib.compress(data) + b"\nendstream endobj"


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: data,
    "noise": lambda data: bytes(range(256)) * 3 + b"\n" + data + b"\n" + bytes(range(255, -1, -1)),
    "parquet": lambda data: parquet(pa.array([b"first", data], pa.binary())),
    "parquet, nested": lambda data: parquet(pa.array([{"x": {"y": [data]}}])),
    "arrow": arrow,
    "zip": zipped,
    "zip in a zip": lambda data: zipped(zipped(data)),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
    "tar": tarred,
    "tar.gz": lambda data: tarred(data, "w:gz"),
    "parquet in gzip": lambda data: gzip.compress(parquet(pa.array([data], pa.binary()))),
    "sqlite": sqlite,
    "png": png,
    "jpeg": jpeg,
    "tiff": tiff,
    "pdf": pdf,
}


def leaks(path: Path, identifiers: Identifiers = IDENTIFIERS, limits: Callable[[], Limits] = Limits) -> list[Leak]:
    return list(search_directory(path, identifiers, limits=limits))


@pytest.mark.parametrize("container", CONTAINERS)
def test_an_identifier_is_found_in_every_encoding(container: str, tmp_path: Path) -> None:
    for number, data in enumerate(ENCODED.values()):
        (tmp_path / f"{number:02}").write_bytes(CONTAINERS[container](data))
    found = leaks(tmp_path)
    missed = [name for number, name in enumerate(ENCODED) if not any(leak.file == f"{number:02}" for leak in found)]
    assert missed == []
    assert NOT_SEARCHED not in {leak.kind for leak in found}
    assert not any(NAME in str(leak) or NUMBER in str(leak) for leak in found)


@pytest.mark.parametrize("container", CONTAINERS)
def test_where_no_identifier_is_none_is_found(container: str, tmp_path: Path) -> None:
    data = "138001380001 C50.9 张, 三 丰三张".encode() + b"Zm9vYmFyYmF6cXV4" * 9
    (tmp_path / "m").write_bytes(CONTAINERS[container](data))
    assert leaks(tmp_path) == []


@pytest.mark.parametrize(
    "column",
    [
        pa.array([NAME]), pa.array([[NAME]]), pa.array([{"a": [{"b": NAME}]}]), pa.array([{"k": 1, NAME: 2}]),
        pa.array([NAME]).dictionary_encode(), pa.array([[("k", NAME)]], pa.map_(pa.string(), pa.string())),
        pa.array([int(NUMBER)]), pa.array([float(NUMBER), float("nan"), 0.5]),
        pa.array([int(NUMBER)]).cast(pa.decimal128(30, 2)), pa.array([NAME.encode().ljust(16)], pa.binary(16)),
        pa.array([NAME], pa.large_string()), pa.array([NAME], pa.string_view()),
    ],
    ids=lambda column: str(column.type)[:30],
)  # fmt: skip
def test_a_column_of_any_type_is_searched(column: "pa.Array[pa.Scalar[pa.DataType]]", tmp_path: Path) -> None:
    if not pa.types.is_string_view(column.type):
        (tmp_path / "m").write_bytes(parquet(column))
        assert any(leak.where in {"column 2", "footer"} for leak in leaks(tmp_path))
    with pa.ipc.new_file(str(tmp_path / "n"), pa.schema([("c", column.type)])) as writer:
        writer.write_batch(pa.record_batch([column], ["c"]))
    assert any(leak.where == "column 1" for leak in leaks(tmp_path / "n")) or NAME in str(column.type)
    assert leaks(tmp_path / "n")


def test_a_footer_statistics_and_unused_words_are_searched(tmp_path: Path) -> None:
    data = pa.table({"c": pa.array(["plain"])}).replace_schema_metadata({"note": NAME})
    pq.write_table(data, tmp_path / "footer")
    words = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["plain", NAME]))
    pq.write_table(pa.table({"c": words}), tmp_path / "words")
    pq.write_table(pa.table({NAME: pa.array(["plain"])}), tmp_path / "head")
    pq.write_table(pa.table({"c": pa.array(["a", NAME])}), tmp_path / "values")
    where = {(leak.file, leak.where, leak.offset) for leak in leaks(tmp_path) if leak.where}
    assert ("values", "column 1", 1) in where
    assert {(file, part) for file, part, _ in where} >= {
        ("footer", "footer"), ("words", "column 1"), ("head", "footer"), ("values", "statistics"),
    }  # fmt: skip


def test_names_of_files_folders_and_members_leak_and_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / f"{NAME}.svs").write_bytes(b"")
    (tmp_path / os.fsdecode(NAME.encode("gb18030"))).mkdir()
    (tmp_path / "m.zip").write_bytes(zipped(b"", f"{NAME}.txt"))
    (tmp_path / "gb.zip").write_bytes(zipped(b"", "xxxxxx.txt").replace(b"xxxxxx", NAME.encode("gb18030")))
    found = leaks(tmp_path)
    named = [leak.file for leak in found if leak.where == "name"]
    assert len(named) == 2
    assert all(name.startswith("file ") for name in named)
    assert {leak.file for leak in found if leak.where == "names"} == {"m.zip", "gb.zip"}
    assert NAME not in str(found)


def test_where_a_leak_is_said_to_be_it_is(tmp_path: Path) -> None:
    lead = "肿物大小\n" * (BLOCK // 10)
    (tmp_path / "utf-8").write_text(lead + TEXT, encoding="utf-8")
    (tmp_path / "utf-16").write_bytes(b"." + (lead + TEXT).encode("utf-16-be"))
    assert [leak.file for leak in leaks(tmp_path / "utf-8")] == ["utf-8"]
    by_file = {leak.file: leak for leak in leaks(tmp_path)}
    assert by_file["utf-8"].offset == len((lead + "x ").encode())
    assert by_file["utf-16"].offset == 1 + 2 * len(lead + "x ")


def test_at_the_end_of_a_block_nothing_is_missed_or_counted_twice(tmp_path: Path) -> None:
    for at in (BLOCK - 12, BLOCK - 5, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 4):
        (tmp_path / "m").write_bytes(b"." * at + NAME.encode() + b"." * BLOCK)
        assert [(leak.offset, leak.count) for leak in leaks(tmp_path)] == [(at, 1)], at


def test_rows_that_were_deleted_are_found(tmp_path: Path) -> None:
    path = tmp_path / "m.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA secure_delete = OFF")
    connection.execute("CREATE TABLE t (x)")
    connection.executemany("INSERT INTO t VALUES (?)", [(f"{number} {NAME}",) for number in range(3)])
    connection.commit()
    connection.execute("DELETE FROM t")
    connection.commit()
    connection.close()
    assert [leak.where for leak in leaks(path)] == [""]


# Three Han signs in two bytes each are what chance writes as well.
COUNTED = sorted(name for name in ENCODED if not name.startswith(("utf-16", "gb18030")) or " as " in name)


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from(COUNTED))
def test_what_stands_readable_between_packed_bytes_is_found(seed: int, encoding: str) -> None:
    noise = random.Random(seed)
    data = b"PAR1" + noise.randbytes(3000) + b"\n" + ENCODED[encoding] + b"\n" + noise.randbytes(3000)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "m").write_bytes(data)
        kinds = {leak.kind for leak in leaks(Path(folder) / "m")} - {NOT_SEARCHED}
    assert kinds in ({"name"}, {"phone"})


def test_chance_in_compressed_bytes_is_no_leak(tmp_path: Path) -> None:
    pixels = b"\x00" + NAME.encode("gb18030") + b"\x00" + NAME.encode("utf-16-le") + b"\x00"
    (tmp_path / "m").write_bytes(b"\xff\xd8\xff\xda\x00\x02" + pixels + b"\xff\xd9")
    assert leaks(tmp_path) == []
    (tmp_path / "m").write_bytes(b"\xff\xd8\xff\xda\x00\x02" + NAME.encode() + NUMBER.encode() + b"\xff\xd9")
    assert {leak.kind for leak in leaks(tmp_path)} == {"name", "phone"}


@dataclass(frozen=True)
class LooksLike:
    start: int
    kind: str


def test_detectors_see_texts_and_never_what_is_packed(tmp_path: Path) -> None:
    seen: list[str] = []

    def detector(text: str) -> list[LooksLike]:
        seen.append(text)
        return [LooksLike(0, "phone")] if "139" in text else []

    (tmp_path / "m").write_bytes(b"13900139000")
    (tmp_path / "n").write_bytes(gzip.compress(b"call 13900139000"))
    found = list(search_directory(tmp_path, IDENTIFIERS, detectors=detector))
    assert {(leak.file, leak.kind, leak.encoding) for leak in found} == {
        ("m", "phone", "pattern"), ("n", "phone", "pattern"),
    }  # fmt: skip
    assert "call 13900139000" in seen
    assert not any("\x1f" in text for text in seen)


# --- what cannot be searched -------------------------------------------------------------------------------------


def reasons(path: Path, limits: Callable[[], Limits] = Limits) -> list[str]:
    return [leak.encoding for leak in leaks(path, limits=limits) if leak.kind == NOT_SEARCHED]


def small() -> Limits:
    return Limits(ratio=0, most_bytes=1 << 20, members=3, depth=3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(bytes(2 << 20)), "more comes out of it than is allowed"),
        (zipped(bytes(2 << 20)), "more comes out of it than is allowed"),
        (zipped(zipped(zipped(bytes(2 << 20)))), "more comes out of it than is allowed"),
        (zipped(zipped(zipped(zipped(b"")))), "packed more than 3 times"),
        (b"7z\xbc\xaf\x27\x1c....", "packed as 7z, which is not opened"),
        (gzip.compress(os.urandom(5000))[:3000], "damaged or encrypted (gzip)"),
        (zipped(b"data" * 100)[:-30], "damaged or encrypted (zip)"),
        (parquet(pa.array(["x"]))[:-9], "damaged or encrypted (parquet)"),
        (b"PAR1" + os.urandom(50) + b"\xff\xff\xff\x7fPAR1", "damaged or encrypted (parquet)"),
        (sqlite(b"x" * 9000)[:5000], "damaged or encrypted (sqlite)"),
        (bz2.compress(os.urandom(3000))[:-50], "damaged or encrypted (bzip2)"),
        (lzma.compress(os.urandom(3000))[:-50], "damaged or encrypted (xz)"),
        (tarred(b"x" * 3000)[:2000], "damaged or encrypted (tar)"),
        (b"II*\0\xff\xff\xff\x7f", "damaged or encrypted (tiff)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_limit_or_damage_hides_is_named(data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(data)
    assert reasons(tmp_path, small) == [reason]


def test_an_archive_of_too_many_members_is_named_and_its_first_ones_are_searched(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}", TEXT)
    found = leaks(tmp_path, limits=small)
    assert [leak.where for leak in found if leak.kind == "name"] == ["member 1", "member 2", "member 3"]
    assert [leak.encoding for leak in found if leak.kind == NOT_SEARCHED] == ["too many members"]


def test_an_encrypted_or_damaged_member_is_named_and_the_others_are_searched(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"x" * 50)
        archive.writestr("b", os.urandom(2000))
        archive.writestr("c", TEXT * 2)
    data = bytearray(file.getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    data[data.index(b"PK\x03\x04", 10) + 200] ^= 0xFF
    (tmp_path / "m.zip").write_bytes(data)
    found = leaks(tmp_path)
    assert {leak.encoding for leak in found if leak.where == "member 1"} == {"encrypted"}
    assert {leak.encoding for leak in found if leak.where == "member 2"} == {"damaged"}
    assert {leak.kind for leak in found if leak.where == "member 3"} == {"name"}


def test_links_pipes_and_sockets_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_text(TEXT)
    (inside / "plain").write_text("plain")
    (inside / "within").symlink_to("plain")
    (inside / "out").symlink_to(outside)
    (inside / "dangling").symlink_to(outside / NAME)
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "pipe")
    monkeypatch.chdir(inside)  # the path of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    found = {(leak.file, leak.kind, leak.where or leak.encoding) for leak in leaks(inside)}
    assert found == {
        ("out", NOT_SEARCHED, "a link to elsewhere"), ("pipe", NOT_SEARCHED, "no regular file"),
        ("socket", NOT_SEARCHED, "no regular file"), ("dangling", NOT_SEARCHED, "a link to elsewhere"),
        ("dangling", "name", "target"),
    }  # fmt: skip


def test_a_link_that_is_named_itself_is_followed(tmp_path: Path) -> None:
    (tmp_path / "m").write_text(TEXT)
    (tmp_path / "link").symlink_to("m")
    assert [leak.kind for leak in leaks(tmp_path / "link")] == ["name"]
    (tmp_path / "folder").symlink_to(".")
    assert {leak.kind for leak in leaks(tmp_path / "folder")} == {"name"}


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").write_text(TEXT)
    (tmp_path / "n").write_text(TEXT)
    opened = os.open

    def refuse(path: bytes, *args: int) -> int:
        if path.endswith(b"/m"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    monkeypatch.setattr(os, "open", refuse)
    assert {(leak.file, leak.kind, leak.encoding) for leak in leaks(tmp_path)} == {
        ("m", NOT_SEARCHED, "permission denied"), ("n", "name", "utf-8"),
    }  # fmt: skip
