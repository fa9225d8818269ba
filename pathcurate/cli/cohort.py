"""``pathcurate cohort``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.requests import ask, recipe_or_requests, show_standings
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathcurate.cohort import CohortResult


@click.command("cohort")
@click.argument(
    "recipe", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), callback=recipe_or_requests
)
@click.option("--dry-run", is_flag=True, help="Print the attrition only; write nothing.")
@click.option(
    "--requests", is_flag=True, is_eager=True, help="Show what became of requests: your own, or all of them to the curator."
)
@common_options
def command(session: Session, recipe: Path | None, *, dry_run: bool, requests: bool) -> None:
    """Select the cohort of RECIPE.

    The attrition says how many left at each step, the ledger at which step each of them did. Somebody who may not open
    catalog/ and vault/ asks for it instead: a request is written into requests/, which the curator's `pathcurate run
    --requests` answers with the attrition, its small counts hidden, or with a refusal.

    \b
    Example:
      pathcurate cohort recipes/demo_he_2023.yaml --dry-run
    """
    from pathcurate.cohort import read_recipe, select
    from pathcurate.roles import is_curator

    if requests or recipe is None:
        show_standings(session)
        return
    source = read_recipe(recipe)
    if not is_curator(session.workspace()):
        ask(session, source, recipe, dry_run=dry_run)
        return
    with session.locked("cohort") as workspace, session.engine(workspace) as engine:
        result = select(workspace, engine, source, now=session.now, dry_run=dry_run, actor=session.actor)
    document = {
        "recipe": source.recipe.name, "version": source.recipe.version, "attrition": result.attrition.as_dict(),
        "split": dict(result.split), "has_permissions": result.has_permissions,
        "directory": str(result.directory) if result.directory else None,
    }  # fmt: skip
    session.show(document, attrition_lines(result))
    if not result.has_permissions:
        session.say("warning: no permission list is configured; `manifest build` will refuse without --no-permissions")


def attrition_lines(result: "CohortResult") -> "Iterator[str]":
    """The attrition for people."""
    from pathcurate.model.deidentified import SPLITS

    attrition = result.attrition
    yield f"{'slides':>8} {'cases':>8} {'patients':>8}   {'dropped':>8} {'missing':>8}  step"
    start = attrition.start
    yield f"{start.slides:>8,} {start.cases:>8,} {start.patients:>8,}   {'':>8} {'':>8}  all {attrition.unit}s"
    for step in attrition.steps:
        left = step.remaining
        yield (
            f"{left.slides:>8,} {left.cases:>8,} {left.patients:>8,}   {step.dropped:>8,} {step.dropped_missing:>8,}  "
            f"{'not ' if step.kind == 'exclude' else ''}{step.label}"
        )
    if result.split:
        yield "split: " + ", ".join(f"{side} {result.split[side]:,}" for side in SPLITS if side in result.split)
    if result.directory:
        yield f"written to {result.directory}"
