"""The archive for machines without network: which wheels go in, the same bytes each time, and whom the installer refuses."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

CI = Path(__file__).resolve().parents[2] / ".ci"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bundle", CI / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bundle = _load()


def test_only_wheels_that_glibc_2_28_runs_are_asked_for() -> None:
    x86, arm = bundle.platforms("x86_64"), bundle.platforms("aarch64")
    assert x86[0] == "manylinux_2_28_x86_64"
    assert {"manylinux2014_x86_64", "manylinux1_x86_64", "manylinux_2_17_x86_64"} <= set(x86)
    assert not [tag for tag in x86 + arm if "_2_29_" in tag or "_2_34_" in tag or "musl" in tag]
    assert arm[-1] == "manylinux2014_aarch64", "no older one exists for this architecture"


def test_a_requirement_is_pinned_to_its_file(tmp_path: Path) -> None:
    wheel = tmp_path / "Some_Package.Name-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    digest = hashlib.sha256(b"wheel").hexdigest()
    assert bundle.pinned(wheel) == f"some-package-name==1.2.3 --hash=sha256:{digest}"


def test_an_archive_says_nothing_of_when_and_by_whom_it_was_made(tmp_path: Path) -> None:
    made = []
    for number in (1, 2):
        folder = tmp_path / f"made{number}"
        (folder / "wheels").mkdir(parents=True)
        names = ["wheels/b.whl", "install.sh", "wheels/a.whl"]
        for name in names if number == 1 else reversed(names):
            (folder / name).write_text(name, encoding="utf-8")
            os.utime(folder / name, (number * 1e9, number * 1e9))
        (folder / "install.sh").chmod(0o600 if number == 1 else 0o755)
        made.append(bundle.archived(folder, "pathcurate-1", tmp_path / f"{number}.tar.gz").read_bytes())
    assert made[0] == made[1]
    with tarfile.open(tmp_path / "1.tar.gz") as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == [
        "pathcurate-1/install.sh", "pathcurate-1/wheels/a.whl", "pathcurate-1/wheels/b.whl",
    ]  # fmt: skip
    assert {(entry.uid, entry.gid, entry.uname, entry.mtime) for entry in entries} == {(0, 0, "", 0)}
    assert entries[0].mode == 0o755
    assert not list(tmp_path.glob(".*.part"))


class Machine:
    """A machine of which the installer sees what a test says, and the folder of an archive."""

    def __init__(self, root: Path) -> None:
        self.folder, self.bin, self.home = root / "archive", root / "bin", root / "home"
        for folder in (self.folder, self.bin, self.home):
            folder.mkdir()
        for name in ("install.sh", "README-offline.txt"):
            text = (CI / name).read_text(encoding="utf-8")
            for mark, value in (("ARCH", "x86_64"), ("PYTHONS", "3.11 3.12"), ("VERSION", "9.9.9")):
                text = text.replace(f"@{mark}@", value)
            assert "@" not in text.replace('"$@"', "")
            (self.folder / name.replace("-offline", "")).write_text(text, encoding="utf-8")
        (self.folder / "requirements-3.11.txt").write_text("", encoding="utf-8")
        self.sign()
        self.tool("uname", "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac")
        self.tool("getconf", "echo glibc 2.28")
        self.python("3.11")

    def sign(self) -> None:
        files = [file for file in sorted(self.folder.rglob("*")) if file.is_file() and file.name != "SHA256SUMS"]
        sums = "".join(f"{bundle.sha256(file)}  {file.relative_to(self.folder)}\n" for file in files)
        (self.folder / "SHA256SUMS").write_text(sums, encoding="utf-8")

    def tool(self, name: str, script: str) -> None:
        file = self.bin / name
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)

    def python(self, version: str, venv: str = "exit 0") -> None:
        """A Python that only says its version, imports, and makes an environment of scripts that do nothing."""
        script = 'printf "#!/bin/sh\\nexit 0\\n" > "$3/bin/$one"; chmod +x "$3/bin/$one"'
        made = f'mkdir -p "$3/bin"; for one in python pathcurate; do {script}; done'
        self.tool(
            "python3.11",
            f'case "$*" in *version_info*) echo {version} ;; *ensurepip*) {venv} ;; "-m venv "*) {made} ;; esac',
        )

    def install(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        # Commands of the system stay; Pythons of the machine do not.
        for name in ("sh", "dirname", "sha256sum", "rm", "mkdir", "chmod", "printf", "cat"):
            found = next((Path(part) / name for part in os.defpath.split(":") if (Path(part) / name).exists()), None)
            if found is not None and not (self.bin / name).exists():
                (self.bin / name).symlink_to(found)
        return subprocess.run(
            ["/bin/sh", str(self.folder / "install.sh"), *arguments],
            env={"PATH": str(self.bin), "HOME": str(self.home)}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_installer_says_what_comes_next(machine: Machine) -> None:
    done = machine.install()
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Next: {machine.home}/pathcurate/bin/pathcurate init --demo" in done.stdout
    assert "已安装至" in done.stdout
    assert (machine.home / "pathcurate" / "bin" / "pathcurate").exists()


@pytest.mark.parametrize(
    ("tool", "script", "said"),
    [
        ("uname", "case $1 in -s) echo Linux ;; *) echo aarch64 ;; esac", "this machine is aarch64"),
        ("uname", "echo Darwin", "is for Linux"),
        ("getconf", "echo glibc 2.17", "glibc 2.17 is too old: 2.28"),
        ("getconf", "echo glibc 2.27", "glibc 2.27 is too old: 2.28"),
        ("getconf", "exit 1", "glibc was not found"),
    ],
)
def test_machines_that_it_would_not_run_on_are_refused(machine: Machine, tool: str, script: str, said: str) -> None:
    machine.tool(tool, script)
    done = machine.install()
    assert done.returncode == 1
    assert said in done.stderr
    assert "错误：" in done.stderr
    assert not (machine.home / "pathcurate").exists()


def test_a_python_of_another_version_is_refused(machine: Machine) -> None:
    machine.python("3.9")
    done = machine.install()
    assert (done.returncode, "no Python of version 3.11 3.12 was found" in done.stderr) == (1, True)


def test_a_python_without_environments_is_refused(machine: Machine) -> None:
    machine.python("3.11", venv="exit 1")
    done = machine.install()
    assert (done.returncode, "lacks the modules venv" in done.stderr) == (1, True)


def test_newer_glibc_is_welcome(machine: Machine) -> None:
    machine.tool("getconf", "echo glibc 2.100")
    assert machine.install().returncode == 0


@pytest.mark.parametrize("kind", ["directory", "file", "dangling link"])
def test_nothing_that_is_there_is_overwritten(machine: Machine, kind: str) -> None:
    target = machine.home / "mine"
    if kind == "directory":
        target.mkdir()
    elif kind == "file":
        target.write_text("kept", encoding="utf-8")
    else:
        target.symlink_to("nowhere")
    done = machine.install(str(target))
    assert (done.returncode, "is there already" in done.stderr) == (1, True)
    assert target.is_symlink() or target.exists()


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_damaged_archives_are_refused_by_file(machine: Machine, damage: str) -> None:
    file = machine.folder / "requirements-3.11.txt"
    if damage == "changed":
        file.write_text("other==1\n", encoding="utf-8")
    else:
        file.unlink()
    done = machine.install()
    assert done.returncode == 1
    assert "requirements-3.11.txt" in done.stdout + done.stderr
    assert not (machine.home / "pathcurate").exists()


def test_a_failed_installation_leaves_nothing(machine: Machine) -> None:
    made = 'mkdir -p "$3/bin"; printf "#!/bin/sh\\nexit 1\\n" > "$3/bin/python"; chmod +x "$3/bin/python"'
    machine.tool("python3.11", f'case "$*" in *version_info*) echo 3.11 ;; "-m venv "*) {made} ;; esac')
    done = machine.install()
    assert (done.returncode, "could not be installed" in done.stderr) == (1, True)
    assert not (machine.home / "pathcurate").exists()


def test_paths_with_spaces_are_paths(machine: Machine) -> None:
    target = machine.home / "a new  place"
    assert machine.install(str(target)).returncode == 0
    assert (target / "bin" / "pathcurate").exists()


def test_the_help_names_what_it_needs() -> None:
    done = subprocess.run([sys.executable, str(CI / "bundle.py"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "glibc 2.28" in done.stdout
