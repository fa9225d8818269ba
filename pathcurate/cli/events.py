"""``pathcurate events``."""

from pathlib import Path

import click

from pathcurate.cli.imported import import_document, import_line
from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, exit_code, fail_on_option, finding_lines


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

    with (
        session.locked("events import") as workspace,
        progress("events import", "files", quiet=session.quiet) as advance,
    ):
        summary = import_events(workspace, only=files, progress=advance)
    line = f"{import_line(summary, 'event')}; {summary.total:,} in the catalog"
    session.show(import_document(summary), [line, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)
