"""What is written below ``catalog/review/`` for people to check. It identifies patients: it comes whole, and it ends."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pathcurate.delimited import Sheet
from pathcurate.digests import canonical_json, sha256_text
from pathcurate.errors import UsageError
from pathcurate.peoplecsv import without_prefix
from pathcurate.storage import private_directory
from pathcurate.text.heads import fold_head
from pathcurate.workspace import Workspace

EXPIRES_DAYS: Final = 14
SHEET_FILE: Final = "sheet.json"
"""Of a sheet's folder, what says when it ends, as ``expires_at``."""
PAGE_FILE: Final = "review.html"
"""The page."""
ANSWERS_FILE: Final = "decisions.csv"
"""The table beside it, for answers without the page's script."""
_SHEETS: Final = ("link-", "text-", "label-", "preview-")
"""How the names of sheets begin."""
_LISTS: Final = ("find-", "pull-", "reidentify-")
"""How the names of files begin that other commands write there."""


_DIGEST_START, _DIGEST_DIGITS = len("sha256:"), 16


@dataclass(frozen=True, slots=True)
class Review:
    """A kind of review whose sheets keep what they asked, under a digest in their name.

    Attributes:
        prefix: how the names of its sheets begin.
        what: what is reviewed, in words.
        command: which command exports it.
    """

    prefix: str
    what: str
    command: str

    def sheet_name(self, content: Mapping[str, Any], now: datetime) -> str:
        """The name of a sheet that asks this: the time of its making, and the digest of the content."""
        return f"{self.prefix}{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{_digest(content)}"

    def read(self, workspace: Workspace, name: str, now: datetime) -> Mapping[str, Any]:
        """What a sheet asked.

        Args:
            workspace: the workspace.
            name: of the sheet, as its answers give it.
            now: the present, with its zone.

        Raises:
            UsageError: it was not exported here, is damaged, or its time is over.
        """
        again = f"Export a new one with `pathcurate {self.command}`."
        path = review_folder(workspace) / name / SHEET_FILE
        # A name from a file of answers is no path until it is seen to be one of ours.
        if not re.fullmatch(rf"{self.prefix}[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-f]{{16}}", name, re.ASCII) or not path.is_file():
            raise UsageError(
                f"the file answers no review of {self.what} that is open here: it was exported elsewhere, or its time is "
                "over",
                again,
            )
        try:
            content = json.loads(path.read_bytes())
            is_whole = name.endswith(_digest(content))
        except ValueError:
            is_whole = False
        if not is_whole:
            raise UsageError(f"{SHEET_FILE} of that review is damaged, so nobody knows what was asked", again)
        if datetime.fromisoformat(content["expires_at"]) <= now:
            raise UsageError("the time of that review is over", again)
        return dict(content)

    def newest_answers(self, workspace: Workspace) -> Path:
        """The table of the sheet that was exported last.

        Raises:
            UsageError: there is no sheet.
        """
        folders = [path for path in review_folder(workspace).glob(f"{self.prefix}*") if (path / SHEET_FILE).is_file()]
        if not folders:
            raise UsageError(
                f"there is no review of {self.what} below catalog/review/",
                f"Name the file with the answers, or make a sheet with `pathcurate {self.command}`.",
            )
        # Their names begin with the time of their making.
        return max(folders, key=lambda path: path.name) / ANSWERS_FILE


def answer_rows(sheet: Sheet, needed: Sequence[str], given: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and cells of each row of a file of answers, by the names of the columns as they were exported.

    Args:
        sheet: the file.
        needed: columns without which it is none.
        given: columns that are read; one that is not there is empty.

    Raises:
        UsageError: a needed column is missing.
    """
    heads = {fold_head(head): head for head in sheet.heads if head}
    missing = [name for name in needed if fold_head(name) not in heads]
    if missing:
        raise UsageError(
            f"the file has no column {' and no column '.join(missing)}",
            "Give the CSV of a review sheet with its heads as they were exported.",
        )
    for row in sheet.rows:
        yield row.number, {name: without_prefix(row.cells.get(heads.get(fold_head(name), ""), "")) for name in given}


def minute(moment: datetime) -> str:
    """A moment as sheets show it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _digest(content: Mapping[str, Any]) -> str:
    return sha256_text(canonical_json(content))[_DIGEST_START:][:_DIGEST_DIGITS]


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

    Only for whoever holds the lock on the workspace. What does not say when it ends, as the files of `find`, `materials
    pull` and `deid reidentify`, ends :data:`EXPIRES_DAYS` days after it was made.

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
