"""The command line in this process: one of its own would spend a second on imports, which is what few tests are about."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path

from pathcurate.cli.main import run


@dataclass(frozen=True)
class Done:
    """What a command has shown."""

    returncode: int
    stdout: str
    stderr: str


def pathcurate(*arguments: str | Path) -> Done:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())
