"""One SQL engine of each kind, which all drawn tables of a process share."""

from collections.abc import Iterator

import pytest

from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """DuckDB in this process."""
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded


@pytest.fixture(scope="session")
def connect(connect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A session on the Spark Connect server of the tests."""
    with Connect(connect_server, temp_directory=tmp_path_factory.mktemp("spill")) as cluster:
        yield cluster


@pytest.fixture(scope="session", params=["embedded", "connect"])
def each_engine(request: pytest.FixtureRequest) -> Engine:
    """Each kind of engine in turn."""
    found: Engine = request.getfixturevalue("engine" if request.param == "embedded" else "connect")
    return found
