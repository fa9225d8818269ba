"""The registry on SQLite: same answer again, one winner of a race, and no change behind its back unnoticed."""

import contextlib
import json
import multiprocessing
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.errors import DigestMismatchError, InputOutputError, LockedError, UsageError
from pathcurate.model.product import Entry, State
from pathcurate.registries import Registry, sql
from pathcurate.registries.sql import open_registry


def digest_of(text: str) -> str:
    return "sha256:" + sha256(text.encode()).hexdigest()


def entry(product: str = "thorax", version: str = "1.0.0", **parts: Any) -> Entry:
    values: dict[str, Any] = {
        "product": product,
        "version": version,
        "release_digest": digest_of(f"release {product} {version}"),
        "content_digest": digest_of(f"content {product}"),
        "state": State.FROZEN,
        "title": "胸科肿瘤数字病理切片数据集",
        "counts": {"slides": 60, "cases": 24, "patients": 20},
        "registered_at": "2026-11-20T08:00:00+00:00",
        "actor": "steward",
    }
    return Entry(**{**values, **parts})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
def filled(path: Path) -> Path:
    """A registry with five versions, events 1 to 5."""
    with open_registry(path) as registry:
        for version in ("1.0.0", "1.1.0", "1.2.0", "2.0.0", "2.0.1"):
            registry.register(entry(version=version))
    return path


@contextlib.contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with a database shell, who has put the triggers and foreign keys out of the way."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("drop trigger if exists no_update")
        connection.execute("drop trigger if exists no_delete")
        yield connection
        connection.commit()


def faults(path: Path) -> list[str]:
    with open_registry(path) as registry:
        return registry.verify()


# --- Entering and reading ------------------------------------------------------------------------------------------


def test_registered_again_gives_the_stored_entry(path: Path) -> None:
    with open_registry(path) as registry:
        first = entry()
        assert registry.register(first) == (first, True)
        later = replace(first, registered_at="2027-01-01T00:00:00+00:00", actor="another", title="Another title")
        assert registry.register(later) == (first, False)
        assert len(registry.history("thorax", "1.0.0")) == 1
    with open_registry(path) as registry:
        assert registry.get("thorax", "1.0.0") == first
        assert registry.verify() == []


def test_is_a_registry(path: Path) -> None:
    with open_registry(path) as opened:
        registry: Registry = opened
        assert registry.list() == []
        assert registry.get("thorax", "1.0.0") is None
        assert registry.history("thorax", "1.0.0") == []
        assert registry.verify() == []


def test_the_same_version_with_other_content_is_refused(path: Path) -> None:
    with open_registry(path) as registry:
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
def test_the_same_digest_elsewhere_is_refused(path: Path, changed: dict[str, str]) -> None:
    with open_registry(path) as registry:
        first, _ = registry.register(entry())
        with pytest.raises(DigestMismatchError, match=r"this release is registered as thorax 1\.0\.0"):
            registry.register(replace(first, **changed))
        assert registry.list() == [first]


def test_a_version_that_is_taken_is_said_before_a_digest_that_is_taken(path: Path) -> None:
    with open_registry(path) as registry:
        one, _ = registry.register(entry(version="1.0.0"))
        two, _ = registry.register(entry(version="1.1.0"))
        with pytest.raises(DigestMismatchError, match=r"thorax 1\.1\.0 is registered with other content"):
            registry.register(replace(two, release_digest=one.release_digest))


def test_only_a_frozen_release_is_registered(path: Path) -> None:
    with open_registry(path) as registry:
        for state in set(State) - {State.FROZEN}:
            with pytest.raises(UsageError, match=f"not as {state}"):
                registry.register(entry(state=state))
        assert registry.list() == []


def test_entries_are_listed_by_product_and_semantic_version(path: Path) -> None:
    wanted = [
        ("bone", "1.0.0"),
        ("thorax", "1.9.0-rc.2"),
        ("thorax", "1.9.0-rc.10"),
        ("thorax", "1.9.0"),
        ("thorax", "1.10.0"),
    ]
    with open_registry(path) as registry:
        for product, version in reversed(wanted):
            registry.register(entry(product, version))
        assert [(found.product, found.version) for found in registry.list()] == wanted


def test_history_holds_the_chain_as_an_outsider_computes_it(filled: Path) -> None:
    with open_registry(filled) as registry:
        events = [event for found in registry.list() for event in registry.history(found.product, found.version)]
        first = registry.get("thorax", "1.0.0")
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert first is not None
    assert events[0].payload == {
        "release_digest": first.release_digest, "content_digest": first.content_digest, "state": "frozen",
        "title": first.title, "counts": first.counts,
    }  # fmt: skip
    previous = "sha256:" + "0" * 64
    for event in events:
        parts = {
            "seq": event.seq, "at": event.at, "actor": event.actor, "action": event.action, "product": event.product,
            "version": event.version, "payload": dict(event.payload), "previous": previous,
        }  # fmt: skip
        assert event.previous == previous
        assert event.digest == "sha256:" + sha256(rfc8785.dumps(parts)).hexdigest()
        previous = event.digest


@settings(max_examples=20, deadline=None)
@given(
    title=st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    actor=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10),
    counts=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(0, 2**53 - 1), max_size=3
    ),
)
def test_any_text_comes_back_as_it_went_in(title: str, actor: str, counts: dict[str, int]) -> None:
    with tempfile.TemporaryDirectory() as folder, open_registry(Path(folder) / "r.db") as registry:
        given_entry = entry(title=title, actor=actor, counts=counts)
        registry.register(given_entry)
        assert registry.get("thorax", "1.0.0") == given_entry
        assert registry.register(given_entry) == (given_entry, False)
        assert registry.verify() == []


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


# --- Processes that race -------------------------------------------------------------------------------------------


def _register_at_once(path: Path, barrier: Any, queue: Any, version: str) -> None:
    barrier.wait()
    try:
        with open_registry(path) as registry:
            stored, is_new = registry.register(entry(version=version, actor=f"process {os.getpid()}"))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test must hear of it
        queue.put((type(error).__name__, str(error)))
    else:
        queue.put((is_new, stored.actor))


def race(path: Path, versions: list[str]) -> list[tuple[Any, str]]:
    """Processes that begin at once, in a process of its own: what forks must have no threads."""
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(len(versions)), context.Queue()
    processes = [context.Process(target=_register_at_once, args=(path, barrier, queue, version)) for version in versions]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    return results


_RACE = """
import json, sys
from pathlib import Path
from tests.unit.test_registry_sql import race
print(json.dumps(race(Path(sys.argv[1]), sys.argv[2:])))
"""


def _race(path: Path, versions: list[str]) -> list[tuple[Any, str]]:
    """As :func:`race`; all of it imports what it needs once."""
    done = subprocess.run(
        [sys.executable, "-c", _RACE, path, *versions],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(is_new, actor) for is_new, actor in json.loads(done.stdout)]


def test_of_eight_processes_exactly_one_registers(path: Path) -> None:
    results = _race(path, ["1.0.0"] * 8)  # the file is not there yet: they race to make it, too
    assert sorted(is_new for is_new, _ in results) == [False] * 7 + [True]
    assert len({actor for _, actor in results}) == 1
    with open_registry(path) as registry:
        assert len(registry.history("thorax", "1.0.0")) == 1
        assert registry.verify() == []


def test_processes_that_register_different_versions_make_one_chain(path: Path) -> None:
    versions = [f"1.{minor}.0" for minor in range(6)]
    assert all(is_new is True for is_new, _ in _race(path, versions))
    with open_registry(path) as registry:
        assert [found.version for found in registry.list()] == versions
        assert registry.verify() == []


def test_a_registry_that_another_holds_is_locked(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_BUSY_SECONDS", 0.1)
    with contextlib.closing(sqlite3.connect(filled, isolation_level=None)) as holder, open_registry(filled) as registry:
        holder.execute("begin immediate")
        with pytest.raises(LockedError, match="held by another process"):
            registry.register(entry(version="3.0.0"))
        assert registry.get("thorax", "1.0.0") is not None  # reading goes on
        holder.execute("rollback")
        assert registry.register(entry(version="3.0.0"))[1]


# --- Tampering -----------------------------------------------------------------------------------------------------

OTHER = "sha256:" + "a" * 64


def test_the_database_itself_refuses_to_change_events(filled: Path) -> None:
    with contextlib.closing(sqlite3.connect(filled)) as connection:
        for statement in ("update events set actor = 'x'", "delete from events where seq = 5"):
            with pytest.raises(sqlite3.IntegrityError, match="only added"):
                connection.execute(statement)
    assert faults(filled) == []


@pytest.mark.parametrize("seq", [1, 3, 5])
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01T00:00:00+00:00"), ("actor", "nobody"), ("action", "withdraw"), ("payload", "{}"),
        ("payload", "no JSON"), ("payload", b"\xff"), ("payload", "[" * 100_000), ("payload", '{"a":1.5}'),
        ("version", "9.9.9"), ("digest", OTHER), ("previous", OTHER),
    ],
)  # fmt: skip
def test_an_edited_event_is_named(filled: Path, seq: int, column: str, value: object) -> None:
    with tampering(filled) as connection:
        connection.execute(f"update events set {column} = ? where seq = ?", (value, seq))
    assert f"event {seq} was changed" in faults(filled)


def test_an_event_written_otherwise_is_named(filled: Path) -> None:
    with tampering(filled) as connection:
        (payload,) = connection.execute("select payload from events where seq = 2").fetchone()
        connection.execute("update events set payload = ? where seq = 2", (json.dumps(json.loads(payload)),))
    assert faults(filled) == ["event 2 was changed"]


@pytest.mark.parametrize("seq", [1, 3, 5])
def test_an_event_edited_with_a_fitting_digest_is_found(filled: Path, seq: int) -> None:
    with tampering(filled) as connection:
        connection.row_factory = sqlite3.Row
        row = {**dict(connection.execute("select * from events where seq = ?", (seq,)).fetchone()), "actor": "nobody"}
        del row["digest"]
        forged = "sha256:" + sha256(rfc8785.dumps({**row, "payload": json.loads(row["payload"])})).hexdigest()
        connection.execute("update events set actor = 'nobody', digest = ? where seq = ?", (forged, seq))
    found = faults(filled)
    assert f"event {seq}: the entry that it made was changed since (actor)" in found
    after = "event 5 is not the last one that the registry recorded" if seq == 5 else f"event {seq + 1} does not follow"
    assert any(fault.startswith(after) for fault in found)


@pytest.mark.parametrize(
    ("gone", "named"),
    [("1", "event 1 is missing"), ("3", "event 3 is missing"), ("5", "event 5 is missing"),
     ("2, 3", "events 2 to 3 are missing"), ("1, 2, 3, 4, 5", "events 1 to 5 are missing")],
)  # fmt: skip
@pytest.mark.parametrize("with_entries", [False, True])
def test_removed_events_are_named(filled: Path, gone: str, named: str, with_entries: bool) -> None:
    with tampering(filled) as connection:
        if with_entries:
            connection.execute(f"delete from entries where version in (select version from events where seq in ({gone}))")
        connection.execute(f"delete from events where seq in ({gone})")
    found = faults(filled)
    assert named in found
    assert any("no event enters it" in fault for fault in found) != with_entries


def test_events_put_in_another_order_are_named(filled: Path) -> None:
    with tampering(filled) as connection:
        for old, new in ((2, 99), (3, 2), (99, 3)):
            connection.execute("update events set seq = ? where seq = ?", (new, old))
    found = faults(filled)
    assert {"event 2 was changed", "event 3 was changed", "event 2 does not follow the event before it"} <= set(found)


def test_an_event_put_in_front_is_named(filled: Path) -> None:
    with tampering(filled) as connection:
        connection.execute(
            "insert into events select 0, at, actor, action, product, version, payload, ?, ? from events where seq = 1",
            (OTHER, OTHER),
        )
    assert "event 0 was not written by pathcurate" in faults(filled)


def test_an_added_event_is_named_and_stops_the_next(filled: Path) -> None:
    with tampering(filled) as connection:
        connection.execute(
            "insert into events select 6, at, actor, action, product, version, payload, digest, ? from events where seq = 5",
            (OTHER,),
        )
    assert faults(filled) == ["event 6 was changed", "event 6 is not the last one that the registry recorded"]
    with open_registry(filled) as registry, pytest.raises(DigestMismatchError, match="Nothing was registered"):
        registry.register(entry(version="3.0.0"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("release_digest", OTHER), ("content_digest", OTHER), ("state", "registered"), ("title", "x"), ("actor", "x"),
     ("counts", '{"slides":61}'), ("counts", "no JSON"), ("counts", '{"cases":24,"patients":20,"slides":true}'),
     ("registered_at", "2020-01-01T00:00:00+00:00")],
)  # fmt: skip
def test_an_edited_entry_is_named_by_its_event(filled: Path, column: str, value: str) -> None:
    with tampering(filled) as connection:
        connection.execute(f"update entries set {column} = ? where version = '1.2.0'", (value,))
    assert faults(filled) == [f"event 3: the entry that it made was changed since ({column})"]


def test_a_removed_renamed_or_added_entry_is_named(filled: Path) -> None:
    with tampering(filled) as connection:
        connection.execute("delete from entries where version = '1.1.0'")
        connection.execute("update entries set version = '7.0.0' where version = '1.2.0'")
    assert faults(filled) == [
        "the entry 'thorax' '7.0.0' was never registered: no event enters it",
        "event 2: the entry that it made is missing",
        "event 3: the entry that it made is missing",
    ]


@pytest.mark.parametrize(
    ("column", "value"),
    [("state", "sold"), ("counts", "no JSON"), ("counts", "[]"), ("counts", "7"), ("release_digest", "x"), ("version", "x")],
)
def test_an_entry_that_cannot_be_is_an_error_not_a_traceback(filled: Path, column: str, value: str) -> None:
    with tampering(filled) as connection:
        connection.execute(f"update entries set {column} = ? where version = '1.2.0'", (value,))
    with open_registry(filled) as registry, pytest.raises(DigestMismatchError, match="changed outside of pathcurate"):
        registry.list()


# --- Files that are no registry ------------------------------------------------------------------------------------


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    old = os.umask(0)
    try:
        open_registry(path).close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_an_address_could_misread(tmp_path: Path) -> None:
    path = tmp_path / "注册 50% #1?mode=ro&x"
    with open_registry(path) as registry:
        registry.register(entry())
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert faults(path) == []


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_registry(Path("r.db")).close()
    assert (tmp_path / "r.db").stat().st_size > 0


def test_a_missing_directory(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match="cannot be made: No such file"):
        open_registry(tmp_path / "nowhere" / "registry.db")


@pytest.mark.parametrize("content", [b"not a database at all\n" * 50, b"x", b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_not_sqlite(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InputOutputError, match="cannot be used") as refused:
        open_registry(path)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert path.read_bytes() == content


def test_a_directory_in_its_place(path: Path) -> None:
    path.mkdir()
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


def test_a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere") / "r.db")
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


@pytest.mark.parametrize("table", ["holiday_pictures (id)", "registry (id)", "registry (schema_version)"])
def test_another_database(path: Path, table: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"create table {table}")
    before = path.read_bytes()
    with pytest.raises(InputOutputError, match=r"no registry|cannot be used"):
        open_registry(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("version", "message"), [(2, "Update pathcurate"), (0, "no registry"), ("x", "no registry")])
def test_another_schema_version(filled: Path, version: object, message: str) -> None:
    with tampering(filled) as connection:
        connection.execute("update registry set schema_version = ?", (version,))
    with pytest.raises(InputOutputError, match=message):
        open_registry(filled)


def test_a_file_that_was_taken_away_does_not_come_back_empty(path: Path) -> None:
    with open_registry(path) as registry:
        registry.register(entry())
        path.unlink()
        with pytest.raises(InputOutputError, match="cannot be used"):
            registry.register(entry())
        assert not path.exists()


def test_a_damaged_file(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    filled.write_bytes(content)
    with pytest.raises(InputOutputError, match="cannot be used"):
        faults(filled)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A directory of an ordinary user, who is who runs the test: for root, no file is read-only."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    user = os.geteuid()
    if user == 0:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    shutil.rmtree(folder)


def test_a_file_that_cannot_be_written_can_be_read(unprivileged: Path) -> None:
    path = unprivileged / "registry.db"
    with open_registry(path) as registry:
        registry.register(entry())
    path.chmod(0o400)
    with open_registry(path) as registry:
        assert registry.list() == [entry()]
        assert registry.verify() == []
        with pytest.raises(InputOutputError, match="readonly"):
            registry.register(entry(version="1.1.0"))
    path.chmod(0o000)
    with pytest.raises(InputOutputError, match="cannot be used"):
        open_registry(path)


def test_a_directory_that_cannot_be_written(unprivileged: Path) -> None:
    unprivileged.chmod(0o555)
    with pytest.raises(InputOutputError, match="cannot be made: Permission denied"):
        open_registry(unprivileged / "registry.db")
