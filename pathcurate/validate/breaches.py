"""Makes findings of rules."""

from pathcurate.model.finding import Severity
from pathcurate.model.validation import Breach, KeyPath
from pathcurate.model.validationrules import breaks_at


def breach(
    rule: str,
    message: str,
    *,
    table: str | None = None,
    column: str | None = None,
    count: int = 1,
    severity: Severity | None = None,
    of: int | None = None,
    measured: str | None = None,
    threshold: str | None = None,
    cause: KeyPath | None = None,
    file: str | None = None,
) -> Breach:
    """A finding of a rule, of the rule's own severity unless a milder one is given; see :class:`Breach`."""
    return Breach(
        rule, severity or breaks_at(rule), message, stage="validate", table=table, column=column, count=count, of=of,
        measured=measured, threshold=threshold, cause=cause, file=file,
    )  # fmt: skip


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number and its noun: ``1 row``, ``2 rows``."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
