"""Whatever is commanded in whatever order: the registry is what a model in memory is, and its chain is whole."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from pathcurate.errors import DigestMismatchError, PathcurateError, PlanIncompleteError, UsageError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Opened
from pathcurate.registries.sql import SqlRegistry, open_registry
from tests.postgres import Server, postgres  # noqa: F401 -- a fixture among them
from tests.registered import AT, Place, command, entry, no_sync, place  # noqa: F401 -- fixtures among them

# ruff: noqa: F811 -- a test's argument has the name of the fixture

RELEASES = [("thorax", "1.0.0"), ("thorax", "2.0.0"), ("bone", "1.0.0")]
NAMES = sorted({name for machine in Machine for name in lifecycle().table(machine).commands})
ABOVE = {Machine.CONTRACT: Machine.RELEASE, Machine.DELIVERY: Machine.CONTRACT}
Key = tuple[Machine, str]


@dataclass
class Thing:
    """A subject as the model has it."""

    product: str
    version: str
    parent: str
    state: str
    facts: dict[str, Any] = field(default_factory=dict)


class Model:
    """What the table of transitions says, with nothing of the registry's code."""

    def __init__(self) -> None:
        self.things: dict[Key, Thing] = {}
        self.claims: dict[tuple[str, str], Key] = {}
        self.events = 0

    def expect(
        self, key: Key, name: str, sets: dict[str, Any], says: dict[str, Any], claims: list[tuple[str, str]]
    ) -> object:
        """True or False for whether it is new, or the error; what it does is done."""
        machine, thing = key[0], self.things.get(key)
        transition = lifecycle().table(machine).commands.get(name)
        if transition is None or thing is None:
            return UsageError
        allowed = thing.state in transition.from_
        to = thing.state if transition.to == "same" else transition.to
        holds = all(thing.facts.get(one) == value for one, value in sets.items())
        is_there = thing.state == to and (allowed or transition.to != "same") and holds and not says
        if is_there and all(self.claims.get(claim) == key for claim in claims):
            return False
        if not allowed:
            return PlanIncompleteError
        if transition.parent and self.things[ABOVE[machine], thing.parent].state not in transition.parent:
            return PlanIncompleteError
        if any(self.claims.get(claim, key) != key for claim in claims):
            return DigestMismatchError
        self.claims |= dict.fromkeys(claims, key)
        thing.facts |= sets
        self.move(key, name)
        return True

    def move(self, key: Key, name: str) -> None:
        machine, thing = key[0], self.things[key]
        transition = lifecycle().table(machine).commands[name]
        thing.state = thing.state if transition.to == "same" else transition.to
        self.events += 1
        for link in transition.also:
            for other in sorted(self.things):
                its = self.things[other]
                is_linked = other[0] is link.machine and (
                    its.parent == key[1] if link.of == "children"
                    else its.product == thing.product and its.version < thing.version
                )  # fmt: skip
                if is_linked and its.state in lifecycle().table(link.machine).commands[link.command].from_:
                    self.move(other, link.command)


class Registered(RuleBasedStateMachine):
    """Commands at random, to the registry and to the model."""

    place: Place

    def __init__(self) -> None:
        super().__init__()
        if isinstance(self.place, Server):
            self.place.clear()
            self.registry: SqlRegistry = open_registry(self.place.address)
        else:
            self.place.unlink(missing_ok=True)
            self.registry = open_registry(self.place)
        self.model = Model()

    def teardown(self) -> None:
        self.registry.close()

    @rule(release=st.sampled_from(RELEASES))
    def register(self, release: tuple[str, str]) -> None:
        registered, is_new = self.registry.register(entry(*release))
        key = (Machine.RELEASE, registered.id)
        assert is_new == (key not in self.model.things)
        if is_new:
            facts = {name: getattr(registered, name) for name in ("release_digest", "content_digest", "title", "counts")}
            self.model.things[key] = Thing(*release, "", "frozen", facts)
            self.model.claims["release", registered.release_digest] = key
            self.model.events += 1

    @precondition(lambda self: self.model.things)
    @rule(data=st.data(), number=st.integers(1, 3))
    def open(self, data: st.DataObject, number: int) -> None:
        machine, parent = data.draw(st.sampled_from(sorted(self.model.things)))
        below = {above: machine for machine, above in ABOVE.items()}.get(machine)
        if below is None:
            return
        above = self.model.things[machine, parent]
        opens = lifecycle().table(below).opens
        key = (below, f"{parent}/{number}")
        try:
            is_new = self.registry.open(Opened(below, key[1], above.product, above.version, parent, "consumer", AT)).is_new
        except PlanIncompleteError:
            assert above.state not in opens.parent
            assert key not in self.model.things
            return
        assert is_new == (key not in self.model.things)
        if is_new:
            assert above.state in opens.parent
            self.model.things[key] = Thing(above.product, above.version, parent, opens.to)
            self.model.events += 1

    @precondition(lambda self: self.model.things)
    @rule(
        data=st.data(), any_name=st.booleans(), sets=st.sampled_from([{}, {}, {"terms": "T-1"}, {"price": {"fen": 5}}]),
        says=st.sampled_from([{}, {"because": "so"}]), claims=st.sampled_from([[], [], [("certificate", "C-1")]]),
    )  # fmt: skip
    def transition(
        self, data: st.DataObject, any_name: bool, sets: dict[str, Any], says: dict[str, Any], claims: list[tuple[str, str]]
    ) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.things)))
        state, table = self.model.things[key].state, lifecycle().table(key[0])
        possible = [name for name in table.commands if table.target(name, state)]
        name = data.draw(st.sampled_from(NAMES if any_name or not possible else possible))
        try:
            step = self.registry.transition(command(name, key[1], key[0], sets=sets, says=says, claims=claims))
            result: object = step.is_new
        except PathcurateError as error:
            result = type(error)
        assert result == self.model.expect(key, name, sets, says, claims)

    @precondition(lambda self: self.model.things)
    @rule(data=st.data(), name=st.sampled_from(NAMES))
    def refuse(self, data: st.DataObject, name: str) -> None:
        machine, subject = data.draw(st.sampled_from(sorted(self.model.things)))
        self.registry.refuse(command(name, subject, machine), ["ethics"])
        self.model.events += 1

    @invariant()
    def is_whole(self) -> None:
        assert self.registry.verify() == []
        assert self.registry.head()[0] == self.model.events
        found = {(machine, one.id): one for machine in Machine for one in self.registry.subjects(machine)}
        assert {key: (one.state, dict(one.facts), one.parent) for key, one in found.items()} == {
            key: (thing.state, thing.facts, thing.parent) for key, thing in self.model.things.items()
        }


def test_the_registry_is_what_a_model_in_memory_is(place: Place, request: Any) -> None:
    where = place if not hasattr(place, "host") else request.getfixturevalue("postgres")
    machine = type("Registered", (Registered,), {"place": where})
    checks = list(HealthCheck)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine, settings=settings(max_examples=8, stateful_step_count=25, deadline=None, suppress_health_check=checks)
    )
