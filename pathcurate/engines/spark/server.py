"""The Spark Connect server: how its client is made, how long it is waited for, and what becomes of its errors."""

import os
import re
import socket
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from pathcurate.errors import InputOutputError, UsageError

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

T = TypeVar("T")

ANSWER_SECONDS = 5.0
_RETRIES = 5
"""How often a request is sent again that a busy server refused, for 17 s in all; Spark's client would go on for minutes."""
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    # A time without a zone stays one, as it does in DuckDB.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # Else `${env:NAME}` in a text is what the server's environment says, and `${x}` is nothing.
    "spark.sql.variable.substitute": "false",
}


class Fault(str):
    """The kind of what went wrong, without the server's message, which may quote data."""

    __slots__ = ()


def open_session(address: str, host: str, port: int) -> "SparkSession":
    """A session of its own on a server.

    Raises:
        UsageError: the Spark Connect client is not installed.
        InputOutputError: no Spark Connect server answers within :data:`ANSWER_SECONDS`.
    """
    try:
        with warnings.catch_warnings():
            # It says that pandas 3 is too new for it; its pandas interface is not used.
            warnings.simplefilter("ignore", FutureWarning)
            import grpc  # noqa: PLC0415 - an extra, and slow to import
            from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415
            from pyspark.sql.connect.session import SparkSession  # noqa: PLC0415
    except ImportError:
        raise UsageError(
            "The engine is a Spark Connect server, and its client is not installed.",
            "Run `pip install 'pathcurate[spark]'`, or set `engine: embedded` in pathcurate.yaml.",
        ) from None
    _demand_answer(address, host, port, grpc)

    class WhileListening(DefaultPolicy):  # type: ignore[misc, unused-ignore]
        """Sends a request again only as long as there is somebody to send it to."""

        def can_retry(self, error: BaseException) -> bool:
            return bool(super().can_retry(error)) and _is_listening(host, port)

    def begin() -> "SparkSession":
        session = SparkSession.builder.remote(address).create()
        session.client.set_retry_policies([WhileListening(max_retries=_RETRIES)])
        for name, value in _SETTINGS.items():
            session.conf.set(name, value)
        return session

    return ask(begin)


def _demand_answer(address: str, host: str, port: int, grpc: ModuleType) -> None:
    """See that something speaks Spark Connect's transport there; the client itself would try for minutes."""
    deadline = time.monotonic() + ANSWER_SECONDS
    if _is_listening(host, port):
        with grpc.insecure_channel(address.removeprefix("sc://")) as channel, suppress(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=max(0.1, deadline - time.monotonic()))
            return
    raise InputOutputError(
        f"No Spark Connect server answers at {address} within {ANSWER_SECONDS:.0f} seconds.",
        "Check that it runs and that `engine:` in pathcurate.yaml names it; `engine: embedded` works without one.",
    )


def _is_listening(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def locations(path: Path) -> tuple[str, str]:
    """A path as servers read it: on disk, whatever file system the cluster is set to, and no pattern.

    Of what would be a pattern Spark wants a backslash before it, and Sail brackets around it: there are two spellings of
    such a path, and each means nothing to the other server.
    """
    plain = os.fspath(path.absolute())
    of_spark = re.sub(r"([*?\[\]{}\\])", r"\\\1", plain)
    of_sail = re.sub(r"([*?\[\]{}\\%#])", r"[\1]", plain)
    return f"file://{of_spark}", f"file://{of_sail}"


_HINTS = {
    "AnalysisException": "The statement names what does not exist, or combines types that do not fit.",
    "ParseException": "The statement is not SQL of the portable subset.",
    "SparkConnectGrpcException": "See the server's log, and whether it still runs.",
}


def statement_error(fault: Fault) -> InputOutputError:
    """The error of a statement that failed."""
    return InputOutputError(f"The Spark Connect server could not run a statement ({fault}).", _HINTS.get(fault, ""))


def ask(action: Callable[[], T]) -> T:
    """What the server answers.

    Raises:
        InputOutputError: it failed. The message does not repeat the server's, which may quote values.
    """
    answer = attempt(action)
    if isinstance(answer, Fault):
        raise statement_error(answer)
    return answer


def attempt(action: Callable[[], T]) -> T | Fault:
    """What the server answers, or the kind of what went wrong."""
    from grpc import RpcError  # noqa: PLC0415 - see open_session
    from pyspark.errors import PySparkException  # noqa: PLC0415

    try:
        return action()
    except (PySparkException, RpcError, pa.ArrowException) as error:
        return Fault(type(error).__name__)
