"""The root command, and the one place where errors become exit codes."""

import errno
import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click

from pathcurate import __version__
from pathcurate.cli import runlog
from pathcurate.cli.language import language_of, said, speaking, spoken
from pathcurate.errors import InputOutputError, InterruptedRunError, PathcurateError
from pathcurate.terminaltext import unobeyed, unobeyed_json

_COMMANDS = {
    "init": "pathcurate.cli.init",
    "doctor": "pathcurate.cli.doctor",
    "scan": "pathcurate.cli.scan",
    "reports": "pathcurate.cli.reports",
    "events": "pathcurate.cli.events",
    "materials": "pathcurate.cli.materials",
    "index": "pathcurate.cli.index",
    "identities": "pathcurate.cli.identities",
    "annotations": "pathcurate.cli.annotations",
    "permissions": "pathcurate.cli.permissions",
    "link": "pathcurate.cli.link",
    "concepts": "pathcurate.cli.concepts",
    "deid": "pathcurate.cli.deid",
    "catalog": "pathcurate.cli.catalog",
    "vault": "pathcurate.cli.vault",
    "audit": "pathcurate.cli.audit",
    "describe": "pathcurate.cli.describe",
    "recipe": "pathcurate.cli.recipe",
    "codelist": "pathcurate.cli.codelist",
    "cohort": "pathcurate.cli.cohort",
    "labels": "pathcurate.cli.labels",
    "manifest": "pathcurate.cli.manifest",
    "validate": "pathcurate.cli.validate",
    "product": "pathcurate.cli.product",
    "evaluate": "pathcurate.cli.evaluate",
    "findings": "pathcurate.cli.findings",
    "find": "pathcurate.cli.find",
    "forget": "pathcurate.cli.forget",
    "run": "pathcurate.cli.run",
    "docs": "pathcurate.cli.docs",
    "completion": "pathcurate.cli.docs:completion_command",
}
"""Command to module, and the command's name there if it is not ``command``, in the order in which a new user meets them."""


class _Commands(click.Group):
    """Loads a command's module when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in reading order."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command."""
        module, _, name = _COMMANDS.get(cmd_name, "").partition(":")
        return getattr(import_module(module), name or "command") if module else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant, or what it may have been."""
        if args[0] not in _COMMANDS and not ctx.resilient_parsing:
            from difflib import get_close_matches

            # Click knows the names of commands that are loaded, and none is.
            for close in get_close_matches(args[0], _COMMANDS, n=1):
                ctx.fail(f"No such command '{args[0]}'. Did you mean '{close}'?")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pathcurate")
def root() -> None:
    """Turn a pathology slide archive into data products that can be registered and traded.

    \b
    Begin with a made-up hospital:
      pathcurate init --demo hospital
      pathcurate run hospital/recipes/demo_he_2023.yaml -w hospital

    \b
    Or with your own archive; the doctor says what is still missing:
      pathcurate init centre
      pathcurate doctor -w centre
    """


def run(arguments: Sequence[str]) -> int:
    """Run the command line; the exit code, with the error shown if there is one.

    A message of an unexpected exception may quote data, so only its type and place are shown. ``PATHCURATE_DEBUG=1`` shows
    the whole of it, for people who may see the data.
    """
    warnings.simplefilter("ignore")
    environment: Mapping[str, str] = os.environ
    is_logged = runlog.is_asked_for(arguments)
    log = runlog.RunLog(environment.get(runlog.RUN_ID, ""), quiet=_is_quiet(arguments)) if is_logged else None
    # A scheduler's locale is nobody's wish; what it reads changes its language only when asked to.
    language = language_of(arguments, {} if is_logged else environment, getattr(sys.stdout, "encoding", None) or "utf-8")
    _print_all()
    with speaking(language), runlog.logging(log), _closed_to_strangers():
        code, error = _run(arguments)
        if error is not None:
            _show(error, code, arguments)
        if log is not None:
            log.end(code, error.logged if error is not None else None)
    return code


@contextmanager
def _closed_to_strangers() -> Iterator[None]:
    """Whatever the umask is, what is made cannot be written by everybody; a group may share a workspace."""
    before = os.umask(0o002)
    os.umask(before | 0o002)
    try:
        yield
    finally:
        os.umask(before)


class _Told(NamedTuple):
    """What is told of an error.

    Attributes:
        message: what is wrong, and where.
        hint: what to do next.
        call: what is wrong with the call. It quotes what was given, which may be a patient's number, and is not logged.
    """

    message: str
    hint: str
    call: click.ClickException | None = None

    @property
    def logged(self) -> tuple[str, str]:
        """Message and hint, as far as a log may have them."""
        return ("the command line is wrong" if self.call is not None else self.message), self.hint


def _run(arguments: Sequence[str]) -> tuple[int, _Told | None]:  # noqa: PLR0911  one return for each kind of end
    try:
        result = root.main(args=list(arguments), prog_name="pathcurate", standalone_mode=False)
        sys.stdout.flush()
    except PathcurateError as error:
        return error.exit_code, _Told(error.message, error.hint)
    except click.ClickException as error:
        return 2, _Told(error.format_message(), "Give --help to see how the command is used.", error)
    except (KeyboardInterrupt, click.Abort):
        return InterruptedRunError.exit_code, _Told("interrupted", "Finished work is kept; run the command again to go on.")
    except (BrokenPipeError, SystemExit) as end:
        # Click's own way to end: with 1 when whoever read our output has enough, with 0 after completing a command line.
        if isinstance(end, SystemExit) and end.code != 1:
            return int(end.code or 0), None
        # Python would complain again at exit while flushing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return 141, None
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        hint = _ADVICE.get(name, "Run `pathcurate doctor` to see what is wrong with the disk and the workspace.")
        return InputOutputError.exit_code, _Told(f"the system refused: {name} ({_place(error)})", hint)
    except Exception as error:  # noqa: BLE001  the last line of defence: a traceback could show a patient's value
        if os.environ.get("PATHCURATE_DEBUG"):
            traceback.print_exception(error)
        return InputOutputError.exit_code, _Told(
            f"internal error: {type(error).__name__} at {_place(error)}",
            "Please report it with the command you ran. PATHCURATE_DEBUG=1 shows more, possibly patients' values.",
        )
    return (result if isinstance(result, int) else 0), None


_ADVICE = {
    "ENOSPC": "The disk is full. Free some space and run the command again; nothing half-written is kept.",
    "EDQUOT": "Your share of the disk is used up. Free some space and run the command again; finished work is kept.",
    "EFBIG": "A file grew beyond what this account may write (ulimit -f). Raise it and run the command again.",
    "EACCES": "Check who owns the workspace and the archive.",
    "EROFS": "The file system is mounted read-only. Mount it for writing, or put the workspace elsewhere.",
    "EMFILE": "Raise the limit of open files (ulimit -n).",
}


def _is_quiet(arguments: Sequence[str]) -> bool:
    return "-q" in arguments or "--quiet" in arguments


def _print_all() -> None:
    """Whatever the encoding of a terminal or pipe lacks is shown as an escape: it ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _show(error: _Told, code: int, arguments: Sequence[str]) -> None:
    # Looked for in the raw arguments, because parsing them may be what failed.
    if "--json" in arguments:
        document = {"error": {"exit_code": code, "message": error.message, "hint": error.hint}}
        click.echo(unobeyed_json(json.dumps(document, ensure_ascii=False)))
    if runlog.current() is not None:
        return
    is_chinese = spoken() == "zh"
    if error.call is not None and not is_chinese:
        error.call.show()
        return
    if isinstance(error.call, click.UsageError) and error.call.ctx is not None:
        click.echo(error.call.ctx.get_usage().replace("Usage: ", "用法：", 1), err=True)
    click.secho(f"{'错误：' if is_chinese else 'error: '}{unobeyed(said(error.message))}", fg="red", err=True)
    if error.hint:
        click.echo(f"  {'下一步：' if is_chinese else ''}{unobeyed(said(error.hint))}", err=True)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}pathcurate{os.sep}" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
