"""Readers of vendors' own formats, added by a site: how they are written, found, and kept away from everything else.

A plug-in is an installed distribution with an entry point in the group ``pathcurate.readers``::

    [project.entry-points."pathcurate.readers"]
    acme = "acme_pathcurate:reader"

The entry point's name is the reader's name: a Python identifier, and none of pathcurate's own readers. It leads to a module
or object with

* ``EXTENSIONS``: a tuple of file extensions in lower case with their dots. Files with these that no reader of pathcurate
  claims are shown to the plug-in, and so are all files of formats that pathcurate only knows by name.
* ``claim(head: bytes, source: Source) -> bool``: whether the file is of its format; ``head`` is its first 4 KiB.
* ``read(source: Source) -> SlideHeader``: the header of a file that it claimed; ``source.local_path`` is its path as bytes.
* ``picture(source: Source, kind: str) -> PIL.Image.Image | None``: optional; ``label``, ``overview`` or ``thumbnail``.

``Source`` is :class:`pathcurate.storage.Source`, ``SlideHeader`` is :class:`pathcurate.model.slide.SlideHeader`; fields that
are not known stay None. Files on object storage have no path and are shown to no plug-in.

Vendors' libraries crash and hang, so a plug-in is never imported by pathcurate itself. Each worker gives each plug-in a
process of its own, which is started when the first file needs it and answers until it dies. A file that kills it is
``reader_crashed``, one for which it needs longer than :data:`ANSWER_SECONDS` is ``timeout``; the next file gets a new
process. What the process writes to standard output and error goes nowhere, for it may hold patients' values, and so does the
``status_detail`` of its headers.

A plug-in's version is that of its distribution, as its metadata say: with another one, all that it read is read again, and
so is what no reader read.
"""

import atexit
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from importlib import metadata
from multiprocessing.connection import Connection
from typing import Any, Final

from PIL import Image

from pathcurate.model.slide import COMPRESSIONS, FORMATS, MPP_SOURCES, VENDORS, SlideHeader
from pathcurate.pluginhost import GROUP
from pathcurate.storage import Source

OWN_NAMES: Final = frozenset({"dicom", "ndpi", "tiff", "mrxs", "kfb", "openslide", "none"})
"""Of pathcurate's readers, which no plug-in may take."""
ANSWER_SECONDS = 10.0
"""How long a plug-in may take for one file; less than a scan gives a worker for it, so that the worker survives."""
START_SECONDS = 12.0
"""How long it may take to be imported."""
_START_ATTEMPTS: Final = 2
"""A machine whose cores are all busy may be slow once."""

_GRACE_SECONDS: Final = 5.0
_MOST_BYTES: Final = 256 << 20
_MOST_TEXT: Final = 65_536
_MOST_TEXTS: Final = 256
_STATUSES: Final = frozenset({"ok", "not_a_slide", "truncated", "corrupt", "companion_missing", "decode_failed"}).union(
    f"unsupported:{vendor}" for vendor in VENDORS
)
_WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "format": FORMATS, "vendor": VENDORS, "compression": COMPRESSIONS, "mpp_source": MPP_SOURCES,
}  # fmt: skip
_RANGES: Final = {"mpp_x": (0.01, 100.0), "mpp_y": (0.01, 100.0), "objective_power": (0.1, 1000.0)}
"""Outside of these a number is no measurement and stays unknown."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plug-in.

    Attributes:
        name: of the reader.
        version: of its distribution.
        distribution: what it was installed as.
        problem: why it cannot be used; None if it can, or as far as its metadata say.
    """

    name: str
    version: str
    distribution: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a plug-in made of a file.

    Attributes:
        reader: name of the plug-in.
        header: what it read, or that it failed.
    """

    reader: str
    header: SlideHeader


def _installed() -> dict[str, Plugin]:
    """Plug-ins by name, from metadata alone; of two with one name neither can be used."""
    found: dict[str, Plugin] = {}
    for point in metadata.entry_points(group=GROUP):
        home = point.dist
        plugin = Plugin(point.name, home.version if home else "", home.name if home else "")
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", point.name):
            plugin = Plugin(point.name, plugin.version, plugin.distribution, "its name is no lower-case identifier")
        elif point.name in OWN_NAMES:
            problem = "it has the name of one of pathcurate's own readers"
            plugin = Plugin(point.name, plugin.version, plugin.distribution, problem)
        elif point.name in found and found[point.name] != plugin:
            plugin = Plugin(point.name, plugin.version, plugin.distribution, "another plug-in has the same name")
        found[point.name] = plugin
    return found


_INSTALLED: Final = _installed()

VERSIONS: Final[Mapping[str, int]] = {
    name: zlib.crc32(f"{plugin.distribution} {plugin.version}".encode())
    for name, plugin in _INSTALLED.items() if plugin.problem is None
}  # fmt: skip
"""By name, a number that is another one for each version of the distribution; nothing is imported for it."""


def plugins() -> list[Plugin]:
    """Every installed plug-in, each started once to see whether it works."""
    checked = []
    for plugin in _INSTALLED.values():
        problem = plugin.problem
        if problem is None:
            with _Host(plugin.name) as host:
                problem = host.problem
        checked.append(Plugin(plugin.name, plugin.version, plugin.distribution, problem))
    return checked


def read(source: Source, extension: str, *, is_closed: bool) -> Answer | None:
    """The answer of the first plug-in that claims a file, or fails on it; None if there is none.

    Args:
        source: a file that no reader of pathcurate claims.
        extension: of the file, in lower case with its dot.
        is_closed: whether it is known to be of a closed format, so that its extension does not matter.
    """
    path = source.local_path
    for name in VERSIONS if path is not None else ():
        host = _host(name)
        if host.problem is not None or not (is_closed or extension in host.extensions):
            continue
        header = host.read(os.fsdecode(path or b""))
        if header is not None:
            return Answer(name, header)
    return None


def picture(source: Source, name: str, kind: str) -> Image.Image | None:
    """An image beside the pyramid, in RGB, from the plug-in; None if it has none.

    Raises:
        OSError: the plug-in did not survive the file, or failed on it.
    """
    path = source.local_path
    if path is None:
        return None
    host = _host(name)
    if host.problem is not None:
        raise OSError("the plug-in does not work")
    return host.picture(os.fsdecode(path), kind)


# --- The worker's side -------------------------------------------------------------------------------------------

_hosts: dict[str, "_Host"] = {}
_hosts_lock = threading.Lock()


def _host(name: str) -> "_Host":
    with _hosts_lock:
        if name not in _hosts:
            _hosts[name] = _Host(name)
            if len(_hosts) == 1:
                atexit.register(close)
        return _hosts[name]


def close() -> None:
    """End the processes of all plug-ins; the next file starts new ones."""
    with _hosts_lock:
        for host in _hosts.values():
            host.stop()
        _hosts.clear()


class _LostError(Exception):
    """The process of a plug-in did not answer: ``reader_crashed`` or ``timeout``."""


class _Host:
    """A plug-in in a process of its own.

    Attributes:
        problem: why it cannot be used; None if it can.
        extensions: of the files that it wants to be shown.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self.problem: str | None = None
        self.extensions: frozenset[str] = frozenset()
        for _ in range(_START_ATTEMPTS):
            with suppress(_LostError):
                self._ask({"do": "hello"})
                break
        else:
            self.problem = "its process ends, or does not answer, while it is imported"
        if self.problem is not None:
            self.stop()

    def __enter__(self) -> "_Host":
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def read(self, path: str) -> SlideHeader | None:
        """The header; one that says what went wrong if the plug-in failed; None if it does not claim the file."""
        try:
            answer = self._ask({"do": "read", "path": path})
        except _LostError as lost:
            return SlideHeader(status=str(lost), status_detail=f"the plug-in {self._name} did not survive this file")
        if answer.get("raised"):
            return SlideHeader(status="reader_crashed", status_detail=f"the plug-in {self._name} raised an error")
        if not answer.get("claimed"):
            return None
        try:
            return _checked(answer["header"], self._name)
        except (ValueError, TypeError, KeyError):
            detail = f"the plug-in {self._name} returned something that is no header"
            return SlideHeader(status="reader_crashed", status_detail=detail)

    def picture(self, path: str, kind: str) -> Image.Image | None:
        """See :func:`picture`."""
        try:
            answer = self._ask({"do": "picture", "path": path, "kind": kind})
        except _LostError:
            raise OSError("the plug-in did not survive the file") from None
        if answer.get("raised"):
            raise OSError("the plug-in raised an error")
        size, pixels = answer.get("size"), answer.get("pixels")
        return Image.frombytes("RGB", tuple(size), pixels) if size and pixels else None

    def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        """One question and its answer.

        Raises:
            _LostError: the process ended or was too slow, and is gone.
        """
        with self._lock:
            try:
                connection = self._connection or self._start()
                answer = _exchange(connection, question, ANSWER_SECONDS)
                if "size" in answer:
                    answer["pixels"] = connection.recv_bytes(_MOST_BYTES)
            except (OSError, EOFError, ValueError):
                self.stop()
                raise _LostError("reader_crashed") from None
            except _LostError:
                self.stop()
                raise
            return answer

    def _start(self) -> Connection:
        ours, theirs = socket.socketpair()
        with theirs:
            limits = f"{START_SECONDS + _GRACE_SECONDS}, {ANSWER_SECONDS + _GRACE_SECONDS}"
            # -P: the current directory is no place to import from.
            code = f"from pathcurate.pluginhost import serve; serve({self._name!r}, {theirs.fileno()}, {limits})"
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._connection = Connection(ours.detach())
        hello = _exchange(self._connection, {"do": "hello"}, START_SECONDS)
        self.problem = hello.get("problem")
        self.extensions = frozenset(hello.get("extensions", ()))
        return self._connection

    def stop(self) -> None:
        """Kill the process, and what it started."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            if self._process.poll() is None:
                with suppress(ProcessLookupError, PermissionError):  # it ended meanwhile
                    os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _exchange(connection: Connection, question: Mapping[str, str], seconds: float) -> dict[str, Any]:
    connection.send_bytes(json.dumps(question).encode())
    if not connection.poll(seconds):
        raise _LostError("timeout")
    answer: dict[str, Any] = json.loads(connection.recv_bytes(_MOST_BYTES))
    return answer


def _checked(values: Mapping[str, Any], name: str) -> SlideHeader:
    """A header of sensible values.

    Raises:
        ValueError, TypeError: it is none.
        KeyError: it has no status.
    """
    if not set(values) <= {field.name for field in fields(SlideHeader)} or values["status"] not in _STATUSES:
        raise ValueError("no header")
    header = {key: _value(key, value) for key, value in values.items() if value is not None}
    status = header["status"]
    header["status_detail"] = None if status == "ok" else f"so says the plug-in {name}"
    return SlideHeader(**{"format": "other", "vendor": "unknown", **header})


def _value(key: str, value: Any) -> Any:
    if key in _WORDS:
        if value not in _WORDS[key]:
            raise ValueError("no word of the column")
        return value
    checked = _FORMS[str(SlideHeader.__annotations__[key])](value)
    least, most = _RANGES.get(key, (-math.inf, math.inf))
    return None if isinstance(checked, float) and not least <= checked <= most else checked


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    # A lone surrogate is no character, and no table can hold it.
    return value[:_MOST_TEXT].encode("utf-8", "replace").decode()


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise TypeError("no number")
    return float(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise TypeError("no count")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("no truth value")
    return value


def _time(value: Any) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=None)


_FORMS: Final[Mapping[str, Callable[[Any], object]]] = {
    str(str): _text,
    str(str | None): _text,
    str(int | None): _count,
    str(float | None): _number,
    str(bool | None): _truth,
    str(datetime | None): _time,
    str(tuple[str, ...]): lambda values: tuple(_text(value) for value in values[:_MOST_TEXTS]),
    str(tuple[float, ...] | None): lambda values: tuple(_number(value) for value in values[:_MOST_TEXTS]),
}
"""What reads a field's value from JSON, by the field's type."""
