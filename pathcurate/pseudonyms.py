"""Keyed pseudonyms and date offsets: pure functions of key and value, never of order or time (ISO 25237).

Layers keep what must not be joined apart: the internal layer is used in ``deid/``; each product has a layer of its own,
derived from the internal one, so that two products cannot be joined and a release leads back only through the vault's key.
"""

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pathcurate.model.deidentified import PSEUDONYM_KINDS

# RFC 4648 base 32 and Crockford's alphabet have the same 5-bit digits, so one is a translation of the other.
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")
_CODE_BYTES = 10
_WEEKS = 52


def canonical(value: str) -> str:
    """An identifier in the form that is keyed: NFKC (full-width digits become ASCII), upper case, no outer spaces."""
    return unicodedata.normalize("NFKC", value).strip().upper()


def opaque_code(kind: str, digest: bytes) -> str:
    """A code of one kind from a digest: ``S-`` and 16 characters of Crockford's base 32 (80 bits).

    Two of a million random codes agree with probability 4e-13; half a chance of one collision needs 1.3e12 codes.
    """
    if kind not in PSEUDONYM_KINDS:
        raise ValueError(f"no such kind of pseudonym: {kind}")
    return f"{kind}-{base64.b32encode(digest[:_CODE_BYTES]).translate(_CROCKFORD).decode()}"


@dataclass(frozen=True, slots=True, repr=False)
class Pseudonyms:
    """Codes of one layer. It holds key material: it has no useful ``repr`` and never leaves the process."""

    key: bytes

    def code(self, kind: str, *parts: str) -> str:
        """The pseudonym of an identifier; ``parts`` scope it (site, then number) and are kept apart unambiguously."""
        # Each part after its length, so that no two sequences of parts make one message, whatever is in them.
        message = b"".join(len(part).to_bytes(4, "big") + part for part in map(str.encode, ("v1", kind, *parts)))
        return opaque_code(kind, hmac.digest(self.key, message, hashlib.sha256))

    def codes(self, kind: str, values: Iterable[str | None]) -> list[str | None]:
        """Pseudonyms of single-part identifiers, None for None; each distinct value is keyed once."""
        known: dict[str, str] = {}
        return [None if v is None else known.get(v) or known.setdefault(v, self.code(kind, v)) for v in values]


def internal_layer(key: bytes) -> Pseudonyms:
    """The layer used in ``deid/``."""
    return Pseudonyms(_derive(key, "identifiers"))


def product_layer(key: bytes, product: str) -> Pseudonyms:
    """The layer of one product's releases; its input is the internal pseudonym."""
    return Pseudonyms(_derive(key, f"product\x1f{product}"))


@dataclass(frozen=True, slots=True, repr=False)
class DateShift:
    """One offset per person: 7 to 364 days, whole weeks so that the day of the week stays, one sign for the workspace.

    Intervals within a person are kept. (DICOM calls the result Longitudinal Temporal Information Modified, PS3.15 E.3.6.)
    """

    key: bytes

    def days(self, person: str) -> int:
        """Offset in days of a person (any stable identifier of theirs)."""
        sign = 1 if hmac.digest(self.key, b"sign", hashlib.sha256)[0] & 1 else -1
        number = int.from_bytes(hmac.digest(self.key, b"offset\x1f" + person.encode(), hashlib.sha256)[:8], "big")
        return sign * 7 * (1 + number % _WEEKS)

    def shift(self, person: str, day: date | None) -> date | None:
        """The day moved by the person's offset; None stays None, and so does a day that would leave the calendar."""
        if day is None:
            return None
        return _moved(day, self.days(person))

    def shifts(self, persons: Iterable[str], days: Iterable[date | None]) -> list[date | None]:
        """Days moved by the offset of the person beside each; every distinct person is keyed once."""
        known: dict[str, int] = {}
        return [
            None if day is None else _moved(day, known.get(person) or known.setdefault(person, self.days(person)))
            for person, day in zip(persons, days, strict=True)
        ]


def _moved(day: date, offset: int) -> date | None:
    try:
        return date(day.year, day.month, day.day) + timedelta(days=offset)
    except OverflowError:
        return None


def date_shift(key: bytes) -> DateShift:
    """The workspace's date shift."""
    return DateShift(_derive(key, "dates"))


def _derive(key: bytes, purpose: str) -> bytes:
    """An independent key for one purpose (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"pathcurate v1 {purpose}".encode()).derive(key)
