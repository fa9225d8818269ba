"""The place where a round happens: a workspace and what stands beside it, always at the same path, and its commands."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathcurate.demo.hospital import make_hospital
from pathcurate.vault import create_vault

CHECKOUT = Path(__file__).parents[2]
CHILD = Path(__file__).parent / "child"
PRODUCT = "demo_he_2023"
RECIPE = f"recipes/{PRODUCT}.yaml"
SECRETS = {"steward": "correct horse battery", "compliance": "staple clerk lamp", "alpha": "alpha lab lamp 1"}
"""Who has a key, and its passphrase."""
PATIENCE = 600.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        words: its arguments.
        code: exit code; negative is the signal that ended it.
        stdout: what it wrote.
        stderr: likewise.
        seconds: how long it took.
    """

    words: tuple[str, ...]
    code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass
class Running:
    """A command at work."""

    words: tuple[str, ...]
    process: subprocess.Popen[bytes]
    folder: Path
    started: float

    def kill(self) -> None:
        """End it and all its processes at once."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def wait(self, seconds: float = PATIENCE) -> Ended:
        """Wait until it ends, or end it; nothing of it is left at work."""
        try:
            code = self.process.wait(seconds)
            took = time.monotonic() - self.started
        except subprocess.TimeoutExpired:
            self.kill()
            self.process.wait()
            code, took = -signal.SIGALRM, time.monotonic() - self.started
        # Workers that outlive a command are of its group.
        self.kill()
        texts = [(self.folder / name).read_text("utf-8", "replace") for name in ("out", "err")]
        shutil.rmtree(self.folder)
        return Ended(self.words, code, texts[0], texts[1], took)


@dataclass(frozen=True)
class House:
    """A folder with a workspace and what belongs to others, who have no part in it.

    Attributes:
        base: holds ``here/`` (the place of all rounds), ``before/STAGE/`` and ``after/STAGE/``.
        before_all: what each command is started through.
    """

    base: Path
    before_all: tuple[str, ...] = ()

    @property
    def here(self) -> Path:
        """Where every round happens; some files hold absolute paths."""
        return self.base / "here"

    @property
    def root(self) -> Path:
        """The workspace."""
        return self.here / "w"

    @property
    def beside(self) -> Path:
        """Keys, papers and disks of people, copies for others."""
        return self.here / "beside"

    @property
    def temporary(self) -> Path:
        """Temporary files of the system's; what a killed process leaves there must not identify anybody."""
        return self.here / "tmp"

    def start(
        self, words: Sequence[str], *, environment: Mapping[str, str] | None = None, file_limit: int | None = None
    ) -> Running:
        """Start a command in a process group of its own."""
        folder = Path(tempfile.mkdtemp(dir=self.base, prefix="told-"))
        self.temporary.mkdir(exist_ok=True)
        told = {
            **os.environ, "PYTHONPATH": f"{CHILD}{os.pathsep}{CHECKOUT}", "PYTHONPYCACHEPREFIX": str(self.base / "pycache"),
            "TORTURE_ROOT": str(self.here), "TMPDIR": str(self.temporary),
            "PYTHONDONTWRITEBYTECODE": "1" if file_limit else "",
            **(environment or {}),
        }  # fmt: skip
        limits = [] if file_limit is None else ["prlimit", f"--fsize={file_limit}"]
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [*self.before_all, *limits, sys.executable, "-m", "pathcurate", *words], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, cwd=self.here, env=told, start_new_session=True, umask=0o022,
            )  # fmt: skip
        return Running(tuple(words), process, folder, time.monotonic())

    def run(self, words: Sequence[str], **more: object) -> Ended:
        """Run a command to its end."""
        return self.start(words, **more).wait()  # type: ignore[arg-type]

    def ok(self, *words: str) -> str:
        """Run a command that has to succeed; its output."""
        ended = self.run(words)
        if ended.code != 0:
            raise RuntimeError(f"pathcurate {' '.join(words)}: {ended.code}\n{ended.stderr}\n{ended.stdout}")
        return ended.stdout

    def keep(self, name: str) -> None:
        """Keep the state of now."""
        copy_tree(self.here, self.base / name)

    def bring(self, name: str) -> None:
        """Make a kept state the one of now."""
        clear(self.here)
        copy_tree(self.base / name, self.here)

    def key(self, who: str) -> list[str]:
        """Options that sign as somebody."""
        file = self.beside / who / "recipient.pem" if who == "alpha" else self.beside / f"{who}.pem"
        return ["--key", str(file), "--passphrase-file", str(self.beside / f"{who}.pass")]

    def contract(self) -> str:
        """Name of the buyer's contract."""
        return next(path.name for path in (self.root / "products" / "contracts").iterdir() if "-alpha-" in path.name)


def copy_tree(of: Path, to: Path) -> None:
    """Copy a tree with its times and modes, into a directory that may be there (a mount)."""
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=auto", f"{of}/.", str(to)], check=True, capture_output=True)


def clear(directory: Path) -> None:
    """Remove all that is in a directory, whatever its modes."""
    if directory.is_dir():
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                for folder, _, _ in os.walk(path):
                    Path(folder).chmod(0o700)
                shutil.rmtree(path)
            else:
                path.unlink()
    directory.mkdir(parents=True, exist_ok=True)


def found(base: Path, hospital: Path | None = None) -> House:
    """A made-up hospital before its first scan, with the shipped recipes, a key of its own and people with passphrases.

    Args:
        base: an empty directory.
        hospital: one that was made before, to be copied.
    """
    house = House(base)
    house.root.mkdir(parents=True)
    if hospital is None:
        make_hospital(house.root)
    else:
        copy_tree(hospital, house.root)
    shutil.copytree(CHECKOUT / "recipes", house.root / "recipes")
    file = house.root / "pathcurate.yaml"
    # With the profile of the demo some figures are not fit for others, so nothing could be offered.
    file.write_text(file.read_text("utf-8").replace("profile: default", "profile: enclave"), encoding="utf-8")
    house.beside.mkdir()
    for who, secret in SECRETS.items():
        path = house.beside / f"{who}.pass"
        path.touch(0o600)
        path.write_text(f"{secret}\n", encoding="utf-8")
    # A random key of each run's own would leave nothing to compare.
    create_vault(house.root / "vault")
    return house
