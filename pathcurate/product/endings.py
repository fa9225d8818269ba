"""What a product rests on and until when, and what becomes of it on the day after."""

from collections.abc import Iterable, Iterator
from datetime import date

from pathcurate.errors import PathcurateError
from pathcurate.lifecycle import lifecycle
from pathcurate.model.lifecycle import Machine
from pathcurate.model.product import Entry, State
from pathcurate.model.rights import Due, Ending
from pathcurate.product import Moved, expire
from pathcurate.product.desk import Desk
from pathcurate.product.evidence import file_digest
from pathcurate.productfile import load_product_file, product_path
from pathcurate.rights import standings
from pathcurate.rights.ending import due

_LIVE = frozenset({State.REGISTERED, State.OFFERED, State.SUSPENDED})
_ENDED = frozenset({State.WITHDRAWN, State.SUPERSEDED})


def due_of(desk: Desk, within: int, others: Iterable[Ending] = ()) -> tuple[Due, ...]:
    """Everything that has run out or will within so many days: papers of products, authorisations of sites, certificates,
    agreements, and others, such as deletions that recipients are to attest; what ended first comes first."""
    live = [entry for entry in desk.registry.list() if entry.state not in _ENDED]
    files = [load_product_file(path) for path in sorted(desk.workspace.products.glob("*.yaml"))]
    others = [*(one for entry in live for one in _certificate(entry)), *_agreements(desk), *others]
    return due(files, standings(desk.workspace, desk.today).values(), others, today=desk.today, within=within)


def _certificate(entry: Entry) -> Iterator[Ending]:
    held = entry.facts.get("certificate")
    if held is not None and held["valid_until"] is not None:
        until = date.fromisoformat(held["valid_until"])
        yield Ending("certificate of registration", held["number"], "product", entry.id, until)


def _agreements(desk: Desk) -> Iterator[Ending]:
    for contract in desk.registry.subjects(Machine.CONTRACT):
        until = contract.facts.get("valid_until")
        if until is not None and contract.state in {"signed", "active", "suspended"}:
            number = str(contract.facts.get("number", ""))
            yield Ending("agreement", number, "contract", contract.id, date.fromisoformat(until))


def shown_state(desk: Desk, entry: Entry) -> str:
    """The state of a release as of today: what rests on something that has run out is expired, whether or not somebody has
    said so to the registry yet."""
    return str(State.EXPIRED if entry.state in _LIVE and over(desk, entry) else entry.state)


def over(desk: Desk, entry: Entry) -> list[Ending]:
    """What a release rests on that has run out: its certificate, or the ethics approval.

    The approval is that of the product's file, which is read anew only if it has changed since the release was last signed
    for or offered.
    """
    found = [one for one in _certificate(entry) if one.until < desk.today]
    relied = entry.facts.get("ethics")
    if relied is not None and relied["file"] == file_digest(desk, entry.product):
        until = date.fromisoformat(relied["valid_until"])
        return found if until >= desk.today else [*found, Ending("ethics approval", "", "product", entry.id, until)]
    file = product_path(desk.workspace.root, entry.product)
    try:
        paper = load_product_file(file).evidence.ethics if file.is_file() else None
    except PathcurateError:
        paper = None  # `validate` says what is wrong with it
    if paper is not None and paper.valid_until is not None and paper.valid_until < desk.today:
        found.append(Ending("ethics approval", paper.number or "", "product", entry.id, paper.valid_until))
    return found


def expire_all(desk: Desk) -> list[Moved]:
    """Tell the registry of every release whose certificate or approval has run out."""
    table = lifecycle().release
    moved = []
    for entry in desk.registry.list():
        ended = over(desk, entry) if table.target("expire", entry.state) is not None else []
        if ended:
            reason = "; ".join(f"{one.what} ended on {one.until}" for one in ended)
            moved.append(expire(desk, entry.product, entry.version, reason))
    return moved
