"""What is written below ``catalog/review/`` for people to check. It identifies patients: it comes whole, and it ends."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pathcurate.storage import private_directory
from pathcurate.workspace import Workspace

EXPIRES_DAYS: Final = 14
SHEET_FILE: Final = "sheet.json"
"""Of a sheet's folder, what says when it ends, as ``expires_at``."""
_SHEETS: Final = ("link-", "text-")
"""How the names of sheets begin."""
_LISTS: Final = ("find-", "pull-")
"""How the names of files begin that other commands write there."""


def review_folder(workspace: Workspace) -> Path:
    """Where pages for people lie; it may not be there yet."""
    return workspace.catalog / "review"


@contextmanager
def new_sheet(workspace: Workspace, name: str) -> Iterator[Path]:
    """A folder for a sheet's files. It gets its name at the end: nothing is seen of it before it is whole."""
    folder = private_directory(review_folder(workspace))
    hidden = private_directory(folder / f".{name}")
    try:
        yield hidden
        hidden.rename(folder / name)
    except BaseException:
        shutil.rmtree(hidden, ignore_errors=True)
        raise


def remove_expired(workspace: Workspace, now: datetime) -> int:
    """Remove what was written for a person to check and whose time is over, and what killed exports left; how many.

    Only for whoever holds the lock on the workspace. What does not say when it ends, as the files of `find` and
    `materials pull`, ends :data:`EXPIRES_DAYS` days after it was made.

    Args:
        workspace: the workspace.
        now: the present, with its zone.

    Raises:
        OSError: something cannot be removed.
    """
    gone = list(_expired(review_folder(workspace), now))
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return len(gone)


def _expired(review: Path, now: datetime) -> Iterator[Path]:
    for path in review.iterdir() if review.is_dir() else ():
        if path.is_symlink():
            continue
        is_sheet, is_list = path.is_dir() and path.name.startswith(_SHEETS), path.is_file() and path.name.startswith(_LISTS)
        is_left = path.is_dir() and path.name.startswith(tuple(f".{prefix}" for prefix in _SHEETS))
        if is_left or (is_sheet and _end(path) <= now) or (is_list and _default_end(path) <= now):
            yield path


def _end(folder: Path) -> datetime:
    try:
        return datetime.fromisoformat(json.loads((folder / SHEET_FILE).read_bytes())["expires_at"]).astimezone(UTC)
    except (OSError, ValueError, KeyError, TypeError):
        return _default_end(folder)


def _default_end(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC) + timedelta(days=EXPIRES_DAYS)
