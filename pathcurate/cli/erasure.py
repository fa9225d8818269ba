"""Erase a person: `pathcurate forget --patient`."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pathcurate.cli.session import Session, count_lines, counted

if TYPE_CHECKING:
    from pathcurate.erasure import ErasurePlan

_MOST_BYTES = 4096


def erase(session: Session, given: str, site: str | None, purpose: str | None, *, yes: bool) -> int:
    """Say what erasing a person takes, or do it; 1 if nobody here has the number.

    Args:
        session: the call.
        given: the number, ``-`` for standard input or ``@FILE``.
        site: whose patient number it is.
        purpose: why, for the audit trail.
        yes: do it.
    """
    from pathcurate.erasure import erase_person, finish, plan_erasure

    number = _number(session, given)
    with session.locked("forget --patient") as workspace:
        if site is not None:
            workspace.site(site)
        if finish(workspace):
            session.say("an erasure that had been interrupted was finished first")
        planned = plan_erasure(workspace, number, site)
        if planned is None:
            session.show({"rows": {}, "erased": False}, ["nothing here has that number"])
            return 1
        plan, scope = planned
        if yes:
            erase_person(workspace, scope, actor=session.actor, purpose=purpose)
    document = {
        "erased": yes, "rows": dict(plan.rows), "pages": plan.pages, "cohorts": list(plan.cohorts),
        "releases": list(plan.releases), "possible": plan.possible, "bearing": plan.bearing,
    }  # fmt: skip
    session.show(document, _lines(plan, yes=yes))
    return 0


def _lines(plan: "ErasurePlan", *, yes: bool) -> Iterator[str]:
    yield "gone:" if yes else "would go:"
    yield from count_lines({**plan.rows, **({"pages for review": plan.pages} if plan.pages else {})})
    yield "  deid/ and vault/criteria, until `pathcurate deid apply`"
    for name in plan.cohorts:
        yield f"  cohort {name}, until `pathcurate cohort RECIPE`"
    for name in plan.releases:
        yield f"release {name} holds the person and never changes: call it back from whoever has it"
    if plan.possible:
        others = counted(plan.possible, "other person", "other persons")
        yield f"{others} may be the same one, which is not certain; whoever asks for their erasure gives their number"
    if plan.bearing:
        yield f"{counted(plan.bearing, 'slide')} of other patients bear one of the numbers and stay; look at their links"
    if not yes:
        yield "Files below archive roots and of sources stay; what of them is about the person is left out from then on."
        yield "Give --yes to do it. It cannot be undone."


def _number(session: Session, given: str) -> str:
    """The number, wherever it stands; no message repeats it."""
    from pathcurate.errors import InputOutputError, UsageError
    from pathcurate.storage import path_text

    if given != "-" and not given.startswith("@"):
        session.say("a number in the command line is seen in the process list and the shell's history; - and @FILE are not")
        text = path_text(os.fsencode(given))
    else:
        try:
            content = sys.stdin.buffer.read(_MOST_BYTES) if given == "-" else _beginning(Path(given[1:]))
            text = content.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputOutputError(
                f"the number cannot be read ({type(error).__name__})", "Give one line of UTF-8."
            ) from None
    text = text.strip()
    if not text or len(text.splitlines()) != 1:
        raise UsageError("one number is needed", "Give one patient's or identity card's number alone.")
    return text


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)
