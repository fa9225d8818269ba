"""What a look at one thing found."""

from dataclasses import asdict, dataclass
from typing import Any

from pathcurate.errors import PathcurateError


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at one thing found.

    Attributes:
        name: what was looked at.
        status: ``ok``, ``warning`` or ``error``.
        message: what was found, and where.
        hint: what to do next; empty if nothing is to be done.
    """

    name: str
    status: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def failed(name: str, error: PathcurateError, status: str = "error") -> Check:
    """What an error says."""
    return Check(name, status, error.message, error.hint)
