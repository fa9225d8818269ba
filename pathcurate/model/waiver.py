"""A waiver: somebody answers, for a reason and until a day, for findings that will not be mended (the ``waivers`` table).

A waived finding stays in the table of findings and is listed as waived; it only no longer counts against ``--fail-on``.
"""

from dataclasses import dataclass
from datetime import date, datetime

from pathcurate.model.column import Action, Column, Identifying, Table, Type

DIMENSIONS = ("rule", "site", "scanner", "format", "archive", "severity")
"""By what findings are grouped and waived. Scanner, format and archive are those of the slide that a finding is about."""

_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Waiver:
    """A waiver of findings.

    Attributes:
        waiver_id: ``W1`` for the first of a catalog.
        rule: the rule whose findings it covers.
        site: only findings of this site.
        scanner: only findings about slides of this scanner model.
        format: only findings about slides of this format.
        archive: only findings about slides below this archive root.
        severity: only findings of this severity.
        reason: why they will not be mended.
        owner: who answers for that.
        until: the last day on which it applies.
        made_by: operating system user who entered it.
        made_at: when, UTC.
        withdrawn_by: operating system user who withdrew it, None while it stands.
        withdrawn_at: when, UTC.
    """

    waiver_id: str
    rule: str
    reason: str
    owner: str
    until: date
    made_by: str
    made_at: datetime
    site: str | None = None
    scanner: str | None = None
    format: str | None = None
    archive: str | None = None
    severity: str | None = None
    withdrawn_by: str | None = None
    withdrawn_at: datetime | None = None

    @property
    def by(self) -> dict[str, str]:
        """What findings must agree with, by dimension."""
        return {name: value for name in DIMENSIONS if (value := getattr(self, name)) is not None}

    def state(self, today: date) -> str:
        """``active``, ``expired`` or ``withdrawn``."""
        if self.withdrawn_at is not None:
            return "withdrawn"
        return "active" if today <= self.until else "expired"


def is_plain(text: str) -> bool:
    """Whether a text can stand as a waiver's reason or owner: not empty, one line, nothing that steers a terminal."""
    return bool(text.strip()) and len(text) <= _MOST_CHARACTERS and text.isprintable()


WAIVERS = Table(
    name="waivers",
    row="one waiver of findings, kept when it has expired or was withdrawn",
    key=("waiver_id",),
    columns=(
        Column("waiver_id", Type.STRING, "Number of the waiver.", pattern=r"W[1-9][0-9]*", required=True),
        Column("rule", Type.STRING, "Rule whose findings it covers.", pattern=r"[a-z0-9_.]+", required=True),
        Column("site", Type.STRING, "Only findings of this site.", Identifying.QUASI, pattern=r"[A-Z][A-Z0-9_]{1,15}"),
        Column("scanner", Type.STRING, "Only findings about slides of this scanner model.", Identifying.QUASI, Action.DROP),
        Column("format", Type.STRING, "Only findings about slides of this format.", pattern=r"[a-z]+"),
        Column("archive", Type.STRING, "Only findings about slides below this archive root.", Identifying.DIRECT,
               Action.DROP),
        Column("severity", Type.STRING, "Only findings of this severity.", values=("info", "warning", "error")),
        Column("reason", Type.STRING, "Why they will not be mended.", Identifying.DIRECT, Action.DROP, required=True),
        Column("owner", Type.STRING, "Who answers for it.", Identifying.DIRECT, Action.DROP, required=True),
        Column("until", Type.DATE, "Last day on which it applies.", required=True),
        Column("made_by", Type.STRING, "User who entered it.", Identifying.DIRECT, Action.DROP, required=True),
        Column("made_at", Type.TIMESTAMP, "When it was entered (UTC).", required=True),
        Column("withdrawn_by", Type.STRING, "User who withdrew it.", Identifying.DIRECT, Action.DROP),
        Column("withdrawn_at", Type.TIMESTAMP, "When it was withdrawn (UTC)."),
    ),
)  # fmt: skip
