"""``pathcurate audit``."""

import calendar
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

import click

from pathcurate.cli.session import Session, common_options, counted

if TYPE_CHECKING:
    from pathcurate.trail import Activity, AuditReport


@click.group("audit")
def command() -> None:
    """Say who did what with the archive's data."""


@command.command("report")
@click.option("--month", metavar="YYYY-MM", help="Only this month.")
@click.option("--from", "first", metavar="DATE", help="Only from this day on.")
@click.option("--to", "last", metavar="DATE", help="Only up to this day.")
@click.option("--actor", metavar="USER", help="Only what this user of the system did.")
@click.option("--action", metavar="COMMAND", help="Only this command, as `find` or `link review`.")
@click.option("--identified", is_flag=True, help="Only commands that show or use identified data.")
@common_options
def report_command(
    session: Session,
    *,
    month: str | None,
    first: str | None,
    last: str | None,
    actor: str | None,
    action: str | None,
    identified: bool,
) -> None:
    """Sum up the audit trail by person and command.

    It answers who looked at identified data in March: how often, at how much, what for, first and last. It also checks that
    the trail's chain is whole, and exits with 4 if a line was changed, moved or taken away. Days are those of this machine's
    zone.

    \b
    Example:
      pathcurate audit report --identified
    """
    from pathcurate.errors import DigestMismatchError, UsageError
    from pathcurate.trail import Period, sum_up

    if month and (first or last):
        raise UsageError("--month goes without --from and --to", "Give one or the other.")
    start, end = _month(month) if month else (_day("--from", first), _day("--to", last))
    period = Period(first=start, last=end)
    summed = sum_up(session.workspace().vault, period, actor=actor, action=action, only_identified=identified)
    document = {
        "from": start, "to": end, "events": summed.events, "broken_line": summed.broken_line,
        "activities": [
            {**asdict(activity), "first": activity.first.isoformat(), "last": activity.last.isoformat()}
            for activity in summed.activities
        ],
    }  # fmt: skip
    session.show(document, _lines(summed))
    if summed.broken_line is not None:
        raise DigestMismatchError(
            f"line {summed.broken_line} of vault/audit.jsonl does not continue the chain",
            "Somebody changed the trail, or cut it off. Compare it with a copy.",
        )


def _month(text: str) -> tuple[date, date]:
    from pathcurate.errors import UsageError

    match = re.fullmatch(r"(\d{4})-(\d{2})", text, re.ASCII)
    try:
        first = date(int(match[1]), int(match[2]), 1) if match else None
    except ValueError:
        first = None
    if first is None:
        raise UsageError("--month is no month", "Give it as 2026-03.")
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _day(option: str, text: str | None) -> date | None:
    from pathcurate.errors import UsageError

    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        raise UsageError(f"{option} is no date", "Give it as 2026-03-31.") from None


def _lines(summed: "AuditReport") -> Iterator[str]:
    if not summed.activities:
        yield "nothing was done"
    for activity in summed.activities:
        yield from map(_printable, _activity_lines(activity))
    if summed.broken_line is None:
        yield f"{counted(summed.events, 'event')}; the chain of the whole trail is unbroken"


def _activity_lines(activity: "Activity") -> Iterator[str]:
    mark = f"  IDENTIFIED: {activity.identified}" if activity.identified else ""
    yield f"{activity.actor}  {activity.action}  {counted(activity.events, 'time')}{mark}"
    yield f"  from {activity.first:%Y-%m-%d %H:%M} to {activity.last:%Y-%m-%d %H:%M}"
    if activity.counts:
        yield f"  {', '.join(f'{count:,} {name}' for name, count in activity.counts.items())}"
    yield from (f"  for {purpose}" for purpose in activity.purposes)
    yield from (f"  {people}" for people in activity.people)
    if activity.identified and activity.without_purpose:
        yield f"  {counted(activity.without_purpose, 'time')} without a purpose"


def _printable(text: str) -> str:
    """The text without characters that would steer a terminal."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
