"""What a command takes: seconds, work of all processors, and memory of it and all processes below it, at the most."""

import os
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_EVERY_SECONDS = 0.25


@dataclass(frozen=True)
class Used:
    """What a command took, and what it said.

    Attributes:
        seconds: by the clock.
        worked: seconds of all processors, those of processes below it among them.
        peak_bytes: the most memory that it and the processes below it had together, looked at four times a second; a page
            that several of them share counts once. What the first process alone had is exact.
        code: exit code.
        output: standard output.
        errors: standard error.
    """

    seconds: float
    worked: float
    peak_bytes: int
    code: int
    output: str
    errors: str


def run(command: Sequence[str], directory: Path | None = None) -> Used:
    """Run a command to its end."""
    root = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, cwd=directory,
            env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
        watch = _Watch(process.pid)
        watch.start()
        # Not `process.wait`: it does not say what the process and those that it waited for have used.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        watch.ended.set()
        watch.join()
        output.seek(0)
        errors.seek(0)
        peak = max(watch.peak_bytes, usage.ru_maxrss * 1024 if not watch.peak_bytes else 0)
        return Used(
            seconds, usage.ru_utime + usage.ru_stime, peak, process.returncode,
            output.read().decode(errors="replace"), errors.read().decode(errors="replace"),
        )  # fmt: skip


class _Watch(threading.Thread):
    """Looks at the memory of a process and those below it until it is told that they have ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self.ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        """Look again and again."""
        while not self.ended.wait(_EVERY_SECONDS):
            below = _below(self._pid)
            first = max(_field(self._pid, "status", "VmHWM:"), 0)
            self.peak_bytes = max(self.peak_bytes, first, sum(_field(pid, "smaps_rollup", "Pss:") for pid in below))


def _below(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(int(entry.name))
    found, coming = [], [pid]
    while coming:
        one = coming.pop()
        found.append(one)
        coming += children[one]
    return found


def _field(pid: int, file: str, name: str) -> int:
    """A value of a file of /proc in bytes; 0 for a process that has ended."""
    with suppress(OSError):
        for line in Path("/proc", str(pid), file).read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0
