"""The root command, and the one place where errors become exit codes."""

import errno
import json
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import click

from pathcurate import __version__
from pathcurate.errors import InputOutputError, InterruptedRunError, PathcurateError

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


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pathcurate")
def root() -> None:
    """Turn a pathology slide archive into data products that can be registered and traded.

    \b
    Begin with a made-up hospital:
      pathcurate init --demo hospital
      pathcurate run hospital/recipes/demo_he_2023.yaml -w hospital
    """


def run(arguments: Sequence[str]) -> int:  # noqa: PLR0911  one return for each kind of end
    """Run the command line; the exit code, with the error shown if there is one.

    A message of an unexpected exception may quote data, so only its type and place are shown. ``PATHCURATE_DEBUG=1`` shows
    the whole of it, for people who may see the data.
    """
    warnings.simplefilter("ignore")
    try:
        result = root.main(args=list(arguments), prog_name="pathcurate", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except PathcurateError as error:
        return _show(error, arguments)
    except click.ClickException as error:
        error.show()
        _show_json(error.format_message(), "Give --help to see how the command is used.", 2, arguments)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _show(InterruptedRunError("interrupted", "Finished work is kept; run the command again to go on."), arguments)
    except (BrokenPipeError, SystemExit) as end:
        # Click's own way to end: with 1 when whoever read our output has enough, with 0 after completing a command line.
        if isinstance(end, SystemExit) and end.code != 1:
            return int(end.code or 0)
        # Python would complain again at exit while flushing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return 141
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, type(error).__name__)
        return _show(InputOutputError(f"the system refused: {name} ({_place(error)})", _ADVICE.get(name, "")), arguments)
    except Exception as error:  # noqa: BLE001  the last line of defence: a traceback could show a patient's value
        return _show(
            InputOutputError(
                f"internal error: {type(error).__name__} at {_place(error)}",
                "Please report it with the command you ran. PATHCURATE_DEBUG=1 shows more, possibly patients' values.",
            ),
            arguments,
            error,
        )


_ADVICE = {
    "ENOSPC": "The disk is full. Free some space and run the command again; nothing half-written is kept.",
    "EDQUOT": "Your share of the disk is used up. Free some space and run the command again; finished work is kept.",
    "EFBIG": "A file grew beyond what this account may write (ulimit -f). Raise it and run the command again.",
    "EACCES": "Check who owns the workspace and the archive.",
    "EROFS": "The file system is mounted read-only.",
    "EMFILE": "Raise the limit of open files (ulimit -n).",
}


def _show(error: PathcurateError, arguments: Sequence[str], cause: BaseException | None = None) -> int:
    if cause is not None and os.environ.get("PATHCURATE_DEBUG"):
        traceback.print_exception(cause)
    _show_json(error.message, error.hint, error.exit_code, arguments)
    click.secho(f"error: {error.message}", fg="red", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return error.exit_code


def _show_json(message: str, hint: str, code: int, arguments: Sequence[str]) -> None:
    # Looked for in the raw arguments, because parsing them may be what failed.
    if "--json" in arguments:
        click.echo(json.dumps({"error": {"exit_code": code, "message": message, "hint": hint}}, ensure_ascii=False))


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{os.sep}pathcurate{os.sep}" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
