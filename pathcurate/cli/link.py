"""``pathcurate link``."""

from dataclasses import asdict

import click

from pathcurate.cli.session import Session, common_options, count_lines, exit_code, fail_on_option, finding_lines


@click.command("link")
@fail_on_option("never")
@common_options
def command(session: Session, *, fail_on: str) -> int:
    """Link slides to reports by accession number.

    Only within a site, and with the evidence for each link.

    \b
    Example:
      pathcurate link
    """
    from pathcurate.link import link

    with session.locked("link") as workspace:
        summary = link(workspace)
    document = {**asdict(summary), "findings": [finding.as_dict() for finding in summary.findings]}
    cases = f"{summary.cases:,} cases, {summary.cases_without_slides:,} of them without a slide"
    lines = [
        f"{summary.slides:,} slides; {cases}; {summary.persons:,} persons",
        *count_lines({tier: count for tier, count in summary.tiers.items() if count}),
        *finding_lines(summary.findings, verbose=session.verbose),
    ]
    session.show(document, lines)
    return exit_code(summary.findings, fail_on)
