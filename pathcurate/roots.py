"""What an archive of ``pathcurate.yaml`` is read through: a directory or an object store, at the pace that it asks for."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pathcurate.objectstore import S3Root
from pathcurate.pacing import Meter, PacedRoot
from pathcurate.storage import LocalRoot, Root, private_directory
from pathcurate.workspace import Archive, Workspace

CONNECTIONS = 64
"""Requests that one process may have under way at an object store, unless told otherwise."""


def root_of(archive: Archive, *, connections: int = CONNECTIONS) -> LocalRoot | S3Root:
    """The root of an archive, to look at a few files; a run reads through :func:`paced_root_of`.

    Args:
        archive: the archive.
        connections: requests that each process may have under way at an object store; at least its reading threads.
    """
    if isinstance(archive.root, Path):
        return LocalRoot(os.fsencode(archive.root))
    return S3Root(archive.root.bucket, archive.root.prefix, archive.endpoint, archive.region, connections)


def paced_root_of(archive: Archive, directory: Path, *, connections: int = CONNECTIONS) -> Root:
    """The root of an archive as a run reads it: paced and counted if the archive asks for a rate or a budget.

    Args:
        archive: the archive.
        directory: on a local disk, removed after the run; holds what the run's processes share.
        connections: see :func:`root_of`.

    Raises:
        OSError: the directory cannot be written to.
    """
    root = root_of(archive, connections=connections)
    if archive.reads_per_second is None and archive.reads_per_run is None:
        return root
    return PacedRoot(root, Meter.create(directory, archive.reads_per_second))


Place = tuple[str, str]
"""Site and name of an archive."""


@contextmanager
def paced_roots(workspace: Workspace, name: str) -> Iterator[dict[Place, Root]]:
    """The roots of all archives for one look at some slides; see :func:`paced_root_of`.

    Only for whoever holds the lock on the workspace.

    Args:
        workspace: the workspace.
        name: of the look; what a killed one of that name has left is removed.
    """
    spill = private_directory(private_directory(workspace.catalog) / ".spill")
    for leftover in spill.glob(f"{name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    with TemporaryDirectory(dir=spill, prefix=f"{name}-") as directory:
        yield {place: paced_root_of(archive, Path(directory)) for place, archive in archives_of(workspace).items()}


def archives_of(workspace: Workspace) -> dict[Place, Archive]:
    """All archives of a workspace."""
    return {(site.code, archive.name): archive for site in workspace.sites for archive in site.archives}


def is_within_budget(archive: Archive, root: Root) -> bool:
    """Whether this run may read from an archive still."""
    most = archive.reads_per_run
    return most is None or not isinstance(root, PacedRoot) or root.reads_used() < most


def why_unread(slide: Mapping[str, Any], archive: Archive | None, now: datetime) -> str:
    """Why a slide is not read now: ``offline``, ``unreadable`` or ``postponed``; empty if it may be.

    Args:
        slide: a row of ``slides``.
        archive: its archive, None if the workspace has it no longer.
        now: the time by the clock on the wall, for the hours of archives.
    """
    if slide["storage_state"] == "offline":
        return "offline"
    if archive is None or slide["status"] != "ok" or slide["reader"] is None:
        return "unreadable"
    return "postponed" if archive.window is not None and not archive.window.is_open(now) else ""


def root_below(root: Root, folder: bytes) -> LocalRoot | S3Root:
    """A folder below a root that :func:`root_of` gave, as a root of its own: listing it costs no listing of the archive."""
    if isinstance(root, S3Root):
        return replace(root, prefix=root.key(folder.decode()))
    if isinstance(root, LocalRoot):
        return LocalRoot(root.path + b"/" + folder)
    raise TypeError(f"no folder below a {type(root).__name__}")
