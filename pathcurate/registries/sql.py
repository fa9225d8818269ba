"""The registry in a database: SQLAlchemy Core, on an SQLite file.

Every change is an event, and every event holds the digest of the one before, so that none can be edited, removed or put
elsewhere unnoticed. One row of the table ``registry`` counts the events and holds the digest of the last; writers lock it
first and so come one after another. Somebody who rewrites the whole file consistently is not found out here: only a
digest kept elsewhere (a signature, the audit trail) can do that.
"""

import builtins
import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NoReturn, Self
from urllib.parse import quote

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    NullPool,
    Row,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    or_,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError, LockedError, PathcurateError, UsageError
from pathcurate.model.product import Entry, Event, State
from pathcurate.releases import version_key

SCHEMA_VERSION: Final = 1
FIRST_PREVIOUS: Final = "sha256:" + "0" * 64
"""What the first event names as the digest before it."""

_BUSY_SECONDS = 10
_LEAST_PAGE = 512  # bytes; https://www.sqlite.org/fileformat.html section 1.3.2
_WRITES = "pathcurate_writes"
_RESTORE = "Restore it from a copy."

_METADATA = MetaData()
_REGISTRY = Table(
    "registry",
    _METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("head", Text, nullable=False),
)
_ENTRIES = Table(
    "entries",
    _METADATA,
    Column("product", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("release_digest", Text, nullable=False, unique=True),
    Column("content_digest", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("counts", Text, nullable=False),
    Column("registered_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
)
_EVENTS = Table(
    "events",
    _METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("previous", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, unique=True),
    ForeignKeyConstraint(["product", "version"], [_ENTRIES.c.product, _ENTRIES.c.version]),
)
_ADD_ONLY = {
    "sqlite": [
        f"create trigger no_{action} before {action} on events begin select raise(abort, 'events are only added'); end"
        for action in ("update", "delete")
    ]
}
"""By dialect, what makes the database itself refuse to change an event."""

# What JSON, digests and entries raise for values that only another program can have written.
_MALFORMED = (ValueError, TypeError, RecursionError)


@event.listens_for(_EVENTS, "after_create")
def _forbid_changes(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in _ADD_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def open_registry(path: Path) -> "SqlRegistry":
    """Open a registry file; a file that is not there, or empty, becomes an empty registry with mode 0600.

    A file that cannot be written can still be read.

    Raises:
        InputOutputError: the directory is missing, the file is no registry, or it was made by a newer version.
        LockedError: another process has held it for 10 seconds.
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise InputOutputError(
            f"registry {path} cannot be made: {error.strerror}", "Check `registry` in pathcurate.yaml."
        ) from None
    _refuse_fragment(path)
    registry = SqlRegistry(_sqlite_engine(path), f"registry {path}")
    try:
        registry.prepare()
    except PathcurateError:
        registry.close()
        raise
    return registry


def _refuse_fragment(path: Path) -> None:
    # SQLite takes a file that is shorter than its smallest page for an empty database, and would write over it.
    # A link to nowhere is no file; SQLite refuses it.
    if path.is_file() and 0 < path.stat().st_size < _LEAST_PAGE:
        raise InputOutputError(f"registry {path} cannot be used: file is not a database", _RESTORE)


def _sqlite_engine(path: Path) -> Engine:
    # mode=rw: a file that was taken away while the registry is open must be an error, not a new, empty registry.
    address = ("file://" if path.is_absolute() else "file:") + quote(os.fsencode(path)) + "?mode=rw"

    def connect() -> sqlite3.Connection:
        # Without an isolation level, transactions begin where the listener below says so.
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("pragma foreign_keys = on")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)

    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails when another has written in between.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    event.listen(engine, "begin", begin)
    return engine


class SqlRegistry:
    """A registry in a database; see :class:`pathcurate.registries.Registry`. Close it, or use it in ``with``.

    Every method raises ``InputOutputError`` if the database cannot be read or written, ``LockedError`` if another process
    has held it for 10 seconds, and ``DigestMismatchError`` if what it needs was changed outside of this program.

    Args:
        engine: of the database.
        name: of the registry, for messages.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the database back."""
        self._engine.dispose()

    def prepare(self) -> None:
        """Make the tables of an empty database; check that those of another are ours and not newer than this program.

        Raises:
            InputOutputError: the database holds something else, or was made by a newer version.
        """
        with self._transaction() as connection:
            is_new = not inspect(connection).get_table_names()
            if not is_new:
                self._check_schema(connection)
        if is_new:
            with self._transaction(writes=True) as connection:
                if not inspect(connection).get_table_names():
                    _METADATA.create_all(connection)
                    row = {"id": 1, "schema_version": SCHEMA_VERSION, "event_count": 0, "head": FIRST_PREVIOUS}
                    connection.execute(insert(_REGISTRY).values(row))
                self._check_schema(connection)

    def _check_schema(self, connection: Connection) -> None:
        version: object = None
        if inspect(connection).has_table(_REGISTRY.name):
            version = connection.execute(select(_REGISTRY.c.schema_version)).scalar()
        if not isinstance(version, int) or version < 1:
            raise InputOutputError(f"{self._name} is a database, but no registry", "Check `registry` in pathcurate.yaml.")
        if version > SCHEMA_VERSION:
            raise InputOutputError(
                f"{self._name} has schema version {version}; this version of pathcurate knows {SCHEMA_VERSION}",
                "Update pathcurate.",
            )

    @contextlib.contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with self._engine.execution_options(**{_WRITES: writes}).begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._refuse(error)

    def _refuse(self, error: SQLAlchemyError) -> NoReturn:
        cause = error.orig if isinstance(error, DBAPIError) else None
        if getattr(cause, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise LockedError(f"{self._name} is held by another process", "Try again.") from None
        raise InputOutputError(
            f"{self._name} cannot be used: {cause or type(error).__name__}",
            "Check that it is a registry, and that it and its directory can be written.",
        ) from None

    def register(self, entry: Entry) -> tuple[Entry, bool]:
        """Enter a version; again gives the stored entry. Of processes that try at once, one gets True.

        Args:
            entry: a frozen release; its time and actor are those of the event.

        Returns:
            The entry as it stands in the registry, and whether it is new.

        Raises:
            DigestMismatchError: the version is registered with other content, or the content as another version.
            UsageError: the entry is not frozen.
        """
        if entry.state is not State.FROZEN:
            raise UsageError(f"a release is registered as frozen, not as {entry.state}")
        with self._transaction(writes=True) as connection:
            count, head = self._lock(connection)
            stored = self._find(connection, entry)
            if stored is not None:
                return stored, False
            connection.execute(insert(_ENTRIES).values(_entry_values(entry)))
            values = _event_values(entry, count + 1, head)
            connection.execute(insert(_EVENTS).values(values))
            connection.execute(update(_REGISTRY).values(event_count=values["seq"], head=values["digest"]))
        return entry, True

    def _lock(self, connection: Connection) -> tuple[int, str]:
        """Hold back other writers; how many events there are, and the digest of the last."""
        # SQLite knows no row locks: there, `begin immediate` has locked the file.
        count, head = connection.execute(select(_REGISTRY.c.event_count, _REGISTRY.c.head).with_for_update()).one()
        last = connection.execute(select(_EVENTS.c.seq, _EVENTS.c.digest).order_by(_EVENTS.c.seq.desc()).limit(1)).first()
        if (count, head) != (tuple(last) if last else (0, FIRST_PREVIOUS)):
            raise DigestMismatchError(
                f"{self._name} was changed outside of pathcurate: its last event is not the one that it recorded",
                f"Nothing was registered. {_RESTORE}",
            )
        return count, head

    def _find(self, connection: Connection, entry: Entry) -> Entry | None:
        """The stored entry of the same release.

        Raises:
            DigestMismatchError: there is one that shares either the version or the digest, but not both.
        """
        same_version = (_ENTRIES.c.product == entry.product) & (_ENTRIES.c.version == entry.version)
        same_digest = _ENTRIES.c.release_digest == entry.release_digest
        rows = connection.execute(select(_ENTRIES).where(or_(same_version, same_digest))).all()
        found = [self._entry(row) for row in rows]
        for stored in found:
            if (stored.product, stored.version) != (entry.product, entry.version):
                continue
            if (stored.release_digest, stored.content_digest) == (entry.release_digest, entry.content_digest):
                return stored
            raise DigestMismatchError(
                f"{entry.product} {entry.version} is registered with other content ({stored.release_digest})",
                "What is registered never changes: restore the release with that digest from a copy, or raise `version` in "
                "the recipe, build and register again.",
            )
        if found:
            raise DigestMismatchError(
                f"this release is registered as {found[0].product} {found[0].version}",
                f"It cannot be {entry.product} {entry.version} as well: use that entry, or build a release of its own.",
            )
        return None

    def _entry(self, row: Row[Any]) -> Entry:
        try:
            values = {**row._asdict(), "state": State(row.state), "counts": json.loads(row.counts)}
            return Entry(**values)
        except (InputOutputError, AttributeError, *_MALFORMED):
            raise DigestMismatchError(
                f"{self._name} holds an entry that was changed outside of pathcurate", _RESTORE
            ) from None

    def get(self, product: str, version: str) -> Entry | None:
        """The entry of a version, None if it is not registered."""
        chosen = select(_ENTRIES).where(_ENTRIES.c.product == product, _ENTRIES.c.version == version)
        with self._transaction() as connection:
            row = connection.execute(chosen).first()
        return None if row is None else self._entry(row)

    def list(self) -> builtins.list[Entry]:
        """All entries, by product and version (SemVer precedence, so 1.10.0 comes after 1.9.0)."""
        with self._transaction() as connection:
            rows = connection.execute(select(_ENTRIES)).all()
        entries = [self._entry(row) for row in rows]
        return sorted(entries, key=lambda entry: (entry.product, version_key(entry.version), entry.version))

    def history(self, product: str, version: str) -> builtins.list[Event]:
        """What happened to a version, oldest first; empty if it is not registered."""
        chosen = select(_EVENTS).where(_EVENTS.c.product == product, _EVENTS.c.version == version)
        with self._transaction() as connection:
            rows = connection.execute(chosen.order_by(_EVENTS.c.seq)).all()
        return [self._event(row) for row in rows]

    def _event(self, row: Row[Any]) -> Event:
        try:
            return Event(**{**row._asdict(), "payload": json.loads(row.payload)})
        except (ValueError, TypeError):
            raise DigestMismatchError(
                f"event {row.seq} of {self._name} was changed outside of pathcurate", _RESTORE
            ) from None

    def verify(self) -> builtins.list[str]:
        """What was changed outside of this program, as sentences that name the event; empty if nothing was."""
        with self._transaction() as connection:
            count, head = connection.execute(select(_REGISTRY.c.event_count, _REGISTRY.c.head)).one()
            events = connection.execute(select(_EVENTS).order_by(_EVENTS.c.seq)).all()
            entries = connection.execute(select(_ENTRIES).order_by(_ENTRIES.c.product, _ENTRIES.c.version)).all()
        return [*_chain_faults(events, count, head), *_entry_faults(events, entries)]


# --- Rows --------------------------------------------------------------------------------------------------------

_PAYLOAD = ("release_digest", "content_digest", "state", "title", "counts")


def _entry_values(entry: Entry) -> dict[str, Any]:
    return {**entry.as_dict(), "counts": canonical_json(entry.counts).decode()}


def _event_values(entry: Entry, seq: int, previous: str) -> dict[str, Any]:
    """The row of the event that enters a version."""
    entered = entry.as_dict()
    values = {
        "seq": seq,
        "at": entry.registered_at,
        "actor": entry.actor,
        "action": "register",
        "product": entry.product,
        "version": entry.version,
        "payload": canonical_json({name: entered[name] for name in _PAYLOAD}).decode(),
        "previous": previous,
    }
    return {**values, "digest": _event_digest(values)}


def _event_digest(row: dict[str, Any]) -> str:
    """The digest of an event: of the canonical JSON of all its columns but the digest, the payload as JSON in it."""
    parts = {name: value for name, value in row.items() if name != "digest"}
    return sha256_text(canonical_json({**parts, "payload": json.loads(row["payload"])}))


# --- What verify looks for -----------------------------------------------------------------------------------------


def _chain_faults(events: Sequence[Row[Any]], count: int, head: str) -> Iterator[str]:
    """Events that were edited, removed, added or put elsewhere."""
    seq, previous = 0, FIRST_PREVIOUS
    for row in events:
        if row.seq > seq + 1:
            yield f"{_numbered(seq + 1, row.seq - 1)} missing"
        elif row.seq < 1:
            yield f"event {row.seq} was not written by pathcurate"
        if row.previous != previous:
            yield f"event {row.seq} does not follow the event before it"
        if _recomputed(row) != row.digest:
            yield f"event {row.seq} was changed"
        seq, previous = row.seq, row.digest
    if isinstance(count, int) and count > seq:
        yield f"{_numbered(seq + 1, count)} missing"
    elif (count, head) != (seq, previous):
        yield f"event {seq} is not the last one that the registry recorded"


def _numbered(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


def _recomputed(row: Row[Any]) -> str | None:
    """The digest that the event should have, None if a column holds what no event can."""
    try:
        is_canonical = canonical_json(json.loads(row.payload)) == row.payload.encode()
        return _event_digest(row._asdict()) if is_canonical else None
    except _MALFORMED:
        return None


def _entry_faults(events: Sequence[Row[Any]], entries: Sequence[Row[Any]]) -> Iterator[str]:
    """Entries that do not agree with the event that entered them."""
    entering = {(row.product, row.version): row for row in reversed(events) if row.action == "register"}
    for entry in entries:
        row = entering.pop((entry.product, entry.version), None)
        if row is None:
            yield f"the entry {entry.product!a} {entry.version!a} was never registered: no event enters it"
            continue
        differing = [name for name, value in _entered(row).items() if getattr(entry, name) != value]
        if differing:
            yield f"event {row.seq}: the entry that it made was changed since ({', '.join(differing)})"
    for row in sorted(entering.values(), key=lambda row: int(row.seq)):
        yield f"event {row.seq}: the entry that it made is missing"


def _entered(row: Row[Any]) -> dict[str, Any]:
    """The columns of an entry, from the event that entered it; None, which no entry holds, for what cannot be read."""
    try:
        payload = json.loads(row.payload)
        parts = {**payload, "counts": canonical_json(payload["counts"]).decode()}
    except (KeyError, *_MALFORMED):
        parts = {}
    return {**{name: parts.get(name) for name in _PAYLOAD}, "registered_at": row.at, "actor": row.actor}
