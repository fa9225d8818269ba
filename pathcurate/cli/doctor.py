"""``pathcurate doctor``."""

import os
from pathlib import Path

import click

from pathcurate.cli.language import said, word
from pathcurate.cli.session import Session, common_options, counted
from pathcurate.terminaltext import padded

_RANKS = {"ok": 0, "warning": 1, "error": 2}


@click.command("doctor")
@click.option(
    "--fail-on", type=click.Choice(["warning", "error", "never"]), default="error", show_default=True,
    help="Exit with 1 if a check ends at least so.",
)  # fmt: skip
@common_options
def command(session: Session, *, fail_on: str) -> int:
    """Say what works here and what does not.

    The installation, the machine and, if there is one, the workspace are looked at; nothing is changed. Each check says what
    was found and what to do next.

    \b
    Example:
      pathcurate doctor
    """
    from pathcurate.doctor import examine

    checks = examine(_workspace_file(session), session.now, os.environ)
    counts = {status: sum(check.status == status for check in checks) for status in _RANKS}
    lines = []
    for check in checks:
        lines.append(f"{padded(word(check.status), 8)}{word(said(check.name))}: {said(check.message)}")
        if check.hint:
            lines.append(f"        {said(check.hint)}")
    lines.append(", ".join([said(counted(counts[of], of)) for of in ("error", "warning")] + [said(f"{counts['ok']} ok")]))
    session.show({"checks": [check.as_dict() for check in checks], "counts": counts}, lines)
    return int(fail_on != "never" and any(_RANKS[check.status] >= _RANKS[fail_on] for check in checks))


def _workspace_file(session: Session) -> Path | None:
    """The workspace file, broken or not; None if nobody named a workspace and none is here.

    Raises:
        UsageError: a workspace was named and is none.
    """
    from pathcurate.errors import UsageError
    from pathcurate.workspace import WORKSPACE_FILE, find_workspace

    if session.directory is not None:
        file = session.directory.absolute() / WORKSPACE_FILE
        if file.is_file():
            return file
        raise UsageError(
            f"{session.directory} is no workspace: it holds no {WORKSPACE_FILE}",
            "Name another with --workspace, or make one with `pathcurate init`.",
        )
    try:
        return find_workspace(Path.cwd())
    except UsageError:
        return None
