"""The registry's tables, and what makes a database itself refuse to change an event."""

from typing import Final

from sqlalchemy import (
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    event,
)

SCHEMA_VERSION: Final = 2
"""1 (0.1.0 to 0.9.0): releases only, in a table ``entries``."""

METADATA = MetaData()
REGISTRY = Table(
    "registry",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("schema_version", Integer, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("head", Text, nullable=False),
)
SUBJECTS = Table(
    "subjects",
    METADATA,
    Column("machine", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("product", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("opened_at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("last", Integer, nullable=False),
)
CLAIMS = Table(
    "claims",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    Column("machine", Text, nullable=False),
    Column("subject", Text, nullable=False),
)
EVENTS = Table(
    "events",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("key", Text, unique=True),
    Column("previous", Text, nullable=False, unique=True),
    Column("digest", Text, nullable=False, unique=True),
    ForeignKeyConstraint(["machine", "subject"], [SUBJECTS.c.machine, SUBJECTS.c.id]),
)
Index("subjects_by_product", SUBJECTS.c.product, SUBJECTS.c.version)
Index("subjects_by_parent", SUBJECTS.c.machine, SUBJECTS.c.parent)
Index("events_by_release", EVENTS.c.product, EVENTS.c.version, EVENTS.c.seq)

_REFUSAL = "events are only added"
_ADD_ONLY = {
    "sqlite": [
        f"create trigger no_{action} before {action} on events begin select raise(abort, '{_REFUSAL}'); end"
        for action in ("update", "delete")
    ],
    "postgresql": [
        f"""create function pathcurate_only_added() returns trigger language plpgsql
            as $$ begin raise exception '{_REFUSAL}'; end $$""",
        "create trigger no_change before update or delete on events for each row execute function pathcurate_only_added()",
        "create trigger no_truncate before truncate on events for each statement execute function pathcurate_only_added()",
        "revoke update, delete, truncate on events from public",
    ],
}
"""By dialect."""


@event.listens_for(EVENTS, "after_create")
def _forbid_changes(_table: Table, connection: Connection, **_options: object) -> None:
    for statement in _ADD_ONLY[connection.dialect.name]:
        connection.exec_driver_sql(statement)
