"""The result of a validation in the forms that continuous integration reads; each module is one form, a pure function."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from pathcurate.model.finding import Severity
from pathcurate.model.manifest import MANIFEST_NAME
from pathcurate.model.validation import NOT_RUN, Breach, Validation

_FILES = {"release": MANIFEST_NAME, "workspace": "pathcurate.yaml"}


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported.

    Attributes:
        validation: the result.
        base: path of what was checked, as the repository's readers know it: of a file, or of a folder.
        fail_on: from which severity on findings fail, or ``never``.
        version: of the program.
    """

    validation: Validation
    base: str
    fail_on: str
    version: str

    def fails(self, breach: Breach) -> bool:
        """Whether a finding makes the command fail."""
        return self.fail_on != "never" and breach.severity.rank >= Severity(self.fail_on).rank


class Location(NamedTuple):
    """Where an editor is pointed to: a path, and line and column from 1 where a line is meant."""

    path: str
    line: int | None = None
    column: int | None = None

    @property
    def uri(self) -> str:
        """The path as a relative reference, or with its scheme if it is absolute (RFC 3986)."""
        return ("file://" if self.path.startswith("/") else "") + quote(self.path, errors="replace")


def location(report: Report, breach: Breach) -> Location:
    """Where a finding points to: the line that caused it, else the file it is about, else what was checked."""
    if breach.at is not None:
        path = _below(report.base, breach.at.file) if breach.at.is_within else breach.at.file
        return Location(path, breach.at.line, breach.at.column)
    if breach.file is not None:
        return Location(_below(report.base, breach.file))
    name = _FILES.get(report.validation.kind)
    return Location(report.base if name is None else _below(report.base, name))


def _below(base: str, path: str) -> str:
    return path if base in {"", "."} else f"{base.rstrip('/')}/{path}"


def fingerprints(breaches: Iterable[Breach]) -> Iterator[str]:
    """What each finding is known by from run to run, whatever it counts; of several alike the later ones are numbered."""
    seen: dict[str, int] = {}
    for breach in breaches:
        cause = "/".join(str(step) for step in breach.cause or ())
        # What was not run is told apart by its message alone.
        told = breach.message if breach.rule == NOT_RUN else ""
        parts = (breach.rule, breach.table or "", breach.column or "", breach.file or "", cause, told)
        text = "|".join(parts)
        seen[text] = seen.get(text, 0) + 1
        yield hashlib.sha256(f"{text}|{seen[text]}".encode(errors="replace")).hexdigest()


def ordered(breaches: Iterable[Breach]) -> list[Breach]:
    """The gravest first, then by rule."""
    return sorted(
        breaches, key=lambda one: (-one.severity.rank, one.rule, one.table or "", one.column or "", one.file or "")
    )


def json_text(value: object) -> str:
    """JSON for people too; what is no Unicode, as names of files can be, is replaced."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text.encode(errors="replace").decode()


def named(breach: Breach) -> str:
    """What a finding is about, and what is wrong with it."""
    where = ".".join(part for part in (breach.table, breach.column) if part)
    return f"{where}: {breach.message}" if where else breach.message
