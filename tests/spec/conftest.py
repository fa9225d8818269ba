"""One SQL engine for all drawn tables."""

from collections.abc import Iterator

import pytest

from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as embedded:
        yield embedded
