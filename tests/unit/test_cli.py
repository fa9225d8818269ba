"""The wiring of the command line: where a workspace is found, how results and errors are shown, and with which exit code."""

import contextlib
import errno
import io
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from pathcurate import errors
from pathcurate.cli import progress as progress_module
from pathcurate.cli.main import root, run
from pathcurate.cli.progress import progress
from pathcurate.cli.session import Session, counted, exit_code, finding_lines
from pathcurate.errors import PathcurateError
from pathcurate.model.finding import Finding, Severity
from pathcurate.workspace import load_workspace
from tests.built import build_release

SECRET = "龘靐齉 13912345678"
PLAIN = Session(None, as_json=False, quiet=False, verbose=False)


def shown(*arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(arguments)
    return code, out.getvalue(), err.getvalue()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands start in an empty directory."""
    monkeypatch.delenv("PATHCURATE_WORKSPACE", raising=False)
    monkeypatch.delenv("PATHCURATE_DEBUG", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Make ``pathcurate link`` end with an exception."""

    def fail_with(error: BaseException) -> None:
        @click.command("link")
        @click.option("--json", "as_json", is_flag=True)
        def command(as_json: bool) -> None:
            raise error

        monkeypatch.setattr("pathcurate.cli.link.command", command)

    return fail_with


def every_command(group: click.Group = root) -> Iterator[click.Command]:
    context = click.Context(group, help_option_names=["-h", "--help"])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield command
        if isinstance(command, click.Group):
            yield from every_command(command)


@pytest.mark.parametrize(("typed", "meant"), [("sacn", "scan"), ("cohrot", "cohort"), ("manifst", "manifest")])
def test_a_misspelt_command_is_told_what_was_meant(typed: str, meant: str) -> None:
    code, _, err = shown(typed)
    assert code == 2
    assert f"No such command '{typed}'. Did you mean '{meant}'?" in err
    assert f"没有该命令 '{typed}'。是不是 '{meant}'？" in shown(typed, "--lang", "zh")[2]


def test_a_command_that_is_like_none_is_told_no_other() -> None:
    code, _, err = shown("xyzzy")
    assert code == 2
    assert "No such command 'xyzzy'." in err
    assert "Did you mean" not in err


# --- Options ---------------------------------------------------------------------------------------------------------


def test_no_command_gives_two_parameters_one_name() -> None:
    for command in every_command():
        names = [parameter.name for parameter in command.params]
        assert len(set(names)) == len(names), command.name


def test_every_command_can_print_json() -> None:
    for command in every_command():
        if not isinstance(command, click.Group):
            assert {"as_json", "quiet", "verbose"} <= {parameter.name for parameter in command.params}, command.name


# --- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PathcurateError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_each_error_has_its_exit_code_and_is_shown_whole(
    kind: type[PathcurateError], failing: Callable[[BaseException], None]
) -> None:
    failing(kind("what and where", "What to do."))
    assert shown("link") == (kind.exit_code, "", "error: what and where\n  What to do.\n")
    code, out, err = shown("link", "--json")
    fault = {"exit_code": kind.exit_code, "message": "what and where", "hint": "What to do."}
    assert (code, json.loads(out)) == (kind.exit_code, {"error": fault})
    assert err.startswith("error: what and where")


def test_exit_codes_are_those_that_are_documented() -> None:
    codes = {kind.__name__: kind.exit_code for kind in PathcurateError.__subclasses__()}
    assert codes == {
        "ExpectationError": 1, "UsageError": 2, "InputOutputError": 3, "DigestMismatchError": 4, "VersionError": 5,
        "ExpiredError": 6, "RecipeError": 10,
        "VaultError": 11, "PlanIncompleteError": 12, "DisclosureRefusedError": 13, "LockedError": 14,
        "InterruptedRunError": 130,
    }  # fmt: skip
    assert all(kind.__module__ == errors.__name__ for kind in PathcurateError.__subclasses__())


@pytest.mark.parametrize("error", [ValueError(SECRET), KeyError(SECRET), RecursionError(SECRET), MemoryError(SECRET)])
def test_an_unexpected_error_shows_its_type_and_place_only(
    error: BaseException, failing: Callable[[BaseException], None]
) -> None:
    failing(error)
    code, out, err = shown("link", "--json")
    assert code == 3
    assert SECRET not in out + err
    assert type(error).__name__ in err
    assert "PATHCURATE_DEBUG=1" in err


def test_who_may_see_the_data_can_see_the_traceback(
    failing: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATHCURATE_DEBUG", "1")
    failing(ValueError(SECRET))
    assert SECRET in shown("link")[2]


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "who owns"), (errno.EROFS, "read-only")]
)
def test_what_the_system_refuses_is_named_without_its_path(
    number: int, advice: str, failing: Callable[[BaseException], None]
) -> None:
    failing(OSError(number, "text", SECRET))
    code, _, err = shown("link")
    assert code == 3
    assert errno.errorcode[number] in err
    assert advice in err
    assert SECRET not in err


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interruption_says_that_work_is_kept(error: BaseException, failing: Callable[[BaseException], None]) -> None:
    failing(error)
    code, out, err = shown("link")
    assert (code, out) == (130, "")
    assert err.strip() == "error: interrupted\n  Finished work is kept; run the command again to go on."


def test_a_reader_that_has_enough_gets_no_complaint() -> None:
    program = "from pathcurate.cli.main import run; import sys; sys.exit(run(['deid', 'explain']))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("arguments", [["frob"], ["scan", "--frob"], ["cohort"], ["validate", "nowhere.yaml"]])
def test_a_wrong_call_is_a_usage_error(arguments: list[str]) -> None:
    code, out, err = shown(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: pathcurate" in err
    code, out, _ = shown(*arguments, "--json")
    fault = json.loads(out)["error"]
    assert (code, fault["exit_code"]) == (2, 2)
    assert fault["message"]


# --- Workspaces ------------------------------------------------------------------------------------------------------


def test_the_workspace_is_found_by_option_environment_and_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        assert shown("init", name)[0] == 0
    inside = tmp_path / "c" / "deep" / "er"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert PLAIN.workspace().root == tmp_path / "c"
    monkeypatch.setenv("PATHCURATE_WORKSPACE", str(tmp_path / "b"))
    (tmp_path / "b" / "pathcurate.yaml").write_text("frob: 1\n")
    code, _, err = shown("manifest", "list")
    assert (code, f"{tmp_path}/b/pathcurate.yaml" in err) == (2, True)
    assert shown("manifest", "list", "-w", str(tmp_path / "a"))[0] == 0


def test_a_workspace_that_is_not_there_yet_stops_no_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATHCURATE_WORKSPACE", "later")
    assert shown("link")[0] == 2
    assert shown("init", "later")[0] == 0
    assert shown("manifest", "list")[1].startswith("no releases yet")


@pytest.mark.parametrize("name", ["2024", "a: b", "# x", "null", "宁波", 'quote"d', "back\\slash", "{x}", "- y"])
def test_init_makes_a_workspace_of_any_name(name: str, tmp_path: Path) -> None:
    code, out, _ = shown("init", f"./{name}")
    assert code == 0
    assert str(tmp_path / name) in out
    workspace = load_workspace(tmp_path / name / "pathcurate.yaml")
    assert workspace.name == name
    assert [site.code for site in workspace.sites] == ["NB01"]
    assert {path.suffix for path in workspace.recipes.rglob("*.*")} == {".yaml", ".json", ".csv"}


def test_init_here_takes_the_name_of_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "centre" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "centre" / "deep")
    assert shown("init", "..")[0] == 0
    assert load_workspace(tmp_path / "centre" / "pathcurate.yaml").name == "centre"


def test_init_writes_over_nothing(tmp_path: Path) -> None:
    recipe = tmp_path / "recipes" / "demo_he_2023.yaml"
    recipe.parent.mkdir()
    recipe.write_text("mine")
    assert shown("init")[0] == 0
    assert recipe.read_text() == "mine"
    before = (tmp_path / "pathcurate.yaml").read_bytes()
    assert shown("init")[0] == 2
    assert (tmp_path / "pathcurate.yaml").read_bytes() == before


def test_the_next_command_that_init_names_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_hospital(directory: Path) -> SimpleNamespace:
        (directory / "pathcurate.yaml").write_text("workspace: 1\nname: demo\n")
        return SimpleNamespace(slides=67, reports=52, cases=50, patients=42, events=118)

    monkeypatch.setattr("pathcurate.demo.hospital.make_hospital", make_hospital)
    code, out, err = shown("init", "--demo", "a hospital")
    assert (code, err) == (0, "Painting slides and writing reports …\n")
    program, command, recipe, option, directory = shlex.split(out.splitlines()[-1].removeprefix("Next: "))
    assert (program, command, option) == ("pathcurate", "run", "-w")
    assert Path(recipe).is_file()
    assert Path(directory) == tmp_path / "a hospital"
    code, out, _ = shown("init", "--demo", "b", "--json")
    assert json.loads(out)["counts"] == {"slides": 67, "reports": 52, "cases": 50, "patients": 42, "events": 118}


# --- Showing ---------------------------------------------------------------------------------------------------------


def finding(severity: Severity, rule: str = "a.b", count: int = 1, message: str = "m") -> Finding:
    return Finding(rule, severity, message, table="slides", column="stain", count=count)


@pytest.mark.parametrize(
    ("severities", "fail_on", "code"),
    [
        ([], "info", 0), (["info"], "info", 1), (["info"], "warning", 0), (["warning"], "warning", 1),
        (["warning", "info"], "error", 0), (["info", "error"], "error", 1), (["error"], "never", 0),
    ],
)  # fmt: skip
def test_findings_make_the_exit_code(severities: list[str], fail_on: str, code: int) -> None:
    assert exit_code([finding(Severity(name)) for name in severities], fail_on) == code


def test_findings_are_grouped_worst_first() -> None:
    findings = [
        finding(Severity.INFO, "z.mild"), finding(Severity.ERROR, "b.bad", 2, "first"), finding(Severity.ERROR, "b.bad", 3),
    ]  # fmt: skip
    lines = [line.split() for line in finding_lines(findings, verbose=False)]
    assert lines == [["error", "b.bad", "5", "first", "(and", "1", "more)"], ["info", "z.mild", "1", "m"]]
    assert len(list(finding_lines(findings, verbose=True))) == 3
    assert next(finding_lines(findings, verbose=True)).split() == ["error", "b.bad", "slides.stain:", "first"]


def test_many_rules_are_cut_short_and_say_so() -> None:
    lines = list(finding_lines([finding(Severity.INFO, f"a.r{number:02}") for number in range(25)], verbose=False))
    assert len(lines) == 21
    assert "5 more rules" in lines[-1]


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(n, "slide") for n in (0, 1, 1200)] == ["0 slides", "1 slide", "1,200 slides"]
    assert counted(2, "criterion", "criteria") == "2 criteria"


def test_quiet_says_nothing_but_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    Session(None, as_json=False, quiet=True, verbose=False).say("message")
    Session(None, as_json=True, quiet=True, verbose=False).show({"a": "宁"}, ["line"])
    assert capsys.readouterr() == ('{\n "a": "宁"\n}\n', "")
    PLAIN.show({"a": 1}, ["line"])
    PLAIN.say("message")
    assert capsys.readouterr() == ("line\n", "message\n")


def test_progress_is_a_line_now_and_then_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 31.0, 31.0, 40.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock))
    with progress("scan", "files", quiet=False) as advance:
        advance(10, 3000)
        advance(1200, 3000)
        advance(1300, 3000)
    assert capsys.readouterr() == ("", "scan: 1,200 of 3,000 files\n")


def test_progress_is_a_bar_on_a_terminal_and_nothing_if_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for quiet in (True, False):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress("scan", "files", quiet=quiet) as advance:
            advance(1, 2)
            time.sleep(0.15)
            advance(2, 2)
        assert ("scan" in terminal.getvalue()) is not quiet


def test_the_actor_is_whom_the_system_knows_and_not_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = PLAIN.actor
    monkeypatch.setenv("LOGNAME", "somebody_else")
    assert PLAIN.actor == actor != "somebody_else"

    def nobody(uid: int) -> Any:
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", nobody)
    assert PLAIN.actor == f"uid {os.getuid()}"


def test_a_registry_that_was_changed_from_outside_is_not_shown(tmp_path: Path) -> None:
    release = build_release(tmp_path)
    workspace = next(path.parent for path in tmp_path.rglob("pathcurate.yaml"))
    assert shown("product", "register", str(release), "-w", str(workspace))[0] == 0
    assert shown("product", "list", "-w", str(workspace))[0] == 0
    with contextlib.closing(sqlite3.connect(workspace / "registry.db")) as connection:
        connection.execute("update subjects set state = 'offered'")
        connection.commit()
    for command in (("list",), ("show", release.parent.name)):
        code, _, err = shown("product", *command, "-w", str(workspace))
        assert code == 4
        assert "changed outside of pathcurate" in err
