"""The embedded engine: every row comes back once and in order, whatever happens to a worker."""

import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathcurate.engines import Engine
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import InputOutputError

# Worker processes get this process's sys.path and find the kernels by it.
sys.path.append(str(Path(__file__).parent))

import kernels_for_tests as kernels


@pytest.fixture
def engine(tmp_path):
    with Embedded(workers=2, temp_directory=tmp_path / "sql") as engine:
        yield engine
    assert children() == []


def children():
    """Ids of this process's children from /proc, without multiprocessing's for semaphores and the tests' Connect server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:2]
                command = entry.joinpath("cmdline").read_bytes()
            except OSError:
                continue
            if int(parent) == os.getpid() and b"resource_tracker" not in command and b"pysail" not in command:
                found.append((int(entry.name), state))
    return found


def batches(*sizes, start=0):
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
    return {
        number: text
        for number, text in zip(table["number"].to_pylist(), table["answer"].to_pylist(), strict=True)
        if text != f"computed {number}"
    }


def test_embedded_is_an_engine(engine):
    checked: Engine = engine
    assert checked is engine


def test_every_row_comes_back_once_and_in_order_from_several_processes(engine):
    # The first batch is the slowest: order is kept although others finish before it.
    results = list(
        engine.run(kernels.answer, batches(3, 1, 0, 400, 7), {0: "slow", 4: "slow"}, kernels.OUTPUT, on_crash=never)
    )
    assert [batch.num_rows for batch in results] == [3, 1, 0, 400, 7]
    assert all(batch.schema.equals(kernels.OUTPUT) for batch in results)
    numbers = [number for batch in results for number in batch.column("number").to_pylist()]
    assert numbers == list(range(411))
    processes = {process for batch in results for process in batch.column("process").to_pylist()}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_no_input_starts_no_process(engine):
    assert list(engine.run(kernels.answer, [], {}, kernels.OUTPUT, on_crash=never)) == []
    assert children() == []


def test_input_is_read_only_a_window_ahead(engine):
    taken = itertools.count()
    read = []

    def endless():
        for number in taken:
            read.append(number)
            yield from batches(1, start=number)

    results = engine.run(kernels.answer, endless(), {}, kernels.OUTPUT, on_crash=never)
    for number in range(20):
        assert next(results).column("number").to_pylist() == [number]
        assert len(read) <= number + 1 + 2 * 2
    results.close()


def test_batches_larger_than_a_pipe_survive_a_crash_among_them(engine):
    padding = pa.array(["x" * 100_000] * 4)  # a pipe holds 64 kB
    wide = [
        pa.RecordBatch.from_arrays([batch.column(0), padding], names=["number", "padding"]) for batch in batches(4, 4, 4, 4)
    ]
    results = engine.run(kernels.answer, wide, {6: "kill"}, kernels.OUTPUT, on_crash=lost)
    table = pa.Table.from_batches(results)
    assert table["number"].to_pylist() == list(range(16))
    assert [row for row, answer in enumerate(table["answer"].to_pylist()) if answer == "reader_crashed"] == [6]
    results = engine.run(kernels.big, batches(2, 2), 1_000_000, kernels.OUTPUT, on_crash=never)
    assert pa.Table.from_batches(results)["answer"].to_pylist() == ["x" * 1_000_000] * 4


@pytest.mark.parametrize(("way", "victim"), [("exit", 0), ("kill", 777), ("segfault", 999)])
def test_a_row_that_kills_its_worker_is_the_only_one_lost(engine, way, victim):
    assert run(engine, [50] * 20, {victim: way}) == {victim: "reader_crashed"}


def test_two_killers_in_one_batch_and_one_alone(engine):
    spec = {1: "exit", 2: "kill", 16: "exit"}
    assert run(engine, [16, 1, 5], spec) == dict.fromkeys(spec, "reader_crashed")


def test_every_row_may_kill(engine):
    assert run(engine, [2, 1], dict.fromkeys(range(3), "exit")) == dict.fromkeys(range(3), "reader_crashed")


def test_rows_that_hang_are_lost_and_slow_rows_are_not(engine):
    spec = {2: "hang", 5: "slow", 6: "exit", 9: "hang"}
    begun = time.monotonic()
    assert run(engine, [4, 4, 2], spec, timeout=0.9) == {2: "timeout", 6: "reader_crashed", 9: "timeout"}
    assert time.monotonic() - begun < 20


def test_time_that_the_caller_takes_is_not_the_workers(engine):
    results = engine.run(kernels.answer, batches(*[1] * 4), {}, kernels.OUTPUT, on_crash=never, timeout=0.7)
    for _ in results:
        time.sleep(0.9)


def test_loading_the_kernel_does_not_count_as_its_time(engine):
    assert run(engine, [1], kernels.SlowToLoad(), on_crash=never, timeout=0.7) == {}


def test_a_worker_killed_while_idle_loses_nothing(engine):
    results = engine.run(kernels.answer, batches(*[1] * 30), {}, kernels.OUTPUT, on_crash=never)
    seen = [next(results) for _ in range(4)]
    time.sleep(0.3)  # what is in flight ends; results are not taken, so the workers are idle
    for process in {batch.column("process")[0].as_py() for batch in seen}:
        os.kill(process, signal.SIGKILL)
    time.sleep(0.3)
    seen += results
    assert [batch.column("number")[0].as_py() for batch in seen] == list(range(30))


def test_a_kernel_that_raises_ends_the_run_with_its_traceback(engine):
    with pytest.raises(ZeroDivisionError, match="on purpose") as caught:
        list(engine.run(kernels.fail, batches(4, 4, 4), None, kernels.OUTPUT, on_crash=never))
    assert "in deep_inside" in "".join(traceback.format_exception(caught.value))
    assert children() == []


@pytest.mark.parametrize(("spec", "name"), [("awkward", "AwkwardError"), ("exit", "SystemExit")])
def test_exceptions_that_cannot_travel_are_not_mistaken_for_crashes(engine, spec, name):
    with pytest.raises(RuntimeError, match=f"kernel fail raised {name}") as caught:
        list(engine.run(kernels.fail, batches(4, 4), spec, kernels.OUTPUT, on_crash=never))
    assert "in deep_inside" in "".join(traceback.format_exception(caught.value))


def test_a_kernel_that_workers_cannot_import_is_an_error_and_no_crash(engine, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry != str(Path(__file__).parent)])
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with pytest.raises(ModuleNotFoundError, match="kernels_for_tests"):
        list(engine.run(kernels.answer, batches(4), {}, kernels.OUTPUT, on_crash=never))


def test_output_that_is_not_as_declared_is_refused(engine):
    with pytest.raises(TypeError, match="wrong_schema returned another schema than declared: answer, process"):
        list(engine.run(kernels.wrong_schema, batches(4), {}, kernels.OUTPUT, on_crash=never))
    with pytest.raises(ValueError, match="one_row_short returned 3 rows for 4"):
        list(engine.run(kernels.one_row_short, batches(4), {}, kernels.OUTPUT, on_crash=never))
    with pytest.raises(TypeError, match="on_crash returned another schema"):
        list(engine.run(kernels.answer, batches(1), {0: "exit"}, kernels.OUTPUT, on_crash=lambda row, _: row))


def test_an_iterator_closed_early_leaves_no_process_and_starts_nothing_more(engine, tmp_path):
    results = engine.run(kernels.note_start, batches(*[1] * 100), str(tmp_path), kernels.OUTPUT, on_crash=never)
    next(results)
    assert len(children()) == 2
    results.close()
    assert children() == []
    begun = len(list(tmp_path.iterdir()))
    assert begun <= 6
    time.sleep(0.2)
    assert len(list(tmp_path.iterdir())) == begun


def test_a_worker_that_is_killed_in_the_middle_of_an_answer_keeps_nobody_waiting(tmp_path):
    # A pool of the standard library waits for the rest of such an answer for ever.
    for pause in (0.0, 0.05, 0.1, 0.2):
        with Embedded(workers=2, temp_directory=tmp_path) as engine:
            results = engine.run(kernels.big, batches(1, 1, 1, 1), 60_000_000, kernels.OUTPUT, on_crash=never)
            next(results)
            time.sleep(pause)
            closing = threading.Thread(target=results.close, daemon=True)
            closing.start()
            closing.join(30)
            assert not closing.is_alive()
        assert children() == []


def test_closing_the_engine_ends_a_run_that_hangs_and_its_iterator_says_so(tmp_path):
    engine = Embedded(workers=1, temp_directory=tmp_path)
    results = engine.run(kernels.answer, batches(1, 1, 1), {1: "hang"}, kernels.OUTPUT, on_crash=never)
    next(results)
    engine.close()
    engine.close()
    assert children() == []
    with pytest.raises(ValueError, match="closed before"):
        next(results)


def test_a_failing_input_leaves_no_process(engine):
    def failing():
        yield from batches(1, 1)
        raise OSError(5, "the share went away")

    with pytest.raises(OSError, match="the share went away"):
        list(engine.run(kernels.answer, failing(), {}, kernels.OUTPUT, on_crash=never))
    assert children() == []


PROGRAM = """
    import os, signal, sys, threading
    from pathlib import Path
    from pathcurate.engines.embedded import Embedded
    import kernels_for_tests as kernels
    import test_engine as t

    if __name__ == "__main__":
        signal.signal(signal.SIGINT, signal.default_int_handler)
        engine = Embedded(workers=2, temp_directory=Path(sys.argv[1]))
        results = engine.run(kernels.answer, t.batches(*[1] * 9), {4: "hang", 5: "hang"}, kernels.OUTPUT, on_crash=t.never)
        for batch in results:
            print(batch.column("process")[0].as_py(), flush=True)
            if batch.column("number")[0].as_py() == 3:
                print("now", flush=True)
"""


def start_program(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(textwrap.dedent(PROGRAM))
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, script, tmp_path],
        env={**os.environ, "PYTHONPATH": f"{root}:{Path(__file__).parent}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = set()
    for line in process.stdout:
        if line == "now\n":
            break
        workers.add(int(line))
    assert workers
    time.sleep(0.3)
    return process


def wait_for_the_end_of_session(session):
    """Also multiprocessing's own tracker of semaphores ends soon after the process that it serves."""
    deadline = time.monotonic() + 10
    while True:
        listed = subprocess.run(["ps", "-o", "pid=", "-s", str(session)], check=False, capture_output=True, text=True)
        if not listed.stdout or time.monotonic() > deadline:
            return listed.stdout
        time.sleep(0.1)


def test_an_interrupt_from_the_terminal_ends_the_workers_and_is_raised_again(tmp_path):
    process = start_program(tmp_path)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does: parent and workers alike
    _, messages = process.communicate(timeout=15)
    assert process.returncode in {-signal.SIGINT, 130}
    assert messages.rstrip().endswith("KeyboardInterrupt")
    assert messages.count("Traceback") == 1, "workers print nothing"
    assert wait_for_the_end_of_session(process.pid) == ""


def test_workers_do_not_outlive_a_parent_that_was_killed(tmp_path):
    process = start_program(tmp_path)
    process.kill()
    process.communicate(timeout=15)
    assert wait_for_the_end_of_session(process.pid) == ""


# --- SQL ---------------------------------------------------------------------------------------------------------


def test_tables_and_files_are_views_and_the_last_one_given_counts(engine, tmp_path):
    odd = tmp_path / "part [1]*'?.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", None]}), odd)
    pq.write_table(pa.table({"a": [99]}), tmp_path / "part 1.parquet")  # what the odd name would match as a pattern
    pq.write_table(pa.table({"a": [3], "later": [True]}), tmp_path / "two.parquet")
    engine.view("slides", [odd, tmp_path / "two.parquet"])
    assert engine.rows("SELECT a, b, later FROM slides ORDER BY a") == [(1, "x", None), (2, None, None), (3, None, True)]
    engine.view("slides", pa.table({"a": [7]}))
    assert engine.rows("SELECT a FROM slides") == [(7,)]
    engine.view("slides", [odd])
    assert engine.rows("SELECT a FROM slides WHERE b = ?", ["x"]) == [(1,)]
    engine.view('an "odd" name', pa.table({"a": [8]}))
    assert engine.rows('SELECT a FROM "an ""odd"" name"') == [(8,)]


def test_results_as_tables_keep_their_types_and_time_is_utc(engine):
    table = engine.table("SELECT 'x' AS s, 1::BIGINT AS n, TIMESTAMPTZ '2024-01-01 08:00:00+08' AS t WHERE ? = 5", [5])
    assert table.schema == pa.schema([("s", pa.string()), ("n", pa.int64()), ("t", pa.timestamp("us", "UTC"))])
    assert table["t"][0].as_py().isoformat() == "2024-01-01T00:00:00+00:00"
    assert engine.rows("SELECT hour(TIMESTAMPTZ '2024-01-01 08:00:00+08'), current_setting('threads')") == [(0, 2)]
    assert engine.table("SELECT 1 AS n WHERE false").num_rows == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST('Zhang San' AS INTEGER)",
        "SELECT error('Zhang San')",
        "SELEC 'Zhang San'",
        "SELECT 'Zhang San' FROM nowhere",
        "SELECT no_such_column, 'Zhang San' FROM people",
        "SELECT CAST(name AS INTEGER) FROM people",
    ],
)
def test_errors_do_not_repeat_values_and_the_engine_goes_on(engine, sql):
    engine.view("people", pa.table({"name": ["Zhang San"]}))
    for ask in (engine.rows, engine.table):
        with pytest.raises(InputOutputError) as caught:
            ask(sql)
        assert "Zhang" not in "".join(traceback.format_exception(caught.value)).replace(sql, "")
        assert "Zhang" not in str(caught.value)
        assert caught.value.__context__ is None
        assert re.search(r"\(\w+\)", caught.value.message)
    assert engine.rows("SELECT count(*) FROM people") == [(1,)]


def test_missing_and_damaged_files_are_input_errors(engine, tmp_path):
    with pytest.raises(InputOutputError):
        engine.view("gone", [tmp_path / "gone.parquet"])
    tmp_path.joinpath("bad.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(InputOutputError):
        engine.view("bad", [tmp_path / "bad.parquet"])
    with pytest.raises(ValueError, match="at least one file"):
        engine.view("empty", [])


def test_sql_reaches_neither_python_variables_nor_extensions_nor_settings(engine):
    secret = pa.table({"a": [1]})
    for sql in (
        "SELECT * FROM secret",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')",
        "SET autoinstall_known_extensions = true",
        "SET threads = 64",
    ):
        with pytest.raises(InputOutputError):
            engine.rows(sql)
        assert secret.num_rows == 1


def test_what_does_not_fit_into_memory_goes_to_the_given_directory(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with Embedded(workers=1, temp_directory=tmp_path / "spill's", memory_limit_bytes=60_000_000) as engine:
        engine.rows("CREATE TEMP TABLE big AS SELECT i, md5(i::VARCHAR) AS text FROM range(3000000) t(i)")
        assert engine.rows("SELECT count(*), max(i) FROM big") == [(3_000_000, 2_999_999)]
        assert sum(file.stat().st_size for file in (tmp_path / "spill's").rglob("*")) > 1_000_000
    assert list(elsewhere.iterdir()) == []


def test_an_interrupt_ends_a_query_at_once(tmp_path):
    program = f"""
        import signal
        from pathlib import Path
        from pathcurate.engines.embedded import Embedded
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        engine = Embedded(workers=1, temp_directory=Path({str(tmp_path)!r}))
        for ask in (engine.rows, engine.table):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            try:
                ask("SELECT sum(sqrt(a.i * b.i)) FROM range(300000) a(i), range(300000) b(i)")
            except KeyboardInterrupt:
                print("interrupted", ask("SELECT 1"))
        engine.close()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.count("interrupted") == 2


def _killed_while_it_queries(directory: str) -> None:
    engine = Embedded(workers=1, temp_directory=Path(directory))
    engine.materialise("numbers", "select range as n from range(1000)")
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_killed_runs_left_on_disk_goes_with_the_next_and_what_is_in_use_stays(tmp_path):
    with Embedded(workers=1, temp_directory=tmp_path) as running:
        running.materialise("numbers", "select range as n from range(1000)")
        mine = list(tmp_path.iterdir())
        for _ in range(2):
            process = multiprocessing.get_context("fork").Process(target=_killed_while_it_queries, args=(str(tmp_path),))
            process.start()
            process.join()
            assert process.exitcode == -signal.SIGKILL
        assert len(list(tmp_path.iterdir())) == 2, "the second has removed what the first left"
        with Embedded(workers=1, temp_directory=tmp_path) as engine:
            assert engine.rows("select 1") == [(1,)]
            assert len(list(tmp_path.iterdir())) == 2
        assert list(tmp_path.iterdir()) == mine
        assert running.rows("select sum(n) from numbers") == [(499500,)]
    assert list(tmp_path.iterdir()) == []


def test_two_engines_with_one_temporary_directory_spill_into_folders_of_their_own(tmp_path):
    with (
        Embedded(workers=1, temp_directory=tmp_path) as one,
        Embedded(workers=1, temp_directory=tmp_path) as other,
    ):
        places = {engine.rows("select current_setting('temp_directory')")[0][0] for engine in (one, other)}
        assert len(places) == 2
        assert {Path(place).parent.parent for place in places} == {tmp_path}
