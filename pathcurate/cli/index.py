"""``pathcurate index``."""

from pathlib import Path

import click

from pathcurate.cli.imported import run_import
from pathcurate.cli.session import Session, common_options, fail_on_option


@click.group("index")
def command() -> None:
    """Import what a scanner or archive knows of its files."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured tables of scanners and archives.

    They say which file shows which case: path, barcode, case, patient, block, stain, time of the scan. With FILES only those
    of them. Paths may be those of Windows; `link` finds the slides that they mean. A file that has not changed is not read
    again; what a changed one gave before is replaced.

    \b
    Example:
      pathcurate index import
    """
    from pathcurate.scanner_index import import_index

    return run_import(session, "index", import_index, files, fail_on, "entry", "entries")
