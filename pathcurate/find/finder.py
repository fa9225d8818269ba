"""Questions of many people at once: what is open stays open, and those who wait at the same time are answered together.

Python runs one thread at a time, and a record in the audit trail waits for the disk. So whoever comes first answers all who
wait, up to some number, notes all of it in the audit trail with one wait, gives everybody their answer, and hands over to
the next who waits. When many wait a second process answers half of them (:mod:`pathcurate.find.aide`).
"""

import hashlib
import hmac
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from pathcurate import __version__
from pathcurate.find.aide import Aide, LostError
from pathcurate.find.facts import Found
from pathcurate.find.opened import Opened
from pathcurate.pseudonyms import canonical
from pathcurate.vault import Vault, create_vault
from pathcurate.vault.together import Act, append_events
from pathcurate.workspace import Workspace

_CROWD = 32
"""So many who wait are worth a second process, which takes seconds to begin."""
_MOST_AT_ONCE = 64
"""Questions that are answered together: more would make the first of them wait for the last."""


def find_event(vault: Vault, text: str, found: Found, actor: str, purpose: str | None) -> Act:
    """What the audit trail notes of a question: that somebody looked, how much was found, but not for what."""
    query = hmac.new(vault.key, b"pathcurate find v1\x1f" + canonical(text).encode(), hashlib.sha256).hexdigest()
    facts: dict[str, str | int] = {
        "query_hmac": query, "slides": len(found.slides), "cases": len(found.cases), "version": __version__,
    }  # fmt: skip
    return Act(actor, "find", facts, purpose)


@dataclass(slots=True, eq=False)
class _Question:
    """A question; who asked waits for ``woken``, which also says that it is their turn to answer."""

    workspace: Workspace
    text: str
    actor: str
    purpose: str | None
    woken: threading.Lock = field(default_factory=threading.Lock)
    found: Found | None = None
    error: BaseException | None = None
    leads: bool = False
    is_done: bool = False


def _look(opened: Opened, question: _Question) -> None:
    try:
        question.found = opened.answer(question.text, makes_codes=False)
    except Exception as error:  # noqa: BLE001 - it is the one's who asked, not of those who wait beside them
        question.error = error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Finder:
    """Answers questions about a workspace, from any number of threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[_Question] = deque()
        self._is_led = False
        self._opened: Opened | None = None
        self._making_codes = threading.Lock()
        self._aide: Aide | None = None

    def find(self, workspace: Workspace, text: str, *, actor: str, purpose: str | None = None) -> Found:
        """See :func:`pathcurate.find.find`. The answer is given when its record is on disk.

        Raises:
            VaultError: the vault's key cannot be used.
            InputOutputError: the catalog cannot be read.
            OSError: the audit trail cannot be written.
        """
        question = _Question(workspace, text, actor, purpose)
        question.woken.acquire()
        with self._guard:
            self._waiting.append(question)
            question.leads, self._is_led = not self._is_led, True
        if not question.leads:
            self._wait(question)
        if not question.is_done:
            self._lead(question)
        if question.error is not None:
            raise question.error
        return question.found if question.found is not None else self._by_code(question)

    def _wait(self, question: _Question) -> None:
        """Wait for the answer, or for the turn to answer; who is interrupted leaves the queue, and the turn to others."""
        try:
            question.woken.acquire()
        except BaseException:
            with self._guard:
                if not question.is_done and question in self._waiting:
                    self._waiting.remove(question)
                    if question.leads:
                        self._hand_over()
            raise

    def _hand_over(self) -> None:
        """Give the turn to the next who waits; the caller holds the guard."""
        self._is_led = bool(self._waiting)
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].woken.release()

    def _lead(self, own: _Question) -> None:
        """Answer those who wait, the caller's first, and hand over."""
        with self._guard:
            questions = [self._waiting.popleft() for _ in range(min(_MOST_AT_ONCE, len(self._waiting)))]
        answered: Sequence[_Question] = questions
        try:
            self._answer(questions)
        except Exception as error:  # noqa: BLE001 - whoever asked raises it
            for question in questions:
                question.found, question.error = None, error
        except BaseException:
            # The caller was interrupted, and not those who wait: another answers them.
            answered = [own]
            with self._guard:
                self._waiting.extendleft(question for question in reversed(questions) if question is not own)
            raise
        finally:
            with self._guard:
                for question in answered:
                    question.is_done = True
                    question.woken.release()
                self._hand_over()

    def _answer(self, questions: Sequence[_Question]) -> None:
        workspace = questions[-1].workspace
        vault = create_vault(workspace.vault)
        if self._opened is None or not self._opened.is_of(workspace, vault.key):
            self._opened = Opened(workspace, vault.key, stays_open=True)
        self._opened.refresh()
        given = self._give(workspace, vault.key, questions)
        try:
            for question in questions[len(given) :]:
                _look(self._opened, question)
        except BaseException:
            # Its answers would be taken for those to the next questions.
            if given and self._aide is not None:
                self._aide.stop()
            raise
        self._take(self._opened, given)
        append_events(
            workspace.vault,
            [
                find_event(vault, question.text, question.found, question.actor, question.purpose)
                for question in questions
                if question.found is not None
            ],
        )

    def _give(self, workspace: Workspace, key: bytes, questions: Sequence[_Question]) -> Sequence[_Question]:
        """Let the other process begin with half of a crowd; those are given back, none if it is not there (yet)."""
        if len(questions) < _CROWD or _cores() == 1:
            return ()
        if self._aide is not None and not self._aide.is_of(workspace, key):
            self._aide.stop()
            self._aide = None
        try:
            if self._aide is None:
                self._aide = Aide(workspace, key, [question.text for question in questions])
            if self._aide.is_ready:
                given = questions[: len(questions) // 2]
                self._aide.ask([question.text for question in given])
                return given
        except (OSError, LostError):
            # It is started once: whatever ended it may end it again, and all are answered without it.
            pass
        return ()

    def _take(self, opened: Opened, given: Sequence[_Question]) -> None:
        """Take its answers; what it could not look for is looked for here."""
        if self._aide is None or not given:
            return
        try:
            answers = self._aide.answers()
        except LostError:
            answers = [(None, False)] * len(given)
        for question, (found, is_answered) in zip(given, answers, strict=True):
            if is_answered:
                question.found = found
            else:
                _look(opened, question)

    def _by_code(self, question: _Question) -> Found:
        """What may be a pseudonym is looked for by itself: nobody else waits for that."""
        with self._making_codes:
            vault = create_vault(question.workspace.vault)
            found = Opened(question.workspace, vault.key).answer(question.text)
        if found is None:
            raise AssertionError("all codes were made")
        append_events(question.workspace.vault, [find_event(vault, question.text, found, question.actor, question.purpose)])
        return found
