"""``pathcurate annotations``."""

from pathlib import Path

import click

from pathcurate.cli.imported import run_import
from pathcurate.cli.session import Session, common_options, fail_on_option


@click.group("annotations")
def command() -> None:
    """Import what people drew on slides (QuPath, GeoJSON, ASAP)."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured annotation sources.

    With FILES only those of them. A file belongs to the slide whose file name it has, before its own extension; where
    several slides have that name, folders of the same names decide. A file that has not changed is not read again, but tied
    to its slide if that was scanned since. One that is refused keeps no other out.

    \b
    Example:
      pathcurate annotations import
    """
    from pathcurate.annotations import import_annotations

    return run_import(session, "annotations", import_annotations, files, fail_on, "shape")
