"""``pathcurate reports``."""

from pathlib import Path

import click

from pathcurate.cli.session import Session, common_options, counted, exit_code, fail_on_option, finding_lines


@click.group("reports")
def command() -> None:
    """Import pathology reports from laboratory systems."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured report sources.

    With FILES only those of them. Reads CSV and TSV in UTF-8, GB18030 and others. What a file gave before is replaced.

    \b
    Example:
      pathcurate reports import
    """
    from pathcurate.reports import import_reports

    with session.locked("reports import") as workspace:
        summary = import_reports(workspace, only=files)
    document = {
        "files": summary.files, "rows": summary.rows, "total": summary.total,
        "findings": [finding.as_dict() for finding in summary.findings],
    }  # fmt: skip
    lines = [f"{counted(summary.rows, 'report')} from {counted(summary.files, 'file')}; {summary.total:,} in the catalog"]
    session.show(document, [*lines, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)
