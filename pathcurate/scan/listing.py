"""An archive root as it was walked: slides to be, companions, and what could not be read."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pathcurate.errors import InputOutputError
from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import SLIDE_EXTENSIONS, companion_folder, companion_folders
from pathcurate.storage import Entry, Skipped, walk
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import Archive, Site

OTHER_KIND = "other"
_FILE_KINDS = frozenset({
    ".7z", ".annotations", ".avi", ".bak", ".bin", ".bmp", ".bz2", ".cdr", ".cfg", ".conf", ".csv", ".dat", ".db",
    ".dcm", ".dicomdir", ".dll", ".doc", ".docx", ".ets", ".exe", ".geojson", ".gif", ".gz", ".h5", ".hdf5", ".heic",
    ".htm", ".html", ".ico", ".ini", ".iso", ".j2k", ".jar", ".jp2", ".jpeg", ".jpg", ".json", ".lnk", ".lock", ".log",
    ".lst", ".m4v", ".md", ".md5", ".mdb", ".mov", ".mp4", ".ndpa", ".ndpis", ".nii", ".npy", ".npz", ".part",
    ".partial", ".pdf", ".png", ".ppt", ".pptx", ".ps1", ".py", ".qpdata", ".qpproj", ".rar", ".raw", ".rtf", ".sh",
    ".sha1", ".sha256", ".sqlite", ".svg", ".tar", ".tgz", ".tmp", ".tsv", ".txt", ".url", ".wav", ".webp", ".wmv",
    ".xls", ".xlsx", ".xml", ".xz", ".yaml", ".yml", ".zarr", ".zip", ".zst",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Companions:
    """What a companion folder holds.

    Attributes:
        count: files.
        size: their bytes.
        mtime_ns: newest modification time among them.
    """

    count: int = 0
    size: int = 0
    mtime_ns: int = 0

    def with_entry(self, entry: Entry) -> "Companions":
        """These and one file more."""
        return Companions(self.count + 1, self.size + entry.size, max(self.mtime_ns, entry.mtime_ns))


_NONE = Companions()


@dataclass
class Listing:
    """One archive root.

    Attributes:
        site: its site.
        archive: the root.
        patterns: the site's accession patterns.
        entries: files that may be slides.
        companions: what each companion folder holds.
        companion_count: companion files.
        skipped: what was not read.
    """

    site: Site
    archive: Archive
    patterns: AccessionPatterns
    entries: list[Entry] = field(default_factory=list)
    companions: dict[bytes, Companions] = field(default_factory=dict)
    companion_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    _hidden: set[bytes] = field(default_factory=set)

    def add(self, item: Entry | Skipped) -> None:
        """Take in one item; a folder's own files come before those of its sub-folders, as :func:`walk` gives them."""
        if isinstance(item, Skipped):
            self.skipped.append(item)
            if item.kind == "unreadable_directory":
                self._hidden.add(item.relpath)
            return
        folder = next((above for above in _ancestors(item.relpath) if above in self.companions), None)
        # A slide is nobody's companion: a case's folder may bear the name of a slide beside it.
        if item.companion and folder is not None and extension(item.relpath) not in SLIDE_EXTENSIONS:
            self.companion_count += 1
            self.companions[folder] = self.companions[folder].with_entry(item)
            return
        self.entries.append(item)
        own = companion_folder(item.relpath)
        if own is not None:
            self.companions[own] = _NONE

    @property
    def is_empty(self) -> bool:
        """Whether the root holds nothing but folders, all of which could be listed."""
        return not (self.entries or self.companion_count or self.skipped)

    def path(self, relpath: bytes) -> bytes:
        """Absolute path of a file."""
        return os.path.join(os.fsencode(self.archive.root), relpath)  # noqa: PTH118  a path of an archive is bytes

    def place(self, entry: Entry) -> tuple[str, str, bytes]:
        """Where an entry is: site, archive, path below the root."""
        return self.site.code, self.archive.name, entry.relpath

    def file_count(self, entry: Entry) -> int:
        """Files that make up the slide whose main file this is."""
        return 1 + self._companions(entry).count

    def size(self, entry: Entry) -> int:
        """Bytes of all its files."""
        return entry.size + self._companions(entry).size

    def mtime(self, entry: Entry) -> datetime | None:
        """Newest modification time of its files, in UTC without a zone; None if the calendar does not have it."""
        # By integer division: a float would round the microseconds, and the row would look changed at the next scan.
        seconds, rest = divmod(max(entry.mtime_ns, self._companions(entry).mtime_ns), 1_000_000_000)
        try:
            return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000, tzinfo=None)
        except (ValueError, OverflowError, OSError):
            return None

    def _companions(self, entry: Entry) -> Companions:
        return self.companions.get(companion_folder(entry.relpath) or b"", _NONE)

    def is_hidden(self, relpath: bytes) -> bool:
        """Whether a path lies in a folder that could not be listed, so that its absence says nothing."""
        return bool(self._hidden) and any(folder in self._hidden for folder in _ancestors(relpath))

    def findings(self) -> list[Finding]:
        """What was not read, each named by an opaque code because paths can name people."""
        return [
            Finding(
                f"scan.{item.kind}",
                Severity.ERROR if item.kind in {"unreadable_directory", "vanished"} else Severity.INFO,
                f"something below archive {self.archive.name} was not read: {item.kind.replace('_', ' ')}",
                stage="scan",
                site=self.site.code,
                table="slides",
                subject=opaque_code("G", hashlib.sha256(self.archive.name.encode() + b"\0" + item.relpath).digest()),
            )
            for item in self.skipped
        ]


def list_archive(site: Site, archive: Archive) -> Listing:
    """Walk one archive root.

    Raises:
        InputOutputError: the root cannot be listed.
    """
    listing = Listing(site, archive, AccessionPatterns(site.accession.patterns))
    try:
        for item in walk(archive.root, companion_folders):
            listing.add(item)
    except InputOutputError as error:
        raise InputOutputError(
            f"archive {archive.name} of site {site.code} at {archive.root}: {error.message}", error.hint
        ) from None
    return listing


def extension(path: bytes) -> str:
    """Extension of a file name in lower case with its dot, empty if it has none."""
    return os.fsdecode(os.path.splitext(path)[1]).lower()  # noqa: PTH122  a path of an archive is bytes


def file_kind(path: bytes) -> str:
    """What a file that is no slide is counted as: its extension if that names a usual kind of file, empty without one.

    Any other is :data:`OTHER_KIND`, because what follows the last dot of a name can be a patient's name or number.
    """
    suffix = extension(path)
    return suffix if suffix in _FILE_KINDS or suffix in SLIDE_EXTENSIONS or not suffix else OTHER_KIND


def _ancestors(relpath: bytes) -> Iterator[bytes]:
    """The folders above a path, nearest first; the last is the root, which is empty."""
    while relpath:
        relpath = relpath.rpartition(b"/")[0]
        yield relpath
