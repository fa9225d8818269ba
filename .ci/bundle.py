"""An archive that installs pathcurate on a machine without network: wheels, their digests, and an installer.

One archive for each architecture, for glibc 2.28 or later (RHEL 8, Debian 10, openEuler 20.03, Kylin V10 and newer). What is
in it comes from the package index that pip is set to. The same versions make the same bytes.
`python .ci/bundle.py --help` shows the settings.
"""

import argparse
import gzip
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ARCHITECTURES = ("x86_64", "aarch64")
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC = (2, 28)
OLDEST_GLIBC = {"x86_64": 5, "aarch64": 17}
"""Minor version of the oldest manylinux platform that an architecture has, PEP 600."""
ALIASES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
EXTRAS = ("edc", "evaluate", "postgres", "s3")
"""Spark and character recognition are large and have needs of their own; an archive with them is made with --extras."""


def main() -> None:
    """Make the archives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES), help="[both]")
    parser.add_argument("--python", nargs="+", default=["3.11"], help=f"versions of Python, of {', '.join(PYTHONS)}  [3.11]")
    parser.add_argument("--extras", nargs="*", default=list(EXTRAS), help=f"optional parts  [{' '.join(EXTRAS)}]")
    parser.add_argument("--to", type=Path, default=ROOT / "dist", help="directory of the archives  [dist]")
    options = parser.parse_args()
    if wrong := sorted(set(options.python) - set(PYTHONS)):
        parser.error(f"no Python {', '.join(wrong)}: of {', '.join(PYTHONS)}")
    options.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pathcurate-bundle-") as scratch:
        own = build_wheel(Path(scratch) / "own")
        for arch in options.arch:
            archive = make(own, arch, options.python, options.extras, Path(scratch) / arch, options.to)
            sys.stdout.write(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB, for Linux {arch}, glibc 2.28 or later, ")
            sys.stdout.write(f"Python {', '.join(options.python)}\n")


def make(own: Path, arch: str, pythons: Sequence[str], extras: Sequence[str], folder: Path, to: Path) -> Path:
    """The archive of an architecture.

    Args:
        own: wheel of the project.
        arch: as ``uname -m`` says it.
        pythons: versions of Python that it is for.
        extras: optional parts that go with it.
        folder: where it is put together.
        to: where the archive goes.
    """
    version = own.name.split("-")[1]
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    for python in pythons:
        target = folder / f"for-{python}"
        download(own, arch, python, extras, target)
        files = sorted(target.glob("*.whl"))
        (folder / f"requirements-{python}.txt").write_text("".join(f"{pinned(file)}\n" for file in files), encoding="utf-8")
        for file in files:
            file.replace(wheels / file.name)
        shutil.rmtree(target)
    for name in ("install.sh", "README-offline.txt"):
        text = (HERE / name).read_text(encoding="utf-8")
        for mark, value in (("ARCH", arch), ("PYTHONS", " ".join(pythons)), ("VERSION", version)):
            text = text.replace(f"@{mark}@", value)
        (folder / name.replace("-offline", "")).write_text(text, encoding="utf-8")
    sums = "".join(f"{sha256(file)}  {file.relative_to(folder)}\n" for file in sorted(folder.rglob("*")) if file.is_file())
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
    name = f"pathcurate-{version}-offline-linux-{arch}"
    return archived(folder, name, to / f"{name}.tar.gz")


def build_wheel(to: Path) -> Path:
    """The project's own wheel."""
    pip("wheel", "--no-deps", "--wheel-dir", str(to), str(ROOT))
    (wheel,) = to.glob("pathcurate-*.whl")
    return wheel


def platforms(arch: str) -> list[str]:
    """Tags of the platforms whose wheels run with glibc 2.28, the newest first (PEP 600, with the older names)."""
    tags = []
    for minor in range(GLIBC[1], OLDEST_GLIBC[arch] - 1, -1):
        tags.append(f"manylinux_{GLIBC[0]}_{minor}_{arch}")
        if minor in ALIASES:
            tags.append(f"{ALIASES[minor]}_{arch}")
    return tags


def download(own: Path, arch: str, python: str, extras: Sequence[str], to: Path) -> None:
    """Fetch the wheels that a machine of another kind than this one needs.

    A package without a wheel ends the work by name: nothing is built at the hospital, where there is no compiler.
    """
    wanted = f"{own}[{','.join(extras)}]" if extras else str(own)
    kinds = [part for tag in platforms(arch) for part in ("--platform", tag)]
    pip(
        "download", "--only-binary=:all:", *kinds, "--python-version", python, "--implementation", "cp", "--dest", str(to),
        "--progress-bar", "off", wanted,
    )  # fmt: skip


def pinned(wheel: Path) -> str:
    """The line of a requirements file that lets pip take this file and no other."""
    name, version = wheel.name.split("-")[:2]
    return f"{re.sub(r'[-_.]+', '-', name).lower()}=={version} --hash=sha256:{sha256(wheel)}"


def sha256(file: Path) -> str:
    """The digest of a file, in hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def archived(folder: Path, name: str, to: Path) -> Path:
    """A folder as an archive whose bytes say nothing of when, where and by whom it was made."""
    waiting = to.with_name(f".{to.name}.part")
    with (
        waiting.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for file in in_order(folder):
            entry = tar.gettarinfo(file, f"{name}/{file.relative_to(folder)}")
            entry.mtime, entry.uid, entry.gid, entry.uname, entry.gname = 0, 0, 0, "", ""
            entry.mode = 0o755 if file.suffix == ".sh" else 0o644
            with file.open("rb") as content:
                tar.addfile(entry, content)
    return waiting.replace(to)


def in_order(folder: Path) -> Iterable[Path]:
    """The files of a folder, by name."""
    return sorted(file for file in folder.rglob("*") if file.is_file())


def pip(*arguments: str) -> None:
    """Run pip; what it says goes to the terminal, and its failure ends the work."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"pip {arguments[0]} failed: see above. A package that has no wheel for this platform is named there.")


if __name__ == "__main__":
    main()
