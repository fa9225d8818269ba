"""A registry of an earlier version becomes one of today. Its events and their chain stay as they are, to the byte."""

import json
from typing import Any

from sqlalchemy import Connection, insert, text

from pathcurate.digests import canonical_json
from pathcurate.errors import DigestMismatchError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import release_id
from pathcurate.registries.sql.rows import MALFORMED, RESTORE, EventRow, payload_of
from pathcurate.registries.sql.tables import CLAIMS, EVENTS, METADATA, REGISTRY, SCHEMA_VERSION, SUBJECTS


def migrate(connection: Connection, name: str) -> None:
    """From schema 1, which only SQLite has had: all rows are read, and written into new tables in one transaction.

    Raises:
        DigestMismatchError: its events cannot be read, or entries are not what they made.
    """
    count, head = connection.execute(text("select event_count, head from registry")).one()
    events = [dict(row) for row in connection.execute(text("select * from events order by seq")).mappings()]
    stored = {(row.product, row.version): row for row in connection.execute(text("select * from entries"))}
    # Dropping tables asks no trigger; rows that refer to others are all gone at the end of the transaction.
    for old in ("events", "entries", "registry"):
        connection.exec_driver_sql(f"drop table {old}")
    METADATA.create_all(connection)
    try:
        subjects, claims, rows = _rebuilt(events, stored)
    except (KeyError, AttributeError, *MALFORMED):
        raise DigestMismatchError(
            f"{name} was changed outside of pathcurate, and cannot be brought to a newer form", RESTORE
        ) from None
    for table, values in ((SUBJECTS, subjects), (CLAIMS, claims), (EVENTS, rows)):
        if values:
            connection.execute(insert(table), values)
    connection.execute(insert(REGISTRY).values(id=1, schema_version=SCHEMA_VERSION, event_count=count, head=head))


def _rebuilt(
    events: list[dict[str, Any]], stored: dict[tuple[str, str], Any]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    subjects, claims, rows = [], [], []
    for event in events:
        release = release_id(event["product"], event["version"])
        which = {"machine": str(Machine.RELEASE), "subject": release}
        row = EventRow(**event, machine=which["machine"], subject=release, key=None)
        rows.append(row._asdict())
        entry = stored.pop((row.product, row.version))
        sets = payload_of(row)["sets"]
        # What stands in the table is kept even if somebody has changed it: verify then says so, today as before.
        facts = {"release_digest": entry.release_digest, "content_digest": entry.content_digest, "title": entry.title,
                 "counts": json.loads(entry.counts)}  # fmt: skip
        subjects.append({
            "machine": which["machine"], "id": release, "product": row.product, "version": row.version, "parent": "",
            "state": entry.state, "facts": canonical_json(facts).decode(), "opened_at": entry.registered_at,
            "actor": entry.actor, "last": row.seq,
        })  # fmt: skip
        claims.append({**which, "kind": "release", "value": sets["release_digest"]})
    if stored:
        raise ValueError("entries without an event")
    return subjects, claims, rows
