"""Who is behind a number of the catalog, and the codes of persons and cases."""

import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.deid.columns import SEPARATOR, pairs, taken, where, whole
from pathcurate.model.person import IDENTITIES, PERSONS
from pathcurate.pseudonyms import Pseudonyms, canonical_numbers
from pathcurate.scrubbers.table import Chunked, each_distinct
from pathcurate.tables import Catalog


class People:
    """Who is behind a number, and their codes."""

    def __init__(self, catalog: Catalog, codes: Pseudonyms) -> None:
        self._codes = codes
        self._persons = catalog.read(PERSONS, columns=("person_id", "group_id", "basis"))
        identities = catalog.read(IDENTITIES, columns=("site", "id_type", "id_value", "person_id"))
        self._identities = {
            kind: (pairs(rows["site"], rows["id_value"]), rows["person_id"])
            for kind in ("accession", "patient_id")
            for rows in [identities.filter(pc.field("id_type") == kind)]
        }

    def behind(self, sites: Chunked, kind: str, numbers: Chunked) -> Chunked:
        """The person behind each number, missing where there is none or more than one."""
        known, persons = self._identities[kind]
        return taken(persons, pairs(sites, numbers), known)

    def holders(self, sites: Chunked, numbers: Chunked) -> Chunked:
        """The one person who has each patient number; none for a number that two people share, or that no report has."""
        return self.alone(self.behind(sites, "patient_id", whole(canonical_numbers(numbers.combine_chunks()))))

    def alone(self, persons: Chunked) -> Chunked:
        """Each person, missing where the code stands for two people who share a number."""
        shared = self._persons.filter(pc.field("basis") == "shared_number")["person_id"]
        alone: Chunked = where(pc.is_in(persons, value_set=shared.combine_chunks()), None, persons)
        return alone

    def patient_codes(self, persons: Chunked) -> Chunked:
        """Pseudonyms of persons."""
        return whole(self._codes.code_array("P", persons))

    def group_codes(self, persons: Chunked) -> Chunked:
        """For each person the pseudonym of all persons who may be this one."""
        groups = taken(self._persons["group_id"], persons, self._persons["person_id"])
        return whole(self._codes.code_array("Q", groups))

    def case_codes(self, sites: Chunked, accessions: Chunked) -> Chunked:
        """Pseudonyms of cases, missing where there is no number."""
        numbers = where(pc.equal(accessions, pa.scalar("")), None, accessions)
        return each_distinct(
            pairs(sites, numbers),
            lambda told: self._codes.codes("C", *zip(*(pair.split(SEPARATOR, 1) for pair in told), strict=True)),
        )

    def owners(self, persons: Chunked) -> dict[str, Chunked]:
        """The columns that say whose each row is."""
        return {"patient_id": self.patient_codes(persons), "group_id": self.group_codes(persons)}
