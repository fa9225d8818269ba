"""Persons are those of the simple way, whatever the order and whatever others say; merge lists join, and never two cards."""

from collections import defaultdict
from datetime import date
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.demo.cases import id_check_digit
from pathcurate.link.persons.sets import Pairs, smallest
from pathcurate.pseudonyms import canonical
from pathcurate.text.identities import card_number
from tests import people_oracle
from tests.people import Found, Row, find_people

CARDS = [digits + id_check_digit(digits) for digits in ("11010519491231002", "11010519491231003", "44030119800229123")]


@st.composite
def reports(draw: st.DrawFn, prefix: str = "A") -> list[Row]:
    """Few numbers, cards and names, so that they meet; another prefix shares nothing."""
    rows = draw(
        st.lists(
            st.fixed_dictionaries({
                "site": st.sampled_from(["NB01", "NB02"]), "accession": st.sampled_from([f"{prefix}{n}" for n in range(6)]),
                "patient_id": st.sampled_from(
                    [None, "", *(f"{prefix}-P{n}" for n in range(4)), f"{prefix}-p0", f'{prefix}"\\\t芳']
                ),
                "patient_name": st.sampled_from([None, "王芳", "王 芳", "李娜", "WANG FANG", "王*", "王芳之女"]),
                "id_number": st.sampled_from([None, None, *CARDS, "110105491231002", "110105194912310029"])
                if prefix == "A" else st.none(),
                "sex": st.sampled_from([None, "male", "female", "unknown"]) if prefix == "A" else st.none(),
                "birth_date": st.sampled_from([None, date(1950, 1, 1), date(1980, 1, 1)]),
                "phone": st.sampled_from([None, "13800138000", "138-0013 8000"]) if prefix == "A" else st.none(),
            }),
            max_size=14,
        )
    )  # fmt: skip
    return [{"report_id": f"R-{prefix}{number}", **row} for number, row in enumerate(rows)]


@st.composite
def merge_lists(draw: st.DrawFn) -> list[Row]:
    """Statements about numbers that the reports have, and two that they do not."""
    number = st.sampled_from([*(f"A-P{n}" for n in range(4)), "A-p0", "A-X1", "A-X2"])
    rows = draw(
        st.lists(
            st.fixed_dictionaries({
                "site": st.sampled_from(["NB01", "NB02"]), "patient_id": number,
                "other_site": st.sampled_from([None, "NB01", "NB02"]),
                "other_patient_id": st.one_of(st.none(), number), "master_id": st.sampled_from([None, None, "1", "2"]),
                "source_file": st.sampled_from(["a", "b"]),
            }),
            max_size=5,
        )
    )  # fmt: skip
    return [{"merge_id": f"M-{number}", **row} for number, row in enumerate(rows)]


def without_order(people: Found) -> tuple[Any, ...]:
    return (
        people.owners,
        people.faults,
        people.people,
        people.persons,
        people.identities,
        sorted(people.findings, key=repr),
    )


@given(reports())
@settings(max_examples=80, deadline=None)
def test_persons_are_those_of_the_simple_way(rows: list[Row]) -> None:
    found, truth = find_people(rows), people_oracle.build_people(rows)
    assert found.persons == sorted(truth.persons, key=lambda row: str(row["person_id"]))
    groups = {row["person_id"]: row["group_id"] for row in truth.persons}
    assert found.identities == [{**row, "group_id": groups[row["person_id"]]} for row in truth.identities]
    assert found.owners == truth.owners
    assert found.faults == {case: fault.rule for case, fault in truth.faults.items()}
    assert found.people == {case: fault.people for case, fault in truth.faults.items()}
    assert sorted(found.findings, key=repr) == sorted(truth.findings, key=repr)


@given(reports(), merge_lists(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_says_nothing(rows: list[Row], merges: list[Row], chance: Any) -> None:
    found = find_people(rows, merges)
    shuffled, mixed = list(rows), list(merges)
    chance.shuffle(shuffled)
    chance.shuffle(mixed)
    assert without_order(found) == without_order(find_people(shuffled, mixed))


@given(reports(), merge_lists(), reports("B"))
@settings(max_examples=40, deadline=None)
def test_reports_about_others_change_nothing(rows: list[Row], merges: list[Row], others: list[Row]) -> None:
    alone, together = find_people(rows, merges), find_people([*others, *rows], merges)
    assert alone.owners.items() <= together.owners.items()
    assert all(row in together.persons for row in alone.persons)
    assert all(row in together.identities for row in alone.identities)


@given(reports(), merge_lists())
@settings(max_examples=60, deadline=None)
def test_the_tables_hold_together(rows: list[Row], merges: list[Row]) -> None:
    people = find_people(rows, merges)
    persons = {item["person_id"]: item for item in people.persons}
    assert list(persons) == sorted(persons)
    assert len(persons) == len(people.persons)
    keys = [(item["site"], item["id_type"], item["id_value"]) for item in people.identities]
    assert keys == sorted(set(keys))
    assert all(item["group_id"] == persons[item["person_id"]]["group_id"] for item in people.identities)
    assert set(people.owners.values()) <= persons.keys()
    assert people.owners.keys() | people.faults.keys() == {(row["site"], row["accession"]) for row in rows}
    assert not people.owners.keys() & people.faults.keys()
    # Every number leads to somebody: an opt-out under it can be kept.
    numbers = {(row["site"], canonical(row["patient_id"])) for row in rows if row["patient_id"]}
    assert numbers <= numbers_of(people).keys()
    for item in people.persons:
        members = [other for other in people.persons if other["group_id"] == item["group_id"]]
        assert (len(members) > 1) == bool(item["group_basis"])
    # Nobody owns a case by a number that two people share.
    shared = {item["person_id"] for item in people.persons if item["basis"] == "shared_number"}
    assert not shared & set(people.owners.values())


def numbers_of(people: Found) -> dict[tuple[str, str], str]:
    """Person of each patient number."""
    return {
        (item["site"], item["id_value"]): item["person_id"] for item in people.identities if item["id_type"] == "patient_id"
    }


@given(reports(), merge_lists())
@settings(max_examples=80, deadline=None)
def test_what_merge_lists_do(rows: list[Row], merges: list[Row]) -> None:
    before, after = find_people(rows), find_people(rows, merges)
    old, new = numbers_of(before), numbers_of(after)
    # A list joins persons and parts none.
    assert all(new[one] == new[other] for one, other in combinations(old, 2) if old[one] == old[other])
    # Nobody gets a second identity card by it.
    shared = {item["person_id"] for item in after.persons if item["basis"] == "shared_number"}
    cards: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["patient_id"] and card_number(row["id_number"]):
            cards[new[row["site"], canonical(row["patient_id"])]].add(str(card_number(row["id_number"])))
    assert all(len(found) == 1 for person, found in cards.items() if person not in shared)
    # Two numbers of the reports that a list names as one person are one, or the list is refused and they are of one group.
    groups = {item["person_id"]: item["group_id"] for item in after.persons}
    refused = {finding.subject for finding in after.findings if finding.rule == "link.merge_contradicts"}
    for item in merges:
        one = (item["site"], canonical(item["patient_id"]))
        other = (item["other_site"] or item["site"], canonical(item["other_patient_id"] or ""))
        if one in new and other in new:
            assert groups[new[one]] == groups[new[other]]
            assert new[one] == new[other] or item["merge_id"] in refused
    # What is told is what has happened.
    joined = [finding for finding in after.findings if finding.rule == "link.merged"]
    assert bool(joined) == any(new[one] == new[other] for one, other in combinations(old, 2) if old[one] != old[other])
    assert not any(text in finding.message for finding in after.findings for text in ("A-", *CARDS))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=60))
@settings(max_examples=60, deadline=None)
def test_sets_are_known_by_their_smallest_member(pairs: list[tuple[int, int]]) -> None:
    sets = [{number} for number in range(41)]
    for one, other in pairs:
        if sets[one] is not sets[other]:
            sets[one] |= sets[other]
            for member in sets[other]:
                sets[member] = sets[one]
    columns = [np.array([pair[side] for pair in pairs], dtype=np.int32) for side in (0, 1)]
    assert smallest(41, Pairs(columns[0], columns[1])).tolist() == [min(members) for members in sets]
