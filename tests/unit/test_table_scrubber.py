"""The table scrubber on drawn tables: nothing passes that its column does not allow, and the check trusts nobody."""

# ruff: noqa: DTZ001  times of scanners and laboratories have no zone

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.profile import Profile, Treatment
from pathcurate.profiles import read_profile
from pathcurate.pseudonyms import internal
from pathcurate.scrubbers.table import (
    Scrubbed,
    apply,
    explain,
    needed,
    plan,
    verify,
)
from pathcurate.tables import column_values, from_rows

LAYER = internal(bytes(range(32)))
PROFILE = read_profile("default", Path())
DROP = (Treatment(Action.DROP),)
THINGS = Table(
    name="things",
    row="one thing",
    key=("thing_id",),
    columns=(
        Column("thing_id", Type.STRING, "Thing.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="S"),
        Column("name", Type.STRING, "Name.", Identifying.DIRECT, Action.DROP),
        Column("text", Type.STRING, "Text.", Identifying.DIRECT, Action.WITHHOLD),
        Column("organ", Type.STRING, "Organ.", Identifying.SENSITIVE, vocabulary="organs"),
        Column("sex", Type.STRING, "Sex.", Identifying.QUASI, values=("male", "female")),
        Column("block", Type.STRING, "Block.", pattern=r"\d{1,3}"),
        Column("evidence", Type.STRINGS, "Evidence.", values=("label", "barcode")),
        Column("age", Type.INTEGER, "Age.", Identifying.QUASI, Action.TOP_CODE),
        Column("day", Type.DATE, "Day.", Identifying.QUASI, Action.SHIFT),
        Column("moment", Type.TIMESTAMP, "Moment.", Identifying.QUASI, Action.SHIFT),
        Column("born", Type.DATE, "Birth.", Identifying.QUASI, Action.CRITERION),
        Column("bytes", Type.INTEGER, "Bytes.", Identifying.CRITERION_ONLY, Action.CRITERION),
        Column("width", Type.INTEGER, "Width."),
    ),
)


def scrub(*rows: dict[str, Any], owners: list[str] | None = None, profile: Profile = PROFILE) -> Scrubbed:
    data = from_rows(THINGS, rows)
    return apply(THINGS, data, pa.chunked_array([owners or ["p"] * len(rows)], pa.string()), LAYER, profile)


def column(name: str, *values: Any) -> tuple[list[Any], int]:
    """A column after scrubbing, and how many values were left out."""
    scrubbed = scrub(*({name: value} for value in values))
    return column_values(scrubbed.table, name), scrubbed.left_out.get(name, 0)


# --- plan and explain --------------------------------------------------------------------------------------------


def test_a_column_that_is_not_declared_has_no_rule() -> None:
    planned = {item.column: item for item in plan(THINGS, PROFILE, {"name": 1}, [*THINGS.names, "mood", "age2"], rows=2)}
    assert [name for name, item in planned.items() if item.action is None] == ["age2", "mood"]
    assert (planned["mood"].identifying, planned["mood"].sentence, planned["mood"].values) == (None, "no rule", 2)
    assert (planned["name"].action, planned["name"].values) == (Action.DROP, 1)
    assert set(planned) == {*THINGS.names, "mood", "age2"}


def test_every_column_says_what_is_done_to_it() -> None:
    sentences = explain(THINGS, PROFILE)
    assert [sentence.partition(": ")[0] for sentence in sentences] == [f"things.{name}" for name in THINGS.names]
    assert sentences[1] == "things.name: dropped"
    assert "withheld" in sentences[2]
    assert "90 standing for 90 and older" in sentences[THINGS.names.index("age")]


# --- apply -------------------------------------------------------------------------------------------------------


def test_only_what_is_allowed_comes_out() -> None:
    scrubbed = scrub(dict.fromkeys(THINGS.names))
    assert scrubbed.table.column_names == [
        "thing_id", "organ", "sex", "block", "evidence", "age", "day", "moment", "width",
    ]  # fmt: skip
    assert scrubbed.criteria.column_names == ["age", "day", "moment", "born", "bytes"]
    for schema in (scrubbed.table.schema, scrubbed.criteria.schema):
        assert schema.field("moment").type == pa.date32()


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("organ", ["乳腺", "BREAST", "breast", "ｂｒｅａｓｔ", "欧阳的乳腺", "", None], ["breast"] * 4 + [None] * 3),
        ("sex", ["male", "Male", "male ", "male\n", "张三", None], ["male", *[None] * 5]),
        ("block", ["1", "12", "1234", "12\n", "１２", "", None], ["1", "12", *[None] * 5]),
    ],
)
def test_a_text_outside_its_closed_set_is_left_out_and_counted(name: str, written: list[Any], kept: list[Any]) -> None:
    assert column(name, *written) == (kept, kept.count(None) - written.count(None))


def test_items_of_lists_are_left_out_and_counted_one_by_one() -> None:
    assert column("evidence", ["label", "张三", "barcode"], ["李四"], [], None) == ([["label", "barcode"], [], [], None], 2)


@pytest.mark.parametrize(("true", "shown"), [(0, 0), (89, 89), (90, 90), (91, 90), (140, 90), (None, None)])
def test_ages_from_ninety_on_are_one(true: int | None, shown: int | None) -> None:
    scrubbed = scrub({"age": true})
    assert (column_values(scrubbed.table, "age"), column_values(scrubbed.criteria, "age")) == ([shown], [true])


def test_codes_hang_on_the_value_alone() -> None:
    codes, _ = column("thing_id", "a", "b", "a", None)
    assert codes == [LAYER.codes.code("S", "a"), LAYER.codes.code("S", "b"), LAYER.codes.code("S", "a"), None]


def test_dates_move_with_their_person_and_lose_the_time_of_day() -> None:
    rows = [
        {"day": date(2020, 2, 29), "moment": datetime(2020, 3, 1, 23, 59, 59, 999999)},
        {"day": date(1969, 12, 31), "moment": datetime(1969, 12, 31, 23, 59)},
    ]
    scrubbed = scrub(*rows, owners=["p", "q"])
    for row, person, index in zip(rows, "pq", (0, 1), strict=True):
        moved = timedelta(days=LAYER.dates.days(person))
        assert column_values(scrubbed.table, "day")[index] == row["day"] + moved
        assert column_values(scrubbed.table, "moment")[index] == row["moment"].date() + moved  # type: ignore[attr-defined]
        assert column_values(scrubbed.criteria, "moment")[index] == row["moment"].date()  # type: ignore[attr-defined]


def test_no_rows_are_no_rows() -> None:
    scrubbed = scrub()
    assert (scrubbed.table.num_rows, scrubbed.criteria.num_rows, scrubbed.left_out) == (0, 0, {})


def test_what_a_profile_drops_is_neither_read_nor_shown_and_its_truth_stays() -> None:
    strict = PROFILE.model_copy(
        update={"columns": {f"things.{name}": DROP for name in ("age", "day", "evidence", "organ", "sex", "width")}}
    )
    row = {"thing_id": "a", "age": 61, "day": date(2020, 1, 1), "evidence": ["label"], "organ": "breast", "sex": "male",
           "width": 3, "block": "1"}  # fmt: skip
    scrubbed = scrub(row, profile=strict)
    assert {name for name in scrubbed.table.column_names if scrubbed.table[name].null_count == 0} == {"thing_id", "block"}
    assert scrubbed.table.schema == scrub(row).table.schema
    assert (scrubbed.criteria["age"][0].as_py(), scrubbed.criteria["day"][0].as_py()) == (61, date(2020, 1, 1))
    assert scrubbed.left_out == {}
    assert not {"evidence", "organ", "sex", "width"} & set(needed(THINGS, strict))


def test_a_day_that_leaves_the_calendar_is_left_out_and_counted() -> None:
    days = [date.min, date.max, date(2020, 1, 1), None]
    shown, lost = column("day", *days)
    assert (shown[2:], lost) == ([date(2020, 1, 1) + timedelta(days=LAYER.dates.days("p")), None], 1)
    assert shown[:2].count(None) == 1


def test_a_list_in_a_later_piece_of_a_table_is_its_own() -> None:
    rows = [{"evidence": value} for value in (["label"], [], None, ["x"], ["barcode", "x", "label"])]
    data = pa.concat_tables([from_rows(THINGS, rows[:2]), from_rows(THINGS, rows[2:])])[1:]
    scrubbed = apply(THINGS, data, pa.chunked_array([["p"] * 4]), LAYER, PROFILE)
    assert column_values(scrubbed.table, "evidence") == [[], None, [], ["barcode", "label"]]
    assert scrubbed.left_out == {"evidence": 2}


# --- verify ------------------------------------------------------------------------------------------------------

CHECKED = Table(
    "checked", "row", (),
    (
        Column("code", Type.STRING, "", pattern=r"S-[0-9A-HJKMNP-TV-Z]{16}"),
        Column("organ", Type.STRING, "", Identifying.SENSITIVE, vocabulary="organs"),
        Column("icd10", Type.STRING, "", Identifying.SENSITIVE, pattern=r"[A-Z]\d\d(\.\d{1,4})?([xX]\d{0,5})?"),
        Column("evidence", Type.STRINGS, "", values=("label", "barcode")),
        Column("age", Type.INTEGER, "", Identifying.QUASI),
        Column("day", Type.DATE, "", Identifying.QUASI),
    ),
)  # fmt: skip
GOOD = {"code": "S-0123456789ABCDEF", "organ": "breast", "icd10": "C50.9", "evidence": ["label"], "age": 90,
        "day": date(2020, 1, 1)}  # fmt: skip


def faults(**values: Any) -> list[tuple[str, str]]:
    data = from_rows(CHECKED, [GOOD, {**GOOD, **values}, dict.fromkeys(CHECKED.names)])
    return list(verify(CHECKED, data))


def test_a_good_table_has_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("column_name", "value"),
    [("code", "S-张三"), ("organ", "乳腺"), ("icd10", "C50.9\n"), ("icd10", "Ｃ５０"), ("evidence", ["label", "张三"])],
)
def test_a_value_outside_its_closed_set_is_a_fault(column_name: str, value: Any) -> None:
    assert faults(**{column_name: value}) == [(column_name, "has 1 values outside its closed set")]


def test_a_value_that_the_profile_does_not_show_is_a_fault() -> None:
    data = from_rows(CHECKED, [GOOD, dict.fromkeys(CHECKED.names)])
    found = list(verify(CHECKED, data, set(CHECKED.names) - {"organ", "evidence"}))
    assert found == [(name, "has 1 values, and the profile shows none") for name in ("organ", "evidence")]


def test_an_age_over_ninety_is_a_fault() -> None:
    assert faults(age=91) == [("age", "has ages over 90")]


def test_a_column_of_another_type_is_a_fault_whatever_it_holds() -> None:
    for name, array in (("age", pa.array(["欧阳靖远"])), ("day", pa.array([datetime(2020, 1, 1, 12)]))):
        data = from_rows(CHECKED, [GOOD])
        data = data.set_column(data.column_names.index(name), name, array)
        assert list(verify(CHECKED, data)) == [(name, "has another type than declared")]


def test_a_column_too_many_and_one_too_few_are_faults() -> None:
    data = from_rows(CHECKED, [GOOD]).append_column("patient_name", pa.array(["欧阳靖远"])).drop_columns("age")
    assert sorted(verify(CHECKED, data)) == [("age", "is missing"), ("patient_name", "is not declared")]


def test_a_declaration_that_lets_an_identifier_through_is_a_fault() -> None:
    data = from_rows(THINGS, [{"thing_id": "a"}])
    found = dict(verify(THINGS, data.select(["thing_id", "bytes"])))
    assert found["bytes"] == "is of class criterion_only"
    assert "thing_id" in found
