"""Lists of files with their digests, judged by sha256sum."""

import os
import subprocess

import pytest

from pathcurate.checksums import CHECKSUMS_NAME, parse_checksums, verify_checksums, write_checksums
from pathcurate.digests import file_sha256
from pathcurate.errors import InputOutputError

NAMES = [
    "MANIFEST.json",
    "data/slides.parquet",
    "data/empty",
    "data-x/a",  # before data/ by bytes, after it by folders
    "metadata/DATASHEET.zh 病理.md",
    "with space ",
    " leading",
    "*star",
    "# comment",
    "name (1)  two",
    "-dash",
    "SHA256 (x) = y",
    "deep/er/😀/e\u0301",
    "attestations-2/kept",
]


@pytest.fixture
def release(tmp_path):
    directory = tmp_path / "a release"
    for name in NAMES:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"" if name == "data/empty" else name.encode() * 3)
    directory.joinpath("attestations/deep").mkdir(parents=True)
    directory.joinpath("attestations/deep/release.json").write_text("signed later")
    directory.joinpath("empty folder").mkdir()
    content = write_checksums(directory)
    directory.joinpath(CHECKSUMS_NAME).write_bytes(content)
    return directory


def problems(release):
    return verify_checksums(release, parse_checksums(release.joinpath(CHECKSUMS_NAME).read_bytes()))


def sha256sum(directory):
    command = ["sha256sum", "--check", "--strict", "--quiet", CHECKSUMS_NAME]
    return subprocess.run(command, cwd=directory, check=False, capture_output=True, env={**os.environ, "LC_ALL": "C"})


def test_sha256sum_accepts_the_list_and_it_is_complete(release):
    done = sha256sum(release)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    listed = parse_checksums(release.joinpath(CHECKSUMS_NAME).read_bytes())
    assert sorted(listed) == sorted(NAMES)
    assert [os.fsencode(name) for name in listed] == sorted(os.fsencode(name) for name in NAMES)
    assert all(listed[name] == file_sha256(release / name) for name in NAMES)
    assert write_checksums(release) == release.joinpath(CHECKSUMS_NAME).read_bytes()
    assert problems(release) == []


def test_sha256sum_writes_the_same_lines(release):
    done = subprocess.run(["sha256sum", "--", *NAMES], cwd=release, check=True, capture_output=True)
    assert sorted(done.stdout.splitlines()) == sorted(write_checksums(release).splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_and_a_missing_file_are_found_as_sha256sum_finds_them(release, name):
    path = release / name
    path.write_bytes(path.read_bytes() + b"x")
    assert problems(release) == [(name, "changed")]
    assert sha256sum(release).returncode == 1
    path.unlink()
    assert problems(release) == [(name, "missing")]
    assert sha256sum(release).returncode == 1


def test_files_that_are_not_listed_are_orphans(release):
    release.joinpath("data/extra").write_text("x")
    release.joinpath(".hidden").write_text("x")
    release.joinpath("attestations/more.json").write_text("signatures come later")
    release.joinpath(os.fsdecode(b"\xd5\xc5\n")).touch()
    assert problems(release) == [(".hidden", "orphan"), ("\\xd5\\xc5\n", "orphan"), ("data/extra", "orphan")]


def test_links_are_never_followed(release, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    listed = release / "data/slides.parquet"
    outside.joinpath("slides.parquet").write_bytes(listed.read_bytes())
    listed.unlink()
    listed.symlink_to(outside / "slides.parquet")
    assert problems(release) == [("data/slides.parquet", "changed")]
    assert sha256sum(release).returncode == 0, "sha256sum follows the link"

    release.joinpath("loop").symlink_to(release)
    release.joinpath("dangling").symlink_to("nowhere")
    os.mkfifo(release / "pipe")
    assert problems(release) == [
        ("dangling", "orphan"),
        ("data/slides.parquet", "changed"),
        ("loop", "orphan"),
        ("pipe", "orphan"),
    ]

    deep = release / "deep"
    deep.rename(outside / "deep")
    deep.symlink_to(outside / "deep")
    assert ("deep", "orphan") in problems(release)
    assert ("deep/er/😀/e\u0301", "missing") in problems(release)


def test_a_folder_in_the_place_of_a_file_and_a_file_in_the_place_of_a_folder(release):
    release.joinpath("*star").unlink()
    release.joinpath("*star").mkdir()
    release.joinpath("*star/x").write_text("x")
    release.joinpath("data-x/a").unlink()
    release.joinpath("data-x").rmdir()
    release.joinpath("data-x").write_text("x")
    assert problems(release) == [
        ("*star", "missing"),
        ("*star/x", "orphan"),
        ("data-x", "orphan"),
        ("data-x/a", "missing"),
    ]


@pytest.mark.parametrize("name", [b"new\nline", b"back\\slash", b"return\r", b"tab\t", b"\xd5\xc5.svs", b"-", b"\x7f"])
def test_names_that_sha256sum_reads_otherwise_are_refused(tmp_path, name):
    tmp_path.joinpath(os.fsdecode(name)).touch()
    with pytest.raises(InputOutputError, match="cannot have this name") as caught:
        write_checksums(tmp_path)
    assert "\r" not in caught.value.message
    assert write_checksums(tmp_path, [os.fsdecode(name)]) == b""


def test_links_and_special_files_cannot_be_listed(tmp_path):
    tmp_path.joinpath("file").write_text("x")
    tmp_path.joinpath("link").symlink_to("file")
    with pytest.raises(InputOutputError, match="link is a link or no regular file"):
        write_checksums(tmp_path)


def test_a_directory_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(InputOutputError, match="The directory cannot be listed"):
        write_checksums(tmp_path / "gone")
    with pytest.raises(InputOutputError, match="The directory cannot be listed"):
        verify_checksums(tmp_path / "gone", {})


HEX = b"0" * 64


@pytest.mark.parametrize(
    "line",
    [
        b"",
        HEX,
        HEX + b" x",
        HEX + b"  ",
        HEX + b" *x",
        HEX[1:] + b"  x",
        b"A" * 64 + b"  x",
        b"\\" + HEX + b"  x\\\\y",
        HEX + b"  /etc/passwd",
        HEX + b"  ../x",
        HEX + b"  a/../x",
        HEX + b"  a//x",
        HEX + b"  ./x",
        HEX + b"  x/",
        HEX + b"  -",
        HEX + b"  \xff",
        HEX + b"  x\r",
        HEX + b"  good",
    ],
)
def test_malformed_lists_are_refused_with_their_line(line):
    with pytest.raises(InputOutputError, match="Line 2 of"):
        parse_checksums(HEX + b"  good\n" + line + b"\n" + HEX + b"  also good\n")


def test_a_list_that_was_cut_off_is_refused():
    assert parse_checksums(b"") == {}
    assert parse_checksums(HEX + b"  x y\n") == {"x y": "sha256:" + "0" * 64}
    with pytest.raises(InputOutputError, match="cut off"):
        parse_checksums(HEX + b"  data/slides.par")
