"""``pathcurate labels``."""

from collections.abc import Iterator, Mapping
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
    from pathcurate.labels.review import Exported


@click.group("labels")
def command() -> None:
    """Measure how often the labels of a cohort are wrong."""


@command.group("review")
def review() -> None:
    """Have people check labels, and take their answers back."""


@review.command("export")
@click.argument("cohort")
@click.option("--label", "labels", multiple=True, metavar="NAME", help="Only this label; may be given again.")
@click.option("--per-class", type=click.IntRange(0, 1000), default=50, show_default=True, help="Drawn of each value.")
@click.option("--missing", type=click.IntRange(0, 1000), default=0, show_default=True, help="Of those without the label.")
@click.option("--conflicts", type=click.IntRange(0, 1000), default=0, show_default=True, help="Contradicted ones too.")
@click.option(
    "--expires-days", type=click.IntRange(1, 90), default=14, show_default=True, help="Days until the folder is removed."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws others.")
@purpose_option
@common_options
def export_command(  # one argument for each option
    session: Session,
    *,
    cohort: str,
    labels: tuple[str, ...],
    per_class: int,
    missing: int,
    conflicts: int,
    expires_days: int,
    seed: int,
    purpose: str | None,
) -> None:
    """Write a page on which people check labels.

    Drawn are labels of COHORT, some of each value, by which the error can be told; a value that fewer have is shown whole.
    The page shows each label above the reports of its case, with the words that said so marked. It identifies patients, so
    it lies below catalog/review/ only, the audit trail notes it, and it is removed when its time is over. Answer on the
    page, or in the CSV beside it with right, wrong or unsure below `answer` and the right value below `instead`, and give
    the file to `labels review import`.

    \b
    Example:
      pathcurate labels review export thoracic_tumour --per-class 30
    """
    from pathcurate.labels.drawing import Choice
    from pathcurate.labels.review import export_review

    choice = Choice(cohort, labels, per_class, missing, conflicts, seed)
    with session.locked("labels review export") as workspace, session.local_engine(workspace) as engine:
        exported = export_review(
            workspace, engine, choice, now=session.now, expires_days=expires_days, actor=session.actor, purpose=purpose
        )
    document = {
        "folder": str(exported.folder) if exported.folder else None, "labels": sum(exported.classes.values()),
        "left_out": list(exported.left_out), "without_report": exported.without_report,
        "expires_at": exported.expires_at.isoformat(timespec="minutes"), "expired": exported.expired,
    }  # fmt: skip
    session.show(document, _export_lines(exported))


def _export_lines(exported: "Exported") -> Iterator[str]:
    if exported.folder is None:
        yield "nothing to review: no label was drawn that a report can be shown for"
    else:
        until = f"{exported.expires_at:%Y-%m-%d %H:%M}"
        yield f"{counted(sum(exported.classes.values()), 'label')} to review until {until}"
    if exported.left_out:
        yield f"  not asked about, because no report tells of them: {', '.join(exported.left_out)}"
    if exported.without_report:
        yield f"  {counted(exported.without_report, 'label')} left out: no report of theirs is in the catalog"
    if exported.folder is not None:
        yield f"{exported.folder / 'review.html'}"
    if exported.expired:
        yield f"{counted(exported.expired, 'older review')} removed"


@review.command("import")
@click.argument("files", metavar="[FILE]...", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--reviewer", metavar="NAME", help="Who answered; else you.")
@fail_on_option("never")
@common_options
def import_command(session: Session, files: tuple[Path, ...], *, reviewer: str | None, fail_on: str) -> int:
    """Take the answers of a review back.

    FILE is a page's download or a sheet's CSV, as a spreadsheet program may have saved it; without FILE it is the CSV
    beside the newest page. Answers are only ever added; later ones win. The same file again adds nothing. A row that cannot
    be taken is named and keeps no other out. `manifest build` puts the result into the release.

    \b
    Example:
      pathcurate labels review import --reviewer "Li Wei"
    """
    from pathcurate.errors import UsageError
    from pathcurate.labels.answers import import_answers
    from pathcurate.labels.quality import read_quality
    from pathcurate.labels.review import LABELS
    from pathcurate.model.waiver import is_plain

    if reviewer is not None and not is_plain(reviewer):
        raise UsageError("--reviewer is not one line of text", "Give a name.")
    with session.locked("labels review import") as workspace:
        done = [
            import_answers(workspace, file, now=session.now, reviewer=reviewer, actor=session.actor)
            for file in files or (LABELS.newest_answers(workspace),)
        ]
        told = {one.cohort: read_quality(workspace, one.cohort) for one in done}
    findings = [finding for one in done for finding in one.findings]
    answers = {name: sum(one.answers.get(name, 0) for one in done) for one in done for name in one.answers}
    unchanged, unanswered = sum(one.unchanged for one in done), sum(one.unanswered for one in done)
    document = {
        "answers": answers, "unchanged": unchanged, "unanswered": unanswered, "refused": len(findings),
        "expired": sum(one.expired for one in done), "quality": list(told.values()),
        "findings": [finding.as_dict() for finding in findings],
    }  # fmt: skip
    counts = f"{unchanged:,} known, {unanswered:,} unanswered, {len(findings):,} refused"
    lines = [
        f"{counted(sum(answers.values()), 'answer')} added; {counts}",
        *count_lines(answers),
        *finding_lines(findings, verbose=session.verbose),
        *(line for one in told.values() for line in _quality_lines(one)),
    ]
    session.show(document, lines)
    return exit_code(findings, fail_on)


@review.command("report")
@click.argument("cohort")
@common_options
def report_command(session: Session, *, cohort: str) -> None:
    """Show how often the labels of COHORT are wrong.

    By what reviewers said, of each value: how many were reviewed, and the share of wrong ones with its 95 % interval
    (Wilson). What fewer than ten were reviewed of is not told, and what labels should have been only where that gives no
    smaller count away.

    \b
    Example:
      pathcurate labels review report thoracic_tumour
    """
    from pathcurate.labels.quality import read_quality

    told = read_quality(session.workspace(), cohort)
    session.show(told, _quality_lines(told))


def _quality_lines(told: Mapping[str, Any]) -> Iterator[str]:
    if not told["classes"]:
        yield f"nothing can be told of the labels of {told['cohort']}: too few were reviewed as its recipe is now"
        return
    yield f"labels of {told['cohort']}, by what reviewers said:"
    yield f"{'reviewed':>9} {'wrong':>9} {'unsure':>9} {'error':>7}  {'95 % interval':<17} label"
    for one in told["classes"]:
        counts = " ".join(f"{one[name]:>9}" for name in ("reviewed", "wrong", "unsure"))
        error = "" if one["error"] is None else f"{one['error']:.1%}"
        interval = "" if one["error"] is None else f"{one['low']:.1%} to {one['high']:.1%}"
        yield f"{counts} {error:>7}  {interval:<17} {one['label']} {one['value']}"
        yield from (f"{'':>10}{count:>9}  of these should be {value}" for value, count in one["instead"].items())
