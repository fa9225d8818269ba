"""What ``validate`` finds: rules, what breaks them, who answers for what is left, and how it all ends."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints

from pathcurate.errors import (
    DigestMismatchError,
    DisclosureRefusedError,
    ExpiredError,
    RecipeError,
    VersionError,
)
from pathcurate.model.finding import Finding, Severity
from pathcurate.model.waiver import is_plain

NOT_RUN = "PC-META-NOTRUN"
GRAVEST_FIRST = (
    RecipeError.exit_code, DigestMismatchError.exit_code, ExpiredError.exit_code, VersionError.exit_code,
    DisclosureRefusedError.exit_code, 1,
)  # fmt: skip
"""Which exit code counts where several apply."""

Subject = Literal["release", "table", "recipe", "workspace", "registry"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of ``validate``.

    Attributes:
        id: stable: it is never given to another rule.
        severity: of what breaks it, at most.
        what: what it demands, a sentence.
        fix: what to do where it is broken, a sentence.
        subjects: what it is checked on.
        standards: what it rests on: ``TC609-0204`` is an indicator of TC609-5-2025-04, ``GB/T 36344`` has dimensions.
        exit_code: of a run in which it is broken at or above ``--fail-on``.
    """

    id: str
    severity: Severity
    what: str
    fix: str
    subjects: tuple[Subject, ...]
    standards: tuple[str, ...] = ()
    exit_code: int = 1

    @property
    def pack(self) -> str:
        """The pack that it belongs to, such as ``PC-SPL``."""
        return self.id.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file.

    Attributes:
        file: its path, as a report names it.
        line: from 1.
        column: from 1.
        is_within: whether the path starts from what was checked.
    """

    file: str
    line: int
    column: int = 1
    is_within: bool = False


@dataclass(frozen=True, slots=True)
class Breach(Finding):
    """A finding of a rule.

    Attributes:
        of: how many there are of what ``count`` counts, None where that says nothing.
        measured: what was measured.
        threshold: what it was compared with.
        cause: the part of the recipe that it comes from, of ``product.yaml`` if ``file`` is that; None if none does.
        file: file of the release that it is about, if that is no table.
        at: where to point an editor to.
    """

    of: int | None = None
    measured: str | None = None
    threshold: str | None = None
    cause: KeyPath | None = None
    file: str | None = None
    at: Place | None = None

    def as_dict(self) -> dict[str, str | int]:
        """The finding without its empty parts."""
        content = super(Breach, self).as_dict()
        more: dict[str, str | int | None] = {
            "of": self.of, "measured": self.measured, "threshold": self.threshold, "file": self.file,
        }  # fmt: skip
        content |= {name: value for name, value in more.items() if value is not None}
        if self.at is not None:
            content |= {"source": self.at.file, "line": self.at.line, "source_column": self.at.column}
        return content


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Rules that were not checked.

    Attributes:
        rules: their identifiers, or the beginnings of these.
        why: as a clause.
        applies: whether they should have been: a release without a split keeps nobody from its sides, one whose split
            cannot be read may.
    """

    rules: tuple[str, ...]
    why: str
    applies: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one rule.

    Attributes:
        rule: the rule.
        findings: what breaks it.
        waived: of what breaks it, that for which somebody answers.
        not_run: why it was not checked, as far as it was not; nothing of a rule that was not checked is green.
    """

    rule: Rule
    findings: tuple[Breach, ...]
    waived: tuple["Waived", ...]
    not_run: str | None

    @property
    def is_passed(self) -> bool:
        """Whether it was checked, as a whole, and nothing breaks it."""
        return not self.findings and not self.waived and self.not_run is None


def _until(value: object) -> date:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and len(value) == len("2026-11-20"):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("must be a date such as 2026-11-20")


def _plain(value: object) -> object:
    if isinstance(value, str) and not is_plain(value):
        raise ValueError("must be one line of text")
    return value


_Line = Annotated[str, BeforeValidator(_plain)]


class Waiver(BaseModel):
    """Somebody answers, for a reason and until a day, for what breaks a rule.

    Attributes:
        rule: its identifier.
        where: table, or table and column as ``slides.stain``, or file of the release; everywhere if it is not said.
        owner: who answers.
        reason: why it stays as it is.
        until: last day on which it holds.
    """

    model_config = ConfigDict(title="waiver", extra="forbid", frozen=True)

    rule: Annotated[str, StringConstraints(pattern=r"^PC-[A-Z]+-[0-9A-Z]+$")]
    where: _Line | None = None
    owner: _Line
    reason: _Line
    until: Annotated[date, BeforeValidator(_until)]

    def covers(self, breach: Breach) -> bool:
        """Whether a finding is one that it was given for."""
        places = {breach.table, breach.file, f"{breach.table}.{breach.column}" if breach.column else None}
        return self.rule == breach.rule and (self.where is None or self.where in places)


class WaiverFile(BaseModel):
    """A file of waivers."""

    model_config = ConfigDict(title="waivers", extra="forbid", frozen=True)

    waivers: tuple[Waiver, ...]


@dataclass(frozen=True, slots=True)
class Waived:
    """A finding that counts no more, and why."""

    breach: Breach
    waiver: Waiver


@dataclass(frozen=True, slots=True)
class Validation:
    """The result.

    Attributes:
        kind: ``release``, ``recipe``, ``workspace``, ``registry`` or ``table``.
        findings: what is wrong, and what was not checked (:data:`NOT_RUN`).
        checks: rules that were run, also those that found nothing.
        not_run: rule to why it was not run, or not on all that it should have been.
        inapplicable: rule to why there was nothing to run it on.
        waived: what would be among the findings, were there no waiver.
        facts: what was checked: product, version, digests.
    """

    kind: str
    findings: tuple[Breach, ...]
    checks: tuple[str, ...]
    not_run: Mapping[str, str]
    inapplicable: Mapping[str, str]
    waived: tuple[Waived, ...] = ()
    facts: Mapping[str, str] | None = None

    def exit_code(self, fail_on: str, rules: Mapping[str, Rule]) -> int:
        """How the command ends: of what counts at ``--fail-on`` (a severity, or ``never``) the gravest code, else 0."""
        if fail_on == "never":
            return 0
        least = Severity(fail_on).rank
        codes = {rules[found.rule].exit_code for found in self.findings if found.severity.rank >= least}
        return next((code for code in GRAVEST_FIRST if code in codes), 0)

    def outcomes(self, rules: Iterable[Rule]) -> tuple[Outcome, ...]:
        """What became of each rule that was run, should have been, or found something."""
        found: dict[str, list[Breach]] = {}
        for breach in self.findings:
            found.setdefault(breach.rule, []).append(breach)
        waived: dict[str, list[Waived]] = {}
        for one in self.waived:
            waived.setdefault(one.breach.rule, []).append(one)
        named = {*self.checks, *self.not_run, *found, *waived} - {NOT_RUN}
        return tuple(
            Outcome(rule, tuple(found.get(rule.id, ())), tuple(waived.get(rule.id, ())), self.not_run.get(rule.id))
            for rule in rules
            if rule.id in named
        )


def waive(validation: Validation, waivers: Sequence[Waiver], today: date, *, expired: str, unused: str) -> Validation:
    """The same result with what waivers cover set apart.

    A waiver that has expired covers nothing and is a finding; so is one that covers nothing although its rule was checked.

    Args:
        validation: the result.
        waivers: in the order of their file.
        today: the day by which they are judged.
        expired: rule of waivers that have expired.
        unused: rule of those that cover nothing.
    """
    left: list[Breach] = []
    waived: list[Waived] = []
    used: set[int] = set()
    standing = [(number, one) for number, one in enumerate(waivers) if today <= one.until]
    for breach in validation.findings:
        cover = next(((number, one) for number, one in standing if one.covers(breach)), None)
        if cover is None:
            left.append(breach)
        else:
            used.add(cover[0])
            waived.append(Waived(breach, cover[1]))
    for number, one in enumerate(waivers):
        place = f"waiver {number + 1}, of {one.rule}"
        if today > one.until:
            message = f"{place}, expired on {one.until}; {one.owner} answered for it"
            left.append(Breach(expired, Severity.ERROR, message, stage="validate"))
        elif number not in used and one.rule in {NOT_RUN, *validation.checks} - validation.not_run.keys():
            message = f"{place}, covers nothing that was found"
            left.append(Breach(unused, Severity.WARNING, message, stage="validate"))
    checks = (*validation.checks, *((expired, unused) if waivers else ()))
    return replace(validation, findings=tuple(left), waived=tuple(waived), checks=checks)
