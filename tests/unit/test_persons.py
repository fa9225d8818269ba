"""Persons: which numbers are one person, which may be, and which are two; and what follows for splits and opt-outs."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.cohort import read_recipe, select
from pathcurate.deid import apply
from pathcurate.demo.cases import id_check_digit
from pathcurate.engines.embedded import Embedded
from pathcurate.link.persons import guarded_together
from pathcurate.model.person import IDENTITIES, MERGES, PERSONS
from pathcurate.permissions import import_permissions
from pathcurate.tables import Catalog, column_values, conform, from_rows, read_parquet
from pathcurate.text.identities import (
    are_han,
    card_number,
    card_numbers,
    fold_name,
    fold_names,
    is_han,
    name_relations,
    names_a_relation,
    phone_number,
    phone_numbers,
)
from pathcurate.workspace import load_workspace
from tests.clinic import link_again, open_clinic, report, slide
from tests.people import Found, find_people

Row = dict[str, Any]


def card(digits: str) -> str:
    return digits + id_check_digit(digits)


WANG, LI = card("11010519491231002"), card("44030119800229123")
WANG_15 = "110105491231002"


def row(number: str | None = None, **values: Any) -> Row:
    """A report of a woman called 王芳, each under an accession number of its own unless it says otherwise."""
    row.count = getattr(row, "count", 0) + 1  # type: ignore[attr-defined]
    name = f"{row.count:05}"  # type: ignore[attr-defined]
    return {
        "report_id": f"R-{name}", "site": "NB01", "accession": f"S23-{name}", "patient_id": number, "patient_name": "王芳",
        "id_number": None, "sex": "female", "birth_date": None, "phone": None, **values,
    }  # fmt: skip


def merge(one: str, other: str | None = None, **values: Any) -> Row:
    """A statement of a merge list about numbers of NB01."""
    merge.count = getattr(merge, "count", 0) + 1  # type: ignore[attr-defined]
    return {
        "merge_id": f"M-{merge.count:05}", "site": "NB01", "patient_id": one, "other_patient_id": other,  # type: ignore[attr-defined]
        **values,
    }  # fmt: skip


def parties(people: Found, column: str = "person_id") -> list[set[str]]:
    """Numbers of people who are (or may be) one, as sets; without cards."""
    code = {item["person_id"]: item[column] for item in people.persons}
    sets: dict[str, set[str]] = {}
    for item in people.identities:
        if item["id_type"] == "patient_id":
            sets.setdefault(code[item["person_id"]], set()).add(f"{item['site'][-1]}:{item['id_value']}")
    return sorted(sets.values(), key=sorted)


# ---- numbers of cards, names, telephones ----


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (WANG, WANG), (WANG.lower(), WANG), (f" {WANG[:6]} {WANG[6:14]} {WANG[14:]} ", WANG), (WANG_15, WANG),
        ("".join(chr(ord(c) + 0xFEE0) for c in WANG), WANG), (f"'{WANG}", WANG),
        (WANG[:-1] + ("0" if WANG[-1] != "0" else "1"), None),
        (card("11010519491331002"), None), (card("11010519490230002"), None), ("110105491331002", None),
        ("111111111111111", None), ("1" * 18, None), (WANG[:17], None), (WANG + "1", None), ("G12345678", None),
        ("1.10105E+17", None), ("", None), (None, None), ("²" * 18, None), ("١" * 18, None),
    ],
)  # fmt: skip
def test_card_numbers(text: str | None, number: str | None) -> None:
    assert card_number(text) == number


@pytest.mark.parametrize(
    ("one", "other"),
    [("王 芳", "王芳"), ("王\u3000芳", "王芳"), ("买买提·阿布都拉", "买买提•阿布都拉"), ("O'Brien, Mary", "o brien mary"),
     ("José", "JOSE\u0301"), ("ＷＡＮＧ", "wang"), ("⽟梅", "玉梅")],
)  # fmt: skip
def test_names_that_agree(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other) is not None


@pytest.mark.parametrize(
    "text",
    ["王**", "王＊", "王某", "王某某", "王X", "王xx", "无名氏", "无名氏1", "不详", "unknown", "王", "", " ", None, "王?"],
)
def test_names_that_say_nothing(text: str | None) -> None:
    assert fold_name(text) is None


def test_telephones() -> None:
    assert phone_number("138-0013 8000") == phone_number("１３８００１３８０００") == "13800138000"
    assert [phone_number(text) for text in ("8140", "0000000", "", None, "无")] == [None] * 5


def test_numbers_of_millions_are_those_of_each() -> None:
    digits = "110105194912310020"
    cards = [
        None, "", " ", WANG, WANG.lower(), WANG_15, "1" * 18, "0" * 18, f"{WANG}\n", digits, f"１{WANG[1:]}",
        *(card(f"110105{day}002") for day in (
            "19000229", "20000229", "19491301", "19490001", "19490100", "00000101", "19490431", "99991231",
        )),
        *(f"{digits[:-1]}{check}" for check in "0123456789X"),
    ]  # fmt: skip
    assert card_numbers(pa.array(cards)).to_pylist() == [card_number(text) for text in cards]
    assert sum(card_number(text) is not None for text in cards) == 8
    phones = [
        None,
        "",
        "7654321",
        "765432",
        "0000000",
        "1111111112",
        "138-0013 8000",
        "１３８００１３８０００",
        "7654321\n",
        "无",
    ]
    assert phone_numbers(pa.array(phones)).to_pylist() == [phone_number(text) for text in phones]
    names = [
        None,
        "",
        "王",
        "王芳",
        "王*",
        "王某",
        "王 芳",
        "不详",
        "患者",
        "无名氏",
        "王芳之女",
        "⽟梅",
        "𠀀芳",
        "㐀㐁",
        "O'Brien",
    ]
    folded = fold_names(pa.array(names))
    assert folded.to_pylist() == [fold_name(text) for text in names]
    known = [name for name in folded.to_pylist() if name] + ["BABYWANG", "王芳婴儿"]
    assert name_relations(pa.array(known)).tolist() == [names_a_relation(name) for name in known]
    assert are_han(pa.array(known)).tolist() == [is_han(name) for name in known]


# ---- one person ----


def test_one_accession_number_at_four_sites_is_four_cases() -> None:
    people = find_people([row("1", site=f"NB0{number}", accession="S24-01234") for number in range(1, 5)])
    assert len(people.persons) == 4
    assert list(people.owners) == [(f"NB0{number}", "S24-01234") for number in range(1, 5)]
    assert len(set(people.owners.values())) == 4


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [(WANG, WANG, "王芳"), (WANG, WANG.lower(), " 王　芳"), (WANG, WANG_15, "王芳")],
)
def test_one_card_under_three_numbers_is_one_person(one: str, other: str, name: str) -> None:
    people = find_people(
        [
            row("1", id_number=one),
            row("2", id_number=other, patient_name=name),
            row("1", site="NB02", id_number=one),
            row("3"),
        ]
    )
    assert parties(people) == [{"1:1", "1:2", "2:1"}, {"1:3"}]
    bases = {item["basis"]: item["evidence"] for item in people.persons}
    assert bases == {"id_number": 3, "site_number": 1}
    assert people.findings == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"id_number": WANG}, {"id_number": WANG, "patient_name": "李娜"}),
        ({"id_number": WANG}, {"id_number": WANG, "patient_name": "WANG FANG"}),
        ({"id_number": WANG}, {"id_number": WANG, "patient_name": "王*"}),
        ({"id_number": WANG}, {"id_number": WANG, "patient_name": None}),
        # Twins are written alike, with the mother's card.
        ({"id_number": WANG, "patient_name": "王芳之女"}, {"id_number": WANG, "patient_name": "王芳之女"}),
    ],
)
def test_a_card_without_an_agreeing_name_is_only_a_possible_match(first: Row, second: Row) -> None:
    people = find_people([row("1", **first), row("2", **second)])
    assert parties(people) == [{"1:1"}, {"1:2"}]
    assert parties(people, "group_id") == [{"1:1", "1:2"}]
    assert {tuple(item["group_basis"]) for item in people.persons} == {("id_number",)}
    (finding,) = people.findings
    assert (finding.rule, finding.column) == ("link.card_two_names", "id_number")
    assert WANG not in finding.message
    assert "王" not in finding.message


def test_a_card_with_a_wrong_check_digit_matches_nothing() -> None:
    wrong = WANG[:-1] + ("0" if WANG[-1] != "0" else "1")
    people = find_people([row("1", id_number=wrong), row("2", id_number=wrong)])
    assert parties(people, "group_id") == [{"1:1"}, {"1:2"}]


@pytest.mark.parametrize(
    ("same", "is_possible"),
    [
        ({}, False), ({"birth_date": date(1950, 1, 1)}, True), ({"birth_date": date(1950, 1, 1), "sex": None}, False),
        ({"phone": "13800138000"}, True), ({"phone": "13800138000", "patient_name": "王*"}, False),
        ({"birth_date": date(1950, 1, 1), "patient_name": None}, False),
    ],
)  # fmt: skip
def test_never_by_name_alone(same: Row, is_possible: bool) -> None:
    people = find_people([row("1", **same), row("2", site="NB02", **same)])
    assert parties(people) == [{"1:1"}, {"2:2"}]
    assert (parties(people, "group_id") == [{"1:1", "2:2"}]) is is_possible


def test_a_case_without_a_number_belongs_to_the_holder_of_its_card() -> None:
    people = find_people(
        [row("1", id_number=WANG), row(None, id_number=WANG, accession="S9-1"), row(None, accession="S9-2")]
    )
    assert len(people.persons) == 2
    assert len(set(people.owners.values())) == 2
    owners = {key[1]: owner for key, owner in people.owners.items()}
    assert owners["S9-1"] != owners["S9-2"]


def test_a_supplement_with_the_card_alone_speaks_for_the_number() -> None:
    people = find_people([row("1", accession="S9-1"), row(None, accession="S9-1", id_number=WANG), row("2", id_number=WANG)])
    assert parties(people) == [{"1:1", "1:2"}]


# ---- two people ----


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"id_number": WANG}, {"id_number": LI}),
        ({"birth_date": date(1950, 1, 1)}, {"birth_date": date(1980, 2, 29), "patient_name": "李娜"}),
        ({}, {"sex": "male", "patient_name": "李强"}),
    ],
)
def test_two_patients_one_number(first: Row, second: Row) -> None:
    people = find_people([row("1", accession="S9-1", **first), row("1", accession="S9-2", **second)])
    finding = next(item for item in people.findings if item.rule == "link.number_two_people")
    assert (finding.severity, finding.site, finding.column) == ("error", "NB01", "patient_id")
    if "id_number" in first:
        assert len(set(people.owners.values())) == 2, "their cards tell the cases apart"
    else:
        assert set(people.faults.values()) == {"number_two_people"}
    assert len({item["group_id"] for item in people.persons}) == 1, "who leaves under the number is kept out, whoever it is"


@pytest.mark.parametrize(
    "second",
    [
        {"patient_name": "李娜"}, {"patient_name": "WANG FANG", "birth_date": date(1950, 2, 1)},
        {"patient_name": "王*", "sex": "male"}, {"birth_date": date(1950, 2, 1)}, {"sex": "unknown", "patient_name": "李娜"},
    ],
)  # fmt: skip
def test_a_new_name_or_a_slip_alone_is_not_a_second_person(second: Row) -> None:
    first = row("1", birth_date=None if "birth_date" not in second else date(1950, 1, 1))
    people = find_people([first, row("1", **second)])
    assert people.findings == []
    assert len(people.persons) == 1


def test_a_shared_number_joins_nobody() -> None:
    """Two people share number 1, each has another number: their cards still join those, and the shared one nothing."""
    people = find_people(
        [row("1", id_number=WANG), row("1", id_number=LI, patient_name="李娜"), row("2", id_number=WANG),
         row("3", id_number=LI, patient_name="李娜"), row("1", accession="S9-9", patient_name=None)]
    )  # fmt: skip
    assert parties(people) == [{"1:1"}, {"1:2"}, {"1:3"}]
    assert sorted(item["basis"] for item in people.persons) == ["id_number", "id_number", "shared_number"]
    assert people.faults["NB01", "S9-9"] == "number_two_people"


def test_a_case_with_two_cards_is_two_patients_even_without_names() -> None:
    people = find_people(
        [row("1", accession="S9-1", id_number=WANG, patient_name=None), row("1", accession="S9-2"),
         row(None, accession="S9-1", id_number=LI, patient_name=None)]
    )  # fmt: skip
    assert people.faults["NB01", "S9-1"] == "case_two_patients"
    assert ("NB01", "S9-2") in people.owners, "one wrong supplement does not spoil the number"


def test_a_case_of_two_numbers_of_one_person_is_one_patients() -> None:
    people = find_people([row("1", accession="S9-1", id_number=WANG), row("2", accession="S9-1", id_number=WANG)])
    assert people.faults == {}
    assert len(people.persons) == 1


def test_mother_and_child_under_one_number_and_card() -> None:
    people = find_people(
        [row("1", id_number=WANG, birth_date=date(1949, 12, 31), accession="S9-1"),
         row("1", id_number=WANG, birth_date=date(1980, 1, 1), accession="S9-2", patient_name="王芳之子", sex="male")]
    )  # fmt: skip
    assert list(people.owners) == [("NB01", "S9-1")]
    assert people.faults["NB01", "S9-2"] == "number_two_people"


# ---- merge lists ----


def test_a_merge_list_later_joins_and_says_so() -> None:
    reports = [row("1"), row("2"), row("1", site="NB02"), row("3", id_number=WANG), row("4", id_number=WANG)]
    before = find_people(reports)
    assert parties(before) == [{"1:1"}, {"1:2"}, {"1:3", "1:4"}, {"2:1"}]
    after = find_people(reports, [merge("1", "2"), merge("2", "1", other_site="NB02"), merge("3", "4")])
    assert parties(after) == [{"1:1", "1:2", "2:1"}, {"1:3", "1:4"}]
    assert {item["basis"]: item["evidence"] for item in after.persons} == {"merge_list": 3, "id_number": 2}
    (finding,) = after.findings
    assert (finding.rule, finding.severity, finding.count) == ("link.merged", "info", 3)
    assert "3 persons of the reports into 1" in finding.message


@pytest.mark.parametrize(
    "merges",
    [
        [merge("1", "2"), merge("2", "3")], [merge("3", "2"), merge("2", "1"), merge("1", "3")],
        [merge("1", "9"), merge("9", "2"), merge("3", "9")],
        [merge("1", "2"), merge("1", "2"), merge("1", "1"), merge("3", "2")],
        [merge("1", master_id="7"), merge("2", master_id="7"), merge("3", master_id="７")],
        [merge("1", master_id="7", source_file="a"), merge("2", master_id="7", source_file="b"), merge("2", "3")],
    ],
    ids=["chain", "cycle", "through_a_number_of_no_report", "repeated", "master_number", "second_delivery"],
)  # fmt: skip
def test_three_numbers_merged_are_one_person(merges: list[Row]) -> None:
    people = find_people([row("1"), row("2"), row("3"), row("4")], merges)
    assert [{"1:4"}] == [party for party in parties(people) if "1:1" not in party]
    assert any({"1:1", "1:2", "1:3"} <= party for party in parties(people))
    assert [finding.rule for finding in people.findings] == ["link.merged"]


def test_the_indexes_of_two_hospitals_count_from_one_each() -> None:
    """What 1 is in one hospital's index is somebody else in another's; an index over several sites is one source."""
    lists = [merge("1", master_id="1", source_file="a"), merge("1", site="NB02", master_id="1", source_file="b")]
    reports = [row("1"), row("1", site="NB02")]
    assert parties(find_people(reports, lists)) == [{"1:1"}, {"2:1"}]
    assert parties(find_people(reports, [{**item, "source_file": "a"} for item in lists])) == [{"1:1", "2:1"}]


def test_a_master_number_of_two_cards_joins_none_of_its_numbers_at_any_site() -> None:
    reports = [row("1", id_number=WANG), row("2"), row("3", site="NB02", id_number=LI)]
    lists = [merge("1", master_id="M"), merge("2", master_id="M"), merge("3", site="NB02", master_id="M")]
    people = find_people(reports, lists)
    assert parties(people) == [{"1:1"}, {"1:2"}, {"2:3"}]
    assert len({item["group_id"] for item in people.persons}) == 1
    assert [(item.rule, item.count) for item in people.findings] == [("link.merge_contradicts", 3)]


def test_a_number_that_only_a_list_knows_leads_to_whom_it_was_merged_into() -> None:
    people = find_people([row("1")], [merge("1", "8"), merge("6", "7"), merge("5", master_id="3")])
    assert parties(people) == [{"1:1", "1:8"}], "numbers that lead to nobody of the reports are nobody's"
    assert people.findings == [], "nobody of the reports was joined to anybody"


@pytest.mark.parametrize(
    "reports",
    [
        [row("1", id_number=WANG), row("2", id_number=LI)],
        [row("1", id_number=WANG, patient_name="王*"), row("2", id_number=LI, patient_name=None)],
        [row("1", sex="male", patient_name="李强"), row("1"), row("2")],
    ],
    ids=["two_cards", "two_cards_without_names", "shared_number"],
)
def test_a_merge_that_contradicts_the_reports_is_not_believed(reports: list[Row]) -> None:
    people = find_people(reports, [merge("1", "2")])
    assert parties(people) == [{"1:1"}, {"1:2"}]
    assert parties(people, "group_id") == [{"1:1", "1:2"}]
    assert all("merge_list" in item["group_basis"] for item in people.persons if item["basis"] == "site_number")
    (finding,) = [finding for finding in people.findings if finding.rule == "link.merge_contradicts"]
    assert (finding.severity, finding.site, finding.table, finding.count) == ("error", "NB01", "merges", 1)
    assert not any(text in finding.message for text in (WANG, LI, "王"))
    assert not any(finding.rule == "link.merged" for finding in people.findings)


def test_a_chain_that_leads_to_two_cards_joins_none_of_its_numbers() -> None:
    """Which of the statements is wrong, nobody knows; one that contradicts the reports by itself leaves the others."""
    reports = [row("1", id_number=WANG), row("2"), row("3"), row("4", id_number=LI, patient_name="李娜"), row("5"), row("6")]
    chain = [merge("1", "2"), merge("2", "3"), merge("3", "4"), merge("5", "6")]
    people = find_people(reports, chain)
    assert parties(people) == [{"1:1"}, {"1:2"}, {"1:3"}, {"1:4"}, {"1:5", "1:6"}]
    assert parties(people, "group_id") == [{"1:1", "1:2", "1:3", "1:4"}, {"1:5", "1:6"}]
    assert [finding.rule for finding in people.findings].count("link.merge_contradicts") == 3
    people = find_people(reports, [merge("1", "2"), merge("1", "4"), merge("3", "4")])
    assert parties(people) == [{"1:1", "1:2"}, {"1:3", "1:4"}, {"1:5"}, {"1:6"}]


def test_of_a_master_number_with_a_shared_number_the_others_are_one_person() -> None:
    reports = [row("1"), row("2"), row("3"), row("3", sex="male", patient_name="李强")]
    people = find_people(reports, [merge(number, master_id="M") for number in "123"])
    assert parties(people) == [{"1:1", "1:2"}, {"1:3"}]
    assert len({item["group_id"] for item in people.persons}) == 1
    contradictions = [finding for finding in people.findings if finding.rule == "link.merge_contradicts"]
    assert [(finding.column, finding.count) for finding in contradictions] == [("master_id", 3)]


def test_a_number_of_no_report_in_a_list_that_is_not_believed_is_nobodys() -> None:
    """No data are read under it, but who leaves under it must be kept out, whoever of them it is."""
    people = find_people(
        [row("1", id_number=WANG), row("2", id_number=LI)], [merge(number, master_id="M") for number in ("1", "2", "9")]
    )
    assert parties(people) == [{"1:1"}, {"1:2"}, {"1:9"}]
    assert {item["basis"]: item["evidence"] for item in people.persons} == {"site_number": 1, "shared_number": 0}
    assert len({item["group_id"] for item in people.persons}) == 1


def test_a_merge_mends_a_case_of_two_numbers() -> None:
    reports = [row("1", accession="S9-1"), row("2", accession="S9-1"), row(None, accession="S9-1", patient_name=None)]
    assert find_people(reports).faults == {("NB01", "S9-1"): "case_two_patients"}
    people = find_people(reports, [merge("1", "2")])
    assert people.faults == {}
    assert len(people.persons) == 1


def test_a_merged_number_is_written_as_somebody_writes_it() -> None:
    people = find_people([row("a1"), row("Ａ2")], [merge(" A1 ", "a２"), merge("a1", ""), merge(" ", "a1")])
    assert parties(people) == [{"1:A1", "1:A2"}]


def test_who_shares_glass_is_of_one_group() -> None:
    people = find_people([row(str(number), birth_date=date(1950, 1, 1 + number // 2)) for number in range(8)])
    persons = conform(PERSONS, from_rows(PERSONS, people.persons))
    groups = {item["person_id"]: item["group_id"] for item in people.persons}
    assert len(set(groups.values())) == 4
    one, two, three, four = (
        sorted(person for person in groups if groups[person] == group) for group in sorted(set(groups.values()))
    )
    joined = guarded_together(persons, [[one[0], two[1]], ["P-NOBODY"], [], [three[0], two[0]], [four[0]]])
    after = dict(zip(column_values(joined, "person_id"), column_values(joined, "group_id"), strict=True))
    assert {after[person] for person in (*one, *two, *three)} == {min(groups[one[0]], groups[two[0]], groups[three[0]])}
    assert {after[person] for person in four} == {groups[four[0]]}
    assert joined.schema.equals(persons.schema)


def test_an_opt_out_under_a_merged_number_of_no_report_is_kept(tmp_path: Path) -> None:
    out = {"subject": "person", "site": "NB01", "subject_value": "OLD7", "opt_out": True, "source": "a", "source_row": 2}
    reports = [report(1, "S23-1001", patient_id="7"), report(2, "S23-1002", patient_id="8", patient_name="赵敏")]
    slides = [slide(number) for number in (1, 2)]
    keys = {made["slide_id"]: f"S23-{1000 + number}" for number, made in enumerate(slides, 1)}
    workspace = open_clinic(tmp_path, reports=reports, slides=slides, keys=keys, permissions=[out])
    catalog = Catalog(workspace.catalog)
    catalog.replace(MERGES, from_rows(MERGES, [merge("7", "old7")]))
    link_again(workspace)
    assert set(column_values(catalog.read(IDENTITIES), "id_type")) == {"accession", "patient_id"}
    assert apply(workspace, actor="tester").faults == ()
    (statement,) = read_parquet(workspace.vault / "criteria" / "permissions.parquet").to_pylist()
    cases = read_parquet(workspace.deid / "cases.parquet").to_pylist()
    assert [item["group_id"] == statement["subject_code"] for item in cases].count(True) == 1


# ---- what follows from it ----

_RECIPE = """\
recipe: 1
name: people
version: 1.0.0
title: Everybody who may be in
unit: slide
split: {ratios: {train: 0.5, test: 0.5}}
columns: [slide_id, patient_id, group_id, split]
"""


@pytest.mark.parametrize("leaving", ["1", "2", "3"])
def test_an_opt_out_under_one_of_three_numbers_keeps_all_three_out(tmp_path: Path, leaving: str) -> None:
    """Number 1 and 2 are one person by card, 3 may be the same by name, date of birth and sex; 4 to 9 are others."""
    reports = [
        report(
            number, f"S23-{1000 + number}", patient_id=str(number), site="NB02" if number == 2 else "NB01",
            patient_name="王芳" if number <= 3 else f"李{chr(0x4E00 + number)}", id_number=WANG if number <= 2 else None,
            birth_date=date(1949, 12, 31 if number in {1, 3} else 30),
        )
        for number in range(1, 10)
    ]  # fmt: skip
    slides = [slide(number, site="NB02" if number == 2 else "NB01") for number in range(1, 10)]
    workspace = open_clinic(
        tmp_path, reports=reports, slides=slides, keys={s["slide_id"]: f"S23-{1000 + n}" for n, s in enumerate(slides, 1)}
    )
    file = workspace.root / "pathcurate.yaml"
    file.write_text(file.read_text() + "permissions: [{path: consent.csv}]\n")
    lines = [f"{'NB02' if n == 2 else 'NB01'},{n},知情同意,research,slides;reports," for n in range(1, 10)]
    lines.append(f"{'NB02' if leaving == '2' else 'NB01'},{leaving},,,,是")
    (workspace.root / "consent.csv").write_text("\n".join(["机构,患者编号,依据,用途,数据类型,退出", *lines]) + "\n")
    (workspace.root / "recipe.yaml").write_text(_RECIPE)
    workspace = load_workspace(file)
    import_permissions(workspace)
    link_again(workspace)
    assert apply(workspace, actor="tester").faults == ()
    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        result = select(workspace, engine, read_recipe(workspace.root / "recipe.yaml"), now=datetime(2026, 1, 1, tzinfo=UTC))
    assert result.attrition.kept.slides == 6
    assert result.attrition.steps[0].dropped == 3
    cohort = read_parquet(workspace.cohorts / "people" / "cohort.parquet")
    assert len(set(column_values(cohort, "patient_id"))) == 6


def test_a_split_never_separates_a_group(tmp_path: Path) -> None:
    reports, slides = [], []
    for number in range(40):
        # Pairs by date of birth across sites, which are no certain match.
        site = "NB01" if number % 2 else "NB02"
        reports.append(
            report(number, f"S23-{1000 + number}", site=site, patient_id=str(number), birth_date=date(1950, 1, 1),
                   patient_name=f"李{chr(0x4E00 + number // 2)}")
        )  # fmt: skip
        slides.append(slide(number, site=site))
    keys = {made["slide_id"]: f"S23-{1000 + number}" for number, made in enumerate(slides)}
    workspace = open_clinic(tmp_path, reports=reports, slides=slides, keys=keys)
    apply(workspace, actor="tester")
    (workspace.root / "recipe.yaml").write_text(_RECIPE)
    with Embedded(workers=1, temp_directory=tmp_path / "spill") as engine:
        select(workspace, engine, read_recipe(workspace.root / "recipe.yaml"), now=datetime(2026, 1, 1, tzinfo=UTC))
    cohort = read_parquet(workspace.cohorts / "people" / "cohort.parquet").to_pylist()
    assert len({item["patient_id"] for item in cohort}) == 40
    sides: dict[str, set[str]] = {}
    for item in cohort:
        sides.setdefault(item["group_id"], set()).add(item["split"])
    assert len(sides) == 20
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"train", "test"}


def test_an_opt_out_under_a_shared_number_keeps_both_out(tmp_path: Path) -> None:
    reports = [
        report(1, "S23-1001", patient_id="7", id_number=WANG, patient_name="王芳"),
        report(2, "S23-1002", patient_id="7", id_number=LI, patient_name="李娜"),
        report(3, "S23-1003", patient_id="8", patient_name="赵敏"),
    ]
    slides = [slide(number) for number in (1, 2, 3)]
    out = {"subject": "person", "site": "NB01", "subject_value": "7", "opt_out": True, "source": "a", "source_row": 2}
    keys = {made["slide_id"]: f"S23-{1000 + number}" for number, made in enumerate(slides, 1)}
    workspace = open_clinic(tmp_path, reports=reports, slides=slides, keys=keys, permissions=[out])
    assert apply(workspace, actor="tester").faults == ()
    (statement,) = read_parquet(workspace.vault / "criteria" / "permissions.parquet").to_pylist()
    cases = read_parquet(workspace.deid / "cases.parquet").to_pylist()
    assert [item["group_id"] == statement["subject_code"] for item in cases].count(True) == 2
    assert len({item["patient_id"] for item in cases}) == 3
