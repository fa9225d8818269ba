"""Many products in one command: each row of a table goes as far as its evidence carries it, and the others go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathcurate.errors import PathcurateError, PlanIncompleteError
from pathcurate.model.certificate import Certificate
from pathcurate.model.product import Entry, State
from pathcurate.model.registration import Lack, RowOutcome
from pathcurate.product import Tester, check, receipt, register, sign, submit
from pathcurate.product.desk import Desk
from pathcurate.product.guards import LackingError
from pathcurate.releases import find_release
from pathcurate.signing import Signer

_ORDER = (State.FROZEN, State.VALIDATED, State.COMPLIANCE_CHECKED, State.SUBMITTED)
_ENDED = frozenset({State.RETURNED, State.WITHDRAWN, State.EXPIRED})


@dataclass(frozen=True, slots=True)
class Goal:
    """How far one release is to go.

    Attributes:
        row: number of the row, from 1.
        release: as the table names it.
        regime: form to submit in; None: it is signed, and no more.
        certificate: and its file, if the authority has given one: then that is bound, and nothing else is done.
    """

    row: int
    release: str
    regime: str | None = None
    certificate: tuple[Certificate, Path] | None = None


@dataclass(frozen=True, slots=True)
class Pen:
    """With what a batch signs, and where it writes.

    Attributes:
        signers: keys, each with the role that it signs in (None if its owner has one alone).
        bundles: folder that gets a folder for each release and regime.
        tester: see :data:`~pathcurate.product.Tester`.
    """

    signers: Sequence[tuple[Signer, str | None]]
    bundles: Path
    tester: Tester


def run_batch(desk: Desk, goals: Sequence[Goal], pen: Pen, told: Callable[[RowOutcome], None]) -> list[RowOutcome]:
    """Bring each release as far as its evidence carries it.

    A row that is where it should be is not touched; one that is refused says what is lacking, and a run after its repair
    goes on where this one stopped.

    Args:
        desk: whose they are.
        goals: the rows.
        pen: see :class:`Pen`.
        told: gets each outcome when it is known.
    """
    outcomes = []
    for goal in goals:
        outcome = _one(desk, goal, pen)
        told(outcome)
        outcomes.append(outcome)
    return outcomes


def _one(desk: Desk, goal: Goal, pen: Pen) -> RowOutcome:
    before = desk.registry.head()[0]
    lacks: tuple[Lack, ...] = ()
    entry: Entry | None = None
    try:
        directory = find_release(desk.workspace.releases, _name_of(desk, goal.release), desk.workspace.root)
        if goal.certificate is not None:
            by = [signer for signer, role in pen.signers if role in {None, "compliance"}]
            _, entry = desk.entered(directory)
            receipt(desk, directory, *goal.certificate, by[0] if by else None)
        else:
            entry, _ = register(desk.registry, directory, actor=desk.actor, now=desk.now)
            _go(desk, goal, pen, directory, entry)
    except LackingError as error:
        lacks = error.lacks
    except PathcurateError as error:
        lacks = (Lack("", error.message, error.hint, error.exit_code),)
    now = desk.registry.get(entry.product, entry.version) if entry is not None else None
    return RowOutcome(
        goal.row, goal.release, str(now.state) if now is not None else "", _was_moved(now, before), lacks
    )  # fmt: skip


def _name_of(desk: Desk, release: str) -> str:
    """``NAME@VERSION`` of what a table names, perhaps by the digest of what is registered."""
    if not release.startswith("sha256:"):
        return release
    return next((entry.id for entry in desk.registry.list() if entry.release_digest == release), release)


def _was_moved(entry: Entry | None, before: int) -> bool:
    return entry is not None and entry.last > before


def _go(desk: Desk, goal: Goal, pen: Pen, directory: Path, entry: Entry) -> None:
    """Every step that is still to be made.

    Raises:
        PlanIncompleteError: the release went another way, on which the table cannot lead it.
    """
    if entry.state in _ENDED:
        raise PlanIncompleteError(f"it is {entry.state}", f"`pathcurate product show {entry.id}` shows how it came there.")
    if _is_before(entry, State.VALIDATED):
        entry = check(desk, directory, pen.tester).entry
    for signer, role in pen.signers:
        if _is_before(entry, State.COMPLIANCE_CHECKED):
            entry = sign(desk, directory, signer, role).entry
    if goal.regime is None:
        return
    if _is_before(entry, State.SUBMITTED):
        target = pen.bundles / f"{entry.product}-{entry.version}-{goal.regime}"
        submit(desk, directory, goal.regime, target)
    elif (regime := entry.facts.get("submission", {}).get("regime")) != goal.regime:
        raise PlanIncompleteError(f"it was submitted in the form {regime}", "A release is submitted in one form.")


def _is_before(entry: Entry, state: State) -> bool:
    """Whether a release has not come so far."""
    return entry.state in _ORDER and _ORDER.index(entry.state) < _ORDER.index(state)
