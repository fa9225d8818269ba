"""The Spark Connect engine, on a real server: the same rows and types as the embedded engine, row for row."""

import datetime as dt
import math
import re
import socket
import sys
import threading
import time
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from pathcurate.engines import Engine, plain_schema
from pathcurate.engines import spark as spark_engine
from pathcurate.engines.embedded import Embedded
from pathcurate.engines.spark import Connect, jobs, server, worker
from pathcurate.engines.spark.patterns import common_pattern
from pathcurate.engines.spark.translation import translate
from pathcurate.errors import InputOutputError, UsageError
from pathcurate.model.slide import SLIDES
from pathcurate.tables import Catalog
from tests.archives import tiff
from tests.commandline import pathcurate
from tests.connectserver import serving

sys.path.append(str(Path(__file__).parent))

import kernels_for_tests as kernels

D = dt.date
TIMES = ["2020-01-01T23:59:59.999999", None, "1969-12-31T01:00:00", "2024-06-30T00:00:00", "1900-01-01T00:00:00"]
TABLES = {
    "t": pa.table(
        {
            "id": ["a", "b", "c", "d", None],
            "n": pa.array([1, 2, None, -7, 5], pa.int64()),
            "m": pa.array([3, 3, 3, 2, None], pa.int32()),
            "f": pa.array([0.5, None, -0.25, 1e300, 0.1], pa.float64()),
            "s": ["HE", "H&E", None, "", "胃癌"],
            "b": [True, False, None, True, None],
            "d": [D(2020, 1, 31), D(2019, 12, 31), None, D(2000, 2, 29), D(2021, 3, 30)],
            "ts": pa.array(TIMES).cast(pa.timestamp("us")),
            "l": pa.array([["x", "y"], [], None, ["x", None], ["z"]], pa.list_(pa.field("element", pa.string()))),
            "stain": pa.array(["HE", "HE", "IHC", None, "HE"]).dictionary_encode(),
        }
    ),
    "u": pa.table(
        {"id": ["a", "a", "c", "z", None], "k": pa.array([10, 11, 12, 13, 14], pa.int64()), "w": ["x", "y", "x", None, "x"]}
    ),
}  # fmt: skip


NEW_YEAR = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - as scanners and laboratories give it, without a zone


@pytest.fixture(scope="module")
def connect(connect_server, tmp_path_factory):
    with Connect(connect_server, temp_directory=tmp_path_factory.mktemp("connect"), jobs=4) as engine:
        for name, table in TABLES.items():
            engine.view(name, table)
        yield engine


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    with Embedded(workers=1, temp_directory=tmp_path_factory.mktemp("embedded")) as engine:
        for name, table in TABLES.items():
            engine.view(name, table)
        yield engine


def rows(table):
    """Rows as they are compared: nan is itself."""
    return [
        tuple("nan" if isinstance(value, float) and math.isnan(value) else value for value in row.values())
        for row in table.to_pylist()
    ]


def agree(embedded, connect, sql, parameters=()):
    ours, theirs = embedded.table(sql, parameters), connect.table(sql, parameters)
    assert rows(theirs) == rows(ours)
    assert theirs.schema == ours.schema
    return rows(ours)


def test_connect_is_an_engine(connect):
    checked: Engine = connect
    assert checked is connect


# --- The portable subset -----------------------------------------------------------------------------------------

# Statements, and lists of expressions over the rows of `t`: what recipes and the compiler may write, by example.
LINES = Path(__file__).with_name("portable_sql.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("line", LINES)
def test_the_portable_subset_means_the_same_on_both_engines(embedded, connect, line):
    is_statement = line.startswith(("select ", "with "))
    agree(embedded, connect, line if is_statement else f"select {line} from t order by t.id nulls last")


def test_an_in_list_of_a_thousand_and_fifty_parentheses(embedded, connect):
    codes = ", ".join(f"'C{number:04d}'" for number in range(1000))
    condition = f"not (t.id in ({codes})) or {'(' * 50}t.n = 1{')' * 50}"
    assert agree(embedded, connect, f"select count(*) as n from t where {condition}") == [(4,)]


VALUES = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(
        ["\\", "'", "\\'", '"', "?", "%", "\0", "\r\n", "${x}", "\\u0041", "--", "/*", "$$", "'; drop table t; -- "]
    )
    | st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.dates()
    | st.datetimes()
    | st.none()
)


@settings(max_examples=30)
@given(values=st.lists(VALUES, min_size=1, max_size=6))
def test_every_value_comes_back_from_a_parameter_and_from_a_literal(embedded, connect, values):
    places = ", ".join(f"? as c{number}" for number in range(len(values)))
    ours, theirs = embedded.rows(f"select {places}", values), connect.rows(f"select {places}", values)
    assert ours == theirs == [tuple(values)]
    assert [list(map(type, row)) for row in theirs] == [list(map(type, values))]
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        literals = ", ".join(f"'{text.replace(chr(39), chr(39) * 2)}' as c{number}" for number, text in enumerate(texts))
        # DuckDB ends a statement at a null character.
        if not any("\0" in text for text in texts):
            assert embedded.rows(f"select {literals}") == [tuple(texts)]
        assert connect.rows(f"select {literals}") == [tuple(texts)]


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("select ? as a", [], "none is given"),
        ("select ? as a", [1, 2], "1 places for 2 parameters"),
        ("select ? as a", [2**63], "more than 64 bits"),
        ("select ? as a", [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], "zone"),
        ("select ? as a", [object()], "type object"),
    ],
)
def test_parameters_that_have_no_literal_are_refused(sql, parameters, message):
    with pytest.raises(ValueError, match=message):
        translate(sql, parameters)


def test_a_list_is_a_parameter(embedded, connect):
    sql = "select t.id as id from t where list_contains(?, t.id) order by t.id"
    assert agree(embedded, connect, sql, [["a", "d'"]]) == [("a",)]


# --- Generated conditions ----------------------------------------------------------------------------------------

ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-3, 3),
        st.none() | st.sampled_from(["", "a", "A", "胃", "a%", "_", "\\"]),
        st.none() | st.sampled_from([D(2020, 1, 31), D(2020, 2, 29), D(1999, 12, 31), D(1580, 1, 1)]),
        st.none() | st.booleans(),
    ),
    max_size=5,
)
NUMBERS = st.recursive(
    st.sampled_from(
        [
            "n",
            "year(d)",
            "month(d)",
            "length(s)",
            "date_diff('day', d, date '2020-02-29')",
            "0",
            "-2",
            "cast(null as bigint)",
        ]
    ),
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "&", "|"]), inner)
        | st.builds("coalesce({}, {})".format, inner, inner)
        | st.builds("case when {} > {} then {} end".format, inner, inner, inner)
    ),
    max_leaves=4,
)
CONDITIONS = st.recursive(
    st.builds("{} {} {}".format, NUMBERS, st.sampled_from(["=", "<", ">=", "<>", "is distinct from"]), NUMBERS)
    | st.sampled_from(
        [
            "b", "s like 'a%'", "s like '\\'", "s like '!%' escape '!'", "s in ('a', '胃')", "s not in ('a', null)",
            "s is null", "starts_with(s, 'a')", "s || 'x' = 'ax'", "d between date '2020-01-01' and date '2020-12-31'",
            "cast(d + interval '1' month as date) = date '2020-02-29'", "s < 'a'", "n between -1 and 2", "md5(s) < '8'",
            "cast(d - interval '12' month as date) < date '1600-01-01'", "regexp_matches(s, '^[a-z]')",
        ]
    ),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
    | st.builds("(not {})".format, inner)
    | st.builds("(({}) is not true)".format, inner)
    | st.builds("(({}) is null)".format, inner),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=20)
@given(data=ROWS, conditions=st.lists(CONDITIONS, min_size=1, max_size=5), number=NUMBERS)
def test_generated_conditions_have_the_same_answers(embedded, connect, data, conditions, number):
    columns = list(zip(*data, strict=True)) or [[]] * 4
    table = pa.table(
        {
            "k": pa.array(range(len(data)), pa.int64()),
            "n": pa.array(columns[0], pa.int64()),
            "s": pa.array(columns[1], pa.string()),
            "d": pa.array(columns[2], pa.date32()),
            "b": pa.array(columns[3], pa.bool_()),
        }
    )
    for engine in (embedded, connect):
        engine.view("g", table)
    chosen = ", ".join(f"({condition}) as c{place}" for place, condition in enumerate(conditions))
    agree(embedded, connect, f"select k as k, cast({number} as bigint) as x, {chosen} from g order by k")
    count = f"sum(case when {conditions[0]} then 1 else 0 end)"
    agree(embedded, connect, f"select count(*) as c, {count} as s, min(s) as m from g")


# --- Patterns ----------------------------------------------------------------------------------------------------

PIECES = r"""a B 胃 😀 1 . ^ $ \d \D \w \s \S \. \- \_ \\ \x41 \x{80C3} \n \t [ab] [^a] [a-c] []a] [^]-] [-a] [a-] [\d_]
    [\]\[] [[:alpha:]1] [[:^digit:]] [&&-] [a-c-e] [^\W1] [(?:{2}] \pL \p{Lu} \p{Han} \P{Han} [\p{Han}a] \Qa.\E (?P<q>a)
    (?:b) (a|B) a? a*? a{2} a{1,} a{0,2} a{b a} (?i)a (?i:k) (?i)[k-m] ~ # / < é \z \A ß ٣"""
PATTERNS = st.lists(st.sampled_from([*PIECES.split(), " ", "\u3000", "\r"]), min_size=1, max_size=3).map("".join)
CHARACTERS = "aAbBkK胃😀1.-_\\[]{}^$&~# /<éÉß٣\u3000\r\n\t\u212a\u017f\u0085\u2028"
SUBJECTS = st.lists(st.text(st.sampled_from(CHARACTERS), max_size=4), min_size=12, max_size=12)


@settings(max_examples=50)
@given(pattern=PATTERNS, subjects=SUBJECTS)
def test_a_pattern_in_the_common_spelling_matches_what_re2_matches(connect, pattern, subjects):
    try:
        compiled = re2.compile(pattern)
    except re2.error:
        with pytest.raises(ValueError, match="not an RE2 pattern"):
            common_pattern(pattern)
        return
    expected = [compiled.search(subject) is not None for subject in subjects]
    quoted = pattern.replace("'", "''")
    chosen = ", ".join(f"regexp_matches(?, '{quoted}') as c{place}" for place in range(len(subjects)))
    assert list(connect.rows(f"select {chosen}", subjects)[0]) == expected


def test_the_common_spelling_leaves_nothing_to_an_engine_that_reads_patterns_as_unicode():
    # Java is not here to ask; Python's ways with these four differ from RE2's as Java's do or may be set to.
    for pattern, text in [(r"^\d$", "٣"), (r"^a$", "a\n"), (r"^\w$", "胃"), (r"^\s$", "\u3000")]:
        assert re.search(pattern, text)
        spelled = re.sub(r"\\x\{(\w+)\}", lambda hexed: rf"\U{int(hexed[1], 16):08X}", common_pattern(pattern))
        assert not re.search(spelled.replace(r"\z", r"\Z"), text)


@pytest.mark.parametrize(
    "pattern", [r"\bHER2", r"a\B", "(?m)^a", "(?s).", r"\C", "(?U)a*", "(?i-s)a", r"\101", r"[\101]", r"\p{Any}"]
)
def test_a_pattern_without_a_common_spelling_is_refused_and_not_repeated(connect, pattern):
    with pytest.raises(InputOutputError, match="cannot be used on every engine") as caught:
        connect.rows(f"select regexp_matches('x', '{pattern}') as a")
    assert "HER2" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("call", ["regexp_matches(t.s, t.id)", "regexp_matches(t.s, 'a', 'i')", "regexp_matches(t.s, null)"])
def test_a_pattern_must_be_a_literal_that_says_all(connect, call):
    with pytest.raises(InputOutputError, match="not a literal"):
        connect.rows(f"select {call} as a from t")


# --- Views and results -------------------------------------------------------------------------------------------


def test_files_and_tables_are_views_and_the_last_one_given_counts(embedded, connect, tmp_path):
    odd = tmp_path / "part [1]*'? {2},3#%41.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), odd)
    pq.write_table(pa.table({"a": [99]}), tmp_path / "part 1.parquet")  # what the odd name would match as a pattern
    pq.write_table(pa.table({"a": [3], "later": [True]}), tmp_path / "two.parquet")
    for engine in (embedded, connect):
        engine.view("files", [odd, tmp_path / "two.parquet"])
    found = agree(embedded, connect, "select a, b, later from files order by a")
    assert found == [(1, "x", None), (2, None, None), (3, None, True)]
    for engine in (embedded, connect):
        engine.view("files", pa.table({"a": [7]}))
        assert engine.rows("select a from files") == [(7,)]
        engine.view("files", [odd])
        assert engine.rows("select a from files where b = ?", ["x"]) == [(1,)]


def test_a_file_that_is_missing_or_no_parquet_is_named_by_nobody(connect, tmp_path):
    good, bad = tmp_path / "good.parquet", tmp_path / "Zhang.parquet"
    pq.write_table(pa.table({"a": [1]}), good)
    with pytest.raises(InputOutputError, match="missing") as caught:
        connect.view("x", [good, bad])
    assert "Zhang" not in str(caught.value)
    bad.write_bytes(b"Zhang San")
    with pytest.raises(InputOutputError) as caught:
        connect.view("x", [bad])
    assert "Zhang" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ValueError, match="at least one file"):
        connect.view("x", [])
    with pytest.raises(ValueError, match="letters, digits"):
        connect.view("x; drop", pa.table({"a": [1]}))


def test_a_server_that_sees_other_files_is_found_out(connect, monkeypatch, tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "here.parquet")
    monkeypatch.setattr(spark_engine, "locations", lambda path: (f"file:///elsewhere{path}",))
    with pytest.raises(InputOutputError, match="sees 0 of 1 files"):
        connect.view("x", [tmp_path / "here.parquet"])


def test_a_table_too_large_for_a_message_is_read_from_disk(connect, monkeypatch):
    monkeypatch.setattr(spark_engine, "_SENT_BYTES", 1000)
    texts = pa.array(["x" * 17] * 1000).dictionary_encode()
    table = pa.table({"k": pa.array(range(1000), pa.int64()), "s": texts, "l": [["y"]] * 1000})
    connect.view("large", table)
    assert connect.rows("select sum(k) as k, min(s) as s, max(array_length(l)) as l from large") == [(499500, "x" * 17, 1)]
    connect.view("large", table.slice(0, 3))
    assert connect.rows("select count(*) as n from large") == [(3,)]


@pytest.mark.parametrize(
    ("kind", "plain"),
    [
        (pa.int8(), pa.int64()), (pa.uint32(), pa.int64()), (pa.decimal128(38, 0), pa.int64()), (pa.float32(), pa.float64()),
        (pa.decimal128(9, 2), pa.float64()), (pa.large_string(), pa.string()), (pa.string_view(), pa.string()),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string()), (pa.large_binary(), pa.binary()),
        (pa.large_list(pa.int16()), pa.list_(pa.field("element", pa.int64()))), (pa.timestamp("ms"), pa.timestamp("us")),
        (pa.timestamp("ns", "UTC"), pa.timestamp("us", "UTC")), (pa.date32(), pa.date32()), (pa.bool_(), pa.bool_()),
    ],
)  # fmt: skip
def test_types_of_results_are_those_of_our_tables(kind, plain):
    field = plain_schema(pa.schema([pa.field("x", kind, nullable=False, metadata={"a": "b"})])).field("x")
    assert field.equals(pa.field("x", plain), check_metadata=True)


def test_a_materialised_query_runs_once_and_its_file_goes_with_its_name(embedded, connect):
    for engine in (embedded, connect):
        engine.view("source", pa.table({"a": [1, 2, 3], "t": pa.array([NEW_YEAR] * 3, pa.timestamp("us"))}))
        engine.materialise("kept", "select s.a as a, s.t as t from source as s where s.a > 1 -- a remark")
        engine.view("source", pa.table({"a": [9]}))
        assert engine.rows("select k.a as a from kept as k order by k.a") == [(2,), (3,)]
        engine.materialise("kept", "select k.a as a, k.t as t from kept as k where k.a > 2")
        assert engine.rows("select k.a as a, k.t as t from kept as k") == [(3, NEW_YEAR)]
        assert len(list(engine._own_directory.iterdir())) == 1
        with pytest.raises(InputOutputError):
            engine.materialise("kept", "select nowhere.a as a from nowhere")
        assert engine.rows("select k.a as a from kept as k") == [(3,)]
        engine.materialise("kept", "select k.a as a, k.t as t from kept as k where false")
    assert agree(embedded, connect, "select k.a as a, k.t as t from kept as k") == []
    for engine in (embedded, connect):
        engine.view("kept", pa.table({"a": [5]}))
        assert engine.rows("select k.a as a from kept as k") == [(5,)]
        assert list(engine._own_directory.iterdir()) == []


def look_answers(worker, fault, place=-1):
    return [{"worker": worker, "version": spark_engine.__version__, "place": place, "fault": fault}]


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (look_answers("h:1 (executor 2)", "/nowhere/note-1"), r"worker h:1 \(executor 2\) of the cluster writes elsewhere"),
        (look_answers("h:1", "read-only", 0), "worker h:1 of the cluster may not write in"),
        (look_answers("h:1", "missing", 0), "worker h:1 of the cluster does not see"),
    ],
)
def test_workers_that_write_elsewhere_are_found_out(connect_server, tmp_path, monkeypatch, answers, message):
    with Connect(connect_server, temp_directory=tmp_path) as engine:
        monkeypatch.setattr(engine, "_look", lambda *_: answers)
        with pytest.raises(InputOutputError, match=f"{message}.*{re.escape(str(tmp_path))}"):
            engine.materialise("x", "select 1 as a")
    assert list(tmp_path.iterdir()) == []


def test_pieces_are_the_whole(embedded, connect):
    sql = "select x.k as k, cast(x.k as varchar) as s from (select unnest(range(20000)) as k) as x"
    pieces = [list(engine.batches(sql)) for engine in (embedded, connect)]
    assert len(pieces[1]) > 1
    ours, theirs = (pa.Table.from_batches(some).sort_by("k") for some in pieces)
    assert theirs.equals(ours)
    assert list(connect.batches(f"{sql} where false")) == []


@pytest.mark.parametrize(
    "sql",
    [
        "select cast('Zhang San' as integer) as a",
        "select cast(t.s || 'Zhang San' as bigint) as a from t",
        "selec 'Zhang San'",
        "select 'Zhang San",
        "select 'Zhang San' as a from nowhere",
        "select no_such_column, 'Zhang San' as a from t",
        "select no_such_function('Zhang San') as a",
        "select 1 // 0 as a, 'Zhang San' as b",
        "",
    ],
)
def test_errors_do_not_repeat_values_and_the_engine_goes_on(connect, sql):
    all_pieces, materialise = lambda text: list(connect.batches(text)), lambda text: connect.materialise("x", text)
    for ask in (connect.rows, connect.table, all_pieces, materialise):
        with pytest.raises(InputOutputError) as caught:
            ask(sql)
        assert "Zhang" not in "".join(traceback.format_exception(caught.value)).replace(repr(sql), "")
        assert caught.value.__context__ is None
    assert connect.rows("select 1 as a") == [(1,)]


# --- Kernels -----------------------------------------------------------------------------------------------------


def batches(*sizes):
    start = 0
    for size in sizes:
        yield pa.RecordBatch.from_arrays([pa.array(range(start, start + size), pa.int64())], schema=kernels.INPUT)
        start += size


def lost(row, reason):
    assert row.num_rows == 1
    return kernels.output([row.column(0)[0].as_py()], [reason])


def never(row, reason):
    raise AssertionError(f"row {row.column(0)[0]} was given up: {reason}")


def run(engine, sizes, spec, *, kernel=kernels.answer, on_crash=lost, timeout=None):
    results = engine.run(kernel, batches(*sizes), spec, kernels.OUTPUT, on_crash=on_crash, timeout=timeout)
    table = pa.Table.from_batches(results, schema=kernels.OUTPUT)
    assert table["number"].to_pylist() == list(range(sum(sizes)))
    answers = zip(table["number"].to_pylist(), table["answer"].to_pylist(), strict=True)
    return {number: text for number, text in answers if text != f"computed {number}"}


def test_every_row_comes_back_once_and_in_order(connect):
    results = list(connect.run(kernels.answer, batches(3, 1, 0, 400, 7), {0: "slow"}, kernels.OUTPUT, on_crash=never))
    assert [batch.num_rows for batch in results] == [3, 1, 0, 400, 7]
    assert all(batch.schema.equals(kernels.OUTPUT) for batch in results)
    assert [number for batch in results for number in batch.column("number").to_pylist()] == list(range(411))
    assert list(connect.run(kernels.answer, [], {}, kernels.OUTPUT, on_crash=never)) == []


def test_input_is_read_only_a_window_ahead(connect):
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield pa.RecordBatch.from_arrays([pa.array([read[-1]], pa.int64())], schema=kernels.INPUT)

    results = connect.run(kernels.answer, endless(), {}, kernels.OUTPUT, on_crash=never)
    for number in range(12):
        assert next(results).column("number").to_pylist() == [number]
        assert len(read) <= number + 1 + 2 * 4
    results.close()


def test_rows_that_hang_are_lost_and_slow_rows_are_not(connect):
    # Four times the timeout is what the batch with both may take, and less than the slow row takes is what it may not.
    assert run(connect, [2, 2], {2: "hang", 3: "slow"}, timeout=0.45) == {2: "timeout"}


def test_a_kernel_that_raises_ends_the_run_with_its_traceback(connect):
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        list(connect.run(kernels.fail, batches(4, 4), None, kernels.OUTPUT, on_crash=never))
    assert "in deep_inside" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("spec", "name"), [("awkward", "AwkwardError"), ("exit", "SystemExit")])
def test_exceptions_that_cannot_travel_are_not_mistaken_for_crashes(connect, spec, name):
    with pytest.raises(RuntimeError, match=f"kernel fail raised {name}"):
        list(connect.run(kernels.fail, batches(4, 4), spec, kernels.OUTPUT, on_crash=never))


def test_output_that_is_not_as_declared_is_refused(connect):
    with pytest.raises(TypeError, match="wrong_schema returned another schema than declared: answer, process"):
        list(connect.run(kernels.wrong_schema, batches(4), {}, kernels.OUTPUT, on_crash=never))
    with pytest.raises(ValueError, match="one_row_short returned 3 rows for 4"):
        list(connect.run(kernels.one_row_short, batches(4), {}, kernels.OUTPUT, on_crash=never))


def test_a_failing_input_is_raised(connect):
    def failing():
        yield from batches(1, 1)
        raise OSError(5, "the share went away")

    with pytest.raises(OSError, match="the share went away"):
        list(connect.run(kernels.answer, failing(), {}, kernels.OUTPUT, on_crash=never))


def test_a_job_whose_worker_dies_is_narrowed_to_the_row_that_kills(connect, monkeypatch):
    # Sail runs kernels in its own process and would die whole; Spark says only that the job failed, as this does.
    answers = connect._answers

    def fragile(parcels, function, tag=""):
        killed = any(3 in parcel.column(0).to_pylist() for parcel in parcels if parcel.schema == kernels.INPUT)
        return "SparkException" if killed else answers(parcels, function, tag)

    monkeypatch.setattr(connect, "_answers", fragile)
    assert run(connect, [2, 7, 1], {}) == {3: "reader_crashed"}
    with pytest.raises(TypeError, match="on_crash returned another schema"):
        list(connect.run(kernels.answer, batches(4), {}, kernels.OUTPUT, on_crash=lambda row, _: row))


def test_workers_with_another_version_or_none_are_found_out(connect, monkeypatch):
    for module in (spark_engine, jobs):
        monkeypatch.setattr(module, "__version__", "0.0.1")
    with pytest.raises(InputOutputError, match=r"worker \S.* of the Spark Connect server has pathcurate \d"):
        list(connect.run(kernels.answer, batches(1), {}, kernels.OUTPUT, on_crash=never))
    with pytest.raises(InputOutputError, match="The worker h:1 of the Spark Connect server has no pathcurate"):
        jobs.demand_version("", "h:1")
    assert worker.Service(b"", "0.0.1", None)._answer(pa.py_buffer(b""))[0] == worker.OTHER_VERSION


def test_a_server_that_dies_with_a_kernel_ends_the_run_at_once_and_says_so(tmp_path):
    with serving() as address:
        engine = Connect(address, temp_directory=tmp_path, jobs=2)
        engine.materialise("kept", "select 1 as a")
        begun = time.monotonic()
        with pytest.raises(InputOutputError, match="could not run a kernel"):
            run(engine, [4, 4], {5: "exit"})
        with pytest.raises(InputOutputError, match="could not run a statement"):
            engine.rows("select 1 as a")
        engine.close()
        engine.close()
        assert time.monotonic() - begun < 5
        assert list(tmp_path.iterdir()) == []


def test_a_run_is_left_without_waiting_for_what_hangs(connect_server, tmp_path):
    engine = Connect(connect_server, temp_directory=tmp_path, jobs=2)
    results = engine.run(kernels.answer, batches(1, 1, 1), {1: "slow", 2: "slow"}, kernels.OUTPUT, on_crash=never)
    next(results)
    engine.close()
    with pytest.raises(ValueError, match="closed before"):
        next(results)


# --- The address -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["sc://h", "sc://:1", "spark://h:1", "h:1", "embedded"])
def test_an_address_is_host_and_port(tmp_path, address):
    with pytest.raises(ValueError, match="sc://host:port"):
        Connect(address, temp_directory=tmp_path)


def test_an_address_where_nobody_answers_is_an_error_within_seconds(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        monkeypatch.setattr(server, "ANSWER_SECONDS", 0.4)
        begun = time.monotonic()
        with pytest.raises(InputOutputError, match="No Spark Connect server answers") as caught:
            Connect(f"sc://127.0.0.1:{port}", temp_directory=tmp_path)
        assert caught.value.exit_code == 3
    for address in (f"sc://127.0.0.1:{port}", "sc://no-such-host.invalid:15002"):
        with pytest.raises(InputOutputError, match="No Spark Connect server answers"):
            Connect(address, temp_directory=tmp_path)
    assert time.monotonic() - begun < 5


def test_without_its_client_the_engine_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql.connect.session", None)
    with pytest.raises(UsageError) as caught:
        Connect("sc://127.0.0.1:1", temp_directory=tmp_path)
    assert "pip install 'pathcurate[spark]'" in str(caught.value)


# --- A workspace that names a server -----------------------------------------------------------------------------


@pytest.mark.usefixtures("kernels_here")  # those of the embedded engine
def test_a_workspace_that_names_a_server_is_scanned_there_with_the_same_slides(connect_server, tmp_path):
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "S19-00123_HE.svs").write_bytes(tiff(1, keys={"MPP": 0.5}))
    (tmp_path / "slides" / "broken.svs").write_bytes(tiff(2)[:100])
    found = []
    for name, engine in {"here": "embedded", "there": connect_server}.items():
        settings = f"workspace: 1\nname: small\nengine: {engine}\nsites: [{{code: AA, archives: [../slides]}}]\n"
        (tmp_path / name).mkdir()
        (tmp_path / name / "pathcurate.yaml").write_text(settings)
        done = pathcurate("scan", "-w", tmp_path / name)
        assert done.returncode == 0, done.stderr
        slides = Catalog(tmp_path / name / "catalog").read(SLIDES)
        found.append(slides.drop_columns([column for column in slides.column_names if column.endswith("_at")]).to_pylist())
        assert list((tmp_path / name / "catalog").glob(".spill/*")) == []
    assert len(found[0]) == 2
    assert found[1] == found[0]


def test_doctor_looks_at_the_server(connect_server, tmp_path):
    for engine, line in {
        connect_server: f"ok      engine of the workspace: {connect_server} answers, and its workers have pathcurate",
        "sc://127.0.0.1:1": "error   engine of the workspace: No Spark Connect server answers at sc://127.0.0.1:1 within",
    }.items():
        (tmp_path / "pathcurate.yaml").write_text(f"workspace: 1\nname: small\nengine: {engine}\nsites: []\n")
        assert line in pathcurate("doctor", "-w", tmp_path).stdout


def test_threads_end_with_the_engine(connect_server, tmp_path):
    before = set(threading.enumerate())
    with Connect(connect_server, temp_directory=tmp_path) as engine:
        assert run(engine, [1, 1], {}) == {}
    deadline = time.monotonic() + 5
    while {thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("spark")}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
