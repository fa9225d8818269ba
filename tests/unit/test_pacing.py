"""Reads at a pace, in a window, counted: over processes, threads and killed runs."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathcurate.pacing import BURST_SECONDS, Meter, PacedRoot, Window
from pathcurate.storage import Entry, LocalRoot

# --- rate --------------------------------------------------------------------------------------------------------

_READ = """
import pickle, sys, threading, time, json
meter = pickle.loads(bytes.fromhex(sys.argv[1]))
moments = []
def read():
    for _ in range(int(sys.argv[3])):
        meter.wait()
        moments.append(time.monotonic())
print("ready", flush=True)
sys.stdin.readline()
threads = [threading.Thread(target=read) for _ in range(int(sys.argv[2]))]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(moments))
"""


def readers(meter: Meter, processes: int, threads: int, reads: int) -> list[float]:
    """Moments at which reads were let go, over all processes and threads."""
    command = [sys.executable, "-c", _READ, pickle.dumps(meter).hex(), str(threads), str(reads)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    return sorted(moment for process in running for moment in json.loads(process.communicate(timeout=60)[0]))


def test_one_rate_for_all_processes_and_threads(tmp_path: Path) -> None:
    rate = 100
    meter = Meter.create(tmp_path, rate)
    moments = readers(meter, processes=2, threads=4, reads=20)
    assert len(moments) == meter.reads_used() == 160
    # Less than the rate is the machine's business; more never is. The first read waits for nothing.
    assert moments[-1] - moments[0] >= (160 - 1) / rate - BURST_SECONDS - 0.01
    assert moments[-1] - moments[0] < 2 * 160 / rate
    for first, moment in enumerate(moments[:-50]):
        # A thread that is woken late lets its read go late, so a moment's crowd may be larger by what came late.
        assert moments[first + 50] - moment >= 50 / rate - BURST_SECONDS - 0.15


def test_what_was_not_used_is_kept_for_a_tenth_of_a_second_only(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path, 50)
    meter.wait()
    time.sleep(0.5)
    begun = time.monotonic()
    for _ in range(16):
        meter.wait()
    # Five were saved up and the sixth is due; the other ten come one by one.
    assert time.monotonic() - begun >= 10 / 50 - 0.005


def test_a_meter_without_a_rate_counts_and_does_not_wait(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path)
    begun = time.monotonic()
    for _ in range(2000):
        meter.wait()
    assert time.monotonic() - begun < 10  # at the slowest rate that can be said it would be minutes
    assert meter.reads_used() == 2000
    assert Meter.create(tmp_path).reads_used() == 0


_HOLD = """
import pickle, sys, time
from pathcurate import pacing
meter = pickle.loads(bytes.fromhex(sys.argv[1]))
with pacing._opened(meter.path):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_process_killed_while_it_holds_the_meter_keeps_nobody_waiting(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path, 1000)
    process = subprocess.Popen([sys.executable, "-c", _HOLD, pickle.dumps(meter).hex()], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    waiting = threading.Thread(target=meter.wait)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    waiting.join(5)
    assert not waiting.is_alive()
    assert meter.reads_used() == 1


_READ_FOR_EVER = """
import pickle, sys
meter = pickle.loads(bytes.fromhex(sys.argv[1]))
print("go", flush=True)
while True:
    meter.wait()
"""


def test_readers_killed_at_any_moment_leave_a_meter_that_counts_on(tmp_path: Path) -> None:
    meter = Meter.create(tmp_path)
    before = 0
    for pause in (0.0, 0.01, 0.023, 0.05):
        process = subprocess.Popen([sys.executable, "-c", _READ_FOR_EVER, pickle.dumps(meter).hex()], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(pause)
        process.kill()
        process.communicate()
        meter.wait()
        assert before < meter.reads_used() < 1_000_000
        before = meter.reads_used()


# --- roots -------------------------------------------------------------------------------------------------------


def test_opening_and_reading_count_and_listing_does_not(tmp_path: Path) -> None:
    (tmp_path / "a.svs").write_bytes(b"0123456789")
    (tmp_path / "b.dat").write_bytes(b"beside")
    meters = tmp_path / "meters"
    meters.mkdir()
    paced = PacedRoot(LocalRoot(os.fsencode(tmp_path)), Meter.create(meters, 10_000))
    root: PacedRoot = pickle.loads(pickle.dumps(paced))  # noqa: S301  as it goes to the workers
    names = [item.relpath for item in root.walk(lambda _: set()) if isinstance(item, Entry)]
    assert names[:2] == [b"a.svs", b"b.dat"]
    assert root.uri(b"a.svs") == LocalRoot(os.fsencode(tmp_path)).uri(b"a.svs")
    assert root.reads_used() == 0
    handles = len(list(Path("/proc/self/fd").iterdir()))
    with root.open(b"a.svs") as source:
        assert (source.size, source.name, source.local_path) == (10, "a.svs", os.fsencode(tmp_path / "a.svs"))
        assert (source.read_at(2, 3), source.read_at(9, 5)) == (b"234", b"9")
        assert not source.changed()
        os.truncate(tmp_path / "a.svs", 3)
        assert source.changed()
        with source.beside(b"b.dat") as companion:
            assert companion.read_at(0, 99) == b"beside"
        with pytest.raises(FileNotFoundError):
            source.beside(b"nothing")
    assert root.reads_used() == 1 + 2 + 1 + 1 + 1
    with pytest.raises(FileNotFoundError):
        root.open(b"nothing")
    assert len(list(Path("/proc/self/fd").iterdir())) == handles


# --- hours -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "opened", "closed"),
    [
        ("19:00-07:00", ["19:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "18:59"]),
        ("00:00-06:30", ["00:00", "06:29"], ["06:30", "23:59"]),
        ("22:15-24:00", ["22:15", "23:59"], ["00:00", "22:14"]),
        ("00:00-24:00", ["00:00", "12:00", "23:59"], []),
        ("22:00-00:00", ["22:00", "23:59"], ["00:00", "21:59"]),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_the_one_before_its_last(
    text: str, opened: list[str], closed: list[str]
) -> None:
    window = Window.parse(text)
    for hours, is_open in ((opened, True), (closed, False)):
        for hour in hours:
            assert window.is_open(datetime.fromisoformat(f"2026-03-01T{hour}")) is is_open, hour


@pytest.mark.parametrize(
    "text",
    [
        "",
        "19-7",
        "19:00",
        "19:00-19:00",
        "24:00-07:00",
        "19:00-24:01",
        "19:60-20:00",
        "９:00-10:00",
        "19:00-07:00 ",
        "7:00-8:00",
    ],
)
def test_hours_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="hours"):
        Window.parse(text)


_MINUTES = st.integers(0, 24 * 60 - 1)


@given(_MINUTES, st.integers(0, 24 * 60), st.datetimes(datetime.min.replace(year=2020), datetime.min.replace(year=2030)))
def test_the_wait_ends_when_the_window_opens_and_not_before(start: int, end: int, now: datetime) -> None:
    if start == end % (24 * 60):
        end = start + 1
    window = Window(start, end)
    seconds = window.seconds_until_open(now)
    assert 0 <= seconds < 24 * 3600
    # What a float cannot hold of a day's microseconds may fall on the wrong side of the minute.
    assert window.is_open(now + timedelta(seconds=seconds + 1e-5))
    if seconds:
        assert not window.is_open(now)
        assert not window.is_open(now + timedelta(seconds=max(0.0, seconds - 1e-5)))
