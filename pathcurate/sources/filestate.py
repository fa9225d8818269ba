"""Files of sources as they lie on disk; what cannot be read is an error that says where to look."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathcurate.errors import InputOutputError


@contextmanager
def readable(name: str) -> Iterator[None]:
    """What fails inside for want of a file or of rights is an :class:`InputOutputError` about what is named."""
    try:
        yield
    except OSError as error:
        what = f"{name} cannot be read ({type(error).__name__})"
        raise InputOutputError(what, "Check the path in pathcurate.yaml and its permissions.") from None


def file_state(path: Path) -> tuple[int, int]:
    """Size in bytes, and when the file was changed last in nanoseconds since 1970."""
    with readable(path.name):
        state = path.stat()
    return state.st_size, state.st_mtime_ns


def content_sha256(path: Path) -> str:
    """Digest of the file's bytes, as ``sha256:`` and 64 hexadecimal digits."""
    with readable(path.name), path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
