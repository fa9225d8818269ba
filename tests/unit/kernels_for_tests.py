"""Kernels for test_engine.py; worker processes import them from here."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import pyarrow as pa

INPUT = pa.schema([("number", pa.int64())])
OUTPUT = pa.schema([("number", pa.int64()), ("answer", pa.string()), ("process", pa.int64())])


def output(numbers, answers):
    return pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), pa.array(answers, pa.string()), pa.array([os.getpid()] * len(numbers), pa.int64())],
        schema=OUTPUT,
    )


def answer(batch, spec):
    """Obey ``spec``, a dict from number to what shall happen at that row."""
    numbers = batch.column(0).to_pylist()
    for number in numbers:
        match spec.get(number):
            case "exit":
                os._exit(7)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "segfault":
                ctypes.string_at(0)
            case "hang":
                time.sleep(3600)
            case "slow":
                time.sleep(0.4)
    return output(numbers, [f"computed {number}" for number in numbers])


class AwkwardError(Exception):
    """Pickles, but does not unpickle."""

    def __init__(self, one, two):
        super().__init__(one)
        self.two = two


def fail(batch, spec):
    if 5 not in batch.column(0).to_pylist():
        return answer(batch, {})
    return deep_inside(spec)


def deep_inside(spec):
    match spec:
        case "awkward":
            raise AwkwardError("one", "two")
        case "exit":
            sys.exit(0)
    raise ZeroDivisionError("on purpose")


def wrong_schema(batch, spec):
    return batch


def one_row_short(batch, spec):
    return answer(batch.slice(1), {})


def note_start(batch, spec):
    """Leave a file for each batch begun, then take a while."""
    Path(spec, str(batch.column(0)[0].as_py())).touch()
    return answer(batch, {})


def big(batch, spec):
    return output(batch.column(0).to_pylist(), ["x" * spec] * batch.num_rows)


def take_a_second():
    time.sleep(1)
    return {}


class SlowToLoad:
    """A spec that becomes an empty dict when it is unpickled, a second later."""

    def __reduce__(self):
        return take_a_second, ()
