"""Which files of what is asked for lie in cold storage, as a list by which somebody calls them back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pathcurate.copies.choosing import Selection, choose
from pathcurate.errors import InputOutputError
from pathcurate.peoplecsv import csv_for_people
from pathcurate.storage import path_text, private_directory, write_bytes
from pathcurate.workspace import Workspace

_HEADS: Final = ("site", "archive", "path", "path_bytes_hex", "bytes")
_COMPANION: Final = b".mrxs"


@dataclass(frozen=True, slots=True, repr=False)
class RecallEntry:
    """A file that is to be called back; it identifies.

    Attributes:
        site: code of the site.
        archive: name of the archive root.
        relpath: path below it; of a MIRAX slide also its folder, which ends in ``/``.
        bytes: of all files of the slide or series together, on the first of them; 0 on the others.
    """

    site: str
    archive: str
    relpath: bytes
    bytes: int


def offline_files(workspace: Workspace, selection: Selection, key: bytes) -> list[RecallEntry]:
    """The files that cannot be read now, as far as the last scan knows, by site, archive and path.

    Args:
        workspace: the workspace.
        selection: what is asked for; what must not go out any more is not called back for a recipient.
        key: the vault's.

    Raises:
        PlanIncompleteError: there is no such cohort.
        UsageError: a listed code is nobody's.
        InputOutputError: a table cannot be read.
    """
    _, chosen = choose(workspace, selection, key, only_offline=True)
    found: list[RecallEntry] = []
    for one in chosen:
        names = [*one.members]
        if names[0].lower().endswith(_COMPANION):
            names.append(names[0][: -len(_COMPANION)] + b"/")
        found += [RecallEntry(one.site, one.archive, name, 0 if number else one.size) for number, name in enumerate(names)]
    return sorted(found, key=lambda entry: (entry.site, entry.archive, entry.relpath))


def write_recall(workspace: Workspace, delivery: str, entries: Sequence[RecallEntry]) -> Path:
    """Write the list as ``catalog/review/recall-DELIVERY.csv``, readable by the workspace's owner alone.

    Args:
        workspace: the workspace.
        delivery: its id.
        entries: the files. A path that is no UTF-8 is shown as it may be meant, and exactly in ``path_bytes_hex``.

    Raises:
        InputOutputError: it cannot be written.
    """
    rows = [
        (one.site, one.archive, path_text(one.relpath), one.relpath.hex(), str(one.bytes))
        for one in entries
    ]  # fmt: skip
    try:
        folder = private_directory(private_directory(workspace.catalog) / "review")
        path = folder / f"recall-{delivery}.csv"
        write_bytes(path, csv_for_people(_HEADS, rows), mode=0o600)
    except OSError as error:
        raise InputOutputError(
            f"the list of files to call back cannot be written ({type(error).__name__})",
            "Check the owner and the space of catalog/review/.",
        ) from None
    return path
