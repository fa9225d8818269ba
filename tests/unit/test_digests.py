"""Digests, judged by the rfc8785 package."""

import datetime as dt
import hashlib
import os
import unicodedata
from decimal import Decimal

import pyarrow as pa
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.digests import (
    bucket_digests,
    canonical_json,
    content_digest,
    file_sha256,
    release_digest,
    row_digests,
    schema_sha256,
    sha256_text,
    table_digest,
)
from pathcurate.errors import InputOutputError

LIMIT = 2**53 - 1

integers = st.integers(-LIMIT, LIMIT)
values = st.recursive(
    st.none() | st.booleans() | integers | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=5),
    max_leaves=12,
)


# --- canonical JSON ----------------------------------------------------------------------------------------------


@given(values)
def test_canonical_json_is_what_rfc8785_writes(value):
    assert canonical_json(value) == rfc8785.dumps(value)


def test_keys_are_sorted_as_utf16_and_text_is_not_changed():
    # U+1F600 is D83D DE00 in UTF-16, before U+FF01; by code point it comes after.
    value = {"\uff01": 1, "\U0001f600": 2, "é": 'e\u0301\u2028\x7f\x1f"\\/', "a": ({"z": [], "y": {}},)}
    assert canonical_json(value) == rfc8785.dumps(value)
    assert canonical_json(value).index("\U0001f600".encode()) < canonical_json(value).index("\uff01".encode())


@pytest.mark.parametrize("value", [0.5, float("nan"), 1.0, {1: "x"}, {None: 1}, b"x", {"a": [dt.date(2024, 1, 1)]}, {1}])
def test_what_json_writers_disagree_about_is_refused(value):
    with pytest.raises(TypeError, match="canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, [{"a": 10**30}], "\ud800", {"\udc00": 1}])
def test_values_outside_of_canonical_json_are_refused(value):
    with pytest.raises(ValueError, match=r"2\*\*53|surrogates"):
        canonical_json(value)
    assert canonical_json([LIMIT, -LIMIT]) == b"[9007199254740991,-9007199254740991]"


def test_sha256_text_and_file_digests_agree(tmp_path):
    content = os.urandom(3_000_001)
    path = tmp_path / "病理 file"
    path.write_bytes(content)
    assert file_sha256(path) == sha256_text(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    tmp_path.joinpath("link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", "gone"):
        with pytest.raises(OSError, match=r".+"):
            file_sha256(tmp_path / name)


# --- rows --------------------------------------------------------------------------------------------------------


def oracle(rows):
    return [hashlib.sha256(rfc8785.dumps(row)).digest() for row in rows]


def nfc(value):
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    return [nfc(item) for item in value] if isinstance(value, list) else value


ROW_SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("a%s", pa.string()),
        ("whole", pa.int64()),
        ("flag", pa.bool_()),
        ("words", pa.list_(pa.string())),
        ("nested", pa.large_list(pa.list_(pa.int32()))),
        ("pair", pa.list_(pa.bool_(), 2)),
        ("nothing", pa.null()),
    ]
)
small = st.integers(-(2**31), 2**31 - 1)
row_values = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=8),
        "a%s": st.none() | st.sampled_from(["", "%s", '"', "\\", "\n", "e\u0301", "\U0001f600", "中文"]),
        "whole": st.none() | integers,
        "flag": st.none() | st.booleans(),
        "words": st.none() | st.lists(st.none() | st.text(max_size=4), max_size=3),
        "nested": st.none() | st.lists(st.none() | st.lists(st.none() | small, max_size=2), max_size=3),
        "pair": st.none() | st.lists(st.booleans(), min_size=2, max_size=2),
        "nothing": st.none(),
    }
)
tables = st.lists(row_values, max_size=6)


def as_table(rows):
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


@given(tables)
def test_row_digests_are_of_rfc8785_rows(rows):
    assert row_digests(as_table(rows)) == oracle([{key: nfc(value) for key, value in row.items()} for row in rows])


@given(tables, st.randoms(use_true_random=False))
def test_neither_row_order_nor_column_order_nor_layout_changes_a_table_digest(rows, random):
    whole = as_table(rows)
    digest = table_digest(row_digests(whole))
    shuffled = random.sample(rows, len(rows))
    names = random.sample(whole.column_names, whole.num_columns)
    cut = random.randint(0, len(rows))
    chunks = pa.concat_tables([as_table(shuffled[:cut]), as_table(shuffled[cut:])]).select(names)
    assert table_digest(row_digests(chunks)) == digest
    padded = as_table([*rows, *rows]).slice(len(rows))  # offsets and validity that do not begin at zero
    assert row_digests(padded) == row_digests(whole)
    encoded = whole.set_column(0, "text", whole["text"].dictionary_encode())
    encoded = encoded.set_column(1, "a%s", whole["a%s"].cast(pa.large_string()))
    assert table_digest(row_digests(encoded)) == digest


@given(tables.filter(bool), row_values, st.data())
def test_any_cell_changes_the_table_digest(rows, other, data):
    index = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(ROW_SCHEMA.names))
    changed = [*rows[:index], {**rows[index], name: other[name]}, *rows[index + 1 :]]
    same = nfc(other[name]) == nfc(rows[index][name])
    assert (table_digest(row_digests(as_table(changed))) == table_digest(row_digests(as_table(rows)))) == same


@given(tables.filter(bool))
def test_a_row_more_or_less_changes_the_table_digest(rows):
    digests = row_digests(as_table(rows))
    assert len({table_digest(digests), table_digest(digests[1:]), table_digest([*digests, digests[0]])}) == 3


def test_numbers_and_times_are_text():
    utc, shanghai = dt.UTC, dt.timezone(dt.timedelta(hours=8))
    noon = dt.datetime(2024, 2, 29, 12, 0, 0, 120, tzinfo=utc)
    table = pa.table(
        {
            "double": pa.array([0.2498, -0.0, None, 1e22]),
            "single": pa.array([0.5, 0.1, None, 3.0], pa.float32()),
            "decimal": pa.array([Decimal("0.50"), Decimal("123456789.01"), None, Decimal("-1.00")], pa.decimal128(15, 2)),
            "date": pa.array([dt.date(2024, 2, 29), None, dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
            "zoned": pa.array([noon, noon.astimezone(shanghai), None, noon.replace(microsecond=0)]).cast(
                pa.timestamp("us", "Asia/Shanghai")
            ),
            "local": pa.array([1_704_067_200, None, -31_532_400, None], pa.timestamp("s")),
            "tiny": pa.array([1, None, 255, 0], pa.uint8()),
        }
    )
    rows = [
        {
            "double": "0.2498",
            "single": "0.5",
            "decimal": "0.5",
            "date": "2024-02-29",
            "zoned": "2024-02-29T12:00:00.000120Z",
            "local": "2024-01-01T00:00:00",
            "tiny": 1,
        },
        {
            "double": "-0.0",
            "single": "0.10000000149011612",
            "decimal": "123456789.01",
            "date": None,
            "zoned": "2024-02-29T12:00:00.000120Z",
            "local": None,
            "tiny": None,
        },
        {
            "double": None,
            "single": None,
            "decimal": None,
            "date": "0001-01-01",
            "zoned": None,
            "local": "1969-01-01T01:00:00",
            "tiny": 255,
        },
        {
            "double": "1e+22",
            "single": "3.0",
            "decimal": "-1.0",
            "date": "9999-12-31",
            "zoned": "2024-02-29T12:00:00Z",
            "local": None,
            "tiny": 0,
        },
    ]
    assert row_digests(table) == oracle(rows)
    finer = table.set_column(5, "local", table["local"].cast(pa.timestamp("ns")))
    assert row_digests(finer) == oracle(rows)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2**53]),
        pa.array([None, -(2**63)]),
        pa.array([2**64 - 1], pa.uint64()),
        pa.array([[1], [2**53]]),
        pa.array([2**53, 1]).dictionary_encode(),
        pa.array([1_700_000_000_000_000_001], pa.timestamp("ns")),
        pa.array([2**62], pa.timestamp("s")),
        pa.array([3_000_000], pa.date32()),
        pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xd5\xc5")]),
    ],
)
def test_values_that_a_digest_cannot_hold_are_refused_without_being_shown(column):
    with pytest.raises(InputOutputError, match="Column age holds") as caught:
        row_digests(pa.table({"age": column}))
    assert "1700000000000000001" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "column",
    [pa.array([b"x"]), pa.array([{"a": 1}]), pa.array([Decimal("1.0")], pa.decimal128(16, 1)), pa.array([dt.time(1)])],
)
def test_types_that_no_released_table_has_are_refused(column):
    with pytest.raises(TypeError, match="column age has the type"):
        row_digests(pa.table({"age": column}))


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(TypeError, match="two columns of one name"):
        row_digests(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_more_rows_than_are_taken_at_once_keep_their_order():
    count = 150_001
    table = pa.table({"n": pa.array(range(count))})
    digests = row_digests(table)
    assert len(digests) == count
    for row in (0, 65_535, 65_536, 131_072, count - 1):
        assert digests[row] == oracle([{"n": row}])[0]


def test_a_table_without_columns_has_empty_rows():
    table = pa.table({"n": [1, 2]}).select([])
    assert row_digests(table) == oracle([{}, {}])


# --- tables and releases -----------------------------------------------------------------------------------------


def test_table_digest_is_the_tree_of_256_buckets():
    digests = [bytes([first]) + bytes([filler]) * 31 for first, filler in [(0, 2), (255, 1), (0, 1), (7, 9), (0, 2)]]
    buckets = [b""] * 256
    buckets[0] = digests[2] + digests[0] + digests[4]
    buckets[7] = digests[3]
    buckets[255] = digests[1]
    leaves = [hashlib.sha256(bucket).digest() for bucket in buckets]
    assert bucket_digests(digests) == leaves
    assert table_digest(iter(digests)) == "sha256:" + hashlib.sha256(b"".join(leaves)).hexdigest()
    assert table_digest([]) != table_digest([bytes(32)])


def test_schema_and_content_digests():
    columns = [("slide_id", "string", False), ("mpp_x", "float", True)]
    schema = schema_sha256(columns)
    assert schema == schema_sha256(reversed(columns))
    assert schema == sha256_text(
        b'[{"name":"mpp_x","nullable":true,"type":"float"},{"name":"slide_id","nullable":false,"type":"string"}]'
    )
    changes = [[columns[0]], [columns[0], ("mpp_x", "double", True)], [columns[0], ("mpp_x", "float", False)]]
    assert len({schema, *map(schema_sha256, changes)}) == 4

    slides = {"digest": table_digest([]), "rows": 0, "schema_sha256": schema}
    digest = content_digest({"slides": slides, "links": slides})
    assert digest == content_digest({"links": slides, "slides": {**slides, "path": "data/slides.parquet"}})
    expected = rfc8785.dumps({"tables": {"slides": slides, "links": slides}})
    assert digest == sha256_text(expected)
    others = [{"slides": slides}, {"slides": slides, "links": {**slides, "rows": 1}}, {"slides": slides, "x": slides}]
    assert len({digest, *map(content_digest, others)}) == 4
    assert release_digest(b"abc") == sha256_text(b"abc")
