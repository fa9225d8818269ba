"""Volumes on their way: killed runs, full and unplugged disks, bits that flip, other people's files."""

import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pathcurate.delivering import sending, targets
from pathcurate.delivering.journal import JOURNAL_FILE, read_journal
from pathcurate.delivering.sending import announce, send
from pathcurate.delivering.targets import DirectoryTarget, Target, target_of
from pathcurate.delivering.volumes import Volume, plan
from pathcurate.errors import DigestMismatchError, InputOutputError, LockedError, UsageError
from pathcurate.model.delivery import VOLUME_LIST, VolumeEntry
from pathcurate.storage import locked
from tests.unit.test_volumes import KEY, inner, members_in, opened

CONTENT = {"data/slides.parquet": b"PAR1" * 50, **{f"slides/S-{one}.svs": bytes([one]) * 40_000 for one in range(1, 5)}}
SIZE = 100_000
DOCUMENTS = {"DELIVERY.json": b"{}\n", "delivery.dsse.json": b"[]\n"}


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return members_in(tmp_path_factory.mktemp("files"), CONTENT)


@pytest.fixture(scope="module")
def planned(members: dict[str, Path]) -> tuple[Volume, ...]:
    found = plan(members, size=SIZE, is_encrypted=True)
    assert len(found) == 2
    return found


@pytest.fixture
def target(tmp_path: Path) -> DirectoryTarget:
    return DirectoryTarget(tmp_path / "disk")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path / "work"


def check_whole(directory: Path, work: Path, volumes: tuple[VolumeEntry, ...]) -> None:
    """Everything is at the target, byte-right, and nothing else is; the real ``sha256sum`` says so too."""
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", VOLUME_LIST], cwd=directory, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    listed = {line.split("  ")[1] for line in (directory / VOLUME_LIST).read_text().splitlines()}
    names = {"README.txt", "check.ps1", *DOCUMENTS, *(one.name for one in volumes)}
    assert listed == names
    assert {path.name for path in directory.iterdir()} == {*names, VOLUME_LIST}
    found: dict[str, bytes] = {}
    for one in volumes:
        found |= inner(opened(directory / one.name))
        assert hashlib.sha256((directory / one.name).read_bytes()).hexdigest() == one.sha256
    found.pop("manifest-sha256.txt")
    assert found == CONTENT
    assert {path.name for path in work.iterdir()} <= {JOURNAL_FILE, ".lock"}


def test_a_delivery_arrives_and_a_second_call_changes_nothing(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    told: list[tuple[int, int]] = []
    volumes = send(planned, target, KEY, work, progress=lambda done, total: told.append((done, total)))
    assert (told[0][0], told[-1][0]) == (0, told[-1][1])
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)
    before = {path.name: path.stat().st_mtime_ns for path in target.path.iterdir()}
    assert send(planned, target, KEY, work) == volumes
    announce(target, work, DOCUMENTS, volumes)
    assert {path.name: path.stat().st_mtime_ns for path in target.path.iterdir()} == before


# --- Kills -------------------------------------------------------------------------------------------------------


def _killed(call: Callable[[], object], patch: Callable[[pytest.MonkeyPatch], None]) -> None:
    """Run in another process, which is killed at some point of it."""

    def run() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            patch(monkeypatch)
            call()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def _die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def _while_a_volume_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sending.write_volume

    def write(volume: Volume, staged: Path, key: str | None, **options: Any) -> VolumeEntry:
        return original(volume, staged, key, progress=lambda done: _die() if done > 50_000 else None)

    monkeypatch.setattr(sending, "write_volume", write)


def _after_a_volume_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    original = sending.write_volume

    def write(*given: Any, **options: Any) -> VolumeEntry:
        original(*given, **options)
        return _die()  # type: ignore[no-any-return]

    monkeypatch.setattr(sending, "write_volume", write)


def _while_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    original, calls = targets._write, []

    def write(out: Any, piece: bytes) -> None:
        original(out, piece)
        calls.append(piece)
        if len(calls) > 20:
            _die()

    monkeypatch.setattr(targets, "PIECE", 3000)
    monkeypatch.setattr(targets, "_write", write)


def _before_it_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(self: DirectoryTarget, part: Path, name: str) -> None:
        part.replace(self.path / name) if "volume" not in name else _die()

    monkeypatch.setattr(DirectoryTarget, "_rename", rename)


def _between_name_and_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    original = DirectoryTarget.lay

    def lay(self: DirectoryTarget, *given: Any) -> None:
        original(self, *given)
        _die()

    monkeypatch.setattr(DirectoryTarget, "lay", lay)


def _after_the_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    original = DirectoryTarget.write

    def write(self: DirectoryTarget, *given: Any) -> None:
        original(self, *given)
        _die()

    monkeypatch.setattr(DirectoryTarget, "write", write)


_POINTS = [_while_a_volume_is_written, _after_a_volume_is_written, _while_it_is_copied, _before_it_has_its_name,
           _between_name_and_journal, _after_the_mark]  # fmt: skip


@pytest.mark.parametrize("first", _POINTS)
@pytest.mark.parametrize("second", [_while_it_is_copied, _between_name_and_journal])
def test_two_kills_and_the_same_command_gives_right_volumes(
    first: Any, second: Any, planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    for patch in (first, second):
        _killed(lambda: send(planned, target, KEY, work), patch)
        for path in target.path.glob("volume-*.age"):
            # What has its name is whole, at any moment.
            inner(opened(path))
        assert not (target.path / "DELIVERY.json").exists()
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


def test_what_was_copied_before_a_kill_is_not_copied_again(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _killed(lambda: send(planned, target, KEY, work), _while_it_is_copied)
    part = target.path / "volume-0001.tar.age.part"
    there = part.read_bytes()
    assert len(there) > 50_000
    written: list[bytes] = []
    original = targets._write
    monkeypatch.setattr(targets, "_write", lambda out, piece: written.append(piece) or original(out, piece))
    first = send(planned[:1], target, KEY, work)[0]
    assert b"".join(written) == (target.path / first.name).read_bytes()[len(there) :]


def test_a_part_with_other_bytes_is_not_gone_on_with(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    _killed(lambda: send(planned, target, KEY, work), _while_it_is_copied)
    part = target.path / "volume-0001.tar.age.part"
    part.write_bytes(b"x" + part.read_bytes()[1:])
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_kill_while_documents_are_written_is_gone_on_from(
    count: int, planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    volumes = send(planned, target, KEY, work)

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        original, calls = DirectoryTarget.write, []

        def write(self: DirectoryTarget, *given: Any) -> None:
            original(self, *given)
            calls.append(given)
            if len(calls) == count:
                _die()

        monkeypatch.setattr(DirectoryTarget, "write", write)

    _killed(lambda: announce(target, work, DOCUMENTS, volumes), patch)
    assert send(planned, target, KEY, work) == volumes
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


# --- The target fails --------------------------------------------------------------------------------------------


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectoryTarget, "free", lambda self: 1000)
    with pytest.raises(InputOutputError, match="has room for 1,000 bytes"):
        send(planned, target, KEY, work)
    assert not list(target.path.glob("volume*"))


@pytest.mark.parametrize(("number", "match"), [
    (errno.ENOSPC, "is full"), (errno.EIO, "was unplugged"), (errno.EROFS, "read-only"), (errno.ENODEV, "is gone"),
])  # fmt: skip
def test_a_disk_that_fails_midway_is_told_and_the_same_command_goes_on(
    number: int, match: str, planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    original, written = targets._write, [0]

    def write(out: Any, piece: bytes) -> None:
        original(out, piece)
        written[0] += len(piece)
        if written[0] > SIZE:
            raise OSError(number, os.strerror(number), "/media/patient 王五")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(targets, "PIECE", 3000)
        patch.setattr(targets, "_write", write)
        with pytest.raises(InputOutputError, match=match) as failed:
            send(planned, target, KEY, work)
    assert "1 volumes are there, whole" in str(failed.value)
    assert "王五" not in str(failed.value)
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for one volume."""
    place = tmp_path / "mounted"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", str(place)]
    if os.geteuid() or shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_disk_that_is_really_full_holds_nothing_half_done(
    small_disk: Path, planned: tuple[Volume, ...], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DirectoryTarget, "free", lambda self: None)
    with pytest.raises(InputOutputError, match="is full"):
        send(planned, DirectoryTarget(small_disk), KEY, work)
    for path in small_disk.glob("volume-*.age"):
        inner(opened(path))
    assert not (small_disk / "DELIVERY.json").exists()
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    volumes = send(planned, DirectoryTarget(small_disk), KEY, work)
    announce(DirectoryTarget(small_disk), work, DOCUMENTS, volumes)
    check_whole(small_disk, work, volumes)


def test_a_read_only_disk_is_told(small_disk: Path, planned: tuple[Volume, ...], work: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputOutputError, match="read-only"):
        send(planned, DirectoryTarget(small_disk), KEY, work)


def test_an_unplugged_disk_is_told_and_what_is_in_its_place_is_not_written_to(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    send(planned[:1], target, KEY, work)
    away = target.path.rename(target.path.parent / "away")
    with pytest.raises(InputOutputError, match="is gone"):
        send(planned, target, KEY, work)
    target.path.mkdir()  # what a mount point looks like
    with pytest.raises(InputOutputError, match="not where this delivery began"):
        send(planned, target, KEY, work)
    assert list(target.path.iterdir()) == []
    target.path.rmdir()
    away.rename(target.path)
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)
    target.path.rename(away)
    target.path.mkdir()
    with pytest.raises(InputOutputError, match="not where this delivery began"):
        announce(target, work, DOCUMENTS, volumes)


def test_a_disk_that_is_swapped_between_two_volumes_is_noticed(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DirectoryTarget.lay

    def lay(self: DirectoryTarget, *given: Any) -> None:
        original(self, *given)
        self.path.rename(self.path.parent / "away")
        self.path.mkdir()

    monkeypatch.setattr(DirectoryTarget, "lay", lay)
    with pytest.raises(InputOutputError, match="not where this delivery began"):
        send(planned, target, KEY, work)
    assert list(target.path.iterdir()) == []


def test_the_folder_of_the_target_must_be_there(planned: tuple[Volume, ...], tmp_path: Path, work: Path) -> None:
    with pytest.raises(InputOutputError, match="is gone"):
        send(planned, DirectoryTarget(tmp_path / "no" / "disk"), KEY, work)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputOutputError, match="no directory"):
        send(planned, DirectoryTarget(tmp_path / "file"), KEY, work)


def test_a_bit_that_flips_on_the_disk_is_found_by_reading_back(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.fsync

    def fsync(handle: int) -> None:
        original(handle)
        if Path(f"/proc/self/fd/{handle}").readlink().name == "volume-0002.tar.age.part":
            (byte,) = os.pread(handle, 1, 5000)
            os.pwrite(handle, bytes([byte ^ 1]), 5000)

    with monkeypatch.context() as patch:
        patch.setattr(targets.os, "fsync", fsync)
        with pytest.raises(DigestMismatchError, match=r"other bytes of volume-0002\.tar\.age"):
            send(planned, target, KEY, work)
    assert {path.name for path in target.path.glob("volume*")} == {"volume-0001.tar.age"}
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


def test_no_room_for_a_volume_at_work_is_told_as_such(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any, **__: Any) -> VolumeEntry:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(sending, "write_volume", write)
    with pytest.raises(InputOutputError, match=r"work files.*needs room for one volume"):
        send(planned, target, KEY, work)


# --- Others ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["holiday.jpg", "volume-0001.tar.age", "DELIVERY.json", "folder/x", "delivery-under-way-x.txt"]
)
def test_files_of_somebody_else_at_the_target_are_refused(
    name: str, planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    (target.path / name).parent.mkdir(parents=True)
    (target.path / name).write_bytes(b"theirs")
    with pytest.raises(InputOutputError, match="1 files or folders that are not of this delivery"):
        send(planned, target, KEY, work)
    assert (target.path / name).read_bytes() == b"theirs"
    assert len([path for path in target.path.rglob("*") if path.is_file()]) == 1


def test_what_a_system_puts_onto_disks_is_no_hindrance(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    (target.path / "System Volume Information").mkdir(parents=True)
    (target.path / ".Trash-1000").mkdir()
    assert len(send(planned, target, KEY, work)) == 2


def test_two_deliveries_to_one_target_are_not_mixed(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, tmp_path: Path
) -> None:
    send(planned[:1], target, KEY, work)
    before = sorted(target.path.iterdir())
    with pytest.raises(InputOutputError, match="not of this delivery"):
        send(planned, target, KEY, tmp_path / "work2")
    assert sorted(target.path.iterdir()) == before


def test_two_that_begin_at_once_do_not_both_go_on(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DirectoryTarget.write

    def write(self: DirectoryTarget, name: str, content: bytes) -> None:
        # The other one has looked before, and writes its mark now.
        original(self, "delivery-under-way-" + "0" * 32 + ".txt", content)
        original(self, name, content)

    monkeypatch.setattr(DirectoryTarget, "write", write)
    with pytest.raises(InputOutputError, match="not of this delivery"):
        send(planned, target, KEY, work)
    assert {path.name for path in target.path.iterdir()} == {"delivery-under-way-" + "0" * 32 + ".txt"}


def test_two_runs_of_one_delivery_exclude_one_another(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    work.mkdir()
    with locked(work, "product deliver"), pytest.raises(LockedError):
        send(planned, target, KEY, work)
    assert not target.path.exists()


def test_a_damaged_journal_is_told(planned: tuple[Volume, ...], target: DirectoryTarget, work: Path) -> None:
    send(planned, target, KEY, work)
    with pytest.raises(InputOutputError, match="another target"):
        send(planned, DirectoryTarget(work.parent / "other"), KEY, work)
    (work / JOURNAL_FILE).write_text("{")
    with pytest.raises(InputOutputError, match="cannot be read"):
        send(planned, target, KEY, work)


def test_a_new_plan_keeps_what_is_the_same_and_takes_away_the_rest(
    planned: tuple[Volume, ...], members: dict[str, Path], target: DirectoryTarget, work: Path, tmp_path: Path
) -> None:
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    less = members_in(
        tmp_path / "less", {path: data for path, data in CONTENT.items() if "S-4" not in path and "S-3" not in path}
    )
    again = plan(less, size=SIZE, is_encrypted=True)
    assert len(again) == 1
    new = send(again, target, KEY, work)
    assert not (target.path / VOLUME_LIST).exists()
    announce(target, work, DOCUMENTS, new)
    assert {path.name for path in target.path.glob("volume-*.age")} == {new[0].name}
    assert new[0].sha256 != volumes[0].sha256
    assert read_journal(work, str(target)).volumes.keys() == {new[0].name}
    assert "S-3" not in str(inner(opened(target.path / new[0].name)).keys())


def test_a_volume_that_vanished_afterwards_is_sent_again(
    planned: tuple[Volume, ...], target: DirectoryTarget, work: Path
) -> None:
    announce(target, work, DOCUMENTS, send(planned, target, KEY, work))
    (target.path / "volume-0002.tar.age").unlink()
    volumes = send(planned, target, KEY, work)
    announce(target, work, DOCUMENTS, volumes)
    check_whole(target.path, work, volumes)


def test_places_are_named_alike(tmp_path: Path) -> None:
    assert str(target_of("disk/", tmp_path)) == str(target_of(f"{tmp_path}/x/../disk", tmp_path)) == f"{tmp_path}/disk"
    assert str(target_of("s3://bucket/a/b/", tmp_path)) == "s3://bucket/a/b"


@pytest.mark.parametrize(("text", "options"), [
    ("s3://user:secret@bucket/a", {}), ("ftp://host/a", {}), ("s3://b", {}), ("disk", {"endpoint": "https://host"}),
    ("s3://bucket/a", {"endpoint": "https://user:secret@host"}),
])  # fmt: skip
def test_what_is_no_place_is_refused(text: str, options: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        target_of(text, tmp_path, **options)
    assert "secret" not in str(refused.value)


def test_the_script_for_windows_is_plain(planned: tuple[Volume, ...], target: Target, work: Path) -> None:
    announce(target, work, DOCUMENTS, send(planned, target, KEY, work))
    script = (work.parent / "disk" / "check.ps1").read_bytes()
    assert script.isascii()
    assert script.count(b"\n") == script.count(b"\r\n") > 20
    text = script.decode()
    # What Windows PowerShell 5.1 does not know, or reads otherwise.
    assert not any(later in text for later in ("??", "&&", "||", "? ", "-Parallel", "`", "\t"))
    for left, right in ("()", "{}", "[]"):
        assert text.count(left) == text.count(right)
    assert text.count("'") % 2 == 0
    assert "Get-FileHash -LiteralPath $path -Algorithm SHA256" in text
    assert (work.parent / "disk" / "README.txt").read_bytes().startswith(b"\xef\xbb\xbf")
