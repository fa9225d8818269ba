"""What de-identification takes out of a text: where it stood, what it was, and what its place keeps of it."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What was removed (HIPAA 45 CFR 164.514(b)(2)(i); GB/T 42460-2023 annexes A and B)."""

    PATIENT = "patient"
    """The patient's name."""
    STAFF = "staff"
    """The name of a doctor, nurse or technician."""
    PERSON = "person"
    """The name of a relative, or of somebody of whom it is not said who it is."""
    CASE = "case"
    """The number of a case, with or without its specimen and block."""
    NUMBER = "number"
    """A hospital's number for a patient, a visit, a request or a sample."""
    ID = "id"
    """The number of an identity document."""
    PHONE = "phone"
    EMAIL = "email"
    URL = "url"
    """An address of a machine: URL, IP, path of a file share, user's folder."""
    ACCOUNT = "account"
    """A number of an account, insurance, vehicle or messenger."""
    HOSPITAL = "hospital"
    UNIT = "unit"
    """An employer, school or other organisation."""
    ADDRESS = "address"
    BED = "bed"
    DATE = "date"
    AGE = "age"
    """An age of 90 or more."""
    OTHER = "other"
    """What a reviewer or a site's rule takes out."""
    BRACKET = "bracket"
    """A sign that a placeholder is written with, and that no text may bring along."""


NAMES = (Kind.PATIENT, Kind.STAFF, Kind.PERSON)


@dataclass(frozen=True, slots=True)
class Removal:
    """One place in a text that is taken out.

    It holds what was there: it never leaves the process that made it, but as a placeholder.

    Attributes:
        start: first character, in the text as it is in the catalog.
        end: behind the last character.
        kind: what it is.
        rule: name of the rule that found it: ``known.name``, ``label.phone``, ``date.ymd`` …
        value: what the placeholder is made of, identified: of a date the day as ``2024-05-03``; of a case its number,
            normalised as the catalog's column ``accession`` is, where the site's patterns know it; of a name the name,
            folded; of a hospital the site's code if it is the site itself; of an age its years; else empty.
        form: of a date its form, see :mod:`pathcurate.text.dateforms`; of a case what follows its number (``A1``).
    """

    start: int
    end: int
    kind: Kind
    rule: str
    value: str = ""
    form: str = ""

    def __repr__(self) -> str:
        # The generated one would show the value in a traceback.
        return f"Removal({self.start}, {self.end}, {self.kind}, {self.rule})"
