"""A second process that answers half of a crowd's questions: Python runs one thread at a time, and a machine has more cores.

It opens the workspace itself, is given numbers, and gives back what they name. It notes nothing: whoever asked it does. It
ends with the process that started it, and whatever goes wrong with it costs time and no answer.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from pathcurate.find.facts import BlockFacts, CaseFacts, Found, GlassFacts, PersonFacts, ReportFacts, SeriesFacts, SlideFacts
from pathcurate.find.opened import Opened
from pathcurate.vault import create_vault
from pathcurate.workspace import WORKSPACE_FILE, Workspace, load_workspace

_SECONDS: Final = 10
"""An answer that takes longer does not come."""
_PARTS: Final[Mapping[type, Mapping[str, type]]] = {
    Found: {"cases": CaseFacts, "slides": SlideFacts, "series": SeriesFacts},
    CaseFacts: {"person": PersonFacts, "reports": ReportFacts, "blocks": BlockFacts},
    BlockFacts: {"glass": GlassFacts},
}
"""What the parts of an answer are made of; all other lists are of texts."""
_SINGLE: Final = frozenset({"person"})


class LostError(Exception):
    """The process is gone, or does not answer."""


class Aide:
    """The process. Not for several threads at once.

    Args:
        workspace: what it is asked about.
        key: the vault's key when it was started; it reads the vault itself.
        texts: numbers to open everything with that questions like them need.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, workspace: Workspace, key: bytes, texts: Sequence[str]) -> None:
        self._of = workspace, key
        self._is_ready = False
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: the current directory is no place to import from.
            code = f"from pathcurate.find.aide import serve; serve({theirs.fileno()})"
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Who interrupts this process means it, and not that one.
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        self._end = weakref.finalize(self, _end, self._process, self._connection)
        with suppress(OSError):
            self._send([os.fspath(workspace.root), *texts])

    def is_of(self, workspace: Workspace, key: bytes) -> bool:
        """Whether it was started for this workspace, with this key."""
        own, its_key = self._of
        return key == its_key and (workspace.root, workspace.settings) == (own.root, own.settings)

    @property
    def is_ready(self) -> bool:
        """Whether it has opened everything, so that asking it saves time."""
        if not self._is_ready and self._end.alive:
            try:
                if self._connection.poll():
                    # The file may have been changed since this process read it.
                    self._is_ready = self._connection.recv_bytes() == _settings(self._of[0])
                    if not self._is_ready:
                        self.stop()
            except (OSError, EOFError):
                self.stop()
        return self._is_ready and self._end.alive

    def ask(self, texts: Sequence[str]) -> None:
        """Let it begin to answer.

        Raises:
            LostError: it is gone.
        """
        try:
            self._send(texts)
        except OSError:
            self.stop()
            raise LostError from None

    def answers(self) -> Sequence[tuple[Found | None, bool]]:
        """What it found for each number of the last :meth:`ask`, and whether it could be looked for at all.

        Raises:
            LostError: it is gone.
        """
        try:
            if not self._connection.poll(_SECONDS):
                raise EOFError
            answers = json.loads(self._connection.recv_bytes())
            return [(None if found is None else _made(Found, found), is_answered) for found, is_answered in answers]
        except BaseException as error:
            # An answer that nobody took would be taken for the next one's.
            self.stop()
            if isinstance(error, (OSError, EOFError, ValueError, TypeError)):
                raise LostError from None
            raise

    def _send(self, texts: Sequence[str]) -> None:
        self._connection.send_bytes(json.dumps(texts).encode())

    def stop(self) -> None:
        """End it."""
        self._end()


def _end(process: "subprocess.Popen[bytes]", connection: Connection) -> None:
    connection.close()
    process.kill()
    process.wait()


def serve(handle: int) -> None:
    """Answer until the other end is closed; what :class:`Aide` runs.

    Args:
        handle: of a socket.
    """
    connection = Connection(handle)
    with suppress(EOFError, OSError):
        root, *texts = json.loads(connection.recv_bytes())
        workspace = load_workspace(Path(root, WORKSPACE_FILE))
        opened = Opened(workspace, create_vault(workspace.vault).key, stays_open=True)
        opened.refresh()
        for text in texts:
            _answer(opened, text)
        connection.send_bytes(_settings(workspace))
        while True:
            asked = json.loads(connection.recv_bytes())
            opened.refresh()
            connection.send_bytes(json.dumps([_answer(opened, text) for text in asked], default=_told).encode())


def _answer(opened: Opened, text: str) -> tuple[Found | None, bool]:
    try:
        return opened.answer(text, makes_codes=False), True
    except Exception:  # noqa: BLE001 - whoever asked looks again, and is told
        return None, False


def _settings(workspace: Workspace) -> bytes:
    """Tells two states of a workspace's file apart."""
    return hashlib.sha256(repr(workspace.settings).encode()).digest()


def _told(facts: Any) -> list[Any]:
    """The values of facts, in the order of their fields."""
    return [getattr(facts, one.name) for one in fields(facts)]


def _made(kind: Any, values: Sequence[Any]) -> Any:
    """Facts of their values."""
    return kind(*(_part(kind, one.name, value) for one, value in zip(fields(kind), values, strict=True)))


def _part(kind: type, name: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    of = _PARTS.get(kind, {}).get(name)
    if of is None:
        return tuple(value)
    return _made(of, value) if name in _SINGLE else tuple(_made(of, one) for one in value)
