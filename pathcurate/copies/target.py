"""The directory that copies go to: whether they may, that one run holds it, and what stands there besides."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pathcurate.copies.kernel import UNFINISHED
from pathcurate.copies.records import DICOM_DIRECTORY, Listed, names_of
from pathcurate.errors import InputOutputError, LockedError, UsageError
from pathcurate.model.deidfile import DEID_FILES_NAME, RECEIPT_NAME
from pathcurate.workspace import Workspace

_LOCK: Final = ".lock"
_OURS: Final = frozenset({DEID_FILES_NAME, RECEIPT_NAME, UNFINISHED, _LOCK, "slides", "dicom"})


def demand_target(target: Path, workspace: Workspace, layer: str) -> None:
    """Make the directory that copies go to, and refuse one that they must not go to.

    Raises:
        UsageError: it lies in the workspace's identified places or an archive, holds anything else, or copies of another
            layer: in one place, codes of two layers could be joined.
        InputOutputError: it cannot be made.
    """
    resolved = target.resolve()
    archives = [archive.root for site in workspace.settings.sites for archive in site.archives]
    own = [workspace.catalog, workspace.vault, workspace.deid, workspace.cohorts, workspace.releases]
    for place in (path.resolve() for path in (*own, *(root for root in archives if isinstance(root, Path)))):
        if resolved.is_relative_to(place) or place.is_relative_to(resolved):
            raise UsageError(
                "the copies would lie in an archive or among the workspace's own files", "Give another directory."
            )
    try:
        target.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in target.iterdir()}
    except OSError as error:
        raise InputOutputError(
            f"the directory for the copies cannot be made or read ({os.strerror(error.errno or 5).lower()})",
            "Give another one, or open it for writing.",
        ) from None
    if names - _OURS:
        raise UsageError("the directory for the copies holds other files", "Give a new one, or an empty one.")
    if any((target / name).is_symlink() for name in names):
        raise UsageError(
            "the directory for the copies holds a link, which would lead elsewhere", "Give a new directory, or an empty one."
        )
    if RECEIPT_NAME in names and _layer_of(target) != layer:
        raise UsageError(
            "the directory holds copies in the codes of another layer, so that the two could be joined",
            "Give a directory of its own to each release and each recipient.",
        )


def _layer_of(target: Path) -> str | None:
    try:
        layer = json.loads((target / RECEIPT_NAME).read_bytes())["layer"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(layer)


@contextlib.contextmanager
def holding(target: Path) -> Iterator[None]:
    """Hold the directory of the copies for one run, of whatever workspace; nothing is left of the lock.

    Raises:
        LockedError: another run holds it.
        InputOutputError: it cannot be written to.
    """
    path = target / _LOCK
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InputOutputError(
            f"the directory for the copies cannot be written to ({os.strerror(error.errno or 5).lower()})",
            "Give another one, or open it for writing.",
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have taken it away meanwhile.
            is_ours = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        except BlockingIOError:
            is_ours = False
        if not is_ours:
            raise LockedError("the directory for the copies is in use by another run", "Wait until it ends.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def strays(target: Path, listed: Sequence[Listed]) -> int:
    """Files that stand among the copies and that no outcome names: nobody vouches for them."""
    named = {target / name for one in listed for name in (*names_of(one.outcome), DICOM_DIRECTORY)}
    return sum(
        Path(place, name) not in named
        for above in ("slides", "dicom")
        for place, folders, names in os.walk(target / above)
        for name in (*names, *(folder for folder in folders if Path(place, folder).is_symlink()))
    )
