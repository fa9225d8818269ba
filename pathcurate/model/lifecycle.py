"""How a release, a contract and a delivery come about and end: the form of a table of transitions."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SAME = "same"
"""In place of a state: the one that the subject is in."""

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")]


class Machine(StrEnum):
    """What has states of its own: a version of a product, a consumer's contract for one, a job that delivers it."""

    RELEASE = "release"
    CONTRACT = "contract"
    DELIVERY = "delivery"

    @property
    def plural(self) -> str:
        """What several of them are called, and the command that lists them."""
        return "deliveries" if self is Machine.DELIVERY else f"{self}s"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class StateWords(_Part):
    """What a state is called."""

    zh: str
    en: str


class Opening(_Part):
    """How a subject comes about.

    Attributes:
        command: that enters it.
        to: its first state.
        parent: states that what it belongs to must be in; empty for any.
    """

    command: _Name
    to: _Name
    parent: tuple[_Name, ...] = ()


class Link(_Part):
    """What happens to others in the same step.

    Attributes:
        machine: theirs.
        of: which ones: contracts of a release and deliveries of a contract, or lower versions of the same product.
        command: that they get; those in whose state it cannot be given are left as they are.
    """

    machine: Machine
    of: Literal["children", "earlier"]
    command: _Name


class Transition(_Part):
    """One command.

    Attributes:
        from_: states that it may be given in.
        to: state afterwards, or :data:`SAME`.
        demands: names of the evidence that it needs.
        parent: states that what the subject belongs to must be in; empty for any.
        also: what happens to others.
    """

    from_: Annotated[tuple[_Name, ...], Field(alias="from", min_length=1)]
    to: _Name
    demands: tuple[_Name, ...] = ()
    parent: tuple[_Name, ...] = ()
    also: tuple[Link, ...] = ()


class MachineTable(_Part):
    """The states of one machine, and what moves it."""

    opens: Opening
    states: Mapping[_Name, StateWords]
    commands: Mapping[_Name, Transition]

    @model_validator(mode="after")
    def _names_its_states(self) -> "MachineTable":
        named = {self.opens.to}
        for transition in self.commands.values():
            named |= {*transition.from_, transition.to}
        if unknown := sorted(named - {*self.states, SAME}):
            raise ValueError(f"there is no state `{unknown[0]}`")
        return self

    def target(self, command: str, state: str) -> str | None:
        """The state that a command leads to from a state; None if it cannot be given there.

        Raises:
            KeyError: the machine has no such command.
        """
        transition = self.commands[command]
        if state not in transition.from_:
            return None
        return state if transition.to == SAME else transition.to


class Lifecycle(_Part):
    """The three machines."""

    release: MachineTable
    contract: MachineTable
    delivery: MachineTable

    @model_validator(mode="after")
    def _links_lead_somewhere(self) -> "Lifecycle":
        for machine in Machine:
            for name, transition in self.table(machine).commands.items():
                for link in transition.also:
                    if link.command not in self.table(link.machine).commands:
                        raise ValueError(f"{machine} {name}: a {link.machine} has no command `{link.command}`")
        above = {Machine.CONTRACT: self.release, Machine.DELIVERY: self.contract}
        for machine, parent in above.items():
            table = self.table(machine)
            named = {*table.opens.parent, *(state for one in table.commands.values() for state in one.parent)}
            if unknown := sorted(named - set(parent.states)):
                raise ValueError(f"{machine}: what it belongs to has no state `{unknown[0]}`")
        return self

    def table(self, machine: Machine) -> MachineTable:
        """The table of one machine."""
        found: MachineTable = getattr(self, machine.value)
        return found
