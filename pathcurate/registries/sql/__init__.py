"""The registry in a database: SQLAlchemy Core, on an SQLite file or a PostgreSQL server.

Every change is an event, and every event holds the digest of the one before, so that none can be edited, removed or put
elsewhere unnoticed. One row of the table ``registry`` counts the events and holds the digest of the last; writers lock it
first and so come one after another. Somebody who rewrites everything consistently is not found out by the chain alone: the
signed heads in attestations and receipts are what :meth:`SqlRegistry.digest_at` is compared with.
"""

import builtins
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from sqlalchemy import Connection, Engine, Row, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pathcurate.errors import (
    DigestMismatchError,
    InputOutputError,
    LockedError,
    PathcurateError,
    PlanIncompleteError,
    UsageError,
)
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry, Event, Opened, State, Step, Subject, release_id
from pathcurate.registries.sql.ledger import Ledger, by_id, find, holds, wrong_state
from pathcurate.registries.sql.migration import migrate
from pathcurate.registries.sql.opening import WRITES, copied_engine, postgresql_engine, sqlite_engine
from pathcurate.registries.sql.replay import chain_faults, claim_faults, payloads, subject_faults
from pathcurate.registries.sql.rows import (
    FIRST_PREVIOUS,
    MALFORMED,
    RESTORE,
    EventRow,
    as_entry,
    as_event,
    facts_of,
    payload_of,
    recomputed,
)
from pathcurate.registries.sql.tables import CLAIMS, EVENTS, METADATA, REGISTRY, SCHEMA_VERSION, SUBJECTS
from pathcurate.registryaddress import RegistryAddress
from pathcurate.releases import version_key

_PREPARING = 0x70617468  # a lock of our own on the server, so that only one of several makes the tables
_NOT_LOCKED = "55P03"  # https://www.postgresql.org/docs/current/errcodes-appendix.html: lock_not_available


def open_registry(place: Path | RegistryAddress, password: str | None = None) -> "SqlRegistry":
    """Open a registry; a file that is not there, or an empty database, becomes an empty registry.

    A file of an earlier version is brought to the form of today. One of today that cannot be written can still be read.

    Args:
        place: a file, which gets mode 0600; or a database on a PostgreSQL server.
        password: for the server.

    Raises:
        InputOutputError: the directory is missing, the server does not answer, it is no registry, or it was made by a newer
            version.
        LockedError: another process has held it for 10 seconds.
    """
    if isinstance(place, Path):
        registry = SqlRegistry(sqlite_engine(place), f"registry {place}")
    else:
        registry = SqlRegistry(postgresql_engine(place, password), f"registry {place.shown}")
    try:
        registry.prepare()
    except PathcurateError:
        registry.close()
        raise
    return registry


@contextlib.contextmanager
def look_at_registry(place: Path | RegistryAddress, password: str | None = None) -> "Iterator[SqlRegistry | None]":
    """A registry that is looked at and stays as it is, to the byte; None if there is none yet.

    What is done with the registry of a file is done with a copy in memory, which may be brought to the form of today.

    Args:
        place: a file, or a database on a PostgreSQL server.
        password: for the server.

    Raises:
        InputOutputError: it cannot be read, is no registry, or was made by a newer version.
    """
    if isinstance(place, Path):
        try:
            place.stat()
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise InputOutputError(
                f"registry {place} cannot be read: {error.strerror}", "Check the permissions of its directory."
            ) from None
        registry = SqlRegistry(copied_engine(place), f"registry {place}")
    else:
        registry = SqlRegistry(postgresql_engine(place, password), f"registry {place.shown}")
    with registry:
        if registry.is_empty():
            yield None
            return
        registry.prepare()
        yield registry


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

    # --- The database ------------------------------------------------------------------------------------------------

    def is_empty(self) -> bool:
        """Whether the database holds no table, so that nobody has made a registry of it yet."""
        with self._transaction() as connection:
            return not inspect(connection).get_table_names()

    def prepare(self) -> None:
        """Make the tables of an empty database; check that those of another are ours and not newer than this program.

        Raises:
            InputOutputError: the database holds something else, or was made by a newer version.
        """
        with self._transaction() as connection:
            tables = inspect(connection).get_table_names()
            version = self._schema_version(connection) if tables else 0
        if version == SCHEMA_VERSION:
            return
        try:
            self._make()
        except InputOutputError as error:
            if not version:
                raise
            raise InputOutputError(
                f"{self._name} was made by an earlier version of pathcurate, and cannot be brought to the form of today: "
                f"{error.message}",
                "Let somebody who may write it, and its directory, run `pathcurate product list` once.",
            ) from None

    def _make(self) -> None:
        with self._transaction(writes=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _PREPARING})
            if not inspect(connection).get_table_names():
                METADATA.create_all(connection)
                row = {"id": 1, "schema_version": SCHEMA_VERSION, "event_count": 0, "head": FIRST_PREVIOUS}
                connection.execute(insert(REGISTRY).values(row))
            elif self._schema_version(connection) < SCHEMA_VERSION:
                migrate(connection, self._name)

    def _schema_version(self, connection: Connection) -> int:
        version: object = None
        if inspect(connection).has_table(REGISTRY.name):
            version = connection.execute(select(REGISTRY.c.schema_version)).scalar()
        if not isinstance(version, int) or version < 1:
            raise InputOutputError(f"{self._name} is a database, but no registry", "Check `registry` in pathcurate.yaml.")
        if version > SCHEMA_VERSION:
            raise InputOutputError(
                f"{self._name} has schema version {version}; this version of pathcurate knows {SCHEMA_VERSION}",
                "Update pathcurate.",
            )
        return version

    @contextlib.contextmanager
    def _transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        try:
            with self._engine.execution_options(**{WRITES: writes}).begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            self._refuse(error)

    def _refuse(self, error: SQLAlchemyError) -> NoReturn:
        cause = error.orig if isinstance(error, DBAPIError) else None
        is_held = getattr(cause, "sqlite_errorname", "").startswith("SQLITE_BUSY")
        if is_held or getattr(cause, "sqlstate", None) == _NOT_LOCKED:
            raise LockedError(f"{self._name} is held by another process", "Try again.") from None
        # What a server says may quote values, and where it cannot be reached, the address; an SQLite error says neither.
        is_local = self._engine.dialect.name == "sqlite"
        raise InputOutputError(
            f"{self._name} cannot be used: {(cause if is_local else None) or type(cause or error).__name__}",
            "Check that it is a registry, and that it and its directory can be written."
            if is_local
            else "Check that the server answers, and that user, password and database in pathcurate.yaml are right.",
        ) from None

    # --- Moving ------------------------------------------------------------------------------------------------------

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
            raise UsageError(
                f"a release is registered as frozen, not as {entry.state}", "Enter it with `pathcurate product register`."
            )
        with self._transaction(writes=True) as connection:
            ledger = Ledger(connection, self._name)
            stored = self._same(connection, entry)
            if stored is not None:
                return stored, False
            opened = Opened(Machine.RELEASE, entry.id, entry.product, entry.version, "", entry.actor, entry.registered_at,
                            facts_of(entry), (("release", entry.release_digest),))  # fmt: skip
            subject = ledger.open(opened)
        return as_entry(subject, self._name), True

    def _same(self, connection: Connection, entry: Entry) -> Entry | None:
        """The stored entry of the same release.

        Raises:
            DigestMismatchError: there is one that shares either the version or the digest, but not both.
        """
        subject = find(connection, Machine.RELEASE, entry.id, self._name)
        if subject is not None:
            stored = as_entry(subject, self._name)
            if (stored.release_digest, stored.content_digest) == (entry.release_digest, entry.content_digest):
                return stored
            raise DigestMismatchError(
                f"{entry.product} {entry.version} is registered with other content ({stored.release_digest})",
                "What is registered never changes: restore the release with that digest from a copy, or raise `version` in "
                "the recipe, build and register again.",
            )
        claim = select(CLAIMS).where(CLAIMS.c.kind == "release", CLAIMS.c.value == entry.release_digest)
        other = connection.execute(claim).first()
        if other is not None:
            product, _, version = other.subject.partition("@")
            raise DigestMismatchError(
                f"this release is registered as {product} {version}",
                f"It cannot be {entry.product} {entry.version} as well: use that entry, or build a release of its own.",
            )
        return None

    def open(self, opened: Opened) -> Step:
        """Enter a contract or a delivery, by the command that opens its machine; again gives what is stored.

        Raises:
            DigestMismatchError: its id is taken by another, or a claim is.
            PlanIncompleteError: what it belongs to is in no state for that.
            UsageError: what it belongs to is not in the registry.
        """
        with self._transaction(writes=True) as connection:
            ledger = Ledger(connection, self._name)
            stored = find(connection, opened.machine, opened.id, self._name)
            if stored is None:
                ledger.demand_parent(opened.machine, opened.parent, lifecycle().table(opened.machine).opens.parent)
                return Step(ledger.open(opened), (), True)
            differs = (stored.product, stored.version, stored.parent) != (opened.product, opened.version, opened.parent)
            if differs or not holds(stored.facts, opened.facts):
                raise DigestMismatchError(
                    f"there is another {opened.machine} `{opened.id}`", "Give this one a name of its own."
                )
            return Step(stored, (), False)

    def transition(self, command: Command) -> Step:
        """Move a subject, and those that its command moves with it, in one transaction.

        A command that was given before, and changed nothing since, gives what it gave then; so does one with the same key.

        Raises:
            DigestMismatchError: its key was used for another command, or another subject has what it claims.
            LockedError: somebody has moved the subject since the caller looked.
            PlanIncompleteError: the subject, or what it belongs to, is in no state for that.
            UsageError: there is no such subject or command.
        """
        table = lifecycle().table(command.machine)
        if command.name not in table.commands:
            raise UsageError(
                f"a {command.machine} has no command `{command.name}`",
                "See `pathcurate product --help` for the commands that there are.",
            )
        with self._transaction(writes=True) as connection:
            ledger = Ledger(connection, self._name)
            subject = find(connection, command.machine, command.subject, self._name)
            if subject is None:
                raise UsageError(f"{command.machine} `{command.subject}` is not registered", "`pathcurate product list`.")
            if ledger.was_done(command):
                return Step(subject, (), False)
            target = table.target(command.name, subject.state)
            is_there = subject.state == table.commands[command.name].to or target == subject.state
            if is_there and not command.says and holds(subject.facts, command.sets) and ledger.has_claimed(command):
                return Step(subject, (), False)
            if command.seen is not None and command.seen != subject.last:
                raise LockedError(
                    f"{command.machine} {subject.id} was moved by another run meanwhile: it is {subject.state} now",
                    "Look at it with `pathcurate product show`, and give the command again if it still applies.",
                )
            if target is None:
                raise PlanIncompleteError(*wrong_state(command.machine, subject, command.name))
            ledger.demand_parent(command.machine, subject.parent, table.commands[command.name].parent)
            moved = ledger.move(subject, command, target)
            also = tuple(ledger.follow(moved, command))
        return Step(moved, also, True)

    def refuse(self, command: Command, missing: Sequence[str]) -> None:
        """Keep in the history that a command was refused, and which evidence was missing; nothing else changes."""
        with self._transaction(writes=True) as connection:
            ledger = Ledger(connection, self._name)
            subject = find(connection, command.machine, command.subject, self._name)
            if subject is not None:
                ledger.add(subject, command.name, command.actor, command.at, {"refused": list(missing)}, "")

    # --- Reading -----------------------------------------------------------------------------------------------------

    def get(self, product: str, version: str) -> Entry | None:
        """The entry of a version, None if it is not registered."""
        subject = self.subject(Machine.RELEASE, release_id(product, version))
        return None if subject is None else as_entry(subject, self._name)

    def claimed(self, kind: str, value: str) -> str | None:
        """The id of the subject that has claimed what no other may have; None if none has."""
        chosen = select(CLAIMS.c.subject).where(CLAIMS.c.kind == kind, CLAIMS.c.value == value)
        with self._transaction() as connection:
            found: str | None = connection.execute(chosen).scalar()
        return found

    def subject(self, machine: Machine, name: str) -> Subject | None:
        """A release, contract or delivery, None if it is not there."""
        with self._transaction() as connection:
            return find(connection, machine, name, self._name)

    def subjects(self, machine: Machine, *, parent: str | None = None) -> builtins.list[Subject]:
        """All of one kind, or those that belong to one, by id."""
        chosen = select(SUBJECTS).where(SUBJECTS.c.machine == str(machine))
        if parent is not None:
            chosen = chosen.where(SUBJECTS.c.parent == parent)
        with self._transaction() as connection:
            return by_id(connection.execute(chosen), self._name)

    def list(self) -> builtins.list[Entry]:
        """All releases, by product and version (SemVer precedence, so 1.10.0 comes after 1.9.0).

        Raises:
            DigestMismatchError: an entry, or the event that moved it last, was changed. The whole chain is :meth:`verify`'s.
        """
        last = select(SUBJECTS.c.state, EVENTS).select_from(SUBJECTS.outerjoin(EVENTS, EVENTS.c.seq == SUBJECTS.c.last))
        with self._transaction() as connection:
            Ledger(connection, self._name, writes=False)
            for row in connection.execute(last.where(SUBJECTS.c.machine == str(Machine.RELEASE))):
                self._check_last(row)
        entries = [as_entry(subject, self._name) for subject in self.subjects(Machine.RELEASE)]
        return sorted(entries, key=lambda entry: (entry.product, version_key(entry.version), entry.version))

    def _check_last(self, row: Row[Any]) -> None:
        """Whether the event that moved a subject last is whole, and led to the state that it is in."""
        state, event = row[0], EventRow._make(row[1:])
        try:
            is_whole = recomputed(event) == event.digest and payload_of(event)["to"] == state
        except (KeyError, *MALFORMED):
            is_whole = False
        if not is_whole:
            raise DigestMismatchError(f"{self._name} holds an entry that was changed outside of pathcurate", RESTORE)

    def history(self, product: str, version: str) -> builtins.list[Event]:
        """What happened to a version, its contracts and deliveries, oldest first; empty if it is not registered."""
        chosen = select(EVENTS).where(EVENTS.c.product == product, EVENTS.c.version == version).order_by(EVENTS.c.seq)
        with self._transaction() as connection:
            return [as_event(row, self._name) for row in connection.execute(chosen)]

    def head(self) -> tuple[int, str]:
        """How many events there are, and the digest of the last: what signatures vouch for."""
        with self._transaction() as connection:
            count, digest = connection.execute(select(REGISTRY.c.event_count, REGISTRY.c.head)).one()
        return count, digest

    def digest_at(self, seq: int) -> str | None:
        """The digest of an event, None if there is none of that number; before the first, what it follows."""
        if seq == 0:
            return FIRST_PREVIOUS
        with self._transaction() as connection:
            found: str | None = connection.execute(select(EVENTS.c.digest).where(EVENTS.c.seq == seq)).scalar()
        return found

    def verify(self) -> builtins.list[str]:
        """What was changed outside of this program, as sentences that name the event; empty if nothing was."""
        with self._transaction() as connection:
            count, head = connection.execute(select(REGISTRY.c.event_count, REGISTRY.c.head)).one()
            events = connection.execute(select(EVENTS).order_by(EVENTS.c.seq)).all()
            subjects = connection.execute(select(SUBJECTS)).all()
            claims = connection.execute(select(CLAIMS)).all()
        read = payloads(events)
        return [*chain_faults(events, count, head), *subject_faults(read, subjects), *claim_faults(read, claims)]
