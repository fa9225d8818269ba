"""``pathcurate link review``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import (
    Session,
    common_options,
    count_lines,
    counted,
    exit_code,
    fail_on_option,
    finding_lines,
)
from pathcurate.model.link import TIERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathcurate.link.reviewsheet import Exported


@click.group("review")
def command() -> None:
    """Have people check links, and take their decisions back."""


@command.command("export")
@click.option("--site", "sites", multiple=True, metavar="CODE", help="Only this site; may be given again.")
@click.option("--tier", "tiers", multiple=True, type=click.Choice(TIERS), help="Only this tier; may be given again.")
@click.option("--sample", type=click.IntRange(0), default=30, show_default=True, help="Slides drawn of each linked tier.")
@click.option("--uncertain", type=click.IntRange(0), default=100, show_default=True, help="Slides whose link is uncertain.")
@click.option("--limit", type=click.IntRange(1, 5000), default=500, show_default=True, help="Most slides on the sheet.")
@click.option(
    "--expires-days", type=click.IntRange(1, 90), default=14, show_default=True, help="Days until the folder is removed."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws other slides.")
@click.option("--again", is_flag=True, help="Also slides that were decided about under the same rules.")
@purpose_option
@common_options
def export_command(  # one argument for each option
    session: Session,
    *,
    sites: tuple[str, ...],
    tiers: tuple[str, ...],
    sample: int,
    uncertain: int,
    limit: int,
    expires_days: int,
    seed: int,
    again: bool,
    purpose: str | None,
) -> None:
    """Write a page and a CSV on which people check links.

    Both show labels and reports, so they lie below catalog/review/ only, the audit trail notes them, and they are removed
    when their time is over. Shown are slides drawn at random of each tier, by which its precision can be told, and slides
    whose link is uncertain, of each kind some; with --tier none, slides without a case. Answer on the page, or in the CSV
    with confirm, reject or unsure below `decision` and the right case below `accession`, and give the file to
    `link review import`.

    \b
    Example:
      pathcurate link review export --site NB01 --sample 50
    """
    from pathcurate.link.reviewdraw import Choice
    from pathcurate.link.reviewsheet import export_review

    with session.locked("link review export") as workspace, session.local_engine(workspace) as engine:
        codes = tuple(workspace.site(code).code for code in sites)
        choice = Choice(codes, tiers, sample, uncertain, limit, seed, again)
        exported = export_review(
            workspace, engine, choice, now=session.now, expires_days=expires_days, actor=session.actor, purpose=purpose
        )
    document = {
        "folder": str(exported.folder) if exported.folder else None, "slides": exported.slides,
        "purposes": exported.purposes, "tiers": exported.tiers, "without_label": exported.without_label,
        "expires_at": exported.expires_at.isoformat(timespec="minutes"), "expired": exported.expired,
    }  # fmt: skip
    session.show(document, _export_lines(exported))


def _export_lines(exported: "Exported") -> "Iterator[str]":
    if exported.folder is None:
        yield "nothing to review: no such slide is linked or uncertain and not yet decided about"
        yield "  --again shows those that were decided about too, --tier none those without a case"
    else:
        yield f"{counted(exported.slides, 'slide')} to review until {exported.expires_at:%Y-%m-%d %H:%M}"
        yield from count_lines(exported.purposes)
        if exported.without_label:
            yield f"  of {exported.without_label:,} no label could be shown; the page says why"
        yield f"{exported.folder / 'review.html'}"
    if exported.expired:
        yield f"{counted(exported.expired, 'older review')} removed"


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--reviewer", metavar="NAME", help="Who decided, for rows that do not say it; else you.")
@fail_on_option("never")
@common_options
def import_command(session: Session, file: Path | None, *, reviewer: str | None, fail_on: str) -> int:
    """Take the decisions of a review back.

    FILE is the page's download or the sheet's CSV, as a spreadsheet program may have saved it; without FILE it is the CSV
    beside the newest page. Decisions are only ever added; later ones win, and `pathcurate link` obeys them. The same file
    again adds nothing. A row that cannot be taken is named and keeps no other out.

    \b
    Example:
      pathcurate link review import --reviewer "Li Wei"
    """
    from pathcurate.errors import UsageError
    from pathcurate.link.review import LINK_SHEETS
    from pathcurate.link.reviewanswers import import_answers
    from pathcurate.model.waiver import is_plain

    if reviewer is not None and not is_plain(reviewer):
        raise UsageError("--reviewer is not one line of text", "Give a name.")
    with session.locked("link review import") as workspace, session.local_engine(workspace) as engine:
        answers = file or LINK_SHEETS.newest_answers(workspace)
        imported = import_answers(workspace, engine, answers, now=session.now, reviewer=reviewer, actor=session.actor)
    total = sum(imported.decisions.values())
    document = {
        "decisions": imported.decisions, "unchanged": imported.unchanged, "unanswered": imported.unanswered,
        "refused": imported.refused, "expired": imported.expired,
        "findings": [finding.as_dict() for finding in imported.findings],
    }  # fmt: skip
    counts = f"{imported.unchanged:,} known, {imported.unanswered:,} unanswered, {imported.refused:,} refused"
    lines = [
        f"{counted(total, 'decision')} added; {counts}",
        *count_lines(imported.decisions),
        *finding_lines(imported.findings, verbose=session.verbose),
        *(["run `pathcurate link` to use them"] if total else []),
    ]
    session.show(document, lines)
    return exit_code(imported.findings, fail_on)
