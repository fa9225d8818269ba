"""Every error that a user can meet, each with its exit code.

Trouble with data is a :class:`~pathcurate.model.finding.Finding`; trouble with the run is one of these. A message says
what is wrong and where, ``hint`` says what to do next, and neither ever holds a patient's value. ``cli`` prints them in
one place, without a traceback.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final


class PathcurateError(Exception):
    """Base of all errors that are shown to the user without a traceback.

    Args:
        message: what is wrong, and where.
        hint: what to do next, as a sentence.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[type["PathcurateError"], tuple[str, str]]:
        # Errors cross process borders whole: BaseException would rebuild them from args alone and lose the hint.
        return type(self), (self.message, self.hint)


class UsageError(PathcurateError):
    """The call, the workspace file or a mapping is wrong."""

    exit_code = 2


class InputOutputError(PathcurateError):
    """A file, a directory or the engine cannot be used."""

    exit_code = 3


class DigestMismatchError(PathcurateError):
    """Bytes on disk are not those that a digest or a registration vouches for."""

    exit_code = 4


class VersionError(PathcurateError):
    """The declared version is too small for what changed, or is taken by other content."""

    exit_code = 5


class ExpiredError(PathcurateError):
    """Evidence that a release rests on has expired."""

    exit_code = 6


class RecipeError(PathcurateError):
    """The recipe is broken: syntax, unknown key, unknown column, wrong value."""

    exit_code = 10


class ExpectationError(PathcurateError):
    """The cohort is not what the recipe expects of it."""

    exit_code = 1


class VaultError(PathcurateError):
    """The vault's key or contents are missing, damaged, or open to others."""

    exit_code = 11


class PlanIncompleteError(PathcurateError):
    """Something has no rule, or an earlier step is missing or out of date; nothing was done."""

    exit_code = 12


class DisclosureRefusedError(PathcurateError):
    """A permission or a disclosure rule forbids this."""

    exit_code = 13


class LockedError(PathcurateError):
    """Another run holds the workspace."""

    exit_code = 14


class InterruptedRunError(PathcurateError):
    """Interrupted by the user; finished work is kept."""

    exit_code = 130


EXIT_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "done", 1: "findings", 2: "usage", 3: "input_output", 4: "mismatch", 5: "version", 6: "expired", 10: "recipe",
        11: "vault", 12: "incomplete", 13: "refused", 14: "locked", 130: "interrupted", 141: "pipe_closed",
    }
)  # fmt: skip
"""What each exit code is called where a machine reads it."""
