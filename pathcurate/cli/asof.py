"""``--as-of``, for commands that select."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, counted

if TYPE_CHECKING:
    from pathcurate.engines import Engine
    from pathcurate.workspace import Workspace

as_of_option = click.option(
    "--as-of", metavar="TIME|COHORT|FILE", help="The archive as it was then; permissions stay today's."
)


def as_it_was(session: Session, workspace: "Workspace", engine: "Engine", as_of: str | None) -> "Workspace":
    """The workspace with the tables of an earlier state, if one is asked for; a word is said of who is missing."""
    if as_of is None:
        return workspace
    from pathcurate.deid.past import go_back
    from pathcurate.goingback import erasures_since, parse_as_of

    earlier = parse_as_of(as_of, workspace, directory=Path.cwd(), now=session.now)
    past = go_back(workspace, earlier, engine, actor=session.actor)
    session.say(f"as of {earlier.at:%Y-%m-%d %H:%M %Z}, with the permissions of today")
    if erased := erasures_since(workspace, earlier.at):
        was = "was" if erased == 1 else "were"
        session.say(f"{counted(erased, 'patient')} {was} erased since, and cannot be brought back")
    return past
