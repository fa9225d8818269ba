"""``pathcurate cohort``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.asof import as_it_was, as_of_option
from pathcurate.cli.attritionlines import attrition_lines
from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.requests import ask, recipe_or_requests, show_standings
from pathcurate.cli.session import Session, common_options

if TYPE_CHECKING:
    from pathcurate.cohort import CohortResult
    from pathcurate.workspace import Workspace


@click.command("cohort")
@click.argument(
    "recipe", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path), callback=recipe_or_requests
)
@click.option("--dry-run", is_flag=True, help="Print the attrition only; write nothing.")
@parameter_option
@as_of_option
@click.option("--raw-counts", is_flag=True, help="Write the exact counts too, into a file of the curator's own.")
@click.option("--sample", type=click.IntRange(1, 200), metavar="N", help="Draw N and make a page of their pictures.")
@click.option(
    "--requests", is_flag=True, is_eager=True, help="Show what became of requests: your own, or all of them to the curator."
)
@common_options
def command(
    session: Session,
    recipe: Path | None,
    *,
    dry_run: bool,
    parameters: Mapping[str, str],
    as_of: str | None,
    raw_counts: bool,
    sample: int | None,
    requests: bool,
) -> int:
    """Select the cohort of RECIPE.

    The attrition says how many left at each step; small counts are joined with their neighbours, and what is shown is
    rounded. The ledger says at which step each of them left. What differs from the run before is told with its reason.
    Somebody who may not open catalog/ and vault/ asks for it instead: a request is written into requests/, which the
    curator's `pathcurate run --requests` answers with the attrition, or with a refusal.

    \b
    Example:
      pathcurate cohort recipes/demo_he_2023.yaml --dry-run
    """
    from pathcurate.cohort import read_recipe, select
    from pathcurate.disclosure.attrition import shown
    from pathcurate.roles import is_curator

    if requests or recipe is None:
        show_standings(session)
        return 0
    source = read_recipe(recipe, parameters=parameters)
    if not is_curator(session.workspace()):
        if as_of or raw_counts or sample or parameters:
            raise click.UsageError("--param, --as-of, --raw-counts and --sample are for the curator; write it in the recipe")
        ask(session, source, recipe, dry_run=dry_run)
        return 0
    with session.locked("cohort") as workspace, session.engine(workspace) as engine:
        then = as_it_was(session, workspace, engine, as_of)
        result = select(
            then, engine, source, now=session.now, dry_run=dry_run, raw_counts=raw_counts, actor=session.actor
        )  # fmt: skip
        page = _contact_sheet(session, then, result, sample) if sample else None
    rules = source.recipe.disclosure
    told = shown(result.attrition, min_cell=rules.min_cell, round_to=rules.round_to, exact_kept=not dry_run)
    document = {
        "recipe": source.recipe.name, "version": source.recipe.version, "attrition": told.as_dict(),
        "split": dict(result.split) if result.directory else {},
        "tables": dict(result.tables) if result.directory else {}, "unmet": list(result.unmet),
        "has_permissions": result.has_permissions, "sites_left_out": dict(result.sites_left_out),
        "directory": str(result.directory) if result.directory else None, "page": str(page) if page else None,
    }  # fmt: skip
    pictures = [f"pictures: {page}"] if page else []
    session.show(document, [*attrition_lines(told.as_dict()), *_result_lines(result), *pictures])
    for fault in result.unmet:
        session.say(f"error: the recipe expects otherwise: {fault}")
    for site, fault in result.sites_left_out.items():
        session.say(f"warning: site {site} is left out: {fault}")
    if not result.has_permissions:
        session.say("warning: no permission list is configured; `manifest build` will refuse without --no-permissions")
    return 1 if result.unmet else 0


def _contact_sheet(session: Session, workspace: "Workspace", result: "CohortResult", sample: int) -> Path | None:
    from pathcurate.cohort.preview import contact_sheet

    # Pictures come from the archives, and those are mounted here.
    with session.local_engine(workspace, workers=2) as engine:
        return contact_sheet(
            workspace, engine, result.recipe.recipe, result.rows, sample, now=session.now, actor=session.actor
        )


def _result_lines(result: "CohortResult") -> Iterator[str]:
    split = result.recipe.recipe.split
    # Of a dry run the exact sides would say what its last row hides.
    if split is not None and result.split and result.directory:
        total = sum(result.split.values())
        sides = (f"{side} {result.split.get(side, 0):,} ({result.split.get(side, 0) / total:.1%})" for side in split.sides)
        yield "split: " + ", ".join(sides) + "; no patient is on two sides"
    if result.directory:
        for name, rows in result.tables.items():
            yield f"  {name:<12} {rows:>9,} rows"
        if result.differences is not None:
            changed = list(result.differences.lines())
            yield "since the run before:" if changed else "nothing differs from the run before"
            yield from (f"  {line}" for line in changed)
        yield f"written to {result.directory}"
