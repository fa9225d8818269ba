"""``pathcurate link report``."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, count_lines, counted

if TYPE_CHECKING:
    from pathcurate.model.linkquality import LinkQuality, Precision, Share


@click.command("report")
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path),
    help="Write the page to this file.  [default: below catalog/; with --json, none]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Let --html replace a file.")
@common_options
def command(session: Session, *, html: Path | None, force: bool) -> None:
    """Say how good the links are.

    Link rates by site, year, scanner, format and source; evidence for and against; conflicts, cases without slides and
    slides without cases; precision of each tier by reviewed samples; drift since earlier runs; which glass is scanned. It
    holds counts only, but hides no small one: it is for those who may see the catalog.

    \b
    Example:
      pathcurate link report
    """
    from pathcurate.errors import UsageError
    from pathcurate.link.quality import as_document, link_quality, write_page

    if html is not None and html.exists() and not force:
        raise UsageError(f"{html} is there already", "Name another file, or give --force to replace it.")
    workspace = session.workspace()
    with session.local_engine(workspace) as engine:
        found = link_quality(workspace, engine, session.now)
    lines = list(_lines(found))
    if html is not None or not session.as_json:
        lines.append(f"page: {write_page(workspace, found, html.absolute() if html is not None else None)}")
    session.show(as_document(found), lines)


def _lines(found: "LinkQuality") -> Iterator[str]:
    cases = f"{_percent(found.cases)} of {counted(found.cases.whole, 'case')} have a slide"
    yield f"{counted(found.slides.whole, 'slide')}, {_percent(found.slides)} linked; {cases}"
    precise = {item.tier: _precision(item) for item in found.precision if item.site is None}
    yield from count_lines(
        {tier: f"{count:>9,}  {precise.get(tier, '')}".rstrip() for tier, count in found.tiers.items() if count}
    )
    for site in found.sites:
        if site.slides.whole:
            yield f"{site.site}: {counted(site.slides.whole, 'slide')}, {_percent(site.slides)} linked"
    for item in found.drift:
        if item.has_fallen:
            yield f"  {item.site} has fallen to {_percent(item.now)}; the page shows the earlier runs"


def _precision(item: "Precision") -> str:
    if item.precision is None or item.low is None or item.high is None:
        return "not reviewed"
    judged = item.right + item.wrong
    interval = f"{100 * item.low:.1f} to {100 * item.high:.1f} %"
    return f"{_as_on_page(item.right, judged)} right ({interval}) of {judged:,} reviewed"


def _percent(item: "Share") -> str:
    return "none" if item.share is None else _as_on_page(item.part, item.whole)


def _as_on_page(part: int, whole: int) -> str:
    from pathcurate.htmlreport.template import share

    return share(part, whole).replace("\u202f", " ")
