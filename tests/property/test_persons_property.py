"""Persons do not hang on the order of reports, nor on reports about others; and a person is never in two groups."""

from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.demo.cases import id_check_digit
from pathcurate.link.persons import build_people

CARDS = [digits + id_check_digit(digits) for digits in ("11010519491231002", "11010519491231003", "44030119800229123")]


@st.composite
def reports(draw: st.DrawFn, prefix: str = "A") -> list[dict[str, Any]]:
    """Few numbers, cards and names, so that they meet; another prefix shares nothing."""
    rows = draw(
        st.lists(
            st.fixed_dictionaries({
                "site": st.sampled_from(["NB01", "NB02"]), "accession": st.sampled_from([f"{prefix}{n}" for n in range(6)]),
                "patient_id": st.sampled_from([None, *(f"{prefix}-P{n}" for n in range(4))]),
                "patient_name": st.sampled_from([None, "王芳", "王 芳", "李娜", "WANG FANG", "王*", "王芳之女"]),
                "id_number": st.sampled_from([None, None, *CARDS, "110105194912310029"]) if prefix == "A" else st.none(),
                "sex": st.sampled_from([None, "male", "female"]) if prefix == "A" else st.none(),
                "birth_date": st.sampled_from([None, date(1950, 1, 1), date(1960, 1, 1)]),
                "phone": st.sampled_from([None, "13800138000"]) if prefix == "A" else st.none(),
            }),
            max_size=14,
        )
    )  # fmt: skip
    return [{"report_id": f"R-{prefix}{number}", **row} for number, row in enumerate(rows)]


@given(reports(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_order_says_nothing(rows: list[dict[str, Any]], chance: Any) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)
    one, other = build_people(rows), build_people(shuffled)
    assert (one.owners, one.faults, one.persons, one.identities) == (
        other.owners, other.faults, other.persons, other.identities
    )  # fmt: skip
    assert sorted(one.findings, key=repr) == sorted(other.findings, key=repr)


@given(reports(), reports("B"))
@settings(max_examples=150, deadline=None)
def test_reports_about_others_change_nothing(rows: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    alone, together = build_people(rows), build_people([*others, *rows])
    assert alone.owners.items() <= together.owners.items()
    persons = [tuple(map(str, item.values())) for item in together.persons]
    assert all(tuple(map(str, item.values())) in persons for item in alone.persons)
    assert all(item in together.identities for item in alone.identities)


@given(reports())
@settings(max_examples=150, deadline=None)
def test_the_tables_hold_together(rows: list[dict[str, Any]]) -> None:
    people = build_people(rows)
    persons = {item["person_id"]: item for item in people.persons}
    assert len(persons) == len(people.persons)
    assert {item["person_id"] for item in people.identities} <= persons.keys()
    assert set(people.owners.values()) <= persons.keys()
    assert people.owners.keys() | people.faults.keys() == {(row["site"], row["accession"]) for row in rows}
    assert not people.owners.keys() & people.faults.keys()
    # Every number leads to somebody: an opt-out under it can be kept.
    numbers = {(row["site"], row["patient_id"]) for row in rows if row["patient_id"]}
    assert {(item["site"], item["id_value"]) for item in people.identities if item["id_type"] == "patient_id"} == numbers
    for item in people.persons:
        members = [other for other in people.persons if other["group_id"] == item["group_id"]]
        assert (len(members) > 1) == bool(item["group_basis"])
    # Nobody owns a case by a number that two people share.
    shared = {item["person_id"] for item in people.persons if item["basis"] == "shared_number"}
    assert not shared & set(people.owners.values())
