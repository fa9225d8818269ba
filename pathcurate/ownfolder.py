"""Temporary folders of a process's own: what killed processes left goes with the next, and what others use stays."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path


@contextmanager
def own_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder that only its owner can enter; it goes when the block ends, unless it got another name.

    It is locked while its process lives (``flock``, which a killed process loses). So whoever makes the next one with this
    prefix can tell which are in use, and removes the others: without that, each killed run would leave its own for ever.

    Args:
        parent: where it is made; made itself if it is not there.
        prefix: beginning of its name. Nothing else below the parent may begin so.

    Raises:
        OSError: it cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{escape(prefix)}*"):
        with held(leftover) as is_free:
            if is_free:
                shutil.rmtree(leftover, ignore_errors=True)
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
        with held(folder) as is_mine:
            # Another process may have taken it for a leftover before it was locked.
            if not is_mine or not folder.is_dir():
                continue
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            return


@contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Hold a folder; False if another process holds it, or it is gone."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_free = True
    except BlockingIOError:
        is_free = False
    try:
        yield is_free
    finally:
        os.close(handle)
