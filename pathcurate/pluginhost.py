"""The process of a plug-in: it imports a vendor's reader and answers questions about files until the worker is gone.

It imports little, so that it starts soon, and none of the libraries that pathcurate reads slides with: a vendor's own copies
of them must not meet ours. :mod:`pathcurate.readers.plugins` says how plug-ins are written, and asks the questions.
"""

import json
import math
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from importlib import metadata
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

from pathcurate.model.slide import SlideHeader
from pathcurate.storage import LocalSource, Source

GROUP: Final = "pathcurate.readers"
"""Of the entry points that lead to plug-ins."""

_HEAD_BYTES: Final = 4096
_MOST_PIXELS: Final = 50_000_000


class _Reader(Protocol):
    """What an entry point leads to."""

    def claim(self, head: bytes, source: Source) -> bool: ...

    def read(self, source: Source) -> SlideHeader: ...


def serve(name: str, handle: int, start_seconds: float, answer_seconds: float) -> None:
    """Answer questions about files until the worker is gone; runs in the plug-in's process.

    Args:
        name: of the plug-in.
        handle: file descriptor of the worker's questions.
        start_seconds: after which the kernel ends the import; the worker, if it lives, does so earlier.
        answer_seconds: likewise for one file.
    """
    connection = Connection(handle)
    # The kernel ends a call that hangs even if it holds the interpreter's lock and the worker is dead.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, start_seconds)
    reader, hello = _load(name)
    while True:
        signal.setitimer(signal.ITIMER_REAL, 0)
        try:
            question = json.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        signal.setitimer(signal.ITIMER_REAL, answer_seconds)
        messages = [json.dumps(hello).encode()] if question["do"] == "hello" else _answers(reader, question)
        for message in messages:
            connection.send_bytes(message)


def _load(name: str) -> tuple[_Reader | None, dict[str, Any]]:
    try:
        (point,) = (point for point in metadata.entry_points(group=GROUP) if point.name == name)
        reader = point.load()
        extensions = [str(extension).lower() for extension in reader.EXTENSIONS]
    except Exception as error:  # noqa: BLE001  whatever importing a vendor's code raises is its problem
        return None, {"problem": f"it cannot be imported ({type(error).__name__})"}
    if not callable(getattr(reader, "claim", None)) or not callable(getattr(reader, "read", None)):
        return None, {"problem": "it has no functions claim and read"}
    return reader, {"problem": None, "extensions": extensions}


def _answers(reader: Any, question: Mapping[str, str]) -> Iterator[bytes]:
    """The messages that answer a question about a file."""
    pixels = None
    try:
        with LocalSource(os.fsencode(question["path"])) as source:
            if question["do"] == "picture":
                answer, pixels = _picture(reader, source, question["kind"])
            elif reader.claim(source.read_at(0, _HEAD_BYTES), source):
                header = reader.read(source)
                values = {field.name: getattr(header, field.name) for field in fields(SlideHeader)}
                answer = {"claimed": True, "header": values}
            else:
                answer = {"claimed": False}
        message = json.dumps(answer, default=_plain)
    except Exception:  # noqa: BLE001  a vendor's code may raise anything, and its text may hold values
        message, pixels = json.dumps({"raised": True}), None
    yield message.encode()
    if pixels is not None:
        yield pixels


def _plain(value: object) -> object:
    """What JSON has no form for: times; anything else is no header."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError("no value of a header")


def _picture(reader: Any, source: Source, kind: str) -> tuple[dict[str, Any], bytes | None]:
    make = getattr(reader, "picture", None)
    image = make(source, kind) if make is not None else None
    if image is None or math.prod(image.size) > _MOST_PIXELS:
        return {}, None
    rgb = image.convert("RGB")
    return {"size": rgb.size}, rgb.tobytes()
