"""``pathcurate link``."""

from dataclasses import asdict

import click

from pathcurate.cli.linkpatterns import patterns_command
from pathcurate.cli.linkreport import command as report_command
from pathcurate.cli.linkreview import command as review_command
from pathcurate.cli.session import (
    Session,
    common_options,
    count_lines,
    counted,
    exit_code,
    fail_on_option,
    finding_lines,
)


@click.group("link", invoke_without_command=True)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes and threads.  [default: one per core]")
@fail_on_option("never")
@common_options
def command(session: Session, *, workers: int | None, fail_on: str) -> int:
    """Link slides and series to cases, with evidence.

    Only within a site. Numbers are read in barcodes, labels, headers, names and the tables of other systems; what somebody
    decided in a review wins. Without a command, it links; the commands show and check what was linked.

    \b
    Example:
      pathcurate link
    """
    if click.get_current_context().invoked_subcommand is not None:
        return 0
    from pathcurate.link import link

    with session.locked("link") as workspace, session.local_engine(workspace, workers) as engine:
        summary = link(workspace, engine, now=session.now)
    document = {**asdict(summary), "findings": [finding.as_dict() for finding in summary.findings]}
    cases = f"{summary.cases:,} cases, {summary.cases_without_slides:,} of them without a slide"
    series = (
        f"{counted(summary.series, 'series', 'series')}: {summary.series_linked:,} linked to a case, "
        f"{summary.series_of_persons:,} to a person only"
    )
    lines = [
        f"{summary.slides:,} slides; {cases}; {summary.persons:,} persons",
        *count_lines({tier: count for tier, count in summary.tiers.items() if count}, are_values=True),
        *([series] if summary.series else []),
        *finding_lines(summary.findings, verbose=session.verbose),
    ]
    session.show(document, lines)
    if not summary.slides and not summary.cases:
        session.say("There is nothing to link yet. Run `pathcurate scan` and `pathcurate reports import` first.")
    return exit_code(summary.findings, fail_on)


for subcommand in (patterns_command, report_command, review_command):
    command.add_command(subcommand)
