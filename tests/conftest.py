"""Fixtures that more than one test file needs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pathcurate.demo.hospital import make_hospital


@pytest.fixture(scope="session")
def pristine_hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up hospital as `init --demo` writes it; nobody may change it."""
    directory = tmp_path_factory.mktemp("pristine") / "hospital"
    directory.mkdir()
    make_hospital(directory)
    return directory


@pytest.fixture
def hospital(pristine_hospital: Path, tmp_path: Path) -> Path:
    """A made-up hospital of the test's own."""
    directory = tmp_path / "hospital"
    shutil.copytree(pristine_hospital, directory)
    return directory


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
