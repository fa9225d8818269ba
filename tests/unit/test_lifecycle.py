"""The table of transitions: it names the states that there are, and each of them can be reached and left."""

import pytest
from pydantic import ValidationError

from pathcurate.lifecycle import lifecycle, state_words
from pathcurate.model.lifecycle import SAME, Lifecycle, Machine, MachineTable
from pathcurate.model.product import State

LAST = {
    Machine.RELEASE: {"withdrawn"},
    Machine.CONTRACT: {"rejected", "expired", "terminated"},
    Machine.DELIVERY: {"destroyed"},
}


def test_the_states_of_a_release_are_those_of_the_program() -> None:
    assert {str(state) for state in State} == set(lifecycle().release.states)


@pytest.mark.parametrize("machine", Machine)
def test_every_state_is_reached_and_left(machine: Machine) -> None:
    table = lifecycle().table(machine)
    reached, new = set[str](), {table.opens.to}
    while new:
        reached |= new
        new = {found for name in table.commands for state in reached if (found := table.target(name, state))} - reached
    before = {"draft"} if machine is Machine.RELEASE else set()  # of what is built and not entered
    assert reached == set(table.states) - before
    left = {
        state for transition in table.commands.values() for state in transition.from_ if transition.to not in (SAME, state)
    }
    assert set(table.states) - left - before == LAST[machine]


@pytest.mark.parametrize("machine", Machine)
def test_every_state_has_words(machine: Machine) -> None:
    words = [state_words(machine, state) for state in lifecycle().table(machine).states]
    assert all(zh and en for zh, en in words)
    assert len({zh for zh, _ in words}) == len({en for _, en in words}) == len(words)
    with pytest.raises(KeyError):
        state_words(machine, "sold")


def test_what_is_withdrawn_or_destroyed_never_comes_back() -> None:
    for machine, states in LAST.items():
        table = lifecycle().table(machine)
        assert [name for name in table.commands for state in states if table.target(name, state) not in (None, state)] == []


def test_target_by_the_table() -> None:
    table = lifecycle().release
    assert table.target("check", "frozen") == "validated"
    assert table.target("check", "offered") is None
    assert table.target("renew", "suspended") == "suspended"
    with pytest.raises(KeyError):
        table.target("sell", "offered")


GOOD = {
    "opens": {"command": "enter", "to": "there"},
    "states": {"there": {"zh": "在", "en": "there"}, "gone": {"zh": "无", "en": "gone"}},
    "commands": {"leave": {"from": ["there"], "to": "gone"}},
}


def _machine(**changed: object) -> dict[str, object]:
    return {**GOOD, **changed}


@pytest.mark.parametrize(
    "broken",
    [
        _machine(opens={"command": "enter", "to": "nowhere"}),
        _machine(commands={"leave": {"from": ["there"], "to": "nowhere"}}),
        _machine(commands={"leave": {"from": ["nowhere"], "to": "gone"}}),
        _machine(commands={"leave": {"from": [], "to": "gone"}}),
        _machine(commands={"Leave": {"from": ["there"], "to": "gone"}}),
        _machine(commands={"leave": {"from": ["there"], "to": "gone", "when": "today"}}),
        _machine(states={"there": {"zh": "在"}}),
    ],
)
def test_a_table_that_names_what_is_not_there_is_refused(broken: dict[str, object]) -> None:
    MachineTable.model_validate(GOOD)
    with pytest.raises(ValidationError):
        MachineTable.model_validate(broken)


def test_links_and_parents_must_be_there() -> None:
    good = {"release": GOOD, "contract": GOOD, "delivery": GOOD}
    Lifecycle.model_validate(good)
    linked = {"from": ["there"], "to": "gone", "also": [{"machine": "contract", "of": "children", "command": "leave"}]}
    Lifecycle.model_validate({**good, "release": _machine(commands={"leave": linked})})
    linked = {**linked, "also": [{"machine": "contract", "of": "children", "command": "vanish"}]}
    with pytest.raises(ValidationError, match="no command `vanish`"):
        Lifecycle.model_validate({**good, "release": _machine(commands={"leave": linked})})
    with pytest.raises(ValidationError, match="no state `nowhere`"):
        Lifecycle.model_validate(
            {**good, "contract": _machine(opens={"command": "a", "to": "there", "parent": ["nowhere"]})}
        )
