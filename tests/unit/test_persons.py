"""Persons: which numbers are one person, which may be, and which are two; and what follows for splits and opt-outs."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from pathcurate.cohort import read_recipe, select
from pathcurate.deid import apply
from pathcurate.demo.cases import id_check_digit
from pathcurate.engines.embedded import Embedded
from pathcurate.link import link
from pathcurate.link.persons import People, build_people
from pathcurate.permissions import import_permissions
from pathcurate.tables import column_values, read_parquet
from pathcurate.text.identities import card_number, fold_name, phone_number
from pathcurate.workspace import load_workspace
from tests.clinic import open_clinic, report, slide

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


def parties(people: People, column: str = "person_id") -> list[set[str]]:
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


# ---- one person ----


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [(WANG, WANG, "王芳"), (WANG, WANG.lower(), " 王　芳"), (WANG, WANG_15, "王芳")],
)
def test_one_card_under_three_numbers_is_one_person(one: str, other: str, name: str) -> None:
    people = build_people(
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
    people = build_people([row("1", **first), row("2", **second)])
    assert parties(people) == [{"1:1"}, {"1:2"}]
    assert parties(people, "group_id") == [{"1:1", "1:2"}]
    assert {tuple(item["group_basis"]) for item in people.persons} == {("id_number",)}
    (finding,) = people.findings
    assert (finding.rule, finding.column) == ("link.card_two_names", "id_number")
    assert WANG not in finding.message
    assert "王" not in finding.message


def test_a_card_with_a_wrong_check_digit_matches_nothing() -> None:
    wrong = WANG[:-1] + ("0" if WANG[-1] != "0" else "1")
    people = build_people([row("1", id_number=wrong), row("2", id_number=wrong)])
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
    people = build_people([row("1", **same), row("2", site="NB02", **same)])
    assert parties(people) == [{"1:1"}, {"2:2"}]
    assert (parties(people, "group_id") == [{"1:1", "2:2"}]) is is_possible


def test_a_case_without_a_number_belongs_to_the_holder_of_its_card() -> None:
    people = build_people(
        [row("1", id_number=WANG), row(None, id_number=WANG, accession="S9-1"), row(None, accession="S9-2")]
    )
    assert len(people.persons) == 2
    assert len(set(people.owners.values())) == 2
    owners = {key[1]: owner for key, owner in people.owners.items()}
    assert owners["S9-1"] != owners["S9-2"]


def test_a_supplement_with_the_card_alone_speaks_for_the_number() -> None:
    people = build_people(
        [row("1", accession="S9-1"), row(None, accession="S9-1", id_number=WANG), row("2", id_number=WANG)]
    )
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
    people = build_people([row("1", accession="S9-1", **first), row("1", accession="S9-2", **second)])
    finding = next(item for item in people.findings if item.rule == "link.number_two_people")
    assert (finding.severity, finding.site, finding.column) == ("error", "NB01", "patient_id")
    if "id_number" in first:
        assert len(set(people.owners.values())) == 2, "their cards tell the cases apart"
    else:
        assert {fault.rule for fault in people.faults.values()} == {"number_two_people"}
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
    people = build_people([first, row("1", **second)])
    assert people.findings == []
    assert len(people.persons) == 1


def test_a_shared_number_joins_nobody() -> None:
    """Two people share number 1, each has another number: their cards still join those, and the shared one nothing."""
    people = build_people(
        [row("1", id_number=WANG), row("1", id_number=LI, patient_name="李娜"), row("2", id_number=WANG),
         row("3", id_number=LI, patient_name="李娜"), row("1", accession="S9-9", patient_name=None)]
    )  # fmt: skip
    assert parties(people) == [{"1:1"}, {"1:2"}, {"1:3"}]
    assert sorted(item["basis"] for item in people.persons) == ["id_number", "id_number", "shared_number"]
    assert people.faults["NB01", "S9-9"].rule == "number_two_people"


def test_a_case_with_two_cards_is_two_patients_even_without_names() -> None:
    people = build_people(
        [row("1", accession="S9-1", id_number=WANG, patient_name=None), row("1", accession="S9-2"),
         row(None, accession="S9-1", id_number=LI, patient_name=None)]
    )  # fmt: skip
    assert people.faults["NB01", "S9-1"].rule == "case_two_patients"
    assert ("NB01", "S9-2") in people.owners, "one wrong supplement does not spoil the number"


def test_a_case_of_two_numbers_of_one_person_is_one_patients() -> None:
    people = build_people([row("1", accession="S9-1", id_number=WANG), row("2", accession="S9-1", id_number=WANG)])
    assert people.faults == {}
    assert len(people.persons) == 1


def test_mother_and_child_under_one_number_and_card() -> None:
    people = build_people(
        [row("1", id_number=WANG, birth_date=date(1949, 12, 31), accession="S9-1"),
         row("1", id_number=WANG, birth_date=date(1980, 1, 1), accession="S9-2", patient_name="王芳之子", sex="male")]
    )  # fmt: skip
    assert list(people.owners) == [("NB01", "S9-1")]
    assert people.faults["NB01", "S9-2"].rule == "number_two_people"


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
            number, f"S23-{number}", patient_id=str(number), site="NB02" if number == 2 else "NB01",
            patient_name="王芳" if number <= 3 else f"李{chr(0x4E00 + number)}", id_number=WANG if number <= 2 else None,
            birth_date=date(1949, 12, 31 if number in {1, 3} else 30),
        )
        for number in range(1, 10)
    ]  # fmt: skip
    slides = [slide(number, site="NB02" if number == 2 else "NB01") for number in range(1, 10)]
    workspace = open_clinic(
        tmp_path, reports=reports, slides=slides, keys={s["slide_id"]: f"S23-{n}" for n, s in enumerate(slides, 1)}
    )
    file = workspace.root / "pathcurate.yaml"
    file.write_text(file.read_text() + "permissions: [{path: consent.csv}]\n")
    lines = [f"{'NB02' if n == 2 else 'NB01'},{n},知情同意,research,slides;reports," for n in range(1, 10)]
    lines.append(f"{'NB02' if leaving == '2' else 'NB01'},{leaving},,,,是")
    (workspace.root / "consent.csv").write_text("\n".join(["机构,患者编号,依据,用途,数据类型,退出", *lines]) + "\n")
    (workspace.root / "recipe.yaml").write_text(_RECIPE)
    workspace = load_workspace(file)
    import_permissions(workspace)
    link(workspace)
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
            report(number, f"S23-{number}", site=site, patient_id=str(number), patient_name=f"李{chr(0x4E00 + number // 2)}",
                   birth_date=date(1950, 1, 1))
        )  # fmt: skip
        slides.append(slide(number, site=site))
    keys = {made["slide_id"]: f"S23-{number}" for number, made in enumerate(slides)}
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
        report(1, "S23-1", patient_id="7", id_number=WANG, patient_name="王芳"),
        report(2, "S23-2", patient_id="7", id_number=LI, patient_name="李娜"),
        report(3, "S23-3", patient_id="8", patient_name="赵敏"),
    ]
    slides = [slide(number) for number in (1, 2, 3)]
    out = {"subject": "person", "site": "NB01", "subject_value": "7", "opt_out": True, "source": "a", "source_row": 2}
    keys = {made["slide_id"]: f"S23-{number}" for number, made in enumerate(slides, 1)}
    workspace = open_clinic(tmp_path, reports=reports, slides=slides, keys=keys, permissions=[out])
    assert apply(workspace, actor="tester").faults == ()
    (statement,) = read_parquet(workspace.vault / "criteria" / "permissions.parquet").to_pylist()
    cases = read_parquet(workspace.deid / "cases.parquet").to_pylist()
    assert [item["group_id"] == statement["subject_code"] for item in cases].count(True) == 2
    assert len({item["patient_id"] for item in cases}) == 3
