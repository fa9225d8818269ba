"""What can be done with a release next, and what that lacks."""

from dataclasses import dataclass

from pathcurate.errors import PathcurateError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.product import Entry
from pathcurate.model.registration import Lack
from pathcurate.product.desk import Desk
from pathcurate.product.evidence import gather
from pathcurate.product.guards import lacks_of
from pathcurate.releases import is_release, read_release

_FORWARD = ("check", "sign", "submit", "receipt", "offer", "resume")
"""The verbs that lead towards the market, in their order."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """A verb that the state allows.

    Attributes:
        command: its name.
        lacks: what it lacks today; empty if it can be given.
    """

    command: str
    lacks: tuple[Lack, ...]


def next_steps(desk: Desk, entry: Entry) -> list[NextStep]:
    """What leads a release on; nothing if its directory is not here, for then nobody can say what is lacking."""
    directory = desk.workspace.releases / entry.product / entry.version
    table = lifecycle().release
    possible = [name for name in _FORWARD if table.target(name, entry.state) not in {None, entry.state}]
    if entry.state == "validated":
        possible.insert(0, "sign")
    if not possible or not is_release(directory):
        return []
    try:
        evidence = gather(desk, read_release(directory), entry)
    except PathcurateError:
        return []  # `product verify` and `manifest verify` say what is wrong with it
    own = {"sign": "approve"}  # what a signature leads to, and what is looked at then
    skipped = {"check": {"validation"}, "receipt": {"certificate"}}  # what the verb itself brings
    steps = []
    for name in possible:
        lacks = lacks_of(evidence, own.get(name, name))
        steps.append(NextStep(name, tuple(lack for lack in lacks if lack.demand not in skipped.get(name, ()))))
    return steps
