"""How long the steps of a scan take and how much memory it has come to by then; and a process of its own for a scan."""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from pathcurate import scan as stage

STEPS = {
    "_open": "open the archives",
    "_read": "walk and headers",
    "_settle": "moves, merging",
    "_look_deeper": "duplicates",
    "_summary": "summary, findings",
}


@dataclass(frozen=True)
class Step:
    """A step that has ended.

    Attributes:
        name: of :data:`STEPS`, or ``index``: everything before the first, which is mostly reading the tables.
        seconds: how long it took.
        peak_mb: the most memory that the process has had by its end, in millions of bytes.
    """

    name: str
    seconds: float
    peak_mb: float


def watched() -> list[Step]:
    """From now on scans of this process note their steps here."""
    steps: list[Step] = []
    ended = [time.perf_counter()]

    def watch(title: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def noted(*arguments: Any) -> Any:
            begun = time.perf_counter()
            if not steps:
                steps.append(Step("index", begun - ended[0], peak_mb()))
            answer = method(*arguments)
            steps.append(Step(title, time.perf_counter() - begun, peak_mb()))
            return answer

        return noted

    for name, title in STEPS.items():
        setattr(stage._Scan, name, watch(title, getattr(stage._Scan, name)))
    return steps


def peak_mb() -> float:
    """The most memory that this process has had, in millions of bytes.

    Not ``getrusage``: there a process begins with the peak of the one that started it.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("this system does not say how much memory a process has had")


def alone(action: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of a function of a module, called in a new process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(action, *arguments).result()
