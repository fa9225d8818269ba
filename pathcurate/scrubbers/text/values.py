"""What is known beforehand when a text is scrubbed: a site's rules, and the identifying values of the report's own row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class SiteRules:
    """What a site adds to the rules of the package.

    Attributes:
        site: its code.
        hospitals: its own names and aliases.
        staff: names of its doctors, nurses and technicians.
        remove: words that reviewers take out.
        keep: words that reviewers declare harmless.
        accession_patterns: how its accession numbers are written, see :mod:`pathcurate.text.accession`.
    """

    site: str
    hospitals: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    accession_patterns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Staff have names, and reviewers take words out because they identify.
        return f"SiteRules({self.site!r})"


@dataclass(frozen=True, slots=True)
class KnownValues:
    """Identifying values of one report: of its own columns, and of the same person's other reports.

    Attributes:
        names: of the patient.
        numbers: of the patient, a visit or a request.
        ids: numbers of identity documents.
        phones: telephone numbers.
        cases: accession numbers as in the catalog: normal form.
        staff: names of doctors and technicians.
        units: names of the departments and hospitals that sent the specimen.
        addresses: addresses of the patient.
        birth: date of birth.
    """

    names: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    birth: date | None = None

    def __repr__(self) -> str:
        # The generated one would show the values in a traceback.
        return "KnownValues()"


@dataclass(frozen=True, slots=True)
class ReportTexts:
    """The texts of one report, and what is known beforehand when they are scrubbed.

    Attributes:
        texts: as they are in the catalog.
        known: identifying values of the report and of the same person's other reports.
        language: of the report, None if that is not known.
        year: of the report, for dates without one.
    """

    texts: Sequence[str | None]
    known: KnownValues
    language: str | None
    year: int | None

    def __repr__(self) -> str:
        return f"ReportTexts({len(self.texts)} texts)"
