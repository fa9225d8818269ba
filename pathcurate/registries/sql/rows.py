"""Rows of the registry's tables as what they stand for, and the digest of an event."""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from sqlalchemy import Row

from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import DigestMismatchError, InputOutputError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Entry, Event, State, Subject

FIRST_PREVIOUS: Final = "sha256:" + "0" * 64
"""What the first event names as the digest before it."""
RESTORE: Final = "Restore it from a copy."

# What JSON, digests and entries raise for values that only another program can have written.
MALFORMED = (ValueError, TypeError, RecursionError)
_OWN_FACTS = ("release_digest", "content_digest", "title", "counts")
_SINCE_2 = ("machine", "subject", "key")
"""Columns that the events of the first schema did not have; theirs have no key."""


class EventRow(NamedTuple):
    """A row of ``events``, as rows of the database are: columns in their order, by name."""

    seq: int
    at: str
    actor: str
    action: str
    machine: str
    subject: str
    product: str
    version: str
    payload: str
    key: str | None
    previous: str
    digest: str


def event_digest(row: Mapping[str, Any]) -> str:
    """The digest of an event: of the canonical JSON of all its columns but the digest, the payload as JSON in it.

    Args:
        row: columns by name; the payload is canonical JSON, and so stands in the whole as it is.
    """
    left_out = {"digest", *(_SINCE_2 if row.get("key") is None else ())}
    parts = (
        f'"{name}":{row[name] if name == "payload" else canonical_json(row[name]).decode()}'
        for name in sorted(row) if name not in left_out
    )  # fmt: skip
    return sha256_text(f"{{{','.join(parts)}}}".encode())


def recomputed(row: Row[Any] | EventRow) -> str | None:
    """The digest that the event should have, None if a column holds what no event can."""
    try:
        return event_digest(row._asdict()) if _is_canonical(row.payload) else None
    except (*MALFORMED, AttributeError):
        return None


def _is_canonical(payload: str) -> bool:
    value = _STRICT.decode(payload)
    # Canonical JSON has its keys in the order of UTF-16, which is that of code points below the surrogates. A registry
    # has hundreds of thousands of events, and this is ten times as fast.
    found = _SORTED.encode(value) if max(payload) < "\ud800" else canonical_json(value).decode()
    return found == payload


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"canonical JSON of an event holds no {text}")


def _whole(text: str) -> int:
    number = int(text)
    if abs(number) >= 2**53:
        _refuse("integer of 2**53 or more")
    return number


_STRICT = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse, parse_int=_whole)
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False)


def payload_of(row: Row[Any] | EventRow) -> Mapping[str, Any]:
    """What an event did, in the form of today: one of the first schema entered a release and set all it says.

    Raises:
        ValueError: it is of no form that an event has.
    """
    payload = json.loads(row.payload)
    if not isinstance(payload, dict):
        raise ValueError("no payload")
    if row.key is None:
        return {"to": payload["state"], "sets": {name: payload[name] for name in _OWN_FACTS}}
    return payload


def facts_of(entry: Entry) -> dict[str, Any]:
    """What a release is entered with."""
    return {
        **entry.facts, "release_digest": entry.release_digest, "content_digest": entry.content_digest,
        "title": entry.title, "counts": dict(entry.counts),
    }  # fmt: skip


def as_subject(row: Row[Any], name: str) -> Subject:
    """A row of ``subjects``.

    Raises:
        DigestMismatchError: it holds what this program never writes.
    """
    try:
        facts = json.loads(row.facts)
        if not isinstance(facts, dict):
            raise ValueError("no facts")
        return Subject(**{**row._asdict(), "machine": Machine(row.machine), "facts": facts})
    except MALFORMED:
        raise DigestMismatchError(f"{name} holds an entry that was changed outside of pathcurate", RESTORE) from None


def as_entry(subject: Subject, name: str) -> Entry:
    """A release as its entry.

    Raises:
        DigestMismatchError: it is not of the form of one.
    """
    try:
        own = {key: subject.facts[key] for key in _OWN_FACTS}
        more = {key: value for key, value in subject.facts.items() if key not in _OWN_FACTS}
        return Entry(
            product=subject.product, version=subject.version, state=State(subject.state), registered_at=subject.opened_at,
            actor=subject.actor, facts=more, last=subject.last, **own,
        )  # fmt: skip
    except (InputOutputError, AttributeError, KeyError, *MALFORMED):
        raise DigestMismatchError(f"{name} holds an entry that was changed outside of pathcurate", RESTORE) from None


def as_event(row: Row[Any], name: str) -> Event:
    """A row of ``events``.

    Raises:
        DigestMismatchError: it cannot be read.
    """
    try:
        return Event(**{**row._asdict(), "machine": Machine(row.machine), "payload": json.loads(row.payload)})
    except MALFORMED:
        raise DigestMismatchError(f"event {row.seq} of {name} was changed outside of pathcurate", RESTORE) from None
