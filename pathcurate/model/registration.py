"""What stands between a release and the market: tests that it passed, evidence that it lacks, and who signed for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class TestResult:
    """What ``validate`` said of a release.

    Attributes:
        passed: rules that were checked and that nothing breaks.
        warned: rules that something breaks without being an error, is waived, or that were not checked.
        failed: rules that are broken.
        exit_code: with which it ended; 0 if nothing is an error.
        tool: which version of pathcurate checked.
    """

    __test__ = False  # it is no test of this package's, whatever its name makes pytest believe

    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]
    exit_code: int
    tool: str

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "result": "FAILED" if self.exit_code else "WARNED" if self.warned else "PASSED", "tool": self.tool,
            "passed": list(self.passed), "warned": list(self.warned), "failed": list(self.failed),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lack:
    """Evidence that a command needs and does not have.

    Attributes:
        demand: its name in ``lifecycle.yaml``.
        what: is lacking, as a clause.
        how: to supply it, a sentence.
        exit_code: of a command that is refused for it.
    """

    demand: str
    what: str
    how: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class RecordedSignature:
    """A signature as the registry keeps it.

    Attributes:
        role: in which it was given.
        name: by whom.
        keyid: with which key.
        file: name below ``attestations/``.
        sha256: of that file, as ``sha256:`` and 64 digits.
    """

    role: str
    name: str
    keyid: str
    file: str
    sha256: str

    def as_dict(self) -> dict[str, str]:
        """As plain JSON values."""
        return {"role": self.role, "name": self.name, "keyid": self.keyid, "file": self.file, "sha256": self.sha256}


def recorded_signatures(facts: Mapping[str, Any]) -> tuple[RecordedSignature, ...]:
    """The signatures among the facts of a release."""
    return tuple(RecordedSignature(**one) for one in facts.get("signatures", ()))


@dataclass(frozen=True, slots=True)
class Assessment:
    """What somebody else has said of the data's quality, after TC609-5-2025-04 or another scheme.

    Attributes:
        grade: such as ``优`` or ``A``, as they write it.
        assessor: who they are.
        number: of their report.
        issued: its day.
        sha256: of its file, as ``sha256:`` and 64 digits.
        score: that they gave, as they write it; empty if none.
    """

    grade: str
    assessor: str
    number: str
    issued: date
    sha256: str
    score: str = ""

    def as_dict(self) -> dict[str, str]:
        """As plain JSON values."""
        return {
            "grade": self.grade, "score": self.score, "assessor": self.assessor, "number": self.number,
            "issued": self.issued.isoformat(), "sha256": self.sha256,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row of a table of products.

    Attributes:
        row: its number, from 1.
        release: as the table names it.
        state: where it stands now; empty if it is not in the registry.
        is_changed: whether this run moved it.
        lacks: why it did not get where the table wants it; empty if it did.
    """

    row: int
    release: str
    state: str
    is_changed: bool
    lacks: Sequence[Lack]
