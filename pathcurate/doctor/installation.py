"""What works on this machine, whatever the workspace."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import openslide

from pathcurate.doctor.check import Check
from pathcurate.engines.embedded import Embedded
from pathcurate.errors import PathcurateError
from pathcurate.readers import READERS
from pathcurate.readers.plugins import plugins

LEAST_OPENSLIDE = (4, 0, 1)
"""Earlier ones miss labels of Leica GT450 scanners and have two known memory faults."""

_GIB = 1 << 30
_LITTLE_SPACE, _NO_SPACE = 10 * _GIB, _GIB // 10
_BUILT = datetime(2026, 1, 1, tzinfo=UTC)  # no clock that is right shows an earlier day


def look_at_installation() -> Iterator[Check]:
    """Python, libraries, readers, engine and the disk of temporary files."""
    yield Check("Python", "ok", ".".join(str(part) for part in sys.version_info[:3]))
    yield from _libraries()
    found = openslide.__library_version__
    if _numbers(found) < LEAST_OPENSLIDE:
        least = ".".join(str(part) for part in LEAST_OPENSLIDE)
        yield Check(
            "OpenSlide", "error", f"{found}: versions before {least} miss labels and can crash",
            "Install openslide-bin, or a newer OpenSlide of the system.",
        )  # fmt: skip
    else:
        yield Check("OpenSlide", "ok", found)
    yield Check("readers", "ok", ", ".join(f"{reader.NAME} {reader.VERSION}" for reader in READERS))
    for plugin in plugins():
        name = f"{plugin.name} of {plugin.distribution} {plugin.version}"
        if plugin.problem:
            yield Check(
                "reader plug-in", "warning", f"{name}: {plugin.problem}",
                f"Install another version of {plugin.distribution}, or remove it; its slides are not read until then.",
            )  # fmt: skip
        else:
            yield Check("reader plug-in", "ok", name)
    yield _engine()
    yield free_space("disk of temporary files", Path(tempfile.gettempdir()))


def _libraries() -> Iterator[Check]:
    """Each library that pathcurate needs: whether it is there, and of a version that was tried."""
    try:
        required = metadata.requires("pathcurate") or []
    except metadata.PackageNotFoundError:
        yield Check("libraries", "warning", "pathcurate is not installed, so its libraries are not known",
                    "Install it with `pip install`.")  # fmt: skip
        return
    good = []
    for requirement in required:
        name, _, marker = requirement.partition(";")
        if "extra" in marker:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)(.*)", name.strip())
        if match is None:
            continue
        fault = _library_fault(match[1], match[2])
        if isinstance(fault, Check):
            yield fault
        else:
            good.append(fault)
    yield Check("libraries", "ok", ", ".join(good))


def _library_fault(name: str, bounds: str) -> Check | str:
    """A check if the library is missing or of another version than the bounds (``>=1.5,<3``) say; else its version."""
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(f"library {name}", "error", "is not installed", "Install pathcurate again, with its dependencies.")
    for operator, bound in re.findall(r"(>=|<)\s*([0-9.]+)", bounds):
        if (_numbers(found) >= _numbers(bound)) != (operator == ">="):
            return Check(
                f"library {name}", "warning", f"{found} was not tried: {bounds.strip()} was",
                f"Run `pip install '{name}{bounds.strip()}'`.",
            )  # fmt: skip
    return f"{name} {found}"


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in re.findall(r"\d+", version)[:4]]
    while numbers and numbers[-1] == 0:
        numbers.pop()  # 4.0 and 4.0.0 are one version
    return tuple(numbers)


def _engine() -> Check:
    try:
        with tempfile.TemporaryDirectory() as spill, Embedded(workers=1, temp_directory=Path(spill)) as engine:
            version = engine.rows("SELECT version()")[0][0]
    except (PathcurateError, OSError) as error:
        return Check("engine", "error", f"DuckDB does not answer ({type(error).__name__})", "Install duckdb again.")
    return Check("engine", "ok", f"embedded: DuckDB {version} answers")


def free_space(name: str, directory: Path) -> Check:
    """Whether a directory's disk has room, and may be written to."""
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        return Check(name, "error", f"cannot be asked for its free space ({type(error).__name__})", "Check the mount.")
    message = f"{free / _GIB:,.1f} GiB free"
    if not os.access(directory, os.W_OK):
        return Check(name, "error", f"{message}, but this user may not write there", "Check who owns the directory.")
    if free < _LITTLE_SPACE:
        status = "error" if free < _NO_SPACE else "warning"
        return Check(name, status, message, "Free some space: tables and temporary files of a large archive need it.")
    return Check(name, "ok", message)


def clock(now: datetime) -> Check:
    """Whether the machine's clock can be right."""
    local = now.astimezone()
    message = f"{local.isoformat(timespec='seconds')} ({local.tzname()})"
    if now < _BUILT:
        return Check("clock", "error", f"{message} is in the past", "Set the clock: permissions are those of today.")
    return Check("clock", "ok", message)
