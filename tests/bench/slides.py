"""What the benches read: made-up slides of realistic tile counts in holes, each under several names, and how it is read."""

import itertools
import os
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathcurate import scan as stage
from pathcurate.storage import CompanionFolders, Entry, LocalRoot, LocalSource, Skipped
from pathcurate.workspace import Archive, Workspace, load_workspace
from tests.makers.tiff import TILE, Sparse, pack, sparse_svs

ORIGINALS = 48
NAMED = b"ImageID = 5533"


def make_svs(archive: Path, count: int, names: int) -> None:
    """Aperio files of 20,000 to 100,000 tiles in three to five levels, no two alike, each under so many names.

    Half of them are laid out as scanners before the GT450 did, half as it does; a few have their directories first.
    """
    kinds = min(ORIGINALS, count)
    for kind in range(kinds):
        side = (142 + kind * 175 // kinds) * TILE
        levels = 3 + kind % 3
        sides = [side // factor for factor in (1, 4, 16, 32, 64)[:levels]]
        layout = "gt450" if kind % 2 else "classic"
        original = sparse_svs(sides, layout=layout, ifds_first=kind % 8 == 7)
        table = pack(4, sizes_of(sides[-1], 0))
        for number in range(kind, count, kinds):
            folder = archive / f"0-{number // 1000:03}"
            folder.mkdir(exist_ok=True)
            renumbered(original, table, sides[-1], number // kinds, number).save(folder / f"S23-{number:05}-B1 HE.svs")
    for path in sorted(archive.rglob("*.svs")):
        for name in range(1, names):
            folder = archive / f"{name}{path.parent.name[1:]}"
            folder.mkdir(exist_ok=True)
            os.link(path, folder / path.name)


def sizes_of(side: int, seed: int) -> list[int]:
    """Bytes of the tiles of a level, as ``sparse_svs`` gives them to it."""
    return [9000 + (tile * 7 + seed) % 500 for tile in range((-(-side // TILE)) ** 2)]


def renumbered(original: Sparse, table: bytes, side: int, seed: int, number: int) -> Sparse:
    """A copy with another number in its description and other bytes in the tiles of its smallest level."""
    new = pack(4, sizes_of(side, seed))
    chunks = {
        offset: data.replace(NAMED, b"ImageID = %04d" % (number % 10_000)).replace(table, new)
        for offset, data in original.chunks.items()
    }
    return Sparse(original.size, original.name, None, chunks)


def make_workspace(directory: Path, archive: Path) -> Workspace:
    """A workspace with one archive."""
    file = directory / "pathcurate.yaml"
    file.write_text(
        f"workspace: 1\nname: bench\nsites:\n  - code: NB01\n    archives: [{{name: main, root: '{archive}'}}]\n"
    )
    return load_workspace(file)


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


def slow_down(seconds: float) -> None:
    """From now on scans of this process take every archive for one on slow storage."""

    def slow(_: Any, archive: Archive) -> SlowRoot:
        assert isinstance(archive.root, Path)
        return SlowRoot(LocalRoot(os.fsencode(archive.root)), seconds)

    stage._Scan._root = slow  # type: ignore[method-assign,assignment]


def say(line: str) -> None:
    """A line for people, at once: a run takes minutes."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def timed(action: Any) -> float:
    """Seconds that something takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def same_size_copies(data: bytes, table: tuple[int, int]) -> Iterator[bytes]:
    """Copies of a slide of which no two have the same tile sizes: by a byte less of some tiles, which nobody decodes."""
    offset, length = table
    sizes = struct.unpack_from(f"<{length}I", data, offset)
    for number in itertools.count():
        copy = bytearray(data)
        struct.pack_into(f"<{length}I", copy, offset, *(size - (number >> bit & 1) for bit, size in enumerate(sizes)))
        yield bytes(copy).replace(b"ImageID = 0000000", b"ImageID = %07d" % number)
