"""Which numbers are one person, and which may be: never by name alone, and the same whatever the order of the reports."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pathcurate.link.persons.merging import Merged, merge
from pathcurate.link.persons.sets import NONE, NUMBER, Mask, Numbers, Pairs, smallest, varied
from pathcurate.link.persons.standing import Anchored, identity_rows, repeating, stand
from pathcurate.link.persons.told import Identities, Listed, Told, read, with_none
from pathcurate.model.finding import Finding, Severity

COLUMNS = (
    "report_id", "site", "accession", "patient_id", "patient_name", "id_number", "sex", "birth_date", "phone"
)  # fmt: skip
"""Columns of a report that say who the patient is."""
MERGE_COLUMNS = ("merge_id", "site", "patient_id", "other_site", "other_patient_id", "master_id", "source_file")
"""Columns of a merge list's statement."""
TWO_PATIENTS = "case_two_patients"
SHARED_NUMBER = "number_two_people"
_FAULTS = (TWO_PATIENTS, SHARED_NUMBER)


@dataclass(frozen=True, slots=True)
class People:
    """Who is behind the numbers.

    Attributes:
        cases: for each case, in order, whose it is: site, accession, person_id; fault and people where it is nobody's:
            ``case_two_patients``, or ``number_two_people`` if its patient number is of two people and no card says whom, and
            how many people it names.
        persons: rows of ``persons``, in order.
        identities: rows of ``identities``, in order.
        findings: numbers of two people, identity cards with two names, what merge lists join, and where they are wrong.
    """

    cases: pa.Table
    persons: pa.Table
    identities: pa.Table
    findings: Sequence[Finding]


def guarded_together(persons: pa.Table, shared: Iterable[Iterable[str]]) -> pa.Table:
    """Rows of ``persons`` in which persons who share something that one person alone can have are of one group.

    Their data stay apart: only splits, small cells and withdrawals take them together.
    """
    parties = [sorted(set(people)) for people in shared]
    asked = pa.array(sorted({person for people in parties for person in people}), pa.string())
    found = persons.filter(pc.is_in(persons["person_id"], asked)).select(["person_id", "group_id"]).to_pylist()
    groups = {row["person_id"]: row["group_id"] for row in found}
    heads: dict[str, str] = {}

    def head(group: str) -> str:
        while (above := heads.get(group, group)) != group:
            group = above
        return group

    for people in parties:
        least, *others = sorted({head(groups[person]) for person in people if person in groups}) or [""]
        heads.update(dict.fromkeys(others, least))
    replaced = pa.array(list(heads), pa.string())
    new = pa.array([head(group) for group in heads], pa.string())
    place = persons.schema.get_field_index("group_id")
    changed: Any = pc.coalesce(new.take(pc.index_in(persons["group_id"], replaced)), persons["group_id"])
    return persons.set_column(place, persons.schema.field(place), changed)


def build_people(reports: pa.Table, merges: pa.Table) -> People:
    """Persons behind the reports.

    One number of a site is one person. The same identity card with the same name makes several numbers one person, and so
    does a merge list, unless the reports of its numbers name two identity cards. Two cards under one number, or two names
    with other dates of birth or sexes, are two people who share it: the number joins nothing, and its cases belong to the
    holder of the card that they name, if they name one.

    Args:
        reports: :data:`COLUMNS` of all reports; it takes ten microseconds and 300 bytes for each, beside the reports.
        merges: :data:`MERGE_COLUMNS` of all statements of merge lists.
    """
    told, listed, identities = read(reports, merges)
    del reports, merges  # gigabytes, where the caller keeps none of it either
    told = _lend_numbers(told, len(identities.cases.one))
    number_is = identities.of_numbers()
    shared = np.zeros(identities.count, dtype=np.bool_)
    shared[number_is[_shared(told, len(number_is))]] = True
    of_report = with_none(number_is)[told.number]
    is_firm = (told.number != NONE) & ~shared[of_report]
    named = np.flatnonzero(is_firm & (told.holder != NONE))
    by_card = smallest(identities.count, Pairs(of_report[named], told.holder[named]))
    cards = np.full(identities.count, NONE, dtype=NUMBER)
    carded = np.flatnonzero(is_firm & (told.card != NONE))
    cards[by_card[of_report[carded]]] = told.card[carded]
    merged = merge(listed, number_is, by_card, shared, cards)
    owned = _owned(told, of_report, is_firm, merged.persons, identities)
    anchors = _anchors(told, of_report, is_firm, owned.owners, identities)
    anchored = Anchored(told, identities, merged, anchors, shared)
    standing = stand(anchored)
    cases = pa.table(
        {
            "site": repeating(pa.array(identities.cases.one), identities.sites),
            "accession": identities.accessions.take(identities.cases.other),
            "person_id": repeating(standing.places(owned.owners), standing.codes),
            "fault": repeating(pa.array(owned.faults, mask=owned.faults == NONE), pa.array(_FAULTS)),
            "people": pa.array(owned.people, mask=owned.faults == NONE),
        }
    )
    findings = [
        *_shared_findings(told, of_report, shared, identities),
        *_card_findings(told, anchored.persons, shared),
        *_merge_findings(listed, merged, by_card[of_report[told.number != NONE]], identities),
    ]
    return People(cases, standing.table, identity_rows(anchored, standing, owned.owners), findings)


def _lend_numbers(told: Told, cases: int) -> Told:
    """A supplement often comes without the patient's number: it has that of its case, unless it names another card."""
    without = np.flatnonzero(told.number == NONE)
    is_asked = np.zeros(cases, dtype=np.bool_)
    is_asked[told.case[without]] = True
    lenders = np.flatnonzero((told.number != NONE) & is_asked[told.case])
    number_of = np.full(cases, NONE, dtype=NUMBER)
    number_of[told.case[lenders]] = told.number[lenders]
    number_of[varied(told.case[lenders], told.number[lenders], cases)] = NONE
    carded = lenders[told.card[lenders] != NONE]
    names_card = np.zeros(cases, dtype=np.bool_)
    names_card[told.case[carded]] = True
    span = int(told.card.max(initial=0)) + 1
    case = told.case.astype(np.int64)
    agrees = np.isin(case[without] * span + told.card[without], case[carded] * span + told.card[carded])
    lent = agrees | (told.card[without] == NONE) | ~names_card[told.case[without]]
    number = told.number.copy()
    number[without[lent]] = number_of[told.case[without[lent]]]
    return replace(told, number=number)


def _shared(told: Told, numbers: int) -> Mask:
    """For each patient number whether the reports under it are about more than one person."""
    is_there = told.number != NONE
    carded = np.flatnonzero(is_there & (told.card != NONE))
    shared = varied(told.number[carded], told.card[carded], numbers)
    for column in (told.birth_date, told.sex):
        rows = np.flatnonzero(is_there & (told.name != NONE) & (column != NONE))
        # Against a name in Pinyin one in Han characters says nothing.
        keys = told.number[rows] * 2 + told.is_han[rows]
        # Two values and two names: then some name stands with one value and some other name with another.
        both = varied(keys, told.name[rows], 2 * numbers) & varied(keys, column[rows], 2 * numbers)
        shared |= both.reshape(numbers, 2).any(axis=1)
    return shared


@dataclass(frozen=True, slots=True)
class _Owned:
    """For each case the person whose it is, or why it is nobody's and how many people it names; else ``NONE``."""

    owners: Numbers
    faults: Numbers
    people: Numbers


def _owned(told: Told, numbers: Numbers, is_firm: Mask, persons: Numbers, identities: Identities) -> _Owned:
    count = len(identities.cases.one)
    has_holder = told.holder != NONE
    named = np.where(is_firm, persons[numbers], np.where(has_holder, persons[told.holder], NONE))
    rows = np.flatnonzero(named != NONE)
    # A case that names nobody is a person of its own, so that it still has a side of the split.
    owners = identities.of_cases()
    owners[told.case[rows]] = named[rows]
    is_open = _unsure(told, is_firm, has_holder)
    carded = np.flatnonzero(told.card != NONE)
    doubtful = varied(told.case[rows], named[rows], count) | varied(told.case[carded], told.card[carded], count)
    doubtful[told.case[is_open]] = True
    faults, people = np.full(count, NONE, dtype=NUMBER), np.full(count, NONE, dtype=NUMBER)
    for members in _by_key(told.case, doubtful):
        case = told.case[members[0]]
        known = set(named[members].tolist()) - {NONE}
        unsure = set(told.number[members[is_open[members]]].tolist())
        named_people = max(len(known) + len(unsure), len(set(told.card[members].tolist()) - {NONE}))
        if named_people > 1 or unsure:
            owners[case], people[case] = NONE, max(named_people, 2)
            faults[case] = _FAULTS.index(TWO_PATIENTS if named_people > 1 else SHARED_NUMBER)
    return _Owned(owners, faults, people)


def _unsure(told: Told, is_firm: Mask, has_holder: Mask) -> Mask:
    """For each report whether its number is of two people and no report of the case says by a card whom it means."""
    shared = np.flatnonzero((told.number != NONE) & ~is_firm)
    span = int(told.number.max(initial=0)) + 1
    keys = told.case[shared].astype(np.int64) * span + told.number[shared]
    unsure = np.zeros(len(told.case), dtype=np.bool_)
    unsure[shared[~np.isin(keys, keys[has_holder[shared]])]] = True
    return unsure


def _anchors(told: Told, numbers: Numbers, is_firm: Mask, owners: Numbers, identities: Identities) -> Numbers:
    """The identity that each report counts for."""
    anchors = identities.of_cases()[told.case]
    for better in (numbers, owners[told.case], told.holder, np.where(is_firm, numbers, NONE)):
        anchors = np.where(better == NONE, anchors, better)
    return anchors


def _by_key(keys: Numbers, chosen: Mask) -> list[Numbers]:
    """The rows of each chosen key, which are few."""
    rows = np.flatnonzero((keys != NONE) & chosen[keys])
    rows = rows[np.argsort(keys[rows], kind="stable")]
    return np.split(rows, np.flatnonzero(np.diff(keys[rows])) + 1) if len(rows) else []


def _shared_findings(told: Told, numbers: Numbers, shared: Mask, identities: Identities) -> Iterator[Finding]:
    parties = _by_key(numbers, shared)
    for members, report_id in zip(parties, _least(told, parties), strict=True):
        cards = len(set(told.card[members].tolist()) - {NONE})
        why = f"{cards} identity cards" if cards > 1 else "names with different dates of birth or sexes"
        yield _finding(
            f"link.{SHARED_NUMBER}", Severity.ERROR, report_id, "patient_id",
            f"{len(members)} reports under one patient number are of two people ({why}); cases that name an "
            "identity card are told apart by it, the slides of the others are linked to none. Correct the export",
            identities.sites[int(told.site[members[0]])].as_py(),
        )  # fmt: skip


def _card_findings(told: Told, persons: Numbers, shared: Mask) -> Iterator[Finding]:
    """One for each identity card of several persons."""
    cards = np.where(shared[persons], NONE, told.card)
    rows = np.flatnonzero(cards != NONE)
    parties = _by_key(cards, varied(cards[rows], persons[rows], int(cards.max(initial=0)) + 1))
    for members, report_id in zip(parties, _least(told, parties), strict=True):
        people = len(set(persons[members].tolist()))
        yield _finding(
            "link.card_two_names", Severity.WARNING, report_id, "id_number",
            f"one identity card stands under several numbers without an agreeing name; the {people} persons "
            "are kept apart, and on one side of every split",
        )  # fmt: skip


def _least(told: Told, parties: Sequence[Numbers]) -> list[str]:
    """Of each party of reports the least identifier."""
    if not parties:
        return []
    texts = iter(told.report_id.take(np.concatenate(parties)).to_pylist())
    return [min(str(text) for text in islice(texts, len(members))) for members in parties]


def _finding(rule: str, severity: Severity, report_id: str, column: str, what: str, site: str | None = None) -> Finding:
    return Finding(rule, severity, what, stage="link", site=site, table="reports", column=column, subject=report_id)


def _merge_findings(listed: Listed, merged: Merged, reported: Numbers, identities: Identities) -> Iterator[Finding]:
    """What the lists change for persons whom reports know (``reported``, as they are without the lists)."""
    joined = merged.joined[np.isin(merged.joined, reported)]
    _, sizes = np.unique(merged.persons[joined], return_counts=True)
    if (sizes > 1).any():
        before, after = int(sizes[sizes > 1].sum()), int((sizes > 1).sum())
        yield Finding(
            "link.merged", Severity.INFO,
            f"merge lists join {before} persons of the reports into {after}; their cases, splits and codes follow",
            stage="link", table="merges", column="patient_id", count=before,
        )  # fmt: skip
    rows = np.unique(merged.refused.other)
    merge_ids = dict(zip(rows.tolist(), listed.merge_id.take(rows).to_pylist(), strict=True))
    statements: dict[int, set[int]] = defaultdict(set)
    for statement, row in zip(merged.refused.one.tolist(), merged.refused.other.tolist(), strict=True):
        statements[statement].add(row)
    for statement, members in sorted(statements.items()):
        first = min(members, key=lambda row: str(merge_ids[row]))
        yield Finding(
            "link.merge_contradicts", Severity.ERROR,
            "a merge list names numbers as one person whose reports name two identity cards, or one that two people share; "
            "it was not believed: their data are kept apart, and on one side of every split",
            stage="link", site=identities.sites[int(listed.site[first])].as_py(), table="merges",
            column="patient_id" if statement < len(listed.number) else "master_id", subject=merge_ids[first],
            count=len(members),
        )  # fmt: skip
