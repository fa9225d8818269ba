"""What somebody with a database shell has done to a registry is found, and named by its event."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest
import rfc8785
from sqlalchemy import Connection, text

from pathcurate.errors import DigestMismatchError
from pathcurate.registries.sql import open_registry
from tests.postgres import Server, postgres  # noqa: F401 -- a fixture among them
from tests.registered import (  # noqa: F401 -- fixtures among them
    OTHER,
    Place,
    active,
    command,
    delivery,
    entry,
    faults,
    filled,
    no_sync,
    place,
    tampering,
)

# ruff: noqa: F811 -- a test's argument has the name of the fixture


def run(connection: Connection, statement: str, **values: object) -> None:
    connection.execute(text(statement), values)


def forged(row: Mapping[str, Any]) -> str:
    """The digest that an event would have, as an outsider computes it."""
    parts = {name: value for name, value in row.items() if name != "digest"}
    return "sha256:" + sha256(rfc8785.dumps({**parts, "payload": json.loads(row["payload"])})).hexdigest()


def put_in(connection: Connection, number: int, like: int, **changed: object) -> None:
    """Add an event like another."""
    row = dict(connection.execute(text("select * from events where seq = :seq"), {"seq": like}).mappings().one())
    row |= {"seq": number, "key": "k", **changed}
    run(connection, f"insert into events ({', '.join(row)}) values ({', '.join(f':{name}' for name in row)})", **row)


def test_the_database_itself_refuses_to_change_events(filled: Place) -> None:
    statements = ["update events set actor = 'x'", "delete from events where seq = 5"]
    if isinstance(filled, Path):
        with contextlib.closing(sqlite3.connect(filled)) as connection:
            for statement in statements:
                with pytest.raises(sqlite3.IntegrityError, match="only added"):
                    connection.execute(statement)
    else:
        server = Server(Path(filled.directory), filled.port or 0)
        with server.connect() as connection:
            for statement in (*statements, "truncate events", "truncate events, subjects cascade"):
                with pytest.raises(psycopg.errors.RaiseException, match="only added"):
                    connection.execute(statement)
    assert faults(filled) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01T00:00:00+00:00"), ("actor", "nobody"), ("action", "withdraw"), ("payload", "{}"),
        ("payload", "no JSON"), ("payload", "[" * 100_000), ("payload", '{"a":1.5}'), ("payload", "7"), ("key", "k"),
        ("machine", "contract"), ("subject", "thorax@9.9.9"),
        ("version", "9.9.9"), ("digest", OTHER), ("previous", OTHER),
    ],
)  # fmt: skip
def test_an_edited_event_is_named(filled: Place, column: str, value: str) -> None:
    with tampering(filled) as connection:
        for seq in (1, 3, 5):
            unlike = value + str(seq) if column in ("digest", "previous", "key") else value
            run(connection, f"update events set {column} = :value where seq = :seq", value=unlike, seq=seq)
    assert [fault for fault in faults(filled) if fault.endswith(" was changed")] == [
        f"event {seq} was changed" for seq in (1, 3, 5)
    ]


def test_bytes_in_place_of_text_are_named(tmp_path: Path, no_sync: None) -> None:
    path = tmp_path / "registry.db"
    with open_registry(path) as registry:
        registry.register(entry())
    with tampering(path) as connection:
        run(connection, "update events set payload = :value", value=b"\xff")
    assert "event 1 was changed" in faults(path)


def test_an_event_written_otherwise_is_named(filled: Place) -> None:
    with tampering(filled) as connection:
        payload = connection.execute(text("select payload from events where seq = 2")).scalar_one()
        run(connection, "update events set payload = :value where seq = 2", value=json.dumps(json.loads(payload)))
    assert faults(filled) == ["event 2 was changed"]


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_an_event_edited_with_a_fitting_digest_is_found(filled: Place, seq: int) -> None:
    with tampering(filled) as connection:
        stored = connection.execute(text("select * from events where seq = :seq"), {"seq": seq}).mappings().one()
        row = {**stored, "actor": "nobody"}
        run(connection, "update events set actor = 'nobody', digest = :digest where seq = :seq", digest=forged(row), seq=seq)
    found = faults(filled)
    assert f"event {seq}: the release was changed since (actor)" in found
    after = "event 5 is not the last one that the registry recorded" if seq == 5 else f"event {seq + 1} does not follow"
    assert any(fault.startswith(after) for fault in found)


@pytest.mark.parametrize(
    ("gone", "named"),
    [("1", "event 1 is missing"), ("3", "event 3 is missing"), ("5", "event 5 is missing"),
     ("2, 3", "events 2 to 3 are missing"), ("1, 2, 3, 4, 5", "events 1 to 5 are missing")],
)  # fmt: skip
@pytest.mark.parametrize("with_entries", [False, True])
def test_removed_events_are_named(filled: Place, gone: str, named: str, with_entries: bool) -> None:
    with tampering(filled) as connection:
        if with_entries:
            run(connection, f"delete from subjects where version in (select version from events where seq in ({gone}))")
            run(connection, f"delete from claims where subject in (select subject from events where seq in ({gone}))")
        run(connection, f"delete from events where seq in ({gone})")
    found = faults(filled)
    assert named in found
    assert any("no event enters it" in fault for fault in found) != with_entries


def test_events_put_in_another_order_are_named(filled: Place) -> None:
    with tampering(filled) as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            run(connection, "update events set seq = :new where seq = :old", new=new, old=old)
    found = faults(filled)
    assert {"event 2 was changed", "event 3 was changed", "event 2 does not follow the event before it"} <= set(found)


def test_an_event_put_in_front_is_named(filled: Place) -> None:
    with tampering(filled) as connection:
        put_in(connection, 0, 1, previous=OTHER, digest=OTHER)
    assert "event 0 was not written by pathcurate" in faults(filled)


def test_an_added_event_is_named_and_stops_the_next(filled: Place) -> None:
    with tampering(filled) as connection:
        last = connection.execute(text("select digest from events where seq = 5")).scalar_one()
        put_in(connection, 6, 5, previous=last, digest=OTHER)
    found = faults(filled)
    assert found[:2] == ["event 6 was changed", "event 6 is not the last one that the registry recorded"]
    assert found[2] == "events 5, 6: the release was changed since (last)"
    with open_registry(filled) as registry:
        for act in (
            lambda: registry.register(entry(version="3.0.0")), lambda: registry.transition(command("check")),
            lambda: registry.refuse(command("check"), ["ethics"]), registry.list,
        ):  # fmt: skip
            with pytest.raises(DigestMismatchError, match="was changed outside of pathcurate"):
                act()
        with pytest.raises(DigestMismatchError, match="Nothing was registered"):
            registry.register(entry(version="3.0.0"))


def changed_facts(connection: Connection, version: str, **changed: object) -> None:
    stored = connection.execute(
        text("select facts from subjects where version = :version"), {"version": version}
    ).scalar_one()
    facts = rfc8785.dumps({**json.loads(stored), **changed}).decode()
    run(connection, "update subjects set facts = :facts where version = :version", facts=facts, version=version)


@pytest.mark.parametrize(
    ("column", "value"),
    [("release_digest", OTHER), ("content_digest", OTHER), ("title", "x"), ("counts", {"slides": 61}), ("counts", "no JSON"),
     ("counts", {"cases": 24, "patients": 20, "slides": True})],
)  # fmt: skip
def test_an_edited_fact_is_named_by_its_event(filled: Place, column: str, value: object) -> None:
    with tampering(filled) as connection:
        changed_facts(connection, "1.2.0", **{column: value})
    assert faults(filled) == [f"event 3: the release was changed since ({column})"]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "registered"), ("actor", "x"), ("opened_at", "2020-01-01T00:00:00+00:00"), ("parent", "x"), ("last", 1),
     ("product", "bone"), ("facts", "no JSON"), ("facts", "{}"), ("facts", '{"a": 1}'), ("facts", "[" * 100_000)],
)  # fmt: skip
def test_an_edited_entry_is_named_by_its_event(filled: Place, column: str, value: object) -> None:
    with tampering(filled) as connection:
        run(connection, f"update subjects set {column} = :value where version = '1.2.0'", value=value)
    (found,) = faults(filled)
    assert found.startswith("event 3: the release was changed since (")
    assert column in found or value in ("{}", '{"a": 1}')


def test_an_added_or_removed_fact_is_named(filled: Place) -> None:
    with tampering(filled) as connection:
        changed_facts(connection, "1.2.0", certificate="C-1")
        stored = json.loads(connection.execute(text("select facts from subjects where version = '2.0.0'")).scalar_one())
        del stored["title"]
        run(connection, "update subjects set facts = :facts where version = '2.0.0'", facts=rfc8785.dumps(stored).decode())
    assert faults(filled) == [
        "event 3: the release was changed since (facts)", "event 4: the release was changed since (title)",
    ]  # fmt: skip


def test_a_removed_renamed_or_added_entry_is_named(filled: Place) -> None:
    with tampering(filled) as connection:
        run(connection, "delete from subjects where version = '1.1.0'")
        run(connection, "update subjects set id = 'thorax@7.0.0', version = '7.0.0' where version = '1.2.0'")
    assert faults(filled) == [
        "the release 'thorax@7.0.0' was never entered: no event enters it",
        "event 2: the release that it made is missing",
        "event 3: the release that it made is missing",
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "sold"), ("facts", "no JSON"), ("facts", "[]"), ("facts", "7"), ("facts", "{}"), ("version", "x"),
     ("machine", "release"), ("facts", "[" * 100_000), ("facts", '{"release_digest":"x"}')],
)  # fmt: skip
def test_an_entry_that_cannot_be_is_an_error_not_a_traceback(filled: Place, column: str, value: str) -> None:
    with tampering(filled) as connection:
        # Also in a state that its last event did not lead to.
        run(connection, f"update subjects set {column} = :value, state = 'sold' where version = '1.2.0'" if column != "state"
            else "update subjects set state = :value where version = '1.2.0'", value=value)  # fmt: skip
    with open_registry(filled) as registry, pytest.raises(DigestMismatchError, match="changed outside of pathcurate"):
        registry.list()


@pytest.mark.parametrize("value", ["no JSON", "[]", '{"release_digest":"x"}'])
def test_facts_that_cannot_be_are_an_error_wherever_they_are_read(filled: Place, value: str) -> None:
    with tampering(filled) as connection:
        run(connection, "update subjects set facts = :value where version = '1.2.0'", value=value)
    with open_registry(filled) as registry:
        for read in (registry.list, lambda: registry.get("thorax", "1.2.0")):
            with pytest.raises(DigestMismatchError, match="changed outside of pathcurate"):
                read()


@pytest.fixture
def traded(place: Place) -> Place:
    """A registry with a release on offer (1 to 6), its contract (7 to 11) and a delivery (12)."""
    with open_registry(place) as registry:
        registry.register(entry())
        for name in ("check", "approve", "submit"):
            registry.transition(command(name))
        registry.transition(command("receipt", sets={"certificate": "C-1"}, claims=[("certificate", "C-1")]))
        registry.transition(command("offer"))
        active(registry, "c1")
        registry.open(delivery("d1", "c1", facts={"volumes": 3}))
        assert registry.head()[0] == 12
    return place


@pytest.mark.parametrize(
    ("machine", "which"), [("contract", "events 7, 8, 9, 10, 11: the contract"), ("delivery", "event 12: the delivery")]
)
def test_an_edited_contract_or_delivery_is_named(traded: Place, machine: str, which: str) -> None:
    for column, value in (("state", "terminated"), ("parent", "x"), ("facts", '{"volumes":4}'), ("actor", "x"), ("last", 3)):
        with tampering(traded) as connection:
            chosen = text(f"select {column} from subjects where machine = :machine")
            before = connection.execute(chosen, {"machine": machine}).scalar_one()
            run(connection, f"update subjects set {column} = :value where machine = :machine", value=value, machine=machine)
        (found,) = faults(traded)
        assert found.startswith(f"{which} was changed since (")
        with tampering(traded) as connection:
            run(connection, f"update subjects set {column} = :value where machine = :machine", value=before, machine=machine)
    assert faults(traded) == []


@pytest.mark.parametrize(("machine", "first"), [("contract", 7), ("delivery", 12), ("release", 1)])
def test_a_deleted_subject_is_named(traded: Place, machine: str, first: int) -> None:
    with tampering(traded) as connection:
        run(connection, "delete from subjects where machine = :machine", machine=machine)
    assert faults(traded) == [f"event {first}: the {machine} that it made is missing"]


def test_a_claim_that_was_edited_deleted_or_added_is_named(traded: Place) -> None:
    with tampering(traded) as connection:
        run(connection, "update claims set value = 'C-2' where kind = 'certificate'")
        run(connection, "insert into claims values ('certificate', 'C-3', 'release', 'thorax@1.0.0')")
        run(connection, "delete from claims where kind = 'release'")
    assert faults(traded) == [
        "a 'certificate' of the release 'thorax@1.0.0' was not recorded by any event",
        "a 'certificate' of the release 'thorax@1.0.0' was not recorded by any event",
        "event 1: the release of the release 'thorax@1.0.0' is missing",
        "event 5: the certificate of the release 'thorax@1.0.0' is missing",
    ]
    with tampering(traded) as connection:
        run(connection, "update claims set value = 'C-1', subject = 'thorax@2.0.0' where value = 'C-2'")
    assert "a 'certificate' of the release 'thorax@2.0.0' was not recorded by any event" in faults(traded)


def test_a_chain_that_was_rewritten_whole_is_found_by_the_heads_that_were_signed(traded: Place) -> None:
    with open_registry(traded) as registry:
        signed = [(seq, registry.digest_at(seq)) for seq in range(13)]
        head = registry.head()
        assert head == signed[-1]
        assert registry.digest_at(13) is None
        assert registry.digest_at(-1) is None
        assert signed[0][1] == "sha256:" + "0" * 64
    with tampering(traded) as connection:  # whoever wrote this program could do it
        previous = None
        for row in connection.execute(text("select * from events order by seq")).mappings().all():
            changed = {**row, "previous": previous or row["previous"]}
            if row["seq"] == 5:
                changed["payload"] = row["payload"].replace("C-1", "C-9")
            previous = forged(changed)
            run(connection, "update events set payload = :payload, previous = :previous, digest = :new where seq = :seq",
                payload=changed["payload"], previous=changed["previous"], new=previous, seq=row["seq"])  # fmt: skip
        run(connection, "update registry set head = :head", head=previous)
        run(connection, "update claims set value = 'C-9' where value = 'C-1'")
        facts = connection.execute(text("select facts from subjects where machine = 'release'")).scalar_one()
        run(connection, "update subjects set facts = :facts where machine = 'release'", facts=facts.replace("C-1", "C-9"))
    with open_registry(traded) as registry:
        assert registry.verify() == []
        assert [registry.digest_at(seq) == digest for seq, digest in signed] == [True] * 5 + [False] * 8


def test_a_tail_that_was_cut_off_whole_is_found_by_a_head_that_was_signed(traded: Place) -> None:
    with open_registry(traded) as registry:
        count, digest = registry.head()
    with tampering(traded) as connection:
        before = connection.execute(text("select previous from events where seq = 12")).scalar_one()
        run(connection, "delete from events where seq = 12")
        run(connection, "delete from subjects where machine = 'delivery'")
        run(connection, "update registry set event_count = 11, head = :head", head=before)
    with open_registry(traded) as registry:
        assert registry.verify() == []
        assert registry.digest_at(count) is None
        registry.open(delivery("d2", "c1"))
        assert registry.digest_at(count) not in (None, digest)
