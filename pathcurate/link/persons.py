"""Which numbers are one person, and which may be: never by name alone, and the same whatever the order of the reports."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pathcurate.digests import canonical_json
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import canonical, opaque_code
from pathcurate.text.identities import card_number, fold_name, is_han, names_a_relation, phone_number

COLUMNS = (
    "report_id", "site", "accession", "patient_id", "patient_name", "id_number", "sex", "birth_date", "phone"
)  # fmt: skip
"""Columns of a report that say who the patient is."""
TWO_PATIENTS = "case_two_patients"
SHARED_NUMBER = "number_two_people"

Row = Mapping[str, Any]
CaseKey = tuple[str, str]
Identity = tuple[str, str, str]
"""Site, kind of number, number. An identity card is of no site, and counts together with its holder's name."""


@dataclass(frozen=True, slots=True)
class People:
    """Who is behind the numbers.

    Attributes:
        owners: ``person_id`` of each case that is one person's.
        faults: of each other case, the rule that says why it is nobody's, and how many people it names.
        persons: rows of ``persons``.
        identities: rows of ``identities``.
        findings: numbers of two people, and identity cards with two names.
    """

    owners: Mapping[CaseKey, str]
    faults: Mapping[CaseKey, tuple[str, int]]
    persons: Sequence[Row]
    identities: Sequence[Row]
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class _Told:
    """What one report says of its patient, in the form in which it compares."""

    report_id: str
    case: CaseKey
    number: Identity | None
    card: str | None
    name: str | None
    sex: str | None
    birth_date: object
    phone: str | None

    @property
    def holder(self) -> Identity | None:
        """An identity card and the name that goes with it: one person, wherever both are named."""
        if self.card is None or self.name is None or names_a_relation(self.name):
            return None
        return ("", "id_number", f"{self.card} {self.name}")


class _Sets:
    """Union-find; a set is known by its smallest member, so that neither order nor other sets shape its name."""

    def __init__(self) -> None:
        self._parents: dict[Identity, Identity] = {}

    def find(self, item: Identity) -> Identity:
        """The smallest member of the item's set."""
        root = item
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while item != root:
            self._parents[item], item = root, self._parents[item]
        return root

    def join(self, one: Identity, other: Identity) -> None:
        """Make two sets one."""
        smaller, larger = sorted((self.find(one), self.find(other)))
        if smaller != larger:
            self._parents[larger] = smaller


def build_people(reports: Iterable[Row]) -> People:
    """Persons behind the reports (rows with :data:`COLUMNS`).

    One number of a site is one person. The same identity card with the same name makes several numbers one person. Two cards
    under one number, or two names with other dates of birth or sexes, are two people who share it: the number joins nothing,
    and its cases belong to the holder of the card that they name, if they name one.
    """
    told = _lend_numbers(_read(reports))
    numbers: dict[Identity, list[_Told]] = defaultdict(list)
    for item in told:
        if item.number:
            numbers[item.number].append(item)
    shared = {number for number, members in numbers.items() if _is_shared(members)}
    certain = _Sets()
    for item in told:
        if item.number and item.number not in shared and item.holder:
            certain.join(item.number, item.holder)
    cases: dict[CaseKey, list[_Told]] = defaultdict(list)
    for item in told:
        cases[item.case].append(item)
    owners: dict[CaseKey, Identity] = {}
    faults: dict[CaseKey, tuple[str, int]] = {}
    for case, members in cases.items():
        owner = _owner(case, members, shared, certain)
        if isinstance(owner[0], int):
            faults[case] = (owner[1], owner[0])
        else:
            owners[case] = owner  # type: ignore[assignment]
    anchors = [_anchor(item, shared, owners) for item in told]
    possible, reasons = _possible(told, anchors, certain)
    return People(
        {case: _code("P", certain.find(owner)) for case, owner in owners.items()},
        faults,
        _persons(told, anchors, shared, certain, possible, reasons),
        _identities(told, anchors, owners, certain),
        [*_shared_findings(numbers, shared), *_card_findings(told, anchors, certain)],
    )
