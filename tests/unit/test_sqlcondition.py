"""The ``sql`` of a criterion: what it may say, what it becomes, and that no value is ever named when it fails."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.engines.embedded import Embedded
from pathcurate.errors import RecipeError
from pathcurate.model.column import Column, Table, Type
from pathcurate.recipefile import load_recipe
from pathcurate.sqlcondition import MOST_NODES, compared_texts, condition_faults, parse_condition

VIEW = Table("slides", "one slide", (), (
    Column("stain", Type.STRING, "Stain.", values=("HE", "PAS")),
    Column("note", Type.STRING, "Text.", pattern=".*"),
    Column("mpp", Type.FLOAT, "Microns per pixel."),
    Column("width", Type.INTEGER, "Width."),
    Column("is_control", Type.BOOLEAN, "Control."),
    Column("scanned", Type.DATE, "When."),
    Column("made", Type.DATE, "When."),
    Column("levels", Type.FLOATS, "Levels."),
))  # fmt: skip

CAST = "this cast is not the same on every engine, or fails on some values; leave it out"
ZERO = "divide by a number other than 0, written out: engines disagree on the rest"
FINITE = "a number must be finite, and a whole one fit into 64 bits"
DAYS = "days that are added to a date are a whole number up to 100000"
GOOD = {
    "mpp >= 0.2 and stain in ('HE', 'PAS') or not is_control": "mpp >= 0.2e0 AND stain IN ('HE', 'PAS') OR NOT is_control",
    "scanned >= date '2020-02-29'": "scanned >= CAST('2020-02-29' AS DATE)",
    "extract(year from scanned) = 2020 and month(made) <> 2": "YEAR(scanned) = 2020 AND MONTH(made) <> 2",
    "scanned - made > 30 and made + 30 < scanned": "scanned - made > 30 AND made + 30 < scanned",
    "(scanned - made) / 365.25 > 1": "CAST((scanned - made) AS DOUBLE) / 365.25e0 > 1",
    "width * width - 1 > 1e9": "CAST(width AS DOUBLE) * CAST(width AS DOUBLE) - 1e0 > 1e9",
    "length(note) * 2 % 3 = 1": "CAST(LENGTH(note) AS DOUBLE) * 2e0 % 3e0 = 1",
    "levels is null and mpp is not null": "levels IS NULL AND NOT mpp IS NULL",
    "stain is distinct from 'HE' and is_control is not true": "stain IS DISTINCT FROM 'HE' AND NOT is_control IS TRUE",
    "case when mpp > 1 then 'a' when is_control then note end = 'a'":
        "CASE WHEN mpp > 1 THEN 'a' WHEN is_control THEN note END = 'a'",
    "case stain when 'HE' then 1 else 0 end = 1": "CASE stain WHEN 'HE' THEN 1 ELSE 0 END = 1",
    "coalesce(round(abs(mpp), 2), 0) between 0 and -(-1)":
         "COALESCE(ROUND(ABS(CAST(mpp AS DOUBLE)), 2), 0) BETWEEN 0 AND -CAST((-1) AS DOUBLE)",
    "regexp_matches(lower(note), '^a[0-9]+$')": "REGEXP_MATCHES(LOWER(note), '^a[0-9]+$')",
    "note like 'a!_%' escape '!' and upper(note) ilike 'b%'":
        "note LIKE 'a!_%' ESCAPE '!' AND UPPER(note) ILIKE 'b%'",
    "width::varchar = '1' and cast(is_control as bigint) = 1":
        "CAST(width AS TEXT) = '1' AND CAST(is_control AS BIGINT) = 1",
    "note = 'it''s -- ; ${x} $1 ? /* */ \\'": "note = 'it''s -- ; ${x} $1 ? /* */ \\'",
    '"stain" = \'HE\'': '"stain" = \'HE\'',
    "is_control": "is_control",
}  # fmt: skip
BAD = {
    "": [("not a condition in SQL", "")],
    "mpp >": [("not a condition in SQL near `>`", ">")],
    "note = 'x": [("not a condition in SQL: a quote is not closed, or it is nested too deeply", "")],
    "stian = 'HE'": [("unknown column `stian` in table slides; did you mean `stain`?", "stian")],
    "slides.stain = 'HE'": [("write the name of the column alone: a condition has one table", "stain")],
    "mpp": [("the condition must be true or false; this is a number", "mpp")],
    "mpp = 'x'": [("this is text beside a number", "'x'")],
    "stain > 5 or width = is_control": [("this is a number beside text", "5"), ("this is true or false beside a number",
                                                                                  "is_control")],
    "scanned > '2020-01-01'": [("this is text beside a date", "'2020-01-01'")],
    "scanned > date '2020-13-01'": [("`2020-13-01` is not in the calendar", "'2020-13-01'")],
    "scanned + width > made": [(DAYS, "width")],
    "scanned * 2 > made": [("this is a date where a number must stand", "scanned"),
                           ("this is a date beside a number", "made")],
    "not mpp": [("this is a number where true or false must stand", "mpp")],
    "lower(mpp) = 'a'": [("this is a number where text must stand", "mpp")],
    "levels = 1": [("column `levels` holds no single value; only `is null` can be asked of it", "levels")],
    "mpp / width > 1": [(ZERO, "width")],
    "mpp % 0 = 1": [(ZERO, "0")],
    "mpp = 1e400": [(FINITE, "1e400")],
    "width = 9223372036854775808": [(FINITE, "9223372036854775808")],
    "width in (1, mpp)": [("a list holds constants only", "mpp")],
    "width in ()": [("a list must not be empty", "width")],
    "stain is 'HE'": [("`is` goes with null, true and false", "'HE'")],
    "note like stain": [("a pattern must be a text in quotes", "stain")],
    "regexp_matches(note, '(?<!a)b')": [("not an RE2 pattern: invalid perl operator: (?<!", "'(?<!a)b'")],
    "regexp_matches(note, 'a', 'i')": [
        ("`regexp_matches` cannot stand in a condition with these arguments", "regexp_matches"),
    ],
    "round(mpp, width) = 1": [("digits are a number from 0 to 9", "width")],
    "extract(day from scanned) = 1": [("only the year and the month can be extracted", "scanned")],
    "mpp::varchar = '1'": [(CAST, "mpp")],
    "note::date = scanned": [(CAST, "note")],
    "cast(note as bigint) = 1": [(CAST, "note")],
    "is_control -- why": [("a comment cannot stand in a condition; write a YAML comment", "is_control")],
    "/* a */ is_control": [("a comment cannot stand in a condition; write a YAML comment", "is_control")],
    "is_control; drop table slides": [("`;` cannot stand in a condition", ";")],
    "note ~ 'a'": [("`~` cannot stand in a condition", "~")],
    "note = ?": [("a parameter cannot stand in a condition", "")],
    "stain in (select 'HE')": [("another query cannot stand in a condition", "stain")],
    "exists (select 1)": [("another query cannot stand in a condition", "1")],
    "select is_control": [("another query cannot stand in a condition", "is_control")],
    "read_text('x') = 'a'": [("`read_text` cannot stand in a condition", "read_text")],
    "getenv('HOME') = 'a' or count(*) > 1": [("`getenv` cannot stand in a condition", "getenv"),
                                             ("`count` cannot stand in a condition", "count")],
    "row_number() over () = 1": [("`window` cannot stand in a condition", "row_number")],
    "mpp & 1 = 1": [("`bitwiseand` cannot stand in a condition", "mpp")],
    "scanned > current_date": [("`currentdate` cannot stand in a condition", "")],
    "note || note = 'a'": [("`dpipe` cannot stand in a condition", "note")],
    "try_cast(mpp as int) = 1": [("`trycast` cannot stand in a condition", "mpp")],
    "is_control as x": [("`alias` cannot stand in a condition", "is_control")],
    "*": [("`*` cannot stand in a condition", "*")],
}  # fmt: skip


@pytest.mark.parametrize(("text", "portable"), GOOD.items())
def test_what_a_condition_becomes(text: str, portable: str) -> None:
    assert condition_faults(text, VIEW) == []
    assert parse_condition(text, VIEW).sql("duckdb") == portable


@pytest.mark.parametrize(("text", "faults"), BAD.items())
def test_what_a_condition_may_not_be(text: str, faults: list[tuple[str, str]]) -> None:
    assert [(one.message, text[one.start : one.start + one.length]) for one in condition_faults(text, VIEW)] == faults
    with pytest.raises(ValueError):  # noqa: PT011 (the message is the one above)
        parse_condition(text, VIEW)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 1900 + "is_control" + ")" * 1900, "not " * 900 + "is_control", " and ".join(["is_control"] * 300),
        f"width in ({','.join(['1'] * MOST_NODES)})", "case when " * 300, "'" * 3999, "a.b.c.d.e.f = 1", "\0",
        "is_control \ud800",
    ],
)  # fmt: skip
def test_nothing_is_too_much_for_it(text: str) -> None:
    assert condition_faults(text, VIEW)


def test_texts_that_columns_are_compared_with() -> None:
    text = "stain = 'HE' and 'a' = note or stain in ('PAS', 'x') and mpp = 1 and stain = note"
    found = {(name, value, text[start : start + length]) for name, value, start, length in compared_texts(text, VIEW)}
    assert found == {("stain", "HE", "'HE'"), ("note", "a", "'a'"), ("stain", "PAS", "'PAS'"), ("stain", "x", "'x'")}


SQL = """\
recipe: 1
name: r
version: 1.0.0
title: t
unit: slide
include:
- {id: a, level: slide, sql: "stain = 'HE' and stian = 'HE'"}
- id: b
  level: slide
  sql: |
    stain = 'HE' and
    stain in ('PAS', 'HEE')   # no comment in yaml here
- id: c
  level: slide
  sql: >-
    mpp > 1 and
    mpp > 'x'
- {id: d, level: case, any_of: [{sql: age > 3}, {sql: 'accession = ''A1'''}]}
- {id: e, level: slide, sql: 'stain = ''Giems'''}
columns: [slide_id]
"""


def test_a_fault_is_shown_inside_the_text() -> None:
    text = SQL.replace("   # no comment in yaml here", "")
    with pytest.raises(RecipeError) as caught:
        load_recipe(Path("r.yaml"), text=text)
    found = [line.removeprefix("r.yaml:") for line in caught.value.message.splitlines() if line.startswith("r.yaml:")]
    assert found == [
        "7:48: error: unknown column `stian` in table slides; did you mean `stain`?",
        "12:22: error: `HEE` is not a value of column `stain`; did you mean `HE`?",
        "17:11: error: this is text beside a number",
        "18:56: error: unknown column `accession` in table cases",
        "19:40: error: `Giems` is not a value of column `stain`; did you mean `GIEMSA`?",
    ]


# --- On an engine --------------------------------------------------------------------------------------------------------

ROWS = pa.table({
    "stain": pa.array(["HE", "", None, "x'y\\", "９9"], pa.string()),
    "note": pa.array(["a1", None, "肿瘤\n", "%_!", "a" * 300], pa.string()),
    "mpp": pa.array([0.25, None, float("inf"), -1e308, float("nan")], pa.float64()),
    "width": pa.array([2**63 - 1, -(2**63), 0, None, 1], pa.int64()),
    "is_control": pa.array([True, False, None, True, False], pa.bool_()),
    "scanned": pa.array([date(1, 1, 1), date(9999, 12, 31), None, date(2020, 2, 29), date(1582, 10, 10)], pa.date32()),
    "made": pa.array([date(9999, 12, 31), date(1, 1, 1), date(2020, 1, 1), None, date(2021, 1, 1)], pa.date32()),
    "levels": pa.array([[1.0], None, [], [2.0], [3.0]], pa.list_(pa.float64())),
})  # fmt: skip

numbers = st.recursive(
    st.sampled_from([
        "mpp", "width", "1", "0.5", "length(note)", "year(scanned)", "(scanned - made)", "9223372036854775807",
    ]),
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner), st.builds("abs({})".format, inner),
        st.builds("({} / 3)".format, inner), st.builds("coalesce({}, {})".format, inner, inner),
        st.builds("round({}, 2)".format, inner), st.builds("-({})".format, inner),
        st.builds("case when is_control then {} else {} end".format, inner, inner),
    ),
    max_leaves=5,
)  # fmt: skip
conditions = st.recursive(
    st.one_of(
        st.builds("{} {} {}".format, numbers, st.sampled_from(["=", "<", ">=", "<>", "is distinct from"]), numbers),
        st.sampled_from([
            "is_control", "stain in ('HE', '')", "note like '%!_%' escape '!'", "regexp_matches(note, '[0-9]$')",
            "upper(note) = 'A1'", "made + 365 > scanned", "levels is null", "width between -1 and 1", "scanned <> made",
        ]),
    ),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner), st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner), st.builds("({}) is not true".format, inner),
    ),
    max_leaves=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("spill")) as engine:
        engine.view("rows", ROWS)
        yield engine


@settings(max_examples=25, deadline=None, derandomize=True)
@given(conditions)
def test_what_is_taken_runs_on_every_value(engine: Embedded, text: str) -> None:
    # An engine names the value that it cannot convert or that overflows; so nothing of the kind may be taken.
    faults = condition_faults(text, VIEW)
    assert faults == [], text
    answers = engine.table(f"select {parse_condition(text, VIEW).sql('duckdb')} as met from rows")
    assert answers.num_rows == ROWS.num_rows
