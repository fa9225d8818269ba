"""The registry on SQLite and on PostgreSQL: same answer again, and what went in comes out."""

import socket
import tempfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from pathcurate.errors import DigestMismatchError, InputOutputError, UsageError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import State
from pathcurate.registries import Registry
from pathcurate.registries.sql import open_registry
from tests.postgres import postgres  # noqa: F401 -- a fixture
from tests.registered import (  # noqa: F401 -- fixtures among them
    Place,
    active,
    command,
    contract,
    digest_of,
    entry,
    filled,
    no_sync,
    offered,
    place,
    tampering,
)

# ruff: noqa: F811 -- a test's argument has the name of the fixture

# --- Entering and reading ------------------------------------------------------------------------------------------


def test_registered_again_gives_the_stored_entry(place: Place) -> None:
    with open_registry(place) as registry:
        first = entry()
        assert registry.register(first) == (first, True)
        later = replace(first, registered_at="2027-01-01T00:00:00+00:00", actor="another", title="Another title")
        assert registry.register(later) == (first, False)
        assert len(registry.history("thorax", "1.0.0")) == 1
    with open_registry(place) as registry:
        assert registry.get("thorax", "1.0.0") == first
        assert registry.verify() == []


def test_is_a_registry(place: Place) -> None:
    with open_registry(place) as opened:
        registry: Registry = opened
        assert registry.list() == []
        assert registry.get("thorax", "1.0.0") is None
        assert registry.history("thorax", "1.0.0") == []
        assert registry.verify() == []


def test_the_same_version_with_other_content_is_refused(place: Place) -> None:
    with open_registry(place) as registry:
        first, _ = registry.register(entry())
        with pytest.raises(DigestMismatchError, match="registered with other content") as refused:
            registry.register(replace(first, release_digest=digest_of("other")))
        assert first.release_digest in refused.value.message
        assert "raise `version`" in refused.value.hint
        with pytest.raises(DigestMismatchError):
            registry.register(replace(first, content_digest=digest_of("other")))
        assert registry.list() == [first]
        assert registry.verify() == []


@pytest.mark.parametrize("changed", [{"product": "bone"}, {"version": "1.0.1"}])
def test_the_same_digest_elsewhere_is_refused(place: Place, changed: dict[str, str]) -> None:
    with open_registry(place) as registry:
        first, _ = registry.register(entry())
        with pytest.raises(DigestMismatchError, match=r"this release is registered as thorax 1\.0\.0"):
            registry.register(replace(first, **changed))
        assert registry.list() == [first]


def test_a_version_that_is_taken_is_said_before_a_digest_that_is_taken(place: Place) -> None:
    with open_registry(place) as registry:
        one, _ = registry.register(entry(version="1.0.0"))
        two, _ = registry.register(entry(version="1.1.0"))
        with pytest.raises(DigestMismatchError, match=r"thorax 1\.1\.0 is registered with other content"):
            registry.register(replace(two, release_digest=one.release_digest))


def test_only_a_frozen_release_is_registered(place: Place) -> None:
    with open_registry(place) as registry:
        for state in set(State) - {State.FROZEN}:
            with pytest.raises(UsageError, match=f"not as {state}"):
                registry.register(entry(state=state))
        assert registry.list() == []


def test_entries_are_listed_by_product_and_semantic_version(place: Place) -> None:
    wanted = [
        ("bone", "1.0.0"),
        ("thorax", "1.9.0-rc.2"),
        ("thorax", "1.9.0-rc.10"),
        ("thorax", "1.9.0"),
        ("thorax", "1.10.0"),
    ]
    with open_registry(place) as registry:
        for product, version in reversed(wanted):
            registry.register(entry(product, version))
        assert [(found.product, found.version) for found in registry.list()] == wanted


def test_history_holds_the_chain_as_an_outsider_computes_it(filled: Place) -> None:
    with open_registry(filled) as registry:
        events = [event for found in registry.list() for event in registry.history(found.product, found.version)]
        first = registry.get("thorax", "1.0.0")
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert first is not None
    sets = {
        "release_digest": first.release_digest, "content_digest": first.content_digest,
        "title": first.title, "counts": first.counts,
    }  # fmt: skip
    assert events[0].payload == {"to": "frozen", "sets": sets, "claims": [["release", first.release_digest]]}
    previous = "sha256:" + "0" * 64
    for event in events:
        parts = {
            "seq": event.seq, "at": event.at, "actor": event.actor, "action": event.action, "machine": "release",
            "subject": f"{event.product}@{event.version}", "product": event.product,
            "version": event.version, "payload": dict(event.payload), "key": f"#{event.seq}", "previous": previous,
        }  # fmt: skip
        assert event.previous == previous
        assert event.digest == "sha256:" + sha256(rfc8785.dumps(parts)).hexdigest()
        previous = event.digest


TEXT = st.characters(exclude_categories=["Cs"])


# Each example enters a version of its own: the registry stays, as registries do.
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=st.text(TEXT, max_size=30),
    actor=st.text(TEXT.filter(lambda character: character != "\0"), min_size=1, max_size=10),
    counts=st.dictionaries(st.text(TEXT, max_size=5), st.integers(0, 2**53 - 1), max_size=3),
)
def test_any_text_comes_back_as_it_went_in(place: Place, title: str, actor: str, counts: dict[str, int]) -> None:
    with open_registry(place) as registry:
        version = f"1.{len(registry.list())}.0"
        given_entry = entry(version=version, title=title, actor=actor, counts=counts)
        registry.register(given_entry)
        assert registry.get("thorax", version) == given_entry
        assert registry.register(given_entry) == (given_entry, False)
        assert registry.verify() == []


def test_what_one_database_could_not_hold_is_refused_by_both(place: Place) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
        bone = offered(registry, product="bone")
        before = registry.head()
        with pytest.raises(UsageError, match="no name that can be entered"):
            registry.register(entry(version="1.1.0", actor="a\0b"))
        long = "1.0.0-" + "a" * 3000  # PostgreSQL keeps no index of it
        with pytest.raises(UsageError, match="longer than 200"):
            registry.register(entry(version=long))
        for sets in ({"share": 0.5}, {"count": 2**53}, {"name": "\ud800"}, {"at": object()}, {1: "x"}):
            with pytest.raises(UsageError, match="cannot be entered"):
                registry.transition(command("check", sets=sets))
            with pytest.raises(UsageError, match="cannot be entered"):
                registry.transition(command("check", says=sets))
        for name in ("", "a\0", "\ud800", "a\n", "x" * 201):
            with pytest.raises(UsageError):
                registry.open(contract(name, bone))
            with pytest.raises(UsageError, match="cannot be entered"):
                registry.transition(command("check", claims=[("certificate", name)]))
            if name:
                with pytest.raises(UsageError, match="cannot be entered"):
                    registry.transition(command("check", key=name))
            assert registry.subject(Machine.RELEASE, name) is None
        assert registry.head() == before
        assert registry.verify() == []


def test_nothing_of_this_machine_is_in_a_registry(place: Place) -> None:
    with open_registry(place) as registry:
        offered(registry)
        active(registry, "c1")
    with tampering(place) as connection:
        rows = [
            str(row)
            for table in ("registry", "subjects", "claims", "events")
            for row in connection.execute(text(f"select * from {table}"))
        ]
    here = [str(Path.cwd()), str(Path.home()), tempfile.gettempdir(), socket.gethostname()]
    assert [word for word in here for row in rows if word in row] == []


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("product", "../thorax"), ("product", "Thorax"), ("product", ""), ("product", "-w"), ("product", "thorax\n"),
        ("version", "1.0"), ("version", "1.0.0\n"), ("version", "01.0.0"), ("release_digest", "f" * 64),
        ("release_digest", "sha256:" + "F" * 64), ("content_digest", "sha256:" + "0" * 63), ("title", "\ud800"),
        ("counts", {"slides": -1}), ("counts", {"slides": True}), ("counts", {"slides": 1.5}), ("counts", {"slides": 2**53}),
        ("registered_at", "2026-11-20T08:00:00"), ("registered_at", "2026-11-20T08:00:00+08:00"), ("registered_at", "today"),
        ("actor", ""),
    ],
)  # fmt: skip
def test_an_entry_of_another_form_is_refused(part: str, value: object) -> None:
    with pytest.raises(InputOutputError, match=f"registered: {part} does not"):
        entry(**{part: value})
