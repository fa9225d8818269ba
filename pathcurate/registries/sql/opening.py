"""Opens the database of a registry: an SQLite file, or a PostgreSQL server."""

import contextlib
import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, StaticPool, create_engine, event

from pathcurate.errors import InputOutputError
from pathcurate.registries.sql.rows import RESTORE
from pathcurate.registryaddress import RegistryAddress

WRITES = "pathcurate_writes"
"""Execution option: the transaction will write."""
BUSY_SECONDS = 10
_LEAST_PAGE = 512  # bytes; https://www.sqlite.org/fileformat.html section 1.3.2
ANSWER_SECONDS = 4
"""libpq counts whole seconds, and the program is to say within 5 that nobody answers."""


def sqlite_engine(path: Path) -> Engine:
    """The engine of a file; one that is not there is made, with mode 0600.

    Raises:
        InputOutputError: it cannot be made, or is a fragment.
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise InputOutputError(
            f"registry {path} cannot be made: {error.strerror}", "Check `registry` in pathcurate.yaml."
        ) from None
    _refuse_fragment(path)
    # mode=rw: a file that was taken away while the registry is open must be an error, not a new, empty registry.
    address = ("file://" if path.is_absolute() else "file:") + quote(os.fsencode(path)) + "?mode=rw"

    def connect() -> sqlite3.Connection:
        # Without an isolation level, transactions begin where the listener below says so.
        connection = sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        return connection

    return _beginning(create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True))


def _beginning(engine: Engine) -> Engine:
    """An SQLite engine whose transactions begin as they must."""

    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails when another has written in between.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    event.listen(engine, "begin", begin)
    return engine


def _refuse_fragment(path: Path) -> None:
    # SQLite takes a file that is shorter than its smallest page for an empty database, and would write over it.
    # A link to nowhere is no file; SQLite refuses it.
    if path.is_file() and 0 < path.stat().st_size < _LEAST_PAGE:
        raise InputOutputError(f"registry {path} cannot be used: file is not a database", RESTORE)


def copied_engine(path: Path) -> Engine:
    """The engine of a copy of a file in memory: whatever is done with it, the file stays as it is.

    Raises:
        InputOutputError: the file cannot be read as a database.
    """
    _refuse_fragment(path)
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        address = f"file:{quote(os.fsencode(path.absolute()))}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as source:
            source.backup(memory)
    except sqlite3.Error as error:
        memory.close()
        raise InputOutputError(f"registry {path} cannot be used: {error}", "Check that it is a registry.") from None
    memory.execute("pragma foreign_keys = on")
    return _beginning(create_engine("sqlite://", creator=lambda: memory, poolclass=StaticPool, hide_parameters=True))


def postgresql_engine(address: RegistryAddress, password: str | None) -> Engine:
    """The engine of a database on a PostgreSQL server; it is not asked yet.

    Raises:
        InputOutputError: the driver is not installed.
    """
    url = URL.create(
        "postgresql+psycopg", username=address.user or None, password=password, host=address.host or None,
        port=address.port, database=address.database, query=dict(address.parameters),
    )  # fmt: skip
    # One connection is kept, for making one anew takes longer than most of what is asked. It may have been closed by the
    # other side meanwhile, hence the ping. Poolers in front of a server do not know statements prepared by others.
    arguments = {"connect_timeout": ANSWER_SECONDS, "prepare_threshold": None}
    try:
        engine = create_engine(url, pool_size=1, pool_pre_ping=True, hide_parameters=True, connect_args=arguments)
    except ModuleNotFoundError:
        raise InputOutputError(
            "a registry on PostgreSQL needs the package psycopg", "Install it with `pip install 'pathcurate[postgres]'`."
        ) from None

    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(WRITES, False):
            # What is read in one transaction must be of one moment. Writers lock first, and then see what is there.
            connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
        connection.exec_driver_sql(f"set local lock_timeout = {int(BUSY_SECONDS * 1000)}")

    event.listen(engine, "begin", begin)
    return engine
