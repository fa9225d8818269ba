"""``pathcurate scan``."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, common_options, count_lines, exit_code, fail_on_option, finding_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pathcurate.scan import ScanSummary


@click.command("scan")
@click.option("--site", "sites", multiple=True, metavar="CODE", help="Only this site; may be given again.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read headers.  [default: one per core]")
@fail_on_option("never")
@common_options
def command(session: Session, *, sites: tuple[str, ...], workers: int | None, fail_on: str) -> int:
    """Scan the archive roots into the slides table.

    Reads headers only and decodes no pixel. A file whose size and time have not changed is not opened again;
    every file is accounted for. DICOM instances are grouped: slide microscopy into slides, the rest into series.

    \b
    Example:
      pathcurate scan --workers 2
    """
    from pathcurate.scan import scan

    with (
        session.locked("scan") as workspace,
        session.engine(workspace, workers) as engine,
        progress("scan", "files", quiet=session.quiet) as advance,
    ):
        summary = scan(workspace, engine, sites=sites, progress=advance)
    document = {**asdict(summary), "findings": [finding.as_dict() for finding in summary.findings]}
    session.show(document, scan_lines(summary, verbose=session.verbose))
    return exit_code(summary.findings, fail_on)


def scan_lines(summary: "ScanSummary", *, verbose: bool) -> "Iterator[str]":
    """A scan for people."""
    others = sum(summary.others.values())
    instances = f"{summary.instances:,} instances of {summary.series:,} series + " if summary.instances else ""
    yield (
        f"{summary.walked:,} files = {summary.found:,} slides + {summary.companions:,} companions + {instances}"
        f"{others:,} others; "
        f"{summary.read:,} read, {summary.unchanged:,} unchanged, {summary.moved:,} moved, {summary.gone:,} gone"
    )
    yield from count_lines(summary.statuses)
    if summary.others:
        yield "others: " + ", ".join(f"{name or 'no extension'} {count:,}" for name, count in summary.others.items())
    if summary.skipped:
        yield "not read: " + ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in summary.skipped.items())
    yield from finding_lines(summary.findings, verbose=verbose)
