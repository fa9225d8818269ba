"""Stage: who did what by the vault's audit trail, and who looked at identified data."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from pathlib import Path

from pathcurate.model.audit import IDENTIFIED
from pathcurate.vault import Event, broken_event, read_events

_PEOPLE = ("requested_by", "approved_by", "analyst", "names", "name", "role", "product")
_SHOWN_PURPOSES = 20
_NO_COUNTS = {"days", "people", "shares", "threshold"}
"""Numbers in events that do not add up."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both inclusive, of one time zone, or of this machine's if that is None; an open end is None."""

    zone: tzinfo | None = None
    first: date | None = None
    last: date | None = None

    def holds(self, at: datetime) -> bool:
        """Whether a moment falls on one of the days."""
        day = at.astimezone(self.zone).date()
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True)
class Activity:
    """What one person did with one command.

    Attributes:
        actor: operating system user.
        action: the command.
        identified: the identified data that the command shows or uses; empty if none.
        events: how often.
        counts: sums of the events' counts, by name.
        purposes: the different purposes given, first ones first, at most 20.
        without_purpose: how often none was given.
        people: who asked, approved, came or went, as the events name them; first ones first, at most 20.
        first: first time, in the period's zone.
        last: last time.
    """

    actor: str
    action: str
    identified: str
    events: int
    counts: dict[str, int]
    purposes: tuple[str, ...]
    without_purpose: int
    people: tuple[str, ...]
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The audit trail, summed up.

    Attributes:
        activities: by person and command.
        events: how many events of the trail were summed up.
        broken_line: number of the first line that does not continue the chain; None if it is whole.
    """

    activities: tuple[Activity, ...]
    events: int
    broken_line: int | None


def sum_up(
    vault: Path, period: Period, *, actor: str | None = None, action: str | None = None, only_identified: bool = False
) -> AuditReport:
    """Sum up the audit trail by person and command.

    Args:
        vault: the vault's directory, which may be missing.
        period: the days.
        actor: only this person's; None for everybody's.
        action: only this command, or group of commands; None for all.
        only_identified: only commands that show or use identified data.

    Raises:
        OSError: the trail cannot be read.
    """
    groups: dict[tuple[str, str], list[Event]] = {}
    for event in read_events(vault):
        if (
            period.holds(event.at)
            and actor in {None, event.actor}
            and (action is None or f"{event.action} ".startswith(f"{action} "))
            and (event.action in IDENTIFIED or not only_identified)
        ):
            groups.setdefault((event.actor, event.action), []).append(event)
    activities = tuple(_activity(events, period.zone) for _, events in sorted(groups.items()))
    return AuditReport(activities, sum(map(len, groups.values())), broken_event(vault))


def _activity(events: list[Event], zone: tzinfo | None) -> Activity:
    first = events[0]
    times = [event.at.astimezone(zone) for event in events]
    given = [event.purpose for event in events if event.purpose]
    purposes = tuple(dict.fromkeys(given))[:_SHOWN_PURPOSES]
    return Activity(
        first.actor, first.action, IDENTIFIED.get(first.action, ""), len(events), _sums(events), purposes,
        len(events) - len(given), tuple(dict.fromkeys(filter(None, map(_people, events))))[:_SHOWN_PURPOSES],
        min(times), max(times),
    )  # fmt: skip


def _people(event: Event) -> str:
    """Whom an event names: ``requested_by Li, approved_by Zhang``."""
    named = [f"{name} {event.facts[name]}" for name in _PEOPLE if name in event.facts]
    return ", ".join(named)


def _sums(events: Iterable[Event]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for event in events:
        for name, value in event.facts.items():
            if isinstance(value, int) and name not in _NO_COUNTS:
                sums[name] = sums.get(name, 0) + value
    return sums
