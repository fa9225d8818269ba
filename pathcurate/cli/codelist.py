"""``pathcurate codelist``."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.parameters import parameter_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.codelists import Coverage
    from pathcurate.model.recipe import Codelist

_MOST_SHOWN = 20


@click.group("codelist")
def command() -> None:
    """Compare the code lists of recipes with the archive."""


@command.command("check")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@parameter_option
@common_options
def check_command(session: Session, recipe: Path, *, parameters: dict[str, str]) -> None:
    """Compare the code lists of a recipe with the archive.

    Shown are codes of a list that the archive does not have, and codes of the archive below a listed one that a list which
    matches exactly leaves out: perhaps it should match descendants. The archive is the de-identified tables; counts below
    10 are hidden.

    \b
    Example:
      pathcurate codelist check recipes/thoracic_tumour.yaml
    """
    from pathcurate.codelistcheck import check
    from pathcurate.recipefile import load_recipe

    source = load_recipe(recipe, parameters=parameters)
    lists = source.recipe.codelists or {}
    found = check(session.workspace(), lists) if lists else ()
    document = {"recipe": source.recipe.name, "codelists": [asdict(coverage) for coverage in found]}
    lines = [line for coverage in found for line in _lines(coverage, lists[coverage.name], verbose=session.verbose)]
    session.show(document, lines or [f"{source.recipe.name} has no code lists"])


def _lines(coverage: "Coverage", codelist: "Codelist", *, verbose: bool) -> Iterator[str]:
    how = "with their descendants" if codelist.match == "descendants" else "exactly"
    yield f"{coverage.name}: {codelist.system}, {counted(len(codelist.codes or ()), 'code')} matched {how}"
    if not coverage.unseen and not coverage.omitted:
        yield "  all of them are in the archive"
    unseen = coverage.unseen if verbose else coverage.unseen[:_MOST_SHOWN]
    if unseen:
        yield f"  not in the archive: {', '.join(unseen)}{_more(len(coverage.unseen) - len(unseen))}"
    omitted = coverage.omitted if verbose else coverage.omitted[:_MOST_SHOWN]
    for one in omitted:
        yield f"  left out: {one.code} in {one.column}, {'fewer than 10' if one.rows is None else f'{one.rows:,}'} rows"
    if len(coverage.omitted) > len(omitted):
        yield f"  left out:{_more(len(coverage.omitted) - len(omitted))}"


def _more(number: int) -> str:
    return f" and {number:,} more (-v shows them)" if number else ""
