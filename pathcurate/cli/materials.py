"""``pathcurate materials``."""

from pathlib import Path

import click

from pathcurate.cli.imported import run_import
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted, fail_on_option


@click.group("materials")
def command() -> None:
    """Import blocks and slides; list glass to scan."""


@command.command("import")
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, fail_on: str) -> int:
    """Import the configured tables of blocks and slides.

    They say what glass exists, scanned or not, and how it was stained. With FILES only those of them. A row with a glass's
    number, a stain or the day it was made is a slide, any other a block. A file that has not changed is not read again; what
    a changed one gave before is replaced.

    \b
    Example:
      pathcurate materials import
    """
    from pathcurate.materials import import_materials

    return run_import(session, "materials", import_materials, files, fail_on, "block or slide", "blocks and slides")


@command.command("pull")
@click.argument("cohort")
@click.option("--stain", help="Only glass of this stain, by its canonical name, as HE or IHC:Ki-67.")
@click.option("--to-review", is_flag=True, help="Write the list to a file below catalog/review/.")
@purpose_option
@common_options
def pull_command(session: Session, cohort: str, *, stain: str | None, to_review: bool, purpose: str | None) -> None:
    """List the glass of COHORT that was never scanned.

    Without --to-review it is only counted. The list itself names cases, so it is written below catalog/review/ only, and the
    audit trail notes that you asked for it: site, case, specimen, block, glass and stain, in the order of the shelves.

    \b
    Example:
      pathcurate materials pull demo_he_2023
    """
    from collections import Counter

    from pathcurate.materials.pull import pull, write_pull
    from pathcurate.tables import column_values

    workspace = session.workspace()
    found = pull(workspace, cohort, now=session.now, stain=stain)
    by_site = Counter(column_values(found.glass, "site"))
    path = write_pull(workspace, found, actor=session.actor, purpose=purpose) if to_review else None
    if found.glass.num_rows and not found.has_links:
        session.say("no slide is tied to any glass, so all of it counts as not scanned; look at `pathcurate link report`")
    document = {
        "cohort": cohort, "cases": found.cases, "glass": found.glass.num_rows, "sites": dict(sorted(by_site.items())),
        "review": str(path) if path else None,
    }  # fmt: skip
    line = f"{counted(found.glass.num_rows, 'slide')} not scanned, of {counted(found.cases, 'case')} with known glass"
    sites = [f"  {site}  {count:,}" for site, count in sorted(by_site.items())]
    session.show(document, [line, *sites, *([str(path)] if path else [])])
