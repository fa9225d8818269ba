"""A crowd is answered by two processes as by one, and whatever befalls the second costs nobody an answer."""

import gc
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pathcurate.errors import InputOutputError
from pathcurate.find import Finder, finder
from pathcurate.find.aide import Aide, LostError
from pathcurate.find.opened import Opened
from pathcurate.model.slide import SLIDES
from pathcurate.pseudonyms import internal
from pathcurate.tables import Catalog, from_rows
from pathcurate.vault import broken_event, create_vault, read_events
from pathcurate.workspace import Workspace, load_workspace
from tests.clinic import slide
from tests.drawn import open_catalog
from tests.unit.test_find_concurrent import S, text_of, together, workspace

__all__ = ["workspace"]
PEOPLE = 24
WAIT_SECONDS = 60


@pytest.fixture
def crowd(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finder]:
    """A finder whose second process is there."""
    monkeypatch.setattr(finder, "_CROWD", 2)
    monkeypatch.setattr(finder, "_cores", lambda: 2)
    made = Finder()
    ask(made, workspace)
    wait_for(lambda: aide_of(made).is_ready)
    yield made
    aide_of(made).stop()


def ask(made: Finder, workspace: Workspace, text: Callable[[int], str] = text_of) -> list[Any]:
    """What so many are answered who ask at the same moment; an error is an answer, too."""

    def one(place: int) -> Any:
        try:
            return made.find(workspace, text(place), actor="a")
        except InputOutputError as error:
            return type(error)

    return together(PEOPLE, one)


def aide_of(made: Finder) -> Aide:
    assert made._aide is not None
    return made._aide


def process_of(aide: Aide) -> "subprocess.Popen[bytes]":
    return aide._process


def wait_for(is_so: Callable[[], bool]) -> None:
    late = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < late
        time.sleep(0.02)


def alone(workspace: Workspace, count: int = PEOPLE) -> list[Any]:
    key = create_vault(workspace.vault).key
    return [Opened(workspace, key).answer(text_of(place)) for place in range(count)]


def test_a_crowd_gets_the_answers_that_one_alone_gets(
    crowd: Finder, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, asked = sum(1 for _ in read_events(workspace.vault)), []
    answer = Aide.ask
    monkeypatch.setattr(Aide, "ask", lambda self, texts: asked.extend(texts) or answer(self, texts))
    assert ask(crowd, workspace) == alone(workspace)
    assert asked, "the second process answered some"
    assert len(asked) < PEOPLE
    assert sum(1 for _ in read_events(workspace.vault)) == before + PEOPLE
    assert broken_event(workspace.vault) is None


def test_a_crowd_sees_what_has_changed(crowd: Finder, workspace: Workspace) -> None:
    Catalog(workspace.catalog).upsert(SLIDES, from_rows(SLIDES, [slide(1, barcode="NEW-1", relpath=b"a/1.svs")]))
    assert all(found.slides[0].slide_id == S[1] for found in ask(crowd, workspace, lambda _: "new-1"))
    assert not any(found.slides for found in ask(crowd, workspace, lambda _: "B-1"))


def test_pseudonyms_are_found_in_a_crowd_too(crowd: Finder, workspace: Workspace) -> None:
    codes = internal(create_vault(workspace.vault).key).codes
    found = ask(crowd, workspace, lambda place: codes.code("S", S[place % 8 + 1]))
    assert [[one.slide_id for one in one.slides if one.is_meant] for one in found] == [
        [S[place % 8 + 1]] for place in range(PEOPLE)
    ]


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_who_kills_it_costs_nobody_an_answer(
    crowd: Finder, workspace: Workspace, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, answer = process_of(aide_of(crowd)), Aide.ask

    def killing(self: Aide, texts: Any) -> None:
        answer(self, texts)
        process.send_signal(signal.SIGKILL)

    if when == "before":
        process.kill()
        process.wait()
    else:
        # It is stopped first, so that it has answered nothing when it ends.
        process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(Aide, "ask", killing)
    expected = alone(workspace)
    assert ask(crowd, workspace) == expected
    assert ask(crowd, workspace) == expected
    wait_for(lambda: process.poll() is not None)


def test_one_that_hangs_is_ended(crowd: Finder, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathcurate.find.aide._SECONDS", 0.2)
    process = process_of(aide_of(crowd))
    process.send_signal(signal.SIGSTOP)
    assert ask(crowd, workspace) == alone(workspace)
    wait_for(lambda: process.poll() is not None)


def test_what_it_cannot_look_for_is_told_to_whoever_asked(crowd: Finder, workspace: Workspace) -> None:
    part = next(Path(workspace.catalog, "slides").glob("*.parquet"))
    content = part.read_bytes()
    part.write_bytes(content[:40])
    assert ask(crowd, workspace, lambda _: "B-1") == [InputOutputError] * PEOPLE
    part.write_bytes(content)
    assert ask(crowd, workspace) == alone(workspace)


def test_it_is_of_one_workspace_and_one_key(
    crowd: Finder, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, key = aide_of(crowd), create_vault(workspace.vault).key
    assert first.is_of(load_workspace(workspace.root / "pathcurate.yaml"), key)
    assert not first.is_of(workspace, bytes(32))
    other = open_catalog(tmp_path_factory.mktemp("other"), {SLIDES: [slide(1, barcode="OTHER-1", relpath=b"a/1.svs")]})
    found = ask(crowd, other, lambda _: "OTHER-1")
    assert all(one.slides for one in found)
    assert aide_of(crowd) is not first
    assert process_of(first).poll() is not None


def test_it_ends_with_whoever_started_it(crowd: Finder, workspace: Workspace) -> None:
    own = Aide(workspace, bytes(32), ["S24-1"])
    process = process_of(own)
    del own
    gc.collect()
    assert process.poll() is not None
    # And if that is killed, which closes its end of the connection.
    theirs = process_of(aide_of(crowd))
    aide_of(crowd)._connection.close()
    wait_for(lambda: theirs.poll() is not None)
    with pytest.raises(LostError):
        aide_of(crowd).ask(["S24-1"])


def test_an_answer_that_nobody_takes_ends_it(crowd: Finder, monkeypatch: pytest.MonkeyPatch) -> None:
    aide = aide_of(crowd)
    aide.ask(["S24-1"])

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pathcurate.find.aide.json.loads", interrupted)
    with pytest.raises(KeyboardInterrupt):
        aide.answers()
    monkeypatch.undo()
    assert not aide.is_ready
    with pytest.raises(LostError):
        aide.ask(["S24-1"])


def test_few_are_answered_by_one_process(workspace: Workspace) -> None:
    made = Finder()
    assert [made.find(workspace, text_of(place), actor="a") for place in range(PEOPLE)] == alone(workspace)
    assert made._aide is None
