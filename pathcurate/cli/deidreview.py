"""``pathcurate deid review``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathcurate.deid.review import Exported
    from pathcurate.model.textreview import Share, TextQuality


@click.group("review")
def command() -> None:
    """Have people check scrubbed texts."""


@command.command("export")
@click.option("--cohort", metavar="NAME", help="Only texts of this cohort.")
@click.option("--site", "sites", multiple=True, metavar="CODE", help="Only this site; may be given again.")
@click.option("--withheld", type=click.IntRange(0, 1000), default=30, show_default=True, help="Texts that are left out.")
@click.option("--sample", type=click.IntRange(0, 1000), default=30, show_default=True, help="Texts drawn at random.")
@click.option(
    "--suspicious", type=click.IntRange(0, 1000), default=30, show_default=True, help="Texts with suspicious words."
)
@click.option("--rare", type=click.IntRange(0, 1000), default=10, show_default=True, help="Texts of rules that seldom act.")
@click.option(
    "--expires-days", type=click.IntRange(1, 90), default=14, show_default=True, help="Days until the folder is removed."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws other texts.")
@purpose_option
@common_options
def export_command(  # one argument for each option
    session: Session,
    *,
    cohort: str | None,
    sites: tuple[str, ...],
    withheld: int,
    sample: int,
    suspicious: int,
    rare: int,
    expires_days: int,
    seed: int,
    purpose: str | None,
) -> None:
    """Write a page and a CSV on which people check scrubbed texts.

    The page shows each text with what was taken out as marks and what looks suspicious underlined. Both identify patients,
    so they lie below catalog/review/ only, the audit trail notes them, and they are removed when their time is over. Shown
    are texts that are left out because something in them may still identify somebody, texts drawn at random of the others,
    by which the quality of scrubbing can be told, texts with suspicious words, and texts out of which a rule that seldom
    acts took something. Answer on the page, or in the CSV below `answer`, and give the file to `deid review import`.

    \b
    Example:
      pathcurate deid review export --sample 50
    """
    from pathcurate.cli.progress import progress
    from pathcurate.deid.review import export_review
    from pathcurate.deid.reviewdraw import Choice

    with (
        session.locked("deid review export") as workspace,
        session.local_engine(workspace) as engine,
        progress("review", "texts", quiet=session.quiet) as advance,
    ):
        codes = tuple(workspace.site(code).code for code in sites)
        choice = Choice(cohort, codes, withheld, sample, suspicious, rare, seed)
        exported = export_review(
            workspace, engine, choice, now=session.now, expires_days=expires_days, actor=session.actor, purpose=purpose,
            progress=advance,
        )  # fmt: skip
    document = {
        "folder": str(exported.folder) if exported.folder else None, "purposes": exported.purposes, "words": exported.words,
        "read": exported.read, "failed": exported.failed, "expires_at": exported.expires_at.isoformat(timespec="minutes"),
        "expired": exported.expired, "quality": _quality(exported.quality),
    }  # fmt: skip
    session.show(document, [*_export_lines(exported), *_quality_lines(exported.quality)])


def _export_lines(exported: "Exported") -> "Iterator[str]":
    if exported.folder is None:
        yield f"nothing to review: of {counted(exported.read, 'text')} none was chosen"
    else:
        texts = sum(exported.purposes.values())
        until = f"{exported.expires_at:%Y-%m-%d %H:%M}"
        words = counted(exported.words, "word")
        yield f"{counted(texts, 'text')} of {exported.read:,} and {words} to review until {until}"
        yield from count_lines(exported.purposes)
        if exported.failed:
            yield f"  {counted(exported.failed, 'text')} could not be looked through"
        yield f"{exported.folder / 'review.html'}"
    if exported.expired:
        yield f"{counted(exported.expired, 'older review')} removed"


def _quality_lines(quality: "TextQuality | None") -> list[str]:
    """What reviewed samples say, for people."""
    if quality is None:
        return []

    def line(what: str, share: "Share") -> str:
        percent = 100 * share.texts / share.reviewed
        return f"  {what:<26}{percent:>6.1f} %  ({100 * share.low:.1f} to {100 * share.high:.1f} %)"

    return [
        f"of {counted(quality.complete.reviewed, 'reviewed text')} drawn at random:",
        line("nothing missed", quality.complete),
        line("nothing taken out wrongly", quality.careful),
    ]


def _quality(quality: "TextQuality | None") -> dict[str, Any] | None:
    from dataclasses import asdict

    return asdict(quality) if quality is not None else None


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@fail_on_option("never")
@common_options
def import_command(session: Session, file: Path | None, *, fail_on: str) -> int:
    """Take the decisions of a review back.

    FILE is the page's download or the sheet's CSV, as a spreadsheet program may have saved it; without FILE it is the CSV
    beside the newest page. Whoever imports it is the reviewer. A word that is to be removed goes from all texts of its site
    when they are scrubbed next; one that is kept is taken out by no rule any more, but for what is known of the patient.
    Later decisions win. The same file again adds nothing. A row that cannot be taken is named and keeps no other out.

    \b
    Example:
      pathcurate deid review import
    """
    from pathcurate.deid.review import TEXTS
    from pathcurate.deid.reviewanswers import import_answers
    from pathcurate.deid.texts import ALL

    with session.locked("deid review import") as workspace, session.local_engine(workspace) as engine:
        answers = file or TEXTS.newest_answers(workspace)
        imported = import_answers(workspace, engine, answers, now=session.now, actor=session.actor)
    total = sum(imported.decisions.values())
    document = {
        "decisions": imported.decisions, "unchanged": imported.unchanged, "reviewed": imported.reviewed,
        "refused": imported.refused, "stale": imported.stale, "expired": imported.expired,
        "quality": _quality(imported.quality), "findings": [finding.as_dict() for finding in imported.findings],
    }  # fmt: skip
    counts = f"{imported.unchanged:,} known, {imported.refused:,} refused; {counted(imported.reviewed, 'text')} judged"
    cohort = "all" if imported.cohort == ALL else imported.cohort
    again = f"up to {counted(imported.stale, 'text')} must be scrubbed again: run `pathcurate deid apply --texts {cohort}`"
    lines = [
        f"{counted(total, 'decision')} added; {counts}",
        *count_lines(imported.decisions),
        *finding_lines(imported.findings, verbose=session.verbose),
        *_quality_lines(imported.quality),
        *([again] if imported.stale else []),
    ]
    session.show(document, lines)
    return exit_code(imported.findings, fail_on)
