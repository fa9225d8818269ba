"""``pathcurate identities``."""

from pathlib import Path

import click

from pathcurate.cli.imported import import_document, import_line
from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, exit_code, fail_on_option, finding_lines


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

    with (
        session.locked("identities import") as workspace,
        progress("identities import", "files", quiet=session.quiet) as advance,
    ):
        summary = import_merges(workspace, only=files, progress=advance)
    line = f"{import_line(summary, 'statement')}; {summary.total:,} in the catalog"
    session.show(import_document(summary), [line, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)
