"""What goes into which volume, and what a volume is: tar by its own rules, age by another's program."""

import hashlib
import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.delivering import volumes
from pathcurate.delivering.volumes import Member, Volume, encrypted_size, plan, write_volume
from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.delivery import CONTENTS_LIST

IDENTITY = pyrage.x25519.Identity.generate()
KEY = str(IDENTITY.to_public())


def members_in(directory: Path, content: Mapping[str, bytes]) -> dict[str, Path]:
    """Files, and the list of them."""
    lines = [f"{hashlib.sha256(data).hexdigest()}  {path}\n" for path, data in sorted(content.items())]
    for path, data in {**content, CONTENTS_LIST: "".join(lines).encode()}.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    return {path: directory / path for path in (*content, CONTENTS_LIST)}


CONTENT = {
    "data/slides.parquet": b"PAR1" * 50, "slides/S-1.svs": b"a" * 3000, "slides/S-2.mrxs": b"", "zz.txt": b"z" * 511,
    "slides/S-2/" + "long/" * 30 + "Data0000.dat": b"c" * 70_000, "dicom/S-3/I-1.dcm": b"d" * 512,
}  # fmt: skip


@pytest.fixture
def members(tmp_path: Path) -> dict[str, Path]:
    return members_in(tmp_path / "files", CONTENT)


# --- Planning ----------------------------------------------------------------------------------------------------

_NAMES = st.from_regex(r"(?:data|slides|dicom|x)/[a-z0-9]{1,6}(?:\.[a-z]{1,3})?", fullmatch=True).filter(
    lambda path: (
        path.split("/")[1].split(".")[0] not in {"con", "prn", "aux", "nul"} and "com" not in path and "lpt" not in path
    )
)
_SIZES = st.one_of(st.integers(0, 3000), st.integers(0, 1 << 40))


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(_NAMES, _SIZES, max_size=25), st.integers(1, 1 << 41), st.booleans())
def test_each_file_is_in_one_volume_and_each_volume_within_its_size(
    sizes: dict[str, int], size: int, is_encrypted: bool
) -> None:
    found = [Member(path, Path(path), count, "sha256:" + "0" * 64) for path, count in sizes.items()]
    found.insert(0, Member(CONTENTS_LIST, Path("x"), 80 * len(sizes), "sha256:" + "0" * 64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(volumes, "_read", lambda given: found)
        try:
            planned = plan({}, size=size, is_encrypted=is_encrypted)
        except UsageError as error:
            # It was right to refuse, and what it tells to give is enough.
            least = int(error.hint.split("--volume-size ")[1].split(" ")[0])
            assert least > size
            plan({}, size=least, is_encrypted=is_encrypted)
            return
    assert [member.path for volume in planned for member in volume.members] == [member.path for member in found]
    assert all(volume.members for volume in planned)
    for volume in planned:
        assert volume.tar_bytes % 512 == 0
        assert encrypted_size(volume.tar_bytes, is_encrypted) <= size
    assert len({volume.name for volume in planned}) == len(planned)


def test_the_list_comes_first_then_tables_then_slides_whatever_the_order(members: dict[str, Path]) -> None:
    planned = plan(members, size=1 << 30, is_encrypted=True)
    assert planned == plan(dict(reversed(members.items())), size=1 << 30, is_encrypted=True)
    paths = [member.path for member in planned[0].members]
    assert paths[:3] == [CONTENTS_LIST, "data/slides.parquet", "zz.txt"]
    assert [path.split("/")[0] for path in paths[3:]] == ["dicom", "slides", "slides", "slides"]
    assert planned[0].name == "volume-0001.tar.age"


def test_a_file_larger_than_a_volume_is_refused_with_the_size_that_it_takes(members: dict[str, Path]) -> None:
    with pytest.raises(UsageError) as refused:
        plan(members, size=60_000, is_encrypted=True)
    least = int(refused.value.hint.split()[2])
    assert len(plan(members, size=least, is_encrypted=True)) == 2
    with pytest.raises(UsageError):
        plan(members, size=least - 1, is_encrypted=True)


@pytest.mark.parametrize("path", [
    "../x", "/etc/x", "a//b", "a b", "a/../b", "slides/\n", "slides/片.svs", "con.svs", "a/nul", "DELIVERY.json",
    "receipt.JSON", "volume-0001.tar", "deletion.1.json", "a./b", "x" * 241, "-rf",
])  # fmt: skip
def test_a_path_that_some_system_cannot_have_is_refused(path: str, members: dict[str, Path]) -> None:
    with pytest.raises(InputOutputError, match="not every system") as refused:
        plan({**members, path: members[CONTENTS_LIST]}, size=1 << 30, is_encrypted=True)
    assert path not in str(refused.value)


@pytest.mark.parametrize(("path", "match"), [("SLIDES/S-9.svs", "case only"), ("data/SLIDES.parquet", "case only"),
                                             ("data", "of a folder"), ("Data", "of a folder"),
                                             ("zz.txt/a", "of a folder")])  # fmt: skip
def test_paths_that_are_one_on_some_system_are_refused(path: str, match: str, members: dict[str, Path]) -> None:
    with pytest.raises(InputOutputError, match=match):
        plan({**members, path: members[CONTENTS_LIST]}, size=1 << 30, is_encrypted=True)


def test_what_the_list_does_not_name_is_not_planned(members: dict[str, Path]) -> None:
    with pytest.raises(DigestMismatchError):
        plan({**members, "slides/S-7.svs": members["zz.txt"]}, size=1 << 30, is_encrypted=True)
    del members["zz.txt"]
    with pytest.raises(DigestMismatchError):
        plan(members, size=1 << 30, is_encrypted=True)


# --- Making ------------------------------------------------------------------------------------------------------


def opened(file: Path) -> bytes:
    """The archive in a volume."""
    return pyrage.decrypt(file.read_bytes(), [IDENTITY]) if file.suffix == ".age" else file.read_bytes()


def inner(archive: bytes) -> dict[str, bytes]:
    """Files of an archive, read by another reader than ours."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
@pytest.mark.parametrize("size", [80_000, 1 << 20])
def test_volumes_hold_the_files_and_are_no_larger_than_said(
    key: str | None, size: int, members: dict[str, Path], tmp_path: Path
) -> None:
    found: dict[str, bytes] = {}
    for volume in plan(members, size=size, is_encrypted=key is not None):
        entry = write_volume(volume, tmp_path / volume.name, key)
        data = (tmp_path / volume.name).read_bytes()
        assert (entry.bytes, entry.sha256, entry.files) == (len(data), hashlib.sha256(data).hexdigest(), len(volume.members))
        assert entry.bytes <= encrypted_size(volume.tar_bytes, key is not None) <= size
        archive = opened(tmp_path / volume.name)
        assert len(archive) == volume.tar_bytes
        found |= inner(archive)
    assert found == {path: file.read_bytes() for path, file in members.items()}


def test_a_plain_volume_is_the_same_each_time_and_says_nothing_of_who_made_it(
    members: dict[str, Path], tmp_path: Path
) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=False)
    first = write_volume(volume, tmp_path / "a", None)
    members["zz.txt"].touch()
    members["zz.txt"].chmod(0o600)
    assert write_volume(volume, tmp_path / "b", None) == first
    with tarfile.open(tmp_path / "a") as tar:
        assert {(one.uid, one.gid, one.uname, one.gname, one.mtime, one.mode) for one in tar} == {(0, 0, "", "", 0, 0o644)}


def test_gnu_tar_and_sha256sum_read_it(members: dict[str, Path], tmp_path: Path) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=False)
    write_volume(volume, tmp_path / "volume.tar", None)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", tmp_path / "volume.tar", "-C", out], check=True)
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", CONTENTS_LIST], cwd=out, capture_output=True, check=True, text=True
    )
    assert checked.stdout.count(": OK\n") == len(CONTENT)


def test_the_age_program_opens_it(members: dict[str, Path], tmp_path: Path) -> None:
    if shutil.which("age") is None:
        pytest.skip("the age program is not installed")
    (volume,) = plan(members, size=1 << 30, is_encrypted=True)
    write_volume(volume, tmp_path / "v.tar.age", KEY)
    (tmp_path / "identity").write_text(f"{IDENTITY}\n")
    opened_by = ["age", "-d", "-i", tmp_path / "identity", tmp_path / "v.tar.age"]
    archive = subprocess.run(opened_by, capture_output=True, check=True).stdout
    assert inner(archive) == {path: file.read_bytes() for path, file in members.items()}


def test_another_identity_opens_nothing(members: dict[str, Path], tmp_path: Path) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=True)
    write_volume(volume, tmp_path / "v", KEY)
    data = (tmp_path / "v").read_bytes()
    with pytest.raises(pyrage.DecryptError):
        pyrage.decrypt(data, [pyrage.x25519.Identity.generate()])
    assert b"PAR1" not in data
    assert b"S-1.svs" not in data


@pytest.mark.parametrize("content", [b"z" * 510, b"z" * 512, b"y" * 511])
@pytest.mark.parametrize("key", [KEY, None], ids=["encrypted", "plain"])
def test_a_file_that_changes_meanwhile_is_found_and_no_volume_is_left(
    key: str | None, content: bytes, members: dict[str, Path], tmp_path: Path
) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=key is not None)
    members["zz.txt"].write_bytes(content)
    (tmp_path / "work").mkdir()
    with pytest.raises(DigestMismatchError, match=r"zz\.txt was changed"):
        write_volume(volume, tmp_path / "work" / "v", key)
    members["zz.txt"].unlink()
    with pytest.raises(InputOutputError, match="FileNotFoundError"):
        write_volume(volume, tmp_path / "work" / "v", key)
    assert list((tmp_path / "work").iterdir()) == []


def test_a_link_in_the_place_of_a_file_is_not_followed(members: dict[str, Path], tmp_path: Path) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=False)
    members["zz.txt"].rename(tmp_path / "elsewhere")
    members["zz.txt"].symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputOutputError):
        write_volume(volume, tmp_path / "v", None)


def test_a_full_disk_is_told_as_such(members: dict[str, Path]) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=True)
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        volumes._encrypt(volumes._Archive(volume.members, lambda done: None), volumes._Digested(full), KEY)


def test_what_is_in_a_volume_for_whom_is_its_digest(members: dict[str, Path]) -> None:
    (volume,) = plan(members, size=1 << 30, is_encrypted=True)
    (larger,) = plan(members, size=1 << 31, is_encrypted=True)
    other = Volume(volume.name, volume.members[:-1], volume.most, is_encrypted=True)
    assert volume.digest(KEY) == larger.digest(KEY)
    assert len({volume.digest(KEY), volume.digest(None), other.digest(KEY)}) == 3
