"""A certificate of registration: what an authority gave for one release, and the digest of the paper that says so."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from pathcurate.errors import UsageError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Name and semantic version (https://semver.org), as the registry calls a release.
_RELEASE = re.compile(
    r"[a-z0-9_][a-z0-9_-]{0,63}@(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_SCHEME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, bound to a release and to the bytes of its PDF file.

    Attributes:
        release: ``NAME@VERSION``, or a release digest, ``sha256:`` and 64 digits.
        authority: who gave it.
        scheme: the regime it was given under, such as ``zj-data-ip``: small letters, digits and hyphens.
        number: of the certificate, as the authority writes it.
        issued: the day it was given.
        valid_until: its last day; None if it does not end.
        sha256: of the file, ``sha256:`` and 64 digits.

    Raises:
        UsageError: a part has another form; the value is not told.
    """

    release: str
    authority: str
    scheme: str
    number: str
    issued: date
    valid_until: date | None
    sha256: str

    def __post_init__(self) -> None:
        faults = {
            "release": not is_release(self.release),
            "authority": not is_line(self.authority),
            "scheme": not is_scheme(self.scheme),
            "number": not is_line(self.number),
            "valid_until": self.valid_until is not None and self.valid_until < self.issued,
            "sha256": _DIGEST.fullmatch(self.sha256) is None,
        }
        wrong = [name for name, is_wrong in faults.items() if is_wrong]
        if wrong:
            raise UsageError(
                f"this is no certificate: {', '.join(wrong)} does not have the form that it needs",
                "Give NAME@VERSION or a digest, one line each for authority and number, and days in their order.",
            )

    def is_expired(self, today: date) -> bool:
        """Whether its last day is over."""
        return self.valid_until is not None and self.valid_until < today

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "release": self.release, "authority": self.authority, "scheme": self.scheme, "number": self.number,
            "issued": self.issued.isoformat(),
            "valid_until": self.valid_until.isoformat() if self.valid_until is not None else None, "sha256": self.sha256,
        }  # fmt: skip


def is_release(text: str) -> bool:
    """Whether a text names one release: ``NAME@VERSION``, or its digest."""
    return bool(_RELEASE.fullmatch(text) or _DIGEST.fullmatch(text))


def is_scheme(text: str) -> bool:
    """Whether a text can be the name of a regime."""
    return _SCHEME.fullmatch(text) is not None


def is_line(text: str) -> bool:
    """Whether a text is one line of 1 to 200 signs that can be seen."""
    return 0 < len(text) <= _LONGEST and text.isprintable() and text.strip() == text
