"""The workspace of commands that say more in one and work without."""

from pathlib import Path
from typing import TYPE_CHECKING

from pathcurate.cli.session import Session

if TYPE_CHECKING:
    from pathcurate.workspace import Workspace

WORKSPACE_FILE = "pathcurate.yaml"
"""Said here too, because what reads workspaces takes long to load."""


def workspace_if_any(session: Session) -> "Workspace | None":
    """The workspace that was named or stands around, None if there is none."""
    here = Path.cwd()
    is_inside = any((directory / WORKSPACE_FILE).is_file() for directory in (here, *here.parents))
    return session.workspace() if session.directory is not None or is_inside else None
