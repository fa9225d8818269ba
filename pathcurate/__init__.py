"""pathcurate: turn a pathology slide archive into data products that can be registered and traded."""

import re
from pathlib import Path


def _read_version() -> str:
    """The version is the first second-level heading of the shipped release notes, and stands nowhere else."""
    notes = Path(__file__).with_name("release_notes.md").read_text(encoding="utf-8")
    found = re.search(r"^## (\d+\.\d+\.\d+)", notes, flags=re.MULTILINE)
    if found is None:
        raise RuntimeError("pathcurate/release_notes.md has no version heading (## X.Y.Z)")
    return found[1]


__version__ = _read_version()
