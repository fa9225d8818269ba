"""``--log-json``: each line of standard error is an object of the schema, and the last one says how it ended."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator

from pathcurate import errors
from pathcurate.cli import runlog
from pathcurate.cli.progress import phases, progress
from pathcurate.cli.run import _Run
from pathcurate.cli.session import Session, output_options
from pathcurate.errors import EXIT_NAMES, PathcurateError, VaultError
from pathcurate.model.runlog import RUN_LOG_JSON_SCHEMA
from pathcurate.storage import locked
from tests.commandline import Done, pathcurate

VALIDATOR = Draft202012Validator(dict(RUN_LOG_JSON_SCHEMA))


def lines(done: Done) -> list[dict[str, Any]]:
    """The log, each line of which is checked."""
    documents = [json.loads(line) for line in done.stderr.splitlines()]
    for document in documents:
        assert [fault.message for fault in VALIDATOR.iter_errors(document)] == []
    assert len({document["run"] for document in documents}) == 1
    return documents


@pytest.fixture
def act(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make ``pathcurate`` one command, ``x y``, that does what is given."""

    def be(what: Callable[[Session], object]) -> None:
        group = click.Group("x")

        @group.command("y")
        @click.argument("rest", nargs=-1)
        @output_options
        def command(session: Session, rest: tuple[str, ...]) -> object:
            return what(session)

        monkeypatch.setattr("pathcurate.cli.main.root", group)

    return be


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(dict(RUN_LOG_JSON_SCHEMA))
    assert [
        *VALIDATOR.iter_errors({"ts": "2026-01-01T00:00:00Z", "level": "info", "command": "", "run": "a", "event": "end"})
    ]


def test_each_exit_code_has_a_name() -> None:
    codes = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PathcurateError)
    }
    assert codes <= EXIT_NAMES.keys()
    assert len(set(EXIT_NAMES.values())) == len(EXIT_NAMES)


def test_a_run_is_told_from_start_to_end(act: Callable[..., None]) -> None:
    def work(session: Session) -> None:
        session.say("warning: half of it\n")
        with progress("work", "slides", quiet=session.quiet) as advance:
            advance(1, 4)
            advance(3, 4)
        session.show({"slides": 3, "ok": True, "counts": {"read": 2, "张三": 1, "S-1": 5}, "rows": [1]}, ["三张切片"])

    act(work)
    done = pathcurate("y", "--log-json")
    start, message, advanced, result, end = lines(done)
    assert (start["event"], start["command"]) == ("start", "y")
    assert (message["event"], message["level"], message["message"]) == ("message", "warning", "warning: half of it")
    assert [advanced[name] for name in ("event", "stage", "done", "total", "unit")] == ["progress", "work", 3, 4, "slides"]
    assert result["counts"] == {"slides": 3, "counts.read": 2}
    assert (end["event"], end["level"], end["exit_code"], end["exit_name"]) == ("end", "info", 0, "done")
    assert done.stdout == "三张切片\n"


def test_quiet_leaves_start_end_and_errors(act: Callable[..., None]) -> None:
    def work(session: Session) -> int:
        session.say("told")
        with phases("work", "slides", quiet=session.quiet) as step:
            step("first", 1, 2)
        session.show({"slides": 3}, [])
        return 1

    act(work)
    assert [line["event"] for line in lines(pathcurate("y", "--log-json", "-q"))] == ["start", "end"]
    told = lines(pathcurate("y", "--log-json", "-v"))
    assert [line["event"] for line in told] == ["start", "message", "progress", "result", "end"]
    assert told[2]["stage"] == "work first"
    assert (told[-1]["exit_code"], told[-1]["exit_name"], told[-1]["level"]) == (1, "findings", "warning")


def test_an_error_says_what_to_do(act: Callable[..., None]) -> None:
    def work(session: Session) -> None:
        with progress("work", "slides", quiet=session.quiet) as advance:
            advance(1, 4)
            raise VaultError("the key is gone", "Bring it back.")

    act(work)
    done = pathcurate("y", "--log-json", "--json")
    *_, advanced, error, end = lines(done)
    assert advanced["done"] == 1
    assert (error["message"], error["hint"], error["level"]) == ("the key is gone", "Bring it back.", "error")
    assert (end["exit_code"], end["exit_name"]) == (11, "vault")
    assert json.loads(done.stdout)["error"]["exit_code"] == 11


@pytest.mark.parametrize("failure", [ZeroDivisionError("张三"), KeyboardInterrupt(), OSError(28, "full")])
def test_whatever_happens_the_last_line_is_the_end(act: Callable[..., None], failure: BaseException) -> None:
    def work(_: Session) -> None:
        raise failure

    act(work)
    done = pathcurate("y", "--log-json")
    assert lines(done)[-1]["event"] == "end"
    assert lines(done)[-1]["exit_code"] == done.returncode != 0
    assert "\\u5f20" not in done.stderr


def test_what_was_given_wrongly_is_not_logged(act: Callable[..., None]) -> None:
    """It may be a patient's number in the place of something else."""
    act(lambda session: None)
    for arguments in (
        ["y", "--log-json", "--住院号=ZY0012345"],
        ["ZY0012345", "--log-json"],
        ["y", "--log-json", "--lang=ZY0012345"],
    ):
        done = pathcurate(*arguments)
        assert "0012345" not in done.stderr
        assert lines(done)[-1]["exit_name"] == "usage"
    assert "0012345" not in pathcurate("y", "ZY0012345", "--log-json").stderr


def test_the_locale_does_not_change_a_log(act: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    act(lambda session: session.show({}, ["Wait until it ends."]))
    assert pathcurate("y", "--log-json").stdout == "Wait until it ends.\n"
    assert pathcurate("y", "--log-json", "--lang", "zh").stdout == "请等待其结束。\n"
    assert pathcurate("y").stdout == "请等待其结束。\n"


@pytest.mark.parametrize(
    ("given", "is_taken"), [("manual__2026-11-23T02:00:00+00:00", True), ("a b", False), ('"}', False), ("", False)]
)
def test_a_scheduler_names_the_run(
    act: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    is_taken: bool,
) -> None:
    monkeypatch.setenv(runlog.RUN_ID, given)
    act(lambda session: None)
    runs = {line["run"] for line in lines(pathcurate("y", "--log-json"))}
    assert (runs == {given}) == is_taken


def test_without_the_option_nothing_is_json(act: Callable[..., None]) -> None:
    act(lambda session: session.say("told"))
    assert pathcurate("y").stderr == "told\n"
    assert pathcurate("y", "--", "--log-json").stderr == "told\n"
    assert runlog.current() is None


def test_a_held_workspace_is_told_by_name(tmp_path: Path) -> None:
    assert pathcurate("init", tmp_path / "w").returncode == 0
    with locked(tmp_path / "w", "scan"):
        done = pathcurate("scan", "-w", tmp_path / "w", "--log-json")
    assert (done.returncode, lines(done)[-1]["exit_name"]) == (14, "locked")


class Known:
    """Stamps of which one stage is up to date."""

    def is_current(self, name: str, facts: object) -> bool:
        return name.startswith("cohort")

    def forget(self, name: str) -> None:
        pass

    def record(self, name: str, facts: object) -> None:
        pass


def test_a_run_tells_its_stages(act: Callable[..., None]) -> None:
    def work(session: Session) -> None:
        stages = object.__new__(_Run)
        stages.__dict__.update(_session=session, _stamps=Known(), _fresh=False, skipped=[], seconds={}, has_changed=False)
        stages._stage("scan", None, lambda: "3 slides")
        stages._stage("cohort demo", dict, lambda: "never")
        stages._stage("texts demo", dict, lambda: "")

    act(work)
    _, *told, _ = lines(pathcurate("y", "--log-json"))
    assert [(line["event"], line.get("stage"), line.get("status")) for line in told] == [
        ("stage", "scan", "begin"), ("message", "scan", None), ("stage", "scan", "end"),
        ("stage", "cohort", "skipped"), ("stage", "texts", "begin"), ("stage", "texts", "end"),
    ]  # fmt: skip
    assert told[2]["seconds"] >= 0


def test_a_scheduler_may_end_it(tmp_path: Path) -> None:
    """SIGTERM, as of a time limit, ends as an interrupt does: the last line is there."""
    code = (
        "import sys, pathcurate.cli.main as m, pathcurate.__main__ as p, click, time, os, signal\n"
        "from pathcurate.cli.session import output_options\n"
        "@click.command()\n@output_options\ndef x(session):\n    os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(60)\n"
        "m.root = x\nsys.argv = ['pathcurate', '--log-json']\np.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=os.environ, check=False
    )
    assert done.returncode == 130
    end = json.loads(done.stderr.splitlines()[-1])
    assert (end["event"], end["exit_name"]) == ("end", "interrupted")
