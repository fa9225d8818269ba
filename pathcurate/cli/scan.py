"""``pathcurate scan``."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.progress import phases
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

    from pathcurate.scan import ScanSummary


@click.command("scan")
@click.argument("archives", metavar="[ARCHIVE]...", nargs=-1)
@click.option("--site", "sites", multiple=True, metavar="CODE", help="Only this site; may be given again.")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read headers.  [default: one per core]")
@click.option(
    "--io-threads",
    type=click.IntRange(1, 512),
    default=1,
    show_default=True,
    help="Files that each process reads at once; 32 or more pay on network storage and object stores.",
)
@click.option(
    "--check",
    type=click.Choice(["header", "tiles", "digest"]),
    default="header",
    show_default=True,
    help="tiles: read tile tables whole and decode a sample of tiles; digest: also SHA-256 of all bytes.",
)
@click.option(
    "--tiles",
    "tiles_per_level",
    type=click.IntRange(1, 4096),
    default=4,
    show_default=True,
    help="Tiles of each level that --check tiles decodes.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which tiles are drawn; the same seed, the same tiles.")
@click.option("--labels", is_flag=True, help="Decode barcodes on label images where the header has none.")
@click.option("--ocr", is_flag=True, help="With --labels, also read printed text (needs pathcurate[ocr]).")
@click.option("--qc", is_flag=True, help="Look at thumbnails: tissue, blur, pen, darkness; write contact sheets.")
@click.option(
    "--relocate",
    "relocations",
    multiple=True,
    metavar="OLD=NEW",
    help="Slides of OLD lie in NEW now (ARCHIVE or ARCHIVE/FOLDER each); they keep their identity and are not read again.",
)
@click.option("--report", "with_report", is_flag=True, help="Write an overview of the archive (HTML and JSON) to reports/.")
@fail_on_option("never")
@common_options
def command(
    session: Session, *, archives: tuple[str, ...], workers: int | None, with_report: bool, fail_on: str, **more: Any
) -> int:
    """Scan the archive roots into the slides table.

    Reads headers only and decodes no pixel, unless --check, --labels or --qc ask for it. A file whose size and time
    have not changed is not opened again; every file is accounted for. DICOM instances are grouped: slide microscopy into
    slides, the rest into series. Killed at any moment, the same command goes on where it was.

    \b
    Example:
      pathcurate scan --workers 2
    """
    from pathcurate.findings import apply_waivers, read_origins, read_waivers
    from pathcurate.scan import ScanOptions, relocation, scan
    from pathcurate.tables import Catalog

    if more["ocr"] and not more["labels"]:
        raise click.UsageError("--ocr goes with --labels")
    options = ScanOptions(
        archives=archives, sites=more["sites"], io_threads=more["io_threads"], check=more["check"], seed=more["seed"],
        tiles_per_level=more["tiles_per_level"], labels=more["labels"], texts=more["ocr"], qc=more["qc"],
        relocations=[relocation(text) for text in more["relocations"]],
    )  # fmt: skip
    with (
        session.locked("scan") as workspace,
        session.engine(workspace, workers) as engine,
        phases("scan", "files", quiet=session.quiet) as advance,
    ):
        summary = scan(workspace, engine, options, now=lambda: session.now, progress=advance)
        catalog = Catalog(workspace.catalog)
        waivers = read_waivers(catalog)
        origins = read_origins(catalog, summary.findings) if waivers else {}
        active, waived = apply_waivers(summary.findings, waivers, origins, today=session.now.date())
        report = _write_report(session, workspace, summary, with_report=with_report)
    document = {
        **asdict(summary), "findings": [finding.as_dict() for finding in active], "waived": len(waived), "report": report,
    }  # fmt: skip
    lines = [*scan_lines(summary), *finding_lines(active, verbose=session.verbose)]
    if waived:
        lines.append(f"  {counted(len(waived), 'finding')} waived; see `pathcurate findings list --waived`")
    lines += [f"report: {path}" for path in report]
    session.show(document, lines)
    if not summary.found:
        session.say("No slide was found. `pathcurate doctor` says of each archive whether its root can be listed.")
    return exit_code(active, fail_on)


def _write_report(session: Session, workspace: Any, summary: "ScanSummary", *, with_report: bool) -> list[str]:
    from pathcurate.scan.overview import overview, write_overview

    if not with_report:
        return []
    codes = [site.code for site in workspace.sites]
    return [str(path) for path in write_overview(workspace, overview(workspace, codes, session.now))]


def scan_lines(summary: "ScanSummary") -> "Iterator[str]":
    """A scan for people, without its findings."""
    others = sum(summary.others.values())
    instances = f"{summary.instances:,} instances of {summary.series:,} series + " if summary.instances else ""
    yield (
        f"{summary.walked:,} files = {summary.found:,} slides + {summary.companions:,} companions + {instances}"
        f"{others:,} others; "
        f"{summary.read:,} read, {summary.unchanged:,} unchanged, {summary.moved:,} moved, {summary.gone:,} gone"
    )
    yield from count_lines(summary.statuses, are_values=True)
    if summary.others:
        yield "others: " + ", ".join(f"{name or 'no extension'} {count:,}" for name, count in summary.others.items())
    if summary.skipped:
        yield "not read: " + ", ".join(f"{kind.replace('_', ' ')} {count:,}" for kind, count in summary.skipped.items())
    if summary.looked:
        yield "looked at: " + ", ".join(f"{name} {count:,}" for name, count in summary.looked.items())
    for archive, reason in summary.postponed.items():
        yield f"archive {archive} was not read to its end: {reason}; what is known of it counts as unchanged."
        yield "  Run the same command again for the rest."
    yield from (f"contact sheet: {path}" for path in summary.sheets)
