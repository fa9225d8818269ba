"""Files, walks, locks and whole-or-nothing writes, on the file systems that hospitals have."""

# ruff: noqa: PTH103, PTH118, PTH120, PTH123, PTH208  paths of an archive are bytes, which pathlib refuses

import errno
import json
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pathcurate import storage
from pathcurate.errors import InputOutputError, LockedError
from pathcurate.storage import (
    Entry,
    LocalRoot,
    LocalSource,
    Skipped,
    create_exclusively,
    locked,
    path_text,
    path_uri,
    private_directory,
    replacing,
    sweep,
    walk,
    write_bytes,
)


def child(code: str, *arguments: object, cwd: Path | None = None) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd)


def found(root: Path) -> dict[bytes, str]:
    """What a walk yields: relative path to ``file`` or the kind of what was skipped."""
    return {item.relpath: "file" if isinstance(item, Entry) else item.kind for item in walk(root)}


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# --- walking -----------------------------------------------------------------------------------------------------


def test_names_in_another_encoding_hide_nothing(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    names = ["病理/二〇二三.svs".encode("gb18030"), "病理/片.svs".encode(), b"\xff\xfe/\x80.ndpi", b"a\nb/ .tif"]
    for name in names:
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "wb") as file:
            file.write(b"12345")
    assert found(tmp_path) == dict.fromkeys(names, "file")
    assert {item.size for item in walk(tmp_path) if isinstance(item, Entry)} == {5}
    assert path_text(names[0]) == "病理/二〇二三.svs"
    assert path_text(names[1]) == "病理/片.svs"
    for name in names:
        path_text(name).encode()  # no lone surrogate, which no Parquet file takes
        with LocalSource(os.path.join(root, name)) as source:
            assert source.read_at(1, 3) == b"234"


def test_what_is_no_regular_file_is_named_and_not_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.svs").write_bytes(b"x")
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "slide.svs").write_bytes(b"x")
    (root / "out").symlink_to(outside)
    (root / "out.svs").symlink_to(outside / "secret.svs")
    (root / "deep" / "loop").symlink_to(root)
    (root / "dangling").symlink_to(root / "nothing")
    os.mkfifo(root / "fifo.svs")
    expected = {
        b"slide.svs": "file", b"out": "link", b"out.svs": "link", b"deep/loop": "link", b"dangling": "link",
        b"fifo.svs": "fifo",
    }  # fmt: skip
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s.svs"))
        expected[b"s.svs"] = "socket"
        try:
            os.mknod(root / "device.svs", stat.S_IFCHR | 0o600, os.makedev(1, 3))
            expected[b"device.svs"] = "device"
        except PermissionError:
            pass
        with at_most(5):
            assert found(root) == expected
            for name in (b"fifo.svs", b"s.svs", b"out.svs", b"deep", b"dangling"):
                with pytest.raises(OSError, match=r"."):
                    LocalSource(os.path.join(os.fsencode(root), name))


def test_refused_sources_leave_no_open_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with at_most(5), pytest.raises(OSError, match="not a regular file") as caught:
            LocalSource(os.fsencode(tmp_path / "fifo"))
        assert caught.value.errno == errno.EINVAL
    assert len(os.listdir("/proc/self/fd")) == before


def test_files_come_in_one_order_whatever_the_order_of_creation(tmp_path: Path) -> None:
    names = ["b/2", "b/1", "a/z", "Z", "a/b/c", "é"]
    for seed, order in enumerate((names, sorted(names, reverse=True))):
        for name in order:
            (tmp_path / str(seed) / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / str(seed) / name).touch()
    first, second = (list(found(tmp_path / seed)) for seed in "01")
    assert first == second
    assert first == [name.encode() for name in ("Z", "é", "a/z", "a/b/c", "b/1", "b/2")]


def test_three_thousand_folders_deep(tmp_path: Path) -> None:
    handle = os.open(tmp_path, os.O_RDONLY)
    for depth in range(3000):
        os.mkdir("d", dir_fd=handle)
        deeper = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
        if depth % 600 == 599:
            os.close(os.open("slide.svs", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    try:
        items = found(tmp_path)
        files = [path for path, kind in items.items() if kind == "file"]
        # As deep as a path can be (PATH_MAX, 4,096 bytes); what lies below is reported and not lost in silence.
        assert [path.count(b"/") for path in files] == [600, 1200, 1800]
        assert sorted(items.values()) == ["file", "file", "file", "unreadable_directory"]
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_files_and_folders_that_vanish_while_they_are_listed(tmp_path: Path) -> None:
    for name in ("a.svs", "b.svs", "folder/c.svs", "kept/d.svs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def delete_one(names: object) -> set[bytes]:
        (tmp_path / "b.svs").unlink(missing_ok=True)
        return set()

    walked = walk(tmp_path, delete_one)
    items = [next(walked)]
    (tmp_path / "folder" / "c.svs").unlink()
    (tmp_path / "folder").rmdir()
    items += walked
    assert [(item.relpath, getattr(item, "kind", "file")) for item in items] == [
        (b"a.svs", "file"), (b"b.svs", "vanished"), (b"folder", "vanished"), (b"kept/d.svs", "file"),
    ]  # fmt: skip


_WALK_AS_NOBODY = """
import json, os
from pathlib import Path
from pathcurate.storage import Entry, walk
os.umask(0)
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
items = [(os.fsdecode(i.relpath), "file" if isinstance(i, Entry) else i.kind) for i in walk(Path("."))]
print(json.dumps(items))
"""


def test_folders_that_may_not_be_read(tmp_path: Path) -> None:
    for name in ("ok/1.svs", "closed/2.svs", "names_only/3.svs", "names_only/4.svs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "closed").chmod(0o000)
    (tmp_path / "names_only").chmod(0o444)
    tmp_path.chmod(0o755)
    try:
        process = child(_WALK_AS_NOBODY, cwd=tmp_path)
        items = json.loads(process.communicate(timeout=30)[0])
    finally:
        for name in ("closed", "names_only"):
            (tmp_path / name).chmod(0o755)
    # Files behind a folder that may be listed but not entered are not gone: the folder is what cannot be read.
    assert sorted(items) == [
        ["closed", "unreadable_directory"], ["names_only", "unreadable_directory"], ["ok/1.svs", "file"],
    ]  # fmt: skip


@pytest.mark.parametrize("root", ["missing", "file"])
def test_a_root_that_cannot_be_listed_is_an_error_without_its_path(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputOutputError) as caught:
        list(walk(tmp_path / root))
    assert str(tmp_path) not in str(caught.value)
    assert caught.value.exit_code == 3


def test_companions_are_marked_all_the_way_down(tmp_path: Path) -> None:
    for name in ("a.mrxs", "a/Slidedat.ini", "a/deep/Data0000.dat", "other/b.svs"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    walked = walk(tmp_path, lambda names: {b"a"} if b"a.mrxs" in set(names) else set())
    companions = {item.relpath: item.companion for item in walked if not isinstance(item, Skipped)}
    assert companions == {b"a.mrxs": False, b"a/Slidedat.ini": True, b"a/deep/Data0000.dat": True, b"other/b.svs": False}


# --- links -------------------------------------------------------------------------------------------------------


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


@pytest.mark.parametrize("link", ["a_link", "z_link"])
def test_a_link_to_a_folder_that_is_walked_anyway_is_skipped_whatever_the_order_of_names(tmp_path: Path, link: str) -> None:
    make(tmp_path, "m/deep/1.svs")
    (tmp_path / link).symlink_to(tmp_path / "m")
    (tmp_path / f"{link}_2").symlink_to("m/deep")
    (tmp_path / "m" / "deep" / "up").symlink_to("..")
    assert found(tmp_path) == {
        link.encode(): "link",
        f"{link}_2".encode(): "link",
        b"m/deep/1.svs": "file",
        b"m/deep/up": "link",
    }


def test_a_link_to_a_file_inside_is_a_file_under_its_own_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    make(tmp_path, "outside.svs", "root-2/x.svs")
    make(root, ".store/deep/ab12")
    (root / "b.svs").symlink_to(".store/deep/ab12")
    (root / "a.svs").symlink_to("b.svs")
    (root / "out.svs").symlink_to("../outside.svs")
    (root / "sibling.svs").symlink_to("../root-2/x.svs")
    (root / "one").symlink_to("two")
    (root / "two").symlink_to("one")
    (root / "through").symlink_to("/proc/self/cwd")
    expected = {b".store/deep/ab12": "file", b"a.svs": "file", b"b.svs": "file"}
    links = dict.fromkeys((b"one", b"two", b"out.svs", b"sibling.svs", b"through"), "link")
    assert found(root) == expected | links
    sizes = {item.size for item in walk(root) if isinstance(item, Entry)}
    assert sizes == {len(".store/deep/ab12")}
    archive = LocalRoot(os.fsencode(root))
    with archive.open(b"a.svs") as source:
        assert (source.name, source.local_path) == ("a.svs", os.fsencode(root / ".store/deep/ab12"))
        assert source.read_at(0, 99) == b".store/deep/ab12"
    for name in (b"out.svs", b"sibling.svs", b"one", b"../outside.svs", b"../root-2/x.svs"):
        with pytest.raises(OSError, match="link") as caught:
            archive.open(name)
        assert caught.value.errno == errno.ELOOP


def test_a_root_that_is_itself_reached_through_a_link(tmp_path: Path) -> None:
    make(tmp_path, "real/folder/1.svs")
    (tmp_path / "real/2.svs").symlink_to("folder/1.svs")
    (tmp_path / "mounted").symlink_to("real")
    root = LocalRoot(os.fsencode(tmp_path / "mounted"))
    assert found(tmp_path / "mounted") == {b"2.svs": "file", b"folder/1.svs": "file"}
    for name in (b"2.svs", b"folder/1.svs"):
        with root.open(name) as source:
            assert source.read_at(0, 4) == b"real"
    # The name is given to another volume while the program runs.
    make(tmp_path, "other/folder/1.svs")
    (tmp_path / "mounted").unlink()
    (tmp_path / "mounted").symlink_to("other")
    with root.open(b"folder/1.svs") as source:
        assert source.read_at(0, 5) == b"other"


def test_a_folder_that_becomes_a_link_out_of_the_root_after_it_was_listed_is_not_read_through(tmp_path: Path) -> None:
    make(tmp_path, "root/folder/1.svs", "elsewhere/1.svs", "elsewhere/deep/2.svs")
    root = LocalRoot(os.fsencode(tmp_path / "root"))
    names = [item.relpath for item in root.walk(lambda _: set())]
    assert names == [b"folder/1.svs"]
    (tmp_path / "root/folder/1.svs").unlink()
    (tmp_path / "root/folder").rmdir()
    (tmp_path / "root/folder").symlink_to(tmp_path / "elsewhere")
    for name in (b"folder/1.svs", b"folder/deep/2.svs"):
        with at_most(5), pytest.raises(OSError, match="out of the archive root"):
            root.open(name)
    make(tmp_path, "root/3.svs")
    with root.open(b"3.svs") as source, pytest.raises(OSError, match="out of the archive root"):
        source.beside(b"folder/1.svs")


def test_no_refused_link_leaves_an_open_file(tmp_path: Path) -> None:
    make(tmp_path, "outside.svs", "root/1.svs")
    (tmp_path / "root/out.svs").symlink_to("../outside.svs")
    root = LocalRoot(os.fsencode(tmp_path / "root"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(OSError, match="out of the archive root"):
            root.open(b"out.svs")
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_belongs_to_a_slide_lies_beside_its_link_or_beside_what_that_leads_to(tmp_path: Path) -> None:
    make(tmp_path, "store/x.mrxs", "store/x/Slidedat.ini", "views/x/Slidedat.ini", "store/only/Index.dat")
    (tmp_path / "views/x.mrxs").symlink_to("../store/x.mrxs")
    with LocalRoot(os.fsencode(tmp_path)).open(b"views/x.mrxs") as source:
        with source.beside(b"x/Slidedat.ini") as companion:
            assert companion.read_at(0, 5) == b"views"
        with source.beside(b"only/Index.dat") as companion:
            assert companion.read_at(0, 5) == b"store"
        with pytest.raises(FileNotFoundError):
            source.beside(b"x/nothing")


_WALK_BEHIND_A_CLOSED_FOLDER = """
import json, os
from pathlib import Path
from pathcurate.storage import Entry, LocalRoot, walk
os.umask(0)
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
root = os.getcwd()
items = [(os.fsdecode(i.relpath), "file" if isinstance(i, Entry) else i.kind) for i in walk(Path(root))]
with LocalRoot(os.fsencode(root)).open(b"a_link/1.svs") as source:
    items.append((source.name, source.read_at(0, 99).decode()))
print(json.dumps(items))
"""


def test_a_link_is_the_only_way_to_a_folder_behind_one_that_may_not_be_listed() -> None:
    # Not below pytest's directory, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make(root, "closed/case/1.svs")
        (root / "a_link").symlink_to("closed/case")
        (root / "b_link").symlink_to("closed/case")
        (root / "closed").chmod(0o711)
        root.chmod(0o755)
        process = child(_WALK_BEHIND_A_CLOSED_FOLDER, cwd=root)
        items = json.loads(process.communicate(timeout=30)[0])
        (root / "closed").chmod(0o755)
    assert sorted(items[:-1]) == [
        ["a_link/1.svs", "file"], ["b_link", "repeated_directory"], ["closed", "unreadable_directory"],
    ]  # fmt: skip
    assert items[-1] == ["1.svs", "closed/case/1.svs"]


def test_folders_walked_are_known_again_however_many_there_are() -> None:
    walked = storage._Inodes()
    numbers = random.Random(5).sample(range(1, 1 << 62), 150_000)
    for number in numbers:
        assert walked.add(os.stat_result((0, number, 7, *[0] * 7)))
    for number in (*numbers[:500], *numbers[-500:]):
        assert not walked.add(os.stat_result((0, number, 7, *[0] * 7)))
        assert walked.add(os.stat_result((0, number, 8, *[0] * 7)))
    assert walked.add(os.stat_result((0, 0, 7, *[0] * 7)))
    assert walked.add(os.stat_result((0, 0, 7, *[0] * 7)))


# --- files that lie elsewhere, or change -------------------------------------------------------------------------


def test_a_file_without_blocks_is_offline_and_one_with_holes_is_not(tmp_path: Path) -> None:
    for name, size in (("stub.svs", 5_000_000), ("small.svs", 4096), ("sparse.svs", 5_000_000), ("empty.svs", 0)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    with (tmp_path / "sparse.svs").open("r+b") as file:
        file.write(b"II*\0")
        os.fsync(file.fileno())
    if (tmp_path / "stub.svs").stat().st_blocks:
        pytest.skip("this file system gives blocks to holes")
    states = {item.relpath: item.is_offline for item in walk(tmp_path) if isinstance(item, Entry)}
    assert states == {b"stub.svs": True, b"small.svs": False, b"sparse.svs": False, b"empty.svs": False}


@pytest.mark.parametrize("change", ["grown", "cut", "rewritten"])
def test_a_file_that_is_written_to_while_it_is_open_has_changed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "slide.svs"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(1, 1))
    with LocalRoot(os.fsencode(tmp_path)).open(b"slide.svs") as source:
        source.read_at(0, 4)
        assert not source.changed()
        match change:
            case "grown":
                with path.open("ab") as file:
                    file.write(b"more")
                os.utime(path, ns=(1, 1))
            case "cut":
                os.truncate(path, 5)
                os.utime(path, ns=(1, 1))
            case "rewritten":
                with path.open("r+b") as file:
                    file.write(b"x")
        assert source.changed()


def test_a_file_that_another_takes_the_place_of_is_read_as_it_was(tmp_path: Path) -> None:
    make(tmp_path, "slide.svs", "new.svs")
    with LocalRoot(os.fsencode(tmp_path)).open(b"slide.svs") as source:
        (tmp_path / "new.svs").replace(tmp_path / "slide.svs")
        assert source.read_at(0, 99) == b"slide.svs"
        assert not source.changed()


def test_reading_past_the_end_is_short_and_not_an_error(tmp_path: Path) -> None:
    path = tmp_path / "slide"
    path.write_bytes(bytes(range(10)))
    with LocalSource(os.fsencode(path)) as source:
        assert (source.size, source.name, source.local_path) == (10, "slide", os.fsencode(path))
        assert [source.read_at(8, 5), source.read_at(10, 1), source.read_at(1 << 40, 1), source.read_at(0, 0)] == [
            b"\x08\x09", b"", b"", b"",
        ]  # fmt: skip
        os.truncate(path, 4)
        assert source.read_at(2, 8) == b"\x02\x03"


def test_an_address_keeps_every_byte() -> None:
    assert path_uri(b"/a b/\xff%.svs") == "file:///a%20b/%FF%25.svs"


# --- writing whole or not at all ---------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "table"
    write_bytes(path, b"old")

    def fail() -> None:
        with replacing(path) as temporary:
            temporary.write_bytes(b"half of the n")
            raise failure

    with pytest.raises(failure):
        fail()
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_a_file_in_place_of_a_folder_is_refused_and_leaves_no_temporary(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    with pytest.raises(OSError, match=r"."):
        write_bytes(tmp_path / "table", b"new")
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_permission_bits_do_not_hang_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_bytes(tmp_path / "public", b"")
        write_bytes(tmp_path / "private", b"", mode=0o600)
        private_directory(tmp_path / "vault")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"public": 0o644, "private": 0o600, "vault": 0o700}


def test_an_open_directory_is_closed(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir(mode=0o755)
    assert stat.S_IMODE(private_directory(tmp_path / "vault").stat().st_mode) == 0o700


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
from pathcurate.storage import write_bytes
path = Path(sys.argv[1])
print("go", flush=True)
for number in range(1_000_000):
    write_bytes(path, b"%06d" % number * 20_000)
"""


def test_a_writer_killed_at_any_moment_leaves_old_or_new(tmp_path: Path) -> None:
    path = tmp_path / "table"
    write_bytes(path, b"000000" * 20_000)
    rng = random.Random(7)
    seen = set()
    for attempt in range(40):
        process = child(_WRITE_FOR_EVER, path)
        assert process.stdout is not None
        process.stdout.readline()
        # Longer each time, for a disk so busy that nothing is written before the kill.
        time.sleep(rng.uniform(0, 0.06) * (1 + attempt // 6))
        process.kill()
        process.communicate()
        content = path.read_bytes()
        assert content == content[:6] * 20_000
        seen.add(content[:6])
        if attempt >= 5 and len(seen) > 1:
            break
    assert len(seen) > 1
    sweep(path)
    assert [item.name for item in tmp_path.iterdir()] == ["table"]


def test_a_sweep_takes_only_what_was_left_of_that_file(tmp_path: Path) -> None:
    others = {"slides.parquet", ".other.parquet.abc", "slides.parquet.abc", ".slides.parquet"}
    for name in (*others, ".slides.parquet.k3j2h1"):
        (tmp_path / name).touch()
    sweep(tmp_path / "slides.parquet")
    assert {item.name for item in tmp_path.iterdir()} == others


_RACE = """
import json, os, sys
from pathlib import Path
from pathcurate.storage import create_exclusively
root, me = Path(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps([create_exclusively(root / str(n), me.encode() * 1000) for n in range(100)]))
"""


def test_one_name_and_many_processes_make_one_winner(tmp_path: Path) -> None:
    processes = [child(_RACE, tmp_path, name) for name in "abcd"]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    won = [json.loads(process.communicate(timeout=30)[0]) for process in processes]
    for number in range(100):
        winners = [name for name, wins in zip("abcd", won, strict=True) if wins[number]]
        assert len(winners) == 1
        assert (tmp_path / str(number)).read_bytes() == winners[0].encode() * 1000
    assert len(list(tmp_path.iterdir())) == 100


def test_a_name_that_is_taken_is_not_touched(tmp_path: Path) -> None:
    assert create_exclusively(tmp_path / "key", b"first")
    assert not create_exclusively(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert len(list(tmp_path.iterdir())) == 1


# --- locks -------------------------------------------------------------------------------------------------------

_HOLD = """
import sys
from pathlib import Path
from pathcurate.storage import locked
with locked(Path(sys.argv[1]), "scan"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_run_learns_who_holds_the_workspace(tmp_path: Path) -> None:
    holder = child(_HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(LockedError) as caught, locked(tmp_path, "link"):
        pytest.fail("two runs hold one workspace")
    assert f"`pathcurate scan` (process {holder.pid}, since " in caught.value.message
    assert caught.value.exit_code == 14
    holder.kill()
    holder.communicate()
    with locked(tmp_path, "link"):
        note = json.loads((tmp_path / ".lock").read_bytes())
        assert (note["command"], note["pid"]) == ("link", os.getpid())


def test_a_lock_ends_with_its_block_however_that_ends(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path, "scan"):
            raise ValueError

    for _ in range(3):
        with pytest.raises(ValueError, match=r"^$"):
            fail()


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b"7", b'"x"', b"{}", b"\xff\xfe", b"null"])
def test_a_note_that_says_nothing_still_refuses(tmp_path: Path, note: bytes) -> None:
    with locked(tmp_path, "scan"):
        (tmp_path / ".lock").write_bytes(note)
        with pytest.raises(LockedError, match="in use by another run"), locked(tmp_path, "link"):
            pytest.fail("two runs hold one workspace")
