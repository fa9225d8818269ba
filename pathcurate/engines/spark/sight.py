"""What the workers of a cluster see of the directories that a run needs, and which worker does not.

A share that is not mounted on one of twenty machines would turn each slide that this one is given into an unreadable file.
So every worker looks before it reads, and the run ends with the name of the one that is blind.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from pathcurate.errors import InputOutputError
from pathcurate.storage import LocalRoot

_NAMES = 8
"""How many names in a directory a worker looks for; any of them will do, since others work in it too."""

Directory = tuple[bytes, tuple[bytes, ...]]
"""A directory's path, and names of some of what this machine sees in it."""

WORDS: Mapping[str, str] = {
    "missing": "does not see",
    "closed": "may not read",
    "broken": "cannot list",
    "other": "sees another directory at",
    "read-only": "may not write in",
    "apart": "writes elsewhere than where this machine reads, at",
}
"""What is wrong with a directory on a worker."""
LOOK_SQL = "worker string, version string, place bigint, fault string"
"""What a worker says of itself: a row for each directory that it does not see, one with an empty fault if it sees all."""


def directories(spec: object) -> tuple[Directory, ...]:
    """What a kernel with this spec needs to see: archive roots on this machine's disks, and paths that exist here."""
    found = {os.path.abspath(path): None for path in _paths(spec)}  # noqa: PTH100 - bytes
    return tuple(directory_at(path) for path in found if os.path.isdir(path))  # noqa: PTH112


def directory_at(path: bytes) -> Directory:
    """A directory with some of what lies in it.

    Raises:
        OSError: it cannot be listed.
    """
    with os.scandir(path) as entries:
        return path, tuple(entry.name for entry in islice(entries, _NAMES))


def _paths(spec: object) -> Iterator[bytes]:
    if isinstance(spec, LocalRoot):
        yield spec.path
    elif isinstance(spec, Path):
        yield os.fsencode(spec if spec.is_dir() else spec.parent)
    elif is_dataclass(spec) and not isinstance(spec, type):
        for field in fields(spec):
            yield from _paths(getattr(spec, field.name))
    elif isinstance(spec, Mapping):
        for value in spec.values():
            yield from _paths(value)
    elif isinstance(spec, tuple | list):
        for item in spec:
            yield from _paths(item)


# --- On a worker ---------------------------------------------------------------------------------------------------------


def _travelling() -> tuple[Callable[[], str], Callable[[Directory], str]]:
    """Functions that are sent as they stand, for they are not found by name: a worker may have no pathcurate."""

    def name() -> str:
        from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415 - on the worker

        # Nothing else on a worker of a standalone cluster tells by which name the cluster's own pages know it.
        page = urlsplit(os.environ.get("SPARK_LOG_URL_STDERR", ""))
        executor = parse_qs(page.query).get("executorId")
        host = os.uname().nodename
        return f"{page.netloc} (executor {executor[0]})" if page.netloc and executor else host

    def fault(directory: Directory) -> str:
        path, names = directory
        try:
            os.scandir(path).close()
        except (FileNotFoundError, NotADirectoryError):
            return "missing"
        except PermissionError:
            return "closed"
        except OSError:
            return "broken"
        is_same = not names or any(os.path.lexists(os.path.join(path, name)) for name in names)  # noqa: PTH118
        return "" if is_same else "other"

    return name, fault


worker_name, fault_at = _travelling()


def looking(needed: Sequence[Directory], note: str = "") -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a worker is asked to say of itself, in rows of :data:`LOOK_SQL`; sent as it stands here.

    Args:
        needed: directories to look at; ``place`` is the index of one.
        note: how the path of a file begins that each worker leaves in the first directory, with a name of its own.
    """

    def look(tables: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import uuid  # noqa: PLC0415 - on the worker

        import pyarrow  # noqa: PLC0415

        try:
            from pathcurate import __version__ as version  # noqa: PLC0415
        except ImportError:
            version = ""
        for _ in tables:
            pass
        worker = worker_name()
        rows = [(worker, version, place, fault) for place, item in enumerate(needed) if (fault := fault_at(item))]
        left = ""
        if note and not rows:
            left = f"{note}{uuid.uuid4().hex}"
            try:
                with open(left, "xb"):  # noqa: PTH123
                    pass
            except OSError:
                rows, left = [(worker, version, 0, "read-only")], ""
        rows = rows or [(worker, version, -1, left)]
        names = ("worker", "version", "place", "fault")
        yield pyarrow.RecordBatch.from_pylist([dict(zip(names, row, strict=True)) for row in rows])

    return look


# --- On this machine -----------------------------------------------------------------------------------------------------


def blind(worker: str, path: bytes, fault: str) -> InputOutputError:
    """The error of a worker that does not see a directory."""
    shown = path.decode("utf-8", "backslashreplace")
    return InputOutputError(
        f"The worker {worker} of the cluster {WORDS[fault]} {shown}.",
        "Mount it there at the same path as here, for the user that the worker runs as, or stop that worker; then run the "
        "command again: what was finished is kept.",
    )


def demand_sight(answers: Iterable[Mapping[str, Any]], needed: Sequence[Directory]) -> None:
    """See that no worker has said that it does not see a directory.

    Raises:
        InputOutputError: one has.
    """
    for answer in answers:
        if answer["place"] >= 0:
            raise blind(answer["worker"], needed[answer["place"]][0], answer["fault"])
