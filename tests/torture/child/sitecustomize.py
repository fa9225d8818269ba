"""Disturbs the process that finds it on its path: kills it at a file operation, or moves its clock.

Python imports this before anything else, in workers too. It is told by the environment what to do:

- ``TORTURE_ROOT``: only file operations on paths below this folder count, and every fsync.
- ``TORTURE_STEP``: the first process kills its whole process group when it is about to do this operation, counted from 1.
- ``TORTURE_COUNT``: a file to which the first process writes at its end how many operations it has done.
- ``TORTURE_CLOCK``: seconds by which the clock is wrong, as ``-86400``, or ``86400@7`` for from the seventh operation on.
"""

import atexit
import ctypes
import datetime
import gc
import os
import signal
import sys
import time

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {
    "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.symlink",
    "shutil.rmtree", "sqlite3.connect",
}  # fmt: skip


class _Steps:
    """Counts what this process does to files, and ends it when its time has come."""

    def __init__(self, root: str, last: int | None) -> None:
        self.done = 0
        self._process, self._root, self._last = os.getpid(), root, last

    def hook(self, event: str, arguments: tuple) -> None:
        """An audit hook (PEP 578)."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._count(path)
        elif event in _CHANGES:
            self._count(*arguments)

    def fsync(self, handle: int, sync=os.fsync) -> None:
        """``os.fsync``, which no audit event tells of."""
        self._step()
        sync(handle)

    def _count(self, *paths: object) -> None:
        named = [os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike)]
        if any(path.startswith(self._root) for path in named):
            self._step()

    def _step(self) -> None:
        if os.getpid() != self._process:
            return
        self.done += 1
        if self.done == self._last:
            os.killpg(0, signal.SIGKILL)


def _move_clock(shift: float, since: int, steps: _Steps) -> None:
    """Let the wall clock be wrong; the monotonic clock goes on, as it does where somebody sets the time."""

    def moved() -> float:
        return shift if steps.done >= since else 0.0

    true = {name: getattr(time, name) for name in ("time", "time_ns", "localtime", "gmtime")}
    time.time = lambda: true["time"]() + moved()
    time.time_ns = lambda: true["time_ns"]() + int(moved() * 1_000_000_000)
    time.localtime = lambda seconds=None: true["localtime"](time.time() if seconds is None else seconds)
    time.gmtime = lambda seconds=None: true["gmtime"](time.time() if seconds is None else seconds)
    full, day = datetime.datetime, datetime.date

    def now(cls, tz=None):
        return cls.fromtimestamp(time.time(), tz)

    def utcnow(cls):
        return cls.fromtimestamp(time.time(), datetime.UTC).replace(tzinfo=None)

    def today(cls):
        return cls.fromtimestamp(time.time())

    # A subclass would not be the type that C libraries make; the dictionary of a C type has no other way in.
    for of, name, function in ((full, "now", now), (full, "utcnow", utcnow), (full, "today", today), (day, "today", today)):
        gc.get_referents(of.__dict__)[0][name] = classmethod(function)
    for of in (full, day):
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(of))


def _begin(told: dict[str, str]) -> None:
    is_first = "TORTURE_FIRST" not in os.environ
    os.environ["TORTURE_FIRST"] = "no"
    last = told.get("TORTURE_STEP")
    steps = _Steps(told["TORTURE_ROOT"], int(last) if last and is_first else None)
    if is_first:
        sys.addaudithook(steps.hook)
        os.fsync = steps.fsync
    if "TORTURE_COUNT" in told and is_first:
        atexit.register(lambda: _note(told["TORTURE_COUNT"], steps))
    if "TORTURE_CLOCK" in told:
        shift, _, since = told["TORTURE_CLOCK"].partition("@")
        _move_clock(float(shift), int(since or 0) if is_first else 0, steps)


def _note(path: str, steps: _Steps) -> None:
    # Opening the file is an operation too.
    done = steps.done
    with open(path, "w") as out:  # noqa: PTH123  as little as can be is imported here
        out.write(str(done))


if "TORTURE_ROOT" in os.environ:
    _begin(dict(os.environ))
