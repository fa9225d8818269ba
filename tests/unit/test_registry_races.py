"""Processes that want the same at once, that are killed, and that find the disk full: one wins, and the chain is whole."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from pathcurate.errors import InputOutputError, LockedError
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Command, Entry
from pathcurate.registries.sql import open_registry, opening
from tests.postgres import Server, postgres  # noqa: F401 -- a fixture among them
from tests.registered import (  # noqa: F401 -- fixtures among them
    Place,
    active,
    command,
    delivery,
    entry,
    faults,
    no_sync,
    offered,
    place,
)

# ruff: noqa: F811 -- a test's argument has the name of the fixture


_APART = """
import pickle, sys
from importlib import import_module
while True:
    try:
        module, function, arguments = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    sys.stdout.buffer.write(pickle.dumps(getattr(import_module(module), function)(*arguments)))
    sys.stdout.buffer.flush()
"""


@pytest.fixture(scope="module")
def apart() -> Iterator[Callable[..., Any]]:
    """What a function of a test file gives in a process of its own: what forks must have no threads. One does for all."""
    with subprocess.Popen(
        [sys.executable, "-c", _APART], cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        source, sink = child.stdout, child.stdin

        def run(function: str, *arguments: object, module: str = "tests.unit.test_registry_races") -> Any:
            sink.write(pickle.dumps((module, function, arguments)))
            sink.flush()
            return pickle.load(source)  # noqa: S301 -- of this test's own process

        yield run
        sink.close()


# --- At once ---------------------------------------------------------------------------------------------------------


def _do(place: Place, job: Entry | Command, barrier: Any, queue: Any) -> None:
    barrier.wait()
    try:
        with open_registry(place) as registry:
            if isinstance(job, Entry):
                stored, is_new = registry.register(job)
                queue.put((is_new, stored.actor))
            else:
                step = registry.transition(job)
                queue.put((step.is_new, step.subject.state))
    except Exception as error:  # noqa: BLE001 -- whatever it is, the test must hear of it
        queue.put((type(error).__name__, str(error)))


def race(place: Place, jobs: list[Entry | Command]) -> list[tuple[Any, str]]:
    """Processes that begin at once."""
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(len(jobs)), context.Queue()
    processes = [context.Process(target=_do, args=(place, job, barrier, queue)) for job in jobs]
    for process in processes:
        process.start()
    results = [queue.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(timeout=60)
    return results


def test_of_eight_processes_exactly_one_registers(place: Place, apart: Callable[..., Any]) -> None:
    # The registry is not there yet: they race to make it, too.
    results = apart("race", place, [entry(actor=f"process {number}") for number in range(8)])
    assert sorted(str(is_new) for is_new, _ in results) == ["False"] * 7 + ["True"], results
    assert len({actor for _, actor in results}) == 1
    with open_registry(place) as registry:
        assert len(registry.history("thorax", "1.0.0")) == 1
        assert registry.verify() == []


def test_processes_that_register_different_versions_make_one_chain(place: Place, apart: Callable[..., Any]) -> None:
    versions = [f"1.{minor}.0" for minor in range(6)]
    results = apart("race", place, [entry(version=version) for version in versions])
    assert all(is_new is True for is_new, _ in results), results
    with open_registry(place) as registry:
        assert [found.version for found in registry.list()] == versions
        assert registry.verify() == []


@pytest.mark.parametrize("count", [2, 20])
def test_of_processes_that_decide_on_the_same_sight_one_wins(place: Place, count: int, apart: Callable[..., Any]) -> None:
    with open_registry(place) as registry:
        seen = registry.register(entry())[0].last
    jobs = [command("check", seen=seen, says={"process": number}) for number in range(count)]
    results = apart("race", place, jobs)
    won = [state for is_new, state in results if is_new is True]
    assert won == ["validated"], results
    assert [name for name, _ in results if name is not True] == ["LockedError"] * (count - 1)
    with open_registry(place) as registry:
        assert [found.action for found in registry.history("thorax", "1.0.0")] == ["register", "check"]
        assert registry.verify() == []


@pytest.mark.parametrize("key", ["", "k1"])
def test_the_same_command_at_once_is_done_once(place: Place, key: str, apart: Callable[..., Any]) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
    results = apart("race", place, [command("check", key=key, sets={"quality": 1})] * 4)
    assert sorted(results) == [(False, "validated")] * 3 + [(True, "validated")]
    with open_registry(place) as registry:
        assert registry.head()[0] == 2
        assert registry.verify() == []


def test_of_two_releases_that_claim_one_certificate_at_once_one_gets_it(place: Place, apart: Callable[..., Any]) -> None:
    products = ("bone", "liver", "lung", "skin")
    with open_registry(place) as registry:
        for product in products:
            registry.register(entry(product))
            for name in ("check", "approve", "submit"):
                registry.transition(command(name, f"{product}@1.0.0"))
    jobs = [command("receipt", f"{product}@1.0.0", claims=[("certificate", "C-1")]) for product in products]
    results = apart("race", place, jobs)
    assert sorted(str(name) for name, _ in results) == ["DigestMismatchError"] * 3 + ["True"], results
    with open_registry(place) as registry:
        assert sorted(found.state for found in registry.list()) == ["registered"] + ["submitted"] * 3
        assert registry.verify() == []


def test_a_registry_that_another_holds_is_locked(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_registry(place) as registry:
        registry.register(entry())
    monkeypatch.setattr(opening, "BUSY_SECONDS", 0.1)
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(open_registry(place))
        if isinstance(place, Path):
            holder = stack.enter_context(contextlib.closing(sqlite3.connect(place, isolation_level=None)))
            holder.execute("begin immediate")
        else:
            holder = stack.enter_context(Server(Path(place.directory), place.port or 0).connect())
            holder.execute("begin")
            holder.execute("select * from registry for update")
        with pytest.raises(LockedError, match="held by another process"):
            registry.register(entry(version="3.0.0"))
        assert registry.get("thorax", "1.0.0") is not None  # reading goes on
        assert registry.verify() == []
        holder.execute("rollback")
        assert registry.register(entry(version="3.0.0"))[1]


# --- Killed ----------------------------------------------------------------------------------------------------------


def _killed_at(statement: int, act: Callable[[], None]) -> bool:
    """Whether a process got to the end before the statement of that number, after which it is killed."""
    child = os.fork()
    if not child:
        seen = 0

        def count(*_: object) -> None:
            nonlocal seen
            seen += 1
            if seen == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "after_cursor_execute", count)
        try:
            act()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status)


Found = tuple[list[str], int, list[str]]


def _state(place: Place) -> Found:
    with open_registry(place) as registry:
        states = {subject.state for machine in Machine for subject in registry.subjects(machine)}
        return registry.verify(), registry.head()[0], sorted(states)


def withdraw(place: Place) -> list[Found]:
    """Faults, events and states of all subjects after each statement of a withdrawal at which a process is killed."""

    def act() -> None:
        with open_registry(place) as registry:
            registry.transition(command("withdraw"))

    found = []
    for statement in range(1, 200):
        has_ended = _killed_at(statement, act)
        found.append(_state(place))
        if has_ended or len(found[-1][2]) < 3:
            return found
    raise AssertionError("it never ended")


def make(place: Place) -> list[Found]:
    """The same of a registry that is not there yet, and is made and completed by each process further."""

    def act() -> None:
        with open_registry(place) as registry:
            registry.register(entry())

    return [_state(place) for statement in range(1, 30, 3) if not _killed_at(statement, act)]


def test_a_withdrawal_that_is_killed_anywhere_is_done_whole_or_not_at_all(place: Place, apart: Callable[..., Any]) -> None:
    with open_registry(place) as registry:
        offered(registry)
        active(registry, "c1")
        registry.open(delivery("d1", "c1"))
        before = registry.head()[0]
    found = apart("withdraw", place)
    assert len(found) > 10
    assert found[:-1] == [([], before, ["active", "offered", "prepared"])] * (len(found) - 1)
    assert found[-1] == ([], before + 3, ["terminated", "withdrawn"])


def test_a_registry_whose_making_is_killed_can_be_made_again(place: Place, apart: Callable[..., Any]) -> None:
    found = apart("make", place)
    assert len(found) > 3
    assert {str(one) for one in found} <= {str(([], 0, [])), str(([], 1, ["frozen"]))}
    with open_registry(place) as registry:
        assert not registry.register(entry())[1] or found[-1][1] == 0


# --- Full ------------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_an_error_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    with open_registry(path) as registry:
        offered(registry)
        active(registry, "c1")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            pages = connection.execute("pragma page_count").fetchone()[0]

        def fill(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute(f"pragma max_page_count = {pages}")

        event.listen(registry._engine, "connect", fill)

        def go_on() -> None:
            for number in range(50):
                registry.transition(command("renew", says={"number": number, "text": "x" * 500}))

        with pytest.raises(InputOutputError, match="database or disk is full"):
            go_on()
        head = registry.head()
        with pytest.raises(InputOutputError, match="is full"):
            registry.transition(command("withdraw", says={"text": "x" * 9000}))
        assert registry.head() == head
        assert [found.state for found in registry.subjects(Machine.CONTRACT)] == ["active"]
        assert registry.verify() == []
    assert faults(path) == []
    with open_registry(path) as registry:  # with room again
        assert registry.transition(command("withdraw")).is_new
