"""``pathcurate deid``."""

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, count_lines

if TYPE_CHECKING:
    from pathcurate.deid import DeidSummary


@click.group("deid")
def command() -> None:
    """De-identify the catalog's tables, and verify that they are."""


@command.command("explain")
@common_options
def explain_command(session: Session) -> None:
    """Say what is done to each column.

    The sentences come from the declarations that do it.

    \b
    Example:
      pathcurate deid explain
    """
    from pathcurate.deid import explain

    sentences = explain()
    session.show({"columns": sentences}, sentences)


@command.command("plan")
@common_options
def plan_command(session: Session) -> None:
    """Show what `apply` will do to each column; nothing is done.

    \b
    Example:
      pathcurate deid plan
    """
    from pathcurate.deid import plan
    from pathcurate.errors import PlanIncompleteError

    planned = plan(session.workspace())
    lines = [
        f"{item.table}.{item.column:<{30 - len(item.table)}}"
        f"{item.identifying or 'undeclared':<16}{item.action or 'NO RULE':<12}{item.values:>9,}"
        for item in planned
    ]
    actions = Counter(str(item.action or "no rule") for item in planned)
    session.show({"columns": [asdict(item) for item in planned]}, [*lines, "", *count_lines(dict(actions))])
    if any(item.action is None for item in planned):
        raise PlanIncompleteError(
            "the plan is incomplete: a column has no rule", "Nothing will be applied until it has one."
        )


@command.command("apply")
@common_options
def apply_command(session: Session) -> None:
    """Write the de-identified tables and verify them.

    Free text is withheld: it stays in the catalog.

    \b
    Example:
      pathcurate deid apply
    """
    from pathcurate.deid import apply

    with session.locked("deid apply") as workspace:
        summary = apply(workspace, actor=session.actor)
    _show(session, summary)


@command.command("verify")
@common_options
def verify_command(session: Session) -> None:
    """Check the de-identified tables again.

    Against every identifier that the catalog knows, as it is now.

    \b
    Example:
      pathcurate deid verify
    """
    from pathcurate.deid import verify

    with session.locked("deid verify") as workspace:
        summary = verify(workspace, actor=session.actor)
    _show(session, summary)


def _show(session: Session, summary: "DeidSummary") -> None:
    from pathcurate.errors import DisclosureRefusedError

    lines = [
        *count_lines(summary.rows),
        *(f"  {count:,} values of {name} were left out: in no closed set" for name, count in summary.left_out.items()),
        *(f"  FAULT {fault}" for fault in summary.faults),
        "verified: passed" if not summary.faults else "verified: FAILED",
    ]
    session.show(asdict(summary), lines)
    if summary.faults:
        raise DisclosureRefusedError(
            f"the de-identified tables have {len(summary.faults)} faults; no later stage will use them",
            "Run `pathcurate deid apply` again; if the faults stay, report them.",
        )
