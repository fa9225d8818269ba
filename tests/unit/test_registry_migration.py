"""A registry that version 0.9.0 made becomes one of today, and what was signed of it stays true.

``tests/fixtures/registries/0.9.0.db`` was made with that version's own ``open_registry`` and ``register`` on an empty file
with pages of 512 bytes, so that it is small: four versions, with the values that :func:`was_entered` repeats.
"""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import DigestMismatchError, InputOutputError, LockedError
from pathcurate.model.product import Entry
from pathcurate.registries.sql import look_at_registry, open_registry, opening
from tests.registered import command, entry, no_sync, offered, tampering  # noqa: F401 -- a fixture among them
from tests.unit.test_registry_files import unprivileged  # noqa: F401 -- a fixture
from tests.unit.test_registry_races import _killed_at, apart  # noqa: F401 -- a fixture among them

# ruff: noqa: F811 -- a test's argument has the name of the fixture

OLD = Path(__file__).parents[1] / "fixtures" / "registries" / "0.9.0.db"
VERSIONS = [("thorax", "1.0.0"), ("thorax", "1.1.0"), ("bone", "1.0.0"), ("thorax", "1.10.0")]


def was_entered(number: int) -> Entry:
    product, version = VERSIONS[number]
    return entry(
        product, version, title="胸科肿瘤数字病理切片数据集 \0\U0001f52c", registered_at=f"2026-11-2{number}T08:00:00+00:00",
        counts={"slides": 60 + number, "cases": 24, "patients": 20},
    )  # fmt: skip


@pytest.fixture
def old(tmp_path: Path, no_sync: None) -> Path:
    path = tmp_path / "registry.db"
    shutil.copyfile(OLD, path)
    return path


def rows(path: Path, statement: str) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]


def tables(path: Path) -> set[str]:
    return {row["name"] for row in rows(path, "select name from sqlite_master where type = 'table'")}


def test_entries_and_chain_are_what_they_were(old: Path) -> None:
    before = rows(old, "select * from events order by seq")
    (head,) = rows(old, "select * from registry")
    with open_registry(old) as registry:
        assert registry.list() == [was_entered(number) for number in (2, 0, 1, 3)]
        assert registry.verify() == []
        assert registry.head() == (4, head["head"])
        events = [event for product, version in VERSIONS for event in registry.history(product, version)]
        assert [registry.digest_at(seq) for seq in range(1, 5)] == [row["digest"] for row in before]
    assert [(event.seq, event.at, event.actor, event.action, event.previous, event.digest) for event in events] == [
        (row["seq"], row["at"], row["actor"], row["action"], row["previous"], row["digest"]) for row in before
    ]
    assert [event.payload for event in events] == [json.loads(row["payload"]) for row in before]
    after = rows(old, "select * from events order by seq")
    assert [{name: row[name] for name in before[0]} for row in after] == before
    assert tables(old) == {"registry", "subjects", "claims", "events"}


def test_it_goes_on_where_it_was(old: Path) -> None:
    with open_registry(old) as registry:
        assert registry.register(was_entered(0)) == (was_entered(0), False)
        with pytest.raises(DigestMismatchError, match="registered as bone"):
            registry.register(entry("skin", release_digest=was_entered(2).release_digest))
        for name in ("check", "approve", "submit", "receipt", "offer"):
            assert registry.transition(command(name)).is_new
        step = registry.transition(command("withdraw"))
        assert step.subject.state == "withdrawn"
        offered(registry, "2.0.0")
        assert registry.verify() == []
    with contextlib.closing(sqlite3.connect(old)) as connection:
        for statement in ("update events set actor = 'x'", "delete from events where seq = 1"):
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                connection.execute(statement)


def test_it_is_done_once(old: Path) -> None:
    open_registry(old).close()
    content = old.read_bytes()
    open_registry(old).close()
    assert old.read_bytes() == content


def test_who_only_looks_changes_nothing(old: Path) -> None:
    with look_at_registry(old) as registry:
        assert registry is not None
        assert len(registry.list()) == 4
        assert registry.verify() == []
    assert old.read_bytes() == OLD.read_bytes()
    assert [path.name for path in old.parent.iterdir()] == [old.name]


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("update events set actor = 'x' where seq = 2", "event 2 was changed"),
        ("update entries set title = 'x' where version = '1.1.0'", "event 2: the release was changed since (title)"),
        ("update entries set state = 'offered' where version = '1.1.0'", "event 2: the release was changed since (state)"),
        ("update entries set release_digest = 'x' where version = '1.1.0'",
         "event 2: the release was changed since (release_digest)"),
        ("update registry set event_count = 5", "event 5 is missing"),
    ],
)  # fmt: skip
def test_what_was_changed_before_is_found_after(old: Path, statement: str, message: str) -> None:
    with tampering(old) as connection:
        connection.exec_driver_sql(statement)
    with open_registry(old) as registry:
        assert message in registry.verify()


@pytest.mark.parametrize(
    "statement",
    [
        "delete from events where seq = 2", "update events set payload = '{}' where seq = 2",
        "update events set payload = 'no JSON' where seq = 2", "delete from entries where version = '1.1.0'",
        "update entries set counts = 'no JSON'", "update events set version = '7.0.0' where seq = 2",
    ],
)  # fmt: skip
def test_what_cannot_be_brought_over_stays_as_it_is(old: Path, statement: str) -> None:
    with tampering(old) as connection:
        connection.exec_driver_sql(statement)
    content = old.read_bytes()
    with pytest.raises(DigestMismatchError, match="changed outside of pathcurate"):
        open_registry(old)
    assert old.read_bytes() == content


def migrate_with_kills(path: Path) -> list[tuple[list[str], bool]]:
    """After each statement at which a process is killed: the tables that there are; and whether it got to the end."""
    found = []
    for statement in range(1, 100):
        has_ended = _killed_at(statement, lambda: open_registry(path).close())
        found.append((sorted(tables(path)), has_ended))
        if has_ended:
            return found
    raise AssertionError("it never ended")


def test_a_migration_that_is_killed_anywhere_leaves_the_old_registry_whole(old: Path, apart: Callable[..., Any]) -> None:
    found = apart("migrate_with_kills", old, module="tests.unit.test_registry_migration")
    assert len(found) > 15
    assert found == [(["entries", "events", "registry"], False)] * (len(found) - 1) + [
        (["claims", "events", "registry", "subjects"], True)
    ]
    with open_registry(old) as registry:
        assert registry.list() == [was_entered(number) for number in (2, 0, 1, 3)]
        assert registry.verify() == []


def test_two_processes_that_migrate_at_once(old: Path, apart: Callable[..., Any]) -> None:
    results = apart("race", old, [entry("skin", f"{number}.0.0") for number in range(4)])
    assert [is_new for is_new, _ in results] == [True] * 4, results
    with open_registry(old) as registry:
        assert len(registry.list()) == 8
        assert registry.verify() == []


def test_while_another_holds_it_nothing_happens(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(old, isolation_level=None)) as holder:
        holder.execute("begin immediate")
        with pytest.raises(LockedError, match="held by another process"):
            open_registry(old)
    assert old.read_bytes() == OLD.read_bytes()


@pytest.fixture
def read_only(unprivileged: Path) -> Path:
    path = unprivileged / "registry.db"
    path.write_bytes(OLD.read_bytes())
    path.chmod(0o400)
    return path


def test_one_that_cannot_be_written_says_what_to_do(read_only: Path) -> None:
    with pytest.raises(InputOutputError, match=r"made by an earlier version .*readonly") as refused:
        open_registry(read_only)
    assert "Let somebody who may write it" in refused.value.hint
    with look_at_registry(read_only) as registry:
        assert registry is not None
        assert registry.verify() == []
    assert list(read_only.parent.iterdir()) == [read_only]
    assert read_only.read_bytes() == OLD.read_bytes()
