"""``--log-json``: what a command does, as JSON lines on standard error, for schedulers."""

import json
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import click

OPTION = "--log-json"
RUN_ID = "PATHCURATE_RUN_ID"

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:+-]{1,128}", re.ASCII)
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_DEEPEST = 2


class RunLog:
    """The log of one call; see ``schemas/run-log-1.schema.json``.

    Args:
        run: what all its lines carry, else one is made up.
        quiet: only the start, the end, stages and errors.
    """

    def __init__(self, run: str = "", *, quiet: bool = False) -> None:
        self._run = run if _IDENTIFIER.fullmatch(run) else uuid.uuid4().hex
        self._quiet = quiet
        self._began = time.monotonic()
        self._command = ""
        self._stage = ""

    def write(self, event: str, level: str = "info", **facts: Any) -> None:
        """Write a line."""
        line = {
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"), "level": level,
            "command": self._command, "run": self._run, "event": event, **facts,
        }  # fmt: skip
        # ASCII, so that no encoding of the scheduler's can break a line; flushed, because it reads while we run.
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()

    def start(self, command: str) -> None:
        """The command is known, and begins."""
        if not self._command:
            self._command = command
            self.write("start")

    def stage(self, name: str, status: str, seconds: float | None = None) -> None:
        """A stage begins, ends, or is skipped."""
        self._stage = name if status == "begin" else ""
        took: dict[str, Any] = {} if seconds is None else {"seconds": seconds}
        self.write("stage", stage=name, status=status, **took)

    def progress(self, stage: str, done: int, total: int, unit: str) -> None:
        """How much is done."""
        if not self._quiet:
            self.write("progress", stage=stage, done=done, total=max(done, total), unit=unit)

    def message(self, text: str) -> None:
        """What people are told."""
        if not self._quiet:
            level = "warning" if text.lstrip().startswith("warning") else "info"
            stage = {"stage": self._stage} if self._stage else {}
            self.write("message", level, message=text.strip(), **stage)

    def result(self, document: Mapping[str, Any]) -> None:
        """The numbers of a result, and nothing else of it."""
        counts = dict(_numbers(document, ()))
        if counts and not self._quiet:
            self.write("result", counts=counts)

    def end(self, code: int, error: tuple[str, str] | None) -> None:
        """The call ends: with the message of an error and what to do, if there is one."""
        from pathcurate.errors import EXIT_NAMES

        if error is not None:
            message, hint = error
            stage = {"stage": self._stage} if self._stage else {}
            self.write("error", "error", message=message, hint=hint, exit_code=code, **stage)
        level = "info" if code == 0 else "warning" if code == 1 else "error"
        seconds = round(time.monotonic() - self._began, 3)
        self.write("end", level, exit_code=code, exit_name=EXIT_NAMES.get(code, "other"), seconds=seconds)


def _numbers(document: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    """Whole numbers by their keys, joined by points; a key that is no name of ours may be a value, and is passed over."""
    for name, value in document.items():
        if not _NAME.fullmatch(str(name)):
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            yield ".".join((*path, name)), value
        elif isinstance(value, Mapping) and len(path) + 1 < _DEEPEST:
            yield from _numbers(value, (*path, name))


_current: ContextVar[RunLog | None] = ContextVar("runlog", default=None)


def is_asked_for(arguments: Sequence[str]) -> bool:
    """Whether the arguments ask for a log; looked for in them as given, because parsing them may be what fails."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return OPTION in own


@contextmanager
def logging(log: RunLog | None) -> Iterator[None]:
    """Write a log for a while, or none."""
    token = _current.set(log)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> RunLog | None:
    """The log of this call, None if nobody asked for one."""
    return _current.get()


def _begin(context: click.Context, _parameter: click.Parameter, _asked: bool) -> None:
    log = _current.get()
    if log is not None and not context.resilient_parsing:
        log.start(context.command_path.partition(" ")[2])


def log_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--log-json``."""
    return click.option(
        OPTION, is_flag=True, callback=_begin, expose_value=False,
        help="Messages and progress as JSON lines on standard error.",
    )(function)  # fmt: skip
