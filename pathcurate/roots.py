"""What an archive of ``pathcurate.yaml`` is read through: a directory or an object store, at the pace that it asks for."""

import os
from dataclasses import replace
from pathlib import Path

from pathcurate.objectstore import S3Root
from pathcurate.pacing import Meter, PacedRoot
from pathcurate.storage import LocalRoot, Root
from pathcurate.workspace import Archive

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


def root_below(root: Root, folder: bytes) -> LocalRoot | S3Root:
    """A folder below a root that :func:`root_of` gave, as a root of its own: listing it costs no listing of the archive."""
    if isinstance(root, S3Root):
        return replace(root, prefix=root.key(folder.decode()))
    if isinstance(root, LocalRoot):
        return LocalRoot(root.path + b"/" + folder)
    raise TypeError(f"no folder below a {type(root).__name__}")
