"""Storage of which every read takes its time, and is counted."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pathcurate.storage import CompanionFolders, Entry, LocalRoot, LocalSource, Skipped


class SlowSource(LocalSource):
    """A local file whose reads are counted, and of which every read takes its time."""

    def __init__(self, path: bytes, within: bytes | None, seconds: float) -> None:
        super().__init__(path, within)
        self._seconds = seconds
        self.reads = 0
        self.bytes = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """As :class:`LocalSource`, later."""
        if self._seconds:
            time.sleep(self._seconds)
        data = super().read_at(offset, length)
        self.reads += 1
        self.bytes += len(data)
        return data


@dataclass(frozen=True)
class SlowRoot:
    """A directory on slow storage; listing and opening it is as quick as it is."""

    root: LocalRoot
    seconds: float

    def walk(self, companions: CompanionFolders) -> Iterator[Entry | Skipped]:
        """As the directory itself."""
        return self.root.walk(companions)

    def open(self, relpath: bytes) -> SlowSource:
        """A file whose reads are slow."""
        return SlowSource(os.path.join(self.root.path, relpath), self.root.path, self.seconds)  # noqa: PTH118  bytes

    def uri(self, relpath: bytes) -> str:
        """As the directory itself."""
        return self.root.uri(relpath)
