"""Requests of people who may not see the data: what is believed of a file, what is answered, what an answer tells."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pathcurate import requests
from pathcurate.cli.main import run
from pathcurate.cohort import read_recipe
from pathcurate.disclosure.counts import LEAST_COUNT, WITHHELD
from pathcurate.errors import DisclosureRefusedError, InputOutputError, UsageError
from pathcurate.model.attrition import Attrition, AttritionStep, Counts
from pathcurate.requests import Request, answer, ask, is_over_limit, open_requests, refusal, standings, too_few
from pathcurate.vault import read_events
from pathcurate.workspace import Workspace, load_workspace

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
RECIPE = """\
recipe: 1
name: some
version: 1.0.0
title: Some
unit: slide
columns: [slide_id]
"""
TELLING = RECIPE + (
    "include: [{id: day, level: case, where: {reported_date: {min: 2023-01-01, max: 2023-01-02}}, if_missing: fail}]\n"
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "pathcurate.yaml").write_text("workspace: 1\nname: w\nsites: [{code: NB01}]\n")
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests").chmod(requests_mode())
    return load_workspace(tmp_path / "pathcurate.yaml")


def requests_mode() -> int:
    return 0o3770


def asked(workspace: Workspace, text: str = RECIPE, *, dry_run: bool = True, now: datetime = NOW) -> Path:
    path, _ = ask(workspace, read_recipe(Path("some.yaml"), text=text), text, dry_run=dry_run, now=now)
    return path


def the_request(workspace: Workspace) -> Request:
    (request,), strange = open_requests(workspace)
    assert strange == 0
    return request


def attrition(unit: str, *steps: tuple[int, int, int]) -> Attrition:
    """An attrition that begins with the first counts and comes to the others."""
    start, *left = (Counts(*counts) for counts in steps)
    made = []
    before = start
    for number, counts in enumerate(left):
        dropped = getattr(before, f"{unit}s") - getattr(counts, f"{unit}s")
        made.append(AttritionStep(f"s{number}", f"Step {number}", unit, "include", dropped, dropped, counts))
        before = counts
    return Attrition(unit, start, tuple(made))


def test_a_request_is_asked_once_a_day_and_answered_once(workspace: Workspace) -> None:
    path = asked(workspace)
    assert asked(workspace) == path
    assert asked(workspace, dry_run=False) != path
    assert asked(workspace, now=NOW + timedelta(days=1)) != path
    waiting, _ = open_requests(workspace)
    assert len(waiting) == 3
    source = read_recipe(Path("some"), text=waiting[0].recipe)
    found = attrition("slide", (100, 50, 40), (60, 30, 20))
    written = answer(workspace, waiting[0], source=source, attrition=found, reason=None, actor="tester", now=NOW)
    assert written.stat().st_mode & 0o777 == 0o640
    assert len(open_requests(workspace)[0]) == 2
    (event,) = read_events(workspace.vault)
    assert (event.action, event.purpose, event.facts["state"]) == ("request answered", "research", "answered")
    states = [standing.state for standing in standings(workspace, os.getuid())]
    assert sorted(states) == ["answered", "open", "open"]
    assert list(standings(workspace, os.getuid() + 1)) == []


HOSTILE: dict[str, Any] = {
    "no JSON": b"{", "no object": b"[]", "deep": b"[" * 100_000, "another version": b'{"request": 2}',
    "recipe is a number": b'{"request": 1, "recipe": 1, "dry_run": true}', "too large": b" " * (3 << 20),
    "dry_run is text": b'{"request": 1, "recipe": "", "dry_run": "yes"}', "no UTF-8": b'{"request": "\xff"}', "empty": b"",
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_request_is_counted_and_nothing_else(workspace: Workspace, content: bytes) -> None:
    (workspace.requests / "some-0123456789ab.json").write_bytes(content)
    assert open_requests(workspace) == ([], 1)
    assert list(standings(workspace)) == []


def test_files_that_are_not_what_they_seem_are_no_requests(workspace: Workspace, tmp_path: Path) -> None:
    path = asked(workspace)
    os.link(path, path.with_name("some-000000000001.json"))
    assert open_requests(workspace) == ([], 2), "of two names neither says who asked"
    path.with_name("some-000000000001.json").unlink()
    outside = tmp_path / "outside.json"
    outside.write_bytes(path.read_bytes())
    path.with_name("some-000000000002.json").symlink_to(outside)
    os.mkfifo(path.with_name("some-000000000003.json"))
    path.with_name("some-000000000004.json").mkdir()
    path.with_name("-rf.json").write_bytes(path.read_bytes())
    path.with_name("some-00000000000g.json").write_bytes(path.read_bytes())
    waiting, strange = open_requests(workspace)
    assert (len(waiting), strange) == (1, 5)


def test_the_owner_says_who_asked_and_not_the_file(workspace: Workspace) -> None:
    path = asked(workspace)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "asked_by": "somebody else", "asked_at": "2020-01-01"}))
    assert the_request(workspace).uid == os.getuid()


@pytest.mark.parametrize("mode", [0o2770, 0o3777, 0o3775])
def test_a_directory_in_which_others_could_be_spoken_for_is_refused(workspace: Workspace, mode: int) -> None:
    asked(workspace)
    workspace.requests.chmod(mode)
    with pytest.raises(DisclosureRefusedError, match="lets people change"):
        open_requests(workspace)


def test_what_a_recipe_says_does_not_steer_the_terminal(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    criterion = '{id: x, label: "\\u202egnp", level: case, where: {sex: female}, if_missing: fail}'
    asked(workspace, f"{RECIPE}include: [{criterion}]\n")
    request = the_request(workspace)
    source = read_recipe(Path("some"), text=request.recipe)
    step = AttritionStep("x", source.recipe.include[0].label or "", "case", "include", 50, 0, Counts(50, 40, 30))
    found = Attrition("slide", Counts(100, 80, 60), (step,))
    answer(workspace, request, source=source, attrition=found, reason=None, actor="tester", now=NOW)
    assert run(["cohort", "--requests", "-w", str(workspace.root)]) == 0
    out = capsys.readouterr().out
    assert "\\u202egnp" in out
    assert "\u202e" not in out


def test_without_the_directory_nobody_asks(workspace: Workspace) -> None:
    workspace.requests.rmdir()
    with pytest.raises(UsageError, match="nor ask for one"):
        asked(workspace)
    assert open_requests(workspace) == ([], 0)


def test_an_answer_that_cannot_be_written_is_an_error(workspace: Workspace) -> None:
    path = asked(workspace)
    path.with_name(f"{path.stem}.answer.json").mkdir()
    request = the_request(workspace)
    with pytest.raises(InputOutputError, match="cannot be written"):
        answer(workspace, request, source=None, attrition=None, reason="broken", actor="tester", now=NOW)


def test_what_would_tell_a_day_is_refused(workspace: Workspace) -> None:
    asked(workspace, TELLING)
    request = the_request(workspace)
    source = read_recipe(Path("some"), text=request.recipe)
    assert "day" in str(refusal(workspace, request, source.recipe))


def test_a_cohort_of_somebody_else_is_not_replaced(workspace: Workspace) -> None:
    asked(workspace, dry_run=False)
    request = the_request(workspace)
    source = read_recipe(Path("some"), text=request.recipe)
    assert refusal(workspace, request, source.recipe) is None
    (workspace.cohorts / "some").mkdir(parents=True)
    assert "already" in str(refusal(workspace, request, source.recipe))
    answer(workspace, request, source=source, attrition=None, reason=None, actor="tester", now=NOW)
    assert refusal(workspace, request, source.recipe) is None, "one's own is"
    other = Request(request.name, "other", request.uid + 1, request.recipe, dry_run=False)
    assert "already" in str(refusal(workspace, other, source.recipe))


def test_many_requests_of_one_day_wait(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MOST_A_DAY", 1)
    asked(workspace)
    request = the_request(workspace)
    assert not is_over_limit(workspace, request, NOW)
    answer(workspace, request, source=None, attrition=None, reason="no", actor="tester", now=NOW)
    assert is_over_limit(workspace, request, NOW)
    assert not is_over_limit(workspace, request, NOW + timedelta(days=1))


def test_a_cohort_of_few_patients_is_refused() -> None:
    assert too_few(attrition("slide", (100, 50, 40), (90, 40, LEAST_COUNT))) is None
    assert "fewer than 10" in str(too_few(attrition("slide", (100, 50, 40), (90, 40, 9))))
    assert too_few(attrition("slide", (100, 50, 40), (0, 0, 0))) == "nobody is left"


def test_the_same_criteria_in_another_order_are_not_told_step_by_step(workspace: Workspace) -> None:
    """Else two answers could be subtracted; whoever asks the first order again gets what was told before."""
    criteria = ["{id: he, level: slide, where: {stain: HE}}", "{id: women, level: patient, where: {sex: female}}"]
    found = attrition("slide", (1000, 500, 400), (900, 450, 350), (800, 400, 300))
    told = []
    for number, order in enumerate(([0, 1], [1, 0], [0, 1], [1, 0])):
        text = f"{RECIPE}include: [{', '.join(criteria[place] for place in order)}]\n"
        asked(workspace, text, now=NOW + timedelta(days=number))
        request = the_request(workspace)
        source = read_recipe(Path("some"), text=request.recipe)
        written = answer(workspace, request, source=source, attrition=found, reason=None, actor="tester", now=NOW)
        told.append(json.loads(written.read_text())["attrition"]["steps"][0]["dropped"])
    assert told == [100, WITHHELD, 100, WITHHELD]
