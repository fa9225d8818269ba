"""``pathcurate forget``."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.sources import FileKey
    from pathcurate.workspace import Workspace


_FOLLOWING = {"reports": "link", "materials": "link", "scanner_index": "link", "merges": "link", "events": "deid apply"}
"""The first stage that makes something of each table."""


@click.command("forget")
@click.option("--source", metavar="FILE", help="Undo the import of this file; its name or path, it may be gone.")
@click.option("--table", help="The table that the file was imported into, if there are several.")
@click.option("--patient", metavar="-|@FILE", help="Erase a person: a patient's or identity card's number.")
@click.option("--site", metavar="CODE", help="Whose patient number it is.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would go.")
@purpose_option
@common_options
def command(
    session: Session,
    source: str | None,
    *,
    table: str | None,
    patient: str | None,
    site: str | None,
    yes: bool,
    purpose: str | None,
) -> int:
    """Undo the import of one file, or erase a person.

    --source: the file's rows and findings go, but for rows that another file gives too. What was derived of them follows, or
    is out of date until its stage runs again. The file itself stays where it is, and is not imported again until it changes
    or is named: `pathcurate events import FILE` takes it back.

    --patient: all that is certainly the person's goes, from every table in every state, from pages, caches and cohorts; the
    de-identified tables go too, and are made again by `pathcurate deid apply`. Files of archives and exports stay where they
    are, and whatever of them is about the person is left out from then on. Releases are named, and stay. Give the number as
    `-` for standard input or @FILE.

    Without --yes this only says what would go.

    \b
    Example:
      pathcurate forget --source followup.csv
    """
    from pathcurate.errors import UsageError

    if (source is None) == (patient is None):
        raise UsageError("either --source or --patient is needed", "Give --source FILE, or --patient - for standard input.")
    if source is not None:
        if site is not None:
            raise UsageError("--site is for --patient", "Leave it out.")
        _forget_file(session, source, table, yes=yes)
        return 0
    from pathcurate.cli.erasure import erase

    return erase(session, patient or "", site, purpose, yes=yes)


def _forget_file(session: Session, source: str, table: str | None, *, yes: bool) -> None:
    from pathcurate.forget import plan_forgetting

    with session.locked("forget") as workspace:
        plan = plan_forgetting(workspace, source, directory=Path.cwd(), table=table)
        if yes:
            _forget(session, workspace, plan.table, plan.files)
    counts = {"rows": plan.rows, "shared": plan.shared, "findings": plan.findings}
    stays = (
        f"; {counted(plan.shared, 'row')} of other files too {'stays' if plan.shared == 1 else 'stay'}"
        if plan.shared
        else ""
    )
    also = f" and {counted(plan.findings, 'finding')}" if plan.findings else ""
    done = "gone" if yes else "would go"
    line = f"{plan.table}: {counted(plan.rows, 'row')}{also} {done}{stays}"
    following = _FOLLOWING.get(plan.table)
    after = [f"What was made of them follows with `pathcurate {following}` and the stages behind it."] if following else []
    session.show({"table": plan.table, "forgotten": yes, **counts}, [line, *(after if yes else ["Give --yes to do it."])])


def _forget(session: Session, workspace: "Workspace", table: str, files: "Collection[FileKey]") -> None:
    """By the stage that imports into the table."""
    from pathcurate.annotations import forget_annotations
    from pathcurate.events import forget_events
    from pathcurate.identities import forget_merges
    from pathcurate.materials import forget_materials
    from pathcurate.reports import forget_reports
    from pathcurate.scanner_index import forget_index

    if table == "reports":
        with session.local_engine(workspace) as engine:
            forget_reports(workspace, files, engine)
        return
    stages = {
        "events": forget_events, "materials": forget_materials, "scanner_index": forget_index, "merges": forget_merges,
        "annotations": forget_annotations,
    }  # fmt: skip
    stages[table](workspace, files)
