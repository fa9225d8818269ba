"""An archive root as it was walked: slides to be, companions, and what could not be read."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from pathcurate.model.finding import Finding, Severity
from pathcurate.pseudonyms import opaque_code
from pathcurate.readers import companion_folders
from pathcurate.storage import Entry, Skipped, walk
from pathcurate.text.accession import AccessionPatterns
from pathcurate.workspace import Archive, Site


@dataclass
class Listing:
    """One archive root.

    Attributes:
        site: its site.
        archive: the root.
        patterns: the site's accession patterns.
        entries: files that may be slides.
        companions: files and bytes of each companion folder.
        companion_count: companion files.
        skipped: what was not read.
    """

    site: Site
    archive: Archive
    patterns: AccessionPatterns
    entries: list[Entry] = field(default_factory=list)
    companions: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    companion_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def path(self, entry: Entry) -> bytes:
        """Absolute path of an entry."""
        return os.path.join(os.fsencode(self.archive.root), entry.relpath)  # noqa: PTH118  a path of an archive is bytes

    def place(self, entry: Entry) -> tuple[str, str, bytes]:
        """Where an entry is: site, archive, path below the root."""
        return self.site.code, self.archive.name, entry.relpath

    def file_count(self, entry: Entry) -> int:
        """Files that make up the slide whose main file this is."""
        return 1 + self.companions.get(_stem(entry.relpath), (0, 0))[0]

    def size(self, entry: Entry) -> int:
        """Bytes of all its files."""
        return entry.size + self.companions.get(_stem(entry.relpath), (0, 0))[1]

    def is_hidden(self, relpath: bytes) -> bool:
        """Whether a path lies in a folder that could not be listed, so that its absence says nothing."""
        return any(
            item.kind == "unreadable_directory" and (not item.relpath or relpath.startswith(item.relpath + b"/"))
            for item in self.skipped
        )

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
                subject=opaque_code("G", hashlib.sha256(item.relpath).digest()),
            )
            for item in self.skipped
        ]


def list_archive(site: Site, archive: Archive) -> Listing:
    """Walk one archive root.

    Raises:
        InputOutputError: the root cannot be listed.
    """
    listing = Listing(site, archive, AccessionPatterns(site.accession.patterns))
    for item in walk(archive.root, companion_folders):
        if isinstance(item, Skipped):
            listing.skipped.append(item)
        elif item.companion:
            listing.companion_count += 1
            top = _companion_folder(item.relpath, listing.companions)
            count, size = listing.companions.get(top, (0, 0))
            listing.companions[top] = (count + 1, size + item.size)
        else:
            listing.entries.append(item)
    return listing


def extension(path: bytes) -> str:
    """Extension of a file name in lower case with its dot, empty if it has none."""
    return os.fsdecode(os.path.splitext(path)[1]).lower()  # noqa: PTH122  a path of an archive is bytes


def _stem(relpath: bytes) -> bytes:
    return os.path.splitext(relpath)[0]  # noqa: PTH122


def _companion_folder(relpath: bytes, known: Mapping[bytes, tuple[int, int]]) -> bytes:
    parts = relpath.split(b"/")
    above = (b"/".join(parts[:depth]) for depth in range(1, len(parts)))
    return next((folder for folder in above if folder in known), b"/".join(parts[:-1]))
