"""``pathcurate events``."""

from pathlib import Path

import click

from pathcurate.cli.imported import run_import
from pathcurate.cli.session import Session, common_options, fail_on_option


@click.group("events")
def command() -> None:
    """Import clinical events: diagnoses, laboratory, follow-up."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured event sources.

    With FILES only those of them. One row gives one event for each mapping that names the file. A file that has not changed
    is not read again; what a changed one gave before is replaced. One that is refused keeps no other out: the others are
    imported, and its error ends the command.

    \b
    Example:
      pathcurate events import
    """
    from pathcurate.events import import_events

    return run_import(session, "events", import_events, files, fail_on, "event")
