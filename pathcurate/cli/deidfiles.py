"""``pathcurate deid files``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from pathcurate.copies.choosing import Selection
    from pathcurate.copies.scrubbing import FilesSummary

_MOST_BYTES = 64_000_000


@click.command("files")
@click.option("--cohort", metavar="NAME", help="Slides of a cohort's rows, in the workspace's own codes.")
@click.option("--release", metavar="NAME@VERSION", help="Slides of a release's rows, in the codes of its product.")
@click.option("--from", "listed", metavar="LIST", help="File of codes or identifiers, one a line; `-` for input.")
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="DIR", help="Directory for the copies.")
@click.option("--plan", "is_plan", is_flag=True, help="Say what would be done to which places; nothing is written.")
@click.option("--relabel", is_flag=True, help="Put a label with the code and its QR symbol in the label's place.")
@click.option("--convert", is_flag=True, help="Write KFB slides as pyramidal TIFF with the same tiles.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; else one for each core.")
@purpose_option
@common_options
def command(
    session: Session,
    *,
    cohort: str | None,
    release: str | None,
    listed: str | None,
    target: Path | None,
    is_plan: bool,
    relabel: bool,
    convert: bool,
    workers: int | None,
    purpose: str | None,
) -> int:
    """Copy slide and DICOM files without identifiers, proven.

    The archive is only read. Each copy is opened again with other readers, its pixels are compared bit for bit, and every
    byte of it is searched for what identified the slide, before it stands in its place. A slide that holds something no
    rule knows is put aside; what that is, is summed up below catalog/review/. A run that was interrupted goes on. The
    directory gets `deid-files.parquet` and `receipt.json`, which hold no identifier.

    \b
    Example:
      pathcurate deid files --cohort demo_he_2023 --to copies
    """
    from pathcurate.cli.progress import progress
    from pathcurate.copies.scrubbing import FilesRequest, scrub
    from pathcurate.errors import UsageError

    if sum(one is not None for one in (cohort, release, listed)) != 1:
        raise UsageError("it is not said which slides", "Give one of --cohort NAME, --release NAME@VERSION, --from LIST.")
    if is_plan == (target is not None):
        raise UsageError("it is not said what to do", "Give --to DIR for the copies, or --plan to see what would be done.")
    with (
        session.locked("deid files") as workspace,
        session.local_engine(workspace, workers) as engine,
        progress("files", "slides", quiet=session.quiet) as advance,
    ):
        selection = _selection(session, cohort, release, listed)
        request = FilesRequest(selection, target, relabel=relabel, convert=convert)
        summary = scrub(workspace, request, engine=engine, actor=session.actor, purpose=purpose, progress=advance)
    return _show(session, summary)


def _selection(session: Session, cohort: str | None, release: str | None, listed: str | None) -> "Selection":
    from pathcurate.copies.choosing import Selection
    from pathcurate.releases import find_release, verify_release

    if release is not None:
        return Selection(release=verify_release(find_release(session.workspace().releases, release, Path.cwd())))
    return Selection(cohort=cohort) if cohort is not None else Selection(codes=_lines(str(listed)))


def _lines(listed: str) -> tuple[str, ...]:
    from pathcurate.errors import UsageError

    try:
        with click.open_file(listed, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"the list cannot be read ({type(error).__name__})", "Name a file, or - for input.") from None
    if len(data) > _MOST_BYTES:
        raise UsageError("the list is longer than 64 MB", "Give it in parts; copies that are done stay.")
    lines = [line.strip() for line in data.decode("utf-8-sig", "replace").splitlines()]
    if not any(lines):
        raise UsageError("the list is empty", "Give codes (S-…, I-…) or identifiers of the catalog, one on each line.")
    return tuple(lines)


def _show(session: Session, summary: "FilesSummary") -> int:
    """Show what was done; the exit code: 1 if anything has no copy, or a file no proof."""
    standings = summary.standings
    is_plan = summary.receipt is None
    deeds = [
        line
        for format_, counts in summary.deeds.items()
        for line in (
            f"{format_}: {counted(summary.formats[format_], 'slide')}",
            *count_lines({what.replace(f"{format_}, ", "", 1).replace(", ", " "): count for what, count in counts.items()}),
        )
    ]
    missing = {name: count for name, count in standings.items() if name != "done"}
    lines = [
        *(deeds if is_plan or session.verbose else ()),
        f"{standings.get('done', 0):,} of {sum(standings.values()):,} {'can be done' if is_plan else 'done'}"
        + (f", {summary.kept:,} of them before" if summary.kept else "")
        + f"; codes: {summary.layer}",
        *(f"  {count:,} {name}" for name, count in missing.items()),
        *(f"    {count:,}: {reason}" for reason, count in summary.reasons.items()),
        *(f"  unknown names in {place}: {counted(count, 'slide')}" for place, count in summary.unknown.items()),
        *([f"  {counted(summary.left_out, 'file')} of shapes left out"] if summary.left_out else []),
        *([] if summary.review is None else [f"  all unknown names, with rules to choose from: {summary.review}"]),
        *([f"  {counted(summary.strays, 'file')} among the copies that nobody vouches for"] if summary.strays else []),
        *([] if is_plan else [f"{summary.bytes_written / 1e6:,.1f} MB; {summary.receipt}"]),
    ]
    session.show(_document(summary), lines)
    return 1 if missing or summary.strays else 0


def _document(summary: "FilesSummary") -> dict[str, object]:
    from dataclasses import asdict

    return asdict(summary)
