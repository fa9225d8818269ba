"""One SQL engine for all drawn tables."""

import os
from collections.abc import Iterator

import pytest

from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about a power cut, and hundreds of small tables would wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
