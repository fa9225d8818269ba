"""An archive root as it is walked: files that may be slides, one after the other, and what could not be read."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from pathcurate.errors import InputOutputError
from pathcurate.forgotten import NOBODY, Forgotten
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import SLIDE_EXTENSIONS, companion_folder, companion_folders
from pathcurate.scan.index import NO_TIME
from pathcurate.storage import Entry, Root, Skipped
from pathcurate.workspace import Archive, Site

OTHER_KIND = "other"
FORGOTTEN_KIND = "forgotten_patient"
_FILE_KINDS = frozenset({
    ".7z", ".annotations", ".avi", ".bak", ".bin", ".bmp", ".bz2", ".cdr", ".cfg", ".conf", ".csv", ".dat", ".db",
    ".dcm", ".dicomdir", ".dll", ".doc", ".docx", ".ets", ".exe", ".geojson", ".gif", ".gz", ".h5", ".hdf5", ".heic",
    ".htm", ".html", ".ico", ".ini", ".iso", ".j2k", ".jar", ".jp2", ".jpeg", ".jpg", ".json", ".lnk", ".lock", ".log",
    ".lst", ".m4v", ".md", ".md5", ".mdb", ".mov", ".mp4", ".ndpa", ".ndpis", ".nii", ".npy", ".npz", ".part",
    ".partial", ".pdf", ".png", ".ppt", ".pptx", ".ps1", ".py", ".qpdata", ".qpproj", ".rar", ".raw", ".rtf", ".sh",
    ".sha1", ".sha256", ".sqlite", ".svg", ".tar", ".tgz", ".tmp", ".tsv", ".txt", ".url", ".wav", ".webp", ".wmv",
    ".xls", ".xlsx", ".xml", ".xz", ".yaml", ".yml", ".zarr", ".zip", ".zst",
})  # fmt: skip
_CALENDAR = range(-62_135_596_800_000_000, 253_402_300_800_000_000)
"""Microseconds since 1970 of the years 1 to 9999, which Python's calendar has."""
_KEPT_FINDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a slide, or the main file of one.

    Attributes:
        relpath: path below the root.
        size: bytes of it and its companions.
        mtime: newest modification time among them, in microseconds since 1970; ``NO_TIME`` if the calendar has it not.
        file_count: it and its companions.
        is_offline: whether its bytes are somewhere from where they cannot be read now.
    """

    relpath: bytes
    size: int
    mtime: int
    file_count: int
    is_offline: bool


@dataclass
class Listing:
    """One archive root while it is walked.

    Attributes:
        site: its site.
        archive: the root's name and settings.
        root: the root itself.
        forgotten: persons who were erased, whose files are passed over.
        walked: regular files met so far.
        companions: of these, files that belong to a slide whose main file is given apart.
        skipped: what was not read, by kind.
        postponed: why it was not walked to its end; empty if it was.
        is_whole: whether the walk has come to its end.
    """

    site: Site
    archive: Archive
    root: Root
    forgotten: Forgotten = NOBODY
    walked: int = 0
    companions: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    postponed: str = ""
    is_whole: bool = False
    _items: Iterator[Entry | Skipped] = field(default_factory=lambda: iter(()))
    _hidden: set[bytes] = field(default_factory=set)
    _findings: list[Finding] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str]:
        """Site code and archive name."""
        return self.site.code, self.archive.name

    def open(self) -> bool:
        """Begin the walk; False if the root holds nothing at all.

        Raises:
            InputOutputError: the root cannot be listed.
        """
        try:
            items = self.root.walk(companion_folders)
            first = next(items, None)
        except InputOutputError as error:
            where = f"archive {self.archive.name} of site {self.site.code} at {self.archive.root}"
            raise InputOutputError(f"{where}: {error.message}", error.hint) from None
        self._items = items if first is None else chain((first,), items)
        return first is not None

    def entries(self) -> Iterator[Found]:
        """The files, in the order of the walk; one with a companion folder comes when that folder has been walked."""
        held: dict[bytes, Found] = {}
        for item in self._items:
            if isinstance(item, Skipped):
                self._skip(item)
                continue
            if self.forgotten.holds_path(*self.place, item.relpath):
                # Counted, and nothing else: every trace of which file it is would bring the person back.
                self.skipped[FORGOTTEN_KIND] += 1
                continue
            self.walked += 1
            # The walk goes on in byte order below each folder, so what it has passed it does not come back to.
            if held:
                yield from self._passed(held, item.relpath)
            # A slide is nobody's companion: a case's folder may bear the name of a slide beside it.
            if item.companion and extension(item.relpath) not in SLIDE_EXTENSIONS:
                owner = next((above for above in _ancestors(item.relpath) if above in held), None)
                if owner is not None:
                    self.companions += 1
                    held[owner] = _with(held[owner], item, skips_offline=self.archive.offline == "skip")
                    continue
            is_offline = item.is_offline and self.archive.offline == "skip"
            found = Found(item.relpath, item.size, _microseconds(item.mtime_ns), 1, is_offline)
            own = companion_folder(item.relpath)
            # Two files may claim one folder (x.mrxs and X.MRXS beside x): the first in byte order has it.
            if own is None or own in held:
                yield found
            else:
                held[own] = found
        yield from held.values()
        self.is_whole = True

    @staticmethod
    def _passed(held: dict[bytes, Found], relpath: bytes) -> Iterator[Found]:
        for folder in [folder for folder in held if _is_behind(folder, relpath)]:
            yield held.pop(folder)

    def _skip(self, item: Skipped) -> None:
        self.skipped[item.kind] += 1
        if item.kind == "unreadable_directory":
            self._hidden.add(item.relpath)
        if len(self._findings) < _KEPT_FINDINGS or item.kind in {"unreadable_directory", "vanished"}:
            self._findings.append(self._finding(item))

    def _finding(self, item: Skipped) -> Finding:
        return Finding(
            f"scan.{item.kind}",
            Severity.ERROR if item.kind in {"unreadable_directory", "vanished"} else Severity.INFO,
            f"something below archive {self.archive.name} was not read: {item.kind.replace('_', ' ')}",
            stage="scan",
            site=self.site.code,
            table="slides",
            # Paths can name people, so an opaque code stands for it.
            subject=opaque_code("G", hashlib.sha256(self.archive.name.encode() + b"\0" + item.relpath).digest()),
        )

    @property
    def has_hidden(self) -> bool:
        """Whether a folder could not be listed."""
        return bool(self._hidden)

    def is_hidden(self, relpath: bytes) -> bool:
        """Whether a path lies in a folder that could not be listed, so that its absence says nothing."""
        return bool(self._hidden) and any(folder in self._hidden for folder in _ancestors(relpath))

    def findings(self) -> list[Finding]:
        """What was not read, each named by an opaque code."""
        left_out = self.skipped[FORGOTTEN_KIND]
        if not left_out:
            return self._findings
        code, archive = self.place
        message = f"archive {archive} has files of erased patients, which were left out: {left_out}"
        return [
            *self._findings,
            Finding(
                f"scan.{FORGOTTEN_KIND}", Severity.INFO, message, stage="scan", site=code, table="slides", subject=archive,
                count=left_out,
            ),
        ]  # fmt: skip


def extension(path: bytes) -> str:
    """Extension of a file name in lower case with its dot, empty if it has none."""
    return os.fsdecode(os.path.splitext(path)[1]).lower()  # noqa: PTH122  a path of an archive is bytes


def file_kind(path: bytes) -> str:
    """What a file that is no slide is counted as: its extension if that names a usual kind of file, empty without one.

    Any other is :data:`OTHER_KIND`, because what follows the last dot of a name can be a patient's name or number.
    """
    suffix = extension(path)
    return suffix if suffix in _FILE_KINDS or suffix in SLIDE_EXTENSIONS or not suffix else OTHER_KIND


def _with(found: Found, item: Entry, *, skips_offline: bool) -> Found:
    return replace(
        found,
        size=found.size + item.size,
        mtime=max(found.mtime, _microseconds(item.mtime_ns)),
        file_count=found.file_count + 1,
        is_offline=found.is_offline or (item.is_offline and skips_offline),
    )


def _is_behind(folder: bytes, relpath: bytes) -> bool:
    """Whether a walk that has come to ``relpath`` will not enter ``folder`` any more."""
    above = folder.rpartition(b"/")[0]
    if above and not relpath.startswith(above + b"/"):
        return True
    rest = relpath[len(above) + 1 :] if above else relpath
    child, slash, _ = rest.partition(b"/")
    # Files of the folder above come before any of its sub-folders.
    return bool(slash) and child > folder[len(above) + 1 if above else 0 :]


def _microseconds(mtime_ns: int) -> int:
    number = mtime_ns // 1000
    return number if number in _CALENDAR else NO_TIME


def _ancestors(relpath: bytes) -> Iterator[bytes]:
    """The folders above a path, nearest first; the last is the root, which is empty."""
    while relpath:
        relpath = relpath.rpartition(b"/")[0]
        yield relpath
