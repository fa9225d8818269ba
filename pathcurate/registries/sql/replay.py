"""What verify looks for: the events of a registry are played again, and what stands in its tables must come of it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from sqlalchemy import Row

from pathcurate.digests import canonical_json
from pathcurate.registries.sql.rows import FIRST_PREVIOUS, MALFORMED, payload_of, recomputed

Read: TypeAlias = tuple[Row[Any], Mapping[str, Any] | None]
"""An event and what it says."""

_COLUMNS = ("product", "version", "parent", "state", "facts", "opened_at", "actor", "last")


def chain_faults(events: Sequence[Row[Any]], count: int, head: str) -> Iterator[str]:
    """Events that were edited, removed, added or put elsewhere."""
    seq, previous = 0, FIRST_PREVIOUS
    for row in events:
        if row.seq > seq + 1:
            yield f"{_numbered(seq + 1, row.seq - 1)} missing"
        elif row.seq < 1:
            yield f"event {row.seq} was not written by pathcurate"
        if row.previous != previous:
            yield f"event {row.seq} does not follow the event before it"
        if recomputed(row) != row.digest:
            yield f"event {row.seq} was changed"
        seq, previous = row.seq, row.digest
    if isinstance(count, int) and count > seq:
        yield f"{_numbered(seq + 1, count)} missing"
    elif (count, head) != (seq, previous):
        yield f"event {seq} is not the last one that the registry recorded"


def _numbered(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"


def payloads(events: Sequence[Row[Any]]) -> list[Read]:
    """Events with what they say, None if that cannot be read."""
    return [(row, _payload(row)) for row in events]


def _payload(row: Row[Any]) -> Mapping[str, Any] | None:
    try:
        return payload_of(row)
    except (KeyError, *MALFORMED):
        return None


def subject_faults(events: Sequence[Read], subjects: Sequence[Row[Any]]) -> Iterator[str]:
    """Subjects that are not what their events made of them."""
    played: dict[tuple[str, str], dict[str, Any]] = {}
    for row, payload in events:
        try:
            if payload is None:
                raise ValueError("it cannot be read")
            _play(played, row, payload)
        except (KeyError, *MALFORMED):
            played.setdefault((row.machine, row.subject), {"seqs": [row.seq]})["broken"] = True
    for subject in sorted(
        subjects, key=lambda one: (str(one.machine), str(one.id))
    ):  # each database has its own order of text
        made = played.pop((subject.machine, subject.id), None)
        if made is None:
            yield f"the {subject.machine} {subject.id!a} was never entered: no event enters it"
        else:
            yield from _differences(subject, made)
    for (machine, _), made in sorted(played.items(), key=lambda item: int(item[1]["seqs"][0])):
        yield f"event {made['seqs'][0]}: the {machine} that it made is missing"


def _play(played: dict[tuple[str, str], dict[str, Any]], row: Row[Any], payload: Mapping[str, Any]) -> None:
    made = played.get((row.machine, row.subject))
    if made is None:
        made = played[row.machine, row.subject] = {
            "product": row.product, "version": row.version, "parent": payload.get("parent", ""), "facts": {},
            "opened_at": row.at, "actor": row.actor, "seqs": [], "last": row.seq, "state": payload["to"],
        }  # fmt: skip
    made["seqs"].append(row.seq)
    if "refused" not in payload:
        made["state"], made["last"] = payload["to"], row.seq
        made["facts"] = {**made["facts"], **payload.get("sets", {})}


def _differences(subject: Row[Any], made: dict[str, Any]) -> Iterator[str]:
    seqs = made["seqs"]
    which = f"event {seqs[0]}" if len(seqs) == 1 else f"events {', '.join(map(str, seqs))}"
    if "broken" in made:
        yield f"{which}: what it says of the {subject.machine} cannot be read"
        return
    differing = []
    for name in _COLUMNS:
        stored: Any = getattr(subject, name)
        if name == "facts":
            differing += _different_facts(stored, made["facts"])
        elif stored != made[name]:
            differing.append(name)
    if differing:
        yield f"{which}: the {subject.machine} was changed since ({', '.join(differing)})"


def _different_facts(stored: Any, made: dict[str, Any]) -> list[str]:
    try:
        found = json.loads(stored)
        if canonical_json(found).decode() != stored or not isinstance(found, dict):
            return ["facts"]
    except MALFORMED:
        return ["facts"]
    return [name if name in made else "facts" for name in {*made, *found} if made.get(name, _NO) != found.get(name, _NO)]


_NO = object()


def claim_faults(events: Sequence[Read], claims: Sequence[Row[Any]]) -> Iterator[str]:
    """Claims that no event made, or that are gone."""
    made: dict[tuple[str, str], tuple[str, str, int]] = {}
    for row, payload in events:
        if payload is None:
            continue
        try:
            listed = [("release", payload["sets"]["release_digest"])] if row.key is None else payload.get("claims", ())
            made |= dict.fromkeys(((kind, value) for kind, value in listed), (row.machine, row.subject, row.seq))
        except (KeyError, *MALFORMED):
            continue
    for claim in sorted(claims, key=lambda one: (str(one.kind), str(one.value))):
        found = made.pop((claim.kind, claim.value), None)
        if found is None or found[:2] != (claim.machine, claim.subject):
            yield f"a {claim.kind!a} of the {claim.machine} {claim.subject!a} was not recorded by any event"
    for (kind, _), (machine, subject, seq) in made.items():
        yield f"event {seq}: the {kind} of the {machine} {subject!a} is missing"
