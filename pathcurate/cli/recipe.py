"""``pathcurate recipe``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options, counted


@click.group("recipe")
def command() -> None:
    """Check cohort recipes."""


@command.command("check")
@click.argument("recipe", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common_options
def check_command(session: Session, recipe: Path) -> None:
    """Check a recipe, and show every fault at its place.

    \b
    Example:
      pathcurate recipe check recipes/demo_he_2023.yaml
    """
    from pathcurate.cohort import read_recipe

    source = read_recipe(recipe)
    checked = source.recipe
    criteria = counted(len(checked.criteria), "criterion", "criteria")
    session.show(
        {"name": checked.name, "version": checked.version, "unit": checked.unit, "sha256": source.sha256},
        [f"{checked.name} {checked.version} is a good recipe: unit {checked.unit}, {criteria}"],
    )
