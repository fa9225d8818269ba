"""A finding: an observation about data that never stops a run and never disappears (the ``findings`` table)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from pathcurate.model.column import Action, Column, Identifying, Table, Type


class Severity(StrEnum):
    """How bad a finding is, mildest first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """0 for info, 2 for error."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """An observation about data.

    Attributes:
        rule: stable identifier, ``area.name`` in the catalog and ``PC-XXX-NNN`` in validation.
        severity: see :class:`Severity`.
        message: what was found and what to do, without any value from the data.
        stage: stage that found it.
        site: site code, if the finding belongs to one.
        table: table it is about.
        column: column it is about.
        subject: identifier of the row (``slide_id``, ``report_id``) or ``row N``; an identified key, shown but never put
            into a release.
        count: how many rows share it.
    """

    rule: str
    severity: Severity
    message: str
    stage: str = ""
    site: str | None = None
    table: str | None = None
    column: str | None = None
    subject: str | None = None
    count: int = 1

    def as_dict(self) -> dict[str, str | int]:
        """The finding without its empty parts."""
        parts = {
            "rule": self.rule, "severity": str(self.severity), "message": self.message, "stage": self.stage,
            "site": self.site, "table": self.table, "column": self.column, "subject": self.subject, "count": self.count,
        }  # fmt: skip
        return {name: value for name, value in parts.items() if value not in (None, "")}


FINDINGS = Table(
    name="findings",
    row="one observation about data, kept until the stage that made it runs again without it",
    key=("stage", "rule", "site", "subject", "column"),
    columns=(
        Column("stage", Type.STRING, "Stage that found it.",
               values=("scan", "reports", "events", "permissions", "link", "deid"), required=True),
        Column("rule", Type.STRING, "Rule.", pattern=r"[a-z0-9_.]+", required=True),
        Column("severity", Type.STRING, "Severity.", values=tuple(Severity), required=True),
        Column("site", Type.STRING, "Site code.", Identifying.QUASI, pattern=r"[A-Z][A-Z0-9_]{1,15}"),
        Column("table", Type.STRING, "Table.", pattern=r"[a-z_]+"),
        Column("column", Type.STRING, "Column.", pattern=r"[a-z0-9_]+"),
        Column("subject", Type.STRING, "Row it is about.", Identifying.DIRECT, Action.DROP),
        Column("count", Type.INTEGER, "Rows that share it."),
        Column("message", Type.STRING, "What was found and what to do.", Identifying.DIRECT, Action.DROP),
    ),
)  # fmt: skip


def worst(findings: Iterable[Finding]) -> Severity | None:
    """The gravest severity among findings, None if there are none."""
    return max((finding.severity for finding in findings), key=lambda severity: severity.rank, default=None)
