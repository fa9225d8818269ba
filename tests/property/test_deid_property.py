"""Pseudonyms, date shifts and the table scrubber on invented values: what must hold whatever a hospital types."""

import re
import string
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pathcurate.model.column import Action, Column, Identifying, Table, Type
from pathcurate.model.deidentified import DEID_TABLES
from pathcurate.model.text import TEXT_TABLES
from pathcurate.profiles import read_profile
from pathcurate.pseudonyms import canonical, internal, product
from pathcurate.scrubbers import table as table_scrubber
from pathcurate.scrubbers.table import apply, verify
from pathcurate.tables import from_rows
from pathcurate.text.vocabulary import vocabulary

PROFILE = read_profile("default", Path())
keys = st.binary(min_size=32, max_size=32)
numbers = st.text(st.sampled_from(string.digits + string.ascii_letters + "０１９ＡＺ- \u3000病张\x1f\x00"), max_size=12)
parts = st.lists(numbers, max_size=3)
days = st.dates()


@given(keys, parts, parts)
@example(bytes(32), ["a", "bc"], ["ab", "c"])
@example(bytes(32), ["a\x1fb"], ["a", "b"])
@example(bytes(32), ["a\x00\x00\x00\x01b"], ["a", "b"])
def test_two_codes_agree_only_if_kind_and_every_part_do(key: bytes, one: list[str], other: list[str]) -> None:
    layer = internal(key).codes
    assert (layer.code("C", *one) == layer.code("C", *other)) == (one == other)
    assert layer.code("C", *one) != layer.code("P", *one)
    assert layer.code("C", *one) == internal(key).codes.code("C", *one)


@given(keys, st.text(max_size=8), st.text(max_size=8), numbers)
def test_no_two_products_share_a_code(key: bytes, one: str, other: str, number: str) -> None:
    assume(one != other)
    codes = {layer.code("P", number) for layer in (product(key, one).codes, product(key, other).codes, internal(key).codes)}
    assert len(codes) == 3


@given(numbers)
def test_a_number_is_canonical_after_the_first_time(number: str) -> None:
    once = canonical(number)
    assert canonical(once) == once
    assert once == canonical(f"\u3000{number.lower()}\t")


@given(keys, st.text(max_size=8), days, days)
def test_intervals_within_a_person_and_days_of_the_week_are_kept(key: bytes, person: str, one: date, other: date) -> None:
    shift = internal(key).dates
    moved, other_moved = shift.shift(person, one), shift.shift(person, other)
    offset = shift.days(person)
    assert offset % 7 == 0
    assert 7 <= abs(offset) <= 364
    if moved is None or other_moved is None:
        gap = timedelta(days=370)
        assert any(day - date.min < gap or date.max - day < gap for day in (one, other))
        return
    assert moved - one == timedelta(days=offset)
    assert other_moved - moved == other - one
    assert moved.weekday() == one.weekday()


@given(keys, st.lists(st.text(max_size=6), min_size=2, max_size=6))
def test_all_persons_of_a_workspace_move_in_one_direction(key: bytes, persons: list[str]) -> None:
    assert len({internal(key).dates.days(person) > 0 for person in persons}) == 1


RECORDS = Table(
    name="records",
    row="one record",
    key=("record_id",),
    columns=(
        Column("record_id", Type.STRING, "Record.", Identifying.DIRECT, Action.PSEUDONYM, pseudonym="R"),
        Column("name", Type.STRING, "Name.", Identifying.DIRECT, Action.DROP),
        Column("text", Type.STRING, "Text.", Identifying.DIRECT, Action.WITHHOLD),
        Column("organ", Type.STRING, "Organ.", Identifying.SENSITIVE, vocabulary="organs"),
        Column("sex", Type.STRING, "Sex.", Identifying.QUASI, values=("male", "female")),
        Column("block", Type.STRING, "Block.", pattern=r"\d{1,3}"),
        Column("evidence", Type.STRINGS, "Evidence.", values=("label", "barcode")),
        Column("age", Type.INTEGER, "Age.", Identifying.QUASI, Action.TOP_CODE),
        Column("day", Type.DATE, "Day.", Identifying.QUASI, Action.SHIFT),
    ),
)
SHOWN = Table(
    "records", "one record", ("record_id",),
    (
        Column("record_id", Type.STRING, "", pattern="R-[0-9A-HJKMNP-TV-Z]{16}"),
        *(RECORDS[name] for name in ("organ", "sex", "block", "evidence")),
        Column("age", Type.INTEGER, "", Identifying.QUASI), Column("day", Type.DATE, "", Identifying.QUASI),
    ),
)  # fmt: skip
typed = (
    st.none()
    | st.sampled_from(["male", "乳腺", "breast", "12", "１２", "label", "张三丰", "12\n", "S23-00001", ""])
    | numbers
)
records = st.lists(
    st.fixed_dictionaries({
        "record_id": st.none() | numbers, "name": typed, "text": typed, "organ": typed, "sex": typed, "block": typed,
        "evidence": st.none() | st.lists(typed.filter(lambda text: text is not None), max_size=3),
        "age": st.none() | st.integers(0, 200), "day": st.none() | days,
    }),
    max_size=6,
)  # fmt: skip


@settings(deadline=None)
@given(keys, records)
def test_whatever_is_typed_what_comes_out_passes_the_check(key: bytes, rows: list[dict[str, Any]]) -> None:
    data = from_rows(RECORDS, rows)
    owners = pa.chunked_array([[str(row["name"]) for row in rows]], pa.string())
    scrubbed = apply(RECORDS, data, owners, internal(key), PROFILE)
    result = scrubbed.table
    assert result.column_names == list(SHOWN.names)
    assert result.num_rows == scrubbed.criteria.num_rows == len(rows)
    assert list(verify(SHOWN, result)) == []
    for column, allowed in (("organ", set(vocabulary("organs").codes)), ("sex", {"male", "female"})):
        kept = result[column].to_pylist()
        assert set(kept) <= allowed | {None}
        lost = sum(before[column] is not None and after is None for before, after in zip(rows, kept, strict=True))
        assert scrubbed.left_out.get(column, 0) == lost
    assert all(item in ("label", "barcode") for items in result["evidence"].to_pylist() for item in items or ())
    for before, after, truth in zip(rows, result.to_pylist(), scrubbed.criteria.to_pylist(), strict=True):
        assert (after["age"], truth["age"]) == (None if before["age"] is None else min(before["age"], 90), before["age"])
        assert truth["day"] == before["day"]
        assert after["day"] is None or after["day"] != before["day"]
        assert (after["record_id"] is None) == (before["record_id"] is None)


_PATTERNED = {
    column.pattern: column
    for table in (*DEID_TABLES.values(), *TEXT_TABLES.values())
    for column in table.columns
    if column.pattern and column.type is Type.STRING
}


@pytest.mark.parametrize("pattern", _PATTERNED)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_value_outside_its_pattern_is_told_however_like_one_it_looks(pattern: str, data: st.DataObject) -> None:
    fits = data.draw(st.lists(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True), max_size=3))
    signs = data.draw(st.lists(st.sampled_from(["\n", "\r", "\0", " ", "１", "٣", "x", "\u2028"]), max_size=2))
    near = [made for one in fits for sign in signs for made in (one + sign, sign + one, one[:-1] + sign)]
    values = [*fits, *near, *data.draw(st.lists(st.text(max_size=6), max_size=3)), None]
    wrong = {value for value in values if value is not None and re.fullmatch(pattern, value, re.ASCII) is None}
    made = pa.chunked_array([pa.array(values, pa.string())])
    assert table_scrubber._outside(_PATTERNED[pattern], made) == len(wrong)
