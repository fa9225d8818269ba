"""Many ask at once: each gets an answer of their own, each is noted once, and what changes on disk is seen by the next."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pathcurate.api import Archive
from pathcurate.errors import InputOutputError, VaultError
from pathcurate.find import Finder
from pathcurate.find.opened import Opened
from pathcurate.lookup import keep_filters
from pathcurate.model.link import LINKS
from pathcurate.model.report import REPORTS
from pathcurate.model.slide import SLIDE_KEYS, SLIDES
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import broken_event, create_vault, read_events
from pathcurate.vault.together import Act, append_events
from pathcurate.workspace import Workspace
from tests.clinic import report, slide
from tests.drawn import key, link, open_catalog

PEOPLE, ROUNDS = 50, 4
ROOT = Path(__file__).parents[2]
S = [f"S-{number:016d}" for number in range(9)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Eight cases of a slide each."""
    return open_catalog(
        tmp_path,
        {
            SLIDES: [slide(number, barcode=f"B-{number}", relpath=f"a/{number}.svs".encode()) for number in range(1, 9)],
            REPORTS: [report(number, f"S24-{number}", patient_id=f"H{number}") for number in range(1, 9)],
            SLIDE_KEYS: [key(S[number], f"S24-{number}") for number in range(1, 9)],
            LINKS: [link(S[number], f"S24-{number}") for number in range(1, 9)],
        },
    )


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What so many threads give that begin at once."""
    start = threading.Barrier(count)

    def one(place: int) -> Any:
        start.wait()
        return work(place)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def looked(workspace: Workspace) -> int:
    return sum(event.action == "find" for event in read_events(workspace.vault))


def text_of(place: int) -> str:
    number = place % 8 + 1
    return (f"S24-{number}", f"B-{number}", f"h{number}", S[number], f"a/{number}.SVS", "nobody's 99")[place % 6]


@pytest.mark.parametrize("has_files", [False, True])
def test_everybody_gets_the_answer_that_one_alone_gets(
    workspace: Workspace, has_files: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_files:
        monkeypatch.setattr("pathcurate.lookup.LEAST_ROWS", 1)
        keep_filters(Catalog(workspace.catalog))
    key = create_vault(workspace.vault).key
    expected = {text_of(place): Opened(workspace, key).answer(text_of(place)) for place in range(PEOPLE)}
    archive = Archive(workspace.root)
    found = together(PEOPLE, lambda place: [archive.find(text_of(place), purpose=f"p{place}") for _ in range(ROUNDS)])
    assert found == [[expected[text_of(place)]] * ROUNDS for place in range(PEOPLE)]
    events = [event for event in read_events(workspace.vault) if event.action == "find"]
    assert sorted(str(event.purpose) for event in events) == sorted(f"p{place}" for place in range(PEOPLE) for _ in range(4))
    assert broken_event(workspace.vault) is None


def test_two_processes_at_once_lose_no_record(workspace: Workspace) -> None:
    script = (
        "import sys, threading; from pathcurate.api import Archive; archive = Archive(sys.argv[1])\n"
        "work = lambda n: [archive.find(f'S24-{n % 8 + 1}').cases[0].accession == f'S24-{n % 8 + 1}' or sys.exit(1)"
        " for _ in range(5)]\n"
        "threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]"
    )
    command = [sys.executable, "-c", script, str(workspace.root)]
    runs = [subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert looked(workspace) == 200
    assert broken_event(workspace.vault) is None


def test_an_answer_is_given_only_when_it_is_noted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(workspace.root)
    archive.find("S24-1")

    def full(*_: object) -> None:
        raise OSError(28, "no space")

    monkeypatch.setattr("pathcurate.find.finder.append_events", full)
    with ThreadPoolExecutor(8) as pool:
        outcomes = [pool.submit(archive.find, f"S24-{number}") for number in range(1, 9)]
        assert all(isinstance(outcome.exception(), OSError) for outcome in outcomes)
    monkeypatch.undo()
    assert looked(workspace) == 1
    assert archive.find("S24-2").cases


def test_a_question_that_fails_fails_alone(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, answer = Archive(workspace.root), Opened.answer

    def failing(opened: Opened, text: str, **more: Any) -> Any:
        if text == "S24-3":
            raise InputOutputError("broken", "Mend it.")
        return answer(opened, text, **more)

    monkeypatch.setattr(Opened, "answer", failing)

    def ask(place: int) -> object:
        try:
            return archive.find(f"S24-{place % 8 + 1}").cases[0].accession
        except InputOutputError as error:
            return type(error)

    found = together(24, ask)
    assert found == [InputOutputError if place % 8 == 2 else f"S24-{place % 8 + 1}" for place in range(24)]
    assert looked(workspace) == 21


def test_who_is_interrupted_keeps_nobody_waiting(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    finder, answer = Finder(), Opened.answer
    entered, go_on = threading.Event(), threading.Event()

    def interrupted(opened: Opened, text: str, **more: Any) -> Any:
        if text == "stop":
            entered.set()
            go_on.wait(10)
            raise KeyboardInterrupt
        return answer(opened, text, **more)

    monkeypatch.setattr(Opened, "answer", interrupted)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(finder.find, workspace, "stop", actor="a")
        assert entered.wait(10)
        others = [pool.submit(finder.find, workspace, f"S24-{number}", actor="b") for number in range(1, 4)]
        go_on.set()
        assert isinstance(first.exception(10), KeyboardInterrupt)
        assert [other.result(10).cases[0].accession for other in others] == ["S24-1", "S24-2", "S24-3"]
    assert finder.find(workspace, "S24-4", actor="c").cases


def test_a_service_sees_what_comes_and_no_longer_what_went(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, catalog = Archive(workspace.root), Catalog(workspace.catalog)
    assert archive.find("B-1").slides
    catalog.upsert(SLIDES, from_rows(SLIDES, [slide(1, barcode="NEW-1", relpath=b"a/1.svs")]))
    assert not archive.find("B-1").slides
    assert archive.find("new-1").slides
    monkeypatch.setattr("pathcurate.lookup.LEAST_ROWS", 1)
    keep_filters(catalog)
    assert archive.find("new-1").slides
    assert not archive.find("B-1").slides
    catalog.replace(SLIDES, from_rows(SLIDES, [slide(2, barcode="B-2", relpath=b"a/2.svs")]))
    assert [archive.find(text).slides != () for text in ("new-1", "B-2")] == [False, True]


def test_a_service_sees_other_patterns_and_another_key(workspace: Workspace) -> None:
    archive = Archive(workspace.root)
    assert archive.find("S24-1").cases
    file = workspace.root / "pathcurate.yaml"
    file.write_text(file.read_text().replace("name:", "# other\nname:", 1))
    assert archive.find("S24-1").cases
    (workspace.vault / "key").write_bytes(os.urandom(32))
    with pytest.raises(VaultError, match="not the one that the vault was made with"):
        archive.find("S24-1")


def test_what_may_be_a_pseudonym_is_found_by_itself(workspace: Workspace) -> None:
    from pathcurate.pseudonyms import internal

    archive = Archive(workspace.root)
    code = internal(create_vault(workspace.vault).key).codes.code("S", S[3])
    assert [one.slide_id for one in archive.find(code).slides if one.is_meant] == [S[3]]
    assert archive.find("S-ZZZZZZZZZZZZZZZZ").slides == ()
    assert looked(workspace) == 2


def test_events_together_are_one_chain(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    together(8, lambda place: [append_events(vault, [Act(f"u{place}", "find", {"n": n}, None)] * n) for n in (0, 1, 5)])
    assert len(list(read_events(vault))) == 48
    assert broken_event(vault) is None
    lines = (vault / "audit.jsonl").read_bytes().splitlines(keepends=True)
    (vault / "audit.jsonl").write_bytes(b"".join(lines[:-2]))
    assert broken_event(vault) is not None
    append_events(vault, [Act("u", "find", {})] * 3)
    assert broken_event(vault) is not None, "what was taken away stays visible"
