"""``pathcurate concepts``."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, counted, exit_code, fail_on_option, finding_lines

if TYPE_CHECKING:
    from pathcurate.concepts import BuildSummary

_STATES = ("new", "stale", "removed", "built")


@click.group("concepts")
def command() -> None:
    """Find the recipes' text concepts in the reports."""


@command.command("build")
@click.option("--dry-run", is_flag=True, help="Say what there is to do, and do nothing.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that search.  [default: one per core]")
@fail_on_option("never")
@common_options
def build_command(session: Session, *, dry_run: bool, workers: int | None, fail_on: str) -> int:
    """Search all reports for the concepts of all recipes.

    A report is searched again only if its text has changed, and for a concept only if its patterns have. Concepts that no
    recipe has any more are removed.

    \b
    Example:
      pathcurate concepts build
    """
    from pathcurate.concepts import build_concepts, plan_concepts

    if dry_run:
        summary = plan_concepts(session.workspace())
    else:
        with (
            session.locked("concepts build") as workspace,
            session.engine(workspace, workers) as engine,
            progress("concepts build", "reports", quiet=session.quiet) as advance,
        ):
            summary = build_concepts(workspace, engine, progress=advance)
    states = Counter(concept.state for concept in summary.concepts)
    document = {
        "concepts": {state: states[state] for state in _STATES}, "reports": summary.reports, "to_read": summary.to_read,
        "to_read_again": summary.to_read_again, "mentions": summary.mentions, "dry_run": dry_run,
        "findings": [finding.as_dict() for finding in summary.findings],
    }  # fmt: skip
    wanted = states.total() - states["removed"]
    read = "to read" if dry_run else "read"
    of_the_recipes = f"{states['new']:,} new, {states['stale']:,} stale, {states['built']:,} up to date"
    again = f"{summary.to_read_again:,} {read} again for new or stale concepts"
    lines = [
        f"{counted(wanted, 'concept')} of the recipes: {of_the_recipes}; {states['removed']:,} removed",
        f"{counted(summary.reports, 'report')}: {summary.to_read:,} {read}, {again}",
    ]
    if summary.mentions is not None:
        lines.append(f"{counted(summary.mentions, 'mention')} in the catalog")
    session.show(document, [*lines, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)


@command.command("list")
@common_options
def list_command(session: Session) -> None:
    """Show each concept: whether it is up to date, its mentions.

    `stale` is a concept whose patterns, or the rules of assertion, have changed since it was built.

    \b
    Example:
      pathcurate concepts list
    """
    from pathcurate.concepts import plan_concepts

    plan = plan_concepts(session.workspace())
    document = {
        "concepts": [
            {"concept": one.name, "concept_sha": one.sha, "recipes": list(one.recipes), "state": one.state,
             "mentions": one.mentions}
            for one in plan.concepts
        ],
        "reports": plan.reports, "to_read": plan.to_read,
    }  # fmt: skip
    session.show(document, _lines(plan))


def _lines(plan: "BuildSummary") -> Iterator[str]:
    states = plan.concepts
    if not states:
        yield "no recipe has concepts"
        return
    width = max(len(one.name) for one in states)
    yield f"{'concept':<{max(width, 7)}}  digest        state    mentions  recipes"
    for one in states:
        recipes = ", ".join(one.recipes) or "-"
        yield f"{one.name:<{max(width, 7)}}  {one.sha[:12]}  {one.state:<7}  {one.mentions:>8,}  {recipes}"
    yield f"{counted(plan.reports, 'report')}, {plan.to_read:,} of them new or changed since"
