"""``pathcurate identities``."""

from pathlib import Path

import click

from pathcurate.cli.imported import run_import
from pathcurate.cli.session import Session, common_options, fail_on_option


@click.group("identities")
def command() -> None:
    """Import lists of patient numbers that are one person's."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured merge lists.

    A row names a number that stays and one that was merged into it, or a number and the master number of its person; `link`
    joins them. With FILES only those of them. A file that has not changed is not read again; what a changed one gave before
    is replaced.

    \b
    Example:
      pathcurate identities import
    """
    from pathcurate.identities import import_merges

    return run_import(session, "identities", import_merges, files, fail_on, "statement")
