"""``pathcurate link patterns``."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.link.patterns import PatternReport, SourceShapes


@click.command("patterns")
@click.option("--site", "code", required=True, metavar="CODE", help="The site.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="Shapes to show of each source.")
@common_options
def patterns_command(session: Session, *, code: str, limit: int) -> None:
    """Show the shapes of a site's numbers, and propose patterns.

    Of barcodes, labels, names and the laboratory's numbers only the shapes are shown: 9 is a digit, A a letter, 汉 a Chinese
    character; <S> are letters that nearly all of at least 20 values share.

    \b
    Example:
      pathcurate link patterns --site NB01
    """
    from pathcurate.link.patterns import look_at_patterns
    from pathcurate.tables import Catalog

    workspace = session.workspace()
    site = workspace.site(code)
    with session.local_engine(workspace) as engine:
        report = look_at_patterns(engine, Catalog(workspace.catalog), code, site.accession.patterns, limit)
    # Each import keeps the laboratory's numbers as the patterns read them at the time.
    imports = ["reports", *(["materials"] if site.materials else []), *(["index"] if site.index else [])]
    session.show(asdict(report), _lines(report, [*(f"{name} import" for name in imports), "link"]))


def _lines(report: "PatternReport", afterwards: Sequence[str]) -> Iterator[str]:
    from pathcurate.link.patterns import SAMPLE
    from pathcurate.text.shapes import LEGEND

    yield f"{report.site}: the reports have {report.numbers:,} accession numbers"
    yield f"Shapes: {LEGEND}."
    yield f"Today's patterns read, and find in the reports, these shares of up to {SAMPLE} values of each shape."
    for source in report.sources:
        yield from _source_lines(source)
    yield ""
    today = f"{report.found_today:.1%}"
    yield f"Today's patterns find a number of the reports in {today} of these texts, each counted for its slides."
    yield "A slide has several of them, and one is enough; `pathcurate link` says how many slides have a case."
    if not report.patterns:
        yield "No pattern was found that would read more."
        return
    yield f"These would find one in {report.found_then:.1%}, and lose {report.lost:.1%} that are found today."
    if report.drops_prefix:
        yield "They leave the prefix out, since the slides have none; no two numbers of the reports become one by that."
    for proposal in report.proposals:
        where = ", ".join(proposal.shapes[:3]) + (" …" if len(proposal.shapes) > 3 else "")
        if proposal.gained is None or proposal.chance is None:
            yield f"  for the laboratory's own numbers: {where}"
            continue
        yield f"  +{proposal.gained:.1%} by {where}"
        if proposal.chance >= 0.5:
            yield f"    Check it against labels: of wrong numbers of this form the reports have {proposal.chance:.0%} too."
    if any("(?P<slide>" in pattern for pattern in report.patterns):
        yield "What stands behind the number is taken for the glass's; if it is the block's, write `block` for `slide` in"
        yield "the pattern of that shape, and take its other `block` out."
    commands = [f"`pathcurate {command}`" for command in afterwards]
    yield f"Put this below the site in pathcurate.yaml, and run {', '.join(commands[:-1])} and {commands[-1]} again:"
    yield "    accession:"
    yield "      patterns:"
    for pattern in report.patterns:
        quoted = pattern.replace("'", "''")
        yield f"        - '{quoted}'"


def _source_lines(source: "SourceShapes") -> Iterator[str]:
    if not source.shapes and not source.other_values:
        return
    unit = "reports" if source.source == "lis" else "slides"
    yield ""
    yield f"{source.source:<40}{'values':>11}{unit:>11}{'read':>7}{'found':>7}"
    for shape in source.shapes:
        found = "" if shape.found is None else f"{shape.found:.0%}"
        yield f"  {shape.shape:<38}{shape.values:>11,}{shape.slides:>11,}{shape.read:>7.0%}{found:>7}"
    if source.other_shapes:
        name = f"{counted(source.other_shapes, 'other shape')}, rare or over --limit"
        yield f"  {name:<38}{source.other_values:>11,}{source.other_slides:>11,}"
