"""Fixtures that more than one test file needs."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pathcurate.demo.hospital import make_hospital
from pathcurate.engines.embedded import Embedded
from tests.archives import Here
from tests.commandline import pathcurate
from tests.connectserver import connect_server  # noqa: F401 - a fixture

CHECKOUT = Path(__file__).parents[1]
# What is made once takes its time with the first example, and the machine may be busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def _no_fsync() -> Iterator[None]:
    """Nobody cuts the power here, and fsync is a third of the time. Processes that tests start still wait for the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _english() -> Iterator[None]:
    """Whatever this machine speaks."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LC_ALL", "LC_MESSAGES"):
            patch.delenv(name, raising=False)
        patch.setenv("LANG", "C.UTF-8")
        yield


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A directory that the first of xdist's processes to need it makes for all."""
    base = factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with directory.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.with_suffix(".made").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            make(directory)
            directory.with_suffix(".made").touch()
    return directory


@pytest.fixture(scope="session")
def pristine_hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up hospital as `init --demo` writes it; nobody may change it."""
    return _made_once(tmp_path_factory, "pristine", make_hospital)


@pytest.fixture(scope="session")
def run_hospital(pristine_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up hospital after the whole path to its release, with the shipped recipes; nobody may change it."""

    def make(directory: Path) -> None:
        shutil.copytree(pristine_hospital, directory, dirs_exist_ok=True)
        shutil.copytree(CHECKOUT / "recipes", directory / "recipes")
        done = pathcurate("run", directory / "recipes" / "demo_he_2023.yaml", "-w", directory)
        assert done.returncode == 0, done.stderr

    return _made_once(tmp_path_factory, "run", make)


@pytest.fixture
def hospital(pristine_hospital: Path, tmp_path: Path) -> Path:
    """A made-up hospital of the test's own."""
    directory = tmp_path / "hospital"
    shutil.copytree(pristine_hospital, directory)
    return directory


@pytest.fixture
def kernels_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run their kernels in this process: starting workers is most of a small command's time."""
    monkeypatch.setattr(Embedded, "run", Here.run)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file below the test's directory."""

    def write_file(relpath: str, content: str | bytes) -> Path:
        path = tmp_path / relpath
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Real input that nobody here wrote; set PATHCURATE_REAL_DATA to its directory."""
    directory = os.environ.get("PATHCURATE_REAL_DATA")
    if not directory:
        pytest.skip("PATHCURATE_REAL_DATA is not set: no real input on this machine")
    return Path(directory)
