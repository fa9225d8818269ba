"""``pathcurate findings``."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import click

from pathcurate.cli.language import said, word
from pathcurate.cli.purpose import purpose_option
from pathcurate.cli.session import Session, common_options, counted
from pathcurate.terminaltext import padded

if TYPE_CHECKING:
    from pathcurate.findings import FindingGroup, FindingsOverview, IdentifiedFinding, Selection, WaiverState
    from pathcurate.workspace import Workspace

_DIMENSIONS = ("rule", "site", "scanner", "format", "archive", "severity")
_MOST_GROUPS = 20
_MOST_NAMED = 3


@click.group("findings")
def command() -> None:
    """Show what went wrong, grouped, and waive what stays."""


@command.command("list")
@click.option(
    "--by",
    default="rule",
    metavar="NAMES",
    show_default=True,
    help=f"Group by these, with commas between: {', '.join(_DIMENSIONS)}; always by rule.",
)
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="Only this rule; may be given again.")
@click.option("--site", "sites", multiple=True, metavar="CODE", help="Only this site; may be given again.")
@click.option(
    "--stage",
    "stages",
    multiple=True,
    metavar="STAGE",
    help="Only what this stage found (scan, reports, link …); may be given again.",
)
@click.option(
    "--severity",
    type=click.Choice(["info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Only findings of at least this severity.",
)
@click.option("--waived", is_flag=True, help="Show the waivers, and what they cover.")
@click.option("--identified", is_flag=True, help="Show each finding with the path of its file (audited).")
@click.option("--to-review", is_flag=True, help="With --identified: write a file below catalog/review/.")
@purpose_option
@common_options
def list_command(  # one argument for each option
    session: Session,
    *,
    by: str,
    rules: tuple[str, ...],
    sites: tuple[str, ...],
    stages: tuple[str, ...],
    severity: str,
    waived: bool,
    identified: bool,
    to_review: bool,
    purpose: str | None,
) -> None:
    """Group the findings by what a person can do about them.

    Those of all stages are shown. Each group says how many findings it has, at which sites and scanners, one example, and
    what to do next. Findings that somebody has waived are counted apart. What --identified shows names files, and files can
    be named after patients: it goes to a terminal or below catalog/review/ only, and the audit trail notes that you looked.

    \b
    Example:
      pathcurate findings list --by rule,site
    """
    from pathcurate.findings import Selection, group_findings
    from pathcurate.model.finding import Severity
    from pathcurate.tables import Catalog

    dimensions = _dimensions(by)
    workspace = session.workspace()
    selection = Selection(rules, tuple(workspace.site(code).code for code in sites), stages, Severity(severity))
    today = session.now.date()
    if identified or to_review:
        _show_identified(session, workspace, selection, today, to_review=to_review, purpose=purpose)
        return
    found = group_findings(Catalog(workspace.catalog), selection, today=today, by=dimensions)
    document = {
        "findings": found.findings,
        "groups": [asdict(group) for group in found.active],
        "waived": [asdict(group) for group in found.waived],
        "waivers": [_waiver_document(state) for state in found.waivers],
    }
    lines = _waived_lines(found, today) if waived else _lines(found, today, verbose=session.verbose)
    session.show(document, (_printable(line) for line in lines))


@command.command("waive")
@click.option(
    "--by",
    "parts",
    multiple=True,
    metavar="NAME=VALUE",
    help=f"What the findings have in common, with commas between: {', '.join(_DIMENSIONS)}; rule must be there.",
)
@click.option("--reason", help="Why they will not be mended.")
@click.option("--owner", help="Who answers for that.")
@click.option("--until", metavar="DATE", help="Last day on which the waiver applies, as 2027-06-30 or 90d; at most a year.")
@click.option("--withdraw", metavar="ID", help="Withdraw this waiver instead, as W1.")
@common_options
def waive_command(
    session: Session,
    *,
    parts: tuple[str, ...],
    reason: str | None,
    owner: str | None,
    until: str | None,
    withdraw: str | None,
) -> None:
    """Waive findings that will not be mended, until a day.

    A waiver needs a reason, an owner and an end. Waived findings stay on record and are listed as waived; they no longer
    count for `--fail-on`. When the waiver ends they count again. The audit trail notes that it was entered or withdrawn.

    \b
    Example:
      pathcurate findings waive --by rule=link.no_number --reason "control slides" --owner "Li Wei" --until 90d
    """
    from pathcurate import __version__
    from pathcurate.errors import UsageError
    from pathcurate.findings import add_waiver, waiver_facts, withdraw_waiver
    from pathcurate.tables import Catalog
    from pathcurate.vault import append_event

    given = (parts, reason, owner, until)
    if withdraw is not None and any(given):
        raise UsageError("--withdraw goes without the other options", "It ends a waiver; enter another one for other terms.")
    if withdraw is None and not all(given):
        raise UsageError(
            "a waiver needs --by, --reason, --owner and --until", "Only with an owner and an end is it a waiver."
        )
    today = session.now.date()
    with session.locked("findings waive") as workspace:
        catalog = Catalog(workspace.catalog)
        if withdraw is not None:
            state = withdraw_waiver(catalog, withdraw, actor=session.actor, today=today)
        else:
            state = add_waiver(
                catalog, _by(parts), reason=reason or "", owner=owner or "", until=_until(until or "", today),
                actor=session.actor, today=today,
            )  # fmt: skip
        facts = waiver_facts(state)
        action = "findings waive" if withdraw is None else "findings waive --withdraw"
        append_event(workspace.vault, session.actor, action, {**facts, "version": __version__})
    ending = _ending(state, today) if withdraw is None else "withdrawn"
    does = "covers" if withdraw is None else "no longer covers"
    session.show(
        _waiver_document(state),
        [_printable(f"{state.waiver.waiver_id} {does} {counted(state.findings, 'finding')} of {_common(state)}; {ending}")],
    )


# --- What was asked for --------------------------------------------------------------------------------------------


def _dimensions(text: str) -> tuple[str, ...]:
    from pathcurate.errors import UsageError
    from pathcurate.yamlsource import did_you_mean

    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in _DIMENSIONS:
            raise UsageError(
                f"findings cannot be grouped by `{name}`{did_you_mean(name, _DIMENSIONS)}",
                f"Give {', '.join(_DIMENSIONS)}, with commas between them.",
            )
    return names


def _by(parts: Sequence[str]) -> dict[str, str]:
    """Dimension to value; a value may hold commas, as the names of scanners do."""
    from pathcurate.errors import UsageError

    values: dict[str, str] = {}
    for part in re.split(r",(?=\s*\w+=)", ",".join(parts)):
        name, equals, value = (item.strip() for item in part.partition("="))
        if not (name and equals and value) or name in values:
            raise UsageError("--by wants each dimension once, with a value", "As in --by rule=scan.truncated,site=NB01.")
        values[name] = value
    return values


def _until(text: str, today: date) -> date:
    from pathcurate.errors import UsageError

    days = re.fullmatch(r"(\d{1,3})d", text, re.ASCII)
    try:
        return today + timedelta(days=int(days[1])) if days else date.fromisoformat(text)
    except ValueError:
        raise UsageError("--until is no date", "Give it as 2027-06-30, or as a number of days, as 90d.") from None


# --- What is shown -------------------------------------------------------------------------------------------------


def _printable(text: str) -> str:
    """The text without characters that would steer a terminal: a scanner's name or a file's may hold any."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)


def _lines(found: "FindingsOverview", today: date, *, verbose: bool) -> Iterator[str]:
    if not found.findings:
        yield "no findings"
    else:
        covered = sum(group.findings for group in found.waived)
        apart = f"; {covered:,} of them waived (--waived shows them)" if covered else ""
        yield f"{counted(found.findings, 'finding')} in {counted(len(found.active) + len(found.waived), 'group')}{apart}"
    most = len(found.active) if verbose else _MOST_GROUPS
    for group in found.active[:most]:
        yield from _group_lines(group)
    if len(found.active) > most:
        yield f"… {len(found.active) - most} more groups; -v shows every group"
    for state in found.waivers:
        if state.state == "expired" and state.findings:
            yield f"{state.waiver.waiver_id} has {_ended(state, today)}: {counted(state.findings, 'finding')} count again"


def _group_lines(group: "FindingGroup") -> Iterator[str]:
    further = ", ".join(f"{name} {value or 'unknown'}" for name, value in group.by.items() if name != "rule")
    yield f"{padded(word(group.severity), 8)}{group.by['rule']:<32}{group.findings:>9,}{f'  {further}' if further else ''}"
    where = [] if "site" in group.by else [_few(group.sites)]
    where += [] if "scanner" in group.by else [_few(group.scanners)]
    if any(where):
        yield f"        {padded(word('at'), 6)}{' · '.join(item for item in where if item)}"
    yield f"        {padded(word('e.g.'), 6)}{said(group.example)}"
    yield f"        {padded(word('next'), 6)}{said(group.advice)}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _waived_lines(found: "FindingsOverview", today: date) -> Iterator[str]:
    if not found.waivers:
        yield "no waivers"
    for state in found.waivers:
        waiver = state.waiver
        yield f"{waiver.waiver_id:<5}{state.state:<11}{state.findings:>9,}  {_common(state)}"
        yield f"        {_ending(state, today)}, entered by {waiver.made_by}"
        yield f"        owner   {waiver.owner}"
        yield f"        reason  {waiver.reason}"
    for group in found.waived:
        yield f"{group.waiver_id} covers"
        yield from _group_lines(group)


def _common(state: "WaiverState") -> str:
    """What the findings of a waiver agree in."""
    return ", ".join(value if name == "rule" else f"{name} {value}" for name, value in state.waiver.by.items())


def _ending(state: "WaiverState", today: date) -> str:
    left = (state.waiver.until - today).days
    return f"{counted(left, 'day')} left" if left >= 0 else _ended(state, today)


def _ended(state: "WaiverState", today: date) -> str:
    return f"expired {counted((today - state.waiver.until).days, 'day')} ago"


def _waiver_document(state: "WaiverState") -> dict[str, Any]:
    from pathcurate.findings import waiver_facts

    return waiver_facts(state)


# --- What identifies patients ----------------------------------------------------------------------------------------


def _show_identified(
    session: Session, workspace: "Workspace", selection: "Selection", today: date, *, to_review: bool, purpose: str | None
) -> None:
    """Each finding with its file, to a terminal or a review page, and into the audit trail."""
    from pathcurate import __version__
    from pathcurate.errors import DisclosureRefusedError
    from pathcurate.find import write_review
    from pathcurate.findings import identify_findings
    from pathcurate.tables import Catalog
    from pathcurate.vault import append_event

    if not to_review and not sys.stdout.isatty():
        raise DisclosureRefusedError(
            "what `findings list --identified` shows can name patients, and standard output is not a terminal",
            "Give --to-review to write it to a file below catalog/review/.",
        )
    findings = list(identify_findings(Catalog(workspace.catalog), selection, today=today))
    facts: dict[str, str | int] = {"findings": len(findings), "version": __version__}
    append_event(workspace.vault, session.actor, "findings list --identified", facts, purpose=purpose)
    if not to_review:
        session.show({"findings": [asdict(finding) for finding in findings]}, _identified_lines(findings))
        return
    content = "".join(f"{line}\n" for line in _identified_lines(findings))
    path = write_review(workspace, content, ".txt")
    session.show({"review": str(path), "findings": len(findings)}, [str(path)])


def _identified_lines(findings: "Iterable[IdentifiedFinding]") -> Iterator[str]:
    for finding in findings:
        where = f"{finding.archive}: {finding.path}" if finding.path is not None else ""
        waived = f"waived by {finding.waiver_id}" if finding.waiver_id else ""
        parts = (f"{finding.severity:<8}{finding.rule}", finding.site, where, waived, finding.message)
        yield _printable("  ".join(part for part in parts if part))
