"""What `pathcurate.link.persons` has to find without merge lists, report by report: slow, simple, and the truth.

The module as it was before it worked in columns.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from pathcurate.digests import canonical_json
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import canonical, opaque_code
from pathcurate.text.identities import card_number, fold_name, is_han, names_a_relation, phone_number

TWO_PATIENTS = "case_two_patients"
SHARED_NUMBER = "number_two_people"

Row = Mapping[str, Any]
CaseKey = tuple[str, str]
Identity = tuple[str, str, str]
"""Site, kind of number, number. An identity card is of no site, and counts together with its holder's name."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a case is nobody's.

    Attributes:
        rule: ``case_two_patients``; or ``number_two_people``, if its patient number is of two people and no card says whom.
        people: how many people it names.
    """

    rule: str
    people: int


@dataclass(frozen=True, slots=True)
class People:
    """Who is behind the numbers.

    Attributes:
        owners: ``person_id`` of each case that is one person's.
        faults: of each other case, why it is nobody's.
        persons: rows of ``persons``.
        identities: rows of ``identities``.
        findings: numbers of two people, and identity cards with two names.
    """

    owners: Mapping[CaseKey, str]
    faults: Mapping[CaseKey, Fault]
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


class _Codes:
    """Codes of persons and groups; a person stands in many rows, and is digested once."""

    def __init__(self) -> None:
        self._persons: dict[Identity, str] = {}

    def person(self, identity: Identity) -> str:
        """Identifier of the person who is known by this identity."""
        if identity not in self._persons:
            self._persons[identity] = opaque_code("P", hashlib.sha256(canonical_json(list(identity))).digest())
        return self._persons[identity]

    def group(self, identity: Identity) -> str:
        """Identifier of the group that is known by this person."""
        return "Q" + self.person(identity)[1:]


def build_people(reports: Iterable[Row]) -> People:
    """Persons behind the reports (rows with the columns that say who the patient is).

    One number of a site is one person. The same identity card with the same name makes several numbers one person. Two cards
    under one number, or two names with other dates of birth or sexes, are two people who share it: the number joins nothing,
    and its cases belong to the holder of the card that they name, if they name one.
    """
    told = _lend_numbers(_read(reports))
    numbers: dict[Identity, list[_Told]] = defaultdict(list)
    cases: dict[CaseKey, list[_Told]] = defaultdict(list)
    for item in told:
        cases[item.case].append(item)
        if item.number:
            numbers[item.number].append(item)
    shared = {number for number, members in numbers.items() if _is_shared(members)}
    certain = _Sets()
    for item in told:
        if item.number and item.number not in shared and item.holder:
            certain.join(item.number, item.holder)
    decided = {case: _owner(case, members, shared, certain) for case, members in cases.items()}
    owners = {case: owner for case, owner in decided.items() if not isinstance(owner, Fault)}
    anchors = [_anchor(item, shared, owners) for item in told]
    codes = _Codes()
    standing = _Standing(told, [certain.find(anchor) for anchor in anchors], shared, codes)
    return People(
        {case: codes.person(certain.find(owner)) for case, owner in owners.items()},
        {case: fault for case, fault in decided.items() if isinstance(fault, Fault)},
        standing.persons({item.number for item in told if item.number}, anchors, certain),
        standing.identities({case: certain.find(owner) for case, owner in owners.items()}, certain),
        [*_shared_findings(numbers, shared), *standing.card_findings()],
    )


def _read(reports: Iterable[Row]) -> list[_Told]:
    # Every report of a patient repeats these texts.
    card, name, phone, number = cache(card_number), cache(fold_name), cache(phone_number), cache(canonical)
    return [
        _Told(
            row["report_id"],
            (row["site"], row["accession"]),
            (row["site"], "patient_id", number(row["patient_id"])) if row["patient_id"] else None,
            card(row["id_number"]),
            name(row["patient_name"]),
            row["sex"] if row["sex"] in {"male", "female"} else None,
            row["birth_date"],
            phone(row["phone"]),
        )
        for row in reports
    ]


def _lend_numbers(told: list[_Told]) -> list[_Told]:
    """A supplement often comes without the patient's number: it has that of its case, unless it names another card."""
    numbers: dict[CaseKey, set[Identity]] = defaultdict(set)
    cards: dict[CaseKey, set[str]] = defaultdict(set)
    for item in told:
        if item.number:
            numbers[item.case].add(item.number)
            if item.card:
                cards[item.case].add(item.card)
    return [
        item if item.number else _with_number_of(item, numbers.get(item.case, set()), cards.get(item.case, set()))
        for item in told
    ]


def _with_number_of(item: _Told, numbers: set[Identity], cards: set[str]) -> _Told:
    if len(numbers) == 1 and (not item.card or not cards or item.card in cards):
        return replace(item, number=next(iter(numbers)))
    return item


def _is_shared(members: Sequence[_Told]) -> bool:
    """Whether the reports under one number are about more than one person."""
    if len(members) == 1:
        return False
    if len({item.card for item in members if item.card}) > 1:
        return True
    for script in (True, False):
        named = [item for item in members if item.name and is_han(item.name) is script]
        for attribute in ("birth_date", "sex"):
            known = [(item.name, getattr(item, attribute)) for item in named if getattr(item, attribute)]
            # Two values and two names: then some name stands with one value and some other name with another.
            if len({name for name, _ in known}) > 1 and len({value for _, value in known}) > 1:
                return True
    return False


def _owner(case: CaseKey, members: Sequence[_Told], shared: set[Identity], certain: _Sets) -> Identity | Fault:
    numbers = {item.number for item in members if item.number}
    firm = {certain.find(number) for number in numbers - shared}
    holders = {certain.find(item.holder) for item in members if item.holder and (not item.number or item.number in shared)}
    unsure = {number for number in numbers & shared if not any(item.number == number and item.holder for item in members)}
    people = max(len(firm | holders) + len(unsure), len({item.card for item in members if item.card}))
    if people > 1:
        return Fault(TWO_PATIENTS, people)
    if unsure:
        return Fault(SHARED_NUMBER, 2)
    # A case that names nobody is a person of its own, so that it still has a side of the split.
    return next(iter(firm | holders), (case[0], "accession", case[1]))


def _anchor(item: _Told, shared: set[Identity], owners: Mapping[CaseKey, Identity]) -> Identity:
    """The identity that a report counts for."""
    if item.number and item.number not in shared:
        return item.number
    if item.holder:
        return item.holder
    return owners.get(item.case) or item.number or (item.case[0], "accession", item.case[1])


class _Standing:
    """Reports with the person whom each of them counts for."""

    def __init__(self, told: Sequence[_Told], persons: Sequence[Identity], shared: set[Identity], codes: _Codes) -> None:
        self._told = told
        self._of = persons
        self._shared = shared
        self._codes = codes

    def persons(self, numbers: set[Identity], anchors: Sequence[Identity], certain: _Sets) -> list[dict[str, Any]]:
        """Rows of ``persons``, in order."""
        groups, reasons = self._groups()
        rows_of = Counter(self._of)
        rows_of.update(item.number for item in self._told if item.number in self._shared)
        numbers_of = Counter(certain.find(number) for number in numbers)
        by_card = {person for person, anchor in zip(self._of, anchors, strict=True) if anchor[1] == "id_number"}
        rows = []
        for person in sorted({*self._of, *numbers_of}):
            if person in self._shared:
                basis = "shared_number"
            elif numbers_of[person] > 1 or person in by_card:
                basis = "id_number"
            else:
                basis = "site_number" if numbers_of[person] else "case"
            group = groups.find(person)
            rows.append(
                {
                    "person_id": self._codes.person(person), "group_id": self._codes.group(group), "basis": basis,
                    "evidence": rows_of[person], "group_basis": sorted(reasons[group]) or None,
                }
            )  # fmt: skip
        return rows

    def _groups(self) -> tuple[_Sets, dict[Identity, set[str]]]:
        """Persons who may be one, and why."""
        alike: dict[tuple[str, Hashable], set[Identity]] = defaultdict(set)
        for item, person in zip(self._told, self._of, strict=True):
            if item.card:
                alike["id_number", item.card].add(person)
            if item.name and item.birth_date and item.sex:
                alike["name_birth_date_sex", (item.name, item.birth_date, item.sex)].add(person)
            if item.name and item.phone:
                alike["phone_name", (item.name, item.phone)].add(person)
            if item.number in self._shared:
                # The number is nobody's, but who leaves under it must be kept out, whoever of them it is.
                alike["shared_number", item.number].update((person, item.number))
        groups = _Sets()
        for members in alike.values():
            first, *others = members
            for other in others:
                groups.join(first, other)
        reasons: dict[Identity, set[str]] = defaultdict(set)
        for (reason, _), members in alike.items():
            if len(members) > 1:
                reasons[groups.find(next(iter(members)))].add(reason)
        return groups, reasons

    def identities(self, owners: Mapping[CaseKey, Identity], certain: _Sets) -> list[dict[str, Any]]:
        """Rows of ``identities``, in order. A number of two people is a person of its own, whom no case belongs to."""
        of: dict[Identity, set[Identity]] = defaultdict(set)
        for item, person in zip(self._told, self._of, strict=True):
            if item.number:
                of[item.number] = {certain.find(item.number)}
            if item.card:
                of[item.case[0], "id_number", item.card].add(person)
        of.update({(site, "accession", accession): {owner} for (site, accession), owner in owners.items()})
        return [
            {"site": site, "issuer": None if id_type == "id_number" else site, "id_type": id_type, "id_value": value,
             "person_id": self._codes.person(next(iter(persons)))}
            for (site, id_type, value), persons in sorted(of.items())
            if len(persons) == 1
        ]  # fmt: skip

    def card_findings(self) -> Iterable[Finding]:
        """One for each identity card of several persons."""
        holders: dict[str, dict[Identity, str]] = defaultdict(dict)
        for item, person in zip(self._told, self._of, strict=True):
            if item.card and person not in self._shared:
                first = holders[item.card].get(person, item.report_id)
                holders[item.card][person] = min(first, item.report_id)
        for persons in holders.values():
            if len(persons) > 1:
                yield _finding(
                    "link.card_two_names", Severity.WARNING, min(persons.values()), "id_number",
                    f"one identity card stands under several numbers without an agreeing name; the {len(persons)} persons "
                    "are kept apart, and on one side of every split",
                )  # fmt: skip


def _shared_findings(numbers: Mapping[Identity, Sequence[_Told]], shared: set[Identity]) -> Iterable[Finding]:
    for number in sorted(shared):
        cards = {item.card for item in numbers[number] if item.card}
        why = f"{len(cards)} identity cards" if len(cards) > 1 else "names with different dates of birth or sexes"
        yield _finding(
            f"link.{SHARED_NUMBER}", Severity.ERROR, min(item.report_id for item in numbers[number]), "patient_id",
            f"{len(numbers[number])} reports under one patient number are of two people ({why}); cases that name an "
            "identity card are told apart by it, the slides of the others are linked to none. Correct the export",
            number[0],
        )  # fmt: skip


def _finding(rule: str, severity: Severity, report_id: str, column: str, what: str, site: str | None = None) -> Finding:
    return Finding(rule, severity, what, stage="link", site=site, table="reports", column=column, subject=report_id)
