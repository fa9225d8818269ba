"""A Spark Connect server for the tests that needs no Java: Sail, in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# A worker of pytest-xdist is a program without a file, which the client takes for its own doctests, and looks for Spark.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = __file__
# It ends when this process does, whose end of the pipe is closed then.
PROGRAM = """
import os, sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(server.listening_address[1], flush=True)
sys.stdin.read()
os._exit(0)
"""


@contextmanager
def serving() -> Iterator[str]:
    """The address of a new server, whose workers find the kernels of the tests."""
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS / "unit")))
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": paths, "TZ": "Asia/Shanghai"},  # a clock that is not ours changes nothing
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield f"sc://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


@pytest.fixture(scope="session")
def connect_server() -> Iterator[str]:
    """The address of a server that all tests of this process share; each engine has a session of its own."""
    with serving() as address:
        yield address
