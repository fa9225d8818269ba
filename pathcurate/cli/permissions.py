"""``pathcurate permissions``."""

import click

from pathcurate.cli.session import Session, common_options, counted, exit_code, fail_on_option, finding_lines


@click.group("permissions")
def command() -> None:
    """Import consents, waivers and opt-outs."""


@command.command("import")
@fail_on_option("never")
@common_options
def import_command(session: Session, *, fail_on: str) -> int:
    """Import every configured permission list.

    Together they replace what was imported before.

    \b
    Example:
      pathcurate permissions import
    """
    from pathcurate.permissions import import_permissions

    with session.locked("permissions import") as workspace:
        summary = import_permissions(workspace)
    document = {
        "files": summary.files, "rows": summary.rows, "opt_outs": summary.opt_outs,
        "findings": [finding.as_dict() for finding in summary.findings],
    }  # fmt: skip
    lines = [
        f"{counted(summary.rows, 'statement')} from {counted(summary.files, 'list')}, {summary.opt_outs:,} of them opt-outs"
    ]
    session.show(document, [*lines, *finding_lines(summary.findings, verbose=session.verbose)])
    return exit_code(summary.findings, fail_on)
