"""Who looked at identified data in March: by person and command, with what for, and whether the trail is whole."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from pathcurate import vault as vaults
from pathcurate.cli.main import run
from pathcurate.model.audit import IDENTIFIED
from pathcurate.trail import Period, sum_up
from pathcurate.vault import append_event, read_events

SHANGHAI = timezone(timedelta(hours=8))


class _Clock:
    """Stands in for ``datetime`` where events get their time."""

    at = datetime(2026, 3, 1, tzinfo=UTC)

    @classmethod
    def now(cls, _zone: object) -> datetime:
        return cls.at

    fromisoformat = staticmethod(datetime.fromisoformat)


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(vaults, "datetime", _Clock)

    def append(at: str, actor: str, action: str, purpose: str | None = None, **facts: str | int) -> None:
        _Clock.at = datetime.fromisoformat(at)
        append_event(tmp_path / "vault", actor, action, facts, purpose=purpose)

    return append


@pytest.fixture
def directory(tmp_path: Path, note: Callable[..., None]) -> Path:
    note("2026-02-28T15:59:59+00:00", "li", "find", "before March in Shanghai", cases=1)
    note("2026-02-28T16:00:00+00:00", "li", "find", "recall", cases=2, slides=3, version="0.1", query_hmac="ab")
    note("2026-03-10T08:00:00+00:00", "zhang", "deid apply", slides=100)
    note("2026-03-11T08:00:00+00:00", "li", "find", cases=1, slides=0)
    note("2026-03-12T08:00:00+00:00", "li", "find", "recall", cases=1, slides=4)
    note("2026-03-12T09:00:00+00:00", "zhang", "link review export", "quality", slides=30, days=14)
    note("2026-03-31T15:59:59+00:00", "zhang", "deid reidentify", "incidental finding", codes=2, known=1)
    note("2026-03-31T16:00:00+00:00", "wang", "find", "after March in Shanghai", cases=1)
    return tmp_path / "vault"


MARCH = Period(SHANGHAI, date(2026, 3, 1), date(2026, 3, 31))


def test_who_looked_at_identified_data_in_march(directory: Path) -> None:
    report = sum_up(directory, MARCH, only_identified=True)
    assert report.events == 5
    assert report.broken_line is None
    found = {(one.actor, one.action): one for one in report.activities}
    assert list(found) == [("li", "find"), ("zhang", "deid reidentify"), ("zhang", "link review export")]
    li = found["li", "find"]
    assert (li.events, li.counts, li.purposes, li.without_purpose) == (3, {"cases": 4, "slides": 7}, ("recall",), 1)
    assert li.first.isoformat() == "2026-03-01T00:00:00+08:00"
    assert li.last.isoformat() == "2026-03-12T16:00:00+08:00"
    assert found["zhang", "link review export"].counts == {"slides": 30}
    assert all(one.identified for one in report.activities)


def test_other_questions(directory: Path) -> None:
    everything = sum_up(directory, Period(SHANGHAI))
    assert everything.events == 8
    assert {one.action for one in everything.activities if not one.identified} == {"deid apply"}
    assert sum_up(directory, Period(SHANGHAI), action="deid").events == 2
    assert sum_up(directory, Period(SHANGHAI), action="de").events == 0
    assert sum_up(directory, Period(SHANGHAI), actor="wang").events == 1
    assert sum_up(directory, Period(SHANGHAI, last=date(2026, 3, 10))).events == 3
    assert sum_up(directory, Period(UTC, date(2026, 3, 31), date(2026, 3, 31))).events == 2


def test_a_trail_without_a_line_or_with_another_is_told_broken(directory: Path) -> None:
    path = directory / "audit.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], *lines[4:]]))
    report = sum_up(directory, MARCH)
    assert report.broken_line == 4
    assert report.events == 5
    path.write_bytes(b"".join([*lines[:2], b"not a line\n", b'{"at": 7}\n', b"[]\n", *lines[2:]]))
    assert sum_up(directory, MARCH).broken_line == 3
    assert len(list(read_events(directory))) == 8


def test_there_may_be_no_trail(tmp_path: Path) -> None:
    assert sum_up(tmp_path / "vault", MARCH).activities == ()
    assert not (tmp_path / "vault").exists()


def test_the_list_names_commands_that_audit_themselves() -> None:
    commands = {"find", "link review export", "findings list --identified", "materials pull", "deid reidentify", "cohort"}
    assert commands <= set(IDENTIFIED)


# --- The command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path, directory: Path) -> Path:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\n")
    return tmp_path


def test_it_is_shown_for_people_and_for_programs(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "report", "--identified", "--from", "2026-03-05", "--to", "2026-03-20", "-w", str(workspace)]) == 0
    shown = capsys.readouterr().out
    assert "li  find  2 times  IDENTIFIED: a case with its patients" in shown
    assert "  for recall" in shown
    assert "1 time without a purpose" in shown
    assert shown.endswith("3 events; the chain of the whole trail is unbroken\n")
    assert run(["audit", "report", "--month", "2026-03", "--json", "-w", str(workspace)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["from"], document["to"], document["broken_line"]) == ("2026-03-01", "2026-03-31", None)
    assert {activity["actor"] for activity in document["activities"]} >= {"li", "zhang"}
    assert all(datetime.fromisoformat(activity["first"]).tzinfo for activity in document["activities"])
    assert all("T" in activity["last"] for activity in document["activities"])


def test_a_broken_chain_is_exit_4_and_still_shown(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = workspace / "vault" / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"zhang"', b'"nobody"'))
    assert run(["audit", "report", "-w", str(workspace)]) == 4
    shown = capsys.readouterr()
    assert "nobody" in shown.out
    assert "unbroken" not in shown.out
    assert "line 4 of vault/audit.jsonl" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [["--month", "2026-13"], ["--month", "March"], ["--from", "yesterday"], ["--to", "2026-02-30"],
     ["--month", "2026-03", "--to", "2026-03-04"], ["--month", "0000-01"], ["--month", "２０２６-03"]],
)  # fmt: skip
def test_a_period_that_is_none_is_refused(workspace: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert run(["audit", "report", *arguments, "-w", str(workspace)]) == 2
    assert "Traceback" not in capsys.readouterr().err


LOOKING = [
    ["find", "S23-1", "--to-review"],
    ["findings", "list", "--identified", "--to-review"],
]


@pytest.mark.parametrize("command", LOOKING, ids=lambda command: command[0])
def test_whoever_looks_may_say_what_for(
    workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.undo()
    assert run([*command, "--purpose", "随访 recall", "-w", str(workspace)]) in {0, 1}
    event = list(read_events(workspace / "vault"))[-1]
    assert event.purpose == "随访 recall"
    assert event.action in IDENTIFIED
    assert run([*command, "-w", str(workspace)]) in {0, 1}
    assert list(read_events(workspace / "vault"))[-1].purpose is None
    capsys.readouterr()
    assert run([*command, "--purpose", "CANARY\x1b[2J", "-w", str(workspace)]) == 2
    shown = capsys.readouterr()
    assert "CANARY" not in shown.out + shown.err
    assert len(list(read_events(workspace / "vault"))) == 10


def test_a_name_that_steers_a_terminal_is_written_out(
    workspace: Path, note: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    note("2026-03-12T08:00:00+00:00", "\x1b[2Jli", "find", "x\u202ey")
    assert run(["audit", "report", "-w", str(workspace)]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\u202e" in shown
